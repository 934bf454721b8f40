/* SPDX-License-Identifier: GPL-2.0 */
/* Extended page tables: EPT01 (L1 GPA to HPA) and EPT02, its composition with L1's EPT12. SDM 3C 29.3. */
#ifndef DROSTE_EPT_H
#define DROSTE_EPT_H

#include "ept/ept12.h"
#include "ept/types.h"

struct vm;
struct vcpu;

/* What became of an access that faulted in EPT01. */
enum ept01_result {
	EPT01_FIXED,		/* mapped: run the instruction again */
	EPT01_MMIO,		/* no memory there: emulate */
	EPT01_READONLY,		/* a write to read-only memory: emulate as MMIO */
	EPT01_ERROR,		/* user memory cannot be had: KVM_RUN fails with EFAULT */
};

int ept01_init(struct vm *vm);		/* makes the root, registers the MMU notifier */
void ept01_destroy(struct vm *vm);	/* no vCPU runs any more; before vCPUs, slots and srcu are freed */
/* vCPU thread, srcu held, irqs on, may sleep. @access: EPT_READ/WRITE/EXEC as attempted. */
enum ept01_result ept01_fault(struct vcpu *vcpu, gpa_t gpa, u64 access);
/*
 * The leaf that maps @gpa, made when there is none: HPA of the 4-KiB page, the rights,
 * and the level of the leaf (1: 4 KiB, 2: 2 MiB, 3: 1 GiB). Same context as ept01_fault().
 */
enum ept01_result ept01_lookup(struct vcpu *vcpu, gpa_t gpa, u64 access, struct ept01_leaf *leaf);
/* Drop [start, end) frames from EPT01, and make all vCPUs flush. vm->mmu_lock not held. */
void ept01_zap(struct vm *vm, gfn_t start, gfn_t end);

/*
 * Map what is mapped of [start, end) by 4-KiB leaves: before writes are logged, as each would split a large one
 * and make all vCPUs flush. Whatever there is no memory for is split by those writes. vm->mmu_lock not held; may sleep.
 */
void ept01_split(struct vm *vm, gfn_t start, gfn_t end);
/* Have the next write to what is mapped of [start, end) seen, and make all vCPUs flush. vm->mmu_lock not held. */
void ept01_protect(struct vm *vm, gfn_t start, gfn_t end);
/* The same for the 64 frames from @base whose bits are set; true: the caller must make all vCPUs flush. mmu_lock held. */
bool ept01_protect_frames(struct vm *vm, gfn_t base, unsigned long mask);

/* What a vCPU does for REQ_EPT01_FLUSH, on the CPU it is on: INVEPT of EPT01, and of EPT02 what it has to drop. */
void ept01_flush(struct vcpu *vcpu);

/* --- ept/hostmap.c: how user memory is mapped in the host; needs current->mm --- */
struct host_page {
	struct page *page;	/* the 4-KiB page at the address; a reference is held */
	int level;		/* of the host's mapping, as EPT levels count */
	bool writable;		/* the host lets user space write it now, without a fault */
};
int host_page_get(unsigned long hva, bool write, bool may_write, struct host_page *out);	/* 0 or -errno; may sleep */

/* --- ept/notifier.c: the host takes memory back --- */
extern const struct mmu_notifier_ops ept01_notifier_ops;
bool ept01_age(struct vm *vm, gfn_t start, gfn_t end, bool clear);	/* ept01.c: was any frame used? mmu_lock held */

/* --- EPT02: ept/ept02.c --- */
enum ept02_result {
	EPT02_FIXED,		/* mapped: run the instruction again */
	EPT02_VIOLATION,	/* L1's tables do not allow it: reflect reason 48 with *qual */
	EPT02_MISCONFIG,	/* reflect reason 49 */
	EPT02_MMIO,		/* L1's tables allow it, L1 has no memory there: L0 emulates at *l1_gpa */
	EPT02_ERROR,		/* KVM_RUN fails with EFAULT */
};
void ept02_init(struct vcpu *vcpu);
void ept02_destroy(struct vcpu *vcpu);
/* Choose (or make) the shadow for @eptp12; returns the EPTP for VMCS02, or 0 when out of memory. vCPU thread, may sleep when it must be made. */
u64 ept02_use(struct vcpu *vcpu, u64 eptp12);
/* Handle an EPT violation or misconfiguration of EPT02. @qual: in: the hardware's qualification; out: what L1 should read. */
enum ept02_result ept02_fault(struct vcpu *vcpu, gpa_t l2_gpa, u64 *qual, gpa_t *l1_gpa);
/* As ept02_use(), but 0 when it would have to be made; never sleeps, irqs may be off. */
u64 ept02_find(struct vcpu *vcpu, u64 eptp12);
void ept02_invalidate(struct vcpu *vcpu, u64 eptp12);	/* INVEPT single-context by L1 */
void ept02_invalidate_all(struct vcpu *vcpu);		/* INVEPT global; also does the hardware INVEPT */
void ept02_drop_holes(struct vcpu *vcpu, const struct ept01_hole *holes, unsigned int n);	/* EPT01 changed; likewise */

#endif
