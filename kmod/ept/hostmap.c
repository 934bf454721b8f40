// SPDX-License-Identifier: GPL-2.0
/* Host mapping of a user address: the page, the size of the mapping, and whether it is writable. */
#include <linux/io.h>
#include <linux/mm.h>
#include <linux/pgtable.h>
#include <linux/sched/signal.h>
#include <asm/e820/api.h>
#include <asm/memtype.h>
#include "droste.h"
#include "ept/ept.h"

struct host_mapping {
	unsigned long pfn;	/* of the 4-KiB page at the address */
	int level;		/* 0 if nothing is mapped */
	unsigned long flags;	/* of the leaf: _PAGE_* */
};

static struct host_mapping hostmap_leaf(unsigned long pfn, unsigned long hva, unsigned long size,
					int level, unsigned long flags)
{
	return (struct host_mapping) {
		.pfn = pfn + ((hva & (size - 1)) >> PAGE_SHIFT),
		.level = level,
		.flags = flags,
	};
}

/*
 * The PMD entry of the current thread for @hva, as a leaf or a pointer to a
 * table. *@m is set if an upper level is the leaf; the PMD is none then.
 *
 * Called with interrupts disabled.
 */
static pmd_t hostmap_pmd(unsigned long hva, struct host_mapping *m)
{
	pgd_t pgd = READ_ONCE(*pgd_offset(current->mm, hva));
	p4d_t p4d;
	pud_t pud;

	if (pgd_none(pgd))
		return __pmd(0);
	p4d = READ_ONCE(*p4d_offset(&pgd, hva));
	if (p4d_none(p4d) || !p4d_present(p4d))
		return __pmd(0);
	pud = READ_ONCE(*pud_offset(&p4d, hva));
	if (pud_none(pud) || !pud_present(pud))
		return __pmd(0);
	if (pud_leaf(pud)) {
		*m = hostmap_leaf(pud_pfn(pud), hva, PUD_SIZE, 3, pud_flags(pud));
		return __pmd(0);
	}
	return READ_ONCE(*pmd_offset(&pud, hva));
}

/*
 * Walk the page tables of the current thread to the leaf for @hva. Tables are
 * freed only after every CPU has enabled interrupts (by IPI or RCU), so a table
 * stays one while they are disabled. The leaf may change at any time; callers
 * detect this by the MMU notifier's count.
 *
 * Called with interrupts disabled.
 */
static struct host_mapping hostmap_walk(unsigned long hva)
{
	struct host_mapping m = {};
	pmd_t pmd = hostmap_pmd(hva, &m);
	pte_t pte;

	if (pmd_none(pmd) || !pmd_present(pmd))
		return m;
	if (pmd_leaf(pmd))
		return hostmap_leaf(pmd_pfn(pmd), hva, PMD_SIZE, 2, pmd_flags(pmd));
	pte = READ_ONCE(*pte_offset_kernel(&pmd, hva));
	if (!pte_present(pte))
		return m;
	return hostmap_leaf(pte_pfn(pte), hva, PAGE_SIZE, 1, pte_flags(pte));
}

static struct host_mapping hostmap_lookup(unsigned long hva)
{
	struct host_mapping m;
	unsigned long flags;

	local_irq_save(flags);
	m = hostmap_walk(hva);
	local_irq_restore(flags);
	return m;
}

/*
 * Get the page, faulting it in. A wait for the page, which may be another
 * machine's during post-copy migration, ends at any signal with -EINTR.
 */
static int hostmap_fault_in(unsigned long hva, bool write, struct page **page)
{
	unsigned int flags = (write ? FOLL_WRITE : 0) | COMPAT_FOLL_INTERRUPTIBLE | FOLL_HWPOISON;
	long n = get_user_pages_unlocked(hva, 1, page, flags);

	if (n < 0)
		return n;
	return n == 1 ? 0 : -EFAULT;
}

static int hostmap_get_page(unsigned long hva, bool write, struct page **page)
{
	if (get_user_page_fast_only(hva, write ? FOLL_WRITE : 0, page))
		return 0;
	return hostmap_fault_in(hva, write, page);
}

/*
 * Whether a leaf selects another memory type than write-back. Memory that a
 * device reads without a look at the caches, such as a graphics card's buffers,
 * may have a struct page as any other.
 */
static bool hostmap_has_type(unsigned long flags, int level)
{
	return flags & (_PAGE_PWT | _PAGE_PCD | (level > 1 ? _PAGE_PAT_LARGE : _PAGE_PAT));
}

