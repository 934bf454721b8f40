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

/* --- regs.c: registers as the guest sees them --- */
u64 vcpu_rip(struct vcpu *vcpu);
void vcpu_set_rip(struct vcpu *vcpu, u64 rip);
u64 vcpu_rsp(struct vcpu *vcpu);
void vcpu_set_rsp(struct vcpu *vcpu, u64 rsp);
u64 vcpu_rflags(struct vcpu *vcpu);
void vcpu_set_rflags(struct vcpu *vcpu, u64 rflags);
u64 vcpu_linear_rip(struct vcpu *vcpu);
void vcpu_complete_by(struct vcpu *vcpu, int (*complete)(struct vcpu *vcpu));
void vcpu_note_altered(struct vcpu *vcpu);
bool vcpu_same_place(struct vcpu *vcpu);
u64 vcpu_gpr(struct vcpu *vcpu, enum gpr reg);
void vcpu_set_gpr(struct vcpu *vcpu, enum gpr reg, u64 val);
u64 vcpu_cr0(struct vcpu *vcpu);
u64 vcpu_cr3(struct vcpu *vcpu);
u64 vcpu_cr4(struct vcpu *vcpu);
int vcpu_set_cr0(struct vcpu *vcpu, u64 cr0);
int vcpu_set_cr3(struct vcpu *vcpu, u64 cr3);
int vcpu_set_cr4(struct vcpu *vcpu, u64 cr4);
int vcpu_set_efer(struct vcpu *vcpu, u64 efer);
bool vcpu_is_long_mode(struct vcpu *vcpu);
bool vcpu_is_64bit(struct vcpu *vcpu);

/* --- regs.c: fields of the current VMCS --- */
void vmx_flush_regs(struct vcpu *vcpu);
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
int vcpu_cpl(struct vcpu *vcpu);

#endif
