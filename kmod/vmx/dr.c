// SPDX-License-Identifier: GPL-2.0
/* Debug registers of the level that runs, or of the debugger in user space if it sets breakpoints. SDM 3B 18.2. */
#include <linux/hw_breakpoint.h>
#include <asm/debugreg.h>
#include "droste.h"
#include "run/request.h"
#include "vmx/regs.h"
#include "vmx/vmx.h"

#define DR6_FIXED	0xfffe0ff0ULL	/* bits that read as 1, besides DR6_RTM */
#define DR7_WRITABLE	0xffff23ffULL
#define DR7_RTM		BIT_ULL(11)	/* advanced debugging of transactional regions (SDM 3B 18.3.3) */

/**
 * vmx_debugger_owns_dr() - whether the debugger in user space sets hardware breakpoints
 * @vcpu: the vCPU; caller holds its mutex
 *
 * Context: Any.
 * Return: true if the processor runs the guest with the debugger's DR0-DR3 and DR7.
 */
bool vmx_debugger_owns_dr(const struct vcpu *vcpu)
{
	return (vcpu->guest_debug & KVM_GUESTDBG_ENABLE) && (vcpu->guest_debug & KVM_GUESTDBG_USE_HW_BP);
}

/**
 * vmx_debugger_takes_db() - whether #DB is for the debugger in user space
 * @vcpu: the vCPU; caller holds its mutex
 *
 * Context: Any.
 * Return: true if the debugger single-steps or sets hardware breakpoints.
 */
bool vmx_debugger_takes_db(const struct vcpu *vcpu)
{
	return (vcpu->guest_debug & KVM_GUESTDBG_ENABLE) &&
	       (vcpu->guest_debug & (KVM_GUESTDBG_SINGLESTEP | KVM_GUESTDBG_USE_HW_BP));
}

/**
 * vcpu_effective_dr7() - DR7 with which the guest runs
 * @vcpu: the vCPU; caller holds its mutex
 *
 * Context: Any.
 * Return: the guest's DR7, or that of the debugger in user space.
 */
u64 vcpu_effective_dr7(struct vcpu *vcpu)
{
	return vmx_debugger_owns_dr(vcpu) ? vcpu->guest_debug_dr[7] | DR7_FIXED : vcpu->dr7;
}

/**
 * vmx_write_dr7() - write the DR7 that is in effect to the current VMCS
 * @vcpu: loaded
 *
 * Context: Writes the current VMCS. Does not sleep.
 */
void vmx_write_dr7(struct vcpu *vcpu)
{
	vcpu->vmcs->dr7 = vcpu_effective_dr7(vcpu);
	vmcs_write(GUEST_DR7, vcpu->vmcs->dr7);
}

/**
 * vcpu_set_dr7() - set DR7 of the running level
 * @vcpu: loaded
 * @dr7: new value; reserved bits are ignored
 *
 * Context: Writes the current VMCS. Does not sleep.
 */
void vcpu_set_dr7(struct vcpu *vcpu, u64 dr7)
{
	vcpu->dr7 = (dr7 & (DR7_WRITABLE | (vcpu->gcaps.rtm ? DR7_RTM : 0))) | DR7_FIXED;
	nested_changed(&vcpu->nested);
	vmx_write_dr7(vcpu);
}

/**
 * vcpu_dr6_value() - value of DR6 after a write
 * @vcpu: the vCPU; caller holds its mutex
 * @dr6: the value written
 *
 * Context: Any.
 * Return: @dr6 with reserved bits as the processor fixes them.
 */
u64 vcpu_dr6_value(const struct vcpu *vcpu, u64 dr6)
{
	/* Without RTM its bit is reserved and reads as 1, as it does outside transactional regions (SDM 3B 18.2.3). */
	return (dr6 & DR6_WRITABLE) | DR6_FIXED | (vcpu->gcaps.rtm ? dr6 & DR6_RTM : DR6_RTM);
}

/**
 * vcpu_add_dr6() - set bits of DR6 as a debug exception does
 * @vcpu: the vCPU; caller holds its mutex
 * @bits: B0-B3, BD, BS, BT; bit 16 if the exception came from a transactional
 *	region, as in exit qualifications and pending debug exceptions
 *
 * B0-B3 are replaced, the other bits accumulate. DR6.RTM is the inverse of bit 16
 * (SDM 3B 18.2.3, 18.3.3).
 *
 * Context: Any.
 */
