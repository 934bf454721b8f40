// SPDX-License-Identifier: GPL-2.0
/* Tests of the guest page walk, one per row: sizes, rights, reserved bits, error codes, accessed and dirty flags. */
#include <kunit/test.h>

#include "emul/pagewalk.h"

#define P	BIT_ULL(0)
#define W	BIT_ULL(1)
#define U	BIT_ULL(2)
#define A	BIT_ULL(5)
#define D	BIT_ULL(6)
#define PS	BIT_ULL(7)
#define NX	BIT_ULL(63)
#define PWU	(P | W | U)
#define KEY(n)	((u64)(n) << 59)

#define ACC_W	PFERR_W
#define ACC_U	PFERR_U
#define ACC_X	PFERR_ID

/* The tables of the test, one per level. */
#define TABLE(level)	(0x100000ULL + (level) * 0x1000ULL)
#define T4	(TABLE(4) | PWU | A)
#define T3	(TABLE(3) | PWU | A)
#define T2	(TABLE(2) | PWU | A)
#define T1	(TABLE(1) | PWU | A)
#define LA	0x7f3456789abcULL
#define LA32	0xc3456789ULL
#define PAGE	0x7654321000ULL
#define P2M	0x7654200000ULL
#define P1G	0x7640000000ULL

/* Deviations from the default: CR0.WP, EFER.NXE, no other optional feature, MAXPHYADDR 40. */
enum {
	M_32 = BIT(0), M_PAE = BIT(1), M_LA57 = BIT(2), M_NOPG = BIT(3),
	M_NOWP = BIT(4), M_NONXE = BIT(5), M_SMEP = BIT(6), M_SMAP = BIT(7), M_AC = BIT(8),
	M_PSE = BIT(9), M_1G = BIT(10), M_PKE = BIT(11), M_36 = BIT(12),
};

struct row {
	const char *name;
	u32 machine;
	u64 e[6];		/* the entry at each level; e[0]: PAE's PDPTE */
	u32 access;
	enum pagewalk_verdict want;
	u64 result;		/* OK: GPA; fault: error code */
	u8 level;		/* OK: of the leaf */
};

#define OK	PAGEWALK_OK
#define PF	PAGEWALK_FAULT
#define LEAF4(bits)	{ 0, PAGE | (bits), T1, T2, T3 }

