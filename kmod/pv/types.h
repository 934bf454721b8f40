/* SPDX-License-Identifier: GPL-2.0 */
/* Types of the paravirtual interfaces that struct vcpu contains. */
#ifndef DROSTE_PV_TYPES_H
#define DROSTE_PV_TYPES_H

#include <linux/types.h>

/* kvmclock of a vCPU. Owner: the vCPU's thread. */
struct kvmclock {
	u64 system_time;	/* MSR_KVM_SYSTEM_TIME: address of the guest's time structure; bit 0: enabled */
	bool stopped;		/* KVM_KVMCLOCK_CTRL: the next update sets PVCLOCK_GUEST_STOPPED */
};

/* Stolen time of a vCPU. Owner: the vCPU's thread. */
struct steal_time {
	u64 msr;	/* MSR_KVM_STEAL_TIME: address of the guest's record; bit 0: enabled */
	u64 seen;	/* ns that the thread had waited for a CPU until the last update */
	bool preempted;	/* the record says that the vCPU does not run; written with preemption disabled */
};

/* Paravirtual EOI of a vCPU. Owner: the vCPU's thread. */
struct pv_eoi {
	u64 msr;	/* MSR_KVM_PV_EOI_EN: address of the guest's byte; bit 0: enabled */
	bool offered;	/* the guest may end its interrupt by a store; always false outside the guest */
	/* The slot with the byte, for this generation of the slots; NULL: not known. Used under vm->srcu. */
	const struct memslot *slot;
	u64 slots;
};

#endif
