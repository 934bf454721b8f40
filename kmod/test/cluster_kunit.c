// SPDX-License-Identifier: GPL-2.0
/* Runs of VMREAD, VMWRITE and plain instructions: what is decoded, what is refused, what an instruction does. */
#include <kunit/test.h>
#include <linux/string.h>

#include "nested/cluster_code.h"

enum { AX, CX, DX, BX, SP, BP, SI, DI, R8, R9, R10, R11, R12, R13, R14, R15, NR_REGS };

#define BYTES(len, ...)	.bytes = { __VA_ARGS__ }, .n = (len)
#define B(...)		BYTES(sizeof((u8[]){ __VA_ARGS__ }), __VA_ARGS__)

/* --- one instruction, decoded --- */

static const struct decode_row {
	const char *name;
	u8 bytes[15], n;
	u8 kind, op, dst, src, size, src_size;
	bool mem, from_imm, rip_rel;
	s8 base, index;
	u8 scale;
	s32 disp;
	s64 imm;
} decode_rows[] = {
	{ "vmread %rcx, %rdx", B(0x0f, 0x78, 0xca), CLUSTER_VMREAD, .dst = DX, .src = CX, .size = 8 },
	{ "vmread %r15, %r8", B(0x45, 0x0f, 0x78, 0xf8), CLUSTER_VMREAD, .dst = R8, .src = R15, .size = 8 },
	{ "vmwrite %rdx, %rcx", B(0x0f, 0x79, 0xca), CLUSTER_VMWRITE, .dst = CX, .src = DX, .size = 8 },
	{ "vmwrite %r9, %rax", B(0x41, 0x0f, 0x79, 0xc1), CLUSTER_VMWRITE, .dst = AX, .src = R9, .size = 8 },
	{ "vmread %rax, 8(%r13)", B(0x41, 0x0f, 0x78, 0x45, 8), CLUSTER_VMREAD, .src = AX, .size = 4, .mem = true, .base = R13,
	  .index = -1, .disp = 8 },
	{ "mov $0x80000001, %ecx", B(0xb9, 1, 0, 0, 0x80), CLUSTER_CONST, .dst = CX, .imm = 0x80000001 },
	{ "movabs $-2, %r10", B(0x49, 0xba, 0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff), CLUSTER_CONST, .dst = R10, .imm = -2 },
	{ "nop", BYTES(1, 0x90, 0, 0), CLUSTER_NOP },
	{ "nopl 0(%rax)", B(0x0f, 0x1f, 0x40, 0), CLUSTER_NOP, .size = 4, .op = OP_HINT },
	{ "jbe", BYTES(2, 0x76, 0xfe, 0), CLUSTER_JCC, .op = 6, .imm = -2 },
	{ "ja, long", B(0x0f, 0x87, 0, 1, 0, 0), CLUSTER_JCC, .op = 7, .imm = 0x100 },
	{ "jmp", BYTES(2, 0xeb, 5, 0), CLUSTER_JMP, .op = 0xb, .imm = 5 },
	{ "jmp, long", B(0xe9, 0xff, 0xff, 0xff, 0xff), CLUSTER_JMP, .imm = -1 },
	{ "mov %rax, %rbx", B(0x48, 0x89, 0xc3), CLUSTER_MOV, .op = OP_MOV, .dst = BX, .src = AX, .size = 8 },
	{ "mov $-1, %rsi", B(0x48, 0xc7, 0xc6, 0xff, 0xff, 0xff, 0xff), CLUSTER_MOV, .op = OP_MOV, .dst = SI, .size = 8, .from_imm = true,
	  .imm = -1 },
	{ "add $0x4014, %eax", B(0x05, 0x14, 0x40, 0, 0), CLUSTER_ALU, .op = OP_ADD, .dst = AX, .size = 4, .from_imm = true, .imm = 0x4014 },
	{ "test %cl, %dl", BYTES(2, 0x84, 0xca, 0), CLUSTER_ALU, .op = OP_TEST, .dst = DX, .src = CX, .size = 1 },
	{ "neg %r11", B(0x49, 0xf7, 0xdb), CLUSTER_UNARY, .op = OP_NEG, .dst = R11, .size = 8 },
	{ "shr $4, %eax", B(0xc1, 0xe8, 4), CLUSTER_SHIFT, .op = OP_SHR, .dst = AX, .size = 4, .imm = 4 },
	{ "sar %rdx", B(0x48, 0xd1, 0xfa), CLUSTER_SHIFT, .op = OP_SAR, .dst = DX, .size = 8, .imm = 1 },
	{ "movzbl %cl, %eax", B(0x0f, 0xb6, 0xc1), CLUSTER_EXTEND, .op = OP_MOVZX, .dst = AX, .src = CX, .size = 4, .src_size = 1 },
	{ "movslq %esi, %rdi", B(0x48, 0x63, 0xfe), CLUSTER_EXTEND, .op = OP_MOVSX, .dst = DI, .src = SI, .size = 8, .src_size = 4 },
	{ "lea 0x10(%rsp,%rbx,8), %rax", B(0x48, 0x8d, 0x44, 0xdc, 0x10), CLUSTER_LEA, .dst = AX, .size = 8, .mem = true, .base = SP,
	  .index = BX, .scale = 3, .disp = 0x10 },
	{ "lea -1(%rip), %r8", B(0x4c, 0x8d, 0x05, 0xff, 0xff, 0xff, 0xff), CLUSTER_LEA, .dst = R8, .size = 8, .mem = true,
	  .rip_rel = true, .base = -1, .index = -1, .disp = -1 },
	{ "mov %ecx, 4(%rsp)", B(0x89, 0x4c, 0x24, 4), CLUSTER_STORE, .op = OP_MOV, .src = CX, .size = 4, .mem = true, .base = SP,
	  .index = -1, .disp = 4 },
	{ "movb $0x55, (%rsi)", B(0xc6, 0x06, 0x55), CLUSTER_STORE, .op = OP_MOV, .size = 1, .mem = true, .from_imm = true, .imm = 0x55,
	  .base = SI, .index = -1 },
	{ "sete %sil", B(0x40, 0x0f, 0x94, 0xc6), CLUSTER_SETCC, .op = 4, .dst = SI, .size = 1 },
	{ "cmovs %rcx, %rax", B(0x48, 0x0f, 0x48, 0xc1), CLUSTER_CMOV, .op = 8, .dst = AX, .src = CX, .size = 8 },
};

