/* SPDX-License-Identifier: GPL-2.0 */
/* Copies between VMCS12 and the shadow VMCS: fields.def as straight code, without loops and tables. SDM 3C 25.10. */
#ifndef DROSTE_NESTED_SHADOW_H
#define DROSTE_NESTED_SHADOW_H

#include "droste.h"
#include "nested/merge.h"
#include "vmx/vmx.h"

/*
 * nested.shadow_held has the values that the shadow VMCS holds, as far as L0 has
 * written or read them. Three rules keep both in step:
 *
 * - L1 does not run between a fetch and the fill that follows.
 * - Of a field that an entry has not fetched, VMCS12 has the value that L0 holds
 *   for the shadow's. A fill leaves it alone, and so L1's newer value.
 * - All fields are fetched before anything but a VM entry uses VMCS12.
 */

/*
 * Fields of nested.shadow_writes, which L1 writes without an exit at times only:
 *
 * - CR3 if L1 does not use EPT. With EPT it is L2 that changes CR3, and a fetch at
 *   each entry would be in vain.
 * - the WINDOW fields of fields.def between an exit that gave L1 an access to a
 *   control register, and its next entry.
 * - the SELDOM fields, unless L1 has written none of them for some time: see
 *   seldom.c.
 */
enum shadow_writes {
	SHADOW_WRITES_CR3 = 1,
	SHADOW_WRITES_CRS = 2,
	SHADOW_WRITES_SELDOM = 4,
	NR_SHADOW_WRITES = 8
};

void shadow_let_write(struct nested *n, u8 writes);

extern u32 shadow_gates;	/* BIT(GATE_*): the fields that exist both for an L1 and on this processor; constant */

static __always_inline bool shadow_has(enum vmcs12_gate gate)
{
	return gate == GATE_ALWAYS || (shadow_gates & BIT(gate));
}

/* Whether an exit from L2 can change a field: not what only L1 writes. */
static __always_inline bool shadow_exit_changes(u32 field, enum vmcs12_sync sync)
{
	return field == VM_ENTRY_INTR_INFO_FIELD || (sync != SYNC_MERGE && sync != SYNC_ENTRY);
}

/* Write a field to the shadow, which is current, if it has another value. */
#define SHADOW_FILL(v, held, name, member) \
	do { \
		if (unlikely((v)->member != (held)->member)) { \
			(held)->member = (v)->member; \
			vmcs_write(name, (v)->member); \
		} \
	} while (0)

/*
 * Write the fields that an exit from L2 has changed: those of exit information and events, and of L2's state. The
 * shadow is current.
 */
static __always_inline void shadow_fill_exit(struct nested *n, bool info, bool state)
{
	const struct vmcs12 *v = n->vmcs12;
	struct vmcs12 *held = n->shadow_held;

#define FIELD(name, member, width, class, sync, shadow, gate, dirty, twin) \
	if (SHADOW_##shadow != SHADOW_NONE && shadow_exit_changes(name, SYNC_##sync) && \
	    (SYNC_##sync == SYNC_EXIT || name == VM_ENTRY_INTR_INFO_FIELD ? info : state) && shadow_has(GATE_##gate)) \
		SHADOW_FILL(v, held, name, member);
#include "vmx/fields.def"
}

/*
 * Whether a VM entry depends on a shadowed field. The rows of fields.def from
 * which that follows come before it, and have been fetched.
 */
static __always_inline bool shadow_entry_needs(const struct nested *n, u32 field)
{
	const struct vmcs12 *v = n->vmcs12;

	switch (field) {
	case GUEST_CR3:
		return n->shadow_writes & SHADOW_WRITES_CR3;
	case VM_ENTRY_EXCEPTION_ERROR_CODE:
	case VM_ENTRY_INSTRUCTION_LEN:
		return v->vm_entry_intr_info_field & INTR_INFO_VALID_MASK;
	case TPR_THRESHOLD:
		return (v->cpu_based_vm_exec_control & CPU_BASED_TPR_SHADOW) &&
		       !(merge_proc2_of(v) & SECONDARY_EXEC_VIRTUAL_INTR_DELIVERY);
	case GUEST_INTR_STATUS:
		return merge_proc2_of(v) & SECONDARY_EXEC_VIRTUAL_INTR_DELIVERY;
	case VMX_PREEMPTION_TIMER_VALUE:
		return v->pin_based_vm_exec_control & PIN_BASED_VMX_PREEMPTION_TIMER;
	default:
		return true;
	}
}

/* Whether L1 may write a field without an exit at present. */
static __always_inline bool shadow_is_written(const struct nested *n, enum vmcs12_shadow shadow)
{
	return shadow == SHADOW_RW || (shadow == SHADOW_WINDOW && (n->shadow_writes & SHADOW_WRITES_CRS)) ||
	       (shadow == SHADOW_SELDOM && (n->shadow_writes & SHADOW_WRITES_SELDOM));
}

/* Read the fields that L1 writes without an exit: all of them, or those that an entry needs. The shadow is current. */
static __always_inline void shadow_fetch_fields(struct nested *n, bool all)
{
	struct vmcs12 *v = n->vmcs12, *held = n->shadow_held;
	u64 rflags = v->guest_rflags, val;

#define FIELD(name, member, width, class, sync, shadow, gate, dirty, twin) \
	if (shadow_is_written(n, SHADOW_##shadow) && shadow_has(GATE_##gate) && \
	    (all || shadow_entry_needs(n, name))) { \
		val = vmcs_read(name); \
		if (val != held->member) { \
			held->member = val; \
			v->member = val; \
			n->vmcs12_dirty |= DIRTY12_##dirty; \
		} \
	}
#include "vmx/fields.def"
	n->vmcs12_dirty |= vmcs12_rflags_dirty(rflags, v->guest_rflags);
}

#endif
