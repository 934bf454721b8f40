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
struct irq_routing;	/* route.c's own; RCU (srcu) protected */

/* A VM's controllers. Pointers are set once under vm->lock (release) and stay until the VM goes. */
struct irqchip {
	struct vioapic *ioapic;		/* NULL when user space has it */
	struct vpic *pic;		/* likewise; both or neither, and fixed once there is a vCPU */
	struct vpit *pit;		/* NULL without KVM_CREATE_PIT2 */
	struct irq_routing __rcu *routing;	/* written under vm->lock, read under vm->srcu */
	struct mutex fds_lock;		/* serializes KVM_IRQFD */
	spinlock_t irqfds_lock;		/* @irqfds; taken inside an eventfd's wait-queue lock, irqs off */
	struct list_head irqfds;
	struct workqueue_struct *irqfd_wq;	/* takes irqfds apart; made with the first, under fds_lock */
	struct list_head resamplers;	/* GSIs with resampling irqfds; written under fds_lock, readers: vm->srcu */
	bool created;			/* there are local APICs: KVM_CREATE_IRQCHIP, or KVM_CAP_SPLIT_IRQCHIP; release */
	u32 split_pins;			/* split: the GSIs below are pins of user space's I/O APIC; set before @created */
};

#endif
