/* SPDX-License-Identifier: GPL-2.0 */
/* A vCPU's time-stamp counter: the host's TSC times a ratio, plus an offset. SDM 3C 25.6.5, 26.3. */
#ifndef DROSTE_TSC_H
#define DROSTE_TSC_H

#include "cpu/types.h"

struct vm;
struct vcpu;

bool tsc_has_rate(u32 khz);
void tsc_init_vm(struct vm *vm);
void tsc_init_vcpu(struct vcpu *vcpu);
void tsc_set_offset(struct vcpu *vcpu, u64 offset);
void tsc_set_by_user(struct vcpu *vcpu, u64 tsc);

/* ioctl handlers: see abi/dev.h */
long vm_get_tsc_khz(void *self, void *arg, unsigned long uarg);
long vm_set_tsc_khz(void *self, void *arg, unsigned long uarg);
long vcpu_get_tsc_khz(void *self, void *arg, unsigned long uarg);
long vcpu_set_tsc_khz(void *self, void *arg, unsigned long uarg);
long vcpu_has_attr(void *self, void *arg, unsigned long uarg);
long vcpu_get_attr(void *self, void *arg, unsigned long uarg);
long vcpu_set_attr(void *self, void *arg, unsigned long uarg);

#endif
