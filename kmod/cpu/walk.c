// SPDX-License-Identifier: GPL-2.0
/* Linear addresses of the running level: a walk of its page tables and, for an L2 with EPT, of EPT12 below them. */
#include <linux/mm.h>
#include <asm/vmx.h>
#include <asm/trapnr.h>
#include "droste.h"
#include "cpu/walk.h"
#include "emul/arch.h"
#include "emul/insn.h"
#include "emul/pagewalk.h"
#include "ept/ept12.h"
#include "mem/l2gpa.h"
#include "mem/memslot.h"
#include "vmx/inject.h"
#include "vmx/regs.h"
#include "vmx/vmx.h"

/* Exit qualification of an EPT violation (SDM 3C table 28-7): GLA is valid; the access was to its translation. */
#define EPT_QUAL_GLA_VALID	BIT_ULL(7)
#define EPT_QUAL_TRANSLATED	BIT_ULL(8)

/* State that the callbacks of one walk share. */
struct walk_priv {
	struct vcpu *vcpu;
	enum walk_status status;	/* why a callback stopped the walk */
	struct walk_fault *fault;
};

static bool walk_has_ept12(const struct vcpu *vcpu)
{
	return vcpu->in_l2 && vcpu->nested.ept02.cur;
}

/* Translate @gpa of the running level to an L1 GPA. @qual: further bits of the exit qualification that L1 may see. */
static enum walk_status walk_l1_gpa(struct vcpu *vcpu, u64 gpa, u64 access, u64 qual, gpa_t *l1_gpa,
				  struct walk_fault *fault)
{
	struct ept12_result res;

	if (!walk_has_ept12(vcpu)) {
		*l1_gpa = gpa;
		return WALK_OK;
	}
	fault->ept_gpa = gpa;
	switch (ept12_translate(vcpu, gpa, access, &res)) {
	case EPT12_OK:
		*l1_gpa = res.gpa;
		return WALK_OK;
	case EPT12_VIOLATION:
		fault->ept_reason = EXIT_REASON_EPT_VIOLATION;
		fault->ept_qual = access | res.qual | qual;
		return WALK_EPT;
	default:
		fault->ept_reason = EXIT_REASON_EPT_MISCONFIG;
		fault->ept_qual = 0;
		return WALK_EPT;
	}
}

/* With EPTP.AD, an access to the guest's paging structures counts as a write, too (SDM 3C 29.3.5). */
static enum walk_status walk_table_gpa(struct walk_priv *p, u64 gpa, u64 access, gpa_t *l1_gpa)
{
	struct vcpu *vcpu = p->vcpu;

	if (walk_has_ept12(vcpu) && (vcpu->nested.ept02.cur->eptp12 & EPTP_AD))
		access |= EPT_READ | EPT_WRITE;
	return walk_l1_gpa(vcpu, gpa, access, EPT_QUAL_GLA_VALID, l1_gpa, p->fault);
}

static int walk_read_entry(void *priv, u64 gpa, void *entry, u32 bytes)
{
	struct walk_priv *p = priv;
	gpa_t l1_gpa;

	p->status = walk_table_gpa(p, gpa, EPT_READ, &l1_gpa);
	if (p->status != WALK_OK)
		return -EIO;
	if (bytes == sizeof(u64) ? !vm_read_guest_u64(p->vcpu->vm, l1_gpa, entry) :
				   !vm_read_guest(p->vcpu->vm, l1_gpa, entry, bytes))
		return 0;
	p->status = WALK_NOMEM;
	return -EFAULT;
}

static int walk_cmpxchg_entry(void *priv, u64 gpa, u64 old, u64 new, u32 bytes)
{
	struct walk_priv *p = priv;
	gpa_t l1_gpa;
	int ret;

	p->status = walk_table_gpa(p, gpa, EPT_READ | EPT_WRITE, &l1_gpa);
	if (p->status != WALK_OK)
		return -EIO;
	ret = vm_cmpxchg_guest(p->vcpu->vm, l1_gpa, &old, new, bytes);
	if (ret < 0)
		p->status = WALK_NOMEM;
	return ret;
}

