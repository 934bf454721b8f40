// SPDX-License-Identifier: GPL-2.0
/* Events: queue exceptions, inject an event, keep one whose delivery an exit interrupted. SDM 3C 25.8.3, 28.2.4. */
#include <asm/irq_vectors.h>
#include <asm/vmx.h>
#include <asm/trapnr.h>
#include "droste.h"
#include "run/request.h"
#include "trace.h"
#include "vmx/inject.h"
#include "vmx/regs.h"
#include "vmx/vmx.h"

/* Classes of exceptions that decide which pairs make a double fault (SDM 3A table 6-4). */
enum exception_class { BENIGN, CONTRIBUTORY, PAGE_FAULT };

static enum exception_class inject_class_of(u8 vector)
{
	switch (vector) {
	case X86_TRAP_PF:
		return PAGE_FAULT;
	case X86_TRAP_DE:
	case X86_TRAP_TS ... X86_TRAP_GP:
	case X86_TRAP_CP:
		return CONTRIBUTORY;
	default:
		return BENIGN;
	}
}

/**
 * vmx_set_fault_rf() - set RF for an exception that is about to be injected, if it is a fault
 * @vcpu: loaded
 * @vector: the exception
 *
 * A fault pushes RFLAGS with RF set, so that an instruction breakpoint does not
 * trap the instruction again (SDM 3B 18.3.1.1).
 *
 * Context: Reads and writes the current VMCS. Does not sleep.
 */
void vmx_set_fault_rf(struct vcpu *vcpu, u8 vector)
{
	/* #DB may be a trap; #BP and #OF are traps, #DF and #MC are aborts. */
	if (vector != X86_TRAP_DB && vector != X86_TRAP_BP && vector != X86_TRAP_OF &&
	    vector != X86_TRAP_DF && vector != X86_TRAP_MC)
		vcpu_set_rflags(vcpu, vcpu_rflags(vcpu) | X86_EFLAGS_RF);
}

/**
 * vmx_set_exception_type() - set the type of an exception as its vector implies
 * @vcpu: loaded
 * @ev: the exception; its type and instruction length are set
 *
 * #BP and #OF are raised by INT3 and INTO. Their handlers expect RIP behind the
 * instruction, so they are injected as software exceptions with its length. It
 * is known if the last exit was due to the exception, and one byte otherwise.
 *
 * Context: Any.
 */
void vmx_set_exception_type(const struct vcpu *vcpu, struct event *ev)
{
	const struct vmx_exit *e = &vcpu->exit;

	ev->type = INTR_TYPE_HARD_EXCEPTION;
	if (ev->vector != X86_TRAP_BP && ev->vector != X86_TRAP_OF)
		return;
	ev->type = INTR_TYPE_SOFT_EXCEPTION;
	ev->ilen = 1;
	ev->has_error = false;
	if (e->reason == EXIT_REASON_EXCEPTION_NMI && (e->intr_info & INTR_INFO_VECTOR_MASK) == ev->vector)
		ev->ilen = e->ilen;
}

/*
 * Queue an exception. If one was pending or being delivered already, the two may
 * make a double fault, or a triple fault (SDM 3A table 6-5).
 */
static void inject_queue(struct vcpu *vcpu, struct event ev)
{
	struct event *first = vcpu->ev.exception.valid ? &vcpu->ev.exception : &vcpu->ev.injected;
	enum exception_class a, b;

	ev.valid = true;
	vmx_set_exception_type(vcpu, &ev);
	if (!first->valid || first->type != INTR_TYPE_HARD_EXCEPTION) {
		vcpu->ev.exception = ev;
		vcpu_request(vcpu, REQ_EVENT);
		return;
	}
	if (first->vector == X86_TRAP_DF) {
		vcpu->ev.triple_fault = true;
		vcpu_request(vcpu, REQ_EVENT);
		return;
	}
	a = inject_class_of(first->vector);
	b = inject_class_of(ev.vector);
	if ((a == CONTRIBUTORY && b == CONTRIBUTORY) || (a == PAGE_FAULT && b != BENIGN)) {
		ev = (struct event) { .valid = true, .vector = X86_TRAP_DF, .has_error = true,
				      .type = INTR_TYPE_HARD_EXCEPTION };
		vcpu->ev.injected.valid = false;
	}
	vcpu->ev.exception = ev;
	vcpu_request(vcpu, REQ_EVENT);
}

