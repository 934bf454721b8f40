// SPDX-License-Identifier: GPL-2.0
/* EPT02, the shadow tables that L2 runs on: EPT12 composed with EPT01, filled on demand. */
#include <linux/gfp.h>
#include <linux/io.h>
#include <linux/mm.h>
#include <linux/string.h>
#include "droste.h"
#include "ept/ept.h"
#include "ept/ept12.h"
#include "mem/l2gpa.h"
#include "mem/memslot.h"
#include "vmx/vmx.h"

/*
 * L1 controls how many tables its shadow needs, so there is a limit per vCPU:
 * 8,192 tables are 32 MiB, and map 16 GiB by 4-KiB pages. When the limit is
 * reached all tables are dropped and filled again.
 */
#define EPT02_MAX_PAGES	8192

/* The vCPU's limit of tables: its share of the limit set by user space, but enough for some walks. */
static unsigned long ept02_max_tables(const struct vcpu *vcpu)
{
	unsigned long all = READ_ONCE(vcpu->vm->max_shadow_pages);

	return all ? clamp(all / vcpu->vm->nr_vcpus, 16UL, (unsigned long)EPT02_MAX_PAGES) : EPT02_MAX_PAGES;
}

static struct ept02 *ept02_of(struct vcpu *vcpu)
{
	return &vcpu->nested.ept02;
}

/*
 * A table's filter says which memory its leaves may map, so that a search for
 * some memory can leave the table out. It only grows. It is kept with the
 * table's page, in page->private, and describes the leaves of the table itself,
 * not those of tables below.
 */
static void ept02_filter_add(u64 *table, u64 filter)
{
	struct page *page = virt_to_page(table);

	set_page_private(page, page_private(page) | filter);
}

static u64 ept02_filter_of(u64 leaf, int level)
{
	return ept_filter(ept_leaf_base(leaf, level), ept_frames(level) << PAGE_SHIFT);
}

/* Drop everything that @r maps. The root stays valid, because VMCS02 may point to it. */
static void ept02_drop(struct ept02 *e, struct ept02_root *r)
{
	struct page *page, *next;

	if (!r->root || list_empty(&r->pages))
		return;
	memset(r->root, 0, PAGE_SIZE);
	/* Tables can be freed only after the processor has dropped its pointers to them. */
	vmx_invept_single(r->eptp);
	list_for_each_entry_safe(page, next, &r->pages, lru) {
		list_del(&page->lru);
		__free_page(page);
		e->pages--;
	}
}

/**
 * ept02_init() - initialize a new vCPU's cache of roots
 * @vcpu: the vCPU
 *
 * Context: Process context.
 */
void ept02_init(struct vcpu *vcpu)
{
	struct ept02 *e = ept02_of(vcpu);
	int i;

	memset(e, 0, sizeof(*e));
	for (i = 0; i < ARRAY_SIZE(e->roots); i++)
		INIT_LIST_HEAD(&e->roots[i].pages);
}

/**
 * ept02_destroy() - free all tables of a vCPU
 * @vcpu: the vCPU; it does not run any more
 *
 * Context: Any. Does not sleep.
 */
void ept02_destroy(struct vcpu *vcpu)
{
	struct ept02 *e = ept02_of(vcpu);
	int i;

	for (i = 0; i < ARRAY_SIZE(e->roots); i++) {
		ept02_drop(e, &e->roots[i]);
		free_page((unsigned long)e->roots[i].root);
		e->roots[i].root = NULL;
	}
	e->cur = NULL;
	e->flat = false;
}

/* Make @r the current root. Returns its EPTP. */
static u64 ept02_choose(struct ept02 *e, struct ept02_root *r)
{
	r->used = ++e->tick;
	e->cur = r;
	e->flat = false;
	return r->eptp;
}

/**
 * ept02_find() - select the existing shadow of an EPTP
 * @vcpu: the vCPU
 * @eptp12: L1's EPTP
 *
 * Context: Caller holds vcpu->mutex. Does not sleep; interrupts may be disabled.
 * Return: the EPTP for VMCS02, 0 if there is no shadow of @eptp12.
 */
