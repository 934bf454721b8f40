/* SPDX-License-Identifier: GPL-2.0 */
/* KVM_IOEVENTFD: guest writes that signal an eventfd. */
#ifndef DROSTE_IOEVENTFD_H
#define DROSTE_IOEVENTFD_H

#include "droste.h"

void ioeventfds_init(struct vm *vm);
void ioeventfd_release(struct vm *vm);
long ioeventfd_ioctl(void *self, void *arg, unsigned long uarg);

#endif
