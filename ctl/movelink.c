// SPDX-License-Identifier: GPL-2.0
/*
 * The source's connection to a receiver. A receiver that has a complete state goes on with the guest when it finds the
 * connection closed without a word. So a source that keeps its guest closes it behind a whole MOVE_CANCEL only.
 *
 * The socket does not block. The mover's thread waits for it here, with a limit for each record in either direction. A receiver
 * that is just in time with each of them could keep a guest that stands still meanwhile for hours, so the time for which the
 * guest has stood for the receiver has a limit as well.
 */
#include "movelink.h"

#include <errno.h>
#include <limits.h>
#include <linux/sockios.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "endpoint.h"
#include "machine.h"
#include "movetest.h"
#include "nowms.h"
#include "say.h"

#define ANSWER_MS	60000	/* a receiver that takes or gives a record in no such time does not get the guest */
#define STOP_MS		10000	/* how long a receiver may take to learn that the run has ended */
#define BYTES_MS	1049	/* a receiver that takes 1 MiB/s while the guest stands still is not too slow */
#define LOOK_MS		50	/* the kernel does not tell when TCP has delivered all */

static int bad(struct stream *s, const char *what)
{
	snprintf(s->why, sizeof(s->why), "%s", what);
	return -1;
}

static bool ended(const struct move_link *l)
{
	return vm_ended(&l->mv->m->vm);
}

int movelink_open(struct move_link *l, struct mover *mv)
{
	int domain = AF_UNIX;
	socklen_t len = sizeof(domain);

	*l = (struct move_link) {
		.mv = mv, .answer_ms = move_test_number("answer", ANSWER_MS), .stop_ms = move_test_number("stop", STOP_MS),
	};
	l->fd = endpoint_connect(mv->o.to, mv->m->vm.wake_fd, l->answer_ms);
	if (l->fd < 0)
		return -1;
	getsockopt(l->fd, SOL_SOCKET, SO_DOMAIN, &domain, &len);
	l->tcp = domain != AF_UNIX;
	return 0;
}

/* --- waiting --- */

/* Somebody wants to move the guest elsewhere meanwhile. */
static void answer_asker(struct move_link *l)
{
	eventfd_t n;

	eventfd_read(l->mv->ask_fd, &n);
	pthread_mutex_lock(&l->mv->lock);
	l->mv->asked = false;
	pthread_mutex_unlock(&l->mv->lock);
	say("the guest cannot move yet: the receiver at %s does not know that it stays", l->mv->o.to);
}

/* A receiver that has a state takes nothing. It may be that it never will. */
static void tell_wait(struct move_link *l)
{
	if (l->told || ended(l) || l->limit != LONG_MAX)
		return;
	l->told = true;
	say("the receiver at %s takes nothing: the connection stays open until it knows that the guest stays here", l->mv->o.to);
}

/* Waits, @most ms at a time. Returns false if the limit is reached. */
static bool wait_event(struct move_link *l, short events, long most)
{
	for (;;) {
		bool over = ended(l);
		long now = now_ms(), left, wait;
		struct pollfd p[] = {
			{ .fd = l->fd, .events = events }, { .fd = over ? -1 : l->mv->m->vm.wake_fd, .events = POLLIN },
			{ .fd = l->last ? l->mv->ask_fd : -1, .events = POLLIN },
		};
		int n;

		if (over && !l->stop)
			l->stop = now + l->stop_ms;
		left = (over && l->stop < l->limit ? l->stop : l->limit) - now;
		wait = left < most ? left : most;
		if (left <= 0)
			return false;
		n = poll(p, 3, wait > INT_MAX ? -1 : wait);
		if (p[2].revents)
			answer_asker(l);
		/* If the run has ended, nothing more is read, and there is another limit. */
		if (p[0].revents || (p[1].revents && events == POLLIN) || (!n && wait < left))
			return true;
	}
}

/* Waits for the receiver. Returns 0, or -1 with stream.why. */
static int wait_receiver(struct move_link *l, short events, const char *failed)
{
	long began = now_ms();
	bool came = wait_event(l, events, LONG_MAX);

	if (l->stands)
		l->waited += now_ms() - began;
	return came ? 0 : bad(l->s, l->stands ? "the receiver takes too long, and the guest stood still meanwhile" : failed);
}

/* How long the receiver may take for the next record. */
static long record_ms(const struct move_link *l)
{
	long left = l->answer_ms + (l->taken + l->s->bytes - l->from) / BYTES_MS - l->waited;

	return l->stands && left < l->answer_ms ? left : l->answer_ms;
}

static int step(struct stream *s, enum stream_step step)
{
	struct move_link *l = s->owner;

	if (l->hears)
		return step == STREAM_BEGINS ? 0 : -1;
	if (step == STREAM_WRITES) {
		if (l->last)
			tell_wait(l);
		return wait_receiver(l, POLLOUT, "writing to the receiver failed: it takes no more");
	}
	if (ended(l) && !l->last)
		return bad(s, "the guest has ended");
	if (step == STREAM_READS)
		return wait_receiver(l, POLLIN, "reading from the receiver failed: no answer comes");
	if (!l->last)
		l->limit = now_ms() + record_ms(l);
	return 0;
}

void movelink_stands(struct move_link *l, bool stands)
{
	if (stands == l->stands)
		return;
	l->stands = stands;
	if (!stands)
		l->taken += l->s->bytes - l->from;
	l->from = l->s->bytes;
}

void movelink_acknowledged(struct move_link *l)
{
	movelink_stands(l, false);
	l->waited = 0;
	l->taken = 0;
}

int movelink_use(struct move_link *l, struct stream *s)
{
	l->s = s;
	s->step = step;
	s->owner = l;
	s->strict = true;
	s->rest = malloc(STREAM_REST);
	return s->rest ? 0 : bad(s, "there is no memory for its records");
}

/* --- the end --- */

void movelink_last(struct move_link *l)
{
	eventfd_t n;

	eventfd_read(l->mv->ask_fd, &n);
	l->last = true;
	l->limit = LONG_MAX;
	l->stands = false;
}

/*
 * A Unix socket has what was written. TCP may lose it with the connection: wait until the other side has it. What came from
 * there is read, because the kernel resets a connection that is closed with unread bytes.
 */
static int deliver(struct move_link *l)
{
	char unread[4096];

	shutdown(l->fd, SHUT_WR);
	for (int looks = 0; l->tcp; looks++) {
		ssize_t n;
		int left;

		if (looks)
			tell_wait(l);
		n = read(l->fd, unread, sizeof(unread));
		if (!n || (!ioctl(l->fd, SIOCOUTQ, &left) && !left))
			break;
		if ((n < 0 && errno != EAGAIN && errno != EINTR) || !wait_event(l, POLLIN, LOOK_MS))
			return -1;
	}
	return 0;
}

void movelink_part(struct move_link *l, const char *why, bool has_state)
{
	movelink_last(l);
	if (!has_state)
		l->limit = now_ms() + l->stop_ms;
	if (!stream_flush(l->s) && !stream_text(l->s, MOVE_CANCEL, why) && !deliver(l)) {
		if (l->told)
			say("the receiver at %s knows now that the guest stays here", l->mv->o.to);
		return;
	}
	if (!has_state)
		return;
	say(ended(l) ? "the receiver at %s cannot be told that the guest has ended: if it is alive, the guest goes on there" :
	    "the connection to the receiver at %s is broken: if it is alive, the guest goes on there as well", l->mv->o.to);
}

void movelink_close(struct move_link *l)
{
	free(l->s->rest);
	close(l->fd);
}
