/* SPDX-License-Identifier: GPL-2.0 */
/* The terminal of the guest's console. */
#ifndef DROSTECTL_TERM_H
#define DROSTECTL_TERM_H

#include <stdbool.h>

/**
 * term_raw() - put standard input into raw mode if it is a terminal
 *
 * Return: whether it is a terminal; only then is Ctrl-A the escape key.
 */
bool term_raw(void);

/** term_restore() - undo term_raw() */
void term_restore(void);

#endif
