// SPDX-License-Identifier: GPL-2.0
/* Copies events from an instance's trace_pipe to the output. */
#include "tracecopy.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "traceevent.h"

static void lost(struct trace_copy *c)
{
	if (!c->lost_output)
		c->lost_output = errno;
}

static void write_line(struct trace_copy *c, char *line)
{
	static char json[4 * sizeof(c->rest)];

	switch (trace_line(line)) {
	case TRACE_LINE_EVENT:
		c->kept++;
		break;
	case TRACE_LINE_LOST:
		break;
	case TRACE_LINE_STRANGE:
		c->strange++;
		return;
	default:
		return;
	}
	if (c->json)
		trace_json(json, sizeof(json), line);
	if (fprintf(c->out, "%s\n", c->json ? json : line) < 0)
		lost(c);
}

void trace_copy(struct trace_copy *c, size_t limit)
{
	size_t taken = 0;
	char *line, *end;
	ssize_t n;

	while (!c->lost_output && (!limit || taken < limit)) {
		n = read(c->pipe, c->rest + c->nr_rest, sizeof(c->rest) - 1 - c->nr_rest);
		if (n <= 0)
			break;
		taken += n;
		c->nr_rest += n;
		c->rest[c->nr_rest] = 0;
		for (line = c->rest; (end = strchr(line, '\n')); line = end + 1) {
			*end = 0;
			write_line(c, line);
		}
		c->nr_rest -= line - c->rest;
		memmove(c->rest, line, c->nr_rest);
		/* No line of the kernel is that long. */
		if (c->nr_rest == sizeof(c->rest) - 1)
			c->nr_rest = 0;
	}
	if (fflush(c->out))
		lost(c);
}

FILE *trace_create(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	FILE *f;

	if (fd < 0)
		return NULL;
	f = fdopen(fd, "w");
	if (!f)
		close(fd);
	return f;
}
