// SPDX-License-Identifier: GPL-2.0
/* Traps of one level: single steps, breakpoints, INT1, INT3, shadows of STI and MOV SS, events that user space sets. */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/droste.h>
#include <string.h>
#include <sys/ioctl.h>
#include "guest.h"
#include "save.h"
#include "vm.h"

#define DR6_INIT	0xffff0ff0ul
#define DR6_BS		BIT(14)
#define DEBUGCTL_BTF	BIT(1)

/* Sets TF: the instruction behind these traps first. */
#define STEP		"pushfq; orq $0x100, (%%rsp); popfq\n\t"
#define ICEBP		".byte 0xf1\n\t"

/* --- a log of the events that the guest takes --- */

struct entry {
	u64 vector, rip, dr6;
};
static volatile struct entry seen[8];
static volatile u64 events;
static volatile u64 steps;	/* #DBs that leave TF set */

static void on_event(struct trap_regs *r)
{
	if (events < ARRAY_SIZE(seen)) {
		seen[events].vector = r->vector;
		seen[events].rip = r->rip;
		seen[events].dr6 = read_dr6();
	}
	events++;
	if (r->vector == VEC_DB) {
		if (steps)
			steps--;
		else
			r->rflags &= ~RFLAGS_TF;
		write_dr6(DR6_INIT);
		write_dr7(0x400);
	}
	if (r->vector >= 32)
		apic_eoi();
	if (events >= ARRAY_SIZE(seen))
		g_call(GCALL_ABORT, __FILE__, __LINE__, "events without end", events, 0, 0, 0);
}

/* The next @n #DBs leave TF set, the one behind them clears it. */
static void expect_events(u64 n)
{
	events = 0;
	steps = n;
	write_dr6(DR6_INIT);
	g_trap_fn[VEC_DB] = on_event;
	g_trap_fn[VEC_NMI] = on_event;
	g_trap_fn[0x41] = on_event;
}

static void was(u64 i, u64 vector, const char *rip, const char *what)
{
	G_EQN(seen[i].vector, vector, what, i);
	G_EQN(seen[i].rip, (u64)rip, "RIP", i);
}

static void was_step(u64 i, const char *rip, const char *what)
{
	was(i, VEC_DB, rip, what);
	G_EQN(seen[i].dr6 & (DR6_BS | 0xf), DR6_BS, "DR6", i);
}

/* --- single steps over instructions that exit (SDM 3A table 6-2: traps come before NMIs and interrupts) --- */

extern char irq_after[], nmi_after[], mmio_after[], cpuid_after[];

static void guest_step_interrupt(void)
{
	apic_x2_enable();
	expect_events(0);
	sti();
	asm volatile(STEP "wrmsr\nirq_after: nop; nop" : : "c" (MSR_X2APIC(APIC_SELF_IPI)), "a" (0x41), "d" (0)
		     : "memory", "cc");
	cli();
	G_EQ(events, 2, "events");
	was_step(0, irq_after, "the step comes first");
	was(1, 0x41, irq_after, "the interrupt comes next");
}

/* The NMI comes before the first instruction of the #DB handler. */
static void step_then_nmi(const char *rip)
{
	extern char trap_stubs[];

	G_EQ(events, 2, "events");
	was(0, VEC_NMI, trap_stubs + 16 * VEC_DB, "the NMI at the handler of the step");
	was_step(1, rip, "the step");
}

static void guest_step_nmi(void)
{
	apic_x2_enable();
	expect_events(0);
	asm volatile(STEP "wrmsr\nnmi_after: nop; nop" : : "c" (MSR_X2APIC(APIC_ICR)), "a" (0x400), "d" (apic_id())
		     : "memory", "cc");
	step_then_nmi(nmi_after);
}

/* The same with a store to the local APIC, which the emulator executes. */
static void guest_step_mmio(void)
{
	apic_enable();
	expect_events(0);
	apic_write(APIC_ICR2, apic_id() << 24);
	asm volatile(STEP "movl %%eax, (%%rdx)\nmmio_after: nop; nop" : : "a" (0x400), "d" (APIC_BASE + APIC_ICR)
		     : "memory", "cc");
	step_then_nmi(mmio_after);
}

