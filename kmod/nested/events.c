// SPDX-License-Identifier: GPL-2.0
/* Events while L2 runs: which of them become exits to L1, and in which order. SDM 3C 26.2, 26.5, 3A table 6-2. */
#include <asm/trapnr.h>
#include "droste.h"
#include "irqchip/irqchip.h"
#include "nested/nested.h"
#include "nested/route.h"
#include "nested/vmcs02.h"
#include "pv/pveoi.h"
#include "vmx/inject.h"
#include "vmx/regs.h"
#include "vmx/vmx.h"

/**
 * nested_wants_exception() - whether L1 intercepts an exception of L2
 * @vcpu: in L2
 * @vector: the exception
 * @error_code: its error code; read for page faults only
 *
 * Context: Any.
 * Return: true if it must exit to L1.
 */
static bool nested_wants_exception(struct vcpu *vcpu, u8 vector, u32 error_code)
{
	return route_l1_takes_exception(vcpu->nested.vmcs12, vector, error_code);
}

/**
 * nested_wants_extint() - whether external interrupts exit to L1
 * @vcpu: in L2
 *
 * Context: Any.
 * Return: true if L1 set "external-interrupt exiting".
 */
bool nested_wants_extint(struct vcpu *vcpu)
{
	return vcpu->nested.vmcs12->pin_based_vm_exec_control & PIN_BASED_EXT_INTR_MASK;
}

/**
 * nested_wants_nmi() - whether NMIs exit to L1
 * @vcpu: in L2
 *
 * Context: Any.
 * Return: true if L1 set "NMI exiting".
 */
bool nested_wants_nmi(struct vcpu *vcpu)
{
	return vcpu->nested.vmcs12->pin_based_vm_exec_control & PIN_BASED_NMI_EXITING;
}

/* Events that can exit to L1, by falling priority. */
enum nested_event {
	L1_EVENT_NONE,
	L1_EVENT_TRIPLE_FAULT,	/* raised while L0 delivered an event to L2 */
	L1_EVENT_INIT,
	L1_EVENT_SIPI,
	L1_EVENT_MC,		/* a machine check of user space, and L1 intercepts #MC */
	L1_EVENT_EXCEPTION,	/* raised by L0's emulation, and L1 intercepts it */
	L1_EVENT_MTF,
	L1_EVENT_DEBUG_TRAP,	/* like L1_EVENT_EXCEPTION, but below MTF (SDM 3C 26.5.2) */
	L1_EVENT_TIMER,
	L1_EVENT_NMI_WINDOW,	/* if the processor cannot make the exit of the window: see events_first_blockable() */
	L1_EVENT_NMI,
	L1_EVENT_INTR_WINDOW,
	L1_EVENT_INTERRUPT,
};

static bool events_exception_for_l1(struct vcpu *vcpu)
{
	const struct event *ev = &vcpu->ev.exception;

	return ev->valid && nested_wants_exception(vcpu, ev->vector, ev->error_code);
}

/*
 * INIT always exits to L1. A SIPI exits only while L2 is in the wait-for-SIPI
 * state, and is discarded otherwise (SDM 3C 26.2).
 */
static enum nested_event events_startup(struct vcpu *vcpu)
{
	u32 pending;

	if (!vcpu->lapic)
		return L1_EVENT_NONE;
	pending = vlapic_pending_init(vcpu);
	if (likely(!pending))
		return L1_EVENT_NONE;
	if (vcpu->mp_state == KVM_MP_STATE_INIT_RECEIVED) {
		/* The wait-for-SIPI state blocks INIT (SDM 3C 25.4.2). */
		return pending & VLAPIC_SIPI ? L1_EVENT_SIPI : L1_EVENT_NONE;
	}
	if (unlikely(pending & VLAPIC_SIPI))
		vlapic_end_sipi(vcpu, pending);
	return pending & VLAPIC_INIT ? L1_EVENT_INIT : L1_EVENT_NONE;
}

