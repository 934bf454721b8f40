/* SPDX-License-Identifier: GPL-2.0 */
/* VMs that hide the cost of exits from their clocks (DROSTE_SET_PROFILE): for t_stealth_clock and t_stealth_l2. */
#ifndef HIDECLOCK_H
#define HIDECLOCK_H

#include <errno.h>
#include <linux/droste.h>
#include <linux/kvm.h>
#include <string.h>
#include <sys/ioctl.h>
#include "vm.h"
#include "vmx.h"

#define BOUND_NS	200000ull
#define ROUNDS		64

/* --- what CPUID costs: the same code in a guest and on the host --- */

static __attribute__((noinline)) u64 ticks_of_cpuid(void)
{
	u64 before, after;

	asm volatile("rdtsc\n\tshl $32, %%rdx\n\tor %%rdx, %%rax\n\tmov %%rax, %0\n\txor %%eax, %%eax\n\txor %%ecx, %%ecx\n\t"
		     "cpuid\n\t"
		     "rdtsc\n\tshl $32, %%rdx\n\tor %%rdx, %%rax\n\tmov %%rax, %1"
		     : "=&r" (before), "=&r" (after) : : "rax", "rbx", "rcx", "rdx", "memory");
	return after - before;
}

/* The least of some rounds: an interrupt of the host lengthens others. */
static u64 least(void)
{
	u64 min = ~0ul, t;

	for (int i = 0; i < ROUNDS; i++) {
		t = ticks_of_cpuid();
		min = t < min ? t : min;
	}
	return min;
}

static void guest_least(void)
{
	g_sync2(least(), 0);
}

static struct vcpu *start(struct vm *vm, unsigned int flags, void (*fn)(void), u64 bound, s64 extra)
{
	struct droste_profile p = { .clock_bound = bound, .clock_extra = extra };

	vm_create(vm, flags);
	if (ioctl(vm->fd, DROSTE_SET_PROFILE, &p))
		MUST(errno == ENOTTY || errno == EOPNOTSUPP, "DROSTE_SET_PROFILE: %s", strerror(errno));
	else
		errno = 0;
	if (errno)
		ksft_skip("DROSTE_SET_PROFILE: %s", strerror(errno));
	if (flags & KSFT_VMX && !vm_has_vmx(vm))
		ksft_skip("no VMX");
	return vcpu_create(vm, 0, fn);
}

static u64 in_guest(u64 bound, s64 extra)
{
	u64 args[4] = {};
	struct vm vm;
	struct vcpu *vcpu = start(&vm, 0, guest_least, bound, extra);

	MUST(vcpu_run_to_call(vcpu, args) == GCALL_SYNC, "the guest measures");
	vm_destroy(&vm);
	return args[0];
}

/* What L0 does not measure of an exit, less what CPUID costs. */
static s64 calibrate(void)
{
	u64 bare = least();

	return in_guest(1000000, 0) - bare;
}

/* Nearly as much: each reading of the counter is rounded down, and the lab's machine of two processors counts half ticks. */
#define SPARE_TICKS	4

static s64 nearly_all(void)
{
	return calibrate() - SPARE_TICKS;
}

/* --- a counter that does not go back --- */

static volatile u64 last;

static void ascends(u64 now, const char *what)
{
	if (now < last)
		g_call(GCALL_EQ, __FILE__, __LINE__, what, now, last, 0, 0);
	last = now;
}

#endif
