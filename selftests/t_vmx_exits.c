// SPDX-License-Identifier: GPL-2.0
/* L2 instructions that exit to L1 with exact exit information if a control is set, and do not exit otherwise. */
#include "vm.h"
#include "vmx.h"

#define CODE(name, text) \
extern char name[]; \
asm(".pushsection .text\n.globl " #name "\n" #name ":\n" text "\n" #name "_end:\n\tvmcall\n\tjmp " #name "\n.popsection\n")

/*
 * Each piece of L2 code is one instruction and a VMCALL. With the control set,
 * the instruction must exit. With it clear, if that is possible, the VMCALL
 * must.
 */
enum control { NONE, PROC, PROC2 };
struct row {
	const char *name;
	char *code;
	u8 control;
	u64 bit;
	u8 reason, ilen;
	u64 qual;
	u32 info, info_mask;	/* VM-exit instruction information */
	bool only_with;		/* not run without the control */
	u64 rax, rbx, rcx, rdx;	/* L2's registers */
};

CODE(c_cpuid, "cpuid");
CODE(c_hlt, "hlt");
CODE(c_rdtsc, "rdtsc");
CODE(c_rdtscp, "rdtscp");
CODE(c_rdpmc, "rdpmc");
CODE(c_pause, "pause");
CODE(c_invlpg, "invlpg 0x1234(%rbx)");
CODE(c_invd, "invd");
CODE(c_wbinvd, "wbinvd");
CODE(c_xsetbv, "xsetbv");
CODE(c_vmcall, "vmcall");
CODE(c_rdrand, "rdrand %rdx");
CODE(c_rdseed, "rdseed %r9");
CODE(c_monitor, "monitor");
CODE(c_mwait, "mwait");
CODE(c_movdr, "mov %rbx, %db2");
CODE(c_movdr2, "mov %db3, %r10");
CODE(c_cr3w, "mov %rbx, %cr3");
CODE(c_cr3r, "mov %cr3, %r11");
CODE(c_cr8w, "mov %rbx, %cr8");
CODE(c_cr8r, "mov %cr8, %rdx");
CODE(c_sgdt, "sgdt -16(%rsp)");
CODE(c_sidt, "sidt -16(%rsp)");
CODE(c_sldt, "sldt %ax");
CODE(c_str, "str %rdx");
CODE(c_lgdt, "lgdt (%rbx)");
CODE(c_lldt, "lldt %ax");
CODE(c_invpcid, "invpcid (%rbx), %rdx");
CODE(c_in, "in $0x70, %al");
CODE(c_outdx, "out %ax, %dx");
CODE(c_rdmsr, "rdmsr");
CODE(c_wrmsr, "wrmsr");
CODE(c_vmread, "vmread %rbx, %rcx");
CODE(c_vmwrite, "vmwrite %rbx, %rcx");
CODE(c_vmlaunch, "vmlaunch");
CODE(c_vmresume, "vmresume");
CODE(c_vmxoff, "vmxoff");
CODE(c_vmxon, "vmxon 8(%rsp)");
CODE(c_vmclear, "vmclear -8(%rsp)");
CODE(c_vmptrld, "vmptrld -8(%rsp)");
CODE(c_vmptrst, "vmptrst -8(%rsp)");
CODE(c_invept, "invept -16(%rsp), %rbx");
CODE(c_invvpid, "invvpid -16(%rsp), %rcx");

/* Instruction information: address size 64-bit is 2 in bits 9:7, no segment override: SS is 2, DS is 3. */
#define ADDR64 (2u << 7)
#define SEG(n) ((u32)(n) << 15)
#define BASE(n) ((u32)(n) << 23)
#define NO_INDEX BIT(22)
#define REG2(n) ((u32)(n) << 28)
#define MEM_RSP (ADDR64 | SEG(2) | NO_INDEX | BASE(4))
#define MEM_MASK (BIT(10) | 7u << 7 | 7u << 15 | NO_INDEX | BIT(27) | 0xfu << 23)

static const struct row rows[] = {
	{ "CPUID", c_cpuid, NONE, 0, R_CPUID, 2, .rax = 1 },
	{ "HLT", c_hlt, PROC, PROC_HLT, R_HLT, 1, .only_with = true },
	{ "RDTSC", c_rdtsc, PROC, PROC_RDTSC, R_RDTSC, 2 },
	{ "RDPMC", c_rdpmc, PROC, PROC_RDPMC, R_RDPMC, 2, .only_with = true },
	{ "PAUSE", c_pause, PROC, PROC_PAUSE, R_PAUSE, 2 },
	{ "INVLPG", c_invlpg, PROC, PROC_INVLPG, R_INVLPG, 7, .qual = 0x801234, .rbx = 0x800000 },
	{ "INVD", c_invd, NONE, 0, R_INVD, 2 },
	{ "XSETBV", c_xsetbv, NONE, 0, R_XSETBV, 3, .rcx = 0, .rax = 3 },
	{ "VMCALL", c_vmcall, NONE, 0, R_VMCALL, 3 },
	{ "MONITOR", c_monitor, PROC, PROC_MONITOR, R_MONITOR, 3, .only_with = true },
	{ "MWAIT", c_mwait, PROC, PROC_MWAIT, R_MWAIT, 3, .only_with = true },
	{ "MOV to DR2", c_movdr, PROC, PROC_DR, R_DR, 3, .qual = 2 | 3 << 8 },
	{ "MOV from DR3", c_movdr2, PROC, PROC_DR, R_DR, 4, .qual = 3 | BIT(4) | 10 << 8 },
	{ "MOV to CR3", c_cr3w, PROC, PROC_CR3_LOAD, R_CR, 3, .qual = 3 | 3 << 8, .rbx = PAGE_TABLES },
	{ "MOV from CR3", c_cr3r, PROC, PROC_CR3_STORE, R_CR, 4, .qual = 3 | 1 << 4 | 11 << 8 },
	{ "MOV to CR8", c_cr8w, PROC, PROC_CR8_LOAD, R_CR, 4, .qual = 8 | 3 << 8, .only_with = true },
	{ "MOV from CR8", c_cr8r, PROC, PROC_CR8_STORE, R_CR, 4, .qual = 8 | 1 << 4 | 2 << 8, .only_with = true },
	{ "IN imm", c_in, PROC, PROC_IO, R_IO, 2, .qual = 0x70ul << 16 | BIT(6) | BIT(3), .only_with = true },
	{ "OUT DX", c_outdx, PROC, PROC_IO, R_IO, 2, .qual = 0x1234ul << 16 | 1, .rdx = 0x1234, .only_with = true },
	{ "RDMSR without bitmaps", c_rdmsr, NONE, 0, R_RDMSR, 2, .rcx = MSR_PAT },
	{ "WRMSR without bitmaps", c_wrmsr, NONE, 0, R_WRMSR, 2, .rcx = MSR_PAT },
	{ "SGDT", c_sgdt, PROC2, SEC_DESC, R_GDTR_IDTR, 5, .qual = -16, .info = MEM_RSP, .info_mask = MEM_MASK | 3u << 28 },
	{ "SIDT", c_sidt, PROC2, SEC_DESC, R_GDTR_IDTR, 5, .qual = -16, .info = MEM_RSP | 1u << 28, .info_mask = MEM_MASK | 3u << 28 },
	{ "SLDT", c_sldt, PROC2, SEC_DESC, R_LDTR_TR, 4, .info = BIT(10), .info_mask = BIT(10) | 0xfu << 3 | 3u << 28, },
	{ "STR", c_str, PROC2, SEC_DESC, R_LDTR_TR, 3, .info = BIT(10) | 2 << 3 | 1u << 28, .info_mask = BIT(10) | 0xfu << 3 | 3u << 28 },
	{ "LGDT", c_lgdt, PROC2, SEC_DESC, R_GDTR_IDTR, 3, .info = ADDR64 | SEG(3) | NO_INDEX | BASE(3) | 2u << 28, .info_mask = MEM_MASK | 3u << 28, .only_with = true },
	{ "LLDT", c_lldt, PROC2, SEC_DESC, R_LDTR_TR, 3, .info = BIT(10) | 2u << 28, .info_mask = BIT(10) | 0xfu << 3 | 3u << 28 },
	{ "WBINVD", c_wbinvd, PROC2, SEC_WBINVD, R_WBINVD, 2 },
	{ "RDRAND", c_rdrand, PROC2, SEC_RDRAND, R_RDRAND, 4, .info = 2 << 3 | 2 << 11, .info_mask = 0xfu << 3 | 3 << 11 },
	{ "RDSEED", c_rdseed, PROC2, SEC_RDSEED, R_RDSEED, 4, .info = 9 << 3 | 2 << 11, .info_mask = 0xfu << 3 | 3 << 11 },
	{ "VMREAD", c_vmread, NONE, 0, R_VMREAD, 3, .info = BIT(10) | 1 << 3 | REG2(3), .info_mask = BIT(10) | 0xfu << 3 | 0xfu << 28 },
	{ "VMWRITE", c_vmwrite, NONE, 0, R_VMWRITE, 3, .info = BIT(10) | 3 << 3 | REG2(1), .info_mask = BIT(10) | 0xfu << 3 | 0xfu << 28 },
	{ "VMLAUNCH", c_vmlaunch, NONE, 0, R_VMLAUNCH, 3 },
	{ "VMRESUME", c_vmresume, NONE, 0, R_VMRESUME, 3 },
	{ "VMXOFF", c_vmxoff, NONE, 0, R_VMXOFF, 3 },
	{ "VMXON", c_vmxon, NONE, 0, R_VMXON, 6, .qual = 8, .info = MEM_RSP, .info_mask = MEM_MASK },
	{ "VMCLEAR", c_vmclear, NONE, 0, R_VMCLEAR, 6, .qual = -8, .info = MEM_RSP, .info_mask = MEM_MASK },
	{ "VMPTRLD", c_vmptrld, NONE, 0, R_VMPTRLD, 5, .qual = -8, .info = MEM_RSP, .info_mask = MEM_MASK },
	{ "VMPTRST", c_vmptrst, NONE, 0, R_VMPTRST, 5, .qual = -8, .info = MEM_RSP, .info_mask = MEM_MASK },
	{ "INVEPT", c_invept, NONE, 0, R_INVEPT, 7, .qual = -16, .info = MEM_RSP | REG2(3), .info_mask = MEM_MASK | 0xfu << 28 },
	{ "INVVPID", c_invvpid, NONE, 0, R_INVVPID, 7, .qual = -16, .info = MEM_RSP | REG2(1), .info_mask = MEM_MASK | 0xfu << 28 },
};

static void set_regs(const struct row *r)
{
	l2 = (struct l2_regs) { .rax = r->rax, .rbx = r->rbx, .rcx = r->rcx, .rdx = r->rdx };
	vmwrite(F_RIP, (u64)r->code);
}

static bool control(const struct row *r, bool on)
{
	u32 field = r->control == PROC2 ? F_PROC2 : F_PROC;

	if (r->control == NONE)
		return true;
	if (!ctl_has(field, r->bit))
		return false;
	if (r->control == PROC2)
		vmset(F_PROC, PROC_SECONDARY);
	if (on)
		vmset(field, r->bit);
	else
		vmclr(field, r->bit);
	return true;
}

/* L2's CPUID must have the instruction: without support, RDRAND raises #UD and does not exit. */
static bool has(const struct row *r)
{
	if (r->reason == R_RDRAND)
		return CPUID_REG(1, 0, c) & BIT(30);
	if (r->reason == R_RDSEED)
		return CPUID_REG(7, 0, b) & BIT(18);
	if (r->reason == R_XSETBV)
		return CPUID_REG(1, 0, c) & BIT(26);
	if (r->reason == R_MONITOR || r->reason == R_MWAIT)
		return CPUID_REG(1, 0, c) & BIT(3);
	if (r->reason == R_INVEPT)
		return ept_caps();
	if (r->reason == R_INVVPID)
		return ctl_has(F_PROC2, SEC_VPID);
	return true;
}

static void guest_rows(void)
{
	u64 i, rsp;

	vmx_enable();
	if (CPUID_REG(1, 0, c) & BIT(26))
		write_cr4(read_cr4() | CR4_OSXSAVE);
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct row *r = &rows[i];

		vmcs_new((void (*)(void))(u64)r->code);
		if (!has(r) || !control(r, true))
			continue;
		set_regs(r);
		rsp = vmread(F_RSP);
		G_EQN(vmx_run(), r->reason, r->name, i);
		if (vmread(F_REASON) != r->reason) {
			g_diag("interruption information %llx, RIP %llx", vmread(F_INTR_INFO), vmread(F_RIP));
			continue;
		}
		G_EQN(vmread(F_RIP), (u64)r->code, "RIP at the instruction", i);
		G_EQN(vmread(F_ILEN), r->ilen, "instruction length", i);
		/* A register operand has no displacement for the qualification to hold. */
		if (!(r->info & BIT(10)))
			G_EQN(vmread(F_QUAL), r->qual, "qualification", i);
		if (r->info_mask)
			G_EQN(vmread(F_INSN_INFO) & r->info_mask, r->info, "instruction information", i);
		G_EQN(vmread(F_INTR_INFO) >> 31, 0, "no interruption", i);
		G_EQN(vmread(F_IDT_INFO) >> 31, 0, "no vectoring", i);
		G_EQN(vmread(F_RSP), rsp, "RSP", i);
		G_EQN(l2.rax, r->rax, "RAX", i);
		G_EQN(l2.rcx, r->rcx, "RCX", i);
		if (r->control == NONE || r->only_with)
			continue;
		/* The same VMCS without the control. */
		control(r, false);
		G_EQN(vmx_run(), R_VMCALL, r->name, i);
		G_EQN(vmread(F_RIP), (u64)r->code + r->ilen, "RIP after the instruction", i);
	}
}

