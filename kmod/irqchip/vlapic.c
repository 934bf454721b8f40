// SPDX-License-Identifier: GPL-2.0
/* Local APIC core: accepts interrupts from any context and hands them to the vCPU. SDM 3A chapter 11. */
#include "droste.h"
#include "irqchip/impl.h"
#include "irqchip/ioapic_logic.h"
#include "irqchip/irqchip.h"
#include "irqchip/lapic_logic.h"
#include "run/request.h"

/*
 * Set a fixed interrupt's bit in IRR. Lock-free, any context. TMR is written
 * first, so that a reader that sees the IRR bit also sees the trigger mode.
 * @irr_pending is written last, so that it is false only briefly while a bit
 * is set.
 */
static void vlapic_set_irr(struct vlapic *a, u8 vec, bool level)
{
	if (level)
		set_bit(vec % 32, vlapic_vec_word(a, LAPIC_TMR, vec));
	else if (test_bit(vec % 32, vlapic_vec_word(a, LAPIC_TMR, vec)))
		clear_bit(vec % 32, vlapic_vec_word(a, LAPIC_TMR, vec));

	/* The context that set the bit first also kicks. */
	if (test_and_set_bit(vec % 32, vlapic_vec_word(a, LAPIC_IRR, vec)))
		return;
	WRITE_ONCE(a->irr_pending, true);
	vcpu_request(a->vcpu, REQ_EVENT);
	vcpu_kick(a->vcpu);
}

/* Clear a vector in IRR. Owner only. */
static void vlapic_clear_irr(struct vlapic *a, u8 vec)
{
	WRITE_ONCE(a->irr_pending, false);
	clear_bit(vec % 32, vlapic_vec_word(a, LAPIC_IRR, vec));
	/* Orders the rescan after both stores above. */
	smp_mb__after_atomic();
	if (lapic_find_highest(a->regs + LAPIC_IRR) >= 0)
		WRITE_ONCE(a->irr_pending, true);
}

/* Accept a fixed interrupt. Returns 1 if it is accepted, else 0. */
static int vlapic_accept_fixed(struct vlapic *a, u8 vector, bool level)
{
	/* A software-disabled APIC takes no fixed interrupts (SDM 11.4.7.2). */
	if (!vlapic_sw_enabled(a))
		return 0;
	if (vector < 16) {
		vlapic_error(a, LAPIC_ERR_RECV_VECTOR);
		return 0;
	}
	vlapic_set_irr(a, vector, level);
	return 1;
}

/**
 * vlapic_accept_msg() - hand a message to a vCPU that it addresses
 * @vcpu: the target
 * @msg: the message; its destination is not checked again
 *
 * Context: Any, including hard interrupts. Takes no lock.
 * Return: 1 if it was accepted, else 0.
 */
int vlapic_accept_msg(struct vcpu *vcpu, const struct irq_msg *msg)
{
	struct vlapic *a = vcpu->lapic;

	if (!a || READ_ONCE(a->mode) == LAPIC_DISABLED)
		return 0;

	switch (msg->mode) {
	case LAPIC_DM_LOWEST:
		WRITE_ONCE(a->arb, READ_ONCE(a->arb) + 1);
		fallthrough;
	case LAPIC_DM_FIXED:
		return vlapic_accept_fixed(a, msg->vector, msg->level);
	case LAPIC_DM_NMI:
		vcpu_inject_nmi(vcpu);
		return 1;
	case LAPIC_DM_INIT:
		/* The level de-assert only synchronized arbitration IDs on old processors (SDM 11.6.1). */
		if (!msg->assert)
			return 0;
		/* An INIT discards a start-up message that came before it. */
		atomic_set(&a->init_events, VLAPIC_INIT);
		break;
	case LAPIC_DM_STARTUP:
		WRITE_ONCE(a->sipi_vector, msg->vector);
		/* Orders the vector before the bit. */
		smp_mb__before_atomic();
		atomic_or(VLAPIC_SIPI, &a->init_events);
		break;
	default:
		/* There is no SMM for SMIs. ExtINT is delivered by irqchip_ack(). */
		return 0;
	}
	vcpu_request(vcpu, REQ_EVENT);
	vcpu_kick(vcpu);
	return 1;
}

