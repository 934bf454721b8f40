// SPDX-License-Identifier: GPL-2.0
/* INVEPT and INVVPID of L1: what they invalidate in EPT02 and under L2's tag. SDM 3C 29.4.3, 31.3. */
#include "droste.h"
#include "ept/ept.h"
#include "nested/checks.h"
#include "nested/insn.h"
#include "vmx/regs.h"
#include "vmx/vmx.h"

/* IA32_VMX_EPT_VPID_CAP: type t is offered when bit base + t is set (SDM 3D A.10). */
#define INVEPT_TYPE_BIT(t)	(24 + (t))
#define INVVPID_TYPE_BIT(t)	(40 + (t))
#define CAP_INVVPID		BIT_ULL(32)

/* The register operand: 64 bits in 64-bit mode, 32 otherwise. */
static u64 insn_inv_type(struct vcpu *vcpu)
{
	u64 type = vcpu_gpr(vcpu, IINFO_REG2(vcpu->exit.iinfo));

	return vcpu_is_64bit(vcpu) ? type : (u32)type;
}

/**
 * insn_invept() - INVEPT by L1
 * @vcpu: in L1
 *
 * Return: enum next or a negative errno.
 */
int insn_invept(struct vcpu *vcpu)
{
	const struct vmx_caps *caps = &vcpu->nested.caps;
	u64 desc[2], type;
	int ret;

	if (!(vcpu->nested.gates & BIT(GATE_EPT)) || !(caps->ept_vpid & VMX_EPT_INVEPT_BIT))
		return nested_insn_ud(vcpu);
	type = insn_inv_type(vcpu);
	if ((type != VMX_EPT_EXTENT_CONTEXT && type != VMX_EPT_EXTENT_GLOBAL) ||
	    !(caps->ept_vpid & BIT_ULL(INVEPT_TYPE_BIT(type))))
		return nested_vmfail(vcpu, VMXERR_INVALID_OPERAND_TO_INVEPT_INVVPID);
	ret = insn_read_operand(vcpu, desc, sizeof(desc));
	if (ret != INSN_GO_ON)
		return ret;
	if (type == VMX_EPT_EXTENT_GLOBAL) {
		ept02_invalidate_all(vcpu);
		return nested_vmsucceed(vcpu);
	}
	/* An EPTP that no VM entry would take is refused here too. */
	if (!check_eptp(caps, vcpu->gcaps.maxphyaddr, desc[0]))
		return nested_vmfail(vcpu, VMXERR_INVALID_OPERAND_TO_INVEPT_INVVPID);
	ept02_invalidate(vcpu, desc[0]);
	return nested_vmsucceed(vcpu);
}

/*
 * All VPIDs of L1 share one of L0's, which at each moment stands for the VPID
 * that L2 ran with last. So any INVVPID drops it: more than asked for is
 * allowed (SDM 3C 29.4.3.3), and with another VPID it costs little.
 */
static void insn_invalidate_vpid02(struct vcpu *vcpu, u64 type, u64 gla)
{
	u16 vpid02 = vcpu->nested.vpid02;

	if (!vpid02)
		return;		/* L2 has no tag of its own: each entry and exit flushes */
	if (type == VMX_VPID_EXTENT_INDIVIDUAL_ADDR && vmx_features.invvpid_addr)
		vmx_invvpid_addr(vpid02, gla);
	else
		vmx_invvpid_single(vpid02);
}

/**
 * insn_invvpid() - INVVPID by L1
 * @vcpu: in L1
 *
 * Return: enum next or a negative errno.
 */
int insn_invvpid(struct vcpu *vcpu)
{
	const struct vmx_caps *caps = &vcpu->nested.caps;
	struct {
		u64 vpid;
		u64 gla;
	} desc;
	u64 type;
	int ret;

	if (!(vcpu->nested.gates & BIT(GATE_VPID)) || !(caps->ept_vpid & CAP_INVVPID))
		return nested_insn_ud(vcpu);
	type = insn_inv_type(vcpu);
	if (type > VMX_VPID_EXTENT_SINGLE_NON_GLOBAL || !(caps->ept_vpid & BIT_ULL(INVVPID_TYPE_BIT(type))))
		return nested_vmfail(vcpu, VMXERR_INVALID_OPERAND_TO_INVEPT_INVVPID);
	ret = insn_read_operand(vcpu, &desc, sizeof(desc));
	if (ret != INSN_GO_ON)
		return ret;
	if ((desc.vpid >> 16) ||
	    (type != VMX_VPID_EXTENT_ALL_CONTEXT && !desc.vpid) ||
	    (type == VMX_VPID_EXTENT_INDIVIDUAL_ADDR &&
	     !check_canonical(desc.gla, vcpu_cr4(vcpu) & X86_CR4_LA57)))
		return nested_vmfail(vcpu, VMXERR_INVALID_OPERAND_TO_INVEPT_INVVPID);
	insn_invalidate_vpid02(vcpu, type, desc.gla);
	return nested_vmsucceed(vcpu);
}
