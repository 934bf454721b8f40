// SPDX-License-Identifier: GPL-2.0
/* Ioctls about interrupts: lines, MSIs, and the state of each controller. */
#include <linux/slab.h>
#include <linux/uaccess.h>
#include "droste.h"
#include "irqchip/impl.h"
#include "irqchip/ioapic_logic.h"
#include "irqchip/irqchip.h"
#include "irqchip/lapic_logic.h"

/* --- ioctls of the VM. All fail with EFAULT for a bad pointer. --- */

/* KVM_IRQ_LINE, and with @status KVM_IRQ_LINE_STATUS. ENXIO: no interrupt controllers. */
static long ioctl_irq_line(struct vm *vm, void __user *arg, bool status)
{
	struct kvm_irq_level line;

	if (copy_from_user(&line, arg, sizeof(line)))
		return -EFAULT;
	if (!irqchip_ready(vm))
		return -ENXIO;
	line.status = irqchip_set_irq(vm, IRQ_SOURCE_USER, line.irq, !!line.level);
	if (status && copy_to_user(arg, &line, sizeof(line)))
		return -EFAULT;
	return 0;
}

static long ioctl_irq_line_plain(struct vm *vm, void __user *arg)
{
	return ioctl_irq_line(vm, arg, false);
}

static long ioctl_irq_line_status(struct vm *vm, void __user *arg)
{
	return ioctl_irq_line(vm, arg, true);
}

/* KVM_GET_IRQCHIP. ENXIO: no PIC and I/O APIC in the kernel; EINVAL: unknown chip. */
static long ioctl_get_irqchip(struct vm *vm, void __user *arg)
{
	struct kvm_irqchip *chip = memdup_user(arg, sizeof(*chip));
	long err = 0;

	if (IS_ERR(chip))
		return PTR_ERR(chip);
	if (!irqchip_whole(vm))
		err = -ENXIO;
	else if (chip->chip_id <= KVM_IRQCHIP_PIC_SLAVE)
		vpic_get(vm, chip->chip_id, &chip->chip.pic);
	else if (chip->chip_id == KVM_IRQCHIP_IOAPIC)
		vioapic_get(vm, &chip->chip.ioapic);
	else
		err = -EINVAL;
	if (!err && copy_to_user(arg, chip, sizeof(*chip)))
		err = -EFAULT;
	kfree(chip);
	return err;
}

/* KVM_SET_IRQCHIP: fails as KVM_GET_IRQCHIP. */
static long ioctl_set_irqchip(struct vm *vm, void __user *arg)
{
	struct kvm_irqchip *chip = memdup_user(arg, sizeof(*chip));
	long err = 0;

	if (IS_ERR(chip))
		return PTR_ERR(chip);
	if (!irqchip_whole(vm))
		err = -ENXIO;
	else if (chip->chip_id <= KVM_IRQCHIP_PIC_SLAVE)
		vpic_set(vm, chip->chip_id, &chip->chip.pic);
	else if (chip->chip_id == KVM_IRQCHIP_IOAPIC)
		vioapic_set(vm, &chip->chip.ioapic);
	else
		err = -EINVAL;
	kfree(chip);
	return err;
}

/* Fails as vpit_create(). */
static long ioctl_make_pit(struct vm *vm, u32 flags)
{
	long err;

	mutex_lock(&vm->lock);
	err = vpit_create(vm, flags);
	mutex_unlock(&vm->lock);
	return err;
}

/* KVM_CREATE_PIT2 */
static long ioctl_create_pit2(struct vm *vm, void __user *arg)
{
	struct kvm_pit_config config;

	if (copy_from_user(&config, arg, sizeof(config)))
		return -EFAULT;
	return ioctl_make_pit(vm, config.flags);
}

/* KVM_CREATE_PIT: the older form, without an argument and always with port 0x61. */
static long ioctl_create_pit(struct vm *vm, void __user *arg)
{
	return ioctl_make_pit(vm, KVM_PIT_SPEAKER_DUMMY);
}

/*
 * KVM_GET_PIT and KVM_GET_PIT2, which differ in the size of the state: the older
 * struct is the beginning of the newer. ENXIO: no PIT.
 */
static long ioctl_read_pit(struct vm *vm, void __user *arg, size_t size)
{
	struct kvm_pit_state2 state;

	if (!irqchip_pit(vm))
		return -ENXIO;
	vpit_get(vm, &state);
	return copy_to_user(arg, &state, size) ? -EFAULT : 0;
}

/* KVM_SET_PIT and KVM_SET_PIT2. ENXIO: no PIT. */
static long ioctl_write_pit(struct vm *vm, void __user *arg, size_t size)
{
	struct kvm_pit_state2 state = {};

	BUILD_BUG_ON(offsetof(struct kvm_pit_state2, flags) != sizeof(struct kvm_pit_state));
	if (copy_from_user(&state, arg, size))
		return -EFAULT;
	if (!irqchip_pit(vm))
		return -ENXIO;
	vpit_set(vm, &state, size == sizeof(state));
	return 0;
}

static long ioctl_get_pit(struct vm *vm, void __user *arg)
{
	return ioctl_read_pit(vm, arg, sizeof(struct kvm_pit_state));
}

static long ioctl_set_pit(struct vm *vm, void __user *arg)
{
	return ioctl_write_pit(vm, arg, sizeof(struct kvm_pit_state));
}

static long ioctl_get_pit2(struct vm *vm, void __user *arg)
{
	return ioctl_read_pit(vm, arg, sizeof(struct kvm_pit_state2));
}

static long ioctl_set_pit2(struct vm *vm, void __user *arg)
{
	return ioctl_write_pit(vm, arg, sizeof(struct kvm_pit_state2));
}