/* A breakpoint at the instruction after the stepped one: one #DB with both bits, as without an exit. KVM has BS alone. */
static void breakpoint_after_step(void)
{
	extern char nop_after[];

	expect_events(0);
	write_dr0((u64)nop_after);
	write_dr7(0x402);
	asm volatile(STEP "nop\nnop_after: nop" : : : "memory", "cc");
	G_EQ(events, 1, "#DBs behind NOP");
	was(0, VEC_DB, nop_after, "step and breakpoint behind NOP");
	G_EQ(seen[0].dr6 & (DR6_BS | 0xf), DR6_BS | 1, "DR6 behind NOP");
	expect_events(0);
	write_dr0((u64)cpuid_after);
	write_dr7(0x402);
	asm volatile(STEP "cpuid\ncpuid_after: nop" : : "a" (0) : "rbx", "rcx", "rdx", "memory", "cc");
	G_EQ(events, 1, "#DBs behind CPUID");
	was(0, VEC_DB, cpuid_after, "step and breakpoint behind CPUID");
	G_EQ(seen[0].dr6 & (DR6_BS | 0xf), DR6_BS | 1, "DR6 behind CPUID");
}

static void guest_step_breakpoint(void)
{
	extern char bp_irq_after[];

	breakpoint_after_step();
	apic_x2_enable();
	expect_events(0);
	write_dr0((u64)bp_irq_after);
	write_dr7(0x402);
	sti();
	asm volatile(STEP "wrmsr\nbp_irq_after: nop; nop" : : "c" (MSR_X2APIC(APIC_SELF_IPI)), "a" (0x41), "d" (0)
		     : "memory", "cc");
	cli();
	G_EQ(events, 2, "events with an interrupt");
	was(0, VEC_DB, bp_irq_after, "step and breakpoint before the interrupt");
	G_EQ(seen[0].dr6 & (DR6_BS | 0xf), DR6_BS | 1, "DR6 before the interrupt");
	was(1, 0x41, bp_irq_after, "the interrupt");
}

/* --- single steps on branches (SDM 3B 18.4.3); KVM traps after CPUID, too --- */

static volatile u64 btf_in_handler;

static void on_branch(struct trap_regs *r)
{
	btf_in_handler = rdmsr(MSR_DEBUGCTL) & DEBUGCTL_BTF;
	on_event(r);
}

static void arm_btf(void)
{
	expect_events(0);
	g_trap_fn[VEC_DB] = on_branch;
	wrmsr(MSR_DEBUGCTL, DEBUGCTL_BTF);
}

static void guest_btf(void)
{
	extern char btf_nop[], btf_cpuid[], btf_target[];
	bool native;

	arm_btf();
	asm volatile(STEP "nop\nbtf_nop: nop; jmp 1f; nop\n1: nop" : : : "memory", "cc");
	native = seen[0].rip != (u64)btf_nop;	/* else the processor does not implement BTF */
	G_EQ(btf_in_handler, 0, "a #DB clears BTF");
	arm_btf();
	asm volatile(STEP "cpuid\nbtf_cpuid: nop; jmp btf_target; nop\nbtf_target: nop" : : "a" (0)
		     : "rbx", "rcx", "rdx", "memory", "cc");
	G_EQ(events, 1, "#DBs");
	G_OK(seen[0].rip != (u64)btf_cpuid, "CPUID is no branch");
	if (native)
		was_step(0, btf_target, "the step behind the branch");
	G_EQ(btf_in_handler, 0, "a #DB clears BTF");
	wrmsr(MSR_DEBUGCTL, 0);
}

/* --- HLT: a debug exception ends it (SDM 2A, HLT) --- */

static void guest_step_hlt(void)
{
	extern char hlt_after[];

	expect_events(0);
	cli();
	asm volatile(STEP "hlt\nhlt_after: nop" : : : "memory", "cc");
	G_EQ(events, 1, "events");
	was_step(0, hlt_after, "the step behind HLT");
}

static void guest_step_sti_hlt(void)
{
	extern char sti_after[], sti_hlt_after[];

	apic_enable();
	expect_events(1);
	cli();
	asm volatile(STEP "sti\nsti_after: hlt\nsti_hlt_after: nop" : : : "memory", "cc");
	cli();
	G_EQ(events, 2, "events");
	was_step(0, sti_after, "the step behind STI");
	was_step(1, sti_hlt_after, "the step behind HLT");
}

