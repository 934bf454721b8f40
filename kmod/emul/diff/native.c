// SPDX-License-Identifier: GPL-2.0
/* Runs one instruction on this machine's processor; signal frames carry the state in and out. */
#define _GNU_SOURCE
#include <asm/ldt.h>
#include <cpuid.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include "cpu.h"
#include "diff.h"

#define UC_STRICT_RESTORE_SS	0x4

/* Segments of the 16-bit mode, in the LDT. */
#define LDT_CODE16	((0 << 3) | 7)
#define LDT_DATA16	((1 << 3) | 7)
#define USER32_CS	0x23
#define USER_DS		0x2b

u8 *arena;
u16 selectors[NR_SREGS];

static u32 opmask_at, zmm_hi_at, zmm16_at;	/* in the XSAVE area (SDM 1 13.4.3) */

/* The test that the handler starts, and the process's own state meanwhile. */
static const struct test_case *current;
static struct machine *result;
static volatile bool running;
static gregset_t own_gregs;
static unsigned long own_flags;

static const int greg_of[16] = {
	REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
	REG_R8, REG_R9, REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15,
};

/* Components of vector register @i in a signal frame's XSAVE area: 16, 16 and 32 bytes, or 64. */
static void vec_parts(u8 *x, int i, u8 *part[3], u32 len[3])
{
	memset(len, 0, 3 * sizeof(*len));
	if (i >= 16) {
		part[0] = x + zmm16_at + 64 * (i - 16);
		len[0] = cpu.avx512 ? 64 : 0;
		return;
	}
	part[0] = x + 160 + 16 * i;
	len[0] = 16;
	part[1] = x + 576 + 16 * i;
	len[1] = cpu.avx ? 16 : 0;
	part[2] = x + zmm_hi_at + 32 * i;
	len[2] = cpu.avx512 ? 32 : 0;
}

static u64 *xstate_bv(u8 *x)
{
	return (u64 *)(x + 512);
}

/* Components that are in their initial state are not in the frame. */
static bool part_valid(u8 *x, int i, int part)
{
	u64 bv = *xstate_bv(x);

	if (!cpu.avx)
		return true;
	if (i >= 16)
		return bv & BIT(7);
	return part == 0 ? bv & BIT(1) : part == 1 ? bv & BIT(2) : bv & BIT(6);
}

static void put_vectors(u8 *x, const u8 vec[32][64])
{
	u8 *part[3];
	u32 len[3], at;
	int i, p;

	if (cpu.avx)
		*xstate_bv(x) |= 3 | (cpu.avx ? BIT(2) : 0) | (cpu.avx512 ? BIT(5) | BIT(6) | BIT(7) : 0);
	if (cpu.avx512)
		memset(x + opmask_at, 0, 64);
	for (i = 0; i < 32; i++) {
		vec_parts(x, i, part, len);
		for (p = 0, at = 0; p < 3; at += len[p], p++)
			memcpy(part[p], vec[i] + at, len[p]);
	}
}

static void get_vectors(u8 *x, u8 vec[32][64])
{
	u8 *part[3];
	u32 len[3], at;
	int i, p;

	memset(vec, 0, 32 * 64);
	for (i = 0; i < 32; i++) {
		vec_parts(x, i, part, len);
		for (p = 0, at = 0; p < 3; at += len[p], p++)
			if (part_valid(x, i, p))
				memcpy(vec[i] + at, part[p], len[p]);
	}
}

static u64 segments_of(enum emul_mode mode, u64 own)
{
	u64 cs, ss = USER_DS;

	if (mode == MODE_64)
		return own;
	cs = mode == MODE_32 ? USER32_CS : LDT_CODE16;
	if (mode == MODE_16)
		ss = LDT_DATA16;
	return (own & 0x0000ffffffff0000ULL) | cs | ss << 48;
}