static const struct pagewalk_ops walk_ops = {
	.read = walk_read_entry,
	.compare_exchange = walk_cmpxchg_entry,
};

/**
 * walk_prepare() - collect the paging state of the running level
 * @vcpu: loaded
 * @cfg: filled; valid until the guest runs or its control registers change
 *
 * Context: Process context. The current VMCS is that of the running level.
 */
void walk_prepare(struct vcpu *vcpu, struct pagewalk_cfg *cfg)
{
	*cfg = (struct pagewalk_cfg) {
		.cr0 = vcpu_cr0(vcpu),
		.cr3 = vcpu_cr3(vcpu),
		.cr4 = vcpu_cr4(vcpu),
		.efer = vcpu->efer,
		.pkru = vcpu->pkru,
		.maxphyaddr = vcpu->gcaps.maxphyaddr,
		.gbpages = vcpu->gcaps.pdpe1gb,
		/* Implicit supervisor accesses from user mode ignore AC (SDM 3A 4.6.1). */
		.ac_override = (vcpu_rflags(vcpu) & X86_EFLAGS_AC) && vcpu_cpl(vcpu) < 3,
	};
	if ((cfg->cr0 & X86_CR0_PG) && (cfg->cr4 & X86_CR4_PAE) && !(cfg->efer & EFER_LMA)) {
		cfg->pdpte[0] = vmcs_read(GUEST_PDPTR0);
		cfg->pdpte[1] = vmcs_read(GUEST_PDPTR1);
		cfg->pdpte[2] = vmcs_read(GUEST_PDPTR2);
		cfg->pdpte[3] = vmcs_read(GUEST_PDPTR3);
	}
}

static u64 walk_ept_access(u32 access)
{
	if (access & WALK_FETCH)
		return EPT_EXEC;
	return access & WALK_WRITE ? EPT_WRITE : EPT_READ;
}

static enum walk_status walk_pf(struct walk_fault *fault, u64 gva, u32 error_code)
{
	fault->pf = (struct event) {
		.valid = true,
		.vector = X86_TRAP_PF,
		.type = INTR_TYPE_HARD_EXCEPTION,
		.has_error = true,
		.error_code = error_code,
		.has_payload = true,
		.payload = gva,
	};
	return WALK_PF;
}

/**
 * walk_gva() - translate one linear address of the running level
 * @vcpu: loaded
 * @cfg: from walk_prepare()
 * @gva: linear address
 * @access: WALK_* bits
 * @gpa: the L1 GPA, set with WALK_OK
 * @fault: set with WALK_PF and WALK_EPT
 *
 * Sets accessed and dirty flags as the access would.
 *
 * Context: Process context. May sleep. Caller holds vm->srcu for reading.
 * SDM 3A 4.7.
 * Return: WALK_OK, WALK_PF or WALK_EPT.
 */
enum walk_status walk_gva(struct vcpu *vcpu, const struct pagewalk_cfg *cfg, u64 gva, u32 access,
			  gpa_t *gpa, struct walk_fault *fault)
{
	struct walk_priv priv = { .vcpu = vcpu, .fault = fault };
	struct pagewalk_result res;

	if (!(cfg->efer & EFER_LMA))
		gva = (u32)gva;
	fault->gla = gva;
	switch (pagewalk(cfg, &walk_ops, &priv, gva, access, &res)) {
	case PAGEWALK_OK:
		return walk_l1_gpa(vcpu, res.gpa, walk_ept_access(access), EPT_QUAL_GLA_VALID | EPT_QUAL_TRANSLATED,
				 gpa, fault);
	case PAGEWALK_FAULT:
		return walk_pf(fault, gva, res.error_code);
	default:
		if (priv.status != WALK_NOMEM)
			return priv.status;
		/* A table at an address without memory has no present entries. KVM treats it so, too. */
		return walk_pf(fault, gva, pagewalk_fault_code(cfg, access));
	}
}

