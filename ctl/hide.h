/* SPDX-License-Identifier: GPL-2.0 */
/* Measures what an exit costs a guest that the device cannot see. */
#ifndef DROSTECTL_HIDE_H
#define DROSTECTL_HIDE_H

#include <stdint.h>

#define HIDE_UNKNOWN	INT64_MIN

/**
 * hide_measure() - find droste_profile.clock_extra for this machine
 * @dev_fd: the device
 *
 * Runs CPUID between two RDTSCs, in a VM of its own whose exits are hidden as far as the device sees them, and here.
 *
 * Return: the difference of the least times, in ticks; HIDE_UNKNOWN if the device cannot hide exits.
 */
int64_t hide_measure(int dev_fd);

#endif