static void begin(ucontext_t *uc)
{
	greg_t *g = uc->uc_mcontext.gregs;
	int i;

	memcpy(own_gregs, g, sizeof(own_gregs));
	own_flags = uc->uc_flags;
	for (i = 0; i < 16; i++)
		g[greg_of[i]] = current->in.gpr[i];
	g[REG_RIP] = current->in.rip;
	g[REG_EFL] = current->in.rflags | 0x200;
	g[REG_CSGSFS] = segments_of(current->mode, g[REG_CSGSFS]);
	uc->uc_flags |= UC_STRICT_RESTORE_SS;
	if (current->vector)
		put_vectors((u8 *)uc->uc_mcontext.fpregs, current->in.vec);
	running = true;
}

static void end(ucontext_t *uc)
{
	greg_t *g = uc->uc_mcontext.gregs;
	int i;

	for (i = 0; i < 16; i++)
		result->gpr[i] = g[greg_of[i]];
	result->rip = g[REG_RIP];
	result->rflags = g[REG_EFL];
	result->trap = g[REG_TRAPNO];
	result->error_code = g[REG_ERR];
	result->cr2 = g[REG_CR2];
	if (result->trap == TRAP_BP)
		result->rip--;
	if (current->vector)
		get_vectors((u8 *)uc->uc_mcontext.fpregs, result->vec);
	memcpy(g, own_gregs, sizeof(own_gregs));
	uc->uc_flags = own_flags;
	running = false;
}

static void handler(int sig, siginfo_t *info, void *context)
{
	ucontext_t *uc = context;

	(void)info;
	if (running) {
		end(uc);
	} else if (current && sig == SIGTRAP) {
		begin(uc);
	} else {
		/* A fault of this program itself. */
		signal(sig, SIG_DFL);
		raise(sig);
	}
}

static void load_data_segments(u16 sel)
{
	asm volatile("mov %0, %%ds\n\tmov %0, %%es" : : "r"((u32)sel));
}

void native_run(const struct test_case *t, struct machine *out)
{
	u8 *code = arena, *data = arena + CODE_BYTES;

	memset(code, 0xcc, CODE_BYTES);
	memcpy(code + INSN_AT, t->bytes, t->len);
	memcpy(data, t->in.data, DATA_BYTES);
	result = out;
	current = t;
	if (t->mode != MODE_64)
		load_data_segments(t->mode == MODE_16 ? LDT_DATA16 : USER_DS);
	asm volatile("int3" : : : "memory", "cc");
	if (t->mode != MODE_64)
		load_data_segments(0);
	current = NULL;
	memcpy(out->data, data, DATA_BYTES);
}

u64 segment_base(enum emul_mode mode)
{
	return mode == MODE_16 ? (u64)arena : 0;
}

/* The process's FS and GS bases stay as they are; overrides are not generated. */
u64 override_base(const struct test_case *t)
{
	(void)t;
	return 0;
}

bool pf_elsewhere(const struct machine *nat)
{
	return nat->trap == X86_TRAP_PF && nat->cr2 - (u64)arena > CODE_BYTES + DATA_BYTES;
}

static bool add_ldt_entry(u32 entry, bool code)
{
	struct user_desc d = {
		.entry_number = entry,
		.base_addr = (u64)arena,
		.limit = 0xffff,
		.contents = code ? MODIFY_LDT_CONTENTS_CODE : MODIFY_LDT_CONTENTS_DATA,
		.useable = 1,
	};

	return !syscall(SYS_modify_ldt, 1, &d, sizeof(d));
}

/* Runs NOP in @mode to find out whether such code runs here. */
static bool probe_mode(enum emul_mode mode)
{
	static struct test_case t;
	static struct machine out;

	memset(&t, 0, sizeof(t));
	t.mode = mode;
	t.bytes[0] = 0x90;
	t.len = 1;
	t.in.rip = (u64)arena + INSN_AT - segment_base(mode);
	native_run(&t, &out);
	return out.trap == TRAP_BP && out.rip == t.in.rip + 1;
}

