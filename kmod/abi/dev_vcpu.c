// SPDX-License-Identifier: GPL-2.0
/* A vCPU's file descriptor: creation and destruction of the vCPU, its ioctls, the pages shared with user space. */
#include <linux/anon_inodes.h>
#include <linux/droste.h>
#include <linux/file.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include "droste.h"
#include "abi/dev.h"
#include "abi/memory.h"
#include "abi/state.h"
#include "cpu/cpuid.h"
#include "cpu/fpu.h"
#include "cpu/msr.h"
#include "cpu/tsc.h"
#include "io/emulate.h"
#include "irqchip/irqchip.h"
#include "mem/dirty.h"
#include "nested/nested.h"
#include "pv/kvmclock.h"
#include "pv/pv.h"
#include "run/request.h"
#include "run/run.h"
#include "vmx/regs.h"
#include "vmx/vmx.h"

/* --- life --- */

/* The pages that user space maps: struct kvm_run and the data of port I/O. */
static int vcpu_shared_pages_create(struct vcpu *vcpu)
{
	vcpu->run = (struct kvm_run *)get_zeroed_page(GFP_KERNEL_ACCOUNT);
	if (!vcpu->run)
		return -ENOMEM;
	vcpu->pio_data = (void *)get_zeroed_page(GFP_KERNEL_ACCOUNT);
	if (!vcpu->pio_data) {
		free_page((unsigned long)vcpu->run);
		return -ENOMEM;
	}
	return 0;
}

static void vcpu_shared_pages_destroy(struct vcpu *vcpu)
{
	free_page((unsigned long)vcpu->pio_data);
	free_page((unsigned long)vcpu->run);
}

static struct vcpu *vcpu_create(struct vm *vm, u32 id)
{
	static atomic64_t serials;	/* the number of vCPUs created so far */
	struct vcpu *vcpu = kzalloc(sizeof(*vcpu), GFP_KERNEL_ACCOUNT);
	int ret;

	if (!vcpu)
		return ERR_PTR(-ENOMEM);
	vcpu->vm = vm;
	vcpu->id = id;
	vcpu->serial = atomic64_inc_return(&serials);
	vcpu->index = vm->nr_vcpus;
	if (!zalloc_cpumask_var(&vcpu->cached_on, GFP_KERNEL_ACCOUNT)) {
		kfree(vcpu);
		return ERR_PTR(-ENOMEM);
	}
	vcpu->cpu = -1;
	vcpu->user_irq = -1;
	tsc_init_vcpu(vcpu);
	sched_init_vcpu(vcpu);
	mutex_init(&vcpu->mutex);
	visits_init(vcpu);
	/* A barrier that has begun does not know this vCPU yet. */
	vcpu_request(vcpu, REQ_BARRIER);
	init_swait_queue_head(&vcpu->wq);
	cpuid_update_caps(vcpu);

	ret = vcpu_shared_pages_create(vcpu);
	if (ret)
		goto err_free;
	ret = dirty_ring_create(vcpu, dirty_ring_reserved());
	if (ret)
		goto err_pages;
	ret = vmx_pml_create(vcpu);
	if (ret)
		goto err_ring;
	ret = fpu_create(vcpu);
	if (ret)
		goto err_pml;
	ret = msr_create(vcpu);
	if (ret)
		goto err_fpu;
	ret = emul_create(vcpu);
	if (ret)
		goto err_msr;
	ret = vmcs01_create(vcpu);
	if (ret)
		goto err_emul;
	vcpu_load(vcpu);
	vmcs01_init(vcpu);
	msr_update_bitmap(vcpu);
	nested_remerge_bitmaps(vcpu);
	vcpu_put(vcpu);
	ret = nested_create(vcpu);
	if (ret)
		goto err_vmcs;
	nested_caps_init(vcpu);
	vcpu_request(vcpu, REQ_PORTS);
	ret = vlapic_create(vcpu);
	if (ret)
		goto err_nested;
	/* IA32_APIC_BASE exists even if user space has the local APIC. */
	if (!vcpu->lapic)
		vlapic_reset(vcpu, false);
	vcpu->mp_state = vcpu->lapic && id != vm->bsp_id ? KVM_MP_STATE_UNINITIALIZED :
							    KVM_MP_STATE_RUNNABLE;
	return vcpu;

err_nested:
	nested_destroy(vcpu);
err_vmcs:
	vmcs01_destroy(vcpu);
err_emul:
	emul_destroy(vcpu);
err_msr:
	msr_destroy(vcpu);
err_fpu:
	fpu_destroy(vcpu);
err_pml:
	vmx_pml_destroy(vcpu);
err_ring:
	dirty_ring_destroy(vcpu);
err_pages:
	vcpu_shared_pages_destroy(vcpu);
err_free:
	free_cpumask_var(vcpu->cached_on);
	kfree(vcpu);
	return ERR_PTR(ret);
}

