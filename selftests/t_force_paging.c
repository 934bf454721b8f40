// SPDX-License-Identifier: GPL-2.0
/* DROSTE_FORCE_EXITS and page tables: MOV to CR3, INVLPG and INVPCID do what they do without the exit, in L1 and L2. */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/droste.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include "vm.h"
#include "vmx.h"

#define LOW	0xfffffffful
enum { WITH_EPT = 1 };

/* Runs the guest with @mask. Returns its exits in @s. */
static void run_with(void (*guest)(void), u64 mask, struct droste_exit_stats *s)
{
	struct vm vm;
	struct vcpu *vcpu;

	vm_create(&vm, 0);
	EQ(vm_force_exits(&vm, mask), 0, "the mask");
	vcpu = vcpu_create(&vm, 0, guest);
	vcpu_run_to_end(vcpu);
	DO(vcpu->fd, DROSTE_GET_EXIT_STATS, s);
	vm_destroy(&vm);
}

/* The bits that this host supports. Skips the test if there are none, or if there is no L2. */
static u64 forceable(bool l2)
{
	struct vm vm;
	u64 supported;

	vm_create(&vm, 0);
	supported = vm_forceable(&vm);
	if (!supported || (l2 && !vm_has_vmx(&vm)))
		ksft_skip("no DROSTE_FORCE_EXITS, or no VMX for guests");
	vm_destroy(&vm);
	return supported;
}

/* --- translations: a new one must be used after the instruction, under each mask --- */

#define PROBE	0x40000000ul	/* a page of the tests' own, mapped one to one at first */

static u64 *probe_pte;
static u64 probe_page[2];
static u64 has_invpcid;

/* Maps the other page, drops the translation by @how, and returns what is there. */
static u64 remap(int n, int how)
{
	struct inv_desc d = { 0, PROBE };

	G_MUST(try_read8(PROBE) == NO_FAULT, "the old translation");
	*probe_pte = probe_page[n] | 7;
	if (how == 0)
		write_cr3(read_cr3());
	else if (how == 1)
		invlpg(PROBE);
	else
		asm volatile("invpcid %0, %1" : : "m" (d), "r" ((u64)how - 2) : "memory");
	return *(volatile u64 *)PROBE;
}

static void remap_all(void)
{
	int how, n;

	for (how = 0; how < (has_invpcid ? 6 : 2); how++)
		for (n = 0; n < 4; n++)
			G_EQN(remap(n & 1, how), n & 1 ? 0x2222 : 0x1111, "the new translation", how);
}

static void remap_begin(void)
{
	has_invpcid = CPUID_REG(7, 0, b) & BIT(10);
	probe_pte = g_pte(PROBE);
	probe_page[0] = (u64)g_page();
	probe_page[1] = (u64)g_page();
	*(u64 *)probe_page[0] = 0x1111;
	*(u64 *)probe_page[1] = 0x2222;
	*probe_pte = probe_page[1] | 7;
}

static void guest_remaps(void)
{
	remap_begin();
	remap_all();
	g_done();
}

static void l2_remaps(void)
{
	remap_all();
	TRY_INSN("vmcall");
}

/* INVPCID needs a control in L2. */
static void use_invpcid(void)
{
	if (ctl_has(F_PROC, PROC_SECONDARY) && ctl_has(F_PROC2, SEC_INVPCID))
		need_secondary(SEC_INVPCID, "no control");
	else
		has_invpcid = 0;
}

static void guest_l2_remaps(void)
{
	vmx_on();
	remap_begin();
	vmcs_new(l2_remaps);
	ept_use(ept_new());
	need_secondary(SEC_VPID, "no VPID");
	vmwrite(F_VPID, 1);
	use_invpcid();
	vmx_expect(R_VMCALL, "L1 sees no exit");
	g_done();
}

static void translations(void (*guest)(void))
{
	struct droste_exit_stats s;

	run_with(guest, 0, &s);
	run_with(guest, DROSTE_FORCE_CR3_LOAD | DROSTE_FORCE_INVLPG, &s);
	OK(s.exits[R_CR] && s.exits[R_INVLPG], "the instructions exit");
}

static void test_translations(void)
{
	forceable(false);
	translations(guest_remaps);
}

static void test_l2_translations(void)
{
	forceable(true);
	translations(guest_l2_remaps);
}

/* --- PAE paging: MOV to CR3 also loads the four PDPTEs (SDM 3A 4.4.1) --- */

#define PAE_AT	0x40000000u	/* in the second GiB: the tables say which page is there */

