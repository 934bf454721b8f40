// SPDX-License-Identifier: GPL-2.0
/* VMCS shadowing for L1: its hot VMREADs and VMWRITEs go to a shadow VMCS and cost no exit. SDM 3C 25.10, 31.3. */
#include <linux/gfp.h>
#include <linux/slab.h>

#include "droste.h"

#define MAX_SHADOWED	48

/* One field of the shadow, from the field table. */
struct shadow_field {
	u16 enc;
	u16 off;	/* in struct vmcs12 */
	u16 dirty;	/* DIRTY12_* when L1 changed it */
};

/*
 * The shadowed fields in four runs, so that each loop knows its width and
 * what it does with a field: written by L1 or not, 64 or 32 bits in VMCS12.
 * Constant after init, as are the bitmaps: a set bit makes the access exit.
 */
enum { RUN_RW64, RUN_RW32, RUN_RO64, RUN_RO32, NR_RUNS };
static struct shadow_field fields[MAX_SHADOWED];
static unsigned int run_end[NR_RUNS];	/* index after the run's last field; a run begins where the one before ends */
static u32 shadow_gates;		/* what an L1 must have been offered for all of them to exist */
static unsigned long *vmread_bitmap, *vmwrite_bitmap;

/* The run a row belongs to, or NR_RUNS. */
static unsigned int run_of(const struct vmcs12_field *f, u32 gates)
{
	unsigned int run;

	if (f->shadow == SHADOW_NONE || !vmcs12_field_exists(f, gates))
		return NR_RUNS;
	run = f->shadow == SHADOW_RW ? RUN_RW64 : RUN_RO64;
	return f->width == VMCS12_WIDTH_32 ? run + 1 : run;
}

/* Choose the fields that both an L1 and this processor's VMCSs may have. */
static int choose_fields(void)
{
	u32 gates = vmcs12_gates(&offer_caps) & vmcs12_gates(&host_caps);
	unsigned int run, n = 0;
	int i;

	for (run = 0; run < NR_RUNS; run++) {
		for (i = 0; i < NR_VMCS12_FIELDS; i++) {
			const struct vmcs12_field *f = &vmcs12_fields[i];

			if (run_of(f, gates) != run)
				continue;
			if (WARN_ON_ONCE(n == MAX_SHADOWED || f->width == VMCS12_WIDTH_16))
				return -EINVAL;
			fields[n++] = (struct shadow_field) { f->enc, f->off, f->dirty };
			shadow_gates |= BIT(f->gate);
			__clear_bit(f->enc, vmread_bitmap);
			if (f->shadow == SHADOW_RW)
				__clear_bit(f->enc, vmwrite_bitmap);
		}
		run_end[run] = n;
	}
	return 0;
}

/**
 * nested_shadow_init() - the shadowed set and its bitmaps, at module load
 *
 * After vmcs12_init() and vmx_caps_init().
 *
 * Return: 0 or a negative errno.
 */
int nested_shadow_init(void)
{
	int ret;

	if (!vmx_features.vmcs_shadowing)
		return 0;
	vmread_bitmap = (unsigned long *)__get_free_page(GFP_KERNEL);
	vmwrite_bitmap = (unsigned long *)__get_free_page(GFP_KERNEL);
	if (!vmread_bitmap || !vmwrite_bitmap) {
		nested_shadow_exit();
		return -ENOMEM;
	}
	memset(vmread_bitmap, 0xff, PAGE_SIZE);
	memset(vmwrite_bitmap, 0xff, PAGE_SIZE);
	ret = choose_fields();
	if (ret)
		nested_shadow_exit();
	return ret;
}

void nested_shadow_exit(void)
{
	free_page((unsigned long)vmread_bitmap);
	free_page((unsigned long)vmwrite_bitmap);
	vmread_bitmap = NULL;
	vmwrite_bitmap = NULL;
}

/* The shadow VMCS of a vCPU, made when L1 first has a current VMCS. */
static bool shadow_alloc(struct nested *n)
{
	if (n->shadow.region)
		return true;
	if (!n->shadow_held)
		n->shadow_held = kcalloc(MAX_SHADOWED, sizeof(*n->shadow_held), GFP_KERNEL_ACCOUNT);
	return n->shadow_held && !vmcs_alloc(&n->shadow, true);
}

void nested_shadow_free(struct vcpu *vcpu)
{
	vmcs_free(&vcpu->nested.shadow);
	kfree(vcpu->nested.shadow_held);
	vcpu->nested.shadow_held = NULL;
}

/*
 * Write the fields [from, to) that are not what the shadow holds already;
 * the shadow is current.
 */
