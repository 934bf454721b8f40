// SPDX-License-Identifier: GPL-2.0
/* Segment descriptors: find, check, unpack; loads of segment registers. SDM 3A 3.4, 3.5, 5.6, 5.7. Pure. */
#include <linux/kernel.h>
#include <linux/string.h>

#include "emul/desc.h"

/* Access rights in the second dword of a descriptor (SDM 3A figures 3-8 and 8-3). */
#define DESC_TYPE(d)	((d)->val >> 40 & 15)
#define DESC_S(d)	((d)->val >> 44 & 1)
#define DESC_DPL(d)	((d)->val >> 45 & 3)
#define DESC_P(d)	((d)->val >> 47 & 1)
#define DESC_ACCESSED	BIT_ULL(40)
#define DESC_TYPE_BYTE	5	/* the byte with the type, DPL and P */

#define TYPE_CODE	8
#define TYPE_CONFORMING	4
#define TYPE_RW		2	/* data: writable; code: readable */

/**
 * emul_system_read() - read from a descriptor table or a TSS
 * @ctx: the processor state
 * @la: linear address
 * @data: filled
 * @len: number of bytes
 *
 * Such an implicit access is that of a supervisor at any CPL (SDM 3A 4.6.1).
 *
 * Context: That of ctx->ops.
 * Return: enum emul_result.
 */
int emul_system_read(struct emul_ctx *ctx, u64 la, void *data, u32 len)
{
	int r;

	ctx->supervisor = true;
	r = ctx->ops->read(ctx, la, data, len, false);
	ctx->supervisor = false;
	return r;
}

/**
 * emul_system_write() - write to a descriptor table or a TSS
 * @ctx: the processor state
 * @la: linear address
 * @data: the data
 * @len: number of bytes
 *
 * Context: That of ctx->ops.
 * Return: enum emul_result.
 */
int emul_system_write(struct emul_ctx *ctx, u64 la, const void *data, u32 len)
{
	int r;

	ctx->supervisor = true;
	r = ctx->ops->write(ctx, la, data, len);
	ctx->supervisor = false;
	return r;
}

static bool desc_is_null(u16 sel)
{
	return !(sel & ~3);
}

static u64 desc_linear(const struct emul_ctx *ctx, u64 la)
{
	return ctx->long_mode ? la : (u32)la;
}

/* Find the table of a selector. Returns false if there is no LDT, or the descriptor is beyond the table's limit. */
static bool desc_locate(const struct emul_ctx *ctx, u16 sel, u32 bytes, u64 *la)
{
	const struct emul_seg *ldt = &ctx->seg[SREG_LDTR];
	u32 last = (sel & ~7) + bytes - 1;

	if (!(sel & 4)) {
		*la = desc_linear(ctx, ctx->gdt.base + (sel & ~7));
		return last <= ctx->gdt.limit;
	}
	*la = desc_linear(ctx, ldt->base + (sel & ~7));
	return !ldt->unusable && last <= ldt->limit;
}

/**
 * emul_desc_fetch() - read the descriptor of a selector
 * @ctx: the processor state
 * @sel: the selector, not null
 * @vector: the exception if there is no such descriptor; its error code is the selector
 * @d: filled; d->high is read for system descriptors in IA-32e mode only
 *
 * Context: That of ctx->ops.
 * Return: enum emul_result.
 */
int emul_desc_fetch(struct emul_ctx *ctx, u16 sel, u8 vector, struct emul_desc *d)
{
	int r;

	*d = (struct emul_desc) { .sel = sel };
	if (!desc_locate(ctx, sel, 8, &d->la))
		return emul_raise_err(ctx, vector, sel & ~3);
	r = emul_system_read(ctx, d->la, &d->val, 8);
	if (r != EMUL_DONE || DESC_S(d) || !ctx->long_mode)
		return r;
	/* LDT and TSS descriptors have 16 bytes in IA-32e mode (SDM 3A 3.5.2, 8.2.3). */
	if (!desc_locate(ctx, sel, 16, &d->la))
		return emul_raise_err(ctx, vector, sel & ~3);
	return emul_system_read(ctx, d->la + 8, &d->high, 8);
}

/**
 * emul_desc_unpack() - the hidden part of a segment register from a descriptor
 * @d: the descriptor
 * @seg: filled
 *
 * Context: Any. Pure.
 */
