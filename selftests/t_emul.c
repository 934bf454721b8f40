// SPDX-License-Identifier: GPL-2.0
/* Instructions have the same effect on MMIO as on memory; string ports, faults, traps, unknown instructions. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include "guest.h"
#include "vm.h"

/* An 8 KiB device that behaves like memory: the host serves accesses from these bytes, which the guest sees too. */
#define DEV_SIZE	0x2000ul
#define DEV		MMIO_HOLE
static u8 dev_mem[DEV_SIZE] __attribute__((aligned(4096)));
static volatile u64 dev_accesses;	/* that the device has seen */
static u8 ram[DEV_SIZE] __attribute__((aligned(4096)));
static u8 code[4096] __attribute__((aligned(4096)));

/* The device also appears after the end of memory, so that an access can span both. */
#define EDGE	MEM_SIZE

#define STR_PORT	0x300	/* a string port; the host supplies ascending bytes and records those written */

/* --- the guest's side: run an instruction with given registers --- */

struct state {
	u64 rax, rcx, rdx, rbx, rsi, rdi, rbp, r8, flags;
};

void run_code(struct state *s, const void *insn);
asm(".pushsection .text\n"
	"run_code:\n\t"
	"push %rbx; push %rbp; push %r12; push %r13; push %r14; push %r15\n\t"
	"mov %rdi, %r14; mov %rsi, %r15\n\t"
	"push 64(%r14)\n\t"
	"mov 0(%r14), %rax; mov 8(%r14), %rcx; mov 16(%r14), %rdx; mov 24(%r14), %rbx\n\t"
	"mov 32(%r14), %rsi; mov 40(%r14), %rdi; mov 48(%r14), %rbp; mov 56(%r14), %r8\n\t"
	"popfq\n\t"
	"call *%r15\n\t"
	"pushfq\n\t"
	"mov %rax, 0(%r14); mov %rcx, 8(%r14); mov %rdx, 16(%r14); mov %rbx, 24(%r14)\n\t"
	"mov %rsi, 32(%r14); mov %rdi, 40(%r14); mov %rbp, 48(%r14); mov %r8, 56(%r14)\n\t"
	"pop 64(%r14)\n\t"
	"cld\n\t"
	"pop %r15; pop %r14; pop %r13; pop %r12; pop %rbp; pop %rbx\n\t"
	"ret\n"
	".popsection\n");

static void put_code(const u8 *insn, u8 n)
{
	g_copy(code, insn, n);
	code[n] = 0xc3;
}

/* --- one operand at (%rbx), or at (%rbx) and 16(%rbx) --- */

#define ARITH	0x8d5	/* CF PF AF ZF SF OF */
#define NO_AF	(ARITH & ~0x10)
#define NO_OF	(ARITH & ~0x800)
#define SZP	0xc4	/* undefined after multiplications, as is AF */
#define MUL	(ARITH & ~(SZP | 0x10))
#define BT	(ARITH & ~(0x894))
#define NONE	0

struct row {
	const char *name;
	u8 n, bytes[28];
	u16 flags;	/* flags defined after the instruction */
};

#define INSN(name, flags, ...) { name, sizeof((u8[]){ __VA_ARGS__ }), { __VA_ARGS__ }, flags }

