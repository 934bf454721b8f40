// SPDX-License-Identifier: GPL-2.0
/* EPT02, the shadow that L2 runs on: EPT12 and then EPT01, filled on demand. */
#include <linux/gfp.h>
#include <linux/io.h>
#include <linux/mm.h>
#include <linux/string.h>
#include "droste.h"
#include "ept/ept.h"
#include "ept/ept12.h"
#include "mem/l2gpa.h"
#include "vmx/vmx.h"

/*
 * What L1 maps decides how many tables its shadow needs, so there is a limit
 * for a vCPU: 8,192 tables are 32 MiB, and map 16 GiB by 4-KiB pages. When it
 * is reached all is dropped and filled again.
 */
#define EPT02_MAX_PAGES	8192

/* What L1 reads of the processor's exit qualification: access, linear address, NMI unblocking. */
#define QUAL_FROM_HARDWARE (EPT_RWX | BIT_ULL(7) | BIT_ULL(8) | BIT_ULL(12))
#define QUAL_GLA_VALID	BIT_ULL(7)
#define QUAL_GLA_FINAL	BIT_ULL(8)	/* not to a paging structure on the way */

/* How many tables this vCPU may have: its part of what user space allows, and enough for some walks in any case. */
static unsigned long max_tables(const struct vcpu *vcpu)
{
	unsigned long all = READ_ONCE(vcpu->vm->max_shadow_pages);

	return all ? clamp(all / vcpu->vm->nr_vcpus, 16UL, (unsigned long)EPT02_MAX_PAGES) : EPT02_MAX_PAGES;
}

static struct ept02 *ept02_of(struct vcpu *vcpu)
{
	return &vcpu->nested.ept02;
}

static u64 *table_of(u64 entry)
{
	return __va(entry & EPT_ADDR_MASK);
}

/* Forget all that @r maps. It stays usable: VMCS02 may point to it. */
static void drop(struct ept02 *e, struct ept02_root *r)
{
	struct page *page, *next;

	if (!r->root || list_empty(&r->pages))
		return;
	memset(r->root, 0, PAGE_SIZE);
	/* The tables may be freed when the processor has no pointers to them any more. */
	vmx_invept_single(r->eptp);
	list_for_each_entry_safe(page, next, &r->pages, lru) {
		list_del(&page->lru);
		__free_page(page);
		e->pages--;
	}
}

void ept02_init(struct vcpu *vcpu)
{
	struct ept02 *e = ept02_of(vcpu);
	int i;

	memset(e, 0, sizeof(*e));
	for (i = 0; i < EPT02_ROOTS; i++)
		INIT_LIST_HEAD(&e->roots[i].pages);
}

void ept02_destroy(struct vcpu *vcpu)
{
	struct ept02 *e = ept02_of(vcpu);
	int i;

	for (i = 0; i < EPT02_ROOTS; i++) {
		drop(e, &e->roots[i]);
		free_page((unsigned long)e->roots[i].root);
		e->roots[i].root = NULL;
	}
	e->cur = NULL;
}

/* Make @r the shadow that L2 runs on. */
static u64 choose(struct ept02 *e, struct ept02_root *r)
{
	r->used = ++e->tick;
	e->cur = r;
	return r->eptp;
}

u64 ept02_find(struct vcpu *vcpu, u64 eptp12)
{
	struct ept02 *e = ept02_of(vcpu);
	int i;

	if (e->cur && e->cur->eptp12 == eptp12)
		return e->cur->eptp;
	for (i = 0; i < EPT02_ROOTS; i++)
		if (e->roots[i].root && e->roots[i].eptp12 == eptp12)
			return choose(e, &e->roots[i]);
	return 0;
}

/* A root that is free, or the one that was not used for longest. */
static struct ept02_root *victim(struct ept02 *e)
{
	struct ept02_root *oldest = &e->roots[0];
	int i;

	for (i = 0; i < EPT02_ROOTS; i++) {
		if (!e->roots[i].root)
			return &e->roots[i];
		if (e->roots[i].used < oldest->used)
			oldest = &e->roots[i];
	}
	return oldest;
}

