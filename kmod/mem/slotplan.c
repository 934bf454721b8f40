// SPDX-License-Identifier: GPL-2.0
/* Changes of memory slots by KVM_SET_USER_MEMORY_REGION: checks, and computation of the new set of slots. Pure. */
#include <linux/errno.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/string.h>

#include "mem/slotplan.h"
#include "ept/format.h"

#define SLOT_MAX_PAGES	((1ULL << 31) - 1)	/* KVM's limit: a number of pages fits an int */
#define SLOT_MAX_GFN	(1ULL << (EPT_GPA_BITS - PAGE_SHIFT))	/* the first frame that a 4-level EPT cannot map */

/**
 * memslots_find() - find the slot that holds a frame
 * @slots: a set of slots
 * @gfn: the frame
 *
 * Return: the slot. NULL if there is none.
 */
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

/* The checks of a request that do not depend on existing slots. Only address space 0 exists. */
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

/**
 * memslots_plan() - check a request of user space and determine its effect
 * @cur: the present slots
 * @mem: the request
 * @plan: filled; its slot has no dirty bitmap yet
 *
 * Return: 0; -EINVAL for a request that is malformed, deletes a slot that does
 * not exist, or changes a property that cannot change; -EEXIST if the slot
 * would overlap another.
 */
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
		/* Only the guest-physical address and dirty logging may change; the rest needs a new slot. */
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

/**
 * memslots_apply() - compute the set of slots after a change
 * @cur: the present slots
 * @plan: from memslots_plan() on @cur; not MEMSLOT_SAME
 * @next: filled; has room for one slot more than @cur
 */
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

/**
 * memslot_frames() - find the frames of a slot that a range of user addresses backs
 * @slot: the slot
 * @start: first user address
 * @end: first user address after the range
 * @first: first frame; unchanged if there is none
 * @last_plus_1: first frame behind the last one; unchanged if there is none
 *
 * Return: true if there is at least one frame.
 */
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
