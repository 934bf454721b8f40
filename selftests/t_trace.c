// SPDX-License-Identifier: GPL-2.0
/* Droste's tracepoints: the events of a short life of an L1, one by one, in a private instance of tracefs. */
#define _GNU_SOURCE
#include <asm/vmx.h>
#include <errno.h>
#include <linux/droste.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include "save.h"
#include "stat.h"
#include "tracefs.h"
#include "vm.h"
#include "vmx.h"

/* --- a short life --- */

static void __attribute__((naked)) l2_life(void)
{
	asm volatile("mov $7, %eax; xor %ecx, %ecx; cpuid\n"	/* L1's */
		     "mov $0x1b, %ecx; rdmsr\n"			/* L0's: L1's bitmap lets it pass */
		     "mov $0x10a, %ecx; rdmsr\n"		/* L1's bitmap has it */
		     "vmcall\n");
}

static void guest_life(void)
{
	u8 *bitmap = g_page();

	vmcs_new(l2_life);
	need(F_PROC, PROC_MSR_BITMAPS, "no MSR bitmaps");
	bitmap[0x10a / 8] |= 1 << (0x10a % 8);
	vmwrite(F_MSR_BITMAP, (u64)bitmap);
	g_sync(1);
	vmx_expect(R_CPUID, "CPUID");
	vmx_skip();
	vmx_expect(R_RDMSR, "RDMSR");
	vmx_skip();
	vmx_expect(R_VMCALL, "VMCALL");
	vmwrite(F_RFLAGS, 0);	/* bit 1 must be set */
	G_EQ(vmx_run(), R_FAILED_ENTRY | R_BAD_GUEST, "a failed entry");
	vmwrite(F_CR3_TARGETS, 5);
	G_EQ(vmx_try_enter(false), VM_FAIL(E_BAD_CONTROLS), "VMfail");
	g_sync(2);
}

/* The events of the nested core, one behind another. Text behind a name need not match. */
static const char *const life[] = {
	"droste_l1_entry: L1 VMLAUNCH",
	"droste_exit: L2 CPUID arg 0x7",
	"droste_route: L2 CPUID to L1 why ALWAYS field 0x0",
	"droste_l1_exit: L2 HARDWARE CPUID",
	"droste_l1_entry: L1 VMRESUME",
	"droste_exit: L2 MSR_READ arg 0x1b",
	"droste_route: L2 MSR_READ to L0 why MSR_BITMAP field 0x4002 bits 0x10000000 byte 0x3 mask 0x8 hit 0",
	"droste_exit: L2 MSR_READ arg 0x10a",
	"droste_route: L2 MSR_READ to L1 why MSR_BITMAP byte 0x21 mask 0x4 hit 1",
	"droste_l1_exit: L2 HARDWARE MSR_READ",
	"droste_l1_entry: L1 VMRESUME",
	"droste_exit: L2 VMCALL",
	"droste_route: L2 VMCALL to L1 why ALWAYS",
	"droste_l1_exit: L2 HARDWARE VMCALL",
	"droste_entry_failed: L1 exit 33 (RFLAGS_RESERVED) of 1 GUEST_RFLAGS 0x0",
	"droste_l1_exit: L2 ENTRY INVALID_STATE (failed entry)",
	"droste_entry_failed: L1 VMfail 7 (CR3_TARGET_COUNT) of 2 CR3_TARGET_COUNT 0x5",
	"droste_vmx_insn: L1 VMRESUME VMfail 7",
};

/* Whether each word of @want is in the event, in this order. */
static bool has_words(const char *event, const char *want)
{
	char copy[256], *word, *save;

	snprintf(copy, sizeof(copy), "%s", want);
	for (word = strtok_r(copy, " ", &save); word; word = strtok_r(NULL, " ", &save)) {
		event = strstr(event, word);
		if (!event)
			return false;
		event += strlen(word);
	}
	return true;
}

/* Whether an event is of the nested core: its exits are L2's, its instructions those that fail. */
static bool is_nested(const char *e)
{
	if (!strncmp(e, "droste_exit:", 12) || !strncmp(e, "droste_route:", 13))
		return strstr(e, " L2 ") && !strstr(e, "EXTERNAL_INTERRUPT") && !strstr(e, "PREEMPTION_TIMER") &&
		       !strstr(e, "EPT_VIOLATION");
	if (!strncmp(e, "droste_vmx_insn:", 16))
		return !strstr(e, "VMsucceed");
	return !strncmp(e, "droste_l1_", 10) || !strncmp(e, "droste_entry_failed:", 20);
}

