// SPDX-License-Identifier: GPL-2.0
/*
 * NMIs in L1 and L2. A processor has one flag for blocking by NMI, and L1 and L2 share it:
 *
 * - VM entry without "virtual NMIs" loads it from bit 3 of the interruptibility state, also if the entry injects an
 *   NMI. VM entry with "virtual NMIs" clears it, and bit 3 is virtual-NMI blocking (SDM 3C 27.7.1).
 * - In L2, IRET clears it if "NMI exiting" is 0, and leaves it alone if it is 1 without "virtual NMIs". With "virtual
 *   NMIs", IRET ends virtual-NMI blocking (SDM 3C 26.3).
 * - A VM exit by an NMI sets it, after the exit. Other exits leave it as it is (SDM 3C 28.5.5).
 * - A VM entry that fails does not change it (SDM 3C 27.8).
 */
#define _GNU_SOURCE
#include <string.h>
#include <sys/ioctl.h>
#include "save.h"
#include "vmx.h"

#define INFO_NMI	0x80000202ul
#define BLOCKED		BIT(3)		/* interruptibility state: blocking by NMI, or virtual-NMI blocking */
#define IRET_UNBLOCKED	BIT(12)		/* interruption information: NMI unblocking due to IRET */

/* --- L2: exits before and after an IRET; its NMI handler exits, too, before its own IRET --- */

void nmi_l2_start(void);
extern char nmi_before[], nmi_after[], nmi_hlt[], nmi_iret[], nmi_cpuid[];

asm(".pushsection .text\n"
	".globl nmi_l2_start, nmi_before, nmi_after, nmi_hlt, nmi_iret, nmi_cpuid\n"
	"nmi_l2_start:\n"
	"	nop\n"
	"	call	nmi_maybe_sync\n"
	"nmi_before:\n"
	"	vmcall\n"
	"	call	nmi_maybe_sync\n"
	"	mov	%rsp, %rax\n"
	"	mov	%ss, %ecx\n"
	"	push	%rcx\n"
	"	push	%rax\n"
	"	pushfq\n"
	"	mov	%cs, %ecx\n"
	"	push	%rcx\n"
	"	lea	nmi_after(%rip), %rcx\n"
	"	push	%rcx\n"
	"	iretq\n"
	"nmi_after:\n"
	"	vmcall\n"
	"nmi_hlt:\n"
	"	hlt\n"
	"	vmcall\n"
	"nmi_cpuid:\n"
	"	cpuid\n"
	"	vmcall\n"
	"nmi_iret:\n"		/* on the stack of RBX */
	"	mov	%rbx, %rsp\n"
	"	iretq\n"
	".popsection\n");

static volatile u64 syncing;	/* the host migrates the machine at each g_sync() */

void nmi_maybe_sync(void)
{
	if (syncing)
		g_sync(1);
}

/* --- L1 --- */

static volatile u64 l1_nmis, l2_nmis, l2_stack;
static void (*volatile job)(void);	/* L1's next NMI handler calls it: NMIs are blocked while it runs */
static volatile u64 irqs;

/* The handler of both levels, which share the IDT. */
static void on_nmi(struct trap_regs *r)
{
	void (*fn)(void) = job;

	if (r->rsp <= l2_stack && r->rsp > l2_stack - 4 * 4096) {
		l2_nmis++;
		nmi_maybe_sync();
		asm volatile("vmcall" : : : "memory");
		return;
	}
	l1_nmis++;
	job = NULL;
	if (fn)
		fn();
}

static void send_nmi(void)
{
	apic_icr(0, 0x400);
	asm volatile("nop; nop");
}

/* Calls fn() in L1's NMI handler. Returns the number of NMIs that L1 took after the handler's IRET. */
static u64 while_blocked(void (*fn)(void))
{
	job = fn;
	l1_nmis = 0;
	send_nmi();
	G_OK(!job, "L1 takes an NMI");
	return l1_nmis;
}

