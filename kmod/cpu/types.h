/* SPDX-License-Identifier: GPL-2.0 */
/* Types of a guest's processor that struct vm and struct vcpu contain: permitted features, the TSC, rare MSRs. */
#ifndef DROSTE_CPU_TYPES_H
#define DROSTE_CPU_TYPES_H

#include <linux/bits.h>
#include <linux/math64.h>
#include <linux/types.h>
#include <asm/msr.h>
#include <asm/tsc.h>

/* An answer of CPUID that does not depend on the vCPU's state: see cpuid_quick(). */
struct cpuid_cached {
	u64 valid;		/* makes the size a power of 2 */
	u32 fn, index;		/* leaf and sub-leaf that the guest asks for */
	u32 r[4];		/* EAX, EBX, ECX, EDX */
};
#define CPUID_CACHE	8	/* answers that a vCPU keeps; a power of 2 */

/* Features that a vCPU's CPUID permits; derived by cpuid_update_caps() whenever CPUID is set. */
struct guest_caps {
	u8 maxphyaddr;		/* 36 to 52 */
	u8 la_bits;		/* width of linear addresses with the largest paging mode: 48, or 57 with LA57 */
	u64 cr4_allowed;	/* bits that MOV to CR4 may set */
	u64 efer_allowed;
	u64 xcr0_allowed;	/* 0: no XSAVE */
	u64 xss_allowed;
	u64 spec_ctrl;		/* bits of IA32_SPEC_CTRL; 0: no such MSR */
	bool ibpb, flush_l1d, arch_caps;
	bool kvm_signature;	/* CPUID has KVM's signature */
	u32 droste_features;	/* DROSTE_CPUID_* bits of the leaf after Droste's signature; 0: no such leaf */
	u32 kvm_features;	/* KVM_FEATURE_* bits of the leaf after KVM's or Droste's signature; 0: no such leaf */
	u32 signature;		/* CPUID.1:EAX: type, family, model and stepping, in EDX after reset and INIT */
	u32 max_leaf;		/* the highest basic leaf of CPUID */
	bool rdrand, rdseed, xd, rtm, aperfmperf;
	bool vmx, x2apic, tsc_deadline, tsc_adjust, xsave, xsaves, rdtscp, invpcid, long_mode, pdpe1gb, mtrr, mce;
};

#define TSC_RATIO_BITS	48			/* fraction bits of the TSC multiplier */
#define TSC_RATIO_ONE	(1ULL << TSC_RATIO_BITS)

/* A TSC value times a ratio in TSC_RATIO_BITS fixed-point format. */
static inline u64 tsc_scale(u64 tsc, u64 ratio)
{
	return ratio == TSC_RATIO_ONE ? tsc : mul_u64_u64_shr(tsc, ratio, TSC_RATIO_BITS);
}

/* TSC state of a VM. The offset_lock of cpu/tsc.c protects the members whose comment does not say otherwise. */
struct vm_tsc {
	u64 offset;		/* shared by new vCPUs and by those whose TSCs user space means to agree */
	u32 offset_khz;		/* the rate of the vCPUs that use @offset */
	u32 khz;		/* the rate of new vCPUs, KVM_SET_TSC_KHZ; written under vm->lock, read without it */
	u64 round;		/* number of different offsets that user space has set */
};

/* TSC state of a vCPU. Owner: the vCPU's thread. */
struct vcpu_tsc {
	u64 offset;		/* L1's TSC minus the host's scaled TSC */
	u64 ratio;		/* L1's TSC rate divided by the host's; TSC_RATIO_ONE without scaling */
	u32 khz;		/* the rate that user space chose or reads */
	u64 round;		/* vm_tsc.round when user space set the TSC last, 0: never; under offset_lock */
};

/*
 * The cost of exits that is hidden from a vCPU's clocks: see vmx/hide.c. Ticks are those of the host's TSC.
 * Owner: the vCPU's thread.
 */
struct tsc_hide {
	u64 bound;		/* the most that @debt may be; 0: nothing is hidden; constant after vCPU creation */
	s64 extra;		/* ticks that L0 cannot measure of an exit, less those of the instruction; constant */
	u64 left;		/* the host's TSC when the guest left, for an exit whose cost is to be hidden; 0: none */
	u64 debt;		/* ticks that are hidden and not yet paid back */
	u64 owed;		/* @debt in ticks of L1's TSC: vcpu_tsc.offset is behind by it */
};

