// SPDX-License-Identifier: GPL-2.0
/* General and control registers of whatever level runs: cached reads of the current VMCS, checked writes. */
#include <asm/tlbflush.h>
#include <asm/vmx.h>
#include "droste.h"
#include "ept/ept12.h"
#include "mem/l2gpa.h"
#include "mem/memslot.h"
#include "run/request.h"
#include "vmx/regs.h"
#include "vmx/vmx.h"

/* Bits a guest may change without an exit, as far as CPUID lets it have them (SDM 3C 25.6.6). */
#define CR0_GUEST_OWNED	(X86_CR0_MP | X86_CR0_EM | X86_CR0_TS | X86_CR0_WP | X86_CR0_AM)
#define CR4_GUEST_OWNED	(X86_CR4_PVI | X86_CR4_TSD | X86_CR4_DE | X86_CR4_PCE | X86_CR4_PGE | \
			 X86_CR4_OSFXSR | X86_CR4_OSXMMEXCPT | X86_CR4_FSGSBASE)

#define CR0_KNOWN	(X86_CR0_PE | X86_CR0_MP | X86_CR0_EM | X86_CR0_TS | X86_CR0_ET | X86_CR0_NE | \
			 X86_CR0_WP | X86_CR0_AM | X86_CR0_NW | X86_CR0_CD | X86_CR0_PG)

u64 vmx_cr0_guest_owned(struct vcpu *vcpu)
{
	return CR0_GUEST_OWNED;
}

u64 vmx_cr4_guest_owned(struct vcpu *vcpu)
{
	return CR4_GUEST_OWNED & vcpu->gcaps.cr4_allowed;
}

/* Cache control is the host's: CD and NW would slow the whole machine. NE is fixed to 1 in VMX operation. */
u64 vmx_hw_cr0(u64 cr0)
{
	return (cr0 & ~(X86_CR0_CD | X86_CR0_NW)) | X86_CR0_NE | X86_CR0_ET;
}

u64 vmx_hw_cr4(u64 cr4)
{
	/* Machine checks are the host's, whatever the guest thinks of CR4.MCE. */
	return cr4 | X86_CR4_VMXE | (cr4_read_shadow() & X86_CR4_MCE);
}

u64 vcpu_rip(struct vcpu *vcpu)
{
	if (!(vcpu->reg_avail & REG_RIP)) {
		vcpu->rip = vmcs_read(GUEST_RIP);
		vcpu->reg_avail |= REG_RIP;
	}
	return vcpu->rip;
}

void vcpu_set_rip(struct vcpu *vcpu, u64 rip)
{
	vcpu->rip = rip;
	vcpu->reg_avail |= REG_RIP;
	vcpu->reg_dirty |= REG_RIP;
}

u64 vcpu_rsp(struct vcpu *vcpu)
{
	if (!(vcpu->reg_avail & REG_RSP)) {
		vcpu->regs[RSP] = vmcs_read(GUEST_RSP);
		vcpu->reg_avail |= REG_RSP;
	}
	return vcpu->regs[RSP];
}

void vcpu_set_rsp(struct vcpu *vcpu, u64 rsp)
{
	vcpu->regs[RSP] = rsp;
	vcpu->reg_avail |= REG_RSP;
	vcpu->reg_dirty |= REG_RSP;
}

u64 vcpu_rflags(struct vcpu *vcpu)
{
	if (!(vcpu->reg_avail & REG_RFLAGS)) {
		vcpu->rflags = vmcs_read(GUEST_RFLAGS);
		vcpu->reg_avail |= REG_RFLAGS;
	}
	return vcpu->rflags;
}

void vcpu_set_rflags(struct vcpu *vcpu, u64 rflags)
{
	vcpu->rflags = rflags | X86_EFLAGS_FIXED;
	vcpu->reg_avail |= REG_RFLAGS;
	vcpu->reg_dirty |= REG_RFLAGS;
}

void vmx_flush_regs(struct vcpu *vcpu)
{
	u32 dirty = vcpu->reg_dirty;

	if (!dirty)
		return;
	if (dirty & REG_RIP)
		vmcs_write(GUEST_RIP, vcpu->rip);
	if (dirty & REG_RSP)
		vmcs_write(GUEST_RSP, vcpu->regs[RSP]);
	if (dirty & REG_RFLAGS)
		vmcs_write(GUEST_RFLAGS, vcpu->rflags);
	vcpu->reg_dirty = 0;
}

/**
 * vcpu_linear_rip() - linear address of the running level's next instruction
 * @vcpu: loaded
 */
