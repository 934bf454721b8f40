// SPDX-License-Identifier: GPL-2.0
/* Loads L1's host state after an exit from L2, from VMCS12 into VMCS01. SDM 3C 28.5, 28.6. */
#include "droste.h"
#include "nested/hostload.h"
#include "nested/merge.h"
#include "nested/nested.h"
#include "nested/vmcs02.h"
#include "vmx/regs.h"
#include "vmx/vmx.h"

/*
 * What L1 can change without an exit decides what must be written. While
 * held01.valid is set, L1 has been in IA-32e mode since the last exit to it:
 *
 * - RIP, RSP, RFLAGS, CR0, CR3, CR4, and the bases of FS and GS: anything.
 *   They are always written.
 * - CS and SS: far transfers and loads. In 64-bit mode, in which L1 has executed
 *   the VM entry, base and limit of CS mean nothing until its next load.
 * - DS, ES, FS, GS: loads. A load of a null selector makes the segment unusable,
 *   whose other contents mean nothing. So if the selector is null in VMCS12, and
 *   still is in VMCS01, the segment is what the exit makes of it.
 * - TR, LDTR, GDTR, IDTR: LTR and the like, which exit while held01.tables is set,
 *   or while CR4.UMIP is emulated; L1 changes that bit by exits.
 * - SYSENTER MSRs: WRMSR, which exits during VMX operation: see msr_update_bitmap().
 * - the read shadows of CR0 and CR4: MOV to CR, as far as it exits.
 */
#define TABLES_WAIT	32	/* exits to L1 between two attempts to know its TR, LDTR, GDTR and IDTR */

/* Load a data segment; selector 0 makes it unusable. */
static void hostload_data_segment(unsigned long selector_field, unsigned long ar_field, unsigned long limit_field,
				  u16 sel)
{
	vmcs_write(selector_field, sel);
	vmcs_write(limit_field, ~0U);
	vmcs_write(ar_field, hostload_data_ar(sel));
}

static void hostload_ds(const struct vmcs12 *v)
{
	hostload_data_segment(GUEST_DS_SELECTOR, GUEST_DS_AR_BYTES, GUEST_DS_LIMIT, v->host_ds_selector);
	vmcs_write(GUEST_DS_BASE, 0);
}

static void hostload_es(const struct vmcs12 *v)
{
	hostload_data_segment(GUEST_ES_SELECTOR, GUEST_ES_AR_BYTES, GUEST_ES_LIMIT, v->host_es_selector);
	vmcs_write(GUEST_ES_BASE, 0);
}

static void hostload_fs(const struct vmcs12 *v)
{
	hostload_data_segment(GUEST_FS_SELECTOR, GUEST_FS_AR_BYTES, GUEST_FS_LIMIT, v->host_fs_selector);
}

static void hostload_gs(const struct vmcs12 *v)
{
	hostload_data_segment(GUEST_GS_SELECTOR, GUEST_GS_AR_BYTES, GUEST_GS_LIMIT, v->host_gs_selector);
}

static void hostload_cs(const struct vmcs12 *v)
{
	bool is64 = v->vm_exit_controls & VM_EXIT_HOST_ADDR_SPACE_SIZE;

	vmcs_write(GUEST_CS_SELECTOR, v->host_cs_selector);
	vmcs_write(GUEST_CS_BASE, 0);
	vmcs_write(GUEST_CS_LIMIT, ~0U);
	vmcs_write(GUEST_CS_AR_BYTES, is64 ? AR_CODE64 : AR_CODE32);
}

static void hostload_ss(const struct vmcs12 *v)
{
	hostload_data_segment(GUEST_SS_SELECTOR, GUEST_SS_AR_BYTES, GUEST_SS_LIMIT, v->host_ss_selector);
	vmcs_write(GUEST_SS_BASE, 0);
}