/* Bits of an entry of 4-level paging that a walk looks at which is simple (SDM 3A 4.5.4). */
#define WALK_P		BIT_ULL(0)
#define WALK_RW		BIT_ULL(1)
#define WALK_U		BIT_ULL(2)
#define WALK_A		BIT_ULL(5)
#define WALK_D		BIT_ULL(6)
#define WALK_PS		BIT_ULL(7)
#define WALK_NX		BIT_ULL(63)
#define WALK_TABLE	GENMASK_ULL(51, PAGE_SHIFT)

/* The context of a walk of EPT12 that is a part of a walk to record. */
struct walk_outer {
	struct vcpu *vcpu;
	struct page_walk *w;
};

/* Read an entry of L1's memory, and record it. Returns 0 or -EFAULT. */
static int walk_record_entry(void *ctx, u64 gpa, u64 *entry)
{
	struct walk_outer *o = ctx;
	struct page_walk *w = o->w;
	const struct memslot *slot = memslot_near(o->vcpu, gpa >> PAGE_SHIFT);

	if (!slot || w->nr >= WALK_ENTRIES || !memslot_read_u64(slot, gpa, entry))
		return -EFAULT;
	w->at[w->nr] = memslot_user(slot, gpa);
	w->entry[w->nr++] = *entry;
	return 0;
}

/* A walk that sets a flag is not simple. */
static int walk_set_no_bits(void *ctx, u64 gpa, u64 old, u64 bits)
{
	return -EFAULT;
}

/*
 * Translate @gpa of the running level to an L1 GPA, and record the walk of EPT12 if there is one. Returns false if EPT12
 * does not allow the access, or is not simple.
 */
static bool walk_outer(struct vcpu *vcpu, struct page_walk *w, u64 access, gpa_t *gpa)
{
	static const struct ept12_ops ops = { .read = walk_record_entry, .set_bits = walk_set_no_bits };
	struct walk_outer o = { .vcpu = vcpu, .w = w };
	struct ept12_result res;
	struct ept12_cfg cfg;

	if (!w->eptp12)
		return true;
	cfg = l2gpa_cfg(vcpu, w->eptp12);
	if (ept12_walk(&cfg, &ops, &o, *gpa, access, &res) != EPT12_OK)
		return false;
	*gpa = res.gpa;
	return true;
}

/*
 * Read and record the next entry, number @index of the table that @entry points
 * to. @wanted are the bits in which it must be WALK_P | WALK_A. Returns the entry,
 * 0 if it is not simple.
 */
static u64 walk_step(struct vcpu *vcpu, struct page_walk *w, u64 index, u64 wanted, u64 entry)
{
	gpa_t at = (entry & WALK_TABLE) + (index & 0x1ff) * sizeof(entry);
	struct walk_outer o = { .vcpu = vcpu, .w = w };
	/* With EPTP.AD, an access to a paging structure counts as a write, too (SDM 3C 29.3.5). */
	u64 access = w->eptp12 & EPTP_AD ? EPT_READ | EPT_WRITE : EPT_READ;

	if (!walk_outer(vcpu, w, access, &at) || walk_record_entry(&o, at, &entry) || (entry & wanted) != (WALK_P | WALK_A))
		return 0;
	return entry;
}

/* Whether a walk is to data of L1's kernel. */
static bool walk_is_data(const struct vcpu *vcpu, const struct page_walk *w)
{
	return w == &vcpu->data_walk || w == &vcpu->store_walk;
}

