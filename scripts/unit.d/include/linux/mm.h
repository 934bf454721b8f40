/* SPDX-License-Identifier: GPL-2.0 */
#ifndef UNIT_LINUX_MM_H
#define UNIT_LINUX_MM_H

#define PAGE_SHIFT	12
#define PAGE_SIZE	(1UL << PAGE_SHIFT)
#define PAGE_MASK	(~(PAGE_SIZE - 1))
#define PAGE_ALIGNED(x)	(!((x) & ~PAGE_MASK))
/* The end of user addresses with 4-level paging. */
#define TASK_SIZE_MAX	((1UL << 47) - PAGE_SIZE)

#endif
