/* SPDX-License-Identifier: GPL-2.0 */
/* Holds all virtual processors of a machine outside the guest, and lets them go on. */
#ifndef DROSTECTL_HOLD_H
#define DROSTECTL_HOLD_H

#include <pthread.h>
#include <stdbool.h>

struct vcpu;
struct vm;

/** struct hold - who is held */
struct hold {
	pthread_mutex_t lock;	/* guards the members below; taken inside vm->end_lock */
	pthread_cond_t change;
	unsigned int held;	/* vCPUs whose thread waits */
	bool wanted;
};

/** hold_init() - prepare a VM whose vCPUs are not held */
void hold_init(struct hold *h);

/**
 * hold_all() - keep all vCPUs outside the guest
 * @vm: the VM; its threads have been started
 *
 * When it returns true, each vCPU has finished what it did for the guest, and its thread waits. Called by one thread only.
 *
 * Return: false if the run has ended; nobody is held then.
 */
bool hold_all(struct vm *vm);

/** hold_release() - let all vCPUs go on, if they are held */
void hold_release(struct vm *vm);

/** hold_here() - wait while vCPUs are to be held; thread of @vcpu, which has no exit to finish */
void hold_here(struct vcpu *vcpu);

/** hold_kick() - end KVM_RUN of all vCPUs, also the next one; caller holds vm->end_lock */
void hold_kick(struct vm *vm);

/** hold_over() - the run has ended, and nobody waits any more */
void hold_over(struct vm *vm);

/** hold_signal() - take the signal of hold_kick(); called before threads are started */
void hold_signal(void);

#endif
