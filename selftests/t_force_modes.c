// SPDX-License-Identifier: GPL-2.0
/* DROSTE_FORCE_EXITS in real mode, in protected mode and in compatibility mode: the instructions do what they do without. */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/droste.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>
#include "vm.h"
#include "vmx.h"

#define DATA		0x9000ul	/* the operand in memory */
#define IDT		0xa000ul
#define HANDLERS	0xb000ul	/* HLT, NOP for each vector: RIP at the exit tells the vector */
#define NR_VECTORS	32
#define ANY		0x1111111122222222ul
#define NEXT_INSN(rip)	((rip) < HANDLERS)

/* Pieces of code: a name, 16-bit code, 32-bit code. RBX has DATA. Each ends at a HLT. */
#define PIECES(X) \
	X(invpcid, "invpcid (%bx), %edx", "invpcid (%ebx), %edx") \
	X(invlpg, "invlpg (%bx)", "invlpg (%ebx)") \
	X(from_cr3, "mov %cr3, %eax", "mov %cr3, %eax") \
	X(to_cr3, "mov %cr3, %eax; mov %eax, %cr3", "mov %cr3, %eax; mov %eax, %cr3") \
	X(rdtsc, "rdtsc; xor %eax, %eax; xor %edx, %edx", "rdtsc; xor %eax, %eax; xor %edx, %edx") \
	X(rdpmc, "rdpmc", "rdpmc") \
	X(pause, "pause", "pause") \
	X(rdrand, "rdrand %ax; mov $0, %ax", "rdrand %eax; mov $0, %eax") \
	X(rdseed, "rdseed %ax; mov $0, %ax", "rdseed %eax; mov $0, %eax") \
	X(sgdt, "sgdt (%bx)", "sgdt (%ebx)") \
	X(sidt, "sidt (%bx)", "sidt (%ebx)") \
	X(lgdt, "lgdt (%bx)", "lgdt (%ebx)") \
	X(lgdtl, "lgdtl (%bx)", "lgdtl (%ebx)") \
	X(lidt, "lidt (%bx)", "lidt (%ebx)") \
	X(sldt, "sldt %eax", "sldt %eax") \
	X(str, "str %eax", "str %eax") \
	X(lldt, "xor %eax, %eax; lldt %ax", "xor %eax, %eax; lldt %ax")

#define CODE16(name, text16, text32)	"p16_" #name ": " text16 "; hlt\n"
#define CODE32(name, text16, text32)	"p32_" #name ": " text32 "; hlt\n"
#define DECLARE(name, text16, text32)	extern char p16_##name[], p32_##name[];
extern char pieces[], pieces_end[];
PIECES(DECLARE)
asm(".pushsection .text\npieces:\n.code16\n" PIECES(CODE16) ".code32\n" PIECES(CODE32) "pieces_end:\n.code64\n.popsection\n");

enum cpu_mode { REAL, PROTECTED, COMPATIBILITY, NR_MODES };
static const char *const mode_names[] = { "real mode", "protected mode", "compatibility mode" };

