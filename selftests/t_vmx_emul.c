// SPDX-License-Identifier: GPL-2.0
/* Instructions of L2 that L0 emulates: accesses go through L1's EPT, and its violations are reflected to L1. */
#include <string.h>
#include "vm.h"
#include "vmx.h"

#define DEV		MMIO_HOLE
#define ALIAS		0x18000000ul	/* L1's EPT maps the device here as well */
#define STR_PORT	0x300

/* The device's contents: the host serves accesses from these bytes, which L1 and L2 also see. */
static volatile u8 dev_mem[0x1000];
static volatile u64 dev_gpa;		/* address of the last access, as seen by the host */

static u8 buf[0x3000] __attribute__((aligned(4096)));
static u64 in_rdi, in_rcx, in_fault;

static void insb(u64 to, u64 n)
{
	in_rdi = to;
	in_rcx = n;
	asm volatile(TRY("rep insb") "mov %%r11, %2" : "+D" (in_rdi), "+c" (in_rcx), "=r" (in_fault) : "d" (STR_PORT)
		     : "r11", "memory", "cc");
}

#define CODE(name, text) \
extern char name[]; \
asm(".pushsection .text\n" #name ":\n" text "\n\tvmcall\n.popsection\n")

/* --- memory-mapped I/O --- */

static void l2_mmio(void)
{
	*(volatile u32 *)(DEV + 0x10) = 0x12345678;
	G_EQ(*(volatile u32 *)(dev_mem + 0x10), 0x12345678, "a store reaches the device");
	G_EQ(dev_gpa, DEV + 0x10, "its address");
	G_EQ(*(volatile u16 *)(ALIAS + 0x12), 0x1234, "a load through another L2 address");
	G_EQ(dev_gpa, DEV + 0x12, "the host sees L1's address");
	asm volatile("lock orb $0x80, (%0)" : : "r" (ALIAS + 0x10) : "memory", "cc");
	G_EQ(dev_mem[0x10], 0xf8, "RMW");
	asm volatile("vmcall");
}

static void guest_mmio(void)
{
	u64 eptp;

	vmcs_new(l2_mmio);
	eptp = ept_new();
	*ept_entry(eptp, ALIAS, 1) = DEV | EPT_RWX | EPT_MT_WB;
	ept_use(eptp);
	vmx_expect(R_VMCALL, "no exit to L1");
}

/* --- INS into a page that L1's EPT does not map --- */

static void l2_ins(void)
{
	insb((u64)buf + 0xff0, 40);
	asm volatile("vmcall");
}

static void check_bytes(void)
{
	u64 i;

	G_EQ(in_rcx, 0, "RCX at the end");
	G_EQ(in_rdi, (u64)buf + 0xff0 + 40, "RDI at the end");
	G_EQ(in_fault, NO_FAULT, "fault");
	for (i = 0; i < 40; i++)
		G_EQN(buf[0xff0 + i], i, "byte", i);
}

static void guest_violation(void)
{
	u64 eptp, *e;

	vmcs_new(l2_ins);
	eptp = ept_new();
	e = ept_entry(eptp, (u64)buf + 0x1000, 1);
	*e &= ~EPT_W;
	ept_use(eptp);
	vmx_expect(R_EPT_VIOLATION, "a page that L2 may not write");
	G_EQ(vmread(F_GUEST_PHYSICAL), (u64)buf + 0x1000, "guest-physical address");
	G_EQ(vmread(F_LINEAR), (u64)buf + 0x1000, "guest-linear address");
	G_EQ(vmread(F_QUAL) & 0x1bf, BIT(8) | BIT(7) | BIT(5) | BIT(3) | BIT(1), "qualification");
	G_EQ(l2.rcx, 24, "RCX: one page is done");
	G_EQ(l2.rdi, (u64)buf + 0x1000, "RDI");
	*e = (u64)(buf + 0x1000) | EPT_MT_WB | EPT_W;
	G_EQ(invept_all(), VM_OK, "INVEPT");
	vmx_expect(R_EPT_MISCONFIG, "a page that may only be written");
	G_EQ(vmread(F_GUEST_PHYSICAL), (u64)buf + 0x1000, "guest-physical address");
	*e |= EPT_RWX;
	G_EQ(invept_all(), VM_OK, "INVEPT");
	vmx_expect(R_VMCALL, "L2 ends");
	check_bytes();
}

/* --- the page table itself is not mapped --- */

static void guest_table_violation(void)
{
	u64 *pte = g_pte((u64)buf + 0x1000), eptp, *e;

	vmcs_new(l2_ins);
	eptp = ept_new();
	e = ept_entry(eptp, (u64)pte, 1);
	*e &= ~EPT_RWX;
	ept_use(eptp);
	/* The processor's page walk hits the violation before the string instruction is emulated. */
	vmx_expect(R_EPT_VIOLATION, "a page table that L2 may not read");
	G_EQ(vmread(F_GUEST_PHYSICAL) & ~0xffful, (u64)pte & ~0xffful, "guest-physical address");
	G_EQ(vmread(F_QUAL) & 0x180, BIT(7), "qualification: not the translated address");
	*e |= EPT_RWX;
	G_EQ(invept_all(), VM_OK, "INVEPT");
	vmx_expect(R_VMCALL, "L2 ends");
	check_bytes();
}

/* --- L2's own page faults --- */

static void guest_page_fault(void)
{
	u64 *pte = g_pte((u64)buf + 0x1000);

	vmcs_new(l2_ins);
	ept_use(ept_new());
	*pte &= ~2ul;
	invlpg((u64)buf + 0x1000);
	vmwrite(F_EXCEPTION_BITMAP, BIT(VEC_PF));
	vmx_expect(R_EXCEPTION, "#PF that L1 intercepts");
	G_EQ(vmread(F_INTR_INFO) & 0x80000fff, 0x80000b0e, "interruption information");
	G_EQ(vmread(F_INTR_ERROR), 3, "error code");
	G_EQ(vmread(F_QUAL), (u64)buf + 0x1000, "address");
	G_EQ(l2.rcx, 24, "RCX");
	vmwrite(F_EXCEPTION_BITMAP, 0);
	vmx_expect(R_VMCALL, "#PF that L2 handles");
	G_EQ(in_fault, FAULT(VEC_PF, 3), "L2's fault");
	G_EQ(in_rcx, 24, "RCX");
	*pte |= 2;
}

/* --- without EPT --- */

static void guest_no_ept(void)
{
	vmcs_new(l2_ins);
	vmx_expect(R_VMCALL, "L2 ends");
	check_bytes();
}

/* --- INS and OUTS are executed only if the exit was for them --- */

static u8 stale[0x2000] __attribute__((aligned(4096)));

/*
 * The first page replaces itself by the second in the page table, without
 * invalidation, and stores to the device. L0 finds OUTSB at that address.
 */
static const u8 stale_first[] = { 0x48, 0x89, 0x31, 0x88, 0x03, 0x0f, 0x0b };	/* mov %rsi, (%rcx); mov %al, (%rbx); ud2 */
static const u8 stale_second[] = { 0x0f, 0x0b, 0x90, 0x6e, 0x0f, 0x01, 0xc1 };	/* ud2; nop; outsb; vmcall */

extern char l2_stale[];
asm(".pushsection .text\nl2_stale: jmp *%rdi\n.popsection");

static void guest_stale(bool with_ept)
{
	u64 *pte = g_pte((u64)stale), old = *pte;

	g_copy(stale, stale_first, sizeof(stale_first));
	g_copy(stale + 0x1000, stale_second, sizeof(stale_second));
	vmcs_new((void (*)(void))(u64)l2_stale);
	need(F_PROC, PROC_IO, "no unconditional I/O exiting");
	vmset(F_PROC, PROC_IO);
	if (with_ept)
		ept_use(ept_new());
	l2.rdi = (u64)stale;
	l2.rcx = (u64)pte;
	l2.rsi = (old & 0xfff) | (u64)(stale + 0x1000);
	l2.rbx = DEV;
	l2.rdx = STR_PORT;
	vmx_expect(R_IO, "OUTSB exits to L1, and is not executed for the store's exit");
	G_EQ(vmread(F_QUAL) & 0xffff001f, STR_PORT << 16 | BIT(4), "qualification");
	*pte = old;
	invlpg((u64)stale);
}

static void guest_stale_ept(void)
{
	guest_stale(true);
}

static void guest_stale_no_ept(void)
{
	guest_stale(false);
}

/* --- an event of L2 whose delivery needs MMIO: L1 goes on --- */

CODE(l2_ud2, "ud2");
CODE(l2_int3_on_device, "mov %rbx, %rsp; int3");

static void guest_delivery(bool with_ept)
{
	vmcs_new((void (*)(void))(u64)l2_ud2);
	if (with_ept)
		ept_use(ept_new());
	vmwrite(F_EXCEPTION_BITMAP, 0);
	vmwrite(F_IDTR_BASE, DEV);
	/* KVM stops the whole machine, with KVM_INTERNAL_ERROR_DELIVERY_EV. */
	vmx_expect(R_TRIPLE_FAULT, "the IDT is on the device");
	vmcs_new((void (*)(void))(u64)l2_int3_on_device);
	if (with_ept)
		ept_use(ept_new());
	vmwrite(F_EXCEPTION_BITMAP, 0);
	l2.rbx = DEV + 0x800;
	vmx_expect(R_TRIPLE_FAULT, "the stack is on the device");
}

static void guest_delivery_ept(void)
{
	guest_delivery(true);
}

static void guest_delivery_no_ept(void)
{
	guest_delivery(false);
}

/* --- an operand on the APIC-access page, of an instruction that is emulated for the other operand --- */

CODE(l2_movsl, "movsl");
CODE(l2_cmpsl, "cmpsl");
CODE(l2_push, "mov %rdi, %rsp; push (%rsi)");

static void apic_operand(char *l2_code, u64 access, u64 want, const char *what)
{
	vmwrite(F_RIP, (u64)l2_code);
	l2.rsi = DEV + 0x10;
	l2.rdi = access + 0x30;
	vmx_expect(R_APIC_ACCESS, what);
	G_EQ(vmread(F_QUAL) & 0xffff, want, what);
	G_EQ(*(volatile u32 *)(access + 0x30), 0x30303030, "the page is not written");
	G_EQ(*(volatile u32 *)(access + 0x28), 0x30303030, "the page is not written");
}

static void guest_apic_operand(void)
{
	u64 access = (u64)g_page();

	vmcs_new((void (*)(void))(u64)l2_movsl);
	need_secondary(SEC_APIC_ACCESS, "no APIC-access page");
	ept_use(ept_new());
	g_fill((void *)access, 0x30, 0x1000);
	vmwrite(F_APIC_ACCESS, access);
	apic_operand(l2_movsl, access, 0x1030, "MOVS to the APIC-access page");
	apic_operand(l2_cmpsl, access, 0x0030, "CMPS with the APIC-access page");
	apic_operand(l2_push, access, 0x1028, "PUSH to the APIC-access page");
}

/* --- LMSW and SMSW of a bit that L1 owns --- */

CODE(l2_lmsw, "lmsw (%rsi)");
CODE(l2_smsw, "smsw (%rsi)");
CODE(l2_sgdt, "sgdt (%rsi)");

static void guest_lmsw(void)
{
	struct dtr gdtr;

	vmcs_new((void (*)(void))(u64)l2_lmsw);
	ept_use(ept_new());
	l2.rsi = DEV + 0x20;
	*(volatile u16 *)(dev_mem + 0x20) = read_cr0() | CR0_TS;
	vmwrite(F_CR0_MASK, CR0_TS);
	vmwrite(F_CR0_SHADOW, 0);
	vmx_expect(R_CR, "LMSW sets a bit that L1 owns");
	G_EQ(vmread(F_QUAL) & 0xffff007f, ((read_cr0() | CR0_TS) & 0xffff) << 16 | 0x70, "qualification");
	G_EQ(vmread(F_LINEAR), DEV + 0x20, "linear address");
	*(volatile u16 *)(dev_mem + 0x20) = read_cr0();
	vmx_expect(R_VMCALL, "LMSW of no such bit");
	vmwrite(F_RIP, (u64)l2_smsw);
	vmwrite(F_CR0_SHADOW, CR0_TS);
	vmx_expect(R_VMCALL, "SMSW");
	G_EQ(*(volatile u16 *)(dev_mem + 0x20), (u16)(read_cr0() | CR0_TS), "SMSW reads the shadow");
	vmwrite(F_RIP, (u64)l2_sgdt);
	vmx_expect(R_VMCALL, "SGDT");
	sgdt(&gdtr);
	G_EQ(*(volatile u64 *)(dev_mem + 0x22), vmread(F_GDTR_BASE), "the base of L2's GDT");
}

/* --- a task switch of L2 always exits to L1, before anything is changed --- */

static u8 task_tss[104] __attribute__((aligned(128)));

extern char l2_task[];
asm(".pushsection .text\n.code32\nl2_task: ljmp $0x48, $0\n.code64\n.popsection");

static void guest_task_switch(void)
{
	u64 *gdt, old;

	vmcs_new((void (*)(void))(u64)l2_task);
	ept_use(ept_new());
	need_secondary(SEC_UNRESTRICTED, "no unrestricted guest");
	vmclr(F_ENTRY_CTLS, ENTRY_IA32E);
	vmclr(F_GUEST_CR0, CR0_PG);
	vmclr(F_GUEST_CR4, CR4_PAE | CR4_PCIDE);
	vmwrite(F_CS_AR, 0xc09b);
	vmwrite(F_GUEST_CS, SEL_CS32);
	if (ctl_has(F_ENTRY_CTLS, ENTRY_LOAD_EFER))
		vmwrite(F_GUEST_EFER, 0);
	gdt = (u64 *)vmread(F_GDTR_BASE) + SEL_CS16 / 8;
	old = *gdt;
	*gdt = 0x0000890000000067 | (u64)task_tss << 16;
	vmx_expect(R_TASK_SWITCH, "JMP to a TSS");
	G_EQ(vmread(F_QUAL), SEL_CS16 | 2ul << 30, "qualification");
	G_EQ(vmread(F_ILEN), 7, "instruction length");
	G_EQ(vmread(F_RIP), (u64)l2_task, "RIP");
	G_EQ(*gdt >> 41 & 1, 0, "the TSS is not busy");
	*gdt = old;
}

/* --- the host's side --- */

static bool serve(struct vm *vm, struct kvm_run *run, u8 *next)
{
	u8 *data = (u8 *)run + run->io.data_offset;
	u8 *dev = (u8 *)GUEST(vm, dev_mem);
	u64 gpa = run->mmio.phys_addr;
	u32 i;

	if (run->exit_reason == KVM_EXIT_IO && run->io.port == STR_PORT && run->io.direction == KVM_EXIT_IO_IN) {
		for (i = 0; i < run->io.size * run->io.count; i++)
			data[i] = (*next)++;
		return true;
	}
	if (run->exit_reason != KVM_EXIT_MMIO || gpa < DEV || gpa + run->mmio.len > DEV + sizeof(dev_mem))
		return false;
	GUEST(vm, dev_gpa) = gpa;
	if (run->mmio.is_write)
		memcpy(dev + (gpa - DEV), run->mmio.data, run->mmio.len);
	else
		memcpy(run->mmio.data, dev + (gpa - DEV), run->mmio.len);
	return true;
}

static void run_l1(void (*fn)(void))
{
	struct vcpu *vcpu;
	struct vm vm;
	u8 next = 0;

	vm_create(&vm, 0);
	if (!vm_has_vmx(&vm))
		ksft_skip("no VMX for guests");
	vcpu = vcpu_create(&vm, 0, fn);
	while (vcpu_run_to_call(vcpu, NULL) != GCALL_DONE) {
		if (serve(&vm, vcpu->run, &next))
			continue;
		describe_exit(vcpu);
		ksft_abort(__FILE__, __LINE__, "unexpected exit");
	}
	vm_destroy(&vm);
}

#define HOST(name, fn) static void name(void) { run_l1(fn); }
HOST(host_mmio, guest_mmio)
HOST(host_violation, guest_violation)
HOST(host_table_violation, guest_table_violation)
HOST(host_page_fault, guest_page_fault)
HOST(host_no_ept, guest_no_ept)
HOST(host_stale_ept, guest_stale_ept)
HOST(host_stale_no_ept, guest_stale_no_ept)
HOST(host_delivery_ept, guest_delivery_ept)
HOST(host_delivery_no_ept, guest_delivery_no_ept)
HOST(host_apic_operand, guest_apic_operand)
HOST(host_lmsw, guest_lmsw)
HOST(host_task_switch, guest_task_switch)

extern char l2_in[];
asm(".pushsection .text\nl2_in: in $0x77, %al\n\tvmcall\n.popsection");

static void guest_bad_l2(void)
{
	vmcs_new((void (*)(void))(u64)l2_in);
	vmx_expect(R_TRIPLE_FAULT, "L2 shuts down after user space made its state invalid");
	vmwrite(F_RIP, (u64)l2_in + 2);
	vmwrite(F_TR_AR, 0x8b);
	vmx_expect(R_VMCALL, "L2 repaired");
}

/* An invalid state of L2 that only user space can set shuts down L2, not L1. */
static void host_bad_l2(void)
{
	struct kvm_sregs s;
	struct vcpu *vcpu;
	struct vm vm;

	vm_create(&vm, 0);
	if (!vm_has_vmx(&vm))
		ksft_skip("no VMX for guests");
	vcpu = vcpu_create(&vm, 0, guest_bad_l2);
	EQ(vcpu_run_to_call(vcpu, NULL), GCALL_NONE, "an exit");
	MUST(vcpu->run->exit_reason == KVM_EXIT_IO && vcpu->run->io.port == 0x77, "IN of L2");
	vcpu_sregs(vcpu, &s);
	s.tr.unusable = 1;
	vcpu_set_sregs(vcpu, &s);
	vcpu_run_to_end(vcpu);
	vm_destroy(&vm);
}

static const struct ksft_test tests[] = {
	{ "MMIO of L2 through L1's EPT", .host = host_mmio },
	{ "EPT violation and misconfiguration in the middle of INS", .host = host_violation },
	{ "EPT violation on a page table", .host = host_table_violation },
	{ "page faults in the middle of INS", .host = host_page_fault },
	{ "INS of L2 without EPT", .host = host_no_ept },
	{ "OUTS in the place of a store, with EPT", .host = host_stale_ept },
	{ "OUTS in the place of a store, without EPT", .host = host_stale_no_ept },
	{ "event delivery through MMIO, with EPT", .host = host_delivery_ept },
	{ "event delivery through MMIO, without EPT", .host = host_delivery_no_ept },
	{ "an operand on the APIC-access page", .host = host_apic_operand },
	{ "LMSW and SGDT on MMIO", .host = host_lmsw },
	{ "a task switch of L2", .host = host_task_switch },
	{ "an invalid state of L2", .host = host_bad_l2 },
};
KSFT_MAIN(tests)
