/* SPDX-License-Identifier: GPL-2.0 */
/* VMX for L1: VMCS12, the thirteen instructions, entry into L2 and the way back. SDM 3C 25-28, 31. */
#ifndef DROSTE_NESTED_H
#define DROSTE_NESTED_H

#include "cpu/msr_row.h"
#include "nested/types.h"

struct route_verdict;
struct vcpu;

/* Whether L1 uses "virtual NMIs": NMIs are not blocked in L2 then. */
static inline bool nested_has_vnmi(const struct nested *n)
{
	return n->vmcs12->pin_based_vm_exec_control & PIN_BASED_VIRTUAL_NMIS;
}

#define NESTED_STATE_SIZE	(sizeof(struct kvm_nested_state) + sizeof(struct kvm_vmx_nested_state_data))

/* --- nested.c --- */
int nested_create(struct vcpu *vcpu);
void nested_destroy(struct vcpu *vcpu);
void nested_reset(struct vcpu *vcpu);

/* --- caps.c --- */
void nested_caps_init(struct vcpu *vcpu);
MSR_GET(msr_get_vmx_cap);
MSR_SET(msr_set_vmx_cap);
MSR_GET(msr_get_feature_control);
MSR_SET(msr_set_feature_control);

/* --- insn.c --- */
int nested_handle_vmx_insn(struct vcpu *vcpu);
int nested_vmcs12_alloc(struct vcpu *vcpu);
void nested_enter_vmx(struct vcpu *vcpu, gpa_t vmxon_gpa);

/* --- insn_short.c --- */
bool nested_short_vmrw(struct vcpu *vcpu, u64 *next);

/* --- insn_vmrw.c, insn_inv.c: operations of L1 that are no instructions --- */
int nested_op_vmread(struct vcpu *vcpu, bool *fetched, u64 enc, u64 *val);
int nested_op_vmwrite(struct vcpu *vcpu, bool *fetched, u64 enc, u64 val);
int nested_op_invept(struct vcpu *vcpu, u64 type, u64 eptp);
int nested_op_invvpid(struct vcpu *vcpu, u64 type, u64 vpid, u64 gla);

/* --- insn_vmptr.c --- */
void vmcs12_adopt(struct vcpu *vcpu, u64 gpa);
bool vmcs12_revision_ok(struct vcpu *vcpu, u32 rev);
void vmcs12_flush(struct vcpu *vcpu);

/* --- entry.c --- */
int nested_run(struct vcpu *vcpu, u32 blocking);
void nested_reenter(struct vcpu *vcpu, bool run_pending);

/* --- again.c --- */
void nested_again_ready(struct vcpu *vcpu);

/**
 * nested_again_still_ready() - as nested_again_ready(), if only a handler of a host's interrupt has run since that
 * @vcpu: about to enter again; the host state of the current VMCS is up to date
 *
 * Such a handler may have changed the host's CR3 and CR4, which the other VMCS lacks then.
 *
 * Context: Interrupts disabled. vcpu->vmcs is current.
 */
static inline void nested_again_still_ready(struct vcpu *vcpu)
{
	struct nested *n = &vcpu->nested;

	if (unlikely(vcpu->vmcs01.host_cr3 != n->vmcs02.host_cr3 || vcpu->vmcs01.host_cr4 != n->vmcs02.host_cr4))
		n->again.ready = false;
}

bool nested_again_reflect(struct vcpu *vcpu);
bool nested_again_resume(struct vcpu *vcpu);

/* --- again_ept.c --- */
bool nested_again_ept(struct vcpu *vcpu);

/* --- again_timer.c --- */
bool nested_again_deadline(struct vcpu *vcpu);

/* --- vmcs02.c --- */
void nested_sync_rare(struct vcpu *vcpu);
int nested_before_entry(struct vcpu *vcpu);
void nested_unpin(struct vcpu *vcpu);

/* --- tpr.c --- */
bool nested_retry_entry(struct vcpu *vcpu, u32 error);

/* --- bitmaps.c --- */
void nested_remerge_bitmaps(struct vcpu *vcpu);
void nested_remerge_ports(struct vcpu *vcpu);

/* --- apicv.c --- */
bool apicv_interrupt_due(const struct vcpu *vcpu);

/* --- events.c --- */
bool nested_check_events(struct vcpu *vcpu);
bool nested_has_events(struct vcpu *vcpu);
bool nested_wants_extint(struct vcpu *vcpu);
bool nested_wants_nmi(struct vcpu *vcpu);

/* --- nmi.c --- */
void nmi_note_exit(struct vcpu *vcpu);
bool nmi_exit_blocked(const struct vcpu *vcpu);

/* --- reflect.c --- */
struct route_verdict nested_route(struct vcpu *vcpu);
u32 nested_l0_exceptions(struct vcpu *vcpu, u32 intr_info);
u8 nested_exit_tells(u16 basic);
int nested_reflect(struct vcpu *vcpu, u8 origin);
int nested_reflect_as(struct vcpu *vcpu, u32 reason, u64 qual);
void nested_vmexit(struct vcpu *vcpu, u32 reason, u64 qual, u32 intr_info, u32 intr_error);
void nested_vmexit_exception(struct vcpu *vcpu);

/* --- delegate.c --- */
MSR_GET(msr_get_delegate);
MSR_SET(msr_set_delegate);
bool nested_delegates(struct vcpu *vcpu);
bool nested_takes_msr(struct vcpu *vcpu, u32 msr, bool write);
bool nested_takes_out(struct vcpu *vcpu, u16 port, u32 size);
bool nested_takes_write(struct vcpu *vcpu, u64 *gpa);

/* --- hostload.c --- */
bool nested_release_tables(struct vcpu *vcpu);

/* --- eptexit.c --- */
int nested_handle_ept(struct vcpu *vcpu);
int nested_access_device(struct vcpu *vcpu, gpa_t l1_gpa);
bool nested_is_apic_page(const struct vmcs12 *v, gpa_t l1_gpa);

/* --- kick.c --- */
bool nested_kick(struct vcpu *vcpu);

/* --- shadow.c --- */
int nested_shadow_init(void);
void nested_shadow_exit(void);
void nested_shadow_update(struct vcpu *vcpu);
void nested_shadow_follow_ept(struct vcpu *vcpu);
void nested_shadow_fill(struct vcpu *vcpu);
void nested_shadow_fill_exit(struct vcpu *vcpu);
void nested_shadow_fetch(struct vcpu *vcpu);
void nested_shadow_fetch_entry(struct vcpu *vcpu);
void nested_shadow_on_cpu(struct vcpu *vcpu);
void nested_shadow_free(struct vcpu *vcpu);

/* --- seldom.c --- */
bool nested_seldom_write(struct vcpu *vcpu);

/* --- savestate.c --- */
void savestate_collect(struct vcpu *vcpu, struct vmcs12 *v);
long vcpu_get_nested_state(void *self, void *arg, unsigned long uarg);
long vcpu_set_nested_state(void *self, void *arg, unsigned long uarg);

#endif