u64 ept02_find(struct vcpu *vcpu, u64 eptp12)
{
	struct ept02 *e = ept02_of(vcpu);
	int i;

	if (e->cur && e->cur->eptp12 == eptp12)
		return e->cur->eptp;
	for (i = 0; i < EPT02_ROOTS; i++)
		if (e->roots[i].root && e->roots[i].eptp12 == eptp12)
			return ept02_choose(e, &e->roots[i]);
	return 0;
}

/* A free root, or the least recently used one. */
static struct ept02_root *ept02_victim(struct ept02 *e)
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

/* Give @r a table if it has none. Returns false if out of memory. */
static bool ept02_make_root(struct ept02_root *r)
{
	if (!r->root)
		r->root = (u64 *)get_zeroed_page(GFP_KERNEL_ACCOUNT);
	return r->root;
}

/**
 * ept02_use() - select the shadow of an EPTP, creating it if there is none
 * @vcpu: the vCPU
 * @eptp12: L1's EPTP
 *
 * Context: Process context. May sleep. Caller holds vcpu->mutex.
 * Return: the EPTP for VMCS02, 0 if out of memory.
 */
u64 ept02_use(struct vcpu *vcpu, u64 eptp12)
{
	struct ept02 *e = ept02_of(vcpu);
	u64 eptp = ept02_find(vcpu, eptp12);
	struct ept02_root *r;

	if (eptp)
		return eptp;
	r = ept02_victim(e);
	ept02_drop(e, r);
	if (!ept02_make_root(r))
		return 0;
	r->eptp12 = eptp12;
	/*
	 * The A/D setting is that of L1, so that the processor treats accesses
	 * to L2's paging structures as writes exactly if L1 expects it. L1 is
	 * offered A/D flags only if the processor has them.
	 */
	r->eptp = __pa(r->root) | EPTP_WB | EPTP_WALK4 | (eptp12 & EPTP_AD);
	/* The page may have been a root of another vCPU that ran on this CPU. */
	vmx_invept_single(r->eptp);
	return ept02_choose(e, r);
}

/**
 * ept02_invalidate() - L1 executed INVEPT, single-context
 * @vcpu: the vCPU
 * @eptp12: the EPTP in the descriptor
 *
 * Context: Caller holds vcpu->mutex. Preemption may be enabled. Does not sleep.
 */
void ept02_invalidate(struct vcpu *vcpu, u64 eptp12)
{
	struct ept02 *e = ept02_of(vcpu);
	int i;

	/* Cached mappings are tagged by the address of the PML4 table alone (SDM 3C 29.4.1). */
	for (i = 0; i < EPT02_ROOTS; i++)
		if (!((e->roots[i].eptp12 ^ eptp12) & EPT_ADDR_MASK))
			ept02_drop(e, &e->roots[i]);
}

/**
 * ept02_invalidate_all() - L1 executed INVEPT, all-context, or all shadows must be dropped
 * @vcpu: the vCPU
 *
 * Context: Caller holds vcpu->mutex. Preemption may be enabled. Does not sleep.
 */
void ept02_invalidate_all(struct vcpu *vcpu)
{
	struct ept02 *e = ept02_of(vcpu);
	int i;

	for (i = 0; i < ARRAY_SIZE(e->roots); i++)
		ept02_drop(e, &e->roots[i]);
}

/*
 * Clear the leaves below @table that overlap a hole. @filter is that of all
 * holes. Returns true if there were any. If L2's memory is scattered over the
 * host's, the filters leave out nothing, and there are some four million leaves.
 */
static bool ept02_drop_leaves(u64 *table, int level, const struct ept01_hole *holes, unsigned int n, u64 filter)
{
	bool any = false;
	int i;

	if (level == 1 && !(page_private(virt_to_page(table)) & filter))
		return false;
	cond_resched();
	for (i = 0; i < EPT_ENTRIES; i++) {
		u64 entry = table[i];

		if (!ept_present(entry))
			continue;
		if (!ept_is_leaf(entry, level)) {
			any |= ept02_drop_leaves(ept_table_of(entry), level - 1, holes, n, filter);
		} else if (ept_in_hole(holes, n, ept_leaf_base(entry, level), ept_frames(level) << PAGE_SHIFT)) {
			WRITE_ONCE(table[i], 0);
			any = true;
		}
	}
	return any;
}

