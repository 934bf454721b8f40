/* SPDX-License-Identifier: GPL-2.0 */
/* VMX for L1: VMCS12, the thirteen instructions, entry into L2 and the way back. SDM 3C 25-28, 31. */
#ifndef DROSTE_NESTED_H
#define DROSTE_NESTED_H

#include <linux/types.h>
#include <linux/hrtimer.h>
#include "vmcs12.h"

struct vcpu;

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
	bool ctl01_stale;		/* VMCS01 lacks a change of ctl01 that came while L2 ran */
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
	struct vmx_controls ctl01;	/* VMCS01's controls, kept by vmcs01.c */
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

/* --- the vCPU's life --- */
int nested_create(struct vcpu *vcpu);
void nested_destroy(struct vcpu *vcpu);
void nested_reset(struct vcpu *vcpu);	/* INIT or power-up: out of L2 and VMX operation; VMCS01 is current afterwards */
void nested_caps_init(struct vcpu *vcpu);	/* offered capabilities, from offer_caps and the vCPU's CPUID */
int nested_get_cap_msr(struct vcpu *vcpu, u32 msr, u64 *data);
int nested_set_cap_msr(struct vcpu *vcpu, u32 msr, u64 data);	/* user space narrows them: 0 or -EINVAL */

/* --- VMX instructions executed by L1: L0's handlers (enum next) --- */
int nested_handle_vmx_insn(struct vcpu *vcpu);	/* all of exit reasons 18 to 27, 50, 53: dispatch by vcpu->exit.basic */

int nested_vmcs12_alloc(struct vcpu *vcpu);	/* the memory for VMX operation, kept until the vCPU goes: 0 or -ENOMEM */
void nested_enter_vmx(struct vcpu *vcpu, gpa_t vmxon_gpa);	/* into VMX operation, without a current VMCS; memory is there */

/* --- entry into L2: entry.c --- */
/*
 * VMLAUNCH or VMRESUME of L1's current VMCS, from the checks on its contents
 * on (SDM 3C 27.2); the writable fields of the shadow were fetched. Enum next or -errno.
 */
int nested_run(struct vcpu *vcpu, bool launch);
/*
 * The same for user space, which restores an L2 that ran already. VMCS12 is current and checked, VMCS01 is, too, and
 * VMCS02 afterwards. @run_pending: L1's entry was done but for the first instruction of L2 and the event it injects.
 */
void nested_reenter(struct vcpu *vcpu, bool run_pending);
void nested_sync_rare(struct vcpu *vcpu);	/* SYNC_RARE guest state from VMCS02 to vmcs12; any VMCS current, restored */

/* --- L2's exits --- */
/*
 * vcpu->exit came from L2: does L1 get it? To be asked once for each exit from
 * L2, failed entries (vcpu->exit.fail, reason bit 31) included. srcu held, may sleep.
 */
bool nested_l1_wants_exit(struct vcpu *vcpu);
int nested_reflect(struct vcpu *vcpu);		/* vcpu->exit to L1, as it is; enum next */
int nested_reflect_as(struct vcpu *vcpu, u32 reason, u64 qual);	/* to L1 as an exit of another reason, and counted; enum next */
/* An exit that L0 makes up: reason with qualification and interruption information. VMCS01 is current afterwards. */
void nested_vmexit(struct vcpu *vcpu, u32 reason, u64 qual, u32 intr_info, u32 intr_error);
/* L2 touched memory that EPT02 does not map (reasons 48, 49): fix, reflect, or emulate; enum next */
int nested_handle_ept(struct vcpu *vcpu);

/* --- savestate.c: VMX operation as user space saves and restores it --- */
#define NESTED_STATE_SIZE	(sizeof(struct kvm_nested_state) + sizeof(struct kvm_vmx_nested_state_data))
long vcpu_get_nested_state(void *self, void *arg, unsigned long uarg);
long vcpu_set_nested_state(void *self, void *arg, unsigned long uarg);

/* --- events --- */
/*
 * Before an entry while vcpu->in_l2: turn pending events that L1 intercepts into exits to L1.
 * 0: nothing to do or it is now in L1; -EBUSY: an entry must happen first (entry_pending): ask again after (an
 * immediate exit must follow the entry).
 */
int nested_check_events(struct vcpu *vcpu);
bool nested_has_events(struct vcpu *vcpu);	/* in L2: does nested_check_events() have work? A halted vCPU wakes for it */
bool nested_wants_exception(struct vcpu *vcpu, u8 vector, u32 error_code);	/* L1's exception bitmap (with the #PF mask and match) */
bool nested_wants_extint(struct vcpu *vcpu);	/* L1 has external-interrupt exiting on */
bool nested_wants_nmi(struct vcpu *vcpu);
bool apicv_interrupt_due(const struct vcpu *vcpu);	/* L2 has a virtual interrupt to take, if it can take any */
/*
 * Before each entry into L2, and with the requests done (they may set what it looks at): pins, EPTP, what L0
 * changed of VMCS02. Process context, irqs on, srcu held. 0 or -errno.
 */
int nested_before_entry(struct vcpu *vcpu);
void nested_write_tsc(struct vcpu *vcpu);	/* L1's TSC changed, or L2 is entered: VMCS02's; VMCS02 current */
void nested_unpin(struct vcpu *vcpu);		/* REQ_UNPIN: let go of L1's pages; any level */
/* L0 carried out an instruction of L2: L1's monitor trap flag wants to know (SDM 3C 26.5.2). */
static inline void nested_insn_done(struct nested *n)
{
	if (n->vmcs12->cpu_based_vm_exec_control & CPU_BASED_MONITOR_TRAP_FLAG)
		n->mtf_pending = true;
}

/* MSR bitmaps and I/O bitmaps of L1 changed their place or L0's own bitmap changed: merge again at the next entry */
void nested_remerge_bitmaps(struct vcpu *vcpu);

#endif
