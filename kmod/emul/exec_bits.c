// SPDX-License-Identifier: GPL-2.0
/* BMI1, BMI2, ADX, POPCNT and CRC32. Pure. */
#include <linux/kernel.h>

#include "emul/exec.h"

static void exec_bits_set_flags(struct emul_ctx *ctx, u64 result, u32 bytes, bool carry)
{
	ctx->rflags &= ~(FL_CF | FL_ZF | FL_SF | FL_OF);
	if (carry)
		ctx->rflags |= FL_CF;
	if (!result)
		ctx->rflags |= FL_ZF;
	if (result >> (8 * bytes - 1))
		ctx->rflags |= FL_SF;
}

/* The operand in VEX.vvvv. There are eight registers outside 64-bit mode. */
static u8 exec_bits_vvvv(const struct emul_ctx *ctx)
{
	return ctx->insn.vvvv & (ctx->mode == MODE_64 ? 15 : 7);
}

static u64 exec_bits_extract(struct emul_ctx *ctx, u64 src, u64 control, u32 bytes)
{
	u32 start = control & 0xff, len = control >> 8 & 0xff;
	u64 val = start < 64 ? src >> start : 0;

	if (len < 64)
		val &= (1ULL << len) - 1;
	ctx->rflags &= ~(FL_CF | FL_ZF | FL_OF);
	if (!val)
		ctx->rflags |= FL_ZF;
	return val & emul_size_mask(bytes);
}

/* BLSR /1, BLSMSK /2, BLSI /3. */
static u64 exec_bits_lowest(struct emul_ctx *ctx, u64 src, u32 bytes)
{
	u64 mask = emul_size_mask(bytes), val;

	switch (ctx->insn.reg & 7) {
	case 1:
		val = src & (src - 1);
		break;
	case 2:
		val = (src ^ (src - 1)) & mask;
		break;
	default:
		val = src & -src;
		exec_bits_set_flags(ctx, val, bytes, src);
		return val;
	}
	exec_bits_set_flags(ctx, val, bytes, !src);
	return val;
}

static u64 exec_bits_zero_high(struct emul_ctx *ctx, u64 src, u64 index, u32 bytes)
{
	u32 n = index & 0xff;

	if (n < 8 * bytes)
		src &= (1ULL << n) - 1;
	exec_bits_set_flags(ctx, src, bytes, n >= 8 * bytes);
	return src;
}

/* PDEP puts the low bits of @src where @mask has ones, PEXT is the reverse. */
static u64 exec_bits_move(u64 src, u64 mask, bool deposit)
{
	u64 val = 0, low = 1, bit;

	for (; mask; mask &= mask - 1, low <<= 1) {
		bit = mask & -mask;
		if (src & (deposit ? low : bit))
			val |= deposit ? bit : low;
	}
	return val;
}

/* SHLX 66, SARX F3, SHRX F2; flags do not change. */
static u64 exec_bits_shift(u8 pp, u64 src, u64 count, u32 bytes)
{
	u32 n = count & (8 * bytes - 1);

	if (pp == 1)
		return src << n;
	return pp == 2 ? (u64)(emul_sign_extend(src, 8 * bytes) >> n) : src >> n;
}

static u64 exec_bits_popcount(struct emul_ctx *ctx, u64 src)
{
	u64 n = 0;

	ctx->rflags = (ctx->rflags & ~FL_ARITH) | (src ? 0 : FL_ZF);
	for (; src; src &= src - 1)
		n++;
	return n;
}

/* ADCX adds with and to CF, ADOX with and to OF. */
static u64 exec_bits_add(struct emul_ctx *ctx, u64 a, u64 b, u32 bytes)
{
	u64 flag = ctx->insn.pp == 1 ? FL_CF : FL_OF, mask = emul_size_mask(bytes);
	u64 sum = (a + b) & mask, carry = !!(ctx->rflags & flag), val = (sum + carry) & mask;

	ctx->rflags &= ~flag;
	if (sum < a || val < sum)
		ctx->rflags |= flag;
	return val;
}

