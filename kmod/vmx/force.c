// SPDX-License-Identifier: GPL-2.0
/* DROSTE_FORCE_EXITS: the control for each bit of the mask. run/force.c carries the instructions out. SDM 3C 25.6.2, 26.1.3. */
#include <linux/droste.h>
#include <linux/kernel.h>
#include <asm/cpufeature.h>
#include "droste.h"
#include "vmx/vmx.h"

/* A bit of the mask, and the control that it sets: of @proc, or of @proc2. */
struct force_row {
	u64 bit;
	u32 proc, proc2;
};

static const struct force_row force_rows[] = {
	{ DROSTE_FORCE_CR3_LOAD, .proc = CPU_BASED_CR3_LOAD_EXITING },
	{ DROSTE_FORCE_CR3_STORE, .proc = CPU_BASED_CR3_STORE_EXITING },
	{ DROSTE_FORCE_INVLPG, .proc = CPU_BASED_INVLPG_EXITING },
	{ DROSTE_FORCE_RDTSC, .proc = CPU_BASED_RDTSC_EXITING },
	{ DROSTE_FORCE_RDPMC, .proc = CPU_BASED_RDPMC_EXITING },
	{ DROSTE_FORCE_TABLES, .proc2 = SECONDARY_EXEC_DESC },
	{ DROSTE_FORCE_RDRAND, .proc2 = SECONDARY_EXEC_RDRAND_EXITING },
	{ DROSTE_FORCE_RDSEED, .proc2 = SECONDARY_EXEC_RDSEED_EXITING },
	{ DROSTE_FORCE_PAUSE, .proc = CPU_BASED_PAUSE_EXITING },
};

/* L0 executes RDRAND and RDSEED itself, and the kernel may be told not to use them. */
static bool force_can_execute(u64 bit)
{
	return (bit != DROSTE_FORCE_RDRAND || boot_cpu_has(X86_FEATURE_RDRAND)) &&
	       (bit != DROSTE_FORCE_RDSEED || boot_cpu_has(X86_FEATURE_RDSEED));
}

/**
 * vmx_force_supported() - the bits that DROSTE_FORCE_EXITS accepts on this processor
 *
 * Context: Any, after vmx_caps_init().
 * Return: DROSTE_FORCE_*.
 */
u64 vmx_force_supported(void)
{
	u64 mask = 0;
	int i;

	for (i = 0; i < ARRAY_SIZE(force_rows); i++) {
		const struct force_row *row = &force_rows[i];

		if (vmx_may_set(row->proc ? host_caps.true_proc : host_caps.proc2, row->proc | row->proc2) &&
		    force_can_execute(row->bit))
			mask |= row->bit;
	}
	return mask;
}

/**
 * vmx_force_check() - check a mask for DROSTE_FORCE_EXITS
 * @mask: what the caller gave
 *
 * Context: Any, after vmx_caps_init().
 * Return: 0; -EINVAL for bits that are not DROSTE_FORCE_*; -ENXIO for bits that this processor does not have.
 */
int vmx_force_check(u64 mask)
{
	u64 known = 0;
	int i;

	for (i = 0; i < ARRAY_SIZE(force_rows); i++)
		known |= force_rows[i].bit;
	if (mask & ~known)
		return -EINVAL;
	return mask & ~vmx_force_supported() ? -ENXIO : 0;
}

/**
 * vmx_forced_controls() - the controls for a mask of DROSTE_FORCE_EXITS
 * @mask: DROSTE_FORCE_*, all of them supported
 *
 * Context: Any.
 * Return: the controls.
 */
struct vmx_forced vmx_forced_controls(u64 mask)
{
	struct vmx_forced f = {};
	int i;

	for (i = 0; i < ARRAY_SIZE(force_rows); i++) {
		if (!(mask & force_rows[i].bit))
			continue;
		f.proc |= force_rows[i].proc;
		f.proc2 |= force_rows[i].proc2;
	}
	return f;
}
