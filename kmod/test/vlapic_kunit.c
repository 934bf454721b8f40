// SPDX-License-Identifier: GPL-2.0
/* Tests of the local APIC logic: registers, priorities, destinations, timer. */
#include <kunit/test.h>
#include "irqchip/lapic_logic.h"

static const struct lapic_caps no_caps;
static const struct lapic_caps all_caps = { .tsc_deadline = true, .directed_eoi = true };

/* Set a vector's bit in IRR, ISR or TMR. */
static void vlapic_set_vec(u32 *field, u8 vec)
{
	field[vec / 32 * 4] |= 1u << (vec % 32);
}

static void vlapic_find_highest_test(struct kunit *test)
{
	static const u8 order[] = { 0, 16, 31, 32, 33, 63, 64, 127, 128, 200, 254, 255 };
	u32 field[32] = {};
	unsigned int i;

	KUNIT_EXPECT_EQ(test, lapic_find_highest(field), -1);
	for (i = 0; i < ARRAY_SIZE(order); i++) {
		vlapic_set_vec(field, order[i]);
		KUNIT_EXPECT_EQ(test, lapic_find_highest(field), (int)order[i]);
	}
	/* The bytes between the words are not part of the field. */
	memset(field, 0, sizeof(field));
	field[1] = U32_MAX;
	field[31] = U32_MAX;
	KUNIT_EXPECT_EQ(test, lapic_find_highest(field), -1);
}

static void vlapic_ppr_test(struct kunit *test)
{
	/* The higher class is used; only TPR keeps its subclass (SDM 11.8.3.1). */
	KUNIT_EXPECT_EQ(test, lapic_ppr(0, -1), (u8)0);
	KUNIT_EXPECT_EQ(test, lapic_ppr(0x25, -1), (u8)0x25);
	KUNIT_EXPECT_EQ(test, lapic_ppr(0x25, 0x2f), (u8)0x25);
	KUNIT_EXPECT_EQ(test, lapic_ppr(0x25, 0x31), (u8)0x30);
	KUNIT_EXPECT_EQ(test, lapic_ppr(0x45, 0x31), (u8)0x45);
	KUNIT_EXPECT_EQ(test, lapic_ppr(0xf0, 0xff), (u8)0xf0);
}

static void vlapic_deliverable_test(struct kunit *test)
{
	KUNIT_EXPECT_FALSE(test, lapic_deliverable(-1, 0));
	/* Class 0 is never delivered. */
	KUNIT_EXPECT_FALSE(test, lapic_deliverable(0x0f, 0));
	KUNIT_EXPECT_TRUE(test, lapic_deliverable(0x10, 0x0f));
	KUNIT_EXPECT_FALSE(test, lapic_deliverable(0x3f, 0x30));
	KUNIT_EXPECT_TRUE(test, lapic_deliverable(0x40, 0x3f));
	KUNIT_EXPECT_FALSE(test, lapic_deliverable(0xff, 0xf0));
}

/* Three interrupts move through IRR and ISR, as in vlapic.c. */
static void vlapic_order_test(struct kunit *test)
{
	u32 irr[32] = {}, isr[32] = {};

	vlapic_set_vec(irr, 0x31);
	vlapic_set_vec(irr, 0x52);
	vlapic_set_vec(irr, 0x57);
	KUNIT_EXPECT_EQ(test, lapic_find_highest(irr), 0x57);
	irr[2 * 4] &= ~(1u << (0x57 % 32));
	vlapic_set_vec(isr, 0x57);
	/* The next one is of the same class, so it waits for the EOI. */
	KUNIT_EXPECT_FALSE(test, lapic_deliverable(lapic_find_highest(irr), lapic_ppr(0, lapic_find_highest(isr))));
	vlapic_set_vec(irr, 0x61);
	KUNIT_EXPECT_TRUE(test, lapic_deliverable(lapic_find_highest(irr), lapic_ppr(0, lapic_find_highest(isr))));
	KUNIT_EXPECT_FALSE(test, lapic_deliverable(lapic_find_highest(irr), lapic_ppr(0x60, lapic_find_highest(isr))));
	irr[3 * 4] = 0;
	isr[2 * 4] = 0;
	KUNIT_EXPECT_EQ(test, lapic_find_highest(irr), 0x52);
	KUNIT_EXPECT_TRUE(test, lapic_deliverable(0x52, lapic_ppr(0, lapic_find_highest(isr))));
}

