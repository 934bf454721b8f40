/* SPDX-License-Identifier: GPL-2.0 */
/* How a run can end, and drostectl's exit status for each. */
#ifndef DROSTECTL_OUTCOME_H
#define DROSTECTL_OUTCOME_H

#include <stdint.h>

/** enum run_end - why the guest no longer runs */
enum run_end {
	RUN_NONE,		/* it still runs */
	RUN_POWEROFF,		/* ACPI S5, or KVM's shutdown event */
	RUN_RESET,		/* a reset port, or KVM's reset event */
	RUN_TRIPLE_FAULT,	/* KVM_EXIT_SHUTDOWN */
	RUN_INTERNAL_ERROR,	/* KVM_EXIT_INTERNAL_ERROR */
	RUN_ENTRY_FAILED,	/* KVM_EXIT_FAIL_ENTRY */
	RUN_DEBUG_EXIT,		/* a write to the debug-exit port */
	RUN_STOPPED,		/* Ctrl-A x, or a signal */
	RUN_HOST_ERROR,		/* the host failed, not the guest */
	RUN_NR_ENDS
};

/* Exit statuses that are not the end of a run. */
#define STATUS_FAILED	1	/* the host refused something */
#define STATUS_USAGE	2	/* wrong arguments, files that cannot be used */

/**
 * outcome_status() - drostectl's exit status
 * @end: how the run ended
 * @value: what the guest wrote, for RUN_DEBUG_EXIT
 */
int outcome_status(enum run_end end, uint32_t value);

/** outcome_help() - print the exit statuses on stdout, one a line */
void outcome_help(void);

#endif
