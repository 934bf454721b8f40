// SPDX-License-Identifier: GPL-2.0
/* The TSC-deadline timer of a guest that does not halt: on time, with many exits, moved, saved; and while L2 runs. */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>
#include "guest.h"
#include "save.h"
#include "vm.h"
#include "vmx.h"

#define SHORT	200000ul	/* cycles; longer than any handling of an exit */
#define LATE	40000000ul	/* the most that a timer may be late, with a host that does other work */
#define PROMPT	50000ul		/* most timers are not later: much less than a period of the host's own timer */
#define LVTT_DEADLINE	(2 << 17)
#define VEC	0x44

static volatile u64 count, fired_at;
static u64 prompt, rounds;	/* numbers of timers */
static u64 prompt_limit;

static void on_timer(struct trap_regs *r)
{
	fired_at = rdtsc();
	count++;
	apic_eoi();
}

/* PROMPT, or the time of 100 exits on a host that checks itself and is many times slower. CPUID is too quick to tell. */
static void measure_host(void)
{
	u64 t = rdtsc(), i;

	for (i = 0; i < 100; i++)
		inb(0x21);	/* the first PIC's mask */
	t = rdtsc() - t;
	prompt_limit = t > PROMPT ? t : PROMPT;
}

static void setup(bool x2)
{
	measure_host();
	if (x2)
		apic_x2_enable();
	else
		apic_enable();
	g_trap_fn[VEC] = on_timer;
	apic_write(APIC_LVTT, LVTT_DEADLINE | VEC);
}

/* A timer was @late cycles late. */
static void note(u64 late)
{
	G_OK(late < LATE, "not late");
	rounds++;
	prompt += late < prompt_limit;
}

/* An exit for another reason may hide that a timer does not make the guest exit, but rarely does in time. */
static void mostly_prompt(const char *what)
{
	G_OK(prompt * 2 >= rounds, what);
	if (prompt * 2 < rounds)
		g_diag("%llx of %llx timers were prompt", prompt, rounds);
	prompt = 0;
	rounds = 0;
}

static void none(void) { }
static void one_cpuid(void) { CPUID_REG(0, 0, a); }
static void halt(void) { asm volatile("hlt"); }

/* Wait for one deadline, with @what in a loop meanwhile; interrupts are enabled. */
static void one_deadline(u64 cycles, void (*what)(void), const char *name)
{
	u64 deadline = rdtsc() + cycles, before = count;

	wrmsr(MSR_TSC_DEADLINE, deadline);
	while (count == before && rdtsc() < deadline + LATE)
		what();
	G_EQ(count, before + 1, name);
	G_OK(fired_at >= deadline, "not early");
	note(fired_at - deadline);
	G_EQ(rdmsr(MSR_TSC_DEADLINE), 0, "a timer that has expired is disarmed");
}

static void guest_on_time(void)
{
	u64 i, before;

	setup(g_arg());
	sti();
	for (i = 0; i < 20; i++)
		one_deadline(SHORT + i * 77, none, "a loop without exits");
	mostly_prompt("a loop without exits");
	/* A VMM may keep the deadlines of a guest with many exits in another way. */
	for (i = 0; i < 40; i++)
		one_deadline(SHORT * 4, one_cpuid, "a loop with exits");
	mostly_prompt("a loop with exits");
	for (i = 0; i < 40; i++)
		one_deadline(SHORT, none, "a loop without exits, again");
	mostly_prompt("a loop without exits, again");
	for (i = 0; i < 5; i++)
		one_deadline(SHORT * 2, halt, "HLT");
	mostly_prompt("HLT");
	for (i = 0; i < 5; i++)
		one_deadline(i, none, "a deadline that is almost here");
	wrmsr(MSR_TSC_DEADLINE, rdtsc() + SHORT);
	one_deadline(SHORT * 3, none, "a deadline that is put off");
	wrmsr(MSR_TSC_DEADLINE, ~0ul);
	one_deadline(SHORT, none, "a deadline that is brought forward");
	/* Disarmed, masked and switched off. */
	before = count;
	wrmsr(MSR_TSC_DEADLINE, rdtsc() + SHORT);
	wrmsr(MSR_TSC_DEADLINE, 0);
	for (i = rdtsc(); rdtsc() < i + 3 * SHORT;)
		;
	G_EQ(count, before, "disarmed");
	wrmsr(MSR_TSC_DEADLINE, rdtsc() + SHORT);
	apic_write(APIC_LVTT, VEC);
	G_EQ(rdmsr(MSR_TSC_DEADLINE), 0, "one-shot mode has no deadline");
	for (i = rdtsc(); rdtsc() < i + 3 * SHORT;)
		;
	G_EQ(count, before, "another mode");
	/* A one-shot and a periodic count, in the same loop without exits. */
	apic_write(APIC_TDCR, 0xb);
	apic_write(APIC_TMICT, 300000);
	for (i = rdtsc(); count == before && rdtsc() < i + LATE;)
		;
	G_EQ(count, before + 1, "one-shot");
	apic_write(APIC_LVTT, VEC | 1 << 17);
	apic_write(APIC_TMICT, 3000000);
	for (i = rdtsc(); count < before + 4 && rdtsc() < i + 4 * LATE;)
		;
	G_OK(count >= before + 4, "periodic");
	apic_write(APIC_TMICT, 0);
	apic_write(APIC_LVTT, LVTT_DEADLINE | VEC);
	one_deadline(SHORT, none, "a deadline again");
}

