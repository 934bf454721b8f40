// SPDX-License-Identifier: GPL-2.0
/* Takes from a pool what needs something that the pool lacks, until nothing is left to take. Pure. */
#include <linux/bits.h>
#include <linux/kernel.h>
#include <linux/minmax.h>
#include <linux/string.h>
#include "cpu/pool_logic.h"

/* Where feature bits are: a register of a leaf, or one half of an MSR. */
struct pool_place {
	u32 leaf;		/* leaf or MSR */
	u8 subleaf;
	enum { IN_EAX, IN_EBX, IN_ECX, IN_EDX, IN_MSR_LOW, IN_MSR_HIGH } reg;
};

/* The bits at @place are cleared unless all those of @all are set at @needed. */
struct pool_need {
	struct pool_place place;
	u32 bits;
	struct pool_place needed;
	u32 all;
};

#define L1_ECX		{ 1, 0, IN_ECX }
#define L7_EBX		{ 7, 0, IN_EBX }
#define L7_ECX		{ 7, 0, IN_ECX }
#define L7_EDX		{ 7, 0, IN_EDX }
#define L7_1_EAX	{ 7, 1, IN_EAX }
#define L7_1_EDX	{ 7, 1, IN_EDX }
#define L7_2_EDX	{ 7, 2, IN_EDX }
#define XCR0_LOW	{ 0xd, 0, IN_EAX }
#define XSAVE_1		{ 0xd, 1, IN_EAX }
#define EXT_EDX		{ 0x80000001, 0, IN_EDX }
#define PIN		{ 0x48d, 0, IN_MSR_HIGH }
#define PROC		{ 0x48e, 0, IN_MSR_HIGH }
#define EXIT		{ 0x48f, 0, IN_MSR_HIGH }
#define PROC2		{ 0x48b, 0, IN_MSR_HIGH }
#define EPT_CAPS	{ 0x48c, 0, IN_MSR_LOW }
#define VPID_CAPS	{ 0x48c, 0, IN_MSR_HIGH }

#define AVX		BIT(28)
#define XSAVE		BIT(26)
#define AVX2		BIT(5)
#define AVX512F		BIT(16)
#define XCR0_AVX512	(BIT(5) | BIT(6) | BIT(7))
#define XCR0_MPX	(BIT(3) | BIT(4))
#define XCR0_AMX	(BIT(17) | BIT(18))
#define AVX512_EBX	(BIT(17) | BIT(21) | BIT(26) | BIT(27) | BIT(28) | BIT(30) | BIT(31))
#define AVX512_ECX	(BIT(1) | BIT(6) | BIT(11) | BIT(12) | BIT(14))
#define AVX512_EDX	(BIT(2) | BIT(3) | BIT(8) | BIT(23))
#define CTL_EPT		BIT(1)
#define CTL_VPID	BIT(5)
#define CTL_TPR_SHADOW	BIT(21)

