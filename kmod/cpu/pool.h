/* SPDX-License-Identifier: GPL-2.0 */
/* The processor that the device gives to new VMs, if it is less than this host's: see DROSTE_SET_POOL. */
#ifndef DROSTE_POOL_H
#define DROSTE_POOL_H

#include <linux/kvm.h>
#include <linux/refcount.h>
#include <linux/types.h>
#include "cpu/cpuid_table.h"
#include "cpu/pool_logic.h"
#include "vmx/types.h"

/* The bits that guests can have at most. */
struct pool_most {
	u64 xcr0, cr4, efer, spec_ctrl;
	u64 arch_caps;			/* of IA32_ARCH_CAPABILITIES, with the defects that a guest may be told of */
	u32 kvm_features, droste_features;	/* of the hypervisor's leaves */
};

/* A pool; constant. The device has a reference to one, and each VM that was created under it. */
struct pool {
	refcount_t users;
	struct droste_pool p;
	struct pool_most most;
	struct vmx_caps caps;		/* of an L1; those of the host if the pool's guests have no VMX */
	bool vmx;			/* they have VMX */
	int nr_cpuid;
	struct kvm_cpuid_entry2 cpuid[DROSTE_POOL_CPUID];
};

struct pool *pool_make(const struct droste_pool *p);
struct pool *pool_get(void);
void pool_put(struct pool *pool);
u64 pool_msr(struct pool *pool, u32 msr);
void pool_replace(struct pool *pool);
u32 pool_beyond(const struct kvm_cpuid_entry2 *entries, int n, const struct kvm_cpuid_entry2 *e, enum cpuid_reg reg);

extern const struct pool_most pool_unbounded;

/**
 * pool_most() - the bits that a pool's guests can have at most
 * @pool: the pool; NULL has all
 *
 * Context: Any.
 * Return: the bits, as long as the pool is.
 */
static inline const struct pool_most *pool_most(const struct pool *pool)
{
	return pool ? &pool->most : &pool_unbounded;
}

/**
 * pool_has() - whether a pool has a bit of CPUID
 * @pool: the pool; NULL has all
 * @fn: leaf
 * @index: sub-leaf
 * @reg: register
 * @bit: one or more bits
 *
 * Context: Any.
 * Return: true if it has one of them.
 */
static inline bool pool_has(const struct pool *pool, u32 fn, u32 index, enum cpuid_reg reg, u32 bit)
{
	return !pool || cpuid_has(pool->cpuid, pool->nr_cpuid, fn, index, reg, bit);
}

#endif
