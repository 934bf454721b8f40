// SPDX-License-Identifier: GPL-2.0
/* KVM_PRE_FAULT_MEMORY: EPT01 is filled before the guest asks. */
#include <linux/mm.h>
#include <linux/sched/signal.h>
#include <linux/uaccess.h>
#include "droste.h"
#include "abi/dev.h"
#include "ept/ept.h"

#ifdef KVM_PRE_FAULT_MEMORY	/* since 6.11 */
/* One page, read as a guest would. 0 or -errno. */
static int prefault_page(struct vcpu *vcpu, gpa_t gpa)
{
	if (READ_ONCE(vcpu->vm->dead))
		return -EIO;
	switch (ept01_fault(vcpu, gpa, EPT_READ)) {
	case EPT01_FIXED:
		return 0;
	case EPT01_MMIO:
		return -ENOENT;
	default:
		return signal_pending(current) ? -EINTR : -EFAULT;
	}
}

/**
 * vcpu_pre_fault_memory() - KVM_PRE_FAULT_MEMORY
 * @self: the vCPU; srcu held, vCPU loaded
 * @arg: not looked at
 * @uarg: struct kvm_pre_fault_memory, which tells afterwards what is left
 *
 * Return: 0 when at least one page was done; -EINVAL for flags, a range that
 * is not of whole pages, is empty or wraps; -ENOENT where there is no memory,
 * -EINTR, -EFAULT, -EIO.
 */
long vcpu_pre_fault_memory(void *self, void *arg, unsigned long uarg)
{
	struct kvm_pre_fault_memory __user *user = (void __user *)uarg;
	struct kvm_pre_fault_memory range;
	struct vcpu *vcpu = self;
	int err = 0;
	u64 size;

	if (copy_from_user(&range, user, sizeof(range)))
		return -EFAULT;
	if (range.flags || !PAGE_ALIGNED(range.gpa) || !PAGE_ALIGNED(range.size) ||
	    range.gpa + range.size <= range.gpa)
		return -EINVAL;
	for (size = range.size; range.size;) {
		err = signal_pending(current) ? -EINTR : prefault_page(vcpu, range.gpa);
		if (err)
			break;
		range.gpa += PAGE_SIZE;
		range.size -= PAGE_SIZE;
		cond_resched();
	}
	/* Also of a part user space hears as of a success: it asks again for the rest, and hears why then. */
	if (range.size != size)
		err = 0;
	return copy_to_user(user, &range, sizeof(range)) ? -EFAULT : err;
}
#endif