#define P(name)	p16_##name, p32_##name
#define F(what)	DROSTE_FORCE_##what
static const struct row {
	const char *name, *code16, *code32;
	u64 bit, rdx, data[2];	/* DROSTE_FORCE_* that makes it exit */
	bool faults[NR_MODES];
} rows[] = {
	{ "INVPCID of an address", P(invpcid), F(INVLPG), 0, { 0, 0x1000 } },
	{ "INVPCID of a PCID", P(invpcid), F(INVLPG), 1 },
	{ "INVPCID of all", P(invpcid), F(INVLPG), 2, { 5 } },
	{ "INVPCID, not global", P(invpcid), F(INVLPG), 3 },
	{ "INVPCID, bad type", P(invpcid), F(INVLPG), 4, .faults = { true, true, true } },
	{ "INVPCID, the type is EDX alone", P(invpcid), F(INVLPG), BIT(32) | 1 },
	{ "INVPCID, reserved bits", P(invpcid), F(INVLPG), 2, { BIT(12) }, .faults = { true, true, true } },
	{ "INVPCID, PCID without PCIDs", P(invpcid), F(INVLPG), 1, { 5 }, .faults = { true, true, true } },
	{ "INVLPG", P(invlpg), F(INVLPG) },
	{ "MOV from CR3", P(from_cr3), F(CR3_STORE) },
	{ "MOV to CR3", P(to_cr3), F(CR3_LOAD) },
	{ "RDTSC", P(rdtsc), F(RDTSC) },
	{ "RDPMC", P(rdpmc), F(RDPMC), .faults = { true, true, true } },
	{ "PAUSE", P(pause), F(PAUSE) },
	{ "RDRAND", P(rdrand), F(RDRAND) },
	{ "RDSEED", P(rdseed), F(RDSEED) },
	{ "SGDT", P(sgdt), F(TABLES) },
	{ "SIDT", P(sidt), F(TABLES) },
	{ "LGDT", P(lgdt), F(TABLES), 0, { 0xaabbccddeeff0027 } },
	{ "LGDT, operand size of 32 bits", P(lgdtl), F(TABLES), 0, { 0xaabbccddeeff0027 } },
	{ "LIDT", P(lidt), F(TABLES), 0, { 0xaabbccddeeff0027 } },
	{ "SLDT", P(sldt), F(TABLES), .faults[REAL] = true },
	{ "STR", P(str), F(TABLES), .faults[REAL] = true },
	{ "LLDT, null", P(lldt), F(TABLES), .faults[REAL] = true },
};

/* --- the vCPU in a mode --- */

static void fill_idt(struct vm *vm, enum cpu_mode mode)
{
	for (u64 i = 0; i < NR_VECTORS; i++) {
		u64 at = HANDLERS + 2 * i;

		vm->mem[at] = 0xf4;
		vm->mem[at + 1] = 0x90;
		if (mode == REAL)
			memcpy(vm->mem + IDT + 4 * i, &(u32) { at }, 4);
		else if (mode == PROTECTED)
			memcpy(vm->mem + IDT + 8 * i, (u32[]) { SEL_CS32 << 16 | at, 0x8e00 }, 8);
		else
			memcpy(vm->mem + IDT + 16 * i, (u32[]) { SEL_CS64 << 16 | at, 0x8e00, 0, 0 }, 16);
	}
}

static void segment(struct kvm_segment *s, enum cpu_mode mode, u8 type, u16 selector)
{
	*s = (struct kvm_segment) { .limit = 0xffff, .type = type, .present = 1, .s = 1 };
	if (mode == REAL)
		return;
	s->limit = ~0u;
	s->g = 1;
	s->db = 1;
	s->selector = selector;
}

static struct vcpu *in_mode(struct vm *vm, enum cpu_mode mode)
{
	struct vcpu *vcpu = vcpu_create(vm, 0, vmx_on);
	struct kvm_segment *data[5];
	struct kvm_sregs s;

	memcpy(vm->mem + LOW_CODE, pieces, pieces_end - pieces);
	fill_idt(vm, mode);
	vcpu_sregs(vcpu, &s);
	data[0] = &s.ds, data[1] = &s.es, data[2] = &s.fs, data[3] = &s.gs, data[4] = &s.ss;
	segment(&s.cs, mode, 11, SEL_CS32);
	for (int i = 0; i < 5; i++)
		segment(data[i], mode, 3, SEL_DS);
	s.idt.base = IDT;
	s.idt.limit = 16 * NR_VECTORS - 1;
	if (mode != COMPATIBILITY) {
		s.cr0 = mode == REAL ? 0x10 : 0x11;
		s.cr4 = 0;
		s.efer = 0;
	}
	vcpu_set_sregs(vcpu, &s);
	return vcpu;
}

/* --- the same with and without an exit --- */

struct result {
	u32 exit_reason;
	struct kvm_regs regs;
	struct kvm_sregs sregs;
	u8 data[16];
	u64 exits;
};

static u64 exits_of(struct vcpu *vcpu)
{
	struct droste_exit_stats s;
	u64 n = 0;

	DO(vcpu->fd, DROSTE_GET_EXIT_STATS, &s);
	for (u64 i = 0; i < ARRAY_SIZE(s.exits); i++)
		n += i != R_EPT_VIOLATION && i != R_EXTINT ? s.exits[i] : 0;
	return n;
}

