// SPDX-License-Identifier: GPL-2.0
/* VMX instructions of L1: permission and dispatch, VMXON, VMXOFF, VMCALL, VMLAUNCH, VMRESUME. SDM 3C 31.3. */
#include <linux/kernel.h>
#include <linux/mm.h>
#include <linux/kvm_para.h>
#include <linux/slab.h>
#include <asm/msr-index.h>
#include "droste.h"
#include "ept/ept.h"
#include "mem/memslot.h"
#include "nested/checks_vcpu.h"
#include "nested/cluster.h"
#include "nested/insn.h"
#include "nested/nested.h"
#include "pv/pv.h"
#include "run/request.h"
#include "trace.h"
#include "vmx/inject.h"
#include "vmx/regs.h"
#include "vmx/vmx.h"

static int insn_finish(struct vcpu *vcpu, u64 set)
{
	vcpu_set_rflags(vcpu, (vcpu_rflags(vcpu) & ~INSN_FLAGS) | set);
	vcpu_skip_instruction(vcpu);
	return NEXT_ENTER;
}

/**
 * nested_vmsucceed() - complete a VMX instruction with VMsucceed (SDM 3C 31.2)
 * @vcpu: the vCPU, at the instruction
 *
 * Context: The VMCS of the level that executes the instruction is current.
 * Return: NEXT_ENTER.
 */
int nested_vmsucceed(struct vcpu *vcpu)
{
	trace_droste_vmx_insn(vcpu, VMX_INSN_OK, 0);
	return insn_finish(vcpu, 0);
}

/**
 * nested_vmfail_invalid() - complete a VMX instruction with VMfailInvalid (SDM 3C 31.2)
 * @vcpu: the vCPU, at the instruction
 *
 * Context: The VMCS of the level that executes the instruction is current.
 * Return: NEXT_ENTER.
 */
int nested_vmfail_invalid(struct vcpu *vcpu)
{
	trace_droste_vmx_insn(vcpu, VMX_INSN_INVALID, 0);
	return insn_finish(vcpu, X86_EFLAGS_CF);
}

/**
 * nested_vmfail() - complete a VMX instruction with VMfail (SDM 3C 31.2)
 * @vcpu: the vCPU, at the instruction
 * @error: VM-instruction error, VMXERR_*
 *
 * VMfailValid if L1 has a current VMCS, which then holds @error; otherwise
 * VMfailInvalid.
 *
 * Context: The VMCS of the level that executes the instruction is current.
 * Return: NEXT_ENTER.
 */
int nested_vmfail(struct vcpu *vcpu, u32 error)
{
	if (vcpu->nested.vmptr == VMPTR_NONE)
		return nested_vmfail_invalid(vcpu);
	vcpu->nested.vmcs12->vm_instruction_error = error;
	trace_droste_vmx_insn(vcpu, VMX_INSN_FAIL, error);
	return insn_finish(vcpu, X86_EFLAGS_ZF);
}

/**
 * nested_op_fails() - note that an operation of L1 fails, which is no instruction
 * @vcpu: in L1
 * @error: VM-instruction error, VMXERR_*
 *
 * Context: VMCS01 is current.
 * Return: @error; -ENOENT if L1 has no current VMCS to hold it, which is VMfailInvalid.
 */
int nested_op_fails(struct vcpu *vcpu, u32 error)
{
	if (vcpu->nested.vmptr == VMPTR_NONE)
		return -ENOENT;
	vcpu->nested.vmcs12->vm_instruction_error = error;
	return error;
}

/**
 * nested_insn_ud() - raise #UD in place of a VMX instruction
 * @vcpu: the vCPU, at the instruction
 *
 * Context: The VMCS of the level that executes the instruction is current.
 * Return: NEXT_ENTER.
 */
int nested_insn_ud(struct vcpu *vcpu)
{
	trace_droste_vmx_insn(vcpu, VMX_INSN_FAULT, X86_TRAP_UD);
	vcpu_queue_exception(vcpu, X86_TRAP_UD);
	return NEXT_ENTER;
}