/* --- what may come together with the end of an interrupt or a timer --- */

#define LOW	0x31	/* of lower priority than VEC */

static volatile u64 low_count, low_too_early, low_at, eoi_at, db_rip, db_count;

static void on_low(struct trap_regs *r)
{
	low_at = rdtsc();
	low_count++;
	apic_eoi();
}

/* Sends an interrupt that must wait until this one ends. */
static void on_timer_send(struct trap_regs *r)
{
	apic_icr(0, 1 << 18 | LOW);	/* to self */
	low_too_early += low_count != count;
	count++;
	eoi_at = rdtsc();
	apic_eoi();
}

#define HIGH	0x65	/* of higher priority than VEC */

static volatile u64 high_count, timer_too_early;

/* A deadline passes while this interrupt, with interrupts enabled, is in service: the timer waits for its end. */
static void on_high(struct trap_regs *r)
{
	u64 before = count, from = rdtsc();

	wrmsr(MSR_TSC_DEADLINE, from + SHORT);
	sti();
	while (rdtsc() < from + 2 * SHORT)
		;
	cli();
	timer_too_early += count != before;
	high_count++;
	apic_eoi();
}

static void on_db(struct trap_regs *r)
{
	db_rip = r->rip;
	db_count++;
	r->rflags &= ~RFLAGS_TF;
}

/* Without exits, unless an interrupt makes one. */
static void spin(u64 cycles)
{
	u64 from = rdtsc();

	while (rdtsc() < from + cycles)
		;
}

/* Until *@what is @value, or it is much too late. */
static void await(volatile u64 *what, u64 value)
{
	u64 from = rdtsc();

	while (*what != value && rdtsc() < from + LATE)
		;
}

/* WRMSR under TF traps before the next instruction. */
static void step_over_wrmsr(u32 msr, u64 val, const char *what)
{
	u64 after;

	db_count = 0;
	asm volatile("lea 1f(%%rip), %0\n\tpushfq\n\torl $0x100, (%%rsp)\n\tpopfq\n\twrmsr\n1:\tnop\n\tnop"
		     : "=&r" (after) : "c" (msr), "a" ((u32)val), "d" ((u32)(val >> 32)) : "memory", "cc");
	G_EQ(db_count, 1, what);
	G_EQ(db_rip, after, what);
}

/* The same of a store to EOI of an xAPIC. It leaves RF clear, whatever the exit has made of it. */
static void step_over_store(const char *what)
{
	u64 after;

	db_count = 0;
	asm volatile("lea 1f(%%rip), %0\n\tpushfq\n\torl $0x100, (%%rsp)\n\tpopfq\n\tmovl $0, (%1)\n1:\tnop\n\tnop"
		     : "=&r" (after) : "r" (APIC_BASE + APIC_EOI) : "memory", "cc");
	G_EQ(db_count, 1, what);
	G_EQ(db_rip, after, what);
}

