// SPDX-License-Identifier: GPL-2.0
/* The rate and the offset of a vCPU's time-stamp counter, and who sets them. SDM 3C 25.6.5, 26.3. */
#include <linux/mutex.h>
#include <linux/uaccess.h>
#include <asm/msr.h>
#include "droste.h"
#include "cpu/tsc.h"
#include "irqchip/irqchip.h"
#include "nested/merge.h"
#include "run/request.h"
#include "vmx/vmx.h"

/* Rates that differ by less count as one: scaling would promise more than the host's own rate is known to. */
#define TOLERANCE_PPM	250

static DEFINE_MUTEX(offset_lock);	/* vm->tsc; not vm->lock, whose holder may wait for our srcu section */

/* The ratio for a rate; 0 where it cannot be had. */
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
 * tsc_write_vmcs02() - the offset and the multiplier that L2 runs with
 * @vcpu: VMCS02 is current
 *
 * L2 reads L1's counter times VMCS12's multiplier plus VMCS12's offset (SDM 3C
 * 25.6.5, 26.3), so both fields are composed of both levels' values. Only what
 * VMCS02 does not hold yet is written.
 *
 * Context: Any, with the vCPU loaded.
 */
void tsc_write_vmcs02(struct vcpu *vcpu)
{
	struct nested *n = &vcpu->nested;
	const struct vmcs12 *v = n->vmcs12;
	u64 offset = vcpu->tsc.offset, ratio = vcpu->tsc.ratio;

	if (v->cpu_based_vm_exec_control & CPU_BASED_USE_TSC_OFFSETTING) {
		if (merge_proc2_of(v) & SECONDARY_EXEC_TSC_SCALING) {
			offset = mul_s64_u64_shr(offset, v->tsc_multiplier, TSC_RATIO_BITS);
			/* 0 would be no valid multiplier, however small L1 wants it. */
			ratio = tsc_scale(ratio, v->tsc_multiplier) ?: 1;
		}
		offset += v->tsc_offset;
	}
	if (!n->held.valid || offset != n->held.tsc_offset) {
		vmcs_write(TSC_OFFSET, offset);
		n->held.tsc_offset = offset;
	}
	if (vmx_features.tsc_scaling && (!n->held.valid || ratio != n->held.tsc_ratio))
		vmcs_write(TSC_MULTIPLIER, ratio);
	n->held.tsc_ratio = ratio;
}

/* L1's offset and ratio are in VMCS01, and part of those in VMCS02. Loaded. */
static void tsc_write_vmcs(struct vcpu *vcpu)
{
	struct loaded_vmcs *vmcs02 = vcpu->vmcs;
	bool in_l2 = vcpu->in_l2;

	if (in_l2) {
		tsc_write_vmcs02(vcpu);
		vcpu_switch_vmcs(vcpu, &vcpu->vmcs01);
	}
	vmcs_write(TSC_OFFSET, vcpu->tsc.offset);
	if (vmx_features.tsc_scaling)
		vmcs_write(TSC_MULTIPLIER, vcpu->tsc.ratio);
	if (in_l2)
		vcpu_switch_vmcs(vcpu, vmcs02);
	if (vcpu->lapic)
		vlapic_timer_migrate(vcpu);
	vcpu_request(vcpu, REQ_CLOCK);
}

void tsc_set_offset(struct vcpu *vcpu, u64 offset)
{
	vcpu->tsc.offset = offset;
	tsc_write_vmcs(vcpu);
}

void tsc_init_vm(struct vm *vm)
{
	vm->tsc = (struct vm_tsc) { .offset = -rdtsc(), .offset_khz = tsc_khz, .khz = tsc_khz };
}

/* A vCPU of another rate than those before it starts from 0, and what follows agrees with it. offset_lock held. */
static u64 tsc_offset_to_agree(struct vcpu *vcpu)
{
	struct vm_tsc *t = &vcpu->vm->tsc;

	if (t->offset_khz != vcpu->tsc.khz) {
		t->offset = -tsc_now_scaled(&vcpu->tsc);
		t->offset_khz = vcpu->tsc.khz;
	}
	return t->offset;
}

