// SPDX-License-Identifier: GPL-2.0
/* KVM_SET_USER_MEMORY_REGION, one request per row; lookup of slots; frames that a range of user addresses backs. */
#include <kunit/test.h>
#include <linux/errno.h>

#include "mem/slotplan.h"

#define HVA	0x7f0000000000ULL
#define MAX_TEST_SLOTS 8

/* A set of slots with room for more, as memslots_apply() needs it. */
struct slots_buf {
	struct memslots slots;
	struct memslot room[MAX_TEST_SLOTS];
};

/* A request, and its effect on the slots that the rows before it have created. */
static const struct row {
	const char *name;
	struct kvm_userspace_memory_region mem;	/* slot, flags, guest_phys_addr, memory_size, userspace_addr */
	int err;
	enum memslot_change change;
} rows[] = {
	{ "unknown flag", { 0, BIT(5), 0, 0x1000, HVA }, -EINVAL },
	{ "slot number too large", { DROSTE_MAX_SLOTS, 0, 0, 0x1000, HVA }, -EINVAL },
	{ "second address space", { 1 << 16, 0, 0, 0x1000, HVA }, -EINVAL },
	{ "size not whole pages", { 0, 0, 0, 0x1001, HVA }, -EINVAL },
	{ "address not whole pages", { 0, 0, 0x800, 0x1000, HVA }, -EINVAL },
	{ "user address not whole pages", { 0, 0, 0, 0x1000, HVA + 1 }, -EINVAL },
	{ "address wraps", { 0, 0, ~0xfffULL, 0x2000, HVA }, -EINVAL },
	{ "address beyond 48 bits", { 0, 0, BIT_ULL(48), 0x1000, HVA }, -EINVAL },
	{ "end beyond 48 bits", { 0, 0, BIT_ULL(48) - 0x1000, 0x2000, HVA }, -EINVAL },
	{ "user address of the kernel", { 0, 0, 0, 0x1000, 0xffff800000000000ULL }, -EINVAL },
	{ "user address that ends in the kernel", { 0, 0, 0, 0x2000, 0x7ffffffff000ULL }, -EINVAL },
	{ "too many pages", { 0, 0, 0, BIT_ULL(31) << 12, 0 }, -EINVAL },
	{ "delete a slot that does not exist", { 0, 0, 0, 0, HVA }, -EINVAL },

	{ "create", { 1, 0, 0x100000, 0x10000, HVA }, 0, MEMSLOT_CREATE },
	{ "create below", { 2, 0, 0, 0xa0000, HVA + 0x100000 }, 0, MEMSLOT_CREATE },
	{ "create above, read-only", { 0, KVM_MEM_READONLY, 0xfffc0000, 0x40000, HVA + 0x200000 }, 0, MEMSLOT_CREATE },
	{ "the same again", { 1, 0, 0x100000, 0x10000, HVA }, 0, MEMSLOT_SAME },
	{ "same user memory twice", { 3, 0, 0x200000, 0x10000, HVA }, 0, MEMSLOT_CREATE },
	{ "overlap at the end", { 4, 0, 0x10f000, 0x2000, HVA }, -EEXIST },
	{ "overlap at the start", { 4, 0, 0xff000, 0x2000, HVA }, -EEXIST },
	{ "overlap all", { 4, 0, 0, 0x80000000, HVA }, -EEXIST },
	{ "overlap within", { 4, 0, 0x104000, 0x1000, HVA }, -EEXIST },
	{ "directly behind another", { 4, 0, 0x110000, 0x1000, HVA }, 0, MEMSLOT_CREATE },
	{ "other size", { 1, 0, 0x100000, 0x20000, HVA }, -EINVAL },
	{ "other user memory", { 1, 0, 0x100000, 0x10000, HVA + 0x1000 }, -EINVAL },
	{ "made read-only", { 1, KVM_MEM_READONLY, 0x100000, 0x10000, HVA }, -EINVAL },
	{ "logged", { 1, KVM_MEM_LOG_DIRTY_PAGES, 0x100000, 0x10000, HVA }, 0, MEMSLOT_FLAGS },
	{ "logged already", { 1, KVM_MEM_LOG_DIRTY_PAGES, 0x100000, 0x10000, HVA }, 0, MEMSLOT_SAME },
	{ "logged, but another size", { 1, KVM_MEM_LOG_DIRTY_PAGES, 0x100000, 0x20000, HVA }, -EINVAL },
	{ "logging ends", { 1, 0, 0x100000, 0x10000, HVA }, 0, MEMSLOT_FLAGS },
	{ "move onto another", { 4, 0, 0x200000, 0x1000, HVA }, -EEXIST },
	{ "move over itself", { 1, 0, 0xf8000, 0x10000, HVA }, 0, MEMSLOT_MOVE },
	{ "move to the top", { 1, 0, 0x100000000, 0x10000, HVA }, 0, MEMSLOT_MOVE },
	{ "delete in the middle", { 3, 0, 0, 0, 0 }, 0, MEMSLOT_DELETE },
	{ "delete twice", { 3, 0, 0, 0, 0 }, -EINVAL },
	{ "delete the first", { 2, 0, 0, 0, 0 }, 0, MEMSLOT_DELETE },
};