static const struct row walk_table[] = {
	/* modes and sizes */
	{ "no paging", M_NOPG, {}, ACC_U | ACC_W, OK, LA32, 0 },
	{ "4 KiB", 0, LEAF4(PWU | A), ACC_U, OK, PAGE | 0xabc, 1 },
	{ "2 MiB", 0, { 0, 0, P2M | PWU | A | PS, T2, T3 }, ACC_U, OK, P2M | 0x189abc, 2 },
	{ "1 GiB", M_1G, { 0, 0, 0, P1G | PWU | A | PS, T3 }, ACC_U, OK, P1G | 0x16789abc, 3 },
	{ "1 GiB not offered", 0, { 0, 0, 0, P1G | PWU | A | PS, T3 }, 0, PF, PFERR_P | PFERR_RSVD },
	{ "5 levels", M_LA57, { 0, PAGE | PWU | A, T1, T2, T3, T4 }, ACC_U, OK, PAGE | 0xabc, 1 },
	{ "32-bit 4 KiB", M_32, { 0, 0x12345000 | PWU | A, T1 }, ACC_U, OK, 0x12345789, 1 },
	{ "32-bit 4 MiB", M_32 | M_PSE, { 0, 0, 0x12400000 | PWU | A | PS }, ACC_U, OK, 0x12456789, 2 },
	{ "PSE-36", M_32 | M_PSE, { 0, 0, 0x12400000 | 0x1fe000 | PWU | A | PS }, ACC_U, OK, 0xff12456789ULL, 2 },
	{ "PSE-36 beyond the address width", M_32 | M_PSE | M_36, { 0, 0, 0x12400000 | BIT(17) | PWU | A | PS }, 0, PF,
	  PFERR_P | PFERR_RSVD },
	{ "4 MiB, bit 21", M_32 | M_PSE, { 0, 0, 0x12400000 | BIT(21) | PWU | A | PS }, 0, PF, PFERR_P | PFERR_RSVD },
	{ "PS without CR4.PSE", M_32, { 0, 0x12345000 | PWU | A, T1 | PS }, ACC_U, OK, 0x12345789, 1 },
	{ "PAE 4 KiB", M_PAE, { TABLE(2) | P, PAGE | PWU | A, T1 }, ACC_U, OK, PAGE | 0x789, 1 },
	{ "PAE 2 MiB", M_PAE, { TABLE(2) | P, 0, P2M | PWU | A | PS }, ACC_U, OK, P2M | 0x56789, 2 },
	{ "PAE PDPTE absent", M_PAE, { TABLE(2), PAGE | PWU | A, T1 }, ACC_U, PF, PFERR_U },
	{ "PAE bit 52 is reserved", M_PAE, { TABLE(2) | P, PAGE | PWU | A | BIT_ULL(52), T1 }, 0, PF, PFERR_P | PFERR_RSVD },
	/* not present */
	{ "PML4E absent", 0, { 0, 0, 0, 0, 0 }, 0, PF, 0 },
	{ "PTE absent, with anything else", 0, LEAF4(~P & ~PAGE), ACC_U | ACC_W, PF, PFERR_U | PFERR_W },
	{ "absent, fetch", 0, LEAF4(0), ACC_X, PF, PFERR_ID },
	{ "absent, fetch, NX and SMEP off", M_NONXE, LEAF4(0), ACC_X, PF, 0 },
	{ "absent, fetch, SMEP makes I/D known", M_NONXE | M_SMEP, LEAF4(0), ACC_X, PF, PFERR_ID },
	{ "32-bit, fetch, I/D not known", M_32, { 0, 0, 0 }, ACC_X | ACC_U, PF, PFERR_U },
	/* user and supervisor */
	{ "user, supervisor page", 0, LEAF4(P | W | A), ACC_U, PF, PFERR_P | PFERR_U },
	{ "user, supervisor table", 0, { 0, PAGE | PWU | A, T1, T2 & ~U, T3 }, ACC_U, PF, PFERR_P | PFERR_U },
	{ "supervisor, supervisor page", 0, LEAF4(P | W | A), 0, OK, PAGE | 0xabc, 1 },
	/* writes */
	{ "user write, read-only", 0, LEAF4(P | U | A), ACC_U | ACC_W, PF, PFERR_P | PFERR_U | PFERR_W },
	{ "user write, read-only table, WP off", M_NOWP, { 0, PAGE | PWU | A, T1 & ~W, T2, T3 }, ACC_U | ACC_W, PF,
	  PFERR_P | PFERR_U | PFERR_W },
	{ "supervisor write, read-only", 0, LEAF4(P | U | A), ACC_W, PF, PFERR_P | PFERR_W },
	{ "supervisor write, read-only, WP off", M_NOWP, LEAF4(P | A), ACC_W, OK, PAGE | 0xabc, 1 },
	/* execution */
	{ "fetch, NX", 0, LEAF4(PWU | A | NX), ACC_X | ACC_U, PF, PFERR_P | PFERR_U | PFERR_ID },
	{ "fetch, NX in a table", 0, { 0, PAGE | PWU | A, T1, T2 | NX, T3 }, ACC_X | ACC_U, PF, PFERR_P | PFERR_U | PFERR_ID },
	{ "NX without NXE is reserved", M_NONXE, LEAF4(PWU | A | NX), 0, PF, PFERR_P | PFERR_RSVD },
	{ "data, NX", 0, LEAF4(PWU | A | NX), ACC_U, OK, PAGE | 0xabc, 1 },
	{ "SMEP", M_SMEP, LEAF4(PWU | A), ACC_X, PF, PFERR_P | PFERR_ID },
	{ "SMEP leaves user fetches alone", M_SMEP, LEAF4(PWU | A), ACC_X | ACC_U, OK, PAGE | 0xabc, 1 },
	{ "SMEP leaves supervisor pages alone", M_SMEP, LEAF4(P | A), ACC_X, OK, PAGE | 0xabc, 1 },
	{ "SMAP", M_SMAP, LEAF4(PWU | A), 0, PF, PFERR_P },
	{ "SMAP with AC", M_SMAP | M_AC, LEAF4(PWU | A), 0, OK, PAGE | 0xabc, 1 },
	{ "SMAP leaves fetches alone", M_SMAP, LEAF4(PWU | A), ACC_X, OK, PAGE | 0xabc, 1 },
	{ "SMAP with AC, read-only", M_SMAP | M_AC, LEAF4(P | U | A), ACC_W, PF, PFERR_P | PFERR_W },
	/* reserved bits */
	{ "address too wide", 0, LEAF4(PWU | A | BIT_ULL(40)), ACC_U, PF, PFERR_P | PFERR_U | PFERR_RSVD },
	{ "in a table", 0, { 0, PAGE | PWU | A, T1 | BIT_ULL(51), T2, T3 }, ACC_W, PF, PFERR_P | PFERR_W | PFERR_RSVD },
	{ "bits 62:52 are ignored", 0, LEAF4(PWU | A | GENMASK_ULL(62, 52)), ACC_U, OK, PAGE | 0xabc, 1 },
	{ "2 MiB, bit 13", 0, { 0, 0, P2M | PWU | A | PS | BIT(13), T2, T3 }, 0, PF, PFERR_P | PFERR_RSVD },
	{ "2 MiB, bit 12 is PAT", 0, { 0, 0, P2M | PWU | A | PS | BIT(12), T2, T3 }, 0, OK, P2M | 0x189abc, 2 },
	{ "1 GiB, bit 29", M_1G, { 0, 0, 0, P1G | PWU | A | PS | BIT(29), T3 }, 0, PF, PFERR_P | PFERR_RSVD },
	{ "PS in a PML4E", 0, { 0, PAGE | PWU | A, T1, T2, T3 | PS }, 0, PF, PFERR_P | PFERR_RSVD },
	{ "reserved beats rights", 0, LEAF4(P | A | BIT_ULL(40)), ACC_U, PF, PFERR_P | PFERR_U | PFERR_RSVD },
	/* protection keys; PKRU: key 1 no access, key 2 no write */
	{ "key 0", M_PKE, LEAF4(PWU | A), ACC_U | ACC_W, OK, PAGE | 0xabc, 1 },
	{ "access disabled", M_PKE, LEAF4(PWU | A | KEY(1)), ACC_U, PF, PFERR_P | PFERR_U | PFERR_PK },
	{ "write disabled, read", M_PKE, LEAF4(PWU | A | KEY(2)), ACC_U, OK, PAGE | 0xabc, 1 },
	{ "write disabled", M_PKE, LEAF4(PWU | A | KEY(2)), ACC_U | ACC_W, PF, PFERR_P | PFERR_U | PFERR_W | PFERR_PK },
	{ "write disabled, supervisor, WP off", M_PKE | M_NOWP, LEAF4(PWU | A | KEY(2)), ACC_W, OK, PAGE | 0xabc, 1 },
	{ "keys are for user pages", M_PKE, LEAF4(P | W | A | KEY(1)), 0, OK, PAGE | 0xabc, 1 },
	{ "keys do not keep from fetching", M_PKE, LEAF4(PWU | A | KEY(1)), ACC_U | ACC_X, OK, PAGE | 0xabc, 1 },
};

