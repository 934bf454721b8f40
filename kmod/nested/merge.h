/* SPDX-License-Identifier: GPL-2.0 */
/* Merges L0's and L1's controls into VMCS02's: plain values in, plain values out. */
#ifndef DROSTE_MERGE_H
#define DROSTE_MERGE_H

#include <linux/minmax.h>
#include <linux/types.h>
#include <asm/vmx.h>
#include "nested/vmcs12.h"

#define MERGE_CR3_TARGETS	4	/* the number of CR3-target values that L1 is offered */

struct vmx_controls;

/* Page-fault filter of VMCS02, which struct vmx_controls does not contain. */
struct merged_pf {
	u32 mask;	/* page-fault error-code mask */
	u32 match;	/* page-fault error-code match */
};

void merge_controls(const struct vmx_controls *l0, const struct vmcs12 *v, bool lma,
		    struct vmx_controls *out, struct merged_pf *pf);

u64 merge_entry_efer(const struct vmcs12 *v, u64 l1);
u64 merge_exit_efer(const struct vmcs12 *v, u64 l2);
u64 merge_exit_cr4(const struct vmcs12 *v);

/**
 * merge_proc2_of() - L1's effective secondary controls (SDM 3C 25.6.2)
 * @v: VMCS12
 *
 * Return: the controls; 0 if the primary controls do not activate them.
 */
static inline u32 merge_proc2_of(const struct vmcs12 *v)
{
	return v->cpu_based_vm_exec_control & CPU_BASED_ACTIVATE_SECONDARY_CONTROLS ?
	       v->secondary_vm_exec_control : 0;
}

/**
 * merge_l1_asks_ple() - whether L1 asks for exits of PAUSE loops
 * @v: VMCS12
 *
 * "PAUSE exiting" overrides "PAUSE-loop exiting" (SDM 3C 26.1.3).
 *
 * Return: true if it does.
 */
static inline bool merge_l1_asks_ple(const struct vmcs12 *v)
{
	return (merge_proc2_of(v) & SECONDARY_EXEC_PAUSE_LOOP_EXITING) &&
	       !(v->cpu_based_vm_exec_control & CPU_BASED_PAUSE_EXITING);
}

/**
 * merge_cr_mask() - VMCS02's guest/host mask of CR0 or CR4 (SDM 3C 25.6.6)
 * @l0_owned: bits that L0 lets its guests own
 * @mask12: L1's guest/host mask
 *
 * Return: bits that L0 or L1 keeps from L2.
 */
static inline u64 merge_cr_mask(u64 l0_owned, u64 mask12)
{
	return ~l0_owned | mask12;
}

/**
 * merge_cr_shadow() - VMCS02's read shadow of CR0 or CR4 (SDM 3C 25.6.6)
 * @guest12: L1's guest field
 * @shadow12: L1's read shadow
 * @mask12: L1's guest/host mask
 *
 * Return: L1's shadow for the bits in L1's mask, L1's guest field for the
 * others, which only L0 keeps from L2.
 */
static inline u64 merge_cr_shadow(u64 guest12, u64 shadow12, u64 mask12)
{
	return (guest12 & ~mask12) | (shadow12 & mask12);
}

/**
 * merge_cr3_targets() - VMCS02's number of CR3-target values (SDM 3C 25.6.7)
 * @proc: L0's primary processor-based controls; if L0 asks for exits by MOV to CR3, there are no values without one
 * @count12: L1's number, checked at the entry
 * @host: the number that the processor supports (SDM 3D A.6)
 *
 * Return: the number.
 */
static inline u32 merge_cr3_targets(u32 proc, u32 count12, u32 host)
{
	if (proc & CPU_BASED_CR3_LOAD_EXITING)
		return 0;
	return min3(count12, host, (u32)MERGE_CR3_TARGETS);
}

#endif
