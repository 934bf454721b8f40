// SPDX-License-Identifier: GPL-2.0
/* The walk of a guest's own page tables: 32-bit, PAE, 4-level and 5-level paging (SDM 3A 4.3 to 4.8). Pure. */
#include <linux/kernel.h>

#include "emul/pagewalk.h"

#define CR0_WP		BIT_ULL(16)
#define CR0_PG		BIT_ULL(31)
#define CR4_PSE		BIT_ULL(4)
#define CR4_PAE		BIT_ULL(5)
#define CR4_LA57	BIT_ULL(12)
#define CR4_SMEP	BIT_ULL(20)
#define CR4_SMAP	BIT_ULL(21)
#define CR4_PKE		BIT_ULL(22)
#define EFER_LMA_BIT	BIT_ULL(10)
#define EFER_NXE_BIT	BIT_ULL(11)

#define PTE_P		BIT_ULL(0)
#define PTE_W		BIT_ULL(1)
#define PTE_U		BIT_ULL(2)
#define PTE_A		BIT_ULL(5)
#define PTE_D		BIT_ULL(6)
#define PTE_PS		BIT_ULL(7)
#define PTE_NX		BIT_ULL(63)

/* Another processor may change an entry while its accessed flag is being set; the guest races with itself. */
#define MAX_RESTARTS	64

enum paging { PAGING_NONE, PAGING_32, PAGING_PAE, PAGING_LONG };

/* A walk on its way. */
struct walk {
	const struct pagewalk_cfg *cfg;
	enum paging paging;
	u32 access;
	u8 top;			/* level of the first table */
	u32 entry_bytes;
	u64 entry_gpa[6];	/* by level; tables of PAE's PDPTEs have none */
	u64 entry[6];
	u8 leaf;
};

static enum paging paging_mode(const struct pagewalk_cfg *cfg)
{
	if (!(cfg->cr0 & CR0_PG))
		return PAGING_NONE;
	if (!(cfg->cr4 & CR4_PAE))
		return PAGING_32;
	return cfg->efer & EFER_LMA_BIT ? PAGING_LONG : PAGING_PAE;
}

static u64 bits_from(u8 lo, u8 hi)
{
	return lo > hi ? 0 : GENMASK_ULL(hi, lo);
}

/* May the entry at @level map a page? */
static bool is_leaf(const struct walk *w, u64 entry, u8 level)
{
	if (level == 1)
		return true;
	if (!(entry & PTE_PS))
		return false;
	switch (w->paging) {
	case PAGING_32:
		return level == 2 && (w->cfg->cr4 & CR4_PSE);
	case PAGING_PAE:
		return level == 2;
	default:
		/* Without 1-GiB pages, PS is a reserved bit at level 3: see reserved_bits(). */
		return level == 2 || (level == 3 && w->cfg->gbpages);
	}
}

/* Bits that must be 0 in a present entry (SDM 3A tables 4-3 to 4-20, "reserved"). */
static u64 reserved_bits(const struct walk *w, u8 level, bool leaf)
{
	u8 maxphyaddr = w->cfg->maxphyaddr;
	u64 rsvd;

	if (w->paging == PAGING_32) {
		/* PSE-36: bits 20:13 hold address bits 39:32, as far as there are such (table 4-4). */
		if (level == 2 && leaf)
			return bits_from(maxphyaddr >= 40 ? 21 : maxphyaddr - 32 + 13, 21);
		return 0;
	}
	rsvd = bits_from(maxphyaddr, 51);
	if (w->paging == PAGING_PAE)
		rsvd |= bits_from(maxphyaddr, 62);
	if (!(w->cfg->efer & EFER_NXE_BIT))
		rsvd |= PTE_NX;
	if (level > 1 && leaf)
		rsvd |= bits_from(13, 12 + 9 * (level - 1) - 1);
	/* PS is reserved where no page can be mapped. */
	if (level >= 4 || (level == 3 && !leaf && w->paging == PAGING_LONG))
		rsvd |= PTE_PS;
	return rsvd;
}

