// SPDX-License-Identifier: GPL-2.0
/* EPT violations of EPT02 on the short way: those that are violations or misconfigurations of EPT12. SDM 3C 29.3.3. */
#include "droste.h"
#include "ept/ept.h"
#include "ept/ept12.h"
#include "mem/l2gpa.h"
#include "mem/memslot.h"
#include "nested/nested.h"
#include "nested/vmcs02.h"
#include "vmx/inject.h"
#include "vmx/vmx.h"

/**
 * nested_again_ept() - turn an EPT violation of EPT02 into the exit that L1 is due
 * @vcpu: in L2, has just exited because of the violation; no register is cached
 *
 * Does what nested_handle_ept() does for a violation or misconfiguration of EPT12, if
 * L2 was not delivering an event, and the entry is in the table that was used last.
 *
 * Context: Interrupts disabled. VMCS02 is current. Does not sleep.
 * Return: true with vcpu->exit changed; false if the general path must handle the exit.
 */
bool nested_again_ept(struct vcpu *vcpu)
{
	struct ept02 *ept02 = &vcpu->nested.ept02;
	struct vmx_exit *e = &vcpu->exit;
	enum ept12_verdict verdict;
	struct ept12_result res;
	u64 access;
	int idx;

	if (unlikely(!ept02->cur || current->mm != vcpu->vm->mm))
		return false;
	/* L1 has probably mapped the page, and EPT02 must be filled. */
	if (vmcs_read(GUEST_PHYSICAL_ADDRESS) >> PAGE_SHIFT == ept02->shown) {
		ept02->shown = 0;
		return false;
	}
	vmx_snapshot_exit(vcpu);
	if (unlikely((e->idt_info & VECTORING_INFO_VALID_MASK) || vmx_exit_of_iret(e)))
		return false;
	access = ept12_access(ept02->cur->eptp12, e->qual);
	idx = memslot_begin_nofault(vcpu->vm);
	verdict = ept12_translate_again(vcpu, e->gpa, access, &res);
	memslot_end_nofault(vcpu->vm, idx);
	switch (verdict) {
	case EPT12_VIOLATION:
		e->qual = ept12_violation_qual(e->qual, &res);
		ept02->shown = e->gpa >> PAGE_SHIFT;
		return true;
	case EPT12_MISCONFIG:
		e->reason = EXIT_REASON_EPT_MISCONFIG;
		e->basic = EXIT_REASON_EPT_MISCONFIG;
		e->qual = 0;
		return true;
	default:
		return false;
	}
}
