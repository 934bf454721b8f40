// SPDX-License-Identifier: GPL-2.0
/* Models a 16550A; register and bit names are those of its data sheet. */
#include <string.h>

#include "serial.h"

enum {
	REG_DATA, REG_IER, REG_IIR_FCR, REG_LCR,
	REG_MCR, REG_LSR, REG_MSR, REG_SCR, NR_REGS
};

#define IER_RDI		0x01	/* received data */
#define IER_THRI	0x02	/* transmitter holding register empty */
#define IER_RLSI	0x04	/* receiver line status */
#define IER_MSI		0x08	/* modem status */
#define IER_MASK	0x0f

#define IIR_NONE	0x01
#define IIR_MSI		0x00
#define IIR_THRI	0x02
#define IIR_RDI		0x04
#define IIR_RLSI	0x06
#define IIR_TIMEOUT	0x0c
#define IIR_FIFO	0xc0

#define FCR_ENABLE	0x01
#define FCR_CLEAR_RX	0x02
#define FCR_TRIGGER	0xc0
#define FCR_KEPT	(FCR_ENABLE | FCR_TRIGGER)

#define LCR_DLAB	0x80

#define MCR_DTR		0x01
#define MCR_RTS		0x02
#define MCR_OUT1	0x04
#define MCR_OUT2	0x08
#define MCR_LOOP	0x10
#define MCR_MASK	0x1f

#define LSR_DR		0x01
#define LSR_OE		0x02
#define LSR_THRE	0x20
#define LSR_TEMT	0x40

#define MSR_CTS		0x10
#define MSR_DSR		0x20
#define MSR_RI		0x40
#define MSR_DCD		0x80

static bool loopback(const struct serial *s)
{
	return s->mcr & MCR_LOOP;
}

static unsigned int fifo_depth(const struct serial *s)
{
	return s->fcr & FCR_ENABLE ? SERIAL_FIFO : 1;
}

static unsigned int fifo_trigger(const struct serial *s)
{
	static const uint8_t level[] = { 1, 4, 8, 14 };

	return s->fcr & FCR_ENABLE ? level[s->fcr >> 6] : 1;
}

/* The highest-priority pending interrupt, encoded as in IIR. */
static uint8_t interrupt_id(const struct serial *s)
{
	if (s->ier & IER_RLSI && s->lsr_errors)
		return IIR_RLSI;
	if (s->ier & IER_RDI && s->rx_count)
		return s->rx_count >= fifo_trigger(s) ? IIR_RDI : IIR_TIMEOUT;
	if (s->ier & IER_THRI && s->thre_pending)
		return IIR_THRI;
	if (s->ier & IER_MSI && s->msr_delta)
		return IIR_MSI;
	return IIR_NONE;
}

/* On a PC, OUT2 connects the port to its interrupt line; loopback disconnects it. */
static void update_irq(struct serial *s)
{
	bool level = interrupt_id(s) != IIR_NONE && s->mcr & MCR_OUT2 &&
		     !loopback(s);

	if (level != s->irq_level) {
		s->irq_level = level;
		s->ops->irq(s->ctx, level);
	}
}

static void rx_push(struct serial *s, uint8_t byte)
{
	if (s->rx_count >= fifo_depth(s)) {
		s->lsr_errors |= LSR_OE;
		return;
	}
	s->rx[(s->rx_head + s->rx_count++) % SERIAL_FIFO] = byte;
}

/*
 * Input is held back until the guest asserts RTS, as a well-behaved sender
 * does. Otherwise the driver's probing would discard input that arrives before
 * the driver is ready.
 */
void serial_poll(struct serial *s)
{
	uint8_t buf[SERIAL_FIFO];
	size_t n;

	if (s->rx_count || loopback(s) || !(s->mcr & MCR_RTS))
		return;
	n = s->ops->receive(s->ctx, buf, fifo_depth(s));
	for (size_t i = 0; i < n; i++)
		rx_push(s, buf[i]);
	update_irq(s);
}

static uint8_t read_data(struct serial *s)
{
	uint8_t byte;

	if (!s->rx_count)
		return 0;
	byte = s->rx[s->rx_head];
	s->rx_head = (s->rx_head + 1) % SERIAL_FIFO;
	s->rx_count--;
	serial_poll(s);
	return byte;
}

static void write_data(struct serial *s, uint8_t byte)
{
	if (loopback(s))
		rx_push(s, byte);
	else
		s->ops->send(s->ctx, byte);
	/* The byte is sent at once, so the register is empty again. */
	s->thre_pending = true;
}