/**
 * vlapic_accept() - hand an interrupt to a vCPU's APIC
 * @vcpu: the target
 * @delivery_mode: LAPIC_DM_*, encoded as in ICR bits 10:8
 * @vector: vector of a fixed interrupt, or page of a start-up message
 * @level_triggered: the EOI is broadcast to the I/O APIC
 *
 * Context: Any, including hard interrupts. Takes no lock.
 * Return: 1 if it was accepted, else 0.
 */
int vlapic_accept(struct vcpu *vcpu, u32 delivery_mode, u8 vector, bool level_triggered)
{
	struct irq_msg msg = {
		.mode = delivery_mode & LAPIC_LVT_MODE,
		.vector = vector,
		.level = level_triggered,
		.assert = true,
	};

	return vlapic_accept_msg(vcpu, &msg);
}

/**
 * vlapic_error() - record errors for ESR and raise the error interrupt (SDM 11.5.3)
 * @a: the APIC
 * @bits: LAPIC_ERR_*
 *
 * Context: Any, including hard interrupts. Takes no lock.
 */
void vlapic_error(struct vlapic *a, u32 bits)
{
	u32 lvt = vlapic_reg(a, LAPIC_LVT_ERROR);

	atomic_or(bits, &a->esr);
	/* An error interrupt with an illegal vector would cause errors forever. */
	if (!(lvt & LAPIC_LVT_MASKED) && (lvt & 0xff) >= 16 && vlapic_sw_enabled(a))
		vlapic_set_irr(a, lvt & 0xff, false);
}

/**
 * vlapic_local_interrupt() - raise the interrupt of a local source (SDM 11.5.1)
 * @a: the APIC
 * @lvt: offset of the source's LVT register
 *
 * Context: Any, including hard interrupts. Takes no lock.
 * Return: 1 if it was accepted, else 0 (masked, or unsupported delivery mode).
 */
int vlapic_local_interrupt(struct vlapic *a, u32 lvt)
{
	u32 val = vlapic_reg(a, lvt);
	u32 mode = lvt == LAPIC_LVTT || lvt == LAPIC_LVT_ERROR ? LAPIC_DM_FIXED : val & LAPIC_LVT_MODE;

	if (val & LAPIC_LVT_MASKED)
		return 0;
	return vlapic_accept(a->vcpu, mode, val & 0xff, false);
}

/**
 * vlapic_inject_cmci() - a bank reports a corrected machine check (SDM 3B 16.5.1)
 * @vcpu: the vCPU; its local APIC has the LVT entry
 *
 * Context: Process context. Caller holds vcpu->mutex.
 */
void vlapic_inject_cmci(struct vcpu *vcpu)
{
	vlapic_local_interrupt(vcpu->lapic, LAPIC_LVT_CMCI);
}

/**
 * vlapic_eoi() - end of interrupt (SDM 11.8.5)
 * @a: the APIC
 *
 * Context: Process context. Caller holds vcpu->mutex, and vm->srcu for reading.
 */
void vlapic_eoi(struct vlapic *a)
{
	struct vm *vm = a->vcpu->vm;
	int vec = a->isr_top;
	bool level;

	if (vec < 0)
		return;
	__clear_bit(vec % 32, vlapic_vec_word(a, LAPIC_ISR, vec));
	a->isr_top = lapic_find_highest(a->regs + LAPIC_ISR);

	if (vm->irqchip.ioapic && !vioapic_has_vector(vm->irqchip.ioapic, vec))
		return;
	level = test_bit(vec % 32, vlapic_vec_word(a, LAPIC_TMR, vec));
	/* With broadcasts suppressed the guest writes the I/O APIC's EOI register itself. */
	if (level && (vlapic_reg(a, LAPIC_SVR) & LAPIC_SVR_NO_BROADCAST))
		return;
	if (vm->irqchip.ioapic)
		vioapic_eoi(vm, vec, level);
	else if (level)
		split_eoi(a->vcpu, vec);
}

