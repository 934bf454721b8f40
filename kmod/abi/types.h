/* SPDX-License-Identifier: GPL-2.0 */
/* Counters that user space reads through KVM_GET_STATS_FD, and nothing else reads. */
#ifndef DROSTE_STATS_H
#define DROSTE_STATS_H

#include <linux/types.h>

/* Of a VM; incremented by any thread. */
struct vm_stats {
	atomic64_t remote_tlb_flush;	/* EPT01 lost mappings, and all vCPUs were made to forget them */
};

/* Of a vCPU; written by its thread. What struct vcpu counts anyway is not here. */
struct vcpu_stats {
	u64 mmio_exits;			/* left to user space, KVM_EXIT_MMIO */
	u64 signal_exits;		/* KVM_RUN ended with EINTR */
	u64 irq_injections;
	u64 nmi_injections;
	u64 nested_run;			/* VM entries of L1 that succeeded */
	u64 halt_attempted_poll;	/* waits that began with a poll */
	u64 halt_successful_poll;	/* of them, those that ended with it */
	u64 halt_poll_success_ns, halt_poll_fail_ns;	/* time polled */
	u64 halt_wakeup;		/* waits that ended with a sleep */
	u64 halt_wait_ns;		/* time slept */
	u64 blocking;			/* 1: it sleeps now */
};

#endif
