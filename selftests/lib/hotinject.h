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
