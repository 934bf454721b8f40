// SPDX-License-Identifier: GPL-2.0
/*
 * A migration ends if each round leaves less to the next one. If it does not, the guest runs only while a part of the pages is
 * sent, in turns: counted by pages and not by time, this always comes to an end, on however slow a link.
 */
#include "moverate.h"

#include <time.h>

#include "movefmt.h"
#include "say.h"

#define FEW		64	/* pages that are sent while the guest stands still */
#define ALL		10	/* the throttle at which it does not run at all */
#define TELL_SECONDS	1
#define MIB		1048576.0

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

static double seconds_left(const struct move_rate *r, uint64_t pages)
{
	return r->rate > 0 ? pages * (double)MOVE_PAGE / r->rate : 0;
}

void move_rate_round(struct move_rate *r, uint64_t pages, uint64_t bytes)
{
	r->round++;
	r->of_round = pages;
	r->sent = 0;
	r->bytes = bytes;
	r->began = now();
	r->told = r->began;
}

static void measure(struct move_rate *r, uint64_t bytes)
{
	double seconds = now() - r->began;

	if (seconds > 0 && bytes > r->bytes)
		r->rate = (bytes - r->bytes) / seconds;
}

void move_rate_sent(struct move_rate *r, unsigned int pages, uint64_t bytes)
{
	r->sent += pages;
	r->tick++;
	if (now() - r->told < TELL_SECONDS)
		return;
	r->told = now();
	measure(r, bytes);
	say("round %u: %llu of %llu pages sent, %.1f MiB/s, its end in %.0f s", r->round, (unsigned long long)r->sent,
	    (unsigned long long)r->of_round, r->rate / MIB, seconds_left(r, r->of_round > r->sent ? r->of_round - r->sent : 0));
}

bool move_rate_ends(struct move_rate *r, uint64_t left, uint64_t bytes)
{
	bool few = left <= FEW;

	measure(r, bytes);
	/* The rounds get shorter if each page that was sent leaves less than half a page to be sent again. */
	if (!few && left > r->sent / 2 && r->throttle < ALL)
		r->throttle += r->throttle ? 2 : 4;
	say("round %u: %llu pages sent, %llu left, %.1f MiB/s, the end in %.1f s%s", r->round, (unsigned long long)r->sent,
	    (unsigned long long)left, r->rate / MIB, seconds_left(r, left), few ? "" :
	    r->throttle == ALL ? "; the guest writes too much, and stands still from now on" :
	    r->throttle ? "; the guest writes much, and is slowed down" : "");
	return few;
}

bool move_rate_stands(const struct move_rate *r)
{
	return r->tick % ALL < r->throttle;
}
