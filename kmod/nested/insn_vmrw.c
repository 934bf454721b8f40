// SPDX-License-Identifier: GPL-2.0
/* VMREAD and VMWRITE that exit: of L1's current VMCS, and by L2 of its shadow VMCS. SDM 3C 25.11.2, 31.3. */
#include "droste.h"
#include "nested/insn.h"
#include "nested/nested.h"
#include "nested/seldom.h"
#include "nested/vmcs02.h"
#include "vmx/regs.h"

/* Bring VMCS12 up to date if @f is among the fields that VMCS02 holds in a newer version. */
static void insn_need_field(struct vcpu *vcpu, const struct vmcs12_field *f)
{
	if (vcpu->nested.vmcs02_stale && insn_needs_rare(f))
		nested_sync_rare(vcpu);
}

/**
 * insn_encoding() - the operand of VMREAD or VMWRITE that encodes the field
 * @vcpu: the vCPU at such an exit; at any level
 *
 * Context: The VMCS of the level that executed the instruction is current.
 * Return: 64 bits in 64-bit mode, 32 bits otherwise.
 */
u64 insn_encoding(struct vcpu *vcpu)
{
	u64 enc = vcpu_gpr(vcpu, IINFO_REG2(vcpu->exit.iinfo));

	if (!vcpu_is_64bit(vcpu))
		enc = (u32)enc;
	vcpu->nested.insn_operand = enc;
	return enc;
}

/* The VMCS that the instruction accesses: L1's current one, or L2's shadow VMCS. NULL if there is none. */
static struct vmcs12 *insn_target_vmcs(struct vcpu *vcpu)
{
	struct nested *n = &vcpu->nested;

	if (vcpu->in_l2)
		return link12_named(n->vmcs12) ? link12_get(vcpu) : NULL;
	return n->vmptr != VMPTR_NONE ? n->vmcs12 : NULL;
}

/* The row of a field that exists for this L1; NULL if there is none. */
static const struct vmcs12_field *insn_find_field(struct vcpu *vcpu, u64 enc)
{
	const struct vmcs12_field *f = vmcs12_field_lookup(enc);

	return f && vmcs12_field_exists(f, vcpu->nested.gates) ? f : NULL;
}

/**
 * insn_vmread() - execute VMREAD for L1 or L2 (SDM 3C 31.3)
 * @vcpu: in L1; or in L2, if L1's VMREAD bitmap lets L2 read this field of its
 *	shadow VMCS. At CPL 0
 *
 * Context: Process context. The VMCS of the level that executes the instruction
 * is current. Caller holds vm->srcu. May sleep.
 * Return: enum next or a negative errno.
 */
int insn_vmread(struct vcpu *vcpu)
{
	bool is64 = vcpu_is_64bit(vcpu);
	u32 info = vcpu->exit.iinfo;
	const struct vmcs12_field *f;
	struct vmcs12 *v = insn_target_vmcs(vcpu);
	u64 enc, val;
	int ret;

	if (!v)
		return nested_vmfail_invalid(vcpu);
	enc = insn_encoding(vcpu);
	f = insn_find_field(vcpu, enc);
	if (!f)
		return nested_vmfail(vcpu, VMXERR_UNSUPPORTED_VMCS_COMPONENT);
	if (!vcpu->in_l2)
		insn_need_field(vcpu, f);
	val = vmcs12_get(v, f);
	if (enc & VMCS_ENC_HIGH)
		val >>= 32;
	/* The value is zero-extended to the operand size, and truncated to 32 bits outside 64-bit mode. */
	if (IINFO_IS_REG(info)) {
		vcpu_set_gpr(vcpu, IINFO_REG1(info), is64 ? val : (u32)val);
	} else {
		ret = insn_write_operand(vcpu, &val, is64 ? 8 : 4);
		if (ret != NEXT_GO_ON)
			return ret;
	}
	return nested_vmsucceed(vcpu);
}

/**
 * insn_write_field() - write a field of VMCS12 for L1, and note what has changed
 * @vcpu: in L1
 * @f: the field's row
 * @enc: its encoding, for full or high access
 * @val: the value
 *
 * Context: Thread of @vcpu. With interrupts disabled, VMCS12 must be up to date already: see insn_needs_rare().
 */
void insn_write_field(struct vcpu *vcpu, const struct vmcs12_field *f, u64 enc, u64 val)
{
	struct nested *n = &vcpu->nested;
	u64 rflags = n->vmcs12->guest_rflags, old;

	/* If one rare field is dirty, the next entry writes all of them to VMCS02: they must be up to date. */
	insn_need_field(vcpu, f);
	old = vmcs12_get(n->vmcs12, f);
	if (enc & VMCS_ENC_HIGH)
		val = (u32)old | val << 32;
	vmcs12_set(n->vmcs12, f, val);
	if (vmcs12_get(n->vmcs12, f) == old)
		return;
	n->vmcs12_dirty |= f->dirty | vmcs12_rflags_dirty(rflags, n->vmcs12->guest_rflags);
}

/*
 * L1 writes a field that it can read from the shadow VMCS without an exit, so
 * the shadow must get the new value. Fetch its writable fields first, which are
 * newer there than in VMCS12.
 */
static void insn_write_shadowed(struct vcpu *vcpu, const struct vmcs12_field *f, u64 enc, u64 val)
{
	nested_shadow_fetch(vcpu);
	insn_write_field(vcpu, f, enc, val);
	nested_shadow_fill(vcpu);
	if (f->shadow == SHADOW_SELDOM)
		seldom_open(vcpu);
}

