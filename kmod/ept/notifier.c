// SPDX-License-Identifier: GPL-2.0
/* MMU notifier: EPT01 follows when the host unmaps, moves or ages user memory. */
#include <linux/mmu_notifier.h>
#include <linux/srcu.h>
#include "droste.h"
#include "ept/ept.h"
#include "mem/slotplan.h"
#include "run/request.h"

static struct vm *notifier_vm(struct mmu_notifier *mn)
{
	return container_of(mn, struct vm, mn);
}

typedef bool (*frames_fn)(struct vm *vm, gfn_t start, gfn_t end);

static bool notifier_for_slots(struct vm *vm, const struct memslots *slots, unsigned long start, unsigned long end,
			       frames_fn fn)
{
	bool ret = false;
	int i;

	for (i = 0; i < slots->n; i++) {
		gfn_t first, end_gfn;

		/* A user address may back several slots. */
		if (memslot_frames(&slots->s[i], start, end, &first, &end_gfn))
			ret |= fn(vm, first, end_gfn);
	}
	return ret;
}

/*
 * Call @fn for the frames that the user addresses [start, end) back, or backed
 * in an array of slots of which EPT01 may still map memory. Returns true if one
 * of the calls does.
 */
static bool notifier_for_frames(struct vm *vm, unsigned long start, unsigned long end, frames_fn fn)
{
	const struct memslots *leaving;
	bool ret;
	int idx;

	idx = srcu_read_lock(&vm->srcu);
	ret = notifier_for_slots(vm, srcu_dereference(vm->slots, &vm->srcu), start, end, fn);
	smp_rmb();	/* the new array before the old one; pairs with rcu_assign_pointer() in vm_set_memory_region() */
	leaving = READ_ONCE(vm->slots_leaving);
	if (unlikely(leaving))
		ret |= notifier_for_slots(vm, leaving, start, end, fn);
	srcu_read_unlock(&vm->srcu, idx);
	return ret;
}

/*
 * Drop the frames. Pages pinned for a VMCS may never have been in EPT01, so
 * all vCPUs are asked to unpin them. Their pins keep the pages valid until the
 * vCPU handles the request.
 */
static bool notifier_drop_frames(struct vm *vm, gfn_t start, gfn_t end)
{
	int i, n = smp_load_acquire(&vm->nr_vcpus);	/* pairs with the release at vCPU creation */

	for (i = 0; i < n; i++)
		vcpu_request(vm->vcpus[i], REQ_UNPIN);
	ept01_zap(vm, start, end);
	return false;
}

static int notifier_invalidate_start(struct mmu_notifier *mn, const struct mmu_notifier_range *range)
{
	struct vm *vm = notifier_vm(mn);

	/* Nothing in this range is mapped from here on, until notifier_invalidate_end(). */
	spin_lock(&vm->mmu_lock);
	vm->mmu_from = vm->mmu_invalidating ? min(vm->mmu_from, range->start) : range->start;
	vm->mmu_to = vm->mmu_invalidating ? max(vm->mmu_to, range->end) : range->end;
	vm->mmu_invalidating++;
	spin_unlock(&vm->mmu_lock);
	notifier_for_frames(vm, range->start, range->end, notifier_drop_frames);
	return 0;
}

static bool notifier_any_frames(struct vm *vm, gfn_t start, gfn_t end)
{
	return true;
}

static void notifier_invalidate_end(struct mmu_notifier *mn, const struct mmu_notifier_range *range)
{
	struct vm *vm = notifier_vm(mn);
	bool of_slots;

	/*
	 * The host's tables were changed before the slots are looked at. A fault
	 * in a slot that appears after this look reads the changed tables.
	 */
	smp_mb();
	of_slots = notifier_for_frames(vm, range->start, range->end, notifier_any_frames);
	spin_lock(&vm->mmu_lock);
	/* A mapping that was read from the host's tables before this is stale: see ept01_try_map(). */
	if (of_slots)
		WRITE_ONCE(vm->mmu_seq, vm->mmu_seq + 1);
	vm->mmu_invalidating--;
	spin_unlock(&vm->mmu_lock);
}

static bool notifier_age(struct vm *vm, gfn_t start, gfn_t end, bool clear)
{
	bool young;

	spin_lock(&vm->mmu_lock);
	young = ept01_age(vm, start, end, clear);
	spin_unlock(&vm->mmu_lock);
	return young;
}

static bool notifier_age_frames(struct vm *vm, gfn_t start, gfn_t end)
{
	return notifier_age(vm, start, end, true);
}

static bool notifier_test_frames(struct vm *vm, gfn_t start, gfn_t end)
{
	return notifier_age(vm, start, end, false);
}

static int notifier_clear_young(struct mmu_notifier *mn, struct mm_struct *mm,
				unsigned long start, unsigned long end)
{
	return notifier_for_frames(notifier_vm(mn), start, end, notifier_age_frames);
}

static int notifier_test_young(struct mmu_notifier *mn, struct mm_struct *mm, unsigned long address)
{
	return notifier_for_frames(notifier_vm(mn), address, address + PAGE_SIZE, notifier_test_frames);
}

/**
 * ept01_zap_all() - remove all memory from EPT01
 * @vm: the VM
 *
 * Faults map it again, with the rights and types that are due then.
 *
 * Context: Process context. May sleep. Takes vm->mmu_lock, and vm->srcu for reading.
 */
void ept01_zap_all(struct vm *vm)
{
	/* A fault that is under way begins again. */
	spin_lock(&vm->mmu_lock);
	WRITE_ONCE(vm->mmu_seq, vm->mmu_seq + 1);
	spin_unlock(&vm->mmu_lock);
	notifier_for_frames(vm, 0, ULONG_MAX, notifier_drop_frames);
}

/* The process exits. Its threads, which ran the vCPUs, are gone. */
static void notifier_release(struct mmu_notifier *mn, struct mm_struct *mm)
{
	notifier_for_frames(notifier_vm(mn), 0, ULONG_MAX, notifier_drop_frames);
}

/* clear_flush_young does not flush, like the host's own page tables on x86. */
const struct mmu_notifier_ops ept01_notifier_ops = {
	.release = notifier_release,
	.invalidate_range_start = notifier_invalidate_start,
	.invalidate_range_end = notifier_invalidate_end,
	.clear_flush_young = notifier_clear_young,
	.clear_young = notifier_clear_young,
	.test_young = notifier_test_young,
};
