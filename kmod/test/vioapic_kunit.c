// SPDX-License-Identifier: GPL-2.0
/* Tests of the I/O APIC: registers, edges and levels, remote IRR, EOI. */
#include <kunit/test.h>
#include "irqchip/ioapic_logic.h"

static struct ioapic io;
static u64 fired[8];
static int nr_fired;
static u32 unmasked;	/* what the last write of a register returned */
static int answer;	/* number of processors that accept an interrupt */

static int vioapic_record(struct ioapic *who, u64 rte)
{
	if (nr_fired < (int)ARRAY_SIZE(fired))
		fired[nr_fired] = rte;
	nr_fired++;
	return answer;
}

static void vioapic_setup(void)
{
	ioapic_init(&io, vioapic_record);
	nr_fired = 0;
	answer = 1;
}

static u32 vioapic_read_reg(u8 reg)
{
	ioapic_write(&io, IOAPIC_REG_SELECT, reg);
	return ioapic_read(&io, IOAPIC_REG_WINDOW);
}

static void vioapic_write_reg(u8 reg, u32 val)
{
	ioapic_write(&io, IOAPIC_REG_SELECT, reg);
	unmasked = ioapic_write(&io, IOAPIC_REG_WINDOW, val);
	ioapic_resend(&io, unmasked);
}

static void vioapic_registers_test(struct kunit *test)
{
	vioapic_setup();
	KUNIT_EXPECT_EQ(test, vioapic_read_reg(1), 0x00170020u);
	vioapic_write_reg(1, 0);
	KUNIT_EXPECT_EQ(test, vioapic_read_reg(1), 0x00170020u);
	vioapic_write_reg(0, 0xffffffff);
	KUNIT_EXPECT_EQ(test, vioapic_read_reg(0), 0x0f000000u);
	KUNIT_EXPECT_EQ(test, vioapic_read_reg(2), 0x0f000000u);
	KUNIT_EXPECT_EQ(test, vioapic_read_reg(0x10), 0x00010000u);
	/* Status bits and reserved bits cannot be written. */
	vioapic_write_reg(0x3e, 0xffffffff);
	vioapic_write_reg(0x3f, 0xffffffff);
	KUNIT_EXPECT_EQ(test, vioapic_read_reg(0x3e), 0x0001afffu);
	KUNIT_EXPECT_EQ(test, vioapic_read_reg(0x3f), 0xff000000u);
	/* Registers that do not exist read as 0. */
	vioapic_write_reg(0x40, 0xffffffff);
	KUNIT_EXPECT_EQ(test, vioapic_read_reg(0x40), 0u);
	KUNIT_EXPECT_EQ(test, vioapic_read_reg(0xff), 0u);
	KUNIT_EXPECT_EQ(test, vioapic_read_reg(3), 0u);
	KUNIT_EXPECT_EQ(test, ioapic_read(&io, 0x20), 0u);
}

static void vioapic_edge_test(struct kunit *test)
{
	vioapic_setup();
	vioapic_write_reg(0x10 + 2 * 4 + 1, 0x03000000);
	vioapic_write_reg(0x10 + 2 * 4, 0x31);
	KUNIT_EXPECT_EQ(test, ioapic_set_line(&io, 4, 0, true), 1);
	KUNIT_EXPECT_EQ(test, nr_fired, 1);
	KUNIT_EXPECT_EQ(test, fired[0], 0x0300000000000031ull + 0);
	/* There is no interrupt without an edge. */
	KUNIT_EXPECT_EQ(test, ioapic_set_line(&io, 4, 0, true), 0);
	KUNIT_EXPECT_EQ(test, nr_fired, 1);
	ioapic_set_line(&io, 4, 0, false);
	KUNIT_EXPECT_EQ(test, ioapic_set_line(&io, 4, 0, true), 1);
	KUNIT_EXPECT_EQ(test, nr_fired, 2);
	/* An edge while masked is lost. */
	ioapic_set_line(&io, 4, 0, false);
	vioapic_write_reg(0x10 + 2 * 4, 0x10031);
	KUNIT_EXPECT_EQ(test, ioapic_set_line(&io, 4, 0, true), -1);
	vioapic_write_reg(0x10 + 2 * 4, 0x31);
	KUNIT_EXPECT_EQ(test, nr_fired, 2);
	/* An EOI has no effect on an edge-triggered pin. */
	ioapic_end(&io, BIT(4));
	KUNIT_EXPECT_EQ(test, nr_fired, 2);
}

