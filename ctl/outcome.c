// SPDX-License-Identifier: GPL-2.0
/* Maps the end of a run to an exit status, and lists the statuses. */
#include <stdio.h>

#include "outcome.h"

/* Debug-exit statuses stay below those that shells and timeout(1) use (124 and up). */
#define DEBUG_EXIT_MASK	63

static const struct {
	int status;
	const char *meaning;
} statuses[] = {
	{ RUN_POWEROFF, "the guest powered off" },
	{ STATUS_FAILED, "an operation on the host failed" },
	{ STATUS_USAGE, "wrong arguments, or a file that cannot be used" },
	{ RUN_RESET, "the guest reset the machine" },
	{ RUN_TRIPLE_FAULT, "triple fault" },
	{ RUN_INTERNAL_ERROR,
	  "the hypervisor could not continue (internal error)" },
	{ RUN_ENTRY_FAILED, "the processor refused to enter the guest" },
	{ RUN_STOPPED, "ended by Ctrl-A x or by a signal" },
	{ RUN_OUTPUT_LOST, "the console's output could not be written (disk full)" },
	{ RUN_MOVED, "the guest was saved, or runs elsewhere" },
};

int outcome_status(enum run_end end, uint32_t value)
{
	if (end == RUN_DEBUG_EXIT)
		return RUN_DEBUG_EXIT + (value & DEBUG_EXIT_MASK);
	return end;
}

void outcome_help(void)
{
	printf("Exit status:\n");
	for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++)
		printf("  %-6d %s\n", statuses[i].status, statuses[i].meaning);
	printf("  %d-%d  the guest wrote to debug-exit port 0xf4: %d plus the value modulo %d\n",
	       RUN_DEBUG_EXIT, RUN_DEBUG_EXIT + DEBUG_EXIT_MASK,
	       RUN_DEBUG_EXIT, DEBUG_EXIT_MASK + 1);
}
