// SPDX-License-Identifier: GPL-2.0
/* Exits by MOV DR and by exceptions, and the debugger in user space (KVM_SET_GUEST_DEBUG). SDM 3B 18.2, 3C 26.1.3. */
#include <linux/hw_breakpoint.h>
#include <asm/cpu.h>
#include <asm/debugreg.h>
#include <asm/traps.h>
#include <asm/trapnr.h>
#include "droste.h"
#include "pv/pv.h"
#include "run/handlers.h"
#include "vmx/inject.h"
#include "vmx/regs.h"
#include "vmx/vmx.h"

#define DR7_GD		BIT(13)

/* End KVM_RUN with KVM_EXIT_DEBUG. */
static int debug_report(struct vcpu *vcpu, u8 vector, u64 dr6)
{
	struct kvm_run *run = vcpu->run;

	run->exit_reason = KVM_EXIT_DEBUG;
	run->debug.arch.exception = vector;
	run->debug.arch.pc = vmcs_read(GUEST_CS_BASE) + vcpu_rip(vcpu);
	run->debug.arch.dr6 = vcpu_dr6_value(vcpu, dr6 ^ DR6_RTM);
	run->debug.arch.dr7 = vcpu_effective_dr7(vcpu);
	return NEXT_USER;
}

/**
 * exit_debug_trap() - report a trap that L0 raised to the debugger in user space
 * @vcpu: loaded
 *
 * If debugging has ended since, the guest gets the trap if TF is its own.
 *
 * Context: That of run/handlers.h.
 * Return: NEXT_USER, or NEXT_ENTER if there is no such trap.
 */
int exit_debug_trap(struct vcpu *vcpu)
{
	u64 dr6 = vcpu->ev.debug_dr6;

	vcpu->ev.debug_dr6 = 0;
	if (!dr6)
		return NEXT_ENTER;
	if (vmx_debugger_takes_db(vcpu))
		return debug_report(vcpu, X86_TRAP_DB, dr6);
	if (vcpu_rflags(vcpu) & X86_EFLAGS_TF)
		vcpu_queue_db(vcpu, dr6);
	return NEXT_ENTER;
}

/*
 * #DB goes to the debugger in user space if it asked for one, else to the guest.
 * The exit has cleared the pending single step, which VM entry wants in the
 * shadow of STI (SDM 3C 27.3.1.5).
 */
static int debug_on_debug_exception(struct vcpu *vcpu)
{
	u64 dr6 = vcpu->exit.qual & (DR6_WRITABLE | DR6_RTM);

	/*
	 * ICEBP is a privileged software exception (type 5) and raises #DB as a
	 * trap: the handler must find RIP after the instruction. Traps that MOV SS
	 * held back are lost, as in KVM.
	 */
	if ((vcpu->exit.intr_info & INTR_INFO_INTR_TYPE_MASK) == INTR_TYPE_PRIV_SW_EXCEPTION) {
		vcpu_advance_rip(vcpu);
		vmx_end_blocking(vcpu);
	}
	if (vmx_debugger_takes_db(vcpu)) {
		/* The debugger may keep the #DB to itself. The guest must be able to go on without it. */
		if (vcpu_rflags(vcpu) & X86_EFLAGS_TF)
			vmx_end_blocking(vcpu);
		return debug_report(vcpu, X86_TRAP_DB, dr6);
	}
	vmx_fit_blocking(vcpu);
	vcpu_queue_db(vcpu, dr6);
	return NEXT_ENTER;
}

/*
 * The host's detection of split locks raised #AC. The guest did not ask for it,
 * and its kernel would die of it. The host warns and lets the thread go on, or,
 * with "split_lock_detect=fatal", sends it SIGBUS.
 */
static int debug_on_split_lock(struct vcpu *vcpu)
{
	struct kvm_run *run = vcpu->run;

	if (handle_guest_split_lock(vcpu_rip(vcpu)))
		return NEXT_ENTER;
	run->exit_reason = KVM_EXIT_EXCEPTION;
	run->ex.exception = X86_TRAP_AC;
	run->ex.error_code = vcpu->exit.intr_error;
	return NEXT_USER;
}

/*
 * Whether #UD may come from SYSCALL or SYSRET, which the guest may use from now on:
 * the instruction must be executed again.
 */
static bool debug_on_syscall(struct vcpu *vcpu)
{
	if (likely(!vmx_use_syscall(vcpu)))
		return false;
	/* The exit has set RF (SDM 3C 28.3.3), and SYSCALL saves it in R11. A breakpoint at the instruction was taken before. */
	if (!(vcpu->dr7 & DR7_ACTIVE))
		vcpu_set_rflags(vcpu, vcpu_rflags(vcpu) & ~(u64)X86_EFLAGS_RF);
	return true;
}

