/* SPDX-License-Identifier: GPL-2.0 */
/* Who gets an L2 exit, L0 or L1: plain values in, one answer out. */
#ifndef DROSTE_ROUTE_H
#define DROSTE_ROUTE_H

#include <linux/types.h>

struct vmcs12;

/* Whose exit it is. */
enum route {
	ROUTE_L0,	/* L0 handles it; L1 never learns of it */
	ROUTE_L1,	/* L1 asked for it: it is reflected */
};

/**
 * struct route_facts - all that the decision about one exit from L2 depends on
 *
 * The collector (reflect.c) fills in what the exit's reason needs; the rest
 * is not looked at.
 */
struct route_facts {
	const struct vmcs12 *vmcs12;	/* L1's controls */
	u16 basic;			/* basic exit reason */
	bool bitmap_hit;		/* I/O, MSR and VMCS accesses: a bit of L1's bitmap is set, or cannot be read */
	u32 intr_info;			/* exceptions and NMIs: interruption information */
	u32 intr_error;			/* page faults: error code */
	u32 l0_exceptions;		/* vectors that are L0's own business (guest debugging), as in an exception bitmap */
	u64 qual;			/* exit qualification */
	u64 value;			/* MOV to CR: the source operand, cut to the operand size */
	u64 xss;			/* XSAVES, XRSTORS: EDX:EAX masked with IA32_XSS */
};

enum route route_exit(const struct route_facts *f);

/* What I/O and MSR exits ask of L1's bitmaps (SDM 3C 25.6.4, 25.6.9). */

/* Bit @bit of a bitmap of L1's that starts at offset @page of page A (0) or B (1), or of the MSR bitmap. */
struct route_bit {
	u32 byte;	/* offset in the bitmap: I/O 0 to 8191 (page B from 4096), MSR 0 to 4095 */
	u16 mask;	/* bits of the 16-bit word there that decide; 0: no bitmap covers it, L1 gets the exit */
};
struct route_bit route_io_bits(u64 qual);
struct route_bit route_msr_bit(u32 msr, bool write);

/* Does L1's exception bitmap, with its page-fault mask and match, take this exception? SDM 3C 26.2. */
bool route_l1_takes_exception(const struct vmcs12 *v, u8 vector, u32 error_code);

#endif
