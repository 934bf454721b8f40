// SPDX-License-Identifier: GPL-2.0
/* What any part asks of vCPUs and of the run loop: requests, kicks, NMIs, a yield, the end of KVM_RUN or of the VM. */
#include <linux/pid.h>
#include <linux/sched.h>
#include <linux/sched/task.h>
#include <linux/smp.h>
#include "droste.h"
#include "run/request.h"

/* The vCPU whose VMCS is current for the thread on this CPU, or NULL. Written by sched.c with preemption disabled. */
DEFINE_PER_CPU(struct vcpu *, request_loaded_vcpu);

struct vcpu *vcpu_running(struct vm *vm)
{
	struct vcpu *vcpu;

	/* Wherever the thread is moved to afterwards, its vCPU is the same. */
	preempt_disable();
	vcpu = this_cpu_read(request_loaded_vcpu);
	preempt_enable();
	return vcpu && vcpu->vm == vm ? vcpu : NULL;
}

/* --- vCPUs that wait for one another --- */

static bool request_yield_to(struct vcpu *to)
{
	struct task_struct *task;
	bool done = false;

	rcu_read_lock();
	task = get_pid_task(rcu_dereference(to->pid), PIDTYPE_PID);
	rcu_read_unlock();
	if (task) {
		done = yield_to(task, true) > 0;
		put_task_struct(task);
	}
	return done;
}

void vcpu_spins(struct vcpu *vcpu)
{
	struct vm *vm = vcpu->vm;
	int i, n = smp_load_acquire(&vm->nr_vcpus);	/* after the slots of vm->vcpus */

	/* From the next one round, so that the first is not always first. */
	for (i = 1; i < n; i++) {
		struct vcpu *other = vm->vcpus[(vcpu->index + i) % n];

		if (READ_ONCE(other->preempted) && request_yield_to(other))
			return;
	}
}

void vcpu_yields_to(struct vcpu *vcpu, u32 id)
{
	struct vm *vm = vcpu->vm;
	int i, n = smp_load_acquire(&vm->nr_vcpus);	/* after the slots of vm->vcpus */

	for (i = 0; i < n; i++) {
		struct vcpu *other = vm->vcpus[i];

		if (other->id == id && other != vcpu && READ_ONCE(other->preempted))
			request_yield_to(other);
	}
}

/* --- asking a vCPU for something --- */

void vcpu_kick(struct vcpu *vcpu)
{
	int cpu;

	swake_up_one(&vcpu->wq);
	cpu = get_cpu();
	/* Pairs with the barrier between setting mode and looking at requests in enter(). */
	smp_mb();
	if (READ_ONCE(vcpu->mode) == VCPU_IN_GUEST) {
		int target = READ_ONCE(vcpu->cpu);

		if (target >= 0 && target != cpu && cpu_online(target))
			smp_send_reschedule(target);
	}
	put_cpu();
}

static void request_seen(void *unused)
{
}

/**
 * vm_request_all - ask all vCPUs of a VM, and wait until none is in the guest without knowing
 * @vm: the VM
 * @req: what to ask
 *
 * Does not sleep; interrupts on. The IPI that is waited for makes each vCPU
 * leave the guest, and a vCPU looks at its requests before it enters again.
 */
void vm_request_all(struct vm *vm, enum vcpu_request req)
{
	/* Pairs with the release that publishes a vCPU: its pointer is there when it counts. */
	int i, n = smp_load_acquire(&vm->nr_vcpus);

	for (i = 0; i < n; i++)
		vcpu_request(vm->vcpus[i], req);
	/* Pairs with the barrier in enter(). */
	smp_mb();
	preempt_disable();
	for (i = 0; i < n; i++) {
		struct vcpu *vcpu = vm->vcpus[i];
		int cpu = READ_ONCE(vcpu->cpu);

		swake_up_one(&vcpu->wq);
		if (READ_ONCE(vcpu->mode) == VCPU_IN_GUEST && cpu >= 0 && cpu != smp_processor_id())
			smp_call_function_single(cpu, request_seen, NULL, 1);
	}
	preempt_enable();
}

void vm_kill(struct vm *vm)
{
	WRITE_ONCE(vm->dead, true);
	vm_request_all(vm, REQ_DEAD);
}

void vcpu_inject_nmi(struct vcpu *vcpu)
{
	atomic_inc(&vcpu->ev.nmi_queued);
	vcpu_request(vcpu, REQ_EVENT);
	vcpu_kick(vcpu);
}

/* --- leaving to user space --- */

int vcpu_triple_fault(struct vcpu *vcpu)
{
	vcpu->ev.triple_fault = false;
	vcpu->run->exit_reason = KVM_EXIT_SHUTDOWN;
	return NEXT_USER;
}

int vcpu_internal_error(struct vcpu *vcpu, u32 suberror, const u64 *data, u32 ndata)
{
	struct kvm_run *run = vcpu->run;
	u32 i;

	run->exit_reason = KVM_EXIT_INTERNAL_ERROR;
	run->internal.suberror = suberror;
	run->internal.ndata = ndata;
	for (i = 0; i < ndata; i++)
		run->internal.data[i] = data[i];
	return NEXT_USER;
}

/* As KVM has it, which tells the address and the CPU too. */
int vcpu_delivery_error(struct vcpu *vcpu)
{
	const struct vmx_exit *exit = &vcpu->exit;
	const u64 data[] = { exit->idt_info, exit->reason, exit->qual, exit->gpa, vcpu->cpu };

	return vcpu_internal_error(vcpu, KVM_INTERNAL_ERROR_DELIVERY_EV, data, ARRAY_SIZE(data));
}
