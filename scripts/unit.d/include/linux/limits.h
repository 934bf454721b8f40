/* SPDX-License-Identifier: GPL-2.0 */
#ifndef UNIT_LINUX_LIMITS_H
#define UNIT_LINUX_LIMITS_H

#include_next <linux/limits.h>

#define INT_MAX		0x7fffffff
#define ULONG_MAX	(~0UL)

#define U8_MAX		0xff
#define U16_MAX		0xffff
#define U32_MAX		0xffffffffU
#define U64_MAX		(~0ULL)
#define S64_MAX		0x7fffffffffffffffLL

#endif
