/* SPDX-License-Identifier: GPL-2.0 */
/* The MSRs that the pure files and the suites name, and their bits (SDM volume 4). */
#ifndef UNIT_ASM_MSR_INDEX_H
#define UNIT_ASM_MSR_INDEX_H

#define MSR_IA32_VMX_BASIC			0x480
#define SPEC_CTRL_IBRS				0x1
#define SPEC_CTRL_STIBP				0x2
#define SPEC_CTRL_SSBD				0x4
#define DEBUGCTLMSR_BTF				0x2UL
#define EFER_LMA				0x400
#define EFER_LME				0x100
#define EFER_NX					0x800
#define EFER_SCE				1

#endif
