/* SPDX-License-Identifier: GPL-2.0 */
/* The format of EPT entries and the geometry of their tables: what EPT01, EPT12 and EPT02 share. SDM 3C 29.3.2. */
#ifndef DROSTE_EPT_FORMAT_H
#define DROSTE_EPT_FORMAT_H

#include <linux/types.h>
#include <linux/bits.h>
#include <linux/build_bug.h>

/* Access rights, in the positions of EPT entries and of the exit qualification's bits 0-2 (SDM table 28-7). */
#define EPT_READ	BIT_ULL(0)
#define EPT_WRITE	BIT_ULL(1)
#define EPT_EXEC	BIT_ULL(2)
#define EPT_RWX		(EPT_READ | EPT_WRITE | EPT_EXEC)
#define EPT_MEMTYPE_SHIFT 3
#define EPT_MEMTYPE_MASK GENMASK_ULL(5, 3)
#define EPT_IPAT	BIT_ULL(6)
#define EPT_PAGE_SIZE_BIT BIT_ULL(7)
#define EPT_ACCESSED	BIT_ULL(8)
#define EPT_DIRTY	BIT_ULL(9)
#define EPT_EXEC_USER	BIT_ULL(10)	/* with mode-based execute control: fetches from user-mode linear addresses */
#define EPT_ADDR_MASK	GENMASK_ULL(51, 12)

/* Memory types (SDM 3A table 13-2); 2, 3 and 7 are reserved. */
#define EPT_UC		0ULL
#define EPT_WB		6ULL
#define EPT_MEMTYPES_VALID (BIT(0) | BIT(1) | BIT(4) | BIT(5) | BIT(6))

/* Bit 57 is ignored by processors without "verify guest paging"; EPT01 uses it, see ept01.c. */
#define EPT_SOFT	BIT_ULL(57)

/* EPTP (SDM 3C 25.6.11) */
#define EPTP_WB		6ULL
#define EPTP_WALK4	(3ULL << 3)
#define EPTP_AD		BIT_ULL(6)

/* Levels count from 1 (the table whose entries map 4 KiB) to 4 (the root). */
#define EPT_ROOT_LEVEL	4
#define EPT_ENTRIES	512
#define EPT_GPA_BITS	48
#define EPT_MAX_LEAF	3	/* 1 GiB */

/* log2 of the bytes that one entry at @level stands for. */
static inline unsigned int ept_shift(int level)
{
	return 12 + 9 * (level - 1);
}

/* 4-KiB frames that one entry at @level stands for. */
static inline u64 ept_frames(int level)
{
	return 1ULL << (9 * (level - 1));
}

static inline unsigned int ept_index(u64 gpa, int level)
{
	return (gpa >> ept_shift(level)) & (EPT_ENTRIES - 1);
}

/* The bits of an address below what an entry at @level maps. */
static inline u64 ept_offset_mask(int level)
{
	return (1ULL << ept_shift(level)) - 1;
}

static inline bool ept_present(u64 entry)
{
	return entry & EPT_RWX;
}

/* Does a present entry at @level map a page, rather than name a table? */
static inline bool ept_is_leaf(u64 entry, int level)
{
	return level == 1 || (level <= EPT_MAX_LEAF && (entry & EPT_PAGE_SIZE_BIT));
}

static inline u64 ept_make_table(u64 hpa)
{
	return hpa | EPT_RWX;
}

static inline u64 ept_make_leaf(u64 hpa, int level, u64 rights, u64 memtype, bool ipat)
{
	return (hpa & EPT_ADDR_MASK & ~ept_offset_mask(level)) | rights | memtype << EPT_MEMTYPE_SHIFT |
	       (ipat ? EPT_IPAT : 0) | (level > 1 ? EPT_PAGE_SIZE_BIT : 0);
}

/* Address of the page that a leaf at @level maps. */
static inline u64 ept_leaf_base(u64 leaf, int level)
{
	return leaf & EPT_ADDR_MASK & ~ept_offset_mask(level);
}

/* The 4-KiB page that @gpa is mapped to by a leaf at @level. */
static inline u64 ept_leaf_page(u64 leaf, int level, u64 gpa)
{
	return ept_leaf_base(leaf, level) | (gpa & ept_offset_mask(level) & EPT_ADDR_MASK);
}

/* The entry @index of the table that replaces the leaf @leaf at @level: same rights, type and flags. */
static inline u64 ept_split_entry(u64 leaf, int level, unsigned int index)
{
	u64 child = leaf + ((u64)index << ept_shift(level - 1));

	return level == 2 ? child & ~EPT_PAGE_SIZE_BIT : child;
}

/*
 * The largest leaf, at most @level, for frame @gfn of a range of @npages
 * frames from @base that user addresses from @hva back: both sides must be
 * aligned alike, and the whole leaf must lie in the range.
 */
static inline int ept_fit_level(u64 gfn, u64 base, u64 npages, u64 hva, int level)
{
	for (; level > 1; level--) {
		u64 mask = ept_frames(level) - 1;
		u64 first = gfn & ~mask;

		if (((base ^ (hva >> 12)) & mask) == 0 && first >= base && first + mask < base + npages)
			break;
	}
	return level;
}

static_assert(EPT_ENTRIES * sizeof(u64) == 4096);
static_assert(EPT_GPA_BITS == 12 + 9 * EPT_ROOT_LEVEL);
static_assert((EPT_ADDR_MASK & (EPT_RWX | EPT_MEMTYPE_MASK | EPT_IPAT | EPT_PAGE_SIZE_BIT |
				EPT_ACCESSED | EPT_DIRTY | EPT_EXEC_USER | EPT_SOFT)) == 0);
static_assert(EPTP_WB == EPT_WB);

#endif
