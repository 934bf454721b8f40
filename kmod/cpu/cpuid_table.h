/* SPDX-License-Identifier: GPL-2.0 */
/* CPUID as plain values: what of a host's leaves a guest may be shown, sizes of XSAVE areas, the lookup rules. */
#ifndef DROSTE_CPUID_TABLE_H
#define DROSTE_CPUID_TABLE_H

#include <linux/types.h>
#include <linux/kvm.h>

enum cpuid_reg { CPUID_RAX, CPUID_RBX, CPUID_RCX, CPUID_RDX, NR_CPUID_REGS };

/* What the filter needs to know of the host besides its leaves. */
struct cpuid_host {
	/* Executes CPUID, or plays it. */
	void (*read)(const struct cpuid_host *host, u32 fn, u32 index, u32 regs[NR_CPUID_REGS]);
	u64 xcr0;		/* components the guest may enable; 0: no XSAVE at all */
	u8 phys_bits;		/* what the host's kernel uses of the physical address width */
	bool rdtscp, invpcid, xsaves;	/* VMX controls that these instructions need are there */
};

/*
 * Fill @out with every entry a guest of @host may be shown. Returns their
 * number, or -E2BIG when @max is too small.
 */
int cpuid_supported(const struct cpuid_host *host, struct kvm_cpuid_entry2 *out, int max);

/* An entry by function and index; the index counts where the entry says so. NULL: there is none. */
const struct kvm_cpuid_entry2 *cpuid_find(const struct kvm_cpuid_entry2 *entries, int n, u32 fn, u32 index);

/*
 * The entry CPUID answers with: functions above the highest of their range
 * answer as the highest basic one does (SDM 2A, CPUID). NULL: all zeros.
 */
const struct kvm_cpuid_entry2 *cpuid_answer(const struct kvm_cpuid_entry2 *entries, int n, u32 fn, u32 index);

/* Size of an XSAVE area for the components @mask, from sub-leaves 2 and up of leaf 0xd (SDM 1, 13.4). */
u32 cpuid_xsave_size(const struct kvm_cpuid_entry2 *entries, int n, u64 mask, bool compacted);

/* Does the guest's CPUID have this bit? */
bool cpuid_has(const struct kvm_cpuid_entry2 *entries, int n, u32 fn, u32 index, enum cpuid_reg reg, u32 bit);

/* Bits of CR4 that this CPUID makes writable (SDM 3A 2.5). */
u64 cpuid_cr4_allowed(const struct kvm_cpuid_entry2 *entries, int n);
u64 cpuid_efer_allowed(const struct kvm_cpuid_entry2 *entries, int n);

/* The signature in leaf 0x40000000. */
#define CPUID_DROSTE_BASE	0x40000000
#define CPUID_DROSTE_MAX	0x40000001
#define CPUID_DROSTE_SIGNATURE	"DrosteDroste"

#endif
