// SPDX-License-Identifier: GPL-2.0
/* L2 touched memory that EPT02 does not map: a missing shadow, L1's business, or a device of L1's. SDM 3C 29.3.3. */
#include "droste.h"
#include "ept/ept.h"
#include "io/emulate.h"
#include "nested/merge.h"
#include "nested/nested.h"
#include "run/request.h"

/* Exit qualification of APIC accesses (SDM table 28-6): bits 15:12. */
#define APIC_READ	0
#define APIC_WRITE	1
#define APIC_FETCH	2
#define APIC_EVENT	3

/* L1's APIC-access page lies where it has no memory, so the processor cannot know it; L0 does. */
static bool eptexit_is_apic_access(const struct vmcs12 *v, gpa_t l1_gpa)
{
	return (merge_proc2_of(v) & SECONDARY_EXEC_VIRTUALIZE_APIC_ACCESSES) &&
	       (l1_gpa & PAGE_MASK) == (v->apic_access_addr & PAGE_MASK);
}

static int eptexit_apic_access(struct vcpu *vcpu, gpa_t l1_gpa)
{
	u64 qual = vcpu->exit.qual, type;

	if (vcpu->ev.injected.valid)
		type = APIC_EVENT;
	else
		type = qual & EPT_WRITE ? APIC_WRITE : qual & EPT_EXEC ? APIC_FETCH : APIC_READ;
	vcpu->exits_reflected[vcpu->exit.basic]++;
	nested_vmexit(vcpu, EXIT_REASON_APIC_ACCESS, (l1_gpa & ~PAGE_MASK) | type << 12, 0, 0);
	return NEXT_ENTER;
}

/* L1's tables allow the access, but L1 has no memory there: a device that L1 gave to L2, or L1's local APIC. */
static int eptexit_emulate(struct vcpu *vcpu, gpa_t l1_gpa)
{
	if (eptexit_is_apic_access(vcpu->nested.vmcs12, l1_gpa))
		return eptexit_apic_access(vcpu, l1_gpa);
	/* Event delivery through a device: there is no instruction to emulate. */
	if (vcpu->ev.injected.valid)
		return vcpu_delivery_error(vcpu);
	return emul_instruction(vcpu);
}

/**
 * nested_handle_ept() - an EPT violation or misconfiguration of L2 on EPT02
 * @vcpu: in L2, loaded; L1 uses EPT; vcpu->exit is the exit
 *
 * Process context, srcu held.
 *
 * Return: enum next, or -EFAULT when user memory cannot be had.
 */
int nested_handle_ept(struct vcpu *vcpu)
{
	u64 qual = vcpu->exit.basic == EXIT_REASON_EPT_VIOLATION ? vcpu->exit.qual : 0;
	gpa_t l1_gpa = 0;

	switch (ept02_fault(vcpu, vcpu->exit.gpa, &qual, &l1_gpa)) {
	case EPT02_FIXED:
		return NEXT_ENTER;
	case EPT02_VIOLATION:
		return nested_reflect_as(vcpu, EXIT_REASON_EPT_VIOLATION, qual);
	case EPT02_MISCONFIG:
		return nested_reflect_as(vcpu, EXIT_REASON_EPT_MISCONFIG, 0);
	case EPT02_MMIO:
		return eptexit_emulate(vcpu, l1_gpa);
	default:
		return -EFAULT;
	}
}
