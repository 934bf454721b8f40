// SPDX-License-Identifier: GPL-2.0
/* Tests of the instruction decoder, one per row: prefixes, addressing forms, immediates, lengths, refusals. */
#include <kunit/test.h>

#include "emul/insn.h"

/* Registers and segments of a row count from 1, so that the default is no register, and DS. */
enum { NONE, AX, CX, DX, BX, SP, BP, SI, DI, R12 = 13, R13 };
enum { DEFAULT_DS, ES, CS, SS, DS, FS, GS };
#define REG(n)	((s8)(n) - 1)
#define SEG(n)	((n) ? (n) - 1 : DS - 1)

struct row {
	const char *name;
	u8 bytes[16];
	u8 n;			/* number of bytes given */
	enum emul_mode mode;
	enum decode_result want;
	u8 len, op, op_bytes, ad_bytes;
	/* the memory operand */
	s8 base, index;
	u8 scale, seg;
	s64 disp, imm;
	bool rip_rel;
};

/* A row that decodes; the members of the memory operand follow by name. */
#define OK(nm, m, l, o, ob, ab, ...)	{ .name = nm, .mode = MODE_##m, .want = DECODE_OK, .len = l, .op = OP_##o,	\
					  .op_bytes = ob, .ad_bytes = ab, __VA_ARGS__ }
#define NO(nm, m, w, ...)		{ .name = nm, .mode = MODE_##m, .want = DECODE_##w, __VA_ARGS__ }
#define B(...)				.bytes = { __VA_ARGS__ }, .n = sizeof((u8[]){ __VA_ARGS__ })

