// SPDX-License-Identifier: GPL-2.0
/* Vector moves of SSE, AVX and AVX-512 between memory and registers. Pure. */
#include <linux/kernel.h>
#include <linux/string.h>

#include "emul/exec.h"

#define XCR0_AVX	(BIT_ULL(1) | BIT_ULL(2))
#define XCR0_AVX512	(XCR0_AVX | BIT_ULL(5) | BIT_ULL(6) | BIT_ULL(7))

#define LOAD(m, o, p, k, ...)	{ .map = (m), .opcode = (o), .pp = (p), .kind = VEC_##k, ##__VA_ARGS__ }
#define STORE(m, o, p, k, ...)	{ .map = (m), .opcode = (o), .pp = (p), .kind = VEC_##k, .store = true, ##__VA_ARGS__ }

static const struct vec_row vec_rows[] = {
	LOAD(1, 0x10, 0, FULL),				/* MOVUPS */
	LOAD(1, 0x10, 1, FULL),				/* MOVUPD */
	LOAD(1, 0x10, 2, SCALAR, .bytes = 4),		/* MOVSS */
	LOAD(1, 0x10, 3, SCALAR, .bytes = 8),		/* MOVSD */
	STORE(1, 0x11, 0, FULL),
	STORE(1, 0x11, 1, FULL),
	STORE(1, 0x11, 2, SCALAR, .bytes = 4),
	STORE(1, 0x11, 3, SCALAR, .bytes = 8),
	LOAD(1, 0x12, 0, LOW),				/* MOVLPS */
	LOAD(1, 0x12, 1, LOW),				/* MOVLPD */
	STORE(1, 0x13, 0, LOW),
	STORE(1, 0x13, 1, LOW),
	LOAD(1, 0x16, 0, HIGH),				/* MOVHPS */
	LOAD(1, 0x16, 1, HIGH),				/* MOVHPD */
	STORE(1, 0x17, 0, HIGH),
	STORE(1, 0x17, 1, HIGH),
	LOAD(1, 0x28, 0, FULL, .aligned = true),	/* MOVAPS */
	LOAD(1, 0x28, 1, FULL, .aligned = true),	/* MOVAPD */
	STORE(1, 0x29, 0, FULL, .aligned = true),
	STORE(1, 0x29, 1, FULL, .aligned = true),
	STORE(1, 0x2b, 0, FULL, .aligned = true),	/* MOVNTPS */
	STORE(1, 0x2b, 1, FULL, .aligned = true),	/* MOVNTPD */
	LOAD(1, 0x6e, 0, MMX),				/* MOVD, MOVQ */
	LOAD(1, 0x6e, 1, GPR),				/* MOVD, MOVQ */
	LOAD(1, 0x6f, 0, MMX, .bytes = 8),		/* MOVQ */
	LOAD(1, 0x6f, 1, FULL, .aligned = true),	/* MOVDQA */
	LOAD(1, 0x6f, 2, FULL),				/* MOVDQU */
	STORE(1, 0x7e, 0, MMX),				/* MOVD, MOVQ */
	STORE(1, 0x7e, 1, GPR),				/* MOVD, MOVQ */
	LOAD(1, 0x7e, 2, SCALAR, .bytes = 8),		/* MOVQ */
	STORE(1, 0x7f, 0, MMX, .bytes = 8),		/* MOVQ */
	STORE(1, 0x7f, 1, FULL, .aligned = true),	/* MOVDQA */
	STORE(1, 0x7f, 2, FULL),			/* MOVDQU */
	STORE(1, 0xd6, 1, SCALAR, .bytes = 8),		/* MOVQ */
	STORE(1, 0xe7, 0, MMX, .bytes = 8),		/* MOVNTQ */
	STORE(1, 0xe7, 1, FULL, .aligned = true),	/* MOVNTDQ */
	LOAD(1, 0xf0, 3, FULL, .legacy_only = true),	/* LDDQU */
	LOAD(2, 0x2a, 1, FULL, .aligned = true),	/* MOVNTDQA */
	LOAD(2, 0x2c, 1, MASKED, .bytes = 4),		/* VMASKMOVPS */
	LOAD(2, 0x2d, 1, MASKED, .bytes = 8),		/* VMASKMOVPD */
	STORE(2, 0x2e, 1, MASKED, .bytes = 4),
	STORE(2, 0x2f, 1, MASKED, .bytes = 8),
	LOAD(2, 0x8c, 1, MASKED),			/* VPMASKMOVD, VPMASKMOVQ */
	STORE(2, 0x8e, 1, MASKED),
};

