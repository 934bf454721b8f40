// SPDX-License-Identifier: GPL-2.0
/* Execution of one instruction: registers, operands, general instructions, REP. Pure. */
#include <linux/kernel.h>
#include <linux/string.h>

#include "emul/exec.h"

/* --- registers --- */

/* Is the register AH, CH, DH or BH? Byte registers 4 to 7 are, without REX (SDM 2A 2.2.1.2). */
static bool exec_is_high_byte(const struct emul_ctx *ctx, u8 reg, u32 bytes)
{
	return bytes == 1 && !ctx->insn.rex && reg >= 4 && reg < 8;
}

/**
 * emul_read_reg() - read a general register operand
 * @ctx: the processor state
 * @reg: its number in the instruction; without REX, byte registers 4 to 7 are AH to BH
 * @bytes: operand size
 *
 * Context: Any.
 * Return: the value, zero-extended.
 */
u64 emul_read_reg(const struct emul_ctx *ctx, u8 reg, u32 bytes)
{
	if (exec_is_high_byte(ctx, reg, bytes))
		return (ctx->gpr[reg - 4] >> 8) & 0xff;
	return ctx->gpr[reg] & emul_size_mask(bytes);
}

/**
 * emul_write_reg() - write a general register
 * @ctx: the processor state
 * @reg: number of the register; byte registers 4 to 7 are SPL to DIL
 * @bytes: operand size
 * @val: the value
 *
 * Context: Any.
 */
void emul_write_reg(struct emul_ctx *ctx, u8 reg, u32 bytes, u64 val)
{
	u64 mask = emul_size_mask(bytes);

	/* A 32-bit result clears the upper half (SDM 1 3.4.1.1). */
	if (bytes == 4)
		ctx->gpr[reg] = (u32)val;
	else
		ctx->gpr[reg] = (ctx->gpr[reg] & ~mask) | (val & mask);
}

static void exec_write_reg(struct emul_ctx *ctx, u8 reg, u32 bytes, u64 val)
{
	if (exec_is_high_byte(ctx, reg, bytes))
		ctx->gpr[reg - 4] = (ctx->gpr[reg - 4] & ~0xff00ULL) | (val & 0xff) << 8;
	else
		emul_write_reg(ctx, reg, bytes, val);
}

/* --- operands --- */

/**
 * emul_find_operand() - find where an operand of the instruction is
 * @ctx: the processor state, with a decoded instruction
 * @opd: enum opd, not an immediate
 * @bytes: operand size
 * @out: filled, except for the value
 *
 * Context: Any.
 */
void emul_find_operand(struct emul_ctx *ctx, u8 opd, u32 bytes, struct emul_operand *out)
{
	const struct emul_insn *insn = &ctx->insn;

	*out = (struct emul_operand){ .bytes = bytes };
	switch (opd) {
	case OPD_RM:
		out->mem = insn->mem;
		out->reg = insn->rm;
		if (out->mem)
			out->ea = emul_effective_address(ctx);
		break;
	case OPD_REG:
		out->reg = insn->reg;
		break;
	case OPD_OPREG:
		out->reg = (insn->opcode & 7) | (insn->rex & 1 ? 8 : 0);
		break;
	case OPD_MOFFS:
		out->mem = true;
		out->ea = insn->disp;
		break;
	default:
		out->reg = GPR_AX;
		break;
	}
}

/**
 * emul_load_operand() - read an operand
 * @ctx: the processor state
 * @o: the operand; its value is set
 * @rmw: a write to the same operand follows
 *
 * Context: That of ctx->ops.
 * Return: enum emul_result.
 */
int emul_load_operand(struct emul_ctx *ctx, struct emul_operand *o, bool rmw)
{
	o->val = 0;
	if (o->mem)
		return emul_mem_read(ctx, ctx->insn.seg, o->ea, &o->val, o->bytes, rmw);
	o->val = emul_read_reg(ctx, o->reg, o->bytes);
	return EMUL_DONE;
}

/**
 * emul_store_operand() - write an operand
 * @ctx: the processor state
 * @o: the operand
 * @val: the value
 *
 * Context: That of ctx->ops.
 * Return: enum emul_result.
 */
int emul_store_operand(struct emul_ctx *ctx, const struct emul_operand *o, u64 val)
{
	if (o->mem)
		return emul_mem_write(ctx, ctx->insn.seg, o->ea, &val, o->bytes);
	exec_write_reg(ctx, o->reg, o->bytes, val);
	return EMUL_DONE;
}