static void vlapic_apr_test(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test, lapic_apr(0x25, -1, -1), (u8)0x25);
	KUNIT_EXPECT_EQ(test, lapic_apr(0x25, 0x31, -1), (u8)0x30);
	KUNIT_EXPECT_EQ(test, lapic_apr(0x25, 0x31, 0x47), (u8)0x40);
	KUNIT_EXPECT_EQ(test, lapic_apr(0x25, 0x24, -1), (u8)0x20);
}

struct match_case {
	const char *what;
	struct lapic_target t;
	struct irq_msg m;
	bool match;
};

#define XAPIC(_id, _ldr, _dfr) { LAPIC_XAPIC, _id, (u32)(_ldr) << 24, _dfr }
#define X2APIC(_id) { LAPIC_X2APIC, _id, ((_id) >> 4) << 16 | 1u << ((_id) & 15), 0xffffffff }
#define PHYS(_dest) { .dest = _dest }
#define LOGICAL(_dest) { .dest = _dest, .logical = true }
#define PHYS2(_dest) { .dest = _dest, .x2apic = true }
#define LOGICAL2(_dest) { .dest = _dest, .logical = true, .x2apic = true }
#define FLAT 0xffffffff
#define CLUSTER 0x0fffffff

static const struct match_case match_cases[] = {
	{ "physical", XAPIC(3, 0, FLAT), PHYS(3), true },
	{ "physical, another", XAPIC(3, 0, FLAT), PHYS(2), false },
	{ "physical broadcast", XAPIC(3, 0, FLAT), PHYS(0xff), true },
	{ "physical broadcast to an x2APIC", X2APIC(3), PHYS(0xff), true },
	{ "physical to an x2APIC", X2APIC(3), PHYS(3), true },
	{ "x2APIC physical", X2APIC(0x123), PHYS2(0x123), true },
	{ "x2APIC physical, low byte only", X2APIC(0x123), PHYS2(0x23), false },
	{ "x2APIC ID 255 is no broadcast", X2APIC(3), PHYS2(0xff), false },
	{ "x2APIC broadcast", X2APIC(3), PHYS2(0xffffffff), true },
	{ "x2APIC broadcast, logical", X2APIC(0x31), LOGICAL2(0xffffffff), true },
	{ "from x2APIC to xAPIC", XAPIC(3, 0, FLAT), PHYS2(3), true },
	{ "from x2APIC to xAPIC, wide", XAPIC(3, 0, FLAT), PHYS2(0x103), false },
	{ "flat", XAPIC(3, 0x08, FLAT), LOGICAL(0x0c), true },
	{ "flat, not in the set", XAPIC(3, 0x08, FLAT), LOGICAL(0x07), false },
	{ "flat, no logical ID", XAPIC(3, 0, FLAT), LOGICAL(0x7f), false },
	{ "flat broadcast", XAPIC(3, 0, FLAT), LOGICAL(0xff), true },
	{ "flat, wide address", XAPIC(3, 0x08, FLAT), LOGICAL2(0x108), false },
	{ "cluster", XAPIC(3, 0x24, CLUSTER), LOGICAL(0x2c), true },
	{ "cluster, another", XAPIC(3, 0x24, CLUSTER), LOGICAL(0x1c), false },
	{ "cluster, not in the set", XAPIC(3, 0x24, CLUSTER), LOGICAL(0x2b), false },
	{ "x2APIC logical", X2APIC(0x25), LOGICAL2(0x00020021), true },
	{ "x2APIC logical, another cluster", X2APIC(0x25), LOGICAL2(0x00030020), false },
	{ "x2APIC logical, not in the set", X2APIC(0x25), LOGICAL2(0x0002ffdf), false },
	{ "8-bit logical to x2APIC cluster 0", X2APIC(5), LOGICAL(0x20), true },
	{ "8-bit logical to another cluster", X2APIC(0x15), LOGICAL(0x20), false },
	{ "disabled", { LAPIC_DISABLED, 3, 0, FLAT }, PHYS(3), false },
	{ "disabled, broadcast", { LAPIC_DISABLED, 3, 0, FLAT }, PHYS(0xff), false },
};

static void vlapic_match_test(struct kunit *test)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(match_cases); i++) {
		const struct match_case *c = &match_cases[i];

		KUNIT_EXPECT_EQ_MSG(test, lapic_match(&c->t, &c->m), c->match, "%s", c->what);
	}
}

