// SPDX-License-Identifier: GPL-2.0
/* Tests of the 8254: counting by mode, latches, byte order, the gate of channel 2. */
#include <kunit/test.h>
#include "irqchip/pit_logic.h"

static struct pit_chip pit;

/* A time at which exactly so many ticks have passed. */
static u64 at(u64 ticks)
{
	return pit_ns(ticks) + 1;
}

static void program(unsigned int channel, u8 mode, u16 count)
{
	pit_write(&pit, 3, channel << 6 | 0x30 | mode << 1, 0);
	pit_write(&pit, channel, count & 0xff, 0);
	pit_write(&pit, channel, count >> 8, 0);
}

static u16 read_latched(unsigned int channel, u64 now)
{
	u16 low;

	pit_write(&pit, 3, channel << 6, now);
	low = pit_read(&pit, channel, now + 1000000);
	return low | pit_read(&pit, channel, now + 2000000) << 8;
}

static void vpit_clock_test(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test, pit_ticks(1000000000), (u64)PIT_HZ);
	KUNIT_EXPECT_EQ(test, pit_ns(PIT_HZ), (u64)1000000000);
	KUNIT_EXPECT_EQ(test, pit_ticks(at(12345)), (u64)12345);
	/* A century is no overflow. */
	KUNIT_EXPECT_EQ(test, pit_ticks(3155760000ull * 1000000000), 3155760000ull * PIT_HZ);
}

static void vpit_mode0_test(struct kunit *test)
{
	pit_init(&pit, 0);
	program(0, 0, 1000);
	KUNIT_EXPECT_TRUE(test, pit.reloaded);
	KUNIT_EXPECT_FALSE(test, pit_out(&pit.ch[0], at(999)));
	KUNIT_EXPECT_TRUE(test, pit_out(&pit.ch[0], at(1000)));
	KUNIT_EXPECT_TRUE(test, pit_out(&pit.ch[0], at(99999)));
	KUNIT_EXPECT_EQ(test, pit_count(&pit.ch[0], at(400)), 600u);
	/* On past 0. */
	KUNIT_EXPECT_EQ(test, pit_count(&pit.ch[0], at(1001)), 0xffffu);
}

static void vpit_mode2_test(struct kunit *test)
{
	pit_init(&pit, 0);
	program(0, 2, 100);
	KUNIT_EXPECT_TRUE(test, pit_is_periodic(&pit.ch[0]));
	KUNIT_EXPECT_EQ(test, pit_count(&pit.ch[0], 0), 100u);
	KUNIT_EXPECT_EQ(test, pit_count(&pit.ch[0], at(99)), 1u);
	KUNIT_EXPECT_FALSE(test, pit_out(&pit.ch[0], at(99)));
	KUNIT_EXPECT_EQ(test, pit_count(&pit.ch[0], at(100)), 100u);
	KUNIT_EXPECT_TRUE(test, pit_out(&pit.ch[0], at(100)));
	KUNIT_EXPECT_EQ(test, pit_count(&pit.ch[0], at(1000030)), 70u);
	/* Mode 6 is mode 2. */
	program(0, 6, 100);
	KUNIT_EXPECT_EQ(test, pit.ch[0].s.mode, (__u8)2);
	/* A count of 0 is the largest. */
	program(0, 2, 0);
	KUNIT_EXPECT_EQ(test, pit.ch[0].s.count, 0x10000u);
}

static void vpit_mode3_test(struct kunit *test)
{
	pit_init(&pit, 0);
	program(0, 3, 100);
	KUNIT_EXPECT_TRUE(test, pit_out(&pit.ch[0], at(49)));
	KUNIT_EXPECT_FALSE(test, pit_out(&pit.ch[0], at(50)));
	KUNIT_EXPECT_FALSE(test, pit_out(&pit.ch[0], at(99)));
	KUNIT_EXPECT_TRUE(test, pit_out(&pit.ch[0], at(100)));
	KUNIT_EXPECT_EQ(test, pit_count(&pit.ch[0], at(10)), 80u);
	KUNIT_EXPECT_EQ(test, pit_count(&pit.ch[0], at(60)), 80u);
}

static void vpit_strobe_test(struct kunit *test)
{
	pit_init(&pit, 0);
	program(0, 4, 100);
	KUNIT_EXPECT_TRUE(test, pit_out(&pit.ch[0], at(99)));
	KUNIT_EXPECT_FALSE(test, pit_out(&pit.ch[0], at(100)));
	KUNIT_EXPECT_TRUE(test, pit_out(&pit.ch[0], at(101)));
}

static void vpit_latch_test(struct kunit *test)
{
	pit_init(&pit, 0);
	program(0, 2, 0x1234);
	KUNIT_EXPECT_EQ(test, read_latched(0, at(0x34)), (u16)0x1200);
	/* The first of two latches counts. */
	pit_write(&pit, 3, 0x00, at(0x10));
	pit_write(&pit, 3, 0x00, at(0x20));
	KUNIT_EXPECT_EQ(test, pit_read(&pit, 0, at(0x30)), (u8)0x24);
	KUNIT_EXPECT_EQ(test, pit_read(&pit, 0, at(0x30)), (u8)0x12);
	/* Without one, the count goes on between the bytes. */
	KUNIT_EXPECT_EQ(test, pit_read(&pit, 0, at(0x30)), (u8)0x04);
	KUNIT_EXPECT_EQ(test, pit_read(&pit, 0, at(0x134)), (u8)0x11);
}

