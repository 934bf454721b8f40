// SPDX-License-Identifier: GPL-2.0
/* MMIO and ports: what changes until an exit is finished, and between two that look alike; stores to the local APIC. */
#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include "guest.h"
#include "vm.h"

#define DEV	MMIO_HOLE	/* a device whose registers read as ANSWER, plus their offset */
#define ANSWER	0x8123456789abcd00ul
#define PORT	0x310

static u8 code[2][4096] __attribute__((aligned(4096)));
static u8 ram[4096] __attribute__((aligned(4096)));

struct regs {
	u64 rax, rbx, rcx, rdx, rsi;
};

static struct regs seen;	/* what the guest has after its instruction */
static u64 dev_pte;		/* guest-physical address of the entry that maps the device */

/* Runs the instruction at @insn, which a RET follows. */
static void run_insn(const void *insn, struct regs *r)
{
	asm volatile("call *%5"
		     : "+a" (r->rax), "+b" (r->rbx), "+c" (r->rcx), "+d" (r->rdx), "+S" (r->rsi)
		     : "r" (insn) : "memory", "cc", "r8", "r9", "r10", "r11");
}

static void put_insn(u8 *to, const void *insn, u8 n)
{
	g_fill(to, 0x90, 16);
	g_copy(to, insn, n);
	to[15] = 0xc3;
}

/* --- one exit, during which something changes --- */

/* Instructions that read the device at (%rbx) into RAX, or port DX. */
enum insn { LOAD, ADD, REPLACED_LOAD, REPLACED_ADD, IN, NR_INSNS };
static const u8 insns[NR_INSNS][3] = {
	[LOAD] = { 0x48, 0x8b, 0x03 },			/* mov (%rbx), %rax */
	[ADD] = { 0x48, 0x03, 0x03 },			/* add (%rbx), %rax */
	[REPLACED_LOAD] = { 0x48, 0x8b, 0x0b },		/* mov (%rbx), %rcx */
	[REPLACED_ADD] = { 0x48, 0x2b, 0x03 },		/* sub (%rbx), %rax */
	[IN] = { 0xed, 0x90, 0x90 },			/* in %dx, %eax */
};

static u64 which;		/* enum insn; the guest's copy is made when the VM is created */

static void guest_once(void)
{
	struct regs r = { .rax = 5, .rbx = DEV, .rcx = 6, .rdx = PORT, .rsi = 7 };

	dev_pte = (u64)g_pte(DEV);
	put_insn(code[0], insns[which], 3);
	run_insn(code[0], &r);
	seen = r;
}

static void answer(struct kvm_run *run)
{
	u64 val = ANSWER;

	if (run->exit_reason == KVM_EXIT_IO) {
		EQ(run->io.port, PORT, "port");
		memcpy((u8 *)run + run->io.data_offset, &val, run->io.size);
		return;
	}
	MUST(run->exit_reason == KVM_EXIT_MMIO && !run->mmio.is_write, "exit %u", run->exit_reason);
	val += run->mmio.phys_addr - DEV;
	memcpy(run->mmio.data, &val, run->mmio.len);
}

/* Starts a guest and answers its exit, which is not finished yet. */
static struct vcpu *open_exit(struct vm *vm, enum insn insn)
{
	struct vcpu *vcpu;

	which = insn;
	vm_create(vm, 0);
	vcpu = vcpu_create(vm, 0, guest_once);
	EQ(vcpu_run_to_call(vcpu, NULL), GCALL_NONE, "an exit");
	answer(vcpu->run);
	return vcpu;
}

static u64 result(enum insn insn, u64 rax)
{
	return insn == LOAD ? ANSWER : insn == ADD ? rax + ANSWER : (u32)ANSWER;
}

/* The guest ends without a further exit. */
static void close_exit(struct vm *vm, struct vcpu *vcpu, u64 rax, u64 rcx, const char *what)
{
	vcpu_run_to_end(vcpu);
	EQ(GUEST(vm, seen).rax, rax, "%s: RAX, instruction %u", what, (unsigned int)which);
	EQ(GUEST(vm, seen).rcx, rcx, "%s: RCX, instruction %u", what, (unsigned int)which);
	EQ(GUEST(vm, seen).rsi, 7, "%s: RSI, instruction %u", what, (unsigned int)which);
	vm_destroy(vm);
}