u64 ept02_use(struct vcpu *vcpu, u64 eptp12)
{
	struct ept02 *e = ept02_of(vcpu);
	u64 eptp = ept02_find(vcpu, eptp12);
	struct ept02_root *r;

	if (eptp)
		return eptp;
	r = victim(e);
	drop(e, r);
	if (!r->root) {
		r->root = (u64 *)get_zeroed_page(GFP_KERNEL_ACCOUNT);
		if (!r->root)
			return 0;
	}
	r->eptp12 = eptp12;
	/*
	 * With the same A/D setting as L1's, the processor treats its accesses
	 * to L2's paging structures as L1 expects: as writes, or not. L1 was
	 * offered A/D flags only if the processor has them.
	 */
	r->eptp = __pa(r->root) | EPTP_WB | EPTP_WALK4 | (eptp12 & EPTP_AD);
	/* The page may have been the root of another vCPU's tables that ran on this CPU. */
	vmx_invept_single(r->eptp);
	return choose(e, r);
}

void ept02_invalidate(struct vcpu *vcpu, u64 eptp12)
{
	struct ept02 *e = ept02_of(vcpu);
	int i;

	/* What is cached is tagged by the address of the PML4 table alone (SDM 3C 29.4.1). */
	for (i = 0; i < EPT02_ROOTS; i++)
		if (!((e->roots[i].eptp12 ^ eptp12) & EPT_ADDR_MASK))
			drop(e, &e->roots[i]);
}

void ept02_invalidate_all(struct vcpu *vcpu)
{
	struct ept02 *e = ept02_of(vcpu);
	int i;

	for (i = 0; i < EPT02_ROOTS; i++)
		drop(e, &e->roots[i]);
}

static bool in_hole(u64 leaf, int level, const struct ept01_hole *holes, unsigned int n)
{
	u64 hpa = ept_leaf_base(leaf, level), bytes = ept_frames(level) << PAGE_SHIFT;
	unsigned int i;

	for (i = 0; i < n; i++)
		if (hpa < holes[i].hpa + holes[i].bytes && holes[i].hpa < hpa + bytes)
			return true;
	return false;
}

/* Clear the leaves below @table that reach into a hole. Were there any? */
static bool drop_leaves(u64 *table, int level, const struct ept01_hole *holes, unsigned int n)
{
	bool any = false;
	int i;

	for (i = 0; i < EPT_ENTRIES; i++) {
		u64 entry = table[i];

		if (!ept_present(entry))
			continue;
		if (!ept_is_leaf(entry, level)) {
			any |= drop_leaves(table_of(entry), level - 1, holes, n);
		} else if (in_hole(entry, level, holes, n)) {
			WRITE_ONCE(table[i], 0);
			any = true;
		}
	}
	return any;
}

/**
 * ept02_drop_holes() - forget what maps host memory that EPT01 lost
 * @vcpu: it runs on this thread; preemption may be on
 * @holes: the memory
 * @n: how many ranges
 *
 * The leaves are looked for in all tables: there is no map from host memory to
 * them, and this is rare next to the faults that would fill them again.
 */
void ept02_drop_holes(struct vcpu *vcpu, const struct ept01_hole *holes, unsigned int n)
{
	struct ept02 *e = ept02_of(vcpu);
	int i;

	for (i = 0; i < EPT02_ROOTS; i++)
		if (e->roots[i].root && drop_leaves(e->roots[i].root, EPT_ROOT_LEVEL, holes, n))
			vmx_invept_single(e->roots[i].eptp);
}

/* A table of @r in place of what *slot holds, or NULL. */
static u64 *new_table(struct ept02 *e, struct ept02_root *r, u64 *slot)
{
	struct page *page = alloc_page(GFP_KERNEL_ACCOUNT | __GFP_ZERO);

	if (!page)
		return NULL;
	list_add(&page->lru, &r->pages);
	e->pages++;
	WRITE_ONCE(*slot, ept_make_table(page_to_phys(page)));
	return page_address(page);
}

