/* SPDX-License-Identifier: GPL-2.0 */
/* Opcode tables of the decoder: one row per opcode, groups by ModRM.reg (SDM 2D appendix A). */
#ifndef DROSTE_EMUL_OPTABLE_H
#define DROSTE_EMUL_OPTABLE_H

#include "emul/insn.h"

struct op_row {
	u8 op;		/* enum emul_op; for OP_GROUP the group is @group */
	u8 dst, src;	/* enum opd */
	u8 group;	/* enum op_group */
	u32 flags;	/* IF_* */
};

enum op_group { GRP_1, GRP_1A, GRP_2, GRP_3, GRP_4, GRP_5, GRP_6, GRP_7, GRP_8, GRP_9, GRP_11, GRP_15, GRP_16, GRP_17, NR_GROUPS };

#define ROW(o, d, s, f)		{ .op = OP_##o, .dst = OPD_##d, .src = OPD_##s, .flags = (f) }
#define GROUP(g, d, s, f)	{ .op = OP_GROUP, .dst = OPD_##d, .src = OPD_##s, .group = GRP_##g, .flags = (f) | IF_MODRM }
/* A member of a group. Its operands are those of the row that names the group. */
#define SUB(o, f)		{ .op = OP_##o, .flags = (f) }

/* The six forms of an ALU instruction, opcodes @c to @c + 5. */
#define ALU(c, o, lock)									\
	[(c) + 0] = ROW(o, RM, REG, IF_MODRM | IF_BYTE | (lock)),			\
	[(c) + 1] = ROW(o, RM, REG, IF_MODRM | (lock)),					\
	[(c) + 2] = ROW(o, REG, RM, IF_MODRM | IF_BYTE),				\
	[(c) + 3] = ROW(o, REG, RM, IF_MODRM),						\
	[(c) + 4] = ROW(o, ACC, IMM, IF_BYTE | IF_IMM8),				\
	[(c) + 5] = ROW(o, ACC, IMM, IF_IMMZ)

