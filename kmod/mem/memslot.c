// SPDX-License-Identifier: GPL-2.0
/* Guest memory: the slots of a VM, and all reads and writes of the memory in them. */
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

/**
 * memslots_init() - give a new VM an empty set of slots
 * @vm: a new VM
 *
 * Context: Process context. May sleep.
 * Return: 0 or -ENOMEM.
 */
int memslots_init(struct vm *vm)
{
	struct memslots *none = kvzalloc(struct_size(none, s, 0), GFP_KERNEL_ACCOUNT);

	if (!none)
		return -ENOMEM;
	rcu_assign_pointer(vm->slots, none);
	return 0;
}

/**
 * memslots_destroy() - free the slots of a VM
 * @vm: its last reference is gone, so nobody reads the slots
 *
 * Context: Process context. May sleep.
 */
void memslots_destroy(struct vm *vm)
{
	struct memslots *slots = rcu_dereference_protected(vm->slots, true);
	int i;

	for (i = 0; i < slots->n; i++)
		kvfree(slots->s[i].dirty);
	kvfree(slots);
	RCU_INIT_POINTER(vm->slots, NULL);
}

/* The current set of slots. Caller holds vm->srcu for reading. */
static struct memslots *memslot_all(struct vm *vm)
{
	return srcu_dereference(vm->slots, &vm->srcu);
}

/**
 * vm_slot() - find the slot that holds a frame of guest memory
 * @vm: the VM
 * @gfn: the frame
 *
 * Context: Any. Caller holds vm->srcu for reading, and uses the slot no longer.
 * Return: the slot. NULL if there is no memory (MMIO).
 */
const struct memslot *vm_slot(struct vm *vm, gfn_t gfn)
{
	return memslots_find(memslot_all(vm), gfn);
}

/**
 * memslot_remember() - find the slot that holds a frame of guest memory, and remember the result
 * @vcpu: the vCPU, whose hint is updated
 * @gfn: the frame
 *
 * Callers use memslot_near().
 *
 * Context: Thread of @vcpu. Caller holds vm->srcu for reading, and uses the slot no longer.
 * Return: the slot. NULL if there is no memory.
 */
const struct memslot *memslot_remember(struct vcpu *vcpu, gfn_t gfn)
{
	const struct memslots *slots = memslot_all(vcpu->vm);
	const struct memslot *s = memslots_find(slots, gfn);
	struct slot_hint *h = &vcpu->slot_hint;

	/* All but the slot and the hole of this array is out of date. No frame has the number ~0. */
	if (h->generation != slots->generation)
		*h = (struct slot_hint) { .generation = slots->generation, .hole = ~0ULL };
	if (s)
		h->slot = s;
	else
		h->hole = gfn;
	return s;
}

/**
 * memslot_gfn_to_hva() - find the user address of a frame of guest memory
 * @vm: the VM
 * @gfn: the frame
 * @writable: set to whether the guest may write the frame; unchanged if there is no memory
 *
 * Context: Any. Caller holds vm->srcu for reading.
 * Return: the user address. 0 if there is no memory.
 */
static unsigned long memslot_gfn_to_hva(struct vm *vm, gfn_t gfn, bool *writable)
{
	const struct memslot *s = vm_slot(vm, gfn);

	if (!s)
		return 0;
	*writable = !(s->flags & KVM_MEM_READONLY);
	return s->hva + ((gfn - s->base) << PAGE_SHIFT);
}

/* User address of the byte at @gpa. NULL if there is no memory, or with @write if it is read-only. */
static void __user *memslot_gpa_to_user(struct vm *vm, gpa_t gpa, bool write)
{
	bool writable;
	unsigned long hva = memslot_gfn_to_hva(vm, gpa >> PAGE_SHIFT, &writable);

	if (!hva || (write && !writable))
		return NULL;
	return (void __user *)(hva + offset_in_page(gpa));
}

/* L0 has written at @gpa: add the frame to the dirty log. */
static void memslot_wrote(struct vm *vm, gpa_t gpa)
{
	const struct memslot *s = vm_slot(vm, gpa >> PAGE_SHIFT);

	if (s)
		dirty_mark(vm, s, gpa >> PAGE_SHIFT);
}

/*
 * Copy @n bytes of the process's memory, which may be a device's: a register
 * takes one access of its own size. Returns false if that fails.
 */
static bool memslot_copy_in(void *data, const void __user *from, size_t n)
{
	if (!((unsigned long)from & (n - 1))) {
		switch (n) {
		case 1:
			return !get_user(*(u8 *)data, (const u8 __user *)from);
		case 2:
			return !get_user(*(u16 *)data, (const u16 __user *)from);
		case 4:
			return !get_user(*(u32 *)data, (const u32 __user *)from);
		case 8:
			return !get_user(*(u64 *)data, (const u64 __user *)from);
		}
	}
	return !copy_from_user(data, from, n);
}