/* Without a local APIC in the kernel, too, HLT is over at once. */
static void host_step_hlt_user_apic(void)
{
	struct vcpu *vcpu;
	struct vm vm;

	if (!is_droste())
		ksft_skip("KVM leaves it to user space to look for the pending exception");
	vm_create(&vm, 0);
	vcpu = vcpu_create(&vm, 0, guest_step_hlt);
	vcpu_run_to_end(vcpu);
	vm_destroy(&vm);
}

/* --- shadows of STI and MOV SS under TF (SDM 3C 27.3.1.5: VM entry needs BS there) --- */

extern char ss_icebp_after[], sti_step[], sti_icebp[], sti_next[];

static u64 user_ss_icebp(u64 arg)
{
	asm volatile("mov %%ss, %%eax\n\t" STEP "mov %%eax, %%ss\n\t" ICEBP "ss_icebp_after: nop"
		     : : : "rax", "memory", "cc");
	return 0;
}

static void guest_shadows(void)
{
	/* MOV SS and INT1 in user mode; the trap of TF behind MOV SS is held back, or lost. */
	expect_events(0);
	g_user(user_ss_icebp, 0);
	G_OK(events >= 1, "events");
	was(0, VEC_DB, ss_icebp_after, "INT1 behind MOV SS");
	/* Steps over STI, over INT1 in its shadow, and over NOP. */
	apic_enable();
	expect_events(2);
	cli();
	asm volatile(STEP "sti\nsti_step: " ICEBP "sti_icebp: nop\nsti_next: nop" : : : "memory", "cc");
	cli();
	G_EQ(events, 3, "events");
	was_step(0, sti_step, "the step behind STI");
	was(1, VEC_DB, sti_icebp, "INT1");
	was_step(2, sti_next, "the step behind NOP");
}

/*
 * A data breakpoint at MOV SS is held back until the next instruction is
 * complete, and comes before an interrupt (SDM 3A 6.8.3). KVM loses it there.
 */
static u64 ss_operand;

static void guest_held_breakpoint(void)
{
	extern char held_cpuid[], held_wrmsr[];

	apic_x2_enable();
	ss_operand = SEL_DS;
	expect_events(0);
	write_dr0((u64)&ss_operand);
	write_dr7(0x402 | 0x3 << 16);
	asm volatile("mov %1, %%ss; cpuid\nheld_cpuid: nop" : : "a" (0), "m" (ss_operand)
		     : "rbx", "rcx", "rdx", "memory", "cc");
	G_EQ(events, 1, "events behind CPUID");
	was(0, VEC_DB, held_cpuid, "the breakpoint behind CPUID");
	G_EQ(seen[0].dr6 & (DR6_BS | 0xf), 1, "DR6");
	expect_events(0);
	write_dr7(0x402 | 0x3 << 16);
	sti();
	asm volatile("mov %3, %%ss; wrmsr\nheld_wrmsr: nop; nop" : : "c" (MSR_X2APIC(APIC_SELF_IPI)), "a" (0x41), "d" (0),
		     "m" (ss_operand) : "memory", "cc");
	cli();
	G_EQ(events, 2, "events behind WRMSR");
	was(0, VEC_DB, held_wrmsr, "the breakpoint behind WRMSR");
	was(1, 0x41, held_wrmsr, "the interrupt");
}

/* MOV SS from MMIO, which the emulator executes: an interrupt that is due waits for the next instruction, and so does TF. */
extern char mmio_ss_1[], mmio_ss_2[];

static void guest_mmio_ss(void)
{
	u64 tf;

	apic_enable();
	for (tf = 0; tf < 2; tf++) {
		expect_events(0);
		sti();
		asm volatile("pushfq; or %0, (%%rsp); popfq; mov (%1), %%ss\nmmio_ss_1: nop\nmmio_ss_2: nop"
			     : : "r" (tf ? RFLAGS_TF : 0), "r" (MMIO_HOLE) : "memory", "cc");
		cli();
		G_EQN(events, 1 + tf, "events", tf);
		if (tf)
			was_step(0, mmio_ss_2, "the step behind the next instruction");
		was(tf, 0x41, mmio_ss_2, "the interrupt behind the next instruction");
	}
}

