/* SPDX-License-Identifier: GPL-2.0 */
/* Words for what one processor has and another has not. */
#ifndef DROSTECTL_POOLSAY_H
#define DROSTECTL_POOLSAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "cpu/pool_logic.h"

/** pool_say_bit() - the name of the lowest bit of @loss->bits, and where it is */
void pool_say_bit(char *text, size_t size, const struct pool_loss *loss);

/**
 * pool_say_lost() - print what a processor has that another has not, one line for each feature
 * @out: where to
 * @a: the processor
 * @less: what it has in common with others
 * @hidden: also say which of the lost features stay usable
 *
 * Return: how many lines.
 */
int pool_say_lost(FILE *out, const struct droste_pool *a, const struct droste_pool *less, bool hidden);

#endif
