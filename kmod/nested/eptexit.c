// SPDX-License-Identifier: GPL-2.0
/* EPT violations and misconfigurations of L2: fills EPT02, reflects to L1, or emulates the access. SDM 3C 29.3.3. */
#include "droste.h"
#include "ept/ept.h"
#include "ept/ept12.h"
#include "io/emulate.h"
#include "nested/merge.h"
#include "nested/nested.h"
#include "run/request.h"
#include "trace.h"

/* Bits 15:12 of the exit qualification of APIC accesses (SDM table 28-6). */
#define APIC_READ	0
#define APIC_WRITE	1
#define APIC_FETCH	2
#define APIC_EVENT	3

/**
 * nested_is_apic_page() - whether an address is in the APIC-access page that L1 gave L2
 * @v: VMCS12
 * @l1_gpa: the L1 guest-physical address
 *
 * L1 may put the page where it has no memory. VMCS02 cannot point to it then, so L0 detects the access.
 *
 * Context: Any.
 * Return: true if it is.
 */
bool nested_is_apic_page(const struct vmcs12 *v, gpa_t l1_gpa)
{
	return (merge_proc2_of(v) & SECONDARY_EXEC_VIRTUALIZE_APIC_ACCESSES) &&
	       (l1_gpa & PAGE_MASK) == (v->apic_access_addr & PAGE_MASK);
}

/*
 * Reflect an EPT violation of L2 that is an access to its APIC page. The linear address and the instruction length of the
 * exit fit the new reason. Returns NEXT_GO_ON if it is no such access, NEXT_ENTER otherwise, with VMCS01 current. May sleep.
 */
static int eptexit_apic_access(struct vcpu *vcpu, gpa_t l1_gpa)
{
	u64 qual = vcpu->exit.qual, type;

	if (!nested_is_apic_page(vcpu->nested.vmcs12, l1_gpa))
		return NEXT_GO_ON;
	if (vcpu->ev.injected.valid)
		type = APIC_EVENT;
	else
		type = qual & EPT_WRITE ? APIC_WRITE : qual & EPT_EXEC ? APIC_FETCH : APIC_READ;
	return nested_reflect_as(vcpu, EXIT_REASON_APIC_ACCESS, (l1_gpa & ~PAGE_MASK) | type << 12);
}

/**
 * nested_access_device() - handle an EPT violation of L2 where L1 has no memory
 * @vcpu: in L2; vcpu->exit is the exit. L1's EPT, if it uses any, allows the access
 * @l1_gpa: the L1 guest-physical address
 *
 * The access is to a device of L0's, or to L1's APIC-access page.
 *
 * Context: Process context. VMCS02 is current; VMCS01 afterwards if the exit
 * went to L1. Caller holds vm->srcu. May sleep.
 * Return: enum next, or a negative errno.
 */
int nested_access_device(struct vcpu *vcpu, gpa_t l1_gpa)
{
	int ret = eptexit_apic_access(vcpu, l1_gpa);

	if (ret != NEXT_GO_ON)
		return ret;
	/* The access was part of event delivery, so there is no instruction to emulate. */
	if (vcpu->ev.injected.valid)
		return vcpu_delivery_error(vcpu);
	nested_note_device(&vcpu->nested, vcpu->exit.gpa);
	ret = quick_mmio(vcpu, l1_gpa);
	return ret == NEXT_GO_ON ? emul_instruction(vcpu) : ret;
}

/**
 * nested_handle_ept() - handle an EPT violation or misconfiguration of L2 on EPT02
 * @vcpu: in L2, whose L1 uses EPT; vcpu->exit is the exit
 *
 * Context: Process context. VMCS02 is current; VMCS01 afterwards if the exit
 * went to L1. Caller holds vm->srcu. May sleep.
 * Return: enum next, or -EFAULT if user memory cannot be accessed.
 */
int nested_handle_ept(struct vcpu *vcpu)
{
	u64 qual = vcpu->exit.basic == EXIT_REASON_EPT_VIOLATION ? vcpu->exit.qual : 0;
	enum ept02_result result;
	struct ept02_found found;

	result = ept02_fault(vcpu, vcpu->exit.gpa, &qual, &found);
	trace_droste_ept02(vcpu, &found, result);
	switch (result) {
	case EPT02_FIXED:
		return NEXT_ENTER;
	case EPT02_VIOLATION:
		return nested_reflect_as(vcpu, EXIT_REASON_EPT_VIOLATION, qual);
	case EPT02_MISCONFIG:
		return nested_reflect_as(vcpu, EXIT_REASON_EPT_MISCONFIG, 0);
	case EPT02_MMIO:
		return nested_access_device(vcpu, found.outer.gpa);
	default:
		return -EFAULT;
	}
}
