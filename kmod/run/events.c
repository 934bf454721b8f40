// SPDX-License-Identifier: GPL-2.0
/* Events before an entry: inject the first, and open windows for those that must wait. SDM 3C 25.8.3, 3A table 6-2. */
#include <asm/trapnr.h>
#include "droste.h"
#include "irqchip/irqchip.h"
#include "nested/nested.h"
#include "pv/pveoi.h"
#include "run/request.h"
#include "run/run.h"
#include "trace.h"
#include "vmx/inject.h"
#include "vmx/vmx.h"

/* Whether an earlier NMI blocks NMIs, or is being delivered. L2's virtual-NMI blocking does not block them. */
static bool events_nmi_in_service(struct vcpu *vcpu)
{
	const struct event *injected = &vcpu->ev.injected;

	if (vcpu->in_l2 && nested_has_vnmi(&vcpu->nested))
		return false;
	if (injected->valid && injected->type == INTR_TYPE_NMI_INTR && !vcpu->nested.nmi_soft)
		return true;
	return vmx_interruptibility(vcpu) & GUEST_INTR_STATE_NMI;
}

/**
 * events_collect_nmis() - take over the NMIs that other threads have sent
 * @vcpu: loaded
 *
 * Counts them in vcpu->ev.nmi_pending as far as a processor would remember them.
 *
 * Context: Process context. Reads the current VMCS. Does not sleep.
 */
void events_collect_nmis(struct vcpu *vcpu)
{
	unsigned int n;

	if (likely(!atomic_read(&vcpu->ev.nmi_queued)))
		return;
	n = vcpu->ev.nmi_pending + atomic_xchg(&vcpu->ev.nmi_queued, 0);
	/* While one NMI is handled, one more can wait; others merge with that one (SDM 3A 6.7). */
	vcpu->ev.nmi_pending = min(n, events_nmi_in_service(vcpu) ? 1U : 2U);
}

/* For tracing: what a window is for. The vector of an interrupt is not known yet. */
static const struct event events_waiting[] = {
	{ .type = INTR_TYPE_EXT_INTR }, { .type = INTR_TYPE_NMI_INTR, .vector = X86_TRAP_NMI },
};

/*
 * Open or close a window for L0: make the guest exit as soon as it can take an
 * interrupt, or an NMI. VMCS01 and VMCS02 each record the windows that L0 holds
 * open in them, since one keeps its windows while the other runs. If L1 opened
 * the same window for L2, the control bit stays set until L1 closes it.
 */
static void events_set_window(struct vcpu *vcpu, u32 bit, bool on)
{
	struct loaded_vmcs *v = vcpu->vmcs;

	if (!(v->windows & bit) == !on)
		return;
	v->windows ^= bit;
	if (on)
		trace_droste_event(vcpu, &events_waiting[bit == CPU_BASED_NMI_WINDOW_EXITING], EVENT_WINDOW);
	if (vcpu->in_l2 && (vcpu->nested.vmcs12->cpu_based_vm_exec_control & bit))
		return;
	if (on)
		vmcs_set_bits(CPU_BASED_VM_EXEC_CONTROL, bit);
	else
		vmcs_clear_bits(CPU_BASED_VM_EXEC_CONTROL, bit);
}

/* Whether the debugger in user space blocks interrupts and NMIs, so that single steps stay in the debugged code. */
static bool events_debugger_blocks(const struct vcpu *vcpu)
{
	return unlikely(vcpu->guest_debug & KVM_GUESTDBG_BLOCKIRQ);
}

/*
 * Whether a pending NMI, or interrupt, causes an exit to L1 instead of going to
 * the level that runs. nested_check_events() makes such exits before each entry,
 * but an NMI or interrupt can still be pending here: because it arrived after
 * that check, or because L2 must first take another event. It must not be
 * injected into L2.
 */
static bool events_nmi_is_l1s(struct vcpu *vcpu)
{
	return vcpu->in_l2 && nested_wants_nmi(vcpu);
}

static bool events_interrupt_is_l1s(struct vcpu *vcpu)
{
	return vcpu->in_l2 && nested_wants_extint(vcpu);
}

/**
 * events_interrupt_taken() - whether the guest would take an external interrupt now
 * @vcpu: loaded
 *
 * Either the level that runs has interrupts enabled, or L2 runs and L1 takes
 * the interrupt by an exit.
 *
 * Context: Process context. Reads the current VMCS. Does not sleep.
 * Return: true if a pending interrupt would be taken.
 */
bool events_interrupt_taken(struct vcpu *vcpu)
{
	return vmx_interrupt_allowed(vcpu) || events_interrupt_is_l1s(vcpu);
}

/*
 * Make the pending exception the event to inject. If the delivery of another
 * event raised it, it takes the place of that event, as on a processor: a fault
 * or a software event comes again when the handler returns, an interrupt is lost
 * (SDM 3A 6.15, interrupt 8). An NMI that got so far blocks further ones.
 */
