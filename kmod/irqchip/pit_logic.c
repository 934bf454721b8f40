// SPDX-License-Identifier: GPL-2.0
/* 8254 counting, latching and programming according to Intel's 8254 data sheet. */
#include <linux/bcd.h>
#include <linux/bitops.h>
#include <linux/kernel.h>
#include <linux/math64.h>
#include <linux/string.h>
#include <linux/time64.h>
#include "pit_logic.h"

/*
 * The order in which bytes are read and written (rw_mode, read_state,
 * write_state and count_latched of kvm_pit_channel_state): low only, high
 * only, low then high. PIT_WORD1 is the state after the low byte.
 */
enum { PIT_LSB = 1, PIT_MSB, PIT_WORD0, PIT_WORD1 };

/**
 * pit_ns() - convert counter ticks to ns
 * @ticks: the ticks
 *
 * Context: Any. Pure.
 * Return: ns, rounded down.
 */
u64 pit_ns(u64 ticks)
{
	return mul_u64_u32_div(ticks, NSEC_PER_SEC, PIT_HZ);
}

/**
 * pit_ticks() - convert ns to counter ticks
 * @ns: the time
 *
 * Context: Any. Pure.
 * Return: whole ticks, rounded down.
 */
u64 pit_ticks(u64 ns)
{
	return mul_u64_u32_div(ns, PIT_HZ, NSEC_PER_SEC);
}

/* Does a low gate stop the counter in this mode? In modes 1 and 5 the gate is only a trigger. */
static bool pit_gate_stops(const struct kvm_pit_channel_state *s)
{
	return s->mode != 1 && s->mode != 5;
}

/* Ticks since the count was loaded. */
static u64 pit_elapsed(const struct pit_channel *c, u64 now)
{
	u64 until = !c->s.gate && pit_gate_stops(&c->s) ? c->stopped : now;
	u64 loaded = c->s.count_load_time;

	return until > loaded ? pit_ticks(until - loaded) : 0;
}

/**
 * pit_is_periodic() - does OUT repeat without being reprogrammed?
 * @c: the channel
 *
 * Context: Any. Caller holds the lock that guards @c.
 * Return: true for a rate generator or square wave (modes 2 and 3).
 */
bool pit_is_periodic(const struct pit_channel *c)
{
	return c->s.mode == 2 || c->s.mode == 3;
}

/**
 * pit_count() - the counter's current value, in binary
 * @c: the channel
 * @now: the time in ns
 *
 * Context: Any. Caller holds the lock that guards @c.
 * Return: the value.
 */
u32 pit_count(const struct pit_channel *c, u64 now)
{
	u32 count = c->s.count;
	u64 d = pit_elapsed(c, now);

	switch (c->s.mode) {
	case 2:
		return count - d % count;
	case 3:
		/* The square wave counts down twice as fast, once for each half. */
		return count - (2 * d) % count;
	default:
		/* The counter wraps from 0 to 0xffff, or to 9999 in BCD. */
		return c->s.bcd ? (count + 10000 - d % 10000) % 10000 : (count - d) & 0xffff;
	}
}

/**
 * pit_out() - the level of the OUT pin
 * @c: the channel
 * @now: the time in ns
 *
 * Context: Any. Caller holds the lock that guards @c.
 * Return: true if OUT is high.
 */
bool pit_out(const struct pit_channel *c, u64 now)
{
	u32 count = c->s.count;
	u64 d = pit_elapsed(c, now);

	switch (c->s.mode) {
	case 0:
		return d >= count;
	case 1:
		return d >= count;
	case 2:
		/* Low during the tick at which the count is 1; high while the gate is low. */
		return !c->s.gate || d % count != count - 1;
	case 3:
		return !c->s.gate || d % count < (count + 1) / 2;
	default:
		/* Strobes: low during the tick at which the count is 0. */
		return d != count;
	}
}

static void pit_load(struct pit_chip *pit, unsigned int channel, u32 val, u64 now)
{
	struct pit_channel *c = &pit->ch[channel];

	if (c->s.bcd)
		val = bcd2bin(val & 0xff) + 100 * bcd2bin(val >> 8);
	/* 0 encodes the largest count. */
	c->s.count = val ?: c->s.bcd ? 10000 : 0x10000;
	c->s.count_load_time = now;
	c->stopped = now;
	if (channel == 0)
		pit->reloaded = true;
}

