// SPDX-License-Identifier: GPL-2.0
/* VMCS02, the VMCS that the processor runs L2 with: switch to it, write the fields that changed, read it back. */
#include <asm/nospec-branch.h>
#include "droste.h"
#include "ept/ept.h"
#include "irqchip/lapic_logic.h"
#include "mem/memslot.h"
#include "nested/merge.h"
#include "nested/nested.h"
#include "nested/pauseloop.h"
#include "nested/vmcs02.h"
#include "run/request.h"
#include "vmx/regs.h"
#include "vmx/vmx.h"

/* Write the fields of VMCS02 that never change. VMCS02 is current. */
static void vmcs02_write_constants(struct vcpu *vcpu)
{
	struct nested *n = &vcpu->nested;

	vmcs_write_host_constants();
	vmcs_write(VMCS_LINK_POINTER, ~0ULL);
	vmcs_write(VM_EXIT_MSR_STORE_COUNT, 0);
	vmx_perf_begin(vcpu);
	vmcs_write(MSR_BITMAP, __pa(n->msr_bitmap02));
	vmcs_write(GUEST_ACTIVITY_STATE, GUEST_ACTIVITY_ACTIVE);
	vmcs_write(GUEST_IA32_DEBUGCTL, 0);
	if (vmx_features.encls)
		vmcs_write(ENCLS_EXITING_BITMAP, ~0ULL);
	if (vcpu->ctl01.proc2 & SECONDARY_EXEC_ENABLE_VPID)
		vmcs_write(VIRTUAL_PROCESSOR_ID, n->vpid02);
	ple_begin(vcpu, &n->vmcs02);
	vmx_pml_begin(vcpu);
}

/* Initialize VMCS02 at the first entry. Called with preemption disabled. */
static void vmcs02_make(struct vcpu *vcpu)
{
	struct nested *n = &vcpu->nested;

	vmcs_load(&n->vmcs02);
	vmcs02_write_constants(vcpu);
	vmx_host_sync_cpu(&n->vmcs02);
	n->held = (struct vmcs02_held) {};
	n->vmcs02_made = true;
}

/*
 * Whether the VM entry must invalidate vpid02: always if L1 gives L2 no VPID
 * (SDM 3C 29.4.3.1), otherwise if vpid02 was last used for another VPID.
 */
static bool vmcs02_entry_flushes(struct nested *n)
{
	u16 vpid12 = merge_proc2_of(n->vmcs12) & SECONDARY_EXEC_ENABLE_VPID ? n->vmcs12->virtual_processor_id : 0;

	if (vpid12 && vpid12 == n->last_vpid12)
		return false;
	/* vpid02 has mappings of another VPID of L1, or of an L2 without one. */
	n->last_vpid12 = vpid12;
	return true;
}

/**
 * vmcs02_enter() - switch to VMCS02
 * @vcpu: in L1; sets vcpu->in_l2
 *
 * Invalidates linear mappings as the VM entry of L1 does (SDM 3C 29.4.3.1).
 *
 * Context: Process context. Any VMCS may be current, VMCS02 is afterwards.
 */
void vmcs02_enter(struct vcpu *vcpu)
{
	struct nested *n = &vcpu->nested;

	preempt_disable();
	if (unlikely(!n->vmcs02_made))
		vmcs02_make(vcpu);
	vcpu_switch_vmcs(vcpu, &n->vmcs02);
	vcpu->in_l2 = true;
	/* Invalidating on this CPU is enough: a vCPU that moves to another CPU invalidates there. */
	if (vmcs02_entry_flushes(n))
		vmx_invvpid_single(n->vpid02);
	preempt_enable();
}

/**
 * vmcs02_leave() - switch back to VMCS01
 * @vcpu: in L2; clears vcpu->in_l2
 *
 * Invalidates linear mappings as the VM exit to L1 does (SDM 3C 29.4.3.1).
 *
 * Context: Process context. Any VMCS may be current, VMCS01 is afterwards.
 */
void vmcs02_leave(struct vcpu *vcpu)
{
	struct nested *n = &vcpu->nested;

	preempt_disable();
	vcpu_switch_vmcs(vcpu, &vcpu->vmcs01);
	vcpu->in_l2 = false;
	if (unlikely(vcpu->ctl01_stale))
		vmx_write_ctl01(vcpu);
	/* L2 without a VPID shares VPID 0 with L1, so the exit invalidates L1's mappings too. */
	if (!(merge_proc2_of(n->vmcs12) & SECONDARY_EXEC_ENABLE_VPID))
		vmx_invvpid_single(vcpu->vpid01);
	/* L1 expects hardware to keep L2's branch predictions from it, but both are guests (CVE-2022-2196). */
	if (vcpu->gcaps.ibpb)
		indirect_branch_prediction_barrier();
	preempt_enable();
	n->ept02.cur = NULL;
	n->ept02.flat = false;
	n->pdptes_due = false;
	n->nmi_soft = false;
}

