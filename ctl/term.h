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

/** term_restore() - undo term_raw() */
void term_restore(void);

#endif