static const struct row rows[] = {
	INSN("mov %al, m", ARITH, 0x88, 0x03),
	INSN("mov %ax, m", ARITH, 0x66, 0x89, 0x03),
	INSN("mov %eax, m", ARITH, 0x89, 0x03),
	INSN("mov %rax, m", ARITH, 0x48, 0x89, 0x03),
	INSN("mov %ah, m", ARITH, 0x88, 0x23),
	INSN("mov m, %al", ARITH, 0x8a, 0x03),
	INSN("mov m, %ch", ARITH, 0x8a, 0x2b),
	INSN("mov m, %ax", ARITH, 0x66, 0x8b, 0x03),
	INSN("mov m, %eax", ARITH, 0x8b, 0x03),
	INSN("mov m, %rax", ARITH, 0x48, 0x8b, 0x03),
	INSN("mov m, %r8", ARITH, 0x4c, 0x8b, 0x43, 0x08),
	INSN("movb $0x5a, m", ARITH, 0xc6, 0x03, 0x5a),
	INSN("movq $-2, m", ARITH, 0x48, 0xc7, 0x03, 0xfe, 0xff, 0xff, 0xff),
	INSN("movl $1, 7(m), unaligned", ARITH, 0xc7, 0x43, 0x07, 1, 0, 0, 0),
	INSN("movzbl", ARITH, 0x0f, 0xb6, 0x03),
	INSN("movzwq", ARITH, 0x48, 0x0f, 0xb7, 0x03),
	INSN("movsbw", ARITH, 0x66, 0x0f, 0xbe, 0x03),
	INSN("movswl", ARITH, 0x0f, 0xbf, 0x03),
	INSN("movslq", ARITH, 0x48, 0x63, 0x03),
	INSN("movnti", ARITH, 0x48, 0x0f, 0xc3, 0x03),
	INSN("mov %ds, m", ARITH, 0x8c, 0x1b),
	INSN("add %eax, m", ARITH, 0x01, 0x03),
	INSN("lock add %rax, m", ARITH, 0xf0, 0x48, 0x01, 0x03),
	INSN("or %al, m", NO_AF, 0x08, 0x03),
	INSN("adc m, %eax", ARITH, 0x13, 0x03),
	INSN("sbb %ax, m", ARITH, 0x66, 0x19, 0x03),
	INSN("and $0x7f, m", NO_AF, 0x83, 0x23, 0x7f),
	INSN("lock sub $1000, m", ARITH, 0xf0, 0x81, 0x2b, 0xe8, 3, 0, 0),
	INSN("xor m, %rax", NO_AF, 0x48, 0x33, 0x03),
	INSN("cmp %eax, m", ARITH, 0x39, 0x03),
	INSN("cmpb $0x80, m", ARITH, 0x80, 0x3b, 0x80),
	INSN("test %eax, m", NO_AF, 0x85, 0x03),
	INSN("testb $1, m", NO_AF, 0xf6, 0x03, 0x01),
	INSN("not m", ARITH, 0xf7, 0x13),
	INSN("neg m", ARITH, 0x48, 0xf7, 0x1b),
	INSN("incb m", ARITH, 0xfe, 0x03),
	INSN("lock decl m", ARITH, 0xf0, 0xff, 0x0b),
	INSN("mul m", MUL, 0xf7, 0x23),
	INSN("imulb m", MUL, 0xf6, 0x2b),
	INSN("imul m, %rax", MUL, 0x48, 0x0f, 0xaf, 0x03),
	INSN("imul $10, m, %ecx", MUL, 0x6b, 0x0b, 0x0a),
	INSN("xor %edx, %edx; divl 4(m)", NONE, 0x31, 0xd2, 0x83, 0x4b, 0x04, 1, 0xf7, 0x73, 0x04),
	INSN("xchg %rax, m", ARITH, 0x48, 0x87, 0x03),
	INSN("xchg %al, m", ARITH, 0x86, 0x03),
	INSN("lock xadd %eax, m", ARITH, 0xf0, 0x0f, 0xc1, 0x03),
	INSN("mov m, %eax; lock cmpxchg %ecx, m", ARITH, 0x8b, 0x03, 0xf0, 0x0f, 0xb1, 0x0b),
	INSN("cmpxchg %rcx, m", ARITH, 0x48, 0x0f, 0xb1, 0x0b),
	INSN("cmpxchg8b", ARITH, 0x0f, 0xc7, 0x0b),
	INSN("lock cmpxchg16b", ARITH, 0xf0, 0x48, 0x0f, 0xc7, 0x0b),
	INSN("bt $3, m", BT, 0x0f, 0xba, 0x23, 0x03),
	INSN("bts %rcx, m", BT, 0x83, 0xe1, 0x7f, 0x48, 0x0f, 0xab, 0x0b),
	INSN("lock btr $31, m", BT, 0xf0, 0x0f, 0xba, 0x33, 0x1f),
	INSN("btc $0, m", BT, 0x0f, 0xba, 0x3b, 0x00),
	INSN("sete m", ARITH, 0x0f, 0x94, 0x03),
	INSN("setl m", ARITH, 0x0f, 0x9c, 0x03),
	INSN("cmovb m, %eax", ARITH, 0x0f, 0x42, 0x03),
	INSN("cmovge m, %rax", ARITH, 0x48, 0x0f, 0x4d, 0x03),
	INSN("shl m", NO_AF, 0xd1, 0x23),
	INSN("shr $1, m", NO_AF, 0xd0, 0x2b),
	INSN("sar $5, m", NO_AF & NO_OF, 0x48, 0xc1, 0x3b, 0x05),
	INSN("rol $7, m", NO_OF, 0xc1, 0x03, 0x07),
	INSN("rcr m", ARITH, 0x48, 0xd1, 0x1b),
	INSN("and $15, %cl; rclw %cl, m", NONE, 0x80, 0xe1, 0x0f, 0x66, 0xd3, 0x13),
	INSN("shld $4, %eax, m", NO_AF & NO_OF, 0x0f, 0xa4, 0x03, 0x04),
	INSN("shrd $9, %rax, m", NO_AF & NO_OF, 0x48, 0x0f, 0xac, 0x03, 0x09),
	INSN("push m; pop 16(m)", ARITH, 0xff, 0x33, 0x8f, 0x43, 0x10),
	INSN("moffs", ARITH, 0x48, 0x89, 0xd8, 0x48, 0x8b, 0x00),
	INSN("(%rbx,%rcx,4)", ARITH, 0x83, 0xe1, 3, 0x8b, 0x04, 0x8b),
	INSN("67: (%ebx)", ARITH, 0x67, 0x8b, 0x03),
	INSN("clflush", ARITH, 0x0f, 0xae, 0x3b),
	INSN("prefetchw", ARITH, 0x0f, 0x0d, 0x0b),
	INSN("smsw m", ARITH, 0x0f, 0x01, 0x23),
	INSN("smsw m; lmsw m", ARITH, 0x0f, 0x01, 0x23, 0x0f, 0x01, 0x33),
	INSN("smsw m; orb $8, m; lmsw m; smsw 16(m); clts", NONE,
	     0x0f, 0x01, 0x23, 0x80, 0x0b, 0x08, 0x0f, 0x01, 0x33, 0x0f, 0x01, 0x63, 0x10, 0x0f, 0x06),
	INSN("sldt m", ARITH, 0x0f, 0x00, 0x03),
	INSN("str m", ARITH, 0x0f, 0x00, 0x0b),
	INSN("movw $0, m; lldt m", ARITH, 0x66, 0xc7, 0x03, 0x00, 0x00, 0x0f, 0x00, 0x13),
	INSN("sgdt m; lgdt m", ARITH, 0x0f, 0x01, 0x03, 0x0f, 0x01, 0x13),
	INSN("sidt m; lidt m", ARITH, 0x0f, 0x01, 0x0b, 0x0f, 0x01, 0x1b),
	INSN("mov %ds, m; mov m, %es", ARITH, 0x8c, 0x1b, 0x8e, 0x03),
	INSN("mov %ss, m; mov m, %ss", ARITH, 0x8c, 0x13, 0x8e, 0x13),
	INSN("movw $0, m; mov m, %fs", ARITH, 0x66, 0xc7, 0x03, 0x00, 0x00, 0x8e, 0x23),
	INSN("lea 1f, %rax; mov %eax, m; movw $8, 4(m); ljmp *m; 1:", ARITH,
	     0x48, 0x8d, 0x05, 10, 0, 0, 0, 0x89, 0x03, 0x66, 0xc7, 0x43, 0x04, 0x08, 0x00, 0xff, 0x2b),
	INSN("lea 1f, %rax; mov %eax, m; movw $8, 4(m); lcall *m; 1: pop %rdx", ARITH,
	     0x48, 0x8d, 0x05, 10, 0, 0, 0, 0x89, 0x03, 0x66, 0xc7, 0x43, 0x04, 0x08, 0x00, 0xff, 0x1b, 0x5a),
	/* RSP is kept in R8 while the device is the stack. */
	INSN("mov %rsp, %r8; lea 32(m), %rsp; enter $8, $0; mov %r8, %rsp", ARITH,
	     0x49, 0x89, 0xe0, 0x48, 0x8d, 0x63, 0x20, 0xc8, 0x08, 0x00, 0x00, 0x4c, 0x89, 0xc4),
	INSN("mov %rsp, %r8; lea 16(m), %rbp; leave; mov %rbp, %rax; mov %r8, %rsp", ARITH,
	     0x49, 0x89, 0xe0, 0x48, 0x8d, 0x6b, 0x10, 0xc9, 0x48, 0x89, 0xe8, 0x4c, 0x89, 0xc4),
	INSN("mov %rsp, %r8; lea 32(m), %rsp; pushfq; popfq; mov %r8, %rsp", ARITH,
	     0x49, 0x89, 0xe0, 0x48, 0x8d, 0x63, 0x20, 0x9c, 0x9d, 0x4c, 0x89, 0xc4),
	INSN("mov %rsp, %r8; lea 32(m), %rsp; push %fs; pop %fs; mov %r8, %rsp", ARITH,
	     0x49, 0x89, 0xe0, 0x48, 0x8d, 0x63, 0x20, 0x0f, 0xa0, 0x0f, 0xa1, 0x4c, 0x89, 0xc4),
	INSN("movbe m, %eax", ARITH, 0x0f, 0x38, 0xf0, 0x03),
	INSN("popcnt m, %eax", ARITH, 0xf3, 0x0f, 0xb8, 0x03),
	INSN("tzcnt m, %rax", 0x41, 0xf3, 0x48, 0x0f, 0xbc, 0x03),
	INSN("lzcnt m, %ax", 0x41, 0x66, 0xf3, 0x0f, 0xbd, 0x03),
	INSN("crc32l m, %eax", ARITH, 0xf2, 0x0f, 0x38, 0xf1, 0x03),
	INSN("crc32b m, %rax", ARITH, 0xf2, 0x48, 0x0f, 0x38, 0xf0, 0x03),
	INSN("adcx m, %eax", ARITH, 0x66, 0x0f, 0x38, 0xf6, 0x03),
	INSN("adox m, %rax", ARITH, 0xf3, 0x48, 0x0f, 0x38, 0xf6, 0x03),
	INSN("andn m, %ecx, %eax", NO_AF & ~4, 0xc4, 0xe2, 0x70, 0xf2, 0x03),
	INSN("bextr %ecx, m, %eax", 0x841, 0xc4, 0xe2, 0x70, 0xf7, 0x03),
	INSN("blsi m, %rcx", 0x8c1, 0xc4, 0xe2, 0xf0, 0xf3, 0x1b),
	INSN("blsmsk m, %ecx", 0x8c1, 0xc4, 0xe2, 0x70, 0xf3, 0x13),
	INSN("blsr m, %ecx", 0x8c1, 0xc4, 0xe2, 0x70, 0xf3, 0x0b),
	INSN("bzhi %ecx, m, %eax", 0x8c1, 0xc4, 0xe2, 0x70, 0xf5, 0x03),
	INSN("mulx m, %rcx, %rax", ARITH, 0xc4, 0xe2, 0xf3, 0xf6, 0x03),
	INSN("pdep m, %ecx, %eax", ARITH, 0xc4, 0xe2, 0x73, 0xf5, 0x03),
	INSN("pext m, %rcx, %rax", ARITH, 0xc4, 0xe2, 0xf2, 0xf5, 0x03),
	INSN("rorx $5, m, %rax", ARITH, 0xc4, 0xe3, 0xfb, 0xf0, 0x03, 0x05),
	INSN("sarx %ecx, m, %eax", ARITH, 0xc4, 0xe2, 0x72, 0xf7, 0x03),
	INSN("shlx %rcx, m, %rax", ARITH, 0xc4, 0xe2, 0xf1, 0xf7, 0x03),
	INSN("shrx %ecx, m, %eax", ARITH, 0xc4, 0xe2, 0x73, 0xf7, 0x03),
	INSN("movq m, %mm1; movq %mm1, 16(m); emms", ARITH, 0x0f, 0x6f, 0x0b, 0x0f, 0x7f, 0x4b, 0x10, 0x0f, 0x77),
	INSN("movd m, %mm2; movd %mm2, 20(m); movntq %mm2, 24(m); emms", ARITH,
	     0x0f, 0x6e, 0x13, 0x0f, 0x7e, 0x53, 0x14, 0x0f, 0xe7, 0x53, 0x18, 0x0f, 0x77),
	INSN("fninit; fnstcw m; fldcw m; fnstsw 16(m)", ARITH, 0xdb, 0xe3, 0xd9, 0x3b, 0xd9, 0x2b, 0xdd, 0x7b, 0x10),
	INSN("fninit; fildl m; fistpl 16(m)", ARITH, 0xdb, 0xe3, 0xdb, 0x03, 0xdb, 0x5b, 0x10),
	INSN("fninit; fildll m; fistpll 16(m)", ARITH, 0xdb, 0xe3, 0xdf, 0x2b, 0xdf, 0x7b, 0x10),
	INSN("fninit; fldl m; fstpl 16(m)", ARITH, 0xdb, 0xe3, 0xdd, 0x03, 0xdd, 0x5b, 0x10),
	INSN("fninit; flds m; fstps 16(m)", ARITH, 0xdb, 0xe3, 0xd9, 0x03, 0xd9, 0x5b, 0x10),
	INSN("fninit; movw $0x37e, m; fldcw m; fldl 8(m); fistpl 16(m); fnstsw 32(m); fnclex: not stored if it does not fit", ARITH,
	     0xdb, 0xe3, 0x66, 0xc7, 0x03, 0x7e, 0x03, 0xd9, 0x2b, 0xdd, 0x43, 0x08, 0xdb, 0x5b, 0x10, 0xdd, 0x7b, 0x20, 0xdb, 0xe2),
	INSN("fninit; fildl m; fnstenv -32(%rsp): FIP is the guest's", NONE,
	     0xdb, 0xe3, 0xdb, 0x03, 0x48, 0x83, 0xec, 0x20, 0xd9, 0x34, 0x24, 0x8b, 0x44, 0x24, 0x0c, 0x48, 0x83, 0xc4, 0x20),
	INSN("fninit; fldl m; faddl 8(m); fstpl 16(m)", ARITH, 0xdb, 0xe3, 0xdd, 0x03, 0xdc, 0x43, 0x08, 0xdd, 0x5b, 0x10),
	INSN("fninit; fldt m; fstpt 16(m)", ARITH, 0xdb, 0xe3, 0xdb, 0x2b, 0xdb, 0x7b, 0x10),
	INSN("movups m, %xmm1; movups %xmm1, 16(m)", ARITH, 0x0f, 0x10, 0x0b, 0x0f, 0x11, 0x4b, 0x10),
	INSN("movdqa m, %xmm9; movntdq %xmm9, 32(m)", ARITH, 0x66, 0x44, 0x0f, 0x6f, 0x0b, 0x66, 0x44, 0x0f, 0xe7, 0x4b, 0x20),
	INSN("movq m, %xmm2; movdqu %xmm2, 3(m)", ARITH, 0xf3, 0x0f, 0x7e, 0x13, 0xf3, 0x0f, 0x7f, 0x53, 0x03),
	INSN("movd m, %xmm3; movhps m, %xmm3; movaps %xmm3, 16(m)", ARITH,
	     0x66, 0x0f, 0x6e, 0x1b, 0x0f, 0x16, 0x1b, 0x0f, 0x29, 0x5b, 0x10),
};

