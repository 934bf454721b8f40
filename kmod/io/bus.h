/* SPDX-License-Identifier: GPL-2.0 */
/* Writes of guests that the kernel takes for user space: ioeventfds and coalesced writes. */
#ifndef DROSTE_IO_BUS_H
#define DROSTE_IO_BUS_H

#include "droste.h"

bool bus_write(struct vcpu *vcpu, bool pio, u64 addr, u32 len, u64 data, bool coalesce);

/**
 * bus_note_changed() - note that a zone or a binding was added, or a binding removed, or that other ports are passed
 * @vm: the VM
 *
 * Must be called after it was published: whoever sees the new number sees it, too.
 *
 * Context: Any.
 */
static inline void bus_note_changed(struct vm *vm)
{
	smp_mb__before_atomic();	/* pairs with the acquire in bus_write() and quick_note_bound() */
	atomic64_inc(&vm->io_changed);
}

/**
 * io_is_absent() - whether nothing was bound to the address of a guest's write the last time
 * @vcpu: the vCPU that writes
 * @pio: true for a port, false for MMIO
 * @addr: port or guest-physical address
 *
 * vcpu->io_absent is the last address to which nothing was bound.
 *
 * Context: Thread of @vcpu.
 * Return: true if it is the address, and nothing has changed since. Something may be bound to a write of another length.
 */
static inline bool io_is_absent(const struct vcpu *vcpu, bool pio, u64 addr)
{
	const struct io_absent *no = &vcpu->io_absent;

	return no->addr == addr && no->pio == pio && no->changed == atomic64_read(&vcpu->vm->io_changed);
}

/**
 * io_write() - give a guest's write to an ioeventfd, or to the ring of coalesced writes
 * @vcpu: the vCPU that writes
 * @pio: true for a port, false for MMIO
 * @addr: port or guest-physical address
 * @len: 1 to 8 bytes
 * @data: the bytes written, and zeroes above them
 * @coalesce: whether the ring may take it
 *
 * A device of user space is written to again and again: io_is_absent() spares the search.
 *
 * Context: Process context, thread of @vcpu. Does not sleep. Caller holds vm->srcu for reading.
 * Return: true if it was taken; false if it needs an exit to user space.
 */
static inline bool io_write(struct vcpu *vcpu, bool pio, u64 addr, u32 len, u64 data, bool coalesce)
{
	if (io_is_absent(vcpu, pio, addr) && vcpu->io_absent.len == len)
		return false;
	return bus_write(vcpu, pio, addr, len, data, coalesce);
}

#endif
