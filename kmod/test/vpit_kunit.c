// SPDX-License-Identifier: GPL-2.0
/* Tests of the 8254: counting by mode, latches, byte order, the gate of channel 2. */
#include <kunit/test.h>
#include "irqchip/pit_logic.h"

static struct pit_chip pit;

/* The time at which exactly @ticks ticks have passed. */
static u64 vpit_at(u64 ticks)
{
	return pit_ns(ticks) + 1;
}

static void vpit_program(unsigned int channel, u8 mode, u16 count)
{
	pit_write(&pit, 3, channel << 6 | 0x30 | mode << 1, 0);
	pit_write(&pit, channel, count & 0xff, 0);
	pit_write(&pit, channel, count >> 8, 0);
}

static u16 vpit_read_latched(unsigned int channel, u64 now)
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
	KUNIT_EXPECT_EQ(test, pit_ticks(vpit_at(12345)), (u64)12345);
	/* A century does not overflow. */
	KUNIT_EXPECT_EQ(test, pit_ticks(3155760000ull * 1000000000), 3155760000ull * PIT_HZ);
}

static void vpit_mode0_test(struct kunit *test)
{
	pit_init(&pit, 0);
	vpit_program(0, 0, 1000);
	KUNIT_EXPECT_TRUE(test, pit.reloaded);
	KUNIT_EXPECT_FALSE(test, pit_out(&pit.ch[0], vpit_at(999)));
	KUNIT_EXPECT_TRUE(test, pit_out(&pit.ch[0], vpit_at(1000)));
	KUNIT_EXPECT_TRUE(test, pit_out(&pit.ch[0], vpit_at(99999)));
	KUNIT_EXPECT_EQ(test, pit_count(&pit.ch[0], vpit_at(400)), 600u);
	/* The counter wraps. */
	KUNIT_EXPECT_EQ(test, pit_count(&pit.ch[0], vpit_at(1001)), 0xffffu);
}

static void vpit_mode2_test(struct kunit *test)
{
	pit_init(&pit, 0);
	vpit_program(0, 2, 100);
	KUNIT_EXPECT_TRUE(test, pit_is_periodic(&pit.ch[0]));
	KUNIT_EXPECT_EQ(test, pit_count(&pit.ch[0], 0), 100u);
	KUNIT_EXPECT_EQ(test, pit_count(&pit.ch[0], vpit_at(99)), 1u);
	KUNIT_EXPECT_FALSE(test, pit_out(&pit.ch[0], vpit_at(99)));
	KUNIT_EXPECT_EQ(test, pit_count(&pit.ch[0], vpit_at(100)), 100u);
	KUNIT_EXPECT_TRUE(test, pit_out(&pit.ch[0], vpit_at(100)));
	KUNIT_EXPECT_EQ(test, pit_count(&pit.ch[0], vpit_at(1000030)), 70u);
	/* Mode 6 is an alias of mode 2. */
	vpit_program(0, 6, 100);
	KUNIT_EXPECT_EQ(test, pit.ch[0].s.mode, (__u8)2);
	/* A count of 0 is the largest count. */
	vpit_program(0, 2, 0);
	KUNIT_EXPECT_EQ(test, pit.ch[0].s.count, 0x10000u);
}

static void vpit_mode3_test(struct kunit *test)
{
	pit_init(&pit, 0);
	vpit_program(0, 3, 100);
	KUNIT_EXPECT_TRUE(test, pit_out(&pit.ch[0], vpit_at(49)));
	KUNIT_EXPECT_FALSE(test, pit_out(&pit.ch[0], vpit_at(50)));
	KUNIT_EXPECT_FALSE(test, pit_out(&pit.ch[0], vpit_at(99)));
	KUNIT_EXPECT_TRUE(test, pit_out(&pit.ch[0], vpit_at(100)));
	KUNIT_EXPECT_EQ(test, pit_count(&pit.ch[0], vpit_at(10)), 80u);
	KUNIT_EXPECT_EQ(test, pit_count(&pit.ch[0], vpit_at(60)), 80u);
}

static void vpit_strobe_test(struct kunit *test)
{
	pit_init(&pit, 0);
	vpit_program(0, 4, 100);
	KUNIT_EXPECT_TRUE(test, pit_out(&pit.ch[0], vpit_at(99)));
	KUNIT_EXPECT_FALSE(test, pit_out(&pit.ch[0], vpit_at(100)));
	KUNIT_EXPECT_TRUE(test, pit_out(&pit.ch[0], vpit_at(101)));
}

static void vpit_latch_test(struct kunit *test)
{
	pit_init(&pit, 0);
	vpit_program(0, 2, 0x1234);
	KUNIT_EXPECT_EQ(test, vpit_read_latched(0, vpit_at(0x34)), (u16)0x1200);
	/* The second of two latch commands is ignored. */
	pit_write(&pit, 3, 0x00, vpit_at(0x10));
	pit_write(&pit, 3, 0x00, vpit_at(0x20));
	KUNIT_EXPECT_EQ(test, pit_read(&pit, 0, vpit_at(0x30)), (u8)0x24);
	KUNIT_EXPECT_EQ(test, pit_read(&pit, 0, vpit_at(0x30)), (u8)0x12);
	/* Without a latch, the counter continues between the bytes. */
	KUNIT_EXPECT_EQ(test, pit_read(&pit, 0, vpit_at(0x30)), (u8)0x04);
	KUNIT_EXPECT_EQ(test, pit_read(&pit, 0, vpit_at(0x134)), (u8)0x11);
}

