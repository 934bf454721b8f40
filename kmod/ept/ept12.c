// SPDX-License-Identifier: GPL-2.0
/* The walk of L1's EPT12, and the composition of its leaf with one of EPT01. Pure. SDM 3C 29.3. */
#include <linux/errno.h>
#include <linux/minmax.h>

#include "ept/ept12.h"

/* The access-right bits of an entry. Bit 10 is ignored without mode-based execute control. */
static u64 ept12_rights_mask(const struct ept12_cfg *cfg)
{
	return EPT_RWX | (cfg->mode_based_exec ? EPT_EXEC_USER : 0);
}

/* Can an entry at @level map a page, with the page sizes offered to L1? */
static bool ept12_leaf_allowed(const struct ept12_cfg *cfg, int level)
{
	return level == 1 || (level == 2 && cfg->huge_2m) || (level == 3 && cfg->huge_1g);
}

/* Does the present entry @entry map a page? Bit 7 is reserved if it cannot. */
static bool ept12_maps_page(const struct ept12_cfg *cfg, u64 entry, int level)
{
	return level == 1 || ((entry & EPT_PAGE_SIZE_BIT) && ept12_leaf_allowed(cfg, level));
}

/* Is the present entry @entry misconfigured (SDM 3C 29.3.3.1)? */
static bool ept12_misconfigured(const struct ept12_cfg *cfg, u64 entry, int level)
{
	u64 exec = entry & ept12_rights_mask(cfg) & (EPT_EXEC | EPT_EXEC_USER);

	/* Bits 2:0 are 010b (write-only) or 110b (write and execute). */
	if ((entry & (EPT_READ | EPT_WRITE)) == EPT_WRITE)
		return true;
	/* Bit 0 is clear and bit 2 (or 10) is set, and execute-only is not supported. */
	if (!(entry & EPT_READ) && exec && !cfg->exec_only)
		return true;
	/* Address bits beyond MAXPHYADDR are reserved. */
	if (cfg->maxphyaddr < 52 && (entry & GENMASK_ULL(51, cfg->maxphyaddr)))
		return true;
	if (!ept12_maps_page(cfg, entry, level))
		/* Tables 29-1, 29-3, 29-5: bits 6:3, and bit 7 if the entry cannot map a page. */
		return entry & (EPT_MEMTYPE_MASK | EPT_IPAT | EPT_PAGE_SIZE_BIT);
	/* Tables 29-2, 29-4: address bits below the page size are reserved. */
	if (level > 1 && (entry & EPT_ADDR_MASK & ept_offset_mask(level)))
		return true;
	/* Memory types 2, 3 and 7 are reserved. */
	return !(EPT_MEMTYPES_VALID & BIT((entry & EPT_MEMTYPE_MASK) >> EPT_MEMTYPE_SHIFT));
}

/* A walk, from the root to the leaf or to the entry at which it ended. */
struct ept12_path {
	u64 addr[EPT_ROOT_LEVEL + 1];	/* address of the entry used at each level */
	u64 entry[EPT_ROOT_LEVEL + 1];
	u64 rights;			/* common to all entries used */
	u64 upper;			/* common to all entries used but the last */
	int level;			/* of the last entry */
};

static enum ept12_verdict ept12_descend(const struct ept12_cfg *cfg, const struct ept12_ops *ops, void *ctx,
					 u64 l2_gpa, struct ept12_path *w)
{
	u64 table = cfg->eptp & EPT_ADDR_MASK;
	u64 mask = ept12_rights_mask(cfg);

	w->rights = mask;
	for (w->level = EPT_ROOT_LEVEL; ; w->level--) {
		u64 addr = table + ept_index(l2_gpa, w->level) * sizeof(u64);
		u64 entry;

		if (ops->read(ctx, addr, &entry))
			return EPT12_FAULT;
		w->addr[w->level] = addr;
		w->entry[w->level] = entry;
		w->upper = w->rights;
		w->rights &= entry;
		if (!(entry & mask))
			return EPT12_VIOLATION;
		if (ept12_misconfigured(cfg, entry, w->level))
			return EPT12_MISCONFIG;
		if (ept12_maps_page(cfg, entry, w->level))
			return EPT12_OK;
		table = entry & EPT_ADDR_MASK;
	}
}

