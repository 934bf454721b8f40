/* SPDX-License-Identifier: GPL-2.0 */
/* The VMX capability MSRs and the names of their bits. */
#ifndef DROSTECTL_VMXCAPS_H
#define DROSTECTL_VMXCAPS_H

#include <stddef.h>
#include <stdint.h>

/** enum vmxcap_kind - the format of a capability MSR */
enum vmxcap_kind {
	VMXCAP_FLAGS,		/* single bits and numbers */
	VMXCAP_CONTROLS,	/* low half: must be 1; high half: may be 1 */
	VMXCAP_VALUE,		/* a 64-bit value as a whole */
};

/** struct vmxcap_msr - one capability MSR */
struct vmxcap_msr {
	uint32_t index;		/* MSR number */
	uint32_t true_index;	/* the "true" MSR that overrides it, or 0 */
	enum vmxcap_kind kind;
	const char *name;
};

/** struct vmxcap_bit - one bit of an MSR, or a field of several bits */
struct vmxcap_bit {
	uint32_t index;		/* MSR number, as in struct vmxcap_msr */
	uint8_t low;		/* lowest bit */
	uint8_t width;		/* number of bits; 1 for a control */
	const char *name;
};

extern const struct vmxcap_msr vmxcap_msrs[];
extern const size_t vmxcap_nr_msrs;
extern const struct vmxcap_bit vmxcap_bits[];
extern const size_t vmxcap_nr_bits;

#define MSR_VMX_BASIC		0x480
#define VMX_BASIC_TRUE		(1ULL << 55)	/* the "true" MSRs exist */

#endif
