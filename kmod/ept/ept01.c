// SPDX-License-Identifier: GPL-2.0
/* EPT01, which maps L1's guest-physical memory to the host's: filled on demand. */
#include <linux/gfp.h>
#include <linux/io.h>
#include <linux/mm.h>
#include <linux/sched/signal.h>
#include <linux/srcu.h>
#include "droste.h"
#include "ept/ept.h"
#include "ept/ept12.h"
#include "mem/dirty.h"
#include "mem/memslot.h"
#include "run/request.h"
#include "vmx/vmx.h"

/*
 * Set in a leaf that ept01_lookup() gave away: some EPT02 may hold a copy, and
 * must be dropped when the leaf goes or loses rights.
 */
#define EPT01_SHADOWED	EPT_SOFT

/* What was taken out of EPT01 under mmu_lock, and has to be finished without it. */
struct ept01_gone {
	struct list_head tables;	/* table pages that a processor may still walk */
	bool flush;			/* processors may hold what is no longer there */
};

static u64 *table_of(u64 entry)
{
	return __va(entry & EPT_ADDR_MASK);
}

static void gone_init(struct ept01_gone *gone)
{
	INIT_LIST_HEAD(&gone->tables);
	gone->flush = false;
}

/*
 * Make all vCPUs forget what is gone, then free its tables: only now can no
 * processor walk them any more. mmu_lock is not held. Does not sleep.
 */
static void ept01_finish(struct vm *vm, struct ept01_gone *gone)
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

/* A leaf lost its page or rights. mmu_lock is held. */
static void leaf_gone(struct vm *vm, u64 leaf, int level, struct ept01_gone *gone)
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

/* A leaf was taken out. mmu_lock is held. */
static void leaf_removed(struct vm *vm, u64 leaf, int level, struct ept01_gone *gone)
{
	vm->ept01.leaves[level]--;
	leaf_gone(vm, leaf, level, gone);
}

/* @table was unlinked: collect it and all tables below. */
static void table_gone(struct vm *vm, u64 *table, int level, struct ept01_gone *gone)
{
	int i;

	for (i = 0; i < EPT_ENTRIES; i++) {
		u64 entry = READ_ONCE(table[i]);

		if (!ept_present(entry))
			continue;
		if (ept_is_leaf(entry, level))
			leaf_removed(vm, entry, level, gone);
		else
			table_gone(vm, table_of(entry), level - 1, gone);
	}
	list_add(&virt_to_page(table)->lru, &gone->tables);
	vm->ept01.pages--;
	gone->flush = true;
}

/* Replace the leaf at @slot by a table of smaller leaves, in the page @table. */
static void split_leaf(struct vm *vm, u64 *slot, int level, u64 *table, struct ept01_gone *gone)
{
	u64 leaf = READ_ONCE(*slot);
	int i;

	for (i = 0; i < EPT_ENTRIES; i++)
		table[i] = ept_split_entry(leaf, level, i);
	/* Flags set in between are lost; pages were marked dirty when they were mapped. */
	xchg(slot, ept_make_table(__pa(table)));
	vm->ept01.pages++;
	vm->ept01.leaves[level]--;
	vm->ept01.leaves[level - 1] += EPT_ENTRIES;
	gone->flush = true;
}

/*
 * Empty what lies in frames [start, end) below @table, which maps frames from
 * @base. mmu_lock is held.
 */
static void zap_table(struct vm *vm, u64 *table, int level, gfn_t base, gfn_t start, gfn_t end,
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
			/* Keep the rest if a table can be had at once; else it faults in again. */
			u64 *page = (u64 *)__get_free_page(GFP_NOWAIT | __GFP_NOWARN |
							   __GFP_ACCOUNT);

			if (page) {
				split_leaf(vm, &table[i], level, page, gone);
				entry = READ_ONCE(table[i]);
			}
		}
		if (ept_is_leaf(entry, level)) {
			leaf_removed(vm, xchg(&table[i], 0), level, gone);
		} else if (whole) {
			xchg(&table[i], 0);
			table_gone(vm, table_of(entry), level - 1, gone);
		} else {
			zap_table(vm, table_of(entry), level - 1, first, start, end, gone);
		}
	}
}

/**
 * ept01_zap() - drop frames from EPT01
 * @vm: the machine
 * @start: first frame
 * @end: the frame after the last
 *
 * When it returns no vCPU reaches host memory through them: neither through
 * EPT01 nor through any EPT02. Does not sleep. Whoever calls makes sure that
 * nobody maps them again meanwhile, if it matters.
 */
