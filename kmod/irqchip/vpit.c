// SPDX-License-Identifier: GPL-2.0
/* A VM's PIT: the 8254 under a lock, channel 0 on an hrtimer into IRQ 0, and ticks made up for. */
#include <linux/slab.h>
#include "droste.h"
#include "irqchip/impl.h"
#include "irqchip/irqchip.h"
#include "irqchip/pit_logic.h"

/* The shortest period between interrupts: what is faster only keeps the host from its work. */
#define VPIT_MIN_PERIOD_NS	(200 * NSEC_PER_USEC)
/* A guest that was stopped for long gets this many of the ticks it missed. */
#define VPIT_MAX_LATE		10000

struct vpit {
	raw_spinlock_t lock;	/* all up to @timer; taken in hard interrupts, which hrtimer_start() may follow */
	struct vm *vm;
	struct pit_chip chip;
	u32 flags;		/* KVM_PIT_FLAGS_HPET_LEGACY: channel 0 is not connected */
	bool has_port61;	/* KVM_PIT_SPEAKER_DUMMY */
	u64 base;		/* when channel 0's count was loaded */
	u64 expiries;		/* how many of its expiries since then have passed */
	u64 period;		/* in ticks; 0: once */
	bool armed;		/* the timer is set; a callback that finds it clear came too late */
	struct hrtimer timer;

	/* Ticks are sent one at a time: the next follows the guest's acknowledgment. */
	bool reinject;		/* KVM_REINJECT_CONTROL; else a tick that comes too early is lost */
	atomic_t late;		/* ticks that wait */
	atomic_t acked;		/* the last tick was acknowledged */
};

/* Pulse IRQ 0. Any context. */
static void vpit_tick(struct vpit *pit)
{
	int ret = irqchip_set_irq(pit->vm, IRQ_SOURCE_PIT, 0, 1);

	irqchip_set_irq(pit->vm, IRQ_SOURCE_PIT, 0, 0);
	/* Nobody got it (masked): no acknowledgment will come, and what waits is as void. */
	if (ret <= 0) {
		atomic_set(&pit->late, 0);
		atomic_set(&pit->acked, 1);
	}
}

/* Send a tick when one waits and the last was acknowledged. */
static void vpit_send_late(struct vpit *pit)
{
	while (atomic_read(&pit->late) > 0 && atomic_xchg(&pit->acked, 0)) {
		if (atomic_dec_if_positive(&pit->late) < 0) {
			atomic_set(&pit->acked, 1);
			return;
		}
		vpit_tick(pit);
	}
}

/* When the next expiry is due, in ns. Computed from the start, so that it never drifts. */
static u64 vpit_next(const struct vpit *pit)
{
	u32 count = pit->chip.ch[0].s.count;

	return pit->base + pit_ns(pit->period ? (pit->expiries + 1) * pit->period : count) + 1;
}

/* Hard interrupt. */
static enum hrtimer_restart vpit_timer_fn(struct hrtimer *timer)
{
	struct vpit *pit = container_of(timer, struct vpit, timer);
	unsigned long flags;
	bool stale;

	raw_spin_lock_irqsave(&pit->lock, flags);
	/* Stopped or reprogrammed while this callback waited for the lock: the tick it came for is no more. */
	stale = !pit->armed || hrtimer_is_queued(timer);
	if (!stale && !pit->period)
		pit->armed = false;
	if (!stale && pit->period) {
		pit->expiries++;
		hrtimer_start(timer, ns_to_ktime(vpit_next(pit)), HRTIMER_MODE_ABS);
	}
	raw_spin_unlock_irqrestore(&pit->lock, flags);
	if (stale)
		return HRTIMER_NORESTART;

	if (READ_ONCE(pit->reinject)) {
		atomic_add_unless(&pit->late, 1, VPIT_MAX_LATE);
		vpit_send_late(pit);
	} else {
		vpit_tick(pit);
	}
	return HRTIMER_NORESTART;
}

/* Channel 0 was reloaded: start its timer over. The lock is held. */
static void vpit_restart(struct vpit *pit)
{
	struct pit_channel *c = &pit->chip.ch[0];

	pit->chip.reloaded = false;
	pit->expiries = 0;
	pit->period = 0;
	pit->base = c->s.count_load_time;
	atomic_set(&pit->late, 0);
	atomic_set(&pit->acked, 1);
	/* Mode 5, like "none yet", waits for an edge of a gate that is wired high. */
	pit->armed = !(pit->flags & KVM_PIT_FLAGS_HPET_LEGACY) && c->s.mode <= 4;
	if (!pit->armed) {
		hrtimer_try_to_cancel(&pit->timer);
		return;
	}
	if (pit_is_periodic(c))
		pit->period = max_t(u64, c->s.count, pit_ticks(VPIT_MIN_PERIOD_NS));
	hrtimer_start(&pit->timer, ns_to_ktime(vpit_next(pit)), HRTIMER_MODE_ABS);
}

/** vpit_acked() - the guest acknowledged IRQ 0: the next tick that waits may come. Thread, srcu held. */
void vpit_acked(struct vm *vm)
{
	struct vpit *pit = irqchip_pit(vm);

	if (!pit)
		return;
	atomic_set(&pit->acked, 1);
	if (READ_ONCE(pit->reinject))
		vpit_send_late(pit);
}

