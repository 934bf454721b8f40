// SPDX-License-Identifier: GPL-2.0
/* Visits: another thread has a function called on a vCPU between two of its exits, or calls it itself if none runs it. */
#include <linux/sched/signal.h>
#include "droste.h"
#include "run/request.h"
#include "run/run.h"

/* A visit that waits for the vCPU's thread; on the visitor's stack. */
struct visit {
	void (*fn)(struct vcpu *vcpu, void *arg);
	void *arg;
	struct completion done;
};

/**
 * visits_init() - prepare a vCPU for visitors
 * @vcpu: new
 *
 * Context: Process context.
 */
void visits_init(struct vcpu *vcpu)
{
	mutex_init(&vcpu->visits.one);
	spin_lock_init(&vcpu->visits.lock);
}

/* Take a visit off. Returns false if the vCPU's thread has begun, or ended, it. */
static bool visit_withdraw(struct vcpu *vcpu, struct visit *v)
{
	bool mine;

	spin_lock(&vcpu->visits.lock);
	mine = vcpu->visits.now == v;
	if (mine)
		vcpu->visits.now = NULL;
	spin_unlock(&vcpu->visits.lock);
	return mine;
}

static void visit_ask(struct vcpu *vcpu, struct visit *v)
{
	spin_lock(&vcpu->visits.lock);
	vcpu->visits.now = v;
	spin_unlock(&vcpu->visits.lock);
	vcpu_request(vcpu, REQ_VISIT);
	vcpu_kick(vcpu);
}

/* No thread is in an ioctl of the vCPU: call the function here. Caller holds vcpu->mutex. */
static void visit_here(struct vcpu *vcpu, const struct visit *v)
{
	int idx;

	vcpu_load(vcpu);
	idx = srcu_read_lock(&vcpu->vm->srcu);
	v->fn(vcpu, v->arg);
	srcu_read_unlock(&vcpu->vm->srcu, idx);
	vcpu_put(vcpu);
}

/* How long to wait for the vCPU's thread before a look whether it has left the ioctl. */
#define VISIT_WAIT	(HZ / 20 + 1)

/**
 * vcpu_visit() - call a function while a vCPU stands between two exits
 * @vcpu: any vCPU of a VM that the caller keeps alive
 * @fn: is called once with the vCPU loaded, under vm->srcu, in process context: on the vCPU's thread if that is in KVM_RUN,
 *	else on this one. It may sleep, and must not access guest memory, which belongs to the VM's process, except by vm_peek_guest().
 * @arg: for @fn
 *
 * Context: Process context. May sleep; the caller holds none of the vCPU's locks.
 * Return: 0 if @fn was called; -EINTR if a signal came first.
 */
int vcpu_visit(struct vcpu *vcpu, void (*fn)(struct vcpu *vcpu, void *arg), void *arg)
{
	struct visit v = { .fn = fn, .arg = arg };
	bool asked = false;
	long left = 0;

	init_completion(&v.done);
	if (mutex_lock_interruptible(&vcpu->visits.one))
		return -EINTR;
	for (;;) {
		if (mutex_trylock(&vcpu->mutex)) {
			if (!asked || visit_withdraw(vcpu, &v))
				visit_here(vcpu, &v);
			mutex_unlock(&vcpu->mutex);
			break;
		}
		if (!asked)
			visit_ask(vcpu, &v);
		asked = true;
		left = wait_for_completion_interruptible_timeout(&v.done, VISIT_WAIT);
		if (left > 0)
			break;
		if (left < 0 && visit_withdraw(vcpu, &v)) {
			mutex_unlock(&vcpu->visits.one);
			return -EINTR;
		}
		if (left < 0) {
			/* The function runs already, and does not take long. */
			wait_for_completion(&v.done);
			break;
		}
	}
	mutex_unlock(&vcpu->visits.one);
	return 0;
}

/**
 * visit_receive() - carry out REQ_VISIT
 * @vcpu: loaded; caller holds vcpu->mutex and vm->srcu
 *
 * Context: Process context, thread of @vcpu. May sleep.
 */
void visit_receive(struct vcpu *vcpu)
{
	struct visit *v;

	spin_lock(&vcpu->visits.lock);
	v = vcpu->visits.now;
	vcpu->visits.now = NULL;
	spin_unlock(&vcpu->visits.lock);
	if (!v)
		return;
	v->fn(vcpu, v->arg);
	complete(&v->done);
}
