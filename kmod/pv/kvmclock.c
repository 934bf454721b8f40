// SPDX-License-Identifier: GPL-2.0
/* kvmclock: a guest computes the time from a structure in its memory and the TSC. See KVM's msr.rst in Linux. */
#include <linux/ktime.h>
#include <linux/kvm_para.h>
#include <linux/math64.h>
#include <asm/msr.h>
#include <asm/pvclock-abi.h>
#include "droste.h"
#include "cpu/msr_row.h"
#include "mem/memslot.h"
#include "pv/kvmclock.h"
#include "run/request.h"

/*
 * Each vCPU has its own structure. It is updated when the VM's clock, the vCPU's
 * TSC or its CPU changes. Between updates the host adjusts its clock, but the
 * guest extrapolates from the TSC, so the times of two vCPUs may differ slightly.
 * PVCLOCK_TSC_STABLE_BIT is therefore not set, and the guest itself makes sure
 * that its time does not go backward from one vCPU to another.
 */

#define TIME_ENABLED	BIT_ULL(0)	/* in MSR_KVM_SYSTEM_TIME */

/**
 * kvmclock_now() - read the clock of a VM
 * @vm: the VM
 *
 * Context: Any.
 * Return: nanoseconds since the VM was created, or since the time that
 * KVM_SET_CLOCK set.
 */
static u64 kvmclock_now(struct vm *vm)
{
	return ktime_get_boottime_ns() + READ_ONCE(vm->clock_offset);
}

/* Compute @mul and @shift so that n ticks at @khz are ((n << @shift) * @mul) >> 32 ns; a negative shift goes right. */
static void kvmclock_scale(u32 khz, u32 *mul, s8 *shift)
{
	u64 hz = khz * 1000ULL;

	*shift = 0;
	while (hz <= NSEC_PER_SEC) {
		hz <<= 1;
		++*shift;
	}
	while (hz > 2ULL * NSEC_PER_SEC) {
		hz >>= 1;
		--*shift;
	}
	*mul = div64_u64((u64)NSEC_PER_SEC << 32, hz);
}

/*
 * Write a structure of @len bytes to guest memory. It begins with a version, which
 * is odd while the rest changes, so that other vCPUs do not read half of an
 * update. Returns false if there is no memory.
 */
static bool kvmclock_write_versioned(struct vm *vm, gpa_t gpa, u32 *version, const void *data, size_t len)
{
	if (vm_read_guest(vm, gpa, version, sizeof(*version)))
		return false;
	*version = (*version + 1) | 1;
	if (vm_write_guest(vm, gpa, version, sizeof(*version)))
		return false;
	smp_wmb();	/* the odd version before the rest */
	if (vm_write_guest(vm, gpa, data, len))
		return false;
	smp_wmb();	/* the rest before the even version */
	++*version;
	return !vm_write_guest(vm, gpa, version, sizeof(*version));
}

/**
 * kvmclock_update() - write the present time and TSC to the guest's structure, for REQ_CLOCK
 * @vcpu: loaded
 *
 * Context: Process context. May sleep. Caller holds vcpu->mutex, and vm->srcu
 * for reading.
 */
void kvmclock_update(struct vcpu *vcpu)
{
	struct pvclock_vcpu_time_info info = {};
	unsigned long flags;

	if (!(vcpu->clock.system_time & TIME_ENABLED))
		return;
	tsc_told_now(&vcpu->hide);
	local_irq_save(flags);
	info.tsc_timestamp = tsc_of_l1(&vcpu->tsc);
	info.system_time = kvmclock_now(vcpu->vm);
	local_irq_restore(flags);
	/* The counter is behind by what is hidden of it, and will catch up. */
	if (vcpu->hide.debt)
		info.system_time -= mul_u64_u32_div(vcpu->hide.debt, USEC_PER_SEC, tsc_khz);
	kvmclock_scale(tsc_rate(&vcpu->tsc), &info.tsc_to_system_mul, &info.tsc_shift);
	info.flags = vcpu->clock.stopped ? PVCLOCK_GUEST_STOPPED : 0;
	if (kvmclock_write_versioned(vcpu->vm, vcpu->clock.system_time & ~TIME_ENABLED, &info.version, &info, sizeof(info)))
		vcpu->clock.stopped = false;
}

