// SPDX-License-Identifier: GPL-2.0
/* Execution of segments, traps, port strings and restarts, which the differential test cannot run natively. */
#include <kunit/test.h>

#include "emul/exec.h"

#define MEM	0x10000ULL	/* linear address of the test's memory */
#define MEM_LEN	0x3000
#define HOLE	(MEM + MEM_LEN)
#define MMIO	0x20000ULL	/* reads here need user space first */

struct machine {
	struct emul_ctx ctx;
	u8 mem[MEM_LEN];
	bool answered;		/* user space has answered the MMIO read */
	bool conflict;		/* memory changed under a locked instruction */
	int writes;
	u32 in_limit;		/* most elements that IN returns at once; 0: no limit */
	u16 port;
	u32 out_count, in_count;
	u8 out[64];
};

static struct machine *machine_of(struct emul_ctx *ctx)
{
	return container_of(ctx, struct machine, ctx);
}

static int locate(struct emul_ctx *ctx, u64 la, u32 len, bool write, u8 **at)
{
	if (la < MEM || la + len > HOLE) {
		ctx->fault = (struct emul_fault) {
			.vector = X86_TRAP_PF, .has_error = true, .error_code = write ? 2 : 0, .cr2 = max(la, HOLE),
		};
		return EMUL_FAULT;
	}
	*at = machine_of(ctx)->mem + (la - MEM);
	return EMUL_DONE;
}

static int op_read(struct emul_ctx *ctx, u64 la, void *data, u32 len, bool rmw)
{
	u8 *at;
	int r;

	if (la >= MMIO) {
		if (!machine_of(ctx)->answered)
			return EMUL_EXIT;
		memset(data, 0xa5, len);
		return EMUL_DONE;
	}
	r = locate(ctx, la, len, rmw, &at);
	if (r == EMUL_DONE)
		memcpy(data, at, len);
	return r;
}

static int op_write(struct emul_ctx *ctx, u64 la, const void *data, u32 len)
{
	u8 *at;
	int r = locate(ctx, la, len, true, &at);

	if (r != EMUL_DONE)
		return r;
	machine_of(ctx)->writes++;
	memcpy(at, data, len);
	return EMUL_DONE;
}

static int op_cmpxchg(struct emul_ctx *ctx, u64 la, const void *old, const void *new, u32 len)
{
	u8 *at;
	int r = locate(ctx, la, len, true, &at);

	if (r != EMUL_DONE)
		return r;
	if (machine_of(ctx)->conflict || memcmp(at, old, len))
		return EMUL_RETRY;
	return op_write(ctx, la, new, len);
}

static int op_probe(struct emul_ctx *ctx, u64 la, u32 *len, bool write)
{
	u8 *at;

	return locate(ctx, la, *len, write, &at);
}

static int op_in(struct emul_ctx *ctx, u16 port, u32 size, u32 *count, void *data)
{
	struct machine *m = machine_of(ctx);

	m->port = port;
	if (m->in_limit)
		*count = min(*count, m->in_limit);
	m->in_count += *count;
	memset(data, 0x5a, *count * size);
	return EMUL_DONE;
}

static int op_out(struct emul_ctx *ctx, u16 port, u32 size, u32 count, const void *data)
{
	struct machine *m = machine_of(ctx);

	m->port = port;
	m->out_count += count;
	memcpy(m->out, data, min_t(u32, sizeof(m->out), count * size));
	return EMUL_DONE;
}

static const struct emul_ops ops = {
	.read = op_read, .write = op_write, .compare_exchange = op_cmpxchg, .probe = op_probe, .in = op_in, .out = op_out,
};

/* A machine in @mode with flat segments, RSI and RDI in memory, CPL 0. */
static struct machine *new_machine(struct kunit *test, enum emul_mode mode)
{
	struct machine *m = kunit_kzalloc(test, sizeof(*m), GFP_KERNEL);
	int i;

