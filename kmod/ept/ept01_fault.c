// SPDX-License-Identifier: GPL-2.0
/* Faults in EPT01: find the host memory behind a frame, and map it. */
#include <linux/gfp.h>
#include <linux/io.h>
#include <linux/mm.h>
#include <linux/sched/signal.h>
#include "droste.h"
#include "ept/ept.h"
#include "ept/ept01.h"
#include "ept/ept12.h"
#include "mem/dirty.h"
#include "mem/memslot.h"
#include "run/request.h"
#include "vmx/vmx.h"

/* The flags that an access sets in the leaf, including an access by L2 through EPT02. */
static u64 ept01_access_flags(u64 access, bool shadow)
{
	return EPT_ACCESSED | (access & EPT_WRITE ? EPT_DIRTY : 0) | (shadow ? EPT01_SHADOWED : 0);
}

/*
 * The rights that a copy of @leaf in EPT02 may have. While the processor logs
 * writes through EPT01 by its dirty flags, a write through EPT02 must fault so
 * that it is logged, too.
 */
static u64 ept01_rights_of(struct vm *vm, u64 leaf, bool shadow)
{
	u64 rights = leaf & EPT_RWX;

	if (shadow && READ_ONCE(vm->pml) && !(leaf & EPT_DIRTY))
		rights &= ~EPT_WRITE;
	return rights;
}

/* Log a write to a page whose leaf is not dirty. The flag is set by software, so the processor will not log it. */
static void ept01_mark_if_clean(struct vm *vm, gfn_t gfn, u64 leaf, u64 access)
{
	const struct memslot *slot;

	if (!(access & EPT_WRITE) || (leaf & EPT_DIRTY))
		return;
	slot = vm_slot(vm, gfn);
	if (slot)
		dirty_mark(vm, slot, gfn);
}

static void ept01_describe(struct vm *vm, gpa_t gpa, u64 leaf, int level, bool shadow, struct ept01_leaf *out)
{
	out->hpa = ept_leaf_page(leaf, level, gpa);
	out->rights = ept01_rights_of(vm, leaf, shadow);
	out->ipat = leaf & EPT_IPAT;
	out->uncached = (leaf & EPT_MEMTYPE_MASK) == EPT_UC << EPT_MEMTYPE_SHIFT;
	out->level = level;
	out->fresh = false;
}

/* Fill *@out from the leaf that maps @gpa, if one allows @access. Caller holds mmu_lock. */
static bool ept01_peek(struct vm *vm, gpa_t gpa, u64 access, bool shadow, struct ept01_leaf *out)
{
	int level;
	u64 *slot = ept01_find_leaf(vm, gpa >> PAGE_SHIFT, &level);

	if (!slot || (access & ~READ_ONCE(*slot)))
		return false;
	ept01_mark_if_clean(vm, gpa >> PAGE_SHIFT, READ_ONCE(*slot), access);
	ept01_set_bits(slot, ept01_access_flags(access, shadow));
	ept01_describe(vm, gpa, READ_ONCE(*slot), level, shadow, out);
	return true;
}

/* The user memory behind a frame, and the conditions for mapping it. */
struct ept01_source {
	const struct memslot *slot;
	struct host_page host;
	bool write;		/* the faulting access is a write */
	bool exec;		/* the faulting access is an instruction fetch */
	bool pml;		/* the processor logs the first write */
};

/**
 * ept01_ignores_pat() - whether leaves ignore the guest's PAT
 * @vm: the VM
 *
 * A guest that maps memory UC or WC is slow, and on a processor without
 * self-snooping its accesses are not coherent with those of the host, which
 * maps the same page write-back. So the memory type is write-back whatever the
 * guest asks for, unless user space has disabled the quirk, which the processor
 * must be fit for (SDM 3C 29.3.7.2). A device whose DMA passes the caches by
 * leaves no choice: its driver in the guest works only if uncached memory is.
 *
 * Context: Any.
 * Return: true if they do.
 */
bool ept01_ignores_pat(const struct vm *vm)
{
	return !READ_ONCE(vm->noncoherent) && !(READ_ONCE(vm->disabled_quirks) & KVM_X86_QUIRK_IGNORE_GUEST_PAT);
}