/* Whether the page tables allow the access. @all are the bits that all entries of the walk have, @entry is the last one. */
static bool walk_allows(const struct vcpu *vcpu, const struct page_walk *w, u64 all, u64 entry)
{
	/* A store needs write access, even if CR0.WP is clear, and a page that is dirty already. */
	if (w == &vcpu->store_walk && !((all & WALK_RW) && (entry & WALK_D)))
		return false;
	/* SMAP and protection keys may forbid the kernel's accesses to user pages. */
	if (walk_is_data(vcpu, w))
		return !((all & WALK_U) && (w->cr4 & (X86_CR4_SMAP | X86_CR4_PKE)));
	return w->user ? all & WALK_U : !((all & WALK_U) && (w->cr4 & X86_CR4_SMEP));
}

/*
 * Walk to the page of @la, and record the walk. Simple are 4-level tables in memory,
 * whose entries are accessed already, have no reserved bit set, and allow the
 * access. Returns false if it is not simple; w->nr is 0 then, or too small.
 */
static noinline bool walk_record(struct vcpu *vcpu, u64 la, struct page_walk *w)
{
	/* NX forbids the fetch, or is reserved. walk_read() has found out that it is not. */
	u64 nx = walk_is_data(vcpu, w) ? 0 : WALK_NX;
	u64 wanted = WALK_P | WALK_A | nx | GENMASK_ULL(51, vcpu->gcaps.maxphyaddr);
	u64 entry = w->cr3, all = ~0ULL;
	const struct memslot *slot;
	int shift = 39;
	gpa_t gpa;

	w->nr = 0;
	if (w->cr4 & X86_CR4_LA57)
		return false;
	for (; shift >= PAGE_SHIFT; shift -= 9) {
		entry = walk_step(vcpu, w, la >> shift, wanted | (shift == 39 ? WALK_PS : 0), entry);
		if (!entry)
			return false;
		all &= entry;
		if (shift == PAGE_SHIFT || (entry & WALK_PS))
			break;
	}
	if (shift > PAGE_SHIFT && (entry & GENMASK_ULL(shift - 1, 13)))
		return false;
	if (shift == 30 && !vcpu->gcaps.pdpe1gb)
		return false;
	if (!walk_allows(vcpu, w, all, entry))
		return false;
	gpa = (entry & GENMASK_ULL(51, shift)) | (la & (BIT_ULL(shift) - 1) & PAGE_MASK);
	if (!walk_outer(vcpu, w, w == &vcpu->data_walk ? EPT_READ : EPT_EXEC, &gpa))
		return false;
	slot = memslot_near(vcpu, gpa >> PAGE_SHIFT);
	if (!slot)
		return false;
	/* A change of the flags makes a new generation of the slots. */
	if (w == &vcpu->store_walk && (slot->flags & (KVM_MEM_READONLY | KVM_MEM_LOG_DIRTY_PAGES)))
		return false;
	w->to = (const u8 __user *)memslot_user(slot, gpa);
	return true;
}

/*
 * Whether the entries of a recorded walk are what they were. The caller has opened user memory: the addresses of the entries
 * were checked when they were recorded.
 */
static __always_inline bool walk_compare(const struct page_walk *w)
{
	/* Pointers, which UBSAN does not watch: nothing may be called while user memory is open. */
	const u64 __user *const *at = w->at;
	const u64 *expected = w->entry;
	u64 entry;
	int i;

	for (i = 0; i < w->nr; i++) {
		unsafe_get_user(entry, at[i], failed);
		if (unlikely(entry != expected[i]))
			return false;
	}
	return true;
failed:
	return false;
}

/*
 * Read 15 bytes of the page that a recorded walk ends at, as two words, if the
 * entries are what they were. Returns false if they are not, or if memory cannot
 * be read.
 */
static __always_inline bool walk_repeat(const struct page_walk *w, u32 offset, u64 *words)
{
	const u8 __user *from = w->to + offset;

	if (!user_read_access_begin(from, INSN_MAX))
		return false;
	if (unlikely(!walk_compare(w)))
		goto failed;
	unsafe_get_user(words[0], (const u64 __user *)from, failed);
	unsafe_get_user(words[1], (const u64 __user *)(from + INSN_MAX - 8), failed);
	user_read_access_end();
	return true;
failed:
	user_read_access_end();
	return false;
}