/* A guest's tables, and a record of what the walk did to them. */
struct tables {
	const struct row *row;
	u64 e[6];
	u32 bytes;
	u64 top;		/* the table that CR3 points to */
	int races;		/* number of times that an entry changes during the walk */
	int updates;
	bool fail;		/* reads fail */
};

/* The level of the table that contains an entry. */
static int walk_level_of(const struct tables *t, u64 gpa)
{
	if ((gpa & ~0xfffULL) == t->top)
		return t->row->machine & (M_32 | M_PAE) ? 2 : t->row->machine & M_LA57 ? 5 : 4;
	return (gpa - TABLE(0)) >> 12;
}

static int walk_read_entry(void *priv, u64 gpa, void *entry, u32 bytes)
{
	struct tables *t = priv;

	if (t->fail)
		return -EFAULT;
	t->bytes = bytes;
	memcpy(entry, &t->e[walk_level_of(t, gpa)], bytes);
	return 0;
}

static int walk_cmpxchg_entry(void *priv, u64 gpa, u64 old, u64 new, u32 bytes)
{
	struct tables *t = priv;
	u64 *e = &t->e[walk_level_of(t, gpa)];

	if (t->races) {
		t->races--;
		*e |= BIT(9);
	}
	if (*e != old)
		return 1;
	*e = new;
	t->updates++;
	return 0;
}

static const struct pagewalk_ops walk_ops = { .read = walk_read_entry, .compare_exchange = walk_cmpxchg_entry };

static void walk_set_up(const struct row *r, struct pagewalk_cfg *cfg, struct tables *t)
{
	u32 m = r->machine;

	*t = (struct tables) { .row = r, .top = m & M_PAE ? TABLE(2) : 0x200000 };
	memcpy(t->e, r->e, sizeof(t->e));
	*cfg = (struct pagewalk_cfg) {
		.cr0 = BIT(0) | (m & M_NOPG ? 0 : BIT_ULL(31)) | (m & M_NOWP ? 0 : BIT(16)),
		.cr3 = t->top | 0x18,
		.cr4 = (m & (M_32 | M_NOPG) ? 0 : BIT(5)) | (m & M_PSE ? BIT(4) : 0) | (m & M_LA57 ? BIT(12) : 0) |
		       (m & M_SMEP ? BIT(20) : 0) | (m & M_SMAP ? BIT(21) : 0) | (m & M_PKE ? BIT(22) : 0),
		.efer = (m & (M_32 | M_PAE | M_NOPG) ? 0 : BIT(10)) | (m & M_NONXE ? 0 : BIT(11)),
		.pkru = 1 << 2 | 2 << 4,
		.maxphyaddr = m & M_36 ? 36 : 40,
		.gbpages = m & M_1G,
		.ac_override = m & M_AC,
	};
	cfg->pdpte[LA32 >> 30] = r->e[0];
}

