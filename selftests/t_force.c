// SPDX-License-Identifier: GPL-2.0
/* DROSTE_FORCE_EXITS: instructions that exit because user space asks for it do what they do without the exit, in L1 and L2. */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/droste.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include "vm.h"
#include "vmx.h"

/* --- pieces of code: an instruction, after which nothing but TF is restored --- */

#define PIECE(name, text) \
extern char name[]; \
asm(".pushsection .text\n" #name ":\n\txor %r11d, %r11d\n1:\t" text "\n2:\tpushfq\n\tpopq saved_flags\n" \
	"\tpushfq\n\tandq $~0x100, (%rsp)\n\tpopfq\n\tret\n" \
	".pushsection extable, \"a\"\n.quad 1b, 2b\n.popsection\n.popsection\n")
/* The same in the shadow of MOV SS. */
#define SHADOWED(name, text) \
extern char name[]; \
asm(".pushsection .text\n" #name ":\n\txor %r11d, %r11d\n\tmov %ss, %r10d\n\tmov %r10d, %ss\n1:\t" text "\n2:\tpushfq\n" \
	"\tpopq saved_flags\n\tpushfq\n\tandq $~0x100, (%rsp)\n\tpopfq\n\tret\n" \
	".pushsection extable, \"a\"\n.quad 1b, 2b\n.popsection\n.popsection\n")

PIECE(p_cr3w, "mov %rbx, %cr3");
SHADOWED(p_cr3w_ss, "mov %rbx, %cr3");
PIECE(p_cr3r, "mov %cr3, %rax");
PIECE(p_cr3r9, "mov %cr3, %r9");
PIECE(p_invlpg, "invlpg 0x10(%rbx)");
SHADOWED(p_invlpg_ss, "invlpg 0x10(%rbx)");
PIECE(p_invpcid, "invpcid (%rbx), %rdx");
PIECE(p_rdtsc, "rdtsc");
SHADOWED(p_rdtsc_ss, "rdtsc");
PIECE(p_rdtscp, "rdtscp");
PIECE(p_rdpmc, "rdpmc");
PIECE(p_pause, "pause");
SHADOWED(p_pause_ss, "pause");
PIECE(p_rdrand16, "rdrand %dx");
PIECE(p_rdrand32, "rdrand %r9d");
PIECE(p_rdrand64, "rdrand %rax");
SHADOWED(p_rdrand_ss, "rdrand %rax");
PIECE(p_rdseed16, "rdseed %dx");
PIECE(p_rdseed32, "rdseed %r9d");
PIECE(p_rdseed64, "rdseed %rax");
PIECE(p_sgdt, "sgdt (%rbx)");
PIECE(p_sidt, "sidt (%rbx)");
PIECE(p_sldt16, "sldt %ax");
PIECE(p_sldt64, "sldt %rax");
PIECE(p_sldtm, "sldt (%rbx)");
PIECE(p_str16, "str %cx");
PIECE(p_str32, "str %ecx");
PIECE(p_strm, "str (%rbx)");
PIECE(p_lgdt, "lgdt (%rbx)");
PIECE(p_lidt, "lidt (%rbx)");
SHADOWED(p_lidt_ss, "lidt (%rbx)");
PIECE(p_lldt, "lldt %ax");
PIECE(p_ltr, "ltr %ax");

enum need { ALWAYS, RDRAND, RDSEED, RDTSCP, INVPCID, PCID };

/* What RBX is, besides a number. */
enum { TABLE_GDT = 1, TABLE_IDT, OPERAND, CR3, CR3_FLUSHES_NOT, CR3_BAD };

struct row {
	const char *name;
	char *code;
	u64 bit;
	u8 reason, need, rbx;
	bool user;		/* at CPL 3 */
	u64 rax, rdx;
	u64 any_rax, any_rdx, any_r9;	/* the bits of the result that chance decides */
	u64 pcid, address;	/* INVPCID's descriptor */
	u64 cr4;		/* bits to set */
};