static const struct pool_need needs[] = {
	/* SDM 1, 11.6 and 12: SSE and what is built on it. */
	{ L1_ECX, BIT(9), L1_ECX, BIT(0) },		/* SSSE3: SSE3 */
	{ L1_ECX, BIT(19), L1_ECX, BIT(9) },		/* SSE4.1: SSSE3 */
	{ L1_ECX, BIT(20), L1_ECX, BIT(19) },		/* SSE4.2: SSE4.1 */
	/* SDM 1, 13.2, 13.3: XSAVE and its components. */
	{ L1_ECX, XSAVE, XCR0_LOW, BIT(0) | BIT(1) },
	{ XCR0_LOW, ~0U, L1_ECX, XSAVE },
	{ XSAVE_1, ~0U, L1_ECX, XSAVE },
	{ XSAVE_1, BIT(3), XSAVE_1, BIT(1) },		/* XSAVES: XSAVEC */
	{ L1_ECX, AVX, L1_ECX, XSAVE | BIT(20) },
	{ L1_ECX, AVX, XCR0_LOW, BIT(2) },
	{ XCR0_LOW, BIT(2), L1_ECX, AVX },
	{ XCR0_LOW, XCR0_AVX512, XCR0_LOW, XCR0_AVX512 },
	{ XCR0_LOW, XCR0_AVX512, L7_EBX, AVX512F },
	{ XCR0_LOW, XCR0_MPX, XCR0_LOW, XCR0_MPX },
	{ XCR0_LOW, XCR0_MPX, L7_EBX, BIT(14) },
	{ XCR0_LOW, XCR0_AMX, XCR0_LOW, XCR0_AMX },
	{ XCR0_LOW, XCR0_AMX, L7_EDX, BIT(24) },
	{ XCR0_LOW, BIT(9), L7_ECX, BIT(3) },		/* PKRU: PKU */
	{ L7_ECX, BIT(3), XCR0_LOW, BIT(9) },
	/* SDM 1, 14.1, 14.3, 15.2: AVX, FMA, F16C, AVX2, AVX-512, AMX. */
	{ L1_ECX, BIT(12) | BIT(29), L1_ECX, AVX },
	{ L7_EBX, AVX2, L1_ECX, AVX },
	{ L7_ECX, BIT(9), L1_ECX, AVX | BIT(25) },	/* VAES: AVX, AES */
	{ L7_ECX, BIT(10), L1_ECX, AVX | BIT(1) },	/* VPCLMULQDQ: AVX, PCLMULQDQ */
	{ L7_1_EAX, BIT(4) | BIT(23), L7_EBX, AVX2 },	/* AVX-VNNI, AVX-IFMA */
	{ L7_1_EDX, BIT(4) | BIT(5) | BIT(10), L7_EBX, AVX2 },	/* AVX-VNNI-INT8, AVX-NE-CONVERT, AVX-VNNI-INT16 */
	{ L7_EBX, AVX512F, L7_EBX, AVX2 },
	{ L7_EBX, AVX512F, XCR0_LOW, XCR0_AVX512 },
	{ L7_EBX, AVX512_EBX, L7_EBX, AVX512F },
	{ L7_ECX, AVX512_ECX, L7_EBX, AVX512F },
	{ L7_EDX, AVX512_EDX, L7_EBX, AVX512F },
	{ L7_1_EAX, BIT(5), L7_EBX, AVX512F },		/* AVX512_BF16 */
	{ L7_EDX, BIT(22) | BIT(24) | BIT(25), XCR0_LOW, XCR0_AMX },
	{ L7_EDX, BIT(16), L7_EBX, BIT(11) },		/* TSXLDTRK: RTM */
	{ L7_2_EDX, GENMASK(4, 0), L7_EDX, BIT(26) },	/* bits of IA32_SPEC_CTRL */
	{ EXT_EDX, BIT(26), EXT_EDX, BIT(29) },		/* 1-GiB pages: 64-bit mode */
	/* SDM 3C 27.2.1.1, 25.6.2: controls that need others. */
	{ PROC2, ~0U, PROC, BIT(31) },
	{ PROC2, BIT(7) | BIT(17) | BIT(18) | BIT(22), PROC2, CTL_EPT },	/* unrestricted guest, PML, #VE, MBE */
	{ PROC2, BIT(17), EPT_CAPS, BIT(21) },		/* PML: dirty flags */
	{ PROC2, BIT(4) | BIT(8) | BIT(9), PROC, CTL_TPR_SHADOW },
	{ PROC2, BIT(9), PIN, BIT(0) },			/* virtual-interrupt delivery: external-interrupt exiting */
	{ PIN, BIT(7), PROC2, BIT(9) },			/* posted interrupts: virtual-interrupt delivery */
	{ PIN, BIT(7), EXIT, BIT(15) },			/* posted interrupts: acknowledge interrupt on exit */
	{ EXIT, BIT(22), PIN, BIT(6) },			/* save the preemption timer */
	{ EPT_CAPS, ~0U, PROC2, CTL_EPT },
	{ VPID_CAPS, BIT(0) | GENMASK(11, 8), PROC2, CTL_VPID },
	{ PROC2, CTL_VPID, VPID_CAPS, BIT(0) },
	/* Controls of instructions that CPUID enumerates. */
	{ PROC2, BIT(11), L1_ECX, BIT(30) },		/* RDRAND */
	{ PROC2, BIT(12), L7_EBX, BIT(10) },		/* INVPCID */
	{ PROC2, BIT(16), L7_EBX, BIT(18) },		/* RDSEED */
	{ PROC2, BIT(20), XSAVE_1, BIT(3) },		/* XSAVES */
	{ { 0x491, 0, IN_MSR_LOW }, ~0U, PROC2, BIT(13) },
	{ { 0x491, 0, IN_MSR_HIGH }, ~0U, PROC2, BIT(13) },
};

