// SPDX-License-Identifier: GPL-2.0
/* EPT01, which maps L1 guest-physical memory to host-physical memory; filled on demand. */
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
 * Set in a leaf that ept01_lookup() returned. An EPT02 may hold a copy, which
 * must be dropped when the leaf is removed or loses rights.
 */
#define EPT01_SHADOWED	EPT_SOFT

/* State removed from EPT01 under mmu_lock, which ept01_finish() disposes of without the lock. */
struct ept01_gone {
	struct list_head tables;	/* table pages that a processor may still walk */
	bool flush;			/* processors may have stale translations */
};

static void ept01_gone_init(struct ept01_gone *gone)
{
	INIT_LIST_HEAD(&gone->tables);
	gone->flush = false;
}

/*
 * Make all vCPUs flush stale translations, and free the tables, which no
 * processor can walk after that. Called without mmu_lock. Does not sleep.
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

static u64 *ept01_find_leaf(struct vm *vm, gfn_t gfn, int *level)
{
	return ept01_find_leaf_above(vm, gfn, 1, level);
}

/* OR bits into an entry. The processor may set accessed and dirty flags at the same time. */
static void ept01_set_bits(u64 *slot, u64 bits)
{
	if ((READ_ONCE(*slot) & bits) != bits)
		atomic64_or(bits, (atomic64_t *)slot);
}

/* The flags that an access sets in the leaf, including an access by L2 through EPT02. */
static u64 ept01_access_flags(u64 access, bool shadow)
{
	return EPT_ACCESSED | (access & EPT_WRITE ? EPT_DIRTY : 0) | (shadow ? EPT01_SHADOWED : 0);
}

/*
 * The rights that a copy of @leaf in EPT02 may have. While the processor logs
 * writes through EPT01 by its dirty flags, a write through EPT02 must fault so
 * that it is logged, too.
 */
static u64 ept01_rights_of(struct vm *vm, u64 leaf, bool shadow)
{
	u64 rights = leaf & EPT_RWX;

	if (shadow && READ_ONCE(vm->pml) && !(leaf & EPT_DIRTY))
		rights &= ~EPT_WRITE;
	return rights;
}

/* Log a write to a page whose leaf is not dirty. The flag is set by software, so the processor will not log it. */
static void ept01_mark_if_clean(struct vm *vm, gfn_t gfn, u64 leaf, u64 access)
{
	const struct memslot *slot;

	if (!(access & EPT_WRITE) || (leaf & EPT_DIRTY))
		return;
	slot = vm_slot(vm, gfn);
	if (slot)
		dirty_mark(vm, slot, gfn);
}

/* Fill *@out from the leaf that maps @gpa, if one allows @access. Caller holds mmu_lock. */
static bool ept01_peek(struct vm *vm, gpa_t gpa, u64 access, bool shadow, struct ept01_leaf *out)
{
	int level;
	u64 *slot = ept01_find_leaf(vm, gpa >> PAGE_SHIFT, &level);

	if (!slot || (access & ~READ_ONCE(*slot)))
		return false;
	ept01_mark_if_clean(vm, gpa >> PAGE_SHIFT, READ_ONCE(*slot), access);
	ept01_set_bits(slot, ept01_access_flags(access, shadow));
	out->hpa = ept_leaf_page(*slot, level, gpa);
	out->rights = ept01_rights_of(vm, READ_ONCE(*slot), shadow);
	out->ipat = READ_ONCE(*slot) & EPT_IPAT;
	out->level = level;
	return true;
}

/* A table page, allocated without the lock once the need for it was found under the lock. */
struct ept01_spare {
	u64 *page;	/* zeroed; NULL if there is none */
};

static u64 *ept01_take_spare(struct ept01_spare *spare)
{
	u64 *page = spare->page;

	spare->page = NULL;
	return page;
}

/*
 * Install @leaf at @level for @gfn. Caller holds mmu_lock, and no invalidation
 * has begun since @leaf was made. Returns -ENOMEM if a spare page is needed
 * first.
 */
