// SPDX-License-Identifier: GPL-2.0
/*
 * Models the MC146818 clock of a PC. The clock always shows the host's time:
 * writes to the time registers have no effect, and it raises no interrupts.
 */
#include <string.h>

#include "rtc.h"

enum {
	RTC_SECONDS = 0, RTC_MINUTES = 2, RTC_HOURS = 4,
	RTC_WEEKDAY = 6, RTC_DAY, RTC_MONTH, RTC_YEAR,
	RTC_REG_A, RTC_REG_B, RTC_REG_C, RTC_REG_D,
	RTC_CENTURY = 0x32	/* the FADT names this register */
};

#define REG_A_UIP	0x80	/* update in progress */
#define REG_A_32KHZ	0x26	/* usual divider and rate */
#define REG_B_24H	0x02
#define REG_B_BINARY	0x04
#define REG_D_VALID	0x80	/* the battery is good */
#define HOURS_PM	0x80

/* UIP is set this long before an update. */
#define UIP_NS		244000
#define NS_PER_S	1000000000L

static uint8_t encode(const struct rtc *rtc, unsigned int n)
{
	if (rtc->cmos[RTC_REG_B] & REG_B_BINARY)
		return n;
	return (n / 10) << 4 | n % 10;
}

static uint8_t encode_hours(const struct rtc *rtc, unsigned int hours)
{
	if (rtc->cmos[RTC_REG_B] & REG_B_24H)
		return encode(rtc, hours);
	return encode(rtc, (hours + 11) % 12 + 1) | (hours >= 12 ? HOURS_PM : 0);
}

static uint8_t read_register(struct rtc *rtc)
{
	struct timespec ts;
	struct tm tm;

	rtc->now(&ts);
	gmtime_r(&ts.tv_sec, &tm);
	switch (rtc->index) {
	case RTC_SECONDS:
		return encode(rtc, tm.tm_sec);
	case RTC_MINUTES:
		return encode(rtc, tm.tm_min);
	case RTC_HOURS:
		return encode_hours(rtc, tm.tm_hour);
	case RTC_WEEKDAY:
		return encode(rtc, tm.tm_wday + 1);
	case RTC_DAY:
		return encode(rtc, tm.tm_mday);
	case RTC_MONTH:
		return encode(rtc, tm.tm_mon + 1);
	case RTC_YEAR:
		return encode(rtc, tm.tm_year % 100);
	case RTC_CENTURY:
		return encode(rtc, 19 + tm.tm_year / 100);
	case RTC_REG_A:
		return rtc->cmos[RTC_REG_A] |
		       (ts.tv_nsec >= NS_PER_S - UIP_NS ? REG_A_UIP : 0);
	case RTC_REG_C:
		return 0;
	case RTC_REG_D:
		return REG_D_VALID;
	default:
		return rtc->cmos[rtc->index];
	}
}

static uint32_t rtc_in(void *opaque, uint16_t off, unsigned int size)
{
	struct rtc *rtc = opaque;

	(void)size;
	/* The index register cannot be read back on a PC. */
	return off == 0 ? 0xff : read_register(rtc);
}

static void rtc_out(void *opaque, uint16_t off, unsigned int size, uint32_t val)
{
	struct rtc *rtc = opaque;

	(void)size;
	if (off == 0)
		rtc->index = val & 0x7f;	/* bit 7 masks NMIs, which no device here raises */
	else if (rtc->index == RTC_REG_A)
		rtc->cmos[RTC_REG_A] = val & ~REG_A_UIP;
	else
		rtc->cmos[rtc->index] = val;
}

int rtc_now(struct timespec *ts)
{
	return clock_gettime(CLOCK_REALTIME, ts);
}

void rtc_init(struct rtc *rtc, int (*now)(struct timespec *ts))
{
	memset(rtc, 0, sizeof(*rtc));
	rtc->now = now;
	rtc->cmos[RTC_REG_A] = REG_A_32KHZ;
	rtc->cmos[RTC_REG_B] = REG_B_24H;
}

struct ioport_dev rtc_dev(struct rtc *rtc, uint16_t base)
{
	return (struct ioport_dev){
		.name = "rtc", .base = base, .len = 2, .width = 1,
		.opaque = rtc, .in = rtc_in, .out = rtc_out,
	};
}
