// SPDX-License-Identifier: GPL-2.0
/* What a change of the memory slots means, and the array that comes of it: pure. */
#include <linux/errno.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/string.h>

#include "mem/slotplan.h"
#include "ept/format.h"

#define SLOT_MAX_PAGES	((1ULL << 31) - 1)	/* as KVM has it: counts fit an int everywhere */
#define SLOT_MAX_GFN	(1ULL << (EPT_GPA_BITS - PAGE_SHIFT))	/* what a 4-level EPT can map */

const struct memslot *memslots_find(const struct memslots *slots, gfn_t gfn)
{
	int low = 0, high = slots->n;

	while (low < high) {
		int mid = (low + high) / 2;
		const struct memslot *s = &slots->s[mid];

		if (gfn < s->base)
			high = mid;
		else if (gfn - s->base >= s->npages)
			low = mid + 1;
		else
			return s;
	}
	return NULL;
}

static int slotplan_find_id(const struct memslots *slots, u16 id)
{
	int i;

	for (i = 0; i < slots->n; i++)
		if (slots->s[i].id == id)
			return i;
	return -1;
}

/* Does @slot share a frame with any slot but the one at index @except? */
static bool slotplan_overlaps(const struct memslots *slots, const struct memslot *slot, int except)
{
	int i;

	for (i = 0; i < slots->n; i++) {
		const struct memslot *s = &slots->s[i];

		if (i != except && slot->base < s->base + s->npages &&
		    s->base < slot->base + slot->npages)
			return true;
	}
	return false;
}

/* What is wrong with a request whatever slots there are. Only address space 0 exists. */
static bool slotplan_well_formed(const struct kvm_userspace_memory_region *mem)
{
	return !(mem->flags & ~(KVM_MEM_READONLY | KVM_MEM_LOG_DIRTY_PAGES)) &&
	       mem->slot < DROSTE_MAX_SLOTS &&
	       PAGE_ALIGNED(mem->memory_size) &&
	       PAGE_ALIGNED(mem->guest_phys_addr) &&
	       PAGE_ALIGNED(mem->userspace_addr) &&
	       mem->memory_size <= TASK_SIZE_MAX &&
	       mem->userspace_addr <= TASK_SIZE_MAX - mem->memory_size &&
	       mem->guest_phys_addr + mem->memory_size >= mem->guest_phys_addr &&
	       mem->memory_size >> PAGE_SHIFT <= SLOT_MAX_PAGES;
}

int memslots_plan(const struct memslots *cur, const struct kvm_userspace_memory_region *mem,
		  struct memslot_plan *plan)
{
	const struct memslot *old = NULL;

	if (!slotplan_well_formed(mem))
		return -EINVAL;
	plan->old = slotplan_find_id(cur, mem->slot);
	if (plan->old >= 0)
		old = &cur->s[plan->old];
	plan->slot = (struct memslot) {
		.base = mem->guest_phys_addr >> PAGE_SHIFT,
		.npages = mem->memory_size >> PAGE_SHIFT,
		.hva = mem->userspace_addr,
		.flags = mem->flags,
		.id = mem->slot,
	};

	if (!plan->slot.npages) {
		plan->change = MEMSLOT_DELETE;
		return old ? 0 : -EINVAL;
	}
	if (plan->slot.base + plan->slot.npages > SLOT_MAX_GFN)
		return -EINVAL;
	if (!old) {
		plan->change = MEMSLOT_CREATE;
	} else {
		/* Only the place and dirty logging may change: anything else needs a new slot. */
		if (old->npages != plan->slot.npages || old->hva != plan->slot.hva ||
		    ((old->flags ^ plan->slot.flags) & KVM_MEM_READONLY))
			return -EINVAL;
		if (old->base != plan->slot.base)
			plan->change = MEMSLOT_MOVE;
		else
			plan->change = old->flags == plan->slot.flags ? MEMSLOT_SAME : MEMSLOT_FLAGS;
	}
	return slotplan_overlaps(cur, &plan->slot, plan->old) ? -EEXIST : 0;
}

void memslots_apply(const struct memslots *cur, const struct memslot_plan *plan, struct memslots *next)
{
	bool add = plan->change != MEMSLOT_DELETE;
	int i;

	next->generation = cur->generation + 1;
	next->n = 0;
	for (i = 0; i < cur->n; i++) {
		if (i == plan->old)
			continue;
		if (add && plan->slot.base < cur->s[i].base) {
			next->s[next->n++] = plan->slot;
			add = false;
		}
		next->s[next->n++] = cur->s[i];
	}
	if (add)
		next->s[next->n++] = plan->slot;
}

bool memslot_frames(const struct memslot *slot, unsigned long start, unsigned long end,
		    gfn_t *first, gfn_t *last_plus_1)
{
	unsigned long low = max(start, slot->hva);
	unsigned long high = min(end, slot->hva + (unsigned long)(slot->npages << PAGE_SHIFT));

	if (low >= high)
		return false;
	*first = slot->base + ((low - slot->hva) >> PAGE_SHIFT);
	*last_plus_1 = slot->base + ((high - slot->hva + PAGE_SIZE - 1) >> PAGE_SHIFT);
	return true;
}
