/* SPDX-License-Identifier: GPL-2.0 */
/* Differential test of the emulator: one case, its two outcomes, and the parts that make and compare them. */
#ifndef DIFF_H
#define DIFF_H

#include "emul/exec.h"

/* Code, data, and an inaccessible page behind the data; below 2 GiB, so that 32-bit addresses reach it. */
#define CODE_BYTES	0x1000u
#define DATA_BYTES	0x2000u
#define INSN_AT		0x800u	/* offset of the instruction in the code page; the rest of the page is INT3 */

#define TRAP_DB		1	/* the instruction ended without a fault, and TF was set */
#define TRAP_BP		3	/* the instruction ended without a fault */

/* State before a case, and state after it on either side. */
struct machine {
	u64 gpr[16];
	u64 rip, rflags;
	u8 vec[32][64];
	u8 data[DATA_BYTES];
	u8 trap;		/* vector of the exception, TRAP_BP or TRAP_DB */
	u32 error_code;
	u64 cr2;		/* with #PF */
};

struct test_case {
	enum emul_mode mode;
	u8 bytes[32];
	u32 len;
	struct emul_insn insn;
	bool vector;		/* vector registers are compared */
	struct machine in;
};

/* Processor of the native side, as far as the table in compare.c and the generator depend on it. */
struct native_cpu {
	bool intel;
	bool movbe, clwb, sse3, sse41, sse42, cx16, avx, avx2, avx512;
	bool popcnt, lzcnt, bmi1, bmi2, adx, movdiri, movdir64b;
	bool mode16, mode32;	/* code of these sizes runs */
	bool lass;		/* CR4.LASS is set: a process's access to the kernel's half is #GP or #SS */
	bool machine;		/* t_diff's guest, a whole machine: the test sets segments; false for a process */
	u8 la_bits;		/* width of linear addresses: 48 or 57 */
};

extern u8 *arena;		/* CODE_BYTES, then DATA_BYTES */
extern u16 selectors[NR_SREGS];	/* selectors of the process */

/* --- native.c, and t_diff's make.c for a guest --- */
void native_init(void);
void native_run(const struct test_case *t, struct machine *out);
/* Base of the segments of a mode: 16-bit segments start at the arena. */
u64 segment_base(enum emul_mode mode);
/* Base that an FS or GS override adds to segment_base() in 64-bit mode. */
u64 override_base(const struct test_case *t);
/* The #PF was outside the data's pages, where this test does not know whether a page is present. */
bool pf_elsewhere(const struct machine *nat);

/* --- compare.c --- */
/* Returns the name of the first difference that the manual does not allow, NULL if there is none. */
const char *compare(const struct test_case *t, const struct machine *native, const struct machine *emu);
/* Whether the manual defines the outcome and the processor has the instruction. */
bool comparable(const struct test_case *t);

/* --- gen.c --- */
extern struct native_cpu cpu;
extern s64 insn_at;		/* offset of the next case's instruction in the arena; INSN_AT at first */
/* What the processor has: words of CPUID, and whether the state of @avx and @avx512 is enabled in XCR0. */
struct cpu_words {
	u32 leaf1_ecx, leaf7_ebx, leaf7_ecx, ext1_ecx;	/* functions 1, 7 and 80000001H */
	bool avx, avx512;
};

void cpu_features(const struct cpu_words *w);
void rng_seed(u64 seed);
u64 rng(void);
bool generate(struct test_case *t);	/* false: the case cannot be run; try again */

#endif
