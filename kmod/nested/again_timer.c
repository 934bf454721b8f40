// SPDX-License-Identifier: GPL-2.0
/* Deadlines of L1 that L0's VMX-preemption timer has kept while L2 ran, on the short way. SDM 3C 26.5.1, 26.2. */
#include "droste.h"
#include "irqchip/irqchip.h"
#include "nested/nested.h"
#include "nested/vmcs02.h"
#include "pv/pveoi.h"
#include "run/request.h"
#include "vmx/vmx.h"

/* Make vcpu->exit the exit that L1 is due. */
static bool again_exit_becomes(struct vcpu *vcpu, u16 reason, u32 intr_info)
{
	vcpu->exit.reason = reason;
	vcpu->exit.basic = reason;
	vcpu->exit.intr_info = intr_info;
	vcpu->exit.ilen = 0;
	return true;
}

/* Whether an interrupt exits to L1 with its vector, and L1 asks for no window that would exit before it. */
static bool again_interrupts_exit(const struct vmcs12 *v)
{
	return (v->pin_based_vm_exec_control & PIN_BASED_EXT_INTR_MASK) && (v->vm_exit_controls & VM_EXIT_ACK_INTR_ON_EXIT) &&
	       !(v->cpu_based_vm_exec_control & (CPU_BASED_INTR_WINDOW_EXITING | CPU_BASED_NMI_WINDOW_EXITING));
}

/*
 * Take the interrupt of L1's local APIC timer, and of no other source that
 * comes before it. Returns -1 if nested_check_events() must look at the events.
 * No request was made before.
 */
static int again_take_interrupt(struct vcpu *vcpu)
{
	const struct vmcs12 *v = vcpu->nested.vmcs12;
	int vector, except = v->pin_based_vm_exec_control & PIN_BASED_POSTED_INTR ? v->posted_intr_nv : -1;

	/* Mostly nothing else is pending. */
	vector = vlapic_timer_ack(vcpu, except);
	if (likely(vector >= 0))
		return vector;
	vlapic_timer_request(vcpu);
	/* An event that another thread adds after the exchange makes its request again. */
	if (cmpxchg(&vcpu->requests, BIT(REQ_EVENT), 0) != BIT(REQ_EVENT))
		return -1;
	vector = atomic_read(&vcpu->ev.nmi_queued) || vlapic_pending_init(vcpu) ? -1 :
		 irqchip_ack_local(vcpu, except);
	if (unlikely(vector < 0 || irqchip_pending_vector(vcpu) >= 0))
		vcpu_request(vcpu, REQ_EVENT);
	return vector;
}

/**
 * nested_again_deadline() - turn an exit of L0's VMX-preemption timer into the exit that L1 is due
 * @vcpu: in L2, has just exited because of the timer; no event was pending before
 *
 * L1's own VMX-preemption timer precedes interrupts, as in nested_check_events().
 *
 * Context: Interrupts disabled. VMCS02 is current.
 * Return: true with vcpu->exit changed; false if the general path must handle the exit.
 */
bool nested_again_deadline(struct vcpu *vcpu)
{
	int vector;

	if (unlikely(READ_ONCE(vcpu->requests) || !vmx_timer_usable(vcpu)))
		return false;
	/* What ptimer_expired() does while the processor's timer is in use. */
	if (vcpu->timer.l2 && (s64)(rdtsc_ordered() - vcpu->timer.l2) >= 0)
		return again_exit_becomes(vcpu, EXIT_REASON_PREEMPTION_TIMER, 0);
	if (!vcpu->timer.apic || !again_interrupts_exit(vcpu->nested.vmcs12))
		return false;
	vector = again_take_interrupt(vcpu);
	if (vector < 0)
		return false;
	pv_eoi_offer(vcpu);
	return again_exit_becomes(vcpu, EXIT_REASON_EXTERNAL_INTERRUPT,
				  vector | INTR_TYPE_EXT_INTR | INTR_INFO_VALID_MASK);
}
