/* SPDX-License-Identifier: GPL-2.0 */
/* Coalesced MMIO and ports: guest writes that wait in a ring until user space reads many of them at once. */
#ifndef DROSTE_COALESCED_H
#define DROSTE_COALESCED_H

#include <linux/rculist.h>
#include "droste.h"

#ifndef KVM_COALESCED_MMIO_MAX	/* not every kernel's uapi header defines it */
#define KVM_COALESCED_MMIO_MAX \
	((PAGE_SIZE - sizeof(struct kvm_coalesced_mmio_ring)) / sizeof(struct kvm_coalesced_mmio))
#endif

int coalesced_init(struct vm *vm);
void coalesced_destroy(struct vm *vm);
long vm_register_coalesced(void *self, void *arg, unsigned long uarg);
long vm_unregister_coalesced(void *self, void *arg, unsigned long uarg);
bool coalesced_store(struct vm *vm, bool pio, u64 addr, u32 len, const void *data);

/**
 * coalesced_write() - put a guest's write to a port or to MMIO into the ring
 * @vm: the VM
 * @pio: true for a port, false for MMIO
 * @addr: port or guest-physical address
 * @len: 1 to 8 bytes
 * @data: the bytes written
 *
 * Context: Process context. Does not sleep. Caller holds vm->srcu for reading.
 * Return: true if the write is in the ring; false if it needs an exit to user
 * space, because it is in no zone or the ring is full.
 */
static inline bool coalesced_write(struct vm *vm, bool pio, u64 addr, u32 len, const void *data)
{
	return !list_empty(&vm->coalesced.zones) && coalesced_store(vm, pio, addr, len, data);
}

#endif
