// SPDX-License-Identifier: GPL-2.0
/* The shadow VMCS that L1 gives its L2 by VMCS12's link pointer: L0's copy of it while L2 runs. SDM 3C 25.10. */
#include <linux/string.h>
#include "droste.h"
#include "mem/memslot.h"
#include "nested/merge.h"
#include "nested/vmcs02.h"

bool link12_named(const struct vmcs12 *v)
{
	return (merge_proc2_of(v) & SECONDARY_EXEC_SHADOW_VMCS) && v->vmcs_link_pointer != ~0ULL;
}

/* What L1 or user space put into it may be anything; the header is L0's. */
static void link12_adopt_header(struct vmcs12 *link)
{
	link->revision_id = VMCS12_REVISION | VMCS12_SHADOW_BIT;
}

/**
 * link12_get() - the VMCS that L2's VMREAD and VMWRITE are about
 * @vcpu: in L2; link12_named() holds for its VMCS12, whose link pointer the entry checked
 *
 * Read from L1's memory the first time that L2 needs it: most exits come
 * without. Memory that was taken away since the entry reads as all ones.
 *
 * Context: srcu held, may sleep.
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
 * link12_set() - user space restores an L2 with its shadow VMCS
 * @vcpu: in L2
 * @link: what it holds; its revision was checked
 *
 * It counts as written by L2, so that L1's memory gets it whatever is there.
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
 * link12_flush() - L1 takes over: what L2 wrote goes to L1's memory
 * @vcpu: whose L2 was left; nested.vmcs12 still has the link pointer of its entry
 *
 * Context: srcu held, may sleep.
 */
void link12_flush(struct vcpu *vcpu)
{
	struct nested *n = &vcpu->nested;

	/* Where there is no memory, or it is read-only, the write is lost, as a processor's would be. */
	if (n->link12_valid && n->link12_dirty)
		(void)vm_write_guest(vcpu->vm, n->vmcs12->vmcs_link_pointer, n->link12, sizeof(*n->link12));
	n->link12_valid = false;
}
