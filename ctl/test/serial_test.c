// SPDX-License-Identifier: GPL-2.0
/* Checks the serial port in the way that a driver uses it. */
#include <string.h>

#include "serial.h"
#include "tap.h"

static struct {
	bool irq;		/* level of the line */
	int irq_edges;		/* rising edges seen */
	char sent[64];
	size_t nr_sent;
	int idle;		/* calls of sent_all() */
	const char *input;	/* bytes that the other side sends */
} wire;

static void wire_irq(void *ctx, bool level)
{
	(void)ctx;
	wire.irq = level;
	wire.irq_edges += level;
}

static void wire_send(void *ctx, uint8_t byte)
{
	(void)ctx;
	wire.sent[wire.nr_sent++ % sizeof(wire.sent)] = byte;
}

static void wire_sent_all(void *ctx)
{
	(void)ctx;
	wire.idle++;
}

static size_t wire_receive(void *ctx, uint8_t *buf, size_t max)
{
	size_t n = 0;

	(void)ctx;
	while (n < max && wire.input && *wire.input)
		buf[n++] = *wire.input++;
	return n;
}

static const struct serial_ops ops = {
	wire_irq, wire_send, wire_sent_all, wire_receive,
};

static struct serial port;
static struct ioport_dev dev;

static void reset(void)
{
	memset(&wire, 0, sizeof(wire));
	serial_init(&port, &ops, NULL);
	dev = serial_dev(&port, 0x3f8);
}

static uint8_t in(int reg)
{
	return dev.in(dev.opaque, reg, 1);
}

static void out(int reg, uint8_t val)
{
	dev.out(dev.opaque, reg, 1, val);
}

/* Probes the port as drivers do to tell a 16550A from other ports. */
static void check_probe(void)
{
	reset();
	out(1, 0xff);
	ok(in(1) == 0x0f);
	out(1, 0);
	ok(in(1) == 0);
	ok(in(2) == 0x01);
	out(2, 0x01);
	ok(in(2) == 0xc1);
	out(7, 0x5a);
	ok(in(7) == 0x5a);
	out(3, 0x80);
	out(0, 12);
	out(1, 3);
	ok(in(0) == 12 && in(1) == 3);
	out(3, 0x03);
	ok(in(0) == 0 && in(1) == 0 && in(3) == 0x03);
	ok(in(5) == 0x60);
	ok(in(6) == 0xb0);
}

static void check_loopback(void)
{
	reset();
	out(4, 0x10 | 0x0a);
	ok((in(6) & 0xf0) == 0x90);
	out(4, 0x10 | 0x05);
	ok((in(6) & 0xf0) == 0x60);
	out(4, 0x10);
	ok((in(6) & 0x04) == 0x04);	/* RI was deasserted */
	ok((in(6) & 0x0f) == 0);
	out(0, 'l');
	ok(wire.nr_sent == 0);
	ok(in(5) & 0x01);
	out(0, 'm');			/* without FIFO, room for one byte: overrun */
	ok(in(5) & 0x02);
	ok(!(in(5) & 0x02));
	ok(in(0) == 'l' && !(in(5) & 0x01));
}

/* No number of bytes, however it came about, lets the FIFO take more than it has room for. */
static void check_full(void)
{
	reset();
	out(4, 0x10);
	port.rx_count = SERIAL_FIFO;	/* more than fit without FIFO */
	for (int i = 0; i < 300; i++)
		out(0, 'x');
	ok(port.rx_count == SERIAL_FIFO);
	ok(in(5) & 0x02);
	out(2, 0x01);
	for (int i = 0; i < 300; i++)
		out(0, 'y');
	ok(port.rx_count == SERIAL_FIFO);
}

static void check_transmit(void)
{
	reset();
	out(4, 0x08);			/* OUT2: line connected */
	out(1, 0x02);
	ok(wire.irq && in(2) == 0x02);
	ok(!wire.irq && in(2) == 0x01);
	out(0, 'a');
	ok(wire.irq && wire.sent[0] == 'a');
	out(0, 'b');
	ok(wire.irq_edges == 2);
	out(1, 0);
	ok(!wire.irq && wire.idle == 1);
	out(1, 0x02);			/* enabling it again raises it again */
	ok(wire.irq && in(2) == 0x02);
	out(4, 0);
	out(0, 'c');
	ok(!wire.irq && wire.nr_sent == 3);
}

static void check_receive(void)
{
	int n = 0;

	reset();
	wire.input = "0123456789abcdefghij";
	serial_poll(&port);
	ok(!(in(5) & 0x01));		/* no RTS: the sender waits */
	out(2, 0x81);			/* FIFO on, trigger at 8 */
	out(1, 0x01);
	out(4, 0x0b);
	ok(wire.irq && in(2) == 0xc4);
	while (n < 12 && in(0) == (n < 10 ? '0' + n : 'a' + n - 10))
		n++;
	ok(n == 12);
	ok(in(2) == 0xcc);		/* fewer than 8 are left: time-out */
	while (in(5) & 0x01)
		n += in(0) != 0;
	ok(n == 20 && !wire.irq);
	ok(in(0) == 0);
	wire.input = "z";
	serial_poll(&port);
	ok(wire.irq);
	out(2, 0x03);			/* clear the receive FIFO */
	ok(!wire.irq && !(in(5) & 0x01));
}

int main(void)
{
	check_probe();
	check_loopback();
	check_full();
	check_transmit();
	check_receive();
	return tap_done();
}
