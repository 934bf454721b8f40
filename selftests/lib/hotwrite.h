/* SPDX-License-Identifier: GPL-2.0 */
/* VMWRITEs of HOST_RSP, whose exits the short loop handles, in unusual states and forms: for t_vmx_hot. */
#ifndef HOTWRITE_H
#define HOTWRITE_H

#include "hotexits.h"

#define ARITH	(RFLAGS_CF | BIT(2) | BIT(4) | RFLAGS_ZF | BIT(7) | BIT(11))
#define WRITES	64	/* in a row */

static u64 write_steps;	/* traps of single steps */

/* Ends single steps, and notes where the instruction has left RIP. */
static void on_write_step(struct trap_regs *regs)
{
	extern char write_stepped[];

	regs->rflags &= ~(u64)RFLAGS_TF;
	write_steps++;
	l1_note(regs->rip == (u64)write_stepped);
}

/* Returns RFLAGS after the VMWRITE, which finds @before in RFLAGS. */
static u64 write_flags(u64 enc, u64 val, u64 before)
{
	u64 after;

	asm volatile("pushq %3; popfq; vmwrite %2, %1; pushfq; popq %0"
		     : "=&r" (after) : "r" (enc), "r" (val), "r" (before) : "memory", "cc");
	return after;
}

/* The trap comes right after the VMWRITE. There is one copy of the label. */
static __attribute__((noinline, noclone)) u64 write_step(u64 enc, u64 val)
{
	u64 after;

	g_trap_fn[VEC_DB] = on_write_step;
	asm volatile("pushfq; orq %3, (%%rsp); popfq; vmwrite %2, %1; write_stepped: pushfq; popq %0"
		     : "=&r" (after) : "r" (enc), "r" (val), "i" (RFLAGS_TF) : "memory", "cc");
	g_trap_fn[VEC_DB] = NULL;
	return after;
}

/* The operands are not in registers that a handler finds in memory. */
static void write_odd_operands(u64 val)
{
	u64 rsp;

	asm volatile("vmwrite %1, %0" : : "r" ((u64)F_HOST_RSP), "m" (val) : "cc");
	l1_note(vmread(F_HOST_RSP) == val);
	asm volatile("mov %%rsp, %0; vmwrite %%rsp, %1" : "=&r" (rsp) : "r" ((u64)F_HOST_RSP) : "cc");
	l1_note(vmread(F_HOST_RSP) == rsp);
	/* RSP is the encoding. No interrupt comes. */
	asm volatile("mov %%rsp, %0; mov %2, %%rsp; vmwrite %1, %%rsp; mov %0, %%rsp"
		     : "=&r" (rsp) : "r" (val + 8), "r" ((u64)F_HOST_RSP) : "cc");
	l1_note(vmread(F_HOST_RSP) == val + 8);
}

static u64 write_as_user(u64 arg)
{
	return try_vmwrite(F_HOST_RSP, arg);
}

static u64 write_blocked(u64 val)
{
	u64 after;

	asm volatile("sti; vmwrite %2, %1; cli; pushfq; popq %0" : "=&r" (after) : "r" ((u64)F_HOST_RSP), "r" (val) : "cc");
	return after;
}

/* In VMX operation, with or without a current VMCS. */
static void write_all_forms(u64 val)
{
	u64 i;

	for (i = 0; i < WRITES; i++) {
		l1_note(write_flags(F_HOST_RSP, val + i, RFLAGS_FIXED | (i & 1 ? ARITH : 0)));
		if (i % 8 == 0)
			l1_note(vmread(F_HOST_RSP));
	}
	l1_note(write_step(F_HOST_RSP, val));
	l1_note(write_steps);
	l1_note(write_blocked(val + 1));
	l1_note(vmread(F_HOST_RSP));
	/* No fields: another width, and bits above the encoding. */
	l1_note(try_vmwrite(F_HOST_RSP | 1, val + 2));
	l1_note(try_vmwrite(F_HOST_RSP | BIT(32), val + 3));
	l1_note(g_user(write_as_user, val + 4));
	l1_note(vmread(F_HOST_RSP));
	write_odd_operands(val + 5);
}

/* L1 changes HOST_RSP. @vmcs is current, before and after. */
static void write_host_rsp(u64 vmcs, u64 region_on)
{
	write_all_forms(0x1234000);
	G_EQ(vmclear(vmcs), VM_OK, "VMCLEAR");
	l1_note(write_flags(F_HOST_RSP, 0x5678000, RFLAGS_FIXED | ARITH));
	l1_note(try_vmwrite(F_HOST_RSP, 0x5678000));
	G_EQ(vmxoff(), VM_OK, "VMXOFF");
	l1_note(try_vmwrite(F_HOST_RSP, 0x5678000));
	G_EQ(vmxon(region_on), VM_OK, "VMXON");
	vmcs_load(vmcs);
	l1_note(vmread(F_HOST_RSP));
}

#endif
