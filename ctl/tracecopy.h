/* SPDX-License-Identifier: GPL-2.0 */
/* Copies events from an instance's trace_pipe to the output, as text or JSON. */
#ifndef DROSTECTL_TRACECOPY_H
#define DROSTECTL_TRACECOPY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/** struct trace_copy - the copying, and what came of it */
struct trace_copy {
	int pipe;			/* trace_pipe, which does not block */
	FILE *out;
	bool json;
	char rest[8192];		/* a line that is not complete yet */
	size_t nr_rest;
	unsigned long long kept;	/* events that were written */
	unsigned long long strange;	/* lines with an event of Droste that drostectl does not understand, and left out */
	int lost_output;		/* the errno of the first write that failed, 0 if none has */
};

/**
 * trace_copy() - take events out of the buffer
 * @c: the copying
 * @limit: about how many bytes to take; 0: all that there are
 *
 * Stops when the output cannot be written. Events can arrive faster than they are written, so that a caller with other
 * duties must set a limit.
 */
void trace_copy(struct trace_copy *c, size_t limit);

/** trace_create() - create or empty the file for the output, which only its owner may read. Return: NULL with errno if it cannot */
FILE *trace_create(const char *path);

#endif