static const struct row decode_table[] = {
	/* operand sizes */
	OK("mov r32", 64, 2, MOV, 4, 8, B(0x8b, 0x03), .base = BX),
	OK("mov r64", 64, 3, MOV, 8, 8, B(0x48, 0x8b, 0x03), .base = BX),
	OK("mov r16", 64, 3, MOV, 2, 8, B(0x66, 0x8b, 0x03), .base = BX),
	OK("REX.W beats 66", 64, 4, MOV, 8, 8, B(0x66, 0x48, 0x8b, 0x03), .base = BX),
	OK("mov r8", 64, 2, MOV, 1, 8, B(0x8a, 0x03), .base = BX),
	OK("32-bit code", 32, 2, MOV, 4, 4, B(0x8b, 0x03), .base = BX),
	OK("32-bit code, 66", 32, 3, MOV, 2, 4, B(0x66, 0x8b, 0x03), .base = BX),
	OK("16-bit code", 16, 2, MOV, 2, 2, B(0x8b, 0x07), .base = BX),
	OK("16-bit code, 66 67", 16, 4, MOV, 4, 4, B(0x66, 0x67, 0x8b, 0x07), .base = DI),
	OK("push m is 64-bit", 64, 2, PUSH, 8, 8, B(0xff, 0x36), .base = SI),
	OK("push m, 66", 64, 3, PUSH, 2, 8, B(0x66, 0xff, 0x36), .base = SI),
	OK("call m ignores 66", 64, 3, CALL, 8, 8, B(0x66, 0xff, 0x16), .base = SI),
	OK("movnti has no 16-bit form", 16, 3, MOV, 4, 2, B(0x0f, 0xc3, 0x07), .base = BX),
	/* prefixes */
	OK("a REX that is not last does nothing", 64, 4, MOV, 2, 8, B(0x48, 0x66, 0x8b, 0x03), .base = BX),
	OK("67 in 64-bit code", 64, 3, MOV, 4, 4, B(0x67, 0x8b, 0x03), .base = BX),
	OK("FS", 64, 3, MOV, 4, 8, B(0x64, 0x8b, 0x03), .base = BX, .seg = FS),
	OK("ES does nothing in 64-bit code", 64, 3, MOV, 4, 8, B(0x26, 0x8b, 0x03), .base = BX),
	OK("ES", 32, 3, MOV, 4, 4, B(0x26, 0x8b, 0x03), .base = BX, .seg = ES),
	OK("CS over SS by base", 32, 4, MOV, 4, 4, B(0x2e, 0x8b, 0x45, 0x00), .base = BP, .seg = CS),
	/* addressing, 64 and 32 bits */
	OK("[rbp+disp8] is in SS", 64, 3, MOV, 4, 8, B(0x8b, 0x45, 0xf0), .base = BP, .seg = SS, .disp = -16),
	OK("[r13+disp8] is not", 64, 4, MOV, 4, 8, B(0x41, 0x8b, 0x45, 0xf0), .base = R13, .disp = -16),
	OK("[rsp]", 64, 3, MOV, 4, 8, B(0x8b, 0x04, 0x24), .base = SP, .seg = SS),
	OK("[r12]", 64, 4, MOV, 4, 8, B(0x41, 0x8b, 0x04, 0x24), .base = R12),
	OK("[rax+r12*4]", 64, 4, MOV, 4, 8, B(0x42, 0x8b, 0x04, 0xa0), .base = AX, .index = R12, .scale = 2),
	OK("[index*8+disp32]", 64, 7, MOV, 4, 8, B(0x8b, 0x04, 0xcd, 0x00, 0x00, 0x00, 0x80), .index = CX, .scale = 3,
	   .disp = -0x80000000LL),
	OK("RIP-relative", 64, 6, MOV, 4, 8, B(0x8b, 0x05, 0x10, 0x00, 0x00, 0x00), .disp = 16, .rip_rel = true),
	OK("the same is absolute in 32-bit code", 32, 6, MOV, 4, 4, B(0x8b, 0x05, 0x10, 0x00, 0x00, 0x00), .disp = 16),
	OK("RIP-relative and immediate", 64, 10, MOV, 4, 8, B(0xc7, 0x05, 0x04, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff),
	   .disp = 4, .imm = -1, .rip_rel = true),
	OK("moffs64", 64, 10, MOV, 8, 8, B(0x48, 0xa1, 1, 2, 3, 4, 5, 6, 7, 8), .disp = 0x0807060504030201LL),
	OK("moffs32", 32, 5, MOV, 4, 4, B(0xa3, 0x00, 0x00, 0xe0, 0xfe), .disp = 0xfee00000LL),
	/* addressing, 16 bits */
	OK("[bx+si]", 16, 2, MOV, 2, 2, B(0x8b, 0x00), .base = BX, .index = SI),
	OK("[bp+di+disp8]", 16, 3, MOV, 2, 2, B(0x8b, 0x43, 0x80), .base = BP, .index = DI, .seg = SS, .disp = -128),
	OK("[disp16]", 16, 4, MOV, 2, 2, B(0x8b, 0x06, 0x34, 0x12), .disp = 0x1234),
	OK("[bp+disp16]", 16, 4, MOV, 2, 2, B(0x8b, 0x86, 0x00, 0x80), .base = BP, .seg = SS, .disp = -0x8000),
	/* immediates */
	OK("imm32 sign-extended to 64", 64, 7, ADD, 8, 8, B(0x48, 0x81, 0x03, 0x00, 0x00, 0x00, 0x80), .base = BX,
	   .imm = -0x80000000LL),
	OK("imm16", 64, 5, ADD, 2, 8, B(0x66, 0x81, 0x03, 0x34, 0x12), .base = BX, .imm = 0x1234),
	OK("imm8 sign-extended", 64, 3, CMP, 4, 8, B(0x83, 0x3b, 0xff), .base = BX, .imm = -1),
	OK("only TEST of group 3 has one", 64, 6, TEST, 4, 8, B(0xf7, 0x03, 1, 0, 0, 0), .base = BX, .imm = 1),
	OK("NOT has none", 64, 2, NOT, 4, 8, B(0xf7, 0x13, 1, 0, 0, 0), .base = BX),
	/* others */
	OK("movzx", 64, 3, MOVZX, 4, 8, B(0x0f, 0xb6, 0x03), .base = BX),
	OK("movbe", 64, 4, MOVBE, 4, 8, B(0x0f, 0x38, 0xf0, 0x03), .base = BX),
	OK("lock cmpxchg16b", 64, 5, CMPXCHG8B, 8, 8, B(0xf0, 0x48, 0x0f, 0xc7, 0x0b), .base = BX),
	OK("rep movs", 64, 3, MOVS, 8, 8, B(0xf3, 0x48, 0xa5)),
	OK("insb", 16, 1, INS, 1, 2, B(0x6c)),
	OK("clflushopt", 64, 4, CLFLUSH, 2, 8, B(0x66, 0x0f, 0xae, 0x3b), .base = BX),
	OK("movdqu", 64, 4, VEC, 4, 8, B(0xf3, 0x0f, 0x6f, 0x03), .base = BX),
	OK("vmovdqu ymm", 64, 4, VEC, 4, 8, B(0xc5, 0xfe, 0x6f, 0x03), .base = BX),
	OK("vmovdqu64 zmm, disp8 counts vectors", 64, 7, VEC, 8, 8, B(0x62, 0xf1, 0xfe, 0x48, 0x6f, 0x43, 0x02),
	   .base = BX, .disp = 128),
	OK("15 bytes", 64, 15, MOV, 4, 8, B(0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0x8b, 0x05, 0, 0, 0, 0),
	   .rip_rel = true),
	OK("mov to a segment register", 64, 2, LOADSEG, 4, 8, B(0x8e, 0x03), .base = BX),
	OK("far call has 32 bits in 64-bit code", 64, 2, CALLF, 4, 8, B(0xff, 0x1b), .base = BX),
	OK("crc32 is not movbe", 64, 5, CRC32, 4, 8, B(0xf2, 0x0f, 0x38, 0xf1, 0x03), .base = BX),
	OK("tzcnt is not bsf", 64, 4, TZCNT, 4, 8, B(0xf3, 0x0f, 0xbc, 0x03), .base = BX),
	OK("adcx has no 16-bit form", 64, 5, ADX, 4, 8, B(0x66, 0x0f, 0x38, 0xf6, 0x03), .base = BX),
	OK("les is not VEX", 32, 2, LFP, 4, 4, B(0xc4, 0x03), .base = BX),
	OK("andn", 32, 5, ANDN, 4, 4, B(0xc4, 0xe2, 0xf0, 0xf2, 0x03), .base = BX),
	OK("andn, W", 64, 5, ANDN, 8, 8, B(0xc4, 0xe2, 0xf0, 0xf2, 0x03), .base = BX),
	OK("rorx", 64, 6, RORX, 4, 8, B(0xc4, 0xe3, 0x7b, 0xf0, 0x03, 0x05), .base = BX, .imm = 5),
	OK("enter", 64, 4, ENTER, 8, 8, B(0xc8, 0x10, 0x80, 0x1f), .imm = 0x1f8010),
	OK("an MMX move", 64, 3, VEC, 4, 8, B(0x0f, 0x6f, 0x03), .base = BX),
	OK("fld", 64, 2, X87, 4, 8, B(0xdd, 0x03), .base = BX),
	/* refused */
	NO("16 bytes", 64, TOO_LONG, B(0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0x8b, 0x05, 0, 0, 0, 0)),
	NO("nothing but prefixes", 64, TOO_LONG, B(0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66,
						   0x66, 0x66, 0x66, 0x66)),
	NO("nothing", 64, MORE, .n = 0),
	NO("ModRM is missing", 64, MORE, B(0x8b)),
	NO("half a displacement", 64, MORE, B(0x8b, 0x05, 0x00, 0x00)),
	NO("half an immediate", 64, MORE, B(0xc7, 0x03, 0x00, 0x00, 0x00)),
	NO("a prefix only", 64, MORE, B(0xf3)),
	NO("LOCK with a register destination", 64, UD, B(0xf0, 0x01, 0xc3)),
	NO("LOCK with a memory source", 64, UD, B(0xf0, 0x03, 0x03)),
	NO("LOCK MOV", 64, UD, B(0xf0, 0x89, 0x03)),
	NO("LOCK CMP", 64, UD, B(0xf0, 0x39, 0x03)),
	NO("LOCK BT", 64, UD, B(0xf0, 0x0f, 0xba, 0x23, 0x01)),
	NO("LOCK SHL", 64, UD, B(0xf0, 0xd1, 0x23)),
	NO("82 in 64-bit code", 64, UD, B(0x82, 0x03, 0x01)),
	NO("VEX after 66", 64, UD, B(0x66, 0xc5, 0xfa, 0x6f, 0x03)),
	NO("VEX after REX", 64, UD, B(0x48, 0xc5, 0xfa, 0x6f, 0x03)),
	NO("mov to CS", 64, UD, B(0x8e, 0x0b)),
	NO("pusha in 64-bit code", 64, UD, B(0x60)),
	NO("andn, L", 64, UD, B(0xc4, 0xe2, 0x74, 0xf2, 0x03)),
	NO("rorx, vvvv", 64, UD, B(0xc4, 0xe3, 0x73, 0xf0, 0x03, 0x05)),
	NO("rstorssp is not in group 7", 64, UNKNOWN, B(0xf3, 0x0f, 0x01, 0x2b)),
	NO("mov from segment register 6", 64, UD, B(0x8c, 0x33)),
	NO("cpuid", 64, UNKNOWN, B(0x0f, 0xa2)),
	NO("movsxd's opcode is arpl in 32-bit code", 32, UNKNOWN, B(0x63, 0x03)),
	NO("xsaveopt is not clwb", 64, UNKNOWN, B(0x0f, 0xae, 0x33)),
	NO("a masked vector move", 64, UNKNOWN, B(0x62, 0xf1, 0xfe, 0x49, 0x6f, 0x03)),
	NO("an MMX move with VEX", 64, UNKNOWN, B(0xc5, 0xf8, 0x6f, 0x03)),
};

