// SPDX-License-Identifier: GPL-2.0
/* Makes cases from a seed with the generator of kmod/emul/diff, adds segments and pages, and compares two outcomes. */
#include <linux/kernel.h>
#include <linux/string.h>

#include "diff.h"
#include "case.h"
#include "make.h"

u8 *arena = (u8 *)LIN_ARENA;
u16 selectors[NR_SREGS];

static u64 base32, base_fs, base_gs;	/* bases of the case under construction */
static struct test_case cases[DIFF_BATCH];

#define PTE_P	1ULL
#define PTE_W	2ULL
#define PTE_U	4ULL

/* --- called by the generator and by the comparison --- */

u64 segment_base(enum emul_mode mode)
{
	return mode == MODE_16 ? LIN_CODE : mode == MODE_32 ? base32 : 0;
}

u64 override_base(const struct test_case *t)
{
	if (t->mode != MODE_64 || t->insn.seg < SREG_FS)
		return 0;
	return t->insn.seg == SREG_FS ? base_fs : base_gs;
}

bool pf_elsewhere(const struct machine *nat)
{
	(void)nat;
	return false;
}

void diff_features(const struct diff_features *f)
{
	cpu.machine = cpu.intel = cpu.mode16 = cpu.mode32 = true;
	cpu_features(&(struct cpu_words) {
		.leaf1_ecx = f->leaf1_ecx, .leaf7_ebx = f->leaf7_ebx, .leaf7_ecx = f->leaf7_ecx, .ext1_ecx = f->ext1_ecx,
		.avx = f->simd >= 1, .avx512 = f->simd >= 2,
	});
}

/* --- segments --- */

static u64 descriptor(u64 base, u64 limit, u64 access, u64 flags)
{
	return (limit & 0xffff) | (base & 0xffffff) << 16 | access << 40 | (limit >> 16 & 15) << 48 | flags << 52 |
	       (base >> 24 & 0xff) << 56;
}

#define DESC_G	8
#define DESC_B	4
#define DESC_L	2

/* Makes an unusual data segment: one that ends in the data, is read-only, code or expand-down, or has the other stack size. */
static void odd_segment(struct diff_case *c, u32 s, u64 base)
{
	bool small = c->mode == MODE_16 || base == LIN_CODE, ss = s == SREG_SS;
	u64 limit = small ? LIN_DATA - base + rng() % DIFF_DATA : (LIN_DATA - base) >> 12;
	u64 flags = (c->mode == MODE_32 ? DESC_B : 0) | (small ? 0 : DESC_G), dpl = c->cpl << 5;

	switch (rng() % 6) {
	case 0:
		c->desc[s] = descriptor(base, limit, 0x93 | dpl, flags);
		break;
	case 1:
		c->desc[s] = descriptor(base, limit, 0x97 | dpl, flags);
		break;
	case 2:
		if (!ss)
			c->desc[s] = (c->desc[s] & ~(0x1full << 40)) | 0x11ull << 40;
		break;
	case 3:
		if (!ss)
			c->desc[s] = (c->desc[s] & ~(0x1full << 40)) | 0x1bull << 40;
		break;
	case 4:
		if (!ss)
			c->sel[s] = 0;
		break;
	default:
		if (ss && base == LIN_CODE)
			c->desc[s] ^= (u64)DESC_B << 52;
		break;
	}
}

static void make_usual_segments(struct diff_case *c)
{
	u64 base = segment_base(c->mode), dpl = c->cpl << 5;
	bool small = c->mode == MODE_16;
	u32 s;

	for (s = 0; s < NR_SREGS; s++) {
		c->sel[s] = 0x60 + 8 * s + c->cpl;
		c->desc[s] = descriptor(base, small ? 0xffff : 0xfffff, (s == SREG_CS ? 0x9b : 0x93) | dpl,
					(small ? 0 : DESC_G) | (c->mode == MODE_32 ? DESC_B : 0));
	}
	if (c->mode == MODE_64)
		c->desc[SREG_CS] = descriptor(0, 0xfffff, 0x9b | dpl, DESC_G | DESC_L);
	c->base[0] = base_fs;
	c->base[1] = base_gs;
}

static void make_segments(struct diff_case *c)
{
	static const u8 often[] = { SREG_ES, SREG_SS, SREG_DS, SREG_DS, SREG_FS, SREG_GS };
	u32 s = often[rng() % ARRAY_SIZE(often)];

	make_usual_segments(c);
	/* MOVS, the native side of INS, reads from DS; INS does not. */
	if (c->mode != MODE_64 && chance(20) && !(c->kind == DIFF_INS && s == SREG_DS))
		odd_segment(c, s, segment_base(c->mode));
}

