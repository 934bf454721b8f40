// SPDX-License-Identifier: GPL-2.0
/* Comparison of two outcomes of an instruction, and the table of differences that the manual allows. */
#include <linux/kernel.h>
#include <linux/string.h>

#include "diff.h"

/*
 * One point on which processors may differ. A row has one of the two functions: @skip says that a
 * case is not run at all, @settle gives @nat the emulator's value where both values are allowed.
 * The emulator is never given the processor's value: a row that knows the manual's value settles for that.
 */
struct allowance {
	const char *sdm;	/* section that leaves it open */
	bool (*skip)(const struct test_case *t);
	void (*settle)(const struct test_case *t, struct machine *nat, const struct machine *emu);
};

static bool ended(const struct machine *m)
{
	return m->trap == TRAP_BP || m->trap == TRAP_DB;
}

/* A fault of the class "faults on executing an instruction" (SDM 3A table 6-2). */
static bool execution_fault(const struct machine *m)
{
	return m->trap == X86_TRAP_SS || m->trap == X86_TRAP_GP || m->trap == X86_TRAP_PF || m->trap == X86_TRAP_AC;
}

static void settle_flags(struct machine *nat, u64 want, u64 which)
{
	nat->rflags = (nat->rflags & ~which) | (want & which);
}

static void settle_fault(struct machine *nat, const struct machine *emu)
{
	nat->trap = emu->trap;
	nat->error_code = emu->error_code;
	nat->cr2 = emu->cr2;
}

/* --- instructions that are not run --- */

static bool missing(const struct test_case *t)
{
	const struct emul_insn *insn = &t->insn;
	const struct vec_row *vec = insn->op == OP_VEC ? insn->vec : NULL;

	switch (insn->op) {
	case OP_MOVBE:
		return !cpu.movbe;
	case OP_POPCNT:
		return !cpu.popcnt;
	case OP_CRC32:
		return !cpu.sse42;
	case OP_ANDN: case OP_BEXTR: case OP_BLS:
		return !cpu.bmi1;
	case OP_BZHI: case OP_MULX: case OP_PDEP: case OP_PEXT: case OP_RORX: case OP_SHX:
		return !cpu.bmi2;
	case OP_ADX:
		return !cpu.adx;
	case OP_MOVDIR64B:
		return !cpu.movdir64b;
	}
	/* MOVDIRI */
	if (insn->op == OP_MOV && insn->map == 2)
		return !cpu.movdiri;
	/* CLFLUSHOPT has a CPUID bit too; processors with CLWB have both. */
	if (insn->op == OP_CLFLUSH && insn->opsize)
		return !cpu.clwb;
	if (insn->op == OP_CMPXCHG8B && insn->op_bytes == 8)
		return !cpu.cx16;
	/* MOVNTDQA is SSE4.1 and AVX, with 256 bits AVX2. LDDQU is SSE3 and AVX. */
	if (vec && vec->map == 2 && vec->opcode == 0x2a)
		return insn->vex ? insn->vl && !cpu.avx2 : !insn->evex && !cpu.sse41;
	if (vec && vec->kind == VEC_MASKED)
		return vec->opcode >= 0x80 && !cpu.avx2;
	if (vec && vec->opcode == 0xf0)
		return !insn->vex && !cpu.sse3;
	return false;
}

static bool vendor_specific(const struct test_case *t)
{
	const struct emul_insn *insn = &t->insn;

	if (cpu.intel)
		return false;
	/* Intel's processors ignore 66 at near branches in 64-bit mode; AMD's make IP 16 bits wide. */
	if ((insn->flags & IF_F64) && insn->opsize && t->mode == MODE_64)
		return true;
	/* MOVSXD r16 reads two bytes on Intel's processors, four on AMD's. */
	return (insn->flags & IF_SRC32) && insn->op_bytes == 2;
}

/*
 * Prefixes and opcodes that the manual reserves. t_diff runs them: guests do use some, all of Intel's
 * processors agree about them, and the emulator must do the same as the processor under it.
 */
