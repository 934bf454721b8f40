// SPDX-License-Identifier: GPL-2.0
/* The table of VMCS fields: verified at module load, looked up by encoding in constant time. Pure. */
#include <linux/errno.h>
#include <linux/kernel.h>
#include <linux/stddef.h>
#include <linux/string.h>
#include <linux/types.h>

#include "mem/types.h"
#include "vmx/types.h"
#include "nested/vmcs12.h"

const struct vmcs12_field vmcs12_fields[NR_VMCS12_FIELDS] = {
#define FIELD(_name, _member, _width, _class, _sync, _shadow, _gate, _dirty, _twin) \
	[VMCS12_I_##_name] = { \
		.enc = _name, \
		.off = offsetof(struct vmcs12, _member), \
		.twin = _twin, \
		.dirty = DIRTY12_##_dirty, \
		.width = VMCS12_WIDTH_##_width, \
		.class = VMCS12_##_class, \
		.sync = SYNC_##_sync, \
		.shadow = SHADOW_##_shadow, \
		.gate = GATE_##_gate, \
		.name = #_name, \
	},
#include "vmx/fields.def"
};

/*
 * Index of the rows by encoding. An encoding has 2 bits of width, 2 of type and
 * 9 of index, of which no field uses more than 6. An entry is the row's number
 * plus one, 0 for none. The index takes 1 KiB, and a lookup is one load.
 */
#define INDEX_BITS	6
static u8 field_index[1 << (2 + 2 + INDEX_BITS)];
static_assert(NR_VMCS12_FIELDS < 0xff);

static u32 vmcs12_index_of(u32 enc)
{
	return VMCS_ENC_WIDTH(enc) << (2 + INDEX_BITS) | VMCS_ENC_TYPE(enc) << INDEX_BITS | VMCS_ENC_INDEX(enc);
}

static bool vmcs12_enc_in_index(u64 enc)
{
	return !(enc & VMCS_ENC_RESERVED) && VMCS_ENC_INDEX(enc) < BIT(INDEX_BITS);
}

/**
 * vmcs12_field_lookup() - find the row of a field by its encoding
 * @enc: all 64 bits of L1's operand; any value
 *
 * Bit 0 ("high" access) is valid for 64-bit fields only (SDM 3C 25.11.2).
 *
 * Context: Any.
 * Return: the row, also for high access; NULL if there is none.
 */
const struct vmcs12_field *vmcs12_field_lookup(u64 enc)
{
	u8 slot;

	if (!vmcs12_enc_in_index(enc))
		return NULL;
	if ((enc & VMCS_ENC_HIGH) && VMCS_ENC_WIDTH(enc) != VMCS12_WIDTH_64)
		return NULL;
	slot = field_index[vmcs12_index_of(enc)];
	return slot ? &vmcs12_fields[slot - 1] : NULL;
}

/* The reason why a row is wrong; NULL if it is right. */
static const char *vmcs12_row_fault(const struct vmcs12_field *f)
{
	const struct vmcs12_field *twin;

	if (!vmcs12_enc_in_index(f->enc) || (f->enc & VMCS_ENC_HIGH))
		return "bad encoding";
	if (VMCS_ENC_WIDTH(f->enc) != f->width)
		return "width differs from the encoding";
	if (VMCS_ENC_TYPE(f->enc) != f->class)
		return "class differs from the encoding";
	if (f->class == VMCS12_RO && f->shadow == SHADOW_RW)
		return "read-only field is shadowed for writing";
	if (!f->twin)
		return NULL;
	/* A guest field and its host twin are loaded from one value: same width, and a row of its own. */
	twin = vmcs12_field_lookup(f->twin);
	if (f->class != VMCS12_GUEST || !twin || twin->class != VMCS12_HOST || twin->width != f->width)
		return "bad host twin";
	return NULL;
}

/**
 * vmcs12_init() - build the index and verify the field table
 *
 * Context: Module load.
 * Return: 0, or -EINVAL after one log line that names the bad row.
 */
int vmcs12_init(void)
{
	const char *fault;
	u8 *slot;
	int i;

	memset(field_index, 0, sizeof(field_index));
	for (i = 0; i < NR_VMCS12_FIELDS; i++) {
		if (!vmcs12_enc_in_index(vmcs12_fields[i].enc))
			continue;	/* vmcs12_row_fault() reports it below */
		slot = &field_index[vmcs12_index_of(vmcs12_fields[i].enc)];
		if (*slot) {
			pr_err("droste: fields.def: %s has the encoding of %s\n",
			       vmcs12_fields[i].name, vmcs12_fields[*slot - 1].name);
			return -EINVAL;
		}
		*slot = i + 1;
	}
	for (i = 0; i < NR_VMCS12_FIELDS; i++) {
		fault = vmcs12_row_fault(&vmcs12_fields[i]);
		if (fault) {
			pr_err("droste: fields.def: %s: %s\n", vmcs12_fields[i].name, fault);
			return -EINVAL;
		}
	}
	return 0;
}

/**
 * vmcs12_gates() - the groups of fields that exist with given capabilities
 * @caps: VMX capability MSRs, as L1 sees them
 *
 * Context: Any.
 * Return: a mask of BIT(GATE_*).
 */
