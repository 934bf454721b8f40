// SPDX-License-Identifier: GPL-2.0
/* I/O bitmaps, MSR bitmaps, the exception bitmap, MSR load and store lists. */
#include "vm.h"
#include "vmx.h"

#define CODE(name, text) \
extern char name[]; \
asm(".pushsection .text\n.globl " #name "\n" #name ":\n" text "\n\tvmcall\n.popsection\n")

static void start(char *code)
{
	vmcs_new((void (*)(void))(u64)code);
}

static u64 step(char *code)
{
	vmwrite(F_RIP, (u64)code);
	return vmx_run();
}

/* --- I/O --- */

CODE(c_outb, "out %al, %dx");
CODE(c_inl, "in %dx, %eax");
CODE(c_outw, "out %ax, %dx");
CODE(c_inb_imm, "in $0x61, %al");
CODE(c_rep_outsb, "rep outsb");
CODE(c_insw, "insw");
CODE(c_outs_fs, "fs outsl");

static u64 out(char *code, u16 port)
{
	l2.rdx = port;
	return step(code);
}

static void set_bit(void *map, u32 n)
{
	((u8 *)map)[n / 8] |= 1 << n % 8;
}

static void clear_bit(void *map, u32 n)
{
	((u8 *)map)[n / 8] &= ~(1 << n % 8);
}

#define IO_QUAL(port, size, in, string, rep, imm) \
	((u64)(port) << 16 | (imm) << 6 | (rep) << 5 | (string) << 4 | (in) << 3 | ((size) - 1))

/* The host side of this test answers all port exits that reach user space. */
static void guest_io(void)
{
	u8 *a = g_page(), *b = g_page();

	start(c_outb);
	need(F_PROC, PROC_IO_BITMAPS, "no I/O bitmaps");
	vmwrite(F_IO_BITMAP_A, (u64)a);
	vmwrite(F_IO_BITMAP_B, (u64)b);
	set_bit(a, 0x80);
	set_bit(b, 0x9000 - 0x8000);
	set_bit(a, 0x7fff);
	G_EQ(out(c_outb, 0x80), R_IO, "port of bitmap A");
	G_EQ(vmread(F_QUAL), IO_QUAL(0x80, 1, 0, 0, 0, 0), "qualification");
	G_EQ(vmread(F_ILEN), 1, "length");
	G_EQ(out(c_outb, 0x81), R_VMCALL, "another port");
	G_EQ(out(c_outw, 0x7f), R_IO, "a word whose second byte is the port");
	G_EQ(vmread(F_QUAL), IO_QUAL(0x7f, 2, 0, 0, 0, 0), "qualification");
	G_EQ(out(c_inl, 0x7d), R_IO, "a doubleword whose last byte is the port");
	G_EQ(out(c_inl, 0x7c), R_VMCALL, "a doubleword that ends before the port");
	G_EQ(out(c_outb, 0x9000), R_IO, "port of bitmap B");
	G_EQ(out(c_outb, 0x1000), R_VMCALL, "the same bit of bitmap A");
	G_EQ(out(c_outw, 0x7fff), R_IO, "across the bitmaps");
	clear_bit(a, 0x7fff);
	set_bit(b, 0);
	G_EQ(out(c_outw, 0x7fff), R_IO, "across the bitmaps");
	clear_bit(b, 0);
	G_EQ(out(c_outw, 0x7fff), R_VMCALL, "across the bitmaps");
	G_EQ(out(c_outw, 0xffff), R_IO, "an access that wraps always exits");
	set_bit(a, 0x61);
	G_EQ(out(c_inb_imm, 0), R_IO, "immediate port");
	G_EQ(vmread(F_QUAL), IO_QUAL(0x61, 1, 1, 0, 0, 1), "qualification");
	clear_bit(a, 0x80);
	G_EQ(out(c_outb, 0x80), R_VMCALL, "the bitmap changed between two entries");
	set_bit(a, 0x80);
	/* String instructions. */
	l2.rsi = (u64)a;
	l2.rcx = 5;
	G_EQ(out(c_rep_outsb, 0x80), R_IO, "REP OUTSB");
	G_EQ(vmread(F_QUAL), IO_QUAL(0x80, 1, 0, 1, 1, 0), "qualification");
	G_EQ(vmread(F_LINEAR), (u64)a, "linear address");
	G_EQ(vmread(F_ILEN), 2, "length");
	if (rdmsr(MSR_VMX_BASIC) & 1ul << 54)
		G_EQ(vmread(F_INSN_INFO) & (7 << 7 | 7 << 15), 2 << 7 | 3 << 15, "instruction information: 64-bit, DS");
	l2.rdi = (u64)b;
	G_EQ(out(c_insw, 0x80), R_IO, "INSW");
	G_EQ(vmread(F_QUAL), IO_QUAL(0x80, 2, 1, 1, 0, 0), "qualification");
	G_EQ(vmread(F_LINEAR), (u64)b, "linear address");
	vmwrite(F_FS_BASE, 0x1000);
	l2.rsi = (u64)a;
	G_EQ(out(c_outs_fs, 0x80), R_IO, "OUTS with FS");
	G_EQ(vmread(F_LINEAR), (u64)a + 0x1000, "linear address with FS");
	if (rdmsr(MSR_VMX_BASIC) & 1ul << 54)
		G_EQ(vmread(F_INSN_INFO) >> 15 & 7, 4, "instruction information: FS");
	/* With I/O bitmaps, "unconditional I/O exiting" is ignored. */
	vmset(F_PROC, PROC_IO);
	G_EQ(out(c_outb, 0x81), R_VMCALL, "I/O bitmaps override unconditional exiting");
	vmclr(F_PROC, PROC_IO_BITMAPS);
	G_EQ(out(c_outb, 0x81), R_IO, "unconditional exiting");
}

static void host_io(void)
{
	struct vm vm;
	struct vcpu *vcpu;
	u64 kind;

	vm_create(&vm, 0);
	if (!vm_has_vmx(&vm))
		ksft_skip("no VMX");
	vcpu = vcpu_create(&vm, 0, guest_io);
	/* Exits that neither L1 nor L0 handles arrive here; reads return zeroes. */
	while ((kind = vcpu_run_to_call(vcpu, NULL)) == GCALL_NONE) {
		if (vcpu->run->exit_reason != KVM_EXIT_IO) {
			describe_exit(vcpu);
			ksft_abort(__FILE__, __LINE__, "unexpected exit");
		}
	}
	EQ(kind, GCALL_DONE, "end");
}

/* --- MSRs --- */

CODE(c_rdmsr, "rdmsr");
CODE(c_wrmsr, "wrmsr");

static u64 msr(char *code, u32 index)
{
	l2.rcx = index;
	l2.rax = 0x12340;
	l2.rdx = 0;
	return step(code);
}

static void guest_msrs(void)
{
	u8 *map = g_page();
	u64 fs;
	u32 i;

	start(c_rdmsr);
	need(F_PROC, PROC_MSR_BITMAPS, "no MSR bitmaps");
	vmwrite(F_MSR_BITMAP, (u64)map);
	vmwrite(F_FS_BASE, 0x5000);
	G_EQ(msr(c_rdmsr, MSR_FS_BASE), R_VMCALL, "RDMSR, not intercepted");
	G_EQ(l2.rax, 0x5000, "RDMSR reads L2's value");
	G_EQ(msr(c_wrmsr, MSR_FS_BASE), R_VMCALL, "WRMSR, not intercepted");
	G_EQ(vmread(F_FS_BASE), 0x12340, "WRMSR writes L2's value");
	fs = rdmsr(MSR_FS_BASE);
	G_EQ(fs, vmread(F_HOST_FS_BASE), "L1's own");
	set_bit(map, 0x400 * 8 + (MSR_FS_BASE & 0x1fff));
	G_EQ(msr(c_rdmsr, MSR_FS_BASE), R_RDMSR, "RDMSR of a high MSR");
	G_EQ(vmread(F_ILEN), 2, "length");
	G_EQ(msr(c_wrmsr, MSR_FS_BASE), R_VMCALL, "WRMSR has its own bit");
	set_bit(map, 0xc00 * 8 + (MSR_FS_BASE & 0x1fff));
	clear_bit(map, 0x400 * 8 + (MSR_FS_BASE & 0x1fff));
	G_EQ(msr(c_wrmsr, MSR_FS_BASE), R_WRMSR, "WRMSR of a high MSR");
	G_EQ(msr(c_rdmsr, MSR_FS_BASE), R_VMCALL, "the bitmap changed between two entries");
	set_bit(map, MSR_SYSENTER_CS);
	set_bit(map, 0x800 * 8 + MSR_SYSENTER_EIP);
	G_EQ(msr(c_rdmsr, MSR_SYSENTER_CS), R_RDMSR, "RDMSR of a low MSR");
	G_EQ(msr(c_wrmsr, MSR_SYSENTER_EIP), R_WRMSR, "WRMSR of a low MSR");
	G_EQ(msr(c_rdmsr, MSR_SYSENTER_EIP), R_VMCALL, "RDMSR, not intercepted");
	G_EQ(msr(c_rdmsr, 0x2000), R_RDMSR, "outside both ranges");
	G_EQ(msr(c_wrmsr, 0xbfffffff), R_WRMSR, "outside both ranges");
	G_EQ(msr(c_rdmsr, 0xc0002000), R_RDMSR, "outside both ranges");
	/* An MSR that L1 does not intercept and that does not exist raises #GP in L2. */
	vmwrite(F_EXCEPTION_BITMAP, BIT(VEC_GP));
	G_EQ(msr(c_rdmsr, 0x1fff), R_EXCEPTION, "an MSR that does not exist");
	G_EQ(vmread(F_INTR_INFO), 0x80000b0d, "#GP(0)");
	G_EQ(msr(c_wrmsr, 0xc0001fff), R_EXCEPTION, "an MSR that does not exist");
	/* L2 must not reach x2APIC MSRs: L1's APIC is in xAPIC mode, so they raise #GP in L1 and in L2. */
	for (i = 0x800; i < 0x840; i++) {
		u64 v;

		if (try_rdmsr(i, &v) == NO_FAULT)
			continue;
		G_EQN(msr(c_rdmsr, i), R_EXCEPTION, "x2APIC MSR", i);
	}
}

/* x2APIC MSRs that L1 does not intercept give L2 access to L1's APIC, never to the host's. */
static void guest_x2apic_msrs(void)
{
	u8 *map = g_page();

	apic_x2_enable();
	start(c_rdmsr);
	need(F_PROC, PROC_MSR_BITMAPS, "no MSR bitmaps");
	vmwrite(F_MSR_BITMAP, (u64)map);
	apic_write(APIC_TPR, 0x20);
	G_EQ(msr(c_rdmsr, MSR_X2APIC(APIC_TPR)), R_VMCALL, "RDMSR of TPR");
	G_EQ(l2.rax, 0x20, "the value is L1's");
	G_EQ(msr(c_rdmsr, MSR_X2APIC(APIC_SVR)), R_VMCALL, "RDMSR of SVR");
	G_EQ(l2.rax, 0x1ff, "the value is L1's");
	l2.rcx = MSR_X2APIC(APIC_TPR);
	l2.rax = 0x30;
	l2.rdx = 0;
	G_EQ(step(c_wrmsr), R_VMCALL, "WRMSR of TPR");
	G_EQ(apic_read(APIC_TPR), 0x30, "WRMSR wrote L1's TPR");
	set_bit(map, MSR_X2APIC(APIC_TPR));
	G_EQ(msr(c_rdmsr, MSR_X2APIC(APIC_TPR)), R_RDMSR, "RDMSR of TPR, intercepted");
}

/* A bitmap outside memory reads as all ones, so that every access exits; L0 survives. */
static void guest_bitmap_hole(void)
{
	u64 ret;

	start(c_rdmsr);
	need(F_PROC, PROC_MSR_BITMAPS, "no MSR bitmaps");
	vmwrite(F_MSR_BITMAP, MMIO_HOLE);
	l2.rcx = MSR_FS_BASE;
	ret = vmx_try_enter(true);
	G_EQ(ret, VM_OK, "entry with an MSR bitmap of all ones");
	G_EQ(vmread(F_REASON), R_RDMSR, "all MSRs exit");
	if (!ctl_has(F_PROC, PROC_IO_BITMAPS))
		return;
	start(c_outb);
	vmset(F_PROC, PROC_IO_BITMAPS);
	vmwrite(F_IO_BITMAP_A, MMIO_HOLE);
	vmwrite(F_IO_BITMAP_B, MMIO_HOLE);
	l2.rdx = 0x80;
	ret = vmx_try_enter(true);
	G_EQ(ret, VM_OK, "entry with I/O bitmaps of all ones");
	G_EQ(vmread(F_REASON), R_IO, "all ports exit");
}

/* --- exceptions --- */

CODE(c_ud, "ud2");
CODE(c_bp, "int3");
CODE(c_of, "xor %eax, %eax; .byte 0xcd, 4");
CODE(c_int1, ".byte 0xf1");
CODE(c_gp, "mov 0x0(%rbx), %eax");	/* RBX is not canonical */
CODE(c_de, "xor %ecx, %ecx; .byte 0xf7, 0xf1");
CODE(c_read, "mov (%rbx), %al");
CODE(c_write, "mov %al, (%rbx)");
CODE(c_int30, "int $0x30");

static volatile u64 l2_traps, l2_vector, l2_error;

static void on_trap(struct trap_regs *r)
{
	l2_traps++;
	l2_vector = r->vector;
	l2_error = r->error;
	/* Continue at the VMCALL, whose bytes follow the instruction. */
	while (*(u8 *)r->rip != 0x0f || ((u8 *)r->rip)[1] != 0x01 || ((u8 *)r->rip)[2] != 0xc1)
		r->rip++;
}

static void guest_exceptions(void)
{
	static const struct {
		char *code;
		u8 vector;
		u32 info, ilen;
	} e[] = {
		{ c_ud, VEC_UD, 0x80000306, 0 },
		{ c_bp, VEC_BP, 0x80000603, 1 },
		{ c_gp, VEC_GP, 0x80000b0d, 0 },
		{ c_int1, VEC_DB, 0x80000501, 1 },
	};
	u64 i;

	start(c_ud);
	for (i = 0; i < ARRAY_SIZE(e); i++) {
		l2.rbx = 0x8000000000000000ul;
		vmwrite(F_EXCEPTION_BITMAP, BIT(e[i].vector));
		G_EQN(step(e[i].code), R_EXCEPTION, "intercepted exception", i);
		G_EQN(vmread(F_INTR_INFO), e[i].info, "interruption information", i);
		if (e[i].ilen)
			G_EQN(vmread(F_ILEN), e[i].ilen, "length of a software exception", i);
		if (e[i].info & BIT(11))
			G_EQN(vmread(F_INTR_ERROR), 0, "error code", i);
		G_EQN(vmread(F_RIP), (u64)e[i].code, "RIP", i);
		G_EQN(vmread(F_IDT_INFO) >> 31, 0, "IDT vectoring", i);
		/* If not intercepted, L2's handler takes the exception. */
		vmwrite(F_EXCEPTION_BITMAP, ~BIT(e[i].vector));
		g_trap_fn[e[i].vector] = on_trap;
		l2_traps = 0;
		G_EQN(step(e[i].code), R_VMCALL, "exception that L2 handles", i);
		G_EQN(l2_traps, 1, "L2's handler", i);
		g_trap_fn[e[i].vector] = NULL;
	}
	/* The exception bitmap does not apply to INT n. */
	g_trap_fn[0x30] = on_trap;
	vmwrite(F_EXCEPTION_BITMAP, 0xffffffff);
	l2_traps = 0;
	G_EQ(step(c_int30), R_VMCALL, "INT 0x30");
	G_EQ(l2_traps, 1, "L2's handler");
}

/* SDM 3C 26.2: a #PF exits if (error & mask) == match and the bitmap's bit is set, or if neither is the case. */
static void guest_pf_mask(void)
{
	static const struct {
		bool bit;
		u32 mask, match;
		bool read_exits, write_exits;
	} t[] = {
		{ false, 0, 0, false, false },
		{ true, 0, 0, true, true },
		{ true, 2, 2, false, true },
		{ true, 2, 0, true, false },
		{ false, 2, 2, true, false },
		{ false, 2, 0, false, true },
		{ false, 0, 1, true, true },
		{ true, 0, 1, false, false },
		{ true, 3, 2, false, true },
		{ true, 0xffff, 0x10, false, false },
	};
	u64 i, w, *page = g_page(), *pte = g_pte((u64)page);

	start(c_read);
	*pte &= ~1ul;
	invlpg((u64)page);
	g_trap_fn[VEC_PF] = on_trap;
	for (i = 0; i < ARRAY_SIZE(t); i++) {
		vmwrite(F_EXCEPTION_BITMAP, t[i].bit ? BIT(VEC_PF) : 0);
		vmwrite(F_PF_MASK, t[i].mask);
		vmwrite(F_PF_MATCH, t[i].match);
		for (w = 0; w < 2; w++) {
			bool exits = w ? t[i].write_exits : t[i].read_exits;

			l2.rbx = (u64)page + 0x123;
			l2_traps = 0;
			write_cr2(0x777);
			G_EQN(step(w ? c_write : c_read), exits ? R_EXCEPTION : R_VMCALL, w ? "#PF of a write" : "#PF of a read", i);
			G_EQN(l2_traps, !exits, "L2's handler", i);
			if (exits) {
				G_EQN(vmread(F_INTR_INFO), 0x80000b0e, "interruption information", i);
				G_EQN(vmread(F_INTR_ERROR), w * 2, "error code", i);
				G_EQN(vmread(F_QUAL), (u64)page + 0x123, "qualification: linear address", i);
			} else {
				G_EQN(l2_error, w * 2, "error code in L2", i);
				G_EQN(read_cr2(), (u64)page + 0x123, "CR2", i);
			}
		}
	}
}

/* MSRs with VMCS fields: an exit saves the value L2 wrote, and L1 keeps this value if the exit loads none. */
static void guest_vmcs_msrs(void)
{
	const u64 l1 = 0x0007040600070406ul, first = 0x0007040600070404ul;
	u64 own = rdmsr(MSR_PAT);

	start(c_wrmsr);
	need(F_PROC, PROC_MSR_BITMAPS, "no MSR bitmaps");
	need(F_ENTRY_CTLS, ENTRY_LOAD_PAT, "PAT is not loaded");
	vmset(F_EXIT_CTLS, EXIT_SAVE_PAT | EXIT_LOAD_PAT);
	vmset(F_ENTRY_CTLS, ENTRY_LOAD_PAT);
	vmwrite(F_MSR_BITMAP, (u64)g_page());
	vmwrite(F_HOST_PAT, l1);
	vmwrite(F_GUEST_PAT, first);
	G_EQ(msr(c_rdmsr, MSR_PAT), R_VMCALL, "RDMSR");
	G_EQ(l2.rax, (u32)first, "loaded on entry");
	G_EQ(rdmsr(MSR_PAT), l1, "loaded on exit");
	l2.rdx = first >> 32;
	l2.rax = (u32)first & ~7ul;
	l2.rcx = MSR_PAT;
	G_EQ(step(c_wrmsr), R_VMCALL, "WRMSR");
	G_EQ(vmread(F_GUEST_PAT), first & ~7ul, "saved on exit");
	G_EQ(rdmsr(MSR_PAT), l1, "loaded on exit");
	G_EQ(msr(c_rdmsr, MSR_PAT), R_VMCALL, "RDMSR");
	G_EQ(l2.rax, (u32)first & ~7ul, "entered again");
	vmclr(F_EXIT_CTLS, EXIT_SAVE_PAT | EXIT_LOAD_PAT);
	l2.rdx = first >> 32;
	l2.rax = (u32)first | 1;
	l2.rcx = MSR_PAT;
	G_EQ(step(c_wrmsr), R_VMCALL, "WRMSR");
	G_EQ(vmread(F_GUEST_PAT), first & ~7ul, "not saved");
	G_EQ(rdmsr(MSR_PAT), first | 1, "L1 continues with L2's value");
	G_EQ(msr(c_rdmsr, MSR_PAT), R_VMCALL, "RDMSR");
	G_EQ(l2.rax, (u32)first & ~7ul, "loaded from the VMCS again");
	wrmsr(MSR_PAT, own);
}

/* --- MSR lists (SDM 3C 25.7.2, 27.4, 28.4, 28.6) --- */

struct entry {
	u32 msr, zero;
	u64 val;
};

static void l2_vmcall(void)
{
	for (;;)
		asm volatile("vmcall");
}

static void guest_lists(void)
{
	struct entry *load = g_page(), *store = g_page(), *back = g_page();
	u64 i;

	start(c_rdmsr);
	vmwrite(F_RIP, (u64)l2_vmcall);
	load[0] = (struct entry) { MSR_KERNEL_GS_BASE, 0, 0x1110000 };
	load[1] = (struct entry) { MSR_STAR, 0, 0x2220000 };
	load[2] = (struct entry) { MSR_LSTAR, 0, 0x3330000 };
	for (i = 0; i < 3; i++) {
		store[i].msr = load[i].msr;
		back[i] = (struct entry) { load[i].msr, 0, 0x4440000 + i };
		wrmsr(load[i].msr, 0x999);
	}
	vmwrite(F_ENTRY_MSR_LOAD, (u64)load);
	vmwrite(F_ENTRY_LOAD_COUNT, 3);
	vmwrite(F_EXIT_MSR_STORE, (u64)store);
	vmwrite(F_EXIT_STORE_COUNT, 3);
	vmwrite(F_EXIT_MSR_LOAD, (u64)back);
	vmwrite(F_EXIT_LOAD_COUNT, 3);
	G_EQ(vmx_run(), R_VMCALL, "exit");
	for (i = 0; i < 3; i++) {
		G_EQN(store[i].val, load[i].val, "stored on exit", i);
		G_EQN(rdmsr(load[i].msr), 0x4440000 + i, "loaded on exit", i);
	}
	/* One list without the others. */
	vmwrite(F_EXIT_LOAD_COUNT, 0);
	vmwrite(F_EXIT_STORE_COUNT, 1);
	store[1].val = 7;
	load[0].val = 0x5550000;
	load[1].val = 0x6660000;
	vmx_skip();
	G_EQ(vmx_run(), R_VMCALL, "exit");
	G_EQ(store[0].val, 0x5550000, "stored on exit");
	G_EQ(store[1].val, 7, "entry beyond the list is unchanged");
	G_EQ(rdmsr(MSR_STAR), 0x6660000, "a value loaded on entry stays after an exit that loads none");
}

static void guest_bad_load(void)
{
	static const struct entry bad[] = {
		{ MSR_FS_BASE, 0, 0 },
		{ MSR_GS_BASE, 0, 0 },
		{ 0x9b, 0, 0 },			/* IA32_SMM_MONITOR_CTL */
		{ 0x800, 0, 0 },		/* an x2APIC MSR */
		{ 0x8ff, 0, 0 },
		{ MSR_STAR, 1, 0 },		/* reserved bits */
		{ 0x1fff, 0, 0 },		/* no such MSR */
		{ MSR_KERNEL_GS_BASE, 0, 0x8000000000000000ul },	/* #GP */
		{ MSR_PAT, 0, 0x2 },		/* #GP */
	};
	struct entry *load = g_page();
	u64 i, rip;

	start(c_rdmsr);
	vmwrite(F_RIP, (u64)l2_vmcall);
	rip = vmread(F_RIP);
	load[0] = (struct entry) { MSR_STAR, 0, 0x100 };
	vmwrite(F_ENTRY_MSR_LOAD, (u64)load);
	vmwrite(F_ENTRY_LOAD_COUNT, 2);
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		load[1] = bad[i];
		vmwrite(F_HOST_SYSENTER_CS, 0x700 + i);
		G_EQN(vmx_try_enter(true), VM_OK, "entry", i);
		G_EQN(vmread(F_REASON), R_FAILED_ENTRY | R_BAD_MSRS, "exit reason", i);
		G_EQN(vmread(F_QUAL), 2, "qualification: number of the entry", i);
		G_EQN(vmread(F_RIP), rip, "RIP", i);
		G_EQN(rdmsr(MSR_SYSENTER_CS), 0x700 + i, "host state is loaded", i);
		if (!(vmread(F_REASON) & R_FAILED_ENTRY)) {
			u64 vmcs;

			vmptrst(&vmcs);
			vmclear(vmcs);
			vmcs_load(vmcs);
		}
	}
	load[1] = load[0];
	G_EQ(vmx_try_enter(true), VM_OK, "entry");
	G_EQ(vmread(F_REASON), R_VMCALL, "a valid list");
}

