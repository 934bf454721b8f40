// SPDX-License-Identifier: GPL-2.0
/* The basics of running L2: entry, an exit, general registers, resume. */
#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include "save.h"
#include "vmx.h"

static volatile u64 seen;

static void l2_vmcall(void)
{
	seen = 42;
	asm volatile("vmcall");
	seen = 43;
	asm volatile("vmcall");
}

static void guest_enter(void)
{
	vmcs_new(l2_vmcall);
	vmx_expect(R_VMCALL, "first exit");
	G_EQ(seen, 42, "L2 ran");
	G_EQ(vmread(F_ILEN), 3, "length of VMCALL");
	G_EQ(vmread(F_QUAL), 0, "qualification of VMCALL");
	vmx_skip();
	vmx_expect(R_VMCALL, "second exit");
	G_EQ(seen, 43, "L2 continued");
	G_EQ(vmxoff(), VM_OK, "VMXOFF");
}

/* Each register moves to the next one. */
static void __attribute__((naked)) l2_registers(void)
{
	asm volatile("1: xchg %rax, %rbx; xchg %rbx, %rcx; xchg %rcx, %rdx; xchg %rdx, %rsi; xchg %rsi, %rdi;"
		     "xchg %rdi, %rbp; xchg %rbp, %r8; xchg %r8, %r9; xchg %r9, %r10; xchg %r10, %r11;"
		     "xchg %r11, %r12; xchg %r12, %r13; xchg %r13, %r14; xchg %r14, %r15; vmcall; jmp 1b");
}

static void guest_registers(void)
{
	u64 *r = (u64 *)&l2, i, round;

	vmcs_new(l2_registers);
	for (i = 0; i < 15; i++)
		r[i] = 0x1111111111111111ul * (i + 1);
	for (round = 1; round <= 20; round++) {
		vmx_expect(R_VMCALL, "exit");
		vmx_skip();
		for (i = 0; i < 15; i++)
			G_EQN(r[i], 0x1111111111111111ul * ((i + round) % 15 + 1), "register after rotation", i);
	}
}

static void l2_cpuids(void)
{
	u64 i;

	for (i = 0; i < 1000; i++) {
		u32 a, b, c, d;

		cpuid(0x40000000 + i, i, &a, &b, &c, &d);
		if (a != i * 3 || d != i * 7)
			asm volatile("ud2");
	}
	asm volatile("vmcall");
}

static void guest_cpuids(void)
{
	u64 i;

	vmcs_new(l2_cpuids);
	for (i = 0; i < 1000; i++) {
		vmx_expect(R_CPUID, "CPUID");
		G_EQ(vmread(F_ILEN), 2, "length of CPUID");
		G_EQ((u32)l2.rax, 0x40000000 + i, "leaf");
		G_EQ((u32)l2.rcx, i, "index");
		l2.rax = i * 3;
		l2.rbx = i * 5;
		l2.rcx = 0;
		l2.rdx = i * 7;
		vmx_skip();
	}
	vmx_expect(R_VMCALL, "the end");
}

/* An OUT of L2 that L1 does not intercept exits to the VM's user space. */
static void l2_reports(void)
{
	g_sync(7);
	g_sync(8);
	asm volatile("vmcall");
}

static void guest_l2_io(void)
{
	vmcs_new(l2_reports);
	vmx_expect(R_VMCALL, "L2 ends");
	g_sync(9);
}

static void host_l2_io(void)
{
	struct vm vm;
	struct vcpu *vcpu;

	vm_create(&vm, 0);
	if (!vm_has_vmx(&vm))
		ksft_skip("no VMX");
	vcpu = vcpu_create(&vm, 0, guest_l2_io);
	vcpu_run_to_sync(vcpu, 7);
	vcpu_run_to_sync(vcpu, 8);
	vcpu_run_to_sync(vcpu, 9);
	vcpu_run_to_end(vcpu);
}

/* A debugger's software breakpoints, switched while L2 runs: INT3 in L1 or L2 exits while enabled, else raises #BP. */
extern char l2_int3[], l1_int3[], l1_own_int3[];
static volatile u64 own_breakpoints;

static void on_breakpoint(struct trap_regs *r)
{
	own_breakpoints++;
	G_EQ(r->rip, (u64)l1_own_int3 + 1, "#BP is a trap");
}

static void l2_breaks(void)
{
	g_sync(7);
	asm volatile("l2_int3: int3" : : : "memory");
	asm volatile("vmcall");
	g_sync(8);
	asm volatile("vmcall");
}

static void guest_breaks(void)
{
	g_trap_fn[VEC_BP] = on_breakpoint;
	vmcs_new(l2_breaks);
	vmx_expect(R_VMCALL, "L2's first exit");
	vmx_skip();
	asm volatile("l1_int3: int3" : : : "memory");
	vmx_expect(R_VMCALL, "L2's second exit");
	asm volatile("l1_own_int3: int3" : : : "memory");
	G_EQ(own_breakpoints, 1, "#BPs taken by L1's handler");
}

static void expect_breakpoint(struct vcpu *vcpu, char *at)
{
	struct kvm_regs regs;

	EQ(vcpu_run_once(vcpu), 0, "run");
	EQ(vcpu->run->exit_reason, KVM_EXIT_DEBUG, "INT3");
	EQ(vcpu->run->debug.arch.pc, (u64)at, "its address");
	DO(vcpu->fd, KVM_GET_REGS, &regs);
	regs.rip++;
	DO(vcpu->fd, KVM_SET_REGS, &regs);
}

static void host_breaks(void)
{
	struct kvm_guest_debug d = { .control = KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_USE_SW_BP };
	struct vm vm;
	struct vcpu *vcpu;

	vm_create(&vm, 0);
	if (!vm_has_vmx(&vm))
		ksft_skip("no VMX");
	if (!is_droste())
		ksft_skip("KVM does not update VMCS01's exception bitmap");
	vcpu = vcpu_create(&vm, 0, guest_breaks);
	vcpu_run_to_sync(vcpu, 7);
	DO(vcpu->fd, KVM_SET_GUEST_DEBUG, &d);
	expect_breakpoint(vcpu, l2_int3);
	expect_breakpoint(vcpu, l1_int3);
	vcpu_run_to_sync(vcpu, 8);
	d.control = 0;
	DO(vcpu->fd, KVM_SET_GUEST_DEBUG, &d);
	vcpu_run_to_end(vcpu);
}

static const struct ksft_test tests[] = {
	{ "VMLAUNCH, an exit, VMRESUME", .guest = guest_enter, .flags = KSFT_VMX },
	{ "general registers of L2", .guest = guest_registers, .flags = KSFT_VMX },
	{ "1000 CPUIDs of L2 handled by L1", .guest = guest_cpuids, .flags = KSFT_VMX },
	{ "port I/O of L2 that only user space sees", .host = host_l2_io },
	{ "software breakpoints of a debugger, enabled and disabled in L2", .host = host_breaks },
};
KSFT_MAIN(tests)
