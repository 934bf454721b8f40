/* SPDX-License-Identifier: GPL-2.0 */
/* The guest's FPU and extended state: when it is in the registers, and how user space reads and writes it. */
#ifndef DROSTE_FPU_H
#define DROSTE_FPU_H

#include <linux/types.h>

struct vcpu;

/* Components of XCR0 that a guest may be offered (SDM 1, 13.1): x87, SSE, AVX, AVX-512. */
#define FPU_XCR0_OFFERED	(BIT_ULL(0) | BIT_ULL(1) | BIT_ULL(2) | BIT_ULL(5) | BIT_ULL(6) | BIT_ULL(7))

void fpu_init(void);		/* what the host has; before any other of these */
u64 fpu_supported_xcr0(void);	/* of them, what this host has enabled; 0: no XSAVE */
int fpu_create(struct vcpu *vcpu);
void fpu_destroy(struct vcpu *vcpu);

/* The run loop's: guest state into the registers for the length of a KVM_RUN. Process context. */
void fpu_enter(struct vcpu *vcpu);
void fpu_leave(struct vcpu *vcpu);
/* Irqs off, right before an entry: an interrupt may have used the FPU since. */
void fpu_assert(struct vcpu *vcpu);
/* Irqs off, around the entry: XCR0 and IA32_XSS. */
void fpu_load_guest_xcr(struct vcpu *vcpu);
void fpu_load_host_xcr(struct vcpu *vcpu);

int vcpu_set_xcr(struct vcpu *vcpu, u32 index, u64 val);	/* XSETBV: 0, or -EINVAL for #GP(0) */

/* vCPU ioctl handlers: see dev.h */
long vcpu_get_fpu(void *self, void *arg, unsigned long uarg);
long vcpu_set_fpu(void *self, void *arg, unsigned long uarg);
long vcpu_get_xsave(void *self, void *arg, unsigned long uarg);
long vcpu_set_xsave(void *self, void *arg, unsigned long uarg);
long vcpu_get_xcrs(void *self, void *arg, unsigned long uarg);
long vcpu_set_xcrs(void *self, void *arg, unsigned long uarg);

#endif
