// SPDX-License-Identifier: GPL-2.0
/* The dirty ring: lists the frames that a vCPU wrote, in memory that user space maps. */
#include <linux/bitmap.h>
#include <linux/log2.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/vmalloc.h>
#include "droste.h"
#include "mem/dirty.h"
#include "run/request.h"

/**
 * dirty_ring_create() - allocate the dirty ring of a new vCPU, if the VM uses rings
 * @vcpu: a new vCPU
 * @reserved: number of entries that are kept free: KVM_RUN ends when only these are left
 *
 * Context: Process context. May sleep. Caller holds vm->lock.
 * Return: 0 or -ENOMEM.
 */
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

/**
 * dirty_ring_destroy() - free the dirty ring of a vCPU
 * @vcpu: no longer in use; may be without a ring
 *
 * Context: Process context. May sleep.
 */
void dirty_ring_destroy(struct vcpu *vcpu)
{
	vfree(vcpu->ring.entries);
}

/**
 * dirty_ring_has_page() - whether a page of a vCPU's mapping belongs to the dirty ring
 * @vm: the VM
 * @pgoff: offset in the vCPU's file, in pages
 *
 * Context: Any.
 * Return: true if the page belongs to the ring.
 */
bool dirty_ring_has_page(const struct vm *vm, unsigned long pgoff)
{
	return pgoff >= KVM_DIRTY_LOG_PAGE_OFFSET && pgoff - KVM_DIRTY_LOG_PAGE_OFFSET < vm->ring_bytes >> PAGE_SHIFT;
}

/**
 * dirty_ring_page() - a page of a vCPU's dirty ring, for a fault on its mapping
 * @vcpu: the vCPU
 * @pgoff: offset in the vCPU's file, in pages, for which dirty_ring_has_page() is true
 *
 * Context: Any. The caller takes its own reference to the page.
 * Return: the page.
 */
struct page *dirty_ring_page(struct vcpu *vcpu, unsigned long pgoff)
{
	return vmalloc_to_page((void *)vcpu->ring.entries + ((pgoff - KVM_DIRTY_LOG_PAGE_OFFSET) << PAGE_SHIFT));
}

static u32 dirtyring_used(const struct dirty_ring *r)
{
	return r->dirty - READ_ONCE(r->reset);
}

/**
 * dirty_ring_soft_full() - whether only the reserved entries of a ring are free
 * @vcpu: the vCPU; may be without a ring
 *
 * Context: Any. The answer is exact on the vCPU's thread; user space may free
 * entries at any time.
 * Return: true if KVM_RUN must end with KVM_EXIT_DIRTY_RING_FULL.
 */
bool dirty_ring_soft_full(const struct vcpu *vcpu)
{
	return dirtyring_used(&vcpu->ring) >= vcpu->ring.soft_limit;
}

/*
 * Does the last entry list the same frame, and has user space not given it back
 * yet? Then the frame need not be listed again, as user space reads it after it
 * gives the entry back. A long copy, or a list of MSRs in memory, thus takes one
 * entry per frame and not one per write.
 */
static bool dirtyring_said_already(const struct dirty_ring *r, u32 slot, u64 offset, u64 generation)
{
	/* The write to the frame before the read of the count; pairs with the barrier in vm_reset_dirty_rings(). */
	smp_mb();
	return dirtyring_used(r) && r->last_slot == slot && r->last_offset == offset && r->last_generation == generation;
}

/**
 * dirty_ring_push() - list a frame in a vCPU's dirty ring
 * @vcpu: loaded on this thread
 * @slot: number of the frame's slot
 * @offset: number of the frame in the slot
 * @generation: generation of the slots
 *
 * Requests REQ_RING_FULL if the ring is soft full afterwards. If there is no
 * free entry the frame is lost, and the run loop ends the VM.
 *
 * Context: Any but interrupts. Only the vCPU's thread fills its ring.
 */
void dirty_ring_push(struct vcpu *vcpu, u32 slot, u64 offset, u64 generation)
{
	struct dirty_ring *r = &vcpu->ring;
	struct kvm_dirty_gfn *e = &r->entries[r->dirty & (r->size - 1)];

	if (dirtyring_said_already(r, slot, offset, generation))
		return;
	if (dirtyring_used(r) >= r->size) {
		/* Only ioctls get here, as their number is not limited. The run loop reports the loss. */
		r->lost = true;
		vcpu_request(vcpu, REQ_RING_FULL);
		return;
	}
	WRITE_ONCE(e->slot, slot);
	WRITE_ONCE(e->offset, offset);
	r->last_slot = slot;
	r->last_offset = offset;
	r->last_generation = generation;
	/* The entry is counted before user space sees it, as user space may give it back at once. */
	WRITE_ONCE(r->dirty, r->dirty + 1);
	/* Publishes the entry: user space reads the flag before the rest. */
	smp_store_release(&e->flags, KVM_DIRTY_GFN_F_DIRTY);
	if (dirty_ring_soft_full(vcpu))
		vcpu_request(vcpu, REQ_RING_FULL);
}