static int exec_locked_store(struct emul_ctx *ctx, u64 ea, const void *old, const void *new, u32 size)
{
	u64 la;
	int r = emul_linear(ctx, ctx->insn.seg, ea, size, true, &la);

	return r == EMUL_DONE ? ctx->ops->compare_exchange(ctx, la, old, new, size) : r;
}

/* The write of a read-modify-write of @o, whose old value is o->val. */
static int exec_store_rmw(struct emul_ctx *ctx, const struct emul_operand *o, u64 val, bool locked)
{
	if (o->mem && locked)
		return exec_locked_store(ctx, o->ea, &o->val, &val, o->bytes);
	return emul_store_operand(ctx, o, val);
}

/**
 * emul_load_source() - read the source operand of the instruction
 * @ctx: the processor state, with a decoded instruction
 * @bytes: operand size
 * @val: set to the value, zero-extended
 *
 * Context: That of ctx->ops.
 * Return: enum emul_result.
 */
int emul_load_source(struct emul_ctx *ctx, u32 bytes, u64 *val)
{
	const struct emul_insn *insn = &ctx->insn;
	struct emul_operand o;
	int r;

	switch (insn->src) {
	case OPD_IMM:
		*val = insn->imm & emul_size_mask(bytes);
		return EMUL_DONE;
	case OPD_ONE:
		*val = 1;
		return EMUL_DONE;
	case OPD_CL:
		*val = ctx->gpr[GPR_CX] & 0xff;
		return EMUL_DONE;
	}
	emul_find_operand(ctx, insn->src, bytes, &o);
	r = emul_load_operand(ctx, &o, false);
	*val = o.val;
	return r;
}

/* --- instructions --- */

static int exec_alu(struct emul_ctx *ctx)
{
	const struct emul_insn *insn = &ctx->insn;
	bool keeps = insn->op != OP_CMP && insn->op != OP_TEST;
	struct emul_operand dst;
	u64 src, val;
	int r;

	r = emul_load_source(ctx, insn->op_bytes, &src);
	if (r != EMUL_DONE)
		return r;
	emul_find_operand(ctx, insn->dst, insn->op_bytes, &dst);
	r = emul_load_operand(ctx, &dst, keeps);
	if (r != EMUL_DONE)
		return r;
	val = alu_binary(insn->op, dst.val, src, insn->op_bytes, &ctx->rflags);
	return keeps ? exec_store_rmw(ctx, &dst, val, insn->lock) : EMUL_DONE;
}

static int exec_unary(struct emul_ctx *ctx)
{
	const struct emul_insn *insn = &ctx->insn;
	struct emul_operand dst;
	u64 count, val;
	int r;

	emul_find_operand(ctx, insn->dst, insn->op_bytes, &dst);
	r = emul_load_operand(ctx, &dst, true);
	if (r != EMUL_DONE)
		return r;
	if (insn->op >= OP_ROL && insn->op <= OP_SAR) {
		r = emul_load_source(ctx, 1, &count);
		if (r != EMUL_DONE)
			return r;
		val = alu_shift(insn->op, dst.val, count, insn->op_bytes, &ctx->rflags);
	} else {
		val = alu_unary(insn->op, dst.val, insn->op_bytes, &ctx->rflags);
	}
	return exec_store_rmw(ctx, &dst, val, insn->lock);
}

static int exec_shift_double(struct emul_ctx *ctx)
{
	const struct emul_insn *insn = &ctx->insn;
	u32 count = insn->flags & IF_IMM8 ? insn->imm & 0xff : ctx->gpr[GPR_CX] & 0xff;
	struct emul_operand dst;
	u64 val;
	int r;

	emul_find_operand(ctx, insn->dst, insn->op_bytes, &dst);
	r = emul_load_operand(ctx, &dst, true);
	if (r != EMUL_DONE)
		return r;
	val = alu_shift_double(insn->op == OP_SHLD, dst.val, emul_read_reg(ctx, insn->reg, insn->op_bytes), count,
			       insn->op_bytes, &ctx->rflags);
	return emul_store_operand(ctx, &dst, val);
}