static const u64 values[][3] = {	/* memory, rax, rcx */
	{ 0x0123456789abcdef, 0xfedcba9876543210, 0x1111111111111107 },
	{ 0, 0, 0 },
	{ ~0ul, 1, ~0ul },
	{ 0x8000000080008080, 0x8000000080008080, 0x7fffffff7fff7f7f },
};

static void fill(u8 *p, u64 v)
{
	u64 i;

	for (i = 0; i < 64; i += 8)
		*(u64 *)(p + i) = v + i * 0x0101010101010101ul;
}

static void compare(const struct state *m, const struct state *d, u64 flags, int at)
{
	G_EQN(d->rax, m->rax, "RAX", at);
	G_EQN(d->rcx, m->rcx, "RCX", at);
	G_EQN(d->rdx, m->rdx, "RDX", at);
	G_EQN(d->r8, m->r8, "R8", at);
	G_EQN(d->flags & (flags | ~(u64)ARITH), m->flags & (flags | ~(u64)ARITH), "RFLAGS", at);
	G_EQN(g_diff(dev_mem, ram, 64), -1, "memory at", at);
}

static void run_row(const struct row *r, int at)
{
	struct state m, d;
	u32 v;

	put_code(r->bytes, r->n);
	for (v = 0; v < ARRAY_SIZE(values) * 2; v++) {
		const u64 *val = values[v / 2];

		fill(ram, val[0]);
		fill(dev_mem, val[0]);
		m = (struct state) {
			.rax = val[1], .rcx = val[2], .rdx = val[0] ^ 1, .rbx = (u64)ram,
			.flags = RFLAGS_FIXED | (v & 1 ? ARITH : 0),
		};
		d = m;
		d.rbx = DEV;
		/* The register that is stored is the address, which differs between device and memory. */
		if (r->bytes[0] == 0x48 && r->bytes[1] == 0x89 && r->bytes[2] == 0xd8)
			m.rax = d.rax = 0;
		run_code(&m, code);
		run_code(&d, code);
		compare(&m, &d, r->flags, at * 100 + v);
	}
}

