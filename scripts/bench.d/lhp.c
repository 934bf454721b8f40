// SPDX-License-Identifier: GPL-2.0
/*
 * Lock-holder preemption. Two vCPUs on one CPU hand a lock to each other. Each works with it for longer than a time slice,
 * and the other one spins with PAUSE at CPL 0 meanwhile. Prints how many PAUSEs were executed until all hand-overs were
 * done, and how many TSC cycles that took. On the lab's emulator, a TSC cycle is an instruction.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include "enter.h"
#include "l2.h"
#include "vm.h"
#include "vmx.h"

#define STEPS	10		/* turns with the lock of each vCPU, so that there are 20 hand-overs */
#define WORK	500000		/* iterations of two instructions in each: two and a half ticks of L0 */
#define GAP	128
#define WINDOW	4096		/* of an L1 that asks for exits of PAUSE loops */

/* KSFT needs the list of subtests to be there; there is none. */
const char *ksft_positional = "";

/* The lock belongs to the vCPU whose number this is. 2: the vCPUs are not ready yet. */
volatile u64 lock_of = 2;
volatile u64 pauses[2], steps[2];

static volatile u64 ready, l1_asks;

/*
 * What vCPU @me does. All that it needs is in memory while it spins, since an L1 that sees an exit because of PAUSE does not
 * keep L2's registers.
 */
#define BODY(me, other) \
	"1: cmpq $2, lock_of; je 1b\n" \
	"2: incq pauses + 8 * " #me "; pause; cmpq $" #me ", lock_of; jne 2b\n" \
	"mov $" WORK_TEXT ", %rcx\n3: dec %rcx; jnz 3b\n" \
	"movq $" #other ", lock_of\n" \
	"incq steps + 8 * " #me "; cmpq $" STEPS_TEXT ", steps + 8 * " #me "; jb 2b\n"
#define TEXT(x)		#x
#define AS_TEXT(x)	TEXT(x)
#define WORK_TEXT	AS_TEXT(WORK)
#define STEPS_TEXT	AS_TEXT(STEPS)

static void __attribute__((naked)) body0(void)
{
	asm volatile(BODY(0, 1) "ret");
}

static void __attribute__((naked)) body1(void)
{
	asm volatile(BODY(1, 0) "ret");
}

static void __attribute__((naked)) l2_body0(void)
{
	asm volatile(BODY(0, 1) "1: vmcall; jmp 1b");
}

static void __attribute__((naked)) l2_body1(void)
{
	asm volatile(BODY(1, 0) "1: vmcall; jmp 1b");
}

static void run_l1(void (*body)(void))
{
	__atomic_add_fetch(&ready, 1, __ATOMIC_SEQ_CST);
	body();
}

static void run_l2(void (*body)(void))
{
	u64 stack = 0, reason;
	bool launched = false;

	l2_prepare(body);
	if (l1_asks) {
		need_secondary(SEC_PLE, "no PAUSE-loop exiting for L1");
		vmwrite(F_PLE_GAP, GAP);
		vmwrite(F_PLE_WINDOW, WINDOW);
	}
	__atomic_add_fetch(&ready, 1, __ATOMIC_SEQ_CST);
	for (;;) {
		G_EQ(enter(!launched, &stack), 0, "entry");
		launched = true;
		reason = vmread(F_REASON);
		if (reason != R_PAUSE)
			break;
		vmwrite(F_RIP, vmread(F_RIP) + 2);
	}
	G_EQ(reason, R_VMCALL, "reason");
}

static void guest_l1_0(void) { run_l1(body0); }
static void guest_l1_1(void) { run_l1(body1); }
static void guest_l2_0(void) { run_l2(l2_body0); }
static void guest_l2_1(void) { run_l2(l2_body1); }