/**
 * vmcs02_eptp() - choose the EPT tables that L2 runs on
 * @vcpu: the vCPU, in L2 or about to enter it
 *
 * EPT02 for VMCS12's EPTP. If L1 does not use EPT, EPT01, or tables with the
 * same memory if L1 virtualizes APIC accesses.
 *
 * Context: Process context. Any VMCS may be current. May sleep.
 * Return: 0 or -ENOMEM.
 */
int vmcs02_eptp(struct vcpu *vcpu)
{
	struct nested *n = &vcpu->nested;
	u64 eptp12 = n->vmcs12->ept_pointer;
	u32 proc2 = merge_proc2_of(n->vmcs12);

	if (!(proc2 & SECONDARY_EXEC_ENABLE_EPT)) {
		if (proc2 & SECONDARY_EXEC_VIRTUALIZE_APIC_ACCESSES)
			return ept02_use_flat(vcpu, n->vmcs12->apic_access_addr);
		n->ept02.cur = NULL;
		n->ept02.flat = false;
		return 0;
	}
	if (ept02_find(vcpu, eptp12) || ept02_use(vcpu, eptp12))
		return 0;
	return -ENOMEM;
}

/**
 * vmcs02_forget() - make the next entry write all fields of VMCS02
 * @vcpu: the vCPU
 *
 * Called when the values in VMCS02 are no longer known.
 *
 * Context: Caller holds vcpu->mutex.
 */
void vmcs02_forget(struct vcpu *vcpu)
{
	struct nested *n = &vcpu->nested;

	n->held.valid = false;
	n->held01.valid = false;
	nested_changed(n);
	/* If VMCS02 has newer rare state than vmcs12, the next entry must not overwrite it. */
	n->vmcs12_dirty = n->vmcs02_stale ? DIRTY12_ALL & ~DIRTY12_RARE : DIRTY12_ALL;
}

static void vmcs02_write_word(bool force, unsigned long field, u32 *held, u32 val)
{
	if (force || *held != val) {
		vmcs_write(field, val);
		*held = val;
	}
}

/**
 * vmcs02_l0_controls() - controls that L0 asks for while L2 runs
 * @vcpu: in L2
 *
 * Context: The vCPU's thread.
 * Return: VMCS01's controls, with what emulates UMIP for L2 and not for L1.
 */
struct vmx_controls vmcs02_l0_controls(const struct vcpu *vcpu)
{
	struct vmx_controls c = vcpu->ctl01;

	if (vcpu->umip_exits[1])
		c.proc2 |= SECONDARY_EXEC_DESC;
	return c;
}

/* Whether L0 asks for other controls than those that VMCS02 has been merged from. */
static bool vmcs02_l0_differs(const struct vcpu *vcpu)
{
	return memcmp(&vcpu->nested.merged01, &vcpu->ctl01, sizeof(vcpu->ctl01)) ||
	       vcpu->nested.merged_umip != vcpu->umip_exits[1];
}

/*
 * L1 is offered four CR3-target values. Of those that the processor lacks, L2's
 * MOV to CR3 exits to L0, which carries it out: see route_mov_to_cr(). If L0 asks
 * for exits by MOV to CR3, that goes for all of them.
 */
static void vmcs02_write_cr3_targets(const struct vmx_controls *l0, const struct vmcs12 *v)
{
	u32 n = merge_cr3_targets(l0->proc, v->cr3_target_count, vmx_features.cr3_targets);

	vmcs_write(CR3_TARGET_COUNT, n);
	if (n > 0)
		vmcs_write(CR3_TARGET_VALUE0, v->cr3_target_value0);
	if (n > 1)
		vmcs_write(CR3_TARGET_VALUE1, v->cr3_target_value1);
	if (n > 2)
		vmcs_write(CR3_TARGET_VALUE2, v->cr3_target_value2);
	if (n > 3)
		vmcs_write(CR3_TARGET_VALUE3, v->cr3_target_value3);
}

