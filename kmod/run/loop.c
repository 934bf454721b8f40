// SPDX-License-Identifier: GPL-2.0
/*
 * The run loop. L1 and L2 go through the same loop: vcpu->in_l2 says which of
 * them runs, vcpu->vmcs is VMCS01 or VMCS02 accordingly.
 *
 * One turn, loop_turn(), is:
 *  1. Carry out the requests that other threads, the scheduler and earlier
 *     handlers left in vcpu->requests.
 *  2. In L2, turn pending events that L1 intercepts into exits to L1. L1 runs
 *     from here on if there was one.
 *  3. Choose the event that the entry injects, and open windows for the others.
 *  4. In L2, bring VMCS02 up to date.
 *  5. With interrupts disabled, look once more for requests and for work of the
 *     host; if there is any, take the event back and start over.
 *  6. Enter the guest. It runs until an exit, which is read once, into
 *     vcpu->exit. An NMI that caused the exit is passed to the host at once.
 *     The short loop: if no event is pending, the exits that are frequent and need
 *     little are handled with interrupts still disabled, and step 6 is repeated.
 *     These are exits of L2 that L1 is to see, L1's VMRESUME, CPUID, and what
 *     exit_short() handles.
 *  7. Pass machine checks to the host, enable interrupts: the host takes its
 *     interrupt if one caused the exit. If that is all, and it has made no
 *     request, the guest is entered again as in step 5.
 *  8. Dispatch the exit: reflect it to L1 if it came from L2 and L1 asked for it,
 *     else call L0's handler. Either may switch between VMCS01 and VMCS02.
 *     If somebody has chosen this exit, the vCPU stands before that: see stand.c.
 *
 * Steps 2 to 4 are left out in L1 if no event was pending at the last entry, and
 * neither the exit nor user space can have made one pending: see vcpu_stay_calm().
 *
 * Each step returns NEXT_ENTER to carry on; any other result ends the turn and
 * with it KVM_RUN. Between turns the loop waits while the vCPU is halted, ends
 * KVM_RUN for a signal, and gives up the CPU if the scheduler asks.
 *
 * The loop holds vm->srcu, which protects memory slots and routing, in steps 1
 * to 4 and 8. It releases it around the entry and while the vCPU waits, so that
 * an update of the slots does not have to wait for the guest.
 *
 * An access to a port that user space serves is told to user space after step 6,
 * if it served the same access before: see emul_pio_short(). The next KVM_RUN then
 * finishes the instruction, and goes on with step 5.
 */
#include <linux/jump_label.h>
#include <linux/moduleparam.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/smp.h>
#include <linux/vtime.h>
#include <asm/mce.h>
#include <asm/mmu_context.h>
#include <asm/ptrace.h>
#include <asm/trapnr.h>
#include "droste.h"
#include "cpu/cpuid.h"
#include "cpu/fpu.h"
#include "io/emulate.h"
#include "irqchip/irqchip.h"
#include "nested/nested.h"
#include "nested/route.h"
#include "pv/pveoi.h"
#include "run/handlers.h"
#include "run/request.h"
#include "run/run.h"
#include "run/short.h"
#include "trace.h"
#include "vmx/crossing.h"
#include "vmx/inject.h"
#include "vmx/regs.h"
#include "vmx/vmx.h"

/* --- one entry --- */

/* Step 1. As requests_do(); *srcu changes. */
static __always_inline int loop_do_requests(struct vcpu *vcpu, int *srcu)
{
	struct loop_step step;

	if (likely(!READ_ONCE(vcpu->requests)))
		return NEXT_ENTER;
	step = requests_do(vcpu, *srcu);
	*srcu = step.srcu;
	return step.ret;
}

/*
 * Step 7: machine checks that caused the exit belong to the host. Its handler
 * is told that user mode was interrupted: an error in a page that the guest used
 * then costs this thread its page, as a SIGBUS, and not the host its life, as in
 * the kernel. Called with interrupts disabled. NMIs were passed on before, by
 * vmx_guest_mode().
 */
static noinline void loop_pass_machine_check(void)
{
#ifdef CONFIG_X86_MCE
	struct pt_regs regs = { .cs = 3, .flags = X86_EFLAGS_IF };

	do_machine_check(&regs);
#endif
}