static void host_mmio_ss(void)
{
	struct kvm_msi msi = { .address_lo = 0xfee00000, .data = 0x41 };
	u16 ss = SEL_DS;
	struct vcpu *vcpu;
	struct vm vm;

	if (!is_droste())
		ksft_skip("KVM loses the single step");
	vm_create(&vm, KSFT_IRQCHIP);
	vcpu = vcpu_create(&vm, 0, guest_mmio_ss);
	while (vcpu_run_to_call(vcpu, NULL) == GCALL_NONE) {
		MUST(vcpu->run->exit_reason == KVM_EXIT_MMIO, "MMIO: exit %u", vcpu->run->exit_reason);
		memcpy(vcpu->run->mmio.data, &ss, 2);
		DO(vm.fd, KVM_SIGNAL_MSI, &msi);
	}
	OK(vcpu->done, "the guest ends");
	vm_destroy(&vm);
}

/* --- the debugger in user space --- */

static void debug(struct vcpu *vcpu, u32 control)
{
	struct kvm_guest_debug d = { .control = control ? control | KVM_GUESTDBG_ENABLE : 0, .arch.debugreg[7] = 0x400 };

	DO(vcpu->fd, KVM_SET_GUEST_DEBUG, &d);
}

static void expect_debug(struct vcpu *vcpu, u8 vector, const char *pc, const char *what)
{
	EQ(vcpu_run_once(vcpu), 0, "%s", what);
	if (vcpu->run->exit_reason != KVM_EXIT_DEBUG)
		describe_exit(vcpu);
	MUST(vcpu->run->exit_reason == KVM_EXIT_DEBUG, "%s", what);
	EQ(vcpu->run->debug.arch.exception, vector, "vector: %s", what);
	EQ(vcpu->run->debug.arch.pc, (u64)pc, "RIP: %s", what);
}

extern char dbg_hlt[], dbg_hlt_after[], dbg_wrmsr_after[], dbg_icebp_after[], dbg_out_after[];

static void guest_debugged(void)
{
	apic_x2_enable();
	expect_events(0);
	cli();
	g_sync(1);
	asm volatile("dbg_hlt: hlt\ndbg_hlt_after: nop" : : : "memory");
	g_sync(2);
	asm volatile("wrmsr\ndbg_wrmsr_after: nop" : : "c" (MSR_X2APIC(APIC_SELF_IPI)), "a" (0x41), "d" (0) : "memory");
	g_sync(3);
	asm volatile("out %%al, $0x80\ndbg_out_after: nop" : : "a" (0) : "memory");
	g_sync(4);
	asm volatile(ICEBP "dbg_icebp_after: nop" : : : "memory");
	g_sync(5);
}

static void step_to(struct vcpu *vcpu, const char *pc, const char *what)
{
	int i;

	for (i = 0; i < 200; i++) {
		EQ(vcpu_run_once(vcpu), 0, "%s", what);
		if (vcpu->run->exit_reason == KVM_EXIT_IO)
			continue;
		MUST(vcpu->run->exit_reason == KVM_EXIT_DEBUG, "%s: exit %u", what, vcpu->run->exit_reason);
		if (vcpu->run->debug.arch.pc == (u64)pc)
			return;
	}
	MUST(false, "%s: the steps do not get there", what);
}

