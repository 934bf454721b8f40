// SPDX-License-Identifier: GPL-2.0
/*
 * Stores of L1 and L2 to ioeventfds: which instructions signal, what is due after them, and what changes while they go on.
 * Each store is made several times, because Droste remembers instructions and page walks.
 */
#include <errno.h>
#include <linux/droste.h>
#include <pthread.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>
#include "stat.h"
#include "vm.h"
#include "vmx.h"

#define DEV		MMIO_HOLE		/* a write of any length signals */
#define DATA		(MMIO_HOLE + 0x10)	/* a write of 4 bytes signals if they are 7 */
#define OTHER		(MMIO_HOLE + 0x3000)	/* as DEV, with an eventfd of its own */
#define TIMES		4
#define VEC		0x41
#define WANTED		7

static u8 code[2][4096] __attribute__((aligned(4096)));
static u8 ram[4096] __attribute__((aligned(4096)));
static u64 in_l2;		/* the guest's code runs in L2; set before the VM is created, which copies it */
static u64 with_ept;		/* L1 uses EPT */
static u64 eptp;

/* --- the guest: code that is made of bytes, and runs in L1 or in L2 --- */

/* Code of L2, which ends by VMCALL. */
#define CODE(name, text) \
extern char name[]; \
asm(".pushsection .text\n.globl " #name "\n" #name ":\n" text "\n\tvmcall\n.popsection\n")

CODE(c_call, "call *%rdx");

static void put_code(u8 *to, const u8 *bytes, u64 n)
{
	g_fill(to, 0x90, 32);
	g_copy(to, bytes, n);
	to[n] = 0xc3;
}

static void prepare(void)
{
	if (!in_l2)
		return;
	vmcs_new((void (*)(void))(u64)c_call);
	eptp = ept_new();
	if (!with_ept)
		return;
	ept_use(eptp);
	/* As a hypervisor that passes a page of a device on. */
	ept_entry(eptp, DEV, 1);
}

static struct l2_regs with;	/* the registers of the code; RDX is its address */

/* Runs the code at @at once. In L2 it ends by VMCALL, and there is no other exit. */
static void run_code(u8 *at)
{
	with.rdx = (u64)at;
	if (in_l2) {
		l2 = with;
		vmwrite(F_RIP, (u64)c_call);
		vmx_expect(R_VMCALL, "L2 has run the code");
		return;
	}
	asm volatile("mov %0, %%rax; mov %1, %%rdi; mov %2, %%rsi; mov %3, %%rcx; mov %4, %%rbx; call *%%rdx"
		     : : "m" (with.rax), "m" (with.rdi), "m" (with.rsi), "m" (with.rcx), "m" (with.rbx), "d" (with.rdx)
		     : "rax", "rbx", "rcx", "rdi", "rsi", "r8", "r9", "r10", "r11", "memory", "cc");
}

static void run_bytes(const u8 *bytes, u64 n)
{
	put_code(code[0], bytes, n);
	run_code(code[0]);
}

/* --- the host: eventfds, and accesses that user space serves --- */

struct counts {
	u64 signals, reads, writes;
};

static int fds[2], data_fd;

static u64 drain(int fd)
{
	u64 n = 0;

	return read(fd, &n, sizeof(n)) == sizeof(n) ? n : 0;
}

static int bind_to(struct vm *vm, u64 addr, u32 len, u32 flags)
{
	struct kvm_ioeventfd e = { .addr = addr, .len = len, .flags = flags, .datamatch = WANTED,
				   .fd = eventfd(0, EFD_NONBLOCK) };

	MUST(e.fd >= 0, "eventfd: %s", strerror(errno));
	DO(vm->fd, KVM_IOEVENTFD, &e);
	return e.fd;
}

static struct vcpu *start(struct vm *vm, bool l2, unsigned int flags, void (*fn)(void))
{
	in_l2 = l2;
	vm_create(vm, flags);
	if (l2 && !vm_has_vmx(vm))
		ksft_skip("no VMX");
	if (ioctl(vm->fd, KVM_CHECK_EXTENSION, KVM_CAP_IOEVENTFD_ANY_LENGTH) <= 0)
		ksft_skip("no ioeventfds without a length");
	fds[0] = bind_to(vm, DEV, 0, 0);
	fds[1] = bind_to(vm, OTHER, 0, 0);
	data_fd = bind_to(vm, DATA, 4, KVM_IOEVENTFD_FLAG_DATAMATCH);
	return vcpu_create(vm, 0, fn);
}

/* Runs until the guest's next g_sync(), which must be number @stage, and counts what it did until then. */
static struct counts serve(struct vcpu *vcpu, u64 stage)
{
	struct kvm_run *run = vcpu->run;
	struct counts c = {};
	u64 args[4], kind;

	while ((kind = vcpu_run_to_call(vcpu, args)) == GCALL_NONE) {
		if (run->exit_reason != KVM_EXIT_MMIO) {
			describe_exit(vcpu);
			ksft_abort(__FILE__, __LINE__, "an exit that nothing asked for");
		}
		c.reads += !run->mmio.is_write;
		c.writes += run->mmio.is_write;
		memset(run->mmio.data, 0, sizeof(run->mmio.data));
	}
	MUST(kind == GCALL_SYNC, "call %llu", (long long)kind);
	EQ(args[0], stage, "stage");
	c.signals = drain(fds[0]);
	return c;
}

static void expect(struct vcpu *vcpu, u64 stage, u64 signals, u64 reads, u64 writes, const char *what)
{
	struct counts c = serve(vcpu, stage);

	EQ(c.signals, signals, "signals: %s", what);
	EQ(c.reads, reads, "reads: %s", what);
	EQ(c.writes, writes, "writes: %s", what);
}

/* KVM signals for any access, and does not execute the rest of the instruction. */
static void skip_on_kvm(void)
{
	if (device_path()[5] == 'k')
		ksft_skip("KVM does not tell reads from writes");
}

/* --- which instructions signal --- */

static const struct form {
	const char *name;
	u8 bytes[12], n;
	u8 signals, reads, writes;
} forms[] = {
	{ "mov %al, (%rbx)", { 0x88, 0x03 }, 2, 1 },
	{ "mov %ah, (%rbx)", { 0x88, 0x23 }, 2, 1 },
	{ "mov %ax, (%rbx)", { 0x66, 0x89, 0x03 }, 3, 1 },
	{ "mov %eax, (%rbx)", { 0x89, 0x03 }, 2, 1 },
	{ "mov %rax, (%rbx)", { 0x48, 0x89, 0x03 }, 3, 1 },
	{ "movb $5, (%rbx)", { 0xc6, 0x03, 5 }, 3, 1 },
	{ "movw $5, (%rbx)", { 0x66, 0xc7, 0x03, 5 }, 5, 1 },
	{ "movl $5, (%rbx)", { 0xc7, 0x03, 5 }, 6, 1 },
	{ "movq $5, (%rbx)", { 0x48, 0xc7, 0x03, 5 }, 7, 1 },
	{ "mov %eax, 0x10000000", { 0x89, 0x04, 0x25, 0, 0, 0, 0x10 }, 7, 1 },
	{ "movabs %eax, 0x10000000", { 0xa3, 0, 0, 0, 0x10 }, 9, 1 },
	{ "mov %eax, -8(%rbx, %rcx, 8)", { 0x89, 0x44, 0xcb, 0xf8 }, 4, 1 },
	{ "gs mov %eax, (%rbx)", { 0x65, 0x89, 0x03 }, 3, 1 },
	{ "mov %eax, 1(%rbx)", { 0x89, 0x43, 0x01 }, 3, 0, 0, 1 },
	{ "movnti %eax, (%rbx)", { 0x0f, 0xc3, 0x03 }, 3, 1 },
	{ "setnz (%rbx)", { 0x0f, 0x95, 0x03 }, 3, 1 },
	{ "stos", { 0xab }, 1, 1 },
	{ "rep stos", { 0xf3, 0xab }, 2, 1 },
	{ "mov $3, %ecx; rep stos", { 0xb9, 3, 0, 0, 0, 0xf3, 0xab }, 7, 1, 0, 2 },
	{ "xor %ecx, %ecx; rep stos", { 0x31, 0xc9, 0xf3, 0xab }, 4 },
	{ "movs", { 0xa5 }, 1, 1 },
	{ "xchg %eax, (%rbx)", { 0x87, 0x03 }, 2, 1, 1 },
	{ "add %eax, (%rbx)", { 0x01, 0x03 }, 2, 1, 1 },
	{ "lock or %eax, (%rbx)", { 0xf0, 0x09, 0x03 }, 3, 1, 1 },
	{ "lock cmpxchg %ecx, (%rbx)", { 0xf0, 0x0f, 0xb1, 0x0b }, 4, 1, 1 },
	{ "incl (%rbx)", { 0xff, 0x03 }, 2, 1, 1 },
	{ "mov (%rbx), %eax", { 0x8b, 0x03 }, 2, 0, 1 },
	{ "mov (%rbx), %al", { 0x8a, 0x03 }, 2, 0, 1 },
	{ "movzbl (%rbx), %eax", { 0x0f, 0xb6, 0x03 }, 3, 0, 1 },
	{ "test %eax, (%rbx)", { 0x85, 0x03 }, 2, 0, 1 },
	{ "cmpl $0, (%rbx)", { 0x83, 0x3b, 0 }, 3, 0, 1 },
	{ "xchg %rsi, %rdi; lods", { 0x48, 0x87, 0xf7, 0xad }, 4, 0, 1 },
};

static void guest_forms(void)
{
	u64 i, times;

	prepare();
	with = (struct l2_regs) { .rax = 5, .rbx = DEV, .rcx = 1, .rdi = DEV, .rsi = (u64)ram };
	for (i = 0; i < ARRAY_SIZE(forms); i++) {
		for (times = 0; times < TIMES; times++)
			run_bytes(forms[i].bytes, forms[i].n);
		g_sync(i);
	}
}

static void run_forms(bool l2, bool ept)
{
	struct vm vm;
	struct vcpu *vcpu;

	skip_on_kvm();
	with_ept = ept;
	vcpu = start(&vm, l2, 0, guest_forms);
	for (u64 i = 0; i < ARRAY_SIZE(forms); i++)
		expect(vcpu, i, TIMES * forms[i].signals, TIMES * forms[i].reads, TIMES * forms[i].writes, forms[i].name);
	vcpu_run_to_end(vcpu);
	vm_destroy(&vm);
}

static void host_forms(void)
{
	run_forms(false, false);
}

static void host_forms_l2(void)
{
	run_forms(true, true);
}

static void host_forms_l2_noept(void)
{
	run_forms(true, false);
}

/* An ioeventfd of 4 bytes takes no other length, and no other data. */
static const u8 store_4[] = { 0x89, 0x03 }, store_8[] = { 0x48, 0x89, 0x03 };

static void guest_data(void)
{
	u64 i;

	prepare();
	for (i = 0; i < 3 * TIMES; i++) {
		with = (struct l2_regs) { .rax = i % 3 == 1 ? WANTED + 1 : WANTED, .rbx = DATA };
		if (i % 3 == 2)
			run_bytes(store_8, sizeof(store_8));
		else
			run_bytes(store_4, sizeof(store_4));
		g_sync(i % 3);
	}
}

static void run_data(bool l2)
{
	struct vm vm;
	struct vcpu *vcpu;

	with_ept = true;
	vcpu = start(&vm, l2, 0, guest_data);
	for (u64 i = 0; i < 3 * TIMES; i++) {
		expect(vcpu, i % 3, 0, 0, i % 3 != 0, "length or data");
		EQ(drain(data_fd), i % 3 == 0, "signals of the ioeventfd with data");
	}
	vcpu_run_to_end(vcpu);
	vm_destroy(&vm);
}

static void host_data(void)
{
	run_data(false);
	run_data(true);
}

/* --- what is due after the store --- */

/* PUSHF, OR TF, POPF. */
#define SET_TF	0x9c, 0x81, 0x0c, 0x24, 0x00, 0x01, 0x00, 0x00, 0x9d
#define STORE	0x89, 0x03
static const u8 step_code[] = { SET_TF, STORE, 0x90, 0x90 };		/* the trap comes behind the store */
static const u8 ss_code[] = { 0x8c, 0xd1, SET_TF, 0x8e, 0xd1, STORE, 0x90, 0x90 };	/* MOV from SS, MOV to SS */
static const u8 sti_code[] = { 0xfb, STORE, 0x90, 0x90, 0xfa };
#define STEP_AT	11
#define SS_AT	15
#define STI_AT	3

static volatile u64 events, event_at, event_dr6;

static void on_event(struct trap_regs *r)
{
	events++;
	event_at = r->rip - (u64)code[0];
	event_dr6 = read_dr6();
	r->rflags &= ~RFLAGS_TF;
	/* apic_eoi() reads an MSR, which would be an exit of L2. */
	if (r->vector == VEC)
		*(volatile u32 *)(APIC_BASE + APIC_EOI) = 0;
}

static void expect_event(const u8 *bytes, u64 n, u64 at, const char *what)
{
	for (u64 i = 1; i <= TIMES; i++) {
		events = 0;
		write_dr6(0xffff0ff0);
		if (bytes == sti_code)
			apic_icr(0, VEC | 1 << 18);
		run_bytes(bytes, n);
		G_EQN(events, 1, what, i);
		G_EQN(event_at, at, what, i);
		if (bytes != sti_code)
			G_EQN(event_dr6 & BIT(14), BIT(14), "DR6.BS", i);
	}
}

static void guest_due(void)
{
	prepare();
	g_trap_fn[VEC_DB] = g_trap_fn[VEC] = on_event;
	apic_enable();
	with = (struct l2_regs) { .rax = 5, .rbx = DEV };
	/* Without an event first, so that all is remembered. */
	for (u64 i = 0; i < TIMES; i++)
		run_bytes(store_4, sizeof(store_4));
	expect_event(step_code, sizeof(step_code), STEP_AT, "a step over the store");
	expect_event(ss_code, sizeof(ss_code), SS_AT, "a step over MOV SS and the store");
	expect_event(sti_code, sizeof(sti_code), STI_AT, "an interrupt after STI and the store");
	g_sync(0);
}

static void run_due(bool l2)
{
	struct vm vm;
	struct vcpu *vcpu;

	with_ept = true;
	vcpu = start(&vm, l2, KSFT_IRQCHIP, guest_due);
	expect(vcpu, 0, 4 * TIMES, 0, 0, "stores with something due");
	vcpu_run_to_end(vcpu);
	vm_destroy(&vm);
}

static void host_due(void)
{
	run_due(false);
}

static void host_due_l2(void)
{
	run_due(true);
}

/* L1's monitor trap flag: an exit after each instruction of L2, also after one that L0 executes. */
static void guest_mtf(void)
{
	prepare();
	put_code(code[0], store_4, sizeof(store_4));
	with = (struct l2_regs) { .rax = 5, .rbx = DEV };
	for (u64 i = 0; i < TIMES; i++) {
		run_code(code[0]);
		vmset(F_PROC, PROC_MTF);
		vmwrite(F_RIP, (u64)code[0]);
		vmx_expect(R_MTF, "the exit after the store");
		G_EQ(vmread(F_RIP), (u64)code[0] + sizeof(store_4), "RIP");
		vmclr(F_PROC, PROC_MTF);
	}
	g_sync(0);
}

static void host_mtf(void)
{
	struct vm vm;
	struct vcpu *vcpu;

	with_ept = true;
	vcpu = start(&vm, true, 0, guest_mtf);
	expect(vcpu, 0, 2 * TIMES, 0, 0, "stores with the monitor trap flag");
	vcpu_run_to_end(vcpu);
	vm_destroy(&vm);
}

/* --- other bytes at the same address --- */

static void guest_bytes(void)
{
	static const u8 load[] = { 0x8b, 0x03 }, to_other[] = { 0x89, 0x07 };
	/* Stores to the same place, behind whose first two bytes is UD2. */
	static const u8 wide[] = { 0xc7, 0x03, 0x0f, 0x0b, 0x0f, 0x0b };
	u64 i, *pte, *e;

	prepare();
	with = (struct l2_regs) { .rax = 5, .rbx = DEV, .rdi = OTHER };
	for (i = 0; i < TIMES; i++) {
		run_bytes(store_4, sizeof(store_4));
		run_bytes(wide, sizeof(wide));
		run_bytes(load, sizeof(load));
		run_bytes(to_other, sizeof(to_other));
	}
	g_sync(0);
	/* Another page at the same linear address. */
	put_code(code[0], store_4, sizeof(store_4));
	put_code(code[1], wide, sizeof(wide));
	pte = g_pte((u64)code[0]);
	for (i = 0; i < 2 * TIMES; i++) {
		*pte = (*pte & 0xfff) | (u64)code[i & 1];
		invlpg((u64)code[0]);
		if (in_l2)
			invept_all();
		run_code(code[0]);
	}
	*pte = (*pte & 0xfff) | (u64)code[0];
	invlpg((u64)code[0]);
	g_sync(1);
	if (!in_l2)
		return;
	/* The same by EPT12. */
	e = ept_entry(eptp, (u64)code[0], 1);
	for (i = 0; i < 2 * TIMES; i++) {
		*e = (*e & 0xfff) | (u64)code[i & 1];
		invept_all();
		run_code(code[0]);
	}
	g_sync(2);
}

static void run_changed_bytes(bool l2)
{
	struct vm vm;
	struct vcpu *vcpu;

	skip_on_kvm();
	with_ept = true;
	vcpu = start(&vm, l2, 0, guest_bytes);
	expect(vcpu, 0, 2 * TIMES, TIMES, 0, "other bytes");
	EQ(drain(fds[1]), TIMES, "signals of the other one: other bytes");
	for (u64 stage = 1; stage <= (l2 ? 2 : 1); stage++)
		expect(vcpu, stage, 2 * TIMES, 0, 0, "another page of code");
	vcpu_run_to_end(vcpu);
	vm_destroy(&vm);
}

static void host_bytes(void)
{
	run_changed_bytes(false);
}

static void host_bytes_l2(void)
{
	run_changed_bytes(true);
}

/* --- what L1's EPT says --- */

static void store_exits(u64 reason, u64 at, const char *what)
{
	with.rdx = (u64)code[0];
	l2 = with;
	vmwrite(F_RIP, (u64)c_call);
	vmx_expect(reason, what);
	G_EQ(vmread(F_GUEST_PHYSICAL), at, what);
}

static void guest_ept(void)
{
	u64 i, *e, kept;

	prepare();
	put_code(code[0], store_4, sizeof(store_4));
	with = (struct l2_regs) { .rax = 5, .rbx = DEV };
	e = ept_entry(eptp, DEV, 1);
	kept = *e;
	for (i = 0; i < TIMES; i++) {
		run_code(code[0]);
		run_code(code[0]);
		*e = kept & ~EPT_W;
		invept_all();
		store_exits(R_EPT_VIOLATION, DEV, "a page that L2 may not write");
		G_EQ(vmread(F_QUAL) & 0x1bf, BIT(8) | BIT(7) | BIT(5) | BIT(3) | BIT(1), "qualification");
		*e = 0;
		invept_all();
		store_exits(R_EPT_VIOLATION, DEV, "no page");
		G_EQ(vmread(F_QUAL) & 0x1bf, BIT(8) | BIT(7) | BIT(1), "qualification");
		*e = kept & ~EPT_R;
		invept_all();
		store_exits(R_EPT_MISCONFIG, DEV, "a misconfigured entry");
		/* Memory instead of the device, and back. */
		*e = (u64)ram | EPT_RWX | EPT_MT_WB;
		invept_all();
		ram[0] = 0;
		run_code(code[0]);
		G_EQ(ram[0], 5, "the store goes to memory");
		*e = kept;
		invept_all();
	}
	g_sync(0);
	/* Without EPTP.AD, there are no flags. */
	G_EQ(*e & (EPT_A | EPT_D), 0, "flags");
	if (!(ept_caps() & BIT(21)))
		return;
	eptp |= BIT(6);
	vmwrite(F_EPTP, eptp);
	for (i = 0; i < TIMES; i++) {
		run_code(code[0]);
		G_EQ(*e & (EPT_A | EPT_D), EPT_A | EPT_D, "flags");
		*e &= ~(i & 1 ? EPT_D : EPT_A | EPT_D);
		invept_all();
	}
	g_sync(1);
}

static void host_ept(void)
{
	struct vm vm;
	struct vcpu *vcpu;

	with_ept = true;
	vcpu = start(&vm, true, 0, guest_ept);
	expect(vcpu, 0, 2 * TIMES, 0, 0, "stores that EPT12 allows");
	if (vcpu_run_to_call(vcpu, NULL) == GCALL_SYNC)
		EQ(drain(fds[0]), TIMES, "signals with flags");
	vm_destroy(&vm);
}

/* Where L1 puts the APIC-access page, L2's store is an access to its APIC, even if L1 has no memory there. */
static void guest_apic_page(void)
{
	prepare();
	put_code(code[0], store_4, sizeof(store_4));
	with = (struct l2_regs) { .rax = 5, .rbx = DEV };
	run_code(code[0]);
	run_code(code[0]);
	need_secondary(SEC_APIC_ACCESS, "no APIC accesses");
	vmwrite(F_APIC_ACCESS, DEV);
	for (u64 i = 0; i < TIMES; i++) {
		with.rdx = (u64)code[0];
		l2 = with;
		vmwrite(F_RIP, (u64)c_call);
		vmx_expect(R_APIC_ACCESS, "a store to the APIC-access page");
		G_EQ(vmread(F_QUAL), 1 << 12, "qualification");
	}
	vmclr(F_PROC2, SEC_APIC_ACCESS);
	invept_all();
	run_code(code[0]);
	g_sync(0);
}

static void host_apic_page(void)
{
	struct vm vm;
	struct vcpu *vcpu;

	with_ept = true;
	vcpu = start(&vm, true, 0, guest_apic_page);
	expect(vcpu, 0, 3, 0, 0, "stores that are not to the APIC-access page");
	vm_destroy(&vm);
}

/* --- stores take the short way, and those of L2 are no exits to L1 --- */

#define MANY	500

CODE(c_many, "mov %eax, (%rbx); dec %ecx; jnz c_many");

static void store_many(u64 n)
{
	if (!in_l2) {
		while (n--)
			*(volatile u32 *)DEV = n;
		return;
	}
	l2 = (struct l2_regs) { .rbx = DEV, .rcx = n };
	vmwrite(F_RIP, (u64)c_many);
	vmx_expect(R_VMCALL, "L2 is done");
}

static void guest_many(void)
{
	prepare();
	store_many(10);
	g_sync(0);
	store_many(MANY);
	g_sync(1);
}

static u64 sum(const __u64 *counts)
{
	u64 n = 0;

	for (u64 i = 0; i < DROSTE_NR_EXIT_REASONS; i++)
		n += counts[i];
	return n;
}

static void host_many(void)
{
	struct droste_exit_stats before, after;
	struct vm vm;
	struct vcpu *vcpu;
	u64 quick;

	for (unsigned int l2 = 0; l2 < 2; l2++) {
		with_ept = true;
		vcpu = start(&vm, l2, 0, guest_many);
		expect(vcpu, 0, 10, 0, 0, "some stores");
		if (ioctl(vcpu->fd, DROSTE_GET_EXIT_STATS, &before))
			ksft_skip("no exit statistics");
		quick = stat(vcpu, "short_exits");
		expect(vcpu, 1, MANY, 0, 0, "many stores");
		quick = stat(vcpu, "short_exits") - quick;
		DO(vcpu->fd, DROSTE_GET_EXIT_STATS, &after);
		EQ(l2 ? after.from_l2[R_EPT_VIOLATION] - before.from_l2[R_EPT_VIOLATION] :
		   after.exits[R_EPT_VIOLATION] - before.exits[R_EPT_VIOLATION], MANY, "one exit for each store");
		EQ(sum(after.reflected) - sum(before.reflected), l2, "L1 sees the VMCALL alone");
		/* Events of the host take some of them the general way. */
		OK(quick >= MANY / 2, "%llu of %u exits took the short way", (unsigned long long)quick, MANY);
		vm_destroy(&vm);
	}
}

/* --- memory comes and goes while vCPUs store --- */

struct hammer {
	volatile u64 stores;	/* made, or begun */
	volatile u64 stop;
};

static struct hammer hammers[2];
static volatile u64 next_hammer;

CODE(c_hammer, "incq (%rdi); mov (%rdi), %eax; mov %eax, (%rbx); cmpq $0, 8(%rdi); je c_hammer");

static void guest_hammer(void)
{
	struct hammer *h = &hammers[__atomic_fetch_add(&next_hammer, 1, __ATOMIC_SEQ_CST)];

	if (in_l2) {
		prepare();
		l2 = (struct l2_regs) { .rbx = DEV, .rdi = (u64)h };
		vmwrite(F_RIP, (u64)c_hammer);
		vmx_expect(R_VMCALL, "L2 is stopped");
		return;
	}
	while (!h->stop) {
		h->stores++;
		*(volatile u32 *)DEV = h->stores;
	}
}

static void wait_for_stores(struct vm *vm, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++) {
		u64 from = GUEST(vm, hammers)[i].stores;

		while (GUEST(vm, hammers)[i].stores < from + 50)
			sched_yield();
	}
}