u64 vcpu_linear_rip(struct vcpu *vcpu)
{
	if (vcpu_is_64bit(vcpu))
		return vcpu_rip(vcpu);
	return (u32)(vmcs_read(GUEST_CS_BASE) + vcpu_rip(vcpu));
}

/**
 * vcpu_same_place() - whether the vCPU is still at the instruction that user space was asked about
 * @vcpu: loaded
 *
 * User space may have moved it elsewhere, by a reset for instance; then the
 * instruction must not be finished.
 */
bool vcpu_same_place(struct vcpu *vcpu)
{
	return vcpu_linear_rip(vcpu) == vcpu->resume_rip;
}

u64 vcpu_gpr(struct vcpu *vcpu, enum gpr reg)
{
	return reg == RSP ? vcpu_rsp(vcpu) : vcpu->regs[reg];
}

void vcpu_set_gpr(struct vcpu *vcpu, enum gpr reg, u64 val)
{
	if (reg == RSP)
		vcpu_set_rsp(vcpu, val);
	else
		vcpu->regs[reg] = val;
}

/*
 * A control register as the guest wants it, which is not what the hardware
 * field holds: bits of L1's mask have the value L1 gave VMCS12's guest field,
 * other bits of L0's mask the value in the read shadow, the rest is the
 * guest's own.
 */
static u64 regs_effective_cr(u64 hw, u64 shadow, u64 owned, u64 mask12, u64 guest12)
{
	u64 cr = (hw & owned) | (shadow & ~owned);

	return (cr & ~mask12) | (guest12 & mask12);
}

u64 vcpu_cr0(struct vcpu *vcpu)
{
	const struct vmcs12 *v = vcpu->nested.vmcs12;
	u64 owned = vmx_cr0_guest_owned(vcpu);

	return regs_effective_cr(vmcs_read(GUEST_CR0), vmcs_read(CR0_READ_SHADOW), owned,
			    vcpu->in_l2 ? v->cr0_guest_host_mask : 0, vcpu->in_l2 ? v->guest_cr0 : 0);
}

u64 vcpu_cr3(struct vcpu *vcpu)
{
	return vmcs_read(GUEST_CR3);
}

u64 vcpu_cr4(struct vcpu *vcpu)
{
	const struct vmcs12 *v = vcpu->nested.vmcs12;
	u64 owned = vmx_cr4_guest_owned(vcpu);

	return regs_effective_cr(vmcs_read(GUEST_CR4), vmcs_read(CR4_READ_SHADOW), owned,
			    vcpu->in_l2 ? v->cr4_guest_host_mask : 0, vcpu->in_l2 ? v->guest_cr4 : 0);
}

void vmx_write_cr0(struct vcpu *vcpu, u64 cr0)
{
	u64 shadow = cr0 | X86_CR0_ET;

	if (vcpu->in_l2) {
		const struct vmcs12 *v = vcpu->nested.vmcs12;

		shadow = (shadow & ~v->cr0_guest_host_mask) | (v->cr0_read_shadow & v->cr0_guest_host_mask);
	} else {
		vmcs_write(CR0_GUEST_HOST_MASK, ~vmx_cr0_guest_owned(vcpu));
	}
	vmcs_write(GUEST_CR0, vmx_hw_cr0(cr0));
	vmcs_write(CR0_READ_SHADOW, shadow);
}

void vmx_write_cr4(struct vcpu *vcpu, u64 cr4)
{
	u64 shadow = cr4;

	if (vcpu->in_l2) {
		const struct vmcs12 *v = vcpu->nested.vmcs12;

		shadow = (shadow & ~v->cr4_guest_host_mask) | (v->cr4_read_shadow & v->cr4_guest_host_mask);
	} else {
		vmcs_write(CR4_GUEST_HOST_MASK, ~vmx_cr4_guest_owned(vcpu));
	}
	vmcs_write(GUEST_CR4, vmx_hw_cr4(cr4));
	vmcs_write(CR4_READ_SHADOW, shadow);
}

void vmx_write_efer(struct vcpu *vcpu, u64 efer)
{
	u32 entry = vmcs_read(VM_ENTRY_CONTROLS) & ~VM_ENTRY_IA32E_MODE;

	vcpu->efer = efer;
	vmcs_write(GUEST_IA32_EFER, efer);
	vmcs_write(VM_ENTRY_CONTROLS, entry | (efer & EFER_LMA ? VM_ENTRY_IA32E_MODE : 0));
	/* Compatibility: outside long mode a set LME without LMA is fine with unrestricted guests (SDM 27.3.1.1). */
}

bool vcpu_is_long_mode(struct vcpu *vcpu)
{
	return vcpu->efer & EFER_LMA;
}

bool vcpu_is_paging(struct vcpu *vcpu)
{
	return vcpu_cr0(vcpu) & X86_CR0_PG;
}

