/* SPDX-License-Identifier: GPL-2.0 */
/* The dirty ring of a vCPU: KVM_CAP_DIRTY_LOG_RING. */
#ifndef DROSTE_DIRTYRING_H
#define DROSTE_DIRTYRING_H

#include <linux/types.h>
#include <linux/kvm.h>

struct vm;
struct vcpu;

/* What KVM_CAP_DIRTY_LOG_RING answers and takes, in bytes. */
#define DIRTY_RING_MAX_BYTES	(65536 * sizeof(struct kvm_dirty_gfn))

/**
 * struct dirty_ring - the frames that a vCPU wrote, in the order it did
 *
 * User space maps the entries and may write them at any time. What it is
 * trusted with is only which entries it has seen; the counts are the kernel's.
 */
struct dirty_ring {
	struct kvm_dirty_gfn *entries;	/* NULL: the VM has no rings */
	u32 size;		/* of the ring in entries, a power of two */
	u32 soft_limit;		/* KVM_RUN ends with so many in use, so that those to come have room */
	u32 dirty;		/* counts entries filled; the vCPU's thread writes it, anyone reads */
	u32 reset;		/* counts entries given back, at most @dirty; written under vm->lock, anyone reads */
	u32 last_slot;		/* the last entry filled: slot, frame and generation of the slots then */
	u64 last_offset;
	u64 last_generation;
	bool lost;		/* there was no room for one: the log is not true any more */
};

int dirty_ring_enable(struct vm *vm, u64 bytes);	/* KVM_ENABLE_CAP; vm->lock held; 0, -EINVAL, -E2BIG */
int dirty_ring_create(struct vcpu *vcpu);		/* 0 or -ENOMEM; nothing to do in a VM without rings */
void dirty_ring_destroy(struct vcpu *vcpu);
/* One more entry. The vCPU is the running thread's; srcu held; any locks, irqs on or off. */
void dirty_ring_push(struct vcpu *vcpu, u32 slot, u64 offset, u64 generation);
bool dirty_ring_soft_full(const struct vcpu *vcpu);
bool dirty_ring_has_page(const struct vm *vm, unsigned long pgoff);	/* of the vCPU descriptor's mapping */
struct page *dirty_ring_page(struct vcpu *vcpu, unsigned long pgoff);
long vm_reset_dirty_rings(void *self, void *arg, unsigned long uarg);	/* VM ioctl handler; vm->lock held */

#endif
