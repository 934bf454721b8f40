// SPDX-License-Identifier: GPL-2.0
/* KVM_RUN: signals, immediate_exit, many vCPUs, memory that changes while they run, kill -9, CPU hotplug, debugging. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/rseq.h>
#include <sys/wait.h>
#include <unistd.h>
#include <linux/droste.h>
#include "guest.h"
#include "vm.h"

static volatile u64 counters[MAX_VCPUS], stop;

static void guest_forever(void)
{
	for (;;)
		counters[0]++;
}

static void on_signal(int sig)
{
}

static void host_signals(void)
{
	struct sigaction sa = { .sa_handler = on_signal };
	struct vm vm;
	struct vcpu *vcpu;
	sigset_t all, old;
	struct {
		struct kvm_signal_mask head;
		u64 set;
	} mask = { .head.len = 8, .set = 0 };
	int i;

	sigaction(SIGUSR1, &sa, NULL);
	vm_create(&vm, 0);
	vcpu = vcpu_create(&vm, 0, guest_forever);
	vcpu->run->immediate_exit = 1;
	EQ(vcpu_run_once(vcpu), -EINTR, "immediate_exit");
	EQ(GUEST(&vm, counters)[0], 0, "nothing ran");
	vcpu->run->immediate_exit = 0;
	/* A signal that the thread blocks but the vCPU's mask does not: if it is pending, the guest does not run. */
	sigemptyset(&all);
	sigaddset(&all, SIGUSR1);
	sigprocmask(SIG_BLOCK, &all, &old);
	DO(vcpu->fd, KVM_SET_SIGNAL_MASK, &mask);
	for (i = 0; i < 10; i++) {
		raise(SIGUSR1);
		EQ(vcpu_run_once(vcpu), -EINTR, "a signal pending");
		EQ(vcpu->run->exit_reason, KVM_EXIT_INTR, "exit reason");
		sigtimedwait(&all, NULL, &(struct timespec) { 0 });
	}
	/* Sent while the guest runs, a signal whose default action is to kill ends KVM_RUN, not the process. */
	signal(SIGUSR1, SIG_DFL);
	EQ(vcpu_run_until_changed(vcpu, &GUEST(&vm, counters[0])), -EINTR, "a signal that only KVM_RUN unblocks");
	sigtimedwait(&all, NULL, &(struct timespec) { 0 });
	sigaction(SIGUSR1, &sa, NULL);
	DO(vcpu->fd, KVM_SET_SIGNAL_MASK, NULL);
	sigprocmask(SIG_SETMASK, &old, NULL);
	for (i = 0; i < 10; i++) {
		EQ(vcpu_run_until_changed(vcpu, &GUEST(&vm, counters[0])), -EINTR, "a signal while it runs");
		EQ(vcpu->run->exit_reason, KVM_EXIT_INTR, "exit reason");
	}
	mask.head.len = 4;
	FAILS(vcpu->fd, KVM_SET_SIGNAL_MASK, &mask, EINVAL);
	vm_destroy(&vm);
}

static void guest_work(void)
{
	u64 id = CPUID_REG(1, 0, b) >> 24, i;

	for (i = 0; i < 2000; i++) {
		counters[id]++;
		CPUID_REG(0, 0, a);
		if (i % 50 == 0)
			*(volatile u8 *)g_page() = i;
	}
}

static void host_many(void)
{
	struct vm vm;
	pthread_t t[MAX_VCPUS];
	int i;

	vm_create(&vm, KSFT_IRQCHIP);
	for (i = 0; i < MAX_VCPUS; i++) {
		struct kvm_mp_state mp = { .mp_state = KVM_MP_STATE_RUNNABLE };

		vcpu_create(&vm, i, guest_work);
		DO(vm.vcpu[i].fd, KVM_SET_MP_STATE, &mp);
	}
	for (i = 0; i < MAX_VCPUS; i++)
		vcpu_thread(&vm.vcpu[i], &t[i]);
	for (i = 0; i < MAX_VCPUS; i++)
		pthread_join(t[i], NULL);
	for (i = 0; i < MAX_VCPUS; i++)
		EQ(GUEST(&vm, counters)[i], 2000, "vCPU %d", i);
	vm_destroy(&vm);
}

/* Memory is dropped, and slots are created and deleted, while vCPUs run. */
static void guest_touch(void)
{
	volatile u64 *p = (u64 *)HEAP;
	u64 id = CPUID_REG(1, 0, b) >> 24, i = 0;

	while (!stop) {
		p[i % 512 * 512] = i;
		i++;
		counters[id]++;
	}
}

