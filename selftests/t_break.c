// SPDX-License-Identifier: GPL-2.0
/* DROSTE_BREAK: a vCPU stands at an exit that was chosen, can be looked at, and goes on as if nothing had happened. */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/droste.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "inspect.h"
#include "save.h"
#include "vm.h"
#include "vmx.h"

#define CPUIDS		10	/* that L2 executes before it calls L1 */
#define NTH		3
#define PATIENCE	60	/* seconds that a step may take */

static volatile u64 l1_count, l2_count, endless;
extern char cpuid_at[];

static void l2_counts(void)
{
	while (endless || l2_count < CPUIDS) {
		l2_count++;
		asm volatile(".globl cpuid_at\ncpuid_at:\n\tcpuid" : : "a" (0), "c" (0) : "rbx", "rdx", "memory");
	}
	asm volatile("vmcall");
}

static void guest_counts(void)
{
	vmcs_new(l2_counts);
	while (vmx_run() == R_CPUID) {
		l1_count++;
		vmx_skip();
	}
	g_sync(1);
}

static const struct droste_match reflected_cpuid = {
	.flags = DROSTE_MATCH_LEVEL | DROSTE_MATCH_REASON | DROSTE_MATCH_TO, .level = 2, .reason = R_CPUID, .to = 1,
};

/* The thread of the vCPU, until the guest calls. Signals make KVM_RUN fail. */
static volatile int interrupted;

static void *runner(void *arg)
{
	struct vcpu *vcpu = arg;

	while (ioctl(vcpu->fd, KVM_RUN, 0) < 0) {
		MUST(errno == EINTR, "KVM_RUN: %s", strerror(errno));
		interrupted++;
	}
	EQ(vcpu->run->exit_reason, KVM_EXIT_IO, "the guest's call");
	return NULL;
}

static pthread_t start(struct vcpu *vcpu)
{
	pthread_t thread;

	MUST(!pthread_create(&thread, NULL, runner, vcpu), "thread");
	return thread;
}

static void joins(pthread_t thread)
{
	struct timespec end;

	clock_gettime(CLOCK_REALTIME, &end);
	end.tv_sec += PATIENCE;
	MUST(!pthread_timedjoin_np(thread, NULL, &end), "the vCPU goes on");
}

static bool polls(int fd, int ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, ms) == 1 && (p.revents & POLLIN);
}

static u32 vcpu_flags(int fd)
{
	struct droste_vcpu_info info = { .vcpu = 0 };

	DO(fd, DROSTE_VCPU_INFO, &info);
	return info.flags;
}

/* The vCPU stands at L2's CPUID number @n; L1 has been shown those before. */
static void stands_at(struct vm *vm, int fd, u64 n)
{
	MUST(polls(fd, PATIENCE * 1000), "a vCPU stands");
	EQ(vcpu_flags(fd) & (DROSTE_VCPU_STANDS | DROSTE_VCPU_RUNS), DROSTE_VCPU_STANDS | DROSTE_VCPU_RUNS, "it is this one");
	EQ(GUEST(vm, l2_count), n, "CPUIDs of L2");
	EQ(GUEST(vm, l1_count), n - 1, "those that L1 has seen");
}

static struct droste_last_exit last_exit(int fd)
{
	struct droste_last_exit e = { .vcpu = 0 };

	DO(fd, DROSTE_GET_EXIT, &e);
	return e;
}

/* What can be looked at is this very exit, before anything was done about it. */
static void look(int fd)
{
	struct droste_last_exit e = last_exit(fd);

	EQ(e.reason, R_CPUID, "reason");
	EQ(e.flags, DROSTE_EXIT_L2 | DROSTE_EXIT_RIP, "flags: L1 was not shown it yet");
	EQ(e.rip, (u64)cpuid_at, "RIP");
	EQ(e.to, 1, "to L1");
	EQ(e.why, 0, "always");
	EQ(last_exit(fd).seq, e.seq, "it is still that exit");
	EQ(get_vmcs(fd, DROSTE_VMCS02), 0, "VMCS02");
	EQ(value(F_RIP), (u64)cpuid_at, "RIP in VMCS02");
	EQ(value(F_REASON), R_CPUID, "exit reason in VMCS02");
	EQ(get_vmcs(fd, DROSTE_VMCS12), 0, "VMCS12");
	EQ(value(F_RIP), (u64)cpuid_at, "RIP in VMCS12");
	EQ(get_vmcs(fd, DROSTE_VMCS01), 0, "VMCS01");
}

