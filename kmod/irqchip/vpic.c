// SPDX-License-Identifier: GPL-2.0
/* A VM's PICs: locking of the 8259A pair, and its INT line to the processors. */
#include <linux/slab.h>
#include "droste.h"
#include "irqchip/impl.h"
#include "irqchip/irqchip.h"
#include "irqchip/pic_logic.h"
#include "run/request.h"

struct vpic {
	raw_spinlock_t lock;	/* guards @pair; taken in hard interrupts */
	struct pic_pair pair;
	int pending;		/* result of pic_pending(); written under @lock, read without */
};

/**
 * vpic_create() - create a VM's pair of PICs
 * @vm: the VM
 *
 * Context: Process context. May sleep. Caller holds vm->lock.
 * Return: 0 or -ENOMEM.
 */
int vpic_create(struct vm *vm)
{
	struct vpic *pic = kzalloc(sizeof(*pic), GFP_KERNEL_ACCOUNT);

	if (!pic)
		return -ENOMEM;
	raw_spin_lock_init(&pic->lock);
	pic_init(&pic->pair);
	pic->pending = -1;
	vm->irqchip.pic = pic;
	return 0;
}

/**
 * vpic_destroy() - free the PICs
 * @vm: the VM; nothing uses its PICs any more
 *
 * Context: Process context.
 */
void vpic_destroy(struct vm *vm)
{
	kfree(vm->irqchip.pic);
	vm->irqchip.pic = NULL;
}

/**
 * vpic_pending() - the vector that the pair asks the processor to take
 * @pic: the pair
 *
 * Context: Any. Takes no lock.
 * Return: the vector, -1 if there is none.
 */
int vpic_pending(const struct vpic *pic)
{
	return READ_ONCE(pic->pending);
}

/* Wake the first processor that the INT line reaches. */
static void vpic_kick(struct vm *vm)
{
	struct vcpu *vcpu;
	int i;

	irqchip_for_each_vcpu(i, vcpu, vm) {
		if (!vlapic_accepts_pic(vcpu))
			continue;
		vcpu_request(vcpu, REQ_EVENT);
		vcpu_kick(vcpu);
		return;
	}
}

/* As vpic_unlock(), for a change that others must hear of. @new: the result of pic_pending(). */
static noinline void vpic_unlock_changed(struct vm *vm, struct vpic *pic, int new, unsigned long flags)
	__releases(&pic->lock)
{
	unsigned long acked = pic->pair.acked;
	int old = pic->pending;
	unsigned int pin;

	pic->pair.acked = 0;
	WRITE_ONCE(pic->pending, new);
	raw_spin_unlock_irqrestore(&pic->lock, flags);

	if (new >= 0 && new != old)
		vpic_kick(vm);
	for_each_set_bit(pin, &acked, PIC_PINS)
		irqchip_acked(vm, pin < 8 ? KVM_IRQCHIP_PIC_MASTER : KVM_IRQCHIP_PIC_SLAVE, pin % 8);
}

/*
 * Update @pending after a change and unlock. Listeners for acknowledgements
 * are notified without the lock, because they may raise the pin again.
 */
static __always_inline void vpic_unlock(struct vm *vm, struct vpic *pic, unsigned long flags)
	__releases(&pic->lock)
{
	int new = pic_pending(&pic->pair);

	if (unlikely(new != pic->pending || pic->pair.acked))
		vpic_unlock_changed(vm, pic, new, flags);
	else
		raw_spin_unlock_irqrestore(&pic->lock, flags);
}

/**
 * vpic_set_line() - raise or lower a line of the pair
 * @vm: the VM
 * @pin: 0 to 15
 * @source: enum irq_source
 * @level: nonzero to raise the line
 *
 * Context: Any, including hard interrupts. Takes a raw spinlock.
 * Return: as pic_set_line().
 */
int vpic_set_line(struct vm *vm, unsigned int pin, int source, int level)
{
	struct vpic *pic = vm->irqchip.pic;
	unsigned long flags;
	int ret;

	raw_spin_lock_irqsave(&pic->lock, flags);
	ret = pic_set_line(&pic->pair, pin, source, level);
	vpic_unlock(vm, pic, flags);
	return ret;
}