static void events_take_exception(struct vcpu *vcpu)
{
	struct vcpu_events *e = &vcpu->ev;

	/* See nested/nmi.c: an NMI that L1 injects does not block others if L1 uses no virtual NMIs. */
	if (unlikely(e->injected.valid && e->injected.type == INTR_TYPE_NMI_INTR && !(vcpu->in_l2 && vcpu->nested.nmi_soft)))
		vmx_block_nmis(vcpu, true);
	vmx_deliver_payload(vcpu, &e->exception);
	vmx_set_fault_rf(vcpu, e->exception.vector);
	e->injected = e->exception;
	e->exception.valid = false;
}

/* Inject an event that is neither an exception nor interrupted. */
static void events_inject_new(struct vcpu *vcpu, u8 vector, u32 type)
{
	vcpu->ev.injected = (struct event) { .valid = true, .vector = vector, .type = type };
	trace_droste_event(vcpu, &vcpu->ev.injected, EVENT_INJECTED);
	vmcs_write(VM_ENTRY_INTR_INFO_FIELD, vector | type | INTR_INFO_VALID_MASK);
}

/*
 * Inject the first of the events that wait. The order is: an exception, an event
 * whose delivery an exit interrupted, a machine check, an NMI, an external
 * interrupt. Until the entry has succeeded, the event is also in vcpu->ev.injected.
 */
static void events_inject_first(struct vcpu *vcpu)
{
	struct vcpu_events *e = &vcpu->ev;
	int vector;

	if (unlikely(event_mc_ready(vcpu)))
		vcpu_take_mc(vcpu);
	if (e->exception.valid)
		events_take_exception(vcpu);
	if (e->injected.valid) {
		vmx_fit_blocking(vcpu);
		vmx_inject_event(vcpu, &e->injected);
		/* Whatever kept the guest from taking the interrupt has withdrawn the offer. */
		if (e->injected.type == INTR_TYPE_EXT_INTR && !vcpu->in_l2)
			pv_eoi_offer(vcpu);
		return;
	}
	if (events_debugger_blocks(vcpu))
		return;
	if (e->nmi_pending && !events_nmi_is_l1s(vcpu) && vmx_nmi_allowed(vcpu)) {
		e->nmi_pending--;
		vcpu->stats.nmi_injections++;
		events_inject_new(vcpu, X86_TRAP_NMI, INTR_TYPE_NMI_INTR);
		return;
	}
	if (events_interrupt_is_l1s(vcpu) || !vmx_interrupt_allowed(vcpu))
		return;
	if (irqchip_pending_vector(vcpu) < 0)
		return;
	vector = irqchip_ack(vcpu);
	if (vector < 0)
		return;
	vcpu->stats.irq_injections++;
	events_inject_new(vcpu, vector, INTR_TYPE_EXT_INTR);
	if (!vcpu->in_l2)
		pv_eoi_offer(vcpu);
}

/*
 * Whether no event is pending for the running level or another, besides those
 * that need a window. It stays so while the vCPU has no request and makes no
 * exits but those of the short loop: all that makes an event pending from
 * outside requests REQ_EVENT, and the guest does so by exits of the general path.
 */
static bool events_are_none(struct vcpu *vcpu)
{
	const struct vcpu_events *e = &vcpu->ev;

	return !e->exception.valid && !e->mc_pending && !e->triple_fault && !e->injected.valid && !e->nmi_pending && !e->debug_dr6 &&
	       !vcpu->want_immediate_exit && !vcpu->guest_debug && !vlapic_pending_init(vcpu);
}

/**
 * events_prepare() - choose the event that the next entry injects, and open windows for the others
 * @vcpu: loaded, RUNNABLE; in L2, after nested_check_events()
 *
 * Events are taken in the order of SDM 3A table 6-2. An event that cannot be
 * injected in this entry stays pending, and a window makes the guest exit when
 * it can be. If the entry does not happen, vmx_cancel_events() must be called.
 *
 * Context: Process context, interrupts enabled. Writes the current VMCS. Caller
 * holds vcpu->mutex and vm->srcu (read).
 * Return: NEXT_ENTER, or NEXT_USER after a triple fault.
 */
