// SPDX-License-Identifier: GPL-2.0
/*
 * The step from the host's context to the guest and back. Nothing here may be
 * probed or traced: a fault of a tracer would replace the guest's CR2, the IRET
 * at its end would unblock NMIs, and RCU may not be watching this CPU.
 */
#include <linux/context_tracking.h>
#include <linux/ftrace.h>
#include <linux/instrumentation.h>
#include <linux/irqflags.h>
#include <linux/jiffies.h>
#include <linux/rcupdate.h>
#include <asm/special_insns.h>
#include "droste.h"
#include "vmx/crossing.h"
#include "vmx/vmx.h"

/*
 * Tell the host that this CPU is about to run a guest, as it is told before user
 * mode: interrupts count as enabled, and RCU need not wait for this CPU. With
 * context tracking (nohz_full) RCU does not watch the CPU until the exit;
 * otherwise the CPU reports a quiescent state. One report per tick is enough,
 * because RCU looks for them at ticks.
 */
static __always_inline void guestmode_begin(struct vcpu *vcpu)
{
	unsigned long tick = jiffies;

	instrumentation_begin();
	trace_hardirqs_on_prepare();
	lockdep_hardirqs_on_prepare();
	instrumentation_end();
	if (!context_tracking_guest_enter() && unlikely(vcpu->qs_tick != tick)) {
		instrumentation_begin();
		vcpu->qs_tick = tick;
		rcu_note_context_switch(false);
		instrumentation_end();
	}
	lockdep_hardirqs_on(CALLER_ADDR0);
}

/* Undo guestmode_begin(). */
static __always_inline void guestmode_end(void)
{
	lockdep_hardirqs_off(CALLER_ADDR0);
	context_tracking_guest_exit();
	instrumentation_begin();
	trace_hardirqs_off_finish();
	instrumentation_end();
}

/*
 * If an NMI caused the exit, NMIs are blocked. Raise it on this CPU before
 * anything else can fault; the IRET of the host's handler unblocks NMIs (SDM
 * 28.5.5).
 */
static __always_inline void guestmode_pass_nmi(struct vmx_exit *e)
{
	if (likely(e->basic != EXIT_REASON_EXCEPTION_NMI))
		return;
	e->intr_info = vmcs_read(VM_EXIT_INTR_INFO);
	if ((e->intr_info & INTR_INFO_INTR_TYPE_MASK) == INTR_TYPE_NMI_INTR)
		asm volatile("int $2");
}

DEFINE_STATIC_KEY_FALSE(vmx_entry_more);

/* See vmx_guest_mode(). @more: entries flush the L1 data cache, or some VM hides the cost of exits. */
static __always_inline void guestmode_run(struct vcpu *vcpu, bool more)
{
	struct vmx_exit *e = &vcpu->exit;
	u64 left = 0;
	bool fail;

	guestmode_begin(vcpu);
	if (more)
		vmx_l1d_flush(vcpu);
	if (vcpu->cr2 != native_read_cr2())
		native_write_cr2(vcpu->cr2);
	vmx_clear_buffers(vcpu);
	if (more && vcpu->hide.bound)
		vmx_hide_cost(vcpu);
	fail = vmx_enter(vcpu->regs, vcpu->vmcs->launched, &vcpu->vmcs->host_rsp, vcpu->spec_ctrl);
	if (more && vcpu->hide.bound)
		left = rdtsc_ordered();
	vcpu->cr2 = native_read_cr2();
	e->reason = likely(!fail) ? vmcs_read(VM_EXIT_REASON) : VMX_EXIT_NONE;
	e->basic = e->reason;
	guestmode_pass_nmi(e);
	guestmode_end();
	if (more && vcpu->hide.bound) {
		instrumentation_begin();
		vmx_hide_note_exit(vcpu, left);
		instrumentation_end();
	}
}

/* There is one branch for all that few hosts and VMs need. */
static noinline noinstr void guestmode_run_more(struct vcpu *vcpu)
{
	guestmode_run(vcpu, true);
}

/**
 * vmx_guest_mode() - run the guest until its next exit
 * @vcpu: its VMCS is current, and complete; all other state that the guest uses
 *	is loaded, except general registers and CR2
 *
 * Sets exit.reason and exit.basic of the vCPU, and for exceptions and NMIs exit.intr_info.
 * The reason is VMX_EXIT_NONE if the entry failed. An NMI that caused the exit was given
 * to the host.
 *
 * Context: Interrupts disabled.
 */
noinstr void vmx_guest_mode(struct vcpu *vcpu)
{
	if (static_branch_unlikely(&vmx_entry_more))
		guestmode_run_more(vcpu);
	else
		guestmode_run(vcpu, false);
}
