// SPDX-License-Identifier: GPL-2.0
/* Waiting for an event: a halted vCPU polls before it sleeps, since sleeping and waking take longer. SDM 3A 9.4. */
#include <linux/module.h>
#include <linux/sched/signal.h>
#include <linux/sched/stat.h>
#include "droste.h"
#include "irqchip/irqchip.h"
#include "nested/nested.h"
#include "run/run.h"
#include "vmx/inject.h"
#include "vmx/regs.h"
#include "vmx/vmx.h"

/* --- the events that end a wait --- */

/* A SIPI has come for a vCPU in the wait-for-SIPI state: run from the page that it names (SDM 3A 9.4.3). */
static void halt_start(struct vcpu *vcpu, u8 vector)
{
	struct kvm_segment cs;

	vcpu_get_segment(vcpu, SEG_CS, &cs);
	cs.selector = vector << 8;
	cs.base = vector << 12;
	vcpu_set_segment(vcpu, SEG_CS, &cs);
	vcpu_set_rip(vcpu, 0);
	vcpu->mp_state = KVM_MP_STATE_RUNNABLE;
}

/*
 * Act on INIT and SIPI from the local APIC (SDM 3A 9.4). INIT is blocked in L1
 * during VMX operation (SDM 3C 24.8). A SIPI that arrives in any other state
 * than wait-for-SIPI is discarded. In L2 both cause exits to L1, which
 * nested_check_events() makes.
 */
static void halt_accept_init(struct vcpu *vcpu)
{
	bool blocked = vcpu->nested.vmxon;
	u32 pending;
	u8 vector;

	if (!vcpu->lapic)
		return;
	pending = vlapic_pending_init(vcpu);
	if (likely(!pending) || vcpu->in_l2)
		return;
	if ((pending & VLAPIC_INIT) && !blocked) {
		vlapic_clear_init(vcpu, VLAPIC_INIT);
		vmcs01_reset(vcpu, true);
		vlapic_reset(vcpu, true);
		WRITE_ONCE(vcpu->pv_unhalted, false);
		vcpu->mp_state = vcpu->id == vcpu->vm->bsp_id ? KVM_MP_STATE_RUNNABLE :
								 KVM_MP_STATE_INIT_RECEIVED;
		/* If another INIT has come meanwhile, it comes first, and REQ_EVENT is set. */
		pending = vlapic_pending_init(vcpu);
		if (unlikely(pending & VLAPIC_INIT))
			return;
	}
	vector = vlapic_sipi_vector(vcpu);
	if ((pending & VLAPIC_SIPI) && vlapic_end_sipi(vcpu, pending) &&
	    vcpu->mp_state == KVM_MP_STATE_INIT_RECEIVED)
		halt_start(vcpu, vector);
}

/**
 * halt_settle() - act on INIT and SIPI that have arrived, before the state is saved
 * @vcpu: loaded; caller holds its mutex and vm->srcu
 *
 * The API has no place for a SIPI. In L2 it exits to L1 here.
 *
 * Context: Process context. May sleep. VMCS01 may be current afterwards instead of VMCS02.
 */
void halt_settle(struct vcpu *vcpu)
{
	if (vcpu->in_l2 && vcpu->mp_state == KVM_MP_STATE_INIT_RECEIVED)
		nested_check_events(vcpu);
	else
		halt_accept_init(vcpu);
}

/* Whether an event has come that ends HLT, and in L2 does not exit to L1. */
static bool halt_has_event(struct vcpu *vcpu)
{
	/* The kick is for L1, whose guest knows nothing of it. */
	if (READ_ONCE(vcpu->pv_unhalted) && !vcpu->in_l2)
		return true;
	if (vcpu->ev.exception.valid || vcpu->ev.injected.valid || vcpu->ev.mc_pending || vcpu->ev.triple_fault)
		return true;
	/* An NMI that is blocked does not end HLT. */
	if ((vcpu->ev.nmi_pending || atomic_read(&vcpu->ev.nmi_queued)) && vmx_nmi_allowed(vcpu))
		return true;
	if (vcpu->in_l2 && apicv_interrupt_due(vcpu) && vmx_interrupt_allowed(vcpu))
		return true;
	if (irqchip_pending_vector(vcpu) < 0)
		return false;
	return events_interrupt_taken(vcpu);
}

/**
 * vcpu_runnable() - whether a vCPU may enter the guest, or has an exit to L1 due
 * @vcpu: loaded; caller holds its mutex
 *
 * Acts on an expired local APIC timer and on INIT and SIPI first, and ends HLT
 * if an event has come.
 *
 * Context: Process context, thread of @vcpu. Does not sleep.
 * Return: true if the run loop may go on; false if it has to wait.
 */
