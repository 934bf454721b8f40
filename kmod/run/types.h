/* SPDX-License-Identifier: GPL-2.0 */
/* What struct vcpu holds for the run loop. */
#ifndef DROSTE_RUN_TYPES_H
#define DROSTE_RUN_TYPES_H

#include <linux/mutex.h>
#include <linux/spinlock.h>

struct visit;

/* Visitors of a vCPU: see run/visit.c. */
struct vcpu_visits {
	struct mutex one;	/* at most one visitor at a time */
	spinlock_t lock;	/* protects @now */
	struct visit *now;	/* the visit that waits; NULL: none */
	bool waits;		/* @now is for another exit than the last one. Owner: the vCPU's thread */
};

#endif
