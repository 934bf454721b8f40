// SPDX-License-Identifier: GPL-2.0
/* The interrupt controllers of a VM as a whole: creation and end, MMIO and ports, CR8, MSIs of user space. */
#include <linux/slab.h>
#include <linux/uaccess.h>
#include "droste.h"
#include "irqchip/impl.h"
#include "irqchip/irqchip.h"
#include "irqchip/lapic_logic.h"

/**
 * irqchip_init() - prepare a new VM, which has no interrupt controllers yet
 * @vm: the VM; nobody else can reach it
 *
 * Context: Process context.
 */
void irqchip_init(struct vm *vm)
{
	struct irqchip *chip = &vm->irqchip;

	mutex_init(&chip->fds_lock);
	spin_lock_init(&chip->irqfds_lock);
	INIT_LIST_HEAD(&chip->irqfds);
	INIT_LIST_HEAD(&chip->resamplers);
}

/**
 * irqchip_create() - KVM_CREATE_IRQCHIP: create the PICs and the I/O APIC
 * @vm: the VM; caller holds vm->lock
 *
 * vCPUs that are created afterwards get a local APIC each.
 *
 * Context: Process context. May sleep.
 * Return: 0; -EEXIST if the VM has interrupt controllers; -EINVAL if it has
 * vCPUs; -ENOMEM.
 */
int irqchip_create(struct vm *vm)
{
	int err;

	if (vm->irqchip.created)
		return -EEXIST;
	if (vm->nr_vcpus)
		return -EINVAL;
	err = vpic_create(vm);
	if (err)
		return err;
	err = vioapic_create(vm);
	if (err)
		goto err_pic;
	err = irq_routing_default(vm);
	if (err)
		goto err_ioapic;
	/* Pairs with irqchip_ready(). */
	smp_store_release(&vm->irqchip.created, true);
	return 0;

err_ioapic:
	vioapic_destroy(vm);
err_pic:
	vpic_destroy(vm);
	return err;
}

/**
 * irqchip_destroy() - free the PIT, the I/O APIC, the PICs and the routing
 * @vm: the VM, without references; its vCPUs are not freed yet
 *
 * Context: Process context. May sleep.
 */
void irqchip_destroy(struct vm *vm)
{
	vpit_destroy(vm);
	irq_routing_destroy(vm);
	vioapic_destroy(vm);
	vpic_destroy(vm);
}

/**
 * irqchip_release() - deassign all irqfds, because the VM's file is being closed
 * @vm: the VM
 *
 * Context: Process context. May sleep.
 */
void irqchip_release(struct vm *vm)
{
	irqfd_release(vm);
}

/* --- CR8: the task priority of the local APIC (SDM 3A 11.8.6) --- */

/**
 * vcpu_cr8() - CR8 of a vCPU
 * @vcpu: the vCPU; caller holds its mutex
 *
 * Context: Process context. Does not sleep.
 * Return: the task priority class, 0 to 15; without an in-kernel local APIC the
 * value that user space or the guest last set.
 */
u64 vcpu_cr8(struct vcpu *vcpu)
{
	return vcpu->lapic ? vlapic_get_cr8(vcpu) : vcpu->cr8;
}

/**
 * vcpu_set_cr8() - set CR8 of a vCPU
 * @vcpu: the vCPU; caller holds its mutex
 * @cr8: new value
 *
 * Context: Process context. Does not sleep.
 * Return: 0, or -EINVAL for #GP(0): a reserved bit is set.
 */
int vcpu_set_cr8(struct vcpu *vcpu, u64 cr8)
{
	if (cr8 & ~0xfULL)
		return -EINVAL;
	if (vcpu->lapic)
		vlapic_set_cr8(vcpu, cr8);
	else
		vcpu->cr8 = cr8;
	return 0;
}

/* --- messages --- */

/**
 * irq_msg_of_user() - decode an MSI that user space gave
 * @vm: the VM
 * @msg: the message to fill
 * @lo: bits 31:0 of the address
 * @hi: bits 63:32 of the address
 * @data: the data
 *
 * Context: Any.
 * Return: 0; -EINVAL if user space uses 32-bit destination IDs
 * (KVM_X2APIC_API_USE_32BIT_IDS) and a reserved bit of @hi is set.
 */
int irq_msg_of_user(struct vm *vm, struct irq_msg *msg, u32 lo, u32 hi, u32 data)
{
	bool wide = READ_ONCE(vm->x2apic_api) & KVM_X2APIC_API_USE_32BIT_IDS;

	if (wide && (hi & 0xff))
		return -EINVAL;
	lapic_msg_from_msi(msg, (u64)hi << 32 | lo, data, wide);
	return 0;
}
