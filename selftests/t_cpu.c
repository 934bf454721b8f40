// SPDX-License-Identifier: GPL-2.0
/* The processor that a guest sees: port I/O, CPUID, MSRs, control and debug registers, modes, FPU and AVX state. */
#define _GNU_SOURCE
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include "guest.h"
#include "vm.h"

/* --- port I/O --- */

static u8 string[64];
static volatile u64 in_values[4];

static void guest_ports(void)
{
	const u8 *src = string;
	u8 *dst = string;
	u64 n = 10;

	outb(0x80, 0x12);
	outw(0x81, 0x3456);
	outl(0x82, 0x789abcde);
	in_values[0] = inb(0x90);
	in_values[1] = inw(0x91);
	in_values[2] = inl(0x92);
	asm volatile("rep outsb" : "+S" (src), "+c" (n) : "d" (0x83) : "memory");
	n = 5;
	asm volatile("rep insw" : "+D" (dst), "+c" (n) : "d" (0x93) : "memory");
	in_values[3] = (u64)dst - (u64)string;
}

static void host_ports(void)
{
	struct vm vm;
	struct vcpu *vcpu;
	u8 out[64];
	u64 n = 0, in = 0, i;
	u64 *v;

	vm_create(&vm, 0);
	vcpu = vcpu_create(&vm, 0, guest_ports);
	memcpy(&GUEST(&vm, string), "0123456789", 10);
	while (vcpu_run_to_call(vcpu, NULL) == GCALL_NONE) {
		struct kvm_run *run = vcpu->run;
		u8 *data = (u8 *)run + run->io.data_offset;
		u64 bytes = run->io.size * run->io.count;

		MUST(run->exit_reason == KVM_EXIT_IO && n + bytes <= sizeof(out), "an I/O exit");
		if (run->io.direction == KVM_EXIT_IO_OUT) {
			memcpy(out + n, data, bytes);
			n += bytes;
		} else {
			for (i = 0; i < bytes; i++)
				data[i] = 0xa0 + in++;
		}
	}
	EQ(n, 17, "bytes written");
	EQ(memcmp(out, "\x12\x56\x34\xde\xbc\x9ax0123456789", 17), 0, "data written");
	v = (u64 *)&GUEST(&vm, in_values);
	EQ(v[0], 0xa0, "IN, 8 bits");
	EQ(v[1], 0xa2a1, "IN, 16 bits");
	EQ(v[2], 0xa6a5a4a3, "IN, 32 bits");
	EQ(v[3], 10, "RDI after REP INSW");
	EQ(memcmp(&GUEST(&vm, string), "\xa7\xa8\xa9\xaa\xab\xac\xad\xae\xaf\xb0", 10), 0, "REP INSW");
	vm_destroy(&vm);
}

/* --- CPUID --- */

static void guest_cpuid(void)
{
	u32 a, b, c, d, a2, b2, c2, d2;

	cpuid(0, 0, &a, &b, &c, &d);
	a2 = a;
	cpuid(1, 0, &a, &b, &c, &d);
	G_OK(a2 >= (c & BIT(26) ? 0xd : 1), "largest basic leaf");
	G_EQ(c >> 31, 1, "hypervisor bit");
	G_EQ(c >> 27 & 1, 0, "OSXSAVE follows CR4");
	if (c & BIT(26)) {
		write_cr4(read_cr4() | CR4_OSXSAVE);
		G_EQ(CPUID_REG(1, 0, c) >> 27 & 1, 1, "OSXSAVE follows CR4");
		write_cr4(read_cr4() & ~CR4_OSXSAVE);
	}
	/* A leaf above the largest basic leaf returns that leaf's data (SDM 2A, CPUID). */
	cpuid(0x0badbeef & 0x3fffffff, 0, &a, &b, &c, &d);
	a2 = CPUID_REG(0, 0, a);
	cpuid(a2, 0, &a2, &b2, &c2, &d2);
	G_EQ(a, a2, "EAX of a leaf beyond the largest");
	G_EQ(b, b2, "EBX");
	/* A leaf set by user space. */
	cpuid(0x40000000, 0, &a, &b, &c, &d);
	G_EQ(b, 0x12345678, "a leaf of user space");
	G_EQ(CPUID_REG(0x40000001, 3, d), 0x3333, "index 3");
	G_EQ(CPUID_REG(0x40000001, 4, d), 0, "an index that does not exist");
}

