// SPDX-License-Identifier: GPL-2.0
/* Loading a vCPU: preempt notifiers make its VMCS follow its thread from CPU to CPU. */
#include <linux/sched.h>
#include <asm/nospec-branch.h>
#include "droste.h"
#include "nested/nested.h"
#include "pv/stealtime.h"
#include "run/request.h"
#include "run/run.h"
#include "vmx/regs.h"
#include "vmx/vmx.h"

/*
 * The number of the vCPU that last ran on this CPU, 0 before the first; decides
 * whether an IBPB is needed. Not its address: a new vCPU may get that of an old
 * one. Accessed with preemption disabled.
 */
static DEFINE_PER_CPU(u64, sched_last_vcpu);

/* The thread of @vcpu came to this CPU: make its VMCS current here. Called with preemption disabled. */
static __always_inline void sched_on_cpu(struct vcpu *vcpu)
{
	int cpu = smp_processor_id();
	bool moved = vcpu->vmcs->cpu != cpu;

	if (unlikely(moved || this_cpu_read(current_vmcs) != vcpu->vmcs))
		vmcs_load(vcpu->vmcs);
	this_cpu_write(request_loaded_vcpu, vcpu);
	if (vcpu->nested.shadow_on)
		nested_shadow_on_cpu(vcpu);
	/* Branch predictions that one guest trained must not steer another. */
	if (this_cpu_read(sched_last_vcpu) != vcpu->serial) {
		this_cpu_write(sched_last_vcpu, vcpu->serial);
		indirect_branch_prediction_barrier();
	}
	if (moved)
		vmx_host_sync_cpu(vcpu->vmcs);
	if (vcpu->steal.msr)
		vcpu_request(vcpu, REQ_STEAL);
	if (vcpu->cpu != cpu) {
		/* The TLB of this CPU may hold stale mappings from an earlier stay of the vCPU (SDM 29.4.3.3). */
		vcpu_request(vcpu, REQ_EPT01_FLUSH_LOCAL);
		vcpu_request(vcpu, REQ_TLB_FLUSH_GUEST);
		if (vcpu->clock.system_time)
			vcpu_request(vcpu, REQ_CLOCK);
		if (vcpu->lapic && vcpu->cpu >= 0)
			vcpu_request(vcpu, REQ_TIMER);
		cpumask_set_cpu(cpu, vcpu->cached_on);
		vcpu->cpu = cpu;
	}
}

/* The thread of @vcpu leaves this CPU; the VMCS stays active here. Called with preemption disabled. */
static __always_inline void sched_off_cpu(struct vcpu *vcpu)
{
	if (vcpu->steal.msr)
		steal_time_preempted(vcpu);
	this_cpu_write(request_loaded_vcpu, NULL);
	vmx_host_restore(vcpu);
}

/**
 * sched_note_preempted() - note that a vCPU waits for a CPU, although it could run
 * @vcpu: loaded
 *
 * Context: Process context, thread of @vcpu. Reads the current VMCS.
 */
void sched_note_preempted(struct vcpu *vcpu)
{
	WRITE_ONCE(vcpu->preempted_in_kernel, !VMX_AR_DPL(vmcs_read(GUEST_SS_AR_BYTES)));
	WRITE_ONCE(vcpu->preempted, true);
	WRITE_ONCE(vcpu->ready, true);
}

static void sched_note_running(struct vcpu *vcpu)
{
	WRITE_ONCE(vcpu->preempted, false);
	WRITE_ONCE(vcpu->ready, false);
}

static void sched_in(struct preempt_notifier *pn, int cpu)
{
	struct vcpu *vcpu = container_of(pn, struct vcpu, pn);

	sched_on_cpu(vcpu);
	/* Other threads want this CPU, so the vCPU must not spin in vain. */
	if (vcpu->preempted)
		ple_shorter(vcpu);
	sched_note_running(vcpu);
}

static void sched_out(struct preempt_notifier *pn, struct task_struct *next)
{
	struct vcpu *vcpu = container_of(pn, struct vcpu, pn);

	if (task_is_running(current))
		sched_note_preempted(vcpu);
	sched_off_cpu(vcpu);
}

static struct preempt_ops sched_preempt_ops = { .sched_in = sched_in, .sched_out = sched_out };

/**
 * sched_init() - let the scheduler call preempt notifiers
 *
 * Context: Process context, once, when the module is loaded.
 */
void sched_init(void)
{
	preempt_notifier_inc();
}

/**
 * sched_exit() - undo sched_init()
 *
 * Context: Process context, when the module is unloaded; no vCPU is left.
 */
void sched_exit(void)
{
	preempt_notifier_dec();
}

/**
 * sched_init_vcpu() - prepare a new vCPU for vcpu_load()
 * @vcpu: a new vCPU
 *
 * Context: Process context.
 */
void sched_init_vcpu(struct vcpu *vcpu)
{
	preempt_notifier_init(&vcpu->pn, &sched_preempt_ops);
}

/**
 * vcpu_load() - bind a vCPU to the calling thread
 * @vcpu: the vCPU; caller holds its mutex, or nobody else can reach it yet
 *
 * Until vcpu_put() the current VMCS of every CPU on which the thread runs is
 * that of the vCPU, so its fields can be read and written with preemption enabled.
 *
 * Context: Process context. vcpu_put() must follow in the same thread.
 */
void vcpu_load(struct vcpu *vcpu)
{
	preempt_disable();
	preempt_notifier_register(&vcpu->pn);
	sched_on_cpu(vcpu);
	sched_note_running(vcpu);
	preempt_enable();
}

/**
 * vcpu_put() - undo vcpu_load()
 * @vcpu: the vCPU, loaded by the calling thread
 *
 * Writes cached registers to the VMCS and gives the host its state back.
 *
 * Context: Process context. Caller holds vcpu->mutex, or nobody else can reach the vCPU yet.
 */
void vcpu_put(struct vcpu *vcpu)
{
	preempt_disable();
	/* Cached registers are valid only while the vCPU is loaded: other code reads the VMCS itself. */
	vmx_flush_regs(vcpu);
	vcpu->reg_avail = 0;
	/* An ioctl that changes L1's registers need not think of it. */
	vcpu->nested.held01.valid = false;
	nested_changed(&vcpu->nested);
	/* Nor one that changes what EPT12's entries may have. */
	vcpu->nested.ept02.place.eptp12 = 0;
	sched_off_cpu(vcpu);
	preempt_notifier_unregister(&vcpu->pn);
	preempt_enable();
}