static const struct op_row op_one_byte[256] = {
	ALU(0x00, ADD, IF_LOCK),
	ALU(0x08, OR, IF_LOCK),
	ALU(0x10, ADC, IF_LOCK),
	ALU(0x18, SBB, IF_LOCK),
	ALU(0x20, AND, IF_LOCK),
	ALU(0x28, SUB, IF_LOCK),
	ALU(0x30, XOR, IF_LOCK),
	ALU(0x38, CMP, 0),
	[0x06] = ROW(PUSHSEG, NONE, NONE, IF_NO64),
	[0x07] = ROW(POPSEG, NONE, NONE, IF_NO64),
	[0x0e] = ROW(PUSHSEG, NONE, NONE, IF_NO64),
	[0x16] = ROW(PUSHSEG, NONE, NONE, IF_NO64),
	[0x17] = ROW(POPSEG, NONE, NONE, IF_NO64),
	[0x1e] = ROW(PUSHSEG, NONE, NONE, IF_NO64),
	[0x1f] = ROW(POPSEG, NONE, NONE, IF_NO64),
	[0x50 ... 0x57] = ROW(PUSH, NONE, OPREG, IF_D64),
	[0x58 ... 0x5f] = ROW(POP, OPREG, NONE, IF_D64),
	[0x60] = ROW(PUSHA, NONE, NONE, IF_NO64),
	[0x61] = ROW(POPA, NONE, NONE, IF_NO64),
	[0x63] = ROW(MOVSX, REG, RM, IF_MODRM | IF_SRC32 | IF_ONLY64),
	[0x68] = ROW(PUSH, NONE, IMM, IF_D64 | IF_IMMZ),
	[0x69] = ROW(IMUL2, REG, RM, IF_MODRM | IF_IMMZ),
	[0x6a] = ROW(PUSH, NONE, IMM, IF_D64 | IF_IMM8),
	[0x6b] = ROW(IMUL2, REG, RM, IF_MODRM | IF_IMM8),
	[0x6c] = ROW(INS, NONE, NONE, IF_STRING | IF_BYTE),
	[0x6d] = ROW(INS, NONE, NONE, IF_STRING),
	[0x6e] = ROW(OUTS, NONE, NONE, IF_STRING | IF_BYTE),
	[0x6f] = ROW(OUTS, NONE, NONE, IF_STRING),
	[0x80] = GROUP(1, RM, IMM, IF_BYTE | IF_IMM8),
	[0x81] = GROUP(1, RM, IMM, IF_IMMZ),
	[0x82] = GROUP(1, RM, IMM, IF_BYTE | IF_IMM8 | IF_NO64),
	[0x83] = GROUP(1, RM, IMM, IF_IMM8),
	[0x84] = ROW(TEST, RM, REG, IF_MODRM | IF_BYTE),
	[0x85] = ROW(TEST, RM, REG, IF_MODRM),
	[0x86] = ROW(XCHG, RM, REG, IF_MODRM | IF_BYTE | IF_LOCK),
	[0x87] = ROW(XCHG, RM, REG, IF_MODRM | IF_LOCK),
	[0x88] = ROW(MOV, RM, REG, IF_MODRM | IF_BYTE),
	[0x89] = ROW(MOV, RM, REG, IF_MODRM),
	[0x8a] = ROW(MOV, REG, RM, IF_MODRM | IF_BYTE),
	[0x8b] = ROW(MOV, REG, RM, IF_MODRM),
	[0x8c] = ROW(MOVSEG, RM, NONE, IF_MODRM),
	[0x8e] = ROW(LOADSEG, NONE, RM, IF_MODRM | IF_MEM),
	[0x8f] = GROUP(1A, RM, NONE, IF_D64),
	[0x9c] = ROW(PUSHF, NONE, NONE, IF_D64),
	[0x9d] = ROW(POPF, NONE, NONE, IF_D64),
	[0xa0] = ROW(MOV, ACC, MOFFS, IF_BYTE),
	[0xa1] = ROW(MOV, ACC, MOFFS, 0),
	[0xa2] = ROW(MOV, MOFFS, ACC, IF_BYTE),
	[0xa3] = ROW(MOV, MOFFS, ACC, 0),
	[0xa4] = ROW(MOVS, NONE, NONE, IF_STRING | IF_BYTE),
	[0xa5] = ROW(MOVS, NONE, NONE, IF_STRING),
	[0xa6] = ROW(CMPS, NONE, NONE, IF_STRING | IF_BYTE),
	[0xa7] = ROW(CMPS, NONE, NONE, IF_STRING),
	[0xa8] = ROW(TEST, ACC, IMM, IF_BYTE | IF_IMM8),
	[0xa9] = ROW(TEST, ACC, IMM, IF_IMMZ),
	[0xaa] = ROW(STOS, NONE, NONE, IF_STRING | IF_BYTE),
	[0xab] = ROW(STOS, NONE, NONE, IF_STRING),
	[0xac] = ROW(LODS, NONE, NONE, IF_STRING | IF_BYTE),
	[0xad] = ROW(LODS, NONE, NONE, IF_STRING),
	[0xae] = ROW(SCAS, NONE, NONE, IF_STRING | IF_BYTE),
	[0xaf] = ROW(SCAS, NONE, NONE, IF_STRING),
	[0xc0] = GROUP(2, RM, IMM, IF_BYTE | IF_IMM8),
	[0xc1] = GROUP(2, RM, IMM, IF_IMM8),
	[0xc2] = ROW(RET, NONE, IMM, IF_F64 | IF_IMM16),
	[0xc3] = ROW(RET, NONE, NONE, IF_F64),
	/* In 64-bit mode, and with register operands, C4 and C5 are VEX. */
	[0xc4] = ROW(LFP, REG, RM, IF_MODRM | IF_MEM),
	[0xc5] = ROW(LFP, REG, RM, IF_MODRM | IF_MEM),
	[0xc6] = GROUP(11, RM, IMM, IF_BYTE | IF_IMM8),
	[0xc7] = GROUP(11, RM, IMM, IF_IMMZ),
	[0xc8] = ROW(ENTER, NONE, IMM, IF_D64 | IF_IMM16 | IF_IMM8),
	[0xc9] = ROW(LEAVE, NONE, NONE, IF_D64),
	[0xca] = ROW(RETF, NONE, IMM, IF_IMM16),
	[0xcb] = ROW(RETF, NONE, NONE, 0),
	[0xd0] = GROUP(2, RM, ONE, IF_BYTE),
	[0xd1] = GROUP(2, RM, ONE, 0),
	[0xd2] = GROUP(2, RM, CL, IF_BYTE),
	[0xd3] = GROUP(2, RM, CL, 0),
	[0xd8 ... 0xdf] = ROW(X87, NONE, NONE, IF_MODRM | IF_MEM),
	[0xe8] = ROW(CALLREL, NONE, IMM, IF_F64 | IF_IMMZ),
	[0xf6] = GROUP(3, RM, NONE, IF_BYTE),
	[0xf7] = GROUP(3, RM, NONE, 0),
	[0xfe] = GROUP(4, RM, NONE, IF_BYTE),
	[0xff] = GROUP(5, RM, NONE, 0),
};