static void guest_rows(void)
{
	u32 i;

	for (i = 0; i < ARRAY_SIZE(rows); i++)
		run_row(&rows[i], i);
}

/* --- string instructions: each of the two operands on the device or not --- */

struct string_row {
	const char *name;
	u8 n, bytes[4];
};

#define STR(name, ...) { name, sizeof((u8[]){ __VA_ARGS__ }), { __VA_ARGS__ } }

static const struct string_row strings[] = {
	STR("movsb", 0xa4), STR("rep movsb", 0xf3, 0xa4), STR("rep movsw", 0xf3, 0x66, 0xa5),
	STR("rep movsl", 0xf3, 0xa5), STR("rep movsq", 0xf3, 0x48, 0xa5),
	STR("rep stosb", 0xf3, 0xaa), STR("rep stosl", 0xf3, 0xab), STR("stosq", 0x48, 0xab),
	STR("lodsw", 0x66, 0xad), STR("rep lodsl", 0xf3, 0xad),
	STR("repe cmpsb", 0xf3, 0xa6), STR("repne cmpsl", 0xf2, 0xa7),
	STR("repe scasb", 0xf3, 0xae), STR("repne scasw", 0xf2, 0x66, 0xaf), STR("67 rep movsb", 0x67, 0xf3, 0xa4),
};