static void decode_test_row(struct kunit *test, const struct row *r)
{
	struct emul_insn insn;

	KUNIT_EXPECT_EQ_MSG(test, (int)emul_decode(&insn, r->bytes, min_t(u32, r->n, INSN_MAX), r->mode), (int)r->want,
			    "%s", r->name);
	if (r->want != DECODE_OK)
		return;
	KUNIT_EXPECT_EQ_MSG(test, insn.len, r->len, "%s: length", r->name);
	KUNIT_EXPECT_EQ_MSG(test, insn.op, r->op, "%s: operation", r->name);
	KUNIT_EXPECT_EQ_MSG(test, insn.op_bytes, r->op_bytes, "%s: operand size", r->name);
	KUNIT_EXPECT_EQ_MSG(test, insn.ad_bytes, r->ad_bytes, "%s: address size", r->name);
	KUNIT_EXPECT_EQ_MSG(test, (int)insn.base, REG(r->base), "%s: base", r->name);
	KUNIT_EXPECT_EQ_MSG(test, (int)insn.index, REG(r->index), "%s: index", r->name);
	KUNIT_EXPECT_EQ_MSG(test, insn.scale, r->scale, "%s: scale", r->name);
	KUNIT_EXPECT_EQ_MSG(test, (int)insn.seg, SEG(r->seg), "%s: segment", r->name);
	KUNIT_EXPECT_EQ_MSG(test, insn.disp, r->disp, "%s: displacement", r->name);
	KUNIT_EXPECT_EQ_MSG(test, insn.imm, r->imm, "%s: immediate", r->name);
	KUNIT_EXPECT_EQ_MSG(test, insn.rip_rel, r->rip_rel, "%s: RIP-relative", r->name);
}

