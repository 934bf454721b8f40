// SPDX-License-Identifier: GPL-2.0
/* VMX instructions outside VMX operation, at CPL 3, in other modes, and all their failures (SDM 3C 31.3). */
#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include "vm.h"
#include "vmx.h"

u64 scratch[2] __attribute__((used));	/* operands in memory */

/* --- outside VMX operation, and at CPL 3 --- */

#define EACH_INSN(X) \
	X("vmcall") X("vmlaunch") X("vmresume") X("vmxoff") X("vmclear scratch") X("vmptrld scratch") \
	X("vmptrst scratch") X("vmread %%rax, %%rbx") X("vmwrite %%rax, %%rbx") X("invept scratch, %%rax") \
	X("invvpid scratch, %%rax") X("vmxon scratch")

static void all_ud(const char *what)
{
	u64 n = 0, f;

#define CHECK(insn) \
	f = TRY_INSN(insn); \
	G_EQN(f, UD, what, n++);
	EACH_INSN(CHECK)
#undef CHECK
}

static void guest_before_vmxon(void)
{
	if (!(CPUID_REG(1, 0, c) & BIT(5)))
		g_skip("no VMX");
	all_ud("CR4.VMXE clear");
	vmx_enable();
	{
		u64 n = 0, f;

		/* VMXON is the only instruction that may succeed. */
#define CHECK(insn) \
		if (n < 11) { \
			f = TRY_INSN(insn); \
			G_EQN(f, UD, "not in VMX operation", n); \
		} \
		n++;
		EACH_INSN(CHECK)
#undef CHECK
	}
}

static u64 user_insns(u64 want)
{
	u64 n = 0, bad = 0, f;

#define CHECK(insn) \
	f = TRY_INSN(insn); \
	if (f != want && !bad) \
		bad = (n + 1) << 32 | (u32)f; \
	n++;
	EACH_INSN(CHECK)
#undef CHECK
	return bad;
}

static void guest_cpl3(void)
{
	if (!(CPUID_REG(1, 0, c) & BIT(5)))
		g_skip("no VMX");
	G_EQ(g_user(user_insns, UD), 0, "#UD before VMX operation (number of the instruction, fault)");
	vmx_on();
	G_EQ(g_user(user_insns, GP0), 0, "#GP(0) in VMX operation without a current VMCS");
	vmcs_new(NULL);
	G_EQ(g_user(user_insns, GP0), 0, "#GP(0) in VMX operation");
}

/* --- other modes --- */

/* In compatibility mode each instruction raises #UD at any CPL. */
extern char compat_insns[];
asm(".pushsection .text\n"
	".code32\n"
	"compat_insns:\n"
	"	xor	%esi, %esi\n"
	"	xor	%eax, %eax\n"
	"	mov	$scratch, %ebx\n"
#define C(insn) "mov $1f, %ebp; " insn "; or $1 << 31, %esi\n1:\n"
	C("vmcall") C("vmlaunch") C("vmresume") C("vmxoff") C("vmclear (%ebx)") C("vmptrld (%ebx)") C("vmptrst (%ebx)")
	C("vmread %eax, %edx") C("vmwrite %eax, %edx") C("vmxon (%ebx)")
	C("invept (%ebx), %eax") C("invvpid (%ebx), %eax")
#undef C
	"	mov	%esi, %eax\n"
	"	int	$0x80\n"
	".code64\n"
	".popsection\n");

static void on_compat_ud(struct trap_regs *r)
{
	r->rsi++;
	r->rip = (u32)r->rbp;
}

static void guest_compat(void)
{
	vmx_on();
	vmcs_new(NULL);
	g_trap_fn[VEC_UD] = on_compat_ud;
	G_EQ((u32)g_user_cs(compat_insns, 0, SEL_UCS32), 12, "#UDs in compatibility mode");
}

