/* SPDX-License-Identifier: GPL-2.0 */
/* Writes of guests that user space takes from a ring, later and many at once. */
#ifndef DROSTE_COALESCED_H
#define DROSTE_COALESCED_H

#include <linux/types.h>
#include <linux/kvm.h>
#include <linux/list.h>
#include <linux/spinlock.h>

struct vm;

#ifndef KVM_COALESCED_MMIO_MAX	/* user space's headers leave it to KVM */
#define KVM_COALESCED_MMIO_MAX \
	((PAGE_SIZE - sizeof(struct kvm_coalesced_mmio_ring)) / sizeof(struct kvm_coalesced_mmio))
#endif

/* Of a VM. */
struct coalesced {
	struct list_head zones;		/* written under vm->lock, readers: vm->srcu */
	unsigned int nr_zones;		/* vm->lock */
	spinlock_t lock;		/* who fills the ring */
	struct kvm_coalesced_mmio_ring *ring;	/* a page, shared with user space: hostile */
};

int coalesced_init(struct vm *vm);	/* 0 or -ENOMEM */
void coalesced_destroy(struct vm *vm);
bool coalesced_write(struct vm *vm, bool pio, u64 addr, u32 len, const void *data);

#endif
