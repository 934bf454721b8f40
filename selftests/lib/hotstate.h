/* SPDX-License-Identifier: GPL-2.0 */
/* What an L1 and its L2 can change in their own state between two reflections: for t_vmx_hot. */
#ifndef HOTSTATE_H
#define HOTSTATE_H

#include "hotrows.h"

#define LOAD(reg, sel)	asm volatile("mov %0, %%" reg : : "r" ((u32)(sel)) : "memory")

/* --- L2: called in L2 --- */

/* What L2 changes before each CPUID: bits of @l2_flips. */
#define FLIP_CR		BIT(0)	/* CR0.TS and CR4.TSD */
#define FLIP_CR3	BIT(1)
#define FLIP_SS		BIT(2)
#define FLIP_STI	BIT(3)	/* CPUID is blocked by STI */
#define FLIP_UD		BIT(4)	/* another exit first: an exception */
#define FLIP_DR		BIT(5)	/* another exit first: one with an exit qualification */
#define FLIP_HLT	BIT(6)

static volatile u64 l2_flips, l2_cr3[2];

static void l2_flip(u64 flips, u64 turn)
{
	if (flips & FLIP_CR) {
		write_cr0(read_cr0() ^ CR0_TS);
		write_cr4(read_cr4() ^ CR4_TSD);
	}
	if (flips & FLIP_CR3)
		write_cr3(l2_cr3[turn & 1]);
	if (flips & FLIP_SS)
		LOAD("ss", turn & 1 ? 0 : SEL_DS);
	if (flips & FLIP_HLT)
		asm volatile("hlt");
	if (flips & FLIP_UD)
		asm volatile("ud2");
	if (flips & FLIP_DR)
		read_dr7();
	/* Back, so that the values at CPUID are always the same. */
	if ((flips & FLIP_CR) && (flips & FLIP_UD)) {
		write_cr0(read_cr0() ^ CR0_TS);
		write_cr4(read_cr4() ^ CR4_TSD);
	}
	if (flips & FLIP_STI)
		asm volatile("sti; cpuid; cli" : : "a" (0), "c" (0) : "rbx", "rdx", "memory");
}

/* --- L1: called in L1 --- */

static void c_data(void)
{
	LOAD("ds", SEL_DS);
	LOAD("es", SEL_UDS);
	LOAD("fs", SEL_DS);
	LOAD("gs", SEL_UDS);
}

static void c_ds(void)		{ LOAD("ds", SEL_DS); }
static void c_es(void)		{ LOAD("es", SEL_DS); }
static void c_fs(void)		{ LOAD("fs", SEL_DS); }
static void c_gs(void)		{ LOAD("gs", SEL_DS); }

static void c_data_and_back(void)
{
	c_data();
	LOAD("ds", 0);
	LOAD("es", 0);
	LOAD("fs", 0);
	LOAD("gs", 0);
}

static void c_bases(void)
{
	wrmsr(MSR_FS_BASE, 0x123450);
	wrmsr(MSR_GS_BASE, 0x543210);
	wrmsr(MSR_KERNEL_GS_BASE, 0x777000);
	asm volatile("swapgs");
}

static void c_ss(void)
{
	LOAD("ss", 0);
}

/* The descriptor of @sel in L1's GDT. SGDT would change what L0 knows of L1. */
static u64 *descriptor(u64 sel)
{
	return (u64 *)(vmread(F_HOST_GDTR_BASE) + sel);
}

/* Loads SS with the same selector, but another descriptor. */
static void change_ss(u64 d)
{
	u64 old = *descriptor(SEL_DS);

	*descriptor(SEL_DS) = d;
	LOAD("ss", SEL_DS);
	*descriptor(SEL_DS) = old;
}

static void c_ss_base(void)
{
	change_ss(0x00cf93123000ffff);
}

static void c_ss_limit(void)
{
	change_ss(0x00cf930000000fff);
}