static void new_l2(bool exiting, bool virtual, u64 state)
{
	g_trap_fn[VEC_NMI] = on_nmi;
	vmcs_new(nmi_l2_start);
	if (exiting)
		need(F_PIN, PIN_NMI, "no NMI exiting");
	else if (vmread(F_PIN) & PIN_NMI)
		g_skip("NMI exiting cannot be disabled");
	if (virtual)
		need(F_PIN, PIN_VNMI, "no virtual NMIs");
	vmwrite(F_INTERRUPTIBILITY, state);
	l2_stack = vmread(F_RSP);
	l2_nmis = 0;
}

/* Whether L1 takes an NMI now. One is sent unless @pending says that one waits. */
static bool l1_is_blocked(u64 taken, bool pending)
{
	if (!pending)
		send_nmi();
	return l1_nmis == taken;
}

/* --- the table --- */

enum place {
	NOWHERE,	/* the row ends before */
	AT_START,	/* L2's first instruction: an exit by the NMI */
	BEFORE_IRET,	/* VMCALL in L2's main code */
	AFTER_IRET,
	IN_HANDLER,	/* VMCALL in L2's NMI handler */
	VMFAIL,		/* VM-instruction error 7 */
	FAILED_ENTRY,	/* exit reason 0x80000021 */
};

/* What L1 sees after an exit. */
struct seen {
	u8 place;
	bool state;	/* bit 3 of the interruptibility state */
	bool blocked;	/* L1 does not take NMIs before its own IRET */
	bool waits;	/* the NMI that was pending at the entry is pending still */
};

#define INJECT	false
#define PENDING	true

/*
 * L1 is in its NMI handler, so NMIs are blocked before the entry. @first is the first exit, @second the one after L1
 * has resumed L2 without an IRET of its own.
 *
 * E: "NMI exiting". V: "virtual NMIs". B: bit 3 of the interruptibility state at entry.
 */
static const struct row {
	bool e, v, b, pending;
	struct seen first, second;
} rows[] = {
	/* Without "NMI exiting" L2 takes NMIs itself. Its handler is not blocked if the NMI was injected with B = 0. */
	{ 0, 0, 0, INJECT,	{ IN_HANDLER, 0, 0, 0 },	{ BEFORE_IRET, 0, 0, 0 } },
	{ 0, 0, 0, PENDING,	{ IN_HANDLER, 1, 1, 0 },	{ BEFORE_IRET, 0, 0, 0 } },
	{ 0, 0, 1, INJECT,	{ IN_HANDLER, 1, 1, 0 },	{ BEFORE_IRET, 0, 0, 0 } },
	{ 0, 0, 1, PENDING,	{ BEFORE_IRET, 1, 1, 1 },	{ IN_HANDLER, 1, 1, 0 } },
	/* "Virtual NMIs" needs "NMI exiting" (SDM 3C 27.2.1.1). */
	{ 0, 1, 0, INJECT,	{ VMFAIL, 0, 1, 0 } },
	{ 0, 1, 0, PENDING,	{ VMFAIL, 0, 1, 1 } },
	{ 0, 1, 1, INJECT,	{ VMFAIL, 1, 1, 0 } },
	{ 0, 1, 1, PENDING,	{ VMFAIL, 1, 1, 1 } },
	/* Nothing in L2 changes B: neither an injected NMI nor IRET. */
	{ 1, 0, 0, INJECT,	{ IN_HANDLER, 0, 0, 0 },	{ BEFORE_IRET, 0, 0, 0 } },
	{ 1, 0, 0, PENDING,	{ AT_START, 0, 1, 0 },		{ BEFORE_IRET, 0, 0, 0 } },
	{ 1, 0, 1, INJECT,	{ IN_HANDLER, 1, 1, 0 },	{ BEFORE_IRET, 1, 1, 0 } },
	{ 1, 0, 1, PENDING,	{ BEFORE_IRET, 1, 1, 1 },	{ AFTER_IRET, 1, 1, 1 } },
	/* B is virtual-NMI blocking, which excludes the injection of an NMI (SDM 3C 27.3.1.5). */
	{ 1, 1, 0, INJECT,	{ IN_HANDLER, 1, 0, 0 },	{ BEFORE_IRET, 0, 0, 0 } },
	{ 1, 1, 0, PENDING,	{ AT_START, 0, 1, 0 },		{ BEFORE_IRET, 0, 0, 0 } },
	{ 1, 1, 1, INJECT,	{ FAILED_ENTRY, 1, 1, 0 } },
	{ 1, 1, 1, PENDING,	{ AT_START, 1, 1, 0 },		{ BEFORE_IRET, 1, 0, 0 } },
};

