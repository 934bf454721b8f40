// SPDX-License-Identifier: GPL-2.0
/* The minimum a VM must support: C code, exceptions, CPL 3 and back. */
#include <string.h>
#include "guest.h"
#include "vm.h"

static void guest_sums(void)
{
	u64 i, sum = 0;

	for (i = 1; i <= 100000; i++)
		sum += i;
	G_EQ(sum, 5000050000ul, "sum");
}

static u64 in_user(u64 arg)
{
	return arg * 2 + (read_cs() & 3);
}

static u64 user_cli(u64 arg)
{
	return TRY_INSN("cli");
}

static u64 user_rdmsr(u64 arg)
{
	u64 v;

	return try_rdmsr(MSR_EFER, &v);
}

static void guest_user(void)
{
	G_EQ(g_user(in_user, 20), 43, "CPL 3 runs");
	G_EQ(g_user(user_cli, 0), GP0, "CLI at CPL 3");
	G_EQ(g_user(user_rdmsr, 0), GP0, "RDMSR at CPL 3");
}

static volatile u64 traps;

static void on_trap(struct trap_regs *r)
{
	traps++;
}

static void on_divide(struct trap_regs *r)
{
	traps++;
	r->rip += 2;
}

static void guest_faults(void)
{
	u64 v, f, *pte;
	u8 *p = g_page();

	G_EQ(TRY_INSN("ud2"), UD, "UD2");
	g_trap_fn[VEC_DE] = on_divide;
	asm volatile("xor %%ecx, %%ecx; .byte 0xf7, 0xf1" : : : "ecx", "eax", "edx", "cc");	/* DIV ECX */
	G_EQ(traps, 1, "#DE");
	g_trap_fn[VEC_BP] = on_trap;
	asm volatile("int3");
	G_EQ(traps, 2, "#BP");
	G_EQ(try_read64(0x8000000000000000ul, &v), GP0, "a non-canonical address");
	pte = g_pte((u64)p);
	G_EQ(try_write8((u64)p, 1), NO_FAULT, "a mapped page");
	*pte &= ~1ul;
	invlpg((u64)p);
	f = try_write8((u64)p, 1);
	G_EQ(f, FAULT(VEC_PF, 2), "write to a page that is not present");
	G_EQ(read_cr2(), (u64)p, "CR2");
	f = try_read8((u64)p + 7);
	G_EQ(f, FAULT(VEC_PF, 0), "read of a page that is not present");
	G_EQ(read_cr2(), (u64)p + 7, "CR2");
	*pte = (*pte | 1) & ~2ul;
	invlpg((u64)p);
	G_EQ(try_read8((u64)p), NO_FAULT, "read of a read-only page");
	G_EQ(try_write8((u64)p, 1), FAULT(VEC_PF, 3), "write to a read-only page");
	*pte |= 2 | 1ul << 51;
	invlpg((u64)p);
	if ((CPUID_REG(0x80000008, 0, a) & 0xff) < 52) {
		f = try_read8((u64)p);
		G_EQ(f, FAULT(VEC_PF, 9), "a reserved bit");
	}
}

static void host_counts(void)
{
	struct vm vm;
	struct vcpu *vcpu;

	vm_create(&vm, 0);
	vcpu = vcpu_create(&vm, 0, guest_sums);
	vcpu_run_to_end(vcpu);
	vcpu_start(vcpu, guest_sums, 0);
	vcpu_run_to_end(vcpu);
	vm_destroy(&vm);
}

static void host_many_vms(void)
{
	int i;

	for (i = 0; i < 20; i++)
		host_counts();
}

static const struct ksft_test tests[] = {
	{ "a guest computes", .guest = guest_sums },
	{ "the same vCPU runs twice", .host = host_counts },
	{ "faults and their error codes", .guest = guest_faults },
	{ "CPL 3 and back", .guest = guest_user },
	{ "20 VMs one after the other", .host = host_many_vms },
};
KSFT_MAIN(tests)
