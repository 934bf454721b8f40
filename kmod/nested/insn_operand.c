// SPDX-License-Identifier: GPL-2.0
/* Memory operands of VMX instructions: address from the VM-exit instruction information, checks, access. */
#include <linux/kvm.h>
#include "droste.h"
#include "cpu/walk.h"
#include "emul/arch.h"
#include "nested/insn.h"
#include "run/request.h"
#include "trace.h"
#include "vmx/inject.h"
#include "vmx/regs.h"

/* The effective address: base + index * scale + displacement, truncated to the address size (SDM 1, 3.7.5). */
static u64 insn_effective_address(struct vcpu *vcpu)
{
	u32 info = vcpu->exit.iinfo;
	/* The exit qualification is the displacement; it includes the next RIP if the operand is RIP-relative. */
	u64 ea = vcpu->exit.qual;

	if (!IINFO_NO_BASE(info))
		ea += vcpu_gpr(vcpu, IINFO_BASE(info));
	if (!IINFO_NO_INDEX(info))
		ea += vcpu_gpr(vcpu, IINFO_INDEX(info)) << IINFO_SCALE(info);
	switch (IINFO_ADDR_SIZE(info)) {
	case 0:
		return (u16)ea;
	case 1:
		return (u32)ea;
	default:
		return ea;
	}
}

/*
 * Find the linear address of the operand; false if segmentation forbids the
 * access. Outside 64-bit mode this is protected mode: in real, virtual-8086 and
 * compatibility mode the processor raises #UD before the exit (SDM 3C 26.1.1
 * and the instructions' pseudo-code).
 */
static bool insn_linear_address(struct vcpu *vcpu, u32 len, bool write, u64 *la)
{
	enum seg seg = IINFO_SEG(vcpu->exit.iinfo);
	u64 ea = insn_effective_address(vcpu);
	unsigned int bits;
	struct kvm_segment s;

	if (seg > SEG_GS)
		return false;
	if (vcpu_is_64bit(vcpu)) {
		*la = ea;
		if (seg == SEG_FS || seg == SEG_GS) {
			vcpu_get_segment(vcpu, seg, &s);
			*la += s.base;
		}
		bits = vcpu_cr4(vcpu) & X86_CR4_LA57 ? 57 : 48;
		return arch_canonical(*la, bits) && arch_canonical(*la + len - 1, bits);
	}
	vcpu_get_segment(vcpu, seg, &s);
	*la = (u32)(s.base + ea);
	return !s.unusable && s.present && s.s && arch_type_allows(s.type, write) &&
	       arch_within_limit(s.type, s.db, s.limit, ea, len);
}

/*
 * The verdict on an access. An operand in MMIO is an internal error: no hypervisor does that. L2 must not be able to
 * stop L1, so it gets #UD, as for other instructions that L0 cannot execute.
 */
static int insn_access_result(struct vcpu *vcpu, int ret)
{
	if (unlikely(ret == NEXT_ENTER))
		trace_droste_vmx_insn(vcpu, VMX_INSN_FAULT, X86_TRAP_PF);
	if (likely(ret != -EFAULT))
		return ret;
	if (!vcpu->in_l2)
		return vcpu_internal_error(vcpu, KVM_INTERNAL_ERROR_EMULATION, NULL, 0);
	vcpu_queue_exception(vcpu, X86_TRAP_UD);
	return NEXT_ENTER;
}

static int insn_segment_fault(struct vcpu *vcpu)
{
	u8 vector = IINFO_SEG(vcpu->exit.iinfo) == SEG_SS ? X86_TRAP_SS : X86_TRAP_GP;

	trace_droste_vmx_insn(vcpu, VMX_INSN_FAULT, vector);
	vcpu_queue_exception_err(vcpu, vector, 0);
	return NEXT_ENTER;
}

/**
 * insn_read_operand() - read the memory operand of the exiting instruction
 * @vcpu: the vCPU at a VMX instruction; its CPL was checked to be 0
 * @data: buffer for the operand
 * @len: size of the operand in bytes
 *
 * Alignment checks do not apply at CPL 0 (SDM 3A 6.15, #AC).
 *
 * Context: Process context. The VMCS of the level that executes the instruction
 * is current. Caller holds vm->srcu. May sleep.
 * Return: NEXT_GO_ON, or the value that the handler must return.
 */
int insn_read_operand(struct vcpu *vcpu, void *data, u32 len)
{
	u64 la;
	int ret;

	if (!insn_linear_address(vcpu, len, false, &la))
		return insn_segment_fault(vcpu);
	ret = insn_access_result(vcpu, vcpu_read_gva(vcpu, la, data, len, 0, NULL));
	/* The operand of a VMWRITE is the value, and its encoding tells more. */
	if (ret == NEXT_GO_ON && vcpu->exit.basic != EXIT_REASON_VMWRITE)
		memcpy(&vcpu->nested.insn_operand, data, min_t(u32, len, sizeof(u64)));
	return ret;
}

/**
 * insn_write_operand() - write the memory operand of the exiting instruction
 * @vcpu: the vCPU at a VMX instruction; its CPL was checked to be 0
 * @data: the value
 * @len: size of the operand in bytes
 *
 * Context: Process context. The VMCS of the level that executes the instruction
 * is current. Caller holds vm->srcu. May sleep.
 * Return: NEXT_GO_ON, or the value that the handler must return.
 */
int insn_write_operand(struct vcpu *vcpu, const void *data, u32 len)
{
	u64 la;

	if (!insn_linear_address(vcpu, len, true, &la))
		return insn_segment_fault(vcpu);
	return insn_access_result(vcpu, vcpu_write_gva(vcpu, la, data, len, WALK_WRITE, NULL));
}
