// SPDX-License-Identifier: GPL-2.0
/* Exits from L2 to L1: collects the facts for route.c, writes the exit information, resumes L1. SDM 3C 28. */
#include <asm/trapnr.h>
#include "droste.h"
#include "mem/memslot.h"
#include "nested/checks_vcpu.h"
#include "nested/insn.h"
#include "nested/merge.h"
#include "nested/nested.h"
#include "nested/pauseloop.h"
#include "nested/route.h"
#include "nested/vmcs02.h"
#include "run/request.h"
#include "trace.h"
#include "vmx/inject.h"
#include "vmx/regs.h"
#include "vmx/vmx.h"

/* Exit-information fields that each exit reason defines, EXIT_*; from the table that vmx/exit.c reads them by. */
#define EXIT(nr, name, handler, needs)	[nr] = (needs),
static const u8 exit_tells[NR_EXIT_REASONS] = {
#include "vmx/exits.def"
};
#undef EXIT

/**
 * nested_exit_tells() - which exit information L1 gets with an exit
 * @basic: basic exit reason
 *
 * Context: Any.
 * SDM 3C 28.2.
 * Return: EXIT_*; fields that the reason does not define are 0.
 */
u8 nested_exit_tells(u16 basic)
{
	/* exits.def has none: only L1 uses "acknowledge interrupt on exit". events.c supplies the information. */
	if (basic == EXIT_REASON_EXTERNAL_INTERRUPT)
		return EXIT_INTR;
	return basic < NR_EXIT_REASONS ? exit_tells[basic] : 0;
}

/* Source operand of MOV to CR, truncated to 32 bits outside 64-bit mode. SDM table 28-3 gives the register. */
static u64 reflect_cr_operand(struct vcpu *vcpu)
{
	u64 qual = vcpu->exit.qual, val;

	if ((qual >> 4) & 3)
		return 0;
	val = vcpu_gpr(vcpu, (qual >> 8) & 0xf);
	return vcpu_is_64bit(vcpu) ? val : (u32)val;
}

/* Exceptions that go to a debugger in user space before any guest. */
static u32 reflect_debugger_exceptions(const struct vcpu *vcpu)
{
	u32 bits = 0;

	if (likely(!(vcpu->guest_debug & KVM_GUESTDBG_ENABLE)))
		return 0;
	if (vmx_debugger_takes_db(vcpu))
		bits |= BIT(X86_TRAP_DB);
	if (vcpu->guest_debug & KVM_GUESTDBG_USE_SW_BP)
		bits |= BIT(X86_TRAP_BP);
	return bits;
}

/**
 * nested_l0_exceptions() - exceptions of L2 that L0 takes although L1 may intercept them
 * @vcpu: in L2
 * @intr_info: interruption information of the exception
 *
 * Context: Process context.
 * Return: an exception bitmap, which is complete for the vector in @intr_info.
 */
u32 nested_l0_exceptions(struct vcpu *vcpu, u32 intr_info)
{
	u32 bits = reflect_debugger_exceptions(vcpu);

	if (unlikely((intr_info & INTR_INFO_VECTOR_MASK) == X86_TRAP_AC) && vcpu_split_lock(vcpu))
		bits |= BIT(X86_TRAP_AC);
	return bits;
}

