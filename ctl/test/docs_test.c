// SPDX-License-Identifier: GPL-2.0
/* Checks that every command and option is in --help, in the man page and in the completion of bash, and none is more. */
#include <glob.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tap.h"

#define MAN		"drostectl.8"
#define COMPLETION	"drostectl.bash"
#define WORD_CHARS	"abcdefghijklmnopqrstuvwxyz0123456789-"
#define MAX_WORDS	64

static char man[65536], text[65536];

/* Words, each once, without the dashes before an option. */
struct words {
	char w[MAX_WORDS][32];
	int nr;
};

static bool have(const struct words *words, const char *word)
{
	for (int i = 0; i < words->nr; i++)
		if (!strcmp(words->w[i], word))
			return true;
	return false;
}

static void add(struct words *words, const char *word, size_t len)
{
	char copy[sizeof(words->w[0])];

	if (!len || len >= sizeof(copy) || words->nr == MAX_WORDS)
		return;
	snprintf(copy, sizeof(copy), "%.*s", (int)len, word);
	if (!have(words, copy))
		strcpy(words->w[words->nr++], copy);
}

/* Add what follows each @before in @from, up to @end. */
static void gather(struct words *words, const char *from, const char *end, const char *before)
{
	for (const char *at = strstr(from, before); at && at < end; at = strstr(at, before)) {
		at += strlen(before);
		add(words, at, strspn(at, WORD_CHARS));
	}
}

static bool read_all(FILE *f, char *to, size_t size)
{
	size_t n = f ? fread(to, 1, size - 1, f) : 0;

	to[n] = 0;
	return n;
}

/* Reads what a shell command prints. */
static bool output(const char *command)
{
	FILE *f = popen(command, "r");
	bool good = read_all(f, text, sizeof(text));

	if (f)
		pclose(f);
	return good;
}

/* One result for two sets of words, and a line for each that only one has. */
static void same(const struct words *a, const struct words *b, const char *what, const char *command)
{
	char name[128];
	bool good = true;

	for (int i = 0; i < a->nr; i++)
		if (!have(b, a->w[i])) {
			printf("# %s: --help has \"%s\", the other does not\n", command, a->w[i]);
			good = false;
		}
	for (int i = 0; i < b->nr; i++)
		if (!have(a, b->w[i])) {
			printf("# %s: --help does not have \"%s\", the other has\n", command, b->w[i]);
			good = false;
		}
	snprintf(name, sizeof(name), "%s of %s", what, command);
	tap_result(good, __FILE__, __LINE__, name);
}

/* The commands are the words at the begin of indented lines. */
static void find_commands(struct words *commands)
{
	ok(output("build/drostectl-stub help"));
	gather(commands, text, text + strlen(text), "\n  ");
}

/*
 * Options begin a line of the help, --help after "-h, "; those in a sentence do not count. "--caps host" and so on are
 * one.
 */
static void find_options(struct words *options, const char *command)
{
	char line[128];

	snprintf(line, sizeof(line), "build/drostectl-stub help %s", command);
	ok(output(line));
	gather(options, text, text + strlen(text), "\n  --");
	gather(options, text, text + strlen(text), "\n  -h, --");
}

/* The options that completion offers after the command, with what else it offers. */
static void find_completion(struct words *options, const char *command)
{
	char line[512];

	snprintf(line, sizeof(line),
		 "bash -c '. ./" COMPLETION "; COMP_WORDS=(drostectl %s -); COMP_CWORD=%d; _drostectl drostectl - %s; "
		 "printf \"\\n  %%s\" \"${COMPREPLY[@]}\"; echo' 2>/dev/null", command, *command ? 2 : 1,
		 *command ? command : "drostectl");
	ok(output(line));
	gather(options, text, text + strlen(text), "\n  --");
}

