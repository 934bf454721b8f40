// SPDX-License-Identifier: GPL-2.0
/* Tests of the 8259A pair: priorities, edges and levels, EOIs, rotation, poll, special modes. */
#include <kunit/test.h>
#include "irqchip/pic_logic.h"

#define MASTER	0x20
#define SLAVE	0xa0
#define EOI	0x20

static struct pic_pair p;

static void vpic_setup_chip(u16 port, u8 base, u8 icw3, u8 icw4)
{
	pic_write(&p, port, 0x11);
	pic_write(&p, port + 1, base);
	pic_write(&p, port + 1, icw3);
	pic_write(&p, port + 1, icw4);
	pic_write(&p, port + 1, 0);
}

/* Programs the pair as the firmware of a PC: vectors 0x30 and 0x38, all unmasked. */
static void vpic_setup(void)
{
	pic_init(&p);
	vpic_setup_chip(MASTER, 0x30, 0x04, 0x01);
	vpic_setup_chip(SLAVE, 0x38, 0x02, 0x01);
	p.acked = 0;
}

static int vpic_pulse(unsigned int pin)
{
	int ret = pic_set_line(&p, pin, 0, true);

	pic_set_line(&p, pin, 0, false);
	return ret;
}

static void vpic_basic_test(struct kunit *test)
{
	vpic_setup();
	KUNIT_EXPECT_EQ(test, pic_pending(&p), -1);
	KUNIT_EXPECT_EQ(test, vpic_pulse(4), 1);
	KUNIT_EXPECT_EQ(test, vpic_pulse(4), 0);
	KUNIT_EXPECT_EQ(test, pic_pending(&p), 0x34);
	KUNIT_EXPECT_EQ(test, vpic_pulse(1), 1);
	KUNIT_EXPECT_EQ(test, pic_inta(&p), 0x31);
	/* A less urgent request waits for the EOI. */
	KUNIT_EXPECT_EQ(test, pic_pending(&p), -1);
	KUNIT_EXPECT_EQ(test, vpic_pulse(0), 1);
	KUNIT_EXPECT_EQ(test, pic_inta(&p), 0x30);
	pic_write(&p, MASTER, EOI);
	KUNIT_EXPECT_EQ(test, p.acked, (u16)BIT(0));
	KUNIT_EXPECT_EQ(test, pic_pending(&p), -1);
	pic_write(&p, MASTER, EOI);
	KUNIT_EXPECT_EQ(test, p.acked, (u16)(BIT(0) | BIT(1)));
	KUNIT_EXPECT_EQ(test, pic_inta(&p), 0x34);
	/* A specific EOI of another pin has no effect. */
	pic_write(&p, MASTER, 0x60 | 3);
	KUNIT_EXPECT_EQ(test, p.chip[0].isr, (u8)BIT(4));
	pic_write(&p, MASTER, 0x60 | 4);
	KUNIT_EXPECT_EQ(test, p.chip[0].isr, (u8)0);
	/* No request: a spurious interrupt without an in-service bit. */
	KUNIT_EXPECT_EQ(test, pic_inta(&p), 0x37);
	KUNIT_EXPECT_EQ(test, p.chip[0].isr, (u8)0);
}

static void vpic_mask_test(struct kunit *test)
{
	vpic_setup();
	pic_write(&p, MASTER + 1, BIT(3));
	KUNIT_EXPECT_EQ(test, pic_read(&p, MASTER + 1), (u8)BIT(3));
	KUNIT_EXPECT_EQ(test, vpic_pulse(3), -1);
	KUNIT_EXPECT_EQ(test, pic_pending(&p), -1);
	/* The edge was latched. */
	pic_write(&p, MASTER + 1, 0);
	KUNIT_EXPECT_EQ(test, pic_pending(&p), 0x33);
}

static void vpic_cascade_test(struct kunit *test)
{
	vpic_setup();
	KUNIT_EXPECT_EQ(test, vpic_pulse(12), 1);
	KUNIT_EXPECT_EQ(test, pic_pending(&p), 0x3c);
	/* The slave has the priority of the master's input 2: above 3, below 1. */
	vpic_pulse(3);
	KUNIT_EXPECT_EQ(test, pic_pending(&p), 0x3c);
	vpic_pulse(1);
	KUNIT_EXPECT_EQ(test, pic_inta(&p), 0x31);
	pic_write(&p, MASTER, EOI);
	KUNIT_EXPECT_EQ(test, pic_read(&p, MASTER), (u8)(BIT(2) | BIT(3)));
	KUNIT_EXPECT_EQ(test, pic_inta(&p), 0x3c);
	KUNIT_EXPECT_EQ(test, p.chip[0].isr, (u8)BIT(2));
	KUNIT_EXPECT_EQ(test, p.chip[1].isr, (u8)BIT(4));
	/* A more urgent request of the slave waits, because the master has input 2 in service. */
	vpic_pulse(8);
	KUNIT_EXPECT_EQ(test, pic_pending(&p), -1);
	pic_write(&p, SLAVE, EOI);
	KUNIT_EXPECT_EQ(test, pic_pending(&p), -1);
	pic_write(&p, MASTER, EOI);
	KUNIT_EXPECT_EQ(test, pic_inta(&p), 0x38);
	KUNIT_EXPECT_EQ(test, p.acked & BIT(12), (u16)BIT(12) + 0ul);
}

