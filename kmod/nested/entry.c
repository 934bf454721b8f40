// SPDX-License-Identifier: GPL-2.0
/* VMLAUNCH and VMRESUME past their basic checks: from L1 into L2. SDM 3C 27. */
#include "droste.h"
#include "nested/checks.h"
#include "nested/insn.h"
#include "nested/nested.h"
#include "nested/vmcs02.h"
#include "vmx/vmx.h"

/* What VMCS01 keeps of L1 while vcpu's members show L2. VMCS01 is current. */
static u64 entry_remember_l1(struct vcpu *vcpu)
{
	struct nested *n = &vcpu->nested;
	u32 state = vmcs_read(GUEST_INTERRUPTIBILITY_INFO);

	n->l1_efer = vcpu->efer;
	n->l1_pat = vcpu->pat;
	n->l1_dr7 = vcpu->dr7;
	/* L1 comes back without blocking by STI or MOV SS (SDM 3C 28.5.5). */
	if (unlikely(state & (GUEST_INTR_STATE_STI | GUEST_INTR_STATE_MOV_SS)))
		vmcs_write(GUEST_INTERRUPTIBILITY_INFO,
			   state & ~(u32)(GUEST_INTR_STATE_STI | GUEST_INTR_STATE_MOV_SS));
	if (n->vmcs12->vm_entry_controls & VM_ENTRY_LOAD_DEBUG_CONTROLS)
		return 0;
	return vmcs_read(GUEST_IA32_DEBUGCTL);
}

/* Will an entry into the HLT state stay there? Not with an event, nor with an open window (SDM 3C 27.7.2, 26.2). */
static bool entry_stays_halted(const struct vmcs12 *v)
{
	if (v->vm_entry_intr_info_field & INTR_INFO_VALID_MASK)
		return false;
	if (v->cpu_based_vm_exec_control & CPU_BASED_NMI_WINDOW_EXITING)
		return false;
	return !((v->cpu_based_vm_exec_control & CPU_BASED_INTR_WINDOW_EXITING) &&
		 (v->guest_rflags & X86_EFLAGS_IF));
}

/*
 * An L2 that starts inactive waits in L0, which needs the processor for
 * others: the entry is over then, and what ends the wait may also exit to L1.
 */
static void entry_set_activity(struct vcpu *vcpu)
{
	struct nested *n = &vcpu->nested;

	switch (n->vmcs12->guest_activity_state) {
	case GUEST_ACTIVITY_HLT:
		if (!entry_stays_halted(n->vmcs12))
			return;
		vcpu->mp_state = KVM_MP_STATE_HALTED;
		/* A virtual interrupt that is due wakes it: that is seen in L1's page. */
		vmcs02_place_pages(vcpu);
		break;
	case GUEST_ACTIVITY_WAIT_SIPI:
		vcpu->mp_state = KVM_MP_STATE_INIT_RECEIVED;
		break;
	default:
		return;
	}
	n->entry_pending = false;
}

/**
 * nested_run() - enter L2
 * @vcpu: in L1, at its VMLAUNCH or VMRESUME; a VMCS is current, of the right
 *	launch state, with the shadow's writable fields fetched
 * @launch: VMLAUNCH
 *
 * The order is the SDM's (3C 27, introduction): controls and host state fail
 * the instruction; guest state and the MSR-load list fail the entry, which L1
 * sees as an exit. Until then nothing of L1 has changed.
 *
 * Return: enum next or a negative errno.
 */
int nested_run(struct vcpu *vcpu, bool launch)
{
	struct nested *n = &vcpu->nested;
	struct vmcs12 *v = n->vmcs12;
	u64 qual, l1_debugctl;
	u32 error, index;

	error = nested_check_vmfail(vcpu);
	if (unlikely(error))
		return nested_vmfail(vcpu, error);
	if (unlikely(!nested_check_guest(vcpu, &qual))) {
		entry_remember_l1(vcpu);
		nested_entry_failed(vcpu, EXIT_REASON_INVALID_STATE, qual);
		return NEXT_ENTER;
	}
	/* Out of memory: nothing happened yet, and the next KVM_RUN executes the instruction again. */
	if (unlikely(vmcs02_eptp(vcpu)))
		return -ENOMEM;

	l1_debugctl = entry_remember_l1(vcpu);
	vmcs02_enter(vcpu);
	qual = vmcs02_write(vcpu, l1_debugctl);
	if (unlikely(qual)) {
		nested_entry_failed(vcpu, EXIT_REASON_INVALID_STATE, qual);
		return NEXT_ENTER;
	}
	if (unlikely(v->vm_entry_msr_load_count)) {
		index = msrlist_load(vcpu, v->vm_entry_msr_load_addr, v->vm_entry_msr_load_count);
		if (index) {
			nested_entry_failed(vcpu, EXIT_REASON_MSR_LOAD_FAIL, index);
			return NEXT_ENTER;
		}
	}
	/* Up to here an exit to L1 would undo an instruction that did not finish; from here on L2 runs first. */
	vcpu->stats.nested_run++;
	n->entry_pending = true;
	n->mtf_pending = false;
	ptimer_start(vcpu);
	if (unlikely(v->guest_activity_state != GUEST_ACTIVITY_ACTIVE))
		entry_set_activity(vcpu);
	return NEXT_ENTER;
}

void nested_reenter(struct vcpu *vcpu, bool run_pending)
{
	struct nested *n = &vcpu->nested;
	u64 l1_debugctl;

	/* Out of memory: nested_before_entry() tries again. */
	(void)vmcs02_eptp(vcpu);
	l1_debugctl = entry_remember_l1(vcpu);
	vmcs02_enter(vcpu);
	/* Memory with the PDPTEs may come later. */
	n->pdptes_due = vmcs02_write(vcpu, l1_debugctl);
	n->entry_pending = run_pending;
}
