// SPDX-License-Identifier: GPL-2.0
/* How the host maps a user address: which page, by how large a mapping, writable or not. */
#include <linux/mm.h>
#include <linux/pgtable.h>
#include <linux/sched.h>
#include "droste.h"
#include "ept/ept.h"

struct host_mapping {
	unsigned long pfn;	/* of the 4-KiB page at the address */
	int level;		/* 0: nothing is mapped */
	bool writable;
};

static struct host_mapping mapping_of(unsigned long pfn, unsigned long hva, unsigned long size,
				      int level, bool writable)
{
	return (struct host_mapping) {
		.pfn = pfn + ((hva & (size - 1)) >> PAGE_SHIFT),
		.level = level,
		.writable = writable,
	};
}

/*
 * Walk the running thread's page tables to the leaf for @hva. Tables are freed
 * only after every CPU had its interrupts on (by IPI or by RCU), so with them
 * off what a table named is still a table; the leaf may change at any time,
 * and the caller's look at the MMU notifier's count finds out.
 *
 * @pre interrupts off
 */
static struct host_mapping host_walk(unsigned long hva)
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
		return mapping_of(pud_pfn(pud), hva, PUD_SIZE, 3, pud_flags(pud) & _PAGE_RW);
	pmd = READ_ONCE(*pmd_offset(&pud, hva));
	if (pmd_none(pmd) || !pmd_present(pmd))
		return none;
	if (pmd_leaf(pmd))
		return mapping_of(pmd_pfn(pmd), hva, PMD_SIZE, 2, pmd_flags(pmd) & _PAGE_RW);
	pte = READ_ONCE(*pte_offset_kernel(&pmd, hva));
	if (!pte_present(pte))
		return none;
	return mapping_of(pte_pfn(pte), hva, PAGE_SIZE, 1, pte_flags(pte) & _PAGE_RW);
}

static struct host_mapping host_mapping_of(unsigned long hva)
{
	struct host_mapping m;
	unsigned long flags;

	local_irq_save(flags);
	m = host_walk(hva);
	local_irq_restore(flags);
	return m;
}

static int get_page_at(unsigned long hva, bool write, struct page **page)
{
	int n = get_user_pages_fast(hva, 1, write ? FOLL_WRITE : 0, page);

	if (n < 0)
		return n;
	return n == 1 ? 0 : -EFAULT;
}

/**
 * host_page_get() - the page at a user address of the running thread
 * @hva: the address
 * @write: it must be writable
 * @may_write: it will likely be written: the slot allows it
 * @out: filled
 *
 * Memory that is not there yet is got for writing even when it is only to be
 * read, where that is allowed. Else the host would map its page of zeros, and
 * the first write would replace that: a mapping lost, in EPT02 too.
 * What is there already is taken as it is.
 *
 * What this finds is true only as long as no invalidation by the MMU notifier
 * began since before the call; the caller checks.
 *
 * Return: 0 with a reference to @out->page, or a negative errno.
 */
int host_page_get(unsigned long hva, bool write, bool may_write, struct host_page *out)
{
	struct host_mapping m;
	int err = -EFAULT;

	if (!write && may_write && !host_mapping_of(hva).level)
		err = get_page_at(hva, true, &out->page);
	if (err)
		err = get_page_at(hva, write, &out->page);
	if (err)
		return err;

	m = host_mapping_of(hva);
	if (m.pfn == page_to_pfn(out->page) && m.level) {
		out->level = m.level;
		out->writable = write || m.writable;
	} else {
		/* The host changed it since, as the caller will notice. */
		out->level = 1;
		out->writable = write;
	}
	return 0;
}
