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
 * Walk the page tables of the current thread to the leaf for @hva. Tables are
 * freed only after every CPU has enabled interrupts (by IPI or RCU), so a table
 * stays one while they are disabled. The leaf may change at any time; callers
 * detect this by the MMU notifier's count.
 *
 * Called with interrupts disabled.
 */
static struct host_mapping hostmap_walk(unsigned long hva)
{
	struct host_mapping none = {};
	pgd_t pgd = READ_ONCE(*pgd_offset(current->mm, hva));
	p4d_t p4d;
	pud_t pud;
	pmd_t pmd;
	pte_t pte;

	if (pgd_none(pgd))
		return none;
	p4d = READ_ONCE(*p4d_offset(&pgd, hva));
	if (p4d_none(p4d) || !p4d_present(p4d))
		return none;
	pud = READ_ONCE(*pud_offset(&p4d, hva));
	if (pud_none(pud) || !pud_present(pud))
		return none;
	if (pud_leaf(pud))
		return hostmap_leaf(pud_pfn(pud), hva, PUD_SIZE, 3, pud_flags(pud) & _PAGE_RW);
	pmd = READ_ONCE(*pmd_offset(&pud, hva));
	if (pmd_none(pmd) || !pmd_present(pmd))
		return none;
	if (pmd_leaf(pmd))
		return hostmap_leaf(pmd_pfn(pmd), hva, PMD_SIZE, 2, pmd_flags(pmd) & _PAGE_RW);
	pte = READ_ONCE(*pte_offset_kernel(&pmd, hva));
	if (!pte_present(pte))
		return none;
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
 * A wait for the page, which may be another machine's during post-copy
 * migration, ends at any signal with -EINTR.
 */
static int hostmap_get_page(unsigned long hva, bool write, struct page **page)
{
	unsigned int flags = write ? FOLL_WRITE : 0;
	long n;

	if (get_user_page_fast_only(hva, flags, page))
		return 0;
	n = get_user_pages_unlocked(hva, 1, page, flags | COMPAT_FOLL_INTERRUPTIBLE | FOLL_HWPOISON);
	if (n < 0)
		return n;
	return n == 1 ? 0 : -EFAULT;
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
	struct host_mapping m;
	int err = -EFAULT;

	if (!write && may_write && !hostmap_lookup(hva).level)
		err = hostmap_get_page(hva, true, &out->page);
	if (err && err != -EINTR && err != -EHWPOISON)
		err = hostmap_get_page(hva, write, &out->page);
	if (err)
		return err;

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
