/* SPDX-License-Identifier: GPL-2.0 */
/* Names of exit reasons. */
#ifndef DROSTECTL_EXITNAME_H
#define DROSTECTL_EXITNAME_H

/**
 * exit_name() - the name of a basic exit reason
 * @reason: below DROSTE_NR_EXIT_REASONS
 *
 * Return: the name, or "reason N", which the next call overwrites.
 */
const char *exit_name(int reason);

#endif
