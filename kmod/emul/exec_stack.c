// SPDX-License-Identifier: GPL-2.0
/* Instructions that use the stack, and branches. Pure. */
#include <linux/kernel.h>
#include <linux/string.h>

#include "emul/desc.h"

static u32 exec_stack_width(const struct emul_ctx *ctx)
{
	if (ctx->mode == MODE_64)
		return 8;
	return ctx->seg[SREG_SS].db ? 4 : 2;
}

static u64 exec_stack_pointer(const struct emul_ctx *ctx)
{
	return ctx->gpr[GPR_SP] & emul_size_mask(exec_stack_width(ctx));
}

/* Check an access to @n elements of @bytes at offset @at in the stack segment. */
static int exec_stack_check(struct emul_ctx *ctx, u64 at, u32 n, u32 bytes, bool write, u64 *la)
{
	int r = emul_linear(ctx, SREG_SS, at, n * bytes, write, la);

	return r == EMUL_DONE ? emul_check_alignment(ctx, *la, bytes) : r;
}

static int exec_stack_read(struct emul_ctx *ctx, u64 at, void *data, u32 n, u32 bytes)
{
	u64 la;
	int r = exec_stack_check(ctx, at, n, bytes, false, &la);

	return r == EMUL_DONE ? ctx->ops->read(ctx, la, data, n * bytes, false) : r;
}

/* Push @n elements in one access, so that nothing is written if one of them faults. The last one pushed is first in @data. */
static int exec_stack_push(struct emul_ctx *ctx, const void *data, u32 n, u32 bytes)
{
	u32 width = exec_stack_width(ctx);
	u64 sp = (ctx->gpr[GPR_SP] - n * bytes) & emul_size_mask(width), la;
	int r;

	/* A stack that wraps around is left to nobody: the elements would be in two places. */
	if (n > 1 && sp > exec_stack_pointer(ctx) && exec_stack_pointer(ctx))
		return EMUL_UNKNOWN;
	r = exec_stack_check(ctx, sp, n, bytes, true, &la);
	if (r == EMUL_DONE)
		r = ctx->ops->write(ctx, la, data, n * bytes);
	if (r == EMUL_DONE)
		emul_write_reg(ctx, GPR_SP, width, sp);
	return r;
}

/**
 * emul_push_value() - push a value
 * @ctx: the processor state
 * @val: the value
 * @bytes: operand size
 *
 * Context: That of ctx->ops.
 * Return: enum emul_result.
 */
int emul_push_value(struct emul_ctx *ctx, u64 val, u32 bytes)
{
	return exec_stack_push(ctx, &val, 1, bytes);
}

static void exec_stack_release(struct emul_ctx *ctx, u64 bytes)
{
	emul_write_reg(ctx, GPR_SP, exec_stack_width(ctx), exec_stack_pointer(ctx) + bytes);
}

static int exec_stack_pop_value(struct emul_ctx *ctx, u64 *val, u32 bytes, u32 release)
{
	int r;

	*val = 0;
	r = exec_stack_read(ctx, exec_stack_pointer(ctx), val, 1, bytes);
	if (r == EMUL_DONE)
		exec_stack_release(ctx, bytes + release);
	return r;
}

static int exec_push(struct emul_ctx *ctx)
{
	u64 val;
	int r = emul_load_source(ctx, ctx->insn.op_bytes, &val);

	return r == EMUL_DONE ? emul_push_value(ctx, val, ctx->insn.op_bytes) : r;
}

static int exec_pop(struct emul_ctx *ctx)
{
	struct emul_operand dst;
	u64 val;
	int r = exec_stack_pop_value(ctx, &val, ctx->insn.op_bytes, 0);

	if (r != EMUL_DONE)
		return r;
	/* An address with rSP as the base uses the incremented rSP (SDM 2B, POP), so it is computed only now. */
	emul_find_operand(ctx, ctx->insn.dst, ctx->insn.op_bytes, &dst);
	return emul_store_operand(ctx, &dst, val);
}

