// SPDX-License-Identifier: GPL-2.0
/* Two vCPUs that run L2, VMCSs moved between vCPUs, L2 killed with its process, interrupts at any moment. */
#define _GNU_SOURCE
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "vm.h"
#include "vmx.h"

#define ROUNDS 300

static void __attribute__((naked)) l2_count(void)
{
	asm volatile("1: inc %rbx; vmcall; jmp 1b");
}

static void guest_two_vmcs(void)
{
	u64 a, b, i, count[2] = { 0, 0 }, v[2];

	v[0] = a = vmcs_new(l2_count);
	v[1] = b = vmcs_new(l2_count);
	G_OK(a != b, "two regions");
	for (i = 0; i < ROUNDS; i++) {
		u64 n = (i * 7 >> 2) & 1;

		G_EQ(vmptrld(v[n]), VM_OK, "VMPTRLD");
		vmx_launched(count[n]);
		l2.rbx = count[n];
		vmx_expect(R_VMCALL, "exit");
		vmx_skip();
		count[n]++;
		G_EQ(l2.rbx, count[n], "count");
	}
}

/*
 * The host starts each vCPU in its own function. The vCPUs enter L2 with the
 * code below, because the VMX state that lib/vmx.c keeps would be shared.
 */
static volatile u64 turn, handed;

static u64 enter_here(bool launch)
{
	u64 fl, dummy;

	asm volatile("push %%rbp\n"
		     "mov $0x6c14, %%eax; vmwrite %%rsp, %%rax\n"
		     "mov $0x6c16, %%eax; lea 1f(%%rip), %%rdx; vmwrite %%rdx, %%rax\n"
		     "test %%rcx, %%rcx; jz 2f\n"
		     "vmlaunch; jmp 3f\n"
		     "2: vmresume\n"
		     "3: pushfq; pop %%rax; pop %%rbp; jmp 4f\n"
		     "1: xor %%eax, %%eax; pop %%rbp\n4:"
		     : "=&a" (fl), "=c" (dummy) : "c" ((u64)launch)
		     : "rbx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "memory", "cc");
	return fl;
}

static u64 make_vmcs(void (*fn)(void))
{
	u64 vmcs = vmx_region();

	vmclear(vmcs);
	vmptrld(vmcs);
	vmcs_fill(fn);
	return vmcs;
}

static void __attribute__((naked)) l2_plain(void)
{
	asm volatile("1: vmcall; jmp 1b");
}

static void work(void)
{
	u64 i;

	vmx_enable();
	G_EQ(vmxon(vmx_region()), VM_OK, "VMXON");
	/* lib/vmx.c does not support two vCPUs at once, so the VMCSs are filled one after the other. */
	while (__atomic_exchange_n(&turn, 1, __ATOMIC_ACQUIRE))
		relax();
	make_vmcs(l2_plain);
	__atomic_store_n(&turn, 0, __ATOMIC_RELEASE);
	for (i = 0; i < ROUNDS; i++) {
		G_EQ(enter_here(!i), 0, "entry");
		G_EQ(vmread(F_REASON), R_VMCALL, "reason");
		vmwrite(F_RIP, (u64)l2_plain);
	}
	G_EQ(vmxoff(), VM_OK, "VMXOFF");
}

static void host_two(void)
{
	struct vm vm;
	pthread_t t[2];
	int i;

	vm_create(&vm, 0);
	if (!vm_has_vmx(&vm))
		ksft_skip("no VMX");
	for (i = 0; i < 2; i++)
		vcpu_create(&vm, i, work);
	for (i = 0; i < 2; i++)
		vcpu_thread(&vm.vcpu[i], &t[i]);
	for (i = 0; i < 2; i++)
		pthread_join(t[i], NULL);
	vm_destroy(&vm);
}

/* One vCPU creates, runs and clears a VMCS; the other one continues with it. */
static void hand_over(void)
{
	u64 vmcs, i;

	vmx_enable();
	G_EQ(vmxon(vmx_region()), VM_OK, "VMXON");
	vmcs = make_vmcs(l2_plain);
	G_EQ(enter_here(true), 0, "entry");
	vmwrite(F_GUEST_SYSENTER_ESP, 0x1234000);
	G_EQ(vmclear(vmcs), VM_OK, "VMCLEAR");
	handed = vmcs;
	for (i = 0; i < 100 && handed; i++)
		g_sync(1);
}

static void take_over(void)
{
	u64 i;

	vmx_enable();
	G_EQ(vmxon(vmx_region()), VM_OK, "VMXON");
	G_MUST(handed, "a VMCS");
	G_EQ(vmptrld(handed), VM_OK, "VMPTRLD of the other vCPU's VMCS");
	G_EQ(vmread(F_GUEST_SYSENTER_ESP), 0x1234000, "its state was transferred");
	vmwrite(F_RIP, (u64)l2_plain);
	for (i = 0; i < 20; i++) {
		G_EQ(enter_here(!i), 0, "entry");
		G_EQ(vmread(F_REASON), R_VMCALL, "reason");
		vmwrite(F_RIP, (u64)l2_plain);
	}
	/* VMCLEAR of a VMCS that is or was current on the other vCPU does no harm. */
	G_EQ(vmclear(handed), VM_OK, "VMCLEAR");
	handed = 0;
}

static void host_hand_over(void)
{
	struct vm vm;

	vm_create(&vm, 0);
	if (!vm_has_vmx(&vm))
		ksft_skip("no VMX");
	vcpu_create(&vm, 0, hand_over);
	vcpu_create(&vm, 1, take_over);
	vcpu_run_to_sync(&vm.vcpu[0], 1);
	vcpu_run_to_end(&vm.vcpu[1]);
	vcpu_run_to_end(&vm.vcpu[0]);
}

/* L2 loops forever; its process is killed, which closes its descriptors. */
u64 l2_rounds __attribute__((used));

static void __attribute__((naked)) l2_forever(void)
{
	asm volatile("1: inc %rbx; incq l2_rounds(%rip); jmp 1b");
}

static void guest_forever(void)
{
	vmcs_new(l2_forever);
	g_sync(1);
	vmx_run();
}

static void host_kill(void)
{
	int i, status;

	for (i = 0; i < 10; i++) {
		int p[2];
		char c;
		pid_t pid;

		MUST(!pipe(p), "pipe");
		pid = fork();
		if (!pid) {
			struct vm vm;
			struct vcpu *vcpu;

			vm_create(&vm, 0);
			if (!vm_has_vmx(&vm))
				_exit(KSFT_SKIP);
			vcpu = vcpu_create(&vm, 0, guest_forever);
			vcpu_run_to_sync(vcpu, 1);
			if (write(p[1], "x", 1) != 1)
				_exit(KSFT_FAIL);
			vcpu_run_once(vcpu);
			_exit(KSFT_FAIL);
		}
		close(p[1]);
		if (read(p[0], &c, 1) == 1) {
			/* The child enters L2 soon; it is killed at a different point each time. */
			usleep(i * 3000);
			kill(pid, SIGKILL);
			MUST(waitpid(pid, &status, 0) == pid, "wait");
			OK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "killed");
		} else {
			waitpid(pid, &status, 0);
			if (WIFEXITED(status) && WEXITSTATUS(status) == KSFT_SKIP)
				ksft_skip("no VMX");
			ksft_abort(__FILE__, __LINE__, "the child did not start");
		}
		close(p[0]);
	}
}

