// SPDX-License-Identifier: GPL-2.0
/* KVM_SET_CPUID, KVM_SET_CPUID2 and KVM_GET_CPUID2. */
#include <linux/slab.h>
#include <linux/uaccess.h>
#include "droste.h"
#include "abi/state.h"
#include "cpu/cpuid.h"
#include "nested/nested.h"

/* Give the vCPU its CPUID, and its VMX capability MSRs, which depend on CPUID. Takes @entries over. */
static long cpuid_replace(struct vcpu *vcpu, struct kvm_cpuid_entry2 *entries, int n)
{
	int ret = cpuid_set(vcpu, entries, n);

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
 * linear-address width other than 48 and 57, or for a change after the guest has run;
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
		entries = vmemdup_user(user->entries, array_size(head.nent, sizeof(*entries)));
		if (IS_ERR(entries))
			return PTR_ERR(entries);
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
		entries = kvcalloc(head.nent, sizeof(*entries), GFP_KERNEL_ACCOUNT);
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
