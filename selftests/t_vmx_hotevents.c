// SPDX-License-Identifier: GPL-2.0
/* Interrupts of all sources, NMIs, INITs, SIPIs, deadlines and signals that come at any moment while L1 and an L2 loop in reflected exits. */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>
#include "vm.h"
#include "vmx.h"

static u8 no_bits[4096] __attribute__((aligned(4096)));

static void l2_cpuid(void)
{
	for (;;)
		asm volatile("cpuid" : : "a" (0), "c" (0) : "rbx", "rdx", "memory");
}

static void start(void)
{
	vmx_on();
	vmcs_usual(l2_cpuid, no_bits, ept_new());
	vmx_expect(R_CPUID, "the first CPUID");
	vmx_skip();
}

/* --- events while L2 loops in CPUID --- */

#define EVENTS	300
#define EVENTS_SECONDS	10
#define VECTOR	0x55
#define LOW_VECTOR	0x35	/* held by L1's TPR now and then */
#define HOLDS		0x40	/* that TPR */
#define PIC_VECTOR	0x68
#define PIC_IRQ		3
#define SPINS		150	/* reflections between two changes of TPR */

#define PIC_CMD		0x20
#define PIC_DATA	0x21

static volatile u64 interrupts, lows, pics, nmis, inits, sipis, others, ready;

/* The NMI found L1 running. */
static void on_nmi(struct trap_regs *regs)
{
	nmis++;
}

/* Initializes the PIC as systems do, with all interrupts masked but one. It drives LINT0. */
static void pic_init(void)
{
	outb(PIC_CMD, 0x11);
	outb(PIC_DATA, PIC_VECTOR);
	outb(PIC_DATA, 4);
	outb(PIC_DATA, 1);
	outb(PIC_DATA, (u8)~BIT(PIC_IRQ));
	apic_write(APIC_LVTLINT0, 0x700);
}

static void take_interrupt(u64 vector, u64 tpr)
{
	switch (vector) {
	case LOW_VECTOR:
		G_EQ(tpr, 0, "TPR holds the interrupt");
		apic_eoi();
		lows++;
		break;
	case PIC_VECTOR + PIC_IRQ:
		outb(PIC_CMD, 0x20);
		pics++;
		break;
	case VECTOR:
		apic_eoi();
		interrupts++;
		break;
	default:
		others++;
	}
}

static void guest_events(void)
{
	u64 reason, info, tpr = 0;

	apic_enable();
	pic_init();
	g_trap_fn[VEC_NMI] = on_nmi;
	start();
	ready = 1;
	for (;;) {
		reason = hot_spin(SPINS);
		info = vmread(F_INTR_INFO);
		if (reason == R_CPUID) {
			tpr ^= HOLDS;
			apic_write(APIC_TPR, tpr);
		} else if (reason == R_EXTINT) {
			take_interrupt(info & 0xff, tpr);
		} else if (reason == R_EXCEPTION && (info & 0x7ff) == 0x202) {
			/* IRET ends the blocking of NMIs. */
			asm volatile("int3" : : : "memory");
			nmis++;
		} else if (reason == R_INIT) {
			/* VMX root operation blocks an INIT; it ends L2 at the next entry (SDM 3C 24.8). L2 waits for a SIPI now. */
			vmwrite(F_ACTIVITY, 3);
			inits++;
		} else if (reason == R_SIPI) {
			G_EQ(vmread(F_QUAL), 0x30 + sipis % 16, "the vector of the SIPI");
			vmwrite(F_ACTIVITY, 0);
			sipis++;
		} else {
			others++;
		}
	}
}

/* --- deadlines of L1 while L2 loops in CPUID --- */

#define EXIT_SAVE_TIMER	BIT(22)
#define LATE		40000000ul	/* cycles; the most that an exit may be late, with a host that does other work */
#define A_WHILE		300000ul
#define A_MOMENT	10000ul		/* so few exits that a VMM may keep the deadline in another way */

