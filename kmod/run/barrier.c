// SPDX-License-Identifier: GPL-2.0
/*
 * WBINVD as a barrier: while memory is logged, or user space asks for it, a guest's WBINVD is complete only when nothing of
 * what the VM has written before is missing in the dirty log.
 *
 * The vCPU that executes it leads. All others leave the guest, see to it that their writes are logged, and wait, or are not
 * in KVM_RUN. Then the leader lets them go on; or its KVM_RUN ends, and DROSTE_RELEASE_BARRIER lets all go on. A WBINVD of
 * another vCPU meanwhile needs no barrier of its own: its vCPU waits for this one, and then executes the instruction.
 *
 * A signal ends each of these waits. A vCPU that waits because of its own WBINVD then has not executed it yet. If the leader
 * gives up, the barrier was none, and those whose WBINVD was part of it make another.
 */
#include <linux/sched/signal.h>
#include <linux/smp.h>
#include "droste.h"
#include "pv/stealtime.h"
#include "run/handlers.h"
#include "run/request.h"
#include "run/run.h"
#include "trace.h"

/* How long the leader waits before it looks again whether a vCPU has left an ioctl, which wakes nobody. */
#define BARRIER_SLICE	(HZ / 100 + 1)

/**
 * barrier_init() - prepare a VM for barriers
 * @vm: new
 *
 * Context: Process context.
 */
void barrier_init(struct vm *vm)
{
	spin_lock_init(&vm->barrier.lock);
	init_waitqueue_head(&vm->barrier.wait);
}

/* Let all vCPUs go on. Caller holds the lock; afterwards they are to be woken. */
static void barrier_end_locked(struct vm_barrier *b)
{
	if (b->leader)
		WRITE_ONCE(b->leader->barrier_due, false);
	WRITE_ONCE(b->leader, NULL);
	b->held = false;
}

static void barrier_end(struct vm *vm)
{
	spin_lock(&vm->barrier.lock);
	barrier_end_locked(&vm->barrier);
	spin_unlock(&vm->barrier.lock);
	vm_request_all(vm, REQ_EVENT);
}

/* --- user space --- */

/**
 * barrier_set_exits() - DROSTE_SET_BARRIER: whether a barrier ends the KVM_RUN of the vCPU that executed WBINVD
 * @vm: the VM
 * @on: it does; otherwise, one that waits for its release is over
 *
 * Context: Process context.
 */
void barrier_set_exits(struct vm *vm, bool on)
{
	bool release;

	spin_lock(&vm->barrier.lock);
	WRITE_ONCE(vm->barrier.exits, on);
	release = !on && vm->barrier.held;
	if (release)
		barrier_end_locked(&vm->barrier);
	spin_unlock(&vm->barrier.lock);
	if (release)
		vm_request_all(vm, REQ_EVENT);
}

/**
 * barrier_release() - DROSTE_RELEASE_BARRIER: let all vCPUs go on
 * @vm: the VM
 * @seq: the number of the barrier
 *
 * Context: Process context.
 * Return: 0; -ENOENT if this barrier does not wait for its release.
 */
int barrier_release(struct vm *vm, u64 seq)
{
	struct vm_barrier *b = &vm->barrier;
	bool mine;

	spin_lock(&b->lock);
	mine = b->held && b->seq == seq;
	if (mine)
		barrier_end_locked(b);
	spin_unlock(&b->lock);
	if (!mine)
		return -ENOENT;
	vm_request_all(vm, REQ_EVENT);
	return 0;
}

/* --- the vCPUs that do not lead --- */

/**
 * barrier_calls() - whether a vCPU that is halted must wake up for a barrier
 * @vcpu: loaded
 *
 * Context: Thread of @vcpu.
 * Return: true if barrier_meet() must be called.
 */
bool barrier_calls(const struct vcpu *vcpu)
{
	return test_bit(REQ_BARRIER, &vcpu->requests) &&
	       (READ_ONCE(vcpu->barrier_due) || READ_ONCE(vcpu->vm->barrier.seq) != vcpu->barrier_met);
}

/**
 * barrier_meet() - tell the leader that this vCPU is out of the guest
 * @vcpu: loaded, out of the guest; caller holds vcpu->mutex
 *
 * Context: Thread of @vcpu, process context.
 * Return: true if the vCPU must not enter the guest now; not for a leader whose KVM_RUN is to end.
 */
