// SPDX-License-Identifier: GPL-2.0
/* Checks the short way of again.c against what the general path would have done. For tests: it costs thousands of instructions. */
#include <linux/math64.h>
#include <asm/apicdef.h>
#include "droste.h"
#include "cpu/walk.h"
#include "ept/ept12.h"
#include "mem/l2gpa.h"
#include "mem/memslot.h"
#include "nested/bitmaps.h"
#include "nested/checks_vcpu.h"
#include "nested/cluster_code.h"
#include "nested/merge.h"
#include "nested/nested.h"
#include "nested/route.h"
#include "nested/seldom.h"
#include "nested/shadow.h"
#include "nested/vmcs02.h"
#include "run/request.h"
#include "vmx/regs.h"
#include "vmx/vmx.h"

/* Say what is wrong and end the VM: vm_kill() may not be called with interrupts disabled. */
static void paranoid_fail(struct vcpu *vcpu, const char *what, u64 is, u64 should)
{
	pr_err("droste: vCPU %d: the short way leaves %s %#llx, the general one %#llx\n", vcpu->id, what, is, should);
	WARN_ON_ONCE(1);
	WRITE_ONCE(vcpu->vm->dead, true);
	vcpu_request(vcpu, REQ_DEAD);
}

static void paranoid_value(struct vcpu *vcpu, const char *what, u64 is, u64 should)
{
	if (unlikely(is != should))
		paranoid_fail(vcpu, what, is, should);
}

#define PARANOID_FIELD(vcpu, field, should)	paranoid_value(vcpu, #field, vmcs_read(field), should)

/* A data segment after an exit (SDM 3C 28.5.2). */
static void paranoid_segment(struct vcpu *vcpu, const char *name, enum seg seg, u16 sel)
{
	struct kvm_segment s;

	vcpu_get_segment(vcpu, seg, &s);
	paranoid_value(vcpu, name, s.selector, sel);
	if (!sel) {
		paranoid_value(vcpu, name, s.unusable, 1);
		return;
	}
	paranoid_value(vcpu, name, s.limit, ~0U);
	paranoid_value(vcpu, name, s.type | s.s << 4 | s.dpl << 5 | s.present << 7 | s.db << 14 | s.g << 15, 0xc093);
	if (seg != SEG_FS && seg != SEG_GS)
		paranoid_value(vcpu, name, s.base, 0);
}

static void paranoid_segments(struct vcpu *vcpu, const struct vmcs12 *v)
{
	PARANOID_FIELD(vcpu, GUEST_CS_SELECTOR, v->host_cs_selector);
	PARANOID_FIELD(vcpu, GUEST_CS_AR_BYTES, 0xa09b);
	paranoid_segment(vcpu, "SS", SEG_SS, v->host_ss_selector);
	paranoid_segment(vcpu, "DS", SEG_DS, v->host_ds_selector);
	paranoid_segment(vcpu, "ES", SEG_ES, v->host_es_selector);
	paranoid_segment(vcpu, "FS", SEG_FS, v->host_fs_selector);
	paranoid_segment(vcpu, "GS", SEG_GS, v->host_gs_selector);
	PARANOID_FIELD(vcpu, GUEST_FS_BASE, v->host_fs_base);
	PARANOID_FIELD(vcpu, GUEST_GS_BASE, v->host_gs_base);
	PARANOID_FIELD(vcpu, GUEST_TR_SELECTOR, v->host_tr_selector);
	PARANOID_FIELD(vcpu, GUEST_TR_BASE, v->host_tr_base);
	PARANOID_FIELD(vcpu, GUEST_TR_LIMIT, 0x67);
	PARANOID_FIELD(vcpu, GUEST_TR_AR_BYTES, 0x8b);
	PARANOID_FIELD(vcpu, GUEST_LDTR_SELECTOR, 0);
	paranoid_value(vcpu, "LDTR", vmcs_read(GUEST_LDTR_AR_BYTES) & VMX_AR_UNUSABLE_MASK, VMX_AR_UNUSABLE_MASK);
	PARANOID_FIELD(vcpu, GUEST_GDTR_BASE, v->host_gdtr_base);
	PARANOID_FIELD(vcpu, GUEST_GDTR_LIMIT, 0xffff);
	PARANOID_FIELD(vcpu, GUEST_IDTR_BASE, v->host_idtr_base);
	PARANOID_FIELD(vcpu, GUEST_IDTR_LIMIT, 0xffff);
}