/* What an exit tells that comes of no instruction. */
static void expect_bare_exit(u64 info)
{
	G_EQ(vmread(F_INTR_INFO), info, "interruption information");
	G_EQ(vmread(F_IDT_INFO), 0, "IDT-vectoring information");
	G_EQ(vmread(F_QUAL), 0, "qualification");
	G_EQ(vmread(F_ILEN), 0, "instruction length");
}

static void guest_deadlines(void)
{
	u64 i, from, late, rate;

	apic_enable();
	apic_write(APIC_LVTT, 2 << 17 | VECTOR);
	start();
	need(F_PIN, PIN_TIMER, "no preemption timer");
	need(F_EXIT_CTLS, EXIT_SAVE_TIMER, "no saving of the preemption timer");
	rate = rdmsr(MSR_VMX_MISC) & 0x1f;
	for (i = 0; i < 40; i++) {
		bool timer = i & 1;
		/* L1's timer counts only while L2 runs. */
		u64 cycles = i >= 20 ? A_WHILE : timer ? A_MOMENT / 4 + i * 100 : A_MOMENT + i * 300;

		vmwrite(F_TIMER, (timer ? cycles : 1000 * A_WHILE) >> rate);
		from = rdtsc();
		wrmsr(MSR_TSC_DEADLINE, from + (timer ? 100 * A_WHILE : cycles));
		G_EQN(hot_spin(1ul << 40), timer ? R_TIMER : R_EXTINT, "the exit", i);
		late = rdtsc() - from;
		G_OK(late < LATE, "not late");
		expect_bare_exit(timer ? 0 : VECTOR | BIT(31));
		if (timer) {
			wrmsr(MSR_TSC_DEADLINE, 0);
			continue;
		}
		G_OK(late >= cycles, "not early");
		G_EQ(rdmsr(MSR_TSC_DEADLINE), 0, "disarmed");
		G_EQ(apic_read(APIC_ISR + VECTOR / 32 * 16), BIT(VECTOR % 32), "in service");
		G_EQ(apic_read(APIC_IRR + VECTOR / 32 * 16), 0, "no more requested");
		apic_eoi();
		G_EQ(apic_read(APIC_ISR + VECTOR / 32 * 16), 0, "ended");
	}
	vmclr(F_PIN, PIN_TIMER);
	vmclr(F_EXIT_CTLS, EXIT_SAVE_TIMER);
	/* An interrupt window that is open makes its exit first; the interrupt stays pending. */
	vmset(F_RFLAGS, RFLAGS_IF);
	vmset(F_PROC, PROC_INTR_WINDOW);
	wrmsr(MSR_TSC_DEADLINE, 1);
	G_EQ(hot_spin(1ul << 40), R_INTR_WINDOW, "the window");
	vmclr(F_PROC, PROC_INTR_WINDOW);
	G_EQ(hot_spin(1ul << 40), R_EXTINT, "the interrupt after the window");
	apic_eoi();
	/* L1 may leave the interrupt with its APIC. */
	vmclr(F_EXIT_CTLS, EXIT_ACK);
	for (i = 0; i < 4; i++) {
		wrmsr(MSR_TSC_DEADLINE, rdtsc() + (i & 1 ? A_MOMENT : A_WHILE));
		G_EQ(hot_spin(1ul << 40), R_EXTINT, "the exit without acknowledgement");
		expect_bare_exit(0);
		G_EQ(apic_read(APIC_IRR + VECTOR / 32 * 16), BIT(VECTOR % 32), "requested");
		from = interrupts;
		sti_nop_cli();
		G_EQ(interrupts, from + 1, "the interrupt");
	}
}

/* An interrupt that L1 takes itself. */
static void on_vector(struct trap_regs *regs)
{
	interrupts++;
	apic_eoi();
}

static void guest_deadlines_main(void)
{
	g_trap_fn[VECTOR] = on_vector;
	guest_deadlines();
}

static void on_int3(struct trap_regs *regs)
{
}

static void guest_events_main(void)
{
	g_trap_fn[VEC_BP] = on_int3;
	guest_events();
}

