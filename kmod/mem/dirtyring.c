// SPDX-License-Identifier: GPL-2.0
/* The dirty ring: the frames a vCPU wrote, listed in memory that user space maps and gives back. */
#include <linux/bitmap.h>
#include <linux/log2.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/vmalloc.h>
#include "droste.h"

/*
 * Entries kept for what one turn of the run loop may still write after the
 * ring was found soft full: by L0, and by the processor's own log.
 */
#define RESERVED_L0	64

static u32 reserved(void)
{
	return RESERVED_L0 + (vmx_features.pml ? PML_ENTRIES : 0);
}

int dirty_ring_enable(struct vm *vm, u64 arg)
{
	u32 bytes = arg;	/* as KVM takes it */

	if (!is_power_of_2(bytes) || bytes < PAGE_SIZE || bytes < reserved() * sizeof(struct kvm_dirty_gfn))
		return -EINVAL;
	if (bytes > DIRTY_RING_MAX_BYTES)
		return -E2BIG;
	if (vm->ring_bytes || vm->nr_vcpus)
		return -EINVAL;
	vm->ring_bytes = bytes;
	return 0;
}

int dirty_ring_create(struct vcpu *vcpu)
{
	struct dirty_ring *r = &vcpu->ring;
	u32 bytes = vcpu->vm->ring_bytes;

	if (!bytes)
		return 0;
	r->entries = __vmalloc(bytes, GFP_KERNEL_ACCOUNT | __GFP_ZERO);
	if (!r->entries)
		return -ENOMEM;
	r->size = bytes / sizeof(*r->entries);
	r->soft_limit = r->size - reserved();
	return 0;
}

void dirty_ring_destroy(struct vcpu *vcpu)
{
	vfree(vcpu->ring.entries);
}

bool dirty_ring_has_page(const struct vm *vm, unsigned long pgoff)
{
	return pgoff >= KVM_DIRTY_LOG_PAGE_OFFSET && pgoff - KVM_DIRTY_LOG_PAGE_OFFSET < vm->ring_bytes >> PAGE_SHIFT;
}

struct page *dirty_ring_page(struct vcpu *vcpu, unsigned long pgoff)
{
	return vmalloc_to_page((void *)vcpu->ring.entries + ((pgoff - KVM_DIRTY_LOG_PAGE_OFFSET) << PAGE_SHIFT));
}

static u32 used(const struct dirty_ring *r)
{
	return r->dirty - READ_ONCE(r->reset);
}

bool dirty_ring_soft_full(const struct vcpu *vcpu)
{
	return used(&vcpu->ring) >= vcpu->ring.soft_limit;
}

/*
 * Is the last entry about the same frame, and not yet given back? Then it says
 * all: user space reads the frame after it gave the entry back. So a list of
 * MSRs, or a long copy, takes as many entries as it has frames.
 */
static bool said_already(const struct dirty_ring *r, u32 slot, u64 offset, u64 generation)
{
	/* The write before the look at the count; pairs with the one in vm_reset_dirty_rings(). */
	smp_mb();
	return used(r) && r->last_slot == slot && r->last_offset == offset && r->last_generation == generation;
}

void dirty_ring_push(struct vcpu *vcpu, u32 slot, u64 offset, u64 generation)
{
	struct dirty_ring *r = &vcpu->ring;
	struct kvm_dirty_gfn *e = &r->entries[r->dirty & (r->size - 1)];

	if (said_already(r, slot, offset, generation))
		return;
	if (used(r) >= r->size) {
		/* Only ioctls come so far, as many of them as user space likes: the run loop reports it. */
		r->lost = true;
		vcpu_request(vcpu, REQ_RING_FULL);
		return;
	}
	WRITE_ONCE(e->slot, slot);
	WRITE_ONCE(e->offset, offset);
	r->last_slot = slot;
	r->last_offset = offset;
	r->last_generation = generation;
	/* Counted before user space sees it, and may give it back. */
	WRITE_ONCE(r->dirty, r->dirty + 1);
	/* With all of that before it; user space looks at the flag first. */
	smp_store_release(&e->flags, KVM_DIRTY_GFN_F_DIRTY);
	if (dirty_ring_soft_full(vcpu))
		vcpu_request(vcpu, REQ_RING_FULL);
}

/* --- user space gives entries back --- */

/* Frames of one word of a slot's, gathered to be protected at once. */
struct reset_run {
	u32 slot;
	u64 word;		/* number of the first frame / 64 */
	unsigned long mask;	/* 0: none gathered */
	bool any;		/* some leaf lost rights: vCPUs must flush */
};

/* What the entries say is user space's word: any slot, any frame. */
static void protect_run(struct vm *vm, struct reset_run *run)
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

static void gather(struct vm *vm, struct reset_run *run, u32 slot, u64 offset)
{
	u64 word = offset / BITS_PER_LONG;

	if (run->slot != slot || run->word != word)
		protect_run(vm, run);
	run->slot = slot;
	run->word = word;
	run->mask |= BIT(offset % BITS_PER_LONG);
}

/* The entries that user space has marked, in their order, of those that were filled when this began. */
static u32 reset_ring(struct vm *vm, struct dirty_ring *r, struct reset_run *run)
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
		gather(vm, run, slot, offset);
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
		n += reset_ring(vm, &vm->vcpus[i]->ring, &run);
	protect_run(vm, &run);
	/* The counts before user space looks at the frames; pairs with the one in said_already(). */
	smp_mb();
	if (n)
		dirty_taken(vm, run.any);
	return n;
}