/* Compare the fields that L1 reads, and those that it writes and that the last entry has fetched. */
static void paranoid_shadow(struct vcpu *vcpu)
{
	struct nested *n = &vcpu->nested;
	const struct vmcs12 *v = n->vmcs12;

	vmcs_load(&n->shadow);
#define FIELD(name, member, width, class, sync, shadow, gate, dirty, twin) \
	if (SHADOW_##shadow != SHADOW_NONE && shadow_has(GATE_##gate) && \
	    (SHADOW_##shadow != SHADOW_RW || shadow_entry_needs(n, name))) \
		PARANOID_FIELD(vcpu, name, v->member);
#include "vmx/fields.def"
	vmcs_load(vcpu->vmcs);
}

/* A control register of L2 as an exit saves it: see vmcs02_save_cr(). VMCS02 is current, and has @hw and @shadow. */
static u64 paranoid_cr(u64 guest12, u64 mask12, u64 l0_owned, u64 hw, u64 shadow)
{
	return (guest12 & mask12) | (((hw & l0_owned) | (shadow & ~l0_owned)) & ~mask12);
}

/*
 * Compare the exit information in VMCS12 with what the reason defines (SDM 3C 28.2), and with the processor's where the exit
 * is its own: deadlines and interrupts are L0's, and an EPT violation's qualification is of L1's tables, which may make it a
 * misconfiguration. Of the instructions that access ports, only INS and OUTS have a linear address and information. The short
 * way takes no exit that comes during the delivery of an event. VMCS02 is current.
 */
static void paranoid_exit_info(struct vcpu *vcpu, const struct vmcs12 *v)
{
	u32 reason = v->vm_exit_reason, hw = vmcs_read(VM_EXIT_REASON);
	u8 t = nested_exit_tells(reason);
	bool own = (reason == hw && reason != EXIT_REASON_EXTERNAL_INTERRUPT && reason != EXIT_REASON_PREEMPTION_TIMER) ||
		   (reason == EXIT_REASON_EPT_MISCONFIG && hw == EXIT_REASON_EPT_VIOLATION);
	bool more = reason != EXIT_REASON_IO_INSTRUCTION || (v->exit_qualification & IO_STRING);
	u64 iinfo = own && more && (t & EXIT_IINFO) ? vmcs_read(VMX_INSTRUCTION_INFO) : 0;

	if (!(t & EXIT_QUAL) || (own && reason != EXIT_REASON_EPT_VIOLATION))
		paranoid_value(vcpu, "exit qualification", v->exit_qualification, t & EXIT_QUAL ? vmcs_read(EXIT_QUALIFICATION) : 0);
	paranoid_value(vcpu, "instruction length", v->vm_exit_instruction_len,
		       own && (t & EXIT_ILEN) ? vmcs_read(VM_EXIT_INSTRUCTION_LEN) : 0);
	paranoid_value(vcpu, "instruction information", v->vmx_instruction_info, iinfo);
	if (own && (t & EXIT_GPA))
		paranoid_value(vcpu, "guest-physical address", v->guest_physical_address, vmcs_read(GUEST_PHYSICAL_ADDRESS));
	if (own && (t & EXIT_GLA))
		paranoid_value(vcpu, "guest-linear address", v->guest_linear_address, more ? vmcs_read(GUEST_LINEAR_ADDRESS) : 0);
	if (!(t & EXIT_INTR))
		paranoid_value(vcpu, "interruption information", v->vm_exit_intr_info, 0);
	paranoid_value(vcpu, "IDT-vectoring information", v->idt_vectoring_info_field & VECTORING_INFO_VALID_MASK, 0);
	if (own)
		paranoid_value(vcpu, "event in delivery", vmcs_read(IDT_VECTORING_INFO_FIELD) & VECTORING_INFO_VALID_MASK, 0);
	paranoid_value(vcpu, "event injection", v->vm_entry_intr_info_field & INTR_INFO_VALID_MASK, 0);
	paranoid_value(vcpu, "launch state", v->launch_state, VMCS12_LAUNCHED);
}

/* Compare L2's state in VMCS12 with VMCS02. */
static void paranoid_saved(struct vcpu *vcpu)
{
	struct nested *n = &vcpu->nested;
	const struct vmcs12 *v = n->vmcs12;
	u64 cr0, cr4;

	vmcs_load(&n->vmcs02);
	paranoid_exit_info(vcpu, v);
	if (n->again.fetches_vid)
		PARANOID_FIELD(vcpu, GUEST_INTR_STATUS, v->guest_intr_status);
	PARANOID_FIELD(vcpu, GUEST_RIP, v->guest_rip);
	PARANOID_FIELD(vcpu, GUEST_RSP, v->guest_rsp);
	PARANOID_FIELD(vcpu, GUEST_RFLAGS, v->guest_rflags);
	PARANOID_FIELD(vcpu, GUEST_CR3, v->guest_cr3);
	PARANOID_FIELD(vcpu, GUEST_INTERRUPTIBILITY_INFO, v->guest_interruptibility_info);
	PARANOID_FIELD(vcpu, GUEST_CS_AR_BYTES, v->guest_cs_ar_bytes);
	PARANOID_FIELD(vcpu, GUEST_SS_AR_BYTES, v->guest_ss_ar_bytes);
	cr0 = paranoid_cr(v->guest_cr0, v->cr0_guest_host_mask, vmx_cr0_guest_owned(vcpu), vmcs_read(GUEST_CR0),
			  vmcs_read(CR0_READ_SHADOW));
	cr4 = paranoid_cr(v->guest_cr4, v->cr4_guest_host_mask, vmx_cr4_guest_owned(vcpu), vmcs_read(GUEST_CR4),
			  vmcs_read(CR4_READ_SHADOW));
	vmcs_load(vcpu->vmcs);
	paranoid_value(vcpu, "L2's CR0", v->guest_cr0, vmx_keep_cd(vcpu, cr0));
	paranoid_value(vcpu, "L2's CR4", v->guest_cr4, cr4);
}

/**
 * paranoid_reflected() - check VMCS01 and the shadow VMCS after nested_again_reflect()
 * @vcpu: in L1, which has not run since
 *
 * A difference ends the VM.
 *
 * Context: Interrupts disabled. VMCS01 is current.
 */
void paranoid_reflected(struct vcpu *vcpu)
{
	struct nested *n = &vcpu->nested;
	const struct vmcs12 *v = n->vmcs12;
	u64 cr0 = vmx_keep_cd(vcpu, v->host_cr0), cr4 = merge_exit_cr4(v);

	paranoid_segments(vcpu, v);
	PARANOID_FIELD(vcpu, GUEST_SYSENTER_CS, v->host_ia32_sysenter_cs);
	PARANOID_FIELD(vcpu, GUEST_SYSENTER_ESP, v->host_ia32_sysenter_esp);
	PARANOID_FIELD(vcpu, GUEST_SYSENTER_EIP, v->host_ia32_sysenter_eip);
	PARANOID_FIELD(vcpu, GUEST_CR0, vmx_hw_cr0(cr0));
	PARANOID_FIELD(vcpu, GUEST_CR3, v->host_cr3);
	PARANOID_FIELD(vcpu, GUEST_CR4, vmx_hw_cr4(cr4));
	/* Of a bit that L1 owns, the read shadow has no effect. */
	paranoid_value(vcpu, "CR0 shadow", vmcs_read(CR0_READ_SHADOW) & ~vmx_cr0_guest_owned(vcpu),
		       (cr0 | X86_CR0_ET) & ~vmx_cr0_guest_owned(vcpu));
	paranoid_value(vcpu, "CR4 shadow", vmcs_read(CR4_READ_SHADOW) & ~vmx_cr4_guest_owned(vcpu),
		       cr4 & ~vmx_cr4_guest_owned(vcpu));
	PARANOID_FIELD(vcpu, GUEST_RIP, v->host_rip);
	PARANOID_FIELD(vcpu, GUEST_RSP, v->host_rsp);
	PARANOID_FIELD(vcpu, GUEST_RFLAGS, X86_EFLAGS_FIXED);
	paranoid_value(vcpu, "EFER", vcpu->efer, merge_exit_efer(v, n->again.l2_efer));
	PARANOID_FIELD(vcpu, GUEST_IA32_EFER, vcpu->efer);
	paranoid_value(vcpu, "entry control", vmcs_read(VM_ENTRY_CONTROLS) & VM_ENTRY_IA32E_MODE, VM_ENTRY_IA32E_MODE);
	paranoid_value(vcpu, "PAT", vcpu->pat,
		       v->vm_exit_controls & VM_EXIT_LOAD_IA32_PAT ? v->host_ia32_pat : n->again.l2_pat);
	PARANOID_FIELD(vcpu, GUEST_IA32_PAT, vcpu->pat);
	PARANOID_FIELD(vcpu, GUEST_DR7, DR7_FIXED);
	PARANOID_FIELD(vcpu, GUEST_IA32_DEBUGCTL, 0);
	PARANOID_FIELD(vcpu, GUEST_INTERRUPTIBILITY_INFO, 0);
	paranoid_value(vcpu, "injection", vmcs_read(VM_ENTRY_INTR_INFO_FIELD) & INTR_INFO_VALID_MASK, 0);
	paranoid_shadow(vcpu);
	paranoid_saved(vcpu);
}

/**
 * paranoid_route() - check that L1 gets an exit, and that vcpu->exit has what the reason defines
 * @vcpu: in L2, at an exit by an access to a control register or an MSR that goes the short way
 *
 * A difference ends the VM.
 *
 * Context: Interrupts disabled. VMCS02 is current, no register is cached.
 */
void paranoid_route(struct vcpu *vcpu)
{
	struct vmx_exit is = vcpu->exit;

	vmx_snapshot_exit(vcpu);
	paranoid_value(vcpu, "routed to L1", true, nested_route(vcpu).to == ROUTE_L1);
	paranoid_value(vcpu, "qualification", is.qual, vcpu->exit.qual);
	paranoid_value(vcpu, "linear address", is.gla, vcpu->exit.gla);
	paranoid_value(vcpu, "instruction length", is.ilen, vcpu->exit.ilen);
	vcpu->reg_avail = 0;
	vcpu->exit = is;
}

/**
 * paranoid_ept() - compare the translation of nested_again_ept() with a whole walk of EPT12
 * @vcpu: in L2, at an EPT violation that nested_again_ept() has made L1's
 *
 * A difference ends the VM, unless another vCPU of L1 is changing the tables.
 *
 * Context: Interrupts disabled. VMCS02 is current.
 */
void paranoid_ept(struct vcpu *vcpu)
{
	u64 access = ept12_access(vcpu->nested.ept02.cur->eptp12, vmcs_read(EXIT_QUALIFICATION));
	u64 gpa = vmcs_read(GUEST_PHYSICAL_ADDRESS);
	struct ept12_result res, whole;
	enum ept12_verdict is, should;
	int idx = memslot_begin_nofault(vcpu->vm);

	should = ept12_translate_afresh(vcpu, gpa, access, &whole);
	is = ept12_translate_again(vcpu, gpa, access, &res);
	if (should != EPT12_FAULT && is != EPT12_FAULT &&
	    (is != should || (is == EPT12_VIOLATION && res.qual != whole.qual)) &&
	    ept12_translate_afresh(vcpu, gpa, access, &whole) == should)
		paranoid_fail(vcpu, "an EPT violation", is, should);
	memslot_end_nofault(vcpu->vm, idx);
}

/* What no entry fetches, since L1's writes of it exit: VMCS12 has it, too. */
static void paranoid_seldom(struct vcpu *vcpu)
{
	struct nested *n = &vcpu->nested;
	const struct vmcs12 *v = n->vmcs12;

	if (seldom_is_open(n))
		return;
	vmcs_load(&n->shadow);
#define FIELD(name, member, width, class, sync, shadow, gate, dirty, twin) \
	if (SHADOW_##shadow == SHADOW_SELDOM) \
		PARANOID_FIELD(vcpu, name, v->member);
#include "vmx/fields.def"
}

/**
 * paranoid_entry() - make all checks on VMCS12 that nested_again_resume() leaves out
 * @vcpu: in L1, at VMRESUME; what L1 has written was fetched from the shadow
 *
 * A check that fails ends the VM.
 *
 * Context: Interrupts disabled. Any VMCS of the vCPU may be current, VMCS01 is afterwards.
 */
void paranoid_entry(struct vcpu *vcpu)
{
	struct nested *n = &vcpu->nested;
	u32 dirty = n->vmcs12_dirty;
	u64 qual;

	paranoid_seldom(vcpu);
	nested_sync_rare(vcpu);
	n->vmcs12_dirty = DIRTY12_ALL;
	if (nested_check_vmfail(vcpu) || !nested_check_guest(vcpu, &qual))
		paranoid_fail(vcpu, "unchecked", n->last_failed_check, 0);
	n->vmcs12_dirty = dirty;
	vmcs_load(vcpu->vmcs);
}

static void paranoid_ple(struct vcpu *vcpu, const struct vmcs12 *v)
{
	const struct vmcs_ple *ple = &vcpu->nested.vmcs02.ple;
	bool l1 = merge_proc2_of(v) & SECONDARY_EXEC_PAUSE_LOOP_EXITING;

	PARANOID_FIELD(vcpu, PLE_GAP, l1 ? v->ple_gap : vcpu->vmcs01.ple.gap);
	PARANOID_FIELD(vcpu, PLE_WINDOW, min(ple->own, ple->limit));
	/* The limit is the rest of L1's window if a loop has used some of it up. */
	paranoid_value(vcpu, "a greater window than L1's", l1 && ple->limit > v->ple_window, 0);
	paranoid_value(vcpu, "a limit of L1's", !l1 && ple->limit != U32_MAX, 0);
}

static void paranoid_controls(struct vcpu *vcpu, const struct vmcs12 *v)
{
	struct nested *n = &vcpu->nested;
	struct vmx_controls l0 = vmcs02_l0_controls(vcpu), c;
	struct merged_pf pf;

	merge_controls(&l0, v, vcpu->efer & EFER_LMA, &c, &pf);
	/* The timer is brought up to date after this, right before the entry. */
	PARANOID_FIELD(vcpu, PIN_BASED_VM_EXEC_CONTROL, c.pin | (vcpu->vmcs->timer_on ? PIN_BASED_VMX_PREEMPTION_TIMER : 0));
	PARANOID_FIELD(vcpu, CPU_BASED_VM_EXEC_CONTROL, c.proc);
	PARANOID_FIELD(vcpu, SECONDARY_VM_EXEC_CONTROL, c.proc2);
	PARANOID_FIELD(vcpu, VM_EXIT_CONTROLS, c.exit);
	PARANOID_FIELD(vcpu, VM_ENTRY_CONTROLS, c.entry);
	PARANOID_FIELD(vcpu, EXCEPTION_BITMAP, c.exceptions);
	PARANOID_FIELD(vcpu, CR3_TARGET_COUNT, merge_cr3_targets(l0.proc, v->cr3_target_count, vmx_features.cr3_targets));
	PARANOID_FIELD(vcpu, PAGE_FAULT_ERROR_CODE_MASK, pf.mask);
	PARANOID_FIELD(vcpu, PAGE_FAULT_ERROR_CODE_MATCH, pf.match);
	PARANOID_FIELD(vcpu, VIRTUAL_PROCESSOR_ID, n->vpid02);
	PARANOID_FIELD(vcpu, EPT_POINTER, n->ept02.cur ? n->ept02.cur->eptp : vcpu->vm->ept01.eptp);
	paranoid_value(vcpu, "EPTP of L1", n->ept02.cur ? n->ept02.cur->eptp12 : 0,
		       merge_proc2_of(v) & SECONDARY_EXEC_ENABLE_EPT ? v->ept_pointer : 0);
	if (c.proc & CPU_BASED_TPR_SHADOW) {
		PARANOID_FIELD(vcpu, VIRTUAL_APIC_PAGE_ADDR, n->virtual_apic.hpa);
		if (!(c.proc2 & SECONDARY_EXEC_VIRTUAL_INTR_DELIVERY))
			PARANOID_FIELD(vcpu, TPR_THRESHOLD, v->tpr_threshold);
	}
	if (c.proc2 & SECONDARY_EXEC_VIRTUALIZE_APIC_ACCESSES)
		PARANOID_FIELD(vcpu, APIC_ACCESS_ADDR, n->apic_access.hpa);
	if (c.proc2 & SECONDARY_EXEC_PAUSE_LOOP_EXITING)
		paranoid_ple(vcpu, v);
}

/* The bits of MSRs 0x800-0x83f that the processor serves from L1's virtual-APIC page (SDM 3C 30.5), instead of the host's APIC. */
static u64 paranoid_x2apic(u32 proc2, bool write)
{
	if (!(proc2 & SECONDARY_EXEC_VIRTUALIZE_X2APIC_MODE))
		return 0;
	if (!write)
		return proc2 & SECONDARY_EXEC_APIC_REGISTER_VIRT ? ~0ULL : BIT_ULL(APIC_TASKPRI >> 4);
	return BIT_ULL(APIC_TASKPRI >> 4) | (proc2 & SECONDARY_EXEC_VIRTUAL_INTR_DELIVERY ?
					     BIT_ULL(APIC_EOI >> 4) | BIT_ULL(APIC_SELF_IPI >> 4) : 0);
}

/*
 * L2 may access an MSR without an exit only if L0 lets it, or the processor serves it from the virtual-APIC page. L1 may
 * have changed its bitmap meanwhile.
 */
static void paranoid_msrs(struct vcpu *vcpu)
{
	struct nested *n = &vcpu->nested;
	const u64 *used = (const u64 *)n->msr_bitmap02, *l0 = (const u64 *)vcpu->msr_bitmap01;
	u32 w, x2apic = BITMAPS_WORD(0x800, false), write = BITMAPS_WORD(0, true);
	u64 passed, more;

	PARANOID_FIELD(vcpu, MSR_BITMAP, __pa(used));
	more = paranoid_x2apic(n->ctl02.proc2, false) == ~0ULL ? ~0ULL : 0;
	for (w = 0; w < BITMAP_WORDS; w++) {
		passed = ~used[w] & l0[w];
		if (w == x2apic || w == x2apic + write)
			passed &= ~paranoid_x2apic(n->ctl02.proc2, w != x2apic);
		else if (w > x2apic && w < x2apic + 4)
			passed &= ~more;
		paranoid_value(vcpu, "MSRs that L0 does not pass", passed, 0);
	}
}

/* L2 may access a port without an exit only if L0 passes it and L1 lets it. L1 may have changed its bitmaps meanwhile. */
static void paranoid_ports(struct vcpu *vcpu, const struct vmcs12 *v)
{
	struct nested *n = &vcpu->nested;
	bool merged = v->cpu_based_vm_exec_control & CPU_BASED_USE_IO_BITMAPS;
	const u64 *used = merged ? n->io_bitmaps02 : vcpu->ports->bitmaps;
	u32 w;

	PARANOID_FIELD(vcpu, IO_BITMAP_A, __pa(used));
	PARANOID_FIELD(vcpu, IO_BITMAP_B, __pa(used) + PAGE_SIZE);
	for (w = 0; w < 2 * BITMAP_WORDS; w++)
		paranoid_value(vcpu, "ports that L0 does not pass", ~used[w] & vcpu->ports->bitmaps[w], 0);
}

static void paranoid_tsc(struct vcpu *vcpu, const struct vmcs12 *v)
{
	u64 offset = vcpu->tsc.offset, ratio = vcpu->tsc.ratio;

	/* The entry itself writes it. */
	if (vcpu->hide.bound)
		return;
	if (v->cpu_based_vm_exec_control & CPU_BASED_USE_TSC_OFFSETTING) {
		if (merge_proc2_of(v) & SECONDARY_EXEC_TSC_SCALING) {
			offset = mul_s64_u64_shr(offset, v->tsc_multiplier, TSC_RATIO_BITS);
			ratio = tsc_scale(ratio, v->tsc_multiplier) ?: 1;
		}
		offset += v->tsc_offset;
	}
	PARANOID_FIELD(vcpu, TSC_OFFSET, offset);
	if (vmx_features.tsc_scaling)
		PARANOID_FIELD(vcpu, TSC_MULTIPLIER, ratio);
}

/**
 * paranoid_resumed() - check VMCS02 after nested_again_resume()
 * @vcpu: in L2, which has not run since
 *
 * A difference ends the VM.
 *
 * Context: Interrupts disabled. VMCS02 is current.
 */
void paranoid_resumed(struct vcpu *vcpu)
{
	struct nested *n = &vcpu->nested;
	const struct vmcs12 *v = n->vmcs12;
	u64 mask0 = v->cr0_guest_host_mask, mask4 = v->cr4_guest_host_mask, cr0 = vmx_keep_cd(vcpu, v->guest_cr0);
	u64 owned;

	paranoid_controls(vcpu, v);
	if (n->ctl02.proc & CPU_BASED_USE_MSR_BITMAPS)
		paranoid_msrs(vcpu);
	if (n->ctl02.proc & CPU_BASED_USE_IO_BITMAPS)
		paranoid_ports(vcpu, v);
	paranoid_tsc(vcpu, v);
	PARANOID_FIELD(vcpu, CR0_GUEST_HOST_MASK, merge_cr_mask(vmx_cr0_guest_owned(vcpu), mask0));
	PARANOID_FIELD(vcpu, CR4_GUEST_HOST_MASK, merge_cr_mask(vmx_cr4_guest_owned(vcpu), mask4));
	PARANOID_FIELD(vcpu, GUEST_CR0, vmx_hw_cr0(cr0));
	PARANOID_FIELD(vcpu, GUEST_CR4, vmx_hw_cr4(v->guest_cr4));
	/* Of a bit that L2 owns, the read shadow has no effect. */
	owned = vmx_cr0_guest_owned(vcpu) & ~mask0;
	paranoid_value(vcpu, "CR0 shadow of L2", (vmcs_read(CR0_READ_SHADOW) | X86_CR0_ET) & ~owned,
		       (merge_cr_shadow(cr0, v->cr0_read_shadow, mask0) | X86_CR0_ET) & ~owned);
	owned = vmx_cr4_guest_owned(vcpu) & ~mask4;
	paranoid_value(vcpu, "CR4 shadow of L2", vmcs_read(CR4_READ_SHADOW) & ~owned,
		       merge_cr_shadow(v->guest_cr4, v->cr4_read_shadow, mask4) & ~owned);
	PARANOID_FIELD(vcpu, GUEST_CR3, v->guest_cr3);
	PARANOID_FIELD(vcpu, GUEST_RIP, v->guest_rip);
	PARANOID_FIELD(vcpu, GUEST_RSP, v->guest_rsp);
	PARANOID_FIELD(vcpu, GUEST_RFLAGS, v->guest_rflags);
	PARANOID_FIELD(vcpu, GUEST_INTERRUPTIBILITY_INFO, v->guest_interruptibility_info);
	PARANOID_FIELD(vcpu, GUEST_ACTIVITY_STATE, v->guest_activity_state);
	PARANOID_FIELD(vcpu, GUEST_DR7, v->guest_dr7);
	PARANOID_FIELD(vcpu, GUEST_IA32_DEBUGCTL, 0);
	PARANOID_FIELD(vcpu, GUEST_IA32_PAT,
		       v->vm_entry_controls & VM_ENTRY_LOAD_IA32_PAT ? v->guest_ia32_pat : n->l1_pat);
	PARANOID_FIELD(vcpu, GUEST_IA32_EFER, merge_entry_efer(v, n->l1_efer));
	if (n->ctl02.proc2 & SECONDARY_EXEC_VIRTUAL_INTR_DELIVERY) {
		PARANOID_FIELD(vcpu, GUEST_INTR_STATUS, v->guest_intr_status);
		PARANOID_FIELD(vcpu, EOI_EXIT_BITMAP0, v->eoi_exit_bitmap0);
		PARANOID_FIELD(vcpu, EOI_EXIT_BITMAP1, v->eoi_exit_bitmap1);
		PARANOID_FIELD(vcpu, EOI_EXIT_BITMAP2, v->eoi_exit_bitmap2);
		PARANOID_FIELD(vcpu, EOI_EXIT_BITMAP3, v->eoi_exit_bitmap3);
	}
	if (n->ctl02.proc2 & VMCS_CONTROL_BIT(XSAVES))
		PARANOID_FIELD(vcpu, XSS_EXIT_BITMAP, v->xss_exit_bitmap);
	if (v->vm_entry_intr_info_field & INTR_INFO_VALID_MASK)
		PARANOID_FIELD(vcpu, VM_ENTRY_INTR_INFO_FIELD, v->vm_entry_intr_info_field);
	else
		paranoid_value(vcpu, "injection", vmcs_read(VM_ENTRY_INTR_INFO_FIELD) & INTR_INFO_VALID_MASK, 0);
	PARANOID_FIELD(vcpu, VMCS_LINK_POINTER, ~0ULL);
}

/**
 * paranoid_code() - check that a clustered instruction is the one at RIP
 * @vcpu: in L1
 * @i: the instruction, as it was decoded
 * @rip: where it is
 * @len: its length
 *
 * Reads the code by a whole walk of L1's tables, and decodes it anew. A difference ends the VM.
 *
 * Context: Interrupts disabled. VMCS01 is current afterwards.
 */
void paranoid_code(struct vcpu *vcpu, const struct cluster_insn *i, u64 rip, u32 len)
{
	u8 code[INSN_MAX] = {};
	struct cluster_insn now;
	struct event fault;
	int idx, ret;

	vmcs_load(vcpu->vmcs);
	idx = memslot_begin_nofault(vcpu->vm);
	ret = vcpu_read_gva(vcpu, rip, code, len, WALK_FETCH, &fault);
	memslot_end_nofault(vcpu->vm, idx);
	vcpu->reg_avail = 0;
	/* The page has left the memory meanwhile. An L1 that changes this code on another vCPU just now is taken for a difference. */
	if (ret == -EFAULT)
		return;
	if (ret != NEXT_GO_ON)
		paranoid_fail(vcpu, "code that cannot be fetched", rip, ret);
	else if (!cluster_decode_one(&now, code, sizeof(code)) || now.end != len || now.kind != i->kind ||
		 now.dst != i->dst || now.src != i->src || now.bytes != i->bytes)
		paranoid_fail(vcpu, "an instruction", rip, now.end);
}

/**
 * paranoid_field() - compare the result of a VMREAD in the short loop with that of the general path
 * @vcpu: in L1
 * @f: the field's row
 * @enc: its encoding
 * @val: what was read
 *
 * Brings VMCS12 up to date. A difference ends the VM.
 *
 * Context: Interrupts disabled. VMCS01 is current afterwards.
 */
void paranoid_field(struct vcpu *vcpu, const struct vmcs12_field *f, u64 enc, u64 val)
{
	u64 should;

	nested_sync_rare(vcpu);
	vmcs_load(vcpu->vmcs);
	should = vmcs12_get(vcpu->nested.vmcs12, f);
	paranoid_value(vcpu, f->name, val, enc & VMCS_ENC_HIGH ? should >> 32 : should);
}
