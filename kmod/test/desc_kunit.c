// SPDX-License-Identifier: GPL-2.0
/* Segment descriptors: which selectors a register takes, and what far branches do. */
#include <kunit/test.h>

#include "emul/desc.h"

#define GDT	0x1000ULL
#define LDT	0x1100ULL
#define STACK	0x1800ULL
#define MEM_LEN	0x2000

struct desc_machine {
	struct emul_ctx ctx;
	u8 mem[MEM_LEN];
	bool user_access;	/* a descriptor was read with the rights of the CPL */
};

static struct desc_machine *desc_machine_of(struct emul_ctx *ctx)
{
	return container_of(ctx, struct desc_machine, ctx);
}

static int desc_op_read(struct emul_ctx *ctx, u64 la, void *data, u32 len, bool rmw)
{
	if (la + len > MEM_LEN)
		return EMUL_ERROR;
	if (la >= GDT && la < STACK && !ctx->supervisor)
		desc_machine_of(ctx)->user_access = true;
	memcpy(data, desc_machine_of(ctx)->mem + la, len);
	return EMUL_DONE;
}

static int desc_op_write(struct emul_ctx *ctx, u64 la, const void *data, u32 len)
{
	if (la + len > MEM_LEN)
		return EMUL_ERROR;
	memcpy(desc_machine_of(ctx)->mem + la, data, len);
	return EMUL_DONE;
}

static int desc_op_cmpxchg(struct emul_ctx *ctx, u64 la, const void *old, const void *new, u32 len)
{
	return desc_op_write(ctx, la, new, len);
}

static int desc_op_probe(struct emul_ctx *ctx, u64 la, u32 *len, bool write)
{
	return la + *len > MEM_LEN ? EMUL_ERROR : EMUL_DONE;
}

static const struct emul_ops desc_ops = {
	.read = desc_op_read, .write = desc_op_write, .compare_exchange = desc_op_cmpxchg, .probe = desc_op_probe,
};

/* Selectors of desc_table[], by DPL and kind. */
#define CODE0	0x08
#define DATA0	0x10
#define CONF0	0x18
#define CODE3	0x20
#define DATA3	0x28
#define RODATA3	0x30
#define XCODE3	0x38	/* not readable */
#define ABSENT3	0x40
#define TSS	0x48
#define BEYOND	0x58
#define IN_LDT	0x0c

static const u64 desc_table[] = {
	0, 0x00cf9a000000ffff, 0x00cf92000000ffff, 0x00cf9e000000ffff, 0x00cffa000000ffff, 0x00cff2000000ffff,
	0x00cff0000000ffff, 0x00cff8000000ffff, 0x00cf72000000ffff, 0x0000890000000067, 0x008089000000ffff,
};

static struct desc_machine *desc_new(struct kunit *test, enum emul_mode mode, u8 cpl)
{
	struct desc_machine *m = kunit_kzalloc(test, sizeof(*m), GFP_KERNEL);
	const u64 in_ldt = 0x00cff20012345fff;
	u32 i;

	KUNIT_ASSERT_NOT_NULL(test, m);
	m->ctx.mode = mode;
	m->ctx.long_mode = mode == MODE_64;
	m->ctx.cpl = cpl;
	m->ctx.ops = &desc_ops;
	m->ctx.rflags = FL_FIX;
	m->ctx.cr0 = EMUL_CR0_PE;
	m->ctx.la_bits = 48;
	for (i = 0; i < NR_SREGS; i++)
		m->ctx.seg[i] = (struct emul_seg) { .limit = ~0u, .type = 3, .db = true, .dpl = cpl };
	m->ctx.gdt = (struct emul_table) { GDT, sizeof(desc_table) - 1 };
	m->ctx.seg[SREG_LDTR] = (struct emul_seg) { .base = LDT, .limit = 0xf };
	memcpy(m->mem + GDT, desc_table, sizeof(desc_table));
	memcpy(m->mem + LDT + 8, &in_ldt, 8);
	return m;
}

struct desc_row {
	u8 reg, cpl;
	u16 sel;
	u8 vector;	/* 0: no fault */
	u16 error;
	bool wide;	/* 64-bit code */
};

