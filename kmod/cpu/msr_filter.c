// SPDX-License-Identifier: GPL-2.0
/* The filter by which user space denies guests access to MSRs, and exits that let user space answer an access. */
#include <linux/bitmap.h>
#include <linux/slab.h>
#include <linux/srcu.h>
#include <linux/uaccess.h>
#include <asm/trapnr.h>
#include "droste.h"
#include "cpu/msr.h"
#include "run/request.h"
#include "vmx/inject.h"
#include "vmx/regs.h"

/* A range of MSRs, from @base to @base + @nmsrs - 1. */
struct msr_range {
	u32 access;		/* KVM_MSR_FILTER_READ, _WRITE: the accesses that the range decides */
	u32 base, nmsrs;
	unsigned long *allowed;	/* one bit per MSR */
};

/* Immutable once published in vm->msr_filter. The first range that contains the MSR and the kind of access decides. */
struct msr_filter {
	bool default_allow;	/* accesses that are in no range are allowed */
	u32 nr_ranges;
	struct msr_range ranges[KVM_MSR_FILTER_MAX_RANGES];
};

/**
 * msr_filter_free() - free an MSR filter
 * @f: no longer in use; may be NULL
 *
 * Context: Process context.
 */
void msr_filter_free(struct msr_filter *f)
{
	u32 i;

	if (!f)
		return;
	for (i = 0; i < f->nr_ranges; i++)
		kfree(f->ranges[i].allowed);
	kfree(f);
}

/**
 * msr_allowed() - whether the filter allows a guest to access an MSR
 * @vcpu: the vCPU, in L1 or L2
 * @msr: number
 * @access: KVM_MSR_FILTER_READ or KVM_MSR_FILTER_WRITE
 *
 * The MSRs of the local APIC are not filtered; KVM does not filter them either.
 *
 * Context: Any. Caller holds vm->srcu for reading, or vm->lock.
 * Return: true if the access is allowed.
 */
static bool msr_allowed(struct vcpu *vcpu, u32 msr, u32 access)
{
	const struct msr_filter *f = srcu_dereference_check(vcpu->vm->msr_filter, &vcpu->vm->srcu,
							    lockdep_is_held(&vcpu->vm->lock));
	u32 i;

	if (likely(!f) || (msr >= 0x800 && msr <= 0x8ff))
		return true;
	for (i = 0; i < f->nr_ranges; i++) {
		const struct msr_range *r = &f->ranges[i];

		if ((r->access & access) && msr >= r->base && msr - r->base < r->nmsrs)
			return test_bit(msr - r->base, r->allowed);
	}
	return f->default_allow;
}

/* --- KVM_X86_SET_MSR_FILTER --- */

static int msr_add_range(struct msr_filter *f, const struct kvm_msr_filter_range *user)
{
	unsigned long *allowed;

	if (!user->nmsrs)
		return 0;
	if (!user->flags || user->flags & ~(u32)(KVM_MSR_FILTER_READ | KVM_MSR_FILTER_WRITE))
		return -EINVAL;
	if (user->nmsrs > KVM_MSR_FILTER_MAX_BITMAP_SIZE * BITS_PER_BYTE)
		return -EINVAL;
	allowed = memdup_user((const void __user *)user->bitmap, BITS_TO_LONGS(user->nmsrs) * sizeof(long));
	if (IS_ERR(allowed))
		return PTR_ERR(allowed);
	f->ranges[f->nr_ranges++] = (struct msr_range) {
		.access = user->flags,
		.base = user->base,
		.nmsrs = user->nmsrs,
		.allowed = allowed,
	};
	return 0;
}

static struct msr_filter *msr_make_filter(const struct kvm_msr_filter *user)
{
	struct msr_filter *f = kzalloc(sizeof(*f), GFP_KERNEL_ACCOUNT);
	int i, err;

	if (!f)
		return ERR_PTR(-ENOMEM);
	f->default_allow = !(user->flags & KVM_MSR_FILTER_DEFAULT_DENY);
	for (i = 0; i < KVM_MSR_FILTER_MAX_RANGES; i++) {
		err = msr_add_range(f, &user->ranges[i]);
		if (err) {
			msr_filter_free(f);
			return ERR_PTR(err);
		}
	}
	if (f->nr_ranges || f->default_allow)
		return f;
	/* Without ranges this would deny every MSR, which is a mistake of user space. */
	msr_filter_free(f);
	return ERR_PTR(-EINVAL);
}

/**
 * vm_set_msr_filter() - KVM_X86_SET_MSR_FILTER
 * @self: the VM
 * @arg: struct kvm_msr_filter
 * @uarg: unused
 *
 * The new filter is in force when this returns: no guest makes an access any
 * more that it denies.
 *
 * Context: Process context. May sleep. Caller holds vm->lock.
 * Return: 0; -EINVAL for unknown flags, a range that is too long, or a filter
 * that denies everything; -ENOMEM; -EFAULT.
 */