static void reflect_collect_facts(struct vcpu *vcpu, struct route_facts *f)
{
	u32 proc = f->vmcs12->cpu_based_vm_exec_control;

	switch (f->basic) {
	case EXIT_REASON_EXCEPTION_NMI:
		f->l0_exceptions = nested_l0_exceptions(vcpu, f->intr_info);
		break;
	case EXIT_REASON_CR_ACCESS:
		f->value = reflect_cr_operand(vcpu);
		break;
	case EXIT_REASON_IO_INSTRUCTION:
		if (proc & CPU_BASED_USE_IO_BITMAPS)
			f->bitmap_hit = bitmaps_io_hit(vcpu, f->qual);
		break;
	case EXIT_REASON_MSR_READ:
	case EXIT_REASON_MSR_WRITE:
		if (proc & CPU_BASED_USE_MSR_BITMAPS)
			f->bitmap_hit = bitmaps_msr_hit(vcpu, vcpu->regs[RCX], f->basic == EXIT_REASON_MSR_WRITE);
		break;
	case EXIT_REASON_VMREAD:
	case EXIT_REASON_VMWRITE:
		if (merge_proc2_of(f->vmcs12) & SECONDARY_EXEC_SHADOW_VMCS)
			f->bitmap_hit = bitmaps_vmcs_hit(vcpu, insn_encoding(vcpu), f->basic == EXIT_REASON_VMWRITE);
		break;
	case EXIT_REASON_PAUSE_INSTRUCTION:
		pauseloop_facts(vcpu, f);
		break;
	case EXIT_REASON_VMCALL:
		f->delegated = nested_delegates(vcpu);
		break;
	case EXIT_REASON_GDTR_IDTR:
	case EXIT_REASON_LDTR_TR:
		/* With UMIP of its own, the processor has not exited. */
		f->umip_faults = vcpu_cpl(vcpu) && (vcpu_cr4(vcpu) & X86_CR4_UMIP);
		break;
	case EXIT_REASON_XSAVES:
	case EXIT_REASON_XRSTORS:
		f->xss = ((vcpu->regs[RDX] << 32) | (u32)vcpu->regs[RAX]) & vcpu->xss;
		break;
	}
}

/**
 * nested_route() - decide who gets an exit from L2
 * @vcpu: in L2, loaded; vcpu->exit is the exit
 *
 * Must be called once for each exit from L2, including failed VM entries. May
 * read L1's bitmaps, and let another vCPU run. SDM 3C 26.
 *
 * Context: Process context. VMCS02 is current. Caller holds vm->srcu. May sleep.
 * Return: who handles it, L0 or L1, and what decided that.
 */
struct route_verdict nested_route(struct vcpu *vcpu)
{
	const struct vmx_exit *e = &vcpu->exit;
	struct route_facts f = {
		.vmcs12 = vcpu->nested.vmcs12,
		.basic = e->basic,
		.intr_info = e->intr_info,
		.intr_error = e->intr_error,
		.qual = e->qual,
	};
	struct route_verdict verdict;

	reflect_collect_facts(vcpu, &f);
	verdict = route_exit(&f);
	trace_droste_route(vcpu, &f, verdict);
	return verdict;
}

/* VMX abort (SDM 3C 28.7): write the indicator to the VMCS in L1's memory and shut the vCPU down. */
static void reflect_vmx_abort(struct vcpu *vcpu, u32 indicator)
{
	struct nested *n = &vcpu->nested;

	n->vmcs12->abort = indicator;
	if (n->vmptr != VMPTR_NONE)
		(void)vm_write_guest(vcpu->vm, n->vmptr + offsetof(struct vmcs12, abort),
				     &indicator, sizeof(indicator));
	vcpu->ev.triple_fault = true;
	vcpu_request(vcpu, REQ_EVENT);
}

/* Count what L1 is shown. VMCS12 has the exit information. */
static void reflect_note(struct vcpu *vcpu, u8 origin)
{
	u16 basic = vcpu->nested.vmcs12->vm_exit_reason;

	if (likely(basic < NR_EXIT_REASONS))
		vcpu->exits_shown[basic]++;
	trace_droste_l1_exit(vcpu, origin);
}

