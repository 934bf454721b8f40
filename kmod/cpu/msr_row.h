/* SPDX-License-Identifier: GPL-2.0 */
/* A row of the MSR table, and the shape of its handlers. */
#ifndef DROSTE_MSR_ROW_H
#define DROSTE_MSR_ROW_H

#include <linux/bits.h>
#include <linux/types.h>

struct vcpu;

/* One row of msrs.def: the MSRs @first to @last. */
struct msr_row {
	u32 first, last;
	u32 flags;		/* MSR_F_* */
	u64 arg;		/* what the handlers make of it: a VMCS field, an index, a value */
	/* 0, or -EINVAL for #GP(0). NULL: always #GP. @host: user space asks, not the guest */
	int (*get)(struct vcpu *vcpu, const struct msr_row *row, u32 msr, u64 *data, bool host);
	int (*set)(struct vcpu *vcpu, const struct msr_row *row, u32 msr, u64 data, bool host);
};
#define MSR_F_LIST	BIT(0)	/* KVM_GET_MSR_INDEX_LIST: user space saves and restores it */
#define MSR_F_FEATURE	BIT(1)	/* KVM_GET_MSR_FEATURE_INDEX_LIST: what the host can offer */
#define MSR_F_PV	BIT(2)	/* KVM's own: there for a guest whose feature leaf has bit @arg */

#define MSR_GET(name) \
	int name(struct vcpu *vcpu, const struct msr_row *row, u32 msr, u64 *data, bool host)
#define MSR_SET(name) \
	int name(struct vcpu *vcpu, const struct msr_row *row, u32 msr, u64 data, bool host)

#endif