/* All went on as without breakpoints. */
static void ends(struct vm *vm, pthread_t thread, int fd)
{
	struct droste_vcpu_info info = { .vcpu = 0 };

	joins(thread);
	EQ(GUEST(vm, l2_count), CPUIDS, "CPUIDs of L2");
	EQ(GUEST(vm, l1_count), CPUIDS, "CPUIDs that L1 was shown");
	DO(fd, DROSTE_VCPU_INFO, &info);
	EQ(info.exits.from_l2[R_CPUID], CPUIDS, "exits of L2 that were counted");
	EQ(info.exits.reflected[R_CPUID], CPUIDS, "those that L1 got");
	EQ(info.flags & DROSTE_VCPU_STANDS, 0, "it does not stand");
	EQ(polls(fd, 0), false, "nothing to poll for");
}

static void host_nth(void)
{
	struct droste_match m = reflected_cpuid;
	struct vcpu *vcpu;
	pthread_t thread;
	struct vm vm;
	int fd, other;

	vcpu = vmx_vm(&vm, guest_counts);
	fd = inspect_mine(&vm);
	other = inspect_mine(&vm);
	m.nth = NTH;
	DO(fd, DROSTE_BREAK, &m);
	EQ(polls(fd, 0), false, "nothing stands yet");
	thread = start(vcpu);
	stands_at(&vm, fd, NTH);
	look(other);
	usleep(200000);
	stands_at(&vm, other, NTH);
	FAILS(other, DROSTE_BREAK, &m, EBUSY);
	FAILS(other, DROSTE_CONT, 0, ENOENT);
	stands_at(&vm, fd, NTH);
	DO(fd, DROSTE_CONT, 0);
	ends(&vm, thread, fd);
	close(fd);
	DO(other, DROSTE_BREAK, &m);
	close(other);
	vm_destroy(&vm);
}

/* Each match; then another one, by address and number, which replaces the first; then the descriptor is closed. */
static void host_each(void)
{
	struct droste_match m = { .flags = DROSTE_MATCH_VCPU | DROSTE_MATCH_RIP | DROSTE_MATCH_WHY | DROSTE_MATCH_SEQ };
	struct vcpu *vcpu;
	pthread_t thread;
	struct vm vm;
	int fd, other;
	u64 n;

	vcpu = vmx_vm(&vm, guest_counts);
	fd = inspect_mine(&vm);
	other = inspect_mine(&vm);
	DO(fd, DROSTE_BREAK, &reflected_cpuid);
	thread = start(vcpu);
	for (n = 1; n < 4; n++) {
		stands_at(&vm, fd, n);
		DO(fd, DROSTE_CONT, 0);
	}
	stands_at(&vm, fd, n);
	m.rip_first = m.rip_last = (u64)cpuid_at;
	m.seq_first = last_exit(fd).seq + 1;
	m.seq_last = ~0ull;
	m.nth = 2;
	DO(fd, DROSTE_BREAK, &m);
	stands_at(&vm, fd, n + 2);
	look(fd);
	close(fd);
	ends(&vm, thread, other);
	close(other);
	vm_destroy(&vm);
}

/* A VMCALL of L2, which L0 might handle itself, is L1's while it stands. */
static void host_vmcall(void)
{
	static const struct droste_match m = { .flags = DROSTE_MATCH_LEVEL | DROSTE_MATCH_REASON, .level = 2, .reason = R_VMCALL };
	struct droste_last_exit e;
	struct vcpu *vcpu;
	pthread_t thread;
	struct vm vm;
	int fd;

	vcpu = vmx_vm(&vm, guest_counts);
	fd = inspect_mine(&vm);
	DO(fd, DROSTE_BREAK, &m);
	thread = start(vcpu);
	MUST(polls(fd, PATIENCE * 1000), "a vCPU stands");
	e = last_exit(fd);
	EQ(e.reason, R_VMCALL, "reason");
	EQ(e.to, 1, "to L1");
	EQ(e.why, 0, "always");
	DO(fd, DROSTE_CONT, 0);
	ends(&vm, thread, fd);
	close(fd);
	vm_destroy(&vm);
}