#define ANY	(~0ul)
#define LOW	0xfffffffful
#define TSC	.any_rax = LOW, .any_rdx = LOW
#define F(name)	DROSTE_FORCE_##name
static const struct row rows[] = {
	{ "MOV to CR3", p_cr3w, F(CR3_LOAD), R_CR, .rbx = CR3 },
	{ "MOV to CR3 after MOV SS", p_cr3w_ss, F(CR3_LOAD), R_CR, .rbx = CR3 },
	{ "MOV to CR3, reserved bit", p_cr3w, F(CR3_LOAD), R_CR, .rbx = CR3_BAD },
	{ "MOV to CR3, bit 63 without PCIDs", p_cr3w, F(CR3_LOAD), R_CR, .rbx = CR3_FLUSHES_NOT },
	{ "MOV to CR3, bit 63", p_cr3w, F(CR3_LOAD), R_CR, PCID, CR3_FLUSHES_NOT, .cr4 = CR4_PCIDE },
	{ "MOV to CR3 at CPL 3", p_cr3w, 0, 0, .user = true, .rbx = CR3 },
	{ "MOV from CR3", p_cr3r, F(CR3_STORE), R_CR },
	{ "MOV from CR3 to R9", p_cr3r9, F(CR3_STORE), R_CR },
	{ "INVLPG", p_invlpg, F(INVLPG), R_INVLPG, .rbx = OPERAND },
	{ "INVLPG after MOV SS", p_invlpg_ss, F(INVLPG), R_INVLPG, .rbx = OPERAND },
	{ "INVLPG, not canonical", p_invlpg, F(INVLPG), R_INVLPG },
	{ "INVLPG at CPL 3", p_invlpg, 0, 0, .rbx = OPERAND, .user = true },
	{ "INVPCID of an address", p_invpcid, F(INVLPG), R_INVPCID, INVPCID, OPERAND, .address = 0x1000 },
	{ "INVPCID of a PCID", p_invpcid, F(INVLPG), R_INVPCID, INVPCID, OPERAND, .rdx = 1 },
	{ "INVPCID of all", p_invpcid, F(INVLPG), R_INVPCID, INVPCID, OPERAND, .rdx = 2, .pcid = 5 },
	{ "INVPCID, not global", p_invpcid, F(INVLPG), R_INVPCID, INVPCID, OPERAND, .rdx = 3 },
	{ "INVPCID, bad type", p_invpcid, F(INVLPG), R_INVPCID, INVPCID, OPERAND, .rdx = 4 },
	{ "INVPCID, bad type above 32 bits", p_invpcid, F(INVLPG), R_INVPCID, INVPCID, OPERAND, .rdx = BIT(32) },
	{ "INVPCID, reserved bits", p_invpcid, F(INVLPG), R_INVPCID, INVPCID, OPERAND, .rdx = 2, .pcid = BIT(12) },
	{ "INVPCID, PCID without PCIDs", p_invpcid, F(INVLPG), R_INVPCID, INVPCID, OPERAND, .rdx = 1, .pcid = 5 },
	{ "INVPCID, address not canonical", p_invpcid, F(INVLPG), R_INVPCID, INVPCID, OPERAND, .address = BIT(50) },
	{ "INVPCID, operand not canonical", p_invpcid, F(INVLPG), R_INVPCID, INVPCID },
	{ "INVPCID with PCIDs", p_invpcid, F(INVLPG), R_INVPCID, INVPCID, OPERAND, .rdx = 1, .pcid = 5, .cr4 = CR4_PCIDE },
	{ "INVPCID at CPL 3", p_invpcid, 0, 0, INVPCID, OPERAND, true },
	{ "RDTSC", p_rdtsc, F(RDTSC), R_RDTSC, TSC, .rax = ANY, .rdx = ANY },
	{ "RDTSC after MOV SS", p_rdtsc_ss, F(RDTSC), R_RDTSC, TSC },
	{ "RDTSC at CPL 3", p_rdtsc, F(RDTSC), R_RDTSC, .user = true, TSC },
	{ "RDTSC at CPL 3 with TSD", p_rdtsc, 0, 0, .user = true, .cr4 = CR4_TSD },
	{ "RDTSCP", p_rdtscp, F(RDTSC), R_RDTSCP, RDTSCP, TSC },
	{ "RDTSCP at CPL 3", p_rdtscp, F(RDTSC), R_RDTSCP, RDTSCP, .user = true, TSC },
	{ "RDTSCP at CPL 3 with TSD", p_rdtscp, 0, 0, RDTSCP, .user = true, .cr4 = CR4_TSD },
	{ "RDPMC", p_rdpmc, F(RDPMC), R_RDPMC },
	{ "RDPMC at CPL 3", p_rdpmc, 0, 0, .user = true },
	{ "PAUSE", p_pause, F(PAUSE), R_PAUSE },
	{ "PAUSE after MOV SS", p_pause_ss, F(PAUSE), R_PAUSE },
	{ "PAUSE at CPL 3", p_pause, F(PAUSE), R_PAUSE, .user = true },
	{ "RDRAND, 16 bits", p_rdrand16, F(RDRAND), R_RDRAND, RDRAND, .rdx = ANY, .any_rdx = 0xffff },
	{ "RDRAND, 32 bits", p_rdrand32, F(RDRAND), R_RDRAND, RDRAND, .any_r9 = LOW },
	{ "RDRAND, 64 bits", p_rdrand64, F(RDRAND), R_RDRAND, RDRAND, .any_rax = ANY },
	{ "RDRAND after MOV SS", p_rdrand_ss, F(RDRAND), R_RDRAND, RDRAND, .any_rax = ANY },
	{ "RDRAND at CPL 3", p_rdrand64, F(RDRAND), R_RDRAND, RDRAND, .user = true, .any_rax = ANY },
	{ "RDSEED, 16 bits", p_rdseed16, F(RDSEED), R_RDSEED, RDSEED, .rdx = ANY, .any_rdx = 0xffff },
	{ "RDSEED, 32 bits", p_rdseed32, F(RDSEED), R_RDSEED, RDSEED, .any_r9 = LOW },
	{ "RDSEED, 64 bits", p_rdseed64, F(RDSEED), R_RDSEED, RDSEED, .any_rax = ANY },
	{ "SGDT", p_sgdt, F(TABLES), R_GDTR_IDTR, .rbx = OPERAND },
	{ "SIDT", p_sidt, F(TABLES), R_GDTR_IDTR, .rbx = OPERAND },
	{ "SGDT at CPL 3", p_sgdt, F(TABLES), R_GDTR_IDTR, .rbx = OPERAND, .user = true },
	{ "SGDT, not canonical", p_sgdt, F(TABLES), R_GDTR_IDTR },
	{ "SLDT, 16 bits", p_sldt16, F(TABLES), R_LDTR_TR, .rax = ANY },
	{ "SLDT, 64 bits", p_sldt64, F(TABLES), R_LDTR_TR, .rax = ANY },
	{ "SLDT to memory", p_sldtm, F(TABLES), R_LDTR_TR, .rbx = OPERAND },
	{ "SLDT at CPL 3", p_sldt64, F(TABLES), R_LDTR_TR, .rax = ANY, .user = true },
	{ "STR, 16 bits", p_str16, F(TABLES), R_LDTR_TR },
	{ "STR, 32 bits", p_str32, F(TABLES), R_LDTR_TR },
	{ "STR to memory", p_strm, F(TABLES), R_LDTR_TR, .rbx = OPERAND },
	{ "STR to memory at CPL 3", p_strm, F(TABLES), R_LDTR_TR, .rbx = OPERAND, .user = true },
	{ "LGDT", p_lgdt, F(TABLES), R_GDTR_IDTR, .rbx = TABLE_GDT },
	{ "LIDT", p_lidt, F(TABLES), R_GDTR_IDTR, .rbx = TABLE_IDT },
	{ "LIDT after MOV SS", p_lidt_ss, F(TABLES), R_GDTR_IDTR, .rbx = TABLE_IDT },
	{ "LGDT at CPL 3", p_lgdt, 0, 0, .rbx = TABLE_GDT, .user = true },
	{ "LLDT, null", p_lldt, F(TABLES), R_LDTR_TR, .rax = 0 },
	{ "LLDT, beyond the GDT", p_lldt, F(TABLES), R_LDTR_TR, .rax = 0x1000 },
	{ "LTR, busy", p_ltr, F(TABLES), R_LDTR_TR, .rax = SEL_TSS },
	{ "LTR, null", p_ltr, F(TABLES), R_LDTR_TR, .rax = 0 },
};

