/* SPDX-License-Identifier: GPL-2.0 */
/* MSRs of a vCPU: the shape of the table, and what the files behind it share. */
#ifndef DROSTE_MSR_H
#define DROSTE_MSR_H

#include <linux/types.h>

struct vcpu;

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

/* One row of msrs.def: the MSRs @first to @last. */
struct msr_row {
	u32 first, last;
	u32 flags;		/* MSR_F_* */
	u64 arg;		/* what the handlers make of it: a VMCS field, an index, a value */
	/* 0, or -EINVAL for #GP(0). NULL: always #GP. @host: user space asks, not the guest */
	int (*get)(struct vcpu *vcpu, const struct msr_row *row, u32 msr, u64 *data, bool host);
	int (*set)(struct vcpu *vcpu, const struct msr_row *row, u32 msr, u64 data, bool host);
};
#define MSR_F_LIST	BIT(0)	/* KVM_GET_MSR_INDEX_LIST: user space saves and restores it */
#define MSR_F_FEATURE	BIT(1)	/* KVM_GET_MSR_FEATURE_INDEX_LIST: what the host can offer */
#define MSR_F_PV	BIT(2)	/* KVM's own: there for a guest whose feature leaf has bit @arg */

#define MSR_GET(name) \
	int name(struct vcpu *vcpu, const struct msr_row *row, u32 msr, u64 *data, bool host)
#define MSR_SET(name) \
	int name(struct vcpu *vcpu, const struct msr_row *row, u32 msr, u64 data, bool host)

/* Bit 63:47 all alike: what a 64-bit base must be without LA57 (SDM 1, 3.3.7.1). */
static inline bool msr_canonical(u64 addr)
{
	return (u64)((s64)(addr << 16) >> 16) == addr;
}

/* A memory type that MTRRs and the PAT know; the PAT knows UC- as well (SDM 3A 12.11.2, 12.12.2). */
static inline bool memtype_valid(u8 type, bool pat)
{
	return type < 8 && (((pat ? 0xf3 : 0x73) >> type) & 1);
}

/* --- msr_filter.c --- */
struct msr_filter;
bool msr_allowed(struct vcpu *vcpu, u32 msr, u32 access);
int vcpu_guest_get_msr(struct vcpu *vcpu, u32 msr, u64 *data);
int vcpu_guest_set_msr(struct vcpu *vcpu, u32 msr, u64 data);
int msr_refused(struct vcpu *vcpu, int err, u64 data);
void msr_filter_free(struct msr_filter *f);	/* nobody reads it any more; NULL is fine */

/* --- msr_tsc.c --- */
MSR_GET(get_tsc);
MSR_SET(set_tsc);
MSR_GET(get_tsc_adjust);
MSR_SET(set_tsc_adjust);
MSR_GET(get_tsc_deadline);
MSR_SET(set_tsc_deadline);

/* --- kvmclock.c --- */
MSR_GET(get_wall_clock);
MSR_SET(set_wall_clock);
MSR_GET(get_system_time);
MSR_SET(set_system_time);

/* --- msr_mtrr.c --- */
MSR_GET(get_mtrr_cap);
MSR_GET(get_mtrr_def);
MSR_SET(set_mtrr_def);
MSR_GET(get_mtrr_var);
MSR_SET(set_mtrr_var);
MSR_GET(get_mtrr_fixed);
MSR_SET(set_mtrr_fixed);
MSR_GET(get_pat);
MSR_SET(set_pat);

/* --- msr_mce.c --- */
void mce_init_misc(struct msr_misc *misc);
MSR_GET(get_mcg);
MSR_SET(set_mcg);
MSR_GET(get_mc_bank);
MSR_SET(set_mc_bank);
MSR_GET(get_mc_ctl2);
MSR_SET(set_mc_ctl2);
bool mce_has_cmci(const struct vcpu *vcpu);

/* --- pv.c --- */
MSR_GET(get_steal_time);
MSR_SET(set_steal_time);

#endif
