/* SPDX-License-Identifier: GPL-2.0 */
/* One decoded instruction, and the decoder's interface. Pure: bytes in, a struct out. */
#ifndef DROSTE_EMUL_INSN_H
#define DROSTE_EMUL_INSN_H

#include <linux/types.h>

#define INSN_MAX	15	/* longer ones raise #GP(0) (SDM 2A 2.3.11) */

/* Default operand and address size of the code segment (SDM 3A 3.4.5). */
enum emul_mode { MODE_16, MODE_32, MODE_64 };

/* What an instruction does; operands are separate (enum opd). ALU members stand in ModRM.reg order of 80-83. */
enum emul_op {
	OP_NONE,	/* not known to the emulator */
	OP_ADD, OP_OR, OP_ADC, OP_SBB, OP_AND, OP_SUB, OP_XOR, OP_CMP,
	OP_ROL, OP_ROR, OP_RCL, OP_RCR, OP_SHL, OP_SHR, OP_SAL, OP_SAR,
	OP_BT, OP_BTS, OP_BTR, OP_BTC,
	OP_TEST, OP_NOT, OP_NEG, OP_INC, OP_DEC,
	OP_MUL, OP_IMUL, OP_DIV, OP_IDIV, OP_IMUL2,
	OP_MOV, OP_MOVZX, OP_MOVSX, OP_MOVBE, OP_MOVSEG, OP_XCHG, OP_XADD, OP_CMPXCHG, OP_CMPXCHG8B,
	OP_SETCC, OP_CMOV, OP_SHLD, OP_SHRD, OP_BSF, OP_BSR,
	OP_PUSH, OP_POP, OP_CALL, OP_CALLREL, OP_JMP, OP_RET,
	OP_MOVS, OP_CMPS, OP_STOS, OP_LODS, OP_SCAS, OP_INS, OP_OUTS,
	OP_HINT,	/* PREFETCH and multi-byte NOP: no access at all */
	OP_CLFLUSH,	/* checks the operand as a load does, moves no data */
	OP_VEC,		/* a vector move: insn.vec says which */
	OP_GROUP,	/* decoder's own: ModRM.reg chooses from insn_groups */
};

/* Where an operand comes from. */
enum opd {
	OPD_NONE,
	OPD_RM,		/* ModRM.rm: register or memory */
	OPD_REG,	/* ModRM.reg */
	OPD_ACC,	/* AL, AX, EAX, RAX */
	OPD_IMM,	/* immediate, sign-extended to the operand size */
	OPD_MOFFS,	/* memory at an address in the instruction */
	OPD_ONE,	/* the constant 1 */
	OPD_CL,
	OPD_OPREG,	/* register in the opcode's low three bits */
};

/* Flags of a table row. */
#define IF_MODRM	BIT(0)
#define IF_BYTE		BIT(1)	/* operand size is a byte */
#define IF_IMM8		BIT(2)	/* one immediate byte */
#define IF_IMMZ		BIT(3)	/* immediate of the operand size, at most 4 bytes */
#define IF_IMM16	BIT(4)
#define IF_LOCK		BIT(5)	/* LOCK is allowed with a memory destination */
#define IF_D64		BIT(6)	/* in 64-bit mode the operand size is 8, or 2 with 66 */
#define IF_F64		BIT(7)	/* in 64-bit mode the operand size is 8 */
#define IF_STRING	BIT(8)
#define IF_NO64		BIT(9)	/* #UD in 64-bit mode */
#define IF_ONLY64	BIT(10)	/* another instruction outside 64-bit mode */
#define IF_MEM		BIT(11)	/* the register form is #UD or another instruction */
#define IF_SRC8		BIT(12)	/* the source is a byte (MOVZX, MOVSX) */
#define IF_SRC16	BIT(13)
#define IF_SRC32	BIT(14)
#define IF_NOPREFIX	BIT(15)	/* 66, F2 or F3 make it another instruction; 4 bytes, or 8 with REX.W */
#define IF_NOREP	BIT(16)	/* F2 or F3 make it another instruction */

/* What a vector move transfers: see exec_vec.c. */
enum vec_kind {
	VEC_FULL,	/* the whole vector */
	VEC_SCALAR,	/* the low 4 or 8 bytes; a load clears the rest of the vector */
	VEC_LOW,	/* the low 8 bytes; a load keeps bytes 8-15 (VEX: takes them from vvvv) */
	VEC_HIGH,	/* bytes 8-15 to and from memory; a load keeps the low 8 (VEX: takes them from vvvv) */
	VEC_GPR,	/* MOVD and MOVQ with ModRM.rm general: 4 or 8 bytes by W */
};

struct vec_row {
	u8 map;		/* 1: 0F, 2: 0F38 */
	u8 opcode;
	u8 pp;		/* mandatory prefix, in VEX coding: 0 none, 1 66, 2 F3, 3 F2 */
	u8 kind;	/* enum vec_kind */
	u8 bytes;	/* of memory for VEC_SCALAR; disp8 scale */
	bool store;	/* memory is the destination */
	bool aligned;	/* #GP(0) when the operand is not aligned to its size */
	bool legacy_only;	/* no EVEX form is handled */
};

/**
 * struct emul_insn - a decoded instruction
 */
struct emul_insn {
	u8 len;			/* bytes */
	u8 op;			/* enum emul_op */
	u8 dst, src;		/* enum opd */
	u32 flags;		/* IF_* */
	u8 map;			/* opcode map: 0 one byte, 1 0F, 2 0F38, 3 0F3A */
	u8 opcode;
	u8 op_bytes;		/* operand size: 1, 2, 4, 8 */
	u8 ad_bytes;		/* address size: 2, 4, 8 */
	u8 rep;			/* 0, 0xf2 or 0xf3 */
	bool lock;
	bool opsize;		/* 66 was there */
	u8 rex;			/* REX prefix or 0; for VEX its bits in the same places */
	u8 seg;			/* segment of the memory operand, enum seg's order */
	u8 mod, reg, rm;	/* ModRM; reg and rm extended to 4 (vectors: 5) bits */
	bool mem;		/* ModRM.rm is memory, or the operand is OPD_MOFFS */
	s8 base, index;		/* general registers of the address, -1: none */
	u8 scale;		/* log2 */
	bool rip_rel;		/* relative to the next instruction */
	s64 disp;		/* sign-extended displacement; OPD_MOFFS: the address */
	s64 imm;		/* sign-extended immediate */
	bool vex, evex;
	u8 vvvv;		/* VEX.vvvv, not inverted any more */
	u8 vl;			/* vector length: 0 128, 1 256, 2 512 bits */
	const struct vec_row *vec;
};

enum decode_result {
	DECODE_OK,
	DECODE_MORE,		/* the bytes given end before the instruction does */
	DECODE_TOO_LONG,	/* more than 15 bytes: #GP(0) */
	DECODE_UD,		/* known to raise #UD */
	DECODE_UNKNOWN,		/* not one of those the emulator knows */
};

enum decode_result emul_decode(struct emul_insn *insn, const u8 *bytes, u32 n, enum emul_mode mode);
const struct vec_row *emul_vec_row(u8 map, u8 opcode, u8 pp);

#endif
