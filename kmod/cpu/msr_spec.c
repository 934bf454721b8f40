// SPDX-License-Identifier: GPL-2.0
/* MSRs that report and control speculation: IA32_SPEC_CTRL, PRED_CMD, FLUSH_CMD, ARCH_CAPABILITIES. SDM 4, table 2-2. */
#include <asm/cpufeature.h>
#include <asm/msr.h>
#include <asm/processor.h>
#include "droste.h"
#include "cpu/cpuid.h"
#include "cpu/msr.h"
#include "cpu/msr_row.h"
#include "cpu/pool.h"
#include "run/request.h"

/* IA32_ARCH_CAPABILITIES: bits that a guest may see. Not TSX_CTRL and others that tell of further MSRs. */
#define ARCH_CAPS_OFFERED	(GENMASK_ULL(6, 0) | BIT_ULL(8) | GENMASK_ULL(15, 13) | BIT_ULL(17) | GENMASK_ULL(20, 19) | \
				 BIT_ULL(24) | GENMASK_ULL(28, 26) | BIT_ULL(62))

static u64 host_arch_caps;	/* what guests are offered; constant after msr_spec_init() */

/**
 * msr_spec_init() - find out what IA32_ARCH_CAPABILITIES guests get
 *
 * A processor that the kernel knows not to be affected by a fault need not say
 * so itself.
 *
 * Context: Process context, at load.
 */
void msr_spec_init(void)
{
	u64 caps = 0;

	if (boot_cpu_has(X86_FEATURE_ARCH_CAPABILITIES))
		rdmsrl(MSR_IA32_ARCH_CAPABILITIES, caps);
	caps &= ARCH_CAPS_OFFERED;
	if (!boot_cpu_has_bug(X86_BUG_CPU_MELTDOWN))
		caps |= ARCH_CAP_RDCL_NO;
	if (!boot_cpu_has_bug(X86_BUG_SPEC_STORE_BYPASS))
		caps |= ARCH_CAP_SSB_NO;
	if (!boot_cpu_has_bug(X86_BUG_MDS))
		caps |= ARCH_CAP_MDS_NO;
	/* A guest without RTM has no TSX asynchronous abort, and a processor may report TAA_NO or not. */
	if (!boot_cpu_has(X86_FEATURE_RTM))
		caps &= ~(u64)ARCH_CAP_TAA_NO;
	host_arch_caps = caps;
}

/**
 * msr_arch_caps_offered() - IA32_ARCH_CAPABILITIES of a new vCPU
 *
 * Context: Any, after msr_spec_init().
 * Return: the value, which is that of KVM_GET_MSRS of the device, too.
 */
u64 msr_arch_caps_offered(void)
{
	return host_arch_caps;
}

MSR_GET(msr_get_arch_caps)
{
	if (!host && !vcpu->gcaps.arch_caps)
		return -ENOENT;
	*data = vcpu->misc->arch_caps;
	return 0;
}

MSR_SET(msr_set_arch_caps)
{
	if (!host)
		return vcpu->gcaps.arch_caps ? -EINVAL : -ENOENT;
	if (vcpu->has_run)
		return data == vcpu->misc->arch_caps ? 0 : -EINVAL;
	/* A guest that comes from outside the pool must not rely on what other hosts of the pool lack. */
	if (data & ~pool_most(vcpu->vm->pool)->arch_caps)
		return -EINVAL;
	vcpu->misc->arch_caps = data;
	return 0;
}

MSR_GET(msr_get_spec_ctrl)
{
	if (!host && !vcpu->gcaps.spec_ctrl)
		return -EINVAL;
	*data = vcpu->spec_ctrl;
	return 0;
}

/* The next entry loads the value. A guest that uses the MSR gets it without exits, as each costs an MSR read then. */
MSR_SET(msr_set_spec_ctrl)
{
	if (!host && !vcpu->gcaps.spec_ctrl)
		return -EINVAL;
	if (data & ~(host ? cpuid_host_spec_ctrl() : vcpu->gcaps.spec_ctrl))
		return -EINVAL;
	vcpu->spec_ctrl = data;
	if (data && vcpu->gcaps.spec_ctrl && !vcpu->spec_ctrl_passed) {
		vcpu->spec_ctrl_passed = true;
		vcpu_request(vcpu, REQ_MSR_FILTER);
	}
	return 0;
}

/* L1 separates its L2s by IBPB, as L0 separates VMs. L1 and all its L2s share the predictors. */
MSR_SET(msr_set_pred_cmd)
{
	if ((!host && !vcpu->gcaps.ibpb) || (data & ~(u64)PRED_CMD_IBPB))
		return -EINVAL;
	if (data && vcpu->gcaps.ibpb)
		wrmsrl(MSR_IA32_PRED_CMD, PRED_CMD_IBPB);
	return 0;
}

MSR_SET(msr_set_flush_cmd)
{
	if ((!host && !vcpu->gcaps.flush_l1d) || (data & ~(u64)L1D_FLUSH))
		return -EINVAL;
	if (data && vcpu->gcaps.flush_l1d)
		wrmsrl(MSR_IA32_FLUSH_CMD, L1D_FLUSH);
	return 0;
}
