// SPDX-License-Identifier: GPL-2.0
/* GSI routing: which pins and messages an interrupt number stands for, and back from a pin to its number. */
#include <linux/slab.h>
#include <linux/uaccess.h>
#include "droste.h"
#include "irqchip/impl.h"
#include "irqchip/irqchip.h"
#include "irqchip/lapic_logic.h"

#define NR_CHIPS	3	/* KVM_IRQCHIP_PIC_MASTER, _PIC_SLAVE, _IOAPIC */

/* One way that a GSI goes. */
struct irq_route {
	u32 gsi;
	u32 type;		/* KVM_IRQ_ROUTING_IRQCHIP or KVM_IRQ_ROUTING_MSI */
	u32 chip, pin;		/* of a pin */
	struct irq_msg msg;	/* of a message */
};

/* All of them. Immutable once published; replaced whole. */
struct irq_routing {
	u16 first[DROSTE_NR_GSIS + 1];	/* where each GSI's routes start in @r; they end where the next's start */
	s16 gsi_of[NR_CHIPS][KVM_IOAPIC_NUM_PINS];	/* the GSI of a pin, -1: none */
	u64 split_level[256 / 64];	/* vectors that pins of user space's I/O APIC send level-triggered */
	struct irq_route r[];		/* by GSI */
};

/* Check one entry of user space and take it over: 0 or -EINVAL. */
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

/* A GSI has either pins, one on each chip, or one message. */
static bool irq_routes_clash(const struct irq_route *a, const struct irq_route *b)
{
	return a->type != KVM_IRQ_ROUTING_IRQCHIP || b->type != KVM_IRQ_ROUTING_IRQCHIP || a->chip == b->chip;
}

/* Put a parsed route in place, behind the @placed[gsi] ones that its GSI has already. */
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

/* Sort the entries by GSI. Clashes end it before a GSI has more than one route for each chip. */
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
 * irq_routing_default() - a PC: 16 ISA interrupts on the PICs, and all pins of the I/O APIC by number
 * @vm: the machine; vm->lock held, nobody reads the routing yet
 *
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

/** irq_routing_destroy() - nobody reads it any more */
void irq_routing_destroy(struct vm *vm)
{
	kvfree(rcu_dereference_protected(vm->irqchip.routing, true));
	RCU_INIT_POINTER(vm->irqchip.routing, NULL);
}

/**
 * irq_routing_ioctl() - KVM_SET_GSI_ROUTING
 * @vm: the machine
 * @arg: struct kvm_irq_routing
 *
 * Return: 0; -EINVAL without in-kernel controllers or with an entry that
 * cannot be; -EFAULT, -ENOMEM.
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
 * irqchip_set_irq() - an interrupt line goes up or down, or its message is sent
 * @vm: the machine
 * @source: enum irq_source
 * @gsi: any; one without a route does nothing
 * @level: up or down
 *
 * Context: any, hard interrupts included.
 * Return: KVM_IRQ_LINE_STATUS's: above 0 the number of processors reached, 0
 * merged with one that was pending, below 0 ignored (masked, not routed).
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

/**
 * irqchip_acked() - the guest acknowledged the interrupt of a pin
 * @vm: the machine
 * @chip: KVM_IRQCHIP_*
 * @pin: of that chip
 *
 * Tells those who wait for it: the PIT, and resampling irqfds. Thread context, no locks.
 */
void irqchip_acked(struct vm *vm, u32 chip, u32 pin)
{
	const struct irq_routing *rt;
	int idx, gsi;

	idx = srcu_read_lock(&vm->srcu);
	rt = srcu_dereference(vm->irqchip.routing, &vm->srcu);
	gsi = rt ? rt->gsi_of[chip][pin] : -1;
	if (gsi == 0)
		vpit_acked(vm);
	if (gsi >= 0)
		irqfd_acked(vm, gsi);
	srcu_read_unlock(&vm->srcu, idx);
}

/**
 * irq_routing_split_level() - does a pin of user space's I/O APIC send this vector, level-triggered?
 * @vm: the machine; srcu held
 * @vector: which
 */
bool irq_routing_split_level(struct vm *vm, u8 vector)
{
	const struct irq_routing *rt = srcu_dereference(vm->irqchip.routing, &vm->srcu);

	return rt && (rt->split_level[vector / 64] & BIT_ULL(vector % 64));
}
