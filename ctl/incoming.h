/* SPDX-License-Identifier: GPL-2.0 */
/* Makes a machine of what came by a stream. */
#ifndef DROSTECTL_INCOMING_H
#define DROSTECTL_INCOMING_H

#include <stdbool.h>
#include <stddef.h>

#include "image.h"
#include "runopts.h"

struct machine;

/**
 * incoming_fits() - whether a device can run a machine
 * @im: the machine's header
 * @dev_fd: the device
 * @why: filled in if not: one sentence without its end; it names each feature that is missing
 * @size: bytes in @why
 */
bool incoming_fits(const struct image *im, int dev_fd, char *why, size_t size);

/**
 * incoming_build() - make the machine
 * @im: has a complete state; the machine takes its memory
 * @dev_fd: the device, which the machine takes as well
 * @o: how it shall run
 * @why: filled in on errors: one sentence without its end
 * @size: bytes in @why
 *
 * Return: the machine, or NULL.
 */
struct machine *incoming_build(struct image *im, int dev_fd, const struct run_options *o, char *why, size_t size);

/** incoming_restore() - run the machine of a file; returns the exit status */
int incoming_restore(const char *file, const struct run_options *o);

#endif