/**
 * ept02_drop_holes() - drop the leaves that map host memory that EPT01 lost
 * @vcpu: the vCPU
 * @holes: the host memory; the ranges are sorted and merged
 * @n: number of ranges
 *
 * There is no reverse map from host memory to leaves. The tables are searched,
 * except for those whose filter says that they map none of the holes.
 *
 * Context: Process context. Caller holds vcpu->mutex. May reschedule, but waits for nothing.
 */
void ept02_drop_holes(struct vcpu *vcpu, struct ept01_hole *holes, unsigned int n)
{
	struct ept02 *e = ept02_of(vcpu);
	u64 filter = 0;
	int i;

	n = ept_merge_holes(holes, n);
	for (i = 0; i < n; i++)
		filter |= ept_filter(holes[i].hpa, holes[i].bytes);
	for (i = 0; i < ARRAY_SIZE(e->roots); i++)
		if (e->roots[i].root && ept02_drop_leaves(e->roots[i].root, EPT_ROOT_LEVEL, holes, n, filter))
			vmx_invept_single(e->roots[i].eptp);
}

/* Allocate a table of @r and link it at *@slot. Returns NULL if out of memory. */
static u64 *ept02_new_table(struct ept02 *e, struct ept02_root *r, u64 *slot)
{
	struct page *page = alloc_page(GFP_KERNEL_ACCOUNT | __GFP_ZERO);

	if (!page)
		return NULL;
	set_page_private(page, 0);
	list_add(&page->lru, &r->pages);
	e->pages++;
	WRITE_ONCE(*slot, ept_make_table(page_to_phys(page)));
	return page_address(page);
}

/*
 * Does replacing @old by @new make a cached translation wrong? More rights for
 * the same page do not: an access that needs them faults, which invalidates
 * the cached translation (SDM 3C 29.4.3.1).
 */
static bool ept02_must_flush(u64 old, u64 new)
{
	if (!ept_present(old))
		return false;
	return ((old ^ new) & (EPT_ADDR_MASK | EPT_MEMTYPE_MASK | EPT_IPAT | EPT_PAGE_SIZE_BIT)) ||
	       (old & ~new & EPT_RWX);
}

/*
 * Install @leaf for @l2_gpa. If L1 changed its tables without INVEPT, a leaf
 * may be where a table is needed, or a table where a leaf is needed. An
 * unlinked table stays on the root's list until all tables are dropped.
 */
static bool ept02_install(struct ept02 *e, struct ept02_root *r, u64 l2_gpa, u64 leaf, int level)
{
	u64 *table = r->root, *slot, old;
	bool flush = false;
	int l;

	for (l = EPT_ROOT_LEVEL; l > level; l--) {
		slot = &table[ept_index(l2_gpa, l)];
		old = READ_ONCE(*slot);
		if (ept_present(old) && !ept_is_leaf(old, l)) {
			table = ept_table_of(old);
			continue;
		}
		table = ept02_new_table(e, r, slot);
		if (!table)
			return false;
		flush |= ept_present(old);
	}
	slot = &table[ept_index(l2_gpa, level)];
	ept02_filter_add(table, ept02_filter_of(leaf, level));
	flush |= ept02_must_flush(READ_ONCE(*slot), leaf);
	WRITE_ONCE(*slot, leaf);
	if (flush)
		vmx_invept_single(r->eptp);
	return true;
}

