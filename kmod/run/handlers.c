// SPDX-License-Identifier: GPL-2.0
/* L0's exit handlers that need only a few lines each. SDM 3C 26, 28. */
#include <linux/cpumask.h>
#include <linux/smp.h>
#include <asm/special_insns.h>
#include <asm/trapnr.h>
#include "droste.h"
#include "cpu/cpuid.h"
#include "cpu/fpu.h"
#include "cpu/msr.h"
#include "ept/ept.h"
#include "io/emulate.h"
#include "io/ports.h"
#include "irqchip/irqchip.h"
#include "nested/nested.h"
#include "run/handlers.h"
#include "run/request.h"
#include "trace.h"
#include "vmx/inject.h"
#include "vmx/regs.h"

/**
 * exit_unexpected() - handle an exit for which L0 never asked
 * @vcpu: loaded
 *
 * The state of the vCPU cannot be trusted any more, so KVM_RUN ends with
 * KVM_INTERNAL_ERROR_UNEXPECTED_EXIT_REASON.
 *
 * Context: That of run/handlers.h.
 * Return: NEXT_USER.
 */
int exit_unexpected(struct vcpu *vcpu)
{
	u64 data[2] = { vcpu->exit.reason, vcpu->exit.qual };

	return vcpu_internal_error(vcpu, KVM_INTERNAL_ERROR_UNEXPECTED_EXIT_REASON, data, 2);
}

/**
 * exit_entry_failure() - handle a VM entry that failed while it loaded the guest state (SDM 27.8)
 * @vcpu: loaded
 *
 * Context: That of run/handlers.h.
 * Return: NEXT_USER with KVM_EXIT_FAIL_ENTRY, or NEXT_ENTER.
 */
int exit_entry_failure(struct vcpu *vcpu)
{
	/*
	 * L2 had run before, so this is no VM entry of L1 with invalid fields, which
	 * L0 would have found. User space has given L2 a state that no processor
	 * can be in. Report a triple fault of L2 to L1.
	 */
	if (vcpu->in_l2 && !vcpu->nested.entry_pending && vcpu->exit.basic == EXIT_REASON_INVALID_STATE) {
		vcpu->ev.triple_fault = true;
		return NEXT_ENTER;
	}
	pr_info_ratelimited("droste: VM entry failed, reason %#x, qualification %#llx, %s\n",
			    vcpu->exit.reason, vcpu->exit.qual, vcpu->in_l2 ? "L2" : "L1");
	vcpu->run->exit_reason = KVM_EXIT_FAIL_ENTRY;
	vcpu->run->fail_entry.hardware_entry_failure_reason = vcpu->exit.reason;
	vcpu->run->fail_entry.cpu = raw_smp_processor_id();
	return NEXT_USER;
}

/**
 * exit_triple_fault() - handle a triple fault
 * @vcpu: loaded
 *
 * Context: That of run/handlers.h.
 * Return: NEXT_USER with KVM_EXIT_SHUTDOWN.
 */
int exit_triple_fault(struct vcpu *vcpu)
{
	return vcpu_triple_fault(vcpu);
}

/**
 * exit_external_interrupt() - handle an external interrupt
 * @vcpu: loaded
 *
 * Nothing is left to do: the interrupt is the host's, which took it when
 * loop_enter() enabled interrupts.
 *
 * Context: That of run/handlers.h.
 * Return: NEXT_ENTER.
 */
int exit_external_interrupt(struct vcpu *vcpu)
{
	return NEXT_ENTER;
}

/**
 * exit_interrupt_window() - handle an interrupt window: the guest can take an interrupt now
 * @vcpu: loaded
 *
 * Context: That of run/handlers.h.
 * Return: NEXT_ENTER, or NEXT_USER if user space asked for the window (request_interrupt_window).
 */
int exit_interrupt_window(struct vcpu *vcpu)
{
	/* events_prepare() injects the interrupt, and closes the window. */
	vcpu_request(vcpu, REQ_EVENT);
	if (vcpu->wants_irq_window && irqchip_takes_extint(vcpu)) {
		vcpu->run->exit_reason = KVM_EXIT_IRQ_WINDOW_OPEN;
		return NEXT_USER;
	}
	return NEXT_ENTER;
}

/**
 * exit_nmi_window() - handle an NMI window: the guest can take an NMI now
 * @vcpu: loaded
 *
 * Context: That of run/handlers.h.
 * Return: NEXT_ENTER.
 */
int exit_nmi_window(struct vcpu *vcpu)
{
	vcpu_request(vcpu, REQ_EVENT);
	return NEXT_ENTER;
}