/**
 * exit_exception() - handle an exception in the exception bitmap, or an NMI
 * @vcpu: loaded
 *
 * NMIs and machine checks belong to the host, and loop_pass_to_host() has
 * delivered them there. Other exceptions go to the debugger in user space if it
 * asked for them, or else to the guest.
 *
 * Context: That of run/handlers.h.
 * Return: NEXT_ENTER, or NEXT_USER for the debugger.
 */
int exit_exception(struct vcpu *vcpu)
{
	u32 info = vcpu->exit.intr_info;
	u8 vector = info & INTR_INFO_VECTOR_MASK;

	if ((info & INTR_INFO_INTR_TYPE_MASK) == INTR_TYPE_NMI_INTR || vector == X86_TRAP_MC)
		return NEXT_ENTER;
	if (vector == X86_TRAP_DB)
		return debug_on_debug_exception(vcpu);
	if (vector == X86_TRAP_AC && vcpu_split_lock(vcpu))
		return debug_on_split_lock(vcpu);
	if (vector == X86_TRAP_UD && !vcpu->in_l2 && (debug_on_syscall(vcpu) || pv_fix_hypercall(vcpu)))
		return NEXT_ENTER;
	if (vector == X86_TRAP_BP && (vcpu->guest_debug & KVM_GUESTDBG_USE_SW_BP))
		return debug_report(vcpu, X86_TRAP_BP, 0);
	/*
	 * The exception belongs to the level that runs: its own #AC, or in L2 one that
	 * VMCS02 intercepts for L1 but L1 does not take, such as a page fault that
	 * L1's error-code mask excludes. Deliver it there.
	 */
	if (vector == X86_TRAP_PF)
		vcpu_queue_pf(vcpu, vcpu->exit.qual, vcpu->exit.intr_error);
	else if (info & INTR_INFO_DELIVER_CODE_MASK)
		vcpu_queue_exception_err(vcpu, vector, vcpu->exit.intr_error);
	else
		vcpu_queue_exception(vcpu, vector);
	return NEXT_ENTER;
}

/*
 * MOV DR exits before the instruction makes its own checks (SDM 26.1.3), so the
 * checks are made here. Returns true if the instruction must not be executed;
 * *next is then the result of the handler.
 */
static bool debug_mov_dr_faults(struct vcpu *vcpu, unsigned int dr, int *next)
{
	*next = NEXT_ENTER;
	if ((dr == 4 || dr == 5) && (vcpu_cr4(vcpu) & X86_CR4_DE)) {
		vcpu_queue_exception(vcpu, X86_TRAP_UD);
		return true;
	}
	if (vcpu_cpl(vcpu)) {
		vcpu_queue_exception_err(vcpu, X86_TRAP_GP, 0);
		return true;
	}
	/* GD is the debugger's bit while the debugger in user space sets hardware breakpoints, else the guest's. */
	if (!(vcpu_effective_dr7(vcpu) & DR7_GD))
		return false;
	if (vmx_debugger_owns_dr(vcpu))
		*next = debug_report(vcpu, X86_TRAP_DB, DR6_BD);
	else
		vcpu_queue_db(vcpu, DR6_BD);
	return true;
}

/* Returns false for #GP(0). */
static bool debug_write_dr(struct vcpu *vcpu, unsigned int dr, u64 val)
{
	if (dr < 4) {
		vcpu->dr[dr] = val;
		return true;
	}
	if (val >> 32)		/* bits 63:32 of DR6 and DR7 are reserved */
		return false;
	if (dr == 4 || dr == 6)
		vcpu->dr6 = vcpu_dr6_value(vcpu, val);
	else
		vcpu_set_dr7(vcpu, val);
	return true;
}

static u64 debug_read_dr(struct vcpu *vcpu, unsigned int dr)
{
	if (dr < 4)
		return vcpu->dr[dr];
	return dr == 4 || dr == 6 ? vcpu->dr6 : vcpu->dr7;
}

/**
 * exit_mov_dr() - handle MOV to or from a debug register (SDM table 28-4)
 * @vcpu: loaded
 *
 * Context: That of run/handlers.h.
 * Return: NEXT_ENTER, or NEXT_USER for the debugger.
 */
int exit_mov_dr(struct vcpu *vcpu)
{
	u64 q = vcpu->exit.qual;
	unsigned int dr = q & 7, reg = q >> 8 & 15;
	bool wide = vcpu_is_64bit(vcpu);
	int next;

	if (debug_mov_dr_faults(vcpu, dr, &next))
		return next;
	if (q & BIT(4)) {
		u64 val = debug_read_dr(vcpu, dr);

		vcpu_set_gpr(vcpu, reg, wide ? val : (u32)val);
	} else {
		u64 val = vcpu_gpr(vcpu, reg);

		if (!debug_write_dr(vcpu, dr, wide ? val : (u32)val)) {
			vcpu_queue_exception_err(vcpu, X86_TRAP_GP, 0);
			return NEXT_ENTER;
		}
	}
	vcpu_skip_instruction(vcpu);
	return NEXT_ENTER;
}
