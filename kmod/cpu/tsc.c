// SPDX-License-Identifier: GPL-2.0
/* The rate and the offset of a vCPU's time-stamp counter. SDM 3C 25.6.5, 26.3. */
#include <linux/mutex.h>
#include <linux/uaccess.h>
#include <asm/msr.h>
#include "droste.h"
#include "cpu/pool.h"
#include "cpu/tsc.h"
#include "irqchip/irqchip.h"
#include "run/request.h"
#include "vmx/vmx.h"

/* Rates that differ by at most this count as equal: the host's own rate is not known more precisely. */
#define TOLERANCE_PPM	250

/* Guards vm->tsc. It is not vm->lock, whose holder may wait for the end of the srcu read section that we are in. */
static DEFINE_MUTEX(offset_lock);

/* The ratio for a rate; 0 if this processor cannot provide the rate. */
static u64 tsc_ratio_for(u32 khz)
{
	u64 apart = khz > tsc_khz ? khz - tsc_khz : tsc_khz - khz;

	if (apart * 1000000 <= (u64)tsc_khz * TOLERANCE_PPM)
		return TSC_RATIO_ONE;
	if (!vmx_features.tsc_scaling || !tsc_khz || khz >= 0x7fffffff)
		return 0;
	return mul_u64_u32_div(TSC_RATIO_ONE, khz, tsc_khz);
}

/**
 * tsc_has_rate() - whether guests of this host can have a rate
 * @khz: the rate
 *
 * Context: Any.
 * Return: true if it is the host's, or the host scales.
 */
bool tsc_has_rate(u32 khz)
{
	return tsc_ratio_for(khz);
}

/* Write L1's offset and ratio to VMCS01. VMCS02 takes them in nested_before_entry(). The vCPU is loaded. */
static void tsc_write_vmcs(struct vcpu *vcpu)
{
	struct loaded_vmcs *vmcs02 = vcpu->vmcs;
	bool in_l2 = vcpu->in_l2;

	if (in_l2)
		vcpu_switch_vmcs(vcpu, &vcpu->vmcs01);
	vmcs_write(TSC_OFFSET, vcpu->tsc.offset);
	if (vmx_features.tsc_scaling)
		vmcs_write(TSC_MULTIPLIER, vcpu->tsc.ratio);
	if (in_l2)
		vcpu_switch_vmcs(vcpu, vmcs02);
	if (vcpu->lapic)
		vlapic_timer_migrate(vcpu);
	vcpu_request(vcpu, REQ_CLOCK);
}

/**
 * tsc_set_offset() - set the offset of L1's counter
 * @vcpu: loaded, in L1 or L2
 * @offset: L1's counter minus the host's scaled one
 *
 * Context: Process context. Caller holds vcpu->mutex.
 */
void tsc_set_offset(struct vcpu *vcpu, u64 offset)
{
	vcpu->tsc.offset = offset;
	tsc_write_vmcs(vcpu);
}

/* The rate that a new VM has: the host's, or that of its pool if they differ. */
static u32 tsc_initial_khz(const struct vm *vm)
{
	const struct pool *pool = vm->pool;
	u64 ratio = pool && pool_tsc_one(&pool->p) ? tsc_ratio_for(pool->p.tsc_khz) : 0;

	return ratio && ratio != TSC_RATIO_ONE ? pool->p.tsc_khz : tsc_khz;
}

/**
 * tsc_init_vm() - let the counters of a new VM start from 0, at the host's rate or its pool's
 * @vm: a new VM
 *
 * Context: Any.
 */
void tsc_init_vm(struct vm *vm)
{
	vm->tsc = (struct vm_tsc) { .offset = -rdtsc(), .offset_khz = tsc_khz, .khz = tsc_initial_khz(vm) };
}

/*
 * The offset with which the vCPU agrees with the others of the VM. Offsets
 * depend on the rate: a vCPU whose rate differs from that of the vCPUs before
 * it starts from 0, and later vCPUs agree with that one. Caller holds offset_lock.
 */
static u64 tsc_offset_to_agree(struct vcpu *vcpu)
{
	struct vm_tsc *t = &vcpu->vm->tsc;

	if (t->offset_khz != vcpu->tsc.khz) {
		t->offset = -tsc_now_scaled(&vcpu->tsc);
		t->offset_khz = vcpu->tsc.khz;
	}
	return t->offset;
}