/* As walk_repeat(), for @n words of 8 bytes. */
static __always_inline bool walk_repeat_words(const struct page_walk *w, u32 offset, u64 *words, u32 n)
{
	const u64 __user *from = (const u64 __user *)(w->to + offset);
	u32 i;

	if (!user_read_access_begin(from, n * sizeof(*from)))
		return false;
	if (unlikely(!walk_compare(w)))
		goto failed;
	for (i = 0; i < n; i++)
		unsafe_get_user(words[i], from + i, failed);
	user_read_access_end();
	return true;
failed:
	user_read_access_end();
	return false;
}

/*
 * Whether the recorded walk is one to the page of @la in the present paging mode. If not, it is made one that
 * walk_record() can fill, and has no entries. @eptp12: 0 in L1.
 */
static __always_inline bool walk_is_of(struct vcpu *vcpu, struct page_walk *w, bool user, u64 eptp12, u64 la)
{
	u64 cr3 = vmcs_read(GUEST_CR3), cr4 = vmcs_read(GUEST_CR4), generation = memslot_generation(vcpu->vm);

	if (likely(w->nr && w->page == (la & PAGE_MASK) && w->cr3 == cr3 && w->cr4 == cr4 &&
		   w->generation == generation && w->user == user && (!eptp12 || w->eptp12 == eptp12)))
		return true;
	w->generation = generation;
	w->cr3 = cr3;
	w->cr4 = cr4;
	if (eptp12)
		w->eptp12 = eptp12;
	w->page = la & PAGE_MASK;
	w->user = user;
	w->nr = 0;
	return false;
}

/* Read 15 bytes at @la, if that is simple. @user: the CPL is 3. @eptp12: 0 in L1. See walk_fetch(). */
static __always_inline bool walk_page(struct vcpu *vcpu, struct page_walk *w, bool user, u64 eptp12, u64 la, u64 *words)
{
	if (offset_in_page(la) > PAGE_SIZE - INSN_MAX)
		return false;
	if (likely(walk_is_of(vcpu, w, user, eptp12, la)) && walk_repeat(w, offset_in_page(la), words))
		return true;
	if (walk_record(vcpu, la, w) && walk_repeat(w, offset_in_page(la), words))
		return true;
	w->nr = 0;
	return false;
}

/**
 * walk_fetch() - read the instruction that exited, if that is simple
 * @vcpu: loaded, in 64-bit mode, at any level
 * @la: RIP
 * @words: bytes 0 to 7 and 7 to 14 at RIP
 *
 * The last walk is recorded. A driver accesses its device from few places, so the
 * next one often goes the same way: then its entries are only read and compared.
 * walk_gva() finds the same address, but takes several times as long.
 *
 * Context: Process context. May sleep. The thread's mm is vm->mm; caller holds
 * vm->srcu for reading.
 * Return: true with @words set; false if the tables are not simple, see
 * walk_record(), or the instruction may cross the end of its page.
 */
bool walk_fetch(struct vcpu *vcpu, u64 la, u64 *words)
{
	bool user = vcpu_cpl(vcpu) == 3;

	if (!walk_has_ept12(vcpu))
		return walk_page(vcpu, &vcpu->code_walk, user, 0, la, words);
	return walk_page(vcpu, &vcpu->code_walk2, user, vcpu->nested.ept02.cur->eptp12, la, words);
}

/**
 * walk_read() - read 15 bytes of data of L1's kernel, if that is simple
 * @vcpu: loaded, in L1, in 64-bit mode at CPL 0
 * @la: the linear address
 * @words: bytes 0 to 7 and 7 to 14 at @la
 *
 * Context: as walk_fetch().
 * Return: true with @words set; false if the tables are not simple, or map a user page that may be forbidden, or the bytes
 * may cross the end of their page.
 */
