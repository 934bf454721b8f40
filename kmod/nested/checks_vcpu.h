/* SPDX-License-Identifier: GPL-2.0 */
/* The checks of a VM entry, for a vCPU: they collect the context that checks.c takes. */
#ifndef DROSTE_NESTED_CHECKS_VCPU_H
#define DROSTE_NESTED_CHECKS_VCPU_H

#include "nested/checks.h"

struct vcpu;

u32 nested_check_vmfail(struct vcpu *vcpu);
bool nested_check_guest(struct vcpu *vcpu, u64 *qual);
void nested_note_failure(struct vcpu *vcpu, u16 code, u64 qual);
bool nested_check_restored(struct vcpu *vcpu, const struct vmcs12 *v, u64 vmptr);

#endif
