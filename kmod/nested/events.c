// SPDX-License-Identifier: GPL-2.0
/* Events that come while L2 runs: which L1 gets as exits, and in what order. SDM 3C 26.2, 26.5, 3A table 6-2. */
#include <asm/trapnr.h>
#include "droste.h"
#include "irqchip/irqchip.h"
#include "nested/nested.h"
#include "nested/route.h"
#include "nested/vmcs02.h"
#include "vmx/regs.h"
#include "vmx/vmx.h"

bool nested_wants_exception(struct vcpu *vcpu, u8 vector, u32 error_code)
{
	return route_l1_takes_exception(vcpu->nested.vmcs12, vector, error_code);
}

bool nested_wants_extint(struct vcpu *vcpu)
{
	return vcpu->nested.vmcs12->pin_based_vm_exec_control & PIN_BASED_EXT_INTR_MASK;
}

bool nested_wants_nmi(struct vcpu *vcpu)
{
	return vcpu->nested.vmcs12->pin_based_vm_exec_control & PIN_BASED_NMI_EXITING;
}

/* What waits for L1, in falling priority. */
enum nested_event {
	L1_EVENT_NONE,
	L1_EVENT_TRIPLE_FAULT,	/* L2 shut down in L0's hands: exit reason 2 */
	L1_EVENT_INIT,
	L1_EVENT_SIPI,
	L1_EVENT_EXCEPTION,		/* raised by L0's emulation, and L1 intercepts it */
	L1_EVENT_MTF,
	L1_EVENT_DEBUG_TRAP,		/* like L1_EVENT_EXCEPTION, but below MTF (SDM 26.5.2) */
	L1_EVENT_TIMER,
	L1_EVENT_NMI,
	L1_EVENT_INTERRUPT,
};

static bool events_exception_for_l1(struct vcpu *vcpu)
{
	const struct event *ev = &vcpu->ev.exception;

	return ev->valid && nested_wants_exception(vcpu, ev->vector, ev->error_code);
}

/* INIT always ends up in L1; SIPIs only where L2 waits for one, elsewhere they are lost (SDM 26.2). */
static enum nested_event events_startup(struct vcpu *vcpu)
{
	u32 pending;

	if (!vcpu->lapic)
		return L1_EVENT_NONE;
	pending = vlapic_pending_init(vcpu);
	if (likely(!pending))
		return L1_EVENT_NONE;
	if (vcpu->mp_state == KVM_MP_STATE_INIT_RECEIVED) {
		/* INIT is blocked while waiting for SIPI (SDM 25.4.2). */
		return pending & VLAPIC_SIPI ? L1_EVENT_SIPI : L1_EVENT_NONE;
	}
	return pending & VLAPIC_INIT ? L1_EVENT_INIT : L1_EVENT_NONE;
}

static bool events_interrupt_pending(struct vcpu *vcpu)
{
	return irqchip_pending_vector(vcpu) >= 0;
}

/* SDM 3A table 6-2, with VMX's own events where 3C 26.5 puts them. */
static enum nested_event events_first(struct vcpu *vcpu)
{
	enum nested_event startup;
	bool trap;

	if (unlikely(vcpu->ev.triple_fault))
		return L1_EVENT_TRIPLE_FAULT;
	startup = events_startup(vcpu);
	if (unlikely(startup != L1_EVENT_NONE))
		return startup;
	/* Waiting for SIPI nothing else comes through. */
	if (unlikely(vcpu->mp_state == KVM_MP_STATE_INIT_RECEIVED))
		return L1_EVENT_NONE;
	trap = vcpu->ev.exception.vector == X86_TRAP_DB;
	if (events_exception_for_l1(vcpu) && !trap)
		return L1_EVENT_EXCEPTION;
	if (unlikely(vcpu->nested.mtf_pending))
		return L1_EVENT_MTF;
	if (events_exception_for_l1(vcpu))
		return L1_EVENT_DEBUG_TRAP;
	/* L2's own exception comes before what is left; L0 injects it. */
	if (vcpu->ev.exception.valid)
		return L1_EVENT_NONE;
	if (ptimer_expired(vcpu))
		return L1_EVENT_TIMER;
	if ((vcpu->ev.nmi_pending || atomic_read(&vcpu->ev.nmi_queued)) && nested_wants_nmi(vcpu))
		return L1_EVENT_NMI;
	if (nested_wants_extint(vcpu) && events_interrupt_pending(vcpu))
		return L1_EVENT_INTERRUPT;
	return L1_EVENT_NONE;
}

/*
 * Exceptions belong to the instruction that raised them, even when it was the
 * delivery of another event; everything else waits for the next instruction
 * boundary, and so for an event that must be delivered again.
 */
static bool events_blocked(struct vcpu *vcpu, enum nested_event ev)
{
	if (vcpu->nested.entry_pending)
		return true;
	if (ev == L1_EVENT_EXCEPTION || ev == L1_EVENT_DEBUG_TRAP || ev == L1_EVENT_TRIPLE_FAULT)
		return false;
	return vcpu->ev.injected.valid;
}

