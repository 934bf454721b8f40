// SPDX-License-Identifier: GPL-2.0
/* General and control registers of the level that runs: cached reads of the current VMCS, checked writes. */
#include <asm/tlbflush.h>
#include <asm/vmx.h>
#include "droste.h"
#include "emul/arch.h"
#include "ept/ept12.h"
#include "mem/l2gpa.h"
#include "mem/memslot.h"
#include "run/request.h"
#include "vmx/regs.h"
#include "vmx/vmx.h"

/* Bits that a guest may change without an exit, if its CPUID has the feature (SDM 3C 25.6.6). */
#define CR0_GUEST_OWNED	(X86_CR0_MP | X86_CR0_EM | X86_CR0_TS | X86_CR0_WP | X86_CR0_AM)
#define CR4_GUEST_OWNED	(X86_CR4_PVI | X86_CR4_TSD | X86_CR4_DE | X86_CR4_PCE | X86_CR4_PGE | \
			 X86_CR4_OSFXSR | X86_CR4_OSXMMEXCPT | X86_CR4_FSGSBASE)

#define CR0_KNOWN	(X86_CR0_PE | X86_CR0_MP | X86_CR0_EM | X86_CR0_TS | X86_CR0_ET | X86_CR0_NE | \
			 X86_CR0_WP | X86_CR0_AM | X86_CR0_NW | X86_CR0_CD | X86_CR0_PG)

/**
 * vmx_cr0_guest_owned() - CR0 bits that a guest changes without an exit
 * @vcpu: the vCPU
 *
 * Context: Any.
 * Return: the bits that are 0 in L0's CR0 guest/host mask.
 */
u64 vmx_cr0_guest_owned(struct vcpu *vcpu)
{
	return CR0_GUEST_OWNED;
}

/**
 * vmx_cr4_guest_owned() - CR4 bits that a guest changes without an exit
 * @vcpu: the vCPU; caller holds its mutex
 *
 * Context: Any.
 * Return: the bits that are 0 in L0's CR4 guest/host mask.
 */
u64 vmx_cr4_guest_owned(struct vcpu *vcpu)
{
	return CR4_GUEST_OWNED & vcpu->gcaps.cr4_allowed;
}

/**
 * vmx_hw_cr0() - CR0 with which the processor runs a guest
 * @cr0: the guest's CR0
 *
 * CD and NW are left out because they would slow down the whole machine. NE is
 * fixed to 1 in VMX operation.
 *
 * Context: Any.
 * Return: the value for GUEST_CR0.
 */
u64 vmx_hw_cr0(u64 cr0)
{
	return (cr0 & ~CR0_CD_NW) | X86_CR0_NE | X86_CR0_ET;
}

/**
 * vmx_hw_cr4() - CR4 with which the processor runs a guest
 * @cr4: the guest's CR4
 *
 * Context: Any.
 * Return: the value for GUEST_CR4.
 */
u64 vmx_hw_cr4(u64 cr4)
{
	if (unlikely(vmx_features.umip_emulated))
		cr4 &= ~(u64)X86_CR4_UMIP;
	/* Machine checks are the host's, so its MCE counts and not the guest's. */
	return cr4 | X86_CR4_VMXE | (cr4_read_shadow() & X86_CR4_MCE);
}

/**
 * vcpu_split_lock() - whether the host's detection of split locks raised an alignment check
 * @vcpu: has just exited because of #AC
 *
 * Context: Process context. Reads the current VMCS. Does not sleep.
 * Return: true if it did; false if the guest's own settings did.
 */
bool vcpu_split_lock(struct vcpu *vcpu)
{
	return boot_cpu_has(X86_FEATURE_SPLIT_LOCK_DETECT) &&
	       !vmx_ac_is_guests(vcpu_cpl(vcpu), vmcs_read(GUEST_CR0), vcpu_rflags(vcpu));
}

/**
 * vmx_write_regs() - write RIP, RSP and RFLAGS to the current VMCS, as far as they have changed
 * @vcpu: loaded
 *
 * Callers use vmx_flush_regs().
 *
 * Context: Any in which the vCPU's VMCS stays current. Does not sleep.
 */
