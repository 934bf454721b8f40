/* SPDX-License-Identifier: GPL-2.0 */
/* How a migration gets on: what it tells, and whether the guest must run less so that it comes to an end. */
#ifndef DROSTECTL_MOVERATE_H
#define DROSTECTL_MOVERATE_H

#include <stdbool.h>
#include <stdint.h>

/** struct move_rate - a migration's progress */
struct move_rate {
	unsigned int round;	/* from 1 on */
	uint64_t of_round;	/* pages that the round is to send */
	uint64_t sent;		/* pages that the round has sent */
	uint64_t bytes;		/* written to the stream when the round began */
	double began, told;	/* seconds: when the round began, and when something was told last */
	double rate;		/* bytes each second, of the last round that sent much */
	unsigned int throttle;	/* tenths of the pages that are sent while the guest stands still */
	unsigned int tick;	/* runs of pages that were sent */
};

/** move_rate_round() - a round begins; bytes: written so far */
void move_rate_round(struct move_rate *r, uint64_t pages, uint64_t bytes);

/** move_rate_sent() - pages were sent; tells of it now and then */
void move_rate_sent(struct move_rate *r, unsigned int pages, uint64_t bytes);

/**
 * move_rate_ends() - a round has ended: tell of it, and choose how much the guest runs in the next one
 * @r: the progress
 * @left: pages that the guest has written meanwhile
 * @bytes: written so far
 *
 * Return: whether so few are left that they can be sent while the guest stands still.
 */
bool move_rate_ends(struct move_rate *r, uint64_t left, uint64_t bytes);

/** move_rate_stands() - whether the guest must stand still while the next run of pages is sent */
bool move_rate_stands(const struct move_rate *r);

#endif