/**
 * pit_init() - put the chip into the state that firmware finds
 * @pit: the chip
 * @now: the time in ns
 *
 * No mode is set, the counts are the largest, and only the speaker's gate is low.
 *
 * Context: Any. The chip is not shared yet.
 */
void pit_init(struct pit_chip *pit, u64 now)
{
	unsigned int i;

	memset(pit, 0, sizeof(*pit));
	for (i = 0; i < PIT_CHANNELS; i++) {
		pit->ch[i].s.mode = 0xff;
		pit->ch[i].s.gate = i != 2;
		pit_load(pit, i, 0, now);
	}
	pit->reloaded = false;
}

/* The value that a read of the count returns: the low 16 bits, in BCD if the channel counts in BCD. */
static u16 pit_shown(const struct pit_channel *c, u64 now)
{
	u32 count = pit_count(c, now);

	if (!c->s.bcd)
		return count;
	count %= 10000;
	return bin2bcd(count / 100) << 8 | bin2bcd(count % 100);
}

static void pit_latch_count(struct pit_channel *c, u64 now)
{
	/* A second latch before the first is read is ignored. */
	if (c->s.count_latched)
		return;
	c->s.latched_count = pit_shown(c, now);
	c->s.count_latched = c->s.rw_mode;
}

static void pit_latch_status(struct pit_channel *c, u64 now)
{
	if (c->s.status_latched)
		return;
	c->s.status = pit_out(c, now) << 7 | c->s.rw_mode << 4 | (c->s.mode & 7) << 1 | c->s.bcd;
	c->s.status_latched = 1;
}

static void pit_read_back(struct pit_chip *pit, u8 val, u64 now)
{
	unsigned int i;

	for (i = 0; i < PIT_CHANNELS; i++) {
		if (!(val & (2 << i)))
			continue;
		if (!(val & 0x20))
			pit_latch_count(&pit->ch[i], now);
		if (!(val & 0x10))
			pit_latch_status(&pit->ch[i], now);
	}
}

static void pit_control(struct pit_chip *pit, u8 val, u64 now)
{
	unsigned int channel = val >> 6, access = (val >> 4) & 3;
	struct pit_channel *c;

	if (channel == 3) {
		pit_read_back(pit, val, now);
		return;
	}
	c = &pit->ch[channel];
	if (!access) {
		pit_latch_count(c, now);
		return;
	}
	c->s.rw_mode = access;
	c->s.read_state = access;
	c->s.write_state = access;
	c->s.count_latched = 0;
	c->s.status_latched = 0;
	/* Modes 6 and 7 are aliases of 2 and 3. */
	c->s.mode = (val >> 1) & 7;
	if (c->s.mode > 5)
		c->s.mode &= 3;
	c->s.bcd = val & 1;
	/* OUT takes the level that it has in the new mode before counting. */
	c->s.count_load_time = now;
	c->stopped = now;
}

/**
 * pit_write() - OUT to ports 0x40 to 0x43
 * @pit: the chip
 * @port: 0 to 2 for the counters, 3 for the control word
 * @val: the byte
 * @now: the time in ns
 *
 * Context: Any. Caller holds the lock that guards @pit.
 */
void pit_write(struct pit_chip *pit, unsigned int port, u8 val, u64 now)
{
	struct kvm_pit_channel_state *s;

	if (port == 3) {
		pit_control(pit, val, now);
		return;
	}
	s = &pit->ch[port].s;
	switch (s->write_state) {
	case PIT_LSB:
		pit_load(pit, port, val, now);
		break;
	case PIT_MSB:
		pit_load(pit, port, val << 8, now);
		break;
	case PIT_WORD0:
		s->write_latch = val;
		s->write_state = PIT_WORD1;
		break;
	case PIT_WORD1:
		pit_load(pit, port, s->write_latch | val << 8, now);
		s->write_state = PIT_WORD0;
		break;
	}
}

