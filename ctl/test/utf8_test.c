// SPDX-License-Identifier: GPL-2.0
/* Unit checks of text from files and users: what may reach a terminal and JSON, and the label of a recording. */
#include <stdlib.h>
#include <string.h>

#include "tap.h"
#include "tracelabel.h"
#include "utf8.h"

static bool cleaned(const char *text, const char *want)
{
	char copy[64];

	snprintf(copy, sizeof(copy), "%s", text);
	utf8_clean(copy);
	return !strcmp(copy, want);
}

static bool in_json(const char *text, const char *want)
{
	char all[128] = "", c[8];

	while (*text) {
		text += utf8_json(c, text);
		strcat(all, c);
	}
	return !strcmp(all, want);
}

static void terminal(void)
{
	ok(cleaned("plain ~", "plain ~"));
	ok(cleaned("\303\251\342\202\254\360\237\230\200", "\303\251\342\202\254\360\237\230\200"));
	ok(cleaned("\033[2J\r\n\t\177", "?[2J????"));
	/* CSI of 8 bits, and as a character. */
	ok(cleaned("a\2332Jb", "a?2Jb"));
	ok(cleaned("a\302\2332Jb", "a?2Jb"));
	ok(cleaned("\302\240", "\302\240"));
	/* Cut, too long, a surrogate, too great, no beginning. */
	ok(cleaned("a\342\202", "a??"));
	ok(cleaned("\300\257", "??"));
	ok(cleaned("\340\202\233", "???"));
	ok(cleaned("\355\240\200", "???"));
	ok(cleaned("\364\220\200\200", "????"));
	ok(cleaned("\200\377", "??"));
}

static void strings(void)
{
	ok(in_json("a\"b\\c", "a\\\"b\\\\c"));
	ok(in_json("\n\177", "\\u000a\\u007f"));
	ok(in_json("\302\233", "\\u009b"));
	ok(in_json("\303\251", "\303\251"));
	ok(in_json("\303x\377", "\\ufffdx\\ufffd"));
}

/* A label with texts that are long and wrong. */
static void labels(void)
{
	static char longest[100000];
	char *line, *command[] = { "sh", "-c", longest, NULL };
	struct trace_label l = { .command = command, .clock = "mono", .filter = "", .note = "bad \303 note", .on = "droste_exit", .without = "" };

	memset(longest, '"', sizeof(longest) - 1);
	line = trace_label(&l, true);
	ok(line && !strncmp(line, "{\"drostectl_trace\":1,\"date\":\"", 29));
	ok(line && strstr(line, ",\"note\":\"bad \\ufffd note\"}") && !strstr(line, "note\"}")[6]);
	ok(line && strlen(line) > 2 * sizeof(longest));
	free(line);
	strcpy(longest, "echo one\necho \033two");
	line = trace_label(&l, false);
	ok(line && strstr(line, "; command: sh -c echo one echo ?two; events: droste_exit; note: bad ? note"));
	free(line);
	l.command = NULL;
	l.pid = 7;
	line = trace_label(&l, false);
	ok(line && strstr(line, "; clock mono; command: none; process 7; events: "));
	free(line);
}

int main(void)
{
	terminal();
	strings();
	labels();
	return tap_done();
}