void vmx_write_regs(struct vcpu *vcpu)
{
	u32 dirty = vcpu->reg_dirty;

	if (dirty & REG_RIP)
		vmcs_write(GUEST_RIP, vcpu->rip);
	if (dirty & REG_RSP)
		vmcs_write(GUEST_RSP, vcpu->regs[RSP]);
	if (dirty & REG_RFLAGS)
		vmcs_write(GUEST_RFLAGS, vcpu->rflags);
	vcpu->reg_dirty = 0;
}

/**
 * vcpu_linear_rip() - linear address of the next instruction of the running level
 * @vcpu: loaded
 *
 * Context: Process context. Reads the current VMCS. Does not sleep.
 * Return: the address.
 */
u64 vcpu_linear_rip(struct vcpu *vcpu)
{
	if (vcpu_is_64bit(vcpu))
		return vcpu_rip(vcpu);
	return (u32)(vmcs_read(GUEST_CS_BASE) + vcpu_rip(vcpu));
}

/**
 * vcpu_note_altered() - note that user space may be about to change registers
 * @vcpu: loaded
 *
 * Must be called before an ioctl other than KVM_RUN, and before KVM_RUN takes
 * registers from the shared page: the instruction of the last exit is known by
 * the place where the vCPU was until then.
 *
 * Context: Process context. Reads the current VMCS. Does not sleep.
 */
void vcpu_note_altered(struct vcpu *vcpu)
{
	if (!vcpu->complete || vcpu->altered)
		return;
	vcpu->resume_rip = vcpu_linear_rip(vcpu);
	vcpu->altered = true;
}

/*
 * The value of a control register that the guest has set, which differs from
 * the hardware field: bits in L1's mask have the value that L1 put into the
 * guest field of VMCS12, other bits in L0's mask are those of the read shadow,
 * and the remaining bits are those of the hardware field.
 */
static u64 regs_effective_cr(u64 hw, u64 shadow, u64 owned, u64 mask12, u64 guest12)
{
	u64 cr = (hw & owned) | (shadow & ~owned);

	return (cr & ~mask12) | (guest12 & mask12);
}

/**
 * vcpu_cr0() - CR0 of the running level
 * @vcpu: loaded
 *
 * Context: Reads the current VMCS. Does not sleep.
 * Return: the value with which the guest runs. In L2, MOV from CR0 may read
 * another one, because of L1's read shadow.
 */
u64 vcpu_cr0(struct vcpu *vcpu)
{
	const struct vmcs12 *v = vcpu->nested.vmcs12;
	u64 owned = vmx_cr0_guest_owned(vcpu);

	return vmx_keep_cd(vcpu, regs_effective_cr(vmcs_read(GUEST_CR0), vmcs_read(CR0_READ_SHADOW), owned,
						   vcpu->in_l2 ? v->cr0_guest_host_mask : 0,
						   vcpu->in_l2 ? v->guest_cr0 : 0));
}

/**
 * vcpu_cr3() - CR3 of the running level
 * @vcpu: loaded
 *
 * Context: Reads the current VMCS. Does not sleep.
 * Return: the value.
 */
u64 vcpu_cr3(struct vcpu *vcpu)
{
	return vmcs_read(GUEST_CR3);
}

/**
 * vcpu_cr4() - CR4 of the running level
 * @vcpu: loaded
 *
 * Context: Reads the current VMCS. Does not sleep.
 * Return: the value with which the guest runs. In L2, MOV from CR4 may read
 * another one, because of L1's read shadow.
 */
u64 vcpu_cr4(struct vcpu *vcpu)
{
	const struct vmcs12 *v = vcpu->nested.vmcs12;
	u64 owned = vmx_cr4_guest_owned(vcpu);

	return regs_effective_cr(vmcs_read(GUEST_CR4), vmcs_read(CR4_READ_SHADOW), owned,
			    vcpu->in_l2 ? v->cr4_guest_host_mask : 0, vcpu->in_l2 ? v->guest_cr4 : 0);
}

/*
 * L2's bits of CR0 or CR4 that L1 has in its mask are those of VMCS12, which an exit to L1 keeps. L2 cannot change them,
 * but user space can. L1's next entry then checks the register, and writes it to VMCS02.
 */
static void regs_keep_masked(struct nested *n, u64 *guest12, u64 mask12, u64 val)
{
	u64 changes = (*guest12 ^ val) & mask12;

	if (likely(!changes))
		return;
	*guest12 ^= changes;
	n->vmcs12_dirty |= DIRTY12_CR;
}

