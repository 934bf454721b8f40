// SPDX-License-Identifier: GPL-2.0
/* Coalesced MMIO and ports: guest writes that wait in a ring, shared with user space, until another exit. */
#include <linux/gfp.h>
#include <linux/mm.h>
#include <linux/overflow.h>
#include <linux/slab.h>
#include "droste.h"
#include "io/bus.h"
#include "io/coalesced.h"

#define MAX_ZONES	1000	/* KVM's limit of devices on a bus */

/* A range of addresses that user space registered. */
struct coalesced_zone {
	u64 addr;	/* port or guest-physical address */
	u64 reach;	/* the highest end of this zone and of those before it that have the same @pio */
	u32 size;
	bool pio;
};

/*
 * The zones of a VM, by @pio and then by @addr. They may overlap. An array is immutable once published: each change
 * publishes another one.
 */
struct coalesced_zones {
	unsigned int nr;
	struct coalesced_zone zone[];
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
	kvfree(rcu_dereference_protected(vm->coalesced.zones, true));
	free_page((unsigned long)vm->coalesced.ring);
}

static bool coalesced_zone_has(const struct coalesced_zone *z, bool pio, u64 addr, u32 len)
{
	return z->pio == pio && addr >= z->addr && len <= z->size && addr - z->addr <= z->size - len;
}

/* How many zones begin at or below an address, or are zones of MMIO before one of ports. They are the first ones. */
static unsigned int coalesced_up_to(const struct coalesced_zones *zones, bool pio, u64 addr)
{
	unsigned int low = 0, high = zones ? zones->nr : 0;

	while (low < high) {
		unsigned int mid = (low + high) / 2;
		const struct coalesced_zone *z = &zones->zone[mid];

		if (z->pio < pio || (z->pio == pio && z->addr <= addr))
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

/* Whether one zone has all of a write: of the zones that begin at or below its address, the one that reaches farthest has it, if any has. */
static bool coalesced_in_zone(struct vm *vm, bool pio, u64 addr, u32 len)
{
	const struct coalesced_zones *zones = srcu_dereference(vm->coalesced.zones, &vm->srcu);
	unsigned int n = coalesced_up_to(zones, pio, addr);

	return n && zones->zone[n - 1].pio == pio && zones->zone[n - 1].reach >= size_add(addr, len);
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

/* An array for @nr zones, which are not filled in. NULL if there is no memory. */
static struct coalesced_zones *coalesced_alloc(unsigned int nr)
{
	struct coalesced_zones *new = kvzalloc(struct_size(new, zone, nr), GFP_KERNEL_ACCOUNT);

	if (new)
		new->nr = nr;
	return new;
}

static struct coalesced_zones *coalesced_current(struct vm *vm)
{
	return rcu_dereference_protected(vm->coalesced.zones, lockdep_is_held(&vm->lock));
}

/* Compute how far the zones reach, publish them, and free the others when no reader uses them. May sleep. Caller holds vm->lock. */
static void coalesced_publish(struct vm *vm, struct coalesced_zones *new)
{
	struct coalesced_zones *old = coalesced_current(vm);
	unsigned int i;

	for (i = 0; i < new->nr; i++) {
		struct coalesced_zone *z = &new->zone[i];

		/* A zone that wraps around ends with the address space. */
		z->reach = size_add(z->addr, z->size);
		if (i && z[-1].pio == z->pio)
			z->reach = max(z->reach, z[-1].reach);
	}
	rcu_assign_pointer(vm->coalesced.zones, new);
	bus_note_changed(vm);
	if (!old)
		return;
	synchronize_srcu_expedited(&vm->srcu);
	kvfree(old);
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
	struct coalesced_zones *old = coalesced_current(self), *new;
	unsigned int nr = old ? old->nr : 0, at;

	if (user->pio > 1)
		return -EINVAL;
	if (nr >= MAX_ZONES)
		return -ENOSPC;
	new = coalesced_alloc(nr + 1);
	if (!new)
		return -ENOMEM;
	at = coalesced_up_to(old, user->pio, user->addr);
	if (old) {
		memcpy(new->zone, old->zone, at * sizeof(*old->zone));
		memcpy(new->zone + at + 1, old->zone + at, (nr - at) * sizeof(*old->zone));
	}
	new->zone[at] = (struct coalesced_zone) { .addr = user->addr, .size = user->size, .pio = user->pio };
	coalesced_publish(self, new);
	return 0;
}

/**
 * vm_unregister_coalesced() - KVM_UNREGISTER_COALESCED_MMIO
 * @self: the VM
 * @arg: struct kvm_coalesced_mmio_zone; all zones that contain it are removed
 * @uarg: unused
 *
 * Context: Process context. May sleep. Caller holds vm->lock.
 * Return: 0, also if no zone contains it; -EINVAL for a zone that is neither
 * MMIO nor ports; -ENOMEM.
 */
long vm_unregister_coalesced(void *self, void *arg, unsigned long uarg)
{
	const struct kvm_coalesced_mmio_zone *want = arg;
	struct coalesced_zones *old = coalesced_current(self), *new;
	unsigned int i, gone = 0;

	if (want->pio > 1)
		return -EINVAL;
	for (i = 0; old && i < old->nr; i++)
		gone += coalesced_zone_has(&old->zone[i], want->pio, want->addr, want->size);
	if (!gone)
		return 0;
	new = coalesced_alloc(old->nr - gone);
	if (!new)
		return -ENOMEM;
	for (i = 0, new->nr = 0; i < old->nr; i++)
		if (!coalesced_zone_has(&old->zone[i], want->pio, want->addr, want->size))
			new->zone[new->nr++] = old->zone[i];
	coalesced_publish(self, new);
	return 0;
}
