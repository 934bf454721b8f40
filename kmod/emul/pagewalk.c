// SPDX-License-Identifier: GPL-2.0
/* The walk of a guest's page tables: 32-bit, PAE, 4-level and 5-level paging (SDM 3A 4.3 to 4.8). Pure. */
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

/* Limits the restarts when other processors of the guest change entries during the walk. */
#define PAGEWALK_RESTARTS	64

enum paging { PAGING_NONE, PAGING_32, PAGING_PAE, PAGING_LONG };

/* The state of a walk. */
struct pagewalk_state {
	const struct pagewalk_cfg *cfg;
	enum paging paging;
	u32 access;
	u8 top;			/* level of the first table */
	u32 entry_bytes;
	u64 entry_gpa[6];	/* by level; PDPTEs of PAE paging have no address */
	u64 entry[6];
	u8 leaf;
};

static enum paging pagewalk_mode(const struct pagewalk_cfg *cfg)
{
	if (!(cfg->cr0 & CR0_PG))
		return PAGING_NONE;
	if (!(cfg->cr4 & CR4_PAE))
		return PAGING_32;
	return cfg->efer & EFER_LMA_BIT ? PAGING_LONG : PAGING_PAE;
}

static u64 pagewalk_bits(u8 lo, u8 hi)
{
	return lo > hi ? 0 : GENMASK_ULL(hi, lo);
}

/* Does the entry at @level map a page? */
static bool pagewalk_is_leaf(const struct pagewalk_state *w, u64 entry, u8 level)
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
		/* Without 1-GiB pages, PS is reserved at level 3: see pagewalk_reserved_bits(). */
		return level == 2 || (level == 3 && w->cfg->gbpages);
	}
}

/* The reserved bits of a present entry (SDM 3A tables 4-3 to 4-20). */
static u64 pagewalk_reserved_bits(const struct pagewalk_state *w, u8 level, bool leaf)
{
	u8 maxphyaddr = w->cfg->maxphyaddr;
	u64 rsvd;

	if (w->paging == PAGING_32) {
		/* PSE-36: bits 20:13 are address bits 39:32, up to MAXPHYADDR (table 4-4). */
		if (level == 2 && leaf)
			return pagewalk_bits(maxphyaddr >= 40 ? 21 : maxphyaddr - 32 + 13, 21);
		return 0;
	}
	rsvd = pagewalk_bits(maxphyaddr, 51);
	if (w->paging == PAGING_PAE)
		rsvd |= pagewalk_bits(maxphyaddr, 62);
	if (!(w->cfg->efer & EFER_NXE_BIT))
		rsvd |= PTE_NX;
	if (level > 1 && leaf)
		rsvd |= pagewalk_bits(13, 12 + 9 * (level - 1) - 1);
	/* PS is reserved in an entry that cannot map a page. */
	if (level >= 4 || (level == 3 && !leaf && w->paging == PAGING_LONG))
		rsvd |= PTE_PS;
	return rsvd;
}

/**
 * pagewalk_fault_code() - the #PF error code for a page that is not present
 * @cfg: paging state
 * @access: the access: PFERR_W, PFERR_U, PFERR_ID
 *
 * Context: Any. Pure.
 * Return: the error code.
 */
u32 pagewalk_fault_code(const struct pagewalk_cfg *cfg, u32 access)
{
	bool nx = (cfg->cr4 & CR4_PAE) && (cfg->efer & EFER_NXE_BIT);
	u32 code = access & (PFERR_W | PFERR_U);

	/* I/D is reported only with NXE or SMEP (SDM 3A 4.7). */
	if ((access & PFERR_ID) && (nx || (cfg->cr4 & CR4_SMEP)))
		code |= PFERR_ID;
	return code;
}

/* Do the combined rights of all levels, in U, W and NX, allow the access (SDM 3A 4.6.1)? */
static bool pagewalk_access_allowed(const struct pagewalk_state *w, bool user_page, bool writable, bool nx)
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

/* Does the protection key of a user page allow the data access (SDM 3A 4.6.2)? */
static bool pagewalk_key_allows(const struct pagewalk_state *w, u64 leaf, bool user_page)
{
	u32 key = (leaf >> 59) & 15, bits = w->cfg->pkru >> (2 * key);
	bool user = w->access & PFERR_U;

	if (w->paging != PAGING_LONG || !(w->cfg->cr4 & CR4_PKE) || !user_page || (w->access & PFERR_ID))
		return true;
	if (bits & 1)
		return false;
	return !((w->access & PFERR_W) && (bits & 2) && (user || (w->cfg->cr0 & CR0_WP)));
}

static void pagewalk_init(struct pagewalk_state *w, u64 *table)
{
	const struct pagewalk_cfg *cfg = w->cfg;

	w->entry_bytes = w->paging == PAGING_32 ? 4 : 8;
	switch (w->paging) {
	case PAGING_32:
		w->top = 2;
		*table = cfg->cr3 & 0xfffff000;
		break;
	case PAGING_PAE:
		/* The top level is in the PDPTE registers. */
		w->top = 2;
		break;
	default:
		w->top = cfg->cr4 & CR4_LA57 ? 5 : 4;
		*table = cfg->cr3 & GENMASK_ULL(51, 12);
		break;
	}
}

