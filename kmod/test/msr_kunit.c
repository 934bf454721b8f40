// SPDX-License-Identifier: GPL-2.0
/* msrs.def: order, ranges, MSRs that a guest must or must not have; and the checks of values that handlers share. */
#include <kunit/test.h>
#include <linux/string.h>
#include "cpu/msr.h"
#include "emul/arch.h"

struct row {
	u32 first, last;
	const char *get, *set;
	u32 flags;
};

#define LIST	MSR_F_LIST
#define FEATURE	MSR_F_FEATURE
#define PV	MSR_F_PV
#define MSR(_first, _last, _get, _set, _arg, _flags) { _first, _last, #_get, #_set, _flags },
static const struct row rows[] = {
#include "cpu/msrs.def"
};
#undef MSR

static const struct row *find(u32 msr)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(rows); i++)
		if (msr >= rows[i].first && msr <= rows[i].last)
			return &rows[i];
	return NULL;
}

static void sorted_and_apart(struct kunit *test)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		KUNIT_EXPECT_LE_MSG(test, rows[i].first, rows[i].last, "MSR %#x", rows[i].first);
		if (i)
			KUNIT_EXPECT_GT_MSG(test, rows[i].first, rows[i - 1].last, "MSR %#x", rows[i].first);
	}
}

static void listed_can_be_read(struct kunit *test)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		KUNIT_EXPECT_STRNEQ_MSG(test, rows[i].set, "NULL", "MSR %#x", rows[i].first);
		if (rows[i].flags)
			KUNIT_EXPECT_STRNEQ_MSG(test, rows[i].get, "NULL", "MSR %#x", rows[i].first);
	}
}

static void a_pc_has_them(struct kunit *test)
{
	/* TSC, APIC_BASE, FEATURE_CONTROL, SYSENTER, MISC_ENABLE, MTRRs, PAT, MCG_CAP, VMX, x2APIC, EFER, LSTAR, GS */
	static const u32 must[] = { 0x10, 0x1b, 0x3a, 0x174, 0x176, 0x1a0, 0x200, 0x20f, 0x26f, 0x277, 0x2ff,
				    0x179, 0x480, 0x491, 0x800, 0xc0000080, 0xc0000082, 0xc0000102 };
	int i;

	for (i = 0; i < ARRAY_SIZE(must); i++)
		KUNIT_EXPECT_NOT_NULL_MSG(test, find(must[i]), "MSR %#x", must[i]);
}

static void hidden_stay_hidden(struct kunit *test)
{
	/* counters, PERF_GLOBAL_CTRL, DS_AREA, 0x492, U_CET, BNDCFGS, SVM's */
	static const u32 absent[] = { 0xc1, 0x186, 0x38f, 0x600, 0x492, 0x6a0, 0xd90,
				      0xc0000104, 0xc0010117, 0xffffffff };
	int i;

	for (i = 0; i < ARRAY_SIZE(absent); i++)
		KUNIT_EXPECT_NULL_MSG(test, find(absent[i]), "MSR %#x", absent[i]);
}

static void features_are_the_vmx_caps(struct kunit *test)
{
	u32 msr;

	for (msr = 0x480; msr <= 0x491; msr++) {
		KUNIT_ASSERT_NOT_NULL(test, find(msr));
		KUNIT_EXPECT_TRUE_MSG(test, find(msr)->flags & MSR_F_FEATURE, "MSR %#x", msr);
	}
}

static void canonical(struct kunit *test)
{
	KUNIT_EXPECT_TRUE(test, arch_canonical(0, 48));
	KUNIT_EXPECT_TRUE(test, arch_canonical(0x00007fffffffffffULL, 48));
	KUNIT_EXPECT_FALSE(test, arch_canonical(0x0000800000000000ULL, 48));
	KUNIT_EXPECT_FALSE(test, arch_canonical(0xffff7fffffffffffULL, 48));
	KUNIT_EXPECT_TRUE(test, arch_canonical(0xffff800000000000ULL, 48));
	KUNIT_EXPECT_TRUE(test, arch_canonical(~0ULL, 48));
}

static void memory_types(struct kunit *test)
{
	/* UC, WC, reserved, reserved, WT, WP, WB, UC- (PAT only) */
	static const bool mtrr[8] = { true, true, false, false, true, true, true, false };
	int type;

	for (type = 0; type < 8; type++) {
		KUNIT_EXPECT_EQ(test, msr_memtype_valid(type, false), mtrr[type]);
		KUNIT_EXPECT_EQ(test, msr_memtype_valid(type, true), mtrr[type] || type == 7);
	}
	for (type = 8; type < 256; type++) {
		KUNIT_EXPECT_FALSE(test, msr_memtype_valid(type, false));
		KUNIT_EXPECT_FALSE(test, msr_memtype_valid(type, true));
	}
}

static struct kunit_case cases[] = {
	KUNIT_CASE(sorted_and_apart),
	KUNIT_CASE(listed_can_be_read),
	KUNIT_CASE(a_pc_has_them),
	KUNIT_CASE(hidden_stay_hidden),
	KUNIT_CASE(features_are_the_vmx_caps),
	KUNIT_CASE(canonical),
	KUNIT_CASE(memory_types),
	{}
};

static struct kunit_suite suite = { .name = "droste_msr", .test_cases = cases };

kunit_test_suites(&suite);