/* Whether page-modification logging is on in the current VMCS. */
static bool loop_logs_writes(const struct vcpu *vcpu)
{
	const struct vmx_controls *c = vcpu->in_l2 ? &vcpu->nested.ctl02 : &vcpu->ctl01;

	return c->proc2 & SECONDARY_EXEC_ENABLE_PML;
}

/* Work of the host that this thread must do before it enters a guest. */
#define HOST_WORK	(_TIF_NEED_RESCHED | COMPAT_TIF_NEED_RESCHED_LAZY | _TIF_SIGPENDING | \
			 _TIF_NOTIFY_SIGNAL | _TIF_NOTIFY_RESUME)

static bool loop_must_not_enter(struct vcpu *vcpu)
{
	return READ_ONCE(vcpu->requests) | (read_thread_flags() & HOST_WORK);
}

/* Whether the VMX-preemption timer is on, or must be. There is one branch for all of it. */
static __always_inline bool loop_has_deadline(const struct vcpu *vcpu)
{
	return vcpu->vmcs->timer_on | vcpu->timer.apic | vcpu->timer.l2;
}

/* The entry does not happen. The event that was to be injected becomes the first that the next turn injects. */
static noinline void loop_put_off_event(struct vcpu *vcpu)
{
	vmx_cancel_events(vcpu);
	vcpu_request(vcpu, REQ_EVENT);
}

/* The VMX-preemption timer counts from its value at each entry. */
static void loop_set_timer(struct vcpu *vcpu)
{
	if (unlikely(vcpu->want_immediate_exit))
		vmx_timer_before_entry(vcpu);
	else if (unlikely(loop_has_deadline(vcpu)))
		vmx_timer_reload(vcpu);
}

static bool short_loop = true;
module_param_named(short, short_loop, bool, 0644);
MODULE_PARM_DESC(short, "Handle the most frequent exits with interrupts disabled");

static DEFINE_STATIC_KEY_FALSE(loop_watched);

/**
 * loop_watch() - have all exits go the long way, where they are noted, or end that
 * @on: begin; each call needs one that ends it
 *
 * Context: Process context. May sleep.
 */
void loop_watch(bool on)
{
	if (on)
		static_branch_inc(&loop_watched);
	else
		static_branch_dec(&loop_watched);
}

/* Whether the short loop may handle exits of this stay in the guest. Called with interrupts disabled. */
static bool loop_is_short(const struct vcpu *vcpu)
{
	return vcpu->quiet && READ_ONCE(short_loop) && vcpu->vmcs->launched && !vcpu->vmcs->perf_msrs &&
	       !loop_logs_writes(vcpu) && !trace_needs_exits() && !static_branch_unlikely(&loop_watched);
}

/* CPUID of L1, as exit_cpuid() handles it. Returns false if that must do it; nothing has changed then. */
static __always_inline bool loop_short_cpuid(struct vcpu *vcpu)
{
	u64 next;

	if (!short_next_rip(&next) || unlikely(!cpuid_quick(vcpu)))
		return false;
	vmcs_write(GUEST_RIP, next);
	vcpu->ev.injected.valid = false;
	vcpu->exits[EXIT_REASON_CPUID]++;
	return true;
}

/*
 * Whether the short loop may handle exits for this reason. For others, pv_eoi_end() must wait: after a machine check, guest
 * memory must not be read before the host's handler has run.
 */
static __always_inline bool loop_short_knows(u32 reason)
{
	const u64 known = BIT_ULL(EXIT_REASON_VMRESUME) | BIT_ULL(EXIT_REASON_CPUID) | BIT_ULL(EXIT_REASON_MSR_WRITE) |
			  BIT_ULL(EXIT_REASON_EPT_VIOLATION) | BIT_ULL(EXIT_REASON_PREEMPTION_TIMER) |
			  BIT_ULL(EXIT_REASON_GDTR_IDTR) | BIT_ULL(EXIT_REASON_LDTR_TR) | BIT_ULL(EXIT_REASON_VMCALL) |
			  BIT_ULL(EXIT_REASON_VMREAD) | BIT_ULL(EXIT_REASON_VMWRITE);

	return reason < 64 && (known >> reason & 1);
}

