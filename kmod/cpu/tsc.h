/* SPDX-License-Identifier: GPL-2.0 */
/* A vCPU's time-stamp counter: the host's times a ratio, plus an offset. SDM 3C 25.6.5, 26.3. */
#ifndef DROSTE_TSC_H
#define DROSTE_TSC_H

#include <linux/math64.h>
#include <linux/types.h>
#include <asm/tsc.h>

struct vm;
struct vcpu;

#define TSC_RATIO_BITS	48			/* fraction bits of the TSC multiplier */
#define TSC_RATIO_ONE	(1ULL << TSC_RATIO_BITS)

static inline u64 tsc_scale(u64 tsc, u64 ratio)
{
	return ratio == TSC_RATIO_ONE ? tsc : mul_u64_u64_shr(tsc, ratio, TSC_RATIO_BITS);
}

/* Of a VM; members under offset_lock of tsc.c but where they say otherwise. */
struct vm_tsc {
	u64 offset;		/* that of new vCPUs, and of those that user space sets alike: so they agree */
	u32 offset_khz;		/* the rate of the vCPUs that it is for */
	u32 khz;		/* KVM_SET_TSC_KHZ: what new vCPUs get; vm->lock, read without */
	u64 round;		/* counts the offsets that user space has set; 0: none */
};

/* Of a vCPU; owner: its thread. */
struct vcpu_tsc {
	u64 offset;		/* L1's counter minus the host's scaled one */
	u64 ratio;		/* L1's counter runs so many times as fast as the host's; TSC_RATIO_ONE without scaling */
	u32 khz;		/* the rate that user space was told or chose */
	u64 round;		/* the VM's when user space set it last, 0: never; under offset_lock of tsc.c */
};

void tsc_init_vm(struct vm *vm);
void tsc_init_vcpu(struct vcpu *vcpu);		/* not loaded; its VMCS01 is not made yet */
u64 tsc_now_scaled(const struct vcpu *vcpu);	/* L1's counter without the offset: what runs at L1's rate */
u64 tsc_of_l1(const struct vcpu *vcpu);		/* L1's counter now */
u64 tsc_rate(const struct vcpu *vcpu);		/* kHz that L1's counter really runs at; never 0 */
void tsc_set_offset(struct vcpu *vcpu, u64 offset);	/* L1's; loaded, in any level */
void tsc_set_by_user(struct vcpu *vcpu, u64 tsc);	/* KVM_SET_MSRS; loaded */

/* ioctl handlers */
long vm_get_tsc_khz(void *self, void *arg, unsigned long uarg);
long vm_set_tsc_khz(void *self, void *arg, unsigned long uarg);
long vcpu_get_tsc_khz(void *self, void *arg, unsigned long uarg);
long vcpu_set_tsc_khz(void *self, void *arg, unsigned long uarg);
long vcpu_has_attr(void *self, void *arg, unsigned long uarg);
long vcpu_get_attr(void *self, void *arg, unsigned long uarg);
long vcpu_set_attr(void *self, void *arg, unsigned long uarg);

#endif
