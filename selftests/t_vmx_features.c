// SPDX-License-Identifier: GPL-2.0
/* Features and MSRs across VM entries and exits: what L2 gets, and what comes back to L1. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include "save.h"
#include "vmx.h"

#define MSR_SPEC_CTRL	0x48

static struct kvm_cpuid_entry2 *leaf(struct kvm_cpuid2 *c, u32 fn)
{
	u32 i;

	for (i = 0; i < c->nent; i++)
		if (c->entries[i].function == fn && !c->entries[i].index)
			return &c->entries[i];
	return NULL;
}

static void on_droste(void (*fn)(void), const char *why)
{
	struct vm vm;
	struct vcpu *vcpu;

	if (!is_droste())
		ksft_skip("%s", why);
	vm_create(&vm, 0);
	if (!vm_has_vmx(&vm))
		ksft_skip("no VMX");
	vcpu = vcpu_create(&vm, 0, fn);
	vcpu_run_to_end(vcpu);
	vm_destroy(&vm);
}

/* L2 accesses MSRs without exits to L1. */
static void pass_msrs(void)
{
	need(F_PROC, PROC_MSR_BITMAPS, "MSR bitmaps");
	vmwrite(F_MSR_BITMAP, (u64)g_page());
}

/* --- RDRAND --- */

static volatile u64 l2_fault[2];

static void l2_random(void)
{
	u64 f;

	asm volatile(TRY("rdrand %%rax") "mov %%r11, %0" : "=r" (f) : : "rax", "r11", "cc");
	l2_fault[0] = f;
	asm volatile(TRY("rdseed %%rax") "mov %%r11, %0" : "=r" (f) : : "rax", "r11", "cc");
	l2_fault[1] = f;
	asm volatile("vmcall");
}

static void guest_random(void)
{
	vmcs_new(l2_random);
	G_OK(!ctl_has(F_PROC2, SEC_RDRAND), "RDRAND exiting is not offered where CPUID lacks RDRAND");
	G_OK(!ctl_has(F_PROC2, SEC_RDSEED), "RDSEED exiting is not offered where CPUID lacks RDSEED");
	vmx_expect(R_VMCALL, "L2 ends");
	G_EQ(l2_fault[0], UD, "RDRAND in L2 of an L1 without it");
	G_EQ(l2_fault[1], UD, "RDSEED in L2 of an L1 without it");
}

static void host_random(void)
{
	struct vm vm;
	struct vcpu *vcpu;
	struct kvm_cpuid2 *c;

	vm_create(&vm, 0);
	if (!vm_has_vmx(&vm))
		ksft_skip("no VMX");
	vcpu = vcpu_create(&vm, 0, guest_random);
	c = supported_cpuid(vm.dev);
	leaf(c, 1)->ecx &= ~BIT(30);
	leaf(c, 7)->ebx &= ~BIT(18);
	DO(vcpu->fd, KVM_SET_CPUID2, c);
	vcpu_run_to_end(vcpu);
	free(c);
	vm_destroy(&vm);
}

/* Where CPUID has RDRAND, L1 may intercept it in L2. */
static void guest_random_exits(void)
{
	vmcs_new(l2_random);
	need_secondary(SEC_RDRAND | SEC_RDSEED, "RDRAND and RDSEED exiting");
	vmx_expect(R_RDRAND, "RDRAND exits");
	vmx_skip();
	vmx_expect(R_RDSEED, "RDSEED exits");
	vmx_skip();
	vmx_expect(R_VMCALL, "L2 ends");
}

/* --- CR0.CD and CR0.NW --- */

static volatile u64 l2_cr0;

static void l2_reads_cr0(void)
{
	for (;;) {
		l2_cr0 = read_cr0();
		asm volatile("vmcall");
		write_cr0(read_cr0() & ~CR0_CD);
		asm volatile("vmcall");
		write_cr0(read_cr0() | CR0_CD);
		asm volatile("vmcall");
	}
}