/* Tell the guest at which time of day the VM's clock was 0. Written once, when the guest sets the MSR. */
static void kvmclock_write_wall_clock(struct vm *vm, gpa_t gpa)
{
	struct pvclock_wall_clock wall = {};
	u64 ns = ktime_get_real_ns() - kvmclock_now(vm);

	wall.sec = div_u64_rem(ns, NSEC_PER_SEC, &wall.nsec);
	kvmclock_write_versioned(vm, gpa, &wall.version, &wall, sizeof(wall));
}

MSR_GET(msr_get_wall_clock)
{
	*data = READ_ONCE(vcpu->vm->wall_clock);
	return 0;
}

MSR_SET(msr_set_wall_clock)
{
	WRITE_ONCE(vcpu->vm->wall_clock, data);
	if (data)
		kvmclock_write_wall_clock(vcpu->vm, data);
	return 0;
}

MSR_GET(msr_get_system_time)
{
	*data = vcpu->clock.system_time;
	return 0;
}

MSR_SET(msr_set_system_time)
{
	vcpu->clock.system_time = data;
	vcpu_request(vcpu, REQ_CLOCK);
	return 0;
}

/**
 * vm_get_clock() - KVM_GET_CLOCK
 * @self: the VM
 * @arg: struct kvm_clock_data, filled
 * @uarg: unused
 *
 * Context: Process context. Caller holds vm->lock.
 * Return: 0.
 */
long vm_get_clock(void *self, void *arg, unsigned long uarg)
{
	struct vm *vm = self;
	struct kvm_clock_data *clock = arg;
	unsigned long flags;

	memset(clock, 0, sizeof(*clock));
	/* All three values must be of the same moment. */
	local_irq_save(flags);
	clock->clock = kvmclock_now(vm);
	clock->realtime = ktime_get_real_ns();
	clock->host_tsc = rdtsc();
	local_irq_restore(flags);
	clock->flags = KVM_CLOCK_REALTIME | KVM_CLOCK_HOST_TSC;
	return 0;
}

/**
 * vm_set_clock() - KVM_SET_CLOCK
 * @self: the VM
 * @arg: struct kvm_clock_data
 * @uarg: unused
 *
 * With KVM_CLOCK_REALTIME, the time that has passed since the clock was read is
 * added, unless the host's time of day went back.
 *
 * Context: Process context. May sleep. Caller holds vm->lock.
 * Return: 0, or -EINVAL for unknown flags.
 */
long vm_set_clock(void *self, void *arg, unsigned long uarg)
{
	struct vm *vm = self;
	const struct kvm_clock_data *user = arg;
	u64 real = ktime_get_real_ns(), clock = user->clock;

	/* All flags of KVM_GET_CLOCK are accepted, so that user space can pass its result unchanged. */
	if (user->flags & ~(u32)(KVM_CLOCK_TSC_STABLE | KVM_CLOCK_REALTIME | KVM_CLOCK_HOST_TSC))
		return -EINVAL;
	if ((user->flags & KVM_CLOCK_REALTIME) && real > user->realtime)
		clock += real - user->realtime;
	WRITE_ONCE(vm->clock_offset, clock - ktime_get_boottime_ns());
	vm_request_all(vm, REQ_CLOCK);
	return 0;
}

/**
 * vcpu_kvmclock_ctrl() - KVM_KVMCLOCK_CTRL
 * @self: the vCPU; need not be loaded
 * @arg: NULL
 * @uarg: unused
 *
 * User space has stopped the VM for a while. The next update tells the guest,
 * whose watchdogs would report a lockup otherwise.
 *
 * Context: Process context. Caller holds vcpu->mutex.
 * Return: 0, or -EINVAL if the guest does not use kvmclock.
 */
long vcpu_kvmclock_ctrl(void *self, void *arg, unsigned long uarg)
{
	struct vcpu *vcpu = self;

	if (!(vcpu->clock.system_time & TIME_ENABLED))
		return -EINVAL;
	vcpu->clock.stopped = true;
	vcpu_request(vcpu, REQ_CLOCK);
	return 0;
}
