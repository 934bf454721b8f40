// SPDX-License-Identifier: GPL-2.0
/*
 * Exits of L1 that the short loop handles, with interrupts disabled: WRMSR, EOI, stores to ioeventfds, the VMX-preemption
 * timer, accesses to descriptor-table registers, VMREAD and VMWRITE.
 */
#include <asm/processor-flags.h>
#include "droste.h"
#include "io/bus.h"
#include "io/emulate.h"
#include "irqchip/irqchip.h"
#include "mem/memslot.h"
#include "nested/nested.h"
#include "run/run.h"
#include "run/short.h"
#include "vmx/inject.h"
#include "vmx/vmx.h"

static bool exit_wrmsr_short(struct vcpu *vcpu)
{
	u64 data = (u32)vcpu->regs[RAX] | (vcpu->regs[RDX] << 32), next;

	if (!short_next_rip(&next) || !vlapic_short_wrmsr(vcpu, vcpu->regs[RCX], data))
		return false;
	vmcs_write(GUEST_RIP, next);
	return true;
}

/* The access is a store to the local APIC's EOI register, or to an ioeventfd. */
static bool exit_ept_short(struct vcpu *vcpu)
{
	bool done;
	gpa_t gpa;
	int idx;

	if (!io_is_store(vmcs_read(EXIT_QUALIFICATION)))
		return false;
	gpa = vmcs_read(GUEST_PHYSICAL_ADDRESS);
	if (!((gpa ^ vcpu->apic_base) & PAGE_MASK))
		return quick_eoi(vcpu, gpa);
	if (!READ_ONCE(vcpu->vm->ioeventfds.nr) || io_is_absent(vcpu, false, gpa))
		return false;
	idx = memslot_begin_nofault(vcpu->vm);
	done = quick_kick(vcpu, gpa);
	memslot_end_nofault(vcpu->vm, idx);
	return done;
}

/* The timer was set for a deadline of the local APIC, whose interrupt is injected, or becomes a request. */
static bool exit_preemption_timer_short(struct vcpu *vcpu)
{
	if (!vcpu->timer.apic)
		return false;
	/* Before the next event takes its place. */
	vcpu->ev.injected.valid = false;
	vcpu->exits[EXIT_REASON_PREEMPTION_TIMER]++;
	if (!events_deadline_short(vcpu))
		vlapic_timer_request(vcpu);
	return true;
}

/* The instruction is executed again without the exit, or here: see exit_umip(). */
static bool exit_tables_short(struct vcpu *vcpu)
{
	u64 next;

	/* With a breakpoint, vcpu_repeat_instruction() has something to do. */
	if (unlikely(vcpu->dr7 & DR7_ACTIVE))
		return false;
	if (nested_release_tables(vcpu))
		return true;
	if (!short_next_rip(&next) || !quick_tables(vcpu))
		return false;
	vmcs_write(GUEST_RIP, next);
	return true;
}

static bool exit_vmrw_short(struct vcpu *vcpu)
{
	u64 next;

	/* The instruction is executed again without the exit, or here. */
	if (vcpu->exit.reason == EXIT_REASON_VMWRITE && nested_seldom_write(vcpu))
		return true;
	if (!short_next_rip(&next) || !nested_short_vmrw(vcpu, &next))
		return false;
	vmcs_write(GUEST_RIP, next);
	return true;
}

/**
 * exit_short() - handle an exit of L1 in the short loop
 * @vcpu: in L1, has just exited; exit.reason is valid
 *
 * No exit that is handled here interrupts the delivery of an event, so an event that
 * the entry injected has been delivered.
 *
 * Context: Interrupts disabled. VMCS01 is current, no register is cached. The
 * caller need not hold vm->srcu.
 * Return: false if the general path must handle the exit; nothing has changed then.
 */
bool exit_short(struct vcpu *vcpu)
{
	bool done;

	switch (vcpu->exit.reason) {
	case EXIT_REASON_MSR_WRITE:
		done = exit_wrmsr_short(vcpu);
		break;
	case EXIT_REASON_EPT_VIOLATION:
		done = exit_ept_short(vcpu);
		break;
	case EXIT_REASON_PREEMPTION_TIMER:
		return exit_preemption_timer_short(vcpu);
	case EXIT_REASON_GDTR_IDTR:
	case EXIT_REASON_LDTR_TR:
		done = exit_tables_short(vcpu);
		break;
	case EXIT_REASON_VMREAD:
	case EXIT_REASON_VMWRITE:
		done = exit_vmrw_short(vcpu);
		break;
	default:
		return false;
	}
	if (likely(done)) {
		vcpu->ev.injected.valid = false;
		vcpu->exits[vcpu->exit.basic]++;
	}
	return done;
}
