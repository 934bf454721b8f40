/* SPDX-License-Identifier: GPL-2.0 */
/* MSRs of a vCPU: access by the guest and by user space, the handlers of the table, and checks of values. */
#ifndef DROSTE_MSR_H
#define DROSTE_MSR_H

#include "cpu/msr_row.h"
#include "cpu/types.h"

struct droste_pool;
struct vcpu;

/* Is @type a memory type of MTRRs, or with @pat one of the PAT, which has UC- as well (SDM 3A 12.11.2, 12.12.2)? */
static inline bool msr_memtype_valid(u8 type, bool pat)
{
	return type < 8 && (((pat ? 0xf3 : 0x73) >> type) & 1);
}

/* --- msr.c --- */
int msr_init(const struct msr_row *rows, unsigned int n);
int msr_create(struct vcpu *vcpu);
void msr_destroy(struct vcpu *vcpu);
int vcpu_get_msr(struct vcpu *vcpu, u32 msr, u64 *data, bool host_initiated);
int vcpu_set_msr(struct vcpu *vcpu, u32 msr, u64 data, bool host_initiated);
struct kvm_msr_list;
struct kvm_msrs;
long msr_index_list(struct kvm_msr_list __user *uarg);
long msr_feature_index_list(struct kvm_msr_list __user *uarg);
long msr_get_features(struct kvm_msrs __user *uarg);
long vcpu_get_msrs(void *self, void *arg, unsigned long uarg);
long vcpu_set_msrs(void *self, void *arg, unsigned long uarg);
MSR_GET(msr_get_const);
MSR_SET(msr_set_read_only);
MSR_GET(msr_get_none);
MSR_SET(msr_set_none);
MSR_SET(msr_set_ignored);
MSR_GET(msr_get_vmcs);
MSR_SET(msr_set_vmcs32);
MSR_SET(msr_set_vmcs_canonical);
MSR_GET(msr_get_uret);
MSR_SET(msr_set_uret);
MSR_GET(msr_get_fmask);
MSR_SET(msr_set_fmask);
MSR_SET(msr_set_uret_canonical);
MSR_GET(msr_get_tsc_aux);
MSR_SET(msr_set_tsc_aux);
MSR_GET(msr_get_platform_info);
MSR_SET(msr_set_platform_info);
MSR_GET(msr_get_power_ctl);
MSR_SET(msr_set_power_ctl);
MSR_GET(msr_get_hwcr);
MSR_SET(msr_set_hwcr);
MSR_GET(msr_get_ucode_rev);
MSR_SET(msr_set_ucode_rev);
MSR_GET(msr_get_misc_enable);
MSR_SET(msr_set_misc_enable);
u64 msr_debugctl_allowed(const struct vcpu *vcpu);
MSR_GET(msr_get_debugctl);
MSR_SET(msr_set_debugctl);
MSR_GET(msr_get_xss);
MSR_SET(msr_set_xss);
MSR_GET(msr_get_efer);
MSR_SET(msr_set_efer);
MSR_GET(msr_get_cstar);
MSR_SET(msr_set_cstar);

/* --- msr_filter.c --- */
struct msr_filter;
void msr_update_bitmap(struct vcpu *vcpu);
int vcpu_guest_get_msr(struct vcpu *vcpu, u32 msr, u64 *data);
int vcpu_guest_set_msr(struct vcpu *vcpu, u32 msr, u64 data);
bool msr_goes_to_user(const struct vcpu *vcpu, int err);
int msr_refused(struct vcpu *vcpu, int err, u64 data);
void msr_filter_free(struct msr_filter *f);
long vm_set_msr_filter(void *self, void *arg, unsigned long uarg);

/* --- msr_spec.c --- */
void msr_spec_init(void);
u64 msr_arch_caps_offered(void);
int msr_host_offer(struct droste_pool *p);
MSR_GET(msr_get_arch_caps);
MSR_SET(msr_set_arch_caps);
MSR_GET(msr_get_spec_ctrl);
MSR_SET(msr_set_spec_ctrl);
MSR_SET(msr_set_pred_cmd);
MSR_SET(msr_set_flush_cmd);

/* --- msr_tsc.c --- */
MSR_GET(msr_get_tsc);
MSR_SET(msr_set_tsc);
MSR_GET(msr_get_tsc_adjust);
MSR_SET(msr_set_tsc_adjust);
MSR_GET(msr_get_perf);
MSR_SET(msr_set_perf);

/* --- msr_mtrr.c --- */
MSR_GET(msr_get_mtrr_cap);
MSR_GET(msr_get_mtrr_def);
MSR_SET(msr_set_mtrr_def);
MSR_GET(msr_get_mtrr_var);
MSR_SET(msr_set_mtrr_var);
MSR_GET(msr_get_mtrr_fixed);
MSR_SET(msr_set_mtrr_fixed);
MSR_GET(msr_get_pat);
MSR_SET(msr_set_pat);

/* --- msr_mce.c --- */
void mce_init_misc(struct msr_misc *misc);
u64 mce_supported_cap(void);
long vcpu_setup_mce(void *self, void *arg, unsigned long uarg);
long vcpu_set_mce(void *self, void *arg, unsigned long uarg);
MSR_GET(msr_get_mcg);
MSR_SET(msr_set_mcg);
MSR_GET(msr_get_mc_bank);
MSR_SET(msr_set_mc_bank);
MSR_GET(msr_get_mc_ctl2);
MSR_SET(msr_set_mc_ctl2);

#endif
