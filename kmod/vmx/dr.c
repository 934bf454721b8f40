// SPDX-License-Identifier: GPL-2.0
/* Debug registers of the level that runs, or of the debugger in user space that has taken them. SDM 3B 18.2. */
#include <linux/hw_breakpoint.h>
#include <asm/debugreg.h>
#include "droste.h"
#include "vmx/vmx.h"

#define DR6_FIXED	0xffff0ff0ULL	/* bits that read as 1 where TSX's RTM bit is not offered */
#define DR6_WRITABLE	0xe00fULL	/* B0-B3, BD, BS, BT */
#define DR7_FIXED	0x400ULL
#define DR7_WRITABLE	0xffff23ffULL
#define DR7_ACTIVE	0xffULL		/* L0-L3, G0-G3 */

bool vmx_debugger_owns_dr(const struct vcpu *vcpu)
{
	return (vcpu->guest_debug & KVM_GUESTDBG_ENABLE) && (vcpu->guest_debug & KVM_GUESTDBG_USE_HW_BP);
}

u64 vcpu_effective_dr7(struct vcpu *vcpu)
{
	return vmx_debugger_owns_dr(vcpu) ? vcpu->guest_debug_dr[7] | DR7_FIXED : vcpu->dr7;
}

void vcpu_set_dr7(struct vcpu *vcpu, u64 dr7)
{
	vcpu->dr7 = (dr7 & DR7_WRITABLE) | DR7_FIXED;
	vmcs_write(GUEST_DR7, vcpu_effective_dr7(vcpu));
}

u64 vcpu_dr6_value(u64 dr6)
{
	return (dr6 & DR6_WRITABLE) | DR6_FIXED;
}

/**
 * vmx_load_guest_dr - the guest's breakpoints into the processor
 * @vcpu: about to enter, irqs off
 *
 * Nothing is done without active breakpoints: MOV DR always exits, so no guest
 * reads the registers themselves. Return: true when vmx_restore_host_dr() is due.
 */
bool vmx_load_guest_dr(struct vcpu *vcpu)
{
	u64 *dr = vmx_debugger_owns_dr(vcpu) ? vcpu->guest_debug_dr : vcpu->dr;

	if (likely(!(vcpu_effective_dr7(vcpu) & DR7_ACTIVE)))
		return false;
	set_debugreg(0, 7);
	set_debugreg(dr[0], 0);
	set_debugreg(dr[1], 1);
	set_debugreg(dr[2], 2);
	set_debugreg(dr[3], 3);
	return true;
}

void vmx_restore_host_dr(void)
{
	/* DR7 is 0x400 after an exit (SDM 28.5.1): nothing traps until the host sets its own again. */
	if (hw_breakpoint_active())
		hw_breakpoint_restore();
}

/* A debug trap is due after an instruction that L0 carried out: the processor delivers it at entry. */
void vcpu_single_step_done(struct vcpu *vcpu)
{
	vmcs_write(GUEST_PENDING_DBG_EXCEPTIONS, vmcs_read(GUEST_PENDING_DBG_EXCEPTIONS) | DR_STEP);
}
