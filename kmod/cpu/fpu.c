// SPDX-License-Identifier: GPL-2.0
/* The guest's FPU and extended state (SDM 1, 13). The host kernel's struct fpu_guest holds it. */
#include <linux/slab.h>
#include <asm/fpu/api.h>
#include <asm/fpu/xcr.h>
#include <asm/msr.h>
#include <asm/special_insns.h>
#include "droste.h"
#include "cpu/fpu.h"
#include "cpu/pool.h"

u64 fpu_host_xcr0, fpu_host_xss;	/* constant after fpu_init() */
static u64 offered_xcr0;	/* constant after fpu_init() */
static u32 pkru_offset;		/* of PKRU in an XSAVE area; constant after fpu_init() */
bool fpu_is_plain;

/**
 * fpu_init() - read which extended state the host uses
 *
 * Context: Process context, at load. Must be called before any other function
 * of this file.
 */
void fpu_init(void)
{
	u32 size, ecx, edx;

	if (!boot_cpu_has(X86_FEATURE_OSXSAVE))
		return;
	fpu_host_xcr0 = xgetbv(XCR_XFEATURE_ENABLED_MASK);
	offered_xcr0 = fpu_host_xcr0 & FPU_XCR0_OFFERED;
	/* RDPKRU needs CR4.PKE, and L0 switches PKRU with it. */
	cpuid_count(XSTATE_CPUID, XFEATURE_PKRU, &size, &pkru_offset, &ecx, &edx);
	if (!boot_cpu_has(X86_FEATURE_OSPKE) || pkru_offset > sizeof(struct kvm_xsave) - sizeof(u32))
		offered_xcr0 &= ~(u64)XFEATURE_MASK_PKRU;
	if (boot_cpu_has(X86_FEATURE_XSAVES))
		rdmsrl(MSR_IA32_XSS, fpu_host_xss);
	/* The kernel has its areas in the format of XSAVES if the processor has it. The last is a bug of AMD's processors. */
	fpu_is_plain = boot_cpu_has(X86_FEATURE_XSAVES) && !boot_cpu_has(X86_FEATURE_XFD) &&
		       !boot_cpu_has_bug(X86_BUG_FXSAVE_LEAK);
}

/**
 * fpu_supported_xcr0() - the XCR0 components that guests can be offered
 *
 * Context: Any.
 * Return: the components of FPU_XCR0_OFFERED that this host has enabled; 0 if
 * it has no XSAVE.
 */
u64 fpu_supported_xcr0(void)
{
	return offered_xcr0;
}

/**
 * fpu_create() - allocate the FPU state of a new vCPU
 * @vcpu: a new vCPU
 *
 * Context: Process context. May sleep.
 * Return: 0 or -ENOMEM.
 */
int fpu_create(struct vcpu *vcpu)
{
	vcpu->xcr0 = 1;		/* SDM 1, 13.3: after RESET only x87 is enabled */
	return fpu_alloc_guest_fpstate(&vcpu->guest_fpu) ? 0 : -ENOMEM;
}

/**
 * fpu_destroy() - free the FPU state of a vCPU
 * @vcpu: no longer in use
 *
 * Context: Process context. May sleep.
 */
void fpu_destroy(struct vcpu *vcpu)
{
	fpu_free_guest_fpstate(&vcpu->guest_fpu);
}

/**
 * fpu_load_guest_xcr() - load the guest's XCR0, IA32_XSS and PKRU
 * @vcpu: loaded
 *
 * The guest's values are loaded only while the guest runs. The host saves and
 * restores the guest's state with the host's values, so components that the
 * guest has not enabled are preserved.
 *
 * Context: Called with interrupts disabled, right before an entry.
 */
void fpu_load_guest_xcr(struct vcpu *vcpu)
{
	if (!fpu_host_xcr0)
		return;
	if (vcpu->xcr0 != fpu_host_xcr0)
		xsetbv(XCR_XFEATURE_ENABLED_MASK, vcpu->xcr0);
	if (vcpu->gcaps.xsaves && vcpu->xss != fpu_host_xss)
		wrmsrl(MSR_IA32_XSS, vcpu->xss);
	if (unlikely(vcpu->pkru_used)) {
		vcpu->host_pkru = rdpkru();
		if (vcpu->host_pkru != vcpu->pkru)
			wrpkru(vcpu->pkru);
	}
}

/**
 * fpu_load_host_xcr() - load the host's XCR0, IA32_XSS and PKRU again
 * @vcpu: loaded
 *
 * Context: Called with interrupts disabled, right after an exit.
 */
