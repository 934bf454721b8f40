// SPDX-License-Identifier: GPL-2.0
/* Combines L1's controls with L0's. Pure: SDM 3C 25.6 to 25.8 say what each bit does. */
#include <linux/build_bug.h>
#include <linux/kernel.h>
#include <asm/msr-index.h>
#include <asm/processor-flags.h>
#include <asm/trapnr.h>
#include "mem/types.h"
#include "vmx/types.h"
#include "nested/vmcs12.h"
#include "nested/merge.h"

/*
 * One control word: who decides on each bit. Bits in none of the masks are 0
 * in VMCS02 whatever the levels ask for.
 */
struct merge_rule {
	u32 l0;		/* as in VMCS01 */
	u32 l1;		/* as in VMCS12 */
	u32 either;	/* set when one of them asks: exits, mostly */
	u32 both;	/* set when both ask: what the processor may do by itself */
};

/*
 * Interrupts and NMIs that the processor takes are the host's, so that L0's
 * three bits hold always; L1's are policy of events.c. The preemption timer is
 * an hrtimer, posted interrupts are not offered.
 */
static const struct merge_rule pin_rule = {
	.l0 = ~(u32)(PIN_BASED_VMX_PREEMPTION_TIMER | PIN_BASED_POSTED_INTR),
};

#define PROC_EITHER	(CPU_BASED_HLT_EXITING | CPU_BASED_INVLPG_EXITING | CPU_BASED_MWAIT_EXITING | \
			 CPU_BASED_RDPMC_EXITING | CPU_BASED_RDTSC_EXITING | CPU_BASED_CR3_LOAD_EXITING | \
			 CPU_BASED_CR3_STORE_EXITING | CPU_BASED_MOV_DR_EXITING | CPU_BASED_MONITOR_TRAP_FLAG | \
			 CPU_BASED_MONITOR_EXITING | CPU_BASED_PAUSE_EXITING)
/* Windows are L0's to open when it has something to inject, and not while it has not. */
#define PROC_L1		(CPU_BASED_INTR_WINDOW_EXITING | CPU_BASED_NMI_WINDOW_EXITING | CPU_BASED_TPR_SHADOW | \
			 CPU_BASED_CR8_LOAD_EXITING | CPU_BASED_CR8_STORE_EXITING)
#define PROC_BOTH	CPU_BASED_USE_MSR_BITMAPS
/* Each port access exits to L0, which looks at L1's bitmaps then. */
#define PROC_OFF	CPU_BASED_USE_IO_BITMAPS
#define PROC_ON		(CPU_BASED_UNCOND_IO_EXITING | CPU_BASED_ACTIVATE_SECONDARY_CONTROLS)

static const struct merge_rule proc_rule = {
	.l0 = ~(u32)(PROC_EITHER | PROC_L1 | PROC_BOTH | PROC_OFF),
	.l1 = PROC_L1,
	.either = PROC_EITHER,
	.both = PROC_BOTH,
};

/* VM functions, #VE: not for L2. VMCS shadowing: its VMREAD and VMWRITE exit to L0. L0's page-modification logging: see merge_proc2(). */
static const struct merge_rule proc2_rule = {
	.l0 = SECONDARY_EXEC_ENABLE_EPT | SECONDARY_EXEC_ENABLE_VPID | SECONDARY_EXEC_ENCLS_EXITING |
	      SECONDARY_EXEC_TSC_SCALING | SECONDARY_EXEC_ENABLE_PML,
	.l1 = SECONDARY_EXEC_VIRTUALIZE_APIC_ACCESSES | SECONDARY_EXEC_VIRTUALIZE_X2APIC_MODE |
	      SECONDARY_EXEC_APIC_REGISTER_VIRT | SECONDARY_EXEC_VIRTUAL_INTR_DELIVERY |
	      SECONDARY_EXEC_ENABLE_RDTSCP | SECONDARY_EXEC_ENABLE_INVPCID | VMCS_CONTROL_BIT(XSAVES) |
	      SECONDARY_EXEC_ENABLE_USR_WAIT_PAUSE | SECONDARY_EXEC_PAUSE_LOOP_EXITING,
	.either = SECONDARY_EXEC_WBINVD_EXITING | SECONDARY_EXEC_DESC | SECONDARY_EXEC_RDRAND_EXITING |
		  SECONDARY_EXEC_RDSEED_EXITING,
	/* Without it in VMCS12 L2 must fault where it turns paging or protection off. */
	.both = SECONDARY_EXEC_UNRESTRICTED_GUEST,
};