static void run_string(const struct string_row *r, int where, bool down, int at)
{
	struct state m, d;
	u64 src_m = (u64)ram + 0x100, dst_m = (u64)ram + 0x200;
	u64 src_d = where & 1 ? DEV + 0x100 : (u64)dev_mem + 0x100;
	u64 dst_d = where & 2 ? DEV + 0x200 : (u64)dev_mem + 0x200;
	u64 i;

	for (i = 0; i < 0x400; i++)
		ram[i] = dev_mem[i] = i & 0x10 ? 0x11 : 0x22;
	ram[0x203] = dev_mem[0x203] = 0x33;
	put_code(r->bytes, r->n);
	m = (struct state) {
		.rax = 0x2222222222222222, .rcx = 6, .rsi = src_m, .rdi = dst_m,
		.flags = RFLAGS_FIXED | (down ? BIT(10) : 0),
	};
	d = m;
	d.rsi = src_d;
	d.rdi = dst_d;
	run_code(&m, code);
	run_code(&d, code);
	G_EQN(d.rsi - src_d, m.rsi - src_m, "RSI moved by", at);
	G_EQN(d.rdi - dst_d, m.rdi - dst_m, "RDI moved by", at);
	G_EQN(d.rcx, m.rcx, "RCX", at);
	G_EQN(d.rax, m.rax, "RAX", at);
	G_EQN(d.flags, m.flags, "RFLAGS", at);
	G_EQN(g_diff(dev_mem, ram, 0x400), -1, "memory at", at);
}

static void guest_strings(void)
{
	u32 i;
	int where;

	for (i = 0; i < ARRAY_SIZE(strings); i++)
		for (where = 1; where <= 3; where++) {
			run_string(&strings[i], where, false, i * 100 + where);
			run_string(&strings[i], where, true, i * 100 + where + 10);
		}
}

/* --- faults in the middle, page boundaries --- */

static void unmap(u64 va)
{
	*g_pte(va) &= ~1ul;
	invlpg(va);
}

static void guest_faults(void)
{
	u64 f, rdi = DEV + 0x1000 - 12, rcx = 8, rax = 0x77777777;
	u64 v;

	unmap(DEV + 0x1000);
	g_fill(dev_mem, 0, DEV_SIZE);
	asm volatile(TRY("rep stosl") "mov %%r11, %0"
		     : "=r" (f), "+D" (rdi), "+c" (rcx) : "a" (rax) : "r11", "memory", "cc");
	G_EQ(f, FAULT(VEC_PF, 2), "REP STOS into a page that is not present");
	G_EQ(rdi, DEV + 0x1000, "RDI");
	G_EQ(rcx, 5, "RCX");
	G_EQ(read_cr2(), DEV + 0x1000, "CR2");
	G_EQ(*(u32 *)(dev_mem + 0xffc), 0x77777777, "the elements before the fault are stored");

	/* Across the boundary: nothing is read or written, and the fault is that of the second page. */
	f = try_read64(DEV + 0xffc, &v);
	G_EQ(f, FAULT(VEC_PF, 0), "load across the boundary");
	G_EQ(read_cr2(), DEV + 0x1000, "CR2");
	asm volatile(TRY("movq $-1, (%1)") "mov %%r11, %0" : "=r" (f) : "r" (DEV + 0xffcul) : "r11", "memory", "cc");
	G_EQ(f, FAULT(VEC_PF, 2), "store across the boundary");
	G_EQ(*(u32 *)(dev_mem + 0xffc), 0x77777777, "the first half is unchanged");
	*g_pte(DEV + 0x1000) |= 1;

	/* A page that the guest maps read-only. */
	*g_pte(DEV + 0x1000) &= ~2ul;
	invlpg(DEV + 0x1000);
	asm volatile(TRY("lock incl (%1)") "mov %%r11, %0" : "=r" (f) : "r" (DEV + 0x1000ul) : "r11", "memory", "cc");
	G_EQ(f, FAULT(VEC_PF, 3), "RMW of a read-only page");
	*g_pte(DEV + 0x1000) |= 2;
	invlpg(DEV + 0x1000);

	/* Accesses across the boundary that are allowed. */
	*(u64 *)(dev_mem + 0xffc) = 0x1122334455667788;
	G_EQ(try_read64(DEV + 0xffc, &v), NO_FAULT, "load across the boundary");
	G_EQ(v, 0x1122334455667788, "value");
	/* Half memory, half device. */
	*(volatile u64 *)(EDGE - 3) = 0x8877665544332211;
	G_EQ(*(volatile u8 *)(EDGE - 3), 0x11, "memory's half");
	G_EQ(*(u32 *)dev_mem, 0x77665544, "the device's half");
	G_EQ(dev_mem[4], 0x88, "last byte in the device's half");
	G_EQ(*(volatile u64 *)(EDGE - 3), 0x8877665544332211, "read back");
}

static u64 user_access(u64 arg)
{
	return *(volatile u32 *)arg;
}

static u64 user_try(u64 arg)
{
	u64 v;

	return try_read64(arg, &v);
}

static void guest_user_mode(void)
{
	*(u32 *)(dev_mem + 0x40) = 0xcafe;
	G_EQ(g_user(user_access, DEV + 0x40), 0xcafe, "a load at CPL 3");
	*g_pte(DEV) &= ~4ul;
	invlpg(DEV);
	G_EQ(g_user(user_try, DEV + 0x40), FAULT(VEC_PF, 5), "a load of a supervisor page at CPL 3");
	*g_pte(DEV) |= 4;
	invlpg(DEV);
}

/* --- system instructions whose operand is on the device: faults, and LTR --- */

#define TRY_ON(insn, ptr) ({ \
	u64 f__; \
	asm volatile(TRY(insn) "mov %%r11, %0" : "=r" (f__) : "r" (ptr) : "r11", "memory", "cc"); \
	f__; })

