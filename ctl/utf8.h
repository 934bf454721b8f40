/* SPDX-License-Identifier: GPL-2.0 */
/* Text from files, processes and users: what of it may reach a terminal or JSON. */
#ifndef DROSTECTL_UTF8_H
#define DROSTECTL_UTF8_H

#include <stddef.h>

/**
 * utf8_len() - the length of a character
 * @text: its first byte
 * @code: filled in: its number
 *
 * Return: 1 to 4; 0 if there is no valid UTF-8 (RFC 3629), or at the text's end.
 */
int utf8_len(const char *text, unsigned int *code);

/** utf8_clean() - put "?" in place of each control character, those from U+0080 to U+009F included, and each byte that is not UTF-8 */
void utf8_clean(char *text);

/**
 * utf8_json() - a character as it stands in a JSON string
 * @out: filled in
 * @text: its first byte
 *
 * Return: how many bytes of @text it is; of invalid UTF-8 one, for U+FFFD.
 */
int utf8_json(char out[8], const char *text);

#endif
