/* SPDX-License-Identifier: GPL-2.0 */
/* Types of the interrupt controllers that struct vm contains. */
#ifndef DROSTE_IRQCHIP_TYPES_H
#define DROSTE_IRQCHIP_TYPES_H

#include <linux/kvm.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/spinlock.h>
#include <linux/types.h>

struct vlapic;
struct vioapic;
struct vpic;
struct vpit;
struct irq_routing;	/* defined in route.c; protected by vm->srcu */

/* A VM's interrupt controllers. Pointers are set once under vm->lock, by a release store, and never change. */
struct irqchip {
	struct vioapic *ioapic;		/* NULL if user space has the I/O APIC */
	struct vpic *pic;		/* NULL if @ioapic is; cannot change once a vCPU exists */
	struct vpit *pit;		/* NULL without KVM_CREATE_PIT2 */
	struct irq_routing __rcu *routing;	/* written under vm->lock, read under vm->srcu */
	struct mutex fds_lock;		/* serializes KVM_IRQFD ioctls */
	spinlock_t irqfds_lock;		/* protects @irqfds; nests in eventfds' wait-queue locks, interrupts disabled */
	struct list_head irqfds;
	struct workqueue_struct *irqfd_wq;	/* frees irqfds; created with the first irqfd, under fds_lock */
	struct list_head resamplers;	/* GSIs with resampling irqfds; written under fds_lock, read under vm->srcu */
	/* vCPUs have local APICs, by KVM_CREATE_IRQCHIP or KVM_CAP_SPLIT_IRQCHIP; set by a release store */
	bool created;
	u32 split_pins;			/* split irqchip: GSIs below this belong to user space; set before @created */
};

#endif
