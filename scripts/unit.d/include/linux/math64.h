/* SPDX-License-Identifier: GPL-2.0 */
#ifndef UNIT_LINUX_MATH64_H
#define UNIT_LINUX_MATH64_H

#include <linux/types.h>

static inline u64 mul_u64_u64_shr(u64 a, u64 b, unsigned int shift)
{
	return (__uint128_t)a * b >> shift;
}

static inline u64 mul_u64_u64_div_u64(u64 a, u64 b, u64 c)
{
	return (__uint128_t)a * b / c;
}

static inline u64 mul_u64_u32_div(u64 a, u32 b, u32 c)
{
	return (__uint128_t)a * b / c;
}

static inline u64 div_u64(u64 a, u32 b)
{
	return a / b;
}

static inline u64 div64_u64(u64 a, u64 b)
{
	return a / b;
}

static inline u64 div_u64_rem(u64 a, u32 b, u32 *remainder)
{
	*remainder = a % b;
	return a / b;
}

static inline u64 div64_u64_rem(u64 a, u64 b, u64 *remainder)
{
	*remainder = a % b;
	return a / b;
}

#endif