static void *events_vcpu(void *arg)
{
	u64 args[4];

	vcpu_run_to_call(arg, args);
	return NULL;
}

/* Waits until the guest has counted to @want. Returns false after ten seconds. */
static bool counted(volatile u64 *counter, u64 want)
{
	int i;

	for (i = 0; i < 100000 && *counter < want; i++)
		usleep(100);
	return *counter >= want;
}

/* What the host sends. A SIPI to an L2 that runs, or to L1, is lost (SDM 3C 26.2). */
enum sent { FIXED, LOW, PIC, NMI, INIT_SIPI, LOST_SIPI, KINDS };

static void send_msi(struct vm *vm, u32 data)
{
	struct kvm_msi msi = { .address_lo = 0xfee00000, .data = data };

	DO(vm->fd, KVM_SIGNAL_MSI, &msi);
}

static void send(struct vm *vm, enum sent kind, u64 n)
{
	struct kvm_irq_level line = { .irq = PIC_IRQ, .level = 1 };

	switch (kind) {
	case FIXED:
		send_msi(vm, VECTOR);
		MUST(counted(&GUEST(vm, interrupts), n + 1), "interrupt %d arrives", (int)n);
		break;
	case LOW:
		send_msi(vm, LOW_VECTOR);
		MUST(counted(&GUEST(vm, lows), n + 1), "interrupt %d that TPR may hold arrives", (int)n);
		break;
	case PIC:
		DO(vm->fd, KVM_IRQ_LINE, &line);
		MUST(counted(&GUEST(vm, pics), n + 1), "interrupt %d of the PIC arrives", (int)n);
		line.level = 0;
		DO(vm->fd, KVM_IRQ_LINE, &line);
		break;
	case NMI:
		/* KVM_NMI would wait for the vCPU's mutex, which KVM_RUN holds. */
		send_msi(vm, 4 << 8);
		MUST(counted(&GUEST(vm, nmis), n + 1), "NMI %d arrives", (int)n);
		break;
	case INIT_SIPI:
		send_msi(vm, 5 << 8);
		MUST(counted(&GUEST(vm, inits), n + 1), "INIT %d arrives", (int)n);
		usleep(rand() % 300);
		EQ(GUEST(vm, sipis), n, "SIPIs before SIPI %d", (int)n);
		/* A SIPI is lost if L1 has not entered its L2 yet, which waits for it. So are those behind the one that arrives. */
		for (int i = 0; i < 100 && GUEST(vm, sipis) == n; i++) {
			send_msi(vm, 6 << 8 | (0x30 + n % 16));
			for (int k = 0; k < 1000 && GUEST(vm, sipis) == n; k++)
				usleep(100);
		}
		EQ(GUEST(vm, sipis), n + 1, "SIPI %d arrives", (int)n);
		break;
	default:
		send_msi(vm, 6 << 8 | 0x77);
	}
}

static void host_events(void)
{
	u64 i, sent[KINDS] = {};
	time_t start = time(NULL);
	pthread_t thread;
	enum sent kind;
	struct vm vm;
	struct vcpu *vcpu;

	vm_create(&vm, KSFT_IRQCHIP);
	if (!vm_has_vmx(&vm))
		ksft_skip("no VMX for guests");
	vcpu = vcpu_create(&vm, 0, guest_events_main);
	MUST(!pthread_create(&thread, NULL, events_vcpu, vcpu), "thread");
	MUST(counted(&GUEST(&vm, ready), 1), "L2 runs");
	srand(1);
	/* A host that checks itself is slow. */
	for (i = 0; i < EVENTS && time(NULL) - start < EVENTS_SECONDS; i++) {
		usleep(rand() % 300);
		kind = rand() % KINDS;
		send(&vm, kind, sent[kind]++);
	}
	EQ(GUEST(&vm, interrupts), sent[FIXED], "interrupts");
	EQ(GUEST(&vm, lows), sent[LOW], "interrupts that TPR has held");
	EQ(GUEST(&vm, pics), sent[PIC], "interrupts of the PIC");
	EQ(GUEST(&vm, nmis), sent[NMI], "NMIs");
	EQ(GUEST(&vm, inits), sent[INIT_SIPI], "INITs");
	EQ(GUEST(&vm, sipis), sent[INIT_SIPI], "SIPIs");
	EQ(GUEST(&vm, others), 0, "other exits");
	OK(i > 10, "%d events", (int)i);
	/* The thread ends with the process. */
}

