// SPDX-License-Identifier: GPL-2.0
/* KVM_IOEVENTFD: guest writes to a port or to MMIO that signal an eventfd instead of an exit to user space. */
#include <linux/eventfd.h>
#include <linux/hash.h>
#include <linux/rculist.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include "droste.h"
#include "io/bus.h"
#include "io/coalesced.h"
#include "io/ioeventfd.h"

#define DROSTE_MAX_IOEVENTFDS	1000

/* One binding of writes to an eventfd. Immutable once published. */
struct ioeventfd {
	struct hlist_node link;	/* in vm->ioeventfds.hash */
	struct ioeventfd *next;	/* the next one to free, see ioeventfd_release() */
	struct eventfd_ctx *ctx;
	u64 addr;		/* port or guest-physical address */
	u64 datamatch;		/* data of the write; valid if not @wildcard */
	u32 len;		/* length of the write; 0: any length and data */
	bool pio;		/* @addr is a port */
	bool wildcard;		/* any data matches */
};

static struct hlist_head *ioeventfd_bucket(struct ioeventfds *all, bool pio, u64 addr)
{
	return &all->hash[hash_64(addr + pio, ilog2(ARRAY_SIZE(all->hash)))];
}

/* Does a write to the address of the binding match it? */
static bool ioeventfd_matches(const struct ioeventfd *p, u32 len, u64 val)
{
	if (!p->len)
		return true;
	return p->len == len && (p->wildcard || p->datamatch == val);
}

/**
 * ioeventfds_init() - initialize the table of bindings
 * @vm: a new VM
 *
 * Context: Process context.
 */
void ioeventfds_init(struct vm *vm)
{
	mutex_init(&vm->ioeventfds.lock);
}

/**
 * ioeventfd_find() - find the bindings of an address
 * @vm: the VM
 * @pio: true for a port, false for MMIO
 * @addr: port or guest-physical address
 *
 * Context: Any. Caller holds vm->srcu for reading, and uses the binding no longer.
 * Return: the first of them, for ioeventfd_signal(); NULL if there is none.
 */
const struct ioeventfd *ioeventfd_find(struct vm *vm, bool pio, u64 addr)
{
	const struct ioeventfd *p;

	if (!READ_ONCE(vm->ioeventfds.nr))
		return NULL;
	hlist_for_each_entry_srcu(p, ioeventfd_bucket(&vm->ioeventfds, pio, addr), link,
				  srcu_read_lock_held(&vm->srcu)) {
		if (p->pio == pio && p->addr == addr)
			return p;
	}
	return NULL;
}

/**
 * ioeventfd_signal() - signal the eventfd that a guest's write is bound to
 * @first: from ioeventfd_find()
 * @len: 1 to 8 bytes
 * @data: the bytes written, and zeroes above them
 *
 * Context: Any, also with interrupts disabled, but not on a PREEMPT_RT kernel. Caller holds vm->srcu for reading.
 * Return: false if the bindings of the address want another length or other data.
 */
bool ioeventfd_signal(const struct ioeventfd *first, u32 len, u64 data)
{
	const struct ioeventfd *p = first;

	while (p->addr != first->addr || p->pio != first->pio || !ioeventfd_matches(p, len, data)) {
		p = hlist_entry_safe(rcu_dereference_raw(hlist_next_rcu(&p->link)), struct ioeventfd, link);
		if (!p)
			return false;
	}
	compat_eventfd_signal(p->ctx);
	return true;
}

/* Signal the eventfd that a guest's write is bound to. Caller holds vm->srcu for reading. */
static __always_inline enum io_result ioeventfd_write(struct vm *vm, bool pio, u64 addr, u32 len, u64 data)
{
	const struct ioeventfd *first = ioeventfd_find(vm, pio, addr);

	if (!first)
		return IO_ABSENT;
	return ioeventfd_signal(first, len, data) ? IO_DONE : IO_REFUSED;
}

/**
 * bus_write() - search for what takes a guest's write: an ioeventfd, or the ring of coalesced writes
 * @vcpu: the vCPU that writes
 * @pio: true for a port, false for MMIO
 * @addr: port or guest-physical address
 * @len: 1 to 8 bytes
 * @data: the bytes written, and zeroes above them
 * @coalesce: whether the ring may take it
 *
 * Callers use io_write().
 *
 * Context: Process context, thread of @vcpu. Does not sleep. Caller holds vm->srcu for reading.
 * Return: true if it was taken; false if it needs an exit to user space.
 */
bool bus_write(struct vcpu *vcpu, bool pio, u64 addr, u32 len, u64 data, bool coalesce)
{
	struct vm *vm = vcpu->vm;
	/* Read before the search: what changes meanwhile makes the result out of date. */
	u64 changed = atomic64_read_acquire(&vm->io_changed);
	enum io_result event, ring = IO_REFUSED;

	event = ioeventfd_write(vm, pio, addr, len, data);
	if (event == IO_DONE)
		return true;
	if (coalesce)
		ring = coalesced_write(vm, pio, addr, len, data);
	if (event == IO_ABSENT && ring == IO_ABSENT)
		vcpu->io_absent = (struct io_absent) { .changed = changed, .addr = addr, .len = len, .pio = pio };
	return ring == IO_DONE;
}

/* Could one write match both bindings? */
static bool ioeventfd_collides(const struct ioeventfd *a, const struct ioeventfd *b)
{
	if (a->pio != b->pio || a->addr != b->addr)
		return false;
	if (!a->len || !b->len)
		return true;
	return a->len == b->len && (a->wildcard || b->wildcard || a->datamatch == b->datamatch);
}