/* --- pages --- */

static void make_pages(struct diff_case *c)
{
	u32 i, n;

	for (i = 0; i < 2; i++) {
		n = rng() % 20;
		c->pte[i] = PTE_P | PTE_W | PTE_U;
		if (n == 0)
			c->pte[i] = 0;
		else if (n == 1)
			c->pte[i] &= ~PTE_W;
		else if (n == 2)
			c->pte[i] &= ~PTE_U;
		n = rng() % 10;
		c->place[i] = n < 6 ? AT_MMIO : n < 8 ? AT_ROM : AT_RAM;
	}
	/* At least one page must trap. */
	if (c->place[0] == AT_RAM && c->place[1] == AT_RAM)
		c->place[rng() & 1] = AT_MMIO;
}

/* --- INS and OUTS --- */

static u64 string_target(u64 base, u32 bytes)
{
	u64 at = chance(60) ? 0x1000 + rng() % 32 - 16 : 64 + rng() % (DIFF_DATA - 128);

	if (chance(10))
		at = DIFF_DATA - rng() % 12;
	if (chance(50))
		at &= ~(u64)(bytes - 1);
	return LIN_DATA + at - base;
}

static void make_port_bytes(struct diff_case *c, struct test_case *t, u8 *size)
{
	bool byte = chance(33), opsize = chance(30), in = c->kind == DIFF_INS;
	u32 n = 0, i;

	if (chance(20))
		t->bytes[n++] = 0x67;
	if (opsize)
		t->bytes[n++] = 0x66;
	if (chance(75))
		t->bytes[n++] = chance(80) ? 0xf3 : 0xf2;
	if (c->mode == MODE_64 && chance(30))
		t->bytes[n++] = 0x40 | (rng() & 7);
	for (i = 0; i < n; i++)
		c->bytes[0][i] = t->bytes[i];
	c->bytes[0][n] = (in ? 0xa4 : 0xac) | !byte;
	t->bytes[n++] = (in ? 0x6c : 0x6e) | !byte;
	t->len = n;
	*size = byte ? 1 : (c->mode == MODE_16) != opsize ? 2 : 4;
}

static void make_port_case(struct diff_case *c, struct test_case *t)
{
	static const u8 modes[] = { MODE_64, MODE_64, MODE_32, MODE_16 };
	u64 base, mask;
	u32 i;
	u8 size;

	t->mode = c->mode = modes[rng() & 3];
	base = segment_base(t->mode);
	make_port_bytes(c, t, &size);
	emul_decode(&t->insn, t->bytes, t->len, t->mode);
	mask = emul_size_mask(t->insn.ad_bytes);
	for (i = 0; i < 16; i++)
		t->in.gpr[i] = t->mode == MODE_64 ? rng() : i < 8 ? (u32)rng() : 0;
	for (i = 0; i < DIFF_DATA; i += 8)
		*(u64 *)(t->in.data + i) = rng();
	t->in.gpr[GPR_DX] = (t->in.gpr[GPR_DX] & ~0xffffULL) | DIFF_PORT;
	t->in.gpr[GPR_CX] = (t->in.gpr[GPR_CX] & ~mask) | (chance(5) ? 0 : 1 + rng() % 20);
	t->in.gpr[GPR_DI] = (t->in.gpr[GPR_DI] & ~mask) | (string_target(base, size) & mask);
	t->in.gpr[GPR_SI] = (t->in.gpr[GPR_SI] & ~mask) | (string_target(base, size) & mask);
	if (c->kind == DIFF_INS)
		t->in.gpr[GPR_SI] = (t->in.gpr[GPR_SI] & ~mask) | ((LIN_SOURCE + 0x800 - base) & mask);
	t->in.rflags = FL_FIX | (rng() & FL_ARITH) | (chance(30) ? FL_DF : 0) | (c->cpl == 3 ? 0x3000 : 0);
	t->in.rip = (u64)arena + insn_at - base;
	if (t->mode != MODE_64)
		t->in.rip = (u32)t->in.rip;
	t->vector = false;
}

/* --- the whole --- */

/*
 * Bochs, the native side in the lab, differs from the SDM in three points: VEX.vvvv names registers above 7
 * outside 64-bit mode, MOVS moves bytes instead of elements when source and destination overlap within one, and
 * ENTER and LEAVE ignore 66 in 64-bit mode.
 */