static void vioapic_level_test(struct kunit *test)
{
	vioapic_setup();
	vioapic_write_reg(0x10 + 2 * 9, 0x8041);
	KUNIT_EXPECT_EQ(test, ioapic_set_line(&io, 9, 0, true), 1);
	KUNIT_EXPECT_EQ(test, nr_fired, 1);
	KUNIT_EXPECT_EQ(test, vioapic_read_reg(0x10 + 2 * 9), 0xc041u);
	/* In service: not sent again until the EOI. */
	KUNIT_EXPECT_EQ(test, ioapic_set_line(&io, 9, 0, true), -1);
	KUNIT_EXPECT_EQ(test, ioapic_set_line(&io, 9, 1, true), -1);
	KUNIT_EXPECT_EQ(test, nr_fired, 1);
	/* Still up after the EOI: sent again. */
	ioapic_set_line(&io, 9, 0, false);
	KUNIT_EXPECT_EQ(test, ioapic_pins_of(&io, 0x41), (u32)BIT(9));
	ioapic_end(&io, BIT(9));
	KUNIT_EXPECT_EQ(test, nr_fired, 2);
	/* Down before the EOI: not sent again. */
	ioapic_set_line(&io, 9, 1, false);
	ioapic_end(&io, BIT(9));
	KUNIT_EXPECT_EQ(test, nr_fired, 2);
	KUNIT_EXPECT_EQ(test, vioapic_read_reg(0x10 + 2 * 9), 0x8041u);
}

static void vioapic_level_mask_test(struct kunit *test)
{
	vioapic_setup();
	vioapic_write_reg(0x10 + 2 * 9, 0x18041);
	KUNIT_EXPECT_EQ(test, ioapic_set_line(&io, 9, 0, true), -1);
	/* A level stays pending while masked. */
	vioapic_write_reg(0x10 + 2 * 9, 0x8041);
	KUNIT_EXPECT_EQ(test, nr_fired, 1);
	/* Masked while in service: after the EOI it is not sent again until it is unmasked. */
	vioapic_write_reg(0x10 + 2 * 9, 0x18041);
	KUNIT_EXPECT_EQ(test, vioapic_read_reg(0x10 + 2 * 9), 0x1c041u);
	ioapic_end(&io, BIT(9));
	KUNIT_EXPECT_EQ(test, nr_fired, 1);
	KUNIT_EXPECT_EQ(test, vioapic_read_reg(0x10 + 2 * 9), 0x18041u);
	vioapic_write_reg(0x10 + 2 * 9, 0x8041);
	KUNIT_EXPECT_EQ(test, nr_fired, 2);
	/* An entry that becomes edge-triggered loses its remote IRR. */
	vioapic_write_reg(0x10 + 2 * 9, 0x10041);
	vioapic_write_reg(0x10 + 2 * 9, 0x18041);
	KUNIT_EXPECT_EQ(test, vioapic_read_reg(0x10 + 2 * 9), 0x18041u);
}

/* An interrupt that no processor accepts is not in service. */
static void vioapic_refused_test(struct kunit *test)
{
	vioapic_setup();
	answer = 0;
	vioapic_write_reg(0x10 + 2 * 9, 0x8041);
	KUNIT_EXPECT_EQ(test, ioapic_set_line(&io, 9, 0, true), 0);
	KUNIT_EXPECT_EQ(test, vioapic_read_reg(0x10 + 2 * 9), 0x8041u);
	answer = 1;
	KUNIT_EXPECT_EQ(test, ioapic_set_line(&io, 9, 0, true), 1);
	KUNIT_EXPECT_EQ(test, vioapic_read_reg(0x10 + 2 * 9), 0xc041u);
}

static void vioapic_shared_vector_test(struct kunit *test)
{
	vioapic_setup();
	vioapic_write_reg(0x10 + 2 * 3, 0x8041);
	vioapic_write_reg(0x10 + 2 * 9, 0x8041);
	vioapic_write_reg(0x10 + 2 * 10, 0x8042);
	KUNIT_EXPECT_EQ(test, ioapic_pins_of(&io, 0x41), (u32)(BIT(3) | BIT(9)));
	KUNIT_EXPECT_TRUE(test, io.handled[0x41 / BITS_PER_LONG] & BIT(0x41 % BITS_PER_LONG));
	KUNIT_EXPECT_TRUE(test, io.handled[0x42 / BITS_PER_LONG] & BIT(0x42 % BITS_PER_LONG));
	vioapic_write_reg(0x10 + 2 * 10, 0x8043);
	KUNIT_EXPECT_FALSE(test, io.handled[0x42 / BITS_PER_LONG] & BIT(0x42 % BITS_PER_LONG));
}

