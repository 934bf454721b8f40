/* SPDX-License-Identifier: GPL-2.0 */
/* Says whose the bits of VMCS02's controls are: found out by trying the module's own merge_controls(). */
#ifndef DROSTECTL_OWNER_H
#define DROSTECTL_OWNER_H

#include "vmcsfile.h"

/** enum owner - which of L0's and L1's controls decides a bit of VMCS02 */
enum owner {
	OWNER_L0,	/* L0's */
	OWNER_L1,	/* L1's */
	OWNER_EITHER,	/* set if one has it */
	OWNER_BOTH,	/* set if both have it */
	OWNER_ALWAYS,	/* set */
	OWNER_NEVER,	/* clear */
	OWNER_OTHER,	/* neither of these */
	OWNER_MODE,	/* L2's mode: "IA-32e mode guest" */
};

/** owner_name() - the name in words */
const char *owner_name(enum owner owner);

/** owner_word() - whether a field is a control word that is merged bit by bit */
bool owner_word(int field);

/**
 * owner_of() - whose a bit is
 * @field: a control word
 * @bit: number of the bit
 * @l0: L0's controls, as in struct droste_vmcs, for the bits around
 * @v12: VMCS12, likewise
 */
enum owner owner_of(int field, int bit, const uint32_t *l0, const struct vmcs12 *v12);

/** owner_merged() - the control word that the merge gives */
uint32_t owner_merged(int field, const uint32_t *l0, const struct vmcs12 *v12, bool lma);

/** owner_l0() - L0's value of a control word, from which the merge is made; it differs from VMCS01's now and then */
uint32_t owner_l0(int field, const uint32_t *l0);

#endif
