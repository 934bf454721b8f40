/* SPDX-License-Identifier: GPL-2.0 */
/* All state of a virtual processor, as records. */
#ifndef DROSTECTL_VCPUSTATE_H
#define DROSTECTL_VCPUSTATE_H

#include <stddef.h>

#include "movestate.h"
#include "vm.h"

/**
 * vcpu_state_save() - read a processor's state
 * @vcpu: the processor, which is held
 * @s: the records are added to it
 * @why: filled in on errors: one sentence without its end
 * @size: bytes in @why
 *
 * Return: 0 or -1.
 */
int vcpu_state_save(struct vcpu *vcpu, struct move_state *s, char *why, size_t size);

/** vcpu_state_cpuid() - the CPUID of a processor in a state, for KVM_SET_CPUID2; the caller frees it; NULL without memory */
struct kvm_cpuid2 *vcpu_state_cpuid(const struct move_state *s, unsigned int id);

/**
 * vcpu_state_restore() - give a new processor, whose CPUID and feature MSRs are set, the rest of its state
 *
 * As vcpu_state_save().
 */
int vcpu_state_restore(struct vcpu *vcpu, const struct move_state *s, char *why, size_t size);

#endif
