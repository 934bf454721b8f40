// SPDX-License-Identifier: GPL-2.0
/* The split irqchip: local APICs in the kernel, PIC and I/O APIC in user space. */
#include "droste.h"
#include "irqchip/impl.h"
#include "irqchip/irqchip.h"
#include "run/request.h"

/**
 * irqchip_create_split() - KVM_CAP_SPLIT_IRQCHIP: give the vCPUs local APICs and nothing else
 * @vm: the VM
 * @pins: number of pins of user space's I/O APIC; the first @pins GSIs are its pins
 *
 * Context: Process context. Caller holds vm->lock.
 * Return: 0, -EEXIST if there are controllers or vCPUs already, -EINVAL for more pins than GSIs.
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
 * irqchip_takes_extint() - can user space's PIC deliver an interrupt to this vCPU?
 * @vcpu: the vCPU
 *
 * Context: Process context. Caller holds vcpu->mutex.
 * Return: true if a vector given by KVM_INTERRUPT would be kept and delivered
 * as soon as the guest is ready for it; false if the PIC is in the kernel.
 */
bool irqchip_takes_extint(struct vcpu *vcpu)
{
	if (vcpu->vm->irqchip.pic || vcpu->user_irq >= 0)
		return false;
	return !vcpu->lapic || vlapic_accepts_pic(vcpu);
}

/**
 * split_eoi() - the guest ended a level-triggered interrupt
 * @vcpu: the vCPU
 * @vector: its vector
 *
 * If user space's I/O APIC sent it, KVM_RUN returns with KVM_EXIT_IOAPIC_EOI
 * before the next VM entry.
 *
 * Context: Process context. Caller holds vcpu->mutex, and vm->srcu for reading.
 */
void split_eoi(struct vcpu *vcpu, u8 vector)
{
	if (!irq_routing_split_level(vcpu->vm, vector))
		return;
	vcpu->eoi_vector = vector;
	vcpu_request(vcpu, REQ_SPLIT_EOI);
}
