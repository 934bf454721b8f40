/* SPDX-License-Identifier: GPL-2.0 */
/* The ports through which a guest ends its run. */
#ifndef DROSTECTL_POWER_H
#define DROSTECTL_POWER_H

#include <stdint.h>

#include "vm.h"

/** struct power - ACPI power management and the reset ports */
struct power {
	struct vm *vm;		/* the VM whose run they end */
	uint16_t pm1_enable;	/* PM1a event enable */
	uint16_t pm1_control;	/* PM1a control, without the SLP_EN bit */
	uint8_t reset_control;	/* port 0xcf9 */
};

/**
 * power_add() - put the ports on a VM's bus
 * @p: filled in
 * @vm: the VM whose run they end; its bus must be set
 */
void power_add(struct power *p, struct vm *vm);

#endif