static const struct op_row op_0f[256] = {
	[0x00] = GROUP(6, RM, NONE, 0),
	[0x01] = GROUP(7, RM, NONE, 0),
	[0x0d] = ROW(HINT, RM, NONE, IF_MODRM | IF_MEM),
	[0x18] = GROUP(16, RM, NONE, 0),
	[0x19 ... 0x1f] = ROW(HINT, RM, NONE, IF_MODRM),
	[0x40 ... 0x4f] = ROW(CMOV, REG, RM, IF_MODRM),
	[0x90 ... 0x9f] = ROW(SETCC, RM, NONE, IF_MODRM | IF_BYTE),
	[0xa0] = ROW(PUSHSEG, NONE, NONE, IF_D64),
	[0xa1] = ROW(POPSEG, NONE, NONE, IF_D64),
	[0xa3] = ROW(BT, RM, REG, IF_MODRM),
	[0xa4] = ROW(SHLD, RM, REG, IF_MODRM | IF_IMM8),
	[0xa5] = ROW(SHLD, RM, REG, IF_MODRM),
	[0xa8] = ROW(PUSHSEG, NONE, NONE, IF_D64),
	[0xa9] = ROW(POPSEG, NONE, NONE, IF_D64),
	[0xab] = ROW(BTS, RM, REG, IF_MODRM | IF_LOCK),
	[0xac] = ROW(SHRD, RM, REG, IF_MODRM | IF_IMM8),
	[0xad] = ROW(SHRD, RM, REG, IF_MODRM),
	[0xae] = GROUP(15, RM, NONE, IF_NOREP),
	[0xaf] = ROW(IMUL2, REG, RM, IF_MODRM),
	[0xb0] = ROW(CMPXCHG, RM, REG, IF_MODRM | IF_BYTE | IF_LOCK),
	[0xb1] = ROW(CMPXCHG, RM, REG, IF_MODRM | IF_LOCK),
	[0xb2] = ROW(LFP, REG, RM, IF_MODRM | IF_MEM),
	[0xb3] = ROW(BTR, RM, REG, IF_MODRM | IF_LOCK),
	[0xb4] = ROW(LFP, REG, RM, IF_MODRM | IF_MEM),
	[0xb5] = ROW(LFP, REG, RM, IF_MODRM | IF_MEM),
	[0xb6] = ROW(MOVZX, REG, RM, IF_MODRM | IF_SRC8),
	[0xb7] = ROW(MOVZX, REG, RM, IF_MODRM | IF_SRC16),
	[0xba] = GROUP(8, RM, IMM, IF_IMM8),
	[0xbb] = ROW(BTC, RM, REG, IF_MODRM | IF_LOCK),
	[0xbc] = ROW(BSF, REG, RM, IF_MODRM | IF_NOREP),
	[0xbd] = ROW(BSR, REG, RM, IF_MODRM | IF_NOREP),
	[0xbe] = ROW(MOVSX, REG, RM, IF_MODRM | IF_SRC8),
	[0xbf] = ROW(MOVSX, REG, RM, IF_MODRM | IF_SRC16),
	[0xc0] = ROW(XADD, RM, REG, IF_MODRM | IF_BYTE | IF_LOCK),
	[0xc1] = ROW(XADD, RM, REG, IF_MODRM | IF_LOCK),
	[0xc3] = ROW(MOV, RM, REG, IF_MODRM | IF_MEM | IF_NOPREFIX),
	[0xc7] = GROUP(9, RM, NONE, 0),
};