/* KVM_REINJECT_CONTROL. ENXIO: no PIT. */
static long ioctl_reinject_control(struct vm *vm, void __user *arg)
{
	struct kvm_reinject_control control;

	if (copy_from_user(&control, arg, sizeof(control)))
		return -EFAULT;
	if (!irqchip_pit(vm))
		return -ENXIO;
	vpit_set_reinject(vm, control.pit_reinject);
	return 0;
}

/*
 * KVM_SIGNAL_MSI. Returns the number of vCPUs that accepted the message, 0 if
 * the guest blocks it, -1 if it addresses no vCPU. EINVAL: no interrupt
 * controllers, flags, or an invalid address.
 */
static long ioctl_signal_msi(struct vm *vm, void __user *arg)
{
	struct kvm_msi msi;
	struct irq_msg msg;

	if (copy_from_user(&msi, arg, sizeof(msi)))
		return -EFAULT;
	if (!irqchip_ready(vm) || msi.flags)
		return -EINVAL;
	if (irq_msg_of_user(vm, &msg, msi.address_lo, msi.address_hi, msi.data))
		return -EINVAL;
	return irq_deliver(vm, NULL, &msg);
}

static const struct {
	unsigned int cmd;
	long (*fn)(struct vm *vm, void __user *arg);
} irqchip_vm_ioctls[] = {
	{ KVM_IRQ_LINE,		ioctl_irq_line_plain },
	{ KVM_IRQ_LINE_STATUS,	ioctl_irq_line_status },
	{ KVM_SIGNAL_MSI,	ioctl_signal_msi },
	{ KVM_IRQFD,		irqfd_ioctl },
	{ KVM_SET_GSI_ROUTING,	irq_routing_ioctl },
	{ KVM_GET_IRQCHIP,	ioctl_get_irqchip },
	{ KVM_SET_IRQCHIP,	ioctl_set_irqchip },
	{ KVM_CREATE_PIT,	ioctl_create_pit },
	{ KVM_CREATE_PIT2,	ioctl_create_pit2 },
	{ KVM_GET_PIT,		ioctl_get_pit },
	{ KVM_SET_PIT,		ioctl_set_pit },
	{ KVM_GET_PIT2,		ioctl_get_pit2 },
	{ KVM_SET_PIT2,		ioctl_set_pit2 },
	{ KVM_REINJECT_CONTROL,	ioctl_reinject_control },
};

/**
 * irqchip_vm_ioctl() - execute a VM ioctl that is about interrupts
 * @vm: the VM; caller does not hold vm->lock
 * @cmd: ioctl number
 * @arg: its argument
 *
 * Context: Process context. May sleep.
 * Return: the result of the ioctl; -ENOTTY for all other numbers.
 */
long irqchip_vm_ioctl(struct vm *vm, unsigned int cmd, unsigned long arg)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(irqchip_vm_ioctls); i++) {
		if (irqchip_vm_ioctls[i].cmd == cmd)
			return irqchip_vm_ioctls[i].fn(vm, (void __user *)arg);
	}
	return -ENOTTY;
}

/* --- ioctls of a vCPU --- */

/* KVM_GET_LAPIC. EINVAL: no local APIC in the kernel. */
static long ioctl_get_lapic(struct vcpu *vcpu, void __user *arg)
{
	struct kvm_lapic_state *state = kmalloc(sizeof(*state), GFP_KERNEL_ACCOUNT);
	long err;

	if (!state)
		return -ENOMEM;
	err = vlapic_get_state(vcpu, state);
	if (!err && copy_to_user(arg, state, sizeof(*state)))
		err = -EFAULT;
	kfree(state);
	return err;
}

/* KVM_SET_LAPIC. EINVAL: no local APIC in the kernel, or an invalid state. */
static long ioctl_set_lapic(struct vcpu *vcpu, void __user *arg)
{
	struct kvm_lapic_state *state;
	long err;

	if (!vcpu->lapic)
		return -EINVAL;
	state = memdup_user(arg, sizeof(*state));
	if (IS_ERR(state))
		return PTR_ERR(state);
	err = vlapic_set_state(vcpu, state);
	kfree(state);
	return err;
}

/*
 * KVM_SET_VAPIC_ADDR: the page through which a guest that QEMU's option ROM has
 * patched reads its TPR without exits. Such patches are not supported, so only
 * the address 0 (no page) is accepted. EINVAL: another one, or no local APIC in
 * the kernel.
 */
static long ioctl_set_vapic(struct vcpu *vcpu, void __user *arg)
{
	struct kvm_vapic_addr vapic;

	if (!vcpu->lapic)
		return -EINVAL;
	if (copy_from_user(&vapic, arg, sizeof(vapic)))
		return -EFAULT;
	return vapic.vapic_addr ? -EINVAL : 0;
}

/**
 * irqchip_vcpu_ioctl() - execute a vCPU ioctl that is about interrupts
 * @vcpu: loaded; caller holds its mutex
 * @cmd: ioctl number
 * @arg: its argument
 *
 * Context: Process context. May sleep.
 * Return: the result of the ioctl; -ENOTTY for all other numbers.
 */
long irqchip_vcpu_ioctl(struct vcpu *vcpu, unsigned int cmd, unsigned long arg)
{
	switch (cmd) {
	case KVM_GET_LAPIC:
		return ioctl_get_lapic(vcpu, (void __user *)arg);
	case KVM_SET_LAPIC:
		return ioctl_set_lapic(vcpu, (void __user *)arg);
	case KVM_SET_VAPIC_ADDR:
		return ioctl_set_vapic(vcpu, (void __user *)arg);
	default:
		return -ENOTTY;
	}
}