/**
 * vcpu_destroy() - free a vCPU
 * @vcpu: not loaded; no thread uses it any more
 *
 * Context: Process context, may sleep. Caller holds vm->srcu, because pinned
 * guest pages are marked dirty in their slots.
 */
void vcpu_destroy(struct vcpu *vcpu)
{
	vlapic_destroy(vcpu);
	nested_destroy(vcpu);
	vmcs01_destroy(vcpu);
	emul_destroy(vcpu);
	msr_destroy(vcpu);
	fpu_destroy(vcpu);
	vmx_pml_destroy(vcpu);
	dirty_ring_destroy(vcpu);
	vcpu_shared_pages_destroy(vcpu);
	kvfree(vcpu->cpuid);
	put_pid(rcu_dereference_protected(vcpu->pid, true));	/* no other vCPU yields to it any more */
	mutex_destroy(&vcpu->mutex);
	free_cpumask_var(vcpu->cached_on);
	kfree(vcpu);
}

/* --- ioctls that are one call --- */

/* KVM_INTERRUPT: user space's PIC raises INTR (or LINT0), and has acknowledged the vector. */
static long vcpu_interrupt(void *self, void *arg, unsigned long uarg)
{
	struct vcpu *vcpu = self;
	u32 irq = ((const struct kvm_interrupt *)arg)->irq;

	if (irq >= KVM_NR_INTERRUPTS)
		return -EINVAL;
	if (vcpu->vm->irqchip.pic)
		return -ENXIO;
	if (vcpu->user_irq >= 0)
		return -EEXIST;
	vcpu->user_irq = irq;
	vcpu_request(vcpu, REQ_EVENT);
	/* Without a local APIC here nothing else ends HLT. */
	if (!vcpu->lapic && vcpu->mp_state == KVM_MP_STATE_HALTED)
		vcpu->mp_state = KVM_MP_STATE_RUNNABLE;
	return 0;
}

static long vcpu_nmi(void *self, void *arg, unsigned long uarg)
{
	vcpu_inject_nmi(self);
	return 0;
}

static long vcpu_set_signal_mask(void *self, void *arg, unsigned long uarg)
{
	struct kvm_signal_mask __user *user = (void __user *)uarg;
	struct vcpu *vcpu = self;
	sigset_t set;
	u32 len;

	if (!uarg) {
		vcpu->has_sigmask = false;
		return 0;
	}
	if (get_user(len, &user->len))
		return -EFAULT;
	if (len != sizeof(set))
		return -EINVAL;
	if (copy_from_user(&set, user->sigset, sizeof(set)))
		return -EFAULT;
	sigdelsetmask(&set, sigmask(SIGKILL) | sigmask(SIGSTOP));
	vcpu->sigmask = set;
	vcpu->has_sigmask = true;
	return 0;
}

static_assert(DROSTE_NR_EXIT_REASONS == NR_EXIT_REASONS);

static long vcpu_get_exit_stats(void *self, void *arg, unsigned long uarg)
{
	const struct vcpu *vcpu = self;
	struct droste_exit_stats *stats = arg;

	memcpy(stats->exits, vcpu->exits, sizeof(stats->exits));
	memcpy(stats->from_l2, vcpu->exits_l2, sizeof(stats->from_l2));
	memcpy(stats->reflected, vcpu->exits_reflected, sizeof(stats->reflected));
	return 0;
}

