// SPDX-License-Identifier: GPL-2.0
/* Host mapping of a user address: the page, the size of the mapping, and whether it is writable. */
#include <linux/mm.h>
#include <linux/pgtable.h>
#include <linux/sched.h>
#include "droste.h"
#include "ept/ept.h"

struct host_mapping {
	unsigned long pfn;	/* of the 4-KiB page at the address */
	int level;		/* 0 if nothing is mapped */
	bool writable;
};

static struct host_mapping hostmap_leaf(unsigned long pfn, unsigned long hva, unsigned long size,
					int level, bool writable)
{
	return (struct host_mapping) {
		.pfn = pfn + ((hva & (size - 1)) >> PAGE_SHIFT),
		.level = level,
		.writable = writable,
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
		*m = hostmap_leaf(pud_pfn(pud), hva, PUD_SIZE, 3, pud_flags(pud) & _PAGE_RW);
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
		return hostmap_leaf(pmd_pfn(pmd), hva, PMD_SIZE, 2, pmd_flags(pmd) & _PAGE_RW);
	pte = READ_ONCE(*pte_offset_kernel(&pmd, hva));
	if (!pte_present(pte))
		return m;
	return hostmap_leaf(pte_pfn(pte), hva, PAGE_SIZE, 1, pte_flags(pte) & _PAGE_RW);
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
 * Context: Process context of the VM's mm. May sleep.
 * Return: 0 with a reference to @out->page, or a negative errno: -EINTR if a
 * signal came while the page was waited for, -EHWPOISON if the host lost the
 * page to a memory error.
 */
int host_page_get(unsigned long hva, bool write, bool may_write, struct host_page *out)
{
	struct host_mapping m = hostmap_lookup(hva);
	int err;

	out->found = m.level;
	if (m.level) {
		err = hostmap_get_page(hva, write, &out->page);
	} else {
		err = hostmap_fault_in(hva, write || may_write, &out->page);
		if (err && !write && may_write && err != -EINTR && err != -EHWPOISON)
			err = hostmap_fault_in(hva, false, &out->page);
	}
	if (err)
		return err;

	if (m.pfn != page_to_pfn(out->page) || !m.level || (write && !m.writable))
		m = hostmap_lookup(hva);
	if (m.pfn == page_to_pfn(out->page) && m.level) {
		out->level = m.level;
		out->writable = write || m.writable;
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
 * to host_page_get(), as are those that the thread's protection keys hide.
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
		.level = 1,
		.found = true,
		/* The host would not learn of writes to a clean page. */
		.writable = pte_access_permitted(pte, true) && (flags & _PAGE_DIRTY),
	};
}

/* As hostmap_near_page(), for the page at @hva, which the large leaf @pmd maps. */
static struct host_page hostmap_near_part(pmd_t pmd, unsigned long hva)
{
	if (!(pmd_flags(pmd) & _PAGE_PRESENT))
		return (struct host_page) {};
	return hostmap_near_page(pmd_pfn(pmd) + ((hva & ~PMD_MASK) >> PAGE_SHIFT), pmd_flags(pmd));
}

static struct host_page hostmap_near_pte(pte_t pte)
{
	/* A special entry may have no struct page. */
	if (!(pte_flags(pte) & _PAGE_PRESENT) || pte_special(pte))
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