static void l2_cpuid(void)
{
	asm volatile("cpuid" : : "a" (0), "c" (0) : "rbx", "rdx");
}

/* Exits and entries go the short way. */
static void guest_hot(void)
{
	vmcs_usual(l2_cpuid, g_page(), ept_new());
	vmx_expect(R_CPUID, "the first CPUID");
	vmx_skip();
	hot_spin(1ul << 40);
}

static u64 cpuids(int fd)
{
	struct droste_vcpu_info info = { .vcpu = 0 };

	DO(fd, DROSTE_VCPU_INFO, &info);
	return info.exits.from_l2[R_CPUID];
}

/* Exits that go the short way do not while there is a match, even if the guest is in the short loop already. */
static void host_running(void)
{
	struct vcpu *vcpu;
	struct vm vm;
	int fd, i;
	u64 n;

	vcpu = vmx_vm(&vm, guest_hot);
	fd = inspect_mine(&vm);
	start(vcpu);
	for (i = 0; i < 10000 && cpuids(fd) < 100; i++)
		usleep(100);
	MUST(cpuids(fd) >= 100, "L2 runs");
	DO(fd, DROSTE_BREAK, &reflected_cpuid);
	MUST(polls(fd, PATIENCE * 1000), "a vCPU stands");
	n = cpuids(fd);
	for (i = 0; i < 5; i++, n++) {
		MUST(polls(fd, PATIENCE * 1000), "a vCPU stands");
		EQ(cpuids(fd), n, "CPUIDs of L2");
		EQ(last_exit(fd).reason, R_CPUID, "reason");
		DO(fd, DROSTE_CONT, 0);
	}
	/* The thread ends with the process. */
}

static void nothing(int sig)
{
}

static void host_signal(void)
{
	struct sigaction action = { .sa_handler = nothing };
	struct vcpu *vcpu;
	pthread_t thread;
	struct vm vm;
	int fd, other, i;

	vcpu = vmx_vm(&vm, guest_counts);
	fd = inspect_mine(&vm);
	other = inspect_mine(&vm);
	sigaction(SIGUSR1, &action, NULL);
	DO(fd, DROSTE_BREAK, &reflected_cpuid);
	thread = start(vcpu);
	stands_at(&vm, fd, 1);
	EQ(interrupted, 0, "KVM_RUN goes on");
	pthread_kill(thread, SIGUSR1);
	for (i = 0; i < PATIENCE * 1000 && !interrupted; i++)
		usleep(1000);
	EQ(interrupted, 1, "KVM_RUN was interrupted");
	for (i = 0; i < PATIENCE * 1000 && !(polls(fd, 0) && GUEST(&vm, l2_count) == 2); i++)
		usleep(1000);
	stands_at(&vm, fd, 2);
	look(fd);
	close(fd);
	ends(&vm, thread, other);
	close(other);
	vm_destroy(&vm);
}

/* --- the end of the VM's process --- */

static int inspect_child(struct vm *vm, pid_t pid)
{
	struct droste_vm_info info = { .number = 0 };
	int fd;

	for (fd = inspect(vm, 0, DROSTE_NEXT); fd >= 0; fd = inspect(vm, info.number, DROSTE_NEXT)) {
		DO(fd, DROSTE_VM_INFO, &info);
		if (info.pid == pid && info.nr_vcpus)
			return fd;
		close(fd);
	}
	return -1;
}

static void run_endless(void)
{
	struct vcpu *vcpu;
	struct vm vm;

	vcpu = vmx_vm(&vm, guest_counts);
	GUEST(&vm, endless) = 1;
	runner(vcpu);
	_exit(1);
}