/* VM entries and exits do not load CR0.CD and CR0.NW (SDM 3C 27.3.2.1, 28.5.1). */
static void guest_cr0(void)
{
	u64 cr0 = read_cr0(), round;

	vmcs_new(l2_reads_cr0);
	for (round = 0; round < 2; round++) {
		/* In the second round L1 owns the bits. MOV from CR0 then reads the shadow. */
		if (round) {
			vmwrite(F_CR0_MASK, CR0_CD | CR0_NW);
			vmwrite(F_CR0_SHADOW, 0);
		}
		write_cr0(cr0 | CR0_CD);
		vmwrite(F_GUEST_CR0, vmread(F_GUEST_CR0) & ~CR0_CD);
		vmwrite(F_HOST_CR0, cr0);
		vmx_expect(R_VMCALL, "L2 has read CR0");
		vmx_skip();
		G_EQN(l2_cr0 & CR0_CD, round ? 0 : CR0_CD, "the entry leaves CD set", round);
		G_EQN(vmread(F_GUEST_CR0) & CR0_CD, CR0_CD, "the exit saves CD", round);
		G_EQN(read_cr0() & CR0_CD, CR0_CD, "the exit leaves CD set", round);
		if (round)
			break;
		vmwrite(F_HOST_CR0, cr0 | CR0_CD);
		vmx_expect(R_VMCALL, "L2 has cleared CD");
		vmx_skip();
		G_EQ(vmread(F_GUEST_CR0) & CR0_CD, 0, "the exit saves CD");
		G_EQ(read_cr0() & CR0_CD, 0, "the exit leaves CD clear");
		vmx_expect(R_VMCALL, "L2 has set CD");
		vmx_skip();
		G_EQ(read_cr0() & CR0_CD, CR0_CD, "the exit leaves CD set");
		/* L1 clears it; nothing in VMCS12 changes. */
		write_cr0(cr0);
		vmx_expect(R_VMCALL, "L2 has read CR0");
		vmx_skip();
		G_EQ(l2_cr0 & CR0_CD, 0, "the entry leaves CD clear");
		vmx_expect(R_VMCALL, "L2 has cleared CD");
		vmx_skip();
		vmx_expect(R_VMCALL, "L2 has set CD");
		vmx_skip();
	}
	write_cr0(cr0);
}

static void host_cr0(void)
{
	on_droste(guest_cr0, "KVM loads CD and NW");
}

/* --- IA32_DEBUGCTL --- */

static volatile u64 l2_debugctl;

static void l2_reads_debugctl(void)
{
	for (;;) {
		l2_debugctl = rdmsr(MSR_DEBUGCTL);
		asm volatile("vmcall");
	}
}

static void guest_debugctl(void)
{
	static const u64 vals[] = { 1, 3, 2, BIT(9), 0 };
	u64 i;

	vmcs_new(l2_reads_debugctl);
	pass_msrs();
	need(F_ENTRY_CTLS, ENTRY_LOAD_DEBUG, "load debug controls");
	need(F_EXIT_CTLS, EXIT_SAVE_DEBUG, "save debug controls");
	for (i = 0; i < ARRAY_SIZE(vals); i++) {
		wrmsr(MSR_DEBUGCTL, 1);
		vmwrite(F_GUEST_DEBUGCTL, vals[i]);
		vmx_expect(R_VMCALL, "L2 ran");
		vmx_skip();
		G_EQN(l2_debugctl, vals[i], "L2 reads the entry's IA32_DEBUGCTL (SDM 3C 27.3.2.1)", vals[i]);
		G_EQN(vmread(F_GUEST_DEBUGCTL), vals[i], "the exit saves it (SDM 3C 28.3.1)", vals[i]);
		G_EQN(rdmsr(MSR_DEBUGCTL), 0, "the exit clears L1's (SDM 3C 28.5.1)", vals[i]);
	}
	vmclr(F_ENTRY_CTLS, ENTRY_LOAD_DEBUG);
	wrmsr(MSR_DEBUGCTL, 3);
	vmwrite(F_GUEST_DEBUGCTL, 0);
	vmx_expect(R_VMCALL, "L2 ran");
	G_EQ(l2_debugctl, 3, "without the entry control, L2 keeps L1's");
	G_EQ(vmread(F_GUEST_DEBUGCTL), 3, "the exit saves it");
}