/* RDTSCP and INVPCID are #UD in L2 until their controls allow them. */
static void guest_enabled(void)
{
	static const struct {
		char *code;
		u64 bit;
		u8 cpuid_ok, proc_bit;
		u8 reason;
	} e[] = {
		{ c_rdtscp, SEC_RDTSCP, 0, 12, R_RDTSCP },
		{ c_invpcid, SEC_INVPCID, 1, 9, R_INVPCID },
	};
	u64 i;
	static struct inv_desc d;

	for (i = 0; i < ARRAY_SIZE(e); i++) {
		vmcs_new((void (*)(void))(u64)e[i].code);
		vmwrite(F_EXCEPTION_BITMAP, BIT(VEC_UD));
		l2.rbx = (u64)&d;
		l2.rdx = 2;
		G_EQN(vmx_run(), R_EXCEPTION, "#UD without the control", i);
		G_EQN(vmread(F_INTR_INFO), 0x80000306, "interruption information", i);
		if (!ctl_has(F_PROC, PROC_SECONDARY) || !ctl_has(F_PROC2, e[i].bit))
			continue;
		vmset(F_PROC, PROC_SECONDARY);
		vmset(F_PROC2, e[i].bit);
		G_EQN(vmx_run(), R_VMCALL, "works with the control", i);
		vmwrite(F_RIP, (u64)e[i].code);
		if (!ctl_has(F_PROC, BIT(e[i].proc_bit)))
			continue;
		vmset(F_PROC, BIT(e[i].proc_bit));
		G_EQN(vmx_run(), e[i].reason, "exits", i);
	}
}