/* MOV, MOVZX, MOVSX, MOVSXD, MOVNTI, MOVBE, CMOVcc. */
static int exec_mov(struct emul_ctx *ctx)
{
	const struct emul_insn *insn = &ctx->insn;
	u32 bytes = emul_source_bytes(insn);
	struct emul_operand dst;
	u64 val;
	int r;

	r = emul_load_source(ctx, bytes, &val);
	if (r != EMUL_DONE)
		return r;
	emul_find_operand(ctx, insn->dst, insn->op_bytes, &dst);
	if (insn->op == OP_MOVSX) {
		val = emul_sign_extend(val, 8 * bytes);
	} else if (insn->op == OP_MOVBE) {
		val = __builtin_bswap64(val) >> (64 - 8 * bytes);
	} else if (insn->op == OP_CMOV && !alu_condition(insn->opcode, ctx->rflags)) {
		/* The source was read because it may fault. A 32-bit destination is zero-extended even so. */
		val = emul_read_reg(ctx, dst.reg, dst.bytes);
	}
	return emul_store_operand(ctx, &dst, val);
}

static int exec_movseg(struct emul_ctx *ctx)
{
	struct emul_operand dst;

	/* A store to memory has 16 bits with any operand size (SDM 2B, MOV). */
	emul_find_operand(ctx, OPD_RM, ctx->insn.mem ? 2 : ctx->insn.op_bytes, &dst);
	return emul_store_operand(ctx, &dst, ctx->seg[ctx->insn.reg & 7].sel);
}

static int exec_setcc(struct emul_ctx *ctx)
{
	struct emul_operand dst;

	emul_find_operand(ctx, OPD_RM, 1, &dst);
	return emul_store_operand(ctx, &dst, alu_condition(ctx->insn.opcode, ctx->rflags));
}

/* XCHG and XADD. XCHG with memory is locked even without the prefix. */
static int exec_exchange(struct emul_ctx *ctx)
{
	const struct emul_insn *insn = &ctx->insn;
	struct emul_operand dst;
	u64 reg = emul_read_reg(ctx, insn->reg, insn->op_bytes), val = reg;
	int r;

	emul_find_operand(ctx, OPD_RM, insn->op_bytes, &dst);
	r = emul_load_operand(ctx, &dst, true);
	if (r != EMUL_DONE)
		return r;
	if (insn->op == OP_XADD)
		val = alu_binary(OP_ADD, dst.val, reg, insn->op_bytes, &ctx->rflags);
	/* The destination is written last, so that XADD of a register with itself leaves the sum. */
	exec_write_reg(ctx, insn->reg, insn->op_bytes, dst.val);
	return exec_store_rmw(ctx, &dst, val, insn->lock || insn->op == OP_XCHG);
}

static int exec_cmpxchg(struct emul_ctx *ctx)
{
	const struct emul_insn *insn = &ctx->insn;
	u64 acc = ctx->gpr[GPR_AX] & emul_size_mask(insn->op_bytes), val;
	struct emul_operand dst;
	int r;

	emul_find_operand(ctx, OPD_RM, insn->op_bytes, &dst);
	r = emul_load_operand(ctx, &dst, true);
	if (r != EMUL_DONE)
		return r;
	alu_binary(OP_CMP, acc, dst.val, insn->op_bytes, &ctx->rflags);
	/* Memory is always written, with its old value if the comparison fails (SDM 2A, CMPXCHG). */
	val = dst.val;
	if (ctx->rflags & FL_ZF)
		val = emul_read_reg(ctx, insn->reg, insn->op_bytes);
	else
		emul_write_reg(ctx, GPR_AX, insn->op_bytes, dst.val);
	if (dst.mem || (ctx->rflags & FL_ZF))
		return exec_store_rmw(ctx, &dst, val, insn->lock);
	return EMUL_DONE;
}

static int exec_cmpxchg8b(struct emul_ctx *ctx)
{
	u32 half = ctx->insn.op_bytes == 8 ? 8 : 4;
	u64 ea = emul_effective_address(ctx), la, mask = emul_size_mask(half);
	u64 old[2] = { 0 }, new[2];
	u8 mem[16], out[16];
	int r;

	r = emul_linear(ctx, ctx->insn.seg, ea, 2 * half, true, &la);
	if (r != EMUL_DONE)
		return r;
	/* CMPXCHG16B requires alignment (SDM 2A, CMPXCHG8B/CMPXCHG16B). */
	if (half == 8 && (la & 15))
		return emul_raise_err(ctx, X86_TRAP_GP, 0);
	r = emul_mem_read(ctx, ctx->insn.seg, ea, mem, 2 * half, true);
	if (r != EMUL_DONE)
		return r;
	memcpy(&old[0], mem, half);
	memcpy(&old[1], mem + half, half);
	memcpy(new, old, sizeof(new));
	if (old[0] == (ctx->gpr[GPR_AX] & mask) && old[1] == (ctx->gpr[GPR_DX] & mask)) {
		ctx->rflags |= FL_ZF;
		new[0] = ctx->gpr[GPR_BX];
		new[1] = ctx->gpr[GPR_CX];
	} else {
		ctx->rflags &= ~FL_ZF;
		emul_write_reg(ctx, GPR_AX, half, old[0]);
		emul_write_reg(ctx, GPR_DX, half, old[1]);
	}
	memcpy(out, &new[0], half);
	memcpy(out + half, &new[1], half);
	if (ctx->insn.lock)
		return exec_locked_store(ctx, ea, mem, out, 2 * half);
	return emul_mem_write(ctx, ctx->insn.seg, ea, out, 2 * half);
}