/**
 * exit_preemption_timer() - handle the exit that want_immediate_exit asked for, or at a deadline of the guest
 * @vcpu: loaded
 *
 * The next turn of the loop looks at events; in L2, L1's preemption timer is one.
 *
 * Context: That of run/handlers.h.
 * Return: NEXT_ENTER.
 */
int exit_preemption_timer(struct vcpu *vcpu)
{
	if (vcpu->timer.apic)
		vlapic_timer_request(vcpu);
	return NEXT_ENTER;
}

/**
 * exit_task_switch() - handle a hardware task switch, which always exits (SDM 26.4.2)
 * @vcpu: loaded
 *
 * Context: That of run/handlers.h.
 * Return: NEXT_ENTER; NEXT_USER with KVM_INTERNAL_ERROR_EMULATION if a TSS is
 * not in memory; -EFAULT if memory is not accessible.
 */
int exit_task_switch(struct vcpu *vcpu)
{
	return vcpu->in_l2 ? exit_unexpected(vcpu) : emul_task_switch(vcpu);
}

/**
 * exit_cpuid() - handle CPUID: answer from the leaves that user space set
 * @vcpu: loaded
 *
 * Context: That of run/handlers.h.
 * Return: NEXT_ENTER.
 */
int exit_cpuid(struct vcpu *vcpu)
{
	u32 eax = vcpu->regs[RAX], ecx = vcpu->regs[RCX], ebx, edx;

	vcpu_cpuid(vcpu, &eax, &ebx, &ecx, &edx);
	vcpu->regs[RAX] = eax;
	vcpu->regs[RBX] = ebx;
	vcpu->regs[RCX] = ecx;
	vcpu->regs[RDX] = edx;
	vcpu_skip_instruction(vcpu);
	return NEXT_ENTER;
}

/**
 * exit_ud() - handle an instruction that the guest was not given: raise #UD
 * @vcpu: loaded
 *
 * Context: That of run/handlers.h.
 * Return: NEXT_ENTER.
 */
int exit_ud(struct vcpu *vcpu)
{
	vcpu_queue_exception(vcpu, X86_TRAP_UD);
	return NEXT_ENTER;
}

/**
 * exit_hlt() - handle HLT
 * @vcpu: loaded
 *
 * A debug exception ends HLT (SDM 2A, HLT), so a trap behind it leaves nothing to wait for.
 *
 * Context: That of run/handlers.h.
 * Return: NEXT_ENTER; the run loop waits for an event then. NEXT_USER without an in-kernel local APIC.
 */
int exit_hlt(struct vcpu *vcpu)
{
	vcpu_skip_instruction(vcpu);
	if (unlikely(event_trap_due(vcpu)))
		return NEXT_ENTER;
	if (!vcpu->lapic) {
		vcpu->run->exit_reason = KVM_EXIT_HLT;
		return NEXT_USER;
	}
	vcpu->mp_state = KVM_MP_STATE_HALTED;
	return NEXT_ENTER;
}

/**
 * exit_pml_full() - handle a full page-modification log
 * @vcpu: loaded
 *
 * Nothing is left to do: loop_enter() flushes the log after every exit.
 *
 * Context: That of run/handlers.h.
 * Return: NEXT_ENTER.
 */
int exit_pml_full(struct vcpu *vcpu)
{
	return NEXT_ENTER;
}

/**
 * exit_skip() - handle an instruction that the guest must not execute: skip it
 * @vcpu: loaded
 *
 * INVD, for instance, because the caches are the host's.
 *
 * Context: That of run/handlers.h.
 * Return: NEXT_ENTER.
 */
int exit_skip(struct vcpu *vcpu)
{
	vcpu_stay_calm(vcpu);
	vcpu_skip_instruction(vcpu);
	return NEXT_ENTER;
}

/* Called with interrupts disabled. */
static void exit_wbinvd_here(void *unused)
{
	wbinvd();
}

/*
 * Write back the caches of all CPUs that may have what the guest wrote. The
 * thread stays here meanwhile, and only it changes the set. From now on the
 * guest writes into the caches of this CPU, and of those to which it moves.
 */
static void exit_write_back(struct vcpu *vcpu)
{
	int cpu = get_cpu();

	cpumask_set_cpu(cpu, vcpu->cached_on);
	on_each_cpu_mask(vcpu->cached_on, exit_wbinvd_here, NULL, true);
	cpumask_clear(vcpu->cached_on);
	cpumask_set_cpu(cpu, vcpu->cached_on);
	put_cpu();
}

/**
 * vm_write_back() - write back the caches of all CPUs that may have what a VM's guest wrote
 * @vm: the VM, whose vCPUs are out of the guest
 *
 * Each vCPU's own WBINVD writes back these CPUs' again: the sets are not emptied.
 *
 * Context: Process context. Waits for the CPUs.
 */
