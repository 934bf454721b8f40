// SPDX-License-Identifier: GPL-2.0
/* VMCS shadowing for L1: its frequent VMREADs and VMWRITEs access a shadow VMCS without an exit. SDM 3C 25.10, 31.3. */
#include <linux/gfp.h>
#include <linux/slab.h>
#include "droste.h"
#include "nested/nested.h"
#include "vmx/vmx.h"

#define MAX_SHADOWED	48

/* A shadowed field, from vmx/fields.def. */
struct shadow_field {
	u16 enc;
	u16 off;	/* in struct vmcs12 */
	u16 dirty;	/* DIRTY12_* part of VMCS12 that a write makes dirty */
};

/*
 * The shadowed fields, sorted into runs of the same width and the same access by
 * L1, so that a loop over a run needs no decision for each field. Constant after
 * nested_shadow_init().
 */
enum { RUN_RW64, RUN_RW32, RUN_RW16, RUN_RO64, RUN_RO32, NR_RUNS };
static struct shadow_field fields[MAX_SHADOWED];
static unsigned int run_end[NR_RUNS];	/* index after the run's last field, where the next run begins */

/*
 * The VMREAD and VMWRITE bitmaps; a set bit makes the access exit. There are two
 * variants, because the guest interrupt status exists only for an L1 with
 * virtual-interrupt delivery. An L1 that lacks any other shadowed field does not
 * get shadowing. Constant after nested_shadow_init().
 */
enum { WITHOUT_VID, WITH_VID, NR_VARIANTS };
static struct {
	u32 gates;	/* BIT(GATE_*) that L1 needs so that all fields exist */
	unsigned long *vmread, *vmwrite;
} variants[NR_VARIANTS];

/* The run that a row belongs to; NR_RUNS if it is not shadowed. */
static unsigned int shadow_run_of(const struct vmcs12_field *f, u32 gates)
{
	bool rw = f->shadow == SHADOW_RW;

	if (f->shadow == SHADOW_NONE || !vmcs12_field_exists(f, gates))
		return NR_RUNS;
	switch (f->width) {
	case VMCS12_WIDTH_16:
		return WARN_ON_ONCE(!rw) ? NR_RUNS : RUN_RW16;
	case VMCS12_WIDTH_32:
		return rw ? RUN_RW32 : RUN_RO32;
	default:
		return rw ? RUN_RW64 : RUN_RO64;
	}
}

static void shadow_let_through(const struct vmcs12_field *f, int variant)
{
	variants[variant].gates |= BIT(f->gate);
	__clear_bit(f->enc, variants[variant].vmread);
	if (f->shadow == SHADOW_RW)
		__clear_bit(f->enc, variants[variant].vmwrite);
}

/* Choose the shadowed fields that exist both for an L1 and on this processor. */
static int shadow_choose_fields(void)
{
	u32 gates = vmcs12_gates(&offer_caps) & vmcs12_gates(&host_caps);
	unsigned int run, n = 0;
	int i;

	for (run = 0; run < NR_RUNS; run++) {
		for (i = 0; i < NR_VMCS12_FIELDS; i++) {
			const struct vmcs12_field *f = &vmcs12_fields[i];

			if (shadow_run_of(f, gates) != run)
				continue;
			if (WARN_ON_ONCE(n == MAX_SHADOWED))
				return -EINVAL;
			fields[n++] = (struct shadow_field) { f->enc, f->off, f->dirty };
			shadow_let_through(f, WITH_VID);
			if (f->gate != GATE_VID)
				shadow_let_through(f, WITHOUT_VID);
		}
		run_end[run] = n;
	}
	return 0;
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
	int i, ret;

	if (!vmx_features.vmcs_shadowing)
		return 0;
	for (i = 0; i < NR_VARIANTS; i++) {
		variants[i].vmread = (unsigned long *)__get_free_page(GFP_KERNEL);
		variants[i].vmwrite = (unsigned long *)__get_free_page(GFP_KERNEL);
		if (!variants[i].vmread || !variants[i].vmwrite) {
			nested_shadow_exit();
			return -ENOMEM;
		}
		memset(variants[i].vmread, 0xff, PAGE_SIZE);
		memset(variants[i].vmwrite, 0xff, PAGE_SIZE);
	}
	ret = shadow_choose_fields();
	if (ret)
		nested_shadow_exit();
	return ret;
}

/**
 * nested_shadow_exit() - free the bitmaps
 *
 * Context: Module unload, when no vCPU is left. May be called after an error of
 * nested_shadow_init().
 */
void nested_shadow_exit(void)
{
	int i;

	for (i = 0; i < NR_VARIANTS; i++) {
		free_page((unsigned long)variants[i].vmread);
		free_page((unsigned long)variants[i].vmwrite);
		variants[i].vmread = NULL;
		variants[i].vmwrite = NULL;
	}
}

