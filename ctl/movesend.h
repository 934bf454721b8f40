/* SPDX-License-Identifier: GPL-2.0 */
/* Moves a machine to a receiver while it runs. */
#ifndef DROSTECTL_MOVESEND_H
#define DROSTECTL_MOVESEND_H

#include <stdbool.h>

struct mover;

/**
 * move_send() - move a machine; if that fails it goes on here
 * @mv: its mover; caller is its thread
 *
 * Return: whether the machine runs elsewhere now.
 */
bool move_send(struct mover *mv);

#endif