bool walk_read(struct vcpu *vcpu, u64 la, u64 *words)
{
	return (vcpu->efer & EFER_NX) && walk_page(vcpu, &vcpu->data_walk, false, 0, la, words);
}

/* As walk_compare(), for a caller that has not opened user memory. */
static __always_inline bool walk_is_same(const struct page_walk *w)
{
	bool same;

	if (!user_read_access_begin(w->at[0], sizeof(w->entry[0])))
		return false;
	same = walk_compare(w);
	user_read_access_end();
	return same;
}

/**
 * walk_device() - translate the address of a store of L2 by EPT12, if that is simple
 * @vcpu: loaded, in L2, whose L1 uses EPT
 * @l2_gpa: the address
 * @l1_gpa: set with true
 *
 * The last walk is recorded, as for walk_fetch(). ept12_translate() finds the same address.
 *
 * Context: Any; page faults may be disabled. The thread's mm is vm->mm; caller holds vm->srcu for reading.
 * Return: true with @l1_gpa set; false if EPT12 does not allow the store, or if the walk has to set a flag.
 */
bool walk_device(struct vcpu *vcpu, gpa_t l2_gpa, gpa_t *l1_gpa)
{
	u64 generation = memslot_generation(vcpu->vm), eptp12 = vcpu->nested.ept02.cur->eptp12;
	struct page_walk *w = &vcpu->device_walk;
	gpa_t gpa = l2_gpa & PAGE_MASK;

	if (unlikely(!w->nr || w->page != gpa || w->eptp12 != eptp12 || w->generation != generation || !walk_is_same(w))) {
		*w = (struct page_walk) { .generation = generation, .eptp12 = eptp12, .page = gpa };
		if (!walk_outer(vcpu, w, EPT_WRITE, &gpa)) {
			w->nr = 0;
			return false;
		}
		w->gpa = gpa;
	}
	*l1_gpa = w->gpa | (l2_gpa & ~PAGE_MASK);
	return true;
}

/**
 * walk_code() - read code of L1's kernel, if that is simple
 * @vcpu: loaded, in L1, in 64-bit mode at CPL 0
 * @w: a walk that only such calls use; all zeroes before the first one
 * @la: the linear address
 * @words: filled
 * @n: number of 8-byte words; they do not cross the end of the page
 *
 * Context: as walk_fetch().
 * Return: true with @words set; false if the tables are not simple or forbid the fetch: see walk_record().
 */
bool walk_code(struct vcpu *vcpu, struct page_walk *w, u64 la, u64 *words, u32 n)
{
	if (likely(walk_is_of(vcpu, w, false, 0, la)) && walk_repeat_words(w, offset_in_page(la), words, n))
		return true;
	if (walk_record(vcpu, la, w) && walk_repeat_words(w, offset_in_page(la), words, n))
		return true;
	w->nr = 0;
	return false;
}

/* Write a number to the page that a recorded walk ends at, in one access, as walk_repeat() reads. */
static bool walk_put(const struct page_walk *w, u32 offset, u64 val, u32 bytes)
{
	u8 __user *to = (u8 __user *)w->to + offset;

	if (!user_access_begin(to, bytes))
		return false;
	if (unlikely(!walk_compare(w)))
		goto failed;
	switch (bytes) {
	case 1:
		unsafe_put_user((u8)val, to, failed);
		break;
	case 2:
		unsafe_put_user((u16)val, (u16 __user *)to, failed);
		break;
	case 4:
		unsafe_put_user((u32)val, (u32 __user *)to, failed);
		break;
	default:
		unsafe_put_user(val, (u64 __user *)to, failed);
	}
	user_access_end();
	return true;
failed:
	user_access_end();
	return false;
}