static void host_life(void)
{
	struct vcpu *vcpu;
	struct vm vm;
	int i, n = 0;

	vcpu = vmx_vm(&vm, guest_life);
	vcpu_run_to_sync(vcpu, 1);
	trace_begin("droste");
	vcpu_run_to_sync(vcpu, 2);
	trace_end();
	vcpu_run_to_end(vcpu);
	vm_destroy(&vm);
	for (i = 0; i < nr_trace_events; i++) {
		if (!is_nested(trace_events[i]))
			continue;
		if (n < (int)ARRAY_SIZE(life))
			OK(has_words(trace_events[i], life[n]), "event %d: %s; expected: %s", n, trace_events[i], life[n]);
		n++;
	}
	EQ(n, ARRAY_SIZE(life), "events");
}

/* --- events and counters --- */

#define ROUNDS	20
#define REASONS	DROSTE_NR_EXIT_REASONS

static void guest_many(void)
{
	u64 i;

	guest_life();
	vmwrite(F_CR3_TARGETS, 0);
	for (i = 0; i < ROUNDS; i++) {
		vmwrite(F_RFLAGS, RFLAGS_FIXED);
		vmwrite(F_RIP, (u64)l2_life);
		vmx_expect(R_CPUID, "CPUID");
		vmx_skip();
		vmx_expect(R_RDMSR, "RDMSR");
		vmx_skip();
		vmx_expect(R_VMCALL, "VMCALL");
		vmwrite(F_RFLAGS, 0);
		G_EQ(vmx_run(), R_FAILED_ENTRY | R_BAD_GUEST, "a failed entry");
	}
	g_sync(3);
}

/* What the events say that the counters count. */
static struct {
	u64 exits[3][REASONS];		/* by level and reason */
	u64 routed[2][REASONS];		/* by who gets it and reason */
	u64 reflected[REASONS];		/* by the reason of L2's exit */
	u64 shown[REASONS];		/* by the reason that L1 was shown */
	u64 entries;
} sum;

/* The number of the first reason that is named behind @at. The kernel prints those without a name as numbers. */
static u32 reason_of(const char *at)
{
	static const struct { u32 nr; const char *name; } names[] = { VMX_EXIT_REASONS };
	size_t len, i;

	at += strspn(at, " ");
	len = strcspn(at, " ");
	for (i = 0; i < ARRAY_SIZE(names); i++)
		if (strlen(names[i].name) == len && !strncmp(at, names[i].name, len))
			return names[i].nr;
	i = strtoull(at, NULL, 16);
	MUST(!strncmp(at, "0x", 2) && i < REASONS, "reason in %s", at);
	return i;
}

static void sum_event(const char *e)
{
	static u32 last;	/* reason of the exit before */
	int level = strstr(e, " L2 ") ? 2 : 1;
	const char *body = strstr(e, " seq ");

	MUST(body, "seq in %s", e);
	body = strstr(body, ": ") + 2;
	if (!strncmp(e, "droste_exit:", 12)) {
		last = reason_of(body);
		sum.exits[level][last]++;
	} else if (!strncmp(e, "droste_route:", 13)) {
		sum.routed[!!strstr(body, " to L1 ")][reason_of(body)]++;
	} else if (!strncmp(e, "droste_l1_exit:", 15)) {
		sum.shown[reason_of(strchr(body, ' '))]++;
		/* Those that L0 makes up, and failed entries, are no exits of L2 that are passed on. */
		sum.reflected[last] += strncmp(body, "EVENT ", 6) && strncmp(body, "ENTRY ", 6);
	} else if (!strncmp(e, "droste_l1_entry:", 16)) {
		sum.entries++;
	}
}

static void vcpu_info(struct vm *vm, struct droste_vcpu_info *info)
{
	struct droste_vm_name name = { .flags = DROSTE_NEXT };
	struct droste_vm_info v = { .number = 0 };
	int fd, mine = -1;

	/* The newest VM of this process. */
	while ((fd = ioctl(vm->dev, DROSTE_INSPECT, &name)) >= 0) {
		DO(fd, DROSTE_VM_INFO, &v);
		name.number = v.number;
		if (mine >= 0)
			close(v.pid == getpid() ? mine : fd);
		if (v.pid == getpid() || mine < 0)
			mine = fd;
	}
	MUST(mine >= 0, "DROSTE_INSPECT: %s", strerror(errno));
	*info = (struct droste_vcpu_info) { .vcpu = 0 };
	DO(mine, DROSTE_VCPU_INFO, info);
	close(mine);
}

