/* SPDX-License-Identifier: GPL-2.0 */
#ifndef UNIT_LINUX_KERNEL_H
#define UNIT_LINUX_KERNEL_H

#include <stdio.h>
#include <linux/build_bug.h>
#include <linux/errno.h>
#include <linux/limits.h>
#include <linux/minmax.h>
#include <linux/string.h>
#include <linux/types.h>

#define ARRAY_SIZE(a)		(sizeof(a) / sizeof((a)[0]))
#define ALIGN(x, to)		(((x) + (to) - 1) & ~((typeof(x))(to) - 1))
#define ALIGN_DOWN(x, to)	((x) & ~((typeof(x))(to) - 1))
#define IS_ALIGNED(x, to)	(!((x) & ((typeof(x))(to) - 1)))
#define fallthrough		__attribute__((__fallthrough__))
#define container_of(p, type, member)	((type *)((char *)(p) - offsetof(type, member)))
#define pr_err(...)		printf("# " __VA_ARGS__)
#define likely(x)		(x)
#define unlikely(x)		(x)
#define READ_ONCE(x)		(*(const volatile typeof(x) *)&(x))
#define WRITE_ONCE(x, val)	(*(volatile typeof(x) *)&(x) = (val))

#endif