static void host_debugctl(void)
{
	on_droste(guest_debugctl, "KVM without a virtual PMU drops LBR");
}

/* VM entry refuses the bits of IA32_DEBUGCTL that WRMSR refuses (SDM 3C 27.3.1.1). */
static void guest_debugctl_bits(void)
{
	u64 i, f, r;

	vmcs_new(l2_reads_debugctl);
	pass_msrs();
	need(F_ENTRY_CTLS, ENTRY_LOAD_DEBUG, "load debug controls");
	for (i = 0; i < 64; i++) {
		f = try_wrmsr(MSR_DEBUGCTL, BIT(i));
		wrmsr(MSR_DEBUGCTL, 0);
		vmwrite(F_GUEST_DEBUGCTL, BIT(i));
		r = vmx_run();
		G_EQN(r == (R_BAD_GUEST | R_FAILED_ENTRY), f == GP0, "VM entry and WRMSR agree on a bit", i);
		if (r == R_VMCALL)
			vmx_skip();
	}
}

static void host_debugctl_bits(void)
{
	on_droste(guest_debugctl_bits, "KVM accepts BTF and LBR in WRMSR without a virtual PMU");
}

/* --- IA32_TSC in the MSR-store list --- */

struct msr_entry {
	u32 msr, reserved;
	u64 val;
};

static void l2_vmcall(void)
{
	for (;;)
		asm volatile("vmcall");
}

/* The TSC offset and multiplier apply to RDMSR in L2, not to what the exit stores (SDM 3C 25.6.5, 28.4). */
static void guest_stored_tsc(void)
{
	struct msr_entry *store = g_page();
	u64 t0, t1, round;

	vmcs_new(l2_vmcall);
	need(F_PROC, PROC_TSC_OFFSET, "TSC offsetting");
	vmwrite(F_TSC_OFFSET, 1ul << 40);
	store->msr = MSR_TSC;
	vmwrite(F_EXIT_MSR_STORE, (u64)store);
	vmwrite(F_EXIT_STORE_COUNT, 1);
	for (round = 0; round < 2; round++) {
		if (round) {
			if (!ctl_has(F_PROC2, SEC_TSC_SCALING))
				break;
			vmset(F_PROC, PROC_SECONDARY);
			vmset(F_PROC2, SEC_TSC_SCALING);
			vmwrite(F_TSC_MULTIPLIER, 2ul << 48);
		}
		t0 = rdtsc();
		vmx_expect(R_VMCALL, "L2 ran");
		t1 = rdtsc();
		vmx_skip();
		G_OK(store->val >= t0, "the TSC that the exit stores is not below L1's before the entry");
		G_OK(store->val <= t1, "the TSC that the exit stores is not above L1's after the exit");
	}
}

/* --- IA32_SPEC_CTRL --- */

static volatile u64 l2_spec;

static void l2_speculates(void)
{
	for (;;) {
		l2_spec = rdmsr(MSR_SPEC_CTRL);
		wrmsr(MSR_SPEC_CTRL, 1);
		asm volatile("vmcall");
		wrmsr(MSR_SPEC_CTRL, 0);
		asm volatile("vmcall");
	}
}

/* VM entries and exits do not change IA32_SPEC_CTRL: L1 loads it, by its lists for instance. */
static void guest_speculation(void)
{
	u64 round;

	if (!(CPUID_REG(7, 0, d) & BIT(26)))
		g_skip("no IA32_SPEC_CTRL");
	vmcs_new(l2_speculates);
	pass_msrs();
	for (round = 0; round < 2; round++) {
		wrmsr(MSR_SPEC_CTRL, round);
		vmx_expect(R_VMCALL, "L2 ran");
		vmx_skip();
		G_EQN(l2_spec, round, "L2 starts with L1's IA32_SPEC_CTRL", round);
		G_EQN(rdmsr(MSR_SPEC_CTRL), 1, "L1 gets what L2 left", round);
		/* IBPB between two runs of L2. */
		G_EQN(try_wrmsr(0x49, 1), NO_FAULT, "IBPB of L1", round);
		vmx_expect(R_VMCALL, "L2 ran");
		vmx_skip();
		G_EQN(rdmsr(MSR_SPEC_CTRL), 0, "L1 gets what L2 left", round);
	}
}