/* The bit that is available to software. */
static void c_ss_rights(void)
{
	change_ss(0x00df93000000ffff);
}

/* Loads CS by a far return. */
static void change_cs(u64 sel)
{
	asm volatile("push %0; lea 1f(%%rip), %%rax; push %%rax; lretq; 1:" : : "r" (sel) : "rax", "memory");
}

static void c_cs(void)
{
	u64 old = *descriptor(SEL_CS16);

	*descriptor(SEL_CS16) = *descriptor(SEL_CS64);
	change_cs(SEL_CS16);
	*descriptor(SEL_CS16) = old;
}

/* CS with the same selector, but execute-only. */
static void c_cs_rights(void)
{
	u64 old = *descriptor(SEL_CS64);

	*descriptor(SEL_CS64) = 0x00af99000000ffff;
	change_cs(SEL_CS64);
	*descriptor(SEL_CS64) = old;
}

static void c_tables(void)
{
	struct dtr gdt, idt;
	u8 *busy;

	sgdt(&gdt);
	gdt.limit -= 8;
	asm volatile("lgdt %0" : : "m" (gdt));
	sidt(&idt);
	idt.limit -= 16;
	lidt(&idt);
	busy = (u8 *)gdt.base + SEL_TSS + 5;
	*busy &= ~2;
	asm volatile("ltr %0" : : "r" ((u16)SEL_TSS) : "memory");
	asm volatile("lldt %0" : : "r" ((u16)0));
}

static void c_syscall(void)
{
	wrmsr(MSR_STAR, rdmsr(MSR_STAR) + (1ul << 32));
	wrmsr(MSR_LSTAR, rdmsr(MSR_LSTAR) + 0x1000);
	wrmsr(MSR_FMASK, rdmsr(MSR_FMASK) ^ 0x40000);
}

static void c_sysenter(void)
{
	wrmsr(MSR_SYSENTER_CS, 0x123);
	wrmsr(MSR_SYSENTER_ESP, 0x456000);
	wrmsr(MSR_SYSENTER_EIP, 0x789000);
}

static void c_cr0(void)
{
	write_cr0(read_cr0() ^ (CR0_WP | CR0_AM | CR0_TS));
}

static void c_cd(void)
{
	write_cr0(read_cr0() ^ CR0_CD);
}

static void c_cr4(void)
{
	write_cr4(read_cr4() ^ (CR4_TSD | CR4_PGE | CR4_DE));
}

static void c_cr3(void)
{
	u64 *copy = g_page();

	g_copy(copy, (void *)(read_cr3() & ~0xffful), 4096);
	write_cr3((u64)copy);
}

static void c_dr7(void)
{
	write_dr0(0x1000);
	write_dr7(0x402);
}

static void c_debugctl(void)
{
	wrmsr(MSR_DEBUGCTL, 2);
}

static void c_pat(void)
{
	wrmsr(MSR_PAT, rdmsr(MSR_PAT) ^ 0x0600000000000000ul);
}

static void c_efer(void)
{
	wrmsr(MSR_EFER, rdmsr(MSR_EFER) ^ EFER_SCE);
}

static void c_sti(void)
{
	asm volatile("sti");
}

static void c_tsc(void)
{
	wrmsr(MSR_TSC, rdtsc() + 0x1000000000ul);
}

