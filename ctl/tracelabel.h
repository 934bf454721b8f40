/* SPDX-License-Identifier: GPL-2.0 */
/* The first line of a recording, which says what was recorded, and what was not. */
#ifndef DROSTECTL_TRACELABEL_H
#define DROSTECTL_TRACELABEL_H

#include <stdbool.h>

/** struct trace_label - what it says, besides date and machine; "" for what there is not */
struct trace_label {
	char **command;			/* NULL: none */
	unsigned long pid;		/* 0: all processes */
	const char *clock, *filter, *note;
	const char *on, *without;	/* the events that are on, and those that the filter leaves out */
};

/** trace_label() - make the line. Return: the line without its end, to be given to free(); NULL if memory is short */
char *trace_label(const struct trace_label *l, bool json);

#endif