/* --- the guest --- */

#define MAX_TRAPS 8
struct result {
	u64 rax, rbx, rcx, rdx, r9, rflags, fault;
	u64 data[2];		/* the operand in memory */
	u64 nr_traps, rips[MAX_TRAPS];
	u64 cr3;
};

enum { PLAIN, STEPPED, NR_WAYS };

struct results {
	struct result r[ARRAY_SIZE(rows)][NR_WAYS];
	bool ran[ARRAY_SIZE(rows)];
};
static struct results results;
static u8 operand[16] __attribute__((aligned(16)));
static struct dtr gdt, idt;
static struct result *now;
static bool features[PCID + 1];
u64 saved_flags, piece_regs[6], piece_flags;

/* Calls the code with RAX, RBX, RCX, RDX, R9 and RFLAGS of piece_regs and piece_flags, and stores the registers there. */
void piece_call(char *code);
asm(".pushsection .text\npiece_call:\n\tpush %rbx\n\tpush %rbp\n\tpush %r12\n\tpush %r13\n\tpush %r14\n\tpush %r15\n"
	"\tmov %rdi, %rsi\n\tmov piece_regs, %rax\n\tmov piece_regs+8, %rbx\n\tmov piece_regs+16, %rcx\n"
	"\tmov piece_regs+24, %rdx\n\tmov piece_regs+32, %r9\n\tpushq piece_flags\n\tpopfq\n\tcall *%rsi\n"
	"\tmov %rax, piece_regs\n\tmov %rbx, piece_regs+8\n\tmov %rcx, piece_regs+16\n\tmov %rdx, piece_regs+24\n"
	"\tmov %r9, piece_regs+32\n\tmov %r11, piece_regs+40\n"
	"\tpop %r15\n\tpop %r14\n\tpop %r13\n\tpop %r12\n\tpop %rbp\n\tpop %rbx\n\tret\n.popsection\n");