/**
 * vmx_write_cr0() - write CR0 of the running level to the current VMCS
 * @vcpu: loaded
 * @cr0: new value; not checked
 *
 * Writes the hardware field and the read shadow; in L2 the shadow bits in L1's
 * mask stay those of L1, and VMCS12 gets the register's bits in L1's mask.
 *
 * Context: Writes the current VMCS. Does not sleep.
 */
void vmx_write_cr0(struct vcpu *vcpu, u64 cr0)
{
	u64 shadow = cr0 | X86_CR0_ET;

	vcpu->cr0_cd = cr0 & CR0_CD_NW;
	vcpu->nested.held01.valid = false;
	nested_changed(&vcpu->nested);
	if (vcpu->in_l2) {
		struct vmcs12 *v = vcpu->nested.vmcs12;

		regs_keep_masked(&vcpu->nested, &v->guest_cr0, v->cr0_guest_host_mask, cr0);
		shadow = (shadow & ~v->cr0_guest_host_mask) | (v->cr0_read_shadow & v->cr0_guest_host_mask);
	} else {
		vmcs_write(CR0_GUEST_HOST_MASK, ~vmx_cr0_guest_owned(vcpu));
	}
	vmcs_write(GUEST_CR0, vmx_hw_cr0(cr0));
	vmcs_write(CR0_READ_SHADOW, shadow);
}

/**
 * vmx_write_cr4() - write CR4 of the running level to the current VMCS
 * @vcpu: loaded
 * @cr4: new value; not checked
 *
 * As vmx_write_cr0().
 *
 * Context: Writes the current VMCS. Does not sleep.
 */
void vmx_write_cr4(struct vcpu *vcpu, u64 cr4)
{
	u64 shadow = cr4;

	vmx_note_cr4(vcpu, cr4);
	vcpu->nested.held01.valid = false;
	nested_changed(&vcpu->nested);
	if (vcpu->in_l2) {
		struct vmcs12 *v = vcpu->nested.vmcs12;

		regs_keep_masked(&vcpu->nested, &v->guest_cr4, v->cr4_guest_host_mask, cr4);
		shadow = (shadow & ~v->cr4_guest_host_mask) | (v->cr4_read_shadow & v->cr4_guest_host_mask);
	} else {
		vmcs_write(CR4_GUEST_HOST_MASK, ~vmx_cr4_guest_owned(vcpu));
	}
	vmcs_write(GUEST_CR4, vmx_hw_cr4(cr4));
	vmcs_write(CR4_READ_SHADOW, shadow);
}

/**
 * vmx_write_efer() - write IA32_EFER of the running level, and the entry control that follows LMA
 * @vcpu: loaded
 * @efer: new value, LMA included; not checked
 *
 * Context: Reads and writes the current VMCS. Does not sleep.
 */
void vmx_write_efer(struct vcpu *vcpu, u64 efer)
{
	u32 entry = vmcs_read(VM_ENTRY_CONTROLS) & ~VM_ENTRY_IA32E_MODE;

	vcpu->efer = efer;
	nested_changed(&vcpu->nested);
	vmcs_write(GUEST_IA32_EFER, likely(vcpu->syscall_used) ? efer : efer & ~(u64)EFER_SCE);
	vmcs_write(VM_ENTRY_CONTROLS, entry | (efer & EFER_LMA ? VM_ENTRY_IA32E_MODE : 0));
	/* LME without LMA is valid while paging is off (SDM 27.3.1.1). */
}

/* Whether the running level has paging enabled. */
static bool regs_is_paging(struct vcpu *vcpu)
{
	return vcpu_cr0(vcpu) & X86_CR0_PG;
}

static const u16 pdpte_fields[4] = { GUEST_PDPTR0, GUEST_PDPTR1, GUEST_PDPTR2, GUEST_PDPTR3 };

/**
 * vmx_load_pdptrs() - load the four PDPTEs of PAE paging from guest memory
 * @vcpu: loaded
 * @cr3: the CR3 that points to them
 *
 * The processor keeps them in registers (SDM 3A 4.4.1), which the VMCS holds
 * while EPT is on.
 *
 * Context: Process context. May sleep. Caller holds vm->srcu (read). Writes the
 * current VMCS.
 * Return: 0; -EINVAL if a PDPTE has reserved bits set or cannot be read; -EFAULT if
 * L1's EPT does not map them for L2. Nothing is written then.
 */
