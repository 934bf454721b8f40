// SPDX-License-Identifier: GPL-2.0
/* What two hosts, or two pools, have in common, and what one has that the other has not. Pure. */
#include <linux/bits.h>
#include <linux/errno.h>
#include <linux/kernel.h>
#include <linux/minmax.h>
#include <linux/string.h>
#include "cpu/pool_logic.h"

/* --- the parts of a pool --- */

/**
 * pool_leaf_indexed() - whether a leaf has sub-leaves
 * @leaf: the leaf
 *
 * Return: 1 or 0; -ENOENT for a leaf that no pool has.
 */
int pool_leaf_indexed(u32 leaf)
{
	unsigned int i;

	for (i = 0; i < nr_pool_rules; i++)
		if (pool_rules[i].leaf == leaf)
			return pool_rules[i].subleaf == POOL_ANY || leaf == 7 || leaf == 0xd;
	return -ENOENT;
}

/**
 * pool_rule_for() - whether a row is for a sub-leaf
 * @r: the row
 * @leaf: the leaf
 * @subleaf: the sub-leaf; 0 for a leaf without any
 *
 * The sub-leaves of leaf 0xd from 2 on have the same rows.
 *
 * Return: true if it is.
 */
bool pool_rule_for(const struct pool_rule *r, u32 leaf, u32 subleaf)
{
	if (r->leaf != leaf)
		return false;
	if (r->subleaf == POOL_ANY)
		return leaf != 0xd || subleaf >= 2;
	return r->subleaf == subleaf;
}

static bool pool_has_rule(u32 leaf, u32 subleaf)
{
	unsigned int i;

	for (i = 0; i < nr_pool_rules; i++)
		if (pool_rule_for(&pool_rules[i], leaf, subleaf))
			return true;
	return false;
}

/* Leaves that only name the processor: brand, caches. A pool has those of the host that names it. */
static bool pool_names_processor(u32 leaf)
{
	return leaf == 2 || leaf == 4 || (leaf >= 0x80000002 && leaf <= 0x80000006);
}

static int pool_order(const struct droste_pool_cpuid *e, u32 leaf, u32 subleaf)
{
	if (e->leaf != leaf)
		return e->leaf < leaf ? -1 : 1;
	return e->subleaf == subleaf ? 0 : e->subleaf < subleaf ? -1 : 1;
}

/**
 * pool_find() - find a leaf of a pool
 * @p: the pool
 * @leaf: the leaf
 * @subleaf: the sub-leaf; 0 for a leaf without any
 *
 * Return: it, NULL if there is none.
 */
struct droste_pool_cpuid *pool_find(struct droste_pool *p, u32 leaf, u32 subleaf)
{
	u32 i;

	for (i = 0; i < p->nr_cpuid; i++)
		if (!pool_order(&p->cpuid[i], leaf, subleaf))
			return &p->cpuid[i];
	return NULL;
}

/**
 * pool_find_msr() - find a feature MSR of a pool
 * @p: the pool
 * @msr: the MSR
 *
 * Return: it, NULL if there is none.
 */
struct droste_pool_msr *pool_find_msr(struct droste_pool *p, u32 msr)
{
	u32 i;

	for (i = 0; i < p->nr_msrs; i++)
		if (p->msrs[i].index == msr)
			return &p->msrs[i];
	return NULL;
}

static const struct droste_pool_cpuid *pool_look(const struct droste_pool *p, u32 leaf, u32 subleaf)
{
	return pool_find((struct droste_pool *)p, leaf, subleaf);
}

static const struct droste_pool_msr *pool_look_msr(const struct droste_pool *p, u32 msr)
{
	return pool_find_msr((struct droste_pool *)p, msr);
}

static bool pool_lists(const struct droste_pool *p, u32 msr)
{
	u32 i;

	for (i = 0; i < p->nr_list; i++)
		if (p->list[i] == msr)
			return true;
	return false;
}

static bool pool_cpuid_sound(const struct droste_pool *p)
{
	u32 i;

	for (i = 0; i < p->nr_cpuid; i++) {
		const struct droste_pool_cpuid *e = &p->cpuid[i];
		int indexed = pool_leaf_indexed(e->leaf);

		if (e->flags & ~DROSTE_POOL_INDEXED || (!e->flags && e->subleaf))
			return false;
		if (indexed >= 0 && indexed != (e->flags == DROSTE_POOL_INDEXED))
			return false;
		if (i && pool_order(&p->cpuid[i - 1], e->leaf, e->subleaf) >= 0)
			return false;
	}
	return pool_look(p, 0, 0) && pool_look(p, 1, 0);
}

