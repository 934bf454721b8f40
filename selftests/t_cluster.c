// SPDX-License-Identifier: GPL-2.0
/* VMREADs and VMWRITEs that L0 executes together with one that has exited: the results, and the number of exits. */
#define _GNU_SOURCE
#include "cluster.h"

/* --- what is executed together: rows of code, with the exits that they make --- */

static void row_reads(void) { reads(8); }
static void row_many(void) { reads(40); }

static void row_writes(void)
{
	e_write(F_ES_BASE, AX);
	e_write(F_TSC_OFFSET, R9);
	e_write(F_TSC_OFFSET + 1, R10);
	e_write(F_GUEST_ES, BX);
	e_write(F_DS_LIMIT, R15);
	e_read(F_GUEST_ES, R15);
	e_read(F_TSC_OFFSET + 1, BP);
	e_write(F_HOST_RSP, R15);
}

/* A field that L1 reads without an exit if there is VMCS shadowing, and could have changed so. */
static void row_shadowed(void)
{
	reads(2);
	e_read(F_RIP, SI);
	reads(2);
}

/* A field that L1 can only read without an exit. */
static void row_shadowed_ro(void)
{
	reads(2);
	e_read(F_REASON, SI);
	reads(1);
}

static void row_errors(void)
{
	reads(1);
	e_read(0x7ffe, DI);		/* there is none: error 12, and the register is unchanged */
	e_read(F_INSN_ERROR, R8);
	e_mov(DX, 0x12345);
	e_write(F_INSN_ERROR, DX);	/* read-only, unless the processor can write such fields: error 13 */
	e_read(F_INSN_ERROR, R9);
	CODE(0x0f, 0x94, 0xc3);		/* sete %bl */
	e_write(0x4, DX);		/* there may be none */
	e_read(F_INSN_ERROR, R10);
	e_read(F_ES_BASE, R11);
}

static void row_last_fails(void)
{
	reads(2);
	e_read(0x7ffe, DI);
}

static void row_forward(void)
{
	reads(1);
	CODE(0x77, 8);			/* ja: VMREAD has cleared CF and ZF */
	e_read(F_TR_LIMIT, AX);
	e_read(F_TSC_OFFSET, R15);
	CODE(0x0f, 0x86, 8, 0, 0, 0);	/* jbe is not taken */
	e_read(F_ES_BASE, R14);
	CODE(0x74, 0x7f);		/* je is not taken */
	e_read(F_ES_BASE, R13);
}

/* Instructions that access memory are L1's. */
static void row_stack(void)
{
	reads(2);
	CODE(0x50, 0x58);		/* push, pop */
	reads(2);
}

/* Moves between the fields' numbers and the results. */
static void row_plain(void)
{
	reads(1);
	CODE(0x48, 0x89, 0xd6);		/* mov %rdx, %rsi */
	CODE(0x31, 0xdb);		/* xor %ebx, %ebx */
	CODE(0x0f, 0x94, 0xc3);		/* sete %bl */
	CODE(0x83, 0xe0, 0x70);		/* and $0x70, %eax */
	CODE(0x0f, 0xb6, 0xfb);		/* movzbl %bl, %edi */
	CODE(0x85, 0xdb);		/* test %ebx, %ebx */
	CODE(0x0f, 0x1f, 0x40, 0);		/* nopl */
	reads(1);
}

/* As Xen reads a segment: registers, the stack, and a VMREAD to memory. RSI points to @memory. */
static void row_memory(void)
{
	CODE(0x31, 0xd2);		/* xor %edx, %edx */
	CODE(0x8d, 0x8c, 0x12, 0, 8, 0, 0);	/* lea 0x800(%rdx,%rdx,1), %ecx */
	CODE(0x48, 0x89, 0xc8);		/* mov %rcx, %rax */
	e_vmx(0x78, CX, CX);
	CODE(0x0f, 0x86, 0x40, 0, 0, 0);	/* jbe */
	CODE(0x05, 0x14, 0x40, 0, 0);	/* add $0x4014, %eax */
	e_vmx(0x78, AX, AX);
	CODE(0x49, 0x89, 0xc6);		/* mov %rax, %r14 */
	CODE(0x48, 0xc1, 0xe8, 0x10);	/* shr $16, %rax */
	CODE(0x49, 0xc1, 0xee, 4);	/* shr $4, %r14 */
	CODE(0xc1, 0xe0, 7);		/* shl $7, %eax */
	CODE(0x66, 0x41, 0x81, 0xe6, 0, 0xf);	/* and $0xf00, %r14w */
	CODE(0x41, 0x09, 0xc6);		/* or %eax, %r14d */
	CODE(0x44, 0x8d, 0xbc, 0x12, 0, 0x48, 0, 0);	/* lea 0x4800(%rdx,%rdx,1), %r15d */
	CODE(0x89, 0x4c, 0x24, 0xf8);	/* mov %ecx, -8(%rsp) */
	CODE(0x4c, 0x89, 0xf8);		/* mov %r15, %rax */
	e_vmx(0x78, R15, R15);
	CODE(0x05, 6, 0x20, 0, 0);	/* add $0x2006, %eax */
	CODE(0x0f, 0x78, 0x46, 8);	/* vmread %rax, 8(%rsi) */
	CODE(0x0f, 0x86, 0x10, 0, 0, 0);	/* jbe */
	CODE(0x44, 0x89, 0x7e, 0x10);	/* mov %r15d, 0x10(%rsi) */
	CODE(0x66, 0xc7, 0x46, 1, 0x34, 0x12);	/* movw $0x1234, 1(%rsi) */
	CODE(0x40, 0x88, 0x76, 0x19);	/* mov %sil, 0x19(%rsi) */
	CODE(0x48, 0x89, 0x76, 0x20);	/* mov %rsi, 0x20(%rsi) */
	CODE(0x0f, 0x78, 0x4e, 0x28);	/* vmread %rcx, 0x28(%rsi), which fails: RCX is a selector */
	reads(1);
}

