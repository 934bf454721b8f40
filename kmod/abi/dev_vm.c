// SPDX-License-Identifier: GPL-2.0
/* A VM's file descriptor: creation and destruction of the VM, and its ioctls. */
#include <linux/anon_inodes.h>
#include <linux/droste.h>
#include <linux/ktime.h>
#include <linux/module.h>
#include <linux/overflow.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include "droste.h"
#include "abi/dev.h"
#include "abi/memory.h"
#include "cpu/msr.h"
#include "cpu/pool.h"
#include "cpu/tsc.h"
#include "ept/ept.h"
#include "io/coalesced.h"
#include "io/ioeventfd.h"
#include "io/ports.h"
#include "irqchip/irqchip.h"
#include "mem/memslot.h"
#include "pv/kvmclock.h"
#include "run/request.h"
#include "run/run.h"
#include "vmx/vmx.h"

#define DEFAULT_IDENTITY_MAP	0xfffbc000ULL
/* The flags that KVM_CAP_X86_DISABLE_EXITS accepts; KVM_CHECK_EXTENSION reports only those that have an effect. */
#define DISABLE_EXITS_KNOWN	(KVM_X86_DISABLE_EXITS_MWAIT | KVM_X86_DISABLE_EXITS_HLT | \
				 KVM_X86_DISABLE_EXITS_PAUSE | KVM_X86_DISABLE_EXITS_CSTATE)
/* The flags that KVM_CAP_X86_USER_SPACE_MSR accepts. */
#define USER_MSR_REASONS	(KVM_MSR_EXIT_REASON_INVAL | KVM_MSR_EXIT_REASON_UNKNOWN | \
				 KVM_MSR_EXIT_REASON_FILTER)

/* --- life --- */

/* All VMs, by their numbers. */
static LIST_HEAD(all_vms);
static DEFINE_MUTEX(all_vms_lock);

/* Number the VM, and note who made it. */
static void vm_enlist(struct vm *vm)
{
	static u32 numbers;	/* the number of VMs created so far */

	vm->owner = get_pid(task_tgid(current));
	get_task_comm(vm->owner_name, current->group_leader);
	mutex_lock(&all_vms_lock);
	vm->number = ++numbers;
	list_add_tail(&vm->all, &all_vms);
	mutex_unlock(&all_vms_lock);
}

/**
 * vm_find() - take a reference to a VM by its number
 * @number: the number
 * @next: the first VM whose number is above
 *
 * Context: Process context, may sleep.
 * Return: the VM, which the caller gives back with vm_put(); NULL if there is none.
 */
struct vm *vm_find(u32 number, bool next)
{
	struct vm *vm, *found = NULL;

	mutex_lock(&all_vms_lock);
	list_for_each_entry(vm, &all_vms, all) {
		if (next ? vm->number <= number : vm->number != number)
			continue;
		/* A VM without users waits for the lock to leave the list. */
		if (!refcount_inc_not_zero(&vm->users))
			continue;
		found = vm;
		break;
	}
	mutex_unlock(&all_vms_lock);
	return found;
}

static struct vm *vm_create(void)
{
	struct vm *vm = kzalloc(sizeof(*vm), GFP_KERNEL_ACCOUNT);
	int ret = -ENOMEM;

	if (!vm)
		return ERR_PTR(-ENOMEM);
	refcount_set(&vm->users, 1);
	mutex_init(&vm->lock);
	spin_lock_init(&vm->mmu_lock);
	stand_init(vm);
	barrier_init(vm);
	vm->mm = current->mm;
	mmgrab(vm->mm);
	vm->identity_map_addr = DEFAULT_IDENTITY_MAP;
	vm->apic_bus_ns = DROSTE_APIC_BUS_NS;
	vm->pool = pool_get();
	tsc_init_vm(vm);
	vm->halt_poll_ns = -1;
	vm->clock_offset = -(s64)ktime_get_boottime_ns();
	ret = coalesced_init(vm);
	if (ret)
		goto err_mm;
	ret = init_srcu_struct(&vm->srcu);
	if (ret)
		goto err_coalesced;
	ret = memslots_init(vm);
	if (ret)
		goto err_srcu;
	irqchip_init(vm);
	ioeventfds_init(vm);
	ret = ept01_init(vm);
	if (ret)
		goto err_slots;
	vm_enlist(vm);
	return vm;

err_slots:
	ept01_destroy(vm);
	memslots_destroy(vm);
err_srcu:
	cleanup_srcu_struct(&vm->srcu);
err_coalesced:
	coalesced_destroy(vm);
err_mm:
	pool_put(vm->pool);
	mmdrop(vm->mm);
	kfree(vm);
	return ERR_PTR(ret);
}

