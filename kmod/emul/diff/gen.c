// SPDX-License-Identifier: GPL-2.0
/* Random instructions with operands that lie in the test's data, made from the decoder's own opcode tables. */
#include <stdio.h>
#include <linux/kernel.h>
#include <linux/string.h>

#include "diff.h"
#include "emul/optable.h"

struct native_cpu cpu = { .la_bits = 48 };
s64 insn_at = INSN_AT;

static u64 rng_state;

void cpu_features(const struct cpu_words *w)
{
	u32 c = w->leaf1_ecx, b = w->leaf7_ebx;

	cpu.sse3 = c & BIT(0);
	cpu.cx16 = c & BIT(13);
	cpu.sse41 = c & BIT(19);
	cpu.sse42 = c & BIT(20);
	cpu.movbe = c & BIT(22);
	cpu.popcnt = c & BIT(23);
	cpu.bmi1 = b & BIT(3);
	cpu.bmi2 = b & BIT(8);
	cpu.adx = b & BIT(19);
	cpu.clwb = (b & BIT(23)) && (b & BIT(24));
	cpu.movdiri = w->leaf7_ecx & BIT(27);
	cpu.movdir64b = w->leaf7_ecx & BIT(28);
	cpu.lzcnt = w->ext1_ecx & BIT(5);
	cpu.avx = w->avx && (c & BIT(28));
	cpu.avx2 = cpu.avx && (b & BIT(5));
	/* F, BW, VL. */
	cpu.avx512 = cpu.avx && w->avx512 && (b & BIT(16)) && (b & BIT(30)) && (b & BIT(31));
}

void rng_seed(u64 seed)
{
	rng_state = seed * 0x9e3779b97f4a7c15ULL + 1;
}

/* xorshift64* */
u64 rng(void)
{
	rng_state ^= rng_state >> 12;
	rng_state ^= rng_state << 25;
	rng_state ^= rng_state >> 27;
	return rng_state * 0x2545f4914f6cdd1dULL;
}

static bool chance(u32 percent)
{
	return rng() % 100 < percent;
}

/* A random value; values at which carries, signs and sizes change come often. */
static u64 value(void)
{
	static const u64 edges[] = { 0, 1, 0x7f, 0x80, 0xff, 0x7fff, 0x8000, 0xffff, 0x7fffffff, 0x80000000, 0xffffffff,
				     0x7fffffffffffffff, 0x8000000000000000, ~0ULL };

	switch (rng() % 4) {
	case 0:
		return edges[rng() % ARRAY_SIZE(edges)];
	case 1:
		return (s64)rng() >> (rng() % 64);
	default:
		return rng();
	}
}

/* The instruction under construction. */
struct builder {
	struct test_case *t;
	bool rex;		/* the next byte may not be a legacy prefix */
	int disp_at;		/* -1: none */
	u32 disp_bytes;
	int imm_at;
};

static void emit(struct builder *b, u8 byte)
{
	b->t->bytes[b->t->len++] = byte;
}

static void prefixes(struct builder *b, const struct op_row *row)
{
	static const u8 segments[] = { 0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65, 0x64, 0x65 };
	bool string = row && (row->flags & IF_STRING);

	if (chance(20))
		emit(b, 0x67);
	if (chance(25))
		emit(b, 0x66);
	if (cpu.machine && chance(15))
		emit(b, segments[rng() & 7]);
	else if (chance(5))
		emit(b, b->t->mode == MODE_64 && chance(50) ? 0x2e : 0x3e);
	if (string ? chance(75) : chance(2))
		emit(b, chance(50) ? 0xf2 : 0xf3);
	if (chance(row && (row->flags & IF_LOCK) ? 25 : 2) || (row && row->op == OP_GROUP && chance(10)))
		emit(b, 0xf0);
	if (b->t->mode == MODE_64 && chance(60))
		emit(b, 0x40 | (rng() & 15));
}