static bool sorted(const struct memslots *s)
{
	int i;

	for (i = 1; i < s->n; i++)
		if (s->s[i - 1].base + s->s[i - 1].npages > s->s[i].base)
			return false;
	return true;
}

static void memslot_requests(struct kunit *test)
{
	static struct slots_buf one, two;
	struct memslots *cur = &one.slots, *next = &two.slots;
	int i;

	memset(&one, 0, sizeof(one));
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct row *row = &rows[i];
		struct memslot_plan plan = {};
		int err = memslots_plan(cur, &row->mem, &plan);

		KUNIT_EXPECT_EQ_MSG(test, err, row->err, "%s", row->name);
		if (err)
			continue;
		KUNIT_EXPECT_EQ_MSG(test, (int)plan.change, (int)row->change, "%s", row->name);
		if (plan.change == MEMSLOT_SAME)
			continue;
		memslots_apply(cur, &plan, next);
		KUNIT_EXPECT_TRUE_MSG(test, sorted(next), "%s", row->name);
		KUNIT_EXPECT_EQ_MSG(test, next->generation, cur->generation + 1, "%s", row->name);
		swap(cur, next);
	}

	/* These slots are left: 4, 0 (read-only), and 1 at the top. */
	KUNIT_ASSERT_EQ(test, cur->n, 3);
	KUNIT_EXPECT_EQ(test, (int)cur->s[0].id, 4);
	KUNIT_EXPECT_EQ(test, (int)cur->s[1].id, 0);
	KUNIT_EXPECT_EQ(test, cur->s[1].flags, (u32)KVM_MEM_READONLY);
	KUNIT_EXPECT_EQ(test, (int)cur->s[2].id, 1);
	KUNIT_EXPECT_EQ(test, cur->s[2].base, 0x100000ULL);
	KUNIT_EXPECT_EQ(test, cur->s[2].hva, (unsigned long)HVA);
}

static void memslot_finding(struct kunit *test)
{
	static const struct slots_buf buf = {
		.slots = { .n = 3 },
		.room = { { .base = 0x10, .npages = 0x10 }, { .base = 0x20, .npages = 1 }, { .base = 0x100, .npages = 0x100 } },
	};
	static const struct { u64 gfn; int want; } finds[] = {
		{ 0, -1 }, { 0xf, -1 }, { 0x10, 0 }, { 0x1f, 0 }, { 0x20, 1 }, { 0x21, -1 },
		{ 0xff, -1 }, { 0x100, 2 }, { 0x1ff, 2 }, { 0x200, -1 }, { ~0ULL, -1 },
	};
	int i;

	for (i = 0; i < ARRAY_SIZE(finds); i++) {
		const struct memslot *s = memslots_find(&buf.slots, finds[i].gfn);

		KUNIT_EXPECT_EQ_MSG(test, s ? (int)(s - buf.slots.s) : -1, finds[i].want, "frame %llx", finds[i].gfn);
	}
}

static void memslot_backing(struct kunit *test)
{
	static const struct memslot slot = { .base = 0x100, .npages = 0x10, .hva = HVA };
	static const struct { unsigned long start, end; bool any; u64 first, last; } ranges[] = {
		{ 0, ULONG_MAX, true, 0x100, 0x110 },
		{ 0, HVA, false },
		{ HVA + 0x10000, ULONG_MAX, false },
		{ HVA, HVA + 0x1000, true, 0x100, 0x101 },
		{ HVA + 0x1000, HVA + 0x3000, true, 0x101, 0x103 },
		{ HVA - 0x1000, HVA + 1, true, 0x100, 0x101 },
		{ HVA + 0xf001, HVA + 0xf002, true, 0x10f, 0x110 },
	};
	int i;

	for (i = 0; i < ARRAY_SIZE(ranges); i++) {
		gfn_t first = 0, last = 0;

		KUNIT_EXPECT_EQ_MSG(test, memslot_frames(&slot, ranges[i].start, ranges[i].end, &first, &last),
				    ranges[i].any, "range %d", i);
		KUNIT_EXPECT_EQ_MSG(test, first, ranges[i].first, "range %d", i);
		KUNIT_EXPECT_EQ_MSG(test, last, ranges[i].last, "range %d", i);
	}
}

static struct kunit_case memslot_cases[] = {
	KUNIT_CASE(memslot_requests),
	KUNIT_CASE(memslot_finding),
	KUNIT_CASE(memslot_backing),
	{}
};

static struct kunit_suite memslot_suite = {
	.name = "droste-memslot",
	.test_cases = memslot_cases,
};
kunit_test_suites(&memslot_suite);