static const struct op_row op_0f38[256] = {
	[0xf0] = ROW(MOVBE, REG, RM, IF_MODRM | IF_MEM | IF_NOREP),
	[0xf1] = ROW(MOVBE, RM, REG, IF_MODRM | IF_MEM | IF_NOREP),
	[0xf9] = ROW(MOV, RM, REG, IF_MODRM | IF_MEM | IF_NOPREFIX),	/* MOVDIRI */
};

/* Instructions that a mandatory prefix or VEX selects. They have priority over the rows above. */
struct prefixed_row {
	u8 map;		/* 1: 0F, 2: 0F38, 3: 0F3A */
	u8 opcode;
	u8 pp;		/* mandatory prefix, encoded as in VEX: 0 none, 1 66, 2 F3, 3 F2 */
	bool vex;	/* VEX.L must be 0 */
	bool vvvv;	/* VEX.vvvv names an operand; else it must be 1111b */
	struct op_row row;
};

#define LEGACY(m, o, p, ...)	{ .map = (m), .opcode = (o), .pp = (p), .row = __VA_ARGS__ }
#define VEX(m, o, p, ...)	{ .map = (m), .opcode = (o), .pp = (p), .vex = true, .vvvv = true, .row = __VA_ARGS__ }
#define VEX_2(m, o, p, ...)	{ .map = (m), .opcode = (o), .pp = (p), .vex = true, .row = __VA_ARGS__ }

static const struct prefixed_row op_prefixed[] = {
	LEGACY(1, 0xb8, 2, ROW(POPCNT, REG, RM, IF_MODRM)),
	LEGACY(1, 0xbc, 2, ROW(TZCNT, REG, RM, IF_MODRM)),
	LEGACY(1, 0xbd, 2, ROW(LZCNT, REG, RM, IF_MODRM)),
	LEGACY(2, 0xf0, 3, ROW(CRC32, REG, RM, IF_MODRM | IF_SRC8)),
	LEGACY(2, 0xf1, 3, ROW(CRC32, REG, RM, IF_MODRM)),
	LEGACY(2, 0xf6, 1, ROW(ADX, REG, RM, IF_MODRM | IF_W)),
	LEGACY(2, 0xf6, 2, ROW(ADX, REG, RM, IF_MODRM | IF_W)),
	LEGACY(2, 0xf8, 1, ROW(MOVDIR64B, REG, RM, IF_MODRM | IF_MEM)),
	VEX(2, 0xf2, 0, ROW(ANDN, REG, RM, IF_MODRM | IF_W)),
	VEX(2, 0xf3, 0, GROUP(17, REG, RM, IF_W)),
	VEX(2, 0xf5, 0, ROW(BZHI, REG, RM, IF_MODRM | IF_W)),
	VEX(2, 0xf5, 2, ROW(PEXT, REG, RM, IF_MODRM | IF_W)),
	VEX(2, 0xf5, 3, ROW(PDEP, REG, RM, IF_MODRM | IF_W)),
	VEX(2, 0xf6, 3, ROW(MULX, REG, RM, IF_MODRM | IF_W)),
	VEX(2, 0xf7, 0, ROW(BEXTR, REG, RM, IF_MODRM | IF_W)),
	VEX(2, 0xf7, 1, ROW(SHX, REG, RM, IF_MODRM | IF_W)),
	VEX(2, 0xf7, 2, ROW(SHX, REG, RM, IF_MODRM | IF_W)),
	VEX(2, 0xf7, 3, ROW(SHX, REG, RM, IF_MODRM | IF_W)),
	VEX_2(3, 0xf0, 3, ROW(RORX, REG, RM, IF_MODRM | IF_W | IF_IMM8)),
};