static void on_alarm(int sig)
{
}

/* A signal ends KVM_RUN while L2 runs; the next KVM_RUN continues L2. */
static void guest_bounded(void)
{
	vmcs_new(l2_forever);
	g_sync(1);
	vmx_run();
	g_sync(2);
}

static void guest_after_reset(void)
{
	u64 vmcs;

	G_EQ(rdmsr(MSR_FEATURE_CONTROL), 0, "IA32_FEATURE_CONTROL");
	G_EQ(TRY_INSN("vmxoff"), UD, "VMXOFF outside VMX operation");
	vmx_on();
	vmcs = vmcs_new(l2_count);
	vmx_expect(R_VMCALL, "L2 runs again");
	G_EQ(vmclear(vmcs), VM_OK, "VMCLEAR");
}

static void host_signal(void)
{
	struct sigaction sa = { .sa_handler = on_alarm };
	struct vm vm;
	struct vcpu *vcpu;
	struct kvm_regs r;
	u64 before = 0;
	int i;

	vm_create(&vm, 0);
	if (!vm_has_vmx(&vm))
		ksft_skip("no VMX");
	vcpu = vcpu_create(&vm, 0, guest_bounded);
	vcpu_run_to_sync(vcpu, 1);
	sigaction(SIGUSR1, &sa, NULL);
	for (i = 0; i < 20; i++) {
		EQ(vcpu_run_until_changed(vcpu, &GUEST(&vm, l2_rounds)), -EINTR, "KVM_RUN with a signal");
		EQ(vcpu->run->exit_reason, KVM_EXIT_INTR, "exit reason");
		vcpu_regs(vcpu, &r);
		OK(r.rip >= (u64)l2_forever && r.rip < (u64)l2_forever + 16, "in L2");
		OK(r.rbx > before, "L2 makes progress");
		before = r.rbx;
	}
	/* With immediate_exit, L2 does not run. */
	vcpu->run->immediate_exit = 1;
	EQ(vcpu_run_once(vcpu), -EINTR, "immediate_exit");
	vcpu->run->immediate_exit = 0;
	vcpu_regs(vcpu, &r);
	EQ(r.rbx, before, "L2 did not run");
	/* L2 continues with the register value that user space set. */
	r.rbx = 1ul << 40;	/* it cannot have counted so far */
	vcpu_set_regs(vcpu, &r);
	EQ(vcpu_run_until_changed(vcpu, &GUEST(&vm, l2_rounds)), -EINTR, "KVM_RUN with a signal");
	vcpu_regs(vcpu, &r);
	OK(before < 1ul << 40 && r.rbx > 1ul << 40, "L2 counts from the new value");
	/* The MSR write that user space does at a reset ends L2 and VMX operation. */
	EQ(vcpu_set_msr(vcpu, MSR_FEATURE_CONTROL, 0), 0, "IA32_FEATURE_CONTROL");
	vcpu_start(vcpu, guest_after_reset, 0);
	vcpu_run_to_end(vcpu);
	vm_destroy(&vm);
}