void vcpu_add_dr6(struct vcpu *vcpu, u64 bits)
{
	vcpu->dr6 = (vcpu->dr6 & ~0xfULL) | DR6_RTM | (bits & DR6_WRITABLE);
	if (vcpu->gcaps.rtm && (bits & DR6_RTM))
		vcpu->dr6 &= ~DR6_RTM;
}

/* Bits of IA32_DEBUGCTL that the processor implements for guests. The others would act on the host's records. */
#define DEBUGCTL_LOADED	(DEBUGCTLMSR_BTF | DEBUGCTL_RTM)

/**
 * vcpu_set_debugctl() - set IA32_DEBUGCTL of the running level
 * @vcpu: loaded
 * @val: new value, without reserved bits
 *
 * The guest reads all bits back, but only BTF and RTM have an effect: branches
 * are not recorded or traced. RDMSR does not exit while the MSR is 0, as it
 * nearly always is; KVM as L1 reads it after every exit of its guest.
 *
 * Context: Writes the current VMCS, if its value changes. Does not sleep.
 */
void vcpu_set_debugctl(struct vcpu *vcpu, u64 val)
{
	u64 loaded = val & DEBUGCTL_LOADED;

	if (unlikely(loaded != vcpu->vmcs->debugctl)) {
		vmcs_write(GUEST_IA32_DEBUGCTL, loaded);
		vcpu->vmcs->debugctl = loaded;
	}
	if (likely(val == vcpu->debugctl))
		return;
	/* msr_update_bitmap() lets RDMSR pass, or not. */
	if (!val != !vcpu->debugctl)
		vcpu_request(vcpu, REQ_MSR_FILTER);
	vcpu->debugctl = val;
	/* An L2 that has set it has another value at its next entry than again.c has learned, although L1's is 0 again. */
	nested_changed(&vcpu->nested);
}

/**
 * vmx_switch_dr() - load DR0 to DR3 for the guest, or turn off the host's breakpoints
 * @vcpu: the vCPU that is about to enter, by vmx_load_guest_dr()
 *
 * Loads nothing if the guest has no active breakpoints: MOV DR always exits, so
 * the guest never reads the registers of the processor.
 *
 * Context: Interrupts disabled. vmx_host_return() must be called after the exit.
 */
void vmx_switch_dr(struct vcpu *vcpu)
{
	u64 *dr = vmx_debugger_owns_dr(vcpu) ? vcpu->guest_debug_dr : vcpu->dr;

	if (likely(!(vcpu_effective_dr7(vcpu) & DR7_ACTIVE))) {
		/* The host's breakpoints must not hit in vmx_guest_mode(). */
		if (unlikely(hw_breakpoint_active()))
			set_debugreg(DR7_FIXED, 7);
		return;
	}
	set_debugreg(DR7_FIXED, 7);
	set_debugreg(dr[0], 0);
	set_debugreg(dr[1], 1);
	set_debugreg(dr[2], 2);
	set_debugreg(dr[3], 3);
}

/**
 * vmx_code_breakpoints() - the instruction breakpoints at the next instruction
 * @vcpu: loaded
 *
 * Context: Reads the current VMCS if there are active breakpoints. Does not sleep.
 * Return: their bits in DR6, B0 to B3.
 */
u64 vmx_code_breakpoints(struct vcpu *vcpu)
{
	const u64 *dr = vmx_debugger_owns_dr(vcpu) ? vcpu->guest_debug_dr : vcpu->dr;
	u64 dr7 = vcpu_effective_dr7(vcpu), hits = 0, rip;
	int i;

	/* RF keeps a REP, whose iterations trap, from triggering its breakpoint again (SDM 3B 18.3.1.1). */
	if (likely(!(dr7 & DR7_ACTIVE)) || (vcpu_rflags(vcpu) & X86_EFLAGS_RF))
		return 0;
	rip = vcpu_linear_rip(vcpu);
	for (i = 0; i < 4; i++)		/* enabled, and R/W and LEN are 0 (SDM 3B 18.2.4) */
		if ((dr7 >> (i * 2) & 3) && !(dr7 >> (16 + i * 4) & 15) && dr[i] == rip)
			hits |= BIT_ULL(i);
	return hits;
}
