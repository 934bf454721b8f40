// SPDX-License-Identifier: GPL-2.0
/* Merges L1's controls with L0's. Pure. SDM 3C 25.6 to 25.8 describe the bits. */
#include <linux/build_bug.h>
#include <linux/kernel.h>
#include <asm/msr-index.h>
#include <asm/processor-flags.h>
#include <asm/trapnr.h>
#include "mem/types.h"
#include "vmx/types.h"
#include "nested/merge.h"

/*
 * How the bits of one control word are merged. A bit in none of the masks is
 * 0 in VMCS02.
 */
struct merge_rule {
	u32 l0;		/* copied from VMCS01 */
	u32 l1;		/* copied from VMCS12 */
	u32 either;	/* set if VMCS01 or VMCS12 has it: mostly controls that cause exits */
	u32 both;	/* set if VMCS01 and VMCS12 have it: controls that avoid exits */
};

/*
 * Physical interrupts and NMIs are the host's, so L0's bits for them always
 * apply; events.c implements L1's. L0 keeps L1's preemption timer (ptimer.c),
 * and processes L1's posted interrupts (apicv.c), so neither of L1's controls is
 * in VMCS02. vmx/timer.c uses the processor's timer for deadlines of both levels.
 */
static const struct merge_rule pin_rule = {
	.l0 = ~(u32)(PIN_BASED_VMX_PREEMPTION_TIMER | PIN_BASED_POSTED_INTR),
};

#define PROC_EITHER	(CPU_BASED_HLT_EXITING | CPU_BASED_INVLPG_EXITING | CPU_BASED_MWAIT_EXITING | \
			 CPU_BASED_RDPMC_EXITING | CPU_BASED_RDTSC_EXITING | CPU_BASED_CR3_LOAD_EXITING | \
			 CPU_BASED_CR3_STORE_EXITING | CPU_BASED_MOV_DR_EXITING | CPU_BASED_MONITOR_TRAP_FLAG | \
			 CPU_BASED_MONITOR_EXITING | CPU_BASED_PAUSE_EXITING)
/* vmx/inject.c adds the interrupt and NMI windows that L0 needs to those of L1. */
#define PROC_L1		(CPU_BASED_INTR_WINDOW_EXITING | CPU_BASED_NMI_WINDOW_EXITING | CPU_BASED_TPR_SHADOW | \
			 CPU_BASED_CR8_LOAD_EXITING | CPU_BASED_CR8_STORE_EXITING)
#define PROC_BOTH	CPU_BASED_USE_MSR_BITMAPS
/* L0 reads L1's I/O bitmaps at an exit, and merge_proc() decides whether there are exits that it can do without. */
#define PROC_ON		(CPU_BASED_UNCOND_IO_EXITING | CPU_BASED_ACTIVATE_SECONDARY_CONTROLS)

static const struct merge_rule proc_rule = {
	.l0 = ~(u32)(PROC_EITHER | PROC_L1 | PROC_BOTH),
	.l1 = PROC_L1,
	.either = PROC_EITHER,
	.both = PROC_BOTH,
};

/*
 * L2 has no VM functions and no #VE. VMCS shadowing is off for L2: its VMREADs
 * and VMWRITEs exit to L0. merge_proc2() decides on page-modification logging.
 */
static const struct merge_rule proc2_rule = {
	.l0 = SECONDARY_EXEC_ENABLE_EPT | SECONDARY_EXEC_ENABLE_VPID | SECONDARY_EXEC_ENCLS_EXITING |
	      SECONDARY_EXEC_TSC_SCALING | SECONDARY_EXEC_ENABLE_PML,
	.l1 = SECONDARY_EXEC_VIRTUALIZE_APIC_ACCESSES | SECONDARY_EXEC_VIRTUALIZE_X2APIC_MODE |
	      SECONDARY_EXEC_APIC_REGISTER_VIRT | SECONDARY_EXEC_VIRTUAL_INTR_DELIVERY |
	      SECONDARY_EXEC_ENABLE_RDTSCP | SECONDARY_EXEC_ENABLE_INVPCID | VMCS_CONTROL_BIT(XSAVES) |
	      SECONDARY_EXEC_ENABLE_USR_WAIT_PAUSE,
	/* pauseloop.c says whose an exit of a PAUSE loop is if both ask for it. */
	.either = SECONDARY_EXEC_WBINVD_EXITING | SECONDARY_EXEC_DESC | SECONDARY_EXEC_RDRAND_EXITING |
		  SECONDARY_EXEC_RDSEED_EXITING | SECONDARY_EXEC_PAUSE_LOOP_EXITING,
	/* Without it in VMCS12, L2 must get #GP when it clears CR0.PG or CR0.PE. */
	.both = SECONDARY_EXEC_UNRESTRICTED_GUEST,
};

static_assert(!(PROC_EITHER & PROC_L1) && !((PROC_EITHER | PROC_L1) & PROC_BOTH));

static inline u32 merge_word(const struct merge_rule *r, u32 l0, u32 l1)
{
	return (l0 & r->l0) | (l1 & r->l1) | ((l0 | l1) & r->either) | (l0 & l1 & r->both);
}

