/* SPDX-License-Identifier: GPL-2.0 */
/* Entering L2 from an L1 with several vCPUs, for which what lib/vmx.c keeps is not made. */
#ifndef ENTER_H
#define ENTER_H

#include "guest.h"

/*
 * Enters L2 until it exits. L1's RIP and stack are written only if they changed, so that a turn is two exits. L2's
 * registers besides RSP are lost. Returns whether the entry failed.
 */
static inline u64 enter(bool launch, u64 *stack)
{
	u64 failed, dummy;

	asm volatile("push %%rbp\n"
		     "cmp (%%rsi), %%rsp; je 5f\n"
		     "mov %%rsp, (%%rsi)\n"
		     "mov $0x6c14, %%eax; vmwrite %%rsp, %%rax\n"
		     "mov $0x6c16, %%eax; lea 1f(%%rip), %%rdx; vmwrite %%rdx, %%rax\n"
		     "5: test %%rcx, %%rcx; jz 2f\n"
		     "vmlaunch; jmp 3f\n"
		     "2: vmresume\n"
		     "3: mov $1, %%eax; pop %%rbp; jmp 4f\n"
		     "1: xor %%eax, %%eax; pop %%rbp\n4:"
		     : "=&a" (failed), "=c" (dummy), "+S" (stack) : "c" ((u64)launch)
		     : "rbx", "rdx", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "memory", "cc");
	return failed;
}

#endif