/**
 * vcpu_queue_exception() - queue an exception without an error code for the running level
 * @vcpu: loaded
 * @vector: X86_TRAP_*
 *
 * The exception becomes pending: the next entry injects it, unless L1 intercepts
 * it in L2. With an earlier exception it may become a double or triple fault.
 * The other vcpu_queue functions do the same.
 *
 * Context: Process context. Does not sleep.
 */
void vcpu_queue_exception(struct vcpu *vcpu, u8 vector)
{
	inject_queue(vcpu, (struct event) { .vector = vector });
}

/**
 * vcpu_queue_exception_err() - queue an exception with an error code for the running level
 * @vcpu: loaded
 * @vector: X86_TRAP_*
 * @error_code: its error code
 *
 * Context: Process context. Does not sleep.
 */
void vcpu_queue_exception_err(struct vcpu *vcpu, u8 vector, u32 error_code)
{
	inject_queue(vcpu, (struct event) { .vector = vector, .has_error = true, .error_code = error_code });
}

/**
 * vcpu_queue_pf() - queue a page fault for the running level
 * @vcpu: loaded
 * @cr2: the address; CR2 gets it when the fault is delivered
 * @error_code: its error code
 *
 * Context: Process context. Does not sleep.
 */
void vcpu_queue_pf(struct vcpu *vcpu, u64 cr2, u32 error_code)
{
	inject_queue(vcpu, (struct event) { .vector = X86_TRAP_PF, .has_error = true, .error_code = error_code,
				     .has_payload = true, .payload = cr2 });
}

/**
 * vcpu_queue_db() - queue a debug exception for the running level
 * @vcpu: loaded
 * @dr6_bits: bits that DR6 gets when the exception is delivered
 *
 * Context: Process context. Does not sleep.
 */
void vcpu_queue_db(struct vcpu *vcpu, u64 dr6_bits)
{
	inject_queue(vcpu, (struct event) { .vector = X86_TRAP_DB, .has_payload = true, .payload = dr6_bits });
}

/**
 * vcpu_take_mc() - make the pending machine check the exception to deliver
 * @vcpu: loaded; event_mc_ready() holds
 *
 * Context: Process context. Does not sleep.
 */
void vcpu_take_mc(struct vcpu *vcpu)
{
	vcpu->ev.mc_pending = false;
	inject_queue(vcpu, (struct event) { .vector = X86_TRAP_MC });
}

/**
 * vcpu_queue_event() - queue an exception that the caller has put together
 * @vcpu: loaded
 * @fault: vector, error code and payload; other members are ignored
 *
 * Context: Process context. Does not sleep.
 */
void vcpu_queue_event(struct vcpu *vcpu, const struct event *fault)
{
	inject_queue(vcpu, *fault);
}

/**
 * vmx_interruptibility() - what blocks events of the running level (SDM 3C table 25-3)
 * @vcpu: loaded
 *
 * In an L2 without "virtual NMIs", GUEST_INTR_STATE_NMI is blocking of NMIs, which L2 shares with L1. In one with them
 * it is virtual-NMI blocking, and nothing blocks NMIs. VMCS02 alone does not tell: see nested/nmi.c.
 *
 * Context: Reads the current VMCS. Does not sleep.
 * Return: GUEST_INTR_STATE_*.
 */
