/* SPDX-License-Identifier: GPL-2.0 */
/* A decoded instruction, and the interface of the decoder. Pure. */
#ifndef DROSTE_EMUL_INSN_H
#define DROSTE_EMUL_INSN_H

#include <linux/types.h>

#define INSN_MAX	15	/* bytes; longer instructions raise #GP(0) (SDM 2A 2.3.11) */

/* Default operand and address size of the code segment (SDM 3A 3.4.5). */
enum emul_mode { MODE_16, MODE_32, MODE_64 };

/* The operation; operands are separate (enum opd). ALU operations are in the order of ModRM.reg of opcodes 80-83. */
enum emul_op {
	OP_NONE,	/* not known to the emulator */
	OP_ADD, OP_OR, OP_ADC, OP_SBB, OP_AND, OP_SUB, OP_XOR, OP_CMP,
	OP_ROL, OP_ROR, OP_RCL, OP_RCR, OP_SHL, OP_SHR, OP_SAL, OP_SAR,
	OP_BT, OP_BTS, OP_BTR, OP_BTC,
	OP_TEST, OP_NOT, OP_NEG, OP_INC, OP_DEC,
	OP_MUL, OP_IMUL, OP_DIV, OP_IDIV, OP_IMUL2,
	OP_MOV, OP_MOVZX, OP_MOVSX, OP_MOVBE, OP_MOVSEG, OP_XCHG, OP_XADD, OP_CMPXCHG, OP_CMPXCHG8B,
	OP_SETCC, OP_CMOV, OP_SHLD, OP_SHRD, OP_BSF, OP_BSR, OP_TZCNT, OP_LZCNT,
	/* exec_stack.c */
	OP_PUSH, OP_POP, OP_CALL, OP_CALLREL, OP_JMP, OP_RET, OP_ENTER, OP_LEAVE, OP_PUSHF, OP_POPF, OP_PUSHA, OP_POPA,
	OP_PUSHSEG, OP_POPSEG, OP_CALLF, OP_JMPF, OP_RETF, OP_LFP,
	/* exec_sys.c */
	OP_LOADSEG, OP_SMSW, OP_SLDT, OP_STR, OP_LMSW, OP_LLDT, OP_LTR, OP_SGDT, OP_SIDT, OP_LGDT, OP_LIDT,
	/* exec_bits.c; OP_SHX is SARX, SHLX or SHRX, OP_BLS is BLSR, BLSMSK or BLSI, OP_ADX is ADCX or ADOX */
	OP_ANDN, OP_BEXTR, OP_BLS, OP_BZHI, OP_MULX, OP_PDEP, OP_PEXT, OP_RORX, OP_SHX, OP_POPCNT, OP_ADX, OP_CRC32,
	OP_MOVDIR64B,
	OP_MOVS, OP_CMPS, OP_STOS, OP_LODS, OP_SCAS, OP_INS, OP_OUTS,
	OP_HINT,	/* PREFETCH and multi-byte NOP: no memory access */
	OP_CLFLUSH,	/* faults as a load does, without access to data */
	OP_VEC,		/* a vector move, described by emul_insn.vec */
	OP_X87,		/* an x87 instruction, described by its opcode and ModRM.reg */
	OP_GROUP,	/* internal to the decoder: ModRM.reg selects from op_groups */
};

/* The location of an operand. */
enum opd {
	OPD_NONE,
	OPD_RM,		/* register or memory of ModRM.rm */
	OPD_REG,	/* register of ModRM.reg */
	OPD_ACC,	/* AL, AX, EAX, RAX */
	OPD_IMM,	/* immediate, sign-extended to the operand size */
	OPD_MOFFS,	/* memory at the address in the instruction */
	OPD_ONE,	/* the constant 1 */
	OPD_CL,
	OPD_OPREG,	/* register in the low three bits of the opcode */
};

/* Flags of an opcode table row. */
#define IF_MODRM	BIT(0)
#define IF_BYTE		BIT(1)	/* the operand size is one byte */
#define IF_IMM8		BIT(2)	/* one immediate byte */
#define IF_IMMZ		BIT(3)	/* immediate of the operand size, at most 4 bytes */
#define IF_IMM16	BIT(4)	/* with IF_IMM8: two bytes, then one, which becomes bits 23:16 of the immediate */
#define IF_LOCK		BIT(5)	/* LOCK is allowed with a memory destination */
#define IF_D64		BIT(6)	/* in 64-bit mode the operand size is 8, or 2 with prefix 66 */
#define IF_F64		BIT(7)	/* in 64-bit mode the operand size is 8 */
#define IF_STRING	BIT(8)
#define IF_NO64		BIT(9)	/* #UD in 64-bit mode */
#define IF_ONLY64	BIT(10)	/* a different instruction outside 64-bit mode */
#define IF_MEM		BIT(11)	/* the register form is #UD or a different instruction */
#define IF_SRC8		BIT(12)	/* the source is a byte (MOVZX, MOVSX) */
#define IF_SRC16	BIT(13)
#define IF_SRC32	BIT(14)
#define IF_NOPREFIX	BIT(15)	/* a different instruction with 66, F2 or F3; the operand size is 4, or 8 with REX.W */
#define IF_NOREP	BIT(16)	/* a different instruction with F2 or F3 */
#define IF_W		BIT(17)	/* the operand size is 4, or 8 with REX.W or VEX.W */

