/* SPDX-License-Identifier: GPL-2.0 */
/* Types of extended page tables: EPT01 of a VM and EPT02 of a vCPU. */
#ifndef DROSTE_EPT_TYPES_H
#define DROSTE_EPT_TYPES_H

#include <linux/list.h>
#include "ept/format.h"
#include "mem/types.h"

/* Host memory that EPT01 mapped and does not map any more, or not with the same rights. */
struct ept01_hole {
	hpa_t hpa;
	u64 bytes;
};

/* --- EPT01: one of a VM, under vm->mmu_lock --- */
#define EPT01_HOLES	32
struct ept01 {
	u64 *root;		/* PML4 page */
	u64 eptp;		/* what VMCS01 gets */
	unsigned long pages;	/* table pages in use, the root not counted; under mmu_lock */
	unsigned long leaves[EPT_MAX_LEAF + 1];	/* by level: mapped pages of each size; likewise */
	unsigned long shadow_seq;	/* counts removals of leaves that some EPT02 may hold; written under mmu_lock */
	struct ept01_hole holes[EPT01_HOLES];	/* the last of them: number n is at n % EPT01_HOLES; under mmu_lock */
};

/* --- EPT02: one small cache of roots a vCPU, used by its thread only --- */
#define EPT02_ROOTS	8
struct ept02_root {
	u64 eptp12;		/* what it shadows; tag, with bits 2:0 (memory type) and A/D included */
	u64 *root;		/* PML4 page, or NULL */
	u64 eptp;		/* what VMCS02 gets */
	u64 used;		/* tick of last use */
	struct list_head pages;	/* its table pages below the root, linked by page->lru */
};
struct ept02 {
	struct ept02_root roots[EPT02_ROOTS];
	unsigned long pages;	/* table pages of all roots */
	unsigned long shadow_seq;	/* ept01.shadow_seq at the last look: see ept01_flush() */
	struct ept02_root *cur;	/* of the running L2, or NULL: L1 without EPT runs L2 on EPT01 */
	u64 tick;
};

#endif
