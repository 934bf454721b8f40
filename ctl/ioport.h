/* SPDX-License-Identifier: GPL-2.0 */
/* The I/O port bus: who answers at which port. */
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
	unsigned int width;	/* widest access it takes at once, in bytes */
	void *opaque;		/* first argument of the functions below */
	uint32_t (*in)(void *opaque, uint16_t off, unsigned int size);
	void (*out)(void *opaque, uint16_t off, unsigned int size, uint32_t val);
};

/** struct iobus - all ports of a machine */
struct iobus {
	pthread_mutex_t lock;	/* held around every device function */
	struct ioport_dev dev[IOPORT_MAX_DEVS];
	unsigned int nr;	/* devices in use; fixed once vCPUs run */
	bool trace;		/* say which ports nobody answers */
	uint8_t told[65536 / 4];/* two bits a port: told about a read, a write */
};

/** ioport_init() - make an empty bus */
void ioport_init(struct iobus *bus, bool trace);

/** ioport_add() - put a device on the bus; its ports must be free */
void ioport_add(struct iobus *bus, const struct ioport_dev *dev);

/**
 * ioport_access() - carry out port accesses of a guest
 * @bus: the bus
 * @out: whether the guest writes
 * @port: port number
 * @size: 1, 2 or 4 bytes
 * @count: how many accesses, one after the other (string instructions)
 * @data: @count values of @size bytes, read or filled in
 *
 * Where nobody answers, reads give all ones and writes go nowhere.
 */
void ioport_access(struct iobus *bus, bool out, uint16_t port,
		   unsigned int size, uint32_t count, uint8_t *data);

#endif
