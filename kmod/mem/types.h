/* SPDX-License-Identifier: GPL-2.0 */
/* Types of guest memory that struct vm and struct vcpu contain: addresses, slots, pinned pages, the dirty ring. */
#ifndef DROSTE_MEM_TYPES_H
#define DROSTE_MEM_TYPES_H

#include <linux/types.h>
#include <linux/kvm.h>

typedef u64 gpa_t;	/* an L1 guest-physical address */
typedef u64 gfn_t;	/* the number of an L1 guest-physical 4-KiB frame */
typedef u64 hpa_t;	/* a host-physical address */

#define DROSTE_MAX_SLOTS	512

/* One region of guest memory. Immutable once published. */
struct memslot {
	gfn_t base;		/* first frame */
	u64 npages;		/* number of frames; never 0 in a published array */
	unsigned long hva;	/* user-space address of the first frame, page-aligned */
	u32 flags;		/* KVM_MEM_* */
	u16 id;			/* the slot number that KVM_SET_USER_MEMORY_REGION gave */
	/* Bitmap of written frames, see mem/dirty.c; NULL if the slot is not logged to one. New arrays share it. */
	unsigned long *dirty;
};

/* Returns true if writes to the slot are logged, to its bitmap or to the vCPUs' rings. */
static inline bool memslot_logged(const struct memslot *slot)
{
	return slot->flags & KVM_MEM_LOG_DIRTY_PAGES;
}

/* All slots of a VM, sorted by base, without overlaps. Each change publishes a new array; vm->srcu protects readers. */
struct memslots {
	u64 generation;		/* incremented by each change */
	int n;
	struct memslot s[];
};

/* What a vCPU's last look-ups among the slots have found; zeroes are valid in a VM that never had a slot. */
struct slot_hint {
	u64 generation;			/* memslots.generation for which the others are valid */
	const struct memslot *slot;	/* the last slot found, or NULL */
	gfn_t hole;			/* the last frame found to have no memory */
};

/*
 * The page of guest memory in which a vCPU had its last list of operations. In the short loop, it needs neither vm->srcu nor
 * @generation: a change of the slot requests REQ_UNPIN, which clears @page, and waits until the vCPU has left the guest.
 */
#define LIST_PAGE(gpa)	(((gpa) & PAGE_MASK) | 1)
struct list_hint {
	u64 generation;			/* memslots.generation for which the others are valid */
	u64 page;			/* LIST_PAGE() of its guest-physical address; 0: none is known */
	unsigned long hva;		/* its user address; the slot can be written, and is not logged */
};

/* A page of guest memory, pinned because a VMCS points to it and the processor accesses it (SDM 3C 25.6). */
struct gpa_map {
	struct page *page;	/* NULL if nothing is pinned */
	void *hva;		/* kernel mapping of the page */
	hpa_t hpa;
	gpa_t gpa;		/* page-aligned */
};

/*
 * struct dirty_ring - the frames that a vCPU wrote, in order
 *
 * User space maps the entries and may write them at any time. The kernel takes
 * from them only which entries user space has given back, and which frames to
 * protect again; it keeps the counts itself.
 */
struct dirty_ring {
	struct kvm_dirty_gfn *entries;	/* NULL if the VM has no rings */
	u32 size;		/* number of entries, a power of two */
	u32 soft_limit;		/* KVM_RUN exits when this many entries are used; the rest is reserve */
	u32 dirty;		/* number of entries filled so far; written by the vCPU's thread, read by any */
	u32 reset;		/* number of entries given back so far; written under vm->lock, read by any thread */
	u32 last_slot;		/* copy of the last entry filled: slot, frame, and memslots.generation at that time */
	u64 last_offset;
	u64 last_generation;
	bool lost;		/* an entry did not fit: the log is incomplete */
};

#endif
