// SPDX-License-Identifier: GPL-2.0
/*
 * Flushes of the L1 data cache before VM entries. On processors with the L1
 * terminal fault (L1TF, CVE-2018-3646) a guest can read what the cache holds.
 */
#include <linux/gfp.h>
#include <linux/hardirq.h>
#include <linux/jump_label.h>
#include <linux/mm.h>
#include <linux/sched/smt.h>
#include <asm/barrier.h>
#include <asm/cpufeature.h>
#include <asm/msr.h>
#include <asm/processor.h>
#include <asm/vmx.h>
#include "droste.h"
#include "vmx/l1d_logic.h"
#include "vmx/vmx.h"

/* A buffer twice as large as the largest L1 data cache; reading all of it replaces what the cache holds. */
#define L1D_ORDER	4
#define L1D_BYTES	(PAGE_SIZE << L1D_ORDER)
#define L1D_LINE	64

DEFINE_STATIC_KEY_FALSE(vmx_l1d_flushes);	/* on for processors that need flushes */
static bool l1d_always;		/* before each entry, not only where the host's data may be in the cache; constant after init */
static u8 *l1d_buffer;		/* NULL if the processor has IA32_FLUSH_CMD; constant after init */

static enum l1d_wish l1d_host_wish(void)
{
	switch (l1tf_mitigation) {
	case L1TF_MITIGATION_OFF:
		return L1D_WISH_OFF;
	case L1TF_MITIGATION_FULL:
	case L1TF_MITIGATION_FULL_FORCE:
		return L1D_WISH_FULL;
	default:
		return L1D_WISH_FLUSH;
	}
}

/* The names of the modes in the host's kernel, which shows them in /sys/devices/system/cpu/vulnerabilities/l1tf. */
static const enum vmx_l1d_flush_state l1d_shown[] = {
	[L1D_NOT_NEEDED] = VMENTER_L1D_FLUSH_NOT_REQUIRED,
	[L1D_NEVER] = VMENTER_L1D_FLUSH_NEVER,
	[L1D_MAYBE] = VMENTER_L1D_FLUSH_COND,
	[L1D_ALWAYS] = VMENTER_L1D_FLUSH_ALWAYS,
};

/**
 * vmx_l1d_init() - choose when to flush, by the host's "l1tf=" parameter, and show it in sysfs
 *
 * Context: Process context, at load. May sleep.
 * Return: 0 or -ENOMEM.
 */
int vmx_l1d_init(void)
{
	enum l1d_mode mode;
	bool flush;
	u64 arch_caps = 0;

	if (boot_cpu_has(X86_FEATURE_ARCH_CAPABILITIES))
		rdmsrl(MSR_IA32_ARCH_CAPABILITIES, arch_caps);
	mode = l1d_mode(boot_cpu_has_bug(X86_BUG_L1TF), arch_caps & ARCH_CAP_SKIP_VMENTRY_L1DFLUSH, l1d_host_wish());
	flush = mode == L1D_MAYBE || mode == L1D_ALWAYS;
	if (flush && !boot_cpu_has(X86_FEATURE_FLUSH_L1D)) {
		l1d_buffer = (u8 *)__get_free_pages(GFP_KERNEL | __GFP_ZERO, L1D_ORDER);
		if (!l1d_buffer)
			return -ENOMEM;
	}
	l1tf_vmx_mitigation = l1d_shown[mode];
	l1d_always = mode == L1D_ALWAYS;
	if (flush) {
		static_branch_enable(&vmx_l1d_flushes);
		static_branch_inc(&vmx_entry_more);
	}
	return 0;
}

/**
 * vmx_l1d_warn() - log what guests can read on a processor with L1TF in spite of the flushes
 *
 * Context: Process context, when the module is loaded and nothing can fail any more.
 */
void vmx_l1d_warn(void)
{
	if (!boot_cpu_has_bug(X86_BUG_L1TF))
		return;
	if (l1tf_vmx_mitigation == VMENTER_L1D_FLUSH_NEVER)
		pr_warn("droste: L1TF: guests can read the host's memory, because \"l1tf=off\"\n");
	else if (sched_smt_active() && l1tf_mitigation != L1TF_MITIGATION_FLUSH_NOWARN)
		pr_warn("droste: L1TF: guests can read memory that the sibling of their processor uses (SMT is on)\n");
}

/**
 * vmx_l1d_exit() - undo vmx_l1d_init()
 *
 * Context: Process context, when the module is unloaded.
 */
void vmx_l1d_exit(void)
{
	if (static_key_enabled(&vmx_l1d_flushes))
		static_branch_dec(&vmx_entry_more);
	static_branch_disable(&vmx_l1d_flushes);
	l1tf_vmx_mitigation = VMENTER_L1D_FLUSH_AUTO;
	free_pages((unsigned long)l1d_buffer, L1D_ORDER);
	l1d_buffer = NULL;
}

/* Has an interrupt of the host run on this CPU since the last call? The host records that only for KVM's configuration. */
static __always_inline bool l1d_interrupted(void)
{
#if IS_ENABLED(CONFIG_KVM_INTEL)
	bool yes = kvm_get_cpu_l1tf_flush_l1d();

	kvm_clear_cpu_l1tf_flush_l1d();
	return yes;
#else
	return true;
#endif
}

/* Replace the cache's content by reads of the buffer. The first pass makes TLB misses, which read page tables. */
static __always_inline void l1d_read_buffer(void)
{
	u32 eax = 0, ebx, ecx = 0, edx;
	unsigned int i;

	for (i = 0; i < L1D_BYTES; i += PAGE_SIZE)
		(void)READ_ONCE(l1d_buffer[i]);
	native_cpuid(&eax, &ebx, &ecx, &edx);	/* the second pass starts after the first one */
	for (i = 0; i < L1D_BYTES; i += L1D_LINE)
		(void)READ_ONCE(l1d_buffer[i]);
	rmb();	/* the reads are complete before the entry */
}

/**
 * vmx_l1d_flush_now() - vmx_l1d_flush() on a processor that needs flushes
 * @vcpu: about to enter
 *
 * Context: Interrupts disabled, right before the entry. Not instrumentable.
 */
noinstr void vmx_l1d_flush_now(struct vcpu *vcpu)
{
	bool due = l1d_interrupted() | vcpu->l1d_due;

	vcpu->l1d_due = false;
	if (!due && !l1d_always)
		return;
	if (l1d_buffer)
		l1d_read_buffer();
	else
		native_wrmsrl(MSR_IA32_FLUSH_CMD, L1D_FLUSH);
}
