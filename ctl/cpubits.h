/* SPDX-License-Identifier: GPL-2.0 */
/* Names of CPUID's feature bits, and what takes a feature from a guest that may not have it. */
#ifndef DROSTECTL_CPUBITS_H
#define DROSTECTL_CPUBITS_H

#include <stdint.h>

/** enum cpubit_hide - how a feature that CPUID does not tell of is kept from a guest */
enum cpubit_hide {
	HIDE_TELLS,		/* no instruction belongs to the bit */
	HIDE_CONTROL,		/* a VMX control, an exit or a bit of CR4 or EFER takes it */
	HIDE_RDTSCP,		/* the control of RDTSCP and RDPID takes both, or neither */
	HIDE_AVX,		/* goes with the XSAVE component of AVX, not alone */
	HIDE_AVX512,		/* goes with the components of AVX-512 */
	HIDE_AMX,		/* goes with the components of AMX */
	HIDE_NOT,		/* the instructions stay usable */
	HIDE_NOT_RESULT,	/* they stay usable, and on a processor without the feature they give another result */
};

/** struct cpubit - a feature bit of CPUID */
struct cpubit {
	uint32_t leaf, subleaf;
	uint8_t reg;		/* 0 to 3: EAX, EBX, ECX, EDX */
	uint8_t bit;
	uint8_t hide;		/* enum cpubit_hide */
	const char *name;
};

extern const struct cpubit cpubits[];
extern const unsigned int nr_cpubits;

/** cpubit_find() - find a feature bit; NULL if it has no name */
const struct cpubit *cpubit_find(uint32_t leaf, uint32_t subleaf, unsigned int reg, unsigned int bit);

/** cpubit_reg() - the name of register 0 to 3 of CPUID's result */
const char *cpubit_reg(unsigned int reg);

#endif