static int ept01_install(struct vm *vm, gfn_t gfn, u64 leaf, int level, struct ept01_spare *spare,
			 struct ept01_gone *gone)
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

/* The user memory behind a frame, and the conditions for mapping it. */
struct ept01_source {
	const struct memslot *slot;
	struct host_page host;
	bool write;		/* the faulting access is a write */
	bool exec;		/* the faulting access is an instruction fetch */
	bool pml;		/* the processor logs the first write */
};

/**
 * ept01_ignores_pat() - whether leaves ignore the guest's PAT
 * @vm: the VM
 *
 * A guest that maps memory UC or WC is slow, and on a processor without
 * self-snooping its accesses are not coherent with those of the host, which
 * maps the same page write-back. So the memory type is write-back whatever the
 * guest asks for, unless user space has disabled the quirk, which the processor
 * must be fit for (SDM 3C 29.3.7.2).
 *
 * Context: Any.
 * Return: true if they do.
 */
bool ept01_ignores_pat(const struct vm *vm)
{
	return !(READ_ONCE(vm->disabled_quirks) & KVM_X86_QUIRK_IGNORE_GUEST_PAT);
}

/* May the guest execute from large leaves? It may crash the processor then (iTLB multihit, CVE-2018-12207). */
static bool ept01_nx_huge(const struct vm *vm)
{
	return vmx_features.nx_huge && !vm->huge_exec;
}

static u64 ept01_make_leaf(const struct vm *vm, const struct ept01_source *src, int level, u64 flags)
{
	u64 rights = ept_leaf_rights(EPT_READ | EPT_EXEC, level, ept01_nx_huge(vm));

	if (src->host.writable && !(src->slot->flags & KVM_MEM_READONLY) &&
	    (src->write || src->pml || !memslot_logged(src->slot)))
		rights |= EPT_WRITE;
	return ept_make_leaf(page_to_phys(src->host.page), level, rights, EPT_WB, ept01_ignores_pat(vm)) | flags;
}

static int ept01_leaf_level(const struct vm *vm, const struct ept01_source *src, gfn_t gfn)
{
	int level = src->host.level;

	if (src->exec && ept01_nx_huge(vm))
		return 1;

	/* Writes are logged per frame. */
	if (memslot_logged(src->slot) && (src->write || src->pml))
		level = 1;
	if (level == 3 && !vmx_features.ept_1g)
		level = 2;
	if (level == 2 && !vmx_features.ept_2m)
		level = 1;
	return ept_fit_level(gfn, src->slot->base, src->slot->npages, src->slot->hva, level);
}

/*
 * Was memory of the slots invalidated since @seq was read, or is memory of a
 * leaf at @level around @hva being invalidated? Invalidations of other memory
 * do not count: a process has many, and they may take long. Caller holds
 * mmu_lock.
 */
static bool ept01_is_stale(const struct vm *vm, unsigned long hva, int level, unsigned long seq)
{
	unsigned long bytes = ept_frames(level) << PAGE_SHIFT;
	unsigned long first = hva & ~(bytes - 1);

	return vm->mmu_seq != seq || (vm->mmu_invalidating && first < vm->mmu_to && vm->mmu_from < first + bytes);
}

static unsigned long ept01_hva(const struct memslot *slot, gfn_t gfn)
{
	return slot->hva + ((gfn - slot->base) << PAGE_SHIFT);
}

/*
 * Map @gfn to @src. Returns -EAGAIN if memory was invalidated since @seq was
 * read, -ENOMEM if there is no page for a table. May sleep.
 */