static const struct op_row op_groups[NR_GROUPS][8] = {
	[GRP_1] = { SUB(ADD, IF_LOCK), SUB(OR, IF_LOCK), SUB(ADC, IF_LOCK), SUB(SBB, IF_LOCK),
		    SUB(AND, IF_LOCK), SUB(SUB, IF_LOCK), SUB(XOR, IF_LOCK), SUB(CMP, 0) },
	[GRP_1A] = { SUB(POP, 0) },
	[GRP_2] = { SUB(ROL, 0), SUB(ROR, 0), SUB(RCL, 0), SUB(RCR, 0), SUB(SHL, 0), SUB(SHR, 0), SUB(SAL, 0), SUB(SAR, 0) },
	/* The decoder adds the immediate of TEST, whose size depends on the opcode. */
	[GRP_3] = { SUB(TEST, 0), SUB(TEST, 0), SUB(NOT, IF_LOCK), SUB(NEG, IF_LOCK),
		    SUB(MUL, 0), SUB(IMUL, 0), SUB(DIV, 0), SUB(IDIV, 0) },
	[GRP_4] = { SUB(INC, IF_LOCK), SUB(DEC, IF_LOCK) },
	[GRP_5] = { SUB(INC, IF_LOCK), SUB(DEC, IF_LOCK), SUB(CALL, IF_F64), SUB(CALLF, IF_MEM),
		    SUB(JMP, IF_F64), SUB(JMPF, IF_MEM), SUB(PUSH, IF_D64), SUB(NONE, 0) },
	[GRP_6] = { SUB(SLDT, 0), SUB(STR, 0), SUB(LLDT, 0), SUB(LTR, 0) },
	/* Register operands select other instructions. INVLPG, /7, does not access memory. */
	[GRP_7] = { SUB(SGDT, IF_MEM), SUB(SIDT, IF_MEM), SUB(LGDT, IF_MEM), SUB(LIDT, IF_MEM),
		    SUB(SMSW, IF_MEM), [6] = SUB(LMSW, IF_MEM) },
	[GRP_8] = { [4] = SUB(BT, 0), SUB(BTS, IF_LOCK), SUB(BTR, IF_LOCK), SUB(BTC, IF_LOCK) },
	[GRP_9] = { [1] = SUB(CMPXCHG8B, IF_MEM | IF_LOCK) },
	[GRP_11] = { SUB(MOV, 0) },
	/* CLWB is 66 /6. CLFLUSH and CLFLUSHOPT are /7 without and with 66. decode_group() checks the prefix of /6. */
	[GRP_15] = { [6] = SUB(CLFLUSH, IF_MEM), SUB(CLFLUSH, IF_MEM) },
	[GRP_16] = { SUB(HINT, 0), SUB(HINT, 0), SUB(HINT, 0), SUB(HINT, 0),
		     SUB(HINT, 0), SUB(HINT, 0), SUB(HINT, 0), SUB(HINT, 0) },
	[GRP_17] = { [1] = SUB(BLS, 0), SUB(BLS, 0), SUB(BLS, 0) },
};

#undef ROW
#undef LEGACY
#undef VEX
#undef VEX_2
#undef GROUP
#undef SUB
#undef ALU

#endif
