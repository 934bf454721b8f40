// SPDX-License-Identifier: GPL-2.0
/* Loads L1's host state after an exit from L2, from VMCS12 into VMCS01. SDM 3C 28.5, 28.6. */
#include "droste.h"
#include "nested/merge.h"
#include "nested/vmcs02.h"
#include "vmx/regs.h"
#include "vmx/vmx.h"

/* Access rights that a VM exit loads (SDM 3C 28.5.2). */
#define AR_CODE64	0xa09b	/* present, code, accessed, L, G */
#define AR_CODE32	0xc09b	/* present, code, accessed, D, G */
#define AR_DATA		0xc093	/* present, data, accessed, B, G */
#define AR_TSS		0x8b	/* present, busy TSS */
#define AR_UNUSABLE	0x10000

/* Load a data segment; selector 0 makes it unusable. */
static void hostload_data_segment(unsigned long selector_field, unsigned long ar_field, unsigned long limit_field,
				  u16 sel)
{
	vmcs_write(selector_field, sel);
	vmcs_write(limit_field, ~0U);
	vmcs_write(ar_field, sel ? AR_DATA : AR_UNUSABLE);
}

static void hostload_segments(const struct vmcs12 *v)
{
	bool is64 = v->vm_exit_controls & VM_EXIT_HOST_ADDR_SPACE_SIZE;

	vmcs_write(GUEST_CS_SELECTOR, v->host_cs_selector);
	vmcs_write(GUEST_CS_BASE, 0);
	vmcs_write(GUEST_CS_LIMIT, ~0U);
	vmcs_write(GUEST_CS_AR_BYTES, is64 ? AR_CODE64 : AR_CODE32);
	hostload_data_segment(GUEST_SS_SELECTOR, GUEST_SS_AR_BYTES, GUEST_SS_LIMIT, v->host_ss_selector);
	vmcs_write(GUEST_SS_BASE, 0);
	hostload_data_segment(GUEST_DS_SELECTOR, GUEST_DS_AR_BYTES, GUEST_DS_LIMIT, v->host_ds_selector);
	vmcs_write(GUEST_DS_BASE, 0);
	hostload_data_segment(GUEST_ES_SELECTOR, GUEST_ES_AR_BYTES, GUEST_ES_LIMIT, v->host_es_selector);
	vmcs_write(GUEST_ES_BASE, 0);
	hostload_data_segment(GUEST_FS_SELECTOR, GUEST_FS_AR_BYTES, GUEST_FS_LIMIT, v->host_fs_selector);
	vmcs_write(GUEST_FS_BASE, v->host_fs_base);
	hostload_data_segment(GUEST_GS_SELECTOR, GUEST_GS_AR_BYTES, GUEST_GS_LIMIT, v->host_gs_selector);
	vmcs_write(GUEST_GS_BASE, v->host_gs_base);
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

static void hostload_crs(struct vcpu *vcpu)
{
	const struct vmcs12 *v = vcpu->nested.vmcs12;
	u64 cr0 = vmx_keep_cd(vcpu, v->host_cr0), cr4 = merge_exit_cr4(v);

	vmx_note_cr4(vcpu, cr4);
	/* VMCS01's guest/host masks need no update: they do not depend on L1's state. */
	vmcs_write(GUEST_CR0, vmx_hw_cr0(cr0));
	vmcs_write(CR0_READ_SHADOW, cr0 | X86_CR0_ET);
	vmcs_write(GUEST_CR4, vmx_hw_cr4(cr4));
	vmcs_write(CR4_READ_SHADOW, cr4);
	vmcs_write(GUEST_CR3, v->host_cr3);
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
	vcpu->dr7 = 0x400;
	if (n->l1_dr7 != 0x400 || vcpu->guest_debug)
		vcpu_set_dr7(vcpu, 0x400);
	vcpu_set_debugctl(vcpu, 0);
	vmcs_write(GUEST_SYSENTER_CS, v->host_ia32_sysenter_cs);
	vmcs_write(GUEST_SYSENTER_ESP, v->host_ia32_sysenter_esp);
	vmcs_write(GUEST_SYSENTER_EIP, v->host_ia32_sysenter_eip);
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

	hostload_crs(vcpu);
	hostload_msrs(vcpu);
	hostload_segments(v);
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
