// SPDX-License-Identifier: GPL-2.0
/* VMCLEAR, VMPTRLD and VMPTRST of L1, which copy VMCS12 between L1's memory and L0's. SDM 3C 31.3. */
#include <linux/kernel.h>
#include <linux/mm.h>
#include "droste.h"
#include "mem/memslot.h"
#include "nested/insn.h"
#include "nested/nested.h"

/**
 * insn_load_vmcs12() - make the VMCS at @gpa L1's current VMCS
 * @vcpu: in L1, without a current VMCS
 * @gpa: address of the VMCS, page-aligned and legal; its revision was checked
 *
 * L1's memory is read only here; from now on L0 uses its copy.
 *
 * Context: Process context. VMCS01 is current. Caller holds vm->srcu. May sleep.
 * Return: 0, or -EFAULT if there is no memory; then no VMCS is current.
 */
static int insn_load_vmcs12(struct vcpu *vcpu, u64 gpa)
{
	struct nested *n = &vcpu->nested;

	if (vm_read_guest(vcpu->vm, gpa, n->vmcs12, sizeof(*n->vmcs12)))
		return -EFAULT;
	vmcs12_adopt(vcpu, gpa);
	return 0;
}

/**
 * vmcs12_adopt() - make the contents of nested.vmcs12 L1's current VMCS
 * @vcpu: in L1
 * @gpa: address of the VMCS in L1's memory
 *
 * Context: Process context. VMCS01 is current. May sleep.
 */
void vmcs12_adopt(struct vcpu *vcpu, u64 gpa)
{
	struct nested *n = &vcpu->nested;

	/* Another vCPU may have changed the revision since it was checked. */
	n->vmcs12->revision_id &= VMCS12_SHADOW_BIT;
	n->vmcs12->revision_id |= VMCS12_REVISION;
	if (n->vmcs12->launch_state != VMCS12_LAUNCHED)
		n->vmcs12->launch_state = VMCS12_CLEAR;
	n->vmptr = gpa;
	nested_changed(n);
	n->vmcs12_dirty = DIRTY12_ALL;
	n->vmcs02_stale = false;
	nested_shadow_update(vcpu);
}

/**
 * vmcs12_flush() - write L1's current VMCS back to L1's memory
 * @vcpu: in L1; may be outside VMX operation or without a current VMCS
 *
 * Reads the rare state back from VMCS02 first. A write to missing or read-only
 * memory is lost, as it is on a processor. L1 has no current VMCS afterwards.
 *
 * Context: Process context. VMCS01 is current. Caller holds vm->srcu. May sleep.
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
	nested_changed(n);
	nested_shadow_update(vcpu);
}

/* Read and check the operand of VMCLEAR or VMPTRLD. The two differ in the VM-instruction errors for a bad address. */
static int insn_read_vmptr(struct vcpu *vcpu, gpa_t *gpa, u32 bad_address, u32 vmxon_pointer)
{
	int ret = insn_read_operand(vcpu, gpa, sizeof(*gpa));

	if (ret != NEXT_GO_ON)
		return ret;
	if (!PAGE_ALIGNED(*gpa) || !gpa_legal(vcpu, *gpa))
		return nested_vmfail(vcpu, bad_address);
	if (*gpa == vcpu->nested.vmxon_gpa)
		return nested_vmfail(vcpu, vmxon_pointer);
	/* The region, and that of the current VMCS, to which VMPTRLD and VMCLEAR may write. */
	if (vm_await_guest(vcpu->vm, *gpa) ||
	    (vcpu->nested.vmptr != VMPTR_NONE && vm_await_guest(vcpu->vm, vcpu->nested.vmptr)))
		return NEXT_ENTER;
	return NEXT_GO_ON;
}

/**
 * insn_vmclear() - execute VMCLEAR for L1 (SDM 3C 31.3)
 * @vcpu: in L1, in VMX operation at CPL 0
 *
 * Context: Process context. VMCS01 is current. Caller holds vm->srcu. May sleep.
 * Return: enum next or a negative errno.
 */
