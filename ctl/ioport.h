/* SPDX-License-Identifier: GPL-2.0 */
/* The I/O port bus, which maps ports to devices. */
#ifndef DROSTECTL_IOPORT_H
#define DROSTECTL_IOPORT_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define IOPORT_MAX_DEVS	16

/** struct ioport_dev - one range of ports */
struct ioport_dev {
	const char *name;	/* for messages */
	uint16_t base;		/* first port */
	uint16_t len;		/* number of ports */
	unsigned int width;	/* widest access that is not split, in bytes */
	void *opaque;		/* first argument of the functions below */
	uint32_t (*in)(void *opaque, uint16_t off, unsigned int size);
	void (*out)(void *opaque, uint16_t off, unsigned int size, uint32_t val);
};

/** struct iobus - all ports of a machine */
struct iobus {
	pthread_mutex_t lock;	/* held during every call of a device function */
	struct ioport_dev dev[IOPORT_MAX_DEVS];
	unsigned int nr;	/* devices in use; fixed once vCPUs run */
	bool trace;		/* report accesses to ports without a device */
	uint8_t told[65536 / 4];/* two bits per port: a read, a write was reported */
};

/** ioport_init() - initialize an empty bus */
void ioport_init(struct iobus *bus, bool trace);

/** ioport_add() - put a device on the bus; its ports must be free */
void ioport_add(struct iobus *bus, const struct ioport_dev *dev);

/**
 * ioport_access() - perform a guest's port accesses
 * @bus: the bus
 * @out: whether the guest writes
 * @port: port number
 * @size: 1, 2 or 4 bytes
 * @count: number of consecutive accesses (string instructions)
 * @data: @count values of @size bytes, read or filled in
 *
 * At a port without a device, reads return all ones and writes are ignored.
 */
void ioport_access(struct iobus *bus, bool out, uint16_t port,
		   unsigned int size, uint32_t count, uint8_t *data);

#endif
