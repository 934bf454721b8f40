// SPDX-License-Identifier: GPL-2.0
/* KVM_SET_USER_MEMORY_REGION: a new set of slots, and the end of all use of the old one. */
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/srcu.h>
#include "droste.h"
#include "abi/memory.h"
#include "ept/ept.h"
#include "mem/dirty.h"
#include "mem/slotplan.h"
#include "run/request.h"
#include "vmx/vmx.h"

/* What has to be done when nobody uses a slot as it was any more. @now: what became of it, or NULL. */
static void memory_slot_changed(struct vm *vm, enum memslot_change change, const struct memslot *old,
			 const struct memslot *now)
{
	if (!old->npages)
		return;
	if (change == MEMSLOT_FLAGS && memslot_logged(now)) {
		/* With all frames marked from the start the first protection is KVM_CLEAR_DIRTY_LOG's. */
		if (vm->ring_bytes || !(vm->manual_dirty_log & KVM_DIRTY_LOG_INITIALLY_SET)) {
			ept01_split(vm, old->base, old->base + old->npages);
			ept01_protect(vm, old->base, old->base + old->npages);
		}
	} else {
		/* Gone, moved, or large pages are possible again. */
		ept01_zap(vm, old->base, old->base + old->npages);
	}
	/* Pages that were pinned for a VMCS may have been of this slot. */
	vm_request_all(vm, REQ_UNPIN);
}

/* The bitmap of a slot that is logged to one: the one it had, or a new one. */
static int memory_get_bitmap(struct vm *vm, const struct memslot *old, struct memslot *slot)
{
	if (!memslot_logged(slot) || vm->ring_bytes)
		return 0;
	slot->dirty = old->dirty;
	if (!slot->dirty)
		slot->dirty = dirty_alloc(slot->npages, vm->manual_dirty_log & KVM_DIRTY_LOG_INITIALLY_SET);
	return slot->dirty ? 0 : -ENOMEM;
}

/*
 * Does the processor log writes? While there is a slot to log, if it can. It
 * begins before such a slot is seen, and ends when none is seen any more:
 * EPT01's leaves of logged slots rely on it. What it logged so far is flushed
 * in any case, to where it belongs as the slots are now.
 */
static void memory_update_pml(struct vm *vm, const struct memslots *slots)
{
	bool logged = false;
	int i;

	if (!vmx_features.pml)
		return;
	for (i = 0; i < slots->n; i++)
		logged |= memslot_logged(&slots->s[i]);
	if (!logged && !vm->pml)
		return;
	WRITE_ONCE(vm->pml, logged);
	vm_request_all(vm, REQ_PML);
}

int vm_set_memory_region(struct vm *vm, const struct kvm_userspace_memory_region *mem)
{
	struct memslots *cur = rcu_dereference_protected(vm->slots, lockdep_is_held(&vm->lock));
	struct memslot_plan plan;
	struct memslots *next;
	struct memslot old = {};
	int err;

	err = memslots_plan(cur, mem, &plan);
	if (err || plan.change == MEMSLOT_SAME)
		return err;
	next = kvzalloc(struct_size(next, s, cur->n + 1), GFP_KERNEL_ACCOUNT);
	if (!next)
		return -ENOMEM;
	if (plan.old >= 0)
		old = cur->s[plan.old];
	if (plan.change != MEMSLOT_DELETE) {
		err = memory_get_bitmap(vm, &old, &plan.slot);
		if (err) {
			kvfree(next);
			return err;
		}
	}
	memslots_apply(cur, &plan, next);
	if (plan.change != MEMSLOT_DELETE && memslot_logged(&plan.slot))
		memory_update_pml(vm, next);
	rcu_assign_pointer(vm->slots, next);

	/*
	 * Whoever still looks at the old array may yet put one of its pages
	 * into EPT01. When they are all done, nobody can any more, and what
	 * they put there is found by the zap.
	 */
	synchronize_srcu_expedited(&vm->srcu);
	memory_slot_changed(vm, plan.change, &old, &plan.slot);
	if (memslot_logged(&old))
		memory_update_pml(vm, next);
	if (old.dirty != plan.slot.dirty)
		kvfree(old.dirty);
	kvfree(cur);
	return 0;
}