/**
 * tsc_init_vcpu() - set the rate and the offset of a new vCPU
 * @vcpu: a new vCPU, not loaded; vmcs01_init() will write the values to VMCS01
 *
 * Context: Process context. May sleep.
 */
void tsc_init_vcpu(struct vcpu *vcpu)
{
	vmx_hide_init_vcpu(vcpu);
	vcpu->tsc.khz = READ_ONCE(vcpu->vm->tsc.khz);
	vcpu->tsc.ratio = tsc_ratio_for(vcpu->tsc.khz) ?: TSC_RATIO_ONE;
	mutex_lock(&offset_lock);
	vcpu->tsc.offset = tsc_offset_to_agree(vcpu);
	mutex_unlock(&offset_lock);
}

/*
 * User space has set this vCPU's offset: it becomes the offset that the VM's
 * vCPUs share. All vCPUs that were set to one shared offset are one round; a
 * different offset starts the next round. Caller holds offset_lock.
 */
static void tsc_note_user_offset(struct vcpu *vcpu, u64 offset)
{
	struct vm_tsc *t = &vcpu->vm->tsc;

	if (offset != t->offset || !t->round)
		t->round++;
	vcpu->tsc.round = t->round;
	t->offset = offset;
	t->offset_khz = vcpu->tsc.khz;
}

/* Does user space mean the shared offset by this one? See tsc_set_by_user(). Caller holds offset_lock. */
static bool tsc_meant_to_agree(const struct vcpu *vcpu, u64 offset)
{
	const struct vm_tsc *t = &vcpu->vm->tsc;
	s64 ahead = offset - t->offset;

	if (!t->round || t->offset_khz != vcpu->tsc.khz || abs(ahead) >= (s64)vcpu->tsc.khz * 1000)
		return false;
	return ahead <= 0 || vcpu->tsc.round != t->round;
}

/**
 * tsc_set_by_user() - set IA32_TIME_STAMP_COUNTER for KVM_SET_MSRS
 * @vcpu: loaded
 * @tsc: new value of L1's counter
 *
 * User space sets the counters of a VM's vCPUs one after another and expects
 * them to agree. The vCPU therefore gets the offset that the VM's vCPUs share
 * (vm->tsc.offset) if @tsc is 0, or within one second of the counter that the
 * shared offset yields now. Any other value is taken literally, and its offset
 * becomes the shared one.
 *
 * Three values are taken literally although they are close:
 *  - the first value that user space sets in the VM;
 *  - a value for a vCPU whose rate is not that of the shared offset;
 *  - a value ahead of the shared counter, for a vCPU that user space has set to
 *    the shared offset already. User space restores a saved guest into a VM that
 *    is about as old, and the shared offset would turn the guest's time back.
 *    KVM does turn it back.
 *
 * Context: Process context. May sleep. Caller holds vcpu->mutex.
 */
void tsc_set_by_user(struct vcpu *vcpu, u64 tsc)
{
	u64 offset = tsc - tsc_now_scaled(&vcpu->tsc);

	vmx_hide_forget(vcpu);
	mutex_lock(&offset_lock);
	if (!tsc) {
		offset = tsc_offset_to_agree(vcpu);
	} else {
		if (tsc_meant_to_agree(vcpu, offset))
			offset = vcpu->vm->tsc.offset;
		tsc_note_user_offset(vcpu, offset);
	}
	mutex_unlock(&offset_lock);
	tsc_set_offset(vcpu, offset);
}

/* --- KVM_GET_TSC_KHZ, KVM_SET_TSC_KHZ --- */

/* The rate that user space asks for. 0 stands for the host's rate. */
static u32 tsc_wanted_khz(unsigned long uarg)
{
	return (u32)uarg ?: tsc_khz;
}

/**
 * vm_get_tsc_khz() - KVM_GET_TSC_KHZ of a VM
 * @self: the VM
 * @arg: NULL
 * @uarg: unused
 *
 * Context: Process context. No lock is needed.
 * Return: the rate of new vCPUs in kHz.
 */
long vm_get_tsc_khz(void *self, void *arg, unsigned long uarg)
{
	return READ_ONCE(((struct vm *)self)->tsc.khz);
}

/**
 * vm_set_tsc_khz() - KVM_SET_TSC_KHZ of a VM
 * @self: the VM
 * @arg: NULL
 * @uarg: rate of new vCPUs in kHz; 0: the host's rate
 *
 * Context: Process context. Caller holds vm->lock.
 * Return: 0, or -EINVAL if this processor cannot provide the rate.
 */