static void modrm(struct builder *b)
{
	u8 byte = rng();

	/* Memory operands more often: the emulator is for those. */
	if ((byte >> 6) == 3 && chance(85))
		byte ^= chance(50) ? 0x40 : 0x80;
	emit(b, byte);
	b->disp_at = b->t->len;
}

static void random_tail(struct builder *b)
{
	u32 i;

	for (i = 0; i < 16; i++)
		b->t->bytes[b->t->len + i] = chance(30) ? 0 : rng();
}

static void general_opcode(struct builder *b)
{
	const struct op_row *row;
	u32 map, opcode;

	do {
		map = rng() % 16;
		map = map < 8 ? 0 : map < 15 ? 1 : 2;
		opcode = rng() & 0xff;
		row = map == 0 ? &op_one_byte[opcode] : map == 1 ? &op_0f[opcode] : &op_0f38[opcode];
	} while (row->op == OP_NONE);
	prefixes(b, row);
	if (map)
		emit(b, 0x0f);
	if (map == 2)
		emit(b, 0x38);
	emit(b, opcode);
	if (row->flags & IF_MODRM)
		modrm(b);
}

/* VEX.W is random, VEX.L mostly 0. */
static void vex_opcode(struct builder *b, const struct prefixed_row *p)
{
	u8 vvvv = p->vvvv ? rng() & 15 : chance(95) ? 15 : rng() & 15, rxb = b->t->mode == MODE_64 ? rng() & 7 : 7;

	if (chance(20))
		emit(b, 0x67);
	emit(b, 0xc4);
	emit(b, rxb << 5 | p->map);
	emit(b, (rng() & 1) << 7 | vvvv << 3 | chance(3) << 2 | p->pp);
	emit(b, p->opcode);
	modrm(b);
}

/* Instructions that a mandatory prefix or VEX selects. */
static void prefixed_opcode(struct builder *b)
{
	static const u8 pp[] = { 0, 0x66, 0xf3, 0xf2 };
	const struct prefixed_row *p;

	do {
		p = &op_prefixed[rng() % ARRAY_SIZE(op_prefixed)];
	} while (p->vex && b->t->mode == MODE_16);
	if (p->vex) {
		vex_opcode(b, p);
		return;
	}
	if (chance(20))
		emit(b, 0x67);
	if (p->pp > 1 && !(p->row.flags & IF_W) && chance(30))
		emit(b, 0x66);
	if (p->pp)
		emit(b, pp[p->pp]);
	if (b->t->mode == MODE_64 && chance(60))
		emit(b, 0x40 | (rng() & 15));
	emit(b, 0x0f);
	if (p->map == 2)
		emit(b, 0x38);
	emit(b, p->opcode);
	modrm(b);
}

static const struct vec_row *any_vec_row(void)
{
	const struct vec_row *row;

	do {
		row = emul_vec_row(1 + (rng() % 8 == 0), rng(), rng() & 3);
	} while (!row);
	return row;
}

static void legacy_vector(struct builder *b, const struct vec_row *row)
{
	static const u8 pp[] = { 0, 0x66, 0xf3, 0xf2 };

	if (row->pp)
		emit(b, pp[row->pp]);
	if (b->t->mode == MODE_64 && chance(60))
		emit(b, 0x40 | (rng() & 15));
	emit(b, 0x0f);
	if (row->map == 2)
		emit(b, 0x38);
	emit(b, row->opcode);
	modrm(b);
}

