// SPDX-License-Identifier: GPL-2.0
/* KVM_CAP_SYNC_REGS: KVM_RUN reads and writes registers in the page shared with user space. */
#include "droste.h"
#include "abi/state.h"
#include "vmx/regs.h"

/*
 * Load the dirty register sets. Other threads may write to the page at any
 * time, so each set is copied first; the set's ioctl handler then checks and
 * uses the copy.
 */
static int sync_regs_take(struct vcpu *vcpu, u64 dirty)
{
	const struct kvm_sync_regs *s = &vcpu->run->s.regs;
	struct kvm_vcpu_events events;
	struct kvm_sregs sregs;
	struct kvm_regs regs;

	if (dirty & KVM_SYNC_X86_REGS) {
		regs = s->regs;
		barrier_data(&regs);
		vcpu_set_regs(vcpu, &regs, 0);
		vcpu->run->kvm_dirty_regs &= ~(u64)KVM_SYNC_X86_REGS;
	}
	if (dirty & KVM_SYNC_X86_SREGS) {
		sregs = s->sregs;
		barrier_data(&sregs);
		if (vcpu_set_sregs(vcpu, &sregs, 0))
			return -EINVAL;
		vcpu->run->kvm_dirty_regs &= ~(u64)KVM_SYNC_X86_SREGS;
	}
	if (dirty & KVM_SYNC_X86_EVENTS) {
		events = s->events;
		barrier_data(&events);
		if (vcpu_set_events(vcpu, &events, 0))
			return -EINVAL;
		vcpu->run->kvm_dirty_regs &= ~(u64)KVM_SYNC_X86_EVENTS;
	}
	return 0;
}

/**
 * vcpu_sync_regs_in() - load the registers that user space marked dirty, at the start of KVM_RUN
 * @vcpu: loaded
 *
 * The dirty bit of each loaded set is cleared.
 *
 * Context: Process context, may sleep. Caller holds vcpu->mutex.
 * Return: 0; -EINVAL for an unknown set, or for values that the set's ioctl
 * refuses; the sets before that one are loaded.
 */
int vcpu_sync_regs_in(struct vcpu *vcpu)
{
	u64 dirty = READ_ONCE(vcpu->run->kvm_dirty_regs);
	int idx, ret;

	if ((READ_ONCE(vcpu->run->kvm_valid_regs) | dirty) & ~(u64)KVM_SYNC_X86_VALID_FIELDS)
		return -EINVAL;
	if (likely(!dirty))
		return 0;
	vcpu_note_altered(vcpu);
	idx = srcu_read_lock(&vcpu->vm->srcu);
	ret = sync_regs_take(vcpu, dirty);
	srcu_read_unlock(&vcpu->vm->srcu, idx);
	return ret;
}

/**
 * vcpu_sync_regs_out() - store the registers that user space asked for, at the end of KVM_RUN
 * @vcpu: loaded
 *
 * Context: Process context, may sleep. Caller holds vcpu->mutex.
 */
void vcpu_sync_regs_out(struct vcpu *vcpu)
{
	struct kvm_sync_regs *s = &vcpu->run->s.regs;
	u64 valid = READ_ONCE(vcpu->run->kvm_valid_regs);
	struct kvm_vcpu_events events;
	struct kvm_sregs sregs;
	struct kvm_regs regs;

	/* The handlers may read back what they wrote, so they get private copies, not the page. */
	if (valid & KVM_SYNC_X86_REGS) {
		vcpu_get_regs(vcpu, &regs, 0);
		s->regs = regs;
	}
	if (valid & KVM_SYNC_X86_SREGS) {
		memset(&sregs, 0, sizeof(sregs));	/* clears its padding */
		vcpu_get_sregs(vcpu, &sregs, 0);
		s->sregs = sregs;
	}
	if (valid & KVM_SYNC_X86_EVENTS) {
		vcpu_get_events(vcpu, &events, 0);
		s->events = events;
	}
}
