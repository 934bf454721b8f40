// SPDX-License-Identifier: GPL-2.0
/* checks_all() and check_fields(): all rows that fail, and the fields that they look at. */
#include <kunit/test.h>
#include <linux/bitops.h>

#include "nested/checks.h"
#include "test/checks_states.h"

#define RANDOM_STATES	20000

/* The verdict of a VM entry, and that of all rows, on one state. */
struct verdicts {
	enum check_id first;
	unsigned long failing[CHECK_WORDS], applies[CHECK_WORDS];
};

static struct state *state;
static struct verdicts *before, *after;

static int checks_all_setup(struct kunit *test)
{
	state = kunit_kzalloc(test, sizeof(*state), GFP_KERNEL);
	before = kunit_kzalloc(test, sizeof(*before), GFP_KERNEL);
	after = kunit_kzalloc(test, sizeof(*after), GFP_KERNEL);
	return state && before && after ? 0 : -ENOMEM;
}

static void judge(struct verdicts *all)
{
	u64 qual;

	all->first = checks_controls(&state->c);
	if (!all->first)
		all->first = checks_host(&state->c);
	if (!all->first)
		all->first = checks_guest(&state->c, &qual);
	checks_all(&state->c, all->failing, all->applies);
}

/* The number of rows that fail. */
static int count(const struct verdicts *all)
{
	int i, n = 0;

	for (i = 0; i < NR_CHECKS; i++)
		n += test_bit(i, all->failing);
	return n;
}

/* A state that fails a row has it among the failing rows. One that passes has none. */
static void checks_all_each_row(struct kunit *test)
{
	int i;

	for (i = CHECK_OK + 1; i < NR_CHECKS; i++) {
		checks_state_failing(state, i);
		judge(after);
		KUNIT_EXPECT_TRUE_MSG(test, test_bit(i, after->failing), "%s", check_name(i));
		KUNIT_EXPECT_FALSE(test, test_bit(CHECK_OK, after->failing));
		/* No row depends on what was dirty. */
		state->c.dirty = 0;
		judge(before);
		KUNIT_EXPECT_EQ(test, memcmp(before->failing, after->failing, sizeof(after->failing)), 0);
	}
	for (i = 0; checks_state_passing(state, i); i++) {
		judge(after);
		KUNIT_EXPECT_EQ_MSG(test, count(after), 0, "passing state %d", i);
	}
}

/* Faults in different sections are all found: here those of three sections, and what follows from them. */
static void checks_all_several(struct kunit *test)
{
	checks_state_failing(state, CHECK_RFLAGS_IF);
	state->v.host_cs_selector = 0;
	state->v.virtual_processor_id = 0;
	judge(after);
	KUNIT_EXPECT_EQ(test, (int)after->first, (int)CHECK_VPID_NONZERO);
	KUNIT_EXPECT_EQ(test, count(after), 3);
	KUNIT_EXPECT_TRUE(test, test_bit(CHECK_VPID_NONZERO, after->failing));
	KUNIT_EXPECT_TRUE(test, test_bit(CHECK_HOST_CS_NULL, after->failing));
	KUNIT_EXPECT_TRUE(test, test_bit(CHECK_RFLAGS_IF, after->failing));
}

/* What is compared at L1's entries alone, or is in memory, does not keep user space from restoring an L2. */
static void checks_restored_reads_no_memory(struct kunit *test)
{
	static const enum check_id rows[] = { CHECK_TPR_THRESHOLD_VTPR, CHECK_PDPTE_MEMORY };
	int i;

	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		checks_state_failing(state, rows[i]);
		judge(before);
		KUNIT_EXPECT_EQ_MSG(test, (int)before->first, (int)rows[i], "%s", check_name(rows[i]));
		state->c.restored = true;
		judge(after);
		KUNIT_EXPECT_EQ_MSG(test, (int)after->first, (int)CHECK_OK, "%s", check_name(rows[i]));
	}
}

static u64 random_next(u64 *seed)
{
	*seed = *seed * 6364136223846793005ULL + 1442695040888963407ULL;
	return *seed >> 32 ^ *seed << 32;
}

/* Fill @p; most values of fields are then wrong in many ways. */
static void random_fill(u64 *seed, void *p, size_t size)
{
	u8 *byte = p;

	while (size--)
		*byte++ = random_next(seed);
}

/* Any VMCS12 and capabilities can be judged, and a VM entry's verdict is one of the failing rows. */
static void checks_all_any_state(struct kunit *test)
{
	u64 seed = 1;
	int i, n;

	for (i = 0; i < RANDOM_STATES; i++) {
		checks_state_failing(state, 1 + i % (NR_CHECKS - 1));
		if (i % 3 == 0)
			random_fill(&seed, &state->v, sizeof(state->v));
		else
			random_fill(&seed, (u8 *)&state->v + random_next(&seed) % (sizeof(state->v) - 8), 8);
		if (i % 5 == 0)
			random_fill(&seed, &state->caps, sizeof(state->caps));
		state->c.maxphyaddr = 36 + i % 17;
		state->c.la57 = i % 2;
		judge(after);
		n = count(after);
		if (after->first)
			KUNIT_ASSERT_TRUE_MSG(test, test_bit(after->first, after->failing), "%s, state %d",
					      check_name(after->first), i);
		else
			KUNIT_ASSERT_EQ_MSG(test, n, 0, "state %d", i);
	}
}