void fpu_load_host_xcr(struct vcpu *vcpu)
{
	if (!fpu_host_xcr0)
		return;
	/* PKRU applies to the host's accesses to user memory, too (SDM 3A 4.6.2). */
	if (unlikely(vcpu->pkru_used)) {
		vcpu->pkru = rdpkru();
		if (vcpu->host_pkru != vcpu->pkru)
			wrpkru(vcpu->host_pkru);
	}
	if (vcpu->xcr0 != fpu_host_xcr0)
		xsetbv(XCR_XFEATURE_ENABLED_MASK, fpu_host_xcr0);
	if (vcpu->gcaps.xsaves && vcpu->xss != fpu_host_xss)
		wrmsrl(MSR_IA32_XSS, fpu_host_xss);
}

/* Does XSETBV accept this set of components (SDM 1, 13.3)? */
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

/**
 * vcpu_set_xcr() - set an extended control register, as XSETBV does
 * @vcpu: need not be loaded
 * @index: number of the register; only XCR0 exists
 * @val: new value
 *
 * Context: Process context. Caller holds vcpu->mutex. SDM 1, 13.3.
 * Return: 0, or -EINVAL if XSETBV raises #GP(0).
 */
int vcpu_set_xcr(struct vcpu *vcpu, u32 index, u64 val)
{
	if (index != XCR_XFEATURE_ENABLED_MASK)
		return -EINVAL;
	/* x87 is enabled in a vCPU without XSAVE, too, and user space restores that value. */
	if (!fpu_xcr0_valid(val) || (val & ~(vcpu->gcaps.xcr0_allowed | XFEATURE_MASK_FP)))
		return -EINVAL;
	vcpu->xcr0 = val;
	/* XRSTOR and XRSTORS load PKRU even while CR4.PKE is clear. */
	if (val & XFEATURE_MASK_PKRU)
		vcpu->pkru_used = true;
	return 0;
}

/* --- ioctls: vcpu->mutex excludes KVM_RUN, so the guest's state is not in the registers --- */

static u64 fpu_user_components(void)
{
	/* Without XSAVE the area has the layout of FXSAVE, which is that of x87 and SSE. */
	return fpu_supported_xcr0() | XFEATURE_MASK_FPSSE;	/* PKRU is in vcpu->pkru */
}

/*
 * Those that the guest can have. The state of another, such as PKRU, which the host always has, would keep it from hosts
 * that lack the component.
 */
static u64 fpu_vcpu_components(const struct vcpu *vcpu)
{
	u64 most = vcpu->cpuid ? vcpu->gcaps.xcr0_allowed : pool_most(vcpu->vm->pool)->xcr0;

	return (most & fpu_user_components()) | XFEATURE_MASK_FPSSE;
}

/*
 * Fill the XSAVE area of @size bytes with these components. The kernel gives PKRU only if the value that it has saved, which
 * is the thread's, is in use.
 */
static void fpu_export(struct vcpu *vcpu, struct xregs_state *x, unsigned int size, u64 components)
{
	fpu_copy_guest_fpstate_to_uabi(&vcpu->guest_fpu, x, size, components, vcpu->pkru);
	x->header.xfeatures &= components;
	if ((components & XFEATURE_MASK_PKRU) && vcpu->pkru) {
		x->header.xfeatures |= XFEATURE_MASK_PKRU;
		*(u32 *)((u8 *)x + pkru_offset) = vcpu->pkru;
	}
}

/**
 * vcpu_get_fpu() - KVM_GET_FPU
 * @self: the vCPU; need not be loaded
 * @arg: struct kvm_fpu, filled
 * @uarg: unused
 *
 * The state is read through the XSAVE layout, which says which components are
 * in their initial state.
 *
 * Context: Process context. May sleep. Caller holds vcpu->mutex.
 * Return: 0 or -ENOMEM.
 */