/* The polynomial 11EDC6F41 of CRC32, with its bits reversed (SDM 2A, CRC32). */
static u64 exec_bits_crc32(u64 crc, u64 src, u32 bytes)
{
	u32 c = (u32)crc ^ (u32)src, i;

	if (bytes == 8)
		return exec_bits_crc32(exec_bits_crc32(crc, (u32)src, 4), src >> 32, 4);
	for (i = 0; i < 8 * bytes; i++)
		c = c >> 1 ^ (c & 1 ? 0x82f63b78 : 0);
	return c;
}

/* MULX: the high half is written last, so that it is what stays if both destinations are the same. */
static int exec_bits_multiply(struct emul_ctx *ctx, u64 src, u32 bytes)
{
	u64 lo, hi, flags = 0;

	alu_mul(false, ctx->gpr[GPR_DX] & emul_size_mask(bytes), src, bytes, &lo, &hi, &flags);
	emul_write_reg(ctx, exec_bits_vvvv(ctx), bytes, lo);
	emul_write_reg(ctx, ctx->insn.reg, bytes, hi);
	return EMUL_DONE;
}

static int exec_crc32(struct emul_ctx *ctx)
{
	const struct emul_insn *insn = &ctx->insn;
	u32 bytes = insn->flags & IF_SRC8 ? 1 : insn->op_bytes;
	u64 src, crc;
	int r = emul_load_source(ctx, bytes, &src);

	if (r != EMUL_DONE)
		return r;
	crc = exec_bits_crc32((u32)ctx->gpr[insn->reg], src, bytes);
	emul_write_reg(ctx, insn->reg, 4, crc);
	return EMUL_DONE;
}

/**
 * emul_exec_bits() - execute an instruction of BMI1, BMI2 or ADX, POPCNT or CRC32
 * @ctx: the processor state, with a decoded instruction
 *
 * Context: That of ctx->ops.
 * Return: enum emul_result.
 */
int emul_exec_bits(struct emul_ctx *ctx)
{
	const struct emul_insn *insn = &ctx->insn;
	u32 bytes = insn->op_bytes;
	u8 dst = insn->reg;
	u64 src, other, val;
	int r;

	/* VEX instructions are #UD in real and virtual-8086 mode (SDM 2A table 2-29). */
	if (insn->vex && !emul_protected_mode(ctx))
		return emul_raise(ctx, X86_TRAP_UD);
	if (insn->op == OP_CRC32)
		return exec_crc32(ctx);
	r = emul_load_source(ctx, bytes, &src);
	if (r != EMUL_DONE)
		return r;
	other = ctx->gpr[exec_bits_vvvv(ctx)] & emul_size_mask(bytes);
	switch (insn->op) {
	case OP_ANDN:
		val = ~other & src;
		exec_bits_set_flags(ctx, val, bytes, false);
		break;
	case OP_BEXTR:
		val = exec_bits_extract(ctx, src, other, bytes);
		break;
	case OP_BLS:
		val = exec_bits_lowest(ctx, src, bytes);
		dst = exec_bits_vvvv(ctx);
		break;
	case OP_BZHI:
		val = exec_bits_zero_high(ctx, src, other, bytes);
		break;
	case OP_MULX:
		return exec_bits_multiply(ctx, src, bytes);
	case OP_PDEP: case OP_PEXT:
		val = exec_bits_move(other, src, insn->op == OP_PDEP);
		break;
	case OP_RORX:
		other = 0;
		val = alu_shift(OP_ROR, src, insn->imm & 0xff, bytes, &other);
		break;
	case OP_SHX:
		val = exec_bits_shift(insn->pp, src, other, bytes);
		break;
	case OP_POPCNT:
		val = exec_bits_popcount(ctx, src);
		break;
	default:
		val = exec_bits_add(ctx, ctx->gpr[dst] & emul_size_mask(bytes), src, bytes);
		break;
	}
	emul_write_reg(ctx, dst, bytes, val);
	return EMUL_DONE;
}