static bool events_interrupt_pending(struct vcpu *vcpu)
{
	return irqchip_pending_vector(vcpu) >= 0;
}

static bool events_nmi_pending(struct vcpu *vcpu)
{
	return vcpu->ev.nmi_pending || atomic_read(&vcpu->ev.nmi_queued);
}

static bool events_window_asked(const struct vcpu *vcpu, u32 bit)
{
	return vcpu->nested.vmcs12->cpu_based_vm_exec_control & bit;
}

/*
 * The event below debug traps that has the highest priority (SDM 3C 26.2,
 * 26.5.1): the timer, and those that L2 can block. The processor makes the exits
 * of windows, except in two cases. If L2 is halted, L0 waits; a window that HLT
 * has opened, or that was open at the entry, ends HLT as its event would. If
 * another event is due, L0 may have made L2 exit before the window could.
 */
static enum nested_event events_first_blockable(struct vcpu *vcpu)
{
	bool nmi, irq, due;

	if (ptimer_expired(vcpu))
		return L1_EVENT_TIMER;
	nmi = nested_wants_nmi(vcpu) && events_nmi_pending(vcpu) && !nmi_exit_blocked(vcpu);
	irq = nested_wants_extint(vcpu) && events_interrupt_pending(vcpu);
	due = nmi || irq || vcpu->mp_state == KVM_MP_STATE_HALTED;
	if (likely(!due))
		return L1_EVENT_NONE;
	if (events_window_asked(vcpu, CPU_BASED_NMI_WINDOW_EXITING) && vmx_nmi_allowed(vcpu))
		return L1_EVENT_NMI_WINDOW;
	if (nmi)
		return L1_EVENT_NMI;
	if (events_window_asked(vcpu, CPU_BASED_INTR_WINDOW_EXITING) && vmx_interrupt_allowed(vcpu))
		return L1_EVENT_INTR_WINDOW;
	return irq ? L1_EVENT_INTERRUPT : L1_EVENT_NONE;
}

/* The pending event of highest priority: SDM 3A table 6-2, with the events of VMX where 3C 26.5 places them. */
static enum nested_event events_first(struct vcpu *vcpu)
{
	enum nested_event startup;
	bool trap;

	if (unlikely(vcpu->ev.triple_fault))
		return L1_EVENT_TRIPLE_FAULT;
	startup = events_startup(vcpu);
	if (unlikely(startup != L1_EVENT_NONE))
		return startup;
	/* The wait-for-SIPI state blocks all other events. */
	if (unlikely(vcpu->mp_state == KVM_MP_STATE_INIT_RECEIVED))
		return L1_EVENT_NONE;
	if (unlikely(event_mc_ready(vcpu)) && nested_wants_exception(vcpu, X86_TRAP_MC, 0))
		return L1_EVENT_MC;
	trap = event_is_debug_trap(&vcpu->ev.exception);
	if (events_exception_for_l1(vcpu) && !trap)
		return L1_EVENT_EXCEPTION;
	if (unlikely(vcpu->nested.mtf_pending))
		return L1_EVENT_MTF;
	if (events_exception_for_l1(vcpu))
		return L1_EVENT_DEBUG_TRAP;
	return events_first_blockable(vcpu);
}

/*
 * Whether L2 must be entered before @ev may exit to L1. An exception exits at
 * once, even if the delivery of another event raised it. All other events wait
 * for an instruction boundary, and thus until an interrupted delivery of an
 * event has been repeated. An exception that L1 does not intercept precedes
 * them, unless it is a debug trap and the event comes before such traps.
 */
