// SPDX-License-Identifier: GPL-2.0
/* Translation of L2 guest-physical addresses by EPT12, which is read from guest memory. SDM 3C 29.3. */
#include <linux/mm.h>
#include <linux/uaccess.h>
#include "droste.h"
#include "ept/ept12.h"
#include "mem/l2gpa.h"
#include "mem/memslot.h"

static int l2gpa_read_entry(void *ctx, u64 gpa, u64 *entry)
{
	struct vcpu *vcpu = ctx;
	const struct memslot *slot = memslot_near(vcpu, gpa >> PAGE_SHIFT);

	return slot && memslot_read_u64(slot, gpa, entry) ? 0 : -EFAULT;
}

static int l2gpa_set_entry_bits(void *ctx, u64 gpa, u64 old, u64 bits)
{
	struct vcpu *vcpu = ctx;

	return vm_cmpxchg_guest(vcpu->vm, gpa, &old, old | bits, sizeof(old));
}

static const struct ept12_ops l2gpa_ops = {
	.read = l2gpa_read_entry,
	.set_bits = l2gpa_set_entry_bits,
};

/**
 * l2gpa_cfg() - what a walk of L1's EPT12 depends on
 * @vcpu: the vCPU
 * @eptp12: L1's EPTP
 *
 * Context: Any.
 * Return: the EPTP and the features that L1 was offered.
 */
struct ept12_cfg l2gpa_cfg(const struct vcpu *vcpu, u64 eptp12)
{
	u64 cap = vcpu->nested.caps.ept_vpid;

	/* Mode-based execute control is not offered to L1. */
	return (struct ept12_cfg) {
		.eptp = eptp12,
		.maxphyaddr = vcpu->gcaps.maxphyaddr,
		.exec_only = cap & VMX_EPT_EXECUTE_ONLY_BIT,
		.huge_2m = cap & VMX_EPT_2MB_PAGE_BIT,
		.huge_1g = cap & VMX_EPT_1GB_PAGE_BIT,
	};
}

/**
 * ept12_remember() - remember a table of EPT12 for ept12_translate_again()
 * @vcpu: the vCPU, whose thread's mm is vm->mm; in L2, whose L1 uses EPT
 * @l2_gpa: an address
 *
 * It is the table with the entry for the 4-KiB page at the address, if EPT12 has one there, and if the way to
 * it has no effect. Otherwise none is known afterwards.
 *
 * Context: Process context. May sleep. Caller holds vm->srcu for reading.
 */
void ept12_remember(struct vcpu *vcpu, gpa_t l2_gpa)
{
	struct ept12_place *p = &vcpu->nested.ept02.place;
	struct ept12_cfg cfg = l2gpa_cfg(vcpu, vcpu->nested.ept02.cur->eptp12);
	/* Read first: the slots may be replaced meanwhile. */
	u64 generation = memslot_generation(vcpu->vm);
	gpa_t table = cfg.eptp & EPT_ADDR_MASK;
	const struct memslot *slot;
	int level;

	p->eptp12 = 0;
	p->upper = EPT_RWX;
	if (l2_gpa >> EPT_GPA_BITS)
		return;
	for (level = EPT_ROOT_LEVEL; level > 1; level--) {
		gpa_t at = table + ept_index(l2_gpa, level) * sizeof(u64);
		u64 *entry = &p->entry[EPT_ROOT_LEVEL - level];

		slot = memslot_near(vcpu, at >> PAGE_SHIFT);
		if (!slot || !memslot_read_u64(slot, at, entry) || !ept12_leads_on(&cfg, *entry, level))
			return;
		p->at[EPT_ROOT_LEVEL - level] = memslot_user(slot, at);
		p->upper &= *entry;
		table = *entry & EPT_ADDR_MASK;
	}
	slot = memslot_near(vcpu, table >> PAGE_SHIFT);
	if (!slot)
		return;
	p->table = memslot_user(slot, table);
	p->table_gpa = table;
	p->region = ept12_region(l2_gpa);
	p->generation = generation;
	p->eptp12 = cfg.eptp;
}

/*
 * Read the entry for the page at @l2_gpa from the table that is remembered. Returns false if it is another one, or if an
 * entry above has changed.
 */
