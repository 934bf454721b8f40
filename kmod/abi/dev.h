/* SPDX-License-Identifier: GPL-2.0 */
/* The file descriptors of the device, VMs and vCPUs, their ioctl tables, and the life of the objects behind them. */
#ifndef DROSTE_DEV_H
#define DROSTE_DEV_H

#include <linux/types.h>
#include <linux/fs.h>
#include <linux/kvm.h>

struct vm;
struct vcpu;
struct pool;

/* --- dev.c: the device --- */
int dev_init(void);
void dev_exit(void);
long dev_check_extension(const struct pool *pool, unsigned long cap);

/* One ioctl. Bits 7:0 of the number alone are not unique: KVM_SET_DEBUGREGS and KVM_SET_TSC_KHZ have the same. */
struct ioctl_row {
	unsigned int cmd;	/* the whole number: direction, size and type must match the caller's */
	u32 flags;		/* IO_* */
	/* @self: the object behind the descriptor; @arg: copy of the argument structure; @uarg: the argument itself */
	long (*fn)(void *self, void *arg, unsigned long uarg);
};

/* The ioctls of one kind of descriptor, the frequent ones first. */
struct ioctl_table {
	const struct ioctl_row *rows;
	int n;
};

#define IO_RAW		BIT(0)	/* variable size, or no pointer: the handler uses @uarg, and @arg is NULL */
#define IO_LOAD		BIT(1)	/* vCPU: called with the vCPU loaded, so that its VMCS is current */
#define IO_LOCK		BIT(2)	/* VM: called with vm->lock held */
#define IO_SRCU		BIT(3)	/* vCPU: called under vm->srcu; the handler accesses guest memory */

#define IO_ROW(_cmd, _fn, _flags) { .cmd = _cmd, .fn = _fn, .flags = _flags }

const struct ioctl_row *ioctl_find(const struct ioctl_table *table, unsigned int cmd);
long ioctl_call(const struct ioctl_row *row, void *self, unsigned long uarg);

/* --- dev_vm.c --- */
/* The flags that KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2 accepts. */
#define MANUAL_DIRTY_LOG	(KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE | KVM_DIRTY_LOG_INITIALLY_SET)
/* The quirks that KVM_CAP_DISABLE_QUIRKS2 accepts. Droste honours the request, or never had the quirk. */
#define DROSTE_QUIRKS	(KVM_X86_QUIRK_LINT0_REENABLED | KVM_X86_QUIRK_CD_NW_CLEARED | \
			 KVM_X86_QUIRK_LAPIC_MMIO_HOLE | KVM_X86_QUIRK_OUT_7E_INC_RIP | \
			 KVM_X86_QUIRK_MISC_ENABLE_NO_MWAIT | KVM_X86_QUIRK_FIX_HYPERCALL_INSN | \
			 KVM_X86_QUIRK_MWAIT_NEVER_UD_FAULTS | KVM_X86_QUIRK_SLOT_ZAP_ALL | \
			 (ept_pat_works() ? KVM_X86_QUIRK_IGNORE_GUEST_PAT : 0))
extern const struct ioctl_table vm_ioctls;
int vm_create_fd(void);
struct vm *vm_find(u32 number, bool next);
void vm_get(struct vm *vm);
void vm_put(struct vm *vm);

/* --- vfiodev.c --- */
long vm_create_device(void *self, void *arg, unsigned long uarg);

/* --- dev_vcpu.c --- */
extern const struct ioctl_table vcpu_ioctls;
#define DROSTE_MAX_VCPU_ID	4096	/* vCPU IDs are below; IDs from 255 on need x2APIC mode */
int vcpu_create_fd(struct vm *vm, u32 id);
void vcpu_destroy(struct vcpu *vcpu);
#define VCPU_MMAP_PAGES	3	/* struct kvm_run, data of port I/O, the VM's ring of coalesced writes */

/* --- kvm_run.c --- */
long kvm_run_ioctl(struct vcpu *vcpu, unsigned long uarg);

/* --- prefault.c --- */
long vcpu_pre_fault_memory(void *self, void *arg, unsigned long uarg);

/* --- inspect.c --- */
extern const struct ioctl_table inspect_ioctls, inspect_break_ioctls;
long dev_inspect(void *self, void *arg, unsigned long uarg);

/* --- pool.c --- */
long dev_set_pool(void *self, void *arg, unsigned long uarg);
long dev_get_pool(void *self, void *arg, unsigned long uarg);

/* --- stats.c --- */
long vm_get_stats_fd(void *self, void *arg, unsigned long uarg);
long vcpu_get_stats_fd(void *self, void *arg, unsigned long uarg);

#endif