static void events_exit_exception(struct vcpu *vcpu)
{
	const struct event ev = vcpu->ev.exception;
	u32 info = ev.vector | ev.type | INTR_INFO_VALID_MASK;

	/*
	 * No error code in real mode (SDM 28.2.2), and none is wider than 16 bits,
	 * whatever user space queued. CR2 and DR6 stay: L1 reads the qualification.
	 */
	if (ev.has_error && (vcpu_cr0(vcpu) & X86_CR0_PE))
		info |= INTR_INFO_DELIVER_CODE_MASK;
	nested_vmexit(vcpu, EXIT_REASON_EXCEPTION_NMI, ev.has_payload ? ev.payload : 0, info, (u16)ev.error_code);
}

static void events_exit_nmi(struct vcpu *vcpu)
{
	if (vcpu->ev.nmi_pending)
		vcpu->ev.nmi_pending--;
	else
		atomic_dec(&vcpu->ev.nmi_queued);
	nested_vmexit(vcpu, EXIT_REASON_EXCEPTION_NMI, 0,
		      X86_TRAP_NMI | INTR_TYPE_NMI_INTR | INTR_INFO_VALID_MASK, 0);
	/* The exit blocks NMIs in L1 (SDM 28.5.5). */
	vmcs_set_bits(GUEST_INTERRUPTIBILITY_INFO, GUEST_INTR_STATE_NMI);
}

/*
 * SDM 25.7.1: acknowledged on exit, the vector is told and the interrupt is in
 * service; else it stays pending. What the vector turns out to be when it is
 * acknowledged decides whether it is an exit, or notifies of others (SDM 30.6).
 */
static void events_take_interrupt(struct vcpu *vcpu)
{
	int vector;

	if (!(vcpu->nested.vmcs12->vm_exit_controls & VM_EXIT_ACK_INTR_ON_EXIT)) {
		nested_vmexit(vcpu, EXIT_REASON_EXTERNAL_INTERRUPT, 0, 0, 0);
		return;
	}
	vector = irqchip_ack(vcpu);
	if (vector < 0)
		return;
	if (apicv_is_notification(vcpu, vector))
		apicv_post(vcpu);
	else
		nested_vmexit(vcpu, EXIT_REASON_EXTERNAL_INTERRUPT, 0,
			      vector | INTR_TYPE_EXT_INTR | INTR_INFO_VALID_MASK, 0);
}

static void events_deliver(struct vcpu *vcpu, enum nested_event ev)
{
	switch (ev) {
	case L1_EVENT_NONE:
		break;
	case L1_EVENT_TRIPLE_FAULT:
		vcpu->ev.triple_fault = false;
		nested_vmexit(vcpu, EXIT_REASON_TRIPLE_FAULT, 0, 0, 0);
		break;
	case L1_EVENT_INIT:
		vlapic_clear_init(vcpu, VLAPIC_INIT);
		nested_vmexit(vcpu, EXIT_REASON_INIT_SIGNAL, 0, 0, 0);
		break;
	case L1_EVENT_SIPI:
		vlapic_clear_init(vcpu, VLAPIC_SIPI);
		nested_vmexit(vcpu, EXIT_REASON_SIPI_SIGNAL, vlapic_sipi_vector(vcpu), 0, 0);
		break;
	case L1_EVENT_EXCEPTION:
	case L1_EVENT_DEBUG_TRAP:
		events_exit_exception(vcpu);
		break;
	case L1_EVENT_MTF:
		nested_vmexit(vcpu, EXIT_REASON_MONITOR_TRAP_FLAG, 0, 0, 0);
		break;
	case L1_EVENT_TIMER:
		nested_vmexit(vcpu, EXIT_REASON_PREEMPTION_TIMER, 0, 0, 0);
		break;
	case L1_EVENT_NMI:
		events_exit_nmi(vcpu);
		break;
	case L1_EVENT_INTERRUPT:
		events_take_interrupt(vcpu);
		break;
	}
}

/**
 * nested_check_events() - turn what L1 intercepts into exits to it
 * @vcpu: in L2, loaded
 *
 * Process context, srcu held, before each entry.
 *
 * Return: 0 when there was nothing or it was done (L1 runs then); -EBUSY when
 * there is something, but an entry has to come first.
 */
int nested_check_events(struct vcpu *vcpu)
{
	enum nested_event ev;

	do {
		ev = events_first(vcpu);
		if (likely(ev == L1_EVENT_NONE))
			return 0;
		if (events_blocked(vcpu, ev))
			return -EBUSY;
		events_deliver(vcpu, ev);
	} while (vcpu->in_l2);
	return 0;
}

bool nested_has_events(struct vcpu *vcpu)
{
	enum nested_event ev = events_first(vcpu);

	return ev != L1_EVENT_NONE && !events_blocked(vcpu, ev);
}
