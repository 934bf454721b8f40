// SPDX-License-Identifier: GPL-2.0
/* Ioctls that read and write a vCPU's pending events, its activity state, and the debugger's settings. */
#include <asm/trapnr.h>
#include "droste.h"
#include "abi/state.h"
#include "irqchip/irqchip.h"
#include "run/request.h"
#include "run/run.h"
#include "vmx/inject.h"
#include "vmx/regs.h"
#include "vmx/vmx.h"

static bool state_is_exception(const struct event *ev)
{
	return ev->type == INTR_TYPE_HARD_EXCEPTION || ev->type == INTR_TYPE_SOFT_EXCEPTION ||
	       ev->type == INTR_TYPE_PRIV_SW_EXCEPTION;
}

static bool state_is_interrupt(const struct event *ev)
{
	return ev->type == INTR_TYPE_EXT_INTR || ev->type == INTR_TYPE_SOFT_INTR;
}

/*
 * Without KVM_CAP_EXCEPTION_PAYLOAD the API has no pending exceptions: user
 * space is told that they are injected, with CR2 or DR6 loaded already.
 */
static void state_settle_payload(struct vcpu *vcpu)
{
	struct event *ev = &vcpu->ev.exception;

	if (ev->valid && !vcpu->vm->exception_payload)
		vmx_deliver_payload(vcpu, ev);
}

/* Whether an exception is raised again by its instruction, if it is dropped. */
static bool state_is_fault(const struct event *ev)
{
	return ev->valid && ev->type == INTR_TYPE_HARD_EXCEPTION && ev->vector != X86_TRAP_DB && ev->vector != X86_TRAP_DF &&
	       ev->vector != X86_TRAP_MC;
}

/*
 * The API has room for one exception. A machine check that waits takes the place
 * of a fault. It is lost behind any other exception, as in KVM.
 */
static void state_get_exception(struct vcpu *vcpu, struct kvm_vcpu_events *out)
{
	static const struct event mc = { .vector = X86_TRAP_MC };
	const struct event *ev = &vcpu->ev.exception;
	bool pending = ev->valid;

	state_settle_payload(vcpu);
	if (!pending)
		ev = &vcpu->ev.injected;
	if (vcpu->ev.mc_pending && (!ev->valid || !state_is_exception(ev) || state_is_fault(ev))) {
		ev = &mc;
		pending = true;
	} else if (!ev->valid || !state_is_exception(ev)) {
		return;
	}
	out->exception.nr = ev->vector;
	out->exception.has_error_code = ev->has_error;
	out->exception.error_code = ev->error_code;
	if (pending && vcpu->vm->exception_payload) {
		out->exception.pending = 1;
		out->exception_has_payload = ev->has_payload;
		out->exception_payload = ev->payload;
	} else {
		out->exception.injected = 1;
	}
}

/**
 * vcpu_get_events() - KVM_GET_VCPU_EVENTS
 * @self: the vCPU, loaded
 * @arg: struct kvm_vcpu_events to fill in
 * @uarg: unused
 *
 * Without KVM_CAP_EXCEPTION_PAYLOAD, the payload of a pending exception is
 * loaded into CR2 or DR6 as a side effect.
 *
 * Context: Process context, may sleep. Caller holds vcpu->mutex.
 * Return: 0.
 */
