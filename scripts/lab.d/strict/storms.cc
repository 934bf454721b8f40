/* SPDX-License-Identifier: GPL-2.0 */
/* Random interrupts, NMIs and changes of the running CPU. */
#define NEED_CPU_REG_SHORTCUTS 1
#include "bochs.h"
#include "cpu/cpu.h"
#include "cpu/strict/strict.h"
