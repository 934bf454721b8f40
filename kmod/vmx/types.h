/* SPDX-License-Identifier: GPL-2.0 */
/* Types of VMX root operation that struct vcpu contains: capabilities, controls, a VMCS, host state, an exit. */
#ifndef DROSTE_VMX_TYPES_H
#define DROSTE_VMX_TYPES_H

#include <linux/bits.h>
#include <linux/types.h>
#include <asm/msr-index.h>
#include <asm/processor-flags.h>
#include <asm/vmx.h>
#include "mem/types.h"

#define NR_EXIT_REASONS	80	/* number of basic exit reasons that are counted and dispatched (SDM 3D appendix C) */

/* Values of the VMX capability MSRs 0x480-0x491, in MSR order (SDM 3D appendix A): the host's, or an L1's. */
struct vmx_caps {
	u64 basic, pin, proc, exit, entry;	/* 0x480-0x484 */
	u64 misc;				/* 0x485 */
	u64 cr0_fixed0, cr0_fixed1, cr4_fixed0, cr4_fixed1;	/* 0x486-0x489 */
	u64 vmcs_enum;				/* 0x48a */
	u64 proc2;				/* 0x48b */
	u64 ept_vpid;				/* 0x48c */
	u64 true_pin, true_proc, true_exit, true_entry;	/* 0x48d-0x490 */
	u64 vmfunc;				/* 0x491 */
};
#define VMX_CAPS_FIRST	MSR_IA32_VMX_BASIC
#define VMX_CAPS_NR	18

/* The member for capability MSR @msr. */
static inline u64 *vmx_caps_msr(struct vmx_caps *caps, u32 msr)
{
	return (u64 *)caps + (msr - VMX_CAPS_FIRST);
}

/*
 * Returns true if a capability MSR allows @val for its controls: bits 31:0 of @cap are the bits that must be 1, bits
 * 63:32 those that may be 1 (SDM 3D A.3.1).
 */
static inline bool vmx_control_ok(u64 cap, u32 val)
{
	return !(~val & (u32)cap) && !(val & ~(u32)(cap >> 32));
}

/* Whether a control register has all bits that VMX operation fixes to 1 and none that it fixes to 0 (SDM A.7, A.8). */
static inline bool vmx_fixed_bits_ok(u64 val, u64 fixed0, u64 fixed1)
{
	return (val & fixed0) == fixed0 && !(val & ~fixed1);
}

/* Returns true if a capability MSR allows control @bit to be 1. */
static inline bool vmx_may_set(u64 cap, u32 bit)
{
	return (cap >> 32) & bit;
}

/* Bits of the pending debug exceptions besides B0 to B3 (SDM 3C 25.4.2). */
#define PENDING_DBG_ENABLED_BP	BIT_ULL(12)
#define PENDING_DBG_BS		BIT_ULL(14)
#define PENDING_DBG_IN_RTM	BIT_ULL(16)
/* A debug exception is pending if one of these is set (SDM 3C 27.7.3). */
#define PENDING_DBG_VALID	(PENDING_DBG_ENABLED_BP | PENDING_DBG_BS | PENDING_DBG_IN_RTM)

/* The execution, exit and entry controls and the exception bitmap of a VMCS, kept in memory to avoid VMREADs. */
struct vmx_controls {
	u32 pin, proc, proc2, exit, entry, exceptions;
};

/* Blocking by STI and by MOV SS; each lasts for one instruction (SDM 3C table 25-3). */
#define BLOCKING_ONE_INSN	(GUEST_INTR_STATE_STI | GUEST_INTR_STATE_MOV_SS)

/* Bits of RFLAGS that are 0 (SDM 1 figure 3-8). */
#define RFLAGS_ZERO	(GENMASK_ULL(63, 22) | BIT_ULL(15) | BIT_ULL(5) | BIT_ULL(3))

#define DR7_FIXED	0x400ULL	/* reads as 1; an exit loads DR7 with this value (SDM 3C 28.5.1) */
#define DR7_ACTIVE	0xffULL		/* L0-L3, G0-G3 */

/* PAUSE-loop exiting of a VMCS, in TSC cycles: see vmx/ple.c. */
struct vmcs_ple {
	u32 own;		/* L0's window; U32_MAX: L0 wants no exits */
	u32 limit;		/* what the level that asks for exits besides L0 leaves of its window; U32_MAX: there is none */
	u32 gap, window;	/* the values of PLE_GAP and PLE_WINDOW */
};

