/* SPDX-License-Identifier: GPL-2.0 */
/* Slot planning: the meaning of a KVM_SET_USER_MEMORY_REGION, as pure functions of the slots there are. */
#ifndef DROSTE_SLOTPLAN_H
#define DROSTE_SLOTPLAN_H

#include "mem/types.h"

/* What a KVM_SET_USER_MEMORY_REGION comes down to. */
enum memslot_change {
	MEMSLOT_SAME,		/* it describes what is there */
	MEMSLOT_CREATE,
	MEMSLOT_DELETE,
	MEMSLOT_MOVE,		/* to another guest-physical address */
	MEMSLOT_FLAGS,		/* dirty logging begins or ends */
};

struct memslot_plan {
	enum memslot_change change;
	int old;		/* index of the slot that goes or changes, or -1 */
	struct memslot slot;	/* what comes: create, move and flags */
};

/* --- slotplan.c: pure --- */
/* The slot that holds @gfn, or NULL. */
const struct memslot *memslots_find(const struct memslots *slots, gfn_t gfn);
/* Check @mem against the slots there are: 0, -EINVAL or -EEXIST as the KVM API has it. */
int memslots_plan(const struct memslots *cur, const struct kvm_userspace_memory_region *mem,
		  struct memslot_plan *plan);
/* Write what @cur becomes by @plan to @next, which has room for one slot more than @cur. */
void memslots_apply(const struct memslots *cur, const struct memslot_plan *plan, struct memslots *next);
/* The frames of @slot that user addresses [start, end) back: false when there are none. */
bool memslot_frames(const struct memslot *slot, unsigned long start, unsigned long end,
		    gfn_t *first, gfn_t *last_plus_1);

#endif
