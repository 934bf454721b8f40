// SPDX-License-Identifier: GPL-2.0
/* Predicates that VM-entry checks and VMX instructions share, and the window of PAUSE-loop exiting. */
#include <kunit/test.h>
#include <asm/vmx.h>

#include "mem/types.h"
#include "vmx/types.h"
#include "emul/arch.h"
#include "nested/checks.h"
#include "vmx/ple.h"

static void values_eptp(struct kunit *test)
{
	struct vmx_caps caps = { .ept_vpid = VMX_EPT_PAGE_WALK_4_BIT | VMX_EPTP_WB_BIT };

	KUNIT_EXPECT_TRUE(test, check_eptp(&caps, 40, 0x501e));
	KUNIT_EXPECT_FALSE(test, check_eptp(&caps, 40, 0x5018));	/* uncacheable: not offered */
	KUNIT_EXPECT_FALSE(test, check_eptp(&caps, 40, 0x5019));	/* write-combining */
	KUNIT_EXPECT_FALSE(test, check_eptp(&caps, 40, 0x5026));	/* five levels */
	KUNIT_EXPECT_FALSE(test, check_eptp(&caps, 40, 0x505e));	/* accessed and dirty flags: not offered */
	KUNIT_EXPECT_FALSE(test, check_eptp(&caps, 40, 0x509e));	/* reserved */
	KUNIT_EXPECT_FALSE(test, check_eptp(&caps, 40, BIT_ULL(40) | 0x1e));
	caps.ept_vpid |= VMX_EPTP_UC_BIT | VMX_EPT_AD_BIT;
	KUNIT_EXPECT_TRUE(test, check_eptp(&caps, 40, 0x5018));
	KUNIT_EXPECT_TRUE(test, check_eptp(&caps, 40, 0x505e));
}

static void values_canonical(struct kunit *test)
{
	KUNIT_EXPECT_TRUE(test, arch_canonical(0, 48));
	KUNIT_EXPECT_TRUE(test, arch_canonical(0x00007fffffffffffULL, 48));
	KUNIT_EXPECT_FALSE(test, arch_canonical(0x0000800000000000ULL, 48));
	KUNIT_EXPECT_TRUE(test, arch_canonical(0xffff800000000000ULL, 48));
	KUNIT_EXPECT_TRUE(test, arch_canonical(0x0000800000000000ULL, 57));
	KUNIT_EXPECT_FALSE(test, arch_canonical(0x0100000000000000ULL, 57));
}

static void values_ple_window(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test, ple_grown(4096, 4096, 2, 1 << 30), 8192);
	KUNIT_EXPECT_EQ(test, ple_grown(4096, 4096, 0, 1 << 30), 4096);
	KUNIT_EXPECT_EQ(test, ple_grown(8192, 4096, 0, 1 << 30), 4096);
	KUNIT_EXPECT_EQ(test, ple_grown(8192, 4096, 4096, 1 << 30), 12288);
	KUNIT_EXPECT_EQ(test, ple_grown(8192, 4096, 2, 10000), 10000);
	KUNIT_EXPECT_EQ(test, ple_grown(4096, 4096, 2, 0), 4096);	/* a maximum below the least window */
	KUNIT_EXPECT_EQ(test, ple_grown(U32_MAX, 4096, 2, U32_MAX), U32_MAX);
	KUNIT_EXPECT_EQ(test, ple_grown(U32_MAX, 4096, 5000, U32_MAX), U32_MAX);
	KUNIT_EXPECT_EQ(test, ple_grown(0, 0, 2, 100), 2);
	KUNIT_EXPECT_EQ(test, ple_lowered(65536, 4096), 32768);
	KUNIT_EXPECT_EQ(test, ple_lowered(2048, 4096), 1024);
	KUNIT_EXPECT_EQ(test, ple_lowered(1024, 4096), 1024);
	KUNIT_EXPECT_EQ(test, ple_grown(1024, 4096, 2, 1 << 30), 2048);
	KUNIT_EXPECT_EQ(test, ple_shrunk(65536, 4096, 0), 4096);
	KUNIT_EXPECT_EQ(test, ple_shrunk(65536, 4096, 4), 16384);
	KUNIT_EXPECT_EQ(test, ple_shrunk(8192, 4096, 4), 4096);
	KUNIT_EXPECT_EQ(test, ple_shrunk(65536, 4096, 8192), 57344);
	KUNIT_EXPECT_EQ(test, ple_shrunk(6000, 4096, 8192), 4096);
}

static struct kunit_case values_cases[] = {
	KUNIT_CASE(values_eptp),
	KUNIT_CASE(values_canonical),
	KUNIT_CASE(values_ple_window),
	{}
};

static struct kunit_suite values_suite = {
	.name = "droste-values",
	.test_cases = values_cases,
};
kunit_test_suites(&values_suite);
