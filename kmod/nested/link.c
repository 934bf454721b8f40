// SPDX-License-Identifier: GPL-2.0
/* The shadow VMCS that VMCS12's link pointer gives to L2: L0's copy of it while L2 runs. SDM 3C 25.10. */
#include <linux/string.h>
#include "droste.h"
#include "mem/memslot.h"
#include "nested/merge.h"
#include "nested/vmcs02.h"

/**
 * link12_named() - whether L1 gives L2 a shadow VMCS
 * @v: VMCS12
 *
 * Context: Any.
 * Return: true if it does.
 */
bool link12_named(const struct vmcs12 *v)
{
	return (merge_proc2_of(v) & SECONDARY_EXEC_SHADOW_VMCS) && v->vmcs_link_pointer != ~0ULL;
}

/* L1 or user space may have put anything into the header: replace it by a valid one. */
static void link12_adopt_header(struct vmcs12 *link)
{
	link->revision_id = VMCS12_REVISION | VMCS12_SHADOW_BIT;
}

/**
 * link12_get() - get L0's copy of L2's shadow VMCS
 * @vcpu: in L2; link12_named() is true for nested.vmcs12
 *
 * The first call after an entry reads L1's memory, because most L2 exits do not
 * need the copy. Memory that was removed since the entry reads as all ones.
 *
 * Context: Process context. Caller holds vm->srcu. May sleep.
 * Return: the copy, never NULL.
 */
struct vmcs12 *link12_get(struct vcpu *vcpu)
{
	struct nested *n = &vcpu->nested;

	if (n->link12_valid)
		return n->link12;
	if (vm_read_guest(vcpu->vm, n->vmcs12->vmcs_link_pointer, n->link12, sizeof(*n->link12)))
		memset(n->link12, 0xff, sizeof(*n->link12));
	link12_adopt_header(n->link12);
	n->link12_valid = true;
	n->link12_dirty = false;
	return n->link12;
}

/**
 * link12_set() - set L2's shadow VMCS when user space restores L2
 * @vcpu: in L2
 * @link: its contents; the revision was checked
 *
 * The copy counts as written by L2, so link12_flush() will write it to L1's
 * memory.
 *
 * Context: Caller holds vcpu->mutex.
 */
void link12_set(struct vcpu *vcpu, const struct vmcs12 *link)
{
	struct nested *n = &vcpu->nested;

	*n->link12 = *link;
	link12_adopt_header(n->link12);
	n->link12_valid = true;
	n->link12_dirty = true;
}

/**
 * link12_flush() - write L2's shadow VMCS back to L1's memory
 * @vcpu: left L2; nested.vmcs12 still has the link pointer of the entry
 *
 * Writes only if L2 wrote to the copy.
 *
 * Context: Process context. Caller holds vm->srcu. May sleep.
 */
void link12_flush(struct vcpu *vcpu)
{
	struct nested *n = &vcpu->nested;

	/* A write to missing or read-only memory is lost, as it is on a processor. */
	if (n->link12_valid && n->link12_dirty)
		(void)vm_write_guest(vcpu->vm, n->vmcs12->vmcs_link_pointer, n->link12, sizeof(*n->link12));
	n->link12_valid = false;
}