/* Merge and write the controls. ctl02 leaves out the windows and the timer that run/ uses for L0. */
static void vmcs02_write_controls(struct vcpu *vcpu, bool lma)
{
	struct nested *n = &vcpu->nested;
	const struct vmcs12 *v = n->vmcs12;
	bool force = !n->held.valid;
	struct vmx_controls l0 = vmcs02_l0_controls(vcpu), c;
	struct merged_pf pf;

	merge_controls(&l0, v, lma, &c, &pf);
	if (!n->vpid02)
		c.proc2 &= ~SECONDARY_EXEC_ENABLE_VPID;
	/* vmcs02_write_crs() writes them too, but they also depend on L0's control, which may have changed since. */
	if (unlikely((n->merged01.proc ^ l0.proc) & CPU_BASED_CR3_LOAD_EXITING))
		vmcs02_write_cr3_targets(&l0, v);
	n->merged01 = vcpu->ctl01;
	n->merged_umip = vcpu->umip_exits[1];
	if (force || n->ctl02.pin != c.pin)
		vmcs_write(PIN_BASED_VM_EXEC_CONTROL,
			   c.pin | (n->vmcs02.timer_on ? PIN_BASED_VMX_PREEMPTION_TIMER : 0));
	n->ctl02.pin = c.pin;
	if (force || n->ctl02.proc != c.proc)
		vmcs_write(CPU_BASED_VM_EXEC_CONTROL, c.proc | n->vmcs02.windows);
	n->ctl02.proc = c.proc;
	vmcs02_write_word(force, SECONDARY_VM_EXEC_CONTROL, &n->ctl02.proc2, c.proc2);
	vmcs02_write_word(force, VM_EXIT_CONTROLS, &n->ctl02.exit, c.exit);
	vmcs02_write_word(force, VM_ENTRY_CONTROLS, &n->ctl02.entry, c.entry);
	vmcs02_write_word(force, EXCEPTION_BITMAP, &n->ctl02.exceptions, c.exceptions);
	vmcs_write(PAGE_FAULT_ERROR_CODE_MASK, pf.mask);
	vmcs_write(PAGE_FAULT_ERROR_CODE_MATCH, pf.match);
	n->tpr_threshold02 = v->tpr_threshold;
	if (c.proc & CPU_BASED_TPR_SHADOW)
		vmcs_write(TPR_THRESHOLD, v->tpr_threshold);
	if (c.proc2 & VMCS_CONTROL_BIT(XSAVES))	/* L0's bitmap is 0 */
		vmcs_write(XSS_EXIT_BITMAP, v->xss_exit_bitmap);
	if (c.proc2 & SECONDARY_EXEC_PAUSE_LOOP_EXITING)
		pauseloop_write(vcpu);
	if (vmcs02_delivers_virtually(&c)) {
		vmcs_write(EOI_EXIT_BITMAP0, v->eoi_exit_bitmap0);
		vmcs_write(EOI_EXIT_BITMAP1, v->eoi_exit_bitmap1);
		vmcs_write(EOI_EXIT_BITMAP2, v->eoi_exit_bitmap2);
		vmcs_write(EOI_EXIT_BITMAP3, v->eoi_exit_bitmap3);
	}
}

static void vmcs02_write_crs(struct vcpu *vcpu)
{
	const struct vmcs12 *v = vcpu->nested.vmcs12;
	u64 mask0 = v->cr0_guest_host_mask, mask4 = v->cr4_guest_host_mask;
	u64 cr0 = vmx_keep_cd(vcpu, v->guest_cr0);

	vcpu->nested.held.cr0_cd = vcpu->cr0_cd;

	vmcs_write(CR0_GUEST_HOST_MASK, merge_cr_mask(vmx_cr0_guest_owned(vcpu), mask0));
	vmcs_write(CR4_GUEST_HOST_MASK, merge_cr_mask(vmx_cr4_guest_owned(vcpu), mask4));
	vmcs_write(CR0_READ_SHADOW, merge_cr_shadow(cr0, v->cr0_read_shadow, mask0));
	vmcs_write(CR4_READ_SHADOW, merge_cr_shadow(v->guest_cr4, v->cr4_read_shadow, mask4));
	vmcs_write(GUEST_CR0, vmx_hw_cr0(cr0));
	vmcs_write(GUEST_CR4, vmx_hw_cr4(v->guest_cr4));
	vmcs_write(GUEST_CR3, v->guest_cr3);
	vmcs02_write_cr3_targets(&vcpu->ctl01, v);
}

/*
 * Write the rare guest state and the access rights of CS and SS. The compiler
 * drops all other rows, which leaves one load and one VMWRITE for each field. A
 * loop over a table would add a load of the encoding and the offset and a switch
 * on the width for each.
 */
