/* SPDX-License-Identifier: GPL-2.0 */
/* Between the files that move a vCPU from L1 to L2 and back. */
#ifndef DROSTE_VMCS02_H
#define DROSTE_VMCS02_H

#include "droste.h"

/* --- vmcs02.c --- */
void vmcs02_enter(struct vcpu *vcpu);	/* VMCS01 current: make VMCS02 current, vcpu->in_l2; TLB rules of a VM entry */
void vmcs02_leave(struct vcpu *vcpu);	/* the way back; TLB rules of a VM exit */
int vmcs02_eptp(struct vcpu *vcpu);	/* choose EPT02, or EPT01; any VMCS current; 0 or -ENOMEM */
/*
 * Write what an entry by L1 changes. VMCS02 current. @l1_debugctl: what L1
 * has, looked at when its entry controls do not load debug controls. 0, or
 * the qualification of the VM-entry failure it is (SDM 3C 27.8).
 */
u64 vmcs02_write(struct vcpu *vcpu, u64 l1_debugctl);
void vmcs02_save(struct vcpu *vcpu);	/* guest state to vmcs12, all but the rare; VMCS02 current */
void vmcs02_copy(struct vcpu *vcpu, struct vmcs12 *to);	/* all guest state to a copy of vmcs12, nothing changes; VMCS02 current */
void vmcs02_forget(struct vcpu *vcpu);	/* what VMCS02 holds is not known any more */

/* L1's pages that VMCS02 points to, pinned; VMCS02 current. May sleep. Cheap where nothing changed. */
void vmcs02_place_pages(struct vcpu *vcpu);

/* --- apicv.c --- */
bool apicv_is_notification(const struct vcpu *vcpu, u8 vector);	/* does that interrupt notify of posted ones? in L2 */
void apicv_post(struct vcpu *vcpu);		/* they become pending virtual interrupts */

/* --- bitmaps.c --- */
void bitmaps_merge(struct vcpu *vcpu);	/* MSR bitmap of VMCS02; L1's is pinned */
bool bitmaps_io_hit(struct vcpu *vcpu, u64 qual);		/* does L1 intercept this port access? */
bool bitmaps_msr_hit(struct vcpu *vcpu, u32 msr, bool write);
bool bitmaps_vmcs_hit(struct vcpu *vcpu, u64 enc, bool write);	/* with VMCS shadowing on: VMREAD, VMWRITE of a field */

/* --- link.c: VMCS shadowing for L2 --- */
bool link12_named(const struct vmcs12 *v);	/* L1 gives L2 a shadow VMCS */
struct vmcs12 *link12_get(struct vcpu *vcpu);	/* L0's copy of it; in L2 */
void link12_set(struct vcpu *vcpu, const struct vmcs12 *link);	/* user space restores it; in L2 */
void link12_flush(struct vcpu *vcpu);		/* L2 was left; VMCS12's link pointer is what it was */

/* --- ptimer.c: L1's preemption timer --- */
void ptimer_init(struct vcpu *vcpu);
void ptimer_start(struct vcpu *vcpu);	/* L2 is entered */
void ptimer_stop(struct vcpu *vcpu, bool save);	/* L2 was left; @save: what remains goes to vmcs12 */
bool ptimer_expired(struct vcpu *vcpu);	/* in L2; arms the hrtimer again where it ran out early */
/* When it runs out: L1's TSC shifted right by the rate in IA32_VMX_MISC. False: it does not run. */
bool ptimer_deadline(struct vcpu *vcpu, u64 *deadline);
void ptimer_restore(struct vcpu *vcpu, u64 deadline);	/* instead of ptimer_start(), with such a deadline */

/* --- msrlist.c --- */
u32 msrlist_load(struct vcpu *vcpu, u64 gpa, u32 count);	/* 0, or the 1-based index of the first that fails */
int msrlist_store(struct vcpu *vcpu, u64 gpa, u32 count);		/* 0, or -EINVAL: VMX abort 1 */

/* --- hostload.c --- */
/* L1's state after an exit (SDM 3C 28.5); VMCS01 current. 0, or the VMX-abort indicator. */
u32 hostload(struct vcpu *vcpu);

/* --- reflect.c --- */
/* A VM entry of L1's that failed during or after loading guest state (SDM 3C 27.8); any VMCS current. */
void nested_entry_failed(struct vcpu *vcpu, u16 basic, u64 qual);

#endif