/* VMWRITEs of L2's state, of L1's at exits, and of controls. */
static void w_rare(void)	{ vmwrite(F_FS_BASE, 0x55000); vmwrite(F_GUEST_SYSENTER_EIP, 0x66000); }
static void w_rflags(void)	{ vmset(F_RFLAGS, RFLAGS_CF | BIT(10)); }
static void w_rsp(void)		{ vmwrite(F_RSP, vmread(F_RSP) - 0x100); }
static void w_blocking(void)	{ vmset(F_RFLAGS, RFLAGS_IF); vmwrite(F_INTERRUPTIBILITY, BIT(0)); }
static void w_vnmi_blocking(void) { vmwrite(F_INTERRUPTIBILITY, BIT(3)); }
static void w_vpid(void)	{ vmwrite(F_VPID, 6); }
static void w_no_vpid(void)	{ vmclr(F_PROC2, SEC_VPID); }
static void w_tsc_offset(void)	{ vmwrite(F_TSC_OFFSET, 0x100000); }
static void w_no_vnmi(void)	{ vmclr(F_PIN, PIN_VNMI); }
static void w_no_secondary(void) { vmclr(F_PROC, PROC_SECONDARY); }
static void w_bad_rip(void)	{ vmwrite(F_RIP, 0x8000000000000000ul); }
static void w_bad_rflags(void)	{ vmwrite(F_RFLAGS, 0x8002); }
static void w_vm86(void)	{ vmset(F_RFLAGS, BIT(17)); }	/* not allowed in IA-32e mode */
static void w_guest_dr7(void)	{ vmwrite(F_GUEST_DR7, 0x10400); }
static void w_guest_debugctl(void) { vmwrite(F_GUEST_DEBUGCTL, 2); }
static void w_proc(void)	{ vmset(F_PROC, PROC_RDTSC | PROC_DR | PROC_HLT); }
static void w_exceptions(void)	{ vmwrite(F_EXCEPTION_BITMAP, BIT(VEC_GP)); }
static void w_cr0_mask(void)	{ vmwrite(F_CR0_MASK, CR0_TS | CR0_WP); vmwrite(F_CR0_SHADOW, CR0_TS); }
static void w_cr4_mask(void)	{ vmwrite(F_CR4_MASK, CR4_TSD | CR4_DE); vmwrite(F_CR4_SHADOW, CR4_DE); }
static void w_cr0(void)		{ vmwrite(F_GUEST_CR0, vmread(F_GUEST_CR0) ^ CR0_AM); }
static void w_cr4(void)		{ vmwrite(F_GUEST_CR4, vmread(F_GUEST_CR4) ^ CR4_TSD); }
static void w_cr3(void)		{ u64 *copy = g_page(); g_copy(copy, (void *)(read_cr3() & ~0xffful), 4096); vmwrite(F_GUEST_CR3, (u64)copy); }
static void w_host_cr3(void)	{ u64 *copy = g_page(); g_copy(copy, (void *)(read_cr3() & ~0xffful), 4096); vmwrite(F_HOST_CR3, (u64)copy); }
static void w_host_cr4(void)	{ vmwrite(F_HOST_CR4, vmread(F_HOST_CR4) ^ (CR4_PGE | CR4_DE)); }
static void w_host_bases(void)	{ vmwrite(F_HOST_FS_BASE, 0x11000); vmwrite(F_HOST_GS_BASE, 0x22000); }
static void w_host_sysenter(void) { vmwrite(F_HOST_SYSENTER_EIP, 0x33000); vmwrite(F_HOST_SYSENTER_CS, 0x44); }
static void w_host_pat(void)	{ vmwrite(F_HOST_PAT, vmread(F_HOST_PAT) ^ 0x0600000000000000ul); }
static void w_host_efer(void)	{ vmwrite(F_HOST_EFER, vmread(F_HOST_EFER) ^ EFER_SCE); }
static void w_no_host_pat(void)	{ vmclr(F_EXIT_CTLS, EXIT_LOAD_PAT); }
static void w_guest_pat(void)	{ vmwrite(F_GUEST_PAT, vmread(F_GUEST_PAT) ^ 0x0600000000000000ul); }
static void w_guest_efer(void)	{ vmwrite(F_GUEST_EFER, vmread(F_GUEST_EFER) ^ EFER_SCE); }
static void w_no_debug(void)	{ vmclr(F_ENTRY_CTLS, ENTRY_LOAD_DEBUG); }
static void w_no_ept(void)	{ vmclr(F_PROC2, SEC_EPT); }

#endif
