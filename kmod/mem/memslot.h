/* SPDX-License-Identifier: GPL-2.0 */
/* Guest memory: the only functions that read, write or pin the memory in a VM's slots. */
#ifndef DROSTE_MEMSLOT_H
#define DROSTE_MEMSLOT_H

#include <linux/uaccess.h>
#include "mem/types.h"

struct vm;

int memslots_init(struct vm *vm);
void memslots_destroy(struct vm *vm);

/*
 * Callers of all functions below hold vm->srcu for reading; the run loop holds
 * it around exit handlers. Those that read, write or pin memory return -EIO
 * unless the thread's mm is vm->mm.
 */
const struct memslot *vm_slot(struct vm *vm, gfn_t gfn);
int vm_read_guest(struct vm *vm, gpa_t gpa, void *data, size_t len);
int vm_write_guest(struct vm *vm, gpa_t gpa, const void *data, size_t len);
int vm_read_guest_u64(struct vm *vm, gpa_t gpa, u64 *val);
int vm_read_guest_u64s(struct vm *vm, gpa_t gpa, u64 *vals, unsigned int n);
int vm_cmpxchg_guest(struct vm *vm, gpa_t gpa, u64 *old, u64 new, u32 len);
int vm_map_gpa(struct vm *vm, gpa_t gpa, struct gpa_map *map);
void vm_unmap_gpa(struct vm *vm, struct gpa_map *map);

/* For walks, whose reads are mostly in one slot. The thread's mm is vm->mm; caller holds vm->srcu for reading. */

static inline bool memslot_holds(const struct memslot *slot, gpa_t gpa)
{
	return (gpa >> PAGE_SHIFT) - slot->base < slot->npages;
}

/* Read 8 bytes of one page at an address that the slot holds. May sleep. Returns false if that fails. */
static inline bool memslot_read_u64(const struct memslot *slot, gpa_t gpa, u64 *val)
{
	const u64 __user *from = (const u64 __user *)(slot->hva + (gpa - (slot->base << PAGE_SHIFT)));

	if (unlikely(!user_read_access_begin(from, sizeof(*from))))
		return false;
	unsafe_get_user(*val, from, failed);
	user_read_access_end();
	return true;
failed:
	user_read_access_end();
	return false;
}

#endif