/* SP's place is skipped by POPA, and has the value of before PUSHA (SDM 2B, PUSHA and POPA). */
static int exec_pusha(struct emul_ctx *ctx)
{
	u32 bytes = ctx->insn.op_bytes, i;
	u8 data[8 * 4];

	for (i = 0; i < 8; i++)
		memcpy(data + i * bytes, &ctx->gpr[7 - i], bytes);
	return exec_stack_push(ctx, data, 8, bytes);
}

static int exec_popa(struct emul_ctx *ctx)
{
	u32 bytes = ctx->insn.op_bytes, i, val;
	u8 data[8 * 4];
	int r = exec_stack_read(ctx, exec_stack_pointer(ctx), data, 8, bytes);

	if (r != EMUL_DONE)
		return r;
	for (i = 0; i < 8; i++) {
		val = 0;
		memcpy(&val, data + i * bytes, bytes);
		if (7 - i != GPR_SP)
			emul_write_reg(ctx, 7 - i, bytes, val);
	}
	exec_stack_release(ctx, 8 * bytes);
	return EMUL_DONE;
}

/* --- flags --- */

static u8 exec_stack_iopl(const struct emul_ctx *ctx)
{
	return (ctx->rflags & FL_IOPL) >> 12;
}

/* In virtual-8086 mode PUSHF and POPF need IOPL 3, unless CR4.VME virtualizes IF, which is not known here. */
static int exec_stack_check_v86(struct emul_ctx *ctx)
{
	if (!(ctx->rflags & FL_VM) || exec_stack_iopl(ctx) == 3)
		return EMUL_DONE;
	return ctx->cr4 & EMUL_CR4_VME ? EMUL_UNKNOWN : emul_raise_err(ctx, X86_TRAP_GP, 0);
}

static int exec_pushf(struct emul_ctx *ctx)
{
	int r = exec_stack_check_v86(ctx);

	return r == EMUL_DONE ? emul_push_value(ctx, ctx->rflags & ~(FL_VM | FL_RF), ctx->insn.op_bytes) : r;
}

static int exec_popf(struct emul_ctx *ctx)
{
	u64 mask = FL_ARITH | FL_TF | FL_DF | FL_NT | FL_AC | FL_ID, val;
	int r = exec_stack_check_v86(ctx);

	if (r == EMUL_DONE)
		r = exec_stack_pop_value(ctx, &val, ctx->insn.op_bytes, 0);
	if (r != EMUL_DONE)
		return r;
	if (ctx->cpl <= exec_stack_iopl(ctx))
		mask |= FL_IF;
	if (!ctx->cpl)
		mask |= FL_IOPL;
	mask &= emul_size_mask(ctx->insn.op_bytes);
	ctx->rflags = (ctx->rflags & ~mask) | (val & mask);
	return EMUL_DONE;
}

/* --- segment registers --- */

/* 06 to 1F: ES, CS, SS, DS by bits 4:3; 0F A0 to 0F A9: FS or GS by bit 3. */
static u8 exec_stack_opcode_sreg(const struct emul_insn *insn)
{
	return insn->map ? SREG_FS + (insn->opcode >> 3 & 1) : insn->opcode >> 3 & 3;
}

static int exec_pushseg(struct emul_ctx *ctx)
{
	u32 bytes = ctx->insn.op_bytes, width = exec_stack_width(ctx);
	u64 sel = ctx->seg[exec_stack_opcode_sreg(&ctx->insn)].sel, sp;
	int r;

	if (bytes != 4)
		return emul_push_value(ctx, sel, bytes);
	/* Only the low 16 bits are written with a 32-bit operand size (SDM 2B, PUSH). */
	sp = (ctx->gpr[GPR_SP] - 4) & emul_size_mask(width);
	r = emul_mem_write(ctx, SREG_SS, sp, &sel, 2);
	if (r == EMUL_DONE)
		emul_write_reg(ctx, GPR_SP, width, sp);
	return r;
}

