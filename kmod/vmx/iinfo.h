/* SPDX-License-Identifier: GPL-2.0 */
/* The VM-exit instruction-information field: operands of the instruction that exited. SDM 3C tables 28-10 to 28-14. */
#ifndef DROSTE_VMX_IINFO_H
#define DROSTE_VMX_IINFO_H

#include <linux/bits.h>

#define IINFO_SCALE(info)	((info) & 3)
#define IINFO_REG1(info)	(((info) >> 3) & 15)	/* VMREAD, VMWRITE, SLDT and the like with a register operand */
#define IINFO_ADDR_SIZE(info)	(((info) >> 7) & 7)	/* 0: 16 bits, 1: 32, 2: 64 */
#define IINFO_OPERAND_SIZE(info) (((info) >> 11) & 3)	/* RDRAND, RDSEED: 0: 16 bits, 1: 32, 2: 64 */
#define IINFO_IS_REG(info)	((info) & BIT(10))
#define IINFO_SEG(info)		(((info) >> 15) & 7)
#define IINFO_INDEX(info)	(((info) >> 18) & 15)
#define IINFO_NO_INDEX(info)	((info) & BIT(22))
#define IINFO_BASE(info)	(((info) >> 23) & 15)
#define IINFO_NO_BASE(info)	((info) & BIT(27))
#define IINFO_REG2(info)	(((info) >> 28) & 15)
#define IINFO_TABLE_INSN(info)	(((info) >> 28) & 3)	/* which instruction accesses a descriptor-table register */

/* IINFO_TABLE_INSN() of exits for GDTR or IDTR, and of those for LDTR or TR. */
enum { IINFO_SGDT, IINFO_SIDT, IINFO_LGDT, IINFO_LIDT };
enum { IINFO_SLDT, IINFO_STR, IINFO_LLDT, IINFO_LTR };

#endif