/**
 * nested_insn_gp() - raise #GP(0) in place of a VMX instruction
 * @vcpu: the vCPU, at the instruction
 *
 * Context: The VMCS of the level that executes the instruction is current.
 * Return: NEXT_ENTER.
 */
static int nested_insn_gp(struct vcpu *vcpu)
{
	trace_droste_vmx_insn(vcpu, VMX_INSN_FAULT, X86_TRAP_GP);
	vcpu_queue_exception_err(vcpu, X86_TRAP_GP, 0);
	return NEXT_ENTER;
}

/**
 * nested_vmcs12_alloc() - allocate the memory that VMX operation needs
 * @vcpu: the vCPU; may have the memory already
 *
 * nested_destroy() frees it.
 *
 * Context: Process context. May sleep.
 * Return: 0 or -ENOMEM.
 */
int nested_vmcs12_alloc(struct vcpu *vcpu)
{
	struct nested *n = &vcpu->nested;

	if (!n->vmcs12)
		n->vmcs12 = kzalloc(sizeof(*n->vmcs12), GFP_KERNEL_ACCOUNT);
	if (!n->link12)
		n->link12 = kzalloc(sizeof(*n->link12), GFP_KERNEL_ACCOUNT);
	cluster_alloc(vcpu);
	return n->vmcs12 && n->link12 ? 0 : -ENOMEM;
}

/**
 * nested_enter_vmx() - put L1 into VMX operation without a current VMCS
 * @vcpu: in L1, outside VMX operation; nested_vmcs12_alloc() succeeded
 * @vmxon_gpa: address of the VMXON region
 *
 * Context: Process context. VMCS01 is current.
 */
void nested_enter_vmx(struct vcpu *vcpu, gpa_t vmxon_gpa)
{
	struct nested *n = &vcpu->nested;

	n->vmptr = VMPTR_NONE;
	n->vmxon_gpa = vmxon_gpa;
	/* The code of this part takes VMCS01's EFER for the guest's. */
	vmx_use_syscall(vcpu);
	n->vmxon = true;
	vcpu_request(vcpu, REQ_MSR_FILTER);	/* see msr_update_bitmap() */
	/* Drop all translations that an earlier VMX operation cached. */
	ept02_invalidate_all(vcpu);
	if (n->vpid02)
		vmx_invvpid_single(n->vpid02);
}

/* Whether VMXON outside VMX operation raises #GP(0). */
static bool insn_vmxon_faults(struct vcpu *vcpu)
{
	const u64 enabled = FEAT_CTL_LOCKED | FEAT_CTL_VMX_ENABLED_OUTSIDE_SMX;
	const struct vmx_caps *caps = &vcpu->nested.caps;

	return vcpu_cpl(vcpu) > 0 ||
	       !vmx_fixed_bits_ok(vcpu_cr0(vcpu), caps->cr0_fixed0, caps->cr0_fixed1) ||
	       !vmx_fixed_bits_ok(vcpu_cr4(vcpu), caps->cr4_fixed0, caps->cr4_fixed1) ||
	       (vcpu->feature_control & enabled) != enabled;
}

