// SPDX-License-Identifier: GPL-2.0
/* VM entry of L1 into L2, after the basic checks of VMLAUNCH and VMRESUME. SDM 3C 27. */
#include "droste.h"
#include "irqchip/irqchip.h"
#include "nested/checks_vcpu.h"
#include "nested/insn.h"
#include "nested/nested.h"
#include "nested/vmcs02.h"
#include "trace.h"
#include "vmx/vmx.h"

/*
 * Save the state of L1 whose members in struct vcpu will show L2. @state is its
 * interruptibility state. Any VMCS may be current.
 */
static void entry_remember_l1(struct vcpu *vcpu, u32 state)
{
	struct nested *n = &vcpu->nested;
	const u32 ends = BLOCKING_ONE_INSN | GUEST_INTR_STATE_NMI;

	n->l1_efer = vcpu->efer;
	n->l1_pat = vcpu->pat;
	n->l1_dr7 = vcpu->dr7;
	n->l1_nmi_blocked = state & GUEST_INTR_STATE_NMI;
	/*
	 * An exit to L1 clears blocking by STI and MOV SS. Blocking by NMI is L2's
	 * from here on; the exit sets it in VMCS01 if it lasts (SDM 3C 28.5.5).
	 */
	if (unlikely(state & ends)) {
		vcpu_reload_vmcs(vcpu);
		vmcs_write(GUEST_INTERRUPTIBILITY_INFO, state & ~ends);
	}
}

/*
 * Whether L2 stays in the HLT state that VMCS12 enters it with. An injected
 * event or a pending debug exception ends that state (SDM 3C 27.7.2, 27.7.3).
 * nested_check_events() sees the other events that do. VMCS02 is current.
 */
static bool entry_stays_halted(const struct vmcs12 *v)
{
	return !(v->vm_entry_intr_info_field & INTR_INFO_VALID_MASK) &&
	       !(vmcs_read(GUEST_PENDING_DBG_EXCEPTIONS) & PENDING_DBG_VALID);
}

/* Whether L1 injects a pending MTF exit, which comes at once and does not end HLT (SDM 3C 27.7.8). */
static bool entry_injects_mtf(const struct vmcs12 *v)
{
	return (v->vm_entry_intr_info_field & (INTR_INFO_VALID_MASK | INTR_INFO_INTR_TYPE_MASK)) ==
	       (INTR_INFO_VALID_MASK | INTR_TYPE_OTHER_EVENT);
}

/*
 * An L2 that starts inactive waits in L0, so that the processor is free for
 * others. Its entry is complete at once: the event that ends the wait may exit
 * to L1 before L2 has run.
 */
static void entry_set_activity(struct vcpu *vcpu)
{
	struct nested *n = &vcpu->nested;

	switch (n->vmcs12->guest_activity_state) {
	case GUEST_ACTIVITY_HLT:
		if (entry_injects_mtf(n->vmcs12)) {
			vmcs_write(VM_ENTRY_INTR_INFO_FIELD, 0);
			n->mtf_pending = true;
		} else if (!entry_stays_halted(n->vmcs12)) {
			return;
		}
		vcpu->mp_state = KVM_MP_STATE_HALTED;
		/* apicv_interrupt_due() reads L1's virtual-APIC page to see whether a virtual interrupt wakes L2. */
		vmcs02_place_pages(vcpu, false);
		break;
	case GUEST_ACTIVITY_WAIT_SIPI:
		/* A SIPI that arrived before the entry found L1 running, and is lost. */
		vlapic_clear_init(vcpu, VLAPIC_SIPI);
		vcpu->mp_state = KVM_MP_STATE_INIT_RECEIVED;
		break;
	default:
		return;
	}
	n->entry_pending = false;
	if (vcpu->mp_state == KVM_MP_STATE_HALTED && tpr_exit_due(n))
		nested_vmexit(vcpu, EXIT_REASON_TPR_BELOW_THRESHOLD, 0, 0, 0);
}

/**
 * nested_run() - check VMCS12 and enter L2
 * @vcpu: in L1, at VMLAUNCH or VMRESUME; L1 has a current VMCS whose launch
 *	state fits, and nested_shadow_fetch_entry() was called
 * @blocking: L1's interruptibility state
 *
 * The order is that of SDM 3C 27, introduction. Bad controls or host state
 * fail the instruction. Bad guest state or a bad MSR-load list fail the entry,
 * which L1 sees as an exit.
 *
 * Context: Process context. Any VMCS may be current. VMCS02 is current afterwards
 * if L2 was entered, VMCS01 otherwise. Caller holds vm->srcu. May sleep.
 * Return: enum next or a negative errno.
 */
int nested_run(struct vcpu *vcpu, u32 blocking)
{
	struct nested *n = &vcpu->nested;
	struct vmcs12 *v = n->vmcs12;
	u32 error, index, dirty = n->vmcs12_dirty;
	u64 qual;

	n->last_failed_check = CHECK_OK;
	error = nested_check_vmfail(vcpu);
	if (unlikely(error)) {
		vcpu_reload_vmcs(vcpu);
		nested_note_failure(vcpu, error, 0);
		trace_droste_entry_failed(vcpu, error, 0);
		return nested_vmfail(vcpu, error);
	}
	if (unlikely(!nested_check_guest(vcpu, &qual))) {
		vcpu_reload_vmcs(vcpu);
		entry_remember_l1(vcpu, blocking);
		nested_entry_failed(vcpu, EXIT_REASON_INVALID_STATE, qual);
		return NEXT_ENTER;
	}
	/* Nothing has changed yet, so the next KVM_RUN can execute the instruction again. */
	if (unlikely(vmcs02_eptp(vcpu))) {
		vcpu_reload_vmcs(vcpu);
		return -ENOMEM;
	}
	entry_remember_l1(vcpu, blocking);
	vmcs02_enter(vcpu);
	qual = vmcs02_write(vcpu);
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
	/* The entry succeeded: from here on, L2 must run before anything may exit to L1. */
	vcpu->stats.nested_run++;
	n->entry_pending = true;
	n->mtf_pending = false;
	trace_droste_l1_entry(vcpu, dirty);
	ptimer_start(vcpu);
	if (unlikely(v->guest_activity_state != GUEST_ACTIVITY_ACTIVE))
		entry_set_activity(vcpu);
	return NEXT_ENTER;
}

/**
 * nested_reenter() - put the vCPU back into an L2 that user space restores
 * @vcpu: L1's current VMCS is the restored one, checked by nested_check_restored()
 * @run_pending: L1's VM entry has succeeded, but L2 has not run yet and has not
 *	received the event that the entry injects
 *
 * Context: Process context. VMCS01 is current, VMCS02 afterwards. Caller holds
 * vm->srcu. May sleep.
 */
void nested_reenter(struct vcpu *vcpu, bool run_pending)
{
	struct nested *n = &vcpu->nested;

	/* If this runs out of memory, nested_before_entry() tries again. */
	(void)vmcs02_eptp(vcpu);
	entry_remember_l1(vcpu, vmcs_read(GUEST_INTERRUPTIBILITY_INFO));
	vmcs02_enter(vcpu);
	/* User space may restore the memory with the PDPTEs later. */
	n->pdptes_due = vmcs02_write(vcpu);
	n->entry_pending = run_pending;
}