long vcpu_get_events(void *self, void *arg, unsigned long uarg)
{
	struct vcpu *vcpu = self;
	struct kvm_vcpu_events *out = arg;
	const struct event *injected = &vcpu->ev.injected;
	u32 blocked = vmx_interruptibility(vcpu);

	memset(out, 0, sizeof(*out));
	state_get_exception(vcpu, out);
	if (injected->valid && state_is_interrupt(injected)) {
		out->interrupt.injected = 1;
		out->interrupt.nr = injected->vector;
		out->interrupt.soft = injected->type == INTR_TYPE_SOFT_INTR;
	} else if (!vcpu->lapic && vcpu->user_irq >= 0) {
		out->interrupt.injected = 1;
		out->interrupt.nr = vcpu->user_irq;
	}
	out->interrupt.shadow = (blocked & GUEST_INTR_STATE_STI ? KVM_X86_SHADOW_INT_STI : 0) |
				(blocked & GUEST_INTR_STATE_MOV_SS ? KVM_X86_SHADOW_INT_MOV_SS : 0);
	out->nmi.injected = injected->valid && injected->type == INTR_TYPE_NMI_INTR;
	events_collect_nmis(vcpu);
	out->nmi.pending = vcpu->ev.nmi_pending;
	out->nmi.masked = (blocked & GUEST_INTR_STATE_NMI) != 0;
	if (vcpu->lapic)
		out->sipi_vector = vlapic_sipi_vector(vcpu);
	/* An INIT that waits for the end of VMX operation. KVM_GET_MP_STATE acts on any other. */
	out->smi.latched_init = (vcpu->nested.vmxon || vcpu->in_l2) && (vlapic_pending_init(vcpu) & VLAPIC_INIT);
	out->triple_fault.pending = vcpu->ev.triple_fault;
	out->flags = KVM_VCPUEVENT_VALID_NMI_PENDING | KVM_VCPUEVENT_VALID_SHADOW | KVM_VCPUEVENT_VALID_SMM;
	if (vcpu->vm->exception_payload)
		out->flags |= KVM_VCPUEVENT_VALID_PAYLOAD;
	if (vcpu->vm->triple_fault_event)
		out->flags |= KVM_VCPUEVENT_VALID_TRIPLE_FAULT;
	return 0;
}

#define EVENT_FLAGS (KVM_VCPUEVENT_VALID_NMI_PENDING | KVM_VCPUEVENT_VALID_SIPI_VECTOR | \
		     KVM_VCPUEVENT_VALID_SHADOW | KVM_VCPUEVENT_VALID_SMM | KVM_VCPUEVENT_VALID_PAYLOAD | \
		     KVM_VCPUEVENT_VALID_TRIPLE_FAULT)

static bool state_events_valid(struct vcpu *vcpu, const struct kvm_vcpu_events *in)
{
	if (in->flags & ~EVENT_FLAGS)
		return false;
	if (in->flags & KVM_VCPUEVENT_VALID_PAYLOAD) {
		if (!vcpu->vm->exception_payload)
			return false;
		/* Only one exception can be in the state. */
		if (in->exception.pending && in->exception.injected)
			return false;
	}
	if ((in->flags & KVM_VCPUEVENT_VALID_TRIPLE_FAULT) && !vcpu->vm->triple_fault_event)
		return false;
	/* SMM is not supported. */
	if ((in->flags & KVM_VCPUEVENT_VALID_SMM) && (in->smi.smm || in->smi.pending))
		return false;
	if ((in->exception.injected || in->exception.pending) &&
	    (in->exception.nr > 31 || in->exception.nr == X86_TRAP_NMI))
		return false;
	return true;
}

static void state_set_exception(struct vcpu *vcpu, const struct kvm_vcpu_events *in)
{
	struct vcpu_events *ev = &vcpu->ev;
	bool payload = in->flags & KVM_VCPUEVENT_VALID_PAYLOAD;
	/* The only exception that is not injected in the place of an interrupt or NMI: see event_mc_ready(). */
	bool beside = in->interrupt.injected || in->nmi.injected;
	struct event e = {
		.valid = true,
		.vector = in->exception.nr,
		.has_error = in->exception.has_error_code,
		.error_code = in->exception.error_code,
	};

	vmx_set_exception_type(vcpu, &e);
	ev->exception.valid = false;
	ev->injected.valid = false;
	ev->mc_pending = false;
	if (in->exception.nr == X86_TRAP_MC && ((payload && in->exception.pending) || (in->exception.injected && beside))) {
		ev->mc_pending = true;
	} else if (payload && in->exception.pending) {
		e.has_payload = in->exception_has_payload;
		e.payload = in->exception_payload;
		ev->exception = e;
	} else if (in->exception.injected) {
		ev->injected = e;
	}
}

