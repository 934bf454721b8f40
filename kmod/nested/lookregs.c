// SPDX-License-Identifier: GPL-2.0
/* Reads the registers of L1 or L2 for somebody who looks at a vCPU from outside. */
#include <linux/droste.h>
#include "droste.h"
#include "irqchip/irqchip.h"
#include "mem/memslot.h"
#include "nested/look.h"
#include "nested/nested.h"
#include "vmx/regs.h"
#include "vmx/vmx.h"

/* The fields of segment registers have consecutive encodings, in the order of enum seg (SDM 3D appendix B). */
#define SEG_FIELD(first, seg)	((first) + 2 * (seg))
static_assert(SEG_FIELD(GUEST_ES_SELECTOR, SEG_TR) == GUEST_TR_SELECTOR);
static_assert(SEG_FIELD(GUEST_ES_BASE, SEG_TR) == GUEST_TR_BASE);
static_assert(SEG_FIELD(GUEST_ES_LIMIT, SEG_TR) == GUEST_TR_LIMIT);
static_assert(SEG_FIELD(GUEST_ES_AR_BYTES, SEG_TR) == GUEST_TR_AR_BYTES);
static_assert(ARRAY_SIZE(((struct droste_regs *)0)->seg) == NR_SEGS);
static_assert(ARRAY_SIZE(((struct droste_regs *)0)->gpr) == NR_GPRS);

#define VTPR_OFFSET	0x80	/* in the virtual-APIC page (SDM 3C 30.1.1) */

/* Registers that the current VMCS holds for its level, whether or not that level runs. */
static void lookregs_from_vmcs(struct droste_regs *r)
{
	enum seg seg;

	for (seg = SEG_ES; seg < NR_SEGS; seg++)
		r->seg[seg] = (struct droste_segment) {
			.base = vmcs_read(SEG_FIELD(GUEST_ES_BASE, seg)),
			.limit = vmcs_read(SEG_FIELD(GUEST_ES_LIMIT, seg)),
			.rights = vmcs_read(SEG_FIELD(GUEST_ES_AR_BYTES, seg)),
			.selector = vmcs_read(SEG_FIELD(GUEST_ES_SELECTOR, seg)),
		};
	r->gdtr_base = vmcs_read(GUEST_GDTR_BASE);
	r->gdtr_limit = vmcs_read(GUEST_GDTR_LIMIT);
	r->idtr_base = vmcs_read(GUEST_IDTR_BASE);
	r->idtr_limit = vmcs_read(GUEST_IDTR_LIMIT);
	r->cr3 = vmcs_read(GUEST_CR3);
}

/* Registers that VM entries and exits do not load, so that L1 and L2 have them in common. */
static void lookregs_shared(struct vcpu *vcpu, struct droste_regs *r)
{
	enum gpr reg;

	for (reg = RAX; reg < NR_GPRS; reg++)
		if (reg != RSP)
			r->gpr[reg] = vcpu->regs[reg];
	r->cr2 = vcpu->cr2;
	memcpy(r->dr, vcpu->dr, sizeof(r->dr));
	r->dr6 = vcpu->dr6;
}

/*
 * CR8 of L2: with a TPR shadow, it is VTPR in L1's virtual-APIC page. If that page
 * is not there, the flag says that CR8 is not known.
 */
static void lookregs_cr8_of_l2(struct vcpu *vcpu, struct droste_regs *r)
{
	const struct vmcs12 *v = vcpu->nested.vmcs12;
	u64 vtpr;

	if (!(v->cpu_based_vm_exec_control & CPU_BASED_TPR_SHADOW))
		r->cr8 = vcpu_cr8(vcpu);
	else if (vm_peek_guest(vcpu->vm, v->virtual_apic_page_addr + VTPR_OFFSET, &vtpr, 1))
		r->flags |= DROSTE_REGS_NO_CR8;
	else
		r->cr8 = vtpr >> 4 & 0xf;
}

/* All registers of the level that runs. */
static void lookregs_running(struct vcpu *vcpu, struct droste_regs *r)
{
	lookregs_shared(vcpu, r);
	lookregs_from_vmcs(r);
	r->gpr[RSP] = vcpu_rsp(vcpu);
	r->rip = vcpu_rip(vcpu);
	r->rflags = vcpu_rflags(vcpu);
	r->cr0 = vcpu_cr0(vcpu);
	r->cr4 = vcpu_cr4(vcpu);
	r->efer = vcpu->efer;
	r->dr7 = vcpu->dr7;
	if (vcpu->in_l2)
		lookregs_cr8_of_l2(vcpu, r);
	else
		r->cr8 = vcpu_cr8(vcpu);
}

/* The registers with which L1 executed its last VM entry, while L2 runs. */
static void lookregs_waiting_l1(struct vcpu *vcpu, struct droste_regs *r)
{
	const struct nested *n = &vcpu->nested;
	u64 owned0 = vmx_cr0_guest_owned(vcpu), owned4 = vmx_cr4_guest_owned(vcpu);
	bool elsewhere;

	lookregs_shared(vcpu, r);
	elsewhere = look_begin(vcpu, &vcpu->vmcs01);
	lookregs_from_vmcs(r);
	r->gpr[RSP] = vmcs_read(GUEST_RSP);
	r->rip = vmcs_read(GUEST_RIP);
	r->rflags = vmcs_read(GUEST_RFLAGS);
	r->cr0 = vmx_keep_cd(vcpu, (vmcs_read(GUEST_CR0) & owned0) | (vmcs_read(CR0_READ_SHADOW) & ~owned0));
	r->cr4 = (vmcs_read(GUEST_CR4) & owned4) | (vmcs_read(CR4_READ_SHADOW) & ~owned4);
	look_end(vcpu, &vcpu->vmcs01, elsewhere);
	r->efer = n->l1_efer;
	r->dr7 = n->l1_dr7;
	r->cr8 = vcpu_cr8(vcpu);
	r->flags |= DROSTE_REGS_SHARED;
}

/**
 * nested_look_regs() - read the registers of a level
 * @vcpu: loaded; at any level
 * @arg: struct look_regs
 *
 * For vcpu_visit(). The caller holds a reference to the memory of the VM's process.
 *
 * Context: Process context. The VMCS of the vCPU's level is current. May sleep.
 */
void nested_look_regs(struct vcpu *vcpu, void *arg)
{
	struct look_regs *l = arg;
	struct droste_regs *r = l->regs;
	u32 runs = vcpu->in_l2 ? 2 : 1;

	if (!r->level)
		r->level = runs;
	l->ret = r->level > runs ? -ENOENT : 0;
	if (l->ret)
		return;
	if (vcpu->in_l2)
		r->flags |= DROSTE_REGS_IN_L2;
	if (r->level == runs)
		lookregs_running(vcpu, r);
	else
		lookregs_waiting_l1(vcpu, r);
	/* User space's single-stepping sets TF, which the guest did not. */
	if ((vcpu->guest_debug & KVM_GUESTDBG_ENABLE) && (vcpu->guest_debug & KVM_GUESTDBG_SINGLESTEP))
		r->rflags &= ~(u64)X86_EFLAGS_TF;
}