long vm_set_msr_filter(void *self, void *arg, unsigned long uarg)
{
	const struct kvm_msr_filter *user = arg;
	struct vm *vm = self;
	struct msr_filter *f;

	if (user->flags & ~(u32)KVM_MSR_FILTER_DEFAULT_DENY)
		return -EINVAL;
	f = msr_make_filter(user);
	if (IS_ERR(f))
		return PTR_ERR(f);
	f = rcu_replace_pointer(vm->msr_filter, f, lockdep_is_held(&vm->lock));
	vm_request_all(vm, REQ_MSR_FILTER);
	synchronize_srcu(&vm->srcu);
	msr_filter_free(f);
	return 0;
}

/* --- the MSR bitmap of VMCS01 --- */

/* MSRs that a guest reads and writes without an exit. */
static const u32 passthrough_msrs[] = { MSR_FS_BASE, MSR_GS_BASE, MSR_KERNEL_GS_BASE };

/*
 * These too, but writes exit while L1 is in VMX operation: exits to L1 load them,
 * and L0 need not write the fields again while it knows their values (hostload.c).
 */
static const u32 sysenter_msrs[] = { MSR_IA32_SYSENTER_CS, MSR_IA32_SYSENTER_ESP, MSR_IA32_SYSENTER_EIP };

/* Let accesses to @msr pass without an exit, unless the filter denies them. */
static void msr_pass(struct vcpu *vcpu, u32 msr, bool read, bool write)
{
	/* SDM 3C 25.6.9: four parts of 1 KiB: read low, read high, write low, write high. */
	unsigned int bit = (msr & 0x1fff) + (msr >= 0xc0000000 ? 0x400 * 8 : 0);

	if (read && msr_allowed(vcpu, msr, KVM_MSR_FILTER_READ))
		__clear_bit(bit, vcpu->msr_bitmap01);
	if (write && msr_allowed(vcpu, msr, KVM_MSR_FILTER_WRITE))
		__clear_bit(bit + 0x800 * 8, vcpu->msr_bitmap01);
}

/*
 * And these while L1 is in VMX operation: a hypervisor loads its guest's values on the way from its user space, and its own
 * on the way back. Otherwise they are written once, and it is cheaper that L0 need not read them when the vCPU is put.
 */
static void msr_pass_syscall(struct vcpu *vcpu)
{
	u32 passed = 0;

	/* User space may want to answer an LSTAR that is not canonical. */
	if (vcpu->nested.vmxon && !(READ_ONCE(vcpu->vm->user_msr_reasons) & KVM_MSR_EXIT_REASON_INVAL)) {
		passed = BIT(URET_STAR) | BIT(URET_LSTAR);
		msr_pass(vcpu, MSR_STAR, true, true);
		msr_pass(vcpu, MSR_LSTAR, true, true);
		/* The MSR does not hold bits 63:32: see msr_set_fmask(). */
		if (!vcpu->misc->fmask_high) {
			passed |= BIT(URET_FMASK);
			msr_pass(vcpu, MSR_SYSCALL_MASK, true, true);
		}
	}
	vmx_uret_pass(vcpu, passed);
}

/**
 * msr_update_bitmap() - rebuild the MSR bitmap of VMCS01 from the MSR filter
 * @vcpu: not in the guest
 *
 * The caller also calls nested_remerge_bitmaps(), as the bitmap of VMCS02
 * depends on this one.
 *
 * Context: Process context. Caller holds vm->srcu for reading, or vm->lock.
 * SDM 3C 25.6.9.
 */
void msr_update_bitmap(struct vcpu *vcpu)
{
	int i;

	memset(vcpu->msr_bitmap01, 0xff, PAGE_SIZE);
	for (i = 0; i < ARRAY_SIZE(passthrough_msrs); i++)
		msr_pass(vcpu, passthrough_msrs[i], true, true);
	for (i = 0; i < ARRAY_SIZE(sysenter_msrs); i++)
		msr_pass(vcpu, sysenter_msrs[i], true, !vcpu->nested.vmxon);
	msr_pass_syscall(vcpu);
	msr_pass(vcpu, MSR_IA32_TSC, true, false);	/* the TSC offset applies to RDMSR, too */
	if (vcpu->spec_ctrl_passed)
		msr_pass(vcpu, MSR_IA32_SPEC_CTRL, true, true);
	if (vcpu->gcaps.ibpb)
		msr_pass(vcpu, MSR_IA32_PRED_CMD, false, true);
	if (vcpu->gcaps.flush_l1d)
		msr_pass(vcpu, MSR_IA32_FLUSH_CMD, false, true);
	/* VM entry loads the guest's value (SDM 3C 27.3.2.1), but not all bits: see vcpu_set_debugctl(). */
	if (!vcpu->debugctl)
		msr_pass(vcpu, MSR_IA32_DEBUGCTLMSR, true, false);
}

