/* SPDX-License-Identifier: GPL-2.0 */
/* An L2 that finds out what a control does before each CPUID, and an L1 that compares: for t_vmx_hotfields and t_vmx_hothost. */
#ifndef HOTPROBE_H
#define HOTPROBE_H

#include "hotrows.h"

/* --- L2 --- */

static void (*volatile l2_probe)(u64 turn);	/* what L2 does before each CPUID, to see the effect of a control */
static volatile u64 l2_saw;			/* what it has found */

static void l2_work(u64 turn)
{
	if (l2_probe && !l2_looks)
		l2_probe(turn);
}

/* --- L1 --- */

static bool l1_answers(u64 reason)
{
	return false;
}

#define AGAIN	3	/* entries after each change */

static volatile u64 l2_next;	/* where L2 goes on behind a fault that exits; 0: it has none */

/* Runs L2 up to its next CPUID. Returns the reason of the first exit, which is that of the CPUID if the probe causes none. */
static u64 first_exit(void)
{
	u64 reason, first = turn_once();

	for (reason = first; reason != R_CPUID; reason = turn_once()) {
		if (reason & R_FAILED_ENTRY)
			return reason;
		if (reason == R_EXCEPTION || reason == R_APIC_ACCESS)
			vmwrite(F_RIP, l2_next);
		else if (reason == R_EXTINT)
			apic_eoi();
		/* The first is a trap. After the others, L2 tries again. */
		else if (reason != R_EOI && reason != R_EPT_VIOLATION && reason != R_EPT_MISCONFIG)
			vmx_skip();
	}
	vmx_skip();
	return first;
}

/* Whether L1 has no such control, which it says. */
static inline bool lacks(enum vmcs_field field, u64 bits, const char *what)
{
	if (ctl_has(field, bits))
		return false;
	g_diag("this row needs what the processor lacks:", 0, 0);
	g_diag(what, 0, 0);
	return true;
}

#endif
