// SPDX-License-Identifier: GPL-2.0
/* vCPU behaviour selected with KVM_ENABLE_CAP: halt polling, PAUSE without exits, limits of vCPU IDs. */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/droste.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include "guest.h"
#include "stat.h"
#include "vm.h"

#define PAUSE	40	/* exit reason */

/* --- halt polling --- */

static volatile u64 halts;

static void on_timer(struct trap_regs *r)
{
	apic_eoi();
}

static void guest_halts(void)
{
	u64 i;

	apic_enable();
	g_trap_fn[0x40] = on_timer;
	apic_write(APIC_LVTT, 0x40);
	apic_write(APIC_TDCR, 0xb);
	for (;;) {
		for (i = 0; i < halts; i++) {
			apic_write(APIC_TMICT, 500000);
			sti_hlt_cli();
		}
		g_sync(1);
	}
}

static void halt(struct vcpu *vcpu, u64 n)
{
	GUEST(vcpu->vm, halts) = n;
	vcpu_run_to_sync(vcpu, 1);
}

static void host_polls(void)
{
	struct vm vm;
	struct vcpu *vcpu;
	u64 woken, tried, i;

	vm_create(&vm, KSFT_IRQCHIP);
	if (ioctl(vm.fd, KVM_CHECK_EXTENSION, KVM_CAP_HALT_POLL) <= 0)
		ksft_skip("no halt polling");
	vcpu = vcpu_create(&vm, 0, guest_halts);
	EQ(vm_enable_cap(&vm, KVM_CAP_HALT_POLL, 1ul << 32), EINVAL, "more than 32 bits");
	EQ(vm_enable_cap(&vm, KVM_CAP_HALT_POLL, 0), 0, "disable polling");
	halt(vcpu, 10);
	EQ(stat(vcpu, "halt_attempted_poll"), 0, "polls");
	EQ(stat(vcpu, "halt_successful_poll"), 0, "no successful polls");
	woken = stat(vcpu, "halt_wakeup");
	OK(woken > 0 && woken <= 10, "the vCPU slept: %llu", (long long)woken);
	OK(stat(vcpu, "halt_wait_ns"), "time spent asleep");
	/* The polling window grows until it covers the events. */
	EQ(vm_enable_cap(&vm, KVM_CAP_HALT_POLL, 0xffffffff), 0, "four seconds");
	for (i = 0; i < 100 && !stat(vcpu, "halt_successful_poll"); i++)
		halt(vcpu, 10);
	OK(stat(vcpu, "halt_successful_poll"), "a poll succeeds");
	OK(stat(vcpu, "halt_attempted_poll") >= stat(vcpu, "halt_successful_poll"), "attempts include successes");
	OK(stat(vcpu, "halt_poll_success_ns"), "time spent in successful polls");
	/* Polling is disabled. */
	EQ(vm_enable_cap(&vm, KVM_CAP_HALT_POLL, 0), 0, "disable polling");
	tried = stat(vcpu, "halt_attempted_poll");
	woken = stat(vcpu, "halt_wakeup");
	halt(vcpu, 10);
	EQ(stat(vcpu, "halt_attempted_poll"), tried, "polls");
	OK(stat(vcpu, "halt_wakeup") > woken, "the vCPU sleeps again");
	vm_destroy(&vm);
}

/* --- PAUSE --- */

static void guest_spins(void)
{
	for (u64 i = 0; i < 100000; i++)
		relax();
}

static u64 pauses(struct vcpu *vcpu)
{
	struct droste_exit_stats s;

	if (ioctl(vcpu->fd, DROSTE_GET_EXIT_STATS, &s))
		ksft_skip("not Droste: exits are not counted by reason");
	return s.exits[PAUSE];
}

static void host_pause(void)
{
	struct vm vm;
	struct vcpu *with, *without;
	int offered;
	u64 i;

	vm_create(&vm, 0);
	offered = ioctl(vm.fd, KVM_CHECK_EXTENSION, KVM_CAP_X86_DISABLE_EXITS);
	if (!(offered & KVM_X86_DISABLE_EXITS_PAUSE))
		ksft_skip("PAUSE always exits");
	for (i = 4; i < 64; i++)
		EQ(vm_enable_cap(&vm, KVM_CAP_X86_DISABLE_EXITS, BIT(i)), EINVAL, "bit %d", (int)i);
	with = vcpu_create(&vm, 0, guest_spins);
	vcpu_run_to_end(with);
	EQ(vm_enable_cap(&vm, KVM_CAP_X86_DISABLE_EXITS, KVM_X86_DISABLE_EXITS_PAUSE), 0, "PAUSE");
	vm_destroy(&vm);

	vm_create(&vm, 0);
	with = vcpu_create(&vm, 0, guest_spins);
	vcpu_run_to_end(with);
	if (!pauses(with))
		ksft_skip("no PAUSE-loop exiting");
	vm_destroy(&vm);
	vm_create(&vm, 0);
	EQ(vm_enable_cap(&vm, KVM_CAP_X86_DISABLE_EXITS, KVM_X86_DISABLE_EXITS_PAUSE), 0, "PAUSE");
	without = vcpu_create(&vm, 0, guest_spins);
	vcpu_run_to_end(without);
	EQ(pauses(without), 0, "exits");
	vm_destroy(&vm);
}

/* --- vCPU IDs --- */

#define LIMIT	10

static void host_ids(void)
{
	struct vm vm;
	int most;

	vm_create(&vm, 0);
	most = ioctl(vm.fd, KVM_CHECK_EXTENSION, KVM_CAP_MAX_VCPU_ID);
	if (vm_enable_cap(&vm, KVM_CAP_MAX_VCPU_ID, most + 1) == EINVAL && vm_enable_cap(&vm, KVM_CAP_MAX_VCPU_ID, most) == EINVAL)
		ksft_skip("vCPU IDs cannot be limited");
	vm_destroy(&vm);

	vm_create(&vm, 0);
	EQ(vm_enable_cap(&vm, KVM_CAP_MAX_VCPU_ID, most + 1), EINVAL, "above the number of IDs");
	EQ(vm_enable_cap(&vm, KVM_CAP_MAX_VCPU_ID, 1ul << 32), EINVAL, "above the number of IDs");
	DO(vm.fd, KVM_SET_BOOT_CPU_ID, LIMIT);
	EQ(vm_enable_cap(&vm, KVM_CAP_MAX_VCPU_ID, LIMIT - 1), EINVAL, "below the boot processor's ID");
	EQ(vm_enable_cap(&vm, KVM_CAP_MAX_VCPU_ID, LIMIT), 0, "limit");
	EQ(vm_enable_cap(&vm, KVM_CAP_MAX_VCPU_ID, LIMIT + 1), EINVAL, "another limit");
	EQ(vm_enable_cap(&vm, KVM_CAP_MAX_VCPU_ID, LIMIT), 0, "the same limit");
	FAILS(vm.fd, KVM_CREATE_VCPU, LIMIT, EINVAL);
	FAILS(vm.fd, KVM_CREATE_VCPU, 1ul << 32, EINVAL);
	close(DO(vm.fd, KVM_CREATE_VCPU, LIMIT - 1));
	vm_destroy(&vm);
}

static const struct ksft_test tests[] = {
	{ "halt polling", .host = host_polls },
	{ "PAUSE without exits", .host = host_pause },
	{ "limits of vCPU IDs", .host = host_ids },
};
KSFT_MAIN(tests)