void emul_desc_unpack(const struct emul_desc *d, struct emul_seg *seg)
{
	u64 v = d->val;
	u32 limit = (v & 0xffff) | (v >> 32 & 0xf0000);

	*seg = (struct emul_seg) {
		.base = (v >> 16 & 0xffffff) | (v >> 32 & 0xff000000) | d->high << 32,
		.limit = v >> 55 & 1 ? limit << 12 | 0xfff : limit,
		.sel = d->sel,
		.type = DESC_TYPE(d),
		.s = DESC_S(d),
		.dpl = DESC_DPL(d),
		.present = DESC_P(d),
		.avl = v >> 52 & 1,
		.l = v >> 53 & 1,
		.db = v >> 54 & 1,
		.g = v >> 55 & 1,
		.unusable = !DESC_P(d),
	};
}

/* Set the accessed bit of a code or data segment's descriptor (SDM 3A 3.4.5.1). */
static int desc_touch(struct emul_ctx *ctx, struct emul_desc *d)
{
	u8 old = d->val >> DESC_TYPE_BYTE * 8, new;
	int r;

	if (d->val & DESC_ACCESSED)
		return EMUL_DONE;
	d->val |= DESC_ACCESSED;
	new = d->val >> DESC_TYPE_BYTE * 8;
	ctx->supervisor = true;
	/* One byte: a descriptor may lie at any address. */
	r = ctx->ops->compare_exchange(ctx, d->la + DESC_TYPE_BYTE, &old, &new, 1);
	ctx->supervisor = false;
	/* Another processor has changed the byte, most likely as this one would. */
	return r == EMUL_RETRY ? EMUL_DONE : r;
}

/* In real and virtual-8086 mode a load changes the selector and the base (SDM 3B 21.1.1, 21.2.2). */
static void desc_load_real(struct emul_ctx *ctx, u8 reg, u16 sel, struct emul_seg *out)
{
	*out = ctx->seg[reg];
	if (ctx->rflags & FL_VM)
		*out = (struct emul_seg) { .limit = 0xffff, .type = 3, .s = true, .dpl = 3, .present = true };
	out->sel = sel;
	out->base = (u32)sel << 4;
	out->unusable = false;
	out->present = true;
}

static int desc_load_null(struct emul_ctx *ctx, u8 reg, u16 sel, u8 vector, struct emul_seg *out)
{
	/* A null SS is valid in 64-bit mode below CPL 3 (SDM 3A 5.4.1.1). */
	if (reg == SREG_SS && (vector == X86_TRAP_TS || ctx->mode != MODE_64 || ctx->cpl == 3 || (sel & 3) != ctx->cpl))
		return emul_raise_err(ctx, vector, 0);
	*out = (struct emul_seg) { .sel = sel, .unusable = true };
	if (reg == SREG_SS)
		out->dpl = ctx->cpl;
	return EMUL_DONE;
}

static bool desc_stack_ok(const struct emul_desc *d, u8 cpl)
{
	return DESC_S(d) && (DESC_TYPE(d) & (TYPE_CODE | TYPE_RW)) == TYPE_RW && DESC_DPL(d) == cpl && (d->sel & 3) == cpl;
}

static bool desc_data_ok(const struct emul_desc *d, u8 cpl)
{
	u8 type = DESC_TYPE(d);

	if (!DESC_S(d) || (type & (TYPE_CODE | TYPE_RW)) == TYPE_CODE)
		return false;
	if ((type & (TYPE_CODE | TYPE_CONFORMING)) == (TYPE_CODE | TYPE_CONFORMING))
		return true;
	return DESC_DPL(d) >= cpl && DESC_DPL(d) >= (d->sel & 3);
}

/**
 * emul_load_sreg() - find and check what a load of ES, SS, DS, FS or GS puts into the register
 * @ctx: the processor state; its registers are not changed
 * @reg: SREG_*, not CS
 * @sel: the selector
 * @vector: the exception for a bad selector: #GP, or #TS in a task switch
 * @out: filled
 *
 * Marks the descriptor as accessed. SDM 2B MOV; for task switches SDM 3A table 8-1.
 *
 * Context: That of ctx->ops.
 * Return: enum emul_result.
 */
