// SPDX-License-Identifier: GPL-2.0
/* Decodes and executes the plain instructions between VMREADs and VMWRITEs in L1's code. Pure. SDM 2, SDM 3C 31.3. */
#include <linux/kernel.h>
#include <linux/string.h>
#include "nested/cluster_code.h"

#define OPCODE_VMREAD	0x78	/* after 0F */
#define OPCODE_VMWRITE	0x79
#define OPCODE_MOVZX	0xb6	/* after 0F */
#define OPCODE_LOAD	0x8b	/* MOV from memory */
#define OPCODE_LEA	0x8d

/* Little-endian signed number of 1, 4 or 8 bytes. */
static s64 cluster_number(const u8 *p, u32 bytes)
{
	u64 val = 0;

	memcpy(&val, p, bytes);
	return emul_sign_extend(val, 8 * bytes);
}

/*
 * Decode what emul_decode() does not know, because it accesses no memory or is no instruction of a driver. @p is behind
 * the REX prefix, and @left bytes are there. Returns the length without the prefix, 0 if it is none of these.
 */
static u32 cluster_decode_own(struct cluster_insn *i, u8 rex, const u8 *p, u32 left)
{
	u8 reg, rm, imm_bytes;

	if (left >= 3 && p[0] == 0x0f && (p[1] == OPCODE_VMREAD || p[1] == OPCODE_VMWRITE) && p[2] >= 0xc0) {
		reg = (p[2] >> 3 & 7) | (rex & 4 ? 8 : 0);
		rm = (p[2] & 7) | (rex & 1 ? 8 : 0);
		i->kind = p[1] == OPCODE_VMREAD ? CLUSTER_VMREAD : CLUSTER_VMWRITE;
		/* ModRM.reg is the field of VMREAD and VMWRITE. */
		i->dst = p[1] == OPCODE_VMREAD ? rm : reg;
		i->src = p[1] == OPCODE_VMREAD ? reg : rm;
		i->bytes = 8;
		return 3;
	}
	if ((p[0] & 0xf8) == 0xb8) {
		imm_bytes = rex & 8 ? 8 : 4;
		if (left < 1 + imm_bytes)
			return 0;
		i->kind = CLUSTER_CONST;
		i->dst = (p[0] & 7) | (rex & 1 ? 8 : 0);
		/* A 32-bit result clears the upper half (SDM 1 3.4.1.1). */
		i->imm = cluster_number(p + 1, imm_bytes) & emul_size_mask(imm_bytes);
		return 1 + imm_bytes;
	}
	if (p[0] == 0x90 && !(rex & 1)) {
		i->kind = CLUSTER_NOP;
		return 1;
	}
	if (((p[0] & 0xf0) == 0x70 || p[0] == 0xeb) && left >= 2) {
		i->kind = p[0] == 0xeb ? CLUSTER_JMP : CLUSTER_JCC;
		i->op = p[0] & 15;
		i->imm = cluster_number(p + 1, 1);
		return 2;
	}
	if (p[0] == 0xe9 && left >= 5) {
		i->kind = CLUSTER_JMP;
		i->imm = cluster_number(p + 1, 4);
		return 5;
	}
	if (left >= 6 && p[0] == 0x0f && (p[1] & 0xf0) == 0x80) {
		i->kind = CLUSTER_JCC;
		i->op = p[1] & 15;
		i->imm = cluster_number(p + 2, 4);
		return 6;
	}
	return 0;
}

/* Find a register operand. Returns false if it is none, or is RSP, AH, CH, DH or BH. */
static bool cluster_register(const struct emul_insn *e, u8 opd, u32 bytes, u8 *reg)
{
	switch (opd) {
	case OPD_RM:
		if (e->mem)
			return false;
		*reg = e->rm;
		break;
	case OPD_REG:
		*reg = e->reg;
		break;
	case OPD_ACC:
		*reg = GPR_AX;
		break;
	default:
		return false;
	}
	return *reg != GPR_SP && !(bytes == 1 && !e->rex && *reg >= 4);
}

static bool cluster_source(struct cluster_insn *i, const struct emul_insn *e, u32 bytes)
{
	if (e->src != OPD_IMM)
		return cluster_register(e, e->src, bytes, &i->src);
	i->from_imm = true;
	i->imm = e->imm;
	return true;
}