static void host_steps(void)
{
	struct kvm_mp_state mp = { .mp_state = KVM_MP_STATE_RUNNABLE };
	struct vcpu *vcpu;
	struct vm vm;

	vm_create(&vm, KSFT_IRQCHIP);
	vcpu = vcpu_create(&vm, 0, guest_debugged);
	vcpu_run_to_sync(vcpu, 1);
	debug(vcpu, KVM_GUESTDBG_SINGLESTEP);
	step_to(vcpu, dbg_hlt, "to HLT");
	expect_debug(vcpu, 1, dbg_hlt_after, "over HLT with interrupts disabled");
	OK(vcpu->run->debug.arch.dr6 & DR6_BS, "DR6.BS");
	debug(vcpu, 0);
	/* On KVM the vCPU is halted now. */
	DO(vcpu->fd, KVM_SET_MP_STATE, &mp);
	vcpu_run_to_sync(vcpu, 2);
	debug(vcpu, KVM_GUESTDBG_SINGLESTEP);
	step_to(vcpu, dbg_wrmsr_after, "over WRMSR, which sends an interrupt");
	/* An OUT that user space completes: the step is due even if KVM_RUN is told to return at once. */
	debug(vcpu, 0);
	vcpu_run_to_sync(vcpu, 3);
	debug(vcpu, KVM_GUESTDBG_SINGLESTEP);
	do
		EQ(vcpu_run_once(vcpu), 0, "to OUT");
	while (vcpu->run->exit_reason == KVM_EXIT_DEBUG);
	EQ(vcpu->run->exit_reason, KVM_EXIT_IO, "OUT");
	vcpu->run->immediate_exit = 1;
	expect_debug(vcpu, 1, dbg_out_after, "the step behind OUT, with immediate_exit");
	vcpu->run->immediate_exit = 0;
	debug(vcpu, 0);
	vcpu_run_to_sync(vcpu, 4);
	vm_destroy(&vm);
}

/* INT1 that the debugger gives back is the guest's trap, with RIP behind it (SDM 2A, INT1). */
static void host_icebp_given_back(void)
{
	struct vcpu *vcpu;
	struct kvm_regs r;
	struct vm vm;

	if (!is_droste())
		ksft_skip("KVM leaves RIP at INT1");
	vm_create(&vm, KSFT_IRQCHIP);
	vcpu = vcpu_create(&vm, 0, guest_debugged);
	vcpu_run_to_sync(vcpu, 1);
	vcpu_finish_exit(vcpu);
	debug(vcpu, KVM_GUESTDBG_USE_HW_BP);
	vcpu_regs(vcpu, &r);
	r.rip = (u64)dbg_icebp_after - 1;
	vcpu_set_regs(vcpu, &r);
	expect_debug(vcpu, 1, dbg_icebp_after, "INT1");
	debug(vcpu, KVM_GUESTDBG_USE_HW_BP | KVM_GUESTDBG_INJECT_DB);
	vcpu_run_to_sync(vcpu, 5);
	EQ(GUEST(&vm, events), 1, "#DBs");
	EQ(GUEST(&vm, seen[0].rip), (u64)dbg_icebp_after, "RIP");
	vm_destroy(&vm);
}

/* --- INT3 that the debugger gives back (SDM 2A, INT3; 3A 6.15) --- */

extern char bp_here[];
static volatile u64 bps, bp_rip;

static void on_bp(struct trap_regs *r)
{
	bp_rip = r->rip;
	if (++bps > 2)
		g_done();
}

static void guest_int3(void)
{
	g_trap_fn[VEC_BP] = on_bp;
	asm volatile("bp_here: int3; nop" : : : "memory");
}

enum give { GIVE_INJECTED, GIVE_PENDING, GIVE_DEBUG };

static void give_back(enum give how)
{
	struct kvm_vcpu_events e;
	struct vcpu *vcpu;
	struct vm vm;

	vm_create(&vm, 0);
	if (how == GIVE_PENDING)
		EQ(vm_enable_cap(&vm, KVM_CAP_EXCEPTION_PAYLOAD, 1), 0, "capability");
	vcpu = vcpu_create(&vm, 0, guest_int3);
	debug(vcpu, KVM_GUESTDBG_USE_SW_BP);
	expect_debug(vcpu, 3, bp_here, "INT3");
	if (how == GIVE_DEBUG) {
		debug(vcpu, KVM_GUESTDBG_USE_SW_BP | KVM_GUESTDBG_INJECT_BP);
	} else {
		DO(vcpu->fd, KVM_GET_VCPU_EVENTS, &e);
		e.exception.nr = 3;
		e.exception.injected = how == GIVE_INJECTED;
		e.exception.pending = how == GIVE_PENDING;
		DO(vcpu->fd, KVM_SET_VCPU_EVENTS, &e);
	}
	vcpu_run_to_end(vcpu);
	EQ(GUEST(&vm, bps), 1, "#BPs, way %d", how);
	EQ(GUEST(&vm, bp_rip), (u64)bp_here + 1, "RIP, way %d", how);
	vm_destroy(&vm);
}