/*
 * Set the accessed flag in all entries used and, for a write, the dirty flag
 * in the leaf (SDM 3C 29.3.5). Returns 1 if an entry changed since it was read.
 */
static int ept12_set_flags(const struct ept12_ops *ops, void *ctx, u64 access, struct ept12_path *w)
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

/* The translation of @l2_gpa by the entry @leaf at @level, below entries that grant the rights @upper. */
static void ept12_fill_result(const struct ept12_cfg *cfg, u64 leaf, int level, u64 upper, u64 l2_gpa,
			      struct ept12_result *out)
{
	*out = (struct ept12_result) {
		.gpa = ept_leaf_base(leaf, level) | (l2_gpa & ept_offset_mask(level)),
		.rights = upper & leaf,
		.level = level,
		.memtype = (leaf & EPT_MEMTYPE_MASK) >> EPT_MEMTYPE_SHIFT,
		.ipat = leaf & EPT_IPAT,
		.dirty = !(cfg->eptp & EPTP_AD) || (leaf & EPT_DIRTY),
		.upper = upper,
	};
}

/* Bits 6:3 of the exit qualification, which report the rights found (SDM table 28-7). */
static u64 ept12_rights_in_qual(u64 rights)
{
	return (rights & EPT_RWX) << 3 | (rights & EPT_EXEC_USER ? BIT_ULL(6) : 0);
}

/* Limits the retries when L1 changes its tables during the walk. */
#define EPT12_WALK_TRIES	64

/**
 * ept12_walk() - walk L1's EPT12
 * @cfg: EPTP and features
 * @ops: access to L1's memory
 * @ctx: passed to @ops
 * @l2_gpa: the address to translate
 * @access: EPT_READ, EPT_WRITE, EPT_EXEC and EPT_EXEC_USER in any combination, 0 to ignore the rights
 * @out: the translation, or the rights found
 *
 * Accesses of the processor to the guest's paging structures are writes if
 * EPTP.AD is set (SDM 3C 29.3.5). The caller passes read and write for them.
 *
 * Context: That of @ops.
 * Return: enum ept12_verdict.
 */
enum ept12_verdict ept12_walk(const struct ept12_cfg *cfg, const struct ept12_ops *ops, void *ctx,
			      u64 l2_gpa, u64 access, struct ept12_result *out)
{
	int tries;

	for (tries = 0; tries < EPT12_WALK_TRIES; tries++) {
		struct ept12_path w;
		enum ept12_verdict verdict = EPT12_VIOLATION;
		int changed;

		*out = (struct ept12_result) {};
		/* Four levels translate 48 bits; above, nothing is mapped. */
		if (l2_gpa >> EPT_GPA_BITS)
			return verdict;
		verdict = ept12_descend(cfg, ops, ctx, l2_gpa, &w);
		/* A misconfiguration has priority over a violation (SDM 3C 29.3.3.2). */
		if (verdict == EPT12_OK && (access & ~w.rights))
			verdict = EPT12_VIOLATION;
		if (verdict == EPT12_VIOLATION)
			out->qual = ept12_rights_in_qual(w.rights);
		if (verdict != EPT12_OK) {
			out->level = w.level;
			return verdict;
		}

		if (access && (cfg->eptp & EPTP_AD)) {
			changed = ept12_set_flags(ops, ctx, access, &w);
			if (changed > 0)
				continue;
			if (changed < 0)
				return EPT12_FAULT;
		}
		ept12_fill_result(cfg, w.entry[w.level], w.level, w.upper, l2_gpa, out);
		out->entry_gpa = w.addr[w.level];
		return EPT12_OK;
	}
	return EPT12_FAULT;
}

/**
 * ept12_leads_on() - whether an entry refers to a table, and its use changes nothing
 * @cfg: as for the walk
 * @entry: the entry
 * @level: its level, above 1
 *
 * An entry without its accessed flag does not lead on: the processor would set it.
 *
 * Context: Any. Pure.
 * Return: true if a walk goes on with the table.
 */
