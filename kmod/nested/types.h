/* SPDX-License-Identifier: GPL-2.0 */
/* Types of nesting that struct vcpu contains: L1 as a hypervisor, and the contents of VMCS02. */
#ifndef DROSTE_NESTED_TYPES_H
#define DROSTE_NESTED_TYPES_H

#include <linux/hrtimer.h>
#include "ept/types.h"
#include "mem/types.h"
#include "nested/vmcs12.h"
#include "vmx/types.h"

#define VMPTR_NONE	(~0ULL)		/* VMPTRST stores this if there is no current VMCS (SDM 3C 31.3) */

/* The values that VMCS02's fields hold, so that an entry writes only those that change. */
struct vmcs02_held {
	bool valid;			/* false: VMCS02's contents are unknown, write all fields */
	u64 rsp, rflags, cr0_cd;
	u64 dr7, pat, efer;
	u64 tsc_offset, tsc_ratio, eptp;
	hpa_t io_bitmaps;		/* address of I/O bitmap A, with B behind it; 0: none yet */
	u32 interruptibility;
	u16 intr_status;		/* valid with virtual-interrupt delivery only */
};

/*
 * What is known of VMCS01's guest fields while L2 runs, so that the exit to L1
 * writes only those that differ from L1's host state: see nested/hostload.c.
 */
struct vmcs01_held {
	/*
	 * hostload() has written all fields for a 64-bit host, with the present host state of VMCS12, and L0 none of
	 * them since. Whoever writes L1's segments, CR0, CR4 or SYSENTER MSRs clears this.
	 */
	bool valid;
	/* "Descriptor-table exiting" is on, and L1 has not accessed TR, LDTR, GDTR or IDTR since @valid was set */
	bool tables;
	bool tables_changed;	/* L0 has executed an LGDT or LIDT of L1 since: the registers must be loaded */
	u8 tables_wait;		/* so many exits to L1 before the control is turned on again */
	u32 ss_ar;		/* SS access rights of L1 at its last VM entry */
};

#define CR_UNSEEN	(~0ULL)		/* no CR4 has all bits */

/* Control registers that L1 has written before a VMRESUME: see nested/again_cr.c. Those without news are not valid. */
struct again_crs {
	u64 cr0, cr0_shadow, cr4, cr4_shadow, cr3;
	u64 news0, news4, news3;	/* not 0: L1 has changed CR0, CR4, CR3, or a read shadow */
};

/* What repeated entries and exits rely on: see nested/again.c. */
struct again {
	bool on;		/* the next entry of L1 with VMRESUME may be a repetition */
	bool ready;		/* @on, and the VMCSs can take turns during this stay in the guest */
	u64 l1_efer, l1_pat;	/* L1's, after each exit; its DR7 is 0x400 */
	u64 l2_efer, l2_pat, l2_dr7;	/* L2's, after each entry */
	u64 cr0_cd;		/* vcpu->cr0_cd, with which the fields were made */
	u64 tsc_offset, tsc_ratio;	/* those of vcpu->tsc */
	u64 cr0_hw, cr0_shadow;	/* bits of L2's CR0 that VMCS02 has in the hardware field, and in the read shadow */
	u64 cr4_hw, cr4_shadow;
	/* VMCS02's CR0 and CR4 when VMCS12 last got L2's; CR_UNSEEN as @cr4_seen: VMCS12's may be others */
	u64 cr0_seen, cr4_seen;
	struct again_crs crs;
	/* An entry depends on the preemption timer's value, interrupt status, TPR threshold of the shadow VMCS. */
	bool fetches_timer, fetches_vid, fetches_threshold;
	struct ept02_root *root;	/* the root of EPT02 that VMCS02 points to; NULL: none, L1 does not use EPT */
	u64 host_cr0, host_cr4;	/* those of VMCS01 after each exit */
	u64 l0_mce;		/* CR4.MCE of the host, which is part of @host_cr4 */
	u32 host_ss_ar;		/* SS access rights of L1 after each exit */
	u16 host_data;		/* its selectors of DS, ES, FS and GS, combined: 0 if all are null */
};

/* The fields that L1 writes seldom: see nested/seldom.c. */
struct nested_seldom {
	u16 left;		/* so many exits to L1 until writes of them exit */
	u16 wait;		/* @left when L1 has written one */
	u64 since;		/* the number of the L1's VM entry since which they exit */
};