/*
 * Handle the exit if it is one for the short loop. Returns false if it is for the general path: after an entry that failed, for
 * instance, which has left VMX_EXIT_NONE.
 */
static __always_inline bool loop_short_exit(struct vcpu *vcpu)
{
	u32 reason = vcpu->exit.reason;

	vmx_l1d_note_exit(vcpu);
	if (vcpu->in_l2) {
		if (unlikely(reason == EXIT_REASON_EXTERNAL_INTERRUPT))
			return false;
		return (reason == EXIT_REASON_EPT_VIOLATION && nested_kick(vcpu)) || nested_again_reflect(vcpu);
	}
	/* An interrupt of the host leaves the offer as it is: see loop_is_host_interrupt(). */
	if (unlikely(vcpu->pv_eoi.offered) && (!loop_short_knows(reason) || !pv_eoi_end_short(vcpu)))
		return false;
	/* In the order of what matters: the handlers of the first two are a few instructions. */
	if (reason == EXIT_REASON_VMRESUME) {
		vcpu->ev.injected.valid = false;
		return nested_again_resume(vcpu);
	}
	if (reason == EXIT_REASON_CPUID)
		return loop_short_cpuid(vcpu);
	if (!loop_short_knows(reason))
		return false;
	if (reason == EXIT_REASON_VMCALL)
		return !vcpu->list_is_long && multicall_short(vcpu);
	return exit_short(vcpu);
}

/*
 * Whether the short loop must end before the next entry. An interrupt that has
 * just been sent to L1's local APIC, by the exit for instance, need not end it.
 */
static __always_inline bool loop_short_ends(struct vcpu *vcpu)
{
	if (likely(!loop_must_not_enter(vcpu)))
		return false;
	return (read_thread_flags() & HOST_WORK) || vcpu->in_l2 || !events_inject_short(vcpu);
}

/*
 * Step 6: load the registers that a VM entry does not load, enter, and after the
 * exit restore the host's. The two levels share these registers, so the short loop
 * need not switch them. Returns false if the short loop has handled the last exit;
 * *is_short tells if it may handle exits of this stay. @stays: since the last stay,
 * which could be short, there was only an interrupt of the host, or a write of L1 to a port. Called with
 * interrupts disabled.
 */
static bool loop_enter_guest(struct vcpu *vcpu, bool *is_short, bool stays)
{
	bool exited = true, xcr = fpu_xcr_differs(vcpu);

	vmx_flush_regs(vcpu);
	vmx_host_sync_crs(vcpu->vmcs);
	if (unlikely(vmx_perf_present))
		vmx_perf_switch(vcpu);
	vmx_host_leave(vcpu);
	vmx_load_guest_dr(vcpu);
	if (unlikely(xcr))
		fpu_load_guest_xcr(vcpu);

	vcpu->reg_avail = 0;
	*is_short = loop_is_short(vcpu);
	if (*is_short) {
		/* Otherwise again.ready is false. */
		if (vcpu->in_l2 || vcpu->nested.again.on) {
			if (!stays || unlikely(vmx_perf_present))
				nested_again_ready(vcpu);
			else
				nested_again_still_ready(vcpu);
		}
		for (;;) {
			vmx_guest_mode(vcpu);
			exited = !loop_short_exit(vcpu);
			if (exited)
				break;
			vcpu->stats.short_exits++;
			if (unlikely(loop_short_ends(vcpu)))
				break;
			/* A vCPU that must exit at once is not quiet. */
			if (unlikely(loop_has_deadline(vcpu)))
				vmx_timer_reload(vcpu);
		}
	} else {
		vmx_guest_mode(vcpu);
	}

	/* The entry for which an interrupt was injected does not happen now: see loop_turn(). */
	if (unlikely(!exited && vcpu->ev.injected.valid))
		loop_put_off_event(vcpu);
	if (unlikely(xcr))
		fpu_load_host_xcr(vcpu);
	vmx_host_return(vcpu);
	/* User space of this CPU must not run with branch predictions that the guest trained (VMSCAPE). */
	compat_ibpb_before_user_mode();
	return exited;
}

