/* SPDX-License-Identifier: GPL-2.0 */
/* Types of a guest's processor that struct vm and struct vcpu contain: CPUID's consequences and the TSC. */
#ifndef DROSTE_CPU_TYPES_H
#define DROSTE_CPU_TYPES_H

#include <linux/bits.h>
#include <linux/math64.h>
#include <linux/types.h>
#include <asm/msr.h>
#include <asm/tsc.h>

/* What a vCPU's CPUID permits, derived once when CPUID is set (cpuid.c), asked often. */
struct guest_caps {
	u8 maxphyaddr;		/* 36 to 52 */
	u64 cr4_allowed;	/* bits MOV to CR4 may set */
	u64 efer_allowed;
	u64 xcr0_allowed;	/* 0: no XSAVE */
	u64 xss_allowed;
	bool kvm_signature;	/* user space gave it KVM's CPUID signature */
	u32 kvm_features;	/* KVM_FEATURE_* bits of the leaf behind that signature or Droste's; 0 without */
	bool vmx, x2apic, tsc_deadline, tsc_adjust, xsave, xsaves, rdtscp, invpcid, long_mode, pdpe1gb, syscall, mtrr, mce;
};

#define TSC_RATIO_BITS	48			/* fraction bits of the TSC multiplier */
#define TSC_RATIO_ONE	(1ULL << TSC_RATIO_BITS)

static inline u64 tsc_scale(u64 tsc, u64 ratio)
{
	return ratio == TSC_RATIO_ONE ? tsc : mul_u64_u64_shr(tsc, ratio, TSC_RATIO_BITS);
}

/* Of a VM; members under offset_lock of tsc.c but where they say otherwise. */
struct vm_tsc {
	u64 offset;		/* that of new vCPUs, and of those that user space sets alike: so they agree */
	u32 offset_khz;		/* the rate of the vCPUs that it is for */
	u32 khz;		/* KVM_SET_TSC_KHZ: what new vCPUs get; vm->lock, read without */
	u64 round;		/* counts the offsets that user space has set; 0: none */
};

/* Of a vCPU; owner: its thread. */
struct vcpu_tsc {
	u64 offset;		/* L1's counter minus the host's scaled one */
	u64 ratio;		/* L1's counter runs so many times as fast as the host's; TSC_RATIO_ONE without scaling */
	u32 khz;		/* the rate that user space was told or chose */
	u64 round;		/* the VM's when user space set it last, 0: never; under offset_lock of tsc.c */
};

/* L1's counter without its offset: a clock that runs at L1's rate. */
static inline u64 tsc_now_scaled(const struct vcpu_tsc *tsc)
{
	return tsc_scale(rdtsc_ordered(), tsc->ratio);
}

/* L1's counter now. */
static inline u64 tsc_of_l1(const struct vcpu_tsc *tsc)
{
	return tsc_now_scaled(tsc) + tsc->offset;
}

/* The rate at which L1's counter runs, in kHz; never 0. */
static inline u64 tsc_rate(const struct vcpu_tsc *tsc)
{
	return tsc_scale(tsc_khz, tsc->ratio) ?: 1000000;
}

#define NR_MTRR_VAR	8	/* variable ranges, as IA32_MTRRCAP says */
#define NR_MTRR_FIXED	11
#define MAX_MC_BANKS	32
#define DEFAULT_MC_BANKS 10

/* MSRs that are stored and read, rarely. Owner: the vCPU's thread. */
struct msr_misc {
	u64 cstar;			/* SYSCALL from compatibility mode: no Intel processor uses it */
	u64 ucode_rev;
	u64 mtrr_def;			/* IA32_MTRR_DEF_TYPE; memory types are EPT's, these are only kept */
	u64 mtrr_fixed[NR_MTRR_FIXED];
	u64 mtrr_var[2 * NR_MTRR_VAR];	/* base and mask in turn */
	u64 mcg_cap, mcg_status, mcg_ctl;
	u64 mc[4 * MAX_MC_BANKS];	/* CTL, STATUS, ADDR, MISC of each bank */
	u64 mc_ctl2[MAX_MC_BANKS];	/* with MCG_CMCI_P: which banks tell of corrected errors */
	u64 platform_info, power_ctl, hwcr;
};

#define MCG_CMCI_P	BIT_ULL(10)	/* IA32_MCG_CAP: banks can signal corrected errors (SDM 3B 16.3.1.1) */

static inline bool msr_has_cmci(const struct msr_misc *misc)
{
	return misc->mcg_cap & MCG_CMCI_P;
}

#endif