static void state_set_blocking(struct vcpu *vcpu, const struct kvm_vcpu_events *in)
{
	u32 state = vmcs_read(GUEST_INTERRUPTIBILITY_INFO);

	if (in->flags & KVM_VCPUEVENT_VALID_SHADOW) {
		state &= ~(u32)BLOCKING_ONE_INSN;
		/* VM entry fails if both bits are set (SDM 3C 27.3.1.5). */
		if (in->interrupt.shadow & KVM_X86_SHADOW_INT_MOV_SS)
			state |= GUEST_INTR_STATE_MOV_SS;
		else if (in->interrupt.shadow & KVM_X86_SHADOW_INT_STI)
			state |= GUEST_INTR_STATE_STI;
	}
	vmcs_write(GUEST_INTERRUPTIBILITY_INFO, state);
	vmx_block_nmis(vcpu, in->nmi.masked);
}

/**
 * vcpu_set_events() - KVM_SET_VCPU_EVENTS
 * @self: the vCPU, loaded
 * @arg: struct kvm_vcpu_events
 * @uarg: unused
 *
 * Context: Process context, may sleep. Caller holds vcpu->mutex.
 * Return: 0; -EINVAL for unknown flags, flags whose capability is not enabled, SMM, or
 * an exception that does not exist.
 */
long vcpu_set_events(void *self, void *arg, unsigned long uarg)
{
	struct vcpu *vcpu = self;
	const struct kvm_vcpu_events *in = arg;
	struct vcpu_events *ev = &vcpu->ev;

	if (!state_events_valid(vcpu, in))
		return -EINVAL;
	state_set_exception(vcpu, in);
	/* With a local APIC it is the interrupt pending at LINT0, which is not part of this state. */
	if (!vcpu->lapic)
		vcpu->user_irq = -1;
	/* The API has no instruction length for a software interrupt: the guest executes INT n again. */
	if (in->interrupt.injected && !in->interrupt.soft && !ev->injected.valid)
		ev->injected = (struct event) { .valid = true, .vector = in->interrupt.nr,
						.type = INTR_TYPE_EXT_INTR };
	if (in->nmi.injected && !ev->injected.valid)
		ev->injected = (struct event) { .valid = true, .vector = X86_TRAP_NMI,
						.type = INTR_TYPE_NMI_INTR };
	state_set_blocking(vcpu, in);
	vcpu_request(vcpu, REQ_BLOCKING);
	if (in->flags & KVM_VCPUEVENT_VALID_SIPI_VECTOR)
		vlapic_set_sipi_vector(vcpu, in->sipi_vector);
	if (in->flags & KVM_VCPUEVENT_VALID_NMI_PENDING) {
		atomic_set(&ev->nmi_queued, 0);
		ev->nmi_pending = min_t(u8, in->nmi.pending, 2);
	}
	/* Outside VMX operation, an INIT that is pending is not reported as latched: 0 must not clear it. */
	if ((in->flags & KVM_VCPUEVENT_VALID_SMM) && (in->smi.latched_init || vcpu->nested.vmxon))
		vlapic_latch_init(vcpu, in->smi.latched_init);
	if (in->flags & KVM_VCPUEVENT_VALID_TRIPLE_FAULT)
		ev->triple_fault = in->triple_fault.pending;
	vcpu_request(vcpu, REQ_EVENT);
	return 0;
}

/**
 * vcpu_get_mp_state() - KVM_GET_MP_STATE
 * @self: the vCPU, loaded
 * @arg: struct kvm_mp_state to fill in
 * @uarg: unused
 *
 * INIT and SIPI that have arrived take effect first, since no structure holds
 * them. That changes registers, as in KVM.
 *
 * Context: Process context, may sleep. Caller holds vcpu->mutex and vm->srcu.
 * Return: 0.
 */
long vcpu_get_mp_state(void *self, void *arg, unsigned long uarg)
{
	struct vcpu *vcpu = self;
	bool kicked;

	halt_settle(vcpu);
	/* No structure holds a kick by KVM_HC_KICK_CPU. One that comes before the HLT is lost, as in KVM. */
	kicked = vcpu->mp_state == KVM_MP_STATE_HALTED && READ_ONCE(vcpu->pv_unhalted) && !vcpu->in_l2;
	((struct kvm_mp_state *)arg)->mp_state = kicked ? KVM_MP_STATE_RUNNABLE : vcpu->mp_state;
	return 0;
}

