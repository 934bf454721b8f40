// SPDX-License-Identifier: GPL-2.0
/* What hosts have in common: the laws of the intersection on random hosts, and its operators on made-up ones. */
#include <kunit/test.h>
#include <linux/errno.h>
#include <linux/string.h>
#include "cpu/pool_logic.h"

#define ROUNDS	400

/* A generator of Marsaglia's, so that each run tests the same hosts. */
static u64 pool_random(u64 *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

/* Mostly 1: features must survive three hosts. */
static u64 pool_dense(u64 *state)
{
	return pool_random(state) | pool_random(state) | pool_random(state) | pool_random(state);
}

static const u32 leaves[][2] = {
	{ 0, 0 }, { 1, 0 }, { 2, 0 }, { 4, 0 }, { 4, 1 }, { 6, 0 }, { 7, 0 }, { 7, 1 }, { 7, 2 }, { 7, 3 }, { 9, 0 }, { 0xb, 0 },
	{ 0xd, 0 }, { 0xd, 1 }, { 0xd, 2 }, { 0xd, 5 }, { 0xd, 6 }, { 0xd, 7 }, { 0xd, 9 }, { 0xd, 17 }, { 0xd, 18 },
	{ 0x15, 0 }, { 0x16, 0 }, { 0x40000000, 0 }, { 0x40000001, 0 }, { 0x40000002, 0 }, { 0x80000000, 0 },
	{ 0x80000001, 0 }, { 0x80000002, 0 }, { 0x80000006, 0 }, { 0x80000007, 0 }, { 0x80000008, 0 },
};

/* Registers whose meaning is no set of bits: values that often agree. */
static void pool_plausible(u64 *seed, struct droste_pool_cpuid *e)
{
	u32 pick = pool_random(seed) % 4;

	switch (e->leaf) {
	case 0:
		e->regs[POOL_EAX] = pick ? 0x16 : 7 + pool_random(seed) % 16;
		e->regs[POOL_EBX] = e->regs[POOL_ECX] = e->regs[POOL_EDX] = pool_random(seed) % 64 ? 1 : 2;
		break;
	case 1:
		e->regs[POOL_EAX] = 0x306c0 + pick;
		e->regs[POOL_EBX] = pool_random(seed) % 2;
		break;
	case 2:
	case 4:
	case 0x15:
	case 0x16:
	case 0x80000002:
	case 0x80000006:
		memset(e->regs, 0, sizeof(e->regs));
		e->regs[pick] = pool_random(seed) % 3;
		break;
	case 7:
		if (!e->subleaf)
			e->regs[POOL_EAX] = pick;
		break;
	case 0xd:
		if (e->subleaf < 2)
			break;
		e->regs[POOL_EAX] = 64 * e->subleaf;
		e->regs[POOL_EBX] = 576 + 1000 * e->subleaf + (pool_random(seed) % 8 ? 0 : 64);
		e->regs[POOL_ECX] = e->subleaf == 6 ? 2 : 0;
		e->regs[POOL_EDX] = 0;
		break;
	case 0x40000000:
		e->regs[POOL_EAX] = 0x40000001 + pick % 2;
		e->regs[POOL_EBX] = e->regs[POOL_ECX] = e->regs[POOL_EDX] = pool_random(seed) % 8 ? 7 : 8;
		break;
	case 0x80000000:
		e->regs[POOL_EAX] = pick ? 0x80000008 : 0x80000001 + pool_random(seed) % 8;
		break;
	case 0x80000008:
		e->regs[POOL_EAX] = (36 + pick) | (pick ? 57 : 48) << 8;
		break;
	}
}

static void pool_make(u64 *seed, struct droste_pool *p)
{
	u32 i, msr;
	int r;

	memset(p, 0, sizeof(*p));
	for (i = 0; i < ARRAY_SIZE(leaves); i++) {
		struct droste_pool_cpuid e = { .leaf = leaves[i][0], .subleaf = leaves[i][1] };

		if (i > 1 && !(pool_random(seed) % 16))
			continue;
		e.flags = pool_leaf_indexed(e.leaf) == 1 ? DROSTE_POOL_INDEXED : 0;
		for (r = 0; r < NR_POOL_REGS; r++)
			e.regs[r] = pool_dense(seed);
		pool_plausible(seed, &e);
		p->cpuid[p->nr_cpuid++] = e;
	}
	for (msr = 0x47f; msr <= 0x491; msr++) {
		u64 value = pool_dense(seed);

		if (!(pool_random(seed) % 256))
			continue;
		if (msr != 0x47f && msr != 0x480 && msr != 0x485 && pool_random(seed) % 64)
			value &= GENMASK_ULL(63, 32) | BIT_ULL(35);
		if (msr == 0x480 || msr == 0x485)
			value = (pool_random(seed) % 16 ? 5 : 6) | 1ULL << 55 | (value & (0xffULL << 16));
		p->msrs[p->nr_msrs++] = (struct droste_pool_msr) { .index = msr == 0x47f ? 0x10a : msr, .value = value };
	}
	for (i = 0; i < 40; i++)
		if (pool_random(seed) % 4)
			p->list[p->nr_list++] = i * 3;
	p->flags = pool_random(seed) % 3 ? 0 : DROSTE_POOL_TSC_SCALING;
	p->tsc_khz = pool_random(seed) % 4 ? 2000000 : 2000000 + 400 * (pool_random(seed) % 3);
	p->tsc_khz_max = p->tsc_khz + (pool_random(seed) % 8 ? 0 : 100);
}

/* Pools for one case. */
struct pools {
	struct droste_pool a, b, c, ab, x, y;
};

static struct pools *pool_get_room(struct kunit *test)
{
	struct pools *s = kunit_kcalloc(test, 1, sizeof(*s), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, s);
	return s;
}

static bool pool_same(const struct droste_pool *a, const struct droste_pool *b)
{
	return !memcmp(a, b, sizeof(*a));
}

static void commutative(struct kunit *test)
{
	struct pools *s = pool_get_room(test);
	u64 seed = 1;
	int i;

	for (i = 0; i < ROUNDS; i++) {
		pool_make(&seed, &s->a);
		pool_make(&seed, &s->b);
		KUNIT_ASSERT_EQ(test, pool_check(&s->a), 0);
		pool_meet(&s->a, &s->b, &s->x);
		pool_meet(&s->b, &s->a, &s->y);
		KUNIT_ASSERT_TRUE(test, pool_same(&s->x, &s->y));
	}
}

static void associative(struct kunit *test)
{
	struct pools *s = pool_get_room(test);
	int i, empty = 0, vmx = 0, avx512 = 0;
	u64 seed = 2;

	for (i = 0; i < ROUNDS; i++) {
		pool_make(&seed, &s->a);
		pool_make(&seed, &s->b);
		pool_make(&seed, &s->c);
		pool_meet(&s->a, &s->b, &s->ab);
		pool_meet(&s->ab, &s->c, &s->x);
		pool_meet(&s->b, &s->c, &s->ab);
		pool_meet(&s->a, &s->ab, &s->y);
		KUNIT_ASSERT_TRUE(test, pool_same(&s->x, &s->y));
		empty += !s->x.nr_cpuid;
		vmx += s->x.nr_cpuid && s->x.cpuid[1].regs[POOL_ECX] & BIT(5);
		avx512 += pool_find(&s->x, 7, 0) && pool_find(&s->x, 7, 0)->regs[POOL_EBX] & BIT(16);
	}
	/* The hosts are such that all this happens, and does not always happen. */
	KUNIT_EXPECT_GT(test, empty, 0);
	KUNIT_EXPECT_LT(test, empty, ROUNDS / 4);
	KUNIT_EXPECT_GT(test, vmx, 0);
	KUNIT_EXPECT_GT(test, avx512, 0);
}

static void idempotent(struct kunit *test)
{
	struct pools *s = pool_get_room(test);
	u64 seed = 3;
	int i;

	for (i = 0; i < ROUNDS; i++) {
		pool_make(&seed, &s->a);
		pool_make(&seed, &s->b);
		pool_meet(&s->a, &s->b, &s->ab);
		if (s->ab.nr_cpuid)
			KUNIT_ASSERT_EQ(test, pool_check(&s->ab), 0);
		pool_meet(&s->ab, &s->ab, &s->x);
		KUNIT_ASSERT_TRUE(test, pool_same(&s->x, &s->ab));
		/* Each of the two can keep it. */
		pool_meet(&s->ab, &s->a, &s->x);
		KUNIT_ASSERT_TRUE(test, pool_same(&s->x, &s->ab));
		pool_meet(&s->b, &s->ab, &s->x);
		KUNIT_ASSERT_TRUE(test, pool_same(&s->x, &s->ab));
		KUNIT_ASSERT_EQ(test, pool_lost(&s->ab, &s->x, NULL, NULL), 0);
	}
}

static bool pool_bits(struct droste_pool *p, u32 leaf, u32 subleaf, int reg, u32 bits)
{
	struct droste_pool_cpuid *e = pool_find(p, leaf, subleaf);

	return e && (e->regs[reg] & bits) == bits;
}

/* Rules of the SDM, written down once more. */
static void closed(struct kunit *test)
{
	struct pools *s = pool_get_room(test);
	struct droste_pool *p = &s->ab;
	u64 seed = 4;
	int i, n;

	for (i = 0; i < ROUNDS; i++) {
		pool_make(&seed, &s->a);
		pool_make(&seed, &s->b);
		pool_meet(&s->a, &s->b, p);
		s->x = *p;
		pool_close(&s->x);
		KUNIT_ASSERT_TRUE(test, pool_same(&s->x, p));
		if (pool_bits(p, 7, 0, POOL_EBX, BIT(16)))
			KUNIT_ASSERT_TRUE(test, pool_bits(p, 7, 0, POOL_EBX, BIT(5)) && pool_bits(p, 0xd, 0, POOL_EAX, 0xe7) &&
						pool_find(p, 0xd, 5) && pool_find(p, 0xd, 6) && pool_find(p, 0xd, 7));
		if (pool_bits(p, 7, 0, POOL_EBX, BIT(5)))
			KUNIT_ASSERT_TRUE(test, pool_bits(p, 1, 0, POOL_ECX, BIT(26) | BIT(28)) &&
						pool_bits(p, 0xd, 0, POOL_EAX, 7) && pool_find(p, 0xd, 2));
		for (n = 0; n < p->nr_msrs; n++)
			if (p->msrs[n].index >= 0x480)
				KUNIT_ASSERT_TRUE(test, pool_bits(p, 1, 0, POOL_ECX, BIT(5)));
		if (!pool_bits(p, 7, 0, POOL_ECX, BIT(16)) && pool_find(p, 0x80000008, 0))
			KUNIT_ASSERT_LE(test, pool_find(p, 0x80000008, 0)->regs[POOL_EAX] >> 8 & 0xff, 48U);
		for (n = 0; n < p->nr_cpuid; n++)
			if (p->cpuid[n].leaf > 4 && p->cpuid[n].leaf < 0x40000000)
				KUNIT_ASSERT_LE(test, p->cpuid[n].leaf, p->cpuid[0].regs[POOL_EAX]);
	}
}

/* --- made-up hosts --- */

static struct droste_pool_cpuid *pool_add(struct droste_pool *p, u32 leaf, u32 subleaf, u32 a, u32 b, u32 c, u32 d)
{
	struct droste_pool_cpuid *e = &p->cpuid[p->nr_cpuid++];

	*e = (struct droste_pool_cpuid) { .leaf = leaf, .subleaf = subleaf, .regs = { a, b, c, d },
					  .flags = pool_leaf_indexed(leaf) == 1 ? DROSTE_POOL_INDEXED : 0 };
	return e;
}

/* A processor with AVX-512 at an offset. */
static void pool_make_avx512(struct droste_pool *p, u32 signature, u32 offset)
{
	memset(p, 0, sizeof(*p));
	pool_add(p, 0, 0, 0x16, 1, 2, 3);
	pool_add(p, 1, 0, signature, 0, ~0U, ~0U);
	pool_add(p, 7, 0, 0, ~0U & ~(u32)BIT(13), ~0U, ~0U);
	pool_add(p, 0xd, 0, 0xe7, 0, 0, 0);
	pool_add(p, 0xd, 1, 0xf, 0, 0, 0);
	pool_add(p, 0xd, 2, 256, 576, 0, 0);
	pool_add(p, 0xd, 5, 64, offset, 0, 0);
	pool_add(p, 0xd, 6, 512, 1152, 0, 0);
	pool_add(p, 0xd, 7, 1024, 1664, 0, 0);
	pool_add(p, 0x80000000, 0, 0x80000008, 0, 0, 0);
	pool_add(p, 0x80000008, 0, 0x3028, 0, 0, 0);
	p->tsc_khz = 2000000;
	p->tsc_khz_max = 2000000;
}

static void layout_clash(struct kunit *test)
{
	struct pools *s = pool_get_room(test);

	pool_make_avx512(&s->a, 0x306c3, 1088);
	pool_make_avx512(&s->b, 0x306c3, 1088);
	pool_meet(&s->a, &s->b, &s->ab);
	KUNIT_EXPECT_TRUE(test, pool_bits(&s->ab, 7, 0, POOL_EBX, BIT(16)));
	KUNIT_EXPECT_TRUE(test, pool_bits(&s->ab, 0xd, 0, POOL_EAX, 0xe7));
	KUNIT_EXPECT_EQ(test, pool_find(&s->ab, 0xd, 0)->regs[POOL_ECX], 2688U);
	KUNIT_EXPECT_EQ(test, pool_find(&s->ab, 0xd, 1)->regs[POOL_EBX], 576U + 256 + 64 + 512 + 1024);

	pool_make_avx512(&s->b, 0x306c3, 832);
	pool_meet(&s->a, &s->b, &s->ab);
	KUNIT_EXPECT_FALSE(test, pool_bits(&s->ab, 7, 0, POOL_EBX, BIT(16)));
	KUNIT_EXPECT_FALSE(test, pool_bits(&s->ab, 7, 0, POOL_EDX, BIT(8)));
	KUNIT_EXPECT_EQ(test, pool_find(&s->ab, 0xd, 0)->regs[POOL_EAX], 7U);
	KUNIT_EXPECT_TRUE(test, pool_bits(&s->ab, 7, 0, POOL_EBX, BIT(5)));
	KUNIT_EXPECT_NULL(test, pool_find(&s->ab, 0xd, 5));
	KUNIT_EXPECT_NULL(test, pool_find(&s->ab, 0xd, 7));
	KUNIT_EXPECT_EQ(test, pool_find(&s->ab, 0xd, 0)->regs[POOL_ECX], 832U);
}

/* The oldest names the pool, but neither has all that the other has. */
static void oldest(struct kunit *test)
{
	struct pools *s = pool_get_room(test);

	pool_make_avx512(&s->a, 0x50654, 1088);		/* model 0x55 */
	pool_make_avx512(&s->b, 0x706e5, 1088);		/* model 0x7e */
	pool_find(&s->a, 7, 0)->regs[POOL_EDX] &= ~(u32)BIT(8);	/* no VP2INTERSECT */
	pool_find(&s->b, 7, 0)->regs[POOL_EBX] &= ~(u32)BIT(24);	/* no CLWB */
	pool_find(&s->b, 7, 0)->regs[POOL_EBX] |= BIT(13);
	pool_find(&s->b, 0x80000008, 0)->regs[POOL_EAX] = 0x3927;
	pool_close(&s->a);
	pool_close(&s->b);
	pool_meet(&s->b, &s->a, &s->ab);
	KUNIT_EXPECT_EQ(test, s->ab.cpuid[1].regs[POOL_EAX], 0x50654U);
	KUNIT_EXPECT_FALSE(test, pool_bits(&s->ab, 7, 0, POOL_EDX, BIT(8)));
	KUNIT_EXPECT_FALSE(test, pool_bits(&s->ab, 7, 0, POOL_EBX, BIT(24)));
	KUNIT_EXPECT_TRUE(test, pool_bits(&s->ab, 7, 0, POOL_EBX, BIT(13)));
	KUNIT_EXPECT_EQ(test, pool_find(&s->ab, 0x80000008, 0)->regs[POOL_EAX], 0x3027U);
	/* Neither can follow the other: each lacks something, or must tell of something. */
	KUNIT_EXPECT_EQ(test, pool_lost(&s->a, &s->ab, NULL, NULL), 3);	/* CLWB; bit 13; physical bits */
	KUNIT_EXPECT_EQ(test, pool_lost(&s->b, &s->ab, NULL, NULL), 3);	/* VP2INTERSECT; 57 bits; LA57 */
}

static void makers_differ(struct kunit *test)
{
	struct pools *s = pool_get_room(test);

	pool_make_avx512(&s->a, 0x306c3, 1088);
	pool_make_avx512(&s->b, 0x306c3, 1088);
	s->b.cpuid[0].regs[POOL_ECX] = 9;
	pool_meet(&s->a, &s->b, &s->ab);
	KUNIT_EXPECT_EQ(test, s->ab.nr_cpuid, 0U);
	pool_meet(&s->ab, &s->a, &s->x);
	KUNIT_EXPECT_EQ(test, s->x.nr_cpuid, 0U);
}

/* Gives a host the VMX capabilities of an L1 that can use all controls. */
static void pool_add_vmx(struct droste_pool *p, u64 proc2, u64 misc)
{
	u32 msr;

	for (msr = 0x480; msr <= 0x491; msr++)
		p->msrs[p->nr_msrs++] = (struct droste_pool_msr) { .index = msr, .value = GENMASK_ULL(63, 32) };
	pool_find_msr(p, 0x480)->value = 1ULL << 55 | 17;
	pool_find_msr(p, 0x485)->value = misc;
	pool_find_msr(p, 0x48b)->value = proc2;
	pool_find_msr(p, 0x48c)->value = ~0ULL;
}

static void vmx(struct kunit *test)
{
	const u64 all = GENMASK_ULL(63, 32), misc = 4 << 16 | 0x1c0 | 5;
	struct pools *s = pool_get_room(test);

	pool_make_avx512(&s->a, 0x306c3, 1088);
	pool_make_avx512(&s->b, 0x306c3, 1088);
	pool_add_vmx(&s->a, all & ~BIT_ULL(32 + 9), misc);
	pool_add_vmx(&s->b, all & ~BIT_ULL(32 + 5), 8 << 16 | 0x40 | 5);
	pool_find_msr(&s->a, 0x48d)->value |= BIT_ULL(1);
	pool_find_msr(&s->b, 0x486)->value = BIT_ULL(0);
	pool_meet(&s->a, &s->b, &s->ab);
	KUNIT_EXPECT_TRUE(test, pool_bits(&s->ab, 1, 0, POOL_ECX, BIT(5)));
	/* Posted interrupts go with virtual-interrupt delivery, INVVPID with VPID. */
	KUNIT_EXPECT_EQ(test, pool_find_msr(&s->ab, 0x48d)->value, (all & ~BIT_ULL(32 + 7)) | BIT_ULL(1));
	KUNIT_EXPECT_EQ(test, pool_find_msr(&s->ab, 0x481)->value, all & ~BIT_ULL(32 + 7));
	KUNIT_EXPECT_EQ(test, pool_find_msr(&s->ab, 0x48b)->value & all & (BIT_ULL(32 + 5) | BIT_ULL(32 + 9)), 0ULL);
	KUNIT_EXPECT_EQ(test, pool_find_msr(&s->ab, 0x48c)->value & (BIT_ULL(32) | BIT_ULL(41)), 0ULL);
	KUNIT_EXPECT_EQ(test, pool_find_msr(&s->ab, 0x485)->value, 4ULL << 16 | 0x40 | 5);
	KUNIT_EXPECT_EQ(test, pool_find_msr(&s->ab, 0x486)->value, all | 1);

	/* A control that one must set and the other must not. */
	pool_find_msr(&s->a, 0x48e)->value |= BIT_ULL(3);
	pool_find_msr(&s->b, 0x48e)->value &= ~BIT_ULL(32 + 3);
	pool_meet(&s->a, &s->b, &s->ab);
	KUNIT_EXPECT_FALSE(test, pool_bits(&s->ab, 1, 0, POOL_ECX, BIT(5)));
	KUNIT_EXPECT_NULL(test, pool_find_msr(&s->ab, 0x480));

	/* Timers that run at other rates. */
	pool_find_msr(&s->a, 0x48e)->value = all;
	pool_find_msr(&s->a, 0x485)->value = misc + 1;
	pool_meet(&s->a, &s->b, &s->ab);
	KUNIT_EXPECT_NULL(test, pool_find_msr(&s->ab, 0x48b));
}

static void rates(struct kunit *test)
{
	struct pools *s = pool_get_room(test);

	pool_make_avx512(&s->a, 0x306c3, 1088);
	pool_add(&s->a, 0x80000009, 0, 0, 0, 0, 0);	/* no rule: left out */
	s->a.cpuid[s->a.nr_cpuid - 1] = s->a.cpuid[s->a.nr_cpuid - 2];
	s->a.cpuid[s->a.nr_cpuid - 2] = (struct droste_pool_cpuid) { .leaf = 0x80000007, .regs = { 0, 0, 0, BIT(8) } };
	s->b = s->a;
	s->b.tsc_khz = s->b.tsc_khz_max = 2000400;
	pool_meet(&s->a, &s->b, &s->ab);
	KUNIT_EXPECT_TRUE(test, pool_tsc_one(&s->ab));
	KUNIT_EXPECT_TRUE(test, pool_bits(&s->ab, 0x80000007, 0, POOL_EDX, BIT(8)));
	KUNIT_EXPECT_FALSE(test, pool_lost_tsc(&s->a, &s->b));

	s->b.tsc_khz = s->b.tsc_khz_max = 3000000;
	pool_meet(&s->a, &s->b, &s->ab);
	KUNIT_EXPECT_FALSE(test, pool_tsc_one(&s->ab));
	KUNIT_EXPECT_FALSE(test, pool_bits(&s->ab, 0x80000007, 0, POOL_EDX, BIT(8)));
	KUNIT_EXPECT_TRUE(test, pool_lost_tsc(&s->a, &s->b));

	s->b.flags = DROSTE_POOL_TSC_SCALING;
	pool_meet(&s->a, &s->b, &s->ab);
	KUNIT_EXPECT_EQ(test, s->ab.tsc_khz, 2000000U);
	KUNIT_EXPECT_EQ(test, s->ab.tsc_khz_max, 2000000U);
	KUNIT_EXPECT_FALSE(test, pool_lost_tsc(&s->a, &s->b));
	KUNIT_EXPECT_TRUE(test, pool_lost_tsc(&s->b, &s->a));
}

static void form(struct kunit *test)
{
	struct pools *s = pool_get_room(test);
	u64 seed = 5;

	pool_make(&seed, &s->a);
	KUNIT_EXPECT_EQ(test, pool_check(&s->a), 0);
#define WRONG(change) do {						\
	s->x = s->a;							\
	change;								\
	KUNIT_EXPECT_EQ(test, pool_check(&s->x), -EINVAL);		\
} while (0)
	WRONG(s->x.nr_cpuid = DROSTE_POOL_CPUID + 1);
	WRONG(s->x.nr_msrs = DROSTE_POOL_MSRS + 1);
	WRONG(s->x.nr_list = DROSTE_POOL_LIST + 1);
	WRONG(s->x.nr_cpuid = ~0U);
	WRONG(s->x.flags = 2);
	WRONG(s->x.reserved[5] = 1);
	WRONG(s->x.tsc_khz = s->x.tsc_khz_max + 1);
	WRONG(s->x.msrs[1].index = s->x.msrs[0].index);
	WRONG(s->x.msrs[0].reserved = 1);
	WRONG(s->x.list[1] = s->x.list[0]);
	WRONG(s->x.cpuid[1] = s->x.cpuid[0]);
	WRONG(s->x.cpuid[0].leaf = 1);
	WRONG(s->x.cpuid[0].subleaf = 1);
	WRONG(s->x.cpuid[0].flags = DROSTE_POOL_INDEXED);
	WRONG(s->x.cpuid[0].flags = 4);
	WRONG(pool_find(&s->x, 0xd, 0)->flags = 0);
	WRONG(s->x.nr_cpuid = 1);
#undef WRONG
}

static struct kunit_case cases[] = {
	KUNIT_CASE(commutative),
	KUNIT_CASE(associative),
	KUNIT_CASE(idempotent),
	KUNIT_CASE(closed),
	KUNIT_CASE(layout_clash),
	KUNIT_CASE(oldest),
	KUNIT_CASE(makers_differ),
	KUNIT_CASE(vmx),
	KUNIT_CASE(rates),
	KUNIT_CASE(form),
	{}
};

static struct kunit_suite suite = { .name = "droste_pool", .test_cases = cases };

kunit_test_suites(&suite);
