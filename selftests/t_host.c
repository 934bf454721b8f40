// SPDX-License-Identifier: GPL-2.0
/*
 * What a VM exit destroys of the host's state (SDM 3C 28.5) and the host gets back: breakpoints, the LDT and its
 * selectors, IA32_DEBUGCTL. And what the host may do while a guest runs: grace periods, time accounting, kprobes.
 */
#define _GNU_SOURCE
#include <asm/ldt.h>
#include <asm/prctl.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/hw_breakpoint.h>
#include <linux/membarrier.h>
#include <linux/perf_event.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "guest.h"
#include "tracefs.h"
#include "vm.h"
#include "vmx.h"

static volatile u64 go, counter;

/* Makes the calling thread run on one processor only. Returns false if the processor does not exist. */
static bool pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	return !sched_setaffinity(0, sizeof(set), &set);
}

static void guest_syncs(void)
{
	u64 i;

	for (i = 1;; i++)
		g_sync(i);
}

/* --- hardware breakpoints (an exit sets DR7 to 0x400: SDM 28.5.1) --- */

static volatile u64 watched;

static u64 hits(int fd)
{
	u64 n = 0;

	MUST(read(fd, &n, sizeof(n)) == sizeof(n), "counter of the breakpoint: %s", strerror(errno));
	return n;
}

static void host_breakpoint(void)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_BREAKPOINT, .size = sizeof(attr), .bp_type = HW_BREAKPOINT_W,
		.bp_addr = (uintptr_t)&watched, .bp_len = HW_BREAKPOINT_LEN_8, .exclude_kernel = 1, .exclude_hv = 1,
	};
	struct vm vm;
	struct vcpu *vcpu;
	int fd, i;

	vm_create(&vm, 0);
	vcpu = vcpu_create(&vm, 0, guest_syncs);
	fd = syscall(SYS_perf_event_open, &attr, 0, -1, -1, 0);
	if (fd < 0)
		ksft_skip("no hardware breakpoints: %s", strerror(errno));
	watched = 1;
	EQ(hits(fd), 1, "writes seen before the first VM entry");
	for (i = 0; i < 5; i++) {
		vcpu_run_to_sync(vcpu, i + 1);
		watched = i;
		EQ(hits(fd), 2 + i, "writes seen after %d runs", i + 1);
	}
	close(fd);
	vm_destroy(&vm);
}

/* The guest writes the address that the host watches, and has breakpoints of its own. */
static void guest_has_breakpoints(void)
{
	u64 i;

	write_dr0((uintptr_t)&go);
	write_dr7(0x402 | 0xd0000);	/* DR0: writes, 4 bytes */
	for (i = 1;; i++) {
		watched = i;
		g_sync(i);
	}
}

static void host_breakpoint_beside_guests(void)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_BREAKPOINT, .size = sizeof(attr), .bp_type = HW_BREAKPOINT_W,
		.bp_addr = (uintptr_t)&watched, .bp_len = HW_BREAKPOINT_LEN_8, .exclude_kernel = 1, .exclude_hv = 1,
	};
	struct vm vm;
	struct vcpu *vcpu;
	int fd;

	vm_create(&vm, 0);
	vcpu = vcpu_create(&vm, 0, guest_has_breakpoints);
	fd = syscall(SYS_perf_event_open, &attr, 0, -1, -1, 0);
	if (fd < 0)
		ksft_skip("no hardware breakpoints: %s", strerror(errno));
	vcpu_run_to_sync(vcpu, 1);
	EQ(hits(fd), 0, "the guest's writes are not the host's");
	watched = 1;
	EQ(hits(fd), 1, "the host's breakpoint after the guest's");
	/* The guest runs with its own breakpoint again, and does not meet the host's. */
	vcpu_run_to_sync(vcpu, 2);
	watched = 2;
	EQ(hits(fd), 2, "the host's breakpoint after the guest's");
	close(fd);
	vm_destroy(&vm);
}

/* --- the LDT (an exit makes LDTR null, and FS and GS get selectors with RPL 0 and TI 0: SDM 27.2.3, 28.5.2) --- */

#define LDT_SEL	7	/* entry 0 of the LDT, RPL 3 */
#define MAGIC	0x20f00d02

