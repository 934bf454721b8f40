/* SPDX-License-Identifier: GPL-2.0 */
/* User-space stand-in for the kernel header of this name. */
#ifndef DIFF_LINUX_KERNEL_H
#define DIFF_LINUX_KERNEL_H

#include <errno.h>
#include <linux/types.h>

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))
#define min(a, b)	((a) < (b) ? (a) : (b))
#define min_t(t, a, b)	min((t)(a), (t)(b))
#define min3(a, b, c)	min(min(a, b), c)

#endif
