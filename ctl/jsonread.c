// SPDX-License-Identifier: GPL-2.0
/* Reads JSON (RFC 8259) into a tree. Strings stay where they are in the text. */
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "jsonread.h"
#include "utf8.h"

#define DEPTH_MAX	32

struct parser {
	char *at;
	int line, depth, nodes;
};

static struct json_node *parse_value(struct parser *p);

static void skip_blanks(struct parser *p)
{
	for (; *p->at == ' ' || *p->at == '\t' || *p->at == '\r' || *p->at == '\n'; p->at++)
		p->line += *p->at == '\n';
}

static bool take(struct parser *p, char c)
{
	skip_blanks(p);
	if (*p->at != c)
		return false;
	p->at++;
	return true;
}

/* The value of four hexadecimal digits, or -1. */
static int take_unicode(const char *at)
{
	int val = 0;

	for (int i = 0; i < 4; i++) {
		const char *digits = "0123456789abcdef0123456789ABCDEF";
		const char *d = at[i] ? strchr(digits, at[i]) : NULL;

		if (!d)
			return -1;
		val = val << 4 | ((d - digits) & 15);
	}
	return val;
}

/*
 * Reads a string whose opening quote was taken. Escaped characters outside ASCII, control characters, which could reach a
 * terminal, and what is not UTF-8 become "?".
 */
static char *parse_string(struct parser *p)
{
	char *text = p->at, *to = p->at;

	while (*p->at != '"') {
		char c = *p->at++;
		static const char from[] = "\"\\/bfnrt", into[] = "\"\\/?????";
		const char *escape;
		int code;

		if ((unsigned char)c < ' ' || c == 0x7f)
			return NULL;
		if (c == '\\') {
			c = *p->at;
			escape = c ? strchr(from, c) : NULL;
			code = c == 'u' ? take_unicode(p->at + 1) : 0;
			if (code < 0 || (c != 'u' && !escape))
				return NULL;
			p->at += c == 'u' ? 5 : 1;
			c = escape ? into[escape - from] : code >= ' ' && code < 0x7f ? code : '?';
		}
		*to++ = c;
	}
	p->at++;
	*to = '\0';
	utf8_clean(text);
	return text;
}

/* A number, true, false or null; a wrong one is found by who uses it. */
static char *parse_word(struct parser *p)
{
	size_t len = strspn(p->at, "+-.0123456789ABCDEFXabcdefghijklmnopqrstuvwxyz");
	char *word = len ? strndup(p->at, len) : NULL;

	p->at += len;
	return word;
}

/* Reads the members of an object or the elements of an array, whose bracket was taken. */
static bool parse_children(struct parser *p, struct json_node *node)
{
	const char close = node->kind == JSON_OBJECT ? '}' : ']';
	struct json_node **last = &node->child;

	if (take(p, close))
		return true;
	do {
		char *key = NULL;

		if (node->kind == JSON_OBJECT) {
			if (!take(p, '"'))
				return false;
			key = parse_string(p);
			if (!key || !take(p, ':'))
				return false;
		}
		*last = parse_value(p);
		if (!*last)
			return false;
		(*last)->key = key;
		last = &(*last)->next;
	} while (take(p, ','));
	return take(p, close);
}

static struct json_node *parse_value(struct parser *p)
{
	struct json_node *node = p->nodes++ < JSON_NODES_MAX ? calloc(1, sizeof(*node)) : NULL;
	bool right = false;

	if (!node)
		return NULL;
	if (take(p, '"')) {
		node->kind = JSON_TEXT;
		node->text = parse_string(p);
		right = node->text;
	} else if (*p->at == '{' || *p->at == '[') {
		node->kind = *p->at++ == '{' ? JSON_OBJECT : JSON_ARRAY;
		right = p->depth++ < DEPTH_MAX && parse_children(p, node);
		p->depth--;
	} else {
		node->kind = JSON_WORD;
		node->text = parse_word(p);
		right = node->text;
	}
	if (right)
		return node;
	json_free(node);
	return NULL;
}

struct json_node *json_parse(char *text, int *line)
{
	struct parser p = { .at = text, .line = 1 };
	struct json_node *node = parse_value(&p);

	/* After an error the parser may stand behind the text's end. */
	if (node)
		skip_blanks(&p);
	*line = p.nodes > JSON_NODES_MAX ? 0 : p.line;
	if (!node || !*p.at)
		return node;
	json_free(node);
	return NULL;
}

void json_free(struct json_node *node)
{
	while (node) {
		struct json_node *next = node->next;

		json_free(node->child);
		if (node->kind == JSON_WORD)
			free((char *)node->text);
		free(node);
		node = next;
	}
}

const struct json_node *json_member(const struct json_node *node, const char *key)
{
	if (!node || node->kind != JSON_OBJECT)
		return NULL;
	for (node = node->child; node; node = node->next)
		if (!strcmp(node->key, key))
			return node;
	return NULL;
}

const char *json_member_text(const struct json_node *node, const char *key)
{
	node = json_member(node, key);
	return node && node->kind == JSON_TEXT ? node->text : NULL;
}

int json_number(const struct json_node *node, uint64_t *val)
{
	bool hex;
	char *end;

	if (!node || !node->text)
		return -1;
	hex = node->text[0] == '0' && (node->text[1] == 'x' || node->text[1] == 'X');
	/* strtoull() accepts signs and blanks, too. */
	if (node->text[0] < '0' || node->text[0] > '9')
		return -1;
	errno = 0;
	*val = strtoull(node->text, &end, hex ? 16 : 10);
	return errno || *end || (hex && !node->text[2]) ? -1 : 0;
}