/* The vCPU moves between processors while it runs L2. */
static void guest_migrate(void)
{
	u64 i, n = 0;

	vmcs_new(l2_count);
	for (i = 0; i < 2000; i++) {
		vmx_expect(R_VMCALL, "exit");
		vmx_skip();
		G_EQ(l2.rbx, ++n, "count");
		if (i % 20 == 0)
			g_sync(i);
	}
}

static void host_migrate(void)
{
	struct vm vm;
	struct vcpu *vcpu;
	u64 args[4];
	int i = 0, cpus = sysconf(_SC_NPROCESSORS_ONLN);

	if (cpus < 2)
		ksft_skip("one processor");
	vm_create(&vm, 0);
	if (!vm_has_vmx(&vm))
		ksft_skip("no VMX");
	vcpu = vcpu_create(&vm, 0, guest_migrate);
	while (vcpu_run_to_call(vcpu, args) == GCALL_SYNC) {
		cpu_set_t set;

		CPU_ZERO(&set);
		CPU_SET(i++ % cpus, &set);
		sched_setaffinity(0, sizeof(set), &set);
	}
	OK(vcpu->done, "it ended");
}

/*
 * Interrupts for L1 arrive at any moment, most of them while L0 handles an exit
 * of L2 that is not reflected. None may be delivered to L2, whose IF is set.
 */
#define STORM	1000

static volatile u64 asked;	/* number of interrupts that L1 has requested */
static volatile bool storm_over;

static void __attribute__((naked)) l2_msrs(void)
{
	asm volatile("sti; 1: mov $0x1a0, %ecx; rdmsr; jmp 1b");
}

static void on_leak(struct trap_regs *r)
{
	asm volatile("vmcall");
}

static void guest_storm(void)
{
	u64 i;

	vmcs_new(l2_msrs);
	need(F_PIN, PIN_EXTINT, "no external-interrupt exiting");
	need(F_EXIT_CTLS, EXIT_ACK, "no acknowledge on exit");
	need(F_PROC, PROC_MSR_BITMAPS, "no MSR bitmaps");
	vmwrite(F_MSR_BITMAP, (u64)g_page());
	apic_enable();
	g_trap_fn[0x61] = on_leak;
	for (i = 0; i < STORM; i++) {
		asked = i + 1;
		vmx_expect(R_EXTINT, "an interrupt for L1");
		G_EQ(vmread(F_INTR_INFO), 0x80000061, "its vector");
		apic_eoi();
	}
}

/* Sends each interrupt after L2 has run for a while, whose length varies. */
static void *storm(void *arg)
{
	struct vm *vm = arg;
	struct kvm_msi msi = { .address_lo = APIC_BASE, .data = 0x61 };
	unsigned int delay;
	u64 i;

	for (i = 0; i < STORM; i++) {
		while (GUEST(vm, asked) <= i && !storm_over)
			relax();
		for (delay = rand() % 2048; delay; delay--)
			relax();
		DO(vm->fd, KVM_SIGNAL_MSI, &msi);
	}
	return NULL;
}

static void host_storm(void)
{
	struct vm vm;
	pthread_t t;

	if (sysconf(_SC_NPROCESSORS_ONLN) < 2)
		ksft_skip("one processor");
	vm_create(&vm, KSFT_IRQCHIP);
	if (!vm_has_vmx(&vm))
		ksft_skip("no VMX");
	vcpu_create(&vm, 0, guest_storm);
	storm_over = false;
	pthread_create(&t, NULL, storm, &vm);
	vcpu_run_to_end(&vm.vcpu[0]);
	storm_over = true;
	pthread_join(t, NULL);
	vm_destroy(&vm);
}

static const struct ksft_test tests[] = {
	{ "two VMCSs used in turn", .guest = guest_two_vmcs, .flags = KSFT_VMX },
	{ "two vCPUs run L2", .host = host_two },
	{ "a VMCS moves from one vCPU to another", .host = host_hand_over },
	{ "kill -9 while L2 runs", .host = host_kill },
	{ "signals and immediate_exit while L2 runs", .host = host_signal },
	{ "a vCPU that runs L2 moves between processors", .host = host_migrate },
	{ "interrupts for L1 at any moment while L2 runs", .host = host_storm },
};
KSFT_MAIN(tests)