static const struct {
	const char *name;
	u8 len, code[6];
} insns16[] = {
	{ "VMXON", 6, { 0xf3, 0x0f, 0xc7, 0x36, 0x00, 0x06 } },
	{ "VMCLEAR", 6, { 0x66, 0x0f, 0xc7, 0x36, 0x00, 0x06 } },
	{ "VMPTRLD", 5, { 0x0f, 0xc7, 0x36, 0x00, 0x06 } },
	{ "VMPTRST", 5, { 0x0f, 0xc7, 0x3e, 0x00, 0x06 } },
	{ "VMREAD", 3, { 0x0f, 0x78, 0xc3 } },
	{ "VMWRITE", 3, { 0x0f, 0x79, 0xc3 } },
	{ "VMCALL", 3, { 0x0f, 0x01, 0xc1 } },
	{ "VMLAUNCH", 3, { 0x0f, 0x01, 0xc2 } },
	{ "VMRESUME", 3, { 0x0f, 0x01, 0xc3 } },
	{ "VMXOFF", 3, { 0x0f, 0x01, 0xc4 } },
};

static struct kvm_segment seg16(u16 sel, u8 type, u8 dpl)
{
	return (struct kvm_segment) {
		.base = sel << 4, .limit = 0xffff, .selector = sel, .type = type, .present = 1, .s = 1, .dpl = dpl,
	};
}

/* Real mode, or virtual-8086 mode with a 32-bit #UD handler. Both handlers write 6 to port 0x80. */
static void modes16(bool v86)
{
	static const u8 handler[] = { 0xb0, 0x06, 0xe6, 0x80, 0xf4 };
	struct vm vm;
	struct vcpu *vcpu;
	struct kvm_sregs s;
	struct kvm_regs r;
	u64 i;

	vm_create(&vm, 0);
	if (!vm_has_vmx(&vm))
		ksft_skip("no VMX");
	vcpu = vcpu_create(&vm, 0, guest_cpl3);
	vcpu_set_msr(vcpu, MSR_FEATURE_CONTROL, 5);
	vcpu_sregs(vcpu, &s);
	s.efer = 0;
	s.cr0 = CR0_ET | CR0_NE | (v86 ? CR0_PE : 0);
	s.cr4 = CR4_VMXE;
	s.cs = seg16(0, v86 ? 3 : 0xb, v86 ? 3 : 0);
	s.ds = s.es = s.fs = s.gs = s.ss = seg16(0, 3, v86 ? 3 : 0);
	s.idt.base = 0;
	s.idt.limit = 0x3ff;
	*(u32 *)(vm.mem + 6 * 4) = 0x8100;
	memcpy(vm.mem + 0x8100, handler, sizeof(handler));
	if (v86) {
		u32 *tss = (u32 *)(vm.mem + s.tr.base);

		s.idt.base = 0x9000;
		*(u64 *)(vm.mem + 0x9000 + 6 * 8) = 0x00008e0000008100ul | (u64)SEL_CS32 << 16;
		tss[1] = 0x7000;	/* ESP0, SS0 of a 32-bit TSS */
		tss[2] = SEL_DS;
	}
	for (i = 0; i < ARRAY_SIZE(insns16); i++) {
		memcpy(vm.mem + LOW_CODE, insns16[i].code, insns16[i].len);
		vm.mem[LOW_CODE + insns16[i].len] = 0xf4;
		vcpu_set_sregs(vcpu, &s);
		r = (struct kvm_regs) { .rip = LOW_CODE, .rsp = 0x7000, .rflags = RFLAGS_FIXED | (v86 ? RFLAGS_VM : 0) };
		vcpu_set_regs(vcpu, &r);
		EQ(vcpu_run_once(vcpu), 0, "KVM_RUN");
		OK(vcpu->run->exit_reason == KVM_EXIT_IO && vcpu->run->io.port == 0x80, "%s is #UD", insns16[i].name);
		if (ksft_failures())
			describe_exit(vcpu);
	}
}

static void host_real_mode(void)
{
	modes16(false);
}

static void host_v86_mode(void)
{
	modes16(true);
}

/* --- VMXON and VMXOFF --- */

#define HUGE_ADDR (1ul << 52)	/* beyond any MAXPHYADDR */

