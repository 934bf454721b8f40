// SPDX-License-Identifier: GPL-2.0
/* Events in L2: injection, IDT vectoring, interrupts and NMIs for L1, windows, HLT, preemption timer, triple faults. */
#include "vm.h"
#include "vmx.h"

#define CODE(name, text) \
extern char name[]; \
asm(".pushsection .text\n.globl " #name "\n" #name ":\n" text "\n\tvmcall\n.popsection\n")

#define INTR(vec, type, err) (1ul << 31 | (u64)(err) << 11 | (u64)(type) << 8 | (vec))
enum { T_EXTINT = 0, T_NMI = 2, T_EXCEPTION = 3, T_SOFTINT = 4, T_PRIV = 5, T_SOFTEXC = 6, T_OTHER = 7 };

CODE(c_end, "nop; nop; nop");
CODE(c_loop, "1: pause; jmp 1b");
CODE(c_hlt, "hlt");
CODE(c_sti_hlt, "sti; hlt; nop");
CODE(c_sti, "sti; nop; nop");
CODE(c_cli, "cli; nop");

static void start(char *code)
{
	vmcs_new((void (*)(void))(u64)code);
}

static u64 step(char *code)
{
	vmwrite(F_RIP, (u64)code);
	return vmx_run();
}

static volatile u64 traps, trap_vector, trap_error, trap_rip, trap_rflags;

static void on_trap(struct trap_regs *r)
{
	traps++;
	trap_vector = r->vector;
	trap_error = r->error;
	trap_rip = r->rip;
	trap_rflags = r->rflags;
}

static void on_irq(struct trap_regs *r)
{
	on_trap(r);
	apic_eoi();
}

/* --- injection (SDM 3C 27.6) --- */

static void guest_inject(void)
{
	static const struct {
		u8 vector, type;
		bool error;
		u8 ilen;
		bool iflag;
	} e[] = {
		{ 0x41, T_EXTINT, false, 0, true },
		{ 2, T_NMI, false, 0, false },
		{ VEC_UD, T_EXCEPTION, false, 0, false },
		{ VEC_GP, T_EXCEPTION, true, 0, false },
		{ VEC_PF, T_EXCEPTION, true, 0, false },
		{ VEC_DF, T_EXCEPTION, true, 0, false },
		{ VEC_AC, T_EXCEPTION, true, 0, false },
		{ VEC_DB, T_PRIV, false, 1, false },
		{ VEC_BP, T_SOFTEXC, false, 1, false },
		{ VEC_OF, T_SOFTEXC, false, 1, false },
		{ 0x55, T_SOFTINT, false, 2, false },
		{ 0xff, T_SOFTINT, false, 2, true },
	};
	u64 i;

	start(c_end);
	for (i = 0; i < 256; i++)
		g_trap_fn[i] = on_trap;
	for (i = 0; i < ARRAY_SIZE(e); i++) {
		traps = 0;
		trap_error = 0;
		vmwrite(F_RFLAGS, RFLAGS_FIXED | (e[i].iflag ? RFLAGS_IF : 0));
		vmwrite(F_INTERRUPTIBILITY, 0);
		vmwrite(F_ENTRY_INTR_INFO, INTR(e[i].vector, e[i].type, e[i].error));
		vmwrite(F_ENTRY_ERROR, 0x1230);
		vmwrite(F_ENTRY_ILEN, e[i].ilen);
		G_EQN(step(c_end), R_VMCALL, "L2 runs to its end", i);
		G_EQN(traps, 1, "one event", i);
		G_EQN(trap_vector, e[i].vector, "vector", i);
		if (e[i].error)
			G_EQN(trap_error, 0x1230, "error code", i);
		/* Software events push the RIP of the instruction after the one they represent. */
		G_EQN(trap_rip, (u64)c_end + (e[i].type >= T_SOFTINT ? e[i].ilen : 0), "RIP", i);
		G_EQN(vmread(F_ENTRY_INTR_INFO) >> 31, 0, "the valid bit is cleared", i);
		G_EQN(vmread(F_IDT_INFO) >> 31, 0, "no IDT vectoring", i);
		traps = 0;
		G_EQN(step(c_end), R_VMCALL, "and again", i);
		G_EQN(traps, 0, "nothing is injected twice", i);
	}
}

/* An injected event whose delivery faults is in IDT-vectoring information (SDM 3C 28.2.4) for another injection. */
static void guest_idt_vectoring(void)
{
	static const struct {
		u8 vector, type;
		bool error;
		u8 ilen;
	} e[] = {
		{ 0x41, T_EXTINT, false, 0 },
		{ VEC_GP, T_EXCEPTION, true, 0 },
		{ VEC_UD, T_EXCEPTION, false, 0 },
		{ 2, T_NMI, false, 0 },
		{ VEC_BP, T_SOFTEXC, false, 1 },
		{ 0x55, T_SOFTINT, false, 2 },
	};
	u64 i, *stack, *pte, top;

	stack = g_page();
	start(c_end);
	for (i = 0; i < ARRAY_SIZE(e); i++)
		g_trap_fn[e[i].vector] = on_trap;
	pte = g_pte((u64)stack);
	top = (u64)stack + 4096 - 16;
	vmwrite(F_EXCEPTION_BITMAP, BIT(VEC_PF));
	for (i = 0; i < ARRAY_SIZE(e); i++) {
		u64 info = INTR(e[i].vector, e[i].type, e[i].error);

		*pte &= ~1ul;
		invlpg((u64)stack);
		traps = 0;
		vmwrite(F_RSP, top);
		vmwrite(F_RFLAGS, RFLAGS_FIXED | RFLAGS_IF);
		vmwrite(F_INTERRUPTIBILITY, 0);
		vmwrite(F_ENTRY_INTR_INFO, info);
		vmwrite(F_ENTRY_ERROR, 0x1230);
		vmwrite(F_ENTRY_ILEN, e[i].ilen);
		G_EQN(step(c_end), R_EXCEPTION, "#PF of the push", i);
		G_EQN(vmread(F_INTR_INFO), 0x80000b0e, "interruption information", i);
		G_EQN(vmread(F_QUAL), top - 8, "linear address", i);
		G_EQN(vmread(F_IDT_INFO) & ~BIT(12), info, "IDT-vectoring information", i);
		if (e[i].error)
			G_EQN(vmread(F_IDT_ERROR), 0x1230, "IDT-vectoring error code", i);
		if (e[i].ilen)
			G_EQN(vmread(F_ILEN), e[i].ilen, "instruction length", i);
		G_EQN(vmread(F_RSP), top, "RSP", i);
		G_EQN(vmread(F_RIP), (u64)c_end, "RIP", i);
		G_EQN(traps, 0, "not delivered", i);
		/* Repair the page and inject the event again, as a hypervisor does. */
		*pte |= 1;
		vmwrite(F_ENTRY_INTR_INFO, vmread(F_IDT_INFO) & ~BIT(12));
		vmwrite(F_ENTRY_ERROR, vmread(F_IDT_ERROR));
		vmwrite(F_ENTRY_ILEN, vmread(F_ILEN));
		vmwrite(F_INTERRUPTIBILITY, 0);
		G_EQN(vmx_run(), R_VMCALL, "again", i);
		G_EQN(traps, 1, "delivered", i);
		G_EQN(trap_vector, e[i].vector, "vector", i);
	}
}

static void guest_triple_fault(void)
{
	start(c_end);
	vmwrite(F_IDTR_LIMIT, 0);
	vmwrite(F_ENTRY_INTR_INFO, INTR(VEC_UD, T_EXCEPTION, 0));
	G_EQ(vmx_run(), R_TRIPLE_FAULT, "triple fault by injection");
	G_EQ(vmread(F_QUAL), 0, "qualification");
	G_EQ(vmread(F_IDT_INFO) >> 31, 0, "no IDT vectoring");
	G_EQ(vmread(F_RIP), (u64)c_end, "RIP");
	start(c_hlt);
	vmwrite(F_IDTR_LIMIT, 0);
	l2.rbx = 0;
	vmwrite(F_EXCEPTION_BITMAP, BIT(VEC_DF));
	vmwrite(F_ENTRY_INTR_INFO, INTR(VEC_GP, T_EXCEPTION, 1));
	G_EQ(vmx_run(), R_EXCEPTION, "double fault");
	G_EQ(vmread(F_INTR_INFO), 0x80000b08, "#DF with error code");
	G_EQ(vmread(F_INTR_ERROR), 0, "error code");
	/* SDM 3C 28.2.4: IDT-vectoring information is not valid if the event causes a double fault that exits. */
	G_EQ(vmread(F_IDT_INFO) >> 31, 0, "no IDT vectoring");
}

/* Lets L2's handler read MSRs without an exit. */
static void let_msrs(void)
{
	need(F_PROC, PROC_MSR_BITMAPS, "no MSR bitmaps");
	vmwrite(F_MSR_BITMAP, (u64)g_page());
}

/* --- external interrupts (SDM 3C 26.2, 28.2.2, 34.2) --- */

static void guest_extint(void)
{
	start(c_loop);
	apic_enable();
	g_trap_fn[0x61] = on_irq;
	need(F_PIN, PIN_EXTINT, "no external-interrupt exiting");
	traps = 0;
	apic_icr(0, 0x61 | 1 << 18);	/* to self, while IF is clear in L1 */
	G_EQ(traps, 0, "pending");
	vmx_expect(R_EXTINT, "an interrupt pending at entry");
	G_EQ(vmread(F_INTR_INFO) >> 31, 0, "no vector without acknowledge");
	G_EQ(vmread(F_RIP), (u64)c_loop, "RIP");
	sti_nop_cli();
	G_EQ(traps, 1, "L1 takes the interrupt");
	need(F_EXIT_CTLS, EXIT_ACK, "no acknowledge on exit");
	apic_icr(0, 0x62 | 1 << 18);
	vmx_expect(R_EXTINT, "an interrupt pending at entry, acknowledge on exit");
	G_EQ(vmread(F_INTR_INFO), 0x80000062, "interruption information");
	G_EQ(apic_read(APIC_ISR + 0x30) >> 2 & 1, 1, "in service");
	G_EQ(apic_read(APIC_IRR + 0x30) >> 2 & 1, 0, "acknowledged: no longer in IRR");
	apic_eoi();
	/* Neither L2's IF nor STI blocking matters. */
	vmset(F_RFLAGS, RFLAGS_IF);
	vmwrite(F_INTERRUPTIBILITY, 1);
	apic_icr(0, 0x63 | 1 << 18);
	vmx_expect(R_EXTINT, "an interrupt under STI blocking");
	G_EQ(vmread(F_INTR_INFO), 0x80000063, "interruption information");
	apic_eoi();
}

/* Without external-interrupt exiting L2 takes L1's interrupts through its own IDT. */
static void guest_extint_direct(void)
{
	start(c_sti);
	apic_enable();
	let_msrs();
	if (vmread(F_PIN) & PIN_EXTINT)
		g_skip("external-interrupt exiting cannot be disabled");
	g_trap_fn[0x61] = on_irq;
	traps = 0;
	apic_icr(0, 0x61 | 1 << 18);
	vmx_expect(R_VMCALL, "L2's end");
	G_EQ(traps, 1, "L2 took the interrupt");
	G_EQ(trap_rip, (u64)c_sti + 2, "after the instruction that follows STI");
	apic_icr(0, 0x61 | 1 << 18);
	vmclr(F_RFLAGS, RFLAGS_IF);
	G_EQ(step(c_cli), R_VMCALL, "L2's end");
	G_EQ(traps, 1, "L2 does not take the interrupt with IF clear");
	sti_nop_cli();
	G_EQ(traps, 2, "L1 takes the interrupt");
}

static u64 timer_exits(u32 dcr, u32 count)
{
	apic_write(APIC_TDCR, dcr);
	apic_write(APIC_LVTT, 0x70);
	apic_write(APIC_TMICT, count);
	return vmx_run();
}

static void guest_timer_interrupt(void)
{
	u64 i;

	start(c_loop);
	apic_enable();
	need(F_PIN, PIN_EXTINT, "no external-interrupt exiting");
	need(F_EXIT_CTLS, EXIT_ACK, "no acknowledge on exit");
	for (i = 0; i < 20; i++) {
		G_EQ(timer_exits(0xb, 100000), R_EXTINT, "L1's timer stops L2");
		G_EQ(vmread(F_INTR_INFO), 0x80000070, "its vector");
		apic_eoi();
	}
}

/* --- windows --- */

static void guest_intr_window(void)
{
	start(c_sti);
	need(F_PROC, PROC_INTR_WINDOW, "no interrupt-window exiting");
	G_EQ(step(c_sti), R_INTR_WINDOW, "after STI and its shadow");
	G_EQ(vmread(F_RIP), (u64)c_sti + 2, "RIP");
	vmset(F_RFLAGS, RFLAGS_IF);
	vmwrite(F_INTERRUPTIBILITY, 0);
	G_EQ(step(c_end), R_INTR_WINDOW, "open at entry");
	G_EQ(vmread(F_RIP), (u64)c_end, "RIP");
	vmwrite(F_INTERRUPTIBILITY, 1);
	G_EQ(step(c_end), R_INTR_WINDOW, "after the STI blocking of entry");
	G_EQ(vmread(F_RIP), (u64)c_end + 1, "RIP");
	vmclr(F_RFLAGS, RFLAGS_IF);
	G_EQ(step(c_cli), R_VMCALL, "closed");
	/* The injected event is delivered first. */
	g_trap_fn[0x41] = on_trap;
	traps = 0;
	vmset(F_RFLAGS, RFLAGS_IF);
	vmwrite(F_ENTRY_INTR_INFO, INTR(0x41, T_EXTINT, 0));
	G_EQ(step(c_end), R_INTR_WINDOW, "after an injected interrupt's handler");
	G_EQ(traps, 1, "the handler ran: its gate clears IF");
	G_EQ(vmread(F_RIP), (u64)c_end, "RIP");
}

static void guest_nmi_window(void)
{
	start(c_end);
	need(F_PIN, PIN_NMI | PIN_VNMI, "no virtual NMIs");
	need(F_PROC, PROC_NMI_WINDOW, "no NMI-window exiting");
	G_EQ(step(c_end), R_NMI_WINDOW, "open at entry");
	G_EQ(vmread(F_RIP), (u64)c_end, "RIP");
	vmwrite(F_INTERRUPTIBILITY, 8);
	G_EQ(step(c_end), R_VMCALL, "closed by virtual-NMI blocking");
	G_EQ(vmread(F_INTERRUPTIBILITY), 8, "still blocked");
	/* An injected NMI blocks until IRET. */
	g_trap_fn[VEC_NMI] = on_trap;
	traps = 0;
	vmwrite(F_INTERRUPTIBILITY, 0);
	vmwrite(F_ENTRY_INTR_INFO, INTR(2, T_NMI, 0));
	G_EQ(step(c_end), R_NMI_WINDOW, "after the NMI handler's IRET");
	G_EQ(traps, 1, "NMI handler");
	G_EQ(vmread(F_RIP), (u64)c_end, "RIP");
	G_EQ(vmread(F_INTERRUPTIBILITY), 0, "no longer blocked");
	vmclr(F_PROC, PROC_NMI_WINDOW);
	vmwrite(F_INTERRUPTIBILITY, 2);
	G_EQ(step(c_end), R_VMCALL, "MOV SS blocking ends after an instruction");
	G_EQ(vmread(F_INTERRUPTIBILITY), 0, "interruptibility");
}

/* --- HLT and activity states --- */

static void guest_hlt_state(void)
{
	start(c_end);
	if (!(rdmsr(MSR_VMX_MISC) & BIT(6)))
		g_skip("no HLT activity state");
	apic_enable();
	need(F_PIN, PIN_EXTINT, "no external-interrupt exiting");
	need(F_EXIT_CTLS, EXIT_ACK, "no acknowledge on exit");
	/* L2 executes HLT; L1's timer ends it. */
	vmwrite(F_RIP, (u64)c_hlt);
	G_EQ(timer_exits(0xb, 10000000), R_EXTINT, "an interrupt for L1 while L2 is halted");
	apic_eoi();
	G_EQ(vmread(F_ACTIVITY), 1, "activity state");
	G_EQ(vmread(F_RIP), (u64)c_hlt + 1, "RIP");
	/* L2 is entered in the HLT state and stays in it. */
	G_EQ(timer_exits(0xb, 10000000), R_EXTINT, "an interrupt for L1 after entry in the HLT state");
	apic_eoi();
	G_EQ(vmread(F_ACTIVITY), 1, "activity state");
	/* An injected event wakes L2. */
	g_trap_fn[0x41] = on_trap;
	traps = 0;
	vmset(F_RFLAGS, RFLAGS_IF);
	vmwrite(F_ENTRY_INTR_INFO, INTR(0x41, T_EXTINT, 0));
	G_EQ(vmx_run(), R_VMCALL, "an injected interrupt wakes L2");
	G_EQ(traps, 1, "its handler");
	G_EQ(vmread(F_ACTIVITY), 0, "activity state");
	/* If the interrupt window is open, the exit occurs although L2 is halted. */
	need(F_PROC, PROC_INTR_WINDOW, "no interrupt-window exiting");
	vmwrite(F_ACTIVITY, 1);
	G_EQ(vmx_run(), R_INTR_WINDOW, "interrupt window of a halted L2");
}

/* L2 halts and takes interrupts itself, as L1 does not intercept them. */
static void guest_hlt_direct(void)
{
	start(c_sti_hlt);
	apic_enable();
	let_msrs();
	if (vmread(F_PIN) & PIN_EXTINT)
		g_skip("external-interrupt exiting cannot be disabled");
	g_trap_fn[0x70] = on_irq;
	traps = 0;
	G_EQ(timer_exits(0xb, 10000000), R_VMCALL, "the interrupt wakes L2, which continues");
	G_EQ(traps, 1, "L2's handler");
}

/* --- preemption timer (SDM 3C 26.5.1) --- */

static void guest_preemption_timer(void)
{
	u64 v, exits = 0, rate;

	start(c_loop);
	need(F_PIN, PIN_TIMER, "no preemption timer");
	rate = rdmsr(MSR_VMX_MISC) & 31;
	vmwrite(F_TIMER, 0);
	vmx_expect(R_TIMER, "timer 0");
	G_EQ(vmread(F_RIP), (u64)c_loop, "no instruction of L2 ran");
	vmwrite(F_TIMER, 100000 >> rate);
	vmx_expect(R_TIMER, "timer runs out");
	G_EQ(vmread(F_QUAL), 0, "qualification");
	/* Without saving, the field keeps the value that L1 wrote. */
	G_EQ(vmread(F_TIMER), 100000 >> rate, "timer field without saving");
	/* An injected event comes before the timer. */
	g_trap_fn[0x41] = on_trap;
	traps = 0;
	vmset(F_RFLAGS, RFLAGS_IF);
	vmwrite(F_TIMER, 0);
	vmwrite(F_ENTRY_INTR_INFO, INTR(0x41, T_EXTINT, 0));
	vmx_expect(R_TIMER, "timer 0 and an event");
	G_EQ(vmread(F_ENTRY_INTR_INFO) >> 31, 0, "the event was injected");
	/* The event is delivered; the timer then fires before the handler's first instruction. */
	G_OK(vmread(F_RIP) != (u64)c_loop, "in the handler");
	start(c_end);
	need(F_PIN, PIN_TIMER, "no preemption timer");
	need(F_EXIT_CTLS, EXIT_SAVE_TIMER, "the timer is not saved");
	vmwrite(F_TIMER, 0xfffffff0);
	vmx_expect(R_VMCALL, "exit before the timer");
	v = vmread(F_TIMER);
	G_OK(v <= 0xfffffff0 && v > 0x80000000, "the saved value has counted down");
	start(c_loop);
	need(F_PIN, PIN_TIMER, "no preemption timer");
	need(F_EXIT_CTLS, EXIT_SAVE_TIMER, "the timer is not saved");
	vmwrite(F_TIMER, 1000);
	vmx_expect(R_TIMER, "timer runs out");
	G_EQ(vmread(F_TIMER), 0, "saved value after the timer ran out");
	while (exits < 50) {
		vmwrite(F_TIMER, exits);
		vmx_expect(R_TIMER, "small values");
		exits++;
	}
}

static void guest_timer_halted(void)
{
	start(c_hlt);
	if (!(rdmsr(MSR_VMX_MISC) & BIT(6)))
		g_skip("no HLT activity state");
	need(F_PIN, PIN_TIMER, "no preemption timer");
	vmwrite(F_TIMER, 100000 >> (rdmsr(MSR_VMX_MISC) & 31));
	vmx_expect(R_TIMER, "timer of a halted L2");
	G_EQ(vmread(F_ACTIVITY), 1, "activity state");
}

/* --- monitor trap flag, single step, debug registers --- */

static void guest_mtf(void)
{
	u64 i;

	start(c_cli);
	need(F_PROC, PROC_MTF, "no monitor trap flag");
	vmx_expect(R_MTF, "after CLI");
	G_EQ(vmread(F_RIP), (u64)c_cli + 1, "RIP");
	vmx_expect(R_MTF, "after NOP");
	G_EQ(vmread(F_RIP), (u64)c_cli + 2, "RIP");
	vmx_expect(R_VMCALL, "an exit comes before the trap");
	/* Injected as type "other event", it comes before any instruction. */
	vmclr(F_PROC, PROC_MTF);
	vmwrite(F_RIP, (u64)c_end);
	vmwrite(F_ENTRY_INTR_INFO, INTR(0, T_OTHER, 0));
	vmx_expect(R_MTF, "pending MTF injected");
	G_EQ(vmread(F_RIP), (u64)c_end, "RIP");
	/* With an injected event the trap comes before the handler's first instruction. */
	need(F_PROC, PROC_MTF, "no monitor trap flag");
	g_trap_fn[0x41] = on_trap;
	vmset(F_RFLAGS, RFLAGS_IF);
	for (i = 0; i < 3; i++) {
		vmwrite(F_RIP, (u64)c_end);
		vmwrite(F_ENTRY_INTR_INFO, INTR(0x41, T_EXTINT, 0));
		vmset(F_RFLAGS, RFLAGS_IF);
		vmx_expect(R_MTF, "event and MTF");
		G_EQ(vmread(F_RFLAGS) & RFLAGS_IF, 0, "in the handler");
	}
}

static void guest_single_step(void)
{
	start(c_cli);
	vmwrite(F_EXCEPTION_BITMAP, BIT(VEC_DB));
	vmset(F_RFLAGS, RFLAGS_TF);
	vmx_expect(R_EXCEPTION, "#DB after CLI");
	G_EQ(vmread(F_INTR_INFO), 0x80000301, "interruption information");
	G_EQ(vmread(F_QUAL), BIT(14), "qualification: BS");
	G_EQ(vmread(F_RIP), (u64)c_cli + 1, "RIP");
	/* Pending debug exceptions at entry. */
	vmclr(F_RFLAGS, RFLAGS_TF);
	vmwrite(F_RIP, (u64)c_end);
	vmwrite(F_PENDING_DBG, BIT(14) | BIT(12) | 1);
	vmx_expect(R_EXCEPTION, "pending #DB");
	G_EQ(vmread(F_RIP), (u64)c_end, "RIP");
	G_EQ(vmread(F_QUAL) & ~BIT(12), BIT(14) | 1, "qualification");
	/* A breakpoint in L2. */
	vmwrite(F_PENDING_DBG, 0);
	write_dr0((u64)c_end);
	vmwrite(F_GUEST_DR7, 0x401);
	need(F_ENTRY_CTLS, ENTRY_LOAD_DEBUG, "no loading of debug controls");
	need(F_EXIT_CTLS, EXIT_SAVE_DEBUG, "no saving of debug controls");
	vmwrite(F_RIP, (u64)c_end);
	vmx_expect(R_EXCEPTION, "breakpoint");
	G_EQ(vmread(F_QUAL) & 0xf, 1, "qualification: B0");
	G_EQ(vmread(F_GUEST_DR7), 0x401, "L2's DR7");
	G_EQ(read_dr7(), 0x400, "L1's DR7 after an exit");
}

/* --- many exits in a row, some of them by interrupts --- */

static void guest_storm(void)
{
	u64 i;

	start(c_end);
	apic_enable();
	need(F_PIN, PIN_EXTINT, "no external-interrupt exiting");
	need(F_EXIT_CTLS, EXIT_ACK, "no acknowledge on exit");
	for (i = 0; i < 2000; i++) {
		vmwrite(F_RIP, (u64)c_end);
		if (i % 3 == 0)
			apic_icr(0, (0x40 + i % 0x80) | 1 << 18);
		if (i % 3 == 0) {
			vmx_expect(R_EXTINT, "storm");
			G_EQ(vmread(F_INTR_INFO), 0x80000040 + i % 0x80, "vector");
			apic_eoi();
		} else {
			vmx_expect(R_VMCALL, "storm");
		}
	}
}

/* VMXOFF and VMCLEAR while events for L2 are pending: L1 continues. */
static void guest_off_with_events(void)
{
	u64 vmcs;

	start(c_loop);
	apic_enable();
	g_trap_fn[0x61] = on_irq;
	need(F_PIN, PIN_EXTINT, "no external-interrupt exiting");
	apic_icr(0, 0x61 | 1 << 18);
	vmx_expect(R_EXTINT, "exit");
	vmwrite(F_ENTRY_INTR_INFO, INTR(VEC_GP, T_EXCEPTION, 1));
	vmptrst(&vmcs);
	G_EQ(vmclear(vmcs), VM_OK, "VMCLEAR");
	G_EQ(vmxoff(), VM_OK, "VMXOFF");
	traps = 0;
	sti_nop_cli();
	G_EQ(traps, 1, "the interrupt is still pending");
	G_EQ(vmxon(vmx_region_on), VM_OK, "VMXON");
	vmcs_load(vmcs);
	vmwrite(F_ENTRY_INTR_INFO, 0);
	vmwrite(F_RIP, (u64)c_end);
	vmx_expect(R_VMCALL, "L2 runs again");
}

#define V .flags = KSFT_VMX
#define A .flags = KSFT_VMX | KSFT_IRQCHIP
static const struct ksft_test tests[] = {
	{ "event injection, all types", .guest = guest_inject, V },
	{ "IDT vectoring and repeated injection", .guest = guest_idt_vectoring, V },
	{ "double and triple faults", .guest = guest_triple_fault, V },
	{ "external-interrupt exits", .guest = guest_extint, A },
	{ "external interrupts taken by L2", .guest = guest_extint_direct, A },
	{ "L1's timer while L2 runs", .guest = guest_timer_interrupt, A },
	{ "interrupt window", .guest = guest_intr_window, V },
	{ "NMI window and virtual NMIs", .guest = guest_nmi_window, V },
	{ "HLT and the activity state", .guest = guest_hlt_state, A },
	{ "L2 halts and takes interrupts itself", .guest = guest_hlt_direct, A },
	{ "preemption timer", .guest = guest_preemption_timer, V },
	{ "preemption timer of a halted L2", .guest = guest_timer_halted, A },
	{ "monitor trap flag", .guest = guest_mtf, V },
	{ "debug exceptions", .guest = guest_single_step, V },
	{ "exit storm", .guest = guest_storm, A },
	{ "VMXOFF with events pending", .guest = guest_off_with_events, A },
};
KSFT_MAIN(tests)
