/* SPDX-License-Identifier: GPL-2.0 */
/* What an entry and an exit do to the host's state, besides the VMCS: inline, because each entry and exit needs it. */
#ifndef DROSTE_VMX_CROSSING_H
#define DROSTE_VMX_CROSSING_H

#include <linux/hw_breakpoint.h>
#include <linux/jump_label.h>
#include <asm/debugreg.h>
#include <asm/msr.h>
#include <asm/tlbflush.h>
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
 * vmx_host_sync_crs() - let the next exit load the present CR3 and CR4
 * @v: current, about to be entered
 *
 * The scheduler or another thread of the process may have changed them since
 * this VMCS was last entered.
 *
 * Context: Interrupts disabled.
 */
static inline void vmx_host_sync_crs(struct loaded_vmcs *v)
{
	unsigned long cr3 = __read_cr3(), cr4 = cr4_read_shadow();

	if (unlikely(v->host_cr3 != cr3)) {
		vmcs_write(HOST_CR3, cr3);
		v->host_cr3 = cr3;
	}
	if (unlikely(v->host_cr4 != cr4)) {
		vmcs_write(HOST_CR4, cr4);
		v->host_cr4 = cr4;
	}
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

/* The number of entries before one deadline after which hrtimers take the place of the timer: see vmx/timer.c. */
#define VMX_TIMER_ENTRIES	32

/**
 * vmx_timer_reload() - do what vmx_timer_before_entry() does, for a vCPU that need not exit at once
 * @vcpu: about to enter the guest again, at either level
 *
 * There is one branch for a deadline that has passed, one that is too far ahead for the timer, and none.
 *
 * Context: Interrupts disabled. Writes the current VMCS.
 */
static __always_inline void vmx_timer_reload(struct vcpu *vcpu)
{
	struct loaded_vmcs *v;
	u64 last, value;

	/* Keeps the compiler from holding in registers what the caller has looked at: most vCPUs have no deadline. */
	barrier();
	v = vcpu->vmcs;
	last = vcpu->timer.apic - 1;
	/* Without a deadline, this is the largest number. L1's timer counts only while L2 runs. */
	if (vcpu->in_l2)
		last = min(last, vcpu->timer.l2 - 1);
	value = (last - rdtsc()) >> vmx_features.timer_rate;
	if (unlikely(!v->timer_on || value >= U32_MAX || vcpu->timer.entries >= VMX_TIMER_ENTRIES - 1)) {
		/* Without a deadline, the value mostly stays that of the last entry. */
		if (last == U64_MAX && v->timer_on && !vcpu->timer.rest) {
			if (v->timer_value != U32_MAX) {
				v->timer_value = U32_MAX;
				vmcs_write(VMX_PREEMPTION_TIMER_VALUE, U32_MAX);
			}
			return;
		}
		vmx_timer_before_entry(vcpu);
		return;
	}
	vcpu->timer.entries++;
	v->timer_value = value + 1;
	vmcs_write(VMX_PREEMPTION_TIMER_VALUE, v->timer_value);
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
 * vmx_clear_buffers() - clear the processor's buffers if the guest has a device, whose accesses can show what they hold
 * @vcpu: about to enter
 *
 * enter.S does so for all guests on processors with other bugs.
 *
 * Context: Interrupts disabled, right before the entry. Not instrumentable.
 */
static __always_inline void vmx_clear_buffers(struct vcpu *vcpu)
{
	if (static_branch_unlikely(&compat_mmio_needs_verw) && READ_ONCE(vcpu->vm->has_device))
		compat_clear_buffers();
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
