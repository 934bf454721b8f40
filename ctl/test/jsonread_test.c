// SPDX-License-Identifier: GPL-2.0
/* Unit checks of the reader of JSON: what strings may contain, and limits. */
#include <stdlib.h>
#include <string.h>

#include "jsonread.h"
#include "tap.h"

/* Whether a string reads as another one. */
static bool reads(const char *string, const char *want)
{
	char text[64];
	struct json_node *node;
	bool is;
	int line;

	snprintf(text, sizeof(text), "\"%s\"", string);
	node = json_parse(text, &line);
	is = node && !strcmp(node->text, want);
	json_free(node);
	return is;
}

static bool is_json(const char *string)
{
	char text[64];
	struct json_node *node;
	int line;

	snprintf(text, sizeof(text), "%s", string);
	node = json_parse(text, &line);
	json_free(node);
	return node;
}

static void strings(void)
{
	ok(reads("a\\u0042\\n\\u009b", "aB??"));
	ok(reads("\303\251", "\303\251"));
	ok(reads("\302\2332J", "?2J"));
	ok(reads("\2332J", "?2J"));
	ok(reads("cut \342\202", "cut ??"));
	ok(!is_json("\"\033\""));
	ok(!is_json("\"\177\""));
	ok(!is_json("\"a"));
}

/* An array with @n elements. */
static struct json_node *array(int n, int *line)
{
	char *text = malloc(2 * n + 2);
	struct json_node *node;

	for (int i = 0; i < n; i++)
		memcpy(text + 1 + 2 * i, "1,", 2);
	text[0] = '[';
	strcpy(text + 2 * n, "]");
	node = json_parse(text, line);
	free(text);
	return node;
}

static void limits(void)
{
	struct json_node *node;
	int line = 7;

	node = array(JSON_NODES_MAX - 1, &line);
	ok(node && line == 1);
	json_free(node);
	node = array(JSON_NODES_MAX, &line);
	ok(!node && line == 0);
	json_free(node);
}

int main(void)
{
	strings();
	limits();
	return tap_done();
}
