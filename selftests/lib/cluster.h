/* SPDX-License-Identifier: GPL-2.0 */
/* Code of VMREADs and VMWRITEs for t_cluster and t_cluster_stops: made, called, compared with its single steps, counted. */
#ifndef CLUSTER_H
#define CLUSTER_H

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include "stat.h"
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

static __attribute__((unused)) void e_write(u32 field, u32 reg)
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

/* What RSI points to: a place for the code's stores. */
static u8 memory[4096] __attribute__((aligned(4096)));	/* shares its page with nothing */

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
	st.reg[SI] = (u64)memory;
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
	u8 stored[256];
	struct state once;

	set_fields();
	g_fill(memory, 0x11, sizeof(stored));
	call_code(code, 0);
	once = st;
	g_copy(stored, memory, sizeof(stored));
	g_fill(memory, 0x11, sizeof(stored));
	get_fields(fields);
	set_fields();
	steps = 0;
	g_trap_fn[VEC_DB] = on_db;
	call_code(code, RFLAGS_TF);
	get_fields(stepped);
	for (u64 i = 0; i < NR_REGS; i++)
		G_EQN(once.reg[i], st.reg[i], "register", n << 8 | i);
	G_EQN(once.flags, st.flags, "RFLAGS", n);
	G_EQN(g_diff(stored, memory, sizeof(stored)), -1, "memory", n);
	for (u64 i = 0; i < ARRAY_SIZE(written); i++)
		G_EQN(fields[i], stepped[i], "field", n << 8 | i);
	return steps;
}

static void reads(u32 n)
{
	static const u32 field[] = { F_ES_BASE, F_ES_LIMIT, F_TSC_OFFSET, F_GUEST_ES, F_LINK_POINTER, F_HOST_CR0, F_PIN, F_TR_BASE };

	for (u32 i = 0; i < n; i++)
		e_read(field[i % ARRAY_SIZE(field)], i % 4 ? R8 + i % 8 : DX);
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

/* --- counts --- */

static u64 exits(struct vcpu *vcpu)
{
	return stat_at(vcpu, "exits_by_reason", R_VMREAD) + stat_at(vcpu, "exits_by_reason", R_VMWRITE);
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

#endif