/* Map @l2_gpa by the composition of two leaves. Returns false if out of memory. */
static bool ept02_map(struct vcpu *vcpu, struct ept02_root *r, gpa_t l2_gpa, const struct ept12_result *outer,
		      const struct ept01_leaf *inner)
{
	struct ept02 *e = ept02_of(vcpu);
	int level;
	u64 leaf = ept02_compose(outer, inner, &level);

	if (e->pages + EPT_ROOT_LEVEL > ept02_max_tables(vcpu))
		ept02_invalidate_all(vcpu);
	return !leaf || ept02_install(e, r, l2_gpa, leaf, level);
}

/* A fault copies leaves that are there already in the aligned 64 KiB around the faulting page. */
#define EPT02_NEAR	16

/* The entry of @r for a 4-KiB page at @gpa; NULL if there is no table with it. */
static u64 *ept02_small_slot(struct ept02_root *r, gpa_t gpa)
{
	u64 *table = r->root;
	int level;

	for (level = EPT_ROOT_LEVEL; level > 1; level--) {
		u64 entry = table[ept_index(gpa, level)];

		if (!ept_present(entry) || ept_is_leaf(entry, level))
			return NULL;
		table = ept_table_of(entry);
	}
	return &table[ept_index(gpa, 1)];
}

/* The translation of the page at @l2_gpa, near the one that @found translates. @entry is used if EPT12 has small pages. */
static bool ept02_outer_near(const struct ept12_cfg *cfg, const struct ept12_result *found, u64 entry, gpa_t l2_gpa,
			     struct ept12_result *out)
{
	if (found->level == 1)
		return ept12_near(cfg, found, entry, l2_gpa, out);
	*out = *found;
	out->gpa = (found->gpa & ~ept_offset_mask(found->level)) | (l2_gpa & ept_offset_mask(found->level));
	return true;
}

/*
 * Fill the empty entries of @slot in @want, for the pages from @first on. @entries are those of EPT12 if it has small
 * pages.
 */
static void ept02_fill_near(struct vcpu *vcpu, struct ept02_root *r, gpa_t first, const struct ept12_result *found,
			    const u64 *entries, u64 *slot, unsigned long want)
{
	struct ept12_cfg cfg = l2gpa_cfg(vcpu, r->eptp12);
	struct ept01_place at = {};
	u64 filter = 0;
	int i;

	spin_lock(&vcpu->vm->mmu_lock);
	for_each_set_bit(i, &want, EPT02_NEAR) {
		gpa_t l2_gpa = first + i * PAGE_SIZE;
		struct ept12_result outer;
		struct ept01_leaf inner;
		int level;
		u64 leaf;

		if (!ept02_outer_near(&cfg, found, entries[i], l2_gpa, &outer) ||
		    !ept01_peek_near(vcpu->vm, outer.gpa, &at, &inner))
			continue;
		outer.level = 1;
		leaf = ept02_compose(&outer, &inner, &level);
		if (!leaf)
			continue;
		filter |= ept02_filter_of(leaf, 1);
		WRITE_ONCE(slot[i], leaf);
	}
	ept02_filter_add(slot, filter);
	spin_unlock(&vcpu->vm->mmu_lock);
}

/*
 * @l2_gpa was mapped by a 4-KiB leaf. Map its neighbours where both EPT12 and
 * EPT01 have leaves, with the rights that need no further work. L1 cannot tell:
 * the processor may cache translations that are not used (SDM 3C 29.4.2).
 */
static void ept02_map_near(struct vcpu *vcpu, struct ept02_root *r, gpa_t l2_gpa, const struct ept12_result *found)
{
	gpa_t first = l2_gpa & ~(gpa_t)(EPT02_NEAR * PAGE_SIZE - 1);
	u64 entries[EPT02_NEAR];
	u64 *slot = ept02_small_slot(r, first);
	unsigned long want = 0;
	int i;

	if (!slot)
		return;
	for (i = 0; i < EPT02_NEAR; i++)
		want |= ept_present(slot[i]) ? 0 : BIT(i);
	if (found->level == 1)
		want = ept12_read_present(vcpu, found->entry_gpa & ~(sizeof(entries) - 1), entries, want);
	if (want)
		ept02_fill_near(vcpu, r, first, found, entries, slot, want);
}

