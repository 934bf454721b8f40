/* SPDX-License-Identifier: GPL-2.0 */
/* Straight runs of VMREAD, VMWRITE and plain instructions in L1's code, decoded: see nested/cluster.c. Pure. */
#ifndef DROSTE_NESTED_CLUSTER_CODE_H
#define DROSTE_NESTED_CLUSTER_CODE_H

#include <linux/kernel.h>
#include <linux/types.h>
#include "emul/exec.h"
#include "nested/vmcs12.h"

#define CLUSTER_BYTES	192	/* of code in a run; a multiple of 8 */
#define CLUSTER_INSNS	48	/* instructions in a run */

/* What an instruction of a run does. No plain one can fault, except CLUSTER_STORE. */
enum cluster_kind {
	CLUSTER_VMREAD,		/* field @src to register @dst, or with @mem to memory */
	CLUSTER_VMWRITE,	/* register @src to field @dst */
	CLUSTER_CONST,		/* register @dst becomes @imm, all 64 bits of it */
	CLUSTER_NOP,
	CLUSTER_MOV,		/* of registers, or a constant to a part of one */
	CLUSTER_ALU,		/* @op is OP_ADD to OP_CMP, or OP_TEST */
	CLUSTER_UNARY,		/* @op is OP_NOT to OP_DEC */
	CLUSTER_EXTEND,		/* zero or sign extension of @src_bytes; @op is OP_MOVZX or OP_MOVSX */
	CLUSTER_SHIFT,		/* by a constant; @op is OP_SHL, OP_SHR or OP_SAR */
	CLUSTER_LEA,
	CLUSTER_STORE,		/* register @src or @imm to memory: not by cluster_execute() */
	CLUSTER_SETCC,		/* @op is the condition, as in the opcode */
	CLUSTER_CMOV,
	CLUSTER_JCC,
	CLUSTER_JMP,
};

/* One instruction in 64-bit code. RSP is used as the base of addresses only, AH to BH are not used. */
struct cluster_insn {
	u8 kind;	/* enum cluster_kind */
	u8 op;		/* enum emul_op, or a condition */
	u8 dst, src;	/* registers */
	u8 bytes;	/* operand size */
	u8 src_bytes;	/* of an extension */
	bool mem;	/* there is an address, in DS or SS: RSP may be its base */
	bool rip_rel;	/* it is relative to the next instruction */
	s8 base, index;	/* -1 if none */
	u8 scale;	/* log2 */
	s32 disp;
	u8 end;		/* where the next instruction begins, in bytes from the begin of the run */
	bool from_imm;	/* the source is @imm */
	s64 imm;	/* sign-extended; of a jump, the distance from the next instruction */
	/*
	 * Of VMREAD and VMWRITE: the row of the field, if the run itself has loaded the encoding; @imm is the encoding.
	 * NULL if it has not, or there is no such field.
	 */
	const struct vmcs12_field *field;
};

/* Instructions that follow each other in memory. They end with the last VMREAD or VMWRITE, or with a jump behind it. */
struct cluster_run {
	u8 nr;		/* number of instructions; 0: there is no VMREAD and no VMWRITE */
	u8 bytes;	/* length of the code */
	bool uses_rsp;	/* the base of an address is RSP */
	struct cluster_insn insn[CLUSTER_INSNS];
};

void cluster_decode(struct cluster_run *run, const u8 *code, u32 len);
bool cluster_decode_one(struct cluster_insn *i, const u8 *code, u32 len);
u64 cluster_address(const struct cluster_insn *i, const u64 *regs, u64 begin);
bool cluster_execute(const struct cluster_insn *i, u64 begin, u64 *regs, u64 *flags);

/* Whether an instruction is a VMREAD or VMWRITE. */
static inline bool cluster_is_vmx(const struct cluster_insn *i)
{
	return i->kind <= CLUSTER_VMWRITE;
}

/* Whether a condition of Jcc, SETcc or CMOVcc holds; @cc is as in the opcode. alu_condition() knows all of them. */
static __always_inline bool cluster_condition(u8 cc, u64 flags)
{
	static const u16 any_of[] = { FL_OF, FL_CF, FL_ZF, FL_CF | FL_ZF, FL_SF, FL_PF };

	if (cc >= 2 * ARRAY_SIZE(any_of))
		return alu_condition(cc, flags);
	return !!(flags & any_of[cc / 2]) != (cc & 1);
}

#endif
