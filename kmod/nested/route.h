/* SPDX-License-Identifier: GPL-2.0 */
/* Decides whether L0 or L1 handles an exit from L2: plain values in, one answer out. */
#ifndef DROSTE_ROUTE_H
#define DROSTE_ROUTE_H

#include <linux/bits.h>
#include <linux/types.h>
#include <asm/vmx.h>
#include "nested/route_why.h"

struct vmcs12;

/* Who handles an exit from L2. */
enum route {
	ROUTE_L0,	/* L0 handles it without L1 */
	ROUTE_L1,	/* it is reflected to L1, which intercepts it */
};

/* The answer of route_exit(); it fits a register. */
struct route_verdict {
	u8 to;		/* enum route */
	u8 why;		/* enum route_why */
};

/* The facts that decide about one exit from L2. reflect.c sets the members that the exit reason needs. */
struct route_facts {
	const struct vmcs12 *vmcs12;	/* L1's controls */
	u16 basic;			/* basic exit reason */
	bool bitmap_hit;		/* I/O, MSR and VMCS accesses: L1's bitmap intercepts it, or cannot be read */
	u32 intr_info;			/* exceptions and NMIs: interruption information */
	u32 intr_error;			/* page faults: error code */
	u32 l0_exceptions;		/* exceptions that L0 takes although L1 may intercept them, as an exception bitmap */
	u64 qual;			/* exit qualification */
	u64 value;			/* MOV to CR: the source operand, truncated to the operand size */
	bool umip_faults;		/* accesses to descriptor-table registers: CR4.UMIP forbids it, which L0 emulates */
	bool pause_over;		/* PAUSE: L1 asks for exits of PAUSE loops, and this one has lasted as long as its window */
	bool pause_kept;		/* PAUSE: L0 has let another vCPU of L1 run, which had waited for a CPU */
	bool delegated;			/* VMCALL: a list of operations, and L1 has delegated such calls to this L2 */
	u64 xss;			/* XSAVES, XRSTORS: EDX:EAX masked with IA32_XSS */
};

struct route_verdict route_exit(const struct route_facts *f);

/* The bits of L1's I/O or MSR bitmaps that decide about an access (SDM 3C 25.6.4, 25.6.9). */
struct route_bit {
	u32 byte;	/* offset: 0 to 8191 in the I/O bitmaps (B from 4096), 0 to 4095 in the MSR bitmap */
	u16 mask;	/* the bits in the 16-bit word there; 0: no bitmap covers the access, L1 gets the exit */
};
struct route_bit route_io_bits(u64 qual);
struct route_bit route_vmcs_bit(u64 enc);

/**
 * route_msr_bit() - the bit of L1's MSR bitmap that decides an MSR exit
 * @msr: number of the MSR
 * @write: WRMSR, not RDMSR
 *
 * The page has four bitmaps of 1 KiB: reads of low MSRs, reads of high MSRs,
 * writes of low MSRs, writes of high MSRs (SDM 3C 25.6.9).
 *
 * Context: Any.
 * Return: the bit; mask 0 for an MSR that has none.
 */
static inline struct route_bit route_msr_bit(u32 msr, bool write)
{
	struct route_bit b = { .byte = write ? 2048 : 0 };

	if (msr >= 0xc0000000) {
		msr -= 0xc0000000;
		b.byte += 1024;
	}
	if (msr >= 0x2000)
		return b;
	b.byte += msr / 8;
	b.mask = BIT(msr % 8);
	return b;
}

/* Whether L1 gets an access of L2 to an MSR. @proc: L1's primary controls; @hit: its bitmap has the bit (SDM 3C 26.1.3). */
static inline bool route_l1_takes_msr(u32 proc, bool hit)
{
	return !(proc & CPU_BASED_USE_MSR_BITMAPS) || hit;
}

/* The same for a port. "Use I/O bitmaps" overrides "unconditional I/O exiting" (SDM 3C 25.6.2, table 25-6). */
static inline bool route_l1_takes_io(u32 proc, bool hit)
{
	return proc & CPU_BASED_USE_IO_BITMAPS ? hit : proc & CPU_BASED_UNCOND_IO_EXITING;
}

/* The field of VMCS12 that route_exit() looked at. */
struct route_word {
	u16 field;	/* encoding; 0: none */
	u64 word;	/* its value; 0 for secondary controls that are not activated */
	u64 bits;	/* those that were tested */
};
struct route_word route_tested(const struct route_facts *f, u8 why);

bool route_l1_takes_exception(const struct vmcs12 *v, u8 vector, u32 error_code);

#endif
