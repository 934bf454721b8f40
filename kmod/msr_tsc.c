// SPDX-License-Identifier: GPL-2.0
/* The time-stamp counter of a vCPU: the host's plus an offset. SDM 3B 18.17, 3C 26.5.3. */
#include <asm/msr.h>
#include <asm/tsc.h>
#include "droste.h"
#include "msr.h"
#include "vmx/regs.h"

/* L1's offset is in VMCS01, and part of the one in VMCS02. Loaded. */
static void change_offset(struct vcpu *vcpu, u64 offset)
{
	u64 delta = offset - vcpu->tsc_offset;

	vcpu->tsc_offset = offset;
	vmcs_write(TSC_OFFSET, vmcs_read(TSC_OFFSET) + delta);
	if (vcpu->in_l2) {
		struct loaded_vmcs *vmcs02 = vcpu->vmcs;

		vcpu->nested.held.tsc_offset += delta;
		vcpu_switch_vmcs(vcpu, &vcpu->vmcs01);
		vmcs_write(TSC_OFFSET, offset);
		vcpu_switch_vmcs(vcpu, vmcs02);
	}
	if (vcpu->lapic)
		vlapic_timer_migrate(vcpu);
	vcpu_request(vcpu, REQ_CLOCK);
}

MSR_GET(get_tsc)
{
	/* L2 reads its own; user space always means L1's. */
	u64 offset = vcpu->in_l2 && !host ? vmcs_read(TSC_OFFSET) : vcpu->tsc_offset;

	*data = rdtsc_ordered() + offset;
	return 0;
}

static DEFINE_MUTEX(offset_lock);	/* vm->tsc_offset0; not vm->lock, whose holder may wait for our srcu section */

/*
 * User space sets the counters of several vCPUs one after the other and means
 * them to agree: values within a second of what the first one would read now
 * get the first one's offset.
 */
static u64 offset_for_user(struct vcpu *vcpu, u64 data)
{
	u64 now = rdtsc();
	s64 offset = data - now, apart;

	mutex_lock(&offset_lock);
	apart = offset - vcpu->vm->tsc_offset0;
	if (abs(apart) < (s64)tsc_khz * 1000)
		offset = vcpu->vm->tsc_offset0;
	else
		vcpu->vm->tsc_offset0 = offset;
	mutex_unlock(&offset_lock);
	return offset;
}

MSR_SET(set_tsc)
{
	u64 delta;

	if (host) {
		change_offset(vcpu, offset_for_user(vcpu, data));
		return 0;
	}
	/* What WRMSR adds to the counter it adds to IA32_TSC_ADJUST (SDM 3B 18.17.3). */
	delta = data - (rdtsc_ordered() + vcpu->tsc_offset);
	vcpu->tsc_adjust += delta;
	change_offset(vcpu, vcpu->tsc_offset + delta);
	return 0;
}

MSR_GET(get_tsc_adjust)
{
	if (!host && !vcpu->gcaps.tsc_adjust)
		return -EINVAL;
	*data = vcpu->tsc_adjust;
	return 0;
}

MSR_SET(set_tsc_adjust)
{
	if (host) {
		/* The counter is restored by itself. */
		vcpu->tsc_adjust = data;
		return 0;
	}
	if (!vcpu->gcaps.tsc_adjust)
		return -EINVAL;
	change_offset(vcpu, vcpu->tsc_offset + (data - vcpu->tsc_adjust));
	vcpu->tsc_adjust = data;
	return 0;
}

/* Without a local APIC of ours the list of MSRs still has it: user space reads and restores a 0. */
MSR_GET(get_tsc_deadline)
{
	if (!host && (!vcpu->lapic || !vcpu->gcaps.tsc_deadline))
		return -EINVAL;
	*data = vcpu->lapic ? vlapic_get_tsc_deadline(vcpu) : 0;
	return 0;
}

MSR_SET(set_tsc_deadline)
{
	if (!vcpu->lapic)
		return host && !data ? 0 : -EINVAL;
	if (!host && !vcpu->gcaps.tsc_deadline)
		return -EINVAL;
	vlapic_set_tsc_deadline(vcpu, data);
	return 0;
}
