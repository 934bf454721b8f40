// SPDX-License-Identifier: GPL-2.0
/* System instructions: segment and table registers, the machine status word. Pure. */
#include <linux/kernel.h>
#include <linux/string.h>

#include "emul/arch.h"
#include "emul/desc.h"

#define TYPE_LDT	2
#define TYPE_TSS16	1	/* available */
#define TYPE_TSS	9	/* available, of 32 or 64 bits */

static int exec_sys_check_cpl0(struct emul_ctx *ctx)
{
	return ctx->cpl ? emul_raise_err(ctx, X86_TRAP_GP, 0) : EMUL_DONE;
}

/* CR4.UMIP reserves SGDT, SIDT, SLDT, SMSW and STR for CPL 0 (SDM 3A 2.5). */
static int exec_sys_check_umip(struct emul_ctx *ctx)
{
	return ctx->cr4 & EMUL_CR4_UMIP ? exec_sys_check_cpl0(ctx) : EMUL_DONE;
}

static int exec_sys_read_selector(struct emul_ctx *ctx, u16 *sel)
{
	struct emul_operand o;
	int r;

	emul_find_operand(ctx, OPD_RM, 2, &o);
	r = emul_load_operand(ctx, &o, false);
	*sel = o.val;
	return r;
}

/* MOV to a segment register. */
static int exec_sys_load_sreg(struct emul_ctx *ctx)
{
	u8 reg = ctx->insn.reg & 7;
	struct emul_seg seg;
	u16 sel;
	int r = exec_sys_read_selector(ctx, &sel);

	if (r == EMUL_DONE)
		r = emul_load_sreg(ctx, reg, sel, X86_TRAP_GP, &seg);
	if (r != EMUL_DONE)
		return r;
	emul_set_sreg(ctx, reg, &seg);
	ctx->mov_ss = reg == SREG_SS;
	return EMUL_DONE;
}

/* SLDT, STR and SMSW store 16 bits in memory with any operand size; a register gets them zero-extended. */
static int exec_sys_store_word(struct emul_ctx *ctx)
{
	struct emul_operand o;
	u64 val = ctx->msw;
	int r;

	if (ctx->insn.op != OP_SMSW) {
		if (!emul_protected_mode(ctx))
			return emul_raise(ctx, X86_TRAP_UD);
		val = ctx->seg[ctx->insn.op == OP_STR ? SREG_TR : SREG_LDTR].sel;
	}
	r = exec_sys_check_umip(ctx);
	emul_find_operand(ctx, OPD_RM, ctx->insn.mem ? 2 : ctx->insn.op_bytes, &o);
	return r == EMUL_DONE ? emul_store_operand(ctx, &o, val) : r;
}

static int exec_sys_lmsw(struct emul_ctx *ctx)
{
	u64 ea = emul_effective_address(ctx), la;
	u16 msw;
	int r = exec_sys_check_cpl0(ctx);

	if (r == EMUL_DONE)
		r = emul_linear(ctx, ctx->insn.seg, ea, 2, false, &la);
	if (r == EMUL_DONE)
		r = exec_sys_read_selector(ctx, &msw);
	if (r != EMUL_DONE)
		return r;
	/* PE can be set but not cleared (SDM 2A, LMSW). */
	return ctx->ops->lmsw ? ctx->ops->lmsw(ctx, (ctx->cr0 & ~0xeULL) | (msw & 0xf), msw, la) : EMUL_UNKNOWN;
}

#define UPPER_TYPE	(0x1fULL << 40)	/* of a descriptor's upper half: zero, so that it is no descriptor of its own */

/*
 * LLDT and LTR: the descriptor must be in the GDT, present, and of one of some system types, which are the bits of @types. In
 * IA-32e mode its upper half has no type, and its base is canonical (SDM 3A 3.5.2, 8.2.3; 3A 3.3.7.1).
 */
static int exec_sys_fetch(struct emul_ctx *ctx, u16 sel, u32 types, struct emul_seg *seg)
{
	struct emul_desc d;
	int r;

	if (sel & 4)
		return emul_raise_err(ctx, X86_TRAP_GP, sel & ~3);
	r = emul_desc_fetch(ctx, sel, X86_TRAP_GP, &d);
	if (r != EMUL_DONE)
		return r;
	emul_desc_unpack(&d, seg);
	if (seg->s || !(types & BIT(seg->type)))
		return emul_raise_err(ctx, X86_TRAP_GP, sel & ~3);
	if (d.high & UPPER_TYPE)
		return emul_raise_err(ctx, X86_TRAP_GP, sel & ~3);
	if (seg->present && ctx->long_mode && !arch_canonical(seg->base, ctx->la_bits))
		return emul_raise_err(ctx, X86_TRAP_GP, sel & ~3);
	return seg->present ? EMUL_DONE : emul_raise_err(ctx, X86_TRAP_NP, sel & ~3);
}

