// SPDX-License-Identifier: GPL-2.0
/*
 * Control registers on the short way. After an exit by an access to one, L1 mostly changes L2's register and its read
 * shadow. The short way lets it write these fields to the shadow VMCS without exits until it enters L2 again: see enum
 * shadow_writes. SDM 3C 25.6.6, 27.3.1.1.
 */
#include <asm/processor-flags.h>
#include "droste.h"
#include "nested/merge.h"
#include "nested/nested.h"
#include "nested/shadow.h"
#include "nested/vmcs02.h"
#include "vmx/regs.h"
#include "vmx/vmx.h"

/* Bits that change neither the paging mode nor anything else that L0 must know of. */
#define CR0_PLAIN	(X86_CR0_MP | X86_CR0_EM | X86_CR0_TS | X86_CR0_WP | X86_CR0_AM)
/* The same. */
#define CR4_PLAIN	(X86_CR4_VME | X86_CR4_PVI | X86_CR4_TSD | X86_CR4_DE | X86_CR4_MCE | X86_CR4_PGE | X86_CR4_PCE | \
			 X86_CR4_OSFXSR | X86_CR4_OSXMMEXCPT | X86_CR4_FSGSBASE | X86_CR4_OSXSAVE | X86_CR4_SMEP | \
			 X86_CR4_SMAP)

/* What the exit qualification of MOV to CR0 and CR4 has in bits 5:0, with CR0 and CR4 (SDM 3C table 28-3). */
#define QUAL_ACCESS	0x3f

/**
 * again_cr_is_l1s() - whether an exit is a MOV to CR0 or CR4 that L1 gets
 * @vcpu: in L2, has just exited by an access to a control register
 *
 * Decides as nested_route() does, for 64-bit code and an operand other than RSP. If it says yes,
 * vcpu->exit has all that the reason defines.
 *
 * Context: Interrupts disabled. VMCS02 is current, no register is cached.
 * Return: false if nested_route() must decide.
 */
bool again_cr_is_l1s(struct vcpu *vcpu)
{
	const struct vmcs12 *v = vcpu->nested.vmcs12;
	struct vmx_exit *e = &vcpu->exit;
	u64 qual = vmcs_read(EXIT_QUALIFICATION), seen, mask;
	u32 reg = (qual >> 8) & 0xf;

	if ((qual & QUAL_ACCESS) == 4) {
		seen = v->cr4_read_shadow;
		mask = v->cr4_guest_host_mask;
	} else if ((qual & QUAL_ACCESS) == 0) {
		seen = v->cr0_read_shadow;
		mask = v->cr0_guest_host_mask;
	} else {
		return false;
	}
	if (reg == RSP || !((vcpu->regs[reg] ^ seen) & mask) || !vcpu_is_64bit(vcpu))
		return false;
	e->qual = qual;
	e->ilen = vmcs_read(VM_EXIT_INSTRUCTION_LEN);
	e->gla = vmcs_read(GUEST_LINEAR_ADDRESS);
	return true;
}

/* Whether the entry passes the rows of checks.def for CR0, which the present one passed. */
static bool again_cr0_is_usual(const struct vcpu *vcpu, u64 cr0)
{
	const struct vmx_caps *caps = &vcpu->nested.caps;

	/* Of the others, PE and PG may be 0 for an unrestricted guest. */
	return !((cr0 ^ vcpu->nested.vmcs12->guest_cr0) & ~(u64)CR0_PLAIN) &&
	       vmx_fixed_bits_ok(cr0, caps->cr0_fixed0 & CR0_PLAIN, caps->cr0_fixed1);
}

/* The same for CR4. */
static bool again_cr4_is_usual(const struct vcpu *vcpu, u64 cr4)
{
	const struct vmx_caps *caps = &vcpu->nested.caps;

	return !((cr4 ^ vcpu->nested.vmcs12->guest_cr4) & ~(u64)CR4_PLAIN) &&
	       vmx_fixed_bits_ok(cr4, caps->cr4_fixed0, caps->cr4_fixed1);
}

/**
 * again_cr_fetch() - read the control registers that L1 may have written from the shadow VMCS
 * @vcpu: in L1, at a VMRESUME that may be a repetition; nested.again.crs is filled
 *
 * Context: Interrupts disabled. The shadow VMCS is current.
 * Return: false if the general path must look at them.
 */