static void guest_vmxon(void)
{
	u64 region, phys = CPUID_REG(0x80000008, 0, a) & 0xff;
	u32 *p;

	if (!(CPUID_REG(1, 0, c) & BIT(5)))
		g_skip("no VMX");
	if (rdmsr(MSR_FEATURE_CONTROL) == 0) {
		write_cr0(read_cr0() | CR0_NE);
		write_cr4(read_cr4() | CR4_VMXE);
		G_EQ(vmxon(vmx_region()), GP0, "IA32_FEATURE_CONTROL not locked");
		wrmsr(MSR_FEATURE_CONTROL, 5);
		G_EQ(try_wrmsr(MSR_FEATURE_CONTROL, 5), GP0, "IA32_FEATURE_CONTROL is locked");
		G_EQ(try_wrmsr(MSR_FEATURE_CONTROL, 0), GP0, "IA32_FEATURE_CONTROL is locked");
	}
	vmx_enable();
	region = vmx_region();
	p = (u32 *)region;
	write_cr0(read_cr0() & ~CR0_NE);
	G_EQ(vmxon(region), GP0, "CR0.NE clear");
	write_cr0(read_cr0() | CR0_NE);
	G_EQ(vmxon(region + 8), VM_INVALID, "misaligned");
	G_EQ(vmxon(HUGE_ADDR), VM_INVALID, "beyond MAXPHYADDR");
	G_EQ(vmxon(1ul << phys), VM_INVALID, "VMXON just beyond MAXPHYADDR");
	G_EQ(vmxon(MMIO_HOLE), VM_INVALID, "VMXON at an address without memory");
	G_EQ(vmxon(APIC_BASE), VM_INVALID, "VMXON at the local APIC's address");
	*p ^= 1;
	G_EQ(vmxon(region), VM_INVALID, "wrong revision");
	*p ^= 1 | 1u << 31;
	G_EQ(vmxon(region), VM_INVALID, "shadow bit set");
	*p ^= 1u << 31;
	G_EQ(vmxon(region), VM_OK, "VMXON");
	G_EQ(vmxon(region), VM_INVALID, "VMXON again, without a current VMCS");
	G_EQ(vmxon(vmx_region()), VM_INVALID, "VMXON of another region");
	G_EQ(write_cr0(read_cr0() & ~CR0_NE), GP0, "CR0.NE is fixed in VMX operation");
	G_EQ(write_cr4(read_cr4() & ~CR4_VMXE), GP0, "CR4.VMXE is fixed in VMX operation");
	G_EQ(vmxoff(), VM_OK, "VMXOFF");
	G_EQ(vmxoff(), UD, "VMXOFF again");
	G_EQ(write_cr0(read_cr0() & ~CR0_NE), NO_FAULT, "CR0.NE can be cleared after VMXOFF");
	write_cr0(read_cr0() | CR0_NE);
	G_EQ(vmxon(region), VM_OK, "VMXON after VMXOFF");
	vmx_region_on = region;
	G_EQ(vmptrld(vmx_region()), VM_OK, "VMPTRLD");
	G_EQ(vmxon(region), VM_FAIL(E_VMXON_IN_ROOT), "VMXON again, with a current VMCS");
	G_EQ(vmxoff(), VM_OK, "VMXOFF");
	G_EQ(write_cr4(read_cr4() & ~CR4_VMXE), NO_FAULT, "CR4.VMXE can be cleared after VMXOFF");
	G_EQ(vmxon(region), UD, "VMXON without CR4.VMXE");
}

static void guest_vmxon_often(void)
{
	u64 i, vmcs;

	vmx_on();
	vmcs = vmx_region();
	for (i = 0; i < 500; i++) {
		G_EQ(vmptrld(vmcs), VM_OK, "VMPTRLD");
		G_EQ(vmxoff(), VM_OK, "VMXOFF");
		G_EQ(vmxon(vmx_region_on), VM_OK, "VMXON");
	}
}

/* --- VMCLEAR, VMPTRLD, VMPTRST --- */

