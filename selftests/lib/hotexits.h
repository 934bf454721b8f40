/* SPDX-License-Identifier: GPL-2.0 */
/* Exits of L2 that L1 answers by changing L2's control registers or EPT12: for t_vmx_hot. */
#ifndef HOTEXITS_H
#define HOTEXITS_H

#include "hotstate.h"

/* --- L2: called in L2 --- */

#define MOVES_CR	BIT(0)	/* MOV to CR0 and CR4 */
#define MOVES_CR3	BIT(1)
#define CLEARS_TS	BIT(2)	/* CLTS, and LMSW */
#define TOUCHES		BIT(3)	/* pages at FAR */
#define MOVES_MCE	BIT(4)	/* MOV to CR4 that changes MCE, which only L0 intercepts */
#define SETS_DEBUGCTL	BIT(5)	/* WRMSR of IA32_DEBUGCTL now and then, which only L0 intercepts */

/* L2-physical, and linear. L1 has no memory there. */
#define FAR		0x40000000ul
#define FAR_PAGES	4

static volatile u64 l2_exits;	/* which of them L2 causes before each CPUID */

static void l2_touch(volatile u64 *at, u64 turn)
{
	if (turn & 1)
		l2_note(*at);
	*at = *at + turn;
	l2_note(*at);
}

static void l2_cause(u64 exits, u64 turn)
{
	u64 i;

	if (exits & MOVES_CR) {
		write_cr0(read_cr0() ^ CR0_TS);
		l2_note(read_cr0());
		write_cr4(read_cr4() ^ CR4_TSD);
		l2_note(read_cr4());
	}
	if (exits & MOVES_MCE) {
		write_cr4(read_cr4() ^ CR4_MCE);
		l2_note(read_cr4());
	}
	if (exits & SETS_DEBUGCTL) {
		l2_note(rdmsr(MSR_DEBUGCTL));
		if (!(turn & 3))
			wrmsr(MSR_DEBUGCTL, turn >> 2 & 3);
		l2_note(rdmsr(MSR_DEBUGCTL));
	}
	if (exits & CLEARS_TS) {
		asm volatile("clts" : : : "memory");
		l2_note(read_cr0());
		asm volatile("lmsw %0" : : "r" ((u16)(read_cr0() | CR0_TS)) : "memory");
		l2_note(read_cr0());
	}
	if (exits & MOVES_CR3) {
		write_cr3(l2_cr3[turn & 1]);
		l2_note(read_cr3());
	}
	if (exits & TOUCHES)
		for (i = 0; i < FAR_PAGES; i++)
			l2_touch((volatile u64 *)(FAR + i * 4096), turn + i);
}

/* --- L1: called in L1 --- */

/* What is unusual in the answer. */
#define ONLY_SHADOW	BIT(0)	/* the register has another value than L2 reads */
#define WITH_CONTROLS	BIT(1)	/* the next entry is not of the short kind */
#define WITH_VMCLEAR	BIT(2)
/* An entry fails first, because of a bit that a processor must have set while it runs a guest. */
#define BAD_CR4		BIT(3)
#define BAD_CR0		BIT(4)
#define READ_BACK	BIT(5)	/* and VMWRITEs once more */
#define NOT_AT_ONCE	BIT(6)	/* L2's access to CR0 has no effect */
static u64 l1_answer, l1_vmcs;

static void l1_bad_entry(enum vmcs_field field, u64 bad)
{
	u64 good = vmread(field);

	vmwrite(field, bad);
	l1_note(vmx_run());
	l1_note(vmread(F_QUAL));
	l1_note(vmread(field));
	vmwrite(field, good);
}

static void l1_change_cr(enum vmcs_field shadow, enum vmcs_field reg, u64 bit)
{
	vmwrite(shadow, vmread(shadow) ^ bit);
	if (!(l1_answer & ONLY_SHADOW))
		vmwrite(reg, vmread(reg) ^ bit);
	if (l1_answer & READ_BACK) {
		vmwrite(shadow, vmread(shadow) ^ bit ^ 2);
		l1_note(vmread(shadow) ^ vmread(reg));
		vmwrite(shadow, vmread(shadow) ^ bit ^ 2);
	}
}

static void l1_answer_cr(void)
{
	u64 qual = vmread(F_QUAL), cr = qual & 0xf;

	if (cr == 3)
		vmwrite(F_GUEST_CR3, vmread(F_GUEST_CR3) ^ l2_cr3[0] ^ l2_cr3[1]);
	else if (cr == 4)
		l1_change_cr(F_CR4_SHADOW, F_GUEST_CR4, CR4_TSD);
	else if (!(l1_answer & NOT_AT_ONCE))
		l1_change_cr(F_CR0_SHADOW, F_GUEST_CR0, CR0_TS);
	if (l1_answer & WITH_CONTROLS)
		vmwrite(F_EXCEPTION_BITMAP, vmread(F_EXCEPTION_BITMAP) ^ BIT(VEC_OF));
	if (l1_answer & WITH_VMCLEAR) {
		G_EQ(vmclear(l1_vmcs), VM_OK, "VMCLEAR");
		vmcs_load(l1_vmcs);
		l1_note(vmread(F_CR0_SHADOW) ^ vmread(F_CR4_SHADOW) << 1 ^ vmread(F_GUEST_CR0) << 2 ^ vmread(F_GUEST_CR4) << 3);
	}
	if (l1_answer & BAD_CR4)
		l1_bad_entry(F_GUEST_CR4, vmread(F_GUEST_CR4) & ~CR4_VMXE);
	if (l1_answer & BAD_CR0)
		l1_bad_entry(F_GUEST_CR0, vmread(F_GUEST_CR0) & ~CR0_NE);
	vmx_skip();
}