static int insn_vmxon(struct vcpu *vcpu)
{
	struct nested *n = &vcpu->nested;
	u64 gpa;
	u32 rev;
	int ret;

	/* CR4.VMXE is always set in hardware while L1 runs, so L0 must check the value that L1 sees. */
	if (!(vcpu_cr4(vcpu) & X86_CR4_VMXE))
		return nested_insn_ud(vcpu);
	if (n->vmxon) {
		if (vcpu_cpl(vcpu) > 0)
			return nested_insn_gp(vcpu);
		return nested_vmfail(vcpu, VMXERR_VMXON_IN_VMX_ROOT_OPERATION);
	}
	if (insn_vmxon_faults(vcpu))
		return nested_insn_gp(vcpu);
	ret = insn_read_operand(vcpu, &gpa, sizeof(gpa));
	if (ret != NEXT_GO_ON)
		return ret;
	if (!PAGE_ALIGNED(gpa) || !gpa_legal(vcpu, gpa))
		return nested_vmfail_invalid(vcpu);
	/* A region without memory reads as all ones, which is not Droste's revision. */
	if (vm_read_guest(vcpu->vm, gpa, &rev, sizeof(rev)) || rev != VMCS12_REVISION)
		return nested_vmfail_invalid(vcpu);
	ret = nested_vmcs12_alloc(vcpu);
	if (ret)
		return ret;
	nested_enter_vmx(vcpu, gpa);
	/* What an earlier L1 has delegated is not meant by this one. */
	vcpu->nested.delegate = 0;
	return nested_vmsucceed(vcpu);
}

static int insn_vmxoff(struct vcpu *vcpu)
{
	vcpu->nested.vmxon = false;
	vcpu_request(vcpu, REQ_MSR_FILTER);
	vmcs12_flush(vcpu);
	/* VMX root operation blocked INIT; one may be pending now (SDM 3C 26.2). */
	vcpu_request(vcpu, REQ_EVENT);
	return nested_vmsucceed(vcpu);
}

static int insn_hypercall(struct vcpu *vcpu)
{
	long answer = vcpu_cpl(vcpu) > 0 ? -KVM_EPERM : pv_hypercall(vcpu);

	vcpu_set_gpr(vcpu, RAX, vcpu_is_64bit(vcpu) ? (u64)answer : (u32)answer);
	vcpu_skip_instruction(vcpu);
	return NEXT_ENTER;
}

/*
 * A VMCALL of L1 that is no hypercall to L0 fails or faults: there is no SMM
 * monitor (SDM 3C 31.3). Unlike the other VMX instructions VMCALL exits in
 * every mode, so L0 checks the mode as well.
 */
static int insn_vmcall(struct vcpu *vcpu)
{
	bool wrong_mode = (vcpu_rflags(vcpu) & X86_EFLAGS_VM) || (vcpu_is_long_mode(vcpu) && !vcpu_is_64bit(vcpu));

	if (pv_takes_hypercalls(vcpu))
		return insn_hypercall(vcpu);
	if (!vcpu->nested.vmxon || wrong_mode)
		return nested_insn_ud(vcpu);
	if (vcpu_cpl(vcpu) > 0)
		return nested_insn_gp(vcpu);
	return nested_vmfail(vcpu, VMXERR_VMCALL_IN_VMX_ROOT_OPERATION);
}

/* VM functions are off for L1: the processor raises #UD, and this exit does not occur. */
static int insn_vmfunc(struct vcpu *vcpu)
{
	return nested_insn_ud(vcpu);
}

/* VMLAUNCH or VMRESUME fails before any check of VMCS12's contents: @error is 0 for VMfailInvalid. */
static int insn_entry_fails(struct vcpu *vcpu, u32 error)
{
	vcpu->nested.last_failed_check = CHECK_OK;
	nested_note_failure(vcpu, error, 0);
	trace_droste_entry_failed(vcpu, error, 0);
	return error ? nested_vmfail(vcpu, error) : nested_vmfail_invalid(vcpu);
}