int events_prepare(struct vcpu *vcpu)
{
	bool irq, nmi, blocked;

	vcpu->quiet = false;
	if (unlikely(vcpu->ev.triple_fault))
		return vcpu_triple_fault(vcpu);
	events_collect_nmis(vcpu);
	/* After VMLAUNCH or VMRESUME, VMCS02 holds the event that L1 injects; L0 injects nothing in that entry. */
	if (!(vcpu->in_l2 && vcpu->nested.entry_pending))
		events_inject_first(vcpu);
	/* A machine check waits for one instruction boundary, and nothing blocks it. */
	if (unlikely(vcpu->ev.mc_pending))
		vcpu->want_immediate_exit = true;
	/* No window for an event that the debugger blocks: it would open at every entry, to no use. */
	blocked = events_debugger_blocks(vcpu);
	irq = !blocked && irqchip_pending_vector(vcpu) >= 0;
	/* If L2 blocks an NMI that is to exit, the wait ends in L1, and no window is of use. */
	nmi = !blocked && vcpu->ev.nmi_pending && !(events_nmi_is_l1s(vcpu) && nmi_exit_blocked(vcpu));
	/* An exit to L1 is due, but L2 must enter first: exit again at once, and nested_check_events() makes it. */
	if ((irq && events_interrupt_is_l1s(vcpu)) || (nmi && events_nmi_is_l1s(vcpu))) {
		vcpu->want_immediate_exit = true;
		return NEXT_ENTER;
	}
	/* VMCS02's NMI window does not show when the NMI that L1 injects lets another one through. */
	if (unlikely(nmi && vcpu->nested.nmi_soft))
		vcpu->want_immediate_exit = true;
	/*
	 * Blocking by STI may hold back an NMI-window exit or not (SDM 3C 26.2).
	 * An interrupt-window exit waits for its end, and IF is set after STI.
	 */
	if (unlikely(nmi && (vmcs_read(GUEST_INTERRUPTIBILITY_INFO) & GUEST_INTR_STATE_STI))) {
		irq = true;
		nmi = false;
	}
	/* User space wants to know when its own PIC can deliver: that takes the same window. */
	irq = irq || (vcpu->wants_irq_window && irqchip_takes_extint(vcpu));
	events_set_window(vcpu, CPU_BASED_INTR_WINDOW_EXITING, irq);
	events_set_window(vcpu, CPU_BASED_NMI_WINDOW_EXITING, nmi);
	vcpu->quiet = !irq && !nmi && events_are_none(vcpu);
	return NEXT_ENTER;
}

/**
 * events_inject_short() - inject an interrupt of the local APIC in the short loop
 * @vcpu: in L1, with at least one request
 *
 * Does what events_prepare() would do if REQ_EVENT is the only request, and if
 * the interrupt is the only event and can be injected at once.
 *
 * Context: Interrupts disabled, in the short loop. VMCS01 is current, no register is cached.
 * Return: true if the vCPU can enter now; false if events_prepare() must look at the events.
 */
bool events_inject_short(struct vcpu *vcpu)
{
	int vector;

	/* An event that another thread adds after the exchange makes its request again. */
	if (cmpxchg(&vcpu->requests, BIT(REQ_EVENT), 0) != BIT(REQ_EVENT))
		return false;
	if (events_are_none(vcpu) && !atomic_read(&vcpu->ev.nmi_queued) && (vmcs_read(GUEST_RFLAGS) & X86_EFLAGS_IF) &&
	    !(vmcs_read(GUEST_INTERRUPTIBILITY_INFO) & BLOCKING_ONE_INSN)) {
		vector = irqchip_ack_local(vcpu, -1);
		if (likely(vector >= 0)) {
			vcpu->stats.irq_injections++;
			events_inject_new(vcpu, vector, INTR_TYPE_EXT_INTR);
			pv_eoi_offer(vcpu);
		}
		/* The PIC may have an interrupt as well. */
		if (likely(irqchip_pending_vector(vcpu) < 0))
			return true;
		vmx_cancel_events(vcpu);
	}
	vcpu_request(vcpu, REQ_EVENT);
	return false;
}

/**
 * events_deadline_short() - inject the interrupt of a deadline that has passed, in the short loop
 * @vcpu: in L1, quiet; the VMX-preemption timer, which kept the deadline, has made it exit
 *
 * Does what vlapic_timer_request() and then events_inject_short() would do, if the
 * interrupt is the only event and can be injected at once.
 *
 * Context: Interrupts disabled, in the short loop. VMCS01 is current, no register is cached.
 * Return: true if the event was injected; false if nothing has changed.
 */
bool events_deadline_short(struct vcpu *vcpu)
{
	int vector;

	/* Whatever else is pending has made a request: see events_are_none(). */
	if (READ_ONCE(vcpu->requests) || !(vmcs_read(GUEST_RFLAGS) & X86_EFLAGS_IF) ||
	    (vmcs_read(GUEST_INTERRUPTIBILITY_INFO) & BLOCKING_ONE_INSN))
		return false;
	vector = vlapic_timer_ack(vcpu, -1);
	if (vector < 0)
		return false;
	vcpu->stats.irq_injections++;
	events_inject_new(vcpu, vector, INTR_TYPE_EXT_INTR);
	pv_eoi_offer(vcpu);
	return true;
}
