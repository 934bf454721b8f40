// SPDX-License-Identifier: GPL-2.0
/* Reads all fields of one of a vCPU's VMCSs for somebody who looks at it from outside. */
#include <linux/droste.h>
#include "droste.h"
#include "cpu/msr.h"
#include "nested/look.h"
#include "nested/nested.h"
#include "nested/vmcs02.h"
#include "vmx/fields.h"
#include "vmx/regs.h"
#include "vmx/vmx.h"

/* Types of fields (SDM 3C table 25-21). */
#define TYPE_CONTROL	0
#define TYPE_HOST	3
#define WIDTH_64	1

/*
 * Whether a field of VMCS01 or VMCS02 has a value that only the kernel may know:
 * host state, or a physical address. The values of the 64-bit controls that are
 * none: TSC offset and multiplier, EOI and XSS bitmaps.
 */
static bool look_is_secret(u32 enc)
{
	if (VMCS_ENC_TYPE(enc) == TYPE_HOST || enc == VMCS_LINK_POINTER)
		return true;
	if (VMCS_ENC_TYPE(enc) != TYPE_CONTROL || VMCS_ENC_WIDTH(enc) != WIDTH_64)
		return false;
	switch (enc) {
	case TSC_OFFSET:
	case TSC_MULTIPLIER:
	case XSS_EXIT_BITMAP:
	case EOI_EXIT_BITMAP0:
	case EOI_EXIT_BITMAP1:
	case EOI_EXIT_BITMAP2:
	case EOI_EXIT_BITMAP3:
		return false;
	default:
		return true;
	}
}

/* VMREAD of a field that the processor may not have. The VMCS is current. */
static bool look_vmread(u32 enc, u64 *val)
{
	unsigned long v = 0;
	bool bad;

	asm volatile("1: vmread %2, %1\n\t"
		     "2:" _ASM_EXTABLE(1b, 2b)
		     : "=@ccna"(bad), "+r"(v) : "r"((unsigned long)enc));
	*val = v;
	return !bad;
}

static void look_put(struct droste_vmcs_field *to, const struct vmcs12_field *f, u64 val, bool hidden)
{
	to->encoding = f->enc;
	to->flags = (hidden ? DROSTE_FIELD_HIDDEN : 0) | (f->class == VMCS12_HOST ? DROSTE_FIELD_HOST : 0);
	to->value = hidden ? 0 : val;
}

/**
 * nested_look_fields() - put all fields of a VMCS12 that exist for the L1 into an array
 * @vcpu: the vCPU
 * @v: the VMCS
 * @to: room for NR_VMCS12_FIELDS
 *
 * Context: Any.
 * Return: the number of fields.
 */
u32 nested_look_fields(const struct vcpu *vcpu, const struct vmcs12 *v, struct droste_vmcs_field *to)
{
	u32 nr = 0;
	int i;

	for (i = 0; i < NR_VMCS12_FIELDS; i++)
		if (vmcs12_field_exists(&vmcs12_fields[i], vcpu->nested.gates))
			look_put(&to[nr++], &vmcs12_fields[i], vmcs12_get(v, &vmcs12_fields[i]), false);
	return nr;
}

/**
 * look_begin() - make one of a vCPU's VMCSs current, to read it
 * @vcpu: loaded; at any level
 * @v: the VMCS
 *
 * If the VMCS was not active on this CPU, it must not stay so: the next switch to
 * it would not write this CPU's host state. look_end() sees to that.
 *
 * Context: Process context. Preemption is disabled until look_end().
 * Return: true if the VMCS was not active on this CPU.
 */
bool look_begin(struct vcpu *vcpu, struct loaded_vmcs *v)
{
	bool elsewhere;

	vmx_flush_regs(vcpu);
	preempt_disable();
	elsewhere = v->cpu != smp_processor_id();
	vmcs_load(v);
	return elsewhere;
}

/**
 * look_end() - make the VMCS of the vCPU's level current again
 * @vcpu: loaded; at any level
 * @v: that of look_begin()
 * @elsewhere: the answer of look_begin(); false for a shadow VMCS, which has no host state
 *
 * Context: Process context. Enables preemption.
 */
void look_end(struct vcpu *vcpu, struct loaded_vmcs *v, bool elsewhere)
{
	if (elsewhere && v != vcpu->vmcs) {
		local_irq_disable();
		vmcs_clear_local(v);
		local_irq_enable();
	}
	vmcs_load(vcpu->vmcs);
	preempt_enable();
}

/*
 * Read a VMCS of the processor. Of a shadow VMCS only those fields count that L1
 * can access without an exit: the others are never written.
 */
