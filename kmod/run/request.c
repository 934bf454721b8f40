// SPDX-License-Identifier: GPL-2.0
/* Requests to vCPUs and to the run loop: work, kicks, NMIs, a yield, the end of KVM_RUN or of the VM. */
#include <linux/moduleparam.h>
#include <linux/pid.h>
#include <linux/sched.h>
#include <linux/sched/task.h>
#include <linux/smp.h>
#include "droste.h"
#include "run/request.h"

/* The vCPU that the thread on this CPU has loaded, or NULL. Written by sched.c with preemption disabled. */
DEFINE_PER_CPU(struct vcpu *, request_loaded_vcpu);

/**
 * vcpu_running() - find the vCPU that the calling thread has loaded
 * @vm: the VM that the vCPU must belong to
 *
 * Context: Process context, preemption enabled or disabled. Does not sleep.
 * Return: the vCPU; NULL if the thread has loaded none, or one of another VM.
 */
struct vcpu *vcpu_running(struct vm *vm)
{
	struct vcpu *vcpu;

	/* The answer stays right if the thread is migrated: its vCPU moves with it. */
	preempt_disable();
	vcpu = this_cpu_read(request_loaded_vcpu);
	preempt_enable();
	return vcpu && vcpu->vm == vm ? vcpu : NULL;
}

/* --- vCPUs that wait for one another --- */

static bool directed_yield = true;
module_param(directed_yield, bool, 0644);
MODULE_PARM_DESC(directed_yield, "A vCPU in a PAUSE loop chooses the vCPU that runs in its place; 0: the scheduler does");

/* A vCPU in a PAUSE loop gives up if the scheduler has refused so many others: each CPU has one task then. */
#define REQUEST_REFUSALS	3

/*
 * Gives the CPU to the thread that last ran @to. Returns 1 if @to runs next, 0 if it
 * cannot, a negative errno if the scheduler sees no use in it.
 */
static int request_yield_to(struct vcpu *vcpu, struct vcpu *to)
{
	struct task_struct *task;
	int ret = 0;

	rcu_read_lock();
	task = get_pid_task(rcu_dereference(to->pid), PIDTYPE_PID);
	rcu_read_unlock();
	if (!task)
		return 0;
	vcpu->stats.directed_yield_attempted++;
	ret = yield_to(task, true);
	put_task_struct(task);
	if (ret <= 0)
		return ret;
	vcpu->stats.directed_yield_successful++;
	atomic64_inc(&to->stats.directed_yield_received);
	return 1;
}

/*
 * Whether @other may hold the lock that a vCPU spins for. It waits for a CPU, was
 * not preempted in user mode, which holds no lock of a kernel, and does not spin
 * itself. One that spins may have got the lock by now, so every second vCPU that
 * asks lets it run.
 */
static bool request_may_hold_lock(struct vcpu *other)
{
	bool boost;

	if (!READ_ONCE(other->ready))
		return false;
	if (READ_ONCE(other->preempted) && !READ_ONCE(other->preempted_in_kernel))
		return false;
	if (!READ_ONCE(other->spinning))
		return true;
	boost = READ_ONCE(other->boost_spinner);
	WRITE_ONCE(other->boost_spinner, !boost);
	return boost;
}

/* Lets one vCPU of the VM run that may hold the lock. Begins behind the last that was chosen, so that all get their turn. */
static bool request_boost_holder(struct vcpu *vcpu)
{
	struct vm *vm = vcpu->vm;
	int i, n = smp_load_acquire(&vm->nr_vcpus);	/* after the slots of vm->vcpus */
	int last = READ_ONCE(vm->last_boosted), refusals = 0;

	for (i = 1; i <= n && refusals < REQUEST_REFUSALS; i++) {
		int at = (last + i) % n, ret;
		struct vcpu *other = vm->vcpus[at];

		if (other == vcpu || !request_may_hold_lock(other))
			continue;
		ret = request_yield_to(vcpu, other);
		if (ret > 0) {
			WRITE_ONCE(vm->last_boosted, at);
			return true;
		}
		refusals += ret < 0;
	}
	return false;
}

/**
 * vcpu_spins() - let a vCPU run that waits for a CPU, while another one spins
 * @vcpu: the vCPU that spins at CPL 0, probably for a lock that the other one holds
 *
 * Context: Process context, thread of @vcpu. May sleep.
 * Return: true if another vCPU was given the CPU. With directed_yield=0 nobody knows whether one was, and it is false.
 */
bool vcpu_spins(struct vcpu *vcpu)
{
	bool done = false;

	WRITE_ONCE(vcpu->boost_spinner, false);
	WRITE_ONCE(vcpu->spinning, true);
	if (likely(READ_ONCE(directed_yield)))
		done = request_boost_holder(vcpu);
	else
		yield();
	WRITE_ONCE(vcpu->spinning, false);
	return done;
}

/**
 * vcpu_yields_to() - let one vCPU that waits for a CPU run in place of the caller
 * @vcpu: the vCPU that yields
 * @id: ID of the vCPU to run; nothing happens unless it exists and waits for a CPU
 *
 * Context: Process context, thread of @vcpu. May sleep.
 */
void vcpu_yields_to(struct vcpu *vcpu, u32 id)
{
	struct vm *vm = vcpu->vm;
	int i, n = smp_load_acquire(&vm->nr_vcpus);	/* after the slots of vm->vcpus */

	for (i = 0; i < n; i++) {
		struct vcpu *other = vm->vcpus[i];

		if (other->id == id && other != vcpu && READ_ONCE(other->ready))
			request_yield_to(vcpu, other);
	}
}

