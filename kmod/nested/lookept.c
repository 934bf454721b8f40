// SPDX-License-Identifier: GPL-2.0
/*
 * Follows one address through EPT12, the memory slots, EPT01 and EPT02 for somebody who looks from outside, and tells what
 * accesses would do. The verdicts are those of ept12_walk(), ept_judge_slot(), ept02_judge_walk() and ept02_judge_memory(), which
 * decide faults. Nothing is changed.
 */
#include <linux/droste.h>
#include "droste.h"
#include "ept/ept.h"
#include "mem/l2gpa.h"
#include "mem/memslot.h"
#include "nested/look.h"
#include "nested/merge.h"
#include "nested/nested.h"

static_assert(DROSTE_EPT_LEVELS == EPT_ROOT_LEVEL);

/* A walk of EPT12 that writes nothing. */
struct lookept_walk {
	struct vm *vm;
	struct droste_ept_tables *tables;	/* gets the entries; NULL: nobody asks */
	u32 sets;				/* the flags that the access sets in the entries */
	bool not_now;				/* the host does not have a page of the tables */
};

static int lookept_read(void *ctx, u64 gpa, u64 *entry)
{
	struct lookept_walk *w = ctx;
	struct droste_ept_tables *t = w->tables;
	int err;

	*entry = 0;
	err = vm_peek_guest(w->vm, gpa, entry, 1);
	w->not_now = err && err != -ENXIO;
	if (t && t->nr < DROSTE_EPT_LEVELS) {
		t->at[t->nr] = gpa;
		t->entry[t->nr++] = *entry;
		t->flags |= w->not_now ? DROSTE_EPT_NOT_NOW : err ? DROSTE_EPT_NO_MEMORY : 0;
	}
	return err ? -EFAULT : 0;
}

static int lookept_set_bits(void *ctx, u64 gpa, u64 old, u64 bits)
{
	struct lookept_walk *w = ctx;

	w->sets |= bits & ~old;
	return 0;
}

static const struct ept12_ops lookept_ops = {
	.read = lookept_read,
	.set_bits = lookept_set_bits,
};

/* Put the entries of EPT01 or EPT02 into the array, from the root's on. */
static void lookept_tell(const struct ept_path *p, bool hide, struct droste_ept_tables *t)
{
	u64 seen = hide ? ~EPT_ADDR_MASK : ~0ULL;
	int level;

	if (!p->eptp)
		return;
	t->flags = DROSTE_EPT_EXISTS | (p->leaf ? DROSTE_EPT_LEAF : 0) | (hide ? DROSTE_EPT_HIDDEN : 0);
	t->eptp = p->eptp & seen;
	for (level = EPT_ROOT_LEVEL; level >= p->level; level--) {
		t->at[t->nr] = hide ? 0 : p->at[level];
		t->entry[t->nr++] = p->entry[level] & seen;
	}
}

static void lookept_slot(const struct memslot *slot, bool hide, struct droste_ept *e)
{
	if (!slot)
		return;
	e->flags |= DROSTE_EPT_IN_SLOT;
	e->slot = slot->id;
	e->slot_flags = slot->flags;
	e->slot_gpa = slot->base << PAGE_SHIFT;
	e->slot_size = slot->npages << PAGE_SHIFT;
	e->slot_hva = hide ? 0 : slot->hva;
}

/* What the fault of an access to @slot, or to where there is no memory, becomes. */
static u32 lookept_judge_memory(const struct droste_ept *e, const struct memslot *slot, u64 access)
{
	enum ept01_result result = ept_judge_slot(slot, access);

	if (ept02_judge_memory(result) == EPT02_FIXED)
		return DROSTE_EPT_FILLS;
	if (e->flags & DROSTE_EPT_APIC_PAGE)
		return DROSTE_EPT_APIC;
	return result == EPT01_READONLY ? DROSTE_EPT_READONLY : DROSTE_EPT_MMIO;
}

/* What the fault of an access of L2 on EPT02 becomes. */
static void lookept_judge_l2(struct vcpu *vcpu, const struct ept12_cfg *cfg, const struct droste_ept *e,
			     const struct memslot *slot, u64 access, struct droste_ept_access *a)
{
	struct lookept_walk w = { .vm = vcpu->vm };
	struct ept12_result outer;
	enum ept12_verdict verdict = ept12_walk(cfg, &lookept_ops, &w, e->gpa, access, &outer);
	u64 qual = access | EPT12_GLA_VALID | EPT12_GLA_FINAL;

	if (w.not_now) {
		a->verdict = DROSTE_EPT_UNKNOWN;
		return;
	}
	a->sets = w.sets;
	switch (ept02_judge_walk(verdict, &outer, &qual)) {
	case EPT02_FIXED:
		a->verdict = lookept_judge_memory(e, slot, access);
		break;
	case EPT02_VIOLATION:
		a->verdict = DROSTE_EPT_VIOLATION;
		a->qual = qual;
		break;
	default:
		a->verdict = DROSTE_EPT_MISCONFIG;
	}
}

