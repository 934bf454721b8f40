/* SPDX-License-Identifier: GPL-2.0 */
/* Format of EPT entries and geometry of their tables, shared by EPT01, EPT12 and EPT02. SDM 3C 29.3.2. */
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
#define EPT_WC		1ULL
#define EPT_WB		6ULL
#define EPT_MEMTYPES_VALID (BIT(0) | BIT(1) | BIT(4) | BIT(5) | BIT(6))

/* Bit 57 is ignored by processors without "verify guest paging"; EPT01 uses it (EPT01_SHADOWED). */
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

/* log2 of the bytes that one entry at @level maps. */
static inline unsigned int ept_shift(int level)
{
	return 12 + 9 * (level - 1);
}

/* The number of 4-KiB frames that one entry at @level maps. */
static inline u64 ept_frames(int level)
{
	return 1ULL << (9 * (level - 1));
}

/* The first frame after those that the entry at @level for frame @gfn maps. */
static inline u64 ept_next(u64 gfn, int level)
{
	return (gfn | (ept_frames(level) - 1)) + 1;
}

static inline unsigned int ept_index(u64 gpa, int level)
{
	return (gpa >> ept_shift(level)) & (EPT_ENTRIES - 1);
}

/* The address bits that are an offset into the range that an entry at @level maps. */
static inline u64 ept_offset_mask(int level)
{
	return (1ULL << ept_shift(level)) - 1;
}

static inline bool ept_present(u64 entry)
{
	return entry & EPT_RWX;
}

/* Does a present entry at @level map a page, rather than point to a table? */
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

/* The rights of a leaf at @level. If @nx_huge, no leaf above 4 KiB is executable. */
static inline u64 ept_leaf_rights(u64 rights, int level, bool nx_huge)
{
	return nx_huge && level > 1 ? rights & ~EPT_EXEC : rights;
}

/* The address of the page that a leaf at @level maps. */
static inline u64 ept_leaf_base(u64 leaf, int level)
{
	return leaf & EPT_ADDR_MASK & ~ept_offset_mask(level);
}

/* The 4-KiB page that @gpa is mapped to by a leaf at @level. */
static inline u64 ept_leaf_page(u64 leaf, int level, u64 gpa)
{
	return ept_leaf_base(leaf, level) | (gpa & ept_offset_mask(level) & EPT_ADDR_MASK);
}

/* Entry @index of the table that replaces @leaf at @level, with the same rights, type and flags. */
static inline u64 ept_split_entry(u64 leaf, int level, unsigned int index)
{
	u64 child = leaf + ((u64)index << ept_shift(level - 1));

	return level == 2 ? child & ~EPT_PAGE_SIZE_BIT : child;
}

/*
 * The level of the largest leaf, at most @level, that can map frame @gfn. The
 * frame is in a range of @npages frames from @base, backed by user addresses
 * from @hva. Both sides must have the same alignment, and the range must
 * contain the whole leaf.
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

/*
 * A set of 64 bits, one for each 2 MiB of memory modulo 64, in which a range of
 * memory sets those that it touches. The sets of two ranges that overlap have a
 * bit in common; those of two that do not, seldom.
 */
static inline u64 ept_filter(u64 hpa, u64 bytes)
{
	u64 first = hpa >> 21, last = (hpa + bytes - 1) >> 21;

	unsigned int shift = first & 63;
	u64 bits;

	if (last - first >= 63)
		return ~0ULL;
	bits = (2ULL << (last - first)) - 1;
	return shift ? bits << shift | bits >> (64 - shift) : bits;
}

/* Host memory that EPT01 no longer maps, or maps with fewer rights. */
struct ept01_hole {
	u64 hpa;
	u64 bytes;
};

/*
 * Sort @n holes, and make one of those that overlap or touch, so that ept_in_hole() needs few steps. @n is small. Returns
 * their new number.
 */
static inline unsigned int ept_merge_holes(struct ept01_hole *holes, unsigned int n)
{
	unsigned int i, j, last = 0;

	for (i = 1; i < n; i++) {
		struct ept01_hole h = holes[i];

		for (j = i; j > 0 && holes[j - 1].hpa > h.hpa; j--)
			holes[j] = holes[j - 1];
		holes[j] = h;
	}
	for (i = 1; i < n; i++) {
		u64 end = holes[last].hpa + holes[last].bytes;

		if (holes[i].hpa > end)
			holes[++last] = holes[i];
		else if (holes[i].hpa + holes[i].bytes > end)
			holes[last].bytes = holes[i].hpa + holes[i].bytes - holes[last].hpa;
	}
	return n ? last + 1 : 0;
}

/* Whether memory overlaps one of @n holes from ept_merge_holes(). Takes log2(@n) steps: millions of leaves may be searched. */
static inline bool ept_in_hole(const struct ept01_hole *holes, unsigned int n, u64 hpa, u64 bytes)
{
	unsigned int low = 0, high = n;

	/* The first hole that ends behind the start of the memory. */
	while (low < high) {
		unsigned int mid = (low + high) / 2;

		if (holes[mid].hpa + holes[mid].bytes > hpa)
			high = mid;
		else
			low = mid + 1;
	}
	return low < n && holes[low].hpa < hpa + bytes;
}

static_assert(EPT_ENTRIES * sizeof(u64) == 4096);
static_assert(EPT_GPA_BITS == 12 + 9 * EPT_ROOT_LEVEL);
static_assert((EPT_ADDR_MASK & (EPT_RWX | EPT_MEMTYPE_MASK | EPT_IPAT | EPT_PAGE_SIZE_BIT |
				EPT_ACCESSED | EPT_DIRTY | EPT_EXEC_USER | EPT_SOFT)) == 0);
static_assert(EPTP_WB == EPT_WB);

#endif
