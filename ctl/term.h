/* SPDX-License-Identifier: GPL-2.0 */
/* The terminal that the guest's console is on. */
#ifndef DROSTECTL_TERM_H
#define DROSTECTL_TERM_H

#include <stdbool.h>

/**
 * term_raw() - put the terminal into raw mode, if standard input is one
 *
 * Return: whether it is one; only then has Ctrl-A a meaning of its own.
 */
bool term_raw(void);

/** term_restore() - undo term_raw() */
void term_restore(void);

#endif