static const enum insn reads[] = { LOAD, ADD, IN };
#define FOR_READS(i)	for (i = 0; i < ARRAY_SIZE(reads); i++)

static void host_untouched(void)
{
	struct vm vm;
	size_t i;

	FOR_READS(i)
		close_exit(&vm, open_exit(&vm, reads[i]), result(reads[i], 5), 6, "untouched");
}

/*
 * KVM's API leaves the state open until KVM_RUN has finished the exit. On kvm_intel
 * a read of MMIO is lost if registers are set before; Droste finishes it.
 */
static void skip_on_kvm(void)
{
	if (device_path()[5] == 'k')
		ksft_skip("KVM loses a read of MMIO if registers are set meanwhile");
}

static void host_looked_at(void)
{
	struct kvm_sregs sregs;
	struct kvm_regs regs;
	struct vcpu *vcpu;
	struct vm vm;
	size_t i;

	skip_on_kvm();
	FOR_READS(i) {
		vcpu = open_exit(&vm, reads[i]);
		vcpu_regs(vcpu, &regs);
		EQ(regs.rip, (u64)code[0], "RIP");
		EQ(regs.rax, 5, "RAX");
		vcpu_set_regs(vcpu, &regs);
		vcpu_sregs(vcpu, &sregs);
		vcpu_set_sregs(vcpu, &sregs);
		close_exit(&vm, vcpu, result(reads[i], 5), 6, "looked at");
	}
}

/* Registers that user space sets count; the instruction still is the one that waits. */
static void host_registers(void)
{
	struct kvm_regs regs;
	struct vcpu *vcpu;
	struct vm vm;
	size_t i;

	skip_on_kvm();
	FOR_READS(i) {
		vcpu = open_exit(&vm, reads[i]);
		vcpu_regs(vcpu, &regs);
		regs.rcx = 0x1234;
		regs.rax = 0x100;
		vcpu_set_regs(vcpu, &regs);
		close_exit(&vm, vcpu, result(reads[i], 0x100), 0x1234, "KVM_SET_REGS");
	}
}

static void host_sync_regs(void)
{
	struct kvm_run *run;
	struct vcpu *vcpu;
	struct vm vm;
	size_t i;

	skip_on_kvm();
	FOR_READS(i) {
		vcpu = open_exit(&vm, reads[i]);
		run = vcpu->run;
		vcpu_regs(vcpu, &run->s.regs.regs);
		run->s.regs.regs.rcx = 0x4321;
		run->s.regs.regs.rax = 0x200;
		run->kvm_dirty_regs = KVM_SYNC_X86_REGS;
		close_exit(&vm, vcpu, result(reads[i], 0x200), 0x4321, "kvm_dirty_regs");
	}
}

/* The same without any ioctl in between, so that nothing else tells that the registers are new. */
static void host_sync_regs_only(void)
{
	struct kvm_run *run;
	struct vcpu *vcpu;
	struct vm vm;
	size_t i;

	skip_on_kvm();
	FOR_READS(i) {
		which = reads[i];
		vm_create(&vm, 0);
		vcpu = vcpu_create(&vm, 0, guest_once);
		run = vcpu->run;
		run->kvm_valid_regs = KVM_SYNC_X86_REGS;
		EQ(vcpu_run_once(vcpu), 0, "KVM_RUN");
		answer(run);
		EQ(run->s.regs.regs.rcx, 6, "RCX in the page");
		run->s.regs.regs.rcx = 0x4321;
		run->s.regs.regs.rax = 0x200;
		run->kvm_dirty_regs = KVM_SYNC_X86_REGS;
		run->kvm_valid_regs = 0;
		close_exit(&vm, vcpu, result(reads[i], 0x200), 0x4321, "kvm_dirty_regs alone");
	}
}

