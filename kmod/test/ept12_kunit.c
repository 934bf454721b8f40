// SPDX-License-Identifier: GPL-2.0
/* Tests of the EPT12 walk (one rule per row), of the geometry of EPT tables, and of composing EPT12 with EPT01. */
#include <kunit/test.h>

#include "ept/ept12.h"

#define R	EPT_READ
#define W	EPT_WRITE
#define X	EPT_EXEC
#define RWX	EPT_RWX
#define XU	EPT_EXEC_USER
#define PS	EPT_PAGE_SIZE_BIT
#define WB	(EPT_WB << EPT_MEMTYPE_SHIFT)
#define TYPE(n)	((u64)(n) << EPT_MEMTYPE_SHIFT)
#define A	EPT_ACCESSED
#define D	EPT_DIRTY

/* The tables of the test, one per level. */
#define TABLE(level)	(0x100000ULL + (level) * 0x1000ULL)
#define L2_GPA	0x123456789abcULL
#define T4	(TABLE(3) | RWX)
#define T3	(TABLE(2) | RWX)
#define T2	(TABLE(1) | RWX)
#define P4K	0x7654321000ULL
#define P2M	0x7654200000ULL
#define P1G	0x7640000000ULL

/* Deviations from the default features that L1 is offered. */
enum { AD = 1, EXEC_ONLY = 2, NO_2M = 4, NO_1G = 8, MBEC = 16 };

struct row {
	const char *name;
	u64 e[5];		/* the entry at each level; e[0] unused */
	u64 access;
	int offer;
	enum ept12_verdict verdict;
	u64 want;		/* OK: L1 GPA; violation: qualification */
	int level;		/* OK: of the leaf */
};

