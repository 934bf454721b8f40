// SPDX-License-Identifier: GPL-2.0
/* A VM's PIT: locking of the 8254, an hrtimer for channel 0 that raises IRQ 0, and reinjection of missed ticks. */
#include <linux/slab.h>
#include "droste.h"
#include "irqchip/impl.h"
#include "irqchip/irqchip.h"
#include "irqchip/pit_logic.h"

/* The shortest period between interrupts. A guest with a shorter one would keep the host busy. */
#define VPIT_MIN_PERIOD_NS	(200 * NSEC_PER_USEC)
/* The maximum number of missed ticks that a guest gets after it was stopped for long. */
#define VPIT_MAX_LATE		10000

struct vpit {
	raw_spinlock_t lock;	/* guards all members up to @timer; taken in hard interrupts, outside hrtimer locks */
	struct vm *vm;
	struct pit_chip chip;
	u32 flags;		/* KVM_PIT_FLAGS_HPET_LEGACY: channel 0 is not connected */
	bool has_port61;	/* KVM_PIT_SPEAKER_DUMMY */
	u64 base;		/* when channel 0's count was loaded */
	u64 expiries;		/* number of expiries since @base */
	u64 period;		/* in ticks; 0 if it expires once */
	bool armed;		/* the timer is set; a callback that finds it false is stale */
	struct hrtimer timer;

	/* Ticks are sent one at a time: each after the guest has acknowledged the one before. */
	bool reinject;		/* KVM_REINJECT_CONTROL; if false, a tick before the acknowledgement is lost */
	atomic_t late;		/* ticks not sent yet */
	atomic_t acked;		/* the last tick was acknowledged */
};

/* Pulse IRQ 0. Any context. */
static void vpit_tick(struct vpit *pit)
{
	int ret = irqchip_set_irq(pit->vm, IRQ_SOURCE_PIT, 0, 1);

	irqchip_set_irq(pit->vm, IRQ_SOURCE_PIT, 0, 0);
	/* The line is masked, so there will be no acknowledgement. Drop the waiting ticks, too. */
	if (ret <= 0) {
		atomic_set(&pit->late, 0);
		atomic_set(&pit->acked, 1);
	}
}

/* Send waiting ticks as long as the last one was acknowledged. */
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

/* The next expiry in ns, computed from @base so that it does not drift. */
static u64 vpit_next(const struct vpit *pit)
{
	u32 count = pit->chip.ch[0].s.count;

	return pit->base + pit_ns(pit->period ? (pit->expiries + 1) * pit->period : count) + 1;
}

/* Called in hard interrupt context. */
static enum hrtimer_restart vpit_timer_fn(struct hrtimer *timer)
{
	struct vpit *pit = container_of(timer, struct vpit, timer);
	unsigned long flags;
	bool stale;

	raw_spin_lock_irqsave(&pit->lock, flags);
	/* The channel may have been stopped or reprogrammed while this callback waited for the lock. */
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

/* Restart the timer after channel 0 was reloaded. Caller holds the lock. */
static void vpit_restart(struct vpit *pit)
{
	struct pit_channel *c = &pit->chip.ch[0];

	pit->chip.reloaded = false;
	pit->expiries = 0;
	pit->period = 0;
	pit->base = c->s.count_load_time;
	atomic_set(&pit->late, 0);
	atomic_set(&pit->acked, 1);
	/* Mode 5 waits for a rising edge of the gate, which is wired high; mode 0xff is "not programmed". */
	pit->armed = !(pit->flags & KVM_PIT_FLAGS_HPET_LEGACY) && c->s.mode <= 4;
	if (!pit->armed) {
		hrtimer_try_to_cancel(&pit->timer);
		return;
	}
	if (pit_is_periodic(c))
		pit->period = max_t(u64, c->s.count, pit_ticks(VPIT_MIN_PERIOD_NS));
	hrtimer_start(&pit->timer, ns_to_ktime(vpit_next(pit)), HRTIMER_MODE_ABS);
}

/**
 * vpit_acked() - the guest acknowledged IRQ 0, so the next waiting tick can be sent
 * @vm: the VM; nothing happens if it has no PIT
 *
 * Context: Process context. Caller holds vm->srcu for reading.
 */
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
 * vpit_unmasked() - the guest unmasked IRQ 0 at the I/O APIC
 * @vm: the VM; nothing happens if it has no PIT
 *
 * The last tick may have gone to the PIC, which a guest masks when it begins to use the I/O APIC: it never acknowledges
 * that tick. So the next one need not wait, and older ones are dropped.
 *
 * Context: Process context. Caller holds vm->srcu for reading.
 */
void vpit_unmasked(struct vm *vm)
{
	struct vpit *pit = irqchip_pit(vm);

	if (!pit)
		return;
	atomic_set(&pit->late, 0);
	atomic_set(&pit->acked, 1);
}

/**
 * vpit_create() - KVM_CREATE_PIT2
 * @vm: the VM
 * @flags: KVM_PIT_SPEAKER_DUMMY to emulate port 0x61, too
 *
 * Context: Process context. May sleep. Caller holds vm->lock.
 * Return: 0, -EEXIST, -ENOENT without in-kernel PIC and I/O APIC, -ENOMEM.
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

/**
 * vpit_destroy() - free the PIT
 * @vm: the VM; its vCPUs must still exist, because a tick may be in progress until this returns
 *
 * Context: Process context. May sleep.
 */
void vpit_destroy(struct vm *vm)
{
	struct vpit *pit = vm->irqchip.pit;

	if (!pit)
		return;
	hrtimer_cancel(&pit->timer);
	vm->irqchip.pit = NULL;
	kfree(pit);
}

/* Handle one byte of port I/O. Returns false if the port is not the PIT's. Caller holds the lock. */
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
 * vpit_pio() - handle port I/O to the PIT
 * @vm: the VM
 * @port: the first port
 * @len: number of bytes; each goes to a port of its own
 * @data: the bytes written, or filled with the bytes read
 * @write: the direction
 *
 * Context: Process context.
 * Return: true if @port is one of the PIT's ports.
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

/**
 * vpit_get() - KVM_GET_PIT2
 * @vm: the VM; it has a PIT
 * @state: filled
 *
 * Context: Process context.
 */
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
 * vpit_set() - KVM_SET_PIT2 and KVM_SET_PIT
 * @vm: the VM; it has a PIT
 * @state: untrusted
 * @has_flags: @state->flags is valid
 *
 * Context: Process context.
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

/**
 * vpit_set_reinject() - KVM_REINJECT_CONTROL
 * @vm: the VM; it has a PIT
 * @reinject: send missed ticks later, rather than drop them
 *
 * Context: Process context.
 */
void vpit_set_reinject(struct vm *vm, bool reinject)
{
	struct vpit *pit = vm->irqchip.pit;

	atomic_set(&pit->late, 0);
	atomic_set(&pit->acked, 1);
	WRITE_ONCE(pit->reinject, reinject);
}