static void host_cpuid(void)
{
	struct vm vm;
	struct vcpu *vcpu;
	struct kvm_cpuid2 *c, *c2;
	u32 i, n = 0;

	vm_create(&vm, KSFT_IRQCHIP);
	vcpu = vcpu_create(&vm, 0, guest_cpuid);
	c = supported_cpuid(vm.dev);
	c = realloc(c, sizeof(*c) + (c->nent + 8) * sizeof(c->entries[0]));
	for (i = 0; i < c->nent; i++) {
		if (c->entries[i].function >> 16 == 0x4000)
			continue;
		c->entries[n] = c->entries[i];
		if (c->entries[n].function == 1)
			c->entries[n].ecx |= 1u << 31;
		n++;
	}
	c->entries[n++] = (struct kvm_cpuid_entry2) { .function = 0x40000000, .eax = 0x40000001, .ebx = 0x12345678 };
	c->entries[n++] = (struct kvm_cpuid_entry2) { .function = 0x40000001, .index = 3, .flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX, .edx = 0x3333 };
	c->nent = n;
	DO(vcpu->fd, KVM_SET_CPUID2, c);
	c2 = calloc(1, sizeof(*c2) + 256 * sizeof(c2->entries[0]));
	c2->nent = 3;
	FAILS(vcpu->fd, KVM_GET_CPUID2, c2, E2BIG);
	c2->nent = 256;
	DO(vcpu->fd, KVM_GET_CPUID2, c2);
	EQ(c2->nent, n, "entries read back");
	vcpu_run_to_end(vcpu);
	vm_destroy(&vm);
}

/* --- MSRs --- */

static void guest_msrs(void)
{
	static const struct {
		u32 msr;
		u64 good, bad;	/* bad 0: none */
	} t[] = {
		{ MSR_SYSENTER_CS, 0x1234, 0 },
		{ MSR_SYSENTER_ESP, 0xffff800000001000ul, 0x8000000000000000ul },
		{ MSR_SYSENTER_EIP, 0x1000, 0x1000000000000000ul },
		{ MSR_STAR, 0x0123456789abcdeful, 0 },
		{ MSR_LSTAR, 0xffffffff81000000ul, 0x8000000000000000ul },
		{ MSR_CSTAR, 0x2000, 0x8000000000000000ul },
		{ MSR_FMASK, 0x47700, 0 },
		{ MSR_KERNEL_GS_BASE, 0x5000, 0x8000000000000000ul },
		{ MSR_FS_BASE, 0x6000, 0x8000000000000000ul },
		{ MSR_GS_BASE, 0x7000, 0x0000800000000000ul },
		{ MSR_PAT, 0x0007040600070406ul, 0x02 },
		{ MSR_EFER, EFER_LME | EFER_LMA | EFER_NX, BIT(20) },
	};
	u64 i, v, old;

	for (i = 0; i < ARRAY_SIZE(t); i++) {
		old = rdmsr(t[i].msr);
		G_EQN(try_wrmsr(t[i].msr, t[i].good), NO_FAULT, "WRMSR", t[i].msr);
		G_EQN(rdmsr(t[i].msr), t[i].good, "RDMSR", t[i].msr);
		if (t[i].bad) {
			G_EQN(try_wrmsr(t[i].msr, t[i].bad), GP0, "WRMSR of a bad value", t[i].msr);
			G_EQN(rdmsr(t[i].msr), t[i].good, "nothing changed", t[i].msr);
		}
		wrmsr(t[i].msr, old);
	}
	G_EQ(try_rdmsr(0x1fff, &v), GP0, "RDMSR of an MSR that does not exist");
	G_EQ(try_wrmsr(0x1fff, 0), GP0, "WRMSR of an MSR that does not exist");
	G_EQ(try_rdmsr(0xc0001fff, &v), GP0, "RDMSR of an MSR that does not exist");
	/* IA32_ARCH_CAPABILITIES: user space can always read it, a guest only if CPUID has its bit. */
	if (!(CPUID_REG(7, 0, d) & BIT(29))) {
		G_EQ(try_rdmsr(0x10a, &v), GP0, "RDMSR of IA32_ARCH_CAPABILITIES without its CPUID bit");
		G_EQ(try_wrmsr(0x10a, 0), GP0, "WRMSR of IA32_ARCH_CAPABILITIES without its CPUID bit");
	}
	G_EQ(try_rdmsr(0xdeadbeef, &v), GP0, "RDMSR outside all ranges");
	G_EQ(try_wrmsr(MSR_EFER, rdmsr(MSR_EFER) & ~EFER_LME), GP0, "EFER.LME cannot change while paging is on");
	/* The TSC advances, and a write to TSC_ADJUST moves it (SDM 3B 18.17.3). */
	v = rdtsc();
	G_OK(rdtsc() >= v, "the TSC does not go back");
	if (CPUID_REG(7, 0, b) & 2) {
		wrmsr(MSR_TSC_ADJUST, 0);
		v = rdtsc();
		wrmsr(MSR_TSC_ADJUST, 1ul << 40);
		G_OK(rdtsc() - v >= 1ul << 40, "TSC_ADJUST moves the TSC");
		wrmsr(MSR_TSC_ADJUST, 0);
		G_OK(rdtsc() - v < 1ul << 40, "and back");
	}
}