static void vex_vector(struct builder *b, const struct vec_row *row)
{
	bool half = row->kind == VEC_LOW || row->kind == VEC_HIGH;
	u8 vvvv = (half && !row->store) || row->kind == VEC_MASKED ? rng() & 15 : chance(95) ? 15 : rng() & 15;
	u8 l = half || row->kind == VEC_GPR ? chance(5) : rng() & 1;
	/* Outside 64-bit mode the inverted R and X must be 1: else it is LES or LDS. */
	u8 rxb = b->t->mode == MODE_64 ? rng() & 7 : 7;

	if (row->map == 1 && chance(50)) {
		emit(b, 0xc5);
		emit(b, (rxb & 4) << 5 | vvvv << 3 | l << 2 | row->pp | (b->t->mode == MODE_64 ? 0 : 0xc0));
	} else {
		emit(b, 0xc4);
		emit(b, rxb << 5 | row->map);
		emit(b, (rng() & 1) << 7 | vvvv << 3 | l << 2 | row->pp);
	}
	emit(b, row->opcode);
	modrm(b);
}

static void evex_vector(struct builder *b, const struct vec_row *row)
{
	u8 pp = row->pp, w = row->pp == 1 && (row->opcode == 0x10 || row->opcode == 0x11 || row->opcode == 0x28 ||
				row->opcode == 0x29 || row->opcode == 0x2b);

	/* W is the element's size where it is free; VMOVNTDQ, VMOVNTDQA and PS forms want 0, PD forms 1. */
	if (row->opcode == 0x6f || row->opcode == 0x7f)
		w = rng() & 1;
	/* VMOVDQU8 and VMOVDQU16 have no row of their own. */
	if (row->pp == 2 && chance(50))
		pp = 3;
	emit(b, 0x62);
	emit(b, (rng() & 0xf0) | row->map);
	emit(b, w << 7 | 0x7c | pp);
	emit(b, (rng() % 3) << 5 | 0x08);
	emit(b, row->opcode);
	modrm(b);
}

static void vector_opcode(struct builder *b)
{
	const struct vec_row *row = any_vec_row();
	u32 kind = rng() % 3;

	b->t->vector = true;
	if (kind == 2 && cpu.avx512 && b->t->mode == MODE_64 && row->kind == VEC_FULL && !row->legacy_only)
		evex_vector(b, row);
	else if (kind && cpu.avx && b->t->mode != MODE_16)
		vex_vector(b, row);
	else
		legacy_vector(b, row);
}

static void patch(struct test_case *t, u32 at, u64 val, u32 bytes)
{
	memcpy(t->bytes + at, &val, bytes);
}

/* Size of the immediate at the instruction's end. */
static u32 imm_bytes(const struct emul_insn *insn)
{
	if (insn->flags & (IF_IMM8 | IF_IMM16))
		return (insn->flags & IF_IMM8 ? 1 : 0) + (insn->flags & IF_IMM16 ? 2 : 0);
	if (insn->flags & IF_IMMZ)
		return min(insn->op_bytes, 4);
	return 0;
}

static u64 any_target(u32 margin)
{
	u64 at = chance(10) ? DATA_BYTES - rng() % 20 : margin + rng() % (DATA_BYTES - 2 * margin);

	/* Align some for vectors, and let others cross a page. */
	if (chance(40))
		at &= ~63ULL;
	else if (chance(30))
		at = (at & ~0xfffULL) + 0x1000 - rng() % 20;
	return (u64)arena + CODE_BYTES + at;
}

/* An address near the limit of a 16-bit segment or of the canonical addresses. */
static u64 limit_target(enum emul_mode mode)
{
	u64 half = BIT_ULL(cpu.la_bits - 1);

	if (mode == MODE_64)
		return (chance(50) ? half : -half) - rng() % 20 + 2;
	return 0xffff - rng() % 20;
}