/* Whether an EOI of @vec concerns neither the I/O APIC nor user space. */
static bool vlapic_eoi_is_local(struct vlapic *a, int vec)
{
	struct vm *vm = a->vcpu->vm;

	return vm->irqchip.ioapic ? !vioapic_has_vector(vm->irqchip.ioapic, vec) :
				    !test_bit(vec % 32, vlapic_vec_word(a, LAPIC_TMR, vec));
}

/**
 * irqchip_eoi_is_private() - whether nothing but the local APIC waits for the next EOI
 * @vcpu: the vCPU
 *
 * Context: Any. Caller holds vcpu->mutex. Takes no lock.
 * Return: true if an interrupt is in service, whose EOI is not broadcast, and no other is requested.
 */
bool irqchip_eoi_is_private(struct vcpu *vcpu)
{
	struct vlapic *a = vcpu->lapic;

	return a && a->isr_top >= 0 && !READ_ONCE(a->irr_pending) && vlapic_eoi_is_local(a, a->isr_top);
}

/**
 * vlapic_eoi_short() - end of interrupt, if it concerns the local APIC alone
 * @a: the APIC
 *
 * An interrupt that waited for this EOI becomes a REQ_EVENT.
 *
 * Context: Any, but not NMI. Caller holds vcpu->mutex. Takes no lock.
 * Return: false if vlapic_eoi() must do it; nothing has changed then.
 */
bool vlapic_eoi_short(struct vlapic *a)
{
	int vec = a->isr_top;

	if (unlikely(vec < 0))
		return true;
	if (!vlapic_eoi_is_local(a, vec))
		return false;
	__clear_bit(vec % 32, vlapic_vec_word(a, LAPIC_ISR, vec));
	a->isr_top = lapic_find_highest(a->regs + LAPIC_ISR);
	if (READ_ONCE(a->irr_pending))
		vcpu_request(a->vcpu, REQ_EVENT);
	return true;
}

/**
 * irqchip_eoi() - perform the EOI that a guest's write to its local APIC would perform
 * @vcpu: the vCPU; nothing happens if it has no local APIC
 *
 * Context: Process context. Caller holds vcpu->mutex, and vm->srcu for reading.
 */
void irqchip_eoi(struct vcpu *vcpu)
{
	if (vcpu->lapic)
		vlapic_eoi(vcpu->lapic);
}

/**
 * irqchip_eoi_short() - irqchip_eoi() without sleeping, if it concerns the local APIC alone
 * @vcpu: the vCPU; it has a local APIC
 *
 * Context: Any, but not NMI. Caller holds vcpu->mutex. Takes no lock.
 * Return: false if irqchip_eoi() must do it; nothing has changed then.
 */
bool irqchip_eoi_short(struct vcpu *vcpu)
{
	return vlapic_eoi_short(vcpu->lapic);
}

/* The vector above the processor priority, -1 if there is none. Owner only. */
static int vlapic_pending(struct vlapic *a)
{
	int vec;

	if (a->mode == LAPIC_DISABLED)
		return -1;
	vec = lapic_find_highest(a->regs + LAPIC_IRR);
	if (!lapic_deliverable(vec, lapic_ppr(vlapic_reg(a, LAPIC_TPR), a->isr_top)))
		return -1;
	return vec;
}

/**
 * vlapic_accepts_pic() - can an interrupt of the PIC reach this processor?
 * @vcpu: the vCPU
 *
 * It can through LINT0 in ExtINT mode ("virtual wire"), or directly if the
 * APIC is globally disabled (SDM 11.4.3).
 *
 * Context: Any. Takes no lock.
 * Return: true if it can.
 */
