// SPDX-License-Identifier: GPL-2.0
/* GSI routing: from an interrupt number to pins and messages, and from a pin back to its number. */
#include <linux/slab.h>
#include <linux/uaccess.h>
#include "droste.h"
#include "irqchip/impl.h"
#include "irqchip/irqchip.h"
#include "irqchip/lapic_logic.h"

#define NR_CHIPS	3	/* KVM_IRQCHIP_PIC_MASTER, _PIC_SLAVE, _IOAPIC */

/* A route of a GSI. */
struct irq_route {
	u32 gsi;
	u32 type;		/* KVM_IRQ_ROUTING_IRQCHIP or KVM_IRQ_ROUTING_MSI */
	u32 chip, pin;		/* KVM_IRQ_ROUTING_IRQCHIP */
	struct irq_msg msg;	/* KVM_IRQ_ROUTING_MSI */
};

/* All routes. Immutable once published; replaced as a whole. */
struct irq_routing {
	u16 first[DROSTE_NR_GSIS + 1];	/* index in @r of each GSI's first route */
	s16 gsi_of[NR_CHIPS][KVM_IOAPIC_NUM_PINS];	/* the GSI of a pin, -1 if none */
	u64 split_level[256 / 64];	/* level-triggered vectors of user space's I/O APIC */
	struct irq_route r[];		/* sorted by GSI */
};

/* Check and convert an entry from user space. Returns 0 or -EINVAL. */
static int irq_route_parse(struct vm *vm, struct irq_route *r, const struct kvm_irq_routing_entry *e)
{
	if (e->gsi >= DROSTE_NR_GSIS || e->flags)
		return -EINVAL;
	r->gsi = e->gsi;
	r->type = e->type;
	switch (e->type) {
	case KVM_IRQ_ROUTING_IRQCHIP:
		if (!vm->irqchip.pic)
			return -EINVAL;
		r->chip = e->u.irqchip.irqchip;
		r->pin = e->u.irqchip.pin;
		if (r->chip == KVM_IRQCHIP_IOAPIC)
			return r->pin < KVM_IOAPIC_NUM_PINS ? 0 : -EINVAL;
		return r->chip <= KVM_IRQCHIP_PIC_SLAVE && r->pin < 8 ? 0 : -EINVAL;
	case KVM_IRQ_ROUTING_MSI:
		return irq_msg_of_user(vm, &r->msg, e->u.msi.address_lo, e->u.msi.address_hi, e->u.msi.data);
	default:
		return -EINVAL;
	}
}

/* Do two routes of one GSI exclude each other? A GSI has either pins, at most one per chip, or one message. */
static bool irq_routes_clash(const struct irq_route *a, const struct irq_route *b)
{
	return a->type != KVM_IRQ_ROUTING_IRQCHIP || b->type != KVM_IRQ_ROUTING_IRQCHIP || a->chip == b->chip;
}

/* Store a parsed route behind the @placed[gsi] routes that its GSI already has. */
static int irq_route_place(struct vm *vm, struct irq_routing *rt, u8 *placed, const struct irq_route *r)
{
	struct irq_route *own = &rt->r[rt->first[r->gsi]];
	unsigned int i;

	for (i = 0; i < placed[r->gsi]; i++) {
		if (irq_routes_clash(&own[i], r))
			return -EINVAL;
	}
	own[placed[r->gsi]++] = *r;
	if (r->type == KVM_IRQ_ROUTING_IRQCHIP)
		rt->gsi_of[r->chip][r->pin] = r->gsi;
	else if (r->msg.level && r->gsi < vm->irqchip.split_pins)
		rt->split_level[r->msg.vector / 64] |= BIT_ULL(r->msg.vector % 64);
	return 0;
}

/* Sort the entries by GSI. A clash is an error, so @placed never exceeds one route per chip. */
static int irq_routing_fill(struct vm *vm, struct irq_routing *rt, const struct kvm_irq_routing_entry *e, u32 nr)
{
	struct irq_route r = {};
	u32 i, gsi, sum = 0;
	u8 *placed;
	int err = 0;

	for (i = 0; i < nr; i++) {
		err = irq_route_parse(vm, &r, &e[i]);
		if (err)
			return err;
		rt->first[r.gsi]++;
	}
	for (gsi = 0; gsi <= DROSTE_NR_GSIS; gsi++) {
		u32 count = rt->first[gsi];

		rt->first[gsi] = sum;
		sum += count;
	}
	placed = kcalloc(DROSTE_NR_GSIS, sizeof(*placed), GFP_KERNEL_ACCOUNT);
	if (!placed)
		return -ENOMEM;
	for (i = 0; i < nr && !err; i++) {
		irq_route_parse(vm, &r, &e[i]);
		err = irq_route_place(vm, rt, placed, &r);
	}
	kfree(placed);
	return err;
}

