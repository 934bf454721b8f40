// SPDX-License-Identifier: GPL-2.0
/* A hostile L1: memory that changes while L0 uses it, VMX aborts, INIT and NMIs in unusual states. L0 must survive. */
#define _GNU_SOURCE
#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>
#include "vm.h"
#include "vmx.h"

#define CODE(name, text) \
extern char name[]; \
asm(".pushsection .text\n.globl " #name "\n" #name ":\n" text "\n\tvmcall\n.popsection\n")

CODE(c_end, "nop; nop; nop");
CODE(c_loop, "1: pause; jmp 1b");
CODE(c_hlt, "hlt");
CODE(c_signals, "movq $1, l2_runs(%rip); 1: pause; jmp 1b");
CODE(c_signals_hlt, "movq $1, l2_runs(%rip); hlt");
CODE(c_touch, "1: mov (%rbx), %rax; add $1, %rax; mov %rax, (%rbx); dec %rcx; jnz 1b");

static u64 seed = 88172645463325252ul;

static u64 random64(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

static void start(char *code)
{
	vmcs_new((void (*)(void))(u64)code);
}

/* --- the VMCS region, the bitmaps and the lists are overwritten while in use --- */

static volatile u64 victim, victim2, stop, rounds;

static void scribbler(void)
{
	while (!victim)
		relax();
	while (!stop) {
		u64 at = random64() % 4096 & ~7ul;

		/* Keep the revision, so that VMPTRLD reads the rest. */
		if (at >= 8)
			*(volatile u64 *)(victim + at) = random64();
		if (victim2)
			*(volatile u64 *)(victim2 + at) = random64();
	}
}

static void guest_scribbled(void)
{
	u64 vmcs = vmcs_new((void (*)(void))(u64)c_end), i;

	victim = vmcs;
	for (i = 0; i < 300; i++) {
		u64 ret;

		/* The region's contents are arbitrary; each instruction may succeed or fail. */
		vmclear(vmcs);
		ret = vmptrld(vmcs);
		if (ret != VM_OK)
			continue;
		vmcs_fill((void (*)(void))(u64)c_end);
		vmx_try_enter(i & 1);
		vmx_try_enter(!(i & 1));
	}
	stop = 1;
}

static void guest_bitmaps(void)
{
	u64 i, ret;

	start(c_end);
	need(F_PROC, PROC_MSR_BITMAPS, "no MSR bitmaps");
	victim = (u64)g_page();
	victim2 = (u64)g_page();
	vmwrite(F_MSR_BITMAP, victim);
	if (ctl_has(F_PROC, PROC_IO_BITMAPS)) {
		vmset(F_PROC, PROC_IO_BITMAPS);
		vmwrite(F_IO_BITMAP_A, victim);
		vmwrite(F_IO_BITMAP_B, victim2);
	}
	vmwrite(F_ENTRY_MSR_LOAD, victim2);
	vmwrite(F_EXIT_MSR_STORE, victim2);
	for (i = 0; i < 1000; i++) {
		vmwrite(F_RIP, (u64)c_end);
		vmwrite(F_ENTRY_LOAD_COUNT, i % 7);
		/* Storing an MSR that does not exist causes a VMX abort, which another subtest covers. */
		vmwrite(F_EXIT_STORE_COUNT, 0);
		ret = vmx_try_enter(i == 0);
		if (ret == VM_FAIL(E_RESUME_NOT_LAUNCHED))
			ret = vmx_try_enter(true);
		G_OK(ret == VM_OK || ret == VM_FAIL(E_LAUNCH_NOT_CLEAR), "entry");
	}
	stop = 1;
}

/* Another vCPU lowers and raises VTPR all the time, also between L0's check of an entry and the processor's. */
static void tpr_toggler(void)
{
	while (!victim)
		relax();
	while (!stop) {
		*(volatile u32 *)(victim + 0x80) = 0;
		*(volatile u32 *)(victim + 0x80) = 0x50;
	}
}

static void guest_tpr(void)
{
	u64 i, ret, entered = 0, vapic = (u64)g_page();

	start(c_touch);
	need(F_PROC, PROC_TPR_SHADOW, "no TPR shadow");
	if (!ept_caps())
		g_skip("no EPT for L1");
	ept_use(ept_new());
	vmwrite(F_VIRTUAL_APIC, vapic);
	vmwrite(F_TPR_THRESHOLD, 5);
	victim = vapic;
	for (i = 0; i < 300; i++) {
		/* EPT02 is empty, so L0 enters L2 several times. */
		invept_all();
		vmwrite(F_RIP, (u64)c_touch);
		l2.rbx = vapic + 0x100;
		l2.rcx = 10;
		ret = vmx_try_enter(!entered);
		if (ret == VM_OK) {
			G_EQ(vmread(F_REASON), R_VMCALL, "exit reason");
			entered++;
		} else {
			G_EQ(ret, VM_FAIL(E_BAD_CONTROLS), "VTPR is below the threshold at L1's entry");
		}
	}
	stop = 1;
	G_OK(entered, "some entries succeed");
}

static void run_two(void (*main_fn)(void), void (*other)(void))
{
	struct vm vm;
	pthread_t t;

	vm_create(&vm, 0);
	if (!vm_has_vmx(&vm))
		ksft_skip("no VMX");
	vcpu_create(&vm, 0, main_fn);
	vcpu_create(&vm, 1, other);
	vcpu_thread(&vm.vcpu[1], &t);
	/* Garbage may shut the main vCPU down; that concerns only the guest. */
	if (vcpu_run_to_call(&vm.vcpu[0], NULL) != GCALL_DONE) {
		OK(vm.vcpu[0].run->exit_reason == KVM_EXIT_SHUTDOWN || vm.vcpu[0].run->exit_reason == KVM_EXIT_HLT ||
		   vm.vcpu[0].run->exit_reason == KVM_EXIT_INTERNAL_ERROR, "the guest shut down or failed");
		describe_exit(&vm.vcpu[0]);
		GUEST(&vm, stop) = 1;
	}
	pthread_join(t, NULL);
	vm_destroy(&vm);
}

static void host_scribble_vmcs(void)
{
	run_two(guest_scribbled, scribbler);
}

static void host_tpr(void)
{
	struct vm vm;
	pthread_t t;

	vm_create(&vm, 0);
	if (!vm_has_vmx(&vm))
		ksft_skip("no VMX");
	vcpu_create(&vm, 0, guest_tpr);
	vcpu_create(&vm, 1, tpr_toggler);
	vcpu_thread(&vm.vcpu[1], &t);
	vcpu_run_to_end(&vm.vcpu[0]);
	pthread_join(t, NULL);
	vm_destroy(&vm);
}

static void host_scribble_bitmaps(void)
{
	run_two(guest_bitmaps, scribbler);
}

/* --- random VMCSs: valid state with a few fields replaced by boundary values --- */

static void guest_random(void)
{
	static const u64 edges[] = {
		0, 1, ~0ul, 0x7fffffff, 0x80000000, 0xffffffff, 0x100000000ul, 0x7fffffffffffffff, 0x8000000000000000,
		0x0000800000000000, 0xffff7fffffffffff, 0x1000, 0xfff, MMIO_HOLE, 0xfee00000, 1ul << 40, 1ul << 52,
	};
	u64 i, n, entered = 0, left, field, ret, reason;

	vmcs_new((void (*)(void))(u64)c_end);
	seed += g_arg() * 0x1234567;
	for (i = 0; i < 400; i++) {
		vmcs_new((void (*)(void))(u64)c_end);
		/* Every run of L2 ends: by the timer, an exception or a shutdown. */
		if (ctl_has(F_PIN, PIN_TIMER)) {
			vmset(F_PIN, PIN_TIMER);
			vmwrite(F_TIMER, 100);
		}
		vmwrite(F_EXCEPTION_BITMAP, 0xffffffff);
		left = 1 + random64() % 3;
		while (left--) {
			field = (random64() % 0x20) << 1 | (random64() & 3) << 10 | (random64() & 3) << 13;
			n = random64() % (ARRAY_SIZE(edges) + 8);
			/* L1 must be able to continue, so its host state is not changed. */
			if ((field >> 10 & 3) == 3 || field == F_EXIT_CTLS || field == F_PIN || field == F_EXCEPTION_BITMAP ||
			    field == F_EXIT_STORE_COUNT || field == F_EXIT_LOAD_COUNT || field == F_TIMER)
				continue;
			if (n < ARRAY_SIZE(edges)) {
				try_vmwrite(field, edges[n]);
			} else {
				u64 v = 0;

				if (try_vmread(field, &v) == VM_OK)
					try_vmwrite(field, v ^ 1ul << random64() % 64);
			}
		}
		/* Wait-for-SIPI is valid, but would wait forever. */
		if (vmread(F_ACTIVITY) == 3)
			vmwrite(F_ACTIVITY, 0);
		ret = vmx_try_enter(true);
		if (ret == VM_OK) {
			reason = vmread(F_REASON);
			G_OK((reason & 0xffff) < 70 && !(reason & 0x70000000), "a valid exit reason");
			entered += !(reason & R_FAILED_ENTRY);
		} else {
			G_OK(ret == VM_FAIL(E_BAD_CONTROLS) || ret == VM_FAIL(E_BAD_HOST), "a VM-entry failure");
		}
		/* The heap does not grow without bound. */
		{
			u64 vmcs;

			vmptrst(&vmcs);
			vmclear(vmcs);
		}
	}
	G_OK(entered > 20, "some VMCSs enter");
}

/* --- VMX aborts (SDM 3C 28.7): L1 shuts down, L0 survives --- */

static void guest_abort_load(void)
{
	struct { u32 msr, zero; u64 val; } *list = g_page();

	start(c_end);
	list[0].msr = MSR_KERNEL_GS_BASE;
	list[0].val = 0x8000000000000000ul;	/* would fault */
	vmwrite(F_EXIT_MSR_LOAD, (u64)list);
	vmwrite(F_EXIT_LOAD_COUNT, 1);
	g_sync(1);
	vmx_try_enter(true);
	g_sync(2);
}

static void guest_abort_store(void)
{
	u32 *list = g_page();

	start(c_end);
	list[0] = 0x1fff;	/* no such MSR */
	vmwrite(F_EXIT_MSR_STORE, (u64)list);
	vmwrite(F_EXIT_STORE_COUNT, 1);
	g_sync(1);
	vmx_try_enter(true);
	g_sync(2);
}

static void abort_of(void (*fn)(void))
{
	struct vm vm;
	struct vcpu *vcpu;

	vm_create(&vm, 0);
	if (!vm_has_vmx(&vm))
		ksft_skip("no VMX");
	vcpu = vcpu_create(&vm, 0, fn);
	vcpu_run_to_sync(vcpu, 1);
	EQ(vcpu_run_once(vcpu), 0, "KVM_RUN");
	EQ(vcpu->run->exit_reason, KVM_EXIT_SHUTDOWN, "a VMX abort shuts L1 down");
	vm_destroy(&vm);
}

static void host_abort_load(void)
{
	abort_of(guest_abort_load);
}

static void host_abort_store(void)
{
	abort_of(guest_abort_store);
}

/* --- user space drops and moves L1's memory while L2 uses it --- */

static void guest_touching(void)
{
	u64 i, p = HEAP_END - 0x200000;

	start(c_touch);
	if (g_arg() && ept_caps())
		ept_use(ept_new());
	if (ctl_has(F_PROC, PROC_TPR_SHADOW)) {
		vmset(F_PROC, PROC_TPR_SHADOW);
		vmwrite(F_VIRTUAL_APIC, HEAP_END - 0x1000);
		vmwrite(F_TPR_THRESHOLD, 0);
	}
	for (i = 0; i < 400; i++) {
		vmwrite(F_RIP, (u64)c_touch);
		l2.rbx = p + (i % 500) * 4096;
		l2.rcx = 300;
		vmx_expect(R_VMCALL, "L2 touches memory");
		rounds++;
	}
	stop = 1;
}

static void host_moving(u64 ept)
{
	struct vm vm;
	pthread_t t;
	u8 *page;
	extern u64 guest_arg;

	guest_arg = ept;
	vm_create(&vm, 0);
	if (!vm_has_vmx(&vm))
		ksft_skip("no VMX");
	/* A write during the moment in which the page is read-only fails with EFAULT and has no effect. */
	vcpu_create(&vm, 0, guest_touching)->past_faults = true;
	page = vm.mem + HEAP_END - 0x200000;
	vcpu_thread(&vm.vcpu[0], &t);
	while (!GUEST(&vm, stop)) {
		madvise(page, 0x200000, MADV_DONTNEED);
		mprotect(page, 0x200000, PROT_READ);
		mprotect(page, 0x200000, PROT_READ | PROT_WRITE);
		MUST(mmap(page, 0x200000, PROT_READ | PROT_WRITE, MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == page, "mmap");
		/* Clearing a huge page takes longer than the page would live here. */
		madvise(page, 0x200000, MADV_NOHUGEPAGE);
		usleep(500);
	}
	pthread_join(t, NULL);
	EQ(GUEST(&vm, rounds), 400, "rounds");
	vm_destroy(&vm);
}

static void host_moving_ept(void)
{
	host_moving(1);
}

static void host_moving_no_ept(void)
{
	host_moving(0);
}

/* --- user space deletes, moves and restores the slot with pages to which VMCS02 points --- */

#define TOGGLED		0x4000000ul	/* virtual-APIC page, MSR bitmap, APIC-access page */
#define TOGGLED_SIZE	0x3000ul
#define TOGGLED_MSR	MSR_SYSENTER_EIP
#define TOGGLED_LAST	1000000		/* entries, whether or not user space has done enough */

static volatile u64 toggled_enough;	/* set by user space */

CODE(c_tpr_rdmsr, "mov $100, %edx; 1: mov %rbx, %cr8; dec %edx; jnz 1b; rdmsr");
CODE(c_tpr_apic, "mov $100, %edx; 1: mov %rbx, %cr8; dec %edx; jnz 1b; mov (%rsi), %eax");

static void guest_toggled(void)
{
	u64 i, ret, entered = 0;

	start(c_tpr_rdmsr);
	need(F_PROC, PROC_TPR_SHADOW | PROC_MSR_BITMAPS, "no TPR shadow, or no MSR bitmaps");
	need_secondary(SEC_APIC_ACCESS, "no APIC-access page");
	if (g_arg() && ept_caps())
		ept_use(ept_new());
	vmwrite(F_VIRTUAL_APIC, TOGGLED);
	vmwrite(F_MSR_BITMAP, TOGGLED + 0x1000);
	vmwrite(F_APIC_ACCESS, TOGGLED + 0x2000);
	vmwrite(F_TPR_THRESHOLD, 0);
	for (i = 0; i < 2000 || (!toggled_enough && i < TOGGLED_LAST); i++) {
		vmwrite(F_RIP, (u64)(i & 1 ? c_tpr_apic : c_tpr_rdmsr));
		l2 = (struct l2_regs) { .rbx = i & 15, .rcx = TOGGLED_MSR, .rsi = TOGGLED + 0x2030 };
		ret = vmx_try_enter(!entered);
		if (ret == VM_OK) {
			entered++;
			G_EQN(vmread(F_REASON), i & 1 ? R_APIC_ACCESS : R_RDMSR, "exit reason", i);
		} else {
			G_EQN(ret, VM_FAIL(E_BAD_CONTROLS), "an entry without memory for a page", i);
		}
	}
	stop = 1;
	G_OK(entered, "some entries succeed");
}

static void host_toggled(u64 ept)
{
	extern u64 guest_arg;
	struct vm vm;
	pthread_t t;
	u64 n = 0;
	u8 *mem;

	guest_arg = ept;
	vm_create(&vm, 0);
	if (!vm_has_vmx(&vm))
		ksft_skip("no VMX");
	mem = mmap(NULL, TOGGLED_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	MUST(mem != MAP_FAILED, "mmap");
	memset(mem + 0x1000, 0xff, 0x1000);	/* all accesses to MSRs exit, with the page and without */
	vcpu_create(&vm, 0, guest_toggled);
	vcpu_thread(&vm.vcpu[0], &t);
	while (!GUEST(&vm, stop)) {
		vm_slot(&vm, 5, 0, TOGGLED, TOGGLED_SIZE, mem);
		usleep(100);
		if (n++ & 1) {
			vm_slot(&vm, 5, 0, TOGGLED + 0x100000, TOGGLED_SIZE, mem);
			usleep(100);
		}
		if (n > 5)
			GUEST(&vm, toggled_enough) = 1;
		vm_slot(&vm, 5, 0, TOGGLED, 0, mem);
		usleep(100);
	}
	pthread_join(t, NULL);
	OK(n > 5, "%llu rounds", (long long)n);
	munmap(mem, TOGGLED_SIZE);
	vm_destroy(&vm);
}

static void host_toggled_ept(void)
{
	host_toggled(1);
}

static void host_toggled_no_ept(void)
{
	host_toggled(0);
}

/* --- INIT and NMI while L2 runs or halts; t_vmx_startup.c has SIPI --- */

extern char ap_start[], ap_end[];
extern void (*ap_fn)(void);
static volatile u64 ap_stage, ap_reason, ap_info;
volatile u64 l2_runs;	/* set by L2 */

/* Runs L2 at @code, then waits for vCPU 0. */
static void ap_step(char *code, u64 stage)
{
	vmwrite(F_RIP, (u64)code);
	vmwrite(F_ACTIVITY, 0);
	ap_reason = vmx_run();
	ap_info = vmread(F_INTR_INFO);
	ap_stage = stage;
	while (ap_stage == stage)
		relax();
}

static void ap_l1(void)
{
	/* Only this vCPU uses lib/vmx.c. */
	vmcs_new((void (*)(void))(u64)c_signals);
	if (ctl_has(F_PIN, PIN_NMI))
		vmset(F_PIN, PIN_NMI);
	ap_step(c_signals, 1);
	ap_step(c_signals_hlt, 2);
	ap_step(c_signals, 3);
	for (;;)
		relax();
}

/* Sends a signal once L2 runs, and waits until vCPU 1 has the exit. */
static void signal_l2(u32 icr, u64 stage)
{
	while (!l2_runs)
		relax();
	l2_runs = 0;
	apic_icr(1, icr);
	while (ap_stage != stage)
		relax();
}

static void guest_signals(void)
{
	vmx_enable();
	apic_enable();
	g_copy((void *)LOW_CODE, ap_start, ap_end - ap_start);
	ap_fn = ap_l1;
	apic_icr(1, 0x4500);
	apic_icr(1, 0x4600 | (LOW_CODE >> 12));
	apic_icr(1, 0x4600 | (LOW_CODE >> 12));
	signal_l2(0x400, 1);
	G_EQ(ap_reason, R_EXCEPTION, "NMI while L2 runs");
	G_EQ(ap_info, 0x80000202, "interruption information");
	ap_stage = 0;
	signal_l2(0x400, 2);
	G_EQ(ap_reason, R_EXCEPTION, "NMI while L2 is halted");
	G_EQ(ap_info, 0x80000202, "interruption information");
	ap_stage = 0;
	signal_l2(0x4500, 3);
	G_EQ(ap_reason, R_INIT, "INIT while L2 runs");
}

/* MOV SS blocking and #DB: a data breakpoint on MOV SS's operand becomes pending (the pattern of CVE-2018-8897). */
u64 ss_value __attribute__((used)) = SEL_DS;
CODE(c_movss, "mov ss_value(%rip), %ss; vmcall");

static void guest_movss(void)
{
	start(c_movss);
	need(F_ENTRY_CTLS, ENTRY_LOAD_DEBUG, "no loading of debug controls");
	write_dr0((u64)&ss_value);
	vmwrite(F_GUEST_DR7, 0x400 | 2 | 0x7ul << 16);	/* read or write, 2 bytes */
	vmwrite(F_EXCEPTION_BITMAP, BIT(VEC_DB));
	vmx_expect(R_VMCALL, "VMCALL right after MOV SS with a breakpoint");
	G_EQ(vmread(F_INTERRUPTIBILITY) & 3, 2, "blocking by MOV SS");
	G_EQ(vmread(F_PENDING_DBG) & 0xf, 1, "the breakpoint is pending");
	/* After an entry with this state, the #DB is delivered after the next instruction. */
	vmwrite(F_RIP, (u64)c_end);
	vmx_expect(R_EXCEPTION, "the #DB");
	G_EQ(vmread(F_INTR_INFO), 0x80000301, "interruption information");
	G_EQ(vmread(F_QUAL) & 0xf, 1, "qualification");
	G_EQ(vmread(F_RIP), (u64)c_end + 1, "RIP");
	write_dr0(0);
}

/* Between VM entries, L1 executes instructions that L0 emulates: MMIO and CPUID. */
static void guest_everything(void)
{
	u64 i;

	start(c_end);
	apic_enable();
	for (i = 0; i < 20; i++) {
		apic_write(APIC_TPR, i);
		G_EQ(apic_read(APIC_TPR), i, "TPR by MMIO in VMX operation");
		vmwrite(F_RIP, (u64)c_end);
		vmx_expect(R_VMCALL, "L2");
		G_EQ(CPUID_REG(1, 0, b) >> 24, 0, "CPUID");
	}
}

#define V .flags = KSFT_VMX
static const struct ksft_test tests[] = {
	{ "a VMCS region that another vCPU overwrites", .host = host_scribble_vmcs },
	{ "bitmaps and lists that another vCPU overwrites", .host = host_scribble_bitmaps },
	{ "a TPR that another vCPU lowers and raises", .host = host_tpr },
	{ "VMCSs with boundary values, 1", .guest = guest_random, V, .arg = 1 },
	{ "VMCSs with boundary values, 2", .guest = guest_random, V, .arg = 2 },
	{ "VMCSs with boundary values, 3", .guest = guest_random, V, .arg = 3 },
	{ "VMX abort: loading host MSRs", .host = host_abort_load },
	{ "VMX abort: storing guest MSRs", .host = host_abort_store },
	{ "L1's memory moves while L2 uses it, with EPT", .host = host_moving_ept },
	{ "L1's memory moves while L2 uses it, without EPT", .host = host_moving_no_ept },
	{ "a slot that VMCS02 points to is deleted and moved, with EPT", .host = host_toggled_ept },
	{ "a slot that VMCS02 points to is deleted and moved, without EPT", .host = host_toggled_no_ept },
	{ "NMI and INIT while L2 runs or halts", .guest = guest_signals, .flags = KSFT_VMX | KSFT_SMP2 },
	{ "#DB held back by MOV SS", .guest = guest_movss, V },
	{ "MMIO and CPUID of L1 between VM entries", .guest = guest_everything, .flags = KSFT_VMX | KSFT_IRQCHIP },
};
KSFT_MAIN(tests)
