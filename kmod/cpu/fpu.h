/* SPDX-License-Identifier: GPL-2.0 */
/* The guest's FPU and extended state: loading it into the registers, and access for user space. */
#ifndef DROSTE_FPU_H
#define DROSTE_FPU_H

#include <linux/types.h>

struct vcpu;

/* Components of XCR0 that a guest may be offered (SDM 1, 13.1): x87, SSE, AVX, AVX-512, PKRU. */
#define FPU_XCR0_OFFERED	(GENMASK_ULL(2, 0) | GENMASK_ULL(7, 5) | BIT_ULL(9))

void fpu_init(void);
u64 fpu_supported_xcr0(void);
int fpu_create(struct vcpu *vcpu);
void fpu_destroy(struct vcpu *vcpu);

/* Called by the run loop: for the whole of a KVM_RUN, then around each entry. */
void fpu_enter(struct vcpu *vcpu);
void fpu_leave(struct vcpu *vcpu);
void fpu_assert(struct vcpu *vcpu);
void fpu_load_guest_xcr(struct vcpu *vcpu);
void fpu_load_host_xcr(struct vcpu *vcpu);

int vcpu_set_xcr(struct vcpu *vcpu, u32 index, u64 val);

/* vCPU ioctl handlers: see abi/dev.h */
long vcpu_get_fpu(void *self, void *arg, unsigned long uarg);
long vcpu_set_fpu(void *self, void *arg, unsigned long uarg);
long vcpu_get_xsave(void *self, void *arg, unsigned long uarg);
long vcpu_set_xsave(void *self, void *arg, unsigned long uarg);
long vcpu_get_xcrs(void *self, void *arg, unsigned long uarg);
long vcpu_set_xcrs(void *self, void *arg, unsigned long uarg);

#endif
