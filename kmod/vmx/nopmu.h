/* SPDX-License-Identifier: GPL-2.0 */
/* The guest's performance counters, for perf_guest_get_msrs(). */
#ifndef DROSTE_VMX_NOPMU_H
#define DROSTE_VMX_NOPMU_H

struct kvm_pmu;
extern struct kvm_pmu vmx_no_pmu;

#endif