/* Vector of the exception that a load from @la raises. */
static u8 probe_load(u64 la)
{
	static const u8 load[] = { 0x8a, 0x00 };	/* mov (%rax), %al */
	static struct test_case t;
	static struct machine out;

	memset(&t, 0, sizeof(t));
	t.mode = MODE_64;
	memcpy(t.bytes, load, sizeof(load));
	t.len = sizeof(load);
	t.in.rip = (u64)arena + INSN_AT;
	t.in.gpr[GPR_AX] = la;
	native_run(&t, &out);
	return out.trap;
}

/* 5-level paging makes addresses of 57 bits canonical. LASS makes those of the kernel's half #GP instead of #PF. */
static void probe_addresses(void)
{
	cpu.la_bits = probe_load(0x800000000000ULL) == X86_TRAP_PF ? 57 : 48;
	cpu.lass = probe_load(0xffff800000000000ULL) != X86_TRAP_PF;
}

static void probe_features(void)
{
	u32 a, b, c, d, xcr0 = 0, hi;
	struct cpu_words w = { 0 };

	cpu.intel = !strcmp(cpu_name().vendor, "GenuineIntel");
	__cpuid(0, a, b, c, d);
	if (a >= 7)
		__cpuid_count(7, 0, c, w.leaf7_ebx, w.leaf7_ecx, d);
	__cpuid(0x80000001, a, b, w.ext1_ecx, d);
	__cpuid(1, a, b, w.leaf1_ecx, d);
	if (w.leaf1_ecx & BIT(27))
		asm volatile("xgetbv" : "=a"(xcr0), "=d"(hi) : "c"(0));
	w.avx = (xcr0 & 6) == 6;
	w.avx512 = (xcr0 & 0xe6) == 0xe6;
	cpu_features(&w);
	if (!cpu.avx512)
		return;
	__cpuid_count(0xd, 5, a, opmask_at, c, d);
	__cpuid_count(0xd, 6, a, zmm_hi_at, c, d);
	__cpuid_count(0xd, 7, a, zmm16_at, c, d);
}

void native_init(void)
{
	const int signals[] = { SIGTRAP, SIGSEGV, SIGBUS, SIGFPE, SIGILL };
	struct sigaction sa = { .sa_sigaction = handler, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER };
	stack_t stack = { .ss_size = 1 << 16, .ss_sp = malloc(1 << 16) };
	u32 i;

	arena = mmap(NULL, CODE_BYTES + DATA_BYTES + 0x1000, PROT_READ | PROT_WRITE | PROT_EXEC,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
	if (arena == MAP_FAILED || !stack.ss_sp || sigaltstack(&stack, NULL) ||
	    mprotect(arena + CODE_BYTES + DATA_BYTES, 0x1000, PROT_NONE)) {
		perror("emul-diff: memory");
		exit(2);
	}
	for (i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		sigaction(signals[i], &sa, NULL);
	asm("mov %%es, %0" : "=r"(selectors[SREG_ES]));
	asm("mov %%cs, %0" : "=r"(selectors[SREG_CS]));
	asm("mov %%ss, %0" : "=r"(selectors[SREG_SS]));
	asm("mov %%ds, %0" : "=r"(selectors[SREG_DS]));
	asm("mov %%fs, %0" : "=r"(selectors[SREG_FS]));
	asm("mov %%gs, %0" : "=r"(selectors[SREG_GS]));
	probe_features();
	if (!probe_mode(MODE_64)) {
		fprintf(stderr, "emul-diff: instructions cannot be run through signal frames here\n");
		exit(2);
	}
	probe_addresses();
	cpu.mode32 = probe_mode(MODE_32);
	cpu.mode16 = add_ldt_entry(0, true) && add_ldt_entry(1, false) && probe_mode(MODE_16);
}
