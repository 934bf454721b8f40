// SPDX-License-Identifier: GPL-2.0
/* The host takes user memory back, moves it, asks whether it is used: EPT01 follows. */
#include <linux/mmu_notifier.h>
#include <linux/srcu.h>
#include "droste.h"
#include "ept/ept.h"
#include "mem/slotplan.h"
#include "run/request.h"

static struct vm *vm_of(struct mmu_notifier *mn)
{
	return container_of(mn, struct vm, mn);
}

/* What is done to the frames that a range of user addresses backs. */
typedef bool (*frames_fn)(struct vm *vm, gfn_t start, gfn_t end);

static bool with_frames(struct vm *vm, unsigned long start, unsigned long end, frames_fn fn)
{
	const struct memslots *slots;
	bool ret = false;
	int i, idx;

	idx = srcu_read_lock(&vm->srcu);
	slots = srcu_dereference(vm->slots, &vm->srcu);
	for (i = 0; i < slots->n; i++) {
		gfn_t first, end_gfn;

		/* A user address may back more than one slot. */
		if (memslot_frames(&slots->s[i], start, end, &first, &end_gfn))
			ret |= fn(vm, first, end_gfn);
	}
	srcu_read_unlock(&vm->srcu, idx);
	return ret;
}

/*
 * Drop the frames. Pages that are pinned for a VMCS may never have been in
 * EPT01, so this asks for them in any case; their pins keep them safe until
 * the vCPU comes to look at the request.
 */
static bool drop_frames(struct vm *vm, gfn_t start, gfn_t end)
{
	int i, n = smp_load_acquire(&vm->nr_vcpus);	/* after the slots of vm->vcpus */

	for (i = 0; i < n; i++)
		vcpu_request(vm->vcpus[i], REQ_UNPIN);
	ept01_zap(vm, start, end);
	return false;
}

static int invalidate_start(struct mmu_notifier *mn, const struct mmu_notifier_range *range)
{
	struct vm *vm = vm_of(mn);

	/* From here on nobody maps anything, until invalidate_end() has counted. */
	spin_lock(&vm->mmu_lock);
	vm->mmu_invalidating++;
	spin_unlock(&vm->mmu_lock);
	with_frames(vm, range->start, range->end, drop_frames);
	return 0;
}

static void invalidate_end(struct mmu_notifier *mn, const struct mmu_notifier_range *range)
{
	struct vm *vm = vm_of(mn);

	spin_lock(&vm->mmu_lock);
	/* Whoever read the host's tables before this must not use what it read: see try_map(). */
	WRITE_ONCE(vm->mmu_seq, vm->mmu_seq + 1);
	vm->mmu_invalidating--;
	spin_unlock(&vm->mmu_lock);
}

static bool age_frames(struct vm *vm, gfn_t start, gfn_t end)
{
	bool young;

	spin_lock(&vm->mmu_lock);
	young = ept01_age(vm, start, end, true);
	spin_unlock(&vm->mmu_lock);
	return young;
}

static bool test_frames(struct vm *vm, gfn_t start, gfn_t end)
{
	bool young;

	spin_lock(&vm->mmu_lock);
	young = ept01_age(vm, start, end, false);
	spin_unlock(&vm->mmu_lock);
	return young;
}

static int clear_young(struct mmu_notifier *mn, struct mm_struct *mm,
		       unsigned long start, unsigned long end)
{
	return with_frames(vm_of(mn), start, end, age_frames);
}

static int test_young(struct mmu_notifier *mn, struct mm_struct *mm, unsigned long address)
{
	return with_frames(vm_of(mn), address, address + PAGE_SIZE, test_frames);
}

/* The process is gone, and so are its threads that ran vCPUs: only tables are left. */
static void release(struct mmu_notifier *mn, struct mm_struct *mm)
{
	with_frames(vm_of(mn), 0, ULONG_MAX, drop_frames);
}

/*
 * Who asks for flushed accessed flags is content without the flush, as it is
 * for the host's own tables on x86.
 */
const struct mmu_notifier_ops ept01_notifier_ops = {
	.release = release,
	.invalidate_range_start = invalidate_start,
	.invalidate_range_end = invalidate_end,
	.clear_flush_young = clear_young,
	.clear_young = clear_young,
	.test_young = test_young,
};