static void host_kill(void)
{
	struct droste_vm_info info;
	int fd = -1, i, status;
	struct vm vm;
	pid_t pid;

	vmx_vm(&vm, guest_counts);
	close(inspect_mine(&vm));	/* skips this if it is not Droste */
	pid = fork();
	MUST(pid >= 0, "fork");
	if (!pid)
		run_endless();
	for (i = 0; i < PATIENCE * 100 && fd < 0; i++) {
		usleep(10000);
		fd = inspect_child(&vm, pid);
	}
	MUST(fd >= 0, "the child's VM");
	DO(fd, DROSTE_BREAK, &reflected_cpuid);
	MUST(polls(fd, PATIENCE * 1000), "a vCPU stands");
	EQ(last_exit(fd).reason, R_CPUID, "reason");
	EQ(waitpid(pid, &status, WNOHANG), 0, "the child is there");
	kill(pid, SIGKILL);
	for (i = 0; i < PATIENCE * 100 && !waitpid(pid, &status, WNOHANG); i++)
		usleep(10000);
	MUST(i < PATIENCE * 100, "the child ends");
	EQ(WTERMSIG(status), SIGKILL, "by SIGKILL");
	EQ(vcpu_flags(fd) & (DROSTE_VCPU_STANDS | DROSTE_VCPU_RUNS), 0, "nothing stands");
	EQ(polls(fd, 0), false, "nothing to poll for");
	DO(fd, DROSTE_VM_INFO, &info);
	EQ(info.flags, DROSTE_VM_CLOSED, "only this keeps the VM");
	DO(fd, DROSTE_CONT, 0);
	close(fd);
	vm_destroy(&vm);
}

/* --- errors --- */

static const struct droste_match bad[] = {
	{ .flags = DROSTE_MATCH_SEQ << 1 },
	{ .flags = 1u << 31 },
	{ .reserved = { 1 } },
	{ .reserved = { 0, 0, 0, 1 } },
	{ .flags = DROSTE_MATCH_VCPU, .vcpu = 1 },
	{ .flags = DROSTE_MATCH_VCPU, .vcpu = ~0u },
	{ .flags = DROSTE_MATCH_LEVEL },
	{ .flags = DROSTE_MATCH_LEVEL, .level = 3 },
	{ .flags = DROSTE_MATCH_REASON, .reason = DROSTE_NR_EXIT_REASONS },
	{ .flags = DROSTE_MATCH_REASON, .reason = R_CPUID | R_FAILED_ENTRY },
	{ .flags = DROSTE_MATCH_TO, .to = 2 },
	{ .flags = DROSTE_MATCH_WHY, .why = 255 },
	{ .flags = DROSTE_MATCH_RIP, .rip_first = 2, .rip_last = 1 },
	{ .flags = DROSTE_MATCH_SEQ, .seq_first = 1 },
	{ .vcpu = 1 }, { .level = 2 }, { .reason = 1 }, { .to = 1 }, { .why = 1 }, { .rip_last = 1 }, { .seq_last = 1 },
};

static void host_errors(void)
{
	struct vcpu *vcpu;
	struct vm vm;
	u64 args[4];
	u32 i;
	int fd;

	vcpu = vmx_vm(&vm, guest_counts);
	fd = inspect_mine(&vm);
	FAILS(fd, DROSTE_CONT, 0, ENOENT);
	for (i = 0; i < ARRAY_SIZE(bad); i++)
		OK(ioctl(fd, DROSTE_BREAK, &bad[i]) < 0 && errno == EINVAL, "bad match %u", i);
	FAILS(fd, DROSTE_BREAK, 8, EFAULT);
	FAILS(fd, DROSTE_CONT, 0, ENOENT);
	/* What fails leaves no breakpoint behind. */
	vcpu_run_to_call(vcpu, args);
	EQ(GUEST(&vm, l1_count), CPUIDS, "CPUIDs that L1 was shown");
	close(fd);
	vm_destroy(&vm);
}

static const struct ksft_test tests[] = {
	{ "the nth reflected CPUID", .host = host_nth },
	{ "each match, another one, and closing", .host = host_each },
	{ "a VMCALL of L2", .host = host_vmcall },
	{ "a vCPU in the short loop", .host = host_running },
	{ "a signal", .host = host_signal },
	{ "the process is killed", .host = host_kill },
	{ "errors", .host = host_errors },
};
KSFT_MAIN(tests)
