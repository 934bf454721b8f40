/* SPDX-License-Identifier: GPL-2.0 */
/* Interrupts that L1 injects into L2: for t_vmx_hot. */
#ifndef HOTINJECT_H
#define HOTINJECT_H

#include "hotexits.h"

#define INJECTED	(BIT(31) | 0x55)	/* an external interrupt */

static volatile u64 l2_interrupts;

/* In L2. */
static void l2_interrupt(struct trap_regs *regs)
{
	l2_interrupts++;
	l2_note(regs->rflags ^ regs->cs ^ regs->ss);
}

/* In L2, where its stack is FAR. */
void l2_far_stub(void);
asm(".pushsection .text\n"
	"l2_far_stub: cpuid\nud2\n"
	".popsection");

/* Enters L2 with an event, and notes what its exit says. */
static u64 inject_run(u64 info)
{
	static const enum vmcs_field fields[] = {
		F_REASON, F_QUAL, F_INTR_INFO, F_IDT_INFO, F_ENTRY_INTR_INFO, F_RIP, F_RSP, F_RFLAGS, F_INTERRUPTIBILITY,
	};
	u64 reason, i;

	vmwrite(F_ENTRY_INTR_INFO, info);
	reason = vmx_run();
	l1_note(reason);
	for (i = 0; i < ARRAY_SIZE(fields); i++)
		l1_note(vmread(fields[i]));
	return reason;
}

static void inject_begin(void)
{
	vmx_keep_host();
	g_trap_fn[INJECTED & 0xff] = l2_interrupt;
	vmwrite(F_RFLAGS, vmread(F_RFLAGS) | RFLAGS_IF);
}

static void inject_interrupts(void)
{
	u64 i, before = l2_interrupts, expected = 0;

	inject_begin();
	for (i = 0; i < 40; i++) {
		expected += i % 3 != 2;
		G_EQ(inject_run(i % 3 != 2 ? INJECTED : 0), R_CPUID, "CPUID behind the interrupt");
		G_EQ(vmread(F_ENTRY_INTR_INFO) >> 31, 0, "the exit clears bit 31");
		vmx_skip();
	}
	G_EQ(l2_interrupts - before, expected, "interrupts of L2");
}

/* Among good ones: reserved bits, an error code, another type, IF, blocking by STI. */
static void inject_bad(void)
{
	static const u64 bad[] = { INJECTED | BIT(12), INJECTED | BIT(30), INJECTED | BIT(11), INJECTED | 1 << 8 };
	u64 i, before = l2_interrupts;

	inject_begin();
	for (i = 0; i < 4 * ARRAY_SIZE(bad); i++) {
		vmwrite(F_ENTRY_INTR_INFO, bad[i % ARRAY_SIZE(bad)]);
		G_OK(vmx_try_enter(false) != VM_OK, "VMRESUME fails");
		l1_note(vmread(F_INSN_ERROR));
		G_EQ(inject_run(INJECTED), R_CPUID, "an entry between them");
		vmx_skip();
		vmwrite(F_RFLAGS, vmread(F_RFLAGS) & ~RFLAGS_IF);
		G_OK(inject_run(INJECTED) != R_CPUID, "the entry fails with IF clear");
		vmwrite(F_RFLAGS, vmread(F_RFLAGS) | RFLAGS_IF);
		G_EQ(inject_run(INJECTED), R_CPUID, "an entry behind it");
		vmx_skip();
		vmwrite(F_INTERRUPTIBILITY, 1);
		G_OK(inject_run(INJECTED) != R_CPUID, "the entry fails with blocking by STI");
		vmwrite(F_INTERRUPTIBILITY, 0);
	}
	G_EQ(l2_interrupts - before, 2 * i, "interrupts of L2");
	vmwrite(F_ENTRY_INTR_INFO, 0);
}

static volatile u64 l2_rsp;	/* RSP when an interrupt came */

static void l2_interrupt_rsp(struct trap_regs *regs)
{
	l2_interrupts++;
	l2_rsp = regs->rsp;
}

static volatile u64 l1_breaks;

static void l1_on_break(struct trap_regs *regs)
{
	l1_breaks++;
	regs->rflags |= BIT(16);
}

