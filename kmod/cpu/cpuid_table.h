/* SPDX-License-Identifier: GPL-2.0 */
/* CPUID as plain values: a filter of the host's leaves for guests, lookup rules, sizes of XSAVE areas. Pure. */
#ifndef DROSTE_CPUID_TABLE_H
#define DROSTE_CPUID_TABLE_H

#include <linux/bits.h>
#include <linux/types.h>
#include <linux/kvm.h>
#include <linux/droste_para.h>

enum cpuid_reg { CPUID_RAX, CPUID_RBX, CPUID_RCX, CPUID_RDX, NR_CPUID_REGS };

/* The host, as the filter sees it. */
struct cpuid_host {
	/* Executes CPUID on this host; tests return values of a made-up host. */
	void (*read)(const struct cpuid_host *host, u32 fn, u32 index, u32 regs[NR_CPUID_REGS]);
	u64 xcr0;		/* components that a guest may enable; 0: no XSAVE */
	bool rdtscp, invpcid, xsaves;	/* the VMX control that lets guests execute the instruction exists */
	bool umip_emulated;	/* L0 emulates UMIP, which the processor lacks */
	bool spec_ctrl, stibp, ssbd, flush_l1d, arch_caps;	/* the host's kernel uses the feature, or could */
};

int cpuid_supported(const struct cpuid_host *host, struct kvm_cpuid_entry2 *out, int max);
const struct kvm_cpuid_entry2 *cpuid_find(const struct kvm_cpuid_entry2 *entries, int n, u32 fn, u32 index);
const struct kvm_cpuid_entry2 *cpuid_answer(const struct kvm_cpuid_entry2 *entries, int n, u32 fn, u32 index);
u32 cpuid_xsave_size(const struct kvm_cpuid_entry2 *entries, int n, u64 mask, bool compacted);
bool cpuid_has(const struct kvm_cpuid_entry2 *entries, int n, u32 fn, u32 index, enum cpuid_reg reg, u32 bit);
u64 cpuid_cr4_allowed(const struct kvm_cpuid_entry2 *entries, int n);
u64 cpuid_spec_ctrl_allowed(const struct kvm_cpuid_entry2 *entries, int n);
u64 cpuid_efer_allowed(const struct kvm_cpuid_entry2 *entries, int n);

#define ECX7_UMIP	BIT(2)		/* CPUID.7.0:ECX */
#define ECX7_PKU	BIT(3)
#define ECX7_LA57	BIT(16)
/* CPUID.7.0:EDX: controls of speculation */
#define EDX7_SPEC_CTRL	BIT(26)		/* IBRS and IBPB */
#define EDX7_STIBP	BIT(27)
#define EDX7_FLUSH_L1D	BIT(28)
#define EDX7_ARCH_CAPS	BIT(29)
#define EDX7_SSBD	BIT(31)

/* Droste's hypervisor leaves, and the signature in the first one. */
#define CPUID_DROSTE_BASE	0x40000000
#define CPUID_DROSTE_PV		0x40000001	/* KVM's feature leaf */
#define CPUID_DROSTE_MAX	0x40000002	/* Droste's: see <linux/droste_para.h> */
#define DROSTE_CPUID_ALL	(DROSTE_CPUID_MULTICALL | DROSTE_CPUID_DELEGATE)
#define CPUID_DROSTE_NEXT	0x40000100	/* where they are behind another hypervisor's signature */
#define CPUID_DROSTE_SIGNATURE	DROSTE_CPUID_SIGNATURE

#endif
