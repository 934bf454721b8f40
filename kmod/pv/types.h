/* SPDX-License-Identifier: GPL-2.0 */
/* Types of the paravirtual interfaces that struct vcpu contains. */
#ifndef DROSTE_PV_TYPES_H
#define DROSTE_PV_TYPES_H

#include <linux/types.h>

/* kvmclock of a vCPU. Owner: the vCPU's thread. */
struct kvmclock {
	u64 system_time;	/* MSR_KVM_SYSTEM_TIME: where the guest wants its time, bit 0: at all */
	bool stopped;		/* to be told with the next update: KVM_KVMCLOCK_CTRL */
};

/* Stolen time of a vCPU. Owner: the vCPU's thread. */
struct steal_time {
	u64 msr;	/* MSR_KVM_STEAL_TIME: where the guest wants it, bit 0: at all */
	u64 seen;	/* ns that the thread had waited for a CPU at the last update */
};

#endif