void ept01_zap(struct vm *vm, gfn_t start, gfn_t end)
{
	struct ept01_gone gone;

	gone_init(&gone);
	while (start < end) {
		/* One GiB a time: other vCPUs' faults wait for the lock. */
		gfn_t stop = min(end, (start | (ept_frames(EPT_MAX_LEAF) - 1)) + 1);

		spin_lock(&vm->mmu_lock);
		zap_table(vm, vm->ept01.root, EPT_ROOT_LEVEL, 0, start, stop, &gone);
		spin_unlock(&vm->mmu_lock);
		start = stop;
	}
	ept01_finish(vm, &gone);
}

/*
 * The entry that maps @gfn, a present leaf at @lowest or above, or NULL.
 * *@level is in either case that of the last entry looked at. mmu_lock is held.
 */
static __always_inline u64 *find_leaf_above(struct vm *vm, gfn_t gfn, int lowest, int *level)
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
		table = table_of(entry);
	}
}

static u64 *find_leaf(struct vm *vm, gfn_t gfn, int *level)
{
	return find_leaf_above(vm, gfn, 1, level);
}

/* OR bits into an entry whose accessed and dirty flags the processor may set at the same time. */
static void set_entry_bits(u64 *slot, u64 bits)
{
	if ((READ_ONCE(*slot) & bits) != bits)
		atomic64_or(bits, (atomic64_t *)slot);
}

/* What an access leaves in the leaf: also when it is L2 that accesses, through EPT02. */
static u64 access_flags(u64 access, bool shadow)
{
	return EPT_ACCESSED | (access & EPT_WRITE ? EPT_DIRTY : 0) | (shadow ? EPT01_SHADOWED : 0);
}

/*
 * The rights that a copy of @leaf in EPT02 may have. When the processor logs
 * writes through EPT01, by its dirty flag, one through EPT02 must be seen here.
 */
static u64 rights_of(struct vm *vm, u64 leaf, bool shadow)
{
	u64 rights = leaf & EPT_RWX;

	if (shadow && READ_ONCE(vm->pml) && !(leaf & EPT_DIRTY))
		rights &= ~EPT_WRITE;
	return rights;
}

/* A write that finds its leaf not dirty: the flag is set here, so that the processor will not log it. */
static void mark_if_clean(struct vm *vm, gfn_t gfn, u64 leaf, u64 access)
{
	const struct memslot *slot;

	if (!(access & EPT_WRITE) || (leaf & EPT_DIRTY))
		return;
	slot = vm_slot(vm, gfn);
	if (slot)
		dirty_mark(vm, slot, gfn);
}

/* Fill *@out from the leaf that maps @gpa if there is one that allows @access. mmu_lock is held. */
static bool peek(struct vm *vm, gpa_t gpa, u64 access, bool shadow, struct ept01_leaf *out)
{
	int level;
	u64 *slot = find_leaf(vm, gpa >> PAGE_SHIFT, &level);

	if (!slot || (access & ~READ_ONCE(*slot)))
		return false;
	mark_if_clean(vm, gpa >> PAGE_SHIFT, READ_ONCE(*slot), access);
	set_entry_bits(slot, access_flags(access, shadow));
	out->hpa = ept_leaf_page(*slot, level, gpa);
	out->rights = rights_of(vm, READ_ONCE(*slot), shadow);
	out->level = level;
	return true;
}

/* A table page that is allocated only when it turns out, under the lock, that it is needed. */
struct ept01_spare {
	u64 *page;	/* zeroed, or NULL */
};

static u64 *take_spare(struct ept01_spare *spare)
{
	u64 *page = spare->page;

	spare->page = NULL;
	return page;
}

/*
 * Put @leaf in at @level for @gfn. mmu_lock is held, and no invalidation began
 * since @leaf was made. -ENOMEM: a spare page is needed first.
 */
static int install(struct vm *vm, gfn_t gfn, u64 leaf, int level, struct ept01_spare *spare,
		   struct ept01_gone *gone)
{
	u64 *table = vm->ept01.root, *slot;
	u64 old;
	int l;

	for (l = EPT_ROOT_LEVEL; l > level; l--) {
		slot = &table[ept_index(gfn << PAGE_SHIFT, l)];
		old = READ_ONCE(*slot);
		if (!ept_present(old)) {
			table = take_spare(spare);
			if (!table)
				return -ENOMEM;
			WRITE_ONCE(*slot, ept_make_table(__pa(table)));
			vm->ept01.pages++;
			continue;
		}
		if (ept_is_leaf(old, l)) {
			/* Only a part of it may be mapped so now. */
			table = take_spare(spare);
			if (!table)
				return -ENOMEM;
			split_leaf(vm, slot, l, table, gone);
			continue;
		}
		table = table_of(old);
	}