static void vpit_read_back_test(struct kunit *test)
{
	pit_init(&pit, 0);
	program(2, 3, 0x200);
	pit_write_port61(&pit, 1, 0);
	/* Count and status of channel 2: status comes first. */
	pit_write(&pit, 3, 0xc8, at(1));
	KUNIT_EXPECT_EQ(test, pit_read(&pit, 2, at(9)), (u8)0xb6);
	KUNIT_EXPECT_EQ(test, pit_read(&pit, 2, at(9)), (u8)0xfe);
	KUNIT_EXPECT_EQ(test, pit_read(&pit, 2, at(9)), (u8)0x01);
	/* Status only. */
	pit_write(&pit, 3, 0xe8, at(0x101));
	KUNIT_EXPECT_EQ(test, pit_read(&pit, 2, at(0x101)), (u8)0x36);
}

static void vpit_access_test(struct kunit *test)
{
	pit_init(&pit, 0);
	/* Low byte only, then high byte only. */
	pit_write(&pit, 3, 0x14, 0);
	pit_write(&pit, 0, 0x80, 0);
	KUNIT_EXPECT_EQ(test, pit.ch[0].s.count, 0x80u);
	KUNIT_EXPECT_EQ(test, pit_read(&pit, 0, at(1)), (u8)0x7f);
	KUNIT_EXPECT_EQ(test, pit_read(&pit, 0, at(1)), (u8)0x7f);
	pit_write(&pit, 3, 0x24, 0);
	pit_write(&pit, 0, 0x80, 0);
	KUNIT_EXPECT_EQ(test, pit.ch[0].s.count, 0x8000u);
	KUNIT_EXPECT_EQ(test, pit_read(&pit, 0, at(1)), (u8)0x7f);
	/* Half a word loads nothing. */
	pit.reloaded = false;
	pit_write(&pit, 3, 0x34, 0);
	pit_write(&pit, 0, 0x55, 0);
	KUNIT_EXPECT_FALSE(test, pit.reloaded);
}

static void vpit_bcd_test(struct kunit *test)
{
	pit_init(&pit, 0);
	pit_write(&pit, 3, 0x31, 0);
	pit_write(&pit, 0, 0x34, 0);
	pit_write(&pit, 0, 0x12, 0);
	KUNIT_EXPECT_EQ(test, pit.ch[0].s.count, 1234u);
	KUNIT_EXPECT_EQ(test, read_latched(0, at(235)), (u16)0x0999);
	KUNIT_EXPECT_EQ(test, read_latched(0, at(1235)), (u16)0x9999);
	pit_write(&pit, 0, 0, 0);
	pit_write(&pit, 0, 0, 0);
	KUNIT_EXPECT_EQ(test, pit.ch[0].s.count, 10000u);
}

/* As Linux measures its TSC: mode 0 on channel 2 behind the gate, wait for OUT. */
static void vpit_gate_test(struct kunit *test)
{
	pit_init(&pit, 0);
	KUNIT_EXPECT_EQ(test, pit_read_port61(&pit, 0) & 3, 0);
	program(2, 0, 1000);
	KUNIT_EXPECT_EQ(test, pit_count(&pit.ch[2], at(500)), 1000u);
	pit_write_port61(&pit, 1, at(500));
	KUNIT_EXPECT_EQ(test, pit_count(&pit.ch[2], at(500) + pit_ns(300) + 1), 700u);
	/* Stopped for a while, it goes on where it stood. */
	pit_write_port61(&pit, 0, at(900) + 1);
	KUNIT_EXPECT_EQ(test, pit_count(&pit.ch[2], at(5000)), 600u);
	pit_write_port61(&pit, 3, at(10900));
	KUNIT_EXPECT_EQ(test, pit_read_port61(&pit, at(11400)) & 0x23, 0x03);
	KUNIT_EXPECT_EQ(test, pit_read_port61(&pit, at(11501)) & 0x23, 0x23);
	/* In mode 2 a rising gate starts over. */
	program(2, 2, 1000);
	pit_write_port61(&pit, 0, at(100));
	pit_write_port61(&pit, 1, at(200));
	KUNIT_EXPECT_EQ(test, pit_count(&pit.ch[2], at(200) + pit_ns(10) + 1), 990u);
}

static void vpit_state_test(struct kunit *test)
{
	struct kvm_pit_channel_state s;

	pit_init(&pit, 0);
	program(2, 0, 1000);
	pit_get_channel(&pit.ch[2], &s, at(500));
	KUNIT_EXPECT_EQ(test, s.count, 1000u);
	/* Nothing a state may hold makes counting fail. */
	memset(&s, 0xff, sizeof(s));
	pit_set_channel(&pit.ch[0], &s, at(500));
	KUNIT_EXPECT_EQ(test, pit.ch[0].s.count, 10000u);
	memset(&s, 0, sizeof(s));
	s.mode = 2;
	pit_set_channel(&pit.ch[1], &s, at(500));
	KUNIT_EXPECT_EQ(test, pit_count(&pit.ch[1], at(600)), 0x10000u);
}

static struct kunit_case vpit_cases[] = {
	KUNIT_CASE(vpit_clock_test),
	KUNIT_CASE(vpit_mode0_test),
	KUNIT_CASE(vpit_mode2_test),
	KUNIT_CASE(vpit_mode3_test),
	KUNIT_CASE(vpit_strobe_test),
	KUNIT_CASE(vpit_latch_test),
	KUNIT_CASE(vpit_read_back_test),
	KUNIT_CASE(vpit_access_test),
	KUNIT_CASE(vpit_bcd_test),
	KUNIT_CASE(vpit_gate_test),
	KUNIT_CASE(vpit_state_test),
	{}
};

static struct kunit_suite vpit_suite = {
	.name = "droste_vpit",
	.test_cases = vpit_cases,
};

kunit_test_suites(&vpit_suite);
