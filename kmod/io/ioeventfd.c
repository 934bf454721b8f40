// SPDX-License-Identifier: GPL-2.0
/* KVM_IOEVENTFD: guest writes to a port or an address that signal an eventfd instead of leaving to user space. */
#include <linux/eventfd.h>
#include <linux/rculist.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include "droste.h"
#include "io/ioeventfd.h"

#define DROSTE_MAX_IOEVENTFDS	1000

/* One binding. Immutable once published. */
struct ioeventfd {
	struct list_head link;	/* in vm->ioeventfds.list */
	struct eventfd_ctx *ctx;
	u64 addr;		/* port or guest-physical address */
	u64 datamatch;		/* valid without @wildcard */
	u32 len;		/* of the write; 0: any */
	bool pio;
	bool wildcard;		/* any data */
};

/* Does this write signal it? */
static bool ioeventfd_matches(const struct ioeventfd *p, bool pio, u64 addr, u32 len, u64 val)
{
	if (p->pio != pio || p->addr != addr)
		return false;
	if (!p->len)
		return true;
	return p->len == len && (p->wildcard || p->datamatch == val);
}

/**
 * ioeventfds_init() - no bindings yet
 * @vm: a new VM
 */
void ioeventfds_init(struct vm *vm)
{
	INIT_LIST_HEAD(&vm->ioeventfds.list);
	mutex_init(&vm->ioeventfds.lock);
}

/**
 * ioeventfd_write() - the guest writes to a port or to an address without memory
 * @vm: the machine; srcu held
 * @pio: a port
 * @addr: where
 * @len: 1 to 8 bytes
 * @data: what
 *
 * Return: true when an eventfd took it.
 */
bool ioeventfd_write(struct vm *vm, bool pio, u64 addr, u32 len, const void *data)
{
	struct ioeventfd *p;
	u64 val = 0;

	if (len > sizeof(val))
		return false;
	memcpy(&val, data, len);
	list_for_each_entry_srcu(p, &vm->ioeventfds.list, link, srcu_read_lock_held(&vm->srcu)) {
		if (ioeventfd_matches(p, pio, addr, len, val)) {
			compat_eventfd_signal(p->ctx);
			return true;
		}
	}
	return false;
}

/* Could one write mean both? */
static bool ioeventfd_collides(const struct ioeventfd *a, const struct ioeventfd *b)
{
	if (a->pio != b->pio || a->addr != b->addr)
		return false;
	if (!a->len || !b->len)
		return true;
	return a->len == b->len && (a->wildcard || b->wildcard || a->datamatch == b->datamatch);
}

/* Check what user space gave and fill @p but for its eventfd: 0 or -EINVAL. */
static int ioeventfd_parse(struct ioeventfd *p, const struct kvm_ioeventfd *args)
{
	u32 flags = KVM_IOEVENTFD_FLAG_DATAMATCH | KVM_IOEVENTFD_FLAG_PIO | KVM_IOEVENTFD_FLAG_DEASSIGN;

	if (args->flags & ~flags)
		return -EINVAL;
	if (args->len > 8 || (args->len & (args->len - 1)))
		return -EINVAL;
	if (args->addr + args->len < args->addr)
		return -EINVAL;
	/* Data of any length has no value to compare. */
	if (!args->len && (args->flags & KVM_IOEVENTFD_FLAG_DATAMATCH))
		return -EINVAL;
	p->addr = args->addr;
	p->len = args->len;
	p->pio = args->flags & KVM_IOEVENTFD_FLAG_PIO;
	p->wildcard = !(args->flags & KVM_IOEVENTFD_FLAG_DATAMATCH);
	p->datamatch = p->wildcard ? 0 : args->datamatch;
	return 0;
}

/* Caller holds @all->lock. */
static int ioeventfd_assign(struct ioeventfds *all, const struct ioeventfd *want)
{
	struct ioeventfd *p;

	list_for_each_entry(p, &all->list, link) {
		if (ioeventfd_collides(p, want))
			return -EEXIST;
	}
	if (all->nr >= DROSTE_MAX_IOEVENTFDS)
		return -ENOSPC;
	p = kmemdup(want, sizeof(*want), GFP_KERNEL_ACCOUNT);
	if (!p)
		return -ENOMEM;
	list_add_tail_rcu(&p->link, &all->list);
	all->nr++;
	return 0;
}

/* Caller holds vm->ioeventfds.lock. */
static int ioeventfd_deassign(struct vm *vm, const struct ioeventfd *want)
{
	struct ioeventfds *all = &vm->ioeventfds;
	struct ioeventfd *p;

	list_for_each_entry(p, &all->list, link) {
		if (p->ctx != want->ctx || p->pio != want->pio || p->addr != want->addr || p->len != want->len ||
		    p->wildcard != want->wildcard || p->datamatch != want->datamatch)
			continue;
		list_del_rcu(&p->link);
		all->nr--;
		synchronize_srcu_expedited(&vm->srcu);
		eventfd_ctx_put(p->ctx);
		kfree(p);
		return 0;
	}
	return -ENOENT;
}

/**
 * ioeventfd_ioctl() - KVM_IOEVENTFD
 * @self: the VM; caller does not hold vm->lock
 * @arg: NULL
 * @uarg: user address of a struct kvm_ioeventfd
 *
 * Return: 0; -EINVAL for unknown flags, a bad length, an address that wraps,
 * data to match without a length, a file that is no eventfd; -EEXIST for one
 * that collides, -ENOENT for one to deassign that is not there, -ENOSPC,
 * -EBADF, -EFAULT, -ENOMEM.
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
	err = deassign ? ioeventfd_deassign(vm, &want) : ioeventfd_assign(&vm->ioeventfds, &want);
	mutex_unlock(&vm->ioeventfds.lock);

	/* A new binding keeps the reference. */
	if (deassign || err)
		eventfd_ctx_put(want.ctx);
	return err;
}

/** ioeventfd_release() - end all of them */
void ioeventfd_release(struct vm *vm)
{
	struct list_head *head = &vm->ioeventfds.list, *pos, *next;

	mutex_lock(&vm->ioeventfds.lock);
	pos = head->next;
	/* Readers may stand on any of them and go on to the head: the links stay as they are. */
	INIT_LIST_HEAD_RCU(head);
	vm->ioeventfds.nr = 0;
	mutex_unlock(&vm->ioeventfds.lock);
	synchronize_srcu(&vm->srcu);

	for (; pos != head; pos = next) {
		struct ioeventfd *p = list_entry(pos, struct ioeventfd, link);

		next = pos->next;
		eventfd_ctx_put(p->ctx);
		kfree(p);
	}
}
