// SPDX-License-Identifier: GPL-2.0
/* Local APIC timer: its modes, by an hrtimer or the VMX-preemption timer. SDM 3A 11.5.4. */
#include "droste.h"
#include "irqchip/impl.h"
#include "irqchip/irqchip.h"
#include "irqchip/lapic_logic.h"
#include "run/request.h"
#include "vmx/vmx.h"

/*
 * The timer's input clock runs at 1 GHz before division, unless user space
 * set another rate (KVM_CAP_X86_APIC_BUS_CYCLES_NS).
 *
 * The hrtimer only wakes the vCPU. The vCPU's thread reads the clocks and
 * decides, so a callback that is late or belongs to an old setting is
 * harmless, and no lock is needed.
 *
 * In TSC-deadline mode the VMX-preemption timer takes the place of the hrtimer
 * where that is cheaper (vmx/timer.c). It works only while the guest runs, so
 * an hrtimer takes over when the vCPU waits. A deadline that passes while KVM_RUN
 * is not active makes the guest exit right after the next entry.
 */

/* The shortest period. A guest with a shorter one would keep the host busy with timer interrupts. */
#define VLAPIC_MIN_PERIOD_NS	(200 * NSEC_PER_USEC)

/* Called in hard interrupt context. */
static enum hrtimer_restart vlapic_timer_fn(struct hrtimer *timer)
{
	struct vlapic *a = container_of(timer, struct vlapic, timer);

	vcpu_request(a->vcpu, REQ_TIMER);
	vcpu_kick(a->vcpu);
	return HRTIMER_NORESTART;
}

/**
 * vlapic_timer_init() - initialize the timer of a new APIC
 * @a: the APIC
 *
 * Context: Process context.
 */
void vlapic_timer_init(struct vlapic *a)
{
	compat_hrtimer_setup(&a->timer, vlapic_timer_fn, CLOCK_MONOTONIC, HRTIMER_MODE_ABS_PINNED_HARD);
}

static enum lapic_timer_mode vlapic_timer_mode(const struct vlapic *a)
{
	return lapic_timer_mode(vlapic_reg(a, LAPIC_LVTT));
}

/* How long a count lasts, in ns. vm_set_apic_bus() limits the rate so that the product does not overflow. */
static u64 vlapic_ns(const struct vlapic *a, u32 count)
{
	u64 cycles = (u64)count * lapic_divisor(vlapic_reg(a, LAPIC_TDCR));
	const struct vm *vm = a->vcpu->vm;

	return vm->apic_hz ? lapic_cycles_to_ns(cycles, vm->apic_hz) : cycles * vm->apic_bus_ns;
}

/* Cycles of the guest's TSC until the deadline, 0 if it has passed. */
static u64 vlapic_timer_left(const struct vlapic *a)
{
	u64 tsc = tsc_of_l1(&a->vcpu->tsc);

	return a->tsc_deadline > tsc ? a->tsc_deadline - tsc : 0;
}

/* Start the hrtimer. In TSC-deadline mode the expiry is computed from the TSC, else it is @target. */
static void vlapic_timer_start_hrtimer(struct vlapic *a)
{
	a->vcpu->timer.apic = 0;
	if (a->tsc_deadline)
		a->target = ktime_get_ns() + lapic_tsc_to_ns(vlapic_timer_left(a), tsc_rate(&a->vcpu->tsc));
	hrtimer_start(&a->timer, ns_to_ktime(a->target), HRTIMER_MODE_ABS_PINNED_HARD);
}

/* Stop the hrtimer, if it runs. A callback that is running now sets REQ_TIMER, which does no harm. */
static void vlapic_timer_cancel(struct vlapic *a)
{
	/* Only the vCPU's thread starts it. */
	if (unlikely(hrtimer_is_queued(&a->timer)))
		hrtimer_try_to_cancel(&a->timer);
}

/* Let the guest exit when the timer expires. One that waits for events cannot exit, and needs the hrtimer. */
static void vlapic_timer_arm(struct vlapic *a)
{
	a->armed = true;
	if (!a->tsc_deadline || a->vcpu->mp_state != KVM_MP_STATE_RUNNABLE || !vmx_timer_usable(a->vcpu)) {
		vlapic_timer_start_hrtimer(a);
		return;
	}
	a->vcpu->timer.apic = vmx_timer_deadline(vlapic_timer_left(a));
	vlapic_timer_cancel(a);
}

