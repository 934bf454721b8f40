// SPDX-License-Identifier: GPL-2.0
/* Events, activity and debugging of a vCPU as user space reads and writes them. */
#include <asm/irq_vectors.h>
#include <asm/trapnr.h>
#include "droste.h"
#include "abi/state.h"
#include "irqchip/irqchip.h"
#include "run/request.h"
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
 * User space that did not enable KVM_CAP_EXCEPTION_PAYLOAD knows no pending
 * exceptions: to it they are on their way, with CR2 or DR6 loaded already.
 */
static void state_settle_payload(struct vcpu *vcpu)
{
	struct event *ev = &vcpu->ev.exception;

	if (!ev->valid || !ev->has_payload || vcpu->vm->exception_payload)
		return;
	if (ev->vector == X86_TRAP_PF) {
		vcpu->cr2 = ev->payload;
	} else if (ev->vector == X86_TRAP_DB) {
		vcpu->dr6 = (vcpu->dr6 & ~0xfULL) | ev->payload;
		vcpu_set_dr7(vcpu, vcpu->dr7 & ~BIT_ULL(13));
	}
	ev->has_payload = false;
}

static void state_get_exception(struct vcpu *vcpu, struct kvm_vcpu_events *out)
{
	const struct event *ev = &vcpu->ev.exception;
	bool pending = ev->valid;

	state_settle_payload(vcpu);
	if (!pending) {
		ev = &vcpu->ev.injected;
		if (!ev->valid || !state_is_exception(ev))
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

long vcpu_get_events(void *self, void *arg, unsigned long uarg)
{
	struct vcpu *vcpu = self;
	struct kvm_vcpu_events *out = arg;
	const struct event *injected = &vcpu->ev.injected;
	u32 blocked = vmcs_read(GUEST_INTERRUPTIBILITY_INFO);

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
	out->nmi.pending = min(2U, vcpu->ev.nmi_pending + atomic_read(&vcpu->ev.nmi_queued)) != 0;
	out->nmi.masked = (blocked & GUEST_INTR_STATE_NMI) != 0;
	if (vcpu->lapic)
		out->sipi_vector = vlapic_sipi_vector(vcpu);
	out->smi.latched_init = vcpu->lapic && (vlapic_pending_init(vcpu) & VLAPIC_INIT);
	out->triple_fault.pending = vcpu->ev.triple_fault;
	out->flags = KVM_VCPUEVENT_VALID_NMI_PENDING | KVM_VCPUEVENT_VALID_SHADOW;
	if (vcpu->vm->exception_payload)
		out->flags |= KVM_VCPUEVENT_VALID_PAYLOAD;
	if (vcpu->vm->triple_fault_event)
		out->flags |= KVM_VCPUEVENT_VALID_TRIPLE_FAULT;
	return 0;
}

/* SIPI vectors are set by a SIPI; that flag is taken and means nothing here, as in KVM on a running processor. */
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
		/* One exception, here or there. */
		if (in->exception.pending && in->exception.injected)
			return false;
	}
	if ((in->flags & KVM_VCPUEVENT_VALID_TRIPLE_FAULT) && !vcpu->vm->triple_fault_event)
		return false;
	/* There is no SMM to be in. */
	if ((in->flags & KVM_VCPUEVENT_VALID_SMM) && (in->smi.smm || in->smi.pending))
		return false;
	if ((in->exception.injected || in->exception.pending) &&
	    (in->exception.nr > 31 || in->exception.nr == NMI_VECTOR))
		return false;
	return true;
}

static void state_set_exception(struct vcpu *vcpu, const struct kvm_vcpu_events *in)
{
	struct vcpu_events *ev = &vcpu->ev;
	bool payload = in->flags & KVM_VCPUEVENT_VALID_PAYLOAD;
	struct event e = {
		.valid = true,
		.vector = in->exception.nr,
		/* #BP and #OF are delivered as the instructions' traps; their length went with the old state. */
		.type = INTR_TYPE_HARD_EXCEPTION,
		.has_error = in->exception.has_error_code,
		.error_code = in->exception.error_code,
	};

	ev->exception.valid = false;
	ev->injected.valid = false;
	if (payload && in->exception.pending) {
		e.has_payload = in->exception_has_payload;
		e.payload = in->exception_payload;
		ev->exception = e;
	} else if (in->exception.injected) {
		ev->injected = e;
	}
}