/* --- accesses by guests; user space may answer those that are refused --- */

/**
 * vcpu_guest_get_msr() - RDMSR by a guest
 * @vcpu: loaded
 * @msr: number
 * @data: the value; unchanged on failure
 *
 * Context: Process context. May sleep. Caller holds vcpu->mutex, and vm->srcu
 * for reading.
 * Return: 0; -EPERM if the filter denies it; -ENOENT if there is no such MSR;
 * -EINVAL if the access is not allowed.
 */
int vcpu_guest_get_msr(struct vcpu *vcpu, u32 msr, u64 *data)
{
	return msr_allowed(vcpu, msr, KVM_MSR_FILTER_READ) ? vcpu_get_msr(vcpu, msr, data, false) : -EPERM;
}

/**
 * vcpu_guest_set_msr() - WRMSR by a guest
 * @vcpu: loaded
 * @msr: number
 * @data: new value
 *
 * Context: as vcpu_guest_get_msr().
 * Return: as vcpu_guest_get_msr().
 */
int vcpu_guest_set_msr(struct vcpu *vcpu, u32 msr, u64 data)
{
	return msr_allowed(vcpu, msr, KVM_MSR_FILTER_WRITE) ? vcpu_set_msr(vcpu, msr, data, false) : -EPERM;
}

static u32 msr_exit_reason(int err)
{
	switch (err) {
	case -EPERM:
		return KVM_MSR_EXIT_REASON_FILTER;
	case -ENOENT:
		return KVM_MSR_EXIT_REASON_UNKNOWN;
	default:
		return KVM_MSR_EXIT_REASON_INVAL;
	}
}

/**
 * msr_goes_to_user() - whether user space answers a guest's access to an MSR that failed
 * @vcpu: the vCPU
 * @err: error of vcpu_guest_get_msr() or vcpu_guest_set_msr()
 *
 * Context: Any.
 * Return: true if user space has asked for accesses that fail for this reason
 * (KVM_CAP_X86_USER_SPACE_MSR); false if the guest gets #GP(0).
 */
bool msr_goes_to_user(const struct vcpu *vcpu, int err)
{
	return READ_ONCE(vcpu->vm->user_msr_reasons) & msr_exit_reason(err);
}

/*
 * Finish an access that user space has answered: with a value, or with an error
 * that becomes #GP(0). If user space moved RIP, by a reset for instance, there
 * is nothing to finish.
 */
static int msr_complete(struct vcpu *vcpu)
{
	struct kvm_run *run = vcpu->run;
	u64 data;

	if (!vcpu_same_place(vcpu))
		return NEXT_ENTER;
	if (READ_ONCE(run->msr.error)) {
		vcpu_queue_exception_err(vcpu, X86_TRAP_GP, 0);
		return NEXT_ENTER;
	}
	if (vcpu->exit.basic == EXIT_REASON_MSR_READ) {
		data = READ_ONCE(run->msr.data);
		vcpu_set_gpr(vcpu, RAX, (u32)data);
		vcpu_set_gpr(vcpu, RDX, data >> 32);
	}
	vcpu_skip_instruction(vcpu);
	return NEXT_ENTER;
}

/**
 * msr_refused() - handle a guest's RDMSR or WRMSR that failed
 * @vcpu: loaded; vcpu->exit is the exit of the instruction
 * @err: error of vcpu_guest_get_msr() or vcpu_guest_set_msr()
 * @data: operand of WRMSR, or 0
 *
 * User space answers the access if it has asked for accesses that fail for this
 * reason (KVM_CAP_X86_USER_SPACE_MSR). Otherwise the guest gets #GP(0).
 *
 * Context: Process context. Caller holds vcpu->mutex.
 * Return: NEXT_USER or NEXT_ENTER.
 */
int msr_refused(struct vcpu *vcpu, int err, u64 data)
{
	struct kvm_run *run = vcpu->run;

	if (likely(!msr_goes_to_user(vcpu, err))) {
		vcpu_queue_exception_err(vcpu, X86_TRAP_GP, 0);
		return NEXT_ENTER;
	}
	run->exit_reason = vcpu->exit.basic == EXIT_REASON_MSR_READ ? KVM_EXIT_X86_RDMSR : KVM_EXIT_X86_WRMSR;
	memset(&run->msr, 0, sizeof(run->msr));
	run->msr.reason = msr_exit_reason(err);
	run->msr.index = vcpu->regs[RCX];
	run->msr.data = data;
	vcpu_complete_by(vcpu, msr_complete);
	return NEXT_USER;
}