static void on_trap(struct trap_regs *regs)
{
	if (now->nr_traps < MAX_TRAPS)
		now->rips[now->nr_traps] = regs->rip;
	now->nr_traps++;
	if (now->nr_traps > 20)
		regs->rflags &= ~RFLAGS_TF;
}

static u64 rbx_of(const struct row *r)
{
	switch (r->rbx) {
	case TABLE_GDT:
		return (u64)&gdt;
	case TABLE_IDT:
		return (u64)&idt;
	case OPERAND:
		return (u64)operand;
	case CR3:
		return PAGE_TABLES;
	case CR3_FLUSHES_NOT:
		return PAGE_TABLES | BIT(63);
	case CR3_BAD:
		return PAGE_TABLES | BIT(52);
	default:
		return BIT(60);
	}
}

static u64 call_at_cpl3(u64 code)
{
	piece_call((char *)code);
	return 0;
}

static void run_row(u64 i, int way)
{
	const struct row *r = &rows[i];
	u64 cr4 = r->cr4 ? read_cr4() : 0;

	now = &results.r[i][way];
	memcpy(operand, &r->pcid, 8);
	memcpy(operand + 8, &r->address, 8);
	piece_regs[0] = r->rax;
	piece_regs[1] = rbx_of(r);
	piece_regs[2] = ANY;
	piece_regs[3] = r->rdx;
	piece_regs[4] = ANY;
	/* RDRAND and RDSEED clear all of these but CF; the others leave them. */
	piece_flags = 0x8d7 | (way == STEPPED ? RFLAGS_TF : 0);
	saved_flags = 0;
	if (r->cr4)
		write_cr4(cr4 | r->cr4);
	if (r->user)
		g_user(call_at_cpl3, (u64)r->code);
	else
		piece_call(r->code);
	if (r->cr4)
		write_cr4(cr4);
	now->rax = piece_regs[0] & ~r->any_rax;
	now->rbx = piece_regs[1];
	now->rcx = piece_regs[2];
	now->rdx = piece_regs[3] & ~r->any_rdx;
	now->r9 = piece_regs[4] & ~r->any_r9;
	now->fault = piece_regs[5];
	now->rflags = saved_flags;
	memcpy(now->data, operand, 16);
	now->cr3 = read_cr3();
	results.ran[i] = true;
}

/* Without CPUID, which exits to L1. */
static void run_rows(void)
{
	u64 i, way;

	g_trap_fn[VEC_DB] = on_trap;
	sgdt(&gdt);
	sidt(&idt);
	for (i = 0; i < ARRAY_SIZE(rows); i++)
		for (way = 0; way < NR_WAYS && features[rows[i].need]; way++)
			run_row(i, way);
}