static void cluster_decodes(struct kunit *test)
{
	for (int k = 0; k < ARRAY_SIZE(decode_rows); k++) {
		const struct decode_row *r = &decode_rows[k];
		struct cluster_insn i;
		/* Some bytes behind the instruction are there, too. */
		u8 code[24] = {};

		memcpy(code, r->bytes, sizeof(r->bytes));
		KUNIT_EXPECT_TRUE_MSG(test, cluster_decode_one(&i, code, sizeof(code)), "%s", r->name);
		KUNIT_EXPECT_EQ_MSG(test, i.kind, r->kind, "%s: kind", r->name);
		KUNIT_EXPECT_EQ_MSG(test, i.end, r->n, "%s: length", r->name);
		KUNIT_EXPECT_EQ_MSG(test, i.op, r->op, "%s: operation", r->name);
		KUNIT_EXPECT_EQ_MSG(test, i.dst, r->dst, "%s: destination", r->name);
		KUNIT_EXPECT_EQ_MSG(test, i.src, r->src, "%s: source", r->name);
		KUNIT_EXPECT_EQ_MSG(test, i.bytes, r->size, "%s: size", r->name);
		KUNIT_EXPECT_EQ_MSG(test, i.src_bytes, r->src_size, "%s: source's size", r->name);
		KUNIT_EXPECT_EQ_MSG(test, i.from_imm, r->from_imm, "%s: from a constant", r->name);
		KUNIT_EXPECT_EQ_MSG(test, i.imm, r->imm, "%s: constant", r->name);
		KUNIT_EXPECT_EQ_MSG(test, i.mem, r->mem, "%s: memory", r->name);
		if (!r->mem)
			continue;
		KUNIT_EXPECT_EQ_MSG(test, i.rip_rel, r->rip_rel, "%s: relative to RIP", r->name);
		KUNIT_EXPECT_EQ_MSG(test, i.base, r->base, "%s: base", r->name);
		KUNIT_EXPECT_EQ_MSG(test, i.index, r->index, "%s: index", r->name);
		KUNIT_EXPECT_EQ_MSG(test, i.scale, r->scale, "%s: scale", r->name);
		KUNIT_EXPECT_EQ_MSG(test, i.disp, r->disp, "%s: displacement", r->name);
	}
}