/**
 * pool_check() - check the form of a pool that a user gave
 * @p: the pool
 *
 * Return: 0; -EINVAL if a count is too large, an order is wrong, something
 * reserved is not 0, a leaf has sub-leaves that it cannot have or the other way
 * round, leaf 0 or 1 is missing, or the lowest rate is above the highest.
 */
int pool_check(const struct droste_pool *p)
{
	u32 i;

	if (p->nr_cpuid > DROSTE_POOL_CPUID || p->nr_msrs > DROSTE_POOL_MSRS || p->nr_list > DROSTE_POOL_LIST)
		return -EINVAL;
	if ((p->flags & ~DROSTE_POOL_TSC_SCALING) || p->tsc_khz > p->tsc_khz_max)
		return -EINVAL;
	for (i = 0; i < ARRAY_SIZE(p->reserved); i++)
		if (p->reserved[i])
			return -EINVAL;
	for (i = 0; i < p->nr_msrs; i++)
		if (p->msrs[i].reserved || (i && p->msrs[i - 1].index >= p->msrs[i].index))
			return -EINVAL;
	for (i = 1; i < p->nr_list; i++)
		if (p->list[i - 1] >= p->list[i])
			return -EINVAL;
	return pool_cpuid_sound(p) ? 0 : -EINVAL;
}

/* --- the processor's name --- */

/* Family, model and stepping of CPUID.1:EAX as one number, the oldest the lowest (SDM 2A, CPUID, figure 3-6). */
static u32 pool_age(u32 eax)
{
	u32 family = (eax >> 8 & 0xf) == 0xf ? 0xf + (eax >> 20 & 0xff) : (eax >> 8 & 0xf);
	u32 model = (eax >> 4 & 0xf) | (eax >> 12 & 0xf0);

	return family << 16 | model << 4 | (eax & 0xf);
}

static int pool_number_order(u64 a, u64 b)
{
	return a == b ? 0 : a < b ? -1 : 1;
}

/* The next leaf from @i on that only names the processor. */
static const struct droste_pool_cpuid *pool_next_name(const struct droste_pool *p, u32 *i)
{
	for (; *i < p->nr_cpuid; ++*i)
		if (pool_names_processor(p->cpuid[*i].leaf))
			return &p->cpuid[(*i)++];
	return NULL;
}

/* Compare two entries as numbers, one member after the other. */
static int pool_entry_order(const struct droste_pool_cpuid *a, const struct droste_pool_cpuid *b)
{
	int i, order = pool_order(a, b->leaf, b->subleaf);

	for (i = 0; i < NR_POOL_REGS && !order; i++)
		order = pool_number_order(a->regs[i], b->regs[i]);
	return order;
}

/*
 * Which of two names the pool: the older processor. All that names it is compared, so that the order of the hosts does not
 * matter. Less than 0: @a.
 */
static int pool_name_order(const struct droste_pool *a, const struct droste_pool *b)
{
	const struct droste_pool_cpuid *one = pool_look(a, 1, 0), *two = pool_look(b, 1, 0);
	const struct droste_pool_msr *m, *n;
	u32 i = 0, j = 0;
	int order;

	order = pool_number_order(pool_age(one->regs[POOL_EAX]), pool_age(two->regs[POOL_EAX])) ?:
		pool_number_order(one->regs[POOL_EAX], two->regs[POOL_EAX]) ?:
		pool_number_order(one->regs[POOL_EBX], two->regs[POOL_EBX]);
	while (!order) {
		one = pool_next_name(a, &i);
		two = pool_next_name(b, &j);
		if (!one || !two)
			break;
		order = pool_entry_order(one, two);
	}
	if (order || one || two)
		return order ?: one ? 1 : -1;
	m = pool_look_msr(a, 0x8b);
	n = pool_look_msr(b, 0x8b);
	return m && n ? pool_number_order(m->value, n->value) : 0;
}

/* --- what two have in common --- */

/* Apply a rule to a field. Returns false if the field must be the same and is not. */
static bool pool_apply(int op, u64 mask, u64 named, u64 other, u64 *to)
{
	u64 a = named & mask, b = other & mask;

	switch (op) {
	case POOL_AND:
		*to |= a & b;
		return true;
	case POOL_OR:
		*to |= a | b;
		return true;
	case POOL_IDENT:
		*to |= a;
		return true;
	case POOL_EQUAL:
		*to |= a;
		return a == b;
	default:
		*to |= min(a, b);
		return true;
	}
}

