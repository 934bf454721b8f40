// SPDX-License-Identifier: GPL-2.0
/* VMX capabilities: those of the processor, the ones Droste needs, and the ones an L1 is offered. */
#include <linux/cpu.h>
#include <linux/kernel.h>
#include <linux/module.h>
#include <linux/stddef.h>
#include <asm/cpufeature.h>
#include <asm/msr.h>
#include "droste.h"
#include "vmx/vmx.h"

struct vmx_caps host_caps;
struct vmx_caps offer_caps;
struct vmx_features vmx_features;

static bool apicv = true;
module_param(apicv, bool, 0444);
MODULE_PARM_DESC(apicv, "offer APIC virtualization to L1 (default: yes)");

static int nx_huge_pages = -1;
module_param(nx_huge_pages, int, 0444);
MODULE_PARM_DESC(nx_huge_pages, "map large pages without the right to execute: 1, 0, or -1 if the host needs it (default)");

/* The controls that make up APIC virtualization. */
#define APICV_PIN	PIN_BASED_POSTED_INTR
#define APICV_PROC2	(SECONDARY_EXEC_VIRTUALIZE_X2APIC_MODE | SECONDARY_EXEC_APIC_REGISTER_VIRT | \
			 SECONDARY_EXEC_VIRTUAL_INTR_DELIVERY)

struct cap_row {
	u16 cap;		/* offset of the capability in struct vmx_caps */
	u8 bit;
	bool need;		/* L0 requires it */
	bool offer;		/* L1 may use it, if the processor has it */
	const char *name;
};

#define CAP(cap, bit, name, need, offer) { offsetof(struct vmx_caps, cap), bit, need, offer, #name },
static const struct cap_row cap_rows[] = {
#include "caps.def"
};
#undef CAP

/* Bits that processors without "true" capability MSRs report as fixed to 1 (SDM 3D A.2). */
#define DEFAULT1_PIN	0x00000016
#define DEFAULT1_PROC	0x0401e172
#define DEFAULT1_EXIT	0x00036dff
#define DEFAULT1_ENTRY	0x000011ff

/* Bits of IA32_VMX_EPT_VPID_CAP that L0 requires, and that L1 may see (SDM 3D A.10). */
#define EPT_CAP_NEED	(VMX_EPT_PAGE_WALK_4_BIT | VMX_EPTP_WB_BIT | VMX_EPT_INVEPT_BIT | \
			 VMX_EPT_EXTENT_GLOBAL_BIT)
#define EPT_CAP_OFFER	(EPT_CAP_NEED | VMX_EPT_EXECUTE_ONLY_BIT | VMX_EPTP_UC_BIT | \
			 VMX_EPT_2MB_PAGE_BIT | VMX_EPT_1GB_PAGE_BIT | VMX_EPT_AD_BIT | \
			 VMX_EPT_EXTENT_CONTEXT_BIT | BIT_ULL(32) | GENMASK_ULL(43, 40))

/* IA32_VMX_MISC (SDM 3D A.6) */
/* L0 emulates L1's preemption timer, at the rate of Intel's processors and of KVM. */
#define MISC_TIMER_RATE		5ULL
#define MISC_SAVE_LMA		BIT_ULL(5)
/* Activity states HLT and wait-for-SIPI. Shutdown is not offered. */
#define MISC_ACTIVITY		(BIT_ULL(6) | BIT_ULL(8))
#define MISC_CR3_TARGETS	(4ULL << 16)
#define MISC_NR_CR3_TARGETS(misc) ((misc) >> 16 & 0x1ff)
#define MISC_VMWRITE_ANY	BIT_ULL(29)
#define MISC_INJECT_ILEN0	BIT_ULL(30)

/* The allowed settings of controls, from the "true" MSR if the processor has it. */
static u64 caps_true(const struct vmx_caps *caps, u16 offset)
{
	switch (offset) {
	case offsetof(struct vmx_caps, pin):
		return caps->true_pin;
	case offsetof(struct vmx_caps, proc):
		return caps->true_proc;
	case offsetof(struct vmx_caps, exit):
		return caps->true_exit;
	case offsetof(struct vmx_caps, entry):
		return caps->true_entry;
	default:
		return caps->proc2;
	}
}