/* Two kinds have no row here: KVM_RUN, and the ioctls about interrupts, which irqchip_vcpu_ioctl() handles. */
static const struct ioctl_row vcpu_rows[] = {
	IO_ROW(KVM_GET_REGS, vcpu_get_regs, IO_LOAD),
	IO_ROW(KVM_SET_REGS, vcpu_set_regs, IO_LOAD),
	IO_ROW(KVM_GET_SREGS, vcpu_get_sregs, IO_LOAD),
	IO_ROW(KVM_SET_SREGS, vcpu_set_sregs, IO_LOAD | IO_SRCU),
	IO_ROW(KVM_GET_SREGS2, vcpu_get_sregs2, IO_LOAD),
	IO_ROW(KVM_SET_SREGS2, vcpu_set_sregs2, IO_LOAD | IO_SRCU),
	IO_ROW(KVM_TRANSLATE, vcpu_translate, IO_LOAD | IO_SRCU),
	IO_ROW(KVM_INTERRUPT, vcpu_interrupt, IO_LOAD),
	IO_ROW(KVM_NMI, vcpu_nmi, IO_RAW),
	IO_ROW(KVM_GET_MSRS, vcpu_get_msrs, IO_RAW | IO_LOAD | IO_SRCU),
	IO_ROW(KVM_SET_MSRS, vcpu_set_msrs, IO_RAW | IO_LOAD | IO_SRCU),
	IO_ROW(KVM_SET_CPUID, vcpu_set_cpuid, IO_RAW | IO_LOAD),
	IO_ROW(KVM_SET_CPUID2, vcpu_set_cpuid2, IO_RAW | IO_LOAD),
	IO_ROW(KVM_GET_CPUID2, vcpu_get_cpuid2, IO_RAW | IO_LOAD),
	IO_ROW(KVM_SET_SIGNAL_MASK, vcpu_set_signal_mask, IO_RAW),
	IO_ROW(KVM_GET_FPU, vcpu_get_fpu, 0),
	IO_ROW(KVM_SET_FPU, vcpu_set_fpu, 0),
	IO_ROW(KVM_GET_XSAVE, vcpu_get_xsave, 0),
	IO_ROW(KVM_GET_XSAVE2, vcpu_get_xsave, 0),
	IO_ROW(KVM_SET_XSAVE, vcpu_set_xsave, IO_LOAD),
	IO_ROW(KVM_GET_XCRS, vcpu_get_xcrs, 0),
	IO_ROW(KVM_SET_XCRS, vcpu_set_xcrs, IO_LOAD),
	IO_ROW(KVM_GET_DEBUGREGS, vcpu_get_debugregs, IO_LOAD),
	IO_ROW(KVM_SET_DEBUGREGS, vcpu_set_debugregs, IO_LOAD),
	IO_ROW(KVM_GET_VCPU_EVENTS, vcpu_get_events, IO_LOAD),
	IO_ROW(KVM_SET_VCPU_EVENTS, vcpu_set_events, IO_LOAD),
	IO_ROW(KVM_GET_MP_STATE, vcpu_get_mp_state, IO_LOAD | IO_SRCU),
	IO_ROW(KVM_SET_MP_STATE, vcpu_set_mp_state, IO_LOAD),
	IO_ROW(KVM_GET_NESTED_STATE, vcpu_get_nested_state, IO_RAW | IO_LOAD | IO_SRCU),
	IO_ROW(KVM_SET_NESTED_STATE, vcpu_set_nested_state, IO_RAW | IO_LOAD | IO_SRCU),
	IO_ROW(KVM_SET_GUEST_DEBUG, vcpu_set_guest_debug, IO_LOAD),
	IO_ROW(KVM_X86_SETUP_MCE, vcpu_setup_mce, 0),
	IO_ROW(KVM_X86_SET_MCE, vcpu_set_mce, IO_LOAD),
	IO_ROW(KVM_GET_TSC_KHZ, vcpu_get_tsc_khz, IO_RAW),
	IO_ROW(KVM_SET_TSC_KHZ, vcpu_set_tsc_khz, IO_RAW | IO_LOAD),
	IO_ROW(KVM_HAS_DEVICE_ATTR, vcpu_has_attr, 0),
	IO_ROW(KVM_GET_DEVICE_ATTR, vcpu_get_attr, 0),
	IO_ROW(KVM_SET_DEVICE_ATTR, vcpu_set_attr, IO_LOAD),
#ifdef KVM_PRE_FAULT_MEMORY
	IO_ROW(KVM_PRE_FAULT_MEMORY, vcpu_pre_fault_memory, IO_RAW | IO_LOAD | IO_SRCU),
#endif
	IO_ROW(KVM_GET_STATS_FD, vcpu_get_stats_fd, IO_RAW),
	IO_ROW(KVM_ENABLE_CAP, vcpu_enable_cap, 0),
	IO_ROW(KVM_KVMCLOCK_CTRL, vcpu_kvmclock_ctrl, IO_RAW),
	IO_ROW(DROSTE_GET_EXIT_STATS, vcpu_get_exit_stats, 0),
};

