/* SPDX-License-Identifier: GPL-2.0 */
/* L1's preemption timer on the short way between L1 and L2: what ptimer.c does, for the usual case. */
#ifndef DROSTE_NESTED_PTIMER_H
#define DROSTE_NESTED_PTIMER_H

#include "cpu/tsc.h"
#include "droste.h"
#include "nested/vmcs02.h"
#include "vmx/vmx.h"

/* L1's timer counts down by 1 whenever this bit of the TSC changes (SDM 3D A.6). */
static inline u32 ptimer_rate(const struct nested *n)
{
	return n->caps.misc & 0x1f;
}

/**
 * ptimer_start_again() - as ptimer_start(), at a VM entry that repeats an earlier one
 * @vcpu: L1 enters L2, and uses the timer; user space has restored no deadline
 * @value: the timer's value, not 0
 *
 * Context: Interrupts disabled. Any VMCS may be current.
 */
static __always_inline void ptimer_start_again(struct vcpu *vcpu, u32 value)
{
	struct nested *n = &vcpu->nested;
	u64 now = tsc_now_scaled(&vcpu->tsc), deadline = now + ((u64)value << ptimer_rate(n)), armed;

	n->tsc_deadline_preemption = deadline;
	/* See ptimer_arm(). A vCPU at a repeated entry is active. */
	if (likely(vmx_timer_usable(vcpu))) {
		vcpu->timer.l2 = deadline;
		return;
	}
	/* An hrtimer that is due before the deadline stays as it is. */
	armed = READ_ONCE(n->timer_armed);
	if (!armed || armed > deadline)
		ptimer_arm(vcpu, now);
}

/**
 * ptimer_stop_again() - as ptimer_stop(), at an exit on the short way
 * @vcpu: leaves L2; user space has restored no deadline
 *
 * Context: Interrupts disabled. Any VMCS may be current.
 * Return: true if the timer's value in VMCS12 has changed.
 */
static __always_inline bool ptimer_stop_again(struct vcpu *vcpu)
{
	struct nested *n = &vcpu->nested;

	if (unlikely(n->vmcs12->vm_exit_controls & VM_EXIT_SAVE_VMX_PREEMPTION_TIMER)) {
		ptimer_stop(vcpu, true);
		return true;
	}
	vcpu->timer.l2 = 0;
	n->tsc_deadline_preemption = PTIMER_NOT_RUNNING;
	return false;
}

#endif