/* --- interrupts posted to an L2 that loops in CPUID, and others of L1 --- */

#define POSTED		0x61
#define NOTIFY		0xe1
#define PIN_POSTED	BIT(7)

static volatile u32 *vapic, *access_page;
static volatile u64 posted[64] __attribute__((aligned(4096)));	/* the descriptor */
static volatile u64 virtuals;

/* In L2. */
static void on_posted(struct trap_regs *regs)
{
	virtuals++;
	access_page[APIC_EOI / 4] = 0;
}

static void guest_posted(void)
{
	u64 reason;

	apic_enable();
	g_trap_fn[POSTED] = on_posted;
	g_trap_fn[POSTED + 0x40] = on_posted;
	start();
	need(F_PROC, PROC_TPR_SHADOW, "no TPR shadow");
	need_secondary(SEC_APIC_ACCESS | SEC_APIC_REG | SEC_VID, "no virtual-interrupt delivery");
	need(F_PIN, PIN_POSTED, "no posted interrupts");
	vapic = g_page();
	access_page = g_page();
	ept_split_at((u64)access_page);
	vmwrite(F_VIRTUAL_APIC, (u64)vapic);
	vmwrite(F_APIC_ACCESS, (u64)access_page);
	vmwrite(F_POSTED_DESC, (u64)posted);
	vmwrite(F_POSTED_NV, NOTIFY);
	vmset(F_RFLAGS, RFLAGS_IF);
	ready = 1;
	for (;;) {
		reason = hot_spin(1ul << 40);
		if (reason == R_EXTINT && (vmread(F_INTR_INFO) & 0xff) == VECTOR)
			take_interrupt(VECTOR, 0);
		else
			others++;
	}
}

/* As another processor of L1, or a device, does (SDM 3C 30.6). */
static void post(struct vm *vm, u64 vector)
{
	volatile u64 *desc = GUEST(vm, posted);

	__atomic_or_fetch(&desc[vector / 64], BIT(vector % 64), __ATOMIC_SEQ_CST);
	if (!(__atomic_fetch_or(&desc[4], 1, __ATOMIC_SEQ_CST) & 1))
		send_msi(vm, NOTIFY);
}

static void host_posted(void)
{
	u64 i, virtual = 0, sent = 0;
	time_t start = time(NULL);
	pthread_t thread;
	struct vm vm;
	struct vcpu *vcpu;

	vm_create(&vm, KSFT_IRQCHIP);
	if (!vm_has_vmx(&vm))
		ksft_skip("no VMX for guests");
	vcpu = vcpu_create(&vm, 0, guest_posted);
	MUST(!pthread_create(&thread, NULL, events_vcpu, vcpu), "thread");
	MUST(counted(&GUEST(&vm, ready), 1), "L2 runs");
	srand(2);
	for (i = 0; i < EVENTS && time(NULL) - start < EVENTS_SECONDS; i++) {
		usleep(rand() % 300);
		switch (rand() % 4) {
		case 0:
			send(&vm, FIXED, sent++);
			break;
		case 1:
			/* Both at once, of which the first may be delivered before the second is posted. */
			post(&vm, POSTED);
			post(&vm, POSTED + 0x40);
			virtual += 2;
			break;
		case 2:
			post(&vm, POSTED);
			send(&vm, FIXED, sent++);
			virtual++;
			break;
		default:
			post(&vm, POSTED);
			virtual++;
		}
		MUST(counted(&GUEST(&vm, virtuals), virtual), "posted interrupt %d arrives", (int)virtual);
	}
	EQ(GUEST(&vm, virtuals), virtual, "posted interrupts");
	EQ(GUEST(&vm, interrupts), sent, "interrupts of L1");
	EQ(GUEST(&vm, others), 0, "other exits");
	EQ(GUEST(&vm, posted)[4], 0, "outstanding notifications");
	OK(i > 10, "%d events", (int)i);
}