/* No instruction of a shorter buffer is decoded: bytes behind it are another page's. */
static void cluster_decodes_no_part(struct kunit *test)
{
	for (int k = 0; k < ARRAY_SIZE(decode_rows); k++) {
		const struct decode_row *r = &decode_rows[k];
		struct cluster_insn i;
		u8 exact[15];

		for (int len = 0; len < r->n; len++) {
			memset(exact, 0, sizeof(exact));
			memcpy(exact, r->bytes, len);
			KUNIT_EXPECT_FALSE_MSG(test, cluster_decode_one(&i, exact, len), "%s: %d of %u bytes", r->name, len, r->n);
		}
	}
}

static const struct {
	const char *name;
	u8 bytes[15];
} refused_rows[] = {
	{ "vmread to RSP", { 0x0f, 0x78, 0xcc } },
	{ "vmwrite from RSP", { 0x0f, 0x79, 0xcc } },
	{ "vmread of a field in RSP", { 0x0f, 0x78, 0xe1 } },
	{ "vmwrite from memory", { 0x0f, 0x79, 0x08 } },
	{ "vmread to FS memory", { 0x64, 0x0f, 0x78, 0x08 } },
	{ "vmread with 66", { 0x66, 0x0f, 0x78, 0xca } },
	{ "vmread with F2", { 0xf2, 0x0f, 0x78, 0xca } },
	{ "mov to ESP", { 0xbc, 1, 0, 0, 0 } },
	{ "mov to RSP", { 0x48, 0x89, 0xc4 } },
	{ "mov from RSP", { 0x48, 0x89, 0xe0 } },
	{ "mov to AH", { 0x88, 0xc4 } },
	{ "mov from BH", { 0x88, 0xf8 } },
	{ "a load", { 0x48, 0x8b, 0x03 } },
	{ "a store with FS", { 0x64, 0x89, 0x03 } },
	{ "a store with a 32-bit address", { 0x67, 0x89, 0x03 } },
	{ "a store to an absolute address", { 0xa3, 0, 0, 0, 0, 0, 0, 0, 0 } },
	{ "movnti", { 0x0f, 0xc3, 0x03 } },
	{ "movdiri", { 0x0f, 0x38, 0xf9, 0x03 } },
	{ "add to memory", { 0x01, 0x03 } },
	{ "lock add", { 0xf0, 0x01, 0x03 } },
	{ "xchg with r8, which is no NOP", { 0x49, 0x90 } },
	{ "xchg", { 0x87, 0xc3 } },
	{ "pause", { 0xf3, 0x90 } },
	{ "push", { 0x50 } },
	{ "pop", { 0x58 } },
	{ "call", { 0xe8, 0, 0, 0, 0 } },
	{ "ret", { 0xc3 } },
	{ "an indirect jump", { 0xff, 0xe0 } },
	{ "int3", { 0xcc } },
	{ "pushf", { 0x9c } },
	{ "popf", { 0x9d } },
	{ "sti", { 0xfb } },
	{ "cli", { 0xfa } },
	{ "std", { 0xfd } },
	{ "mov to SS", { 0x8e, 0xd0 } },
	{ "mov to CR3", { 0x0f, 0x22, 0xd8 } },
	{ "mov to DR7", { 0x0f, 0x23, 0xf8 } },
	{ "rdtsc", { 0x0f, 0x31 } },
	{ "cpuid", { 0x0f, 0xa2 } },
	{ "vmlaunch", { 0x0f, 0x01, 0xc2 } },
	{ "vmcall", { 0x0f, 0x01, 0xc1 } },
	{ "hlt", { 0xf4 } },
	{ "shift by CL", { 0xd3, 0xe0 } },
	{ "shift by 0", { 0xc1, 0xe0, 0 } },
	{ "shift of 32 bits by 32", { 0xc1, 0xe0, 32 } },
	{ "shift of a byte", { 0xc0, 0xe0, 1 } },
	{ "rotate", { 0xc1, 0xc0, 1 } },
	{ "adc of RSP", { 0x48, 0x83, 0xd4, 1 } },
	{ "div", { 0xf7, 0xf3 } },
	{ "lea to RSP", { 0x48, 0x8d, 0x60, 8 } },
	{ "lea of a register", { 0x48, 0x8d, 0xc0 } },
	{ "lea with 67", { 0x67, 0x8d, 0x43, 8 } },
	{ "cmov from memory", { 0x0f, 0x44, 0x03 } },
	{ "setcc to memory", { 0x0f, 0x94, 0x03 } },
	{ "movzx from memory", { 0x0f, 0xb6, 0x03 } },
	{ "a prefetch", { 0x0f, 0x18, 0x08 } },
	{ "vmovd", { 0xc5, 0xf9, 0x6e, 0xc0 } },
};

