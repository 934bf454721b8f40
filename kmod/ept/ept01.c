// SPDX-License-Identifier: GPL-2.0
/* EPT01, which maps L1 guest-physical memory to host-physical memory: its tables, and how they lose mappings. */
#include <linux/gfp.h>
#include <linux/mm.h>
#include <linux/sched/signal.h>
#include <linux/srcu.h>
#include "droste.h"
#include "ept/ept.h"
#include "ept/ept01.h"
#include "run/request.h"
#include "vmx/vmx.h"

/**
 * ept01_finish() - make all vCPUs flush stale translations, and free tables
 * @vm: the VM
 * @gone: what was removed; no processor can walk the tables in it any more after the flush
 *
 * Context: Any context that may take a spinlock. Does not sleep. Must be
 * called without vm->mmu_lock.
 */
void ept01_finish(struct vm *vm, struct ept01_gone *gone)
{
	struct page *page, *next;

	if (gone->flush) {
		atomic64_inc(&vm->stats.remote_tlb_flush);
		vm_request_all(vm, REQ_EPT01_FLUSH);
	}
	list_for_each_entry_safe(page, next, &gone->tables, lru) {
		list_del(&page->lru);
		__free_page(page);
	}
}

/* A leaf lost its page or rights. Caller holds mmu_lock. */
static void ept01_leaf_gone(struct vm *vm, u64 leaf, int level, struct ept01_gone *gone)
{
	struct ept01 *e = &vm->ept01;

	gone->flush = true;
	if (!(leaf & EPT01_SHADOWED))
		return;
	e->holes[e->shadow_seq % EPT01_HOLES] = (struct ept01_hole) {
		.hpa = ept_leaf_base(leaf, level),
		.bytes = ept_frames(level) << PAGE_SHIFT,
	};
	WRITE_ONCE(e->shadow_seq, e->shadow_seq + 1);
}

/* A leaf was removed. Caller holds mmu_lock. */
static void ept01_leaf_removed(struct vm *vm, u64 leaf, int level, struct ept01_gone *gone)
{
	vm->ept01.leaves[level]--;
	ept01_leaf_gone(vm, leaf, level, gone);
}

/* @table was unlinked: collect it and all tables below it. Caller holds mmu_lock. */
static void ept01_table_gone(struct vm *vm, u64 *table, int level, struct ept01_gone *gone)
{
	int i;

	for (i = 0; i < EPT_ENTRIES; i++) {
		u64 entry = READ_ONCE(table[i]);

		if (!ept_present(entry))
			continue;
		if (ept_is_leaf(entry, level))
			ept01_leaf_removed(vm, entry, level, gone);
		else
			ept01_table_gone(vm, ept_table_of(entry), level - 1, gone);
	}
	list_add(&virt_to_page(table)->lru, &gone->tables);
	vm->ept01.pages--;
	gone->flush = true;
}

/* Replace the leaf at @slot by a table of smaller leaves in the page @table. Caller holds mmu_lock. */
static void ept01_split_leaf(struct vm *vm, u64 *slot, int level, u64 *table, struct ept01_gone *gone)
{
	u64 leaf = READ_ONCE(*slot);
	int i;

	/* Small leaves may be executable where the large one was not. */
	for (i = 0; i < EPT_ENTRIES; i++)
		table[i] = ept_split_entry(leaf, level, i) | (level == 2 ? EPT_EXEC : 0);
	/* A flag that the processor sets meanwhile is lost. Pages were marked dirty when they were mapped. */
	xchg(slot, ept_make_table(__pa(table)));
	vm->ept01.pages++;
	vm->ept01.leaves[level]--;
	vm->ept01.leaves[level - 1] += EPT_ENTRIES;
	gone->flush = true;
}

/* Remove frames [start, end) from @table, whose first frame is @base. Caller holds mmu_lock. */
static void ept01_zap_table(struct vm *vm, u64 *table, int level, gfn_t base, gfn_t start, gfn_t end,
			    struct ept01_gone *gone)
{
	u64 frames = ept_frames(level);
	unsigned int i = start > base ? (start - base) >> (9 * (level - 1)) : 0;

