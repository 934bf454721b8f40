// SPDX-License-Identifier: GPL-2.0
/* Instruction decoder: from bytes and the mode of the code segment to a struct emul_insn (SDM 2A chapter 2). Pure. */
#include <linux/kernel.h>
#include <linux/string.h>

#include "emul/insn.h"
#include "emul/optable.h"

/* A position in the instruction's bytes. The first failure is kept, so that callers can check once at the end. */
struct decode_cursor {
	const u8 *bytes;
	u32 n;
	u32 pos;
	enum decode_result result;
};

static u8 decode_next8(struct decode_cursor *c)
{
	if (c->pos >= INSN_MAX) {
		if (c->result == DECODE_OK)
			c->result = DECODE_TOO_LONG;
		return 0;
	}
	if (c->pos >= c->n) {
		if (c->result == DECODE_OK)
			c->result = DECODE_MORE;
		return 0;
	}
	return c->bytes[c->pos++];
}

static u64 decode_next_bytes(struct decode_cursor *c, u32 n)
{
	u64 val = 0;
	u32 i;

	for (i = 0; i < n; i++)
		val |= (u64)decode_next8(c) << (8 * i);
	return val;
}

static s64 decode_next_signed(struct decode_cursor *c, u32 n)
{
	return emul_sign_extend(decode_next_bytes(c, n), 8 * n);
}

#define REX_W	8
#define REX_R	4
#define REX_X	2
#define REX_B	1

enum { NO_SEG = 0xff };

/*
 * Decode prefix bytes, in any order. A REX prefix counts only directly before
 * the opcode (SDM 2A 2.1.1, 2.2.1). Returns the byte after the prefixes.
 */
static u8 decode_prefixes(struct decode_cursor *c, struct emul_insn *insn, enum emul_mode mode, bool *adsize)
{
	u8 rex = 0, b;

	for (;;) {
		b = decode_next8(c);
		if (c->result != DECODE_OK)
			return 0;
		switch (b) {
		case 0x66:
			insn->opsize = true;
			break;
		case 0x67:
			*adsize = true;
			break;
		case 0x26: case 0x2e: case 0x36: case 0x3e:
			/* Overrides of ES, CS, SS and DS are ignored in 64-bit mode. */
			if (mode != MODE_64)
				insn->seg = (b >> 3) & 3;
			break;
		case 0x64: case 0x65:
			insn->seg = 4 + (b & 1);
			break;
		case 0xf0:
			insn->lock = true;
			break;
		case 0xf2: case 0xf3:
			insn->rep = b;
			break;
		default:
			if (mode == MODE_64 && (b & 0xf0) == 0x40) {
				rex = b;
				continue;
			}
			insn->rex = rex;
			return b;
		}
		rex = 0;
	}
}

/* Base and index registers of 16-bit addressing, by ModRM.rm (SDM 2A table 2-1). */
static const s8 base16[8] = { 3, 3, 5, 5, 6, 7, 5, 3 };
static const s8 index16[8] = { 6, 7, 6, 7, -1, -1, -1, -1 };

static void decode_mem16(struct decode_cursor *c, struct emul_insn *insn, u8 rm)
{
	insn->base = base16[rm];
	insn->index = index16[rm];
	if (insn->mod == 0 && rm == 6) {
		insn->base = -1;
		insn->disp = decode_next_signed(c, 2);
	} else if (insn->mod == 1) {
		insn->disp = decode_next_signed(c, 1);
	} else if (insn->mod == 2) {
		insn->disp = decode_next_signed(c, 2);
	}
	if (insn->base == 5 && insn->seg == NO_SEG)
		insn->seg = 2;
}

/* 32- and 64-bit addressing with SIB (SDM 2A tables 2-2 and 2-3, sections 2.2.1.3 and 2.2.1.6). */
static void decode_mem32(struct decode_cursor *c, struct emul_insn *insn, u8 rm, enum emul_mode mode)
{
	u8 sib, base = rm;

	if (rm == 4) {
		sib = decode_next8(c);
		base = sib & 7;
		insn->scale = sib >> 6;
		insn->index = ((sib >> 3) & 7) | (insn->rex & REX_X ? 8 : 0);
		if (insn->index == 4)
			insn->index = -1;
	}
	if (base == 5 && insn->mod == 0) {
		insn->disp = decode_next_signed(c, 4);
		insn->rip_rel = rm == 5 && mode == MODE_64;
	} else {
		insn->base = base | (insn->rex & REX_B ? 8 : 0);
	}
	if (insn->mod == 1)
		insn->disp = decode_next_signed(c, 1);
	else if (insn->mod == 2)
		insn->disp = decode_next_signed(c, 4);
	if ((insn->base == 4 || insn->base == 5) && insn->seg == NO_SEG)
		insn->seg = 2;
}