static void guest_vmptr(void)
{
	u64 a, b, ptr = 0, v = 0, phys;

	vmx_on();
	phys = CPUID_REG(0x80000008, 0, a) & 0xff;
	a = vmx_region();
	b = vmx_region();
	G_EQ(vmptrst(&ptr), VM_OK, "VMPTRST");
	G_EQ(ptr, ~0ul, "no current VMCS");
	G_EQ(try_vmread(F_RIP, &v), VM_INVALID, "VMREAD without a current VMCS");
	G_EQ(try_vmwrite(F_RIP, 0), VM_INVALID, "VMWRITE without a current VMCS");
	G_EQ(vmx_try_enter(true), VM_INVALID, "VMLAUNCH without a current VMCS");
	G_EQ(vmx_try_enter(false), VM_INVALID, "VMRESUME without a current VMCS");
	G_EQ(vmclear(a + 1), VM_INVALID, "VMCLEAR misaligned, without a current VMCS");
	G_EQ(vmptrld(a + 1), VM_INVALID, "VMPTRLD misaligned, without a current VMCS");
	G_EQ(vmptrld(a), VM_OK, "VMPTRLD");
	vmptrst(&ptr);
	G_EQ(ptr, a, "current VMCS");
	G_EQ(vmclear(b + 1), VM_FAIL(E_VMCLEAR_ADDR), "VMCLEAR misaligned");
	G_EQ(vmclear(b + 0x800), VM_FAIL(E_VMCLEAR_ADDR), "VMCLEAR of half a page");
	G_EQ(vmclear(HUGE_ADDR), VM_FAIL(E_VMCLEAR_ADDR), "VMCLEAR beyond MAXPHYADDR");
	G_EQ(vmclear(1ul << phys), VM_FAIL(E_VMCLEAR_ADDR), "VMCLEAR just beyond MAXPHYADDR");
	G_EQ(vmclear(vmx_region_on), VM_FAIL(E_VMCLEAR_VMXON), "VMCLEAR of the VMXON region");
	G_EQ(vmptrld(b + 8), VM_FAIL(E_VMPTRLD_ADDR), "VMPTRLD misaligned");
	G_EQ(vmptrld(HUGE_ADDR), VM_FAIL(E_VMPTRLD_ADDR), "VMPTRLD beyond MAXPHYADDR");
	G_EQ(vmptrld(1ul << phys), VM_FAIL(E_VMPTRLD_ADDR), "VMPTRLD just beyond MAXPHYADDR");
	G_EQ(vmptrld(vmx_region_on), VM_FAIL(E_VMPTRLD_VMXON), "VMPTRLD of the VMXON region");
	*(u32 *)b ^= 2;
	G_EQ(vmptrld(b), VM_FAIL(E_VMPTRLD_REVISION), "VMPTRLD, wrong revision");
	*(u32 *)b ^= 2;
	if (!ctl_has(F_PROC2, SEC_SHADOW)) {
		*(u32 *)b |= 1u << 31;
		G_EQ(vmptrld(b), VM_FAIL(E_VMPTRLD_REVISION), "VMPTRLD, shadow bit");
		*(u32 *)b &= ~(1u << 31);
	}
	G_EQ(vmptrld(MMIO_HOLE), VM_FAIL(E_VMPTRLD_REVISION), "VMPTRLD at an address without memory");
	vmptrst(&ptr);
	G_EQ(ptr, a, "the current VMCS is unchanged");
	G_EQ(vmclear(b), VM_OK, "VMCLEAR of another VMCS");
	vmptrst(&ptr);
	G_EQ(ptr, a, "the current VMCS is unchanged");
	G_EQ(vmclear(a), VM_OK, "VMCLEAR of the current VMCS");
	vmptrst(&ptr);
	G_EQ(ptr, ~0ul, "no current VMCS after its VMCLEAR");
	G_EQ(vmclear(a), VM_OK, "VMCLEAR again");
	G_EQ(vmptrld(b), VM_OK, "VMPTRLD");
	G_EQ(vmptrld(b), VM_OK, "VMPTRLD of the current VMCS");
	vmptrst(&ptr);
	G_EQ(ptr, b, "current VMCS");
}