static void vlapic_x2apic_ldr_test(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test, lapic_x2apic_ldr(0), 0x1u);
	KUNIT_EXPECT_EQ(test, lapic_x2apic_ldr(15), 0x8000u);
	KUNIT_EXPECT_EQ(test, lapic_x2apic_ldr(16), 0x10001u);
	KUNIT_EXPECT_EQ(test, lapic_x2apic_ldr(0x123), 0x120008u);
}

struct write_case {
	u32 reg;
	u64 val;
	int err, err_all;	/* without and with all of lapic_caps */
};

static const struct write_case write_cases[] = {
	{ LAPIC_ID, 0, -EINVAL, -EINVAL },
	{ LAPIC_VERSION, 0, -EINVAL, -EINVAL },
	{ LAPIC_TPR, 0xff, 0, 0 },
	{ LAPIC_TPR, 0x100, -EINVAL, -EINVAL },
	{ LAPIC_PPR, 0, -EINVAL, -EINVAL },
	{ LAPIC_EOI, 0, 0, 0 },
	{ LAPIC_EOI, 1, -EINVAL, -EINVAL },
	{ LAPIC_EOI, 1ull << 32, -EINVAL, -EINVAL },
	{ LAPIC_LDR, 0, -EINVAL, -EINVAL },
	{ LAPIC_DFR, 0xffffffff, -EINVAL, -EINVAL },
	{ LAPIC_SVR, 0x1ff, 0, 0 },
	{ LAPIC_SVR, 0x11ff, -EINVAL, 0 },
	{ LAPIC_SVR, 0x400, -EINVAL, -EINVAL },
	{ LAPIC_ISR, 0, -EINVAL, -EINVAL },
	{ LAPIC_IRR + 0x70, 0, -EINVAL, -EINVAL },
	{ LAPIC_ESR, 0, 0, 0 },
	{ LAPIC_ESR, 1, -EINVAL, -EINVAL },
	{ LAPIC_ICR, 0xffffffff000ccfffull, 0, 0 },
	{ LAPIC_ICR, 0x2000, -EINVAL, -EINVAL },
	{ LAPIC_ICR, 0x10000, -EINVAL, -EINVAL },
	{ LAPIC_ICR, 0x20000, -EINVAL, -EINVAL },
	{ LAPIC_ICR, 0x100000, -EINVAL, -EINVAL },
	{ LAPIC_ICR2, 0, -EINVAL, -EINVAL },
	{ LAPIC_LVTT, 0x300ff, 0, 0 },
	{ LAPIC_LVTT, 0x400ff, -EINVAL, 0 },
	{ LAPIC_LVTT, 0x600ff, -EINVAL, -EINVAL },
	{ LAPIC_LVTT, 0x700, -EINVAL, -EINVAL },
	{ LAPIC_LVT_PMC, 0x107ff, 0, 0 },
	{ LAPIC_LVT_PMC, 0x8000, -EINVAL, -EINVAL },
	{ LAPIC_LVT0, 0x1ffff & ~0x800, 0, 0 },
	{ LAPIC_LVT1, 0x800, -EINVAL, -EINVAL },
	{ LAPIC_LVT_ERROR, 0x100fe, 0, 0 },
	{ LAPIC_LVT_ERROR, 0x400, -EINVAL, -EINVAL },
	{ LAPIC_TMICT, 0xffffffff, 0, 0 },
	{ LAPIC_TMICT, 1ull << 32, -EINVAL, -EINVAL },
	{ LAPIC_TMCCT, 0, -EINVAL, -EINVAL },
	{ LAPIC_TDCR, 0xb, 0, 0 },
	{ LAPIC_TDCR, 0x4, -EINVAL, -EINVAL },
	{ LAPIC_SELF_IPI, 0xff, 0, 0 },
	{ LAPIC_SELF_IPI, 0x100, -EINVAL, -EINVAL },
	{ 0x000, 0, -EINVAL, -EINVAL },
	{ 0x2f0, 0, -EINVAL, -EINVAL },
	{ 0x3a0, 0, -EINVAL, -EINVAL },
	{ 0x400, 0, -EINVAL, -EINVAL },
	{ 0xff0, 0, -EINVAL, -EINVAL },
	{ 0xffff8000, 0, -EINVAL, -EINVAL },
};

static void vlapic_x2apic_write_test(struct kunit *test)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(write_cases); i++) {
		const struct write_case *c = &write_cases[i];

		KUNIT_EXPECT_EQ_MSG(test, lapic_x2apic_check_write(c->reg, c->val, no_caps), c->err,
				    "%x = %llx", c->reg, (unsigned long long)c->val);
		KUNIT_EXPECT_EQ_MSG(test, lapic_x2apic_check_write(c->reg, c->val, all_caps), c->err_all,
				    "%x = %llx", c->reg, (unsigned long long)c->val);
	}
}