/* Each exit has one event; their numbers are consecutive. */
static void check_numbers(void)
{
	u64 last = 0;
	int i;

	for (i = 0; i < nr_trace_events; i++) {
		u64 seq = trace_field(trace_events[i], "seq");

		if (strncmp(trace_events[i], "droste_exit:", 12))
			continue;
		if (last)
			MUST(seq == last + 1, "exit %llu behind exit %llu", (long long)seq, (long long)last);
		last = seq;
	}
	OK(last, "there are exits");
}

/* Over a run with L2, the events' sums by reason, level and who answers are the differences of the counters. */
static void host_many(void)
{
	struct droste_vcpu_info before, after;
	struct vcpu *vcpu;
	struct vm vm;
	int i;

	vcpu = vmx_vm(&vm, guest_many);
	vcpu_run_to_sync(vcpu, 1);
	vcpu_run_to_sync(vcpu, 2);
	trace_begin("droste");
	vcpu_info(&vm, &before);
	vcpu_run_to_sync(vcpu, 3);
	vcpu_info(&vm, &after);
	trace_end();
	vcpu_run_to_end(vcpu);
	vm_destroy(&vm);
	check_numbers();
	for (i = 0; i < nr_trace_events; i++)
		sum_event(trace_events[i]);
	for (i = 0; i < REASONS; i++) {
		u64 from_l2 = after.exits.from_l2[i] - before.exits.from_l2[i];

		EQ(sum.exits[1][i], after.exits.exits[i] - before.exits.exits[i] - from_l2, "reason %d: exits of L1", i);
		EQ(sum.exits[2][i], from_l2, "reason %d: exits of L2", i);
		EQ(sum.routed[0][i] + sum.routed[1][i], from_l2, "reason %d: routed", i);
		EQ(sum.reflected[i], after.exits.reflected[i] - before.exits.reflected[i], "reason %d: reflected", i);
		EQ(sum.shown[i], after.shown[i] - before.shown[i], "reason %d: shown to L1", i);
	}
	EQ(sum.entries, after.entries - before.entries, "entries");
	EQ(sum.routed[1][R_CPUID], ROUNDS, "CPUID to L1");
	EQ(sum.routed[0][R_RDMSR], ROUNDS, "RDMSR to L0");
	EQ(sum.routed[1][R_RDMSR], ROUNDS, "RDMSR to L1");
}

/* --- accesses that the short loop handles when no event is on --- */

static void guest_short(void)
{
	volatile u32 *apic = (u32 *)APIC_BASE;

	g_sync(1);
	wrmsr(MSR_TSC_DEADLINE, 0);
	apic[0xb0 / 4] = 0;	/* EOI */
	g_sync(2);
}

#define ABSENT		0x40000000ul	/* L2-physical, and linear */
#define VIOLATIONS	8

static u8 no_bits[4096] __attribute__((aligned(4096)));

static void l2_reads(void)
{
	for (;;)
		*(volatile u64 *)ABSENT;
}

static void guest_violations(void)
{
	u64 eptp;
	int i;

	vmx_on();
	eptp = ept_new();
	*ept_entry(eptp, ABSENT, 1) = 0;
	vmcs_usual(l2_reads, no_bits, eptp);
	for (i = 0; i < 4 * VIOLATIONS; i++)
		vmx_expect(R_EPT_VIOLATION, "before");
	g_sync(1);
	for (i = 0; i < VIOLATIONS; i++)
		vmx_expect(R_EPT_VIOLATION, "an absent page");
	g_sync(2);
}

static void host_violations(void)
{
	struct vcpu *vcpu;
	struct vm vm;
	int i;

	if (!is_droste())
		ksft_skip("not Droste");
	vcpu = vmx_vm(&vm, guest_violations);
	vcpu_run_to_sync(vcpu, 1);
	trace_begin("droste/droste_ept02");
	vcpu_run_to_sync(vcpu, 2);
	trace_end();
	vcpu_run_to_end(vcpu);
	vm_destroy(&vm);
	EQ(nr_trace_events, VIOLATIONS, "events");
	for (i = 0; i < nr_trace_events; i++)
		OK(strstr(trace_events[i], "VIOLATION"), "%s", trace_events[i]);
}

