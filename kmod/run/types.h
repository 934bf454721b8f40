/* SPDX-License-Identifier: GPL-2.0 */
/* What struct vcpu and struct vm hold for the run loop. */
#ifndef DROSTE_RUN_TYPES_H
#define DROSTE_RUN_TYPES_H

#include <linux/droste.h>
#include <linux/mutex.h>
#include <linux/spinlock.h>
#include <linux/wait.h>

struct vcpu;
struct visit;

/* Visitors of a vCPU: see run/visit.c. */
struct vcpu_visits {
	struct mutex one;	/* at most one visitor at a time */
	spinlock_t lock;	/* protects @now */
	struct visit *now;	/* the visit that waits; NULL: none */
	bool waits;		/* @now is for another exit than the last one. Owner: the vCPU's thread */
};

/* An exit at which vCPUs of a VM stand: see run/stand.c. */
struct vm_stand {
	spinlock_t lock;		/* protects the others; @owner, @turn and @nr are read without it, too */
	const void *owner;		/* who has set @match; NULL: nobody */
	struct droste_match match;
	u64 seen;			/* exits that matched */
	u64 turn;			/* changes when the vCPUs that stand are let go; never 0 */
	u32 nr;				/* vCPUs that stand in this turn */
	wait_queue_head_t wait;		/* for @nr to become other than 0 */
};

/* WBINVD as a barrier of a VM: see run/barrier.c. */
struct vm_barrier {
	spinlock_t lock;		/* protects the others; @leader, @seq and @exits are read without it, too */
	struct vcpu *leader;		/* the vCPU that executed WBINVD; NULL: there is no barrier now */
	u64 seq;			/* number of the last barrier that was begun */
	u64 complete;			/* number of the last one for which all vCPUs were out of the guest */
	bool exits;			/* a barrier ends KVM_RUN, and waits for its release */
	bool held;			/* it waits for its release */
	wait_queue_head_t wait;		/* of the leader, for the others */
	u64 done, merged;		/* barriers, and WBINVDs that needed none of their own; counters */
};

#endif
