// SPDX-License-Identifier: GPL-2.0
/* kvmclock: the guest's clock must agree with the VM's clock; a guest without the feature has no such MSRs. */
#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include "guest.h"
#include "vm.h"

#define MSR_WALL_CLOCK	0x4b564d00
#define MSR_SYSTEM_TIME	0x4b564d01
#define SECOND		1000000000ull
#define SLACK		(10 * 1000000)	/* ns: allowed difference between two host clocks */
#define WAIT_MS		50		/* time between a clock update and the reading, so that a wrong rate shows */

static volatile u64 wait_ticks;

/* Linux, Documentation/virt/kvm/x86/msr.rst */
static volatile struct time_info {
	u32 version, pad0;
	u64 tsc_timestamp, system_time;
	u32 tsc_to_system_mul;
	int8_t tsc_shift;
	u8 flags, pad[2];
} info;

static volatile struct wall_clock {
	u32 version, sec, nsec;
} wall;

static u64 now(void)
{
	struct time_info t;
	u64 delta;

	do {
		t.version = info.version;
		t.tsc_timestamp = info.tsc_timestamp;
		t.system_time = info.system_time;
		t.tsc_to_system_mul = info.tsc_to_system_mul;
		t.tsc_shift = info.tsc_shift;
		delta = rdtsc() - t.tsc_timestamp;
	} while ((t.version & 1) || t.version != info.version);
	delta = t.tsc_shift < 0 ? delta >> -t.tsc_shift : delta << t.tsc_shift;
	return t.system_time + (delta >> 32) * t.tsc_to_system_mul + ((u32)delta * (u64)t.tsc_to_system_mul >> 32);
}

static void guest_clock(void)
{
	u64 last, i;

	G_EQ(info.version, 0, "nothing is written before kvmclock is enabled");
	wrmsr(MSR_SYSTEM_TIME, (u64)&info | 1);
	G_EQ(rdmsr(MSR_SYSTEM_TIME), (u64)&info | 1, "reads back");
	G_OK(info.version && !(info.version & 1), "version is even: the data are complete");
	last = now();
	for (i = 0; i < 1000; i++) {
		G_OK(now() >= last, "the clock does not go backward");
		last = now();
	}
	for (;;) {
		last = rdtsc();
		while (rdtsc() - last < wait_ticks)
			relax();
		g_sync2(now(), info.flags);
	}
}

static void guest_wall(void)
{
	wrmsr(MSR_SYSTEM_TIME, (u64)&info | 1);
	wrmsr(MSR_WALL_CLOCK, (u64)&wall);
	G_OK(wall.version && !(wall.version & 1), "version is even: the data are complete");
	G_OK(wall.nsec < SECOND, "nanoseconds");
	g_sync2(now(), wall.sec);
}

static struct vcpu *create(struct vm *vm, void (*fn)(void))
{
	struct vcpu *vcpu;
	struct kvm_cpuid2 *c;
	u32 i;

	vm_create(vm, 0);
	vcpu = vcpu_create(vm, 0, fn);
	c = supported_cpuid(vm->dev);
	for (i = 0; i < c->nent; i++) {
		struct kvm_cpuid_entry2 *e = &c->entries[i];

		if (e->function == 0x40000001 && !(e->eax & BIT(3)))
			ksft_skip("no kvmclock");
		if (e->function != 0x40000000)
			continue;
		memcpy(&e->ebx, "KVMK", 4);
		memcpy(&e->ecx, "VMKV", 4);
		memcpy(&e->edx, "M\0\0", 4);
	}
	DO(vcpu->fd, KVM_SET_CPUID2, c);
	GUEST(vm, wait_ticks) = DO(vcpu->fd, KVM_GET_TSC_KHZ, 0) * WAIT_MS;
	return vcpu;
}

static u64 vm_clock(struct vm *vm)
{
	struct kvm_clock_data clock = { 0 };

	DO(vm->fd, KVM_GET_CLOCK, &clock);
	return clock.clock;
}