static void vlapic_access_test(struct kunit *test)
{
	KUNIT_EXPECT_TRUE(test, lapic_readable(LAPIC_ID, LAPIC_XAPIC, no_caps));
	KUNIT_EXPECT_TRUE(test, lapic_writable(LAPIC_ID, LAPIC_XAPIC, no_caps));
	KUNIT_EXPECT_TRUE(test, lapic_readable(LAPIC_DFR, LAPIC_XAPIC, no_caps));
	KUNIT_EXPECT_FALSE(test, lapic_writable(LAPIC_LVT_CMCI, LAPIC_XAPIC, no_caps));
	KUNIT_EXPECT_TRUE(test, lapic_writable(LAPIC_LVT_CMCI, LAPIC_X2APIC, (struct lapic_caps) { .cmci = true }));
	KUNIT_EXPECT_FALSE(test, lapic_readable(LAPIC_DFR, LAPIC_X2APIC, no_caps));
	KUNIT_EXPECT_FALSE(test, lapic_readable(LAPIC_EOI, LAPIC_XAPIC, no_caps));
	KUNIT_EXPECT_FALSE(test, lapic_readable(LAPIC_EOI, LAPIC_X2APIC, no_caps));
	KUNIT_EXPECT_FALSE(test, lapic_readable(LAPIC_SELF_IPI, LAPIC_X2APIC, no_caps));
	KUNIT_EXPECT_FALSE(test, lapic_writable(LAPIC_SELF_IPI, LAPIC_XAPIC, no_caps));
	KUNIT_EXPECT_TRUE(test, lapic_readable(LAPIC_IRR + 0x70, LAPIC_X2APIC, no_caps));
	KUNIT_EXPECT_FALSE(test, lapic_readable(LAPIC_ICR2, LAPIC_X2APIC, no_caps));
	KUNIT_EXPECT_FALSE(test, lapic_readable(0x10, LAPIC_XAPIC, no_caps));
	KUNIT_EXPECT_FALSE(test, lapic_readable(LAPIC_TPR + 4, LAPIC_XAPIC, no_caps));
	KUNIT_EXPECT_FALSE(test, lapic_readable(0x1000, LAPIC_XAPIC, no_caps));
}

#define EN LAPIC_BASE_EN
#define X2 (LAPIC_BASE_EN | LAPIC_BASE_EXTD)
#define BASE LAPIC_DEFAULT_BASE

struct base_case {
	u64 old, new;
	int guest, host;
};

/* All transitions, those in SDM figure 11-26 and those that are missing there. */
static const struct base_case base_cases[] = {
	{ BASE, BASE, 0, 0 },
	{ BASE, BASE | EN, 0, 0 },
	{ BASE, BASE | X2, -EINVAL, 0 },
	{ BASE, BASE | LAPIC_BASE_EXTD, -EINVAL, -EINVAL },
	{ BASE | EN, BASE, 0, 0 },
	{ BASE | EN, BASE | EN | LAPIC_BASE_BSP, 0, 0 },
	{ BASE | EN, BASE | X2, 0, 0 },
	{ BASE | EN, BASE | LAPIC_BASE_EXTD, -EINVAL, -EINVAL },
	{ BASE | X2, BASE, 0, 0 },
	{ BASE | X2, BASE | EN, -EINVAL, 0 },
	{ BASE | X2, BASE | X2, 0, 0 },
	{ BASE | X2, BASE | LAPIC_BASE_EXTD, -EINVAL, -EINVAL },
	{ BASE | EN, BASE | EN | 1, -EINVAL, -EINVAL },
	{ BASE | EN, BASE | EN | 0x200, -EINVAL, -EINVAL },
	{ BASE | EN, 1ull << 36 | EN, -EINVAL, -EINVAL },
	{ BASE | EN, 0xfff000000ull | EN, 0, 0 },
};

static void vlapic_base_test(struct kunit *test)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(base_cases); i++) {
		const struct base_case *c = &base_cases[i];

		KUNIT_EXPECT_EQ_MSG(test, lapic_check_base(c->old, c->new, 36, true, false), c->guest, "guest %u", i);
		KUNIT_EXPECT_EQ_MSG(test, lapic_check_base(c->old, c->new, 36, true, true), c->host, "host %u", i);
	}
	KUNIT_EXPECT_EQ(test, lapic_check_base(BASE | EN, BASE | X2, 36, false, false), -EINVAL);
	KUNIT_EXPECT_EQ(test, lapic_check_base(BASE | EN, BASE | X2, 36, false, true), -EINVAL);
}

