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

/* --- coalesced.c --- */
long vm_register_coalesced(void *self, void *arg, unsigned long uarg);
long vm_unregister_coalesced(void *self, void *arg, unsigned long uarg);

/* --- prefault.c --- */
long vcpu_pre_fault_memory(void *self, void *arg, unsigned long uarg);

/* --- stats.c --- */
long vm_get_stats_fd(void *self, void *arg, unsigned long uarg);
long vcpu_get_stats_fd(void *self, void *arg, unsigned long uarg);

/* --- cpuid.c --- */
int cpuid_init(void);
struct kvm_cpuid2;
struct kvm_cpuid;
long cpuid_get_supported(struct kvm_cpuid2 __user *uarg);
long cpuid_get_emulated(struct kvm_cpuid2 __user *uarg);
long vcpu_set_cpuid2(void *self, void *arg, unsigned long uarg);
long vcpu_get_cpuid2(void *self, void *arg, unsigned long uarg);
long vcpu_set_cpuid(void *self, void *arg, unsigned long uarg);
void cpuid_update_caps(struct vcpu *vcpu);	/* vcpu->gcaps from vcpu->cpuid */

/* --- msr.c, msr_mtrr.c, msr_mce.c --- */
int msr_init(void);				/* checks the table */
int msr_create(struct vcpu *vcpu);		/* vcpu->misc, power-up values */
void msr_destroy(struct vcpu *vcpu);
long msr_index_list(struct kvm_msr_list __user *uarg);
long msr_feature_index_list(struct kvm_msr_list __user *uarg);
long msr_get_features(struct kvm_msrs __user *uarg);	/* KVM_GET_MSRS of the device */
long vcpu_get_msrs(void *self, void *arg, unsigned long uarg);
long vcpu_set_msrs(void *self, void *arg, unsigned long uarg);
long vm_set_msr_filter(void *self, void *arg, unsigned long uarg);	/* msr_filter.c */
u64 mce_supported_cap(void);
long vcpu_setup_mce(void *self, void *arg, unsigned long uarg);
long vcpu_set_mce(void *self, void *arg, unsigned long uarg);

/* --- state.c, state_events.c: registers of a vCPU; vCPU ioctl handlers --- */
long vcpu_get_regs(void *self, void *arg, unsigned long uarg);
long vcpu_set_regs(void *self, void *arg, unsigned long uarg);
long vcpu_get_sregs(void *self, void *arg, unsigned long uarg);
long vcpu_set_sregs(void *self, void *arg, unsigned long uarg);
long vcpu_get_sregs2(void *self, void *arg, unsigned long uarg);
long vcpu_set_sregs2(void *self, void *arg, unsigned long uarg);
long vcpu_get_debugregs(void *self, void *arg, unsigned long uarg);
long vcpu_set_debugregs(void *self, void *arg, unsigned long uarg);
long vcpu_get_events(void *self, void *arg, unsigned long uarg);
long vcpu_set_events(void *self, void *arg, unsigned long uarg);
long vcpu_get_mp_state(void *self, void *arg, unsigned long uarg);
long vcpu_set_mp_state(void *self, void *arg, unsigned long uarg);
/* What KVM_SET_GUEST_DEBUG takes. */
#define GUEST_DEBUG_FLAGS	(KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_SINGLESTEP | KVM_GUESTDBG_USE_SW_BP | \
				 KVM_GUESTDBG_USE_HW_BP | KVM_GUESTDBG_INJECT_DB | KVM_GUESTDBG_INJECT_BP | \
				 KVM_GUESTDBG_BLOCKIRQ)
long vcpu_set_guest_debug(void *self, void *arg, unsigned long uarg);
long vcpu_translate(void *self, void *arg, unsigned long uarg);
int vcpu_sync_regs_in(struct vcpu *vcpu);	/* sync_regs.c: KVM_CAP_SYNC_REGS */
void vcpu_sync_regs_out(struct vcpu *vcpu);
int vcpu_change_apic_base(struct vcpu *vcpu, u64 base, bool host_initiated);

#endif
