// SPDX-License-Identifier: GPL-2.0
/* Coalesced MMIO and ports: writes that wait in a ring shared with user space until another exit. */
#include <linux/gfp.h>
#include <linux/rculist.h>
#include <linux/slab.h>
#include "droste.h"
#include "io/coalesced.h"

#define MAX_ZONES	1000	/* as many as KVM has devices on a bus */

/* Addresses that user space registered. Immutable once published. */
struct coalesced_zone {
	struct list_head link;	/* in vm->coalesced.zones */
	u64 addr;		/* port or guest-physical address */
	u32 size;
	bool pio;
};

int coalesced_init(struct vm *vm)
{
	struct coalesced *c = &vm->coalesced;

	INIT_LIST_HEAD(&c->zones);
	spin_lock_init(&c->lock);
	c->ring = (struct kvm_coalesced_mmio_ring *)get_zeroed_page(GFP_KERNEL_ACCOUNT);
	return c->ring ? 0 : -ENOMEM;
}

void coalesced_destroy(struct vm *vm)
{
	struct coalesced_zone *z, *next;

	list_for_each_entry_safe(z, next, &vm->coalesced.zones, link)
		kfree(z);
	free_page((unsigned long)vm->coalesced.ring);
}

static bool coalesced_zone_has(const struct coalesced_zone *z, bool pio, u64 addr, u32 len)
{
	return z->pio == pio && addr >= z->addr && len <= z->size && addr - z->addr <= z->size - len;
}

static bool coalesced_in_zone(struct vm *vm, bool pio, u64 addr, u32 len)
{
	const struct coalesced_zone *z;

	list_for_each_entry_srcu(z, &vm->coalesced.zones, link, srcu_read_lock_held(&vm->srcu))
		if (coalesced_zone_has(z, pio, addr, len))
			return true;
	return false;
}

/*
 * Into the ring, unless it is full: one entry stays free, so that a full ring
 * is not an empty one. User space owns @first and may write anything anywhere;
 * an index is read once and checked before it is used.
 */
static bool coalesced_push(struct coalesced *c, bool pio, u64 addr, u32 len, const void *data)
{
	struct kvm_coalesced_mmio_ring *ring = c->ring;
	struct kvm_coalesced_mmio *entry;
	u32 last, next;
	bool done = false;

	spin_lock(&c->lock);
	last = READ_ONCE(ring->last);
	next = (last + 1) % KVM_COALESCED_MMIO_MAX;
	if (last < KVM_COALESCED_MMIO_MAX && next != READ_ONCE(ring->first)) {
		entry = &ring->coalesced_mmio[last];
		entry->phys_addr = addr;
		entry->len = len;
		entry->pio = pio;
		memcpy(entry->data, data, len);
		/* The entry is whole before user space, on another CPU, may find it. */
		smp_store_release(&ring->last, next);
		done = true;
	}
	spin_unlock(&c->lock);
	return done;
}

/**
 * coalesced_write() - the guest writes to a port or to an address without memory
 * @vm: the machine; srcu held
 * @pio: a port
 * @addr: where
 * @len: 1 to 8 bytes
 * @data: what
 *
 * Return: true when user space will find it in the ring, false when it must be told now.
 */
bool coalesced_write(struct vm *vm, bool pio, u64 addr, u32 len, const void *data)
{
	if (likely(list_empty(&vm->coalesced.zones)))
		return false;
	return len <= sizeof_field(struct kvm_coalesced_mmio, data) && coalesced_in_zone(vm, pio, addr, len) &&
	       coalesced_push(&vm->coalesced, pio, addr, len, data);
}

/**
 * vm_register_coalesced() - KVM_REGISTER_COALESCED_MMIO
 * @self: the VM; its lock held
 * @arg: struct kvm_coalesced_mmio_zone
 * @uarg: not looked at
 *
 * Return: 0; -EINVAL for a kind that is neither memory nor port, -ENOSPC, -ENOMEM.
 */
long vm_register_coalesced(void *self, void *arg, unsigned long uarg)
{
	const struct kvm_coalesced_mmio_zone *user = arg;
	struct coalesced *c = &((struct vm *)self)->coalesced;
	struct coalesced_zone *z;

	if (user->pio > 1)
		return -EINVAL;
	if (c->nr_zones >= MAX_ZONES)
		return -ENOSPC;
	z = kzalloc(sizeof(*z), GFP_KERNEL_ACCOUNT);
	if (!z)
		return -ENOMEM;
	z->addr = user->addr;
	z->size = user->size;
	z->pio = user->pio;
	list_add_tail_rcu(&z->link, &c->zones);
	c->nr_zones++;
	return 0;
}

/* Take out one zone that holds @want, and free it when nobody looks at it any more. */
static bool coalesced_remove_one(struct vm *vm, const struct kvm_coalesced_mmio_zone *want)
{
	struct coalesced_zone *z;

	list_for_each_entry(z, &vm->coalesced.zones, link) {
		if (!coalesced_zone_has(z, want->pio, want->addr, want->size))
			continue;
		list_del_rcu(&z->link);
		vm->coalesced.nr_zones--;
		synchronize_srcu_expedited(&vm->srcu);
		kfree(z);
		return true;
	}
	return false;
}

/**
 * vm_unregister_coalesced() - KVM_UNREGISTER_COALESCED_MMIO
 * @self: the VM; its lock held
 * @arg: struct kvm_coalesced_mmio_zone; all zones that hold it go
 * @uarg: not looked at
 *
 * Return: 0, also where there was none; -EINVAL as above.
 */
long vm_unregister_coalesced(void *self, void *arg, unsigned long uarg)
{
	const struct kvm_coalesced_mmio_zone *want = arg;

	if (want->pio > 1)
		return -EINVAL;
	while (coalesced_remove_one(self, want))
		;
	return 0;
}