/* The next faults will mostly be near this one. Of EPT12, only the tables with small pages are remembered. */
static noinline void ept02_remember(struct vcpu *vcpu, gpa_t l2_gpa, enum ept12_verdict verdict,
				    const struct ept12_result *found)
{
	if (verdict != EPT12_FAULT && (verdict != EPT12_OK || found->level == 1))
		ept12_remember(vcpu, l2_gpa);
}

/**
 * ept02_judge_walk() - what becomes of an access of L2, by the walk of EPT12
 * @verdict: of ept12_walk()
 * @outer: its result
 * @qual: the hardware's exit qualification; set to the one that L1 reads for EPT02_VIOLATION
 *
 * Context: Any. Pure.
 * Return: EPT02_FIXED if EPT12 allows the access.
 */
enum ept02_result ept02_judge_walk(enum ept12_verdict verdict, const struct ept12_result *outer, u64 *qual)
{
	switch (verdict) {
	case EPT12_OK:
		return EPT02_FIXED;
	case EPT12_VIOLATION:
		*qual = ept12_violation_qual(*qual, outer);
		return EPT02_VIOLATION;
	default:
		/* A table outside L1's memory reads as all ones on hardware, which is a misconfiguration. */
		return EPT02_MISCONFIG;
	}
}

/**
 * ept02_judge_memory() - what becomes of an access of L2 that EPT12 allows
 * @result: what EPT01 has for it
 *
 * Context: Any. Pure.
 * Return: EPT02_FIXED if the page can be mapped, or L2 runs the instruction again.
 */
enum ept02_result ept02_judge_memory(enum ept01_result result)
{
	switch (result) {
	case EPT01_FIXED:
	case EPT01_SIGNAL:	/* the run loop leaves for the signal, and L2 runs the instruction again */
		return EPT02_FIXED;
	case EPT01_MMIO:
	case EPT01_READONLY:
		return EPT02_MMIO;
	default:
		return EPT02_ERROR;
	}
}

/**
 * ept02_fault() - handle an EPT violation or misconfiguration of EPT02
 * @vcpu: the vCPU, in L2 and on EPT02
 * @l2_gpa: the L2 guest-physical address
 * @qual: the hardware's exit qualification; set to the one that L1 reads
 * @found: filled in: the translation, as far as it came
 *
 * Context: Process context. May sleep. Caller holds vcpu->mutex, and vm->srcu for reading.
 * Return: enum ept02_result.
 */
enum ept02_result ept02_fault(struct vcpu *vcpu, gpa_t l2_gpa, u64 *qual, struct ept02_found *found)
{
	struct ept02 *e = ept02_of(vcpu);
	u64 access = ept12_access(e->cur->eptp12, *qual);
	const struct ept12_result *outer = &found->outer;
	enum ept12_verdict verdict;
	enum ept02_result result;
	enum ept01_result memory;

	found->inner.rights = 0;
	if (ept12_translate_or_signal(vcpu, l2_gpa, access, &found->outer, &verdict))
		return ept02_judge_memory(EPT01_SIGNAL);
	result = ept02_judge_walk(verdict, outer, qual);
	if (e->place.eptp12 != e->cur->eptp12 || e->place.region != ept12_region(l2_gpa))
		ept02_remember(vcpu, l2_gpa, verdict, outer);
	if (result != EPT02_FIXED)
		return result;
	memory = ept01_lookup(vcpu, outer->gpa, access, &found->inner);
	if (memory != EPT01_FIXED)
		return ept02_judge_memory(memory);
	if (!ept02_map(vcpu, e->cur, l2_gpa, outer, &found->inner))
		return EPT02_ERROR;
	/* Without an access the walk sets no accessed flags. A page that the host made just now seldom has neighbours. */
	if (access && min(outer->level, found->inner.level) == 1 && !found->inner.fresh)
		ept02_map_near(vcpu, e->cur, l2_gpa, outer);
	return EPT02_FIXED;
}

