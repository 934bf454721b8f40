/* SPDX-License-Identifier: GPL-2.0 */
/* Hypercalls, and KVM_ENABLE_CAP of a vCPU. */
#ifndef DROSTE_PV_H
#define DROSTE_PV_H

#include <linux/types.h>

struct vcpu;

bool pv_takes_hypercalls(const struct vcpu *vcpu);
long pv_call(struct vcpu *vcpu, u64 nr, const u64 *a, bool wide);
long pv_hypercall(struct vcpu *vcpu);
bool pv_fix_hypercall(struct vcpu *vcpu);
long vcpu_enable_cap(void *self, void *arg, unsigned long uarg);

#endif