static __always_inline bool l2gpa_read_again(struct vcpu *vcpu, u64 eptp12, gpa_t l2_gpa, u64 *entry)
{
	struct ept12_place *p = &vcpu->nested.ept02.place;
	/* Pointers, which UBSAN does not watch: nothing may be called while user memory is open. */
	const u64 __user *const *at = p->at;
	const u64 *expected = p->entry;
	u64 upper;
	int i;

	if (p->eptp12 != eptp12 || p->region != ept12_region(l2_gpa))
		return false;
	/* The addresses are in slots, whose user addresses were checked. */
	if (p->generation != memslot_generation(vcpu->vm) || !user_read_access_begin(p->table, PAGE_SIZE)) {
		p->eptp12 = 0;
		return false;
	}
	for (i = 0; i < ARRAY_SIZE(p->at); i++) {
		unsafe_get_user(upper, at[i], failed);
		if (unlikely(upper != expected[i]))
			goto failed;
	}
	unsafe_get_user(*entry, p->table + ept_index(l2_gpa, 1), failed);
	user_read_access_end();
	return true;
failed:
	user_read_access_end();
	p->eptp12 = 0;
	return false;
}

/**
 * ept12_translate_again() - translate an L2 guest-physical address by the table of EPT12 that was used last
 * @vcpu: loaded, in L2, whose L1 uses EPT; the thread's mm is vm->mm
 * @l2_gpa: the address
 * @access: as for ept12_translate()
 * @out: as for ept12_translate()
 *
 * Context: Any; page faults may be disabled. Caller holds vm->srcu for reading.
 * Return: as ept12_translate(); EPT12_FAULT if that must do it.
 */
enum ept12_verdict ept12_translate_again(struct vcpu *vcpu, gpa_t l2_gpa, u64 access, struct ept12_result *out)
{
	const struct ept02 *e = &vcpu->nested.ept02;
	struct ept12_cfg cfg = l2gpa_cfg(vcpu, e->cur->eptp12);
	enum ept12_verdict verdict;
	u64 entry;

	if (!l2gpa_read_again(vcpu, cfg.eptp, l2_gpa, &entry))
		return EPT12_FAULT;
	verdict = ept12_end(&cfg, entry, e->place.upper, l2_gpa, access, out);
	if (verdict == EPT12_OK)
		out->entry_gpa = e->place.table_gpa + ept_index(l2_gpa, 1) * sizeof(entry);
	return verdict;
}

/* Whether the entries of a way are what they were. Their addresses are in slots, whose user addresses were checked. */
static __always_inline bool l2gpa_way_is(const struct ept12_way *w)
{
	/* Pointers: see l2gpa_read_again(). */
	const u64 __user *const *at = w->at;
	const u64 *expected = w->entry;
	u64 entry;
	int i;

	if (unlikely(!user_read_access_begin(at[0], sizeof(u64))))
		return false;
	for (i = 0; i < ARRAY_SIZE(w->at); i++) {
		unsafe_get_user(entry, at[i], failed);
		if (unlikely(entry != expected[i]))
			goto failed;
	}
	user_read_access_end();
	return true;
failed:
	user_read_access_end();
	return false;
}

/* A walk that notes the entries it reads. */
struct l2gpa_noting {
	struct vcpu *vcpu;
	struct ept12_way *way;
	int n;			/* entries read so far */
};

static int l2gpa_read_noting(void *ctx, u64 gpa, u64 *entry)
{
	struct l2gpa_noting *c = ctx;
	const struct memslot *slot = memslot_near(c->vcpu, gpa >> PAGE_SHIFT);

	if (!slot || c->n == EPT_ROOT_LEVEL || !memslot_read_u64(slot, gpa, entry))
		return -EFAULT;
	c->way->at[c->n] = memslot_user(slot, gpa);
	c->way->entry[c->n++] = *entry;
	return 0;
}

static int l2gpa_set_no_bits(void *ctx, u64 gpa, u64 old, u64 bits)
{
	return -EFAULT;
}

/**
 * ept12_note_way() - remember the entries of EPT12 by which an address is translated for reading and writing
 * @vcpu: the vCPU, whose thread's mm is vm->mm; in L2, whose L1 uses EPT
 * @l2_gpa: the address
 *
 * None are known afterwards if they do not allow the access, or a flag would have to be set.
 *
 * Context: Process context. May sleep. Caller holds vm->srcu for reading.
 */