/* Count the exit, and keep the event whose delivery it interrupted. A failed entry delivers nothing (SDM 27.8). */
static void loop_note_exit(struct vcpu *vcpu)
{
	u16 basic = vcpu->exit.basic;

	vmx_l1d_note_exit(vcpu);
	if (likely(!(vcpu->exit.reason & VMX_EXIT_REASONS_FAILED_VMENTRY))) {
		vcpu->nested.delivery_pending = (vcpu->nested.entry_pending || vcpu->nested.delivery_pending) &&
						(vcpu->exit.idt_info & VECTORING_INFO_VALID_MASK);
		vcpu->nested.entry_pending = false;
		vmx_save_vectoring(vcpu);
		if (unlikely(vcpu->nested.nmi_soft))
			nmi_note_exit(vcpu);
	} else {
		vmx_cancel_events(vcpu);
	}
	vcpu->long_exits++;
	vcpu->noted_short = vcpu->stats.short_exits;
	vcpu->noted_l2 = vcpu->in_l2;
	if (likely(basic < NR_EXIT_REASONS)) {
		vcpu->exits[basic]++;
		if (vcpu->in_l2)
			vcpu->exits_l2[basic]++;
	}
	trace_droste_exit(vcpu);
	if (static_branch_unlikely(&loop_watched))
		visit_note_exit(vcpu);
}

/*
 * VMfail: the processor refused a control or host field that L0 wrote, or VMX
 * was turned off for a reboot. Returns NEXT_ENTER if the entry must be repeated.
 */
static int loop_vmfail(struct vcpu *vcpu)
{
	u32 error = READ_ONCE(vmx_going_down) ? 0 : vmcs_read(VM_INSTRUCTION_ERROR);

	if (READ_ONCE(vmx_going_down))
		return -EIO;
	vmx_cancel_events(vcpu);
	if (vcpu->in_l2 && nested_retry_entry(vcpu, error))
		return NEXT_ENTER;
	pr_info_ratelimited("droste: VM entry refused, VM-instruction error %u, %s\n", error,
			    vcpu->in_l2 ? "L2" : "L1");
	vcpu->run->exit_reason = KVM_EXIT_FAIL_ENTRY;
	vcpu->run->fail_entry.hardware_entry_failure_reason = error;
	vcpu->run->fail_entry.cpu = raw_smp_processor_id();
	return NEXT_USER;
}

/*
 * Whether the last exit is for an interrupt of the host alone, and the guest can go on as if nothing had happened when the
 * host has taken it. The host's handler requests whatever else is to be done. Nothing but the reason is read of such an
 * exit. Counts it, as loop_note_exit() does: it is at the boundary of an instruction, no delivery was interrupted.
 */
static __always_inline bool loop_is_host_interrupt(struct vcpu *vcpu)
{
	/* Another processor may have lowered L2's TPR: nested_before_entry() must look. */
	if (unlikely(vcpu->nested.nmi_soft) || (vcpu->in_l2 && unlikely(vcpu->nested.tpr_threshold02)))
		return false;
	vmx_l1d_note_exit(vcpu);
	vcpu->nested.delivery_pending = false;
	vcpu->nested.entry_pending = false;
	vcpu->ev.injected.valid = false;
	vcpu->stats.short_exits++;
	vcpu->exits[EXIT_REASON_EXTERNAL_INTERRUPT]++;
	if (vcpu->in_l2)
		vcpu->exits_l2[EXIT_REASON_EXTERNAL_INTERRUPT]++;
	return true;
}

/*
 * Handle the last exit if it is an access of L1 to a port like an earlier one, for user space or an ioeventfd, and count it.
 * As loop_finish_stay().
 */
static __always_inline int loop_port(struct vcpu *vcpu)
{
	int ret;

	if (vcpu->in_l2 || unlikely(vcpu->pv_eoi.offered || vcpu->nested.nmi_soft))
		return NEXT_GO_ON;
	ret = emul_pio_short(vcpu);
	if (unlikely(ret == NEXT_GO_ON))
		return ret;
	vcpu->ev.injected.valid = false;
	vcpu->stats.short_exits++;
	vcpu->exits[EXIT_REASON_IO_INSTRUCTION]++;
	vcpu_stay_calm(vcpu);
	return ret;
}

