// SPDX-License-Identifier: GPL-2.0
/* Stores of L2 to ioeventfds of L0's user space, in the short loop: L1 passes a device on, and does not wake up for it. */
#include "droste.h"
#include "cpu/walk.h"
#include "io/emulate.h"
#include "mem/memslot.h"
#include "nested/nested.h"
#include "vmx/vmx.h"

/* Caller holds vm->srcu for reading, and has disabled page faults. */
static bool kick_locked(struct vcpu *vcpu, gpa_t l2_gpa)
{
	gpa_t gpa = l2_gpa;

	if (current->mm != vcpu->vm->mm || (vcpu->nested.ept02.cur && !walk_device(vcpu, l2_gpa, &gpa)))
		return false;
	return ((gpa ^ vcpu->apic_base) & PAGE_MASK) && !nested_is_apic_page(vcpu->nested.vmcs12, gpa) && quick_kick(vcpu, gpa);
}

/**
 * nested_kick() - execute a store of L2 to an ioeventfd of L0's user space in the short loop
 * @vcpu: in L2, has just exited because of an EPT violation; no register is cached
 *
 * Does what nested_handle_ept() would do, if nothing is due to L1 after the instruction.
 *
 * Context: Interrupts disabled. VMCS02 is current. Caller holds vcpu->mutex.
 * Return: false if the exit must be handled otherwise; nothing has changed then.
 */
bool nested_kick(struct vcpu *vcpu)
{
	gpa_t l2_gpa = vmcs_read(GUEST_PHYSICAL_ADDRESS);
	struct nested *n = &vcpu->nested;
	bool done;
	int idx;

	if (likely(!nested_has_device(n, l2_gpa)) || !READ_ONCE(vcpu->vm->ioeventfds.nr) ||
	    !io_is_store(vmcs_read(EXIT_QUALIFICATION)))
		return false;
	/* Another processor may have lowered L2's TPR: nested_before_entry() must look. */
	if (nested_wants_mtf(n) || n->nmi_soft || n->tpr_threshold02)
		return false;
	idx = memslot_begin_nofault(vcpu->vm);
	done = kick_locked(vcpu, l2_gpa);
	memslot_end_nofault(vcpu->vm, idx);
	if (!done)
		return false;
	/* The exit was none of an event's delivery: an event that the entry injected has been delivered. */
	n->entry_pending = false;
	n->delivery_pending = false;
	vcpu->ev.injected.valid = false;
	vcpu->exits[EXIT_REASON_EPT_VIOLATION]++;
	vcpu->exits_l2[EXIT_REASON_EPT_VIOLATION]++;
	return true;
}
