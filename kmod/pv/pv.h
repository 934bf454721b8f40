/* SPDX-License-Identifier: GPL-2.0 */
/* What KVM offers its guests besides the clock: stolen time and hypercalls. */
#ifndef DROSTE_PV_H
#define DROSTE_PV_H

#include <linux/types.h>

struct vcpu;

/* Owner: the vCPU's thread. */
struct steal_time {
	u64 msr;	/* MSR_KVM_STEAL_TIME: where the guest wants it, bit 0: at all */
	u64 seen;	/* ns that the thread had waited for a CPU at the last update */
};

/* Does this kernel know how long a thread waited for a CPU? */
#define STEAL_TIME_WORKS	IS_ENABLED(CONFIG_SCHED_INFO)

/* All that Droste offers of KVM's feature leaf. */
#define PV_FEATURES	(KVMCLOCK_FEATURES | BIT(KVM_FEATURE_PV_SCHED_YIELD) | \
			 (STEAL_TIME_WORKS ? BIT(KVM_FEATURE_STEAL_TIME) : 0))

void steal_time_update(struct vcpu *vcpu);	/* REQ_STEAL; srcu held, may sleep */
bool pv_takes_hypercalls(const struct vcpu *vcpu);	/* VMCALL is a hypercall, and not as the SDM has it */
long pv_hypercall(struct vcpu *vcpu);		/* RAX's new value; at CPL 0 */
bool pv_fix_hypercall(struct vcpu *vcpu);	/* L1's #UD: true when it was VMMCALL and is answered; srcu held */
long vcpu_enable_cap(void *self, void *arg, unsigned long uarg);

#endif