static volatile u64 row_nr, exits;	/* the row, and after which exit L1 looks whether NMIs are blocked */
static volatile bool row_blocked;

static enum place place_of_exit(u64 ret)
{
	u64 reason, rip;

	if (ret == VM_FAIL(E_BAD_CONTROLS))
		return VMFAIL;
	G_EQN(ret, VM_OK, "VM entry", row_nr);
	reason = vmread(F_REASON);
	rip = vmread(F_RIP);
	if (reason == (R_FAILED_ENTRY | 33))
		return FAILED_ENTRY;
	if (reason == R_EXCEPTION) {
		G_EQN(vmread(F_INTR_INFO), INFO_NMI, "interruption information", row_nr);
		return rip == (u64)nmi_l2_start ? AT_START : NOWHERE;
	}
	G_EQN(reason, R_VMCALL, "exit reason", row_nr);
	return rip == (u64)nmi_before ? BEFORE_IRET : rip == (u64)nmi_after ? AFTER_IRET : IN_HANDLER;
}

/* Enters L2 and compares what follows with @want. L1 looks whether it is blocked if @last. */
static void enter_and_see(const struct seen *want, bool launch, bool last)
{
	u64 taken = l1_nmis, got = place_of_exit(vmx_try_enter(launch));

	G_EQN(got, want->place, "where the exit comes from", row_nr);
	G_EQN(!!(vmread(F_INTERRUPTIBILITY) & BLOCKED), want->state, "bit 3 of the interruptibility state", row_nr);
	/* No NMI is pending that L1 could take at once: L2, or the exit, has consumed it, or it is blocked. */
	G_EQN(l1_nmis, taken, "NMIs that L1 takes at its first instruction", row_nr);
	if (got == BEFORE_IRET || got == IN_HANDLER)
		vmx_skip();
	nmi_maybe_sync();
	if (last)
		row_blocked = l1_is_blocked(taken, want->waits);
}

static void run_row(void)
{
	const struct row *row = &rows[row_nr];

	if (row->pending)
		send_nmi();
	else
		vmwrite(F_ENTRY_INTR_INFO, INFO_NMI);
	G_EQN(l1_nmis, 1, "NMIs are blocked in L1's handler", row_nr);
	enter_and_see(&row->first, true, exits == 1);
	if (exits == 2)
		enter_and_see(&row->second, false, true);
}

static void guest_table(void)
{
	const struct row *row;
	u64 left;

	apic_enable();
	for (row_nr = 0; row_nr < ARRAY_SIZE(rows); row_nr++) {
		row = &rows[row_nr];
		for (exits = 1; exits <= (row->second.place == NOWHERE ? 1 : 2); exits++) {
			bool want = exits == 1 ? row->first.blocked : row->second.blocked;

			new_l2(row->e, false, row->b ? BLOCKED : 0);
			if (row->v)
				need(F_PIN, PIN_VNMI, "no virtual NMIs");
			left = while_blocked(run_row) - 1;
			G_EQN(row_blocked, want, "L1 blocks NMIs after the exit", row_nr | exits << 8);
			/* L1 takes one NMI: at once, or after its IRET the one that waited. */
			G_EQN(left, 1, "NMIs that L1 takes", row_nr | exits << 8);
			G_EQN(l2_nmis, row->first.place == IN_HANDLER || (exits == 2 && row->second.place == IN_HANDLER),
			      "NMIs that L2 takes", row_nr | exits << 8);
		}
	}
}