static void hostload_tables(struct vcpu *vcpu, const struct vmcs12 *v)
{
	vcpu->nested.held01.tables_changed = false;
	vmcs_write(GUEST_TR_SELECTOR, v->host_tr_selector);
	vmcs_write(GUEST_TR_BASE, v->host_tr_base);
	vmcs_write(GUEST_TR_LIMIT, 0x67);
	vmcs_write(GUEST_TR_AR_BYTES, AR_TSS);
	vmcs_write(GUEST_LDTR_SELECTOR, 0);
	vmcs_write(GUEST_LDTR_AR_BYTES, AR_UNUSABLE);
	vmcs_write(GUEST_GDTR_BASE, v->host_gdtr_base);
	vmcs_write(GUEST_GDTR_LIMIT, 0xffff);
	vmcs_write(GUEST_IDTR_BASE, v->host_idtr_base);
	vmcs_write(GUEST_IDTR_LIMIT, 0xffff);
}

/* Let the instructions exit that access the tables' registers, so that the next exit to L1 need not load these. */
static void hostload_hold_tables(struct vcpu *vcpu)
{
	struct vmcs01_held *held = &vcpu->nested.held01;

	if (hostload_knows_tables(vcpu) || !vmx_features.tables_exit)
		return;
	if (held->tables_wait) {
		held->tables_wait--;
		return;
	}
	held->tables = true;
	vmx_write_proc2_01(vcpu);
}

/**
 * nested_release_tables() - let L1 access TR, LDTR, GDTR and IDTR without exits again
 * @vcpu: at an exit by such an access
 *
 * Context: Interrupts may be disabled. The VMCS of the running level is current. Does not sleep.
 * Return: true if the access exits no more; false if the exit has another cause.
 */
bool nested_release_tables(struct vcpu *vcpu)
{
	struct vmcs01_held *held = &vcpu->nested.held01;

	if (vcpu->in_l2 || !held->tables)
		return false;
	held->tables = false;
	held->tables_wait = TABLES_WAIT;
	vmx_write_proc2_01(vcpu);
	return true;
}

/* Load all segments, tables, SYSENTER MSRs and read shadows. */
static noinline void hostload_all(struct vcpu *vcpu, u64 cr0, u64 cr4)
{
	const struct vmcs12 *v = vcpu->nested.vmcs12;

	hostload_cs(v);
	hostload_ss(v);
	hostload_ds(v);
	hostload_es(v);
	hostload_fs(v);
	hostload_gs(v);
	hostload_tables(vcpu, v);
	vmcs_write(GUEST_SYSENTER_CS, v->host_ia32_sysenter_cs);
	vmcs_write(GUEST_SYSENTER_ESP, v->host_ia32_sysenter_esp);
	vmcs_write(GUEST_SYSENTER_EIP, v->host_ia32_sysenter_eip);
	/* VMCS01's guest/host masks need no update: they do not depend on L1's state. */
	vmcs_write(CR0_READ_SHADOW, cr0 | X86_CR0_ET);
	vmcs_write(CR4_READ_SHADOW, cr4);
	vcpu->nested.held01.valid = v->vm_exit_controls & VM_EXIT_HOST_ADDR_SPACE_SIZE;
	hostload_hold_tables(vcpu);
}

static bool hostload_ss_differs(const struct nested *n)
{
	u16 sel = n->vmcs12->host_ss_selector;

	return n->held01.ss_ar != hostload_data_ar(sel) || vmcs_read(GUEST_SS_SELECTOR) != sel ||
	       vmcs_read(GUEST_SS_LIMIT) != ~0U || vmcs_read(GUEST_SS_BASE);
}

/* Load those of the fields of hostload_all() that differ, or may do so. */
static void hostload_changes(struct vcpu *vcpu)
{
	const struct nested *n = &vcpu->nested;
	const struct vmcs12 *v = n->vmcs12;

	if (unlikely(vmcs_read(GUEST_CS_SELECTOR) != v->host_cs_selector || vmcs_read(GUEST_CS_AR_BYTES) != AR_CODE64))
		hostload_cs(v);
	if (unlikely(hostload_ss_differs(n)))
		hostload_ss(v);
	if (unlikely(v->host_ds_selector || vmcs_read(GUEST_DS_SELECTOR)))
		hostload_ds(v);
	if (unlikely(v->host_es_selector || vmcs_read(GUEST_ES_SELECTOR)))
		hostload_es(v);
	if (unlikely(v->host_fs_selector || vmcs_read(GUEST_FS_SELECTOR)))
		hostload_fs(v);
	if (unlikely(v->host_gs_selector || vmcs_read(GUEST_GS_SELECTOR)))
		hostload_gs(v);
	if (unlikely(!hostload_knows_tables(vcpu))) {
		hostload_tables(vcpu, v);
		hostload_hold_tables(vcpu);
	}
}