/* --- CPUID below a running L2 --- */

static void l2_syncs(void)
{
	g_sync(7);
	g_sync(8);
	asm volatile("vmcall");
}

static void guest_l2_syncs(void)
{
	vmcs_new(l2_syncs);
	vmx_expect(R_VMCALL, "L2 ends");
}

static void host_cpuid(void)
{
	static struct saved_vcpu saved;
	struct vm vm;
	struct vcpu *vcpu;
	struct kvm_cpuid2 *c;

	if (!is_droste())
		ksft_skip("KVM takes the CPUID of a vCPU that has not run");
	vcpu = vmx_vm(&vm, guest_l2_syncs);
	vcpu_run_to_sync(vcpu, 7);
	vcpu_save(vcpu, &saved);
	vm_replace(&vm);
	vcpu = vcpu_create(&vm, 0, NULL);
	vcpu_restore(vcpu, &saved, ORDER_QEMU);
	/* The vCPU has not run, but it is in VMX operation. */
	c = supported_cpuid(vm.dev);
	leaf(c, 1)->ecx &= ~BIT(5);
	FAILS(vcpu->fd, KVM_SET_CPUID2, c, EINVAL);
	leaf(c, 1)->ecx |= BIT(5);
	DO(vcpu->fd, KVM_SET_CPUID2, c);
	EQ(vcpu_set_msr(vcpu, MSR_VMX_MISC, 0), -1, "narrower capabilities");
	vcpu_run_to_sync(vcpu, 8);
	vcpu_run_to_end(vcpu);
	free(c);
	vm_destroy(&vm);
}

/* --- UMIP in L2 --- */

static volatile u64 l2_umip_fault;

struct dt {
	u16 limit;
	u64 base;
} __attribute__((packed));

static u64 user_sidt(u64 arg)
{
	struct dt d;
	u64 f;

	asm volatile(TRY("sidt %1") "mov %%r11, %0" : "=r" (f), "=m" (d) : : "r11", "memory");
	return f;
}

static void l2_umip(void)
{
	struct dt d;

	l2_umip_fault = g_user(user_sidt, 0);
	asm volatile("sidt %0; lidt %0" : "=m" (d) : : "memory");
	asm volatile("vmcall");
}

static void guest_umip(void)
{
	if (!(CPUID_REG(7, 0, c) & BIT(2)))
		g_skip("no UMIP");
	vmcs_new(l2_umip);
	G_OK(rdmsr(MSR_VMX_CR4_FIXED1) & BIT(11), "IA32_VMX_CR4_FIXED1 has UMIP");
	vmwrite(F_GUEST_CR4, vmread(F_GUEST_CR4) | BIT(11));
	vmx_expect(R_VMCALL, "L2 ends");
	G_EQ(l2_umip_fault, GP0, "SIDT of L2 at CPL 3 with CR4.UMIP");
	if (!ctl_has(F_PROC2, SEC_DESC))
		return;
	vmcs_new(l2_umip);
	vmset(F_PROC, PROC_SECONDARY);
	vmset(F_PROC2, SEC_DESC);
	vmx_expect(R_GDTR_IDTR, "SIDT of L2 at CPL 3 exits to L1 without CR4.UMIP");
	/* The fault comes before the exit (SDM 3C 26.1.1). */
	vmcs_new(l2_umip);
	vmset(F_PROC, PROC_SECONDARY);
	vmset(F_PROC2, SEC_DESC);
	vmwrite(F_GUEST_CR4, vmread(F_GUEST_CR4) | BIT(11));
	l2_umip_fault = 0;
	vmx_expect(R_GDTR_IDTR, "SIDT of L2 at CPL 0 exits");
	G_EQ(l2_umip_fault, GP0, "SIDT of L2 at CPL 3 faults first");
}

static u8 umip_bitmap[4096] __attribute__((aligned(4096)));

static void l2_umip_loop(void)
{
	for (;;) {
		l2_umip_fault = g_user(user_sidt, 0);
		asm volatile("vmcall");
	}
}