static u64 user_system(u64 arg)
{
	u64 ptr = DEV;

	switch (arg) {
	case 0:
		return TRY_ON("lmsw (%1)", ptr);
	case 1:
		return TRY_ON("lldt (%1)", ptr);
	case 2:
		return TRY_ON("ltr (%1)", ptr);
	case 3:
		return TRY_ON("lgdt (%1)", ptr);
	case 4:
		return TRY_ON("mov (%1), %%ss", ptr);
	default:
		return TRY_ON("mov (%1), %%es", ptr);
	}
}

static void guest_system(void)
{
	volatile u16 *sel = (u16 *)dev_mem;
	u64 *tss = (u64 *)(CPU_TABLES + (SEL_TSS & ~7)), f, high, ptr = DEV;
	u64 accesses;
	int i;

	*sel = SEL_DS;
	for (i = 0; i < 4; i++)
		G_EQN(g_user(user_system, i), GP0, "a privileged instruction at CPL 3", i);
	G_EQ(g_user(user_system, 4), FAULT(VEC_GP, SEL_DS), "MOV SS of CPL 0's selector at CPL 3");
	*sel = 0xfff8;
	G_EQ(TRY_ON("mov (%1), %%es", ptr), FAULT(VEC_GP, 0xfff8), "a selector beyond the GDT's limit");
	G_EQ(TRY_ON("lldt (%1)", ptr), FAULT(VEC_GP, 0xfff8), "LLDT of it");
	*sel = SEL_CS64;
	G_EQ(TRY_ON("mov (%1), %%ss", ptr), FAULT(VEC_GP, SEL_CS64), "MOV SS of a code segment");
	G_EQ(TRY_ON("ltr (%1)", ptr), FAULT(VEC_GP, SEL_CS64), "LTR of a code segment");
	*sel = SEL_TSS;
	G_EQ(TRY_ON("ltr (%1)", ptr), FAULT(VEC_GP, SEL_TSS), "LTR of a busy TSS");
	*tss &= ~BIT(41);
	*sel = SEL_TSS;
	high = tss[1];
	tss[1] |= BIT(32 + 8);
	G_EQ(TRY_ON("ltr (%1)", ptr), FAULT(VEC_GP, SEL_TSS), "LTR of a TSS whose upper half has a type");
	tss[1] = BIT(15);
	G_EQ(TRY_ON("ltr (%1)", ptr), FAULT(VEC_GP, SEL_TSS), "LTR of a TSS whose base is not canonical");
	G_EQ(*tss >> 41 & 1, 0, "the TSS is not busy");
	tss[1] = high;
	f = TRY_ON("ltr (%1)", ptr);
	G_EQ(f, NO_FAULT, "LTR");
	G_EQ(*tss >> 41 & 1, 1, "the TSS is busy");
	G_EQ(read_tr(), SEL_TSS, "TR");
	/* An unmasked exception of x87 is pending: 0 divided by 0. */
	write_cr0(read_cr0() | CR0_NE);
	asm volatile("fninit; fldcw %0; fldz; fldz; fdivrp" : : "m" ((u16){ 0x37e }));
	accesses = dev_accesses;
	G_EQ(TRY_ON("fldl (%1)", ptr), FAULT(VEC_MF, 0), "FLD");
	G_EQ(TRY_ON("movq (%1), %%mm1", ptr), FAULT(VEC_MF, 0), "MOVQ to MMX");
	G_EQ(TRY_ON("movq %%mm1, (%1)", ptr), FAULT(VEC_MF, 0), "MOVQ from MMX");
	G_EQ(dev_accesses, accesses, "accesses by instructions that raised #MF");
	G_EQ(TRY_ON("fnstsw (%1)", ptr), NO_FAULT, "FNSTSW does not wait");
	G_EQ(*(volatile u16 *)dev_mem & 0x81, 0x81, "the exception is pending");
	asm volatile("fninit");
	/* A far jump to a segment that is no code. */
	*(volatile u32 *)dev_mem = 0;
	*(volatile u16 *)(dev_mem + 4) = SEL_DS;
	G_EQ(TRY_ON("ljmp *(%1)", ptr), FAULT(VEC_GP, SEL_DS), "far JMP to a data segment");
	*(volatile u16 *)(dev_mem + 4) = 0;
	G_EQ(TRY_ON("lcall *(%1)", ptr), GP0, "far CALL to a null selector");
}

/* --- single-stepping traps after each emulated instruction --- */

static volatile u64 step_rip[16];
static volatile int steps;

static void on_step(struct trap_regs *r)
{
	if (r->rip - (u64)code < sizeof(code)) {
		if (steps < (int)ARRAY_SIZE(step_rip))
			step_rip[steps++] = r->rip - (u64)code;
		return;
	}
	if (steps)
		r->rflags &= ~(u64)RFLAGS_TF;
}

static void guest_single_step(void)
{
	/* mov %eax, m; mov m, %ecx; rep stosl with RCX 2; nop; ret */
	static const u8 insns[] = { 0x89, 0x03, 0x8b, 0x13, 0xf3, 0xab, 0x90 };
	u64 want[16];
	int n, i;
	struct state s = { .rbx = (u64)ram, .rdi = (u64)ram, .rcx = 2, .flags = RFLAGS_FIXED | RFLAGS_TF };

	put_code(insns, sizeof(insns));
	g_trap_fn[VEC_DB] = on_step;
	run_code(&s, code);
	n = steps;
	for (i = 0; i < n; i++)
		want[i] = step_rip[i];
	steps = 0;
	s = (struct state) { .rbx = DEV, .rdi = DEV, .rcx = 2, .flags = RFLAGS_FIXED | RFLAGS_TF };
	run_code(&s, code);
	G_EQ(steps, n, "traps");
	for (i = 0; i < n; i++)
		G_EQN(step_rip[i], want[i], "RIP at the trap", i);
}