/*
 * Destroy a VM whose last descriptor was closed: first the interrupt
 * controllers and the MMU notifier, whose timers and callbacks use the vCPUs;
 * then the vCPUs; then the objects that the vCPUs use.
 */
static void vm_destroy(struct vm *vm)
{
	int i, idx;

	mutex_lock(&all_vms_lock);
	list_del(&vm->all);
	mutex_unlock(&all_vms_lock);
	irqchip_destroy(vm);
	ept01_destroy(vm);
	idx = srcu_read_lock(&vm->srcu);
	for (i = 0; i < vm->nr_vcpus; i++)
		vcpu_destroy(vm->vcpus[i]);
	srcu_read_unlock(&vm->srcu, idx);
	vmx_hide_destroy(vm);
	memslots_destroy(vm);
	coalesced_destroy(vm);
	ports_destroy(vm);
	msr_filter_free(rcu_dereference_protected(vm->msr_filter, true));
	cleanup_srcu_struct(&vm->srcu);
	mutex_destroy(&vm->irqchip.fds_lock);
	mutex_destroy(&vm->ioeventfds.lock);
	mutex_destroy(&vm->lock);
	put_pid(vm->owner);
	pool_put(vm->pool);
	mmdrop(vm->mm);
	kfree(vm);
}

/**
 * vm_get() - take a reference to a VM for a new open file
 * @vm: the VM, to which the caller has a reference
 *
 * Only open files have references, and open files hold the module too.
 *
 * Context: Any context.
 */
void vm_get(struct vm *vm)
{
	refcount_inc(&vm->users);
}

/**
 * vm_put() - drop a reference to a VM
 * @vm: the VM, which the last vm_put() destroys
 *
 * Context: Process context, may sleep.
 */
void vm_put(struct vm *vm)
{
	if (refcount_dec_and_test(&vm->users))
		vm_destroy(vm);
}

/* --- ioctls --- */

static long vm_check_extension(void *self, void *arg, unsigned long uarg)
{
	return dev_check_extension(((struct vm *)self)->pool, uarg);
}

static long vm_create_vcpu(void *self, void *arg, unsigned long uarg)
{
	return uarg > U32_MAX ? -EINVAL : vcpu_create_fd(self, uarg);
}

static long vm_set_region(void *self, void *arg, unsigned long uarg)
{
	return vm_set_memory_region(self, arg);
}

#ifdef KVM_SET_USER_MEMORY_REGION2	/* since 6.8 */
/* The newer structure begins like the older one; what it adds needs a flag that is refused here. */
static_assert(offsetof(struct kvm_userspace_memory_region2, guest_memfd_offset) ==
	      sizeof(struct kvm_userspace_memory_region));
#endif

static long vm_set_tss_addr(void *self, void *arg, unsigned long uarg)
{
	struct vm *vm = self;

	/* The API wants three pages below 4 GiB; unrestricted guests do not need them. */
	if (uarg > (u32)(-3 * PAGE_SIZE))
		return -EINVAL;
	vm->tss_addr = uarg;
	return 0;
}

static long vm_set_identity_map(void *self, void *arg, unsigned long uarg)
{
	struct vm *vm = self;
	u64 addr;

	if (vm->nr_vcpus)
		return -EINVAL;
	if (copy_from_user(&addr, (void __user *)uarg, sizeof(addr)))
		return -EFAULT;
	vm->identity_map_addr = addr ?: DEFAULT_IDENTITY_MAP;
	return 0;
}

static long vm_set_boot_cpu(void *self, void *arg, unsigned long uarg)
{
	struct vm *vm = self;

	if (uarg >= (vm->max_vcpu_id ?: DROSTE_MAX_VCPU_ID))
		return -EINVAL;
	if (vm->nr_vcpus)
		return -EBUSY;
	vm->bsp_id = uarg;
	return 0;
}

static long vm_create_irqchip(void *self, void *arg, unsigned long uarg)
{
	return irqchip_create(self);
}

#define MIN_SHADOW_PAGES	64	/* KVM's minimum */

