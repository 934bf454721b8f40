/* SPDX-License-Identifier: GPL-2.0 */
/* Exits of L1 in the short loop, with interrupts disabled. */
#ifndef DROSTE_RUN_SHORT_H
#define DROSTE_RUN_SHORT_H

#include <asm/processor-flags.h>
#include "droste.h"
#include "vmx/vmx.h"

bool exit_short(struct vcpu *vcpu);
bool multicall_short(struct vcpu *vcpu);

/**
 * short_next_rip() - find out where L1 goes on after the instruction that exited
 * @next: set to RIP behind the instruction
 *
 * Context: VMCS01 is current, and no register is cached.
 * Return: false if the instruction needs more than a new RIP, as vcpu_skip_instruction() describes.
 */
static __always_inline bool short_next_rip(u64 *next)
{
	u64 rip;

	if (unlikely(vmcs_read(GUEST_RFLAGS) & (X86_EFLAGS_TF | X86_EFLAGS_RF) ||
		     vmcs_read(GUEST_INTERRUPTIBILITY_INFO) & BLOCKING_ONE_INSN))
		return false;
	rip = vmcs_read(GUEST_RIP);
	*next = rip + vmcs_read(VM_EXIT_INSTRUCTION_LEN);
	return likely(!((rip ^ *next) >> 31));
}

#endif
