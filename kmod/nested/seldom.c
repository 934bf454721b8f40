// SPDX-License-Identifier: GPL-2.0
/*
 * The SELDOM fields of fields.def: RSP, the primary controls, and the event that an entry injects. L1 writes them to the
 * shadow VMCS without exits while it does so often, and each VMRESUME has to fetch them then. Most L1s write none of them
 * for thousands of entries. So after some exits from L2 after which nothing was written, the VMWRITE bitmap makes writes
 * of them exit, and no entry fetches them. The first such exit lets L1 write them again: L1 executes the VMWRITE once
 * more. An L1 that always writes them, even if only with the same values, has an exit for each of ever longer periods.
 *
 * L1 cannot tell: VMREAD finds the fields in the shadow VMCS at any time. SDM 3C 25.6.15, 31.3.
 */
#include <linux/minmax.h>
#include "droste.h"
#include "nested/insn.h"
#include "nested/nested.h"
#include "nested/seldom.h"
#include "vmx/vmx.h"

#define SELDOM_LEAST	16	/* exits to L1 without a write before writes exit, at first */
#define SELDOM_MOST	4096

/**
 * seldom_begin() - let L1 write the fields without exits for some time, since nothing is known of it
 * @n: of a vCPU in L1
 *
 * Context: Any.
 * Return: the bit of enum shadow_writes, with which the caller must choose a VMWRITE bitmap.
 */
u8 seldom_begin(struct nested *n)
{
	n->seldom.wait = clamp_t(u16, n->seldom.wait, SELDOM_LEAST, SELDOM_MOST);
	n->seldom.left = n->seldom.wait;
	return SHADOW_WRITES_SELDOM;
}

/**
 * seldom_open() - let L1 write the fields without exits again
 * @vcpu: in L1, which writes one of them with an exit; shadowing is on
 *
 * Context: VMCS01 is current. Interrupts may be disabled.
 */
void seldom_open(struct vcpu *vcpu)
{
	struct nested *n = &vcpu->nested;
	struct nested_seldom *s = &n->seldom;

	if (seldom_is_open(n))
		return;
	/* If L1 has done without them for much longer than it took to find out, it was worth it. */
	if (vcpu->stats.nested_run - s->since > 8ULL * s->wait)
		s->wait = SELDOM_LEAST;
	else
		s->wait = min(2 * s->wait, SELDOM_MOST);
	shadow_let_write(n, n->shadow_writes | seldom_begin(n));
}

/**
 * seldom_is_over() - count an exit to L1, and find out whether writes of the fields shall exit from now on
 * @vcpu: has left L2; seldom_is_open()
 *
 * Context: Any. The last entry has fetched the fields, and L1 has not run since.
 * Return: true if the caller must choose a VMWRITE bitmap without SHADOW_WRITES_SELDOM.
 */
bool seldom_is_over(struct vcpu *vcpu)
{
	struct nested_seldom *s = &vcpu->nested.seldom;

	if (--s->left)
		return false;
	s->since = vcpu->stats.nested_run;
	return true;
}

/**
 * nested_seldom_write() - let L1 execute a VMWRITE of one of the fields without an exit
 * @vcpu: in L1, has just exited because of VMWRITE; no register is cached
 *
 * Context: Interrupts disabled. VMCS01 is current.
 * Return: true if the instruction exits no more, and L1 must execute it again.
 */
bool nested_seldom_write(struct vcpu *vcpu)
{
	struct nested *n = &vcpu->nested;
	const struct vmcs12_field *f;
	u32 reg;

	/* With a breakpoint, it must not be executed again: see vcpu_repeat_instruction(). */
	if (!n->shadow_on || seldom_is_open(n) || unlikely(vcpu->dr7 & DR7_ACTIVE))
		return false;
	reg = IINFO_REG2(vmcs_read(VMX_INSTRUCTION_INFO));
	/* RSP is not among vcpu->regs here. */
	if (reg == RSP)
		return false;
	f = vmcs12_field_lookup(vcpu->regs[reg]);
	if (!f || f->shadow != SHADOW_SELDOM)
		return false;
	seldom_open(vcpu);
	return true;
}
