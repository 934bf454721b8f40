/* SPDX-License-Identifier: GPL-2.0 */
/* Guest-physical memory: the slots user space gave, and the only ways to read or write what is in them. */
#ifndef DROSTE_MEMSLOT_H
#define DROSTE_MEMSLOT_H

#include <linux/types.h>
#include <linux/kvm.h>

typedef u64 gpa_t;	/* an L1 guest-physical address, in bytes */
typedef u64 gfn_t;	/* the same in 4-KiB pages */
typedef u64 hpa_t;	/* a host-physical address, in bytes */

#define DROSTE_MAX_SLOTS	512

struct vm;
struct vcpu;

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

/* A page of guest memory pinned and mapped, for what the processor itself reads or writes (SDM 3C 25.6). */
struct gpa_map {
	struct page *page;	/* NULL: not mapped */
	void *hva;		/* kernel mapping of the page */
	hpa_t hpa;
	gpa_t gpa;		/* page-aligned */
	u64 generation;		/* of the slots when it was made */
};

int memslots_init(struct vm *vm);
void memslots_destroy(struct vm *vm);
int vm_set_memory_region(struct vm *vm, const struct kvm_userspace_memory_region *mem);	/* vm->lock held */

/* Readers: srcu_read_lock(&vm->srcu) held (the run loop holds it around handlers); process context, may sleep. */
const struct memslot *vm_slot(struct vm *vm, gfn_t gfn);	/* NULL: no memory there (MMIO) */
int vm_read_guest(struct vm *vm, gpa_t gpa, void *data, size_t len);		/* 0 or -EFAULT; may cross pages */
int vm_write_guest(struct vm *vm, gpa_t gpa, const void *data, size_t len);	/* likewise; read-only slots: -EFAULT */
int vm_read_guest_u64(struct vm *vm, gpa_t gpa, u64 *val);	/* aligned, in one access, as the processor reads a table entry; 0 or -EFAULT */
int vm_cmpxchg_guest(struct vm *vm, gpa_t gpa, u64 *old, u64 new, u32 len);	/* 0 done, 1 differs (*old updated), -EFAULT; len 4 or 8, aligned */
/* The running thread's mm is vm->mm in all of the above; other threads get -EIO. */

int vm_map_gpa(struct vm *vm, gpa_t gpa, struct gpa_map *map);	/* pin for writing; 0 or -EFAULT (no memory, read-only) */
void vm_unmap_gpa(struct vm *vm, struct gpa_map *map);		/* marks dirty, unpins; fine on one not mapped */

/* --- dirty.c: which frames were written --- */
unsigned long *dirty_alloc(u64 npages, bool all_set);	/* or NULL; kvfree() frees it */
/* @slot's frame @gfn was, or may now be, written without anybody being asked again. srcu held; any locks, irqs on or off. */
void dirty_mark(struct vm *vm, const struct memslot *slot, gfn_t gfn);
int dirty_find_slot(struct vm *vm, u32 id, const struct memslot **slot);	/* the logged slot that user space names; 0, -EINVAL, -ENOENT; vm->lock held */
/* Frames were protected again; @flush: some were mapped. vm->lock held. */
void dirty_taken(struct vm *vm, bool flush);
long vm_get_dirty_log(void *self, void *arg, unsigned long uarg);	/* VM ioctl handlers; vm->lock held */
long vm_clear_dirty_log(void *self, void *arg, unsigned long uarg);

/* Direct use by EPT01: user address of a frame, with what the slot allows. 0 when there is none. */
unsigned long vm_gfn_to_hva(struct vm *vm, gfn_t gfn, bool *writable);

#endif
