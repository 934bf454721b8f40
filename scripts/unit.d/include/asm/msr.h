/* SPDX-License-Identifier: GPL-2.0 */
#ifndef UNIT_ASM_MSR_H
#define UNIT_ASM_MSR_H

#include <linux/types.h>

/* Only inline functions that no suite calls refer to it. */
u64 rdtsc_ordered(void);

#endif