/* L1 and L2 take turns, with all that Linux's hypervisor asks for. One of them has CR4.UMIP. */
static void umip_of(bool l2)
{
	u64 umip = BIT(11);

	vmcs_usual(l2_umip_loop, umip_bitmap, ept_new());
	write_cr4(l2 ? read_cr4() & ~umip : read_cr4() | umip);
	vmwrite(F_HOST_CR4, read_cr4());
	vmwrite(F_GUEST_CR4, l2 ? vmread(F_GUEST_CR4) | umip : vmread(F_GUEST_CR4) & ~umip);
	for (int turn = 0; turn < 20; turn++) {
		l2_umip_fault = ~0ull;
		vmx_expect(R_VMCALL, "L2's turn");
		vmx_skip();
		G_EQ(l2_umip_fault, l2 ? GP0 : 0, "SIDT of L2 at CPL 3");
		G_EQ(g_user(user_sidt, 0), l2 ? 0 : GP0, "SIDT of L1 at CPL 3");
	}
	write_cr4(read_cr4() & ~umip);
}

static void guest_umip_levels(void)
{
	if (!(CPUID_REG(7, 0, c) & BIT(2)))
		g_skip("no UMIP");
	vmx_on();
	umip_of(false);
	umip_of(true);
}

/* --- bits of CR0 that user space has fixed --- */

static void l2_moves_cr0(void)
{
	for (;;)
		write_cr0(read_cr0() ^ CR0_TS);
}

/* L1 answers L2's MOV to CR0, which its mask owns. */
static void guest_cr0_fixed(void)
{
	u64 i;

	vmx_on();
	vmcs_usual(l2_moves_cr0, umip_bitmap, ept_new());
	vmwrite(F_CR0_MASK, CR0_TS | CR0_WP);
	vmwrite(F_GUEST_CR0, vmread(F_GUEST_CR0) | CR0_WP);
	vmwrite(F_CR0_SHADOW, vmread(F_GUEST_CR0));
	for (i = 0; i < 60; i++) {
		vmx_expect(R_CR, "MOV to CR0");
		vmwrite(F_CR0_SHADOW, vmread(F_CR0_SHADOW) ^ CR0_TS);
		vmwrite(F_GUEST_CR0, vmread(F_GUEST_CR0) ^ CR0_TS);
		vmx_skip();
	}
	vmx_expect(R_CR, "the last MOV to CR0");
	vmwrite(F_GUEST_CR0, vmread(F_GUEST_CR0) & ~CR0_WP);
	vmx_expect(BIT(31) | R_BAD_GUEST, "CR0.WP is fixed to 1");
}

static void host_cr0_fixed(void)
{
	struct vm vm;
	struct vcpu *vcpu = vmx_vm(&vm, guest_cr0_fixed);

	if (vcpu_set_msr(vcpu, MSR_VMX_CR0_FIXED0, 0x80010021))
		ksft_skip("IA32_VMX_CR0_FIXED0 cannot be changed");
	vcpu_run_to_end(vcpu);
	vm_destroy(&vm);
}

static const struct ksft_test tests[] = {
	{ "RDRAND and RDSEED of L2, hidden from L1", .host = host_random },
	{ "RDRAND and RDSEED of L2, intercepted by L1", .guest = guest_random_exits, .flags = KSFT_VMX },
	{ "CR0.CD and NW stay as they are", .host = host_cr0 },
	{ "IA32_DEBUGCTL in VMCS12", .host = host_debugctl },
	{ "IA32_DEBUGCTL: VM entry and WRMSR refuse the same bits", .host = host_debugctl_bits },
	{ "IA32_TSC in the MSR-store list is L1's", .guest = guest_stored_tsc, .flags = KSFT_VMX },
	{ "IA32_SPEC_CTRL of L1 and L2", .guest = guest_speculation, .flags = KSFT_VMX },
	{ "CPUID and capabilities below a restored L2", .host = host_cpuid },
	{ "UMIP in L2", .guest = guest_umip, .flags = KSFT_VMX },
	{ "CR0 bits that user space has fixed", .host = host_cr0_fixed },
	{ "UMIP of one level", .guest = guest_umip_levels, .flags = KSFT_VMX },
};
KSFT_MAIN(tests)