int vmx_load_pdptrs(struct vcpu *vcpu, u64 cr3)
{
	gpa_t gpa = cr3 & GENMASK_ULL(31, 5);
	u64 pdpte[4];
	int i;

	if (vcpu->in_l2 && vcpu->nested.ept02.cur) {
		struct ept12_result r;

		if (ept12_translate(vcpu, gpa, EPT_READ, &r) != EPT12_OK)
			return -EFAULT;
		gpa = r.gpa;
	}
	if (vm_read_guest(vcpu->vm, gpa, pdpte, sizeof(pdpte)))
		return -EINVAL;
	for (i = 0; i < 4; i++)
		if (!arch_pdpte_ok(pdpte[i], vcpu->gcaps.maxphyaddr))
			return -EINVAL;
	for (i = 0; i < 4; i++)
		vmcs_write(pdpte_fields[i], pdpte[i]);
	return 0;
}

/* CR0.PG is about to change: update EFER.LMA or the PDPTEs (SDM 3A 10.8.5). Returns what vcpu_set_cr0() does. */
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
		/* VM entry needs a busy 64-bit TSS in IA-32e mode (SDM 27.3.1.2); TR has that type from reset on. */
		vmx_write_efer(vcpu, vcpu->efer | EFER_LMA);
	} else if (cr4 & X86_CR4_PAE) {
		return vmx_load_pdptrs(vcpu, vcpu_cr3(vcpu));
	}
	return 0;
}

/* CR0 bits that VMX operation fixes to 1; not PE and PG in an unrestricted L2 (SDM 3C 24.8, 26.3 on MOV to CR0). */
static u64 regs_cr0_fixed(struct vcpu *vcpu)
{
	u64 fixed = vcpu->nested.caps.cr0_fixed0;

	if (vcpu->in_l2 && (vmcs_read(SECONDARY_VM_EXEC_CONTROL) & SECONDARY_EXEC_UNRESTRICTED_GUEST))
		fixed &= ~(u64)(X86_CR0_PE | X86_CR0_PG);
	return fixed;
}

/**
 * vcpu_set_cr0() - emulate a write to CR0 by the running level
 * @vcpu: loaded
 * @cr0: the whole new value
 *
 * Context: Process context. May sleep. Caller holds vm->srcu (read). Reads and
 * writes the current VMCS.
 * Return: 0; -EINVAL if the instruction raises #GP(0) (SDM 2B, MOV control
 * registers); -EFAULT if walk_reflect_pdptrs() must give it to L1. CR0 is
 * unchanged then.
 */
int vcpu_set_cr0(struct vcpu *vcpu, u64 cr0)
{
	u64 old = vcpu_cr0(vcpu), cr4 = vcpu_cr4(vcpu);
	int ret = 0;

	if (cr0 & GENMASK_ULL(63, 32))
		return -EINVAL;
	cr0 = (cr0 & CR0_KNOWN) | X86_CR0_ET;
	if ((cr0 & X86_CR0_NW) && !(cr0 & X86_CR0_CD))
		return -EINVAL;
	if ((cr0 & X86_CR0_PG) && !(cr0 & X86_CR0_PE))
		return -EINVAL;
	if (vcpu->nested.vmxon && (regs_cr0_fixed(vcpu) & ~cr0))
		return -EINVAL;
	if ((old ^ cr0) & X86_CR0_PG)
		ret = regs_change_paging(vcpu, cr0, cr4);
	else if ((cr0 & X86_CR0_PG) && (cr4 & X86_CR4_PAE) && !vcpu_is_long_mode(vcpu) &&
		 ((old ^ cr0) & (X86_CR0_CD | X86_CR0_NW)))
		ret = vmx_load_pdptrs(vcpu, vcpu_cr3(vcpu));
	if (ret)
		return ret;
	vmx_write_cr0(vcpu, cr0);
	/* MOV to CR0 invalidates TLB entries (SDM 3A 4.10.4.1); VMWRITE does not. */
	if ((old ^ cr0) & (X86_CR0_PG | X86_CR0_WP | X86_CR0_PE))
		vcpu_request(vcpu, REQ_TLB_FLUSH_GUEST);
	return 0;
}

