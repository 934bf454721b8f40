// SPDX-License-Identifier: GPL-2.0
/* /dev/droste, and /dev/kvm on request: dispatch through ioctl tables, the list of capabilities, and the device's ioctls. */
#include <linux/cpumask.h>
#include <linux/droste.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include "droste.h"
#include "abi/dev.h"
#include "abi/state.h"
#include "cpu/cpuid.h"
#include "cpu/fpu.h"
#include "cpu/msr.h"
#include "cpu/pool.h"
#include "ept/ept.h"
#include "irqchip/irqchip.h"
#include "mem/dirty.h"
#include "nested/nested.h"
#include "pv/features.h"
#include "vmx/vmx.h"

/* --- tables --- */

/**
 * ioctl_find() - look up an ioctl
 * @table: the ioctls of one kind of file descriptor
 * @cmd: the ioctl's whole number
 *
 * Context: Any context.
 * Return: the row, NULL if there is none.
 */
const struct ioctl_row *ioctl_find(const struct ioctl_table *table, unsigned int cmd)
{
	int i;

	for (i = 0; i < table->n; i++)
		if (table->rows[i].cmd == cmd)
			return &table->rows[i];
	return NULL;
}

/**
 * dev_check_table() - verify a table at load
 * @table: the table
 *
 * Each row needs a handler, and each number may have one row only.
 *
 * Context: Process context.
 * Return: 0; -EINVAL, after one line in the log.
 */
static int dev_check_table(const struct ioctl_table *table)
{
	int i;

	for (i = 0; i < table->n; i++) {
		const struct ioctl_row *row = &table->rows[i];

		if (!row->fn || ioctl_find(table, row->cmd) != row) {
			pr_err("droste: ioctl %#x is wrong in its table\n", row->cmd);
			return -EINVAL;
		}
	}
	return 0;
}

#define ON_STACK	512

/*
 * Call the handler with a kernel copy of the argument. Not inlined, because the
 * kernel's compiler clears the frame, and KVM_RUN needs no copy.
 */
static noinline long dev_call_with_copy(const struct ioctl_row *row, void *self, unsigned long uarg)
{
	u64 small[ON_STACK / sizeof(u64)];
	unsigned int size = _IOC_SIZE(row->cmd), dir = _IOC_DIR(row->cmd);
	void __user *user = (void __user *)uarg;
	void *arg = small;
	long ret;

	if (size > sizeof(small)) {
		arg = kmalloc(size, GFP_KERNEL_ACCOUNT);
		if (!arg)
			return -ENOMEM;
	}
	ret = -EFAULT;
	/* Members that a handler leaves out must not show kernel memory. */
	if (!(dir & _IOC_WRITE))
		memset(arg, 0, size);
	else if (copy_from_user(arg, user, size))
		goto out;
	ret = row->fn(self, arg, uarg);
	if (ret >= 0 && (dir & _IOC_READ) && copy_to_user(user, arg, size))
		ret = -EFAULT;
out:
	if (arg != small)
		kfree(arg);
	return ret;
}

/**
 * ioctl_call() - call an ioctl's handler
 * @row: the ioctl
 * @self: the object behind the file descriptor
 * @uarg: the ioctl's argument
 *
 * Unless the row has IO_RAW, the handler works on a kernel copy of the argument
 * structure. The command's number gives its size and the direction of copying.
 *
 * Context: Process context, may sleep. Caller holds the locks that the row's flags name.
 * Return: as the handler; -EFAULT or -ENOMEM if the argument cannot be copied.
 */
long ioctl_call(const struct ioctl_row *row, void *self, unsigned long uarg)
{
	if ((row->flags & IO_RAW) || _IOC_DIR(row->cmd) == _IOC_NONE)
		return row->fn(self, NULL, uarg);
	return dev_call_with_copy(row, self, uarg);
}

/* --- capabilities --- */

/* A capability that does not depend on the host; those without a row are 0. */
struct cap_row {
	u32 cap;	/* KVM_CAP_* */
	int value;	/* the answer of KVM_CHECK_EXTENSION */
};

