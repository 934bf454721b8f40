/* SPDX-License-Identifier: GPL-2.0 */
/* Saves a machine, or moves it elsewhere, when somebody asks for it. */
#ifndef DROSTECTL_MOVER_H
#define DROSTECTL_MOVER_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "newfile.h"

struct machine;
struct vcpu;
struct vm;

/** struct move_options - what shall be done with a machine */
struct move_options {
	const char *save;	/* a file, or NULL */
	const char *to;		/* an address for endpoint_connect(), or NULL */
	bool barriers;		/* at each WBINVD of the guest the receiver gets a complete state */
};

/** struct mover - a thread that waits until somebody asks */
struct mover {
	struct machine *m;
	struct move_options o;
	struct newfile_seen seen;	/* what was at o.save when the machine was made */
	uint32_t moves;		/* how often the machine has been saved or moved so far */
	pthread_t thread;
	bool started;

	pthread_mutex_t lock;	/* guards the members below; taken inside the bus lock */
	pthread_cond_t change;
	bool asked;		/* somebody asks */
	bool over;		/* the run ends */
	bool barrier;		/* a vCPU has executed WBINVD, and all wait */
	uint64_t barrier_seq;	/* the kernel's number of that barrier */
	uint32_t barrier_level;
	int ask_fd;		/* eventfd: becomes readable when a user asks */
	unsigned int tries;	/* that have begun since a user asked */
	bool keeps;		/* keep the console's output for the receiver */
	uint8_t *output;	/* what was kept since the last complete state */
	size_t output_len, output_room;
	bool output_lost;	/* there was no memory for some of it */
};

/**
 * mover_init() - prepare what saves or moves a machine, and put its port on the bus
 * @m: the machine, whose bus is ready
 * @o: what to do, checked by mover_check()
 * @moves: how often the machine has been saved or moved before
 */
void mover_init(struct machine *m, const struct move_options *o, uint32_t moves);

/** mover_check() - check options; 0, or -1 after an error message */
int mover_check(const struct move_options *o);

/** mover_start() - start the thread, if there is something to do; 0, or -1 after an error message */
int mover_start(struct mover *mv);

/** mover_stop() - wait for the end of the thread, which takes some seconds at most; the run has ended */
void mover_stop(struct mover *mv);

/** mover_ask() - the user wants the machine to be saved or moved now; any thread; NULL: there is no mover */
void mover_ask(struct mover *mv);

/** mover_barrier() - KVM_RUN of a vCPU has ended with DROSTE_EXIT_BARRIER; its thread */
void mover_barrier(struct vcpu *vcpu);

/** mover_keep() - keep the console's output from now on, or drop it */
void mover_keep(struct mover *mv, bool on);

/** mover_output() - the guest has sent a byte to its console; caller holds the bus lock; NULL: there is no mover */
void mover_output(struct mover *mv, uint8_t byte);

/** mover_wait() - wait until somebody asks, a barrier comes, much output is kept, or the run ends; returns with the lock held */
void mover_wait(struct mover *mv);

#endif
