/* SPDX-License-Identifier: GPL-2.0 */
/* Guest memory: the only functions that read, write or pin the memory in a VM's slots. */
#ifndef DROSTE_MEMSLOT_H
#define DROSTE_MEMSLOT_H

#include <linux/srcu.h>
#include <linux/uaccess.h>
#include "droste.h"

int memslots_init(struct vm *vm);
void memslots_destroy(struct vm *vm);

/*
 * Callers of all functions below hold vm->srcu for reading; the run loop holds
 * it around exit handlers. Those that read, write or pin memory return -EIO
 * unless the thread's mm is vm->mm.
 */
const struct memslot *vm_slot(struct vm *vm, gfn_t gfn);
const struct memslot *memslot_remember(struct vcpu *vcpu, gfn_t gfn);
bool vm_is_driver_memory(struct vm *vm, gpa_t gpa);
int vm_read_guest(struct vm *vm, gpa_t gpa, void *data, size_t len);
int vm_write_guest(struct vm *vm, gpa_t gpa, const void *data, size_t len);
int vm_write_guest_nofault(struct vm *vm, gpa_t gpa, const void *data, size_t len);
int vm_read_guest_u64(struct vm *vm, gpa_t gpa, u64 *val);
int vm_cmpxchg_guest(struct vm *vm, gpa_t gpa, u64 *old, u64 new, u32 len);
int vm_await_guest(struct vm *vm, gpa_t gpa);
int memslot_await(const struct memslot *slot, gpa_t gpa);
int vm_map_gpa(struct vm *vm, gpa_t gpa, struct gpa_map *map);
void vm_unmap_gpa(struct vm *vm, struct gpa_map *map);

/**
 * memslot_begin_look() - count the invalidations of memory before the host's page tables are read
 * @vm: the VM
 *
 * Context: Any.
 * Return: what memslot_is_stale() needs.
 */
static inline unsigned long memslot_begin_look(const struct vm *vm)
{
	unsigned long seq = READ_ONCE(vm->mmu_seq);

	smp_rmb();	/* read mmu_seq before the page tables; pairs with notifier_invalidate_end() */
	return seq;
}

/**
 * memslot_is_stale() - whether user memory may be in other frames than the host's page tables said
 * @vm: the VM
 * @first: user address
 * @bytes: number of bytes from there
 * @seq: of memslot_begin_look()
 *
 * Memory of the slots was invalidated since, or some of these bytes are being invalidated. Invalidations of
 * other memory do not count: a process has many, and they may take long.
 *
 * Context: Caller holds vm->mmu_lock.
 * Return: true if the tables must be read again.
 */
static inline bool memslot_is_stale(const struct vm *vm, unsigned long first, unsigned long bytes, unsigned long seq)
{
	return vm->mmu_seq != seq || (vm->mmu_invalidating && first < vm->mmu_to && vm->mmu_from < first + bytes);
}

/* For threads of any process: see mem/peek.c. */
int vm_peek_guest(struct vm *vm, gpa_t gpa, u64 *vals, unsigned int n);

/**
 * memslot_begin_nofault() - begin to use the slots and their memory where nothing may sleep
 * @vm: the VM
 *
 * Accesses to memory that is not there fail.
 *
 * Context: Any, also with interrupts disabled.
 * Return: what memslot_end_nofault() needs.
 */
static inline int memslot_begin_nofault(struct vm *vm)
{
	int idx = srcu_read_lock(&vm->srcu);

	pagefault_disable();
	return idx;
}

/**
 * memslot_end_nofault() - end what memslot_begin_nofault() has begun
 * @vm: the VM
 * @idx: as returned
 *
 * Context: Any.
 */
static inline void memslot_end_nofault(struct vm *vm, int idx)
{
	pagefault_enable();
	srcu_read_unlock(&vm->srcu, idx);
}

/* A number that changes whenever the slots do. Caller holds vm->srcu for reading. */
static inline u64 memslot_generation(struct vm *vm)
{
	return srcu_dereference(vm->slots, &vm->srcu)->generation;
}

/**
 * memslot_near() - find the slot that holds a frame of guest memory, at an access to MMIO
 * @vcpu: the vCPU, whose hint is used
 * @gfn: the frame
 *
 * The instructions of a driver, and the device, are mostly where they were at the last access.
 *
 * Context: Thread of @vcpu. Caller holds vm->srcu for reading, and uses the slot no longer.
 * Return: the slot. NULL if there is no memory.
 */
static inline const struct memslot *memslot_near(struct vcpu *vcpu, gfn_t gfn)
{
	const struct slot_hint *h = &vcpu->slot_hint;

	if (likely(h->generation == memslot_generation(vcpu->vm))) {
		if (h->slot && gfn - h->slot->base < h->slot->npages)
			return h->slot;
		if (gfn == h->hole)
			return NULL;
	}
	return memslot_remember(vcpu, gfn);
}

/* The user address of a guest-physical address that the slot holds. */
static inline const u64 __user *memslot_user(const struct memslot *slot, gpa_t gpa)
{
	return (const u64 __user *)(slot->hva + (gpa - (slot->base << PAGE_SHIFT)));
}

/* Read 8 bytes of one page at an address that the slot holds. May sleep. Returns false if that fails. */
static inline bool memslot_read_u64(const struct memslot *slot, gpa_t gpa, u64 *val)
{
	const u64 __user *from = memslot_user(slot, gpa);

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
