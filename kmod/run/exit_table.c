// SPDX-License-Identifier: GPL-2.0
/* The exit table: L0's handler of each exit reason, from every part of the module. SDM 3D appendix C. */
#include "droste.h"
#include "nested/nested.h"
#include "run/handlers.h"
#include "run/run.h"

#define EXIT(nr, name, handler, needs) [nr] = handler,
/* The context in which these are called is in run/handlers.h. */
static int (*const exit_handlers[NR_EXIT_REASONS])(struct vcpu *vcpu) = {
#include "vmx/exits.def"
};
#undef EXIT

/**
 * exit_handle() - let L0 answer the exit in vcpu->exit
 * @vcpu: the vCPU, loaded; an exit of L2 is one that L1 does not take
 *
 * Context: Process context, interrupts enabled. May sleep. Caller holds
 * vcpu->mutex and vcpu->vm->srcu (read).
 * Return: enum next, or a negative errno that ends KVM_RUN.
 */
int exit_handle(struct vcpu *vcpu)
{
	u16 basic = vcpu->exit.basic;

	if (unlikely(basic >= NR_EXIT_REASONS || !exit_handlers[basic]))
		return exit_unexpected(vcpu);
	if (unlikely(vcpu->exit.reason & VMX_EXIT_REASONS_FAILED_VMENTRY))
		return exit_entry_failure(vcpu);
	return exit_handlers[basic](vcpu);
}