static void guest_table_syncing(void)
{
	syncing = true;
	guest_table();
}

/* The same table, and the machine moves to a new VM at points in L1 and L2. */
static void host_migrated(void)
{
	static struct saved_vcpu s;
	struct vcpu *vcpu;
	struct vm vm;
	u64 n = 0;

	vm_create(&vm, KSFT_IRQCHIP);
	if (!vm_has_vmx(&vm))
		ksft_skip("no VMX");
	if (ioctl(vm.dev, KVM_CHECK_EXTENSION, KVM_CAP_NESTED_STATE) <= 0)
		ksft_skip("no nested state");
	vcpu = vcpu_create(&vm, 0, guest_table_syncing);
	while (vcpu_run_to_call(vcpu, NULL) == GCALL_SYNC) {
		vcpu_save(vcpu, &s);
		vm_replace(&vm);
		vcpu = vcpu_create(&vm, 0, NULL);
		vcpu_restore(vcpu, &s, n++ % NR_ORDERS);
	}
	OK(vcpu->done, "the guest ends");
	OK(n > 40, "%llu migrations", (long long)n);
	vm_destroy(&vm);
}

/* --- the window: above NMIs in priority (SDM 3C 26.2) --- */

static void run_window(void)
{
	send_nmi();
	vmx_expect(R_NMI_WINDOW, "the window is open at entry, and an NMI waits");
	G_EQ(l1_nmis, 2, "L1 takes the NMI at its first instruction: the entry has unblocked NMIs");
}

static void guest_window(void)
{
	new_l2(true, true, 0);
	apic_enable();
	need(F_PROC, PROC_NMI_WINDOW, "no NMI-window exiting");
	G_EQ(while_blocked(run_window), 2, "NMIs");
}

/* --- exits and entries without an NMI --- */

static void run_l2_unblocked(void)
{
	vmwrite(F_RIP, (u64)nmi_cpuid);
	vmx_expect(R_CPUID, "L2");
	send_nmi();
	G_EQ(l1_nmis, 2, "an entry with \"virtual NMIs\" unblocks NMIs in L1");
}

static void iret(void)
{
	asm volatile("mov	%%rsp, %%rax\n\t"
		     "pushq	%0\n\t"
		     "push	%%rax\n\t"
		     "pushfq\n\t"
		     "pushq	%1\n\t"
		     "lea	1f(%%rip), %%rax\n\t"
		     "push	%%rax\n\t"
		     "iretq\n"
		     "1:	nop"
		     : : "i" (SEL_DS), "i" (SEL_CS64) : "rax", "memory", "cc");
}

static void guest_crosses(void)
{
	u64 taken;

	apic_enable();
	/* L1's own IRET ends the blocking that it has from L2. */
	new_l2(false, false, BLOCKED);
	vmwrite(F_RIP, (u64)nmi_cpuid);
	vmx_expect(R_CPUID, "L2");
	G_EQ(vmread(F_INTERRUPTIBILITY), BLOCKED, "bit 3");
	taken = l1_nmis;
	send_nmi();
	G_EQ(l1_nmis, taken, "L1 is blocked after the exit");
	iret();
	G_EQ(l1_nmis, taken + 1, "L1's IRET unblocks NMIs");
	/* Virtual-NMI blocking is not blocking of NMIs. */
	new_l2(true, true, BLOCKED);
	while_blocked(run_l2_unblocked);
	new_l2(true, true, 0);
	while_blocked(run_l2_unblocked);
}

/* --- HLT: an NMI that is blocked does not end it (SDM 3C 26.2, 27.7.2) --- */