/* As memslot_copy_in(), in the other direction. */
static bool memslot_copy_out(void __user *to, const void *data, size_t n)
{
	if (!((unsigned long)to & (n - 1))) {
		switch (n) {
		case 1:
			return !put_user(*(const u8 *)data, (u8 __user *)to);
		case 2:
			return !put_user(*(const u16 *)data, (u16 __user *)to);
		case 4:
			return !put_user(*(const u32 *)data, (u32 __user *)to);
		case 8:
			return !put_user(*(const u64 *)data, (u64 __user *)to);
		}
	}
	return !copy_to_user(to, data, n);
}

/**
 * vm_is_driver_memory() - find out whether a page of guest memory is what a driver has mapped to user space
 * @vm: the VM
 * @gpa: L1 guest-physical address
 *
 * It may be a device's then, where the size and the number of accesses count.
 *
 * Context: Process context. May sleep. Caller holds vm->srcu for reading.
 * Return: true if it is; false if not, or if the thread's mm is not vm->mm.
 */
bool vm_is_driver_memory(struct vm *vm, gpa_t gpa)
{
	struct vm_area_struct *vma;
	unsigned long hva;
	bool writable, ret;

	if (current->mm != vm->mm)
		return false;
	hva = memslot_gfn_to_hva(vm, gpa >> PAGE_SHIFT, &writable);
	mmap_read_lock(vm->mm);
	vma = vma_lookup(vm->mm, hva);
	ret = vma && (vma->vm_flags & (VM_IO | VM_PFNMAP));
	mmap_read_unlock(vm->mm);
	return ret;
}

/**
 * memslot_await() - wait for a page of guest memory that may not be there yet
 * @slot: the slot that holds it
 * @gpa: L1 guest-physical address
 *
 * The page may be another machine's during post-copy migration. An access of
 * L0's waits for it until it comes; this wait ends at any signal.
 *
 * Context: Process context; the thread's mm is vm->mm. May sleep. Caller holds vm->srcu for reading.
 * Return: -EINTR if a signal came first; else 0, and an access tells whether the page can be read.
 */
int memslot_await(const struct memslot *slot, gpa_t gpa)
{
	struct page *page;
	long n = get_user_pages_unlocked((unsigned long)memslot_user(slot, gpa), 1, &page, COMPAT_FOLL_INTERRUPTIBLE);

	if (n == 1)
		put_page(page);
	return n == -EINTR ? -EINTR : 0;
}

/**
 * vm_await_guest() - wait for the page that L0 is about to access for the guest, up to a signal
 * @vm: the VM
 * @gpa: L1 guest-physical address, a multiple of 8
 *
 * To be called before anything has changed: after a signal the guest executes the instruction again.
 *
 * Context: Process context. May sleep. Caller holds vm->srcu for reading.
 * Return: as memslot_await(); 0 also if there is no memory.
 */
int vm_await_guest(struct vm *vm, gpa_t gpa)
{
	const struct memslot *slot = vm_slot(vm, gpa >> PAGE_SHIFT);
	bool there;
	u64 word;

	if (!slot || current->mm != vm->mm)
		return 0;
	pagefault_disable();
	there = memslot_read_u64(slot, gpa, &word);
	pagefault_enable();
	return likely(there) ? 0 : memslot_await(slot, gpa);
}

/**
 * vm_read_guest() - read guest memory
 * @vm: the VM
 * @gpa: L1 guest-physical address
 * @data: filled
 * @len: number of bytes; may cross pages and slots
 *
 * Context: Process context. May sleep. Caller holds vm->srcu for reading.
 * Return: 0; -EFAULT if there is no memory, or it cannot be read; -EIO if the
 * thread's mm is not vm->mm.
 */
int vm_read_guest(struct vm *vm, gpa_t gpa, void *data, size_t len)
{
	if (current->mm != vm->mm)
		return -EIO;
	while (len) {
		size_t part = min_t(size_t, len, PAGE_SIZE - offset_in_page(gpa));
		void __user *from = memslot_gpa_to_user(vm, gpa, false);

		if (!from || !memslot_copy_in(data, from, part))
			return -EFAULT;
		gpa += part;
		data += part;
		len -= part;
	}
	return 0;
}

/**
 * vm_read_guest_u64() - read an aligned quadword of guest memory in one access
 * @vm: the VM
 * @gpa: L1 guest-physical address, a multiple of 8
 * @val: the value
 *
 * The processor reads entries of paging structures this way.
 *
 * Context: Process context. May sleep. Caller holds vm->srcu for reading.
 * Return: as vm_read_guest(); -EFAULT also if @gpa is not aligned.
 */
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