static void host_int3_given_back(void)
{
	give_back(GIVE_INJECTED);
	give_back(GIVE_PENDING);
	give_back(GIVE_DEBUG);
}

/* --- a trap that is due is part of the state that user space saves --- */

extern char out_after[];

static void guest_step_out(void)
{
	expect_events(0);
	asm volatile(STEP "out %%al, $0x80\nout_after: nop" : : "a" (0) : "memory", "cc");
	G_EQ(events, 1, "events");
	was_step(0, out_after, "the step behind OUT");
}

static void save_step(bool payload)
{
	static struct saved_vcpu s;
	struct vcpu *vcpu;
	struct vm vm;

	vm_create(&vm, 0);
	if (payload)
		EQ(vm_enable_cap(&vm, KVM_CAP_EXCEPTION_PAYLOAD, 1), 0, "capability");
	vcpu = vcpu_create(&vm, 0, guest_step_out);
	EQ(vcpu_run_to_call(vcpu, NULL), GCALL_NONE, "OUT");
	MUST(vcpu->run->exit_reason == KVM_EXIT_IO && vcpu->run->io.port == 0x80, "OUT");
	vcpu_save(vcpu, &s);
	EQ(s.events.exception.nr, 1, "#DB");
	if (payload) {
		EQ(s.events.exception.pending, 1, "pending");
		EQ(s.events.exception_has_payload, 1, "has a payload");
		EQ(s.events.exception_payload, DR6_BS, "payload");
	} else {
		EQ(s.events.exception.injected, 1, "injected");
		EQ(s.debugregs.dr6 & DR6_BS, DR6_BS, "DR6");
	}
	vm_replace(&vm);
	if (payload)
		EQ(vm_enable_cap(&vm, KVM_CAP_EXCEPTION_PAYLOAD, 1), 0, "capability");
	vcpu = vcpu_create(&vm, 0, guest_step_out);
	vcpu_restore(vcpu, &s, ORDER_QEMU);
	vcpu_run_to_end(vcpu);
	vm_destroy(&vm);
}

static void host_save_step(void)
{
	save_step(true);
	save_step(false);
}

/* --- a VM entry that fails delivers nothing (SDM 3C 27.8) --- */

static void guest_ud2(void)
{
	asm volatile("ud2");
}

static void guest_syncs(void)
{
	g_sync(1);
	g_sync(2);
}

static void fail_entry(struct vcpu *vcpu, bool bad)
{
	struct kvm_sregs s;

	vcpu_sregs(vcpu, &s);
	s.tr.type = bad ? 2 : 0xb;	/* an LDT (SDM 3C 27.3.1.2) */
	vcpu_set_sregs(vcpu, &s);
	if (!bad)
		return;
	EQ(vcpu_run_once(vcpu), 0, "run");
	MUST(vcpu->run->exit_reason == KVM_EXIT_FAIL_ENTRY, "a failed entry: exit %u", vcpu->run->exit_reason);
}

static void host_failed_entry(void)
{
	struct kvm_vcpu_events e, none = { 0 };
	struct kvm_sregs s;
	struct vcpu *vcpu;
	struct vm vm;
	u64 idt;

	vm_create(&vm, 0);
	vcpu = vcpu_create(&vm, 0, guest_ud2);
	vcpu_sregs(vcpu, &s);
	idt = s.idt.base;
	s.idt.base = MMIO_HOLE;
	vcpu_set_sregs(vcpu, &s);
	/* The delivery of #UD is interrupted by an exit that cannot be handled. */
	EQ(vcpu_run_once(vcpu), 0, "run");
	MUST(vcpu->run->exit_reason == KVM_EXIT_INTERNAL_ERROR, "an IDT without memory: exit %u", vcpu->run->exit_reason);
	DO(vcpu->fd, KVM_SET_VCPU_EVENTS, &none);
	fail_entry(vcpu, true);
	DO(vcpu->fd, KVM_GET_VCPU_EVENTS, &e);
	EQ(e.exception.injected, 0, "no event after a failed entry without one: vector %u", e.exception.nr);
	/* An event that was to be delivered still is. */
	e = none;
	e.exception.injected = 1;
	e.exception.nr = VEC_GP;
	e.exception.has_error_code = 1;
	DO(vcpu->fd, KVM_SET_VCPU_EVENTS, &e);
	fail_entry(vcpu, true);
	DO(vcpu->fd, KVM_GET_VCPU_EVENTS, &e);
	EQ(e.exception.injected, 1, "the event after a failed entry");
	EQ(e.exception.nr, VEC_GP, "its vector");
	if (!is_droste())
		ksft_skip("KVM leaves the event in the VMCS");
	/* Once user space has removed it, it is gone. */
	DO(vcpu->fd, KVM_SET_VCPU_EVENTS, &none);
	fail_entry(vcpu, false);
	vcpu_sregs(vcpu, &s);
	s.idt.base = idt;
	vcpu_set_sregs(vcpu, &s);
	vcpu_start(vcpu, guest_syncs, 0);
	vcpu_run_to_sync(vcpu, 1);
	vm_destroy(&vm);
}

