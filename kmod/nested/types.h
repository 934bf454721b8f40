/* SPDX-License-Identifier: GPL-2.0 */
/* Types of nesting that struct vcpu contains: L1 as a hypervisor, and the contents of VMCS02. */
#ifndef DROSTE_NESTED_TYPES_H
#define DROSTE_NESTED_TYPES_H

#include <linux/hrtimer.h>
#include "ept/types.h"
#include "mem/types.h"
#include "nested/vmcs12.h"
#include "vmx/types.h"

#define VMPTR_NONE	(~0ULL)		/* "no current VMCS": what VMPTRST stores then (SDM 3C 31.3) */

#define NESTED_MSR_WORDS	16	/* more than there are words with pass-through MSRs in VMCS01's bitmap */

/* What VMCS02's fields hold, so that an entry writes only those that change. */
struct vmcs02_held {
	bool valid;			/* false: unknown, write everything */
	u64 rsp, rflags;
	u64 dr7, debugctl, pat, efer;
	u64 tsc_offset, tsc_ratio, eptp;
	u32 interruptibility;
	u16 intr_status;		/* with virtual-interrupt delivery only */
};

/**
 * struct nested - what a vCPU knows of L1 as a hypervisor
 *
 * Owned by the vCPU's thread. Whether L2 runs is vcpu->in_l2.
 */
struct nested {
	struct vmx_caps caps;		/* VMX capability MSRs as this L1 sees them */
	u32 caps_set;			/* BIT(n): user space set capability MSR 0x480 + n; CPUID changes keep that */
	u32 gates;			/* BIT(GATE_*): which VMCS fields exist by @caps; see vmcs12_gates() */
	u16 last_failed_check;		/* enum check_id of the last VM entry that failed; 0: none yet */
	bool vmxon;			/* L1 is in VMX operation */
	gpa_t vmxon_gpa;		/* the VMXON region, when @vmxon */
	gpa_t vmptr;			/* L1's current VMCS, or VMPTR_NONE */
	struct vmcs12 *vmcs12;		/* L0's copy of it: read at VMPTRLD, written back at VMCLEAR, VMPTRLD of another, VMXOFF */
	struct vmcs12 *link12;		/* L0's copy of the shadow VMCS that vmcs12's link pointer names: link.c */
	bool link12_valid;		/* @link12 was read; only in L2 */
	bool link12_dirty;		/* and L2 wrote to it */
	u32 vmcs12_dirty;		/* which parts L1 changed since the last merge: DIRTY12_* */
	bool vmcs02_stale;		/* VMCS02 holds the guest state of vmcs12's "rare" fields; they must be read back on demand */

	struct loaded_vmcs vmcs02;
	struct loaded_vmcs shadow;	/* VMCS shadowing: L1 reads and writes its hot fields here */
	u64 *shadow_held;		/* values that @shadow holds, by shadow.c's numbers */
	bool shadow_on;			/* VMCS01 has VMCS shadowing on, for @vmcs12 */
	bool shadow_dirty;		/* the shadow must be filled from vmcs12 before L1 is entered */
	bool vmcs02_made;		/* VMCS02's constant fields are written */
	bool bitmap_due;		/* L1's MSR bitmap may have changed, or L0's: merge before L2 runs */
	bool ibpb;			/* L1 may count on its predictors being its own: barrier at each exit to it */
	bool entry_pending;		/* VMLAUNCH or VMRESUME succeeded and L2 has not run yet: nothing may exit to L1 before it did (SDM 3C 27.7) */
	bool pdptes_due;		/* user space restored an L2 whose PDPTEs are in memory: read them before it runs */
	bool mtf_pending;		/* L0 executed an instruction of L2 while L1's monitor trap flag was on */
	u16 vpid02;			/* L2's linear-mapping tag in hardware; 0: L2 goes without */
	u16 last_vpid12;		/* what vpid02 stood for at the last entry; 0: nothing */
	struct vmx_controls ctl02;	/* what VMCS02 holds now, windows that L0 opened apart */
	struct vmx_controls merged01;	/* what ctl01 was when ctl02 was made of it */
	struct vmcs02_held held;	/* what else VMCS02 holds */
	u64 l1_efer, l1_pat, l1_dr7;	/* L1's at its last VM entry: VMCS01 holds them while L2 runs */
	struct ept02 ept02;

	/* --- L1's bitmaps and pages --- */
	unsigned long *msr_bitmap02;	/* merged; all ones but for what both levels let through */
	u16 msr_words[NESTED_MSR_WORDS];	/* u64 words of the bitmaps where L0 lets something through */
	u8 nr_msr_words;
	bool x2apic_passed;		/* some of the words of MSRs 0x800-0x8ff let something through, to the virtual-APIC page */
	struct gpa_map msr_bitmap12;	/* L1's MSR bitmap */
	struct gpa_map virtual_apic, apic_access;	/* pages of L1 that VMCS02 points to */
	struct gpa_map posted_desc;	/* L1's posted-interrupt descriptor: L0 looks at it, see apicv.c */
	void *no_page;			/* stands for those of them that L1 has no memory for: all ones */

	/* --- L1's preemption timer --- */
	struct hrtimer preemption_timer;	/* runs out no later than the deadline below, and kicks */
	u64 tsc_deadline_preemption;	/* tsc_now_scaled() at which L1's timer runs out; ~0: it does not run */
	u64 timer_armed;		/* likewise, at which the hrtimer runs out; 0: not armed. Cleared by the hrtimer */
	bool timer_restored;		/* instead of tsc_deadline_preemption, the next line is when it runs out */
	u64 restored_deadline;		/* by user space: L1's TSC shifted right by the timer's rate */
};

/* L0 carried out an instruction of L2: L1's monitor trap flag wants to know (SDM 3C 26.5.2). */
static inline void nested_insn_done(struct nested *n)
{
	if (n->vmcs12->cpu_based_vm_exec_control & CPU_BASED_MONITOR_TRAP_FLAG)
		n->mtf_pending = true;
}


#endif
