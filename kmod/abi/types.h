/* SPDX-License-Identifier: GPL-2.0 */
/* Counters that only KVM_GET_STATS_FD reads. */
#ifndef DROSTE_ABI_TYPES_H
#define DROSTE_ABI_TYPES_H

#include <linux/types.h>

/* Counters of a VM; any thread increments them. */
struct vm_stats {
	atomic64_t remote_tlb_flush;	/* flushes of all vCPUs' TLBs because EPT01 lost mappings */
};

/* Counters of a vCPU, beside those in struct vcpu; only its thread writes them. */
struct vcpu_stats {
	u64 mmio_exits;			/* exits to user space with KVM_EXIT_MMIO */
	u64 signal_exits;		/* KVM_RUN calls that ended with EINTR */
	u64 irq_injections;
	u64 nmi_injections;
	u64 nested_run;			/* L1's VM entries that succeeded */
	u64 short_exits;		/* exits that the short loop has handled: see run/loop.c */
	u64 clustered;			/* L1's VMREADs and VMWRITEs that L0 executed without an exit of their own */
	u64 directed_yield_attempted;	/* vCPUs that this one has tried to let run in its place */
	u64 directed_yield_successful;	/* those of them that the scheduler has let run */
	atomic64_t directed_yield_received;	/* how often another vCPU has let this one run; that one's thread counts */
	u64 pause_l0_yields;		/* exits of L2's PAUSE loops that were kept from L1, because another vCPU could run */
	u64 halt_attempted_poll;	/* waits that began with polling */
	u64 halt_successful_poll;	/* those of them that ended while polling */
	u64 halt_poll_success_ns, halt_poll_fail_ns;	/* time spent polling */
	u64 halt_wakeup;		/* waits that ended by a wakeup from sleep */
	u64 halt_wait_ns;		/* time spent asleep */
	u64 blocking;			/* 1 while the vCPU sleeps, else 0 */
};

#endif