static struct irq_routing *irq_routing_build(struct vm *vm, const struct kvm_irq_routing_entry *e, u32 nr)
{
	struct irq_routing *rt = kvzalloc(struct_size(rt, r, nr), GFP_KERNEL_ACCOUNT);
	int err;

	if (!rt)
		return ERR_PTR(-ENOMEM);
	memset(rt->gsi_of, 0xff, sizeof(rt->gsi_of));
	err = irq_routing_fill(vm, rt, e, nr);
	if (!err)
		return rt;
	kvfree(rt);
	return ERR_PTR(err);
}

/**
 * irq_routing_default() - install the routing of a PC
 * @vm: the VM; nobody reads the routing yet
 *
 * The 16 ISA interrupts go to the PICs, and GSIs 0 to 23 to the pins of the
 * I/O APIC.
 *
 * Context: Process context. May sleep. Caller holds vm->lock.
 * Return: 0 or -ENOMEM.
 */
int irq_routing_default(struct vm *vm)
{
	struct kvm_irq_routing_entry *e;
	struct irq_routing *rt;
	u32 gsi, n = 0;

	e = kcalloc(16 + KVM_IOAPIC_NUM_PINS, sizeof(*e), GFP_KERNEL);
	if (!e)
		return -ENOMEM;
	for (gsi = 0; gsi < KVM_IOAPIC_NUM_PINS; gsi++) {
		if (gsi < 16) {
			e[n].gsi = gsi;
			e[n].type = KVM_IRQ_ROUTING_IRQCHIP;
			e[n].u.irqchip.irqchip = gsi < 8 ? KVM_IRQCHIP_PIC_MASTER : KVM_IRQCHIP_PIC_SLAVE;
			e[n++].u.irqchip.pin = gsi % 8;
		}
		e[n].gsi = gsi;
		e[n].type = KVM_IRQ_ROUTING_IRQCHIP;
		e[n].u.irqchip.irqchip = KVM_IRQCHIP_IOAPIC;
		e[n++].u.irqchip.pin = gsi;
	}
	rt = irq_routing_build(vm, e, n);
	kfree(e);
	if (IS_ERR(rt))
		return PTR_ERR(rt);
	rcu_assign_pointer(vm->irqchip.routing, rt);
	return 0;
}

/**
 * irq_routing_destroy() - free the routing
 * @vm: the VM; nobody reads the routing any more
 *
 * Context: Process context. May sleep.
 */
void irq_routing_destroy(struct vm *vm)
{
	kvfree(rcu_dereference_protected(vm->irqchip.routing, true));
	RCU_INIT_POINTER(vm->irqchip.routing, NULL);
}

/**
 * irq_routing_ioctl() - KVM_SET_GSI_ROUTING
 * @vm: the VM
 * @arg: struct kvm_irq_routing
 *
 * Context: Process context. May sleep. Takes vm->lock.
 * Return: 0; -EINVAL without in-kernel controllers or for an invalid entry;
 * -EFAULT, -ENOMEM.
 */
long irq_routing_ioctl(struct vm *vm, void __user *arg)
{
	struct kvm_irq_routing_entry *e = NULL;
	struct irq_routing *rt, *old;
	struct kvm_irq_routing head;

	if (copy_from_user(&head, arg, sizeof(head)))
		return -EFAULT;
	if (!irqchip_ready(vm) || head.nr > DROSTE_NR_GSIS || head.flags)
		return -EINVAL;
	if (head.nr) {
		e = vmemdup_user(arg + sizeof(head), array_size(head.nr, sizeof(*e)));
		if (IS_ERR(e))
			return PTR_ERR(e);
	}
	rt = irq_routing_build(vm, e, head.nr);
	kvfree(e);
	if (IS_ERR(rt))
		return PTR_ERR(rt);

	mutex_lock(&vm->lock);
	old = rcu_dereference_protected(vm->irqchip.routing, lockdep_is_held(&vm->lock));
	rcu_assign_pointer(vm->irqchip.routing, rt);
	mutex_unlock(&vm->lock);
	synchronize_srcu_expedited(&vm->srcu);
	kvfree(old);
	return 0;
}

