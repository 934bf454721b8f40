/* SPDX-License-Identifier: GPL-2.0 */
/* A 16550A serial port. */
#ifndef DROSTECTL_SERIAL_H
#define DROSTECTL_SERIAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ioport.h"

#define SERIAL_FIFO	16

/** struct serial_ops - the other ends of the port's wires */
struct serial_ops {
	/* Drives the interrupt line; called only when the level changes. */
	void (*irq)(void *ctx, bool level);
	/* Takes one byte that the guest sent. */
	void (*send)(void *ctx, uint8_t byte);
	/* The guest has nothing more to send for now. */
	void (*sent_all)(void *ctx);
	/* Hands over at most @max received bytes; returns how many. */
	size_t (*receive)(void *ctx, uint8_t *buf, size_t max);
};

/** struct serial - registers and FIFO; guarded by the bus lock */
struct serial {
	const struct serial_ops *ops;
	void *ctx;		/* first argument of the ops */
	uint8_t ier;		/* interrupt enable */
	uint8_t fcr;		/* FIFO control, only the bits that are kept */
	uint8_t lcr;		/* line control */
	uint8_t mcr;		/* modem control */
	uint8_t scr;		/* scratch */
	uint8_t dll, dlm;	/* baud rate divisor; stored but has no effect */
	uint8_t lsr_errors;	/* LSR error bits, cleared when read */
	uint8_t msr_lines;	/* upper half of MSR at the last update */
	uint8_t msr_delta;	/* lower half of MSR, cleared when read */
	bool thre_pending;	/* transmitter-empty interrupt not yet acknowledged */
	bool irq_level;		/* level of the interrupt line */
	uint8_t rx[SERIAL_FIFO];/* receive FIFO, a ring */
	unsigned int rx_head;	/* oldest byte */
	unsigned int rx_count;	/* bytes in it */
};

/** serial_init() - reset the port and connect it to its ops */
void serial_init(struct serial *s, const struct serial_ops *ops, void *ctx);

/** serial_dev() - the port's entry for the I/O bus */
struct ioport_dev serial_dev(struct serial *s, uint16_t base);

/**
 * serial_poll() - fetch received bytes into the FIFO
 * @s: the port
 *
 * Called when ops->receive() may have new bytes. Caller holds the bus lock.
 */
void serial_poll(struct serial *s);

#endif