/**
 * pit_read() - IN from ports 0x40 to 0x42
 * @pit: the chip
 * @channel: 0 to 2
 * @now: the time in ns
 *
 * Context: Any. Caller holds the lock that guards @pit.
 * Return: the byte.
 */
u8 pit_read(struct pit_chip *pit, unsigned int channel, u64 now)
{
	struct pit_channel *c = &pit->ch[channel];
	struct kvm_pit_channel_state *s = &c->s;

	if (s->status_latched) {
		s->status_latched = 0;
		return s->status;
	}
	switch (s->count_latched) {
	case PIT_LSB:
		s->count_latched = 0;
		return s->latched_count;
	case PIT_MSB:
		s->count_latched = 0;
		return s->latched_count >> 8;
	case PIT_WORD0:
		s->count_latched = PIT_MSB;
		return s->latched_count;
	}
	switch (s->read_state) {
	case PIT_MSB:
		return pit_shown(c, now) >> 8;
	case PIT_WORD0:
		s->read_state = PIT_WORD1;
		return pit_shown(c, now);
	case PIT_WORD1:
		s->read_state = PIT_WORD0;
		return pit_shown(c, now) >> 8;
	default:
		return pit_shown(c, now);
	}
}

/* The gate pin changes. A rising edge restarts modes 1, 2, 3 and 5; modes 0 and 4 resume counting. */
static void pit_set_gate(struct pit_channel *c, bool gate, u64 now)
{
	if (c->s.gate == gate)
		return;
	c->s.gate = gate;
	if (!gate)
		c->stopped = now;
	else if (c->s.mode == 0 || c->s.mode == 4)
		c->s.count_load_time += now - c->stopped;
	else
		c->s.count_load_time = now;
}

/**
 * pit_read_port61() - IN from the speaker's port
 * @pit: the chip
 * @now: the time in ns
 *
 * Context: Any. Caller holds the lock that guards @pit.
 * Return: gate and OUT of channel 2, the speaker bit, and the toggling refresh bit.
 */
u8 pit_read_port61(const struct pit_chip *pit, u64 now)
{
	const struct pit_channel *c = &pit->ch[2];

	/* Memory refresh toggles bit 4 about every 15 us; 2^14 ns is close enough. */
	return c->s.gate | pit->speaker_on << 1 | ((now >> 14) & 1) << 4 | pit_out(c, now) << 5;
}

/**
 * pit_write_port61() - OUT to the speaker's port
 * @pit: the chip
 * @val: bit 0 is the gate of channel 2, bit 1 enables the speaker
 * @now: the time in ns
 *
 * Context: Any. Caller holds the lock that guards @pit.
 */
void pit_write_port61(struct pit_chip *pit, u8 val, u64 now)
{
	pit->speaker_on = val & 2;
	pit_set_gate(&pit->ch[2], val & 1, now);
}

/**
 * pit_get_channel() - save a channel for user space
 * @c: the channel
 * @state: filled
 * @now: the time in ns
 *
 * Context: Any. Caller holds the lock that guards @c.
 */
void pit_get_channel(const struct pit_channel *c, struct kvm_pit_channel_state *state, u64 now)
{
	*state = c->s;
	/* A stopped counter has made no progress since the gate stopped it. */
	if (!c->s.gate && pit_gate_stops(&c->s))
		state->count_load_time += now - c->stopped;
}

/**
 * pit_set_channel() - restore a channel from user space
 * @c: the channel
 * @state: untrusted; reduced to a valid state
 * @now: the time in ns; the count starts over, as in KVM
 *
 * Context: Any. Caller holds the lock that guards @c.
 */
void pit_set_channel(struct pit_channel *c, const struct kvm_pit_channel_state *state, u64 now)
{
	c->s = *state;
	if (!c->s.count || c->s.count > 0x10000)
		c->s.count = 0x10000;
	c->s.bcd = !!c->s.bcd;
	if (c->s.bcd && c->s.count > 10000)
		c->s.count = 10000;
	if (c->s.mode > 5 && c->s.mode != 0xff)
		c->s.mode &= 3;
	c->s.gate = !!c->s.gate;
	c->s.rw_mode &= 3;
	c->s.count_load_time = now;
	c->stopped = now;
}