/**
 * vcpu_set_cr3() - emulate a write to CR3 by the running level
 * @vcpu: loaded
 * @cr3: new value; bit 63 keeps the TLB if PCIDs are on
 *
 * Context: Process context. May sleep. Caller holds vm->srcu (read). Reads and
 * writes the current VMCS.
 * Return: 0; -EINVAL for #GP(0); -EFAULT if walk_reflect_pdptrs() must give the
 * instruction to L1. Nothing is changed then.
 */
int vcpu_set_cr3(struct vcpu *vcpu, u64 cr3)
{
	u64 cr4 = vcpu_cr4(vcpu);
	int ret;

	if (vcpu_is_long_mode(vcpu)) {
		u64 rsvd = GENMASK_ULL(62, vcpu->gcaps.maxphyaddr);

		if (cr3 & rsvd)
			return -EINVAL;
		if (cr3 >> 63 && !(cr4 & X86_CR4_PCIDE))
			return -EINVAL;
	} else {
		cr3 = (u32)cr3;
		ret = (cr4 & X86_CR4_PAE) && regs_is_paging(vcpu) ? vmx_load_pdptrs(vcpu, cr3) : 0;
		if (ret)
			return ret;
	}
	vmcs_write(GUEST_CR3, cr3 & ~BIT_ULL(63));
	if (!(cr3 >> 63))
		vcpu_request(vcpu, REQ_TLB_FLUSH_GUEST);
	return 0;
}

/**
 * vcpu_set_cr4() - emulate a write to CR4 by the running level
 * @vcpu: loaded
 * @cr4: the whole new value
 *
 * Context: Process context. May sleep. Caller holds vm->srcu (read). Reads and
 * writes the current VMCS.
 * Return: 0; -EINVAL for #GP(0) (SDM 3A 2.5, 2B MOV; 3C 24.8 for VMXE in VMX
 * operation); -EFAULT if walk_reflect_pdptrs() must give the instruction to L1.
 * CR4 is unchanged then.
 */
int vcpu_set_cr4(struct vcpu *vcpu, u64 cr4)
{
	u64 old = vcpu_cr4(vcpu), cr0 = vcpu_cr0(vcpu);
	const u64 pdptr_bits = X86_CR4_PGE | X86_CR4_PSE | X86_CR4_PAE | X86_CR4_SMEP;
	bool paging = cr0 & X86_CR0_PG;
	int ret;

	if (cr4 & ~vcpu->gcaps.cr4_allowed)
		return -EINVAL;
	if (vcpu->nested.vmxon && !(cr4 & X86_CR4_VMXE))
		return -EINVAL;
	if (vcpu_is_long_mode(vcpu)) {
		if (!(cr4 & X86_CR4_PAE) || ((old ^ cr4) & X86_CR4_LA57))
			return -EINVAL;
	} else if (cr4 & X86_CR4_PCIDE) {
		return -EINVAL;
	} else if (paging && (cr4 & X86_CR4_PAE) && ((old ^ cr4) & pdptr_bits)) {
		ret = vmx_load_pdptrs(vcpu, vcpu_cr3(vcpu));
		if (ret)
			return ret;
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
 * vcpu_set_efer() - emulate WRMSR to IA32_EFER by the running level
 * @vcpu: loaded
 * @efer: new value; LMA is ignored
 *
 * Context: Process context. Does not sleep. Reads and writes the current VMCS.
 * Return: 0; -EINVAL for #GP(0): a reserved bit is set, or LME would change
 * while paging is on (SDM 3A 2.2.1).
 */
int vcpu_set_efer(struct vcpu *vcpu, u64 efer)
{
	u64 old = vcpu->efer;

	if (efer & ~(vcpu->gcaps.efer_allowed | EFER_LMA))
		return -EINVAL;
	if (((old ^ efer) & EFER_LME) && regs_is_paging(vcpu))
		return -EINVAL;
	efer = (efer & ~(u64)EFER_LMA) | (old & EFER_LMA);
	vmx_write_efer(vcpu, efer);
	if ((old ^ efer) & EFER_NX)
		vcpu_request(vcpu, REQ_TLB_FLUSH_GUEST);
	return 0;
}
