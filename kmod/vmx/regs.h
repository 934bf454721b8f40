/* SPDX-License-Identifier: GPL-2.0 */
/* Registers of the current VMCS, for those in vmx/ and nested/ who write them without asking the guest's checks. */
#ifndef DROSTE_VMX_REGS_H
#define DROSTE_VMX_REGS_H

#include <linux/bits.h>
#include <linux/types.h>

struct vcpu;
struct loaded_vmcs;

/* vcpu->reg_avail and reg_dirty */
#define REG_RIP		BIT(0)
#define REG_RSP		BIT(1)
#define REG_RFLAGS	BIT(2)

void vmx_flush_regs(struct vcpu *vcpu);		/* dirty cached registers to the current VMCS */
void vmx_write_cr0(struct vcpu *vcpu, u64 cr0);	/* no checks; hardware value, mask and shadow */
void vmx_write_cr4(struct vcpu *vcpu, u64 cr4);
void vmx_write_efer(struct vcpu *vcpu, u64 efer);	/* vcpu->efer, the VMCS field and IA-32e mode guest */
u64 vmx_cr0_guest_owned(struct vcpu *vcpu);	/* bits a guest of L0's changes without an exit */
u64 vmx_cr4_guest_owned(struct vcpu *vcpu);
u64 vmx_hw_cr0(u64 cr0);			/* what the hardware field must hold for a guest that wants @cr0 */
u64 vmx_hw_cr4(u64 cr4);
int vmx_load_pdptrs(struct vcpu *vcpu, u64 cr3);	/* 0, or -EINVAL: reserved bits or no memory (#GP) */

void vcpu_switch_vmcs(struct vcpu *vcpu, struct loaded_vmcs *to);
void vmx_host_sync_cpu(struct loaded_vmcs *v);
void vmx_host_sync_vmcs(struct vcpu *vcpu);
void vmx_update_cpuid_controls(struct vcpu *vcpu);

#endif