bool vlapic_accepts_pic(struct vcpu *vcpu)
{
	struct vlapic *a = vcpu->lapic;

	if (!a)
		return false;
	if (READ_ONCE(a->mode) == LAPIC_DISABLED)
		return true;
	return (vlapic_reg(a, LAPIC_LVT0) & (LAPIC_LVT_MASKED | LAPIC_LVT_MODE)) == LAPIC_DM_EXTINT;
}

/* Take the vector given by KVM_INTERRUPT, -1 if there is none. User space has acknowledged it at its PIC. */
static int irqchip_take_user_irq(struct vcpu *vcpu)
{
	int vec = vcpu->user_irq;

	vcpu->user_irq = -1;
	return vec;
}

/* The PIC's vector if one is pending and can reach this vCPU, else -1. */
static int irqchip_pic_pending(struct vcpu *vcpu)
{
	struct vpic *pic = vcpu->vm->irqchip.pic;
	int vec = pic ? vpic_pending(pic) : vcpu->user_irq;

	return vec >= 0 && vlapic_accepts_pic(vcpu) ? vec : -1;
}

/**
 * irqchip_pending_vector() - the interrupt this vCPU would take now
 * @vcpu: the vCPU
 *
 * Takes only a few instructions if nothing is pending.
 *
 * Context: Any. Caller holds vcpu->mutex. Takes no lock.
 * Return: the vector, -1 if there is none. Without in-kernel controllers it is
 * the vector given by KVM_INTERRUPT.
 */
int irqchip_pending_vector(struct vcpu *vcpu)
{
	struct vlapic *a = vcpu->lapic;
	int vec;

	if (!a)
		return vcpu->user_irq;
	if (unlikely(READ_ONCE(a->irr_pending))) {
		vec = vlapic_pending(a);
		if (vec >= 0)
			return vec;
	}
	return irqchip_pic_pending(vcpu);
}

/**
 * irqchip_ack_local() - acknowledge the interrupt that the local APIC would deliver now
 * @vcpu: the vCPU
 * @except: a vector that stays where it is, or -1
 *
 * Moves the vector from IRR to ISR.
 *
 * Context: Any, but not NMI. Caller holds vcpu->mutex. Takes no lock.
 * Return: the vector, -1 if there is none, or if it is @except.
 */
int irqchip_ack_local(struct vcpu *vcpu, int except)
{
	struct vlapic *a = vcpu->lapic;
	int vec;

	if (!a)
		return -1;
	vec = vlapic_pending(a);
	if (vec < 0 || vec == except)
		return -1;
	/* Set ISR before clearing IRR, so that a reader sees the vector in one of them. */
	__set_bit(vec % 32, vlapic_vec_word(a, LAPIC_ISR, vec));
	a->isr_top = vec;
	vlapic_clear_irr(a, vec);
	return vec;
}

/**
 * irqchip_ack() - acknowledge the interrupt of irqchip_pending_vector()
 * @vcpu: the vCPU
 *
 * Moves the vector from IRR to ISR, or performs the PIC's INTA cycle.
 *
 * Context: Process context. Caller holds vcpu->mutex, and vm->srcu for reading.
 * Return: the vector, which may be a more urgent one that arrived meanwhile;
 * -1 if the interrupt is no longer pending.
 */
int irqchip_ack(struct vcpu *vcpu)
{
	int vec;

	if (!vcpu->lapic)
		return irqchip_take_user_irq(vcpu);
	vec = irqchip_ack_local(vcpu, -1);
	if (vec >= 0)
		return vec;
	if (irqchip_pic_pending(vcpu) < 0)
		return -1;
	return vcpu->vm->irqchip.pic ? vpic_inta(vcpu->vm) : irqchip_take_user_irq(vcpu);
}

/**
 * vlapic_get_cr8() - read CR8, the task-priority class (SDM 11.8.6)
 * @vcpu: the vCPU; it has a local APIC
 *
 * Context: Any. Caller holds vcpu->mutex.
 * Return: TPR bits 7:4.
 */
u8 vlapic_get_cr8(struct vcpu *vcpu)
{
	return (vlapic_reg(vcpu->lapic, LAPIC_TPR) & 0xf0) >> 4;
}