static u32 pool_get_at(struct droste_pool *p, const struct pool_place *at)
{
	const struct droste_pool_cpuid *e;
	const struct droste_pool_msr *m;

	if (at->reg < IN_MSR_LOW) {
		e = pool_find(p, at->leaf, at->subleaf);
		return e ? e->regs[at->reg] : 0;
	}
	m = pool_find_msr(p, at->leaf);
	return !m ? 0 : at->reg == IN_MSR_LOW ? m->value : m->value >> 32;
}

static void pool_clear_at(struct droste_pool *p, const struct pool_place *at, u32 bits)
{
	struct droste_pool_cpuid *e;
	struct droste_pool_msr *m;

	if (at->reg < IN_MSR_LOW) {
		e = pool_find(p, at->leaf, at->subleaf);
		if (e)
			e->regs[at->reg] &= ~bits;
		return;
	}
	m = pool_find_msr(p, at->leaf);
	if (m)
		m->value &= ~((u64)bits << (at->reg == IN_MSR_LOW ? 0 : 32));
}

static bool pool_has_bits(struct droste_pool *p, u32 leaf, u32 subleaf, int reg, u32 bits)
{
	const struct droste_pool_cpuid *e = pool_find(p, leaf, subleaf);

	return e && (e->regs[reg] & bits) == bits;
}

static void pool_clear_bits(struct droste_pool *p, u32 leaf, u32 subleaf, int reg, u32 bits)
{
	struct droste_pool_cpuid *e = pool_find(p, leaf, subleaf);

	if (e)
		e->regs[reg] &= ~bits;
}

static void pool_apply_needs(struct droste_pool *p)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(needs); i++)
		if ((pool_get_at(p, &needs[i].needed) & needs[i].all) != needs[i].all)
			pool_clear_at(p, &needs[i].place, needs[i].bits);
}

/**
 * pool_needs() - what a feature needs that a pool lacks
 * @p: the pool
 * @bit: where the feature is: @what, @leaf, @subleaf, @reg, and the bit in @bits
 * @needed: filled in: the same for what it needs
 *
 * Return: false if no row tells.
 */
bool pool_needs(const struct droste_pool *p, const struct pool_loss *bit, struct pool_loss *needed)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(needs); i++) {
		const struct pool_need *n = &needs[i];
		bool msr = n->place.reg >= IN_MSR_LOW, needs_msr = n->needed.reg >= IN_MSR_LOW;
		u64 bits = (u64)n->bits << (n->place.reg == IN_MSR_HIGH ? 32 : 0);
		u32 missing = n->all & ~pool_get_at((struct droste_pool *)p, &n->needed);

		if (msr != (bit->what == POOL_LOST_MSR) || n->place.leaf != bit->leaf || !(bits & bit->bits) || !missing)
			continue;
		if (!msr && (n->place.subleaf != bit->subleaf || n->place.reg != bit->reg))
			continue;
		*needed = (struct pool_loss) {
			.what = needs_msr ? POOL_LOST_MSR : POOL_LOST_CPUID, .leaf = n->needed.leaf,
			.subleaf = n->needed.subleaf, .reg = needs_msr ? 0 : n->needed.reg,
			.bits = (u64)missing << (n->needed.reg == IN_MSR_HIGH ? 32 : 0) };
		return true;
	}
	return false;
}

/* --- leaves --- */

static u32 pool_eax(struct droste_pool *p, u32 leaf)
{
	const struct droste_pool_cpuid *e = pool_find(p, leaf, 0);

	return e ? e->regs[POOL_EAX] : 0;
}

/* The components that a guest may have: bits of XCR0, and of IA32_XSS. */
static u64 pool_components(struct droste_pool *p, bool supervisor)
{
	const struct droste_pool_cpuid *zero = pool_find(p, 0xd, 0), *one = pool_find(p, 0xd, 1);
	u64 mask = zero ? zero->regs[POOL_EAX] | (u64)zero->regs[POOL_EDX] << 32 : 0;

	if (supervisor && one)
		mask |= one->regs[POOL_ECX] | (u64)one->regs[POOL_EDX] << 32;
	return mask;
}

