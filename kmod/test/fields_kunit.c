// SPDX-License-Identifier: GPL-2.0
/* The table of VMCS fields: encodings by the SDM's rules, gates, and the layout of struct vmcs12. */
#include <kunit/test.h>

#include "mem/types.h"
#include "vmx/types.h"
#include "nested/vmcs12.h"

static void fields_table_verifies(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test, vmcs12_init(), 0);
	/* A second call must not report the rows of the first as duplicates. */
	KUNIT_EXPECT_EQ(test, vmcs12_init(), 0);
}

static unsigned int size_of(const struct vmcs12_field *f)
{
	return f->width == VMCS12_WIDTH_16 ? 2 : f->width == VMCS12_WIDTH_32 ? 4 : 8;
}

/* The fields are sorted by offset, aligned, do not overlap, and start after the 40-byte header. */
static void fields_layout_is_sorted(struct kunit *test)
{
	unsigned int end = 40;
	int i;

	for (i = 0; i < NR_VMCS12_FIELDS; i++) {
		const struct vmcs12_field *f = &vmcs12_fields[i];

		KUNIT_EXPECT_GE_MSG(test, (unsigned int)f->off, end, "%s", f->name);
		KUNIT_EXPECT_EQ_MSG(test, f->off % size_of(f), 0u, "%s", f->name);
		end = f->off + size_of(f);
	}
	KUNIT_EXPECT_LE(test, end, (unsigned int)sizeof(struct vmcs12));
	KUNIT_EXPECT_LE(test, sizeof(struct vmcs12), (size_t)VMCS12_SIZE);
}

/*
 * Some encodings (SDM 3D appendix B) with their offset in KVM's VMCS12. Fields
 * that KVM does not have follow after KVM's.
 */
static void fields_known(struct kunit *test)
{
	static const struct {
		u16 enc;
		u16 off;
		u8 class;
	} rows[] = {
		{ 0x0000, 960, VMCS12_CTL },
		{ 0x0004, 1084, VMCS12_CTL },
		{ 0x0802, 966, VMCS12_GUEST },
		{ 0x0810, 980, VMCS12_GUEST },
		{ 0x0812, 996, VMCS12_GUEST },
		{ 0x0c0c, 994, VMCS12_HOST },
		{ 0x2000, 40, VMCS12_CTL },
		{ 0x200c, 1024, VMCS12_CTL },
		{ 0x200e, 312, VMCS12_CTL },
		{ 0x2010, 88, VMCS12_CTL },
		{ 0x201a, 120, VMCS12_CTL },
		{ 0x2026, 280, VMCS12_CTL },
		{ 0x202c, 160, VMCS12_CTL },
		{ 0x2032, 328, VMCS12_CTL },
		{ 0x2400, 168, VMCS12_RO },
		{ 0x2800, 176, VMCS12_GUEST },
		{ 0x2810, 240, VMCS12_GUEST },
		{ 0x2c02, 264, VMCS12_HOST },
		{ 0x4002, 748, VMCS12_CTL },
		{ 0x401e, 804, VMCS12_CTL },
		{ 0x4402, 812, VMCS12_RO },
		{ 0x440e, 836, VMCS12_RO },
		{ 0x4826, 916, VMCS12_GUEST },
		{ 0x482a, 920, VMCS12_GUEST },
		{ 0x482e, 928, VMCS12_GUEST },
		{ 0x4c00, 924, VMCS12_HOST },
		{ 0x6004, 360, VMCS12_CTL },
		{ 0x6008, 376, VMCS12_CTL },
		{ 0x600e, 400, VMCS12_CTL },
		{ 0x6400, 408, VMCS12_RO },
		{ 0x640a, 416, VMCS12_RO },
		{ 0x681e, 544, VMCS12_GUEST },
		{ 0x6824, 568, VMCS12_GUEST },
		{ 0x6c16, 672, VMCS12_HOST },
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct vmcs12_field *f = vmcs12_field_lookup(rows[i].enc);

		KUNIT_ASSERT_NOT_NULL(test, f);
		KUNIT_EXPECT_EQ_MSG(test, f->off, rows[i].off, "%s", f->name);
		KUNIT_EXPECT_EQ_MSG(test, f->class, rows[i].class, "%s", f->name);
	}
}

/* Each host field is the twin of exactly one guest field. */
static void fields_twins(struct kunit *test)
{
	int host = 0, twins = 0, i;

	for (i = 0; i < NR_VMCS12_FIELDS; i++) {
		host += vmcs12_fields[i].class == VMCS12_HOST;
		twins += vmcs12_fields[i].twin != 0;
	}
	KUNIT_EXPECT_EQ(test, twins, host);
	KUNIT_EXPECT_EQ(test, vmcs12_fields[VMCS12_I_GUEST_RIP].twin, (u16)HOST_RIP);
	KUNIT_EXPECT_EQ(test, vmcs12_fields[VMCS12_I_GUEST_LDTR_BASE].twin, (u16)0);
}