/* HLT in L2 without HLT exiting is tested in t_vmx_events. */

/* --- CR0 and CR4: masks and shadows (SDM 3C 26.1.3, 26.3) --- */

CODE(c_cr0w, "mov %rbx, %cr0");
CODE(c_cr0r, "mov %cr0, %rbx");
CODE(c_cr4w, "mov %rbx, %cr4");
CODE(c_cr4r, "mov %cr4, %rbx");
CODE(c_clts, "clts");
CODE(c_lmsw, "lmsw %bx");
CODE(c_lmswm, "lmsw (%rbx)");
CODE(c_smsw, "smsw %rbx");

static u64 step(char *code, u64 rbx)
{
	vmwrite(F_RIP, (u64)code);
	l2.rbx = rbx;
	return vmx_run();
}

static void guest_cr0(void)
{
	u64 cr0;
	static u16 msw;

	vmcs_new((void (*)(void))(u64)c_cr0w);
	cr0 = vmread(F_GUEST_CR0);
	/* With no masked bits, L2 may change any bit. */
	G_EQ(step(c_cr0w, cr0 ^ CR0_TS), R_VMCALL, "MOV to CR0, no mask");
	G_EQ(vmread(F_GUEST_CR0), cr0 ^ CR0_TS, "guest CR0");
	G_EQ(step(c_cr0w, cr0 ^ CR0_AM), R_VMCALL, "MOV to CR0, no mask");
	G_EQ(vmread(F_GUEST_CR0), cr0 ^ CR0_AM, "guest CR0");
	step(c_cr0w, cr0);
	/* With TS and CD masked. */
	vmwrite(F_CR0_MASK, CR0_TS | CR0_CD);
	vmwrite(F_CR0_SHADOW, CR0_CD);
	G_EQ(step(c_cr0r, 0), R_VMCALL, "MOV from CR0 does not exit");
	G_EQ(l2.rbx, cr0 | CR0_CD, "masked bits come from the shadow");
	G_EQ(step(c_smsw, 0), R_VMCALL, "SMSW does not exit");
	G_EQ(l2.rbx & 0xffff, cr0 & 0xffff, "SMSW");
	G_EQ(step(c_cr0w, (cr0 | CR0_CD) ^ CR0_WP), R_VMCALL, "no masked bit differs from the shadow");
	G_EQ(vmread(F_GUEST_CR0), cr0 ^ CR0_WP, "masked bits are unchanged, others change");
	step(c_cr0w, cr0 | CR0_CD);
	G_EQ(step(c_cr0w, cr0), R_CR, "CD differs from the shadow");
	G_EQ(vmread(F_QUAL), 3 << 8, "qualification: MOV to CR0 from RBX");
	G_EQ(step(c_cr0w, cr0 | CR0_CD | CR0_TS), R_CR, "TS differs from the shadow");
	/* CLTS: exits if TS is masked and set in the shadow (table 26-1 ff). */
	G_EQ(step(c_clts, 0), R_VMCALL, "CLTS, TS masked and clear in the shadow");
	vmwrite(F_CR0_SHADOW, CR0_CD | CR0_TS);
	G_EQ(step(c_clts, 0), R_CR, "CLTS, TS masked and set in the shadow");
	G_EQ(vmread(F_QUAL), 2 << 4, "qualification: CLTS");
	G_EQ(vmread(F_ILEN), 2, "length");
	G_EQ(step(c_lmsw, 0x3), R_CR, "LMSW that clears a masked TS");
	G_EQ(vmread(F_QUAL), 3 << 4 | 0x3ul << 16, "qualification: LMSW");
	msw = 0x1;
	G_EQ(step(c_lmswm, (u64)&msw), R_CR, "LMSW from memory");
	G_EQ(vmread(F_QUAL), 3 << 4 | 1 << 6 | 0x1ul << 16, "qualification: LMSW from memory");
	G_EQ(vmread(F_LINEAR), (u64)&msw, "linear address of LMSW's operand");
	vmwrite(F_CR0_MASK, 0);
	vmset(F_GUEST_CR0, CR0_TS);
	G_EQ(step(c_clts, 0), R_VMCALL, "CLTS, no mask");
	G_EQ(vmread(F_GUEST_CR0) & CR0_TS, 0, "TS");
	G_EQ(step(c_lmsw, 0xf & ~4), R_VMCALL, "LMSW, no mask");
	G_EQ(vmread(F_GUEST_CR0) & CR0_TS, CR0_TS, "TS set by LMSW");
}