static const struct row ept12_table[] = {
	/* sizes */
	{ "4 KiB", { 0, P4K | RWX | WB, T2, T3, T4 }, R, 0, EPT12_OK, P4K | 0xabc, 1 },
	{ "2 MiB", { 0, 0, P2M | RWX | WB | PS, T3, T4 }, R, 0, EPT12_OK, P2M | 0x189abc, 2 },
	{ "1 GiB", { 0, 0, 0, P1G | RWX | WB | PS, T4 }, R, 0, EPT12_OK, P1G | 0x16789abc, 3 },
	{ "bit 7 of a 4-KiB leaf is ignored", { 0, P4K | RWX | WB | PS, T2, T3, T4 }, R, 0, EPT12_OK, P4K | 0xabc, 1 },
	{ "2 MiB not offered", { 0, 0, P2M | RWX | WB | PS, T3, T4 }, R, NO_2M, EPT12_MISCONFIG },
	{ "1 GiB not offered", { 0, 0, 0, P1G | RWX | WB | PS, T4 }, R, NO_1G, EPT12_MISCONFIG },
	{ "512 GiB does not exist", { 0, 0, 0, 0, T4 | PS }, R, 0, EPT12_MISCONFIG },
	/* not present */
	{ "PML4E absent", { 0, 0, 0, 0, 0 }, R, 0, EPT12_VIOLATION, 0 },
	{ "PDPTE absent", { 0, 0, 0, 0, T4 }, R, 0, EPT12_VIOLATION, 0 },
	{ "PDE absent", { 0, 0, 0, T3, T4 }, R, 0, EPT12_VIOLATION, 0 },
	{ "PTE absent", { 0, 0, T2, T3, T4 }, R, 0, EPT12_VIOLATION, 0 },
	{ "absent with reserved bits is still absent", { 0, ~RWX, T2, T3, T4 }, W, 0, EPT12_VIOLATION, 0 },
	{ "absent for the processor though bit 10 is set", { 0, P4K | XU, T2, T3, T4 }, X, 0, EPT12_VIOLATION, 0 },
	/* rights: combined over all levels, and compared with the access only */
	{ "read of R", { 0, P4K | R | WB, T2, T3, T4 }, R, 0, EPT12_OK, P4K | 0xabc, 1 },
	{ "write of R", { 0, P4K | R | WB, T2, T3, T4 }, W, 0, EPT12_VIOLATION, R << 3 },
	{ "fetch of RW", { 0, P4K | R | W | WB, T2, T3, T4 }, X, 0, EPT12_VIOLATION, (R | W) << 3 },
	{ "read and write of RX", { 0, P4K | R | X | WB, T2, T3, T4 }, R | W, 0, EPT12_VIOLATION, (R | X) << 3 },
	{ "write taken away by the PDE", { 0, P4K | RWX | WB, TABLE(1) | R | X, T3, T4 }, W, 0, EPT12_VIOLATION, (R | X) << 3 },
	{ "write taken away by the PDPTE", { 0, P4K | RWX | WB, T2, TABLE(2) | R | X, T4 }, W, 0, EPT12_VIOLATION, (R | X) << 3 },
	{ "fetch taken away by the PML4E", { 0, P4K | RWX | WB, T2, T3, TABLE(3) | R | W }, X, 0, EPT12_VIOLATION, (R | W) << 3 },
	{ "rights that leave nothing", { 0, P4K | X | WB, T2, T3, TABLE(3) | R }, R, EXEC_ONLY, EPT12_VIOLATION, 0 },
	{ "whatever the rights", { 0, P4K | R | WB, T2, T3, T4 }, 0, 0, EPT12_OK, P4K | 0xabc, 1 },
	/* misconfigured rights, at each level */
	{ "write-only PTE", { 0, P4K | W | WB, T2, T3, T4 }, W, EXEC_ONLY, EPT12_MISCONFIG },
	{ "write and execute PTE", { 0, P4K | W | X | WB, T2, T3, T4 }, X, EXEC_ONLY, EPT12_MISCONFIG },
	{ "write-only PDE", { 0, 0, TABLE(1) | W, T3, T4 }, R, 0, EPT12_MISCONFIG },
	{ "write-only PDPTE", { 0, 0, 0, TABLE(2) | W, T4 }, R, 0, EPT12_MISCONFIG },
	{ "write-only PML4E", { 0, 0, 0, 0, TABLE(3) | W }, R, 0, EPT12_MISCONFIG },
	{ "execute-only PTE, not offered", { 0, P4K | X | WB, T2, T3, T4 }, X, 0, EPT12_MISCONFIG },
	{ "execute-only PML4E, not offered", { 0, 0, 0, 0, TABLE(3) | X }, X, 0, EPT12_MISCONFIG },
	{ "fetch of execute-only", { 0, P4K | X | WB, T2, T3, T4 }, X, EXEC_ONLY, EPT12_OK, P4K | 0xabc, 1 },
	{ "read of execute-only", { 0, P4K | X | WB, T2, T3, T4 }, R, EXEC_ONLY, EPT12_VIOLATION, X << 3 },
	{ "misconfiguration before violation", { 0, P4K | W | WB, T2, T3, TABLE(3) | R }, W, 0, EPT12_MISCONFIG },
	{ "violation above a table that is not reached", { 0, P4K | W, T2, 0, T4 }, W, 0, EPT12_VIOLATION, 0 },
	/* mode-based execute control */
	{ "user fetch allowed", { 0, P4K | R | XU | WB, T2 | XU, T3 | XU, T4 | XU }, XU, MBEC, EPT12_OK, P4K | 0xabc, 1 },
	{ "user fetch not allowed", { 0, P4K | R | X | WB, T2 | XU, T3 | XU, T4 | XU }, XU, MBEC, EPT12_VIOLATION, (R | X) << 3 },
	{ "supervisor fetch of a user page", { 0, P4K | R | XU | WB, T2 | XU, T3 | XU, T4 | XU }, X, MBEC, EPT12_VIOLATION, R << 3 | BIT(6) },
	{ "user execute-only, not offered", { 0, P4K | XU | WB, T2, T3, T4 }, XU, MBEC, EPT12_MISCONFIG },
	/* memory types of leaves */
	{ "UC", { 0, P4K | RWX | TYPE(0), T2, T3, T4 }, R, 0, EPT12_OK, P4K | 0xabc, 1 },
	{ "WC", { 0, P4K | RWX | TYPE(1), T2, T3, T4 }, R, 0, EPT12_OK, P4K | 0xabc, 1 },
	{ "type 2", { 0, P4K | RWX | TYPE(2), T2, T3, T4 }, R, 0, EPT12_MISCONFIG },
	{ "type 3", { 0, 0, P2M | RWX | TYPE(3) | PS, T3, T4 }, R, 0, EPT12_MISCONFIG },
	{ "WT", { 0, P4K | RWX | TYPE(4), T2, T3, T4 }, R, 0, EPT12_OK, P4K | 0xabc, 1 },
	{ "WP", { 0, P4K | RWX | TYPE(5), T2, T3, T4 }, R, 0, EPT12_OK, P4K | 0xabc, 1 },
	{ "type 7", { 0, 0, 0, P1G | RWX | TYPE(7) | PS, T4 }, R, 0, EPT12_MISCONFIG },
	/* reserved bits */
	{ "bits 6:3 of a PDE that names a table", { 0, 0, T2 | BIT(3), T3, T4 }, R, 0, EPT12_MISCONFIG },
	{ "bit 6 of a PDPTE that names a table", { 0, 0, 0, T3 | BIT(6), T4 }, R, 0, EPT12_MISCONFIG },
	{ "bit 5 of a PML4E", { 0, 0, 0, 0, T4 | BIT(5) }, R, 0, EPT12_MISCONFIG },
	{ "bit 12 of a 2-MiB leaf", { 0, 0, P2M | BIT(12) | RWX | WB | PS, T3, T4 }, R, 0, EPT12_MISCONFIG },
	{ "bit 20 of a 2-MiB leaf", { 0, 0, P2M | BIT(20) | RWX | WB | PS, T3, T4 }, R, 0, EPT12_MISCONFIG },
	{ "bit 29 of a 1-GiB leaf", { 0, 0, 0, P1G | BIT(29) | RWX | WB | PS, T4 }, R, 0, EPT12_MISCONFIG },
	{ "address of a page beyond MAXPHYADDR", { 0, BIT_ULL(40) | RWX | WB, T2, T3, T4 }, R, 0, EPT12_MISCONFIG },
	{ "address bit 51", { 0, BIT_ULL(51) | RWX | WB, T2, T3, T4 }, R, 0, EPT12_MISCONFIG },
	{ "the last address bit there is", { 0, BIT_ULL(39) | RWX | WB, T2, T3, T4 }, R, 0, EPT12_OK, BIT_ULL(39) | 0xabc, 1 },
	{ "address of a table beyond MAXPHYADDR", { 0, 0, T2, T3 | BIT_ULL(45), T4 }, R, 0, EPT12_MISCONFIG },
	{ "bits 63:52 and 11 are ignored", { 0, P4K | RWX | WB | GENMASK_ULL(63, 52) | BIT(11), T2 | BIT_ULL(63), T3, T4 }, R, 0,
	  EPT12_OK, P4K | 0xabc, 1 },
	/* tables outside memory */
	{ "PDPT where there is no memory", { 0, 0, 0, 0, 0x800000 | RWX }, R, 0, EPT12_FAULT },
	{ "page table where there is no memory", { 0, 0, 0x800000 | RWX, T3, T4 }, R, 0, EPT12_FAULT },
};

