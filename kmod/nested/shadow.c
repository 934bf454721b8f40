// SPDX-License-Identifier: GPL-2.0
/* VMCS shadowing for L1: its frequent VMREADs and VMWRITEs access a shadow VMCS without an exit. SDM 3C 25.10, 31.3. */
#include <linux/gfp.h>
#include <linux/slab.h>
#include "droste.h"
#include "nested/merge.h"
#include "nested/nested.h"
#include "nested/seldom.h"
#include "nested/shadow.h"
#include "vmx/regs.h"
#include "vmx/vmx.h"

/* The gates that all shadowed fields need, besides virtual-interrupt delivery. */
static u32 shadow_needs;

/*
 * The VMREAD and VMWRITE bitmaps; a set bit makes the access exit. The guest
 * interrupt status exists only for an L1 with virtual-interrupt delivery. An L1
 * that lacks any other shadowed field does not get shadowing. The VMWRITE bitmaps
 * differ by the fields of enum shadow_writes, too. Constant after
 * nested_shadow_init().
 */
enum { WITHOUT_VID, WITH_VID, NR_READ_VARIANTS };
static unsigned long *vmread_bitmaps[NR_READ_VARIANTS];
static unsigned long *vmwrite_bitmaps[NR_READ_VARIANTS][NR_SHADOW_WRITES];

u32 shadow_gates;

/* The bits of enum shadow_writes that let VMWRITEs of the field through. */
static int shadow_writes_of(const struct vmcs12_field *f)
{
	if (f->shadow == SHADOW_WINDOW)
		return SHADOW_WRITES_CRS;
	if (f->shadow == SHADOW_SELDOM)
		return SHADOW_WRITES_SELDOM;
	return f->enc == GUEST_CR3 ? SHADOW_WRITES_CR3 : 0;
}

static void shadow_let_through(const struct vmcs12_field *f, int vid)
{
	int writes, needs = shadow_writes_of(f);

	__clear_bit(f->enc, vmread_bitmaps[vid]);
	if (f->shadow == SHADOW_RO)
		return;
	for (writes = 0; writes < NR_SHADOW_WRITES; writes++)
		if ((writes & needs) == needs)
			__clear_bit(f->enc, vmwrite_bitmaps[vid][writes]);
}

/* Let the shadowed fields through that exist both for an L1 and on this processor. */
static void shadow_choose_fields(void)
{
	int i;

	shadow_gates = vmcs12_gates(&offer_caps) & vmcs12_gates(&host_caps);
	for (i = 0; i < NR_VMCS12_FIELDS; i++) {
		const struct vmcs12_field *f = &vmcs12_fields[i];

		if (f->shadow == SHADOW_NONE || !vmcs12_field_exists(f, shadow_gates))
			continue;
		shadow_let_through(f, WITH_VID);
		if (f->gate == GATE_VID)
			continue;
		shadow_let_through(f, WITHOUT_VID);
		shadow_needs |= BIT(f->gate);
	}
}

/* Returns a page of ones, NULL if there is no memory. */
static unsigned long *shadow_alloc_bitmap(void)
{
	unsigned long *bitmap = (unsigned long *)__get_free_page(GFP_KERNEL);

	if (bitmap)
		memset(bitmap, 0xff, PAGE_SIZE);
	return bitmap;
}

/**
 * nested_shadow_init() - choose the shadowed fields and make the bitmaps
 *
 * Must be called after vmcs12_init() and vmx_caps_init().
 *
 * Context: Module load. May sleep.
 * Return: 0 or a negative errno.
 */
int nested_shadow_init(void)
{
	int vid, writes;
	bool ok = true;

	if (!vmx_features.vmcs_shadowing)
		return 0;
	for (vid = 0; vid < NR_READ_VARIANTS; vid++) {
		vmread_bitmaps[vid] = shadow_alloc_bitmap();
		ok = ok && vmread_bitmaps[vid];
		for (writes = 0; writes < NR_SHADOW_WRITES; writes++) {
			vmwrite_bitmaps[vid][writes] = shadow_alloc_bitmap();
			ok = ok && vmwrite_bitmaps[vid][writes];
		}
	}
	if (!ok) {
		nested_shadow_exit();
		return -ENOMEM;
	}
	shadow_choose_fields();
	return 0;
}

/**
 * nested_shadow_exit() - free the bitmaps
 *
 * Context: Module unload, when no vCPU is left. May be called after an error of
 * nested_shadow_init().
 */
