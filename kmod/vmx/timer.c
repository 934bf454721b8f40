// SPDX-License-Identifier: GPL-2.0
/* The VMX-preemption timer of L0: makes the guest exit at a deadline, or at once. SDM 3C 25.6.1, 26.5.1, 27.7.4. */
#include <asm/cpufeature.h>
#include <asm/processor.h>
#include "droste.h"
#include "run/request.h"
#include "vmx/crossing.h"
#include "vmx/vmx.h"

/*
 * The guest's timers can make it exit in two ways: by this timer, or by an
 * hrtimer, whose interrupt the host takes. This timer spares the interrupt and
 * the programming of the host's own timer, but it is loaded anew at each entry.
 * It is the cheaper way unless the guest exits often: after VMX_TIMER_ENTRIES
 * entries before one deadline, the vCPU uses hrtimers for that deadline and for
 * the next TIMER_REST ones.
 */
#define TIMER_REST	16

/**
 * vmx_timer_counts() - whether the processor's timer counts at the rate that it reports
 *
 * Older processors have errata: Nehalem, Westmere, and a stepping of Ivy Bridge.
 *
 * Context: Any.
 * Return: true if the timer can be used for deadlines.
 */
bool vmx_timer_counts(void)
{
	if (boot_cpu_data.x86 != 6)
		return true;
	switch (boot_cpu_data.x86_model) {
	case 0x1a:
	case 0x1e:
	case 0x1f:
	case 0x25:
	case 0x2c:
	case 0x2e:
	case 0x2f:
		return false;
	case 0x3a:
		return boot_cpu_data.x86_stepping != 8;
	default:
		return true;
	}
}

/**
 * vmx_timer_begin() - the guest has set its local APIC timer anew
 * @vcpu: the vCPU; caller holds its mutex
 *
 * Context: Any.
 */
void vmx_timer_begin(struct vcpu *vcpu)
{
	vcpu->timer.entries = 0;
	if (unlikely(vcpu->timer.rest))
		vcpu->timer.rest--;
}

/**
 * vmx_timer_deadline() - the value of a member of vcpu->timer for a deadline
 * @left: cycles of the TSC until the deadline
 *
 * Context: Any.
 * Return: the host's TSC at the deadline, or earlier if the deadline is more than a few years ahead; not 0.
 */
u64 vmx_timer_deadline(u64 left)
{
	/* Far below 2^63, so that the sign of a difference tells whether the deadline has passed. */
	return rdtsc() + min(left, 1ULL << 60) ?: 1;
}

/* The value with which the timer expires at a deadline, not earlier than some cycles before it. */
static u32 timer_value(u64 deadline)
{
	s64 left = deadline - rdtsc();

	return left > 0 ? min((u64)left >> vmx_features.timer_rate, U32_MAX - 1ULL) + 1 : 0;
}

/* The first deadline, 0 if there is none. L1's timer counts only while L2 runs. */
static u64 timer_first(const struct vcpu *vcpu)
{
	u64 apic = vcpu->timer.apic, l2 = vcpu->in_l2 ? vcpu->timer.l2 : 0;

	if (!l2 || !apic)
		return l2 ?: apic;
	return (s64)(l2 - apic) < 0 ? l2 : apic;
}

/* After VMX_TIMER_ENTRIES, vmx_timer_usable() says no, and the request makes the owners of the deadlines ask it. */
static __always_inline void timer_count_entry(struct vcpu *vcpu)
{
	if (unlikely(++vcpu->timer.entries == VMX_TIMER_ENTRIES)) {
		vcpu->timer.rest = TIMER_REST;
		vcpu_request(vcpu, REQ_TIMER);
	}
}

/* Turn the timer on or off in the current VMCS, with a value. */
static noinline void timer_switch(struct vcpu *vcpu, bool on, u32 value)
{
	u32 pin = vcpu->in_l2 ? vcpu->nested.ctl02.pin : vcpu->ctl01.pin;
	struct loaded_vmcs *v = vcpu->vmcs;

	if (unlikely(!vmx_features.preemption_timer)) {
		if (on)
			smp_send_reschedule(smp_processor_id());
		return;
	}
	if (v->timer_on != on) {
		v->timer_on = on;
		v->timer_value = ~value;
		vmcs_write(PIN_BASED_VM_EXEC_CONTROL, pin | (on ? PIN_BASED_VMX_PREEMPTION_TIMER : 0));
	}
	if (on && v->timer_value != value) {
		v->timer_value = value;
		vmcs_write(VMX_PREEMPTION_TIMER_VALUE, value);
	}
}

/**
 * vmx_timer_before_entry() - make the guest exit at its next deadline, or at once if vcpu->want_immediate_exit
 * @vcpu: about to enter the guest
 *
 * A timer of 0 makes the guest exit after the entry and the event that it
 * injects, before the first instruction (SDM 3C 27.7.4). On a processor without
 * the timer an IPI has to do, which may arrive some instructions later.
 *
 * Context: Interrupts disabled. Writes the current VMCS.
 */
void vmx_timer_before_entry(struct vcpu *vcpu)
{
	u64 deadline = timer_first(vcpu);
	struct loaded_vmcs *v = vcpu->vmcs;
	u32 value;

	if (unlikely(vcpu->want_immediate_exit)) {
		timer_switch(vcpu, true, 0);
		return;
	}
	if (deadline) {
		timer_count_entry(vcpu);
		value = timer_value(deadline);
	} else if (v->timer_on && !vcpu->timer.rest) {
		/* The guest will soon set its timer again. To change the control twice costs more than a needless exit. */
		value = U32_MAX;
	} else {
		timer_switch(vcpu, false, 0);
		return;
	}
	if (unlikely(!v->timer_on)) {
		timer_switch(vcpu, true, value);
	} else if (v->timer_value != value) {
		v->timer_value = value;
		vmcs_write(VMX_PREEMPTION_TIMER_VALUE, value);
	}
}
