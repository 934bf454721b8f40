// SPDX-License-Identifier: GPL-2.0
/* I/O APIC behaviour according to the 82093AA data sheet, plus the EOI register of the ICHs (version 0x20). */
#include <linux/bitops.h>
#include <linux/kernel.h>
#include <linux/string.h>
#include "ioapic_logic.h"

#define IOAPIC_IND_ID		0x00
#define IOAPIC_IND_VERSION	0x01
#define IOAPIC_IND_ARB		0x02
#define IOAPIC_IND_RTE		0x10	/* two registers per entry */

/* The writable bits of an entry: neither the two status bits nor the reserved ones. */
#define IOAPIC_RTE_WRITABLE	(0xff0000000001ffffull & ~(IOAPIC_RTE_DELIVERY | IOAPIC_RTE_REMOTE_IRR))

/**
 * ioapic_init() - put an I/O APIC into its reset state
 * @io: the I/O APIC
 * @fire: called for each interrupt that it sends
 *
 * Context: Any. The I/O APIC is not shared yet.
 */
void ioapic_init(struct ioapic *io, int (*fire)(struct ioapic *io, u64 rte))
{
	unsigned int pin;

	memset(io, 0, sizeof(*io));
	io->base = IOAPIC_DEFAULT_BASE;
	io->fire = fire;
	for (pin = 0; pin < IOAPIC_PINS; pin++)
		io->rte[pin] = IOAPIC_RTE_MASKED;
}

/* Collect the vectors an EOI may be for. Masked entries count: their last interrupt may still be in service. */
static void ioapic_update_handled(struct ioapic *io)
{
	unsigned long handled[256 / BITS_PER_LONG] = {};
	unsigned int i;

	for (i = 0; i < IOAPIC_PINS; i++)
		__set_bit(io->rte[i] & 0xff, handled);
	for (i = 0; i < ARRAY_SIZE(handled); i++)
		WRITE_ONCE(io->handled[i], handled[i]);
}

/* Send a pin's interrupt if its entry allows it. Returns the number of processors reached, 0 or -1 if none. */
static int ioapic_service(struct ioapic *io, unsigned int pin)
{
	u64 rte = io->rte[pin];
	int ret;

	if (rte & IOAPIC_RTE_MASKED)
		return -1;
	if ((rte & IOAPIC_RTE_LEVEL) && (rte & IOAPIC_RTE_REMOTE_IRR))
		return -1;
	ret = io->fire(io, rte);
	if (!(rte & IOAPIC_RTE_LEVEL))
		io->delivered |= BIT(pin);
	else if (ret > 0)
		io->rte[pin] |= IOAPIC_RTE_REMOTE_IRR;
	return ret;
}

/**
 * ioapic_set_line() - a device raises or lowers its line
 * @io: the I/O APIC
 * @pin: 0 to 23
 * @source: one of the sources that share the line, which is up while any of them asserts it
 * @level: true to assert the line, whatever its polarity
 *
 * Context: Any. Caller holds the lock that guards @io.
 * Return: the number of processors reached, 0 if the pin was up already, -1 if it is masked or addresses no processor.
 */
int ioapic_set_line(struct ioapic *io, unsigned int pin, unsigned int source, bool level)
{
	bool edge = !(io->rte[pin] & IOAPIC_RTE_LEVEL);
	bool was = io->irr & BIT(pin);

	if (level)
		io->sources[pin] |= BIT(source);
	else
		io->sources[pin] &= ~BIT(source);
	if (!io->sources[pin]) {
		io->irr &= ~BIT(pin);
		io->delivered &= ~BIT(pin);
		return 1;
	}
	io->irr |= BIT(pin);
	if (edge && was)
		return 0;
	return ioapic_service(io, pin);
}

/**
 * ioapic_pins_of() - find the pins whose entries name a vector
 * @io: the I/O APIC
 * @vector: the vector
 *
 * Context: Any. Caller holds the lock that guards @io.
 * Return: one bit per pin.
 */