/* A PAUSE loop of L2, for an L1 that asks for exits of such loops: see nested/pauseloop.c. */
struct nested_pause {
	u64 spun;		/* TSC cycles that the loop had lasted at its last exit, which was L0's alone; 0: it had no such exit */
	u64 exit;		/* the number of that exit among the vCPU's */
	u64 since;		/* the host's TSC when L2 went on after it */
	bool mark;		/* the next entry sets @since */
	bool kept;		/* L0 has let another vCPU run in place of showing the present exit to L1 */
	u8 in_a_row;		/* so many exits were kept from L1 since it was shown one */
};

#define PTIMER_NOT_RUNNING	(~0ULL)	/* as nested.tsc_deadline_preemption */

/*
 * struct nested - state of a vCPU for L1 as a hypervisor
 *
 * Owner: the vCPU's thread. vcpu->in_l2 tells whether L2 runs.
 */
struct nested {
	struct vmx_caps caps;		/* VMX capability MSRs that this L1 reads */
	u32 caps_set;			/* BIT(n): user space set MSR 0x480 + n: a change of CPUID keeps its value */
	u32 gates;			/* BIT(GATE_*): the VMCS fields that @caps allows; see vmcs12_gates() */
	u64 insn_operand;		/* of the VMX instruction that exited: a field's encoding, or the first 8 bytes of an operand in memory */
	u16 last_failed_check;		/* enum check_id at which L1's last VM entry stopped; 0: it passed */
	bool vmxon;			/* L1 is in VMX operation */
	gpa_t vmxon_gpa;		/* address of the VMXON region; valid if @vmxon */
	gpa_t vmptr;			/* address of L1's current VMCS, or VMPTR_NONE */
	u64 delegate;			/* DROSTE_MSR_DELEGATE: the VMCS whose L2 has the hypercall with a list; 0: none */
	/* L0's copy of L1's current VMCS. VMPTRLD reads it; VMCLEAR, VMXOFF and the next VMPTRLD write it back. */
	struct vmcs12 *vmcs12;
	struct cluster_cache *cluster;	/* decoded code of L1: see nested/cluster.c; NULL: nothing is clustered */
	struct vmcs12 *link12;		/* L0's copy of the shadow VMCS at vmcs12's link pointer: see link.c */
	bool link12_valid;		/* @link12 was read; set in L2 only */
	bool link12_dirty;		/* L2 wrote to @link12 */
	u32 vmcs12_dirty;		/* DIRTY12_*: the parts of VMCS12 that L1 changed since the last merge */
	bool vmcs02_stale;		/* VMCS02 holds newer values of vmcs12's rarely used guest-state fields */

	struct loaded_vmcs vmcs02;
	struct loaded_vmcs shadow;	/* VMCS shadowing: L1 accesses its frequent fields here without exits */
	struct vmcs12 *shadow_held;	/* the values that @shadow holds, as far as L0 has seen them: see nested/shadow.h */
	u8 shadow_writes;		/* fields that L1 writes to @shadow without an exit at present: enum shadow_writes */
	struct nested_seldom seldom;
	bool shadow_on;			/* VMCS shadowing is enabled in VMCS01, for @vmcs12 */
	bool vmcs02_made;		/* VMCS02's constant fields are written */
	bool bitmap_due;		/* L1's or L0's MSR bitmap may have changed: merge them before L2 runs */
	/* VMLAUNCH or VMRESUME succeeded and L2 has not run yet: nothing may exit to L1 before it has (SDM 3C 27.7) */
	bool entry_pending;
	bool delivery_pending;		/* L2 has not run since, because the delivery of L1's event caused an exit to L0 */
	bool pdptes_due;		/* user space restored an L2 with PAE paging: read its PDPTEs from memory */
	bool mtf_pending;		/* L0 emulated an instruction of L2 while L1's monitor trap flag was set */
	bool nmi_soft;			/* L2's blocking by NMI is in vmcs12, and VMCS02's has no meaning: see nmi.c */
	bool l1_nmi_blocked;		/* L1 blocked NMIs before its last VM entry; kept for an entry that fails */
	u16 vpid02;			/* VPID of VMCS02; 0: L2 runs without one */
	u16 last_vpid12;		/* the VPID of VMCS12 that @vpid02 stood for at the last entry; 0: none */
	u32 tpr_threshold02;		/* TPR threshold of VMCS02; below VMCS12's if VTPR was lowered: see vmcs02.c */
	bool tpr_retry;			/* an entry has failed: do not raise @tpr_threshold02 for the next one */
	struct vmx_controls ctl02;	/* controls of VMCS02, without the windows that L0 opened */
	struct vmx_controls merged01;	/* the value of vcpu->ctl01 from which @ctl02 was merged */
	bool merged_umip;		/* the same of vcpu->umip_exits[1] */
	struct vmcs02_held held;	/* other values that VMCS02 holds */
	struct again again;
	struct vmcs01_held held01;	/* values that VMCS01 holds */
	u64 l1_efer, l1_pat, l1_dr7;	/* L1's values at its last VM entry; VMCS01 holds them while L2 runs */
	struct ept02 ept02;
	u64 devices;			/* pages of L2, modulo 64, in which it has accessed devices of L0's */