/* Changes registers or the displacement so that the memory operand is at offset @target in its segment. */
static bool aim(struct test_case *t, u64 target)
{
	struct emul_insn *insn = &t->insn;
	u64 mask = emul_size_mask(insn->ad_bytes), rest;

	if (insn->dst == OPD_MOFFS || insn->src == OPD_MOFFS) {
		patch(t, insn->len - insn->ad_bytes, target, insn->ad_bytes);
		return true;
	}
	if (insn->base >= 0 && insn->base == insn->index)
		return false;
	rest = target - insn->disp - (insn->index >= 0 ? t->in.gpr[insn->index] << insn->scale : 0);
	if (insn->base >= 0) {
		t->in.gpr[insn->base] = (t->in.gpr[insn->base] & ~mask) | (rest & mask);
		return true;
	}
	rest = target - (insn->index >= 0 ? t->in.gpr[insn->index] << insn->scale : 0);
	if (insn->rip_rel)
		rest -= t->in.rip + insn->len;
	/* A displacement of 32 bits is sign-extended to 64. */
	if (insn->ad_bytes == 8 && (s64)(s32)rest != (s64)rest) {
		if (insn->index < 0)
			return false;
		t->in.gpr[insn->index] = 0;
		rest = target;
	}
	patch(t, insn->len - imm_bytes(insn) - (insn->ad_bytes == 2 ? 2 : 4), rest, insn->ad_bytes == 2 ? 2 : 4);
	return true;
}

/* Writes to the test's data at offset @ea in the segment, unless that is outside the data. */
static void poke(struct test_case *t, u64 ea, const void *bytes, u32 len)
{
	u64 at = ea + segment_base(t->mode) - (u64)arena - CODE_BYTES;

	if (at < DATA_BYTES && at + len <= DATA_BYTES)
		memcpy(t->in.data + at, bytes, len);
}

/* Sends a branch to the code page, which is full of INT3. */
static void aim_branch(struct test_case *t, u64 target)
{
	struct emul_insn *insn = &t->insn;
	u64 seg = segment_base(t->mode), landing = (u64)arena + rng() % 0x700 - seg;

	if (insn->op == OP_CALLREL)
		patch(t, insn->len - imm_bytes(insn), landing - (t->in.rip + insn->len), imm_bytes(insn));
	else if (insn->op == OP_RET)
		poke(t, t->in.gpr[GPR_SP], &landing, insn->op_bytes);
	else if (insn->mem)
		poke(t, target, &landing, insn->op_bytes);
	else
		t->in.gpr[insn->rm] = landing;
}

static void aim_string(struct test_case *t)
{
	u64 seg = segment_base(t->mode), mask = emul_size_mask(t->insn.ad_bytes);
	u64 *g = t->in.gpr;

	g[GPR_SI] = (g[GPR_SI] & ~mask) | ((any_target(0x200) - seg - override_base(t)) & mask);
	g[GPR_DI] = (g[GPR_DI] & ~mask) | ((any_target(0x200) - seg) & mask);
	g[GPR_CX] = (g[GPR_CX] & ~mask) | rng() % 20;
	if (chance(3))
		g[chance(50) ? GPR_SI : GPR_DI] = limit_target(t->mode);
	if (chance(50))
		g[GPR_AX] = value() & 0x0101;
	/* Equal elements let comparisons repeat. */
	if (chance(70))
		memset(t->in.data, chance(50) ? 0 : 1, DATA_BYTES);
}