static void guest_together(void)
{
	u64 before, i;

	setup(g_arg());
	g_trap_fn[LOW] = on_low;
	g_trap_fn[VEC_DB] = on_db;
	/* The end of one interrupt lets another one through. */
	g_trap_fn[VEC] = on_timer_send;
	sti();
	for (i = 1; i <= 10; i++) {
		wrmsr(MSR_TSC_DEADLINE, rdtsc() + SHORT);
		await(&low_count, i);
		G_EQN(count, i, "the timer", i);
		G_EQN(low_count, i, "the interrupt that waited", i);
		note(low_at - eoi_at);
	}
	mostly_prompt("the interrupt that waited");
	G_EQ(low_too_early, 0, "it waited for the end of the first");
	g_trap_fn[VEC] = on_timer;
	/* A timer that expires while interrupts are disabled, and right after STI. */
	cli();
	before = count;
	wrmsr(MSR_TSC_DEADLINE, rdtsc() + SHORT);
	spin(2 * SHORT);
	G_EQ(count, before, "IF is 0");
	sti();
	await(&count, before + 1);
	G_EQ(count, before + 1, "after STI");
	cli();
	wrmsr(MSR_TSC_DEADLINE, rdtsc() + SHORT);
	spin(2 * SHORT);
	asm volatile("sti; wrmsr; cli" : : "c" (MSR_TSC_DEADLINE), "a" (-1), "d" (-1) : "memory");
	G_EQ(count, before + 2, "after the instruction that follows STI");
	G_EQ(rdmsr(MSR_TSC_DEADLINE), ~0ul, "which has written the next deadline");
	/* A priority that blocks it. */
	sti();
	write_cr8(VEC >> 4);
	wrmsr(MSR_TSC_DEADLINE, rdtsc() + SHORT);
	spin(2 * SHORT);
	G_EQ(count, before + 2, "TPR blocks");
	write_cr8((VEC >> 4) - 1);
	await(&count, before + 3);
	G_EQ(count, before + 3, "TPR lets it through");
	/* An interrupt in service. */
	g_trap_fn[HIGH] = on_high;
	for (i = 1; i <= 5; i++) {
		apic_icr(0, 1 << 18 | HIGH);
		await(&high_count, i);
		await(&count, before + 3 + i);
		G_EQN(high_count, i, "the interrupt of higher priority", i);
		G_EQN(count, before + 3 + i, "the timer after it", i);
	}
	G_EQ(timer_too_early, 0, "an interrupt in service blocks it");
	/* A masked timer. */
	before = count;
	apic_write(APIC_LVTT, LVTT_DEADLINE | BIT(16) | VEC);
	wrmsr(MSR_TSC_DEADLINE, rdtsc() + SHORT);
	spin(2 * SHORT);
	G_EQ(rdmsr(MSR_TSC_DEADLINE), 0, "a masked timer expires");
	apic_write(APIC_LVTT, LVTT_DEADLINE | VEC);
	spin(SHORT);
	G_EQ(count, before, "masked");
	/* A vector that the local APIC refuses. */
	apic_write(APIC_LVTT, LVTT_DEADLINE | 5);
	wrmsr(MSR_TSC_DEADLINE, rdtsc() + SHORT);
	spin(2 * SHORT);
	apic_write(APIC_ESR, 0);
	G_EQ(apic_read(APIC_ESR) & 0x60, 0x40, "illegal vector received");
	apic_write(APIC_LVTT, LVTT_DEADLINE | VEC);
	/* Traps after the instructions. */
	cli();
	step_over_wrmsr(MSR_TSC_DEADLINE, ~0ul, "a step over the deadline");
	if (apic_is_x2())
		step_over_wrmsr(0x800 + APIC_EOI / 16, 0, "a step over EOI");
	else
		step_over_store("a step over EOI");
	wrmsr(MSR_TSC_DEADLINE, 0);
}

/* --- user space looks on --- */

static volatile u64 until;	/* cycles until the deadline */

static void guest_shown(void)
{
	u64 i;

	setup(false);
	sti();
	wrmsr(MSR_TSC_DEADLINE, rdtsc() + until);
	g_sync(1);
	for (i = rdtsc(); !count && rdtsc() < i + LATE;)
		;
	G_EQ(count, 1, "the interrupt");
	g_sync(2);
	for (i = rdtsc(); rdtsc() < i + 3 * SHORT;)
		;
	G_EQ(count, 1, "no other interrupt");
}

