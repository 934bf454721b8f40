// SPDX-License-Identifier: GPL-2.0
/* A high-precision event timer; section numbers are those of the IA-PC HPET specification 1.0a. */
#include "hpet.h"

#include <string.h>
#include <time.h>

#define PERIOD_FS	69841279U	/* 14.31818 MHz, as in chipsets */

/* 2.3.1 */
#define REG_ID		0x000
#define REG_CONFIG	0x010
#define REG_STATUS	0x020
#define REG_COUNTER	0x0f0
#define REG_TIMER	0x100		/* each timer has 0x20 bytes: configuration, comparator, message */

#define CONFIG_COUNTS	1ULL
#define TIMER_64	(1ULL << 5)	/* 2.3.8: the comparator has 64 bits; no bit of the routing is set */
#define TIMER_WRITABLE	0x0000000000000146ULL	/* edge or level, enable, type, 32 bits: without a route, no effect */

uint64_t hpet_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ULL + ts.tv_nsec;
}

void hpet_init(struct hpet *h, uint64_t (*now)(void))
{
	memset(h, 0, sizeof(*h));
	pthread_mutex_init(&h->lock, NULL);
	h->now = now;
}

static uint64_t counter(const struct hpet *h)
{
	if (!(h->config & CONFIG_COUNTS))
		return h->count;
	return h->count + (uint64_t)((__uint128_t)(h->now() - h->since) * 1000000 / PERIOD_FS);
}

/* A register of 64 bits; @reg is a multiple of 8. */
static uint64_t read_register(const struct hpet *h, uint32_t reg)
{
	uint32_t n = (reg - REG_TIMER) / 0x20;

	switch (reg) {
	case REG_ID:
		return (uint64_t)PERIOD_FS << 32 | HPET_ID;
	case REG_CONFIG:
		return h->config;
	case REG_COUNTER:
		return counter(h);
	}
	if (reg < REG_TIMER || n >= HPET_TIMERS)
		return 0;
	return reg % 0x20 == 0 ? h->timer_config[n] | TIMER_64 : reg % 0x20 == 8 ? h->comparator[n] : 0;
}

static void write_register(struct hpet *h, uint32_t reg, uint64_t val)
{
	uint32_t n = (reg - REG_TIMER) / 0x20;

	switch (reg) {
	case REG_CONFIG:
		h->count = counter(h);
		h->since = h->now();
		h->config = val & CONFIG_COUNTS;
		return;
	case REG_COUNTER:
		/* 2.3.7: software writes it only while it stands. */
		if (!(h->config & CONFIG_COUNTS))
			h->count = val;
		return;
	}
	if (reg < REG_TIMER || n >= HPET_TIMERS)
		return;
	if (reg % 0x20 == 0)
		h->timer_config[n] = val & TIMER_WRITABLE;
	else if (reg % 0x20 == 8)
		h->comparator[n] = val;
}

void hpet_access(struct hpet *h, bool write, uint32_t offset, uint8_t *data, uint32_t len)
{
	uint32_t reg = offset & ~7U, at = offset & 7;
	uint64_t val;

	/* An access beyond a register has no meaning: the rest reads as 0, and is not written. */
	memset(data, 0, write || at + len <= 8 ? 0 : len);
	if (at + len > 8)
		len = 8 - at;
	pthread_mutex_lock(&h->lock);
	val = read_register(h, reg);
	if (write) {
		memcpy((uint8_t *)&val + at, data, len);
		write_register(h, reg, val);
	} else {
		memcpy(data, (uint8_t *)&val + at, len);
	}
	pthread_mutex_unlock(&h->lock);
}
