// SPDX-License-Identifier: GPL-2.0
/* Reads and writes the state of all devices of a machine. A state that no device can have is refused. */
#include "devstate.h"

#include <errno.h>
#include <linux/kvm.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

#include "layout.h"
#include "machine.h"

#define CHIPS	3	/* two PICs and an I/O APIC */

/* --- of the kernel, which looks itself whether a state is possible --- */

static int failed(char *why, size_t size, const char *what)
{
	snprintf(why, size, "%s failed: %s", what, strerror(errno));
	return -1;
}

static int no_memory(char *why, size_t size)
{
	snprintf(why, size, "there is no memory for the state");
	return -1;
}

static int save_chips(struct vm *vm, struct move_state *s, char *why, size_t size)
{
	for (uint32_t i = 0; i < CHIPS; i++) {
		struct kvm_irqchip chip = { .chip_id = i };

		if (ioctl(vm->fd, KVM_GET_IRQCHIP, &chip))
			return failed(why, size, "KVM_GET_IRQCHIP");
		if (move_state_add(s, MOVE_IRQCHIP, i, &chip, sizeof(chip)))
			return no_memory(why, size);
	}
	return 0;
}

static int restore_chips(struct vm *vm, const struct move_state *s, char *why, size_t size)
{
	for (uint32_t i = 0; i < CHIPS; i++) {
		struct kvm_irqchip chip;

		memcpy(&chip, move_state_find(s, MOVE_IRQCHIP, i)->data, sizeof(chip));
		chip.chip_id = i;
		if (ioctl(vm->fd, KVM_SET_IRQCHIP, &chip))
			return failed(why, size, "KVM_SET_IRQCHIP");
	}
	return 0;
}

static int save_timers(struct vm *vm, struct move_state *s, char *why, size_t size)
{
	struct kvm_pit_state2 pit = { 0 };
	struct kvm_clock_data clock = { 0 };
	uint64_t ns;

	if (ioctl(vm->fd, KVM_GET_PIT2, &pit))
		return failed(why, size, "KVM_GET_PIT2");
	if (ioctl(vm->fd, KVM_GET_CLOCK, &clock))
		return failed(why, size, "KVM_GET_CLOCK");
	ns = clock.clock;
	return move_state_add(s, MOVE_PIT, 0, &pit, sizeof(pit)) || move_state_add(s, MOVE_CLOCK, 0, &ns, sizeof(ns)) ?
	       no_memory(why, size) : 0;
}

/* The clock stands still while the machine is saved, as its TSC does. */
static int restore_timers(struct vm *vm, const struct move_state *s, char *why, size_t size)
{
	struct kvm_clock_data clock = { 0 };
	uint64_t ns;

	memcpy(&ns, move_state_find(s, MOVE_CLOCK, 0)->data, sizeof(ns));
	clock.clock = ns;
	if (ioctl(vm->fd, KVM_SET_PIT2, move_state_find(s, MOVE_PIT, 0)->data))
		return failed(why, size, "KVM_SET_PIT2");
	return ioctl(vm->fd, KVM_SET_CLOCK, &clock) ? failed(why, size, "KVM_SET_CLOCK") : 0;
}

/* --- the serial port --- */

static void get_serial(const struct serial *s, struct move_serial *m)
{
	unsigned int n = s->rx_count < SERIAL_FIFO ? s->rx_count : SERIAL_FIFO;

	*m = (struct move_serial) {
		.ier = s->ier, .fcr = s->fcr, .lcr = s->lcr, .mcr = s->mcr, .scr = s->scr, .dll = s->dll, .dlm = s->dlm,
		.lsr_errors = s->lsr_errors, .msr_lines = s->msr_lines, .msr_delta = s->msr_delta,
		.thre_pending = s->thre_pending, .irq_level = s->irq_level, .rx_count = n,
	};
	for (unsigned int i = 0; i < n; i++)
		m->rx[i] = s->rx[(s->rx_head + i) % SERIAL_FIFO];
}

static bool all_zero(const uint8_t *bytes, size_t n)
{
	while (n && !bytes[n - 1])
		n--;
	return !n;
}

/* Without FIFO the port has room for one byte, and no trigger level (serial.c, write_fcr()). */
static bool serial_possible(const struct move_serial *m)
{
	bool fifo = m->fcr & 0x01;

	return m->ier < 0x10 && !(m->fcr & ~(fifo ? 0xc1 : 0)) && m->mcr < 0x20 && !(m->lsr_errors & ~0x02) &&
	       !(m->msr_lines & 0x0f) && m->msr_delta < 0x10 && m->thre_pending < 2 && m->irq_level < 2 &&
	       m->rx_count <= (fifo ? SERIAL_FIFO : 1) && all_zero(m->reserved, sizeof(m->reserved));
}

