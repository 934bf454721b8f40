/* SPDX-License-Identifier: GPL-2.0 */
/* Spells out the bits of VMCS fields. */
#ifndef DROSTECTL_VMCSBITS_H
#define DROSTECTL_VMCSBITS_H

#include <stddef.h>
#include <stdint.h>

/**
 * vmcs_spell() - describe a field's value
 * @text: filled in; empty if there is nothing to say
 * @size: its room
 * @field: number of the field, enum vmcs12_idx
 * @val: its value
 */
void vmcs_spell(char *text, size_t size, int field, uint64_t val);

/**
 * vmcs_spell_bits() - name bits of a field
 * @text: filled in, "none" if @bits is 0
 * @size: its room
 * @field: number of the field: a control word, CR0, CR4, RFLAGS or IA32_EFER
 * @bits: the bits to name
 */
void vmcs_spell_bits(char *text, size_t size, int field, uint64_t bits);

/** vmcs_control_msr() - the capability MSR of a control field, 0 if the field is none */
uint32_t vmcs_control_msr(int field);

#endif
