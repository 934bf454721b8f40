// SPDX-License-Identifier: GPL-2.0
/* Reads what tests of migration ask for: a death at a record, and checksums of memory and console. */
#include "movetest.h"

#include <stdlib.h>
#include <string.h>

long move_test_number(const char *word, long otherwise)
{
	const char *at = getenv("DROSTECTL_MOVE_TEST");
	size_t len = strlen(word);

	for (; at && *at; at += strcspn(at, ","), at += *at == ',')
		if (!strncmp(at, word, len) && at[len] == '=')
			return strtol(at + len + 1, NULL, 10);
	return otherwise;
}

/* A multiplication for each word: on an emulated processor this takes a fraction of a CRC's time. Each step is a bijection. */
uint32_t move_test_sum(const struct guest_mem *mem)
{
	uint64_t sum = 0, word;

	for (unsigned int i = 0; i < mem->nr; i++)
		for (uint64_t at = 0; at < mem->region[i].size; at += sizeof(word)) {
			memcpy(&word, mem->region[i].host + at, sizeof(word));
			sum = (sum ^ word) * 0x9e3779b97f4a7c15u;
			sum ^= sum >> 32;
		}
	return sum;
}
