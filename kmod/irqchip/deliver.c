// SPDX-License-Identifier: GPL-2.0
/* Delivery of interrupt messages: destination matching, shorthands and lowest priority. SDM 3A 11.6. */
#include "droste.h"
#include "irqchip/impl.h"
#include "irqchip/lapic_logic.h"
#include "run/request.h"

/*
 * Is destination 0xff an APIC ID rather than a broadcast? An x2APIC takes 0xff
 * in messages of the I/O APIC and in MSIs as a broadcast, unless user space
 * uses 32-bit IDs and has disabled that quirk.
 */
static bool irq_names_255(const struct vm *vm, const struct vcpu *sender, enum lapic_mode mode)
{
	return !sender && mode == LAPIC_X2APIC &&
	       (READ_ONCE(vm->x2apic_api) & KVM_X2APIC_API_DISABLE_BROADCAST_QUIRK);
}

/* Is @vcpu a target of @msg? Any context. */
static bool irq_addresses(const struct irq_msg *msg, struct vcpu *sender, struct vcpu *vcpu)
{
	struct vlapic *a = vcpu->lapic;
	struct lapic_target t;
	struct irq_msg m;

	if (!a)
		return false;
	t.mode = READ_ONCE(a->mode);
	switch (msg->shorthand) {
	case LAPIC_TO_SELF:
		return vcpu == sender;
	case LAPIC_TO_ALL:
		return t.mode != LAPIC_DISABLED;
	case LAPIC_TO_OTHERS:
		return vcpu != sender && t.mode != LAPIC_DISABLED;
	}
	t.id = READ_ONCE(a->id);
	t.ldr = vlapic_reg(a, LAPIC_LDR);
	t.dfr = vlapic_reg(a, LAPIC_DFR);
	if (likely(msg->dest != 0xff) || !irq_names_255(vcpu->vm, sender, t.mode))
		return lapic_match(&t, msg);
	m = *msg;
	m.x2apic = true;
	return lapic_match(&t, &m);
}

/* Is @a a better target of a lowest-priority interrupt than @best (SDM 11.6.2.4)? On a tie, the one that took fewer. */
static bool irq_beats(struct vlapic *a, struct vlapic *best)
{
	u8 pa, pb;

	if (!best)
		return true;
	pa = lapic_apr(vlapic_reg(a, LAPIC_TPR), READ_ONCE(a->isr_top), lapic_find_highest(a->regs + LAPIC_IRR));
	pb = lapic_apr(vlapic_reg(best, LAPIC_TPR), READ_ONCE(best->isr_top),
		       lapic_find_highest(best->regs + LAPIC_IRR));
	if (pa >> 4 != pb >> 4)
		return pa >> 4 < pb >> 4;
	return (s32)(READ_ONCE(a->arb) - READ_ONCE(best->arb)) < 0;
}

/* Deliver to the addressed processor with the lowest priority. */
static int irq_deliver_lowest(struct vm *vm, struct vcpu *sender, const struct irq_msg *msg)
{
	struct irq_msg one = *msg;
	struct vlapic *best = NULL;
	struct vcpu *vcpu;
	int i;

	irqchip_for_each_vcpu(i, vcpu, vm) {
		if (!irq_addresses(msg, sender, vcpu) || !vlapic_sw_enabled(vcpu->lapic))
			continue;
		if (irq_beats(vcpu->lapic, best))
			best = vcpu->lapic;
	}
	if (!best)
		return -1;
	one.mode = LAPIC_DM_LOWEST;
	return vlapic_accept_msg(best->vcpu, &one);
}

/**
 * irq_deliver() - deliver a message to all its targets
 * @vm: the VM
 * @sender: the sending vCPU, NULL for the I/O APIC and for MSIs
 * @msg: the message
 *
 * Context: Any, including hard interrupts. Takes no locks.
 * Return: the number of processors that accepted it, -1 if none was addressed.
 */
int irq_deliver(struct vm *vm, struct vcpu *sender, const struct irq_msg *msg)
{
	struct vcpu *vcpu;
	int i, reached = -1;

	if (msg->mode == LAPIC_DM_LOWEST || (msg->redirect && msg->mode == LAPIC_DM_FIXED))
		return irq_deliver_lowest(vm, sender, msg);
	if (msg->shorthand == LAPIC_TO_SELF)
		return vlapic_accept_msg(sender, msg);

	irqchip_for_each_vcpu(i, vcpu, vm) {
		if (irq_addresses(msg, sender, vcpu))
			reached = max(reached, 0) + vlapic_accept_msg(vcpu, msg);
	}
	return reached;
}

/**
 * irqchip_send_ipis() - send one IPI to many vCPUs, named by a map of APIC IDs
 * @sender: the sending vCPU
 * @low: bit n names the APIC ID @min + n
 * @high: bit n names the APIC ID @min + @bits + n
 * @min: the lowest APIC ID
 * @bits: bits used in @low and in @high: 32 or 64
 * @icr: lower half of the ICR: vector and delivery mode
 *
 * Context: Process context. Takes no locks.
 * Return: the number of vCPUs that accepted it; -EINVAL for a logical destination or a shorthand.
 */
int irqchip_send_ipis(struct vcpu *sender, u64 low, u64 high, u32 min, unsigned int bits, u32 icr)
{
	struct irq_msg msg;
	struct vcpu *vcpu;
	int i, reached = 0;

	lapic_msg_from_icr(&msg, icr, 0, true);
	if (msg.logical || msg.shorthand != LAPIC_TO_DEST)
		return -EINVAL;
	irqchip_for_each_vcpu(i, vcpu, sender->vm) {
		u32 id, n;

		if (!vcpu->lapic)
			continue;
		id = READ_ONCE(vcpu->lapic->id);
		n = id - min;
		if (id < min || n >= 2 * bits)
			continue;
		if ((n < bits ? low >> n : high >> (n - bits)) & 1)
			reached += vlapic_accept_msg(vcpu, &msg);
	}
	return reached;
}

/**
 * irqchip_end_halt() - end the HLT of a vCPU, or make its next one end at once, for KVM_HC_KICK_CPU
 * @vm: the VM
 * @apic_id: the vCPU's APIC ID; nothing happens if there is none with it. A broadcast address means all vCPUs, as in KVM
 *
 * Context: Process context. Takes no locks.
 */
void irqchip_end_halt(struct vm *vm, u32 apic_id)
{
	struct irq_msg msg;
	struct vcpu *vcpu;
	int i;

	lapic_msg_from_icr(&msg, 0, apic_id, false);
	irqchip_for_each_vcpu(i, vcpu, vm) {
		if (!irq_addresses(&msg, NULL, vcpu))
			continue;
		WRITE_ONCE(vcpu->pv_unhalted, true);
		vcpu_request(vcpu, REQ_EVENT);
		vcpu_kick(vcpu);
	}
}