/* Check a request of user space, and fill @p except for its eventfd. Returns 0 or -EINVAL. */
static int ioeventfd_parse(struct ioeventfd *p, const struct kvm_ioeventfd *args)
{
	u32 flags = KVM_IOEVENTFD_FLAG_DATAMATCH | KVM_IOEVENTFD_FLAG_PIO | KVM_IOEVENTFD_FLAG_DEASSIGN;

	if (args->flags & ~flags)
		return -EINVAL;
	if (args->len > 8 || (args->len & (args->len - 1)))
		return -EINVAL;
	if (args->addr + args->len < args->addr)
		return -EINVAL;
	/* There is no value to compare if any length matches. */
	if (!args->len && (args->flags & KVM_IOEVENTFD_FLAG_DATAMATCH))
		return -EINVAL;
	p->addr = args->addr;
	p->len = args->len;
	p->pio = args->flags & KVM_IOEVENTFD_FLAG_PIO;
	p->wildcard = !(args->flags & KVM_IOEVENTFD_FLAG_DATAMATCH);
	p->datamatch = p->wildcard ? 0 : args->datamatch;
	return 0;
}

/* Caller holds vm->ioeventfds.lock. */
static int ioeventfd_assign(struct vm *vm, const struct ioeventfd *want)
{
	struct ioeventfds *all = &vm->ioeventfds;
	struct ioeventfd *p;

	/* Bindings that one write matches have the same address. */
	hlist_for_each_entry(p, ioeventfd_bucket(all, want->pio, want->addr), link) {
		if (ioeventfd_collides(p, want))
			return -EEXIST;
	}
	if (all->nr >= DROSTE_MAX_IOEVENTFDS)
		return -ENOSPC;
	p = kmemdup(want, sizeof(*want), GFP_KERNEL_ACCOUNT);
	if (!p)
		return -ENOMEM;
	hlist_add_head_rcu(&p->link, ioeventfd_bucket(all, p->pio, p->addr));
	WRITE_ONCE(all->nr, all->nr + 1);
	bus_note_changed(vm);
	return 0;
}

/* Caller holds vm->ioeventfds.lock. */
static int ioeventfd_deassign(struct vm *vm, const struct ioeventfd *want)
{
	struct ioeventfds *all = &vm->ioeventfds;
	struct ioeventfd *p;

	hlist_for_each_entry(p, ioeventfd_bucket(all, want->pio, want->addr), link) {
		if (p->ctx != want->ctx || p->pio != want->pio || p->addr != want->addr || p->len != want->len ||
		    p->wildcard != want->wildcard || p->datamatch != want->datamatch)
			continue;
		hlist_del_rcu(&p->link);
		WRITE_ONCE(all->nr, all->nr - 1);
		/* Before the wait: who still sees the old number is waited for. */
		bus_note_changed(vm);
		synchronize_srcu_expedited(&vm->srcu);
		eventfd_ctx_put(p->ctx);
		kfree(p);
		return 0;
	}
	return -ENOENT;
}

/**
 * ioeventfd_ioctl() - KVM_IOEVENTFD
 * @self: the VM
 * @arg: NULL
 * @uarg: user address of a struct kvm_ioeventfd
 *
 * Context: Process context. May sleep. Caller does not hold vm->lock.
 * Return: 0; -EINVAL for unknown flags, a bad length, an address that wraps,
 * data to match without a length, or a file that is not an eventfd; -EEXIST if
 * another binding matches the same writes; -ENOENT if there is no such binding
 * to remove; -ENOSPC for too many bindings; -EBADF; -EFAULT; -ENOMEM.
 */
long ioeventfd_ioctl(void *self, void *arg, unsigned long uarg)
{
	struct ioeventfd want = {};
	struct vm *vm = self;
	struct kvm_ioeventfd args;
	bool deassign;
	int err;

	if (copy_from_user(&args, (void __user *)uarg, sizeof(args)))
		return -EFAULT;
	err = ioeventfd_parse(&want, &args);
	if (err)
		return err;
	want.ctx = eventfd_ctx_fdget(args.fd);
	if (IS_ERR(want.ctx))
		return PTR_ERR(want.ctx);

	deassign = args.flags & KVM_IOEVENTFD_FLAG_DEASSIGN;
	mutex_lock(&vm->ioeventfds.lock);
	err = deassign ? ioeventfd_deassign(vm, &want) : ioeventfd_assign(vm, &want);
	mutex_unlock(&vm->ioeventfds.lock);

	/* A new binding keeps the reference to the eventfd. */
	if (deassign || err)
		eventfd_ctx_put(want.ctx);
	return err;
}

/**
 * ioeventfd_release() - remove all bindings of a VM
 * @vm: the VM, whose file descriptor is closed
 *
 * Context: Process context. May sleep.
 */
void ioeventfd_release(struct vm *vm)
{
	struct ioeventfds *all = &vm->ioeventfds;
	struct ioeventfd *p, *gone = NULL;
	struct hlist_node *n;
	int i;

	mutex_lock(&all->lock);
	for (i = 0; i < ARRAY_SIZE(all->hash); i++) {
		hlist_for_each_entry_safe(p, n, &all->hash[i], link) {
			hlist_del_rcu(&p->link);
			p->next = gone;
			gone = p;
		}
	}
	WRITE_ONCE(all->nr, 0);
	bus_note_changed(vm);
	mutex_unlock(&all->lock);
	synchronize_srcu(&vm->srcu);

	while (gone) {
		p = gone;
		gone = p->next;
		eventfd_ctx_put(p->ctx);
		kfree(p);
	}
}
