/* SPDX-License-Identifier: GPL-2.0 */
/* The guest's machine: its VM and devices, and its run. */
#ifndef DROSTECTL_MACHINE_H
#define DROSTECTL_MACHINE_H

#include <stdbool.h>

#include "console.h"
#include "hpet.h"
#include "mover.h"
#include "power.h"
#include "rtc.h"
#include "vm.h"

/** struct machine - a machine */
struct machine {
	struct vm vm;
	struct guest_mem mem;
	struct iobus bus;
	struct console console;
	struct rtc rtc;
	struct power power;
	struct hpet hpet;
	struct mover mover;
	bool dies_of_sigpipe;	/* SIGPIPE was not ignored when the program started */
	bool quiet;		/* do not report that the guest powered off */
	bool stats;		/* print statistics at the end */
};

/**
 * machine_devices() - put drostectl's devices on the bus of a machine; the console reads the signals that end or stop a run
 * @m: the machine; its VM has been created
 *
 * Return: 0, or -1 after an error message.
 */
int machine_devices(struct machine *m);

/** machine_run() - run a machine to its end; returns the exit status */
int machine_run(struct machine *m);

/** machine_free() - free a machine that does not run */
void machine_free(struct machine *m);

#endif