/**
 * vpit_create() - KVM_CREATE_PIT2
 * @vm: the machine; vm->lock held
 * @flags: KVM_PIT_SPEAKER_DUMMY: port 0x61 too
 *
 * Return: 0, -EEXIST, -ENOENT without the interrupt controllers, -ENOMEM.
 */
int vpit_create(struct vm *vm, u32 flags)
{
	struct vpit *pit;

	if (vm->irqchip.pit)
		return -EEXIST;
	if (!irqchip_whole(vm))
		return -ENOENT;
	pit = kzalloc(sizeof(*pit), GFP_KERNEL_ACCOUNT);
	if (!pit)
		return -ENOMEM;
	raw_spin_lock_init(&pit->lock);
	pit->vm = vm;
	pit->has_port61 = flags & KVM_PIT_SPEAKER_DUMMY;
	pit->reinject = true;
	atomic_set(&pit->acked, 1);
	pit_init(&pit->chip, ktime_get_ns());
	compat_hrtimer_setup(&pit->timer, vpit_timer_fn, CLOCK_MONOTONIC, HRTIMER_MODE_ABS);
	/* Pairs with irqchip_pit(). */
	smp_store_release(&vm->irqchip.pit, pit);
	return 0;
}

/** vpit_destroy() - before the vCPUs go: a tick may be under way until this returns */
void vpit_destroy(struct vm *vm)
{
	struct vpit *pit = vm->irqchip.pit;

	if (!pit)
		return;
	hrtimer_cancel(&pit->timer);
	vm->irqchip.pit = NULL;
	kfree(pit);
}

/* One byte of port I/O. The lock is held. False: not the PIT's port. */
static bool vpit_pio_byte(struct vpit *pit, u16 port, u8 *data, bool write, u64 now)
{
	if (port == 0x61 && pit->has_port61) {
		if (write)
			pit_write_port61(&pit->chip, *data, now);
		else
			*data = pit_read_port61(&pit->chip, now);
		return true;
	}
	if (port < 0x40 || port > 0x43)
		return false;
	if (write)
		pit_write(&pit->chip, port - 0x40, *data, now);
	else
		*data = port == 0x43 ? 0 : pit_read(&pit->chip, port - 0x40, now);
	return true;
}

/**
 * vpit_pio() - port I/O that may be the PIT's
 * @vm: the machine
 * @port: the first port
 * @len: bytes; each goes to a port of its own
 * @data: what is written, or filled
 * @write: the direction
 *
 * Return: true when it is.
 */
bool vpit_pio(struct vm *vm, u16 port, u32 len, u8 *data, bool write)
{
	struct vpit *pit = irqchip_pit(vm);
	unsigned long flags;
	u64 now;
	u32 i;

	if (!pit || !((port >= 0x40 && port <= 0x43) || (port == 0x61 && pit->has_port61)))
		return false;
	raw_spin_lock_irqsave(&pit->lock, flags);
	now = ktime_get_ns();
	for (i = 0; i < len; i++) {
		if (!vpit_pio_byte(pit, port + i, &data[i], write, now) && !write)
			data[i] = 0xff;
	}
	if (pit->chip.reloaded)
		vpit_restart(pit);
	raw_spin_unlock_irqrestore(&pit->lock, flags);
	return true;
}

/** vpit_get() - KVM_GET_PIT2; the PIT exists */
void vpit_get(struct vm *vm, struct kvm_pit_state2 *state)
{
	struct vpit *pit = vm->irqchip.pit;
	unsigned long flags;
	u64 now;
	int i;

	memset(state, 0, sizeof(*state));
	raw_spin_lock_irqsave(&pit->lock, flags);
	now = ktime_get_ns();
	for (i = 0; i < PIT_CHANNELS; i++)
		pit_get_channel(&pit->chip.ch[i], &state->channels[i], now);
	state->flags = pit->flags;
	if (pit->chip.speaker_on)
		state->flags |= KVM_PIT_FLAGS_SPEAKER_DATA_ON;
	raw_spin_unlock_irqrestore(&pit->lock, flags);
}

/**
 * vpit_set() - KVM_SET_PIT2, KVM_SET_PIT; the PIT exists
 * @vm: the machine
 * @state: what is restored
 * @has_flags: its flags mean something
 */
void vpit_set(struct vm *vm, const struct kvm_pit_state2 *state, bool has_flags)
{
	struct vpit *pit = vm->irqchip.pit;
	unsigned long flags;
	u64 now;
	int i;

	raw_spin_lock_irqsave(&pit->lock, flags);
	now = ktime_get_ns();
	for (i = 0; i < PIT_CHANNELS; i++)
		pit_set_channel(&pit->chip.ch[i], &state->channels[i], now);
	if (has_flags) {
		pit->flags = state->flags & KVM_PIT_FLAGS_HPET_LEGACY;
		pit->chip.speaker_on = state->flags & KVM_PIT_FLAGS_SPEAKER_DATA_ON;
	}
	vpit_restart(pit);
	raw_spin_unlock_irqrestore(&pit->lock, flags);
}

/** vpit_set_reinject() - KVM_REINJECT_CONTROL: make up for ticks that come too fast, or lose them */
void vpit_set_reinject(struct vm *vm, bool reinject)
{
	struct vpit *pit = vm->irqchip.pit;

	atomic_set(&pit->late, 0);
	atomic_set(&pit->acked, 1);
	WRITE_ONCE(pit->reinject, reinject);
}
