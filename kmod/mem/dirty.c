// SPDX-License-Identifier: GPL-2.0
/* The dirty log: which frames of a slot were written since user space last asked. */
#include <linux/bitmap.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/srcu.h>
#include <linux/uaccess.h>
#include "droste.h"
#include "mem/dirty.h"
#include "run/request.h"

/*
 * Behind the bits that are set as frames are written is as much room again,
 * where a log is put together for user space; vm->lock guards it.
 */

unsigned long *dirty_alloc(u64 npages, bool all_set)
{
	unsigned long *bits = kvcalloc(2 * BITS_TO_LONGS(npages), sizeof(long), GFP_KERNEL_ACCOUNT);

	if (bits && all_set)
		bitmap_set(bits, 0, npages);
	return bits;
}

/*
 * To the ring of the vCPU that runs on this thread. Without one nothing is
 * written but when the VM ends: the pages that were pinned go.
 */
static void dirty_mark_in_ring(struct vm *vm, const struct memslot *slot, gfn_t gfn)
{
	struct vcpu *vcpu = vcpu_running(vm);

	if (vcpu)
		dirty_ring_push(vcpu, slot->id, gfn - slot->base,
				srcu_dereference(vm->slots, &vm->srcu)->generation);
}

void dirty_mark(struct vm *vm, const struct memslot *slot, gfn_t gfn)
{
	if (!memslot_logged(slot))
		return;
	if (vm->ring_bytes)
		dirty_mark_in_ring(vm, slot, gfn);
	else
		set_bit(gfn - slot->base, slot->dirty);
}

int dirty_find_slot(struct vm *vm, u32 id, const struct memslot **slot)
{
	const struct memslots *slots = rcu_dereference_protected(vm->slots, lockdep_is_held(&vm->lock));
	int i;

	/* Bits 31:16 are an address space, and there is one. */
	if (id >= DROSTE_MAX_SLOTS)
		return -EINVAL;
	for (i = 0; i < slots->n; i++) {
		*slot = &slots->s[i];
		if ((*slot)->id == id)
			return memslot_logged(*slot) ? 0 : -ENOENT;
	}
	return -ENOENT;
}
