// SPDX-License-Identifier: GPL-2.0
/* String instructions: one step of MOVS, CMPS, STOS, LODS, SCAS, INS, OUTS. Pure. */
#include <linux/kernel.h>
#include <linux/string.h>

#include "emul/exec.h"

static u64 exec_string_reg(const struct emul_ctx *ctx, u8 reg)
{
	return ctx->gpr[reg] & emul_size_mask(ctx->insn.ad_bytes);
}

static void exec_string_advance(struct emul_ctx *ctx, u8 reg, u64 elements, u32 bytes)
{
	u64 delta = elements * bytes;

	emul_write_reg(ctx, reg, ctx->insn.ad_bytes, ctx->gpr[reg] + (ctx->rflags & FL_DF ? -delta : delta));
}

/*
 * Number of port elements that move in one step. More than one move only upwards within a page, so that
 * one check of the whole range finds the fault of the first bad element.
 */
static u32 exec_string_pio_batch(const struct emul_ctx *ctx, u64 la, u64 max, u32 bytes)
{
	u64 n = (0x1000 - (la & 0xfff)) / bytes;

	if ((ctx->rflags & (FL_DF | FL_TF)) || !n)
		return 1;
	return min3(n, max, (u64)EMUL_PIO_BYTES / bytes);
}

/* Returns the linear address of the first element and the number that move in this step, all checked for faults. */
static int exec_string_pio_range(struct emul_ctx *ctx, u8 seg, u64 ea, u64 max, bool write, u32 bytes, u64 *la, u32 *n)
{
	struct emul_fault none = { 0 };
	u64 whole;
	u32 len;
	int r = emul_linear(ctx, seg, ea, bytes, write, la);

	if (r == EMUL_DONE)
		r = emul_check_alignment(ctx, *la, bytes);
	if (r != EMUL_DONE)
		return r;
	*n = exec_string_pio_batch(ctx, *la, max, bytes);
	/* One element at a time where the address wraps or the range crosses the limit. */
	if (ea + *n * bytes - 1 > emul_size_mask(ctx->insn.ad_bytes) ||
	    emul_linear(ctx, seg, ea, *n * bytes, write, &whole) != EMUL_DONE)
		*n = 1;
	ctx->fault = none;
	/* A port read cannot be undone: check first that its data can be written. */
	len = *n * bytes;
	r = ctx->ops->probe(ctx, *la, &len, write);
	if (len < *n * bytes)
		*n = 1;
	return r;
}

static int exec_string_ins(struct emul_ctx *ctx, u32 bytes, u64 max, u64 *done)
{
	u64 ea = exec_string_reg(ctx, GPR_DI), la;
	u32 n;
	int r;

	r = exec_string_pio_range(ctx, SREG_ES, ea, max, true, bytes, &la, &n);
	if (r == EMUL_DONE)
		r = ctx->ops->in(ctx, ctx->gpr[GPR_DX], bytes, &n, ctx->pio_buf);
	if (r == EMUL_DONE)
		r = ctx->ops->write(ctx, la, ctx->pio_buf, n * bytes);
	if (r != EMUL_DONE)
		return r;
	exec_string_advance(ctx, GPR_DI, n, bytes);
	*done = n;
	return EMUL_DONE;
}

static int exec_string_outs(struct emul_ctx *ctx, u32 bytes, u64 max, u64 *done)
{
	u64 ea = exec_string_reg(ctx, GPR_SI), la;
	u32 n;
	int r;

	r = exec_string_pio_range(ctx, ctx->insn.seg, ea, max, false, bytes, &la, &n);
	if (r == EMUL_DONE)
		r = ctx->ops->read(ctx, la, ctx->pio_buf, n * bytes, false);
	if (r == EMUL_DONE)
		r = ctx->ops->out(ctx, ctx->gpr[GPR_DX], bytes, n, ctx->pio_buf);
	if (r != EMUL_DONE)
		return r;
	exec_string_advance(ctx, GPR_SI, n, bytes);
	*done = n;
	return EMUL_DONE;
}

static int exec_string_two_memory(struct emul_ctx *ctx, u32 bytes)
{
	u64 src = 0, dst = 0;
	int r;

	r = emul_mem_read(ctx, ctx->insn.seg, exec_string_reg(ctx, GPR_SI), &src, bytes, false);
	if (r != EMUL_DONE)
		return r;
	if (ctx->insn.op == OP_MOVS) {
		r = emul_mem_write(ctx, SREG_ES, exec_string_reg(ctx, GPR_DI), &src, bytes);
	} else {
		r = emul_mem_read(ctx, SREG_ES, exec_string_reg(ctx, GPR_DI), &dst, bytes, false);
		if (r == EMUL_DONE)
			alu_binary(OP_CMP, src, dst, bytes, &ctx->rflags);
	}
	if (r != EMUL_DONE)
		return r;
	exec_string_advance(ctx, GPR_SI, 1, bytes);
	exec_string_advance(ctx, GPR_DI, 1, bytes);
	return EMUL_DONE;
}

/* STOS, LODS and SCAS: the accumulator and one memory operand. */
static int exec_string_accumulator(struct emul_ctx *ctx, u32 bytes)
{
	u64 acc = ctx->gpr[GPR_AX] & emul_size_mask(bytes), val = 0;
	bool lods = ctx->insn.op == OP_LODS;
	u8 reg = lods ? GPR_SI : GPR_DI;
	int r;

	if (ctx->insn.op == OP_STOS)
		r = emul_mem_write(ctx, SREG_ES, exec_string_reg(ctx, reg), &acc, bytes);
	else
		r = emul_mem_read(ctx, lods ? ctx->insn.seg : SREG_ES, exec_string_reg(ctx, reg), &val, bytes, false);
	if (r != EMUL_DONE)
		return r;
	if (lods)
		emul_write_reg(ctx, GPR_AX, bytes, val);
	else if (ctx->insn.op == OP_SCAS)
		alu_binary(OP_CMP, acc, val, bytes, &ctx->rflags);
	exec_string_advance(ctx, reg, 1, bytes);
	return EMUL_DONE;
}

/**
 * emul_exec_string() - execute up to @max iterations of a string instruction
 * @ctx: the instruction; all registers but rCX advance, and flags as by the last comparison
 * @max: at least 1
 * @done: set to the iterations that were executed
 *
 * Context: Any. Pure but for ctx->ops.
 * Return: EMUL_DONE, or the result of the ctx->ops callback that failed; the
 * caller restores the registers then.
 */
int emul_exec_string(struct emul_ctx *ctx, u64 max, u64 *done)
{
	u32 bytes = ctx->insn.op_bytes;

	*done = 1;
	switch (ctx->insn.op) {
	case OP_INS:
		return exec_string_ins(ctx, min(bytes, 4U), max, done);
	case OP_OUTS:
		return exec_string_outs(ctx, min(bytes, 4U), max, done);
	case OP_MOVS:
	case OP_CMPS:
		return exec_string_two_memory(ctx, bytes);
	default:
		return exec_string_accumulator(ctx, bytes);
	}
}
