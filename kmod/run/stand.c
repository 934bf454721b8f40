// SPDX-License-Identifier: GPL-2.0
/*
 * Exit breakpoints: a vCPU stands at an exit that somebody has chosen, so that others can look at it, until that one lets it go.
 *
 * It stands in step 8 of the loop, when the exit is noted and who gets it is decided, but nothing has been done about it. All
 * that its thread holds is vcpu->mutex. It wakes up for visitors, and goes on for a signal.
 */
#include "droste.h"
#include "nested/route.h"
#include "run/request.h"
#include "run/run.h"
#include "vmx/regs.h"

/**
 * stand_init() - prepare a VM for breakpoints
 * @vm: new
 *
 * Context: Process context.
 */
void stand_init(struct vm *vm)
{
	spin_lock_init(&vm->stand.lock);
	init_waitqueue_head(&vm->stand.wait);
	vm->stand.turn = 1;
}

/* --- those who choose --- */

/* Let the vCPUs that stand go on; they are still to be woken. Caller holds the lock. */
static void stand_next_turn(struct vm_stand *s)
{
	WRITE_ONCE(s->turn, s->turn + 1);
	WRITE_ONCE(s->nr, 0);
}

/**
 * stand_set() - choose exits at which vCPUs of a VM stand
 * @vm: the VM, which the caller keeps alive
 * @owner: whose choice it is; a second one of the same owner replaces the first
 * @m: a valid match
 *
 * All exits after this returns are compared. All VMs take the long way until stand_clear().
 *
 * Context: Process context. May sleep.
 * Return: 0; -EBUSY if there is a match of another owner.
 */
int stand_set(struct vm *vm, const void *owner, const struct droste_match *m)
{
	struct vm_stand *s = &vm->stand;
	bool busy, replaces;

	loop_watch(true);
	/* A vCPU may be in the short loop; it leaves that for this. */
	vm_request_all(vm, REQ_EVENT);
	spin_lock(&s->lock);
	replaces = s->owner == owner;
	busy = s->owner && !replaces;
	if (!busy) {
		s->match = *m;
		s->seen = 0;
		WRITE_ONCE(s->owner, owner);
		stand_next_turn(s);
	}
	spin_unlock(&s->lock);
	if (replaces)
		vm_request_all(vm, REQ_EVENT);
	if (replaces || busy)
		loop_watch(false);
	return busy ? -EBUSY : 0;
}

/**
 * stand_continue() - let the vCPUs of a VM that stand go on
 * @vm: the VM, which the caller keeps alive
 * @owner: as for stand_set()
 *
 * Context: Process context.
 * Return: 0; -ENOENT if the owner has set no match.
 */
int stand_continue(struct vm *vm, const void *owner)
{
	struct vm_stand *s = &vm->stand;
	bool mine;

	spin_lock(&s->lock);
	mine = s->owner == owner;
	if (mine)
		stand_next_turn(s);
	spin_unlock(&s->lock);
	if (!mine)
		return -ENOENT;
	vm_request_all(vm, REQ_EVENT);
	return 0;
}

/**
 * stand_clear() - take back stand_set(), and let the vCPUs go on
 * @vm: the VM, which the caller keeps alive
 * @owner: as for stand_set(); nothing happens if it has set no match
 *
 * Context: Process context. May sleep.
 */
void stand_clear(struct vm *vm, const void *owner)
{
	struct vm_stand *s = &vm->stand;
	bool mine;

	spin_lock(&s->lock);
	mine = s->owner == owner;
	if (mine) {
		WRITE_ONCE(s->owner, NULL);
		stand_next_turn(s);
	}
	spin_unlock(&s->lock);
	if (!mine)
		return;
	vm_request_all(vm, REQ_EVENT);
	loop_watch(false);
}

/**
 * stand_here() - whether a vCPU stands at an exit
 * @vcpu: any vCPU of a VM that the caller keeps alive
 *
 * Context: Any.
 * Return: true if it stands, and has not been let go.
 */
bool stand_here(const struct vcpu *vcpu)
{
	return READ_ONCE(vcpu->stands) == READ_ONCE(vcpu->vm->stand.turn);
}

/* --- the vCPU --- */

static bool stand_in_range(u64 val, u64 first, u64 last)
{
	return val >= first && val <= last;
}

static bool stand_fits(struct vcpu *vcpu, const struct droste_match *m, struct route_verdict verdict)
{
	u32 f = m->flags;

	if ((f & DROSTE_MATCH_VCPU) && vcpu->index != m->vcpu)
		return false;
	if ((f & DROSTE_MATCH_LEVEL) && vcpu->in_l2 != (m->level == 2))
		return false;
	if ((f & DROSTE_MATCH_REASON) && vcpu->exit.basic != m->reason)
		return false;
	if ((f & DROSTE_MATCH_TO) && (verdict.to == ROUTE_L1) != m->to)
		return false;
	if ((f & DROSTE_MATCH_WHY) && !(vcpu->in_l2 && verdict.why == m->why))
		return false;
	if ((f & DROSTE_MATCH_SEQ) &&
	    !stand_in_range(vcpu->long_exits + vcpu->stats.short_exits, m->seq_first, m->seq_last))
		return false;
	return !(f & DROSTE_MATCH_RIP) || stand_in_range(vcpu_rip(vcpu), m->rip_first, m->rip_last);
}

/**
 * stand_begin() - stand if the last exit is one that was chosen
 * @vcpu: loaded; vcpu->exit is noted
 * @verdict: who gets the exit
 *
 * Context: Thread of @vcpu, process context.
 * Return: true if stand_wait() must be called.
 */
bool stand_begin(struct vcpu *vcpu, struct route_verdict verdict)
{
	struct vm_stand *s = &vcpu->vm->stand;

	if (!READ_ONCE(s->owner))
		return false;
	spin_lock(&s->lock);
	if (s->owner && stand_fits(vcpu, &s->match, verdict) && (++s->seen == s->match.nth || !s->match.nth)) {
		WRITE_ONCE(vcpu->stands, s->turn);
		WRITE_ONCE(s->nr, s->nr + 1);
	}
	spin_unlock(&s->lock);
	if (!vcpu->stands)
		return false;
	wake_up_interruptible(&s->wait);
	return true;
}

static bool stand_left(const struct vcpu *vcpu)
{
	return !stand_here(vcpu);
}

/**
 * stand_wait() - stand, receiving visitors, until the vCPU is let go
 * @vcpu: loaded; stand_begin() returned true; caller holds vcpu->mutex, but not vm->srcu
 *
 * A signal or the death of the VM end it, too: the run loop finds them after it has handled the exit.
 *
 * Context: Thread of @vcpu, process context. May sleep.
 */
void stand_wait(struct vcpu *vcpu)
{
	struct vm_stand *s = &vcpu->vm->stand;
	int idx;

	while (visit_sleep(vcpu, stand_left)) {
		idx = srcu_read_lock(&vcpu->vm->srcu);
		visit_receive(vcpu);
		srcu_read_unlock(&vcpu->vm->srcu, idx);
	}
	spin_lock(&s->lock);
	if (s->turn == vcpu->stands)
		WRITE_ONCE(s->nr, s->nr - 1);
	WRITE_ONCE(vcpu->stands, 0);
	spin_unlock(&s->lock);
}