	slot = &table[ept_index(gfn << PAGE_SHIFT, level)];
	old = READ_ONCE(*slot);
	if (ept_present(old) && !ept_is_leaf(old, level)) {
		/* The host maps by one large page now what was many. */
		xchg(slot, leaf);
		vm->ept01.leaves[level]++;
		table_gone(vm, table_of(old), level - 1, gone);
	} else if (ept_present(old) && ept_leaf_base(old, level) == ept_leaf_base(leaf, level)) {
		/* More rights for the same page: nothing that a processor holds becomes wrong. */
		set_entry_bits(slot, leaf);
	} else {
		old = xchg(slot, leaf);
		vm->ept01.leaves[level]++;
		if (ept_present(old))
			leaf_removed(vm, old, level, gone);
	}
	return 0;
}

/* The user memory behind a frame, as EPT01 may map it. */
struct ept01_source {
	const struct memslot *slot;
	struct host_page host;
	bool write;		/* the access that asks for it is a write */
	bool pml;		/* the processor logs the first write by itself */
};

static u64 make_leaf(const struct ept01_source *src, int level, u64 flags)
{
	u64 rights = EPT_READ | EPT_EXEC;

	if (src->host.writable && !(src->slot->flags & KVM_MEM_READONLY) &&
	    (src->write || src->pml || !memslot_logged(src->slot)))
		rights |= EPT_WRITE;
	/* IPAT 0: the guest's PAT counts, as on bare hardware (SDM 3C 29.3.7.2). */
	return ept_make_leaf(page_to_phys(src->host.page), level, rights, EPT_WB, false) | flags;
}

static int leaf_level(const struct ept01_source *src, gfn_t gfn)
{
	int level = src->host.level;

	/* A write is logged by the frame. */
	if (memslot_logged(src->slot) && (src->write || src->pml))
		level = 1;
	if (level == 3 && !vmx_features.ept_1g)
		level = 2;
	if (level == 2 && !vmx_features.ept_2m)
		level = 1;
	return ept_fit_level(gfn, src->slot->base, src->slot->npages, src->slot->hva, level);
}

/*
 * Map @gfn by @src, unless memory was invalidated since @seq was read: then
 * -EAGAIN. -ENOMEM when there is no page for a table.
 */
static int map_frame(struct vm *vm, gfn_t gfn, const struct ept01_source *src, u64 flags,
		     unsigned long seq)
{
	int level = leaf_level(src, gfn);
	u64 leaf = make_leaf(src, level, flags);
	struct ept01_spare spare = {};
	struct ept01_gone gone;
	int err;

	gone_init(&gone);
	for (;;) {
		spin_lock(&vm->mmu_lock);
		if (vm->mmu_invalidating || vm->mmu_seq != seq)
			err = -EAGAIN;
		else
			err = install(vm, gfn, leaf, level, &spare, &gone);
		/* Under the lock under which the log is taken and the frame protected again. */
		if (!err && src->write)
			dirty_mark(vm, src->slot, gfn);
		spin_unlock(&vm->mmu_lock);
		if (err != -ENOMEM)
			break;
		spare.page = (u64 *)get_zeroed_page(GFP_KERNEL_ACCOUNT);
		if (!spare.page)
			break;
	}
	free_page((unsigned long)spare.page);
	ept01_finish(vm, &gone);
	return err;
}

/*
 * One try to map @gfn. The guest may write the page through EPT01 at any time
 * from now on without being asked again, so it counts as dirty at once.
 */
static int try_map(struct vm *vm, gfn_t gfn, const struct memslot *slot, u64 access, bool shadow)
{
	struct ept01_source src = { .slot = slot, .write = access & EPT_WRITE, .pml = READ_ONCE(vm->pml) };
	unsigned long hva = slot->hva + ((gfn - slot->base) << PAGE_SHIFT);
	unsigned long seq = READ_ONCE(vm->mmu_seq);
	int err;

	smp_rmb();	/* the count before the page tables; pairs with the notifier's end */
	err = host_page_get(hva, access & EPT_WRITE, !(slot->flags & KVM_MEM_READONLY), &src.host);
	if (err)
		return err;
	err = map_frame(vm, gfn, &src, access_flags(access, shadow), seq);
	if (!err && src.host.writable && !PageDirty(src.host.page))
		set_page_dirty_lock(src.host.page);
	put_page(src.host.page);
	return err;
}