	for (; i < EPT_ENTRIES; i++) {
		gfn_t first = base + i * frames;
		u64 entry = READ_ONCE(table[i]);
		bool whole = first >= start && first + frames <= end;

		if (first >= end)
			break;
		if (!ept_present(entry))
			continue;
		if (!whole && ept_is_leaf(entry, level)) {
			/* Keep the rest of the leaf if a table is available; if not, it is faulted in again. */
			u64 *page = (u64 *)__get_free_page(GFP_NOWAIT | __GFP_NOWARN | __GFP_ACCOUNT);

			if (page) {
				ept01_split_leaf(vm, &table[i], level, page, gone);
				entry = READ_ONCE(table[i]);
			}
		}
		if (ept_is_leaf(entry, level)) {
			ept01_leaf_removed(vm, xchg(&table[i], 0), level, gone);
		} else if (whole) {
			xchg(&table[i], 0);
			ept01_table_gone(vm, ept_table_of(entry), level - 1, gone);
		} else {
			ept01_zap_table(vm, ept_table_of(entry), level - 1, first, start, end, gone);
		}
	}
}

/**
 * ept01_zap() - remove frames from EPT01
 * @vm: the VM
 * @start: first frame
 * @end: the frame after the last
 *
 * After it returns no vCPU reaches host memory through these frames, neither
 * through EPT01 nor through any EPT02. A caller that needs the frames to stay
 * unmapped must prevent new faults from mapping them.
 *
 * Context: Any context that may take a spinlock. Does not sleep. Takes vm->mmu_lock.
 */
void ept01_zap(struct vm *vm, gfn_t start, gfn_t end)
{
	struct ept01_gone gone;

	ept01_gone_init(&gone);
	while (start < end) {
		/* One GiB at a time, because faults of other vCPUs wait for the lock. */
		gfn_t stop = min(end, ept_next(start, EPT_MAX_LEAF));

		spin_lock(&vm->mmu_lock);
		ept01_zap_table(vm, vm->ept01.root, EPT_ROOT_LEVEL, 0, start, stop, &gone);
		spin_unlock(&vm->mmu_lock);
		start = stop;
	}
	ept01_finish(vm, &gone);
}

/*
 * Find the leaf that maps @gfn, at level @lowest or above; NULL if there is
 * none. *@level is set to the level of the last entry read. Caller holds
 * mmu_lock.
 */
static __always_inline u64 *ept01_find_leaf_above(struct vm *vm, gfn_t gfn, int lowest, int *level)
{
	u64 *table = vm->ept01.root;

	for (*level = EPT_ROOT_LEVEL;; --*level) {
		u64 *slot = &table[ept_index(gfn << PAGE_SHIFT, *level)];
		u64 entry = READ_ONCE(*slot);

		if (!ept_present(entry))
			return NULL;
		if (ept_is_leaf(entry, *level))
			return slot;
		if (*level == lowest)
			return NULL;
		table = ept_table_of(entry);
	}
}

/**
 * ept01_find_leaf() - find the leaf that maps a frame
 * @vm: the VM
 * @gfn: the frame
 * @level: set to the level of the last entry read
 *
 * Context: Any. Caller holds vm->mmu_lock.
 * Return: the leaf's entry. NULL if there is none.
 */
u64 *ept01_find_leaf(struct vm *vm, gfn_t gfn, int *level)
{
	return ept01_find_leaf_above(vm, gfn, 1, level);
}

static u64 *ept01_take_spare(struct ept01_spare *spare)
{
	u64 *page = spare->page;

	spare->page = NULL;
	return page;
}

/**
 * ept01_install() - map a frame
 * @vm: the VM
 * @gfn: the frame
 * @leaf: the leaf's entry; no invalidation has begun since it was made
 * @level: the leaf's level
 * @spare: may have a page for a table
 * @gone: for ept01_finish()
 *
 * Context: Any. Caller holds vm->mmu_lock.
 * Return: 0; -ENOMEM if a spare page is needed first.
 */
