// SPDX-License-Identifier: GPL-2.0
/* The current-VMCS pointer of L1: VMCLEAR, VMPTRLD, VMPTRST, and VMCS12 between L1's memory and L0's copy. */
#include <linux/kernel.h>
#include <linux/mm.h>
#include "droste.h"
#include "mem/memslot.h"
#include "nested/insn.h"
#include "nested/nested.h"

/**
 * vmcs12_load() - make the VMCS at @gpa current
 * @vcpu: in L1 with no current VMCS
 * @gpa: page-aligned and legal; its revision was checked
 *
 * From here on L0 works on its copy: L1's memory is read this once, whoever
 * writes to it later.
 *
 * Return: 0, or -EFAULT where there is no memory; no VMCS is current then.
 */
int vmcs12_load(struct vcpu *vcpu, u64 gpa)
{
	struct nested *n = &vcpu->nested;

	if (vm_read_guest(vcpu->vm, gpa, n->vmcs12, sizeof(*n->vmcs12)))
		return -EFAULT;
	vmcs12_adopt(vcpu, gpa);
	return 0;
}

/**
 * vmcs12_adopt() - what nested.vmcs12 holds becomes the current VMCS
 * @vcpu: in L1, VMCS01 current
 * @gpa: where L1 has it
 */
void vmcs12_adopt(struct vcpu *vcpu, u64 gpa)
{
	struct nested *n = &vcpu->nested;

	/* Another vCPU may have changed what was checked a moment ago. */
	n->vmcs12->revision_id &= VMCS12_SHADOW_BIT;
	n->vmcs12->revision_id |= VMCS12_REVISION;
	if (n->vmcs12->launch_state != VMCS12_LAUNCHED)
		n->vmcs12->launch_state = VMCS12_CLEAR;
	n->vmptr = gpa;
	n->vmcs12_dirty = DIRTY12_ALL;
	n->vmcs02_stale = false;
	nested_shadow_update(vcpu);
}

/**
 * vmcs12_flush() - write the current VMCS back to L1's memory
 * @vcpu: in L1, VMCS01 current; any state of VMX operation
 *
 * Memory that is gone or read-only takes no write, as it would not from a
 * processor. No VMCS is current afterwards.
 */
void vmcs12_flush(struct vcpu *vcpu)
{
	struct nested *n = &vcpu->nested;

	if (n->vmptr == VMPTR_NONE)
		return;
	nested_shadow_fetch(vcpu);
	if (n->vmcs02_stale)
		nested_sync_rare(vcpu);
	(void)vm_write_guest(vcpu->vm, n->vmptr, n->vmcs12, sizeof(*n->vmcs12));
	n->vmptr = VMPTR_NONE;
	nested_shadow_update(vcpu);
}

/* Read a VMCS pointer operand and check it; error numbers differ by instruction. */
static int insn_read_vmptr(struct vcpu *vcpu, gpa_t *gpa, u32 bad_address, u32 vmxon_pointer)
{
	int ret = insn_read_operand(vcpu, gpa, sizeof(*gpa));

	if (ret != INSN_GO_ON)
		return ret;
	if (!PAGE_ALIGNED(*gpa) || !gpa_legal(vcpu, *gpa))
		return nested_vmfail(vcpu, bad_address);
	if (*gpa == vcpu->nested.vmxon_gpa)
		return nested_vmfail(vcpu, vmxon_pointer);
	return INSN_GO_ON;
}

/* SDM 3C 31.3, VMCLEAR */
int insn_vmclear(struct vcpu *vcpu)
{
	struct nested *n = &vcpu->nested;
	const u32 clear = VMCS12_CLEAR;
	gpa_t gpa;
	int ret;

	ret = insn_read_vmptr(vcpu, &gpa, VMXERR_VMCLEAR_INVALID_ADDRESS, VMXERR_VMCLEAR_VMXON_POINTER);
	if (ret != INSN_GO_ON)
		return ret;
	if (gpa == n->vmptr) {
		n->vmcs12->launch_state = VMCS12_CLEAR;
		vmcs12_flush(vcpu);
	} else {
		/* Not current here: active on another vCPU it is L1's mistake, and only the memory changes. */
		(void)vm_write_guest(vcpu->vm, gpa + offsetof(struct vmcs12, launch_state), &clear, sizeof(clear));
	}
	return nested_vmsucceed(vcpu);
}

/**
 * vmcs12_revision_ok() - a revision word as VMPTRLD accepts it
 * @vcpu: whose
 * @rev: the first word of a VMCS region
 *
 * Ours, and the shadow bit only where L1 was offered VMCS shadowing.
 */
bool vmcs12_revision_ok(struct vcpu *vcpu, u32 rev)
{
	if ((rev & VMCS12_SHADOW_BIT) && !(vcpu->nested.gates & BIT(GATE_SHADOW_VMCS)))
		return false;
	return (rev & ~VMCS12_SHADOW_BIT) == VMCS12_REVISION;
}

/* SDM 3C 31.3, VMPTRLD */
int insn_vmptrld(struct vcpu *vcpu)
{
	gpa_t gpa;
	u32 rev;
	int ret;

	ret = insn_read_vmptr(vcpu, &gpa, VMXERR_VMPTRLD_INVALID_ADDRESS, VMXERR_VMPTRLD_VMXON_POINTER);
	if (ret != INSN_GO_ON)
		return ret;
	if (gpa == vcpu->nested.vmptr)
		return nested_vmsucceed(vcpu);
	if (vm_read_guest(vcpu->vm, gpa, &rev, sizeof(rev)) || !vmcs12_revision_ok(vcpu, rev))
		return nested_vmfail(vcpu, VMXERR_VMPTRLD_INCORRECT_VMCS_REVISION_ID);
	vmcs12_flush(vcpu);
	/* The region ends in other memory than it begins, or was taken away just now: it has no revision. */
	if (vmcs12_load(vcpu, gpa))
		return nested_vmfail(vcpu, VMXERR_VMPTRLD_INCORRECT_VMCS_REVISION_ID);
	return nested_vmsucceed(vcpu);
}

/* SDM 3C 31.3, VMPTRST */
int insn_vmptrst(struct vcpu *vcpu)
{
	gpa_t gpa = vcpu->nested.vmptr;
	int ret;

	ret = insn_write_operand(vcpu, &gpa, sizeof(gpa));
	return ret == INSN_GO_ON ? nested_vmsucceed(vcpu) : ret;
}
