/* SPDX-License-Identifier: GPL-2.0 */
/* KVM_IOEVENTFD: guest writes that signal an eventfd. */
#ifndef DROSTE_IOEVENTFD_H
#define DROSTE_IOEVENTFD_H

#include "droste.h"

void ioeventfds_init(struct vm *vm);
void ioeventfd_release(struct vm *vm);
bool ioeventfd_signal(struct vm *vm, bool pio, u64 addr, u32 len, const void *data);
long ioeventfd_ioctl(void *self, void *arg, unsigned long uarg);

/**
 * ioeventfd_write() - signal the eventfd that a guest's write is bound to
 * @vm: the VM
 * @pio: true for a port, false for MMIO
 * @addr: port or guest-physical address
 * @len: 1 to 8 bytes
 * @data: the bytes written
 *
 * Context: Process context. Does not sleep. Caller holds vm->srcu for reading.
 * Return: true if an eventfd was signalled; false if there is no binding.
 */
static inline bool ioeventfd_write(struct vm *vm, bool pio, u64 addr, u32 len, const void *data)
{
	return READ_ONCE(vm->ioeventfds.nr) && ioeventfd_signal(vm, pio, addr, len, data);
}

#endif
