/* SPDX-License-Identifier: GPL-2.0 */
/* Droste's events as tracefs prints them: which of them a selection wants, and their fields. */
#ifndef DROSTECTL_TRACEEVENT_H
#define DROSTECTL_TRACEEVENT_H

#include <stdbool.h>
#include <stddef.h>

/* Selections of events; none means all. */
#define TRACE_L1	1	/* exits of L1, entries into it, events for it */
#define TRACE_L2	2	/* those of L2, who gets its exits, and what L1 is shown */
#define TRACE_INSN	4	/* L1's VMX instructions */

/**
 * trace_wants() - whether a selection has an event
 * @event: its name
 * @selection: TRACE_L1 and so on
 * @level: filled in: the level of which the event is wanted, 0: both
 */
bool trace_wants(const char *event, unsigned int selection, int *level);

/** trace_needs_exits() - whether an event makes all exits go the long way while it is on: see kmod/trace.h */
bool trace_needs_exits(const char *event);

/** trace_filter() - put the expression of a filter together: of a level, 0 for both, and of the user, "" for none */
void trace_filter(char *text, size_t size, int level, const char *expression);

/** enum trace_line - what a line of trace_pipe is */
enum trace_line {
	TRACE_LINE_EVENT,
	TRACE_LINE_LOST,	/* the kernel tells how many events were lost here */
	TRACE_LINE_STRANGE,	/* one with an event of Droste, but of an unknown form; a thread's name may contain a newline */
	TRACE_LINE_OTHER,
};

/** trace_line() - tell what a line is. @line: made fit for a terminal */
enum trace_line trace_line(char *line);

/**
 * trace_json() - make an object of an event, on one line without its end
 * @json: filled in; "" if it does not fit
 * @size: of @json
 * @line: TRACE_LINE_EVENT or TRACE_LINE_LOST
 *
 * Return: whether the event's text has the form that is known; else the object has the member "text" for it.
 */
bool trace_json(char *json, size_t size, const char *line);

#endif