bool barrier_meet(struct vcpu *vcpu)
{
	struct vm_barrier *b = &vcpu->vm->barrier;
	bool must_wait;

	spin_lock(&b->lock);
	must_wait = b->leader && !vcpu->barrier_due;
	/* The vCPU is about to sleep, and the guest must learn that before the leader goes on: memory does not change then. */
	if (must_wait && vcpu->steal.msr) {
		preempt_disable();
		steal_time_preempted(vcpu);
		preempt_enable();
		vcpu_request(vcpu, REQ_STEAL);
	}
	WRITE_ONCE(vcpu->barrier_met, b->seq);
	spin_unlock(&b->lock);
	if (must_wait)
		wake_up_interruptible(&b->wait);
	return must_wait;
}

/* Whether a vCPU that has met a barrier need not wait any more, at least not for that one. */
static bool barrier_over(const struct vcpu *vcpu)
{
	const struct vm_barrier *b = &vcpu->vm->barrier;

	return !READ_ONCE(b->leader) || READ_ONCE(b->seq) != vcpu->barrier_met;
}

/*
 * Wait for the end of the barrier that the vCPU has met, receiving visitors. Returns false if a signal came first, or the VM
 * is dead.
 */
static bool barrier_sleep(struct vcpu *vcpu, int *srcu)
{
	struct srcu_struct *lock = &vcpu->vm->srcu;
	bool visit;

	do {
		srcu_read_unlock(lock, *srcu);
		visit = visit_sleep(vcpu, barrier_over);
		*srcu = srcu_read_lock(lock);
		if (visit)
			visit_receive(vcpu);
	} while (visit);
	return barrier_over(vcpu);
}

/**
 * barrier_wait() - meet barriers until none keeps this vCPU out of the guest
 * @vcpu: loaded; caller holds vcpu->mutex, and has taken REQ_BARRIER
 * @srcu: the index of vm->srcu, which the caller holds; it changes
 *
 * A signal or the death of the VM end it, too; REQ_BARRIER is made again then. Visitors are received.
 *
 * Context: Thread of @vcpu, process context. May sleep.
 * Return: true if the vCPU leads a barrier that ends KVM_RUN: see barrier_report().
 */
bool barrier_wait(struct vcpu *vcpu, int *srcu)
{
	while (barrier_meet(vcpu)) {
		if (!barrier_sleep(vcpu, srcu)) {
			vcpu_request(vcpu, REQ_BARRIER);
			break;
		}
	}
	return READ_ONCE(vcpu->barrier_due);
}

/**
 * barrier_wait_to_finish() - wait for the release of a barrier, if there is one, before an exit that user space has answered
 * is finished
 * @vcpu: loaded; caller holds vcpu->mutex
 * @srcu: the index of vm->srcu, which the caller holds; it changes
 *
 * The rest of the instruction may write to guest memory, which does not change at a barrier.
 *
 * Context: Thread of @vcpu, process context. May sleep.
 * Return: NEXT_ENTER to finish the exit; -EINTR if a signal came first, -EIO if the VM is dead.
 */
int barrier_wait_to_finish(struct vcpu *vcpu, int *srcu)
{
	while (test_and_clear_bit(REQ_BARRIER, &vcpu->requests)) {
		if (barrier_wait(vcpu, srcu)) {
			vcpu_request(vcpu, REQ_BARRIER);
			break;
		}
		if (READ_ONCE(vcpu->vm->dead))
			return -EIO;
		if (test_bit(REQ_BARRIER, &vcpu->requests) && signal_pending(current)) {
			vcpu->run->exit_reason = KVM_EXIT_INTR;
			return -EINTR;
		}
	}
	return NEXT_ENTER;
}

/* --- the leader --- */

/*
 * Whether all others are out of the guest and of KVM_RUN's handlers. One that is not in an ioctl now sees REQ_BARRIER in its
 * next KVM_RUN. Their logs are flushed, as they were made to exit; pages that the processor writes to without a log are
 * marked since user space has emptied the log: see dirtylog_taken().
 */
static bool barrier_all_out(const struct vcpu *leader, u64 seq)
{
	struct vm *vm = leader->vm;
	int i, n = smp_load_acquire(&vm->nr_vcpus);	/* after the slots of vm->vcpus */

	for (i = 0; i < n; i++) {
		struct vcpu *other = vm->vcpus[i];

		if (other != leader && READ_ONCE(other->barrier_met) != seq && mutex_is_locked(&other->mutex))
			return false;
	}
	return true;
}

/* Wait for the others. Returns false if a signal came, or the VM is dead. */
static bool barrier_gather(struct vcpu *leader, u64 seq)
{
	struct vm *vm = leader->vm;
	long left;

	do {
		left = wait_event_interruptible_timeout(vm->barrier.wait, barrier_all_out(leader, seq), BARRIER_SLICE);
	} while (!left && !READ_ONCE(vm->dead));
	return left > 0;
}