/* User space moves RIP in the page: nothing is finished. */
static void host_sync_regs_moved(void)
{
	struct kvm_run *run;
	struct vcpu *vcpu;
	struct vm vm;
	size_t i;

	FOR_READS(i) {
		which = reads[i];
		vm_create(&vm, 0);
		vcpu = vcpu_create(&vm, 0, guest_once);
		run = vcpu->run;
		run->kvm_valid_regs = KVM_SYNC_X86_REGS;
		EQ(vcpu_run_once(vcpu), 0, "KVM_RUN");
		answer(run);
		run->s.regs.regs.rip += 15;		/* the RET */
		run->kvm_dirty_regs = KVM_SYNC_X86_REGS;
		run->kvm_valid_regs = 0;
		close_exit(&vm, vcpu, 5, 6, "RIP moved");
	}
}

/* KVM_RUN refuses registers, and the exit stays open; then it is finished. */
static void host_refused(void)
{
	struct vcpu *vcpu;
	struct vm vm;
	size_t i;

	FOR_READS(i) {
		vcpu = open_exit(&vm, reads[i]);
		vcpu->run->kvm_dirty_regs = 0x80;
		EQ(vcpu_run_once(vcpu), -EINVAL, "an unknown set");
		vcpu->run->kvm_dirty_regs = 0;
		close_exit(&vm, vcpu, result(reads[i], 5), 6, "refused once");
	}
}

/* The instruction in memory is replaced by another while the first one waits, by another CPU of the guest, say. */
static void host_code(void)
{
	static const enum insn others[] = { REPLACED_LOAD, REPLACED_ADD };
	struct vcpu *vcpu;
	struct vm vm;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(others); i++) {
		vcpu = open_exit(&vm, reads[i]);
		memcpy(GUEST(&vm, code)[0], insns[others[i]], 3);
		close_exit(&vm, vcpu, result(reads[i], 5), 6, "code");
	}
}

/* The operand's translation changes while the instruction waits: its access has been made already. */
static void host_page_tables(void)
{
	struct vcpu *vcpu;
	struct vm vm;
	size_t i;
	u64 *pte;

	FOR_READS(i) {
		vcpu = open_exit(&vm, reads[i]);
		pte = (u64 *)(vm.mem + GUEST(&vm, dev_pte));
		*pte = (*pte & 0xfff) | (u64)ram;
		close_exit(&vm, vcpu, result(reads[i], 5), 6, "page tables");
	}
}

static void host_immediate_exit(void)
{
	struct kvm_regs regs;
	struct vcpu *vcpu;
	struct vm vm;
	size_t i;

	FOR_READS(i) {
		vcpu = open_exit(&vm, reads[i]);
		vcpu->run->immediate_exit = 1;
		EQ(vcpu_run_once(vcpu), -EINTR, "immediate_exit");
		vcpu->run->immediate_exit = 0;
		vcpu_regs(vcpu, &regs);
		EQ(regs.rax, result(reads[i], 5), "RAX");
		EQ(regs.rip, (u64)code[0] + (reads[i] == IN ? 1 : 3), "RIP");
		close_exit(&vm, vcpu, result(reads[i], 5), 6, "immediate_exit");
	}
}

/* --- accesses that look alike: the same RIP, with other instructions, in other pages --- */

struct form {
	u8 insn[10];
	u8 n;
	u64 rax, rcx;	/* afterwards, with 5 and 6 before */
};

