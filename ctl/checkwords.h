/* SPDX-License-Identifier: GPL-2.0 */
/* The rules of a VM entry in words. */
#ifndef DROSTECTL_CHECKWORDS_H
#define DROSTECTL_CHECKWORDS_H

#include "nested/checks.h"

/**
 * check_words() - a rule as a sentence
 * @id: the rule
 *
 * Return: a constant string.
 */
const char *check_words(enum check_id id);

#endif