bool vcpu_is_64bit(struct vcpu *vcpu)
{
	return vcpu_is_long_mode(vcpu) && (vmcs_read(GUEST_CS_AR_BYTES) & VMX_AR_L_MASK);
}

static const u16 pdpte_fields[4] = { GUEST_PDPTR0, GUEST_PDPTR1, GUEST_PDPTR2, GUEST_PDPTR3 };

/* The four PDPTEs of PAE paging live in registers (SDM 3A 4.4.1); with EPT the VMCS holds them. */
int vmx_load_pdptrs(struct vcpu *vcpu, u64 cr3)
{
	u64 rsvd = GENMASK_ULL(2, 1) | GENMASK_ULL(8, 5) | GENMASK_ULL(63, vcpu->gcaps.maxphyaddr);
	gpa_t gpa = cr3 & GENMASK_ULL(31, 5);
	u64 pdpte[4];
	int i;

	if (vcpu->in_l2 && vcpu->nested.ept02.cur) {
		struct ept12_result r;

		if (ept12_translate(vcpu, gpa, EPT_READ, &r) != EPT12_OK)
			return -EINVAL;
		gpa = r.gpa;
	}
	if (vm_read_guest(vcpu->vm, gpa, pdpte, sizeof(pdpte)))
		return -EINVAL;
	for (i = 0; i < 4; i++)
		if ((pdpte[i] & 1) && (pdpte[i] & rsvd))
			return -EINVAL;
	for (i = 0; i < 4; i++)
		vmcs_write(pdpte_fields[i], pdpte[i]);
	return 0;
}

/* CR0.PG is about to change: EFER.LMA follows (SDM 3A 10.8.5). 0 or -EINVAL (#GP). */
static int regs_change_paging(struct vcpu *vcpu, u64 cr0, u64 cr4)
{
	if (!(cr0 & X86_CR0_PG)) {
		if (cr4 & X86_CR4_PCIDE)
			return -EINVAL;
		if (vcpu_is_64bit(vcpu))
			return -EINVAL;
		if (vcpu->efer & EFER_LMA)
			vmx_write_efer(vcpu, vcpu->efer & ~(u64)EFER_LMA);
		return 0;
	}
	if (vcpu->efer & EFER_LME) {
		if (!(cr4 & X86_CR4_PAE) || (vmcs_read(GUEST_CS_AR_BYTES) & VMX_AR_L_MASK))
			return -EINVAL;
		/* SDM 27.3.1.2: entry wants a busy 64-bit TSS in long mode, which the reset state's is. */
		vmx_write_efer(vcpu, vcpu->efer | EFER_LMA);
	} else if ((cr4 & X86_CR4_PAE) && vmx_load_pdptrs(vcpu, vcpu_cr3(vcpu))) {
		return -EINVAL;
	}
	return 0;
}

/* Bits that VMX operation fixes to 1, in an unrestricted L2 but for PE and PG (SDM 3C 24.8, 26.3 on MOV to CR0). */
static u64 regs_cr0_fixed(struct vcpu *vcpu)
{
	u64 fixed = vcpu->nested.caps.cr0_fixed0;

	if (vcpu->in_l2 && (vmcs_read(SECONDARY_VM_EXEC_CONTROL) & SECONDARY_EXEC_UNRESTRICTED_GUEST))
		fixed &= ~(u64)(X86_CR0_PE | X86_CR0_PG);
	return fixed;
}

/**
 * vcpu_set_cr0 - MOV to CR0 by the running level, or its like
 * @vcpu: loaded
 * @cr0: the whole new value
 *
 * Return: 0; -EINVAL where the instruction raises #GP(0) (SDM 2B, MOV control registers), nothing changed.
 */
int vcpu_set_cr0(struct vcpu *vcpu, u64 cr0)
{
	u64 old = vcpu_cr0(vcpu), cr4 = vcpu_cr4(vcpu);

	if (cr0 & GENMASK_ULL(63, 32))
		return -EINVAL;
	cr0 = (cr0 & CR0_KNOWN) | X86_CR0_ET;
	if ((cr0 & X86_CR0_NW) && !(cr0 & X86_CR0_CD))
		return -EINVAL;
	if ((cr0 & X86_CR0_PG) && !(cr0 & X86_CR0_PE))
		return -EINVAL;
	if (vcpu->nested.vmxon && (regs_cr0_fixed(vcpu) & ~cr0))
		return -EINVAL;
	if ((old ^ cr0) & X86_CR0_PG) {
		if (regs_change_paging(vcpu, cr0, cr4))
			return -EINVAL;
	} else if ((cr0 & X86_CR0_PG) && (cr4 & X86_CR4_PAE) && !vcpu_is_long_mode(vcpu) &&
		   ((old ^ cr0) & (X86_CR0_CD | X86_CR0_NW)) && vmx_load_pdptrs(vcpu, vcpu_cr3(vcpu))) {
		return -EINVAL;
	}
	vmx_write_cr0(vcpu, cr0);
	/* VMWRITE does not invalidate what MOV to CR0 would (SDM 3A 4.10.4.1). */
	if ((old ^ cr0) & (X86_CR0_PG | X86_CR0_WP | X86_CR0_PE))
		vcpu_request(vcpu, REQ_TLB_FLUSH_GUEST);
	return 0;
}