static void guest_operands(void)
{
	u64 *page, *pte, v;

	vmcs_new(NULL);
	page = g_page();
	pte = g_pte((u64)page);
	page[0] = vmx_region();
	v = page[0];
#define AT(insn, addr) ({ \
	u64 f__; \
	asm volatile(TRY(insn " (%1)") "mov %%r11, %0" : "=r" (f__) : "r" (addr) : "r11", "memory", "cc"); \
	f__; })
	G_EQ(AT("vmptrld", 0x8000000000000000ul), GP0, "VMPTRLD, operand not canonical");
	G_EQ(AT("vmclear", 0x8000000000000000ul), GP0, "VMCLEAR, operand not canonical");
	G_EQ(AT("vmptrst", 0x8000000000000000ul), GP0, "VMPTRST, operand not canonical");
	*pte &= ~2ul;
	invlpg((u64)page);
	G_EQ(AT("vmptrst", page), FAULT(VEC_PF, 3), "VMPTRST to a read-only page");
	G_EQ(read_cr2(), (u64)page, "CR2");
	G_EQ(AT("vmclear", page), NO_FAULT, "VMCLEAR reads its operand");
	*pte &= ~1ul;
	invlpg((u64)page);
	G_EQ(AT("vmptrld", page + 1), FAULT(VEC_PF, 0), "VMPTRLD of a page not present");
	G_EQ(read_cr2(), (u64)(page + 1), "CR2");
	G_EQ(AT("vmclear", page), FAULT(VEC_PF, 0), "VMCLEAR of a page not present");
	G_EQ(AT("vmptrst", page), FAULT(VEC_PF, 2), "VMPTRST to a page not present");
	*pte |= 3;
	invlpg((u64)page);
	G_EQ(page[0], v, "memory is unchanged");
	asm volatile("vmread %1, %0" : "=m" (page[1]) : "r" ((u64)F_HOST_CR3) : "cc");
	G_EQ(page[1], read_cr3(), "VMREAD to memory");
	page[1] = 0x1234567;
	asm volatile("vmwrite %0, %1" : : "m" (page[1]), "r" ((u64)F_HOST_CR3) : "cc");
	G_EQ(vmread(F_HOST_CR3), 0x1234567, "VMWRITE from memory");
	*pte &= ~1ul;
	invlpg((u64)page);
	{
		u64 f;

		asm volatile(TRY("vmread %1, %2") "mov %%r11, %0" : "=&r" (f) : "r" ((u64)F_HOST_CR3), "m" (page[1])
			     : "r11", "memory", "cc");
		G_EQ(f, FAULT(VEC_PF, 2), "VMREAD to a page not present");
		asm volatile(TRY("vmwrite %2, %1") "mov %%r11, %0" : "=&r" (f) : "r" ((u64)F_HOST_CR3), "m" (page[1])
			     : "r11", "memory", "cc");
		G_EQ(f, FAULT(VEC_PF, 0), "VMWRITE from a page not present");
	}
	/* Addressing: base, scaled index, displacement, RIP-relative, RSP-based, segment override. */
	*pte |= 1;
	invlpg((u64)page);
	v = 0;
	asm volatile("vmptrst 0x18(%0,%1,8)" : : "r" (page), "r" (5ul) : "memory", "cc");
	G_EQ(page[8] == ~0ul || page[8] != 0, 1, "VMPTRST, base, index and displacement");
	asm volatile("vmptrst scratch+8(%%rip)" : : : "memory", "cc");
	G_EQ(((volatile u64 *)scratch)[1], page[8], "VMPTRST, RIP-relative");
	asm volatile("sub $64, %%rsp; vmptrst 8(%%rsp); mov 8(%%rsp), %0; add $64, %%rsp" : "=r" (v) : : "memory", "cc");
	G_EQ(v, page[8], "VMPTRST on the stack");
	wrmsr(MSR_FS_BASE, (u64)page + 0x100);
	asm volatile("vmptrst %%fs:0x8" : : : "memory", "cc");
	G_EQ(page[0x108 / 8], page[8], "VMPTRST, FS base");
	/* An operand that crosses a page boundary. */
	page = g_pages(2);
	asm volatile("vmptrst (%0)" : : "r" ((u64)page + 4092) : "memory", "cc");
	v = *(volatile u64 *)((u64)page + 4092);
	G_EQ(v, ((volatile u64 *)scratch)[1], "VMPTRST across pages");
}

/* --- VMLAUNCH and VMRESUME --- */

static void l2_vmcall(void)
{
	for (;;)
		asm volatile("vmcall");
}

static u64 movss_launch(bool launch)
{
	u64 f, fl;

	/* vmx_enter() would separate MOV and entry. The entry fails, so host RSP and RIP do not matter. */
	if (launch)
		asm volatile("mov %%ss, %%eax; mov %%eax, %%ss\n1: vmlaunch; pushfq; popq %1; xor %0, %0"
			     : "=r" (f), "=r" (fl) : : "rax", "memory", "cc");
	else
		asm volatile("mov %%ss, %%eax; mov %%eax, %%ss\n1: vmresume; pushfq; popq %1; xor %0, %0"
			     : "=r" (f), "=r" (fl) : : "rax", "memory", "cc");
	return vmx_outcome(f, fl);
}

