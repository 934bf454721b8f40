// SPDX-License-Identifier: GPL-2.0
/* Reading guest memory from any thread, for somebody who looks at the VM from outside. */
#include <linux/mm.h>
#include <linux/sched/mm.h>
#include "droste.h"
#include "mem/memslot.h"

/**
 * vm_peek_guest() - read aligned quadwords of guest memory without any effect
 * @vm: the VM
 * @gpa: L1 guest-physical address, a multiple of 8
 * @vals: filled
 * @n: their number; they are in one page
 *
 * Faults nothing in: memory that the process has not touched, or that the host
 * has swapped out, is not read. Each quadword is read in one access.
 *
 * Context: Process context of any process. May sleep. Caller holds vm->srcu
 * for reading, and a reference to the users of vm->mm.
 * Return: 0; -ENXIO if there is no memory, or @gpa is not aligned; -EAGAIN if
 * the host does not have the page now, or cannot tell at once.
 */
int vm_peek_guest(struct vm *vm, gpa_t gpa, u64 *vals, unsigned int n)
{
	const struct memslot *slot = vm_slot(vm, gpa >> PAGE_SHIFT);
	struct page *page;
	const u64 *from;
	unsigned int i;
	long got;

	if (!slot || (gpa & 7))
		return -ENXIO;
	/* The process can hold the lock as long as it likes, and the caller may hold vcpu->mutex. */
	if (!mmap_read_trylock(vm->mm))
		return -EAGAIN;
	got = compat_get_user_page_remote(vm->mm, (unsigned long)memslot_user(slot, gpa) & PAGE_MASK, FOLL_NOFAULT, &page);
	mmap_read_unlock(vm->mm);
	if (got != 1)
		return -EAGAIN;
	from = page_address(page) + offset_in_page(gpa);
	for (i = 0; i < n; i++)
		vals[i] = READ_ONCE(from[i]);
	put_page(page);
	return 0;
}