/**
 * vcpu_set_mp_state() - KVM_SET_MP_STATE
 * @self: the vCPU, loaded
 * @arg: struct kvm_mp_state
 * @uarg: unused
 *
 * Context: Process context, may sleep. Caller holds vcpu->mutex.
 * KVM_MP_STATE_SIPI_RECEIVED starts the vCPU at the vector of KVM_SET_VCPU_EVENTS.
 *
 * Return: 0; -EINVAL for an unknown state, or for any but KVM_MP_STATE_RUNNABLE if user
 * space has the local APIC.
 */
long vcpu_set_mp_state(void *self, void *arg, unsigned long uarg)
{
	struct vcpu *vcpu = self;
	u32 state = ((const struct kvm_mp_state *)arg)->mp_state;

	switch (state) {
	case KVM_MP_STATE_RUNNABLE:
		break;
	case KVM_MP_STATE_UNINITIALIZED:
	case KVM_MP_STATE_INIT_RECEIVED:
	case KVM_MP_STATE_SIPI_RECEIVED:
	case KVM_MP_STATE_HALTED:
		/* User space's local APIC must end these states, so user space keeps track of them. */
		if (!vcpu->lapic)
			return -EINVAL;
		break;
	default:
		return -EINVAL;
	}
	if (state == KVM_MP_STATE_SIPI_RECEIVED) {
		/* The vCPU waits for a SIPI, and one is there. */
		state = KVM_MP_STATE_INIT_RECEIVED;
		vlapic_receive_sipi(vcpu);
	}
	vcpu->mp_state = state;
	vcpu_request(vcpu, REQ_EVENT);
	return 0;
}

/* --- the debugger --- */

/**
 * vcpu_set_guest_debug() - KVM_SET_GUEST_DEBUG
 * @self: the vCPU, loaded
 * @arg: struct kvm_guest_debug
 * @uarg: unused
 *
 * Context: Process context, may sleep. Caller holds vcpu->mutex.
 * Return: 0; -EINVAL for unknown flags; -EBUSY if an exception is to be injected while
 * another is pending.
 */
long vcpu_set_guest_debug(void *self, void *arg, unsigned long uarg)
{
	struct vcpu *vcpu = self;
	const struct kvm_guest_debug *dbg = arg;
	bool stepping = (vcpu->guest_debug & KVM_GUESTDBG_ENABLE) &&
			(vcpu->guest_debug & KVM_GUESTDBG_SINGLESTEP);
	u64 rflags;

	if (dbg->control & ~GUEST_DEBUG_FLAGS)
		return -EINVAL;
	if (dbg->control & (KVM_GUESTDBG_INJECT_DB | KVM_GUESTDBG_INJECT_BP)) {
		if (vcpu->ev.exception.valid || vcpu->ev.injected.valid)
			return -EBUSY;
		vcpu_queue_exception(vcpu, dbg->control & KVM_GUESTDBG_INJECT_DB ? X86_TRAP_DB : X86_TRAP_BP);
	}
	rflags = vcpu_rflags(vcpu);
	if (stepping)
		rflags &= ~(u64)X86_EFLAGS_TF;
	vcpu->guest_debug = dbg->control & KVM_GUESTDBG_ENABLE ? dbg->control : 0;
	memcpy(vcpu->guest_debug_dr, dbg->arch.debugreg, sizeof(vcpu->guest_debug_dr));
	if (vcpu->guest_debug & KVM_GUESTDBG_SINGLESTEP)
		rflags |= X86_EFLAGS_TF;
	vcpu_set_rflags(vcpu, rflags);
	vcpu_set_dr7(vcpu, vcpu->dr7);
	vcpu_request(vcpu, REQ_BLOCKING);
	vmx_update_exceptions(vcpu);
	return 0;
}
