/* SPDX-License-Identifier: GPL-2.0 */
/* The exits of a run, by reason and level. */
#ifndef DROSTECTL_STATS_H
#define DROSTECTL_STATS_H

#include "vm.h"

/**
 * stats_print() - print Droste's exit counters, summed over a VM's processors
 * @vm: the VM; its vCPUs have stopped
 *
 * Prints an error message if the device has no such counters (KVM).
 */
void stats_print(const struct vm *vm);

#endif