static void look_at_hardware(struct vcpu *vcpu, struct loaded_vmcs *v, struct look *l)
{
	bool shadow = l->which == DROSTE_VMCS_SHADOW, elsewhere = look_begin(vcpu, v);
	int i;
	u64 val;

	for (i = 0; i < NR_VMCS12_FIELDS; i++) {
		const struct vmcs12_field *f = &vmcs12_fields[i];

		if (shadow && (f->shadow == SHADOW_NONE || !vmcs12_field_exists(f, vcpu->nested.gates)))
			continue;
		if (!look_vmread(f->enc, &val))
			continue;
		look_put(&l->fields[l->nr], f, val, !shadow && l->hide && look_is_secret(f->enc));
		if (!vmcs12_field_exists(f, vcpu->nested.gates))
			l->fields[l->nr].flags |= DROSTE_FIELD_GATED;
		l->nr++;
	}
	look_end(vcpu, v, elsewhere && !shadow);
}

/* Mark the fields of VMCS12 whose values were newer elsewhere, and those of the groups that L1 has written to. */
static void look_mark(const struct vcpu *vcpu, struct look *l)
{
	u32 i;

	for (i = 0; i < l->nr; i++) {
		struct droste_vmcs_field *to = &l->fields[i];
		const struct vmcs12_field *f = vmcs12_field_lookup(to->encoding);

		if (vmcs12_get(l->before, f) != to->value)
			to->flags |= DROSTE_FIELD_STALE;
		if (f->dirty & vcpu->nested.vmcs12_dirty)
			to->flags |= DROSTE_FIELD_DIRTY;
	}
}

static int look_at_vmcs12(struct vcpu *vcpu, struct look *l)
{
	struct nested *n = &vcpu->nested;

	if (!n->vmxon || n->vmptr == VMPTR_NONE)
		return -ENOENT;
	*l->before = *n->vmcs12;
	savestate_collect(vcpu, l->vmcs12);
	l->nr = nested_look_fields(vcpu, l->vmcs12, l->fields);
	look_mark(vcpu, l);
	return 0;
}

/**
 * nested_look() - read all fields of one of a vCPU's VMCSs
 * @vcpu: loaded; at any level
 * @arg: struct look: @which, @hide and the buffers are set; the rest is filled
 *
 * For vcpu_visit().
 *
 * Context: Process context. The VMCS of the vCPU's level is current. Does not sleep.
 */
void nested_look(struct vcpu *vcpu, void *arg)
{
	struct nested *n = &vcpu->nested;
	struct look *l = arg;

	l->nr = 0;
	l->ret = 0;
	l->in_l2 = vcpu->in_l2;
	l->vmptr = n->vmxon ? n->vmptr : VMPTR_NONE;
	l->merged01 = n->merged01;
	switch (l->which) {
	case DROSTE_VMCS01:
		look_at_hardware(vcpu, &vcpu->vmcs01, l);
		break;
	case DROSTE_VMCS12:
		l->ret = look_at_vmcs12(vcpu, l);
		break;
	case DROSTE_VMCS02:
		if (n->vmcs02.region && vcpu->in_l2)
			look_at_hardware(vcpu, &n->vmcs02, l);
		else
			l->ret = -ENOENT;
		break;
	default:
		if (n->shadow.region && n->shadow_on)
			look_at_hardware(vcpu, &n->shadow, l);
		else
			l->ret = -ENOENT;
	}
}

/**
 * nested_look_why() - read what is known of the last VM entry of L1 that failed
 * @vcpu: loaded; at any level
 * @arg: struct look_why
 *
 * For vcpu_visit().
 *
 * Context: Process context. Does not sleep.
 */
void nested_look_why(struct vcpu *vcpu, void *arg)
{
	struct nested *n = &vcpu->nested;
	struct look_why *l = arg;
	struct droste_why *why = l->why;
	int i;

	l->ret = -ENOENT;
	if (!n->entries_failed)
		return;
	l->ret = 0;
	if (n->failed12 && n->failed_vmptr != VMPTR_NONE)
		l->nr = nested_look_fields(vcpu, n->failed12, l->fields);
	why->code = n->failed_code;
	why->qual = n->failed_qual;
	why->check = n->failed_check;
	why->maxphyaddr = vcpu->gcaps.maxphyaddr;
	why->seq = n->failed_seq;
	why->vmptr = n->failed_vmptr;
	why->rip = n->failed_rip;
	why->entries = vcpu->stats.nested_run;
	why->failures = n->entries_failed;
	why->flags = n->failed_launch ? DROSTE_WHY_VMLAUNCH : 0;
	why->efer = vcpu->gcaps.efer_allowed | (vcpu->gcaps.long_mode ? EFER_LMA : 0);
	why->debugctl = msr_debugctl_allowed(vcpu);
	for (i = 0; i < ARRAY_SIZE(why->failed); i++)
		why->failed[i] = n->failed_checks[i];
	for (i = 0; i < VMX_CAPS_NR; i++)
		why->caps[i] = *vmx_caps_msr(&n->caps, VMX_CAPS_FIRST + i);
}