static u64 stat_at(struct vcpu *vcpu, const char *name, u32 n)
{
	struct kvm_stats_header h;
	struct kvm_stats_desc *d;
	u64 val = 0;
	u32 i, size;
	int fd = ioctl(vcpu->fd, KVM_GET_STATS_FD, 0);

	MUST(fd >= 0 && pread(fd, &h, sizeof(h), 0) == sizeof(h), "statistics");
	size = sizeof(*d) + h.name_size;
	d = malloc(size);
	for (i = 0; i < h.num_desc; i++)
		if (pread(fd, d, size, h.desc_offset + i * size) == size && !strcmp(d->name, name) && n < d->size)
			MUST(pread(fd, &val, 8, h.data_offset + d->offset + n * 8) == 8, "value");
	free(d);
	close(fd);
	return val;
}

static u64 both(struct vm *vm, const char *name, u32 n)
{
	return stat_at(&vm->vcpu[0], name, n) + stat_at(&vm->vcpu[1], name, n);
}

static void parameter(const char *name, const char *val)
{
	char path[80];
	int fd;

	snprintf(path, sizeof(path), "/sys/module/droste/parameters/%s", name);
	fd = open(path, O_WRONLY);
	MUST(fd >= 0 && write(fd, val, strlen(val)) > 0, "%s: %s", path, strerror(errno));
	close(fd);
}

/* Another task that wants the CPU all the time. */
static pid_t other_task(void)
{
	pid_t pid = fork();

	if (!pid)
		for (;;)
			asm volatile("");
	return pid;
}

static void measure(const char *level, const char *mode, unsigned int others)
{
	bool l2 = !strcmp(level, "l2");
	pthread_t threads[2];
	pid_t pids[8];
	struct vm vm;
	unsigned int i;
	u64 begin;

	vm_create(&vm, KSFT_IRQCHIP);
	MUST(!l2 || vm_has_vmx(&vm), "no VMX");
	vcpu_create(&vm, 0, l2 ? guest_l2_0 : guest_l1_0);
	vcpu_create(&vm, 1, l2 ? guest_l2_1 : guest_l1_1);
	GUEST(&vm, l1_asks) = !strcmp(mode, "both");
	for (i = 0; i < 2; i++)
		vcpu_thread(&vm.vcpu[i], &threads[i]);
	while (__atomic_load_n(&GUEST(&vm, ready), __ATOMIC_ACQUIRE) < 2)
		sched_yield();
	for (i = 0; i < others; i++)
		pids[i] = other_task();
	begin = rdtsc();
	GUEST(&vm, lock_of) = 0;
	for (i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	begin = rdtsc() - begin;
	for (i = 0; i < others; i++) {
		kill(pids[i], SIGKILL);
		waitpid(pids[i], NULL, 0);
	}
	EQ(GUEST(&vm, steps)[0] + GUEST(&vm, steps)[1], 2 * STEPS, "hand-overs");
	printf("lhp: %s %s %u %llu %llu %llu %llu %llu\n", level, mode, others,
	       (long long)(GUEST(&vm, pauses)[0] + GUEST(&vm, pauses)[1]), (long long)begin,
	       (long long)both(&vm, "pause_exits", 0), (long long)both(&vm, "directed_yield_successful", 0),
	       (long long)both(&vm, "l2_exits_reflected_by_reason", R_PAUSE));
	fflush(stdout);
	vm_destroy(&vm);
}

int main(int argc, char **argv)
{
	static const char *const modes[] = { "off", "plain", "directed", "both" };
	unsigned int mode, others, l2;
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(0, &set);
	MUST(!sched_setaffinity(0, sizeof(set), &set), "CPU 0");
	/* On KVM, there is nothing to choose. */
	if (argc > 1) {
		measure("l1", "as-is", 0);
		return ksft_failures() != 0;
	}
	for (l2 = 0; l2 < 2; l2++)
		for (mode = 0; mode < (l2 ? 4 : 3); mode++)
			for (others = 0; others < 2; others++) {
				parameter("ple_gap", mode ? "128" : "0");
				parameter("directed_yield", mode >= 2 ? "1" : "0");
				measure(l2 ? "l2" : "l1", modes[mode], others);
			}
	return ksft_failures() != 0;
}
