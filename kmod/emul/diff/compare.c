// SPDX-License-Identifier: GPL-2.0
/* What must be equal after one instruction was run twice, and what the manual leaves to the processor. */
#include <linux/kernel.h>
#include <linux/string.h>

#include "diff.h"

static u32 shift_count(const struct test_case *t)
{
	const struct emul_insn *insn = &t->insn;
	u64 n = insn->src == OPD_ONE ? 1 : insn->flags & IF_IMM8 ? (u64)insn->imm : t->in.gpr[GPR_CX];

	return n & (insn->op_bytes == 8 ? 63 : 31);
}

/* Flags that the manual leaves undefined after the instruction. */
u64 undefined_flags(const struct test_case *t)
{
	u32 n, bits = 8 * t->insn.op_bytes;
	u64 undef = 0;

	switch (t->insn.op) {
	case OP_AND: case OP_OR: case OP_XOR: case OP_TEST:
		return FL_AF;
	case OP_MUL: case OP_IMUL: case OP_IMUL2:
		return FL_SF | FL_ZF | FL_AF | FL_PF;
	case OP_DIV: case OP_IDIV:
		return FL_ARITH;
	case OP_BT ... OP_BTC:
		return FL_OF | FL_SF | FL_AF | FL_PF;
	case OP_BSF: case OP_BSR:
		return FL_ARITH & ~FL_ZF;
	case OP_ROL ... OP_SAR:
	case OP_SHLD: case OP_SHRD:
		n = shift_count(t);
		if (n > 1)
			undef |= FL_OF;
		if (n && (t->insn.op >= OP_SHL))
			undef |= FL_AF;
		if (n >= bits && t->insn.op >= OP_SHL && t->insn.op != OP_SAR)
			undef |= FL_CF;
		if (n > bits && (t->insn.op == OP_SHLD || t->insn.op == OP_SHRD))
			undef = FL_ARITH;
		return undef;
	default:
		return 0;
	}
}

static bool result_undefined(const struct test_case *t)
{
	if (t->insn.op == OP_SHLD || t->insn.op == OP_SHRD)
		return shift_count(t) > 8 * t->insn.op_bytes;
	return false;
}

/* A source of 0 leaves BSF's and BSR's destination alone; processors differ in its upper half. */
static bool scanned_zero(const struct test_case *t, const struct machine *nat)
{
	return (t->insn.op == OP_BSF || t->insn.op == OP_BSR) && (nat->rflags & FL_ZF);
}

const char *compare(const struct test_case *t, const struct machine *nat, const struct machine *emu)
{
	u64 flags = (FL_ARITH | FL_DF);
	int i;

	/* Which operand of CMPS is looked at first is the processor's choice. */
	if (t->insn.op == OP_CMPS && nat->trap >= VEC_SS && emu->trap >= VEC_SS)
		return NULL;
	/* Misaligned and outside of SS as well: #GP or #SS, the processor's choice again. */
	if ((t->insn.op == OP_VEC || t->insn.op == OP_CMPXCHG8B) && (nat->trap == VEC_GP || nat->trap == VEC_SS) &&
	    (emu->trap == VEC_GP || emu->trap == VEC_SS))
		return NULL;
	if (nat->trap != emu->trap)
		return "exception";
	if (nat->rip != emu->rip)
		return "rip";
	if (nat->trap == TRAP_BP || nat->trap == TRAP_DB)
		flags &= ~undefined_flags(t);
	else if (nat->error_code != emu->error_code && nat->trap >= VEC_SS && !pf_elsewhere(nat))
		return "error code";
	if (nat->trap == VEC_PF && nat->cr2 != emu->cr2)
		return "cr2";
	if ((nat->rflags ^ emu->rflags) & flags)
		return "flags";
	if (result_undefined(t) && (nat->trap == TRAP_BP || nat->trap == TRAP_DB))
		return NULL;
	for (i = 0; i < 16; i++) {
		if (scanned_zero(t, nat) && i == t->insn.reg)
			continue;
		if (t->mode == MODE_64 ? nat->gpr[i] != emu->gpr[i] : (u32)nat->gpr[i] != (u32)emu->gpr[i])
			return "registers";
	}
	if (t->vector && memcmp(nat->vec, emu->vec, sizeof(nat->vec)))
		return "vectors";
	return memcmp(nat->data, emu->data, sizeof(nat->data)) ? "memory" : NULL;
}
