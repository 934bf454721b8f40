/* SPDX-License-Identifier: GPL-2.0 */
/* VMX for L1: VMCS12, the thirteen instructions, entry into L2 and the way back. SDM 3C 25-28, 31. */
#ifndef DROSTE_NESTED_H
#define DROSTE_NESTED_H

#include "cpu/msr_row.h"
#include "nested/types.h"

struct vcpu;

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
void nested_unpin(struct vcpu *vcpu);		/* REQ_UNPIN: let go of L1's pages; any level */
/* MSR bitmaps and I/O bitmaps of L1 changed their place or L0's own bitmap changed: merge again at the next entry */
void nested_remerge_bitmaps(struct vcpu *vcpu);

/* --- MSR handlers: caps.c --- */
MSR_GET(msr_get_vmx_cap);
MSR_SET(msr_set_vmx_cap);
MSR_GET(msr_get_feature_control);
MSR_SET(msr_set_feature_control);

/* --- insn_vmptr.c: VMCS12 and L1's memory --- */
int vmcs12_load(struct vcpu *vcpu, u64 gpa);
void vmcs12_adopt(struct vcpu *vcpu, u64 gpa);
bool vmcs12_revision_ok(struct vcpu *vcpu, u32 rev);
void vmcs12_flush(struct vcpu *vcpu);

/* --- shadow.c: VMCS shadowing for L1 --- */
int nested_shadow_init(void);
void nested_shadow_exit(void);
void nested_shadow_update(struct vcpu *vcpu);
void nested_shadow_fill(struct vcpu *vcpu);
void nested_shadow_fetch(struct vcpu *vcpu);
void nested_shadow_on_cpu(struct vcpu *vcpu);
void nested_shadow_free(struct vcpu *vcpu);

#endif