static int ept01_map_frame(struct vm *vm, gfn_t gfn, const struct ept01_source *src, u64 flags,
			   unsigned long seq)
{
	unsigned long hva = ept01_hva(src->slot, gfn);
	int level = ept01_leaf_level(vm, src, gfn);
	u64 leaf = ept01_make_leaf(vm, src, level, flags);
	struct ept01_spare spare = {};
	struct ept01_gone gone;
	int err;

	ept01_gone_init(&gone);
	for (;;) {
		spin_lock(&vm->mmu_lock);
		if (ept01_is_stale(vm, hva, level, seq))
			err = -EAGAIN;
		else
			err = ept01_install(vm, gfn, leaf, level, &spare, &gone);
		/* Collecting the log and protecting the frame again happens under the same lock. */
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
 * Try once to map @gfn. The guest may from now on write the page through EPT01
 * without another fault, so a writable page is marked dirty now. May sleep.
 */
static int ept01_try_map(struct vm *vm, gfn_t gfn, const struct memslot *slot, u64 access, bool shadow)
{
	struct ept01_source src = { .slot = slot, .write = access & EPT_WRITE,
				    .exec = access & EPT_EXEC, .pml = READ_ONCE(vm->pml) };
	unsigned long hva = ept01_hva(slot, gfn);
	unsigned long seq = READ_ONCE(vm->mmu_seq);
	int err;

	smp_rmb();	/* read mmu_seq before the page tables; pairs with notifier_invalidate_end() */
	err = host_page_get(hva, access & EPT_WRITE, !(slot->flags & KVM_MEM_READONLY), &src.host);
	if (err)
		return err;
	err = ept01_map_frame(vm, gfn, &src, ept01_access_flags(access, shadow), seq);
	if (!err && src.host.writable && !PageDirty(src.host.page))
		set_page_dirty_lock(src.host.page);
	put_page(src.host.page);
	return err;
}

static enum ept01_result ept01_resolve(struct vcpu *vcpu, gpa_t gpa, u64 access, bool shadow,
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
		found = ept01_peek(vm, gpa, access, shadow, leaf);
		spin_unlock(&vm->mmu_lock);
		if (found)
			return EPT01_FIXED;

		slot = vm_slot(vm, gfn);
		if (!slot)
			return EPT01_MMIO;
		if ((access & EPT_WRITE) && (slot->flags & KVM_MEM_READONLY))
			return EPT01_READONLY;
		err = ept01_try_map(vm, gfn, slot, access, shadow);
		if (unlikely(err == -EHWPOISON)) {
			/* As if the thread had touched the page itself: user space may tell the guest, by a machine check. */
			send_sig_mceerr(BUS_MCEERR_AR, (void __user *)ept01_hva(slot, gfn), PAGE_SHIFT, current);
			return EPT01_SIGNAL;
		}
		if (err == -EINTR)
			return EPT01_SIGNAL;
		if (err && err != -EAGAIN)
			return EPT01_ERROR;
		if (fatal_signal_pending(current))
			return EPT01_ERROR;
		cond_resched();
	}
}

/**
 * ept01_fault() - handle an access that EPT01 does not allow
 * @vcpu: the vCPU
 * @gpa: the L1 guest-physical address
 * @access: the access: EPT_READ, EPT_WRITE, EPT_EXEC
 *
 * Context: Thread of the VM's process. May sleep. Interrupts enabled. Caller
 * holds vcpu->mutex, and vm->srcu for reading. Any VMCS may be current.
 * Return: enum ept01_result.
 */
enum ept01_result ept01_fault(struct vcpu *vcpu, gpa_t gpa, u64 access)
{
	struct ept01_leaf leaf;

	return ept01_resolve(vcpu, gpa, access, false, &leaf);
}

/**
 * ept01_lookup() - find or install the leaf that maps an address, for a copy in EPT02
 * @vcpu: the vCPU
 * @gpa: the L1 guest-physical address
 * @access: the rights that the leaf must have
 * @leaf: filled if EPT01_FIXED is returned
 *
 * The copy is valid until REQ_EPT01_FLUSH, which the vCPU handles before its
 * next VM entry.
 *
 * Context: as for ept01_fault().
 * Return: enum ept01_result.
 */
enum ept01_result ept01_lookup(struct vcpu *vcpu, gpa_t gpa, u64 access,
			       struct ept01_leaf *leaf)
{
	return ept01_resolve(vcpu, gpa, access, true, leaf);
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
