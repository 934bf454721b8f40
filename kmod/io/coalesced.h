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
enum io_result coalesced_write(struct vm *vm, bool pio, u64 addr, u32 len, u64 data);

#endif
