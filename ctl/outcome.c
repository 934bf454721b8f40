// SPDX-License-Identifier: GPL-2.0
/* Turns the end of a run into an exit status, and explains the statuses. */
#include <stdio.h>

#include "outcome.h"

/* Debug-exit values have a range of their own, clear of the shell's 124+. */
#define DEBUG_EXIT_MASK	63

static const struct {
	int status;
	const char *meaning;
} statuses[] = {
	{ RUN_POWEROFF, "the guest powered off" },
	{ STATUS_FAILED, "the host refused something" },
	{ STATUS_USAGE, "wrong arguments, or a file that cannot be used" },
	{ RUN_RESET, "the guest reset the machine" },
	{ RUN_TRIPLE_FAULT, "triple fault" },
	{ RUN_INTERNAL_ERROR,
	  "the hypervisor could not go on (internal error)" },
	{ RUN_ENTRY_FAILED, "the processor refused to enter the guest" },
	{ RUN_STOPPED, "ended by Ctrl-A x or by a signal" },
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
	printf("  %d-%d  the guest wrote to the debug-exit port 0xf4: %d plus the value modulo %d\n",
	       RUN_DEBUG_EXIT, RUN_DEBUG_EXIT + DEBUG_EXIT_MASK,
	       RUN_DEBUG_EXIT, DEBUG_EXIT_MASK + 1);
}