void vm_write_back(struct vm *vm)
{
	int i, n = smp_load_acquire(&vm->nr_vcpus);	/* after the slots of vm->vcpus */

	for (i = 0; i < n; i++)
		on_each_cpu_mask(vm->vcpus[i]->cached_on, exit_wbinvd_here, NULL, true);
}

/**
 * exit_wbinvd() - handle WBINVD: skip it, or write back the caches for a device whose DMA passes them by
 * @vcpu: loaded
 *
 * Without such a device nothing can tell whether memory or a cache has the data.
 *
 * Context: That of run/handlers.h.
 * Return: NEXT_ENTER.
 */
int exit_wbinvd(struct vcpu *vcpu)
{
	if (READ_ONCE(vcpu->vm->noncoherent))
		exit_write_back(vcpu);
	vcpu_stay_calm(vcpu);
	vcpu_skip_instruction(vcpu);
	return NEXT_ENTER;
}

/**
 * exit_pause() - handle a PAUSE loop: let a vCPU run that waits for a CPU and may hold the lock; if there is none, spin longer
 * @vcpu: loaded; of an exit that is kept from L1, one has run already
 *
 * Context: That of run/handlers.h.
 * Return: NEXT_ENTER.
 */
int exit_pause(struct vcpu *vcpu)
{
	const struct vmx_controls *c = vcpu->in_l2 ? &vcpu->nested.ctl02 : &vcpu->ctl01;

	vcpu_skip_instruction(vcpu);
	/* Each PAUSE exits, so this one says nothing about a loop. */
	if (unlikely(c->proc & CPU_BASED_PAUSE_EXITING))
		return NEXT_ENTER;
	ple_adapt(vcpu, (vcpu->in_l2 && vcpu->nested.pause.kept) || vcpu_spins(vcpu));
	return NEXT_ENTER;
}

/**
 * exit_rdpmc() - handle RDPMC: raise #GP(0), since no performance counters are offered
 * @vcpu: loaded
 *
 * Context: That of run/handlers.h.
 * Return: NEXT_ENTER.
 */
int exit_rdpmc(struct vcpu *vcpu)
{
	vcpu_queue_exception_err(vcpu, X86_TRAP_GP, 0);
	return NEXT_ENTER;
}

/* The guest gets #GP for the MSR in RCX, or user space handles it. */
static int exit_msr_refused(struct vcpu *vcpu, int err, bool write, u64 data)
{
	int next = msr_refused(vcpu, err, data);

	if (next == NEXT_ENTER)
		trace_droste_msr(vcpu, write, vcpu->regs[RCX], data, true);
	return next;
}

/**
 * exit_rdmsr() - handle RDMSR of an MSR that is not passed through
 * @vcpu: loaded
 *
 * Context: That of run/handlers.h.
 * Return: NEXT_ENTER, or NEXT_USER for an MSR that user space handles.
 */
int exit_rdmsr(struct vcpu *vcpu)
{
	u64 data;
	int err = vcpu_guest_get_msr(vcpu, vcpu->regs[RCX], &data);

	if (unlikely(err))
		return exit_msr_refused(vcpu, err, false, 0);
	trace_droste_msr(vcpu, false, vcpu->regs[RCX], data, false);
	vcpu->regs[RAX] = (u32)data;
	vcpu->regs[RDX] = data >> 32;
	vcpu_skip_instruction(vcpu);
	return NEXT_ENTER;
}

/**
 * exit_wrmsr() - handle WRMSR to an MSR that is not passed through
 * @vcpu: loaded
 *
 * Context: That of run/handlers.h.
 * Return: NEXT_ENTER, or NEXT_USER for an MSR that user space handles.
 */
int exit_wrmsr(struct vcpu *vcpu)
{
	u64 data = (u32)vcpu->regs[RAX] | (vcpu->regs[RDX] << 32);
	int err = 0;

	if (!vlapic_quick_wrmsr(vcpu, vcpu->regs[RCX], data))
		err = vcpu_guest_set_msr(vcpu, vcpu->regs[RCX], data);
	if (unlikely(err))
		return exit_msr_refused(vcpu, err, true, data);
	trace_droste_msr(vcpu, true, vcpu->regs[RCX], data, false);
	vcpu_skip_instruction(vcpu);
	return NEXT_ENTER;
}

/**
 * exit_mwait() - handle MONITOR and MWAIT
 * @vcpu: loaded
 *
 * They are NOPs, as in KVM, unless user space disabled
 * KVM_X86_QUIRK_MWAIT_NEVER_UD_FAULTS and CPUID lacks MONITOR: #UD then.
 *
 * Context: That of run/handlers.h.
 * Return: NEXT_ENTER.
 */
