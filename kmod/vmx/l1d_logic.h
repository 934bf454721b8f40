/* SPDX-License-Identifier: GPL-2.0 */
/* When the L1 data cache must be flushed before a VM entry. Pure. */
#ifndef DROSTE_L1D_LOGIC_H
#define DROSTE_L1D_LOGIC_H

#include <linux/types.h>
#include <asm/vmx.h>

enum l1d_mode {
	L1D_NOT_NEEDED,		/* the processor has no L1TF, or a hypervisor below flushes */
	L1D_NEVER,		/* the host's administrator wants no flushes */
	L1D_MAYBE,		/* before entries where the host's data may be in the cache */
	L1D_ALWAYS,		/* before each entry */
};

/* The host's "l1tf=" parameter (Documentation/admin-guide/hw-vuln/l1tf.rst), as far as it matters here. */
enum l1d_wish { L1D_WISH_OFF, L1D_WISH_FLUSH, L1D_WISH_FULL };

/* @bug: the processor has L1TF. @skip: IA32_ARCH_CAPABILITIES.SKIP_L1DFL_VMENTRY (SDM 4, table 2-2). */
static inline enum l1d_mode l1d_mode(bool bug, bool skip, enum l1d_wish wish)
{
	if (!bug || skip)
		return L1D_NOT_NEEDED;
	return wish == L1D_WISH_OFF ? L1D_NEVER : wish == L1D_WISH_FULL ? L1D_ALWAYS : L1D_MAYBE;
}

/*
 * Does L0 handle such an exit of L1 with nothing but the vCPU's own state? All other exits may bring data of the host
 * or of other guests to the cache: page tables, user memory, VMCS12s. An interrupt handler of the host records itself.
 */
static inline bool l1d_exit_is_quiet(u16 basic)
{
	switch (basic) {
	case EXIT_REASON_EXTERNAL_INTERRUPT:
	case EXIT_REASON_INTERRUPT_WINDOW:
	case EXIT_REASON_NMI_WINDOW:
	case EXIT_REASON_CPUID:
	case EXIT_REASON_INVLPG:
	case EXIT_REASON_RDPMC:
	case EXIT_REASON_CR_ACCESS:
	case EXIT_REASON_DR_ACCESS:
	case EXIT_REASON_MSR_READ:
	case EXIT_REASON_MSR_WRITE:
	case EXIT_REASON_MWAIT_INSTRUCTION:
	case EXIT_REASON_MONITOR_INSTRUCTION:
	case EXIT_REASON_WBINVD:
	case EXIT_REASON_XSETBV:
		return true;
	default:
		return false;
	}
}

#endif