/* Instructions of L1 that are executed a second time by the processor, if they need not exit: a breakpoint is met once. */
void seldom_vmwrite(u64 value, u64 field);
void seldom_sgdt(void *to);
asm(".pushsection .text\n"
	"seldom_vmwrite: vmwrite %rdi, %rsi\nret\n"
	"seldom_sgdt: sgdt (%rdi)\nret\n"
	".popsection");

static void seldom_breakpoints(void)
{
	static u8 gdtr[16];
	u64 i, rsp = vmread(F_RSP);

	g_trap_fn[VEC_DB] = l1_on_break;
	for (i = 1; i <= 4; i++) {
		turns(100);
		l1_breaks = 0;
		write_dr0(i & 1 ? (u64)seldom_vmwrite : (u64)seldom_sgdt);
		write_dr7(0x402);
		if (i & 1)
			seldom_vmwrite(rsp, F_RSP);
		else
			seldom_sgdt(gdtr);
		write_dr7(0x400);
		G_EQN(l1_breaks, 1, "a breakpoint", i);
	}
	turns(1);
}

/*
 * L1 writes RSP, the primary controls and the event to inject seldom. Each write must have its effect at the next entry, and
 * be read back, whether it exits or not. Between them, there are exits without a write.
 */
static void inject_seldom(void)
{
	static const u64 gaps[] = { 20, 40, 3, 100, 40, 70 };
	u64 i, rsp = vmread(F_RSP), proc = vmread(F_PROC), before = l2_interrupts;

	inject_begin();
	seldom_breakpoints();
	g_trap_fn[INJECTED & 0xff] = l2_interrupt_rsp;
	for (i = 0; i < 3 * ARRAY_SIZE(gaps); i++) {
		turns(gaps[i % ARRAY_SIZE(gaps)]);
		switch (i % 3) {
		case 0:
			vmwrite(F_PROC, proc | PROC_INTR_WINDOW);
			G_EQ(vmread(F_PROC), proc | PROC_INTR_WINDOW, "the controls");
			G_EQ(vmx_run(), R_INTR_WINDOW, "a window that L1 asks for");
			vmwrite(F_PROC, proc);
			break;
		case 1:
			vmwrite(F_RSP, rsp - 0x100 - 16 * i);
			G_EQ(vmread(F_RSP), rsp - 0x100 - 16 * i, "RSP in the VMCS");
			turns(1);
			G_EQ(vmread(F_RSP), rsp - 0x100 - 16 * i, "RSP of L2");
			vmwrite(F_RSP, rsp);
			break;
		default:
			vmwrite(F_RSP, rsp - 0x100 - 16 * i);
			G_EQ(inject_run(INJECTED), R_CPUID, "CPUID behind the interrupt");
			G_EQ(l2_rsp, rsp - 0x100 - 16 * i, "RSP at the interrupt");
			vmwrite(F_RSP, rsp);
			vmx_skip();
		}
	}
	turns(1);
	G_EQ(l2_interrupts - before, i / 3, "interrupts of L2");
}

/* The delivery writes to a stack that EPT12 lacks; L1 maps it and injects the interrupt again. */
static void inject_faulting(u64 eptp)
{
	u64 i, rip, rsp, before = l2_interrupts;

	inject_begin();
	far_begin(eptp, FAR_ABSENT, 0, 0);
	rip = vmread(F_RIP);
	rsp = vmread(F_RSP);
	for (i = 0; i < 12; i++) {
		far_hide();
		vmwrite(F_RIP, (u64)l2_far_stub);
		vmwrite(F_RSP, FAR + 0x800);
		G_EQ(inject_run(INJECTED), R_EPT_VIOLATION, "the delivery");
		G_EQ(vmread(F_IDT_INFO), INJECTED, "IDT-vectoring information");
		far_show();
		G_EQ(inject_run(vmread(F_IDT_INFO)), R_CPUID, "the interrupt, injected again");
	}
	far_kind = FAR_MAPPED;
	vmwrite(F_RIP, rip);
	vmwrite(F_RSP, rsp);
	G_EQ(l2_interrupts - before, i, "interrupts of L2");
}

#endif