static int set_ldt(void *base)
{
	struct user_desc d = {
		.entry_number = 0, .base_addr = (uintptr_t)base, .limit = 0xfffff, .seg_32bit = 1, .limit_in_pages = 1,
		.useable = 1,
	};

	return syscall(SYS_modify_ldt, 1, &d, sizeof(d));
}

/* VERR: can the selector be read through? */
static bool readable(u16 sel)
{
	bool yes;

	asm volatile("verr %1" : "=@ccz" (yes) : "r" (sel));
	return yes;
}

struct sels {
	u16 ds, es, fs, gs;
};

/* KVM_RUN with LDT selectors in all data segment registers. FS is the C library's, so all is done in one asm. */
static long run_with_ldt_sels(int fd, struct sels *sels)
{
	u64 fs_base;
	long ret;

	MUST(!syscall(SYS_arch_prctl, ARCH_GET_FS, &fs_base), "FS base");
	asm volatile("mov %w[sel], %%ds; mov %w[sel], %%es; mov %w[sel], %%gs; mov %w[sel], %%fs\n\t"
		     "syscall\n\t"
		     "mov %%ds, %%r8d; mov %%es, %%r9d; mov %%fs, %%r10d; mov %%gs, %%r12d\n\t"
		     "mov %%eax, %%r13d\n\t"
		     "xor %%eax, %%eax; mov %%eax, %%ds; mov %%eax, %%es\n\t"
		     "mov %[arch_prctl], %%eax; mov %[set_fs], %%edi; mov %[base], %%rsi; syscall\n\t"
		     "mov %%r8w, 0(%[out]); mov %%r9w, 2(%[out]); mov %%r10w, 4(%[out]); mov %%r12w, 6(%[out])\n\t"
		     "movslq %%r13d, %%rax"
		     : "=a" (ret)
		     : "a" (SYS_ioctl), "D" ((long)fd), "S" ((long)KVM_RUN), "d" (0l), [sel] "r" (LDT_SEL),
		       [base] "r" (fs_base), [out] "r" (sels), [arch_prctl] "i" (SYS_arch_prctl), [set_fs] "i" (ARCH_SET_FS)
		     : "rcx", "r11", "r8", "r9", "r10", "r12", "r13", "memory", "cc");
	return ret;
}

static void host_ldt(void)
{
	u32 *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0), val;
	struct sels sels;
	struct vm vm;
	struct vcpu *vcpu;
	int i;

	MUST(page != MAP_FAILED, "a page below 4 GiB");
	*page = MAGIC;
	vm_create(&vm, 0);
	vcpu = vcpu_create(&vm, 0, guest_syncs);
	if (set_ldt(page))
		ksft_skip("no modify_ldt(): %s", strerror(errno));
	MUST(readable(LDT_SEL), "the LDT is there before the first VM entry");
	for (i = 0; i < 3; i++) {
		vcpu_run_to_sync(vcpu, i + 1);
		OK(readable(LDT_SEL), "the LDT is there after KVM_RUN");
	}
	if (ksft_failures())
		return;
	EQ(run_with_ldt_sels(vcpu->fd, &sels), 0, "KVM_RUN with LDT selectors");
	EQ(sels.ds, LDT_SEL, "DS after KVM_RUN");
	EQ(sels.es, LDT_SEL, "ES after KVM_RUN");
	EQ(sels.fs, LDT_SEL, "FS after KVM_RUN");
	EQ(sels.gs, LDT_SEL, "GS after KVM_RUN");
	if (sels.gs == LDT_SEL) {
		asm volatile("mov %%gs:0, %0" : "=r" (val));
		EQ(val, MAGIC, "read through GS");
	}
	asm volatile("mov %0, %%gs" : : "r" (0));
	vm_destroy(&vm);
}

static void guest_waits(void)
{
	counter = 1;
	while (!go)
		relax();
	g_sync(1);
}

static void *installer(void *mem)
{
	volatile u64 *count = (void *)((u8 *)mem + (uintptr_t)&counter), *start = (void *)((u8 *)mem + (uintptr_t)&go);

	pin(1);
	while (!*count)
		sched_yield();
	MUST(!set_ldt(NULL), "modify_ldt(): %s", strerror(errno));
	*start = 1;
	return NULL;
}

/*
 * Another thread makes the process's first LDT while this one is in KVM_RUN. The kernel loads it by an IPI. KVM up to
 * 6.12 loses that LDT: it looks for one only when KVM_RUN begins.
 */
