// SPDX-License-Identifier: GPL-2.0
/* VMREADs and VMWRITEs that L0 executes together with one that has exited: the results, the number of exits, where it stops. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include "tracefs.h"
#include "vm.h"
#include "vmx.h"

#define NR_REGS	16	/* RSP's place is unused */

enum { AX, CX, DX, BX, SP, BP, SI, DI, R8, R9, R10, R11, R12, R13, R14, R15 };

/* --- code in a page, and a call of it with all registers given --- */

static u8 *at;

static void e8(u8 v)
{
	*at++ = v;
}

static void emit(const u8 *bytes, u64 n)
{
	while (n--)
		e8(*bytes++);
}

#define CODE(...)	emit((const u8[]){ __VA_ARGS__ }, sizeof((const u8[]){ __VA_ARGS__ }))

static void e32(u32 v)
{
	for (int i = 0; i < 4; i++)
		e8(v >> 8 * i);
}

static void e_mov(u32 reg, u32 imm)
{
	if (reg >= 8)
		e8(0x41);
	e8(0xb8 | (reg & 7));
	e32(imm);
}

/* VMREAD or VMWRITE, by its opcode. @field and @val are registers. */
static void e_vmx(u8 opcode, u32 field, u32 val)
{
	if (field >= 8 || val >= 8)
		e8(0x40 | (field >= 8) << 2 | (val >= 8));
	e8(0x0f);
	e8(opcode);
	e8(0xc0 | (field & 7) << 3 | (val & 7));
}

static void e_read(u32 field, u32 reg)
{
	e_mov(CX, field);
	e_vmx(0x78, CX, reg);
}

static void e_write(u32 field, u32 reg)
{
	e_mov(CX, field);
	e_vmx(0x79, CX, reg);
}

static void e_ret(void)
{
	e8(0xc3);
}

static struct state {
	u64 reg[NR_REGS], flags;
} st;

void call_with(struct state *state, const u8 *code);	/* lib/callwith.S */

static u64 initial(u64 reg)
{
	return 0x1111111111111111ul * reg + 0x8070605040302010ul;
}

/* Calls @code with fixed values in the registers, and more flags. */
static void call_code(const u8 *code, u64 flags)
{
	for (u64 i = 0; i < NR_REGS; i++)
		st.reg[i] = initial(i);
	st.reg[SP] = 0;
	st.flags = RFLAGS_FIXED | 0x8d5 | flags;
	call_with(&st, code);
	st.flags &= ~(u64)(RFLAGS_TF | RFLAGS_RF);
}

/* --- the steps of the same code --- */

static u8 *code;		/* the page */
static volatile u64 steps;	/* instructions of the page that have trapped after their execution */
static volatile u64 step_at[256];

static void on_db(struct trap_regs *r)
{
	if (r->rip - (u64)code < 2 * 4096 && steps < ARRAY_SIZE(step_at))
		step_at[steps++] = r->rip;
}

/* The fields that the tests write, and their values before each call. */
static const u32 written[] = { F_ES_BASE, F_SS_BASE, F_DS_LIMIT, F_GUEST_ES, F_TSC_OFFSET, F_HOST_RSP, F_EXCEPTION_BITMAP,
			       F_TR_LIMIT, F_RIP, F_RSP, F_REASON, F_INSN_ERROR };

static void set_fields(void)
{
	for (u64 i = 0; i < ARRAY_SIZE(written); i++)
		if (written[i] != F_INSN_ERROR)
			try_vmwrite(written[i], 0x1000 + 0x10 * i);
	try_vmwrite(0x7ffe, 0);		/* error 12 */
}

static void get_fields(u64 *to)
{
	for (u64 i = 0; i < ARRAY_SIZE(written); i++) {
		to[i] = 0;
		try_vmread(written[i], &to[i]);
	}
}