/* What L1 makes of L2's pages at FAR before it resumes L2 after CPUID. The answer to an exit undoes it. */
enum { FAR_MAPPED, FAR_ABSENT, FAR_READ_ONLY, FAR_WRITE_ONLY, FAR_NO_TABLE, FAR_OTHER_TABLE, FAR_TABLE_READ_ONLY };
static u64 far_kind, far_eptp, far_entry[FAR_PAGES], *far_tables[2], far_turn;
static u64 far_sets;	/* the flags that L2's writes must set in the entries */
static bool far_begun;

/* @flags and @upper are those in the entries for the pages, and in those above. */
static void far_begin(u64 eptp, u64 kind, u64 flags, u64 upper)
{
	u64 i, *pde;

	far_eptp = eptp;
	far_kind = kind;
	far_sets = upper ? EPT_A | EPT_D : 0;
	far_begun = false;
	for (i = 0; i < FAR_PAGES; i++) {
		far_entry[i] = (u64)g_page() | EPT_RWX | EPT_MT_WB | flags;
		*ept_entry(eptp, FAR + i * 4096, 1) = far_entry[i];
	}
	pde = ept_entry(eptp, FAR, 2);
	far_tables[0] = (u64 *)(*pde & ~0xffful);
	far_tables[1] = g_page();
	g_copy(far_tables[1], far_tables[0], 4096);
	*pde |= upper;
	*ept_entry(eptp, FAR, 3) |= upper;
	*ept_entry(eptp, FAR, 4) |= upper;
}

/* Does not tell the processor, which must look again at each violation. */
static void far_show(void)
{
	u64 page = (vmread(F_GUEST_PHYSICAL) - FAR) / 4096, *pde = ept_entry(far_eptp, FAR, 2);
	u64 flags = *ept_entry(far_eptp, FAR, 3) & (EPT_RWX | EPT_A);

	G_OK(page < FAR_PAGES, "the violation is at FAR");
	switch (far_kind) {
	case FAR_NO_TABLE:
		*pde = (u64)far_tables[0] | flags;
		break;
	case FAR_OTHER_TABLE:
		*pde = (u64)far_tables[far_turn++ & 1] | flags;
		break;
	case FAR_TABLE_READ_ONLY:
		*pde = (u64)far_tables[0] | (far_turn++ & 1 ? flags : (flags & ~(u64)EPT_RWX) | EPT_R);
		break;
	default:
		far_tables[0][(FAR >> 12 & 511) + page] = far_entry[page];
		break;
	}
}

static void far_hide(void)
{
	u64 i, *pde = ept_entry(far_eptp, FAR, 2), off = FAR >> 12 & 511;

	for (i = 0; i < FAR_PAGES; i++) {
		l1_note(far_tables[0][off + i] & (EPT_A | EPT_D));
		if (far_begun && far_sets)
			G_EQ(far_tables[0][off + i] & far_sets, far_sets, "flags after L2's write");
		if (far_kind == FAR_ABSENT)
			far_tables[0][off + i] = 0;
		if (far_kind == FAR_READ_ONLY)
			far_tables[0][off + i] = far_entry[i] & ~EPT_W;
		if (far_kind == FAR_WRITE_ONLY)
			far_tables[0][off + i] = far_entry[i] & ~(EPT_R | EPT_X);
	}
	if (far_kind == FAR_NO_TABLE || far_kind == FAR_TABLE_READ_ONLY)
		*pde = 0;
	/* One of the tables has the pages, the other only some. */
	if (far_kind == FAR_OTHER_TABLE) {
		*pde = 0;
		far_tables[1][off + 1] = 0;
	}
	if (far_kind != FAR_MAPPED)
		G_EQ(invept_all(), VM_OK, "INVEPT");
	far_begun = true;
}

/* Answers an exit, and moves L2's RIP if need be. Returns false if it is another one. */
static bool l1_answers(u64 reason)
{
	switch (reason) {
	case R_CR:
		l1_answer_cr();
		return true;
	case R_EPT_VIOLATION:
	case R_EPT_MISCONFIG:
		if (far_kind == FAR_MAPPED)
			return false;
		far_show();
		return true;
	default:
		if (far_kind != FAR_MAPPED)
			far_hide();
		return false;
	}
}

#endif
