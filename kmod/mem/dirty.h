/* SPDX-License-Identifier: GPL-2.0 */
/* The dirty log: frames that were written are marked in their slot's bitmap or listed in a vCPU's dirty ring. */
#ifndef DROSTE_DIRTY_H
#define DROSTE_DIRTY_H

#include "mem/types.h"

struct vm;
struct vcpu;
struct page;

/* The largest ring, in bytes: the answer to KVM_CHECK_EXTENSION for KVM_CAP_DIRTY_LOG_RING. */
#define DIRTY_RING_MAX_BYTES	(65536 * sizeof(struct kvm_dirty_gfn))

/* --- dirty.c --- */
unsigned long *dirty_alloc(u64 npages, bool all_set);
void dirty_mark(struct vm *vm, const struct memslot *slot, gfn_t gfn);
int dirty_find_slot(struct vm *vm, u32 id, const struct memslot **slot);

/* --- dirtyring.c --- */
int dirty_ring_create(struct vcpu *vcpu, u32 reserved);
void dirty_ring_destroy(struct vcpu *vcpu);
void dirty_ring_push(struct vcpu *vcpu, u32 slot, u64 offset, u64 generation);
bool dirty_ring_soft_full(const struct vcpu *vcpu);
bool dirty_ring_has_page(const struct vm *vm, unsigned long pgoff);
struct page *dirty_ring_page(struct vcpu *vcpu, unsigned long pgoff);

#endif
