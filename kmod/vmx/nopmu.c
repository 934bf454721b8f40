// SPDX-License-Identifier: GPL-2.0
/* What perf is told of a guest's performance counters. Alone in a file, because KVM's header has names that ours have. */
#include <linux/kvm_host.h>
#include "vmx/nopmu.h"

/* All 0: guests are offered no counters, so none uses PEBS. */
struct kvm_pmu vmx_no_pmu;
