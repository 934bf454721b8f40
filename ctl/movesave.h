/* SPDX-License-Identifier: GPL-2.0 */
/* Writes a machine to a file. */
#ifndef DROSTECTL_MOVESAVE_H
#define DROSTECTL_MOVESAVE_H

#include <stdbool.h>

struct mover;

/** move_save_init() - see what is at the name of the file: that may be replaced, and nothing that comes there later */
void move_save_init(struct mover *mv);

/**
 * move_save() - save a machine, and end its run; if that fails it goes on
 * @mv: its mover; caller is its thread
 *
 * The file appears when all of it is on the disk. Nothing is left of one that does not. If the run ends before the file
 * appears it does not; if it ends later, it has ended because the machine is saved.
 *
 * Return: whether the machine is saved.
 */
bool move_save(struct mover *mv);

#endif
