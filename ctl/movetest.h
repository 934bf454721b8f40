/* SPDX-License-Identifier: GPL-2.0 */
/* What tests of migration ask for, by the environment variable DROSTECTL_MOVE_TEST; docs/migration.md describes it. */
#ifndef DROSTECTL_MOVETEST_H
#define DROSTECTL_MOVETEST_H

#include <stdint.h>

#include "mem.h"

/**
 * move_test_number() - the number of a word WORD=NUMBER of the variable, whose words have commas between them
 * @word: the word
 * @otherwise: the number if the variable has no such word
 */
long move_test_number(const char *word, long otherwise);

/** move_test_sum() - a checksum of a guest's memory */
uint32_t move_test_sum(const struct guest_mem *mem);

#endif
