/* SPDX-License-Identifier: GPL-2.0 */
/* The hypercall with a list of operations for L2: an L1 that delegates it, and calls of L2. */
#ifndef KSFT_DELEGATE_H
#define KSFT_DELEGATE_H

#include "multicall.h"
#include "vmx.h"

#define CODE(name, text) \
extern char name[]; \
asm(".pushsection .text\n.globl " #name "\n" #name ":\n" text "\n.popsection\n")

/* The list, and another VMCALL with the result in RAX, which is L1's. */
CODE(c_call, "vmcall\nvmcall");
#define CALL_LEN	3

static u8 *msr_map;
static u64 eptp, vmcs;
static struct droste_multicall *list;

static inline void l2_start(void)
{
}

/* An L1 that intercepts nothing that it need not, and has not delegated the call yet. */
static inline void begin(void)
{
	vmx_on();
	msr_map = g_page();
	eptp = ept_new();
	list = g_page();
	vmcs = vmcs_usual(l2_start, msr_map, eptp);
}

static inline void delegate(void)
{
	begin();
	wrmsr(DROSTE_MSR_DELEGATE, vmcs | DROSTE_DELEGATE_ENABLE);
}

static inline struct droste_multicall_entry *add(u64 op, u64 a0, u64 a1, u64 a2)
{
	return multicall_add(list, op, a0, a1, a2);
}

static inline void empty(void)
{
	list->n = list->done = 0;
}

/* Runs L2 at the VMCALL. Returns the exit reason. */
static inline u64 start(u64 gpa)
{
	l2.rax = DROSTE_MULTICALL;
	l2.rbx = gpa;
	vmwrite(F_RIP, (u64)c_call);
	return vmx_run();
}

/* L2's call, which must end without an exit to L1. Returns its result. */
static inline u64 call_at(u64 gpa)
{
	G_EQ(start(gpa), R_VMCALL, "the exit is of the second VMCALL");
	G_EQ(vmread(F_RIP), (u64)c_call + CALL_LEN, "L2's RIP");
	G_EQ(l2.rbx, gpa, "RBX");
	return l2.rax;
}

static inline u64 call(void)
{
	return call_at((u64)list);
}

#endif