u32 ioapic_pins_of(const struct ioapic *io, u8 vector)
{
	unsigned int pin;
	u32 pins = 0;

	for (pin = 0; pin < IOAPIC_PINS; pin++) {
		if ((io->rte[pin] & 0xff) == vector)
			pins |= BIT(pin);
	}
	return pins;
}

/**
 * ioapic_end() - end the level-triggered interrupts of some pins
 * @io: the I/O APIC
 * @pins: one bit per pin
 *
 * A line that is still up interrupts again. A guest whose handler does not quiet
 * the device would not get beyond the handler, so after IOAPIC_STORM times the
 * interrupt has to wait. A real I/O APIC takes some time as well.
 *
 * Context: Any. Caller holds the lock that guards @io.
 * Return: the pins that have to wait; ioapic_resend() must be called for them.
 */
u32 ioapic_end(struct ioapic *io, u32 pins)
{
	unsigned int pin;
	u32 late = 0;

	for (pin = 0; pin < IOAPIC_PINS; pin++) {
		if (!(pins & BIT(pin)) || !(io->rte[pin] & IOAPIC_RTE_LEVEL))
			continue;
		io->rte[pin] &= ~IOAPIC_RTE_REMOTE_IRR;
		if (!(io->irr & BIT(pin)) || (io->rte[pin] & IOAPIC_RTE_MASKED)) {
			io->eois[pin] = 0;
		} else if (++io->eois[pin] < IOAPIC_STORM) {
			ioapic_service(io, pin);
		} else {
			io->eois[pin] = 0;
			late |= BIT(pin);
		}
	}
	return late;
}

/**
 * ioapic_resend() - send the interrupts of level lines that are still up
 * @io: the I/O APIC
 * @pins: one bit per pin
 *
 * Context: Any. Caller holds the lock that guards @io.
 */
void ioapic_resend(struct ioapic *io, u32 pins)
{
	unsigned int pin;

	for (pin = 0; pin < IOAPIC_PINS; pin++) {
		if ((pins & io->irr & BIT(pin)) && (io->rte[pin] & IOAPIC_RTE_LEVEL))
			ioapic_service(io, pin);
	}
}

/* Returns the pin's bit if ioapic_resend() must be called for it, else 0. */
static u32 ioapic_write_rte(struct ioapic *io, unsigned int pin, bool high, u32 val)
{
	u64 old = io->rte[pin], new;

	if (high)
		new = (u64)val << 32 | (u32)old;
	else
		new = (old & ~0xffffffffull) | val;
	new &= IOAPIC_RTE_WRITABLE;
	/* An entry that becomes edge-triggered loses its remote IRR; guests rely on this. */
	if (new & IOAPIC_RTE_LEVEL)
		new |= old & IOAPIC_RTE_REMOTE_IRR;
	io->rte[pin] = new;
	ioapic_update_handled(io);

	/* An edge that arrived while masked is lost. */
	if (!(new & IOAPIC_RTE_LEVEL) || !(io->irr & BIT(pin)))
		return 0;
	/* A level interrupt that the mask held back is sent now, unless the device has lowered its line meanwhile. */
	if ((old & IOAPIC_RTE_MASKED) && !(new & (IOAPIC_RTE_MASKED | IOAPIC_RTE_REMOTE_IRR)))
		return BIT(pin);
	ioapic_service(io, pin);
	return 0;
}

static u32 ioapic_read_indirect(const struct ioapic *io)
{
	unsigned int pin = (io->select - IOAPIC_IND_RTE) / 2;

	switch (io->select) {
	case IOAPIC_IND_ID:
	case IOAPIC_IND_ARB:
		return io->id;
	case IOAPIC_IND_VERSION:
		return 0x20 | (IOAPIC_PINS - 1) << 16;
	default:
		if (io->select < IOAPIC_IND_RTE || pin >= IOAPIC_PINS)
			return 0;
		return io->select & 1 ? io->rte[pin] >> 32 : (u32)io->rte[pin];
	}
}

