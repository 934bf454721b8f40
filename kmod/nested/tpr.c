// SPDX-License-Identifier: GPL-2.0
/* The TPR threshold of VMCS02: L0 enters L2 more often than L1 does, and may not compare it each time. SDM 3C 27.2.1.1, 27.7.7. */
#include "droste.h"
#include "irqchip/lapic_logic.h"
#include "nested/nested.h"
#include "nested/vmcs02.h"
#include "vmx/vmx.h"

/* The largest TPR threshold up to VMCS12's that a VM entry accepts with the present VTPR (SDM 3C 27.2.1.1). */
static u32 tpr_allowed_threshold(const struct nested *n)
{
	/* Without memory, VMCS02 uses a page of ones. */
	u8 vtpr = n->virtual_apic.hva ? READ_ONCE(*((u8 *)n->virtual_apic.hva + LAPIC_TPR)) : 0xff;

	return min_t(u32, n->vmcs12->tpr_threshold, vtpr >> 4);
}

static void tpr_set_threshold(struct nested *n, u32 threshold)
{
	if (n->tpr_threshold02 == threshold)
		return;
	n->tpr_threshold02 = threshold;
	vmcs_write(TPR_THRESHOLD, threshold);
	/* L1's next entry needs its own threshold again. */
	nested_changed(n);
}

/* Whether an entry exits at once if VTPR is below the threshold (SDM 3C 27.7.7), or else fails (27.2.1.1). */
static bool tpr_is_compared(const struct nested *n)
{
	return (n->ctl02.proc & CPU_BASED_TPR_SHADOW) && !vmcs02_delivers_virtually(&n->ctl02);
}

static bool tpr_has_apic_page(const struct nested *n)
{
	return n->ctl02.proc2 & SECONDARY_EXEC_VIRTUALIZE_APIC_ACCESSES;
}

/**
 * tpr_exit_due() - whether VTPR is below the threshold when L1 has entered L2 (SDM 3C 27.7.7)
 * @n: of a vCPU in L2, after vmcs02_place_pages()
 *
 * Context: Any.
 * Return: true if L2 must exit before its first instruction.
 */
bool tpr_exit_due(const struct nested *n)
{
	return tpr_is_compared(n) && tpr_has_apic_page(n) &&
	       tpr_allowed_threshold(n) < n->vmcs12->tpr_threshold;
}

/**
 * tpr_fit_threshold() - choose the TPR threshold of the next entry
 * @n: of a vCPU in L2
 *
 * An entry that L1 has made compares VTPR with L1's threshold, after the delivery of the event that it injects.
 * Entries that L0 makes on its own must not, since L2 or another processor may have lowered VTPR by a store.
 *
 * Context: Process context. VMCS02 is current.
 */
void tpr_fit_threshold(struct nested *n)
{
	bool exact = (n->entry_pending || n->delivery_pending) && tpr_has_apic_page(n);

	if (!n->tpr_retry && tpr_is_compared(n))
		tpr_set_threshold(n, exact ? n->vmcs12->tpr_threshold : tpr_allowed_threshold(n));
	n->tpr_retry = false;
}

/**
 * nested_retry_entry() - whether L2 can be entered after the processor has refused the entry
 * @vcpu: in L2
 * @error: the VM-instruction error of the entry
 *
 * A processor compares VTPR with the TPR threshold only at entries of L1. L0
 * enters L2 more often, and between two entries L2 or another processor can
 * lower VTPR by a store. The entry is repeated with a lower threshold then, at
 * last with 0, which always works.
 *
 * Context: Process context. VMCS02 is current.
 * Return: true if the entry must be repeated.
 */
bool nested_retry_entry(struct vcpu *vcpu, u32 error)
{
	struct nested *n = &vcpu->nested;
	u32 to = tpr_allowed_threshold(n);

	if (error != VMXERR_ENTRY_INVALID_CONTROL_FIELD || !(n->ctl02.proc & CPU_BASED_TPR_SHADOW) ||
	    vmcs02_delivers_virtually(&n->ctl02) || !n->tpr_threshold02)
		return false;
	n->tpr_retry = true;
	tpr_set_threshold(n, to < n->tpr_threshold02 ? to : 0);
	return true;
}
