/* SPDX-License-Identifier: GPL-2.0 */
/* VMX instructions of L1: their results, operands and handlers. SDM 3C 31. */
#ifndef DROSTE_NESTED_INSN_H
#define DROSTE_NESTED_INSN_H

#include <linux/types.h>
#include <asm/trapnr.h>
#include "droste.h"
#include "vmx/iinfo.h"

/* --- insn.c --- */
int nested_vmsucceed(struct vcpu *vcpu);
int nested_vmfail_invalid(struct vcpu *vcpu);
int nested_vmfail(struct vcpu *vcpu, u32 error);
int nested_insn_ud(struct vcpu *vcpu);

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

/* --- insn_inv.c --- */
int insn_invept(struct vcpu *vcpu);
int insn_invvpid(struct vcpu *vcpu);

#endif