static void cluster_refuses(struct kunit *test)
{
	for (int k = 0; k < ARRAY_SIZE(refused_rows); k++) {
		struct cluster_insn i;
		u8 code[24] = {};

		memcpy(code, refused_rows[k].bytes, sizeof(refused_rows[k].bytes));
		KUNIT_EXPECT_FALSE_MSG(test, cluster_decode_one(&i, code, sizeof(code)), "%s", refused_rows[k].name);
	}
}

/* --- what it does --- */

#define MOST	0xfedcba9876543210ULL
#define ALL	(FL_CF | FL_PF | FL_AF | FL_ZF | FL_SF | FL_OF)

static const struct execute_row {
	const char *name;
	u8 bytes[15], n;
	u64 ax, cx, flags;		/* before; RBX is MOST */
	u64 want_ax, want_flags;	/* after; no other register changes */
} execute_rows[] = {
	{ "mov %cl, %al keeps the rest", B(0x88, 0xc8, 0), MOST, 0x11, ALL, 0xfedcba9876543211, ALL },
	{ "mov %ecx, %eax clears the rest", B(0x89, 0xc8, 0), MOST, 0x1111111122222222, 0, 0x22222222, 0 },
	{ "add with carry out", B(0x48, 0x01, 0xc8), ~0ULL, 1, 0, 0, FL_CF | FL_PF | FL_AF | FL_ZF },
	{ "adc takes the carry", B(0x11, 0xc8, 0), 1, 2, FL_CF, 4, 0 },
	{ "sub below 0", B(0x29, 0xc8, 0), 0, 1, 0, 0xffffffff, FL_CF | FL_PF | FL_AF | FL_SF },
	{ "cmp changes flags only", B(0x48, 0x39, 0xc8), 5, 5, 0, 5, FL_ZF | FL_PF },
	{ "test", B(0x48, 0x85, 0xc8), 1ULL << 63, ~0ULL, ALL, 1ULL << 63, FL_SF | FL_PF },
	{ "not leaves the flags", B(0x48, 0xf7, 0xd0), 0, 0, ALL, ~0ULL, ALL },
	{ "inc keeps CF", B(0xff, 0xc0, 0), 0x7fffffff, 0, FL_CF, 0x80000000, FL_CF | FL_PF | FL_AF | FL_SF | FL_OF },
	{ "movsbl", B(0x0f, 0xbe, 0xc1), MOST, 0x80, 0, 0xffffff80, 0 },
	{ "movzwl", B(0x0f, 0xb7, 0xc1), MOST, 0x1ffff, 0, 0xffff, 0 },
	{ "lea with 32 bits", B(0x8d, 0x04, 0x49), MOST, 0x80000000, ALL, 0x80000000, ALL },
	{ "sete", B(0x0f, 0x94, 0xc0), MOST, 0, FL_ZF, 0xfedcba9876543201, FL_ZF },
	{ "setne", B(0x0f, 0x95, 0xc0), MOST, 0, FL_ZF, 0xfedcba9876543200, FL_ZF },
	{ "cmove that moves", B(0x48, 0x0f, 0x44, 0xc1), MOST, 7, FL_ZF, 7, FL_ZF },
	{ "cmove that does not clears the upper half", B(0x0f, 0x44, 0xc1), MOST, 7, 0, 0x76543210, 0 },
};