static u32 merge_proc(u32 l0, u32 l1)
{
	u32 proc = merge_word(&proc_rule, l0, l1) | PROC_ON;

	/* Without a TPR shadow, L2 would access the host's CR8 (CVE-2017-12154). */
	if (!(l1 & CPU_BASED_TPR_SHADOW))
		proc |= CPU_BASED_CR8_LOAD_EXITING | CPU_BASED_CR8_STORE_EXITING;
	/*
	 * L0 uses I/O bitmaps if it passes ports; without them, "unconditional I/O exiting" counts (SDM 3C 25.6.2). The
	 * bitmaps of VMCS02 are L0's and L1's if L1 has some, and L0's if L1 lets L2 access all ports.
	 */
	if ((l1 & (CPU_BASED_UNCOND_IO_EXITING | CPU_BASED_USE_IO_BITMAPS)) == CPU_BASED_UNCOND_IO_EXITING)
		proc &= ~(u32)CPU_BASED_USE_IO_BITMAPS;
	return proc;
}

static u32 merge_proc2(u32 l0, u32 l1)
{
	u32 proc2 = merge_word(&proc2_rule, l0, l1);

	/* With EPT02 the processor would log guest-physical addresses of L2, not of L1. */
	if (l1 & SECONDARY_EXEC_ENABLE_EPT)
		proc2 &= ~SECONDARY_EXEC_ENABLE_PML;
	return proc2;
}

/*
 * A page fault exits if bit 14 of the exception bitmap equals the outcome of
 * the comparison with mask and match (SDM 3C 25.6.3). If L0 intercepts page
 * faults, all must exit: bit 14 is set, and mask and match 0 always match.
 */
static void merge_page_faults(const struct vmx_controls *l0, const struct vmcs12 *v, struct merged_pf *pf)
{
	if (l0->exceptions & BIT(X86_TRAP_PF))
		*pf = (struct merged_pf) {};
	else
		*pf = (struct merged_pf) { v->page_fault_error_code_mask, v->page_fault_error_code_match };
}

/**
 * merge_controls() - compute VMCS02's controls
 * @l0: VMCS01's controls
 * @v: VMCS12; its controls were checked
 * @lma: L2 is in IA-32e mode
 * @out: VMCS02's controls
 * @pf: page-fault error-code mask and match that belong to @out->exceptions
 *
 * Context: Any.
 */
void merge_controls(const struct vmx_controls *l0, const struct vmcs12 *v, bool lma,
		    struct vmx_controls *out, struct merged_pf *pf)
{
	out->pin = merge_word(&pin_rule, l0->pin, v->pin_based_vm_exec_control);
	out->proc = merge_proc(l0->proc, v->cpu_based_vm_exec_control);
	out->proc2 = merge_proc2(l0->proc2, merge_proc2_of(v));
	/* L0's exits at each PAUSE would replace those of PAUSE loops that L1 asks for (SDM 3C 26.1.3), and L1 would be shown them. */
	if (merge_l1_asks_ple(v))
		out->proc &= ~(u32)CPU_BASED_PAUSE_EXITING;
	/* Every exit from L2 goes to L0; hostload.c and vmcs02.c carry out L1's exit controls in software. */
	out->exit = l0->exit | VM_EXIT_SAVE_DEBUG_CONTROLS;
	/* vmcs02.c carries out L1's entry controls in software: VMCS02's guest fields hold the result. */
	out->entry = (l0->entry & ~(u32)VM_ENTRY_IA32E_MODE) | VM_ENTRY_LOAD_DEBUG_CONTROLS |
		     (lma ? VM_ENTRY_IA32E_MODE : 0);
	out->exceptions = l0->exceptions | v->exception_bitmap;
	merge_page_faults(l0, v, pf);
}

/**
 * merge_entry_efer() - IA32_EFER of L2 after a VM entry (SDM 3C 27.3.2.1)
 * @v: VMCS12
 * @l1: L1's IA32_EFER
 *
 * Context: Any.
 * Return: the value.
 */
u64 merge_entry_efer(const struct vmcs12 *v, u64 l1)
{
	if (v->vm_entry_controls & VM_ENTRY_LOAD_IA32_EFER)
		return v->guest_ia32_efer;
	if (v->vm_entry_controls & VM_ENTRY_IA32E_MODE)
		return l1 | EFER_LMA | EFER_LME;
	return l1 & ~(u64)(EFER_LMA | EFER_LME);
}

/**
 * merge_exit_efer() - IA32_EFER of L1 after a VM exit (SDM 3C 28.5.1)
 * @v: VMCS12
 * @l2: L2's IA32_EFER at the exit
 *
 * Context: Any.
 * Return: the value.
 */
u64 merge_exit_efer(const struct vmcs12 *v, u64 l2)
{
	if (v->vm_exit_controls & VM_EXIT_LOAD_IA32_EFER)
		return v->host_ia32_efer;
	if (v->vm_exit_controls & VM_EXIT_HOST_ADDR_SPACE_SIZE)
		return l2 | EFER_LMA | EFER_LME;
	return l2 & ~(u64)(EFER_LMA | EFER_LME);
}

/**
 * merge_exit_cr4() - CR4 of L1 after a VM exit (SDM 3C 28.5.1)
 * @v: VMCS12
 *
 * PAE and PCIDE follow the "host address-space size" control.
 *
 * Context: Any.
 * Return: the value.
 */
u64 merge_exit_cr4(const struct vmcs12 *v)
{
	if (v->vm_exit_controls & VM_EXIT_HOST_ADDR_SPACE_SIZE)
		return v->host_cr4 | X86_CR4_PAE;
	return v->host_cr4 & ~(u64)X86_CR4_PCIDE;
}