/* Whether the test can run the instruction. Some need segments that a process cannot set. */
static bool can_run(const struct test_case *t)
{
	const struct emul_insn *insn = &t->insn;

	switch (insn->op) {
	case OP_SMSW: case OP_SLDT: case OP_STR: case OP_SGDT: case OP_SIDT:
		/* Linux makes up values for processes (UMIP). */
		if (!cpu.machine)
			return false;
		break;
	case OP_LMSW: case OP_LLDT: case OP_LTR: case OP_LGDT: case OP_LIDT:
		/* At CPL 0 they would change the test's machine. */
		if (cpu.machine)
			return false;
		break;
	case OP_LOADSEG:
		/* A process's tables are not known here. SS belongs to the test. */
		if (!cpu.machine || (insn->reg & 7) == SREG_SS)
			return false;
		break;
	case OP_POPSEG: case OP_LFP: case OP_CALLF: case OP_JMPF: case OP_RETF:
		return false;
	case OP_X87:
		/* Registers of x87 and MMX are not compared. */
		return false;
	case OP_VEC:
		if (insn->vec->kind == VEC_MMX)
			return false;
		break;
	case OP_PUSHSEG:
		if (t->mode != MODE_64 && !cpu.machine)
			return false;
		break;
	}
	if (insn->op == OP_INS || insn->op == OP_OUTS)
		return false;
	/* Selectors outside 64-bit mode are not those of the process, and the register form of a null one differs. */
	if (insn->op == OP_MOVSEG && t->mode != MODE_64 && !(cpu.machine && insn->mem))
		return false;
	/* IP of 16 bits would leave the code page's addresses. */
	if ((insn->flags & IF_F64) && insn->op_bytes == 2 && t->mode == MODE_32)
		return false;
	/* A branch through rSP, whose value the push changes and which must be a stack. */
	if ((insn->flags & IF_F64) && !insn->mem && insn->rm == GPR_SP)
		return false;
	return comparable(t);
}

/*
 * Moves the operand of a locked instruction of a process so that it does not cross a cache line. Kernels and
 * hypervisors may slow such accesses down by orders of magnitude, or make them #AC (SDM 3A 9.1.2.3).
 */
static u64 avoid_split_lock(const struct test_case *t, u64 target)
{
	if (cpu.machine || !(t->insn.lock || t->insn.op == OP_XCHG))
		return target;
	/* The element of a bit string is misaligned as the string is, at any distance. */
	if ((t->insn.op >= OP_BT && t->insn.op <= OP_BTC) || (target & 63) > 64 - 16)
		target &= ~15ULL;
	return target;
}

static bool uses_stack(const struct emul_insn *insn)
{
	return (insn->op >= OP_PUSH && insn->op <= OP_POPSEG && insn->op != OP_JMP) || (insn->flags & IF_F64);
}

/* Stack frames of ENTER and LEAVE, and flags for POPF. */
static void aim_frame(struct test_case *t)
{
	u64 seg = segment_base(t->mode), flags = FL_FIX | FL_IF | (rng() & (FL_ARITH | FL_DF));

	/* A new stack pointer below the data would be in the code page. */
	if (t->insn.op == OP_ENTER)
		patch(t, t->insn.len - 3, rng() & 0x7f, 2);
	if (t->insn.op == OP_ENTER || t->insn.op == OP_LEAVE)
		t->in.gpr[GPR_BP] = any_target(0x200) - seg;
	if (t->insn.op == OP_ENTER && chance(10))
		t->in.gpr[GPR_BP] = t->in.gpr[GPR_SP] + rng() % 40 - 20;
	if (t->insn.op == OP_POPF)
		poke(t, t->in.gpr[GPR_SP], &flags, t->insn.op_bytes);
}