static int exec_bit(struct emul_ctx *ctx)
{
	const struct emul_insn *insn = &ctx->insn;
	u32 bits = 8 * insn->op_bytes;
	struct emul_operand dst;
	u64 index, bit, val;
	s64 offset;
	int r;

	emul_find_operand(ctx, OPD_RM, insn->op_bytes, &dst);
	if (insn->src == OPD_IMM) {
		index = insn->imm;
	} else {
		index = emul_read_reg(ctx, insn->reg, insn->op_bytes);
		/* A bit offset in a register is signed and can be outside the operand (SDM 2A, BT; 1 3.1.1.9). */
		offset = emul_sign_extend(index, bits);
		offset = (offset & ~(s64)(bits - 1)) / 8;
		dst.ea = (dst.ea + offset) & emul_size_mask(insn->ad_bytes);
	}
	bit = 1ULL << (index & (bits - 1));
	r = emul_load_operand(ctx, &dst, insn->op != OP_BT);
	if (r != EMUL_DONE)
		return r;
	ctx->rflags = (ctx->rflags & ~FL_CF) | (dst.val & bit ? FL_CF : 0);
	switch (insn->op) {
	case OP_BTS:
		val = dst.val | bit;
		break;
	case OP_BTR:
		val = dst.val & ~bit;
		break;
	case OP_BTC:
		val = dst.val ^ bit;
		break;
	default:
		return EMUL_DONE;
	}
	return exec_store_rmw(ctx, &dst, val, insn->lock);
}

/* The operand size counts for a source of 0 (SDM 2A LZCNT, 2B TZCNT). */
static int exec_count_zeros(struct emul_ctx *ctx, u64 src)
{
	const struct emul_insn *insn = &ctx->insn;
	u32 bits = 8 * insn->op_bytes;
	u64 val = bits;

	if (src)
		val = insn->op == OP_TZCNT ? __builtin_ctzll(src) : __builtin_clzll(src) - (64 - bits);
	ctx->rflags &= ~(FL_CF | FL_ZF);
	ctx->rflags |= (src ? 0 : FL_CF) | (val ? 0 : FL_ZF);
	emul_write_reg(ctx, insn->reg, insn->op_bytes, val);
	return EMUL_DONE;
}

static int exec_bit_scan(struct emul_ctx *ctx)
{
	const struct emul_insn *insn = &ctx->insn;
	u64 src, val;
	int r;

	r = emul_load_source(ctx, insn->op_bytes, &src);
	if (r != EMUL_DONE)
		return r;
	/* Without these instructions, processors ignore the prefix: they are BSF and BSR. */
	if ((insn->op == OP_TZCNT && (ctx->features & EMUL_HAS_TZCNT)) ||
	    (insn->op == OP_LZCNT && (ctx->features & EMUL_HAS_LZCNT)))
		return exec_count_zeros(ctx, src);
	/* A source of 0 sets ZF and does not change the destination (SDM 2A, BSF). */
	if (!src) {
		ctx->rflags |= FL_ZF;
		return EMUL_DONE;
	}
	ctx->rflags &= ~FL_ZF;
	val = insn->op == OP_BSF || insn->op == OP_TZCNT ? __builtin_ctzll(src) : 63 - __builtin_clzll(src);
	emul_write_reg(ctx, insn->reg, insn->op_bytes, val);
	return EMUL_DONE;
}