/*
 * Handle the exit that has ended a stay in which the short loop could handle exits, if it needs no snapshot. Called with
 * interrupts disabled. Returns NEXT_ENTER if the guest can be entered when the host has taken its interrupt, NEXT_USER if
 * vcpu->run tells user space of the exit, and NEXT_GO_ON for all other exits, with which nothing was done.
 */
static __always_inline int loop_finish_stay(struct vcpu *vcpu)
{
	if (vcpu->exit.reason == EXIT_REASON_EXTERNAL_INTERRUPT)
		return loop_is_host_interrupt(vcpu) ? NEXT_ENTER : NEXT_GO_ON;
	return vcpu->exit.reason == EXIT_REASON_IO_INSTRUCTION ? loop_port(vcpu) : NEXT_GO_ON;
}

/*
 * Steps 5 to 7: enter the guest once, and read the exit. Caller does not hold
 * vm->srcu. An interrupt of the host alone does not end the stay, nor does a signal to an ioeventfd. Returns
 * NEXT_ENTER, with *entered false if a request or work of the host came first,
 * the short loop has handled the last exit, or the entry must be repeated;
 * NEXT_USER if the exit is for user space, and vcpu->run is filled; NEXT_USER or
 * -EIO if the processor refused the entry.
 */
static int loop_enter(struct vcpu *vcpu, bool *entered)
{
	int next = NEXT_GO_ON;
	bool exited, is_short;

	*entered = false;
	/* From here to the exit the thread stays on this CPU, which holds the guest's MSRs and the current VMCS. */
	preempt_disable();
	trace_droste_entry(vcpu);
	vmx_host_prepare(vcpu);
	/* An IPI that arrives after this stays pending and makes the guest exit at once. */
	local_irq_disable();
again:
	WRITE_ONCE(vcpu->mode, VCPU_IN_GUEST);
	/* Pairs with vcpu_kick() and vm_request_all(): they see the mode and send an IPI, or we see the request. */
	smp_mb();
	if (unlikely(loop_must_not_enter(vcpu))) {
		WRITE_ONCE(vcpu->mode, VCPU_OUTSIDE);
		local_irq_enable();
		preempt_enable();
		loop_put_off_event(vcpu);
		return NEXT_ENTER;
	}
	/* An interrupt handler of the host may have used the FPU since fpu_enter(). */
	fpu_assert(vcpu);
	loop_set_timer(vcpu);

	vtime_account_guest_enter();
	exited = loop_enter_guest(vcpu, &is_short, next == NEXT_ENTER);
	next = exited && is_short ? loop_finish_stay(vcpu) : NEXT_GO_ON;
	if (next == NEXT_GO_ON && likely(exited && vcpu->exit.reason != VMX_EXIT_NONE)) {
		vmx_snapshot_exit(vcpu);
		/* An entry that fails on the guest state leaves the launch state clear (SDM 3C 31.3, VMLAUNCH). */
		if (likely(!(vcpu->exit.reason & VMX_EXIT_REASONS_FAILED_VMENTRY)))
			vcpu->vmcs->launched = true;
		if (unlikely(vmx_exit_is_machine_check(&vcpu->exit)))
			loop_pass_machine_check();
		/* While the mode still is IN_GUEST: vm_request_all() must not return before these writes are logged. */
		if (unlikely(loop_logs_writes(vcpu)))
			vmx_pml_flush(vcpu);
	}
	WRITE_ONCE(vcpu->mode, VCPU_OUTSIDE);
	/*
	 * If an interrupt caused the exit, it is still pending, and the host takes
	 * it here. A tick counts as the guest's time if it comes before the end.
	 */
	local_irq_enable();
	asm volatile("nop");	/* STI lets one instruction pass before an interrupt */
	local_irq_disable();
	vtime_account_guest_exit();
	if (next == NEXT_ENTER)
		goto again;
	local_irq_enable();
	preempt_enable();

	if (next == NEXT_USER)
		return NEXT_USER;
	if (unlikely(!exited))
		return NEXT_ENTER;
	if (unlikely(vcpu->exit.reason == VMX_EXIT_NONE))
		return loop_vmfail(vcpu);
	*entered = true;
	loop_note_exit(vcpu);
	return NEXT_ENTER;
}

