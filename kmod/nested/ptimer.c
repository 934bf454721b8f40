// SPDX-License-Identifier: GPL-2.0
/* L1's VMX-preemption timer: a TSC deadline, and the processor's timer or an hrtimer that makes L2 exit. SDM 3C 26.5.1. */
#include <linux/math64.h>
#include "droste.h"
#include "nested/ptimer.h"
#include "nested/vmcs02.h"
#include "run/request.h"
#include "vmx/vmx.h"

static enum hrtimer_restart ptimer_fn(struct hrtimer *t)
{
	struct vcpu *vcpu = container_of(t, struct vcpu, nested.preemption_timer);

	WRITE_ONCE(vcpu->nested.timer_armed, 0);
	vcpu_request(vcpu, REQ_EVENT);
	vcpu_kick(vcpu);
	return HRTIMER_NORESTART;
}

/**
 * ptimer_init() - set up L1's preemption timer
 * @vcpu: a new vCPU
 *
 * Context: Process context.
 */
void ptimer_init(struct vcpu *vcpu)
{
	compat_hrtimer_setup(&vcpu->nested.preemption_timer, ptimer_fn, CLOCK_MONOTONIC,
			     HRTIMER_MODE_REL_PINNED_HARD);
	vcpu->nested.tsc_deadline_preemption = PTIMER_NOT_RUNNING;
}

/* Whether the processor's timer can make L2 exit. An L2 that is not active waits in L0. */
static bool ptimer_by_vmx(const struct vcpu *vcpu)
{
	return vcpu->mp_state == KVM_MP_STATE_RUNNABLE && vmx_timer_usable(vcpu);
}

/**
 * ptimer_arm() - arm the processor's timer, or the hrtimer, for L1's preemption timer
 * @vcpu: in L2, or about to enter it; n->tsc_deadline_preemption is set
 * @now: tsc_now_scaled()
 *
 * Only the deadline decides whether L1's timer has expired, so the hrtimer may
 * fire early; ptimer_expired() then arms it again. An hrtimer that is due before
 * the new deadline therefore stays as it is. This saves an hrtimer_start() at each
 * entry of an L1 that counts down to one moment.
 *
 * Context: Any but hardirq context. Interrupts may be disabled.
 */
void ptimer_arm(struct vcpu *vcpu, u64 now)
{
	struct nested *n = &vcpu->nested;
	u64 khz, delta;

	/* With a ratio of one, which the processor's timer needs, the clock is the host's TSC. */
	vcpu->timer.l2 = ptimer_by_vmx(vcpu) ? n->tsc_deadline_preemption : 0;
	if (vcpu->timer.l2)
		return;
	if (n->timer_armed && n->timer_armed <= n->tsc_deadline_preemption)
		return;
	khz = tsc_rate(&vcpu->tsc);
	/* At most an hour. */
	delta = min(n->tsc_deadline_preemption - now, 3600ULL * 1000 * khz);
	WRITE_ONCE(n->timer_armed, now + delta);
	hrtimer_start(&n->preemption_timer, ns_to_ktime(mul_u64_u64_div_u64(delta, 1000000, khz)),
		      HRTIMER_MODE_REL_PINNED_HARD);
}

/**
 * ptimer_start() - start L1's preemption timer at a VM entry
 * @vcpu: L1 enters L2
 *
 * Does nothing if L1 does not use the timer.
 *
 * Context: Process context. Interrupts may be disabled. Any VMCS may be current.
 */
void ptimer_start(struct vcpu *vcpu)
{
	struct nested *n = &vcpu->nested;
	u64 now;

	n->timer_restored = false;
	if (!(n->vmcs12->pin_based_vm_exec_control & PIN_BASED_VMX_PREEMPTION_TIMER))
		return;
	now = tsc_now_scaled(&vcpu->tsc);
	n->tsc_deadline_preemption = now + ((u64)n->vmcs12->vmx_preemption_timer_value << ptimer_rate(n));
	/* 0 expires before L2's first instruction; nested_check_events() sees that without an hrtimer. */
	if (n->vmcs12->vmx_preemption_timer_value)
		ptimer_arm(vcpu, now);
}