static void host_racing(void)
{
	struct vm vm;
	pthread_t t[2];
	void *more = mmap(NULL, 0x10000, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int i;

	vm_create(&vm, 0);
	for (i = 0; i < 2; i++) {
		vcpu_create(&vm, i, guest_touch);
		vcpu_thread(&vm.vcpu[i], &t[i]);
	}
	for (i = 0; i < 200; i++) {
		madvise(vm.mem + HEAP, 2ul << 20, MADV_DONTNEED);
		vm_slot(&vm, 3, 0, 0x40000000, 0x10000, more);
		mprotect(vm.mem + HEAP, 2ul << 20, PROT_READ | PROT_WRITE);
		vm_slot(&vm, 3, 0, 0x40000000, 0, NULL);
		sched_yield();
	}
	GUEST(&vm, stop) = 1;
	for (i = 0; i < 2; i++)
		pthread_join(t[i], NULL);
	vm_destroy(&vm);
}

static void host_kill(void)
{
	int i, status;

	for (i = 0; i < 10; i++) {
		pid_t pid = fork();

		if (!pid) {
			struct vm vm;
			pthread_t t[2];

			vm_create(&vm, i & 1 ? KSFT_IRQCHIP : 0);
			vcpu_create(&vm, 0, guest_forever);
			vcpu_create(&vm, 1, guest_forever);
			vcpu_thread(&vm.vcpu[0], &t[0]);
			vcpu_thread(&vm.vcpu[1], &t[1]);
			pause();
		}
		usleep(i * 4000);
		kill(pid, SIGKILL);
		waitpid(pid, &status, 0);
		OK(WIFSIGNALED(status), "killed");
	}
}

/* One thread closes the vCPU's and the VM's descriptors while another is in KVM_RUN. */
static void host_close_running(void)
{
	struct sigaction sa = { .sa_handler = on_signal };
	struct vm vm;
	pid_t pid;
	int status;

	sigaction(SIGUSR1, &sa, NULL);
	pid = fork();
	if (!pid) {
		pthread_t t;

		vm_create(&vm, KSFT_IRQCHIP);
		vcpu_create(&vm, 0, guest_forever);
		vcpu_thread(&vm.vcpu[0], &t);
		usleep(5000);
		close(vm.vcpu[0].fd);
		close(vm.fd);
		munmap(vm.mem, MEM_SIZE);
		usleep(5000);
		_exit(0);
	}
	waitpid(pid, &status, 0);
	/* The guest has lost its memory, so its thread may fail first. */
	OK(WIFEXITED(status), "the process ends");
}

static int write_online(int cpu, char c)
{
	char path[64];
	int fd, ret;

	snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%d/online", cpu);
	fd = open(path, O_WRONLY);
	if (fd < 0)
		return -1;
	ret = write(fd, &c, 1) == 1 ? 0 : -1;
	close(fd);
	return ret;
}

static void wait_until_changed(volatile u64 *counter)
{
	u64 before = *counter;

	while (*counter == before)
		usleep(100);
}

static void host_hotplug(void)
{
	struct vm vm;
	pthread_t t[2];
	int i;

	if (sysconf(_SC_NPROCESSORS_ONLN) < 2)
		ksft_skip("one processor");
	vm_create(&vm, 0);
	for (i = 0; i < 2; i++) {
		vcpu_create(&vm, i, guest_touch);
		vcpu_thread(&vm.vcpu[i], &t[i]);
	}
	for (i = 0; i < 5; i++) {
		if (write_online(1, '0'))
			ksft_skip("processors cannot be taken offline");
		/* Both vCPUs keep running while a processor is offline and after its return; otherwise this hangs. */
		wait_until_changed(&GUEST(&vm, counters[0]));
		wait_until_changed(&GUEST(&vm, counters[1]));
		MUST(!write_online(1, '1'), "processor online");
		wait_until_changed(&GUEST(&vm, counters[0]));
		wait_until_changed(&GUEST(&vm, counters[1]));
	}
	GUEST(&vm, stop) = 1;
	for (i = 0; i < 2; i++)
		pthread_join(t[i], NULL);
	vm_destroy(&vm);
}

/*
 * A vCPU in a PAUSE loop exits now and then, to yield its processor. Each exit doubles how long it may spin, unless another
 * task wants the processor: 200,000 PAUSEs take a handful of exits.
 */
static void guest_spins(void)
{
	u64 i;

	for (i = 0; i < 200000; i++)
		relax();
}

static void host_spins(void)
{
	struct {
		struct kvm_msrs head;
		struct kvm_msr_entry entry;
	} caps = { .head.nmsrs = 1, .entry.index = 0x48b };	/* IA32_VMX_PROCBASED_CTLS2 */
	struct droste_exit_stats stats;
	struct vm vm;
	struct vcpu *vcpu;

	vm_create(&vm, KSFT_IRQCHIP);
	EQ(ioctl(vm.dev, KVM_GET_MSRS, &caps), 1, "the processor's controls");
	if (!(caps.entry.data >> 32 & BIT(10)))
		ksft_skip("no PAUSE-loop exiting");
	vcpu = vcpu_create(&vm, 0, guest_spins);
	vcpu_create(&vm, 1, guest_spins);
	vcpu_run_to_end(vcpu);
	DO(vcpu->fd, DROSTE_GET_EXIT_STATS, &stats);
	OK(stats.exits[40] > 2 && stats.exits[40] < 200000, "exits for PAUSE loops, not for each PAUSE");
	vm_destroy(&vm);
}

/* Single steps and breakpoints of a debugger in user space. */
extern char debug_here[], debug_next[], debug_int3[];

static void guest_debugged(void)
{
	asm volatile("debug_here: nop\n debug_next: nop; nop\n debug_int3: int3" : : : "memory");
}

static void host_debug(void)
{
	struct vm vm;
	struct vcpu *vcpu;
	struct kvm_guest_debug d = { .control = KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_USE_HW_BP };

	vm_create(&vm, 0);
	vcpu = vcpu_create(&vm, 0, guest_debugged);
	d.arch.debugreg[0] = (u64)debug_here;
	d.arch.debugreg[7] = 0x401;
	DO(vcpu->fd, KVM_SET_GUEST_DEBUG, &d);
	EQ(vcpu_run_once(vcpu), 0, "run");
	EQ(vcpu->run->exit_reason, KVM_EXIT_DEBUG, "breakpoint");
	EQ(vcpu->run->debug.arch.pc, (u64)debug_here, "its address");
	EQ(vcpu->run->debug.arch.exception, 1, "#DB");
	EQ(vcpu->run->debug.arch.dr6 & 1, 1, "DR6");
	memset(&d, 0, sizeof(d));
	d.control = KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_SINGLESTEP;
	DO(vcpu->fd, KVM_SET_GUEST_DEBUG, &d);
	EQ(vcpu_run_once(vcpu), 0, "run");
	EQ(vcpu->run->exit_reason, KVM_EXIT_DEBUG, "single step");
	EQ(vcpu->run->debug.arch.pc, (u64)debug_next, "its address");
	EQ(vcpu->run->debug.arch.dr6 & BIT(14), BIT(14), "DR6");
	d.control = KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_USE_SW_BP;
	DO(vcpu->fd, KVM_SET_GUEST_DEBUG, &d);
	EQ(vcpu_run_once(vcpu), 0, "run");
	EQ(vcpu->run->exit_reason, KVM_EXIT_DEBUG, "INT3");
	EQ(vcpu->run->debug.arch.pc, (u64)debug_int3, "its address");
	EQ(vcpu->run->debug.arch.exception, 3, "#BP");
	vm_destroy(&vm);
}

static volatile u64 irqs;

static void on_irq(struct trap_regs *r)
{
	irqs++;
	apic_eoi();
}

static void guest_stepped(void)
{
	g_trap_fn[0x41] = on_irq;
	apic_enable();
	cli();
	apic_icr(0, 0x41 | 1 << 18);
	g_sync(1);
	asm volatile("sti\n step_1: nop\n step_2: nop\n step_3: nop\n step_4: nop" : : : "memory");
	g_sync(2);
}

/* An interrupt is pending all the time and is not delivered while the debugger steps. */
static void host_step_without_irqs(void)
{
	extern char step_1[];
	struct kvm_guest_debug d = {
		.control = KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_SINGLESTEP | KVM_GUESTDBG_BLOCKIRQ,
	};
	struct vm vm;
	struct vcpu *vcpu;
	u64 at, n;

	vm_create(&vm, KSFT_IRQCHIP);
	OK(ioctl(vm.fd, KVM_CHECK_EXTENSION, KVM_CAP_SET_GUEST_DEBUG2) & KVM_GUESTDBG_BLOCKIRQ, "capability");
	vcpu = vcpu_create(&vm, 0, guest_stepped);
	vcpu_run_to_sync(vcpu, 1);
	DO(vcpu->fd, KVM_SET_GUEST_DEBUG, &d);
	for (at = 0, n = 0; at != (u64)step_1 + 3 && n < 100; n++) {
		EQ(vcpu_run_once(vcpu), 0, "run");
		MUST(vcpu->run->exit_reason == KVM_EXIT_DEBUG, "a step");
		at = vcpu->run->debug.arch.pc;
		EQ(GUEST(&vm, irqs), 0, "interrupts");
	}
	EQ(at, (u64)step_1 + 3, "instructions after STI");
	memset(&d, 0, sizeof(d));
	DO(vcpu->fd, KVM_SET_GUEST_DEBUG, &d);
	vcpu_run_to_sync(vcpu, 2);
	EQ(GUEST(&vm, irqs), 1, "interrupts");
	vm_destroy(&vm);
}

static void guest_starts_other(void)
{
	apic_enable();
	apic_icr(1, 0x4500);
	apic_icr(1, 0x4600 | LOW_CODE >> 12);
}

/* INIT resets the vCPU, but not the debugger's settings. */
static void host_debug_init(void)
{
	struct kvm_guest_debug d = { .control = KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_USE_HW_BP };
	struct vcpu *vcpu, *other;
	struct vm vm;
	int ret;

	vm_create(&vm, KSFT_IRQCHIP);
	vcpu = vcpu_create(&vm, 0, guest_starts_other);
	other = vcpu_create(&vm, 1, NULL);
	d.arch.debugreg[0] = LOW_CODE;
	d.arch.debugreg[7] = 0x401;
	DO(other->fd, KVM_SET_GUEST_DEBUG, &d);
	vcpu_run_to_end(vcpu);
	do
		ret = vcpu_run_once(other);
	while (ret == -EAGAIN);
	EQ(ret, 0, "run");
	EQ(other->run->exit_reason, KVM_EXIT_DEBUG, "breakpoint");
	EQ(other->run->debug.arch.pc, LOW_CODE, "its address");
	vm_destroy(&vm);
}

/* --- work that the kernel does before a return to user space --- */

static struct rseq *volatile runs_here;

static void *run_until_signal(void *fd)
{
	runs_here = (void *)((char *)__builtin_thread_pointer() + __rseq_offset);
	while (!ioctl((long)fd, KVM_RUN, 0))
		;
	return (void *)(long)errno;
}

/* A thread whose guest never exits is moved to other CPUs; the kernel must update its rseq CPU number. */
static void host_moved(void)
{
	struct sigaction sa = { .sa_handler = on_signal };
	volatile u64 *counter;
	struct vcpu *vcpu;
	pthread_t thread;
	cpu_set_t set;
	struct vm vm;
	void *err;
	u64 start;
	int i;

	if (sysconf(_SC_NPROCESSORS_ONLN) < 2 || !__rseq_size)
		ksft_skip("needs two CPUs and restartable sequences");
	sigaction(SIGUSR1, &sa, NULL);
	vm_create(&vm, 0);
	vcpu = vcpu_create(&vm, 0, guest_forever);
	counter = &GUEST(&vm, counters[0]);
	MUST(!pthread_create(&thread, NULL, run_until_signal, (void *)(long)vcpu->fd), "thread");
	while (!*counter)
		sched_yield();
	for (i = 0; i < 10; i++) {
		CPU_ZERO(&set);
		CPU_SET(i % 2, &set);
		MUST(!pthread_setaffinity_np(thread, sizeof(set), &set), "move it");
		start = *counter;
		while (*(volatile u32 *)&runs_here->cpu_id != (u32)(i % 2) && *counter - start < 20000000)
			sched_yield();
		EQ(runs_here->cpu_id, (u32)(i % 2), "CPU number in the thread's rseq area");
	}
	pthread_kill(thread, SIGUSR1);
	pthread_join(thread, &err);
	EQ((long)err, EINTR, "a signal with a handler ends KVM_RUN");
	vm_destroy(&vm);
}

static const struct ksft_test tests[] = {
	{ "signals and immediate_exit", .host = host_signals },
	{ "eight vCPUs", .host = host_many },
	{ "memory and slots change while vCPUs run", .host = host_racing },
	{ "a vCPU's thread is moved", .host = host_moved },
	{ "kill -9 while vCPUs run", .host = host_kill },
	{ "descriptors closed while a vCPU runs", .host = host_close_running },
	{ "processors go offline and online", .host = host_hotplug },
	{ "guest debugging", .host = host_debug },
	{ "single steps without interrupts", .host = host_step_without_irqs },
	{ "guest debugging and INIT", .host = host_debug_init },
	{ "a vCPU that spins", .host = host_spins },
};
KSFT_MAIN(tests)
