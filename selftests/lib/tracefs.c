// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>
#include "save.h"
#include "tracefs.h"
#include "vm.h"

static char dir[128], text[2 << 20];
char *trace_events[MAX_TRACE_EVENTS];
int nr_trace_events;

static bool put(const char *file, const char *what)
{
	char path[512];
	int fd;
	bool ok;

	snprintf(path, sizeof(path), "%s/%s", dir, file);
	fd = open(path, O_WRONLY | O_TRUNC);
	if (fd < 0)
		return false;
	ok = write(fd, what, strlen(what)) == (ssize_t)strlen(what);
	close(fd);
	return ok;
}

int trace_write(const char *file, const char *text, int flags)
{
	char path[128];
	int fd, ret = 0;

	snprintf(path, sizeof(path), TRACING "/%s", file);
	fd = open(path, O_WRONLY | flags);
	if (fd < 0)
		return -errno;
	if (write(fd, text, strlen(text)) < 0)
		ret = -errno;
	close(fd);
	return ret;
}

static void trace_remove(void)
{
	put("tracing_on", "0");
	rmdir(dir);
}

void trace_begin(const char *system)
{
	char file[64];

	if (!is_droste())
		ksft_skip("not Droste");
	if (access(TRACING "/instances", F_OK))
		mount("tracefs", TRACING, "tracefs", 0, NULL);
	snprintf(dir, sizeof(dir), TRACING "/instances/droste-%d", getpid());
	if (mkdir(dir, 0700))
		ksft_skip("no instance of tracefs: %s", strerror(errno));
	ksft_at_end(trace_remove);
	MUST(put("trace_clock", "counter"), "clock");
	MUST(put("buffer_size_kb", "2048"), "buffer");
	snprintf(file, sizeof(file), "events/%s/enable", system);
	if (!put(file, "1"))
		ksft_skip("no events of %s", system);
}

/* The events that were lost, on all CPUs. */
static u64 trace_lost(void)
{
	static const char *const kinds[] = { "\noverrun: ", "\ncommit overrun: ", "\ndropped events: " };
	char path[512], stats[1024];
	struct dirent *e;
	u64 lost = 0;
	size_t n, i;
	FILE *f;
	DIR *d;

	snprintf(path, sizeof(path), "%s/per_cpu", dir);
	d = opendir(path);
	MUST(d, "%s: %s", path, strerror(errno));
	while ((e = readdir(d))) {
		if (strncmp(e->d_name, "cpu", 3))
			continue;
		snprintf(path, sizeof(path), "%s/per_cpu/%s/stats", dir, e->d_name);
		f = fopen(path, "r");
		MUST(f, "%s: %s", path, strerror(errno));
		n = fread(stats, 1, sizeof(stats) - 1, f);
		stats[n] = 0;
		fclose(f);
		for (i = 0; i < ARRAY_SIZE(kinds); i++) {
			const char *at = strstr(stats, kinds[i]);

			MUST(at, "no%sin %s", kinds[i], path);
			lost += strtoull(at + strlen(kinds[i]), NULL, 10);
		}
	}
	closedir(d);
	return lost;
}

void trace_end(void)
{
	char path[512], *line, *save, *at;
	size_t n;
	FILE *f;

	put("tracing_on", "0");
	snprintf(path, sizeof(path), "%s/trace", dir);
	f = fopen(path, "r");
	MUST(f, "%s: %s", path, strerror(errno));
	n = fread(text, 1, sizeof(text) - 1, f);
	MUST(n < sizeof(text) - 1, "the trace is too long");
	text[n] = 0;
	fclose(f);
	EQ(trace_lost(), 0, "events lost");
	nr_trace_events = 0;
	for (line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		/* TASK-PID [CPU] FLAGS TIMESTAMP: NAME: FIELDS */
		at = *line == '#' ? NULL : strstr(line, "] ");
		at = at ? strstr(at, ": ") : NULL;
		if (!at)
			continue;
		MUST(nr_trace_events < MAX_TRACE_EVENTS, "too many events");
		trace_events[nr_trace_events++] = at + 2;
	}
	trace_remove();
}

u64 trace_field(const char *event, const char *name)
{
	char key[32];
	const char *at;

	snprintf(key, sizeof(key), " %s ", name);
	at = strstr(event, key);
	return at ? strtoull(at + strlen(key), NULL, 0) : ~0ull;
}

bool trace_is(const char *event, const char *name)
{
	return !strncmp(event, name, strlen(name)) && event[strlen(name)] == ':';
}
