// SPDX-License-Identifier: GPL-2.0
/*
 * Holds all virtual processors outside the guest. Each waits where KVM_RUN has returned without an exit: then the last exit is
 * finished, and the state of the vCPU is whole.
 */
#include "hold.h"

#include <signal.h>

#include "vm.h"

#define SIGNAL_KICK	SIGRTMIN	/* only interrupts KVM_RUN */

void hold_init(struct hold *h)
{
	pthread_mutex_init(&h->lock, NULL);
	pthread_cond_init(&h->change, NULL);
	h->held = 0;
	h->wanted = false;
}

static void on_kick(int sig)
{
	(void)sig;
}

void hold_signal(void)
{
	const struct sigaction kick = { .sa_handler = on_kick };

	sigaction(SIGNAL_KICK, &kick, NULL);
}

/*
 * immediate_exit makes the next KVM_RUN return at once, and the signal
 * interrupts a KVM_RUN in progress; together they miss no vCPU.
 */
void hold_kick(struct vm *vm)
{
	for (unsigned int i = 0; i < vm->nr_vcpus; i++) {
		vm->vcpu[i].run->immediate_exit = 1;
		if (vm->vcpu[i].started)
			pthread_kill(vm->vcpu[i].thread, SIGNAL_KICK);
	}
}

bool hold_all(struct vm *vm)
{
	struct hold *h = &vm->hold;
	bool ended;

	pthread_mutex_lock(&vm->end_lock);
	ended = vm_ended(vm);
	if (!ended) {
		pthread_mutex_lock(&h->lock);
		h->wanted = true;
		pthread_mutex_unlock(&h->lock);
		hold_kick(vm);
	}
	pthread_mutex_unlock(&vm->end_lock);

	pthread_mutex_lock(&h->lock);
	while (h->held < vm->nr_vcpus && !vm_ended(vm))
		pthread_cond_wait(&h->change, &h->lock);
	pthread_mutex_unlock(&h->lock);
	if (!vm_ended(vm))
		return true;
	hold_release(vm);
	return false;
}

void hold_release(struct vm *vm)
{
	struct hold *h = &vm->hold;

	pthread_mutex_lock(&vm->end_lock);
	pthread_mutex_lock(&h->lock);
	for (unsigned int i = 0; i < vm->nr_vcpus && h->wanted && !vm_ended(vm); i++)
		vm->vcpu[i].run->immediate_exit = 0;
	h->wanted = false;
	pthread_cond_broadcast(&h->change);
	/* A new hold_all() must not count those that have not woken up yet. */
	while (h->held && !vm_ended(vm))
		pthread_cond_wait(&h->change, &h->lock);
	pthread_mutex_unlock(&h->lock);
	pthread_mutex_unlock(&vm->end_lock);
}

void hold_here(struct vcpu *vcpu)
{
	struct vm *vm = vcpu->vm;
	struct hold *h = &vm->hold;

	pthread_mutex_lock(&h->lock);
	if (h->wanted) {
		h->held++;
		pthread_cond_broadcast(&h->change);
		while (h->wanted && !vm_ended(vm))
			pthread_cond_wait(&h->change, &h->lock);
		h->held--;
		pthread_cond_broadcast(&h->change);
	}
	pthread_mutex_unlock(&h->lock);
}

void hold_over(struct vm *vm)
{
	pthread_mutex_lock(&vm->hold.lock);
	pthread_cond_broadcast(&vm->hold.change);
	pthread_mutex_unlock(&vm->hold.lock);
}
