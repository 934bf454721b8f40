// SPDX-License-Identifier: GPL-2.0
/*
 * Moves a machine to a receiver. While the guest runs, rounds send the pages that it has written since the round before. Then
 * it stands still, the rest is sent, and the receiver says that it can start the guest: from then on it must not run here.
 *
 * With barriers, the rounds are followed by complete states, one for each WBINVD of the guest, which goes on when the receiver
 * has acknowledged the state.
 */
#include "movesend.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "../uapi/linux/droste.h"
#include "crc32c.h"
#include "hold.h"
#include "machine.h"
#include "movelink.h"
#include "moveout.h"
#include "moverate.h"
#include "say.h"

#define OUTPUT_RECORD	(64u << 10)	/* bytes of console output in one record */

/** struct sending - a migration */
struct sending {
	struct moveout o;
	struct move_link link;
	struct mover *mv;
	struct vm *vm;
	struct record reply;
	struct move_rate rate;
	uint64_t seq;		/* of the last barrier in the stream */
	bool greeted;		/* the receiver's first bytes were read */
	bool has_state;		/* the receiver may have a complete state */
	bool refused;		/* the receiver does not go on with the guest */
};

static int bad(struct sending *sd, const char *why)
{
	snprintf(sd->o.s.why, sizeof(sd->o.s.why), "%s", why);
	return -1;
}

static int ended(struct sending *sd)
{
	return bad(sd, "the guest has ended");
}

static bool over(struct sending *sd)
{
	return vm_ended(sd->vm);
}

/* --- answers --- */

static int await(struct sending *sd, uint32_t type)
{
	struct stream *s = &sd->o.s;
	enum stream_got got = stream_get(s, &sd->reply);

	if (got == STREAM_OVER)
		return bad(sd, "the receiver has closed the connection");
	if (got != STREAM_RECORD)
		return -1;
	if (sd->reply.type == MOVE_REFUSE) {
		sd->refused = true;
		snprintf(s->why, sizeof(s->why), "the receiver refuses it: %.4000s", record_text(&sd->reply));
		return -1;
	}
	return sd->reply.type == type ? 0 : bad(sd, "the receiver gives an answer that does not fit");
}

static int await_ack(struct sending *sd, uint64_t seq)
{
	uint64_t got;

	if (await(sd, MOVE_ACK))
		return -1;
	memcpy(&got, sd->reply.data, sizeof(got));
	return got == seq ? 0 : bad(sd, "the receiver acknowledges another barrier");
}

/* A receiver that refuses closes the connection, so that writing fails: its reason is there to be read. */
static void hear(struct sending *sd)
{
	char why[sizeof(sd->o.s.why)];

	snprintf(why, sizeof(why), "%s", sd->o.s.why);
	sd->link.hears = true;
	if (sd->greeted || !stream_check(&sd->o.s))
		await(sd, MOVE_REFUSE);
	sd->link.hears = false;
	if (!sd->refused)
		snprintf(sd->o.s.why, sizeof(sd->o.s.why), "%s", why);
}

/* --- while the guest runs --- */

/* Holds the guest for what is sent next. */
static int hold(struct sending *sd)
{
	if (!hold_all(sd->vm))
		return ended(sd);
	movelink_stands(&sd->link, true);
	return 0;
}

static int slow_down(struct sending *sd)
{
	if (move_rate_stands(&sd->rate))
		return hold(sd);
	hold_release(sd->vm);
	movelink_stands(&sd->link, false);
	return 0;
}

/* Sends the pages that are dirty now. */
static int put_dirty(struct sending *sd, bool runs)
{
	uint64_t from = 0, first;
	unsigned int n;

	while ((n = dirty_take(sd->vm, &from, &first, MOVE_RUN))) {
		if (runs && (over(sd) || slow_down(sd)))
			return ended(sd);
		if (moveout_pages(&sd->o, first, n))
			return -1;
		if (runs)
			move_rate_sent(&sd->rate, n, sd->o.s.bytes);
	}
	return 0;
}

static int rings_failed(struct sending *sd)
{
	snprintf(sd->o.s.why, sizeof(sd->o.s.why), "the log of written pages failed: %s", strerror(errno));
	return -1;
}

static int rounds(struct sending *sd)
{
	if (dirty_log(sd->vm, true))
		return rings_failed(sd);
	dirty_fill(sd->vm);
	do {
		move_rate_round(&sd->rate, dirty_left(sd->vm), sd->o.s.bytes);
		if (put_dirty(sd, true))
			return -1;
		if (dirty_collect(sd->vm))
			return rings_failed(sd);
	} while (!move_rate_ends(&sd->rate, dirty_left(sd->vm), sd->o.s.bytes));
	return 0;
}

/* --- complete states --- */

/* Sends what the guest has sent to its console since the state before. */
static int put_output(struct sending *sd)
{
	struct mover *mv = sd->mv;
	uint8_t *output;
	size_t len;
	bool lost;
	int ret;

	pthread_mutex_lock(&mv->lock);
	lost = mv->output_lost;
	output = mv->output;
	len = mv->output_len;
	mv->output = NULL;
	mv->output_len = 0;
	mv->output_room = 0;
	pthread_mutex_unlock(&mv->lock);
	ret = lost ? bad(sd, "there is no memory for the guest's console output") : 0;
	sd->o.output_sum = crc32c(sd->o.output_sum, output, len);
	for (size_t at = 0, n; at < len && !ret; at += n) {
		n = len - at < OUTPUT_RECORD ? len - at : OUTPUT_RECORD;
		ret = stream_put(&sd->o.s, MOVE_OUTPUT, 0, output + at, n);
	}
	free(output);
	return ret;
}