/* A handler of L0 may find that an exit of L2 belongs to L1 after all: reflect it. */
static int loop_settle(struct vcpu *vcpu, int ret)
{
	return unlikely(ret == NEXT_REFLECT) ? nested_reflect(vcpu, L1_EXIT_EMULATOR) : ret;
}

/* If this is an exit that somebody has chosen with DROSTE_BREAK, the vCPU stands here. Returns the new index of vm->srcu. */
static noinline int loop_stand(struct vcpu *vcpu, struct route_verdict verdict, int srcu)
{
	if (!stand_begin(vcpu, verdict))
		return srcu;
	srcu_read_unlock(&vcpu->vm->srcu, srcu);
	stand_wait(vcpu);
	return srcu_read_lock(&vcpu->vm->srcu);
}

/* Take vm->srcu, unless *srcu, its index, tells that it is taken: it is not negative then. */
static __always_inline void loop_hold(struct vcpu *vcpu, int *srcu)
{
	if (*srcu >= 0)
		return;
	*srcu = srcu_read_lock(&vcpu->vm->srcu);
	__release(&vcpu->vm->srcu);	/* sparse cannot follow a lock that *srcu tells of */
}

/* The opposite. */
static __always_inline void loop_release(struct vcpu *vcpu, int *srcu)
{
	if (*srcu < 0)
		return;
	__acquire(&vcpu->vm->srcu);
	srcu_read_unlock(&vcpu->vm->srcu, *srcu);
	*srcu = -1;
}

/* As barrier_begin(). */
static noinline struct loop_step loop_begin_barrier(struct vcpu *vcpu, int srcu)
{
	struct loop_step step = { .srcu = srcu };

	step.ret = barrier_begin(vcpu, &step.srcu);
	return step;
}

/* Step 8: give vcpu->exit to L1 if it came from L2 and L1 asked for such exits, else to L0's handler. As loop_turn(). */
static int loop_dispatch(struct vcpu *vcpu, int *srcu)
{
	struct route_verdict verdict;
	struct loop_step step;

	/* Handlers that touch nothing on which events depend set it. */
	vcpu->calm = false;
	if (unlikely(vcpu->exit.reason == EXIT_REASON_WBINVD && vm_wants_barriers(vcpu->vm))) {
		step = loop_begin_barrier(vcpu, *srcu);
		*srcu = step.srcu;
		if (step.ret != NEXT_GO_ON) {
			vcpu_repeat_instruction(vcpu);
			return step.ret;
		}
	}
	if (vcpu->in_l2) {
		verdict = nested_route(vcpu);
		if (static_branch_unlikely(&loop_watched))
			*srcu = loop_stand(vcpu, verdict, *srcu);
		if (verdict.to == ROUTE_L1) {
			if (likely(vcpu->exit.basic < NR_EXIT_REASONS))
				vcpu->exits_reflected[vcpu->exit.basic]++;
			return nested_reflect(vcpu, L1_EXIT_HARDWARE);
		}
	} else if (static_branch_unlikely(&loop_watched)) {
		*srcu = loop_stand(vcpu, (struct route_verdict) { .to = ROUTE_L0 }, *srcu);
	}
	return loop_settle(vcpu, exit_handle(vcpu));
}

/* Whether steps 2 to 4 would do nothing, so that the entry needs no preparation. */
static __always_inline bool loop_is_calm(const struct vcpu *vcpu)
{
	return vcpu->calm && vcpu->quiet && !vcpu->in_l2 && !READ_ONCE(vcpu->requests);
}

/* Steps 2 to 4. Returns NEXT_GO_ON if the guest can be entered; otherwise as loop_turn(). */
static int loop_prepare(struct vcpu *vcpu)
{
	int ret;

	/*
	 * Step 2. If an exit to L1 is due, but L1's VM entry or the delivery of an
	 * event to L2 must be completed first, enter L2 and come back at once.
	 */
	vcpu->want_immediate_exit = vcpu->in_l2 && nested_check_events(vcpu);
	/* The vCPU woke up for an event, but the event is gone or was no exit to L1: run_loop() waits again. */
	if (vcpu->mp_state != KVM_MP_STATE_RUNNABLE)
		return NEXT_ENTER;
	/* Step 3. */
	ret = events_prepare(vcpu);
	if (ret != NEXT_ENTER)
		return ret;
	/* Step 4. */
	if (vcpu->in_l2) {
		ret = nested_before_entry(vcpu);
		if (ret != NEXT_ENTER) {
			vmx_cancel_events(vcpu);
			return ret;
		}
	}
	return NEXT_GO_ON;
}

