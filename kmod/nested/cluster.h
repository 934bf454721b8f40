/* SPDX-License-Identifier: GPL-2.0 */
/* VMREADs and VMWRITEs of L1 that follow one that has exited, executed without exits of their own. */
#ifndef DROSTE_NESTED_CLUSTER_H
#define DROSTE_NESTED_CLUSTER_H

#include "droste.h"

void cluster_alloc(struct vcpu *vcpu);
void cluster_free(struct vcpu *vcpu);
u64 cluster_go_on(struct vcpu *vcpu, u64 rip, u64 *flags);

#endif