/* May the guest execute from large leaves? It may crash the processor then (iTLB multihit, CVE-2018-12207). */
static bool ept01_nx_huge(const struct vm *vm)
{
	return vmx_features.nx_huge && !vm->huge_exec;
}

static u64 ept01_make_leaf(const struct vm *vm, const struct ept01_source *src, int level, u64 flags)
{
	u64 rights = ept_leaf_rights(EPT_READ | EPT_EXEC, level, ept01_nx_huge(vm));

	if (src->host.writable && !(src->slot->flags & KVM_MEM_READONLY) &&
	    (src->write || src->pml || !memslot_logged(src->slot)))
		rights |= EPT_WRITE;
	/* Of a device's memory the guest may choose between UC and WC (SDM 3A table 12-7), as any driver of the host. */
	if (src->host.uncached)
		return ept_make_leaf(PFN_PHYS(src->host.pfn), level, rights, EPT_UC, false) | flags;
	return ept_make_leaf(PFN_PHYS(src->host.pfn), level, rights, EPT_WB, ept01_ignores_pat(vm)) | flags;
}

static int ept01_leaf_level(const struct vm *vm, const struct ept01_source *src, gfn_t gfn)
{
	int level = src->host.level;

	if (src->exec && ept01_nx_huge(vm))
		return 1;

	/* Writes are logged per frame. */
	if (memslot_logged(src->slot) && (src->write || src->pml))
		level = 1;
	if (level == 3 && !vmx_features.ept_1g)
		level = 2;
	if (level == 2 && !vmx_features.ept_2m)
		level = 1;
	return ept_fit_level(gfn, src->slot->base, src->slot->npages, src->slot->hva, level);
}

static unsigned long ept01_hva(const struct memslot *slot, gfn_t gfn)
{
	return slot->hva + ((gfn - slot->base) << PAGE_SHIFT);
}

/*
 * Map @gfn to @src. Returns -EAGAIN if memory was invalidated since @seq was
 * read, -ENOMEM if there is no page for a table. May sleep.
 */
static int ept01_map_frame(struct vm *vm, gfn_t gfn, const struct ept01_source *src, u64 leaf, int level,
			   unsigned long seq)
{
	unsigned long bytes = ept_frames(level) << PAGE_SHIFT;
	unsigned long first = ept01_hva(src->slot, gfn) & ~(bytes - 1);
	struct ept01_spare spare = {};
	struct ept01_gone gone;
	int err;

	ept01_gone_init(&gone);
	for (;;) {
		spin_lock(&vm->mmu_lock);
		if (memslot_is_stale(vm, first, bytes, seq))
			err = -EAGAIN;
		else
			err = ept01_install(vm, gfn, leaf, level, &spare, &gone);
		/* Collecting the log and protecting the frame again happens under the same lock. */
		if (!err && src->write)
			dirty_mark(vm, src->slot, gfn);
		spin_unlock(&vm->mmu_lock);
		if (err != -ENOMEM)
			break;
		spare.page = (u64 *)get_zeroed_page(GFP_KERNEL_ACCOUNT);
		if (!spare.page)
			break;
	}
	free_page((unsigned long)spare.page);
	ept01_finish(vm, &gone);
	return err;
}

/* A fault maps pages that the host has in the aligned 64 KiB around the faulting page. */
#define EPT01_NEAR	16

/* Map the pages in @host, from frame @first on, where nothing is mapped. @gfn, among them, is. Caller holds mmu_lock. */
static void ept01_map_pages(struct vm *vm, gfn_t gfn, struct ept01_source *src, const struct host_page *host,
			    gfn_t first, unsigned int n)
{
	/* The processor tells which of the pages are used, if it can. */
	u64 flags = vmx_features.ept_ad ? 0 : EPT_ACCESSED;
	int level;
	u64 *slot = ept01_find_leaf(vm, gfn, &level);
	unsigned int i;

	if (!slot || level != 1)
		return;
	slot -= gfn - first;	/* the window is aligned, so all is in one table */
	for (i = 0; i < n; i++) {
		if (!host[i].page || ept_present(READ_ONCE(slot[i])))
			continue;
		src->host = host[i];
		WRITE_ONCE(slot[i], ept01_make_leaf(vm, src, 1, flags));
		vm->ept01.leaves[1]++;
	}
}

