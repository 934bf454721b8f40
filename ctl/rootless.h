/* SPDX-License-Identifier: GPL-2.0 */
/* Recognizes a Linux guest that panics for want of a root file system. */
#ifndef DROSTECTL_ROOTLESS_H
#define DROSTECTL_ROOTLESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** struct rootless - the position in the guest's output; zeroed at first */
struct rootless {
	size_t at_cause;	/* characters of the cause that were matched */
	size_t at_end;		/* characters of the panic's last line that were matched */
	bool found;		/* the cause was printed */
	bool ended;		/* so was the start of the last line */
	bool told;		/* rootless_byte() has returned true */
};

/**
 * rootless_byte() - look at the next byte of the guest's output
 * @r: the position
 * @byte: the byte
 *
 * Return: true once, at the end of the last line of such a panic.
 */
bool rootless_byte(struct rootless *r, uint8_t byte);

/** rootless_hint() - print a message that says what to do */
void rootless_hint(void);

#endif
