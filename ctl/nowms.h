/* SPDX-License-Identifier: GPL-2.0 */
/* A clock for limits of time. */
#ifndef DROSTECTL_NOWMS_H
#define DROSTECTL_NOWMS_H

#include <time.h>

/** now_ms() - the time of CLOCK_MONOTONIC in ms */
static inline long now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

#endif
