// SPDX-License-Identifier: GPL-2.0
/* The dirty log: marks the frames of a slot that were written since user space last read the log. */
#include <linux/bitmap.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/srcu.h>
#include <linux/uaccess.h>
#include "droste.h"
#include "mem/dirty.h"
#include "run/request.h"

/**
 * dirty_alloc() - allocate the dirty bitmap of a slot
 * @npages: number of frames of the slot
 * @all_set: mark all frames
 *
 * The allocation is two bitmaps. In the first one a bit is set when its frame
 * is written. The second one is a buffer, guarded by vm->lock, in which a log
 * for user space is assembled.
 *
 * Context: Process context. May sleep.
 * Return: the bitmap, to be freed with kvfree(). NULL if there is no memory.
 */
unsigned long *dirty_alloc(u64 npages, bool all_set)
{
	unsigned long *bits = kvcalloc(2 * BITS_TO_LONGS(npages), sizeof(long), GFP_KERNEL_ACCOUNT);

	if (bits && all_set)
		bitmap_set(bits, 0, npages);
	return bits;
}

/*
 * List the frame in the ring of the vCPU that is loaded on this thread. A thread
 * without a loaded vCPU writes guest memory only while it destroys the VM, when
 * it unpins pages. Nobody can read a ring any more then, so the frame is not
 * listed.
 */
static void dirty_mark_in_ring(struct vm *vm, const struct memslot *slot, gfn_t gfn)
{
	struct vcpu *vcpu = vcpu_running(vm);

	if (vcpu)
		dirty_ring_push(vcpu, slot->id, gfn - slot->base,
				srcu_dereference(vm->slots, &vm->srcu)->generation);
}

/**
 * dirty_mark() - add a frame to the dirty log
 * @vm: the VM
 * @slot: the slot that holds the frame; may be without dirty logging
 * @gfn: the frame, which was written or is about to be
 *
 * With dirty rings, the frame is listed in the ring of the vCPU that is loaded
 * on this thread.
 *
 * Context: Any but interrupts. Caller holds vm->srcu for reading.
 */
void dirty_mark(struct vm *vm, const struct memslot *slot, gfn_t gfn)
{
	if (!memslot_logged(slot))
		return;
	if (vm->ring_bytes)
		dirty_mark_in_ring(vm, slot, gfn);
	else
		set_bit(gfn - slot->base, slot->dirty);
}

/**
 * dirty_find_slot() - find a slot with dirty logging
 * @vm: the VM
 * @id: number of the slot, as user space named it
 * @slot: the slot, set if 0 is returned
 *
 * Context: Process context. Caller holds vm->lock.
 * Return: 0; -EINVAL for a number that no slot can have; -ENOENT if there is no
 * such slot, or it is not logged.
 */
int dirty_find_slot(struct vm *vm, u32 id, const struct memslot **slot)
{
	const struct memslots *slots = rcu_dereference_protected(vm->slots, lockdep_is_held(&vm->lock));
	int i;

	/* Bits 31:16 are the address space, and only 0 exists. */
	if (id >= DROSTE_MAX_SLOTS)
		return -EINVAL;
	for (i = 0; i < slots->n; i++) {
		*slot = &slots->s[i];
		if ((*slot)->id == id)
			return memslot_logged(*slot) ? 0 : -ENOENT;
	}
	return -ENOENT;
}