/* L1's memory: the entry of each level that L2_GPA selects. */
struct mem {
	u64 e[5];
	int writes;
	int races;	/* number of times that set_bits finds the entry changed */
};

static u64 *ept12_mem_at(struct mem *m, u64 gpa)
{
	int level;

	for (level = 1; level <= 4; level++)
		if (gpa == TABLE(level) + ept_index(L2_GPA, level) * 8)
			return &m->e[level];
	return NULL;
}

static int ept12_mem_read(void *ctx, u64 gpa, u64 *entry)
{
	u64 *p = ept12_mem_at(ctx, gpa);

	if (!p)
		return -EFAULT;
	*entry = *p;
	return 0;
}

static int ept12_mem_set_bits(void *ctx, u64 gpa, u64 old, u64 bits)
{
	struct mem *m = ctx;
	u64 *p = ept12_mem_at(m, gpa);

	if (!p)
		return -EFAULT;
	if (m->races) {
		m->races--;
		return 1;
	}
	if (*p != old)
		return 1;
	*p |= bits;
	m->writes++;
	return 0;
}

static const struct ept12_ops ept12_ops = { ept12_mem_read, ept12_mem_set_bits };

static struct ept12_cfg ept12_cfg_of(int offer)
{
	return (struct ept12_cfg) {
		.eptp = TABLE(4) | EPTP_WB | EPTP_WALK4 | (offer & AD ? EPTP_AD : 0),
		.maxphyaddr = 40,
		.exec_only = offer & EXEC_ONLY,
		.huge_2m = !(offer & NO_2M),
		.huge_1g = !(offer & NO_1G),
		.mode_based_exec = offer & MBEC,
	};
}

/* A walk that is ended from the entries above gives what the whole walk gave. */
static void ept12_ends_alike(struct kunit *test, const struct row *row, const struct ept12_cfg *cfg,
			     const struct ept12_result *whole)
{
	struct ept12_result out = {};
	u64 upper = RWX;
	int level;

	for (level = 4; level > 1; level--) {
		if (!ept12_leads_on(cfg, row->e[level], level))
			return;
		upper &= row->e[level];
	}
	KUNIT_EXPECT_EQ_MSG(test, (int)ept12_end(cfg, row->e[1], upper, L2_GPA, row->access, &out), (int)row->verdict,
			    "%s", row->name);
	KUNIT_EXPECT_EQ_MSG(test, out.gpa, whole->gpa, "%s", row->name);
	KUNIT_EXPECT_EQ_MSG(test, out.rights, whole->rights, "%s", row->name);
	KUNIT_EXPECT_EQ_MSG(test, out.upper, whole->upper, "%s", row->name);
	KUNIT_EXPECT_EQ_MSG(test, out.dirty, whole->dirty, "%s", row->name);
	KUNIT_EXPECT_EQ_MSG(test, out.memtype, whole->memtype, "%s", row->name);
	KUNIT_EXPECT_EQ_MSG(test, out.qual, whole->qual, "%s", row->name);
}