/* Slots at the device: the stores go to memory at once, and to the device at once when the slot is gone. */
static void hammer_slots(struct vm *vm, unsigned int vcpus)
{
	u8 *mem = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	u64 i, first, last, stored;

	for (i = 0; i < 20; i++) {
		first = GUEST(vm, hammers)[0].stores;
		memset(mem, 0, 4096);
		/* Logging the other writes changes which way exits go. */
		vm_slot(vm, 0, i & 1 ? KVM_MEM_LOG_DIRTY_PAGES : 0, 0, MEM_SIZE, vm->mem);
		vm_slot(vm, 5, i & 2 ? KVM_MEM_LOG_DIRTY_PAGES : 0, DEV, 4096, mem);
		drain(fds[0]);
		wait_for_stores(vm, vcpus);
		EQ(drain(fds[0]), 0, "signals while there is memory");
		stored = *(volatile u32 *)mem;
		last = GUEST(vm, hammers)[0].stores;
		if (vcpus == 1)
			OK(stored > first && stored <= last, "the stores are in memory");
		vm_slot(vm, 5, 0, DEV, 0, mem);
		drain(fds[0]);
		memset(mem, 0, 4096);
		wait_for_stores(vm, vcpus);
		OK(drain(fds[0]) >= 40, "signals without memory");
		EQ(*(u32 *)mem, 0, "the memory that was there");
	}
}

