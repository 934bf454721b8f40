/* SPDX-License-Identifier: GPL-2.0 */
/* TAP output for the unit checks. */
#ifndef DROSTECTL_TEST_TAP_H
#define DROSTECTL_TEST_TAP_H

#include <stdbool.h>
#include <stdio.h>

static int tap_count, tap_failed;

/* One check; the condition's source text is its name. */
#define ok(cond) tap_result((cond), __FILE__, __LINE__, #cond)

static inline void tap_result(bool passed, const char *file, int line,
			      const char *what)
{
	tap_count++;
	if (passed) {
		printf("ok %d - %s\n", tap_count, what);
		return;
	}
	tap_failed++;
	printf("not ok %d - %s\n# at %s:%d\n", tap_count, what, file, line);
}

/* Prints the plan and gives main()'s return value. */
static inline int tap_done(void)
{
	printf("1..%d\n", tap_count);
	return tap_failed != 0;
}

#endif