/* --- an exception during the delivery of another event comes first (SDM 3A 6.15) --- */

/*
 * 32-bit protected mode without paging, all of it at CPL 3 with alignment
 * checks: INT 0x40, whose gate leads to CPL 3, pushes onto a misaligned stack.
 * The handlers tell by OUT that they run.
 */
extern char pm_start[], pm_int40[], pm_ac[], pm_end[];
asm(".pushsection .text\n.code32\n"
	"pm_start:	int $0x40\n"
	"		mov $3, %al; out %al, $0x80\n"
	"pm_int40:	mov $1, %al; out %al, $0x80\n"
	"pm_ac:	mov $2, %al; out %al, $0x80\n"
	"pm_end:\n"
	".code64\n.popsection\n");

static u64 pm_address(const char *symbol)
{
	return LOW_CODE + (symbol - pm_start);
}

static void host_exception_in_delivery(void)
{
	struct kvm_segment code = { .limit = 0xffffffff, .selector = 0x1b, .type = 0xb, .present = 1, .dpl = 3, .db = 1, .s = 1,
				    .g = 1 };
	struct kvm_segment data = code;
	struct kvm_regs r = { .rflags = RFLAGS_FIXED | 3 << 12 | BIT(18), .rip = LOW_CODE, .rsp = 0x9001 };
	struct kvm_sregs s;
	struct vcpu *vcpu;
	u64 *gdt, *idt;
	u32 *tss;
	struct vm vm;

	vm_create(&vm, 0);
	vcpu = vcpu_create(&vm, 0, guest_syncs);
	gdt = (u64 *)(vm.mem + CPU_TABLES);
	idt = (u64 *)(vm.mem + CPU_TABLES + OFF_IDT);
	tss = (u32 *)(vm.mem + CPU_TABLES + OFF_TSS);
	memset(gdt, 0, 64);
	gdt[1] = 0x00cf9b000000ffff;	/* 0x08: CPL 0 code */
	gdt[2] = 0x00cf93000000ffff;	/* 0x10: CPL 0 data */
	gdt[3] = 0x00cffb000000ffff;	/* 0x18: CPL 3 code */
	gdt[4] = 0x00cff3000000ffff;	/* 0x20: CPL 3 data */
	memset(idt, 0, 0x1000);
	idt[0x40] = (pm_address(pm_int40) & 0xffff) | 0x1bul << 16 | 0xeeul << 40;
	idt[VEC_AC] = (pm_address(pm_ac) & 0xffff) | 0x08ul << 16 | 0x8eul << 40;
	memset(tss, 0, 0x68);
	tss[1] = 0xa000;	/* ESP0 */
	tss[2] = 0x10;		/* SS0 */
	memcpy(vm.mem + LOW_CODE, pm_start, pm_end - pm_start);
	vcpu_sregs(vcpu, &s);
	data.selector = 0x23;
	data.type = 3;
	s.cs = code;
	s.ds = s.es = s.fs = s.gs = s.ss = data;
	s.tr = (struct kvm_segment) { .base = CPU_TABLES + OFF_TSS, .limit = 0x67, .selector = 0x28, .type = 0xb, .present = 1 };
	s.idt.limit = 0x7ff;
	s.cr0 = CR0_PE | CR0_NE | CR0_ET | CR0_AM;
	s.cr4 = 0;
	s.efer = 0;
	vcpu_set_sregs(vcpu, &s);
	vcpu_set_regs(vcpu, &r);
	EQ(vcpu_run_once(vcpu), 0, "run");
	if (!is_droste() && vcpu->run->exit_reason == KVM_EXIT_INTERNAL_ERROR)
		ksft_skip("KVM gives up: KVM_INTERNAL_ERROR_SIMUL_EX");
	if (vcpu->run->exit_reason != KVM_EXIT_IO)
		describe_exit(vcpu);
	MUST(vcpu->run->exit_reason == KVM_EXIT_IO, "a handler runs");
	EQ(*((u8 *)vcpu->run + vcpu->run->io.data_offset), 2, "the handler of #AC");
	vm_destroy(&vm);
}

