// SPDX-License-Identifier: GPL-2.0
/* Blocking by NMI, which L1 and L2 share. SDM 3C 26.3, 27.7.1, 28.5.5. */
/*
 * A processor has one flag that blocks NMIs. Here, VMCS01 and VMCS02 have one
 * each, in their interruptibility states, and L0 carries the flag across L1's
 * VM entries and exits.
 *
 * VMCS02 always uses "virtual NMIs", since physical NMIs are the host's: its bit
 * is virtual-NMI blocking. What that stands for depends on L1's controls:
 *
 * - With "virtual NMIs", for L2's virtual-NMI blocking. Nothing blocks NMIs while
 *   L2 runs: the entry clears L1's flag.
 * - Without "NMI exiting", for the flag. IRET and the delivery of an NMI change
 *   the bit as they change the flag. Only the injection of an NMI by L1 does not:
 *   it leaves the flag as the entry loads it, but sets the bit.
 * - With "NMI exiting" alone, for nothing. IRET and injection change the bit, but
 *   not the flag, which remains as the entry loaded it.
 *
 * nested.nmi_soft says that the flag is in vmcs12 instead, as the entry loaded
 * it: in the third case always, in the second until an injected NMI is delivered.
 */
#include <asm/vmx.h>
#include "droste.h"
#include "nested/nested.h"
#include "nested/vmcs02.h"
#include "vmx/inject.h"
#include "vmx/vmx.h"

static bool nmi_is_vectoring(u32 info)
{
	return (info & (INTR_INFO_VALID_MASK | INTR_INFO_INTR_TYPE_MASK)) == (INTR_INFO_VALID_MASK | INTR_TYPE_NMI_INTR);
}

/**
 * nmi_load() - the interruptibility state of VMCS02 for an entry without "virtual NMIs" of L1
 * @n: VMCS12 has the entry's state and controls
 *
 * Context: Any.
 * Return: the value for VMCS02.
 */
u32 nmi_load(struct nested *n)
{
	const struct vmcs12 *v = n->vmcs12;

	n->nmi_soft = (v->pin_based_vm_exec_control & PIN_BASED_NMI_EXITING) ||
		      nmi_is_vectoring(v->vm_entry_intr_info_field);
	return v->guest_interruptibility_info & (n->nmi_soft ? ~(u32)GUEST_INTR_STATE_NMI : ~0U);
}

/**
 * nmi_note_exit() - L2 has exited, and may have received the NMI that L1 injected
 * @vcpu: in L2 with nested.nmi_soft set; after vmx_save_vectoring()
 *
 * Context: Process context. Reads and writes VMCS02, which is current. Does not sleep.
 */
void nmi_note_exit(struct vcpu *vcpu)
{
	struct nested *n = &vcpu->nested;
	struct vmx_exit *e = &vcpu->exit;

	/* The entry has failed, or the NMI must be delivered again. */
	if (n->entry_pending || nested_wants_nmi(vcpu) || nmi_is_vectoring(e->idt_info))
		return;
	n->nmi_soft = false;
	/* The entry blocked NMIs: VMCS02 has what L2 has done to the flag since. */
	if (n->vmcs12->guest_interruptibility_info & GUEST_INTR_STATE_NMI)
		return;
	/* The entry did not block NMIs, and an IRET had nothing to unblock. */
	if (vmx_exit_of_iret(e)) {
		e->intr_info &= ~(u32)INTR_INFO_UNBLOCK_NMI;
		if (e->basic != EXIT_REASON_EXCEPTION_NMI)
			e->qual &= ~BIT_ULL(12);
	}
	vmcs_clear_bits(GUEST_INTERRUPTIBILITY_INFO, GUEST_INTR_STATE_NMI);
}

/**
 * nmi_exit_blocked() - whether an NMI that is to exit to L1 has to wait
 * @vcpu: in L2, whose L1 uses "NMI exiting"
 *
 * Only L1 can end that.
 *
 * Context: Any.
 * Return: true if NMIs are blocked.
 */
bool nmi_exit_blocked(const struct vcpu *vcpu)
{
	const struct nested *n = &vcpu->nested;

	return n->nmi_soft && (n->vmcs12->guest_interruptibility_info & GUEST_INTR_STATE_NMI);
}

/**
 * nmi_before_exit() - correct the blocking in VMCS12 that an exit to L1 has saved
 * @vcpu: in L2; VMCS12 has the state and the IDT-vectoring information of the exit
 * @e: the exit
 *
 * vmx_save_vectoring() has prepared VMCS02 for the repetition of an NMI or an
 * IRET that was interrupted. L1 decides itself whether it repeats them: it sees
 * that the NMI blocks (SDM 3C 28.1, 27.7.1), and that IRET has unblocked (26.3).
 *
 * Context: Any.
 */
void nmi_before_exit(struct vcpu *vcpu, const struct vmx_exit *e)
{
	struct vmcs12 *v = vcpu->nested.vmcs12;

	if (unlikely(vcpu->nested.nmi_soft))
		return;
	if (unlikely(nmi_is_vectoring(v->idt_vectoring_info_field)))
		v->guest_interruptibility_info |= GUEST_INTR_STATE_NMI;
	else if (unlikely(vmx_exit_of_iret(e)))
		v->guest_interruptibility_info &= ~GUEST_INTR_STATE_NMI;
}
