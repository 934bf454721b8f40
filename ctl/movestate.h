/* SPDX-License-Identifier: GPL-2.0 */
/* The records of one complete state of a machine, without its memory. */
#ifndef DROSTECTL_MOVESTATE_H
#define DROSTECTL_MOVESTATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "stream.h"

/** struct part - a record */
struct part {
	uint32_t type, index, length;
	uint8_t *data;
};

/** struct move_state - records, each of another type or index */
struct move_state {
	struct part *part;
	size_t nr, room;
};

/**
 * move_state_add() - add a record, a copy of the bytes
 * @s: the state, which begins as zeros
 * @type: enum move_type
 * @index: which vCPU or chip
 * @data: its bytes
 * @len: their number
 *
 * Return: 0; -1 if there is no memory, or the state has such a record already.
 */
int move_state_add(struct move_state *s, uint32_t type, uint32_t index, const void *data, size_t len);

/** move_state_find() - a record; NULL if there is none */
const struct part *move_state_find(const struct move_state *s, uint32_t type, uint32_t index);

/**
 * move_state_lacks() - what a state lacks of a machine
 * @s: the state
 * @nr_vcpus: the machine's
 * @index: filled in: of the record that is missing
 *
 * Return: its type; 0 if nothing is missing.
 */
uint32_t move_state_lacks(const struct move_state *s, uint32_t nr_vcpus, uint32_t *index);

/** move_state_put() - write all records; 0, or -1 with stream.why */
int move_state_put(const struct move_state *s, struct stream *to);

/** move_state_free() - make it empty */
void move_state_free(struct move_state *s);

#endif