/* KVM_SET_NR_MMU_PAGES: limit the pages of shadow page tables, which only EPT02s are. */
static long vm_set_nr_mmu_pages(void *self, void *arg, unsigned long uarg)
{
	struct vm *vm = self;

	if (uarg < MIN_SHADOW_PAGES)
		return -EINVAL;
	WRITE_ONCE(vm->max_shadow_pages, uarg);
	return 0;
}

#ifdef KVM_CAP_X86_APIC_BUS_CYCLES_NS
static long vm_set_apic_bus(struct vm *vm, u64 ns)
{
	u64 unused;

	/* The longest count with the largest divisor must fit in 64 bits of ns. */
	if (!ns || check_mul_overflow(U32_MAX * 128ULL, ns, &unused))
		return -EINVAL;
	if (!vm->irqchip.created)
		return -ENXIO;
	if (vm->nr_vcpus)
		return -EINVAL;
	vm->apic_bus_ns = ns;
	vm->apic_hz = 0;
	return 0;
}
#endif

/* KVM_CAP_MAX_VCPU_ID: can be set once, and not below the ID of the boot processor. */
static long vm_limit_vcpu_ids(struct vm *vm, u64 limit)
{
	if (limit > DROSTE_MAX_VCPU_ID || vm->bsp_id > limit)
		return -EINVAL;
	if (vm->max_vcpu_id && vm->max_vcpu_id != limit)
		return -EINVAL;
	vm->max_vcpu_id = limit;
	return 0;
}

/* DROSTE_FORCE_EXITS. The vCPUs take the controls with the others that depend on the VM. */
static long vm_force_exits(void *self, void *arg, unsigned long uarg)
{
	const struct droste_force_exits *f = arg;
	struct vm *vm = self;
	int ret;

	if (f->supported || f->reserved[0] || f->reserved[1])
		return -EINVAL;
	ret = vmx_force_check(f->mask);
	if (ret)
		return ret;
	WRITE_ONCE(vm->force_exits, f->mask);
	vm_request_all(vm, REQ_CPUID);
	return 0;
}

static long vm_get_force_exits(void *self, void *arg, unsigned long uarg)
{
	const struct vm *vm = self;

	*(struct droste_force_exits *)arg = (struct droste_force_exits) {
		.mask = READ_ONCE(vm->force_exits),
		.supported = vmx_force_supported(),
	};
	return 0;
}

static long vm_set_barrier(void *self, void *arg, unsigned long uarg)
{
	const struct droste_barrier *b = arg;

	if (b->flags & ~DROSTE_BARRIER_EXITS || memchr_inv(b->reserved, 0, sizeof(b->reserved)))
		return -EINVAL;
	if (b->flags && !vmx_features.wbinvd)
		return -EOPNOTSUPP;
	barrier_set_exits(self, b->flags & DROSTE_BARRIER_EXITS);
	return 0;
}

static long vm_release_barrier(void *self, void *arg, unsigned long uarg)
{
	return barrier_release(self, *(const u64 *)arg);
}

/* KVM_CAP_VM_DISABLE_NX_HUGE_PAGES: gives up a protection of the host, so only its administrator may. */
static long vm_allow_huge_exec(struct vm *vm, u64 arg)
{
	if (arg)
		return -EINVAL;
	if (!capable(CAP_SYS_BOOT))
		return -EPERM;
	if (vm->nr_vcpus)
		return -EINVAL;
	vm->huge_exec = true;
	return 0;
}

/* Disable quirks; nothing enables them again. */
static long vm_disable_quirks(struct vm *vm, u64 quirks)
{
	quirks &= DROSTE_QUIRKS & ~vm->disabled_quirks;
	WRITE_ONCE(vm->disabled_quirks, vm->disabled_quirks | quirks);
	if (quirks & KVM_X86_QUIRK_IGNORE_GUEST_PAT)
		ept01_zap_all(vm);	/* leaves with the other memory type */
	vm_request_all(vm, REQ_CPUID);	/* the quirks select exceptions that L0 intercepts */
	return 0;
}

