// SPDX-License-Identifier: GPL-2.0
/* The run loop: look at requests, prepare events, enter, read the exit, route it, handle or reflect it, repeat. */
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/smp.h>
#include <asm/debugreg.h>
#include <asm/mmu_context.h>
#include <asm/tlbflush.h>
#include <asm/trapnr.h>
#include "droste.h"
#include "cpu/fpu.h"
#include "cpu/msr.h"
#include "ept/ept.h"
#include "irqchip/irqchip.h"
#include "mem/dirty.h"
#include "nested/nested.h"
#include "pv/kvmclock.h"
#include "pv/stealtime.h"
#include "run/request.h"
#include "run/run.h"
#include "vmx/inject.h"
#include "vmx/regs.h"
#include "vmx/vmx.h"

/* --- one entry --- */

/* The dirty ring had no room to spare, or none at all. Is it still so? */
static int loop_ring_full(struct vcpu *vcpu)
{
	if (unlikely(vcpu->ring.lost)) {
		pr_info_ratelimited("droste: a dirty ring overflowed: what was written is not known any more\n");
		vm_kill(vcpu->vm);
		return -EIO;
	}
	if (!dirty_ring_soft_full(vcpu))
		return NEXT_ENTER;
	vcpu_request(vcpu, REQ_RING_FULL);
	vcpu->run->exit_reason = KVM_EXIT_DIRTY_RING_FULL;
	return NEXT_USER;
}

/* What others asked for, before the entry. srcu held. Return: enum next or a negative errno. */
static int loop_do_requests(struct vcpu *vcpu)
{
	unsigned long req;

	if (likely(!READ_ONCE(vcpu->requests)))
		return NEXT_ENTER;
	req = xchg(&vcpu->requests, 0);
	if (req & BIT(REQ_DEAD) || READ_ONCE(vcpu->vm->dead)) {
		vcpu_request(vcpu, REQ_DEAD);
		return -EIO;
	}
	if (req & BIT(REQ_CPUID))
		vmx_update_cpuid_controls(vcpu);
	if (req & BIT(REQ_MSR_FILTER)) {
		msr_update_bitmap(vcpu);
		nested_remerge_bitmaps(vcpu);
	}
	if (req & BIT(REQ_TIMER)) {
		if (vcpu->lapic)
			vlapic_timer_request(vcpu);
	}
	if (req & BIT(REQ_STEAL))
		steal_time_update(vcpu);
	if (req & BIT(REQ_CLOCK))
		kvmclock_update(vcpu);
	if (req & BIT(REQ_UNPIN))
		nested_unpin(vcpu);
	if (req & BIT(REQ_PML))
		vmx_pml_update(vcpu);
	preempt_disable();
	if (req & BIT(REQ_EPT01_FLUSH))
		ept01_flush(vcpu);
	if (req & BIT(REQ_EPT01_FLUSH_LOCAL))
		vmx_invept_all();
	if (req & BIT(REQ_TLB_FLUSH_GUEST)) {
		vmx_invvpid_single(vcpu->vpid01);
		vmx_invvpid_single(vcpu->nested.vpid02);
	}
	preempt_enable();
	/* Last: nothing that was asked for may be forgotten. */
	if (unlikely(req & BIT(REQ_SPLIT_EOI))) {
		if (req & BIT(REQ_RING_FULL))
			vcpu_request(vcpu, REQ_RING_FULL);
		vcpu->run->exit_reason = KVM_EXIT_IOAPIC_EOI;
		vcpu->run->eoi.vector = vcpu->eoi_vector;
		return NEXT_USER;
	}
	return req & BIT(REQ_RING_FULL) ? loop_ring_full(vcpu) : NEXT_ENTER;
}

/* Host fields that another thread or the scheduler may have changed. Irqs off. */
static void loop_sync_host_crs(struct loaded_vmcs *v)
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