static void on_irq(struct trap_regs *r)
{
	irqs++;
	apic_eoi();
}

static void start_timer(void)
{
	apic_write(APIC_TDCR, 0xb);
	apic_write(APIC_LVTT, 0x70);
	apic_write(APIC_TMICT, 10000000);
}

static void halt_l1(void)
{
	send_nmi();
	start_timer();
	sti_hlt_cli();
	G_EQ(irqs, 1, "HLT ends with the timer's interrupt, not with the blocked NMI");
	G_EQ(l1_nmis, 2, "the IRET of the interrupt's handler unblocks NMIs");
}

static void guest_hlt_l1(void)
{
	g_trap_fn[VEC_NMI] = on_nmi;
	g_trap_fn[0x70] = on_irq;
	apic_enable();
	G_EQ(while_blocked(halt_l1), 2, "NMIs");
}

static void halt_l2(void)
{
	send_nmi();
	start_timer();
	vmwrite(F_RIP, (u64)nmi_hlt);
	vmx_expect(R_EXTINT, "HLT of L2 ends with the timer's interrupt");
	G_EQ(vmread(F_ACTIVITY), 1, "activity state");
	G_EQ(vmread(F_RIP), (u64)nmi_hlt + 1, "RIP");
	G_EQ(l1_nmis, 1, "the NMI waits");
}

static void guest_hlt_l2(void)
{
	u64 i;

	if (!(rdmsr(MSR_VMX_MISC) & BIT(6)))
		g_skip("no HLT activity state");
	apic_enable();
	for (i = 0; i < 2; i++) {
		new_l2(i, false, BLOCKED);
		need(F_PIN, PIN_EXTINT, "no external-interrupt exiting");
		need(F_EXIT_CTLS, EXIT_ACK, "no acknowledge on exit");
		G_EQN(while_blocked(halt_l2), 2, "NMIs", i);
		apic_eoi();
	}
	/* A window that virtual-NMI blocking keeps closed does not wake an L2 that is entered halted. */
	new_l2(true, true, BLOCKED);
	need(F_PIN, PIN_EXTINT, "no external-interrupt exiting");
	need(F_EXIT_CTLS, EXIT_ACK, "no acknowledge on exit");
	need(F_PROC, PROC_NMI_WINDOW, "no NMI-window exiting");
	vmwrite(F_ACTIVITY, 1);
	start_timer();
	vmx_expect(R_EXTINT, "L2 stays halted");
	apic_eoi();
	G_EQ(vmread(F_ACTIVITY), 1, "activity state");
	G_EQ(vmread(F_RIP), (u64)nmi_l2_start, "RIP");
	vmwrite(F_INTERRUPTIBILITY, 0);
	vmx_expect(R_NMI_WINDOW, "an open window wakes L2");
}

/* --- an NMI that L1 injects, and one that waits for L2 --- */

static void run_two(void)
{
	send_nmi();
	vmwrite(F_ENTRY_INTR_INFO, INFO_NMI);
	vmx_expect(R_VMCALL, "L2's handler");
}

/* With bit 3 the injected NMI's handler is blocked until its IRET. */
static void run_two_blocked(void)
{
	run_two();
	G_EQ(l2_nmis, 1, "handlers");
	G_EQ(vmread(F_INTERRUPTIBILITY), BLOCKED, "bit 3");
	vmx_skip();
	vmx_expect(R_VMCALL, "the handler of the NMI that waited");
	G_EQ(l2_nmis, 2, "handlers");
	G_EQ(vmread(F_INTERRUPTIBILITY), BLOCKED, "bit 3");
	G_EQ(l1_nmis, 1, "L1 takes none");
}