int vcpu_set_cr3(struct vcpu *vcpu, u64 cr3)
{
	u64 cr4 = vcpu_cr4(vcpu);

	if (vcpu_is_long_mode(vcpu)) {
		u64 rsvd = GENMASK_ULL(62, vcpu->gcaps.maxphyaddr);

		if (cr3 & rsvd)
			return -EINVAL;
		if (cr3 >> 63 && !(cr4 & X86_CR4_PCIDE))
			return -EINVAL;
	} else {
		cr3 = (u32)cr3;
		if ((cr4 & X86_CR4_PAE) && vcpu_is_paging(vcpu) && vmx_load_pdptrs(vcpu, cr3))
			return -EINVAL;
	}
	vmcs_write(GUEST_CR3, cr3 & ~BIT_ULL(63));
	if (!(cr3 >> 63))
		vcpu_request(vcpu, REQ_TLB_FLUSH_GUEST);
	return 0;
}

/**
 * vcpu_set_cr4 - MOV to CR4 by the running level
 * @vcpu: loaded
 * @cr4: the whole new value
 *
 * Return: 0; -EINVAL for #GP(0), nothing changed (SDM 3A 2.5, 2B MOV; 3C 24.8 for VMXE in VMX operation).
 */
int vcpu_set_cr4(struct vcpu *vcpu, u64 cr4)
{
	u64 old = vcpu_cr4(vcpu), cr0 = vcpu_cr0(vcpu);
	const u64 pdptr_bits = X86_CR4_PGE | X86_CR4_PSE | X86_CR4_PAE | X86_CR4_SMEP;
	bool paging = cr0 & X86_CR0_PG;

	if (cr4 & ~vcpu->gcaps.cr4_allowed)
		return -EINVAL;
	if (vcpu->nested.vmxon && !(cr4 & X86_CR4_VMXE))
		return -EINVAL;
	if (vcpu_is_long_mode(vcpu)) {
		if (!(cr4 & X86_CR4_PAE) || ((old ^ cr4) & X86_CR4_LA57))
			return -EINVAL;
	} else if (cr4 & X86_CR4_PCIDE) {
		return -EINVAL;
	} else if (paging && (cr4 & X86_CR4_PAE) && ((old ^ cr4) & pdptr_bits) &&
		   vmx_load_pdptrs(vcpu, vcpu_cr3(vcpu))) {
		return -EINVAL;
	}
	if ((cr4 & ~old & X86_CR4_PCIDE) && (vcpu_cr3(vcpu) & 0xfff))
		return -EINVAL;
	vmx_write_cr4(vcpu, cr4);
	if ((old ^ cr4) & (pdptr_bits | X86_CR4_PCIDE | X86_CR4_SMAP | X86_CR4_PKE | X86_CR4_LA57))
		vcpu_request(vcpu, REQ_TLB_FLUSH_GUEST);
	if ((old ^ cr4) & (X86_CR4_OSXSAVE | X86_CR4_PKE))
		vcpu_request(vcpu, REQ_CPUID);
	return 0;
}

/**
 * vcpu_set_efer - WRMSR to IA32_EFER by the running level
 * @vcpu: loaded
 * @efer: new value; LMA is kept as it is
 *
 * Return: 0, or -EINVAL for #GP(0): reserved bits, or LME changed while paging (SDM 3A 2.2.1).
 */
int vcpu_set_efer(struct vcpu *vcpu, u64 efer)
{
	u64 old = vcpu->efer;

	if (efer & ~(vcpu->gcaps.efer_allowed | EFER_LMA))
		return -EINVAL;
	if (((old ^ efer) & EFER_LME) && vcpu_is_paging(vcpu))
		return -EINVAL;
	efer = (efer & ~(u64)EFER_LMA) | (old & EFER_LMA);
	vmx_write_efer(vcpu, efer);
	if ((old ^ efer) & EFER_NX)
		vcpu_request(vcpu, REQ_TLB_FLUSH_GUEST);
	return 0;
}