static int exec_popseg(struct emul_ctx *ctx)
{
	u8 reg = exec_stack_opcode_sreg(&ctx->insn);
	struct emul_seg seg;
	u64 val;
	int r = exec_stack_pop_value(ctx, &val, ctx->insn.op_bytes, 0);

	if (r == EMUL_DONE)
		r = emul_load_sreg(ctx, reg, val, X86_TRAP_GP, &seg);
	if (r != EMUL_DONE)
		return r;
	emul_set_sreg(ctx, reg, &seg);
	ctx->mov_ss = reg == SREG_SS;
	return EMUL_DONE;
}

/* --- procedure frames --- */

#define ENTER_LEVELS	32

/*
 * The pointers to enclosing frames are read from below rBP. They may lie in what
 * ENTER has pushed so far. @data is the stack from @frame - @level * @bytes on.
 */
static int exec_stack_copy_display(struct emul_ctx *ctx, u64 frame, u32 level, u32 bytes, u8 *data)
{
	u64 bp = ctx->gpr[GPR_BP] & emul_size_mask(exec_stack_width(ctx)), low = frame - level * bytes, at;
	u32 n = level - 1, i, b;
	int r;

	if (!n)
		return EMUL_DONE;
	r = exec_stack_read(ctx, (bp - n * bytes) & emul_size_mask(exec_stack_width(ctx)), data + bytes, n, bytes);
	if (r != EMUL_DONE)
		return r;
	for (i = 1; i <= n; i++) {
		for (b = 0; b < bytes; b++) {
			at = bp - i * bytes + b;
			if (at - (frame - (i - 1) * bytes) < i * bytes)
				data[(level - i) * bytes + b] = data[at - low];
		}
	}
	return EMUL_DONE;
}

/* SDM 2A, ENTER. */
static int exec_enter(struct emul_ctx *ctx)
{
	u32 bytes = ctx->insn.op_bytes, width = exec_stack_width(ctx), len = bytes;
	u32 level = ctx->insn.imm >> 16 & (ENTER_LEVELS - 1), n = level + 1, alloc = ctx->insn.imm & 0xffff;
	u64 frame = (ctx->gpr[GPR_SP] - bytes) & emul_size_mask(width), la;
	u8 data[ENTER_LEVELS * 8];
	int r = EMUL_DONE;

	/* From the lowest address: this frame's pointer, those of enclosing frames, rBP. */
	memcpy(data + level * bytes, &ctx->gpr[GPR_BP], bytes);
	if (level) {
		memcpy(data, &frame, bytes);
		r = exec_stack_copy_display(ctx, frame, level, bytes, data);
	}
	/* It faults if a push to the new stack pointer would. */
	if (r == EMUL_DONE)
		r = exec_stack_check(ctx, (ctx->gpr[GPR_SP] - n * bytes - alloc) & emul_size_mask(width), 1, bytes, true, &la);
	if (r == EMUL_DONE)
		r = ctx->ops->probe(ctx, la, &len, true);
	if (r == EMUL_DONE)
		r = exec_stack_push(ctx, data, n, bytes);
	if (r != EMUL_DONE)
		return r;
	emul_write_reg(ctx, GPR_BP, min(width, bytes), frame);
	emul_write_reg(ctx, GPR_SP, width, ctx->gpr[GPR_SP] - alloc);
	return EMUL_DONE;
}

static int exec_leave(struct emul_ctx *ctx)
{
	u32 width = exec_stack_width(ctx);
	u64 val;
	int r;

	emul_write_reg(ctx, GPR_SP, width, ctx->gpr[GPR_BP]);
	r = exec_stack_pop_value(ctx, &val, ctx->insn.op_bytes, 0);
	if (r == EMUL_DONE)
		emul_write_reg(ctx, GPR_BP, ctx->insn.op_bytes, val);
	return r;
}

/* --- branches; emul_exec() adds the length to RIP, so it is subtracted here --- */