static void decode_modrm(struct decode_cursor *c, struct emul_insn *insn, enum emul_mode mode)
{
	u8 modrm = decode_next8(c), rm = modrm & 7;

	insn->mod = modrm >> 6;
	insn->reg = ((modrm >> 3) & 7) | (insn->rex & REX_R ? 8 : 0);
	insn->rm = rm | (insn->rex & REX_B ? 8 : 0);
	if (insn->mod == 3)
		return;
	insn->mem = true;
	if (insn->ad_bytes == 2)
		decode_mem16(c, insn, rm);
	else
		decode_mem32(c, insn, rm, mode);
}

static u8 decode_pp(const struct emul_insn *insn)
{
	if (insn->rep)
		return insn->rep == 0xf3 ? 2 : 3;
	return insn->opsize;
}

/* The row of an instruction that VEX or a mandatory prefix selects. */
static const struct prefixed_row *decode_find_prefixed(const struct emul_insn *insn)
{
	u32 i;

	for (i = 0; i < ARRAY_SIZE(op_prefixed); i++) {
		const struct prefixed_row *p = &op_prefixed[i];

		if (p->map == insn->map && p->opcode == insn->opcode && p->pp == insn->pp && p->vex == insn->vex)
			return p;
	}
	return NULL;
}

static const struct op_row *decode_find_row(const struct emul_insn *insn)
{
	const struct prefixed_row *p = insn->map ? decode_find_prefixed(insn) : NULL;

	if (p)
		return &p->row;
	if (insn->vex)
		return NULL;
	switch (insn->map) {
	case 0:
		return &op_one_byte[insn->opcode];
	case 1:
		return &op_0f[insn->opcode];
	case 2:
		return &op_0f38[insn->opcode];
	default:
		return NULL;
	}
}

static void decode_operand_size(struct emul_insn *insn, enum emul_mode mode)
{
	if (insn->flags & IF_BYTE)
		insn->op_bytes = 1;
	else if (insn->flags & (IF_NOPREFIX | IF_W))
		insn->op_bytes = insn->rex & REX_W ? 8 : 4;
	else if (mode != MODE_64)
		insn->op_bytes = (mode == MODE_16) != insn->opsize ? 2 : 4;
	else if (insn->flags & IF_F64)
		insn->op_bytes = 8;
	else if (insn->rex & REX_W)
		insn->op_bytes = 8;
	else if (insn->opsize)
		insn->op_bytes = 2;
	else
		insn->op_bytes = insn->flags & IF_D64 ? 8 : 4;
}

/* Replace the operation by the group's member. The operands are kept. */
static void decode_group(struct emul_insn *insn, const struct op_row *row)
{
	u8 reg = insn->reg & 7;
	const struct op_row *sub = &op_groups[row->group][reg];

	insn->op = sub->op;
	insn->flags |= sub->flags;
	if (row->group == GRP_3 && sub->op == OP_TEST) {
		insn->src = OPD_IMM;
		insn->flags |= insn->flags & IF_BYTE ? IF_IMM8 : IF_IMMZ;
	}
	if (sub->op == OP_PUSH) {
		insn->src = insn->dst;
		insn->dst = OPD_NONE;
	}
	/* 0F AE /6 without 66 is XSAVEOPT. Forms with F3 are other instructions, too (IF_NOREP). */
	if (row->group == GRP_15 && reg == 6 && !insn->opsize)
		insn->op = OP_NONE;
}

static void decode_immediate(struct decode_cursor *c, struct emul_insn *insn)
{
	if ((insn->flags & (IF_IMM8 | IF_IMM16)) == (IF_IMM8 | IF_IMM16))
		insn->imm = decode_next_bytes(c, 3);
	else if (insn->flags & IF_IMM8)
		insn->imm = decode_next_signed(c, 1);
	else if (insn->flags & IF_IMM16)
		insn->imm = decode_next_bytes(c, 2);
	else if (insn->flags & IF_IMMZ)
		insn->imm = decode_next_signed(c, insn->op_bytes < 4 ? insn->op_bytes : 4);
	if (insn->dst == OPD_MOFFS || insn->src == OPD_MOFFS) {
		insn->mem = true;
		insn->disp = decode_next_bytes(c, insn->ad_bytes);
	}
}

