/* SPDX-License-Identifier: GPL-2.0 */
/* A machine that comes by a stream: its memory, and its last complete state. */
#ifndef DROSTECTL_IMAGE_H
#define DROSTECTL_IMAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "mem.h"
#include "movestate.h"
#include "poolfile.h"
#include "stream.h"

#define IMAGE_MEMORY_MAX	(1024u * 1024)	/* MiB: no machine has more */

/** enum image_event - why image_read() returns */
enum image_event {
	IMAGE_BAD,		/* the stream is damaged, or says what cannot be; stream.why says what */
	IMAGE_LOST,		/* it ends before its end, or cannot be read; stream.why */
	IMAGE_BARRIER,		/* the state is complete; seq is the barrier's number */
	IMAGE_END,		/* it is complete, and the last one */
	IMAGE_COMMIT,		/* the guest may start */
	IMAGE_CANCELLED,	/* the source keeps its guest; stream.why has its reason */
};

/** struct image - what has come */
struct image {
	uint32_t memory_most;		/* MiB: a larger machine is refused; 0: any size is accepted */
	struct move_machine machine;
	struct pool_file pool;		/* the guest's processor */
	struct guest_mem mem;		/* memory; at the last complete state, if there is one */
	uint8_t *data;			/* a bit for each page of mem that may not be zero: nobody has touched the others */
	struct guest_mem next_mem;	/* pages that came after that */
	uint8_t *next;			/* a bit for each page that came after that */
	uint8_t *next_data;		/* and for each of these that is in next_mem: the others are zero */
	struct move_state state;	/* the last complete state */
	struct move_state next_state;	/* what came after it */
	uint8_t *output;		/* console output up to the last complete state that image_output() has not given yet */
	size_t output_len, output_next;	/* bytes of it; and with those that came after that state */
	uint64_t seq;			/* of the last barrier; 0: there was none */
	uint64_t pages;			/* that came */
	bool complete;			/* there is a complete state */
	bool ended;			/* the end has come */
	struct record record;
};

/**
 * image_header() - read what machine it is, and allocate its memory
 * @im: filled in; zeros but for memory_most
 * @s: the stream, which has been checked
 *
 * Return: 0, or -1 with stream.why.
 */
int image_header(struct image *im, struct stream *s);

/** image_read() - read up to the next complete state, or the end */
enum image_event image_read(struct image *im, struct stream *s);

/** image_free() - free all that it still has */
void image_free(struct image *im);

#endif
