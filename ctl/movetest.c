// SPDX-License-Identifier: GPL-2.0
/* Reads what tests of migration ask for: a death at a record, and checksums of memory and console. */
#include "movetest.h"

#include <stdlib.h>
#include <string.h>

#include "crc32c.h"

long move_test_number(const char *word, long otherwise)
{
	const char *at = getenv("DROSTECTL_MOVE_TEST");
	size_t len = strlen(word);

	for (; at && *at; at += strcspn(at, ","), at += *at == ',')
		if (!strncmp(at, word, len) && at[len] == '=')
			return strtol(at + len + 1, NULL, 10);
	return otherwise;
}

uint32_t move_test_sum(const struct guest_mem *mem)
{
	uint32_t sum = 0;

	for (unsigned int i = 0; i < mem->nr; i++)
		sum = crc32c(sum, mem->region[i].host, mem->region[i].size);
	return sum;
}
