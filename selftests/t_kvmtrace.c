// SPDX-License-Identifier: GPL-2.0
/* droste_kvmtrace.ko: events of the system kvm, which must agree with Droste's counters. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/droste.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "save.h"
#include "tracefs.h"
#include "vm.h"
#include "vmx.h"

#define MODULE		"/lib/droste_kvmtrace.ko"	/* in the lab's L0 */
#define ATTACHED	"/sys/module/droste_kvmtrace/parameters/attached"
#define PORT		0x5678

static int unload(void)
{
	return syscall(SYS_delete_module, "droste_kvmtrace", O_NONBLOCK) ? errno : 0;
}

/* Loads the module, unless it is there. The subtest of unloading unloads it. */
static void load(void)
{
	int fd;

	if (!is_droste())
		ksft_skip("not Droste");
	if (!access("/sys/module/droste_kvmtrace", F_OK))
		return;
	fd = open(MODULE, O_RDONLY);
	if (fd < 0)
		ksft_skip("droste_kvmtrace is not loaded");
	MUST(!syscall(SYS_finit_module, fd, "", 0), "loading %s: %s", MODULE, strerror(errno));
	close(fd);
}

/* Waits until the module passes events on, or does so no more. */
static void wait_attached(bool want)
{
	char now = 0;
	int i, fd;

	for (i = 0; i < 10000; i++) {
		fd = open(ATTACHED, O_RDONLY);
		MUST(fd >= 0, ATTACHED);
		MUST(read(fd, &now, 1) == 1, ATTACHED);
		close(fd);
		if ((now == 'Y') == want)
			return;
		usleep(1000);
	}
	MUST(false, "the module is %sattached", want ? "not " : "still ");
}

/* --- an L1 with an L2 --- */

static void __attribute__((naked)) l2_life(void)
{
	asm volatile("mov $7, %eax; xor %ecx, %ecx; cpuid\n"
		     "mov $0x1b, %ecx; rdmsr\n"		/* L0's: L1's bitmap lets it pass */
		     "mov $0x10a, %ecx; rdmsr\n"	/* L1's bitmap has it */
		     "vmcall\n");
}

static void guest_life(void)
{
	u8 *bitmap = g_page();
	int i;

	vmcs_new(l2_life);
	need(F_PROC, PROC_MSR_BITMAPS, "no MSR bitmaps");
	bitmap[0x10a / 8] |= 1 << (0x10a % 8);
	vmwrite(F_MSR_BITMAP, (u64)bitmap);
	g_sync(1);
	for (i = 0; i < 40; i++) {
		vmwrite(F_RIP, (u64)l2_life);
		vmx_expect(R_CPUID, "CPUID");
		vmx_skip();
		vmx_expect(R_RDMSR, "RDMSR");
		vmx_skip();
		vmx_expect(R_VMCALL, "VMCALL");
	}
	vmwrite(F_RFLAGS, 0);	/* bit 1 must be set */
	G_EQ(vmx_run(), R_FAILED_ENTRY | R_BAD_GUEST, "a failed entry");
	g_sync(2);
}

static const char *const names[DROSTE_NR_EXIT_REASONS] = {
	[R_CPUID] = "CPUID", [R_VMCALL] = "VMCALL", [R_RDMSR] = "MSR_READ", [R_VMRESUME] = "VMRESUME",
};

/* How many events have this name, and this word behind "reason". */
static u64 count(const char *name, const char *reason)
{
	const char *at;
	u64 n = 0;
	int i;

	for (i = 0; i < nr_trace_events; i++) {
		at = strstr(trace_events[i], "reason ");
		if (trace_is(trace_events[i], name) &&
		    (!reason || (at && !strncmp(at + 7, reason, strlen(reason)) && at[7 + strlen(reason)] == ' ')))
			n++;
	}
	return n;
}

static u64 sum(const __u64 *after, const __u64 *before)
{
	u64 n = 0;
	int i;

	for (i = 0; i < DROSTE_NR_EXIT_REASONS; i++)
		n += after[i] - before[i];
	return n;
}