int exit_mwait(struct vcpu *vcpu)
{
	u32 eax = 1, ebx, ecx = 0, edx;

	if (!(READ_ONCE(vcpu->vm->disabled_quirks) & KVM_X86_QUIRK_MWAIT_NEVER_UD_FAULTS))
		return exit_skip(vcpu);
	vcpu_cpuid(vcpu, &eax, &ebx, &ecx, &edx);
	return ecx & BIT(3) ? exit_skip(vcpu) : exit_ud(vcpu);
}

/**
 * exit_umip() - handle an access to a descriptor-table register, which exits to emulate CR4.UMIP, or is forced to
 * @vcpu: loaded
 *
 * Or it exits because L0 knows the registers of an L1. The instruction is
 * executed again without that exit then.
 *
 * The instructions that load such a register fault above CPL 0 before they exit
 * (SDM 3C 26.1.1). CR4.UMIP forbids the others there.
 *
 * Context: That of run/handlers.h.
 * Return: enum next, or a negative errno.
 */
int exit_umip(struct vcpu *vcpu)
{
	if (nested_release_tables(vcpu)) {
		vcpu_repeat_instruction(vcpu);
		return NEXT_ENTER;
	}
	if (!vcpu_cpl(vcpu) || !(vcpu_cr4(vcpu) & X86_CR4_UMIP))
		return emul_instruction(vcpu);
	vcpu_queue_exception_err(vcpu, X86_TRAP_GP, 0);
	return NEXT_ENTER;
}

/**
 * exit_xsetbv() - handle XSETBV (SDM 2D)
 * @vcpu: loaded
 *
 * Context: That of run/handlers.h.
 * Return: NEXT_ENTER.
 */
int exit_xsetbv(struct vcpu *vcpu)
{
	u64 val = (u32)vcpu->regs[RAX] | (vcpu->regs[RDX] << 32);

	/* The processor checks CPL and CR4.OSXSAVE before it exits. */
	if (vcpu_set_xcr(vcpu, vcpu->regs[RCX], val))
		vcpu_queue_exception_err(vcpu, X86_TRAP_GP, 0);
	else
		vcpu_skip_instruction(vcpu);
	return NEXT_ENTER;
}

/**
 * exit_io() - handle IN, OUT, INS and OUTS (SDM table 28-5)
 * @vcpu: loaded
 *
 * Context: That of run/handlers.h.
 * Return: enum next, or a negative errno.
 */
int exit_io(struct vcpu *vcpu)
{
	u64 q = vcpu->exit.qual;

	ports_release(vcpu);
	if (q & BIT(4))		/* INS, OUTS */
		return emul_instruction(vcpu);
	return emul_pio(vcpu, q >> 16, (q & 7) + 1, q & BIT(3));
}

/**
 * exit_ept_violation() - handle an EPT violation: map the page, emulate the access, or give it to L1
 * @vcpu: loaded
 *
 * Context: That of run/handlers.h.
 * Return: enum next; -EFAULT if the memory is not accessible.
 */
int exit_ept_violation(struct vcpu *vcpu)
{
	u64 access = vcpu->exit.qual & EPT_RWX;
	bool flat = vcpu->in_l2 && vcpu->nested.ept02.flat;
	int ret;

	if (vcpu->in_l2 && vcpu->nested.ept02.cur)
		return nested_handle_ept(vcpu);
	if (!vcpu->in_l2) {
		ret = quick_mmio(vcpu, vcpu->exit.gpa);
		if (ret != NEXT_GO_ON)
			return ret;
	}

	switch (flat ? ept02_flat_fault(vcpu, vcpu->exit.gpa, access) : ept01_fault(vcpu, vcpu->exit.gpa, access)) {
	case EPT01_FIXED:
	case EPT01_SIGNAL:
		return NEXT_ENTER;
	case EPT01_MMIO:
	case EPT01_READONLY:
		if (vcpu->in_l2)
			return nested_access_device(vcpu, vcpu->exit.gpa);
		if (vcpu->ev.injected.valid)
			return vcpu_delivery_error(vcpu);
		return emul_instruction(vcpu);
	default:
		return -EFAULT;
	}
}

/**
 * exit_ept_misconfig() - handle an EPT misconfiguration
 * @vcpu: loaded
 *
 * EPT01 is never misconfigured. For EPT02, nested_handle_ept() looks whether
 * L1's EPT12 is.
 *
 * Context: That of run/handlers.h.
 * Return: enum next, or a negative errno.
 */
int exit_ept_misconfig(struct vcpu *vcpu)
{
	if (vcpu->in_l2 && vcpu->nested.ept02.cur)
		return nested_handle_ept(vcpu);
	return exit_unexpected(vcpu);
}
