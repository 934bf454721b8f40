/* SPDX-License-Identifier: GPL-2.0 */
/* The PC's 8254 timer and port 0x61; pure, the caller passes the time. */
#ifndef DROSTE_PIT_LOGIC_H
#define DROSTE_PIT_LOGIC_H

#include <linux/types.h>
#include <linux/kvm.h>

#define PIT_HZ		1193182
#define PIT_CHANNELS	3

struct pit_channel {
	struct kvm_pit_channel_state s;	/* count_load_time is in ns, plus the time that the gate stopped counting */
	u64 stopped;			/* when the gate stopped counting, in ns; valid while it does */
};

struct pit_chip {
	struct pit_channel ch[PIT_CHANNELS];
	bool speaker_on;	/* port 0x61 bit 1 */
	bool reloaded;		/* channel 0 got a new count; reset by the caller */
};

void pit_init(struct pit_chip *pit, u64 now);
u8 pit_read(struct pit_chip *pit, unsigned int channel, u64 now);
void pit_write(struct pit_chip *pit, unsigned int port, u8 val, u64 now);
u8 pit_read_port61(const struct pit_chip *pit, u64 now);
void pit_write_port61(struct pit_chip *pit, u8 val, u64 now);
u32 pit_count(const struct pit_channel *c, u64 now);
bool pit_out(const struct pit_channel *c, u64 now);
u64 pit_ns(u64 ticks);
u64 pit_ticks(u64 ns);
bool pit_is_periodic(const struct pit_channel *c);
void pit_get_channel(const struct pit_channel *c, struct kvm_pit_channel_state *state, u64 now);
void pit_set_channel(struct pit_channel *c, const struct kvm_pit_channel_state *state, u64 now);

#endif