/* --- control and debug registers --- */

static void guest_crs(void)
{
	u64 cr0 = read_cr0(), cr4 = read_cr4();

	G_EQ(write_cr0(cr0 & ~CR0_PE), GP0, "PG without PE");
	G_EQ(write_cr0(cr0 | CR0_NW), GP0, "NW without CD");
	G_EQ(write_cr0(cr0 | 1ul << 32), GP0, "CR0 bit 32");
	G_EQ(write_cr0(cr0 & ~CR0_PG), GP0, "paging off in 64-bit mode");
	G_EQ(read_cr0(), cr0, "nothing changed");
	G_EQ(write_cr0(cr0 | CR0_TS), NO_FAULT, "TS");
	G_EQ(TRY_INSN("fnop"), FAULT(VEC_NM, 0), "#NM");
	asm volatile("clts");
	G_EQ(read_cr0(), cr0, "CLTS");
	G_EQ(write_cr0(cr0 | CR0_CD), NO_FAULT, "CD");
	G_EQ(read_cr0(), cr0 | CR0_CD, "CD reads back");
	write_cr0(cr0);
	G_EQ(write_cr4(cr4 & ~CR4_PAE), GP0, "PAE off in long mode");
	G_EQ(write_cr4(cr4 | BIT(15)), GP0, "reserved CR4 bit");
	G_EQ(write_cr4(cr4 | 1ul << 40), GP0, "reserved CR4 bit");
	G_EQ(write_cr4(cr4 | CR4_TSD), NO_FAULT, "TSD");
	write_cr4(cr4);
	G_EQ(write_cr3(read_cr3() | 1ul << 52), GP0, "CR3 beyond MAXPHYADDR");
	G_EQ(write_cr3(read_cr3()), NO_FAULT, "CR3");
	G_EQ(write_cr8(16), GP0, "CR8");
	G_EQ(write_cr8(7), NO_FAULT, "CR8");
	G_EQ(read_cr8(), 7, "CR8 reads back");
	write_cr8(0);
	/* WP and read-only pages. */
	{
		u64 p = (u64)g_page(), *pte = g_pte(p);

		*pte &= ~2ul;
		invlpg(p);
		G_EQ(try_write8(p, 1), FAULT(VEC_PF, 3), "write with WP");
		write_cr0(cr0 & ~CR0_WP);
		G_EQ(try_write8(p, 1), NO_FAULT, "write without WP");
		write_cr0(cr0);
		G_EQ(try_write8(p, 1), FAULT(VEC_PF, 3), "write with WP again");
	}
	/* NX, SMEP, SMAP. */
	{
		u64 p = (u64)g_page(), *pte = g_pte(p), f;

		*(u8 *)p = 0xc3;
		*pte |= 1ul << 63;
		invlpg(p);
		asm volatile("xor %%r11d, %%r11d; lea 2f(%%rip), %%rax; mov %%rax, nx_back(%%rip); call *%1\n2: mov %%r11, %0"
			     : "=r" (f) : "r" (p) : "r11", "rax", "memory", "cc");
		G_OK(IS_PF(f) && (PF_ERR(f) & 0x11) == 0x11, "fetch from an NX page");
	}
}