static const struct cap_row caps[] = {
	{ KVM_CAP_DEVICE_CTRL, 1 },
	{ KVM_CAP_IRQCHIP, 1 },
	{ KVM_CAP_HLT, 1 },
	{ KVM_CAP_USER_MEMORY, 1 },
	{ KVM_CAP_SET_TSS_ADDR, 1 },
	{ KVM_CAP_MMU_SHADOW_CACHE_CONTROL, 1 },
	{ KVM_CAP_EXT_CPUID, 1 },
	{ KVM_CAP_EXT_EMUL_CPUID, 1 },
	{ KVM_CAP_NR_MEMSLOTS, DROSTE_MAX_SLOTS },
	{ KVM_CAP_PIT, 1 },
	{ KVM_CAP_MP_STATE, 1 },
	{ KVM_CAP_SYNC_MMU, 1 },
	{ KVM_CAP_DESTROY_MEMORY_REGION_WORKS, 1 },
	{ KVM_CAP_USER_NMI, 1 },
	{ KVM_CAP_SET_GUEST_DEBUG, 1 },
	{ KVM_CAP_SET_GUEST_DEBUG2, GUEST_DEBUG_FLAGS },
	{ KVM_CAP_REINJECT_CONTROL, 1 },
	{ KVM_CAP_IRQ_ROUTING, DROSTE_NR_GSIS },
	{ KVM_CAP_COALESCED_MMIO, KVM_COALESCED_MMIO_PAGE_OFFSET },
	{ KVM_CAP_COALESCED_PIO, 1 },
	{ KVM_CAP_IRQ_INJECT_STATUS, 1 },
	{ KVM_CAP_JOIN_MEMORY_REGIONS_WORKS, 1 },
	{ KVM_CAP_MCE, MAX_MC_BANKS },
	{ KVM_CAP_IRQFD, 1 },
	{ KVM_CAP_PIT2, 1 },
	{ KVM_CAP_SET_BOOT_CPU_ID, 1 },
	{ KVM_CAP_PIT_STATE2, 1 },
	{ KVM_CAP_IOEVENTFD, 1 },
	{ KVM_CAP_SET_IDENTITY_MAP_ADDR, 1 },
	{ KVM_CAP_ADJUST_CLOCK, KVM_CLOCK_REALTIME | KVM_CLOCK_HOST_TSC },
	{ KVM_CAP_INTERNAL_ERROR_DATA, 1 },
	{ KVM_CAP_VCPU_EVENTS, 1 },
	{ KVM_CAP_INTR_SHADOW, 1 },
	{ KVM_CAP_DEBUGREGS, 1 },
	{ KVM_CAP_X86_ROBUST_SINGLESTEP, 1 },
	{ KVM_CAP_XSAVE, 1 },
	{ KVM_CAP_GET_TSC_KHZ, 1 },
	{ KVM_CAP_VCPU_ATTRIBUTES, 1 },
	{ KVM_CAP_MAX_VCPUS, DROSTE_MAX_VCPUS },
	{ KVM_CAP_MAX_VCPU_ID, DROSTE_MAX_VCPU_ID },
	{ KVM_CAP_VM_DISABLE_NX_HUGE_PAGES, 1 },
	{ KVM_CAP_TSC_DEADLINE_TIMER, 1 },
	{ KVM_CAP_KVMCLOCK_CTRL, 1 },
	{ KVM_CAP_SIGNAL_MSI, 1 },
	{ KVM_CAP_IRQFD_RESAMPLE, 1 },
	{ KVM_CAP_READONLY_MEM, 1 },
	{ KVM_CAP_ENABLE_CAP_VM, 1 },
	{ KVM_CAP_CHECK_EXTENSION_VM, 1 },
	{ KVM_CAP_IOEVENTFD_ANY_LENGTH, 1 },
	{ KVM_CAP_IOEVENTFD_NO_LENGTH, 1 },
	{ KVM_CAP_SPLIT_IRQCHIP, 1 },
	{ KVM_CAP_IMMEDIATE_EXIT, 1 },
	{ KVM_CAP_GET_MSR_FEATURES, 1 },
	{ KVM_CAP_SYNC_REGS, KVM_SYNC_X86_VALID_FIELDS },
	{ KVM_CAP_NESTED_STATE, NESTED_STATE_SIZE },
	{ KVM_CAP_EXCEPTION_PAYLOAD, 1 },
	{ KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2, MANUAL_DIRTY_LOG },
	{ KVM_CAP_DIRTY_LOG_RING, DIRTY_RING_MAX_BYTES },
	{ KVM_CAP_DIRTY_LOG_RING_ACQ_REL, DIRTY_RING_MAX_BYTES },
	{ KVM_CAP_X86_TRIPLE_FAULT_EVENT, 1 },
	{ KVM_CAP_STEAL_TIME, STEAL_TIME_WORKS },
	{ KVM_CAP_X86_USER_SPACE_MSR, 1 },
	{ KVM_CAP_X86_MSR_FILTER, 1 },
	{ KVM_CAP_BINARY_STATS_FD, 1 },
	{ KVM_CAP_HALT_POLL, 1 },
	{ KVM_CAP_X86_DISABLE_EXITS, KVM_X86_DISABLE_EXITS_PAUSE },
	{ KVM_CAP_SREGS2, 1 },
	{ KVM_CAP_DISABLE_QUIRKS, 1 },
	{ KVM_CAP_MSR_PLATFORM_INFO, 1 },
	{ KVM_CAP_EXIT_ON_EMULATION_FAILURE, 1 },
	{ KVM_CAP_ENFORCE_PV_FEATURE_CPUID, 1 },
	{ KVM_CAP_SYS_ATTRIBUTES, 1 },
	{ KVM_CAP_XSAVE2, sizeof(struct kvm_xsave) },
	{ KVM_CAP_X2APIC_API, X2APIC_API_FLAGS },
#ifdef KVM_CAP_X86_APIC_BUS_CYCLES_NS	/* since 6.11 */
	{ KVM_CAP_X86_APIC_BUS_CYCLES_NS, DROSTE_APIC_BUS_NS },
#endif
#ifdef KVM_CAP_PRE_FAULT_MEMORY
	{ KVM_CAP_PRE_FAULT_MEMORY, 1 },
#endif
#ifdef KVM_CAP_USER_MEMORY2
	{ KVM_CAP_USER_MEMORY2, 1 },
#endif
};