/* The deadline passes while user space has the vCPU. It moves to a new VM, or to another CPU. */
static void host_passes(void)
{
	struct kvm_lapic_state l;
	struct kvm_sregs sregs;
	struct kvm_regs regs;
	struct vcpu *vcpu;
	cpu_set_t cpus;
	u64 deadline, tsc;
	struct vm vm;
	int i;

	for (i = 0; i < 3; i++) {
		vm_create(&vm, KSFT_IRQCHIP);
		GUEST(&vm, until) = 1000000;
		vcpu = vcpu_create(&vm, 0, guest_shown);
		vcpu_run_to_sync(vcpu, 1);
		if (i == 1) {
			CPU_ZERO(&cpus);
			CPU_SET(sysconf(_SC_NPROCESSORS_ONLN) - 1 - sched_getcpu(), &cpus);
			if (sysconf(_SC_NPROCESSORS_ONLN) > 1)
				EQ(sched_setaffinity(0, sizeof(cpus), &cpus), 0, "another CPU");
		}
		EQ(vcpu_get_msr(vcpu, MSR_TSC_DEADLINE, &deadline), 0, "deadline");
		OK(deadline, "a deadline is set");
		if (i == 2) {
			vcpu_finish_exit(vcpu);
			vcpu_sregs(vcpu, &sregs);
			vcpu_regs(vcpu, &regs);
			DO(vcpu->fd, KVM_GET_LAPIC, &l);
			EQ(vcpu_get_msr(vcpu, MSR_TSC, &tsc), 0, "TSC");
			vm_replace(&vm);
			vcpu = vcpu_create(&vm, 0, NULL);
			vcpu_set_sregs(vcpu, &sregs);
			vcpu_set_regs(vcpu, &regs);
			DO(vcpu->fd, KVM_SET_LAPIC, &l);
			EQ(vcpu_set_msr(vcpu, MSR_TSC_DEADLINE, deadline), 0, "restored before the TSC");
			EQ(vcpu_set_msr(vcpu, MSR_TSC, tsc), 0, "TSC");
		}
		usleep(20000);
		EQ(vcpu_get_msr(vcpu, MSR_TSC_DEADLINE, &tsc), 0, "deadline");
		EQ(tsc, deadline, "the deadline stays until the vCPU runs");
		vcpu_run_to_sync(vcpu, 2);
		EQ(vcpu_get_msr(vcpu, MSR_TSC_DEADLINE, &tsc), 0, "deadline");
		EQ(tsc, 0, "disarmed");
		vcpu_run_to_end(vcpu);
		vm_destroy(&vm);
	}
}

/* The counter jumps over the deadline, so the timer expires; it goes back, so the timer takes longer. */
static void host_jumps(void)
{
	struct vcpu *vcpu;
	u64 deadline, tsc;
	struct vm vm;

	vm_create(&vm, KSFT_IRQCHIP);
	GUEST(&vm, until) = 1ul << 32;
	vcpu = vcpu_create(&vm, 0, guest_shown);
	vcpu_run_to_sync(vcpu, 1);
	EQ(vcpu_get_msr(vcpu, MSR_TSC_DEADLINE, &deadline), 0, "deadline");
	EQ(vcpu_set_msr(vcpu, MSR_TSC, deadline - SHORT), 0, "TSC");
	vcpu_run_to_sync(vcpu, 2);
	EQ(vcpu_get_msr(vcpu, MSR_TSC, &tsc), 0, "TSC");
	OK(tsc >= deadline, "TSC %#llx, deadline %#llx", (unsigned long long)tsc, (unsigned long long)deadline);
	vcpu_run_to_end(vcpu);
	vm_destroy(&vm);
}

/* --- L1's deadline and L1's preemption timer, while L2 runs --- */

extern char c_spin[], c_cpuids[], c_hlt[];
asm(".pushsection .text\n"
	"c_spin: jmp c_spin\n"
	"c_cpuids: 1: cpuid\n jmp 1b\n"
	"c_hlt: hlt\n jmp c_hlt\n"
	".popsection\n");

#define HERE	10000000000ul

static void start_l2(const char *code)
{
	setup(false);
	vmx_on();
	vmcs_new((void (*)(void))code);
	need(F_PIN, PIN_EXTINT, "no external-interrupt exiting");
	need(F_PIN, PIN_TIMER, "no preemption timer");
}

/* Run L2 until an exit other than CPUID. @deadline: of L1's APIC, 0 for none; @ticks: of L1's timer. Times in cycles. */
static u64 run_l2(u64 apic, u64 ticks)
{
	u32 rate = rdmsr(MSR_VMX_MISC) & 0x1f;
	u64 r, now = rdtsc(), from = now;

	wrmsr(MSR_TSC_DEADLINE, apic ? now + apic : 0);
	do {
		u64 past = rdtsc() - from;

		vmwrite(F_TIMER, (ticks > past ? ticks - past : 0) >> rate);
		r = vmx_run();
		if (r == R_CPUID)
			vmx_skip();
	} while (r == R_CPUID);
	from = rdtsc() - from;
	if (r == R_TIMER) {
		G_OK(from + (1ul << rate) >= ticks, "L1's timer is not early");
		note(from < ticks ? 0 : from - ticks);
	}
	if (r == R_EXTINT) {
		G_OK(from >= apic, "the deadline is not early");
		note(from - apic);
		r = count;
		sti_nop_cli();
		G_EQ(count, r + 1, "the deadline's interrupt");
		r = R_EXTINT;
	}
	wrmsr(MSR_TSC_DEADLINE, 0);
	return r;
}