int ept01_install(struct vm *vm, gfn_t gfn, u64 leaf, int level, struct ept01_spare *spare, struct ept01_gone *gone)
{
	u64 *table = vm->ept01.root, *slot;
	u64 old;
	int l;

	for (l = EPT_ROOT_LEVEL; l > level; l--) {
		slot = &table[ept_index(gfn << PAGE_SHIFT, l)];
		old = READ_ONCE(*slot);
		if (!ept_present(old)) {
			table = ept01_take_spare(spare);
			if (!table)
				return -ENOMEM;
			WRITE_ONCE(*slot, ept_make_table(__pa(table)));
			vm->ept01.pages++;
			continue;
		}
		if (ept_is_leaf(old, l)) {
			/* The new leaf is smaller than the mapped one. */
			table = ept01_take_spare(spare);
			if (!table)
				return -ENOMEM;
			ept01_split_leaf(vm, slot, l, table, gone);
			continue;
		}
		table = ept_table_of(old);
	}

	slot = &table[ept_index(gfn << PAGE_SHIFT, level)];
	old = READ_ONCE(*slot);
	if (ept_present(old) && !ept_is_leaf(old, level)) {
		/* The host now maps one large page instead of many small ones. */
		xchg(slot, leaf);
		vm->ept01.leaves[level]++;
		ept01_table_gone(vm, ept_table_of(old), level - 1, gone);
	} else if (ept_present(old) && ept_leaf_base(old, level) == ept_leaf_base(leaf, level)) {
		/* The same page with more rights: cached translations stay valid, so no flush is needed. */
		ept01_set_bits(slot, leaf);
	} else {
		old = xchg(slot, leaf);
		vm->ept01.leaves[level]++;
		if (ept_present(old))
			ept01_leaf_removed(vm, old, level, gone);
	}
	return 0;
}

/* Read a leaf's accessed flag, and clear it if @clear is set. */
static bool ept01_age_leaf(u64 *slot, bool clear)
{
	if (!(READ_ONCE(*slot) & EPT_ACCESSED))
		return false;
	if (clear)
		atomic64_andnot(EPT_ACCESSED, (atomic64_t *)slot);
	return true;
}

/**
 * ept01_age() - were frames used since their accessed flags were last cleared?
 * @vm: the VM
 * @start: first frame
 * @end: the frame after the last
 * @clear: clear the flags
 *
 * A processor that has cached a translation does not set a cleared flag again,
 * so a page may look less used than it is, as with the host's own page tables.
 * Use by L2 is recorded when the page is mapped in EPT02. Without support for
 * accessed flags all mapped pages count as used until cleared.
 *
 * Context: Any. Caller holds vm->mmu_lock.
 * Return: true if some frame was used.
 */
bool ept01_age(struct vm *vm, gfn_t start, gfn_t end, bool clear)
{
	bool young = false;
	int level;

	while (start < end) {
		u64 *slot = ept01_find_leaf(vm, start, &level);

		if (slot)
			young |= ept01_age_leaf(slot, clear);
		start = ept_next(start, level);
	}
	return young;
}

/*
 * Make the next write through a leaf visible: as a fault, or as a dirty flag
 * that the processor sets and logs. EPT02 has no such log, so copies of the
 * leaf are dropped. Returns false if a write would have been visible already.
 * Caller holds mmu_lock.
 */
static bool ept01_protect_leaf(struct vm *vm, u64 *slot, int level, struct ept01_gone *gone)
{
	bool pml = READ_ONCE(vm->pml) && level == 1;
	u64 old = READ_ONCE(*slot);

	if (!(old & EPT_WRITE) || (pml && !(old & (EPT_DIRTY | EPT01_SHADOWED))))
		return false;
	/* Clear the dirty flag of a large leaf, too: small leaves that it is split into inherit it. */
	atomic64_andnot(EPT_DIRTY | (pml ? EPT01_SHADOWED : EPT_WRITE), (atomic64_t *)slot);
	ept01_leaf_gone(vm, old, level, gone);
	return true;
}

/*
 * Split large leaves from @start on down to 4 KiB, with the one table in
 * @spare. Returns the frame to continue with, @end if all leaves are split.
 * Caller holds mmu_lock.
 */
static gfn_t ept01_split_some(struct vm *vm, gfn_t start, gfn_t end, struct ept01_spare *spare,
			      struct ept01_gone *gone)
{
	int level;

	while (start < end) {
		u64 *slot = ept01_find_leaf_above(vm, start, 2, &level);

		if (!slot) {
			start = ept_next(start, level);
			continue;
		}
		if (!spare->page)
			return start;
		ept01_split_leaf(vm, slot, level, ept01_take_spare(spare), gone);
	}
	return end;
}

/**
 * ept01_split() - split the large leaves that map frames [start, end)
 * @vm: the VM
 * @start: first frame
 * @end: the frame after the last
 *
 * Called before writes are logged, because each logged write would split a
 * large leaf and make all vCPUs flush. If memory runs out the remaining leaves
 * are split by those writes.
 *
 * Context: Process context. May sleep. Takes vm->mmu_lock.
 */