/* The XSAVE components that guests can have. */
static u64 dev_xcr0(const struct pool *pool)
{
	return fpu_supported_xcr0() & pool_most(pool)->xcr0;
}

/**
 * dev_check_extension() - KVM_CHECK_EXTENSION of the device and of a VM
 * @pool: the pool of the device or the VM; NULL if there is none
 * @cap: KVM_CAP_*
 *
 * Context: Process context.
 * Return: the capability's value, 0 if it is not supported.
 */
long dev_check_extension(const struct pool *pool, unsigned long cap)
{
	int i;

	/* The capabilities that depend on the host have no row. */
	if (cap == KVM_CAP_NR_VCPUS)
		return min_t(int, num_online_cpus(), DROSTE_MAX_VCPUS);
	if (cap == KVM_CAP_DISABLE_QUIRKS2)
		return DROSTE_QUIRKS;
	if (cap == KVM_CAP_XCRS)
		return dev_xcr0(pool) != 0;
	if (cap == KVM_CAP_TSC_CONTROL || cap == KVM_CAP_VM_TSC_CONTROL)
		return vmx_features.tsc_scaling && (!pool || pool->p.flags & DROSTE_POOL_TSC_SCALING);
	for (i = 0; i < ARRAY_SIZE(caps); i++)
		if (caps[i].cap == cap)
			return caps[i].value;
	return 0;
}

/* --- the device's ioctls --- */

static long dev_get_api_version(void *self, void *arg, unsigned long uarg)
{
	return uarg ? -EINVAL : KVM_API_VERSION;
}

static long dev_create_vm(void *self, void *arg, unsigned long uarg)
{
	return uarg ? -EINVAL : vm_create_fd();
}

static long dev_ioctl_check_extension(void *self, void *arg, unsigned long uarg)
{
	struct pool *pool = pool_get();
	long ret = dev_check_extension(pool, uarg);

	pool_put(pool);
	return ret;
}

static long dev_get_mmap_size(void *self, void *arg, unsigned long uarg)
{
	return uarg ? -EINVAL : VCPU_MMAP_PAGES * PAGE_SIZE;
}

static long dev_get_supported_cpuid(void *self, void *arg, unsigned long uarg)
{
	return cpuid_get_supported((void __user *)uarg);
}

static long dev_get_emulated_cpuid(void *self, void *arg, unsigned long uarg)
{
	return cpuid_get_emulated((void __user *)uarg);
}

static long dev_get_msr_index_list(void *self, void *arg, unsigned long uarg)
{
	return msr_index_list((void __user *)uarg);
}

static long dev_get_msr_feature_index_list(void *self, void *arg, unsigned long uarg)
{
	return msr_feature_index_list((void __user *)uarg);
}

static long dev_get_msr_features(void *self, void *arg, unsigned long uarg)
{
	return msr_get_features((void __user *)uarg);
}

static long dev_get_mce_cap(void *self, void *arg, unsigned long uarg)
{
	*(u64 *)arg = mce_supported_cap();
	return 0;
}

static long dev_has_attr(void *self, void *arg, unsigned long uarg)
{
	const struct kvm_device_attr *attr = arg;

	return attr->group == 0 && attr->attr == KVM_X86_XCOMP_GUEST_SUPP ? 0 : -ENXIO;
}

/* The XSAVE components that guests can have; none needs arch_prctl(ARCH_REQ_XCOMP_GUEST_PERM). */
static long dev_get_attr(void *self, void *arg, unsigned long uarg)
{
	const struct kvm_device_attr *attr = arg;
	struct pool *pool;
	u64 xcr0;

	if (dev_has_attr(self, arg, uarg))
		return -ENXIO;
	pool = pool_get();
	xcr0 = dev_xcr0(pool);
	pool_put(pool);
	return put_user(xcr0, (u64 __user *)u64_to_user_ptr(attr->addr));
}

