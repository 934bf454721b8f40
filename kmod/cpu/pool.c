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
 * pool_make() - make a pool that VMs can have
 * @p: what it has; this host can keep it
 *
 * Context: Process context. May sleep.
 * Return: the pool, with one reference; NULL without memory.
 */
struct pool *pool_make(const struct droste_pool *p)
{
	struct pool *pool = kvzalloc(sizeof(*pool), GFP_KERNEL_ACCOUNT);
	const struct kvm_cpuid_entry2 *e;
	struct droste_pool_msr *m;
	u32 i;

	if (!pool)
		return NULL;
	refcount_set(&pool->users, 1);
	pool->p = *p;
	pool_fill_cpuid(pool);
	pool->vmx = pool_has(pool, 1, 0, CPUID_RCX, BIT(5));
	pool->caps = offer_caps;
	for (i = 0; i < p->nr_msrs; i++)
		if (p->msrs[i].index >= VMX_CAPS_FIRST && p->msrs[i].index < VMX_CAPS_FIRST + VMX_CAPS_NR)
			*vmx_caps_msr(&pool->caps, p->msrs[i].index) = p->msrs[i].value;
	pool->caps.vmcs_enum = (u64)vmcs12_max_index(vmcs12_gates(&pool->caps)) << 1;
	m = pool_find_msr(&pool->p, MSR_IA32_VMX_VMCS_ENUM);
	if (m)
		m->value = pool->caps.vmcs_enum;
	e = cpuid_find(pool->cpuid, pool->nr_cpuid, CPUID_DROSTE_PV, 0);
	pool->kvm_features = e ? e->eax : 0;
	e = cpuid_find(pool->cpuid, pool->nr_cpuid, CPUID_DROSTE_MAX, 0);
	pool->droste_features = e ? e->eax : 0;
	e = cpuid_find(pool->cpuid, pool->nr_cpuid, 0xd, 0);
	pool->xcr0 = e ? e->eax | (u64)e->edx << 32 : 0;
	pool->cr4 = cpuid_cr4_allowed(pool->cpuid, pool->nr_cpuid) & pool->caps.cr4_fixed1;
	pool->efer = cpuid_efer_allowed(pool->cpuid, pool->nr_cpuid);
	pool->spec_ctrl = cpuid_spec_ctrl_allowed(pool->cpuid, pool->nr_cpuid);
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

/**
 * pool_beyond() - what an entry of a guest's CPUID has that the offer has not
 * @entries: the offer
 * @n: its number of entries
 * @e: the entry
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
	u32 has = pool_reg(e, reg), may, beyond = 0;
	u32 index = e->flags & KVM_CPUID_FLAG_SIGNIFCANT_INDEX ? e->index : 0;
	unsigned int i;

	if ((e->function & 0xf0000000) == 0x40000000 || e->function == 5)
		return 0;
	may = pool_reg(cpuid_find(entries, n, e->function, index), reg);
	if (pool_leaf_indexed(e->function) < 0)
		return has & ~may;
	for (i = 0; i < nr_pool_rules; i++) {
		const struct pool_rule *r = &pool_rules[i];

		if (r->leaf != e->function || r->reg != (u8)reg || (r->subleaf != POOL_ANY && r->subleaf != index))
			continue;
		if (r->op == POOL_AND)
			beyond |= has & ~may & r->mask;
		else if (r->op == POOL_MIN && e->function == 0x80000008 && (has & r->mask) > (may & r->mask))
			beyond |= (has ^ may) & r->mask;
	}
	return beyond & ~pool_not_features(e->function, reg);
}
