/* SPDX-License-Identifier: GPL-2.0 */
/* kvmclock: the clock of a VM, and the structure that tells each vCPU the time. */
#ifndef DROSTE_KVMCLOCK_H
#define DROSTE_KVMCLOCK_H

#include "cpu/msr_row.h"

struct vm;
struct vcpu;

long vm_get_clock(void *self, void *arg, unsigned long uarg);
long vm_set_clock(void *self, void *arg, unsigned long uarg);
void kvmclock_update(struct vcpu *vcpu);
long vcpu_kvmclock_ctrl(void *self, void *arg, unsigned long uarg);

MSR_GET(msr_get_wall_clock);
MSR_SET(msr_set_wall_clock);
MSR_GET(msr_get_system_time);
MSR_SET(msr_set_system_time);

#endif