/* MUL, IMUL, DIV and IDIV with the accumulator: AX, or rDX:rAX. */
static int exec_mul_div(struct emul_ctx *ctx)
{
	const struct emul_insn *insn = &ctx->insn;
	bool is_signed = insn->op == OP_IMUL || insn->op == OP_IDIV;
	u32 bytes = insn->op_bytes;
	u64 mask = emul_size_mask(bytes), lo = ctx->gpr[GPR_AX] & mask, hi;
	struct emul_operand src;
	int r;

	emul_find_operand(ctx, OPD_RM, bytes, &src);
	r = emul_load_operand(ctx, &src, false);
	if (r != EMUL_DONE)
		return r;
	if (insn->op == OP_MUL || insn->op == OP_IMUL) {
		alu_mul(is_signed, lo, src.val, bytes, &lo, &hi, &ctx->rflags);
	} else {
		hi = (bytes == 1 ? ctx->gpr[GPR_AX] >> 8 : ctx->gpr[GPR_DX]) & mask;
		if (!alu_div(is_signed, lo, hi, src.val, bytes, &lo, &hi))
			return emul_raise(ctx, X86_TRAP_DE);
	}
	if (bytes == 1) {
		emul_write_reg(ctx, GPR_AX, 2, hi << 8 | lo);
	} else {
		emul_write_reg(ctx, GPR_AX, bytes, lo);
		emul_write_reg(ctx, GPR_DX, bytes, hi);
	}
	return EMUL_DONE;
}

/* IMUL with two operands, or with an immediate as the second factor. */
static int exec_imul2(struct emul_ctx *ctx)
{
	const struct emul_insn *insn = &ctx->insn;
	u32 bytes = insn->op_bytes;
	u64 a, b, lo, hi;
	int r;

	r = emul_load_source(ctx, bytes, &a);
	if (r != EMUL_DONE)
		return r;
	b = insn->flags & (IF_IMM8 | IF_IMMZ) ? insn->imm & emul_size_mask(bytes) : emul_read_reg(ctx, insn->reg, bytes);
	alu_mul(true, a, b, bytes, &lo, &hi, &ctx->rflags);
	emul_write_reg(ctx, insn->reg, bytes, lo);
	return EMUL_DONE;
}

static int exec_clflush(struct emul_ctx *ctx)
{
	u32 len = 1;
	u64 la;
	int r = emul_linear(ctx, ctx->insn.seg, emul_effective_address(ctx), len, false, &la);

	return r == EMUL_DONE ? ctx->ops->probe(ctx, la, &len, false) : r;
}

/* 64 bytes from the operand to ES:REG, which must be aligned (SDM 2B, MOVDIR64B). */
static int exec_movdir64b(struct emul_ctx *ctx)
{
	const struct emul_insn *insn = &ctx->insn;
	u64 to = emul_read_reg(ctx, insn->reg, insn->ad_bytes), la;
	u8 data[64];
	int r;

	r = emul_linear(ctx, SREG_ES, to, sizeof(data), true, &la);
	if (r == EMUL_DONE && (la & 63))
		r = emul_raise_err(ctx, X86_TRAP_GP, 0);
	if (r == EMUL_DONE)
		r = emul_mem_read(ctx, insn->seg, emul_effective_address(ctx), data, sizeof(data), false);
	return r == EMUL_DONE ? ctx->ops->write(ctx, la, data, sizeof(data)) : r;
}

static int exec_one(struct emul_ctx *ctx)
{
	switch (ctx->insn.op) {
	case OP_ADD ... OP_CMP:
	case OP_TEST:
		return exec_alu(ctx);
	case OP_ROL ... OP_SAR:
	case OP_NOT: case OP_NEG: case OP_INC: case OP_DEC:
		return exec_unary(ctx);
	case OP_BT ... OP_BTC:
		return exec_bit(ctx);
	case OP_MUL: case OP_IMUL: case OP_DIV: case OP_IDIV:
		return exec_mul_div(ctx);
	case OP_IMUL2:
		return exec_imul2(ctx);
	case OP_MOV: case OP_MOVZX: case OP_MOVSX: case OP_MOVBE: case OP_CMOV:
		return exec_mov(ctx);
	case OP_MOVSEG:
		return exec_movseg(ctx);
	case OP_XCHG: case OP_XADD:
		return exec_exchange(ctx);
	case OP_CMPXCHG:
		return exec_cmpxchg(ctx);
	case OP_CMPXCHG8B:
		return exec_cmpxchg8b(ctx);
	case OP_SETCC:
		return exec_setcc(ctx);
	case OP_SHLD: case OP_SHRD:
		return exec_shift_double(ctx);
	case OP_BSF ... OP_LZCNT:
		return exec_bit_scan(ctx);
	case OP_PUSH ... OP_LFP:
		return emul_exec_stack(ctx);
	case OP_LOADSEG ... OP_LIDT:
		return emul_exec_system(ctx);
	case OP_ANDN ... OP_CRC32:
		return emul_exec_bits(ctx);
	case OP_MOVDIR64B:
		return exec_movdir64b(ctx);
	case OP_HINT:
		return EMUL_DONE;
	case OP_CLFLUSH:
		return exec_clflush(ctx);
	case OP_VEC:
		return emul_exec_vector(ctx);
	case OP_X87:
		return emul_exec_x87(ctx);
	default:
		return EMUL_UNKNOWN;
	}
}