static bool pool_leaf_stays(struct droste_pool *p, const struct droste_pool_cpuid *e)
{
	u32 leaf = e->leaf;

	if (!leaf)
		return true;
	if (leaf >= 0x80000000)
		return leaf <= pool_eax(p, 0x80000000) || (leaf >= 0x80000002 && leaf <= 0x80000006);
	if (leaf >= 0x40000000)
		return leaf <= pool_eax(p, 0x40000000);
	if (leaf == 2 || leaf == 4)
		return true;	/* as the brand: parts of the processor's name */
	if (leaf > pool_eax(p, 0))
		return false;
	if (leaf == 7)
		return e->subleaf <= pool_eax(p, 7);
	if (leaf == 0x15 || leaf == 0x16)
		return pool_tsc_one(p);
	if (leaf == 0xd && e->subleaf >= 2)
		return e->subleaf < 63 && pool_components(p, true) & BIT_ULL(e->subleaf);
	return true;
}

static void pool_drop_leaves(struct droste_pool *p)
{
	u32 i, n = 0;

	for (i = 0; i < p->nr_cpuid; i++) {
		struct droste_pool_cpuid e = p->cpuid[i];

		if (pool_leaf_stays(p, &e))
			p->cpuid[n++] = e;
	}
	/* Without leaf 0 or 1 there is no processor. */
	if (!n || p->cpuid[0].leaf || !pool_find(p, 1, 0))
		n = 0;
	memset(&p->cpuid[n], 0, (p->nr_cpuid - n) * sizeof(p->cpuid[0]));
	p->nr_cpuid = n;
}

/* A component needs its sub-leaf, which is missing if the hosts have it at different places. */
static void pool_drop_components(struct droste_pool *p)
{
	int i;

	for (i = 2; i < 63; i++) {
		if (pool_find(p, 0xd, i))
			continue;
		pool_clear_bits(p, 0xd, 0, i < 32 ? POOL_EAX : POOL_EDX, BIT(i % 32));
		pool_clear_bits(p, 0xd, 1, i < 32 ? POOL_ECX : POOL_EDX, BIT(i % 32));
	}
	if (!pool_has_bits(p, 1, 0, POOL_ECX, XSAVE))
		pool_clear_bits(p, 0xd, 0, POOL_EDX, ~0U);
	if (!pool_has_bits(p, 0xd, 1, POOL_EAX, BIT(3))) {
		pool_clear_bits(p, 0xd, 1, POOL_ECX, ~0U);
		pool_clear_bits(p, 0xd, 1, POOL_EDX, ~0U);
	}
}

static void pool_follow_rate(struct droste_pool *p)
{
	if (!pool_tsc_one(p))
		pool_clear_bits(p, 0x80000007, 0, POOL_EDX, BIT(8));	/* invariant TSC */
}

/* 57 bits of linear address and LA57 need each other. */
static void pool_follow_la57(struct droste_pool *p)
{
	struct droste_pool_cpuid *sizes = pool_find(p, 0x80000008, 0);
	u32 linear = sizes ? sizes->regs[POOL_EAX] >> 8 & 0xff : 0;

	if (linear < 57)
		pool_clear_bits(p, 7, 0, POOL_ECX, BIT(16));
	if (sizes && linear > 48 && !pool_has_bits(p, 7, 0, POOL_ECX, BIT(16)))
		sizes->regs[POOL_EAX] = (sizes->regs[POOL_EAX] & ~0xff00U) | 48 << 8;
}

/* --- VMX --- */

/* The capability MSRs of control words: with and without "TRUE" in the name (SDM 3D A.2). */
static const u32 control_msrs[][2] = { { 0x481, 0x48d }, { 0x482, 0x48e }, { 0x483, 0x48f }, { 0x484, 0x490 } };

/* Whether no control must be 1 and 0, and the MSRs are there that an L1 needs. */
static bool pool_vmx_sound(struct droste_pool *p)
{
	const struct droste_pool_msr *basic = pool_find_msr(p, 0x480);
	u32 msr;

	if (!pool_has_bits(p, 1, 0, POOL_ECX, BIT(5)) || !basic || !(basic->value & BIT_ULL(55)))
		return false;
	for (msr = 0x481; msr <= 0x490; msr++) {
		const struct droste_pool_msr *m = pool_find_msr(p, msr);
		bool control = msr <= 0x484 || msr == 0x48b || msr >= 0x48d;

		/* Those of secondary controls and EPT exist only with the controls. */
		if (!m && msr != 0x48b && msr != 0x48c)
			return false;
		if (m && control && (u32)m->value & ~(u32)(m->value >> 32))
			return false;
	}
	return true;
}