static bool fields_have(enum check_id id, enum check_part part, int field)
{
	u8 fields[CHECK_FIELDS];
	int i, n = check_fields(id, part, fields);

	for (i = 0; i < n; i++) {
		if (fields[i] == field)
			return true;
	}
	return false;
}

/* The rows whose @part looks at a field. */
static void fields_readers(int field, enum check_part part, unsigned long *rows)
{
	int i;

	memset(rows, 0, CHECK_WORDS * sizeof(*rows));
	for (i = CHECK_OK + 1; i < NR_CHECKS; i++) {
		if (fields_have(i, part, field))
			__set_bit(i, rows);
	}
}

/* Judge the state with another value of a field: rows that do not look at it must not change. */
static void fields_change(struct kunit *test, int field, u64 xor, const unsigned long *when, const unsigned long *demands)
{
	const struct vmcs12_field *f = &vmcs12_fields[field];
	u64 old = vmcs12_get(&state->v, f);
	int i;

	vmcs12_set(&state->v, f, old ^ xor);
	checks_all(&state->c, after->failing, after->applies);
	vmcs12_set(&state->v, f, old);
	for (i = 0; i < CHECK_WORDS; i++) {
		unsigned long applies = (before->applies[i] ^ after->applies[i]) & ~when[i];
		unsigned long failing = (before->failing[i] ^ after->failing[i]) & ~(when[i] | demands[i]);

		KUNIT_ASSERT_EQ_MSG(test, applies | failing, 0, "%s looks at %s",
				    check_name(i * 64 + __ffs(applies | failing)), f->name);
	}
}

/* Rows often depend on single bits of these. */
static bool fields_try_each_bit(int field)
{
	const struct vmcs12_field *f = &vmcs12_fields[field];

	return (f->class == VMCS12_CTL && f->width == VMCS12_WIDTH_32) || field == VMCS12_I_GUEST_CR0;
}

/* No row looks at a field that check_fields() does not name. */
static void checks_fields_complete(struct kunit *test)
{
	static unsigned long when[CHECK_WORDS], demands[CHECK_WORDS];
	int field, i, bit;

	for (field = 0; field < NR_VMCS12_FIELDS; field++) {
		fields_readers(field, CHECK_WHEN, when);
		fields_readers(field, CHECK_DEMANDS, demands);
		for (i = CHECK_OK + 1; ; i++) {
			if (i < NR_CHECKS)
				checks_state_failing(state, i);
			else if (!checks_state_passing(state, i - NR_CHECKS))
				break;
			checks_all(&state->c, before->failing, before->applies);
			/* All bits; and one, which depends on the state. */
			fields_change(test, field, ~0ULL, when, demands);
			fields_change(test, field, BIT_ULL((i * 7 + field) % 64), when, demands);
			for (bit = 0; bit < 32 && fields_try_each_bit(field); bit++)
				fields_change(test, field, BIT_ULL(bit), when, demands);
		}
	}
}

/* Every row looks at a field, and the room for them suffices. */
static void checks_fields_of_rows(struct kunit *test)
{
	u8 fields[CHECK_FIELDS];
	int i, when, demands;

	for (i = CHECK_OK + 1; i < NR_CHECKS; i++) {
		when = check_fields(i, CHECK_WHEN, fields);
		demands = check_fields(i, CHECK_DEMANDS, fields);
		KUNIT_EXPECT_GT_MSG(test, demands, 0, "%s", check_name(i));
		KUNIT_EXPECT_LT_MSG(test, when, CHECK_FIELDS, "%s", check_name(i));
		KUNIT_EXPECT_LT_MSG(test, demands, CHECK_FIELDS, "%s", check_name(i));
	}
	KUNIT_EXPECT_EQ(test, check_fields(CHECK_RFLAGS_IF, CHECK_DEMANDS, fields), 1);
	KUNIT_EXPECT_EQ(test, (int)fields[0], (int)VMCS12_I_GUEST_RFLAGS);
	KUNIT_EXPECT_EQ(test, check_fields(CHECK_RFLAGS_IF, CHECK_WHEN, fields), 1);
	KUNIT_EXPECT_EQ(test, (int)fields[0], (int)VMCS12_I_VM_ENTRY_INTR_INFO_FIELD);
	KUNIT_EXPECT_EQ(test, check_fields(CHECK_PML_NEEDS_EPT, CHECK_DEMANDS, fields), 2);
	KUNIT_EXPECT_EQ(test, (int)fields[1], (int)VMCS12_I_SECONDARY_VM_EXEC_CONTROL);
}

static struct kunit_case checks_all_cases[] = {
	KUNIT_CASE(checks_all_each_row),
	KUNIT_CASE(checks_all_several),
	KUNIT_CASE(checks_restored_reads_no_memory),
	KUNIT_CASE(checks_all_any_state),
	KUNIT_CASE(checks_fields_complete),
	KUNIT_CASE(checks_fields_of_rows),
	{}
};

static struct kunit_suite checks_all_suite = {
	.name = "droste-checks-all",
	.init = checks_all_setup,
	.test_cases = checks_all_cases,
};
kunit_test_suites(&checks_all_suite);