/* Allocate the vCPU's shadow VMCS, when L1 first has a current VMCS. */
static bool shadow_alloc(struct nested *n)
{
	if (n->shadow.region)
		return true;
	if (!n->shadow_held)
		n->shadow_held = kcalloc(MAX_SHADOWED, sizeof(*n->shadow_held), GFP_KERNEL_ACCOUNT);
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

/*
 * Write those of the fields [from, to) whose value differs from the one that the
 * shadow holds. The shadow is current.
 */
static __always_inline void shadow_fill_run(struct nested *n, unsigned int from, unsigned int to, int bits, bool all)
{
	const char *vmcs12 = (const char *)n->vmcs12, *at;
	unsigned int i;
	u64 val;

	for (i = from; i < to; i++) {
		at = vmcs12 + fields[i].off;
		val = bits == 64 ? *(const u64 *)at : bits == 32 ? *(const u32 *)at : *(const u16 *)at;
		if (!all && val == n->shadow_held[i])
			continue;
		n->shadow_held[i] = val;
		vmcs_write(fields[i].enc, val);
	}
}

static void shadow_fill(struct vcpu *vcpu, bool all)
{
	struct nested *n = &vcpu->nested;

	/* Preemption would make vcpu->vmcs current again in place of the shadow. */
	preempt_disable();
	vmcs_load(&n->shadow);
	shadow_fill_run(n, 0, run_end[RUN_RW64], 64, all);
	shadow_fill_run(n, run_end[RUN_RW64], run_end[RUN_RW32], 32, all);
	shadow_fill_run(n, run_end[RUN_RW32], run_end[RUN_RW16], 16, all);
	shadow_fill_run(n, run_end[RUN_RW16], run_end[RUN_RO64], 64, all);
	shadow_fill_run(n, run_end[RUN_RO64], run_end[RUN_RO32], 32, all);
	vmcs_load(vcpu->vmcs);
	preempt_enable();
}

/**
 * nested_shadow_fill() - copy VMCS12's shadowed fields to the shadow VMCS
 * @vcpu: the vCPU; does nothing if shadowing is off
 *
 * Must be called before L1 runs if VMCS12 has changed. L1 must not have run since
 * nested_shadow_fetch(), or its writes to the shadow would be lost.
 *
 * Context: Process context. Any VMCS may be current, and stays current.
 */
void nested_shadow_fill(struct vcpu *vcpu)
{
	if (vcpu->nested.shadow_on)
		shadow_fill(vcpu, false);
}

static __always_inline void shadow_fetch_run(struct nested *n, unsigned int from, unsigned int to, int bits)
{
	char *vmcs12 = (char *)n->vmcs12, *at;
	unsigned int i;
	u64 val;

	for (i = from; i < to; i++) {
		val = vmcs_read(fields[i].enc);
		if (val == n->shadow_held[i])
			continue;
		n->shadow_held[i] = val;
		n->vmcs12_dirty |= fields[i].dirty;
		at = vmcs12 + fields[i].off;
		if (bits == 64)
			*(u64 *)at = val;
		else if (bits == 32)
			*(u32 *)at = val;
		else
			*(u16 *)at = val;
	}
}

/**
 * nested_shadow_fetch() - copy L1's writes from the shadow VMCS to VMCS12
 * @vcpu: the vCPU; does nothing if shadowing is off
 *
 * Marks the parts of VMCS12 that have changed in nested.vmcs12_dirty.
 *
 * Context: Process context. Any VMCS may be current, and stays current.
 */
void nested_shadow_fetch(struct vcpu *vcpu)
{
	struct nested *n = &vcpu->nested;
	u64 rflags;

	if (!n->shadow_on)
		return;
	rflags = n->vmcs12->guest_rflags;
	preempt_disable();
	vmcs_load(&n->shadow);
	shadow_fetch_run(n, 0, run_end[RUN_RW64], 64);
	shadow_fetch_run(n, run_end[RUN_RW64], run_end[RUN_RW32], 32);
	shadow_fetch_run(n, run_end[RUN_RW32], run_end[RUN_RW16], 16);
	vmcs_load(vcpu->vmcs);
	preempt_enable();
	n->vmcs12_dirty |= vmcs12_rflags_dirty(rflags, n->vmcs12->guest_rflags);
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
	int variant = n->gates & BIT(GATE_VID) ? WITH_VID : WITHOUT_VID;
	bool on = vmx_features.vmcs_shadowing && n->vmptr != VMPTR_NONE &&
		  !(variants[variant].gates & ~n->gates) && shadow_alloc(n);

	if (on) {
		n->shadow_on = true;
		shadow_fill(vcpu, true);
		vmcs_write(VMCS_LINK_POINTER, n->shadow.hpa);
		vmcs_write(VMREAD_BITMAP, __pa(variants[variant].vmread));
		vmcs_write(VMWRITE_BITMAP, __pa(variants[variant].vmwrite));
		vcpu->ctl01.proc2 |= SECONDARY_EXEC_SHADOW_VMCS;
	} else if (n->shadow_on) {
		n->shadow_on = false;
		vmcs_write(VMCS_LINK_POINTER, ~0ULL);
		vcpu->ctl01.proc2 &= ~SECONDARY_EXEC_SHADOW_VMCS;
	} else {
		return;
	}
	vmcs_write(SECONDARY_VM_EXEC_CONTROL, vcpu->ctl01.proc2);
}