/*
 * Sends all that makes the state complete, but the record that says so. The guest stands still. What reads the state may
 * write to memory, so the log is read after that. Console output is the receiver's to print from the first state on.
 */
static int put_state(struct sending *sd)
{
	struct move_state state = { 0 };
	int ret;

	if (hold(sd))
		return -1;
	if (sd->mv->o.barriers && !sd->seq)
		mover_keep(sd->mv, true);
	ret = moveout_state(&sd->o, &state);
	if (!ret && dirty_collect(sd->vm))
		ret = rings_failed(sd);
	if (!ret)
		ret = put_dirty(sd, false) || put_output(sd) || move_state_put(&state, &sd->o.s) ? -1 : 0;
	move_state_free(&state);
	moveout_sum(&sd->o, sd->seq + 1);
	return ret;
}

/* Sends a state and the record that completes it. If a part of that is written, the receiver gets the other part, too. */
static int complete(struct sending *sd, uint32_t type, const void *data, size_t len)
{
	if (put_state(sd))
		return -1;
	sd->has_state = true;
	return stream_put(&sd->o.s, type, 0, data, len);
}

/* A complete state, after which the guest goes on here. */
static int put_barrier(struct sending *sd, uint32_t level)
{
	struct move_barrier b = { .seq = sd->seq + 1, .level = level };

	if (complete(sd, MOVE_BARRIER, &b, sizeof(b)) || await_ack(sd, b.seq))
		return -1;
	sd->seq++;
	if (sd->o.sums)
		say("state %llu: acknowledged", (unsigned long long)sd->seq);
	hold_release(sd->vm);
	movelink_acknowledged(&sd->link);
	return 0;
}

/* The last one. Unless something else has ended the run here before, it is the receiver's from now on. */
static int put_end(struct sending *sd)
{
	if (complete(sd, MOVE_END, NULL, 0) || await(sd, MOVE_READY))
		return -1;
	if (!vm_end(sd->vm, RUN_MOVED, 0, NULL, "the guest runs at %s now: %llu pages, %u rounds, %.1f MiB", sd->mv->o.to,
		    (unsigned long long)sd->o.pages, sd->rate.round, sd->o.s.bytes / 1048576.0))
		return ended(sd);
	movelink_last(&sd->link);
	/* A receiver that does not get this finds the connection closed, and starts the guest as well. */
	if (stream_put(&sd->o.s, MOVE_COMMIT, 0, NULL, 0))
		say("the receiver is ready, but has perhaps not been told to start the guest: %s", sd->o.s.why);
	return 0;
}

static int set_barriers(struct sending *sd, bool on)
{
	struct droste_barrier b = { .flags = on ? DROSTE_BARRIER_EXITS : 0 };

	if (!ioctl(sd->vm->fd, DROSTE_SET_BARRIER, &b))
		return 0;
	return bad(sd, errno == ENOTTY ? "the device is not Droste's, and has no barriers" :
		       "the device cannot make barriers of WBINVD");
}

/* One state after the other, until somebody asks again. */
static int barriers(struct sending *sd)
{
	struct mover *mv = sd->mv;

	if (set_barriers(sd, true) || put_barrier(sd, 0))
		return -1;
	for (;;) {
		bool asked, is_over, came;
		uint64_t kernels;
		uint32_t level;

		mover_wait(mv);
		asked = mv->asked;
		is_over = mv->over;
		came = mv->barrier;
		kernels = mv->barrier_seq;
		level = mv->barrier_level;
		mv->barrier = false;
		mv->asked = false;
		pthread_mutex_unlock(&mv->lock);
		if (is_over)
			return ended(sd);
		if (asked)
			return 0;
		if (put_barrier(sd, came ? level : 0))
			return -1;
		if (came)
			ioctl(sd->vm->fd, DROSTE_RELEASE_BARRIER, &kernels);
	}
}

/* --- all --- */

static int greet(struct sending *sd)
{
	if (moveout_header(&sd->o, sd->mv->o.barriers) || stream_check(&sd->o.s))
		return -1;
	sd->greeted = true;
	return await(sd, MOVE_ACCEPT);
}

/* The guest runs on here. */
static void give_up(struct sending *sd)
{
	struct vm *vm = sd->vm;

	if (sd->mv->o.barriers)
		set_barriers(sd, false);
	dirty_log(vm, false);
	hold_release(vm);
}

static int send_all(struct sending *sd)
{
	return movelink_use(&sd->link, &sd->o.s) || greet(sd) || rounds(sd) || (sd->mv->o.barriers && barriers(sd)) ||
	       put_end(sd) ? -1 : 0;
}

bool move_send(struct mover *mv)
{
	struct sending sd = { .mv = mv, .vm = &mv->m->vm };
	char why[sizeof(sd.o.s.why)];
	int ret;

	if (movelink_open(&sd.link, mv))
		return false;
	moveout_init(&sd.o, mv->m, sd.link.fd, mv->o.to);
	ret = send_all(&sd);
	mover_keep(mv, false);
	if (!ret) {
		hold_release(sd.vm);
	} else {
		if (!sd.refused && !over(&sd))
			hear(&sd);
		snprintf(why, sizeof(why), "%s", sd.o.s.why);
		if (!over(&sd))
			say_lacks("the guest is not moved, and runs on: ", why);
		give_up(&sd);
		if (!sd.refused)
			movelink_part(&sd.link, why, sd.has_state);
	}
	movelink_close(&sd.link);
	record_free(&sd.reply);
	return !ret;
}