bool ept12_leads_on(const struct ept12_cfg *cfg, u64 entry, int level)
{
	return (entry & ept12_rights_mask(cfg)) && !ept12_misconfigured(cfg, entry, level) &&
	       !ept12_maps_page(cfg, entry, level) && (!(cfg->eptp & EPTP_AD) || (entry & EPT_ACCESSED));
}

/**
 * ept12_end() - end a walk at an entry for a 4-KiB page
 * @cfg: as for the walk
 * @entry: the entry
 * @upper: the rights that all entries above grant
 * @l2_gpa: the address to translate
 * @access: as for the walk
 * @out: as for the walk, without entry_gpa; not set with EPT12_FAULT
 *
 * Context: Any. Pure.
 * Return: as ept12_walk(); EPT12_FAULT if it has to set a flag.
 */
enum ept12_verdict ept12_end(const struct ept12_cfg *cfg, u64 entry, u64 upper, u64 l2_gpa, u64 access,
			     struct ept12_result *out)
{
	u64 rights = upper & entry, flags = EPT_ACCESSED | (access & EPT_WRITE ? EPT_DIRTY : 0);
	bool present = entry & ept12_rights_mask(cfg);

	if (present && ept12_misconfigured(cfg, entry, 1)) {
		*out = (struct ept12_result) {};
		return EPT12_MISCONFIG;
	}
	if (!present || (access & ~rights)) {
		*out = (struct ept12_result) { .qual = ept12_rights_in_qual(rights) };
		return EPT12_VIOLATION;
	}
	if (access && (cfg->eptp & EPTP_AD) && (entry & flags) != flags)
		return EPT12_FAULT;
	ept12_fill_result(cfg, entry, 1, upper, l2_gpa, out);
	return EPT12_OK;
}

/**
 * ept12_near() - translate an address by an entry beside one that was walked to
 * @cfg: as for the walk
 * @found: the walk's result, a 4-KiB page
 * @entry: the other entry of the same table
 * @l2_gpa: the address that @entry translates
 * @out: filled if the result is true
 *
 * L2 has not used the address, so nothing may change that L1 could see. An
 * entry without its accessed flag is not used: the processor would set it.
 *
 * Context: Any. Pure.
 * Return: true if the processor could cache the translation without any effect (SDM 3C 29.4.2).
 */
bool ept12_near(const struct ept12_cfg *cfg, const struct ept12_result *found, u64 entry, u64 l2_gpa,
		struct ept12_result *out)
{
	if (!(entry & ept12_rights_mask(cfg)) || ept12_misconfigured(cfg, entry, 1))
		return false;
	if ((cfg->eptp & EPTP_AD) && !(entry & EPT_ACCESSED))
		return false;
	ept12_fill_result(cfg, entry, 1, found->upper, l2_gpa, out);
	return true;
}

/**
 * ept02_compose() - compose a leaf of EPT12 with a leaf of EPT01
 * @outer: the leaf of EPT12
 * @inner: the leaf of EPT01
 * @level: set to the level of the composed leaf
 *
 * Context: Any. Pure.
 * Return: the leaf for EPT02, 0 if it would have no rights.
 */
u64 ept02_compose(const struct ept12_result *outer, const struct ept01_leaf *inner, int *level)
{
	u64 rights = outer->rights & inner->rights & EPT_RWX;
	u64 flags = EPT_ACCESSED, memtype = outer->memtype;

	/* While the dirty flag in EPT12 is clear, the first write must fault so that the flag can be set. */
	if (!outer->dirty)
		rights &= ~EPT_WRITE;
	if (!rights)
		return 0;
	if (rights & EPT_WRITE)
		flags |= EPT_DIRTY;
	*level = min(outer->level, inner->level);
	/* If L1 itself gets write-back memory whatever it asks for, so does L2 (SDM 3C 29.3.7.2). */
	if (inner->ipat)
		memtype = EPT_WB;
	/* Of a device's memory L1 may choose between UC and WC, and so may it for L2. A cached access may crash the host. */
	else if (inner->uncached && memtype != EPT_WC)
		memtype = EPT_UC;
	return ept_make_leaf(inner->hpa, *level, rights, memtype, inner->ipat || outer->ipat) | flags;
}