static const struct desc_row desc_rows[] = {
	{ SREG_DS, 0, DATA0 }, { SREG_DS, 0, CODE0 }, { SREG_DS, 0, 0 }, { SREG_DS, 3, 3 },
	{ SREG_DS, 3, DATA3 | 3 }, { SREG_DS, 3, RODATA3 }, { SREG_DS, 3, CONF0 | 3 }, { SREG_DS, 0, IN_LDT },
	{ SREG_DS, 3, DATA0, X86_TRAP_GP, DATA0 },		/* CPL above DPL */
	{ SREG_DS, 0, DATA0 | 3, X86_TRAP_GP, DATA0 },		/* RPL above DPL */
	{ SREG_DS, 3, XCODE3, X86_TRAP_GP, XCODE3 },
	{ SREG_DS, 0, TSS, X86_TRAP_GP, TSS },
	{ SREG_DS, 0, BEYOND, X86_TRAP_GP, BEYOND },
	{ SREG_DS, 3, ABSENT3, X86_TRAP_NP, ABSENT3 },
	{ SREG_ES, 0, 0x14, X86_TRAP_GP, 0x14 },		/* beyond the LDT's limit */
	{ SREG_SS, 0, DATA0 }, { SREG_SS, 3, DATA3 | 3 },
	{ SREG_SS, 0, 0, X86_TRAP_GP, 0 },
	{ SREG_SS, 0, 0, .wide = true },			/* null SS below CPL 3 in 64-bit code */
	{ SREG_SS, 3, 3, X86_TRAP_GP, 0, .wide = true },
	{ SREG_SS, 3, DATA3, X86_TRAP_GP, DATA3 },		/* RPL is not the CPL */
	{ SREG_SS, 3, RODATA3 | 3, X86_TRAP_GP, RODATA3 },
	{ SREG_SS, 0, CODE0, X86_TRAP_GP, CODE0 },
	{ SREG_SS, 3, ABSENT3 | 3, X86_TRAP_SS, ABSENT3 },
};

/* SDM 2B, MOV: exceptions of a load of a segment register. */
static void desc_loads(struct kunit *test)
{
	u32 i;

	for (i = 0; i < ARRAY_SIZE(desc_rows); i++) {
		const struct desc_row *r = &desc_rows[i];
		struct desc_machine *m = desc_new(test, r->wide ? MODE_64 : MODE_32, r->cpl);
		struct emul_seg seg;
		int ret = emul_load_sreg(&m->ctx, r->reg, r->sel, X86_TRAP_GP, &seg);

		KUNIT_EXPECT_EQ_MSG(test, ret, r->vector ? (int)EMUL_FAULT : (int)EMUL_DONE, "row %u", i);
		KUNIT_EXPECT_EQ_MSG(test, m->ctx.fault.vector, r->vector, "row %u", i);
		KUNIT_EXPECT_EQ_MSG(test, m->ctx.fault.error_code, (u32)r->error, "row %u", i);
		KUNIT_EXPECT_FALSE_MSG(test, m->user_access, "row %u", i);
		if (ret == EMUL_DONE)
			KUNIT_EXPECT_EQ_MSG(test, seg.unusable, !(r->sel & ~3), "row %u", i);
	}
}

static void desc_unpacks(struct kunit *test)
{
	struct desc_machine *m = desc_new(test, MODE_32, 3);
	struct emul_seg seg;

	KUNIT_EXPECT_EQ(test, emul_load_sreg(&m->ctx, SREG_FS, IN_LDT | 3, X86_TRAP_GP, &seg), (int)EMUL_DONE);
	KUNIT_EXPECT_EQ(test, seg.base, 0x1234ULL);
	KUNIT_EXPECT_EQ(test, seg.limit, 0xf5ffffffU);
	KUNIT_EXPECT_EQ(test, seg.type, 3);
	KUNIT_EXPECT_EQ(test, seg.dpl, 3);
	KUNIT_EXPECT_EQ(test, m->mem[LDT + 8 + 5], 0xf3);	/* accessed */
	/* Real mode: the base alone changes. */
	m->ctx.cr0 = 0;
	KUNIT_EXPECT_EQ(test, emul_load_sreg(&m->ctx, SREG_DS, 0xabcd, X86_TRAP_GP, &seg), (int)EMUL_DONE);
	KUNIT_EXPECT_EQ(test, seg.base, 0xabcd0ULL);
	KUNIT_EXPECT_EQ(test, seg.limit, 0xffffffffU);
}