static void find_features(void)
{
	features[ALWAYS] = true;
	features[RDRAND] = CPUID_REG(1, 0, c) & BIT(30);
	features[RDSEED] = CPUID_REG(7, 0, b) & BIT(18);
	features[RDTSCP] = CPUID_REG(0x80000001, 0, d) & BIT(27);
	features[INVPCID] = CPUID_REG(7, 0, b) & BIT(10);
	features[PCID] = CPUID_REG(1, 0, c) & BIT(17);
	if (features[RDTSCP])
		wrmsr(MSR_TSC_AUX, 0x1234567);
}

static void guest_l1(void)
{
	find_features();
	run_rows();
	g_done();
}

/* --- L2 --- */

static void l2_main(void)
{
	run_rows();
	TRY_INSN("vmcall");
}

/* In L2, RDTSCP and INVPCID need their controls. */
static void l2_feature(u64 bit, enum need need)
{
	if (ctl_has(F_PROC, PROC_SECONDARY) && ctl_has(F_PROC2, bit))
		need_secondary(bit, "no control");
	else
		features[need] = false;
}

enum { WITH_EPT = 1, WITH_VPID = 2 };

static void guest_in_l2(void)
{
	vmx_on();
	find_features();
	vmcs_new(l2_main);
	if (g_arg() & WITH_EPT)
		ept_use(ept_new());
	if (g_arg() & WITH_VPID) {
		need_secondary(SEC_VPID, "no VPID");
		vmwrite(F_VPID, 1);
	}
	l2_feature(SEC_RDTSCP, RDTSCP);
	l2_feature(SEC_INVPCID, INVPCID);
	vmx_expect(R_VMCALL, "L1 sees no exit that it has not asked for");
	g_done();
}

/* --- the host --- */

static void read_stats(struct vcpu *vcpu, struct droste_exit_stats *s)
{
	DO(vcpu->fd, DROSTE_GET_EXIT_STATS, s);
}

/* Runs the guest with @mask. Returns its results, and its exits in @s. */
static void run_with(void (*guest)(void), u64 mask, struct results *out, struct droste_exit_stats *s)
{
	struct vm vm;
	struct vcpu *vcpu;

	vm_create(&vm, 0);
	EQ(vm_force_exits(&vm, mask), 0, "the mask");
	if (guest == guest_in_l2 && !vm_has_vmx(&vm))
		ksft_skip("no VMX for guests");
	vcpu = vcpu_create(&vm, 0, guest);
	vcpu_run_to_end(vcpu);
	read_stats(vcpu, s);
	*out = GUEST(&vm, results);
	vm_destroy(&vm);
}

static void same_result(const struct row *r, const struct result *is, const struct result *should, const char *way)
{
	u64 i;

#define SAME(what) EQ(is->what, should->what, "%s%s: %s", r->name, way, #what)
	SAME(rax);
	SAME(rbx);
	SAME(rcx);
	SAME(rdx);
	SAME(r9);
	SAME(rflags);
	SAME(fault);
	SAME(data[0]);
	SAME(data[1]);
	SAME(nr_traps);
	SAME(cr3);
#undef SAME
	for (i = 0; i < should->nr_traps && i < MAX_TRAPS; i++)
		EQ(is->rips[i], should->rips[i], "%s%s: RIP of trap %llu", r->name, way, (unsigned long long)i);
}