/**
 * vm_write_guest() - write guest memory
 * @vm: the VM
 * @gpa: L1 guest-physical address
 * @data: bytes to write
 * @len: number of bytes; may cross pages and slots
 *
 * Context: Process context. May sleep. Caller holds vm->srcu for reading.
 * Return: 0; -EFAULT if there is no memory, or it is read-only; -EIO if the
 * thread's mm is not vm->mm. After an error part of @data may be written.
 */
int vm_write_guest(struct vm *vm, gpa_t gpa, const void *data, size_t len)
{
	if (current->mm != vm->mm)
		return -EIO;
	while (len) {
		size_t part = min_t(size_t, len, PAGE_SIZE - offset_in_page(gpa));
		void __user *to = memslot_gpa_to_user(vm, gpa, true);

		if (!to || !memslot_copy_out(to, data, part))
			return -EFAULT;
		memslot_wrote(vm, gpa);
		gpa += part;
		data += part;
		len -= part;
	}
	return 0;
}

/**
 * vm_write_guest_nofault() - write guest memory while the scheduler takes the CPU away
 * @vm: the VM
 * @gpa: L1 guest-physical address
 * @data: bytes to write
 * @len: number of bytes, all in one page
 *
 * Only memory that the process has mapped now can be written. A dirty ring does
 * not list the frame, because the thread may be adding another one to it. The
 * caller must write to the same frame again before the guest runs.
 *
 * Context: Any but interrupts; may be called with interrupts disabled. Caller holds vm->srcu for reading.
 * Return: as vm_write_guest().
 */
int vm_write_guest_nofault(struct vm *vm, gpa_t gpa, const void *data, size_t len)
{
	void __user *to;

	if (current->mm != vm->mm)
		return -EIO;
	to = memslot_gpa_to_user(vm, gpa, true);
	if (!to || copy_to_user_nofault(to, data, len))
		return -EFAULT;
	if (!vm->ring_bytes)
		memslot_wrote(vm, gpa);
	return 0;
}

/* The kernel's macro jumps to a label on a fault, and its uses in one function need different labels: two functions. */
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

/**
 * vm_cmpxchg_guest() - compare and exchange a value in guest memory, atomically
 * @vm: the VM
 * @gpa: L1 guest-physical address, aligned to @len
 * @old: the expected value; updated to the value found if that differs
 * @new: the new value
 * @len: 4 or 8 bytes
 *
 * Context: Process context. May sleep. Caller holds vm->srcu for reading.
 * Return: 0 if @new was written; 1 if memory differs from @old; -EFAULT if
 * there is no memory, it is read-only, or @gpa or @len is wrong; -EIO if the
 * thread's mm is not vm->mm.
 */
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

/* Whether a page that was pinned may no longer be the one at its address. */
static bool memslot_pin_is_stale(struct vm *vm, const void __user *user, unsigned long seq)
{
	bool stale;

	spin_lock(&vm->mmu_lock);
	stale = memslot_is_stale(vm, (unsigned long)user, PAGE_SIZE, seq);
	spin_unlock(&vm->mmu_lock);
	return stale;
}

/**
 * vm_map_gpa() - pin and map a page of guest memory for writing
 * @vm: the VM
 * @gpa: L1 guest-physical address; the offset in the page is ignored
 * @map: not mapped; filled
 *
 * Adds the frame to the dirty log.
 *
 * The MMU notifier requests REQ_UNPIN when it begins to invalidate memory. A page that is pinned after that, and before
 * the host's page tables have changed, is no longer the guest's afterwards, and no other request follows.
 *
 * Context: Process context. May sleep. Caller holds vm->srcu for reading.
 * Return: 0; 1 if the page is pinned, but the host may be moving it, so that the caller must unmap and map it again
 * before the guest runs; -EFAULT if there is no memory, or it is read-only; -EIO if the thread's mm is not vm->mm.
 */
int vm_map_gpa(struct vm *vm, gpa_t gpa, struct gpa_map *map)
{
	unsigned long seq = memslot_begin_look(vm);
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
	/* The ioctls that read the dirty log request unpinning (REQ_UNPIN), which marks the frame again. */
	memslot_wrote(vm, gpa);
	return memslot_pin_is_stale(vm, user, seq);
}

/**
 * vm_unmap_gpa() - unmap and unpin a page of guest memory
 * @vm: the VM
 * @map: may be not mapped; not mapped on return
 *
 * Adds the frame to the dirty log, as the processor may have written it.
 *
 * Context: Process context. May sleep. Caller holds vm->srcu for reading.
 */
void vm_unmap_gpa(struct vm *vm, struct gpa_map *map)
{
	if (!map->page)
		return;
	memslot_wrote(vm, map->gpa);
	unpin_user_pages_dirty_lock(&map->page, 1, true);
	*map = (struct gpa_map) {};
}