bool again_cr_fetch(struct vcpu *vcpu)
{
	struct nested *n = &vcpu->nested;
	const struct vmcs12 *v = n->vmcs12;
	struct again_crs *c = &n->again.crs;

	c->news0 = c->news3 = c->news4 = 0;
	if (n->shadow_writes & SHADOW_WRITES_CR3) {
		c->cr3 = vmcs_read(GUEST_CR3);
		c->news3 = c->cr3 ^ v->guest_cr3;
		if (c->cr3 >> vcpu->gcaps.maxphyaddr)
			return false;
	}
	if (!(n->shadow_writes & SHADOW_WRITES_CRS))
		return true;
	c->cr0 = vmcs_read(GUEST_CR0);
	c->cr4 = vmcs_read(GUEST_CR4);
	c->cr0_shadow = vmcs_read(CR0_READ_SHADOW);
	c->cr4_shadow = vmcs_read(CR4_READ_SHADOW);
	c->news0 = (c->cr0 ^ v->guest_cr0) | (c->cr0_shadow ^ v->cr0_read_shadow);
	c->news4 = (c->cr4 ^ v->guest_cr4) | (c->cr4_shadow ^ v->cr4_read_shadow);
	/* L1 mostly changes one of them. */
	return (!c->news0 || again_cr0_is_usual(vcpu, c->cr0)) && (!c->news4 || again_cr4_is_usual(vcpu, c->cr4));
}

/**
 * again_cr_take() - put the control registers that L1 has changed into VMCS12
 * @n: of a vCPU that enters L2; again_cr_fetch() was called
 *
 * Context: Interrupts disabled.
 */
void again_cr_take(struct nested *n)
{
	struct vmcs12 *v = n->vmcs12, *held = n->shadow_held;
	const struct again_crs *c = &n->again.crs;

	if (c->news0) {
		v->guest_cr0 = held->guest_cr0 = c->cr0;
		v->cr0_read_shadow = held->cr0_read_shadow = c->cr0_shadow;
	}
	if (c->news3)
		v->guest_cr3 = held->guest_cr3 = c->cr3;
	if (c->news4) {
		v->guest_cr4 = held->guest_cr4 = c->cr4;
		v->cr4_read_shadow = held->cr4_read_shadow = c->cr4_shadow;
	}
}

/* VMCS12 has L2's CR0 when VMCS02 has the one below, unless L1 wrote CD or NW, which the entry ignores. */
static void again_cr_write_cr0(struct vcpu *vcpu, const struct vmcs12 *v)
{
	u64 cr0 = vmx_keep_cd(vcpu, v->guest_cr0), hw = vmx_hw_cr0(cr0);

	vmcs_write(CR0_READ_SHADOW, merge_cr_shadow(cr0, v->cr0_read_shadow, v->cr0_guest_host_mask));
	vmcs_write(GUEST_CR0, hw);
	vcpu->nested.again.cr0_seen = cr0 == v->guest_cr0 ? hw : CR_UNSEEN;
}

/* The value for the processor is that of vmx_hw_cr4(), whose present CR4.MCE of the host is known. */
static void again_cr_write_cr4(struct vcpu *vcpu, const struct vmcs12 *v)
{
	u64 hw = (v->guest_cr4 & ~(vmx_features.umip_emulated ? (u64)X86_CR4_UMIP : 0)) | X86_CR4_VMXE | vcpu->nested.again.l0_mce;

	vmcs_write(CR4_READ_SHADOW, merge_cr_shadow(v->guest_cr4, v->cr4_read_shadow, v->cr4_guest_host_mask));
	vmcs_write(GUEST_CR4, hw);
	/* The other register may be unseen. */
	if (vcpu->nested.again.cr4_seen != CR_UNSEEN)
		vcpu->nested.again.cr4_seen = hw;
}

/**
 * again_cr_write() - write the control registers that L1 has changed to VMCS02
 * @vcpu: in L2, which has not run yet
 *
 * Does what vmcs02_write_crs() does, except for fields that are the same at repeated entries.
 *
 * Context: Interrupts disabled. VMCS02 is current.
 */
void again_cr_write(struct vcpu *vcpu)
{
	const struct vmcs12 *v = vcpu->nested.vmcs12;
	const struct again_crs *c = &vcpu->nested.again.crs;

	if (c->news0)
		again_cr_write_cr0(vcpu, v);
	if (c->news3)
		vmcs_write(GUEST_CR3, v->guest_cr3);
	if (c->news4)
		again_cr_write_cr4(vcpu, v);
}