/* A list outside memory: the VM entry fails at the list's first entry; no host memory is read. */
/* --- I/O bitmaps while L2 loops, so that exits and entries are repetitions --- */

#define PIC1	0x21
#define PIC2	0xa1

static void __attribute__((naked)) l2_ports(void)
{
	asm volatile("1: in $0x21, %al; in $0xa1, %al; jmp 1b");
}

/* The next exits must be for these ports, in turn. */
static void ports(u64 first, u64 second, const char *what)
{
	u64 i, port;

	for (i = 0; i < 40; i++) {
		vmx_expect(R_IO, what);
		port = vmread(F_QUAL) >> 16;
		/* The first exit may be for the port at which the loop stood. */
		if (i == 0 && port == second && first != second)
			i++;
		G_EQN(port, i & 1 ? second : first, what, i);
		vmx_skip();
	}
}

static void guest_io_loop(void)
{
	u8 *a = g_page(), *other = g_page(), *b = g_page(), *msrs = g_page();

	vmx_on();
	vmcs_usual(l2_ports, msrs, ept_new());
	need(F_PROC, PROC_IO_BITMAPS, "no I/O bitmaps");
	vmwrite(F_IO_BITMAP_A, (u64)a);
	vmwrite(F_IO_BITMAP_B, (u64)b);
	set_bit(a, PIC1);
	ports(PIC1, PIC1, "one port");
	set_bit(a, PIC2);
	ports(PIC1, PIC2, "a bit that is set in memory");
	clear_bit(a, PIC1);
	ports(PIC2, PIC2, "a bit that is cleared in memory");
	set_bit(other, PIC1);
	vmwrite(F_IO_BITMAP_A, (u64)other);
	ports(PIC1, PIC1, "another page");
	set_bit(other, PIC2);
	ports(PIC1, PIC2, "a bit that is set there");
	vmclr(F_PROC, PROC_IO_BITMAPS);
	vmset(F_PROC, PROC_IO);
	ports(PIC1, PIC2, "unconditional exiting");
}

