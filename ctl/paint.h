/* SPDX-License-Identifier: GPL-2.0 */
/* Colours of the output, on a terminal only. */
#ifndef DROSTECTL_PAINT_H
#define DROSTECTL_PAINT_H

/** paint_begin() - find out whether standard output is a terminal with colours, and the user wants them */
void paint_begin(void);

/** paint_begin_on() - the same for another descriptor, on which all that follows is printed */
void paint_begin_on(int fd);

/** paint() - the escape sequence that begins a colour, or ends it; nothing without colours */
const char *paint(const char *code);

#define RED	paint("\033[1;31m")
#define GREEN	paint("\033[1;32m")
#define YELLOW	paint("\033[1;33m")
#define DIM	paint("\033[2m")
#define BOLD	paint("\033[1m")
#define PLAIN	paint("\033[0m")

#endif