static void vpic_fully_nested_test(struct kunit *test)
{
	vpic_setup();
	vpic_setup_chip(MASTER, 0x30, 0x04, 0x11);
	vpic_pulse(12);
	KUNIT_EXPECT_EQ(test, pic_inta(&p), 0x3c);
	vpic_pulse(8);
	KUNIT_EXPECT_EQ(test, pic_inta(&p), 0x38);
	vpic_pulse(13);
	KUNIT_EXPECT_EQ(test, pic_pending(&p), -1);
}

static void vpic_level_test(struct kunit *test)
{
	vpic_setup();
	/* Only some lines of a PIIX can be level-triggered. */
	pic_write(&p, 0x4d0, 0xff);
	pic_write(&p, 0x4d1, 0xff);
	KUNIT_EXPECT_EQ(test, pic_read(&p, 0x4d0), (u8)0xf8);
	KUNIT_EXPECT_EQ(test, pic_read(&p, 0x4d1), (u8)0xde);

	KUNIT_EXPECT_EQ(test, pic_set_line(&p, 5, 0, true), 1);
	KUNIT_EXPECT_EQ(test, pic_set_line(&p, 5, 1, true), 0);
	KUNIT_EXPECT_EQ(test, pic_inta(&p), 0x35);
	pic_write(&p, MASTER, EOI);
	/* Still up: requested again. */
	KUNIT_EXPECT_EQ(test, pic_inta(&p), 0x35);
	/* One of two sources lowers the line: still up. */
	pic_set_line(&p, 5, 0, false);
	pic_write(&p, MASTER, EOI);
	KUNIT_EXPECT_EQ(test, pic_pending(&p), 0x35);
	pic_set_line(&p, 5, 1, false);
	KUNIT_EXPECT_EQ(test, pic_pending(&p), -1);
}

static void vpic_edge_test(struct kunit *test)
{
	vpic_setup();
	KUNIT_EXPECT_EQ(test, pic_set_line(&p, 5, 0, true), 1);
	KUNIT_EXPECT_EQ(test, pic_inta(&p), 0x35);
	pic_write(&p, MASTER, EOI);
	/* A line that stays up is one edge. */
	KUNIT_EXPECT_EQ(test, pic_set_line(&p, 5, 0, true), 1);
	KUNIT_EXPECT_EQ(test, pic_pending(&p), -1);
	pic_set_line(&p, 5, 0, false);
	pic_set_line(&p, 5, 0, true);
	KUNIT_EXPECT_EQ(test, pic_pending(&p), 0x35);
}

static void vpic_rotate_test(struct kunit *test)
{
	vpic_setup();
	vpic_pulse(3);
	vpic_pulse(4);
	KUNIT_EXPECT_EQ(test, pic_inta(&p), 0x33);
	/* Rotate on non-specific EOI: 3 has the lowest priority now. */
	pic_write(&p, MASTER, 0xa0);
	vpic_pulse(3);
	KUNIT_EXPECT_EQ(test, pic_inta(&p), 0x34);
	KUNIT_EXPECT_EQ(test, pic_pending(&p), -1);
	pic_write(&p, MASTER, EOI);
	KUNIT_EXPECT_EQ(test, pic_inta(&p), 0x33);
	pic_write(&p, MASTER, EOI);
	/* Set priority: 5 is lowest, so 6 is highest. */
	pic_write(&p, MASTER, 0xc5);
	vpic_pulse(0);
	vpic_pulse(6);
	KUNIT_EXPECT_EQ(test, pic_inta(&p), 0x36);
	/* Rotate on specific EOI: 6 is lowest, 7 is highest. */
	pic_write(&p, MASTER, 0xe6);
	vpic_pulse(7);
	KUNIT_EXPECT_EQ(test, pic_inta(&p), 0x37);
	/* The no-operation command has no effect. */
	pic_write(&p, MASTER, 0x40);
	KUNIT_EXPECT_EQ(test, p.chip[0].isr, (u8)BIT(7));
}

