/* SPDX-License-Identifier: GPL-2.0 */
/* Types of guest memory: addresses, slots, pinned pages and the dirty ring; part of struct vm and struct vcpu. */
#ifndef DROSTE_MEM_TYPES_H
#define DROSTE_MEM_TYPES_H

#include <linux/types.h>
#include <linux/kvm.h>

typedef u64 gpa_t;	/* an L1 guest-physical address, in bytes */
typedef u64 gfn_t;	/* the same in 4-KiB pages */
typedef u64 hpa_t;	/* a host-physical address, in bytes */

#define DROSTE_MAX_SLOTS	512

/* One region of guest memory. Immutable once published. */
struct memslot {
	gfn_t base;		/* first frame */
	u64 npages;		/* frames; never 0 in a published array */
	unsigned long hva;	/* user-space address of the first frame, page-aligned */
	u32 flags;		/* KVM_MEM_* */
	u16 id;			/* as KVM_SET_USER_MEMORY_REGION named it */
	unsigned long *dirty;	/* when logged, but not to rings: a bit a frame, see dirty.c; of all arrays that have the slot */
};

static inline bool memslot_logged(const struct memslot *slot)
{
	return slot->flags & KVM_MEM_LOG_DIRTY_PAGES;
}

/* All slots of a VM, sorted by @base, never overlapping. Replaced whole: RCU (srcu) protected. */
struct memslots {
	u64 generation;		/* grows with each change */
	int n;
	struct memslot s[];
};

/* A page of guest memory pinned and mapped, for what the processor itself reads or writes (SDM 3C 25.6). */
struct gpa_map {
	struct page *page;	/* NULL: not mapped */
	void *hva;		/* kernel mapping of the page */
	hpa_t hpa;
	gpa_t gpa;		/* page-aligned */
	u64 generation;		/* of the slots when it was made */
};

/**
 * struct dirty_ring - the frames that a vCPU wrote, in the order it did
 *
 * User space maps the entries and may write them at any time. What it is
 * trusted with is only which entries it has seen; the counts are the kernel's.
 */
struct dirty_ring {
	struct kvm_dirty_gfn *entries;	/* NULL: the VM has no rings */
	u32 size;		/* of the ring in entries, a power of two */
	u32 soft_limit;		/* KVM_RUN ends with so many in use, so that those to come have room */
	u32 dirty;		/* counts entries filled; the vCPU's thread writes it, anyone reads */
	u32 reset;		/* counts entries given back, at most @dirty; written under vm->lock, anyone reads */
	u32 last_slot;		/* the last entry filled: slot, frame and generation of the slots then */
	u64 last_offset;
	u64 last_generation;
	bool lost;		/* there was no room for one: the log is not true any more */
};

#endif
