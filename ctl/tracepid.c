// SPDX-License-Identifier: GPL-2.0
/* Restricts an instance of tracefs to one process. */
#include "tracepid.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "say.h"

#define LOOKS	100	/* a process that makes threads all the time is given up */

char *trace_threads(const char *dir)
{
	DIR *d = opendir(dir);
	struct dirent *e;
	char *list = NULL;
	size_t size;
	FILE *f;
	bool good;

	if (!d)
		return NULL;
	f = open_memstream(&list, &size);
	while (f && (e = readdir(d)))
		if (e->d_name[0] != '.')
			fprintf(f, "%s ", e->d_name);
	closedir(d);
	good = f && !ferror(f);
	if (f && !fclose(f) && good)
		return list;
	free(list);
	errno = ENOMEM;
	return NULL;
}

/*
 * A thread that is on the list puts those that it makes there. One that is not yet may make another meanwhile, so the process
 * is looked at until nothing has changed.
 */
int trace_only(const struct tracefs *t, unsigned long pid)
{
	char dir[64], *before = NULL, *list = NULL;
	bool same = false;
	int err;

	snprintf(dir, sizeof(dir), "/proc/%lu/task", pid);
	err = tracefs_put(t, "options/event-fork", "1");
	if (err)
		say("event-fork: %s", strerror(err));
	for (int i = 0; i < LOOKS && !err && !same; i++) {
		list = trace_threads(dir);
		if (!list) {
			err = errno;
			say(err == ENOENT ? "there is no process %lu" : "the threads of process %lu: %s", pid, strerror(err));
			break;
		}
		same = before && !strcmp(list, before);
		err = same ? 0 : tracefs_add(t, "set_event_pid", list);
		if (err)
			say("set_event_pid: %s", strerror(err));
		free(before);
		before = list;
	}
	free(before);
	return err ? -1 : 0;
}