static bool reserved(const struct test_case *t)
{
	const struct emul_insn *insn = &t->insn;

	if (cpu.machine || insn->op == OP_VEC)
		return false;
	if (insn->rep && !insn->pp && !(insn->flags & IF_STRING))
		return true;
	if (insn->rep == 0xf2 && insn->op != OP_CMPS && insn->op != OP_SCAS)
		return true;
	/* Group 2 /6 and group 3 /1 are blank in table A-6. */
	return insn->op == OP_SAL || (insn->op == OP_TEST && (insn->opcode | 1) == 0xf7 && (insn->reg & 7) == 1);
}

/* --- outcomes --- */

static u32 shift_count(const struct test_case *t)
{
	const struct emul_insn *insn = &t->insn;
	u64 n = insn->src == OPD_ONE ? 1 : insn->flags & IF_IMM8 ? (u64)insn->imm : t->in.gpr[GPR_CX];

	return n & (insn->op_bytes == 8 ? 63 : 31);
}

static u64 shift_undefined_flags(const struct test_case *t)
{
	u32 n = shift_count(t), bits = 8 * t->insn.op_bytes;
	bool two = t->insn.op == OP_SHLD || t->insn.op == OP_SHRD;
	u64 undef = 0;

	if (two && n > bits)
		return FL_ARITH;
	if (n > 1)
		undef |= FL_OF;
	if (n && t->insn.op >= OP_SHL)
		undef |= FL_AF;
	if (n >= bits && (t->insn.op == OP_SHL || t->insn.op == OP_SAL || t->insn.op == OP_SHR || two))
		undef |= FL_CF;
	return undef;
}

static u64 undefined_flags(const struct test_case *t)
{
	switch (t->insn.op) {
	case OP_AND: case OP_OR: case OP_XOR: case OP_TEST:
		return FL_AF;
	case OP_MUL: case OP_IMUL: case OP_IMUL2:
		return FL_SF | FL_ZF | FL_AF | FL_PF;
	case OP_DIV: case OP_IDIV:
		return FL_ARITH;
	case OP_BT ... OP_BTC:
		return FL_OF | FL_SF | FL_AF | FL_PF;
	case OP_BSF: case OP_BSR:
		return FL_ARITH & ~FL_ZF;
	case OP_TZCNT:
		return FL_ARITH & ~(cpu.bmi1 ? FL_ZF | FL_CF : FL_ZF);
	case OP_LZCNT:
		return FL_ARITH & ~(cpu.lzcnt ? FL_ZF | FL_CF : FL_ZF);
	case OP_ANDN: case OP_BLS: case OP_BZHI:
		return FL_AF | FL_PF;
	case OP_BEXTR:
		return FL_SF | FL_AF | FL_PF;
	case OP_ROL ... OP_SAR:
	case OP_SHLD: case OP_SHRD:
		return shift_undefined_flags(t);
	default:
		return 0;
	}
}

static void settle_undefined_flags(const struct test_case *t, struct machine *nat, const struct machine *emu)
{
	if (ended(nat) && ended(emu))
		settle_flags(nat, emu->rflags, undefined_flags(t));
}

/* The destination is undefined after a scan of 0; most processors leave it alone, some clear its upper half. */
static void settle_scan_of_zero(const struct test_case *t, struct machine *nat, const struct machine *emu)
{
	if ((t->insn.op == OP_BSF || t->insn.op == OP_BSR) && ended(nat) && ended(emu) && (nat->rflags & FL_ZF))
		nat->gpr[t->insn.reg] = emu->gpr[t->insn.reg];
}

/* SHLD and SHRD by more than 16 of a 16-bit operand: the destination is undefined. */
static void settle_double_shift(const struct test_case *t, struct machine *nat, const struct machine *emu)
{
	u8 rm = t->insn.rm;

	if ((t->insn.op != OP_SHLD && t->insn.op != OP_SHRD) || shift_count(t) <= 8 * t->insn.op_bytes ||
	    !ended(nat) || !ended(emu))
		return;
	if (t->insn.mem)
		memcpy(nat->data, emu->data, sizeof(nat->data));
	else
		nat->gpr[rm] = (nat->gpr[rm] & ~0xffffULL) | (emu->gpr[rm] & 0xffff);
}

/*
 * REPE or REPNE that has not ended: the manual restores the flags of before the instruction after a fault,
 * and processors of Intel's do after a single-step trap too. Others leave those of the last comparison.
 * The emulator must restore them on any processor.
 */
