/* SPDX-License-Identifier: GPL-2.0 */
/* VMCS12, the VMCS that L1 builds: layout, generated from vmx/fields.def, and access by encoding. */
#ifndef DROSTE_VMCS12_H
#define DROSTE_VMCS12_H

#include <linux/types.h>
#include <linux/bits.h>
#include <linux/build_bug.h>
#include "vmx/fields.h"

struct vcpu;
struct vmx_caps;

/* Bits 30:0 and 44:32 of L1's IA32_VMX_BASIC (SDM 3D A.1). Revision and layout are those of KVM. */
#define VMCS12_REVISION	0x11e57ed0
#define VMCS12_SIZE	4096
#define VMCS12_SHADOW_BIT	BIT(31)	/* of the revision word: a shadow VMCS (SDM 3C 25.2) */

/* Values of vmcs12.launch_state (SDM 3C 25.1). Any other value that L1 puts there counts as clear. */
#define VMCS12_CLEAR		0
#define VMCS12_LAUNCHED		1

/* Width of a field: bits 14:13 of its encoding. */
enum vmcs12_width {
	VMCS12_WIDTH_16,
	VMCS12_WIDTH_64,
	VMCS12_WIDTH_32,
	VMCS12_WIDTH_NATURAL,
};

/* Type of a field: bits 11:10 of its encoding. */
enum vmcs12_class {
	VMCS12_CTL,
	VMCS12_RO,	/* VM-exit information */
	VMCS12_GUEST,
	VMCS12_HOST,
};

/* How a field moves between VMCS12 and VMCS02. */
enum vmcs12_sync {
	SYNC_NONE,	/* not in VMCS02; L0 uses it in software (host state, MSR lists, ...) */
	SYNC_MERGE,	/* merged with L0's value when the field's part is dirty */
	SYNC_COPY,	/* copied when the field's part is dirty */
	SYNC_ENTRY,	/* event injection: copied at each entry if valid */
	SYNC_HOT,	/* guest state that changes often: read back at each reflected exit */
	SYNC_RARE,	/* guest state that L1 rarely reads: read back from VMCS02 on demand */
	SYNC_COND,	/* guest state that an entry or exit control loads or saves */
	SYNC_EXIT,	/* exit information: written from the exit snapshot when an exit is reflected */
	NR_SYNCS
};

/* Whether L1 accesses a field without an exit, by VMCS shadowing. */
enum vmcs12_shadow {
	SHADOW_NONE,
	SHADOW_RO,	/* VMREAD only; a VMWRITE exits */
	SHADOW_WINDOW,	/* VMREAD; VMWRITE only between an exit by a control-register access and the next entry */
	SHADOW_SELDOM,	/* VMREAD; VMWRITE while L1 writes such fields often */
	SHADOW_RW,
};

/* The feature that L1 must be offered for a field to exist (notes to the tables of SDM 3D appendix B). */
enum vmcs12_gate {
	GATE_ALWAYS,
	GATE_SECONDARY,		/* secondary processor-based controls */
	GATE_MSR_BITMAPS,
	GATE_TPR_SHADOW,
	GATE_APIC_ACCESSES,
	GATE_VID,		/* virtual-interrupt delivery */
	GATE_POSTED_INTR,
	GATE_EPT,
	GATE_VPID,
	GATE_PLE,		/* PAUSE-loop exiting */
	GATE_PML,
	GATE_VMFUNC,
	GATE_EPTP_SWITCHING,
	GATE_EPT_VE,		/* EPT-violation #VE */
	GATE_SHADOW_VMCS,
	GATE_XSAVES,
	GATE_TSC_SCALING,
	GATE_PREEMPTION_TIMER,
	GATE_PAT,		/* an entry or exit control loads or saves IA32_PAT */
	GATE_EFER,
	GATE_PERF,		/* IA32_PERF_GLOBAL_CTRL */
	GATE_CR3_TARGETS,	/* IA32_VMX_MISC offers the four CR3-target values */
	NR_GATES
};

/* Parts of VMCS12, as bits of nested.vmcs12_dirty: L1 has changed the part since the last entry. */
#define DIRTY12_NONE	0
#define DIRTY12_CTL	BIT(0)	/* controls and exception bitmap: input of merge_controls() */
#define DIRTY12_CR	BIT(1)	/* CR0, CR3, CR4, their masks, shadows and CR3 targets */
#define DIRTY12_BITMAPS	BIT(2)	/* addresses of I/O, MSR and VMREAD/VMWRITE bitmaps */
#define DIRTY12_LISTS	BIT(3)	/* addresses and counts of MSR load and store lists */
#define DIRTY12_PAGES	BIT(4)	/* virtual-APIC, APIC-access, posted-interrupt, #VE pages */
#define DIRTY12_EPT	BIT(5)	/* EPTP, VPID, PML */
#define DIRTY12_TSC	BIT(6)	/* TSC offset and multiplier */
#define DIRTY12_HOT	BIT(7)	/* guest state read back at each exit, except CRs */
#define DIRTY12_RARE	BIT(8)	/* SYNC_RARE guest state, and the access rights of CS and SS */
#define DIRTY12_COND	BIT(9)	/* SYNC_COND guest state and the VMCS link pointer */
#define DIRTY12_HOST	BIT(10)	/* host state */
#define DIRTY12_EVENT	BIT(11)	/* event injection */
#define DIRTY12_MODE_ONLY BIT(12) /* controls that the checks on guest and host state depend on */
#define DIRTY12_MODE	(DIRTY12_CTL | DIRTY12_MODE_ONLY)
#define DIRTY12_ALL	GENMASK(12, 0)	/* after VMPTRLD */

