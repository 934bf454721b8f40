/* SPDX-License-Identifier: GPL-2.0 */
/* Types of I/O that struct vm and struct vcpu contain: the ring of coalesced writes, ioeventfds, and ports that are passed. */
#ifndef DROSTE_IO_TYPES_H
#define DROSTE_IO_TYPES_H

#include <linux/kvm.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/spinlock.h>
#include <linux/types.h>

struct coalesced_zones;

/* Coalesced MMIO and ports of a VM. */
struct coalesced {
	struct coalesced_zones __rcu *zones;	/* NULL: never any; written under vm->lock, read under vm->srcu */
	spinlock_t lock;		/* serializes writers of the ring */
	struct kvm_coalesced_mmio_ring *ring;	/* one page, shared with user space, which may write at any time */
};

/* An address to which no write is bound: see io_write(). Zeroes name no address. */
struct io_absent {
	u64 changed;	/* vm->io_changed for which it is so */
	u64 addr;	/* port or guest-physical address */
	u32 len;	/* length of the write */
	bool pio;	/* @addr is a port */
};

struct ioeventfd;

/* An address of MMIO to which ioeventfds are bound, and where neither memory nor an interrupt controller is. */
struct io_bound {
	u64 changed;	/* vm->io_changed and the generation of the slots for which it is so */
	u64 slots;
	u64 addr;	/* guest-physical address */
	const struct ioeventfd *first;	/* from ioeventfd_find(); NULL: the entry is not used */
};

#define IO_BOUND	4	/* entries; a power of two */

/* The form of an IN or OUT that was for user space, or signalled an ioeventfd: see io/pio.c. */
struct io_port_use {
	u64 key;	/* of the exit qualification and of what the access is for; zeroes name no access */
	u64 changed;	/* vm->io_changed for which it is so */
	const struct ioeventfd *first;	/* from ioeventfd_find(); NULL: it is for none */
} __aligned(32);			/* a power of two makes the index of an entry cheaper */

#define IO_PORT_USES	16	/* entries; a power of two */

/* What became of a write. */
enum io_result {
	IO_ABSENT,	/* nothing is bound to the address */
	IO_REFUSED,	/* something is, but does not take the write now: it needs an exit to user space */
	IO_DONE,	/* it was taken */
};

/*
 * The ports of a VM that its guests access without an exit: see io/ports.c. It never changes: another one takes its place.
 */
struct ports {
	u64 *bitmaps;	/* I/O bitmaps A and B, two pages (SDM 3C 25.6.4); a bit is 0 if the port is passed */
	u32 nr_words;
	u16 words[];	/* indexes of the words of @bitmaps with a bit that is 0 */
};

/* The ioeventfds of a VM, by address. */
struct ioeventfds {
	struct hlist_head hash[64];	/* written under @lock, read under vm->srcu */
	struct mutex lock;
	int nr;			/* number of entries; written under @lock, read by any thread */
};

#endif
