// SPDX-License-Identifier: GPL-2.0
/* The walk of L1's own EPT, and its composition with a leaf of EPT01: pure. SDM 3C 29.3. */
#include <linux/errno.h>
#include <linux/minmax.h>

#include "ept/ept12.h"

/* Rights of one entry that exist: bit 10 is ignored without mode-based execute control. */
static u64 rights_mask(const struct ept12_cfg *cfg)
{
	return EPT_RWX | (cfg->mode_based_exec ? EPT_EXEC_USER : 0);
}

/* May an entry at @level map a page, by what L1 was offered? */
static bool leaf_allowed(const struct ept12_cfg *cfg, int level)
{
	return level == 1 || (level == 2 && cfg->huge_2m) || (level == 3 && cfg->huge_1g);
}

/* Does the present entry @entry map a page? Where it may not, its bit 7 is a reserved bit. */
static bool maps_page(const struct ept12_cfg *cfg, u64 entry, int level)
{
	return level == 1 || ((entry & EPT_PAGE_SIZE_BIT) && leaf_allowed(cfg, level));
}

/* SDM 3C 29.3.3.1: the conditions of an EPT misconfiguration, for an entry that is present. */
static bool misconfigured(const struct ept12_cfg *cfg, u64 entry, int level)
{
	u64 exec = entry & rights_mask(cfg) & (EPT_EXEC | EPT_EXEC_USER);

	/* Bits 2:0 are 010b (write-only) or 110b (write and execute). */
	if ((entry & (EPT_READ | EPT_WRITE)) == EPT_WRITE)
		return true;
	/* Bit 0 clear and bit 2 (or 10) set, where execute-only is not supported. */
	if (!(entry & EPT_READ) && exec && !cfg->exec_only)
		return true;
	/* A reserved bit, address bits beyond MAXPHYADDR included. */
	if (cfg->maxphyaddr < 52 && (entry & GENMASK_ULL(51, cfg->maxphyaddr)))
		return true;
	if (!maps_page(cfg, entry, level))
		/* Tables 29-1, 29-3, 29-5: bits 6:3, and bit 7 where no page may be mapped. */
		return entry & (EPT_MEMTYPE_MASK | EPT_IPAT | EPT_PAGE_SIZE_BIT);
	/* Tables 29-2, 29-4: address bits below the page size. */
	if (level > 1 && (entry & EPT_ADDR_MASK & ept_offset_mask(level)))
		return true;
	/* A page of memory type 2, 3 or 7. */
	return !(EPT_MEMTYPES_VALID & BIT((entry & EPT_MEMTYPE_MASK) >> EPT_MEMTYPE_SHIFT));
}

/* One walk, from the root to the leaf or to where it ended. */
struct walk {
	u64 addr[EPT_ROOT_LEVEL + 1];	/* of the entry used at each level */
	u64 entry[EPT_ROOT_LEVEL + 1];
	u64 rights;			/* of all entries used */
	int level;			/* where it ended */
};

static enum ept12_verdict descend(const struct ept12_cfg *cfg, const struct ept12_ops *ops, void *ctx,
				  u64 l2_gpa, struct walk *w)
{
	u64 table = cfg->eptp & EPT_ADDR_MASK;
	u64 mask = rights_mask(cfg);

	w->rights = mask;
	for (w->level = EPT_ROOT_LEVEL; ; w->level--) {
		u64 addr = table + ept_index(l2_gpa, w->level) * sizeof(u64);
		u64 entry;

		if (ops->read(ctx, addr, &entry))
			return EPT12_FAULT;
		w->addr[w->level] = addr;
		w->entry[w->level] = entry;
		w->rights &= entry;
		if (!(entry & mask))
			return EPT12_VIOLATION;
		if (misconfigured(cfg, entry, w->level))
			return EPT12_MISCONFIG;
		if (maps_page(cfg, entry, w->level))
			return EPT12_OK;
		table = entry & EPT_ADDR_MASK;
	}
}