static void host_counters(void)
{
	struct droste_exit_stats before, after;
	struct vcpu *vcpu;
	struct vm vm;
	int i;

	load();
	vcpu = vmx_vm(&vm, guest_life);
	vcpu_run_to_sync(vcpu, 1);
	trace_begin("kvm");
	wait_attached(true);
	DO(vcpu->fd, DROSTE_GET_EXIT_STATS, &before);
	vcpu_run_to_sync(vcpu, 2);
	DO(vcpu->fd, DROSTE_GET_EXIT_STATS, &after);
	trace_end();
	wait_attached(false);
	vcpu_run_to_end(vcpu);
	vm_destroy(&vm);
	EQ(count("kvm_exit", NULL), sum(after.exits, before.exits), "exits");
	EQ(count("kvm_nested_vmexit", NULL), sum(after.from_l2, before.from_l2), "exits of L2");
	for (i = 0; i < DROSTE_NR_EXIT_REASONS; i++) {
		if (!names[i])
			continue;
		EQ(count("kvm_exit", names[i]), after.exits[i] - before.exits[i], "exits for %s", names[i]);
		EQ(count("kvm_nested_vmexit", names[i]), after.from_l2[i] - before.from_l2[i], "exits of L2 for %s", names[i]);
		EQ(count("kvm_nested_vmexit_inject", names[i]), after.reflected[i] - before.reflected[i], "%s to L1", names[i]);
	}
	EQ(count("kvm_exit", "CPUID"), 40, "CPUIDs");
	EQ(count("kvm_nested_vmexit_inject", "VMCALL"), 40, "VMCALLs");
	OK(count("kvm_entry", NULL) >= count("kvm_exit", NULL), "entries");
}

/* --- accesses to devices and MSRs --- */

static void guest_accesses(void)
{
	volatile u32 *device = (u32 *)MMIO_HOLE, *apic = (u32 *)APIC_BASE;
	static u8 bytes[3] = { 0xaa, 0xbb, 0xcc };
	u8 *at = bytes;
	u64 n = 3, val;
	u32 sum = 1;

	g_sync(1);
	*device = 0x11223344;
	G_EQ(*device, 0x55667788, "MOV");
	asm volatile("addl (%1), %0" : "+r" (sum) : "r" (device) : "memory", "cc");
	G_EQ(sum, 0x55667789, "ADD");
	apic[0xb0 / 4] = 0;	/* EOI, which the short loop handles when no event is on */
	apic[0x380 / 4] = 0x77;
	G_EQ(apic[0x380 / 4], 0x77, "a register of the local APIC");
	outb(PORT, 0x12);
	G_EQ(inb(PORT), 0x34, "IN");
	asm volatile("rep outsb" : "+S" (at), "+c" (n) : "d" (PORT) : "memory", "cc");
	at = bytes;
	n = 2;
	asm volatile("rep insb" : "+D" (at), "+c" (n) : "d" (PORT) : "memory", "cc");
	G_EQ(bytes[0] | bytes[1] << 8, 0x3434, "INS");
	outb(0x21, 0x5a);	/* a PIC */
	G_EQ(inb(0x21), 0x5a, "a register of the PIC");
	wrmsr(MSR_TSC_DEADLINE, 0);	/* the short loop's, as EOI */
	(void)rdmsr(MSR_APIC_BASE);
	G_EQ(try_rdmsr(0x10a0, &val), GP0, "an MSR that does not exist");
	G_EQ(try_wrmsr(0x10a0, 9), GP0, "an MSR that does not exist");
	g_sync(2);
}

static const char *const accesses[] = {
	"kvm_mmio: mmio write len 4 gpa 0x10000000 val 0x11223344",
	"kvm_mmio: mmio unsatisfied-read len 4 gpa 0x10000000 val 0x0",
	"kvm_mmio: mmio read len 4 gpa 0x10000000 val 0x55667788",
	"kvm_mmio: mmio unsatisfied-read len 4 gpa 0x10000000 val 0x0",
	"kvm_mmio: mmio read len 4 gpa 0x10000000 val 0x55667788",
	"kvm_mmio: mmio write len 4 gpa 0xfee000b0 val 0x0",
	"kvm_mmio: mmio write len 4 gpa 0xfee00380 val 0x77",
	"kvm_mmio: mmio read len 4 gpa 0xfee00380 val 0x77",
	"kvm_pio: pio_write at 0x5678 size 1 count 1 val 0x12",
	"kvm_pio: pio_read at 0x5678 size 1 count 1 val 0x34",
	"kvm_pio: pio_write at 0x5678 size 1 count 3 val 0xaa",
	"kvm_pio: pio_read at 0x5678 size 1 count 2 val 0x34",
	"kvm_pio: pio_write at 0x21 size 1 count 1 val 0x5a",
	"kvm_pio: pio_read at 0x21 size 1 count 1 val 0x5a",
	"kvm_msr: msr_write 6e0 = 0x0",
	"kvm_msr: msr_read 1b = 0xfee00900",
	"kvm_msr: msr_read 10a0 = 0x0 (#GP)",
	"kvm_msr: msr_write 10a0 = 0x9 (#GP)",
};