/* Continue L1 at its host RIP. VMCS12 and the shadow hold the exit information, VMCS01 is current. */
static void reflect_resume_l1(struct vcpu *vcpu)
{
	struct nested *n = &vcpu->nested;
	u32 abort;

	link12_flush(vcpu);
	vcpu->ev.injected.valid = false;
	vcpu->ev.exception.valid = false;
	n->entry_pending = false;
	n->delivery_pending = false;
	n->mtf_pending = false;
	vcpu->mp_state = KVM_MP_STATE_RUNNABLE;
	abort = hostload(vcpu);
	if (unlikely(abort))
		reflect_vmx_abort(vcpu, abort);
	/* Interrupts that L2 blocked or took may now be deliverable to L1. */
	vcpu_request(vcpu, REQ_EVENT);
}

/**
 * nested_entry_failed() - give L1 the exit of a failed VM entry (SDM 3C 27.8)
 * @vcpu: L1 tried to enter L2; in L1 or L2
 * @basic: basic exit reason: EXIT_REASON_INVALID_STATE or EXIT_REASON_MSR_LOAD_FAIL
 * @qual: exit qualification
 *
 * Context: Process context. Any VMCS may be current, VMCS01 is afterwards.
 * Caller holds vm->srcu. May sleep.
 */
void nested_entry_failed(struct vcpu *vcpu, u16 basic, u64 qual)
{
	struct nested *n = &vcpu->nested;

	/* A failed entry changes no other exit information and saves no guest state. */
	n->vmcs12->vm_exit_reason = basic | VMX_EXIT_REASONS_FAILED_VMENTRY;
	n->vmcs12->exit_qualification = qual;
	trace_droste_entry_failed(vcpu, basic, qual);
	reflect_note(vcpu, L1_EXIT_ENTRY);
	ptimer_stop(vcpu, false);
	if (vcpu->in_l2)
		vmcs02_leave(vcpu);
	nested_note_failure(vcpu, basic, qual);
	/* A failed entry leaves the blocking of NMIs alone, too. */
	if (unlikely(n->l1_nmi_blocked))
		vmx_block_nmis(vcpu, true);
	vmcs02_forget(vcpu);
	nested_shadow_fill(vcpu);
	reflect_resume_l1(vcpu);
}

/*
 * Write the IDT-vectoring information: the event whose delivery the exit
 * interrupted, or that L0 still had to inject again (SDM 3C 28.2.4). Exits due
 * to a double or triple fault do not count as occurring during delivery.
 */
static void reflect_write_vectoring(struct vcpu *vcpu, const struct vmx_exit *e)
{
	const struct event *ev = &vcpu->ev.injected;
	struct vmcs12 *v = vcpu->nested.vmcs12;

	if (likely(!ev->valid) || e->basic == EXIT_REASON_TRIPLE_FAULT ||
	    (e->basic == EXIT_REASON_EXCEPTION_NMI &&
	     (e->intr_info & (INTR_INFO_VECTOR_MASK | INTR_INFO_INTR_TYPE_MASK)) ==
	     (X86_TRAP_DF | INTR_TYPE_HARD_EXCEPTION))) {
		v->idt_vectoring_info_field = 0;
		return;
	}
	v->idt_vectoring_info_field = ev->vector | ev->type | VECTORING_INFO_VALID_MASK |
				      (ev->has_error ? VECTORING_INFO_DELIVER_CODE_MASK : 0);
	if (ev->has_error)
		v->idt_vectoring_error_code = ev->error_code;
	if (event_is_software(ev))
		v->vm_exit_instruction_len = ev->ilen;
}

