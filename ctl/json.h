/* SPDX-License-Identifier: GPL-2.0 */
/* Writes JSON on standard output, one member or element a line. */
#ifndef DROSTECTL_JSON_H
#define DROSTECTL_JSON_H

#include <stdbool.h>

/**
 * json_open() - begin an object or an array
 * @key: its name in the object around it, or NULL in an array and at the top
 * @bracket: '{' or '['
 */
void json_open(const char *key, char bracket);

/** json_close() - end the object or array that was begun last */
void json_close(void);

/** json_string() - write a string; NULL is written as null */
void json_string(const char *key, const char *text);

/** json_bool() - write true or false */
void json_bool(const char *key, bool val);

/** json_count() - write a decimal number */
void json_count(const char *key, unsigned long long val);

/** json_word() - write a number, true, false or null as it is given */
void json_word(const char *key, const char *word);

#endif