const struct ioctl_table vcpu_ioctls = { vcpu_rows, ARRAY_SIZE(vcpu_rows) };

/* Call the row's handler; irqchip_vcpu_ioctl() if there is no row. */
static long vcpu_plain_ioctl(struct vcpu *vcpu, const struct ioctl_row *row, unsigned int cmd, unsigned long uarg)
{
	return row ? ioctl_call(row, vcpu, uarg) : irqchip_vcpu_ioctl(vcpu, cmd, uarg);
}

/* Load the vCPU and take srcu as the row requires, and call the handler. Caller holds vcpu->mutex. */
static long vcpu_locked_ioctl(struct vcpu *vcpu, const struct ioctl_row *row, unsigned int cmd, unsigned long uarg)
{
	u32 flags = row ? row->flags : IO_LOAD;
	long ret;
	int idx;

	/* The ioctl may make an event pending. */
	vcpu->calm = false;
	if (flags & IO_LOAD) {
		vcpu_load(vcpu);
		vcpu_note_altered(vcpu);
	}
	if (flags & IO_SRCU) {
		idx = srcu_read_lock(&vcpu->vm->srcu);
		ret = vcpu_plain_ioctl(vcpu, row, cmd, uarg);
		srcu_read_unlock(&vcpu->vm->srcu, idx);
	} else {
		ret = vcpu_plain_ioctl(vcpu, row, cmd, uarg);
	}
	if (flags & IO_LOAD)
		vcpu_put(vcpu);
	return ret;
}

static long vcpu_ioctl(struct file *file, unsigned int cmd, unsigned long uarg)
{
	struct vcpu *vcpu = file->private_data;
	long ret;

	if (vcpu->vm->mm != current->mm || READ_ONCE(vcpu->vm->dead))
		return -EIO;
	if (unlikely(cmd != KVM_RUN) && _IOC_TYPE(cmd) != KVMIO && _IOC_TYPE(cmd) != DROSTE_IOC_MAGIC)
		return -ENOTTY;
	if (mutex_lock_killable(&vcpu->mutex))
		return -EINTR;
	if (likely(cmd == KVM_RUN)) {
		vcpu_load(vcpu);
		ret = kvm_run_ioctl(vcpu, uarg);
		vcpu_put(vcpu);
	} else {
		ret = vcpu_locked_ioctl(vcpu, ioctl_find(&vcpu_ioctls, cmd), cmd, uarg);
	}
	mutex_unlock(&vcpu->mutex);
	return ret;
}

/* --- the shared pages; a mapping holds the file, and the file holds the VM --- */