	/* --- L1's bitmaps and pages --- */
	unsigned long *msr_bitmap02;	/* merged; a bit is 0 only if both L0 and L1 let the access through */
	u64 x2apic_no_read, x2apic_no_write;	/* @x2apic_passed: the bits of MSRs 0x800-0x83f that it never lets through */
	bool x2apic_passed;		/* @msr_bitmap02 lets L2 access MSRs 0x800-0x8ff in the virtual-APIC page */
	u64 *io_bitmaps02;		/* merged, two pages; NULL: they have not been needed yet */
	struct gpa_map msr_bitmap12;	/* L1's MSR bitmap */
	struct gpa_map io_bitmap12[2];	/* L1's I/O bitmaps A and B */
	struct gpa_map virtual_apic, apic_access;	/* pages of L1 to which VMCS02 points */
	struct gpa_map posted_desc;	/* L1's posted-interrupt descriptor, which L0 processes: see apicv.c */
	void *no_page;			/* page of ones at first, to which VMCS02 points where L1 has no memory for one of these */

	struct nested_pause pause;

	/* --- L1's preemption timer --- */
	struct hrtimer preemption_timer;	/* expires no later than the deadline below, and kicks the vCPU */
	u64 tsc_deadline_preemption;	/* tsc_now_scaled() at which L1's timer expires; ~0: it is not running */
	u64 timer_armed;		/* tsc_now_scaled() at which the hrtimer expires, which sets 0: not armed */
	bool timer_restored;		/* @restored_deadline is valid instead of @tsc_deadline_preemption */
	u64 restored_deadline;		/* set by user space: L1's TSC shifted right by the timer's rate */

	/* --- the last VM entry of L1 that failed: see nested_note_failure() --- */
	u64 entries_failed;		/* how many have */
	struct vmcs12 *failed12;	/* VMCS12 as it was then; NULL: there was no memory, or none current */
	gpa_t failed_vmptr;		/* address of that VMCS; VMPTR_NONE: there was none */
	u64 failed_seq;			/* the number of the exit for the VMLAUNCH or VMRESUME */
	u64 failed_rip;			/* L1's RIP at it */
	u64 failed_qual;		/* exit qualification that L1 was shown; 0: the instruction failed */
	bool failed_launch;		/* it was VMLAUNCH */
	u16 failed_code;		/* VM-instruction error, or basic exit reason; 0: VMfailInvalid */
	u16 failed_check;		/* enum check_id at which it stopped; CHECK_OK: not because of a check */
	unsigned long failed_checks[4];	/* all rows of checks.def that failed then, by enum check_id */
};

/* Must be called when something changes that again.c relies on: the next entry of L1 goes the general way. */
static inline void nested_changed(struct nested *n)
{
	n->again.on = false;
	n->again.ready = false;
}

/* L2 has accessed a device of L0's at the address. */
static inline void nested_note_device(struct nested *n, u64 l2_gpa)
{
	n->devices |= 1ULL << (l2_gpa >> 12 & 63);
}

/* Whether it may have done so. Most addresses of an L2 are memory, or devices of L1's. */
static inline bool nested_has_device(const struct nested *n, u64 l2_gpa)
{
	return n->devices >> (l2_gpa >> 12 & 63) & 1;
}

/* Whether L1 wants an exit after each instruction of L2, and each iteration of a REP (SDM 3C 26.5.2). */
static inline bool nested_wants_mtf(const struct nested *n)
{
	return n->vmcs12->cpu_based_vm_exec_control & CPU_BASED_MONITOR_TRAP_FLAG;
}

/* Must be called after L0 emulated an instruction of L2: L1's monitor trap flag may be set. */
static inline void nested_insn_done(struct nested *n)
{
	if (nested_wants_mtf(n))
		n->mtf_pending = true;
}

#endif