/* A fetch faults at the target, so this handler returns to the caller. */
u64 nx_back __attribute__((used));

static void on_fetch(struct trap_regs *r)
{
	r->r11 = FAULT(r->vector, r->error);
	r->rip = nx_back;
	r->rsp += 8;
}

static void on_pf(struct trap_regs *r)
{
	if (r->error & 0x10) {
		on_fetch(r);
		return;
	}
	/* The two data accesses of guest_crs(): 2 bytes "mov (..), al" or "mov al, (..)". */
	r->r11 = FAULT(r->vector, r->error);
	r->rip += 2;
}

static void guest_crs_pf(void)
{
	g_trap_fn[VEC_PF] = on_pf;
	guest_crs();
}

static volatile u64 db_count, db_rip, db_dr6;

static void on_db(struct trap_regs *r)
{
	db_count++;
	db_rip = r->rip;
	db_dr6 = read_dr6();
	write_dr6(0xffff0ff0);
	r->rflags |= RFLAGS_RF;
	r->rflags &= ~RFLAGS_TF;
}

extern char dr_here[];

static void guest_drs(void)
{
	u64 data = 0;

	G_EQ(read_dr7(), 0x400, "DR7 after reset");
	G_EQ(read_dr6(), 0xffff0ff0, "DR6 after reset");
	write_dr0(0x1234);
	write_dr3(0x5678);
	G_EQ(read_dr0(), 0x1234, "DR0");
	G_EQ(read_dr3(), 0x5678, "DR3");
	G_EQ(write_dr7(1ul << 32), GP0, "DR7 above 32 bits");
	G_EQ(write_dr6(1ul << 32), GP0, "DR6 above 32 bits");
	write_cr4(read_cr4() | CR4_DE);
	G_EQ(TRY_INSN("mov %%db4, %%rax"), UD, "DR4 with CR4.DE");
	write_cr4(read_cr4() & ~CR4_DE);
	g_trap_fn[VEC_DB] = on_db;
	write_dr0((u64)dr_here);
	write_dr7(0x402);
	asm volatile("dr_here: nop");
	G_EQ(db_count, 1, "breakpoint");
	G_EQ(db_rip, (u64)dr_here, "its RIP");
	G_EQ(db_dr6 & 0xf, 1, "DR6.B0");
	write_dr1((u64)&data);
	write_dr7(0x400 | 8 | 0xdul << 20);	/* write of 4 bytes */
	*(volatile u32 *)&data = 1;
	G_EQ(db_count, 2, "watchpoint");
	G_EQ(db_dr6 & 0xf, 2, "DR6.B1");
	write_dr7(0x400);
	asm volatile("pushfq; orq $0x100, (%%rsp); popfq; nop; nop" : : : "cc", "memory");
	G_EQ(db_count, 3, "single step");
	G_EQ(db_dr6 & BIT(14), BIT(14), "DR6.BS");
	/* General detect (DR7.GD). */
	write_dr7(0x400 | BIT(13));
	read_dr3();
	G_EQ(db_count, 4, "general detect");
	G_EQ(db_dr6 & BIT(13), BIT(13), "DR6.BD");
	/* A single step over an instruction that L0 emulates or completes. */
	asm volatile("pushfq; orq $0x100, (%%rsp); popfq; cpuid" : : "a" (0) : "rbx", "rcx", "rdx", "cc", "memory");
	G_EQ(db_count, 5, "single step over CPUID");
}

/* --- modes --- */