static void host_ldt_made_meanwhile(void)
{
	struct vm vm;
	struct vcpu *vcpu;
	pthread_t t;
	u64 entry;

	if (syscall(SYS_modify_ldt, 0, &entry, sizeof(entry)) < 0)
		ksft_skip("no modify_ldt(): %s", strerror(errno));
	pin(0);
	vm_create(&vm, 0);
	vcpu = vcpu_create(&vm, 0, guest_waits);
	OK(!readable(LDT_SEL), "no LDT at first");
	pthread_create(&t, NULL, installer, vm.mem);
	vcpu_run_to_sync(vcpu, 1);
	OK(readable(LDT_SEL), "the LDT is there after KVM_RUN");
	pthread_join(t, NULL);
	vm_destroy(&vm);
}

/* --- IA32_DEBUGCTL (an exit clears it: SDM 28.5.1) --- */

#define DEBUGCTL_BTF	2ul

static void host_debugctl(void)
{
	u64 want = DEBUGCTL_BTF, old, got = 0;
	struct vm vm;
	struct vcpu *vcpu;
	int fd = open("/dev/cpu/0/msr", O_RDWR), i;

	if (fd < 0)
		ksft_skip("no /dev/cpu/0/msr");
	if (pread(fd, &old, 8, MSR_DEBUGCTL) != 8 || pwrite(fd, &want, 8, MSR_DEBUGCTL) != 8)
		ksft_skip("IA32_DEBUGCTL cannot be written");
	if (pread(fd, &got, 8, MSR_DEBUGCTL) != 8 || got != want)
		ksft_skip("no IA32_DEBUGCTL");
	pin(0);
	vm_create(&vm, 0);
	vcpu = vcpu_create(&vm, 0, guest_syncs);
	for (i = 0; i < 3; i++) {
		pwrite(fd, &want, 8, MSR_DEBUGCTL);
		vcpu_run_to_sync(vcpu, i + 1);
		MUST(pread(fd, &got, 8, MSR_DEBUGCTL) == 8, "read IA32_DEBUGCTL");
		EQ(got, want, "the host's IA32_DEBUGCTL after run %d", i);
	}
	pwrite(fd, &old, 8, MSR_DEBUGCTL);
	vm_destroy(&vm);
}

/* --- grace periods of RCU --- */

static void guest_counts(void)
{
	while (!go)
		counter++;
}

static void *run_on_cpu0(void *arg)
{
	pin(0);
	vcpu_run_to_end(arg);
	return NULL;
}

/* Writes a setting of one character, and returns its old value; 0 if there is no such setting. */
static char write_char(const char *path, char c)
{
	int fd = open(path, O_RDWR);
	char old = 0;

	if (fd < 0)
		return 0;
	if (read(fd, &old, 1) != 1 || pwrite(fd, &c, 1, 0) != 1)
		old = 0;
	close(fd);
	return old;
}

/* The local timer interrupts that CPU 0 has had. */
static u64 timer_interrupts(void)
{
	FILE *f = fopen("/proc/interrupts", "r");
	unsigned long long n = 0;
	char line[1024];

	MUST(f, "/proc/interrupts");
	while (fgets(line, sizeof(line), f) && sscanf(line, " LOC: %llu", &n) != 1)
		;
	fclose(f);
	return n;
}

/*
 * membarrier(MEMBARRIER_CMD_GLOBAL) waits for a grace period. The vCPU's processor must take part in it at its
 * next tick, not only when RCU loses its patience after a tenth of a second.
 */
static void host_grace_periods(void)
{
	const int rounds = 4;
	char was = write_char("/sys/kernel/rcu_normal", '1');
	struct vm vm;
	struct vcpu *vcpu;
	u64 before, ticks;
	pthread_t t;
	int i;

	if (!pin(1))
		ksft_skip("one processor");
	/* A storm of the strict machine makes processors miss turns, so that the ticks of one say nothing of the other. */
	if (!access("/sys/module/lab_nmi", F_OK))
		ksft_skip("a storm delays the processors");
	vm_create(&vm, 0);
	vcpu = vcpu_create(&vm, 0, guest_counts);
	pthread_create(&t, NULL, run_on_cpu0, vcpu);
	while (!GUEST(&vm, counter))
		sched_yield();
	before = timer_interrupts();
	for (i = 0; i < rounds; i++)
		MUST(!syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0), "membarrier(): %s", strerror(errno));
	ticks = timer_interrupts() - before;
	ksft_diag("%llu timer interrupts of the vCPU's processor during %d grace periods", (unsigned long long)ticks, rounds);
	OK(ticks < rounds * 15, "%llu timer interrupts of the vCPU's processor during %d grace periods",
	   (unsigned long long)ticks, rounds);
	write_char("/sys/kernel/rcu_normal", was);
	GUEST(&vm, go) = 1;
	pthread_join(t, NULL);
	vm_destroy(&vm);
}