/* Executes the code at once, and by single steps. Both must have the same outcome. Returns the number of steps. */
static u64 compare(u64 n)
{
	u64 fields[ARRAY_SIZE(written)], stepped[ARRAY_SIZE(written)];
	struct state once;

	set_fields();
	call_code(code, 0);
	once = st;
	get_fields(fields);
	set_fields();
	steps = 0;
	g_trap_fn[VEC_DB] = on_db;
	call_code(code, RFLAGS_TF);
	get_fields(stepped);
	for (u64 i = 0; i < NR_REGS; i++)
		G_EQN(once.reg[i], st.reg[i], "register", n << 8 | i);
	G_EQN(once.flags, st.flags, "RFLAGS", n);
	for (u64 i = 0; i < ARRAY_SIZE(written); i++)
		G_EQN(fields[i], stepped[i], "field", n << 8 | i);
	return steps;
}

/* --- what is executed together: rows of code, with the exits that they make --- */

static void reads(u32 n)
{
	static const u32 field[] = { F_ES_BASE, F_ES_LIMIT, F_TSC_OFFSET, F_GUEST_ES, F_LINK_POINTER, F_HOST_CR0, F_PIN, F_TR_BASE };

	for (u32 i = 0; i < n; i++)
		e_read(field[i % ARRAY_SIZE(field)], i % 4 ? R8 + i % 8 : DX);
}

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
};

static void make(const struct row *r)
{
	at = code;
	r->emit();
	e_ret();
}

static void l2_none(void)
{
	for (;;)
		asm volatile("vmcall");
}