/* Checks that the guest's time lies between two readings of the VM's clock. Returns the flags that the guest sees. */
static u64 check_clock(struct vm *vm, struct vcpu *vcpu)
{
	u64 before = vm_clock(vm), args[4], after;

	MUST(vcpu_run_to_call(vcpu, args) == GCALL_SYNC, "the guest's time");
	after = vm_clock(vm);
	OK(args[0] + SLACK >= before && args[0] <= after + SLACK, "the guest's time is that of the VM's clock");
	return args[1];
}

static void host_clock(void)
{
	struct kvm_clock_data clock = { .clock = 1000000 * SECOND };
	struct vm vm;
	struct vcpu *vcpu = create(&vm, guest_clock);
	u64 val, i;

	FAILS(vcpu->fd, KVM_KVMCLOCK_CTRL, 0, EINVAL);
	for (i = 0; i < 5; i++)
		EQ(check_clock(&vm, vcpu), 0, "flags");
	DO(vm.fd, KVM_SET_CLOCK, &clock);
	OK(vm_clock(&vm) >= clock.clock, "the VM's clock is set");
	check_clock(&vm, vcpu);
	DO(vcpu->fd, KVM_KVMCLOCK_CTRL, 0);
	EQ(check_clock(&vm, vcpu), 2, "flag: the guest was stopped");
	/* Changing the TSC does not change the time. */
	EQ(vcpu_get_msr(vcpu, 0x10, &val), 0, "TSC");
	EQ(vcpu_set_msr(vcpu, 0x10, val + (1ull << 40)), 0, "TSC");
	EQ(check_clock(&vm, vcpu), 0, "flags");
	if (ioctl(vm.dev, KVM_CHECK_EXTENSION, KVM_CAP_TSC_CONTROL) > 0) {
		val = DO(vcpu->fd, KVM_GET_TSC_KHZ, 0);
		DO(vcpu->fd, KVM_SET_TSC_KHZ, val * 3);
		check_clock(&vm, vcpu);
		DO(vcpu->fd, KVM_SET_TSC_KHZ, val / 3);
		check_clock(&vm, vcpu);
	}
	vm_destroy(&vm);
}

static void host_wall(void)
{
	struct vm vm;
	struct vcpu *vcpu = create(&vm, guest_wall);
	u64 args[4];
	s64 apart;

	MUST(vcpu_run_to_call(vcpu, args) == GCALL_SYNC, "the guest's time");
	apart = args[1] + args[0] / SECOND - time(NULL);
	OK(apart >= -5 && apart <= 5, "the time of day");
	vm_destroy(&vm);
}

static void guest_without(void)
{
	u64 val;

	G_EQ(try_rdmsr(0x11, &val), GP0, "KVM_WALL_CLOCK");
	G_EQ(try_rdmsr(0x12, &val), GP0, "KVM_SYSTEM_TIME");
	G_EQ(try_rdmsr(MSR_SYSTEM_TIME, &val), GP0, "KVM_SYSTEM_TIME_NEW");
	G_EQ(try_wrmsr(MSR_SYSTEM_TIME, (u64)&info | 1), GP0, "KVM_SYSTEM_TIME_NEW");
	G_EQ(info.version, 0, "nothing is written");
}

/* User space offers no features to the guest. */
static void host_without(void)
{
	struct kvm_enable_cap enforce = { .cap = KVM_CAP_ENFORCE_PV_FEATURE_CPUID, .args[0] = 1 };
	struct vm vm;
	struct vcpu *vcpu;
	struct kvm_cpuid2 *c;
	u32 i;

	vm_create(&vm, 0);
	vcpu = vcpu_create(&vm, 0, guest_without);
	DO(vcpu->fd, KVM_ENABLE_CAP, &enforce);
	c = supported_cpuid(vm.dev);
	for (i = 0; i < c->nent; i++)
		if (c->entries[i].function == 0x40000001)
			c->entries[i].eax = 0;
	DO(vcpu->fd, KVM_SET_CPUID2, c);
	vcpu_run_to_end(vcpu);
	vm_destroy(&vm);
}

static const struct ksft_test tests[] = {
	{ "the guest's time is that of the VM's clock", .host = host_clock },
	{ "the time of day", .host = host_wall },
	{ "without KVM's features", .host = host_without },
};
KSFT_MAIN(tests)
