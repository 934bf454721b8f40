// SPDX-License-Identifier: GPL-2.0
/* Being on a CPU: a vCPU's VMCS follows its thread from CPU to CPU, by the scheduler's preempt notifiers. */
#include <asm/nospec-branch.h>
#include "droste.h"
#include "run/request.h"
#include "run/run.h"
#include "vmx/regs.h"
#include "vmx/vmx.h"

/* Who ran last on a CPU: branch predictions of one guest must not steer another. That CPU, preemption off. */
static DEFINE_PER_CPU(struct vcpu *, sched_last_vcpu);

/* The vCPU's VMCS becomes current here; preemption is off. */
static void sched_on_cpu(struct vcpu *vcpu)
{
	int cpu = smp_processor_id();
	bool moved = vcpu->vmcs->cpu != cpu;

	vmcs_load(vcpu->vmcs);
	this_cpu_write(request_loaded_vcpu, vcpu);
	nested_shadow_on_cpu(vcpu);
	if (this_cpu_read(sched_last_vcpu) != vcpu) {
		this_cpu_write(sched_last_vcpu, vcpu);
		indirect_branch_prediction_barrier();
	}
	if (moved)
		vmx_host_sync_cpu(vcpu->vmcs);
	if (vcpu->steal.msr)
		vcpu_request(vcpu, REQ_STEAL);
	if (vcpu->cpu != cpu) {
		/* What this CPU's TLB holds of the vCPU is from an earlier stay (SDM 29.4.3.3). */
		vcpu_request(vcpu, REQ_EPT01_FLUSH_LOCAL);
		vcpu_request(vcpu, REQ_TLB_FLUSH_GUEST);
		if (vcpu->clock.system_time)
			vcpu_request(vcpu, REQ_CLOCK);
		if (vcpu->lapic && vcpu->cpu >= 0)
			vcpu_request(vcpu, REQ_TIMER);
		vcpu->cpu = cpu;
	}
}

static void sched_off_cpu(struct vcpu *vcpu)
{
	this_cpu_write(request_loaded_vcpu, NULL);
	vmx_host_restore(vcpu);
}

static void sched_in(struct preempt_notifier *pn, int cpu)
{
	struct vcpu *vcpu = container_of(pn, struct vcpu, pn);

	WRITE_ONCE(vcpu->preempted, false);
	sched_on_cpu(vcpu);
}

static void sched_out(struct preempt_notifier *pn, struct task_struct *next)
{
	struct vcpu *vcpu = container_of(pn, struct vcpu, pn);

	WRITE_ONCE(vcpu->preempted, task_is_running(current));
	sched_off_cpu(vcpu);
}

static struct preempt_ops sched_preempt_ops = { .sched_in = sched_in, .sched_out = sched_out };

/* The scheduler's hook for vCPU threads; once for the module. */
void sched_init(void)
{
	preempt_notifier_inc();
}

void sched_exit(void)
{
	preempt_notifier_dec();
}

/**
 * vcpu_load - make the vCPU's VMCS current for the calling thread, wherever it is scheduled
 * @vcpu: with its mutex held
 *
 * Process context. Undone by vcpu_put() in the same thread.
 */
void vcpu_load(struct vcpu *vcpu)
{
	preempt_disable();
	preempt_notifier_init(&vcpu->pn, &sched_preempt_ops);
	preempt_notifier_register(&vcpu->pn);
	sched_on_cpu(vcpu);
	preempt_enable();
}

void vcpu_put(struct vcpu *vcpu)
{
	preempt_disable();
	/* Other ioctls read the VMCS directly: nothing may stay cached beyond the load. */
	vmx_flush_regs(vcpu);
	vcpu->reg_avail = 0;
	sched_off_cpu(vcpu);
	preempt_notifier_unregister(&vcpu->pn);
	preempt_enable();
}
