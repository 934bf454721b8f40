/* SPDX-License-Identifier: GPL-2.0 */
/* KVM_IOEVENTFD: guest writes that signal an eventfd. */
#ifndef DROSTE_IOEVENTFD_H
#define DROSTE_IOEVENTFD_H

#include <linux/types.h>

struct vm;

void ioeventfds_init(struct vm *vm);
void ioeventfd_release(struct vm *vm);
bool ioeventfd_write(struct vm *vm, bool pio, u64 addr, u32 len, const void *data);
long ioeventfd_ioctl(void *self, void *arg, unsigned long uarg);

#endif