/**
 * vlapic_timer_wait() - the vCPU is about to wait for events, and no guest runs that could exit
 * @vcpu: the vCPU
 *
 * The hrtimer stays in charge until the guest sets its timer again.
 *
 * Context: Process context. Caller holds vcpu->mutex.
 */
void vlapic_timer_wait(struct vcpu *vcpu)
{
	if (vcpu->timer.apic)
		vlapic_timer_start_hrtimer(vcpu->lapic);
}

/**
 * vlapic_timer_stop() - disarm the timer, in any mode
 * @a: the APIC
 *
 * Context: Any. Caller holds vcpu->mutex.
 */
void vlapic_timer_stop(struct vlapic *a)
{
	a->armed = false;
	a->period = 0;
	a->target = 0;
	a->tsc_deadline = 0;
	a->vcpu->timer.apic = 0;
	/* REQ_TIMER is ignored while @armed is false. */
	vlapic_timer_cancel(a);
}

/**
 * vlapic_timer_start() - start counting down in one-shot or periodic mode
 * @a: the APIC
 * @count: the current count: the initial count, or less after a restore. 0 stops the timer
 *
 * Context: Any. Caller holds vcpu->mutex.
 */
void vlapic_timer_start(struct vlapic *a, u32 count)
{
	enum lapic_timer_mode mode = vlapic_timer_mode(a);

	vlapic_timer_stop(a);
	if (!count || (mode != LAPIC_ONESHOT && mode != LAPIC_PERIODIC))
		return;
	if (mode == LAPIC_PERIODIC)
		a->period = max_t(u64, vlapic_ns(a, vlapic_reg(a, LAPIC_TMICT)), VLAPIC_MIN_PERIOD_NS);
	a->target = ktime_get_ns() + vlapic_ns(a, count);
	vlapic_timer_arm(a);
}

/**
 * vlapic_timer_read() - read the current-count register
 * @a: the APIC
 *
 * Context: Any. Caller holds vcpu->mutex.
 * Return: the count; 0 in TSC-deadline mode.
 */
u32 vlapic_timer_read(struct vlapic *a)
{
	u32 hz = a->vcpu->vm->apic_hz, divisor = lapic_divisor(vlapic_reg(a, LAPIC_TDCR)), count;
	u64 left;

	if (!a->armed || a->tsc_deadline)
		return 0;
	left = lapic_timer_left(a->target, ktime_get_ns(), a->period);
	if (hz)
		left = lapic_ns_to_cycles(left, hz);
	else
		left /= a->vcpu->vm->apic_bus_ns;
	count = min_t(u64, left / divisor, U32_MAX);
	return min(count, vlapic_reg(a, LAPIC_TMICT));
}

/**
 * vlapic_timer_write_lvtt() - write the LVT timer register
 * @a: the APIC
 * @val: the value, with reserved bits removed
 *
 * Entering or leaving TSC-deadline mode disarms the timer. A switch between
 * one-shot and periodic keeps the count (SDM 11.5.4, 11.5.4.1).
 *
 * Context: Any. Caller holds vcpu->mutex.
 */
void vlapic_timer_write_lvtt(struct vlapic *a, u32 val)
{
	enum lapic_timer_mode old = vlapic_timer_mode(a), new = lapic_timer_mode(val);
	u32 count;

	if (old == new) {
		vlapic_set_reg(a, LAPIC_LVTT, val);
		return;
	}
	count = vlapic_timer_read(a);
	vlapic_timer_stop(a);
	vlapic_set_reg(a, LAPIC_LVTT, val);
	if (old > LAPIC_PERIODIC || new > LAPIC_PERIODIC)
		vlapic_set_reg(a, LAPIC_TMICT, 0);
	else
		vlapic_timer_start(a, count);
}

/**
 * vlapic_timer_write_tdcr() - write the divide configuration register
 * @a: the APIC
 * @val: the value; the count continues from its current value at the new rate
 *
 * Context: Any. Caller holds vcpu->mutex.
 */
void vlapic_timer_write_tdcr(struct vlapic *a, u32 val)
{
	u32 count = vlapic_timer_read(a);

	vlapic_set_reg(a, LAPIC_TDCR, val);
	if (count)
		vlapic_timer_start(a, count);
}

/* Has the timer expired? */
static bool vlapic_timer_due(const struct vlapic *a)
{
	if (a->tsc_deadline)
		return tsc_of_l1(&a->vcpu->tsc) >= a->tsc_deadline;
	return ktime_get_ns() >= a->target;
}

