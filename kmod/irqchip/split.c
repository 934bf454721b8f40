// SPDX-License-Identifier: GPL-2.0
/* The split irqchip: local APICs here, PIC and I/O APIC in user space. What passes between the two. */
#include "droste.h"
#include "irqchip/impl.h"
#include "irqchip/irqchip.h"
#include "run/request.h"

/**
 * irqchip_create_split() - KVM_CAP_SPLIT_IRQCHIP: vCPUs will have local APICs, and there is nothing else
 * @vm: the machine; vm->lock held
 * @pins: of user space's I/O APIC: so many of the first GSIs are routed as it says
 *
 * Return: 0, -EEXIST when there are controllers or vCPUs already, -EINVAL for more pins than GSIs.
 */
int irqchip_create_split(struct vm *vm, u64 pins)
{
	if (pins > DROSTE_NR_GSIS)
		return -EINVAL;
	if (vm->irqchip.created || vm->nr_vcpus)
		return -EEXIST;
	vm->irqchip.split_pins = pins;
	/* Pairs with irqchip_ready(). */
	smp_store_release(&vm->irqchip.created, true);
	return 0;
}

/**
 * irqchip_takes_extint() - can user space's PIC hand this vCPU an interrupt?
 * @vcpu: owner
 *
 * Return: true when one given by KVM_INTERRUPT would find its place and its
 * way, whenever the guest is ready for it; false when the PIC is ours.
 */
bool irqchip_takes_extint(struct vcpu *vcpu)
{
	if (vcpu->vm->irqchip.pic || vcpu->user_irq >= 0)
		return false;
	return !vcpu->lapic || vlapic_accepts_pic(vcpu);
}

/**
 * split_eoi() - the guest ended a level-triggered interrupt: user space's I/O APIC may want to send it again
 * @vcpu: owner, srcu held
 * @vector: which
 *
 * KVM_RUN ends with KVM_EXIT_IOAPIC_EOI before the next entry.
 */
void split_eoi(struct vcpu *vcpu, u8 vector)
{
	if (!irq_routing_split_level(vcpu->vm, vector))
		return;
	vcpu->eoi_vector = vector;
	vcpu_request(vcpu, REQ_SPLIT_EOI);
}
