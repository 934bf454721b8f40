// SPDX-License-Identifier: GPL-2.0
/*
 * Explains a vCPU's last exit for somebody who looks from outside. Nothing is kept for this: the facts for route_exit() are
 * found again in vcpu->exit, the registers, VMCS12 and L1's bitmaps. Reading them changes nothing.
 */
#include <linux/droste.h>
#include "droste.h"
#include "mem/memslot.h"
#include "nested/insn.h"
#include "nested/look.h"
#include "nested/merge.h"
#include "nested/nested.h"
#include "nested/route.h"
#include "vmx/regs.h"
#include "vmx/vmx.h"

/* Exit information that each reason defines. */
#define EXIT(nr, name, handler, needs)	[nr] = (needs),
static const u8 lookexit_tells[NR_EXIT_REASONS] = {
#include "vmx/exits.def"
};
#undef EXIT

/* What is known of the exit. */
struct lookexit {
	struct vcpu *vcpu;
	const struct vmcs12 *v;		/* VMCS12 with L2's state; for an exit of L2 only */
	struct droste_last_exit *e;	/* the answer */
};

/* The level that exited executed 64-bit code. */
static bool lookexit_is_64bit(const struct lookexit *l)
{
	if (!l->v)
		return !l->vcpu->in_l2 && vcpu_is_64bit(l->vcpu);
	return (l->v->vm_entry_controls & VM_ENTRY_IA32E_MODE) && (l->v->guest_cs_ar_bytes & VMX_AR_L_MASK);
}

/* A register of the level that exited. L1's RSP is known only while L1 runs. */
static u64 lookexit_gpr(const struct lookexit *l, unsigned int nr)
{
	u64 val;

	if (nr == RSP && l->v)
		val = l->v->guest_rsp;
	else if (nr == RSP)
		val = l->vcpu->in_l2 ? 0 : vcpu_gpr(l->vcpu, RSP);
	else
		val = l->vcpu->regs[nr & 15];
	return lookexit_is_64bit(l) ? val : (u32)val;
}

/* What the exit is about. Registers that handling the exit may have changed are not used. */
static void lookexit_arg(const struct lookexit *l)
{
	const struct vmx_exit *x = &l->vcpu->exit;
	struct droste_last_exit *e = l->e;

	e->flags |= DROSTE_EXIT_ARG;
	switch (x->basic) {
	case EXIT_REASON_MSR_READ:
	case EXIT_REASON_MSR_WRITE:
		e->arg = (u32)l->vcpu->regs[RCX];
		return;
	case EXIT_REASON_IO_INSTRUCTION:
		e->arg = (x->qual >> 16) & 0xffff;
		return;
	case EXIT_REASON_CR_ACCESS:
		if (!((x->qual >> 4) & 3)) {
			e->arg = lookexit_gpr(l, (x->qual >> 8) & 15);
			return;
		}
		break;
	case EXIT_REASON_VMREAD:
	case EXIT_REASON_VMWRITE:
		e->arg = lookexit_gpr(l, IINFO_REG2(x->iinfo));
		return;
	}
	e->flags &= ~DROSTE_EXIT_ARG;
}

/* One byte of a bitmap of L1, as bitmaps.c reads it: all ones where L1 has no memory. */
static u8 lookexit_byte(const struct lookexit *l, gpa_t gpa)
{
	u64 word;
	int err = vm_peek_guest(l->vcpu->vm, gpa & ~7ULL, &word, 1);

	if (err && err != -ENXIO)
		l->e->flags |= DROSTE_EXIT_NOT_READ;
	return err ? 0xff : word >> (gpa & 7) * 8;
}

/* Look at the bits @b of a bitmap, whose first page is at @first and whose second one is at @second. */
static bool lookexit_bitmap(const struct lookexit *l, struct route_bit b, gpa_t first, gpa_t second)
{
	struct droste_last_exit *e = l->e;
	gpa_t next = b.byte + 1 < PAGE_SIZE ? first + b.byte + 1 : second + b.byte + 1 - PAGE_SIZE;

	e->flags |= DROSTE_EXIT_BITMAP;
	if (!b.mask)
		return true;
	e->bitmap = b.byte < PAGE_SIZE ? first + b.byte : second + b.byte - PAGE_SIZE;
	e->bitmap_mask = b.mask;
	e->bitmap_bits = lookexit_byte(l, e->bitmap) & (u8)b.mask;
	if (b.mask >> 8)
		e->bitmap_bits |= (lookexit_byte(l, next) << 8) & b.mask;
	return e->bitmap_bits;
}

