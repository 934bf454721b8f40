/* SPDX-License-Identifier: GPL-2.0 */
/* VM entries that a processor takes, but whose result the SDM leaves undefined. */
#define NEED_CPU_REG_SHORTCUTS 1
#include "bochs.h"
#include "cpu/cpu.h"
#include "cpu/strict/strict.h"