/* All rows with a mask of 0, then with each bit, then with all. */
static void compare(void (*guest)(void), bool l2)
{
	static struct results plain, forced;
	static struct droste_exit_stats free, s;
	u64 supported, mask, i;
	struct vm vm;

	vm_create(&vm, 0);
	supported = vm_forceable(&vm);
	vm_destroy(&vm);
	if (!supported)
		ksft_skip("no DROSTE_FORCE_EXITS");
	OK(supported & DROSTE_FORCE_CR3_LOAD, "every processor has CR3-load exiting");
	run_with(guest, 0, &plain, &free);
	for (mask = 1; mask <= supported << 1; mask <<= 1) {
		bool all = mask > supported;
		u64 bits = all ? supported : mask;

		if (!(bits & supported))
			continue;
		run_with(guest, bits, &forced, &s);
		for (i = 0; i < ARRAY_SIZE(rows); i++) {
			const struct row *r = &rows[i];
			u64 was = l2 ? free.from_l2[r->reason] : free.exits[r->reason] - free.from_l2[r->reason];
			u64 is = l2 ? s.from_l2[r->reason] : s.exits[r->reason] - s.from_l2[r->reason];

			EQ(forced.ran[i], plain.ran[i], "%s ran", r->name);
			if (!plain.ran[i])
				continue;
			same_result(r, &forced.r[i][PLAIN], &plain.r[i][PLAIN], "");
			same_result(r, &forced.r[i][STEPPED], &plain.r[i][STEPPED], " with TF");
			if ((r->bit & bits) && r->bit != DROSTE_FORCE_RDPMC)
				OK(is > was, "%s exits under mask %#llx: %llu, before %llu", r->name, (unsigned long long)bits,
				   (unsigned long long)is, (unsigned long long)was);
			if (r->bit)
				EQ(s.reflected[r->reason], 0, "%s is not shown to L1", r->name);
		}
	}
	/* The rows do fault, trap and store: the comparison compares something. */
	for (i = 0; i < ARRAY_SIZE(rows); i++)
		if (plain.ran[i] && !rows[i].user)
			OK(plain.r[i][STEPPED].nr_traps > 2, "%s is single-stepped", rows[i].name);
}

static void test_l1(void)
{
	compare(guest_l1, false);
}

static void test_l2(u64 how)
{
	extern u64 guest_arg;

	guest_arg = how;
	compare(guest_in_l2, true);
}

static void test_l2_plain(void)
{
	test_l2(0);
}

static void test_l2_ept(void)
{
	test_l2(WITH_EPT | WITH_VPID);
}

/* --- L1 asks for the same exits --- */

#define PROBE	0x40000000ul	/* what INVLPG invalidates */

static void l2_asked(void)
{
	asm volatile("rdtsc; invlpg (%0); mov %%cr3, %%rax; pause; sldt %%ax; vmcall" : : "r" (PROBE) : "rax", "rdx", "memory");
}

static void expect_and_skip(u64 reason, const char *what)
{
	vmx_expect(reason, what);
	vmx_skip();
}

/* With a bit of L1's own, the exit is L1's; without it, the exit is L0's, also when it is turned off later. */
static void guest_asks(void)
{
	int turn;

	vmx_on();
	vmcs_new(l2_asked);
	need(F_PROC, PROC_RDTSC | PROC_INVLPG | PROC_CR3_STORE | PROC_PAUSE, "no such controls");
	need_secondary(SEC_DESC, "no descriptor-table exiting");
	for (turn = 0; turn < 2; turn++) {
		vmwrite(F_RIP, (u64)l2_asked);
		vmset(F_PROC, PROC_RDTSC | PROC_INVLPG | PROC_CR3_STORE | PROC_PAUSE);
		vmset(F_PROC2, SEC_DESC);
		expect_and_skip(R_RDTSC, "RDTSC");
		expect_and_skip(R_INVLPG, "INVLPG");
		G_EQ(vmread(F_QUAL), PROBE, "INVLPG's address");
		expect_and_skip(R_CR, "MOV from CR3");
		G_EQ(vmread(F_QUAL), 3 | 1 << 4, "qualification of MOV from CR3");
		expect_and_skip(R_PAUSE, "PAUSE");
		vmx_expect(R_LDTR_TR, "SLDT");
		vmx_skip();
		vmx_expect(R_VMCALL, "the end");
		vmwrite(F_RIP, (u64)l2_asked);
		vmclr(F_PROC, PROC_RDTSC | PROC_INVLPG | PROC_CR3_STORE | PROC_PAUSE);
		vmclr(F_PROC2, SEC_DESC);
		vmx_expect(R_VMCALL, "no exit that L1 has not asked for");
	}
	g_done();
}

static void test_asked(void)
{
	static struct results none;
	static struct droste_exit_stats s;
	struct vm vm;
	u64 supported;

	vm_create(&vm, 0);
	supported = vm_forceable(&vm);
	if (!supported || !vm_has_vmx(&vm))
		ksft_skip("no DROSTE_FORCE_EXITS, or no VMX for guests");
	vm_destroy(&vm);
	run_with(guest_asks, supported, &none, &s);
	EQ(s.reflected[R_RDTSC], 2, "RDTSCs shown to L1");
	EQ(s.from_l2[R_RDTSC], 4, "RDTSCs of L2");
	EQ(s.reflected[R_PAUSE], 2, "PAUSEs shown to L1");
	EQ(s.from_l2[R_PAUSE], 4, "PAUSEs of L2");
}