static const struct form forms[] = {
	{ { 0x8b, 0x03 }, 2, (u32)ANSWER, 6 },				/* mov (%rbx), %eax */
	{ { 0x8b, 0x0b }, 2, 5, (u32)ANSWER },				/* mov (%rbx), %ecx */
	{ { 0x48, 0x8b, 0x43, 0x08 }, 4, ANSWER + 8, 6 },		/* mov 8(%rbx), %rax */
	{ { 0x48, 0x8b, 0x43, 0x10 }, 4, ANSWER + 16, 6 },		/* mov 16(%rbx), %rax */
	{ { 0x8a, 0x43, 0x02 }, 3, 2, 6 },				/* mov 2(%rbx), %al */
	{ { 0x8a, 0x63, 0x02 }, 3, 0x205, 6 },				/* mov 2(%rbx), %ah */
	{ { 0x40, 0x8a, 0x4b, 0x07 }, 4, 5, 7 },			/* rex mov 7(%rbx), %cl */
	{ { 0x66, 0x8b, 0x43, 0x04 }, 4, (u16)(ANSWER + 4), 6 },	/* mov 4(%rbx), %ax */
	{ { 0x0f, 0xb6, 0x4b, 0x01 }, 4, 5, 1 },			/* movzbl 1(%rbx), %ecx */
	{ { 0x48, 0x0f, 0xbf, 0x03 }, 4, (u64)(s64)(int16_t)ANSWER, 6 },	/* movswq (%rbx), %rax */
	{ { 0x48, 0x63, 0x03 }, 3, (u64)(s64)(int32_t)ANSWER, 6 },	/* movslq (%rbx), %rax */
	{ { 0x66, 0x0f, 0xbe, 0x0b }, 4, 5, 0 },			/* movsbw (%rbx), %cx */
	{ { 0x48, 0x8b, 0x04, 0xcb }, 4, ANSWER + 48, 6 },		/* mov (%rbx,%rcx,8), %rax */
	{ { 0x67, 0x8b, 0x43, 0x20 }, 4, (u32)(ANSWER + 32), 6 },	/* mov 32(%ebx), %eax */
	{ { 0x8b, 0x04, 0x25, 0x40, 0, 0, DEV >> 24 }, 7, (u32)(ANSWER + 64), 6 },	/* mov DEV+64, %eax */
	{ { 0xf3, 0x8b, 0x03 }, 3, (u32)ANSWER, 6 },			/* rep mov (%rbx), %eax */
	{ { 0xa1, 0x50, 0, 0, DEV >> 24, 0, 0, 0, 0 }, 9, (u32)(ANSWER + 80), 6 },	/* movabs DEV+80, %eax */
	{ { 0x48, 0x03, 0x03 }, 3, ANSWER + 5, 6 },			/* add (%rbx), %rax */
	{ { 0x8b, 0x43, 0x03 }, 3, (u32)(ANSWER + 3), 6 },		/* mov 3(%rbx), %eax, unaligned */
	{ { 0x48, 0x0f, 0x38, 0xf0, 0x03 }, 5, __builtin_bswap64(ANSWER), 6 },	/* movbe (%rbx), %rax */
};

static void check_forms(u8 *at, u8 *write)
{
	u64 i, round;

	for (round = 0; round < 2; round++) {
		for (i = 0; i < ARRAY_SIZE(forms); i++) {
			struct regs r = { .rax = 5, .rbx = DEV, .rcx = 6 };

			put_insn(write, forms[i].insn, forms[i].n);
			run_insn(at, &r);
			G_EQN(r.rax, forms[i].rax, "RAX", i);
			G_EQN(r.rcx, forms[i].rcx, "RCX", i);
		}
	}
}

static void guest_forms(void)
{
	check_forms(code[0], code[0]);
	/* Close to the end of a page, and across it. */
	check_forms(code[0] + 4096 - 16, code[0] + 4096 - 16);
	check_forms(code[0] + 4096 - 2, code[0] + 4096 - 2);
}

/* RIP-relative, to the device; the length of the immediate counts. */
static void guest_rip_relative(void)
{
	u8 insn[6] = { 0x8b, 0x05 };	/* mov disp(%rip), %eax */
	struct regs r = { .rax = 5 };
	s64 disp = DEV + 24 - ((u64)code[0] + 6);

	g_copy(insn + 2, &disp, 4);
	put_insn(code[0], insn, 6);
	run_insn(code[0], &r);
	G_EQ(r.rax, (u32)(ANSWER + 24), "RAX");
}

