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
	bool picky;	/* wait for the next exit that the guest makes by itself, and that is noted: see visit_fits() */
	u64 seq;	/* the number of the last exit when the visitor asked */
	bool tired;	/* written by the visitor: wait no longer */
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

static u64 visit_seq(const struct vcpu *vcpu)
{
	return READ_ONCE(vcpu->long_exits) + READ_ONCE(vcpu->stats.short_exits);
}

/* Ask for a visit. One that is picky needs no kick: it begins after an exit that the guest makes anyway. */
static void visit_ask(struct vcpu *vcpu, struct visit *v)
{
	spin_lock(&vcpu->visits.lock);
	vcpu->visits.now = v;
	spin_unlock(&vcpu->visits.lock);
	vcpu_request(vcpu, REQ_VISIT);
	if (!v->picky || stand_here(vcpu))
		vcpu_kick(vcpu);
}

/* A guest that does not exit by itself, or is halted, is made to receive a picky visit. */
static void visit_insist(struct vcpu *vcpu, struct visit *v)
{
	WRITE_ONCE(v->tired, true);
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

/* How often a picky visit waits so long. */
#define VISIT_PATIENCE	4

/* As vcpu_visit(). */
static int visit_call(struct vcpu *vcpu, void (*fn)(struct vcpu *vcpu, void *arg), void *arg, bool picky)
{
	struct visit v = { .fn = fn, .arg = arg, .picky = picky, .seq = visit_seq(vcpu) };
	bool asked = false;
	int waits = 0;
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
		else if (picky && ++waits >= VISIT_PATIENCE)
			visit_insist(vcpu, &v);
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
	return visit_call(vcpu, fn, arg, false);
}

/**
 * vcpu_visit_exit() - call a function right after the next exit that the guest makes by itself
 * @vcpu: any vCPU of a VM that the caller keeps alive
 * @fn: as for vcpu_visit(); the exit is in vcpu->exit, and was handled. If vcpu->noted_short differs from
 *	vcpu->stats.short_exits, the vCPU has not run since an exit in the short loop, whose information is not all there.
 * @arg: for @fn
 *
 * If the guest runs on without one, the last exit is for an interrupt of the host, or an earlier one. All vCPUs take the
 * long way until this returns.
 *
 * Context: Process context. May sleep; the caller holds none of the vCPU's locks.
 * Return: 0 if @fn was called; -EINTR if a signal came first.
 */
int vcpu_visit_exit(struct vcpu *vcpu, void (*fn)(struct vcpu *vcpu, void *arg), void *arg)
{
	int ret;

	loop_watch(true);
	ret = visit_call(vcpu, fn, arg, true);
	loop_watch(false);
	return ret;
}

/*
 * Whether the last exit is one for a picky visit: a new one, not for an interrupt of the host, and not in the short loop; or the
 * one at which the vCPU stands.
 */
static bool visit_fits(const struct vcpu *vcpu, const struct visit *v)
{
	bool noted = vcpu->noted_short == vcpu->stats.short_exits;

	return !v->picky || READ_ONCE(v->tired) || vcpu->stands ||
	       (visit_seq(vcpu) != v->seq && noted && vcpu->exit.basic != EXIT_REASON_EXTERNAL_INTERRUPT);
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
	vcpu->visits.waits = v && !visit_fits(vcpu, v);
	if (!vcpu->visits.waits)
		vcpu->visits.now = NULL;
	spin_unlock(&vcpu->visits.lock);
	if (!v || vcpu->visits.waits)
		return;
	v->fn(vcpu, v->arg);
	complete(&v->done);
}

/**
 * visit_sleep() - sleep in KVM_RUN, but not for visitors
 * @vcpu: loaded; caller holds vcpu->mutex, but not vm->srcu
 * @over: whether to sleep no longer; vm_request_all() makes the vCPU ask again
 *
 * Context: Thread of @vcpu, process context. May sleep.
 * Return: true if visit_receive() must be called; false if @over() returned true, the VM is dead, or a signal came.
 */
bool visit_sleep(struct vcpu *vcpu, bool (*over)(const struct vcpu *vcpu))
{
	DECLARE_SWAITQUEUE(wait);
	bool visit = false;

	for (;;) {
		prepare_to_swait_exclusive(&vcpu->wq, &wait, TASK_INTERRUPTIBLE);
		if (over(vcpu) || READ_ONCE(vcpu->vm->dead) || signal_pending(current))
			break;
		visit = test_and_clear_bit(REQ_VISIT, &vcpu->requests);
		if (visit)
			break;
		schedule();
	}
	finish_swait(&vcpu->wq, &wait);
	return visit;
}

/**
 * visit_note_exit() - ask for REQ_VISIT again, after another exit
 * @vcpu: loaded; caller holds vcpu->mutex
 *
 * Called while exits are watched.
 *
 * Context: Thread of @vcpu.
 */
void visit_note_exit(struct vcpu *vcpu)
{
	if (!vcpu->visits.waits)
		return;
	vcpu->visits.waits = false;
	vcpu_request(vcpu, REQ_VISIT);
}
