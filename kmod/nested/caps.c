// SPDX-License-Identifier: GPL-2.0
/* VMX capability MSRs of one L1: Droste's offer, reduced by the vCPU's CPUID and by user space. SDM 3D A. */
#include <asm/processor-flags.h>
#include "droste.h"
#include "cpu/msr_row.h"
#include "cpu/pool.h"
#include "nested/nested.h"
#include "vmx/vmx.h"

/* IA32_VMX_BASIC (SDM 3D A.1): bits that are features, which user space may clear; the others are fixed. */
#define BASIC_FEATURES	(BIT_ULL(49) | GENMASK_ULL(56, 54))
/* IA32_VMX_MISC (SDM 3D A.6) */
#define MISC_FEATURES	(BIT_ULL(5) | GENMASK_ULL(8, 6) | GENMASK_ULL(15, 14) | GENMASK_ULL(30, 28))
#define MISC_CR3_COUNT	GENMASK_ULL(24, 16)
#define MISC_MSR_LIST	GENMASK_ULL(27, 25)

/* Clear allowed-1 settings of a control. */
static void nested_caps_forbid(u64 *cap, u32 bits)
{
	*cap &= ~((u64)bits << 32);
}

/* Remove the controls of instructions that L1's CPUID does not enumerate (SDM 3C 25.6.2). */
static void nested_caps_follow_cpuid(struct vcpu *vcpu, struct vmx_caps *caps)
{
	const struct guest_caps *g = &vcpu->gcaps;

	if (!g->rdtscp)
		nested_caps_forbid(&caps->proc2, SECONDARY_EXEC_ENABLE_RDTSCP);
	if (!g->invpcid)
		nested_caps_forbid(&caps->proc2, SECONDARY_EXEC_ENABLE_INVPCID);
	if (!g->xsaves)
		nested_caps_forbid(&caps->proc2, VMCS_CONTROL_BIT(XSAVES));
	if (!g->rdrand)
		nested_caps_forbid(&caps->proc2, SECONDARY_EXEC_RDRAND_EXITING);
	if (!g->rdseed)
		nested_caps_forbid(&caps->proc2, SECONDARY_EXEC_RDSEED_EXITING);
	/* IA32_VMX_CR4_FIXED1 has the CR4 bits that CPUID enumerates (SDM 3D A.8). */
	caps->cr4_fixed1 = (g->cr4_allowed & caps->cr4_fixed1) | X86_CR4_VMXE;
}

/* The most that @vcpu can be offered. */
static void nested_caps_offered(struct vcpu *vcpu, struct vmx_caps *caps)
{
	*caps = vcpu->vm->pool ? vcpu->vm->pool->caps : offer_caps;
	caps->basic = (caps->basic & ~GENMASK_ULL(30, 0)) | VMCS12_REVISION;
	nested_caps_follow_cpuid(vcpu, caps);
	caps->vmcs_enum = (u64)vmcs12_max_index(vmcs12_gates(caps)) << 1;
}

/* Make the MSRs without "TRUE" in their names: they report the default-1 controls as fixed to 1 (SDM 3D A.2). */
static void nested_caps_derive(struct nested *n)
{
	struct vmx_caps *c = &n->caps;

	c->pin = c->true_pin | PIN_BASED_ALWAYSON_WITHOUT_TRUE_MSR;
	c->proc = c->true_proc | CPU_BASED_ALWAYSON_WITHOUT_TRUE_MSR;
	c->exit = c->true_exit | VM_EXIT_ALWAYSON_WITHOUT_TRUE_MSR;
	c->entry = c->true_entry | VM_ENTRY_ALWAYSON_WITHOUT_TRUE_MSR;
	n->gates = vmcs12_gates(c);
}

/* Within @mask, every bit set in @part is set in @whole. */
static bool nested_caps_subset(u64 part, u64 whole, u64 mask)
{
	return !(part & mask & ~whole);
}

static bool nested_caps_basic_ok(u64 most, u64 data)
{
	return nested_caps_subset(data, most, BASIC_FEATURES) && !((data ^ most) & ~BASIC_FEATURES);
}

/* User space may fix more bits to 1 (low half) and allow fewer bits to be 1 (high half). */
static bool nested_caps_control_ok(u64 most, u64 data)
{
	return nested_caps_subset(most, data, GENMASK_ULL(31, 0)) &&
	       nested_caps_subset(data, most, GENMASK_ULL(63, 32));
}

static bool nested_caps_misc_ok(u64 most, u64 data)
{
	const u64 counted = MISC_FEATURES | MISC_CR3_COUNT | MISC_MSR_LIST;

	return nested_caps_subset(data, most, MISC_FEATURES) && !((data ^ most) & ~counted) &&
	       (data & MISC_CR3_COUNT) <= (most & MISC_CR3_COUNT) &&
	       (data & MISC_MSR_LIST) <= (most & MISC_MSR_LIST);
}

static bool nested_caps_features_ok(u64 most, u64 data)
{
	return nested_caps_subset(data, most, ~0ULL);
}

/* User space may fix more bits to 1, but not fewer. */
static bool nested_caps_fixed0_ok(u64 most, u64 data)
{
	return nested_caps_subset(most, data, ~0ULL);
}

/* The value follows from CPUID or from the "TRUE" MSRs and cannot be changed. */
static bool nested_caps_same(u64 most, u64 data)
{
	return data == most;
}

static bool nested_caps_any(u64 most, u64 data)
{
	return true;
}

