/* SPDX-License-Identifier: GPL-2.0 */
/* Rules of the architecture that several parts apply to plain values. */
#ifndef DROSTE_EMUL_ARCH_H
#define DROSTE_EMUL_ARCH_H

#include <linux/types.h>

/* Is a linear address canonical, with addresses of 48 or, under CR4.LA57, 57 @bits (SDM 1, 3.3.7.1)? */
static inline bool arch_canonical(u64 la, unsigned int bits)
{
	unsigned int shift = 64 - bits;

	return (u64)((s64)(la << shift) >> shift) == la;
}

/* Can a PDPTE be loaded: not present, or without reserved bits (SDM 3A 4.4.1)? @maxphyaddr is 36 to 52. */
static inline bool arch_pdpte_ok(u64 pdpte, u8 maxphyaddr)
{
	return !(pdpte & 1) || !(pdpte & (0x1e6 | (~0ULL << maxphyaddr)));
}

/*
 * Can offsets @ea to @ea + @size - 1 be accessed in a segment (SDM 3A 5.3)? In
 * an expand-down data segment the valid offsets are those above the limit.
 * @type is bits 3:0 of the access rights.
 */
static inline bool arch_within_limit(u8 type, bool db, u32 limit, u64 ea, u32 size)
{
	u64 last = ea + size - 1;

	if ((type & 0xc) == 0x4)
		return ea > limit && last <= (db ? 0xffffffffULL : 0xffffULL);
	return last <= limit;
}

/* Does the type of a code or data segment allow the access in protected mode (SDM 3A 5.5)? */
static inline bool arch_type_allows(u8 type, bool write)
{
	bool code = type & 8, rw = type & 2;	/* @rw: data is writable, code is readable */

	return write ? !code && rw : !code || rw;
}

#endif