/* Whether a frame is RAM. The firmware's map also has RAM that the host leaves alone (mem= on its command line). */
static bool hostmap_is_ram(unsigned long pfn)
{
	return page_is_ram(pfn) || e820__mapped_raw_any(PFN_PHYS(pfn), PFN_PHYS(pfn + 1) - 1, E820_TYPE_RAM);
}

/*
 * Whether a leaf without a usable struct page maps the host's memory
 * write-back. A device's memory is none of the RAM, whatever the leaf says: the
 * host's MTRRs, which apply to its own accesses, have no effect under EPT (SDM
 * 3C 29.3.7.2).
 */
static bool hostmap_is_cached(const struct host_mapping *m)
{
	return !hostmap_has_type(m->flags, m->level) && hostmap_is_ram(m->pfn) && !pat_pfn_immune_to_uc_mtrr(m->pfn);
}

/*
 * Fill *@out from the leaf for @hva, which is in @vma. An entry that is not
 * special maps a page that has users, and a reference to it is taken. A special
 * one maps what the driver says, which may have no struct page, or one that
 * nobody counts. Only the MMU notifier then tells that the driver takes it
 * back. Returns -EAGAIN if the host has to handle a fault first. Caller holds
 * mmap_lock.
 */
static int hostmap_follow(struct vm_area_struct *vma, unsigned long hva, bool write, struct host_page *out)
{
	COMPAT_PFNMAP(at, vma, hva);
	struct host_mapping m;
	int err = 0;

	if (compat_pfnmap_lock(&at))
		return -EAGAIN;
	/* The lock keeps the leaf as it is. */
	m = hostmap_lookup(hva);
	if (!m.level || !pte_access_permitted(__pte(m.flags), write))
		err = -EAGAIN;
	else if (!(m.flags & _PAGE_SPECIAL) && pfn_valid(m.pfn) && !try_get_page(pfn_to_page(m.pfn)))
		err = -EFAULT;
	compat_pfnmap_unlock(&at);
	if (err)
		return err;
	*out = (struct host_page) {
		.pfn = m.pfn,
		.level = m.level,
		.writable = pte_access_permitted(__pte(m.flags), true),
	};
	if (!(m.flags & _PAGE_SPECIAL) && pfn_valid(m.pfn)) {
		out->page = pfn_to_page(m.pfn);
		out->uncached = hostmap_has_type(m.flags, m.level);
	} else {
		out->uncached = !hostmap_is_cached(&m);
	}
	return 0;
}

/* Try once to get what a driver has mapped. Returns -EAGAIN after a fault. Caller holds mmap_lock. */
static int hostmap_try_driver(unsigned long hva, bool write, struct host_page *out)
{
	struct vm_area_struct *vma = vma_lookup(current->mm, hva);
	bool unlocked = false;
	int err;

	if (!vma || !(vma->vm_flags & (VM_IO | VM_PFNMAP)) || !(vma->vm_flags & (write ? VM_WRITE : VM_READ)))
		return -EFAULT;
	err = hostmap_follow(vma, hva, write, out);
	if (err != -EAGAIN)
		return err;
	err = fixup_user_fault(current->mm, hva, write ? FAULT_FLAG_WRITE : 0, &unlocked);
	return err ?: -EAGAIN;
}

/*
 * Get the page at a user address to which a driver has mapped memory of its
 * choice: a device's registers, for instance. Returns -EAGAIN after a fault. A
 * driver may take the memory back again and again, so any signal ends this.
 */
static int hostmap_get_driver(unsigned long hva, bool write, struct host_page *out)
{
	int err;

	if (mmap_read_lock_killable(current->mm))
		return -EINTR;
	err = hostmap_try_driver(hva, write, out);
	mmap_read_unlock(current->mm);
	return err == -EAGAIN && signal_pending(current) ? -EINTR : err;
}

/**
 * host_page_get() - get the page at a user address of the current thread
 * @hva: the address
 * @write: the page must be writable
 * @may_write: the memory slot allows writes, so one is likely to follow
 * @out: filled
 *
 * A page that is not present is faulted in for writing even for a read, if
 * @may_write allows it. If not, the host would map its zero page, which the
 * first write would replace, and mappings in EPT01 and EPT02 would be dropped.
 * A page that is present is used as it is.
 *
 * The result is valid only if no invalidation by the MMU notifier has begun
 * since before the call. The caller checks this.
 *
 * Memory that a driver has mapped (VM_PFNMAP, VM_IO) may have no struct page.
 *
 * Context: Process context of the VM's mm. May sleep.
 * Return: 0 with a reference to @out->page, unless that is NULL; or a negative
 * errno: -EINTR if a signal came while the page was waited for, -EHWPOISON if
 * the host lost the page to a memory error, -EAGAIN if the caller has to try
 * again.
 */
