/* SPDX-License-Identifier: GPL-2.0 */
/* Events of the level that runs: queue exceptions, inject an event, complete an emulated instruction. */
#ifndef DROSTE_VMX_INJECT_H
#define DROSTE_VMX_INJECT_H

#include <asm/trapnr.h>
#include "droste.h"

/* Whether an instruction raises the event; its injection then needs the instruction length (SDM 3C 25.8.3). */
static inline bool event_is_software(const struct event *ev)
{
	return ev->type == INTR_TYPE_SOFT_INTR || ev->type == INTR_TYPE_SOFT_EXCEPTION ||
	       ev->type == INTR_TYPE_PRIV_SW_EXCEPTION;
}

/*
 * Whether an exit was caused by an IRET that had unblocked NMIs before it faulted (SDM 3C 28.2.2, 28.2.1). The
 * information is undefined if the exit occurred during event delivery.
 */
static inline bool vmx_exit_of_iret(const struct vmx_exit *e)
{
	if (unlikely(e->idt_info & INTR_INFO_VALID_MASK))
		return false;
	switch (e->basic) {
	case EXIT_REASON_EXCEPTION_NMI:
		return (e->intr_info & INTR_INFO_UNBLOCK_NMI) && (e->intr_info & INTR_INFO_VECTOR_MASK) != X86_TRAP_DF;
	case EXIT_REASON_EPT_VIOLATION:
	case EXIT_REASON_PML_FULL:
		return e->qual & BIT(12);
	default:
		return false;
	}
}

#define DR6_BD	BIT(13)

/* Whether the event is a debug trap, which comes after MTF exits; general detect (BD) is a fault (SDM 3C 26.5.2). */
static inline bool event_is_debug_trap(const struct event *ev)
{
	return ev->valid && ev->vector == X86_TRAP_DB && !(ev->has_payload && (ev->payload & DR6_BD));
}

/* Whether a trap, or another exception, is due before the next instruction. */
static inline bool event_trap_due(const struct vcpu *vcpu)
{
	return vcpu->ev.exception.valid || vcpu->ev.debug_dr6 || vcpu->ev.mc_pending;
}

/*
 * Whether a machine check that is pending can be taken now. User space raises machine checks; they do not come from an
 * instruction or a delivery, and take the place of no other event. A processor that has acknowledged an interrupt delivers
 * it, and takes the machine check at the next instruction boundary (SDM 3A table 6-2). The same holds for an event that L1
 * injects, and for an exception.
 */
static inline bool event_mc_ready(const struct vcpu *vcpu)
{
	return vcpu->ev.mc_pending && !vcpu->ev.injected.valid && !vcpu->ev.exception.valid &&
	       !(vcpu->in_l2 && vcpu->nested.entry_pending);
}

/* --- exceptions that L0's emulation raises --- */
void vcpu_queue_event(struct vcpu *vcpu, const struct event *fault);
void vcpu_queue_exception(struct vcpu *vcpu, u8 vector);
void vcpu_queue_exception_err(struct vcpu *vcpu, u8 vector, u32 error_code);
void vcpu_queue_pf(struct vcpu *vcpu, u64 cr2, u32 error_code);
void vcpu_queue_db(struct vcpu *vcpu, u64 dr6_bits);
void vcpu_take_mc(struct vcpu *vcpu);

/* --- events in the current VMCS --- */
u32 vmx_interruptibility(struct vcpu *vcpu);
void vmx_block_nmis(struct vcpu *vcpu, bool block);
bool vmx_interrupt_allowed(struct vcpu *vcpu);
bool vmx_nmi_allowed(struct vcpu *vcpu);
void vmx_keep_vectoring(struct vcpu *vcpu);

/**
 * vmx_save_vectoring() - keep the event whose delivery the last exit interrupted
 * @vcpu: loaded; vcpu->exit has just been read
 *
 * The next entry delivers the event again (SDM 3C 28.2.4); if the exit goes to
 * L1, VMCS12 gets it. An exit by an IRET that had already unblocked NMIs blocks
 * them again, because the IRET will be repeated (SDM 28.2.3). For an exit that
 * goes to L1, nmi_before_exit() undoes what this function does to the blocking.
 *
 * Context: Process context, once after each exit. Does not sleep. Reads and
 * writes the current VMCS, which is the one that exited.
 */
static inline void vmx_save_vectoring(struct vcpu *vcpu)
{
	const struct vmx_exit *e = &vcpu->exit;

	vcpu->ev.injected.valid = false;
	if (unlikely((e->idt_info & INTR_INFO_VALID_MASK) || vmx_exit_of_iret(e)))
		vmx_keep_vectoring(vcpu);
}

void vmx_inject_event(struct vcpu *vcpu, const struct event *ev);
void vmx_deliver_payload(struct vcpu *vcpu, struct event *ev);
void vmx_set_fault_rf(struct vcpu *vcpu, u8 vector);
void vmx_cancel_events(struct vcpu *vcpu);
void vmx_set_exception_type(const struct vcpu *vcpu, struct event *ev);

/* --- traps.c: the end of an instruction that L0 executed --- */
void vcpu_insn_done(struct vcpu *vcpu, bool tf, bool branch, u64 held);
void vcpu_skip_instruction(struct vcpu *vcpu);
void vcpu_repeat_instruction(struct vcpu *vcpu);

#endif
