// SPDX-License-Identifier: GPL-2.0
/* The hypercall with a list of operations: who has it, what it refuses, how it goes on after an interruption; L1 only. */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>
#include "multicall.h"
#include "save.h"
#include "vm.h"
#include "vmx.h"

#define PORT		0x600
#define SELF		0x61
#define KVM_ENOSYS	1000

/* --- who has it --- */

static struct droste_multicall *new_list(void)
{
	return g_page();
}

static u64 user_multicall(u64 arg)
{
	s64 rax;

	return try_multicall(arg, &rax);
}

static void guest_has_it(void)
{
	struct droste_multicall *list = new_list();
	struct droste_multicall_entry *e;
	u32 i, a, b, c, d;
	s64 rax;

	G_EQ(CPUID_REG(0x40000000, 0, a), 0x40000002, "Droste's last leaf");
	G_EQ(CPUID_REG(0x40000002, 0, b), DROSTE_MULTICALL_MAX, "the most operations");
	G_OK(CPUID_REG(0x40000002, 0, a) & DROSTE_CPUID_MULTICALL, "the feature");
	for (i = 0; i < 3; i++) {
		G_EQ(multicall(list), 0, "no operations");
		multicall_add(list, DROSTE_OP_CPUID, 0, 0, 0);
		multicall_add(list, DROSTE_OP_CPUID, 7, 0, 0);
		multicall_add(list, DROSTE_OP_RDMSR, MSR_APIC_BASE, 0, 0);
		list->done = 0;
		list->n = 3;
		G_EQ(multicall(list), 0, "three operations");
		G_EQ(list->done, 3, "all done");
		cpuid(0, 0, &a, &b, &c, &d);
		e = &list->e[0];
		G_EQ(e->a[2], (u64)b << 32 | a, "EBX:EAX of CPUID");
		G_EQ(e->a[3], (u64)d << 32 | c, "EDX:ECX of CPUID");
		cpuid(7, 0, &a, &b, &c, &d);
		e = &list->e[1];
		G_EQ(e->a[2], (u64)b << 32 | a, "EBX:EAX of leaf 7");
		G_EQ(e->a[3], (u64)d << 32 | c, "EDX:ECX of leaf 7");
		G_EQ(list->e[2].a[2], rdmsr(MSR_APIC_BASE), "IA32_APIC_BASE");
		G_EQ(list->e[0].ret | list->e[1].ret | list->e[2].ret, 0, "results");
		G_EQ(multicall(list), 0, "nothing left to do");
		list->n = 0;
		list->done = 0;
	}
	G_EQ(try_vmcall(), UD, "another VMCALL");
	G_EQ(g_user(user_multicall, (u64)list), UD, "at CPL 3");
	G_EQ(try_multicall((u64)list, &rax), NO_FAULT, "at CPL 0");
}

/* The processor answers: #UD, or VMfail in VMX operation. */
static void guest_hidden(void)
{
	struct droste_multicall *list = new_list();
	s64 rax;

	multicall_add(list, DROSTE_OP_CPUID, 0, 0, 0);
	G_EQ(try_multicall((u64)list, &rax), UD, "without the feature");
	G_EQ(list->done, 0, "nothing is done");
	if (!(CPUID_REG(1, 0, c) & BIT(5)))
		return;
	vmx_enable();
	G_EQ(vmxon(vmx_region()), VM_OK, "VMXON");
	G_EQ(try_multicall((u64)list, &rax), NO_FAULT, "in VMX operation");
	G_EQ(rax, DROSTE_MULTICALL, "RAX is unchanged");
	G_EQ(list->done, 0, "nothing is done");
}

static void guest_behind_kvm(void)
{
	struct droste_multicall *list = new_list();
	s64 rax;

	multicall_add(list, DROSTE_OP_CPUID, 0, 0, 0);
	G_EQ(multicall(list), 0, "behind KVM's signature");
	G_EQ(list->done, 1, "it is done");
	G_EQ(g_user(user_multicall, (u64)list), NO_FAULT, "a hypercall at CPL 3");
	list->done = 0;
	G_EQ(try_multicall((u64)list + 1, &rax), NO_FAULT, "misaligned");
	G_EQ(rax, DROSTE_ERR_LIST, "misaligned");
}

static void guest_kvm_alone(void)
{
	struct droste_multicall *list = new_list();
	s64 rax;

	multicall_add(list, DROSTE_OP_CPUID, 0, 0, 0);
	G_EQ(try_multicall((u64)list, &rax), NO_FAULT, "a hypercall of KVM's");
	G_EQ(rax, -KVM_ENOSYS, "which does not exist");
	G_EQ(list->done, 0, "nothing is done");
}

