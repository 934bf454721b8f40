// SPDX-License-Identifier: GPL-2.0
/* The dirty ring: the frames a vCPU wrote, listed in memory that user space maps and gives back. */
#include <linux/bitmap.h>
#include <linux/log2.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/vmalloc.h>
#include "droste.h"
#include "mem/dirty.h"
#include "run/request.h"

int dirty_ring_create(struct vcpu *vcpu, u32 reserved)
{
	struct dirty_ring *r = &vcpu->ring;
	u32 bytes = vcpu->vm->ring_bytes;

	if (!bytes)
		return 0;
	r->entries = __vmalloc(bytes, GFP_KERNEL_ACCOUNT | __GFP_ZERO);
	if (!r->entries)
		return -ENOMEM;
	r->size = bytes / sizeof(*r->entries);
	r->soft_limit = r->size - reserved;
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

static u32 dirty_ring_used(const struct dirty_ring *r)
{
	return r->dirty - READ_ONCE(r->reset);
}

bool dirty_ring_soft_full(const struct vcpu *vcpu)
{
	return dirty_ring_used(&vcpu->ring) >= vcpu->ring.soft_limit;
}

/*
 * Is the last entry about the same frame, and not yet given back? Then it says
 * all: user space reads the frame after it gave the entry back. So a list of
 * MSRs, or a long copy, takes as many entries as it has frames.
 */
static bool dirty_ring_said_already(const struct dirty_ring *r, u32 slot, u64 offset, u64 generation)
{
	/* The write before the look at the count; pairs with the one in vm_reset_dirty_rings(). */
	smp_mb();
	return dirty_ring_used(r) && r->last_slot == slot && r->last_offset == offset && r->last_generation == generation;
}

void dirty_ring_push(struct vcpu *vcpu, u32 slot, u64 offset, u64 generation)
{
	struct dirty_ring *r = &vcpu->ring;
	struct kvm_dirty_gfn *e = &r->entries[r->dirty & (r->size - 1)];

	if (dirty_ring_said_already(r, slot, offset, generation))
		return;
	if (dirty_ring_used(r) >= r->size) {
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
