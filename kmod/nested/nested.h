/* SPDX-License-Identifier: GPL-2.0 */
/* VMX for L1: VMCS12, the thirteen instructions, entry into L2 and the way back. SDM 3C 25-28, 31. */
#ifndef DROSTE_NESTED_H
#define DROSTE_NESTED_H

#include <linux/types.h>
#include <linux/hrtimer.h>
#include "vmcs12.h"

struct vcpu;

#define VMPTR_NONE	(~0ULL)		/* "no current VMCS": what VMPTRST stores then (SDM 3C 31.3) */

/**
 * struct nested - what a vCPU knows of L1 as a hypervisor
 *
 * Owned by the vCPU's thread. Whether L2 runs is vcpu->in_l2.
 */
struct nested {
	struct vmx_caps caps;		/* VMX capability MSRs as this L1 sees them */
	u32 gates;			/* BIT(GATE_*): which VMCS fields exist by @caps; see vmcs12_gates() */
	u16 last_failed_check;		/* enum check_id of the last VM entry that failed; 0: none yet */
	bool vmxon;			/* L1 is in VMX operation */
	gpa_t vmxon_gpa;		/* the VMXON region, when @vmxon */
	gpa_t vmptr;			/* L1's current VMCS, or VMPTR_NONE */
	struct vmcs12 *vmcs12;		/* L0's copy of it: read at VMPTRLD, written back at VMCLEAR, VMPTRLD of another, VMXOFF */
	u32 vmcs12_dirty;		/* which parts L1 changed since the last merge: DIRTY12_* */
	bool vmcs02_stale;		/* VMCS02 holds the guest state of vmcs12's "rare" fields; they must be read back on demand */

	struct loaded_vmcs vmcs02;
	struct loaded_vmcs shadow;	/* VMCS shadowing: L1 reads and writes its hot fields here */
	bool shadow_on;			/* VMCS01 has VMCS shadowing on, for @vmcs12 */
	bool shadow_dirty;		/* the shadow must be filled from vmcs12 before L1 is entered */
	u16 vpid02;			/* L2's linear-mapping tag in hardware */
	u16 last_vpid12;		/* what vpid02 stood for at the last entry */
	unsigned long *msr_bitmap02;	/* merged */
	unsigned long *io_bitmap02;	/* unused where all ports exit */
	struct gpa_map virtual_apic, apic_access, pi_desc;	/* pages of L1 that VMCS02 points to */
	struct ept02 ept02;
	struct hrtimer preemption_timer;	/* L1's, when L2 runs */
	bool preemption_expired;
	bool entry_pending;		/* VMLAUNCH or VMRESUME succeeded and L2 has not run yet: nothing may exit to L1 before it did (SDM 3C 27.7) */
	u64 tsc_deadline_preemption;	/* host TSC at which L1's preemption timer runs out */
	u64 l1_controls_cr3;		/* scratch for entry: see entry.c */
	struct vmx_controls ctl01;	/* VMCS01's controls, kept by vmcs01.c */
	struct vmx_controls ctl02;	/* what VMCS02 holds now */
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

/* --- L2's exits --- */
bool nested_l1_wants_exit(struct vcpu *vcpu);	/* vcpu->exit came from L2: does L1 get it? srcu held, may sleep */
int nested_reflect(struct vcpu *vcpu);		/* vcpu->exit to L1, as it is; enum next */
/* An exit that L0 makes up: reason with qualification and interruption information. VMCS01 is current afterwards. */
void nested_vmexit(struct vcpu *vcpu, u32 reason, u64 qual, u32 intr_info, u32 intr_error);
/* L2 touched memory that EPT02 does not map (reasons 48, 49): fix, reflect, or emulate; enum next */
int nested_handle_ept(struct vcpu *vcpu);

/* --- events --- */
/*
 * Before an entry while vcpu->in_l2: turn pending events that L1 intercepts into exits to L1.
 * 0: nothing to do or it is now in L1; -EBUSY: an entry must happen first (entry_pending): ask again after (an
 * immediate exit must follow the entry).
 */
int nested_check_events(struct vcpu *vcpu);
bool nested_wants_exception(struct vcpu *vcpu, u8 vector, u32 error_code);	/* L1's exception bitmap (with the #PF mask and match) */
bool nested_wants_extint(struct vcpu *vcpu);	/* L1 has external-interrupt exiting on */
bool nested_wants_nmi(struct vcpu *vcpu);
void nested_before_entry(struct vcpu *vcpu);	/* pins, requests: process context, irqs on */

/* MSR bitmaps and I/O bitmaps of L1 changed their place or L0's own bitmap changed: merge again at the next entry */
void nested_remerge_bitmaps(struct vcpu *vcpu);

#endif