/* Do prefixes or the mode make the row another instruction, or #UD? */
static enum decode_result decode_check_row(const struct emul_insn *insn, enum emul_mode mode)
{
	if (insn->op == OP_NONE)
		return DECODE_UNKNOWN;
	if ((insn->flags & IF_NO64) && mode == MODE_64)
		return DECODE_UD;
	if ((insn->flags & IF_ONLY64) && mode != MODE_64)
		return DECODE_UNKNOWN;
	if ((insn->flags & (IF_NOREP | IF_NOPREFIX)) && insn->rep)
		return DECODE_UNKNOWN;
	if ((insn->flags & IF_NOPREFIX) && insn->opsize)
		return DECODE_UNKNOWN;
	if ((insn->flags & IF_MEM) && !insn->mem)
		return DECODE_UNKNOWN;
	if ((insn->op == OP_MOVSEG || insn->op == OP_LOADSEG) && (insn->reg & 7) > 5)
		return DECODE_UD;
	if (insn->op == OP_LOADSEG && (insn->reg & 7) == 1)
		return DECODE_UD;
	/* LOCK is allowed only with some instructions, and only with a memory destination (SDM 2A, LOCK). */
	if (insn->lock && !((insn->flags & IF_LOCK) && insn->mem && insn->dst == OPD_RM))
		return DECODE_UD;
	return DECODE_OK;
}

static enum decode_result decode_general(struct decode_cursor *c, struct emul_insn *insn, enum emul_mode mode)
{
	const struct op_row *row = decode_find_row(insn);

	if (!row || row->op == OP_NONE)
		return DECODE_UNKNOWN;
	insn->op = row->op;
	insn->dst = row->dst;
	insn->src = row->src;
	insn->flags = row->flags;
	if (insn->flags & IF_MODRM)
		decode_modrm(c, insn, mode);
	if (row->op == OP_GROUP)
		decode_group(insn, row);
	decode_operand_size(insn, mode);
	decode_immediate(c, insn);
	if (c->result != DECODE_OK)
		return c->result;
	return decode_check_row(insn, mode);
}

static enum decode_result decode_vector(struct decode_cursor *c, struct emul_insn *insn, enum emul_mode mode)
{
	insn->op = OP_VEC;
	insn->op_bytes = insn->rex & REX_W ? 8 : 4;
	decode_modrm(c, insn, mode);
	if (c->result != DECODE_OK)
		return c->result;
	/* Register forms do not access memory, and some are other instructions (MOVHLPS, MOVLHPS). */
	if (!insn->mem)
		return DECODE_UNKNOWN;
	return insn->lock ? DECODE_UD : DECODE_OK;
}

/* 66, F2, F3, LOCK and REX must not precede VEX and EVEX (SDM 2A 2.3.2, 2.7.11.1). */
static bool decode_vex_prefix_ok(const struct emul_insn *insn)
{
	return !insn->rex && !insn->rep && !insn->opsize && !insn->lock;
}

/* VEX instructions on general registers: VEX.L must be 0, and VEX.vvvv 1111b if it names no operand (SDM 2A 2.6). */
static enum decode_result decode_vex_general(struct decode_cursor *c, struct emul_insn *insn, enum emul_mode mode)
{
	const struct prefixed_row *p = decode_find_prefixed(insn);
	enum decode_result result = decode_general(c, insn, mode);

	if (result == DECODE_OK && (insn->vl || (!p->vvvv && insn->vvvv)))
		return DECODE_UD;
	return result;
}

static enum decode_result decode_vex(struct decode_cursor *c, struct emul_insn *insn, u8 first, enum emul_mode mode)
{
	u8 b1 = decode_next8(c), last = b1, rex;

	if (first == 0xc4)
		last = decode_next8(c);
	insn->opcode = decode_next8(c);
	if (c->result != DECODE_OK)
		return c->result;
	if (!decode_vex_prefix_ok(insn))
		return DECODE_UD;
	rex = (~b1 >> 5) & REX_R;
	insn->map = 1;
	if (first == 0xc4) {
		rex = (~b1 >> 5) & (REX_R | REX_X | REX_B);
		rex |= last & 0x80 ? REX_W : 0;
		insn->map = b1 & 0x1f;
	}
	/* There are only eight registers outside 64-bit mode; VEX.B is ignored. */
	insn->rex = mode == MODE_64 ? rex : 0;
	insn->vex = true;
	insn->w = first == 0xc4 && (last & 0x80);
	insn->vvvv = (~last >> 3) & 15;
	insn->vl = (last >> 2) & 1;
	insn->pp = last & 3;
	insn->vec = emul_vec_row(insn->map, insn->opcode, insn->pp);
	/* There is no VEX form of MMX. */
	if (insn->vec && insn->vec->kind == VEC_MMX)
		return DECODE_UNKNOWN;
	return insn->vec ? decode_vector(c, insn, mode) : decode_vex_general(c, insn, mode);
}