/*
 * The host's TSC, for an exit in which the guest sees its counter: if the cost of the exit is to be hidden, that of the
 * moment when the guest left.
 */
static inline u64 tsc_host_now(const struct tsc_hide *hide)
{
	return unlikely(hide->left) ? hide->left : rdtsc_ordered();
}

/*
 * The guest is told its counter as of now, by a register, memory or an interrupt. From here on the cost of this exit cannot be
 * hidden any more: what the counter shows afterwards must not be below what was told.
 */
static inline void tsc_told_now(struct tsc_hide *hide)
{
	hide->left = 0;
}

/* L1's TSC without its offset: a clock that runs at L1's rate. */
static inline u64 tsc_now_scaled(const struct vcpu_tsc *tsc)
{
	return tsc_scale(rdtsc_ordered(), tsc->ratio);
}

/* L1's TSC now. */
static inline u64 tsc_of_l1(const struct vcpu_tsc *tsc)
{
	return tsc_now_scaled(tsc) + tsc->offset;
}

/* The rate of L1's TSC in kHz; never 0. */
static inline u64 tsc_rate(const struct vcpu_tsc *tsc)
{
	return tsc_scale(tsc_khz, tsc->ratio) ?: 1000000;
}

#define NR_MTRR_VAR	8	/* variable ranges, reported in IA32_MTRRCAP */
#define NR_MTRR_FIXED	11
#define MAX_MC_BANKS	32
#define DEFAULT_MC_BANKS 10

/* MSRs that are only stored, and rarely used. Owner: the vCPU's thread. */
struct msr_misc {
	u64 cstar;			/* IA32_CSTAR; no Intel processor uses it */
	u64 fmask_high;			/* bits 63:32 of IA32_FMASK, at bits 31:0 */
	u64 ucode_rev;
	u64 mtrr_def;			/* IA32_MTRR_DEF_TYPE; MTRRs have no effect, EPT gives the memory types */
	u64 mtrr_fixed[NR_MTRR_FIXED];
	u64 mtrr_var[2 * NR_MTRR_VAR];	/* base, mask, base, mask, ... */
	u64 mcg_cap, mcg_status, mcg_ctl;
	u64 mc[4 * MAX_MC_BANKS];	/* CTL, STATUS, ADDR, MISC of each bank */
	u64 mc_ctl2[MAX_MC_BANKS];	/* IA32_MCi_CTL2: CMCI enable of each bank; used with MCG_CMCI_P */
	u64 platform_info, power_ctl, hwcr;
	u64 perf_offset[2];		/* IA32_MPERF and IA32_APERF minus L1's TSC */
	u64 arch_caps;			/* IA32_ARCH_CAPABILITIES */
};

#define MCG_CMCI_P	BIT_ULL(10)	/* IA32_MCG_CAP: banks can signal corrected errors (SDM 3B 16.3.1.1) */

static inline bool msr_has_cmci(const struct msr_misc *misc)
{
	return misc->mcg_cap & MCG_CMCI_P;
}

/* A walk of 4 levels, each of whose tables, and the page at the end, an L1 with EPT translates by another one. */
#define WALK_ENTRIES	24

/*
 * A walk of a level's page tables to an instruction, or to data that is read or written; in an L2 whose L1 uses EPT,
 * through EPT12. While the members of the first group have the same values, and the entries still contain what they did, it
 * would end at the same place, and set no flag.
 */
struct page_walk {
	u64 generation;			/* of the slots */
	u64 cr3, cr4;
	u64 eptp12;			/* 0: guest-physical addresses are L1's */
	u64 page;			/* linear address of the page */
	bool user;			/* CPL 3 */

	u8 nr;				/* number of entries; 0: no walk is recorded */
	const u8 __user *to;		/* user address of the page; not of walk_device() */
	u64 gpa;			/* of walk_device(): L1's address of the page */
	const u64 __user *at[WALK_ENTRIES];	/* where they are, and what they contain */
	u64 entry[WALK_ENTRIES];
};

#endif
