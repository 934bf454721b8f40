// SPDX-License-Identifier: GPL-2.0
/* Events: what waits to be delivered, what was being delivered when an exit came, and VM-entry injection. SDM 3C 25.8.3, 28.2.4. */
#include <asm/irq_vectors.h>
#include <asm/vmx.h>
#include <asm/trapnr.h>
#include "droste.h"
#include "run/request.h"
#include "vmx/inject.h"
#include "vmx/regs.h"
#include "vmx/vmx.h"

/* SDM 3A table 6-4: which pairs of exceptions make a double fault. */
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

void vmx_set_fault_rf(struct vcpu *vcpu, u8 vector)
{
	/* SDM 3B 18.3.1.1: faults push RF set, so that the instruction is not trapped again by a breakpoint. */
	if (vector != X86_TRAP_DB && vector != X86_TRAP_BP && vector != X86_TRAP_OF &&
	    vector != X86_TRAP_DF && vector != X86_TRAP_MC)
		vcpu_set_rflags(vcpu, vcpu_rflags(vcpu) | X86_EFLAGS_RF);
}

static void inject_queue(struct vcpu *vcpu, struct event ev)
{
	struct event *first = vcpu->ev.exception.valid ? &vcpu->ev.exception : &vcpu->ev.injected;
	enum exception_class a, b;

	ev.valid = true;
	ev.type = INTR_TYPE_HARD_EXCEPTION;
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

void vcpu_queue_exception(struct vcpu *vcpu, u8 vector)
{
	inject_queue(vcpu, (struct event) { .vector = vector });
}

void vcpu_queue_exception_err(struct vcpu *vcpu, u8 vector, u32 error_code)
{
	inject_queue(vcpu, (struct event) { .vector = vector, .has_error = true, .error_code = error_code });
}

void vcpu_queue_pf(struct vcpu *vcpu, u64 cr2, u32 error_code)
{
	inject_queue(vcpu, (struct event) { .vector = X86_TRAP_PF, .has_error = true, .error_code = error_code,
				     .has_payload = true, .payload = cr2 });
}

void vcpu_queue_db(struct vcpu *vcpu, u64 dr6_bits)
{
	inject_queue(vcpu, (struct event) { .vector = X86_TRAP_DB, .has_payload = true, .payload = dr6_bits });
}

void vcpu_queue_event(struct vcpu *vcpu, const struct event *fault)
{
	inject_queue(vcpu, *fault);
}

bool vmx_interrupt_allowed(struct vcpu *vcpu)
{
	return (vcpu_rflags(vcpu) & X86_EFLAGS_IF) &&
	       !(vmcs_read(GUEST_INTERRUPTIBILITY_INFO) & (GUEST_INTR_STATE_STI | GUEST_INTR_STATE_MOV_SS));
}

bool vmx_nmi_allowed(struct vcpu *vcpu)
{
	return !(vmcs_read(GUEST_INTERRUPTIBILITY_INFO) &
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
 * vmx_save_vectoring - keep the event whose delivery the last exit interrupted
 * @vcpu: loaded, vcpu->exit is fresh
 *
 * SDM 3C 28.2.4: the event is delivered again at the next entry, to whoever
 * runs then. Also SDM 28.2.3: an exit during an IRET that unblocked NMIs.
 */
void vmx_save_vectoring(struct vcpu *vcpu)
{
	const struct vmx_exit *e = &vcpu->exit;

	vcpu->ev.injected.valid = false;
	if (likely(!(e->idt_info & INTR_INFO_VALID_MASK))) {
		if ((e->basic == EXIT_REASON_EXCEPTION_NMI && (e->intr_info & INTR_INFO_UNBLOCK_NMI) &&
		     (e->intr_info & INTR_INFO_VECTOR_MASK) != X86_TRAP_DF) ||
		    ((e->basic == EXIT_REASON_EPT_VIOLATION || e->basic == EXIT_REASON_PML_FULL) && (e->qual & BIT(12))))
			vmcs_set_bits(GUEST_INTERRUPTIBILITY_INFO, GUEST_INTR_STATE_NMI);
		return;
	}
	vcpu->ev.injected = inject_event_from_info(e->idt_info, e->idt_error, e->ilen);
	/* An NMI delivered again needs NMIs unblocked until then (SDM 27.3.1.5). */
	if (vcpu->ev.injected.type == INTR_TYPE_NMI_INTR)
		vmcs_clear_bits(GUEST_INTERRUPTIBILITY_INFO, GUEST_INTR_STATE_NMI);
}

void vmx_inject_event(struct vcpu *vcpu, const struct event *ev)
{
	u32 info = inject_event_to_info(ev);

	/* Exceptions push no error code in real mode, and none may be asked for (SDM 3C 26.2.1.3). */
	if (ev->has_error && !(vmcs_read(GUEST_CR0) & X86_CR0_PE))
		info &= ~INTR_INFO_DELIVER_CODE_MASK;
	if (info & INTR_INFO_DELIVER_CODE_MASK)
		/* No exception has a wider one, and entry refuses it (SDM 27.2.1.3); user space may have queued any. */
		vmcs_write(VM_ENTRY_EXCEPTION_ERROR_CODE, (u16)ev->error_code);
	if (event_is_software(ev))
		vmcs_write(VM_ENTRY_INSTRUCTION_LEN, ev->ilen);
	vmcs_write(VM_ENTRY_INTR_INFO_FIELD, info);
}

/* An exception leaves L0 for the guest: what the processor would have changed with it (SDM 3B 18.2.3, 3A 4.7). */
void vmx_deliver_payload(struct vcpu *vcpu, struct event *ev)
{
	if (!ev->has_payload)
		return;
	if (ev->vector == X86_TRAP_PF) {
		vcpu->cr2 = ev->payload;
	} else if (ev->vector == X86_TRAP_DB) {
		vcpu->dr6 = (vcpu->dr6 & ~0xfULL) | ev->payload;
		/* SDM 3B 18.2.4: a #DB clears GD and LBR. */
		vcpu_set_dr7(vcpu, vcpu->dr7 & ~BIT_ULL(13));
	}
	ev->has_payload = false;
}

/**
 * vmx_cancel_events - an entry that was prepared does not happen
 * @vcpu: loaded
 *
 * What was to be injected counts as interrupted delivery: it comes first again.
 * An injection of L1's into L2 stays where it is.
 */
void vmx_cancel_events(struct vcpu *vcpu)
{
	u32 info;

	if (vcpu->in_l2 && vcpu->nested.entry_pending)
		return;
	info = vmcs_read(VM_ENTRY_INTR_INFO_FIELD);
	if (!(info & INTR_INFO_VALID_MASK))
		return;
	vcpu->ev.injected = inject_event_from_info(info, vmcs_read(VM_ENTRY_EXCEPTION_ERROR_CODE),
					    vmcs_read(VM_ENTRY_INSTRUCTION_LEN));
	vmcs_write(VM_ENTRY_INTR_INFO_FIELD, 0);
}

/**
 * vcpu_skip_instruction - go past the instruction that exited and was done by L0
 * @vcpu: loaded, vcpu->exit is its exit
 *
 * RIP wraps at 32 bits outside 64-bit code; blocking by STI and MOV SS ends
 * with the instruction; TF traps after it (SDM 3B 18.3.1.4, 3C 26.3).
 */
void vcpu_skip_instruction(struct vcpu *vcpu)
{
	u64 rip = vcpu_rip(vcpu) + vcpu->exit.ilen;
	u64 flags = vcpu_rflags(vcpu);
	u32 state = vmcs_read(GUEST_INTERRUPTIBILITY_INFO);

	/* The add may carry out of bit 31, which only 64-bit code sees. */
	if (unlikely((vcpu_rip(vcpu) ^ rip) >> 31 && !vcpu_is_64bit(vcpu)))
		rip = (u32)rip;
	vcpu_set_rip(vcpu, rip);
	if (unlikely(state & (GUEST_INTR_STATE_STI | GUEST_INTR_STATE_MOV_SS)))
		vmcs_write(GUEST_INTERRUPTIBILITY_INFO,
			   state & ~(u32)(GUEST_INTR_STATE_STI | GUEST_INTR_STATE_MOV_SS));
	if (unlikely(flags & (X86_EFLAGS_TF | X86_EFLAGS_RF))) {
		vcpu_set_rflags(vcpu, flags & ~(u64)X86_EFLAGS_RF);
		if (flags & X86_EFLAGS_TF)
			vcpu_single_step_done(vcpu);
	}
	if (vcpu->in_l2)
		nested_insn_done(&vcpu->nested);
}