void tsc_init_vcpu(struct vcpu *vcpu)
{
	vcpu->tsc.khz = READ_ONCE(vcpu->vm->tsc.khz);
	vcpu->tsc.ratio = tsc_ratio_for(vcpu->tsc.khz) ?: TSC_RATIO_ONE;
	mutex_lock(&offset_lock);
	vcpu->tsc.offset = tsc_offset_to_agree(vcpu);
	mutex_unlock(&offset_lock);
}

/* From now on others are to agree with this one. A round is those that share an offset. offset_lock held. */
static void tsc_note_user_offset(struct vcpu *vcpu, u64 offset)
{
	struct vm_tsc *t = &vcpu->vm->tsc;

	if (offset != t->offset || !t->round)
		t->round++;
	vcpu->tsc.round = t->round;
	t->offset = offset;
	t->offset_khz = vcpu->tsc.khz;
}

/* Is an offset that user space asks for meant to be that of the vCPUs before? offset_lock held. */
static bool tsc_meant_to_agree(const struct vcpu *vcpu, u64 offset)
{
	const struct vm_tsc *t = &vcpu->vm->tsc;
	s64 ahead = offset - t->offset;

	if (!t->round || t->offset_khz != vcpu->tsc.khz || abs(ahead) >= (s64)vcpu->tsc.khz * 1000)
		return false;
	return ahead <= 0 || vcpu->tsc.round != t->round;
}

/**
 * tsc_set_by_user() - IA32_TIME_STAMP_COUNTER by KVM_SET_MSRS
 * @vcpu: loaded
 * @tsc: what L1's counter should read now
 *
 * User space sets the counters of several vCPUs one after the other and means
 * them to agree: values within a second of what the one before would read now
 * get its offset, as does 0. The first value that user space sets is taken as
 * it is. So is one for a vCPU whose counter has agreed and would read less: a
 * machine is restored in a VM that is about as old, and its time must not go
 * back. (KVM lets it.)
 */
void tsc_set_by_user(struct vcpu *vcpu, u64 tsc)
{
	u64 offset = tsc - tsc_now_scaled(&vcpu->tsc);

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

/* 0 is the host's. */
static u32 tsc_wanted_khz(unsigned long uarg)
{
	return (u32)uarg ?: tsc_khz;
}

long vm_get_tsc_khz(void *self, void *arg, unsigned long uarg)
{
	return READ_ONCE(((struct vm *)self)->tsc.khz);
}

long vm_set_tsc_khz(void *self, void *arg, unsigned long uarg)
{
	struct vm *vm = self;
	u32 khz = tsc_wanted_khz(uarg);

	if (!tsc_ratio_for(khz))
		return -EINVAL;
	WRITE_ONCE(vm->tsc.khz, khz);
	return 0;
}

long vcpu_get_tsc_khz(void *self, void *arg, unsigned long uarg)
{
	return ((const struct vcpu *)self)->tsc.khz;
}

/* The offset stays, so that the counter jumps: user space sets it next. */
long vcpu_set_tsc_khz(void *self, void *arg, unsigned long uarg)
{
	struct vcpu *vcpu = self;
	u32 khz = tsc_wanted_khz(uarg);
	u64 ratio = tsc_ratio_for(khz);

	if (!ratio)
		return -EINVAL;
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

long vcpu_has_attr(void *self, void *arg, unsigned long uarg)
{
	return tsc_is_offset(arg) ? 0 : -ENXIO;
}

long vcpu_get_attr(void *self, void *arg, unsigned long uarg)
{
	const struct kvm_device_attr *attr = arg;
	const struct vcpu *vcpu = self;

	if (!tsc_is_offset(attr))
		return -ENXIO;
	return put_user(vcpu->tsc.offset, (u64 __user *)u64_to_user_ptr(attr->addr));
}

long vcpu_set_attr(void *self, void *arg, unsigned long uarg)
{
	const struct kvm_device_attr *attr = arg;
	struct vcpu *vcpu = self;
	u64 offset;

	if (!tsc_is_offset(attr))
		return -ENXIO;
	if (get_user(offset, (u64 __user *)u64_to_user_ptr(attr->addr)))
		return -EFAULT;
	mutex_lock(&offset_lock);
	tsc_note_user_offset(vcpu, offset);
	mutex_unlock(&offset_lock);
	tsc_set_offset(vcpu, offset);
	return 0;
}
