// SPDX-License-Identifier: GPL-2.0
/* KVM_RUN around the run loop: the signal mask, registers shared with user space, and struct kvm_run at its end. */
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include "droste.h"
#include "abi/dev.h"
#include "abi/state.h"
#include "irqchip/irqchip.h"
#include "run/run.h"
#include "vmx/regs.h"

/* Record the thread that runs the vCPU: spinning vCPUs yield to it. Caller holds vcpu->mutex. */
static void kvm_run_remember_thread(struct vcpu *vcpu)
{
	struct pid *old = rcu_dereference_protected(vcpu->pid, lockdep_is_held(&vcpu->mutex));

	if (likely(old == task_pid(current)))
		return;
	rcu_assign_pointer(vcpu->pid, get_pid(task_pid(current)));
	if (!old)
		return;
	synchronize_rcu();
	put_pid(old);
}

/* Fill in the members of struct kvm_run that are valid after any exit. */
static void kvm_run_fill_run(struct vcpu *vcpu)
{
	struct kvm_run *run = vcpu->run;

	run->if_flag = (vcpu_rflags(vcpu) & X86_EFLAGS_IF) != 0;
	run->flags = 0;
	run->cr8 = vcpu_cr8(vcpu);
	run->apic_base = vcpu->apic_base;
	run->ready_for_interrupt_injection = vcpu->vm->irqchip.pic || vcpu_ready_for_extint(vcpu);
}

/**
 * kvm_run_ioctl() - KVM_RUN
 * @vcpu: the vCPU, loaded
 * @uarg: must be 0
 *
 * Context: Process context, may sleep. Caller holds vcpu->mutex.
 * Return: 0 with vcpu->run filled; -EINVAL for an argument, or for synced
 * registers that no processor can have; otherwise as vcpu_run().
 */
long kvm_run_ioctl(struct vcpu *vcpu, unsigned long uarg)
{
	struct kvm_run *run = vcpu->run;
	int ret = 0;

	if (uarg)
		return -EINVAL;
	if (READ_ONCE(vcpu->vm->dead))
		return -EIO;
	kvm_run_remember_thread(vcpu);
	/*
	 * The thread's own mask is kept in real_blocked, which the sender of
	 * a signal checks as well: a signal without a handler that is
	 * unblocked only here ends KVM_RUN, not the process.
	 */
	if (vcpu->has_sigmask)
		sigprocmask(SIG_SETMASK, &vcpu->sigmask, &current->real_blocked);
	run->flags = 0;
	if (unlikely(READ_ONCE(run->kvm_dirty_regs) | READ_ONCE(run->kvm_valid_regs))) {
		vcpu->calm = false;
		ret = vcpu_sync_regs_in(vcpu);
	}
	if (likely(!ret))
		ret = vcpu_run(vcpu);
	kvm_run_fill_run(vcpu);
	if (unlikely(READ_ONCE(run->kvm_valid_regs)))
		vcpu_sync_regs_out(vcpu);
	if (vcpu->has_sigmask) {
		sigprocmask(SIG_SETMASK, &current->real_blocked, NULL);
		sigemptyset(&current->real_blocked);
	}
	return ret;
}