/* Real mode, protected mode, 32-bit and PAE paging, long mode, real mode again. Each stage writes to port 0x80. */
extern char modes[], modes_end[];
asm(".pushsection .text\n.code16\n"
	"modes: mov $1, %al; out %al, $0x80\n"
	"	lgdtl 0x8000 + (mode_gdtr - modes)\n"
	"	mov %cr0, %eax; or $1, %eax; mov %eax, %cr0\n"
	"	ljmpl $8, $0x8000 + (mode32 - modes)\n"
	".code32\n"
	"mode32: mov $0x10, %eax; mov %eax, %ds; mov %eax, %ss\n"
	"	mov $2, %al; out %al, $0x80\n"
	/* 32-bit paging: one 4 MiB page at 0. */
	"	movl $0x83, 0x9000\n"
	"	mov %cr4, %eax; or $0x10, %eax; mov %eax, %cr4\n"
	"	mov $0x9000, %eax; mov %eax, %cr3\n"
	"	mov %cr0, %eax; or $0x80000000, %eax; mov %eax, %cr0\n"
	"	mov $3, %al; out %al, $0x80\n"
	"	mov %cr0, %eax; and $0x7fffffff, %eax; mov %eax, %cr0\n"
	/* PAE paging: PDPTE 0, one 2 MiB page. */
	"	movl $0xb001, 0xa000; movl $0, 0xa004\n"
	"	movl $0x83, 0xb000; movl $0, 0xb004\n"
	"	mov $0x20, %eax; mov %eax, %cr4\n"
	"	mov $0xa000, %eax; mov %eax, %cr3\n"
	"	mov %cr0, %eax; or $0x80000000, %eax; mov %eax, %cr0\n"
	"	mov $4, %al; out %al, $0x80\n"
	"	mov %cr0, %eax; and $0x7fffffff, %eax; mov %eax, %cr0\n"
	/* Long mode: compatibility, then 64-bit. */
	"	movl $0xa007, 0xc000; movl $0, 0xc004; movl $0xb007, 0xa000\n"
	"	mov $0xc000, %eax; mov %eax, %cr3\n"
	"	mov $0xc0000080, %ecx; rdmsr; or $0x100, %eax; wrmsr\n"
	"	mov %cr0, %eax; or $0x80000000, %eax; mov %eax, %cr0\n"
	"	mov $5, %al; out %al, $0x80\n"
	"	ljmpl $0x18, $0x8000 + (mode64 - modes)\n"
	".code64\n"
	"mode64: mov $6, %al; out %al, $0x80\n"
	"	ljmp *mode_far(%rip)\n"
	".code32\n"
	"mode_back: mov %cr0, %eax; and $0x7fffffff, %eax; mov %eax, %cr0\n"
	"	mov $0xc0000080, %ecx; rdmsr; and $0xfffffeff, %eax; wrmsr\n"
	"	mov $7, %al; out %al, $0x80\n"
	"	ljmpl $0x20, $0x8000 + (mode16 - modes)\n"
	".code16\n"
	"mode16: mov %cr0, %eax; and $0xfe, %al; mov %eax, %cr0\n"
	"	ljmpl $0, $0x8000 + (mode_real - modes)\n"
	"mode_real: xor %ax, %ax; mov %ax, %ss; mov %ax, %ds; mov $8, %al; out %al, $0x80\n"
	"	hlt\n"
	".balign 8\n"
	"mode_gdtr: .word 0x27; .long 0x8000 + (mode_gdt - modes)\n"
	".balign 8\n"
	"mode_far: .long 0x8000 + (mode_back - modes); .word 8\n"
	".balign 8\n"
	"mode_gdt: .quad 0, 0x00cf9b000000ffff, 0x00cf93000000ffff, 0x00af9b000000ffff, 0x00009b000000ffff\n"
	"modes_end:\n.code64\n.popsection\n");

static void host_modes(void)
{
	struct vm vm;
	struct vcpu *vcpu;
	struct kvm_sregs s;
	struct kvm_regs r = { .rip = LOW_CODE, .rsp = 0x7000, .rflags = RFLAGS_FIXED };
	u8 stage;

	vm_create(&vm, 0);
	vcpu = vcpu_create(&vm, 0, NULL);
	memcpy(vm.mem + LOW_CODE, modes, modes_end - modes);
	/* The state after reset, except for CS and RIP. */
	vcpu_sregs(vcpu, &s);
	EQ(s.cs.base, 0xffff0000, "CS base after reset");
	EQ(s.cs.selector, 0xf000, "CS after reset");
	s.cs.base = 0;
	s.cs.selector = 0;
	vcpu_set_sregs(vcpu, &s);
	vcpu_set_regs(vcpu, &r);
	for (stage = 1; stage <= 8; stage++) {
		EQ(vcpu_run_once(vcpu), 0, "KVM_RUN");
		if (vcpu->run->exit_reason != KVM_EXIT_IO) {
			describe_exit(vcpu);
			ksft_abort(__FILE__, __LINE__, "stage %d is not reached", stage);
		}
		EQ(*((u8 *)vcpu->run + vcpu->run->io.data_offset), stage, "stage");
	}
	EQ(vcpu_run_once(vcpu), 0, "KVM_RUN");
	EQ(vcpu->run->exit_reason, KVM_EXIT_HLT, "HLT at the end");
	vm_destroy(&vm);
}

