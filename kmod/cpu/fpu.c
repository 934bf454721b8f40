// SPDX-License-Identifier: GPL-2.0
/* The guest's FPU and extended state (SDM 1, 13): kept by the host kernel's own guest FPU containers. */
#include <linux/slab.h>
#include <asm/fpu/api.h>
#include <asm/fpu/xcr.h>
#include <asm/msr.h>
#include "droste.h"
#include "cpu/fpu.h"

static u64 host_xcr0;	/* constant after fpu_init() */
static u64 host_xss;

void fpu_init(void)
{
	if (!boot_cpu_has(X86_FEATURE_OSXSAVE))
		return;
	host_xcr0 = xgetbv(XCR_XFEATURE_ENABLED_MASK);
	if (boot_cpu_has(X86_FEATURE_XSAVES))
		rdmsrl(MSR_IA32_XSS, host_xss);
}

u64 fpu_supported_xcr0(void)
{
	return host_xcr0 & FPU_XCR0_OFFERED;
}

int fpu_create(struct vcpu *vcpu)
{
	vcpu->xcr0 = 1;		/* SDM 1, 13.3: after RESET only x87 is enabled */
	return fpu_alloc_guest_fpstate(&vcpu->guest_fpu) ? 0 : -ENOMEM;
}

void fpu_destroy(struct vcpu *vcpu)
{
	fpu_free_guest_fpstate(&vcpu->guest_fpu);
}

void fpu_enter(struct vcpu *vcpu)
{
	fpu_swap_kvm_fpstate(&vcpu->guest_fpu, true);
}

void fpu_leave(struct vcpu *vcpu)
{
	fpu_swap_kvm_fpstate(&vcpu->guest_fpu, false);
}

void fpu_assert(struct vcpu *vcpu)
{
	/* A softirq that used the FPU, or another thread, took the registers: load the guest's again. */
	if (unlikely(test_thread_flag(TIF_NEED_FPU_LOAD)))
		switch_fpu_return();
}

/*
 * The host saves and restores the guest's state with its own XCR0 and IA32_XSS;
 * the guest sees its own only while it runs. Components that the guest has not
 * enabled keep their values meanwhile.
 */
void fpu_load_guest_xcr(struct vcpu *vcpu)
{
	if (!host_xcr0)
		return;
	if (vcpu->xcr0 != host_xcr0)
		xsetbv(XCR_XFEATURE_ENABLED_MASK, vcpu->xcr0);
	if (vcpu->gcaps.xsaves && vcpu->xss != host_xss)
		wrmsrl(MSR_IA32_XSS, vcpu->xss);
}

void fpu_load_host_xcr(struct vcpu *vcpu)
{
	if (!host_xcr0)
		return;
	if (vcpu->xcr0 != host_xcr0)
		xsetbv(XCR_XFEATURE_ENABLED_MASK, host_xcr0);
	if (vcpu->gcaps.xsaves && vcpu->xss != host_xss)
		wrmsrl(MSR_IA32_XSS, host_xss);
}

/* Which sets of components XSETBV takes (SDM 1, 13.3). */
static bool fpu_xcr0_valid(u64 xcr0)
{
	const u64 avx512 = XFEATURE_MASK_AVX512;

	if (!(xcr0 & XFEATURE_MASK_FP))
		return false;
	if ((xcr0 & XFEATURE_MASK_YMM) && !(xcr0 & XFEATURE_MASK_SSE))
		return false;
	if (!(xcr0 & avx512))
		return true;
	return (xcr0 & avx512) == avx512 && (xcr0 & XFEATURE_MASK_YMM);
}

int vcpu_set_xcr(struct vcpu *vcpu, u32 index, u64 val)
{
	if (index != XCR_XFEATURE_ENABLED_MASK)
		return -EINVAL;
	/* A vCPU without XSAVE has x87 enabled as well, and user space restores that. */
	if (!fpu_xcr0_valid(val) || (val & ~(vcpu->gcaps.xcr0_allowed | XFEATURE_MASK_FP)))
		return -EINVAL;
	vcpu->xcr0 = val;
	return 0;
}

/* --- ioctls: the FPU is not in the registers, as no KVM_RUN is in progress --- */

static u64 fpu_user_components(void)
{
	/* Without XSAVE the layout is FXSAVE's, which the first two components describe. */
	return fpu_supported_xcr0() | XFEATURE_MASK_FPSSE;
}

