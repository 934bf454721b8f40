/* SPDX-License-Identifier: GPL-2.0 */
/* How a run can end, and drostectl's exit status for each. */
#ifndef DROSTECTL_OUTCOME_H
#define DROSTECTL_OUTCOME_H

#include <stdint.h>

/** enum run_end - why the guest no longer runs; the value is the exit status */
enum run_end {
	RUN_NONE = -1,		/* it still runs */
	RUN_POWEROFF = 0,	/* ACPI S5, or KVM's shutdown event */
	RUN_HOST_ERROR = 1,	/* the host failed, not the guest */
	RUN_RESET = 3,		/* a reset port, or KVM's reset event */
	RUN_TRIPLE_FAULT = 4,	/* KVM_EXIT_SHUTDOWN */
	RUN_INTERNAL_ERROR = 5,	/* KVM_EXIT_INTERNAL_ERROR */
	RUN_ENTRY_FAILED = 6,	/* KVM_EXIT_FAIL_ENTRY */
	RUN_STOPPED = 7,	/* Ctrl-A x, or a signal */
	RUN_DEBUG_EXIT = 32,	/* a write to the debug-exit port: from here on */
};

/* Exit statuses when no guest has run. */
#define STATUS_FAILED	RUN_HOST_ERROR	/* the host refused something */
#define STATUS_USAGE	2		/* wrong arguments or files */

/**
 * outcome_status() - drostectl's exit status
 * @end: how the run ended
 * @value: what the guest wrote, for RUN_DEBUG_EXIT
 */
int outcome_status(enum run_end end, uint32_t value);

/** outcome_help() - print the exit statuses on stdout, one a line */
void outcome_help(void);

#endif