long vcpu_get_fpu(void *self, void *arg, unsigned long uarg)
{
	struct vcpu *vcpu = self;
	struct kvm_fpu *fpu = arg;
	struct xregs_state *x = kzalloc(vcpu->guest_fpu.uabi_size, GFP_KERNEL_ACCOUNT);

	if (!x)
		return -ENOMEM;
	fpu_export(vcpu, x, vcpu->guest_fpu.uabi_size, fpu_user_components());
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

/**
 * vcpu_set_fpu() - KVM_SET_FPU
 * @self: the vCPU; need not be loaded
 * @arg: struct kvm_fpu
 * @uarg: unused
 *
 * Context: Process context. May sleep. Caller holds vcpu->mutex.
 * Return: 0; -ENOMEM; -EINVAL for reserved bits of MXCSR.
 */
long vcpu_set_fpu(void *self, void *arg, unsigned long uarg)
{
	struct vcpu *vcpu = self;
	const struct kvm_fpu *fpu = arg;
	struct xregs_state *x = kzalloc(vcpu->guest_fpu.uabi_size, GFP_KERNEL_ACCOUNT);
	long ret;

	if (!x)
		return -ENOMEM;
	fpu_export(vcpu, x, vcpu->guest_fpu.uabi_size, fpu_user_components());
	memcpy(x->i387.st_space, fpu->fpr, sizeof(fpu->fpr));
	memcpy(x->i387.xmm_space, fpu->xmm, sizeof(fpu->xmm));
	x->i387.cwd = fpu->fcw;
	x->i387.swd = fpu->fsw;
	x->i387.twd = fpu->ftwx;
	x->i387.fop = fpu->last_opcode;
	x->i387.rip = fpu->last_ip;
	x->i387.rdp = fpu->last_dp;
	/* The API cannot say that MXCSR is absent: 0 means 0. */
	x->i387.mxcsr = fpu->mxcsr;
	x->header.xfeatures = (x->header.xfeatures | XFEATURE_MASK_FPSSE) & fpu_user_components();
	ret = fpu_copy_uabi_to_guest_fpstate(&vcpu->guest_fpu, x, fpu_user_components(), &vcpu->pkru);
	kfree(x);
	return ret;
}

/**
 * vcpu_get_xsave() - KVM_GET_XSAVE and KVM_GET_XSAVE2
 * @self: the vCPU; need not be loaded
 * @arg: struct kvm_xsave, filled; KVM_CAP_XSAVE2 reports the same size
 * @uarg: unused
 *
 * Context: Process context. Caller holds vcpu->mutex.
 * Return: 0.
 */
long vcpu_get_xsave(void *self, void *arg, unsigned long uarg)
{
	struct vcpu *vcpu = self;

	fpu_export(vcpu, arg, sizeof(struct kvm_xsave), fpu_vcpu_components(vcpu));
	return 0;
}

/**
 * vcpu_set_xsave() - KVM_SET_XSAVE
 * @self: the vCPU; need not be loaded
 * @arg: struct kvm_xsave
 * @uarg: unused
 *
 * Context: Process context. Caller holds vcpu->mutex.
 * Return: 0, or -EINVAL for components that are not offered and for reserved
 * bits.
 */
long vcpu_set_xsave(void *self, void *arg, unsigned long uarg)
{
	struct vcpu *vcpu = self;

	return fpu_copy_uabi_to_guest_fpstate(&vcpu->guest_fpu, arg, fpu_user_components(), &vcpu->pkru);
}

/**
 * vcpu_get_xcrs() - KVM_GET_XCRS
 * @self: the vCPU; need not be loaded
 * @arg: struct kvm_xcrs, filled
 * @uarg: unused
 *
 * Context: Process context. Caller holds vcpu->mutex.
 * Return: 0, or -EINVAL if the host has no XSAVE.
 */
long vcpu_get_xcrs(void *self, void *arg, unsigned long uarg)
{
	struct vcpu *vcpu = self;
	struct kvm_xcrs *xcrs = arg;

	if (!fpu_host_xcr0)
		return -EINVAL;
	xcrs->nr_xcrs = 1;
	xcrs->xcrs[0].xcr = XCR_XFEATURE_ENABLED_MASK;
	xcrs->xcrs[0].value = vcpu->xcr0;
	return 0;
}

/**
 * vcpu_set_xcrs() - KVM_SET_XCRS
 * @self: the vCPU; need not be loaded
 * @arg: struct kvm_xcrs; registers other than XCR0 are ignored
 * @uarg: unused
 *
 * Context: Process context. Caller holds vcpu->mutex.
 * Return: 0; -EINVAL if the host has no XSAVE, or for flags, for too many
 * registers, and for a value that XSETBV refuses.
 */
long vcpu_set_xcrs(void *self, void *arg, unsigned long uarg)
{
	struct vcpu *vcpu = self;
	const struct kvm_xcrs *xcrs = arg;
	u32 i;

	if (!fpu_host_xcr0 || xcrs->nr_xcrs > KVM_MAX_XCRS || xcrs->flags)
		return -EINVAL;
	for (i = 0; i < xcrs->nr_xcrs; i++) {
		if (xcrs->xcrs[i].xcr == XCR_XFEATURE_ENABLED_MASK)
			return vcpu_set_xcr(vcpu, XCR_XFEATURE_ENABLED_MASK, xcrs->xcrs[i].value);
	}
	return 0;
}
