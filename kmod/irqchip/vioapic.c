// SPDX-License-Identifier: GPL-2.0
/* A VM's I/O APIC: locking, its page in guest-physical memory, and EOIs from the local APICs. */
#include <linux/slab.h>
#include <linux/workqueue.h>
#include "droste.h"
#include "irqchip/impl.h"
#include "irqchip/ioapic_logic.h"
#include "irqchip/lapic_logic.h"

struct vioapic {
	raw_spinlock_t lock;	/* guards @io, except lock-free reads; taken in hard interrupts */
	struct vm *vm;
	struct ioapic io;
	u32 late;		/* pins whose interrupts wait for @resend */
	struct delayed_work resend;
};

/* How long a level interrupt waits in an interrupt storm. */
#define VIOAPIC_DELAY	max(HZ / 100, 1)

/* Send the interrupt of an entry. Called with the lock held; irq_deliver() takes no lock. */
static int vioapic_fire(struct ioapic *io, u64 rte)
{
	struct vioapic *ioapic = container_of(io, struct vioapic, io);
	struct irq_msg msg;

	lapic_msg_from_rte(&msg, rte);
	return irq_deliver(ioapic->vm, NULL, &msg);
}

/* Work that sends the interrupts of lines that have been up for long. */
static void vioapic_resend(struct work_struct *work)
{
	struct vioapic *ioapic = container_of(to_delayed_work(work), struct vioapic, resend);
	unsigned long flags;

	raw_spin_lock_irqsave(&ioapic->lock, flags);
	ioapic_resend(&ioapic->io, ioapic->late);
	ioapic->late = 0;
	raw_spin_unlock_irqrestore(&ioapic->lock, flags);
}

/**
 * vioapic_create() - create a VM's I/O APIC
 * @vm: the VM
 *
 * Context: Process context. May sleep. Caller holds vm->lock.
 * Return: 0 or -ENOMEM.
 */
int vioapic_create(struct vm *vm)
{
	struct vioapic *ioapic = kzalloc(sizeof(*ioapic), GFP_KERNEL_ACCOUNT);

	if (!ioapic)
		return -ENOMEM;
	raw_spin_lock_init(&ioapic->lock);
	ioapic->vm = vm;
	ioapic_init(&ioapic->io, vioapic_fire);
	INIT_DELAYED_WORK(&ioapic->resend, vioapic_resend);
	vm->irqchip.ioapic = ioapic;
	return 0;
}

/**
 * vioapic_destroy() - free the I/O APIC
 * @vm: the VM; nothing uses its I/O APIC any more
 *
 * Context: Process context. May sleep.
 */
void vioapic_destroy(struct vm *vm)
{
	if (vm->irqchip.ioapic)
		cancel_delayed_work_sync(&vm->irqchip.ioapic->resend);
	kfree(vm->irqchip.ioapic);
	vm->irqchip.ioapic = NULL;
}

/**
 * vioapic_set_line() - raise or lower a line of the I/O APIC
 * @vm: the VM
 * @pin: 0 to 23
 * @source: enum irq_source
 * @level: nonzero to assert the line
 *
 * Context: Any, including hard interrupts. Takes a raw spinlock.
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

/**
 * vioapic_has_vector() - can an EOI of this vector concern the I/O APIC?
 * @ioapic: the I/O APIC
 * @vector: the vector
 *
 * Context: Any. Takes no lock.
 * Return: true if some entry names the vector.
 */
bool vioapic_has_vector(const struct vioapic *ioapic, u8 vector)
{
	return READ_ONCE(ioapic->io.handled[vector / BITS_PER_LONG]) & BIT_ULL(vector % BITS_PER_LONG);
}

/**
 * vioapic_eoi() - a processor ended an interrupt whose vector an entry names
 * @vm: the VM
 * @vector: the vector
 * @level: it was level-triggered
 *
 * Acknowledgement listeners are notified of edges, too. They are called before
 * the line is sampled again, so that a device that lowers its line in response
 * does not interrupt a second time.
 *
 * Context: Process context. Caller holds vm->srcu for reading.
 */
void vioapic_eoi(struct vm *vm, u8 vector, bool level)
{
	struct vioapic *ioapic = vm->irqchip.ioapic;
	unsigned long flags, pins;
	unsigned int pin;
	u32 late;

	raw_spin_lock_irqsave(&ioapic->lock, flags);
	pins = ioapic_pins_of(&ioapic->io, vector);
	raw_spin_unlock_irqrestore(&ioapic->lock, flags);

	for_each_set_bit(pin, &pins, IOAPIC_PINS)
		irqchip_acked(vm, KVM_IRQCHIP_IOAPIC, pin);
	if (!level)
		return;
	raw_spin_lock_irqsave(&ioapic->lock, flags);
	late = ioapic_end(&ioapic->io, pins);
	ioapic->late |= late;
	raw_spin_unlock_irqrestore(&ioapic->lock, flags);
	if (unlikely(late))
		schedule_delayed_work(&ioapic->resend, VIOAPIC_DELAY);
}