/*
 * Set the accessed flag in all entries used, and the dirty flag in the leaf
 * for a write (SDM 3C 29.3.5). 1: an entry changed since it was read.
 */
static int set_flags(const struct ept12_ops *ops, void *ctx, u64 access, struct walk *w)
{
	int level;

	for (level = EPT_ROOT_LEVEL; level >= w->level; level--) {
		u64 bits = EPT_ACCESSED;
		int ret;

		if (level == w->level && (access & EPT_WRITE))
			bits |= EPT_DIRTY;
		if ((w->entry[level] & bits) == bits)
			continue;
		ret = ops->set_bits(ctx, w->addr[level], w->entry[level], bits);
		if (ret)
			return ret;
		w->entry[level] |= bits;
	}
	return 0;
}

static void fill_result(const struct ept12_cfg *cfg, const struct walk *w, u64 l2_gpa,
			struct ept12_result *out)
{
	u64 leaf = w->entry[w->level];

	*out = (struct ept12_result) {
		.gpa = ept_leaf_base(leaf, w->level) | (l2_gpa & ept_offset_mask(w->level)),
		.rights = w->rights,
		.level = w->level,
		.memtype = (leaf & EPT_MEMTYPE_MASK) >> EPT_MEMTYPE_SHIFT,
		.ipat = leaf & EPT_IPAT,
		.dirty = !(cfg->eptp & EPTP_AD) || (leaf & EPT_DIRTY),
	};
}

/* What the exit qualification says of the tables: bits 3-6 (SDM table 28-7). */
static u64 rights_in_qual(u64 rights)
{
	return (rights & EPT_RWX) << 3 | (rights & EPT_EXEC_USER ? BIT_ULL(6) : 0);
}

/* An L1 that changes its tables all the time may keep a walk from its end, but not for long. */
#define WALK_TRIES	64

enum ept12_verdict ept12_walk(const struct ept12_cfg *cfg, const struct ept12_ops *ops, void *ctx,
			      u64 l2_gpa, u64 access, struct ept12_result *out)
{
	int tries;

	for (tries = 0; tries < WALK_TRIES; tries++) {
		struct walk w;
		enum ept12_verdict verdict = EPT12_VIOLATION;
		int changed;

		*out = (struct ept12_result) {};
		/* Beyond what four levels translate no entry gives any right. */
		if (l2_gpa >> EPT_GPA_BITS)
			return verdict;
		verdict = descend(cfg, ops, ctx, l2_gpa, &w);
		/* A misconfiguration anywhere comes before any violation (SDM 3C 29.3.3.2). */
		if (verdict == EPT12_OK && (access & ~w.rights))
			verdict = EPT12_VIOLATION;
		if (verdict == EPT12_VIOLATION)
			out->qual = rights_in_qual(w.rights);
		if (verdict != EPT12_OK)
			return verdict;

		if (access && (cfg->eptp & EPTP_AD)) {
			changed = set_flags(ops, ctx, access, &w);
			if (changed > 0)
				continue;
			if (changed < 0)
				return EPT12_FAULT;
		}
		fill_result(cfg, &w, l2_gpa, out);
		return EPT12_OK;
	}
	return EPT12_FAULT;
}

u64 ept02_compose(const struct ept12_result *outer, const struct ept01_leaf *inner, int *level)
{
	u64 rights = outer->rights & inner->rights & EPT_RWX;
	u64 flags = EPT_ACCESSED;

	/* While L1's dirty flag is clear, the first write must be seen to set it. */
	if (!outer->dirty)
		rights &= ~EPT_WRITE;
	if (!rights)
		return 0;
	if (rights & EPT_WRITE)
		flags |= EPT_DIRTY;
	*level = min(outer->level, inner->level);
	/* EPT01 is WB and leaves the PAT alone, so the type is what L1 says (SDM 3C 29.3.7.2). */
	return ept_make_leaf(inner->hpa, *level, rights, outer->memtype, outer->ipat) | flags;
}