/* The basic checks of VMLAUNCH and VMRESUME, which precede those on VMCS12's contents (SDM 3C 27.1). */
static int insn_enter_l2(struct vcpu *vcpu, bool launch)
{
	struct nested *n = &vcpu->nested;
	bool launched;
	u32 blocking;

	/* VM entry with a shadow VMCS fails (SDM 3C 31.3). */
	if (n->vmptr == VMPTR_NONE || (n->vmcs12->revision_id & VMCS12_SHADOW_BIT))
		return insn_entry_fails(vcpu, 0);
	blocking = vmcs_read(GUEST_INTERRUPTIBILITY_INFO);
	if (blocking & GUEST_INTR_STATE_MOV_SS)
		return insn_entry_fails(vcpu, VMXERR_ENTRY_EVENTS_BLOCKED_BY_MOV_SS);
	launched = n->vmcs12->launch_state == VMCS12_LAUNCHED;
	if (launch && launched)
		return insn_entry_fails(vcpu, VMXERR_VMLAUNCH_NONCLEAR_VMCS);
	if (!launch && !launched)
		return insn_entry_fails(vcpu, VMXERR_VMRESUME_NONLAUNCHED_VMCS);
	nested_shadow_fetch_entry(vcpu);
	return nested_run(vcpu, blocking);
}

static int insn_vmlaunch(struct vcpu *vcpu)
{
	return insn_enter_l2(vcpu, true);
}

static int insn_vmresume(struct vcpu *vcpu)
{
	return insn_enter_l2(vcpu, false);
}

/* VMX instructions by basic exit reason. */
static const struct vmx_insn {
	int (*run)(struct vcpu *vcpu);
	bool root_only;		/* #UD outside VMX operation, #GP(0) at CPL above 0 */
} vmx_insns[] = {
	[EXIT_REASON_VMRESUME]	= { insn_vmresume, true },
	[EXIT_REASON_VMLAUNCH]	= { insn_vmlaunch, true },
	[EXIT_REASON_VMREAD]	= { insn_vmread, true },
	[EXIT_REASON_VMWRITE]	= { insn_vmwrite, true },
	[EXIT_REASON_VMPTRLD]	= { insn_vmptrld, true },
	[EXIT_REASON_VMPTRST]	= { insn_vmptrst, true },
	[EXIT_REASON_VMCLEAR]	= { insn_vmclear, true },
	[EXIT_REASON_VMOFF]	= { insn_vmxoff, true },
	[EXIT_REASON_VMON]	= { insn_vmxon, false },
	[EXIT_REASON_VMCALL]	= { insn_vmcall, false },
	[EXIT_REASON_INVEPT]	= { insn_invept, true },
	[EXIT_REASON_INVVPID]	= { insn_invvpid, true },
	[EXIT_REASON_VMFUNC]	= { insn_vmfunc, false },
};

/**
 * nested_handle_vmx_insn() - handle the exit of a VMX instruction
 * @vcpu: the vCPU; vcpu->exit is the exit
 *
 * Some checks precede the exit, and the processor has made them: it raises #UD
 * for a register operand in place of memory, with CR0.PE clear, in virtual-8086
 * mode and in compatibility mode (SDM 3C 31.3, the instructions' pseudo-code).
 * L0 must check VMX operation and CPL. Of the VMX instructions of L2 only
 * VMREAD and VMWRITE come here, if L1 gave L2 a shadow VMCS; all others are
 * reflected to L1.
 *
 * Context: Process context. The VMCS of the level that executed the instruction
 * is current. Caller holds vm->srcu. May sleep.
 * Return: enum next or a negative errno.
 */
int nested_handle_vmx_insn(struct vcpu *vcpu)
{
	const struct vmx_insn *insn;
	u32 ss_ar;

	if (WARN_ON_ONCE(vcpu->exit.basic >= ARRAY_SIZE(vmx_insns) || !vmx_insns[vcpu->exit.basic].run))
		return -EIO;
	insn = &vmx_insns[vcpu->exit.basic];
	vcpu->nested.insn_operand = 0;
	if (insn->root_only) {
		if (!vcpu->nested.vmxon)
			return nested_insn_ud(vcpu);
		ss_ar = vmcs_read(GUEST_SS_AR_BYTES);
		if (VMX_AR_DPL(ss_ar) > 0)	/* the CPL (SDM 3C 25.4.1) */
			return nested_insn_gp(vcpu);
		if (!vcpu->in_l2)
			vcpu->nested.held01.ss_ar = ss_ar;
	}
	return insn->run(vcpu);
}
