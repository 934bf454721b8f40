// SPDX-License-Identifier: GPL-2.0
/* Events before an entry: the one that is injected, and the windows for those that wait. SDM 3C 25.8.3, 3A table 6-2. */
#include <asm/irq_vectors.h>
#include "droste.h"
#include "irqchip/irqchip.h"
#include "nested/nested.h"
#include "run/request.h"
#include "run/run.h"
#include "vmx/inject.h"
#include "vmx/vmx.h"

static void events_collect_nmis(struct vcpu *vcpu)
{
	unsigned int n;

	if (likely(!atomic_read(&vcpu->ev.nmi_queued)))
		return;
	n = vcpu->ev.nmi_pending + atomic_xchg(&vcpu->ev.nmi_queued, 0);
	/* One is handled, one waits behind it; more merge (SDM 3A 6.7). */
	vcpu->ev.nmi_pending = min(n, vmcs_read(GUEST_INTERRUPTIBILITY_INFO) & GUEST_INTR_STATE_NMI ? 1U : 2U);
}

/*
 * Open or close a window of L0's in the current VMCS, which remembers what L0
 * has open there: VMCS01 and VMCS02 each keep theirs while the other runs.
 * Where L1 asked for the same window in L2 the bit stays set whatever L0 wants.
 */
static void events_set_window(struct vcpu *vcpu, u32 bit, bool on)
{
	struct loaded_vmcs *v = vcpu->vmcs;

	if (!(v->windows & bit) == !on)
		return;
	v->windows ^= bit;
	if (vcpu->in_l2 && (vcpu->nested.vmcs12->cpu_based_vm_exec_control & bit))
		return;
	if (on)
		vmcs_set_bits(CPU_BASED_VM_EXEC_CONTROL, bit);
	else
		vmcs_clear_bits(CPU_BASED_VM_EXEC_CONTROL, bit);
}

/* Does a debugger of user space's keep interrupts and NMIs out, to see its steps undisturbed? */
static bool events_debugger_blocks(const struct vcpu *vcpu)
{
	return unlikely(vcpu->guest_debug & KVM_GUESTDBG_BLOCKIRQ);
}

/*
 * Whether an NMI, or an interrupt, belongs to L1 although L2 runs. L2 must never
 * get one that L1 intercepts: not if it came after nested_check_events() looked,
 * and not if it waits behind another event of L2.
 */
static bool events_nmi_is_l1s(struct vcpu *vcpu)
{
	return vcpu->in_l2 && nested_wants_nmi(vcpu);
}

static bool events_interrupt_is_l1s(struct vcpu *vcpu)
{
	return vcpu->in_l2 && nested_wants_extint(vcpu);
}

/**
 * events_interrupt_taken() - whether a pending external interrupt would be taken now
 * @vcpu: loaded
 *
 * By the level that runs, or by L1 as an exit of L2.
 *
 * Context: Process context. Reads the current VMCS.
 */
bool events_interrupt_taken(struct vcpu *vcpu)
{
	return vmx_interrupt_allowed(vcpu) || events_interrupt_is_l1s(vcpu);
}

/* Inject the first of what waits. True when something was written for the entry. */
static bool events_inject_first(struct vcpu *vcpu)
{
	struct vcpu_events *e = &vcpu->ev;
	int vector;

	if (e->injected.valid) {
		vmx_inject_event(vcpu, &e->injected);
		return true;
	}
	if (e->exception.valid) {
		vmx_deliver_payload(vcpu, &e->exception);
		vmx_set_fault_rf(vcpu, e->exception.vector);
		vmx_inject_event(vcpu, &e->exception);
		e->injected = e->exception;
		e->exception.valid = false;
		return true;
	}
	if (events_debugger_blocks(vcpu))
		return false;
	if (e->nmi_pending && !events_nmi_is_l1s(vcpu) && vmx_nmi_allowed(vcpu)) {
		e->nmi_pending--;
		vcpu->stats.nmi_injections++;
		vmcs_write(VM_ENTRY_INTR_INFO_FIELD, NMI_VECTOR | INTR_TYPE_NMI_INTR | INTR_INFO_VALID_MASK);
		return true;
	}
	if (events_interrupt_is_l1s(vcpu) || !vmx_interrupt_allowed(vcpu))
		return false;
	if (irqchip_pending_vector(vcpu) < 0)
		return false;
	vector = irqchip_ack(vcpu);
	if (vector < 0)
		return false;
	vcpu->stats.irq_injections++;
	vmcs_write(VM_ENTRY_INTR_INFO_FIELD, vector | INTR_TYPE_EXT_INTR | INTR_INFO_VALID_MASK);
	return true;
}

/**
 * events_prepare - choose what the next entry injects, and ask for windows for the rest
 * @vcpu: loaded; L1's claims on events of L2 were met by nested_check_events()
 *
 * Process context, irqs on. Order: SDM 3A table 6-2.
 *
 * Return: NEXT_ENTER, or what a triple fault leads to.
 */
int events_prepare(struct vcpu *vcpu)
{
	bool irq, nmi, blocked, injected = false;

	if (unlikely(vcpu->ev.triple_fault))
		return vcpu_triple_fault(vcpu);
	events_collect_nmis(vcpu);
	/* L1's own injection into L2 is in VMCS02 already and goes first. */
	if (!(vcpu->in_l2 && vcpu->nested.entry_pending))
		injected = events_inject_first(vcpu);
	/* A window for what is blocked would open at once, for ever. */
	blocked = events_debugger_blocks(vcpu);
	irq = !blocked && irqchip_pending_vector(vcpu) >= 0;
	nmi = !blocked && vcpu->ev.nmi_pending;
	/* L1's come out as soon as L2 has what it was to get first. */
	if ((irq && events_interrupt_is_l1s(vcpu)) || (nmi && events_nmi_is_l1s(vcpu))) {
		vcpu->want_immediate_exit = true;
		return NEXT_ENTER;
	}
	irq = irq || (vcpu->wants_irq_window && irqchip_takes_extint(vcpu));
	events_set_window(vcpu, CPU_BASED_INTR_WINDOW_EXITING, irq);
	events_set_window(vcpu, CPU_BASED_NMI_WINDOW_EXITING, nmi);
	/* A second exception behind one delivered again: come back as soon as the first is in. */
	if (injected && vcpu->ev.exception.valid)
		vcpu->want_immediate_exit = true;
	return NEXT_ENTER;
}
