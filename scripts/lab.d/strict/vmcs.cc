/* SPDX-License-Identifier: GPL-2.0 */
/* Misuse of VMCSs that a processor does not report. */
#define NEED_CPU_REG_SHORTCUTS 1
#include "bochs.h"
#include "cpu/cpu.h"
#include "cpu/strict/strict.h"
