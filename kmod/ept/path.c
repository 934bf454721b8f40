// SPDX-License-Identifier: GPL-2.0
/* The entries of EPT01 and EPT02 that translate an address, for somebody who looks from outside. Nothing is changed. */
#include <linux/io.h>
#include "droste.h"
#include "ept/ept.h"

static void path_read(u64 *root, u64 eptp, u64 gpa, struct ept_path *p)
{
	u64 *table = root;

	*p = (struct ept_path) { .eptp = eptp, .level = EPT_ROOT_LEVEL + 1 };
	if (gpa >> EPT_GPA_BITS)
		return;
	while (!p->leaf) {
		u64 *slot = &table[ept_index(gpa, --p->level)];
		u64 entry = READ_ONCE(*slot);

		p->at[p->level] = __pa(slot);
		p->entry[p->level] = entry;
		if (!ept_present(entry))
			return;
		p->leaf = ept_is_leaf(entry, p->level);
		if (!p->leaf)
			table = ept_table_of(entry);
	}
}

/**
 * ept01_path() - read the entries of EPT01 that translate an address
 * @vm: the VM
 * @gpa: the L1 guest-physical address
 * @p: filled
 *
 * Context: Any context that may take a spinlock. Does not sleep. Takes vm->mmu_lock.
 */
void ept01_path(struct vm *vm, gpa_t gpa, struct ept_path *p)
{
	spin_lock(&vm->mmu_lock);
	path_read(vm->ept01.root, vm->ept01.eptp, gpa, p);
	spin_unlock(&vm->mmu_lock);
}

/**
 * ept02_path() - read the entries of an EPT02 that translate an address
 * @vcpu: the vCPU
 * @eptp12: L1's EPTP, whose shadow it is
 * @l2_gpa: the L2 guest-physical address
 * @p: filled; @p->eptp is 0 if there is no shadow of @eptp12
 *
 * Context: Caller holds vcpu->mutex. Does not sleep.
 */
void ept02_path(const struct vcpu *vcpu, u64 eptp12, gpa_t l2_gpa, struct ept_path *p)
{
	const struct ept02 *e = &vcpu->nested.ept02;
	int i;

	for (i = 0; i < EPT02_ROOTS; i++) {
		if (e->roots[i].root && e->roots[i].eptp12 == eptp12) {
			path_read(e->roots[i].root, e->roots[i].eptp, l2_gpa, p);
			return;
		}
	}
	*p = (struct ept_path) {};
}

/**
 * ept02_flat_path() - read the entries of the tables for an L2 whose L1 does not use EPT
 * @vcpu: the vCPU, in L2 on these tables
 * @gpa: the guest-physical address
 * @p: filled
 *
 * Context: Caller holds vcpu->mutex. Does not sleep.
 */
void ept02_flat_path(const struct vcpu *vcpu, gpa_t gpa, struct ept_path *p)
{
	const struct ept02_root *r = &vcpu->nested.ept02.roots[EPT02_FLAT];

	path_read(r->root, r->eptp, gpa, p);
}