/* Take over the address of a memory operand. FS and GS have a base. */
static bool cluster_memory(struct cluster_insn *i, const struct emul_insn *e)
{
	i->mem = true;
	i->rip_rel = e->rip_rel;
	i->base = e->base;
	i->index = e->index;
	i->scale = e->scale;
	i->disp = e->disp;
	return e->mem && e->ad_bytes == 8 && e->seg < SREG_FS && e->dst != OPD_MOFFS && e->src != OPD_MOFFS;
}

/* A store, or a move between registers. */
static bool cluster_move(struct cluster_insn *i, const struct emul_insn *e)
{
	if (e->dst == OPD_RM && e->mem) {
		/* MOVNTI and MOVDIRI are others. */
		i->kind = CLUSTER_STORE;
		return !e->map && cluster_memory(i, e) && cluster_source(i, e, i->bytes);
	}
	i->kind = CLUSTER_MOV;
	return cluster_register(e, e->dst, i->bytes, &i->dst) && cluster_source(i, e, i->bytes);
}

/*
 * Decode LEA, and VMREAD to memory, which emul_decode() does not know, as instructions with the same operands. Returns
 * the length, 0 if it is neither.
 */
static u32 cluster_decode_address(struct cluster_insn *i, u8 rex, const u8 *code, u32 len)
{
	const u8 *p = code + !!rex;
	u8 copy[INSN_MAX];
	struct emul_insn e;

	len = min_t(u32, len, INSN_MAX);
	memcpy(copy, code, len);
	if (p[0] == OPCODE_LEA) {
		i->kind = CLUSTER_LEA;
		copy[!!rex] = OPCODE_LOAD;
	} else if (p[0] == 0x0f && p[1] == OPCODE_VMREAD) {
		i->kind = CLUSTER_VMREAD;
		copy[!!rex + 1] = OPCODE_MOVZX;
	} else {
		return 0;
	}
	if (emul_decode(&e, copy, len, MODE_64) != DECODE_OK || !cluster_memory(i, &e) || e.reg == GPR_SP)
		return 0;
	i->bytes = e.op_bytes;
	i->dst = i->kind == CLUSTER_LEA ? e.reg : 0;
	i->src = i->kind == CLUSTER_LEA ? 0 : e.reg;
	return e.len;
}

/* Take over an instruction that emul_decode() knows, if it has only registers and constants as operands. */
static bool cluster_adopt(struct cluster_insn *i, const struct emul_insn *e)
{
	if (e->lock || e->rep || e->vex || e->evex)
		return false;
	i->op = e->op;
	i->bytes = e->op_bytes;
	switch (e->op) {
	case OP_MOV:
		return cluster_move(i, e);
	case OP_SHL:
	case OP_SHR:
	case OP_SAR:
		i->kind = CLUSTER_SHIFT;
		i->imm = (e->src == OPD_ONE ? 1 : e->imm) & (i->bytes == 8 ? 63 : 31);
		return i->imm && i->bytes >= 4 && (e->src == OPD_ONE || e->src == OPD_IMM) &&
		       cluster_register(e, e->dst, i->bytes, &i->dst);
	case OP_ADD ... OP_CMP:
	case OP_TEST:
		i->kind = CLUSTER_ALU;
		return cluster_register(e, e->dst, i->bytes, &i->dst) && cluster_source(i, e, i->bytes);
	case OP_NOT ... OP_DEC:
		i->kind = CLUSTER_UNARY;
		return cluster_register(e, e->dst, i->bytes, &i->dst);
	case OP_MOVZX:
	case OP_MOVSX:
		i->kind = CLUSTER_EXTEND;
		i->src_bytes = emul_source_bytes(e);
		return i->bytes >= 4 && cluster_register(e, e->dst, i->bytes, &i->dst) &&
		       cluster_register(e, e->src, i->src_bytes, &i->src);
	case OP_SETCC:
		i->kind = CLUSTER_SETCC;
		i->op = e->opcode & 15;
		return cluster_register(e, e->dst, 1, &i->dst);
	case OP_CMOV:
		i->kind = CLUSTER_CMOV;
		i->op = e->opcode & 15;
		return cluster_register(e, e->dst, i->bytes, &i->dst) && cluster_source(i, e, i->bytes);
	case OP_HINT:
		/* Prefetches and multi-byte NOPs do nothing that can be seen. */
		i->kind = CLUSTER_NOP;
		return e->opcode == 0x1f;
	default:
		return false;
	}
}

