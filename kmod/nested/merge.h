/* SPDX-License-Identifier: GPL-2.0 */
/* VMCS02's control fields out of L0's and L1's: plain values in, plain values out. */
#ifndef DROSTE_MERGE_H
#define DROSTE_MERGE_H

#include <linux/types.h>

struct vmx_controls;
struct vmcs12;

/* What the merge makes beyond struct vmx_controls. */
struct merged_pf {
	u32 mask, match;	/* page-fault error-code mask and match */
};

/*
 * @l0: VMCS01's controls; @v: L1's, already checked against what it was
 * offered; @lma: L2 starts in IA-32e mode.
 */
void merge_controls(const struct vmx_controls *l0, const struct vmcs12 *v, bool lma,
		    struct vmx_controls *out, struct merged_pf *pf);

/* L1's secondary controls, 0 while its primary ones do not activate them (SDM 3C 25.6.2). */
u32 merge_proc2_of(const struct vmcs12 *v);

/*
 * A control register's mask and shadow (SDM 3C 25.6.6): bits of either
 * level's mask exit or read from the shadow. There L2 reads L1's shadow for
 * the bits L1 holds, and what L1 gave the guest field for those only L0 holds.
 */
static inline u64 merge_cr_mask(u64 l0_owned, u64 mask12)
{
	return ~l0_owned | mask12;
}

static inline u64 merge_cr_shadow(u64 guest12, u64 shadow12, u64 mask12)
{
	return (guest12 & ~mask12) | (shadow12 & mask12);
}

/* L2's EFER by the VM-entry controls (SDM 3C 27.3.2.1); @l1: what L1 has at the entry. */
u64 merge_entry_efer(const struct vmcs12 *v, u64 l1);
/* L1's EFER by the VM-exit controls (SDM 3C 28.5.1); @l2: what L2 had at the exit. */
u64 merge_exit_efer(const struct vmcs12 *v, u64 l2);
/* L1's CR4 after an exit: PAE and PCIDE follow the host address-space size (SDM 3C 28.5.1). */
u64 merge_exit_cr4(const struct vmcs12 *v);

#endif
