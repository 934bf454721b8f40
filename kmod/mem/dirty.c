// SPDX-License-Identifier: GPL-2.0
/* The dirty log: which frames of a slot were written since user space last asked. */
#include <linux/bitmap.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/srcu.h>
#include <linux/uaccess.h>
#include "droste.h"

/*
 * Behind the bits that are set as frames are written is as much room again,
 * where a log is put together for user space; vm->lock guards it.
 */

#define WORDS_AT_ONCE	64	/* frames of so many words are protected in one hold of mmu_lock */

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
static void mark_in_ring(struct vm *vm, const struct memslot *slot, gfn_t gfn)
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
		mark_in_ring(vm, slot, gfn);
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

/* Take @want's bits, or all, of a slot's words [from, to) into @taken, and protect the frames. Were there any? */
static bool take(struct vm *vm, const struct memslot *slot, u64 from, u64 to, const unsigned long *want,
		 unsigned long *taken)
{
	bool any = false;
	u64 i;

	spin_lock(&vm->mmu_lock);
	for (i = from; i < to; i++) {
		unsigned long mask = want ? want[i - from] : ~0UL;

		/* Taken and protected under one lock: a write in between is a fault that marks it again. */
		mask &= atomic_long_fetch_andnot(mask, (atomic_long_t *)&slot->dirty[i]);
		if (taken)
			taken[i - from] = mask;
		if (mask)
			any |= ept01_protect_frames(vm, slot->base + i * BITS_PER_LONG, mask);
	}
	spin_unlock(&vm->mmu_lock);
	return any;
}

/* Has any of the guests ever been in VMX operation? Only then pages are pinned. */
static bool any_hypervisor(struct vm *vm)
{
	int i;

	/* vm->lock is held, under which vCPUs are made. */
	for (i = 0; i < vm->nr_vcpus; i++)
		if (READ_ONCE(vm->vcpus[i]->nested.vmcs12))
			return true;
	return false;
}

void dirty_taken(struct vm *vm, bool flush)
{
	if (flush)
		vm_request_all(vm, REQ_EPT01_FLUSH);
	/* What is pinned the processor writes without a fault: to be marked, now and when it is pinned again. */
	if (any_hypervisor(vm))
		vm_request_all(vm, REQ_UNPIN);
}

static void take_all(struct vm *vm, const struct memslot *slot, u64 from, u64 to, const unsigned long *want,
		     unsigned long *taken)
{
	bool any = false;
	u64 i;

	for (i = from; i < to; i += WORDS_AT_ONCE) {
		any |= take(vm, slot, i, min_t(u64, to, i + WORDS_AT_ONCE), want ? want + (i - from) : NULL,
			    taken ? taken + (i - from) : NULL);
		cond_resched();
	}
	dirty_taken(vm, any);
}

/* The slot whose bits user space asks for: the one dirty_find_slot() finds, or -ENXIO where rings are used. */
static int find_bitmap(struct vm *vm, u32 id, const struct memslot **slot)
{
	return vm->ring_bytes ? -ENXIO : dirty_find_slot(vm, id, slot);
}

/* KVM_GET_DIRTY_LOG: the log so far, which begins anew unless user space clears it itself. */
long vm_get_dirty_log(void *self, void *arg, unsigned long uarg)
{
	const struct kvm_dirty_log *log = arg;
	const struct memslot *slot;
	unsigned long *bits;
	struct vm *vm = self;
	u64 words;
	int err = find_bitmap(vm, log->slot, &slot);

	if (err)
		return err;
	/* When this returns, what guests wrote before is marked: they leave, and flush the processor's log. */
	if (vm->pml)
		vm_request_all(vm, REQ_PML);
	words = BITS_TO_LONGS(slot->npages);
	bits = slot->dirty;
	if (!vm->manual_dirty_log) {
		bits += words;
		take_all(vm, slot, 0, words, NULL, bits);
	}
	return copy_to_user(log->dirty_bitmap, bits, words * sizeof(long)) ? -EFAULT : 0;
}

/* KVM_CLEAR_DIRTY_LOG: begin anew for the frames whose bits are set. */
long vm_clear_dirty_log(void *self, void *arg, unsigned long uarg)
{
	const struct kvm_clear_dirty_log *log = arg;
	const struct memslot *slot;
	unsigned long *want;
	struct vm *vm = self;
	u64 first, n = log->num_pages, words;
	int err;

	if (log->first_page % BITS_PER_LONG)
		return -EINVAL;
	err = find_bitmap(vm, log->slot, &slot);
	if (err)
		return err;
	first = log->first_page;
	if (first > slot->npages || n > slot->npages - first || (n < slot->npages - first && n % BITS_PER_LONG))
		return -EINVAL;
	words = BITS_TO_LONGS(n);
	want = slot->dirty + BITS_TO_LONGS(slot->npages);
	if (copy_from_user(want, log->dirty_bitmap, words * sizeof(long)))
		return -EFAULT;
	/* It may be the first protection of all, as in memslot.c. */
	if (vm->manual_dirty_log & KVM_DIRTY_LOG_INITIALLY_SET)
		ept01_split(vm, slot->base + first, slot->base + first + n);
	/* Bits behind the last frame mean nothing, and are never set. */
	take_all(vm, slot, first / BITS_PER_LONG, first / BITS_PER_LONG + words, want, NULL);
	return 0;
}