/* --- KVM_SET_MP_STATE --- */

/* A vCPU that has got its SIPI starts at the vector that KVM_SET_VCPU_EVENTS set. */
static void host_sipi_received(void)
{
	struct kvm_mp_state mp = { .mp_state = KVM_MP_STATE_SIPI_RECEIVED };
	struct kvm_vcpu_events e;
	struct vcpu *vcpu;
	struct vm vm;
	int ret;

	vm_create(&vm, 0);
	vcpu = vcpu_create(&vm, 0, guest_syncs);
	FAILS(vcpu->fd, KVM_SET_MP_STATE, &mp, EINVAL);
	vm_destroy(&vm);

	vm_create(&vm, KSFT_IRQCHIP);
	vcpu_create(&vm, 0, guest_syncs);
	vcpu = vcpu_create(&vm, 1, NULL);
	memcpy(vm.mem + LOW_CODE, "\xe6\x80\xf4", 3);	/* out %al, $0x80; hlt */
	DO(vcpu->fd, KVM_GET_VCPU_EVENTS, &e);
	e.flags |= KVM_VCPUEVENT_VALID_SIPI_VECTOR;
	e.sipi_vector = LOW_CODE >> 12;
	DO(vcpu->fd, KVM_SET_VCPU_EVENTS, &e);
	DO(vcpu->fd, KVM_SET_MP_STATE, &mp);
	do
		ret = vcpu_run_once(vcpu);
	while (ret == -EAGAIN);
	EQ(ret, 0, "run");
	EQ(vcpu->run->exit_reason, KVM_EXIT_IO, "the vCPU runs");
	EQ(vcpu->run->io.port, 0x80, "its first instruction");
	vm_destroy(&vm);
}

#define A .flags = KSFT_IRQCHIP
static const struct ksft_test tests[] = {
	{ "a single step and an interrupt", .guest = guest_step_interrupt, A },
	{ "a single step and an NMI", .guest = guest_step_nmi, A },
	{ "a single step over MMIO and an NMI", .guest = guest_step_mmio, A },
	{ "a single step and a breakpoint behind it", .guest = guest_step_breakpoint, A },
	{ "single steps on branches", .guest = guest_btf },
	{ "a single step over HLT", .guest = guest_step_hlt, A },
	{ "single steps over STI and HLT", .guest = guest_step_sti_hlt, A },
	{ "a single step over HLT, local APIC in user space", .host = host_step_hlt_user_apic },
	{ "shadows of STI and MOV SS under TF", .guest = guest_shadows, A },
	{ "a breakpoint that MOV SS holds back", .guest = guest_held_breakpoint, A },
	{ "MOV SS from MMIO holds events back", .host = host_mmio_ss },
	{ "a debugger steps over HLT, WRMSR and OUT", .host = host_steps },
	{ "a debugger gives INT1 back", .host = host_icebp_given_back },
	{ "a debugger gives INT3 back", .host = host_int3_given_back },
	{ "a single step that is due is saved", .host = host_save_step },
	{ "a failed VM entry delivers nothing", .host = host_failed_entry },
	{ "an exception during delivery comes first", .host = host_exception_in_delivery },
	{ "KVM_MP_STATE_SIPI_RECEIVED", .host = host_sipi_received },
};
KSFT_MAIN(tests)