/* One address, two pages: the tables decide which instruction is there, without any exit. */
static void guest_code_pages(void)
{
	u64 i, *pte = g_pte((u64)code[0]), first = *pte, second = (first & 0xfff) | (u64)code[1];
	struct regs r;

	put_insn(code[0], (u8[]){ 0x8b, 0x03 }, 2);
	put_insn(code[1], (u8[]){ 0x8b, 0x0b }, 2);
	for (i = 0; i < 6; i++) {
		*(volatile u64 *)pte = i & 1 ? second : first;
		invlpg((u64)code[0]);
		r = (struct regs) { .rax = 5, .rbx = DEV, .rcx = 6 };
		run_insn(code[0], &r);
		G_EQN(r.rax, i & 1 ? 5 : (u32)ANSWER, "RAX", i);
		G_EQN(r.rcx, i & 1 ? (u32)ANSWER : 6, "RCX", i);
	}
}

static void serve_loads(struct vcpu *vcpu)
{
	for (;;) {
		if (vcpu_run_to_call(vcpu, NULL) == GCALL_DONE)
			return;
		answer(vcpu->run);
	}
}

#define SERVED(name, fn) \
static void name(void) \
{ \
	struct vm vm; \
\
	vm_create(&vm, 0); \
	serve_loads(vcpu_create(&vm, 0, fn)); \
	vm_destroy(&vm); \
}
SERVED(host_forms, guest_forms)
SERVED(host_rip_relative, guest_rip_relative)
SERVED(host_code_pages, guest_code_pages)

/* --- stores --- */

static const struct store {
	u8 insn[8], n, len;
	u64 val, offset;
} stores[] = {
	{ { 0x89, 0x03 }, 2, 4, 0x55667788, 0 },				/* mov %eax, (%rbx) */
	{ { 0x48, 0x89, 0x43, 0x08 }, 4, 8, 0x1122334455667788, 8 },		/* mov %rax, 8(%rbx) */
	{ { 0x88, 0x63, 0x03 }, 3, 1, 0x77, 3 },				/* mov %ah, 3(%rbx) */
	{ { 0x40, 0x88, 0x73, 0x03 }, 4, 1, 0x07, 3 },				/* mov %sil, 3(%rbx) */
	{ { 0x66, 0x89, 0x43, 0x02 }, 4, 2, 0x7788, 2 },			/* mov %ax, 2(%rbx) */
	{ { 0xc7, 0x03, 1, 2, 3, 4 }, 6, 4, 0x04030201, 0 },			/* movl $0x4030201, (%rbx) */
	{ { 0x48, 0xc7, 0x03, 0xfe, 0xff, 0xff, 0xff }, 7, 8, -2ul, 0 },	/* movq $-2, (%rbx) */
	{ { 0xc6, 0x43, 0x05, 0x99 }, 4, 1, 0x99, 5 },				/* movb $0x99, 5(%rbx) */
	{ { 0x0f, 0xc3, 0x43, 0x04 }, 4, 4, 0x55667788, 4 },			/* movnti %eax, 4(%rbx) */
};

static void guest_stores(void)
{
	u64 i;

	for (i = 0; i < ARRAY_SIZE(stores); i++) {
		struct regs r = { .rax = 0x1122334455667788, .rbx = DEV, .rsi = 7 };

		put_insn(code[0], stores[i].insn, stores[i].n);
		run_insn(code[0], &r);
		g_sync(i);
	}
}

static void host_stores(void)
{
	struct vcpu *vcpu;
	struct vm vm;
	u64 i, got;

	vm_create(&vm, 0);
	vcpu = vcpu_create(&vm, 0, guest_stores);
	for (i = 0; i < ARRAY_SIZE(stores); i++) {
		EQ(vcpu_run_to_call(vcpu, NULL), GCALL_NONE, "an exit");
		MUST(vcpu->run->exit_reason == KVM_EXIT_MMIO && vcpu->run->mmio.is_write, "exit");
		got = 0;
		memcpy(&got, vcpu->run->mmio.data, vcpu->run->mmio.len);
		EQ(vcpu->run->mmio.len, stores[i].len, "length of store %u", (unsigned int)i);
		EQ(vcpu->run->mmio.phys_addr, DEV + stores[i].offset, "address of store %u", (unsigned int)i);
		EQ(got, stores[i].val, "data of store %u", (unsigned int)i);
		vcpu_run_to_sync(vcpu, i);
	}
	vcpu_run_to_end(vcpu);
	vm_destroy(&vm);
}

