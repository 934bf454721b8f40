// SPDX-License-Identifier: GPL-2.0
/*
 * The hypercall with a list of operations for an L2, which L1 has delegated to it: <linux/droste_para.h>.
 *
 * Delegation gives an L2 nothing that L1 has not given it. L0 carries out operations whose instructions would not exit
 * to L1, and no others. All that L1 intercepts it still intercepts: its bitmaps, controls and EPT tables are asked
 * for each operation, as for an exit of the instruction.
 */
#include <linux/droste_para.h>
#include "droste.h"
#include "ept/ept12.h"
#include "mem/l2gpa.h"
#include "nested/merge.h"
#include "nested/nested.h"
#include "nested/route.h"
#include "nested/vmcs02.h"
#include "vmx/regs.h"

#define DELEGATE_MASK	(PAGE_MASK | DROSTE_DELEGATE_ENABLE)

static bool delegate_is_offered(const struct vcpu *vcpu)
{
	return vcpu->gcaps.droste_features & DROSTE_CPUID_DELEGATE;
}

MSR_GET(msr_get_delegate)
{
	if (!host && !delegate_is_offered(vcpu))
		return -ENOENT;
	*data = vcpu->nested.delegate;
	return 0;
}

MSR_SET(msr_set_delegate)
{
	if (!host && !delegate_is_offered(vcpu))
		return -ENOENT;
	if (data && (!(data & DROSTE_DELEGATE_ENABLE) || (data & ~(u64)DELEGATE_MASK) || !gpa_legal(vcpu, data)))
		return -EINVAL;
	vcpu->nested.delegate = data;
	return 0;
}

/**
 * nested_delegates() - whether the VMCALL of L2 that has just exited is a list that L0 must carry out
 * @vcpu: in L2
 *
 * Without EPT of L1's, an address that L2 gives has no meaning for L0. With L1's monitor trap flag, L1 sees each
 * instruction.
 *
 * Context: VMCS02 is current. Does not sleep.
 * Return: false if L1 gets the exit.
 */
bool nested_delegates(struct vcpu *vcpu)
{
	const struct nested *n = &vcpu->nested;

	if (likely(!n->delegate) || (n->delegate & PAGE_MASK) != n->vmptr || vcpu->regs[RAX] != DROSTE_MULTICALL)
		return false;
	return delegate_is_offered(vcpu) && (merge_proc2_of(n->vmcs12) & SECONDARY_EXEC_ENABLE_EPT) &&
	       !nested_wants_mtf(n) && vcpu_is_64bit(vcpu) && !vcpu_cpl(vcpu);
}

/**
 * nested_takes_msr() - whether an access of L2 to an MSR is L1's to answer
 * @vcpu: in L2
 * @msr: number of the MSR
 * @write: WRMSR, not RDMSR
 *
 * In "virtualize x2APIC mode" the processor answers some accesses from L1's virtual-APIC page. L0 does not do that.
 *
 * Context: Process context. Caller holds vm->srcu. May sleep.
 * Return: true if the instruction would exit to L1, or would not be L0's alone.
 */
bool nested_takes_msr(struct vcpu *vcpu, u32 msr, bool write)
{
	const struct vmcs12 *v = vcpu->nested.vmcs12;
	u32 proc = v->cpu_based_vm_exec_control;

	if (unlikely(msr >> 8 == 8) && (merge_proc2_of(v) & SECONDARY_EXEC_VIRTUALIZE_X2APIC_MODE))
		return true;
	return route_l1_takes_msr(proc, (proc & CPU_BASED_USE_MSR_BITMAPS) && bitmaps_msr_hit(vcpu, msr, write));
}

/**
 * nested_takes_out() - whether an OUT of L2 is L1's to answer
 * @vcpu: in L2
 * @port: the port
 * @size: 1, 2 or 4 bytes
 *
 * Context: Process context. Caller holds vm->srcu. May sleep.
 * Return: true if the instruction would exit to L1.
 */
bool nested_takes_out(struct vcpu *vcpu, u16 port, u32 size)
{
	u32 proc = vcpu->nested.vmcs12->cpu_based_vm_exec_control;

	if (likely(!(proc & CPU_BASED_USE_IO_BITMAPS)))
		return route_l1_takes_io(proc, false);
	return route_l1_takes_io(proc, bitmaps_io_hit(vcpu, (u64)port << 16 | (size - 1)));	/* SDM 3C table 28-5 */
}

/**
 * nested_takes_write() - whether a store of L2 is L1's to answer
 * @vcpu: in L2, whose L1 uses EPT
 * @gpa: the L2 guest-physical address; set to the L1 guest-physical one
 *
 * Context: Process context. Caller holds vm->srcu. May sleep.
 * Return: true if the instruction would exit to L1; @gpa is as it was then.
 */
bool nested_takes_write(struct vcpu *vcpu, u64 *gpa)
{
	struct ept12_result r;

	if (ept12_translate(vcpu, *gpa, EPT_WRITE, &r) != EPT12_OK || nested_is_apic_page(vcpu->nested.vmcs12, r.gpa))
		return true;
	*gpa = r.gpa;
	return false;
}
