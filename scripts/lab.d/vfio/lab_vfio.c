// SPDX-License-Identifier: GPL-2.0
/*
 * A device of VFIO without hardware, in a group of its own: the lab's machine has no IOMMU, and Debian's kernels have no
 * VFIO without one. Nothing makes its DMA, of which there is none, snoop the caches, so VFIO says that it is not coherent.
 * It can do nothing else than be added to a VM.
 *
 * A write of a physical address to the parameter "claim" claims the page there, as the driver of a device does. The kernel
 * then takes it from all processes that have mapped it. A write of 0 gives it back.
 */
#include <linux/device.h>
#include <linux/ioport.h>
#include <linux/module.h>
#include <linux/vfio.h>

struct lab_vfio {
	struct vfio_device vdev;	/* the first member, as vfio_alloc_device() wants it */
};

static struct device *lab_vfio_root;
static struct lab_vfio *lab_vfio;

static int lab_vfio_init_device(struct vfio_device *vdev)
{
	return 0;
}

static void lab_vfio_release(struct vfio_device *vdev)
{
}

static int lab_vfio_open(struct vfio_device *vdev)
{
	return -ENODEV;
}

static const struct vfio_device_ops lab_vfio_ops = {
	.name = "lab_vfio",
	.init = lab_vfio_init_device,
	.release = lab_vfio_release,
	.open_device = lab_vfio_open,
};

static u64 lab_vfio_claimed;

static int lab_vfio_claim(const char *value, const struct kernel_param *kp)
{
	u64 at;
	int ret = kstrtoull(value, 0, &at);

	if (ret)
		return ret;
	if (lab_vfio_claimed)
		release_mem_region(lab_vfio_claimed, PAGE_SIZE);
	lab_vfio_claimed = 0;
	if (at && !request_mem_region(at, PAGE_SIZE, "lab_vfio"))
		return -EBUSY;
	lab_vfio_claimed = at;
	return 0;
}

static const struct kernel_param_ops claim_ops = { .set = lab_vfio_claim };
module_param_cb(claim, &claim_ops, NULL, 0200);

static int __init lab_vfio_init(void)
{
	int err;

	lab_vfio_root = root_device_register("lab_vfio");
	if (IS_ERR(lab_vfio_root))
		return PTR_ERR(lab_vfio_root);
	lab_vfio = vfio_alloc_device(lab_vfio, vdev, lab_vfio_root, &lab_vfio_ops);
	if (IS_ERR(lab_vfio)) {
		err = PTR_ERR(lab_vfio);
		goto err_root;
	}
	err = vfio_register_emulated_iommu_dev(&lab_vfio->vdev);
	if (err)
		goto err_device;
	return 0;

err_device:
	vfio_put_device(&lab_vfio->vdev);
err_root:
	root_device_unregister(lab_vfio_root);
	return err;
}

static void __exit lab_vfio_exit(void)
{
	if (lab_vfio_claimed)
		release_mem_region(lab_vfio_claimed, PAGE_SIZE);
	vfio_unregister_group_dev(&lab_vfio->vdev);
	vfio_put_device(&lab_vfio->vdev);
	root_device_unregister(lab_vfio_root);
}

module_init(lab_vfio_init);
module_exit(lab_vfio_exit);
MODULE_DESCRIPTION("A device of VFIO without hardware, for the lab");
MODULE_LICENSE("GPL");
