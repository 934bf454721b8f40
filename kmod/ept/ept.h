/* SPDX-License-Identifier: GPL-2.0 */
/* Extended page tables: EPT01 (L1 GPA to HPA) and EPT02, its composition with L1's EPT12. SDM 3C 29.3. */
#ifndef DROSTE_EPT_H
#define DROSTE_EPT_H

#include <asm/cpufeature.h>
#include <asm/page.h>
#include "ept/ept12.h"
#include "ept/types.h"
#include "mem/types.h"

struct mmu_notifier_ops;
struct vm;
struct vcpu;

/* The table of EPT01 or EPT02 that an entry points to. */
static inline u64 *ept_table_of(u64 entry)
{
	return __va(entry & EPT_ADDR_MASK);
}

/*
 * May guests choose the memory type of their memory? The host maps the same
 * pages write-back. Only a processor that snoops its own caches keeps accesses
 * of different types coherent (SDM 3A 12.12.4).
 */
static inline bool ept_pat_works(void)
{
	return boot_cpu_has(X86_FEATURE_SELFSNOOP);
}

/* The outcome of an access that faulted in EPT01. */
enum ept01_result {
	EPT01_FIXED,		/* mapped: run the instruction again */
	EPT01_MMIO,		/* no memory there: emulate */
	EPT01_READONLY,		/* a write to read-only memory: emulate as MMIO */
	EPT01_SIGNAL,		/* a signal is pending, and the page was not there yet: leave, and run the instruction again */
	EPT01_ERROR,		/* user memory is not accessible: KVM_RUN fails with EFAULT */
};

/**
 * ept_judge_slot() - what becomes of an access that no leaf of EPT01 allows
 * @slot: the memory at the address; NULL: none
 * @access: EPT_READ, EPT_WRITE, EPT_EXEC
 *
 * Context: Any. Pure.
 * Return: EPT01_FIXED if the page can be mapped.
 */
static inline enum ept01_result ept_judge_slot(const struct memslot *slot, u64 access)
{
	if (!slot)
		return EPT01_MMIO;
	return (access & EPT_WRITE) && (slot->flags & KVM_MEM_READONLY) ? EPT01_READONLY : EPT01_FIXED;
}

/* A place in EPT01: see ept01_peek_near(). */
struct ept01_place {
	u64 *slot;		/* the entry; NULL if the last search found none */
	gfn_t gfn;
	int level;
};

/* --- ept01.c --- */
int ept01_init(struct vm *vm);
void ept01_destroy(struct vm *vm);
void ept01_zap(struct vm *vm, gfn_t start, gfn_t end);
void ept01_split(struct vm *vm, gfn_t start, gfn_t end);
void ept01_protect(struct vm *vm, gfn_t start, gfn_t end);
bool ept01_protect_frames(struct vm *vm, gfn_t base, unsigned long mask);
bool ept01_age(struct vm *vm, gfn_t start, gfn_t end, bool clear);

/* --- ept01_fault.c --- */
enum ept01_result ept01_fault(struct vcpu *vcpu, gpa_t gpa, u64 access);
bool ept01_ignores_pat(const struct vm *vm);
enum ept01_result ept01_lookup(struct vcpu *vcpu, gpa_t gpa, u64 access, struct ept01_leaf *leaf);
bool ept01_peek_near(struct vm *vm, gpa_t gpa, struct ept01_place *at, struct ept01_leaf *leaf);

/* --- ept01_flush.c --- */
void ept01_flush(struct vcpu *vcpu);

/* How the host maps a page of user memory. */
struct host_page {
	struct page *page;	/* the 4-KiB page at the address; host_page_get() takes a reference. NULL: there is none to use */
	unsigned long pfn;	/* its number */
	int level;		/* of the host's mapping, counted as EPT levels are */
	bool writable;		/* user space can write it now without a fault */
	bool found;		/* it was mapped before the call; not set if there is no page */
	bool uncached;		/* a device's memory, or memory that the host maps as such: not to be cached */
};

/* --- hostmap.c --- */
int host_page_get(unsigned long hva, bool write, bool may_write, struct host_page *out);
void host_pages_near(unsigned long hva, unsigned int n, struct host_page *out);

/* --- notifier.c --- */
void ept01_zap_all(struct vm *vm);
extern const struct mmu_notifier_ops ept01_notifier_ops;

/* The outcome of an access that faulted in EPT02. */
enum ept02_result {
	EPT02_FIXED,		/* mapped: run the instruction again */
	EPT02_VIOLATION,	/* L1's tables do not allow it: show L1 reason 48 with *qual */
	EPT02_MISCONFIG,	/* show L1 reason 49 */
	EPT02_MMIO,		/* L1's tables allow it, L1 has no memory there: L0 emulates at outer.gpa */
	EPT02_ERROR,		/* KVM_RUN fails with EFAULT */
};

/* --- ept02.c --- */
enum ept02_result ept02_judge_walk(enum ept12_verdict verdict, const struct ept12_result *outer, u64 *qual);
enum ept02_result ept02_judge_memory(enum ept01_result result);
void ept02_init(struct vcpu *vcpu);
void ept02_destroy(struct vcpu *vcpu);
u64 ept02_use(struct vcpu *vcpu, u64 eptp12);
u64 ept02_find(struct vcpu *vcpu, u64 eptp12);
int ept02_use_flat(struct vcpu *vcpu, gpa_t apic_access);
void ept02_flat_apic_page(struct vcpu *vcpu, hpa_t hpa);
enum ept01_result ept02_flat_fault(struct vcpu *vcpu, gpa_t gpa, u64 access);
enum ept02_result ept02_fault(struct vcpu *vcpu, gpa_t l2_gpa, u64 *qual, struct ept02_found *found);
void ept02_invalidate(struct vcpu *vcpu, u64 eptp12);
void ept02_invalidate_all(struct vcpu *vcpu);
void ept02_drop_holes(struct vcpu *vcpu, struct ept01_hole *holes, unsigned int n);

/* The entries that translate an address, from the root to the leaf or to the entry that is not present. */
struct ept_path {
	u64 eptp;				/* the EPT pointer; 0: there are no such tables */
	u64 at[EPT_ROOT_LEVEL + 1];		/* host-physical address of the entry at each level */
	u64 entry[EPT_ROOT_LEVEL + 1];
	int level;				/* of the last entry */
	bool leaf;				/* it maps a page */
};

/* --- path.c --- */
void ept01_path(struct vm *vm, gpa_t gpa, struct ept_path *p);
void ept02_path(const struct vcpu *vcpu, u64 eptp12, gpa_t l2_gpa, struct ept_path *p);
void ept02_flat_path(const struct vcpu *vcpu, gpa_t gpa, struct ept_path *p);

/* Whether the processor lets an access through that uses these entries. */
static inline bool ept_path_allows(const struct ept_path *p, u64 access)
{
	u64 rights = EPT_RWX;
	int level;

	for (level = EPT_ROOT_LEVEL; p->leaf && level >= p->level; level--)
		rights &= p->entry[level];
	return p->leaf && !(access & ~rights);
}

#endif
