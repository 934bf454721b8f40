/* SPDX-License-Identifier: GPL-2.0 */
/* The ways in which a run can end, and drostectl's exit status for each. */
#ifndef DROSTECTL_OUTCOME_H
#define DROSTECTL_OUTCOME_H

#include <stdint.h>

/** enum run_end - how a run ended; the value is the exit status */
enum run_end {
	RUN_NONE = -1,		/* the guest is still running */
	RUN_POWEROFF = 0,	/* ACPI S5, or KVM's shutdown event */
	RUN_HOST_ERROR = 1,	/* the host failed, not the guest */
	RUN_RESET = 3,		/* a reset port, or KVM's reset event */
	RUN_TRIPLE_FAULT = 4,	/* KVM_EXIT_SHUTDOWN */
	RUN_INTERNAL_ERROR = 5,	/* KVM_EXIT_INTERNAL_ERROR */
	RUN_ENTRY_FAILED = 6,	/* KVM_EXIT_FAIL_ENTRY */
	RUN_STOPPED = 7,	/* Ctrl-A x, or a signal */
	RUN_OUTPUT_LOST = 8,	/* the console's output could not be written */
	RUN_MOVED = 9,		/* the guest is saved, or runs elsewhere */
	RUN_DEBUG_EXIT = 32,	/* first status for a write to the debug-exit port */
};

/* Exit statuses if no guest ran. */
#define STATUS_FAILED	RUN_HOST_ERROR	/* an operation on the host failed */
#define STATUS_USAGE	2		/* wrong arguments or files */

/**
 * outcome_status() - compute drostectl's exit status
 * @end: how the run ended
 * @value: the value the guest wrote, for RUN_DEBUG_EXIT
 */
int outcome_status(enum run_end end, uint32_t value);

/** outcome_help() - print the exit statuses on stdout, one per line */
void outcome_help(void);

#endif