/*
 * Read the processor's capability MSRs. A missing MSR reads as 0; a missing
 * "true" MSR gets the value of the older MSR.
 */
static void caps_read(struct vmx_caps *c)
{
	u32 msr;

	memset(c, 0, sizeof(*c));

	for (msr = MSR_IA32_VMX_BASIC; msr <= MSR_IA32_VMX_VMCS_ENUM; msr++)
		rdmsrl(msr, *vmx_caps_msr(c, msr));
	if (vmx_may_set(c->proc, CPU_BASED_ACTIVATE_SECONDARY_CONTROLS))
		rdmsrl(MSR_IA32_VMX_PROCBASED_CTLS2, c->proc2);
	if (vmx_may_set(c->proc2, SECONDARY_EXEC_ENABLE_EPT | SECONDARY_EXEC_ENABLE_VPID))
		rdmsrl(MSR_IA32_VMX_EPT_VPID_CAP, c->ept_vpid);
	c->true_pin = c->pin;
	c->true_proc = c->proc;
	c->true_exit = c->exit;
	c->true_entry = c->entry;
	if (!(c->basic & BIT_ULL(55)))
		return;
	for (msr = MSR_IA32_VMX_TRUE_PINBASED_CTLS; msr <= MSR_IA32_VMX_TRUE_ENTRY_CTLS; msr++)
		rdmsrl(msr, *vmx_caps_msr(c, msr));
}

/* Of the capabilities @c, clear what Droste neither uses nor offers: processors of one machine may differ there. */
static void caps_keep_used(struct vmx_caps *c)
{
	u32 used[sizeof(*c) / sizeof(u64)] = {};
	int i;

	for (i = 0; i < ARRAY_SIZE(cap_rows); i++)
		used[cap_rows[i].cap / sizeof(u64)] |= BIT(cap_rows[i].bit);
	/* The TRUE MSRs tell the same bits once more. */
	used[offsetof(struct vmx_caps, true_pin) / sizeof(u64)] = used[offsetof(struct vmx_caps, pin) / sizeof(u64)];
	used[offsetof(struct vmx_caps, true_proc) / sizeof(u64)] = used[offsetof(struct vmx_caps, proc) / sizeof(u64)];
	used[offsetof(struct vmx_caps, true_exit) / sizeof(u64)] = used[offsetof(struct vmx_caps, exit) / sizeof(u64)];
	used[offsetof(struct vmx_caps, true_entry) / sizeof(u64)] = used[offsetof(struct vmx_caps, entry) / sizeof(u64)];
	/* Bits that must be 1 matter in any case. */
	for (i = 0; i < ARRAY_SIZE(used); i++)
		if (used[i])
			((u64 *)c)[i] &= (u64)used[i] << 32 | U32_MAX;
	c->misc &= MISC_ACTIVITY | MISC_INJECT_ILEN0 | MISC_VMWRITE_ANY | MISC_SAVE_LMA | GENMASK_ULL(24, 16);
	c->ept_vpid &= EPT_CAP_OFFER;
	c->vmcs_enum = 0;
	c->vmfunc = 0;
}

/**
 * vmx_caps_same_here() - whether this CPU has the VMX capabilities that vmx_caps_init() found
 *
 * Context: Any, on a CPU with VMX; preemption disabled.
 * Return: true if it does.
 */
bool vmx_caps_same_here(void)
{
	struct vmx_caps here, first = host_caps;

	caps_read(&here);
	caps_keep_used(&here);
	caps_keep_used(&first);
	return !memcmp(&here, &first, sizeof(here));
}