/* A branch target must be canonical or within CS (SDM 2A, CALL and JMP). */
static int exec_stack_check_target(struct emul_ctx *ctx, u64 target)
{
	if (ctx->mode == MODE_64 ? !arch_canonical(target, ctx->la_bits) : target > ctx->seg[SREG_CS].limit)
		return emul_raise_err(ctx, X86_TRAP_GP, 0);
	return EMUL_DONE;
}

/* Near CALL, JMP and RET. */
static int exec_branch(struct emul_ctx *ctx)
{
	const struct emul_insn *insn = &ctx->insn;
	u32 bytes = insn->op_bytes;
	u64 next = ctx->rip + insn->len, target;
	int r;

	if (insn->op == OP_RET) {
		r = exec_stack_pop_value(ctx, &target, bytes, insn->imm);
	} else if (insn->op == OP_CALLREL) {
		target = (next + insn->imm) & emul_size_mask(bytes);
		r = EMUL_DONE;
	} else {
		struct emul_operand dst;

		emul_find_operand(ctx, OPD_RM, bytes, &dst);
		r = emul_load_operand(ctx, &dst, false);
		target = dst.val;
	}
	if (r == EMUL_DONE)
		r = exec_stack_check_target(ctx, target);
	if (r == EMUL_DONE && (insn->op == OP_CALL || insn->op == OP_CALLREL))
		r = emul_push_value(ctx, next & emul_size_mask(bytes), bytes);
	if (r == EMUL_DONE)
		ctx->rip = target - insn->len;
	return r;
}

/* The memory operand is an offset of the operand size, followed by a selector. */
static int exec_stack_far_pointer(struct emul_ctx *ctx, u64 *offset, u16 *sel)
{
	u32 bytes = ctx->insn.op_bytes;
	u8 data[8 + 2];
	u64 la;
	int r = emul_linear(ctx, ctx->insn.seg, emul_effective_address(ctx), bytes + 2, false, &la);

	if (r == EMUL_DONE)
		r = emul_check_alignment(ctx, la, bytes);
	if (r == EMUL_DONE)
		r = ctx->ops->read(ctx, la, data, bytes + 2, false);
	if (r != EMUL_DONE)
		return r;
	*offset = 0;
	memcpy(offset, data, bytes);
	memcpy(sel, data + bytes, 2);
	return EMUL_DONE;
}

static enum emul_mode exec_stack_mode_of(const struct emul_ctx *ctx, const struct emul_seg *cs)
{
	if (ctx->long_mode && cs->l)
		return MODE_64;
	return cs->db ? MODE_32 : MODE_16;
}

/* Check a far branch's target in its code segment. */
static int exec_stack_check_far(struct emul_ctx *ctx, const struct emul_seg *cs, u64 target)
{
	if (exec_stack_mode_of(ctx, cs) == MODE_64 ? !arch_canonical(target, ctx->la_bits) : target > cs->limit)
		return emul_raise_err(ctx, X86_TRAP_GP, 0);
	return EMUL_DONE;
}

static void exec_stack_far_done(struct emul_ctx *ctx, const struct emul_seg *cs, u64 target)
{
	emul_set_sreg(ctx, SREG_CS, cs);
	ctx->mode = exec_stack_mode_of(ctx, cs);
	ctx->rip = target - ctx->insn.len;
}

/* Far CALL and JMP through memory, to a code segment of the same CPL (SDM 2A, CALL and JMP). */
static int exec_far(struct emul_ctx *ctx)
{
	const struct emul_insn *insn = &ctx->insn;
	u64 target, next = ctx->rip + insn->len, cs_sel = ctx->seg[SREG_CS].sel;
	struct emul_seg cs;
	u8 frame[2 * 8];
	u16 sel;
	int r = exec_stack_far_pointer(ctx, &target, &sel);

	if (r == EMUL_DONE)
		r = emul_load_cs(ctx, sel, ctx->cpl, X86_TRAP_GP, &cs);
	if (r == EMUL_DONE)
		r = exec_stack_check_far(ctx, &cs, target);
	if (r == EMUL_DONE && insn->op == OP_CALLF) {
		memcpy(frame, &next, insn->op_bytes);
		memcpy(frame + insn->op_bytes, &cs_sel, insn->op_bytes);
		r = exec_stack_push(ctx, frame, 2, insn->op_bytes);
	}
	if (r == EMUL_DONE)
		exec_stack_far_done(ctx, &cs, target);
	return r;
}