static void cluster_executes(struct kunit *test)
{
	for (int k = 0; k < ARRAY_SIZE(execute_rows); k++) {
		const struct execute_row *r = &execute_rows[k];
		u64 regs[NR_REGS] = { r->ax, r->cx, [BX] = MOST }, flags = r->flags;
		struct cluster_insn i;

		KUNIT_ASSERT_TRUE_MSG(test, cluster_decode_one(&i, r->bytes, sizeof(r->bytes)), "%s", r->name);
		KUNIT_EXPECT_FALSE_MSG(test, cluster_execute(&i, 0x1000, regs, &flags), "%s: no jump", r->name);
		KUNIT_EXPECT_EQ_MSG(test, regs[AX], r->want_ax, "%s: RAX", r->name);
		KUNIT_EXPECT_EQ_MSG(test, flags & ALL, r->want_flags, "%s: flags", r->name);
		KUNIT_EXPECT_EQ_MSG(test, regs[CX], r->cx, "%s: RCX", r->name);
		KUNIT_EXPECT_EQ_MSG(test, regs[BX], MOST, "%s: RBX", r->name);
	}
}

/* The flags that the manual defines. AF is undefined, and OF for counts other than 1. */
static void cluster_shifts(struct kunit *test)
{
	static const struct {
		u8 modrm;
		bool wide;
		u8 count;
		u64 val, want, flags;
	} rows[] = {
		{ 0xe0, true, 1, 1ULL << 63 | 1, 2, FL_CF | FL_OF },
		{ 0xe0, false, 4, 0xf0000001, 0x10, FL_CF },
		{ 0xe8, true, 63, 1ULL << 63, 1, 0 },
		{ 0xe8, false, 1, 0x80000000, 0x40000000, FL_OF | FL_PF },
		{ 0xf8, true, 4, -16ULL, ~0ULL, FL_SF | FL_PF },
		{ 0xf8, false, 31, 0x80000000, 0xffffffff, FL_SF | FL_PF },
	};

	for (int k = 0; k < ARRAY_SIZE(rows); k++) {
		u8 code[] = { rows[k].wide ? 0x48 : 0x40, 0xc1, rows[k].modrm, rows[k].count };
		u64 regs[NR_REGS] = { rows[k].val }, flags = ALL ^ rows[k].flags, defined = FL_CF | FL_PF | FL_ZF | FL_SF;
		struct cluster_insn i;

		defined |= rows[k].count == 1 ? FL_OF : 0;
		KUNIT_ASSERT_TRUE_MSG(test, cluster_decode_one(&i, code, sizeof(code)), "row %d", k);
		cluster_execute(&i, 0, regs, &flags);
		KUNIT_EXPECT_EQ_MSG(test, regs[AX], rows[k].want, "row %d: result", k);
		KUNIT_EXPECT_EQ_MSG(test, flags & defined, rows[k].flags, "row %d: flags", k);
	}
}

