// SPDX-License-Identifier: GPL-2.0
/* Prints a case of t_diff. */
#include <stdio.h>
#include "case.h"
#include "cpu.h"

#define X(v)	((unsigned long long)(v))

static const char *const names[] = {
	"RAX", "RCX", "RDX", "RBX", "RSP", "RBP", "RSI", "RDI", "R8", "R9", "R10", "R11", "R12", "R13", "R14", "R15",
};

static void report_before(const struct diff_case *c)
{
	static const char *const places[] = { "MMIO", "ROM", "RAM" };
	unsigned int i;

	printf("#   %u-bit, CPL %u, TS %u; pages: %s %#llx, %s %#llx; at %#llx, RFLAGS %#llx\n", 16 << c->mode, c->cpl,
	       c->task_switched, places[c->place[0]], X(c->pte[0]), places[c->place[1]], X(c->pte[1]),
	       X(c->at), X(c->in.rflags));
	printf("#   ES..GS:");
	for (i = 0; i < 6; i++)
		printf(" %x=%016llx", c->sel[i], X(c->desc[i]));
	printf(" FS %#llx GS %#llx\n", X(c->base[0]), X(c->base[1]));
	for (i = 0; i < 16; i++)
		printf("%s%s %#llx%s", i % 4 ? " " : "#   ", names[i], X(c->in.gpr[i]), i % 4 == 3 ? "\n" : "");
}

static void report_out(const char *side, const struct diff_out *o)
{
	printf("#   %s: vector %u error %#x CR2 %#llx RIP %#llx RFLAGS %#llx DR6 %#llx extra %#llx CS %x SS %x PTE %#llx %#llx\n",
	       side, o->vector, o->error, X(o->cr2), X(o->r.rip), X(o->r.rflags), X(o->dr6), X(o->extra), o->cs, o->ss,
	       X(o->pte[0]), X(o->pte[1]));
}

static void report_bytes(const char *what, unsigned int i, const uint8_t *before, const uint8_t *nat, const uint8_t *emu)
{
	if (nat[i] != emu[i])
		printf("#   %s +%#x: before %02x native %02x trapped %02x\n", what, i, before[i], nat[i], emu[i]);
}

void diff_report(const struct diff_case *c, const char *what)
{
	const struct diff_out *nat = &c->out[0], *emu = &c->out[1];
	unsigned int i;

	printf("# case %llu:%llu (--case %llu:%llu): %s differs; bytes", X(c->seed), X(c->index), X(c->seed), X(c->index), what);
	for (i = 0; i < c->len[1]; i++)
		printf(" %02x", c->bytes[1][i]);
	if (c->kind != DIFF_INSN) {
		printf(", natively");
		for (i = 0; i < c->len[0]; i++)
			printf(" %02x", c->bytes[0][i]);
	}
	printf("; %u exits; on ", c->exits);
	cpu_print();
	printf("\n");
	report_before(c);
	report_out("native ", nat);
	report_out("trapped", emu);
	for (i = 0; i < 16; i++)
		if (nat->r.gpr[i] != emu->r.gpr[i])
			printf("#   %s: native %#llx trapped %#llx\n", names[i], X(nat->r.gpr[i]), X(emu->r.gpr[i]));
	for (i = 0; i < DIFF_DATA; i++)
		report_bytes("memory", i, c->data, nat->data, emu->data);
	for (i = 0; c->vector && i < sizeof(c->vec); i++)
		report_bytes("vectors", i, c->vec[0], nat->vec[0], emu->vec[0]);
	fflush(stdout);
}