/**
 * vpic_inta() - a processor acknowledges the pair's interrupt
 * @vm: the VM
 *
 * Context: Process context. Caller holds vm->srcu for reading.
 * Return: the vector, -1 if the request is no longer pending.
 */
int vpic_inta(struct vm *vm)
{
	struct vpic *pic = vm->irqchip.pic;
	unsigned long flags;
	int vec = -1;

	raw_spin_lock_irqsave(&pic->lock, flags);
	if (pic_pending(&pic->pair) >= 0)
		vec = pic_inta(&pic->pair);
	vpic_unlock(vm, pic, flags);
	return vec;
}

/* Caller holds the lock that guards @pair. */
static noinline void vpic_access(struct pic_pair *pair, u16 port, u32 len, u8 *data, bool write)
{
	u32 i;

	for (i = 0; i < len; i++) {
		u16 p = port + i;

		if (!pic_has_port(p)) {
			if (!write)
				data[i] = 0xff;
		} else if (write) {
			pic_write(pair, p, data[i]);
		} else {
			data[i] = pic_read(pair, p);
		}
	}
}

/**
 * vpic_pio() - handle port I/O to the pair
 * @vm: the VM
 * @port: the first port, one of the pair's
 * @len: number of bytes; each goes to a port of its own, as on an 8-bit bus
 * @data: the bytes written, or filled with the bytes read
 * @write: the direction
 *
 * Context: Process context. Caller holds vm->srcu for reading.
 * Return: false if the VM has no pair.
 */
bool vpic_pio(struct vm *vm, u16 port, u32 len, u8 *data, bool write)
{
	struct vpic *pic = vm->irqchip.pic;
	unsigned long flags;

	if (unlikely(!pic))
		return false;
	raw_spin_lock_irqsave(&pic->lock, flags);
	vpic_access(&pic->pair, port, len, data, write);
	vpic_unlock(vm, pic, flags);
	return true;
}

/**
 * vpic_out() - write a byte to a command or mask register of the pair
 * @vm: the VM
 * @port: the port, below 0x100
 * @val: the byte
 *
 * Context: Process context. Caller holds vm->srcu for reading.
 * Return: false if the VM has no pair.
 */
bool vpic_out(struct vm *vm, u16 port, u8 val)
{
	struct vpic *pic = vm->irqchip.pic;
	unsigned long flags;

	if (unlikely(!pic))
		return false;
	raw_spin_lock_irqsave(&pic->lock, flags);
	if (!pic_write_mask(&pic->pair, port, val))
		pic_write(&pic->pair, port, val);
	vpic_unlock(vm, pic, flags);
	return true;
}

/**
 * vpic_get() - KVM_GET_IRQCHIP of chip 0 (master) or 1 (slave)
 * @vm: the VM; it has in-kernel PICs
 * @chip: the chip
 * @state: filled
 *
 * Context: Process context.
 */
void vpic_get(struct vm *vm, unsigned int chip, struct kvm_pic_state *state)
{
	struct vpic *pic = vm->irqchip.pic;
	unsigned long flags;

	raw_spin_lock_irqsave(&pic->lock, flags);
	*state = pic->pair.chip[chip];
	raw_spin_unlock_irqrestore(&pic->lock, flags);
}

/**
 * vpic_set() - KVM_SET_IRQCHIP of chip 0 (master) or 1 (slave)
 * @vm: the VM; it has in-kernel PICs
 * @chip: the chip
 * @state: untrusted
 *
 * Context: Process context. Caller holds no spinlock.
 */
void vpic_set(struct vm *vm, unsigned int chip, const struct kvm_pic_state *state)
{
	struct vpic *pic = vm->irqchip.pic;
	unsigned long flags;

	raw_spin_lock_irqsave(&pic->lock, flags);
	pic_set_state(&pic->pair, chip, state);
	vpic_unlock(vm, pic, flags);
}