static int exec_sys_load_selector(struct emul_ctx *ctx, u16 *sel)
{
	int r;

	if (!emul_protected_mode(ctx))
		return emul_raise(ctx, X86_TRAP_UD);
	r = exec_sys_check_cpl0(ctx);
	return r == EMUL_DONE ? exec_sys_read_selector(ctx, sel) : r;
}

static int exec_sys_lldt(struct emul_ctx *ctx)
{
	struct emul_seg seg;
	u16 sel;
	int r = exec_sys_load_selector(ctx, &sel);

	if (r != EMUL_DONE)
		return r;
	if (!(sel & ~3)) {
		seg = (struct emul_seg) { .sel = sel, .unusable = true };
		emul_set_sreg(ctx, SREG_LDTR, &seg);
		return EMUL_DONE;
	}
	r = exec_sys_fetch(ctx, sel, BIT(TYPE_LDT), &seg);
	if (r == EMUL_DONE)
		emul_set_sreg(ctx, SREG_LDTR, &seg);
	return r;
}

static int exec_sys_ltr(struct emul_ctx *ctx)
{
	struct emul_seg seg;
	u16 sel;
	int r = exec_sys_load_selector(ctx, &sel);

	if (r != EMUL_DONE)
		return r;
	if (!(sel & ~3))
		return emul_raise_err(ctx, X86_TRAP_GP, 0);
	r = exec_sys_fetch(ctx, sel, BIT(TYPE_TSS) | (ctx->long_mode ? 0 : BIT(TYPE_TSS16)), &seg);
	if (r != EMUL_DONE)
		return r;
	r = emul_desc_set_busy(ctx, sel, true);
	if (r != EMUL_DONE)
		return r;
	seg.type |= 2;
	emul_set_sreg(ctx, SREG_TR, &seg);
	return EMUL_DONE;
}

/* SGDT and SIDT: the limit, then the base with 8 bytes in 64-bit mode, else 4 (SDM 2B, SGDT and SIDT). */
static int exec_sys_store_table(struct emul_ctx *ctx)
{
	const struct emul_table *t = ctx->insn.op == OP_SGDT ? &ctx->gdt : &ctx->idt;
	u32 bytes = ctx->mode == MODE_64 ? 10 : 6;
	u8 data[10];
	u64 la;
	int r = exec_sys_check_umip(ctx);

	memcpy(data, &t->limit, 2);
	memcpy(data + 2, &t->base, 8);
	if (r == EMUL_DONE)
		r = emul_linear(ctx, ctx->insn.seg, emul_effective_address(ctx), bytes, true, &la);
	if (r == EMUL_DONE)
		r = emul_check_alignment(ctx, la, 4);
	return r == EMUL_DONE ? ctx->ops->write(ctx, la, data, bytes) : r;
}

/* LGDT and LIDT: with a 16-bit operand size the base has 24 bits (SDM 2A, LGDT/LIDT). */
static int exec_sys_load_table(struct emul_ctx *ctx)
{
	bool gdt = ctx->insn.op == OP_LGDT;
	u32 bytes = ctx->mode == MODE_64 ? 10 : 6;
	struct emul_table t = { 0 };
	u8 data[10] = { 0 };
	u64 la;
	int r = exec_sys_check_cpl0(ctx);

	if (r == EMUL_DONE)
		r = emul_linear(ctx, ctx->insn.seg, emul_effective_address(ctx), bytes, false, &la);
	if (r == EMUL_DONE)
		r = ctx->ops->read(ctx, la, data, bytes, false);
	if (r != EMUL_DONE)
		return r;
	memcpy(&t.limit, data, 2);
	memcpy(&t.base, data + 2, 8);
	if (ctx->mode != MODE_64 && ctx->insn.op_bytes == 2)
		t.base &= 0xffffff;
	if (!arch_canonical(t.base, ctx->la_bits))
		return emul_raise_err(ctx, X86_TRAP_GP, 0);
	*(gdt ? &ctx->gdt : &ctx->idt) = t;
	ctx->changed |= gdt ? EMUL_CHANGED_GDT : EMUL_CHANGED_IDT;
	return EMUL_DONE;
}

/**
 * emul_exec_system() - execute a system instruction with a memory operand
 * @ctx: the processor state, with a decoded instruction
 *
 * Context: That of ctx->ops.
 * Return: enum emul_result.
 */
int emul_exec_system(struct emul_ctx *ctx)
{
	switch (ctx->insn.op) {
	case OP_LOADSEG:
		return exec_sys_load_sreg(ctx);
	case OP_SMSW: case OP_SLDT: case OP_STR:
		return exec_sys_store_word(ctx);
	case OP_LMSW:
		return exec_sys_lmsw(ctx);
	case OP_LLDT:
		return exec_sys_lldt(ctx);
	case OP_LTR:
		return exec_sys_ltr(ctx);
	case OP_SGDT: case OP_SIDT:
		return exec_sys_store_table(ctx);
	default:
		return exec_sys_load_table(ctx);
	}
}