/*
 * Convert the deadline that user space restored. It is a value of L1's TSC,
 * which user space may restore after the deadline, so the conversion waits
 * until the vCPU runs.
 */
static void ptimer_settle(struct vcpu *vcpu)
{
	struct nested *n = &vcpu->nested;
	const s64 longest = (u64)U32_MAX << ptimer_rate(n);
	u64 now = tsc_now_scaled(&vcpu->tsc);
	s64 left = (n->restored_deadline << ptimer_rate(n)) - (now + vcpu->tsc.offset);

	n->timer_restored = false;
	n->tsc_deadline_preemption = now + clamp(left, (s64)0, longest);
}

/**
 * ptimer_deadline() - get the deadline of L1's preemption timer, to save it
 * @vcpu: in L2
 * @deadline: L1's TSC at the deadline, shifted right by the timer's rate
 *
 * Context: Caller holds vcpu->mutex.
 * Return: true, or false if the timer does not run.
 */
bool ptimer_deadline(struct vcpu *vcpu, u64 *deadline)
{
	struct nested *n = &vcpu->nested;
	u64 unit = BIT_ULL(ptimer_rate(n));

	if (n->timer_restored)
		*deadline = n->restored_deadline;
	else if (n->tsc_deadline_preemption != PTIMER_NOT_RUNNING)
		/* Round up, so that the restored timer does not expire early. */
		*deadline = (n->tsc_deadline_preemption + vcpu->tsc.offset + unit - 1) >> ptimer_rate(n);
	else
		return false;
	return true;
}

/**
 * ptimer_restore() - start L1's preemption timer with a saved deadline
 * @vcpu: in L2, which user space restores
 * @deadline: a value from ptimer_deadline()
 *
 * Called in place of ptimer_start(). Does nothing if L1 does not use the timer.
 *
 * Context: Caller holds vcpu->mutex.
 */
void ptimer_restore(struct vcpu *vcpu, u64 deadline)
{
	struct nested *n = &vcpu->nested;

	if (!(n->vmcs12->pin_based_vm_exec_control & PIN_BASED_VMX_PREEMPTION_TIMER))
		return;
	n->tsc_deadline_preemption = PTIMER_NOT_RUNNING;
	n->restored_deadline = deadline;
	n->timer_restored = true;
}

/**
 * ptimer_stop() - stop L1's preemption timer at an exit from L2
 * @vcpu: leaves L2
 * @save: store the remaining time in VMCS12 ("save VMX-preemption timer value")
 *
 * The hrtimer may still fire later, without effect.
 *
 * Context: Process context. Any VMCS may be current.
 */
void ptimer_stop(struct vcpu *vcpu, bool save)
{
	struct nested *n = &vcpu->nested;
	u64 now, deadline;

	if (unlikely(n->timer_restored))
		ptimer_settle(vcpu);
	deadline = n->tsc_deadline_preemption;
	if (deadline == PTIMER_NOT_RUNNING)
		return;
	vcpu->timer.l2 = 0;
	n->tsc_deadline_preemption = PTIMER_NOT_RUNNING;
	if (!save)
		return;
	now = tsc_now_scaled(&vcpu->tsc);
	n->vmcs12->vmx_preemption_timer_value = now < deadline ? (deadline - now) >> ptimer_rate(n) : 0;
}

/**
 * ptimer_expired() - whether L1's preemption timer has expired
 * @vcpu: in L2
 *
 * Arms the hrtimer if it fired before the deadline, or the processor's timer cannot be used any more.
 *
 * Context: Process context. Interrupts may be disabled.
 * Return: true if L1 must get the exit.
 */
bool ptimer_expired(struct vcpu *vcpu)
{
	struct nested *n = &vcpu->nested;
	u64 now;

	if (n->tsc_deadline_preemption == PTIMER_NOT_RUNNING) {
		if (likely(!n->timer_restored))
			return false;
		ptimer_settle(vcpu);
	}
	now = tsc_now_scaled(&vcpu->tsc);
	if (now >= n->tsc_deadline_preemption)
		return true;
	if (vcpu->timer.l2 ? !ptimer_by_vmx(vcpu) : !READ_ONCE(n->timer_armed))
		ptimer_arm(vcpu, now);
	return false;
}
