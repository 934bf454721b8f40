/* SPDX-License-Identifier: GPL-2.0 */
/* CPUID of a vCPU: the entries that user space may choose from, those it chose, and the results of the instruction. */
#ifndef DROSTE_CPUID_H
#define DROSTE_CPUID_H

#include "cpu/types.h"

struct vcpu;
struct kvm_cpuid2;
struct kvm_cpuid_entry2;

int cpuid_init(void);
long cpuid_get_supported(struct kvm_cpuid2 __user *uarg);
long cpuid_get_emulated(struct kvm_cpuid2 __user *uarg);
int cpuid_set(struct vcpu *vcpu, struct kvm_cpuid_entry2 *entries, int n);
u64 cpuid_host_spec_ctrl(void);
void cpuid_update_caps(struct vcpu *vcpu);
struct kvm_cpuid_entry2 cpuid_entry_now(struct vcpu *vcpu, struct kvm_cpuid_entry2 e);
bool cpuid_quick(struct vcpu *vcpu);
bool vcpu_cpuid(struct vcpu *vcpu, u32 *eax, u32 *ebx, u32 *ecx, u32 *edx);
const struct kvm_cpuid_entry2 *vcpu_find_cpuid(struct vcpu *vcpu, u32 fn, u32 index);

#endif
