// SPDX-License-Identifier: GPL-2.0
/* Memory operands: effective addresses, segmentation, canonicality, alignment, faults. Pure. */
#include <linux/kernel.h>

#include "emul/exec.h"

/**
 * emul_raise() - raise an exception without an error code
 * @ctx: its fault is set
 * @vector: X86_TRAP_*
 *
 * Context: Any.
 * Return: EMUL_FAULT.
 */
int emul_raise(struct emul_ctx *ctx, u8 vector)
{
	ctx->fault = (struct emul_fault){ .vector = vector };
	return EMUL_FAULT;
}

/**
 * emul_raise_err() - raise an exception with an error code
 * @ctx: its fault is set
 * @vector: X86_TRAP_*
 * @error_code: the error code
 *
 * Context: Any.
 * Return: EMUL_FAULT.
 */
int emul_raise_err(struct emul_ctx *ctx, u8 vector, u32 error_code)
{
	ctx->fault = (struct emul_fault){ .vector = vector, .has_error = true, .error_code = error_code };
	return EMUL_FAULT;
}

/* --- addresses --- */

/**
 * emul_protected_mode() - whether segments have descriptors
 * @ctx: the processor state
 *
 * Context: Any.
 * Return: false in real and virtual-8086 mode.
 */
bool emul_protected_mode(const struct emul_ctx *ctx)
{
	return (ctx->cr0 & EMUL_CR0_PE) && !(ctx->rflags & FL_VM);
}

/**
 * emul_linear() - convert a logical address to a linear address
 * @ctx: the processor state
 * @seg: SREG_*
 * @ea: the offset
 * @size: size of the access
 * @write: direction of the access
 * @la: set to the linear address, even if the access faults
 *
 * Applies the checks of SDM 3A 3.4, 5.3 and 5.5, for 64-bit mode 3.2.4 and 5.3.1.
 *
 * Context: Any.
 * Return: EMUL_DONE or EMUL_FAULT.
 */
int emul_linear(struct emul_ctx *ctx, u8 seg, u64 ea, u32 size, bool write, u64 *la)
{
	const struct emul_seg *s = &ctx->seg[seg];
	u8 vector = seg == SREG_SS ? X86_TRAP_SS : X86_TRAP_GP;

	if (ctx->mode == MODE_64) {
		*la = ea + (seg >= SREG_FS ? s->base : 0);
		if (!arch_canonical(*la, ctx->la_bits) || !arch_canonical(*la + size - 1, ctx->la_bits))
			return emul_raise_err(ctx, vector, 0);
		return EMUL_DONE;
	}
	*la = (u32)(s->base + ea);
	if (s->unusable || (emul_protected_mode(ctx) && !arch_type_allows(s->type, write)) ||
	    !arch_within_limit(s->type, s->db, s->limit, ea, size))
		return emul_raise_err(ctx, vector, 0);
	return EMUL_DONE;
}

/**
 * emul_check_alignment() - check the alignment of an access (SDM 3A 6.15, #AC)
 * @ctx: the processor state
 * @la: the linear address
 * @size: size of the access
 *
 * Context: Any.
 * Return: EMUL_DONE or EMUL_FAULT.
 */
int emul_check_alignment(struct emul_ctx *ctx, u64 la, u32 size)
{
	if (ctx->cpl != 3 || !(ctx->cr0 & EMUL_CR0_AM) || !(ctx->rflags & FL_AC))
		return EMUL_DONE;
	/* 16-byte operands are pairs of 8 bytes; vector moves have checks of their own. */
	if (la & (min(size, 8U) - 1))
		return emul_raise_err(ctx, X86_TRAP_AC, 0);
	return EMUL_DONE;
}

/**
 * emul_mem_read() - read a memory operand
 * @ctx: the processor state
 * @seg: SREG_*
 * @ea: the offset
 * @data: filled
 * @size: size of the access
 * @rmw: a write to the same operand follows
 *
 * Context: That of ctx->ops.
 * Return: enum emul_result.
 */
int emul_mem_read(struct emul_ctx *ctx, u8 seg, u64 ea, void *data, u32 size, bool rmw)
{
	u64 la;
	int r = emul_linear(ctx, seg, ea, size, rmw, &la);

	if (r == EMUL_DONE)
		r = emul_check_alignment(ctx, la, size);
	return r == EMUL_DONE ? ctx->ops->read(ctx, la, data, size, rmw) : r;
}

/**
 * emul_mem_write() - write a memory operand
 * @ctx: the processor state
 * @seg: SREG_*
 * @ea: the offset
 * @data: the data
 * @size: size of the access
 *
 * Context: That of ctx->ops.
 * Return: enum emul_result.
 */
int emul_mem_write(struct emul_ctx *ctx, u8 seg, u64 ea, const void *data, u32 size)
{
	u64 la;
	int r = emul_linear(ctx, seg, ea, size, true, &la);

	if (r == EMUL_DONE)
		r = emul_check_alignment(ctx, la, size);
	return r == EMUL_DONE ? ctx->ops->write(ctx, la, data, size) : r;
}

/**
 * emul_fetch_linear() - linear address for an instruction fetch
 * @ctx: the processor state
 * @rip: offset in CS
 * @len: number of bytes; reduced to what the limit of CS allows
 * @la: set to the linear address
 *
 * Context: Any.
 * Return: EMUL_DONE or EMUL_FAULT.
 */
int emul_fetch_linear(struct emul_ctx *ctx, u64 rip, u32 *len, u64 *la)
{
	const struct emul_seg *cs = &ctx->seg[SREG_CS];

	if (ctx->mode == MODE_64) {
		*la = rip;
		if (!arch_canonical(rip, ctx->la_bits))
			return emul_raise_err(ctx, X86_TRAP_GP, 0);
		return EMUL_DONE;
	}
	rip = (u32)rip;
	if (rip > cs->limit)
		return emul_raise_err(ctx, X86_TRAP_GP, 0);
	*len = min_t(u64, *len, (u64)cs->limit - rip + 1);
	*la = (u32)(cs->base + rip);
	return EMUL_DONE;
}

/**
 * emul_effective_address() - the offset of the memory operand (SDM 1 3.7.5)
 * @ctx: the processor state, with a decoded instruction
 *
 * Context: Any.
 * Return: the offset, truncated to the address size.
 */
u64 emul_effective_address(const struct emul_ctx *ctx)
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