extern char pae_l1[], pae_gp[], pae_l2[];
asm(".pushsection .text\n.code32\n"
	"pae_l1: mov %eax, %cr3; mov (%ebx), %ecx; mov %cr3, %edx; hlt\n"
	"pae_gp: pop %esi; mov $13, %edi; hlt\n"
	"pae_l2: mov %eax, %cr3; mov (%ebx), %ecx; mov %cr3, %edx; vmcall\n"
	".code64\n.popsection\n");

/* Two sets of tables, and one with a reserved bit. The first GiB is mapped one to one. */
static u64 pae_pdpt[3][4] __attribute__((aligned(32)));
static u64 pae_pd[3][512] __attribute__((aligned(4096)));
static u64 pae_pt[2][512] __attribute__((aligned(4096)));
static u64 pae_page[2][512] __attribute__((aligned(4096)));
static u64 pae_idt[14];

static void pae_make(void)
{
	u64 i;

	for (i = 0; i < 512; i++)
		pae_pd[2][i] = i << 21 | 0x83;
	for (i = 0; i < 3; i++) {
		pae_pdpt[i][0] = (u64)pae_pd[2] | 1;
		pae_pdpt[i][1] = (u64)pae_pd[i & 1] | 1;
		pae_pdpt[i][3] = i == 2 ? BIT(1) | 1 : 0;
	}
	for (i = 0; i < 2; i++) {
		pae_pd[i][0] = (u64)pae_pt[i] | 3;
		pae_pt[i][0] = (u64)pae_page[i] | 3;
		pae_page[i][0] = 0x1000 + i;
	}
	/* An interrupt gate for #GP. */
	i = (u64)pae_gp;
	pae_idt[13] = (i & 0xffff) | SEL_CS32 << 16 | 0x8eul << 40 | (i >> 16) << 48;
}

/* Loads the tables @n in L1, and returns what is at PAE_AT; 0 if that raised #GP. */
static u64 pae_step(struct vcpu *vcpu, int n)
{
	struct kvm_regs r = { .rip = (u64)pae_l1, .rsp = 0x7000, .rflags = RFLAGS_FIXED, .rax = (u64)pae_pdpt[n], .rbx = PAE_AT };

	vcpu_set_regs(vcpu, &r);
	EQ(vcpu_run_once(vcpu), 0, "KVM_RUN");
	MUST(vcpu->run->exit_reason == KVM_EXIT_HLT, "exit reason %u", vcpu->run->exit_reason);
	vcpu_regs(vcpu, &r);
	if (r.rdi == 13) {
		EQ(r.rsi, 0, "error code");
		return 0;
	}
	EQ(r.rdx, (u64)pae_pdpt[n], "CR3");
	return r.rcx;
}

static void pae_l1_with(u64 mask)
{
	struct kvm_sregs s;
	struct vcpu *vcpu;
	struct vm vm;
	int turn;

	vm_create(&vm, 0);
	EQ(vm_force_exits(&vm, mask), 0, "the mask");
	vcpu = vcpu_create(&vm, 0, pae_make);
	vcpu_run_to_end(vcpu);
	vcpu_sregs(vcpu, &s);
	s.cs.selector = SEL_CS32;
	s.cs.l = 0;
	s.cs.db = 1;
	s.idt = (struct kvm_dtable) { .base = (u64)pae_idt, .limit = sizeof(pae_idt) - 1 };
	s.efer = 0;
	s.cr3 = (u64)pae_pdpt[0];
	vcpu_set_sregs(vcpu, &s);
	for (turn = 0; turn < 3; turn++) {
		EQ(pae_step(vcpu, 0), 0x1000, "the first tables");
		EQ(pae_step(vcpu, 1), 0x1001, "the second tables");
		EQ(pae_step(vcpu, 2), 0, "tables with a reserved bit");
		vcpu_sregs(vcpu, &s);
		EQ(s.cr3, (u64)pae_pdpt[1], "CR3 after #GP");
		/* The same CR3 loads what the PDPTEs are now. */
		GUEST(&vm, pae_pdpt)[1][1] = (u64)pae_pd[0] | 1;
		EQ(pae_step(vcpu, 1), 0x1000, "other PDPTEs");
		GUEST(&vm, pae_pdpt)[1][1] = (u64)pae_pd[1] | 1;
	}
	vm_destroy(&vm);
}

static void test_pae(void)
{
	u64 supported = forceable(false);

	pae_l1_with(0);
	pae_l1_with(DROSTE_FORCE_CR3_LOAD);
	pae_l1_with(supported);
}

