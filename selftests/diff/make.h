/* SPDX-License-Identifier: GPL-2.0 */
/* What makers of cases share. */
#ifndef DIFF_MAKE_H
#define DIFF_MAKE_H

static inline bool chance(u32 percent)
{
	return rng() % 100 < percent;
}

/* --- system.c: cases of kinds from DIFF_IN on --- */
void system_make(struct diff_case *c);	/* @c->kind and @c->cpl are chosen; base32 must be LIN_CODE */
const char *system_check(const struct diff_case *c);

#endif
