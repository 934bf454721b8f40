// SPDX-License-Identifier: GPL-2.0
/* The dirty log for user space: KVM_GET_DIRTY_LOG, KVM_CLEAR_DIRTY_LOG, KVM_RESET_DIRTY_RINGS. */
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

#define WORDS_AT_ONCE	64	/* number of bitmap words whose frames are protected in one hold of mmu_lock */

/*
 * Move the bits in @want, or all if NULL, from words [from, to) of a slot's bitmap to @taken, and protect the frames.
 * Returns true if EPT01 changed, so that all vCPUs must flush.
 */
static bool dirtylog_take(struct vm *vm, const struct memslot *slot, u64 from, u64 to, const unsigned long *want,
			  unsigned long *taken)
{
	bool any = false;
	u64 i;

	spin_lock(&vm->mmu_lock);
	for (i = from; i < to; i++) {
		unsigned long mask = want ? want[i - from] : ~0UL;

		/* A write after the bit was taken must fault and set it again, so both happen under one lock. */
		mask &= atomic_long_fetch_andnot(mask, (atomic_long_t *)&slot->dirty[i]);
		if (taken)
			taken[i - from] = mask;
		if (mask)
			any |= ept01_protect_frames(vm, slot->base + i * BITS_PER_LONG, mask);
	}
	spin_unlock(&vm->mmu_lock);
	return any;
}

/* Returns true if any guest was ever in VMX operation; only then are pages pinned. Caller holds vm->lock. */
static bool dirtylog_any_hypervisor(struct vm *vm)
{
	int i;

	for (i = 0; i < vm->nr_vcpus; i++)
		if (READ_ONCE(vm->vcpus[i]->nested.vmcs12))
			return true;
	return false;
}

/* Finish taking bits: flush the vCPUs' TLBs if @flush, and unpin pages. */
static void dirtylog_taken(struct vm *vm, bool flush)
{
	if (flush)
		vm_request_all(vm, REQ_EPT01_FLUSH);
	/* The processor writes to pinned pages without a fault; unpinning marks them, and so does pinning again. */
	if (dirtylog_any_hypervisor(vm))
		vm_request_all(vm, REQ_UNPIN);
}

/* As dirtylog_take(), in pieces and with the flush. */
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

/* Find the slot whose bitmap user space asks for. Returns as dirty_find_slot(); -ENXIO if the VM uses rings. */
static int dirtylog_find_bitmap(struct vm *vm, u32 id, const struct memslot **slot)
{
	return vm->ring_bytes ? -ENXIO : dirty_find_slot(vm, id, slot);
}

/**
 * vm_get_dirty_log() - KVM_GET_DIRTY_LOG
 * @self: the VM
 * @arg: struct kvm_dirty_log
 * @uarg: unused
 *
 * Copies the slot's bitmap to user space, and clears it unless user space chose
 * to clear it by KVM_CLEAR_DIRTY_LOG.
 *
 * Context: Process context, may sleep. Caller holds vm->lock.
 * Return: 0; -EINVAL for a bad slot number; -ENOENT if the slot does not exist
 * or is not logged; -ENXIO if the VM uses rings; -EFAULT.
 */
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
	/* All earlier writes of guests must be marked: vCPUs exit and flush their page-modification logs. */
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

/**
 * vm_clear_dirty_log() - KVM_CLEAR_DIRTY_LOG
 * @self: the VM
 * @arg: struct kvm_clear_dirty_log
 * @uarg: unused
 *
 * Clears the bits that user space has set in its bitmap, and logs the next
 * writes to these frames.
 *
 * Context: Process context, may sleep. Caller holds vm->lock.
 * Return: As vm_get_dirty_log(); -EINVAL also for a range that leaves the slot,
 * or does not begin and end at a word of the bitmap or at the slot's end.
 */
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
	/* With INITIALLY_SET this may be the first time that the frames are protected: see memory_slot_changed(). */
	if (vm->manual_dirty_log & KVM_DIRTY_LOG_INITIALLY_SET)
		ept01_split(vm, slot->base + first, slot->base + first + n);
	/* User space may set bits beyond the last frame; the slot's bitmap never has them. */
	dirtylog_take_all(vm, slot, first / BITS_PER_LONG, first / BITS_PER_LONG + words, want, NULL);
	return 0;
}

