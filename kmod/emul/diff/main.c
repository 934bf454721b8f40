// SPDX-License-Identifier: GPL-2.0
/* Differential test of the instruction emulator: random cases against this machine's processor. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#include <linux/kernel.h>
#include <linux/string.h>

#include "cpu.h"
#include "diff.h"

/* --- the emulator's side --- */

/* The emulator's machine; its memory is a copy of the arena's data. */
struct side {
	struct emul_ctx ctx;
	struct machine *m;
};

static int page_fault(struct emul_ctx *ctx, u64 la, bool write)
{
	ctx->fault = (struct emul_fault) {
		.vector = X86_TRAP_PF, .has_error = true, .error_code = 4 | (write ? 2 : 0), .cr2 = la,
	};
	return EMUL_FAULT;
}

/* Finds @len bytes, or raises #PF at the first one that is not in the data. */
static int place(struct emul_ctx *ctx, u64 la, u32 len, bool write, u8 **at)
{
	struct side *s = (struct side *)ctx;
	u64 first = (u64)arena + CODE_BYTES, end = first + DATA_BYTES;

	if (la < first || la >= end)
		return page_fault(ctx, la, write);
	if (la + len > end)
		return page_fault(ctx, end, write);
	*at = s->m->data + (la - first);
	return EMUL_DONE;
}

static int side_read(struct emul_ctx *ctx, u64 la, void *data, u32 len, bool rmw)
{
	u8 *at;
	int r = place(ctx, la, len, rmw, &at);

	if (r == EMUL_DONE)
		memcpy(data, at, len);
	return r;
}

static int side_write(struct emul_ctx *ctx, u64 la, const void *data, u32 len)
{
	u8 *at;
	int r = place(ctx, la, len, true, &at);

	if (r == EMUL_DONE)
		memcpy(at, data, len);
	return r;
}

static int side_cmpxchg(struct emul_ctx *ctx, u64 la, const void *old, const void *new, u32 len)
{
	u8 *at;
	int r = place(ctx, la, len, true, &at);

	if (r == EMUL_DONE && memcmp(at, old, len))
		return EMUL_RETRY;
	return r == EMUL_DONE ? side_write(ctx, la, new, len) : r;
}

static int side_probe(struct emul_ctx *ctx, u64 la, u32 *len, bool write)
{
	u8 *at;

	return place(ctx, la, *len, write, &at);
}

static void side_get_vec(struct emul_ctx *ctx, u8 reg, void *data)
{
	memcpy(data, ((struct side *)ctx)->m->vec[reg], 64);
}

static void side_put_vec(struct emul_ctx *ctx, u8 reg, const void *data, u32 bytes)
{
	memcpy(((struct side *)ctx)->m->vec[reg], data, bytes);
}

static const struct emul_ops side_ops = {
	.read = side_read,
	.write = side_write,
	.compare_exchange = side_cmpxchg,
	.probe = side_probe,
	.get_vec = side_get_vec,
	.put_vec = side_put_vec,
};

static void emulate(const struct test_case *t, struct machine *out)
{
	static struct side s;
	struct emul_ctx *ctx = &s.ctx;
	int r, i;

	*out = t->in;
	s.m = out;
	*ctx = (struct emul_ctx) {
		.rip = t->in.rip, .rflags = t->in.rflags | FL_IF, .cr0 = 0x80050033, .cr4 = 0x406f0, .xcr0 = 0xe7,
		.mode = t->mode, .cpl = 3, .la_bits = cpu.la_bits, .ops = &side_ops, .long_mode = true,
		.features = (cpu.bmi1 ? EMUL_HAS_TZCNT : 0) | (cpu.lzcnt ? EMUL_HAS_LZCNT : 0),
	};
	memcpy(ctx->gpr, t->in.gpr, sizeof(ctx->gpr));
	for (i = 0; i < NR_SREGS; i++) {
		ctx->seg[i] = (struct emul_seg) {
			.base = segment_base(t->mode), .limit = t->mode == MODE_16 ? 0xffff : ~0u,
			.type = i == SREG_CS ? 11 : 3, .db = t->mode == MODE_32, .sel = selectors[i],
		};
	}
	r = emul_decode(&ctx->insn, t->bytes, t->len, t->mode);
	if (r == DECODE_UD)
		r = emul_raise(ctx, X86_TRAP_UD);
	else
		r = r == DECODE_OK ? emul_exec(ctx, 1000) : EMUL_UNKNOWN;
	memcpy(out->gpr, ctx->gpr, sizeof(out->gpr));
	out->rip = ctx->rip;
	out->rflags = ctx->rflags;
	out->trap = r == EMUL_DONE ? TRAP_BP : 0xff;
	if (r == EMUL_FAULT) {
		out->trap = ctx->fault.vector;
		out->error_code = ctx->fault.error_code;
		out->cr2 = ctx->fault.cr2;
	}
}

