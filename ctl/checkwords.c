// SPDX-License-Identifier: GPL-2.0
/* The rules of a VM entry in words: the column of checks.def that the module drops. */
#include "checkwords.h"

static const char *const words[NR_CHECKS] = {
	[CHECK_OK] = "",
#define CHECK(section, id, when, ok, words) [CHECK_##id] = words,
#include "nested/checks.def"
};

const char *check_words(enum check_id id)
{
	return words[id];
}
