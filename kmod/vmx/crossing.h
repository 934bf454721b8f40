/* SPDX-License-Identifier: GPL-2.0 */
/* What an entry and an exit do to the host's state, besides the VMCS: inline, because each entry and exit needs it. */
#ifndef DROSTE_VMX_CROSSING_H
#define DROSTE_VMX_CROSSING_H

#include <linux/hw_breakpoint.h>
#include <linux/jump_label.h>
#include <asm/debugreg.h>
#include <asm/msr.h>
#include "droste.h"
#include "vmx/l1d_logic.h"
#include "vmx/vmx.h"

/**
 * vmx_host_leave() - save the host state that the next exit destroys
 * @vcpu: about to enter; vmx_host_prepare() was called
 *
 * An exit clears IA32_DEBUGCTL and LDTR (SDM 28.5.1, 28.5.2). Both may have
 * changed since the last exit: the former by perf, the latter because another
 * thread of the process made its LDT. Either happens in an IPI.
 *
 * Context: Interrupts disabled.
 */
static inline void vmx_host_leave(struct vcpu *vcpu)
{
	struct host_state *h = &vcpu->host;
	u32 ldt;

	/* A register gets the selector with zeroes above. */
	asm volatile("sldt %0" : "=r" (ldt));
	if (unlikely(ldt))
		h->ldt = ldt;
	h->debugctl = __rdmsr(MSR_IA32_DEBUGCTLMSR);
}

/**
 * vmx_load_guest_dr() - load the debug registers for the guest, if it or the host uses them
 * @vcpu: about to enter
 *
 * Context: Interrupts disabled. vmx_host_return() must be called after the exit.
 */
static inline void vmx_load_guest_dr(struct vcpu *vcpu)
{
	if (unlikely(vcpu->guest_debug || (vcpu->dr7 & DR7_ACTIVE) || hw_breakpoint_active()))
		vmx_switch_dr(vcpu);
}

/**
 * vmx_host_return() - restore the host state that the kernel itself needs after an exit
 * @vcpu: has just exited
 *
 * vmx_host_restore() restores the state that only user mode and other threads need.
 *
 * Context: Interrupts disabled.
 */
static inline void vmx_host_return(struct vcpu *vcpu)
{
	if (unlikely(vcpu->host.debugctl))
		native_wrmsrl(MSR_IA32_DEBUGCTLMSR, vcpu->host.debugctl);
	/* The exit set DR7 to 0x400 (SDM 28.5.1), whether or not the guest had breakpoints. */
	if (unlikely(hw_breakpoint_active()))
		hw_breakpoint_restore();
}

/**
 * vmx_l1d_flush() - flush the L1 data cache if it may hold the host's data
 * @vcpu: about to enter
 *
 * Context: Interrupts disabled, right before the entry. Not instrumentable.
 */
static __always_inline void vmx_l1d_flush(struct vcpu *vcpu)
{
	if (static_branch_unlikely(&vmx_l1d_flushes))
		vmx_l1d_flush_now(vcpu);
}

/**
 * vmx_l1d_note_exit() - find out whether handling an exit brings the host's data to the cache
 * @vcpu: has just exited; vcpu->exit is valid
 *
 * Context: Any.
 */
static inline void vmx_l1d_note_exit(struct vcpu *vcpu)
{
	if (static_branch_unlikely(&vmx_l1d_flushes) && (vcpu->in_l2 || !l1d_exit_is_quiet(vcpu->exit.basic)))
		vcpu->l1d_due = true;
}

#endif
