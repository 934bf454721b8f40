// SPDX-License-Identifier: GPL-2.0
/*
 * A thread that waits until somebody asks for the machine to be saved or moved: by Ctrl-A s on the console, by SIGUSR1, or the
 * guest by a write to PORT_MOVE.
 */
#include "mover.h"

#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../uapi/linux/droste.h"
#include "endpoint.h"
#include "layout.h"
#include "machine.h"
#include "movesave.h"
#include "movesend.h"
#include "say.h"

#define OUTPUT_MUCH	(4u << 20)	/* bytes of console output since the last state that make one */
#define GUEST_TRIES	5		/* a guest that asks in vain so often is not heard until a user asks */

/* The port: a write asks, a read tells the guest how often it has been saved or moved. */
static uint32_t port_in(void *opaque, uint16_t off, unsigned int size)
{
	struct mover *mv = opaque;

	(void)size;
	return off ? 0 : mv->moves;
}

/* Each try costs the host work and a message, and a guest may ask for ever. */
static void port_out(void *opaque, uint16_t off, unsigned int size, uint32_t val)
{
	struct mover *mv = opaque;

	(void)size;
	if (off || !val)
		return;
	pthread_mutex_lock(&mv->lock);
	/* With barriers it asks for the end of a move that has begun. */
	if (mv->tries < GUEST_TRIES || mv->keeps) {
		mv->asked = true;
		pthread_cond_broadcast(&mv->change);
	}
	pthread_mutex_unlock(&mv->lock);
}

void mover_init(struct machine *m, const struct move_options *o, uint32_t moves)
{
	struct mover *mv = &m->mover;
	const struct ioport_dev port = { "move", PORT_MOVE, 4, 4, mv, port_in, port_out };

	mv->m = m;
	mv->o = *o;
	move_save_init(mv);
	mv->moves = moves;
	mv->ask_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	pthread_mutex_init(&mv->lock, NULL);
	pthread_cond_init(&mv->change, NULL);
	m->vm.mover = mv;
	ioport_add(&m->bus, &port);
}

/* A save replaces what has the file's name. Root, who may replace a device by a file, does not mean to. */
static int check_name(const char *name)
{
	struct stat st;

	if (stat(name, &st) || S_ISREG(st.st_mode))
		return 0;
	say("--save: \"%s\" is no file that a save could replace", name);
	return -1;
}

int mover_check(const struct move_options *o)
{
	if (o->save && o->to) {
		say("--save and --migrate-to both say where the machine goes");
		return -1;
	}
	if (o->barriers && !o->to) {
		say("--barriers needs --migrate-to, which says who gets them");
		return -1;
	}
	if (o->save && check_name(o->save))
		return -1;
	return o->to ? endpoint_check(o->to, false) : 0;
}

void mover_ask(struct mover *mv)
{
	if (!mv)
		return;
	pthread_mutex_lock(&mv->lock);
	mv->asked = true;
	mv->tries = 0;
	eventfd_write(mv->ask_fd, 1);
	pthread_cond_broadcast(&mv->change);
	pthread_mutex_unlock(&mv->lock);
}

void mover_barrier(struct vcpu *vcpu)
{
	struct mover *mv = vcpu->vm->mover;
	struct droste_barrier_exit e;

	memcpy(&e, vcpu->run->padding, sizeof(e));
	pthread_mutex_lock(&mv->lock);
	mv->barrier = true;
	mv->barrier_seq = e.seq;
	mv->barrier_level = e.level;
	pthread_cond_broadcast(&mv->change);
	pthread_mutex_unlock(&mv->lock);
}

void mover_keep(struct mover *mv, bool on)
{
	pthread_mutex_lock(&mv->lock);
	mv->keeps = on;
	mv->output_len = 0;
	mv->output_lost = false;
	pthread_mutex_unlock(&mv->lock);
}

static bool output_fits(struct mover *mv)
{
	size_t room = mv->output_room ? 2 * mv->output_room : 4096;
	uint8_t *more;

	if (mv->output_len < mv->output_room)
		return true;
	more = realloc(mv->output, room);
	if (!more)
		return false;
	mv->output = more;
	mv->output_room = room;
	return true;
}

void mover_output(struct mover *mv, uint8_t byte)
{
	if (!mv)
		return;
	pthread_mutex_lock(&mv->lock);
	if (mv->keeps && !mv->output_lost) {
		mv->output_lost = !output_fits(mv);
		if (!mv->output_lost)
			mv->output[mv->output_len++] = byte;
		if (mv->output_lost || mv->output_len == OUTPUT_MUCH)
			pthread_cond_broadcast(&mv->change);
	}
	pthread_mutex_unlock(&mv->lock);
}

void mover_wait(struct mover *mv)
{
	pthread_mutex_lock(&mv->lock);
	while (!mv->asked && !mv->over && !mv->barrier && !mv->output_lost && mv->output_len < OUTPUT_MUCH)
		pthread_cond_wait(&mv->change, &mv->lock);
}

/* That was the guest's last try, unless a user has asked meanwhile. */
static void tell_enough(struct mover *mv)
{
	bool enough;

	pthread_mutex_lock(&mv->lock);
	enough = mv->tries == GUEST_TRIES;
	pthread_mutex_unlock(&mv->lock);
	if (enough)
		say("the guest's own requests to be saved or moved are not heard any more, until Ctrl-A s or SIGUSR1 asks for it");
}

static void *mover_loop(void *arg)
{
	struct mover *mv = arg;
	bool nowhere = !mv->o.save && !mv->o.to, over = false;

	while (!over) {
		bool asked;

		mover_wait(mv);
		over = mv->over;
		asked = mv->asked && !over;
		mv->asked = false;
		mv->barrier = false;
		/* Counted now: what the guest asks during its last try is too much. */
		if (asked)
			mv->tries += nowhere ? GUEST_TRIES : 1;
		pthread_mutex_unlock(&mv->lock);
		if (!asked)
			continue;
		if (nowhere) {
			say("the guest has nowhere to go: start it with --save or --migrate-to");
			continue;
		}
		over = mv->o.save ? move_save(mv) : move_send(mv);
		if (!over)
			tell_enough(mv);
	}
	return NULL;
}

int mover_start(struct mover *mv)
{
	int err = pthread_create(&mv->thread, NULL, mover_loop, mv);

	mv->started = !err;
	if (err)
		say("cannot start a thread: %s", strerror(err));
	return err ? -1 : 0;
}

void mover_stop(struct mover *mv)
{
	if (!mv->started)
		return;
	pthread_mutex_lock(&mv->lock);
	mv->over = true;
	pthread_cond_broadcast(&mv->change);
	pthread_mutex_unlock(&mv->lock);
	pthread_join(mv->thread, NULL);
	mv->started = false;
	close(mv->ask_fd);
	free(mv->output);
}