/* Whether user space may set an MSR, by its distance from IA32_VMX_BASIC, to @data; @most is the full offer. */
static bool (*const may_set[VMX_CAPS_NR])(u64 most, u64 data) = {
#define AT(msr) [MSR_IA32_VMX_##msr - VMX_CAPS_FIRST]
	AT(BASIC) = nested_caps_basic_ok,
	AT(PINBASED_CTLS) = nested_caps_same,
	AT(PROCBASED_CTLS) = nested_caps_same,
	AT(EXIT_CTLS) = nested_caps_same,
	AT(ENTRY_CTLS) = nested_caps_same,
	AT(MISC) = nested_caps_misc_ok,
	AT(CR0_FIXED0) = nested_caps_fixed0_ok,
	AT(CR0_FIXED1) = nested_caps_same,
	AT(CR4_FIXED0) = nested_caps_fixed0_ok,
	AT(CR4_FIXED1) = nested_caps_same,
	AT(VMCS_ENUM) = nested_caps_any,
	AT(PROCBASED_CTLS2) = nested_caps_control_ok,
	AT(EPT_VPID_CAP) = nested_caps_features_ok,
	AT(TRUE_PINBASED_CTLS) = nested_caps_control_ok,
	AT(TRUE_PROCBASED_CTLS) = nested_caps_control_ok,
	AT(TRUE_EXIT_CTLS) = nested_caps_control_ok,
	AT(TRUE_ENTRY_CTLS) = nested_caps_control_ok,
	AT(VMFUNC) = nested_caps_features_ok,
#undef AT
};

/**
 * nested_caps_init() - set up the capability MSRs that L1 sees
 * @vcpu: a new vCPU, or one whose CPUID changed; not in VMX operation
 *
 * An MSR that user space has set keeps its value if the new CPUID allows it.
 *
 * Context: Caller holds vcpu->mutex, or nobody else knows the vCPU yet.
 */
void nested_caps_init(struct vcpu *vcpu)
{
	struct nested *n = &vcpu->nested;
	struct vmx_caps all;
	u64 set, *cap;
	u32 i;

	nested_caps_offered(vcpu, &all);
	for (i = 0; i < VMX_CAPS_NR; i++) {
		cap = vmx_caps_msr(&n->caps, VMX_CAPS_FIRST + i);
		set = *vmx_caps_msr(&all, VMX_CAPS_FIRST + i);
		if (!(n->caps_set & BIT(i)) || !may_set[i](set, *cap))
			*cap = set;
	}
	nested_caps_derive(n);
}

/**
 * nested_set_cap_msr() - let user space reduce a capability
 * @vcpu: the vCPU
 * @msr: number of the MSR
 * @data: its new value
 *
 * Context: Caller holds vcpu->mutex.
 * Return: 0; -EINVAL if @msr is not IA32_VMX_BASIC to IA32_VMX_VMFUNC, if
 * @data offers more than Droste does, or if it is another value than before
 * while L1 is in VMX operation or after the guest has run.
 */
static int nested_set_cap_msr(struct vcpu *vcpu, u32 msr, u64 data)
{
	struct nested *n = &vcpu->nested;
	struct vmx_caps all;
	u64 *cap;

	if (msr < VMX_CAPS_FIRST || msr >= VMX_CAPS_FIRST + VMX_CAPS_NR)
		return -EINVAL;
	cap = vmx_caps_msr(&n->caps, msr);
	if (data == *cap)
		return 0;
	nested_caps_offered(vcpu, &all);
	if (n->vmxon || vcpu->has_run || !may_set[msr - VMX_CAPS_FIRST](*vmx_caps_msr(&all, msr), data))
		return -EINVAL;
	*cap = data;
	n->caps_set |= BIT(msr - VMX_CAPS_FIRST);
	nested_caps_derive(n);
	return 0;
}

/* --- MSR handlers --- */

MSR_GET(msr_get_vmx_cap)
{
	if (!host && !vcpu->gcaps.vmx)
		return -EINVAL;
	*data = *vmx_caps_msr(&vcpu->nested.caps, msr);
	return 0;
}

MSR_SET(msr_set_vmx_cap)
{
	return host ? nested_set_cap_msr(vcpu, msr, data) : -EINVAL;
}

MSR_GET(msr_get_feature_control)
{
	*data = vcpu->feature_control;
	return 0;
}

/* Bits that user space may set, the same as on KVM: a restored firmware may have locked features that CPUID now hides. */
#define FEAT_CTL_HOST	(FEAT_CTL_LOCKED | FEAT_CTL_VMX_ENABLED_INSIDE_SMX | FEAT_CTL_VMX_ENABLED_OUTSIDE_SMX | \
			 FEAT_CTL_SGX_LC_ENABLED | FEAT_CTL_SGX_ENABLED | FEAT_CTL_LMCE_ENABLED)

/* Once locked, WRMSR raises #GP until the next reset (SDM 3C 24.7). SMX is not offered. */
MSR_SET(msr_set_feature_control)
{
	u64 guest = FEAT_CTL_LOCKED | (vcpu->gcaps.vmx ? FEAT_CTL_VMX_ENABLED_OUTSIDE_SMX : 0);

	if (data & ~(host ? FEAT_CTL_HOST : guest))
		return -EINVAL;
	if (!host && (vcpu->feature_control & FEAT_CTL_LOCKED))
		return -EINVAL;
	vcpu->feature_control = data;
	/* User space writes 0 only to reset the vCPU, which ends VMX operation, as on KVM. */
	if (host && !data) {
		nested_reset(vcpu);
		vcpu->nested.delegate = 0;
	}
	return 0;
}
