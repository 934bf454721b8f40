// SPDX-License-Identifier: GPL-2.0
/* The exit table: what to read of each exit, and which of L0's handlers answers it. */
#include "droste.h"
#include "run/handlers.h"

struct exit_row {
	const char *name;
	int (*handle)(struct vcpu *vcpu);	/* process context, irqs on, srcu held; enum next */
	u8 needs;
};

#define EXIT(nr, name, handler, needs) [nr] = { #name, handler, needs },
static const struct exit_row exit_rows[NR_EXIT_REASONS] = {
#include "exits.def"
};
#undef EXIT

const char *vmx_exit_name(u16 basic)
{
	return basic < NR_EXIT_REASONS && exit_rows[basic].name ? exit_rows[basic].name : "UNKNOWN";
}

/**
 * vmx_snapshot_exit - read the exit's facts once from the current VMCS
 * @vcpu: just exited
 *
 * Interrupts off. Only what exits.def says is meaningful for the reason is read (SDM 3C 28.2).
 */
void vmx_snapshot_exit(struct vcpu *vcpu)
{
	struct vmx_exit *e = &vcpu->exit;
	u8 needs;

	e->reason = vmcs_read(VM_EXIT_REASON);
	e->basic = e->reason;
	e->idt_info = vmcs_read(IDT_VECTORING_INFO_FIELD);
	needs = e->basic < NR_EXIT_REASONS ? exit_rows[e->basic].needs : 0;
	if (needs & EXIT_ILEN)
		e->ilen = vmcs_read(VM_EXIT_INSTRUCTION_LEN);
	if (needs & EXIT_QUAL)
		e->qual = vmcs_read(EXIT_QUALIFICATION);
	if (needs & EXIT_IINFO)
		e->iinfo = vmcs_read(VMX_INSTRUCTION_INFO);
	if (needs & EXIT_GPA)
		e->gpa = vmcs_read(GUEST_PHYSICAL_ADDRESS);
	if (needs & EXIT_GLA)
		e->gla = vmcs_read(GUEST_LINEAR_ADDRESS);
	if (needs & EXIT_INTR) {
		e->intr_info = vmcs_read(VM_EXIT_INTR_INFO);
		if (e->intr_info & INTR_INFO_DELIVER_CODE_MASK)
			e->intr_error = vmcs_read(VM_EXIT_INTR_ERROR_CODE);
	}
	if (unlikely(e->idt_info & INTR_INFO_VALID_MASK)) {
		if (e->idt_info & INTR_INFO_DELIVER_CODE_MASK)
			e->idt_error = vmcs_read(IDT_VECTORING_ERROR_CODE);
		e->ilen = vmcs_read(VM_EXIT_INSTRUCTION_LEN);
	}
}

/**
 * vmx_handle_exit - L0's answer to vcpu->exit
 * @vcpu: loaded
 *
 * Return: enum next, or a negative errno for KVM_RUN.
 */
int vmx_handle_exit(struct vcpu *vcpu)
{
	u16 basic = vcpu->exit.basic;

	if (unlikely(basic >= NR_EXIT_REASONS || !exit_rows[basic].handle))
		return exit_unexpected(vcpu);
	if (unlikely(vcpu->exit.reason & VMX_EXIT_REASONS_FAILED_VMENTRY))
		return exit_entry_failure(vcpu);
	return exit_rows[basic].handle(vcpu);
}