void nested_shadow_exit(void)
{
	int vid, writes;

	for (vid = 0; vid < NR_READ_VARIANTS; vid++) {
		free_page((unsigned long)vmread_bitmaps[vid]);
		vmread_bitmaps[vid] = NULL;
		for (writes = 0; writes < NR_SHADOW_WRITES; writes++) {
			free_page((unsigned long)vmwrite_bitmaps[vid][writes]);
			vmwrite_bitmaps[vid][writes] = NULL;
		}
	}
}

/* Allocate the vCPU's shadow VMCS, when L1 first has a current VMCS. */
static bool shadow_alloc(struct nested *n)
{
	if (n->shadow.region)
		return true;
	if (!n->shadow_held)
		n->shadow_held = kzalloc(sizeof(*n->shadow_held), GFP_KERNEL_ACCOUNT);
	return n->shadow_held && !vmcs_alloc(&n->shadow, true);
}

/**
 * nested_shadow_free() - free the shadow VMCS of a vCPU
 * @vcpu: the vCPU, which is being destroyed
 *
 * Context: Process context. May sleep.
 */
void nested_shadow_free(struct vcpu *vcpu)
{
	vmcs_free(&vcpu->nested.shadow);
	kfree(vcpu->nested.shadow_held);
	vcpu->nested.shadow_held = NULL;
}

/* Write all shadowed fields to the shadow, which is current. */
static noinline void shadow_fill_all(struct nested *n)
{
	const struct vmcs12 *v = n->vmcs12;
	struct vmcs12 *held = n->shadow_held;

#define FIELD(name, member, width, class, sync, shadow, gate, dirty, twin) \
	if (SHADOW_##shadow != SHADOW_NONE && shadow_has(GATE_##gate)) { \
		held->member = v->member; \
		vmcs_write(name, v->member); \
	}
#include "vmx/fields.def"
}

/* Write the shadowed fields whose value differs from the one that the shadow holds. The shadow is current. */
static noinline void shadow_fill_changes(struct nested *n)
{
	const struct vmcs12 *v = n->vmcs12;
	struct vmcs12 *held = n->shadow_held;

#define FIELD(name, member, width, class, sync, shadow, gate, dirty, twin) \
	if (SHADOW_##shadow != SHADOW_NONE && v->member != held->member && shadow_has(GATE_##gate)) { \
		held->member = v->member; \
		vmcs_write(name, v->member); \
	}
#include "vmx/fields.def"
}

/**
 * nested_shadow_fill() - copy VMCS12's shadowed fields to the shadow VMCS
 * @vcpu: the vCPU; does nothing if shadowing is off
 *
 * Must be called before L1 runs if VMCS12 has changed. L1 must not have run since
 * nested_shadow_fetch(), or its writes to the shadow would be lost.
 *
 * Context: Process context. Any VMCS may be current; vcpu->vmcs is afterwards.
 */
void nested_shadow_fill(struct vcpu *vcpu)
{
	struct nested *n = &vcpu->nested;

	if (!n->shadow_on)
		return;
	/* Preemption would make vcpu->vmcs current again in place of the shadow. */
	preempt_disable();
	vmcs_load(&n->shadow);
	shadow_fill_changes(n);
	vmcs_load(vcpu->vmcs);
	preempt_enable();
}

/**
 * nested_shadow_fill_exit() - copy to the shadow VMCS what an exit from L2 has changed
 * @vcpu: about to leave L2; VMCS12 has the exit information and L2's state
 *
 * Does nothing if shadowing is off.
 *
 * Context: Process context. VMCS02 is current; afterwards any may be, so that
 * the caller must make VMCS01 current.
 */
void nested_shadow_fill_exit(struct vcpu *vcpu)
{
	struct nested *n = &vcpu->nested;

	if (!n->shadow_on)
		return;
	vmx_flush_regs(vcpu);
	preempt_disable();
	vmcs_load(&n->shadow);
	shadow_fill_exit(n, true, true);
	preempt_enable();
}

/**
 * nested_shadow_fetch() - copy L1's writes from the shadow VMCS to VMCS12
 * @vcpu: the vCPU; does nothing if shadowing is off
 *
 * Marks the parts of VMCS12 that have changed in nested.vmcs12_dirty.
 *
 * Context: Process context. Any VMCS may be current; vcpu->vmcs is afterwards.
 */
void nested_shadow_fetch(struct vcpu *vcpu)
{
	struct nested *n = &vcpu->nested;

	if (!n->shadow_on)
		return;
	preempt_disable();
	vmcs_load(&n->shadow);
	shadow_fetch_fields(n, true);
	vmcs_load(vcpu->vmcs);
	preempt_enable();
}