/* NMIs and machine checks that came as exits belong to the host: raise them there. Irqs off. */
static void loop_pass_to_host(struct vcpu *vcpu)
{
	u32 info = vcpu->exit.intr_info;

	if (vcpu->exit.basic == EXIT_REASON_MCE_DURING_VMENTRY) {
		asm volatile("int $18");
		return;
	}
	if (vcpu->exit.basic != EXIT_REASON_EXCEPTION_NMI)
		return;
	/* NMIs are blocked since the exit; the handler's IRET unblocks them (SDM 28.5.5). */
	if ((info & INTR_INFO_INTR_TYPE_MASK) == INTR_TYPE_NMI_INTR)
		asm volatile("int $2");
	else if ((info & INTR_INFO_VECTOR_MASK) == X86_TRAP_MC)
		asm volatile("int $18");
}

/* Into the guest and out again. Irqs off. */
static void loop_enter_once(struct vcpu *vcpu)
{
	bool dr;

	vmx_flush_regs(vcpu);
	loop_sync_host_crs(vcpu->vmcs);
	if (vcpu->cr2 != native_read_cr2())
		native_write_cr2(vcpu->cr2);
	dr = vmx_load_guest_dr(vcpu);
	fpu_load_guest_xcr(vcpu);

	vcpu->exit.fail = vmx_enter(vcpu->regs, vcpu->vmcs->launched, &vcpu->vmcs->host_rsp);

	fpu_load_host_xcr(vcpu);
	if (unlikely(dr))
		vmx_restore_host_dr();
	vcpu->cr2 = native_read_cr2();
	vcpu->reg_avail = 0;
}

/* Does the processor log what is written through the current VMCS? */
static bool loop_logs_writes(const struct vcpu *vcpu)
{
	const struct vmx_controls *c = vcpu->in_l2 ? &vcpu->nested.ctl02 : &vcpu->ctl01;

	return c->proc2 & SECONDARY_EXEC_ENABLE_PML;
}

/* Count it, and keep what it interrupted. */
static void loop_note_exit(struct vcpu *vcpu)
{
	u16 basic = vcpu->exit.basic;

	/* A VM entry that failed while it loaded guest state did not happen. */
	if (likely(!(vcpu->exit.reason & VMX_EXIT_REASONS_FAILED_VMENTRY)))
		vcpu->nested.entry_pending = false;
	vmx_save_vectoring(vcpu);
	if (likely(basic < NR_EXIT_REASONS)) {
		vcpu->exits[basic]++;
		if (vcpu->in_l2)
			vcpu->exits_l2[basic]++;
	}
}

/* The entry itself did not happen: what L0 wrote into the VMCS is wrong. */
static int loop_vmfail(struct vcpu *vcpu)
{
	u32 error = READ_ONCE(vmx_going_down) ? 0 : vmcs_read(VM_INSTRUCTION_ERROR);

	if (READ_ONCE(vmx_going_down))
		return -EIO;
	pr_info_ratelimited("droste: VM entry refused, VM-instruction error %u, %s\n", error,
			    vcpu->in_l2 ? "L2" : "L1");
	vcpu->run->exit_reason = KVM_EXIT_FAIL_ENTRY;
	vcpu->run->fail_entry.hardware_entry_failure_reason = error;
	vcpu->run->fail_entry.cpu = raw_smp_processor_id();
	return NEXT_USER;
}

/* What the host wants of the thread before it enters a guest. */
#define HOST_WORK	(_TIF_NEED_RESCHED | _TIF_SIGPENDING | _TIF_NOTIFY_SIGNAL | _TIF_NOTIFY_RESUME)

static bool loop_must_not_enter(struct vcpu *vcpu)
{
	return READ_ONCE(vcpu->requests) || (read_thread_flags() & HOST_WORK);
}

/*
 * Enter the guest once and come back with the exit read. Return: NEXT_ENTER
 * with *entered telling whether it happened, or what the failure leads to.
 */