/* --- instructions that store to the APIC's page --- */

/* Instructions of the same length; each stores to RDI. @tpr: the TPR afterwards, if EAX was 0x35 and ECX 0x46. */
static const struct {
	u8 code[7];
	u8 tpr, eax;	/* EAX after it */
	u8 moves;	/* RDI after it, minus RDI before */
} apic_stores[] = {
	{ { 0x89, 0x07, 0x90, 0x90, 0x90, 0x90, 0xc3 }, 0x35, 0x35, 0 },	/* mov %eax, (%rdi) */
	{ { 0x89, 0x0f, 0x90, 0x90, 0x90, 0x90, 0xc3 }, 0x46, 0x35, 0 },	/* mov %ecx, (%rdi) */
	{ { 0xc7, 0x07, 0x57, 0x00, 0x00, 0x00, 0xc3 }, 0x57, 0x35, 0 },	/* movl $0x57, (%rdi) */
	{ { 0xc7, 0x07, 0x68, 0x00, 0x00, 0x00, 0xc3 }, 0x68, 0x35, 0 },	/* movl $0x68, (%rdi) */
	{ { 0x87, 0x07, 0x90, 0x90, 0x90, 0x90, 0xc3 }, 0x35, 0x20, 0 },	/* xchg %eax, (%rdi), with a TPR of 0x20 */
	{ { 0xab, 0x90, 0x90, 0x90, 0x90, 0x90, 0xc3 }, 0x35, 0x35, 4 },	/* stosl */
	{ { 0x09, 0x07, 0x90, 0x90, 0x90, 0x90, 0xc3 }, 0x35, 0x35, 0 },	/* or %eax, (%rdi), with 0x20 */
	{ { 0x40, 0x89, 0x07, 0x90, 0x90, 0x90, 0xc3 }, 0x35, 0x35, 0 },	/* mov of another length */
	{ { 0x66, 0x89, 0x07, 0x90, 0x90, 0x90, 0xc3 }, 0x20, 0x35, 0 },	/* 16 bits, which the APIC ignores */
};

static void run_apic_store(const u8 *code, int n)
{
	u64 a = 0x35, c = 0x46, d = APIC_BASE + APIC_TPR;

	apic_write(APIC_TPR, 0x20);
	asm volatile("call *%3" : "+a" (a), "+c" (c), "+D" (d) : "r" (code) : "memory", "cc");
	G_EQN(apic_read(APIC_TPR), apic_stores[n].tpr, "TPR", n);
	G_EQN(a, apic_stores[n].eax, "EAX", n);
	G_EQN(c, 0x46, "ECX", n);
	G_EQN(d - APIC_BASE - APIC_TPR, apic_stores[n].moves, "RDI", n);
}

/* The instruction at one address changes, in memory and by its mapping, and is the same at two addresses. */
static void guest_apic_stores(void)
{
	u8 *page = g_page(), *other = g_page(), *third = g_page(), *two = g_pages(2);
	u64 *pte = g_pte((u64)page), first = *pte;
	int i, j, k;

	apic_enable();
	for (i = 0; i < (int)ARRAY_SIZE(apic_stores); i++) {
		for (j = 0; j < (int)ARRAY_SIZE(apic_stores); j++) {
			g_copy(page, apic_stores[i].code, 7);
			g_copy(other, apic_stores[j].code, 7);
			for (k = 0; k < 3; k++)
				run_apic_store(page, i);
			run_apic_store(other, j);
			g_copy(page, apic_stores[j].code, 7);
			run_apic_store(page, j);
			g_copy(page, apic_stores[i].code, 7);
			run_apic_store(page, i);
			*pte = *g_pte((u64)other);
			invlpg((u64)page);
			run_apic_store(page, j);
			*pte = first;
			invlpg((u64)page);
			run_apic_store(page, i);
		}
	}
	/* At the end of a page, and across pages. */
	for (i = 0; i < (int)ARRAY_SIZE(apic_stores); i++)
		for (j = 1; j < 8; j++) {
			u8 *at = two + 4096 - j;

			g_copy(at, apic_stores[i].code, 7);
			run_apic_store(at, i);
			run_apic_store(at, i);
		}
	/* With other registers, and another target of the same instruction. */
	g_copy(third, apic_stores[0].code, 7);
	for (i = 0; i < 4; i++) {
		u64 val = i << 4, target = APIC_BASE + (i & 1 ? APIC_TPR : APIC_LVTERR);

		if (!(i & 1))
			val |= 0x10000 | 0x40;
		asm volatile("call *%2" : : "a" (val), "D" (target), "r" (third) : "memory");
		G_EQN(apic_read(target - APIC_BASE), val, "the register", i);
	}
	apic_write(APIC_TPR, 0);
}

