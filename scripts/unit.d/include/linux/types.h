/* SPDX-License-Identifier: GPL-2.0 */
/* Types of the kernel, as wide and as signed as there. */
#ifndef UNIT_LINUX_TYPES_H
#define UNIT_LINUX_TYPES_H

#include_next <linux/types.h>
#include <stdbool.h>
#include <stddef.h>
#include <linux/bits.h>

typedef __u8 u8;
typedef __u16 u16;
typedef __u32 u32;
typedef __u64 u64;
typedef __s8 s8;
typedef __s16 s16;
typedef __s32 s32;
typedef __s64 s64;
typedef unsigned int gfp_t;

struct list_head {
	struct list_head *next, *prev;
};

#define __user
#define GFP_KERNEL	0
#define __aligned(n)	__attribute__((aligned(n)))
#define __packed	__attribute__((packed))

#endif
