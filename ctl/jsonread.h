/* SPDX-License-Identifier: GPL-2.0 */
/* Reads JSON into a tree. */
#ifndef DROSTECTL_JSONREAD_H
#define DROSTECTL_JSONREAD_H

#include <stddef.h>
#include <stdint.h>

#define JSON_NODES_MAX	100000	/* far more than a VMCS, or what "drostectl info" prints, has */

/** struct json_node - a value, and its place among the others */
struct json_node {
	enum { JSON_OBJECT, JSON_ARRAY, JSON_TEXT, JSON_WORD } kind;
	const char *key;		/* NULL in an array and at the top */
	const char *text;		/* of a string, or of a number, true, false, null */
	struct json_node *child, *next;	/* the first member or element; the next beside it */
};

/**
 * json_parse() - read a text
 * @text: the text, which ends with a zero byte; changed, and the nodes point into it
 * @line: filled in after an error: the number of the line; 0: there are more than JSON_NODES_MAX values
 *
 * Strings are fit for a terminal.
 *
 * Return: the topmost value, to be given to json_free(); NULL if the text is not JSON, has more than 32 levels or
 * JSON_NODES_MAX values, or memory is short.
 */
struct json_node *json_parse(char *text, int *line);

/** json_free() - free a tree; NULL is allowed */
void json_free(struct json_node *node);

/** json_member() - the member of an object; NULL if there is none or @node is no object */
const struct json_node *json_member(const struct json_node *node, const char *key);

/** json_member_text() - the text of a member that is a string, or NULL */
const char *json_member_text(const struct json_node *node, const char *key);

/**
 * json_number() - the value of a number, or of a string with a number
 * @node: the value; NULL is allowed
 * @val: filled in; "0x" starts a hexadecimal number
 *
 * Return: 0, or -1 if it is no number from 0 to 2^64 - 1.
 */
int json_number(const struct json_node *node, uint64_t *val);

#endif