/*
 * One turn of the loop, as described at the top. @calm: loop_is_calm() has just
 * returned true; otherwise the caller holds vm->srcu. *srcu is for loop_hold(), and
 * changes. Returns NEXT_ENTER for another turn, NEXT_USER, or a negative errno.
 */
static int loop_turn(struct vcpu *vcpu, int *srcu, bool calm)
{
	bool entered;
	int ret;

	if (!calm) {
		/* Step 1. */
		ret = loop_do_requests(vcpu, srcu);
		if (ret != NEXT_ENTER)
			return ret;
		ret = loop_is_calm(vcpu) ? NEXT_GO_ON : loop_prepare(vcpu);
		if (ret != NEXT_GO_ON)
			return ret;
	}
	/* Steps 5 to 7. */
	loop_release(vcpu, srcu);
	ret = loop_enter(vcpu, &entered);
	if (ret != NEXT_ENTER)
		return ret;
	loop_hold(vcpu, srcu);
	if (unlikely(vcpu->pv_eoi.offered))
		pv_eoi_end(vcpu);
	if (!entered)
		return ret;
	/* Step 8. */
	return loop_dispatch(vcpu, srcu);
}

/**
 * vcpu_ready_for_extint() - whether the guest would take an interrupt from a PIC in user space at once
 * @vcpu: loaded; caller holds its mutex
 *
 * Context: Process context. Reads the current VMCS. Does not sleep.
 * Return: true if KVM_INTERRUPT would be injected by the next entry.
 */
bool vcpu_ready_for_extint(struct vcpu *vcpu)
{
	return irqchip_takes_extint(vcpu) && !vcpu->ev.injected.valid && !vcpu->ev.exception.valid &&
	       events_interrupt_taken(vcpu);
}

/*
 * The kernel does some work (task_work, restartable sequences) only when a
 * thread returns to user space, so KVM_RUN must end for it. User space does not
 * notice: -ERESTARTNOHAND makes the kernel restart the ioctl, unless a signal
 * with a handler comes as well; then KVM_RUN fails with EINTR. TIF_NOTIFY_SIGNAL
 * sends the thread through the signal code, which does the restart.
 * xfer_to_guest_mode_handle_work() does the work in place, but only kernels
 * that are built with KVM have it, and it takes a struct kvm_vcpu.
 */
static int loop_leave_for_task_work(struct vcpu *vcpu)
{
	vcpu->run->exit_reason = KVM_EXIT_INTR;
	set_thread_flag(TIF_NOTIFY_SIGNAL);
	/* Work often comes when the thread gets its CPU back. If it loses it again before it is here, the vCPU waits for it. */
	sched_note_preempted(vcpu);
	return -ERESTARTNOHAND;
}

/*
 * Take turns, and wait while the vCPU is halted, until KVM_RUN must end. *idx is
 * for loop_hold(), and changes. Returns NEXT_USER or a negative errno.
 */
