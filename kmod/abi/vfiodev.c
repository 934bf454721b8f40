// SPDX-License-Identifier: GPL-2.0
/*
 * KVM_CREATE_DEVICE: the device for VFIO, through which user space tells which devices are passed to the guest, and
 * whether their DMA is coherent with the processors' caches.
 */
#include <linux/anon_inodes.h>
#include <linux/file.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/vfio.h>
#include "droste.h"
#include "abi/dev.h"
#include "ept/ept.h"
#include "vmx/vmx.h"

/* A file of VFIO that was added: a group or a device. */
struct vfiodev_file {
	struct list_head node;
	struct file *file;	/* a reference */
};

/* The device for VFIO. Each VM has one at most. */
struct vfiodev {
	struct vm *vm;		/* a reference */
	struct mutex lock;	/* protects @files, and writes to vm->noncoherent */
	struct list_head files;
};

/* --- VFIO's functions, which are there only if its module is loaded --- */

static bool vfiodev_file_is_vfio(struct file *file)
{
	typeof(&compat_vfio_file_is_valid) fn = symbol_get(compat_vfio_file_is_valid);
	bool ret;

	if (!fn)
		return false;
	ret = fn(file);
	symbol_put(compat_vfio_file_is_valid);
	return ret;
}

/* Does the IOMMU make all DMA of these devices snoop the caches? */
static bool vfiodev_file_is_coherent(struct file *file)
{
	typeof(&vfio_file_enforced_coherent) fn = symbol_get(vfio_file_enforced_coherent);
	bool ret;

	if (!fn)
		return false;
	ret = fn(file);
	symbol_put(vfio_file_enforced_coherent);
	return ret;
}

/*
 * Ask about all files again: a file that joins an IOMMU's domain may change
 * the answer for others. Caller holds d->lock.
 */
static bool vfiodev_is_noncoherent(struct vfiodev *d)
{
	struct vfiodev_file *f;
	bool noncoherent = false;

	list_for_each_entry(f, &d->files, node)
		noncoherent |= !vfiodev_file_is_coherent(f->file);
	return noncoherent;
}

/*
 * A device whose DMA passes the caches by needs guests that flush them, and
 * that map memory uncached. Caller holds d->lock.
 */
static void vfiodev_update_coherency(struct vfiodev *d)
{
	bool noncoherent = vfiodev_is_noncoherent(d);

	if (noncoherent == d->vm->noncoherent)
		return;
	WRITE_ONCE(d->vm->noncoherent, noncoherent);
	ept01_zap_all(d->vm);	/* leaves with the other memory type */
}

static void vfiodev_drop_file(struct vfiodev_file *f)
{
	list_del(&f->node);
	fput(f->file);
	kfree(f);
}

static struct vfiodev_file *vfiodev_find_file(struct vfiodev *d, const struct file *file)
{
	struct vfiodev_file *f;

	list_for_each_entry(f, &d->files, node)
		if (f->file == file)
			return f;
	return NULL;
}

static int vfiodev_add_file(struct vfiodev *d, struct file *file)
{
	struct vfiodev_file *f;

	if (!vfiodev_file_is_vfio(file))
		return -EINVAL;
	if (vfiodev_find_file(d, file))
		return -EEXIST;
	f = kzalloc(sizeof(*f), GFP_KERNEL_ACCOUNT);
	if (!f)
		return -ENOMEM;
	f->file = get_file(file);
	list_add_tail(&f->node, &d->files);
	/* WBINVD without an exit writes back the caches of one CPU, while the guest's data may be in another's. */
	if (!vmx_features.wbinvd && vfiodev_is_noncoherent(d)) {
		vfiodev_drop_file(f);
		return -EOPNOTSUPP;
	}
	vfiodev_update_coherency(d);
	return 0;
}

static int vfiodev_del_file(struct vfiodev *d, const struct file *file)
{
	struct vfiodev_file *f = vfiodev_find_file(d, file);

	if (!f)
		return -ENOENT;
	vfiodev_drop_file(f);
	vfiodev_update_coherency(d);
	return 0;
}

/* --- attributes --- */

static bool vfiodev_knows(const struct kvm_device_attr *attr)
{
	return attr->group == KVM_DEV_VFIO_GROUP &&
	       (attr->attr == KVM_DEV_VFIO_GROUP_ADD || attr->attr == KVM_DEV_VFIO_GROUP_DEL);
}

static long vfiodev_has_attr(void *self, void *arg, unsigned long uarg)
{
	return vfiodev_knows(arg) ? 0 : -ENXIO;
}

/* There is no attribute that can be read. */
static long vfiodev_get_attr(void *self, void *arg, unsigned long uarg)
{
	return -EPERM;
}