static void ept12_rules(struct kunit *test)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(ept12_table); i++) {
		const struct row *row = &ept12_table[i];
		struct ept12_cfg cfg = ept12_cfg_of(row->offer);
		struct ept12_result out;
		struct mem m = {};
		enum ept12_verdict v;

		memcpy(m.e, row->e, sizeof(m.e));
		v = ept12_walk(&cfg, &ept12_ops, &m, L2_GPA, row->access, &out);
		KUNIT_EXPECT_EQ_MSG(test, (int)v, (int)row->verdict, "%s", row->name);
		KUNIT_EXPECT_EQ_MSG(test, m.writes, 0, "%s", row->name);
		if (v == EPT12_OK) {
			KUNIT_EXPECT_EQ_MSG(test, out.gpa, row->want, "%s", row->name);
			KUNIT_EXPECT_EQ_MSG(test, out.level, row->level, "%s", row->name);
			KUNIT_EXPECT_TRUE_MSG(test, out.dirty, "%s", row->name);
		} else if (v == EPT12_VIOLATION) {
			KUNIT_EXPECT_EQ_MSG(test, out.qual, row->want, "%s", row->name);
		}
		if (!cfg.mode_based_exec && v != EPT12_FAULT)
			ept12_ends_alike(test, row, &cfg, &out);
	}
}

static void ept12_beyond_48_bits(struct kunit *test)
{
	struct mem m = { .e = { 0, P4K | RWX | WB, T2, T3, T4 } };
	struct ept12_cfg cfg = ept12_cfg_of(0);
	struct ept12_result out;

	KUNIT_EXPECT_EQ(test, (int)ept12_walk(&cfg, &ept12_ops, &m, L2_GPA | BIT_ULL(48), R, &out), (int)EPT12_VIOLATION);
	KUNIT_EXPECT_EQ(test, out.qual, 0ULL);
}

static void ept12_leaf_facts(struct kunit *test)
{
	struct mem m = { .e = { 0, P4K | R | W | TYPE(4) | EPT_IPAT, T2, T3, T4 } };
	struct ept12_cfg cfg = ept12_cfg_of(0);
	struct ept12_result out;

	KUNIT_EXPECT_EQ(test, (int)ept12_walk(&cfg, &ept12_ops, &m, L2_GPA, R, &out), (int)EPT12_OK);
	KUNIT_EXPECT_EQ(test, out.rights, R | W);
	KUNIT_EXPECT_EQ(test, (int)out.memtype, 4);
	KUNIT_EXPECT_TRUE(test, out.ipat);
}

/* Accessed and dirty flags, access by access (SDM 3C 29.3.5). */
static void ept12_accessed_dirty(struct kunit *test)
{
	struct mem m = { .e = { 0, P4K | RWX | WB, T2, T3, T4 } };
	struct ept12_cfg cfg = ept12_cfg_of(AD);
	struct ept12_result out;

	/* A translation without access sets no flags. */
	KUNIT_EXPECT_EQ(test, (int)ept12_walk(&cfg, &ept12_ops, &m, L2_GPA, 0, &out), (int)EPT12_OK);
	KUNIT_EXPECT_EQ(test, m.writes, 0);
	KUNIT_EXPECT_FALSE(test, out.dirty);

	/* A read sets the accessed flag at all four levels. */
	KUNIT_EXPECT_EQ(test, (int)ept12_walk(&cfg, &ept12_ops, &m, L2_GPA, R, &out), (int)EPT12_OK);
	KUNIT_EXPECT_EQ(test, m.writes, 4);
	KUNIT_EXPECT_EQ(test, m.e[4], T4 | A);
	KUNIT_EXPECT_EQ(test, m.e[1], P4K | RWX | WB | A);
	KUNIT_EXPECT_FALSE(test, out.dirty);

	/* A second read changes nothing. */
	KUNIT_EXPECT_EQ(test, (int)ept12_walk(&cfg, &ept12_ops, &m, L2_GPA, R, &out), (int)EPT12_OK);
	KUNIT_EXPECT_EQ(test, m.writes, 4);

	/* A write sets the dirty flag in the leaf only. */
	KUNIT_EXPECT_EQ(test, (int)ept12_walk(&cfg, &ept12_ops, &m, L2_GPA, W, &out), (int)EPT12_OK);
	KUNIT_EXPECT_EQ(test, m.writes, 5);
	KUNIT_EXPECT_EQ(test, m.e[2], T2 | A);
	KUNIT_EXPECT_EQ(test, m.e[1], P4K | RWX | WB | A | D);
	KUNIT_EXPECT_TRUE(test, out.dirty);
}

