/* SPDX-License-Identifier: GPL-2.0 */
/* An instance of tracefs with Droste's events: a buffer, filters and a clock of its own, apart from other tracing. */
#ifndef DROSTECTL_TRACEFS_H
#define DROSTECTL_TRACEFS_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

/** struct tracefs - an instance */
struct tracefs {
	char dir[96];		/* its directory; empty if there is none */
	int pipe;		/* its trace_pipe, which does not block */
};

/**
 * tracefs_missing() - why Droste's events cannot be traced here
 * @mount: directory of tracefs
 * @module: directory of the module in sysfs
 *
 * Return: a sentence, or NULL if they can be, as far as files tell.
 */
const char *tracefs_missing(const char *mount, const char *module);

/**
 * tracefs_begin() - make an instance, which does not trace yet
 * @t: filled in
 *
 * Removes instances that drostectl left behind when it was killed. The instance is removed at exit() and at the
 * signals that end a program, too; a caller may take these for itself.
 *
 * Return: 0, or -1 after an error message.
 */
int tracefs_begin(struct tracefs *t);

/** tracefs_end() - remove the instance, if there is one; says so if it stays, because another program has it open */
void tracefs_end(struct tracefs *t);

/**
 * tracefs_put() - write a file of the instance
 * @t: the instance
 * @file: its name
 * @text: what to write
 *
 * Return: 0 or errno.
 */
int tracefs_put(const struct tracefs *t, const char *file, const char *text);

/** tracefs_add() - as tracefs_put(), but a file with a list keeps what it has */
int tracefs_add(const struct tracefs *t, const char *file, const char *text);

/**
 * tracefs_get() - read a file of the instance
 * @t: the instance
 * @file: its name
 * @text: filled in, with a 0 at the end
 * @size: of @text; what does not fit is left out
 *
 * Return: the length, or -1 if it cannot be read.
 */
long tracefs_get(const struct tracefs *t, const char *file, char *text, size_t size);

/**
 * tracefs_events() - the names of Droste's events
 * @t: the instance
 * @each: is called for each of them, and ends the walk unless it returns 0
 * @arg: for @each
 *
 * Return: what the last call returned, or -1 after an error message.
 */
int tracefs_events(const struct tracefs *t, int (*each)(const char *event, void *arg), void *arg);

/** tracefs_lost() - events of the instance that found no room, or were overwritten before they were read */
unsigned long long tracefs_lost(const struct tracefs *t);

/** tracefs_stat() - the number behind "@name: " in a file of the kernel, such as per_cpu/cpu0/stats; 0 if there is none */
unsigned long long tracefs_stat(const char *text, const char *name);

/** struct tracefs_count - a trigger with which the kernel counts events, whatever the filters are */
struct tracefs_count {
	const char *trigger;	/* the file of an event that takes it */
	const char *histogram;	/* the file of the event with the numbers */
	const char *count;	/* what turns it on */
	const char *remove;	/* what turns it off */
};

/** tracefs_counts - exits by level; begins and ends of KVM_RUN. A trigger keeps its event on even if events/enable is 0 */
extern const struct tracefs_count tracefs_counts[2];

/**
 * tracefs_remove() - turn all off in an instance, and remove it
 * @path: its directory
 *
 * Context: a handler of signals may call it.
 * Return: 0, or errno if it stays. It costs the machines nothing then.
 */
int tracefs_remove(const char *path);

#endif