/**
 * hostload_rest() - load the fields of VMCS01 that L1 does not change at will
 * @vcpu: left L2
 *
 * The others are RIP, RSP, RFLAGS, CR0, CR3, CR4, and the bases of FS and GS.
 *
 * Context: Interrupts may be disabled. VMCS01 is current. Does not sleep.
 */
void hostload_rest(struct vcpu *vcpu)
{
	const struct vmcs12 *v = vcpu->nested.vmcs12;

	if (likely(vcpu->nested.held01.valid))
		hostload_changes(vcpu);
	else
		hostload_all(vcpu, vmx_keep_cd(vcpu, v->host_cr0), merge_exit_cr4(v));
}

/* Load what L1 changes without an exit that L0 could see, and the rest if need be. */
static void hostload_state(struct vcpu *vcpu)
{
	const struct vmcs12 *v = vcpu->nested.vmcs12;
	u64 cr4 = merge_exit_cr4(v);

	vmx_note_cr4(vcpu, cr4);
	hostload_rest(vcpu);
	vmcs_write(GUEST_CR0, vmx_hw_cr0(vmx_keep_cd(vcpu, v->host_cr0)));
	vmcs_write(GUEST_CR4, vmx_hw_cr4(cr4));
	vmcs_write(GUEST_CR3, v->host_cr3);
	vmcs_write(GUEST_FS_BASE, v->host_fs_base);
	vmcs_write(GUEST_GS_BASE, v->host_gs_base);
}

static void hostload_msrs(struct vcpu *vcpu)
{
	struct nested *n = &vcpu->nested;
	const struct vmcs12 *v = n->vmcs12;
	u64 efer = merge_exit_efer(v, vcpu->efer);

	/* VMCS01 still holds the values that L1 had when it entered L2. */
	if (efer != n->l1_efer)
		vmx_write_efer(vcpu, efer);
	vcpu->efer = efer;
	if (v->vm_exit_controls & VM_EXIT_LOAD_IA32_PAT)
		vcpu->pat = v->host_ia32_pat;
	if (vcpu->pat != n->l1_pat)
		vmcs_write(GUEST_IA32_PAT, vcpu->pat);
	vcpu->dr7 = DR7_FIXED;
	/* A debugger may have come or gone while L2 ran. */
	if (vcpu->vmcs->dr7 != vcpu_effective_dr7(vcpu))
		vcpu_set_dr7(vcpu, DR7_FIXED);
	vcpu_set_debugctl(vcpu, 0);
}

/**
 * hostload() - load L1's state at an exit from L2 (SDM 3C 28.5, 28.6)
 * @vcpu: left L2; vcpu->efer and vcpu->pat still are L2's
 *
 * Context: Process context. VMCS01 is current. Caller holds vm->srcu. May sleep.
 * Return: 0, or the VMX-abort indicator (SDM 3C 28.7).
 */
u32 hostload(struct vcpu *vcpu)
{
	const struct vmcs12 *v = vcpu->nested.vmcs12;

	hostload_state(vcpu);
	hostload_msrs(vcpu);
	vcpu_set_rip(vcpu, v->host_rip);
	vcpu_set_rsp(vcpu, v->host_rsp);
	vcpu_set_rflags(vcpu, X86_EFLAGS_FIXED);
	/* An exit to a 32-bit host with PAE paging loads the PDPTEs (SDM 3C 28.5.4). */
	if (unlikely(!(vcpu->efer & EFER_LMA) && (v->host_cr4 & X86_CR4_PAE)) &&
	    vmx_load_pdptrs(vcpu, v->host_cr3))
		return VMX_ABORT_LOAD_HOST_PDPTE_FAIL;
	if (unlikely(v->vm_exit_msr_load_count) &&
	    msrlist_load(vcpu, v->vm_exit_msr_load_addr, v->vm_exit_msr_load_count))
		return VMX_ABORT_LOAD_HOST_MSR_FAIL;
	return 0;
}
