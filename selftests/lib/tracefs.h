/* SPDX-License-Identifier: GPL-2.0 */
/* Events of one subtest, in a private instance of tracefs; and writes to the files of the common one. */
#ifndef TRACEFS_H
#define TRACEFS_H

#include "ksft.h"

#define TRACING	"/sys/kernel/tracing"
#define MAX_TRACE_EVENTS 8192

extern char *trace_events[MAX_TRACE_EVENTS];	/* each a line from the event's name on */
extern int nr_trace_events;

/* Turns on all events of a system, in an instance whose clock counts events. Skips the subtest if the kernel cannot. */
void trace_begin(const char *system);
/* Reads the events, oldest first, and removes the instance. None may have been lost. */
void trace_end(void);
/* The value behind a name in an event; names and values are words. ~0 if there is none. */
u64 trace_field(const char *event, const char *name);
/* Writes to a file of the common instance, opened with @flags (O_APPEND, O_TRUNC). Returns 0 or a negative errno. */
int trace_write(const char *file, const char *text, int flags);
/* Whether an event has this name. */
bool trace_is(const char *event, const char *name);

#endif
