// SPDX-License-Identifier: GPL-2.0
/*
 * Runs 1, 2, 4 ... vCPUs of one VM, each on a CPU of its own, that do nothing but exit: by CPUID, or by a CPUID of L2 that
 * L1 answers. vCPU 0 counts TURNS of its own between two markers, while the others go on.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include "enter.h"
#include "l2.h"
#include "vm.h"
#include "vmx.h"

#define TURNS	2000
#define WARM	200

/* KSFT needs the list of subtests to be there; there is none. */
const char *ksft_positional = "";

static volatile u64 vcpus, nested, ready, finished;
static volatile u64 turns[16];		/* that a vCPU has done while vCPU 0 counted */

/* xchg %bx,%bx has no effect; the emulator treats it as a marker. The first of two names the count. */
static inline void marker(u64 tag)
{
	asm volatile("xchg %%bx, %%bx" : : "a" (tag) : "memory");
}

static void __attribute__((naked)) l2_cpuid(void)
{
	asm volatile("1: cpuid; jmp 1b");
}

static void turn_of_l1(void)
{
	u32 a = 0, b, c = 0, d;

	asm volatile("cpuid" : "+a" (a), "=b" (b), "+c" (c), "=d" (d));
}

static void turn_of_l2(u64 *stack)
{
	G_EQ(enter(false, stack), 0, "entry");
	vmwrite(F_RIP, (u64)l2_cpuid);
}

static void prepare_l2(void)
{
	u64 stack = 0;

	l2_prepare(l2_cpuid);
	G_EQ(enter(true, &stack), 0, "entry");
	G_EQ(vmread(F_REASON), R_CPUID, "reason");
	vmwrite(F_RIP, (u64)l2_cpuid);
}

static void work(u64 index)
{
	u64 i, stack = 0;

	if (nested)
		prepare_l2();
	for (i = 0; i < WARM; i++)
		nested ? turn_of_l2(&stack) : turn_of_l1();
	__atomic_add_fetch(&ready, 1, __ATOMIC_SEQ_CST);
	while (index ? !finished : ready < vcpus) {
		nested ? turn_of_l2(&stack) : turn_of_l1();
		turns[index] += ready > vcpus;
	}
	if (index)
		return;
	ready = vcpus + 1;
	marker(vcpus << 8 | nested);
	for (i = 0; i < TURNS; i++)
		nested ? turn_of_l2(&stack) : turn_of_l1();
	marker(~0ul);
	finished = 1;
}

static volatile u64 next_index;

static void guest(void)
{
	work(__atomic_fetch_add(&next_index, 1, __ATOMIC_SEQ_CST));
}

static void *thread(void *arg)
{
	struct vcpu *vcpu = arg;
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(vcpu->id, &set);
	MUST(!sched_setaffinity(0, sizeof(set), &set), "no CPU %u: %s", vcpu->id, strerror(errno));
	vcpu_run_to_end(vcpu);
	return NULL;
}

static void measure(unsigned int n, bool l2)
{
	pthread_t threads[16];
	struct vm vm;
	unsigned int i;

	vm_create(&vm, KSFT_IRQCHIP);
	MUST(!l2 || vm_has_vmx(&vm), "no VMX");
	for (i = 0; i < n; i++)
		vcpu_create(&vm, i, guest);
	GUEST(&vm, vcpus) = n;
	GUEST(&vm, nested) = l2;
	for (i = 0; i < n; i++)
		MUST(!pthread_create(&threads[i], NULL, thread, &vm.vcpu[i]), "thread");
	for (i = 0; i < n; i++)
		pthread_join(threads[i], NULL);
	printf("scale: %s %u %u", l2 ? "l2" : "l1", n, TURNS);
	for (i = 1; i < n; i++)
		printf(" %llu", (long long)GUEST(&vm, turns)[i]);
	puts("");
	fflush(stdout);
	vm_destroy(&vm);
}

int main(int argc, char **argv)
{
	long most = sysconf(_SC_NPROCESSORS_ONLN);

	for (unsigned int l2 = 0; l2 < 2; l2++)
		for (unsigned int n = 1; n <= most && n <= 16; n *= 2)
			measure(n, l2);
	return 0;
}
