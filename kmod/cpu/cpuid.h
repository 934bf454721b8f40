/* SPDX-License-Identifier: GPL-2.0 */
/* CPUID of a vCPU: the entries that user space may choose from, those it chose, and the results of the instruction. */
#ifndef DROSTE_CPUID_H
#define DROSTE_CPUID_H

#include <linux/string.h>
#include <asm/msr-index.h>
#include "cpu/cpuid_table.h"
#include "cpu/types.h"
#include "droste.h"

struct kvm_cpuid2;
struct kvm_cpuid_entry2;

int cpuid_init(void);
long cpuid_get_supported(struct kvm_cpuid2 __user *uarg);
long cpuid_get_emulated(struct kvm_cpuid2 __user *uarg);
int cpuid_set(struct vcpu *vcpu, struct kvm_cpuid_entry2 *entries, int n);
int cpuid_host_offer(struct kvm_cpuid_entry2 *entries, int max);
u64 cpuid_host_spec_ctrl(void);
void cpuid_update_caps(struct vcpu *vcpu);
struct kvm_cpuid_entry2 cpuid_entry_now(struct vcpu *vcpu, struct kvm_cpuid_entry2 e);
bool cpuid_remember(struct vcpu *vcpu, struct cpuid_cached *c, u32 fn, u32 index);
bool cpuid_remember_asked(struct vcpu *vcpu);
bool vcpu_cpuid(struct vcpu *vcpu, u32 *eax, u32 *ebx, u32 *ecx, u32 *edx);
const struct kvm_cpuid_entry2 *vcpu_find_cpuid(struct vcpu *vcpu, u32 fn, u32 index);

/* The bits of IA32_MISC_ENABLE on which answers of CPUID depend. No answer is kept while one of them is set. */
#define CPUID_MISC_ENABLE	(MSR_IA32_MISC_ENABLE_LIMIT_CPUID | MSR_IA32_MISC_ENABLE_XD_DISABLE)

/**
 * cpuid_forget() - forget the answers that were kept for cpuid_quick()
 * @vcpu: the vCPU, whose CPUID or IA32_MISC_ENABLE changes
 *
 * Context: Any; caller holds vcpu->mutex.
 */
static inline void cpuid_forget(struct vcpu *vcpu)
{
	memset(vcpu->cpuid_cache, 0, sizeof(vcpu->cpuid_cache));
}

/**
 * cpuid_kept() - find an answer that is kept
 * @vcpu: loaded
 * @fn: the leaf
 * @index: the sub-leaf
 *
 * Context: Any; the caller's thread runs the vCPU. Does not sleep.
 * Return: where it is, or can be kept: see cpuid_is_kept().
 */
static __always_inline struct cpuid_cached *cpuid_kept(struct vcpu *vcpu, u32 fn, u32 index)
{
	struct cpuid_cached *c = &vcpu->cpuid_cache[(fn + (fn >> 29) + index) % CPUID_CACHE];

	OPTIMIZER_HIDE_VAR(c);	/* keeps the compiler from computing the index for each member */
	return c;
}

/* Whether @c, of cpuid_kept(), is the answer. */
static __always_inline bool cpuid_is_kept(const struct cpuid_cached *c, u32 fn, u32 index)
{
	return likely(c->valid) && likely(c->fn == fn) && likely(c->index == index);
}

/**
 * cpuid_quick() - execute CPUID for a guest, if the answer is always the same
 * @vcpu: loaded; its registers have the leaf and the sub-leaf, and get the answer
 *
 * Context: Any; the caller's thread runs the vCPU. Does not sleep.
 * Return: false if vcpu_cpuid() must do it; nothing has changed then.
 */
static __always_inline bool cpuid_quick(struct vcpu *vcpu)
{
	u32 fn = vcpu->regs[RAX], index = vcpu->regs[RCX];
	struct cpuid_cached *c = cpuid_kept(vcpu, fn, index);

	if (!cpuid_is_kept(c, fn, index) && !cpuid_remember_asked(vcpu))
		return false;
	vcpu->regs[RAX] = c->r[CPUID_RAX];
	vcpu->regs[RBX] = c->r[CPUID_RBX];
	vcpu->regs[RCX] = c->r[CPUID_RCX];
	vcpu->regs[RDX] = c->r[CPUID_RDX];
	return true;
}

#endif