static long vm_enable_cap(void *self, void *arg, unsigned long uarg)
{
	const struct kvm_enable_cap *cap = arg;
	struct vm *vm = self;

	if (cap->flags)
		return -EINVAL;
	switch (cap->cap) {
	case KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2:
		/* INITIALLY_SET needs PROTECT_ENABLE: otherwise user space does not clear the bits itself. */
		if (cap->args[0] & ~(u64)MANUAL_DIRTY_LOG || cap->args[0] == KVM_DIRTY_LOG_INITIALLY_SET)
			return -EINVAL;
		vm->manual_dirty_log = cap->args[0];
		return 0;
	case KVM_CAP_DIRTY_LOG_RING:
	case KVM_CAP_DIRTY_LOG_RING_ACQ_REL:
		return dirty_ring_enable(vm, cap->args[0]);
	case KVM_CAP_X2APIC_API:
		if (cap->args[0] & ~(u64)X2APIC_API_FLAGS)
			return -EINVAL;
		WRITE_ONCE(vm->x2apic_api, vm->x2apic_api | cap->args[0]);
		return 0;
#ifdef KVM_CAP_X86_APIC_BUS_CYCLES_NS
	case KVM_CAP_X86_APIC_BUS_CYCLES_NS:
		return vm_set_apic_bus(vm, cap->args[0]);
#endif
	case KVM_CAP_HALT_POLL:
		if (cap->args[0] > U32_MAX)
			return -EINVAL;
		WRITE_ONCE(vm->halt_poll_ns, cap->args[0]);
		return 0;
	case KVM_CAP_X86_DISABLE_EXITS:
		if (cap->args[0] & ~(u64)DISABLE_EXITS_KNOWN)
			return -EINVAL;
		if (cap->args[0] & KVM_X86_DISABLE_EXITS_PAUSE)
			vm->pause_in_guest = true;
		if (cap->args[0] & KVM_X86_DISABLE_EXITS_HLT)
			WRITE_ONCE(vm->hlt_in_guest, true);
		return 0;
	case KVM_CAP_VM_DISABLE_NX_HUGE_PAGES:
		return vm_allow_huge_exec(vm, cap->args[0]);
	case KVM_CAP_DISABLE_QUIRKS2:
		if (cap->args[0] & ~(u64)DROSTE_QUIRKS)
			return -EINVAL;
		fallthrough;
	case KVM_CAP_DISABLE_QUIRKS:
		return vm_disable_quirks(vm, cap->args[0]);
	case KVM_CAP_MSR_PLATFORM_INFO:
		WRITE_ONCE(vm->hide_platform_info, !cap->args[0]);
		return 0;
	case KVM_CAP_EXIT_ON_EMULATION_FAILURE:
		if (cap->args[0] & ~1ULL)
			return -EINVAL;
		WRITE_ONCE(vm->exit_on_emul_failure, cap->args[0]);
		return 0;
	case KVM_CAP_MAX_VCPU_ID:
		return vm_limit_vcpu_ids(vm, cap->args[0]);
	case KVM_CAP_X86_USER_SPACE_MSR:
		if (cap->args[0] & ~(u64)USER_MSR_REASONS)
			return -EINVAL;
		WRITE_ONCE(vm->user_msr_reasons, cap->args[0]);
		vm_request_all(vm, REQ_MSR_FILTER);	/* see msr_pass_syscall() */
		return 0;
	case KVM_CAP_EXCEPTION_PAYLOAD:
		WRITE_ONCE(vm->exception_payload, cap->args[0] != 0);
		return 0;
	case KVM_CAP_X86_TRIPLE_FAULT_EVENT:
		WRITE_ONCE(vm->triple_fault_event, cap->args[0] != 0);
		return 0;
	case KVM_CAP_SPLIT_IRQCHIP:
		return irqchip_create_split(vm, cap->args[0]);
	default:
		return -EINVAL;
	}
}

