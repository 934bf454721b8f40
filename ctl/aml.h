/* SPDX-License-Identifier: GPL-2.0 */
/* AML of what a machine with a profile has in addition to the serial port. */
#ifndef DROSTECTL_AML_H
#define DROSTECTL_AML_H

#include <stddef.h>
#include <stdint.h>

struct profile;

/** struct aml - code under construction */
struct aml {
	size_t len;
	uint8_t byte[512];
};

/** aml_machine() - append the timer, the clock, the HPET and the thermal zone of a profile's machine */
void aml_machine(struct aml *a, const struct profile *p);

#endif