/* --- user space sets MSRs of an L2 that L1 has entered, and that has not run yet --- */

#define PAT_CHANGE	0x0600000000000000ul

static volatile u64 l2_pat, l2_efer, was_set;

static void l2_msrs(void)
{
	for (;;) {
		l2_pat = rdmsr(MSR_PAT);
		l2_efer = rdmsr(MSR_EFER);
		asm volatile("cpuid" : : "a" (0), "c" (0) : "rbx", "rdx", "memory");
	}
}

static void guest_set_msrs(void)
{
	u64 i = 0;

	vmx_on();
	vmcs_usual(l2_msrs, no_bits, ept_new());
	vmclr(F_EXIT_CTLS, EXIT_SAVE_PAT | EXIT_SAVE_EFER);
	vmx_keep_host();
	while (!was_set) {
		/* The entry is not of the short kind. */
		vmwrite(F_EXCEPTION_BITMAP, i++ & 1 ? BIT(VEC_OF) : 0);
		vmx_expect(R_CPUID, "CPUID");
		vmx_skip();
	}
	/* Each entry loads the values of the VMCS. */
	for (i = 0; i < 10; i++) {
		vmx_expect(R_CPUID, "CPUID");
		vmx_skip();
		G_EQN(l2_pat, vmread(F_GUEST_PAT), "L2's IA32_PAT", i);
		G_EQN(l2_efer, vmread(F_GUEST_EFER), "L2's IA32_EFER", i);
	}
}

static void on_alarm(int sig)
{
}

/* Returns false if no signal came between an entry of L1 and L2's first instruction. */
static bool run_to_pending(struct vcpu *vcpu)
{
	struct itimerval often = { { 0, 1000 }, { 0, 1000 } }, never = {};
	struct sigaction sa = { .sa_handler = on_alarm };
	static union {
		struct kvm_nested_state s;
		char room[0x3000];
	} state;
	bool pending = false;
	int i;

	sigaction(SIGALRM, &sa, NULL);
	setitimer(ITIMER_REAL, &often, NULL);
	for (i = 0; i < 2000 && !pending; i++) {
		if (vcpu_run_to_call(vcpu, NULL) != GCALL_NONE)
			break;
		state.s.size = sizeof(state);
		DO(vcpu->fd, KVM_GET_NESTED_STATE, &state.s);
		pending = state.s.flags & KVM_STATE_NESTED_RUN_PENDING;
	}
	setitimer(ITIMER_REAL, &never, NULL);
	return pending;
}

static void host_set_msrs(void)
{
	struct vm vm;
	struct vcpu *vcpu;
	u64 pat, efer;

	vm_create(&vm, KSFT_IRQCHIP);
	if (!vm_has_vmx(&vm))
		ksft_skip("no VMX for guests");
	vcpu = vcpu_create(&vm, 0, guest_set_msrs);
	MUST(run_to_pending(vcpu), "a signal before L2 has run");
	MUST(!vcpu_get_msr(vcpu, MSR_PAT, &pat) && !vcpu_get_msr(vcpu, MSR_EFER, &efer), "the MSRs");
	vcpu_set_msr(vcpu, MSR_PAT, pat ^ PAT_CHANGE);
	vcpu_set_msr(vcpu, MSR_EFER, efer ^ EFER_SCE);
	GUEST(&vm, was_set) = 1;
	vcpu_run_to_end(vcpu);
	vm_destroy(&vm);
}

static const struct ksft_test tests[] = {
	{ "events while L2 loops", .host = host_events },
	{ "posted interrupts while L2 loops", .host = host_posted },
	{ "MSRs that user space sets before L2 runs", .host = host_set_msrs },
	{ "deadlines while L2 loops", .guest = guest_deadlines_main, .flags = KSFT_VMX | KSFT_IRQCHIP },
};
KSFT_MAIN(tests)