/**
 * walk_write() - write a number to data of L1's kernel, if that is simple
 * @vcpu: loaded, in L1, in 64-bit mode at CPL 0
 * @la: the linear address, not necessarily aligned
 * @val: the number
 * @bytes: its size: 1, 2, 4 or 8
 *
 * Context: as walk_fetch().
 * Return: true if it was written; false if nothing was: the tables are not simple, the page is not dirty yet, or is a user
 * page that may be forbidden, the memory slot is read-only or logs writes, or the number crosses the end of its page.
 */
bool walk_write(struct vcpu *vcpu, u64 la, u64 val, u32 bytes)
{
	struct page_walk *w = &vcpu->store_walk;

	if (!(vcpu->efer & EFER_NX) || !arch_canonical(la, 48) || offset_in_page(la) > PAGE_SIZE - bytes)
		return false;
	if (likely(walk_is_of(vcpu, w, false, 0, la)) && walk_put(w, offset_in_page(la), val, bytes))
		return true;
	if (walk_record(vcpu, la, w) && walk_put(w, offset_in_page(la), val, bytes))
		return true;
	w->nr = 0;
	return false;
}

/**
 * walk_reflect_ept() - turn vcpu->exit into the EPT exit of a failed walk
 * @vcpu: loaded, in L2; its registers have the values that L1 shall see
 * @fault: of a walk that returned WALK_EPT
 *
 * L1 sees an exit that the access itself caused, instead of the exit that L0
 * is emulating.
 *
 * Context: Process context. Caller holds vcpu->mutex.
 * Return: NEXT_REFLECT, which the handler returns at once.
 */
int walk_reflect_ept(struct vcpu *vcpu, const struct walk_fault *fault)
{
	struct vmx_exit *e = &vcpu->exit;

	vcpu->exits_reflected[e->basic]++;
	e->reason = fault->ept_reason;
	e->basic = fault->ept_reason;
	e->qual = fault->ept_qual;
	e->gpa = fault->ept_gpa;
	e->gla = fault->gla;
	e->intr_info = 0;
	return NEXT_REFLECT;
}

/**
 * walk_l2_gpa() - translate a guest-physical address that L2 has given to L0
 * @vcpu: loaded, in L2; vcpu->exit is the exit of an instruction
 * @gpa: the address, which is legal for L2
 * @access: EPT_READ, EPT_WRITE
 * @l1_gpa: set to the L1 guest-physical address
 *
 * The exit to L1 has no linear address (SDM 3C table 28-7).
 *
 * Context: Process context. May sleep. Caller holds vm->srcu for reading.
 * Return: NEXT_GO_ON; NEXT_REFLECT if L1's EPT does not allow the access: vcpu->exit is the exit that L1 gets.
 */
int walk_l2_gpa(struct vcpu *vcpu, u64 gpa, u64 access, gpa_t *l1_gpa)
{
	struct walk_fault fault = {};

	return walk_l1_gpa(vcpu, gpa, access, 0, l1_gpa, &fault) == WALK_OK ? NEXT_GO_ON : walk_reflect_ept(vcpu, &fault);
}

/**
 * walk_reflect_pdptrs() - turn vcpu->exit into the EPT exit of a load of the PDPTEs
 * @vcpu: loaded, in L2 at a MOV to a control register; vmx_load_pdptrs() returned -EFAULT
 * @cr3: the CR3 that points to the PDPTEs
 *
 * The exit has no linear address (SDM 3C table 28-7).
 *
 * Context: Process context. May sleep. Caller holds vm->srcu for reading.
 * Return: NEXT_REFLECT; NEXT_ENTER if L1's EPT maps them now, so that the instruction is to be executed again.
 */
int walk_reflect_pdptrs(struct vcpu *vcpu, u64 cr3)
{
	struct walk_fault fault = {};
	gpa_t l1_gpa;

	if (walk_l1_gpa(vcpu, cr3 & GENMASK_ULL(31, 5), EPT_READ, 0, &l1_gpa, &fault) != WALK_EPT)
		return NEXT_ENTER;
	return walk_reflect_ept(vcpu, &fault);
}