static bool events_blocked(struct vcpu *vcpu, enum nested_event ev)
{
	const struct vcpu_events *e = &vcpu->ev;

	if (vcpu->nested.entry_pending)
		return true;
	switch (ev) {
	case L1_EVENT_MC:
	case L1_EVENT_EXCEPTION:
	case L1_EVENT_DEBUG_TRAP:
	case L1_EVENT_TRIPLE_FAULT:
		return false;
	case L1_EVENT_INIT:
	case L1_EVENT_SIPI:
		return e->injected.valid;
	case L1_EVENT_MTF:
		return e->injected.valid || (e->exception.valid && !event_is_debug_trap(&e->exception));
	default:
		return e->injected.valid || e->exception.valid;
	}
}

static void events_exit_nmi(struct vcpu *vcpu)
{
	if (vcpu->ev.nmi_pending)
		vcpu->ev.nmi_pending--;
	else
		atomic_dec(&vcpu->ev.nmi_queued);
	nested_vmexit(vcpu, EXIT_REASON_EXCEPTION_NMI, 0,
		      X86_TRAP_NMI | INTR_TYPE_NMI_INTR | INTR_INFO_VALID_MASK, 0);
	/* An exit due to an NMI blocks NMIs in L1 (SDM 3C 28.5.5). */
	vmx_block_nmis(vcpu, true);
}

/*
 * With "acknowledge interrupt on exit" the interrupt moves to in-service and
 * L1 reads its vector; without, it stays pending (SDM 3C 25.7.1). The vector is
 * known only after the acknowledgement: the notification vector of posted
 * interrupts causes no exit, every other vector does (SDM 3C 30.6).
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
	if (apicv_is_notification(vcpu, vector)) {
		apicv_post(vcpu);
		return;
	}
	pv_eoi_offer(vcpu);
	nested_vmexit(vcpu, EXIT_REASON_EXTERNAL_INTERRUPT, 0, vector | INTR_TYPE_EXT_INTR | INTR_INFO_VALID_MASK, 0);
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
	case L1_EVENT_MC:
		vcpu_take_mc(vcpu);
		fallthrough;
	case L1_EVENT_EXCEPTION:
	case L1_EVENT_DEBUG_TRAP:
		nested_vmexit_exception(vcpu);
		break;
	case L1_EVENT_MTF:
		nested_vmexit(vcpu, EXIT_REASON_MONITOR_TRAP_FLAG, 0, 0, 0);
		break;
	case L1_EVENT_TIMER:
		nested_vmexit(vcpu, EXIT_REASON_PREEMPTION_TIMER, 0, 0, 0);
		break;
	case L1_EVENT_NMI_WINDOW:
		nested_vmexit(vcpu, EXIT_REASON_NMI_WINDOW, 0, 0, 0);
		break;
	case L1_EVENT_INTR_WINDOW:
		nested_vmexit(vcpu, EXIT_REASON_INTERRUPT_WINDOW, 0, 0, 0);
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
 * nested_check_events() - turn pending events that L1 intercepts into exits to L1
 * @vcpu: in L2, loaded
 *
 * Must be called before each VM entry into L2.
 *
 * Context: Process context. VMCS02 is current; VMCS01 afterwards if an event
 * exited to L1. Caller holds vm->srcu. May sleep.
 * Return: false if no such event is left; the vCPU may be in L1 now. True if
 * one is pending but L2 must run first: the caller enters L2, forces an
 * immediate exit and calls again.
 */
bool nested_check_events(struct vcpu *vcpu)
{
	enum nested_event ev;

	do {
		ev = events_first(vcpu);
		if (likely(ev == L1_EVENT_NONE))
			return false;
		if (events_blocked(vcpu, ev))
			return true;
		events_deliver(vcpu, ev);
	} while (vcpu->in_l2);
	return false;
}

/**
 * nested_has_events() - whether nested_check_events() would exit to L1
 * @vcpu: in L2, loaded
 *
 * A halted vCPU wakes up if so.
 *
 * Context: Process context. Called on the vCPU's thread.
 * Return: true if it would.
 */
bool nested_has_events(struct vcpu *vcpu)
{
	enum nested_event ev = events_first(vcpu);

	return ev != L1_EVENT_NONE && !events_blocked(vcpu, ev);
}