static void guest_launch(void)
{
	u64 vmcs = vmcs_new(l2_vmcall);

	G_EQ(vmx_try_enter(false), VM_FAIL(E_RESUME_NOT_LAUNCHED), "VMRESUME of a clear VMCS");
	G_EQ(movss_launch(true), VM_FAIL(E_MOVSS_BLOCKING), "VMLAUNCH after MOV SS");
	G_EQ(movss_launch(false), VM_FAIL(E_MOVSS_BLOCKING), "VMRESUME after MOV SS");
	G_EQ(vmx_try_enter(true), VM_OK, "VMLAUNCH");
	G_EQ(vmread(F_REASON), R_VMCALL, "exit reason");
	G_EQ(vmx_try_enter(true), VM_FAIL(E_LAUNCH_NOT_CLEAR), "VMLAUNCH of a launched VMCS");
	G_EQ(vmread(F_REASON), R_VMCALL, "a failed instruction leaves the exit reason unchanged");
	G_EQ(vmx_try_enter(false), VM_OK, "VMRESUME");
	G_EQ(vmclear(vmcs), VM_OK, "VMCLEAR");
	G_EQ(vmptrld(vmcs), VM_OK, "VMPTRLD");
	G_EQ(vmx_try_enter(false), VM_FAIL(E_RESUME_NOT_LAUNCHED), "VMRESUME after VMCLEAR");
	G_EQ(vmx_try_enter(true), VM_OK, "VMLAUNCH after VMCLEAR");
	/* VMPTRLD keeps the launch state. */
	G_EQ(vmptrld(vmx_region()), VM_OK, "VMPTRLD of another VMCS");
	G_EQ(vmptrld(vmcs), VM_OK, "VMPTRLD");
	G_EQ(vmx_try_enter(true), VM_FAIL(E_LAUNCH_NOT_CLEAR), "VMLAUNCH, launched before VMPTRLD");
	G_EQ(vmx_try_enter(false), VM_OK, "VMRESUME, launched before VMPTRLD");
	G_EQ(vmread(F_REASON), R_VMCALL, "exit reason");
}

/* --- INVEPT and INVVPID --- */

static u64 inv_ept(u64 type, u64 a, u64 b)
{
	return invept(type, (struct inv_desc) { a, b });
}

static u64 inv_vpid(u64 type, u64 a, u64 b)
{
	return invvpid(type, (struct inv_desc) { a, b });
}

static void guest_invept(void)
{
	u64 caps, eptp;

	vmx_on();
	if (!ept_caps() || !(rdmsr(MSR_VMX_EPT) & BIT(20))) {
		G_EQ(inv_ept(2, 0, 0), UD, "INVEPT, not supported");
		return;
	}
	caps = rdmsr(MSR_VMX_EPT);
	eptp = ept_new();
	G_EQ(inv_ept(0, 0, 0), VM_INVALID, "type 0, no current VMCS");
	vmcs_new(l2_vmcall);
	G_EQ(inv_ept(0, eptp, 0), VM_FAIL(E_BAD_INV_OPERAND), "type 0");
	G_EQ(inv_ept(3, eptp, 0), VM_FAIL(E_BAD_INV_OPERAND), "type 3");
	G_EQ(inv_ept(1ul << 33 | 1, eptp, 0), VM_FAIL(E_BAD_INV_OPERAND), "type with high bits");
	G_EQ(inv_ept(~0ul, eptp, 0), VM_FAIL(E_BAD_INV_OPERAND), "type -1");
	if (caps & BIT(25)) {
		G_EQ(inv_ept(1, eptp, 0), VM_OK, "single context");
		G_EQ(inv_ept(1, eptp | 0x80, 0), VM_FAIL(E_BAD_INV_OPERAND), "EPTP with a reserved bit");
		G_EQ(inv_ept(1, eptp ^ 1, 0), VM_FAIL(E_BAD_INV_OPERAND), "EPTP with a bad memory type");
		G_EQ(inv_ept(1, eptp ^ 0x8, 0), VM_FAIL(E_BAD_INV_OPERAND), "EPTP with a bad walk length");
		G_EQ(inv_ept(1, eptp | 1ul << 52, 0), VM_FAIL(E_BAD_INV_OPERAND), "EPTP beyond MAXPHYADDR");
		G_EQ(inv_ept(1, 0, 0), VM_FAIL(E_BAD_INV_OPERAND), "EPTP 0");
	}
	if (caps & BIT(26)) {
		G_EQ(inv_ept(2, 0, 0), VM_OK, "all contexts");
		G_EQ(inv_ept(2, ~0ul, 0), VM_OK, "all contexts ignore the EPTP");
	}
}