int emul_load_sreg(struct emul_ctx *ctx, u8 reg, u16 sel, u8 vector, struct emul_seg *out)
{
	struct emul_desc d;
	int r;

	if (!emul_protected_mode(ctx)) {
		desc_load_real(ctx, reg, sel, out);
		return EMUL_DONE;
	}
	if (desc_is_null(sel))
		return desc_load_null(ctx, reg, sel, vector, out);
	r = emul_desc_fetch(ctx, sel, vector, &d);
	if (r != EMUL_DONE)
		return r;
	if (!(reg == SREG_SS ? desc_stack_ok(&d, ctx->cpl) : desc_data_ok(&d, ctx->cpl)))
		return emul_raise_err(ctx, vector, sel & ~3);
	if (!DESC_P(&d))
		return emul_raise_err(ctx, reg == SREG_SS ? X86_TRAP_SS : X86_TRAP_NP, sel & ~3);
	r = desc_touch(ctx, &d);
	if (r == EMUL_DONE)
		emul_desc_unpack(&d, out);
	return r;
}

/**
 * emul_load_cs() - find and check the code segment of a far branch or a task switch without a gate
 * @ctx: the processor state; its registers are not changed
 * @sel: the selector
 * @cpl: the CPL that the target must allow: the current one, or in a task switch the selector's RPL
 * @vector: the exception for a bad selector: #GP, or #TS in a task switch
 * @out: filled; its selector has @cpl as RPL
 *
 * Context: That of ctx->ops.
 * Return: enum emul_result; EMUL_UNKNOWN for a gate or a TSS.
 */
int emul_load_cs(struct emul_ctx *ctx, u16 sel, u8 cpl, u8 vector, struct emul_seg *out)
{
	struct emul_desc d;
	bool conforming, fits;
	int r;

	if (!emul_protected_mode(ctx)) {
		desc_load_real(ctx, SREG_CS, sel, out);
		return EMUL_DONE;
	}
	if (desc_is_null(sel))
		return emul_raise_err(ctx, vector, 0);
	r = emul_desc_fetch(ctx, sel, vector, &d);
	if (r != EMUL_DONE)
		return r;
	if (!DESC_S(&d) && vector != X86_TRAP_TS && DESC_TYPE(&d) && DESC_TYPE(&d) != 2)
		return EMUL_UNKNOWN;
	conforming = DESC_TYPE(&d) & TYPE_CONFORMING;
	fits = conforming ? DESC_DPL(&d) <= cpl : DESC_DPL(&d) == cpl && (sel & 3) <= cpl;
	if (!DESC_S(&d) || !(DESC_TYPE(&d) & TYPE_CODE) || !fits)
		return emul_raise_err(ctx, vector, sel & ~3);
	/* D and L together are reserved in IA-32e mode (SDM 3A 3.4.5). */
	if (ctx->long_mode && (d.val >> 53 & 3) == 3)
		return emul_raise_err(ctx, vector, sel & ~3);
	if (!DESC_P(&d))
		return emul_raise_err(ctx, X86_TRAP_NP, sel & ~3);
	r = desc_touch(ctx, &d);
	if (r != EMUL_DONE)
		return r;
	emul_desc_unpack(&d, out);
	out->sel = (sel & ~3) | cpl;
	return EMUL_DONE;
}

/**
 * emul_set_sreg() - change a segment register
 * @ctx: the processor state
 * @reg: SREG_*
 * @seg: the value
 *
 * Context: Any.
 */
void emul_set_sreg(struct emul_ctx *ctx, u8 reg, const struct emul_seg *seg)
{
	ctx->seg[reg] = *seg;
	ctx->changed |= EMUL_CHANGED_SEG(reg);
}

/**
 * emul_desc_set_busy() - set or clear the busy bit of a TSS descriptor (SDM 3A 8.2.2)
 * @ctx: the processor state
 * @sel: selector of the TSS, in the GDT
 * @busy: the value of the bit
 *
 * Context: That of ctx->ops.
 * Return: enum emul_result.
 */
int emul_desc_set_busy(struct emul_ctx *ctx, u16 sel, bool busy)
{
	u64 la = desc_linear(ctx, ctx->gdt.base + (sel & ~7) + 5);
	u8 access;
	int r = emul_system_read(ctx, la, &access, 1);

	if (r != EMUL_DONE)
		return r;
	access = (access & ~2) | (busy ? 2 : 0);
	return emul_system_write(ctx, la, &access, 1);
}