static void decode_rows(struct kunit *test)
{
	u32 i;

	for (i = 0; i < ARRAY_SIZE(decode_table); i++)
		decode_test_row(test, &decode_table[i]);
}

/* With too few bytes the decoder asks for more, and does not read beyond the bytes given. */
static void decode_short(struct kunit *test)
{
	struct emul_insn insn;
	u32 i, n;

	for (i = 0; i < ARRAY_SIZE(decode_table); i++) {
		if (decode_table[i].want != DECODE_OK)
			continue;
		for (n = 0; n < decode_table[i].len; n++)
			KUNIT_EXPECT_EQ_MSG(test, (int)emul_decode(&insn, decode_table[i].bytes, n, decode_table[i].mode),
					    (int)DECODE_MORE, "%s, %u bytes", decode_table[i].name, n);
	}
}

/* Any bytes lead to a verdict and a length within bounds. */
static void decode_anything(struct kunit *test)
{
	struct emul_insn insn;
	u64 state = 1;
	u8 bytes[INSN_MAX];
	enum decode_result d;
	u32 i, n;

	for (n = 0; n < 100000; n++) {
		for (i = 0; i < INSN_MAX; i++) {
			state = state * 6364136223846793005ULL + 1442695040888963407ULL;
			bytes[i] = state >> 56;
		}
		d = emul_decode(&insn, bytes, INSN_MAX, n % 3);
		KUNIT_EXPECT_NE(test, (int)d, (int)DECODE_MORE);
		if (d == DECODE_OK)
			KUNIT_EXPECT_TRUE(test, insn.len >= 1 && insn.len <= INSN_MAX && insn.base < 16 &&
					  insn.index < 16 && insn.seg < GS && insn.op_bytes && insn.op_bytes <= 8);
	}
}

static struct kunit_case decode_cases[] = {
	KUNIT_CASE(decode_rows),
	KUNIT_CASE(decode_short),
	KUNIT_CASE(decode_anything),
	{}
};

static struct kunit_suite decode_suite = {
	.name = "droste_decode",
	.test_cases = decode_cases,
};

kunit_test_suites(&decode_suite);
