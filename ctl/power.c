// SPDX-License-Identifier: GPL-2.0
/* Implements ACPI power-off, reset through port 0xcf9 or 0x64, and the debug-exit port. */
#include <string.h>

#include "hpet.h"
#include "layout.h"
#include "power.h"

/* PM1 control register (ACPI 6.4, 4.8.3.2.1). */
#define PM1_SCI_EN		(1U << 0)
#define PM1_SLP_TYP(val)	((val) >> 10 & 7)
#define PM1_SLP_EN		(1U << 13)

/* Reset control register of PC chipsets. */
#define RESET_CPU		(1U << 2)

#define KBD_PULSE_RESET		0xfe

/*
 * Status (offset 0) is always 0: nothing in this machine raises a fixed event,
 * and writes can only clear bits. Enable (offset 2) keeps its value.
 */
static uint32_t pm1_evt_in(void *opaque, uint16_t off, unsigned int size)
{
	struct power *p = opaque;
	uint32_t both = (uint32_t)p->pm1_enable << 16;

	(void)size;
	return both >> (8 * off);
}

static void pm1_evt_out(void *opaque, uint16_t off, unsigned int size,
			uint32_t val)
{
	struct power *p = opaque;
	uint32_t mask = (size == 4 ? UINT32_MAX : (1U << (8 * size)) - 1)
			<< (8 * off);
	uint32_t both = (uint32_t)p->pm1_enable << 16;

	p->pm1_enable = ((both & ~mask) | (val << (8 * off) & mask)) >> 16;
}

static uint32_t pm1_cnt_in(void *opaque, uint16_t off, unsigned int size)
{
	struct power *p = opaque;

	(void)size;
	/* The machine has no legacy mode, so SCI_EN is always set. */
	return (p->pm1_control | PM1_SCI_EN) >> (8 * off);
}

static void pm1_cnt_out(void *opaque, uint16_t off, unsigned int size,
			uint32_t val)
{
	struct power *p = opaque;
	uint16_t mask = (size == 1 ? 0xff : 0xffff) << (8 * off);
	uint16_t now = (p->pm1_control & ~mask) | (val << (8 * off) & mask);

	p->pm1_control = now & ~PM1_SLP_EN;
	if (now & PM1_SLP_EN && PM1_SLP_TYP(now) == S5_SLP_TYP)
		vm_end(p->vm, RUN_POWEROFF, 0, NULL, "the guest powered off");
}

/* The keyboard controller implements only reset; its buffers are always empty. */
static uint32_t kbd_in(void *opaque, uint16_t off, unsigned int size)
{
	(void)opaque;
	(void)off;
	(void)size;
	return 0;
}

static void kbd_out(void *opaque, uint16_t off, unsigned int size, uint32_t val)
{
	struct power *p = opaque;

	(void)off;
	(void)size;
	if ((val & 0xff) == KBD_PULSE_RESET)
		vm_end(p->vm, RUN_RESET, 0, NULL,
		       "the guest reset the machine through the keyboard controller");
}

static uint32_t reset_in(void *opaque, uint16_t off, unsigned int size)
{
	struct power *p = opaque;

	(void)off;
	(void)size;
	return p->reset_control;
}

static void reset_out(void *opaque, uint16_t off, unsigned int size,
		      uint32_t val)
{
	struct power *p = opaque;

	(void)off;
	(void)size;
	/* The chipset resets when the bit goes from 0 to 1. */
	if (val & ~p->reset_control & RESET_CPU)
		vm_end(p->vm, RUN_RESET, 0, NULL,
		       "the guest reset the machine through port 0x%x", PORT_RESET);
	p->reset_control = val;
}

/* ACPI's timer counts in 32 bits. */
static uint32_t pm_timer_in(void *opaque, uint16_t off, unsigned int size)
{
	(void)opaque;
	(void)size;
	return (uint32_t)((__uint128_t)hpet_now() * PM_TMR_HZ / 1000000000) >> (8 * off);
}

static void pm_timer_out(void *opaque, uint16_t off, unsigned int size, uint32_t val)
{
	(void)opaque;
	(void)off;
	(void)size;
	(void)val;
}

static uint32_t debug_exit_in(void *opaque, uint16_t off, unsigned int size)
{
	(void)opaque;
	(void)off;
	(void)size;
	return 0;
}

static void debug_exit_out(void *opaque, uint16_t off, unsigned int size,
			   uint32_t val)
{
	struct power *p = opaque;

	(void)off;
	(void)size;
	vm_end(p->vm, RUN_DEBUG_EXIT, val, NULL,
	       "the guest wrote %u to the debug-exit port", val);
}

void power_add(struct power *p, struct vm *vm)
{
	const struct ioport_dev devs[] = {
		{ "pm1 event", PORT_PM1_EVT, 4, 4, p, pm1_evt_in, pm1_evt_out },
		{ "pm1 control", PORT_PM1_CNT, 2, 2, p, pm1_cnt_in, pm1_cnt_out },
		{ "keyboard controller", PORT_KBD, 1, 1, p, kbd_in, kbd_out },
		{ "reset control", PORT_RESET, 1, 1, p, reset_in, reset_out },
		{ "debug exit", PORT_DEBUG_EXIT, 4, 4, p, debug_exit_in,
		  debug_exit_out },
	};

	const struct ioport_dev timer = { "ACPI timer", PORT_PM_TMR, 4, 4, p, pm_timer_in, pm_timer_out };

	memset(p, 0, sizeof(*p));
	p->vm = vm;
	for (size_t i = 0; i < sizeof(devs) / sizeof(devs[0]); i++)
		ioport_add(vm->bus, &devs[i]);
	if (vm->profile)
		ioport_add(vm->bus, &timer);
}
