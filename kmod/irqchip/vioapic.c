// SPDX-License-Identifier: GPL-2.0
/* A VM's I/O APIC: the pins under a lock, its page in guest-physical memory, and EOIs from the local APICs. */
#include <linux/slab.h>
#include "droste.h"
#include "irqchip/impl.h"
#include "irqchip/ioapic_logic.h"
#include "irqchip/lapic_logic.h"

struct vioapic {
	raw_spinlock_t lock;	/* @io, but for what it reads without; taken in hard interrupts */
	struct vm *vm;
	struct ioapic io;
};

/* An entry fires. The lock is held; delivery takes none. */
static int vioapic_fire(struct ioapic *io, u64 rte)
{
	struct vioapic *ioapic = container_of(io, struct vioapic, io);
	struct irq_msg msg;

	lapic_msg_from_rte(&msg, rte);
	return irq_deliver(ioapic->vm, NULL, &msg);
}

/** vioapic_create() - vm->lock held; 0 or -ENOMEM */
int vioapic_create(struct vm *vm)
{
	struct vioapic *ioapic = kzalloc(sizeof(*ioapic), GFP_KERNEL_ACCOUNT);

	if (!ioapic)
		return -ENOMEM;
	raw_spin_lock_init(&ioapic->lock);
	ioapic->vm = vm;
	ioapic_init(&ioapic->io, vioapic_fire);
	vm->irqchip.ioapic = ioapic;
	return 0;
}

/** vioapic_destroy() - nothing can reach it any more */
void vioapic_destroy(struct vm *vm)
{
	kfree(vm->irqchip.ioapic);
	vm->irqchip.ioapic = NULL;
}

/**
 * vioapic_set_line() - a line goes up or down
 * @vm: the machine
 * @pin: 0 to 23
 * @source: enum irq_source
 * @level: asserted or not
 *
 * Context: any.
 * Return: as ioapic_set_line().
 */
int vioapic_set_line(struct vm *vm, unsigned int pin, int source, int level)
{
	struct vioapic *ioapic = vm->irqchip.ioapic;
	unsigned long flags;
	int ret;

	raw_spin_lock_irqsave(&ioapic->lock, flags);
	ret = ioapic_set_line(&ioapic->io, pin, source, level);
	raw_spin_unlock_irqrestore(&ioapic->lock, flags);
	return ret;
}

/** vioapic_has_vector() - may an EOI of this vector concern the I/O APIC? Lock-free. */
bool vioapic_has_vector(const struct vioapic *ioapic, u8 vector)
{
	return READ_ONCE(ioapic->io.handled[vector / BITS_PER_LONG]) & BIT_ULL(vector % BITS_PER_LONG);
}

/**
 * vioapic_eoi() - a processor ended an interrupt with a vector that an entry names
 * @vm: the machine; srcu held
 * @vector: which
 * @level: it was level-triggered
 *
 * Listeners hear of edges too. They are told first, so that a device that
 * lets go of its line now is not taken for one that still wants service.
 */
void vioapic_eoi(struct vm *vm, u8 vector, bool level)
{
	struct vioapic *ioapic = vm->irqchip.ioapic;
	unsigned long flags, pins;
	unsigned int pin;

	raw_spin_lock_irqsave(&ioapic->lock, flags);
	pins = ioapic_pins_of(&ioapic->io, vector);
	raw_spin_unlock_irqrestore(&ioapic->lock, flags);

	for_each_set_bit(pin, &pins, IOAPIC_PINS)
		irqchip_acked(vm, KVM_IRQCHIP_IOAPIC, pin);
	if (!level)
		return;
	raw_spin_lock_irqsave(&ioapic->lock, flags);
	ioapic_end(&ioapic->io, pins);
	raw_spin_unlock_irqrestore(&ioapic->lock, flags);
}

/* The register at @offset as the bytes of an access that may start within it. */
static void vioapic_mmio_read(struct vioapic *ioapic, u32 offset, u32 len, void *data)
{
	unsigned long flags;
	u64 val = 0;

	if ((offset & 0xf) + len <= sizeof(u32) || !(offset & 0xf)) {
		raw_spin_lock_irqsave(&ioapic->lock, flags);
		val = ioapic_read(&ioapic->io, offset & ~0xf);
		raw_spin_unlock_irqrestore(&ioapic->lock, flags);
	}
	val >>= (offset & 0xf) < 4 ? (offset & 0xf) * 8 : 32;
	memcpy(data, &val, len);
}

/* Registers are 32 bits wide; shorter stores are taken as zero-extended, the rest of longer ones is dropped. */
static void vioapic_mmio_write(struct vm *vm, u32 offset, u32 len, const void *data)
{
	struct vioapic *ioapic = vm->irqchip.ioapic;
	unsigned long flags;
	u32 val = 0;

	if (offset & 0xf)
		return;
	memcpy(&val, data, min_t(u32, len, sizeof(val)));
	if (offset == IOAPIC_REG_EOI) {
		vioapic_eoi(vm, val, true);
		return;
	}
	raw_spin_lock_irqsave(&ioapic->lock, flags);
	ioapic_write(&ioapic->io, offset, val);
	raw_spin_unlock_irqrestore(&ioapic->lock, flags);
}

/**
 * vioapic_mmio() - an access that may be to the I/O APIC's page
 * @vm: the machine; srcu held
 * @gpa: where
 * @len: 1 to 8 bytes
 * @data: what is written, or filled
 * @write: the direction
 *
 * Return: true when it is.
 */
bool vioapic_mmio(struct vm *vm, gpa_t gpa, u32 len, void *data, bool write)
{
	struct vioapic *ioapic = vm->irqchip.ioapic;

	if (!ioapic || gpa - READ_ONCE(ioapic->io.base) >= 0x100 || len > sizeof(u64))
		return false;
	if (write)
		vioapic_mmio_write(vm, gpa & 0xff, len, data);
	else
		vioapic_mmio_read(ioapic, gpa & 0xff, len, data);
	return true;
}

/** vioapic_get() - KVM_GET_IRQCHIP of chip 2 */
void vioapic_get(struct vm *vm, struct kvm_ioapic_state *state)
{
	struct vioapic *ioapic = vm->irqchip.ioapic;
	unsigned long flags;

	raw_spin_lock_irqsave(&ioapic->lock, flags);
	ioapic_get_state(&ioapic->io, state);
	raw_spin_unlock_irqrestore(&ioapic->lock, flags);
}

/** vioapic_set() - KVM_SET_IRQCHIP likewise */
void vioapic_set(struct vm *vm, const struct kvm_ioapic_state *state)
{
	struct vioapic *ioapic = vm->irqchip.ioapic;
	unsigned long flags;

	raw_spin_lock_irqsave(&ioapic->lock, flags);
	ioapic_set_state(&ioapic->io, state);
	raw_spin_unlock_irqrestore(&ioapic->lock, flags);
}