static u32 pagewalk_index(const struct pagewalk_state *w, u64 la, u8 level)
{
	if (w->paging == PAGING_32)
		return (la >> (12 + 10 * (level - 1))) & 0x3ff;
	return (la >> (12 + 9 * (level - 1))) & 0x1ff;
}

static u64 pagewalk_leaf_gpa(const struct pagewalk_state *w, u64 entry, u64 la)
{
	u32 shift;

	if (w->paging == PAGING_32) {
		if (w->leaf == 1)
			return (entry & 0xfffff000) | (la & 0xfff);
		return (entry & 0xffc00000) | (entry & pagewalk_bits(13, 20)) << 19 | (la & 0x3fffff);
	}
	shift = 12 + 9 * (w->leaf - 1);
	return (entry & pagewalk_bits(shift, 51)) | (la & (BIT_ULL(shift) - 1));
}

/*
 * Set the accessed flag of all entries used and, for a write, the dirty flag of
 * the leaf (SDM 3A 4.8). Returns 1 if an entry has changed meanwhile.
 */
static int pagewalk_set_flags(struct pagewalk_state *w, const struct pagewalk_ops *ops, void *priv)
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

static enum pagewalk_verdict pagewalk_fault(struct pagewalk_state *w, struct pagewalk_result *out, u32 code)
{
	out->error_code = pagewalk_fault_code(w->cfg, w->access) | code;
	return PAGEWALK_FAULT;
}

/* Walk once from the top. PAGEWALK_OK with w->leaf == 0 means that the walk must start over. */
static enum pagewalk_verdict pagewalk_once(struct pagewalk_state *w, const struct pagewalk_ops *ops, void *priv,
					   u64 la, struct pagewalk_result *out)
{
	bool user_page = true, writable = true, nx = false;
	u64 table = 0, entry = 0;
	u8 level;
	int r;

	pagewalk_init(w, &table);
	if (w->paging == PAGING_PAE) {
		/* PDPTEs have no rights. Their reserved bits were checked when they were loaded. */
		entry = w->cfg->pdpte[(la >> 30) & 3];
		if (!(entry & PTE_P))
			return pagewalk_fault(w, out, 0);
		table = entry & GENMASK_ULL(51, 12);
	}
	for (level = w->top; ; level--) {
		w->entry_gpa[level] = table + pagewalk_index(w, la, level) * w->entry_bytes;
		entry = 0;
		if (ops->read(priv, w->entry_gpa[level], &entry, w->entry_bytes))
			return PAGEWALK_STOPPED;
		w->entry[level] = entry;
		if (!(entry & PTE_P))
			return pagewalk_fault(w, out, 0);
		if (entry & pagewalk_reserved_bits(w, level, pagewalk_is_leaf(w, entry, level)))
			return pagewalk_fault(w, out, PFERR_P | PFERR_RSVD);
		user_page = user_page && (entry & PTE_U);
		writable = writable && (entry & PTE_W);
		/* Bit 63 is NX if NXE is set; if not, it is reserved and was checked above. */
		nx = nx || (w->paging != PAGING_32 && (entry & PTE_NX));
		if (pagewalk_is_leaf(w, entry, level))
			break;
		table = w->paging == PAGING_32 ? entry & 0xfffff000 : entry & GENMASK_ULL(51, 12);
	}
	w->leaf = level;
	if (!pagewalk_access_allowed(w, user_page, writable, nx))
		return pagewalk_fault(w, out, PFERR_P);
	if (!pagewalk_key_allows(w, entry, user_page))
		return pagewalk_fault(w, out, PFERR_P | PFERR_PK);
	r = pagewalk_set_flags(w, ops, priv);
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
 * @priv: passed to @ops
 * @la: linear address; canonical, or the caller does not care
 * @access: PFERR_W, PFERR_U and PFERR_ID in any valid combination
 * @out: filled with the translation or the error code
 *
 * Sets accessed and dirty flags if the access is allowed.
 *
 * Context: That of @ops.
 * Return: enum pagewalk_verdict.
 */
enum pagewalk_verdict pagewalk(const struct pagewalk_cfg *cfg, const struct pagewalk_ops *ops, void *priv,
			       u64 la, u32 access, struct pagewalk_result *out)
{
	struct pagewalk_state w = { .cfg = cfg, .access = access, .paging = pagewalk_mode(cfg) };
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
	for (i = 0; i < PAGEWALK_RESTARTS; i++) {
		verdict = pagewalk_once(&w, ops, priv, la, out);
		if (verdict != PAGEWALK_OK)
			return verdict;
		if (w.leaf) {
			out->level = w.leaf;
			out->gpa = pagewalk_leaf_gpa(&w, w.entry[w.leaf], la);
			return PAGEWALK_OK;
		}
	}
	/* The guest keeps changing the entries. Report a page that is not present, as it may have been for a moment. */
	return pagewalk_fault(&w, out, 0);
}
