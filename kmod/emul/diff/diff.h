/* SPDX-License-Identifier: GPL-2.0 */
/* The differential test of the emulator: one case, run twice, and what may differ. */
#ifndef DIFF_H
#define DIFF_H

#include "emul/exec.h"

/* Code, data, and an inaccessible page behind the data; below 2 GiB, so that 32-bit addresses reach it. */
#define CODE_BYTES	0x1000u
#define DATA_BYTES	0x2000u
#define INSN_AT		0x800u	/* where in the code page the instruction is; the rest of it is INT3 */

#define TRAP_DB		1	/* likewise, and TF was set */
#define TRAP_BP		3	/* the instruction ended without a fault */

/* What goes in and what comes out, of either side. */
struct machine {
	u64 gpr[16];
	u64 rip, rflags;
	u8 vec[32][64];
	u8 data[DATA_BYTES];
	u8 trap;		/* vector; TRAP_BP: none */
	u32 error_code;
	u64 cr2;		/* with #PF */
};

struct test_case {
	enum emul_mode mode;
	u8 bytes[32];
	u32 len;
	struct emul_insn insn;
	bool vector;		/* vector registers matter */
	struct machine in;
};

/* --- native.c --- */
extern u8 *arena;		/* CODE_BYTES, then DATA_BYTES */
extern bool has_avx, has_avx512, has_mode16, has_mode32, has_movbe, has_clwb;
extern bool has_machine;	/* a whole machine, Intel's: segments are the test's own */
extern u16 selectors[NR_SREGS];	/* the process's own */
void native_init(void);
void native_run(const struct test_case *t, struct machine *out);
/* Offset of the arena in the segments of a mode: 16-bit segments start at it. */
u64 segment_base(enum emul_mode mode);
/* What the memory operand's segment adds to that: FS and GS in 64-bit mode. */
u64 override_base(const struct test_case *t);
/* The fault was not in the data's pages: whether there was a page is the process's affair. */
bool pf_elsewhere(const struct machine *nat);

/* --- compare.c: NULL, or what differs; flags that the manual leaves undefined after the instruction --- */
const char *compare(const struct test_case *t, const struct machine *nat, const struct machine *emu);
u64 undefined_flags(const struct test_case *t);

/* --- gen.c --- */
extern s64 insn_at;		/* where the next case's instruction is, from the arena's start; INSN_AT at first */
void rng_seed(u64 seed);
u64 rng(void);
bool generate(struct test_case *t);	/* false: not a case that can be run; try again */

#endif