	KUNIT_ASSERT_NOT_NULL(test, m);
	m->ctx.mode = mode;
	m->ctx.ops = &ops;
	m->ctx.rip = 0x1000;
	m->ctx.rflags = FL_FIX;
	m->ctx.cr0 = EMUL_CR0_PE;
	m->ctx.la_bits = 48;
	for (i = 0; i < NR_SREGS; i++) {
		m->ctx.seg[i].limit = 0xffffffff;
		m->ctx.seg[i].type = i == SREG_CS ? 0xb : 0x3;
		m->ctx.seg[i].db = true;
	}
	m->ctx.gpr[GPR_SI] = MEM;
	m->ctx.gpr[GPR_DI] = MEM;
	m->ctx.gpr[GPR_SP] = MEM + 0x100;
	for (i = 0; i < MEM_LEN; i++)
		m->mem[i] = i;
	return m;
}

static int run_bytes(struct kunit *test, struct machine *m, const u8 *bytes, u32 n)
{
	KUNIT_ASSERT_EQ(test, (int)emul_decode(&m->ctx.insn, bytes, n, m->ctx.mode), (int)DECODE_OK);
	m->ctx.stop = false;
	return emul_exec(&m->ctx, 100);
}

#define RUN(test, m, ...) run_bytes(test, m, (u8[]){ __VA_ARGS__ }, sizeof((u8[]){ __VA_ARGS__ }))

/* --- segments: 32-bit code loads from or stores to (%ebx), or (%ebp) for SS --- */

struct seg_row {
	const char *name;
	u64 ea;
	u32 limit;
	u8 type;
	bool small, unusable, write, stack, real;
	u8 vector;		/* 0: no fault */
	u64 base;
};

static const struct seg_row seg_rows[] = {
	{ "flat", MEM, 0xffffffff, 3 },
	{ "base is added", 0, 0xfff, 3, .base = MEM },
	{ "base wraps at 32 bits", MEM + 0x1000, 0xffffffff, 3, .base = 0xfffff000 },
	{ "last bytes within the limit", MEM, MEM + 3, 3 },
	{ "one byte beyond the limit", MEM, MEM + 2, 3, .vector = X86_TRAP_GP },
	{ "beyond the limit in SS", MEM, MEM + 2, 3, .stack = true, .vector = X86_TRAP_SS },
	{ "over the end of 4 GiB", 0xfffffffe, 0xffffffff, 3, .vector = X86_TRAP_GP },
	{ "expand-down, above the limit", MEM, MEM - 1, 7 },
	{ "expand-down, at the limit", MEM, MEM, 7, .vector = X86_TRAP_GP },
	{ "expand-down, small ends at 64 KiB", MEM - 2, 0x100, 7, .small = true, .vector = X86_TRAP_GP },
	{ "read-only, read", MEM, 0xffffffff, 1 },
	{ "read-only, write", MEM, 0xffffffff, 1, .write = true, .vector = X86_TRAP_GP },
	{ "code, write", MEM, 0xffffffff, 0xb, .write = true, .vector = X86_TRAP_GP },
	{ "readable code, read", MEM, 0xffffffff, 0xb },
	{ "execute-only code, read", MEM, 0xffffffff, 9, .vector = X86_TRAP_GP },
	{ "null selector", MEM, 0xffffffff, 3, .unusable = true, .vector = X86_TRAP_GP },
	{ "real mode does not look at types", MEM, 0xffffffff, 1, .write = true, .real = true },
	{ "real mode looks at limits", MEM, 0xffff, 3, .real = true, .vector = X86_TRAP_GP },
};

static void emul_segments(struct kunit *test)
{
	u32 i;

	for (i = 0; i < ARRAY_SIZE(seg_rows); i++) {
		const struct seg_row *r = &seg_rows[i];
		struct machine *m = new_machine(test, MODE_32);
		struct emul_seg *s = &m->ctx.seg[r->stack ? SREG_SS : SREG_DS];
		int ret;

		*s = (struct emul_seg) { .base = r->base, .limit = r->limit, .type = r->type, .db = !r->small,
					 .unusable = r->unusable };
		m->ctx.cr0 = r->real ? 0 : EMUL_CR0_PE;
		m->ctx.gpr[GPR_BX] = r->ea;
		m->ctx.gpr[GPR_BP] = r->ea;
		if (r->write)
			ret = r->stack ? RUN(test, m, 0x89, 0x45, 0x00) : RUN(test, m, 0x89, 0x03);
		else
			ret = r->stack ? RUN(test, m, 0x8b, 0x45, 0x00) : RUN(test, m, 0x8b, 0x03);
		KUNIT_EXPECT_EQ_MSG(test, ret, r->vector ? EMUL_FAULT : EMUL_DONE, "%s", r->name);
		if (r->vector) {
			KUNIT_EXPECT_EQ_MSG(test, m->ctx.fault.vector, r->vector, "%s", r->name);
			KUNIT_EXPECT_TRUE_MSG(test, m->ctx.fault.has_error && !m->ctx.fault.error_code, "%s", r->name);
			KUNIT_EXPECT_EQ_MSG(test, m->ctx.rip, 0x1000ULL, "%s", r->name);
		}
	}
}