/* --- requests and kicks --- */

/**
 * vcpu_kick() - make a vCPU look at its requests and events now
 * @vcpu: any vCPU of a VM that the caller keeps alive
 *
 * A vCPU that waits in halt_wait() is woken; one that is in the guest is made to
 * exit by an IPI. Store the reason, a request for instance, before the call.
 * The vCPU's own thread neither waits nor is in the guest while it executes this.
 *
 * Context: Any but NMI. Does not wait for the vCPU.
 */
void vcpu_kick(struct vcpu *vcpu)
{
	int cpu;

	/* An interrupt handler may have come between the thread's last look at its requests and the wait or the entry. */
	if (in_task() && this_cpu_read(request_loaded_vcpu) == vcpu)
		return;
	if (READ_ONCE(vcpu->stats.blocking))
		WRITE_ONCE(vcpu->ready, true);
	swake_up_one(&vcpu->wq);
	cpu = get_cpu();
	/* Pairs with the barrier between setting mode and reading requests in loop_enter(). */
	smp_mb();
	if (READ_ONCE(vcpu->mode) == VCPU_IN_GUEST) {
		int target = READ_ONCE(vcpu->cpu);

		if (target >= 0 && target != cpu && cpu_online(target))
			smp_send_reschedule(target);
	}
	put_cpu();
}

/* Does nothing: the IPI alone makes the vCPU leave the guest. */
static void request_seen(void *unused)
{
}

/**
 * vm_request_all() - make a request to every vCPU of a VM
 * @vm: the VM
 * @req: the request
 *
 * On return no vCPU executes guest code without having seen the request: the
 * function waits for an IPI that takes each running vCPU out of the guest, and
 * a vCPU looks at its requests before it enters again. Halted vCPUs are woken.
 *
 * Context: Interrupts enabled. Does not sleep.
 */
void vm_request_all(struct vm *vm, enum vcpu_request req)
{
	/* Pairs with the release that counts a new vCPU: its slot of vm->vcpus is set before. */
	int i, n = smp_load_acquire(&vm->nr_vcpus);

	for (i = 0; i < n; i++)
		vcpu_request(vm->vcpus[i], req);
	/* Pairs with the barrier in loop_enter(). */
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

/**
 * vm_kill() - declare a VM broken for good
 * @vm: the VM
 *
 * From now on KVM_RUN and all other ioctls of the VM fail with EIO.
 *
 * Context: Interrupts enabled. Does not sleep.
 */
void vm_kill(struct vm *vm)
{
	WRITE_ONCE(vm->dead, true);
	vm_request_all(vm, REQ_DEAD);
}

/**
 * vcpu_inject_nmi() - send an NMI to a vCPU
 * @vcpu: any vCPU of a VM that the caller keeps alive
 *
 * Context: Any but NMI.
 */
void vcpu_inject_nmi(struct vcpu *vcpu)
{
	atomic_inc(&vcpu->ev.nmi_queued);
	vcpu_request(vcpu, REQ_EVENT);
	vcpu_kick(vcpu);
}

/* --- leaving to user space --- */

/**
 * vcpu_triple_fault() - end KVM_RUN with KVM_EXIT_SHUTDOWN
 * @vcpu: the vCPU with the triple fault; caller holds its mutex
 *
 * Context: Process context. Does not sleep.
 * Return: NEXT_USER.
 */
int vcpu_triple_fault(struct vcpu *vcpu)
{
	vcpu->ev.triple_fault = false;
	vcpu->run->exit_reason = KVM_EXIT_SHUTDOWN;
	return NEXT_USER;
}

/**
 * vcpu_internal_error() - end KVM_RUN with KVM_EXIT_INTERNAL_ERROR
 * @vcpu: the vCPU; caller holds its mutex
 * @suberror: KVM_INTERNAL_ERROR_*
 * @data: words that describe the error; may be NULL if @ndata is 0
 * @ndata: number of words, at most 16
 *
 * Context: Process context. Does not sleep.
 * Return: NEXT_USER.
 */
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

/**
 * vcpu_delivery_error() - report an exit that L0 cannot handle because an event was being delivered
 * @vcpu: the vCPU, with that exit in vcpu->exit; caller holds its mutex
 *
 * For L1, the words and their order are those of KVM's KVM_INTERNAL_ERROR_DELIVERY_EV.
 * An L2 whose IDT or stack is a device shuts down: L1 sees the triple fault
 * that follows from an IDT without valid gates, and goes on.
 *
 * Context: Process context. Does not sleep.
 * Return: NEXT_USER, for L2 NEXT_ENTER.
 */
int vcpu_delivery_error(struct vcpu *vcpu)
{
	const struct vmx_exit *exit = &vcpu->exit;
	const u64 data[] = { exit->idt_info, exit->reason, exit->qual, exit->gpa, vcpu->cpu };

	if (vcpu->in_l2) {
		/* A triple fault is no exit during event delivery (SDM 3C 28.2.4). */
		vcpu->ev.injected.valid = false;
		vcpu->ev.triple_fault = true;
		vcpu_request(vcpu, REQ_EVENT);
		return NEXT_ENTER;
	}
	return vcpu_internal_error(vcpu, KVM_INTERNAL_ERROR_DELIVERY_EV, data, ARRAY_SIZE(data));
}
