// SPDX-License-Identifier: GPL-2.0
/* MSRs of the local APIC: IA32_APIC_BASE, IA32_TSC_DEADLINE, and the registers in x2APIC mode. SDM 3A 11.4.4, 11.12. */
#include <asm/apic.h>
#include <asm/apicdef.h>
#include "droste.h"
#include "cpu/msr_row.h"
#include "irqchip/impl.h"
#include "irqchip/irqchip.h"
#include "irqchip/lapic_logic.h"

/**
 * vlapic_change_base() - write IA32_APIC_BASE
 * @vcpu: loaded; caller holds its mutex
 * @base: new value
 * @host_initiated: true if user space writes it, and may change from any mode to any other
 *
 * Works without an in-kernel local APIC as well: the MSR exists then, too.
 *
 * Context: Process context. Does not sleep.
 * Return: 0, or -EINVAL for #GP(0) (SDM 3A 11.4.4, 11.12.5).
 */
int vlapic_change_base(struct vcpu *vcpu, u64 base, bool host_initiated)
{
	const u64 mode = X2APIC_ENABLE | MSR_IA32_APICBASE_ENABLE;
	u64 known = mode | MSR_IA32_APICBASE_BSP | GENMASK_ULL(vcpu->gcaps.maxphyaddr - 1, 12);

	if (base & ~known)
		return -EINVAL;
	if ((base & mode) == X2APIC_ENABLE)
		return -EINVAL;
	if (!host_initiated && (base & X2APIC_ENABLE) && !vcpu->gcaps.x2apic)
		return -EINVAL;
	if (!vcpu->lapic) {
		vcpu->apic_base = base;
		return 0;
	}
	return host_initiated ? vlapic_restore_base(vcpu, base) : vlapic_set_base(vcpu, base);
}

MSR_GET(msr_get_apic_base)
{
	*data = vcpu->apic_base;
	return 0;
}

MSR_SET(msr_set_apic_base)
{
	return vlapic_change_base(vcpu, data, host);
}

MSR_GET(msr_get_x2apic)
{
	return vcpu->lapic ? vlapic_msr_read(vcpu, msr, data) : -EINVAL;
}

MSR_SET(msr_set_x2apic)
{
	return vcpu->lapic ? vlapic_msr_write(vcpu, msr, data) : -EINVAL;
}

/* The list of MSRs has it even without an in-kernel local APIC: user space reads, and may restore, a 0 then. */
MSR_GET(msr_get_tsc_deadline)
{
	if (!host && (!vcpu->lapic || !vcpu->gcaps.tsc_deadline))
		return -EINVAL;
	*data = vcpu->lapic ? vlapic_get_tsc_deadline(vcpu) : 0;
	return 0;
}

MSR_SET(msr_set_tsc_deadline)
{
	if (!vcpu->lapic)
		return host && !data ? 0 : -EINVAL;
	if (!host && !vcpu->gcaps.tsc_deadline)
		return -EINVAL;
	vlapic_set_tsc_deadline(vcpu, data);
	return 0;
}

/* The bits of ICR that are 0 for a fixed interrupt to one physical destination (SDM 3A 11.12.9). */
#define ICR_NOT_PLAIN	(GENMASK_ULL(31, 8) & ~(u64)LAPIC_ICR_ASSERT)

/* An IPI of an x2APIC to itself. Another vCPU may have the same APIC ID in xAPIC mode. */
static bool msr_quick_icr(struct vlapic *a, u64 icr)
{
	bool self = (icr & ICR_NOT_PLAIN) == LAPIC_TO_SELF << 18 ||
		    (!(icr & ICR_NOT_PLAIN) && icr >> 32 == a->id && irqchip_nr_vcpus(a->vcpu->vm) == 1);

	if (!self || !lapic_vector_legal(LAPIC_DM_FIXED, icr))
		return false;
	vlapic_set_reg(a, LAPIC_ICR, icr);
	vlapic_set_reg(a, LAPIC_ICR2, icr >> 32);
	vlapic_accept(a->vcpu, LAPIC_DM_FIXED, icr, false);
	return true;
}

/**
 * vlapic_quick_wrmsr() - carry out a WRMSR that a guest executes at each tick, or to send itself an IPI
 * @vcpu: the vCPU, in L1 or in an L2 that accesses L1's local APIC
 * @msr: number of the MSR
 * @data: the value
 *
 * The MSRs are IA32_TSC_DEADLINE and, in x2APIC mode, EOI and ICR. Other
 * accesses, those that fault and those that a filter may deny take the way by
 * the table of MSRs.
 *
 * Context: Process context. Does not sleep. Caller holds vcpu->mutex, and vm->srcu for reading.
 * Return: true if it was carried out; false if nothing was done.
 */
bool vlapic_quick_wrmsr(struct vcpu *vcpu, u32 msr, u64 data)
{
	struct vlapic *a = vcpu->lapic;

	if (unlikely(!a))
		return false;
	switch (msr) {
	case MSR_IA32_TSC_DEADLINE:
		if (!vcpu->gcaps.tsc_deadline || rcu_access_pointer(vcpu->vm->msr_filter))
			return false;
		vlapic_set_tsc_deadline(vcpu, data);
		return true;
	case APIC_BASE_MSR + (LAPIC_EOI >> 4):
		if (a->mode != LAPIC_X2APIC || data)
			return false;
		vlapic_eoi(a);
		return true;
	case APIC_BASE_MSR + (LAPIC_ICR >> 4):
		return a->mode == LAPIC_X2APIC && msr_quick_icr(a, data);
	default:
		return false;
	}
}

/**
 * vlapic_short_wrmsr() - vlapic_quick_wrmsr() without vm->srcu and with interrupts disabled
 * @vcpu: the vCPU, in L1
 * @msr: number of the MSR
 * @data: the value
 *
 * Context: Interrupts disabled. Caller holds vcpu->mutex.
 * Return: true if it was carried out; false if nothing was done.
 */
bool vlapic_short_wrmsr(struct vcpu *vcpu, u32 msr, u64 data)
{
	struct vlapic *a = vcpu->lapic;

	if (msr == APIC_BASE_MSR + (LAPIC_EOI >> 4))
		return a && a->mode == LAPIC_X2APIC && !data && vlapic_eoi_short(a);
	return vlapic_quick_wrmsr(vcpu, msr, data);
}
