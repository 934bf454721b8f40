// SPDX-License-Identifier: GPL-2.0
/* Writes JSON on standard output, one member or element a line. */
#include <stdio.h>
#include <stdlib.h>

#include "json.h"
#include "utf8.h"

#define DEPTH_MAX	8

static struct {
	char closing;
	bool used;	/* it has a member already */
} level[DEPTH_MAX];
static unsigned int depth;

static void put_string(const char *text)
{
	char c[8];

	putchar('"');
	while (*text) {
		text += utf8_json(c, text);
		fputs(c, stdout);
	}
	putchar('"');
}

/* Starts a line for the next value, with its key if it has one. */
static void next(const char *key)
{
	if (depth) {
		printf("%s\n%*s", level[depth - 1].used ? "," : "", depth * 2, "");
		level[depth - 1].used = true;
	}
	if (key) {
		put_string(key);
		printf(": ");
	}
}

void json_open(const char *key, char bracket)
{
	next(key);
	putchar(bracket);
	if (depth == DEPTH_MAX)
		abort();
	level[depth].closing = bracket == '{' ? '}' : ']';
	level[depth++].used = false;
}

void json_close(void)
{
	if (level[--depth].used)
		printf("\n%*s", depth * 2, "");
	putchar(level[depth].closing);
	if (!depth)
		putchar('\n');
}

void json_string(const char *key, const char *text)
{
	next(key);
	if (text)
		put_string(text);
	else
		printf("null");
}

void json_bool(const char *key, bool val)
{
	json_word(key, val ? "true" : "false");
}

void json_count(const char *key, unsigned long long val)
{
	next(key);
	printf("%llu", val);
}

void json_word(const char *key, const char *word)
{
	next(key);
	printf("%s", word);
}
