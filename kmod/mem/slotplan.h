/* SPDX-License-Identifier: GPL-2.0 */
/* Changes of memory slots by KVM_SET_USER_MEMORY_REGION: checks, and computation of the new set of slots. Pure. */
#ifndef DROSTE_SLOTPLAN_H
#define DROSTE_SLOTPLAN_H

#include "mem/types.h"

/* The effect of a KVM_SET_USER_MEMORY_REGION. */
enum memslot_change {
	MEMSLOT_SAME,		/* none: the slot exists and is the same */
	MEMSLOT_CREATE,
	MEMSLOT_DELETE,
	MEMSLOT_MOVE,		/* to another guest-physical address */
	MEMSLOT_FLAGS,		/* dirty logging begins or ends */
};

/* A change of one slot. */
struct memslot_plan {
	enum memslot_change change;
	int old;		/* index of the slot that is changed or deleted, or -1 */
	struct memslot slot;	/* the new slot; not valid with MEMSLOT_DELETE */
};

const struct memslot *memslots_find(const struct memslots *slots, gfn_t gfn);
int memslots_plan(const struct memslots *cur, const struct kvm_userspace_memory_region *mem,
		  struct memslot_plan *plan);
void memslots_apply(const struct memslots *cur, const struct memslot_plan *plan, struct memslots *next);
bool memslot_frames(const struct memslot *slot, unsigned long start, unsigned long end,
		    gfn_t *first, gfn_t *last_plus_1);

#endif