static const struct row {
	const char *name;
	void (*emit)(void);
	u32 vmx;		/* VMREADs and VMWRITEs */
	u32 exits, exits_off;	/* with VMCS shadowing, and without */
	u32 native;		/* those that need no exit with VMCS shadowing and are not executed together */
} rows[] = {
	{ "VMREADs", row_reads, 8, 1, 1, 0 },
	{ "more than are executed together", row_many, 40, 3, 3, 0 },
	{ "VMWRITEs", row_writes, 8, 1, 1, 0 },
	{ "a field that L1 reads and writes without exits", row_shadowed, 5, 2, 1, 1 },
	{ "a field that L1 reads without exits", row_shadowed_ro, 4, 1, 1, 0 },
	{ "failures", row_errors, 8, 1, 1, 0 },
	{ "a failure at the end", row_last_fails, 3, 1, 1, 0 },
	{ "jumps", row_forward, 4, 1, 1, 0 },
	{ "the stack", row_stack, 4, 2, 2, 0 },
	{ "plain instructions", row_plain, 2, 1, 1, 0 },
	{ "memory", row_memory, 6, 3, 3, 0 },
};

static void make(const struct row *r)
{
	at = code;
	r->emit();
	e_ret();
}

static void guest_same(void)
{
	prepare();
	for (u64 i = 0; i < ARRAY_SIZE(rows); i++) {
		make(&rows[i]);
		compare(i);
		/* Once more after an exit from L2. */
		vmx_skip();
		vmwrite(F_RIP, (u64)l2_none);
		at = code;
		G_EQ(compare(i) > 2, 1, "steps");
	}
}

static void guest_no_vmcs(void)
{
	u64 ptr;

	prepare();
	G_EQ(vmptrst(&ptr), VM_OK, "VMPTRST");
	make(&rows[0]);
	G_EQ(vmclear(ptr), VM_OK, "VMCLEAR");
	compare(0);
	call_code(code, 0);
	G_EQ(st.flags & 0x8d5, RFLAGS_CF, "VMfailInvalid");
	G_EQ(st.reg[R9], initial(R9), "a register is unchanged");
}

/* --- counts --- */

static void guest_count(void)
{
	prepare();
	for (u64 i = 0; i < ARRAY_SIZE(rows); i++) {
		make(&rows[i]);
		call_code(code, 0);
		g_sync(2 * i);
		call_code(code, 0);
		g_sync(2 * i + 1);
	}
}

static void check_counts(bool shadowing)
{
	struct vm vm;
	struct vcpu *vcpu = start(&vm, guest_count, shadowing);

	for (u32 i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct row *r = &rows[i];
		u64 e, c, want = shadowing ? r->exits : r->exits_off;

		vcpu_run_to_sync(vcpu, 2 * i);
		e = exits(vcpu);
		c = stat(vcpu, "clustered");
		vcpu_run_to_sync(vcpu, 2 * i + 1);
		EQ(exits(vcpu) - e, want, "%s: exits", r->name);
		EQ(stat(vcpu, "clustered") - c, r->vmx - want - (shadowing ? r->native : 0), "%s: clustered", r->name);
	}
	vcpu_run_to_end(vcpu);
	vm_destroy(&vm);
}

static void host_counts(void)
{
	check_counts(true);
}

static void host_counts_off(void)
{
	check_counts(false);
}

/* --- random code --- */

static u64 seed = 1;

static u32 pick(u32 n)
{
	seed = seed * 6364136223846793005ul + 1442695040888963407ul;
	return (seed >> 33) % n;
}

static u32 any_reg(void)
{
	static const u8 reg[] = { AX, CX, DX, BX, BP, DI, R8, R9, R10, R11, R12, R13, R14, R15 };

	/* RSI stays what it is, for addresses. */
	return reg[pick(ARRAY_SIZE(reg))];
}