u32 vmx_interruptibility(struct vcpu *vcpu)
{
	u32 state = vmcs_read(GUEST_INTERRUPTIBILITY_INFO);

	if (unlikely(vcpu->nested.nmi_soft)) {
		state &= ~(u32)GUEST_INTR_STATE_NMI;
		state |= vcpu->nested.vmcs12->guest_interruptibility_info & GUEST_INTR_STATE_NMI;
	}
	return state;
}

/**
 * vmx_block_nmis() - set or end the blocking of NMIs by an earlier one
 * @vcpu: loaded; at any level, as vmx_interruptibility() describes
 * @block: whether they are blocked
 *
 * Context: Reads and writes the current VMCS. Does not sleep.
 */
void vmx_block_nmis(struct vcpu *vcpu, bool block)
{
	struct vmcs12 *v = vcpu->nested.vmcs12;

	if (unlikely(vcpu->nested.nmi_soft)) {
		v->guest_interruptibility_info &= ~GUEST_INTR_STATE_NMI;
		v->guest_interruptibility_info |= block ? GUEST_INTR_STATE_NMI : 0;
	} else if (block) {
		vmcs_set_bits(GUEST_INTERRUPTIBILITY_INFO, GUEST_INTR_STATE_NMI);
	} else {
		vmcs_clear_bits(GUEST_INTERRUPTIBILITY_INFO, GUEST_INTR_STATE_NMI);
	}
}

/**
 * vmx_interrupt_allowed() - whether the running level can take an external interrupt now
 * @vcpu: loaded
 *
 * Context: Reads the current VMCS. Does not sleep.
 * Return: true if IF is set, and neither STI nor MOV SS blocks interrupts.
 */
bool vmx_interrupt_allowed(struct vcpu *vcpu)
{
	return (vcpu_rflags(vcpu) & X86_EFLAGS_IF) &&
	       !(vmcs_read(GUEST_INTERRUPTIBILITY_INFO) & BLOCKING_ONE_INSN);
}

/**
 * vmx_nmi_allowed() - whether the running level can take an NMI now
 * @vcpu: loaded
 *
 * Context: Reads the current VMCS. Does not sleep.
 * Return: true if neither an NMI handler nor STI nor MOV SS blocks NMIs.
 */
bool vmx_nmi_allowed(struct vcpu *vcpu)
{
	return !(vmx_interruptibility(vcpu) &
		 (GUEST_INTR_STATE_MOV_SS | GUEST_INTR_STATE_STI | GUEST_INTR_STATE_NMI));
}

static struct event inject_event_from_info(u32 info, u32 error, u32 ilen)
{
	return (struct event) {
		.valid = true,
		.vector = info & INTR_INFO_VECTOR_MASK,
		.type = info & INTR_INFO_INTR_TYPE_MASK,
		.has_error = info & INTR_INFO_DELIVER_CODE_MASK,
		.error_code = info & INTR_INFO_DELIVER_CODE_MASK ? error : 0,
		.ilen = ilen,
	};
}

static u32 inject_event_to_info(const struct event *ev)
{
	return ev->vector | ev->type | INTR_INFO_VALID_MASK |
	       (ev->has_error ? INTR_INFO_DELIVER_CODE_MASK : 0);
}

/**
 * vmx_keep_vectoring() - keep the event whose delivery the last exit interrupted, or the blocking of NMIs
 * @vcpu: loaded; the exit interrupted a delivery, or an IRET that had unblocked NMIs
 *
 * Callers use vmx_save_vectoring().
 *
 * Context: Process context. Does not sleep. Reads and writes the current VMCS, which is the one that exited.
 */
void vmx_keep_vectoring(struct vcpu *vcpu)
{
	const struct vmx_exit *e = &vcpu->exit;

	if (!(e->idt_info & INTR_INFO_VALID_MASK)) {
		vmcs_set_bits(GUEST_INTERRUPTIBILITY_INFO, GUEST_INTR_STATE_NMI);
		return;
	}
	vcpu->ev.injected = inject_event_from_info(e->idt_info, e->idt_error, e->ilen);
	vcpu->ev.injected.again = true;
	/* VM entry refuses to inject an NMI while NMIs are blocked (SDM 27.3.1.5). */
	if (vcpu->ev.injected.type == INTR_TYPE_NMI_INTR)
		vmcs_clear_bits(GUEST_INTERRUPTIBILITY_INFO, GUEST_INTR_STATE_NMI);
}

