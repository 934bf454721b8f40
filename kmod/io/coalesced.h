/* SPDX-License-Identifier: GPL-2.0 */
/* Writes of guests that user space takes from a ring, later and many at once. */
#ifndef DROSTE_COALESCED_H
#define DROSTE_COALESCED_H

#include "io/types.h"

struct vm;

#ifndef KVM_COALESCED_MMIO_MAX	/* user space's headers leave it to KVM */
#define KVM_COALESCED_MMIO_MAX \
	((PAGE_SIZE - sizeof(struct kvm_coalesced_mmio_ring)) / sizeof(struct kvm_coalesced_mmio))
#endif

int coalesced_init(struct vm *vm);	/* 0 or -ENOMEM */
void coalesced_destroy(struct vm *vm);
long vm_register_coalesced(void *self, void *arg, unsigned long uarg);
long vm_unregister_coalesced(void *self, void *arg, unsigned long uarg);
bool coalesced_write(struct vm *vm, bool pio, u64 addr, u32 len, const void *data);

#endif