/* irqchip_vm_ioctl() handles the ioctls about interrupts, which have no row here. */
static const struct ioctl_row vm_rows[] = {
	IO_ROW(KVM_CHECK_EXTENSION, vm_check_extension, IO_RAW),
	IO_ROW(KVM_CREATE_VCPU, vm_create_vcpu, IO_RAW | IO_LOCK),
	IO_ROW(KVM_SET_USER_MEMORY_REGION, vm_set_region, IO_LOCK),
#ifdef KVM_SET_USER_MEMORY_REGION2
	IO_ROW(KVM_SET_USER_MEMORY_REGION2, vm_set_region, IO_LOCK),
#endif
	IO_ROW(KVM_GET_DIRTY_LOG, vm_get_dirty_log, IO_LOCK),
	IO_ROW(KVM_CLEAR_DIRTY_LOG, vm_clear_dirty_log, IO_LOCK),
	IO_ROW(KVM_RESET_DIRTY_RINGS, vm_reset_dirty_rings, IO_RAW | IO_LOCK),
	IO_ROW(KVM_SET_TSS_ADDR, vm_set_tss_addr, IO_RAW | IO_LOCK),
	IO_ROW(KVM_SET_NR_MMU_PAGES, vm_set_nr_mmu_pages, IO_RAW),
	IO_ROW(KVM_SET_IDENTITY_MAP_ADDR, vm_set_identity_map, IO_RAW | IO_LOCK),
	IO_ROW(KVM_SET_BOOT_CPU_ID, vm_set_boot_cpu, IO_RAW | IO_LOCK),
	IO_ROW(KVM_CREATE_IRQCHIP, vm_create_irqchip, IO_RAW | IO_LOCK),
	IO_ROW(KVM_ENABLE_CAP, vm_enable_cap, IO_LOCK),
	IO_ROW(KVM_CREATE_DEVICE, vm_create_device, IO_RAW | IO_LOCK),
	IO_ROW(KVM_IOEVENTFD, ioeventfd_ioctl, IO_RAW),
	IO_ROW(KVM_REGISTER_COALESCED_MMIO, vm_register_coalesced, IO_LOCK),
	IO_ROW(KVM_UNREGISTER_COALESCED_MMIO, vm_unregister_coalesced, IO_LOCK),
	IO_ROW(DROSTE_PASS_PORTS, vm_pass_ports, IO_LOCK),
	IO_ROW(KVM_GET_STATS_FD, vm_get_stats_fd, IO_RAW),
	IO_ROW(KVM_X86_SET_MSR_FILTER, vm_set_msr_filter, IO_LOCK),
	IO_ROW(KVM_GET_TSC_KHZ, vm_get_tsc_khz, IO_RAW),
	IO_ROW(KVM_SET_TSC_KHZ, vm_set_tsc_khz, IO_RAW | IO_LOCK),
	IO_ROW(KVM_GET_CLOCK, vm_get_clock, IO_LOCK),
	IO_ROW(KVM_SET_CLOCK, vm_set_clock, IO_LOCK),
	IO_ROW(DROSTE_FORCE_EXITS, vm_force_exits, IO_LOCK),
	IO_ROW(DROSTE_GET_FORCE_EXITS, vm_get_force_exits, 0),
	IO_ROW(DROSTE_SET_BARRIER, vm_set_barrier, 0),
	IO_ROW(DROSTE_SET_PROFILE, vm_set_profile, IO_LOCK),
	IO_ROW(DROSTE_RELEASE_BARRIER, vm_release_barrier, 0),
};

const struct ioctl_table vm_ioctls = { vm_rows, ARRAY_SIZE(vm_rows) };

static long vm_ioctl(struct file *file, unsigned int cmd, unsigned long uarg)
{
	struct vm *vm = file->private_data;
	const struct ioctl_row *row = ioctl_find(&vm_ioctls, cmd);
	long ret;

	/* Slots refer to the creator's memory; a child process has its own. */
	if (vm->mm != current->mm || READ_ONCE(vm->dead))
		return -EIO;
	if (!row)
		return irqchip_vm_ioctl(vm, cmd, uarg);
	if (!(row->flags & IO_LOCK))
		return ioctl_call(row, vm, uarg);
	if (mutex_lock_killable(&vm->lock))
		return -EINTR;
	ret = ioctl_call(row, vm, uarg);
	mutex_unlock(&vm->lock);
	return ret;
}

static int vm_release(struct inode *inode, struct file *file)
{
	struct vm *vm = file->private_data;

	irqchip_release(vm);
	ioeventfd_release(vm);
	vm_put(vm);
	return 0;
}

static const struct file_operations vm_fops = {
	.owner = THIS_MODULE,
	.unlocked_ioctl = vm_ioctl,
	.release = vm_release,
	.llseek = noop_llseek,
};

/**
 * vm_create_fd() - KVM_CREATE_VM
 *
 * The new VM's slots refer to the memory of the calling process.
 *
 * Context: Process context, may sleep.
 * Return: a file descriptor, or a negative errno.
 */
int vm_create_fd(void)
{
	struct vm *vm = vm_create();
	int fd;

	if (IS_ERR(vm))
		return PTR_ERR(vm);
	fd = anon_inode_getfd("droste-vm", &vm_fops, vm, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		vm_put(vm);
	return fd;
}