/* Where flags are to be set, only the whole walk does it. */
static void ept12_ends_without_flags(struct kunit *test)
{
	static const struct { u64 flags, access; enum ept12_verdict verdict; } rows[] = {
		{ 0, R, EPT12_FAULT }, { 0, 0, EPT12_OK }, { A, R, EPT12_OK }, { A, W, EPT12_FAULT },
		{ D, R, EPT12_FAULT }, { A | D, R | W, EPT12_OK },
	};
	struct ept12_cfg cfg = ept12_cfg_of(AD), none = ept12_cfg_of(0);
	struct ept12_result out;
	int i, level;

	for (level = 4; level > 1; level--) {
		KUNIT_EXPECT_FALSE(test, ept12_leads_on(&cfg, T4, level));
		KUNIT_EXPECT_TRUE(test, ept12_leads_on(&cfg, T4 | A, level));
		KUNIT_EXPECT_TRUE(test, ept12_leads_on(&none, T4, level));
	}
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		u64 entry = P4K | RWX | WB | rows[i].flags;

		KUNIT_EXPECT_EQ_MSG(test, (int)ept12_end(&cfg, entry, RWX, L2_GPA, rows[i].access, &out),
				    (int)rows[i].verdict, "row %d", i);
		KUNIT_EXPECT_EQ_MSG(test, (int)ept12_end(&none, entry, RWX, L2_GPA, rows[i].access, &out), (int)EPT12_OK,
				    "row %d without flags", i);
	}
}

static void ept12_flags_need_a_right(struct kunit *test)
{
	struct mem m = { .e = { 0, P4K | R | WB, T2, T3, T4 } };
	struct ept12_cfg cfg = ept12_cfg_of(AD);
	struct ept12_result out;

	KUNIT_EXPECT_EQ(test, (int)ept12_walk(&cfg, &ept12_ops, &m, L2_GPA, R | W, &out), (int)EPT12_VIOLATION);
	KUNIT_EXPECT_EQ(test, m.writes, 0);
}

/* Entries beside the one that was walked to, below a PDE without write access. */
static void ept12_neighbours(struct kunit *test)
{
	static const struct { const char *name; u64 entry; int offer; u64 rights; bool dirty; } rows[] = {
		{ "all rights", P4K | RWX | WB, 0, R | X, true },
		{ "R", P4K | R | WB, 0, R, true },
		{ "absent", P4K | WB, 0, 0, false },
		{ "misconfigured", P4K | W | WB, 0, 0, false },
		{ "a memory type that does not exist", P4K | RWX | TYPE(2), 0, 0, false },
		{ "an address too wide", P4K | RWX | WB | BIT_ULL(51), 0, 0, false },
		{ "X, not offered", P4K | X | WB, 0, 0, false },
		{ "X", P4K | X | WB, EXEC_ONLY, X, true },
		{ "not accessed", P4K | RWX | WB, AD, 0, false },
		{ "dirty, but not accessed", P4K | RWX | WB | D, AD, 0, false },
		{ "accessed", P4K | RWX | WB | A, AD, R | X, false },
		{ "accessed and dirty", P4K | RWX | WB | A | D, AD, R | X, true },
	};
	int i;

	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		struct mem m = { .e = { 0, P4K | R | WB, T2 & ~W, T3, T4 } };
		struct ept12_cfg cfg = ept12_cfg_of(rows[i].offer);
		struct ept12_result found, out = {};
		bool near;

		KUNIT_ASSERT_EQ(test, (int)ept12_walk(&cfg, &ept12_ops, &m, L2_GPA, R, &found), (int)EPT12_OK);
		KUNIT_EXPECT_EQ(test, found.entry_gpa, TABLE(1) + ept_index(L2_GPA, 1) * 8);
		near = ept12_near(&cfg, &found, rows[i].entry, L2_GPA + 0x1000, &out);
		KUNIT_EXPECT_EQ_MSG(test, near, !!rows[i].rights, "%s", rows[i].name);
		KUNIT_EXPECT_EQ_MSG(test, out.rights, rows[i].rights, "%s", rows[i].name);
		if (!near)
			continue;
		KUNIT_EXPECT_EQ_MSG(test, out.gpa, P4K | 0xabc, "%s", rows[i].name);
		KUNIT_EXPECT_EQ_MSG(test, out.dirty, rows[i].dirty, "%s", rows[i].name);
		KUNIT_EXPECT_EQ_MSG(test, out.level, 1, "%s", rows[i].name);
	}
}