static void offered(void (*fn)(void), enum multicall_offer offer)
{
	struct vm vm;
	struct vcpu *vcpu;

	vm_create(&vm, KSFT_IRQCHIP);
	vcpu = vcpu_create(&vm, 0, fn);
	multicall_offer(vcpu, offer);
	vcpu_run_to_end(vcpu);
	vm_destroy(&vm);
}

static void host_offers(void)
{
	offered(guest_has_it, OFFER_PLAIN);
	offered(guest_hidden, OFFER_HIDDEN);
	offered(guest_behind_kvm, OFFER_BEHIND_KVM);
	offered(guest_kvm_alone, OFFER_KVM_ALONE);
}

/* --- lists that are refused --- */

#define RO_GPA		0x40000000ul
#define MAPPED_GPA	0x41000000ul	/* two pages, the second of which has no memory behind it */

static void refused(u64 gpa, s64 error, const char *what)
{
	s64 rax;

	G_EQ(try_multicall(gpa, &rax), NO_FAULT, what);
	G_EQ(rax, error, what);
}

static void guest_hostile(void)
{
	static const u32 counts[] = { 65, 66, 0x7fffffff, 0x80000000, 0xffffffff };
	struct droste_multicall *list = g_pages(2), *last;
	u32 i;

	for (i = 0; i < ARRAY_SIZE(counts); i++) {
		list->n = counts[i];
		refused((u64)list, DROSTE_ERR_LIST, "too many");
		G_EQ(list->n, counts[i], "the list is left alone");
	}
	list->n = 1;
	for (i = 1; i < 8; i++)
		refused((u64)list + i, DROSTE_ERR_LIST, "misaligned");
	for (i = 2; i < 70; i += 67) {
		list->done = i;
		refused((u64)list, DROSTE_ERR_LIST, "more done than there are");
	}
	list->done = 0xffffffff;
	refused((u64)list, DROSTE_ERR_LIST, "many more done than there are");
	list->done = 0;
	/* Two entries and the head are 104 bytes. */
	last = (void *)((u64)list + 4096 - 104);
	last->n = 2;
	last->done = 0;
	last->e[0] = last->e[1] = (struct droste_multicall_entry) { .op = DROSTE_OP_CPUID };
	refused((u64)last, 0, "up to the page's end");
	G_EQ(last->done, 2, "up to the page's end");
	last->n = 3;
	last->done = 0;
	refused((u64)last, DROSTE_ERR_LIST, "across the page's end");
	G_EQ(last->done, 0, "nothing is done");
	last = (void *)((u64)list + 4088);
	last->n = 0;
	refused((u64)last, 0, "an empty list at the page's end");
	last->n = 1;
	refused((u64)last, DROSTE_ERR_LIST, "a list of one there");

	refused(MMIO_HOLE, DROSTE_ERR_MEMORY, "in MMIO");
	refused(APIC_BASE, DROSTE_ERR_MEMORY, "in the local APIC");
	refused(MEM_SIZE, DROSTE_ERR_MEMORY, "beyond memory");
	refused(0x100000000000, DROSTE_ERR_MEMORY, "far beyond memory");
	refused(1ul << 63, DROSTE_ERR_MEMORY, "beyond physical addresses");
	refused(-8ul, DROSTE_ERR_MEMORY, "at the last one");
	refused(RO_GPA, DROSTE_ERR_MEMORY, "in read-only memory");
	refused(MAPPED_GPA, 0, "an empty list where memory is");
	refused(MAPPED_GPA + 4096, DROSTE_ERR_MEMORY, "where the VM's process has none");
}