static void guest_l2(void)
{
	const char *code = g_arg() ? c_cpuids : c_spin;
	u64 i;

	start_l2(code);
	for (i = 0; i < 10; i++)
		G_EQN(run_l2(SHORT * 4, HERE), R_EXTINT, "the deadline is first", i);
	mostly_prompt("the deadline");
	for (i = 0; i < 10; i++) {
		G_EQN(run_l2(HERE, SHORT * 4), R_TIMER, "L1's timer is first", i);
		G_EQN(run_l2(0, SHORT * 4), R_TIMER, "L1's timer alone", i);
	}
	mostly_prompt("L1's timer");
	for (i = 0; i < 10; i++) {
		G_EQN(run_l2(SHORT * 4, SHORT * 40), R_EXTINT, "the deadline is earlier", i);
		G_EQN(run_l2(SHORT * 40, SHORT * 4), R_TIMER, "L1's timer is earlier", i);
		G_EQN(run_l2(HERE, 0), R_TIMER, "L1's timer of 0", i);
	}
	vmclr(F_PIN, PIN_TIMER);
	G_EQ(run_l2(SHORT * 4, 0), R_EXTINT, "the deadline alone");
	vmset(F_PIN, PIN_TIMER);
	G_EQ(run_l2(0, SHORT * 4), R_TIMER, "L1's timer alone, again");
	mostly_prompt("the last timers");
}

static void guest_l2_halted(void)
{
	u64 i;

	start_l2(c_hlt);
	vmclr(F_PROC, PROC_HLT);
	for (i = 0; i < 3; i++) {
		G_EQN(run_l2(SHORT * 4, HERE), R_EXTINT, "the deadline is first", i);
		G_EQN(run_l2(HERE, SHORT * 4), R_TIMER, "L1's timer is first", i);
	}
	mostly_prompt("while L2 is halted");
}

/* --- the thread of a vCPU that halts is woken and moved --- */

#define HALTS	10

static volatile u64 halts;

static void guest_halts(void)
{
	setup(false);
	while (halts < HALTS) {
		count = 0;
		wrmsr(MSR_TSC_DEADLINE, rdtsc() + 3000000);
		halts++;
		while (!count)
			sti_hlt_cli();
	}
}

