// SPDX-License-Identifier: GPL-2.0
/* KVM_SET_USER_MEMORY_REGION: publish a new array of slots, and remove all traces of the old one. */
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

/* Update EPT01 and pinned pages after a slot changed from @old to @now. No reader uses @old any more. */
static void memory_slot_changed(struct vm *vm, enum memslot_change change, const struct memslot *old,
				const struct memslot *now)
{
	if (!old->npages)
		return;
	if (change == MEMSLOT_FLAGS && memslot_logged(now)) {
		/* If all frames start out marked, KVM_CLEAR_DIRTY_LOG protects them first. */
		if (vm->ring_bytes || !(vm->manual_dirty_log & KVM_DIRTY_LOG_INITIALLY_SET)) {
			ept01_split(vm, old->base, old->base + old->npages);
			ept01_protect(vm, old->base, old->base + old->npages);
		}
	} else {
		/* The slot is gone or moved, or logging ended and large pages are possible again. */
		ept01_zap(vm, old->base, old->base + old->npages);
	}
	/* Pages pinned for a VMCS may belong to this slot. */
	vm_request_all(vm, REQ_UNPIN);
}

/* Give a slot that is logged to a bitmap the one it had, or a new one. Returns 0 or -ENOMEM. */
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
 * Note whether any slot is logged, and turn page-modification logging on or off
 * accordingly. EPT01's leaves of logged slots rely on it, so it is turned on before
 * the first logged slot is published, and off after the last one is gone. Either way
 * the vCPUs flush their logs, into the bitmaps or rings that the slots use at that time.
 */
static void memory_note_logging(struct vm *vm, const struct memslots *slots)
{
	bool logged = false;
	int i;

	for (i = 0; i < slots->n; i++)
		logged |= memslot_logged(&slots->s[i]);
	WRITE_ONCE(vm->logged, logged);
	if (!vmx_features.pml || (!logged && !vm->pml))
		return;
	WRITE_ONCE(vm->pml, logged);
	vm_request_all(vm, REQ_PML);
}

/**
 * vm_set_memory_region() - KVM_SET_USER_MEMORY_REGION
 * @vm: the VM
 * @mem: the slot to create, delete, move, or change the flags of
 *
 * Context: Process context, may sleep. Caller holds vm->lock, and not vm->srcu:
 * this function waits for readers of the old array.
 * Return: 0; -EINVAL for a malformed region or a change that a slot cannot
 * undergo; -EEXIST for an overlap with another slot; -ENOMEM.
 */
int vm_set_memory_region(struct vm *vm, const struct kvm_userspace_memory_region *mem)
{
	struct memslots *cur = rcu_dereference_protected(vm->slots, lockdep_is_held(&vm->lock));
	struct memslot_plan plan;
	struct memslots *next;
	struct memslot old = {};
	bool leaves;
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
		memory_note_logging(vm, next);
	/* Until the zap, the notifier must see invalidations of memory that only the old array has. */
	leaves = plan.change == MEMSLOT_DELETE || plan.change == MEMSLOT_MOVE;
	if (leaves)
		WRITE_ONCE(vm->slots_leaving, cur);
	rcu_assign_pointer(vm->slots, next);

	/*
	 * Readers of the old array may still map its pages in EPT01. After
	 * they have finished, the zap finds all such mappings, and no new
	 * ones can appear.
	 */
	synchronize_srcu_expedited(&vm->srcu);
	memory_slot_changed(vm, plan.change, &old, &plan.slot);
	if (leaves) {
		WRITE_ONCE(vm->slots_leaving, NULL);
		synchronize_srcu_expedited(&vm->srcu);
	}
	if (memslot_logged(&old))
		memory_note_logging(vm, next);
	if (old.dirty != plan.slot.dirty)
		kvfree(old.dirty);
	kvfree(cur);
	return 0;
}