static u32 ioapic_write_indirect(struct ioapic *io, u32 val)
{
	unsigned int pin = (io->select - IOAPIC_IND_RTE) / 2;

	if (io->select == IOAPIC_IND_ID)
		io->id = val & 0x0f000000;
	else if (io->select >= IOAPIC_IND_RTE && pin < IOAPIC_PINS)
		return ioapic_write_rte(io, pin, io->select & 1, val);
	return 0;
}

/**
 * ioapic_read() - read a register
 * @io: the I/O APIC
 * @offset: the register's offset in its page
 *
 * Context: Any. Caller holds the lock that guards @io.
 * Return: the 32-bit value, 0 for an offset without a register.
 */
u32 ioapic_read(const struct ioapic *io, u32 offset)
{
	switch (offset) {
	case IOAPIC_REG_SELECT:
		return io->select;
	case IOAPIC_REG_WINDOW:
		return ioapic_read_indirect(io);
	default:
		return 0;
	}
}

/**
 * ioapic_unmasks() - which pin a write would unmask
 * @io: the I/O APIC
 * @offset: the register's offset in its page
 * @val: the value
 *
 * Context: Any. Caller holds the lock that guards @io.
 * Return: the pin; -1 if the write unmasks none that is masked.
 */
int ioapic_unmasks(const struct ioapic *io, u32 offset, u32 val)
{
	unsigned int pin = (io->select - IOAPIC_IND_RTE) / 2;

	if (offset != IOAPIC_REG_WINDOW || io->select < IOAPIC_IND_RTE || io->select & 1 || pin >= IOAPIC_PINS)
		return -1;
	return io->rte[pin] & ~val & IOAPIC_RTE_MASKED ? (int)pin : -1;
}

/**
 * ioapic_write() - write a register other than the EOI register
 * @io: the I/O APIC
 * @offset: the register's offset in its page
 * @val: the value
 *
 * The caller implements the EOI register with ioapic_end().
 *
 * Context: Any. Caller holds the lock that guards @io.
 * Return: the level pins that were unmasked while their lines were up. The
 * caller samples the lines and calls ioapic_resend().
 */
u32 ioapic_write(struct ioapic *io, u32 offset, u32 val)
{
	if (offset == IOAPIC_REG_SELECT)
		io->select = val & 0xff;
	else if (offset == IOAPIC_REG_WINDOW)
		return ioapic_write_indirect(io, val);
	return 0;
}

/**
 * ioapic_get_state() - save the state for user space
 * @io: the I/O APIC
 * @state: filled; edges that were sent are not saved as pending
 *
 * Context: Any. Caller holds the lock that guards @io.
 */
void ioapic_get_state(const struct ioapic *io, struct kvm_ioapic_state *state)
{
	unsigned int pin;

	memset(state, 0, sizeof(*state));
	state->base_address = io->base;
	state->ioregsel = io->select;
	state->id = io->id;
	state->irr = io->irr & ~io->delivered;
	for (pin = 0; pin < IOAPIC_PINS; pin++)
		state->redirtbl[pin].bits = io->rte[pin];
}

/**
 * ioapic_set_state() - restore the state from user space
 * @io: the I/O APIC
 * @state: untrusted; reduced to what the registers can hold
 *
 * Pending interrupts are sent.
 *
 * Context: Any. Caller holds the lock that guards @io.
 */
void ioapic_set_state(struct ioapic *io, const struct kvm_ioapic_state *state)
{
	unsigned int pin;

	io->base = state->base_address & ~0xffull;
	io->select = state->ioregsel & 0xff;
	io->id = state->id & 0x0f000000;
	io->irr = state->irr & (BIT(IOAPIC_PINS) - 1);
	io->delivered = 0;
	for (pin = 0; pin < IOAPIC_PINS; pin++) {
		u64 rte = state->redirtbl[pin].bits;

		io->rte[pin] = rte & (IOAPIC_RTE_WRITABLE | (rte & IOAPIC_RTE_LEVEL ? IOAPIC_RTE_REMOTE_IRR : 0));
	}
	ioapic_update_handled(io);
	for (pin = 0; pin < IOAPIC_PINS; pin++) {
		if (io->irr & BIT(pin))
			ioapic_service(io, pin);
	}
}
