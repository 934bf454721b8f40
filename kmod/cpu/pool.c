// SPDX-License-Identifier: GPL-2.0
/* The processor that the device gives to new VMs, if it is less than this host's. */
#include <linux/mutex.h>
#include <linux/slab.h>
#include "droste.h"
#include "cpu/cpuid_table.h"
#include "cpu/pool.h"
#include "nested/vmcs12.h"
#include "vmx/vmx.h"

static DEFINE_MUTEX(pool_lock);
static struct pool *device_pool;	/* NULL: new VMs get what the host has; protected by pool_lock */

const struct pool_most pool_unbounded = {
	.xcr0 = ~0ULL, .cr4 = ~0ULL, .efer = ~0ULL, .spec_ctrl = ~0ULL, .arch_caps = ~0ULL,
	.kvm_features = ~0U, .droste_features = ~0U,
};

static void pool_fill_cpuid(struct pool *pool)
{
	u32 i;

	for (i = 0; i < pool->p.nr_cpuid; i++) {
		const struct droste_pool_cpuid *e = &pool->p.cpuid[i];

		pool->cpuid[i] = (struct kvm_cpuid_entry2) {
			.function = e->leaf, .index = e->subleaf,
			.flags = e->flags & DROSTE_POOL_INDEXED ? KVM_CPUID_FLAG_SIGNIFCANT_INDEX : 0,
			.eax = e->regs[POOL_EAX], .ebx = e->regs[POOL_EBX],
			.ecx = e->regs[POOL_ECX], .edx = e->regs[POOL_EDX] };
	}
	pool->nr_cpuid = pool->p.nr_cpuid;
}

/**
 * pool_msr() - a feature MSR of a pool
 * @pool: the pool
 * @msr: the MSR
 *
 * Context: Any.
 * Return: its value; 0 if the pool has none.
 */
u64 pool_msr(struct pool *pool, u32 msr)
{
	const struct droste_pool_msr *m = pool_find_msr(&pool->p, msr);

	return m ? m->value : 0;
}

/* The bits of an MSR that a guest may be shown: features that the pool has, and all defects. */
static u64 pool_msr_most(struct pool *pool, u32 msr)
{
	u64 most = 0;
	unsigned int i;

	for (i = 0; i < nr_pool_msr_rules; i++) {
		const struct pool_msr_rule *r = &pool_msr_rules[i];

		if (r->msr == msr)
			most |= r->mask & (r->op == POOL_AND ? pool_msr(pool, msr) : ~0ULL);
	}
	return most;
}

static void pool_fill_most(struct pool *pool)
{
	const struct kvm_cpuid_entry2 *pv = cpuid_find(pool->cpuid, pool->nr_cpuid, CPUID_DROSTE_PV, 0);
	const struct kvm_cpuid_entry2 *own = cpuid_find(pool->cpuid, pool->nr_cpuid, CPUID_DROSTE_MAX, 0);
	const struct kvm_cpuid_entry2 *xsave = cpuid_find(pool->cpuid, pool->nr_cpuid, 0xd, 0);

	pool->most = (struct pool_most) {
		.xcr0 = xsave ? xsave->eax | (u64)xsave->edx << 32 : 0,
		.cr4 = cpuid_cr4_allowed(pool->cpuid, pool->nr_cpuid) & pool->caps.cr4_fixed1,
		.efer = cpuid_efer_allowed(pool->cpuid, pool->nr_cpuid),
		.spec_ctrl = cpuid_spec_ctrl_allowed(pool->cpuid, pool->nr_cpuid),
		.arch_caps = pool_msr_most(pool, MSR_IA32_ARCH_CAPABILITIES),
		.kvm_features = pv ? pv->eax : 0,
		.droste_features = own ? own->eax : 0,
	};
}

/**
 * pool_make() - make a pool that VMs can have
 * @p: what it has; this host can keep it
 *
 * Context: Process context. May sleep.
 * Return: the pool, with one reference; NULL without memory.
 */
struct pool *pool_make(const struct droste_pool *p)
{
	struct pool *pool = kvzalloc(sizeof(*pool), GFP_KERNEL_ACCOUNT);
	struct droste_pool_msr *m;
	u32 i;