/* Fields that L1 can write have a dirty part; exit information has none. */
static void fields_dirty_parts(struct kunit *test)
{
	int i;

	for (i = 0; i < NR_VMCS12_FIELDS; i++) {
		const struct vmcs12_field *f = &vmcs12_fields[i];

		if (f->class == VMCS12_RO)
			KUNIT_EXPECT_EQ_MSG(test, f->dirty, (u16)0, "%s", f->name);
		if (f->sync == SYNC_RARE)
			KUNIT_EXPECT_EQ_MSG(test, f->dirty, (u16)DIRTY12_RARE, "%s", f->name);
		if (f->sync == SYNC_MERGE || f->sync == SYNC_COPY)
			KUNIT_EXPECT_NE_MSG(test, f->dirty, (u16)0, "%s", f->name);
		KUNIT_EXPECT_EQ_MSG(test, (u32)f->dirty & ~DIRTY12_ALL, 0u, "%s", f->name);
	}
}

/* Rules for shadowed fields: 16-bit fields are read-write, none is rare, and there are not too many. */
static void fields_shadow_rules(struct kunit *test)
{
	int i, shadowed = 0;

	for (i = 0; i < NR_VMCS12_FIELDS; i++) {
		const struct vmcs12_field *f = &vmcs12_fields[i];

		if (f->shadow == SHADOW_NONE)
			continue;
		shadowed++;
		KUNIT_EXPECT_TRUE_MSG(test, f->width != VMCS12_WIDTH_16 || f->shadow == SHADOW_RW, "%s", f->name);
		/* A rare field is not read back at each exit, so it would be stale in the shadow. */
		KUNIT_EXPECT_NE_MSG(test, f->sync, (u8)SYNC_RARE, "%s", f->name);
	}
	KUNIT_EXPECT_LE(test, shadowed, 48);
}

static void fields_gates_of_nothing(struct kunit *test)
{
	static const struct vmx_caps none;

	KUNIT_EXPECT_EQ(test, vmcs12_gates(&none), (u32)BIT(GATE_ALWAYS));
}

static void fields_gates_of_everything(struct kunit *test)
{
	static const struct vmx_caps all = {
		.true_pin = ~0ULL, .true_proc = ~0ULL, .true_exit = ~0ULL, .true_entry = ~0ULL,
		.proc2 = ~0ULL, .vmfunc = ~0ULL, .misc = 4 << 16,
	};
	u32 gates = vmcs12_gates(&all);

	KUNIT_EXPECT_EQ(test, gates, (u32)GENMASK(NR_GATES - 1, 0));
	/* TSC_MULTIPLIER (0x2032) has index 0x19. Without it the highest is 0x17. */
	KUNIT_EXPECT_EQ(test, vmcs12_max_index(gates), 0x19u);
	KUNIT_EXPECT_EQ(test, vmcs12_max_index(gates & ~(u32)BIT(GATE_TSC_SCALING)), 0x17u);
}

/* Fields of secondary controls do not exist if L1 cannot activate secondary controls. */
static void fields_gates_need_secondary(struct kunit *test)
{
	static const struct vmx_caps caps = { .proc2 = ~0ULL };

	KUNIT_EXPECT_EQ(test, vmcs12_gates(&caps) & BIT(GATE_EPT), (u32)0);
	KUNIT_EXPECT_FALSE(test, vmcs12_field_exists(&vmcs12_fields[VMCS12_I_EPT_POINTER], vmcs12_gates(&caps)));
	KUNIT_EXPECT_TRUE(test, vmcs12_field_exists(&vmcs12_fields[VMCS12_I_GUEST_RIP], vmcs12_gates(&caps)));
}

static struct kunit_case fields_cases[] = {
	KUNIT_CASE(fields_table_verifies),
	KUNIT_CASE(fields_layout_is_sorted),
	KUNIT_CASE(fields_known),
	KUNIT_CASE(fields_twins),
	KUNIT_CASE(fields_dirty_parts),
	KUNIT_CASE(fields_shadow_rules),
	KUNIT_CASE(fields_gates_of_nothing),
	KUNIT_CASE(fields_gates_of_everything),
	KUNIT_CASE(fields_gates_need_secondary),
	{}
};

static struct kunit_suite fields_suite = {
	.name = "droste-fields",
	.test_cases = fields_cases,
};
kunit_test_suites(&fields_suite);