/* One event alone keeps them off the short loop. */
static void host_short(const char *event, const char *want)
{
	struct vcpu *vcpu;
	char path[64];
	struct vm vm;

	if (!is_droste())
		ksft_skip("not Droste");
	vm_create(&vm, KSFT_IRQCHIP);
	vcpu = vcpu_create(&vm, 0, guest_short);
	vcpu_run_to_sync(vcpu, 1);
	snprintf(path, sizeof(path), "droste/%s", event);
	trace_begin(path);
	vcpu_run_to_sync(vcpu, 2);
	trace_end();
	vcpu_run_to_end(vcpu);
	vm_destroy(&vm);
	EQ(nr_trace_events, 1, "events");
	if (nr_trace_events)
		OK(strstr(trace_events[0], want), "%s; expected: %s", trace_events[0], want);
}

static void host_eoi(void)
{
	host_short("droste_mmio", ": write gpa 0xfee000b0 len 4 value 0x0");
}

static void host_deadline(void)
{
	host_short("droste_msr", ": WRMSR 0x6e0 data 0x0");
}

/* --- barriers --- */

#define STORM	200ul

static volatile u64 stormed[2];

static void storm(int i)
{
	for (; stormed[i] < STORM; stormed[i]++)
		asm volatile("wbinvd" : : : "memory");
	g_done();
}

static void guest_storm0(void)
{
	storm(0);
}

static void guest_storm1(void)
{
	storm(1);
}

static void l2_wbinvd(void)
{
	for (;;)
		asm volatile("wbinvd" : : : "memory");
}

static void guest_barriers(void)
{
	vmcs_new(l2_wbinvd);
	need_secondary(SEC_WBINVD, "no WBINVD exiting");
	g_sync(1);
	vmx_expect(R_WBINVD, "WBINVD");
	g_sync(2);
}

/* The events that begin a WBINVD's or end it, by their first word. */
static u64 barrier_events(const char *what)
{
	char text[32];
	u64 n = 0;

	snprintf(text, sizeof(text), ": %s barrier ", what);
	for (int i = 0; i < nr_trace_events; i++)
		n += !!strstr(trace_events[i], text);
	return n;
}

/* One barrier of L2 that waits for its release, then those of two vCPUs of an L1 while memory is logged. */
static void host_barriers(void)
{
	struct droste_barrier exits = { .flags = DROSTE_BARRIER_EXITS };
	struct vcpu *vcpu, of;
	pthread_t thread;
	struct vm vm;
	u64 seq = 1;

	if (!is_droste())
		ksft_skip("not Droste");
	vcpu = vmx_vm(&vm, guest_barriers);
	vcpu_run_to_sync(vcpu, 1);
	DO(vm.fd, DROSTE_SET_BARRIER, &exits);
	trace_begin("droste/droste_barrier");
	EQ(vcpu_run_once(vcpu), 0, "KVM_RUN");
	EQ(vcpu->run->exit_reason, DROSTE_EXIT_BARRIER, "the exit");
	DO(vm.fd, DROSTE_RELEASE_BARRIER, &seq);
	vcpu_run_to_sync(vcpu, 2);
	trace_end();
	vm_destroy(&vm);
	EQ(nr_trace_events, 2, "events of L2");
	OK(has_words(trace_events[0], "droste_barrier: L2 begun barrier 1"), "%s", trace_events[0]);
	OK(has_words(trace_events[1], "droste_barrier: L2 held barrier 1"), "%s", trace_events[1]);

	vm_create(&vm, 0);
	vm_slot(&vm, 0, KVM_MEM_LOG_DIRTY_PAGES, 0, MEM_SIZE, vm.mem);
	vcpu = vcpu_create(&vm, 0, guest_storm0);
	trace_begin("droste/droste_barrier");
	vcpu_thread(vcpu_create(&vm, 1, guest_storm1), &thread);
	vcpu_run_to_end(vcpu);
	pthread_join(thread, NULL);
	trace_end();
	of = (struct vcpu) { .fd = vm.fd };
	EQ(barrier_events("complete"), stat(&of, "wbinvd_barriers"), "barriers");
	EQ(barrier_events("merged"), stat(&of, "wbinvd_merged"), "WBINVDs that were part of one");
	EQ(barrier_events("begun"), stat(&of, "wbinvd_barriers"), "that were begun");
	EQ(nr_trace_events, barrier_events("begun") + 2 * STORM, "events of L1");
	vm_destroy(&vm);
}

static const struct ksft_test tests[] = {
	{ "the events of a short life", .host = host_life },
	{ "events and counters", .host = host_many },
	{ "droste_mmio alone has an EOI", .host = host_eoi },
	{ "droste_msr alone has a deadline", .host = host_deadline },
	{ "droste_ept02 alone has all violations", .host = host_violations },
	{ "droste_barrier tells what becomes of a WBINVD", .host = host_barriers },
};
KSFT_MAIN(tests)
