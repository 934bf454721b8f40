// SPDX-License-Identifier: GPL-2.0
/* Guest memory: the slots of a VM as they change, and all reads and writes of what is in them. */
#include <linux/io.h>
#include <linux/mm.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/srcu.h>
#include <linux/uaccess.h>

#include "droste.h"

int memslots_init(struct vm *vm)
{
	struct memslots *none = kvzalloc(struct_size(none, s, 0), GFP_KERNEL_ACCOUNT);

	if (!none)
		return -ENOMEM;
	rcu_assign_pointer(vm->slots, none);
	return 0;
}

/* The last reference to the VM is gone: nobody reads the slots. */
void memslots_destroy(struct vm *vm)
{
	struct memslots *slots = rcu_dereference_protected(vm->slots, true);
	int i;

	for (i = 0; i < slots->n; i++)
		kvfree(slots->s[i].dirty);
	kvfree(slots);
	RCU_INIT_POINTER(vm->slots, NULL);
}

static struct memslots *slots_of(struct vm *vm)
{
	return srcu_dereference(vm->slots, &vm->srcu);
}

/* What has to be done when nobody uses a slot as it was any more. @now: what became of it, or NULL. */
static void slot_changed(struct vm *vm, enum memslot_change change, const struct memslot *old,
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
static int get_bitmap(struct vm *vm, const struct memslot *old, struct memslot *slot)
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
static void update_pml(struct vm *vm, const struct memslots *slots)
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
		err = get_bitmap(vm, &old, &plan.slot);
		if (err) {
			kvfree(next);
			return err;
		}
	}
	memslots_apply(cur, &plan, next);
	if (plan.change != MEMSLOT_DELETE && memslot_logged(&plan.slot))
		update_pml(vm, next);
	rcu_assign_pointer(vm->slots, next);

	/*
	 * Whoever still looks at the old array may yet put one of its pages
	 * into EPT01. When they are all done, nobody can any more, and what
	 * they put there is found by the zap.
	 */
	synchronize_srcu_expedited(&vm->srcu);
	slot_changed(vm, plan.change, &old, &plan.slot);
	if (memslot_logged(&old))
		update_pml(vm, next);
	if (old.dirty != plan.slot.dirty)
		kvfree(old.dirty);
	kvfree(cur);
	return 0;
}

const struct memslot *vm_slot(struct vm *vm, gfn_t gfn)
{
	return memslots_find(slots_of(vm), gfn);
}

unsigned long vm_gfn_to_hva(struct vm *vm, gfn_t gfn, bool *writable)
{
	const struct memslot *s = vm_slot(vm, gfn);

	if (!s)
		return 0;
	*writable = !(s->flags & KVM_MEM_READONLY);
	return s->hva + ((gfn - s->base) << PAGE_SHIFT);
}

/* User address of the byte at @gpa, or NULL where nothing may be read, or written for @write. */
static void __user *gpa_to_user(struct vm *vm, gpa_t gpa, bool write)
{
	bool writable;
	unsigned long hva = vm_gfn_to_hva(vm, gpa >> PAGE_SHIFT, &writable);

	if (!hva || (write && !writable))
		return NULL;
	return (void __user *)(hva + offset_in_page(gpa));
}

/* L0 wrote at @gpa. */
static void wrote(struct vm *vm, gpa_t gpa)
{
	const struct memslot *s = vm_slot(vm, gpa >> PAGE_SHIFT);

	if (s)
		dirty_mark(vm, s, gpa >> PAGE_SHIFT);
}

int vm_read_guest(struct vm *vm, gpa_t gpa, void *data, size_t len)
{
	if (current->mm != vm->mm)
		return -EIO;
	while (len) {
		size_t part = min_t(size_t, len, PAGE_SIZE - offset_in_page(gpa));
		void __user *from = gpa_to_user(vm, gpa, false);

		if (!from || copy_from_user(data, from, part))
			return -EFAULT;
		gpa += part;
		data += part;
		len -= part;
	}
	return 0;
}

int vm_read_guest_u64(struct vm *vm, gpa_t gpa, u64 *val)
{
	u64 __user *from;

	if (current->mm != vm->mm)
		return -EIO;
	from = gpa_to_user(vm, gpa, false);
	if (!from || (gpa & 7) || get_user(*val, from))
		return -EFAULT;
	return 0;
}

int vm_write_guest(struct vm *vm, gpa_t gpa, const void *data, size_t len)
{
	if (current->mm != vm->mm)
		return -EIO;
	while (len) {
		size_t part = min_t(size_t, len, PAGE_SIZE - offset_in_page(gpa));
		void __user *to = gpa_to_user(vm, gpa, true);

		if (!to || copy_to_user(to, data, part))
			return -EFAULT;
		wrote(vm, gpa);
		gpa += part;
		data += part;
		len -= part;
	}
	return 0;
}

/* The labels that the kernel's macro jumps to on a fault must differ, hence two functions. */
static int cmpxchg_user_32(u32 __user *to, u64 *old, u32 new)
{
	u32 seen = *old;
	int ret = __try_cmpxchg_user(to, &seen, new, fault);

	*old = seen;
	return ret;
}

static int cmpxchg_user_64(u64 __user *to, u64 *old, u64 new)
{
	return __try_cmpxchg_user(to, old, new, fault);
}

int vm_cmpxchg_guest(struct vm *vm, gpa_t gpa, u64 *old, u64 new, u32 len)
{
	void __user *to;
	int ret;

	if (current->mm != vm->mm)
		return -EIO;
	if ((len != 4 && len != 8) || (gpa & (len - 1)))
		return -EFAULT;
	to = gpa_to_user(vm, gpa, true);
	if (!to || !access_ok(to, len))
		return -EFAULT;
	ret = len == 4 ? cmpxchg_user_32(to, old, new) : cmpxchg_user_64(to, old, new);
	if (!ret)
		wrote(vm, gpa);
	return ret;
}

int vm_map_gpa(struct vm *vm, gpa_t gpa, struct gpa_map *map)
{
	void __user *user;

	map->page = NULL;
	if (current->mm != vm->mm)
		return -EIO;
	gpa &= PAGE_MASK;
	user = gpa_to_user(vm, gpa, true);
	if (!user || pin_user_pages_fast((unsigned long)user, 1, FOLL_WRITE, &map->page) != 1) {
		map->page = NULL;
		return -EFAULT;
	}
	map->hva = page_address(map->page);
	map->hpa = page_to_phys(map->page);
	map->gpa = gpa;
	map->generation = slots_of(vm)->generation;
	/* Whoever takes the log asks for unpinning, which marks it once more. */
	wrote(vm, gpa);
	return 0;
}

void vm_unmap_gpa(struct vm *vm, struct gpa_map *map)
{
	if (!map->page)
		return;
	wrote(vm, map->gpa);
	unpin_user_pages_dirty_lock(&map->page, 1, true);
	*map = (struct gpa_map) {};
}
