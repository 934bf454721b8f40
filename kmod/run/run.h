/* SPDX-License-Identifier: GPL-2.0 */
/* The run loop as KVM_RUN and the other ioctls use it: load a vCPU, run it, wait. */
#ifndef DROSTE_RUN_H
#define DROSTE_RUN_H

#include <linux/types.h>

struct droste_match;
struct route_verdict;
struct vcpu;
struct vm;

/* --- sched.c --- */
void sched_init(void);
void sched_exit(void);
void sched_init_vcpu(struct vcpu *vcpu);
void sched_note_preempted(struct vcpu *vcpu);
void vcpu_load(struct vcpu *vcpu);
void vcpu_put(struct vcpu *vcpu);

/* --- loop.c --- */
int vcpu_run(struct vcpu *vcpu);
bool vcpu_ready_for_extint(struct vcpu *vcpu);
void loop_watch(bool on);

/* What a step of the loop returns that may release vm->srcu for some time: enum next or a negative errno, and its index. */
struct loop_step {
	int ret, srcu;
};

/* --- requests.c --- */
struct loop_step requests_do(struct vcpu *vcpu, int srcu);

/* --- visit.c --- */
void visits_init(struct vcpu *vcpu);
int vcpu_visit(struct vcpu *vcpu, void (*fn)(struct vcpu *vcpu, void *arg), void *arg);
int vcpu_visit_exit(struct vcpu *vcpu, void (*fn)(struct vcpu *vcpu, void *arg), void *arg);
void visit_receive(struct vcpu *vcpu);
void visit_note_exit(struct vcpu *vcpu);
bool visit_sleep(struct vcpu *vcpu, bool (*over)(const struct vcpu *vcpu));

/* --- stand.c --- */
void stand_init(struct vm *vm);
int stand_set(struct vm *vm, const void *owner, const struct droste_match *m);
int stand_continue(struct vm *vm, const void *owner);
void stand_clear(struct vm *vm, const void *owner);
bool stand_here(const struct vcpu *vcpu);
bool stand_begin(struct vcpu *vcpu, struct route_verdict verdict);
void stand_wait(struct vcpu *vcpu);

/* --- barrier.c --- */
void barrier_init(struct vm *vm);
void barrier_set_exits(struct vm *vm, bool on);
int barrier_release(struct vm *vm, u64 seq);
bool barrier_calls(const struct vcpu *vcpu);
bool barrier_meet(struct vcpu *vcpu);
bool barrier_wait(struct vcpu *vcpu, int *srcu);
int barrier_wait_to_finish(struct vcpu *vcpu, int *srcu);
int barrier_begin(struct vcpu *vcpu, int *srcu);
int barrier_report(struct vcpu *vcpu);

/* --- events.c --- */
void events_collect_nmis(struct vcpu *vcpu);
int events_prepare(struct vcpu *vcpu);
bool events_inject_short(struct vcpu *vcpu);
bool events_deadline_short(struct vcpu *vcpu);
bool events_interrupt_taken(struct vcpu *vcpu);

/* --- halt.c --- */
bool vcpu_runnable(struct vcpu *vcpu);
int halt_wait(struct vcpu *vcpu);
void halt_settle(struct vcpu *vcpu);

/* --- exit_table.c --- */
int exit_handle(struct vcpu *vcpu);

/* --- msr_table.c --- */
int msr_table_init(void);

#endif