/* L1 asks for exits of PAUSE loops: L0 does not replace them by exits of each PAUSE. */
static void l2_pauses(void)
{
	int i;

	for (i = 0; i < 100; i++)
		relax();
	TRY_INSN("vmcall");
}

static void guest_pause_loop(void)
{
	vmx_on();
	vmcs_new(l2_pauses);
	need_secondary(BIT(10), "no exits of PAUSE loops");
	vmwrite(F_PLE_GAP, 100);
	vmwrite(F_PLE_WINDOW, 0x7fffffff);
	vmx_expect(R_VMCALL, "a short loop of PAUSEs");
	g_done();
}

static void test_pause_loop(void)
{
	static struct results none;
	static struct droste_exit_stats s;
	struct vm vm;

	vm_create(&vm, 0);
	if (!(vm_forceable(&vm) & DROSTE_FORCE_PAUSE) || !vm_has_vmx(&vm))
		ksft_skip("no DROSTE_FORCE_PAUSE, or no VMX for guests");
	vm_destroy(&vm);
	run_with(guest_pause_loop, DROSTE_FORCE_PAUSE, &none, &s);
	EQ(s.reflected[R_PAUSE], 0, "PAUSEs shown to L1");
}

/* --- L2's time-stamp counter: L1's times L1's multiplier, plus L1's offset (SDM 3C 26.3) --- */

extern char l2_tsc[];
asm(".pushsection .text\nl2_tsc:\n\trdtsc\n\tvmcall\n\tjmp l2_tsc\n.popsection\n");

/* RDTSC in L2, which reads L1's counter times @times plus @offset. */
static void check_tsc(u64 times, u64 offset)
{
	u64 before, after, tsc;
	int n;

	for (n = 0; n < 3; n++) {
		vmwrite(F_RIP, (u64)l2_tsc);
		before = rdtsc();
		vmx_expect(R_VMCALL, "RDTSC of L2");
		after = rdtsc();
		tsc = l2.rax + (l2.rdx << 32) - offset;
		G_OK(tsc >= before * times, "L2's counter is not below L1's before");
		G_OK(tsc <= after * times, "L2's counter is not above L1's after");
		G_EQ(l2.rax >> 32 | l2.rdx >> 32, 0, "the upper halves");
	}
}

static void guest_l2_tsc(void)
{
	vmx_on();
	vmcs_new((void (*)(void))(u64)l2_tsc);
	check_tsc(1, 0);
	need(F_PROC, PROC_TSC_OFFSET, "no TSC offsetting");
	vmwrite(F_TSC_OFFSET, 1ul << 50);
	check_tsc(1, 1ul << 50);
	if (ctl_has(F_PROC, PROC_SECONDARY) && ctl_has(F_PROC2, SEC_TSC_SCALING)) {
		need_secondary(SEC_TSC_SCALING, "no TSC scaling");
		vmwrite(F_TSC_MULTIPLIER, 3ul << 48);
		check_tsc(3, 1ul << 50);
	}
	g_done();
}

static void test_l2_tsc(void)
{
	static struct results none;
	static struct droste_exit_stats s;
	struct vm vm;

	vm_create(&vm, 0);
	if (!(vm_forceable(&vm) & DROSTE_FORCE_RDTSC) || !vm_has_vmx(&vm))
		ksft_skip("no DROSTE_FORCE_RDTSC, or no VMX for guests");
	vm_destroy(&vm);
	run_with(guest_l2_tsc, 0, &none, &s);
	EQ(s.from_l2[R_RDTSC], 0, "RDTSCs of L2 that exit");
	run_with(guest_l2_tsc, DROSTE_FORCE_RDTSC, &none, &s);
	OK(s.from_l2[R_RDTSC] >= 6, "RDTSCs of L2 that exit: %llu", (unsigned long long)s.from_l2[R_RDTSC]);
	EQ(s.reflected[R_RDTSC], 0, "RDTSCs shown to L1");
}

/* --- the interface --- */

