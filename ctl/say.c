// SPDX-License-Identifier: GPL-2.0
/* Prints messages to the user on stderr, each as a single write. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "say.h"
#include "utf8.h"

static const char *line_end = "\n";

static void put_line(const char *prefix, const char *fmt, va_list ap)
{
	char text[1024];

	vsnprintf(text, sizeof(text), fmt, ap);
	/* Parts of it come from files and guests, and a part may have been cut. */
	utf8_clean(text);
	/* A single call, so that lines of different threads do not mix. */
	fprintf(stderr, "%s%s%s", prefix, text, line_end);
	fflush(stderr);
}

void say(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	put_line("drostectl: ", fmt, ap);
	va_end(ap);
}

void say_more(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	put_line("  ", fmt, ap);
	va_end(ap);
}

void say_lacks(const char *before, const char *why)
{
	static const char behind[] = "lacks: ", between[] = "; ";
	const char *list = strstr(why, behind), *end;

	if (!list) {
		say("%s%s", before, why);
		return;
	}
	list += strlen(behind);
	say("%s%.*s", before, (int)(list - why) - 1, why);
	for (; (end = strstr(list, between)); list = end + strlen(between))
		say_more("%.*s", (int)(end - list), list);
	say_more("%s", list);
}

void say_newline(const char *newline)
{
	line_end = newline;
}