/*
 * @gfn, which @src describes, was mapped by a 4-KiB leaf. Map its neighbours in
 * the slot that the host has, too, with the rights that need no further work:
 * no write is logged for them, and no page becomes dirty. It is not known that
 * the guest uses them.
 */
static void ept01_map_near(struct vm *vm, gfn_t gfn, struct ept01_source *src)
{
	const struct memslot *slot = src->slot;
	unsigned int in_table = (ept01_hva(slot, gfn) & ~PMD_MASK) >> PAGE_SHIFT;
	gfn_t first = max3(gfn & ~(gfn_t)(EPT01_NEAR - 1), slot->base, gfn < in_table ? 0 : gfn - in_table);
	gfn_t end = min3((gfn | (EPT01_NEAR - 1)) + 1, slot->base + slot->npages, gfn + PTRS_PER_PTE - in_table);
	unsigned long hva = ept01_hva(slot, first);
	struct host_page host[EPT01_NEAR];
	unsigned int n = end - first;
	unsigned long seq = memslot_begin_look(vm);

	src->write = false;
	host_pages_near(hva, n, host);
	spin_lock(&vm->mmu_lock);
	if (!memslot_is_stale(vm, hva, n * PAGE_SIZE, seq))
		ept01_map_pages(vm, gfn, src, host, first, n);
	spin_unlock(&vm->mmu_lock);
}

/*
 * The guest is about to get a device's memory. From now on its entries clear
 * the processor's buffers, if need be: see vmx_clear_buffers(). Those of other
 * vCPUs that run now did not, so they enter again. Several vCPUs may come here
 * at once. Each of them maps the page only when all vCPUs have left the guest.
 */
static void ept01_note_device(struct vm *vm)
{
	if (READ_ONCE(vm->device_noted))
		return;
	WRITE_ONCE(vm->has_device, true);
	vm_request_all(vm, REQ_EPT01_FLUSH);
	WRITE_ONCE(vm->device_noted, true);
}

/*
 * host_page_get() has failed with @err. It looks at the page tables first, and
 * then at the areas of the process. If the memory was replaced in between, the
 * page is neither the one nor the other, and the guest must not see that.
 */
static int ept01_host_error(struct vm *vm, unsigned long hva, unsigned long seq, int err)
{
	bool stale;

	if (err != -EFAULT)
		return err;
	spin_lock(&vm->mmu_lock);
	stale = memslot_is_stale(vm, hva, PAGE_SIZE, seq);
	spin_unlock(&vm->mmu_lock);
	if (!stale)
		return err;
	return signal_pending(current) ? -EINTR : -EAGAIN;
}

/*
 * Try once to map the frame of @gpa, and fill *@out as ept01_peek() would. The
 * guest may from now on write the page through EPT01 without another fault, so
 * a writable page is marked dirty now. May sleep.
 */
static int ept01_try_map(struct vm *vm, gpa_t gpa, const struct memslot *slot, u64 access, bool shadow,
			 struct ept01_leaf *out)
{
	struct ept01_source src = { .slot = slot, .write = access & EPT_WRITE,
				    .exec = access & EPT_EXEC, .pml = READ_ONCE(vm->pml) };
	gfn_t gfn = gpa >> PAGE_SHIFT;
	unsigned long seq = memslot_begin_look(vm);
	unsigned long hva = ept01_hva(slot, gfn);
	int err = host_page_get(hva, src.write, !(slot->flags & KVM_MEM_READONLY), &src.host);
	int level;
	u64 leaf;

	if (err)
		return ept01_host_error(vm, hva, seq, err);
	if (src.host.uncached)
		ept01_note_device(vm);
	level = ept01_leaf_level(vm, &src, gfn);
	leaf = ept01_make_leaf(vm, &src, level, ept01_access_flags(access, shadow));
	err = ept01_map_frame(vm, gfn, &src, leaf, level, seq);
	if (src.host.page) {
		if (!err && src.host.writable && !PageDirty(src.host.page))
			set_page_dirty_lock(src.host.page);
		put_page(src.host.page);
	}
	if (err)
		return err;
	ept01_describe(vm, gpa, leaf, level, shadow, out);
	out->fresh = !src.host.found;
	/* Where the host had to make the page now, it seldom has the neighbours. */
	if (level == 1 && src.host.found)
		ept01_map_near(vm, gfn, &src);
	return 0;
}