static int loop_enter(struct vcpu *vcpu, bool *entered)
{
	*entered = false;
	preempt_disable();
	vmx_host_prepare(vcpu);
	local_irq_disable();
	WRITE_ONCE(vcpu->mode, VCPU_IN_GUEST);
	/* Pairs with vcpu_kick() and vm_request_all(): they see the mode, or we see the request. */
	smp_mb();
	if (unlikely(loop_must_not_enter(vcpu))) {
		WRITE_ONCE(vcpu->mode, VCPU_OUTSIDE);
		local_irq_enable();
		preempt_enable();
		vmx_cancel_events(vcpu);
		vcpu_request(vcpu, REQ_EVENT);
		return NEXT_ENTER;
	}
	fpu_assert(vcpu);
	if (unlikely(vcpu->want_immediate_exit))
		smp_send_reschedule(smp_processor_id());

	loop_enter_once(vcpu);
	if (likely(!vcpu->exit.fail)) {
		vmx_snapshot_exit(vcpu);
		/* An entry that failed on the guest's state launched nothing (SDM 3C 31.3, VMLAUNCH). */
		if (likely(!(vcpu->exit.reason & VMX_EXIT_REASONS_FAILED_VMENTRY)))
			vcpu->vmcs->launched = true;
		loop_pass_to_host(vcpu);
		/* Before the mode: whoever waits for the vCPU to be outside waits for this too. */
		if (unlikely(loop_logs_writes(vcpu)))
			vmx_pml_flush(vcpu);
	}
	WRITE_ONCE(vcpu->mode, VCPU_OUTSIDE);
	/* A host interrupt that caused the exit is delivered here, through the host's own IDT. */
	local_irq_enable();
	preempt_enable();

	if (unlikely(vcpu->exit.fail))
		return loop_vmfail(vcpu);
	*entered = true;
	loop_note_exit(vcpu);
	return NEXT_ENTER;
}

/* Carry out what a handler decided, as far as the loop does it itself. */
static int loop_settle(struct vcpu *vcpu, int ret)
{
	return unlikely(ret == NEXT_REFLECT) ? nested_reflect(vcpu) : ret;
}

/* L1 answers vcpu->exit if it asked for such exits of L2; else L0 does. */
static int loop_dispatch(struct vcpu *vcpu)
{
	if (vcpu->in_l2 && nested_l1_wants_exit(vcpu)) {
		vcpu->exits_reflected[vcpu->exit.basic]++;
		return nested_reflect(vcpu);
	}
	return loop_settle(vcpu, exit_handle(vcpu));
}

/* One turn of the loop: prepare, enter, answer. srcu held throughout but in the guest. */
static int loop_turn(struct vcpu *vcpu, int *srcu)
{
	bool entered;
	int ret;

	ret = loop_do_requests(vcpu);
	if (ret != NEXT_ENTER)
		return ret;
	vcpu->want_immediate_exit = false;
	if (vcpu->in_l2 && nested_check_events(vcpu) == -EBUSY)
		vcpu->want_immediate_exit = true;
	if (vcpu->mp_state != KVM_MP_STATE_RUNNABLE)
		return NEXT_ENTER;
	ret = events_prepare(vcpu);
	if (ret != NEXT_ENTER)
		return ret;
	if (vcpu->in_l2) {
		ret = nested_before_entry(vcpu);
		if (ret) {
			vmx_cancel_events(vcpu);
			return ret;
		}
	}

	srcu_read_unlock(&vcpu->vm->srcu, *srcu);
	ret = loop_enter(vcpu, &entered);
	*srcu = srcu_read_lock(&vcpu->vm->srcu);
	if (ret != NEXT_ENTER || !entered)
		return ret;
	return loop_dispatch(vcpu);
}

/* Would the guest take an interrupt of user space's PIC at once? */
bool vcpu_ready_for_extint(struct vcpu *vcpu)
{
	return irqchip_takes_extint(vcpu) && !vcpu->ev.injected.valid && !vcpu->ev.exception.valid &&
	       events_interrupt_taken(vcpu);
}