long vm_set_tsc_khz(void *self, void *arg, unsigned long uarg)
{
	struct vm *vm = self;
	u32 khz = tsc_wanted_khz(uarg);

	if (!tsc_ratio_for(khz))
		return -EINVAL;
	WRITE_ONCE(vm->tsc.khz, khz);
	return 0;
}

/**
 * vcpu_get_tsc_khz() - KVM_GET_TSC_KHZ of a vCPU
 * @self: the vCPU; need not be loaded
 * @arg: NULL
 * @uarg: unused
 *
 * Context: Process context. Caller holds vcpu->mutex.
 * Return: the vCPU's rate in kHz.
 */
long vcpu_get_tsc_khz(void *self, void *arg, unsigned long uarg)
{
	return ((const struct vcpu *)self)->tsc.khz;
}

/**
 * vcpu_set_tsc_khz() - KVM_SET_TSC_KHZ of a vCPU
 * @self: the vCPU, loaded
 * @arg: NULL
 * @uarg: rate in kHz; 0: the host's rate
 *
 * The offset stays the same, so the counter jumps. User space sets the counter
 * next.
 *
 * Context: Process context. Caller holds vcpu->mutex.
 * Return: 0, or -EINVAL if this processor cannot provide the rate.
 */
long vcpu_set_tsc_khz(void *self, void *arg, unsigned long uarg)
{
	struct vcpu *vcpu = self;
	u32 khz = tsc_wanted_khz(uarg);
	u64 ratio = tsc_ratio_for(khz);

	if (!ratio)
		return -EINVAL;
	vmx_hide_forget(vcpu);
	vcpu->tsc.khz = khz;
	vcpu->tsc.ratio = ratio;
	tsc_write_vmcs(vcpu);
	return 0;
}

/* --- vCPU attributes: the offset --- */

static bool tsc_is_offset(const struct kvm_device_attr *attr)
{
	return attr->group == KVM_VCPU_TSC_CTRL && attr->attr == KVM_VCPU_TSC_OFFSET;
}

/**
 * vcpu_has_attr() - KVM_HAS_DEVICE_ATTR of a vCPU
 * @self: the vCPU; need not be loaded
 * @arg: struct kvm_device_attr
 * @uarg: unused
 *
 * Context: Process context. Caller holds vcpu->mutex.
 * Return: 0 for KVM_VCPU_TSC_OFFSET, else -ENXIO.
 */
long vcpu_has_attr(void *self, void *arg, unsigned long uarg)
{
	return tsc_is_offset(arg) ? 0 : -ENXIO;
}

/**
 * vcpu_get_attr() - KVM_GET_DEVICE_ATTR of a vCPU
 * @self: the vCPU; need not be loaded
 * @arg: struct kvm_device_attr, whose addr is the user address of a u64
 * @uarg: unused
 *
 * Context: Process context. May sleep. Caller holds vcpu->mutex.
 * Return: 0; -ENXIO for an unknown attribute; -EFAULT.
 */
long vcpu_get_attr(void *self, void *arg, unsigned long uarg)
{
	const struct kvm_device_attr *attr = arg;
	const struct vcpu *vcpu = self;

	if (!tsc_is_offset(attr))
		return -ENXIO;
	return put_user(vcpu->tsc.offset, (u64 __user *)u64_to_user_ptr(attr->addr));
}

/**
 * vcpu_set_attr() - KVM_SET_DEVICE_ATTR of a vCPU
 * @self: the vCPU, loaded
 * @arg: struct kvm_device_attr, whose addr is the user address of a u64
 * @uarg: unused
 *
 * An offset is taken literally, unlike a value of the counter: see
 * tsc_set_by_user().
 *
 * Context: Process context. May sleep. Caller holds vcpu->mutex.
 * Return: 0; -ENXIO for an unknown attribute; -EFAULT.
 */
long vcpu_set_attr(void *self, void *arg, unsigned long uarg)
{
	const struct kvm_device_attr *attr = arg;
	struct vcpu *vcpu = self;
	u64 offset;

	if (!tsc_is_offset(attr))
		return -ENXIO;
	if (get_user(offset, (u64 __user *)u64_to_user_ptr(attr->addr)))
		return -EFAULT;
	vmx_hide_forget(vcpu);
	mutex_lock(&offset_lock);
	tsc_note_user_offset(vcpu, offset);
	mutex_unlock(&offset_lock);
	tsc_set_offset(vcpu, offset);
	return 0;
}
