/* SPDX-License-Identifier: GPL-2.0 */
/* The real-time clock and its CMOS memory. */
#ifndef DROSTECTL_RTC_H
#define DROSTECTL_RTC_H

#include <stdint.h>
#include <time.h>

#include "ioport.h"

/** struct rtc - an MC146818 that shows the host's time in UTC */
struct rtc {
	int (*now)(struct timespec *ts);	/* reads the host's time */
	uint8_t index;				/* register selected by port 0x70 */
	uint8_t cmos[128];			/* bytes that the guest stored */
};

/**
 * rtc_init() - reset the clock
 * @rtc: the clock
 * @now: fills in the current time
 */
void rtc_init(struct rtc *rtc, int (*now)(struct timespec *ts));

/** rtc_now() - read the host's time of day; passed to rtc_init() */
int rtc_now(struct timespec *ts);

/** rtc_dev() - the clock's entry for the I/O bus */
struct ioport_dev rtc_dev(struct rtc *rtc, uint16_t base);

#endif
