/* SPDX-License-Identifier: GPL-2.0 */
/* The paravirtual features that guests are offered: bits of KVM's feature leaf. */
#ifndef DROSTE_PV_FEATURES_H
#define DROSTE_PV_FEATURES_H

#include <linux/bits.h>
#include <linux/kconfig.h>
#include <linux/kvm_para.h>

/* The bits of KVM's feature leaf that offer kvmclock. */
#define KVMCLOCK_FEATURES	(BIT(KVM_FEATURE_CLOCKSOURCE) | BIT(KVM_FEATURE_CLOCKSOURCE2))

/* Does this kernel count how long a thread waits for a CPU? */
#define STEAL_TIME_WORKS	IS_ENABLED(CONFIG_SCHED_INFO)

/* All bits of KVM's feature leaf that are offered. */
#define PV_FEATURES	(KVMCLOCK_FEATURES | BIT(KVM_FEATURE_PV_SCHED_YIELD) | BIT(KVM_FEATURE_PV_SEND_IPI) | \
			 BIT(KVM_FEATURE_PV_EOI) | BIT(KVM_FEATURE_PV_UNHALT) | \
			 (STEAL_TIME_WORKS ? BIT(KVM_FEATURE_STEAL_TIME) : 0))

#endif
