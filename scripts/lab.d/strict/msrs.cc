/* SPDX-License-Identifier: GPL-2.0 */
/* MSRs that hosts need and Bochs lacks. */
#define NEED_CPU_REG_SHORTCUTS 1
#include "bochs.h"
#include "cpu/cpu.h"
#include "cpu/strict/strict.h"
