// SPDX-License-Identifier: GPL-2.0
/* The dirty log for user space: KVM_GET_DIRTY_LOG, KVM_CLEAR_DIRTY_LOG, and entries of rings that are given back. */
#include <linux/bitmap.h>
#include <linux/log2.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/srcu.h>
#include <linux/uaccess.h>
#include "droste.h"
#include "abi/memory.h"
#include "ept/ept.h"
#include "mem/dirty.h"
#include "run/request.h"
#include "vmx/vmx.h"

#define WORDS_AT_ONCE	64	/* frames of so many words are protected in one hold of mmu_lock */

/* Take @want's bits, or all, of a slot's words [from, to) into @taken, and protect the frames. Were there any? */
static bool dirtylog_take(struct vm *vm, const struct memslot *slot, u64 from, u64 to, const unsigned long *want,
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
static bool dirtylog_any_hypervisor(struct vm *vm)
{
	int i;

	/* vm->lock is held, under which vCPUs are made. */
	for (i = 0; i < vm->nr_vcpus; i++)
		if (READ_ONCE(vm->vcpus[i]->nested.vmcs12))
			return true;
	return false;
}

static void dirtylog_taken(struct vm *vm, bool flush)
{
	if (flush)
		vm_request_all(vm, REQ_EPT01_FLUSH);
	/* What is pinned the processor writes without a fault: to be marked, now and when it is pinned again. */
	if (dirtylog_any_hypervisor(vm))
		vm_request_all(vm, REQ_UNPIN);
}

static void dirtylog_take_all(struct vm *vm, const struct memslot *slot, u64 from, u64 to, const unsigned long *want,
		     unsigned long *taken)
{
	bool any = false;
	u64 i;

	for (i = from; i < to; i += WORDS_AT_ONCE) {
		any |= dirtylog_take(vm, slot, i, min_t(u64, to, i + WORDS_AT_ONCE), want ? want + (i - from) : NULL,
			    taken ? taken + (i - from) : NULL);
		cond_resched();
	}
	dirtylog_taken(vm, any);
}

/* The slot whose bits user space asks for: the one dirty_find_slot() finds, or -ENXIO where rings are used. */
static int dirtylog_find_bitmap(struct vm *vm, u32 id, const struct memslot **slot)
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
	int err = dirtylog_find_bitmap(vm, log->slot, &slot);

	if (err)
		return err;
	/* When this returns, what guests wrote before is marked: they leave, and flush the processor's log. */
	if (vm->pml)
		vm_request_all(vm, REQ_PML);
	words = BITS_TO_LONGS(slot->npages);
	bits = slot->dirty;
	if (!vm->manual_dirty_log) {
		bits += words;
		dirtylog_take_all(vm, slot, 0, words, NULL, bits);
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
	err = dirtylog_find_bitmap(vm, log->slot, &slot);
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
	dirtylog_take_all(vm, slot, first / BITS_PER_LONG, first / BITS_PER_LONG + words, want, NULL);
	return 0;
}

/* --- rings --- */

/*
 * Entries kept for what one turn of the run loop may still write after the
 * ring was found soft full: by L0, and by the processor's own log.
 */
#define RESERVED_L0	64

/* Entries of a ring that are kept free, as dirty_ring_create() wants to know. */
u32 dirty_ring_reserved(void)
{
	return RESERVED_L0 + (vmx_features.pml ? PML_ENTRIES : 0);
}

int dirty_ring_enable(struct vm *vm, u64 arg)
{
	u32 bytes = arg;	/* as KVM takes it */

	if (!is_power_of_2(bytes) || bytes < PAGE_SIZE || bytes < dirty_ring_reserved() * sizeof(struct kvm_dirty_gfn))
		return -EINVAL;
	if (bytes > DIRTY_RING_MAX_BYTES)
		return -E2BIG;
	if (vm->ring_bytes || vm->nr_vcpus)
		return -EINVAL;
	vm->ring_bytes = bytes;
	return 0;
}

/* Frames of one word of a slot's, gathered to be protected at once. */
struct reset_run {
	u32 slot;
	u64 word;		/* number of the first frame / 64 */
	unsigned long mask;	/* 0: none gathered */
	bool any;		/* some leaf lost rights: vCPUs must flush */
};

/* What the entries say is user space's word: any slot, any frame. */
static void dirtylog_protect_run(struct vm *vm, struct reset_run *run)
{
	const struct memslot *slot;
	u64 words;

	if (!run->mask)
		return;
	if (!dirty_find_slot(vm, run->slot, &slot)) {
		words = BITS_TO_LONGS(slot->npages);
		if (run->word == words - 1)
			run->mask &= BITMAP_LAST_WORD_MASK(slot->npages);
		if (run->word < words) {
			spin_lock(&vm->mmu_lock);
			run->any |= ept01_protect_frames(vm, slot->base + run->word * BITS_PER_LONG, run->mask);
			spin_unlock(&vm->mmu_lock);
		}
	}
	run->mask = 0;
	cond_resched();
}

static void dirtylog_gather(struct vm *vm, struct reset_run *run, u32 slot, u64 offset)
{
	u64 word = offset / BITS_PER_LONG;

	if (run->slot != slot || run->word != word)
		dirtylog_protect_run(vm, run);
	run->slot = slot;
	run->word = word;
	run->mask |= BIT(offset % BITS_PER_LONG);
}

/* The entries that user space has marked, in their order, of those that were filled when this began. */
static u32 dirtylog_reset_ring(struct vm *vm, struct dirty_ring *r, struct reset_run *run)
{
	u32 end = READ_ONCE(r->dirty), n;

	for (n = 0; r->reset != end; n++) {
		struct kvm_dirty_gfn *e = &r->entries[r->reset & (r->size - 1)];
		u32 slot;
		u64 offset;

		/* Before the rest of the entry; pairs with user space's store of the mark. */
		if (!(smp_load_acquire(&e->flags) & KVM_DIRTY_GFN_F_RESET))
			break;
		slot = READ_ONCE(e->slot);
		offset = READ_ONCE(e->offset);
		WRITE_ONCE(e->flags, 0);
		/* From here on the vCPU may fill it again: what is above comes first. Pairs with said_already(). */
		smp_store_release(&r->reset, r->reset + 1);
		dirtylog_gather(vm, run, slot, offset);
	}
	return n;
}

/* KVM_RESET_DIRTY_RINGS: writes to the frames of entries given back are listed again. The number of entries. */
long vm_reset_dirty_rings(void *self, void *arg, unsigned long uarg)
{
	struct reset_run run = {};
	struct vm *vm = self;
	long n = 0;
	int i;

	if (!vm->ring_bytes)
		return -EINVAL;
	for (i = 0; i < vm->nr_vcpus; i++)
		n += dirtylog_reset_ring(vm, &vm->vcpus[i]->ring, &run);
	dirtylog_protect_run(vm, &run);
	/* The counts before user space looks at the frames; pairs with the one in said_already(). */
	smp_mb();
	if (n)
		dirtylog_taken(vm, run.any);
	return n;
}
