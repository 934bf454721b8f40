// SPDX-License-Identifier: GPL-2.0
/* INVEPT and INVVPID of L1: they invalidate EPT02 and the mappings tagged with vpid02. SDM 3C 29.4.3, 31.3. */
#include "droste.h"
#include "emul/arch.h"
#include "ept/ept.h"
#include "nested/checks.h"
#include "nested/insn.h"
#include "nested/nested.h"
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

static bool insn_has_invept(const struct vcpu *vcpu)
{
	return (vcpu->nested.gates & BIT(GATE_EPT)) && (vcpu->nested.caps.ept_vpid & VMX_EPT_INVEPT_BIT);
}

static bool insn_invept_has_type(const struct vcpu *vcpu, u64 type)
{
	return (type == VMX_EPT_EXTENT_CONTEXT || type == VMX_EPT_EXTENT_GLOBAL) &&
	       (vcpu->nested.caps.ept_vpid & BIT_ULL(INVEPT_TYPE_BIT(type)));
}

/* Returns false for an EPTP that VM entry would refuse. */
static bool insn_invalidate_ept(struct vcpu *vcpu, u64 type, u64 eptp)
{
	if (type == VMX_EPT_EXTENT_GLOBAL) {
		ept02_invalidate_all(vcpu);
		return true;
	}
	if (!check_eptp(&vcpu->nested.caps, vcpu->gcaps.maxphyaddr, eptp))
		return false;
	ept02_invalidate(vcpu, eptp);
	return true;
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
	u64 desc[2], type;
	int ret;

	if (!insn_has_invept(vcpu))
		return nested_insn_ud(vcpu);
	type = insn_inv_type(vcpu);
	if (!insn_invept_has_type(vcpu, type))
		return nested_vmfail(vcpu, VMXERR_INVALID_OPERAND_TO_INVEPT_INVVPID);
	ret = insn_read_operand(vcpu, desc, sizeof(desc));
	if (ret != NEXT_GO_ON)
		return ret;
	if (!insn_invalidate_ept(vcpu, type, desc[0]))
		return nested_vmfail(vcpu, VMXERR_INVALID_OPERAND_TO_INVEPT_INVVPID);
	return nested_vmsucceed(vcpu);
}

/**
 * nested_op_invept() - carry out an INVEPT of L1 that is no instruction
 * @vcpu: in L1 at CPL 0
 * @type: the type
 * @eptp: bits 63:0 of the descriptor; the others are ignored, as by INVEPT
 *
 * Context: Process context. VMCS01 is current. Caller holds vm->srcu. May sleep.
 * Return: as nested_op_vmread().
 */
int nested_op_invept(struct vcpu *vcpu, u64 type, u64 eptp)
{
	if (!vcpu->nested.vmxon || !insn_has_invept(vcpu))
		return -ENOEXEC;
	if (!insn_invept_has_type(vcpu, type) || !insn_invalidate_ept(vcpu, type, eptp))
		return nested_op_fails(vcpu, VMXERR_INVALID_OPERAND_TO_INVEPT_INVVPID);
	return 0;
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

static bool insn_has_invvpid(const struct vcpu *vcpu)
{
	return (vcpu->nested.gates & BIT(GATE_VPID)) && (vcpu->nested.caps.ept_vpid & CAP_INVVPID);
}

static bool insn_invvpid_has_type(const struct vcpu *vcpu, u64 type)
{
	return type <= VMX_VPID_EXTENT_SINGLE_NON_GLOBAL &&
	       (vcpu->nested.caps.ept_vpid & BIT_ULL(INVVPID_TYPE_BIT(type)));
}

/* Whether INVVPID succeeds with a descriptor. */
static bool insn_invvpid_valid(struct vcpu *vcpu, u64 type, u64 vpid, u64 gla)
{
	if ((vpid >> 16) || (type != VMX_VPID_EXTENT_ALL_CONTEXT && !vpid))
		return false;
	return type != VMX_VPID_EXTENT_INDIVIDUAL_ADDR || arch_canonical(gla, vcpu_cr4(vcpu) & X86_CR4_LA57 ? 57 : 48);
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
	u64 desc[2], type;
	int ret;

	if (!insn_has_invvpid(vcpu))
		return nested_insn_ud(vcpu);
	type = insn_inv_type(vcpu);
	if (!insn_invvpid_has_type(vcpu, type))
		return nested_vmfail(vcpu, VMXERR_INVALID_OPERAND_TO_INVEPT_INVVPID);
	ret = insn_read_operand(vcpu, desc, sizeof(desc));
	if (ret != NEXT_GO_ON)
		return ret;
	if (!insn_invvpid_valid(vcpu, type, desc[0], desc[1]))
		return nested_vmfail(vcpu, VMXERR_INVALID_OPERAND_TO_INVEPT_INVVPID);
	insn_invalidate_vpid02(vcpu, type, desc[1]);
	return nested_vmsucceed(vcpu);
}

/**
 * nested_op_invvpid() - carry out an INVVPID of L1 that is no instruction
 * @vcpu: in L1 at CPL 0
 * @type: the type
 * @vpid: bits 63:0 of the descriptor
 * @gla: bits 127:64 of the descriptor
 *
 * Context: Process context. VMCS01 is current. Caller holds vm->srcu. May sleep.
 * Return: as nested_op_vmread().
 */
int nested_op_invvpid(struct vcpu *vcpu, u64 type, u64 vpid, u64 gla)
{
	if (!vcpu->nested.vmxon || !insn_has_invvpid(vcpu))
		return -ENOEXEC;
	if (!insn_invvpid_has_type(vcpu, type) || !insn_invvpid_valid(vcpu, type, vpid, gla))
		return nested_op_fails(vcpu, VMXERR_INVALID_OPERAND_TO_INVEPT_INVVPID);
	insn_invalidate_vpid02(vcpu, type, gla);
	return 0;
}
