/* SPDX-License-Identifier: GPL-2.0 */
/* Types of extended page tables: EPT01 of a VM and EPT02 of a vCPU. */
#ifndef DROSTE_EPT_TYPES_H
#define DROSTE_EPT_TYPES_H

#include <linux/list.h>
#include "ept/format.h"
#include "mem/types.h"

/* --- EPT01: one per VM, protected by vm->mmu_lock --- */
#define EPT01_HOLES	32
struct ept01 {
	u64 *root;		/* PML4 page */
	u64 eptp;		/* EPT pointer for VMCS01 */
	unsigned long pages;	/* table pages in use, without the root */
	unsigned long leaves[EPT_MAX_LEAF + 1];	/* number of mapped pages of each size, by level */
	unsigned long shadow_seq;	/* number of removed leaves that EPT02s may have copied; also read locklessly */
	struct ept01_hole holes[EPT01_HOLES];	/* the most recent holes; hole n is at n % EPT01_HOLES */
};

/* --- EPT02: a small cache of roots per vCPU. Owner: the vCPU's thread. --- */
#define EPT02_ROOTS	8
#define EPT02_FLAT	EPT02_ROOTS	/* index of the root for an L1 without EPT */
struct ept02_root {
	u64 eptp12;		/* the EPT pointer that this root shadows, with memory type and A/D bits */
	u64 *root;		/* PML4 page; NULL if unused */
	u64 eptp;		/* EPT pointer for VMCS02 */
	u64 used;		/* ept02.tick at the last use */
	hpa_t apic_access;	/* EPT02_FLAT only: the APIC-access page of the last L2; see ept02_flat_apic_page() */
	struct list_head pages;	/* table pages below the root, linked by page->lru */
};

/*
 * The table of EPT12 with entries for 4-KiB pages to which a walk has led: see mem/l2gpa.c. Another walk to the same
 * table has to read the entries above again, but not to find and to check them.
 */
struct ept12_place {
	u64 eptp12;			/* 0: no table is known */
	u64 generation;			/* of the slots */
	u64 region;			/* ept12_region() of the addresses that the table maps */
	const u64 __user *at[EPT_ROOT_LEVEL - 1];	/* where the entries above are, from the root on */
	u64 entry[EPT_ROOT_LEVEL - 1];	/* what they contain */
	u64 upper;			/* the rights that all of them grant */
	const u64 __user *table;
	gpa_t table_gpa;
};

/* The entries of EPT12 by which one page was translated for reading and writing: see ept12_same_way(). */
struct ept12_way {
	u64 eptp12;			/* 0: none is known */
	u64 generation;			/* of the slots */
	gpa_t l2_page, l1_page;		/* the page, and what it is translated to */
	const u64 __user *at[EPT_ROOT_LEVEL];	/* where the entries are, from the root on; the last one is repeated */
	u64 entry[EPT_ROOT_LEVEL];	/* what they contain */
};

struct ept02 {
	struct ept02_root roots[EPT02_ROOTS + 1];
	unsigned long pages;	/* table pages of all roots */
	unsigned long shadow_seq;	/* ept01.shadow_seq when this vCPU handled the holes last: see ept01_flush() */
	struct ept02_root *cur;	/* root of the running L2; NULL if L1 does not use EPT */
	bool flat;		/* L1 does not use EPT, and L2 runs on roots[EPT02_FLAT], not on EPT01 */
	u64 tick;		/* clock for replacing the least recently used root */
	struct ept12_place place;
	struct ept12_way way;	/* of lists of operations */
	u64 shown;		/* the page of the last violation that the short way gave to L1 */
};

#endif
