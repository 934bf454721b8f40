/* SPDX-License-Identifier: GPL-2.0 */
/* A guest that makes an access of one kind to a port or to MMIO again and again, and user space that checks and answers it. */
#ifndef ACCESSES_H
#define ACCESSES_H

#include <errno.h>
#include <string.h>
#include "guest.h"
#include "vm.h"

#define DEV	MMIO_HOLE
#define PORT	0x310
#define ANSWER	0x88776655c433a291ul	/* the sign bit of each size is set */
#define BEFORE	0x0123456789abcdeful	/* a register before it is loaded */
#define WARM	6			/* exits after which the next ones go the short way */

enum kind {
	OUT8, OUT16, OUT32, OUT_IMM, IN8, IN16, IN32, IN_IMM, NR_PORT_KINDS,
	LOAD8 = NR_PORT_KINDS, LOAD16, LOAD32, LOAD64, ZERO8, SIGN8, SIGN16, SIGN32, STORE8, STORE32, STORE64, NR_KINDS,
};

static volatile u64 kind;	/* enum kind; the guest's copy is read before each access */
static volatile u64 count;	/* accesses that are complete */
static volatile u64 got;	/* RAX after the last one */

static u64 access_port(u64 rax)
{
	switch (kind) {
	case OUT8:
		asm volatile("outb %%al, %%dx" : : "a" (rax), "d" (PORT));
		break;
	case OUT16:
		asm volatile("outw %%ax, %%dx" : : "a" (rax), "d" (PORT));
		break;
	case OUT32:
		asm volatile("outl %%eax, %%dx" : : "a" (rax), "d" (PORT));
		break;
	case OUT_IMM:
		asm volatile("outb %%al, $0x90" : : "a" (rax));
		break;
	case IN8:
		asm volatile("inb %%dx, %%al" : "+a" (rax) : "d" (PORT));
		break;
	case IN16:
		asm volatile("inw %%dx, %%ax" : "+a" (rax) : "d" (PORT));
		break;
	case IN32:
		asm volatile("inl %%dx, %%eax" : "+a" (rax) : "d" (PORT));
		break;
	case IN_IMM:
		asm volatile("inb $0x90, %%al" : "+a" (rax));
		break;
	}
	return rax;
}

static u64 access_memory(u64 rax)
{
	u64 at = DEV;

	switch (kind) {
	case LOAD8:
		asm volatile("movb (%1), %%al" : "+a" (rax) : "r" (at));
		break;
	case LOAD16:
		asm volatile("movw (%1), %%ax" : "+a" (rax) : "r" (at));
		break;
	case LOAD32:
		asm volatile("movl (%1), %%eax" : "+a" (rax) : "r" (at));
		break;
	case LOAD64:
		asm volatile("movq (%1), %%rax" : "+a" (rax) : "r" (at));
		break;
	case ZERO8:
		asm volatile("movzbl (%1), %%eax" : "+a" (rax) : "r" (at));
		break;
	case SIGN8:
		asm volatile("movsbw (%1), %%ax" : "+a" (rax) : "r" (at));
		break;
	case SIGN16:
		asm volatile("movswl (%1), %%eax" : "+a" (rax) : "r" (at));
		break;
	case SIGN32:
		asm volatile("movslq (%1), %%rax" : "+a" (rax) : "r" (at));
		break;
	case STORE8:
		asm volatile("movb %%al, (%1)" : : "a" (rax), "r" (at));
		break;
	case STORE32:
		asm volatile("movl %%eax, (%1)" : : "a" (rax), "r" (at));
		break;
	case STORE64:
		asm volatile("movq %%rax, (%1)" : : "a" (rax), "r" (at));
		break;
	}
	return rax;
}

static u32 size_of(enum kind k)
{
	static const u8 sizes[NR_KINDS] = {
		1, 2, 4, 1, 1, 2, 4, 1, 1, 2, 4, 8, 1, 1, 2, 4, 1, 4, 8,
	};

	return sizes[k];
}

static bool is_input(enum kind k)
{
	return (k >= IN8 && k < NR_PORT_KINDS) || (k >= LOAD8 && k <= SIGN32);
}

/* Checks what kvm_run says about the access, and answers it. */
static void answer(struct vcpu *vcpu, enum kind k, const char *when)
{
	struct kvm_run *run = vcpu->run;
	u64 val = ANSWER, sent = 0, mask = ~0ul >> (64 - 8 * size_of(k));

	if (k < NR_PORT_KINDS) {
		MUST(run->exit_reason == KVM_EXIT_IO, "%s: exit %u", when, run->exit_reason);
		EQ(run->io.direction, is_input(k) ? KVM_EXIT_IO_IN : KVM_EXIT_IO_OUT, "%s: direction, access %u", when, k);
		EQ(run->io.size, size_of(k), "%s: size, access %u", when, k);
		EQ(run->io.port, k == OUT_IMM || k == IN_IMM ? 0x90 : PORT, "%s: port, access %u", when, k);
		EQ(run->io.count, 1, "%s: count, access %u", when, k);
		EQ(run->io.data_offset, 4096, "%s: offset of the data, access %u", when, k);
		if (is_input(k)) {
			memcpy((u8 *)run + run->io.data_offset, &val, size_of(k));
			return;
		}
		memcpy(&sent, (u8 *)run + run->io.data_offset, size_of(k));
	} else {
		MUST(run->exit_reason == KVM_EXIT_MMIO, "%s: exit %u", when, run->exit_reason);
		EQ(run->mmio.is_write, !is_input(k), "%s: direction, access %u", when, k);
		EQ(run->mmio.len, size_of(k), "%s: size, access %u", when, k);
		EQ(run->mmio.phys_addr, DEV, "%s: address, access %u", when, k);
		if (is_input(k)) {
			memcpy(run->mmio.data, &val, size_of(k));
			return;
		}
		memcpy(&sent, run->mmio.data, size_of(k));
	}
	EQ(sent, BEFORE & mask, "%s: data, access %u", when, k);
}

/* Accesses for which the changes below are tried. */
static const enum kind some[] = { OUT8, IN16, IN32, LOAD32, SIGN8, STORE32 };
#define FOR_SOME(i)	for (i = 0; i < ARRAY_SIZE(some); i++)

#endif
