/* SPDX-License-Identifier: GPL-2.0 */
/* Translations that outlive a change of the tables because no invalidation came. */
#define NEED_CPU_REG_SHORTCUTS 1
#include "bochs.h"
#include "cpu/cpu.h"
#include "cpu/strict/strict.h"
