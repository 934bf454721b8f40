// SPDX-License-Identifier: GPL-2.0
/* KVM_IRQFD: eventfds that raise interrupts and, for level-triggered ones, report the guest's acknowledgement. */
#include <linux/eventfd.h>
#include <linux/file.h>
#include <linux/poll.h>
#include <linux/rculist.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/workqueue.h>
#include "droste.h"
#include "irqchip/impl.h"
#include "irqchip/irqchip.h"

/* A GSI shared by resampling irqfds. Its line stays up until the guest acknowledges the interrupt. */
struct irqfd_resampler {
	u32 gsi;
	struct list_head link;		/* in irqchip.resamplers */
	struct list_head irqfds;	/* written under fds_lock, read under vm->srcu */
};

/* A binding of an eventfd to a GSI. */
struct irqfd {
	struct vm *vm;
	u32 gsi;
	struct eventfd_ctx *ctx;	/* raises the interrupt */
	struct list_head list;		/* in irqchip.irqfds; empty once @shutdown is queued */
	wait_queue_entry_t wait;	/* in the eventfd's wait queue */
	poll_table pt;			/* used once, to add @wait */
	struct work_struct shutdown;

	struct irqfd_resampler *resampler;	/* NULL for a plain one */
	struct eventfd_ctx *resample_ctx;	/* signalled when the guest acknowledges */
	struct list_head resample_link;		/* in resampler->irqfds */
};

/* Raise the interrupt. Any context. */
static void irqfd_fire(struct irqfd *irqfd)
{
	if (irqfd->resampler) {
		irqchip_set_irq(irqfd->vm, IRQ_SOURCE_RESAMPLE, irqfd->gsi, 1);
		return;
	}
	irqchip_set_irq(irqfd->vm, IRQ_SOURCE_USER, irqfd->gsi, 1);
	irqchip_set_irq(irqfd->vm, IRQ_SOURCE_USER, irqfd->gsi, 0);
}

/* Remove an irqfd from the list and queue the work that frees it. Caller holds irqfds_lock. */
static void irqfd_deactivate(struct irqfd *irqfd)
{
	list_del_init(&irqfd->list);
	queue_work(irqfd->vm->irqchip.irqfd_wq, &irqfd->shutdown);
}

/* The eventfd was signalled or is being released. Called with its wait-queue lock held and interrupts disabled. */
static int irqfd_wakeup(wait_queue_entry_t *wait, unsigned int mode, int sync, void *key)
{
	struct irqfd *irqfd = container_of(wait, struct irqfd, wait);
	struct irqchip *chip = &irqfd->vm->irqchip;
	__poll_t events = key_to_poll(key);
	unsigned long flags;
	u64 count;

	if (events & EPOLLIN) {
		/* Reset the count, so that the eventfd never overflows. */
		eventfd_ctx_do_read(irqfd->ctx, &count);
		irqfd_fire(irqfd);
	}
	if (events & EPOLLHUP) {
		spin_lock_irqsave(&chip->irqfds_lock, flags);
		/* KVM_IRQFD may have deassigned it already. */
		if (!list_empty(&irqfd->list))
			irqfd_deactivate(irqfd);
		spin_unlock_irqrestore(&chip->irqfds_lock, flags);
	}
	return events & EPOLLIN ? 1 : 0;
}

static void irqfd_queue_proc(struct file *file, wait_queue_head_t *wqh, poll_table *pt)
{
	struct irqfd *irqfd = container_of(pt, struct irqfd, pt);

	add_wait_queue_priority(wqh, &irqfd->wait);
}

/* Leave the GSI's resampler; the last irqfd to leave lowers the line. */
static void irqfd_leave_resampler(struct irqfd *irqfd)
{
	struct irqfd_resampler *rs = irqfd->resampler;
	struct vm *vm = irqfd->vm;
	bool last;

	mutex_lock(&vm->irqchip.fds_lock);
	list_del_rcu(&irqfd->resample_link);
	last = list_empty(&rs->irqfds);
	if (last)
		list_del_rcu(&rs->link);
	mutex_unlock(&vm->irqchip.fds_lock);

	synchronize_srcu(&vm->srcu);
	if (last) {
		irqchip_set_irq(vm, IRQ_SOURCE_RESAMPLE, rs->gsi, 0);
		kfree(rs);
	}
	eventfd_ctx_put(irqfd->resample_ctx);
}

