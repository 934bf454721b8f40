/* SPDX-License-Identifier: GPL-2.0 */
/* The command "top". */
#ifndef DROSTECTL_TOP_H
#define DROSTECTL_TOP_H

/** cmd_top() - show what a virtual machine exits for, again and again */
int cmd_top(int argc, char **argv);

/** top_help() - print the help text of the command */
void top_help(void);

#endif
