// SPDX-License-Identifier: GPL-2.0
/* KVM_SET_CPUID, KVM_SET_CPUID2 and KVM_GET_CPUID2. */
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <asm/processor.h>
#include "droste.h"
#include "abi/state.h"
#include "cpu/cpuid.h"
#include "cpu/pool.h"
#include "nested/nested.h"

static bool strict_cpuid;
module_param(strict_cpuid, bool, 0644);
MODULE_PARM_DESC(strict_cpuid, "refuse CPUID that has more than the device offers (default: no)");

/* Returns -EINVAL if the entries have more than the VM's pool, or than the host, and logs the first that does. */
static int cpuid_within_offer(const struct vcpu *vcpu, const struct kvm_cpuid_entry2 *entries, int n)
{
	static const char regs[][4] = { "EAX", "EBX", "ECX", "EDX" };
	const struct pool *pool = vcpu->vm->pool;
	struct kvm_cpuid_entry2 *host = NULL;
	int i, reg, nr_host = 0;
	u32 bits = 0;

	if (!pool) {
		host = kvcalloc(DROSTE_MAX_CPUID, sizeof(*host), GFP_KERNEL_ACCOUNT);
		if (!host)
			return -ENOMEM;
		nr_host = cpuid_host_offer(host, DROSTE_MAX_CPUID);
	}
	for (i = 0; i < n && !bits; i++) {
		for (reg = CPUID_RAX; reg <= CPUID_RDX && !bits; reg++) {
			bits = pool_beyond(pool ? pool->cpuid : host, pool ? pool->nr_cpuid : nr_host, &entries[i], reg);
			if (bits)
				pr_info_ratelimited("droste: CPUID refused: leaf %#x.%u:%s has bits %#x, which %s lacks\n",
						    entries[i].function, entries[i].index, regs[reg], bits,
						    pool ? "the pool" : "the host");
		}
	}
	kvfree(host);
	return bits ? -EINVAL : 0;
}

#define BRAND_FIRST	0x80000002U
#define BRAND_LAST	0x80000004U
/* Room behind the entries of user space, for those of the brand that it has left out. */
#define BRAND_LEAVES	(BRAND_LAST - BRAND_FIRST + 1)

/* Whether the entries' brand is that of the processor. A leaf without an entry is 0: QEMU leaves out what is. */
static bool cpuid_brand_is_hosts(const struct kvm_cpuid_entry2 *entries, int n)
{
	const struct kvm_cpuid_entry2 *e;
	u32 fn, eax, ebx, ecx, edx;

	if (!cpuid_find(entries, n, BRAND_FIRST, 0))
		return false;
	for (fn = BRAND_FIRST; fn <= BRAND_LAST; fn++) {
		e = cpuid_find(entries, n, fn, 0);
		cpuid(fn, &eax, &ebx, &ecx, &edx);
		if (e ? e->eax != eax || e->ebx != ebx || e->ecx != ecx || e->edx != edx : eax | ebx | ecx | edx)
			return false;
	}
	return true;
}

/* Make the brand the pool's. Returns the number of entries. */
static int cpuid_brand_as_pool(const struct pool *pool, struct kvm_cpuid_entry2 *entries, int n)
{
	const struct kvm_cpuid_entry2 *p;
	u32 fn;
	int i;

	for (fn = BRAND_FIRST; fn <= BRAND_LAST; fn++) {
		p = cpuid_find(pool->cpuid, pool->nr_cpuid, fn, 0);
		if (!p)
			continue;
		for (i = 0; i < n && entries[i].function != fn; i++)
			;
		entries[i] = *p;
		n = max(n, i + 1);
	}
	return n;
}

/*
 * User space such as QEMU's "-cpu host" takes the processor's name and the width of physical addresses from the instruction,
 * not from the device. In a VM with a pool, these become the pool's; others were chosen and stay. @entries has room for
 * BRAND_LEAVES more. Returns the number of entries.
 */
static int cpuid_name_as_pool(const struct vcpu *vcpu, struct kvm_cpuid_entry2 *entries, int n)
{
	const struct pool *pool = vcpu->vm->pool;
	const struct kvm_cpuid_entry2 *p;
	struct kvm_cpuid_entry2 *e;

	if (!pool)
		return n;
	for (e = entries; e < entries + n; e++) {
		p = cpuid_find(pool->cpuid, pool->nr_cpuid, e->function, 0);
		if (!p)
			continue;
		if (e->function == 1 && e->eax == cpuid_eax(1))
			e->eax = p->eax;
		else if (e->function == 0x80000001 && e->eax == cpuid_eax(1))	/* QEMU has it here, too */
			e->eax = cpuid_find(pool->cpuid, pool->nr_cpuid, 1, 0)->eax;
		else if (e->function == 0x80000008 && (u8)e->eax == (u8)cpuid_eax(0x80000008))
			e->eax = (e->eax & ~0xffU) | (u8)p->eax;
	}
	return cpuid_brand_is_hosts(entries, n) ? cpuid_brand_as_pool(pool, entries, n) : n;
}