bool vcpu_runnable(struct vcpu *vcpu)
{
	bool has_event;

	if (test_bit(REQ_TIMER, &vcpu->requests) && vcpu->lapic) {
		clear_bit(REQ_TIMER, &vcpu->requests);
		vlapic_timer_request(vcpu);
	}
	if (unlikely(vcpu->lapic && vlapic_pending_init(vcpu)))
		halt_accept_init(vcpu);
	switch (vcpu->mp_state) {
	case KVM_MP_STATE_RUNNABLE:
		return true;
	case KVM_MP_STATE_HALTED:
		has_event = halt_has_event(vcpu);
		/*
		 * The coming exit to L1 saves the activity state of L2: leave it HALTED until then. This comes last, because
		 * an interrupt that has just come may be L1's, and a deadline may have passed just now.
		 */
		if (vcpu->in_l2 && nested_has_events(vcpu))
			return true;
		if (!has_event)
			return false;
		/* Whatever ends the HLT, the kick of another vCPU has done its duty. */
		if (!vcpu->in_l2)
			WRITE_ONCE(vcpu->pv_unhalted, false);
		vcpu->mp_state = KVM_MP_STATE_RUNNABLE;
		return true;
	default:
		return vcpu->in_l2 && nested_has_events(vcpu);
	}
}

/* --- polling and sleeping --- */

/* The shortest window, ns; one that would shrink below is 0. */
#define WINDOW_START_NS	10000

static unsigned int halt_poll_ns = 200000;
module_param(halt_poll_ns, uint, 0644);
MODULE_PARM_DESC(halt_poll_ns, "longest time in ns that a halted vCPU polls before it sleeps; 0: no polling");

/* The longest window of this vCPU, ns. */
static u64 halt_limit(const struct vcpu *vcpu)
{
	s64 of_vm = READ_ONCE(vcpu->vm->halt_poll_ns);

	return of_vm >= 0 ? of_vm : READ_ONCE(halt_poll_ns);
}

/* How long to poll now, ns. A vCPU that waits for INIT or SIPI does not poll. */
static u64 halt_poll_window(struct vcpu *vcpu)
{
	if (vcpu->mp_state != KVM_MP_STATE_HALTED)
		return 0;
	vcpu->halt_window = min(vcpu->halt_window, halt_limit(vcpu));
	return vcpu->halt_window;
}

/*
 * Choose the next window from the length of this halt, HLT to event. Polling a
 * little longer would have caught a halt shorter than the limit, so the window
 * grows. Polling for longer halts is a waste, so it shrinks.
 */
static void halt_learn(struct vcpu *vcpu, u64 ns)
{
	u64 most = halt_limit(vcpu), window = vcpu->halt_window;

	if (ns <= window)
		return;
	if (ns < most) {
		window = max_t(u64, window * 2, WINDOW_START_NS);
	} else {
		window /= 2;
		if (window < WINDOW_START_NS)
			window = 0;
	}
	vcpu->halt_window = min(window, most);
}

/* Whether the thread must look at something that is no event of the guest. */
static bool halt_is_called(const struct vcpu *vcpu)
{
	return READ_ONCE(vcpu->vm->dead) || test_bit(REQ_VISIT, &vcpu->requests) || barrier_calls(vcpu);
}

/* Poll for an event for one window, or until another task wants the CPU. Returns whether an event came. */
static bool halt_poll_for_event(struct vcpu *vcpu, u64 start)
{
	u64 window = halt_poll_window(vcpu), now = start;
	bool came = false;

	if (!window)
		return false;
	while (!came && now - start < window && single_task_running() && !need_resched() &&
	       !signal_pending(current) && !halt_is_called(vcpu)) {
		cpu_relax();
		came = vcpu_runnable(vcpu);
		now = ktime_get_ns();
	}
	vcpu->stats.halt_attempted_poll++;
	if (came) {
		vcpu->stats.halt_successful_poll++;
		vcpu->stats.halt_poll_success_ns += now - start;
	} else {
		vcpu->stats.halt_poll_fail_ns += now - start;
	}
	return came;
}

/* Sleep until vcpu_kick() announces an event, or a signal comes. Returns NEXT_ENTER, or -EINTR for a signal. */
static int halt_sleep_for_event(struct vcpu *vcpu)
{
	DECLARE_SWAITQUEUE(wait);
	u64 start = ktime_get_ns();
	int ret = NEXT_ENTER;

	WRITE_ONCE(vcpu->stats.blocking, 1);
	for (;;) {
		prepare_to_swait_exclusive(&vcpu->wq, &wait, TASK_INTERRUPTIBLE);
		if (vcpu_runnable(vcpu) || halt_is_called(vcpu))
			break;
		if (signal_pending(current)) {
			vcpu->run->exit_reason = KVM_EXIT_INTR;
			ret = -EINTR;
			break;
		}
		schedule();
	}
	finish_swait(&vcpu->wq, &wait);
	WRITE_ONCE(vcpu->stats.blocking, 0);
	vcpu->stats.halt_wait_ns += ktime_get_ns() - start;
	if (ret == NEXT_ENTER)
		vcpu->stats.halt_wakeup++;
	return ret;
}

/**
 * halt_wait() - wait until a vCPU can run, or its VM is dead
 * @vcpu: loaded; caller holds its mutex, but not vm->srcu
 *
 * Context: Process context. May sleep.
 * Return: NEXT_ENTER, or -EINTR for a signal.
 */
int halt_wait(struct vcpu *vcpu)
{
	bool halted = vcpu->mp_state == KVM_MP_STATE_HALTED;
	u64 start = ktime_get_ns();
	int ret = NEXT_ENTER;

	vlapic_timer_wait(vcpu);
	if (!halt_poll_for_event(vcpu, start))
		ret = halt_sleep_for_event(vcpu);
	if (halted && ret == NEXT_ENTER)
		halt_learn(vcpu, ktime_get_ns() - start);
	return ret;
}
