// SPDX-License-Identifier: GPL-2.0
/* Coalesced MMIO and ports: guest writes that wait in a ring, shared with user space, until another exit. */
#include <linux/gfp.h>
#include <linux/rculist.h>
#include <linux/slab.h>
#include "droste.h"
#include "io/bus.h"
#include "io/coalesced.h"

#define MAX_ZONES	1000	/* KVM's limit of devices on a bus */

/* A range of addresses that user space registered. Immutable once published. */
struct coalesced_zone {
	struct list_head link;	/* in vm->coalesced.zones */
	u64 addr;		/* port or guest-physical address */
	u32 size;
	bool pio;
};

/**
 * coalesced_init() - allocate the ring of a new VM
 * @vm: a new VM
 *
 * Context: Process context. May sleep.
 * Return: 0 or -ENOMEM.
 */
int coalesced_init(struct vm *vm)
{
	struct coalesced *c = &vm->coalesced;

	INIT_LIST_HEAD(&c->zones);
	spin_lock_init(&c->lock);
	c->ring = (struct kvm_coalesced_mmio_ring *)get_zeroed_page(GFP_KERNEL_ACCOUNT);
	return c->ring ? 0 : -ENOMEM;
}

/**
 * coalesced_destroy() - free the zones and the ring of a VM
 * @vm: no longer in use
 *
 * Context: Process context.
 */
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
 * Append a write to the ring, unless it is full. One entry always stays free, as
 * equal indices mean an empty ring. User space owns ring->first and may write
 * anything to the whole page, so each index is read once and checked before it
 * is used.
 */
static bool coalesced_push(struct coalesced *c, bool pio, u64 addr, u32 len, u64 data)
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
		memcpy(entry->data, &data, len);
		/* Publishes the entry: user space reads the index first. */
		smp_store_release(&ring->last, next);
		done = true;
	}
	spin_unlock(&c->lock);
	return done;
}

/**
 * coalesced_write() - put a guest's write to a port or to MMIO into the ring, if it is in a zone
 * @vm: the VM
 * @pio: true for a port, false for MMIO
 * @addr: port or guest-physical address
 * @len: 1 to 8 bytes
 * @data: the bytes written, and zeroes above them
 *
 * Context: Process context. Does not sleep. Caller holds vm->srcu for reading.
 * Return: IO_DONE if the write is in the ring; IO_REFUSED if the ring is full.
 */
enum io_result coalesced_write(struct vm *vm, bool pio, u64 addr, u32 len, u64 data)
{
	if (!coalesced_in_zone(vm, pio, addr, len))
		return IO_ABSENT;
	return coalesced_push(&vm->coalesced, pio, addr, len, data) ? IO_DONE : IO_REFUSED;
}

/**
 * vm_register_coalesced() - KVM_REGISTER_COALESCED_MMIO
 * @self: the VM
 * @arg: struct kvm_coalesced_mmio_zone
 * @uarg: unused
 *
 * Context: Process context. May sleep. Caller holds vm->lock.
 * Return: 0; -EINVAL for a zone that is neither MMIO nor ports; -ENOSPC for too
 * many zones; -ENOMEM.
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
	bus_note_changed(self);
	return 0;
}

/* Remove one zone that contains @want, and free it after all readers are done. Returns false if there is none. */
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
 * @self: the VM
 * @arg: struct kvm_coalesced_mmio_zone; all zones that contain it are removed
 * @uarg: unused
 *
 * Context: Process context. May sleep. Caller holds vm->lock.
 * Return: 0, also if no zone contains it; -EINVAL for a zone that is neither
 * MMIO nor ports.
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