static void guest_invvpid(void)
{
	u64 caps, bad = VM_FAIL(E_BAD_INV_OPERAND);

	vmx_on();
	if (!ctl_has(F_PROC2, SEC_VPID) || !(rdmsr(MSR_VMX_EPT) >> 32 & 1)) {
		G_EQ(inv_vpid(2, 0, 0), UD, "INVVPID, not supported");
		return;
	}
	caps = rdmsr(MSR_VMX_EPT);
	vmcs_new(l2_vmcall);
	G_EQ(inv_vpid(4, 1, 0), bad, "type 4");
	G_EQ(inv_vpid(~0ul, 1, 0), bad, "type -1");
	G_EQ(inv_vpid(1ul << 32, 1, 0), bad, "type with high bits");
	if (caps & 1ul << 40) {
		G_EQ(inv_vpid(0, 1, 0x1000), VM_OK, "individual address");
		G_EQ(inv_vpid(0, 0, 0x1000), bad, "individual address, VPID 0");
		G_EQ(inv_vpid(0, 1, 0x8000000000000000ul), bad, "individual address, not canonical");
		G_EQ(inv_vpid(0, 1, 0x0000800000000000ul), bad, "individual address, just not canonical");
		G_EQ(inv_vpid(0, 0x10001, 0), bad, "individual address, reserved bits");
	}
	if (caps & 1ul << 41) {
		G_EQ(inv_vpid(1, 1, ~0ul), VM_OK, "single context");
		G_EQ(inv_vpid(1, 0, 0), bad, "single context, VPID 0");
		G_EQ(inv_vpid(1, 1ul << 63 | 1, 0), bad, "single context, reserved bits");
	}
	if (caps & 1ul << 42)
		G_EQ(inv_vpid(2, 0, 0), VM_OK, "all contexts");
	if (caps & 1ul << 43) {
		G_EQ(inv_vpid(3, 0xffff, 0), VM_OK, "single context but globals");
		G_EQ(inv_vpid(3, 0, 0), bad, "single context but globals, VPID 0");
	}
}

static void guest_vmfunc(void)
{
	u64 f;

	asm volatile(TRY(".byte 0x0f, 0x01, 0xd4") "mov %%r11, %0" : "=r" (f) : "a" (0), "c" (0) : "r11", "memory", "cc");
	G_EQ(f, UD, "VMFUNC outside VMX operation");
	vmx_on();
	asm volatile(TRY(".byte 0x0f, 0x01, 0xd4") "mov %%r11, %0" : "=r" (f) : "a" (0), "c" (0) : "r11", "memory", "cc");
	G_EQ(f, UD, "VMFUNC in VMX root operation");
}

#define V .flags = KSFT_VMX
static const struct ksft_test tests[] = {
	{ "#UD before VMXON and without CR4.VMXE", .guest = guest_before_vmxon, V },
	{ "CPL 3", .guest = guest_cpl3, V },
	{ "compatibility mode", .guest = guest_compat, V },
	{ "real mode", .host = host_real_mode },
	{ "virtual-8086 mode", .host = host_v86_mode },
	{ "VMXON and VMXOFF", .guest = guest_vmxon, V },
	{ "VMXON and VMXOFF 500 times with a current VMCS", .guest = guest_vmxon_often, V },
	{ "VMCLEAR, VMPTRLD, VMPTRST", .guest = guest_vmptr, V },
	{ "memory operands", .guest = guest_operands, V },
	{ "launch state", .guest = guest_launch, V },
	{ "INVEPT operands", .guest = guest_invept, V },
	{ "INVVPID operands", .guest = guest_invvpid, V },
	{ "VMFUNC in root operation", .guest = guest_vmfunc, V },
};
KSFT_MAIN(tests)