	if (!pool)
		return NULL;
	refcount_set(&pool->users, 1);
	pool->p = *p;
	pool_fill_cpuid(pool);
	pool->vmx = pool_has(pool, 1, 0, CPUID_RCX, BIT(5));
	/* An MSR that the pool does not name has nothing for an L1. */
	if (!pool->vmx)
		pool->caps = offer_caps;
	for (i = 0; i < p->nr_msrs; i++)
		if (p->msrs[i].index >= VMX_CAPS_FIRST && p->msrs[i].index < VMX_CAPS_FIRST + VMX_CAPS_NR)
			*vmx_caps_msr(&pool->caps, p->msrs[i].index) = p->msrs[i].value;
	pool->caps.vmcs_enum = (u64)vmcs12_max_index(vmcs12_gates(&pool->caps)) << 1;
	m = pool_find_msr(&pool->p, MSR_IA32_VMX_VMCS_ENUM);
	if (m)
		m->value = pool->caps.vmcs_enum;
	pool_fill_most(pool);
	return pool;
}

/**
 * pool_get() - the pool of the device
 *
 * Context: Process context. May sleep.
 * Return: it, with a reference that the caller owns; NULL if there is none.
 */
struct pool *pool_get(void)
{
	struct pool *pool;

	mutex_lock(&pool_lock);
	pool = device_pool;
	if (pool)
		refcount_inc(&pool->users);
	mutex_unlock(&pool_lock);
	return pool;
}

/**
 * pool_put() - give up a reference
 * @pool: the pool; may be NULL
 *
 * Context: Process context.
 */
void pool_put(struct pool *pool)
{
	if (pool && refcount_dec_and_test(&pool->users))
		kvfree(pool);
}

/**
 * pool_replace() - give the device another pool
 * @pool: it; this function takes the reference over; NULL: none
 *
 * Context: Process context. May sleep.
 */
void pool_replace(struct pool *pool)
{
	mutex_lock(&pool_lock);
	swap(pool, device_pool);
	mutex_unlock(&pool_lock);
	pool_put(pool);
}

#define AMD_ALIASES	(GENMASK(9, 0) | GENMASK(17, 12) | GENMASK(24, 23))	/* of CPUID.1:EDX */

/* Bits of feature words that user space or the guest's kernel sets: OSXSAVE, HTT, OSPKE, those that AMD has twice. */
static u32 pool_not_features(u32 fn, enum cpuid_reg reg)
{
	if (fn == 1)
		return reg == CPUID_RCX ? BIT(27) : reg == CPUID_RDX ? BIT(28) : 0;
	if (fn == 0x80000001)
		return reg == CPUID_RDX ? AMD_ALIASES : 0;
	return fn == 7 && reg == CPUID_RCX ? BIT(4) : 0;
}

static u32 pool_reg(const struct kvm_cpuid_entry2 *e, enum cpuid_reg reg)
{
	return !e ? 0 : reg == CPUID_RAX ? e->eax : reg == CPUID_RBX ? e->ebx : reg == CPUID_RCX ? e->ecx : e->edx;
}

/* What an entry has in the field of a rule that the offer has not. */
static u32 pool_beyond_rule(const struct pool_rule *r, u32 leaf, u32 has, u32 may)
{
	if (r->op == POOL_AND)
		return has & ~may & r->mask;
	if (r->op == POOL_MIN && leaf == 0x80000008 && (has & r->mask) > (may & r->mask))
		return (has ^ may) & r->mask;
	return 0;
}

/**
 * pool_beyond() - what an entry of a guest's CPUID has that the offer has not
 * @entries: the offer
 * @n: its number of entries
 * @e: the entry; without an index it answers for all sub-leaves
 * @reg: the register of it
 *
 * Hypervisors' leaves, and values that are no features, such as caches,
 * topology and the highest leaf, do not count.
 *
 * Context: Any.
 * Return: the bits; of a number that is too large, those that differ.
 */
u32 pool_beyond(const struct kvm_cpuid_entry2 *entries, int n, const struct kvm_cpuid_entry2 *e, enum cpuid_reg reg)
{
	bool indexed = e->flags & KVM_CPUID_FLAG_SIGNIFCANT_INDEX, ruled = false;
	u32 has = pool_reg(e, reg), index = indexed ? e->index : 0, beyond = 0;
	unsigned int i;

	if ((e->function & 0xf0000000) == 0x40000000 || e->function == 5)
		return 0;
	for (i = 0; i < nr_pool_rules; i++) {
		const struct pool_rule *r = &pool_rules[i];
		u32 sub = r->subleaf == POOL_ANY ? index : r->subleaf;

		if (indexed ? !pool_rule_for(r, e->function, index) : r->leaf != e->function)
			continue;
		ruled = true;
		if (r->reg == (u8)reg)
			beyond |= pool_beyond_rule(r, e->function, has, pool_reg(cpuid_find(entries, n, r->leaf, sub), reg));
	}
	if (!ruled)
		beyond = has & ~pool_reg(cpuid_find(entries, n, e->function, index), reg);
	return beyond & ~pool_not_features(e->function, reg);
}