static noinline void vmcs02_write_rare(const struct vmcs12 *v)
{
#define FIELD(name, member, width, class, sync, shadow, gate, dirty, twin) \
	if (DIRTY12_##dirty == DIRTY12_RARE) \
		vmcs_write(name, v->member);
#include "vmx/fields.def"
}

/* Read the rare guest state; without a loop, as in vmcs02_write_rare(). */
static noinline void vmcs02_read_rare(struct vmcs12 *v)
{
#define FIELD(name, member, width, class, sync, shadow, gate, dirty, twin) \
	if (SYNC_##sync == SYNC_RARE) \
		v->member = vmcs_read(name);
#include "vmx/fields.def"
}

/* Write guest state for which L1's entry controls choose between VMCS12's value and L1's own (SDM 3C 27.3.2.1). */
static void vmcs02_write_conditional(struct vcpu *vcpu, u64 efer)
{
	struct nested *n = &vcpu->nested;
	const struct vmcs12 *v = n->vmcs12;
	bool force = !n->held.valid, debug = v->vm_entry_controls & VM_ENTRY_LOAD_DEBUG_CONTROLS;
	u64 dr7 = debug ? v->guest_dr7 : n->l1_dr7;
	u64 pat = v->vm_entry_controls & VM_ENTRY_LOAD_IA32_PAT ? v->guest_ia32_pat : n->l1_pat;

	/* While user space debugs the guest, the field does not hold the guest's DR7. The debugger may have come or gone. */
	vcpu->dr7 = dr7;
	if (force || dr7 != n->held.dr7 || vcpu->vmcs->dr7 != vcpu_effective_dr7(vcpu))
		vcpu_set_dr7(vcpu, dr7);
	/* vcpu->debugctl still is L1's. */
	vcpu_set_debugctl(vcpu, debug ? v->guest_ia32_debugctl : vcpu->debugctl);
	vcpu->pat = pat;
	if (force || pat != n->held.pat)
		vmcs_write(GUEST_IA32_PAT, pat);
	vcpu->efer = efer;
	if (force || efer != n->held.efer)
		vmcs_write(GUEST_IA32_EFER, efer);
}

/* Write the state that changes between any two entries, and the event that L1 injects. */
static void vmcs02_write_hot(struct vcpu *vcpu)
{
	struct nested *n = &vcpu->nested;
	const struct vmcs12 *v = n->vmcs12;
	u32 state = v->guest_interruptibility_info;
	bool force = !n->held.valid;

	vcpu_set_rip(vcpu, v->guest_rip);
	if (force || v->guest_rsp != n->held.rsp)
		vcpu_set_rsp(vcpu, v->guest_rsp);
	if (force || v->guest_rflags != n->held.rflags)
		vcpu_set_rflags(vcpu, v->guest_rflags);
	if (unlikely(!nested_has_vnmi(n)))
		state = nmi_load(n);
	if (force || state != n->held.interruptibility)
		vmcs_write(GUEST_INTERRUPTIBILITY_INFO, state);
	if (vmcs02_delivers_virtually(&n->ctl02) && (force || v->guest_intr_status != n->held.intr_status))
		vmcs_write(GUEST_INTR_STATUS, v->guest_intr_status);
	if (v->vm_entry_intr_info_field & INTR_INFO_VALID_MASK) {
		vmcs_write(VM_ENTRY_EXCEPTION_ERROR_CODE, v->vm_entry_exception_error_code);
		vmcs_write(VM_ENTRY_INSTRUCTION_LEN, v->vm_entry_instruction_len);
		vmcs_write(VM_ENTRY_INTR_INFO_FIELD, v->vm_entry_intr_info_field);
	} else if (force) {
		vmcs_write(VM_ENTRY_INTR_INFO_FIELD, 0);
	}
}

/*
 * Write the TSC offset and multiplier of L2. L2 reads L1's counter times
 * VMCS12's multiplier plus VMCS12's offset (SDM 3C 25.6.5, 26.3), so both fields
 * combine the values of both levels. A field that has the right value already
 * is not written. VMCS02 is current.
 */
static void vmcs02_write_tsc(struct vcpu *vcpu)
{
	struct nested *n = &vcpu->nested;
	const struct vmcs12 *v = n->vmcs12;
	u64 offset = vcpu->tsc.offset, ratio = vcpu->tsc.ratio;

	if (v->cpu_based_vm_exec_control & CPU_BASED_USE_TSC_OFFSETTING) {
		if (merge_proc2_of(v) & SECONDARY_EXEC_TSC_SCALING) {
			offset = mul_s64_u64_shr(offset, v->tsc_multiplier, TSC_RATIO_BITS);
			/* L1's multiplier may be so small that the product is 0, which is not a valid multiplier. */
			ratio = tsc_scale(ratio, v->tsc_multiplier) ?: 1;
		}
		offset += v->tsc_offset;
	}
	if (!n->held.valid || offset != n->held.tsc_offset) {
		vmcs_write(TSC_OFFSET, offset);
		n->held.tsc_offset = offset;
	}
	if (vmx_features.tsc_scaling && (!n->held.valid || ratio != n->held.tsc_ratio))
		vmcs_write(TSC_MULTIPLIER, ratio);
	n->held.tsc_ratio = ratio;
}

static bool vmcs02_pae_paging(const struct vmcs12 *v, u64 efer)
{
	return !(efer & EFER_LMA) && (v->guest_cr0 & X86_CR0_PG) && (v->guest_cr4 & X86_CR4_PAE);
}

/* Load the PDPTEs: from VMCS12 if L1 uses EPT, otherwise from memory (SDM 3C 27.3.2.4). */
static int vmcs02_write_pdptrs(struct vcpu *vcpu)
{
	const struct vmcs12 *v = vcpu->nested.vmcs12;

	if (!(merge_proc2_of(v) & SECONDARY_EXEC_ENABLE_EPT))
		return vmx_load_pdptrs(vcpu, v->guest_cr3);
	vmcs_write(GUEST_PDPTR0, v->guest_pdptr0);
	vmcs_write(GUEST_PDPTR1, v->guest_pdptr1);
	vmcs_write(GUEST_PDPTR2, v->guest_pdptr2);
	vmcs_write(GUEST_PDPTR3, v->guest_pdptr3);
	return 0;
}

/**
 * vmcs02_write() - write the state of a VM entry of L1 to VMCS02
 * @vcpu: in L2 since vmcs02_enter(); L2 has not run yet
 *
 * Writes the fields that L1 or L0 changed since the last entry. SDM 3C 27.3.2.
 *
 * Context: Process context. VMCS02 is current. Caller holds vm->srcu. May sleep.
 * Return: 0, or the exit qualification of the VM-entry failure (SDM 3C 27.8).
 */
u64 vmcs02_write(struct vcpu *vcpu)
{
	struct nested *n = &vcpu->nested;
	const struct vmcs12 *v = n->vmcs12;
	u32 dirty = n->held.valid ? n->vmcs12_dirty : DIRTY12_ALL;
	u64 efer = merge_entry_efer(v, n->l1_efer);

	vmx_note_cr4(vcpu, v->guest_cr4);
	/* VMCS02 has newer rare state than vmcs12, unless L1 wrote some: then all of it was read back before. */
	if (n->vmcs02_stale && !(n->vmcs12_dirty & DIRTY12_RARE))
		dirty &= ~DIRTY12_RARE;
	if ((dirty & DIRTY12_CTL) || vmcs02_l0_differs(vcpu) ||
	    !(efer & EFER_LMA) != !(n->ctl02.entry & VM_ENTRY_IA32E_MODE))
		vmcs02_write_controls(vcpu, efer & EFER_LMA);
	if ((dirty & DIRTY12_CR) || n->held.cr0_cd != vcpu->cr0_cd)
		vmcs02_write_crs(vcpu);
	vmcs02_write_conditional(vcpu, efer);
	if (dirty & DIRTY12_RARE) {
		vmcs02_write_rare(v);
		n->vmcs02_stale = false;
	}
	vmcs02_write_hot(vcpu);
	vmcs02_write_tsc(vcpu);
	if (dirty & (DIRTY12_HOST | DIRTY12_MODE_ONLY))
		n->held01.valid = false;
	nested_changed(n);
	n->held.valid = true;
	n->vmcs12_dirty = 0;
	n->bitmap_due = true;
	return unlikely(vmcs02_pae_paging(v, efer)) && vmcs02_write_pdptrs(vcpu) ? ENTRY_FAIL_PDPTE : 0;
}

/* VMCS12's value of a control register: bits in L1's mask as L1 set them, the others as L2 has them now. */
static u64 vmcs02_save_cr(u64 owned, u64 mask12, u64 guest12, unsigned long field, unsigned long shadow)
{
	u64 cr = guest12 & mask12;

	if (owned & ~mask12)
		cr |= vmcs_read(field) & owned & ~mask12;
	if (~owned & ~mask12)
		cr |= vmcs_read(shadow) & ~owned & ~mask12;
	return cr;
}

static __always_inline void vmcs02_read_conditional(struct vcpu *vcpu, struct vmcs12 *v)
{
	if (v->vm_exit_controls & VM_EXIT_SAVE_DEBUG_CONTROLS) {
		v->guest_dr7 = vcpu->dr7;
		v->guest_ia32_debugctl = vcpu->debugctl;
	}
	if (v->vm_exit_controls & VM_EXIT_SAVE_IA32_PAT)
		v->guest_ia32_pat = vcpu->pat;
	if (v->vm_exit_controls & VM_EXIT_SAVE_IA32_EFER)
		v->guest_ia32_efer = vcpu->efer;
}

/* L2's activity state, as L1 reads it (SDM 3C 25.4.2). */
static u32 vmcs02_activity(const struct vcpu *vcpu)
{
	switch (vcpu->mp_state) {
	case KVM_MP_STATE_HALTED:
		return GUEST_ACTIVITY_HLT;
	case KVM_MP_STATE_INIT_RECEIVED:
		return GUEST_ACTIVITY_WAIT_SIPI;
	default:
		return GUEST_ACTIVITY_ACTIVE;
	}
}

/* L2's interruptibility state: nested.held has that of VMCS02, and nmi.c says when VMCS12's blocking by NMI counts. */
static u32 vmcs02_blocking(const struct nested *n)
{
	if (likely(!n->nmi_soft))
		return n->held.interruptibility;
	return (n->held.interruptibility & ~(u32)GUEST_INTR_STATE_NMI) |
	       (n->vmcs12->guest_interruptibility_info & GUEST_INTR_STATE_NMI);
}

/* Read the state that an exit saves (SDM 3C 28.3), except the rare state, into vmcs12 or a copy of it. */
static __always_inline void vmcs02_read_state(struct vcpu *vcpu, struct vmcs12 *v)
{
	u32 ia32e = vcpu->efer & EFER_LMA ? VM_ENTRY_IA32E_MODE : 0;

	v->guest_rip = vcpu_rip(vcpu);
	v->guest_rsp = vcpu_rsp(vcpu);
	v->guest_rflags = vcpu_rflags(vcpu);
	v->guest_cr0 = vmx_keep_cd(vcpu, vmcs02_save_cr(vmx_cr0_guest_owned(vcpu), v->cr0_guest_host_mask,
							v->guest_cr0, GUEST_CR0, CR0_READ_SHADOW));
	v->guest_cr4 = vmcs02_save_cr(vmx_cr4_guest_owned(vcpu), v->cr4_guest_host_mask, v->guest_cr4,
			       GUEST_CR4, CR4_READ_SHADOW);
	v->guest_cr3 = vmcs_read(GUEST_CR3);
	vcpu->nested.held.interruptibility = vmcs_read(GUEST_INTERRUPTIBILITY_INFO);
	v->guest_interruptibility_info = vmcs02_blocking(&vcpu->nested);
	v->guest_cs_ar_bytes = vmcs_read(GUEST_CS_AR_BYTES);
	v->guest_ss_ar_bytes = vmcs_read(GUEST_SS_AR_BYTES);
	v->guest_activity_state = vmcs02_activity(vcpu);
	if (vmcs02_delivers_virtually(&vcpu->nested.ctl02))
		v->guest_intr_status = vmcs_read(GUEST_INTR_STATUS);
	vmcs02_read_conditional(vcpu, v);
	/* An exit saves "IA-32e mode guest" too (SDM 3C 28.2). L0's handlers may have changed it. */
	v->vm_entry_controls = (v->vm_entry_controls & ~(u32)VM_ENTRY_IA32E_MODE) | ia32e;
	if (unlikely(vmcs02_pae_paging(v, vcpu->efer)) && vcpu->nested.ept02.cur) {
		v->guest_pdptr0 = vmcs_read(GUEST_PDPTR0);
		v->guest_pdptr1 = vmcs_read(GUEST_PDPTR1);
		v->guest_pdptr2 = vmcs_read(GUEST_PDPTR2);
		v->guest_pdptr3 = vmcs_read(GUEST_PDPTR3);
	}
}

/**
 * vmcs02_save() - save L2's state in VMCS12 at an exit to L1 (SDM 3C 28.3)
 * @vcpu: in L2
 *
 * The rare state stays in VMCS02 until nested_sync_rare() reads it.
 *
 * Context: Process context. VMCS02 is current.
 */
void vmcs02_save(struct vcpu *vcpu)
{
	struct nested *n = &vcpu->nested;
	struct vmcs12 *v = n->vmcs12;

	vmcs02_read_state(vcpu, v);
	n->again.cr4_seen = CR_UNSEEN;
	n->ctl02.entry = (n->ctl02.entry & ~(u32)VM_ENTRY_IA32E_MODE) | (v->vm_entry_controls & VM_ENTRY_IA32E_MODE);
	n->held.cr0_cd = vcpu->cr0_cd;
	n->held.dr7 = vcpu->dr7;
	n->held.pat = vcpu->pat;
	n->held.efer = vcpu->efer;
	n->held.rsp = v->guest_rsp;
	n->held.rflags = v->guest_rflags;
	if (vmcs02_delivers_virtually(&n->ctl02))
		n->held.intr_status = v->guest_intr_status;
	n->vmcs02_stale = true;
}

/**
 * vmcs02_copy() - copy VMCS12 with all of L2's current state
 * @vcpu: in L2, and stays there
 * @to: the copy
 *
 * Context: Process context. VMCS02 is current.
 */
void vmcs02_copy(struct vcpu *vcpu, struct vmcs12 *to)
{
	*to = *vcpu->nested.vmcs12;
	vmcs02_read_state(vcpu, to);
	vmcs02_read_rare(to);
}

/**
 * nested_sync_rare() - read the rare guest state back from VMCS02
 * @vcpu: the vCPU, loaded; does nothing if VMCS12 is up to date
 *
 * If VMCS02 was not active on this CPU, it must not stay so: the next entry
 * would not write VMCS02's host state for this CPU.
 *
 * Context: Process context, interrupts enabled. Any VMCS may be current, and
 * stays current.
 */
void nested_sync_rare(struct vcpu *vcpu)
{
	struct nested *n = &vcpu->nested;
	bool elsewhere;

	if (!n->vmcs02_stale)
		return;
	preempt_disable();
	elsewhere = n->vmcs02.cpu != smp_processor_id();
	vmcs_load(&n->vmcs02);
	vmcs02_read_rare(n->vmcs12);
	if (elsewhere) {
		local_irq_disable();
		vmcs_clear_local(&n->vmcs02);
		local_irq_enable();
	}
	vmcs_load(vcpu->vmcs);
	preempt_enable();
	n->vmcs02_stale = false;
}

/**
 * nested_sync_rare_here() - read the rare guest state back from VMCS02, which is current
 * @n: of a vCPU in L1
 *
 * Context: VMCS02 is current, and was active on this CPU before. Interrupts may be disabled.
 */
void nested_sync_rare_here(struct nested *n)
{
	vmcs02_read_rare(n->vmcs12);
	n->vmcs02_stale = false;
}

/*
 * Pin a page of L1 and write its address to VMCS02. If L1 has no memory there, a page of all ones takes its place. Returns 0;
 * -EINTR if @may_stop and a signal came before the page.
 */
static int vmcs02_place_page(struct vcpu *vcpu, struct gpa_map *map, gpa_t gpa, unsigned long field, bool may_stop)
{
	int ret;

	if (likely(map->page && map->gpa == (gpa & PAGE_MASK)))
		return 0;
	vm_unmap_gpa(vcpu->vm, map);
	if (may_stop && vm_await_guest(vcpu->vm, gpa & PAGE_MASK))
		return -EINTR;
	ret = vm_map_gpa(vcpu->vm, gpa, map);
	if (ret < 0) {
		map->hva = NULL;
		if (field)
			vmcs_write(field, __pa(vcpu->nested.no_page));
	} else if (field) {
		vmcs_write(field, map->hpa);
	}
	/* The host is moving the page. It is pinned anew before L2 runs. */
	if (unlikely(ret > 0))
		vcpu_request(vcpu, REQ_UNPIN);
	return 0;
}

/**
 * vmcs02_place_pages() - pin the pages of L1 that VMCS02 and L0 use for L2
 * @vcpu: in L2
 * @may_stop: a signal ends the wait for a page that is not there yet
 *
 * Costs little if nothing has changed.
 *
 * Context: Process context. VMCS02 is current. Caller holds vm->srcu. May sleep.
 * Return: 0; -EINTR after a signal, and L2 must not be entered.
 */
int vmcs02_place_pages(struct vcpu *vcpu, bool may_stop)
{
	struct nested *n = &vcpu->nested;
	const struct vmcs12 *v = n->vmcs12;
	int err = 0;

	if (n->ctl02.proc & CPU_BASED_USE_MSR_BITMAPS)
		err |= vmcs02_place_page(vcpu, &n->msr_bitmap12, v->msr_bitmap, 0, may_stop);
	if (v->cpu_based_vm_exec_control & CPU_BASED_USE_IO_BITMAPS) {
		err |= vmcs02_place_page(vcpu, &n->io_bitmap12[0], v->io_bitmap_a, 0, may_stop);
		err |= vmcs02_place_page(vcpu, &n->io_bitmap12[1], v->io_bitmap_b, 0, may_stop);
	}
	if (n->ctl02.proc & CPU_BASED_TPR_SHADOW)
		err |= vmcs02_place_page(vcpu, &n->virtual_apic, v->virtual_apic_page_addr, VIRTUAL_APIC_PAGE_ADDR, may_stop);
	if (n->ctl02.proc2 & SECONDARY_EXEC_VIRTUALIZE_APIC_ACCESSES)
		err |= vmcs02_place_page(vcpu, &n->apic_access, v->apic_access_addr, APIC_ACCESS_ADDR, may_stop);
	if (v->pin_based_vm_exec_control & PIN_BASED_POSTED_INTR)
		err |= vmcs02_place_page(vcpu, &n->posted_desc, v->posted_intr_desc_addr, 0, may_stop);
	return err;
}

/**
 * nested_before_entry() - bring VMCS02 up to date before each entry into L2
 * @vcpu: in L2, loaded; pending requests were handled, which may change what
 *	this function reads
 *
 * Covers pinned pages, the EPTP, L0's controls, the MSR bitmap and the TSC. Does
 * not sleep if nothing has changed.
 *
 * Context: Process context, interrupts enabled. VMCS02 is current.
 * Caller holds vm->srcu. May sleep.
 * Return: NEXT_ENTER; -ENOMEM; -EFAULT if user space restored an L2 whose PDPTEs cannot
 * be read from memory; -EINTR if a signal came before a page of L1.
 */
int nested_before_entry(struct vcpu *vcpu)
{
	struct nested *n = &vcpu->nested;
	u64 eptp;

	if (unlikely(vmcs02_place_pages(vcpu, true))) {
		vcpu->run->exit_reason = KVM_EXIT_INTR;
		return -EINTR;
	}
	if (vmcs02_eptp(vcpu))
		return -ENOMEM;
	if (unlikely(n->pdptes_due)) {
		if (vmx_load_pdptrs(vcpu, vmcs_read(GUEST_CR3)))
			return -EFAULT;
		n->pdptes_due = false;
	}
	if (n->ept02.cur) {
		eptp = n->ept02.cur->eptp;
	} else if (unlikely(n->ept02.flat)) {
		eptp = n->ept02.roots[EPT02_FLAT].eptp;
		ept02_flat_apic_page(vcpu, n->apic_access.page ? n->apic_access.hpa : __pa(n->no_page));
	} else {
		eptp = vcpu->vm->ept01.eptp;
	}
	if (eptp != n->held.eptp) {
		vmcs_write(EPT_POINTER, eptp);
		n->held.eptp = eptp;
	}
	if (unlikely(vmcs02_l0_differs(vcpu)))
		vmcs02_write_controls(vcpu, vcpu->efer & EFER_LMA);
	if (unlikely(n->tpr_threshold02 | n->vmcs12->tpr_threshold))
		tpr_fit_threshold(n);
	if (n->bitmap_due && (n->ctl02.proc & CPU_BASED_USE_MSR_BITMAPS))
		bitmaps_merge(vcpu);
	if (unlikely(n->ctl02.proc & CPU_BASED_USE_IO_BITMAPS) && bitmaps_place_io(vcpu))
		return -ENOMEM;
	vmcs02_write_tsc(vcpu);
	pauseloop_before_entry(n);
	return NEXT_ENTER;
}

/**
 * nested_unpin() - release the pages of L1 that are pinned for L2
 * @vcpu: the vCPU; at any level
 *
 * vmcs02_place_pages() pins them again.
 *
 * Context: Process context. The vCPU's thread, or the vCPU is being destroyed.
 */
void nested_unpin(struct vcpu *vcpu)
{
	struct nested *n = &vcpu->nested;

	vm_unmap_gpa(vcpu->vm, &n->msr_bitmap12);
	vm_unmap_gpa(vcpu->vm, &n->io_bitmap12[0]);
	vm_unmap_gpa(vcpu->vm, &n->io_bitmap12[1]);
	vm_unmap_gpa(vcpu->vm, &n->virtual_apic);
	vm_unmap_gpa(vcpu->vm, &n->apic_access);
	vm_unmap_gpa(vcpu->vm, &n->posted_desc);
	n->bitmap_due = true;
	nested_changed(n);
}
