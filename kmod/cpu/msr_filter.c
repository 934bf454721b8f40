// SPDX-License-Identifier: GPL-2.0
/* Which MSRs user space keeps from its guests, and accesses to MSRs that user space answers. */
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

/* MSRs @base to @base + @nmsrs - 1. */
struct msr_range {
	u32 access;		/* KVM_MSR_FILTER_READ, _WRITE: what the range speaks of */
	u32 base, nmsrs;
	unsigned long *allowed;	/* a bit for each MSR */
};

/* Immutable once published in vm->msr_filter. The first range that speaks of an access decides. */
struct msr_filter {
	bool default_allow;	/* what no range speaks of */
	u32 nr_ranges;
	struct msr_range ranges[KVM_MSR_FILTER_MAX_RANGES];
};

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
 * msr_allowed() - does user space let a guest do this?
 * @vcpu: whose guest, L1 or L2
 * @msr: which
 * @access: KVM_MSR_FILTER_READ or KVM_MSR_FILTER_WRITE
 *
 * srcu held, or vm->lock. The local APIC's MSRs are not filtered, as with KVM.
 */
bool msr_allowed(struct vcpu *vcpu, u32 msr, u32 access)
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
	/* A guest without any MSR: user space forgot the ranges. */
	msr_filter_free(f);
	return ERR_PTR(-EINVAL);
}

/* vm->lock held. When it returns no guest does any more what the filter denies. */
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

/* The MSRs that a guest reads and writes without an exit. */
static const u32 passthrough_msrs[] = {
	MSR_FS_BASE, MSR_GS_BASE, MSR_KERNEL_GS_BASE,
	MSR_IA32_SYSENTER_CS, MSR_IA32_SYSENTER_ESP, MSR_IA32_SYSENTER_EIP,
};

/* Unless user space's filter keeps it from guests. */
static void msr_pass(struct vcpu *vcpu, u32 msr, bool read, bool write)
{
	/* SDM 3C 25.6.9: four KiB/4 parts: read low, read high, write low, write high. */
	unsigned int bit = (msr & 0x1fff) + (msr >= 0xc0000000 ? 0x400 * 8 : 0);

	if (read && msr_allowed(vcpu, msr, KVM_MSR_FILTER_READ))
		__clear_bit(bit, vcpu->msr_bitmap01);
	if (write && msr_allowed(vcpu, msr, KVM_MSR_FILTER_WRITE))
		__clear_bit(bit + 0x800 * 8, vcpu->msr_bitmap01);
}

void msr_update_bitmap(struct vcpu *vcpu)
{
	int i;

	memset(vcpu->msr_bitmap01, 0xff, PAGE_SIZE);
	for (i = 0; i < ARRAY_SIZE(passthrough_msrs); i++)
		msr_pass(vcpu, passthrough_msrs[i], true, true);
	msr_pass(vcpu, MSR_IA32_TSC, true, false);	/* the offset applies to RDMSR too */
	/* Entries load the guest's value (SDM 3C 27.3.2.1). KVM as L1 reads it at every exit of its guest. */
	msr_pass(vcpu, MSR_IA32_DEBUGCTLMSR, true, false);
}

/* --- what a guest may not, or cannot, user space may do for it --- */

/* RDMSR by a guest: 0; -EPERM filtered, -ENOENT no such MSR, -EINVAL else. srcu held. */
int vcpu_guest_get_msr(struct vcpu *vcpu, u32 msr, u64 *data)
{
	return msr_allowed(vcpu, msr, KVM_MSR_FILTER_READ) ? vcpu_get_msr(vcpu, msr, data, false) : -EPERM;
}

/* WRMSR, likewise. */
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

/* User space has done it, or says that the guest is to get #GP(0). It may have moved the vCPU elsewhere, too. */
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
 * msr_refused() - a guest's RDMSR or WRMSR is not to be, or cannot be, done here
 * @vcpu: vcpu->exit is that exit; loaded
 * @err: what vcpu_guest_get_msr() or vcpu_guest_set_msr() said
 * @data: what WRMSR would have written
 *
 * User space gets it when it asked for this kind, else the guest #GP(0).
 *
 * Return: enum next.
 */
int msr_refused(struct vcpu *vcpu, int err, u64 data)
{
	struct kvm_run *run = vcpu->run;
	u32 reason = msr_exit_reason(err);

	if (likely(!(READ_ONCE(vcpu->vm->user_msr_reasons) & reason))) {
		vcpu_queue_exception_err(vcpu, X86_TRAP_GP, 0);
		return NEXT_ENTER;
	}
	run->exit_reason = vcpu->exit.basic == EXIT_REASON_MSR_READ ? KVM_EXIT_X86_RDMSR : KVM_EXIT_X86_WRMSR;
	memset(&run->msr, 0, sizeof(run->msr));
	run->msr.reason = reason;
	run->msr.index = vcpu->regs[RCX];
	run->msr.data = data;
	vcpu->resume_rip = vcpu_linear_rip(vcpu);
	vcpu->complete = msr_complete;
	return NEXT_USER;
}