/* A REX prefix and what follows, for registers @reg and @rm of ModRM. */
static void e_modrm(bool wide, const u8 *opcode, u32 n, u32 reg, u32 rm)
{
	e8(0x40 | wide << 3 | (reg >= 8) << 2 | (rm >= 8));
	emit(opcode, n);
	e8(0xc0 | (reg & 7) << 3 | (rm & 7));
}

#define MODRM(wide, reg, rm, ...) \
	e_modrm(wide, (const u8[]){ __VA_ARGS__ }, sizeof((const u8[]){ __VA_ARGS__ }), reg, rm)

static void random_access(void)
{
	static const u32 field[] = { F_ES_BASE, F_SS_BASE, F_DS_LIMIT, F_GUEST_ES, F_TSC_OFFSET, F_TSC_OFFSET + 1, F_HOST_RSP,
				     F_EXCEPTION_BITMAP, F_TR_LIMIT, F_REASON, F_INSN_ERROR, F_RIP, F_RSP, 0x7ffe, 0xfffe };
	u32 enc = any_reg(), val = any_reg();

	/* Sometimes the field's number is in a register by chance, and mostly there is no such field. */
	if (pick(8))
		e_mov(enc, field[pick(ARRAY_SIZE(field))]);
	e_vmx(0x78 + pick(2), enc, val);
}

static void random_shift(void)
{
	static const u8 op[] = { 4, 5, 7 };	/* SHL, SHR, SAR */

	MODRM(pick(2), op[pick(3)], any_reg(), 0xc1);
	e8(pick(70));
}

static void random_insn(void)
{
	u32 reg = any_reg(), rm = any_reg(), wide = pick(2);
	u8 cc = pick(16);

	switch (pick(24)) {
	case 0 ... 6:
		random_access();
		break;
	case 20:
		random_shift();
		break;
	case 21:
		/* LEA of [RSI + reg * 2^n + disp8]. RSP is no index. */
		CODE(0x48 | (reg >= 8) << 2 | (rm >= 8) << 1, 0x8d, 0x44 | (reg & 7) << 3, pick(4) << 6 | (rm & 7) << 3 | SI);
		e8(seed >> 40);
		break;
	case 22:
		/* MOV to [RSI + disp8] */
		e8(0x40 | wide << 3 | (reg >= 8) << 2);
		CODE(0x88 + pick(2), 0x46 | (reg & 7) << 3, pick(100));
		break;
	case 23:
		e_mov(BX, pick(2) ? F_ES_BASE : F_TSC_OFFSET + pick(3));
		CODE(0x0f, 0x78, 0x5e, pick(100));	/* vmread %rbx, disp8(%rsi) */
		break;
	case 7:
		e_mov(reg, seed);
		break;
	case 8:
		MODRM(wide, reg, rm, pick(2) ? 0x89 : 0x8b);
		break;
	case 9:
		MODRM(wide, reg, rm, 8 * pick(8) + pick(4));	/* ADD to CMP */
		break;
	case 10:
		MODRM(wide, pick(8), rm, 0x83);
		e8(seed >> 40);
		break;
	case 11:
		if (pick(2))
			e8(0x66);
		MODRM(0, pick(8), rm, 0x81);
		if (at[-3] == 0x66 || at[-4] == 0x66)
			CODE(0x34, 0x12);
		else
			e32(seed);
		break;
	case 12:
		MODRM(wide, reg, rm, 0x84 + pick(2));
		break;
	case 13:
		MODRM(wide, 2 + pick(2), rm, 0xf6 + pick(2));	/* NOT, NEG */
		break;
	case 14:
		MODRM(wide, pick(2), rm, 0xfe + pick(2));	/* INC, DEC */
		break;
	case 15:
		MODRM(wide, reg, rm, 0x0f, (pick(2) ? 0xb6 : 0xbe) + pick(2));
		break;
	case 16:
		MODRM(0, 0, rm, 0x0f, 0x90 + cc);
		break;
	case 17:
		MODRM(wide, reg, rm, 0x0f, 0x40 + cc);
		break;
	case 18:
		CODE(0x70 + cc, 3);		/* over the next */
		MODRM(1, reg, rm, 0x89);
		break;
	default:
		CODE(0x0f, 0x80 + cc, 8, 0, 0, 0);
		e_mov(BX, seed);
		e_vmx(0x78, BX, DX);
	}
}

static void guest_random(void)
{
	prepare();
	for (u64 i = 0; i < 150; i++) {
		seed = i;
		at = code;
		for (u32 k = 0; k < 30; k++)
			random_insn();
		e_ret();
		compare(i);
	}
}

static const struct ksft_test tests[] = {
	{ "same-as-stepped", .guest = guest_same, .flags = KSFT_VMX },
	{ "no-vmcs", .guest = guest_no_vmcs, .flags = KSFT_VMX },
	{ "random", .guest = guest_random, .flags = KSFT_VMX },
	{ "counts", .host = host_counts },
	{ "counts-without-shadowing", .host = host_counts_off },
};
KSFT_MAIN(tests)