/* Work that frees an irqfd. */
static void irqfd_shutdown(struct work_struct *work)
{
	struct irqfd *irqfd = container_of(work, struct irqfd, shutdown);
	u64 count;

	/* Waits for a running callback; no other one starts. */
	eventfd_ctx_remove_wait_queue(irqfd->ctx, &irqfd->wait, &count);
	if (irqfd->resampler)
		irqfd_leave_resampler(irqfd);
	eventfd_ctx_put(irqfd->ctx);
	kfree(irqfd);
}

/**
 * irqfd_acked() - the guest acknowledged an interrupt, or unmasked a pin whose line is up
 * @vm: the VM
 * @gsi: the GSI
 *
 * Lowers the line of the GSI's resampling irqfds and signals their resample
 * eventfds, so that a device that still wants service raises it again.
 *
 * Context: Process context. Caller holds vm->srcu for reading.
 */
void irqfd_acked(struct vm *vm, u32 gsi)
{
	struct irqfd_resampler *rs;
	struct irqfd *irqfd;

	list_for_each_entry_srcu(rs, &vm->irqchip.resamplers, link, srcu_read_lock_held(&vm->srcu)) {
		if (rs->gsi != gsi)
			continue;
		irqchip_set_irq(vm, IRQ_SOURCE_RESAMPLE, gsi, 0);
		list_for_each_entry_srcu(irqfd, &rs->irqfds, resample_link, srcu_read_lock_held(&vm->srcu))
			compat_eventfd_signal(irqfd->resample_ctx);
	}
}

/* Join the GSI's resampler, creating it if there is none. Caller holds fds_lock. */
static int irqfd_join_resampler(struct irqfd *irqfd, int fd)
{
	struct irqchip *chip = &irqfd->vm->irqchip;
	struct irqfd_resampler *rs;

	irqfd->resample_ctx = eventfd_ctx_fdget(fd);
	if (IS_ERR(irqfd->resample_ctx))
		return PTR_ERR(irqfd->resample_ctx);

	list_for_each_entry(rs, &chip->resamplers, link) {
		if (rs->gsi == irqfd->gsi)
			goto join;
	}
	rs = kzalloc(sizeof(*rs), GFP_KERNEL_ACCOUNT);
	if (!rs) {
		eventfd_ctx_put(irqfd->resample_ctx);
		return -ENOMEM;
	}
	rs->gsi = irqfd->gsi;
	INIT_LIST_HEAD(&rs->irqfds);
	list_add_rcu(&rs->link, &chip->resamplers);
join:
	list_add_rcu(&irqfd->resample_link, &rs->irqfds);
	irqfd->resampler = rs;
	return 0;
}

/* Add an irqfd to the list. Returns -EBUSY if its eventfd is bound already. Caller holds fds_lock. */
static int irqfd_activate(struct irqfd *irqfd)
{
	struct irqchip *chip = &irqfd->vm->irqchip;
	struct irqfd *other;
	int err = 0;

	spin_lock_irq(&chip->irqfds_lock);
	list_for_each_entry(other, &chip->irqfds, list) {
		if (other->ctx == irqfd->ctx)
			err = -EBUSY;
	}
	if (!err)
		list_add_tail(&irqfd->list, &chip->irqfds);
	spin_unlock_irq(&chip->irqfds_lock);
	return err;
}

/*
 * Bind the eventfd behind @file. Caller holds fds_lock, so that nobody
 * deassigns the irqfd before it is complete, and a reference to @file, so that
 * the eventfd is not released.
 */
static int irqfd_bind(struct vm *vm, struct file *file, const struct kvm_irqfd *args)
{
	struct irqfd *irqfd = kzalloc(sizeof(*irqfd), GFP_KERNEL_ACCOUNT);
	int err;

	if (!irqfd)
		return -ENOMEM;
	irqfd->vm = vm;
	irqfd->gsi = args->gsi;
	INIT_LIST_HEAD(&irqfd->list);
	INIT_WORK(&irqfd->shutdown, irqfd_shutdown);
	irqfd->ctx = eventfd_ctx_fileget(file);
	if (IS_ERR(irqfd->ctx)) {
		err = PTR_ERR(irqfd->ctx);
		goto err_free;
	}
	err = irqfd_activate(irqfd);
	if (err)
		goto err_put;
	if (args->flags & KVM_IRQFD_FLAG_RESAMPLE) {
		err = irqfd_join_resampler(irqfd, args->resamplefd);
		if (err)
			goto err_deactivate;
	}
	init_waitqueue_func_entry(&irqfd->wait, irqfd_wakeup);
	init_poll_funcptr(&irqfd->pt, irqfd_queue_proc);
	/* The eventfd may have been signalled before it was bound. */
	if (vfs_poll(file, &irqfd->pt) & EPOLLIN)
		irqfd_fire(irqfd);
	return 0;

err_deactivate:
	spin_lock_irq(&vm->irqchip.irqfds_lock);
	list_del(&irqfd->list);
	spin_unlock_irq(&vm->irqchip.irqfds_lock);
err_put:
	eventfd_ctx_put(irqfd->ctx);
err_free:
	kfree(irqfd);
	return err;
}