/* The leaf of @r at @gpa if it is large; NULL if there is none or it is a 4-KiB page. */
static u64 *ept02_large_leaf(struct ept02_root *r, gpa_t gpa)
{
	u64 *table = r->root;
	int level;

	for (level = EPT_ROOT_LEVEL; level > 1; level--) {
		u64 *slot = &table[ept_index(gpa, level)];

		if (!ept_present(*slot))
			return NULL;
		if (ept_is_leaf(*slot, level))
			return slot;
		table = ept_table_of(*slot);
	}
	return NULL;
}

/**
 * ept02_use_flat() - select the tables for an L2 whose L1 does not use EPT but virtualizes APIC accesses
 * @vcpu: the vCPU
 * @apic_access: L1's APIC-access page
 *
 * These tables map all of L1's memory, as EPT01 does. They are others than
 * EPT01 because "virtualize APIC accesses" may have no effect on addresses
 * whose mapping was cached for the same EPTP without that control, or that a
 * large page maps (SDM 3C 30.4.5).
 *
 * Context: Process context. May sleep. Caller holds vcpu->mutex.
 * Return: 0 or -ENOMEM.
 */
int ept02_use_flat(struct vcpu *vcpu, gpa_t apic_access)
{
	struct ept02 *e = ept02_of(vcpu);
	struct ept02_root *r = &e->roots[EPT02_FLAT];
	u64 *large;

	e->cur = NULL;
	if (!ept02_make_root(r))
		return -ENOMEM;
	if (!e->flat) {
		e->flat = true;
		/* EPT A/D flags would make walks of L2's tables writes, which L1, without EPT, does not expect. */
		r->eptp = __pa(r->root) | EPTP_WB | EPTP_WALK4;
		if (list_empty(&r->pages))
			vmx_invept_single(r->eptp);	/* the page may have been another vCPU's root */
	}
	/* The page is mapped alone; another L2 may have had its APIC-access page elsewhere. */
	large = ept02_large_leaf(r, apic_access);
	if (unlikely(large)) {
		WRITE_ONCE(*large, 0);
		vmx_invept_single(r->eptp);
	}
	return 0;
}

/**
 * ept02_flat_apic_page() - note the APIC-access page with which L2 runs on the tables of ept02_use_flat()
 * @vcpu: the vCPU
 * @hpa: the page in VMCS02's field
 *
 * The processor may have cached, for these tables, that the page is memory, or
 * that another one is the APIC-access page (SDM 3C 30.4.5). L1, without EPT,
 * cannot invalidate that. With EPT it must do so itself.
 *
 * Context: Caller holds vcpu->mutex. Does not sleep.
 */
void ept02_flat_apic_page(struct vcpu *vcpu, hpa_t hpa)
{
	struct ept02_root *r = &ept02_of(vcpu)->roots[EPT02_FLAT];

	if (likely(r->apic_access == hpa))
		return;
	r->apic_access = hpa;
	vmx_invept_single(r->eptp);
}

/**
 * ept02_flat_fault() - handle an EPT violation of the tables of ept02_use_flat()
 * @vcpu: the vCPU, in L2 on these tables
 * @gpa: the guest-physical address
 * @access: the access: EPT_READ, EPT_WRITE, EPT_EXEC
 *
 * Context: Process context. May sleep. Caller holds vcpu->mutex, and vm->srcu for reading.
 * Return: enum ept01_result.
 */
enum ept01_result ept02_flat_fault(struct vcpu *vcpu, gpa_t gpa, u64 access)
{
	struct ept12_result outer = { .gpa = gpa, .rights = EPT_RWX, .level = 2, .memtype = EPT_WB, .dirty = true };
	struct ept01_leaf inner;
	enum ept01_result result = ept01_lookup(vcpu, gpa, access, &inner);

	if (result != EPT01_FIXED)
		return result;
	if ((gpa ^ vcpu->nested.vmcs12->apic_access_addr) >> ept_shift(2) == 0)
		outer.level = 1;
	if (!ept02_map(vcpu, &ept02_of(vcpu)->roots[EPT02_FLAT], gpa, &outer, &inner))
		return EPT01_ERROR;
	return EPT01_FIXED;
}