void ept12_note_way(struct vcpu *vcpu, gpa_t l2_gpa)
{
	static const struct ept12_ops ops = { .read = l2gpa_read_noting, .set_bits = l2gpa_set_no_bits };
	struct ept12_way *w = &vcpu->nested.ept02.way;
	struct l2gpa_noting noting = { .vcpu = vcpu, .way = w };
	struct ept12_cfg cfg = l2gpa_cfg(vcpu, vcpu->nested.ept02.cur->eptp12);
	struct ept12_result r;

	w->eptp12 = 0;
	w->generation = memslot_generation(vcpu->vm);
	if (ept12_walk(&cfg, &ops, &noting, l2_gpa, EPT_READ | EPT_WRITE, &r) != EPT12_OK)
		return;
	for (; noting.n < EPT_ROOT_LEVEL; noting.n++) {
		w->at[noting.n] = w->at[noting.n - 1];
		w->entry[noting.n] = w->entry[noting.n - 1];
	}
	w->l2_page = l2_gpa & PAGE_MASK;
	w->l1_page = r.gpa & PAGE_MASK;
	w->eptp12 = cfg.eptp;
}

/**
 * ept12_same_way() - translate an address for reading and writing by the entries that were used last
 * @vcpu: loaded, in L2, whose L1 uses EPT
 * @gpa: the L2 guest-physical address; set to the L1 guest-physical one
 *
 * The entries are read again, so this is as exact as a walk, which would read the same ones and set no flag.
 *
 * Context: Process context. May sleep. Caller holds vm->srcu for reading.
 * Return: false if a walk must do it; @gpa is as it was then.
 */
bool ept12_same_way(struct vcpu *vcpu, u64 *gpa)
{
	const struct ept02 *e = &vcpu->nested.ept02;
	const struct ept12_way *w = &e->way;

	if (unlikely(!e->cur) || w->l2_page != (*gpa & PAGE_MASK) || w->eptp12 != e->cur->eptp12 ||
	    w->generation != memslot_generation(vcpu->vm) || current->mm != vcpu->vm->mm || !l2gpa_way_is(w))
		return false;
	*gpa = w->l1_page | offset_in_page(*gpa);
	return true;
}

/**
 * ept12_read_present() - read entries of a table of EPT12
 * @vcpu: the vCPU, whose thread's mm is vm->mm
 * @gpa: L1 guest-physical address of the first entry, a multiple of 8
 * @entries: filled
 * @want: the numbers of the entries to read, as bits; they are in one page
 *
 * Context: Process context. May sleep. Caller holds vm->srcu for reading.
 * Return: the numbers of those that are present, 0 if memory cannot be read; the others in @entries are undefined.
 */
unsigned long ept12_read_present(struct vcpu *vcpu, gpa_t gpa, u64 *entries, unsigned long want)
{
	const struct memslot *slot = memslot_near(vcpu, gpa >> PAGE_SHIFT);
	const u64 __user *from;
	unsigned long present = 0;
	int i;

	if (!slot)
		return 0;
	from = memslot_user(slot, gpa);
	if (!user_read_access_begin(from, BITS_PER_LONG * sizeof(u64)))
		return 0;
	for (i = 0; want >> i; i++) {
		if (!(want & BIT(i)))
			continue;
		unsafe_get_user(entries[i], from + i, failed);
		present |= entries[i] & EPT_RWX ? BIT(i) : 0;
	}
	user_read_access_end();
	return present;
failed:
	user_read_access_end();
	return 0;
}

/**
 * ept12_translate_afresh() - as ept12_translate_again(), by a whole walk, to compare the two
 * @vcpu: as for ept12_translate_again()
 * @l2_gpa: the address
 * @access: as for ept12_translate()
 * @out: as for ept12_translate()
 *
 * Context: As for ept12_translate_again().
 * Return: as ept12_translate(); EPT12_FAULT also if the walk would set a flag.
 */