static void run_row(struct vm *vm, struct vcpu *vcpu, const struct row *r, enum cpu_mode mode, struct result *out)
{
	struct kvm_sregs sregs;
	struct kvm_regs regs = { .rax = ANY, .rbx = DATA, .rdx = r->rdx, .rsp = 0x7000, .rflags = RFLAGS_FIXED };
	u64 before = exits_of(vcpu);

	regs.rip = LOW_CODE + ((mode == REAL ? r->code16 : r->code32) - pieces);
	memset(vm->mem + DATA, 0, 16);
	memcpy(vm->mem + DATA, r->data, 16);
	vcpu_sregs(vcpu, &sregs);
	vcpu_set_regs(vcpu, &regs);
	EQ(vcpu_run_once(vcpu), 0, "%s, %s: KVM_RUN", mode_names[mode], r->name);
	out->exit_reason = vcpu->run->exit_reason;
	vcpu_regs(vcpu, &out->regs);
	vcpu_sregs(vcpu, &out->sregs);
	/* The type of an LDTR that is unusable is undefined (SDM 3C 25.4.1). */
	if (out->sregs.ldt.unusable)
		out->sregs.ldt.type = 0;
	memcpy(out->data, vm->mem + DATA, 16);
	out->exits = exits_of(vcpu) - before;
	vcpu_set_sregs(vcpu, &sregs);
}

static void run_mode(u64 mask, enum cpu_mode mode, struct result *results)
{
	struct vm vm;
	struct vcpu *vcpu;

	vm_create(&vm, 0);
	EQ(vm_force_exits(&vm, mask), 0, "the mask");
	vcpu = in_mode(&vm, mode);
	for (u64 i = 0; i < ARRAY_SIZE(rows); i++)
		run_row(&vm, vcpu, &rows[i], mode, &results[i]);
	vm_destroy(&vm);
}

static void compare(enum cpu_mode mode)
{
	static struct result plain[ARRAY_SIZE(rows)], forced[ARRAY_SIZE(rows)];
	struct vm vm;
	u64 mask;

	vm_create(&vm, 0);
	mask = vm_forceable(&vm);
	vm_destroy(&vm);
	if (!mask)
		ksft_skip("no DROSTE_FORCE_EXITS");
	run_mode(0, mode, plain);
	run_mode(mask, mode, forced);
	for (u64 i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct result *is = &forced[i], *should = &plain[i];
		const char *name = rows[i].name;

		EQ(should->exit_reason, KVM_EXIT_HLT, "%s: a HLT ends it", name);
		EQ(!NEXT_INSN(should->regs.rip), rows[i].faults[mode], "%s: it faults", name);
		EQ(is->exit_reason, should->exit_reason, "%s: exit reason", name);
		EQ(is->regs.rip, should->regs.rip, "%s: RIP", name);
		EQ(memcmp(&is->regs, &should->regs, sizeof(is->regs)), 0, "%s: registers", name);
		EQ(memcmp(&is->sregs, &should->sregs, sizeof(is->sregs)), 0, "%s: system registers", name);
		EQ(memcmp(is->data, should->data, 16), 0, "%s: the operand", name);
		/* The processor checks what is no instruction in this mode before the exit. RDPMC exits anyway. */
		if (rows[i].bit & mask & ~DROSTE_FORCE_RDPMC && !(rows[i].bit == DROSTE_FORCE_TABLES && rows[i].faults[mode]))
			OK(is->exits > should->exits, "%s exits", name);
	}
}

static void host_real(void)
{
	compare(REAL);
}

static void host_protected(void)
{
	compare(PROTECTED);
}

static void host_compatibility(void)
{
	compare(COMPATIBILITY);
}

static const struct ksft_test tests[] = {
	{ "real mode", .host = host_real },
	{ "protected mode", .host = host_protected },
	{ "compatibility mode", .host = host_compatibility },
};
KSFT_MAIN(tests)
