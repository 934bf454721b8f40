// SPDX-License-Identifier: GPL-2.0
/* DROSTE_SET_POOL and DROSTE_GET_POOL: new VMs get what several hosts have in common. */
#include <linux/capability.h>
#include <linux/droste.h>
#include <linux/slab.h>
#include "droste.h"
#include "abi/dev.h"
#include "cpu/cpuid.h"
#include "cpu/msr.h"
#include "cpu/pool.h"
#include "cpu/tsc.h"
#include "vmx/vmx.h"

/* The processor that guests of this host can have. */
static int pool_of_host(struct droste_pool *p)
{
	struct kvm_cpuid_entry2 *entries = kvcalloc(DROSTE_POOL_CPUID, sizeof(*entries), GFP_KERNEL_ACCOUNT);
	int i, n;

	if (!entries)
		return -ENOMEM;
	memset(p, 0, sizeof(*p));
	n = cpuid_host_offer(entries, DROSTE_POOL_CPUID);
	for (i = 0; i < n; i++) {
		bool indexed = entries[i].flags & KVM_CPUID_FLAG_SIGNIFCANT_INDEX;

		p->cpuid[i] = (struct droste_pool_cpuid) {
			.leaf = entries[i].function, .subleaf = indexed ? entries[i].index : 0,
			.flags = indexed ? DROSTE_POOL_INDEXED : 0,
			.regs = { entries[i].eax, entries[i].ebx, entries[i].ecx, entries[i].edx } };
	}
	kvfree(entries);
	if (n < 0)
		return n;
	p->nr_cpuid = n;
	n = msr_host_offer(p);
	p->tsc_khz = tsc_khz;
	p->tsc_khz_max = tsc_khz;
	p->flags = vmx_features.tsc_scaling ? DROSTE_POOL_TSC_SCALING : 0;
	return n;
}

/* Keeps the first loss. */
static void pool_note_loss(void *ctx, const struct pool_loss *loss)
{
	struct pool_loss *first = ctx;

	if (!first->bits)
		*first = *loss;
}

static void pool_log(const char *what, const struct pool_loss *loss)
{
	static const char regs[][4] = { "EAX", "EBX", "ECX", "EDX" };

	if (loss->what == POOL_LOST_CPUID)
		pr_info_ratelimited("droste: pool refused: %s CPUID %#x.%u:%s bits %#llx\n", what, loss->leaf, loss->subleaf,
				    regs[loss->reg], loss->bits);
	else if (loss->what == POOL_LOST_LIST)
		pr_info_ratelimited("droste: pool refused: %s MSR %#x\n", what, loss->leaf);
	else
		pr_info_ratelimited("droste: pool refused: %s MSR %#x bits %#llx\n", what, loss->leaf, loss->bits);
}

/* Room for the steps of a check. */
struct pool_work {
	struct droste_pool host, closed, kept;
};

/* Whether a pool contradicts itself, or has more than this host. */
static int pool_check_host(const struct droste_pool *p, struct pool_work *w)
{
	struct pool_loss first = {};
	int ret;

	ret = pool_check(p);
	if (ret)
		return ret;
	w->closed = *p;
	pool_close(&w->closed);
	if (pool_lost(p, &w->closed, pool_note_loss, &first)) {
		pool_log("it contradicts itself in", &first);
		return -EINVAL;
	}
	ret = pool_of_host(&w->host);
	if (ret)
		return ret;
	pool_meet(p, &w->host, &w->kept);
	if (pool_lost(p, &w->kept, pool_note_loss, &first)) {
		pool_log("this host lacks", &first);
		return -ENXIO;
	}
	if (pool_lost_tsc(p, &w->host) || (pool_tsc_one(p) && !tsc_has_rate(p->tsc_khz))) {
		pr_info_ratelimited("droste: pool refused: this host has no TSC of %u kHz\n", p->tsc_khz);
		return -ENXIO;
	}
	return 0;
}

/**
 * dev_set_pool() - DROSTE_SET_POOL
 * @self: NULL
 * @arg: struct droste_pool
 * @uarg: unused
 *
 * Context: Process context. May sleep.
 * Return: 0; -EPERM; -EINVAL; -ENXIO if this host cannot keep it; -ENOMEM.
 */
long dev_set_pool(void *self, void *arg, unsigned long uarg)
{
	const struct droste_pool *p = arg;
	struct pool *pool = NULL;
	struct pool_work *w;
	int ret;

	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;
	if (p->nr_cpuid) {
		w = kvmalloc(sizeof(*w), GFP_KERNEL_ACCOUNT);
		if (!w)
			return -ENOMEM;
		ret = pool_check_host(p, w);
		kvfree(w);
		if (ret)
			return ret;
		pool = pool_make(p);
		if (!pool)
			return -ENOMEM;
	} else if (memchr_inv(p, 0, sizeof(*p))) {
		return -EINVAL;
	}
	pool_replace(pool);
	return 0;
}

/**
 * dev_get_pool() - DROSTE_GET_POOL
 * @self: NULL
 * @arg: struct droste_pool
 * @uarg: unused
 *
 * Context: Process context. May sleep.
 * Return: 0; -EINVAL; -ENOMEM.
 */
long dev_get_pool(void *self, void *arg, unsigned long uarg)
{
	struct droste_pool *p = arg;
	u32 flags = p->flags;
	struct pool *pool;

	if (flags & ~DROSTE_POOL_HOST)
		return -EINVAL;
	if (flags & DROSTE_POOL_HOST)
		return pool_of_host(p);
	pool = pool_get();
	if (pool)
		*p = pool->p;
	else
		memset(p, 0, sizeof(*p));
	pool_put(pool);
	return 0;
}
