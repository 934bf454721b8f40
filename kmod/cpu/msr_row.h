/* SPDX-License-Identifier: GPL-2.0 */
/* A row of the MSR table, and the type of its handlers. */
#ifndef DROSTE_MSR_ROW_H
#define DROSTE_MSR_ROW_H

#include <linux/bits.h>
#include <linux/types.h>

struct vcpu;

/* One row of msrs.def. */
struct msr_row {
	u32 first, last;	/* the MSRs of this row */
	u32 flags;		/* MSR_F_* */
	u64 arg;		/* argument of the handlers: a VMCS field, an index or a value */
	/*
	 * Handlers of RDMSR and WRMSR. @host is true if user space accesses the MSR,
	 * false if the guest does. They return 0; -EINVAL if the guest gets #GP(0);
	 * -ENOENT if the MSR does not exist for the guest. @get is NULL for an MSR
	 * that cannot be read. Called in process context with the vCPU loaded; the
	 * caller holds vcpu->mutex, and vm->srcu for reading.
	 */
	int (*get)(struct vcpu *vcpu, const struct msr_row *row, u32 msr, u64 *data, bool host);
	int (*set)(struct vcpu *vcpu, const struct msr_row *row, u32 msr, u64 data, bool host);
};
#define MSR_F_LIST	BIT(0)	/* in KVM_GET_MSR_INDEX_LIST: user space saves and restores it */
#define MSR_F_FEATURE	BIT(1)	/* in KVM_GET_MSR_FEATURE_INDEX_LIST: features that guests can be offered */
#define MSR_F_PV	BIT(2)	/* paravirtual MSR of KVM: exists if the guest's feature leaf has bit @arg */

/* The head of a handler. */
#define MSR_GET(name) \
	int name(struct vcpu *vcpu, const struct msr_row *row, u32 msr, u64 *data, bool host)
#define MSR_SET(name) \
	int name(struct vcpu *vcpu, const struct msr_row *row, u32 msr, u64 data, bool host)

#endif