/* The part of the synopsis about a command. */
static void find_synopsis(struct words *options, const char *command)
{
	const char *synopsis = strstr(man, ".Sh SYNOPSIS"), *begin, *end;
	char start[64];

	snprintf(start, sizeof(start), ".Nm\n.Cm %s\n", command);
	begin = synopsis ? strstr(synopsis, start) : NULL;
	end = begin ? strstr(begin + 4, ".Nm\n") : NULL;
	if (begin && !end)
		end = strstr(begin, ".Sh DESCRIPTION");
	ok(begin && end);
	if (begin && end)
		gather(options, begin, end, "Fl -");
}

static void check_command(const char *command)
{
	struct words options = { .nr = 0 }, offered = { .nr = 0 }, synopsis = { .nr = 0 };
	bool described = true;

	if (!strcmp(command, "help"))
		return;
	find_options(&options, command);
	ok(have(&options, "help"));
	find_completion(&offered, command);
	same(&options, &offered, "completion", command);
	find_synopsis(&synopsis, command);
	add(&synopsis, "help", 4);
	same(&options, &synopsis, "synopsis", command);
	for (int i = 0; i < options.nr; i++) {
		char item[64], *at;

		snprintf(item, sizeof(item), ".It Fl -%s", options.w[i]);
		at = strstr(man, item);
		while (at && !strchr("\n ", at[strlen(item)]))
			at = strstr(at + 1, item);
		if (strcmp(options.w[i], "help") && !at) {
			printf("# the man page does not describe --%s\n", options.w[i]);
			described = false;
		}
	}
	tap_result(described, __FILE__, __LINE__, command);
}

/* Commands themselves: completion, and a page of the man page. */
static void check_commands(const struct words *commands)
{
	struct words offered = { .nr = 0 }, synopsis = { .nr = 0 };
	const char *at = strstr(man, ".Sh SYNOPSIS"), *end = at ? strstr(at, ".Sh DESCRIPTION") : NULL;

	ok(output("bash -c '. ./" COMPLETION "; COMP_WORDS=(drostectl \"\"); COMP_CWORD=1; _drostectl drostectl \"\" drostectl; "
		  "printf \"\\n  %s\" \"${COMPREPLY[@]}\"; echo'"));
	gather(&offered, text, text + strlen(text), "\n  ");
	for (int i = offered.nr - 1; i >= 0; i--)
		if (*offered.w[i] == '-')
			memmove(offered.w[i], offered.w[i + 1], (--offered.nr - i) * sizeof(offered.w[0]));
	same(commands, &offered, "completion", "drostectl");
	ok(at && end);
	if (at && end)
		gather(&synopsis, at, end, ".Nm\n.Cm ");
	same(commands, &synopsis, "synopsis", "drostectl");
}

/* Each option that the program takes is in the help of some command: those in the sources' tables for getopt_long(). */
static void check_sources(const struct words *documented)
{
	static char source[1 << 17];
	glob_t files;

	ok(!glob("*.[ch]", 0, NULL, &files));
	for (size_t i = 0; i < files.gl_pathc; i++) {
		FILE *f = fopen(files.gl_pathv[i], "r");
		bool good = read_all(f, source, sizeof(source));

		if (f)
			fclose(f);
		for (char *at = good ? strstr(source, "{ \"") : NULL; at; at = strstr(at, "{ \"")) {
			struct words one = { .nr = 0 };
			size_t len = strspn(at += 3, WORD_CHARS);

			if (strncmp(at + len, "\", no_argument", 14) && strncmp(at + len, "\", required_argument", 20))
				continue;
			add(&one, at, len);
			if (!have(documented, one.w[0])) {
				printf("# %s takes --%s, and no help has it\n", files.gl_pathv[i], one.w[0]);
				ok(false);
			}
		}
	}
	globfree(&files);
}

int main(void)
{
	struct words commands = { .nr = 0 }, documented = { .nr = 0 };
	FILE *f = fopen(MAN, "r");

	ok(read_all(f, man, sizeof(man)));
	if (f)
		fclose(f);
	find_commands(&commands);
	ok(commands.nr >= 10);
	check_commands(&commands);
	for (int i = 0; i < commands.nr; i++) {
		check_command(commands.w[i]);
		find_options(&documented, commands.w[i]);
	}
	check_sources(&documented);
	return tap_done();
}
