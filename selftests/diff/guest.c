// SPDX-License-Identifier: GPL-2.0
/* Guest part of t_diff: runs each case of a batch natively and trapped, at the same linear addresses. */
#include "guest.h"
#include "case.h"
#include "run.h"

struct iret_frame {
	u64 rip, cs, rflags, rsp, ss;
};

void diff_enter(const struct diff_regs *in, const struct iret_frame *frame);
void diff_load_vectors(const u8 vec[32][64], u32 simd);
void diff_save_vectors(u8 vec[32][64], u32 simd);
extern char diff_leave[];
extern u64 diff_rsp;

static u64 gdt[24] __attribute__((aligned(16)));
static u8 ist[0x4000] __attribute__((aligned(16)));
static struct diff_out *out;	/* outcome of the case that runs; NULL if none runs */
static u64 *window;		/* page table entries from LIN_CODE on */

#define SHARED	((struct diff_shared *)DIFF_SHARED)
#define DR6_INIT 0xffff0ff0ul

/* Every exception of a case ends it: diff_enter() returns. */
static void diff_trap(struct trap_regs *r)
{
	struct diff_out *o = out;
	u64 i;
	const u64 gpr[16] = {
		r->rax, r->rcx, r->rdx, r->rbx, r->rsp, r->rbp, r->rsi, r->rdi,
		r->r8, r->r9, r->r10, r->r11, r->r12, r->r13, r->r14, r->r15,
	};

	while (!o)
		g_call(GCALL_TRAP, NULL, 0, NULL, r->vector, r->error, r->rip, read_cr2());
	for (i = 0; i < 16; i++)
		o->r.gpr[i] = gpr[i];
	o->r.rip = r->rip;
	o->r.rflags = r->rflags;
	o->vector = r->vector;
	o->error = r->error;
	o->cs = r->cs;
	o->ss = r->ss;
	r->rip = (u64)diff_leave;
	r->cs = SEL_CS64;
	r->rflags = RFLAGS_FIXED;
	r->rsp = diff_rsp;
	r->ss = SEL_DS;
}

/* --- set up --- */

static void set_gdt(void)
{
	struct dtr old, new = { sizeof(gdt) - 1, (u64)gdt };

	sgdt(&old);
	g_copy(gdt, (void *)old.base, 0x60);
	asm volatile("lgdt %0" : : "m" (new));
}

/* Every exception takes IST1, because RSP belongs to the case. */
static void set_idt(void)
{
	u64 *idt = (u64 *)(CPU_TABLES + OFF_IDT);
	int i;

	for (i = 0; i < 32; i++) {
		idt[i * 2] |= 1ul << 32;
		g_trap_fn[i] = diff_trap;
	}
	*(u64 *)(CPU_TABLES + OFF_TSS + 36) = (u64)ist + sizeof(ist);
}

static void set_pages(void)
{
	u64 *low = g_pte(0), *pd = (u64 *)(PAGE_TABLES + 0x2000), i;

	/* Only the program's memory is mapped, without its first pages, which segments' ends reach. */
	for (i = 0; i < 32; i++)
		low[i] = 0;
	window = g_pte(LIN_CODE);
	for (i = MEM_SIZE >> 21; i < 2048; i++)
		if (i != LIN_CODE >> 21)
			pd[i] = 0;
	for (i = 0; i < 512; i++)
		window[i] = 0;
	window[0] = DIFF_CODE | 0x67;
	window[1] = (DIFF_CODE + 0x1000) | 0x67;
	window[5] = DIFF_SOURCE | 0x67;
	write_cr3(read_cr3());
}

static void set_features(void)
{
	struct diff_shared *s = SHARED;
	u32 c = CPUID_REG(1, 0, c), b = CPUID_REG(7, 0, b);

	write_cr0(read_cr0() | CR0_AM | CR0_MP);
	s->leaf1_ecx = c;
	s->leaf7_ebx = b;
	s->leaf7_ecx = CPUID_REG(7, 0, c);
	s->ext1_ecx = CPUID_REG(0x80000001, 0, c);
	s->simd = 0;
	if (!(c & BIT(26)) || !(c & BIT(28)))
		return;
	write_cr4(read_cr4() | CR4_OSXSAVE);
	s->simd = (b & BIT(16)) && (b & BIT(30)) && (b & BIT(31)) && !try_xsetbv(0, 0xe7) ? 2 : !try_xsetbv(0, 7);
}

/* --- one side of one case --- */

static void set_page(struct diff_case *c, u32 side, u32 i)
{
	u64 pa = side ? DIFF_TRAPPED + i * 0x1000 : DIFF_NATIVE + i * 0x1000;

	if (side && c->place[i] != AT_RAM)
		pa = (c->place[i] == AT_MMIO ? DIFF_MMIO : DIFF_ROM) + i * DIFF_STRIDE;
	window[2 + i] = pa | c->pte[i];
	invlpg(LIN_DATA + i * 0x1000);
}

static void copy8(void *to, const void *from, u64 n)
{
	n /= 8;
	asm volatile("rep movsq" : "+D" (to), "+S" (from), "+c" (n) : : "memory");
}

/* INT3 follows the instruction and fills all places that it may branch to. */
static void put_code(const struct diff_case *c, u32 side)
{
	u8 *code = (u8 *)DIFF_CODE + (c->at - LIN_CODE);

	g_fill(code, 0xcc, sizeof(c->bytes[0]));
	g_copy(code, c->bytes[side], c->len[side]);
}

