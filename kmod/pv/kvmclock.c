// SPDX-License-Identifier: GPL-2.0
/* kvmclock: the time a guest reads from its own memory and the TSC. Linux, Documentation/virt/kvm/x86/msr.rst. */
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
 * The structure is per vCPU and is written anew when what it says changes: the
 * VM's clock, the TSC's offset, the CPU. Between two of these the host's clock
 * is disciplined and the TSC is not, so vCPUs may disagree by a little; for
 * that reason PVCLOCK_TSC_STABLE_BIT is not set, and guests keep their time
 * from going backward as they do on any such host.
 */

#define TIME_ENABLED	BIT_ULL(0)	/* in MSR_KVM_SYSTEM_TIME */

u64 kvmclock_now(struct vm *vm)
{
	return ktime_get_boottime_ns() + READ_ONCE(vm->clock_offset);
}

/* Nanoseconds of n ticks at @khz: (n << @shift) * @mul >> 32, a negative shift goes right. */
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
 * Write @len bytes at @data, which begin with a version: odd while the rest
 * changes, for whoever reads on another vCPU. False where there is no memory.
 */
static bool kvmclock_write_versioned(struct vm *vm, gpa_t gpa, u32 *version, const void *data, size_t len)
{
	if (vm_read_guest(vm, gpa, version, sizeof(*version)))
		return false;
	*version = (*version + 1) | 1;
	if (vm_write_guest(vm, gpa, version, sizeof(*version)))
		return false;
	smp_wmb();	/* odd before the rest */
	if (vm_write_guest(vm, gpa, data, len))
		return false;
	smp_wmb();	/* the rest before even */
	++*version;
	return !vm_write_guest(vm, gpa, version, sizeof(*version));
}

/**
 * kvmclock_update - REQ_CLOCK: tell the guest what its TSC stands for now
 * @vcpu: its thread; srcu held, may sleep
 */
void kvmclock_update(struct vcpu *vcpu)
{
	struct pvclock_vcpu_time_info info = {};
	unsigned long flags;

	if (!(vcpu->clock.system_time & TIME_ENABLED))
		return;
	local_irq_save(flags);
	info.tsc_timestamp = tsc_of_l1(&vcpu->tsc);
	info.system_time = kvmclock_now(vcpu->vm);
	local_irq_restore(flags);
	kvmclock_scale(tsc_rate(&vcpu->tsc), &info.tsc_to_system_mul, &info.tsc_shift);
	info.flags = vcpu->clock.stopped ? PVCLOCK_GUEST_STOPPED : 0;
	if (kvmclock_write_versioned(vcpu->vm, vcpu->clock.system_time & ~TIME_ENABLED, &info.version, &info, sizeof(info)))
		vcpu->clock.stopped = false;
}

/* The time of day at which the VM's clock stood at 0, once, when it is asked for. */
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

/* KVM_GET_CLOCK. It counts from the VM's creation, or from what was set. */
long vm_get_clock(void *self, void *arg, unsigned long uarg)
{
	struct vm *vm = self;
	struct kvm_clock_data *clock = arg;
	unsigned long flags;

	memset(clock, 0, sizeof(*clock));
	/* The three of one moment. */
	local_irq_save(flags);
	clock->clock = kvmclock_now(vm);
	clock->realtime = ktime_get_real_ns();
	clock->host_tsc = rdtsc();
	local_irq_restore(flags);
	clock->flags = KVM_CLOCK_REALTIME | KVM_CLOCK_HOST_TSC;
	return 0;
}

/* KVM_SET_CLOCK. With the time of day at which the clock was read, it goes on from there; never back. */
long vm_set_clock(void *self, void *arg, unsigned long uarg)
{
	struct vm *vm = self;
	const struct kvm_clock_data *user = arg;
	u64 real = ktime_get_real_ns(), clock = user->clock;

	/* What KVM_GET_CLOCK gives may be given back. */
	if (user->flags & ~(u32)(KVM_CLOCK_TSC_STABLE | KVM_CLOCK_REALTIME | KVM_CLOCK_HOST_TSC))
		return -EINVAL;
	if ((user->flags & KVM_CLOCK_REALTIME) && real > user->realtime)
		clock += real - user->realtime;
	WRITE_ONCE(vm->clock_offset, clock - ktime_get_boottime_ns());
	vm_request_all(vm, REQ_CLOCK);
	return 0;
}

/* KVM_KVMCLOCK_CTRL: user space had stopped the VM; the guest's watchdogs are to know. */
long vcpu_kvmclock_ctrl(void *self, void *arg, unsigned long uarg)
{
	struct vcpu *vcpu = self;

	if (!(vcpu->clock.system_time & TIME_ENABLED))
		return -EINVAL;
	vcpu->clock.stopped = true;
	vcpu_request(vcpu, REQ_CLOCK);
	return 0;
}