static void host_hostile(void)
{
	struct vm vm;
	struct vcpu *vcpu;
	u8 *mem = mmap(NULL, 4096 * 3, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct droste_multicall *list = (void *)mem;

	MUST(mem != MAP_FAILED, "mmap");
	munmap(mem + 8192, 4096);
	vm_create(&vm, KSFT_IRQCHIP);
	vcpu = vcpu_create(&vm, 0, guest_hostile);
	list->n = 1;
	list->e[0].op = DROSTE_OP_CPUID;
	vm_slot(&vm, 1, KVM_MEM_READONLY, RO_GPA, 4096, mem);
	vm_slot(&vm, 2, 0, MAPPED_GPA, 8192, mem + 4096);
	vcpu_run_to_end(vcpu);
	EQ(list->done, 0, "the list in read-only memory is left alone");
	vm_destroy(&vm);
}

static void guest_bad_ops(void)
{
	static const struct {
		u64 op, a[3];
		s64 ret;
	} cases[] = {
		{ 0, {}, DROSTE_ERR_OP }, { 0x100, {}, DROSTE_ERR_OP }, { ~0ul, {}, DROSTE_ERR_OP },
		{ 1ul << 32 | DROSTE_OP_CPUID, {}, DROSTE_ERR_OP },
		{ DROSTE_OP_RDMSR, { 1ul << 32 | MSR_PAT }, DROSTE_ERR_ARGUMENT },
		{ DROSTE_OP_WRMSR, { 1ul << 32 | MSR_PAT }, DROSTE_ERR_ARGUMENT },
		{ DROSTE_OP_RDMSR, { 0x12345 }, DROSTE_ERR_GP },
		{ DROSTE_OP_WRMSR, { MSR_PAT, 2 }, DROSTE_ERR_GP },
		{ DROSTE_OP_OUT, { 0x10000, 1 }, DROSTE_ERR_ARGUMENT },
		{ DROSTE_OP_OUT, { 0x21, 0 }, DROSTE_ERR_ARGUMENT },
		{ DROSTE_OP_OUT, { 0x21, 3 }, DROSTE_ERR_ARGUMENT },
		{ DROSTE_OP_OUT, { 0x21, 8 }, DROSTE_ERR_ARGUMENT },
		{ DROSTE_OP_OUT, { 0x21, ~0ul }, DROSTE_ERR_ARGUMENT },
		{ DROSTE_OP_MMIO_WRITE, { MMIO_HOLE, 0 }, DROSTE_ERR_ARGUMENT },
		{ DROSTE_OP_MMIO_WRITE, { MMIO_HOLE, 3 }, DROSTE_ERR_ARGUMENT },
		{ DROSTE_OP_MMIO_WRITE, { MMIO_HOLE, 16 }, DROSTE_ERR_ARGUMENT },
		{ DROSTE_OP_MMIO_WRITE, { MMIO_HOLE + 4095, 2 }, DROSTE_ERR_ARGUMENT },
		{ DROSTE_OP_MMIO_WRITE, { ~0ul, 1 }, DROSTE_ERR_ARGUMENT },
		{ DROSTE_OP_MMIO_WRITE, { HEAP, 8, 1 }, DROSTE_ERR_ARGUMENT },
		{ DROSTE_OP_VMREAD, { F_RIP }, DROSTE_ERR_UD },
		{ DROSTE_OP_VMWRITE, { F_RIP }, DROSTE_ERR_UD },
		{ DROSTE_OP_INVEPT, { 2 }, DROSTE_ERR_UD },
		{ DROSTE_OP_INVVPID, { 2 }, DROSTE_ERR_UD },
	};
	struct droste_multicall *list = new_list();
	u32 i;

	for (i = 0; i < ARRAY_SIZE(cases); i++)
		multicall_add(list, cases[i].op, cases[i].a[0], cases[i].a[1], cases[i].a[2]);
	G_EQ(multicall(list), 0, "a list of bad operations");
	G_EQ(list->done, ARRAY_SIZE(cases), "all are done");
	for (i = 0; i < ARRAY_SIZE(cases); i++)
		G_EQN(list->e[i].ret, cases[i].ret, "result of operation", i);
	G_EQ(*(volatile u64 *)HEAP, list->n | (u64)list->done << 32, "memory is no MMIO");
}

/* --- another vCPU changes the list --- */

static struct droste_multicall *shared_list;
static volatile u64 stop;
static volatile u64 changes;

extern void (*ap_fn)(void);
extern char ap_start[], ap_end[];

static volatile u64 go_on;

static void ap_changes(void)
{
	static const u64 ops[] = {
		DROSTE_OP_CPUID, DROSTE_OP_RDMSR, DROSTE_OP_WRMSR, 0x777, DROSTE_OP_VMREAD, OP_SEND_IPI, DROSTE_OP_INVEPT,
	};
	volatile struct droste_multicall *list = shared_list;
	u64 x = 88172645463325252;

	/* First only what the first operation asks for, as fast as possible: no two looks at it find the same. */
	while (!go_on) {
		list->e[0].a[1] = x++;
		changes++;
	}
	while (!stop) {
		u32 i = next_random(&x) % 64;

		switch (next_random(&x) % 4) {
		case 0:
			list->n = next_random(&x) % 70;
			break;
		case 1:
			list->done = next_random(&x) % 70;
			break;
		case 2:
			list->e[i].op = ops[next_random(&x) % ARRAY_SIZE(ops)];
			break;
		default:
			/* No MSR with which the guest could end itself. */
			list->e[i].a[0] = next_random(&x) & 1 ? 0x12345 : MSR_CSTAR;
			list->e[i].a[1] = next_random(&x);
			list->e[i].a[3] = 0x61;
		}
		changes++;
	}
	stop = 2;
	for (;;)
		asm volatile("hlt");
}

static void guest_races(void)
{
	u32 i, done = 0;

	apic_enable();
	shared_list = new_list();
	for (i = 0; i < 64; i++)
		multicall_add(shared_list, DROSTE_OP_CPUID, 0, 0, 0);
	ap_fn = ap_changes;
	g_copy((void *)LOW_CODE, ap_start, ap_end - ap_start);
	apic_icr(1, 0x4500);
	apic_icr(1, 0x4600 | (LOW_CODE >> 12));
	while (changes < 100)
		relax();
	for (i = 0; i < 300; i++) {
		((volatile struct droste_multicall *)shared_list)->done = 0;
		G_EQ(multicall(shared_list), 0, "the result while a sub-leaf changes");
	}
	go_on = 1;
	for (i = 0; i < 3000 || changes < 1000; i++) {
		s64 rax;

		((volatile struct droste_multicall *)shared_list)->done = 0;
		rax = multicall(shared_list);
		if (rax && rax != DROSTE_ERR_LIST)
			G_EQ(rax, 0, "the result is defined");
		done += !rax;
	}
	stop = 1;
	while (stop != 2)
		relax();
	G_OK(done, "some lists are accepted");
}

/* --- ends before the end --- */

static struct droste_multicall *current_list;
static volatile u64 taken, done_then, before_then;

static void on_self(struct trap_regs *r)
{
	taken++;
	done_then = current_list->done;
	before_then = r->rip;
	G_EQ(r->rax, DROSTE_MULTICALL, "RAX at the interrupt");
	apic_eoi();
}

extern char the_vmcall[];

/* An interrupt that an operation sends is taken before the next one. */
static void guest_interrupt(void)
{
	struct droste_multicall *list = new_list();
	u64 at, rax;
	u32 i, k;

	current_list = list;
	apic_x2_enable();
	g_trap_fn[SELF] = on_self;
	sti();
	wrmsr(MSR_X2APIC(APIC_LVTT), SELF | 2 << 17);
	/* The last turn's comes from a deadline that has passed. */
	for (i = 0; i < 3; i++) {
		for (at = 0; at < 6; at++) {
			list->n = 0;
			list->done = 0;
			taken = 0;
			for (k = 0; k < 7; k++)
				if (k == at && i == 2)
					multicall_add(list, DROSTE_OP_WRMSR, MSR_TSC_DEADLINE, 1, 0);
				else if (k == at)
					multicall_add(list, DROSTE_OP_WRMSR, MSR_X2APIC(APIC_ICR), 1 << 18 | SELF, 0);
				else
					multicall_add(list, i ? DROSTE_OP_RDMSR : DROSTE_OP_CPUID, i ? MSR_PAT : 0, 0, 0);
			asm volatile(".globl the_vmcall\nthe_vmcall: vmcall"
				     : "=a" (rax) : "0" (DROSTE_MULTICALL), "b" (list) : "memory");
			G_EQ(rax, 0, "the result");
			G_EQ(list->done, 7, "all are done");
			G_EQ(taken, 1, "one interrupt");
			G_EQ(done_then, at + 1, "operations done before it");
			G_EQ(before_then, (u64)the_vmcall, "RIP at it");
		}
	}
	/* Not with interrupts disabled. */
	cli();
	list->n = 0;
	multicall_add(list, DROSTE_OP_WRMSR, MSR_X2APIC(APIC_ICR), 1 << 18 | SELF, 0);
	multicall_add(list, DROSTE_OP_RDMSR, MSR_PAT, 0, 0);
	list->done = 0;
	taken = 0;
	G_EQ(multicall(list), 0, "the result");
	G_EQ(taken, 0, "no interrupt yet");
	done_then = 0;
	g_trap_fn[SELF] = NULL;
}

/*
 * A signal in the middle of each list, whatever the host's speed: operation KICK of the list signals an eventfd; for
 * that waits a thread on the same CPU that comes before the vCPU's, and sends the vCPU's thread a signal.
 */
#define ROUNDS		100
#define KICK		20

static void guest_rounds(void)
{
	struct droste_multicall *list = new_list();
	u32 i, k;

	g_sync((u64)list);
	for (i = 0; i < ROUNDS; i++) {
		list->n = 0;
		list->done = 0;
		for (k = 0; k < 64; k++) {
			if (k == KICK)
				multicall_add(list, DROSTE_OP_OUT, PORT, 1, 1);
			else
				multicall_add(list, DROSTE_OP_WRMSR, MSR_CSTAR, i * 64 + k, 0);
		}
		G_EQ(multicall(list), 0, "the result");
		G_EQ(list->done, 64, "all are done");
		G_EQ(rdmsr(MSR_CSTAR), i * 64 + 63, "the last value");
	}
}

static void on_signal(int sig)
{
}

struct kicker {
	int fd;			/* an eventfd; a count of ROUNDS ends the thread */
	pthread_t vcpu;
};

static void *kicker_thread(void *arg)
{
	struct kicker *k = arg;
	u64 count;

	while (read(k->fd, &count, sizeof(count)) == sizeof(count) && count < ROUNDS)
		pthread_kill(k->vcpu, SIGUSR1);
	return NULL;
}

/* Signals end KVM_RUN between two operations. */
static void host_signals(void)
{
	struct kicker kicker = { .fd = eventfd(0, 0), .vcpu = pthread_self() };
	struct kvm_ioeventfd bind = { .addr = PORT, .len = 1, .fd = kicker.fd, .flags = KVM_IOEVENTFD_FLAG_PIO };
	struct sched_param fifo = { .sched_priority = 1 };
	u64 cstar, args[4], end = ROUNDS;
	struct droste_multicall *list;
	struct kvm_regs regs;
	struct vcpu *vcpu;
	u32 partial = 0;
	pthread_t t;
	cpu_set_t set;
	struct vm vm;
	int ret;

	CPU_ZERO(&set);
	CPU_SET(0, &set);
	MUST(!sched_setaffinity(0, sizeof(set), &set), "CPU 0");
	MUST(signal(SIGUSR1, on_signal) != SIG_ERR, "SIGUSR1");
	MUST(!pthread_create(&t, NULL, kicker_thread, &kicker), "thread");
	MUST(!pthread_setschedparam(t, SCHED_FIFO, &fifo), "SCHED_FIFO");
	vm_create(&vm, KSFT_IRQCHIP);
	vcpu = vcpu_create(&vm, 0, guest_rounds);
	DO(vm.fd, KVM_IOEVENTFD, &bind);
	MUST(vcpu_run_to_call(vcpu, args) == GCALL_SYNC, "the list's address");
	list = (void *)(vm.mem + args[0]);
	while ((ret = vcpu_run_once(vcpu)) == -EINTR && partial < ROUNDS) {
		vcpu_regs(vcpu, &regs);
		EQ(regs.rax, DROSTE_MULTICALL, "RAX is the hypercall's, for signal %u", partial);
		EQ(regs.rbx, args[0], "RBX is the list");
		OK(!memcmp(vm.mem + regs.rip, "\x0f\x01\xc1", 3), "RIP is at VMCALL");
		EQ(list->done, KICK + 1, "the list ends behind the operation that has caused the signal");
		MUST(!vcpu_get_msr(vcpu, MSR_CSTAR, &cstar), "IA32_CSTAR");
		EQ(cstar, partial * 64 + KICK - 1, "the last value that was written");
		EQ(list->e[KICK].ret, 0, "the operation's result");
		EQ(list->e[KICK + 1].ret, -1, "the next one has none");
		partial++;
	}
	EQ(partial, ROUNDS, "a signal has come in the middle of each list");
	MUST(!ret, "KVM_RUN: %s", strerror(-ret));
	OK(vcpu->run->exit_reason == KVM_EXIT_IO, "the guest's call");
	vcpu_run_to_end(vcpu);
	EQ(write(kicker.fd, &end, sizeof(end)), sizeof(end), "end the thread");
	pthread_join(t, NULL);
	vm_destroy(&vm);
}

static void guest_user_exits(void)
{
	struct droste_multicall *list = new_list();

	g_sync((u64)list);
	multicall_add(list, DROSTE_OP_WRMSR, MSR_CSTAR, 1, 0);
	multicall_add(list, DROSTE_OP_OUT, PORT, 2, 0xdead1234);
	multicall_add(list, DROSTE_OP_WRMSR, MSR_CSTAR, 2, 0);
	multicall_add(list, DROSTE_OP_MMIO_WRITE, MMIO_HOLE + 0x124, 4, 0x1122334455667788);
	multicall_add(list, DROSTE_OP_WRMSR, MSR_CSTAR, 3, 0);
	multicall_add(list, DROSTE_OP_OUT, 0x7e, 1, 0x5a);
	G_EQ(multicall(list), 0, "the result");
	G_EQ(list->done, 6, "all are done");
	G_EQ(rdmsr(MSR_CSTAR), 3, "the last value");
	g_sync(99);
}

/* With @move, each exit is followed by a new VM that gets the state, before the exit is completed. */
static void user_exits(bool move)
{
	static const struct {
		u32 reason, done;
		u64 addr, data;
		u32 size;
	} want[] = {
		{ KVM_EXIT_IO, 2, PORT, 0x1234, 2 },
		{ KVM_EXIT_MMIO, 4, MMIO_HOLE + 0x124, 0x55667788, 4 },
		{ KVM_EXIT_IO, 6, 0x7e, 0x5a, 1 },
	};
	static struct saved_vcpu saved;
	struct droste_multicall *list;
	struct kvm_run *run;
	struct vcpu *vcpu;
	struct vm vm;
	u64 args[4];
	u32 i;

	vm_create(&vm, KSFT_IRQCHIP);
	vcpu = vcpu_create(&vm, 0, guest_user_exits);
	MUST(vcpu_run_to_call(vcpu, args) == GCALL_SYNC, "the list's address");
	list = (void *)(vm.mem + args[0]);
	for (i = 0; i < ARRAY_SIZE(want); i++) {
		u64 data = 0, cstar;

		MUST(vcpu_run_to_call(vcpu, args) == GCALL_NONE, "exit %u", i);
		run = vcpu->run;
		EQ(run->exit_reason, want[i].reason, "exit %u", i);
		if (run->exit_reason == KVM_EXIT_IO) {
			EQ(run->io.port, want[i].addr, "port");
			EQ(run->io.size, want[i].size, "size");
			memcpy(&data, (u8 *)run + run->io.data_offset, run->io.size);
		} else {
			EQ(run->mmio.phys_addr, want[i].addr, "address");
			EQ(run->mmio.len, want[i].size, "size");
			memcpy(&data, run->mmio.data, 8);
		}
		EQ(data, want[i].data, "data");
		EQ(list->done, want[i].done, "operations done");
		MUST(!vcpu_get_msr(vcpu, MSR_CSTAR, &cstar), "IA32_CSTAR");
		EQ(cstar, i + 1, "and not the next one");
		if (!move)
			continue;
		vcpu_save(vcpu, &saved);
		vm_replace(&vm);
		vcpu = vcpu_create(&vm, 0, guest_user_exits);
		vcpu_restore(vcpu, &saved, ORDER_QEMU);
	}
	vcpu_run_to_sync(vcpu, 99);
	vcpu_run_to_end(vcpu);
	vm_destroy(&vm);
}

static void host_user_exits(void)
{
	user_exits(false);
	user_exits(true);
}

/* --- registers, steps, user space's MSRs, the dirty log --- */

static volatile u64 steps, step_rip;
extern char step_vmcall[];

static void on_step(struct trap_regs *r)
{
	if (!steps++)
		step_rip = r->rip;
	r->rflags &= ~RFLAGS_TF;
}

u64 regs_list, regs_in[13], regs_out[14];

/* Executes the VMCALL with registers from regs_in[] and all arithmetic flags set. */
u64 regs_vmcall(void);
#define EACH(insn) \
	insn(0, rcx) insn(1, rdx) insn(2, rsi) insn(3, rdi) insn(4, r8) insn(5, r9) insn(6, r10) insn(7, r11) insn(8, r12) \
	insn(9, r13) insn(10, r14) insn(11, r15) insn(12, rbp)
#define LOAD(n, reg)	"mov regs_in+8*" #n ", %" #reg "\n"
#define STORE(n, reg)	"mov %" #reg ", regs_out+8*" #n "\n"
asm("regs_vmcall:\n"
	"push %rbx; push %rbp; push %r12; push %r13; push %r14; push %r15\n"
	"mov regs_list, %rbx; mov $0xd5000001, %eax\n"
	EACH(LOAD)
	"pushfq; orq $0x8d5, (%rsp); popfq; vmcall; pushfq; pop regs_out+8*13\n"
	EACH(STORE)
	"pop %r15; pop %r14; pop %r13; pop %r12; pop %rbp; pop %rbx\n"
	"cld; ret\n");

static void guest_registers(void)
{
	struct droste_multicall *list = new_list();
	u32 i, k;

	regs_list = (u64)list;
	for (i = 0; i < 2; i++) {
		list->n = list->done = 0;
		for (k = 0; k < 5; k++)
			multicall_add(list, i ? DROSTE_OP_RDMSR : DROSTE_OP_CPUID, i ? MSR_PAT : 0, 0, 0);
		for (k = 0; k < ARRAY_SIZE(regs_in); k++)
			regs_in[k] = 0x1111111111111111ul * (k + 1);
		G_EQ(regs_vmcall(), 0, "RAX");
		G_EQ(list->done, 5, "all are done");
		for (k = 0; k < ARRAY_SIZE(regs_in); k++)
			G_EQN(regs_out[k], regs_in[k], "a register", k);
		G_EQ(regs_out[13] & 0x8d5, 0x8d5, "the flags");
	}
	/* A single step ends behind the VMCALL, when all is done. */
	g_trap_fn[VEC_DB] = on_step;
	list->done = 0;
	asm volatile("pushfq; orq $0x100, (%%rsp); popfq; .globl step_vmcall\nstep_vmcall: vmcall\nnop\n"
		     : : "a" (DROSTE_MULTICALL), "b" (list) : "memory", "cc");
	G_EQ(steps, 1, "one step");
	G_EQ(step_rip, (u64)step_vmcall + 3, "behind the VMCALL");
	G_EQ(list->done, 5, "all are done");
}

static void guest_user_msr(void)
{
	struct droste_multicall *list = new_list();

	multicall_add(list, DROSTE_OP_RDMSR, 0x12345, 0, 0);
	multicall_add(list, DROSTE_OP_WRMSR, 0x12345, 0, 0);
	multicall_add(list, DROSTE_OP_WRMSR, MSR_PAT, 2, 0);
	multicall_add(list, DROSTE_OP_RDMSR, MSR_PAT, 0, 0);
	G_EQ(multicall(list), 0, "the result");
	G_EQ(list->e[0].ret, DROSTE_ERR_TRAP, "an MSR that user space answers");
	G_EQ(list->e[1].ret, DROSTE_ERR_TRAP, "an MSR that user space answers");
	G_EQ(list->e[2].ret, DROSTE_ERR_GP, "a value that it does not");
	G_EQ(list->e[3].ret, 0, "another MSR");
}

static void host_user_msr(void)
{
	struct vcpu *vcpu;
	struct vm vm;

	vm_create(&vm, KSFT_IRQCHIP);
	EQ(vm_enable_cap(&vm, KVM_CAP_X86_USER_SPACE_MSR, KVM_MSR_EXIT_REASON_UNKNOWN), 0, "user space answers");
	vcpu = vcpu_create(&vm, 0, guest_user_msr);
	vcpu_run_to_end(vcpu);
	vm_destroy(&vm);
}

#define LOGGED_GPA	0x50000000ul

static void guest_logged(void)
{
	struct droste_multicall *list = (void *)LOGGED_GPA;
	u64 i;

	for (i = 0; i < 2; i++) {
		g_sync(i);
		G_EQ(multicall(list), 0, "the result");
		g_sync(10 + i);
	}
}

static void host_logged(void)
{
	u8 *mem = mmap(NULL, 16384, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct droste_multicall *list = (void *)mem;
	u64 bits[1], i;
	struct kvm_dirty_log log = { .slot = 1, .dirty_bitmap = bits };
	struct vcpu *vcpu;
	struct vm vm;

	MUST(mem != MAP_FAILED, "mmap");
	vm_create(&vm, KSFT_IRQCHIP);
	vcpu = vcpu_create(&vm, 0, guest_logged);
	vm_slot(&vm, 1, KVM_MEM_LOG_DIRTY_PAGES, LOGGED_GPA, 16384, mem);
	for (i = 0; i < 2; i++) {
		vcpu_run_to_sync(vcpu, i);
		list->n = 2;
		list->done = 0;
		list->e[0].op = DROSTE_OP_CPUID;
		list->e[1].op = i ? DROSTE_OP_RDMSR : DROSTE_OP_CPUID;
		DO(vm.fd, KVM_GET_DIRTY_LOG, &log);
		vcpu_run_to_sync(vcpu, 10 + i);
		EQ(list->done, 2, "all are done");
		DO(vm.fd, KVM_GET_DIRTY_LOG, &log);
		EQ(bits[0], 1, "the list's page was written");
	}
	vcpu_run_to_end(vcpu);
	vm_destroy(&vm);
}

/* --- operations of a hypervisor --- */

static void l2_cpuid(void)
{
	asm volatile("1: cpuid; jmp 1b");
}

/* Carries out one operation. */
static s64 one(struct droste_multicall *list, u64 op, u64 a0, u64 a1, u64 a2)
{
	list->n = list->done = 0;
	multicall_add(list, op, a0, a1, a2);
	G_EQ(multicall(list), 0, "the result");
	return list->e[0].ret;
}

static void guest_vmx(void)
{
	struct droste_multicall *list = new_list();
	static const u32 fields[] = {
		F_RIP, F_RSP, F_PROC, F_EXCEPTION_BITMAP, F_HOST_RSP, F_GUEST_CR3, F_ENTRY_INTR_INFO, F_TSC_OFFSET, F_TSC_OFFSET + 1,
		F_CS_AR, F_GDTR_BASE,
	};
	u64 val;
	u32 i;

	vmx_on();
	G_EQ(one(list, DROSTE_OP_VMREAD, F_RIP, 0, 0), DROSTE_ERR_VMFAIL(0), "VMREAD without a VMCS");
	G_EQ(one(list, DROSTE_OP_VMWRITE, F_RIP, 0, 0), DROSTE_ERR_VMFAIL(0), "VMWRITE without a VMCS");
	vmcs_new(l2_cpuid);
	for (i = 0; i < ARRAY_SIZE(fields); i++) {
		val = vmread(fields[i]);
		/* By the instruction first, which may not exit, then by operations, then read by both. */
		vmwrite(fields[i], val ^ 0x10);
		G_EQN(one(list, DROSTE_OP_VMREAD, fields[i], 0, 0), 0, "VMREAD of field", fields[i]);
		G_EQN(list->e[0].a[2], val ^ 0x10, "its value", fields[i]);
		G_EQN(one(list, DROSTE_OP_VMWRITE, fields[i], val, 0), 0, "VMWRITE of field", fields[i]);
		G_EQN(vmread(fields[i]), val, "its value", fields[i]);
	}
	G_EQ(one(list, DROSTE_OP_VMREAD, 0x7ffe, 0, 0), DROSTE_ERR_VMFAIL(E_BAD_FIELD), "VMREAD of no field");
	G_EQ(vmread(F_INSN_ERROR), E_BAD_FIELD, "VM-instruction error");
	G_EQ(one(list, DROSTE_OP_VMWRITE, 1ul << 40, 0, 0), DROSTE_ERR_VMFAIL(E_BAD_FIELD), "VMWRITE of no field");
	G_EQ(one(list, DROSTE_OP_INVEPT, 7, 0, 0), DROSTE_ERR_VMFAIL(E_BAD_INV_OPERAND), "INVEPT");
	G_EQ(vmread(F_INSN_ERROR), E_BAD_INV_OPERAND, "VM-instruction error");
	G_EQ(one(list, DROSTE_OP_INVEPT, 2, 0, 0), 0, "INVEPT of all");
	G_EQ(one(list, DROSTE_OP_INVVPID, 1, 0, 0), DROSTE_ERR_VMFAIL(E_BAD_INV_OPERAND), "INVVPID of VPID 0");
	G_EQ(one(list, DROSTE_OP_INVVPID, 0, 1, 1ul << 63), DROSTE_ERR_VMFAIL(E_BAD_INV_OPERAND), "INVVPID of no address");
	G_EQ(one(list, DROSTE_OP_INVVPID, 2, 0, 0), 0, "INVVPID of all");
	/* L2 runs with what the operations have written. */
	G_EQ(one(list, DROSTE_OP_VMWRITE, F_RIP, (u64)l2_cpuid, 0), 0, "RIP");
	G_EQ(vmx_run(), R_CPUID, "L2's exit");
	for (i = 0; i < 20; i++) {
		list->n = list->done = 0;
		multicall_add(list, DROSTE_OP_VMREAD, F_RIP, 0, 0);
		multicall_add(list, DROSTE_OP_VMREAD, F_ILEN, 0, 0);
		multicall_add(list, DROSTE_OP_VMREAD, F_REASON, 0, 0);
		G_EQ(multicall(list), 0, "the result");
		G_EQ(list->e[0].a[2], vmread(F_RIP), "RIP");
		G_EQ(list->e[1].a[2], 2, "length");
		G_EQ(list->e[2].a[2], R_CPUID, "reason");
		G_EQ(one(list, DROSTE_OP_VMWRITE, F_RIP, vmread(F_RIP) + 2, 0), 0, "the next RIP");
		G_EQ(vmx_run(), R_CPUID, "L2's exit");
	}
}

static const struct ksft_test tests[] = {
	{ "who has it", .host = host_offers },
	{ "lists that are refused", .host = host_hostile },
	{ "operations that are refused", .guest = guest_bad_ops, .flags = KSFT_IRQCHIP },
	{ "another vCPU changes the list", .guest = guest_races, .flags = KSFT_SMP2 },
	{ "an interrupt between operations", .guest = guest_interrupt, .flags = KSFT_IRQCHIP },
	{ "a signal between operations", .host = host_signals },
	{ "exits to user space, and a new VM at each", .host = host_user_exits },
	{ "registers, flags, a single step", .guest = guest_registers, .flags = KSFT_IRQCHIP },
	{ "MSRs that user space answers", .host = host_user_msr },
	{ "the dirty log", .host = host_logged },
	{ "operations of a hypervisor", .guest = guest_vmx, .flags = KSFT_VMX | KSFT_IRQCHIP },
};

KSFT_MAIN_DROSTE(tests, "the hypercall with a list of operations")
