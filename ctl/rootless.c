// SPDX-License-Identifier: GPL-2.0
/* Recognizes a Linux guest that panics for want of a root file system. */
#include "rootless.h"
#include "say.h"

/* The first character occurs only once in each text, so a mismatch starts anew. */
static const char cause[] = "Unable to mount root fs";
static const char last_line[] = "[ end Kernel panic";

/* Advances in a text. Returns whether the byte completes it. */
static bool match(const char *text, size_t *at, uint8_t byte)
{
	if ((uint8_t)text[*at] == byte)
		++*at;
	else
		*at = (uint8_t)text[0] == byte;
	if (text[*at])
		return false;
	*at = 0;
	return true;
}

bool rootless_byte(struct rootless *r, uint8_t byte)
{
	if (r->told)
		return false;
	if (match(cause, &r->at_cause, byte))
		r->found = true;
	if (match(last_line, &r->at_end, byte))
		r->ended = r->found;
	if (!r->ended || byte != '\n')
		return false;
	r->told = true;
	return true;
}

void rootless_hint(void)
{
	say("the guest has no root file system: boot it with \"--initrd auto\" for a shell, or with \"--initrd FILE\" and root= in --append for its own");
}
