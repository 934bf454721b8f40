/* SPDX-License-Identifier: GPL-2.0 */
/* Registers of the level that runs: reads from the current VMCS, writes with and without the guest's checks. */
#ifndef DROSTE_VMX_REGS_H
#define DROSTE_VMX_REGS_H

#include "droste.h"
#include "vmx/vmx.h"

/* Bits of vcpu->reg_avail and vcpu->reg_dirty. */
#define REG_RIP		BIT(0)
#define REG_RSP		BIT(1)
#define REG_RFLAGS	BIT(2)

/* --- cached registers --- */

/**
 * vcpu_rip() - RIP of the running level
 * @vcpu: loaded
 *
 * Context: Process context. May read the current VMCS. Does not sleep.
 * Return: the value.
 */
static inline u64 vcpu_rip(struct vcpu *vcpu)
{
	if (!(vcpu->reg_avail & REG_RIP)) {
		vcpu->rip = vmcs_read(GUEST_RIP);
		vcpu->reg_avail |= REG_RIP;
	}
	return vcpu->rip;
}

/**
 * vcpu_set_rip() - set RIP of the running level
 * @vcpu: loaded
 * @rip: new value
 *
 * Context: Process context. Does not sleep. vmx_flush_regs() writes the VMCS.
 */
static inline void vcpu_set_rip(struct vcpu *vcpu, u64 rip)
{
	vcpu->rip = rip;
	vcpu->reg_avail |= REG_RIP;
	vcpu->reg_dirty |= REG_RIP;
}

/**
 * vcpu_rsp() - RSP of the running level
 * @vcpu: loaded
 *
 * Context: Process context. May read the current VMCS. Does not sleep.
 * Return: the value.
 */
static inline u64 vcpu_rsp(struct vcpu *vcpu)
{
	if (!(vcpu->reg_avail & REG_RSP)) {
		vcpu->regs[RSP] = vmcs_read(GUEST_RSP);
		vcpu->reg_avail |= REG_RSP;
	}
	return vcpu->regs[RSP];
}

/**
 * vcpu_set_rsp() - set RSP of the running level
 * @vcpu: loaded
 * @rsp: new value
 *
 * Context: Process context. Does not sleep. vmx_flush_regs() writes the VMCS.
 */
static inline void vcpu_set_rsp(struct vcpu *vcpu, u64 rsp)
{
	vcpu->regs[RSP] = rsp;
	vcpu->reg_avail |= REG_RSP;
	vcpu->reg_dirty |= REG_RSP;
}

/**
 * vcpu_rflags() - RFLAGS of the running level
 * @vcpu: loaded
 *
 * Context: Process context. May read the current VMCS. Does not sleep.
 * Return: the value.
 */
static inline u64 vcpu_rflags(struct vcpu *vcpu)
{
	if (!(vcpu->reg_avail & REG_RFLAGS)) {
		vcpu->rflags = vmcs_read(GUEST_RFLAGS);
		vcpu->reg_avail |= REG_RFLAGS;
	}
	return vcpu->rflags;
}

/**
 * vcpu_set_rflags() - set RFLAGS of the running level
 * @vcpu: loaded
 * @rflags: new value; bit 1 always becomes 1
 *
 * Context: Process context. Does not sleep. vmx_flush_regs() writes the VMCS.
 */
static inline void vcpu_set_rflags(struct vcpu *vcpu, u64 rflags)
{
	vcpu->rflags = rflags | X86_EFLAGS_FIXED;
	vcpu->reg_avail |= REG_RFLAGS;
	vcpu->reg_dirty |= REG_RFLAGS;
}

/**
 * vcpu_gpr() - a general register of the running level
 * @vcpu: loaded
 * @reg: its number, RSP included
 *
 * Context: Process context. May read the current VMCS. Does not sleep.
 * Return: the value.
 */
static inline u64 vcpu_gpr(struct vcpu *vcpu, enum gpr reg)
{
	return reg == RSP ? vcpu_rsp(vcpu) : vcpu->regs[reg];
}

/**
 * vcpu_set_gpr() - set a general register of the running level
 * @vcpu: loaded
 * @reg: its number, RSP included
 * @val: new value
 *
 * Context: Process context. Does not sleep.
 */
static inline void vcpu_set_gpr(struct vcpu *vcpu, enum gpr reg, u64 val)
{
	if (reg == RSP)
		vcpu_set_rsp(vcpu, val);
	else
		vcpu->regs[reg] = val;
}

/* --- regs.c: registers as the guest sees them --- */
u64 vcpu_linear_rip(struct vcpu *vcpu);
void vcpu_note_altered(struct vcpu *vcpu);
u64 vcpu_cr0(struct vcpu *vcpu);
u64 vcpu_cr3(struct vcpu *vcpu);
u64 vcpu_cr4(struct vcpu *vcpu);
int vcpu_set_cr0(struct vcpu *vcpu, u64 cr0);
int vcpu_set_cr3(struct vcpu *vcpu, u64 cr3);
int vcpu_set_cr4(struct vcpu *vcpu, u64 cr4);
int vcpu_set_efer(struct vcpu *vcpu, u64 efer);

/**
 * vcpu_complete_by() - have the next KVM_RUN finish the exit to user space that is about to begin
 * @vcpu: loaded
 * @complete: called at the start of the next KVM_RUN; returns enum next
 *
 * Context: Process context. Does not sleep.
 */
static inline void vcpu_complete_by(struct vcpu *vcpu, int (*complete)(struct vcpu *vcpu))
{
	vcpu->complete = complete;
	vcpu->complete_plainly = false;
	vcpu->altered = false;
}

