// SPDX-License-Identifier: GPL-2.0
/* Checks the clock's registers at known times. */
#include "rtc.h"
#include "tap.h"

static struct timespec fake;
static struct rtc rtc;
static struct ioport_dev dev;

static int fake_now(struct timespec *ts)
{
	*ts = fake;
	return 0;
}

static uint8_t get(uint8_t reg)
{
	dev.out(dev.opaque, 0, 1, reg);
	return dev.in(dev.opaque, 1, 1);
}

static void set(uint8_t reg, uint8_t val)
{
	dev.out(dev.opaque, 0, 1, reg);
	dev.out(dev.opaque, 1, 1, val);
}

int main(void)
{
	rtc_init(&rtc, fake_now);
	dev = rtc_dev(&rtc, 0x70);

	fake.tv_sec = 1709251199;	/* Thursday 2024-02-29 23:59:59 */
	ok(get(0) == 0x59 && get(2) == 0x59 && get(4) == 0x23);
	ok(get(6) == 5 && get(7) == 0x29 && get(8) == 0x02);
	ok(get(9) == 0x24 && get(0x32) == 0x20);
	ok(get(10) == 0x26);
	fake.tv_nsec = 999800000;
	ok(get(10) == 0xa6);		/* an update is imminent */
	fake.tv_nsec = 0;

	ok(get(11) == 0x02 && get(12) == 0 && get(13) == 0x80);
	set(11, 0x06);			/* binary */
	ok(get(0) == 59 && get(4) == 23 && get(0x32) == 20);
	set(11, 0x04);			/* 12 hours */
	ok(get(4) == (11 | 0x80));
	fake.tv_sec = 946684800;	/* Saturday 2000-01-01 00:00:00 */
	ok(get(4) == 12 && get(6) == 7 && get(9) == 0);
	fake.tv_sec += 12 * 3600;
	ok(get(4) == (12 | 0x80));

	set(0x40, 0xa5);		/* plain CMOS memory */
	ok(get(0x40) == 0xa5);
	ok(get(0x40 | 0x80) == 0xa5);	/* bit 7 of the index masks NMI */
	set(0, 0x11);			/* the host's clock is not set */
	ok(get(0) == 0);
	ok(dev.in(dev.opaque, 0, 1) == 0xff);
	return tap_done();
}