static_assert(!(PROC_EITHER & PROC_L1) && !((PROC_EITHER | PROC_L1) & (PROC_BOTH | PROC_OFF)));

static inline u32 merge_word(const struct merge_rule *r, u32 l0, u32 l1)
{
	return (l0 & r->l0) | (l1 & r->l1) | ((l0 | l1) & r->either) | (l0 & l1 & r->both);
}

u32 merge_proc2_of(const struct vmcs12 *v)
{
	return v->cpu_based_vm_exec_control & CPU_BASED_ACTIVATE_SECONDARY_CONTROLS ?
	       v->secondary_vm_exec_control : 0;
}

static u32 merge_proc(u32 l0, u32 l1)
{
	u32 proc = merge_word(&proc_rule, l0, l1) | PROC_ON;

	/* Without a TPR shadow, CR8 would be the host's own (CVE-2017-12154). */
	if (!(l1 & CPU_BASED_TPR_SHADOW))
		proc |= CPU_BASED_CR8_LOAD_EXITING | CPU_BASED_CR8_STORE_EXITING;
	return proc;
}

static u32 merge_proc2(u32 l0, u32 l1)
{
	u32 proc2 = merge_word(&proc2_rule, l0, l1);

	/* On EPT02 it would log L2's guest-physical addresses. */
	if (l1 & SECONDARY_EXEC_ENABLE_EPT)
		proc2 &= ~SECONDARY_EXEC_ENABLE_PML;
	return proc2;
}

/*
 * Page faults exit when bit 14 of the bitmap and the outcome of mask and
 * match agree (SDM 3C 25.6.3). When L0 wants them too, all of them exit:
 * mask and match 0 always match, and the bit is set.
 */
static void merge_page_faults(const struct vmx_controls *l0, const struct vmcs12 *v, struct merged_pf *pf)
{
	if (l0->exceptions & BIT(X86_TRAP_PF))
		*pf = (struct merged_pf) {};
	else
		*pf = (struct merged_pf) { v->page_fault_error_code_mask, v->page_fault_error_code_match };
}

/**
 * merge_controls() - VMCS02's control words
 * @l0: VMCS01's
 * @v: L1's VMCS
 * @lma: L2 starts in IA-32e mode
 * @out: the words
 * @pf: the page-fault mask and match that go with out->exceptions
 */
void merge_controls(const struct vmx_controls *l0, const struct vmcs12 *v, bool lma,
		    struct vmx_controls *out, struct merged_pf *pf)
{
	out->pin = merge_word(&pin_rule, l0->pin, v->pin_based_vm_exec_control);
	out->proc = merge_proc(l0->proc, v->cpu_based_vm_exec_control);
	out->proc2 = merge_proc2(l0->proc2, merge_proc2_of(v));
	/* An exit from L2 goes to L0 first, so it is L0's exit; L1's wishes are reflect.c's. */
	out->exit = l0->exit | VM_EXIT_SAVE_DEBUG_CONTROLS;
	/* What L1 loads at entry is merged into the guest fields; the processor loads them all. */
	out->entry = (l0->entry & ~(u32)VM_ENTRY_IA32E_MODE) | VM_ENTRY_LOAD_DEBUG_CONTROLS |
		     (lma ? VM_ENTRY_IA32E_MODE : 0);
	out->exceptions = l0->exceptions | v->exception_bitmap;
	merge_page_faults(l0, v, pf);
}

u64 merge_entry_efer(const struct vmcs12 *v, u64 l1)
{
	if (v->vm_entry_controls & VM_ENTRY_LOAD_IA32_EFER)
		return v->guest_ia32_efer;
	if (v->vm_entry_controls & VM_ENTRY_IA32E_MODE)
		return l1 | EFER_LMA | EFER_LME;
	return l1 & ~(u64)(EFER_LMA | EFER_LME);
}

u64 merge_exit_efer(const struct vmcs12 *v, u64 l2)
{
	if (v->vm_exit_controls & VM_EXIT_LOAD_IA32_EFER)
		return v->host_ia32_efer;
	if (v->vm_exit_controls & VM_EXIT_HOST_ADDR_SPACE_SIZE)
		return l2 | EFER_LMA | EFER_LME;
	return l2 & ~(u64)(EFER_LMA | EFER_LME);
}

u64 merge_exit_cr4(const struct vmcs12 *v)
{
	if (v->vm_exit_controls & VM_EXIT_HOST_ADDR_SPACE_SIZE)
		return v->host_cr4 | X86_CR4_PAE;
	return v->host_cr4 & ~(u64)X86_CR4_PCIDE;
}