/* Far RET to the same CPL (SDM 2B, RET). */
static int exec_far_return(struct emul_ctx *ctx)
{
	u32 bytes = ctx->insn.op_bytes;
	struct emul_seg cs;
	u8 frame[2 * 8];
	u64 target = 0;
	u16 sel;
	int r = exec_stack_read(ctx, exec_stack_pointer(ctx), frame, 2, bytes);

	if (r != EMUL_DONE)
		return r;
	memcpy(&target, frame, bytes);
	memcpy(&sel, frame + bytes, 2);
	if (emul_protected_mode(ctx) && (sel & ~3) && (sel & 3) != ctx->cpl)
		return (sel & 3) < ctx->cpl ? emul_raise_err(ctx, X86_TRAP_GP, sel & ~3) : EMUL_UNKNOWN;
	r = emul_load_cs(ctx, sel, ctx->cpl, X86_TRAP_GP, &cs);
	if (r == EMUL_DONE)
		r = exec_stack_check_far(ctx, &cs, target);
	if (r != EMUL_DONE)
		return r;
	exec_stack_release(ctx, 2 * bytes + ctx->insn.imm);
	exec_stack_far_done(ctx, &cs, target);
	return EMUL_DONE;
}

/* LES, LDS, LSS, LFS and LGS. */
static int exec_load_far(struct emul_ctx *ctx)
{
	static const u8 sregs[] = { [0x2] = SREG_SS, [0x4] = SREG_FS, [0x5] = SREG_GS };
	const struct emul_insn *insn = &ctx->insn;
	u8 reg = insn->map ? sregs[insn->opcode & 7] : insn->opcode == 0xc4 ? SREG_ES : SREG_DS;
	struct emul_seg seg;
	u64 offset;
	u16 sel;
	int r = exec_stack_far_pointer(ctx, &offset, &sel);

	if (r == EMUL_DONE)
		r = emul_load_sreg(ctx, reg, sel, X86_TRAP_GP, &seg);
	if (r != EMUL_DONE)
		return r;
	emul_set_sreg(ctx, reg, &seg);
	emul_write_reg(ctx, insn->reg, insn->op_bytes, offset);
	return EMUL_DONE;
}

/**
 * emul_exec_stack() - execute an instruction that uses the stack, a branch, or the load of a far pointer
 * @ctx: the processor state, with a decoded instruction
 *
 * Context: That of ctx->ops.
 * Return: enum emul_result; EMUL_UNKNOWN for gates, changes of the CPL, and stacks that wrap around.
 */
int emul_exec_stack(struct emul_ctx *ctx)
{
	static int (*const execs[])(struct emul_ctx *ctx) = {
		[OP_PUSH - OP_PUSH] = exec_push,
		[OP_POP - OP_PUSH] = exec_pop,
		[OP_CALL - OP_PUSH ... OP_RET - OP_PUSH] = exec_branch,
		[OP_ENTER - OP_PUSH] = exec_enter,
		[OP_LEAVE - OP_PUSH] = exec_leave,
		[OP_PUSHF - OP_PUSH] = exec_pushf,
		[OP_POPF - OP_PUSH] = exec_popf,
		[OP_PUSHA - OP_PUSH] = exec_pusha,
		[OP_POPA - OP_PUSH] = exec_popa,
		[OP_PUSHSEG - OP_PUSH] = exec_pushseg,
		[OP_POPSEG - OP_PUSH] = exec_popseg,
		[OP_CALLF - OP_PUSH ... OP_JMPF - OP_PUSH] = exec_far,
		[OP_RETF - OP_PUSH] = exec_far_return,
		[OP_LFP - OP_PUSH] = exec_load_far,
	};

	return execs[ctx->insn.op - OP_PUSH](ctx);
}
