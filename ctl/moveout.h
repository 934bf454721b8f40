/* SPDX-License-Identifier: GPL-2.0 */
/* What both a file with a saved machine and a migration write of it. */
#ifndef DROSTECTL_MOVEOUT_H
#define DROSTECTL_MOVEOUT_H

#include <stdbool.h>
#include <stdint.h>

#include "movestate.h"
#include "stream.h"

struct machine;

/** struct moveout - a machine that is being written */
struct moveout {
	struct machine *m;
	struct stream s;
	uint64_t pages;		/* that were written, those of zeros included */
	uint32_t memory_sum;	/* for tests: of the memory at the last state */
	uint32_t output_sum;	/* of all console output up to there */
	bool sums;		/* tell them */
};

/** moveout_init() - prepare to write a machine to a file or socket; name is for messages */
void moveout_init(struct moveout *o, struct machine *m, int fd, const char *name);

/** moveout_header() - write what machine it is; barriers: states will follow; 0, or -1 with s.why */
int moveout_header(struct moveout *o, bool barriers);

/** moveout_pages() - write pages by their numbers in the memory; 0, or -1 with s.why */
int moveout_pages(struct moveout *o, uint64_t first, unsigned int n);

/** moveout_all_pages() - the number of the memory's pages */
uint64_t moveout_all_pages(const struct machine *m);

/** moveout_state() - read the state of devices and vCPUs, which are held; 0, or -1 with s.why; free the state then */
int moveout_state(struct moveout *o, struct move_state *state);

/** moveout_sum() - for tests: tell the sums of memory and output at a state */
void moveout_sum(struct moveout *o, uint64_t seq);

#endif