/* --- the PIT takes its ports from an ioeventfd, although the same write has signalled it before --- */

#define PIT_COMMAND	0x43
#define PIT_WRITES	8

static void guest_pit(void)
{
	for (;;) {
		for (u64 i = 0; i < PIT_WRITES; i++)
			outb(PIT_COMMAND, 0x34);	/* channel 0, mode 2 */
		g_sync(0);
	}
}

static void host_pit(void)
{
	struct kvm_ioeventfd e = { .addr = PIT_COMMAND, .len = 1, .flags = KVM_IOEVENTFD_FLAG_PIO, .fd = eventfd(0, EFD_NONBLOCK) };
	struct kvm_pit_config config = {};
	struct kvm_pit_state2 pit;
	struct vcpu *vcpu;
	struct vm vm;
	u64 n = 0;

	if (device_path()[5] == 'k')
		ksft_skip("on KVM, the ioeventfd keeps the port");
	vm_create(&vm, KSFT_IRQCHIP);
	vcpu = vcpu_create(&vm, 0, guest_pit);
	DO(vm.fd, KVM_IOEVENTFD, &e);
	vcpu_run_to_sync(vcpu, 0);
	EQ(read(e.fd, &n, sizeof(n)), sizeof(n), "read");
	EQ(n, PIT_WRITES, "signals without a PIT");
	DO(vm.fd, KVM_CREATE_PIT2, &config);
	vcpu_run_to_sync(vcpu, 0);
	EQ(read(e.fd, &n, sizeof(n)), -1, "signals with a PIT");
	DO(vm.fd, KVM_GET_PIT2, &pit);
	EQ(pit.channels[0].mode, 2, "the mode of channel 0");
	vm_destroy(&vm);
}

static const struct ksft_test tests[] = {
	{ "a PIT behind an ioeventfd", .host = host_pit },
	{ "a read is finished", .host = host_untouched },
	{ "registers are looked at and set again meanwhile", .host = host_looked_at },
	{ "registers change meanwhile, by KVM_SET_REGS", .host = host_registers },
	{ "registers change meanwhile, by kvm_dirty_regs and an ioctl", .host = host_sync_regs },
	{ "registers change meanwhile, by kvm_dirty_regs", .host = host_sync_regs_only },
	{ "RIP changes meanwhile, by kvm_dirty_regs", .host = host_sync_regs_moved },
	{ "KVM_RUN is refused meanwhile", .host = host_refused },
	{ "the instruction changes meanwhile", .host = host_code },
	{ "page tables change meanwhile", .host = host_page_tables },
	{ "immediate_exit finishes a read", .host = host_immediate_exit },
	{ "loads of all forms at one address", .host = host_forms },
	{ "RIP-relative loads", .host = host_rip_relative },
	{ "page tables change the instruction at an address", .host = host_code_pages },
	{ "stores of all forms", .host = host_stores },
	{ "instructions that store to the local APIC's page", .guest = guest_apic_stores, .flags = KSFT_IRQCHIP },
};
KSFT_MAIN(tests)