void ept01_split(struct vm *vm, gfn_t start, gfn_t end)
{
	struct ept01_spare spare = {};
	struct ept01_gone gone;

	ept01_gone_init(&gone);
	while (start < end && !fatal_signal_pending(current)) {
		gfn_t stop = min(end, ept_next(start, EPT_MAX_LEAF));

		spin_lock(&vm->mmu_lock);
		start = ept01_split_some(vm, start, stop, &spare, &gone);
		spin_unlock(&vm->mmu_lock);
		cond_resched();
		if (start == stop)
			continue;
		spare.page = (u64 *)__get_free_page(GFP_KERNEL_ACCOUNT);
		if (!spare.page)
			break;
	}
	free_page((unsigned long)spare.page);
	ept01_finish(vm, &gone);
}

/**
 * ept01_protect() - make the next write to frames [start, end) visible
 * @vm: the VM
 * @start: first frame
 * @end: the frame after the last
 *
 * All vCPUs are made to flush.
 *
 * Context: Any context that may take a spinlock. Does not sleep. Takes vm->mmu_lock.
 */
void ept01_protect(struct vm *vm, gfn_t start, gfn_t end)
{
	struct ept01_gone gone;
	int level;

	ept01_gone_init(&gone);
	while (start < end) {
		gfn_t stop = min(end, ept_next(start, EPT_MAX_LEAF));

		spin_lock(&vm->mmu_lock);
		while (start < stop) {
			u64 *slot = ept01_find_leaf(vm, start, &level);

			if (slot)
				ept01_protect_leaf(vm, slot, level, &gone);
			start = ept_next(start, level);
		}
		spin_unlock(&vm->mmu_lock);
	}
	ept01_finish(vm, &gone);
}

/**
 * ept01_protect_frames() - make the next write to some of 64 frames visible
 * @vm: the VM
 * @base: the first frame
 * @mask: bit n selects frame @base + n
 *
 * Context: Any. Caller holds vm->mmu_lock.
 * Return: true if the caller must make all vCPUs flush.
 */
bool ept01_protect_frames(struct vm *vm, gfn_t base, unsigned long mask)
{
	struct ept01_gone gone;
	bool any = false;
	int i, level;

	ept01_gone_init(&gone);
	for_each_set_bit(i, &mask, BITS_PER_LONG) {
		u64 *slot = ept01_find_leaf(vm, base + i, &level);

		if (slot)
			any |= ept01_protect_leaf(vm, slot, level, &gone);
	}
	return any;
}

/**
 * ept01_init() - create an empty EPT01 and register its MMU notifier
 * @vm: the VM; its mm and mmu_lock are set up
 *
 * Context: Process context. May sleep.
 * Return: 0 or a negative errno.
 */
int ept01_init(struct vm *vm)
{
	int err;

	vm->ept01.root = (u64 *)get_zeroed_page(GFP_KERNEL_ACCOUNT);
	if (!vm->ept01.root)
		return -ENOMEM;
	vm->ept01.eptp = __pa(vm->ept01.root) | EPTP_WB | EPTP_WALK4 |
			 (vmx_features.ept_ad ? EPTP_AD : 0);
	vm->mn.ops = &ept01_notifier_ops;
	err = mmu_notifier_register(&vm->mn, vm->mm);
	if (err) {
		free_page((unsigned long)vm->ept01.root);
		vm->ept01.root = NULL;
		return err;
	}
	vm->mn_registered = true;
	return 0;
}

/**
 * ept01_destroy() - free EPT01
 * @vm: the VM; none of its vCPUs runs or will run. ept01_init() may have failed
 *
 * Unregistering the notifier may call it a last time, which accesses vm->vcpus,
 * the memory slots and vm->srcu. They must be freed after this.
 *
 * Context: Process context. May sleep.
 */
void ept01_destroy(struct vm *vm)
{
	struct ept01_gone gone;

	if (vm->mn_registered)
		mmu_notifier_unregister(&vm->mn, vm->mm);
	vm->mn_registered = false;
	if (!vm->ept01.root)
		return;
	ept01_gone_init(&gone);
	vm->ept01.pages++;	/* ept01_table_gone() counts the root, too */
	ept01_table_gone(vm, vm->ept01.root, EPT_ROOT_LEVEL, &gone);
	gone.flush = false;
	ept01_finish(vm, &gone);
	vm->ept01.root = NULL;
}
