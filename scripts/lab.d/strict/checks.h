/* SPDX-License-Identifier: GPL-2.0 */
/* The checks of VM entries that Bochs lacks (SDM 3C 27.2, 27.3). Each is always made, unless its rule is off. */
#ifndef LAB_STRICT_CHECKS_H
#define LAB_STRICT_CHECKS_H

#include "rules.h"

/* Both return NULL, or the check that fails, as a sentence for Bochs' log. Bochs' own checks have passed before. */
const char *sdm_check_controls(BX_CPU_C *cpu);
const char *sdm_check_guest(BX_CPU_C *cpu, const VMCS_GUEST_STATE *guest, Bit64u *qualification);

/* Reports fields of the host state, and MSRs, that differ from what the host has: the next VM exit will change them. */
void strict_check_host(BX_CPU_C *cpu);

/*
 * Before accessed and dirty flags are set in the entries of a guest's walk: EPT must let the processor write them
 * (SDM 3C 29.3.3.2). levels is the walk's highest level, shift and bits describe an index into one table.
 */
template <typename entry_t>
static inline void sdm_write_walk(BX_CPU_C *cpu, const entry_t *entry, bx_phy_address top, bx_address laddr, int levels,
				  int leaf, bool write)
{
	const unsigned bits = sizeof(entry_t) == 8 ? 9 : 10;

	if (!cpu->in_vmx_guest || !cpu->vmcs.vmexec_ctrls2.EPT_ENABLE() || (cpu->vmcs.eptptr & 0x40))
		return;
	if (!sdm(SDM_WALK_WRITES))
		return;
	for (int level = levels; level >= leaf; level--) {
		bx_phy_address table = level == levels ? top : bx_phy_address(entry[level + 1]);
		bx_phy_address index = (laddr >> (12 + bits * level)) & ((1 << bits) - 1);

		if (!(entry[level] & 0x20) || (level == leaf && write && !(entry[level] & 0x40)))
			cpu->translate_guest_physical((table & BX_CONST64(0x000ffffffffff000)) + index * sizeof(entry_t),
						      laddr, true, true, false, false, false, BX_WRITE);
	}
}

#endif
