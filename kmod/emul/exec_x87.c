// SPDX-License-Identifier: GPL-2.0
/* x87 instructions with a memory operand (SDM 2D A.5). The processor executes them on a copy of the operand. Pure. */
#include <linux/kernel.h>

#include "emul/exec.h"

/* Size of the operand by opcode (D8 to DF) and ModRM.reg; 0: not known (FLDENV, FNSTENV, FRSTOR, FNSAVE, no instruction). */
static const u8 x87_bytes[8][8] = {
	{ 4, 4, 4, 4, 4, 4, 4, 4 },	/* D8: arithmetic, 32-bit */
	{ 4, 0, 4, 4, 0, 2, 0, 2 },	/* D9: FLD, FST, FSTP, FLDCW, FNSTCW */
	{ 4, 4, 4, 4, 4, 4, 4, 4 },	/* DA: arithmetic, 32-bit integers */
	{ 4, 4, 4, 4, 0, 10, 0, 10 },	/* DB: FILD, FISTTP, FIST, FISTP; FLD and FSTP of 80 bits */
	{ 8, 8, 8, 8, 8, 8, 8, 8 },	/* DC: arithmetic, 64-bit */
	{ 8, 8, 8, 8, 0, 0, 0, 2 },	/* DD: FLD, FISTTP, FST, FSTP, FNSTSW */
	{ 2, 2, 2, 2, 2, 2, 2, 2 },	/* DE: arithmetic, 16-bit integers */
	{ 2, 2, 2, 2, 10, 8, 10, 8 },	/* DF: FILD, FISTTP, FIST, FISTP, FBLD, FILD, FBSTP, FISTP */
};

/* Bit n: the instruction with ModRM.reg n writes its operand. */
static const u8 x87_stores[8] = { 0, 0x8c, 0, 0x8e, 0, 0x8e, 0, 0xce };

/**
 * emul_exec_x87() - execute an x87 instruction with a memory operand
 * @ctx: the processor state, with a decoded instruction
 *
 * Context: That of ctx->ops.
 * Return: enum emul_result.
 */
int emul_exec_x87(struct emul_ctx *ctx)
{
	const struct emul_insn *insn = &ctx->insn;
	u8 reg = insn->reg & 7, data[16] = { 0 };
	u32 bytes = x87_bytes[insn->opcode & 7][reg], len = bytes;
	bool store = x87_stores[insn->opcode & 7] & BIT(reg), stored;
	u64 la;
	int r;

	if (!bytes || !ctx->ops->x87)
		return EMUL_UNKNOWN;
	if (ctx->cr0 & (EMUL_CR0_EM | EMUL_CR0_TS))
		return emul_raise(ctx, X86_TRAP_NM);
	r = emul_linear(ctx, insn->seg, emul_effective_address(ctx), bytes, store, &la);
	if (r == EMUL_DONE)
		r = emul_check_alignment(ctx, la, min(bytes, 8U));
	if (r == EMUL_DONE)
		r = store ? ctx->ops->probe(ctx, la, &len, true) : ctx->ops->read(ctx, la, data, bytes, false);
	/* A store pops, so that it is executed only if its write cannot fault. */
	if (r == EMUL_DONE)
		r = ctx->ops->x87(ctx, data, &stored);
	return r == EMUL_DONE && store && stored ? ctx->ops->write(ctx, la, data, bytes) : r;
}