/* Has stopped vCPUs store once more, to count the stores. */
static void hammer_count(struct vm *vm, unsigned int vcpus)
{
	u64 before[2] = {}, stores = 0;
	pthread_t threads[2];
	unsigned int i;

	drain(fds[0]);
	GUEST(vm, next_hammer) = 0;
	for (i = 0; i < vcpus; i++) {
		GUEST(vm, hammers)[i].stop = 0;
		before[i] = GUEST(vm, hammers)[i].stores;
	}
	for (i = 0; i < vcpus; i++) {
		vcpu_start(&vm->vcpu[i], guest_hammer, 0);
		vcpu_thread(&vm->vcpu[i], &threads[i]);
	}
	wait_for_stores(vm, vcpus);
	for (i = 0; i < vcpus; i++) {
		GUEST(vm, hammers)[i].stop = 1;
		pthread_join(threads[i], NULL);
	}
	for (i = 0; i < vcpus; i++)
		stores += GUEST(vm, hammers)[i].stores - before[i];
	EQ(drain(fds[0]), stores, "each store signals once");
}

static void run_hammer(bool l2, unsigned int vcpus)
{
	pthread_t threads[2];
	struct vm vm;
	unsigned int i;

	with_ept = true;
	start(&vm, l2, 0, guest_hammer);
	if (vcpus == 2)
		vcpu_create(&vm, 1, guest_hammer);
	for (i = 0; i < vcpus; i++)
		vcpu_thread(&vm.vcpu[i], &threads[i]);
	wait_for_stores(&vm, vcpus);
	hammer_slots(&vm, vcpus);
	for (i = 0; i < vcpus; i++) {
		GUEST(&vm, hammers)[i].stop = 1;
		pthread_join(threads[i], NULL);
	}
	/* An L1 that is in VMX operation cannot start again. */
	if (!l2)
		hammer_count(&vm, vcpus);
	vm_destroy(&vm);
}

