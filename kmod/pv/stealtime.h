/* SPDX-License-Identifier: GPL-2.0 */
/* Stolen time: tells a guest how long its vCPU waited for a CPU. */
#ifndef DROSTE_STEALTIME_H
#define DROSTE_STEALTIME_H

#include "cpu/msr_row.h"

void steal_time_update(struct vcpu *vcpu);
void steal_time_preempted(struct vcpu *vcpu);
MSR_GET(msr_get_steal_time);
MSR_SET(msr_set_steal_time);

#endif