static vm_fault_t vcpu_fault(struct vm_fault *vmf)
{
	struct vcpu *vcpu = vmf->vma->vm_file->private_data;

	if (vmf->pgoff == 0)
		vmf->page = virt_to_page(vcpu->run);
	else if (vmf->pgoff == KVM_PIO_PAGE_OFFSET)
		vmf->page = virt_to_page(vcpu->pio_data);
	else if (vmf->pgoff == KVM_COALESCED_MMIO_PAGE_OFFSET)
		vmf->page = virt_to_page(vcpu->vm->coalesced.ring);
	else if (dirty_ring_has_page(vcpu->vm, vmf->pgoff))
		vmf->page = dirty_ring_page(vcpu, vmf->pgoff);
	else
		return VM_FAULT_SIGBUS;
	get_page(vmf->page);
	return 0;
}

static const struct vm_operations_struct vcpu_vm_ops = { .fault = vcpu_fault };

static int vcpu_mmap(struct file *file, struct vm_area_struct *vma)
{
	const struct vm *vm = ((struct vcpu *)file->private_data)->vm;
	unsigned long last = vma->vm_pgoff + vma_pages(vma) - 1;

	/* Through a private mapping neither side would see the other's writes to the ring. */
	if ((dirty_ring_has_page(vm, vma->vm_pgoff) || dirty_ring_has_page(vm, last)) &&
	    ((vma->vm_flags & VM_EXEC) || !(vma->vm_flags & VM_SHARED)))
		return -EINVAL;
	vma->vm_ops = &vcpu_vm_ops;
	return 0;
}

static int vcpu_release(struct inode *inode, struct file *file)
{
	struct vcpu *vcpu = file->private_data;

	/* The vCPU is destroyed with its VM. */
	vm_put(vcpu->vm);
	return 0;
}

static const struct file_operations vcpu_fops = {
	.owner = THIS_MODULE,
	.unlocked_ioctl = vcpu_ioctl,
	.mmap = vcpu_mmap,
	.release = vcpu_release,
	.llseek = noop_llseek,
};

static bool vcpu_id_taken(struct vm *vm, u32 id)
{
	int i;

	for (i = 0; i < vm->nr_vcpus; i++)
		if (vm->vcpus[i]->id == id)
			return true;
	return false;
}

/**
 * vcpu_create_fd() - KVM_CREATE_VCPU
 * @vm: the VM
 * @id: the vCPU's ID, also its initial APIC ID
 *
 * Context: Process context, may sleep. Caller holds vm->lock.
 * Return: a file descriptor; -EINVAL if the ID is too large or the VM has the
 * maximum of vCPUs; -EEXIST if the ID is in use; -ENOMEM, -EMFILE.
 */
int vcpu_create_fd(struct vm *vm, u32 id)
{
	struct vcpu *vcpu;
	struct file *file;
	char name[24];
	int fd, ret, idx;

	if (id >= (vm->max_vcpu_id ?: DROSTE_MAX_VCPU_ID) || vm->nr_vcpus >= DROSTE_MAX_VCPUS)
		return -EINVAL;
	if (vcpu_id_taken(vm, id))
		return -EEXIST;
	vcpu = vcpu_create(vm, id);
	if (IS_ERR(vcpu))
		return PTR_ERR(vcpu);
	fd = get_unused_fd_flags(O_CLOEXEC);
	if (fd < 0) {
		ret = fd;
		goto err_vcpu;
	}
	snprintf(name, sizeof(name), "droste-vcpu:%u", id);
	file = anon_inode_getfile(name, &vcpu_fops, vcpu, O_RDWR);
	if (IS_ERR(file)) {
		ret = PTR_ERR(file);
		goto err_fd;
	}
	vm_get(vm);
	WRITE_ONCE(vm->vcpus[vcpu->index], vcpu);
	/* Pairs with smp_load_acquire() of the count in vm_request_all() and other walks of the array. */
	smp_store_release(&vm->nr_vcpus, vcpu->index + 1);
	fd_install(fd, file);
	return fd;

err_fd:
	put_unused_fd(fd);
err_vcpu:
	idx = srcu_read_lock(&vm->srcu);
	vcpu_destroy(vcpu);
	srcu_read_unlock(&vm->srcu, idx);
	return ret;
}