/* The result of the functions below after a walk. An exception is stored in @event, or queued if @event is NULL. */
static int walk_result(struct vcpu *vcpu, enum walk_status status, const struct walk_fault *fault,
		       struct event *event)
{
	if (event)
		event->valid = false;
	switch (status) {
	case WALK_OK:
		return NEXT_GO_ON;
	case WALK_PF:
		if (event)
			*event = fault->pf;
		else
			vcpu_queue_event(vcpu, &fault->pf);
		return NEXT_ENTER;
	case WALK_EPT:
		return walk_reflect_ept(vcpu, fault);
	default:
		return -EFAULT;
	}
}

static u32 walk_in_page(u64 addr, u32 len)
{
	return min_t(u32, len, PAGE_SIZE - (addr & ~PAGE_MASK));
}

/**
 * vcpu_read_gva() - read linear memory of the running level
 * @vcpu: loaded
 * @gva: linear address; pages are read in ascending order
 * @data: filled
 * @len: number of bytes
 * @access: WALK_USER and WALK_FETCH as they apply
 * @fault: NULL to have an exception queued; else the exception is stored here,
 *	   and fault->valid is false if there is none
 *
 * Context: Process context. May sleep. Caller holds vm->srcu for reading.
 * Return: NEXT_GO_ON; NEXT_ENTER if the access raises an exception;
 * NEXT_REFLECT if it causes an EPT exit to L1; -EFAULT if there is no memory
 * at the address. The handler returns any value but NEXT_GO_ON at once.
 */
int vcpu_read_gva(struct vcpu *vcpu, u64 gva, void *data, u32 len, u32 access, struct event *fault)
{
	struct pagewalk_cfg cfg;
	struct walk_fault wf;
	enum walk_status status;
	gpa_t gpa;
	u32 n;

	walk_prepare(vcpu, &cfg);
	for (; len; len -= n, gva += n, data += n) {
		n = walk_in_page(gva, len);
		status = walk_gva(vcpu, &cfg, gva, access, &gpa, &wf);
		if (status != WALK_OK)
			return walk_result(vcpu, status, &wf, fault);
		if (vm_read_guest(vcpu->vm, gpa, data, n))
			return -EFAULT;
	}
	return NEXT_GO_ON;
}

/**
 * vcpu_write_gva() - write linear memory of the running level
 * @vcpu: loaded
 * @gva: linear address
 * @data: bytes to write
 * @len: number of bytes
 * @access: WALK_USER as it applies; WALK_WRITE is implied
 * @fault: as for vcpu_read_gva()
 *
 * All pages are translated before the first byte is written, so a fault on the
 * second page leaves the first one unchanged.
 *
 * Context: Process context. May sleep. Caller holds vm->srcu for reading.
 * Return: as vcpu_read_gva(); -EFAULT also if the memory is read-only.
 */
int vcpu_write_gva(struct vcpu *vcpu, u64 gva, const void *data, u32 len, u32 access, struct event *fault)
{
	struct pagewalk_cfg cfg;
	struct walk_fault wf;
	enum walk_status status;
	u64 at;
	gpa_t gpa;
	u32 n, left;

	walk_prepare(vcpu, &cfg);
	for (at = gva, left = len; left; left -= n, at += n) {
		n = walk_in_page(at, left);
		status = walk_gva(vcpu, &cfg, at, access | WALK_WRITE, &gpa, &wf);
		if (status != WALK_OK)
			return walk_result(vcpu, status, &wf, fault);
	}
	for (; len; len -= n, gva += n, data += n) {
		n = walk_in_page(gva, len);
		status = walk_gva(vcpu, &cfg, gva, access | WALK_WRITE, &gpa, &wf);
		if (status != WALK_OK)
			return walk_result(vcpu, status, &wf, fault);
		if (vm_write_guest(vcpu->vm, gpa, data, n))
			return -EFAULT;
	}
	return NEXT_GO_ON;
}
