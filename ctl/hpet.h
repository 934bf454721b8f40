/* SPDX-License-Identifier: GPL-2.0 */
/* The high-precision event timer of a guest whose profile has one. */
#ifndef DROSTECTL_HPET_H
#define DROSTECTL_HPET_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#define HPET_TIMERS	3
#define HPET_SIZE	0x400	/* bytes of registers */
#define HPET_ID		0x8086a201U	/* revision 1, three timers, 64 bits, no legacy routing, Intel's */

/** struct hpet - a counter of 14.31818 MHz; its comparators can raise no interrupt, and say so */
struct hpet {
	pthread_mutex_t lock;		/* guards the members below */
	uint64_t (*now)(void);		/* ns, of a clock that does not go back */
	uint64_t since;			/* @now when the counter began to count from @count */
	uint64_t count;
	uint64_t config;		/* bit 0: it counts */
	uint64_t timer_config[HPET_TIMERS], comparator[HPET_TIMERS];
};

/**
 * hpet_init() - reset the timer
 * @h: the timer
 * @now: its clock
 */
void hpet_init(struct hpet *h, uint64_t (*now)(void));

/**
 * hpet_access() - a guest's access to the registers
 * @h: the timer
 * @write: whether the guest writes
 * @offset: of the first byte, from the first register
 * @data: @len bytes, read or filled in
 * @len: 1 to 8
 */
void hpet_access(struct hpet *h, bool write, uint32_t offset, uint8_t *data, uint32_t len);

/** hpet_now() - ns since some time ago; passed to hpet_init() */
uint64_t hpet_now(void);

#endif
