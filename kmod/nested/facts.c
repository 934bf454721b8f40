// SPDX-License-Identifier: GPL-2.0
/* What an exit tells, for the tracepoints of Droste and of droste_kvmtrace.ko. */
#include <linux/export.h>
#include "droste.h"
#include "nested/facts.h"
#include "vmx/regs.h"
#include "vmx/vmx.h"

/* Exit information that each reason defines. */
#define EXIT(nr, name, handler, needs)	[nr] = (needs),
static const u8 facts_table[NR_EXIT_REASONS] = {
#include "vmx/exits.def"
};
#undef EXIT

/**
 * facts_needs() - the exit information that an exit reason defines
 * @basic: basic exit reason
 *
 * Context: Any.
 * Return: EXIT_* bits.
 */
u8 facts_needs(u16 basic)
{
	return basic < NR_EXIT_REASONS ? facts_table[basic] : 0;
}

/**
 * facts_shown() - the exit information that L1 gets with the exit that it is shown
 * @vcpu: the vCPU; VMCS12 has the exit
 * @failed: L1's VM entry failed
 *
 * Context: In a probe of droste_l1_exit.
 * Return: EXIT_* bits.
 */
u8 facts_shown(const struct vcpu *vcpu, bool failed)
{
	u16 basic = vcpu->nested.vmcs12->vm_exit_reason;

	if (failed)
		return 0;
	/* Only L1 uses "acknowledge interrupt on exit": see nested_exit_tells(). */
	return basic == EXIT_REASON_EXTERNAL_INTERRUPT ? EXIT_INTR : facts_needs(basic);
}

/**
 * facts_rip() - RIP of the running level
 * @vcpu: the vCPU
 *
 * Makes no note that RIP is in the cache, because the caller of a tracepoint may not expect that.
 *
 * Context: The VMCS of the running level is current.
 * Return: RIP.
 */
u64 facts_rip(const struct vcpu *vcpu)
{
	return vcpu->reg_avail & REG_RIP ? vcpu->rip : vmcs_read(GUEST_RIP);
}
EXPORT_SYMBOL_GPL(facts_rip);

/**
 * facts_of_exit() - what the last exit to L0 tells
 * @vcpu: the vCPU
 * @f: filled
 *
 * Context: In a probe of droste_exit.
 */
void facts_of_exit(const struct vcpu *vcpu, struct exit_facts *f)
{
	const struct vmx_exit *e = &vcpu->exit;
	u8 needs = facts_needs(e->basic);

	f->reason = e->reason;
	f->rip = facts_rip(vcpu);
	f->qual = needs & EXIT_QUAL ? e->qual : 0;
	f->idt_info = e->idt_info;
	f->intr_info = needs & EXIT_INTR ? e->intr_info : 0;
	f->intr_error = f->intr_info & INTR_INFO_DELIVER_CODE_MASK ? e->intr_error : 0;
}
EXPORT_SYMBOL_GPL(facts_of_exit);

/**
 * facts_of_l1_exit() - what L1 is told with an exit of L2
 * @vcpu: the vCPU; VMCS12 has the exit, which is not that of a failed entry
 * @f: filled
 *
 * Context: In a probe of droste_l1_exit.
 */
void facts_of_l1_exit(const struct vcpu *vcpu, struct exit_facts *f)
{
	const struct vmcs12 *v12 = vcpu->nested.vmcs12;

	f->reason = v12->vm_exit_reason;
	f->rip = v12->guest_rip;
	f->qual = v12->exit_qualification;
	f->idt_info = v12->idt_vectoring_info_field;
	f->intr_info = facts_shown(vcpu, false) & EXIT_INTR ? v12->vm_exit_intr_info : 0;
	f->intr_error = f->intr_info & INTR_INFO_DELIVER_CODE_MASK ? v12->vm_exit_intr_error_code : 0;
}
EXPORT_SYMBOL_GPL(facts_of_l1_exit);