static void test_mask(void)
{
	struct droste_force_exits f = {}, bad;
	struct vm vm;

	vm_create(&vm, 0);
	if (!vm_forceable(&vm))
		ksft_skip("no DROSTE_FORCE_EXITS");
	DO(vm.fd, DROSTE_GET_FORCE_EXITS, &f);
	EQ(f.mask & ~f.supported, 0, "the mask has supported bits only");
	EQ(f.reserved[0] | f.reserved[1], 0, "reserved words");
	bad = (struct droste_force_exits) { .mask = BIT(9) };
	FAILS(vm.fd, DROSTE_FORCE_EXITS, &bad, EINVAL);
	bad.mask = BIT(63) | DROSTE_FORCE_RDTSC;
	FAILS(vm.fd, DROSTE_FORCE_EXITS, &bad, EINVAL);
	bad = (struct droste_force_exits) { .supported = 1 };
	FAILS(vm.fd, DROSTE_FORCE_EXITS, &bad, EINVAL);
	bad = (struct droste_force_exits) { .reserved[1] = 1 };
	FAILS(vm.fd, DROSTE_FORCE_EXITS, &bad, EINVAL);
	if (f.supported != 0x1ff) {
		bad = (struct droste_force_exits) { .mask = 0x1ff };
		FAILS(vm.fd, DROSTE_FORCE_EXITS, &bad, ENXIO);
	}
	FAILS(vm.dev, DROSTE_FORCE_EXITS, &f, ENOTTY);
	EQ(vm_force_exits(&vm, DROSTE_FORCE_RDTSC), 0, "one bit");
	DO(vm.fd, DROSTE_GET_FORCE_EXITS, &f);
	EQ(f.mask, DROSTE_FORCE_RDTSC, "the mask");
}

/* --- a change while a guest runs --- */

static volatile u64 turns;

static void guest_spins(void)
{
	for (;;) {
		rdtsc();
		turns++;
	}
}

static void *spin_main(void *arg)
{
	while (!vcpu_run_once(arg))
		;
	return NULL;
}

static void wait_turns(struct vm *vm)
{
	u64 from = *(volatile u64 *)&GUEST(vm, turns);

	while (*(volatile u64 *)&GUEST(vm, turns) < from + 100)
		;
}

static void ignore(int sig)
{
}

static void test_running(void)
{
	struct droste_exit_stats s;
	struct sigaction sa = { .sa_handler = ignore };
	struct vcpu *vcpu;
	pthread_t thread;
	struct vm vm;
	int i;

	vm_create(&vm, 0);
	if (!(vm_forceable(&vm) & DROSTE_FORCE_RDTSC))
		ksft_skip("no DROSTE_FORCE_RDTSC");
	EQ(vm_force_exits(&vm, 0), 0, "no bit");
	sigaction(SIGUSR1, &sa, NULL);
	vcpu = vcpu_create(&vm, 0, guest_spins);
	MUST(!pthread_create(&thread, NULL, spin_main, vcpu), "thread");
	wait_turns(&vm);
	for (i = 0; i < 10; i++) {
		EQ(vm_force_exits(&vm, DROSTE_FORCE_RDTSC), 0, "a bit while the guest runs");
		wait_turns(&vm);
		EQ(vm_force_exits(&vm, 0), 0, "no bit while the guest runs");
		wait_turns(&vm);
	}
	vcpu->run->immediate_exit = 1;
	pthread_kill(thread, SIGUSR1);
	pthread_join(thread, NULL);
	vcpu->run->immediate_exit = 0;
	read_stats(vcpu, &s);
	OK(s.exits[R_RDTSC] >= 10 * 99, "%llu RDTSCs have exited", (unsigned long long)s.exits[R_RDTSC]);
}

static const struct ksft_test tests[] = {
	{ "the mask", .host = test_mask },
	{ "each bit in L1", .host = test_l1 },
	{ "each bit in L2 without EPT and VPID", .host = test_l2_plain },
	{ "each bit in L2 with EPT and VPID", .host = test_l2_ept },
	{ "exits that L1 asked for too", .host = test_asked },
	{ "L2's time-stamp counter", .host = test_l2_tsc },
	{ "L1's exits of PAUSE loops", .host = test_pause_loop },
	{ "a change while the guest runs", .host = test_running },
};
KSFT_MAIN(tests)
