/* SPDX-License-Identifier: GPL-2.0 */
/* Says whose the bits of VMCS02's controls are: found out by trying the module's own merge_controls(). */
#ifndef DROSTECTL_OWNER_H
#define DROSTECTL_OWNER_H

#include "vmcsfile.h"

/** enum owner - which of VMCS01 and VMCS12 decides a bit of VMCS02 */
enum owner {
	OWNER_L0,	/* VMCS01's */
	OWNER_L1,	/* VMCS12's */
	OWNER_EITHER,	/* set if one has it */
	OWNER_BOTH,	/* set if both have it */
	OWNER_ALWAYS,	/* set */
	OWNER_NEVER,	/* clear */
};

/** owner_name() - the name in words */
const char *owner_name(enum owner owner);

/** owner_word() - whether a field is a control word that is merged bit by bit */
bool owner_word(int field);

/**
 * owner_of() - whose a bit is
 * @field: a control word
 * @bit: number of the bit
 * @v01: VMCS01, for the bits around
 * @v12: VMCS12, likewise
 */
enum owner owner_of(int field, int bit, const struct vmcs12 *v01, const struct vmcs12 *v12);

/** owner_merged() - the control word that the merge gives */
uint32_t owner_merged(int field, const struct vmcs12 *v01, const struct vmcs12 *v12, bool lma);

#endif