static enum ept01_result ept01_resolve(struct vcpu *vcpu, gpa_t gpa, u64 access, bool shadow,
				       struct ept01_leaf *leaf)
{
	struct vm *vm = vcpu->vm;
	gfn_t gfn = gpa >> PAGE_SHIFT;

	if (gpa >> EPT_GPA_BITS)
		return EPT01_MMIO;
	if (current->mm != vm->mm)
		return EPT01_ERROR;
	for (;;) {
		const struct memslot *slot;
		enum ept01_result result;
		bool found;
		int err;

		spin_lock(&vm->mmu_lock);
		found = ept01_peek(vm, gpa, access, shadow, leaf);
		spin_unlock(&vm->mmu_lock);
		if (found)
			return EPT01_FIXED;

		slot = vm_slot(vm, gfn);
		result = ept_judge_slot(slot, access);
		if (result != EPT01_FIXED)
			return result;
		err = ept01_try_map(vm, gpa, slot, access, shadow, leaf);
		if (!err)
			return EPT01_FIXED;
		if (unlikely(err == -EHWPOISON)) {
			/* As if the thread had touched the page itself: user space may tell the guest, by a machine check. */
			send_sig_mceerr(BUS_MCEERR_AR, (void __user *)ept01_hva(slot, gfn), PAGE_SHIFT, current);
			return EPT01_SIGNAL;
		}
		if (err == -EINTR)
			return EPT01_SIGNAL;
		if (err != -EAGAIN)
			return EPT01_ERROR;
		if (fatal_signal_pending(current))
			return EPT01_ERROR;
		cond_resched();
	}
}

/**
 * ept01_fault() - handle an access that EPT01 does not allow
 * @vcpu: the vCPU
 * @gpa: the L1 guest-physical address
 * @access: the access: EPT_READ, EPT_WRITE, EPT_EXEC
 *
 * Context: Thread of the VM's process. May sleep. Interrupts enabled. Caller
 * holds vcpu->mutex, and vm->srcu for reading. Any VMCS may be current.
 * Return: enum ept01_result.
 */
enum ept01_result ept01_fault(struct vcpu *vcpu, gpa_t gpa, u64 access)
{
	struct ept01_leaf leaf;

	return ept01_resolve(vcpu, gpa, access, false, &leaf);
}

/**
 * ept01_lookup() - find or install the leaf that maps an address, for a copy in EPT02
 * @vcpu: the vCPU
 * @gpa: the L1 guest-physical address
 * @access: the rights that the leaf must have
 * @leaf: filled if EPT01_FIXED is returned
 *
 * The copy is valid until REQ_EPT01_FLUSH, which the vCPU handles before its
 * next VM entry.
 *
 * Context: as for ept01_fault().
 * Return: enum ept01_result.
 */
enum ept01_result ept01_lookup(struct vcpu *vcpu, gpa_t gpa, u64 access,
			       struct ept01_leaf *leaf)
{
	return ept01_resolve(vcpu, gpa, access, true, leaf);
}

/**
 * ept01_peek_near() - find the leaf that maps an address, for a copy in EPT02, without a fault
 * @vm: the VM
 * @gpa: the L1 guest-physical address
 * @at: zeroed before the first call; keeps the place in EPT01 for the next call, while the lock is held
 * @leaf: filled if the result is true
 *
 * The copy is valid as that of ept01_lookup().
 *
 * Context: Any. Caller holds vm->mmu_lock.
 * Return: true if there is one.
 */
bool ept01_peek_near(struct vm *vm, gpa_t gpa, struct ept01_place *at, struct ept01_leaf *leaf)
{
	gfn_t gfn = gpa >> PAGE_SHIFT;

	if (gpa >> EPT_GPA_BITS)
		return false;
	if (at->slot && (at->gfn ^ gfn) < ept_frames(2))
		at->slot += at->level == 1 ? (long)(gfn - at->gfn) : 0;
	else
		at->slot = ept01_find_leaf(vm, gfn, &at->level);
	at->gfn = gfn;
	if (!at->slot || !ept_present(READ_ONCE(*at->slot)))
		return false;
	ept01_set_bits(at->slot, ept01_access_flags(0, true));
	ept01_describe(vm, gpa, READ_ONCE(*at->slot), at->level, true, leaf);
	return true;
}