static void guest_cr4(void)
{
	u64 cr4;

	vmcs_new((void (*)(void))(u64)c_cr4w);
	cr4 = vmread(F_GUEST_CR4);
	G_EQ(step(c_cr4w, cr4 ^ CR4_TSD), R_VMCALL, "MOV to CR4, no mask");
	G_EQ(vmread(F_GUEST_CR4), cr4 ^ CR4_TSD, "guest CR4");
	G_EQ(step(c_cr4w, cr4 ^ CR4_PGE), R_VMCALL, "MOV to CR4, no mask");
	G_EQ(vmread(F_GUEST_CR4), cr4 ^ CR4_PGE, "guest CR4");
	step(c_cr4w, cr4);
	vmwrite(F_CR4_MASK, CR4_VMXE | CR4_PGE);
	vmwrite(F_CR4_SHADOW, CR4_PGE);
	G_EQ(step(c_cr4r, 0), R_VMCALL, "MOV from CR4");
	G_EQ(l2.rbx, (cr4 & ~CR4_VMXE) | CR4_PGE, "masked bits come from the shadow");
	G_EQ(step(c_cr4w, ((cr4 & ~CR4_VMXE) | CR4_PGE) ^ CR4_DE), R_VMCALL, "no masked bit differs");
	G_EQ(vmread(F_GUEST_CR4), cr4 ^ CR4_DE, "guest CR4");
	G_EQ(step(c_cr4w, cr4 | CR4_PGE), R_CR, "VMXE differs from the shadow");
	G_EQ(vmread(F_QUAL), 4 | 3 << 8, "qualification: MOV to CR4 from RBX");
	G_EQ(vmread(F_ILEN), 3, "length");
	/* With no masked bits, an invalid value faults in L2. */
	vmwrite(F_CR4_MASK, 0);
	vmwrite(F_EXCEPTION_BITMAP, BIT(VEC_GP));
	G_EQ(step(c_cr4w, cr4 | BIT(15)), R_EXCEPTION, "reserved bit");
	G_EQ(vmread(F_INTR_INFO), 0x80000b0d, "#GP");
	G_EQ(vmread(F_INTR_ERROR), 0, "#GP(0)");
	G_EQ(step(c_cr4w, cr4 & ~CR4_PAE), R_EXCEPTION, "PAE cleared in long mode");
	G_EQ(step(c_cr0w, vmread(F_GUEST_CR0) & ~CR0_PG), R_EXCEPTION, "PG cleared in 64-bit mode");
	G_EQ(step(c_cr0w, vmread(F_GUEST_CR0) & ~CR0_NE), R_EXCEPTION, "NE is fixed in VMX operation");
	G_EQ(step(c_cr4w, cr4 & ~CR4_VMXE), R_EXCEPTION, "VMXE is fixed in VMX operation");
}