static void host_hammer(void)
{
	run_hammer(false, 2);
	run_hammer(false, 1);
}

static void host_hammer_l2(void)
{
	run_hammer(true, 1);
}

/* The binding goes away while the guest stores: each store signals, or exits to user space. */
static void host_unbind(void)
{
	struct vm vm;
	struct vcpu *vcpu;

	for (unsigned int l2 = 0; l2 < 2; l2++) {
		struct kvm_ioeventfd e = { .addr = DEV };

		with_ept = true;
		vcpu = start(&vm, l2, 0, guest_data);
		e.fd = fds[0];
		e.flags = KVM_IOEVENTFD_FLAG_DEASSIGN;
		for (u64 i = 0; i < 6; i++)
			expect(vcpu, i % 3, 0, 0, i % 3 != 0, "bound");
		EQ(drain(data_fd), 2, "signals");
		DO(vm.fd, KVM_IOEVENTFD, &e);
		e = (struct kvm_ioeventfd) { .addr = DATA, .len = 4, .datamatch = WANTED, .fd = data_fd,
					     .flags = KVM_IOEVENTFD_FLAG_DEASSIGN | KVM_IOEVENTFD_FLAG_DATAMATCH };
		DO(vm.fd, KVM_IOEVENTFD, &e);
		for (u64 i = 6; i < 3 * TIMES; i++)
			expect(vcpu, i % 3, 0, 0, 1, "not bound any more");
		EQ(drain(data_fd), 0, "signals");
		vm_destroy(&vm);
	}
}

static const struct ksft_test tests[] = {
	{ "which instructions signal", .host = host_forms },
	{ "which instructions of L2 signal", .host = host_forms_l2 },
	{ "which instructions of L2 signal, without EPT in L1", .host = host_forms_l2_noept },
	{ "an ioeventfd with a length and data", .host = host_data },
	{ "a step, MOV SS and STI before a store", .host = host_due },
	{ "a step, MOV SS and STI before a store of L2", .host = host_due_l2 },
	{ "the monitor trap flag", .host = host_mtf },
	{ "other bytes at the same address", .host = host_bytes },
	{ "other bytes at the same address of L2", .host = host_bytes_l2 },
	{ "L1's EPT forbids, maps elsewhere, and has flags", .host = host_ept },
	{ "L1's APIC-access page at a device", .host = host_apic_page },
	{ "stores take the short way, and L2's are no exits to L1", .host = host_many },
	{ "memory comes and goes under the stores", .host = host_hammer },
	{ "memory comes and goes under L2's stores", .host = host_hammer_l2 },
	{ "bindings go away", .host = host_unbind },
};
KSFT_MAIN(tests)
