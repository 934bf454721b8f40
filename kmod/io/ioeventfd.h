/* SPDX-License-Identifier: GPL-2.0 */
/* KVM_IOEVENTFD: guest writes that signal an eventfd. */
#ifndef DROSTE_IOEVENTFD_H
#define DROSTE_IOEVENTFD_H

#include "droste.h"

struct ioeventfd;

void ioeventfds_init(struct vm *vm);
const struct ioeventfd *ioeventfd_find(struct vm *vm, bool pio, u64 addr);
bool ioeventfd_signal(const struct ioeventfd *first, u32 len, u64 data);
void ioeventfd_release(struct vm *vm);
long ioeventfd_ioctl(void *self, void *arg, unsigned long uarg);

#endif
