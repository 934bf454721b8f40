// SPDX-License-Identifier: GPL-2.0
/* Access to VMCS12 by encoding: all 2^15 encodings, and some with reserved bits. */
#include <kunit/test.h>

#include "mem/types.h"
#include "vmx/types.h"
#include "nested/vmcs12.h"

#define PATTERN		0xfedcba9876543210ULL
#define NR_ENCODINGS	BIT(15)

static struct vmcs12 *vmcs12;

static int vmcs12_setup(struct kunit *test)
{
	vmcs12 = kunit_kzalloc(test, sizeof(*vmcs12), GFP_KERNEL);
	return vmcs12 ? vmcs12_init() : -ENOMEM;
}

static u64 cut(const struct vmcs12_field *f, u64 val)
{
	switch (f->width) {
	case VMCS12_WIDTH_16:
		return (u16)val;
	case VMCS12_WIDTH_32:
		return (u32)val;
	default:
		return val;
	}
}

/* Find the row of an encoding by linear search, by the SDM's rules. */
static const struct vmcs12_field *search(u32 enc)
{
	int i;

	for (i = 0; i < NR_VMCS12_FIELDS; i++) {
		if (vmcs12_fields[i].enc == enc)
			return &vmcs12_fields[i];
		if (vmcs12_fields[i].enc == (enc & ~1u) && vmcs12_fields[i].width == VMCS12_WIDTH_64)
			return &vmcs12_fields[i];
	}
	return NULL;
}

/* Each encoding finds its row, or none if no field has it. */
static void vmcs12_lookup_all(struct kunit *test)
{
	int found = 0;
	u32 enc;

	for (enc = 0; enc < NR_ENCODINGS; enc++) {
		const struct vmcs12_field *f = vmcs12_field_lookup(enc);

		KUNIT_ASSERT_PTR_EQ_MSG(test, f, search(enc), "encoding %#x", enc);
		found += f && !(enc & VMCS_ENC_HIGH);
	}
	KUNIT_EXPECT_EQ(test, found, (int)NR_VMCS12_FIELDS);
}

/* An encoding with a reserved bit or a bit above 31 finds no field. */
static void vmcs12_lookup_reserved(struct kunit *test)
{
	unsigned int bit;
	int i;

	for (i = 0; i < NR_VMCS12_FIELDS; i++) {
		for (bit = 0; bit < 64; bit++) {
			u64 enc = vmcs12_fields[i].enc | BIT_ULL(bit);

			if (bit == 12 || bit >= 15)
				KUNIT_ASSERT_NULL(test, vmcs12_field_lookup(enc));
		}
	}
	KUNIT_EXPECT_NULL(test, vmcs12_field_lookup(~0ULL));
}

/* A write by each encoding reads back, truncated to the field's width, and changes no other byte. */
static void vmcs12_write_read_all(struct kunit *test)
{
	struct vmcs12 *want = kunit_kzalloc(test, sizeof(*want), GFP_KERNEL);
	u64 val;
	u32 enc;

	KUNIT_ASSERT_NOT_NULL(test, want);
	for (enc = 0; enc < NR_ENCODINGS; enc++) {
		const struct vmcs12_field *f = vmcs12_field_lookup(enc);

		memset(vmcs12, 0, sizeof(*vmcs12));
		memset(want, 0, sizeof(*want));
		val = 0x5555;
		if (!f) {
			KUNIT_ASSERT_EQ(test, vmcs12_write_field(vmcs12, enc, PATTERN), -ENOENT);
			KUNIT_ASSERT_EQ(test, vmcs12_read_field(vmcs12, enc, &val), -ENOENT);
			KUNIT_ASSERT_EQ(test, val, 0x5555ULL);
		} else if (enc & VMCS_ENC_HIGH) {
			KUNIT_ASSERT_EQ(test, vmcs12_write_field(vmcs12, enc, PATTERN), 0);
			vmcs12_set(want, f, PATTERN << 32);
			KUNIT_ASSERT_EQ(test, vmcs12_read_field(vmcs12, enc, &val), 0);
			KUNIT_ASSERT_EQ_MSG(test, val, PATTERN & 0xffffffff, "%s", f->name);
		} else {
			KUNIT_ASSERT_EQ(test, vmcs12_write_field(vmcs12, enc, PATTERN), 0);
			vmcs12_set(want, f, cut(f, PATTERN));
			KUNIT_ASSERT_EQ(test, vmcs12_read_field(vmcs12, enc, &val), 0);
			KUNIT_ASSERT_EQ_MSG(test, val, cut(f, PATTERN), "%s", f->name);
		}
		KUNIT_ASSERT_EQ_MSG(test, memcmp(vmcs12, want, sizeof(*want)), 0, "encoding %#x", enc);
	}
}

/* High access changes only the upper half (SDM 3C 25.11.2). */
static void vmcs12_high_keeps_low(struct kunit *test)
{
	u64 val;

	KUNIT_EXPECT_EQ(test, vmcs12_write_field(vmcs12, EPT_POINTER, 0x1111111122222222ULL), 0);
	KUNIT_EXPECT_EQ(test, vmcs12_write_field(vmcs12, EPT_POINTER_HIGH, 0x33333333ULL), 0);
	KUNIT_EXPECT_EQ(test, vmcs12->ept_pointer, 0x3333333322222222ULL);
	KUNIT_EXPECT_EQ(test, vmcs12_read_field(vmcs12, EPT_POINTER_HIGH, &val), 0);
	KUNIT_EXPECT_EQ(test, val, 0x33333333ULL);
	/* Fields of other widths have no upper half. */
	KUNIT_EXPECT_EQ(test, vmcs12_read_field(vmcs12, GUEST_RIP | 1, &val), -ENOENT);
	KUNIT_EXPECT_EQ(test, vmcs12_read_field(vmcs12, VM_EXIT_REASON | 1, &val), -ENOENT);
}

static struct kunit_case vmcs12_cases[] = {
	KUNIT_CASE(vmcs12_lookup_all),
	KUNIT_CASE(vmcs12_lookup_reserved),
	KUNIT_CASE(vmcs12_write_read_all),
	KUNIT_CASE(vmcs12_high_keeps_low),
	{}
};

static struct kunit_suite vmcs12_suite = {
	.name = "droste-vmcs12",
	.init = vmcs12_setup,
	.test_cases = vmcs12_cases,
};
kunit_test_suites(&vmcs12_suite);
