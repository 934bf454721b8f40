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

/* Fill *@out from the leaf that maps @gpa, if one allows @access. Caller holds mmu_lock. */
static bool ept01_peek(struct vm *vm, gpa_t gpa, u64 access, bool shadow, struct ept01_leaf *out)
{
	int level;
	u64 *slot = ept01_find_leaf(vm, gpa >> PAGE_SHIFT, &level);

	if (!slot || (access & ~READ_ONCE(*slot)))
		return false;
	ept01_mark_if_clean(vm, gpa >> PAGE_SHIFT, READ_ONCE(*slot), access);
	ept01_set_bits(slot, ept01_access_flags(access, shadow));
	out->hpa = ept_leaf_page(*slot, level, gpa);
	out->rights = ept01_rights_of(vm, READ_ONCE(*slot), shadow);
	out->ipat = READ_ONCE(*slot) & EPT_IPAT;
	out->level = level;
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
 * must be fit for (SDM 3C 29.3.7.2).
 *
 * Context: Any.
 * Return: true if they do.
 */
bool ept01_ignores_pat(const struct vm *vm)
{
	return !(READ_ONCE(vm->disabled_quirks) & KVM_X86_QUIRK_IGNORE_GUEST_PAT);
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
	return ept_make_leaf(page_to_phys(src->host.page), level, rights, EPT_WB, ept01_ignores_pat(vm)) | flags;
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

/*
 * Was memory of the slots invalidated since @seq was read, or is memory of a
 * leaf at @level around @hva being invalidated? Invalidations of other memory
 * do not count: a process has many, and they may take long. Caller holds
 * mmu_lock.
 */
static bool ept01_is_stale(const struct vm *vm, unsigned long hva, int level, unsigned long seq)
{
	unsigned long bytes = ept_frames(level) << PAGE_SHIFT;
	unsigned long first = hva & ~(bytes - 1);

	return vm->mmu_seq != seq || (vm->mmu_invalidating && first < vm->mmu_to && vm->mmu_from < first + bytes);
}

static unsigned long ept01_hva(const struct memslot *slot, gfn_t gfn)
{
	return slot->hva + ((gfn - slot->base) << PAGE_SHIFT);
}

/*
 * Map @gfn to @src. Returns -EAGAIN if memory was invalidated since @seq was
 * read, -ENOMEM if there is no page for a table. May sleep.
 */
static int ept01_map_frame(struct vm *vm, gfn_t gfn, const struct ept01_source *src, u64 flags,
			   unsigned long seq)
{
	unsigned long hva = ept01_hva(src->slot, gfn);
	int level = ept01_leaf_level(vm, src, gfn);
	u64 leaf = ept01_make_leaf(vm, src, level, flags);
	struct ept01_spare spare = {};
	struct ept01_gone gone;
	int err;

	ept01_gone_init(&gone);
	for (;;) {
		spin_lock(&vm->mmu_lock);
		if (ept01_is_stale(vm, hva, level, seq))
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

/*
 * Try once to map @gfn. The guest may from now on write the page through EPT01
 * without another fault, so a writable page is marked dirty now. May sleep.
 */
static int ept01_try_map(struct vm *vm, gfn_t gfn, const struct memslot *slot, u64 access, bool shadow)
{
	struct ept01_source src = { .slot = slot, .write = access & EPT_WRITE,
				    .exec = access & EPT_EXEC, .pml = READ_ONCE(vm->pml) };
	unsigned long hva = ept01_hva(slot, gfn);
	unsigned long seq = READ_ONCE(vm->mmu_seq);
	int err;

	smp_rmb();	/* read mmu_seq before the page tables; pairs with notifier_invalidate_end() */
	err = host_page_get(hva, access & EPT_WRITE, !(slot->flags & KVM_MEM_READONLY), &src.host);
	if (err)
		return err;
	err = ept01_map_frame(vm, gfn, &src, ept01_access_flags(access, shadow), seq);
	if (!err && src.host.writable && !PageDirty(src.host.page))
		set_page_dirty_lock(src.host.page);
	put_page(src.host.page);
	return err;
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
		bool found;
		int err;

		spin_lock(&vm->mmu_lock);
		found = ept01_peek(vm, gpa, access, shadow, leaf);
		spin_unlock(&vm->mmu_lock);
		if (found)
			return EPT01_FIXED;

		slot = vm_slot(vm, gfn);
		if (!slot)
			return EPT01_MMIO;
		if ((access & EPT_WRITE) && (slot->flags & KVM_MEM_READONLY))
			return EPT01_READONLY;
		err = ept01_try_map(vm, gfn, slot, access, shadow);
		if (unlikely(err == -EHWPOISON)) {
			/* As if the thread had touched the page itself: user space may tell the guest, by a machine check. */
			send_sig_mceerr(BUS_MCEERR_AR, (void __user *)ept01_hva(slot, gfn), PAGE_SHIFT, current);
			return EPT01_SIGNAL;
		}
		if (err == -EINTR)
			return EPT01_SIGNAL;
		if (err && err != -EAGAIN)
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