enum ept12_verdict ept12_translate_afresh(struct vcpu *vcpu, gpa_t l2_gpa, u64 access, struct ept12_result *out)
{
	static const struct ept12_ops ops = { .read = l2gpa_read_entry, .set_bits = l2gpa_set_no_bits };
	struct ept12_cfg cfg = l2gpa_cfg(vcpu, vcpu->nested.ept02.cur->eptp12);

	return ept12_walk(&cfg, &ops, vcpu, l2_gpa, access, out);
}

/**
 * ept12_translate() - translate an L2 guest-physical address by L1's EPT12
 * @vcpu: loaded, in L2
 * @l2_gpa: the address
 * @access: EPT_READ, EPT_WRITE, EPT_EXEC as attempted
 * @out: the L1 guest-physical address and the rights, or the exit qualification for L1
 *
 * Sets accessed and dirty flags in EPT12 as the access would.
 *
 * The entries are read again each time: an EPT violation invalidates what a processor has cached of them (SDM 3C
 * 29.4.3.1).
 *
 * Context: Process context. May sleep. Caller holds vm->srcu for reading.
 * SDM 3C 29.3.
 * Return: EPT12_OK, or how the walk failed.
 */
enum ept12_verdict ept12_translate(struct vcpu *vcpu, gpa_t l2_gpa, u64 access,
				   struct ept12_result *out)
{
	struct ept02_root *r = vcpu->nested.ept02.cur;
	enum ept12_verdict verdict;
	struct ept12_cfg cfg;

	if (!r) {
		/* L1 does not use EPT: L2's guest-physical addresses are L1's. */
		*out = (struct ept12_result) {
			.gpa = l2_gpa,
			.rights = EPT_RWX,
			.level = 1,
			.memtype = EPT_WB,
			.dirty = true,
		};
		return EPT12_OK;
	}
	if (unlikely(current->mm != vcpu->vm->mm))
		return EPT12_FAULT;
	verdict = ept12_translate_again(vcpu, l2_gpa, access, out);
	if (verdict != EPT12_FAULT)
		return verdict;
	cfg = l2gpa_cfg(vcpu, r->eptp12);
	return ept12_walk(&cfg, &l2gpa_ops, vcpu, l2_gpa, access, out);
}

/* A walk that waits for the tables, up to a signal. */
struct l2gpa_awaiting {
	struct vcpu *vcpu;
	int err;		/* -EINTR after a signal */
};

static int l2gpa_read_awaited(void *ctx, u64 gpa, u64 *entry)
{
	struct l2gpa_awaiting *c = ctx;
	const struct memslot *slot = memslot_near(c->vcpu, gpa >> PAGE_SHIFT);

	if (!slot)
		return -EFAULT;
	c->err = memslot_await(slot, gpa);
	return !c->err && memslot_read_u64(slot, gpa, entry) ? 0 : -EFAULT;
}

/**
 * ept12_translate_or_signal() - as ept12_translate(), but a signal ends the wait for a table that is not there yet
 * @vcpu: loaded, in L2
 * @l2_gpa: the address
 * @access: as for ept12_translate()
 * @out: as for ept12_translate()
 * @verdict: what ept12_translate() returns, set if 0 is returned
 *
 * Context: Process context. May sleep. Caller holds vm->srcu for reading.
 * Return: 0; -EINTR if a signal came first.
 */
int ept12_translate_or_signal(struct vcpu *vcpu, gpa_t l2_gpa, u64 access, struct ept12_result *out,
			      enum ept12_verdict *verdict)
{
	static const struct ept12_ops ops = { .read = l2gpa_read_awaited, .set_bits = l2gpa_set_no_bits };
	struct l2gpa_awaiting awaiting = { .vcpu = vcpu };
	struct ept12_cfg cfg;

	pagefault_disable();
	*verdict = ept12_translate(vcpu, l2_gpa, access, out);
	pagefault_enable();
	if (likely(*verdict != EPT12_FAULT) || unlikely(current->mm != vcpu->vm->mm))
		return 0;
	cfg = l2gpa_cfg(vcpu, vcpu->nested.ept02.cur->eptp12);
	ept12_walk(&cfg, &ops, &awaiting, l2_gpa, access, out);
	if (!awaiting.err)
		*verdict = ept12_translate(vcpu, l2_gpa, access, out);
	return awaiting.err;
}
