// SPDX-License-Identifier: GPL-2.0
/* Finds the device at an I/O port and passes it the access. */
#include <stdlib.h>
#include <string.h>

#include "ioport.h"
#include "say.h"

void ioport_init(struct iobus *bus, bool trace)
{
	memset(bus, 0, sizeof(*bus));
	pthread_mutex_init(&bus->lock, NULL);
	bus->trace = trace;
}

static struct ioport_dev *find(struct iobus *bus, uint16_t port)
{
	for (unsigned int i = 0; i < bus->nr; i++) {
		struct ioport_dev *d = &bus->dev[i];

		if (port >= d->base && port - d->base < d->len)
			return d;
	}
	return NULL;
}

void ioport_add(struct iobus *bus, const struct ioport_dev *dev)
{
	/* Only a bug in the machine's device list gets here, never a guest. */
	if (bus->nr == IOPORT_MAX_DEVS || find(bus, dev->base) ||
	    find(bus, dev->base + dev->len - 1))
		abort();
	bus->dev[bus->nr++] = *dev;
}

/*
 * As on an ISA bus, an access that is too wide for the device, or that extends
 * past its last port, is split into bytes.
 */
static bool takes_whole(const struct ioport_dev *d, uint16_t port,
			unsigned int size)
{
	return size == 1 ||
	       (size <= d->width && port - d->base + size <= d->len);
}

static void tell_unclaimed(struct iobus *bus, bool out, uint16_t port,
			   unsigned int size, uint32_t val)
{
	uint8_t bit = 1U << ((port & 3) * 2 + out);

	if (!bus->trace || bus->told[port / 4] & bit)
		return;
	bus->told[port / 4] |= bit;
	if (out)
		say("no device at port 0x%x: %u-byte write of 0x%x is ignored",
		    port, size, val);
	else
		say("no device at port 0x%x: %u-byte read returns all ones",
		    port, size);
}

static uint32_t in_one(struct iobus *bus, uint16_t port, unsigned int size)
{
	uint32_t val = 0;
	struct ioport_dev *d = find(bus, port);

	if (!d) {
		tell_unclaimed(bus, false, port, size, 0);
		return UINT32_MAX;
	}
	if (takes_whole(d, port, size))
		return d->in(d->opaque, port - d->base, size);
	for (unsigned int i = 0; i < size; i++)
		val |= (in_one(bus, port + i, 1) & 0xff) << (8 * i);
	return val;
}

static void out_one(struct iobus *bus, uint16_t port, unsigned int size,
		    uint32_t val)
{
	struct ioport_dev *d = find(bus, port);

	if (!d) {
		tell_unclaimed(bus, true, port, size, val);
		return;
	}
	if (takes_whole(d, port, size)) {
		d->out(d->opaque, port - d->base, size, val);
		return;
	}
	for (unsigned int i = 0; i < size; i++)
		out_one(bus, port + i, 1, (val >> (8 * i)) & 0xff);
}

void ioport_access(struct iobus *bus, bool out, uint16_t port,
		   unsigned int size, uint32_t count, uint8_t *data)
{
	pthread_mutex_lock(&bus->lock);
	for (uint32_t i = 0; i < count; i++, data += size) {
		uint32_t val = 0;

		/* Little endian on both sides: the low bytes are the value. */
		if (out) {
			memcpy(&val, data, size);
			out_one(bus, port, size, val);
		} else {
			val = in_one(bus, port, size);
			memcpy(data, &val, size);
		}
	}
	pthread_mutex_unlock(&bus->lock);
}