static void guest_list_hole(void)
{
	start(c_rdmsr);
	vmwrite(F_RIP, (u64)l2_vmcall);
	vmwrite(F_ENTRY_MSR_LOAD, MMIO_HOLE);
	vmwrite(F_ENTRY_LOAD_COUNT, 1);
	G_EQ(vmx_try_enter(true), VM_OK, "entry");
	G_EQ(vmread(F_REASON), R_FAILED_ENTRY | R_BAD_MSRS, "exit reason");
	G_EQ(vmread(F_QUAL), 1, "qualification");
}

#define V .flags = KSFT_VMX
static const struct ksft_test tests[] = {
	{ "I/O bitmaps", .host = host_io },
	{ "I/O bitmaps while L2 loops", .guest = guest_io_loop, .flags = KSFT_VMX | KSFT_IRQCHIP },
	{ "MSR bitmaps", .guest = guest_msrs, V },
	{ "x2APIC MSRs in a bitmap", .guest = guest_x2apic_msrs, .flags = KSFT_VMX | KSFT_IRQCHIP },
	{ "bitmaps outside memory", .guest = guest_bitmap_hole, V },
	{ "exception bitmap", .guest = guest_exceptions, V },
	{ "#PF mask and match", .guest = guest_pf_mask, V },
	{ "MSRs with VMCS fields", .guest = guest_vmcs_msrs, V },
	{ "MSR load and store lists", .guest = guest_lists, V },
	{ "bad MSR-load lists (exit reason 34)", .guest = guest_bad_load, V },
	{ "MSR-load list outside memory", .guest = guest_list_hole, V },
};
KSFT_MAIN(tests)
