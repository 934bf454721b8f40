/* SPDX-License-Identifier: GPL-2.0 */
/* kvmclock of one vCPU. */
#ifndef DROSTE_KVMCLOCK_H
#define DROSTE_KVMCLOCK_H

#include <linux/types.h>

struct vm;
struct vcpu;

/* Owner: the vCPU's thread. */
struct kvmclock {
	u64 system_time;	/* MSR_KVM_SYSTEM_TIME: where the guest wants its time, bit 0: at all */
	bool stopped;		/* to be told with the next update: KVM_KVMCLOCK_CTRL */
};

/* The bits of KVM's feature leaf that stand for it. */
#define KVMCLOCK_FEATURES	(BIT(KVM_FEATURE_CLOCKSOURCE) | BIT(KVM_FEATURE_CLOCKSOURCE2))

u64 kvmclock_now(struct vm *vm);	/* the VM's clock, ns */
long vm_get_clock(void *self, void *arg, unsigned long uarg);
long vm_set_clock(void *self, void *arg, unsigned long uarg);
void kvmclock_update(struct vcpu *vcpu);
long vcpu_kvmclock_ctrl(void *self, void *arg, unsigned long uarg);

#endif