static void settle_repeated_flags(const struct test_case *t, struct machine *nat, const struct machine *emu)
{
	(void)emu;
	if (t->insn.rep && (t->insn.op == OP_CMPS || t->insn.op == OP_SCAS) && nat->trap != TRAP_BP &&
	    nat->rip == t->in.rip)
		settle_flags(nat, t->in.rflags, FL_ARITH);
}

/*
 * REP with 32-bit addresses in 64-bit mode, before the first iteration is done: the upper halves of
 * RCX, RSI and RDI are kept or cleared.
 */
static void settle_repeated_halves(const struct test_case *t, struct machine *nat, const struct machine *emu)
{
	static const u8 regs[] = { GPR_CX, GPR_SI, GPR_DI };
	u32 i;

	if (!t->insn.rep || !(t->insn.flags & IF_STRING) || t->mode != MODE_64 || t->insn.ad_bytes != 4 ||
	    (ended(nat) && (u32)t->in.gpr[GPR_CX]) || (u32)nat->gpr[GPR_CX] != (u32)t->in.gpr[GPR_CX])
		return;
	for (i = 0; i < ARRAY_SIZE(regs); i++) {
		u64 kept = t->in.gpr[regs[i]], cleared = (u32)kept, *n = &nat->gpr[regs[i]], e = emu->gpr[regs[i]];

		if ((*n == kept || *n == cleared) && (e == kept || e == cleared))
			*n = e;
	}
}

/* A 32-bit CMPXCHG in 64-bit mode writes one of two registers, or both: the other one's upper half is kept or cleared. */
static void settle_cmpxchg_halves(const struct test_case *t, struct machine *nat, const struct machine *emu)
{
	u8 reg;

	if (t->insn.op != OP_CMPXCHG || t->insn.op_bytes != 4 || t->mode != MODE_64 || !ended(nat) || !ended(emu))
		return;
	reg = nat->rflags & FL_ZF ? GPR_AX : t->insn.rm;
	if ((reg == GPR_AX || !t->insn.mem) && nat->gpr[reg] == (u32)t->in.gpr[reg] && emu->gpr[reg] == t->in.gpr[reg])
		nat->gpr[reg] = emu->gpr[reg];
}

/* Two operands, or one that must be aligned besides: more than one fault is possible, and which is seen first is open. */
static void settle_order_of_faults(const struct test_case *t, struct machine *nat, const struct machine *emu)
{
	const struct emul_insn *insn = &t->insn;
	bool two = insn->op == OP_CMPS || insn->op == OP_MOVS || insn->op == OP_ENTER || insn->op == OP_MOVDIR64B ||
		   insn->op == OP_PUSHA || insn->op == OP_POPA ||
		   (insn->mem && (insn->op == OP_PUSH || insn->op == OP_POP || insn->op == OP_CALL));
	bool aligned = insn->op == OP_VEC || insn->op == OP_CMPXCHG8B || (nat->rflags & FL_AC);

	if ((two || (aligned && nat->trap != emu->trap)) && execution_fault(nat) && execution_fault(emu))
		settle_fault(nat, emu);
}

/* Instructions with several pushes or pops that fault: the processor has done some of them, or none. */
static void settle_pushes(const struct test_case *t, struct machine *nat, const struct machine *emu)
{
	if (!execution_fault(nat) || !execution_fault(emu))
		return;
	if (t->insn.op == OP_ENTER || t->insn.op == OP_PUSHA)
		memcpy(nat->data, emu->data, sizeof(nat->data));
	if (t->insn.op == OP_POPA)
		memcpy(nat->gpr, emu->gpr, sizeof(nat->gpr));
}

/*
 * BT, BTS, BTR and BTC with a bit offset in a register access all of the operand, or the bit's byte alone:
 * the operand may cross into a page that is not there, or the segment's limit.
 */
static void settle_bit_string(const struct test_case *t, struct machine *nat, const struct machine *emu)
{
	if (t->insn.op >= OP_BT && t->insn.op <= OP_BTC && t->insn.mem && t->insn.src == OPD_REG &&
	    ended(nat) && execution_fault(emu) && (emu->trap != X86_TRAP_PF || !(emu->cr2 & 0xfff)))
		*nat = *emu;
}

