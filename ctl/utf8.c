// SPDX-License-Identifier: GPL-2.0
/* Text from files, processes and users: what of it may reach a terminal or JSON. */
#include "utf8.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

int utf8_len(const char *text, unsigned int *code)
{
	/* The least character of each length: a longer form of a smaller one is invalid. */
	static const unsigned int least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	unsigned char first = *text;
	int len = first < 0x80 ? 1 : first < 0xc0 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : first < 0xf8 ? 4 : 0;

	if (!len || !first)
		return 0;
	*code = len == 1 ? first : first & (0x7f >> len);
	for (int i = 1; i < len; i++) {
		if ((text[i] & 0xc0) != 0x80)
			return 0;
		*code = *code << 6 | (text[i] & 0x3f);
	}
	return *code < least[len] || *code > 0x10ffff || (*code >= 0xd800 && *code < 0xe000) ? 0 : len;
}

static bool is_control(unsigned int code)
{
	return code < ' ' || (code >= 0x7f && code < 0xa0);
}

void utf8_clean(char *text)
{
	char *to = text;

	while (*text) {
		unsigned int code = 0;
		int len = utf8_len(text, &code);

		if (!len || is_control(code)) {
			*to++ = '?';
		} else {
			memmove(to, text, len);
			to += len;
		}
		text += len ? len : 1;
	}
	*to = 0;
}

int utf8_json(char out[8], const char *text)
{
	unsigned int code = 0xfffd;
	int len = utf8_len(text, &code);

	if (!len)
		code = 0xfffd;
	if (!len || is_control(code))
		snprintf(out, 8, "\\u%04x", code & 0xffff);
	else
		snprintf(out, 8, "%s%.*s", code == '"' || code == '\\' ? "\\" : "", len, text);
	return len ? len : 1;
}
