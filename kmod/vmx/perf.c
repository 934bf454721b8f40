// SPDX-License-Identifier: GPL-2.0
/*
 * The host's performance counters while a guest runs. PEBS writes its records
 * to linear addresses, which would be the guest's, so the processor turns such
 * counters off as part of the entry, and on as part of the exit. perf says which
 * MSRs need that. Counters with exclude_guest or exclude_host need it as well.
 */
#include <linux/preempt.h>
#include <asm/msr.h>
#include <asm/perf_event.h>
#include "droste.h"
#include "vmx/nopmu.h"
#include "vmx/vmx.h"

bool vmx_perf_present;

/**
 * vmx_perf_init() - find out whether the host has performance counters
 *
 * Context: Process context, at load.
 */
void vmx_perf_init(void)
{
	int nr;

	preempt_disable();
	vmx_perf_present = perf_guest_get_msrs(&nr, &vmx_no_pmu);
	preempt_enable();
}

/**
 * vmx_perf_begin() - write the fields of the current VMCS for the MSRs that entries and exits load
 * @vcpu: its VMCS01 or VMCS02 is current, and new
 *
 * Context: Does not sleep.
 */
void vmx_perf_begin(struct vcpu *vcpu)
{
	vmcs_write(VM_ENTRY_MSR_LOAD_ADDR, __pa(vcpu->perf_guest));
	vmcs_write(VM_EXIT_MSR_LOAD_ADDR, __pa(vcpu->perf_host));
	vmcs_write(VM_ENTRY_MSR_LOAD_COUNT, 0);
	vmcs_write(VM_EXIT_MSR_LOAD_COUNT, 0);
}

/* Add one MSR to both lists. */
static void perf_add(struct vcpu *vcpu, unsigned int i, const struct perf_guest_switch_msr *m)
{
	vcpu->perf_guest[i] = (struct vmx_msr_entry) { .index = m->msr, .value = m->guest };
	vcpu->perf_host[i] = (struct vmx_msr_entry) { .index = m->msr, .value = m->host };
	/*
	 * After PEBS was turned off, the processor may take some time to write its
	 * last record. A load by the VM entry leaves no such time.
	 */
	if (m->msr == MSR_IA32_PEBS_ENABLE)
		wrmsrl(MSR_IA32_PEBS_ENABLE, 0);
}

/**
 * vmx_perf_switch() - make the next entry load the counters' controls for the guest, and the exit those for the host
 * @vcpu: about to enter; its VMCS is current
 *
 * Not needed if vmx_perf_present is false.
 *
 * Context: Interrupts disabled, so that perf does not change its counters before the entry.
 */
void vmx_perf_switch(struct vcpu *vcpu)
{
	const struct perf_guest_switch_msr *m;
	unsigned int n = 0;
	int i, nr;

	m = perf_guest_get_msrs(&nr, &vmx_no_pmu);
	for (i = 0; i < nr; i++) {
		if (m[i].host == m[i].guest)
			continue;
		/* No processor with VMX controls that Droste needs has so many. */
		if (WARN_ON_ONCE(n == PERF_MSRS))
			break;
		perf_add(vcpu, n++, &m[i]);
	}
	if (vcpu->vmcs->perf_msrs != n) {
		vmcs_write(VM_ENTRY_MSR_LOAD_COUNT, n);
		vmcs_write(VM_EXIT_MSR_LOAD_COUNT, n);
		vcpu->vmcs->perf_msrs = n;
	}
}