static void pae_l2_step(int n, u64 value, const char *what)
{
	vmwrite(F_RIP, (u64)pae_l2);
	l2.rax = (u64)pae_pdpt[n];
	l2.rbx = PAE_AT;
	vmx_expect(value ? R_VMCALL : R_EXCEPTION, what);
	if (!value) {
		G_EQ(vmread(F_INTR_INFO), 0x80000b0d, "#GP(0)");
		G_EQ(vmread(F_RIP), (u64)pae_l2, "RIP of #GP");
		return;
	}
	G_EQ(l2.rcx & LOW, value, what);
	G_EQ(l2.rdx & LOW, (u64)pae_pdpt[n], "CR3");
	G_EQ(vmread(F_GUEST_CR3), (u64)pae_pdpt[n], "CR3");
}

static void guest_pae_l2(void)
{
	int turn, i;

	vmx_on();
	pae_make();
	vmcs_new((void (*)(void))(u64)pae_l2);
	if (g_arg() & WITH_EPT)
		ept_use(ept_new());
	need(F_ENTRY_CTLS, ENTRY_LOAD_EFER, "no load of IA32_EFER");
	need(F_EXIT_CTLS, EXIT_LOAD_EFER, "no load of IA32_EFER");
	vmclr(F_PROC, PROC_CR3_LOAD);
	if (vmread(F_PROC) & PROC_CR3_LOAD)
		g_skip("MOV to CR3 must exit");
	vmclr(F_ENTRY_CTLS, ENTRY_IA32E);
	vmwrite(F_GUEST_EFER, 0);
	vmwrite(F_CS_AR, 0xc09b);
	vmwrite(F_GUEST_CS, SEL_CS32);
	vmwrite(F_EXCEPTION_BITMAP, 0xffffffff);	/* the IDT is a 64-bit one */
	vmwrite(F_GUEST_CR3, (u64)pae_pdpt[0]);
	for (i = 0; g_arg() & WITH_EPT && i < 4; i++)
		vmwrite(F_GUEST_PDPTE0 + 2 * i, pae_pdpt[0][i]);
	for (turn = 0; turn < 3; turn++) {
		pae_l2_step(0, 0x1000, "the first tables");
		pae_l2_step(1, 0x1001, "the second tables");
		pae_l2_step(2, 0, "tables with a reserved bit");
		G_EQ(vmread(F_GUEST_CR3), (u64)pae_pdpt[1], "CR3 after #GP");
		pae_pdpt[1][1] = (u64)pae_pd[0] | 1;
		pae_l2_step(1, 0x1000, "other PDPTEs");
		pae_pdpt[1][1] = (u64)pae_pd[1] | 1;
	}
	g_done();
}

static void test_pae_l2(void)
{
	static struct droste_exit_stats s;
	extern u64 guest_arg;
	u64 supported = forceable(true);

	for (guest_arg = 0; guest_arg < 2; guest_arg++) {
		run_with(guest_pae_l2, 0, &s);
		EQ(s.from_l2[R_CR], 0, "MOVs to CR3 of L2 that exit");
		run_with(guest_pae_l2, DROSTE_FORCE_CR3_LOAD, &s);
		OK(s.from_l2[R_CR] >= 12, "MOVs to CR3 of L2 exit");
		EQ(s.reflected[R_CR], 0, "MOVs to CR3 shown to L1");
		run_with(guest_pae_l2, supported, &s);
	}
}

/* --- L1's CR3-target values: a MOV to CR3 of one of them is no exit of L1's (SDM 3C 25.6.7) --- */

extern char l2_cr3[];
asm(".pushsection .text\nl2_cr3:\n\tmov %rax, %cr3\n\tmov %cr3, %rcx\n\tvmcall\n.popsection\n");

/* Copies of the PML4, so that each is a CR3 that works. */
static u64 cr3s[5][512] __attribute__((aligned(4096)));