static void vlapic_messages_test(struct kunit *test)
{
	struct irq_msg m;

	lapic_msg_from_icr(&m, 0x000c0831, 0x12, false);
	KUNIT_EXPECT_EQ(test, m.vector, (u8)0x31);
	KUNIT_EXPECT_EQ(test, m.mode, (u16)LAPIC_DM_FIXED);
	KUNIT_EXPECT_EQ(test, m.shorthand, (u8)LAPIC_TO_OTHERS);
	KUNIT_EXPECT_TRUE(test, m.logical);
	KUNIT_EXPECT_TRUE(test, m.assert);
	KUNIT_EXPECT_FALSE(test, m.level);

	lapic_msg_from_icr(&m, 0x0000c500, 1, true);	/* INIT, level assert */
	KUNIT_EXPECT_EQ(test, m.mode, (u16)LAPIC_DM_INIT);
	KUNIT_EXPECT_TRUE(test, m.assert);
	KUNIT_EXPECT_TRUE(test, m.x2apic);
	lapic_msg_from_icr(&m, 0x00008500, 1, true);	/* INIT, level de-assert */
	KUNIT_EXPECT_FALSE(test, m.assert);
	lapic_msg_from_icr(&m, 0x00000500, 1, true);	/* INIT, edge */
	KUNIT_EXPECT_TRUE(test, m.assert);

	lapic_msg_from_msi(&m, 0x12345600fee3400c, 0xc1a5, false);
	KUNIT_EXPECT_EQ(test, m.dest, 0x34u);
	KUNIT_EXPECT_EQ(test, m.vector, (u8)0xa5);
	KUNIT_EXPECT_EQ(test, m.mode, (u16)LAPIC_DM_LOWEST);
	KUNIT_EXPECT_TRUE(test, m.logical);
	KUNIT_EXPECT_TRUE(test, m.redirect);
	KUNIT_EXPECT_TRUE(test, m.level);
	KUNIT_EXPECT_FALSE(test, m.x2apic);

	lapic_msg_from_msi(&m, 0x12345600fee3400c, 0xc1a5, true);
	KUNIT_EXPECT_EQ(test, m.dest, 0x12345634u);
	KUNIT_EXPECT_TRUE(test, m.x2apic);

	lapic_msg_from_rte(&m, 0x560000000000894bull);
	KUNIT_EXPECT_EQ(test, m.dest, 0x56u);
	KUNIT_EXPECT_EQ(test, m.vector, (u8)0x4b);
	KUNIT_EXPECT_EQ(test, m.mode, (u16)LAPIC_DM_LOWEST);
	KUNIT_EXPECT_TRUE(test, m.logical);
	KUNIT_EXPECT_TRUE(test, m.level);
}

static void vlapic_vector_legal_test(struct kunit *test)
{
	KUNIT_EXPECT_FALSE(test, lapic_vector_legal(LAPIC_DM_FIXED, 15));
	KUNIT_EXPECT_FALSE(test, lapic_vector_legal(LAPIC_DM_LOWEST, 0));
	KUNIT_EXPECT_TRUE(test, lapic_vector_legal(LAPIC_DM_FIXED, 16));
	KUNIT_EXPECT_TRUE(test, lapic_vector_legal(LAPIC_DM_NMI, 0));
	KUNIT_EXPECT_TRUE(test, lapic_vector_legal(LAPIC_DM_STARTUP, 8));
}

static void vlapic_divisor_test(struct kunit *test)
{
	/* SDM figure 11-10, in the order of bits 3, 1 and 0. */
	static const struct { u32 tdcr, div; } cases[] = {
		{ 0x0, 2 }, { 0x1, 4 }, { 0x2, 8 }, { 0x3, 16 },
		{ 0x8, 32 }, { 0x9, 64 }, { 0xa, 128 }, { 0xb, 1 },
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(cases); i++)
		KUNIT_EXPECT_EQ(test, lapic_divisor(cases[i].tdcr), cases[i].div);
}

