// SPDX-License-Identifier: GPL-2.0
/* Stolen time: KVM_FEATURE_STEAL_TIME. Linux, Documentation/virt/kvm/x86/msr.rst. */
#include <linux/kvm_para.h>
#include <linux/sched.h>
#include "droste.h"
#include "cpu/msr_row.h"
#include "mem/memslot.h"
#include "pv/stealtime.h"
#include "run/request.h"

/* How long this thread has waited for a CPU so far, in ns. */
static u64 stealtime_waited(void)
{
#ifdef CONFIG_SCHED_INFO
	return current->sched_info.run_delay;
#else
	return 0;
#endif
}

static bool stealtime_put_version(struct vcpu *vcpu, gpa_t gpa, u32 version)
{
	return !vm_write_guest(vcpu->vm, gpa + offsetof(struct kvm_steal_time, version), &version, sizeof(version));
}

/**
 * steal_time_update() - add the time that the vCPU waited for a CPU to the guest's structure, for REQ_STEAL
 * @vcpu: loaded
 *
 * The structure's version is odd while the rest changes. Its member preempted
 * becomes 0, since the vCPU is about to run.
 *
 * Context: Process context, on the vCPU's thread. May sleep. Caller holds
 * vcpu->mutex, and vm->srcu for reading.
 */
void steal_time_update(struct vcpu *vcpu)
{
	gpa_t gpa = vcpu->steal.msr & KVM_STEAL_VALID_BITS;
	struct kvm_steal_time st;
	u64 now = stealtime_waited();
	u8 runs = 0;

	if (!(vcpu->steal.msr & KVM_MSR_ENABLED) || vm_read_guest(vcpu->vm, gpa, &st, sizeof(st)))
		return;
	st.version = (st.version + 1) | 1;
	if (!stealtime_put_version(vcpu, gpa, st.version))
		return;
	smp_wmb();	/* the odd version before the rest */
	/* A thread that has waited less than @seen is another one than at the last update: its wait is not counted. */
	if (now > vcpu->steal.seen)
		st.steal += now - vcpu->steal.seen;
	vcpu->steal.seen = now;
	if (vm_write_guest(vcpu->vm, gpa + offsetof(struct kvm_steal_time, steal), &st.steal, sizeof(st.steal)))
		return;
	/* steal_time_preempted() writes it anew if this thread loses its CPU in between. */
	vcpu->steal.preempted = false;
	barrier();
	if (st.preempted && vm_write_guest(vcpu->vm, gpa + offsetof(struct kvm_steal_time, preempted), &runs, sizeof(runs)))
		return;
	smp_wmb();	/* the rest before the even version */
	stealtime_put_version(vcpu, gpa, st.version + 1);
}

/**
 * steal_time_preempted() - tell the guest's other vCPUs that this one has no CPU
 * @vcpu: loaded, about to lose its CPU
 *
 * The next steal_time_update() takes it back. If the host does not have the page
 * now, the vCPU seems to run.
 *
 * Context: Preemption disabled; may be called with interrupts disabled.
 */
void steal_time_preempted(struct vcpu *vcpu)
{
	static const u8 preempted = KVM_VCPU_PREEMPTED;
	gpa_t gpa = (vcpu->steal.msr & KVM_STEAL_VALID_BITS) + offsetof(struct kvm_steal_time, preempted);
	int idx;

	if (!(vcpu->steal.msr & KVM_MSR_ENABLED) || vcpu->steal.preempted)
		return;
	idx = srcu_read_lock(&vcpu->vm->srcu);
	vcpu->steal.preempted = !vm_write_guest_nofault(vcpu->vm, gpa, &preempted, sizeof(preempted));
	srcu_read_unlock(&vcpu->vm->srcu, idx);
}

MSR_GET(msr_get_steal_time)
{
	*data = vcpu->steal.msr;
	return 0;
}

MSR_SET(msr_set_steal_time)
{
	if (data & KVM_STEAL_RESERVED_MASK)
		return -EINVAL;
	preempt_disable();
	vcpu->steal.msr = data;
	vcpu->steal.preempted = false;
	preempt_enable();
	vcpu_request(vcpu, REQ_STEAL);
	return 0;
}
