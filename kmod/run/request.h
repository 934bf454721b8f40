/* SPDX-License-Identifier: GPL-2.0 */
/* Requests: the only way in which a lower part calls upon the run loop. Depends on droste.h alone. */
#ifndef DROSTE_RUN_REQUEST_H
#define DROSTE_RUN_REQUEST_H

#include "droste.h"

/**
 * vcpu_request() - ask a vCPU for work before its next entry
 * @vcpu: any vCPU of a VM that the caller keeps alive
 * @req: the work
 *
 * The vCPU is neither interrupted nor woken: call vcpu_kick() for that. Store
 * the data that the request is about before the call; a barrier orders the
 * store before the request.
 *
 * Context: Any.
 */
static inline void vcpu_request(struct vcpu *vcpu, enum vcpu_request req)
{
	smp_mb__before_atomic();	/* pairs with the xchg() in requests_do() */
	set_bit(req, &vcpu->requests);
}

/**
 * vm_wants_barriers() - whether a WBINVD is a barrier (run/barrier.c), which only the general way of an exit can carry out
 * @vm: any VM that the caller keeps alive
 *
 * Context: Any.
 * Return: the answer, which may change at once; a WBINVD before the change is none of the barriers after it.
 */
static inline bool vm_wants_barriers(const struct vm *vm)
{
	return READ_ONCE(vm->logged) || READ_ONCE(vm->barrier.exits);
}

/**
 * vcpu_stay_calm() - let the next entry do without a look at events
 * @vcpu: the vCPU, whose exit is being handled
 *
 * For a handler that has touched nothing on which events depend, or whose changes make a request: no register of a local
 * APIC, and no part of the state of the vCPU but general registers, RIP, and MSRs that no event depends on. A trap after the
 * instruction is queued with a request, and so are events from outside; the run loop looks at events then. It also does
 * after an ioctl of the vCPU. L2's events are always looked at.
 *
 * Context: Process context. Caller holds vcpu->mutex.
 */
static inline void vcpu_stay_calm(struct vcpu *vcpu)
{
	vcpu->calm = !vcpu->in_l2;
}

void vcpu_kick(struct vcpu *vcpu);
void vm_request_all(struct vm *vm, enum vcpu_request req);
void vcpu_inject_nmi(struct vcpu *vcpu);

/* --- the vCPU of the calling thread --- */
DECLARE_PER_CPU(struct vcpu *, request_loaded_vcpu);
struct vcpu *vcpu_running(struct vm *vm);

/* --- vCPUs that wait for one another --- */
bool vcpu_spins(struct vcpu *vcpu);
void vcpu_yields_to(struct vcpu *vcpu, u32 id);

/* --- KVM_RUN or the VM must end --- */
void vm_kill(struct vm *vm);
int vcpu_triple_fault(struct vcpu *vcpu);
int vcpu_internal_error(struct vcpu *vcpu, u32 suberror, const u64 *data, u32 ndata);
int vcpu_delivery_error(struct vcpu *vcpu);

#endif
