/* SPDX-License-Identifier: GPL-2.0 */
/* Hypercalls, and KVM_ENABLE_CAP of a vCPU. */
#ifndef DROSTE_PV_H
#define DROSTE_PV_H

#include <linux/types.h>

struct vcpu;

bool pv_takes_hypercalls(const struct vcpu *vcpu);	/* VMCALL is a hypercall, and not as the SDM has it */
long pv_hypercall(struct vcpu *vcpu);		/* RAX's new value; at CPL 0 */
bool pv_fix_hypercall(struct vcpu *vcpu);	/* L1's #UD: true when it was VMMCALL and is answered; srcu held */
long vcpu_enable_cap(void *self, void *arg, unsigned long uarg);

#endif