/* The part of a vector register that a move transfers. */
enum vec_kind {
	VEC_FULL,	/* the whole vector */
	VEC_SCALAR,	/* the low 4 or 8 bytes; a load clears the rest (without VEX, only up to byte 15) */
	VEC_LOW,	/* bytes 0-7; a load keeps bytes 8-15 (VEX: copies them from register vvvv) */
	VEC_HIGH,	/* bytes 8-15; a load keeps bytes 0-7 (VEX: copies them from register vvvv) */
	VEC_GPR,	/* MOVD and MOVQ of general registers: 4 or 8 bytes, by W */
	VEC_MASKED,	/* VEX only: elements with the top bit set in register vvvv; no bytes given: of 4 or 8, by W */
	VEC_MMX,	/* a register of MMX; no bytes given: 4 or 8, by W */
};

struct vec_row {
	u8 map;		/* 1: 0F, 2: 0F38 */
	u8 opcode;
	u8 pp;		/* mandatory prefix, encoded as in VEX: 0 none, 1 66, 2 F3, 3 F2 */
	u8 kind;	/* enum vec_kind */
	u8 bytes;	/* operand size of VEC_SCALAR and VEC_MMX; element size of VEC_MASKED */
	bool store;	/* memory is the destination */
	bool aligned;	/* #GP(0) if the operand is not aligned to its size */
	bool legacy_only;	/* there is no EVEX form */
};

/* A decoded instruction. */
struct emul_insn {
	u8 len;			/* in bytes */
	u8 op;			/* enum emul_op */
	u8 dst, src;		/* enum opd */
	u32 flags;		/* IF_* */
	u8 map;			/* opcode map: 0 one byte, 1 0F, 2 0F38, 3 0F3A */
	u8 opcode;
	u8 op_bytes;		/* operand size: 1, 2, 4, 8 */
	u8 ad_bytes;		/* address size: 2, 4, 8 */
	u8 rep;			/* 0, 0xf2 or 0xf3 */
	bool lock;
	bool opsize;		/* there is a prefix 66 */
	u8 rex;			/* REX prefix, 0 if there is none; for VEX the equivalent bits */
	u8 seg;			/* segment of the memory operand: SREG_* */
	u8 mod, reg, rm;	/* ModRM; reg and rm extended to 4 (vectors: 5) bits */
	bool mem;		/* ModRM.rm is memory, or an operand is OPD_MOFFS */
	s8 base, index;		/* general registers of the address, -1 if none */
	u8 scale;		/* log2 */
	bool rip_rel;		/* relative to the next instruction */
	s64 disp;		/* sign-extended displacement; OPD_MOFFS: the address */
	s64 imm;		/* sign-extended immediate */
	bool vex, evex;
	bool w;			/* VEX.W, in any mode */
	u8 pp;			/* mandatory prefix, encoded as in VEX: 0 none, 1 66, 2 F3, 3 F2 */
	u8 vvvv;		/* VEX.vvvv with the inversion removed */
	u8 vl;			/* vector length: 0 for 128, 1 for 256, 2 for 512 bits */
	const struct vec_row *vec;
};

enum decode_result {
	DECODE_OK,
	DECODE_MORE,		/* the instruction is longer than the bytes given */
	DECODE_TOO_LONG,	/* more than 15 bytes: #GP(0) */
	DECODE_UD,		/* raises #UD */
	DECODE_UNKNOWN,		/* not known to the emulator */
};

/* The size of the source of MOV, MOVZX, MOVSX or MOVSXD (SDM 2B). */
static inline u8 emul_source_bytes(const struct emul_insn *insn)
{
	if (insn->flags & IF_SRC8)
		return 1;
	if (insn->flags & IF_SRC16)
		return 2;
	return insn->flags & IF_SRC32 && insn->op_bytes > 4 ? 4 : insn->op_bytes;
}

/* Sign-extend the low @bits bits of @val. */
static inline s64 emul_sign_extend(u64 val, u32 bits)
{
	u32 shift = 64 - bits;

	return (s64)(val << shift) >> shift;
}

enum decode_result emul_decode(struct emul_insn *insn, const u8 *bytes, u32 n, enum emul_mode mode);
const struct vec_row *emul_vec_row(u8 map, u8 opcode, u8 pp);

#endif