#undef LOAD
#undef STORE

/**
 * emul_vec_row() - find the vector move of an opcode
 * @map: opcode map: 1 for 0F, 2 for 0F38
 * @opcode: the opcode
 * @pp: mandatory prefix, encoded as in VEX
 *
 * Context: Any. Pure.
 * Return: the row, NULL if there is none.
 */
const struct vec_row *emul_vec_row(u8 map, u8 opcode, u8 pp)
{
	u32 i;

	for (i = 0; i < ARRAY_SIZE(vec_rows); i++) {
		if (vec_rows[i].map == map && vec_rows[i].opcode == opcode && vec_rows[i].pp == pp)
			return &vec_rows[i];
	}
	return NULL;
}

/* Are vector instructions of this encoding enabled (SDM 2A 2.4, 2.8, tables 2-14 and following)? */
static int vector_check_enabled(struct emul_ctx *ctx)
{
	const struct emul_insn *insn = &ctx->insn;
	u64 xcr0 = insn->evex ? XCR0_AVX512 : XCR0_AVX;

	if (insn->vex || insn->evex) {
		if (!(ctx->cr0 & EMUL_CR0_PE) || (ctx->rflags & FL_VM) || !(ctx->cr4 & EMUL_CR4_OSXSAVE) ||
		    (ctx->xcr0 & xcr0) != xcr0)
			return emul_raise(ctx, X86_TRAP_UD);
	} else if ((ctx->cr0 & EMUL_CR0_EM) || (insn->vec->kind != VEC_MMX && !(ctx->cr4 & EMUL_CR4_OSFXSR))) {
		return emul_raise(ctx, X86_TRAP_UD);
	}
	return ctx->cr0 & EMUL_CR0_TS ? emul_raise(ctx, X86_TRAP_NM) : EMUL_DONE;
}

/*
 * VEX.vvvv names a register only in loads of half a vector and masked moves. VEX.L must be 0 except for whole vectors
 * and scalars, VEX.W for masked moves with one size of elements.
 */
static bool vector_encoding_ok(const struct emul_insn *insn)
{
	const struct vec_row *row = insn->vec;
	bool half = row->kind == VEC_LOW || row->kind == VEC_HIGH;

	if (!insn->vex)
		return true;
	if (row->kind == VEC_MASKED)
		return !(row->bytes && insn->w);
	if (insn->vvvv && !(half && !row->store))
		return false;
	/* MOVQ requires L to be 0, unlike MOVSS and MOVSD (SDM 2B, MOVQ). */
	if (half || row->kind == VEC_GPR || row->opcode == 0x7e || row->opcode == 0xd6)
		return !insn->vl;
	return true;
}

/* One access to elements @first to @end - 1 of @size bytes, all enabled. @probe: only look whether a store faults. */
static int vector_access_run(struct emul_ctx *ctx, u8 *data, u32 first, u32 end, u32 size, bool probe)
{
	u32 at = first * size, len = (end - first) * size;
	u64 ea = (emul_effective_address(ctx) + at) & emul_size_mask(ctx->insn.ad_bytes), la;
	bool store = ctx->insn.vec->store;
	int r = emul_linear(ctx, ctx->insn.seg, ea, len, store, &la);

	if (r != EMUL_DONE)
		return r;
	if (probe)
		return ctx->ops->probe(ctx, la, &len, true);
	return store ? ctx->ops->write(ctx, la, data + at, len) : ctx->ops->read(ctx, la, data + at, len, false);
}

static int vector_access_masked(struct emul_ctx *ctx, u8 *data, const u8 *mask, u32 size, bool probe)
{
	u32 n = (16U << ctx->insn.vl) / size, i, end;
	int r = EMUL_DONE;

	for (i = 0; i < n && r == EMUL_DONE; i = end) {
		for (end = i; end < n && mask[end * size + size - 1] & 0x80; end++)
			;
		if (end > i)
			r = vector_access_run(ctx, data, i, end, size, probe);
		else
			end++;
	}
	return r;
}