static long vfiodev_set_attr(void *self, void *arg, unsigned long uarg)
{
	const struct kvm_device_attr *attr = arg;
	struct vfiodev *d = self;
	struct file *file;
	long ret;
	s32 fd;

	if (!vfiodev_knows(attr))
		return -ENXIO;
	if (get_user(fd, (s32 __user *)u64_to_user_ptr(attr->addr)))
		return -EFAULT;
	file = fget(fd);
	if (!file)
		return -EBADF;
	mutex_lock(&d->lock);
	ret = attr->attr == KVM_DEV_VFIO_GROUP_ADD ? vfiodev_add_file(d, file) : vfiodev_del_file(d, file);
	mutex_unlock(&d->lock);
	fput(file);
	return ret;
}

static const struct ioctl_row vfiodev_rows[] = {
	IO_ROW(KVM_HAS_DEVICE_ATTR, vfiodev_has_attr, 0),
	IO_ROW(KVM_GET_DEVICE_ATTR, vfiodev_get_attr, 0),
	IO_ROW(KVM_SET_DEVICE_ATTR, vfiodev_set_attr, 0),
};

static const struct ioctl_table vfiodev_ioctls = { vfiodev_rows, ARRAY_SIZE(vfiodev_rows) };

static long vfiodev_ioctl(struct file *file, unsigned int cmd, unsigned long uarg)
{
	struct vfiodev *d = file->private_data;
	const struct ioctl_row *row = ioctl_find(&vfiodev_ioctls, cmd);

	if (d->vm->mm != current->mm || READ_ONCE(d->vm->dead))
		return -EIO;
	return row ? ioctl_call(row, d, uarg) : -ENOTTY;
}

/* --- life --- */

static void vfiodev_free(struct vfiodev *d)
{
	struct vfiodev_file *f, *next;

	mutex_lock(&d->lock);
	list_for_each_entry_safe(f, next, &d->files, node)
		vfiodev_drop_file(f);
	vfiodev_update_coherency(d);
	mutex_unlock(&d->lock);
	mutex_destroy(&d->lock);
	kfree(d);
}

static int vfiodev_release(struct inode *inode, struct file *file)
{
	struct vfiodev *d = file->private_data;
	struct vm *vm = d->vm;

	vfiodev_free(d);
	/* Another one may be created now, but not before. */
	mutex_lock(&vm->lock);
	vm->has_vfio = false;
	mutex_unlock(&vm->lock);
	vm_put(vm);
	return 0;
}

static const struct file_operations vfiodev_fops = {
	.owner = THIS_MODULE,
	.unlocked_ioctl = vfiodev_ioctl,
	.release = vfiodev_release,
	.llseek = noop_llseek,
};

static struct file *vfiodev_create(struct vm *vm)
{
	struct vfiodev *d = kzalloc(sizeof(*d), GFP_KERNEL_ACCOUNT);
	struct file *file;

	if (!d)
		return ERR_PTR(-ENOMEM);
	d->vm = vm;
	mutex_init(&d->lock);
	INIT_LIST_HEAD(&d->files);
	file = anon_inode_getfile("droste-vfio", &vfiodev_fops, d, O_RDWR);
	if (IS_ERR(file)) {
		vfiodev_free(d);
		return file;
	}
	vm_get(vm);
	vm->has_vfio = true;
	return file;
}

/**
 * vm_create_device() - KVM_CREATE_DEVICE
 * @self: the VM
 * @arg: NULL
 * @uarg: address of struct kvm_create_device, whose @fd is filled unless KVM_CREATE_DEVICE_TEST is set
 *
 * Context: Process context, may sleep. Caller holds vm->lock.
 * Return: 0; -ENODEV for another type than VFIO's; -EINVAL for unknown flags;
 * -EBUSY if the VM has one already; -EFAULT, -EMFILE, -ENFILE, -ENOMEM.
 */
long vm_create_device(void *self, void *arg, unsigned long uarg)
{
	struct kvm_create_device __user *user = (void __user *)uarg;
	struct kvm_create_device create;
	struct vm *vm = self;
	struct file *file;
	int fd;

	if (copy_from_user(&create, user, sizeof(create)))
		return -EFAULT;
	if (create.type != KVM_DEV_TYPE_VFIO)
		return -ENODEV;
	if (create.flags & ~KVM_CREATE_DEVICE_TEST)
		return -EINVAL;
	if (create.flags & KVM_CREATE_DEVICE_TEST)
		return 0;
	if (vm->has_vfio)
		return -EBUSY;
	fd = get_unused_fd_flags(O_CLOEXEC);
	if (fd < 0)
		return fd;
	if (put_user(fd, &user->fd)) {
		put_unused_fd(fd);
		return -EFAULT;
	}
	file = vfiodev_create(vm);
	if (IS_ERR(file)) {
		put_unused_fd(fd);
		return PTR_ERR(file);
	}
	fd_install(fd, file);
	return 0;
}