/* --- string ports --- */

static void guest_ports(void)
{
	u8 *p = ram;
	u64 rdi, rcx, rsi, f;
	int i;

	g_fill(p, 0, DEV_SIZE);
	/* Across a page boundary, so that the transfer is split. */
	rdi = (u64)p + 0xff0;
	rcx = 40;
	asm volatile("rep insb" : "+D" (rdi), "+c" (rcx) : "d" (STR_PORT) : "memory");
	G_EQ(rdi, (u64)p + 0xff0 + 40, "RDI");
	G_EQ(rcx, 0, "RCX");
	for (i = 0; i < 40; i++)
		G_EQN(p[0xff0 + i], (u8)i, "INSB", i);
	G_EQ(p[0xff0 + 40], 0, "no byte beyond the end");

	rdi = (u64)p;
	asm volatile("insl" : "+D" (rdi) : "d" (STR_PORT) : "memory");
	G_EQ(*(u32 *)p, 0x2b2a2928, "INSL");

	/* INS writes to the device, OUTS reads from it. */
	rdi = DEV + 0x10;
	rcx = 3;
	asm volatile("rep insw" : "+D" (rdi), "+c" (rcx) : "d" (STR_PORT) : "memory");
	G_EQ(*(u32 *)(dev_mem + 0x10), 0x2f2e2d2c, "INSW to MMIO");
	G_EQ(*(u16 *)(dev_mem + 0x14), 0x3130, "the last word");

	for (i = 0; i < 64; i++)
		p[0x1fc0 - 0x1000 + i] = i;
	rsi = (u64)p + 0xfc0;
	rcx = 16;
	asm volatile("rep outsl" : "+S" (rsi), "+c" (rcx) : "d" (STR_PORT) : "memory");
	G_EQ(rsi, (u64)p + 0x1000, "RSI");
	rsi = (u64)p + 0xfc1;
	rcx = 2;
	asm volatile("std; rep outsb; cld" : "+S" (rsi), "+c" (rcx) : "d" (STR_PORT) : "memory", "cc");
	G_EQ(rsi, (u64)p + 0xfbf, "RSI, downwards");
	dev_mem[0x20] = 0x99;
	rsi = DEV + 0x20;
	asm volatile("outsb" : "+S" (rsi) : "d" (STR_PORT) : "memory");

	/* A fault is raised before the port is accessed. */
	unmap((u64)p + 0x1000);
	rdi = (u64)p + 0x1000;
	rcx = 4;
	asm volatile(TRY("rep insb") "mov %%r11, %0" : "=r" (f), "+D" (rdi), "+c" (rcx) : "d" (STR_PORT)
		     : "r11", "memory", "cc");
	G_EQ(f, FAULT(VEC_PF, 2), "INS to a page that is not present");
	G_EQ(rcx, 4, "RCX");
	*g_pte((u64)p + 0x1000) |= 1;
	rdi = (u64)p;
	asm volatile("insb" : "+D" (rdi) : "d" (STR_PORT) : "memory");
	G_EQ(p[0], 0x32, "the next byte was not lost");
}

/* --- the host's side --- */

struct port {
	u8 next;		/* next byte for IN */
	u8 out[256];
	u32 nr_out;
};

/* Serves MMIO of the device at DEV and after the end of memory. */
static bool serve_mmio(struct vm *vm, struct kvm_run *run)
{
	u64 gpa = run->mmio.phys_addr;
	u64 base = gpa >= DEV ? DEV : EDGE;
	u8 *mem = GUEST(vm, dev_mem);

	if (gpa < base || gpa + run->mmio.len > base + DEV_SIZE || run->mmio.len > 8)
		return false;
	if (run->mmio.is_write)
		memcpy(mem + (gpa - base), run->mmio.data, run->mmio.len);
	else
		memcpy(run->mmio.data, mem + (gpa - base), run->mmio.len);
	GUEST(vm, dev_accesses)++;
	return true;
}

static bool serve_port(struct kvm_run *run, struct port *p)
{
	u8 *data = (u8 *)run + run->io.data_offset;
	u32 i, n = run->io.size * run->io.count;

	if (run->io.port != STR_PORT)
		return false;
	for (i = 0; i < n; i++) {
		if (run->io.direction == KVM_EXIT_IO_IN)
			data[i] = p->next++;
		else if (p->nr_out < sizeof(p->out))
			p->out[p->nr_out++] = data[i];
	}
	return true;
}

static void serve(struct vcpu *vcpu, struct port *p)
{
	struct kvm_run *run = vcpu->run;

	for (;;) {
		if (vcpu_run_to_call(vcpu, NULL) == GCALL_DONE)
			return;
		if (run->exit_reason == KVM_EXIT_MMIO && serve_mmio(vcpu->vm, run))
			continue;
		if (run->exit_reason == KVM_EXIT_IO && serve_port(run, p))
			continue;
		describe_exit(vcpu);
		ksft_abort(__FILE__, __LINE__, "unexpected exit");
	}
}

static void run_guest(void (*fn)(void), struct port *p)
{
	struct vm vm;

	vm_create(&vm, 0);
	serve(vcpu_create(&vm, 0, fn), p);
	vm_destroy(&vm);
}

#define HOST(name, fn) static void name(void) { struct port p = { 0 }; run_guest(fn, &p); }
HOST(host_rows, guest_rows)
HOST(host_strings, guest_strings)
HOST(host_faults, guest_faults)
HOST(host_user_mode, guest_user_mode)
HOST(host_single_step, guest_single_step)
HOST(host_system, guest_system)