/* Fetch checks the limit and shortens the length to the rest of the segment. */
static void emul_fetch_limits(struct kunit *test)
{
	struct machine *m = new_machine(test, MODE_32);
	u32 len = 15;
	u64 la;

	m->ctx.seg[SREG_CS].base = 0x400;
	m->ctx.seg[SREG_CS].limit = 0x1005;
	KUNIT_EXPECT_EQ(test, emul_fetch_linear(&m->ctx, 0x1000, &len, &la), (int)EMUL_DONE);
	KUNIT_EXPECT_EQ(test, len, 6U);
	KUNIT_EXPECT_EQ(test, la, 0x1400ULL);
	KUNIT_EXPECT_EQ(test, emul_fetch_linear(&m->ctx, 0x1006, &len, &la), (int)EMUL_FAULT);
	KUNIT_EXPECT_EQ(test, m->ctx.fault.vector, (u8)X86_TRAP_GP);
	m->ctx.mode = MODE_64;
	KUNIT_EXPECT_EQ(test, emul_fetch_linear(&m->ctx, 0x800000000000, &len, &la), (int)EMUL_FAULT);
	m->ctx.la_bits = 57;
	KUNIT_EXPECT_EQ(test, emul_fetch_linear(&m->ctx, 0x800000000000, &len, &la), (int)EMUL_DONE);
}

/* #AC is raised only at CPL 3 with AM and AC set, for misaligned operands. */
static void emul_alignment(struct kunit *test)
{
	struct machine *m = new_machine(test, MODE_64);

	m->ctx.gpr[GPR_BX] = MEM + 2;
	m->ctx.cr0 |= EMUL_CR0_AM;
	m->ctx.rflags |= FL_AC;
	KUNIT_EXPECT_EQ(test, RUN(test, m, 0x8b, 0x03), (int)EMUL_DONE);
	m->ctx.cpl = 3;
	KUNIT_EXPECT_EQ(test, RUN(test, m, 0x8b, 0x03), (int)EMUL_FAULT);
	KUNIT_EXPECT_EQ(test, m->ctx.fault.vector, (u8)X86_TRAP_AC);
	KUNIT_EXPECT_EQ(test, RUN(test, m, 0x66, 0x8b, 0x03), (int)EMUL_DONE);
	m->ctx.rflags &= ~FL_AC;
	KUNIT_EXPECT_EQ(test, RUN(test, m, 0x8b, 0x03), (int)EMUL_DONE);
}

/* TF set before the instruction traps after it; the instruction's end clears RF. */
static void emul_traps(struct kunit *test)
{
	struct machine *m = new_machine(test, MODE_64);

	m->ctx.rflags |= FL_TF | FL_RF;
	m->ctx.gpr[GPR_BX] = MEM;
	KUNIT_EXPECT_EQ(test, RUN(test, m, 0x8b, 0x03), (int)EMUL_DONE);
	KUNIT_EXPECT_TRUE(test, m->ctx.step_trap);
	KUNIT_EXPECT_FALSE(test, m->ctx.rflags & FL_RF);

	/* REP traps after each iteration, with RIP still at the instruction and RF set. */
	m->ctx.gpr[GPR_CX] = 3;
	m->ctx.rip = 0x1000;
	KUNIT_EXPECT_EQ(test, RUN(test, m, 0xf3, 0xac), (int)EMUL_DONE);
	KUNIT_EXPECT_TRUE(test, m->ctx.step_trap);
	KUNIT_EXPECT_FALSE(test, m->ctx.retired);
	KUNIT_EXPECT_EQ(test, m->ctx.gpr[GPR_CX], 2ULL);
	KUNIT_EXPECT_EQ(test, m->ctx.rip, 0x1000ULL);
	KUNIT_EXPECT_TRUE(test, m->ctx.rflags & FL_RF);

	/* No trap after a fault. */
	m->ctx.gpr[GPR_BX] = 0;
	KUNIT_EXPECT_EQ(test, RUN(test, m, 0x8b, 0x03), (int)EMUL_FAULT);
	KUNIT_EXPECT_FALSE(test, m->ctx.step_trap);
}