/**
 * vlapic_timer_request() - handle REQ_TIMER: deliver an expired timer's interrupt
 * @vcpu: the vCPU
 *
 * The request may also come from a move to another CPU, and the TSC and the
 * kernel's clock may differ slightly. A timer that is not due yet is started
 * again on this CPU.
 *
 * Context: Process context. Caller holds vcpu->mutex.
 */
void vlapic_timer_request(struct vcpu *vcpu)
{
	struct vlapic *a = vcpu->lapic;

	if (!a || !a->armed)
		return;
	if (!vlapic_timer_due(a)) {
		vlapic_timer_arm(a);
		return;
	}
	/* The counter has reached the deadline, and must not go back to before it. */
	tsc_told_now(&vcpu->hide);
	vlapic_local_interrupt(a, LAPIC_LVTT);
	if (!a->period) {
		vlapic_timer_stop(a);
		return;
	}
	a->target = lapic_timer_advance(a->target, ktime_get_ns(), a->period);
	vlapic_timer_arm(a);
}

/**
 * vlapic_timer_ack() - acknowledge the interrupt of a deadline that has passed, if the local APIC would deliver it now
 * @vcpu: the vCPU; the VMX-preemption timer keeps its deadline
 * @except: a vector that vlapic_timer_request() must request, or -1
 *
 * Does what vlapic_timer_request() and irqchip_ack_local() do one after the other, if no other interrupt is requested:
 * the interrupt goes to ISR without having been in IRR. One that comes meanwhile makes its request after that.
 *
 * Context: Any, but not NMI. Caller holds vcpu->mutex. Takes no lock.
 * Return: the vector; -1 if there is more to be decided, and nothing has changed.
 */
int vlapic_timer_ack(struct vcpu *vcpu, int except)
{
	struct vlapic *a = vcpu->lapic;
	u32 lvt = vlapic_reg(a, LAPIC_LVTT);
	int busy = max_t(int, a->isr_top, vlapic_reg(a, LAPIC_TPR));
	u8 vec = lvt;

	/* The priority class must be above that of PPR (SDM 11.8.3.1). A vector below 16 is an error, and never is. */
	if ((lvt & LAPIC_LVT_MASKED) || vec == except || READ_ONCE(a->irr_pending) || a->mode == LAPIC_DISABLED ||
	    !vlapic_sw_enabled(a) || vec >> 4 <= busy >> 4 ||
	    test_bit(vec % 32, vlapic_vec_word(a, LAPIC_TMR, vec)) || !vlapic_timer_due(a))
		return -1;
	__set_bit(vec % 32, vlapic_vec_word(a, LAPIC_ISR, vec));
	a->isr_top = vec;
	vlapic_timer_stop(a);
	return vec;
}

/**
 * vlapic_timer_migrate() - the vCPU moved to another CPU, or its TSC offset changed
 * @vcpu: the vCPU
 *
 * Context: Any. Caller holds vcpu->mutex; preemption may be disabled.
 */
void vlapic_timer_migrate(struct vcpu *vcpu)
{
	struct vlapic *a = vcpu->lapic;

	if (a && a->armed)
		vlapic_timer_arm(a);
}

/**
 * vlapic_get_tsc_deadline() - read IA32_TSC_DEADLINE
 * @vcpu: the vCPU
 *
 * Context: Any. Caller holds vcpu->mutex.
 * Return: the deadline; 0 if disarmed or in another mode (SDM 11.5.4.1).
 */
u64 vlapic_get_tsc_deadline(struct vcpu *vcpu)
{
	return vcpu->lapic ? vcpu->lapic->tsc_deadline : 0;
}

/**
 * vlapic_set_tsc_deadline() - write IA32_TSC_DEADLINE; ignored in another mode (SDM 11.5.4.1)
 * @vcpu: the vCPU
 * @deadline: in cycles of the guest's TSC; 0 disarms
 *
 * Context: Any. Caller holds vcpu->mutex.
 */
void vlapic_set_tsc_deadline(struct vcpu *vcpu, u64 deadline)
{
	struct vlapic *a = vcpu->lapic;

	if (!a || vlapic_timer_mode(a) != LAPIC_TSC_DEADLINE)
		return;
	if (!deadline) {
		vlapic_timer_stop(a);
		return;
	}
	a->tsc_deadline = deadline;
	vmx_timer_begin(vcpu);
	vlapic_timer_arm(a);
}