static void pool_drop_vmx(struct droste_pool *p)
{
	u32 i, n = 0;

	pool_clear_bits(p, 1, 0, POOL_ECX, BIT(5));
	for (i = 0; i < p->nr_msrs; i++)
		if (p->msrs[i].index < 0x480 || p->msrs[i].index > 0x491)
			p->msrs[n++] = p->msrs[i];
	memset(&p->msrs[n], 0, (p->nr_msrs - n) * sizeof(p->msrs[0]));
	p->nr_msrs = n;
}

static void pool_close_vmx(struct droste_pool *p)
{
	const struct pool_place proc2 = PROC2;
	unsigned int i;

	/* "Enable RDTSCP" is for RDPID as well. */
	if (!pool_has_bits(p, 0x80000001, 0, POOL_EDX, BIT(27)) && !pool_has_bits(p, 7, 0, POOL_ECX, BIT(22)))
		pool_clear_at(p, &proc2, BIT(3));
	for (i = 0; i < ARRAY_SIZE(control_msrs); i++) {
		struct droste_pool_msr *m = pool_find_msr(p, control_msrs[i][0]), *t = pool_find_msr(p, control_msrs[i][1]);

		if (m && t)
			m->value &= t->value | GENMASK_ULL(31, 0);
	}
	if (!pool_vmx_sound(p))
		pool_drop_vmx(p);
}

/* --- the whole --- */

/* The size of an XSAVE area (SDM 1, 13.4). */
static u32 pool_xsave_size(struct droste_pool *p, u64 mask, bool compacted)
{
	u32 size = 512 + 64, i;

	for (i = 2; i < 63; i++) {
		const struct droste_pool_cpuid *e = mask & BIT_ULL(i) ? pool_find(p, 0xd, i) : NULL;

		if (!e)
			continue;
		if (!compacted)
			size = max(size, e->regs[POOL_EAX] + e->regs[POOL_EBX]);
		else if (e->regs[POOL_ECX] & BIT(1))
			size = ALIGN(size, 64) + e->regs[POOL_EAX];
		else
			size += e->regs[POOL_EAX];
	}
	return size;
}

static void pool_set_sizes(struct droste_pool *p)
{
	struct droste_pool_cpuid *zero = pool_find(p, 0xd, 0), *one = pool_find(p, 0xd, 1);
	u64 user = pool_components(p, false);

	if (zero) {
		zero->regs[POOL_EBX] = user ? pool_xsave_size(p, user, false) : 0;
		zero->regs[POOL_ECX] = zero->regs[POOL_EBX];
	}
	if (one)
		one->regs[POOL_EBX] = one->regs[POOL_EAX] & (BIT(1) | BIT(3)) ?
				      pool_xsave_size(p, pool_components(p, true), true) : 0;
}

/* A sum that changes with everything that the rules above take. */
static u64 pool_weight(const struct droste_pool *p)
{
	u64 sum = p->nr_cpuid + p->nr_msrs;
	u32 i, r;

	for (i = 0; i < p->nr_cpuid; i++)
		for (r = 0; r < NR_POOL_REGS; r++)
			sum += p->cpuid[i].regs[r];
	for (i = 0; i < p->nr_msrs; i++)
		sum += (u32)p->msrs[i].value + (p->msrs[i].value >> 32);
	return sum;
}

/**
 * pool_close() - take from a pool what needs something that the pool lacks
 * @p: the pool, of a form that pool_check() accepts; empty if no processor is
 * left
 *
 * The rules only take away, so that the order in which hosts are combined does
 * not matter.
 */
void pool_close(struct droste_pool *p)
{
	u64 before;

	do {
		before = pool_weight(p);
		pool_apply_needs(p);
		pool_drop_leaves(p);
		pool_drop_components(p);
		pool_follow_rate(p);
		pool_follow_la57(p);
		pool_close_vmx(p);
	} while (p->nr_cpuid && pool_weight(p) != before);
	if (!p->nr_cpuid)
		memset(p, 0, sizeof(*p));
	pool_set_sizes(p);
}
