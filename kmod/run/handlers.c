// SPDX-License-Identifier: GPL-2.0
/* L0's handlers of the exits that need only a few lines each. SDM 3C 26, 28. */
#include <asm/trapnr.h>
#include "droste.h"
#include "cpu/cpuid.h"
#include "cpu/fpu.h"
#include "cpu/msr.h"
#include "ept/ept.h"
#include "io/emulate.h"
#include "irqchip/irqchip.h"
#include "nested/nested.h"
#include "run/handlers.h"
#include "run/request.h"
#include "vmx/inject.h"

/* An exit that L0 never asked for: the machine's state cannot be trusted to go on. */
int exit_unexpected(struct vcpu *vcpu)
{
	u64 data[2] = { vcpu->exit.reason, vcpu->exit.qual };

	return vcpu_internal_error(vcpu, KVM_INTERNAL_ERROR_UNEXPECTED_EXIT_REASON, data, 2);
}

/* The processor refused the guest state that L0 put together (SDM 27.8). */
int exit_entry_failure(struct vcpu *vcpu)
{
	/*
	 * Not at L1's VM entry, whose checks are L0's: user space has made a state
	 * of L2's that no processor can be in. L1 sees L2 shut down.
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

int exit_triple_fault(struct vcpu *vcpu)
{
	return vcpu_triple_fault(vcpu);
}

/* The host has taken it when interrupts came on again after the exit. */
int exit_external_interrupt(struct vcpu *vcpu)
{
	return NEXT_ENTER;
}

int exit_interrupt_window(struct vcpu *vcpu)
{
	/* vmx_prepare_events() injects now, and closes the window. */
	vcpu_request(vcpu, REQ_EVENT);
	if (vcpu->wants_irq_window && irqchip_takes_extint(vcpu)) {
		vcpu->run->exit_reason = KVM_EXIT_IRQ_WINDOW_OPEN;
		return NEXT_USER;
	}
	return NEXT_ENTER;
}

int exit_nmi_window(struct vcpu *vcpu)
{
	vcpu_request(vcpu, REQ_EVENT);
	return NEXT_ENTER;
}

/* Hardware task switches always exit (SDM 26.4.2). No hypervisor or kernel that Droste runs uses them. */
int exit_task_switch(struct vcpu *vcpu)
{
	u64 data[2] = { vcpu->exit.reason, vcpu->exit.qual };

	return vcpu_internal_error(vcpu, KVM_INTERNAL_ERROR_EMULATION, data, 2);
}

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

int exit_ud(struct vcpu *vcpu)
{
	vcpu_queue_exception(vcpu, X86_TRAP_UD);
	return NEXT_ENTER;
}

int exit_hlt(struct vcpu *vcpu)
{
	vcpu_skip_instruction(vcpu);
	if (!vcpu->lapic) {
		vcpu->run->exit_reason = KVM_EXIT_HLT;
		return NEXT_USER;
	}
	vcpu->mp_state = KVM_MP_STATE_HALTED;
	return NEXT_ENTER;
}

/* Every exit has flushed the log already. */
int exit_pml_full(struct vcpu *vcpu)
{
	return NEXT_ENTER;
}

/* Instructions whose effect on the host must not be: caches are the host's. */
int exit_skip(struct vcpu *vcpu)
{
	vcpu_skip_instruction(vcpu);
	return NEXT_ENTER;
}

/* The vCPU spins, for a lock most likely; who holds it may be waiting for a CPU. */
int exit_pause(struct vcpu *vcpu)
{
	vcpu_skip_instruction(vcpu);
	vcpu_spins(vcpu);
	return NEXT_ENTER;
}

/* No performance counters are offered: every index is out of range. */
int exit_rdpmc(struct vcpu *vcpu)
{
	vcpu_queue_exception_err(vcpu, X86_TRAP_GP, 0);
	return NEXT_ENTER;
}

int exit_rdmsr(struct vcpu *vcpu)
{
	u64 data;
	int err = vcpu_guest_get_msr(vcpu, vcpu->regs[RCX], &data);

	if (unlikely(err))
		return msr_refused(vcpu, err, 0);
	vcpu->regs[RAX] = (u32)data;
	vcpu->regs[RDX] = data >> 32;
	vcpu_skip_instruction(vcpu);
	return NEXT_ENTER;
}

int exit_wrmsr(struct vcpu *vcpu)
{
	u64 data = (u32)vcpu->regs[RAX] | (vcpu->regs[RDX] << 32);
	int err = vcpu_guest_set_msr(vcpu, vcpu->regs[RCX], data);

	if (unlikely(err))
		return msr_refused(vcpu, err, data);
	vcpu_skip_instruction(vcpu);
	return NEXT_ENTER;
}

/* MONITOR, MWAIT. CPUID does not offer them, but to KVM they are NOPs for whoever did not disable the quirk. */
int exit_mwait(struct vcpu *vcpu)
{
	u32 eax = 1, ebx, ecx = 0, edx;

	if (!(READ_ONCE(vcpu->vm->disabled_quirks) & KVM_X86_QUIRK_MWAIT_NEVER_UD_FAULTS))
		return exit_skip(vcpu);
	vcpu_cpuid(vcpu, &eax, &ebx, &ecx, &edx);
	return ecx & BIT(3) ? exit_skip(vcpu) : exit_ud(vcpu);
}

int exit_xsetbv(struct vcpu *vcpu)
{
	u64 val = (u32)vcpu->regs[RAX] | (vcpu->regs[RDX] << 32);

	/* SDM 2D XSETBV: the privilege check comes before the exit; #UD for CR4.OSXSAVE=0 does too. */
	if (vcpu_set_xcr(vcpu, vcpu->regs[RCX], val))
		vcpu_queue_exception_err(vcpu, X86_TRAP_GP, 0);
	else
		vcpu_skip_instruction(vcpu);
	return NEXT_ENTER;
}

/* SDM table 28-5: I/O instructions. */
int exit_io(struct vcpu *vcpu)
{
	u64 q = vcpu->exit.qual;

	if (q & BIT(4))		/* INS, OUTS */
		return emul_instruction(vcpu);
	return emul_pio(vcpu, q >> 16, (q & 7) + 1, q & BIT(3));
}

int exit_ept_violation(struct vcpu *vcpu)
{
	if (vcpu->in_l2 && vcpu->nested.ept02.cur)
		return nested_handle_ept(vcpu);

	switch (ept01_fault(vcpu, vcpu->exit.gpa, vcpu->exit.qual & EPT_RWX)) {
	case EPT01_FIXED:
		return NEXT_ENTER;
	case EPT01_MMIO:
	case EPT01_READONLY:
		if (vcpu->ev.injected.valid)
			return vcpu_delivery_error(vcpu);
		return emul_instruction(vcpu);
	default:
		return -EFAULT;
	}
}

/* EPT01 is Droste's own and never misconfigured; EPT02's misconfigurations are L1's. */
int exit_ept_misconfig(struct vcpu *vcpu)
{
	if (vcpu->in_l2 && vcpu->nested.ept02.cur)
		return nested_handle_ept(vcpu);
	return exit_unexpected(vcpu);
}