static int irq_route_set(struct vm *vm, const struct irq_route *r, int source, int level)
{
	if (r->type == KVM_IRQ_ROUTING_MSI)
		return level ? irq_deliver(vm, NULL, &r->msg) : -1;
	if (r->chip == KVM_IRQCHIP_IOAPIC)
		return vioapic_set_line(vm, r->pin, source, level);
	return vpic_set_line(vm, r->chip == KVM_IRQCHIP_PIC_SLAVE ? r->pin + 8 : r->pin, source, level);
}

/**
 * irqchip_set_irq() - raise or lower a GSI's line, or send its message
 * @vm: the VM
 * @source: enum irq_source
 * @gsi: the GSI; nothing happens if it has no route
 * @level: nonzero to raise the line
 *
 * Context: Any, including hard interrupts. Takes raw spinlocks.
 * Return: the status of KVM_IRQ_LINE_STATUS: above 0 the number of processors
 * reached, 0 if merged with a pending interrupt, below 0 if ignored (masked or
 * not routed).
 */
int irqchip_set_irq(struct vm *vm, int source, u32 gsi, int level)
{
	const struct irq_routing *rt;
	int idx, one, ret = -1;
	unsigned int i;

	if (gsi >= DROSTE_NR_GSIS)
		return -1;
	idx = srcu_read_lock(&vm->srcu);
	rt = srcu_dereference(vm->irqchip.routing, &vm->srcu);
	if (rt) {
		for (i = rt->first[gsi]; i < rt->first[gsi + 1]; i++) {
			one = irq_route_set(vm, &rt->r[i], source, level);
			if (one >= 0)
				ret = one + max(ret, 0);
		}
	}
	srcu_read_unlock(&vm->srcu, idx);
	return ret;
}

/* The GSI of a pin, -1 if there is none. Caller holds vm->srcu. */
static int irq_route_gsi(struct vm *vm, u32 chip, u32 pin)
{
	const struct irq_routing *rt = srcu_dereference(vm->irqchip.routing, &vm->srcu);

	return rt ? rt->gsi_of[chip][pin] : -1;
}

/**
 * irqchip_acked() - the guest acknowledged the interrupt of a pin
 * @vm: the VM
 * @chip: KVM_IRQCHIP_*
 * @pin: the pin of that chip
 *
 * Notifies the PIT and resampling irqfds.
 *
 * Context: Process context. Caller holds no spinlock.
 */
void irqchip_acked(struct vm *vm, u32 chip, u32 pin)
{
	int idx = srcu_read_lock(&vm->srcu), gsi = irq_route_gsi(vm, chip, pin);

	if (gsi == 0)
		vpit_acked(vm);
	if (gsi >= 0)
		irqfd_acked(vm, gsi);
	srcu_read_unlock(&vm->srcu, idx);
}

/**
 * irqchip_unmasked() - the guest unmasked a pin
 * @vm: the VM
 * @chip: KVM_IRQCHIP_*
 * @pin: the pin of that chip
 *
 * Notifies the PIT.
 *
 * Context: Process context. Caller holds no spinlock.
 */
void irqchip_unmasked(struct vm *vm, u32 chip, u32 pin)
{
	int idx = srcu_read_lock(&vm->srcu);

	if (irq_route_gsi(vm, chip, pin) == 0)
		vpit_unmasked(vm);
	srcu_read_unlock(&vm->srcu, idx);
}

/**
 * irqchip_resample() - let the devices of a pin say whether their line is still up
 * @vm: the VM
 * @chip: KVM_IRQCHIP_*
 * @pin: the pin of that chip
 *
 * Lowers the line of resampling irqfds and notifies them, as an acknowledgement
 * does.
 *
 * Context: Process context. Caller holds no spinlock.
 */
void irqchip_resample(struct vm *vm, u32 chip, u32 pin)
{
	int idx = srcu_read_lock(&vm->srcu), gsi = irq_route_gsi(vm, chip, pin);

	if (gsi >= 0)
		irqfd_acked(vm, gsi);
	srcu_read_unlock(&vm->srcu, idx);
}

/**
 * irq_routing_split_level() - does user space's I/O APIC send this vector as a level-triggered interrupt?
 * @vm: the VM
 * @vector: the vector
 *
 * Context: Any. Caller holds vm->srcu for reading.
 * Return: true if it does.
 */
bool irq_routing_split_level(struct vm *vm, u8 vector)
{
	const struct irq_routing *rt = srcu_dereference(vm->irqchip.routing, &vm->srcu);

	return rt && (rt->split_level[vector / 64] & BIT_ULL(vector % 64));
}