/*
 * Work that the kernel does for a thread on its way to user space (task_work,
 * restartable sequences) waits for KVM_RUN to end. It ends as for a signal
 * without a handler: the kernel restarts it, and user space sees nothing. Only
 * if a signal comes as well it is EINTR.
 */
static int loop_leave_for_task_work(struct vcpu *vcpu)
{
	vcpu->run->exit_reason = KVM_EXIT_INTR;
	set_thread_flag(TIF_NOTIFY_SIGNAL);
	return -ERESTARTNOHAND;
}

static int run_loop(struct vcpu *vcpu)
{
	struct srcu_struct *srcu = &vcpu->vm->srcu;
	int idx = srcu_read_lock(srcu), ret = NEXT_ENTER;

	while (ret == NEXT_ENTER) {
		if (likely(vcpu_runnable(vcpu))) {
			ret = loop_turn(vcpu, &idx);
		} else if (vcpu->wants_irq_window && vcpu_ready_for_extint(vcpu)) {
			/* It halted before the window was seen. */
			vcpu->run->exit_reason = KVM_EXIT_IRQ_WINDOW_OPEN;
			ret = NEXT_USER;
		} else {
			srcu_read_unlock(srcu, idx);
			ret = halt_wait(vcpu);
			idx = srcu_read_lock(srcu);
			if (READ_ONCE(vcpu->vm->dead))
				ret = -EIO;
		}
		if (ret != NEXT_ENTER)
			break;
		if (signal_pending(current)) {
			vcpu->run->exit_reason = KVM_EXIT_INTR;
			ret = -EINTR;
		} else if (test_thread_flag(TIF_NOTIFY_RESUME)) {
			ret = loop_leave_for_task_work(vcpu);
		} else if (need_resched()) {
			/* A grace period must not wait for a vCPU that is preempted. */
			srcu_read_unlock(srcu, idx);
			cond_resched();
			idx = srcu_read_lock(srcu);
		}
	}
	srcu_read_unlock(srcu, idx);
	return ret;
}

/* Work left over from the last exit to user space: its answer. */
static int loop_finish_exit(struct vcpu *vcpu)
{
	int (*complete)(struct vcpu *vcpu) = vcpu->complete;
	int idx, ret;

	if (!complete)
		return NEXT_ENTER;
	vcpu->complete = NULL;
	idx = srcu_read_lock(&vcpu->vm->srcu);
	ret = loop_settle(vcpu, complete(vcpu));
	srcu_read_unlock(&vcpu->vm->srcu, idx);
	return ret;
}

/**
 * vcpu_run() - run the guest until user space has something to do
 * @vcpu: loaded; caller holds its mutex
 *
 * Finishes the exit that user space has answered, then enters the guest until
 * a handler wants user space, or a signal comes.
 *
 * Context: Process context. May sleep.
 * Return: 0 with vcpu->run filled; -EINTR for a signal or immediate_exit;
 * -ERESTARTNOHAND, which user space does not see, for task work; -EIO if the
 * VM is dead; -EFAULT if guest memory cannot be had.
 */
int vcpu_run(struct vcpu *vcpu)
{
	int ret;

	vcpu->wants_irq_window = !vcpu->vm->irqchip.pic && READ_ONCE(vcpu->run->request_interrupt_window);
	if (!vcpu->lapic)
		vcpu_set_cr8(vcpu, READ_ONCE(vcpu->run->cr8) & 0xf);

	fpu_enter(vcpu);
	ret = loop_finish_exit(vcpu);
	if (ret == NEXT_ENTER) {
		/* The previous exit reason stays: user space asked only to finish that exit. */
		ret = compat_immediate_exit(vcpu->run) ? -EINTR : run_loop(vcpu);
	}
	fpu_leave(vcpu);
	if (ret == -EINTR)
		vcpu->stats.signal_exits++;
	return ret == NEXT_USER ? 0 : ret;
}