static bool set_up(struct test_case *t)
{
	struct emul_insn *insn = &t->insn;
	u64 seg = segment_base(t->mode);
	u64 target = any_target(0x200) - seg;

	/* Not for bit strings: one that wraps around would reach the code page. */
	if (chance(2) && !(insn->op >= OP_BT && insn->op <= OP_BTC))
		target = limit_target(t->mode);
	target = avoid_split_lock(t, target);
	if (insn->flags & IF_STRING)
		aim_string(t);
	if (uses_stack(insn))
		t->in.gpr[GPR_SP] = any_target(0x200) - seg;
	aim_frame(t);
	if (insn->op == OP_MOVDIR64B) {
		if (insn->reg == insn->base || insn->reg == insn->index)
			return false;
		t->in.gpr[insn->reg] = (any_target(0x200) & ~63ULL) + (chance(5) ? rng() & 63 : 0) - seg;
	}
	if (insn->op >= OP_BT && insn->op <= OP_BTC && insn->src == OPD_REG && insn->mem) {
		if (insn->reg == insn->base || insn->reg == insn->index)
			return false;
		t->in.gpr[insn->reg] = (s64)(rng() % 3000) - 1500;
	}
	/* Let quotients fit often. */
	if ((insn->op == OP_DIV || insn->op == OP_IDIV) && chance(70))
		t->in.gpr[GPR_DX] = chance(80) ? 0 : ~0ULL;
	if (insn->mem && insn->op != OP_HINT && !aim(t, target - override_base(t)))
		return false;
	if (insn->flags & IF_F64)
		aim_branch(t, target);
	/* Null, one of the test's segments, or any. */
	if (insn->op == OP_LOADSEG && chance(90)) {
		u16 sel = chance(20) ? rng() & 3 : 0x60 + rng() % 0x30;

		poke(t, target, &sel, sizeof(sel));
	}
	/* Let the operand equal the accumulator often. */
	if (insn->op == OP_CMPXCHG && chance(50))
		poke(t, target, &t->in.gpr[GPR_AX], 8);
	if (insn->op == OP_CMPXCHG8B && chance(50)) {
		u32 half = insn->op_bytes == 8 ? 8 : 4;

		poke(t, target, &t->in.gpr[GPR_AX], half);
		poke(t, target + half, &t->in.gpr[GPR_DX], half);
	}
	return true;
}

/* The parts of vector registers that this processor lacks: nothing can be loaded into them. */
static void clear_absent_vectors(u8 vec[32][64])
{
	u32 has = cpu.avx512 ? 64 : cpu.avx ? 32 : 16, i;

	for (i = 0; i < 32; i++)
		memset(vec[i] + has, 0, 64 - has);
	if (!cpu.avx512)
		memset(vec[16], 0, 16 * 64);
}

static void random_state(struct test_case *t)
{
	u32 i;

	for (i = 0; i < 16; i++)
		t->in.gpr[i] = t->mode == MODE_64 ? value() : (u32)value();
	for (i = 8; t->mode != MODE_64 && i < 16; i++)
		t->in.gpr[i] = 0;
	for (i = 0; i < DATA_BYTES; i += 8) {
		u64 v = value();

		memcpy(t->in.data + i, &v, 8);
	}
	for (i = 0; t->vector && i < sizeof(t->in.vec); i += 8) {
		u64 v = rng();

		memcpy(&t->in.vec[0][0] + i, &v, 8);
	}
	if (t->vector)
		clear_absent_vectors(t->in.vec);
	t->in.rflags = FL_FIX | (rng() & FL_ARITH) | (chance(30) ? FL_DF : 0);
	t->in.rip = (u64)arena + insn_at - segment_base(t->mode);
	if (t->mode != MODE_64)
		t->in.rip = (u32)t->in.rip;
}

static enum emul_mode any_mode(void)
{
	u32 n = rng() % 10;

	if (n < 2 && cpu.mode32)
		return MODE_32;
	return n < 4 && cpu.mode16 ? MODE_16 : MODE_64;
}

bool generate(struct test_case *t)
{
	struct builder b = { .t = t, .disp_at = -1, .imm_at = -1 };
	enum decode_result d;

	t->len = 0;
	t->vector = false;
	t->mode = any_mode();
	if (chance(15))
		vector_opcode(&b);
	else if (chance(15))
		prefixed_opcode(&b);
	else
		general_opcode(&b);
	random_tail(&b);
	random_state(t);
	d = emul_decode(&t->insn, t->bytes, INSN_MAX, t->mode);
	if (d == DECODE_UD) {
		/* The processor must raise #UD too; bytes after the opcode do not matter. */
		t->len = INSN_MAX;
		return true;
	}
	if (d != DECODE_OK || !can_run(t) || !set_up(t))
		return false;
	/* set_up() has changed bytes. */
	d = emul_decode(&t->insn, t->bytes, INSN_MAX, t->mode);
	t->len = t->insn.len;
	return d == DECODE_OK;
}