int insn_vmclear(struct vcpu *vcpu)
{
	struct nested *n = &vcpu->nested;
	const u32 clear = VMCS12_CLEAR;
	gpa_t gpa;
	int ret;

	ret = insn_read_vmptr(vcpu, &gpa, VMXERR_VMCLEAR_INVALID_ADDRESS, VMXERR_VMCLEAR_VMXON_POINTER);
	if (ret != NEXT_GO_ON)
		return ret;
	/* L1 may use the page for something else now. */
	if (n->delegate && (n->delegate & PAGE_MASK) == gpa)
		n->delegate = 0;
	if (gpa == n->vmptr) {
		n->vmcs12->launch_state = VMCS12_CLEAR;
		vmcs12_flush(vcpu);
	} else {
		/* Not current on this vCPU. L1 must not clear a VMCS that is active on another vCPU. */
		(void)vm_write_guest(vcpu->vm, gpa + offsetof(struct vmcs12, launch_state), &clear, sizeof(clear));
	}
	return nested_vmsucceed(vcpu);
}

/**
 * vmcs12_revision_ok() - whether VMPTRLD accepts a VMCS revision (SDM 3C 25.2)
 * @vcpu: the vCPU
 * @rev: first word of the VMCS region
 *
 * The shadow bit is accepted only if L1 was offered VMCS shadowing.
 *
 * Context: Any.
 * Return: true if it does.
 */
bool vmcs12_revision_ok(struct vcpu *vcpu, u32 rev)
{
	if ((rev & VMCS12_SHADOW_BIT) && !(vcpu->nested.gates & BIT(GATE_SHADOW_VMCS)))
		return false;
	return (rev & ~VMCS12_SHADOW_BIT) == VMCS12_REVISION;
}

/**
 * insn_vmptrld() - execute VMPTRLD for L1 (SDM 3C 31.3)
 * @vcpu: in L1, in VMX operation at CPL 0
 *
 * Context: Process context. VMCS01 is current. Caller holds vm->srcu. May sleep.
 * Return: enum next or a negative errno.
 */
int insn_vmptrld(struct vcpu *vcpu)
{
	gpa_t gpa;
	u32 rev;
	int ret;

	ret = insn_read_vmptr(vcpu, &gpa, VMXERR_VMPTRLD_INVALID_ADDRESS, VMXERR_VMPTRLD_VMXON_POINTER);
	if (ret != NEXT_GO_ON)
		return ret;
	if (gpa == vcpu->nested.vmptr)
		return nested_vmsucceed(vcpu);
	if (vm_read_guest(vcpu->vm, gpa, &rev, sizeof(rev)) || !vmcs12_revision_ok(vcpu, rev))
		return nested_vmfail(vcpu, VMXERR_VMPTRLD_INCORRECT_VMCS_REVISION_ID);
	vmcs12_flush(vcpu);
	/* Part of the region has no memory, or its slot was removed a moment ago: treat it as a wrong revision. */
	if (insn_load_vmcs12(vcpu, gpa))
		return nested_vmfail(vcpu, VMXERR_VMPTRLD_INCORRECT_VMCS_REVISION_ID);
	return nested_vmsucceed(vcpu);
}

/**
 * insn_vmptrst() - execute VMPTRST for L1 (SDM 3C 31.3)
 * @vcpu: in L1, in VMX operation at CPL 0
 *
 * Context: Process context. VMCS01 is current. Caller holds vm->srcu. May sleep.
 * Return: enum next or a negative errno.
 */
int insn_vmptrst(struct vcpu *vcpu)
{
	gpa_t gpa = vcpu->nested.vmptr;
	int ret;

	ret = insn_write_operand(vcpu, &gpa, sizeof(gpa));
	return ret == NEXT_GO_ON ? nested_vmsucceed(vcpu) : ret;
}