/* --- rings --- */

#define RESERVED_L0	64	/* entries for L0's own writes */

/**
 * dirty_ring_reserved() - number of entries that each ring keeps in reserve
 *
 * The run loop checks the ring once per turn. After the check, L0 and the
 * processor's page-modification log may add entries until the next one.
 *
 * Context: Any context.
 * Return: the number of entries.
 */
u32 dirty_ring_reserved(void)
{
	return RESERVED_L0 + (vmx_features.pml ? PML_ENTRIES : 0);
}

/**
 * dirty_ring_enable() - KVM_CAP_DIRTY_LOG_RING: log writes to rings instead of bitmaps
 * @vm: the VM
 * @arg: size of each vCPU's ring in bytes
 *
 * Context: Process context, may sleep. Caller holds vm->lock.
 * Return: 0; -EINVAL for a size that is too small or no power of two, or if
 * the VM has rings or vCPUs already; -E2BIG for a size that is too large.
 */
int dirty_ring_enable(struct vm *vm, u64 arg)
{
	u32 bytes = arg;	/* KVM ignores the upper half too */

	if (!is_power_of_2(bytes) || bytes < PAGE_SIZE || bytes < dirty_ring_reserved() * sizeof(struct kvm_dirty_gfn))
		return -EINVAL;
	if (bytes > DIRTY_RING_MAX_BYTES)
		return -E2BIG;
	if (vm->ring_bytes || vm->nr_vcpus)
		return -EINVAL;
	vm->ring_bytes = bytes;
	return 0;
}

/* Frames of one slot that share a bitmap word, collected to be protected together. */
struct reset_run {
	u32 slot;
	u64 word;		/* number of the first frame in the slot / 64 */
	unsigned long mask;	/* bit n: frame @word * 64 + n; 0: none */
	bool any;		/* EPT01 changed: all vCPUs must flush */
};

/* Protect the collected frames. User space wrote the slot and frame numbers: they may be anything. */
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

/* Add a frame to the run; protect the run first if the frame belongs to another. */
static void dirtylog_gather(struct vm *vm, struct reset_run *run, u32 slot, u64 offset)
{
	u64 word = offset / BITS_PER_LONG;

	if (run->slot != slot || run->word != word)
		dirtylog_protect_run(vm, run);
	run->slot = slot;
	run->word = word;
	run->mask |= BIT(offset % BITS_PER_LONG);
}

/* Take back the entries that user space has marked, in order, up to the first unmarked one. Returns their number. */
static u32 dirtylog_reset_ring(struct vm *vm, struct dirty_ring *r, struct reset_run *run)
{
	u32 end = READ_ONCE(r->dirty), n;

	for (n = 0; r->reset != end; n++) {
		struct kvm_dirty_gfn *e = &r->entries[r->reset & (r->size - 1)];
		u32 slot;
		u64 offset;

		/* The flag is read before the rest of the entry; pairs with user space's store of the flag. */
		if (!(smp_load_acquire(&e->flags) & KVM_DIRTY_GFN_F_RESET))
			break;
		slot = READ_ONCE(e->slot);
		offset = READ_ONCE(e->offset);
		WRITE_ONCE(e->flags, 0);
		/* The vCPU may reuse the entry from here on. Pairs with the READ_ONCE() of the count in dirtyring.c. */
		smp_store_release(&r->reset, r->reset + 1);
		dirtylog_gather(vm, run, slot, offset);
	}
	return n;
}

/**
 * vm_reset_dirty_rings() - KVM_RESET_DIRTY_RINGS
 * @self: the VM
 * @arg: NULL
 * @uarg: unused
 *
 * Takes back the entries that user space has marked, in all vCPUs' rings, and
 * logs the next writes to their frames.
 *
 * Context: Process context, may sleep. Caller holds vm->lock.
 * Return: the number of entries taken back; -EINVAL if the VM has no rings.
 */
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
	/* Store the counts before user space reads the frames; pairs with dirtyring_said_already(). */
	smp_mb();
	if (n)
		dirtylog_taken(vm, run.any);
	return n;
}