static void vlapic_timer_test(struct kunit *test)
{
	/* One-shot: counts down to 0 and stays at 0. */
	KUNIT_EXPECT_EQ(test, lapic_timer_left(10000, 2000, 0), 8000u);
	KUNIT_EXPECT_EQ(test, lapic_timer_left(10000, 9999, 0), 1u);
	KUNIT_EXPECT_EQ(test, lapic_timer_left(10000, 10000, 0), 0u);
	KUNIT_EXPECT_EQ(test, lapic_timer_left(10000, 50000, 0), 0u);
	/* Periodic: counts on while a tick is late. */
	KUNIT_EXPECT_EQ(test, lapic_timer_left(10000, 9000, 4000), 1000u);
	KUNIT_EXPECT_EQ(test, lapic_timer_left(10000, 11000, 4000), 3000u);
	KUNIT_EXPECT_EQ(test, lapic_timer_left(10000, 15000, 4000), 3000u);
	/* Stays in step if periods were missed. */
	KUNIT_EXPECT_EQ(test, lapic_timer_advance(10000, 9999, 4000), (u64)10000);
	KUNIT_EXPECT_EQ(test, lapic_timer_advance(10000, 10000, 4000), (u64)14000);
	KUNIT_EXPECT_EQ(test, lapic_timer_advance(10000, 13999, 4000), (u64)14000);
	KUNIT_EXPECT_EQ(test, lapic_timer_advance(10000, 23000, 4000), (u64)26000);

	/* 24 MHz: 41.67 ns. Rounded up one way, so that the other way yields the cycles again. */
	KUNIT_EXPECT_EQ(test, lapic_cycles_to_ns(24, 24000000), 1000u);
	KUNIT_EXPECT_EQ(test, lapic_cycles_to_ns(1, 24000000), 42u);
	KUNIT_EXPECT_EQ(test, lapic_ns_to_cycles(42, 24000000), 1u);
	KUNIT_EXPECT_EQ(test, lapic_ns_to_cycles(1000000000, 38400000), 38400000u);
	KUNIT_EXPECT_EQ(test, lapic_ns_to_cycles(lapic_cycles_to_ns(128ULL * U32_MAX, 19200000), 19200000), 128ULL * U32_MAX);

	KUNIT_EXPECT_EQ(test, lapic_timer_mode(0x00031), LAPIC_ONESHOT);
	KUNIT_EXPECT_EQ(test, lapic_timer_mode(0x30031), LAPIC_PERIODIC);
	KUNIT_EXPECT_EQ(test, lapic_timer_mode(0x40031), LAPIC_TSC_DEADLINE);
	KUNIT_EXPECT_EQ(test, lapic_timer_mode(0x60031), LAPIC_TIMER_INVALID);
}

static void vlapic_tsc_test(struct kunit *test)
{
	/* Rounded up, so that it is never early. */
	KUNIT_EXPECT_EQ(test, lapic_tsc_to_ns(0, 2000000), (u64)1);
	KUNIT_EXPECT_EQ(test, lapic_tsc_to_ns(3, 2000000), (u64)2);
	KUNIT_EXPECT_EQ(test, lapic_tsc_to_ns(2000000000, 2000000), (u64)1000000001);
	/* The latest deadlines are within the range of an hrtimer. */
	KUNIT_EXPECT_LE(test, lapic_tsc_to_ns(~0ull, 1), (u64)4000000000000000000);
	KUNIT_EXPECT_LE(test, lapic_tsc_to_ns(~0ull, 5000000), (u64)4000000000000000000);
	KUNIT_EXPECT_GE(test, lapic_tsc_to_ns(~0ull, 5000000), (u64)3000000000000000000);
}

static struct kunit_case vlapic_cases[] = {
	KUNIT_CASE(vlapic_find_highest_test),
	KUNIT_CASE(vlapic_ppr_test),
	KUNIT_CASE(vlapic_deliverable_test),
	KUNIT_CASE(vlapic_order_test),
	KUNIT_CASE(vlapic_apr_test),
	KUNIT_CASE(vlapic_match_test),
	KUNIT_CASE(vlapic_x2apic_ldr_test),
	KUNIT_CASE(vlapic_x2apic_write_test),
	KUNIT_CASE(vlapic_access_test),
	KUNIT_CASE(vlapic_base_test),
	KUNIT_CASE(vlapic_messages_test),
	KUNIT_CASE(vlapic_vector_legal_test),
	KUNIT_CASE(vlapic_divisor_test),
	KUNIT_CASE(vlapic_timer_test),
	KUNIT_CASE(vlapic_tsc_test),
	{}
};

static struct kunit_suite vlapic_suite = {
	.name = "droste_vlapic",
	.test_cases = vlapic_cases,
};

kunit_test_suites(&vlapic_suite);
