// SPDX-License-Identifier: GPL-2.0
/* VMREAD and VMWRITE of L1 with register operands, in the short loop. insn_vmrw.c has the general way. SDM 3C 31.3. */
#include <asm/processor-flags.h>
#include "droste.h"
#include "nested/cluster.h"
#include "nested/insn.h"
#include "nested/nested.h"
#include "nested/shadow.h"
#include "nested/vmcs02.h"
#include "vmx/regs.h"
#include "vmx/vmx.h"

/*
 * Accesses to several fields of one kind need VMCS02 only once, so it stays current
 * until something needs another one.
 */
static __always_inline void insn_use_vmcs(struct loaded_vmcs *v)
{
	if (this_cpu_read(current_vmcs) != v)
		vmcs_load_here(v);
}

/**
 * insn_short_end() - make VMCS01 current again after accesses in the short loop
 * @vcpu: in L1
 *
 * Context: Interrupts disabled.
 */
void insn_short_end(struct vcpu *vcpu)
{
	insn_use_vmcs(&vcpu->vmcs01);
}

/* VMfailValid with an error number (SDM 3C 31.2). */
static u64 insn_short_fail(struct vcpu *vcpu, u32 error)
{
	vcpu->nested.vmcs12->vm_instruction_error = error;
	return X86_EFLAGS_ZF;
}

/* Whether VMCS02 may be made current on this CPU. */
static bool insn_vmcs02_is_here(const struct vcpu *vcpu)
{
	return vcpu->nested.vmcs02.cpu == vcpu->vmcs01.cpu;
}

/* VMREAD and VMWRITE fail: there is no current VMCS, or no field (SDM 3C 31.3). Returns the flags to set. */
static noinline u64 insn_short_no_field(struct vcpu *vcpu)
{
	if (vcpu->nested.vmptr == VMPTR_NONE)
		return X86_EFLAGS_CF;
	return insn_short_fail(vcpu, VMXERR_UNSUPPORTED_VMCS_COMPONENT);
}

/**
 * insn_short_read() - execute VMREAD in the short loop
 * @vcpu: in L1, in VMX operation, at CPL 0
 * @f: the row of the field, by vmcs12_field_lookup(); NULL if there is none
 * @enc: its encoding
 * @val: set to the field's value if VMREAD succeeds, unchanged otherwise
 * @set: set to the arithmetic flags that VMREAD sets; it clears the others
 *
 * Context: Interrupts disabled. Any VMCS of the vCPU is current before and after.
 * Return: false if this needs the general way, or no exit; nothing has changed then.
 */
bool insn_short_read(struct vcpu *vcpu, const struct vmcs12_field *f, u64 enc, u64 *val, u64 *set)
{
	struct nested *n = &vcpu->nested;

	if (unlikely(!insn_short_has(n, f))) {
		*set = insn_short_no_field(vcpu);
		return true;
	}
	if (insn_shadow_is_newer(n, f))
		return false;
	*set = 0;
	if (insn_vmcs02_is_newer(n, f)) {
		if (unlikely(!insn_vmcs02_is_here(vcpu)))
			return false;
		/* Of the fields that VMCS12 lacks, this one is enough. */
		insn_use_vmcs(&n->vmcs02);
		*val = vmcs_read(f->enc);
		if (unlikely(again_is_paranoid()))
			paranoid_field(vcpu, f, enc, *val);
		return true;
	}
	*val = insn_short_get(n, f, enc);
	return true;
}

/**
 * insn_short_write() - execute VMWRITE in the short loop
 * @vcpu: in L1, in VMX operation, at CPL 0
 * @f: the row of the field, by vmcs12_field_lookup(); NULL if there is none
 * @enc: its encoding
 * @val: the value
 * @set: set to the arithmetic flags that VMWRITE sets; it clears the others
 *
 * Context: Interrupts disabled. Any VMCS of the vCPU is current before and after.
 * Return: false if this needs the general way, or no exit; nothing has changed then.
 */
bool insn_short_write(struct vcpu *vcpu, const struct vmcs12_field *f, u64 enc, u64 val, u64 *set)
{
	struct nested *n = &vcpu->nested;

	if (unlikely(!insn_short_has(n, f))) {
		*set = insn_short_no_field(vcpu);
		return true;
	}
	if (unlikely(insn_is_read_only(n, f))) {
		*set = insn_short_fail(vcpu, VMXERR_VMWRITE_READ_ONLY_VMCS_COMPONENT);
		return true;
	}
	/* The shadow VMCS, or the fields that are shadowed, would change. */
	if (insn_is_shadowed(n, f) || f->enc == SECONDARY_VM_EXEC_CONTROL)
		return false;
	if (n->vmcs02_stale && insn_needs_rare(f)) {
		if (unlikely(!insn_vmcs02_is_here(vcpu)))
			return false;
		insn_use_vmcs(&n->vmcs02);
		nested_sync_rare_here(n);
	}
	*set = 0;
	insn_write_field(vcpu, f, enc, val);
	return true;
}

/* Execute the instruction that exited: between the general registers @reg1 and @reg2 of the instruction information. */
static bool insn_short_execute(struct vcpu *vcpu, u32 reg1, u32 reg2, u64 *set)
{
	u64 enc = vcpu->regs[reg2];
	const struct vmcs12_field *f = vmcs12_field_lookup(enc);

	if (vcpu->exit.reason == EXIT_REASON_VMREAD)
		return insn_short_read(vcpu, f, enc, &vcpu->regs[reg1], set);
	return insn_short_write(vcpu, f, enc, vcpu->regs[reg1], set);
}

/**
 * nested_short_vmrw() - execute VMREAD or VMWRITE of L1 in the short loop, and those that follow it
 * @vcpu: in L1, has just exited because of VMREAD or VMWRITE; no register is cached
 * @next: RIP behind the instruction; changed to RIP behind the last instruction that was executed
 *
 * Context: Interrupts disabled. VMCS01 is current before and after.
 * Return: false if the general path must execute the instruction; nothing has changed then.
 */
bool nested_short_vmrw(struct vcpu *vcpu, u64 *next)
{
	u32 info, reg1, reg2;
	u64 old, flags, set;
	bool done;

	if (unlikely(!vcpu->nested.vmxon || VMX_AR_DPL(vmcs_read(GUEST_SS_AR_BYTES)) || !vcpu_is_64bit(vcpu)))
		return false;
	info = vmcs_read(VMX_INSTRUCTION_INFO);
	reg1 = IINFO_REG1(info);
	reg2 = IINFO_REG2(info);
	/* RSP is not among vcpu->regs here. */
	if (!IINFO_IS_REG(info) || reg1 == RSP || reg2 == RSP)
		return false;
	done = insn_short_execute(vcpu, reg1, reg2, &set);
	insn_short_end(vcpu);
	if (!done)
		return false;
	old = vmcs_read(GUEST_RFLAGS);
	flags = (old & ~INSN_FLAGS) | set;
	*next = cluster_go_on(vcpu, *next, &flags);
	if (flags != old)
		vmcs_write(GUEST_RFLAGS, flags);
	return true;
}
