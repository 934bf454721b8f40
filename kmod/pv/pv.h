/* SPDX-License-Identifier: GPL-2.0 */
/* Hypercalls, and KVM_ENABLE_CAP of a vCPU. */
#ifndef DROSTE_PV_H
#define DROSTE_PV_H

#include <linux/kvm_para.h>
#include "droste.h"
#include "irqchip/irqchip.h"

bool pv_takes_hypercalls(const struct vcpu *vcpu);
long pv_call(struct vcpu *vcpu, u64 nr, const u64 *a, bool wide);
long pv_hypercall(struct vcpu *vcpu);
bool pv_fix_hypercall(struct vcpu *vcpu);
long vcpu_enable_cap(void *self, void *arg, unsigned long uarg);

static inline bool pv_has(const struct vcpu *vcpu, unsigned int feature)
{
	return vcpu->gcaps.kvm_features & BIT(feature);
}

/**
 * pv_send_ipi() - KVM_HC_SEND_IPI
 * @vcpu: loaded, in L1 at CPL 0
 * @low: the first argument, a map of APIC IDs; and so on
 * @high: the second
 * @min: the third
 * @icr: the fourth
 * @wide: arguments of 64 bits, not 32
 *
 * Context: Process context. Caller holds vcpu->mutex.
 * Return: as pv_call().
 */
static inline long pv_send_ipi(struct vcpu *vcpu, u64 low, u64 high, u64 min, u64 icr, bool wide)
{
	return pv_has(vcpu, KVM_FEATURE_PV_SEND_IPI) ? irqchip_send_ipis(vcpu, low, high, min, wide ? 64 : 32, icr) : -KVM_ENOSYS;
}

#endif
