/* SPDX-License-Identifier: GPL-2.0 */
/* The hypercall with a list of operations: who is offered it, and calls of guests. */
#ifndef KSFT_MULTICALL_H
#define KSFT_MULTICALL_H

#include <linux/droste_para.h>
#include "guest.h"

#define OP_SEND_IPI	10	/* KVM_HC_SEND_IPI */
#define OP_SCHED_YIELD	11	/* KVM_HC_SCHED_YIELD */

struct vcpu;

enum multicall_offer {
	OFFER_PLAIN,		/* by Droste's signature, as the device does */
	OFFER_HIDDEN,		/* not by Droste's leaf */
	OFFER_BEHIND_KVM,	/* by Droste's signature behind KVM's */
	OFFER_KVM_ALONE,	/* not: the signature is KVM's */
};

/* Sets a vCPU's CPUID. Skips the subtest on a device that has nothing to offer. */
void multicall_offer(struct vcpu *vcpu, enum multicall_offer offer);

/* Executes the VMCALL. The outcome is that of TRY(); *result is RAX. */
static inline u64 try_multicall(u64 gpa, s64 *result)
{
	u64 f, rax = DROSTE_MULTICALL;

	asm volatile(TRY("vmcall") "mov %%r11, %0" : "=r" (f), "+a" (rax) : "b" (gpa) : "r11", "memory", "cc");
	*result = rax;
	return f;
}

static inline s64 multicall(struct droste_multicall *list)
{
	u64 rax = DROSTE_MULTICALL;

	asm volatile("vmcall" : "+a" (rax) : "b" (list) : "memory");
	return rax;
}

/* Appends an operation. */
static inline struct droste_multicall_entry *multicall_add(struct droste_multicall *list, u64 op, u64 a0, u64 a1, u64 a2)
{
	struct droste_multicall_entry *e = &list->e[list->n++];

	*e = (struct droste_multicall_entry) { .op = op, .a = { a0, a1, a2 }, .ret = -1 };
	return e;
}

static inline u64 next_random(u64 *x)
{
	*x ^= *x << 13;
	*x ^= *x >> 7;
	*x ^= *x << 17;
	return *x;
}

#endif
