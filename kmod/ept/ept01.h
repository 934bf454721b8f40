/* SPDX-License-Identifier: GPL-2.0 */
/* The tables of EPT01: what ept01.c and ept01_fault.c share. */
#ifndef DROSTE_EPT01_H
#define DROSTE_EPT01_H

#include <linux/atomic.h>
#include <linux/list.h>
#include "ept/format.h"
#include "mem/types.h"

struct vm;

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

static inline void ept01_gone_init(struct ept01_gone *gone)
{
	INIT_LIST_HEAD(&gone->tables);
	gone->flush = false;
}

/* A table page, allocated without the lock once the need for it was found under the lock. */
struct ept01_spare {
	u64 *page;	/* zeroed; NULL if there is none */
};

/* OR bits into an entry. The processor may set accessed and dirty flags at the same time. */
static inline void ept01_set_bits(u64 *slot, u64 bits)
{
	if ((READ_ONCE(*slot) & bits) != bits)
		atomic64_or(bits, (atomic64_t *)slot);
}

/* --- ept01.c --- */
void ept01_finish(struct vm *vm, struct ept01_gone *gone);
u64 *ept01_find_leaf(struct vm *vm, gfn_t gfn, int *level);
int ept01_install(struct vm *vm, gfn_t gfn, u64 leaf, int level, struct ept01_spare *spare, struct ept01_gone *gone);

#endif