/* Elements that are not enabled are not accessed: they do not fault, and a load clears them (SDM 2D, VMASKMOV). */
static int vector_move_masked(struct emul_ctx *ctx)
{
	const struct emul_insn *insn = &ctx->insn;
	u32 size = insn->vec->bytes ? insn->vec->bytes : insn->w ? 8 : 4;
	u8 data[64] = { 0 }, mask[64];
	int r;

	ctx->ops->get_vec(ctx, insn->vvvv & (ctx->mode == MODE_64 ? 15 : 7), mask);
	if (insn->vec->store) {
		ctx->ops->get_vec(ctx, insn->reg, data);
		r = vector_access_masked(ctx, data, mask, size, true);
		return r == EMUL_DONE ? vector_access_masked(ctx, data, mask, size, false) : r;
	}
	r = vector_access_masked(ctx, data, mask, size, false);
	if (r == EMUL_DONE)
		ctx->ops->put_vec(ctx, insn->reg, data, 64);
	return r;
}

static int vector_move_mmx(struct emul_ctx *ctx, u64 la, u32 bytes)
{
	u64 val = 0;
	u8 reg = ctx->insn.reg & 7;
	int r;

	if (ctx->insn.vec->store) {
		r = ctx->ops->get_mm(ctx, reg, &val);
		return r == EMUL_DONE ? ctx->ops->write(ctx, la, &val, bytes) : r;
	}
	r = ctx->ops->read(ctx, la, &val, bytes, false);
	return r == EMUL_DONE ? ctx->ops->put_mm(ctx, reg, val) : r;
}

static int vector_store(struct emul_ctx *ctx, u64 la, u32 bytes)
{
	u8 data[64];

	ctx->ops->get_vec(ctx, ctx->insn.reg, data);
	return ctx->ops->write(ctx, la, data + (ctx->insn.vec->kind == VEC_HIGH ? 8 : 0), bytes);
}

static int vector_load(struct emul_ctx *ctx, u64 la, u32 bytes)
{
	const struct emul_insn *insn = &ctx->insn;
	bool high = insn->vec->kind == VEC_HIGH, wide = insn->vex || insn->evex;
	u8 data[64] = { 0 }, old[64], source = insn->reg;
	int r;

	r = ctx->ops->read(ctx, la, data + (high ? 8 : 0), bytes, false);
	if (r != EMUL_DONE)
		return r;
	if (high || insn->vec->kind == VEC_LOW) {
		/* Outside 64-bit mode the top bit of vvvv is ignored if vvvv names a register (SDM 2A 2.3.5.6). */
		if (insn->vex)
			source = insn->vvvv & (ctx->mode == MODE_64 ? 15 : 7);
		ctx->ops->get_vec(ctx, source, old);
		memcpy(data + (high ? 0 : 8), old + (high ? 0 : 8), 8);
	}
	/* A VEX or EVEX load clears the upper bits of the register (SDM 1 14.3). */
	ctx->ops->put_vec(ctx, insn->reg, data, wide ? 64 : 16);
	return EMUL_DONE;
}

/**
 * emul_exec_vector() - execute a vector move
 * @ctx: the processor state, with a decoded instruction whose operand is memory
 *
 * Context: That of ctx->ops.
 * Return: enum emul_result.
 */
int emul_exec_vector(struct emul_ctx *ctx)
{
	const struct emul_insn *insn = &ctx->insn;
	const struct vec_row *row = insn->vec;
	u32 bytes = 16U << insn->vl;
	u64 la;
	int r;

	if (!ctx->ops->get_vec)
		return EMUL_UNKNOWN;
	if (!vector_encoding_ok(insn))
		return emul_raise(ctx, X86_TRAP_UD);
	r = vector_check_enabled(ctx);
	if (r != EMUL_DONE)
		return r;
	if (row->kind == VEC_MASKED)
		return vector_move_masked(ctx);
	if (row->kind == VEC_SCALAR)
		bytes = row->bytes;
	else if (row->kind == VEC_GPR || row->kind == VEC_MMX)
		bytes = row->bytes ? row->bytes : insn->op_bytes;
	else if (row->kind != VEC_FULL)
		bytes = 8;
	r = emul_linear(ctx, insn->seg, emul_effective_address(ctx), bytes, row->store, &la);
	/* Misalignment has priority over segmentation faults. */
	if (row->aligned && (la & (bytes - 1)))
		return emul_raise_err(ctx, X86_TRAP_GP, 0);
	if (r != EMUL_DONE)
		return r;
	if (row->kind == VEC_MMX)
		return vector_move_mmx(ctx, la, bytes);
	return row->store ? vector_store(ctx, la, bytes) : vector_load(ctx, la, bytes);
}