static void serve(struct kvm_run *run)
{
	u32 val = 0x55667788;

	if (run->exit_reason == KVM_EXIT_IO && run->io.direction == KVM_EXIT_IO_IN)
		memset((u8 *)run + run->io.data_offset, 0x34, (size_t)run->io.count * run->io.size);
	else if (run->exit_reason == KVM_EXIT_MMIO && !run->mmio.is_write)
		memcpy(run->mmio.data, &val, sizeof(val));
	else
		MUST(run->exit_reason == KVM_EXIT_IO || run->exit_reason == KVM_EXIT_MMIO, "exit %u", run->exit_reason);
}

static void host_accesses(void)
{
	struct vcpu *vcpu;
	struct vm vm;
	u64 args[4];
	int i, n = 0;

	load();
	vm_create(&vm, KSFT_IRQCHIP);
	vcpu = vcpu_create(&vm, 0, guest_accesses);
	vcpu_run_to_sync(vcpu, 1);
	trace_begin("kvm");
	wait_attached(true);
	while (vcpu_run_to_call(vcpu, args) != GCALL_SYNC)
		serve(vcpu->run);
	trace_end();
	vm_destroy(&vm);
	for (i = 0; i < nr_trace_events; i++) {
		const char *e = trace_events[i];

		if (!trace_is(e, "kvm_mmio") && !trace_is(e, "kvm_pio") && !trace_is(e, "kvm_msr"))
			continue;
		if (strstr(e, " at 0xd05 "))	/* GCALL_PORT */
			continue;
		if (n < (int)ARRAY_SIZE(accesses))
			OK(!strcmp(e, accesses[n]), "event %d: %s; expected: %s", n, e, accesses[n]);
		n++;
	}
	EQ(n, ARRAY_SIZE(accesses), "events");
}

/* --- the module's life --- */

/* While events are on, and a VM runs, the module goes, with its events. Droste cannot go before it. */
static void host_unload(void)
{
	struct vcpu *vcpu;
	struct vm vm;

	if (access(MODULE, F_OK))
		ksft_skip("not the lab");
	load();
	vcpu = vmx_vm(&vm, guest_life);
	vcpu_run_to_sync(vcpu, 1);
	trace_begin("kvm");
	wait_attached(true);
	EQ(syscall(SYS_delete_module, "droste", O_NONBLOCK) ? errno : 0, EWOULDBLOCK, "droste.ko is needed, errno");
	EQ(unload(), 0, "unloading the module while its events are on, errno");
	OK(access("/sys/kernel/tracing/events/kvm", F_OK), "the events are gone");
	vcpu_run_to_sync(vcpu, 2);
	vcpu_run_to_end(vcpu);
	vm_destroy(&vm);
}

/* --- for perf: the life again, with its counters in the output --- */

/* Prints "exits REASON NUMBER" for all of a VM's exits but the last, which no entry follows. */
static void host_printed(void)
{
	struct droste_exit_stats all;
	struct vcpu *vcpu;
	struct vm vm;
	int i;

	if (!is_droste())
		ksft_skip("not Droste");
	vcpu = vmx_vm(&vm, guest_life);
	vcpu_run_to_sync(vcpu, 1);
	vcpu_run_to_sync(vcpu, 2);
	DO(vcpu->fd, DROSTE_GET_EXIT_STATS, &all);
	all.exits[R_IO]--;
	for (i = 0; i < DROSTE_NR_EXIT_REASONS; i++)
		if (all.exits[i])
			ksft_diag("exits %d %llu", i, (unsigned long long)all.exits[i]);
	vm_destroy(&vm);
}

static const struct ksft_test tests[] = {
	{ "events and counters", .host = host_counters },
	{ "accesses to devices and MSRs", .host = host_accesses },
	{ "unloading while events are on", .host = host_unload },
	{ "counters in the output", .host = host_printed },
};
KSFT_MAIN(tests)