/* L2 writes to its shadow VMCS. link12_flush() copies it to L1's memory before L1 runs. */
static void insn_write_link(struct vcpu *vcpu, u64 enc, u64 val)
{
	(void)vmcs12_write_field(link12_get(vcpu), enc, val);
	vcpu->nested.link12_dirty = true;
}

/**
 * insn_vmwrite() - execute VMWRITE for L1 or L2 (SDM 3C 31.3)
 * @vcpu: in L1; or in L2, if L1's VMWRITE bitmap lets L2 write this field of its
 *	shadow VMCS. At CPL 0
 *
 * Context: Process context. The VMCS of the level that executes the instruction
 * is current. Caller holds vm->srcu. May sleep.
 * Return: enum next or a negative errno.
 */
int insn_vmwrite(struct vcpu *vcpu)
{
	struct nested *n = &vcpu->nested;
	bool is64 = vcpu_is_64bit(vcpu);
	u32 info = vcpu->exit.iinfo;
	const struct vmcs12_field *f;
	u64 enc, val = 0;
	int ret;

	if (!insn_target_vmcs(vcpu))
		return nested_vmfail_invalid(vcpu);
	/* Processors read the operand before they check the encoding. */
	if (IINFO_IS_REG(info)) {
		val = vcpu_gpr(vcpu, IINFO_REG1(info));
	} else {
		ret = insn_read_operand(vcpu, &val, is64 ? 8 : 4);
		if (ret != NEXT_GO_ON)
			return ret;
	}
	if (!is64)
		val = (u32)val;
	enc = insn_encoding(vcpu);
	f = insn_find_field(vcpu, enc);
	if (!f)
		return nested_vmfail(vcpu, VMXERR_UNSUPPORTED_VMCS_COMPONENT);
	if (insn_is_read_only(n, f))
		return nested_vmfail(vcpu, VMXERR_VMWRITE_READ_ONLY_VMCS_COMPONENT);
	if (vcpu->in_l2)
		insn_write_link(vcpu, enc, val);
	else if (n->shadow_on && f->shadow != SHADOW_NONE)
		insn_write_shadowed(vcpu, f, enc, val);
	else
		insn_write_field(vcpu, f, enc, val);
	if (unlikely(f->enc == SECONDARY_VM_EXEC_CONTROL) && !vcpu->in_l2)
		nested_shadow_follow_ept(vcpu);
	return nested_vmsucceed(vcpu);
}

/* --- the same as operations that are no instructions --- */

/* What L1 has written to the shadow VMCS is newer than VMCS12. L1 does not run before the last operation. */
static void insn_op_fetch(struct vcpu *vcpu, bool *fetched, const struct vmcs12_field *f)
{
	if (f->shadow == SHADOW_NONE || *fetched)
		return;
	nested_shadow_fetch(vcpu);
	*fetched = true;
}

/* Find the field of an operation. Returns 0, or what the operation returns. */
static int insn_op_field(struct vcpu *vcpu, u64 enc, const struct vmcs12_field **f)
{
	struct nested *n = &vcpu->nested;

	if (!n->vmxon)
		return -ENOEXEC;
	if (n->vmptr == VMPTR_NONE)
		return -ENOENT;
	*f = insn_find_field(vcpu, enc);
	return *f ? 0 : nested_op_fails(vcpu, VMXERR_UNSUPPORTED_VMCS_COMPONENT);
}

/**
 * nested_op_vmread() - carry out a VMREAD of L1 that is no instruction
 * @vcpu: in L1, in 64-bit code at CPL 0
 * @fetched: false at first; the same variable for all operations until L1 runs
 * @enc: encoding of the field
 * @val: its value; unchanged on failure
 *
 * Context: Process context. VMCS01 is current. Caller holds vm->srcu. May sleep.
 * Return: 0; a VM-instruction error; -ENOENT for VMfailInvalid; -ENOEXEC for #UD.
 */
int nested_op_vmread(struct vcpu *vcpu, bool *fetched, u64 enc, u64 *val)
{
	const struct vmcs12_field *f;
	int err = insn_op_field(vcpu, enc, &f);

	if (err)
		return err;
	insn_op_fetch(vcpu, fetched, f);
	insn_need_field(vcpu, f);
	*val = vmcs12_get(vcpu->nested.vmcs12, f) >> (enc & VMCS_ENC_HIGH ? 32 : 0);
	return 0;
}

/**
 * nested_op_vmwrite() - carry out a VMWRITE of L1 that is no instruction
 * @vcpu: in L1, in 64-bit code at CPL 0
 * @fetched: as for nested_op_vmread()
 * @enc: encoding of the field
 * @val: its new value
 *
 * Context: Process context. VMCS01 is current. Caller holds vm->srcu. May sleep.
 * Return: as nested_op_vmread().
 */
int nested_op_vmwrite(struct vcpu *vcpu, bool *fetched, u64 enc, u64 val)
{
	struct nested *n = &vcpu->nested;
	const struct vmcs12_field *f;
	int err = insn_op_field(vcpu, enc, &f);

	if (err)
		return err;
	if (insn_is_read_only(n, f))
		return nested_op_fails(vcpu, VMXERR_VMWRITE_READ_ONLY_VMCS_COMPONENT);
	insn_op_fetch(vcpu, fetched, f);
	insn_write_field(vcpu, f, enc, val);
	if (f->shadow != SHADOW_NONE)
		nested_shadow_fill(vcpu);
	if (unlikely(f->enc == SECONDARY_VM_EXEC_CONTROL))
		nested_shadow_follow_ept(vcpu);
	return 0;
}
