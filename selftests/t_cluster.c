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
			       F_TR_LIMIT, F_RIP, F_RSP, F_INSN_ERROR };

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

static const struct ksft_test tests[] = {
	{ "same-as-stepped", .guest = guest_same, .flags = KSFT_VMX },
	{ "no-vmcs", .guest = guest_no_vmcs, .flags = KSFT_VMX },
	{ "counts", .host = host_counts },
	{ "counts-without-shadowing", .host = host_counts_off },
};
KSFT_MAIN(tests)
