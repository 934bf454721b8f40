// SPDX-License-Identifier: GPL-2.0
/* KVM_PRE_FAULT_MEMORY: fill EPT01 before the guest accesses the memory. */
#include <linux/mm.h>
#include <linux/sched/signal.h>
#include <linux/uaccess.h>
#include "droste.h"
#include "abi/dev.h"
#include "ept/ept.h"

#ifdef KVM_PRE_FAULT_MEMORY	/* since 6.11 */
/* Map the page at @gpa for reading. Returns 0 or a negative errno. */
static int prefault_page(struct vcpu *vcpu, gpa_t gpa)
{
	if (READ_ONCE(vcpu->vm->dead))
		return -EIO;
	switch (ept01_fault(vcpu, gpa, EPT_READ)) {
	case EPT01_FIXED:
		return 0;
	case EPT01_MMIO:
		return -ENOENT;
	case EPT01_SIGNAL:
		return -EINTR;
	default:
		return signal_pending(current) ? -EINTR : -EFAULT;
	}
}

/**
 * vcpu_pre_fault_memory() - KVM_PRE_FAULT_MEMORY
 * @self: the vCPU, loaded
 * @arg: NULL
 * @uarg: user pointer to struct kvm_pre_fault_memory, updated to the part that remains
 *
 * Context: Process context, may sleep. Caller holds vcpu->mutex and vm->srcu.
 * Return: 0 if at least one page was mapped; -EINVAL for flags, or for a range
 * that is empty, not page-aligned or wraps; -ENOENT where no slot has memory;
 * -EINTR for a signal; -EIO if the VM is dead; -EFAULT.
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
	/* A part counts as success: user space calls again for the rest and gets the error then. */
	if (range.size != size)
		err = 0;
	return copy_to_user(user, &range, sizeof(range)) ? -EFAULT : err;
}
#endif
