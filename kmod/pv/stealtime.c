// SPDX-License-Identifier: GPL-2.0
/* Stolen time: KVM_FEATURE_STEAL_TIME. Linux, Documentation/virt/kvm/x86/msr.rst. */
#include <linux/kvm_para.h>
#include <linux/sched.h>
#include "droste.h"
#include "cpu/msr_row.h"
#include "mem/memslot.h"
#include "pv/stealtime.h"
#include "run/request.h"

/* --- stolen time --- */

/* How long this thread was kept waiting for a CPU, ns. */
static u64 steal_time_waited(void)
{
#ifdef CONFIG_SCHED_INFO
	return current->sched_info.run_delay;
#else
	return 0;
#endif
}

static bool steal_time_put_version(struct vcpu *vcpu, gpa_t gpa, u32 version)
{
	return !vm_write_guest(vcpu->vm, gpa + offsetof(struct kvm_steal_time, version), &version, sizeof(version));
}

/**
 * steal_time_update - REQ_STEAL: tell the guest for how long its vCPU did not get a CPU
 * @vcpu: its thread; srcu held, may sleep
 *
 * The version is odd while the rest changes. `preempted` stays 0: nobody is
 * told in advance, so no vCPU is taken for preempted that is not.
 */
void steal_time_update(struct vcpu *vcpu)
{
	gpa_t gpa = vcpu->steal.msr & KVM_STEAL_VALID_BITS;
	struct kvm_steal_time st;
	u64 now = steal_time_waited();

	if (!(vcpu->steal.msr & KVM_MSR_ENABLED) || vm_read_guest(vcpu->vm, gpa, &st, sizeof(st)))
		return;
	st.version = (st.version + 1) | 1;
	if (!steal_time_put_version(vcpu, gpa, st.version))
		return;
	smp_wmb();	/* odd before the rest */
	/* Another thread has waited for itself: what it did before it came here was not the guest's. */
	if (now > vcpu->steal.seen)
		st.steal += now - vcpu->steal.seen;
	vcpu->steal.seen = now;
	if (vm_write_guest(vcpu->vm, gpa + offsetof(struct kvm_steal_time, steal), &st.steal, sizeof(st.steal)))
		return;
	smp_wmb();	/* the rest before even */
	steal_time_put_version(vcpu, gpa, st.version + 1);
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
	vcpu->steal.msr = data;
	vcpu_request(vcpu, REQ_STEAL);
	return 0;
}
