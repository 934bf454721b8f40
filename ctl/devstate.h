/* SPDX-License-Identifier: GPL-2.0 */
/* All state of a machine's devices, those of the kernel and drostectl's own, as records. */
#ifndef DROSTECTL_DEVSTATE_H
#define DROSTECTL_DEVSTATE_H

#include <stddef.h>

#include "movestate.h"

struct machine;

/**
 * dev_state_save() - read the state of all devices
 * @m: the machine, whose vCPUs are held
 * @s: the records are added to it
 * @why: filled in on errors: one sentence without its end
 * @size: bytes in @why
 *
 * Takes the bus lock.
 *
 * Return: 0 or -1.
 */
int dev_state_save(struct machine *m, struct move_state *s, char *why, size_t size);

/** dev_state_restore() - give the devices of a new machine their state; as dev_state_save() */
int dev_state_restore(struct machine *m, const struct move_state *s, char *why, size_t size);

#endif