static enum ept01_result resolve(struct vcpu *vcpu, gpa_t gpa, u64 access, bool shadow,
				 struct ept01_leaf *leaf)
{
	struct vm *vm = vcpu->vm;
	gfn_t gfn = gpa >> PAGE_SHIFT;

	if (gpa >> EPT_GPA_BITS)
		return EPT01_MMIO;
	if (current->mm != vm->mm)
		return EPT01_ERROR;
	for (;;) {
		const struct memslot *slot;
		bool found;
		int err;

		spin_lock(&vm->mmu_lock);
		found = peek(vm, gpa, access, shadow, leaf);
		spin_unlock(&vm->mmu_lock);
		if (found)
			return EPT01_FIXED;

		slot = vm_slot(vm, gfn);
		if (!slot)
			return EPT01_MMIO;
		if ((access & EPT_WRITE) && (slot->flags & KVM_MEM_READONLY))
			return EPT01_READONLY;
		err = try_map(vm, gfn, slot, access, shadow);
		if (err && err != -EAGAIN)
			return EPT01_ERROR;
		if (fatal_signal_pending(current))
			return EPT01_ERROR;
		cond_resched();
	}
}

/**
 * ept01_fault() - make an access of L1 possible that EPT01 did not allow
 * @vcpu: it runs on this thread; srcu held
 * @gpa: what it accessed
 * @access: how: EPT_READ, EPT_WRITE, EPT_EXEC
 *
 * May sleep.
 *
 * Return: what to do.
 */
enum ept01_result ept01_fault(struct vcpu *vcpu, gpa_t gpa, u64 access)
{
	struct ept01_leaf leaf;

	return resolve(vcpu, gpa, access, false, &leaf);
}

/**
 * ept01_lookup() - the leaf of EPT01 that maps an address, for a copy in EPT02
 * @vcpu: it runs on this thread; srcu held
 * @gpa: the L1 guest-physical address
 * @access: what the leaf must allow
 * @leaf: filled when it returns EPT01_FIXED
 *
 * The copy is good until REQ_EPT01_FLUSH, which the vCPU handles before it
 * next enters the guest. May sleep.
 */
enum ept01_result ept01_lookup(struct vcpu *vcpu, gpa_t gpa, u64 access,
			       struct ept01_leaf *leaf)
{
	return resolve(vcpu, gpa, access, true, leaf);
}

/* A leaf's accessed flag; with @clear it is cleared too. */
static bool age_leaf(u64 *slot, bool clear)
{
	if (!(READ_ONCE(*slot) & EPT_ACCESSED))
		return false;
	if (clear)
		atomic64_andnot(EPT_ACCESSED, (atomic64_t *)slot);
	return true;
}

/**
 * ept01_age() - were frames used since they were last asked for?
 * @vm: the machine; mmu_lock held
 * @start: first frame
 * @end: the frame after the last
 * @clear: forget it, so that the next answer tells what happened since
 *
 * Processors keep translations whose flag was cleared, and do not set it
 * again while they do: as for the host's own tables, a page may look less
 * used than it is for a while. Use by L2 counts when it is put into EPT02.
 * Without accessed flags all that is mapped counts as used until cleared.
 */
bool ept01_age(struct vm *vm, gfn_t start, gfn_t end, bool clear)
{
	bool young = false;
	int level;

	while (start < end) {
		u64 *slot = find_leaf(vm, start, &level);

		if (slot)
			young |= age_leaf(slot, clear);
		start = (start | (ept_frames(level) - 1)) + 1;
	}
	return young;
}

/*
 * The next write through a leaf must be seen: as a fault, or where the
 * processor logs as a dirty flag that it sets. EPT02 has no such log, so
 * copies go in any case. Could it be written unseen? mmu_lock is held.
 */
static bool protect_leaf(struct vm *vm, u64 *slot, int level, struct ept01_gone *gone)
{
	bool pml = READ_ONCE(vm->pml) && level == 1;
	u64 old = READ_ONCE(*slot);

	if (!(old & EPT_WRITE) || (pml && !(old & (EPT_DIRTY | EPT01_SHADOWED))))
		return false;
	/* A small leaf that comes of a large one must not look dirty either. */
	atomic64_andnot(EPT_DIRTY | (pml ? EPT01_SHADOWED : EPT_WRITE), (atomic64_t *)slot);
	leaf_gone(vm, old, level, gone);
	return true;
}

/*
 * Split large leaves from @start on, those of 1 GiB down to 4 KiB, for which
 * @spare has one table. The frame to go on with; @end when all is done.
 * mmu_lock is held.
 */
