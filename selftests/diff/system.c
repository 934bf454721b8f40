// SPDX-License-Identifier: GPL-2.0
/* Instructions that always exit. Each has a counterpart that runs natively and must end in the same state. */
#include <linux/kernel.h>
#include <linux/string.h>

#include "diff.h"
#include "case.h"
#include "make.h"

static void emit(struct diff_case *c, u32 side, const u8 *bytes, u32 n)
{
	memcpy(c->bytes[side] + c->len[side], bytes, n);
	c->len[side] += n;
}

#define EMIT(c, side, ...)	emit(c, side, (const u8[]){ __VA_ARGS__ }, sizeof((const u8[]){ __VA_ARGS__ }))

static void emit_val(struct diff_case *c, u32 side, u64 val, u32 bytes)
{
	emit(c, side, (const u8 *)&val, bytes);
}

/* MOV between the accumulator and a fixed address; @op: opcode of the byte form. */
static void emit_moffs(struct diff_case *c, u8 op, bool byte, bool opsize, u64 la)
{
	if (opsize)
		EMIT(c, 0, 0x66);
	EMIT(c, 0, op | !byte);
	emit_val(c, 0, la - segment_base(c->mode), c->mode == MODE_64 ? 8 : c->mode == MODE_32 ? 4 : 2);
}

/* IN and OUT with DX or an immediate port; natively MOV. */
static void make_port_io(struct diff_case *c, bool in)
{
	bool byte = chance(33), opsize = chance(40), dx = chance(60);

	c->source = rng() % 200 * 4;
	emit_moffs(c, in ? 0xa0 : 0xa2, byte, opsize, in ? LIN_SOURCE + 0x800 : LIN_DATA + c->source);
	if (opsize)
		EMIT(c, 1, 0x66);
	/* REX.W would undo 66. */
	if (c->mode == MODE_64 && chance(30))
		EMIT(c, 1, opsize ? 0x41 : 0x48);
	EMIT(c, 1, (in ? 0xe4 : 0xe6) | (dx ? 8 : 0) | !byte);
	if (!dx)
		EMIT(c, 1, DIFF_PORT8);
	c->in.gpr[GPR_DX] = (c->in.gpr[GPR_DX] & ~0xffffULL) | DIFF_PORT;
	if (c->cpl == 3)
		c->in.rflags |= 0x3000;
}

static void make_in(struct diff_case *c)
{
	make_port_io(c, true);
}

static void make_out(struct diff_case *c)
{
	make_port_io(c, false);
}

/* CPUID; natively four MOVs of the values from KVM_GET_CPUID2. */
static void make_cpuid(struct diff_case *c)
{
	static const u8 regs[4] = { GPR_AX, GPR_BX, GPR_CX, GPR_DX };
	u32 fn, index, out[4], i;

	diff_cpuid_pick(rng(), rng(), &fn, &index, out);
	c->in.gpr[GPR_AX] = (c->in.gpr[GPR_AX] & ~0xffffffffULL) | fn;
	c->in.gpr[GPR_CX] = (c->in.gpr[GPR_CX] & ~0xffffffffULL) | index;
	for (i = 0; i < 4; i++) {
		if (c->mode == MODE_16)
			EMIT(c, 0, 0x66);
		EMIT(c, 0, 0xb8 | regs[i]);
		emit_val(c, 0, out[i], 4);
	}
	if (chance(30))
		EMIT(c, 1, chance(50) ? 0x66 : 0xf3);
	if (c->mode == MODE_64 && chance(30))
		EMIT(c, 1, 0x48);
	EMIT(c, 1, 0x0f, 0xa2);
}

/* MOV to CR0 and CR4: natively only guest-owned bits change, trapped one more does. */
static void make_cr(struct diff_case *c)
{
	u32 side;

	for (side = 0; side < 2; side++)
		EMIT(c, side, 0x0f, 0x22, c->kind == DIFF_CR0 ? 0xc0 : 0xe0);
}