/* Write VMCS12's exit information. Fields that the exit reason does not define become 0 (SDM 3C 28.2). */
static void reflect_write_exit_info(struct vcpu *vcpu, const struct vmx_exit *e)
{
	struct vmcs12 *v = vcpu->nested.vmcs12;
	u8 t = nested_exit_tells(e->basic);

	v->vm_exit_reason = e->reason;
	v->exit_qualification = t & EXIT_QUAL ? e->qual : 0;
	v->vm_exit_intr_info = t & EXIT_INTR ? e->intr_info : 0;
	if (v->vm_exit_intr_info & INTR_INFO_DELIVER_CODE_MASK)
		v->vm_exit_intr_error_code = e->intr_error;
	v->vm_exit_instruction_len = t & EXIT_ILEN ? e->ilen : 0;
	v->vmx_instruction_info = t & EXIT_IINFO ? e->iinfo : 0;
	if (t & EXIT_GPA)
		v->guest_physical_address = e->gpa;
	if (t & EXIT_GLA)
		v->guest_linear_address = e->gla;
	reflect_write_vectoring(vcpu, e);
	/* The injected event was delivered, or is in the IDT-vectoring information now (SDM 3C 28.2). */
	v->vm_entry_intr_info_field &= ~INTR_INFO_VALID_MASK;
	v->launch_state = VMCS12_LAUNCHED;
}

/* Leave L2 with the exit @e, which comes from @origin (L1_EXIT_*), and continue L1. VMCS02 is current, VMCS01 afterwards. */
static void reflect_exit_to_l1(struct vcpu *vcpu, const struct vmx_exit *e, u8 origin)
{
	struct nested *n = &vcpu->nested;
	const struct vmcs12 *v = n->vmcs12;
	bool stored = true;

	reflect_write_exit_info(vcpu, e);
	vmcs02_save(vcpu);
	reflect_note(vcpu, origin);
	nmi_before_exit(vcpu, e);
	ptimer_stop(vcpu, v->vm_exit_controls & VM_EXIT_SAVE_VMX_PREEMPTION_TIMER);
	if (unlikely(v->vm_exit_msr_store_count))
		stored = !msrlist_store(vcpu, v->vm_exit_msr_store_addr, v->vm_exit_msr_store_count);
	/* VMCS12 is complete. On the way from VMCS02 to VMCS01 the shadow costs one VMPTRLD, later it would cost two. */
	nested_shadow_fill_exit(vcpu);
	vmcs02_leave(vcpu);
	/* An exit does not change the blocking of NMIs (SDM 3C 28.5.5). */
	if (unlikely(!nested_has_vnmi(n) && (v->guest_interruptibility_info & GUEST_INTR_STATE_NMI)))
		vmx_block_nmis(vcpu, true);
	reflect_resume_l1(vcpu);
	if (unlikely(!stored))
		reflect_vmx_abort(vcpu, VMX_ABORT_SAVE_GUEST_MSR_FAIL);
}

/*
 * The instruction that L0 carried out may have exited for another reason. RF is 1 after exits that are like faults, unless
 * an event was being delivered, and 0 after an exit that the instruction itself causes (SDM 3C 28.3.3).
 */
static void reflect_fix_rf(struct vcpu *vcpu, u16 basic)
{
	bool fault = basic == EXIT_REASON_EPT_VIOLATION || basic == EXIT_REASON_EPT_MISCONFIG || basic == EXIT_REASON_APIC_ACCESS;
	u64 rflags = vcpu_rflags(vcpu);

	if (!vcpu->ev.injected.valid)
		vcpu_set_rflags(vcpu, fault ? rflags | X86_EFLAGS_RF : rflags & ~(u64)X86_EFLAGS_RF);
}

/**
 * nested_reflect() - reflect vcpu->exit to L1
 * @vcpu: in L2, loaded; nested_route() said L1
 * @origin: where it comes from, L1_EXIT_*
 *
 * Context: Process context. VMCS02 is current, VMCS01 afterwards.
 * Caller holds vm->srcu. May sleep.
 * Return: enum next.
 */
int nested_reflect(struct vcpu *vcpu, u8 origin)
{
	const struct vmx_exit *e = &vcpu->exit;

	if (unlikely(origin == L1_EXIT_EMULATOR))
		reflect_fix_rf(vcpu, e->basic);
	if (likely(!(e->reason & VMX_EXIT_REASONS_FAILED_VMENTRY))) {
		reflect_exit_to_l1(vcpu, e, origin);
	} else if (vcpu->nested.entry_pending) {
		/* VMCS02 has VMCS12's guest state, so the processor would have refused L1's entry too. */
		nested_entry_failed(vcpu, e->basic, e->qual);
	} else {
		/* L2 had run before: user space has set a state that VM entry refuses. */
		nested_vmexit(vcpu, EXIT_REASON_TRIPLE_FAULT, 0, 0, 0);
	}
	return NEXT_ENTER;
}

