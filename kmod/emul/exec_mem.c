// SPDX-License-Identifier: GPL-2.0
/* Where an operand is: effective addresses, segmentation, canonicality, alignment, faults. Pure. */
#include <linux/kernel.h>

#include "emul/exec.h"

u64 emul_size_mask(u32 bytes)
{
	return bytes >= 8 ? ~0ULL : (1ULL << (8 * bytes)) - 1;
}

int emul_raise(struct emul_ctx *ctx, u8 vector)
{
	ctx->fault = (struct emul_fault){ .vector = vector };
	return EMUL_FAULT;
}

int emul_raise_err(struct emul_ctx *ctx, u8 vector, u32 error_code)
{
	ctx->fault = (struct emul_fault){ .vector = vector, .has_error = true, .error_code = error_code };
	return EMUL_FAULT;
}

/* --- addresses --- */

bool emul_canonical(const struct emul_ctx *ctx, u64 la)
{
	u32 shift = 64 - ctx->la_bits;

	return (u64)((s64)(la << shift) >> shift) == la;
}

static bool protected_mode(const struct emul_ctx *ctx)
{
	return (ctx->cr0 & EMUL_CR0_PE) && !(ctx->rflags & FL_VM);
}

/* Offsets a segment allows (SDM 3A 5.3): an expand-down data segment allows what is above its limit. */
static bool within_limit(const struct emul_seg *s, u64 ea, u32 size)
{
	u64 last = ea + size - 1;

	if ((s->type & 0xc) == 0x4)
		return ea > s->limit && last <= (s->db ? 0xffffffffULL : 0xffffULL);
	return last <= s->limit;
}

static bool type_allows(const struct emul_seg *s, bool write)
{
	bool code = s->type & 8, rw = s->type & 2;

	if (write)
		return !code && rw;
	return !code || rw;
}

/* Logical to linear; *@la is set in any case (SDM 3A 3.4, 5.3, 5.5; 64-bit mode: 3.2.4, 5.3.1). */
int emul_linear(struct emul_ctx *ctx, u8 seg, u64 ea, u32 size, bool write, u64 *la)
{
	const struct emul_seg *s = &ctx->seg[seg];
	u8 vector = seg == SREG_SS ? VEC_SS : VEC_GP;

	if (ctx->mode == MODE_64) {
		*la = ea + (seg >= SREG_FS ? s->base : 0);
		if (!emul_canonical(ctx, *la) || !emul_canonical(ctx, *la + size - 1))
			return emul_raise_err(ctx, vector, 0);
		return EMUL_DONE;
	}
	*la = (u32)(s->base + ea);
	if (s->unusable || (protected_mode(ctx) && !type_allows(s, write)) || !within_limit(s, ea, size))
		return emul_raise_err(ctx, vector, 0);
	return EMUL_DONE;
}

/* Alignment checking (SDM 3A 6.15, #AC). */
int emul_check_alignment(struct emul_ctx *ctx, u64 la, u32 size)
{
	if (ctx->cpl != 3 || !(ctx->cr0 & EMUL_CR0_AM) || !(ctx->rflags & FL_AC))
		return EMUL_DONE;
	/* 16-byte operands are pairs of 8 bytes here; vectors check on their own. */
	if (la & (min(size, 8U) - 1))
		return emul_raise_err(ctx, VEC_AC, 0);
	return EMUL_DONE;
}

int emul_mem_read(struct emul_ctx *ctx, u8 seg, u64 ea, void *data, u32 size, bool rmw)
{
	u64 la;
	int r = emul_linear(ctx, seg, ea, size, rmw, &la);

	if (r == EMUL_DONE)
		r = emul_check_alignment(ctx, la, size);
	return r == EMUL_DONE ? ctx->ops->read(ctx, la, data, size, rmw) : r;
}

int emul_mem_write(struct emul_ctx *ctx, u8 seg, u64 ea, const void *data, u32 size)
{
	u64 la;
	int r = emul_linear(ctx, seg, ea, size, true, &la);

	if (r == EMUL_DONE)
		r = emul_check_alignment(ctx, la, size);
	return r == EMUL_DONE ? ctx->ops->write(ctx, la, data, size) : r;
}

int emul_fetch_linear(struct emul_ctx *ctx, u64 rip, u32 *len, u64 *la)
{
	const struct emul_seg *cs = &ctx->seg[SREG_CS];

	if (ctx->mode == MODE_64) {
		*la = rip;
		if (!emul_canonical(ctx, rip))
			return emul_raise_err(ctx, VEC_GP, 0);
		return EMUL_DONE;
	}
	rip = (u32)rip;
	if (rip > cs->limit)
		return emul_raise_err(ctx, VEC_GP, 0);
	*len = min_t(u64, *len, (u64)cs->limit - rip + 1);
	*la = (u32)(cs->base + rip);
	return EMUL_DONE;
}

u64 emul_effective_address(struct emul_ctx *ctx)
{
	const struct emul_insn *insn = &ctx->insn;
	u64 ea = insn->disp;

	if (insn->rip_rel)
		ea += ctx->rip + insn->len;
	if (insn->base >= 0)
		ea += ctx->gpr[insn->base];
	if (insn->index >= 0)
		ea += ctx->gpr[insn->index] << insn->scale;
	return ea & emul_size_mask(insn->ad_bytes);
}
