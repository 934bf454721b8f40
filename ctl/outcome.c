// SPDX-License-Identifier: GPL-2.0
/* The one table that maps the end of a run to an exit status. */
#include <stdio.h>

#include "outcome.h"

/* Debug-exit values share a range of their own, clear of the shell's 124+. */
#define DEBUG_EXIT_BASE	32
#define DEBUG_EXIT_MASK	63

static const struct {
	int status;		/* exit status */
	const char *meaning;	/* for --help */
} ends[RUN_NR_ENDS] = {
	[RUN_NONE]		= { STATUS_FAILED, NULL },
	[RUN_POWEROFF]		= { 0, "the guest powered off" },
	[RUN_HOST_ERROR]	= { STATUS_FAILED, "the host refused something" },
	[RUN_RESET]		= { 3, "the guest reset the machine" },
	[RUN_TRIPLE_FAULT]	= { 4, "triple fault" },
	[RUN_INTERNAL_ERROR]	= { 5, "the hypervisor could not go on (internal error)" },
	[RUN_ENTRY_FAILED]	= { 6, "the processor refused to enter the guest" },
	[RUN_STOPPED]		= { 7, "ended by Ctrl-A x or by a signal" },
	[RUN_DEBUG_EXIT]	= { DEBUG_EXIT_BASE, NULL },
};

int outcome_status(enum run_end end, uint32_t value)
{
	if (end == RUN_DEBUG_EXIT)
		return DEBUG_EXIT_BASE + (value & DEBUG_EXIT_MASK);
	return ends[end].status;
}

void outcome_help(void)
{
	printf("Exit status:\n");
	printf("  %-6d wrong arguments, or a file that cannot be used\n",
	       STATUS_USAGE);
	for (int i = 0; i < RUN_NR_ENDS; i++)
		if (ends[i].meaning)
			printf("  %-6d %s\n", ends[i].status, ends[i].meaning);
	printf("  %d-%d  a write to the debug-exit port 0xf4: %d plus the value modulo %d\n",
	       DEBUG_EXIT_BASE, DEBUG_EXIT_BASE + DEBUG_EXIT_MASK,
	       DEBUG_EXIT_BASE, DEBUG_EXIT_MASK + 1);
}
