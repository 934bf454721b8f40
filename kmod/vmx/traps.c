// SPDX-License-Identifier: GPL-2.0
/* Traps due after an instruction that L0 executed, and debug exceptions that wait in the VMCS. SDM 3B 18.3.1.4, 3C 25.4.2. */
#include <linux/hw_breakpoint.h>
#include <asm/debugreg.h>
#include <asm/vmx.h>
#include "droste.h"
#include "run/request.h"
#include "vmx/inject.h"
#include "vmx/regs.h"
#include "vmx/vmx.h"


/* Whether TF makes the guest trap after each instruction, and not only after branches (SDM 3B 18.4.3). */
static bool traps_single_steps(struct vcpu *vcpu)
{
	return (vcpu_rflags(vcpu) & X86_EFLAGS_TF) && !(vcpu->debugctl & DEBUGCTLMSR_BTF);
}

/**
 * vmx_end_blocking() - end blocking by STI and MOV SS, since an instruction is complete
 * @vcpu: loaded
 *
 * Context: Reads and writes the current VMCS. Does not sleep.
 * Return: the debug exceptions that MOV SS held back and that are due now, as
 * bits of DR6; 0 if there are none.
 */
u64 vmx_end_blocking(struct vcpu *vcpu)
{
	u32 state = vmcs_read(GUEST_INTERRUPTIBILITY_INFO);
	u64 held;

	if (likely(!(state & BLOCKING_ONE_INSN)))
		return 0;
	vmcs_write(GUEST_INTERRUPTIBILITY_INFO, state & ~(u32)BLOCKING_ONE_INSN);
	held = vmcs_read(GUEST_PENDING_DBG_EXCEPTIONS);
	if (likely(!held))
		return 0;
	vmcs_write(GUEST_PENDING_DBG_EXCEPTIONS, 0);
	return held & PENDING_DBG_VALID ? held & (DR_STEP | DR_TRAP_BITS) : 0;
}

/**
 * vmx_fit_blocking() - make the pending debug exceptions fit blocking by STI or MOV SS
 * @vcpu: loaded
 *
 * While there is such blocking, VM entry wants the pending single-step trap
 * exactly if the guest single-steps (SDM 3C 27.3.1.5). An exit due to #DB clears
 * the trap. An entry that injects an event drops it again, and otherwise it is
 * what the processor would have held back. If the debugger in user space
 * single-steps, the blocking ends instead, because the trap would be reported
 * without an instruction having been executed.
 *
 * Context: Reads and writes the current VMCS. Does not sleep.
 */
void vmx_fit_blocking(struct vcpu *vcpu)
{
	u32 state = vmcs_read(GUEST_INTERRUPTIBILITY_INFO);
	u64 pending;

	if (likely(!(state & BLOCKING_ONE_INSN)))
		return;
	pending = vmcs_read(GUEST_PENDING_DBG_EXCEPTIONS) & ~PENDING_DBG_BS;
	if (vcpu->guest_debug & KVM_GUESTDBG_SINGLESTEP)
		vmcs_write(GUEST_INTERRUPTIBILITY_INFO, state & ~(u32)BLOCKING_ONE_INSN);
	else if (traps_single_steps(vcpu))
		pending |= PENDING_DBG_BS;
	vmcs_write(GUEST_PENDING_DBG_EXCEPTIONS, pending);
}

/**
 * vmx_block_by_mov_ss() - begin the blocking after MOV SS or POP SS, which L0 executed
 * @vcpu: loaded; no blocking by STI or MOV SS is in effect
 *
 * Context: Reads and writes the current VMCS. Does not sleep.
 * Return: true if that holds the single step of the instruction back; false if
 * the debugger in user space takes it, which ends the blocking.
 */
bool vmx_block_by_mov_ss(struct vcpu *vcpu)
{
	if (vcpu->guest_debug & KVM_GUESTDBG_SINGLESTEP)
		return false;
	vmcs_set_bits(GUEST_INTERRUPTIBILITY_INFO, GUEST_INTR_STATE_MOV_SS);
	vmx_fit_blocking(vcpu);
	return true;
}

/*
 * A trap is queued as an exception: the processor would drop one that is pending
 * in the VMCS if the next entry injects another event (SDM 3C 27.7.3).
 */
static void traps_raise(struct vcpu *vcpu, u64 dr6)
{
	if (vmx_debugger_takes_db(vcpu)) {
		vcpu->ev.debug_dr6 = dr6;
		vcpu_request(vcpu, REQ_DEBUG);
	} else {
		vcpu_queue_db(vcpu, dr6);
	}
}