/**
 * vlapic_set_cr8() - write CR8 (SDM 11.8.6)
 * @vcpu: the vCPU; it has a local APIC
 * @cr8: the priority class; the subclass becomes 0
 *
 * Context: Any. Caller holds vcpu->mutex.
 */
void vlapic_set_cr8(struct vcpu *vcpu, u8 cr8)
{
	vlapic_set_reg(vcpu->lapic, LAPIC_TPR, (cr8 & 0xf) << 4);
}

/**
 * vlapic_pending_init() - peek at INIT and SIPI that have arrived
 * @vcpu: the vCPU
 *
 * Context: Any. Takes no lock.
 * Return: VLAPIC_* bits.
 */
u32 vlapic_pending_init(struct vcpu *vcpu)
{
	return vcpu->lapic ? atomic_read(&vcpu->lapic->init_events) : 0;
}

/**
 * vlapic_clear_init() - clear INIT and SIPI that were handled
 * @vcpu: the vCPU
 * @bits: VLAPIC_* bits
 *
 * Context: Any. Caller holds vcpu->mutex.
 */
void vlapic_clear_init(struct vcpu *vcpu, u32 bits)
{
	if (vcpu->lapic)
		atomic_andnot(bits, &vcpu->lapic->init_events);
}

/**
 * vlapic_end_sipi() - take or discard a SIPI that has arrived
 * @vcpu: the vCPU
 * @pending: the value of vlapic_pending_init() that has VLAPIC_SIPI
 *
 * Nothing happens if an INIT or SIPI has arrived since that changes the value:
 * a SIPI that follows an INIT must not be taken for an older one.
 *
 * Context: Any. Caller holds vcpu->mutex.
 * Return: false if nothing has happened; REQ_EVENT is set then.
 */
bool vlapic_end_sipi(struct vcpu *vcpu, u32 pending)
{
	return atomic_cmpxchg(&vcpu->lapic->init_events, pending, pending & ~VLAPIC_SIPI) == pending;
}

/**
 * vlapic_latch_init() - set whether an INIT waits, for a vCPU whose state is restored
 * @vcpu: the vCPU; nothing happens if it has no local APIC
 * @init: whether one waits
 *
 * Context: Any. Caller holds vcpu->mutex.
 */
void vlapic_latch_init(struct vcpu *vcpu, bool init)
{
	if (!vcpu->lapic)
		return;
	if (init)
		atomic_or(VLAPIC_INIT, &vcpu->lapic->init_events);
	else
		atomic_andnot(VLAPIC_INIT, &vcpu->lapic->init_events);
}

/**
 * vlapic_sipi_vector() - the vector of the SIPI that has arrived
 * @vcpu: the vCPU
 *
 * Context: Any. Valid while vlapic_pending_init() reports VLAPIC_SIPI.
 * Return: number of the page at which the processor starts.
 */
u8 vlapic_sipi_vector(struct vcpu *vcpu)
{
	return vcpu->lapic ? READ_ONCE(vcpu->lapic->sipi_vector) : 0;
}

/**
 * vlapic_set_sipi_vector() - set the vector of a SIPI, as user space restores it
 * @vcpu: the vCPU; without a local APIC nothing happens
 * @vector: number of the page at which the processor starts
 *
 * Context: Process context. Caller holds vcpu->mutex.
 */
void vlapic_set_sipi_vector(struct vcpu *vcpu, u8 vector)
{
	if (vcpu->lapic)
		WRITE_ONCE(vcpu->lapic->sipi_vector, vector);
}

/**
 * vlapic_receive_sipi() - make a SIPI arrive whose vector is set
 * @vcpu: the vCPU; it has a local APIC
 *
 * Context: Process context. Caller holds vcpu->mutex.
 */
void vlapic_receive_sipi(struct vcpu *vcpu)
{
	/* Orders the vector before the bit. */
	smp_mb__before_atomic();
	atomic_or(VLAPIC_SIPI, &vcpu->lapic->init_events);
}