/* A masked move that faults at several elements of a page may report any of them. */
static void settle_masked(const struct test_case *t, struct machine *nat, const struct machine *emu)
{
	if (t->insn.op == OP_VEC && t->insn.vec->kind == VEC_MASKED && nat->trap == X86_TRAP_PF &&
	    nat->cr2 >> 12 == emu->cr2 >> 12)
		nat->cr2 = emu->cr2;
}

/* LASS: addresses of the kernel's half raise #GP or #SS where they would raise #PF. */
static void settle_lass(const struct test_case *t, struct machine *nat, const struct machine *emu)
{
	(void)t;
	if (cpu.lass && emu->trap == X86_TRAP_PF && emu->cr2 >> 63 && (nat->trap == X86_TRAP_GP || nat->trap == X86_TRAP_SS))
		settle_fault(nat, emu);
}

/* Elsewhere than in the data a page may be present, and protected. */
static void settle_page_elsewhere(const struct test_case *t, struct machine *nat, const struct machine *emu)
{
	(void)t;
	if (pf_elsewhere(nat) && emu->trap == X86_TRAP_PF)
		nat->error_code = (nat->error_code & ~1u) | (emu->error_code & 1);
}

/* Outside 64-bit mode the upper halves of general registers are undefined. */
static void settle_upper_halves(const struct test_case *t, struct machine *nat, const struct machine *emu)
{
	u32 i;

	for (i = 0; t->mode != MODE_64 && i < 16; i++)
		nat->gpr[i] = (u32)nat->gpr[i] | (emu->gpr[i] & ~0xffffffffULL);
}

static const struct allowance allowances[] = {
	{ "2A CPUID, feature bits", .skip = missing },
	{ "2A MOVSXD; 2B RET; AMD's manual, volume 3", .skip = vendor_specific },
	{ "2A 2.1.1; 2D table A-6", .skip = reserved },
	{ "1 3.4.1.1", .settle = settle_upper_halves },
	{ "each instruction's \"Flags Affected\"", .settle = settle_undefined_flags },
	{ "2A BSF, BSR", .settle = settle_scan_of_zero },
	{ "2B SHLD, SHRD", .settle = settle_double_shift },
	{ "2B REP", .settle = settle_repeated_flags },
	{ "2B REP", .settle = settle_repeated_halves },
	{ "2A CMPXCHG", .settle = settle_cmpxchg_halves },
	{ "2A BT", .settle = settle_bit_string },
	{ "3A 6.9", .settle = settle_order_of_faults },
	{ "2A ENTER, 2B PUSHA, POPA", .settle = settle_pushes },
	{ "2D VMASKMOV, VPMASKMOV", .settle = settle_masked },
	{ "Instruction Set Extensions reference, LASS", .settle = settle_lass },
	{ "3A 4.7", .settle = settle_page_elsewhere },
};

bool comparable(const struct test_case *t)
{
	u32 i;

	for (i = 0; i < ARRAY_SIZE(allowances); i++)
		if (allowances[i].skip && allowances[i].skip(t))
			return false;
	return true;
}

const char *compare(const struct test_case *t, const struct machine *native, const struct machine *emu)
{
	static struct machine nat;
	u32 i;

	nat = *native;
	for (i = 0; i < ARRAY_SIZE(allowances); i++)
		if (allowances[i].settle)
			allowances[i].settle(t, &nat, emu);
	if (nat.trap != emu->trap)
		return "exception";
	if (nat.rip != emu->rip)
		return "rip";
	if (nat.error_code != emu->error_code && nat.trap >= X86_TRAP_SS)
		return "error code";
	if (nat.trap == X86_TRAP_PF && nat.cr2 != emu->cr2)
		return "cr2";
	if ((nat.rflags ^ emu->rflags) & (FL_ARITH | FL_DF))
		return "flags";
	if (memcmp(nat.gpr, emu->gpr, sizeof(nat.gpr)))
		return "registers";
	if (t->vector && memcmp(nat.vec, emu->vec, sizeof(nat.vec)))
		return "vectors";
	return memcmp(nat.data, emu->data, sizeof(nat.data)) ? "memory" : NULL;
}
