// SPDX-License-Identifier: GPL-2.0
/* All interrupt controllers of a VM together: their life, their ioctls, and the buses they are on. */
#include <linux/slab.h>
#include <linux/uaccess.h>
#include "droste.h"
#include "irqchip/impl.h"
#include "irqchip/irqchip.h"
#include "irqchip/lapic_logic.h"

/** irqchip_init() - an empty one, at VM creation */
void irqchip_init(struct vm *vm)
{
	struct irqchip *chip = &vm->irqchip;

	mutex_init(&chip->fds_lock);
	spin_lock_init(&chip->irqfds_lock);
	INIT_LIST_HEAD(&chip->irqfds);
	INIT_LIST_HEAD(&chip->resamplers);
}

/**
 * irqchip_create() - KVM_CREATE_IRQCHIP: the PICs and the I/O APIC; local APICs come with the vCPUs
 * @vm: the machine; vm->lock held
 *
 * Return: 0, -EEXIST when there is one, -EINVAL when there are vCPUs, -ENOMEM.
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

/** irqchip_destroy() - the last reference to the VM is gone; the vCPUs' memory must still be there */
void irqchip_destroy(struct vm *vm)
{
	vpit_destroy(vm);
	irq_routing_destroy(vm);
	vioapic_destroy(vm);
	vpic_destroy(vm);
}

/** irqchip_release() - the VM's file is closing: eventfds are let go */
void irqchip_release(struct vm *vm)
{
	irqfd_release(vm);
}

/**
 * irqchip_mmio() - an access outside memory: is it to an in-kernel device?
 * @vcpu: whose thread; srcu held
 * @gpa: where
 * @len: 1 to 8 bytes, not across a page
 * @data: what is written, or filled
 * @write: the direction
 *
 * Return: true when it was; else user space must do it.
 */
bool irqchip_mmio(struct vcpu *vcpu, gpa_t gpa, u32 len, void *data, bool write)
{
	if (vlapic_mmio(vcpu, gpa, len, data, write))
		return true;
	return vioapic_mmio(vcpu->vm, gpa, len, data, write);
}

/**
 * irqchip_pio() - a port access: is it to an in-kernel device?
 * @vcpu: whose thread; srcu held
 * @port: which
 * @len: 1, 2 or 4 bytes
 * @data: what is written, or filled
 * @write: OUT
 *
 * Return: true when it was; else user space must do it.
 */
bool irqchip_pio(struct vcpu *vcpu, u16 port, u32 len, void *data, bool write)
{
	if (vpic_pio(vcpu->vm, port, len, data, write))
		return true;
	return vpit_pio(vcpu->vm, port, len, data, write);
}

/* --- CR8, which is the local APIC's task priority (SDM 3A 11.8.6) --- */

u64 vcpu_cr8(struct vcpu *vcpu)
{
	return vcpu->lapic ? vlapic_get_cr8(vcpu) : vcpu->cr8;
}

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

/* User space's MSI: -EINVAL for bits that an address with 32 bits of destination has not. */
int irq_msg_of_user(struct vm *vm, struct irq_msg *msg, u32 lo, u32 hi, u32 data)
{
	bool wide = READ_ONCE(vm->x2apic_api) & KVM_X2APIC_API_USE_32BIT_IDS;

	if (wide && (hi & 0xff))
		return -EINVAL;
	lapic_msg_from_msi(msg, (u64)hi << 32 | lo, data, wide);
	return 0;
}