/**
 * vmx_inject_event() - make the next entry inject an event (SDM 3C 25.8.3)
 * @vcpu: loaded
 * @ev: the event
 *
 * Context: Reads and writes the current VMCS. Does not sleep.
 */
void vmx_inject_event(struct vcpu *vcpu, const struct event *ev)
{
	u32 info = inject_event_to_info(ev);

	trace_droste_event(vcpu, ev, EVENT_INJECTED);
	/* VM entry refuses to inject an NMI while NMIs are blocked (SDM 3C 27.3.1.5). The injection blocks them. */
	if (unlikely(ev->type == INTR_TYPE_NMI_INTR))
		vmcs_clear_bits(GUEST_INTERRUPTIBILITY_INFO, GUEST_INTR_STATE_NMI);
	/* Exceptions push no error code in real mode, and VM entry refuses one (SDM 3C 26.2.1.3). */
	if (ev->has_error && !(vmcs_read(GUEST_CR0) & X86_CR0_PE))
		info &= ~INTR_INFO_DELIVER_CODE_MASK;
	if (info & INTR_INFO_DELIVER_CODE_MASK)
		/* VM entry refuses error codes wider than 16 bits (SDM 27.2.1.3); user space can set one. */
		vmcs_write(VM_ENTRY_EXCEPTION_ERROR_CODE, (u16)ev->error_code);
	if (event_is_software(ev))
		vmcs_write(VM_ENTRY_INSTRUCTION_LEN, ev->ilen);
	vmcs_write(VM_ENTRY_INTR_INFO_FIELD, info);
}

/**
 * vmx_deliver_payload() - update CR2, or DR6, DR7 and IA32_DEBUGCTL, for an exception that is about to be injected
 * @vcpu: loaded
 * @ev: the exception; its payload is used up
 *
 * On hardware the processor updates them when it raises #PF or #DB (SDM 3A 4.7, 3B 18.2.3).
 *
 * Context: Writes the current VMCS. Does not sleep.
 */
void vmx_deliver_payload(struct vcpu *vcpu, struct event *ev)
{
	if (!ev->has_payload)
		return;
	if (ev->vector == X86_TRAP_PF) {
		vcpu->cr2 = ev->payload;
	} else if (ev->vector == X86_TRAP_DB) {
		vcpu_add_dr6(vcpu, ev->payload);
		/* #DB clears DR7.GD (SDM 3B 18.2.4), and LBR and BTF of IA32_DEBUGCTL (18.4.2, 18.4.3). */
		vcpu_set_dr7(vcpu, vcpu->dr7 & ~BIT_ULL(13));
		vcpu_set_debugctl(vcpu, vcpu->debugctl & ~(u64)(DEBUGCTLMSR_LBR | DEBUGCTLMSR_BTF));
	}
	ev->has_payload = false;
}

/**
 * vmx_cancel_events() - take back the event to inject, because the entry does not happen, or failed
 * @vcpu: loaded
 *
 * The event stays in vcpu->ev.injected, like one whose delivery an exit
 * interrupted. An event that L1 injects into L2 stays in VMCS02.
 *
 * Context: Process context. Writes the current VMCS. Does not sleep.
 */
void vmx_cancel_events(struct vcpu *vcpu)
{
	if (!vcpu->ev.injected.valid || (vcpu->in_l2 && vcpu->nested.entry_pending))
		return;
	vmcs_write(VM_ENTRY_INTR_INFO_FIELD, 0);
	trace_droste_event(vcpu, &vcpu->ev.injected, EVENT_CANCELLED);
	vcpu->ev.injected.again = true;
}