/* Conditions, as alu_condition() has them. */
static void cluster_conditions(struct kunit *test)
{
	static const u16 bits[] = { FL_CF, FL_PF, FL_ZF, FL_SF, FL_OF };

	for (u32 set = 0; set < 32; set++) {
		u64 flags = 0;

		for (int k = 0; k < ARRAY_SIZE(bits); k++)
			flags |= set & BIT(k) ? bits[k] : 0;
		for (u8 cc = 0; cc < 16; cc++)
			KUNIT_EXPECT_EQ_MSG(test, cluster_condition(cc, flags), alu_condition(cc, flags), "condition %u of 0x%llx", cc, flags);
	}
}

static void cluster_addresses(struct kunit *test)
{
	static const u8 sib[] = { 0x4a, 0x8d, 0x84, 0xe3, 0xf0, 0xff, 0xff, 0xff };	/* lea -0x10(%rbx,%r12,8), %rax */
	static const u8 rip[] = { 0x48, 0x8d, 0x05, 0xf0, 0xff, 0xff, 0xff };		/* lea -0x10(%rip), %rax */
	u64 regs[NR_REGS] = { [BX] = 0xffff800000001000, [R12] = 0x20 };
	struct cluster_insn i;

	KUNIT_ASSERT_TRUE(test, cluster_decode_one(&i, sib, sizeof(sib)));
	KUNIT_EXPECT_EQ(test, cluster_address(&i, regs, 0), 0xffff8000000010f0ULL);
	KUNIT_ASSERT_TRUE(test, cluster_decode_one(&i, rip, sizeof(rip)));
	/* Of the third instruction of a run, whose end is told from the begin of the run. */
	i.end = 20;
	KUNIT_EXPECT_EQ(test, cluster_address(&i, regs, 0xffffffff80000000), 0xffffffff80000004ULL);
}

/* --- runs --- */

#define MOV_CX(lo, hi)	0xb9, lo, hi, 0, 0		/* mov $field, %ecx */
#define READ_DX		0x0f, 0x78, 0xca		/* vmread %rcx, %rdx */
#define WRITE_DX	0x0f, 0x79, 0xca		/* vmwrite %rdx, %rcx */

#define DECODE(...) do { \
	static const u8 code[CLUSTER_BYTES] = { __VA_ARGS__ }; \
\
	cluster_decode(run, code, CLUSTER_BYTES); \
} while (0)

static struct cluster_run *cluster_new_run(struct kunit *test)
{
	struct cluster_run *run = kunit_kzalloc(test, sizeof(*run), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, run);
	return run;
}

static void cluster_runs(struct kunit *test)
{
	struct cluster_run *run = cluster_new_run(test);

	KUNIT_ASSERT_NOT_NULL(test, vmcs12_field_lookup(0x4816));
	DECODE(MOV_CX(0x16, 0x48), READ_DX, 0x90, MOV_CX(0x1e, 0x68), WRITE_DX, 0x90, 0x90, 0xc3);
	KUNIT_EXPECT_EQ(test, run->nr, 5);
	KUNIT_EXPECT_EQ(test, run->bytes, 17);
	KUNIT_EXPECT_FALSE(test, run->uses_rsp);
	KUNIT_EXPECT_PTR_EQ(test, run->insn[1].field, vmcs12_field_lookup(0x4816));
	KUNIT_EXPECT_EQ(test, run->insn[1].end, 8);
	KUNIT_EXPECT_PTR_EQ(test, run->insn[4].field, vmcs12_field_lookup(0x681e));
	KUNIT_EXPECT_EQ(test, run->insn[4].imm, 0x681e);

	DECODE(0x90, 0x90, 0x48, 0x89, 0xc3, 0xc3);
	KUNIT_EXPECT_EQ_MSG(test, run->nr, 0, "no VMREAD and no VMWRITE");
	KUNIT_EXPECT_EQ(test, run->bytes, 0);

	DECODE(READ_DX, 0xeb, 0x10, READ_DX);
	KUNIT_EXPECT_EQ_MSG(test, run->nr, 1, "nothing behind a JMP is reached");
	DECODE(READ_DX, 0x76, 0x10, READ_DX, 0xc3);
	KUNIT_EXPECT_EQ_MSG(test, run->nr, 3, "a Jcc need not be taken");
	DECODE(READ_DX, 0xf4, READ_DX);
	KUNIT_EXPECT_EQ_MSG(test, run->nr, 1, "HLT ends the run");
}