static void report(const struct test_case *t, const struct machine *nat, const struct machine *emu, const char *what)
{
	u32 i;

	printf("# mode %d op %u bytes", 16 << t->mode, t->insn.op);
	for (i = 0; i < t->len; i++)
		printf(" %02x", t->bytes[i]);
	printf(": %s differ, on ", what);
	cpu_print();
	printf("\n");
	printf("#   native: trap %u error %x cr2 %llx rip %llx flags %llx\n", nat->trap, nat->error_code,
	       (unsigned long long)nat->cr2, (unsigned long long)nat->rip, (unsigned long long)nat->rflags);
	printf("#   emul:   trap %u error %x cr2 %llx rip %llx flags %llx (before %llx)\n", emu->trap, emu->error_code,
	       (unsigned long long)emu->cr2, (unsigned long long)emu->rip, (unsigned long long)emu->rflags,
	       (unsigned long long)t->in.rflags);
	for (i = 0; i < 16; i++)
		if (nat->gpr[i] != emu->gpr[i])
			printf("#   register %u: before %llx native %llx emul %llx\n", i,
			       (unsigned long long)t->in.gpr[i], (unsigned long long)nat->gpr[i],
			       (unsigned long long)emu->gpr[i]);
	for (i = 0; i < DATA_BYTES; i++)
		if (nat->data[i] != emu->data[i])
			printf("#   memory +%x: before %02x native %02x emul %02x\n", i, t->in.data[i],
			       nat->data[i], emu->data[i]);
}

int main(int argc, char **argv)
{
	static struct machine nat, emu;
	static struct test_case t;
	u64 seed = time(NULL), n = 100000, i, failed = 0, faults = 0, seen[256] = { 0 }, kinds = 0;
	const char *what;
	int c;

	while ((c = getopt(argc, argv, "n:s:h")) != -1) {
		switch (c) {
		case 'n':
			n = strtoull(optarg, NULL, 0);
			break;
		case 's':
			seed = strtoull(optarg, NULL, 0);
			break;
		default:
			printf("usage: emul-diff [-n CASES] [-s SEED]\n");
			return c == 'h' ? 0 : 2;
		}
	}
	native_init();
	rng_seed(seed);
	printf("TAP version 13\n1..1\n# processor: ");
	cpu_print();
	printf(", %u-bit linear addresses%s\n", cpu.la_bits, cpu.lass ? ", LASS" : "");
	printf("# seed %llu, modes:%s%s 64-bit, vectors: SSE%s%s\n", (unsigned long long)seed,
	       cpu.mode16 ? " 16-bit" : "", cpu.mode32 ? " 32-bit" : "", cpu.avx ? " AVX" : "",
	       cpu.avx512 ? " AVX-512" : "");
	for (i = 0; i < n && failed < 20; i++) {
		while (!generate(&t))
			;
		/* Output must be complete if a case kills this process. */
		fflush(stdout);
		native_run(&t, &nat);
		emulate(&t, &emu);
		faults += nat.trap != TRAP_BP;
		kinds += !seen[t.insn.op]++;
		what = compare(&t, &nat, &emu);
		if (what) {
			failed++;
			report(&t, &nat, &emu, what);
		}
	}
	printf("# %llu cases, %llu of them faults, %llu operations\n", (unsigned long long)i,
	       (unsigned long long)faults, (unsigned long long)kinds);
	printf("%sok 1 - emulator agrees with the processor\n", failed ? "not " : "");
	return failed ? 1 : 0;
}