/*
 * Give the vCPU its CPUID, and its VMX capability MSRs, which depend on CPUID. Takes @entries over, which have room for
 * BRAND_LEAVES more.
 */
static long cpuid_replace(struct vcpu *vcpu, struct kvm_cpuid_entry2 *entries, int n)
{
	int ret;

	n = cpuid_name_as_pool(vcpu, entries, n);
	ret = READ_ONCE(strict_cpuid) ? cpuid_within_offer(vcpu, entries, n) : 0;
	if (ret) {
		kvfree(entries);
		return ret;
	}
	ret = cpuid_set(vcpu, entries, n);
	if (ret > 0)
		nested_caps_init(vcpu);
	return min(ret, 0);
}

/**
 * vcpu_set_cpuid2() - KVM_SET_CPUID2
 * @self: the vCPU, loaded
 * @arg: NULL
 * @uarg: user pointer to struct kvm_cpuid2
 *
 * Context: Process context, may sleep. Caller holds vcpu->mutex.
 * Return: 0; -E2BIG for more than DROSTE_MAX_CPUID entries; -EINVAL for a
 * linear-address width other than 48 and 57, for a change after the guest has run, or, with strict_cpuid=1, if an
 * entry has more than the VM's pool or the host;
 * -EFAULT, -ENOMEM.
 */
long vcpu_set_cpuid2(void *self, void *arg, unsigned long uarg)
{
	struct kvm_cpuid2 __user *user = (void __user *)uarg;
	struct kvm_cpuid_entry2 *entries = NULL;
	struct kvm_cpuid2 head;

	if (copy_from_user(&head, user, sizeof(head)))
		return -EFAULT;
	if (head.nent > DROSTE_MAX_CPUID)
		return -E2BIG;
	if (head.nent) {
		entries = kvcalloc(head.nent + BRAND_LEAVES, sizeof(*entries), GFP_KERNEL_ACCOUNT);
		if (!entries)
			return -ENOMEM;
		if (copy_from_user(entries, user->entries, head.nent * sizeof(*entries))) {
			kvfree(entries);
			return -EFAULT;
		}
	}
	return cpuid_replace(self, entries, head.nent);
}

/**
 * vcpu_set_cpuid() - KVM_SET_CPUID
 * @self: the vCPU, loaded
 * @arg: NULL
 * @uarg: user pointer to struct kvm_cpuid
 *
 * The older form of KVM_SET_CPUID2, without indices: each entry stands for all
 * sub-leaves of its function.
 *
 * Context: Process context, may sleep. Caller holds vcpu->mutex.
 * Return: As vcpu_set_cpuid2().
 */
long vcpu_set_cpuid(void *self, void *arg, unsigned long uarg)
{
	struct kvm_cpuid __user *user = (void __user *)uarg;
	struct kvm_cpuid_entry2 *entries = NULL;
	struct kvm_cpuid_entry *old;
	struct kvm_cpuid head;
	u32 i;

	if (copy_from_user(&head, user, sizeof(head)))
		return -EFAULT;
	if (head.nent > DROSTE_MAX_CPUID)
		return -E2BIG;
	if (head.nent) {
		old = vmemdup_user(user->entries, array_size(head.nent, sizeof(*old)));
		if (IS_ERR(old))
			return PTR_ERR(old);
		entries = kvcalloc(head.nent + BRAND_LEAVES, sizeof(*entries), GFP_KERNEL_ACCOUNT);
		if (!entries) {
			kvfree(old);
			return -ENOMEM;
		}
		for (i = 0; i < head.nent; i++)
			entries[i] = (struct kvm_cpuid_entry2) {
				.function = old[i].function, .eax = old[i].eax, .ebx = old[i].ebx,
				.ecx = old[i].ecx, .edx = old[i].edx };
		kvfree(old);
	}
	return cpuid_replace(self, entries, head.nent);
}

/**
 * vcpu_get_cpuid2() - KVM_GET_CPUID2
 * @self: the vCPU, loaded
 * @arg: NULL
 * @uarg: user pointer to struct kvm_cpuid2
 *
 * The entries include bits that depend on the vCPU's present state, such as OSXSAVE.
 *
 * Context: Process context, may sleep. Caller holds vcpu->mutex.
 * Return: 0; -E2BIG if user space has room for fewer entries than there are; -EFAULT.
 */
long vcpu_get_cpuid2(void *self, void *arg, unsigned long uarg)
{
	struct kvm_cpuid2 __user *user = (void __user *)uarg;
	struct vcpu *vcpu = self;
	struct kvm_cpuid2 head;
	int i;

	if (copy_from_user(&head, user, sizeof(head)))
		return -EFAULT;
	if (head.nent < vcpu->nr_cpuid)
		return -E2BIG;
	for (i = 0; i < vcpu->nr_cpuid; i++) {
		struct kvm_cpuid_entry2 e = cpuid_entry_now(vcpu, vcpu->cpuid[i]);

		if (copy_to_user(&user->entries[i], &e, sizeof(e)))
			return -EFAULT;
	}
	head.nent = vcpu->nr_cpuid;
	return copy_to_user(user, &head, sizeof(head)) ? -EFAULT : 0;
}