static void state_set_blocking(const struct kvm_vcpu_events *in)
{
	u32 state = vmcs_read(GUEST_INTERRUPTIBILITY_INFO);

	if (in->flags & KVM_VCPUEVENT_VALID_SHADOW) {
		state &= ~(u32)(GUEST_INTR_STATE_STI | GUEST_INTR_STATE_MOV_SS);
		/* Both at once fail VM entry (SDM 3C 27.3.1.5). */
		if (in->interrupt.shadow & KVM_X86_SHADOW_INT_MOV_SS)
			state |= GUEST_INTR_STATE_MOV_SS;
		else if (in->interrupt.shadow & KVM_X86_SHADOW_INT_STI)
			state |= GUEST_INTR_STATE_STI;
	}
	state &= ~(u32)GUEST_INTR_STATE_NMI;
	if (in->nmi.masked)
		state |= GUEST_INTR_STATE_NMI;
	vmcs_write(GUEST_INTERRUPTIBILITY_INFO, state);
}

long vcpu_set_events(void *self, void *arg, unsigned long uarg)
{
	struct vcpu *vcpu = self;
	const struct kvm_vcpu_events *in = arg;
	struct vcpu_events *ev = &vcpu->ev;

	if (!state_events_valid(vcpu, in))
		return -EINVAL;
	state_set_exception(vcpu, in);
	/* With a local APIC here it is what waits at LINT0, which this state does not have. */
	if (!vcpu->lapic)
		vcpu->user_irq = -1;
	/* A software interrupt's instruction length is not in the API: it is executed again instead. */
	if (in->interrupt.injected && !in->interrupt.soft && !ev->injected.valid)
		ev->injected = (struct event) { .valid = true, .vector = in->interrupt.nr,
						.type = INTR_TYPE_EXT_INTR };
	if (in->nmi.injected && !ev->injected.valid)
		ev->injected = (struct event) { .valid = true, .vector = NMI_VECTOR,
						.type = INTR_TYPE_NMI_INTR };
	state_set_blocking(in);
	if (in->flags & KVM_VCPUEVENT_VALID_NMI_PENDING) {
		atomic_set(&ev->nmi_queued, 0);
		ev->nmi_pending = min_t(u8, in->nmi.pending, 2);
	}
	if (in->flags & KVM_VCPUEVENT_VALID_TRIPLE_FAULT)
		ev->triple_fault = in->triple_fault.pending;
	vcpu_request(vcpu, REQ_EVENT);
	return 0;
}

long vcpu_get_mp_state(void *self, void *arg, unsigned long uarg)
{
	struct vcpu *vcpu = self;

	((struct kvm_mp_state *)arg)->mp_state = vcpu->mp_state;
	return 0;
}

long vcpu_set_mp_state(void *self, void *arg, unsigned long uarg)
{
	struct vcpu *vcpu = self;
	u32 state = ((const struct kvm_mp_state *)arg)->mp_state;

	switch (state) {
	case KVM_MP_STATE_RUNNABLE:
		break;
	case KVM_MP_STATE_UNINITIALIZED:
	case KVM_MP_STATE_INIT_RECEIVED:
	case KVM_MP_STATE_HALTED:
		/* Whoever emulates the local APIC knows when the processor wakes. */
		if (!vcpu->lapic)
			return -EINVAL;
		break;
	default:
		return -EINVAL;
	}
	vcpu->mp_state = state;
	vcpu_request(vcpu, REQ_EVENT);
	return 0;
}

/* --- the debugger --- */

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
		if (vcpu->ev.exception.valid)
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
	vmx_update_exceptions(vcpu);
	return 0;
}