/* The facts that reflect_collect_facts() found when the exit came. */
static void lookexit_facts(const struct lookexit *l, struct route_facts *f)
{
	const struct vmcs12 *v = l->v;
	u64 proc2 = merge_proc2_of(v);

	switch (f->basic) {
	case EXIT_REASON_EXCEPTION_NMI:
		/* One that L1 got was none of these. */
		f->l0_exceptions = l->vcpu->in_l2 ? nested_l0_exceptions(l->vcpu, f->intr_info) : 0;
		break;
	case EXIT_REASON_CR_ACCESS:
		f->value = l->e->arg;
		break;
	case EXIT_REASON_IO_INSTRUCTION:
		if (v->cpu_based_vm_exec_control & CPU_BASED_USE_IO_BITMAPS)
			f->bitmap_hit = lookexit_bitmap(l, route_io_bits(f->qual), v->io_bitmap_a, v->io_bitmap_b);
		break;
	case EXIT_REASON_MSR_READ:
	case EXIT_REASON_MSR_WRITE:
		if (v->cpu_based_vm_exec_control & CPU_BASED_USE_MSR_BITMAPS)
			f->bitmap_hit = lookexit_bitmap(l, route_msr_bit(l->e->arg, f->basic == EXIT_REASON_MSR_WRITE),
							v->msr_bitmap, 0);
		break;
	case EXIT_REASON_VMREAD:
	case EXIT_REASON_VMWRITE:
		if (proc2 & SECONDARY_EXEC_SHADOW_VMCS)
			f->bitmap_hit = lookexit_bitmap(l, route_vmcs_bit(l->e->arg), f->basic == EXIT_REASON_VMWRITE ?
							v->vmwrite_bitmap : v->vmread_bitmap, 0);
		break;
	case EXIT_REASON_VMCALL:
		/* L1 got all others, unless the vCPU stands at the exit: nothing has been done about it then. */
		f->delegated = l->vcpu->in_l2 && (!l->vcpu->stands || nested_delegates(l->vcpu));
		break;
	case EXIT_REASON_GDTR_IDTR:
	case EXIT_REASON_LDTR_TR:
		f->umip_faults = l->vcpu->in_l2 && VMX_AR_DPL(v->guest_ss_ar_bytes) && (v->guest_cr4 & X86_CR4_UMIP);
		break;
	case EXIT_REASON_XSAVES:
	case EXIT_REASON_XRSTORS:
		f->xss = ((l->vcpu->regs[RDX] << 32) | (u32)l->vcpu->regs[RAX]) & l->vcpu->xss;
		break;
	}
}

/* Who handles the exit of L2, and why. */
static void lookexit_route(const struct lookexit *l)
{
	const struct vmx_exit *x = &l->vcpu->exit;
	struct route_facts f = {
		.vmcs12 = l->v,
		.basic = x->basic,
		.intr_info = x->intr_info,
		.intr_error = x->intr_error,
		.qual = x->qual,
	};
	struct droste_last_exit *e = l->e;
	struct route_verdict verdict;
	struct route_word word;

	lookexit_facts(l, &f);
	verdict = route_exit(&f);
	word = route_tested(&f, verdict.why);
	e->to = verdict.to == ROUTE_L1;
	e->why = verdict.why;
	e->field = word.field;
	e->word = word.word;
	e->bits = word.bits;
	if (!l->vcpu->in_l2) {
		e->flags |= DROSTE_EXIT_SHOWN;
		e->shown = l->v->vm_exit_reason;
	}
}

static void lookexit_info(const struct lookexit *l)
{
	const struct vmx_exit *x = &l->vcpu->exit;
	u8 tells = x->basic < NR_EXIT_REASONS ? lookexit_tells[x->basic] : 0;
	struct droste_last_exit *e = l->e;

	if (tells & EXIT_QUAL) {
		e->flags |= DROSTE_EXIT_QUAL;
		e->qual = x->qual;
	}
	if (tells & EXIT_GPA) {
		e->flags |= DROSTE_EXIT_GPA;
		e->gpa = x->gpa;
	}
	e->ilen = (tells & EXIT_INSN) == EXIT_INSN ? x->ilen : 0;
	e->intr_info = tells & EXIT_INTR ? x->intr_info : 0;
	e->intr_error = e->intr_info & INTR_INFO_DELIVER_CODE_MASK ? x->intr_error : 0;
}

/* Find VMCS12 with the state of the L2 that exited. Returns false if it is not there any more. */
static bool lookexit_find_l2(struct vcpu *vcpu, struct look_exit *l)
{
	if (!vcpu->nested.vmxon || vcpu->nested.vmptr == VMPTR_NONE)
		return false;
	savestate_collect(vcpu, l->vmcs12);
	return true;
}

/**
 * nested_look_exit() - explain the last exit of a vCPU
 * @vcpu: loaded; at any level
 * @arg: struct look_exit
 *
 * For vcpu_visit_exit(). Caller holds a reference to the users of vm->mm.
 *
 * Context: Process context. The VMCS of the vCPU's level is current. May sleep.
 */
void nested_look_exit(struct vcpu *vcpu, void *arg)
{
	struct look_exit *look = arg;
	struct droste_last_exit *e = look->exit;
	struct lookexit l = { .vcpu = vcpu, .e = e };

	look->ret = vcpu->long_exits + vcpu->stats.short_exits ? 0 : -ENOENT;
	if (look->ret)
		return;
	e->seq = vcpu->long_exits + vcpu->stats.short_exits;
	e->reason = vcpu->exit.reason;
	if (vcpu->noted_short != vcpu->stats.short_exits) {
		e->flags = DROSTE_EXIT_SHORT;
		return;
	}
	e->flags = vcpu->noted_l2 ? DROSTE_EXIT_L2 : 0;
	if (vcpu->noted_l2 && lookexit_find_l2(vcpu, look))
		l.v = look->vmcs12;
	else if (vcpu->noted_l2)
		e->flags |= DROSTE_EXIT_GONE;
	lookexit_info(&l);
	lookexit_arg(&l);
	if (l.v)
		lookexit_route(&l);
	/* L1's RIP of now is in VMCS01, which is not current while L2 runs. */
	if (l.v || (!vcpu->noted_l2 && !vcpu->in_l2)) {
		e->flags |= DROSTE_EXIT_RIP;
		e->rip = l.v ? l.v->guest_rip : vcpu_rip(vcpu);
	}
}