static void vpic_auto_eoi_test(struct kunit *test)
{
	vpic_setup();
	vpic_setup_chip(MASTER, 0x30, 0x04, 0x03);
	p.acked = 0;
	pic_write(&p, MASTER, 0x80);	/* rotate in automatic EOI mode */
	vpic_pulse(1);
	KUNIT_EXPECT_EQ(test, pic_inta(&p), 0x31);
	KUNIT_EXPECT_EQ(test, p.chip[0].isr, (u8)0);
	KUNIT_EXPECT_EQ(test, p.acked, (u16)BIT(1));
	vpic_pulse(1);
	vpic_pulse(4);
	KUNIT_EXPECT_EQ(test, pic_inta(&p), 0x34);
	KUNIT_EXPECT_EQ(test, pic_inta(&p), 0x31);
}

static void vpic_special_mask_test(struct kunit *test)
{
	vpic_setup();
	vpic_pulse(1);
	KUNIT_EXPECT_EQ(test, pic_inta(&p), 0x31);
	vpic_pulse(4);
	KUNIT_EXPECT_EQ(test, pic_pending(&p), -1);
	/* Special mask mode: a masked pin in service does not block others. */
	pic_write(&p, MASTER, 0x68);
	pic_write(&p, MASTER + 1, BIT(1));
	KUNIT_EXPECT_EQ(test, pic_inta(&p), 0x34);
	/* A non-specific EOI ends the unmasked pin. */
	pic_write(&p, MASTER, EOI);
	KUNIT_EXPECT_EQ(test, p.chip[0].isr, (u8)BIT(1));
	pic_write(&p, MASTER, 0x48);
	KUNIT_EXPECT_EQ(test, p.chip[0].special_mask, (__u8)0);
}

static void vpic_poll_test(struct kunit *test)
{
	vpic_setup();
	pic_write(&p, MASTER, 0x0c);
	KUNIT_EXPECT_EQ(test, pic_read(&p, MASTER), (u8)0);
	vpic_pulse(6);
	pic_write(&p, MASTER, 0x0c);
	KUNIT_EXPECT_EQ(test, pic_read(&p, MASTER), (u8)0x86);
	/* This counts as an acknowledgement. */
	KUNIT_EXPECT_EQ(test, p.chip[0].isr, (u8)BIT(6));
	KUNIT_EXPECT_EQ(test, pic_pending(&p), -1);
	pic_write(&p, MASTER, 0x0b);
	KUNIT_EXPECT_EQ(test, pic_read(&p, MASTER), (u8)BIT(6));
	pic_write(&p, MASTER, 0x0a);
	KUNIT_EXPECT_EQ(test, pic_read(&p, MASTER), (u8)0);
}

static void vpic_icw1_test(struct kunit *test)
{
	vpic_setup();
	vpic_pulse(3);
	KUNIT_EXPECT_EQ(test, pic_inta(&p), 0x33);
	vpic_pulse(5);
	p.acked = 0;
	vpic_setup_chip(MASTER, 0x50, 0x04, 0x01);
	/* Listeners are notified, because there will be no acknowledgement. */
	KUNIT_EXPECT_EQ(test, p.acked, (u16)(BIT(3) | BIT(5)));
	KUNIT_EXPECT_EQ(test, p.chip[0].isr, (u8)0);
	KUNIT_EXPECT_EQ(test, pic_pending(&p), -1);
	vpic_pulse(5);
	KUNIT_EXPECT_EQ(test, pic_pending(&p), 0x55);
}

static void vpic_state_test(struct kunit *test)
{
	struct kvm_pic_state s;

	vpic_setup();
	memset(&s, 0xff, sizeof(s));
	pic_set_state(&p, 0, &s);
	pic_set_state(&p, 1, &s);
	KUNIT_EXPECT_EQ(test, p.chip[0].priority_add, (__u8)7);
	/* User space reads back the value that it set. */
	KUNIT_EXPECT_EQ(test, p.chip[0].elcr, (__u8)0xff);
	KUNIT_EXPECT_EQ(test, p.chip[1].elcr_mask, (__u8)0xff);
	KUNIT_EXPECT_EQ(test, p.chip[0].irq_base, (__u8)0xff);
	/* All pins are masked. */
	KUNIT_EXPECT_EQ(test, pic_pending(&p), -1);
}

static struct kunit_case vpic_cases[] = {
	KUNIT_CASE(vpic_basic_test),
	KUNIT_CASE(vpic_mask_test),
	KUNIT_CASE(vpic_cascade_test),
	KUNIT_CASE(vpic_fully_nested_test),
	KUNIT_CASE(vpic_level_test),
	KUNIT_CASE(vpic_edge_test),
	KUNIT_CASE(vpic_rotate_test),
	KUNIT_CASE(vpic_auto_eoi_test),
	KUNIT_CASE(vpic_special_mask_test),
	KUNIT_CASE(vpic_poll_test),
	KUNIT_CASE(vpic_icw1_test),
	KUNIT_CASE(vpic_state_test),
	{}
};

static struct kunit_suite vpic_suite = {
	.name = "droste_vpic",
	.test_cases = vpic_cases,
};

kunit_test_suites(&vpic_suite);
