/* SPDX-License-Identifier: GPL-2.0 */
/* Types of I/O that struct vm contains: the ring of coalesced writes, and ioeventfds. */
#ifndef DROSTE_IO_TYPES_H
#define DROSTE_IO_TYPES_H

#include <linux/kvm.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/spinlock.h>
#include <linux/types.h>

/* Of a VM. */
struct coalesced {
	struct list_head zones;		/* written under vm->lock, readers: vm->srcu */
	unsigned int nr_zones;		/* vm->lock */
	spinlock_t lock;		/* who fills the ring */
	struct kvm_coalesced_mmio_ring *ring;	/* a page, shared with user space: hostile */
};

/* The ioeventfds of a VM. */
struct ioeventfds {
	struct list_head list;	/* written under @lock, readers: vm->srcu */
	struct mutex lock;
	int nr;			/* under @lock */
};

#endif