/**
 * cluster_decode_one() - decode an instruction of 64-bit code
 * @i: filled; @i->end is its length
 * @code: its bytes
 * @len: number of bytes there
 *
 * Context: Any. Pure.
 * Return: false if it is none that a run can contain.
 */
bool cluster_decode_one(struct cluster_insn *i, const u8 *code, u32 len)
{
	u8 rex = len && (code[0] & 0xf0) == 0x40 ? code[0] : 0;
	struct emul_insn e;
	u32 n;

	*i = (struct cluster_insn){};
	if (len < 3)
		return false;
	n = cluster_decode_own(i, rex, code + !!rex, len - !!rex);
	if (n) {
		i->end = n + !!rex;
		return i->kind > CLUSTER_CONST || (i->dst != GPR_SP && i->src != GPR_SP);
	}
	n = cluster_decode_address(i, rex, code, len);
	if (n) {
		i->end = n;
		return true;
	}
	*i = (struct cluster_insn){};
	if (emul_decode(&e, code, min_t(u32, len, INSN_MAX), MODE_64) != DECODE_OK || !cluster_adopt(i, &e))
		return false;
	i->end = e.len;
	return true;
}

/* The constants that the instructions of a run have loaded. */
struct cluster_known {
	u64 val[16];
	u16 valid;	/* BIT(register) */
};

/* Find the field of a VMREAD or VMWRITE, and note which constants the registers hold after the instruction. */
static void cluster_note(struct cluster_insn *i, struct cluster_known *known)
{
	u8 reg = i->kind == CLUSTER_VMREAD ? i->src : i->dst;

	if (cluster_is_vmx(i) && (known->valid & BIT(reg))) {
		i->imm = known->val[reg];
		i->field = vmcs12_field_lookup(i->imm);
	}
	/* The instructions that write no register have 0 there, or a register that they read. */
	if (i->kind != CLUSTER_VMWRITE && i->kind != CLUSTER_JCC && i->kind != CLUSTER_NOP && i->kind != CLUSTER_STORE)
		known->valid &= ~BIT(i->dst);
	if (i->kind == CLUSTER_CONST) {
		known->val[i->dst] = i->imm;
		known->valid |= BIT(i->dst);
	}
}

/**
 * cluster_decode() - decode a run of instructions of 64-bit code
 * @run: filled
 * @code: where the run begins
 * @len: number of bytes there, at most CLUSTER_BYTES
 *
 * Context: Any. Pure.
 */
void cluster_decode(struct cluster_run *run, const u8 *code, u32 len)
{
	struct cluster_known known = {};
	u32 nr = 0, at = 0;

	run->nr = 0;
	run->bytes = 0;
	run->uses_rsp = false;
	while (nr < CLUSTER_INSNS && cluster_decode_one(&run->insn[nr], code + at, len - at)) {
		struct cluster_insn *i = &run->insn[nr++];

		at += i->end;
		i->end = at;
		cluster_note(i, &known);
		run->uses_rsp |= i->mem && i->base == GPR_SP;
		/* Plain instructions behind the last VMREAD or VMWRITE are left to L1. */
		if (cluster_is_vmx(i)) {
			run->nr = nr;
			run->bytes = at;
		}
		if (i->kind == CLUSTER_JMP)
			break;
	}
}

static void cluster_set(u64 *regs, u8 reg, u32 bytes, u64 val)
{
	u64 mask = emul_size_mask(bytes);

	/* A 32-bit result clears the upper half (SDM 1 3.4.1.1). */
	regs[reg] = bytes == 4 ? (u32)val : (regs[reg] & ~mask) | (val & mask);
}

/**
 * cluster_address() - compute the effective address of an instruction (SDM 1 3.7.5)
 * @i: the instruction, which has an address
 * @regs: the general registers, in the order of their encoding
 * @begin: RIP of the run's first instruction
 *
 * Context: Any. Pure.
 * Return: the address, which is the linear address, too.
 */