/* The legacy area by way of the XSAVE one: the latter knows which parts are in their initial state. */
long vcpu_get_fpu(void *self, void *arg, unsigned long uarg)
{
	struct vcpu *vcpu = self;
	struct kvm_fpu *fpu = arg;
	struct xregs_state *x = kzalloc(vcpu->guest_fpu.uabi_size, GFP_KERNEL_ACCOUNT);

	if (!x)
		return -ENOMEM;
	fpu_copy_guest_fpstate_to_uabi(&vcpu->guest_fpu, x, vcpu->guest_fpu.uabi_size, fpu_user_components(), 0);
	memcpy(fpu->fpr, x->i387.st_space, sizeof(fpu->fpr));
	memcpy(fpu->xmm, x->i387.xmm_space, sizeof(fpu->xmm));
	fpu->fcw = x->i387.cwd;
	fpu->fsw = x->i387.swd;
	fpu->ftwx = x->i387.twd;
	fpu->last_opcode = x->i387.fop;
	fpu->last_ip = x->i387.rip;
	fpu->last_dp = x->i387.rdp;
	fpu->mxcsr = x->i387.mxcsr;
	kfree(x);
	return 0;
}

long vcpu_set_fpu(void *self, void *arg, unsigned long uarg)
{
	struct vcpu *vcpu = self;
	const struct kvm_fpu *fpu = arg;
	struct xregs_state *x = kzalloc(vcpu->guest_fpu.uabi_size, GFP_KERNEL_ACCOUNT);
	u32 pkru = 0;
	long ret;

	if (!x)
		return -ENOMEM;
	fpu_copy_guest_fpstate_to_uabi(&vcpu->guest_fpu, x, vcpu->guest_fpu.uabi_size, fpu_user_components(), 0);
	memcpy(x->i387.st_space, fpu->fpr, sizeof(fpu->fpr));
	memcpy(x->i387.xmm_space, fpu->xmm, sizeof(fpu->xmm));
	x->i387.cwd = fpu->fcw;
	x->i387.swd = fpu->fsw;
	x->i387.twd = fpu->ftwx;
	x->i387.fop = fpu->last_opcode;
	x->i387.rip = fpu->last_ip;
	x->i387.rdp = fpu->last_dp;
	/* User space that never heard of MXCSR leaves it 0 only if it means 0: the API has no mask for it. */
	x->i387.mxcsr = fpu->mxcsr;
	x->header.xfeatures = (x->header.xfeatures | XFEATURE_MASK_FPSSE) & fpu_user_components();
	ret = fpu_copy_uabi_to_guest_fpstate(&vcpu->guest_fpu, x, fpu_user_components(), &pkru);
	kfree(x);
	return ret;
}

/* KVM_GET_XSAVE and KVM_GET_XSAVE2: the latter's buffer is as large as KVM_CAP_XSAVE2 says, which is the same. */
long vcpu_get_xsave(void *self, void *arg, unsigned long uarg)
{
	struct vcpu *vcpu = self;

	fpu_copy_guest_fpstate_to_uabi(&vcpu->guest_fpu, arg, sizeof(struct kvm_xsave), fpu_user_components(), 0);
	return 0;
}

long vcpu_set_xsave(void *self, void *arg, unsigned long uarg)
{
	struct vcpu *vcpu = self;
	u32 pkru = 0;

	return fpu_copy_uabi_to_guest_fpstate(&vcpu->guest_fpu, arg, fpu_user_components(), &pkru);
}

long vcpu_get_xcrs(void *self, void *arg, unsigned long uarg)
{
	struct vcpu *vcpu = self;
	struct kvm_xcrs *xcrs = arg;

	if (!host_xcr0)
		return -EINVAL;
	xcrs->nr_xcrs = 1;
	xcrs->xcrs[0].xcr = XCR_XFEATURE_ENABLED_MASK;
	xcrs->xcrs[0].value = vcpu->xcr0;
	return 0;
}

long vcpu_set_xcrs(void *self, void *arg, unsigned long uarg)
{
	struct vcpu *vcpu = self;
	const struct kvm_xcrs *xcrs = arg;
	u32 i;

	if (!host_xcr0 || xcrs->nr_xcrs > KVM_MAX_XCRS || xcrs->flags)
		return -EINVAL;
	for (i = 0; i < xcrs->nr_xcrs; i++) {
		if (xcrs->xcrs[i].xcr == XCR_XFEATURE_ENABLED_MASK)
			return vcpu_set_xcr(vcpu, XCR_XFEATURE_ENABLED_MASK, xcrs->xcrs[i].value);
	}
	return 0;
}