/* The injected NMI does not block, so the other one comes before the first instruction of its handler. */
static void guest_two(void)
{
	u64 first;

	apic_enable();
	new_l2(false, false, 0);
	first = vmread(F_RSP);
	while_blocked(run_two);
	G_EQ(l2_nmis, 1, "one handler has run to its VMCALL");
	G_EQ(vmread(F_INTERRUPTIBILITY), BLOCKED, "bit 3");
	G_OK(first - vmread(F_RSP) > 2 * 40 + 17 * 8, "the frames of both");
	vmx_skip();
	vmx_expect(R_VMCALL, "the handler of the injected NMI");
	G_EQ(l2_nmis, 2, "handlers");
	G_EQ(vmread(F_INTERRUPTIBILITY), 0, "the first IRET has unblocked NMIs");
	new_l2(false, false, BLOCKED);
	while_blocked(run_two_blocked);
}

/* --- faults of IRET, and during the delivery of an NMI --- */

static void run_iret(void)
{
	bool virtual = vmread(F_PIN) & PIN_VNMI;

	vmwrite(F_RIP, (u64)nmi_iret);
	vmwrite(F_EXCEPTION_BITMAP, BIT(VEC_PF));
	vmx_expect(R_EXCEPTION, "IRET faults");
	/* IRET unblocks NMIs even if it faults (SDM 3C 26.3), and the exit says so (28.2.2). */
	G_EQ(vmread(F_INTR_INFO) & ~0x800ul, 0x8000030e | IRET_UNBLOCKED, "interruption information");
	G_EQ(vmread(F_INTERRUPTIBILITY), 0, "bit 3");
	send_nmi();
	G_EQ(l1_nmis, 2, virtual ? "L1 is not blocked by virtual-NMI blocking" : "IRET has unblocked NMIs for L1, too");
}

static void guest_iret_faults(void)
{
	u64 hole = (u64)g_page(), i;

	apic_enable();
	for (i = 0; i < 2; i++) {
		new_l2(i, i, BLOCKED);
		*g_pte(hole) &= ~1ul;
		invlpg(hole);
		l2.rbx = hole + 256;
		while_blocked(run_iret);
	}
}

/* The same if L1 sees an EPT misconfiguration or an access to its APIC page, which have no bit for it. KVM leaves bit 3 set. */
static volatile u64 iret_reason;

static void run_iret_ept(void)
{
	vmwrite(F_RIP, (u64)nmi_iret);
	vmx_expect(iret_reason, "IRET exits");
	G_EQN(vmread(F_RIP), (u64)nmi_iret + 3, "RIP", iret_reason);
	G_EQN(vmread(F_INTERRUPTIBILITY), 0, "bit 3", iret_reason);
	send_nmi();
	G_EQN(l1_nmis, 2, "IRET has unblocked NMIs for L1, too", iret_reason);
}

static void guest_iret_ept(void)
{
	u64 stack = (u64)g_page(), eptp, i, *e;

	if (!ept_caps())
		g_skip("no EPT");
	apic_enable();
	eptp = ept_new();
	e = ept_entry(eptp, stack, 1);
	for (i = 0; i < 2; i++) {
		new_l2(i, i, BLOCKED);
		ept_use(eptp);
		*e &= ~EPT_R;	/* writable but not readable */
		invept_all();
		l2.rbx = stack + 256;
		iret_reason = R_EPT_MISCONFIG;
		while_blocked(run_iret_ept);
	}
	for (i = 0; i < 2; i++) {
		new_l2(i, i, BLOCKED);
		ept_use(eptp);
		need_secondary(SEC_APIC_ACCESS, "no APIC-access page");
		vmwrite(F_APIC_ACCESS, MMIO_HOLE);
		l2.rbx = MMIO_HOLE + 256;
		iret_reason = R_APIC_ACCESS;
		while_blocked(run_iret_ept);
	}
}

static volatile u64 delivery;	/* 0: a pending NMI; 1: an injected one */