/* WRMSR of KERNEL_GS_BASE, which does not exit, and of LSTAR, which does. */
static void make_wrmsr(struct diff_case *c)
{
	/* Upper halves of addresses on both sides of the canonical ones' ends. */
	static const u32 high[] = { 0, 0x7fff, 0x8000, 0xffff7fff, 0xffff8000, 0xffffffff, 0x80000000 };

	if (chance(70))
		c->in.gpr[GPR_DX] = (c->in.gpr[GPR_DX] & ~0xffffffffULL) | high[rng() % ARRAY_SIZE(high)];
	EMIT(c, 0, 0x0f, 0x30);
	EMIT(c, 1, 0x0f, 0x30);
}

/* RDMSR of the same two MSRs, which hold the same value. */
static void make_rdmsr(struct diff_case *c)
{
	EMIT(c, 0, 0x0f, 0x32);
	EMIT(c, 1, 0x0f, 0x32);
}

/* MOV to a debug register and back; natively a MOV between the two general registers. */
static void make_dr(struct diff_case *c)
{
	u8 n = (rng() & 3) << 3;

	c->cpl = 0;
	EMIT(c, 1, 0x0f, 0x23, 0xc0 | n, 0x0f, 0x21, 0xc3 | n);
	if (c->mode == MODE_64)
		EMIT(c, 0, 0x48);
	else if (c->mode == MODE_16)
		EMIT(c, 0, 0x66);
	EMIT(c, 0, 0x89, 0xc3);
}

/* MOV to CR8 and back; natively a MOV between the two general registers. */
static void make_cr8(struct diff_case *c)
{
	c->cpl = 0;
	c->mode = MODE_64;
	c->in.gpr[GPR_AX] &= 15;
	EMIT(c, 1, 0x44, 0x0f, 0x22, 0xc0, 0x44, 0x0f, 0x20, 0xc3);
	EMIT(c, 0, 0x48, 0x89, 0xc3);
}

static void (*const makers[NR_DIFF_KINDS])(struct diff_case *c) = {
	[DIFF_IN] = make_in,
	[DIFF_OUT] = make_out,
	[DIFF_CPUID] = make_cpuid,
	[DIFF_CR0] = make_cr,
	[DIFF_CR4] = make_cr,
	[DIFF_WRMSR] = make_wrmsr,
	[DIFF_RDMSR] = make_rdmsr,
	[DIFF_DR] = make_dr,
	[DIFF_CR8] = make_cr8,
};

void system_make(struct diff_case *c)
{
	u32 i;

	c->mode = rng() % 3;
	for (i = 0; i < 16; i++)
		c->in.gpr[i] = c->mode == MODE_64 ? rng() : i < 8 ? (u32)rng() : 0;
	for (i = 0; i < DIFF_DATA; i += 8)
		*(u64 *)(c->data + i) = rng();
	c->in.rflags = FL_FIX | (rng() & (FL_ARITH | FL_DF));
	makers[c->kind](c);
	/* make_cr8() may have changed the mode. */
	for (i = 8; c->mode != MODE_64 && i < 16; i++)
		c->in.gpr[i] = 0;
	c->at = LIN_ARENA + INSN_AT;
	c->in.rip = c->at - segment_base(c->mode);
}

/* Compares the part of an outcome that only the kinds from DIFF_IN on have. */
const char *system_check(const struct diff_case *c)
{
	const struct diff_out *nat = &c->out[0], *emu = &c->out[1];
	u32 bytes = c->nr_port;

	if (nat->extra != emu->extra)
		return "the register written";
	if (c->kind != DIFF_OUT)
		return memcmp(nat->data, emu->data, sizeof(nat->data)) ? "memory" : NULL;
	if (!bytes || memcmp(nat->data + c->source, c->port, bytes))
		return "bytes for the port";
	return memcmp(c->data, emu->data, sizeof(c->data)) ? "memory" : NULL;
}
