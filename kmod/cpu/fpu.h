/* SPDX-License-Identifier: GPL-2.0 */
/* The guest's FPU and extended state: loading it into the registers, and access for user space. */
#ifndef DROSTE_FPU_H
#define DROSTE_FPU_H

#include <linux/irqflags.h>
#include <linux/jiffies.h>
#include <linux/thread_info.h>
#include <linux/types.h>
#include <asm/asm.h>
#include <asm/fpu/api.h>
#include <asm/fpu/xstate.h>
#include "droste.h"

/* Components of XCR0 that a guest may be offered (SDM 1, 13.1): x87, SSE, AVX, AVX-512, PKRU. */
#define FPU_XCR0_OFFERED	(GENMASK_ULL(2, 0) | GENMASK_ULL(7, 5) | BIT_ULL(9))

void fpu_init(void);
u64 fpu_supported_xcr0(void);
int fpu_create(struct vcpu *vcpu);
void fpu_destroy(struct vcpu *vcpu);

/* Called by the run loop around each entry. */
void fpu_load_guest_xcr(struct vcpu *vcpu);
void fpu_load_host_xcr(struct vcpu *vcpu);

extern u64 fpu_host_xcr0, fpu_host_xss;	/* the host's XCR0 and IA32_XSS; 0 if it has none */

extern bool fpu_is_plain;	/* constant after fpu_init(): fpu_exchange() may be used */

/*
 * Exchange the FPU state in the registers: save it to @out, and load @in. The caller has disabled interrupts; both areas
 * have the format of XSAVES, and hold @features. PKRU is saved, but not loaded: the kernel switches it on its own.
 */
static __always_inline void fpu_exchange_regs(struct fpstate *out, struct fpstate *in, u64 features)
{
	u64 load = features & XFEATURE_MASK_FPSTATE;

	asm volatile("xsaves64 %0" : "+m" (out->regs.xsave) : "a" ((u32)features), "d" ((u32)(features >> 32)) : "memory");
	/* If the processor refuses the area, the kernel loads the initial state, and warns. */
	asm volatile("1: xrstors64 %0\n"
		     "2:\n" _ASM_EXTABLE_TYPE(1b, 2b, EX_TYPE_FPU_RESTORE)
		     : : "m" (in->regs.xsave), "a" ((u32)load), "d" ((u32)(load >> 32)) : "memory");
}

/**
 * fpu_exchange() - do what fpu_swap_kvm_fpstate() does, if that is simple
 * @vcpu: the vCPU
 * @enter: load the guest's state, not that of the thread
 *
 * The kernel's rules for thread.fpu, which this function keeps:
 * - While TIF_NEED_FPU_LOAD is clear, the registers hold the state that belongs to
 *   fpu->fpstate, the CPU's owner of the registers is this struct fpu, and
 *   fpu->last_cpu is this CPU. Owner and CPU are the same before and after the exchange.
 * - Registers, flag and pointer change together for all who may look: another thread
 *   after a context switch, and softirqs that use the FPU. Disabled interrupts exclude
 *   both, as fpregs_lock() does.
 * - fpu->__task_fpstate is the thread's state while the guest's is in force, and
 *   in_use tells that the guest's is.
 * - /proc shows when a thread used AVX-512 last, by the state that was saved.
 *
 * The kernel's function is called if the flag is set, because the state is in memory
 * then; for states with different features; and, by fpu_is_plain, on processors with
 * XFD, whose MSR is exchanged with the state, or without XSAVES.
 *
 * Context: Process context, interrupts enabled.
 * Return: false if nothing was done, and fpu_swap_kvm_fpstate() must be called.
 */
static __always_inline bool fpu_exchange(struct vcpu *vcpu, bool enter)
{
#ifdef COMPAT_FPU_OF_THREAD
	struct fpu *fpu = COMPAT_FPU_OF_THREAD;
	struct fpstate *out, *in;
	u64 features;

	if (unlikely(!fpu_is_plain))
		return false;
	local_irq_disable();
	out = fpu->fpstate;
	in = enter ? vcpu->guest_fpu.fpstate : fpu->__task_fpstate;
	features = out->xfeatures;
	if (likely(!test_thread_flag(TIF_NEED_FPU_LOAD) && in->xfeatures == features)) {
		fpu_exchange_regs(out, in, features);
		if (out->regs.xsave.header.xfeatures & XFEATURE_MASK_AVX512)
			fpu->avx512_timestamp = jiffies;
		fpu->fpstate = in;
		fpu->__task_fpstate = enter ? out : NULL;
		vcpu->guest_fpu.fpstate->in_use = enter;
		local_irq_enable();
		return true;
	}
	local_irq_enable();
	return false;
#else
	return false;
#endif
}

/**
 * fpu_enter() - load the guest's FPU state into the registers, for one KVM_RUN
 * @vcpu: loaded
 *
 * Context: Process context. Caller holds vcpu->mutex and calls fpu_leave()
 * from the same thread.
 */
static __always_inline void fpu_enter(struct vcpu *vcpu)
{
	if (unlikely(!fpu_exchange(vcpu, true)))
		fpu_swap_kvm_fpstate(&vcpu->guest_fpu, true);
}

/**
 * fpu_leave() - save the guest's FPU state and load that of the thread
 * @vcpu: loaded; fpu_enter() was called
 *
 * Context: Process context. Caller holds vcpu->mutex.
 */
static __always_inline void fpu_leave(struct vcpu *vcpu)
{
	if (unlikely(!fpu_exchange(vcpu, false)))
		fpu_swap_kvm_fpstate(&vcpu->guest_fpu, false);
}

/**
 * fpu_assert() - make sure that the guest's FPU state is in the registers
 * @vcpu: loaded, between fpu_enter() and fpu_leave()
 *
 * Context: Called with interrupts disabled, right before an entry.
 */
static inline void fpu_assert(struct vcpu *vcpu)
{
	/* A softirq or another thread has used the FPU registers since: load the guest's state again. */
	if (unlikely(test_thread_flag(TIF_NEED_FPU_LOAD)))
		switch_fpu_return();
}

/**
 * fpu_xcr_differs() - whether the guest runs with another XCR0, IA32_XSS or PKRU than the host
 * @vcpu: the vCPU; caller holds its mutex
 *
 * Context: Any.
 * Return: true if an entry needs fpu_load_guest_xcr(), and its exit fpu_load_host_xcr().
 */
static inline bool fpu_xcr_differs(const struct vcpu *vcpu)
{
	return vcpu->xcr0 != fpu_host_xcr0 || (vcpu->gcaps.xsaves && vcpu->xss != fpu_host_xss) || vcpu->pkru_used;
}

int vcpu_set_xcr(struct vcpu *vcpu, u32 index, u64 val);

/* vCPU ioctl handlers: see abi/dev.h */
long vcpu_get_fpu(void *self, void *arg, unsigned long uarg);
long vcpu_set_fpu(void *self, void *arg, unsigned long uarg);
long vcpu_get_xsave(void *self, void *arg, unsigned long uarg);
long vcpu_set_xsave(void *self, void *arg, unsigned long uarg);
long vcpu_get_xcrs(void *self, void *arg, unsigned long uarg);
long vcpu_set_xcrs(void *self, void *arg, unsigned long uarg);

#endif