/* Whether all fields that must be the same are. @named: the entry of the host that names the pool. */
static bool pool_meet_entry(const struct droste_pool_cpuid *named, const struct droste_pool_cpuid *other,
			    struct droste_pool_cpuid *to)
{
	unsigned int i;

	*to = (struct droste_pool_cpuid) { .leaf = named->leaf, .subleaf = named->subleaf, .flags = named->flags };
	for (i = 0; i < nr_pool_rules; i++) {
		const struct pool_rule *r = &pool_rules[i];
		u64 value = 0;

		if (!pool_rule_for(r, named->leaf, named->subleaf))
			continue;
		if (!pool_apply(r->op, r->mask, named->regs[r->reg], other->regs[r->reg], &value))
			return false;
		/* What user space fills in is 0; sizes are computed by pool_close(). */
		if (r->op != POOL_DERIVED)
			to->regs[r->reg] |= value;
	}
	return true;
}

static bool pool_meet_msr(const struct droste_pool_msr *named, const struct droste_pool_msr *other,
			  struct droste_pool_msr *to)
{
	bool any = false;
	unsigned int i;

	*to = (struct droste_pool_msr) { .index = named->index };
	for (i = 0; i < nr_pool_msr_rules; i++) {
		const struct pool_msr_rule *r = &pool_msr_rules[i];

		if (r->msr != named->index)
			continue;
		any = true;
		if (!pool_apply(r->op, r->mask, named->value, other->value, &to->value))
			return false;
	}
	return any;
}

static bool pool_scales(const struct droste_pool *p)
{
	return p->flags & DROSTE_POOL_TSC_SCALING;
}

/* Hosts that scale the TSC follow those that do not. If all scale, each goes down to the lowest rate. */
static void pool_meet_tsc(const struct droste_pool *a, const struct droste_pool *b, struct droste_pool *to)
{
	bool both = pool_scales(a) && pool_scales(b);
	const struct droste_pool *low = a->tsc_khz <= b->tsc_khz ? a : b;

	if (both) {
		to->flags = DROSTE_POOL_TSC_SCALING;
		to->tsc_khz = low->tsc_khz;
		to->tsc_khz_max = low->tsc_khz;
	} else if (pool_scales(a) != pool_scales(b)) {
		low = pool_scales(a) ? b : a;
		to->tsc_khz = low->tsc_khz;
		to->tsc_khz_max = low->tsc_khz_max;
	} else {
		to->tsc_khz = low->tsc_khz;
		to->tsc_khz_max = max(a->tsc_khz_max, b->tsc_khz_max);
	}
}

/**
 * pool_meet() - what two hosts, or pools, have in common
 * @a: one, of a form that pool_check() accepts
 * @b: the other
 * @out: filled in; neither of the two. Without any leaf if they have nothing
 * in common, which is so if their makers differ.
 *
 * Commutative, associative, and idempotent but for what contradicts itself:
 * see pool_close(), whose rules the result satisfies.
 */
void pool_meet(const struct droste_pool *a, const struct droste_pool *b, struct droste_pool *out)
{
	const struct droste_pool *named, *other;
	struct droste_pool_cpuid entry;
	struct droste_pool_msr msr;
	u32 i;

	memset(out, 0, sizeof(*out));
	if (!a->nr_cpuid || !b->nr_cpuid)
		return;
	named = pool_name_order(a, b) <= 0 ? a : b;
	other = named == a ? b : a;
	for (i = 0; i < named->nr_cpuid; i++) {
		const struct droste_pool_cpuid *e = &named->cpuid[i], *f = pool_look(other, e->leaf, e->subleaf);

		if (pool_names_processor(e->leaf))
			out->cpuid[out->nr_cpuid++] = *e;
		else if (f && pool_has_rule(e->leaf, e->subleaf) && pool_meet_entry(e, f, &entry))
			out->cpuid[out->nr_cpuid++] = entry;
	}
	for (i = 0; i < named->nr_msrs; i++) {
		const struct droste_pool_msr *m = &named->msrs[i], *n = pool_look_msr(other, m->index);

		if (n && pool_meet_msr(m, n, &msr))
			out->msrs[out->nr_msrs++] = msr;
	}
	for (i = 0; i < named->nr_list; i++)
		if (pool_lists(other, named->list[i]))
			out->list[out->nr_list++] = named->list[i];
	pool_meet_tsc(a, b, out);
	pool_close(out);
}

/* --- what one has that another has not --- */

static int pool_tell(pool_told told, void *ctx, struct pool_loss loss)
{
	if (told)
		told(ctx, &loss);
	return 1;
}