/* An access that user space must serve first changes nothing; the second try does everything. */
static void emul_restart(struct kunit *test)
{
	struct machine *m = new_machine(test, MODE_64);
	u64 sp = m->ctx.gpr[GPR_SP];

	m->ctx.gpr[GPR_BX] = MMIO;
	/* push (%rbx) */
	KUNIT_EXPECT_EQ(test, RUN(test, m, 0xff, 0x33), (int)EMUL_EXIT);
	KUNIT_EXPECT_FALSE(test, m->ctx.progress);
	KUNIT_EXPECT_EQ(test, m->ctx.gpr[GPR_SP], sp);
	KUNIT_EXPECT_EQ(test, m->ctx.rip, 0x1000ULL);
	KUNIT_EXPECT_EQ(test, m->writes, 0);
	m->answered = true;
	KUNIT_EXPECT_EQ(test, RUN(test, m, 0xff, 0x33), (int)EMUL_DONE);
	KUNIT_EXPECT_EQ(test, m->ctx.gpr[GPR_SP], sp - 8);
	KUNIT_EXPECT_EQ(test, m->mem[sp - 8 - MEM], 0xa5);
	KUNIT_EXPECT_EQ(test, m->ctx.rip, 0x1002ULL);

	/* XCHG keeps its register when memory cannot be written. */
	m->ctx.gpr[GPR_BX] = HOLE;
	m->ctx.gpr[GPR_AX] = 7;
	KUNIT_EXPECT_EQ(test, RUN(test, m, 0x87, 0x03), (int)EMUL_FAULT);
	KUNIT_EXPECT_EQ(test, m->ctx.gpr[GPR_AX], 7ULL);
	KUNIT_EXPECT_EQ(test, m->ctx.fault.error_code, 2U);
}

/* A locked instruction that lost a race is left to the processor. */
static void emul_locked_conflict(struct kunit *test)
{
	struct machine *m = new_machine(test, MODE_64);
	u64 flags = m->ctx.rflags;

	m->ctx.gpr[GPR_BX] = MEM;
	m->conflict = true;
	KUNIT_EXPECT_EQ(test, RUN(test, m, 0xf0, 0x0f, 0xc1, 0x03), (int)EMUL_RETRY);
	KUNIT_EXPECT_FALSE(test, m->ctx.progress);
	KUNIT_EXPECT_EQ(test, m->ctx.rflags, flags);
	/* Without LOCK there is no compare-exchange. */
	KUNIT_EXPECT_EQ(test, RUN(test, m, 0x0f, 0xc1, 0x03), (int)EMUL_DONE);
	/* XCHG is locked without the prefix. */
	KUNIT_EXPECT_EQ(test, RUN(test, m, 0x87, 0x03), (int)EMUL_RETRY);
}