static int caps_check_needs(void)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(cap_rows); i++) {
		const struct cap_row *row = &cap_rows[i];

		if (row->need && !vmx_may_set(caps_true(&host_caps, row->cap), BIT(row->bit))) {
			pr_err("droste: this processor's VMX lacks %s, which Droste needs\n", row->name);
			return -EOPNOTSUPP;
		}
	}
	if ((host_caps.ept_vpid & EPT_CAP_NEED) != EPT_CAP_NEED) {
		pr_err("droste: EPT of this processor lacks 4-level walk, write-back tables or INVEPT (capabilities %#llx)\n",
		       host_caps.ept_vpid);
		return -EOPNOTSUPP;
	}
	/* Bits 53:50 are the memory type of VMCSs; Droste only uses write-back (SDM 3D A.1). */
	if (((host_caps.basic >> 50) & 0xf) != 6) {
		pr_err("droste: this processor wants VMCSs in memory that is not write-back\n");
		return -EOPNOTSUPP;
	}
	return 0;
}

static void caps_find_features(void)
{
	struct vmx_features *f = &vmx_features;
	u64 ept = host_caps.ept_vpid, proc2 = host_caps.proc2;

	f->ept_ad = ept & VMX_EPT_AD_BIT;
	f->ept_2m = ept & VMX_EPT_2MB_PAGE_BIT;
	f->ept_1g = ept & VMX_EPT_1GB_PAGE_BIT;
	f->invept_single = ept & VMX_EPT_EXTENT_CONTEXT_BIT;
	f->invvpid_addr = ept & BIT_ULL(40);
	f->invvpid_single = ept & BIT_ULL(41);
	/* VPIDs do not pay off if a single one cannot be invalidated. */
	f->vpid = vmx_may_set(proc2, SECONDARY_EXEC_ENABLE_VPID) && (ept & BIT_ULL(32)) && f->invvpid_single;
	f->vmcs_shadowing = vmx_may_set(proc2, SECONDARY_EXEC_SHADOW_VMCS) && (host_caps.misc & MISC_VMWRITE_ANY);
	/* PML logs when the processor sets dirty flags, so it needs them. */
	f->pml = vmx_may_set(proc2, SECONDARY_EXEC_ENABLE_PML) && f->ept_ad;
	f->tsc_scaling = vmx_may_set(proc2, SECONDARY_EXEC_TSC_SCALING);
	f->xsaves = vmx_may_set(proc2, VMCS_CONTROL_BIT(XSAVES)) && boot_cpu_has(X86_FEATURE_XSAVES);
	f->rdtscp = vmx_may_set(proc2, SECONDARY_EXEC_ENABLE_RDTSCP) && boot_cpu_has(X86_FEATURE_RDTSCP);
	f->preemption_timer = vmx_may_set(host_caps.true_pin, PIN_BASED_VMX_PREEMPTION_TIMER);
	f->timer_counts = f->preemption_timer && vmx_timer_counts();
	f->timer_rate = host_caps.misc & 0x1f;
	f->ple = vmx_may_set(proc2, SECONDARY_EXEC_PAUSE_LOOP_EXITING);
	f->tables_exit = vmx_may_set(proc2, SECONDARY_EXEC_DESC);
	f->umip_emulated = !(host_caps.cr4_fixed1 & X86_CR4_UMIP) && vmx_may_set(proc2, SECONDARY_EXEC_DESC);
	f->wbinvd = vmx_may_set(proc2, SECONDARY_EXEC_WBINVD_EXITING);
	f->encls = vmx_may_set(proc2, SECONDARY_EXEC_ENCLS_EXITING);
	f->cr3_targets = MISC_NR_CR3_TARGETS(host_caps.misc);
	f->nx_huge = nx_huge_pages < 0 ? boot_cpu_has_bug(X86_BUG_ITLB_MULTIHIT) && !cpu_mitigations_off() :
					 nx_huge_pages;
	f->invpcid = vmx_may_set(proc2, SECONDARY_EXEC_ENABLE_INVPCID) && boot_cpu_has(X86_FEATURE_INVPCID);
}

