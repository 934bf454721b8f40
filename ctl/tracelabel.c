// SPDX-License-Identifier: GPL-2.0
/* The first line of a recording, which says what was recorded, and what was not. */
#include "tracelabel.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>

#include "utf8.h"

/* What is known about the run and the machine. */
struct facts {
	char date[40], module[64], build[64], pid[24];
	struct utsname u;
	char *command;
};

static void first_word(const char *path, char *text, size_t size)
{
	FILE *f = fopen(path, "re");

	if (!f || !fgets(text, size, f))
		snprintf(text, size, "unknown");
	if (f)
		fclose(f);
	text[strcspn(text, "\n")] = 0;
}

/* The words of a command with blanks between them. */
static char *joined(char **words)
{
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	for (char **word = words; f && word && *word; word++)
		fprintf(f, "%s%s", word > words ? " " : "", *word);
	if (f)
		fclose(f);
	return text;
}

static void put_quoted(FILE *f, const char *key, const char *text)
{
	char c[8];

	fprintf(f, ",\"%s\":\"", key);
	while (*text) {
		text += utf8_json(c, text);
		fputs(c, f);
	}
	fputc('"', f);
}

static void put_json(FILE *f, const struct trace_label *l, const struct facts *a)
{
	const char *const pairs[] = {
		"date", a->date, "host", a->u.nodename, "kernel", a->u.release, "module", a->module, "build", a->build,
		"clock", l->clock, "command", a->command, "pid", a->pid, "filter", l->filter, "events", l->on,
		"left_out", l->without, "note", l->note,
	};

	fprintf(f, "{\"drostectl_trace\":1");
	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i += 2)
		if (*pairs[i + 1])
			put_quoted(f, pairs[i], pairs[i + 1]);
	fputc('}', f);
}

static void put_text(FILE *f, const struct trace_label *l, const struct facts *a)
{
	fprintf(f, "# drostectl trace: %s; %s; Linux %s; droste %s (%s); clock %s; command: %s%s%s; events: %s%s%s%s%s", a->date,
		a->u.nodename, a->u.release, a->module, a->build, l->clock, *a->command ? a->command : "none",
		*a->pid ? "; process " : "", a->pid, l->on, *l->without ? "; left out by the filter: " : "", l->without,
		*l->note ? "; note: " : "", l->note);
}

char *trace_label(const struct trace_label *l, bool json)
{
	struct facts a = { .command = joined(l->command) };
	time_t now = time(NULL);
	char *line = NULL;
	size_t size;
	FILE *f = a.command ? open_memstream(&line, &size) : NULL;

	uname(&a.u);
	strftime(a.date, sizeof(a.date), "%Y-%m-%d %H:%M:%S UTC", gmtime(&now));
	first_word("/sys/module/droste/version", a.module, sizeof(a.module));
	first_word("/sys/module/droste/srcversion", a.build, sizeof(a.build));
	if (l->pid)
		snprintf(a.pid, sizeof(a.pid), "%lu", l->pid);
	if (f) {
		(json ? put_json : put_text)(f, l, &a);
		if (fclose(f)) {
			free(line);
			line = NULL;
		}
	}
	free(a.command);
	if (!line || json)
		return line;
	/* A command may have several lines. */
	for (char *c = line; *c; c++)
		if (*c == '\n' || *c == '\t')
			*c = ' ';
	utf8_clean(line);
	return line;
}
