// SPDX-License-Identifier: GPL-2.0
/* INVEPT and INVVPID of L1: they invalidate EPT02 and the mappings tagged with vpid02. SDM 3C 29.4.3, 31.3. */
#include "droste.h"
#include "emul/arch.h"
#include "ept/ept.h"
#include "nested/checks.h"
#include "nested/insn.h"
#include "vmx/regs.h"
#include "vmx/vmx.h"

/* Bits of IA32_VMX_EPT_VPID_CAP that offer type t of INVEPT and INVVPID (SDM 3D A.10). */
#define INVEPT_TYPE_BIT(t)	(24 + (t))
#define INVVPID_TYPE_BIT(t)	(40 + (t))
#define CAP_INVVPID		BIT_ULL(32)

/* The invalidation type, from the register operand: 64 bits in 64-bit mode, 32 otherwise. */
static u64 insn_inv_type(struct vcpu *vcpu)
{
	u64 type = vcpu_gpr(vcpu, IINFO_REG2(vcpu->exit.iinfo));

	return vcpu_is_64bit(vcpu) ? type : (u32)type;
}

/**
 * insn_invept() - execute INVEPT for L1 (SDM 3C 31.3)
 * @vcpu: in L1, in VMX operation at CPL 0
 *
 * Context: Process context. VMCS01 is current. Caller holds vm->srcu. May sleep.
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
	if (ret != NEXT_GO_ON)
		return ret;
	if (type == VMX_EPT_EXTENT_GLOBAL) {
		ept02_invalidate_all(vcpu);
		return nested_vmsucceed(vcpu);
	}
	/* INVEPT fails for an EPTP that VM entry would refuse. */
	if (!check_eptp(caps, vcpu->gcaps.maxphyaddr, desc[0]))
		return nested_vmfail(vcpu, VMXERR_INVALID_OPERAND_TO_INVEPT_INVVPID);
	ept02_invalidate(vcpu, desc[0]);
	return nested_vmsucceed(vcpu);
}

/*
 * All VPIDs of L1 share vpid02, whose mappings are those of the VPID that L2
 * ran with last. Any INVVPID invalidates vpid02, also for another VPID: the SDM
 * allows to invalidate more than requested (3C 29.4.3.3), and it costs little.
 */
static void insn_invalidate_vpid02(struct vcpu *vcpu, u64 type, u64 gla)
{
	u16 vpid02 = vcpu->nested.vpid02;

	if (!vpid02)
		return;		/* without a VPID for L2, each entry and exit flushes */
	if (type == VMX_VPID_EXTENT_INDIVIDUAL_ADDR && vmx_features.invvpid_addr)
		vmx_invvpid_addr(vpid02, gla);
	else
		vmx_invvpid_single(vpid02);
}

/**
 * insn_invvpid() - execute INVVPID for L1 (SDM 3C 31.3)
 * @vcpu: in L1, in VMX operation at CPL 0
 *
 * Context: Process context. VMCS01 is current. Caller holds vm->srcu. May sleep.
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
	if (ret != NEXT_GO_ON)
		return ret;
	if ((desc.vpid >> 16) ||
	    (type != VMX_VPID_EXTENT_ALL_CONTEXT && !desc.vpid) ||
	    (type == VMX_VPID_EXTENT_INDIVIDUAL_ADDR &&
	     !arch_canonical(desc.gla, vcpu_cr4(vcpu) & X86_CR4_LA57 ? 57 : 48)))
		return nested_vmfail(vcpu, VMXERR_INVALID_OPERAND_TO_INVEPT_INVVPID);
	insn_invalidate_vpid02(vcpu, type, desc.gla);
	return nested_vmsucceed(vcpu);
}
