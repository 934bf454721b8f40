/* SPDX-License-Identifier: GPL-2.0 */
/* The source's connection to a receiver: what the receiver takes or gives has limits of time, and it learns that the guest stays. */
#ifndef DROSTECTL_MOVELINK_H
#define DROSTECTL_MOVELINK_H

#include <stdbool.h>

#include "stream.h"

struct mover;

/** struct move_link - a connection */
struct move_link {
	struct stream *s;
	struct mover *mv;
	int fd;
	bool tcp;
	long answer_ms;		/* the limit of each record */
	long stop_ms;		/* how long the mover goes on after the run has ended */
	long limit;		/* of the record that is written or read: a time of CLOCK_MONOTONIC in ms */
	long stop;		/* of everything, when the run has ended; 0: it has not */
	bool stands;		/* the guest stands still until the receiver has what is sent */
	long waited;		/* ms that the receiver was waited for while it stood, since the last state that was acknowledged */
	uint64_t taken;		/* bytes that the receiver took while it stood, without those since it began to stand the last time */
	uint64_t from;		/* the stream's bytes when it did */
	bool hears;		/* only what has come already is read */
	bool last;		/* the last words: the end of the run does not keep them back */
	bool told;		/* the user knows that the receiver does not take them yet */
};

/** movelink_open() - connect to where the mover's options say; 0, or -1, after an error message if the run has not ended */
int movelink_open(struct move_link *l, struct mover *mv);

/** movelink_use() - let a stream on the connection wait by its rules; 0, or -1 with stream.why */
int movelink_use(struct move_link *l, struct stream *s);

/**
 * movelink_stands() - the guest stands still from now on until the receiver has taken something, or it runs
 * @l: the connection
 * @stands: which of the two
 *
 * While it stands, the receiver has one limit for all that it takes and gives, longer by a second for each MiB that it takes.
 */
void movelink_stands(struct move_link *l, bool stands);

/** movelink_acknowledged() - the receiver has a state, and the guest runs on: a new limit begins */
void movelink_acknowledged(struct move_link *l);

/** movelink_last() - the next record is the last one: the end of the run does not keep it back */
void movelink_last(struct move_link *l);

/**
 * movelink_part() - tell the receiver that the guest stays here
 * @l: the connection
 * @why: the reason
 * @has_state: the receiver may have a complete state of the guest, with which it goes on if the connection is closed
 *
 * Then a record that was begun is written to its end, and the connection stays open, until the receiver's side has got the
 * message, is gone, or the run has been over for some seconds. If the receiver may go on with the guest, the user is told.
 */
void movelink_part(struct move_link *l, const char *why, bool has_state);

/** movelink_close() - close the connection */
void movelink_close(struct move_link *l);

#endif