/* A field's row is only noted as long as the register surely has its encoding. */
static void cluster_known_fields(struct kunit *test)
{
	struct cluster_run *run = cluster_new_run(test);

	DECODE(READ_DX, 0xc3);
	KUNIT_EXPECT_PTR_EQ_MSG(test, run->insn[0].field, NULL, "the register is from before the run");
	DECODE(MOV_CX(0x16, 0x48), 0x83, 0xc1, 2, READ_DX, 0xc3);
	KUNIT_EXPECT_EQ(test, run->nr, 3);
	KUNIT_EXPECT_PTR_EQ_MSG(test, run->insn[2].field, NULL, "it was added to");
	DECODE(MOV_CX(0x16, 0x48), 0x0f, 0x78, 0xc9, READ_DX, 0xc3);
	KUNIT_EXPECT_PTR_EQ_MSG(test, run->insn[1].field, vmcs12_field_lookup(0x4816), "a VMREAD to the register itself");
	KUNIT_EXPECT_PTR_EQ_MSG(test, run->insn[2].field, NULL, "after it");
	DECODE(MOV_CX(0x16, 0x48), 0x89, 0x0e, READ_DX, 0xc3);
	KUNIT_EXPECT_EQ(test, run->nr, 3);
	KUNIT_EXPECT_PTR_EQ_MSG(test, run->insn[2].field, vmcs12_field_lookup(0x4816), "a store changes no register");
	DECODE(MOV_CX(0xfe, 0x7f), READ_DX, 0xc3);
	KUNIT_EXPECT_PTR_EQ_MSG(test, run->insn[1].field, NULL, "there is no such field");
	KUNIT_EXPECT_EQ(test, run->insn[1].imm, 0x7ffe);
	DECODE(0x89, 0x4c, 0x24, 4, READ_DX, 0xc3);
	KUNIT_EXPECT_TRUE_MSG(test, run->uses_rsp, "a store to the stack");
}

/* A run has a bound in instructions and in bytes. */
static void cluster_bounds(struct kunit *test)
{
	struct cluster_run *run = cluster_new_run(test);
	u8 code[CLUSTER_BYTES];

	for (int k = 0; k < CLUSTER_BYTES; k += 3)
		memcpy(code + k, (u8[]){ READ_DX }, 3);
	cluster_decode(run, code, CLUSTER_BYTES);
	KUNIT_EXPECT_EQ_MSG(test, run->nr, CLUSTER_INSNS, "instructions");
	KUNIT_EXPECT_EQ(test, run->bytes, 3 * CLUSTER_INSNS);
	for (u32 len = 0; len < 40; len++) {
		cluster_decode(run, code, len);
		KUNIT_EXPECT_EQ_MSG(test, run->nr, len / 3, "%u bytes", len);
		KUNIT_EXPECT_EQ_MSG(test, run->bytes, len / 3 * 3, "%u bytes", len);
	}
}

/* vmcs12_field_lookup() needs it. */
static int cluster_setup(struct kunit *test)
{
	return vmcs12_init();
}

static struct kunit_case cluster_cases[] = {
	KUNIT_CASE(cluster_decodes),
	KUNIT_CASE(cluster_decodes_no_part),
	KUNIT_CASE(cluster_refuses),
	KUNIT_CASE(cluster_executes),
	KUNIT_CASE(cluster_shifts),
	KUNIT_CASE(cluster_conditions),
	KUNIT_CASE(cluster_addresses),
	KUNIT_CASE(cluster_runs),
	KUNIT_CASE(cluster_known_fields),
	KUNIT_CASE(cluster_bounds),
	{}
};

static struct kunit_suite cluster_suite = {
	.name = "droste_cluster",
	.init = cluster_setup,
	.test_cases = cluster_cases,
};
kunit_test_suites(&cluster_suite);