/* Translate the address by EPT12. Without @cfg it is one of L1. */
static void lookept_translate(struct vcpu *vcpu, const struct ept12_cfg *cfg, struct droste_ept *e)
{
	struct lookept_walk w = { .vm = vcpu->vm, .tables = &e->ept12 };
	struct ept12_result outer = { .gpa = e->gpa };

	if (cfg) {
		e->ept12.flags = DROSTE_EPT_EXISTS;
		e->ept12.eptp = cfg->eptp;
		if (ept12_walk(cfg, &lookept_ops, &w, e->gpa, 0, &outer) != EPT12_OK)
			return;
		e->ept12.flags |= DROSTE_EPT_LEAF;
	}
	e->flags |= DROSTE_EPT_TRANSLATED;
	e->l1_gpa = outer.gpa;
	if (!(e->flags & DROSTE_EPT_OF_L1) && nested_is_apic_page(vcpu->nested.vmcs12, outer.gpa))
		e->flags |= DROSTE_EPT_APIC_PAGE;
}

static void lookept_all(struct vcpu *vcpu, const struct ept12_cfg *cfg, struct look_ept *l)
{
	static const u64 kinds[] = { EPT_READ, EPT_WRITE, EPT_EXEC };
	bool flat = vcpu->in_l2 && vcpu->nested.ept02.flat && !(l->ept->flags & DROSTE_EPT_OF_L1);
	const struct memslot *slot = NULL;
	struct ept_path path01 = {}, path02 = {};
	struct droste_ept *e = l->ept;
	int i;

	lookept_translate(vcpu, cfg, e);
	if (e->flags & DROSTE_EPT_TRANSLATED) {
		slot = vm_slot(vcpu->vm, e->l1_gpa >> PAGE_SHIFT);
		lookept_slot(slot, l->hide, e);
		ept01_path(vcpu->vm, e->l1_gpa, &path01);
	}
	if (flat)
		ept02_flat_path(vcpu, e->gpa, &path02);
	else if (cfg)
		ept02_path(vcpu, cfg->eptp, e->gpa, &path02);
	lookept_tell(&path01, l->hide, &e->ept01);
	lookept_tell(&path02, l->hide, &e->ept02);
	for (i = 0; i < ARRAY_SIZE(kinds); i++) {
		/* An access that the processor lets through sets no flag in EPT12: the leaf is there because they are set. */
		if (ept_path_allows(flat || cfg ? &path02 : &path01, kinds[i]))
			e->access[i].verdict = DROSTE_EPT_THROUGH;
		else if (cfg)
			lookept_judge_l2(vcpu, cfg, e, slot, kinds[i], &e->access[i]);
		else
			e->access[i].verdict = lookept_judge_memory(e, slot, kinds[i]);
	}
}

/* L1's EPTP for the L2 that runs, or that L1 enters next. 0: L1 does not use EPT. */
static u64 lookept_eptp(struct vcpu *vcpu)
{
	struct nested *n = &vcpu->nested;

	if (vcpu->in_l2)
		return n->ept02.cur ? n->ept02.cur->eptp12 : 0;
	nested_shadow_fetch(vcpu);
	return merge_proc2_of(n->vmcs12) & SECONDARY_EXEC_ENABLE_EPT ? n->vmcs12->ept_pointer : 0;
}

/**
 * nested_look_ept() - follow an address through all extended page tables
 * @vcpu: loaded; at any level
 * @arg: struct look_ept
 *
 * For vcpu_visit(). Caller holds a reference to the users of vm->mm.
 *
 * Context: Process context. The VMCS of the vCPU's level is current. May sleep.
 */
void nested_look_ept(struct vcpu *vcpu, void *arg)
{
	struct nested *n = &vcpu->nested;
	struct look_ept *l = arg;
	struct ept12_cfg cfg;
	u64 eptp = 0;

	l->ret = 0;
	if (vcpu->in_l2)
		l->ept->flags |= DROSTE_EPT_IN_L2;
	if (!(l->ept->flags & DROSTE_EPT_OF_L1)) {
		if (!n->vmxon || n->vmptr == VMPTR_NONE) {
			l->ret = -ENOENT;
			return;
		}
		eptp = lookept_eptp(vcpu);
		cfg = l2gpa_cfg(vcpu, eptp);
	}
	lookept_all(vcpu, eptp ? &cfg : NULL, l);
}
