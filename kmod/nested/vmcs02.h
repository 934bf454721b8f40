/* SPDX-License-Identifier: GPL-2.0 */
/* The way from L1 to L2 and back: functions that only files of nested/ call. */
#ifndef DROSTE_VMCS02_H
#define DROSTE_VMCS02_H

#include <asm/vmx.h>
#include "droste.h"

struct cluster_insn;

/* --- vmcs02.c --- */
void vmcs02_enter(struct vcpu *vcpu);
void vmcs02_leave(struct vcpu *vcpu);
int vmcs02_eptp(struct vcpu *vcpu);
u64 vmcs02_write(struct vcpu *vcpu);
struct vmx_controls vmcs02_l0_controls(const struct vcpu *vcpu);
void vmcs02_save(struct vcpu *vcpu);
void vmcs02_copy(struct vcpu *vcpu, struct vmcs12 *to);
void vmcs02_forget(struct vcpu *vcpu);
int vmcs02_place_pages(struct vcpu *vcpu, bool may_stop);
void nested_sync_rare_here(struct nested *n);

static inline bool vmcs02_delivers_virtually(const struct vmx_controls *c)
{
	return c->proc2 & SECONDARY_EXEC_VIRTUAL_INTR_DELIVERY;
}

/* --- tpr.c --- */
bool tpr_exit_due(const struct nested *n);
void tpr_fit_threshold(struct nested *n);

/* --- bitmaps.c --- */
void bitmaps_merge(struct vcpu *vcpu);
void bitmaps_merge_x2apic(struct nested *n, const u64 *l1, u64 *out);
int bitmaps_place_io(struct vcpu *vcpu);
bool bitmaps_io_hit(struct vcpu *vcpu, u64 qual);
bool bitmaps_msr_hit(struct vcpu *vcpu, u32 msr, bool write);
bool bitmaps_vmcs_hit(struct vcpu *vcpu, u64 enc, bool write);

/* --- apicv.c --- */
bool apicv_is_notification(const struct vcpu *vcpu, u8 vector);
void apicv_post(struct vcpu *vcpu);

/* --- nmi.c --- */
u32 nmi_load(struct nested *n);
void nmi_before_exit(struct vcpu *vcpu, const struct vmx_exit *e);

/* --- ptimer.c --- */
void ptimer_init(struct vcpu *vcpu);
void ptimer_arm(struct vcpu *vcpu, u64 now);
void ptimer_start(struct vcpu *vcpu);
void ptimer_stop(struct vcpu *vcpu, bool save);
bool ptimer_expired(struct vcpu *vcpu);
bool ptimer_deadline(struct vcpu *vcpu, u64 *deadline);
void ptimer_restore(struct vcpu *vcpu, u64 deadline);

/* --- msrlist.c --- */
u32 msrlist_load(struct vcpu *vcpu, u64 gpa, u32 count);
int msrlist_store(struct vcpu *vcpu, u64 gpa, u32 count);

/* --- link.c --- */
bool link12_named(const struct vmcs12 *v);
struct vmcs12 *link12_get(struct vcpu *vcpu);
void link12_set(struct vcpu *vcpu, const struct vmcs12 *link);
void link12_flush(struct vcpu *vcpu);

/* --- reflect.c --- */
void nested_entry_failed(struct vcpu *vcpu, u16 basic, u64 qual);

/* --- again.c --- */
bool again_is_paranoid(void);

/* --- again_cr.c --- */
bool again_cr_is_l1s(struct vcpu *vcpu);
bool again_cr_fetch(struct vcpu *vcpu);
void again_cr_take(struct nested *n);
void again_cr_write(struct vcpu *vcpu);

/* --- paranoid.c --- */
void paranoid_reflected(struct vcpu *vcpu);
void paranoid_route(struct vcpu *vcpu);
void paranoid_ept(struct vcpu *vcpu);
void paranoid_entry(struct vcpu *vcpu);
void paranoid_resumed(struct vcpu *vcpu);
void paranoid_code(struct vcpu *vcpu, const struct cluster_insn *i, u64 rip, u32 len);
void paranoid_field(struct vcpu *vcpu, const struct vmcs12_field *f, u64 enc, u64 val);

/* --- hostload.c --- */
u32 hostload(struct vcpu *vcpu);
void hostload_rest(struct vcpu *vcpu);

#endif