u32 vmcs12_gates(const struct vmx_caps *caps)
{
	const struct { u8 gate; u64 cap; u32 bits; } want[] = {
		{ GATE_SECONDARY,	caps->true_proc, CPU_BASED_ACTIVATE_SECONDARY_CONTROLS },
		{ GATE_MSR_BITMAPS,	caps->true_proc, CPU_BASED_USE_MSR_BITMAPS },
		{ GATE_TPR_SHADOW,	caps->true_proc, CPU_BASED_TPR_SHADOW },
		{ GATE_APIC_ACCESSES,	caps->proc2, SECONDARY_EXEC_VIRTUALIZE_APIC_ACCESSES },
		{ GATE_VID,		caps->proc2, SECONDARY_EXEC_VIRTUAL_INTR_DELIVERY },
		{ GATE_POSTED_INTR,	caps->true_pin, PIN_BASED_POSTED_INTR },
		{ GATE_EPT,		caps->proc2, SECONDARY_EXEC_ENABLE_EPT },
		{ GATE_VPID,		caps->proc2, SECONDARY_EXEC_ENABLE_VPID },
		{ GATE_PLE,		caps->proc2, SECONDARY_EXEC_PAUSE_LOOP_EXITING },
		{ GATE_PML,		caps->proc2, SECONDARY_EXEC_ENABLE_PML },
		{ GATE_VMFUNC,		caps->proc2, SECONDARY_EXEC_ENABLE_VMFUNC },
		{ GATE_EPT_VE,		caps->proc2, VMCS_CONTROL_BIT(EPT_VIOLATION_VE) },
		{ GATE_SHADOW_VMCS,	caps->proc2, SECONDARY_EXEC_SHADOW_VMCS },
		{ GATE_XSAVES,		caps->proc2, VMCS_CONTROL_BIT(XSAVES) },
		{ GATE_TSC_SCALING,	caps->proc2, SECONDARY_EXEC_TSC_SCALING },
		{ GATE_PREEMPTION_TIMER, caps->true_pin, PIN_BASED_VMX_PREEMPTION_TIMER },
		{ GATE_PAT,		caps->true_entry, VM_ENTRY_LOAD_IA32_PAT },
		{ GATE_PAT,		caps->true_exit, VM_EXIT_SAVE_IA32_PAT | VM_EXIT_LOAD_IA32_PAT },
		{ GATE_EFER,		caps->true_entry, VM_ENTRY_LOAD_IA32_EFER },
		{ GATE_EFER,		caps->true_exit, VM_EXIT_SAVE_IA32_EFER | VM_EXIT_LOAD_IA32_EFER },
		{ GATE_PERF,		caps->true_entry, VM_ENTRY_LOAD_IA32_PERF_GLOBAL_CTRL },
		{ GATE_PERF,		caps->true_exit, VM_EXIT_LOAD_IA32_PERF_GLOBAL_CTRL },
	};
	u32 gates = BIT(GATE_ALWAYS);
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(want); i++) {
		if (vmx_may_set(want[i].cap, want[i].bits))
			gates |= BIT(want[i].gate);
	}
	/* IA32_VMX_PROCBASED_CTLS2 exists only if the secondary controls can be activated (SDM 3D A.3.3). */
	if (!(gates & BIT(GATE_SECONDARY)))
		gates &= BIT(GATE_ALWAYS) | BIT(GATE_MSR_BITMAPS) | BIT(GATE_TPR_SHADOW) | BIT(GATE_POSTED_INTR) |
			 BIT(GATE_PREEMPTION_TIMER) | BIT(GATE_PAT) | BIT(GATE_EFER) | BIT(GATE_PERF);
	if ((gates & BIT(GATE_VMFUNC)) && (caps->vmfunc & VMX_VMFUNC_EPTP_SWITCHING))
		gates |= BIT(GATE_EPTP_SWITCHING);
	if (vmx_misc_cr3_count(caps->misc) >= 4)
		gates |= BIT(GATE_CR3_TARGETS);
	return gates;
}

/**
 * vmcs12_max_index() - the highest index of any field, for IA32_VMX_VMCS_ENUM (SDM 3D A.9)
 * @gates: the groups of fields that exist, from vmcs12_gates()
 *
 * Context: Any.
 * Return: the index.
 */
u32 vmcs12_max_index(u32 gates)
{
	u32 max = 0;
	int i;

	for (i = 0; i < NR_VMCS12_FIELDS; i++) {
		if (vmcs12_field_exists(&vmcs12_fields[i], gates) && VMCS_ENC_INDEX(vmcs12_fields[i].enc) > max)
			max = VMCS_ENC_INDEX(vmcs12_fields[i].enc);
	}
	return max;
}

/**
 * vmcs12_read_field() - read a field of VMCS12 by its encoding
 * @vmcs12: the VMCS
 * @enc: the encoding, for full or high access
 * @val: the value, zero-extended
 *
 * Context: Any.
 * Return: 0, or -ENOENT if no field has the encoding.
 */
int vmcs12_read_field(const struct vmcs12 *vmcs12, u64 enc, u64 *val)
{
	const struct vmcs12_field *f = vmcs12_field_lookup(enc);

	if (!f)
		return -ENOENT;
	*val = vmcs12_get(vmcs12, f);
	if (enc & VMCS_ENC_HIGH)
		*val >>= 32;
	return 0;
}

/**
 * vmcs12_write_field() - write a field of VMCS12 by its encoding
 * @vmcs12: the VMCS
 * @enc: the encoding, for full or high access
 * @val: the value; bits beyond the width of the access are ignored (SDM 3C 31.3, VMWRITE)
 *
 * Context: Any.
 * Return: 0, or -ENOENT if no field has the encoding.
 */
int vmcs12_write_field(struct vmcs12 *vmcs12, u64 enc, u64 val)
{
	const struct vmcs12_field *f = vmcs12_field_lookup(enc);

	if (!f)
		return -ENOENT;
	if (enc & VMCS_ENC_HIGH)
		val = (u32)vmcs12_get(vmcs12, f) | val << 32;
	vmcs12_set(vmcs12, f, val);
	return 0;
}