static gfn_t split_some(struct vm *vm, gfn_t start, gfn_t end, struct ept01_spare *spare,
			struct ept01_gone *gone)
{
	int level;

	while (start < end) {
		u64 *slot = find_leaf_above(vm, start, 2, &level);

		if (!slot) {
			start = (start | (ept_frames(level) - 1)) + 1;
			continue;
		}
		if (!spare->page)
			return start;
		split_leaf(vm, slot, level, take_spare(spare), gone);
	}
	return end;
}

void ept01_split(struct vm *vm, gfn_t start, gfn_t end)
{
	struct ept01_spare spare = {};
	struct ept01_gone gone;

	gone_init(&gone);
	while (start < end && !fatal_signal_pending(current)) {
		gfn_t stop = min(end, (start | (ept_frames(EPT_MAX_LEAF) - 1)) + 1);

		spin_lock(&vm->mmu_lock);
		start = split_some(vm, start, stop, &spare, &gone);
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

void ept01_protect(struct vm *vm, gfn_t start, gfn_t end)
{
	struct ept01_gone gone;
	int level;

	gone_init(&gone);
	while (start < end) {
		gfn_t stop = min(end, (start | (ept_frames(EPT_MAX_LEAF) - 1)) + 1);

		spin_lock(&vm->mmu_lock);
		while (start < stop) {
			u64 *slot = find_leaf(vm, start, &level);

			if (slot)
				protect_leaf(vm, slot, level, &gone);
			start = (start | (ept_frames(level) - 1)) + 1;
		}
		spin_unlock(&vm->mmu_lock);
	}
	ept01_finish(vm, &gone);
}

bool ept01_protect_frames(struct vm *vm, gfn_t base, unsigned long mask)
{
	struct ept01_gone gone;
	bool any = false;
	int i, level;

	gone_init(&gone);
	for_each_set_bit(i, &mask, BITS_PER_LONG) {
		u64 *slot = find_leaf(vm, base + i, &level);

		if (slot)
			any |= protect_leaf(vm, slot, level, &gone);
	}
	return any;
}

/*
 * The holes that came since a vCPU last looked, and their number, or -1 when
 * there are no records of all of them any more.
 */
static int new_holes(struct vm *vm, unsigned long *seen, struct ept01_hole *holes)
{
	struct ept01 *e = &vm->ept01;
	int n = 0;

	if (READ_ONCE(e->shadow_seq) == *seen)
		return 0;
	spin_lock(&vm->mmu_lock);
	if (e->shadow_seq - *seen > EPT01_HOLES) {
		n = -1;
		*seen = e->shadow_seq;
	}
	while (*seen != e->shadow_seq)
		holes[n++] = e->holes[(*seen)++ % EPT01_HOLES];
	spin_unlock(&vm->mmu_lock);
	return n;
}

/**
 * ept01_flush() - what a vCPU does for REQ_EPT01_FLUSH
 * @vcpu: it runs on this thread
 *
 * The processor's copies of EPT01 go, and of EPT02 what is a copy of a leaf
 * that is gone. Preemption may be on: a vCPU that comes to another CPU flushes
 * there anyway.
 */
void ept01_flush(struct vcpu *vcpu)
{
	struct ept01_hole holes[EPT01_HOLES];
	int n = new_holes(vcpu->vm, &vcpu->nested.ept02.shadow_seq, holes);

	vmx_invept_single(vcpu->vm->ept01.eptp);
	if (n < 0)
		ept02_invalidate_all(vcpu);
	else if (n)
		ept02_drop_holes(vcpu, holes, n);
}

/**
 * ept01_init() - an empty EPT01, and the notifier that keeps it true
 * @vm: whose mm and mmu_lock are set up
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
 * ept01_destroy() - the end of EPT01
 * @vm: none of its vCPUs runs or ever will; fine on one whose ept01_init() failed
 *
 * The notifier's last call still looks at vm->vcpus, the slots and srcu, so
 * they go after this. May sleep.
 */
void ept01_destroy(struct vm *vm)
{
	struct ept01_gone gone;

	if (vm->mn_registered)
		mmu_notifier_unregister(&vm->mn, vm->mm);
	vm->mn_registered = false;
	if (!vm->ept01.root)
		return;
	gone_init(&gone);
	vm->ept01.pages++;	/* the root is collected too, and was not counted */
	table_gone(vm, vm->ept01.root, EPT_ROOT_LEVEL, &gone);
	gone.flush = false;
	ept01_finish(vm, &gone);
	vm->ept01.root = NULL;
}