/* Read the register at @offset. The access may start within the register. */
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

/* Registers are 32 bits wide; shorter stores are zero-extended, longer ones truncated. */
static void vioapic_mmio_write(struct vm *vm, u32 offset, u32 len, const void *data)
{
	struct vioapic *ioapic = vm->irqchip.ioapic;
	unsigned long flags, unmasked;
	unsigned int pin;
	u32 val = 0;
	int opened;

	if (offset & 0xf)
		return;
	memcpy(&val, data, min_t(u32, len, sizeof(val)));
	if (offset == IOAPIC_REG_EOI) {
		vioapic_eoi(vm, val, true);
		return;
	}
	raw_spin_lock_irqsave(&ioapic->lock, flags);
	opened = ioapic_unmasks(&ioapic->io, offset, val);
	unmasked = ioapic_write(&ioapic->io, offset, val);
	raw_spin_unlock_irqrestore(&ioapic->lock, flags);
	if (unlikely(opened >= 0))
		irqchip_unmasked(vm, KVM_IRQCHIP_IOAPIC, opened);
	if (likely(!unmasked))
		return;
	/* A device behind a resampling irqfd may have lowered its line, which only the acknowledgement would tell. */
	for_each_set_bit(pin, &unmasked, IOAPIC_PINS)
		irqchip_resample(vm, KVM_IRQCHIP_IOAPIC, pin);
	raw_spin_lock_irqsave(&ioapic->lock, flags);
	ioapic_resend(&ioapic->io, unmasked);
	raw_spin_unlock_irqrestore(&ioapic->lock, flags);
}

/**
 * vioapic_is_at() - whether an address is one of the I/O APIC's
 * @vm: the VM
 * @gpa: the address
 *
 * A change of the answer is counted in vm->io_changed.
 *
 * Context: Any.
 * Return: true if it is; false also if the VM has none in the kernel.
 */
bool vioapic_is_at(const struct vm *vm, gpa_t gpa)
{
	const struct vioapic *ioapic = vm->irqchip.ioapic;

	return ioapic && gpa - READ_ONCE(ioapic->io.base) < 0x100;
}

/* Not inlined: most calls of vioapic_mmio() are for other devices. */
static noinline void vioapic_access(struct vm *vm, u32 offset, u32 len, void *data, bool write)
{
	if (write)
		vioapic_mmio_write(vm, offset, len, data);
	else
		vioapic_mmio_read(vm->irqchip.ioapic, offset, len, data);
}

/**
 * vioapic_mmio() - handle an access to the I/O APIC's page
 * @vm: the VM
 * @gpa: the address
 * @len: 1 to 8 bytes
 * @data: the data written, or filled with the data read
 * @write: the direction
 *
 * Context: Process context. Caller holds vm->srcu for reading.
 * Return: true if the access was to the I/O APIC's page.
 */
bool vioapic_mmio(struct vm *vm, gpa_t gpa, u32 len, void *data, bool write)
{
	if (likely(!vioapic_is_at(vm, gpa) || len > sizeof(u64)))
		return false;
	vioapic_access(vm, gpa & 0xff, len, data, write);
	return true;
}

/**
 * vioapic_get() - KVM_GET_IRQCHIP of chip 2
 * @vm: the VM; it has an in-kernel I/O APIC
 * @state: filled
 *
 * Context: Process context.
 */
void vioapic_get(struct vm *vm, struct kvm_ioapic_state *state)
{
	struct vioapic *ioapic = vm->irqchip.ioapic;
	unsigned long flags;

	raw_spin_lock_irqsave(&ioapic->lock, flags);
	ioapic_get_state(&ioapic->io, state);
	raw_spin_unlock_irqrestore(&ioapic->lock, flags);
}

/**
 * vioapic_set() - KVM_SET_IRQCHIP of chip 2
 * @vm: the VM; it has an in-kernel I/O APIC
 * @state: untrusted
 *
 * Context: Process context.
 */
void vioapic_set(struct vm *vm, const struct kvm_ioapic_state *state)
{
	struct vioapic *ioapic = vm->irqchip.ioapic;
	unsigned long flags;

	raw_spin_lock_irqsave(&ioapic->lock, flags);
	ioapic_set_state(&ioapic->io, state);
	raw_spin_unlock_irqrestore(&ioapic->lock, flags);
	/* Its address may be another one. */
	smp_mb__before_atomic();
	atomic64_inc(&vm->io_changed);
}