static void host_ports(void)
{
	struct port p = { 0 };
	u32 i;

	run_guest(guest_ports, &p);
	EQ(p.nr_out, 67, "bytes written by OUTS");
	for (i = 0; i < 64; i++)
		EQ(p.out[i], i, "byte %u", i);
	EQ(p.out[64], 1, "downwards, first");
	EQ(p.out[65], 0, "downwards, second");
	EQ(p.out[66], 0x99, "from the device");
	EQ(p.next, 0x33, "bytes read by INS");
}

/* --- a write to read-only memory is an MMIO exit with the value that the instruction computes from that memory --- */

#define ROM	0x20000000ul

static void guest_rom(void)
{
	volatile u32 *rom = (u32 *)ROM;
	u32 old = 5;

	G_EQ(rom[0], 0x1000, "ROM is read");
	rom[0] = 7;
	asm volatile("lock addl $0x234, (%0)" : : "r" (rom) : "memory", "cc");
	asm volatile("lock xaddl %0, 4(%1)" : "+r" (old) : "r" (rom) : "memory", "cc");
	G_EQ(old, 0x2000, "XADD");
	G_EQ(rom[0], 0x1000, "ROM is unchanged");
}

static void expect_write(struct vcpu *vcpu, u64 gpa, u64 want)
{
	u64 got = 0;

	EQ(vcpu_run_to_call(vcpu, NULL), GCALL_NONE, "an exit");
	MUST(vcpu->run->exit_reason == KVM_EXIT_MMIO, "exit %u", vcpu->run->exit_reason);
	EQ(vcpu->run->mmio.phys_addr, gpa, "address");
	EQ(vcpu->run->mmio.is_write, 1, "write");
	EQ(vcpu->run->mmio.len, 4, "length");
	memcpy(&got, vcpu->run->mmio.data, 4);
	EQ(got, want, "value");
}

static void host_rom(void)
{
	struct vm vm;
	struct vcpu *vcpu;
	u32 *rom = mmap(NULL, 0x1000, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	vm_create(&vm, 0);
	rom[0] = 0x1000;
	rom[1] = 0x2000;
	vm_slot(&vm, 1, KVM_MEM_READONLY, ROM, 0x1000, rom);
	vcpu = vcpu_create(&vm, 0, guest_rom);
	expect_write(vcpu, ROM, 7);
	expect_write(vcpu, ROM, 0x1234);
	expect_write(vcpu, ROM + 4, 0x2005);
	vcpu_run_to_end(vcpu);
	vm_destroy(&vm);
}

/* --- instructions that cannot be emulated --- */

static const u8 unknown[] = { 0x0f, 0x58, 0x03 };	/* addps (%rbx), %xmm0 */

static void guest_unknown(void)
{
	struct state s = { .rbx = DEV, .flags = RFLAGS_FIXED };

	put_code(unknown, sizeof(unknown));
	run_code(&s, code);
}

static void host_unknown(void)
{
	struct vm vm;
	struct vcpu *vcpu;
	struct kvm_run *run;
	struct kvm_regs regs;

	vm_create(&vm, 0);
	vcpu = vcpu_create(&vm, 0, guest_unknown);
	run = vcpu->run;
	EQ(vcpu_run_to_call(vcpu, NULL), GCALL_NONE, "an exit");
	MUST(run->exit_reason == KVM_EXIT_INTERNAL_ERROR, "exit %u", run->exit_reason);
	EQ(run->emulation_failure.suberror, KVM_INTERNAL_ERROR_EMULATION, "suberror");
	OK(run->emulation_failure.ndata >= 3, "ndata");
	EQ(run->emulation_failure.flags, KVM_INTERNAL_ERROR_EMULATION_FLAG_INSTRUCTION_BYTES, "flags");
	OK(run->emulation_failure.insn_size >= sizeof(unknown), "insn_size");
	OK(!memcmp(run->emulation_failure.insn_bytes, unknown, sizeof(unknown)), "insn_bytes");
	vcpu_regs(vcpu, &regs);
	EQ(regs.rip, (u64)code, "RIP is at the instruction");
	vm_destroy(&vm);
}

/* If user space resets the vCPU during a port or MMIO exit, completing the exit must not change its registers. */
static u64 which;	/* selects an exit below; the guest's copy is made when the VM is created */

static void guest_nothing(void)
{
}

static void guest_open_exits(void)
{
	struct state s = { .rbx = DEV, .rdx = STR_PORT, .flags = RFLAGS_FIXED };
	static const u8 insns[][2] = { { 0xec, 0x90 }, { 0xee, 0x90 }, { 0x8b, 0x03 } };

	put_code(insns[which], 2);
	run_code(&s, code);
	G_EQ(1, 0, "the old code continues");
}

static void host_moved(void)
{
	struct vm vm;
	struct vcpu *vcpu;

	for (which = 0; which < 3; which++) {
		vm_create(&vm, 0);
		vcpu = vcpu_create(&vm, 0, guest_open_exits);
		EQ(vcpu_run_to_call(vcpu, NULL), GCALL_NONE, "an exit");
		EQ(vcpu->run->exit_reason, which == 2 ? KVM_EXIT_MMIO : KVM_EXIT_IO, "exit");
		vcpu_start(vcpu, guest_nothing, 0);
		vcpu_run_to_end(vcpu);
		vm_destroy(&vm);
	}
}

static const struct ksft_test tests[] = {
	{ "instructions on MMIO and on memory", .host = host_rows },
	{ "string instructions", .host = host_strings },
	{ "faults, page boundaries", .host = host_faults },
	{ "CPL 3", .host = host_user_mode },
	{ "system instructions", .host = host_system },
	{ "single-step traps", .host = host_single_step },
	{ "INS and OUTS", .host = host_ports },
	{ "writes to read-only memory", .host = host_rom },
	{ "an unknown instruction", .host = host_unknown },
	{ "user space resets the vCPU during an exit", .host = host_moved },
};
KSFT_MAIN(tests)