/* EVEX: moves of whole vectors, without masking or broadcast (SDM 2A 2.7). */
static enum decode_result decode_evex(struct decode_cursor *c, struct emul_insn *insn, enum emul_mode mode)
{
	u8 p0 = decode_next8(c), p1 = decode_next8(c), p2 = decode_next8(c);
	enum decode_result result;

	insn->opcode = decode_next8(c);
	if (c->result != DECODE_OK)
		return c->result;
	if (!decode_vex_prefix_ok(insn) || (p0 & 0x08) || !(p1 & 0x04))
		return DECODE_UD;
	/* Masking, zeroing and broadcast are not supported. */
	if (p2 & 0x97 || mode != MODE_64)
		return DECODE_UNKNOWN;
	insn->map = p0 & 7;
	insn->rex = ((~p0 >> 5) & (REX_R | REX_X | REX_B)) | (p1 & 0x80 ? REX_W : 0);
	insn->evex = true;
	insn->vl = (p2 >> 5) & 3;
	if (insn->vl == 3 || (~p1 & 0x78) || !(p2 & 0x08))
		return DECODE_UD;
	insn->vec = emul_vec_row(insn->map, insn->opcode, p1 & 3);
	/* VMOVDQU8 and VMOVDQU16 have prefix F2 and no VEX form. Use the row of VMOVDQU. */
	if (insn->map == 1 && (insn->opcode == 0x6f || insn->opcode == 0x7f) && (p1 & 3) == 3)
		insn->vec = emul_vec_row(1, insn->opcode, 2);
	if (!insn->vec || insn->vec->kind != VEC_FULL || insn->vec->legacy_only)
		return DECODE_UNKNOWN;
	result = decode_vector(c, insn, mode);
	insn->reg |= p0 & 0x10 ? 0 : 16;
	/* An 8-bit displacement is scaled by the vector length (SDM 2A 2.7.5). */
	if (insn->mod == 1)
		insn->disp *= 16 << insn->vl;
	return result;
}

/**
 * emul_decode() - decode an instruction
 * @insn: filled; valid only if %DECODE_OK is returned
 * @bytes: the instruction's bytes
 * @n: number of bytes; 15 are always sufficient
 * @mode: the mode of the code segment
 *
 * Context: Any. Pure.
 * Return: %DECODE_MORE if @n is less than 15 and more bytes are needed, else the verdict.
 */
enum decode_result emul_decode(struct emul_insn *insn, const u8 *bytes, u32 n, enum emul_mode mode)
{
	struct decode_cursor c = { .bytes = bytes, .n = n };
	enum decode_result result;
	bool adsize = false, vex = true;
	u8 b;

	memset(insn, 0, sizeof(*insn));
	insn->seg = NO_SEG;
	insn->base = -1;
	insn->index = -1;
	b = decode_prefixes(&c, insn, mode, &adsize);
	if (c.result != DECODE_OK)
		return c.result;
	if (mode == MODE_64)
		insn->ad_bytes = adsize ? 4 : 8;
	else
		insn->ad_bytes = (mode == MODE_16) != adsize ? 2 : 4;

	insn->opcode = b;
	/* Outside 64-bit mode C4, C5 and 62 are VEX and EVEX only if LES, LDS and BOUND would have a register operand. */
	if ((b == 0xc4 || b == 0xc5 || b == 0x62) && mode != MODE_64)
		vex = c.pos >= c.n || c.pos >= INSN_MAX || (c.bytes[c.pos] >> 6) == 3;
	if (vex && (b == 0xc4 || b == 0xc5)) {
		result = decode_vex(&c, insn, b, mode);
	} else if (vex && b == 0x62) {
		result = decode_evex(&c, insn, mode);
	} else {
		if (b == 0x0f) {
			insn->map = 1;
			insn->opcode = decode_next8(&c);
			if (insn->opcode == 0x38 || insn->opcode == 0x3a) {
				insn->map = insn->opcode == 0x38 ? 2 : 3;
				insn->opcode = decode_next8(&c);
			}
		}
		if (c.result != DECODE_OK)
			return c.result;
		insn->pp = decode_pp(insn);
		insn->vec = insn->map ? emul_vec_row(insn->map, insn->opcode, insn->pp) : NULL;
		/* Masked moves have a VEX form only. */
		if (insn->vec && insn->vec->kind == VEC_MASKED)
			return DECODE_UNKNOWN;
		result = insn->vec ? decode_vector(&c, insn, mode) : decode_general(&c, insn, mode);
	}
	if (insn->seg == NO_SEG)
		insn->seg = 3;
	insn->len = c.pos;
	return result;
}
