// SPDX-License-Identifier: GPL-2.0
/* What a vCPU does for the requests that other threads, the scheduler and its own handlers have made: see run/request.h. */
#include <linux/ratelimit.h>
#include <linux/sched/signal.h>
#include "droste.h"
#include "cpu/msr.h"
#include "ept/ept.h"
#include "io/ports.h"
#include "irqchip/irqchip.h"
#include "mem/dirty.h"
#include "nested/nested.h"
#include "pv/kvmclock.h"
#include "pv/stealtime.h"
#include "run/handlers.h"
#include "run/request.h"
#include "run/run.h"
#include "vmx/inject.h"
#include "vmx/vmx.h"

/*
 * The dirty ring was nearly full when REQ_RING_FULL was made. If it still is,
 * user space must collect entries before the guest writes more. If entries were
 * lost, the dirty log is useless, and so is the VM.
 */
static int requests_ring_full(struct vcpu *vcpu)
{
	if (unlikely(vcpu->ring.lost)) {
		pr_info_ratelimited("droste: a dirty ring overflowed: the record of written pages is incomplete\n");
		vm_kill(vcpu->vm);
		return -EIO;
	}
	if (!dirty_ring_soft_full(vcpu))
		return NEXT_ENTER;
	vcpu_request(vcpu, REQ_RING_FULL);
	vcpu->run->exit_reason = KVM_EXIT_DIRTY_RING_FULL;
	return NEXT_USER;
}

/* Wait for the end of barriers. Returns @req, the requests that have been taken, with those that are left to carry out. */
static noinline unsigned long requests_wait(struct vcpu *vcpu, unsigned long req, int *srcu)
{
	if (!barrier_wait(vcpu, srcu))
		req &= ~BIT(REQ_BARRIER);
	/*
	 * The wait has let go of vm->srcu, which protects what vcpu->ports points to until the entry. Other requests that have
	 * come meanwhile can wait until the entry sees them.
	 */
	if (test_and_clear_bit(REQ_PORTS, &vcpu->requests))
		req |= BIT(REQ_PORTS);
	return req;
}

/* The requests that write to guest memory. */
#define MEMORY_REQUESTS	(BIT(REQ_STEAL) | BIT(REQ_CLOCK))

static void requests_again(struct vcpu *vcpu, unsigned long req)
{
	enum vcpu_request r;

	for (r = 0; r < NR_REQUESTS; r++)
		if (req & BIT(r))
			vcpu_request(vcpu, r);
}

/* The requests for an exit to user space. */
#define EXIT_REQUESTS	(BIT(REQ_DEBUG) | BIT(REQ_SPLIT_EOI) | BIT(REQ_RING_FULL) | BIT(REQ_BARRIER))

/* Carry out the first of some EXIT_REQUESTS. kvm_run holds one exit: the others are requested again. */
static int requests_report(struct vcpu *vcpu, unsigned long req)
{
	enum vcpu_request first = __ffs(req);

	requests_again(vcpu, req & ~BIT(first));
	switch (first) {
	case REQ_DEBUG:
		return exit_debug_trap(vcpu);
	case REQ_RING_FULL:
		return requests_ring_full(vcpu);
	case REQ_BARRIER:
		return barrier_report(vcpu);
	default:
		vcpu->run->exit_reason = KVM_EXIT_IOAPIC_EOI;
		vcpu->run->eoi.vector = vcpu->eoi_vector;
		return NEXT_USER;
	}
}

/**
 * requests_do() - carry out all requests, step 1 of run/loop.c
 * @vcpu: loaded
 * @srcu: index of vm->srcu
 *
 * REQ_EVENT needs no code: it only keeps loop_enter() from entering before
 * loop_turn() has looked at events again.
 *
 * Context: Process context. May sleep. Caller holds vcpu->mutex, and vm->srcu
 * for reading. The current VMCS is that of the running level.
 * Return: the new index of vm->srcu, and: NEXT_ENTER; NEXT_USER with vcpu->run
 * filled; -EIO if the VM is dead, or its dirty ring has overflowed; -EINTR if a signal came while a barrier kept the vCPU
 * out of the guest.
 */
struct loop_step requests_do(struct vcpu *vcpu, int srcu)
{
	struct loop_step step = { .ret = NEXT_ENTER, .srcu = srcu };
	/* Pairs with the barrier in vcpu_request(): the data of each request is visible now. */
	unsigned long req = xchg(&vcpu->requests, 0);
	bool held;

	/* All but these may be about an event. */
	if (req & ~(BIT(REQ_STEAL) | BIT(REQ_CLOCK)))
		vcpu->calm = false;
	if (req & BIT(REQ_DEAD) || READ_ONCE(vcpu->vm->dead)) {
		/* Stays set, for the next KVM_RUN. */
		vcpu_request(vcpu, REQ_DEAD);
		step.ret = -EIO;
		return step;
	}
	if (req & BIT(REQ_CPUID))
		vmx_update_cpuid_controls(vcpu);
	if (req & BIT(REQ_MSR_FILTER)) {
		msr_update_bitmap(vcpu);
		nested_remerge_bitmaps(vcpu);
	}
	if (req & BIT(REQ_TIMER)) {
		if (vcpu->lapic)
			vlapic_timer_request(vcpu);
	}
	if (req & BIT(REQ_UNPIN)) {
		vcpu->list_hint.page = 0;
		nested_unpin(vcpu);
	}
	if (req & BIT(REQ_VISIT))
		visit_receive(vcpu);
	if (req & BIT(REQ_PML))
		vmx_pml_update(vcpu);
	if (req & BIT(REQ_BLOCKING))
		vmx_fit_blocking(vcpu);
	/*
	 * Flushes act on the CPU that executes them. If the vCPU moves meanwhile,
	 * sched_on_cpu() requests flushes on the other one, and on this one when it
	 * comes back. So preemption stays enabled: ept01_flush() takes a lock that
	 * sleeps on a PREEMPT_RT kernel.
	 */
	if (req & BIT(REQ_EPT01_FLUSH))
		ept01_flush(vcpu);
	if (req & BIT(REQ_EPT01_FLUSH_LOCAL))
		vmx_invept_all();
	if (req & BIT(REQ_TLB_FLUSH_GUEST)) {
		vmx_invvpid_single(vcpu->vpid01);
		vmx_invvpid_single(vcpu->nested.vpid02);
	}
	if (unlikely(req & BIT(REQ_BARRIER)))
		req = requests_wait(vcpu, req, &step.srcu);
	/* After the wait. */
	if (req & BIT(REQ_PORTS)) {
		ports_take(vcpu);
		nested_remerge_ports(vcpu);
	}
	/* A barrier keeps the vCPU out of the guest, and memory as it is. */
	held = test_bit(REQ_BARRIER, &vcpu->requests);
	if (unlikely(held)) {
		requests_again(vcpu, req & MEMORY_REQUESTS);
		req &= ~MEMORY_REQUESTS;
	}
	if (req & BIT(REQ_STEAL))
		steal_time_update(vcpu);
	if (req & BIT(REQ_CLOCK))
		kvmclock_update(vcpu);
	/* Exits to user space come last, when all else is done. */
	if (unlikely(req & EXIT_REQUESTS))
		step.ret = requests_report(vcpu, req & EXIT_REQUESTS);
	/* Nor may an entry be prepared, which writes to memory, too. */
	if (unlikely(held) && step.ret == NEXT_ENTER && signal_pending(current)) {
		vcpu->run->exit_reason = KVM_EXIT_INTR;
		step.ret = -EINTR;
	}
	return step;
}
