// SPDX-License-Identifier: GPL-2.0
/* APIC virtualization (SDM 3C 30): the virtual-APIC page, virtual interrupts, x2APIC MSRs, posted interrupts. */
#include "vm.h"
#include "vmx.h"

#define CODE(name, text) \
extern char name[]; \
asm(".pushsection .text\n.globl " #name "\n" #name ":\n" text "\n\tvmcall\n.popsection\n")

CODE(c_read, "mov (%rbx), %eax");
CODE(c_write, "mov %eax, (%rbx)");
CODE(c_write_sti, "sti; mov %eax, (%rbx); nop; nop");
CODE(c_rdmsr, "rdmsr");
CODE(c_wrmsr_sti, "sti; wrmsr; nop; nop");
CODE(c_sti, "sti; nop; nop");
CODE(c_sti_hlt, "sti; hlt; nop");
CODE(c_end, "nop");

#define VECTOR	0x61
#define NOTIFY	0xe1
#define PIN_POSTED	BIT(7)

/* The position of a vector's bit among a register's 256 bits: every 16 bytes hold 32 bits. */
#define WORD(reg, vec)	(((reg) + (vec) / 32 * 16) / 4)
#define VBIT(vec)	(1u << (vec) % 32)

static volatile u32 *vapic;
static u64 access_page, *desc;
static volatile u64 taken, taken_vector;

static void note(struct trap_regs *r)
{
	taken++;
	taken_vector = r->vector;
}

/* L2's handler writes EOI through the APIC-access page or the MSR. */
static void on_virtual(struct trap_regs *r)
{
	note(r);
	*(volatile u32 *)(access_page + APIC_EOI) = 0;
}

static void on_virtual_x2(struct trap_regs *r)
{
	note(r);
	wrmsr(MSR_X2APIC(APIC_EOI), 0);
}

static u64 step(char *code, u64 rbx)
{
	vmwrite(F_RIP, (u64)code);
	vmwrite(F_RFLAGS, 2);
	l2.rbx = rbx;
	taken = 0;
	return vmx_run();
}

/* Makes a VMCS with a virtual-APIC page and the controls @secondary. */
static void start(u64 secondary)
{
	vmcs_new((void (*)(void))(u64)c_end);
	need(F_PROC, PROC_TPR_SHADOW, "no TPR shadow");
	if (secondary & SEC_VID) {
		need(F_PIN, PIN_EXTINT, "no external-interrupt exiting");
		need(F_EXIT_CTLS, EXIT_ACK, "no acknowledge on exit");
	}
	need_secondary(secondary, "no such APIC virtualization");
	vapic = g_page();
	vmwrite(F_VIRTUAL_APIC, (u64)vapic);
	vmwrite(F_TPR_THRESHOLD, 0);
	if (secondary & SEC_APIC_ACCESS) {
		access_page = (u64)g_page();
		vmwrite(F_APIC_ACCESS, access_page);
	}
	g_trap_fn[VECTOR] = secondary & SEC_X2APIC ? on_virtual_x2 : on_virtual;
}

/* Requests a virtual interrupt. */
static void request(u8 vec)
{
	vapic[WORD(APIC_IRR, vec)] |= VBIT(vec);
	vmwrite(F_GUEST_INTR_STATUS, vec);
}

static void expect_taken(u8 vec)
{
	G_EQ(taken, 1, "handler of L2");
	G_EQ(taken_vector, vec, "its vector");
	G_EQ(vapic[WORD(APIC_IRR, vec)], 0, "VIRR");
	G_EQ(vapic[WORD(APIC_ISR, vec)], 0, "VISR");
	G_EQ(vmread(F_GUEST_INTR_STATUS), 0, "guest interrupt status");
}

/* --- registers (SDM 3C 30.4) --- */

static void guest_registers(void)
{
	start(SEC_APIC_ACCESS | SEC_APIC_REG);
	vapic[APIC_ID / 4] = 0x05000000;
	vapic[APIC_LVTT / 4] = 0x10042;
	G_EQ(step(c_read, access_page + APIC_ID), R_VMCALL, "read of the ID");
	G_EQ((u32)l2.rax, 0x05000000, "its value");
	G_EQ(step(c_read, access_page + APIC_LVTT), R_VMCALL, "read of the timer's entry");
	G_EQ((u32)l2.rax, 0x10042, "its value");
	l2.rax = 0x10043;
	G_EQ(step(c_write, access_page + APIC_LVTT), R_APIC_WRITE, "write of the timer's entry");
	G_EQ(vmread(F_QUAL), APIC_LVTT, "qualification");
	G_EQ(vmread(F_RIP), (u64)c_write + 2, "a trap: RIP is after the instruction");
	G_EQ(vapic[APIC_LVTT / 4], 0x10043, "the virtual-APIC page is written");
	G_EQ(step(c_write, access_page + APIC_IRR), R_APIC_ACCESS, "write of a read-only register");
}

/* --- virtual interrupts (SDM 3C 30.2) --- */

static void guest_delivery(void)
{
	start(SEC_APIC_ACCESS | SEC_APIC_REG | SEC_VID);
	request(VECTOR);
	G_EQ(step(c_end, 0), R_VMCALL, "not delivered with IF clear");
	G_EQ(taken, 0, "no interrupt is delivered");
	G_EQ(vmread(F_GUEST_INTR_STATUS), VECTOR, "the request is still pending");
	G_EQ(step(c_sti, 0), R_VMCALL, "with IF set");
	expect_taken(VECTOR);

	vapic[APIC_TPR / 4] = 0x70;
	request(VECTOR);
	G_EQ(step(c_sti, 0), R_VMCALL, "not delivered at or below the task priority");
	G_EQ(taken, 0, "no interrupt is delivered");
	l2.rax = 0;
	G_EQ(step(c_write_sti, access_page + APIC_TPR), R_VMCALL, "delivered when TPR falls");
	expect_taken(VECTOR);

	/* L2 sends an interrupt to itself. */
	l2.rax = 0x40000 | VECTOR;
	G_EQ(step(c_write_sti, access_page + APIC_ICR), R_VMCALL, "an interrupt that L2 sends itself");
	expect_taken(VECTOR);

	vmwrite(F_EOI_EXIT1, 1ul << (VECTOR - 64));
	request(VECTOR);
	G_EQ(step(c_sti, 0), R_EOI, "an EOI that exits to L1");
	G_EQ(vmread(F_QUAL), VECTOR, "qualification");
	G_EQ(vapic[WORD(APIC_ISR, VECTOR)], 0, "VISR");
	G_EQ(vmx_run(), R_VMCALL, "L2 continues");
	vmwrite(F_EOI_EXIT1, 0);
	request(VECTOR);
	G_EQ(step(c_sti, 0), R_VMCALL, "an EOI that does not exit");
	expect_taken(VECTOR);
}

static void guest_window(void)
{
	start(SEC_APIC_ACCESS | SEC_VID);
	need(F_PROC, PROC_INTR_WINDOW, "no interrupt-window exiting");
	request(VECTOR);
	G_EQ(step(c_sti, 0), R_INTR_WINDOW, "the window comes before virtual interrupts");
	G_EQ(taken, 0, "no interrupt is delivered");
	vmclr(F_PROC, PROC_INTR_WINDOW);
	vmx_expect(R_VMCALL, "L2 continues");
	expect_taken(VECTOR);
}

/* --- the x2APIC's MSRs (SDM 3C 30.5) --- */

static u64 step_msr(char *code, u32 reg, u64 val)
{
	l2.rcx = MSR_X2APIC(reg);
	l2.rax = (u32)val;
	l2.rdx = val >> 32;
	return step(code, 0);
}

static void start_x2(u64 secondary, u8 *msrs)
{
	start(SEC_X2APIC | secondary);
	need(F_PROC, PROC_MSR_BITMAPS, "no MSR bitmaps");
	vmwrite(F_MSR_BITMAP, (u64)msrs);
}

static void guest_x2apic(void)
{
	u8 *none = g_page(), *all = g_page();
	int i;

	for (i = 0; i < 4096; i++)
		all[i] = 0xff;
	start_x2(SEC_APIC_REG | SEC_VID, none);
	vapic[APIC_ID / 4] = 7;
	vapic[APIC_TMR / 4 + 4] = 0x1234;
	G_EQ(step_msr(c_rdmsr, APIC_ID, 0), R_VMCALL, "RDMSR of the ID");
	G_EQ((u32)l2.rax, 7, "the value is that of the virtual-APIC page");
	G_EQ(step_msr(c_rdmsr, APIC_TMR + 16, 0), R_VMCALL, "RDMSR of TMR");
	G_EQ((u32)l2.rax, 0x1234, "the value is that of the virtual-APIC page");
	G_EQ(step_msr(c_wrmsr_sti, APIC_SELF_IPI, VECTOR), R_VMCALL, "WRMSR of SELF IPI");
	expect_taken(VECTOR);
	G_EQ(step_msr(c_wrmsr_sti, APIC_TPR, 0x70), R_VMCALL, "WRMSR of TPR");
	G_EQ(vapic[APIC_TPR / 4], 0x70, "WRMSR wrote the virtual-APIC page");

	vmwrite(F_MSR_BITMAP, (u64)all);
	G_EQ(step_msr(c_rdmsr, APIC_ID, 0), R_RDMSR, "L1's MSR bitmap takes precedence for reads");
	G_EQ(step_msr(c_wrmsr_sti, APIC_TPR, 0), R_WRMSR, "L1's MSR bitmap takes precedence for writes");
}

/* Registers that are not virtualized are those of L1's local APIC, never of the host's. */
static void guest_x2apic_tpr(void)
{
	apic_enable();
	apic_x2_enable();
	start_x2(0, g_page());
	vapic[APIC_ID / 4] = 7;
	vapic[APIC_TPR / 4] = 0x30;
	G_EQ(step_msr(c_rdmsr, APIC_TPR, 0), R_VMCALL, "RDMSR of TPR");
	G_EQ((u32)l2.rax, 0x30, "the value is that of the virtual-APIC page");
	G_EQ(step_msr(c_rdmsr, APIC_ID, 0), R_VMCALL, "RDMSR of the ID");
	G_EQ((u32)l2.rax, apic_id(), "the value is that of L1's APIC");
	vmclr(F_PROC2, SEC_X2APIC);
	apic_write(APIC_TPR, 0x20);
	G_EQ(step_msr(c_rdmsr, APIC_TPR, 0), R_VMCALL, "RDMSR of TPR without the control");
	G_EQ((u32)l2.rax, 0x20, "the value is that of L1's APIC");
	apic_write(APIC_TPR, 0);
}

/* --- posted interrupts (SDM 3C 30.6) --- */

static void start_posted(void)
{
	apic_enable();
	start(SEC_APIC_ACCESS | SEC_APIC_REG | SEC_VID);
	need(F_PIN, PIN_POSTED, "no posted interrupts");
	desc = (u64 *)g_page() + 8;
	vmwrite(F_POSTED_DESC, (u64)desc);
	vmwrite(F_POSTED_NV, NOTIFY);
}

static void post(u8 vec)
{
	desc[vec / 64] |= 1ul << vec % 64;
	desc[4] |= 1;
}

static void expect_posted(u8 vec)
{
	expect_taken(vec);
	G_EQ(desc[vec / 64], 0, "requests of the descriptor");
	G_EQ(desc[4], 0, "outstanding notification");
	G_EQ(apic_read(APIC_IRR + NOTIFY / 32 * 16), 0, "IRR of L1");
	G_EQ(apic_read(APIC_ISR + NOTIFY / 32 * 16), 0, "ISR of L1");
}

static void guest_posted(void)
{
	start_posted();
	post(VECTOR);
	apic_icr(apic_id(), NOTIFY);
	G_EQ(step(c_sti, 0), R_VMCALL, "the notification causes no exit");
	expect_posted(VECTOR);

	/* A request that was pending stays, and the highest vector is delivered first. */
	request(0x35);
	g_trap_fn[0x35] = on_virtual;
	post(VECTOR);
	apic_icr(apic_id(), NOTIFY);
	G_EQ(step(c_sti, 0), R_VMCALL, "both interrupts are delivered");
	G_EQ(taken, 2, "handlers of L2");
	G_EQ(taken_vector, 0x35, "the last vector delivered");

	/* A notification with no request in the descriptor. */
	apic_icr(apic_id(), NOTIFY);
	G_EQ(step(c_sti, 0), R_VMCALL, "an idle notification");
	G_EQ(taken, 0, "handlers of L2");

	/* Any other interrupt exits to L1. */
	apic_icr(apic_id(), 0x71);
	G_EQ(step(c_sti, 0), R_EXTINT, "another interrupt");
	G_EQ(vmread(F_INTR_INFO), 0x80000071, "its vector");
	apic_eoi();
}

static void guest_posted_hole(void)
{
	start_posted();
	vmwrite(F_POSTED_DESC, MMIO_HOLE);
	apic_icr(apic_id(), NOTIFY);
	G_EQ(step(c_sti, 0), R_VMCALL, "a descriptor outside memory");
	G_EQ(taken, 0, "handlers of L2");
}

/* --- L2 halts --- */

static void guest_halted(void)
{
	start_posted();
	vmclr(F_PROC, PROC_HLT);
	post(VECTOR);
	apic_write(APIC_LVTT, NOTIFY);
	apic_write(APIC_TDCR, 0xb);
	apic_write(APIC_TMICT, 10000000);
	G_EQ(step(c_sti_hlt, 0), R_VMCALL, "a posted interrupt wakes L2");
	expect_posted(VECTOR);
	if (!(rdmsr(MSR_VMX_MISC) & BIT(6)))
		return;
	request(VECTOR);
	vmwrite(F_ACTIVITY, 1);
	vmwrite(F_RIP, (u64)c_end);
	vmwrite(F_RFLAGS, 2 | RFLAGS_IF);
	taken = 0;
	G_EQ(vmx_run(), R_VMCALL, "entered halted, with a virtual interrupt pending");
	expect_taken(VECTOR);
}

#define A .flags = KSFT_VMX | KSFT_IRQCHIP
static const struct ksft_test tests[] = {
	{ "registers on the virtual-APIC page", .guest = guest_registers, A },
	{ "virtual interrupts", .guest = guest_delivery, A },
	{ "virtual interrupts and the interrupt window", .guest = guest_window, A },
	{ "MSRs of a virtual x2APIC", .guest = guest_x2apic, A },
	{ "MSRs of an x2APIC with only TPR virtualized", .guest = guest_x2apic_tpr, A },
	{ "posted interrupts", .guest = guest_posted, A },
	{ "posted interrupts without a descriptor", .guest = guest_posted_hole, A },
	{ "a virtual interrupt wakes a halted L2", .guest = guest_halted, A },
};
KSFT_MAIN(tests)