static void ept12_races(struct kunit *test)
{
	struct mem m = { .e = { 0, P4K | RWX | WB, T2, T3, T4 }, .races = 3 };
	struct ept12_cfg cfg = ept12_cfg_of(AD);
	struct ept12_result out;

	/* Entries that change are read again, a limited number of times. */
	KUNIT_EXPECT_EQ(test, (int)ept12_walk(&cfg, &ept12_ops, &m, L2_GPA, W, &out), (int)EPT12_OK);
	KUNIT_EXPECT_EQ(test, m.races, 0);
	KUNIT_EXPECT_EQ(test, m.e[1], P4K | RWX | WB | A | D);
	m.e[1] = P4K | RWX | WB;
	m.races = INT_MAX;
	KUNIT_EXPECT_EQ(test, (int)ept12_walk(&cfg, &ept12_ops, &m, L2_GPA, W, &out), (int)EPT12_FAULT);
}

/* A leaf of EPT12, a leaf of EPT01, and the leaf in EPT02. */
static const struct compose_row {
	const char *name;
	u64 rights12;
	int level12;
	u8 type;
	bool ipat, dirty;
	u64 hpa, rights01;
	int level01;
	u64 want;	/* 0 for no leaf */
	int level;
	bool wb;	/* L1's memory is write-back whatever L1 asks for */
	bool device;	/* L1's memory is a device's */
} compose_rows[] = {
	{ "both all", RWX, 1, 6, false, true, 0x5000, RWX, 1, 0x5000 | RWX | WB | A | D, 1 },
	{ "smaller of 2 MiB and 4 KiB", RWX, 2, 6, false, true, 0x205000, RWX, 1, 0x205000 | RWX | WB | A | D, 1 },
	{ "smaller of 4 KiB and 2 MiB", RWX, 1, 6, false, true, 0x205000, RWX, 2, 0x205000 | RWX | WB | A | D, 1 },
	{ "2 MiB by both", RWX, 2, 6, false, true, 0x205000, RWX, 2, 0x200000 | RWX | WB | PS | A | D, 2 },
	{ "2 MiB in 1 GiB", RWX, 2, 6, false, true, 0x40205000, RWX, 3, 0x40200000 | RWX | WB | PS | A | D, 2 },
	{ "1 GiB by both", RWX, 3, 6, false, true, 0x40205000, RWX, 3, 0x40000000 | RWX | WB | PS | A | D, 3 },
	{ "EPT12 forbids writes", R | X, 1, 6, false, true, 0x5000, RWX, 1, 0x5000 | R | X | WB | A, 1 },
	{ "EPT01 forbids writes", RWX, 1, 6, false, true, 0x5000, R | X, 1, 0x5000 | R | X | WB | A, 1 },
	{ "not dirty yet", RWX, 1, 6, false, false, 0x5000, RWX, 1, 0x5000 | R | X | WB | A, 1 },
	{ "execute-only", X, 1, 6, false, true, 0x5000, RWX, 1, 0x5000 | X | WB | A, 1 },
	{ "type and IPAT are L1's", RWX, 1, 0, true, true, 0x5000, RWX, 1, 0x5000 | RWX | EPT_IPAT | A | D, 1 },
	{ "the host's IPAT", RWX, 1, 6, false, true, 0x5000, RWX, 1, 0x5000 | RWX | WB | EPT_IPAT | A | D, 1, true },
	{ "the host's IPAT over L1's UC", RWX, 1, 0, false, true, 0x5000, RWX, 1, 0x5000 | RWX | WB | EPT_IPAT | A | D, 1, true },
	{ "the host's IPAT over L1's", RWX, 1, 4, true, true, 0x5000, RWX, 1, 0x5000 | RWX | WB | EPT_IPAT | A | D, 1, true },
	{ "a device", RWX, 1, 0, false, true, 0x5000, RWX, 1, 0x5000 | RWX | A | D, 1, false, true },
	{ "a device that L1 makes WB", RWX, 1, 6, false, true, 0x5000, RWX, 1, 0x5000 | RWX | A | D, 1, false, true },
	{ "a device that L1 makes WB, with IPAT", RWX, 2, 6, true, true, 0x205000, RWX, 2, 0x200000 | RWX | PS | EPT_IPAT | A | D, 2, false, true },
	{ "a device that L1 makes WP", RWX, 1, 5, true, true, 0x5000, RWX, 1, 0x5000 | RWX | EPT_IPAT | A | D, 1, false, true },
	{ "a device that L1 makes WT", RWX, 1, 4, false, true, 0x5000, RWX, 1, 0x5000 | RWX | A | D, 1, false, true },
	{ "a device that L1 makes WC", RWX, 1, 1, true, true, 0x5000, RWX, 1, 0x5000 | RWX | TYPE(1) | EPT_IPAT | A | D, 1, false, true },
	{ "user execute is not passed on", R | XU, 1, 6, false, true, 0x5000, RWX, 1, 0x5000 | R | WB | A, 1 },
	{ "nothing left", XU, 1, 6, false, true, 0x5000, RWX, 1, 0, 0 },
};

