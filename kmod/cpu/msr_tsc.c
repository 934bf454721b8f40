// SPDX-License-Identifier: GPL-2.0
/* The MSRs of a vCPU's time-stamp counter. SDM 3B 18.17, 3C 26.5.3. */
#include <asm/msr.h>
#include "droste.h"
#include "cpu/msr.h"
#include "cpu/msr_row.h"
#include "cpu/tsc.h"

MSR_GET(msr_get_tsc)
{
	tsc_told_now(&vcpu->hide);
	/* L2 reads its own counter; user space always reads that of L1. */
	if (vcpu->in_l2 && !host)
		*data = tsc_scale(rdtsc_ordered(), vcpu->nested.held.tsc_ratio) + vcpu->nested.held.tsc_offset;
	else
		*data = tsc_of_l1(&vcpu->tsc);
	return 0;
}

MSR_SET(msr_set_tsc)
{
	u64 delta;

	if (host) {
		tsc_set_by_user(vcpu, data);
		return 0;
	}
	/* The counter goes on from @data. */
	tsc_told_now(&vcpu->hide);
	/* WRMSR to the counter changes IA32_TSC_ADJUST by the same difference (SDM 3B 18.17.3). */
	delta = data - tsc_of_l1(&vcpu->tsc);
	vcpu->tsc_adjust += delta;
	tsc_set_offset(vcpu, vcpu->tsc.offset + delta);
	return 0;
}

MSR_GET(msr_get_tsc_adjust)
{
	if (!host && !vcpu->gcaps.tsc_adjust)
		return -EINVAL;
	*data = vcpu->tsc_adjust;
	return 0;
}

MSR_SET(msr_set_tsc_adjust)
{
	if (host) {
		/* User space restores the counter separately. */
		vcpu->tsc_adjust = data;
		return 0;
	}
	if (!vcpu->gcaps.tsc_adjust)
		return -EINVAL;
	tsc_set_offset(vcpu, vcpu->tsc.offset + (data - vcpu->tsc_adjust));
	vcpu->tsc_adjust = data;
	return 0;
}

/*
 * IA32_MPERF and IA32_APERF count at the rate of the TSC: a processor that is always in C0, and neither slower nor faster
 * than its rated speed (SDM 3B 15.2). KVM_GET_SUPPORTED_CPUID does not offer them; user space may add the bit.
 */
MSR_GET(msr_get_perf)
{
	if (!vcpu->gcaps.aperfmperf)
		return -ENOENT;
	*data = tsc_scale(tsc_host_now(&vcpu->hide), vcpu->tsc.ratio) + vcpu->tsc.offset +
		vcpu->misc->perf_offset[msr - MSR_IA32_MPERF];
	return 0;
}

MSR_SET(msr_set_perf)
{
	if (!vcpu->gcaps.aperfmperf)
		return -ENOENT;
	vcpu->misc->perf_offset[msr - MSR_IA32_MPERF] = data - tsc_scale(tsc_host_now(&vcpu->hide), vcpu->tsc.ratio) -
							  vcpu->tsc.offset;
	return 0;
}