static void guest_cr3_targets(void)
{
	u64 cr3 = read_cr3(), other = (u64)g_page();

	g_copy((void *)other, (void *)cr3, 4096);
	vmcs_new((void (*)(void))(u64)c_cr3w);
	if ((rdmsr(MSR_VMX_MISC) >> 16 & 0x1ff) < 2)
		g_skip("no CR3 targets");
	need(F_PROC, PROC_CR3_LOAD, "no CR3-load exiting");
	vmwrite(F_CR3_TARGET0, other);
	vmwrite(F_CR3_TARGET1, cr3);
	vmwrite(F_CR3_TARGETS, 1);
	G_EQ(step(c_cr3w, other), R_VMCALL, "target 0");
	G_EQ(vmread(F_GUEST_CR3), other, "CR3");
	G_EQ(step(c_cr3w, cr3), R_CR, "target 1 does not count");
	vmwrite(F_CR3_TARGETS, 2);
	G_EQ(step(c_cr3w, cr3), R_VMCALL, "target 1");
	G_EQ(vmread(F_GUEST_CR3), cr3, "CR3");
	G_EQ(step(c_cr3w, 0x5000), R_CR, "no target");
	/* L0 executes the loads of targets that the processor does not have. */
	if ((rdmsr(MSR_VMX_MISC) >> 16 & 0x1ff) < 4)
		return;
	vmwrite(F_CR3_TARGET0, 0x5000);
	vmwrite(F_CR3_TARGET1, 0x5000);
	vmwrite(F_CR3_TARGET2, other);
	vmwrite(F_CR3_TARGET3, cr3);
	vmwrite(F_CR3_TARGETS, 3);
	G_EQ(step(c_cr3w, other), R_VMCALL, "target 2");
	G_EQ(vmread(F_GUEST_CR3), other, "CR3");
	G_EQ(step(c_cr3w, cr3), R_CR, "target 3 does not count");
	vmwrite(F_CR3_TARGETS, 4);
	G_EQ(step(c_cr3w, cr3), R_VMCALL, "target 3");
	G_EQ(vmread(F_GUEST_CR3), cr3, "CR3");
}

#define V .flags = KSFT_VMX
static const struct ksft_test tests[] = {
	{ "instructions and their exit information", .guest = guest_rows, V },
	{ "RDTSCP and INVPCID", .guest = guest_enabled, V },
	{ "CR0: mask, shadow, CLTS, LMSW", .guest = guest_cr0, V },
	{ "CR4: mask, shadow, faults", .guest = guest_cr4, V },
	{ "CR3 targets", .guest = guest_cr3_targets, V },
};
KSFT_MAIN(tests)