#define VMCS12_TYPE_16		u16
#define VMCS12_TYPE_32		u32
#define VMCS12_TYPE_64		u64
#define VMCS12_TYPE_NATURAL	u64

/*
 * L1's VMCS, in L1's memory and in L0's copy. VMPTRLD copies all of it from L1's
 * memory, so it may hold anything.
 */
struct vmcs12 {
	u32 revision_id;	/* VMCS12_REVISION, or with VMCS12_SHADOW_BIT (SDM 3C 25.2) */
	u32 abort;		/* VMX-abort indicator (SDM 3C 28.7) */
	u32 launch_state;	/* VMCS12_CLEAR or VMCS12_LAUNCHED */
	u32 reserved[7];	/* L0 neither reads nor changes it */
#define FIELD(name, member, width, class, sync, shadow, gate, dirty, twin) VMCS12_TYPE_##width member;
#define HOLE(name, bytes) u8 hole_##name[bytes];
#include "vmx/fields.def"
};
static_assert(sizeof(struct vmcs12) <= VMCS12_SIZE);
/* The offsets in KVM's layout at which runs of fields of the same size begin and end. */
static_assert(offsetof(struct vmcs12, revision_id) == 0);
static_assert(offsetof(struct vmcs12, abort) == 4);
static_assert(offsetof(struct vmcs12, launch_state) == 8);
static_assert(offsetof(struct vmcs12, io_bitmap_a) == 40);
static_assert(offsetof(struct vmcs12, tsc_multiplier) == 328);
static_assert(offsetof(struct vmcs12, cr0_guest_host_mask) == 344);
static_assert(offsetof(struct vmcs12, host_rip) == 672);
static_assert(offsetof(struct vmcs12, pin_based_vm_exec_control) == 744);
static_assert(offsetof(struct vmcs12, vmx_preemption_timer_value) == 928);
static_assert(offsetof(struct vmcs12, virtual_processor_id) == 960);
static_assert(offsetof(struct vmcs12, guest_pml_index) == 996);

/* Rows of the table by number: vmcs12_fields[VMCS12_I_GUEST_RIP]. */
enum vmcs12_idx {
#define FIELD(name, member, width, class, sync, shadow, gate, dirty, twin) VMCS12_I_##name,
#include "vmx/fields.def"
	NR_VMCS12_FIELDS
};

/* One row of vmx/fields.def. */
struct vmcs12_field {
	u16 enc;	/* encoding, full access */
	u16 off;	/* in struct vmcs12 */
	u16 twin;	/* encoding of the host-state field that an exit loads in its place; 0: none */
	u16 dirty;	/* DIRTY12_* */
	u8 width;	/* enum vmcs12_width */
	u8 class;	/* enum vmcs12_class */
	u8 sync;	/* enum vmcs12_sync */
	u8 shadow;	/* enum vmcs12_shadow */
	u8 gate;	/* enum vmcs12_gate */
	const char *name;
};
extern const struct vmcs12_field vmcs12_fields[NR_VMCS12_FIELDS];

/* --- vmcs12.c: pure --- */
int vmcs12_init(void);
const struct vmcs12_field *vmcs12_field_lookup(u64 enc);
u32 vmcs12_gates(const struct vmx_caps *caps);
u32 vmcs12_max_index(u32 gates);
int vmcs12_read_field(const struct vmcs12 *vmcs12, u64 enc, u64 *val);
int vmcs12_write_field(struct vmcs12 *vmcs12, u64 enc, u64 val);

/**
 * vmcs12_field_exists() - whether a field exists for an L1
 * @f: the field's row
 * @gates: nested.gates of the L1
 *
 * Return: true if it does.
 */
static inline bool vmcs12_field_exists(const struct vmcs12_field *f, u32 gates)
{
	return gates & BIT(f->gate);
}

/**
 * vmcs12_get() - read a field of VMCS12
 * @vmcs12: the VMCS
 * @f: the field's row
 *
 * Return: the value, zero-extended.
 */
static __always_inline u64 vmcs12_get(const struct vmcs12 *vmcs12, const struct vmcs12_field *f)
{
	const void *p = (const char *)vmcs12 + f->off;

	switch (f->width) {
	case VMCS12_WIDTH_16:
		return *(const u16 *)p;
	case VMCS12_WIDTH_32:
		return *(const u32 *)p;
	default:
		return *(const u64 *)p;
	}
}

/**
 * vmcs12_set() - write a field of VMCS12
 * @vmcs12: the VMCS
 * @f: the field's row
 * @val: the value; bits beyond the field's width are ignored
 */
static __always_inline void vmcs12_set(struct vmcs12 *vmcs12, const struct vmcs12_field *f, u64 val)
{
	void *p = (char *)vmcs12 + f->off;

	switch (f->width) {
	case VMCS12_WIDTH_16:
		*(u16 *)p = val;
		break;
	case VMCS12_WIDTH_32:
		*(u32 *)p = val;
		break;
	default:
		*(u64 *)p = val;
		break;
	}
}

/**
 * vmcs12_rflags_dirty() - further parts that a change of guest RFLAGS makes dirty
 * @old: RFLAGS before
 * @new: RFLAGS afterwards
 *
 * RFLAGS.VM decides by which rules the segments are checked.
 *
 * Return: DIRTY12_RARE or 0.
 */
static inline u32 vmcs12_rflags_dirty(u64 old, u64 new)
{
	return (old ^ new) & BIT_ULL(17) ? DIRTY12_RARE : 0;
}

#endif
