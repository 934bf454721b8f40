/* SPDX-License-Identifier: GPL-2.0 */
/* Restricts an instance of tracefs to one process. */
#ifndef DROSTECTL_TRACEPID_H
#define DROSTECTL_TRACEPID_H

#include "tracefs.h"

/**
 * trace_threads() - the threads of a process
 * @dir: its directory in /proc with the threads
 *
 * Return: their numbers with a blank behind each, to be given to free(); NULL with errno if they cannot be read.
 */
char *trace_threads(const char *dir);

/**
 * trace_only() - record only events of a process's threads, those that it has and those that it makes
 * @t: the instance
 * @pid: the process
 *
 * Return: 0, or -1 after an error message.
 */
int trace_only(const struct tracefs *t, unsigned long pid);

#endif
