// SPDX-License-Identifier: GPL-2.0
/* TPR shadow, CR8, TPR threshold, APIC-access page. Without any of these L2 must not reach the host's CR8. */
#include "vm.h"
#include "vmx.h"

#define CODE(name, text) \
extern char name[]; \
asm(".pushsection .text\n.globl " #name "\n" #name ":\n" text "\n\tvmcall\n.popsection\n")

CODE(c_cr8w, "mov %rbx, %cr8");
CODE(c_cr8r, "mov %cr8, %rax");
CODE(c_read, "mov (%rbx), %eax");
CODE(c_write, "mov %eax, (%rbx)");
CODE(c_lower, "movb $0, 0x80(%rbx); movb $1, (%rcx)");
CODE(c_lower_wait, "movb $0, 0x80(%rbx); 1: dec %rcx; jnz 1b");
#define A_WHILE	10000000	/* iterations; the host has timer ticks meanwhile */

static u64 step(char *code, u64 rbx)
{
	vmwrite(F_RIP, (u64)code);
	l2.rbx = rbx;
	return vmx_run();
}

static void guest_cr8(void)
{
	vmcs_new((void (*)(void))(u64)c_cr8r);
	/* With neither exits nor a TPR shadow, L2 accesses L1's CR8. */
	write_cr8(3);
	if (vmread(F_PROC) & (PROC_CR8_LOAD | PROC_CR8_STORE))
		g_skip("CR8 exits cannot be disabled");
	G_EQ(step(c_cr8r, 0), R_VMCALL, "MOV from CR8");
	G_EQ(l2.rax, 3, "L2 reads L1's CR8");
	G_EQ(step(c_cr8w, 9), R_VMCALL, "MOV to CR8");
	G_EQ(read_cr8(), 9, "L2 wrote L1's CR8");
	write_cr8(0);
	vmwrite(F_EXCEPTION_BITMAP, BIT(VEC_GP));
	G_EQ(step(c_cr8w, 16), R_EXCEPTION, "MOV to CR8, reserved bits");
	G_EQ(vmread(F_INTR_INFO), 0x80000b0d, "#GP(0)");
}

static void guest_shadow(void)
{
	volatile u32 *vapic = g_page();
	u64 i;

	vmcs_new((void (*)(void))(u64)c_cr8r);
	need(F_PROC, PROC_TPR_SHADOW, "no TPR shadow");
	vmwrite(F_VIRTUAL_APIC, (u64)vapic);
	vmwrite(F_TPR_THRESHOLD, 0);
	write_cr8(2);
	vapic[0x20] = 0x70;
	G_EQ(step(c_cr8r, 0), R_VMCALL, "MOV from CR8");
	G_EQ(l2.rax, 7, "MOV from CR8 reads VTPR");
	for (i = 0; i < 16; i++) {
		G_EQ(step(c_cr8w, i), R_VMCALL, "MOV to CR8");
		G_EQ(vapic[0x20], i << 4, "MOV to CR8 writes VTPR");
	}
	G_EQ(read_cr8(), 2, "L1's CR8 is unchanged");
	vmwrite(F_TPR_THRESHOLD, 5);
	vapic[0x20] = 0x80;
	G_EQ(step(c_cr8w, 5), R_VMCALL, "at the threshold");
	G_EQ(step(c_cr8w, 4), R_TPR, "below the threshold");
	G_EQ(vmread(F_RIP), (u64)c_cr8w + 4, "a trap: RIP is after the instruction");
	G_EQ(vapic[0x20], 0x40, "VTPR is written");
	vmwrite(F_TPR_THRESHOLD, 0);
	vmset(F_PROC, PROC_CR8_STORE);
	G_EQ(step(c_cr8r, 0), R_CR, "CR8-store exiting takes precedence");
	write_cr8(0);
}

/*
 * VTPR is compared with the threshold at an entry of L1 (SDM 3C 27.2.1.1), and when L2 writes its TPR (30.1.2). Other
 * stores to the virtual-APIC page have no effect on either, however often L0 enters L2 on its own.
 */
static void guest_lowered(void)
{
	volatile u32 *vapic = g_page();
	u64 eptp, cold = (u64)g_page();

	vmcs_new((void (*)(void))(u64)c_lower);
	need(F_PROC, PROC_TPR_SHADOW, "no TPR shadow");
	if (!ept_caps())
		g_skip("no EPT for L1");
	eptp = ept_new();
	ept_use(eptp);
	G_EQ(*ept_entry(eptp, cold, 1) & EPT_RWX, EPT_RWX, "4 KiB entry");
	vmwrite(F_VIRTUAL_APIC, (u64)vapic);
	vmwrite(F_TPR_THRESHOLD, 5);
	vapic[0x20] = 0x50;
	l2.rcx = cold;
	G_EQ(step(c_lower, (u64)vapic), R_VMCALL, "L2 lowers VTPR by a store, and then touches another page");
	G_EQ(vapic[0x20], 0, "VTPR");
	G_EQ(vmread(F_TPR_THRESHOLD), 5, "the threshold that L1 has set");
	vmwrite(F_RIP, (u64)c_cr8r);
	G_EQ(vmx_try_enter(false), VM_FAIL(E_BAD_CONTROLS), "an entry of L1 with VTPR below the threshold");
	vapic[0x20] = 0x60;
	l2.rcx = A_WHILE;
	G_EQ(step(c_lower_wait, (u64)vapic), R_VMCALL, "L2 lowers VTPR, and then only interrupts of the host come");
	vapic[0x20] = 0x80;
	G_EQ(step(c_cr8w, 5), R_VMCALL, "TPR at the threshold");
	G_EQ(step(c_cr8w, 4), R_TPR, "TPR below the threshold");
}

/*
 * With "virtualize APIC accesses" an entry of L1 exits at once if VTPR is below the threshold (SDM 3C 27.7.7). Entries
 * that L0 makes on its own do not. With an argument, L1 uses EPT.
 */
static void guest_lowered_access(void)
{
	volatile u32 *vapic = g_page();
	u64 eptp, cold[2] = { (u64)g_page(), (u64)g_page() };

	vmcs_new((void (*)(void))(u64)c_lower);
	need(F_PROC, PROC_TPR_SHADOW, "no TPR shadow");
	need_secondary(SEC_APIC_ACCESS, "no APIC-access page");
	if (g_arg()) {
		if (!ept_caps())
			g_skip("no EPT for L1");
		eptp = ept_new();
		ept_use(eptp);
		G_EQ(*ept_entry(eptp, cold[0], 1) & EPT_RWX, EPT_RWX, "4 KiB entry");
	}
	vmwrite(F_APIC_ACCESS, (u64)g_page());
	vmwrite(F_VIRTUAL_APIC, (u64)vapic);
	vmwrite(F_TPR_THRESHOLD, 5);
	vapic[0x20] = 0x50;
	l2.rcx = cold[0];
	G_EQ(step(c_lower, (u64)vapic), R_VMCALL, "L2 lowers VTPR by a store, and then touches another page");
	G_EQ(vapic[0x20], 0, "VTPR");
	G_EQ(vmread(F_TPR_THRESHOLD), 5, "the threshold that L1 has set");
	G_EQ(step(c_lower, (u64)vapic), R_TPR, "an entry of L1 with VTPR below the threshold");
	G_EQ(vmread(F_RIP), (u64)c_lower, "RIP");
	if ((rdmsr(MSR_VMX_MISC) & BIT(6)) && ctl_has(F_PIN, PIN_TIMER)) {
		vmset(F_PIN, PIN_TIMER);	/* L2 must not sleep for ever */
		vmwrite(F_TIMER, 100000000 >> (rdmsr(MSR_VMX_MISC) & 31));
		vmwrite(F_ACTIVITY, 1);
		G_EQ(vmx_run(), R_TPR, "the same in the HLT state");
		G_EQ(vmread(F_ACTIVITY), 1, "activity state");
		vmwrite(F_ACTIVITY, 0);
	}
	vapic[0x20] = 0x60;
	l2.rcx = cold[1];
	G_EQ(step(c_lower, (u64)vapic), R_VMCALL, "L2 lowers VTPR again");
	vapic[0x20] = 0x60;
	l2.rcx = A_WHILE;
	G_EQ(step(c_lower_wait, (u64)vapic), R_VMCALL, "L2 lowers VTPR, and then only interrupts of the host come");
	vapic[0x20] = 0x80;
	G_EQ(step(c_cr8w, 5), R_VMCALL, "TPR at the threshold");
	G_EQ(step(c_cr8w, 4), R_TPR, "TPR below the threshold");
}

/*
 * Two VMCSs whose APIC-access pages differ, without EPT. The page of one is memory for the other, and what the processor
 * has cached about a page must not outlive the change (SDM 3C 30.4.5).
 */
static void guest_access_pages(void)
{
	u64 vmcs[2], page[2], i, other;

	for (i = 0; i < 2; i++) {
		page[i] = (u64)g_page();
		*(u32 *)(page[i] + 0x30) = 0x1000 + i;
		vmcs[i] = vmcs_new((void (*)(void))(u64)c_read);
		need_secondary(SEC_APIC_ACCESS, "no APIC-access page");
		vmwrite(F_APIC_ACCESS, page[i]);
	}
	for (i = 0; i < 6; i++) {
		other = !(i & 1);
		vmcs_load(vmcs[i & 1]);
		vmx_launched(i > 1);
		G_EQN(step(c_read, page[other] + 0x30), R_VMCALL, "the other VMCS's page", i);
		G_EQN((u32)l2.rax, 0x1000 + other, "its memory", i);
		G_EQN(step(c_read, page[!other] + 0x30), R_APIC_ACCESS, "the APIC-access page", i);
	}
	/* L1 changes the page of one VMCS, at last to one that is no memory. */
	vmwrite(F_APIC_ACCESS, page[other]);
	G_EQ(step(c_read, page[!other] + 0x30), R_VMCALL, "the former page");
	G_EQ(step(c_read, page[other] + 0x30), R_APIC_ACCESS, "the new page");
	vmwrite(F_APIC_ACCESS, MMIO_HOLE);
	G_EQ(step(c_read, page[other] + 0x30), R_VMCALL, "the former page");
}

static void guest_access_page(void)
{
	volatile u32 *vapic = g_page();
	u64 access = (u64)g_page(), eptp;

	vmcs_new((void (*)(void))(u64)c_read);
	need_secondary(SEC_APIC_ACCESS, "no APIC-access page");
	vmwrite(F_APIC_ACCESS, access);
	eptp = ept_caps() ? ept_new() : 0;
	if (eptp) {
		ept_use(eptp);
		G_EQ(*ept_entry(eptp, access, 1) & EPT_RWX, EPT_RWX, "4 KiB entry");
	}
	G_EQ(step(c_read, access + 0x30), R_APIC_ACCESS, "read");
	G_EQ(vmread(F_QUAL) & 0xffff, 0x30, "qualification: read at 0x30");
	G_EQ(vmread(F_RIP), (u64)c_read, "RIP");
	G_EQ(step(c_write, access + 0xb0), R_APIC_ACCESS, "write");
	G_EQ(vmread(F_QUAL) & 0xffff, 0x10b0, "qualification: write at 0xb0");
	/* Fetches are not tested: Bochs panics on them. */
	if (!ctl_has(F_PROC, PROC_TPR_SHADOW))
		return;
	/* With a TPR shadow, offset 0x80 is VTPR. */
	vmset(F_PROC, PROC_TPR_SHADOW);
	vmwrite(F_VIRTUAL_APIC, (u64)vapic);
	vmwrite(F_TPR_THRESHOLD, 0);
	vapic[0x20] = 0x90;
	G_EQ(step(c_read, access + 0x80), R_VMCALL, "read of VTPR");
	G_EQ((u32)l2.rax, 0x90, "its value");
	l2.rax = 0x60;
	G_EQ(step(c_write, access + 0x80), R_VMCALL, "write of VTPR");
	G_EQ(vapic[0x20], 0x60, "its value");
	G_EQ(step(c_read, access + 0x20), R_APIC_ACCESS, "another register");
}

/* Pages outside L1's memory: L0 survives; L2 may or may not run. */
static void guest_holes(void)
{
	u64 ret;

	vmcs_new((void (*)(void))(u64)c_cr8r);
	need(F_PROC, PROC_TPR_SHADOW, "no TPR shadow");
	vmwrite(F_TPR_THRESHOLD, 0);
	vmwrite(F_VIRTUAL_APIC, MMIO_HOLE);
	ret = vmx_try_enter(true);
	G_OK(ret == VM_OK || ret == VM_FAIL(E_BAD_CONTROLS), "virtual-APIC page outside memory");
	vmcs_new((void (*)(void))(u64)c_cr8r);
	need_secondary(SEC_APIC_ACCESS, "no APIC-access page");
	vmwrite(F_APIC_ACCESS, MMIO_HOLE);
	G_EQ(vmx_try_enter(true), VM_OK, "APIC-access page outside memory");
}

/* The exits that L0 makes, because L1 has no memory at the APIC-access address. */
static void guest_access_hole(void)
{
	vmcs_new((void (*)(void))(u64)c_read);
	need_secondary(SEC_APIC_ACCESS, "no APIC-access page");
	if (g_arg() && !ept_caps())
		g_skip("no EPT for L1");
	if (g_arg())
		ept_use(ept_new());
	vmwrite(F_APIC_ACCESS, MMIO_HOLE);
	G_EQ(step(c_read, MMIO_HOLE + 0x30), R_APIC_ACCESS, "read");
	G_EQ(vmread(F_QUAL) & 0xffff, 0x30, "qualification: read at 0x30");
	G_EQ(vmread(F_LINEAR), MMIO_HOLE + 0x30, "guest-linear address");
	G_EQ(vmread(F_ILEN), 2, "instruction length");
	G_EQ(step(c_write, MMIO_HOLE + 0xb0), R_APIC_ACCESS, "write");
	G_EQ(vmread(F_QUAL) & 0xffff, 0x10b0, "qualification: write at 0xb0");
	/* A hypervisor skips the instruction by its length. */
	vmx_skip();
	G_EQ(vmread(F_RIP), (u64)c_write + 2, "RIP");
	G_EQ(vmx_run(), R_VMCALL, "L2 goes on");
}

#define V .flags = KSFT_VMX
static const struct ksft_test tests[] = {
	{ "CR8 without exits and without a shadow", .guest = guest_cr8, .flags = KSFT_VMX | KSFT_IRQCHIP },
	{ "TPR shadow and threshold", .guest = guest_shadow, .flags = KSFT_VMX | KSFT_IRQCHIP },
	{ "VTPR lowered behind the threshold", .guest = guest_lowered, V },
	{ "VTPR lowered with an APIC-access page, with EPT", .guest = guest_lowered_access, V, .arg = 1 },
	{ "VTPR lowered with an APIC-access page, without EPT", .guest = guest_lowered_access, V },
	{ "APIC-access page", .guest = guest_access_page, V },
	{ "APIC-access pages of two VMCSs", .guest = guest_access_pages, V },
	{ "APIC-access page outside memory, with EPT", .guest = guest_access_hole, V, .arg = 1 },
	{ "APIC-access page outside memory, without EPT", .guest = guest_access_hole, V },
	{ "pages outside memory", .guest = guest_holes, V },
};
KSFT_MAIN(tests)