int host_page_get(unsigned long hva, bool write, bool may_write, struct host_page *out)
{
	struct host_mapping m = hostmap_lookup(hva);
	int err;

	*out = (struct host_page) { .found = m.level };
	if (m.level) {
		err = hostmap_get_page(hva, write, &out->page);
	} else {
		err = hostmap_fault_in(hva, write || may_write, &out->page);
		if (err && !write && may_write && err != -EINTR && err != -EHWPOISON)
			err = hostmap_fault_in(hva, false, &out->page);
	}
	if (err == -EFAULT)
		return hostmap_get_driver(hva, write, out);
	if (err)
		return err;

	out->pfn = page_to_pfn(out->page);
	if (m.pfn != out->pfn || !m.level || (write && !(m.flags & _PAGE_RW)))
		m = hostmap_lookup(hva);
	if (m.pfn == out->pfn && m.level) {
		out->level = m.level;
		out->writable = write || (m.flags & _PAGE_RW);
		out->uncached = hostmap_has_type(m.flags, m.level);
	} else {
		/* The host changed the mapping meanwhile, which the caller will notice. */
		out->level = 1;
		out->writable = write;
	}
	return 0;
}

/*
 * The page at @pfn, which the thread's page tables map with @flags, for
 * host_pages_near(). Only memory of processes and shared memory is taken.
 * Pages of files, of devices and of secret memory, and the zero page, are left
 * to host_page_get(), as are those that the thread's protection keys hide. The
 * callers leave it those that are not mapped write-back.
 */
static struct host_page hostmap_near_page(unsigned long pfn, unsigned long flags)
{
	struct folio *folio;
	struct page *page;
	pte_t pte = __pte(flags);

	/* A device's memory, which a large leaf may map, has no struct page. */
	if (!pfn_valid(pfn))
		return (struct host_page) {};
	page = pfn_to_page(pfn);
	folio = page_folio(page);
	if (!pte_access_permitted(pte, false) || PageHWPoison(page) ||
	    !(folio_test_anon(folio) || folio_test_swapbacked(folio)))
		return (struct host_page) {};
	return (struct host_page) {
		.page = page,
		.pfn = pfn,
		.level = 1,
		.found = true,
		/* The host would not learn of writes to a clean page. */
		.writable = pte_access_permitted(pte, true) && (flags & _PAGE_DIRTY),
	};
}

/* As hostmap_near_page(), for the page at @hva, which the large leaf @pmd maps. */
static struct host_page hostmap_near_part(pmd_t pmd, unsigned long hva)
{
	if (!(pmd_flags(pmd) & _PAGE_PRESENT) || (pmd_flags(pmd) & _PAGE_SPECIAL) || hostmap_has_type(pmd_flags(pmd), 2))
		return (struct host_page) {};
	return hostmap_near_page(pmd_pfn(pmd) + ((hva & ~PMD_MASK) >> PAGE_SHIFT), pmd_flags(pmd));
}

static struct host_page hostmap_near_pte(pte_t pte)
{
	/* A special entry may have no struct page. */
	if (!(pte_flags(pte) & _PAGE_PRESENT) || pte_special(pte) || hostmap_has_type(pte_flags(pte), 1))
		return (struct host_page) {};
	return hostmap_near_page(pte_pfn(pte), pte_flags(pte));
}

/**
 * host_pages_near() - find which pages of a range the host has
 * @hva: the first address; page-aligned
 * @n: number of pages; the range does not cross a multiple of PMD_SIZE
 * @out: @n elements, filled; the page is NULL if there is none that may be mapped
 *
 * Faults nothing in, and takes no references. The pages are valid only if no
 * invalidation by the MMU notifier has begun since before the call. The caller
 * checks this before it uses them. A page's state may be that of another use of
 * the page, but then the check fails.
 *
 * Context: Process context of the VM's mm. Does not sleep.
 */
void host_pages_near(unsigned long hva, unsigned int n, struct host_page *out)
{
	struct host_mapping m = {};
	unsigned long irqs;
	unsigned int i;
	pmd_t pmd;

	local_irq_save(irqs);
	pmd = hostmap_pmd(hva, &m);
	for (i = 0; i < n; i++) {
		if (pmd_none(pmd) || !pmd_present(pmd))
			out[i] = (struct host_page) {};
		else if (pmd_leaf(pmd))
			out[i] = hostmap_near_part(pmd, hva + i * PAGE_SIZE);
		else
			out[i] = hostmap_near_pte(READ_ONCE(pte_offset_kernel(&pmd, hva)[i]));
	}
	local_irq_restore(irqs);
}