/**
 * pagewalk_fault_code() - the error code of a page that is not present
 * @cfg: paging state
 * @access: of the access that faults
 */
u32 pagewalk_fault_code(const struct pagewalk_cfg *cfg, u32 access)
{
	bool nx = (cfg->cr4 & CR4_PAE) && (cfg->efer & EFER_NXE_BIT);
	u32 code = access & (PFERR_W | PFERR_U);

	/* I/D is reported only where fetches are told apart (SDM 3A 4.7). */
	if ((access & PFERR_ID) && (nx || (cfg->cr4 & CR4_SMEP)))
		code |= PFERR_ID;
	return code;
}

/* Access rights of a whole translation (SDM 3A 4.6.1). @rights: U, W and NX combined over all levels. */
static bool access_allowed(const struct walk *w, bool user_page, bool writable, bool nx)
{
	const struct pagewalk_cfg *cfg = w->cfg;
	bool user = w->access & PFERR_U, write = w->access & PFERR_W, fetch = w->access & PFERR_ID;

	if (user && !user_page)
		return false;
	if (fetch)
		return !nx && !(!user && user_page && (cfg->cr4 & CR4_SMEP));
	if (!user && user_page && (cfg->cr4 & CR4_SMAP) && !cfg->ac_override)
		return false;
	if (write && !writable)
		return !user && !(cfg->cr0 & CR0_WP);
	return true;
}

/* Protection keys for user pages (SDM 3A 4.6.2); data accesses only. */
static bool key_allows(const struct walk *w, u64 leaf, bool user_page)
{
	u32 key = (leaf >> 59) & 15, bits = w->cfg->pkru >> (2 * key);
	bool user = w->access & PFERR_U;

	if (w->paging != PAGING_LONG || !(w->cfg->cr4 & CR4_PKE) || !user_page || (w->access & PFERR_ID))
		return true;
	if (bits & 1)
		return false;
	return !((w->access & PFERR_W) && (bits & 2) && (user || (w->cfg->cr0 & CR0_WP)));
}

static void init_walk(struct walk *w, u64 *table)
{
	const struct pagewalk_cfg *cfg = w->cfg;

	w->entry_bytes = w->paging == PAGING_32 ? 4 : 8;
	switch (w->paging) {
	case PAGING_32:
		w->top = 2;
		*table = cfg->cr3 & 0xfffff000;
		break;
	case PAGING_PAE:
		/* The first level is in registers. */
		w->top = 2;
		break;
	default:
		w->top = cfg->cr4 & CR4_LA57 ? 5 : 4;
		*table = cfg->cr3 & GENMASK_ULL(51, 12);
		break;
	}
}

static u32 table_index(const struct walk *w, u64 la, u8 level)
{
	if (w->paging == PAGING_32)
		return (la >> (12 + 10 * (level - 1))) & 0x3ff;
	return (la >> (12 + 9 * (level - 1))) & 0x1ff;
}

static u64 leaf_gpa(const struct walk *w, u64 entry, u64 la)
{
	u32 shift;

	if (w->paging == PAGING_32) {
		if (w->leaf == 1)
			return (entry & 0xfffff000) | (la & 0xfff);
		return (entry & 0xffc00000) | (entry & bits_from(13, 20)) << 19 | (la & 0x3fffff);
	}
	shift = 12 + 9 * (w->leaf - 1);
	return (entry & bits_from(shift, 51)) | (la & (BIT_ULL(shift) - 1));
}

/* Accessed flags of all entries used, dirty flag of the leaf for a write (SDM 3A 4.8). 1: changed meanwhile. */
static int set_accessed_dirty(struct walk *w, const struct pagewalk_ops *ops, void *priv)
{
	u64 want;
	u8 level;
	int r;

	for (level = w->top; level >= w->leaf; level--) {
		want = w->entry[level] | PTE_A;
		if (level == w->leaf && (w->access & PFERR_W))
			want |= PTE_D;
		if (want == w->entry[level])
			continue;
		r = ops->compare_exchange(priv, w->entry_gpa[level], w->entry[level], want, w->entry_bytes);
		if (r)
			return r;
	}
	return 0;
}