struct far_row {
	u16 sel;
	u32 offset;
	u8 cpl;
	bool call;
	int want;
	u8 vector;
	u16 error;
};

static const struct far_row far_rows[] = {
	{ CODE0, 0x100, 0, true, EMUL_DONE }, { CODE0, 0x100, 0, false, EMUL_DONE }, { CONF0 | 3, 0x100, 3, true, EMUL_DONE },
	{ CODE3 | 3, 0x100, 3, false, EMUL_DONE },
	{ 0, 0, 0, true, EMUL_FAULT, X86_TRAP_GP, 0 },
	{ DATA0, 0, 0, true, EMUL_FAULT, X86_TRAP_GP, DATA0 },
	{ CODE0, 0, 3, false, EMUL_FAULT, X86_TRAP_GP, CODE0 },
	{ CODE3, 0, 0, false, EMUL_FAULT, X86_TRAP_GP, CODE3 },
	{ BEYOND, 0, 0, false, EMUL_FAULT, X86_TRAP_GP, BEYOND },
	{ TSS, 0, 0, false, EMUL_UNKNOWN },
};

/* Far CALL and JMP through (%ebx). */
static void desc_far_branches(struct kunit *test)
{
	u32 i, frame[2];

	for (i = 0; i < ARRAY_SIZE(far_rows); i++) {
		const struct far_row *r = &far_rows[i];
		struct desc_machine *m = desc_new(test, MODE_32, r->cpl);
		const u8 bytes[] = { 0xff, r->call ? 0x1b : 0x2b };

		m->ctx.gpr[GPR_BX] = STACK;
		m->ctx.gpr[GPR_SP] = STACK + 0x100;
		m->ctx.rip = 0x500;
		m->ctx.seg[SREG_CS].sel = 0x77;
		memcpy(m->mem + STACK, &r->offset, 4);
		memcpy(m->mem + STACK + 4, &r->sel, 2);
		KUNIT_ASSERT_EQ(test, (int)emul_decode(&m->ctx.insn, bytes, 2, MODE_32), (int)DECODE_OK);
		KUNIT_EXPECT_EQ_MSG(test, (int)emul_exec(&m->ctx, 1), r->want, "row %u", i);
		KUNIT_EXPECT_EQ_MSG(test, m->ctx.fault.vector, r->vector, "row %u", i);
		KUNIT_EXPECT_EQ_MSG(test, m->ctx.fault.error_code, (u32)r->error, "row %u", i);
		KUNIT_EXPECT_EQ_MSG(test, m->ctx.rip, r->want == EMUL_DONE ? (u64)r->offset : 0x500ULL, "row %u", i);
		if (r->want != EMUL_DONE)
			continue;
		KUNIT_EXPECT_EQ_MSG(test, (int)m->ctx.seg[SREG_CS].sel, (r->sel & ~3) | r->cpl, "row %u", i);
		KUNIT_EXPECT_EQ_MSG(test, m->ctx.changed, (u32)EMUL_CHANGED_SEG(SREG_CS), "row %u", i);
		memcpy(frame, m->mem + STACK + 0xf8, 8);
		KUNIT_EXPECT_EQ_MSG(test, frame[0], r->call ? 0x502U : 0U, "row %u", i);
		KUNIT_EXPECT_EQ_MSG(test, frame[1], r->call ? 0x77U : 0U, "row %u", i);
	}
}

static struct kunit_case desc_cases[] = {
	KUNIT_CASE(desc_loads),
	KUNIT_CASE(desc_unpacks),
	KUNIT_CASE(desc_far_branches),
	{}
};

static struct kunit_suite desc_suite = {
	.name = "droste_desc",
	.test_cases = desc_cases,
};

kunit_test_suites(&desc_suite);