static __always_inline void fill_run(struct nested *n, unsigned int from, unsigned int to, bool is64, bool all)
{
	const char *vmcs12 = (const char *)n->vmcs12;
	unsigned int i;
	u64 val;

	for (i = from; i < to; i++) {
		val = is64 ? *(const u64 *)(vmcs12 + fields[i].off) : *(const u32 *)(vmcs12 + fields[i].off);
		if (!all && val == n->shadow_held[i])
			continue;
		n->shadow_held[i] = val;
		vmcs_write(fields[i].enc, val);
	}
}

static void fill(struct vcpu *vcpu, bool all)
{
	struct nested *n = &vcpu->nested;

	/* A thread scheduled out and in finds its own VMCS current, not the shadow. */
	preempt_disable();
	vmcs_load(&n->shadow);
	fill_run(n, 0, run_end[RUN_RW64], true, all);
	fill_run(n, run_end[RUN_RW64], run_end[RUN_RW32], false, all);
	fill_run(n, run_end[RUN_RW32], run_end[RUN_RO64], true, all);
	fill_run(n, run_end[RUN_RO64], run_end[RUN_RO32], false, all);
	vmcs_load(vcpu->vmcs);
	preempt_enable();
	n->shadow_dirty = false;
}

/**
 * nested_shadow_fill() - bring the shadow in line with VMCS12, before L1 runs
 * @vcpu: any of its VMCSs current; it is again afterwards
 *
 * L1 must not have run since nested_shadow_fetch(), which has its writes.
 */
void nested_shadow_fill(struct vcpu *vcpu)
{
	if (vcpu->nested.shadow_on)
		fill(vcpu, false);
}

static __always_inline void fetch_run(struct nested *n, unsigned int from, unsigned int to, bool is64)
{
	char *vmcs12 = (char *)n->vmcs12;
	unsigned int i;
	u64 val;

	for (i = from; i < to; i++) {
		val = vmcs_read(fields[i].enc);
		if (val == n->shadow_held[i])
			continue;
		n->shadow_held[i] = val;
		n->vmcs12_dirty |= fields[i].dirty;
		if (is64)
			*(u64 *)(vmcs12 + fields[i].off) = val;
		else
			*(u32 *)(vmcs12 + fields[i].off) = val;
	}
}

/**
 * nested_shadow_fetch() - take over what L1 wrote to the shadow
 * @vcpu: any of its VMCSs current; it is again afterwards
 *
 * Changed fields mark their part of VMCS12 dirty.
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
	fetch_run(n, 0, run_end[RUN_RW64], true);
	fetch_run(n, run_end[RUN_RW64], run_end[RUN_RW32], false);
	vmcs_load(vcpu->vmcs);
	preempt_enable();
	n->vmcs12_dirty |= vmcs12_rflags_dirty(rflags, n->vmcs12->guest_rflags);
}

/**
 * nested_shadow_on_cpu() - the vCPU came to this CPU: its shadow comes along
 * @vcpu: its VMCS is current here; preemption off, irqs on
 *
 * A VM entry with VMCS shadowing makes the VMCS behind the link pointer active
 * on this CPU (SDM 3C 25.10), and it must not be active elsewhere then. Called
 * whichever level runs, so that the hot path finds the shadow here.
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
 * nested_shadow_update() - turn VMCS shadowing on or off for L1
 * @vcpu: VMCS01 current; may sleep
 *
 * To be called whenever L1's current VMCS changed: on and filled with one, off
 * without. An L1 that was not offered all of the shadowed fields goes without,
 * because the bitmaps are common to all vCPUs.
 */
void nested_shadow_update(struct vcpu *vcpu)
{
	struct nested *n = &vcpu->nested;
	bool on = vmx_features.vmcs_shadowing && n->vmptr != VMPTR_NONE &&
		  !(shadow_gates & ~n->gates) && shadow_alloc(n);

	if (on) {
		n->shadow_on = true;
		fill(vcpu, true);
		vmcs_write(VMCS_LINK_POINTER, n->shadow.hpa);
		vmcs_write(VMREAD_BITMAP, __pa(vmread_bitmap));
		vmcs_write(VMWRITE_BITMAP, __pa(vmwrite_bitmap));
		n->ctl01.proc2 |= SECONDARY_EXEC_SHADOW_VMCS;
	} else if (n->shadow_on) {
		n->shadow_on = false;
		vmcs_write(VMCS_LINK_POINTER, ~0ULL);
		n->ctl01.proc2 &= ~SECONDARY_EXEC_SHADOW_VMCS;
	} else {
		return;
	}
	vmcs_write(SECONDARY_VM_EXEC_CONTROL, n->ctl01.proc2);
}
