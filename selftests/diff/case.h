/* SPDX-License-Identifier: GPL-2.0 */
/* A case of t_diff: an instruction, the state it runs in, and its outcomes natively and trapped. Plain C types. */
#ifndef DIFF_CASE_H
#define DIFF_CASE_H

#include <stdbool.h>
#include <stdint.h>

#define DIFF_BATCH	64	/* cases between two round trips to user space */

/* Guest-physical addresses. There are two copies of the two data pages; MMIO and ROM show the second one. */
#define DIFF_NATIVE	0x1600000ul
#define DIFF_TRAPPED	0x1602000ul
#define DIFF_CODE	0x1604000ul	/* two pages */
#define DIFF_SOURCE	0x1606000ul	/* MOVS reads here the bytes that INS reads from its port */
#define DIFF_SHARED	0x1800000ul	/* struct diff_shared */
#define DIFF_MMIO	0x10000000ul	/* data page i is at DIFF_MMIO + i * DIFF_STRIDE */
#define DIFF_ROM	0x20000000ul
#define DIFF_STRIDE	0x5000ul	/* pages adjacent in linear memory are apart in physical memory */
#define DIFF_PORT	0x5d0
#define DIFF_PORT8	0xd0	/* for IN and OUT with a port in the instruction */

/* Linear addresses. */
#define LIN_CODE	0x60000000ul
#define LIN_ARENA	0x60001000ul	/* the generator's arena: the second code page and the data */
#define LIN_DATA	0x60002000ul
#define LIN_HOLE	0x60004000ul
#define LIN_SOURCE	0x60005000ul
#define DIFF_DATA	0x2000

enum diff_kind {
	DIFF_INSN,	/* the same instruction on memory and on MMIO */
	DIFF_INS,	/* INS, natively MOVS from where the port's data are */
	DIFF_OUTS,	/* OUTS, natively LODS */
	/* made by system.c, with the native counterparts */
	DIFF_IN, DIFF_OUT, DIFF_CPUID, DIFF_CR0, DIFF_CR4, DIFF_WRMSR, DIFF_RDMSR, DIFF_DR, DIFF_CR8,
	NR_DIFF_KINDS
};

enum diff_place { AT_MMIO, AT_ROM, AT_RAM };

struct diff_regs {
	uint64_t gpr[16], rip, rflags;
};

#define NOT_EMULATED	0xfe	/* diff_out.vector: KVM_RUN gave up */

struct diff_out {
	struct diff_regs r;
	uint64_t cr2, dr6, pte[2];
	uint64_t extra;		/* value of the control register or MSR that the instruction wrote */
	uint32_t vector, error;
	uint16_t cs, ss;
	uint8_t vec[32][64];
	uint8_t data[DIFF_DATA];
};

struct diff_case {
	uint64_t seed, index;
	uint32_t kind;		/* enum diff_kind */
	uint8_t mode;		/* 0: 16, 1: 32, 2: 64 bits */
	uint8_t cpl;
	uint8_t vector;		/* vector registers are compared */
	uint8_t task_switched;	/* CR0.TS */
	uint8_t len[2];
	uint8_t bytes[2][32];	/* native, trapped */
	uint32_t source;	/* DIFF_OUT: the offset of its data */
	uint64_t at;		/* linear address of the instruction */
	uint8_t place[2];	/* enum diff_place of the data pages when trapped */
	uint64_t pte[2];	/* flags of the data pages */
	uint64_t desc[6];	/* ES, CS, SS, DS, FS, GS */
	uint16_t sel[6];
	uint64_t base[2];	/* FS, GS in 64-bit mode */
	struct diff_regs in;
	uint8_t vec[32][64];
	uint8_t data[DIFF_DATA];
	struct diff_out out[2];
	uint32_t exits;		/* exits to user space */
	uint32_t nr_port;	/* bytes that went through the port */
	uint8_t port[512];
};

struct diff_shared {
	uint32_t n;		/* cases in this batch */
	uint32_t cur;		/* index of the case that runs */
	uint32_t side;		/* 0: natively, 1: trapped */
	uint32_t simd;		/* 0: SSE, 1: AVX, 2: AVX-512 */
	uint32_t leaf1_ecx, leaf7_ebx, leaf7_ecx, ext1_ecx;	/* CPUID of the guest: functions 1, 7, 80000001H */
	struct diff_case c[DIFF_BATCH];
};

/* --- make.c, in user space --- */
struct diff_features {
	uint32_t simd, leaf1_ecx, leaf7_ebx, leaf7_ecx, ext1_ecx;	/* see struct diff_shared */
};
void diff_features(const struct diff_features *f);
void diff_make(struct diff_case *c, uint64_t seed, uint64_t index, uint32_t slot);
/* In t_diff.c: picks a CPUID function and sub-leaf and returns the answer expected. @any, @more: random. */
void diff_cpuid_pick(uint64_t any, uint64_t more, uint32_t *fn, uint32_t *index, uint32_t out[4]);
/* Returns the name of a difference, NULL if there is none. */
const char *diff_check(const struct diff_case *c, uint32_t slot);

/* --- report.c --- */
void diff_report(const struct diff_case *c, const char *what);

#endif