static void vpit_read_back_test(struct kunit *test)
{
	pit_init(&pit, 0);
	vpit_program(2, 3, 0x200);
	pit_write_port61(&pit, 1, 0);
	/* Count and status of channel 2: status is read first. */
	pit_write(&pit, 3, 0xc8, vpit_at(1));
	KUNIT_EXPECT_EQ(test, pit_read(&pit, 2, vpit_at(9)), (u8)0xb6);
	KUNIT_EXPECT_EQ(test, pit_read(&pit, 2, vpit_at(9)), (u8)0xfe);
	KUNIT_EXPECT_EQ(test, pit_read(&pit, 2, vpit_at(9)), (u8)0x01);
	/* Status only. */
	pit_write(&pit, 3, 0xe8, vpit_at(0x101));
	KUNIT_EXPECT_EQ(test, pit_read(&pit, 2, vpit_at(0x101)), (u8)0x36);
}

static void vpit_access_test(struct kunit *test)
{
	pit_init(&pit, 0);
	/* Low byte only, then high byte only. */
	pit_write(&pit, 3, 0x14, 0);
	pit_write(&pit, 0, 0x80, 0);
	KUNIT_EXPECT_EQ(test, pit.ch[0].s.count, 0x80u);
	KUNIT_EXPECT_EQ(test, pit_read(&pit, 0, vpit_at(1)), (u8)0x7f);
	KUNIT_EXPECT_EQ(test, pit_read(&pit, 0, vpit_at(1)), (u8)0x7f);
	pit_write(&pit, 3, 0x24, 0);
	pit_write(&pit, 0, 0x80, 0);
	KUNIT_EXPECT_EQ(test, pit.ch[0].s.count, 0x8000u);
	KUNIT_EXPECT_EQ(test, pit_read(&pit, 0, vpit_at(1)), (u8)0x7f);
	/* The first byte of a word does not load the counter. */
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
	KUNIT_EXPECT_EQ(test, vpit_read_latched(0, vpit_at(235)), (u16)0x0999);
	KUNIT_EXPECT_EQ(test, vpit_read_latched(0, vpit_at(1235)), (u16)0x9999);
	pit_write(&pit, 0, 0, 0);
	pit_write(&pit, 0, 0, 0);
	KUNIT_EXPECT_EQ(test, pit.ch[0].s.count, 10000u);
}

/* Linux calibrates its TSC like this: channel 2 in mode 0, started by the gate, until OUT is high. */
static void vpit_gate_test(struct kunit *test)
{
	pit_init(&pit, 0);
	KUNIT_EXPECT_EQ(test, pit_read_port61(&pit, 0) & 3, 0);
	vpit_program(2, 0, 1000);
	KUNIT_EXPECT_EQ(test, pit_count(&pit.ch[2], vpit_at(500)), 1000u);
	pit_write_port61(&pit, 1, vpit_at(500));
	KUNIT_EXPECT_EQ(test, pit_count(&pit.ch[2], vpit_at(500) + pit_ns(300) + 1), 700u);
	/* A counter that was stopped continues from its value. */
	pit_write_port61(&pit, 0, vpit_at(900) + 1);
	KUNIT_EXPECT_EQ(test, pit_count(&pit.ch[2], vpit_at(5000)), 600u);
	pit_write_port61(&pit, 3, vpit_at(10900));
	KUNIT_EXPECT_EQ(test, pit_read_port61(&pit, vpit_at(11400)) & 0x23, 0x03);
	KUNIT_EXPECT_EQ(test, pit_read_port61(&pit, vpit_at(11501)) & 0x23, 0x23);
	/* In mode 2 a rising edge of the gate restarts the counter. */
	vpit_program(2, 2, 1000);
	pit_write_port61(&pit, 0, vpit_at(100));
	pit_write_port61(&pit, 1, vpit_at(200));
	KUNIT_EXPECT_EQ(test, pit_count(&pit.ch[2], vpit_at(200) + pit_ns(10) + 1), 990u);
}

static void vpit_state_test(struct kunit *test)
{
	struct kvm_pit_channel_state s;

	pit_init(&pit, 0);
	vpit_program(2, 0, 1000);
	pit_get_channel(&pit.ch[2], &s, vpit_at(500));
	KUNIT_EXPECT_EQ(test, s.count, 1000u);
	/* Counting works with any state from user space. */
	memset(&s, 0xff, sizeof(s));
	pit_set_channel(&pit.ch[0], &s, vpit_at(500));
	KUNIT_EXPECT_EQ(test, pit.ch[0].s.count, 10000u);
	memset(&s, 0, sizeof(s));
	s.mode = 2;
	pit_set_channel(&pit.ch[1], &s, vpit_at(500));
	KUNIT_EXPECT_EQ(test, pit_count(&pit.ch[1], vpit_at(600)), 0x10000u);
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
