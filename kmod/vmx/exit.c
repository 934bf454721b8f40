// SPDX-License-Identifier: GPL-2.0
/* The exit snapshot: each exit-information field that the exit reason defines is read once. SDM 3C 28.2. */
#include "droste.h"
#include "vmx/vmx.h"

/* The fields that each exit defines: EXIT_* bits. */
#define EXIT(nr, name, handler, needs) [nr] = needs,
static const u8 exit_needs[NR_EXIT_REASONS] = {
#include "vmx/exits.def"
};
#undef EXIT

/* Needs that few of the frequent exits have. */
#define EXIT_RARE	(EXIT_IINFO | EXIT_GPA | EXIT_GLA | EXIT_INTR)

/* Read the fields of EXIT_RARE. */
static __always_inline void exit_read_rare(struct vmx_exit *e, u8 needs)
{
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
}

/* IN and OUT have neither instruction information nor a linear address, as INS and OUTS do (SDM 3C 28.2.1, 28.2.5). */
static __always_inline void exit_read_io(struct vmx_exit *e)
{
	e->idt_info = 0;
	e->ilen = vmcs_read(VM_EXIT_INSTRUCTION_LEN);
	e->qual = vmcs_read(EXIT_QUALIFICATION);
	e->iinfo = e->qual & IO_STRING ? vmcs_read(VMX_INSTRUCTION_INFO) : 0;
	e->gla = e->qual & IO_STRING ? vmcs_read(GUEST_LINEAR_ADDRESS) : 0;
}

/* The fields of exits.def, without loops and tests. */
static __always_inline void exit_read_ept(struct vmx_exit *e)
{
	e->idt_info = vmcs_read(IDT_VECTORING_INFO_FIELD);
	e->ilen = vmcs_read(VM_EXIT_INSTRUCTION_LEN);
	e->qual = vmcs_read(EXIT_QUALIFICATION);
	e->gpa = vmcs_read(GUEST_PHYSICAL_ADDRESS);
	e->gla = vmcs_read(GUEST_LINEAR_ADDRESS);
}

/**
 * vmx_snapshot_exit() - read the exit information of the current VMCS into vcpu->exit
 * @vcpu: the vCPU that has just exited; vmx_guest_mode() has set exit.reason and exit.basic
 *
 * Reads the fields that exits.def names for the exit reason (SDM 3C 28.2); the
 * other members of vcpu->exit keep stale values.
 *
 * Context: Interrupts disabled. The VMCS that exited is current.
 */
void vmx_snapshot_exit(struct vcpu *vcpu)
{
	struct vmx_exit *e = &vcpu->exit;
	u8 needs;

	/* Exits to user space are mostly of this kind. */
	if (e->reason == EXIT_REASON_IO_INSTRUCTION) {
		exit_read_io(e);
		return;
	}
	if (e->reason == EXIT_REASON_EPT_VIOLATION) {
		exit_read_ept(e);
		if (unlikely(e->idt_info & INTR_INFO_VALID_MASK) && (e->idt_info & INTR_INFO_DELIVER_CODE_MASK))
			e->idt_error = vmcs_read(IDT_VECTORING_ERROR_CODE);
		return;
	}
	needs = e->basic < NR_EXIT_REASONS ? exit_needs[e->basic] : 0;
	/* A failed VM entry leaves the field as it was (SDM 27.8). */
	if ((needs & EXIT_NO_EVENT) || unlikely(e->reason & VMX_EXIT_REASONS_FAILED_VMENTRY))
		e->idt_info = 0;
	else
		e->idt_info = vmcs_read(IDT_VECTORING_INFO_FIELD);
	if (needs & EXIT_ILEN)
		e->ilen = vmcs_read(VM_EXIT_INSTRUCTION_LEN);
	if (needs & EXIT_QUAL)
		e->qual = vmcs_read(EXIT_QUALIFICATION);
	if (needs & EXIT_RARE)
		exit_read_rare(e, needs);
	if (unlikely(e->idt_info & INTR_INFO_VALID_MASK)) {
		if (e->idt_info & INTR_INFO_DELIVER_CODE_MASK)
			e->idt_error = vmcs_read(IDT_VECTORING_ERROR_CODE);
		e->ilen = vmcs_read(VM_EXIT_INSTRUCTION_LEN);
	}
}