static enum pagewalk_verdict fault(struct walk *w, struct pagewalk_result *out, u32 code)
{
	out->error_code = pagewalk_fault_code(w->cfg, w->access) | code;
	return PAGEWALK_FAULT;
}

/* One pass from the top. PAGEWALK_OK with w->leaf == 0 means: start over. */
static enum pagewalk_verdict walk_once(struct walk *w, const struct pagewalk_ops *ops, void *priv,
				       u64 la, struct pagewalk_result *out)
{
	bool user_page = true, writable = true, nx = false;
	u64 table = 0, entry = 0;
	u8 level;
	int r;

	init_walk(w, &table);
	if (w->paging == PAGING_PAE) {
		/* PDPTEs carry no rights; their reserved bits were checked when they were loaded. */
		entry = w->cfg->pdpte[(la >> 30) & 3];
		if (!(entry & PTE_P))
			return fault(w, out, 0);
		table = entry & GENMASK_ULL(51, 12);
	}
	for (level = w->top; ; level--) {
		w->entry_gpa[level] = table + table_index(w, la, level) * w->entry_bytes;
		entry = 0;
		if (ops->read(priv, w->entry_gpa[level], &entry, w->entry_bytes))
			return PAGEWALK_STOPPED;
		w->entry[level] = entry;
		if (!(entry & PTE_P))
			return fault(w, out, 0);
		if (entry & reserved_bits(w, level, is_leaf(w, entry, level)))
			return fault(w, out, PFERR_P | PFERR_RSVD);
		user_page = user_page && (entry & PTE_U);
		writable = writable && (entry & PTE_W);
		/* Bit 63 is NX only where NXE makes it so; without, it was reserved. */
		nx = nx || (w->paging != PAGING_32 && (entry & PTE_NX));
		if (is_leaf(w, entry, level))
			break;
		table = w->paging == PAGING_32 ? entry & 0xfffff000 : entry & GENMASK_ULL(51, 12);
	}
	w->leaf = level;
	if (!access_allowed(w, user_page, writable, nx))
		return fault(w, out, PFERR_P);
	if (!key_allows(w, entry, user_page))
		return fault(w, out, PFERR_P | PFERR_PK);
	r = set_accessed_dirty(w, ops, priv);
	if (r < 0)
		return PAGEWALK_STOPPED;
	if (r)
		w->leaf = 0;
	return PAGEWALK_OK;
}

/**
 * pagewalk() - translate a linear address as the processor would
 * @cfg: the guest's paging state
 * @ops: access to its tables
 * @priv: handed to @ops
 * @la: linear address; its canonicity is the caller's concern
 * @access: PFERR_W, PFERR_U, PFERR_ID in any sensible combination
 * @out: where the byte is, or why not
 *
 * Accessed and dirty flags are set when the access is allowed.
 */
enum pagewalk_verdict pagewalk(const struct pagewalk_cfg *cfg, const struct pagewalk_ops *ops, void *priv,
			       u64 la, u32 access, struct pagewalk_result *out)
{
	struct walk w = { .cfg = cfg, .access = access, .paging = paging_mode(cfg) };
	enum pagewalk_verdict verdict;
	int i;

	out->error_code = 0;
	out->level = 0;
	if (!(cfg->efer & EFER_LMA_BIT))
		la = (u32)la;
	if (w.paging == PAGING_NONE) {
		out->gpa = la;
		return PAGEWALK_OK;
	}
	for (i = 0; i < MAX_RESTARTS; i++) {
		verdict = walk_once(&w, ops, priv, la, out);
		if (verdict != PAGEWALK_OK)
			return verdict;
		if (w.leaf) {
			out->level = w.leaf;
			out->gpa = leaf_gpa(&w, w.entry[w.leaf], la);
			return PAGEWALK_OK;
		}
	}
	/* The guest keeps changing the entries it walks through: as if the translation had been lost just now. */
	return fault(&w, out, 0);
}