static u64 walk_address(const struct row *r)
{
	return r->machine & (M_32 | M_PAE | M_NOPG) ? LA32 : LA;
}

static void walk_rows(struct kunit *test)
{
	struct pagewalk_result res;
	struct pagewalk_cfg cfg;
	struct tables t;
	u32 i;

	for (i = 0; i < ARRAY_SIZE(walk_table); i++) {
		const struct row *r = &walk_table[i];

		walk_set_up(r, &cfg, &t);
		KUNIT_EXPECT_EQ_MSG(test, (int)pagewalk(&cfg, &walk_ops, &t, walk_address(r), r->access, &res), (int)r->want,
				    "%s", r->name);
		if (r->want == PF) {
			KUNIT_EXPECT_EQ_MSG(test, (u64)res.error_code, r->result, "%s", r->name);
			KUNIT_EXPECT_EQ_MSG(test, t.updates, 0, "%s: a fault changed the tables", r->name);
			continue;
		}
		KUNIT_EXPECT_EQ_MSG(test, res.gpa, r->result, "%s", r->name);
		KUNIT_EXPECT_EQ_MSG(test, res.level, r->level, "%s", r->name);
		if (t.bytes)
			KUNIT_EXPECT_EQ_MSG(test, t.bytes, r->machine & M_32 ? 4U : 8U, "%s", r->name);
	}
}

static const struct row flags_row = { "flags", 0, { 0, PAGE | PWU, T1 & ~A, T2 & ~A, T3 & ~A } };

static void walk_accessed_dirty(struct kunit *test)
{
	struct pagewalk_result res;
	struct pagewalk_cfg cfg;
	struct tables t;

	walk_set_up(&flags_row, &cfg, &t);
	KUNIT_EXPECT_EQ(test, (int)pagewalk(&cfg, &walk_ops, &t, LA, ACC_U, &res), (int)OK);
	KUNIT_EXPECT_EQ(test, t.updates, 4);
	KUNIT_EXPECT_EQ(test, t.e[1], PAGE | PWU | A);
	KUNIT_EXPECT_EQ(test, t.e[4], T3);
	KUNIT_EXPECT_EQ(test, (int)pagewalk(&cfg, &walk_ops, &t, LA, ACC_U | ACC_W, &res), (int)OK);
	KUNIT_EXPECT_EQ(test, t.updates, 5);
	KUNIT_EXPECT_EQ(test, t.e[1], PAGE | PWU | A | D);
	KUNIT_EXPECT_EQ(test, t.e[2], T1);
	KUNIT_EXPECT_EQ(test, (int)pagewalk(&cfg, &walk_ops, &t, LA, ACC_U | ACC_W, &res), (int)OK);
	KUNIT_EXPECT_EQ(test, t.updates, 5);
}

/* The walk restarts if another processor changes an entry, a limited number of times. */
static void walk_races(struct kunit *test)
{
	struct pagewalk_result res;
	struct pagewalk_cfg cfg;
	struct tables t;

	walk_set_up(&flags_row, &cfg, &t);
	t.races = 1;
	KUNIT_EXPECT_EQ(test, (int)pagewalk(&cfg, &walk_ops, &t, LA, ACC_U | ACC_W, &res), (int)OK);
	KUNIT_EXPECT_EQ(test, t.e[1] & (A | D), A | D);
	KUNIT_EXPECT_EQ(test, t.e[4] & (A | BIT(9)), A | BIT(9));

	walk_set_up(&flags_row, &cfg, &t);
	t.fail = true;
	KUNIT_EXPECT_EQ(test, (int)pagewalk(&cfg, &walk_ops, &t, LA, ACC_U, &res), (int)PAGEWALK_STOPPED);
}

static struct kunit_case walk_cases[] = {
	KUNIT_CASE(walk_rows),
	KUNIT_CASE(walk_accessed_dirty),
	KUNIT_CASE(walk_races),
	{}
};

static struct kunit_suite walk_suite = {
	.name = "droste_walk",
	.test_cases = walk_cases,
};

kunit_test_suites(&walk_suite);
