/* SPDX-License-Identifier: GPL-2.0 */
/* VMX instructions of L1: their results, operands and handlers. SDM 3C 31. */
#ifndef DROSTE_NESTED_INSN_H
#define DROSTE_NESTED_INSN_H

#include <linux/types.h>
#include <asm/processor-flags.h>
#include <asm/trapnr.h>
#include "droste.h"
#include "vmx/iinfo.h"

/* The flags that VMX instructions write; all but the one that tells of a failure become 0 (SDM 3C 31.2). */
#define INSN_FLAGS	((u64)(X86_EFLAGS_CF | X86_EFLAGS_PF | X86_EFLAGS_AF | X86_EFLAGS_ZF | X86_EFLAGS_SF | X86_EFLAGS_OF))

/* --- insn.c --- */
int nested_vmsucceed(struct vcpu *vcpu);
int nested_vmfail_invalid(struct vcpu *vcpu);
int nested_vmfail(struct vcpu *vcpu, u32 error);
int nested_insn_ud(struct vcpu *vcpu);
int nested_op_fails(struct vcpu *vcpu, u32 error);

/* --- insn_operand.c --- */

/*
 * Helpers that may fault return NEXT_GO_ON on success. Any other value ends
 * the instruction, and the handler returns it at once.
 */
int insn_read_operand(struct vcpu *vcpu, void *data, u32 len);
int insn_write_operand(struct vcpu *vcpu, const void *data, u32 len);

/* --- insn_vmptr.c --- */
int insn_vmclear(struct vcpu *vcpu);
int insn_vmptrld(struct vcpu *vcpu);
int insn_vmptrst(struct vcpu *vcpu);

/* --- insn_vmrw.c --- */
u64 insn_encoding(struct vcpu *vcpu);
int insn_vmread(struct vcpu *vcpu);
int insn_vmwrite(struct vcpu *vcpu);
void insn_write_field(struct vcpu *vcpu, const struct vmcs12_field *f, u64 enc, u64 val);

/* Whether VMWRITE refuses the field: IA32_VMX_MISC tells whether it can write exit information (SDM 3D A.6). */
static inline bool insn_is_read_only(const struct nested *n, const struct vmcs12_field *f)
{
	return f->class == VMCS12_RO && !(n->caps.misc & BIT_ULL(29));
}

/* Whether an access to the field needs the rare fields in VMCS12, if VMCS02 has newer values. */
static inline bool insn_needs_rare(const struct vmcs12_field *f)
{
	return f->sync == SYNC_RARE || (f->dirty & DIRTY12_RARE);
}

/* --- insn_short.c --- */
bool insn_short_read(struct vcpu *vcpu, const struct vmcs12_field *f, u64 enc, u64 *val, u64 *set);
bool insn_short_write(struct vcpu *vcpu, const struct vmcs12_field *f, u64 enc, u64 val, u64 *set);
void insn_short_end(struct vcpu *vcpu);

/* Whether L1 accesses the field without an exit, at least at times. */
static __always_inline bool insn_is_shadowed(const struct nested *n, const struct vmcs12_field *f)
{
	return n->shadow_on && f->shadow != SHADOW_NONE;
}

/* Whether VMREAD of the field at @f, which is NULL if there is none, succeeds: there is a current VMCS that has it. */
static __always_inline bool insn_short_has(const struct nested *n, const struct vmcs12_field *f)
{
	return n->vmptr != VMPTR_NONE && f && vmcs12_field_exists(f, n->gates);
}

/* The shadow VMCS may have a newer value than VMCS12. */
static __always_inline bool insn_shadow_is_newer(const struct nested *n, const struct vmcs12_field *f)
{
	return insn_is_shadowed(n, f) && f->shadow != SHADOW_RO;
}

/* VMCS02 has it. */
static __always_inline bool insn_vmcs02_is_newer(const struct nested *n, const struct vmcs12_field *f)
{
	return n->vmcs02_stale && f->sync == SYNC_RARE;
}

/* What VMREAD returns for the encoding @enc of a field that VMCS12 has the newest value of. */
static __always_inline u64 insn_short_get(const struct nested *n, const struct vmcs12_field *f, u64 enc)
{
	u64 v = vmcs12_get(n->vmcs12, f);

	return enc & VMCS_ENC_HIGH ? v >> 32 : v;
}

/* --- insn_inv.c --- */
int insn_invept(struct vcpu *vcpu);
int insn_invvpid(struct vcpu *vcpu);

#endif
