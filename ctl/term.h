/* SPDX-License-Identifier: GPL-2.0 */
/* The terminal of the guest's console. */
#ifndef DROSTECTL_TERM_H
#define DROSTECTL_TERM_H

#include <stdbool.h>

/**
 * term_raw() - put standard input into raw mode if it is a terminal
 *
 * Prints a message if it is a terminal whose mode cannot be changed.
 *
 * Return: whether it is in raw mode; only then is Ctrl-A the escape key.
 */
bool term_raw(void);

/**
 * term_continued() - restore raw mode after the program was stopped
 *
 * Does nothing in the background. A job that was started in the background gets
 * raw mode when it comes to the foreground.
 *
 * Return: whether the terminal is in raw mode.
 */
bool term_continued(void);

/** term_restore() - undo term_raw() */
void term_restore(void);

#endif
