// SPDX-License-Identifier: GPL-2.0
/* The local APIC's core: taking interrupts in from anywhere, and handing them to the vCPU. SDM 3A chapter 11. */
#include "droste.h"
#include "irqchip/impl.h"
#include "irqchip/ioapic_logic.h"
#include "irqchip/irqchip.h"
#include "irqchip/lapic_logic.h"
#include "run/request.h"

/*
 * Put a fixed interrupt into IRR. Lock-free, any context. TMR goes first, so
 * that whoever sees the IRR bit also sees how it is triggered; @irr_pending
 * goes last, so that it is never false for long with a bit set.
 */
static void vlapic_set_irr(struct vlapic *a, u8 vec, bool level)
{
	if (level)
		set_bit(vec % 32, vlapic_vec_word(a, LAPIC_TMR, vec));
	else if (test_bit(vec % 32, vlapic_vec_word(a, LAPIC_TMR, vec)))
		clear_bit(vec % 32, vlapic_vec_word(a, LAPIC_TMR, vec));

	/* Whoever set the bit first also kicks. */
	if (test_and_set_bit(vec % 32, vlapic_vec_word(a, LAPIC_IRR, vec)))
		return;
	WRITE_ONCE(a->irr_pending, true);
	vcpu_request(a->vcpu, REQ_EVENT);
	vcpu_kick(a->vcpu);
}

/* Owner: take a vector out of IRR. */
static void vlapic_clear_irr(struct vlapic *a, u8 vec)
{
	WRITE_ONCE(a->irr_pending, false);
	clear_bit(vec % 32, vlapic_vec_word(a, LAPIC_IRR, vec));
	/* The rescan stays behind both stores above. */
	smp_mb__after_atomic();
	if (lapic_find_highest(a->regs + LAPIC_IRR) >= 0)
		WRITE_ONCE(a->irr_pending, true);
}

/* A fixed interrupt arrives. Returns 1 when it is accepted. */
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
 * vlapic_accept_msg() - hand a message to the vCPU it has reached
 * @vcpu: the target
 * @msg: the message; its destination was matched before
 *
 * Context: any, hard interrupts included.
 * Return: 1 when it was accepted, else 0.
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
		/* The level de-assert only synchronised arbitration IDs of old (SDM 11.6.1). */
		if (!msg->assert)
			return 0;
		/* An INIT makes void what start-up message came before. */
		atomic_set(&a->init_events, VLAPIC_INIT);
		break;
	case LAPIC_DM_STARTUP:
		WRITE_ONCE(a->sipi_vector, msg->vector);
		/* Who sees the bit sees the vector. */
		smp_mb__before_atomic();
		atomic_or(VLAPIC_SIPI, &a->init_events);
		break;
	default:
		/* SMIs: there is no SMM. ExtINT comes from the PIC by irqchip_ack(). */
		return 0;
	}
	vcpu_request(vcpu, REQ_EVENT);
	vcpu_kick(vcpu);
	return 1;
}

/**
 * vlapic_accept() - hand an interrupt to this vCPU's APIC
 * @vcpu: the target
 * @delivery_mode: as in ICR bits 10:8, in place (APIC_DM_FIXED, APIC_DM_NMI, ...)
 * @vector: of a fixed interrupt, or the start-up page
 * @level_triggered: the EOI goes on to the I/O APIC
 *
 * Context: any, hard interrupts included.
 * Return: 1 when it was accepted, else 0.
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
 * vlapic_error() - note errors for ESR, and raise the error interrupt (SDM 11.5.3)
 * @a: the APIC
 * @bits: LAPIC_ERR_*
 *
 * Context: any.
 */
void vlapic_error(struct vlapic *a, u32 bits)
{
	u32 lvt = vlapic_reg(a, LAPIC_LVT_ERROR);

	atomic_or(bits, &a->esr);
	/* An error interrupt whose own vector is illegal would never end. */
	if (!(lvt & LAPIC_LVT_MASKED) && (lvt & 0xff) >= 16 && vlapic_sw_enabled(a))
		vlapic_set_irr(a, lvt & 0xff, false);
}

/**
 * vlapic_local_interrupt() - a local source fires (SDM 11.5.1)
 * @a: the APIC
 * @lvt: offset of its LVT register
 *
 * Context: any.
 * Return: 1 when it was accepted, else 0 (masked, or no such delivery mode).
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
 * vlapic_inject_cmci() - a bank tells of a corrected machine check (SDM 3B 16.5.1)
 * @vcpu: has a local APIC with the entry; its mutex is held
 */