/* --- accounting of time --- */

/* The guest time of this process in clock ticks: field 43 of /proc/self/stat. */
static u64 guest_time(void)
{
	char line[1024], *p;
	FILE *f = fopen("/proc/self/stat", "r");
	int i;

	MUST(f && fgets(line, sizeof(line), f), "/proc/self/stat");
	fclose(f);
	p = strrchr(line, ')') + 2;	/* field 3 */
	for (i = 3; i < 43; i++)
		p = strchr(p, ' ') + 1;
	return strtoull(p, NULL, 10);
}

static void guest_works(void)
{
	u64 i;

	for (;;) {
		for (i = 0; i < 1000000; i++)
			asm volatile("");
		g_sync(1);
	}
}

static void host_guest_time(void)
{
	struct vm vm;
	struct vcpu *vcpu;
	int i;

	vm_create(&vm, 0);
	vcpu = vcpu_create(&vm, 0, guest_works);
	EQ(guest_time(), 0, "guest time before the first run");
	/* Some 400 million instructions at most; the time is counted in hundredths of a second. */
	for (i = 0; i < 200 && !guest_time(); i++)
		vcpu_run_to_sync(vcpu, 1);
	OK(guest_time(), "the process has used guest time");
	vm_destroy(&vm);
}

/* --- kprobes around the VM entry --- */

static u64 cr2_changes;

static void guest_cr2(void)
{
	u64 i;

	for (i = 0; i < 200; i++) {
		write_cr2(0x123456789000 + i * 0x1000);
		CPUID_REG(0, 0, a);
		if (read_cr2() != 0x123456789000 + i * 0x1000)
			cr2_changes++;
	}
	g_sync(cr2_changes);
}

/*
 * Probes in all functions of the module that the entry path calls or called. Each reads an address that faults, so
 * that the host's CR2 changes wherever a probe can be. Those that cannot be probed or do not exist are left out.
 */
static const char *const entry_path[] = {
	"vmx_flush_regs", "vmx_load_guest_dr", "vmx_restore_host_dr", "fpu_load_guest_xcr", "fpu_load_host_xcr",
	"fpu_assert", "vmx_snapshot_exit", "vmx_host_prepare", "vmx_save_vectoring",
};

static void host_probes(void)
{
	char line[128], file[64];
	int i, n = 0, err;
	struct vm vm;
	struct vcpu *vcpu;
	u64 args[4];

	if (access(TRACING "/kprobe_events", W_OK))
		ksft_skip("no kprobe events");
	vm_create(&vm, 0);
	vcpu = vcpu_create(&vm, 0, guest_cr2);
	for (i = 0; i < (int)ARRAY_SIZE(entry_path); i++) {
		snprintf(line, sizeof(line), "p:droste_test/p%d droste:%s x=+u0(\\0x1000):u8", i, entry_path[i]);
		if (trace_write("kprobe_events", line, O_APPEND))
			continue;
		snprintf(file, sizeof(file), "events/droste_test/p%d/enable", i);
		if (!trace_write(file, "1", 0))
			n++;
	}
	EQ(vcpu_run_to_call(vcpu, args), GCALL_SYNC, "the guest's call");
	EQ(args[0], 0, "changes of the guest's CR2, with %d probes", n);
	/* The code between the guest and the host's context must not be probed at all. (KVM has no such function.) */
	err = trace_write("kprobe_events", "p:droste_test/never droste:vmx_enter", O_APPEND);
	OK(err, "a probe in vmx_enter() is refused");
	trace_write("events/droste_test/enable", "0", 0);
	trace_write("kprobe_events", "", O_TRUNC);
	if (!n)
		ksft_skip("no function of the module can be probed");
	vm_destroy(&vm);
}