/**
 * nested_reflect_as() - reflect vcpu->exit to L1 under another exit reason
 * @vcpu: in L2, loaded; the other members of vcpu->exit fit @reason
 * @reason: basic exit reason that L1 sees
 * @qual: exit qualification that L1 sees
 *
 * The statistics count the exit under its original reason. The other reason may
 * have no bit for an IRET that has unblocked NMIs, which nmi_before_exit() would
 * recognize.
 *
 * Context: Process context. VMCS02 is current, VMCS01 afterwards.
 * Caller holds vm->srcu. May sleep.
 * Return: enum next.
 */
int nested_reflect_as(struct vcpu *vcpu, u32 reason, u64 qual)
{
	struct vmx_exit *e = &vcpu->exit;

	if (unlikely(vmx_exit_of_iret(e)))
		vmcs_clear_bits(GUEST_INTERRUPTIBILITY_INFO, GUEST_INTR_STATE_NMI);
	vcpu->exits_reflected[e->basic]++;
	e->reason = reason;
	e->basic = reason;
	e->qual = qual;
	return nested_reflect(vcpu, L1_EXIT_EPT);
}

/**
 * nested_vmexit() - exit from L2 to L1 for an event that L0 produced
 * @vcpu: in L2, loaded
 * @reason: basic exit reason
 * @qual: exit qualification
 * @intr_info: interruption information of exceptions and interrupts, otherwise 0
 * @intr_error: error code that belongs to @intr_info
 *
 * Context: Process context. VMCS02 is current, VMCS01 afterwards.
 * Caller holds vm->srcu. May sleep.
 */
void nested_vmexit(struct vcpu *vcpu, u32 reason, u64 qual, u32 intr_info, u32 intr_error)
{
	struct vmx_exit e = {
		.reason = reason,
		.basic = reason,
		.qual = qual,
		.intr_info = intr_info,
		.intr_error = intr_error,
	};

	if (unlikely(vcpu->ev.exception.valid))
		vmx_hold_trap(vcpu);
	reflect_exit_to_l1(vcpu, &e, L1_EXIT_EVENT);
}

/**
 * nested_vmexit_exception() - exit from L2 to L1 for the exception in vcpu->ev.exception
 * @vcpu: in L2, loaded; L1 intercepts the exception
 *
 * CR2 and DR6 stay unchanged: L1 finds their new values in the exit qualification.
 *
 * Context: Process context. VMCS02 is current, VMCS01 afterwards.
 * Caller holds vm->srcu. May sleep.
 */
void nested_vmexit_exception(struct vcpu *vcpu)
{
	const struct event *ev = &vcpu->ev.exception;
	struct vmx_exit e = {
		.reason = EXIT_REASON_EXCEPTION_NMI,
		.basic = EXIT_REASON_EXCEPTION_NMI,
		.qual = ev->has_payload ? ev->payload : 0,
		.intr_info = ev->vector | ev->type | INTR_INFO_VALID_MASK,
		.intr_error = (u16)ev->error_code,	/* user space may have queued one that is wider */
		.ilen = event_is_software(ev) ? ev->ilen : 0,
	};

	/* There is no error code in real mode (SDM 3C 28.2.2). */
	if (ev->has_error && (vcpu_cr0(vcpu) & X86_CR0_PE))
		e.intr_info |= INTR_INFO_DELIVER_CODE_MASK;
	reflect_exit_to_l1(vcpu, &e, L1_EXIT_EVENT);
}
