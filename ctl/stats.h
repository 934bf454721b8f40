/* SPDX-License-Identifier: GPL-2.0 */
/* The exits that a run took, by reason and level. */
#ifndef DROSTECTL_STATS_H
#define DROSTECTL_STATS_H

#include "vm.h"

/**
 * stats_print() - print what Droste counted for all processors of a VM
 * @vm: the VM; no vCPU runs any more
 *
 * One plain sentence instead where the device does not count (KVM).
 */
void stats_print(const struct vm *vm);

#endif