static void vioapic_state_test(struct kunit *test)
{
	struct kvm_ioapic_state s;

	vioapic_setup();
	vioapic_write_reg(0x10 + 2 * 4, 0x31);
	vioapic_write_reg(0x10 + 2 * 9, 0x8041);
	ioapic_set_line(&io, 4, 0, true);
	ioapic_set_line(&io, 9, 0, true);
	ioapic_get_state(&io, &s);
	/* The edge was sent, the level is still up. */
	KUNIT_EXPECT_EQ(test, s.irr, (__u32)BIT(9));
	KUNIT_EXPECT_EQ(test, (u64)s.redirtbl[9].bits, (u64)0xc041);

	nr_fired = 0;
	s.irr |= BIT(4) | BIT(31);
	ioapic_set_state(&io, &s);
	/* The pending edge is sent, the level is in service. */
	KUNIT_EXPECT_EQ(test, nr_fired, 1);
	KUNIT_EXPECT_EQ(test, fired[0], (u64)0x31);
	KUNIT_EXPECT_EQ(test, io.irr, (u32)(BIT(4) | BIT(9)));

	memset(&s, 0xff, sizeof(s));
	ioapic_set_state(&io, &s);
	KUNIT_EXPECT_EQ(test, io.rte[23], 0xff0000000001efffull + 0);
	KUNIT_EXPECT_EQ(test, io.select, 0xffu);
}

/* The line of an unmasked level pin is sampled before the interrupt is sent. */
static void vioapic_unmask_test(struct kunit *test)
{
	vioapic_setup();
	vioapic_write_reg(0x10 + 2 * 9, 0x18041);
	vioapic_write_reg(0x10 + 2 * 4, 0x10031);
	ioapic_set_line(&io, 9, 0, true);
	ioapic_set_line(&io, 4, 0, true);
	/* Still masked, or an edge. */
	vioapic_write_reg(0x10 + 2 * 9, 0x18042);
	KUNIT_EXPECT_EQ(test, unmasked, 0u);
	vioapic_write_reg(0x10 + 2 * 4, 0x31);
	KUNIT_EXPECT_EQ(test, unmasked, 0u);
	/* The device lowers its line when it is sampled. */
	ioapic_write(&io, IOAPIC_REG_SELECT, 0x10 + 2 * 9);
	KUNIT_EXPECT_EQ(test, ioapic_write(&io, IOAPIC_REG_WINDOW, 0x8042), (u32)BIT(9));
	KUNIT_EXPECT_EQ(test, nr_fired, 0);
	ioapic_set_line(&io, 9, 0, false);
	ioapic_resend(&io, BIT(9));
	KUNIT_EXPECT_EQ(test, nr_fired, 0);
	/* The interrupt is in service when the pin is unmasked: nothing to sample. */
	ioapic_set_line(&io, 9, 0, true);
	KUNIT_EXPECT_EQ(test, nr_fired, 1);
	vioapic_write_reg(0x10 + 2 * 9, 0x18042);
	vioapic_write_reg(0x10 + 2 * 9, 0x8042);
	KUNIT_EXPECT_EQ(test, unmasked, 0u);
	KUNIT_EXPECT_EQ(test, nr_fired, 1);
}

/* A line that stays up: after many EOIs the next interrupt waits. */
static void vioapic_storm_test(struct kunit *test)
{
	int i;

	vioapic_setup();
	vioapic_write_reg(0x10 + 2 * 9, 0x8041);
	ioapic_set_line(&io, 9, 0, true);
	for (i = 1; i < IOAPIC_STORM; i++)
		KUNIT_ASSERT_EQ(test, ioapic_end(&io, BIT(9)), 0u);
	KUNIT_EXPECT_EQ(test, nr_fired, IOAPIC_STORM);
	KUNIT_EXPECT_EQ(test, ioapic_end(&io, BIT(9)), (u32)BIT(9));
	KUNIT_EXPECT_EQ(test, nr_fired, IOAPIC_STORM);
	ioapic_resend(&io, BIT(9));
	KUNIT_EXPECT_EQ(test, nr_fired, IOAPIC_STORM + 1);
	/* Sent once, and not while it is in service. */
	ioapic_resend(&io, BIT(9));
	KUNIT_EXPECT_EQ(test, nr_fired, IOAPIC_STORM + 1);
	/* Counting starts again, also when the line goes down in between. */
	for (i = 1; i < IOAPIC_STORM; i++)
		KUNIT_ASSERT_EQ(test, ioapic_end(&io, BIT(9)), 0u);
	ioapic_set_line(&io, 9, 0, false);
	KUNIT_EXPECT_EQ(test, ioapic_end(&io, BIT(9)), 0u);
	ioapic_set_line(&io, 9, 0, true);
	KUNIT_EXPECT_EQ(test, ioapic_end(&io, BIT(9)), 0u);
}

static struct kunit_case vioapic_cases[] = {
	KUNIT_CASE(vioapic_unmask_test),
	KUNIT_CASE(vioapic_storm_test),
	KUNIT_CASE(vioapic_registers_test),
	KUNIT_CASE(vioapic_edge_test),
	KUNIT_CASE(vioapic_level_test),
	KUNIT_CASE(vioapic_level_mask_test),
	KUNIT_CASE(vioapic_refused_test),
	KUNIT_CASE(vioapic_shared_vector_test),
	KUNIT_CASE(vioapic_state_test),
	{}
};

static struct kunit_suite vioapic_suite = {
	.name = "droste_vioapic",
	.test_cases = vioapic_cases,
};

kunit_test_suites(&vioapic_suite);