/**
 * nested_shadow_fetch_entry() - copy those of L1's writes to VMCS12 that a VM entry depends on
 * @vcpu: in L1, at VMLAUNCH or VMRESUME; does nothing if shadowing is off
 *
 * The fields that the entry ignores keep their old value in VMCS12, and
 * nested_shadow_fetch() gets the new one. Marks what has changed, as that does.
 *
 * Context: Process context. VMCS01 is current; afterwards any may be:
 * vcpu_reload_vmcs() makes VMCS01 current again.
 */
void nested_shadow_fetch_entry(struct vcpu *vcpu)
{
	struct nested *n = &vcpu->nested;

	if (!n->shadow_on)
		return;
	vmx_flush_regs(vcpu);
	preempt_disable();
	vmcs_load(&n->shadow);
	shadow_fetch_fields(n, false);
	preempt_enable();
}

/**
 * nested_shadow_on_cpu() - make the shadow VMCS active on this CPU
 * @vcpu: the vCPU, which has just moved to this CPU; at any level
 *
 * A VM entry with VMCS shadowing makes the VMCS behind the link pointer active
 * on this CPU (SDM 3C 25.10), so it must not be active on another one. This
 * is done in L2 as well, so that an exit to L1 need not check it.
 *
 * Context: Preemption disabled, interrupts enabled. vcpu->vmcs is current, and
 * stays current.
 */
void nested_shadow_on_cpu(struct vcpu *vcpu)
{
	struct nested *n = &vcpu->nested;

	if (!n->shadow_on || n->shadow.cpu == smp_processor_id())
		return;
	vmcs_load(&n->shadow);
	vmcs_load(vcpu->vmcs);
}

/**
 * shadow_let_write() - choose which fields L1 writes without exits
 * @n: of a vCPU in L1
 * @writes: bits of enum shadow_writes; the fields of bits that are no longer set have been fetched
 *
 * Context: VMCS01 is current. Interrupts may be disabled.
 */
void shadow_let_write(struct nested *n, u8 writes)
{
	n->shadow_writes = writes;
	vmcs_write(VMWRITE_BITMAP, __pa(vmwrite_bitmaps[n->gates & BIT(GATE_VID) ? WITH_VID : WITHOUT_VID][writes]));
}

/* Any fetch of what L1 has written must come before. VMCS01 is current. */
static void shadow_write_bitmaps(struct nested *n)
{
	bool ept = n->vmcs12->secondary_vm_exec_control & SECONDARY_EXEC_ENABLE_EPT;

	vmcs_write(VMREAD_BITMAP, __pa(vmread_bitmaps[n->gates & BIT(GATE_VID) ? WITH_VID : WITHOUT_VID]));
	shadow_let_write(n, (ept ? 0 : SHADOW_WRITES_CR3) | seldom_begin(n));
}

/**
 * nested_shadow_follow_ept() - let L1 write CR3 without exits if it uses no EPT, and only then
 * @vcpu: in L1, which has written VMCS12's secondary controls
 *
 * Context: Process context. VMCS01 is current. Does not sleep.
 */
void nested_shadow_follow_ept(struct vcpu *vcpu)
{
	struct nested *n = &vcpu->nested;

	if (!n->shadow_on)
		return;
	/* Take the last value that L1 has written without an exit: entries do not fetch it from now on. */
	nested_shadow_fetch(vcpu);
	shadow_write_bitmaps(n);
}

/**
 * nested_shadow_update() - turn VMCS shadowing for L1 on or off
 * @vcpu: in L1, whose current VMCS has changed
 *
 * Shadowing is on, with the shadow filled from VMCS12, if L1 has a current VMCS
 * and all shadowed fields exist for it: all vCPUs share the bitmaps. If memory
 * for the shadow is short, L1 runs without shadowing.
 *
 * Context: Process context. VMCS01 is current. May sleep.
 */
void nested_shadow_update(struct vcpu *vcpu)
{
	struct nested *n = &vcpu->nested;
	bool on = vmx_features.vmcs_shadowing && n->vmptr != VMPTR_NONE && !(shadow_needs & ~n->gates) &&
		  shadow_alloc(n);

	if (on) {
		n->shadow_on = true;
		preempt_disable();
		vmcs_load(&n->shadow);
		shadow_fill_all(n);
		vmcs_load(vcpu->vmcs);
		preempt_enable();
		vmcs_write(VMCS_LINK_POINTER, n->shadow.hpa);
		shadow_write_bitmaps(n);
		vcpu->ctl01.proc2 |= SECONDARY_EXEC_SHADOW_VMCS;
	} else if (n->shadow_on) {
		n->shadow_on = false;
		vmcs_write(VMCS_LINK_POINTER, ~0ULL);
		vcpu->ctl01.proc2 &= ~SECONDARY_EXEC_SHADOW_VMCS;
	} else {
		return;
	}
	vmx_write_proc2_01(vcpu);
}