static const struct ioctl_row dev_rows[] = {
	IO_ROW(KVM_GET_API_VERSION, dev_get_api_version, IO_RAW),
	IO_ROW(KVM_CREATE_VM, dev_create_vm, IO_RAW),
	IO_ROW(KVM_CHECK_EXTENSION, dev_ioctl_check_extension, IO_RAW),
	IO_ROW(KVM_GET_VCPU_MMAP_SIZE, dev_get_mmap_size, IO_RAW),
	IO_ROW(KVM_GET_SUPPORTED_CPUID, dev_get_supported_cpuid, IO_RAW),
	IO_ROW(KVM_GET_EMULATED_CPUID, dev_get_emulated_cpuid, IO_RAW),
	IO_ROW(KVM_GET_MSR_INDEX_LIST, dev_get_msr_index_list, IO_RAW),
	IO_ROW(KVM_GET_MSR_FEATURE_INDEX_LIST, dev_get_msr_feature_index_list, IO_RAW),
	IO_ROW(KVM_GET_MSRS, dev_get_msr_features, IO_RAW),
	IO_ROW(KVM_X86_GET_MCE_CAP_SUPPORTED, dev_get_mce_cap, 0),
	IO_ROW(KVM_HAS_DEVICE_ATTR, dev_has_attr, 0),
	IO_ROW(KVM_GET_DEVICE_ATTR, dev_get_attr, 0),
	IO_ROW(DROSTE_INSPECT, dev_inspect, 0),
	IO_ROW(DROSTE_SET_POOL, dev_set_pool, 0),
	IO_ROW(DROSTE_GET_POOL, dev_get_pool, 0),
};

static const struct ioctl_table dev_ioctls = { dev_rows, ARRAY_SIZE(dev_rows) };

static long dev_ioctl(struct file *file, unsigned int cmd, unsigned long uarg)
{
	const struct ioctl_row *row = ioctl_find(&dev_ioctls, cmd);

	return row ? ioctl_call(row, NULL, uarg) : -ENOTTY;
}

static const struct file_operations dev_fops = {
	.owner = THIS_MODULE,	/* an open descriptor holds the module */
	.unlocked_ioctl = dev_ioctl,
	.llseek = noop_llseek,
};

static struct miscdevice droste_device = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "droste",
	.fops = &dev_fops,
	.mode = 0600,
};

/* The same device under KVM's name and number, for programs that open only /dev/kvm. */
static struct miscdevice kvm_device = {
	.minor = KVM_MINOR,
	.name = "kvm",
	.fops = &dev_fops,
	.mode = 0600,
};

static bool kvm_node;
module_param(kvm_node, bool, 0444);
MODULE_PARM_DESC(kvm_node, "register the device as /dev/kvm, minor 232, too (default: no)");

static int dev_register(struct miscdevice *device)
{
	int ret = misc_register(device);

	if (ret == -EBUSY && device == &kvm_device)
		pr_err("droste: kvm_node=1: another module, such as kvm.ko, has minor %d of /dev/kvm\n", KVM_MINOR);
	else if (ret)
		pr_err("droste: cannot register /dev/%s: %d\n", device->name, ret);
	return ret;
}

/**
 * dev_init() - verify the ioctl tables and register /dev/droste
 *
 * With kvm_node=1 also registers /dev/kvm.
 *
 * Context: Process context, may sleep. Must be called last at load: user space
 * can create VMs from here on.
 * Return: 0; -EBUSY if kvm_node=1 and another module has KVM's minor; another
 * negative errno.
 */
int dev_init(void)
{
	int ret;

	if (dev_check_table(&dev_ioctls) || dev_check_table(&vm_ioctls) || dev_check_table(&vcpu_ioctls) ||
	    dev_check_table(&inspect_ioctls) || dev_check_table(&inspect_break_ioctls))
		return -EINVAL;
	/* /dev/kvm comes first: if its minor is taken, nobody has seen any device yet. */
	ret = kvm_node ? dev_register(&kvm_device) : 0;
	if (ret)
		return ret;
	ret = dev_register(&droste_device);
	if (ret && kvm_node)
		misc_deregister(&kvm_device);
	return ret;
}

/**
 * dev_exit() - remove /dev/droste, and /dev/kvm if dev_init() registered it
 *
 * Context: Process context, may sleep. No descriptor is open, because open ones hold the module.
 */
void dev_exit(void)
{
	misc_deregister(&droste_device);
	if (kvm_node)
		misc_deregister(&kvm_device);
	pool_replace(NULL);
}