/* Saved registers, so that an instruction that does not complete changes nothing. */
struct exec_saved {
	u64 gpr[16];
	u64 rip, rflags;
};

static void exec_save(const struct emul_ctx *ctx, struct exec_saved *s)
{
	memcpy(s->gpr, ctx->gpr, sizeof(s->gpr));
	s->rip = ctx->rip;
	s->rflags = ctx->rflags;
}

static void exec_restore(struct emul_ctx *ctx, const struct exec_saved *s)
{
	memcpy(ctx->gpr, s->gpr, sizeof(s->gpr));
	ctx->rip = s->rip;
	ctx->rflags = s->rflags;
}

static void exec_retire(struct emul_ctx *ctx)
{
	ctx->rip += ctx->insn.len;
	if (ctx->mode != MODE_64)
		ctx->rip = (u32)ctx->rip;
	ctx->rflags &= ~FL_RF;
	ctx->retired = true;
	ctx->progress = true;
}

/* A string instruction, with or without REP (SDM 2B, REP/REPE/REPZ/REPNE/REPNZ). */
static int exec_repeated(struct emul_ctx *ctx, u32 max_iterations)
{
	const struct emul_insn *insn = &ctx->insn;
	bool compares = insn->op == OP_CMPS || insn->op == OP_SCAS;
	u64 mask = emul_size_mask(insn->ad_bytes), left, done;
	struct exec_saved saved;
	int r;

	if (!insn->rep) {
		exec_save(ctx, &saved);
		r = emul_exec_string(ctx, 1, &done);
		if (r == EMUL_DONE)
			exec_retire(ctx);
		else
			exec_restore(ctx, &saved);
		return r;
	}
	/* TF causes a trap after each iteration. */
	if (ctx->rflags & FL_TF)
		max_iterations = 1;
	while (max_iterations && !ctx->stop) {
		left = ctx->gpr[GPR_CX] & mask;
		if (!left) {
			exec_retire(ctx);
			return EMUL_DONE;
		}
		exec_save(ctx, &saved);
		r = emul_exec_string(ctx, min_t(u64, left, max_iterations), &done);
		if (r != EMUL_DONE) {
			exec_restore(ctx, &saved);
			return r;
		}
		emul_write_reg(ctx, GPR_CX, insn->ad_bytes, left - done);
		ctx->progress = true;
		max_iterations -= done;
		if (left == done || (compares && !(ctx->rflags & FL_ZF) == (insn->rep == 0xf3))) {
			exec_retire(ctx);
			return EMUL_DONE;
		}
		/* A fault in a later comparison leaves the flags as they were before the instruction (SDM 2B, REP). */
		if (compares)
			ctx->rflags = saved.rflags;
		/* RF keeps an instruction breakpoint from triggering again between iterations (SDM 3B 18.3.1.1). */
		ctx->rflags |= FL_RF;
	}
	return EMUL_DONE;
}

/**
 * emul_exec() - execute the decoded instruction of @ctx
 * @ctx: the processor state; see &struct emul_ctx
 * @max_iterations: the maximum number of iterations of a REP in this call; at least 1
 *
 * Context: That of ctx->ops.
 * Return: enum emul_result. With any result but EMUL_DONE no register has
 * changed, except for the iterations of a REP that ctx->progress reports.
 */
enum emul_result emul_exec(struct emul_ctx *ctx, u32 max_iterations)
{
	bool tf = ctx->rflags & FL_TF;
	struct exec_saved saved;
	int r;

	ctx->retired = false;
	ctx->progress = false;
	ctx->step_trap = false;
	ctx->mov_ss = false;
	ctx->changed = 0;
	if (ctx->insn.flags & IF_STRING) {
		r = exec_repeated(ctx, max_iterations);
	} else {
		exec_save(ctx, &saved);
		r = exec_one(ctx);
		if (r == EMUL_DONE)
			exec_retire(ctx);
		else
			exec_restore(ctx, &saved);
	}
	if (r == EMUL_DONE)
		ctx->step_trap = tf && ctx->progress;
	return r;
}
