/* SPDX-License-Identifier: GPL-2.0 */
/* The guest's FPU and extended state: loading it into the registers, and access for user space. */
#ifndef DROSTE_FPU_H
#define DROSTE_FPU_H

#include <linux/thread_info.h>
#include <linux/types.h>
#include <asm/fpu/api.h>
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

/**
 * fpu_enter() - load the guest's FPU state into the registers, for one KVM_RUN
 * @vcpu: loaded
 *
 * Context: Process context. Caller holds vcpu->mutex and calls fpu_leave()
 * from the same thread.
 */
static inline void fpu_enter(struct vcpu *vcpu)
{
	fpu_swap_kvm_fpstate(&vcpu->guest_fpu, true);
}

/**
 * fpu_leave() - save the guest's FPU state and load that of the thread
 * @vcpu: loaded; fpu_enter() was called
 *
 * Context: Process context. Caller holds vcpu->mutex.
 */
static inline void fpu_leave(struct vcpu *vcpu)
{
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