/* After a fault in the middle of a REP, registers show the finished iterations. */
static void emul_rep_fault(struct kunit *test)
{
	struct machine *m = new_machine(test, MODE_64);

	m->ctx.gpr[GPR_DI] = HOLE - 24;
	m->ctx.gpr[GPR_CX] = 10;
	KUNIT_EXPECT_EQ(test, RUN(test, m, 0xf3, 0x48, 0xab), (int)EMUL_FAULT);
	KUNIT_EXPECT_TRUE(test, m->ctx.progress);
	KUNIT_EXPECT_EQ(test, m->ctx.gpr[GPR_CX], 7ULL);
	KUNIT_EXPECT_EQ(test, m->ctx.gpr[GPR_DI], HOLE);
	KUNIT_EXPECT_EQ(test, m->ctx.rip, 0x1000ULL);
	KUNIT_EXPECT_EQ(test, m->ctx.fault.cr2, HOLE);

	/* The count has the address size. */
	m->ctx.gpr[GPR_DI] = MEM;
	m->ctx.gpr[GPR_CX] = 0x500000000ULL;
	KUNIT_EXPECT_EQ(test, RUN(test, m, 0x67, 0xf3, 0xaa), (int)EMUL_DONE);
	KUNIT_EXPECT_TRUE(test, m->ctx.retired);
	KUNIT_EXPECT_EQ(test, m->ctx.gpr[GPR_DI], MEM);

	/* One call runs at most @max_iterations. */
	m->ctx.gpr[GPR_CX] = 250;
	m->ctx.rip = 0x1000;
	KUNIT_EXPECT_EQ(test, RUN(test, m, 0xf3, 0xaa), (int)EMUL_DONE);
	KUNIT_EXPECT_FALSE(test, m->ctx.retired);
	KUNIT_EXPECT_EQ(test, m->ctx.gpr[GPR_CX], 150ULL);
}

/* A repeated comparison changes flags only when it ends: a fault, an exit or a trap leaves those from before it. */
static void emul_rep_compare_flags(struct kunit *test)
{
	static const struct {
		const char *name;
		u8 opcode, rep;
		u8 al;		/* compared with zeros by SCAS */
	} rows[] = {
		{ "REPE SCASB", 0xae, 0xf3, 0 },
		{ "REPNE SCASB", 0xae, 0xf2, 0x81 },
		{ "REPE CMPSB", 0xa6, 0xf3, 0 },
	};
	const u64 before = FL_FIX | FL_CF | FL_PF | FL_AF | FL_SF | FL_OF;
	u32 i;

	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		struct machine *m = new_machine(test, MODE_64);

		memset(m->mem, 0, sizeof(m->mem));
		m->ctx.rflags = before;
		m->ctx.gpr[GPR_AX] = rows[i].al;
		m->ctx.gpr[GPR_CX] = 10;
		m->ctx.gpr[GPR_DI] = HOLE - 4;

		/* A trap after one iteration. */
		m->ctx.rflags |= FL_TF;
		KUNIT_EXPECT_EQ_MSG(test, RUN(test, m, rows[i].rep, rows[i].opcode), (int)EMUL_DONE, "%s", rows[i].name);
		KUNIT_EXPECT_TRUE_MSG(test, m->ctx.step_trap, "%s", rows[i].name);
		KUNIT_EXPECT_EQ_MSG(test, m->ctx.gpr[GPR_CX], 9ULL, "%s", rows[i].name);
		KUNIT_EXPECT_EQ_MSG(test, m->ctx.rflags, before | FL_TF | FL_RF, "%s", rows[i].name);

		/* A fault after three more. */
		m->ctx.rflags = before;
		KUNIT_EXPECT_EQ_MSG(test, RUN(test, m, rows[i].rep, rows[i].opcode), (int)EMUL_FAULT, "%s", rows[i].name);
		KUNIT_EXPECT_EQ_MSG(test, m->ctx.gpr[GPR_CX], 6ULL, "%s", rows[i].name);
		KUNIT_EXPECT_EQ_MSG(test, m->ctx.gpr[GPR_DI], HOLE, "%s", rows[i].name);
		KUNIT_EXPECT_EQ_MSG(test, m->ctx.rflags, before | FL_RF, "%s", rows[i].name);

		/* The end: the last comparison's flags. */
		m->ctx.rflags = before;
		m->ctx.gpr[GPR_CX] = 2;
		m->ctx.gpr[GPR_SI] = MEM;
		m->ctx.gpr[GPR_DI] = MEM;
		KUNIT_EXPECT_EQ_MSG(test, RUN(test, m, rows[i].rep, rows[i].opcode), (int)EMUL_DONE, "%s", rows[i].name);
		KUNIT_EXPECT_TRUE_MSG(test, m->ctx.retired, "%s", rows[i].name);
		KUNIT_EXPECT_EQ_MSG(test, m->ctx.rflags, rows[i].al ? FL_FIX | FL_SF | FL_PF : FL_FIX | FL_ZF | FL_PF,
				    "%s", rows[i].name);
	}
}