/* --- before and after the instruction, for the kinds of system.c --- */

/* Both MSRs take canonical addresses; accesses to LSTAR exit, those to KERNEL_GS_BASE do not. */
static u32 case_msr(u32 side)
{
	return side ? MSR_LSTAR : MSR_KERNEL_GS_BASE;
}

#define CR0_OWN	(CR0_MP | CR0_EM | CR0_TS | CR0_WP | CR0_AM)
#define CR4_OWN	(CR4_TSD | CR4_DE | CR4_PGE | CR4_OSFXSR | CR4_OSXMMEXCPT)

/* RAX gets the register's value with guest-owned bits changed; on the trapped side one more bit differs. */
static void before_case(const struct diff_case *c, u32 side, struct diff_regs *r)
{
	switch (c->kind) {
	case DIFF_CR0:
		r->gpr[0] = read_cr0() ^ (r->gpr[0] & CR0_OWN);
		if (side)
			write_cr0(read_cr0() | CR0_CD);
		break;
	case DIFF_CR4:
		r->gpr[0] = read_cr4() ^ (r->gpr[0] & CR4_OWN);
		if (side)
			write_cr4(read_cr4() ^ CR4_MCE);
		break;
	case DIFF_RDMSR:
		/* A random canonical value. */
		wrmsr(case_msr(side), (u64)((s64)(c->in.gpr[3] << 16) >> 16));
		/* fall through */
	case DIFF_WRMSR:
		r->gpr[1] = (r->gpr[1] & ~0xfffffffful) | case_msr(side);
		break;
	}
}

static u64 after_case(const struct diff_case *c, u32 side, u64 cr0, u64 cr4)
{
	u64 extra = 0;

	switch (c->kind) {
	case DIFF_CR0:
		/* At CPL 3 nothing was written; the bit that makes it trap is not a result. */
		extra = c->cpl ? 0 : read_cr0();
		write_cr0(cr0);
		break;
	case DIFF_CR4:
		extra = c->cpl ? 0 : read_cr4();
		write_cr4(cr4);
		break;
	case DIFF_RDMSR:
	case DIFF_WRMSR:
		extra = rdmsr(case_msr(side));
		break;
	case DIFF_CR8:
		write_cr8(0);
		break;
	}
	return extra;
}

static void load_selectors(const struct diff_case *c)
{
	bool flat = c->mode == 2;
	u64 i;

	for (i = 0; i < 6; i++)
		gdt[12 + i] = c->desc[i];
	asm volatile("mov %0, %%es; mov %1, %%ds; mov %2, %%fs; mov %3, %%gs"
		     : : "r" ((u32)(flat ? 0 : c->sel[0])), "r" ((u32)(flat ? 0 : c->sel[3])),
			 "r" ((u32)(flat ? 0 : c->sel[4])), "r" ((u32)(flat ? 0 : c->sel[5])) : "memory");
	if (!flat)
		return;
	wrmsr(MSR_FS_BASE, c->base[0]);
	wrmsr(MSR_GS_BASE, c->base[1]);
}

static void run_side(struct diff_case *c, u32 side)
{
	struct iret_frame f = { c->in.rip, c->sel[1], c->in.rflags, c->in.gpr[4], c->sel[2] };
	u64 data = side ? DIFF_TRAPPED : DIFF_NATIVE;
	struct diff_out *o = &c->out[side];
	bool steps = c->in.rflags & RFLAGS_TF;
	struct diff_regs in = c->in;
	u64 cr0 = read_cr0(), cr4 = read_cr4();

	copy8((void *)data, c->data, DIFF_DATA);
	put_code(c, side);
	set_page(c, side, 0);
	set_page(c, side, 1);
	SHARED->side = side;
	o->vector = NOT_EMULATED;
	if (c->vector)
		diff_load_vectors(c->vec, SHARED->simd);
	if (steps)
		write_dr6(DR6_INIT);
	write_cr2(0);
	load_selectors(c);
	if (c->task_switched)
		write_cr0(read_cr0() | CR0_TS);
	before_case(c, side, &in);
	out = o;
	diff_enter(&in, &f);
	out = NULL;
	o->extra = after_case(c, side, cr0, cr4);
	if (c->task_switched)
		asm volatile("clts");
	o->cr2 = read_cr2();
	o->dr6 = steps ? read_dr6() : 0;
	if (c->vector)
		diff_save_vectors(o->vec, SHARED->simd);
	o->pte[0] = window[2];
	o->pte[1] = window[3];
	copy8(o->data, (void *)data, DIFF_DATA);
}

static void run_case(struct diff_case *c)
{
	run_side(c, 0);
	run_side(c, 1);
	g_fill((u8 *)DIFF_CODE + (c->at - LIN_CODE), 0xcc, sizeof(c->bytes[0]));
}

/* Runs batches for ever. User space restarts it after a case in which KVM_RUN failed. */
void diff_loop(void)
{
	struct diff_shared *s = SHARED;

	for (;;) {
		for (; s->cur < s->n; s->cur++)
			run_case(&s->c[s->cur]);
		g_sync(0);
	}
}

void diff_guest(void)
{
	set_gdt();
	set_pages();
	set_features();
	set_idt();
	g_fill((void *)DIFF_CODE, 0xcc, 0x2000);
	g_sync(0);
	diff_loop();
}