static bool bochs_differs(const struct test_case *t)
{
	s64 distance = (s64)(t->in.gpr[GPR_DI] - t->in.gpr[GPR_SI] - override_base(t));

	if (t->insn.vex && t->mode != MODE_64 && t->insn.vvvv > 7)
		return true;
	if ((t->insn.op == OP_ENTER || t->insn.op == OP_LEAVE) && t->mode == MODE_64 && t->insn.op_bytes == 2)
		return true;
	return t->insn.op == OP_MOVS && distance && distance > -t->insn.op_bytes && distance < t->insn.op_bytes;
}

static void make_insn_case(struct diff_case *c, struct test_case *t)
{
	do {
		insn_at = chance(20) ? -(s64)(rng() % 15) : INSN_AT;
	} while (!generate(t) || t->len > 15 || emul_decode(&t->insn, t->bytes, 15, t->mode) != DECODE_OK ||
		 bochs_differs(t));
	memcpy(c->bytes[0], t->bytes, 15);
}

/*
 * ESP cannot be an operand with a 16-bit stack: IRET to one does not load the upper half of ESP. ENTER and PUSHA push it.
 * The segments must have been made.
 */
static bool stack_pointer_ok(struct diff_case *c, struct test_case *t)
{
	if (c->mode == MODE_64 || c->desc[SREG_SS] >> 54 & 1)
		return true;
	t->in.gpr[GPR_SP] = (u16)t->in.gpr[GPR_SP];
	if ((t->insn.op == OP_ENTER || t->insn.op == OP_PUSHA) && t->insn.op_bytes == 4)
		return false;
	return t->insn.base != GPR_SP && t->insn.reg != GPR_SP && !(t->insn.mod == 3 && t->insn.rm == GPR_SP);
}

static void make_memory_case(struct diff_case *c, struct test_case *t)
{
	u32 i;

	do {
		if (c->kind == DIFF_INSN)
			make_insn_case(c, t);
		else
			make_port_case(c, t);
		c->mode = t->mode;
		make_segments(c);
	} while (!stack_pointer_ok(c, t));
	c->vector = t->vector;
	c->len[0] = c->len[1] = t->len;
	c->at = LIN_ARENA + insn_at;
	memcpy(c->bytes[1], t->bytes, 15);
	make_pages(c);
	c->task_switched = t->vector && chance(3);
	memcpy(c->in.gpr, t->in.gpr, sizeof(c->in.gpr));
	for (i = 0; i < 16 && c->mode != MODE_64; i++)
		c->in.gpr[i] = t->in.gpr[i] = (u32)t->in.gpr[i];
	c->in.rip = t->in.rip;
	c->in.rflags = t->in.rflags;
	memcpy(c->data, t->in.data, sizeof(c->data));
	if (c->vector)
		memcpy(c->vec, t->in.vec, sizeof(c->vec));
}

static void make_system_case(struct diff_case *c, struct test_case *t)
{
	system_make(c);
	make_usual_segments(c);
	c->pte[0] = c->pte[1] = PTE_P | PTE_W | PTE_U;
	c->place[0] = c->place[1] = AT_MMIO;
	/* For compare(): an instruction of which nothing is undefined. */
	memset(&t->insn, 0, sizeof(t->insn));
	t->insn.op = OP_HINT;
	t->mode = c->mode;
	t->vector = false;
}

void diff_make(struct diff_case *c, u64 seed, u64 index, u32 slot)
{
	static const u64 bases32[] = { 0, LIN_CODE, LIN_CODE, LIN_CODE, 0x20000000, 0xe0000000 };
	struct test_case *t = &cases[slot];
	u32 n, i;

	rng_seed(seed * 1000003 + index + 1);
	for (i = 0; i < 4; i++)
		rng();
	memset(c, 0, offsetof(struct diff_case, vec));
	c->seed = seed;
	c->index = index;
	c->exits = 0;
	c->nr_port = 0;
	n = rng() % 200;
	c->kind = n < 30 ? DIFF_IN + n % (NR_DIFF_KINDS - DIFF_IN) : n < 40 ? DIFF_INS : n < 50 ? DIFF_OUTS : DIFF_INSN;
	c->cpl = chance(50) ? 3 : 0;
	base32 = bases32[rng() % ARRAY_SIZE(bases32)];
	base_fs = (s64)(rng() << 17) >> 17 & ~0xfffULL;
	base_gs = chance(20) ? 1 : rng() & 0x7fffffff;
	insn_at = INSN_AT;
	/* 16-bit addresses must reach the source. */
	if (c->kind != DIFF_INSN)
		base32 = LIN_CODE;
	if (c->kind < DIFF_IN)
		make_memory_case(c, t);
	else
		make_system_case(c, t);
	if (c->len[0] == c->len[1] && chance(4))
		c->in.rflags |= FL_TF;
	if (chance(8))
		c->in.rflags |= FL_AC;
}

