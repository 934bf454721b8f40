/* SPDX-License-Identifier: GPL-2.0 */
#ifndef UNIT_LINUX_BITOPS_H
#define UNIT_LINUX_BITOPS_H

#include <strings.h>	/* ffs() */
#include <linux/types.h>

static inline int fls(unsigned int x)
{
	return x ? 32 - __builtin_clz(x) : 0;
}

static inline unsigned long __ffs(unsigned long x)
{
	return __builtin_ctzl(x);
}

static inline unsigned long __fls(unsigned long x)
{
	return 63 - __builtin_clzl(x);
}

static inline void __set_bit(unsigned int n, unsigned long *bitmap)
{
	bitmap[n / 64] |= 1UL << (n % 64);
}

static inline bool test_bit(unsigned int n, const unsigned long *bitmap)
{
	return bitmap[n / 64] >> (n % 64) & 1;
}

static inline unsigned int hweight32(u32 x)
{
	return __builtin_popcount(x);
}

#endif
