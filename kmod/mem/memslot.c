// SPDX-License-Identifier: GPL-2.0
/* Guest memory: the slots of a VM as they change, and all reads and writes of what is in them. */
#include <linux/io.h>
#include <linux/mm.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/srcu.h>
#include <linux/uaccess.h>
#include "droste.h"
#include "mem/dirty.h"
#include "mem/memslot.h"
#include "mem/slotplan.h"

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

/* The slots as they are. Caller holds vm->srcu for reading. */
struct memslots *memslots_of(struct vm *vm)
{
	return srcu_dereference(vm->slots, &vm->srcu);
}

const struct memslot *vm_slot(struct vm *vm, gfn_t gfn)
{
	return memslots_find(memslots_of(vm), gfn);
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
static void __user *memslot_gpa_to_user(struct vm *vm, gpa_t gpa, bool write)
{
	bool writable;
	unsigned long hva = vm_gfn_to_hva(vm, gpa >> PAGE_SHIFT, &writable);

	if (!hva || (write && !writable))
		return NULL;
	return (void __user *)(hva + offset_in_page(gpa));
}

/* L0 wrote at @gpa. */
static void memslot_wrote(struct vm *vm, gpa_t gpa)
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
		void __user *from = memslot_gpa_to_user(vm, gpa, false);

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
	from = memslot_gpa_to_user(vm, gpa, false);
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
		void __user *to = memslot_gpa_to_user(vm, gpa, true);

		if (!to || copy_to_user(to, data, part))
			return -EFAULT;
		memslot_wrote(vm, gpa);
		gpa += part;
		data += part;
		len -= part;
	}
	return 0;
}

/* The labels that the kernel's macro jumps to on a fault must differ, hence two functions. */
static int memslot_cmpxchg_user_32(u32 __user *to, u64 *old, u32 new)
{
	u32 seen = *old;
	int ret = __try_cmpxchg_user(to, &seen, new, fault);

	*old = seen;
	return ret;
}

static int memslot_cmpxchg_user_64(u64 __user *to, u64 *old, u64 new)
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
	to = memslot_gpa_to_user(vm, gpa, true);
	if (!to || !access_ok(to, len))
		return -EFAULT;
	ret = len == 4 ? memslot_cmpxchg_user_32(to, old, new) : memslot_cmpxchg_user_64(to, old, new);
	if (!ret)
		memslot_wrote(vm, gpa);
	return ret;
}

int vm_map_gpa(struct vm *vm, gpa_t gpa, struct gpa_map *map)
{
	void __user *user;

	map->page = NULL;
	if (current->mm != vm->mm)
		return -EIO;
	gpa &= PAGE_MASK;
	user = memslot_gpa_to_user(vm, gpa, true);
	if (!user || pin_user_pages_fast((unsigned long)user, 1, FOLL_WRITE, &map->page) != 1) {
		map->page = NULL;
		return -EFAULT;
	}
	map->hva = page_address(map->page);
	map->hpa = page_to_phys(map->page);
	map->gpa = gpa;
	/* Whoever takes the log asks for unpinning, which marks it once more. */
	memslot_wrote(vm, gpa);
	return 0;
}

void vm_unmap_gpa(struct vm *vm, struct gpa_map *map)
{
	if (!map->page)
		return;
	memslot_wrote(vm, map->gpa);
	unpin_user_pages_dirty_lock(&map->page, 1, true);
	*map = (struct gpa_map) {};
}