/* A slot that comes or goes wakes the thread, which then finds itself on another CPU, and must still wait for the deadline. */
static void host_moved_halted(void)
{
	void *more = mmap(NULL, 0x10000, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	long n = sysconf(_SC_NPROCESSORS_ONLN);
	pthread_t thread;
	cpu_set_t cpus;
	struct vm vm;
	int i;

	vm_create(&vm, KSFT_IRQCHIP);
	vcpu_create(&vm, 0, guest_halts);
	vcpu_thread(&vm.vcpu[0], &thread);
	/* A guest that sleeps for ever hangs the subtest. */
	for (i = 0; i < HALTS; i++) {
		while (GUEST(&vm, halts) <= (u64)i)
			usleep(1000);
		usleep(5000);
		CPU_ZERO(&cpus);
		CPU_SET(i % n, &cpus);
		pthread_setaffinity_np(thread, sizeof(cpus), &cpus);
		vm_slot(&vm, 3, 0, 0x40000000, i & 1 ? 0 : 0x10000, i & 1 ? NULL : more);
	}
	pthread_join(thread, NULL);
	vm_destroy(&vm);
}

/* --- a signal comes when a deadline has passed, and its interrupt is about to be injected --- */

#define STORM	3000ul		/* cycles between deadlines */
#define HITS	4		/* signals that are to come at that moment */
#define TRIES	4000

static volatile u64 ticks;

static void on_tick(struct trap_regs *r)
{
	ticks++;
	apic_eoi();
}

static void guest_ticks(void)
{
	u64 last;

	setup(true);
	g_trap_fn[VEC] = on_tick;
	sti();
	for (;;) {
		last = ticks;
		wrmsr(MSR_TSC_DEADLINE, rdtsc() + STORM);
		while (ticks == last)
			;
	}
}

static volatile u64 turn;	/* number of the KVM_RUN that is to be interrupted */
static pthread_t ticking;
static struct kvm_run *ticking_run;

/* A signal before KVM_RUN ends it, too. */
static void on_signal(int sig)
{
	ticking_run->immediate_exit = 1;
}

static void on_cpu(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (pthread_setaffinity_np(pthread_self(), sizeof(set), &set))
		ksft_skip("one processor only");
}

/* Interrupts each KVM_RUN once, at another moment each time. */
static void *interrupter(void *arg)
{
	u64 seen, until;

	on_cpu(1);
	for (seen = 0;; seen++) {
		while (turn == seen)
			;
		if (turn == ~0ul)
			return NULL;
		until = rdtsc() + 4 * STORM + turn * 37 % STORM;
		while (rdtsc() < until)
			;
		pthread_kill(ticking, SIGUSR1);
	}
}

static void run_interrupted(struct vcpu *vcpu)
{
	turn++;
	EQ(vcpu_run_once(vcpu), -EINTR, "KVM_RUN");
	vcpu->run->immediate_exit = 0;
}

/* User space takes an interrupt back that was not delivered, and the guest does not get it. */
static void host_put_off(void)
{
	struct sigaction a = { .sa_handler = on_signal };
	struct kvm_vcpu_events events;
	struct vcpu *vcpu;
	pthread_t thread;
	struct vm vm;
	int i, hits;
	u64 n;

	on_cpu(1);
	on_cpu(0);
	sigaction(SIGUSR1, &a, NULL);
	ticking = pthread_self();
	vm_create(&vm, KSFT_IRQCHIP);
	vcpu = vcpu_create(&vm, 0, guest_ticks);
	ticking_run = vcpu->run;
	MUST(!pthread_create(&thread, NULL, interrupter, NULL), "thread");
	for (i = hits = 0; i < TRIES && hits < HITS; i++) {
		run_interrupted(vcpu);
		DO(vcpu->fd, KVM_GET_VCPU_EVENTS, &events);
		if (!events.interrupt.injected)
			continue;
		hits++;
		EQ(events.interrupt.nr, VEC, "vector");
		n = GUEST(&vm, ticks);
		events.interrupt.injected = 0;
		DO(vcpu->fd, KVM_SET_VCPU_EVENTS, &events);
		run_interrupted(vcpu);
		EQ(GUEST(&vm, ticks), n, "interrupts, after one was taken back");
		DO(vcpu->fd, KVM_GET_VCPU_EVENTS, &events);
		EQ(events.interrupt.injected, 0, "nothing is to be injected");
		events.interrupt.injected = 1;
		events.interrupt.nr = VEC;
		DO(vcpu->fd, KVM_SET_VCPU_EVENTS, &events);
		run_interrupted(vcpu);
		OK(GUEST(&vm, ticks) > n, "the interrupt was given back");
	}
	turn = ~0ul;
	pthread_join(thread, NULL);
	OK(hits, "no signal came at the moment");
	ksft_diag("%d of %d signals came then", hits, i);
	vm_destroy(&vm);
}

static const struct ksft_test tests[] = {
	{ "on time, xAPIC", .guest = guest_on_time, .flags = KSFT_IRQCHIP, .arg = 0 },
	{ "on time, x2APIC", .guest = guest_on_time, .flags = KSFT_IRQCHIP, .arg = 1 },
	{ "with other interrupts and traps, xAPIC", .guest = guest_together, .flags = KSFT_IRQCHIP, .arg = 0 },
	{ "with other interrupts and traps, x2APIC", .guest = guest_together, .flags = KSFT_IRQCHIP, .arg = 1 },
	{ "a deadline that passes in user space", .host = host_passes },
	{ "the counter jumps", .host = host_jumps },
	{ "the thread of a halted vCPU is moved", .host = host_moved_halted },
	{ "a signal comes together with a deadline", .host = host_put_off },
	{ "deadlines of both levels, L2 spins", .guest = guest_l2, .flags = KSFT_VMX | KSFT_IRQCHIP, .arg = 0 },
	{ "deadlines of both levels, L2 exits", .guest = guest_l2, .flags = KSFT_VMX | KSFT_IRQCHIP, .arg = 1 },
	{ "deadlines of both levels, L2 halts", .guest = guest_l2_halted, .flags = KSFT_VMX | KSFT_IRQCHIP },
};
KSFT_MAIN(tests)