static void guest_targets(void)
{
	u64 i, n;

	vmx_on();
	vmcs_new((void (*)(void))(u64)l2_cr3);
	need(F_PROC, PROC_CR3_LOAD, "no exits of MOV to CR3");
	if ((rdmsr(MSR_VMX_MISC) >> 16 & 0x1ff) < 4)
		g_skip("no four CR3-target values");
	for (i = 0; i < 5; i++)
		g_copy(cr3s[i], (void *)PAGE_TABLES, 4096);
	for (i = 0; i < 4; i++)
		vmwrite(F_CR3_TARGET0 + 2 * i, (u64)cr3s[i]);
	for (n = 0; n <= 4; n++) {
		vmwrite(F_CR3_TARGETS, n);
		for (i = 0; i < 5; i++) {
			vmwrite(F_RIP, (u64)l2_cr3);
			l2.rax = (u64)cr3s[i];
			vmx_expect(i < n ? R_VMCALL : R_CR, "only a target value is loaded without an exit");
			if (i < n)
				G_EQ(l2.rcx, (u64)cr3s[i], "CR3");
			G_EQ(vmread(F_GUEST_CR3) == (u64)cr3s[i], i < n, "CR3 is loaded");
		}
	}
	g_done();
}

static void test_targets(void)
{
	static struct droste_exit_stats s;
	u64 supported = forceable(true);

	run_with(guest_targets, 0, &s);
	EQ(s.from_l2[R_CR], 15, "MOVs to CR3 of L2 that exit");
	run_with(guest_targets, DROSTE_FORCE_CR3_LOAD, &s);
	EQ(s.from_l2[R_CR], 25, "MOVs to CR3 of L2 that exit");
	EQ(s.reflected[R_CR], 15, "MOVs to CR3 shown to L1");
	run_with(guest_targets, supported, &s);
	EQ(s.reflected[R_CR], 15, "MOVs to CR3 shown to L1");
}

/* --- translations while the mask changes: each turn maps other pages, and looks --- */

static volatile u64 turns;
static volatile bool ended;

static void *run_main(void *arg)
{
	vcpu_run_to_call(arg, NULL);
	ended = true;
	return NULL;
}

static void ignore(int sig)
{
}

static void remaps_forever(void)
{
	for (;;) {
		remap_all();
		turns++;
	}
}

static void guest_remaps_forever(void)
{
	remap_begin();
	remaps_forever();
}

static void guest_l2_remaps_forever(void)
{
	vmx_on();
	remap_begin();
	vmcs_new(remaps_forever);
	ept_use(ept_new());
	need_secondary(SEC_VPID, "no VPID");
	vmwrite(F_VPID, 1);
	use_invpcid();
	vmx_expect(R_VMCALL, "there is no exit");
}

static void run_remaps(void (*guest)(void), u64 supported)
{
	const u64 masks[] = { DROSTE_FORCE_CR3_LOAD, 0, DROSTE_FORCE_INVLPG, supported, DROSTE_FORCE_CR3_LOAD | DROSTE_FORCE_INVLPG };
	struct sigaction sa = { .sa_handler = ignore };
	struct droste_exit_stats s;
	struct vcpu *vcpu;
	pthread_t thread;
	struct vm vm;
	u64 i, from;

	vm_create(&vm, 0);
	EQ(vm_force_exits(&vm, 0), 0, "no bit");
	sigaction(SIGUSR1, &sa, NULL);
	vcpu = vcpu_create(&vm, 0, guest);
	ended = false;
	MUST(!pthread_create(&thread, NULL, run_main, vcpu), "thread");
	for (i = 0; i < 20; i++) {
		EQ(vm_force_exits(&vm, masks[i % ARRAY_SIZE(masks)]), 0, "a mask while the guest runs");
		from = GUEST(&vm, turns);
		while (*(volatile u64 *)&GUEST(&vm, turns) < from + 3 && !ended)
			sched_yield();
	}
	vcpu->run->immediate_exit = 1;
	EQ(ended, false, "the guest goes on");
	pthread_kill(thread, SIGUSR1);
	pthread_join(thread, NULL);
	DO(vcpu->fd, DROSTE_GET_EXIT_STATS, &s);
	OK(s.exits[R_CR] && s.exits[R_INVLPG], "the instructions exit");
	vm_destroy(&vm);
}

static void test_running_translations(void)
{
	run_remaps(guest_remaps_forever, forceable(false));
}

static void test_running_l2_translations(void)
{
	run_remaps(guest_l2_remaps_forever, forceable(true));
}

static const struct ksft_test tests[] = {
	{ "translations in L1", .host = test_translations },
	{ "translations in L2", .host = test_l2_translations },
	{ "PAE paging in L1", .host = test_pae },
	{ "PAE paging in L2", .host = test_pae_l2 },
	{ "L1's CR3-target values", .host = test_targets },
	{ "translations while the mask changes", .host = test_running_translations },
	{ "translations of L2 while the mask changes", .host = test_running_l2_translations },
};
KSFT_MAIN(tests)