static void ept02_compositions(struct kunit *test)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(compose_rows); i++) {
		const struct compose_row *row = &compose_rows[i];
		struct ept12_result outer = {
			.rights = row->rights12, .level = row->level12, .memtype = row->type,
			.ipat = row->ipat, .dirty = row->dirty,
		};
		struct ept01_leaf inner = { row->hpa, row->rights01, row->level01, row->wb, row->device };
		int level = 0;

		KUNIT_EXPECT_EQ_MSG(test, ept02_compose(&outer, &inner, &level), row->want, "%s", row->name);
		KUNIT_EXPECT_EQ_MSG(test, level, row->level, "%s", row->name);
	}
}

/* Two ranges that overlap have a bit of ept_filter() in common, and a small one has few bits. */
static void ept_filters(struct kunit *test)
{
	static const struct { u64 a, na, b, nb; bool common; } rows[] = {
		{ 0, 0x1000, 0, 0x1000, true },
		{ 0x1ff000, 0x1000, 0, 0x200000, true },
		{ 0x1ff000, 0x1000, 0x200000, 0x1000, false },
		{ 0x1ff000, 0x2000, 0x200000, 0x1000, true },
		{ 0x7e00000, 0x200000, 0x7fff000, 0x1000, true },
		{ 0x7e00000, 0x400000, 0x8000000, 0x1000, true },
		{ 0x7e00000, 0x200000, 0x8000000, 0x1000, false },
		{ 0x40000000, 0x40000000, 0x7fe00000, 0x1000, true },
		{ 0xfffffe00000, 0x200000, 0xfffffe01000, 0x1000, true },
	};
	u64 state = 1;
	int i;

	for (i = 0; i < ARRAY_SIZE(rows); i++)
		KUNIT_EXPECT_EQ_MSG(test, !!(ept_filter(rows[i].a, rows[i].na) & ept_filter(rows[i].b, rows[i].nb)),
				    rows[i].common, "row %d", i);
	KUNIT_EXPECT_EQ(test, ept_filter(0x12345000, 0x1000), BIT_ULL((0x12345000 >> 21) & 63));
	KUNIT_EXPECT_EQ(test, ept_filter(0, 0x200000), 1ULL);
	KUNIT_EXPECT_EQ(test, ept_filter(0, 0x201000), 3ULL);
	for (i = 0; i < 10000; i++) {
		u64 size = 0x1000ULL << (i % 19), at, inside;

		state = state * 6364136223846793005ULL + 1;
		at = (state >> 20) & ~(size - 1) & GENMASK_ULL(45, 12);
		inside = at + (((state >> 3) & (size - 1)) & ~0xfffULL);
		KUNIT_EXPECT_NE(test, ept_filter(at, size) & ept_filter(inside, 0x1000), 0ULL);
	}
}

/* Merged holes are in order and apart, whatever they were, and the search in them finds what a search of all finds. */
static void ept_holes(struct kunit *test)
{
	struct ept01_hole all[32], merged[32];
	u64 state = 1;
	int round, i, k;

	for (round = 0; round < 300; round++) {
		unsigned int n = round % 33, m;

		for (i = 0; i < n; i++) {
			state = state * 6364136223846793005ULL + 1;
			all[i].hpa = ((state >> 40) & 0x3ff) << 12;
			all[i].bytes = 0x1000ULL << (state >> 20 & 7);
			merged[i] = all[i];
		}
		m = ept_merge_holes(merged, n);
		KUNIT_EXPECT_LE(test, m, n);
		for (i = 1; i < m; i++)
			KUNIT_EXPECT_LT(test, merged[i - 1].hpa + merged[i - 1].bytes, merged[i].hpa);
		for (i = 0; i < 0x480; i++) {
			u64 at = (u64)i << 12, bytes = 0x1000ULL << (i % 4);
			bool any = false;

			for (k = 0; k < n; k++)
				any |= at < all[k].hpa + all[k].bytes && all[k].hpa < at + bytes;
			KUNIT_EXPECT_EQ_MSG(test, ept_in_hole(merged, m, at, bytes), any, "round %d, page %d", round, i);
		}
	}
}