static void outcome(const struct diff_case *c, const struct diff_out *o, struct machine *m)
{
	memcpy(m->gpr, o->r.gpr, sizeof(m->gpr));
	/* INT3 follows the instruction; RIP is behind it. */
	m->rip = o->r.rip - (o->vector == TRAP_BP);
	m->rflags = o->r.rflags;
	m->trap = o->vector;
	m->error_code = o->error;
	m->cr2 = o->cr2;
	if (c->vector)
		memcpy(m->vec, o->vec, sizeof(m->vec));
	memcpy(m->data, o->data, sizeof(m->data));
}

/* Compares the bytes that OUTS wrote to the port with the memory that its registers went over. */
static const char *check_outs(const struct diff_case *c, const struct test_case *t)
{
	u64 mask = emul_size_mask(t->insn.ad_bytes), base = segment_base(c->mode), at;
	u32 bytes = t->insn.op_bytes < 4 ? t->insn.op_bytes : 4, n, i, k;
	bool down = c->in.rflags & FL_DF;

	n = (down ? c->in.gpr[GPR_SI] - c->out[1].r.gpr[GPR_SI] : c->out[1].r.gpr[GPR_SI] - c->in.gpr[GPR_SI]) & mask;
	if (n != c->nr_port)
		return "number of bytes for the port";
	base = c->mode == MODE_32 ? (c->desc[SREG_DS] >> 16 & 0xffffff) | (c->desc[SREG_DS] >> 56) << 24 : base;
	for (i = 0; i < n; i += bytes) {
		at = ((c->in.gpr[GPR_SI] + (down ? -(u64)i : i)) & mask) + base;
		if (c->mode != MODE_64)
			at = (u32)at;
		for (k = 0; k < bytes; k++)
			if (c->port[i + k] != c->data[(at + k - LIN_DATA) & (DIFF_DATA - 1)])
				return "bytes for the port";
	}
	return NULL;
}

static const char *check_port(const struct diff_case *c, const struct test_case *t, struct machine *nat,
			      const struct machine *emu)
{
	u8 reg = c->kind == DIFF_INS ? GPR_SI : GPR_AX;

	/* The native form changes one more register than the port form. */
	if (emu->gpr[reg] != c->in.gpr[reg])
		return "a register that the instruction does not have";
	nat->gpr[reg] = emu->gpr[reg];
	return c->kind == DIFF_OUTS ? check_outs(c, t) : NULL;
}

const char *diff_check(const struct diff_case *c, u32 slot)
{
	static struct machine nat, emu;
	const struct test_case *t = &cases[slot];
	u64 others = ~(u64)FL_ARITH;
	const char *what = NULL;
	u32 i;

	if (c->out[1].vector == NOT_EMULATED)
		return "it is not emulated";
	outcome(c, &c->out[0], &nat);
	outcome(c, &c->out[1], &emu);
	if (c->kind == DIFF_INS || c->kind == DIFF_OUTS)
		what = check_port(c, t, &nat, &emu);
	if (c->kind >= DIFF_IN) {
		what = system_check(c);
		memcpy(nat.data, emu.data, sizeof(nat.data));
		if (nat.trap == TRAP_BP || nat.trap == TRAP_DB)
			nat.rip += c->len[1] - c->len[0];
		/* The sides use two MSRs, whose numbers are in RCX. */
		if (c->kind == DIFF_WRMSR || c->kind == DIFF_RDMSR)
			nat.gpr[GPR_CX] = emu.gpr[GPR_CX];
	}
	if (!what)
		what = compare(t, &nat, &emu);
	if (what)
		return what;
	if ((nat.rflags ^ emu.rflags) & others)
		return "system flags";
	if (c->out[0].cs != c->out[1].cs || c->out[0].ss != c->out[1].ss)
		return "CS or SS";
	if (nat.trap == TRAP_DB && c->out[0].dr6 != c->out[1].dr6)
		return "DR6";
	for (i = 0; i < 2 && c->kind < DIFF_IN; i++)
		if ((nat.trap == TRAP_BP || nat.trap == TRAP_DB) && (c->out[0].pte[i] ^ c->out[1].pte[i]) & 0x60)
			return "accessed and dirty";
	return NULL;
}
