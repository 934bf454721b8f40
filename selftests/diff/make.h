/* SPDX-License-Identifier: GPL-2.0 */
/* Interface between make.c and system.c. */
#ifndef DIFF_MAKE_H
#define DIFF_MAKE_H

static inline bool chance(u32 percent)
{
	return rng() % 100 < percent;
}

/* --- system.c: the kinds from DIFF_IN on --- */
void system_make(struct diff_case *c);	/* Called with @c->kind and @c->cpl set, and base32 at LIN_CODE */
const char *system_check(const struct diff_case *c);

#endif