/* A capability as offered: the controls that the table offers and the processor has. Must-be-1 bits are kept. */
static u64 caps_offered(u16 offset, u32 default1)
{
	u64 host = caps_true(&host_caps, offset);
	u32 may = 0, must = (u32)host & default1;
	int i;

	for (i = 0; i < ARRAY_SIZE(cap_rows); i++)
		if (cap_rows[i].cap == offset && cap_rows[i].offer)
			may |= BIT(cap_rows[i].bit);
	/*
	 * L0 emulates L1's preemption timer, and VMREAD and VMWRITE of an L2
	 * with a shadow VMCS, so these do not depend on the processor. All
	 * other controls need its support.
	 */
	may &= (u32)(host >> 32) |
	       (offset == offsetof(struct vmx_caps, pin) ? PIN_BASED_VMX_PREEMPTION_TIMER : 0) |
	       (offset == offsetof(struct vmx_caps, proc2) ? SECONDARY_EXEC_SHADOW_VMCS : 0) |
	       (offset == offsetof(struct vmx_caps, exit) ? VM_EXIT_SAVE_VMX_PREEMPTION_TIMER : 0);
	return (u64)(may | default1) << 32 | must;
}

static void caps_make_offer(void)
{
	struct vmx_caps *o = &offer_caps;
	u64 host_high;

	o->true_pin = caps_offered(offsetof(struct vmx_caps, pin), DEFAULT1_PIN);
	o->true_proc = caps_offered(offsetof(struct vmx_caps, proc), DEFAULT1_PROC);
	o->true_exit = caps_offered(offsetof(struct vmx_caps, exit), DEFAULT1_EXIT);
	o->true_entry = caps_offered(offsetof(struct vmx_caps, entry), DEFAULT1_ENTRY);
	if (!apicv)
		o->true_pin &= ~((u64)APICV_PIN << 32);
	o->pin = o->true_pin | DEFAULT1_PIN;
	o->proc = o->true_proc | DEFAULT1_PROC;
	o->exit = o->true_exit | DEFAULT1_EXIT;
	o->entry = o->true_entry | DEFAULT1_ENTRY;
	host_high = caps_offered(offsetof(struct vmx_caps, proc2), 0);
	o->proc2 = host_high & GENMASK_ULL(63, 32);
	if (!apicv)
		o->proc2 &= ~((u64)APICV_PROC2 << 32);

	/* Region size 4096, write-back, INS/OUTS information, true controls. nested/caps.c adds the revision. */
	o->basic = 4096ULL << 32 | 6ULL << 50 | BIT_ULL(54) | BIT_ULL(55);
	o->misc = (host_caps.misc & (MISC_ACTIVITY | MISC_INJECT_ILEN0)) |
		  MISC_TIMER_RATE | MISC_SAVE_LMA | MISC_CR3_TARGETS | MISC_VMWRITE_ANY;
	o->cr0_fixed0 = X86_CR0_PE | X86_CR0_NE | X86_CR0_PG;
	o->cr0_fixed1 = host_caps.cr0_fixed1;
	o->cr4_fixed0 = X86_CR4_VMXE;
	o->cr4_fixed1 = host_caps.cr4_fixed1 | (vmx_features.umip_emulated ? X86_CR4_UMIP : 0);
	o->vmcs_enum = host_caps.vmcs_enum;
	o->ept_vpid = host_caps.ept_vpid & EPT_CAP_OFFER;
	/* All VPIDs of an L1 share one hardware VPID, so every INVVPID type is emulated by single-context. */
	if (vmx_features.vpid)
		o->ept_vpid |= BIT_ULL(32) | GENMASK_ULL(43, 40);
	else
		o->proc2 &= ~((u64)SECONDARY_EXEC_ENABLE_VPID << 32);
}

/**
 * vmx_caps_init() - read the processor's VMX capabilities and check that they are sufficient
 *
 * Context: Process context, at module load, before VMXON.
 * Return: 0, or -EOPNOTSUPP after logging one line that names the missing capability.
 */
int vmx_caps_init(void)
{
	int ret;

	caps_read(&host_caps);
	ret = caps_check_needs();
	if (ret)
		return ret;
	caps_find_features();
	caps_make_offer();
	return 0;
}

/**
 * vmx_caps_announce() - tell the host whether guests can crash the processor (iTLB multihit)
 * @loaded: the module is ready; false: it goes away
 *
 * The host shows it in /sys/devices/system/cpu/vulnerabilities/itlb_multihit.
 *
 * Context: Process context, at load and unload.
 */
void vmx_caps_announce(bool loaded)
{
	itlb_multihit_kvm_mitigation = loaded && vmx_features.nx_huge;
}