/**
 * vcpu_complete_plainly_by() - as vcpu_complete_by(), if the instruction is finished by what is known already
 * @vcpu: loaded
 * @complete: as for vcpu_complete_by(); it may use guest memory, and what vm->srcu protects, only if vcpu->altered is set
 *
 * Context: Process context. Does not sleep.
 */
static inline void vcpu_complete_plainly_by(struct vcpu *vcpu, int (*complete)(struct vcpu *vcpu))
{
	vcpu->complete = complete;
	vcpu->complete_plainly = true;
	vcpu->altered = false;
}

/**
 * vcpu_same_place() - whether the vCPU is still at the instruction that user space was asked about
 * @vcpu: loaded
 *
 * User space may have changed RIP since, by a reset for instance. The instruction
 * must not be finished then.
 *
 * Context: Process context. Reads the current VMCS. Does not sleep.
 * Return: true if the next instruction is that of the exit which vcpu->complete finishes.
 */
static inline bool vcpu_same_place(struct vcpu *vcpu)
{
	return likely(!vcpu->altered) || vcpu_linear_rip(vcpu) == vcpu->resume_rip;
}

/**
 * vcpu_is_long_mode() - whether the running level is in IA-32e mode
 * @vcpu: the vCPU; caller holds its mutex
 *
 * Context: Process context. Does not sleep.
 * Return: true if EFER.LMA is set.
 */
static inline bool vcpu_is_long_mode(struct vcpu *vcpu)
{
	return vcpu->efer & EFER_LMA;
}

/**
 * vcpu_is_64bit() - whether the running level executes 64-bit code
 * @vcpu: loaded
 *
 * Context: Reads the current VMCS. Does not sleep.
 * Return: true in IA-32e mode with CS.L set.
 */
static inline bool vcpu_is_64bit(struct vcpu *vcpu)
{
	return vcpu_is_long_mode(vcpu) && (vmcs_read(GUEST_CS_AR_BYTES) & VMX_AR_L_MASK);
}

/**
 * vcpu_cpl() - the current privilege level
 * @vcpu: the vCPU
 *
 * Context: Caller holds vcpu->mutex. The VMCS of the running level is current.
 * Return: 0 to 3.
 */
static inline int vcpu_cpl(struct vcpu *vcpu)
{
	/* SS.DPL is the CPL in every mode (SDM 3C 25.4.1). */
	return vmcs_read(GUEST_SS_AR_BYTES) >> 5 & 3;
}

/**
 * vcpu_advance_rip() - move RIP past the instruction that exited
 * @vcpu: loaded; vcpu->exit is the exit of the instruction
 *
 * Context: Process context. Reads the current VMCS. Does not sleep.
 */
static inline void vcpu_advance_rip(struct vcpu *vcpu)
{
	u64 old = vcpu_rip(vcpu), rip = old + vcpu->exit.ilen;

	/* Outside 64-bit code RIP wraps at 32 bits. */
	if (unlikely((old ^ rip) >> 31 && !vcpu_is_64bit(vcpu)))
		rip = (u32)rip;
	vcpu_set_rip(vcpu, rip);
}

/* --- regs.c: fields of the current VMCS --- */
void vmx_write_regs(struct vcpu *vcpu);

/**
 * vmx_flush_regs() - write changed RIP, RSP and RFLAGS to the current VMCS
 * @vcpu: loaded
 *
 * Must be called before an entry, and before another VMCS becomes current.
 *
 * Context: Any in which the vCPU's VMCS stays current. Does not sleep.
 */
static inline void vmx_flush_regs(struct vcpu *vcpu)
{
	if (vcpu->reg_dirty)
		vmx_write_regs(vcpu);
}

void vmx_write_cr0(struct vcpu *vcpu, u64 cr0);
void vmx_write_cr4(struct vcpu *vcpu, u64 cr4);
void vmx_write_efer(struct vcpu *vcpu, u64 efer);
u64 vmx_cr0_guest_owned(struct vcpu *vcpu);
u64 vmx_cr4_guest_owned(struct vcpu *vcpu);
bool vcpu_split_lock(struct vcpu *vcpu);
u64 vmx_hw_cr0(u64 cr0);
u64 vmx_hw_cr4(u64 cr4);

#define CR0_CD_NW	((u64)(X86_CR0_CD | X86_CR0_NW))

/* Must be called before the running level gets @cr4, by MOV to CR4, a VM entry or an exit. */
static inline void vmx_note_cr4(struct vcpu *vcpu, u64 cr4)
{
	if (unlikely((cr4 & X86_CR4_PKE) && !vcpu->pkru_used))
		vcpu->pkru_used = true;
	if (unlikely(vmx_features.umip_emulated))
		vmx_follow_umip(vcpu, cr4 & X86_CR4_UMIP);
}

/* CR0 after a VM entry or exit that loads @cr0: both keep CD and NW (SDM 3C 27.3.2.1, 28.5.1). */
static inline u64 vmx_keep_cd(const struct vcpu *vcpu, u64 cr0)
{
	return (cr0 & ~CR0_CD_NW) | vcpu->cr0_cd;
}

int vmx_load_pdptrs(struct vcpu *vcpu, u64 cr3);

/* --- segs.c --- */
void vcpu_get_segment(struct vcpu *vcpu, enum seg seg, struct kvm_segment *out);
void vcpu_set_segment(struct vcpu *vcpu, enum seg seg, const struct kvm_segment *in);

#endif