/* Become the leader. Returns the barrier's number; 0 if there is one already. */
static u64 barrier_lead(struct vcpu *vcpu)
{
	struct vm_barrier *b = &vcpu->vm->barrier;
	u64 seq = 0;

	spin_lock(&b->lock);
	if (!b->leader) {
		seq = b->seq + 1;
		WRITE_ONCE(b->leader, vcpu);
		WRITE_ONCE(b->seq, seq);
	}
	spin_unlock(&b->lock);
	return seq;
}

/* Be part of another vCPU's barrier, if that becomes complete. As barrier_begin(). */
static int barrier_join(struct vcpu *vcpu, int *srcu)
{
	struct vm_barrier *b = &vcpu->vm->barrier;
	bool part;

	/* It is over just now. */
	if (!barrier_meet(vcpu))
		return NEXT_ENTER;
	if (!barrier_sleep(vcpu, srcu)) {
		vcpu_request(vcpu, REQ_BARRIER);
		trace_droste_barrier(vcpu, BARRIER_GIVEN_UP, vcpu->barrier_met);
		return NEXT_ENTER;
	}
	spin_lock(&b->lock);
	part = b->complete >= vcpu->barrier_met;
	b->merged += part;
	spin_unlock(&b->lock);
	trace_droste_barrier(vcpu, part ? BARRIER_MERGED : BARRIER_GIVEN_UP, vcpu->barrier_met);
	return part ? NEXT_GO_ON : NEXT_ENTER;
}

/* All have met. Returns true if KVM_RUN is to end. */
static bool barrier_hold(struct vcpu *leader)
{
	struct vm_barrier *b = &leader->vm->barrier;
	bool hold;

	spin_lock(&b->lock);
	b->done++;
	b->complete = b->seq;
	hold = b->exits;
	if (hold) {
		b->held = true;
		WRITE_ONCE(leader->barrier_due, true);
	}
	spin_unlock(&b->lock);
	return hold;
}

/**
 * barrier_begin() - carry out the barrier that a WBINVD or WBNOINVD is, before the instruction is
 * @vcpu: loaded, at level 1 or 2, of a VM that wants barriers; its last exit is for that instruction; caller holds vcpu->mutex
 * @srcu: the index of vm->srcu, which the caller holds; it changes
 *
 * Context: Thread of @vcpu, process context. May sleep.
 * Return: NEXT_GO_ON to execute the instruction, or to reflect the exit; NEXT_ENTER to do nothing, since something else must
 * be done first: the instruction will exit again.
 */
int barrier_begin(struct vcpu *vcpu, int *srcu)
{
	struct vm *vm = vcpu->vm;
	bool out, hold;
	u64 seq;

	seq = barrier_lead(vcpu);
	if (!seq)
		return barrier_join(vcpu, srcu);
	vcpu->barrier_met = seq;
	vcpu->barrier_level = vcpu->in_l2 ? 2 : 1;
	trace_droste_barrier(vcpu, BARRIER_BEGUN, seq);
	vm_request_all(vm, REQ_BARRIER);
	/* A handler of another vCPU may wait for an update of the slots, which waits for this lock. */
	srcu_read_unlock(&vm->srcu, *srcu);
	out = barrier_gather(vcpu, seq);
	*srcu = srcu_read_lock(&vm->srcu);
	if (!out) {
		barrier_end(vm);
		trace_droste_barrier(vcpu, BARRIER_GIVEN_UP, seq);
		return NEXT_ENTER;
	}
	if (READ_ONCE(vm->noncoherent))
		vm_write_back(vm);
	hold = barrier_hold(vcpu);
	if (!hold)
		barrier_end(vm);
	trace_droste_barrier(vcpu, hold ? BARRIER_HELD : BARRIER_COMPLETE, seq);
	return NEXT_GO_ON;
}

/**
 * barrier_report() - end KVM_RUN with DROSTE_EXIT_BARRIER
 * @vcpu: loaded; barrier_wait() returned true
 *
 * The next KVM_RUN waits until the barrier is released.
 *
 * Context: Thread of @vcpu, process context. Does not sleep.
 * Return: NEXT_USER; NEXT_ENTER if the barrier was released before user space saw it.
 */
int barrier_report(struct vcpu *vcpu)
{
	struct vm_barrier *b = &vcpu->vm->barrier;
	struct droste_barrier_exit e = {};
	bool due;

	spin_lock(&b->lock);
	due = vcpu->barrier_due;
	WRITE_ONCE(vcpu->barrier_due, false);
	e.seq = b->seq;
	spin_unlock(&b->lock);
	if (!due)
		return NEXT_ENTER;
	e.level = vcpu->barrier_level;
	vcpu_request(vcpu, REQ_BARRIER);
	vcpu->run->exit_reason = DROSTE_EXIT_BARRIER;
	memcpy(&vcpu->run->padding, &e, sizeof(e));
	return NEXT_USER;
}