/* The bits of a field that differ; 0 if it is not compared. A leaf or MSR that is missing reads as 0. */
static u64 pool_differs(int op, u64 mask, u64 a, u64 less)
{
	return op == POOL_IDENT || op == POOL_DERIVED ? 0 : (a ^ less) & mask;
}

static int pool_lost_cpuid(const struct droste_pool_cpuid *e, const struct droste_pool *less, pool_told told, void *ctx)
{
	const struct droste_pool_cpuid *f = pool_look(less, e->leaf, e->subleaf);
	unsigned int i;
	int n = 0;

	if (!pool_has_rule(e->leaf, e->subleaf)) {
		for (i = 0; i < NR_POOL_REGS; i++)
			if (e->regs[i])
				n += pool_tell(told, ctx, (struct pool_loss) {
					.what = POOL_LOST_CPUID, .leaf = e->leaf, .subleaf = e->subleaf, .reg = i,
					.bits = e->regs[i], .had = e->regs[i] });
		return n;
	}
	for (i = 0; i < nr_pool_rules; i++) {
		const struct pool_rule *r = &pool_rules[i];
		u32 had, has, bits;

		if (!pool_rule_for(r, e->leaf, e->subleaf))
			continue;
		had = e->regs[r->reg];
		has = f ? f->regs[r->reg] : 0;
		bits = pool_differs(r->op, r->mask, had, has);
		if (bits)
			n += pool_tell(told, ctx, (struct pool_loss) {
				.what = POOL_LOST_CPUID, .leaf = e->leaf, .subleaf = e->subleaf, .reg = r->reg, .op = r->op,
				.bits = bits, .had = had & r->mask, .has = has & r->mask });
	}
	return n;
}

static int pool_lost_msr(const struct droste_pool_msr *m, const struct droste_pool *less, pool_told told, void *ctx)
{
	const struct droste_pool_msr *l = pool_look_msr(less, m->index);
	bool any = false;
	unsigned int i;
	int n = 0;

	for (i = 0; i < nr_pool_msr_rules; i++) {
		const struct pool_msr_rule *r = &pool_msr_rules[i];
		u64 bits;

		any |= r->msr == m->index;
		bits = r->msr == m->index ? pool_differs(r->op, r->mask, m->value, l ? l->value : 0) : 0;

		if (bits)
			n += pool_tell(told, ctx, (struct pool_loss) {
				.what = POOL_LOST_MSR, .leaf = m->index, .op = r->op, .bits = bits,
				.had = m->value & r->mask, .has = l ? l->value & r->mask : 0 });
	}
	/* An MSR that no rule is for is in no pool. */
	if (!any)
		n += pool_tell(told, ctx, (struct pool_loss) { .what = POOL_LOST_MSR, .leaf = m->index, .bits = m->value ?: ~0ULL,
							       .had = m->value });
	return n;
}

/**
 * pool_lost() - what a host, or a pool, has that another has not
 * @a: the one
 * @less: the other, made by pool_meet() of @a and others, or by pool_close() of @a
 * @told: called for each field that differs; may be NULL
 * @ctx: its argument
 *
 * What only names the processor does not count, and neither does the TSC's rate: see pool_lost_tsc().
 *
 * Return: how many fields differ.
 */
int pool_lost(const struct droste_pool *a, const struct droste_pool *less, pool_told told, void *ctx)
{
	int n = 0;
	u32 i;

	for (i = 0; i < a->nr_cpuid; i++)
		n += pool_lost_cpuid(&a->cpuid[i], less, told, ctx);
	for (i = 0; i < a->nr_msrs; i++)
		n += pool_lost_msr(&a->msrs[i], less, told, ctx);
	for (i = 0; i < a->nr_list; i++)
		if (!pool_lists(less, a->list[i]))
			n += pool_tell(told, ctx, (struct pool_loss) { .what = POOL_LOST_LIST, .leaf = a->list[i], .bits = 1 });
	return n;
}

/**
 * pool_lost_tsc() - whether guests of a host, or a pool, cannot keep their TSC's rate on another
 * @a: the one
 * @b: the other
 *
 * A pool without one rate promises none.
 *
 * Return: true if they cannot.
 */
bool pool_lost_tsc(const struct droste_pool *a, const struct droste_pool *b)
{
	u32 apart = max(a->tsc_khz, b->tsc_khz) - min(a->tsc_khz, b->tsc_khz);

	if (!pool_tsc_one(a) || pool_scales(b))
		return false;
	return !pool_tsc_one(b) || (u64)apart * POOL_TSC_PARTS > a->tsc_khz;
}
