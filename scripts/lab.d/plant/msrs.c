// SPDX-License-Identifier: GPL-2.0
/* What a host owes its guests and itself, in the machine's MSRs and control registers. */
#include <asm/processor-flags.h>
#include "plant.h"

static void no_machine_checks(void)
{
	vm_clear(GUEST_CR4, X86_CR4_MCE);
}

const struct fault msrs_faults[] = {
	{ "a guest with CR4.MCE clear", no_machine_checks, { EXITED, EXIT_REASON_VMCALL } },
	{}
};