/* A VMCS and the CPU where it is active. It must be cleared there before another CPU uses it (SDM 3C 25.1, 25.11.1). */
struct loaded_vmcs {
	void *region;		/* one page; NULL if not allocated */
	hpa_t hpa;
	int cpu;		/* the CPU where the VMCS is active; -1: none */
	bool launched;		/* VMLAUNCH succeeded since VMCLEAR */
	struct list_head on_cpu;	/* in that CPU's list, whose VMCSs are cleared when the CPU goes offline */
	/* The values that the VMCS holds of host-state fields that change at run time. */
	u64 host_cr3, host_cr4, host_fs_base, host_gs_base, host_rsp;
	u64 debugctl;		/* the value of GUEST_IA32_DEBUGCTL in the VMCS */
	u64 dr7;		/* the value of GUEST_DR7: the guest's, or that of a debugger in user space */
	u64 host_sels;		/* host_state.sels when the VMCS got its selectors */
	u64 host_seq;		/* host_state.seq for which these two were written */
	bool timer_on;		/* the VMX-preemption timer is on: see vmx/timer.c */
	u32 timer_value;	/* its value in the VMCS, if it is on */
	u32 windows;		/* CPU_BASED_*_WINDOW_EXITING bits that L0 has set in the VMCS for its own use */
	struct vmcs_ple ple;	/* PAUSE-loop exiting; changed with preemption disabled */
	u32 perf_msrs;		/* length of the lists of MSRs that entries and exits load */
};

/* MSRs that guests access without exits and that the host needs only in user mode; L1 and L2 share one set. */
enum uret_msr { URET_STAR, URET_LSTAR, URET_FMASK, URET_KERNEL_GS, URET_TSC_AUX, NR_URET_MSRS };

#define PERF_MSRS	4	/* the most MSRs that VM entries and exits load for the host's perf */

/* The host's state to restore when the vCPU leaves the CPU or KVM_RUN ends. */
struct host_state {
	u64 seq;		/* counts the values that the selectors and @fs_base have had; 0: none yet */
	bool loaded;		/* the processor holds the guest's uret MSRs; only changes with preemption disabled */
	bool syscall_loaded;	/* @loaded: those of SYSCALL, too */
	union {
		struct {
			u16 ds, es, fs, gs;	/* the host's selectors */
		};
		u64 sels;	/* all four */
	};
	u16 ldt;		/* the host's LDTR, 0 if the process has no LDT */
	u64 fs_base;
	u64 debugctl;		/* the host's IA32_DEBUGCTL at the last entry */
	u64 kernel_gs;		/* the thread's GS base */
};

/* The last exit of a vCPU, read once from the VMCS. Members that exits.def does not request hold stale data. */
struct vmx_exit {
	u32 reason;		/* the whole exit reason: bit 31 is set for a VM-entry failure; or VMX_EXIT_NONE */
	u16 basic;		/* basic exit reason, bits 15:0 of @reason */
	u64 qual;		/* exit qualification */
	u64 gpa;		/* guest-physical address */
	u64 gla;		/* guest-linear address */
	u32 intr_info, intr_error;	/* VM-exit interruption information */
	u32 idt_info, idt_error;	/* IDT-vectoring information */
	u32 ilen;		/* instruction length */
	u32 iinfo;		/* instruction information */
};

#define VMX_EXIT_NONE	(~0U)	/* as a reason: the entry itself has failed (VMfail) */

/*
 * Deadlines at which the VMX-preemption timer makes the guest exit: see vmx/timer.c. They are values of the host's TSC; 0:
 * there is none, or an hrtimer keeps it.
 */
struct vmx_timer {
	u64 apic;		/* of the local APIC's timer */
	u64 l2;			/* of L1's preemption timer, while L2 runs */
	u32 entries;		/* with the timer on since the guest set its timer */
	u32 rest;		/* number of deadlines that hrtimers keep before this timer is used again */
};

/* Did a machine check cause the exit, or the failure of the entry? exits.def wants the interruption information. */
static inline bool vmx_exit_is_machine_check(const struct vmx_exit *e)
{
	if (e->basic == EXIT_REASON_MCE_DURING_VMENTRY)
		return true;
	return e->basic == EXIT_REASON_EXCEPTION_NMI &&
	       (e->intr_info & INTR_INFO_INTR_TYPE_MASK) == INTR_TYPE_HARD_EXCEPTION &&
	       (e->intr_info & INTR_INFO_VECTOR_MASK) == 18;
}

/*
 * Is an alignment check one that the guest's own settings raise (SDM 3A 6.15, #AC)? If not, the host's detection of
 * split locks raised it (SDM 3A 9.1.2.3), which disregards CR0.AM, EFLAGS.AC and the privilege level.
 */
static inline bool vmx_ac_is_guests(int cpl, u64 cr0, u64 rflags)
{
	return cpl == 3 && (cr0 & X86_CR0_AM) && (rflags & X86_EFLAGS_AC);
}

#endif
