/* SPDX-License-Identifier: GPL-2.0 */
/* The three kinds of file descriptors, their ioctl tables, and the life of the objects behind them. */
#ifndef DROSTE_DEV_H
#define DROSTE_DEV_H

#include <linux/types.h>
#include <linux/fs.h>
#include <linux/kvm.h>

struct vm;
struct vcpu;

/* --- dev.c: the device --- */
int dev_init(void);
void dev_exit(void);
long dev_check_extension(unsigned long cap);	/* KVM_CHECK_EXTENSION of the device and of a VM */

/* What one ioctl of a file descriptor is. The numbers alone are not unique: KVM_SET_DEBUGREGS and KVM_SET_TSC_KHZ share one. */
struct ioctl_row {
	unsigned int cmd;	/* whole: direction, size and type must be as the caller's */
	u32 flags;		/* IO_* */
	/* @self: the object of the descriptor; @arg: copy of the argument; @uarg: the argument itself */
	long (*fn)(void *self, void *arg, unsigned long uarg);
};

/* All ioctls of one kind of descriptor, the frequent ones first. */
struct ioctl_table {
	const struct ioctl_row *rows;
	int n;
};

#define IO_RAW		BIT(0)	/* variable size, or no pointer: @arg is NULL, the handler uses @uarg */
#define IO_LOAD		BIT(1)	/* vCPU: its VMCS must be current */
#define IO_LOCK		BIT(2)	/* VM: vm->lock is held around the handler */
#define IO_SRCU		BIT(3)	/* vCPU: reads guest memory */

/* A row for the argument type that the command's number encodes. */
#define IO_ROW(_cmd, _fn, _flags) { .cmd = _cmd, .fn = _fn, .flags = _flags }

/* The row for @cmd, or NULL. */
const struct ioctl_row *ioctl_find(const struct ioctl_table *table, unsigned int cmd);
int ioctl_check(const struct ioctl_table *table);	/* at load: 0, or -EINVAL with one log line */
/* Copy the argument in, call the handler, copy the result out. */
long ioctl_call(const struct ioctl_row *row, void *self, unsigned long uarg);

/* --- dev_vm.c --- */
/* What KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2 takes. */
#define MANUAL_DIRTY_LOG	(KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE | KVM_DIRTY_LOG_INITIALLY_SET)
/* What KVM_CAP_DISABLE_QUIRKS2 takes: each is honoured, or is something that Droste does not do in any case. */
#define DROSTE_QUIRKS	(KVM_X86_QUIRK_LINT0_REENABLED | KVM_X86_QUIRK_CD_NW_CLEARED | \
			 KVM_X86_QUIRK_LAPIC_MMIO_HOLE | KVM_X86_QUIRK_OUT_7E_INC_RIP | \
			 KVM_X86_QUIRK_MISC_ENABLE_NO_MWAIT | KVM_X86_QUIRK_FIX_HYPERCALL_INSN | \
			 KVM_X86_QUIRK_MWAIT_NEVER_UD_FAULTS | KVM_X86_QUIRK_SLOT_ZAP_ALL)
extern const struct ioctl_table vm_ioctls;
/* KVM_CREATE_VM: a descriptor for a new VM of the calling process, or -errno. */
int vm_create_fd(void);
void vm_get(struct vm *vm);
void vm_put(struct vm *vm);	/* the last one destroys it; may sleep */

/* --- dev_vcpu.c --- */
extern const struct ioctl_table vcpu_ioctls;
#define DROSTE_MAX_VCPU_ID	4096	/* KVM_CREATE_VCPU takes smaller ones; from 255 on only an x2APIC is reached */
/* KVM_CREATE_VCPU: a descriptor, or -errno. vm->lock held. */
int vcpu_create_fd(struct vm *vm, u32 id);
void vcpu_destroy(struct vcpu *vcpu);	/* vm->srcu held for reading */
#define VCPU_MMAP_PAGES	3	/* struct kvm_run, the data of port I/O, the VM's ring of coalesced writes */

/* --- kvm_run.c --- */
long kvm_run_ioctl(void *self, void *arg, unsigned long uarg);

/* --- prefault.c --- */
long vcpu_pre_fault_memory(void *self, void *arg, unsigned long uarg);

/* --- stats.c --- */
long vm_get_stats_fd(void *self, void *arg, unsigned long uarg);
long vcpu_get_stats_fd(void *self, void *arg, unsigned long uarg);

#endif