/*
 * Does replacing @old by @new leave processors with something that was true
 * once, and is not now? More rights for the same page do not: an access that
 * needs them faults, and that drops what is cached for it (SDM 3C 29.4.3.1).
 */
static bool must_flush(u64 old, u64 new)
{
	if (!ept_present(old))
		return false;
	return ((old ^ new) & (EPT_ADDR_MASK | EPT_MEMTYPE_MASK | EPT_IPAT | EPT_PAGE_SIZE_BIT)) ||
	       (old & ~new & EPT_RWX);
}

/*
 * Put @leaf in for @l2_gpa. Where L1 changed its tables without INVEPT, a
 * leaf may stand where a table must go or the other way round; a table that
 * is unlinked so stays on the root's list until all are dropped.
 */
static bool install(struct ept02 *e, struct ept02_root *r, u64 l2_gpa, u64 leaf, int level)
{
	u64 *table = r->root, *slot, old;
	bool flush = false;
	int l;

	for (l = EPT_ROOT_LEVEL; l > level; l--) {
		slot = &table[ept_index(l2_gpa, l)];
		old = READ_ONCE(*slot);
		if (ept_present(old) && !ept_is_leaf(old, l)) {
			table = table_of(old);
			continue;
		}
		table = new_table(e, r, slot);
		if (!table)
			return false;
		flush |= ept_present(old);
	}
	slot = &table[ept_index(l2_gpa, level)];
	flush |= must_flush(READ_ONCE(*slot), leaf);
	WRITE_ONCE(*slot, leaf);
	if (flush)
		vmx_invept_single(r->eptp);
	return true;
}

/* L2's access as the tables see it: with A/D flags paging structures are written (SDM 3C 29.3.5). */
static u64 access_of(const struct ept02_root *r, u64 qual)
{
	u64 access = qual & EPT_RWX;

	if ((r->eptp12 & EPTP_AD) && (qual & QUAL_GLA_VALID) && !(qual & QUAL_GLA_FINAL))
		access |= EPT_READ | EPT_WRITE;
	return access;
}

/**
 * ept02_fault() - L2 accessed what EPT02 does not map, or not so
 * @vcpu: in L2, on EPT02; srcu held
 * @l2_gpa: what it accessed
 * @qual: the processor's exit qualification; on return, what L1 is to read
 * @l1_gpa: set when L1's tables allow the access
 *
 * May sleep.
 *
 * Return: what to do.
 */
enum ept02_result ept02_fault(struct vcpu *vcpu, gpa_t l2_gpa, u64 *qual, gpa_t *l1_gpa)
{
	struct ept02 *e = ept02_of(vcpu);
	u64 access = access_of(e->cur, *qual);
	struct ept12_result outer;
	struct ept01_leaf inner;
	u64 leaf;
	int level;

	switch (ept12_translate(vcpu, l2_gpa, access, &outer)) {
	case EPT12_OK:
		break;
	case EPT12_VIOLATION:
		*qual = (*qual & QUAL_FROM_HARDWARE) | outer.qual;
		return EPT02_VIOLATION;
	default:
		/* Where L1 has no memory its processor would read all ones: a misconfiguration. */
		return EPT02_MISCONFIG;
	}

	*l1_gpa = outer.gpa;
	switch (ept01_lookup(vcpu, outer.gpa, access, &inner)) {
	case EPT01_FIXED:
		break;
	case EPT01_MMIO:
	case EPT01_READONLY:
		return EPT02_MMIO;
	default:
		return EPT02_ERROR;
	}

	if (e->pages + EPT_ROOT_LEVEL > max_tables(vcpu))
		ept02_invalidate_all(vcpu);
	leaf = ept02_compose(&outer, &inner, &level);
	if (leaf && !install(e, e->cur, l2_gpa, leaf, level))
		return EPT02_ERROR;
	return EPT02_FIXED;
}