static int run_loop(struct vcpu *vcpu, int *idx)
{
	int ret = NEXT_ENTER;

	while (ret == NEXT_ENTER) {
		bool calm = loop_is_calm(vcpu);

		if (!calm)
			loop_hold(vcpu, idx);
		if (likely(calm || vcpu_runnable(vcpu))) {
			vcpu->has_run = true;
			ret = loop_turn(vcpu, idx, calm);
		} else if (vcpu->wants_irq_window && vcpu_ready_for_extint(vcpu)) {
			/* The guest halted with interrupts enabled: no window exit can come, but the window is open. */
			vcpu->run->exit_reason = KVM_EXIT_IRQ_WINDOW_OPEN;
			ret = NEXT_USER;
		} else {
			loop_release(vcpu, idx);
			ret = halt_wait(vcpu);
			loop_hold(vcpu, idx);
			if (test_and_clear_bit(REQ_VISIT, &vcpu->requests))
				visit_receive(vcpu);
			/* The request stays, for the entry. */
			if (unlikely(barrier_calls(vcpu))) {
				barrier_meet(vcpu);
				if (ret == NEXT_ENTER)
					ret = barrier_report(vcpu);
			}
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
		} else if (read_thread_flags() & (_TIF_NEED_RESCHED | COMPAT_TIF_NEED_RESCHED_LAZY)) {
			/* An update of the slots must not wait until this thread gets its CPU back. */
			loop_release(vcpu, idx);
			schedule();
		}
	}
	/* The entry did not happen. */
	if (unlikely(vcpu->pv_eoi.offered)) {
		loop_hold(vcpu, idx);
		pv_eoi_end(vcpu);
	}
	return ret;
}

/* As barrier_wait_to_finish(). */
static noinline struct loop_step loop_wait_to_finish(struct vcpu *vcpu, int srcu)
{
	struct loop_step step = { .srcu = srcu };

	step.ret = barrier_wait_to_finish(vcpu, &step.srcu);
	return step;
}

/*
 * User space has answered the last exit: finish the instruction, or whatever else
 * the exit interrupted. *idx is for loop_hold(), and changes.
 */
static int loop_finish_exit(struct vcpu *vcpu, int *idx)
{
	int (*complete)(struct vcpu *vcpu) = vcpu->complete;
	struct loop_step step;

	if (!complete)
		return NEXT_ENTER;
	if (!vcpu->complete_plainly || unlikely(vcpu->altered)) {
		loop_hold(vcpu, idx);
		/* With immediate_exit, user space wants it finished now. */
		if (unlikely(test_bit(REQ_BARRIER, &vcpu->requests)) && !compat_immediate_exit(vcpu->run)) {
			step = loop_wait_to_finish(vcpu, *idx);
			*idx = step.srcu;
			if (step.ret != NEXT_ENTER)
				return step.ret;
		}
	}
	vcpu->complete = NULL;
	return loop_settle(vcpu, complete(vcpu));
}

/**
 * vcpu_run() - run the guest until user space has something to do
 * @vcpu: loaded; caller holds its mutex, but not vm->srcu
 *
 * Finishes the exit that user space has answered, and then takes turns of the
 * loop until an exit is for user space, or a signal comes.
 *
 * Context: Process context. May sleep.
 * Return: 0 with vcpu->run filled; -EINTR for a signal or immediate_exit;
 * -ERESTARTNOHAND, which user space does not see, for task work; -EIO if the
 * VM is dead; -ENOMEM; -EFAULT if guest memory cannot be accessed.
 */
int vcpu_run(struct vcpu *vcpu)
{
	int idx = -1, ret;

	vcpu->wants_irq_window = !vcpu->vm->irqchip.pic && READ_ONCE(vcpu->run->request_interrupt_window);
	if (unlikely(vcpu->wants_irq_window))
		vcpu->calm = false;
	if (!vcpu->lapic)
		vcpu_set_cr8(vcpu, READ_ONCE(vcpu->run->cr8) & 0xf);

	trace_droste_run(vcpu, true, 0);
	fpu_enter(vcpu);
	ret = loop_finish_exit(vcpu, &idx);
	if (ret == NEXT_ENTER && unlikely(vcpu->ev.debug_dr6)) {
		loop_hold(vcpu, &idx);
		/* A debugger's step over an instruction that user space completed ends KVM_RUN in any case. */
		ret = exit_debug_trap(vcpu);
	}
	if (ret == NEXT_ENTER) {
		/* With immediate_exit, user space wants only the last exit finished; its exit_reason stays. */
		ret = compat_immediate_exit(vcpu->run) ? -EINTR : run_loop(vcpu, &idx);
	}
	loop_release(vcpu, &idx);
	fpu_leave(vcpu);
	if (ret == -EINTR)
		vcpu->stats.signal_exits++;
	if (ret == NEXT_USER)
		ret = 0;
	trace_droste_run(vcpu, false, ret);
	return ret;
}