static void ept_geometry(struct kunit *test)
{
	u64 gpa = (1ULL << 39) * 5 + (1ULL << 30) * 6 + (1ULL << 21) * 7 + (1ULL << 12) * 8 + 9;

	KUNIT_EXPECT_EQ(test, ept_index(gpa, 4), 5U);
	KUNIT_EXPECT_EQ(test, ept_index(gpa, 3), 6U);
	KUNIT_EXPECT_EQ(test, ept_index(gpa, 2), 7U);
	KUNIT_EXPECT_EQ(test, ept_index(gpa, 1), 8U);
	KUNIT_EXPECT_EQ(test, ept_frames(1), 1ULL);
	KUNIT_EXPECT_EQ(test, ept_frames(3), 512ULL * 512);
	KUNIT_EXPECT_EQ(test, ept_offset_mask(2), (2ULL << 20) - 1);
	KUNIT_EXPECT_TRUE(test, ept_is_leaf(RWX, 1));
	KUNIT_EXPECT_TRUE(test, ept_is_leaf(RWX | PS, 3));
	KUNIT_EXPECT_FALSE(test, ept_is_leaf(RWX, 2));
	KUNIT_EXPECT_FALSE(test, ept_is_leaf(RWX | PS, 4));
	KUNIT_EXPECT_EQ(test, ept_leaf_page(ept_make_leaf(P2M, 2, RWX, EPT_WB, false), 2, gpa), P2M | 8 << 12);
}

/* Each part of a split leaf maps the same memory as the whole leaf, with the same rights, type and flags. */
static void ept_splitting(struct kunit *test)
{
	static const u64 flags = R | X | WB | EPT_IPAT | A | D | EPT_SOFT;
	u64 leaf1g = P1G | flags | PS;
	u64 leaf2m = ept_split_entry(leaf1g, 3, 17);
	u64 leaf4k = ept_split_entry(leaf2m, 2, 511);

	KUNIT_EXPECT_EQ(test, leaf2m, (P1G + 17 * (2ULL << 20)) | flags | PS);
	KUNIT_EXPECT_EQ(test, leaf4k, (P1G + 17 * (2ULL << 20) + 511 * 4096ULL) | flags);
	KUNIT_EXPECT_EQ(test, ept_split_entry(leaf1g, 3, 0), leaf1g);
	KUNIT_EXPECT_TRUE(test, ept_is_leaf(leaf2m, 2));
}

static const struct fit_row {
	const char *name;
	u64 gfn, base, npages, hva;
	int level, want;
} fit_rows[] = {
	{ "aligned, whole", 0x300, 0x200, 0x400, 0x7f0000000000, 2, 2 },
	{ "host has small pages", 0x300, 0x200, 0x400, 0x7f0000000000, 1, 1 },
	{ "user address not aligned alike", 0x300, 0x200, 0x400, 0x7f0000001000, 2, 1 },
	{ "both off by the same", 0x400, 0x201, 0x5ff, 0x7f0000001000, 2, 2 },
	{ "leaf begins before the slot", 0x300, 0x201, 0x5ff, 0x7f0000001000, 2, 1 },
	{ "leaf ends after the slot", 0x300, 0x200, 0x1ff, 0x7f0000000000, 2, 1 },
	{ "leaf is the slot", 0x200, 0x200, 0x200, 0x7f0000000000, 2, 2 },
	{ "1 GiB", 0x40000, 0x40000, 0x40000, 0x7f0040000000, 3, 3 },
	{ "1 GiB falls to 2 MiB", 0x40000, 0x40000, 0x40000, 0x7f0040200000, 3, 2 },
	{ "1 GiB falls to 4 KiB", 0x40000, 0x40000, 0x40000, 0x7f0040201000, 3, 1 },
	{ "1 GiB cut short", 0x40000, 0x40000, 0x3ffff, 0x7f0040000000, 3, 2 },
	{ "slot at 0", 0, 0, 0x200, 0x7f0000000000, 3, 2 },
};

static void ept_fitting(struct kunit *test)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(fit_rows); i++) {
		const struct fit_row *r = &fit_rows[i];

		KUNIT_EXPECT_EQ_MSG(test, ept_fit_level(r->gfn, r->base, r->npages, r->hva, r->level), r->want,
				    "%s", r->name);
	}
}

static struct kunit_case ept12_cases[] = {
	KUNIT_CASE(ept12_rules),
	KUNIT_CASE(ept12_beyond_48_bits),
	KUNIT_CASE(ept12_leaf_facts),
	KUNIT_CASE(ept12_accessed_dirty),
	KUNIT_CASE(ept12_ends_without_flags),
	KUNIT_CASE(ept12_flags_need_a_right),
	KUNIT_CASE(ept12_neighbours),
	KUNIT_CASE(ept12_races),
	KUNIT_CASE(ept02_compositions),
	KUNIT_CASE(ept_filters),
	KUNIT_CASE(ept_holes),
	KUNIT_CASE(ept_geometry),
	KUNIT_CASE(ept_splitting),
	KUNIT_CASE(ept_fitting),
	{}
};

static struct kunit_suite ept12_suite = {
	.name = "droste-ept",
	.test_cases = ept12_cases,
};
kunit_test_suites(&ept12_suite);