void vlapic_inject_cmci(struct vcpu *vcpu)
{
	vlapic_local_interrupt(vcpu->lapic, LAPIC_LVT_CMCI);
}

/**
 * vlapic_eoi() - end of interrupt (SDM 11.8.5)
 * @a: the APIC; owner, srcu held
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

void irqchip_eoi(struct vcpu *vcpu)
{
	if (vcpu->lapic)
		vlapic_eoi(vcpu->lapic);
}

/* The vector above the processor's priority, or -1. Owner. */
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
 * vlapic_accepts_pic() - can the PIC's interrupt reach this processor?
 * @vcpu: any; any context
 *
 * By LINT0 in ExtINT mode ("virtual wire"), or directly when the APIC is
 * globally disabled (SDM 11.4.3).
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

/* Take the vector of KVM_INTERRUPT, or -1. Whoever gave it has acknowledged it already. */
static int vcpu_take_user_irq(struct vcpu *vcpu)
{
	int vec = vcpu->user_irq;

	vcpu->user_irq = -1;
	return vec;
}

/* The PIC's vector when it has one for this vCPU, or -1. */
static int vcpu_pic_pending(struct vcpu *vcpu)
{
	struct vpic *pic = vcpu->vm->irqchip.pic;
	int vec = pic ? vpic_pending(pic) : vcpu->user_irq;

	return vec >= 0 && vlapic_accepts_pic(vcpu) ? vec : -1;
}

/**
 * irqchip_pending_vector() - the interrupt this vCPU would take now if it could
 * @vcpu: owner
 *
 * Lock-free; a handful of instructions when nothing is pending.
 *
 * Return: the vector, or -1. Without in-kernel controllers user space's, from KVM_INTERRUPT.
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
	return vcpu_pic_pending(vcpu);
}

/**
 * irqchip_ack() - acknowledge the interrupt of irqchip_pending_vector()
 * @vcpu: owner, srcu held
 *
 * Return: the vector, a more urgent one when that came in meanwhile; -1 when there is none any more.
 */
int irqchip_ack(struct vcpu *vcpu)
{
	struct vlapic *a = vcpu->lapic;
	int vec;

	if (!a)
		return vcpu_take_user_irq(vcpu);
	vec = vlapic_pending(a);
	if (vec < 0) {
		if (vcpu_pic_pending(vcpu) < 0)
			return -1;
		return vcpu->vm->irqchip.pic ? vpic_inta(vcpu->vm) : vcpu_take_user_irq(vcpu);
	}

	/* In service before it leaves IRR, so that no reader sees it in neither. */
	__set_bit(vec % 32, vlapic_vec_word(a, LAPIC_ISR, vec));
	a->isr_top = vec;
	vlapic_clear_irr(a, vec);
	return vec;
}

/** vlapic_get_cr8() - the task priority class, as CR8 shows it (SDM 11.8.6) */
u8 vlapic_get_cr8(struct vcpu *vcpu)
{
	return (vlapic_reg(vcpu->lapic, LAPIC_TPR) & 0xf0) >> 4;
}

/** vlapic_set_cr8() - MOV to CR8: the class is written, the subclass becomes 0 */
void vlapic_set_cr8(struct vcpu *vcpu, u8 cr8)
{
	vlapic_set_reg(vcpu->lapic, LAPIC_TPR, (cr8 & 0xf) << 4);
}

/** vlapic_pending_init() - INIT and SIPI that arrived: VLAPIC_* bits, not taken yet */
u32 vlapic_pending_init(struct vcpu *vcpu)
{
	return vcpu->lapic ? atomic_read(&vcpu->lapic->init_events) : 0;
}

/** vlapic_clear_init() - the vCPU has acted on these VLAPIC_* bits, or dropped them */
void vlapic_clear_init(struct vcpu *vcpu, u32 bits)
{
	if (vcpu->lapic)
		atomic_andnot(bits, &vcpu->lapic->init_events);
}

/** vlapic_sipi_vector() - the page at which the SIPI starts the processor */
u8 vlapic_sipi_vector(struct vcpu *vcpu)
{
	return vcpu->lapic ? READ_ONCE(vcpu->lapic->sipi_vector) : 0;
}