/* The members that connect the port stay. */
static void set_serial(struct serial *s, const struct move_serial *m)
{
	s->ier = m->ier;
	s->fcr = m->fcr;
	s->lcr = m->lcr;
	s->mcr = m->mcr;
	s->scr = m->scr;
	s->dll = m->dll;
	s->dlm = m->dlm;
	s->lsr_errors = m->lsr_errors;
	s->msr_lines = m->msr_lines;
	s->msr_delta = m->msr_delta;
	s->thre_pending = m->thre_pending;
	s->irq_level = m->irq_level;
	s->rx_head = 0;
	s->rx_count = m->rx_count;
	memcpy(s->rx, m->rx, sizeof(s->rx));
}

/* --- the clock and power management --- */

/* No guest can have the clock in an update for ever, which bit 7 of register A says. */
static bool rtc_possible(const struct move_rtc *m)
{
	return m->index < sizeof(m->cmos) && !(m->cmos[0x0a] & 0x80) && all_zero(m->reserved, sizeof(m->reserved));
}

/* A write that sets SLP_EN, or the bit that resets the processor, has its effect and leaves no trace or no guest (power.c). */
static bool power_possible(const struct move_power *m)
{
	return !(m->pm1_control & 1 << 13) && !(m->reset_control & 1 << 2) && all_zero(m->reserved, sizeof(m->reserved));
}

/* --- drostectl's own devices --- */

static int impossible(char *why, size_t size, const char *device)
{
	snprintf(why, size, "its %s has an impossible state", device);
	return -1;
}

static int save_own(struct machine *m, struct move_state *s, char *why, size_t size)
{
	struct move_serial serial;
	struct move_rtc rtc = { .index = m->rtc.index };
	struct move_power power = {
		.pm1_enable = m->power.pm1_enable, .pm1_control = m->power.pm1_control, .reset_control = m->power.reset_control,
	};
	uint8_t input[sizeof(m->console.in)];
	size_t n = console_get_input(&m->console, input);

	get_serial(&m->console.port, &serial);
	memcpy(rtc.cmos, m->rtc.cmos, sizeof(rtc.cmos));
	return move_state_add(s, MOVE_SERIAL, 0, &serial, sizeof(serial)) || move_state_add(s, MOVE_RTC, 0, &rtc, sizeof(rtc)) ||
	       move_state_add(s, MOVE_POWER, 0, &power, sizeof(power)) || move_state_add(s, MOVE_INPUT, 0, input, n) ?
	       no_memory(why, size) : 0;
}

static int restore_own(struct machine *m, const struct move_state *s, char *why, size_t size)
{
	const struct part *input = move_state_find(s, MOVE_INPUT, 0);
	struct move_serial serial;
	struct move_power power;
	struct move_rtc rtc;

	memcpy(&serial, move_state_find(s, MOVE_SERIAL, 0)->data, sizeof(serial));
	memcpy(&power, move_state_find(s, MOVE_POWER, 0)->data, sizeof(power));
	memcpy(&rtc, move_state_find(s, MOVE_RTC, 0)->data, sizeof(rtc));
	if (!serial_possible(&serial))
		return impossible(why, size, "serial port");
	if (!rtc_possible(&rtc))
		return impossible(why, size, "real-time clock");
	if (!power_possible(&power))
		return impossible(why, size, "power management");
	if (input->length > sizeof(m->console.in))
		return impossible(why, size, "console input");
	set_serial(&m->console.port, &serial);
	m->rtc.index = rtc.index;
	memcpy(m->rtc.cmos, rtc.cmos, sizeof(rtc.cmos));
	m->power.pm1_enable = power.pm1_enable;
	m->power.pm1_control = power.pm1_control;
	m->power.reset_control = power.reset_control;
	console_put_input(&m->console, input->data, input->length);
	/* The state of the interrupt controllers does not have the level that a device drives. */
	if (serial.irq_level)
		vm_irq(&m->vm, IRQ_COM1, true);
	return 0;
}

/* --- all --- */

int dev_state_save(struct machine *m, struct move_state *s, char *why, size_t size)
{
	int ret;

	pthread_mutex_lock(&m->bus.lock);
	ret = save_own(m, s, why, size);
	pthread_mutex_unlock(&m->bus.lock);
	return ret || save_chips(&m->vm, s, why, size) || save_timers(&m->vm, s, why, size) ? -1 : 0;
}

int dev_state_restore(struct machine *m, const struct move_state *s, char *why, size_t size)
{
	return restore_chips(&m->vm, s, why, size) || restore_timers(&m->vm, s, why, size) || restore_own(m, s, why, size) ? -1 : 0;
}