static void guest_triple(void)
{
	struct dtr none = { 0, 0 };

	lidt(&none);
	asm volatile("ud2");
}

static void host_triple(void)
{
	struct vm vm;
	struct vcpu *vcpu;

	vm_create(&vm, 0);
	vcpu = vcpu_create(&vm, 0, guest_triple);
	EQ(vcpu_run_once(vcpu), 0, "KVM_RUN");
	EQ(vcpu->run->exit_reason, KVM_EXIT_SHUTDOWN, "triple fault");
	vm_destroy(&vm);
}

/* --- FPU and vectors --- */

#define XSAVE_BIT BIT(26)

static void fill_vectors(u64 seed, bool avx)
{
	u64 v[8], i;

	for (i = 0; i < 8; i++)
		v[i] = seed * 0x0101010101010101ul + i;
	if (avx)
		asm volatile("vmovdqu (%0), %%ymm0; vmovdqu (%0), %%ymm7; vmovdqu (%0), %%ymm15" : : "r" (v) : "memory");
	else
		asm volatile("movdqu (%0), %%xmm0; movdqu (%0), %%xmm7; movdqu (%0), %%xmm15" : : "r" (v) : "memory");
}

static bool same_vectors(u64 seed, bool avx)
{
	u64 v[4], i, n = avx ? 4 : 2;

	if (avx)
		asm volatile("vmovdqu %%ymm7, (%0)" : : "r" (v) : "memory");
	else
		asm volatile("movdqu %%xmm7, (%0)" : : "r" (v) : "memory");
	for (i = 0; i < n; i++)
		if (v[i] != seed * 0x0101010101010101ul + i)
			return false;
	return true;
}

static void guest_vectors(void)
{
	u64 i, seed = g_arg();
	bool avx = false;

	if (CPUID_REG(1, 0, c) & XSAVE_BIT) {
		u64 all = CPUID_REG(0xd, 0, a) | (u64)CPUID_REG(0xd, 0, d) << 32;

		write_cr4(read_cr4() | CR4_OSXSAVE);
		G_EQ(try_xsetbv(0, 0), GP0, "XCR0 without x87");
		G_EQ(try_xsetbv(0, 5), GP0, "AVX without SSE");
		G_EQ(try_xsetbv(1, 1), GP0, "XCR1");
		G_EQ(try_xsetbv(0, 1ul << 62 | 1), GP0, "XCR0 bit 62");
		G_EQ(try_xsetbv(0, all), NO_FAULT, "all of XCR0");
		G_EQ(xgetbv(0), all, "XCR0");
		avx = all & 4;
	}
	for (i = 0; i < 200; i++) {
		fill_vectors(seed + i, avx);
		if (i % 3 == 0)
			outb(0x80, i);		/* to user space and back */
		else
			CPUID_REG(0, 0, a);	/* to L0 and back */
		G_EQ(same_vectors(seed + i, avx), 1, "vector registers across an exit");
	}
}

/* Two vCPUs of two VMs run alternately on changing processors, and the process uses the registers in between. */
static void host_vectors(void)
{
	struct vm vm[2];
	struct vcpu *vcpu[2];
	u64 i, n = 0, cpus = sysconf(_SC_NPROCESSORS_ONLN);
	bool done[2] = { false, false };

	for (i = 0; i < 2; i++) {
		extern u64 guest_arg;

		guest_arg = 1 + i * 77;
		vm_create(&vm[i], 0);
		vcpu[i] = vcpu_create(&vm[i], 0, guest_vectors);
	}
	while (!done[0] || !done[1]) {
		cpu_set_t set;
		u64 mine[2] = { n, ~n }, got[2];

		i = n++ & 1;
		if (done[i])
			continue;
		CPU_ZERO(&set);
		CPU_SET(n / 3 % cpus, &set);
		sched_setaffinity(0, sizeof(set), &set);
		asm volatile("movdqu (%0), %%xmm7" : : "r" (mine) : "memory");
		if (vcpu_run_to_call(vcpu[i], NULL) == GCALL_DONE)
			done[i] = true;
		asm volatile("movdqu %%xmm7, (%0)" : : "r" (got) : "memory");
		/* The C code in between uses no vector registers. */
		OK(got[0] == mine[0] && got[1] == mine[1], "the process keeps its registers");
	}
}

