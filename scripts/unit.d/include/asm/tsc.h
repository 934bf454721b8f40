/* SPDX-License-Identifier: GPL-2.0 */
#ifndef UNIT_ASM_TSC_H
#define UNIT_ASM_TSC_H

/* Only inline functions that no suite calls refer to it. */
extern unsigned int tsc_khz;

#endif
