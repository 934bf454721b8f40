// SPDX-License-Identifier: GPL-2.0
/* The exit table: L0's handler of each exit reason, wherever in the module it is written. SDM 3D appendix C. */
#include "droste.h"
#include "nested/nested.h"
#include "run/handlers.h"
#include "run/run.h"

#define EXIT(nr, name, handler, needs) [nr] = handler,
/* Each is called in process context with interrupts on and srcu held; returns enum next or a negative errno. */
static int (*const exit_handlers[NR_EXIT_REASONS])(struct vcpu *vcpu) = {
#include "vmx/exits.def"
};
#undef EXIT

/**
 * exit_handle - L0's answer to vcpu->exit
 * @vcpu: loaded
 *
 * Return: enum next, or a negative errno for KVM_RUN.
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