static void run_delivery(void)
{
	bool virtual = vmread(F_PIN) & PIN_VNMI, blocked;

	if (delivery)
		vmwrite(F_ENTRY_INTR_INFO, INFO_NMI);
	else
		send_nmi();
	vmwrite(F_EXCEPTION_BITMAP, BIT(VEC_PF));
	vmx_expect(R_EXCEPTION, "the delivery of the NMI faults");
	G_EQN(vmread(F_IDT_INFO) & ~BIT(12), INFO_NMI, "IDT-vectoring information", delivery);
	/* The NMI blocks before the exit (SDM 3C 28.1), but an injected one only by virtual-NMI blocking (27.7.1). */
	G_EQN(vmread(F_INTERRUPTIBILITY), !delivery || virtual ? BLOCKED : 0, "bit 3", delivery | virtual << 8);
	blocked = l1_is_blocked(1, false);
	G_EQN(blocked, !delivery, "L1 is blocked", delivery | virtual << 8);
}

static void guest_delivery_faults(void)
{
	static const struct {
		u8 controls, injected;
	} e[] = { { 0, 0 }, { 0, 1 }, { 1, 1 }, { 2, 1 } };
	u64 i, hole = (u64)g_page();

	apic_enable();
	for (i = 0; i < ARRAY_SIZE(e); i++) {
		new_l2(e[i].controls, e[i].controls == 2, 0);
		delivery = e[i].injected;
		*g_pte(hole) &= ~1ul;
		invlpg(hole);
		vmwrite(F_RSP, hole + 2048);
		while_blocked(run_delivery);
	}
}

/* --- an exit that L0 handles interrupts the delivery, or IRET; the guest notices nothing --- */

static void run_ept(void)
{
	/* EPT02 is empty, so L0 fills it in during the delivery. */
	invept_all();
	vmwrite(F_ENTRY_INTR_INFO, INFO_NMI);
	vmx_expect(R_VMCALL, "L2's handler");
	G_EQ(l2_nmis, 1, "the NMI");
	G_EQ(!!(vmread(F_INTERRUPTIBILITY) & BLOCKED), !!(vmread(F_PIN) & PIN_VNMI), "bit 3 in the handler");
	G_EQ(l1_is_blocked(1, false), 0, "L1 is blocked");
	vmx_skip();
	/* The handler's IRET meets an empty EPT02 as well. */
	invept_all();
	vmx_expect(R_VMCALL, "L2's main code");
	G_EQ(vmread(F_RIP), (u64)nmi_before, "RIP");
	G_EQ(vmread(F_INTERRUPTIBILITY), 0, "bit 3 after the handler's IRET");
}

static void guest_ept(void)
{
	u64 i, eptp;

	if (!ept_caps())
		g_skip("no EPT");
	apic_enable();
	eptp = ept_new();
	for (i = 0; i < 3; i++) {
		new_l2(i, i == 2, 0);
		ept_use(eptp);
		while_blocked(run_ept);
	}
}

#define V .flags = KSFT_VMX | KSFT_IRQCHIP
static const struct ksft_test tests[] = {
	{ "NMI exiting, virtual NMIs, blocking, injected or pending", .guest = guest_table, V },
	{ "the same, with migrations", .host = host_migrated },
	{ "NMI window while an NMI waits", .guest = guest_window, V },
	{ "blocking across entries and exits", .guest = guest_crosses, V },
	{ "a blocked NMI and HLT in L1", .guest = guest_hlt_l1, .flags = KSFT_IRQCHIP },
	{ "a blocked NMI and HLT in L2", .guest = guest_hlt_l2, V },
	{ "an injected NMI and one that waits", .guest = guest_two, V },
	{ "IRET that faults", .guest = guest_iret_faults, V },
	{ "IRET and exits by L1's EPT", .guest = guest_iret_ept, V },
	{ "faults during the delivery of an NMI", .guest = guest_delivery_faults, V },
	{ "delivery and IRET interrupted by L0", .guest = guest_ept, V },
};
KSFT_MAIN(tests)