/**
 * vcpu_insn_done() - raise the traps that are due after an instruction that L0 executed
 * @vcpu: loaded; RIP is that of the next instruction
 * @tf: TF was set when the instruction began
 * @branch: the instruction was a branch
 * @held: what vmx_end_blocking() returned
 *
 * An iteration of a REP counts as an instruction. In L2 the monitor trap flag of
 * L1 is taken into account. An instruction breakpoint at the next instruction
 * shows in the same #DB as the single step.
 *
 * Context: Process context. Reads the current VMCS. Does not sleep.
 */
void vcpu_insn_done(struct vcpu *vcpu, bool tf, bool branch, u64 held)
{
	u64 dr6 = held;

	if (vcpu->in_l2)
		nested_insn_done(&vcpu->nested);
	if (unlikely(tf) && (branch || (vcpu->guest_debug & KVM_GUESTDBG_SINGLESTEP) ||
			     !(vcpu->debugctl & DEBUGCTLMSR_BTF)))
		dr6 |= DR_STEP | vmx_code_breakpoints(vcpu);
	if (unlikely(dr6))
		traps_raise(vcpu, dr6);
}

/**
 * vcpu_skip_instruction() - complete an instruction that exited and that L0 has emulated
 * @vcpu: loaded; vcpu->exit is the exit of the instruction
 *
 * Advances RIP, ends blocking by STI and MOV SS, clears RF, and raises the traps
 * that are due (SDM 3B 18.3.1.4, 3C 26.3): event_trap_due() tells whether one is.
 *
 * Context: Process context. Reads and writes the current VMCS. Does not sleep.
 */
void vcpu_skip_instruction(struct vcpu *vcpu)
{
	u64 flags = vcpu_rflags(vcpu), old = vcpu_rip(vcpu), rip = old + vcpu->exit.ilen;

	/* Outside 64-bit code RIP wraps at 32 bits. */
	if (unlikely((old ^ rip) >> 31 && !vcpu_is_64bit(vcpu)))
		rip = (u32)rip;
	/* This is shorter than to have vmx_flush_regs() do it. */
	vcpu->rip = rip;
	vmcs_write(GUEST_RIP, rip);
	/* Exits that are like faults, as EPT violations are, save RF as 1 (SDM 3C 28.3.3). */
	if (flags & X86_EFLAGS_RF) {
		vcpu->rflags = flags & ~(u64)X86_EFLAGS_RF;
		vmcs_write(GUEST_RFLAGS, vcpu->rflags);
	}
	/* Nearly always there is nothing else to do. */
	if (likely(!(flags & X86_EFLAGS_TF) && !vcpu->in_l2 &&
		   !(vmcs_read(GUEST_INTERRUPTIBILITY_INFO) & BLOCKING_ONE_INSN)))
		return;
	vcpu_insn_done(vcpu, flags & X86_EFLAGS_TF, false, vmx_end_blocking(vcpu));
}

/**
 * vcpu_repeat_instruction() - have the guest execute the instruction again that has just exited
 * @vcpu: loaded; vcpu->exit is the exit of the instruction, which has changed nothing
 *
 * An exit that an instruction causes leaves RF clear (SDM 3C 28.3.3). The guest, or a debugger in user space, has met a
 * breakpoint at the instruction already, and must not meet it again (SDM 3B 18.3.1.1).
 *
 * Context: Process context. Reads the current VMCS. Does not sleep.
 */
void vcpu_repeat_instruction(struct vcpu *vcpu)
{
	if (unlikely(vcpu_effective_dr7(vcpu) & DR7_ACTIVE))
		vcpu_set_rflags(vcpu, vcpu_rflags(vcpu) | X86_EFLAGS_RF);
}

/**
 * vmx_hold_trap() - leave a queued debug trap in the VMCS, because L2 exits before it is delivered
 * @vcpu: in L2, loaded
 *
 * Exits by INIT and by the monitor trap flag come before debug traps, and save
 * them as pending (SDM 3C 28.3.4).
 *
 * Context: Reads and writes the current VMCS. Does not sleep.
 */
void vmx_hold_trap(struct vcpu *vcpu)
{
	const struct event *ev = &vcpu->ev.exception;
	u64 bits = ev->has_payload ? ev->payload & (DR_STEP | DR_TRAP_BITS) : DR_STEP;

	if (!event_is_debug_trap(ev))
		return;
	if (bits & DR_TRAP_BITS)
		bits |= PENDING_DBG_ENABLED_BP;
	vmcs_write(GUEST_PENDING_DBG_EXCEPTIONS, vmcs_read(GUEST_PENDING_DBG_EXCEPTIONS) | bits);
}