/* INS and OUTS move at once the elements that lie in one page, and no more than the count. */
static void emul_port_strings(struct kunit *test)
{
	struct machine *m = new_machine(test, MODE_64);

	m->ctx.gpr[GPR_DX] = 0xabcd01f0;
	m->ctx.gpr[GPR_CX] = 5;
	m->ctx.gpr[GPR_DI] = MEM + 0xffc;
	KUNIT_EXPECT_EQ(test, RUN(test, m, 0xf3, 0x66, 0x6d), (int)EMUL_DONE);
	KUNIT_EXPECT_TRUE(test, m->ctx.retired);
	KUNIT_EXPECT_EQ(test, m->port, (u16)0x01f0);
	KUNIT_EXPECT_EQ(test, m->in_count, 5U);
	KUNIT_EXPECT_EQ(test, m->writes, 2);
	KUNIT_EXPECT_EQ(test, m->ctx.gpr[GPR_DI], MEM + 0x1006);
	KUNIT_EXPECT_EQ(test, m->mem[0x1005], 0x5a);
	KUNIT_EXPECT_NE(test, m->mem[0x1006], 0x5a);

	/* IN returns fewer elements than asked for: another step moves the rest. */
	m->ctx.gpr[GPR_CX] = 5;
	m->in_count = 0;
	m->in_limit = 2;
	KUNIT_EXPECT_EQ(test, RUN(test, m, 0xf3, 0x6c), (int)EMUL_DONE);
	KUNIT_EXPECT_EQ(test, m->in_count, 5U);
	KUNIT_EXPECT_EQ(test, m->ctx.gpr[GPR_CX], 0ULL);

	/* The port is not read when the data cannot be written. */
	m->ctx.gpr[GPR_CX] = 5;
	m->ctx.gpr[GPR_DI] = HOLE;
	m->in_count = 0;
	KUNIT_EXPECT_EQ(test, RUN(test, m, 0xf3, 0x6c), (int)EMUL_FAULT);
	KUNIT_EXPECT_EQ(test, m->in_count, 0U);

	/* Downwards, elements move one at a time. REX.W does not make them wider than 4 bytes. */
	m->ctx.gpr[GPR_SI] = MEM + 8;
	m->ctx.gpr[GPR_CX] = 2;
	m->ctx.rflags |= FL_DF;
	KUNIT_EXPECT_EQ(test, RUN(test, m, 0xf3, 0x48, 0x6f), (int)EMUL_DONE);
	KUNIT_EXPECT_EQ(test, m->out_count, 2U);
	KUNIT_EXPECT_EQ(test, m->ctx.gpr[GPR_SI], MEM);
	KUNIT_EXPECT_EQ(test, m->out[0], 4);
}

/* Vector moves are unknown without access to vector registers; a POP that faults changes nothing. */
static void emul_refused(struct kunit *test)
{
	struct machine *m = new_machine(test, MODE_64);
	u64 sp = m->ctx.gpr[GPR_SP];

	m->ctx.gpr[GPR_BX] = HOLE;
	KUNIT_EXPECT_EQ(test, RUN(test, m, 0x0f, 0x10, 0x03), (int)EMUL_UNKNOWN);
	KUNIT_EXPECT_EQ(test, RUN(test, m, 0x8f, 0x03), (int)EMUL_FAULT);
	KUNIT_EXPECT_EQ(test, m->ctx.gpr[GPR_SP], sp);
	KUNIT_EXPECT_EQ(test, m->ctx.rip, 0x1000ULL);
}

static struct kunit_case cases[] = {
	KUNIT_CASE(emul_segments),
	KUNIT_CASE(emul_fetch_limits),
	KUNIT_CASE(emul_alignment),
	KUNIT_CASE(emul_traps),
	KUNIT_CASE(emul_restart),
	KUNIT_CASE(emul_locked_conflict),
	KUNIT_CASE(emul_rep_fault),
	KUNIT_CASE(emul_rep_compare_flags),
	KUNIT_CASE(emul_port_strings),
	KUNIT_CASE(emul_refused),
	{}
};

static struct kunit_suite suite = {
	.name = "droste_emul",
	.test_cases = cases,
};

kunit_test_suites(&suite);