/* --- memory errors --- */

static volatile u64 sigbus_addr, sigbus_code, sigbus_count;

static void on_sigbus(int sig, siginfo_t *info, void *context)
{
	sigbus_addr = (uintptr_t)info->si_addr;
	sigbus_code = info->si_code;
	sigbus_count++;
}

static void guest_reads_page(void)
{
	u64 val;

	g_sync(1);
	try_read64(HEAP, &val);
	g_sync(val);
}

/*
 * The host has lost a page of the guest's memory. A guest that touches it makes the kernel send SIGBUS, as if the
 * thread had done so itself; user space can then raise a machine check in the guest.
 */
static void host_poisoned_page(void)
{
	struct sigaction sa = { .sa_sigaction = on_sigbus, .sa_flags = SA_SIGINFO };
	void *page;
	struct vm vm;
	struct vcpu *vcpu;
	u64 args[4];
	int i;

	sigaction(SIGBUS, &sa, NULL);
	vm_create(&vm, 0);
	vcpu = vcpu_create(&vm, 0, guest_reads_page);
	vcpu_run_to_sync(vcpu, 1);
	page = vm.mem + HEAP;
	*(volatile u64 *)page = MAGIC;
	if (madvise(page, 4096, MADV_HWPOISON))
		ksft_skip("no simulated memory errors: %s", strerror(errno));
	sigbus_count = 0;	/* madvise() may have sent one */
	for (i = 0; i < 3; i++) {
		EQ(vcpu_run_once(vcpu), -EINTR, "KVM_RUN is interrupted, try %d", i);
		EQ(sigbus_count, i + 1, "signals");
		EQ(sigbus_addr & ~4095ul, (uintptr_t)page, "the signal's address");
		EQ(sigbus_code, BUS_MCEERR_AR, "the signal's code");
	}
	/* User space replaces the page. */
	MUST(mmap(page, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == page, "new page");
	EQ(vcpu_run_to_call(vcpu, args), GCALL_SYNC, "the guest's call");
	EQ(args[0], 0, "content of the new page");
	vm_destroy(&vm);
}

/* --- the processor's bugs: on the lab's strict machine, which has these MSRs and counts barriers (docs/strict.md) --- */

enum lab_msr {
	LAB_POISON = 0x4c414200, LAB_ENTRIES = 0x4c414210, LAB_IBPB, LAB_L1D, LAB_VERW, LAB_SPEC_CTRL,
	LAB_SWITCHES, LAB_SWITCHES_IBPB,
};

static u64 lab_read(int fd, enum lab_msr msr)
{
	u64 val = 0;

	MUST(pread(fd, &val, 8, msr) == 8, "read MSR %#x", msr);
	return val;
}

static void lab_write(int fd, enum lab_msr msr, u64 val)
{
	MUST(pwrite(fd, &val, 8, msr) == 8, "write MSR %#x", msr);
}

static int lab_open(void)
{
	u64 val;
	int fd = open("/dev/cpu/0/msr", O_RDWR);

	pin(0);
	if (fd < 0 || pread(fd, &val, 8, LAB_ENTRIES) != 8)
		ksft_skip("the processor does not count barriers");
	lab_write(fd, LAB_ENTRIES, 0);
	return fd;
}

/* Does the host take measures against a bug, and do they include @how? */
static bool mitigated(const char *bug, const char *how)
{
	char line[256] = "";
	FILE *f;

	snprintf(line, sizeof(line), "/sys/devices/system/cpu/vulnerabilities/%s", bug);
	f = fopen(line, "r");
	if (!f || !fgets(line, sizeof(line), f))
		line[0] = 0;
	if (f)
		fclose(f);
	return !strncmp(line, "Mitigation", 10) && strstr(line, how);
}

#define FRESH_PAGES	64

static void guest_touches_pages(void)
{
	u64 i;

	for (i = 0; i < FRESH_PAGES; i++)
		*(volatile u8 *)(HEAP + (i << 12)) = 1;
	g_sync(1);
}

/* Each EPT violation makes the host read page tables and user memory, so that the next entry needs a flush. */
static void host_barriers(void)
{
	int fd = lab_open(), i;
	struct vm vm;
	struct vcpu *vcpu;

	vm_create(&vm, 0);
	/* Pages of 4 KiB, which fault one by one. */
	madvise(vm.mem, MEM_SIZE, MADV_NOHUGEPAGE);
	vcpu = vcpu_create(&vm, 0, guest_touches_pages);
	vcpu_run_to_sync(vcpu, 1);
	if (!lab_read(fd, LAB_ENTRIES))
		ksft_skip("the processor does not count barriers");
	if (mitigated("l1tf", "VMX"))
		OK(lab_read(fd, LAB_L1D) >= FRESH_PAGES, "%llu flushes of the L1 data cache for %d faults, %llu entries",
		   (unsigned long long)lab_read(fd, LAB_L1D), FRESH_PAGES, (unsigned long long)lab_read(fd, LAB_ENTRIES));
	if (mitigated("mds", "Clear CPU buffers"))
		EQ(lab_read(fd, LAB_VERW), lab_read(fd, LAB_ENTRIES), "entries with VERW");
	vm_destroy(&vm);
	/* Each new vCPU is a stranger to the processor, also if its memory is that of an old one. */
	lab_write(fd, LAB_ENTRIES, 0);
	for (i = 0; i < 10; i++) {
		vm_create(&vm, 0);
		vcpu = vcpu_create(&vm, 0, guest_syncs);
		vcpu_run_to_sync(vcpu, 1);
		vm_destroy(&vm);
	}
	if (mitigated("spectre_v2", "IBPB: conditional") || mitigated("spectre_v2", "IBPB: always-on"))
		OK(lab_read(fd, LAB_IBPB) >= 10, "%llu entries with IBPB for 10 new vCPUs",
		   (unsigned long long)lab_read(fd, LAB_IBPB));
	close(fd);
}

#define ROUNDS	200
#define MSR_SPEC_CTRL	0x48
#define MSR_PRED_CMD	0x49

static void l2_calls(void)
{
	for (;;)
		asm volatile("vmcall");
}

static void guest_enters_l2(void)
{
	u64 i;

	vmx_on();
	vmcs_new(l2_calls);
	vmx_expect(R_VMCALL, "L2");
	g_sync(1);
	for (i = 0; i < ROUNDS; i++) {
		vmx_skip();
		vmx_expect(R_VMCALL, "L2");
	}
	g_sync(2);
	for (i = 0; i < ROUNDS; i++)
		wrmsr(MSR_PRED_CMD, 1);
	g_sync(3);
	wrmsr(MSR_SPEC_CTRL, 3);		/* IBRS and STIBP; a host has one of them at most */
	g_sync(4);
	for (i = 0; i < ROUNDS; i++)
		CPUID_REG(0, 0, a);
	g_sync(5);
}

/*
 * An L1 with IBRS expects that L2's branch predictions do not reach it (CVE-2022-2196): each exit to L1 has an IBPB. Its
 * own IBPB between two L2s reaches the processor, and its IA32_SPEC_CTRL holds while it runs.
 */
static void host_nested_barriers(void)
{
	int fd = lab_open();
	u64 entries, ibpb, host;
	struct vcpu *vcpu;
	struct vm vm;

	vm_create(&vm, 0);
	if (!vm_has_vmx(&vm))
		ksft_skip("no VMX for guests");
	vcpu = vcpu_create(&vm, 0, guest_enters_l2);
	/* Linux uses none of the first Skylakes' microcode, which has no revision in the lab. */
	if (vcpu_set_msr(vcpu, MSR_SPEC_CTRL, 3))
		ksft_skip("no IBRS and STIBP for guests");
	vcpu_set_msr(vcpu, MSR_SPEC_CTRL, 0);
	vcpu_run_to_sync(vcpu, 1);
	lab_write(fd, LAB_ENTRIES, 0);
	vcpu_run_to_sync(vcpu, 2);
	OK(lab_read(fd, LAB_SWITCHES) >= 2 * ROUNDS, "%llu changes of the VMCS for %d rounds",
	   (unsigned long long)lab_read(fd, LAB_SWITCHES), ROUNDS);
	OK(lab_read(fd, LAB_SWITCHES_IBPB) >= ROUNDS, "%llu of them with IBPB",
	   (unsigned long long)lab_read(fd, LAB_SWITCHES_IBPB));

	/* Passed through, L1's IBPB causes no exit; each exit for it makes L0 execute it. */
	lab_write(fd, LAB_ENTRIES, 0);
	vcpu_run_to_sync(vcpu, 3);
	entries = lab_read(fd, LAB_ENTRIES);
	ibpb = lab_read(fd, LAB_IBPB);
	OK(entries < ROUNDS / 2 || ibpb >= ROUNDS, "%llu entries, %llu with IBPB, for %d of L1's IBPBs",
	   (unsigned long long)entries, (unsigned long long)ibpb, ROUNDS);

	vcpu_run_to_sync(vcpu, 4);
	MUST(pread(fd, &host, 8, MSR_SPEC_CTRL) == 8, "the host's IA32_SPEC_CTRL");
	lab_write(fd, LAB_ENTRIES, 0);
	vcpu_run_to_sync(vcpu, 5);
	if (host != 3)
		OK(lab_read(fd, LAB_SPEC_CTRL) >= ROUNDS, "%llu entries with a write of IA32_SPEC_CTRL, for %d exits",
		   (unsigned long long)lab_read(fd, LAB_SPEC_CTRL), ROUNDS);
	close(fd);
	vm_destroy(&vm);
}

/* A locked access across two cache lines, by a guest's kernel. The host's detection of them must not raise #AC there. */
static void guest_split_lock(void)
{
	volatile u32 *p = g_page() + 62;
	u64 fault;

	asm volatile(TRY("lock incl (%1)") "mov %%r11, %0" : "=r" (fault) : "r" (p) : "r11", "memory", "cc");
	G_EQ(fault, NO_FAULT, "a split lock at CPL 0");
	G_EQ(*p, 1, "the result");
}

/* The physical address of a page of this process; 0 if it is not known. */
static u64 physical(void *page)
{
	u64 entry = 0;
	int fd = open("/proc/self/pagemap", O_RDONLY);

	if (fd < 0 || pread(fd, &entry, 8, (uintptr_t)page / 4096 * 8) != 8)
		entry = 0;
	close(fd);
	return entry >> 63 ? (entry & (BIT(55) - 1)) << 12 : 0;
}

/* A memory error that the guest itself meets: a machine check, which costs the process its page and not the host its life. */
static void host_machine_check(void)
{
	struct sigaction sa = { .sa_sigaction = on_sigbus, .sa_flags = SA_SIGINFO };
	int fd = lab_open(), ret;
	struct vm vm;
	struct vcpu *vcpu;
	void *page;

	sigaction(SIGBUS, &sa, NULL);
	vm_create(&vm, 0);
	vcpu = vcpu_create(&vm, 0, guest_reads_page);
	vcpu_run_to_sync(vcpu, 1);
	page = vm.mem + HEAP;
	*(volatile u64 *)page = MAGIC;
	if (!lab_read(fd, LAB_ENTRIES) || !physical(page))
		ksft_skip("the processor has no memory errors");
	lab_write(fd, LAB_POISON, physical(page) | 1);
	ret = vcpu_run_once(vcpu);
	lab_write(fd, LAB_POISON, 0);
	EQ(ret, -EINTR, "KVM_RUN is interrupted");
	OK(sigbus_count, "SIGBUS");
	EQ(sigbus_addr & ~4095ul, (uintptr_t)page, "the signal's address");
	EQ(sigbus_code, BUS_MCEERR_AR, "the signal's code");
	close(fd);
	vm_destroy(&vm);
}

static const struct ksft_test tests[] = {
	{ .name = "the host's breakpoints", .host = host_breakpoint },
	{ .name = "the host's breakpoints beside the guest's", .host = host_breakpoint_beside_guests },
	{ .name = "LDT and its selectors", .host = host_ldt },
	{ .name = "an LDT made while the vCPU runs", .host = host_ldt_made_meanwhile },
	{ .name = "IA32_DEBUGCTL of the host", .host = host_debugctl },
	{ .name = "grace periods while a vCPU runs", .host = host_grace_periods },
	{ .name = "guest time", .host = host_guest_time },
	{ .name = "kprobes around the entry", .host = host_probes },
	{ .name = "a page with a memory error", .host = host_poisoned_page },
	{ .name = "barriers before entries", .host = host_barriers },
	{ .name = "barriers of L1 and L2", .host = host_nested_barriers },
	{ .name = "split locks", .guest = guest_split_lock },
	{ .name = "a machine check in the guest", .host = host_machine_check },
};

KSFT_MAIN(tests)
