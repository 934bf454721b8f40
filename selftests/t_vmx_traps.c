// SPDX-License-Identifier: GPL-2.0
/* Traps of L2: single steps, the monitor trap flag and windows around instructions that L0 executes; how L2's HLT ends. */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/droste.h>
#include <string.h>
#include <sys/ioctl.h>
#include "save.h"
#include "vm.h"
#include "vmx.h"

#define CODE(name, text) \
extern char name[], name##_1[], name##_2[]; \
asm(".pushsection .text\n" #name ":\n" text "\n\tvmcall\n.popsection\n")

CODE(c_store, "movl %eax, (%rbx)\nc_store_1: nop\nc_store_2: nop");
CODE(c_load, "movl (%rbx), %eax\nc_load_1: nop\nc_load_2: nop");
CODE(c_xchg, "xchgl %eax, (%rbx)\nc_xchg_1: nop\nc_xchg_2: nop");
CODE(c_outs, "outsb\nc_outs_1: nop\nc_outs_2: nop");
CODE(c_ins, "insb\nc_ins_1: nop\nc_ins_2: nop");
CODE(c_rep_outs, "rep outsb\nc_rep_outs_1: nop\nc_rep_outs_2: nop");
CODE(c_wrmsr, "wrmsr\nc_wrmsr_1: nop\nc_wrmsr_2: nop");
CODE(c_hlt, "hlt\nc_hlt_1: nop\nc_hlt_2: nop");
CODE(c_sti_hlt, "sti; hlt\nc_sti_hlt_1: nop\nc_sti_hlt_2: nop");
CODE(c_nop, "nop\nc_nop_1: nop\nc_nop_2: nop");
CODE(c_loop, "c_loop_1: c_loop_2: jmp c_loop");
CODE(c_ss_int1, "mov %ss, %eax; mov %eax, %ss; .byte 0xf1\nc_ss_int1_1: nop\nc_ss_int1_2: nop");
CODE(c_ss_int1_tf, "mov %ss, %eax; pushfq; orq $0x100, (%rsp); popfq; mov %eax, %ss; .byte 0xf1\n"
	"c_ss_int1_tf_1: nop\nc_ss_int1_tf_2: nop");
CODE(c_int3, "int3\nc_int3_1: nop\nc_int3_2: nop");

#define INTR(vec, type)	(1ul << 31 | (u64)(type) << 8 | (vec))
#define BS	BIT(14)
#define MTF_STEPS 3

static void start(char *code)
{
	vmcs_new((void (*)(void))(u64)code);
}

/* L2 must not hang: L1's preemption timer ends it. */
static void guard(void)
{
	need(F_PIN, PIN_TIMER, "no preemption timer");
	vmwrite(F_TIMER, 100000000 >> (rdmsr(MSR_VMX_MISC) & 31));
}

/* L2's MSRs and interrupt handlers need no exit. */
static void let_msrs(void)
{
	need(F_PROC, PROC_MSR_BITMAPS, "no MSR bitmaps");
	vmwrite(F_MSR_BITMAP, (u64)g_page());
}

/* The first instruction of L2's handler of #DB: L2 has L1's IDT. */
extern char trap_stubs[];
#define DB_HANDLER	((u64)trap_stubs + 16 * VEC_DB)

static volatile u64 events, vectors[4], rips[4], dr6s[4];

static void on_event(struct trap_regs *r)
{
	if (events < ARRAY_SIZE(vectors)) {
		vectors[events] = r->vector;
		rips[events] = r->rip;
		dr6s[events] = read_dr6();
	}
	events++;
	if (r->vector == VEC_DB)
		r->rflags &= ~RFLAGS_TF;
	if (r->vector >= 32)
		apic_eoi();
}

static void expect_events(void)
{
	events = 0;
	g_trap_fn[VEC_DB] = on_event;
	g_trap_fn[0x41] = on_event;
	write_dr6(0xffff0ff0);
}

/* --- the monitor trap flag (SDM 3C 26.5.2): an exit after each instruction and, unlike in KVM, iteration of a REP --- */

static u8 bytes[16];

static void mtf_over(char *code, char *next, const char *what)
{
	vmwrite(F_RIP, (u64)code);
	G_EQ(vmx_run(), R_MTF, what);
	G_EQ(vmread(F_RIP), (u64)next, what);
}

static void guest_mtf(void)
{
	u64 i;

	start(c_store);
	apic_enable();
	ept_use(ept_new());
	need(F_PROC, PROC_MTF, "no monitor trap flag");
	l2.rbx = APIC_BASE + APIC_TPR;
	mtf_over(c_store, c_store_1, "a store to the local APIC");
	mtf_over(c_load, c_load_1, "a load from the local APIC");
	mtf_over(c_xchg, c_xchg_1, "XCHG with the local APIC");
	l2.rdx = 0x21;	/* the mask of the first PIC */
	l2.rsi = (u64)bytes;
	l2.rdi = (u64)bytes;
	mtf_over(c_outs, c_outs_1, "OUTS");
	mtf_over(c_ins, c_ins_1, "INS");
	l2.rcx = MTF_STEPS;
	for (i = 1; i <= MTF_STEPS; i++) {
		mtf_over(c_rep_outs, i == MTF_STEPS ? c_rep_outs_1 : c_rep_outs, "REP OUTS");
		G_EQ(l2.rcx, MTF_STEPS - i, "iterations that are left");
	}
}

/* An MMIO access that user space completes, by one exit or two. */
static void guest_mtf_user(void)
{
	start(c_store);
	ept_use(ept_new());
	need(F_PROC, PROC_MTF, "no monitor trap flag");
	l2.rbx = MMIO_HOLE;
	mtf_over(c_store, c_store_1, "a store");
	mtf_over(c_load, c_load_1, "a load");
	mtf_over(c_xchg, c_xchg_1, "XCHG");
	l2.rdx = 0x99;
	l2.rsi = (u64)bytes;
	l2.rdi = (u64)bytes;
	mtf_over(c_outs, c_outs_1, "OUTS");
	mtf_over(c_ins, c_ins_1, "INS");
}

static void host_mtf_user(void)
{
	struct vcpu *vcpu;
	struct vm vm;
	u64 kind;

	vcpu = vmx_vm(&vm, guest_mtf_user);
	do {
		kind = vcpu_run_to_call(vcpu, NULL);
	} while (kind == GCALL_NONE &&
		 (vcpu->run->exit_reason == KVM_EXIT_MMIO || vcpu->run->exit_reason == KVM_EXIT_IO));
	if (kind != GCALL_DONE)
		describe_exit(vcpu);
	EQ(kind, GCALL_DONE, "L1's end");
	vm_destroy(&vm);
}

/* The trap flag's exit comes before the trap of TF, which stays pending (SDM 3C 26.5.2, 28.3.4). KVM loses it. */
static void guest_mtf_and_tf(void)
{
	start(c_store);
	apic_enable();
	ept_use(ept_new());
	vmwrite(F_EXCEPTION_BITMAP, BIT(VEC_DB));
	need(F_PROC, PROC_MTF, "no monitor trap flag");
	vmset(F_RFLAGS, RFLAGS_TF);
	l2.rbx = APIC_BASE + APIC_TPR;
	vmx_expect(R_MTF, "the monitor trap flag first");
	G_EQ(vmread(F_RIP), (u64)c_store_1, "RIP");
	G_EQ(vmread(F_PENDING_DBG) & BS, BS, "the single step is pending");
	vmclr(F_PROC, PROC_MTF);
	vmx_expect(R_EXCEPTION, "then #DB");
	G_EQ(vmread(F_INTR_INFO), 0x80000301, "interruption information");
	G_EQ(vmread(F_QUAL), BS, "qualification");
	G_EQ(vmread(F_RIP), (u64)c_store_1, "RIP");
	G_EQ(vmread(F_PENDING_DBG), 0, "nothing is pending any more");
}

/* --- single steps of L2 and interrupts (SDM 3A table 6-2) --- */

static void guest_step_interrupt(void)
{
	start(c_wrmsr);
	apic_x2_enable();
	let_msrs();
	if (vmread(F_PIN) & PIN_EXTINT)
		g_skip("external-interrupt exiting cannot be disabled");
	expect_events();
	vmset(F_RFLAGS, RFLAGS_TF | RFLAGS_IF);
	l2.rcx = MSR_X2APIC(APIC_SELF_IPI);
	l2.rax = 0x41;
	vmx_expect(R_VMCALL, "L2's end");
	G_EQ(events, 2, "events of L2");
	G_EQ(vectors[0], VEC_DB, "the single step first");
	G_EQ(rips[0], (u64)c_wrmsr_1, "RIP of the single step");
	G_EQ(dr6s[0] & BS, BS, "DR6");
	G_EQ(vectors[1], 0x41, "then the interrupt");
	G_EQ(rips[1], (u64)c_wrmsr_1, "RIP of the interrupt");
}

/* The same if L1 takes both. */
static void guest_step_interrupt_l1(void)
{
	start(c_wrmsr);
	apic_x2_enable();
	let_msrs();
	need(F_PIN, PIN_EXTINT, "no external-interrupt exiting");
	need(F_EXIT_CTLS, EXIT_ACK, "no acknowledge on exit");
	vmwrite(F_EXCEPTION_BITMAP, BIT(VEC_DB));
	vmset(F_RFLAGS, RFLAGS_TF | RFLAGS_IF);
	l2.rcx = MSR_X2APIC(APIC_SELF_IPI);
	l2.rax = 0x41;
	vmx_expect(R_EXCEPTION, "#DB first");
	G_EQ(vmread(F_INTR_INFO), 0x80000301, "interruption information");
	G_EQ(vmread(F_QUAL), BS, "qualification");
	G_EQ(vmread(F_RIP), (u64)c_wrmsr_1, "RIP");
	vmx_expect(R_EXTINT, "then the interrupt");
	G_EQ(vmread(F_INTR_INFO), 0x80000041, "vector");
	G_EQ(vmread(F_RIP), (u64)c_wrmsr_1, "RIP");
	apic_eoi();
}

/* L2 takes the step, L1 the interrupt: before the first instruction of L2's handler. */
static void guest_step_interrupt_both(void)
{
	start(c_wrmsr);
	apic_x2_enable();
	let_msrs();
	need(F_PIN, PIN_EXTINT, "no external-interrupt exiting");
	need(F_EXIT_CTLS, EXIT_ACK, "no acknowledge on exit");
	expect_events();
	vmset(F_RFLAGS, RFLAGS_TF | RFLAGS_IF);
	l2.rcx = MSR_X2APIC(APIC_SELF_IPI);
	l2.rax = 0x41;
	vmx_expect(R_EXTINT, "the interrupt");
	G_EQ(vmread(F_INTR_INFO), 0x80000041, "vector");
	G_EQ(vmread(F_RIP), DB_HANDLER, "at the start of L2's handler of #DB");
	G_EQ(events, 0, "the handler has not run");
	apic_eoi();
	vmx_expect(R_VMCALL, "L2's end");
	G_EQ(events, 1, "events of L2");
	G_EQ(vectors[0], VEC_DB, "the single step");
	G_EQ(rips[0], (u64)c_wrmsr_1, "RIP of the single step");
}

/*
 * INT1 behind MOV SS, whose #DB L2 takes itself. The exit to L0 has blocking by MOV SS, with which VM entry refuses what
 * L0 might inject (SDM 3C 27.3.1.5). The single step that MOV SS holds back may be lost.
 */
static void guest_movss_int1(void)
{
	start(c_ss_int1);
	expect_events();
	vmx_expect(R_VMCALL, "L2's end");
	G_EQ(events, 1, "events of L2");
	G_EQ(vectors[0], VEC_DB, "INT1");
	G_EQ(rips[0], (u64)c_ss_int1_1, "RIP");
	G_EQ(dr6s[0] & BS, 0, "DR6");
	start(c_ss_int1_tf);
	expect_events();
	vmx_expect(R_VMCALL, "L2's end, with TF");
	G_OK(events >= 1, "events of L2");
	G_EQ(vectors[0], VEC_DB, "INT1");
	G_EQ(rips[0], (u64)c_ss_int1_tf_1, "RIP");
	/* The same if L1 takes it, and gives it back. */
	start(c_ss_int1_tf);
	expect_events();
	vmwrite(F_EXCEPTION_BITMAP, BIT(VEC_DB));
	vmx_expect(R_EXCEPTION, "#DB");
	G_EQ(vmread(F_INTR_INFO), INTR(VEC_DB, 5), "interruption information: a privileged software exception");
	G_EQ(vmread(F_ILEN), 1, "instruction length");
	G_EQ(vmread(F_RIP), (u64)c_ss_int1_tf_1 - 1, "RIP");
	vmwrite(F_ENTRY_INTR_INFO, INTR(VEC_DB, 5));
	vmwrite(F_ENTRY_ILEN, 1);
	vmwrite(F_INTERRUPTIBILITY, 0);
	vmx_expect(R_VMCALL, "L2's end");
	G_EQ(rips[0], (u64)c_ss_int1_tf_1, "RIP");
}

/* --- how L2's HLT ends --- */

static void guest_hlt_step(void)
{
	start(c_hlt);
	guard();
	vmwrite(F_EXCEPTION_BITMAP, BIT(VEC_DB));
	vmset(F_RFLAGS, RFLAGS_TF);
	vmx_expect(R_EXCEPTION, "#DB behind HLT");
	G_EQ(vmread(F_INTR_INFO), 0x80000301, "interruption information");
	G_EQ(vmread(F_QUAL), BS, "qualification");
	G_EQ(vmread(F_RIP), (u64)c_hlt_1, "RIP");
	start(c_hlt);
	guard();
	expect_events();
	vmset(F_RFLAGS, RFLAGS_TF);
	vmx_expect(R_VMCALL, "L2's end");
	G_EQ(events, 1, "events of L2");
	G_EQ(rips[0], (u64)c_hlt_1, "RIP of the single step");
}

/* A pending debug exception wakes L2 that is entered in the HLT state (SDM 3C 27.7.2, 27.7.3). In KVM it does not. */
static void guest_hlt_entry(void)
{
	start(c_nop);
	if (!(rdmsr(MSR_VMX_MISC) & BIT(6)))
		g_skip("no HLT activity state");
	guard();
	vmwrite(F_EXCEPTION_BITMAP, BIT(VEC_DB));
	vmset(F_RFLAGS, RFLAGS_TF);
	vmwrite(F_ACTIVITY, 1);
	vmwrite(F_PENDING_DBG, BS);
	vmx_expect(R_EXCEPTION, "a pending single step");
	G_EQ(vmread(F_QUAL), BS, "qualification");
	G_EQ(vmread(F_RIP), (u64)c_nop, "RIP");
	vmclr(F_RFLAGS, RFLAGS_TF);
	vmwrite(F_ACTIVITY, 1);
	vmwrite(F_PENDING_DBG, BIT(12) | 1);
	vmx_expect(R_EXCEPTION, "a pending breakpoint");
	G_EQ(vmread(F_QUAL) & ~BIT(12), 1, "qualification");
	/* Without the enabled-breakpoint bit nothing is pending, and L2 sleeps. */
	vmwrite(F_ACTIVITY, 1);
	vmwrite(F_PENDING_DBG, 1);
	guard();
	vmx_expect(R_TIMER, "no pending debug exception");
	G_EQ(vmread(F_ACTIVITY), 1, "activity state");
}

/* A pending MTF exit that L1 injects comes at once, and does not end the HLT state (SDM 3C 27.7.8, 28.1). In KVM it does. */
static void guest_hlt_mtf(void)
{
	start(c_nop);
	if (!(rdmsr(MSR_VMX_MISC) & BIT(6)))
		g_skip("no HLT activity state");
	if (!ctl_has(F_PROC, PROC_MTF))
		g_skip("no monitor trap flag");
	guard();
	vmwrite(F_ACTIVITY, 1);
	vmwrite(F_ENTRY_INTR_INFO, INTR(0, 7));
	vmx_expect(R_MTF, "an injected MTF exit");
	G_EQ(vmread(F_RIP), (u64)c_nop, "RIP");
	G_EQ(vmread(F_ACTIVITY), 1, "activity state");
	G_EQ(vmread(F_ENTRY_INTR_INFO) >> 31, 0, "the valid bit is cleared");
	/* The single step stays pending. */
	vmset(F_RFLAGS, RFLAGS_TF);
	vmwrite(F_PENDING_DBG, BS);
	vmwrite(F_ENTRY_INTR_INFO, INTR(0, 7));
	vmx_expect(R_MTF, "the same with a single step pending");
	G_EQ(vmread(F_ACTIVITY), 1, "activity state");
	G_EQ(vmread(F_PENDING_DBG) & BS, BS, "pending debug exceptions");
	vmclr(F_RFLAGS, RFLAGS_TF);
	vmwrite(F_PENDING_DBG, 0);
	vmx_expect(R_TIMER, "without an event L2 sleeps");
	G_EQ(vmread(F_ACTIVITY), 1, "activity state");
}

/* A window that opens with HLT ends it (SDM 3C 26.2). In KVM it does not. */
static void guest_hlt_windows(void)
{
	start(c_sti_hlt);
	if (!(rdmsr(MSR_VMX_MISC) & BIT(6)))
		g_skip("no HLT activity state");
	guard();
	need(F_PROC, PROC_INTR_WINDOW, "no interrupt-window exiting");
	vmx_expect(R_INTR_WINDOW, "interrupt window behind STI; HLT");
	G_EQ(vmread(F_RIP), (u64)c_sti_hlt_1, "RIP");
	G_EQ(vmread(F_ACTIVITY), 1, "activity state");
	/* L2 is entered halted, with the window open. */
	vmx_expect(R_INTR_WINDOW, "interrupt window at an entry in the HLT state");
	G_EQ(vmread(F_ACTIVITY), 1, "activity state");
	/* Interrupts are disabled: L2 sleeps. */
	start(c_hlt);
	guard();
	need(F_PROC, PROC_INTR_WINDOW, "no interrupt-window exiting");
	vmx_expect(R_TIMER, "no window with interrupts disabled");
	start(c_hlt);
	guard();
	need(F_PIN, PIN_NMI | PIN_VNMI, "no virtual NMIs");
	need(F_PROC, PROC_NMI_WINDOW, "no NMI-window exiting");
	vmwrite(F_INTERRUPTIBILITY, 2);
	vmx_expect(R_NMI_WINDOW, "NMI window behind HLT");
	G_EQ(vmread(F_RIP), (u64)c_hlt_1, "RIP");
	G_EQ(vmread(F_ACTIVITY), 1, "activity state");
	vmwrite(F_INTERRUPTIBILITY, 8);
	guard();
	vmx_expect(R_TIMER, "no window while NMIs are blocked");
}

/* A window that is open comes before interrupts, an NMI window also before NMIs (SDM 3C 27.7.5, 27.7.6). */
static void guest_windows_first(void)
{
	start(c_nop);
	apic_enable();
	need(F_PIN, PIN_EXTINT | PIN_NMI | PIN_VNMI, "no external-interrupt exiting, or no virtual NMIs");
	need(F_EXIT_CTLS, EXIT_ACK, "no acknowledge on exit");
	need(F_PROC, PROC_INTR_WINDOW | PROC_NMI_WINDOW, "no window exiting");
	vmset(F_RFLAGS, RFLAGS_IF);
	apic_icr(0, 0x41 | 1 << 18);	/* to self, while IF is clear in L1 */
	vmx_expect(R_NMI_WINDOW, "the NMI window first");
	vmclr(F_PROC, PROC_NMI_WINDOW);
	vmx_expect(R_INTR_WINDOW, "then the interrupt window");
	vmwrite(F_INTERRUPTIBILITY, 8);
	vmset(F_PROC, PROC_NMI_WINDOW);
	vmclr(F_PROC, PROC_INTR_WINDOW);
	vmx_expect(R_EXTINT, "then the interrupt");
	G_EQ(vmread(F_INTR_INFO), 0x80000041, "vector");
	G_EQ(vmread(F_RIP), (u64)c_nop, "RIP");
	apic_eoi();
}

/* --- L1's preemption timer while an exception of L2 waits (SDM 3C 26.5.1, 27.7.4) --- */

static void guest_timer_and_exception(void)
{
	start(c_loop);
	need(F_PIN, PIN_TIMER, "no preemption timer");
	/* Stack, IDT and handler were used before: the delivery causes no exit to L0, which would look at the timer. */
	((volatile u64 *)vmread(F_RSP))[-1] = 0;
	expect_events();
	asm volatile(".byte 0xf1");	/* INT1 */
	expect_events();
	vmwrite(F_TIMER, 0);
	vmwrite(F_PENDING_DBG, BS | BIT(12));
	vmx_expect(R_TIMER, "timer 0 and a pending #DB");
	G_EQ(events, 0, "no instruction of L2's handler ran");
	G_EQ(vmread(F_RIP), DB_HANDLER, "at the start of L2's handler of #DB");
	vmwrite(F_TIMER, 100000 >> (rdmsr(MSR_VMX_MISC) & 31));
	vmx_expect(R_TIMER, "timer");
	G_EQ(events, 1, "the handler ran");
	G_EQ(rips[0], (u64)c_loop, "RIP of #DB");
}

/* --- an exit that L0 forces right after an entry, before L2's first instruction --- */

#define FORCED	50

static void guest_forced_exits(void)
{
	u64 i;

	start(c_loop);
	need(F_PIN, PIN_TIMER, "no preemption timer");
	for (i = 0; i < FORCED; i++) {
		vmwrite(F_TIMER, 0);
		vmx_expect(R_TIMER, "timer 0");
		G_EQ(vmread(F_RIP), (u64)c_loop, "RIP");
	}
}

/* An interrupt that the host sends itself may come late; a preemption timer of 0 cannot (SDM 3C 27.7.4). */
static void host_forced_exits(void)
{
	struct droste_exit_stats s;
	struct vcpu *vcpu;
	struct vm vm;

	vcpu = vmx_vm(&vm, guest_forced_exits);
	vcpu_run_to_end(vcpu);
	if (ioctl(vcpu->fd, DROSTE_GET_EXIT_STATS, &s))
		ksft_skip("not Droste: exits are not counted by reason");
	OK(s.exits[R_TIMER] >= FORCED, "exits by the timer: %llu", (long long)s.exits[R_TIMER]);
	vm_destroy(&vm);
}

/* --- a debugger in user space and L2 --- */

static void debug(struct vcpu *vcpu, u32 control)
{
	struct kvm_guest_debug d = { .control = control ? control | KVM_GUESTDBG_ENABLE : 0, .arch.debugreg[7] = 0x400 };

	DO(vcpu->fd, KVM_SET_GUEST_DEBUG, &d);
}

/* INT3 of L2 that the debugger gives back, and that L1 intercepts: as if the debugger were not there. */
static void guest_int3_for_l1(void)
{
	start(c_int3);
	vmwrite(F_EXCEPTION_BITMAP, BIT(VEC_BP));
	vmx_expect(R_EXCEPTION, "#BP");
	G_EQ(vmread(F_INTR_INFO), INTR(3, 6), "interruption information: a software exception");
	G_EQ(vmread(F_ILEN), 1, "instruction length");
	G_EQ(vmread(F_RIP), (u64)c_int3, "RIP");
}

static void host_int3_for_l1(void)
{
	struct vcpu *vcpu;
	struct vm vm;

	if (!is_droste())
		ksft_skip("KVM gives L2's INT3 to L1 at once");
	vcpu = vmx_vm(&vm, guest_int3_for_l1);
	debug(vcpu, KVM_GUESTDBG_USE_SW_BP);
	EQ(vcpu_run_to_call(vcpu, NULL), GCALL_NONE, "L2's INT3");
	MUST(vcpu->run->exit_reason == KVM_EXIT_DEBUG, "INT3: exit %u", vcpu->run->exit_reason);
	EQ(vcpu->run->debug.arch.pc, (u64)c_int3, "RIP");
	debug(vcpu, KVM_GUESTDBG_USE_SW_BP | KVM_GUESTDBG_INJECT_BP);
	vcpu_run_to_end(vcpu);
	vm_destroy(&vm);
}

/*
 * The state of an L2 that the debugger has stepped over STI can be restored: it
 * is one that VM entry accepts (SDM 3C 27.3.1.5).
 */
extern char sti_after[];

static void l2_sti(void)
{
	g_sync(1);
	asm volatile("sti\nsti_after: nop; vmcall" : : : "memory");
}

static void guest_sti_stepped(void)
{
	start((char *)l2_sti);
	vmx_expect(R_VMCALL, "L2's end");
}

static void host_sti_stepped(void)
{
	union nested_state n;
	struct vcpu *vcpu;
	struct vm vm;
	int i;

	vcpu = vmx_vm(&vm, guest_sti_stepped);
	vcpu_run_to_sync(vcpu, 1);
	debug(vcpu, KVM_GUESTDBG_SINGLESTEP);
	for (i = 0; i < 100; i++) {
		EQ(vcpu_run_once(vcpu), 0, "run");
		MUST(vcpu->run->exit_reason == KVM_EXIT_DEBUG, "step: exit %u", vcpu->run->exit_reason);
		if (vcpu->run->debug.arch.pc == (u64)sti_after)
			break;
	}
	MUST(i < 100, "the steps get behind STI");
	nested_get(vcpu, &n);
	OK(n.s.flags & KVM_STATE_NESTED_GUEST_MODE, "in L2");
	EQ(nested_set(vcpu, &n), 0, "the state is accepted");
	vm_destroy(&vm);
}

#define V .flags = KSFT_VMX
#define A .flags = KSFT_VMX | KSFT_IRQCHIP
static const struct ksft_test tests[] = {
	{ "monitor trap flag over MMIO, INS and OUTS", .guest = guest_mtf, A },
	{ "monitor trap flag over accesses that user space serves", .host = host_mtf_user },
	{ "monitor trap flag and TF", .guest = guest_mtf_and_tf, A },
	{ "a single step and an interrupt, both L2's", .guest = guest_step_interrupt, A },
	{ "a single step and an interrupt, both L1's", .guest = guest_step_interrupt_l1, A },
	{ "a single step of L2 and an interrupt of L1", .guest = guest_step_interrupt_both, A },
	{ "INT1 behind MOV SS", .guest = guest_movss_int1, V },
	{ "a single step over HLT", .guest = guest_hlt_step, A },
	{ "a pending debug exception and the HLT state", .guest = guest_hlt_entry, A },
	{ "an injected MTF exit and the HLT state", .guest = guest_hlt_mtf, A },
	{ "windows that open with HLT", .guest = guest_hlt_windows, A },
	{ "windows come before interrupts", .guest = guest_windows_first, A },
	{ "preemption timer and an exception of L2", .guest = guest_timer_and_exception, V },
	{ "exits that L0 forces", .host = host_forced_exits },
	{ "a debugger gives L2's INT3 back, and L1 takes it", .host = host_int3_for_l1 },
	{ "a debugger steps L2 over STI", .host = host_sti_stepped },
};
KSFT_MAIN(tests)