static void host_xsave(void)
{
	struct vm vm;
	struct vcpu *vcpu;
	struct kvm_xsave x;
	struct kvm_fpu f;

	vm_create(&vm, 0);
	vcpu = vcpu_create(&vm, 0, guest_vectors);
	DO(vcpu->fd, KVM_GET_FPU, &f);
	EQ(f.fcw, 0x37f, "FCW");
	f.fcw = 0x27f;
	f.mxcsr = 0x1f80;
	DO(vcpu->fd, KVM_SET_FPU, &f);
	DO(vcpu->fd, KVM_GET_FPU, &f);
	EQ(f.fcw, 0x27f, "FCW read back");
	DO(vcpu->fd, KVM_GET_XSAVE, &x);
	*(u16 *)x.region = 0x37e;
	x.region[24 / 4] = 0x1f00;	/* MXCSR */
	memset(&x.region[160 / 4], 0x5a, 16);	/* XMM0 */
	*(u64 *)&x.region[512 / 4] |= 3;	/* XSTATE_BV */
	DO(vcpu->fd, KVM_SET_XSAVE, &x);
	DO(vcpu->fd, KVM_GET_FPU, &f);
	EQ(f.fcw, 0x37e, "FCW by KVM_SET_XSAVE");
	DO(vcpu->fd, KVM_GET_XSAVE, &x);
	EQ(x.region[24 / 4], 0x1f00, "MXCSR by KVM_SET_XSAVE");
	EQ(f.xmm[0][7], 0x5a, "XMM0 by KVM_SET_XSAVE");
	x.region[24 / 4] = 0xffff0000;	/* MXCSR, reserved bits */
	FAILS(vcpu->fd, KVM_SET_XSAVE, &x, EINVAL);
	vm_destroy(&vm);
}

/* XCR0 has x87 enabled even without XSAVE: QEMU 10 restores that for CPU models without XSAVE. */
static void host_no_xsave(void)
{
	struct kvm_xcrs x;
	struct vm vm;
	int fd;

	vm_create(&vm, 0);
	fd = DO(vm.fd, KVM_CREATE_VCPU, 0);
	if (ioctl(fd, KVM_GET_XCRS, &x))
		ksft_skip("the host has no XSAVE");
	EQ(x.nr_xcrs, 1, "registers");
	EQ(x.xcrs[0].value, 1, "XCR0");
	DO(fd, KVM_SET_XCRS, &x);
	x.xcrs[0].value = 3;
	FAILS(fd, KVM_SET_XCRS, &x, EINVAL);
	x.xcrs[0].value = 0;
	FAILS(fd, KVM_SET_XCRS, &x, EINVAL);
	DO(fd, KVM_GET_XCRS, &x);
	EQ(x.xcrs[0].value, 1, "XCR0 is unchanged");
	close(fd);
	vm_destroy(&vm);
}

static const struct ksft_test tests[] = {
	{ "port I/O", .host = host_ports },
	{ "CPUID", .host = host_cpuid },
	{ "MSRs", .guest = guest_msrs, .flags = KSFT_IRQCHIP },
	{ "control registers and page rights", .guest = guest_crs_pf, .flags = KSFT_IRQCHIP },
	{ "debug registers", .guest = guest_drs },
	{ "modes: real, protected, PAE, long and back", .host = host_modes },
	{ "triple fault", .host = host_triple },
	{ "vector registers across exits and migration", .host = host_vectors },
	{ "FPU and XSAVE areas", .host = host_xsave },
	{ "XCR0 without XSAVE", .host = host_no_xsave },
};
KSFT_MAIN(tests)
