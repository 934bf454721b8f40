// SPDX-License-Identifier: GPL-2.0
/*
 * Says whose the bits of VMCS02's controls are. There is no second table of rules: a bit is given the four combinations of
 * values in L0's and L1's controls, with the others as they are, and merge_controls() says what VMCS02 gets.
 */
#include <string.h>

#include "nested/merge.h"
#include "owner.h"

const char *owner_name(enum owner owner)
{
	static const char *const names[] = {
		[OWNER_L0] = "L0's", [OWNER_L1] = "L1's", [OWNER_EITHER] = "either", [OWNER_BOTH] = "both",
		[OWNER_ALWAYS] = "always", [OWNER_NEVER] = "never", [OWNER_OTHER] = "other", [OWNER_MODE] = "mode",
	};

	return names[owner];
}

/* The place of a control word in VMCS01's controls, or NULL. */
static uint32_t *word(struct vmx_controls *c, int field)
{
	switch (field) {
	case VMCS12_I_PIN_BASED_VM_EXEC_CONTROL:
		return &c->pin;
	case VMCS12_I_CPU_BASED_VM_EXEC_CONTROL:
		return &c->proc;
	case VMCS12_I_SECONDARY_VM_EXEC_CONTROL:
		return &c->proc2;
	case VMCS12_I_VM_EXIT_CONTROLS:
		return &c->exit;
	case VMCS12_I_VM_ENTRY_CONTROLS:
		return &c->entry;
	case VMCS12_I_EXCEPTION_BITMAP:
		return &c->exceptions;
	default:
		return NULL;
	}
}

bool owner_word(int field)
{
	struct vmx_controls c;

	return word(&c, field);
}

static struct vmx_controls controls_of(const uint32_t *l0)
{
	return (struct vmx_controls) {
		.pin = l0[0], .proc = l0[1], .proc2 = l0[2], .exit = l0[3], .entry = l0[4], .exceptions = l0[5],
	};
}

uint32_t owner_l0(int field, const uint32_t *l0)
{
	struct vmx_controls c = controls_of(l0);

	return *word(&c, field);
}

static uint32_t merged(int field, const struct vmx_controls *c01, const struct vmcs12 *v12, bool lma)
{
	struct vmx_controls out;
	struct merged_pf pf;

	merge_controls(c01, v12, lma, &out, &pf);
	return *word(&out, field);
}

uint32_t owner_merged(int field, const uint32_t *l0, const struct vmcs12 *v12, bool lma)
{
	struct vmx_controls c01 = controls_of(l0);

	return merged(field, &c01, v12, lma);
}

enum owner owner_of(int field, int bit, const uint32_t *l0, const struct vmcs12 *v12)
{
	struct vmx_controls c01 = controls_of(l0);
	uint32_t *word01 = word(&c01, field), mask = 1u << bit;
	struct vmcs12 v = *v12;
	unsigned int table = 0;

	if (field == VMCS12_I_VM_ENTRY_CONTROLS && mask == VM_ENTRY_IA32E_MODE)
		return OWNER_MODE;
	for (int i = 0; i < 4; i++) {
		*word01 = (*word01 & ~mask) | (i & 1 ? mask : 0);
		vmcs12_set(&v, &vmcs12_fields[field],
			   (vmcs12_get(&v, &vmcs12_fields[field]) & ~(uint64_t)mask) | (i & 2 ? mask : 0));
		table |= merged(field, &c01, &v, true) & mask ? 1u << i : 0;
	}
	/* Bit i of the table: the result for L0's bit in i's bit 0, and L1's in its bit 1. */
	switch (table) {
	case 0xa:
		return OWNER_L0;
	case 0xc:
		return OWNER_L1;
	case 0xe:
		return OWNER_EITHER;
	case 0x8:
		return OWNER_BOTH;
	case 0xf:
		return OWNER_ALWAYS;
	case 0:
		return OWNER_NEVER;
	default:
		return OWNER_OTHER;
	}
}