static int irqfd_assign(struct vm *vm, const struct kvm_irqfd *args)
{
	struct irqchip *chip = &vm->irqchip;
	struct file *file;
	int err;

	if (!irqchip_ready(vm))
		return -EAGAIN;
	/* Only an I/O APIC and PIC in the kernel can report acknowledgements. */
	if ((args->flags & KVM_IRQFD_FLAG_RESAMPLE) && !irqchip_whole(vm))
		return -EINVAL;
	file = eventfd_fget(args->fd);
	if (IS_ERR(file))
		return PTR_ERR(file);

	mutex_lock(&chip->fds_lock);
	if (!chip->irqfd_wq)
		chip->irqfd_wq = alloc_workqueue("droste-irqfd", 0, 0);
	err = chip->irqfd_wq ? irqfd_bind(vm, file, args) : -ENOMEM;
	mutex_unlock(&chip->fds_lock);
	fput(file);
	return err;
}

/* End all matching irqfds (@ctx NULL: all). When this returns none of them raises an interrupt. May sleep. */
static void irqfd_end(struct vm *vm, struct eventfd_ctx *ctx, u32 gsi)
{
	struct irqchip *chip = &vm->irqchip;
	struct workqueue_struct *wq;
	struct irqfd *irqfd, *next;

	mutex_lock(&chip->fds_lock);
	wq = chip->irqfd_wq;
	spin_lock_irq(&chip->irqfds_lock);
	list_for_each_entry_safe(irqfd, next, &chip->irqfds, list) {
		if (!ctx || (irqfd->ctx == ctx && irqfd->gsi == gsi))
			irqfd_deactivate(irqfd);
	}
	spin_unlock_irq(&chip->irqfds_lock);
	mutex_unlock(&chip->fds_lock);
	/* The workers take fds_lock. */
	if (wq)
		flush_workqueue(wq);
}

static int irqfd_deassign(struct vm *vm, const struct kvm_irqfd *args)
{
	struct eventfd_ctx *ctx = eventfd_ctx_fdget(args->fd);

	if (IS_ERR(ctx))
		return PTR_ERR(ctx);
	irqfd_end(vm, ctx, args->gsi);
	eventfd_ctx_put(ctx);
	return 0;
}

/**
 * irqfd_ioctl() - KVM_IRQFD
 * @vm: the VM
 * @arg: struct kvm_irqfd
 *
 * Context: Process context. May sleep. Takes fds_lock.
 * Return: 0; -EINVAL for unknown flags or a file that is not an eventfd,
 * -EBADF, -EBUSY if the eventfd is bound already, -EAGAIN without in-kernel
 * controllers, -EFAULT, -ENOMEM.
 */
long irqfd_ioctl(struct vm *vm, void __user *arg)
{
	struct kvm_irqfd args;

	if (copy_from_user(&args, arg, sizeof(args)))
		return -EFAULT;
	if (args.flags & ~(KVM_IRQFD_FLAG_DEASSIGN | KVM_IRQFD_FLAG_RESAMPLE))
		return -EINVAL;
	if (args.flags & KVM_IRQFD_FLAG_DEASSIGN)
		return irqfd_deassign(vm, &args);
	return irqfd_assign(vm, &args);
}

/**
 * irqfd_release() - end all irqfds
 * @vm: the VM; its file is being closed, so no irqfd can be added
 *
 * Context: Process context. May sleep.
 */
void irqfd_release(struct vm *vm)
{
	irqfd_end(vm, NULL, 0);
	if (vm->irqchip.irqfd_wq)
		destroy_workqueue(vm->irqchip.irqfd_wq);
	vm->irqchip.irqfd_wq = NULL;
}
