/* SPDX-License-Identifier: GPL-2.0 */
/* Types of VMX root operation that struct vcpu contains: capabilities, controls, a VMCS, host state, an exit. */
#ifndef DROSTE_VMX_TYPES_H
#define DROSTE_VMX_TYPES_H

#include <linux/bits.h>
#include <linux/types.h>
#include <asm/msr-index.h>
#include <asm/vmx.h>
#include "mem/types.h"

#define NR_EXIT_REASONS	80	/* basic exit reasons that are counted and dispatched (SDM 3D appendix C) */

/* The VMX capability MSRs 0x480-0x491 (SDM 3D appendix A), the processor's or those offered to an L1. */
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

static inline u64 *vmx_caps_msr(struct vmx_caps *caps, u32 msr)
{
	/* The struct's members stand in MSR order. */
	return (u64 *)caps + (msr - VMX_CAPS_FIRST);
}

/* A control's value within its capability MSR: bits 31:0 must be 1, bits 63:32 may be 1 (SDM A.3.1). */
static inline bool vmx_control_ok(u64 cap, u32 val)
{
	return !(~val & (u32)cap) && !(val & ~(u32)(cap >> 32));
}
static inline bool vmx_may_set(u64 cap, u32 bit)
{
	return (cap >> 32) & bit;
}

/* The parts of VMCS01 that VMCS02's merge starts from; kept here so that no VMREAD is needed. */
struct vmx_controls {
	u32 pin, proc, proc2, exit, entry, exceptions;
};

/* A VMCS and where it is active. A VMCS is cleared on its CPU before it is used on another (SDM 3C 25.1, 25.11.1). */
struct loaded_vmcs {
	void *region;		/* the page; NULL: not allocated */
	hpa_t hpa;
	int cpu;		/* where it is active, -1: nowhere */
	bool launched;		/* VMLAUNCH succeeded since VMCLEAR */
	struct list_head on_cpu;	/* in that CPU's list, so that it can be cleared when the CPU goes off line */
	/* Host-state fields whose value changes at run time; what the VMCS holds now */
	u64 host_cr3, host_cr4, host_fs_base, host_gs_base, host_rsp;
	u16 host_fs_sel, host_gs_sel, host_ds_sel, host_es_sel;
	u32 windows;		/* interrupt and NMI windows that L0 holds open in it: CPU_BASED_*_WINDOW_EXITING */
};

/* MSRs that guests use without exits and the host only in user mode: shared by all levels of a vCPU. */
enum uret_msr { URET_STAR, URET_LSTAR, URET_FMASK, URET_KERNEL_GS, URET_TSC_AUX, NR_URET_MSRS };
struct host_state {
	bool loaded;		/* the guest's MSRs above are in the processor; owner's thread, preemption off */
	u16 ds, es, fs, gs, ldt;	/* selectors to give back */
	u64 fs_base, kernel_gs_base;
	u64 uret[NR_URET_MSRS];	/* the host's values on this CPU */
};

/* The last exit of a vCPU, read once from the VMCS. What exits.def does not ask for holds stale data. */
struct vmx_exit {
	u32 reason;		/* whole: bit 31 is VM-entry failure */
	u16 basic;		/* bits 15:0 */
	u64 qual;
	u64 gpa;		/* guest-physical address */
	u64 gla;		/* guest-linear address */
	u32 intr_info, intr_error;	/* VM-exit interruption information */
	u32 idt_info, idt_error;	/* IDT-vectoring information */
	u32 ilen;		/* instruction length */
	u32 iinfo;		/* instruction information */
	u32 fail;		/* VM-instruction error when the entry failed at once (VMfail), else 0 */
};

#endif