/* Makes a VMCS, and enters L2, so that VMCS02 has newer values of the rare fields. */
static void prepare(void)
{
	vmcs_new(l2_none);
	vmx_expect(R_VMCALL, "L2");
	code = g_pages(2);
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

/* A value of the vCPU's statistics. */
static u64 stat(struct vcpu *vcpu, const char *name, u32 n)
{
	static u8 buf[1 << 17];
	struct kvm_stats_header *h = (void *)buf;
	int fd = DO(vcpu->fd, KVM_GET_STATS_FD, 0);
	struct kvm_stats_desc *d;

	MUST(pread(fd, buf, sizeof(buf), 0) > 0, "statistics");
	close(fd);
	for (u32 i = 0; i < h->num_desc; i++) {
		d = (void *)(buf + h->desc_offset + i * (sizeof(*d) + h->name_size));
		if (!strcmp(d->name, name))
			return *(u64 *)(buf + h->data_offset + d->offset + 8 * n);
	}
	ksft_skip("no statistic %s", name);
}

static u64 exits(struct vcpu *vcpu)
{
	return stat(vcpu, "exits_by_reason", R_VMREAD) + stat(vcpu, "exits_by_reason", R_VMWRITE);
}

static struct vcpu *start(struct vm *vm, void (*fn)(void), bool shadowing)
{
	struct vcpu *vcpu;
	u64 pin;

	vm_create(vm, KSFT_VMX);
	if (!vm_has_vmx(vm))
		ksft_skip("no VMX");
	vcpu = vcpu_create(vm, 0, fn);
	if (shadowing)
		return vcpu;
	/* All L1s share the bitmaps, so one without the preemption timer, whose value is shadowed, gets no shadowing. */
	MUST(!vcpu_get_msr(vcpu, MSR_VMX_TRUE_PIN, &pin), "IA32_VMX_TRUE_PINBASED_CTLS");
	EQ(vcpu_set_msr(vcpu, MSR_VMX_TRUE_PIN, pin & ~(PIN_TIMER << 32)), 0, "no preemption timer");
	return vcpu;
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
		c = stat(vcpu, "clustered", 0);
		vcpu_run_to_sync(vcpu, 2 * i + 1);
		EQ(exits(vcpu) - e, want, "%s: exits", r->name);
		EQ(stat(vcpu, "clustered", 0) - c, r->vmx - want - (shadowing ? r->native : 0), "%s: clustered", r->name);
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
	u32 reg = pick(15);

	return reg < SP ? reg : reg + 1;
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

static void random_insn(void)
{
	u32 reg = any_reg(), rm = any_reg(), wide = pick(2);
	u8 cc = pick(16);

	switch (pick(20)) {
	case 0 ... 6:
		random_access();
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

/* --- where it stops: what L1 sees --- */

static volatile u64 hit_rip, hits, hit_reg;

static void on_breakpoint(struct trap_regs *r)
{
	hit_rip = r->rip;
	hit_reg = r->rdx;
	hits++;
	r->rflags |= RFLAGS_RF;
	write_dr6(0xffff0ff0);
}

/* A trap for each instruction, with the address of the next one. */
static void guest_steps(void)
{
	prepare();
	make(&rows[0]);
	compare(0);
	G_EQ(steps, 1 + 2 * 8, "the call, and 8 pairs of instructions");
	for (u64 i = 1; i < steps; i++)
		G_EQN(step_at[i] - step_at[i - 1], i % 2 ? 5 : 3 + (i / 2 % 4 != 1), "length of the instruction", i);
}

static void guest_breakpoint(void)
{
	u8 *middle;

	prepare();
	at = code;
	e_read(F_ES_BASE, DX);
	e_read(F_TSC_OFFSET, DX);
	middle = at;
	e_mov(BX, 7);
	e_read(F_ES_BASE, DX);
	e_ret();
	vmwrite(F_ES_BASE, 0x1000);
	vmwrite(F_TSC_OFFSET, 0x2000);
	call_code(code, 0);
	g_trap_fn[VEC_DB] = on_breakpoint;
	write_dr0((u64)middle);
	write_dr7(0x401);
	call_code(code, 0);
	write_dr7(0x400);
	G_EQ(hits, 1, "the breakpoint is hit");
	G_EQ(hit_rip, (u64)middle, "its address");
	G_EQ(hit_reg, 0x2000, "a register at the breakpoint");
	G_EQ(st.reg[DX], 0x1000, "a register at the end");
	call_code(code, 0);
	G_EQ(hits, 1, "no breakpoint is left");
}

/* The page behind the code in L1's memory is not the next one at its linear addresses. */
static void guest_page_end(void)
{
	u64 *pte, frame;
	u8 *pages = g_pages(4), *begin = pages + 4096 - 32;

	prepare();
	pte = g_pte((u64)pages + 4096);
	frame = *pte;
	at = begin;
	for (int i = 0; i < 8; i++)
		e_read(F_ES_BASE, i < 4 ? SI : DI);
	e_ret();
	/* The same in another page, with other results. */
	at = pages + 2 * 4096;
	for (int i = 0; i < 4; i++)
		e_read(F_SS_BASE, DI);
	e_ret();
	set_fields();
	call_code(begin, 0);
	G_EQ(st.reg[DI], 0x1000, "the page behind");
	*pte = *g_pte((u64)pages + 2 * 4096);
	invlpg((u64)pages + 4096);
	call_code(begin, 0);
	G_EQ(st.reg[SI], 0x1000, "the first page");
	G_EQ(st.reg[DI], 0x1010, "another page is mapped behind it");
	*pte = frame;
	invlpg((u64)pages + 4096);
	call_code(begin, 0);
	G_EQ(st.reg[DI], 0x1000, "the page behind again");
}

static volatile u64 fault_rip, fault_error;

/* Leaves the code, as its RET would. */
static void on_fetch_fault(struct trap_regs *r)
{
	fault_rip = r->rip;
	fault_error = r->error;
	r->rip = *(u64 *)r->rsp;
	r->rsp += 8;
}

/* A jump to a page that L1 may not execute. The instructions there must not be. */
static void fetch_faults(u64 set, u64 clear, const char *what)
{
	u8 *there = code + 4096;
	u64 *pte = g_pte((u64)there), was = *pte;

	at = there;
	e_read(F_SS_BASE, R9);
	e_ret();
	at = code;
	e_read(F_ES_BASE, R8);
	CODE(0xeb, 9);
	e_read(F_TR_LIMIT, R8);
	e_read(F_ES_BASE, R8);
	CODE(0x0f, 0x87);	/* ja */
	e32(there - (at + 4));
	e_read(F_TR_LIMIT, R9);
	e_ret();
	set_fields();
	call_code(code, 0);
	G_EQ(st.reg[R9], 0x1010, "the jump");
	*pte = (was | set) & ~clear;
	invlpg((u64)there);
	fault_rip = 0;
	g_trap_fn[VEC_PF] = on_fetch_fault;
	call_code(code, 0);
	g_trap_fn[VEC_PF] = NULL;
	G_EQ(fault_rip, (u64)there, what);
	G_EQ(st.reg[R9], initial(R9), what);
	*pte = was;
	invlpg((u64)there);
}

static void guest_no_fetch(void)
{
	prepare();
	wrmsr(MSR_EFER, rdmsr(MSR_EFER) | EFER_NX);
	fetch_faults(1ul << 63, 0, "a page that is not executable");
	fetch_faults(0, BIT(0), "a page that is not present");
}

/* Code that L1 changes, and a page of code that it replaces. */
static void guest_changed(void)
{
	u8 *other = g_page();
	u64 *pte, was;

	prepare();
	set_fields();
	for (u64 i = 0; i < 20; i++) {
		at = code;
		e_read(F_ES_BASE, R8);
		e_read(i & 1 ? F_SS_BASE : F_ES_BASE, R9);
		e_mov(BX, i);
		e_read(i & 2 ? F_DS_LIMIT : F_ES_BASE, R10);
		e_ret();
		call_code(code, 0);
		G_EQN(st.reg[R9], i & 1 ? 0x1010 : 0x1000, "another field", i);
		G_EQN(st.reg[BX], i, "another constant", i);
		G_EQN(st.reg[R10], i & 2 ? 0x1020 : 0x1000, "another field at the end", i);
	}
	g_copy(other, code, 4096);
	at = other + 9;
	e_read(F_DS_LIMIT, R9);
	pte = g_pte((u64)code);
	was = *pte;
	for (u64 i = 0; i < 6; i++) {
		*pte = i & 1 ? *g_pte((u64)other) : was;
		invlpg((u64)code);
		call_code(code, 0);
		G_EQN(st.reg[R9], i & 1 ? 0x1020 : 0x1010, "another page", i);
	}
}

/* STI and MOV SS block interrupts until the instruction behind them is complete, and no longer. */
static void on_irq(struct trap_regs *r)
{
	hit_rip = r->rip;
	hits++;
	apic_eoi();
}

static void blocked(const u8 *first, u64 n, u64 flags, const char *what)
{
	u8 *end;

	at = code;
	e_mov(R8, F_ES_BASE);
	emit(first, n);
	e_vmx(0x78, R8, R9);
	end = at;
	reads(4);
	e8(0xfa);		/* cli */
	e_ret();
	hits = 0;
	apic_icr(0, 0x40051);
	for (int i = 0; i < 1000; i++)
		relax();
	G_EQ(hits, 0, "not yet");
	call_code(code, flags);
	G_EQ(hits, 1, what);
	G_EQ(hit_rip, (u64)end, what);
}

static void guest_blocked(void)
{
	static const u8 sti_code[] = { 0xfb };

	prepare();
	apic_enable();
	g_trap_fn[0x51] = on_irq;
	blocked(sti_code, 1, 0, "an interrupt behind the instruction after STI");
}

static u64 user_read(u64 arg)
{
	u64 v = 0;

	return try_vmread(arg, &v);
}

static void guest_user(void)
{
	prepare();
	vmread(F_ES_BASE);
	for (int i = 0; i < 3; i++)
		G_EQ(g_user(user_read, F_ES_BASE), GP0, "VMREAD at CPL 3");
}

/* --- where it stops: counts --- */

static void stop_none(void)
{
	call_code(code, 0);
}

static void stop_tf(void)
{
	g_trap_fn[VEC_DB] = on_db;
	steps = 0;
	call_code(code, RFLAGS_TF);
	G_EQ(steps, 17, "steps");
}

static void stop_dr7(void)
{
	write_dr0((u64)code + 4096);
	write_dr7(0x402);
	call_code(code, 0);
	write_dr7(0x400);
}

static void stop_btf(void)
{
	wrmsr(MSR_DEBUGCTL, 2);
	call_code(code, 0);
	wrmsr(MSR_DEBUGCTL, 0);
}

static void stop_sti(void)
{
	at = code;
	e_mov(CX, F_ES_BASE);
	e8(0xfb);
	e_vmx(0x78, CX, DX);
	reads(7);
	e8(0xfa);
	e_ret();
	call_code(code, 0);
}

static void stop_mov_ss(void)
{
	at = code;
	e_mov(CX, F_ES_BASE);
	CODE(0x8c, 0xd0, 0x8e, 0xd0);	/* mov %ss, %eax; mov %eax, %ss */
	e_vmx(0x78, CX, DX);
	reads(7);
	e_ret();
	call_code(code, 0);
}

static void stop_page_end(void)
{
	at = code + 4096 - 32;
	reads(8);
	e_ret();
	call_code(code + 4096 - 32, 0);
}

static const struct stop {
	const char *name;
	void (*run)(void);
	u32 exits;
} stops[] = {
	{ "nothing stops it", stop_none, 1 },
	{ "RFLAGS.TF", stop_tf, 8 },
	{ "an active breakpoint", stop_dr7, 8 },
	{ "IA32_DEBUGCTL", stop_btf, 8 },
	{ "STI", stop_sti, 2 },
	{ "MOV SS", stop_mov_ss, 2 },
	{ "the end of the page", stop_page_end, 2 },
};

static void guest_stops(void)
{
	prepare();
	for (u64 i = 0; i < ARRAY_SIZE(stops); i++) {
		make(&rows[0]);
		g_sync(2 * i);
		stops[i].run();
		g_sync(2 * i + 1);
	}
}

static void host_stops(void)
{
	struct vm vm;
	struct vcpu *vcpu = start(&vm, guest_stops, true);

	for (u32 i = 0; i < ARRAY_SIZE(stops); i++) {
		u64 e, c;

		vcpu_run_to_sync(vcpu, 2 * i);
		e = exits(vcpu);
		c = stat(vcpu, "clustered", 0);
		vcpu_run_to_sync(vcpu, 2 * i + 1);
		EQ(exits(vcpu) - e, stops[i].exits, "%s: exits", stops[i].name);
		EQ(stat(vcpu, "clustered", 0) - c, 8 - stops[i].exits, "%s: clustered", stops[i].name);
	}
	vcpu_run_to_end(vcpu);
	vm_destroy(&vm);
}

/* --- the debugger in user space, traces, the module parameter --- */

static void guest_watched(void)
{
	prepare();
	make(&rows[0]);
	call_code(code, 0);
	for (u64 i = 0;; i++) {
		g_sync(i);
		call_code(code, 0);
	}
}

static void set_debug(struct vcpu *vcpu, u32 control, u64 dr0)
{
	struct kvm_guest_debug d = { .control = control ? control | KVM_GUESTDBG_ENABLE : 0,
				     .arch.debugreg = { [0] = dr0, [7] = dr0 ? 0x401 : 0x400 } };

	DO(vcpu->fd, KVM_SET_GUEST_DEBUG, &d);
}

static void host_debugger(void)
{
	struct vm vm;
	struct vcpu *vcpu = start(&vm, guest_watched, true);
	u64 page, n = 0, e;

	vcpu_run_to_sync(vcpu, 0);
	page = (u64)GUEST(&vm, code);
	/* A breakpoint in the middle of the run. */
	set_debug(vcpu, KVM_GUESTDBG_USE_HW_BP, page + 8);
	EQ(vcpu_run_once(vcpu), 0, "KVM_RUN");
	EQ(vcpu->run->exit_reason, KVM_EXIT_DEBUG, "a breakpoint");
	EQ(vcpu->run->debug.arch.pc, page + 8, "its address");
	/* Single steps from there to the end. */
	set_debug(vcpu, KVM_GUESTDBG_SINGLESTEP, 0);
	e = exits(vcpu);
	do {
		EQ(vcpu_run_once(vcpu), 0, "KVM_RUN");
		MUST(vcpu->run->exit_reason == KVM_EXIT_DEBUG, "a step");
		n++;
	} while (vcpu->run->debug.arch.pc - page < 4096);
	EQ(n, 2 * 7 + 1, "steps");
	EQ(exits(vcpu) - e, 7, "exits");
	set_debug(vcpu, 0, 0);
	vcpu_run_to_sync(vcpu, 1);
	vm_destroy(&vm);
}

/* Runs the code once, up to g_sync(@n). */
static void expect_exits(struct vcpu *vcpu, u64 n, u64 want, const char *what)
{
	u64 e = exits(vcpu);

	vcpu_run_to_sync(vcpu, n);
	EQ(exits(vcpu) - e, want, "exits: %s", what);
}

static void set_parameter(char val)
{
	int fd = open("/sys/module/droste/parameters/cluster", O_WRONLY);

	if (fd < 0)
		ksft_skip("no parameter cluster");
	EQ(write(fd, &val, 1), 1, "write");
	close(fd);
}

static void host_parameter(void)
{
	struct vm vm;
	struct vcpu *vcpu = start(&vm, guest_watched, true);

	vcpu_run_to_sync(vcpu, 0);
	expect_exits(vcpu, 1, 1, "on");
	set_parameter('N');
	expect_exits(vcpu, 2, 8, "off");
	set_parameter('Y');
	expect_exits(vcpu, 3, 1, "on again");
	vm_destroy(&vm);
}

static void host_trace(void)
{
	struct vm vm;
	struct vcpu *vcpu = start(&vm, guest_watched, true);
	int n = 0;

	vcpu_run_to_sync(vcpu, 0);
	trace_begin("droste");
	expect_exits(vcpu, 1, 8, "traced");
	trace_end();
	for (int i = 0; i < nr_trace_events; i++)
		n += trace_is(trace_events[i], "droste_exit") && strstr(trace_events[i], "VMREAD");
	EQ(n, 8, "events of exits by VMREAD");
	expect_exits(vcpu, 2, 1, "no more traced");
	vm_destroy(&vm);
}

static const struct ksft_test tests[] = {
	{ "same-as-stepped", .guest = guest_same, .flags = KSFT_VMX },
	{ "no-vmcs", .guest = guest_no_vmcs, .flags = KSFT_VMX },
	{ "random", .guest = guest_random, .flags = KSFT_VMX },
	{ "steps", .guest = guest_steps, .flags = KSFT_VMX },
	{ "breakpoint", .guest = guest_breakpoint, .flags = KSFT_VMX },
	{ "page-end", .guest = guest_page_end, .flags = KSFT_VMX },
	{ "no-fetch", .guest = guest_no_fetch, .flags = KSFT_VMX },
	{ "changed-code", .guest = guest_changed, .flags = KSFT_VMX },
	{ "blocked", .guest = guest_blocked, .flags = KSFT_VMX | KSFT_IRQCHIP },
	{ "user", .guest = guest_user, .flags = KSFT_VMX },
	{ "stops", .host = host_stops },
	{ "debugger", .host = host_debugger },
	{ "parameter", .host = host_parameter },
	{ "trace", .host = host_trace },
	{ "counts", .host = host_counts },
	{ "counts-without-shadowing", .host = host_counts_off },
};
KSFT_MAIN(tests)