static void write_ier(struct serial *s, uint8_t val)
{
	uint8_t was = s->ier;

	s->ier = val & IER_MASK;
	/* Enabling the interrupt while the transmitter is empty raises it. */
	if (~was & s->ier & IER_THRI)
		s->thre_pending = true;
	if (was & ~s->ier & IER_THRI)
		s->ops->sent_all(s->ctx);
}

static void write_fcr(struct serial *s, uint8_t val)
{
	bool toggled = (val ^ s->fcr) & FCR_ENABLE;

	/* The other bits take effect only if the enable bit is set. */
	s->fcr = val & FCR_ENABLE ? val & FCR_KEPT : 0;
	if (toggled || (val & FCR_ENABLE && val & FCR_CLEAR_RX))
		s->rx_count = 0;
	serial_poll(s);
}

/* Loopback connects the modem outputs to the inputs; otherwise CTS, DSR and DCD are set. */
static uint8_t modem_lines(const struct serial *s)
{
	if (!loopback(s))
		return MSR_CTS | MSR_DSR | MSR_DCD;
	return (s->mcr & MCR_RTS ? MSR_CTS : 0) |
	       (s->mcr & MCR_DTR ? MSR_DSR : 0) |
	       (s->mcr & MCR_OUT1 ? MSR_RI : 0) |
	       (s->mcr & MCR_OUT2 ? MSR_DCD : 0);
}

static void write_mcr(struct serial *s, uint8_t val)
{
	uint8_t lines, changed;

	s->mcr = val & MCR_MASK;
	lines = modem_lines(s);
	changed = lines ^ s->msr_lines;
	/* The RI delta bit is set only on RI's trailing edge, the others on any change. */
	if (lines & MSR_RI)
		changed &= ~MSR_RI;
	s->msr_delta |= changed >> 4;
	s->msr_lines = lines;
	serial_poll(s);
}

static uint32_t serial_in(void *opaque, uint16_t off, unsigned int size)
{
	struct serial *s = opaque;
	uint8_t val = 0;

	(void)size;
	switch (off) {
	case REG_DATA:
		val = s->lcr & LCR_DLAB ? s->dll : read_data(s);
		break;
	case REG_IER:
		val = s->lcr & LCR_DLAB ? s->dlm : s->ier;
		break;
	case REG_IIR_FCR:
		val = interrupt_id(s);
		/* Reading IIR clears a transmitter interrupt and no other. */
		if (val == IIR_THRI)
			s->thre_pending = false;
		if (s->fcr & FCR_ENABLE)
			val |= IIR_FIFO;
		break;
	case REG_LCR:
		val = s->lcr;
		break;
	case REG_MCR:
		val = s->mcr;
		break;
	case REG_LSR:
		val = LSR_THRE | LSR_TEMT | s->lsr_errors |
		      (s->rx_count ? LSR_DR : 0);
		s->lsr_errors = 0;
		break;
	case REG_MSR:
		val = s->msr_lines | s->msr_delta;
		s->msr_delta = 0;
		break;
	case REG_SCR:
		val = s->scr;
		break;
	}
	update_irq(s);
	return val;
}

static void serial_out(void *opaque, uint16_t off, unsigned int size,
		       uint32_t val)
{
	struct serial *s = opaque;

	(void)size;
	switch (off) {
	case REG_DATA:
		if (s->lcr & LCR_DLAB)
			s->dll = val;
		else
			write_data(s, val);
		break;
	case REG_IER:
		if (s->lcr & LCR_DLAB)
			s->dlm = val;
		else
			write_ier(s, val);
		break;
	case REG_IIR_FCR:
		write_fcr(s, val);
		break;
	case REG_LCR:
		s->lcr = val;
		break;
	case REG_MCR:
		write_mcr(s, val);
		break;
	case REG_SCR:
		s->scr = val;
		break;
	}
	/* LSR and MSR are read-only: a write has no effect. */
	update_irq(s);
}

void serial_init(struct serial *s, const struct serial_ops *ops, void *ctx)
{
	memset(s, 0, sizeof(*s));
	s->ops = ops;
	s->ctx = ctx;
	s->msr_lines = modem_lines(s);
}

struct ioport_dev serial_dev(struct serial *s, uint16_t base)
{
	return (struct ioport_dev){
		.name = "serial", .base = base, .len = NR_REGS, .width = 1,
		.opaque = s, .in = serial_in, .out = serial_out,
	};
}