u64 cluster_address(const struct cluster_insn *i, const u64 *regs, u64 begin)
{
	u64 ea = (s64)i->disp;

	if (i->rip_rel)
		ea += begin + i->end;
	if (i->base >= 0)
		ea += regs[i->base];
	if (i->index >= 0)
		ea += regs[i->index] << i->scale;
	return ea;
}

#define CLUSTER_SHIFT_BY(insn, type) \
	do { \
		type part = val; \
		asm(insn " %%cl, %1\n\tlahf\n\tseto %%al" : "=&a" (ax), "+r" (part) : "c" ((u8)count) : "cc"); \
		val = part; \
	} while (0)

/*
 * Shift by a count other than 0. The manual leaves AF, and OF after counts other than 1, undefined: the processor computes
 * them, so that they are what L1 would have got.
 */
static u64 cluster_shift(const struct cluster_insn *i, u64 val, u64 *flags)
{
	u32 count = i->imm, ax = 0;

	if (i->op == OP_SHL && i->bytes == 8)
		CLUSTER_SHIFT_BY("shlq", u64);
	else if (i->op == OP_SHL)
		CLUSTER_SHIFT_BY("shll", u32);
	else if (i->op == OP_SHR && i->bytes == 8)
		CLUSTER_SHIFT_BY("shrq", u64);
	else if (i->op == OP_SHR)
		CLUSTER_SHIFT_BY("shrl", u32);
	else if (i->bytes == 8)
		CLUSTER_SHIFT_BY("sarq", u64);
	else
		CLUSTER_SHIFT_BY("sarl", u32);
	*flags = (*flags & ~FL_ARITH) | (ax >> 8 & FL_ARITH & 0xff) | (ax & 1 ? FL_OF : 0);
	return val;
}

/**
 * cluster_execute() - execute a plain instruction of a run
 * @i: the instruction, none of VMREAD, VMWRITE, CLUSTER_CONST, CLUSTER_STORE and CLUSTER_JCC, which the caller knows
 * @begin: RIP of the run's first instruction
 * @regs: the general registers, in the order of their encoding
 * @flags: RFLAGS
 *
 * Context: Any. Pure.
 * Return: true if it is a jump that is taken.
 */
bool cluster_execute(const struct cluster_insn *i, u64 begin, u64 *regs, u64 *flags)
{
	u64 mask = emul_size_mask(i->bytes), src = (i->from_imm ? (u64)i->imm : regs[i->src]) & mask, val;

	switch (i->kind) {
	case CLUSTER_MOV:
		cluster_set(regs, i->dst, i->bytes, src);
		return false;
	case CLUSTER_ALU:
		val = alu_binary(i->op, regs[i->dst] & mask, src, i->bytes, flags);
		if (i->op != OP_CMP && i->op != OP_TEST)
			cluster_set(regs, i->dst, i->bytes, val);
		return false;
	case CLUSTER_UNARY:
		cluster_set(regs, i->dst, i->bytes, alu_unary(i->op, regs[i->dst] & mask, i->bytes, flags));
		return false;
	case CLUSTER_SHIFT:
		cluster_set(regs, i->dst, i->bytes, cluster_shift(i, regs[i->dst], flags));
		return false;
	case CLUSTER_LEA:
		cluster_set(regs, i->dst, i->bytes, cluster_address(i, regs, begin));
		return false;
	case CLUSTER_EXTEND:
		val = regs[i->src] & emul_size_mask(i->src_bytes);
		if (i->op == OP_MOVSX)
			val = emul_sign_extend(val, 8 * i->src_bytes);
		cluster_set(regs, i->dst, i->bytes, val);
		return false;
	case CLUSTER_SETCC:
		cluster_set(regs, i->dst, 1, cluster_condition(i->op, *flags));
		return false;
	case CLUSTER_CMOV:
		/* A 32-bit CMOV clears the upper half in either case (SDM 2A, CMOVcc). */
		cluster_set(regs, i->dst, i->bytes, cluster_condition(i->op, *flags) ? src : regs[i->dst]);
		return false;
	case CLUSTER_JMP:
		return true;
	default:
		return false;
	}
}
