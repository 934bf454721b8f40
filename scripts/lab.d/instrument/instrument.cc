/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Counts what the processor executes between two marker instructions (xchg %bx,%bx), in VMX root and
 * non-root operation apart, and writes one line for each pair of markers to the file named in LAB_COUNTS.
 *
 * The first marker starts a count and its RAX names it; the next one ends it. The markers themselves are not counted.
 */
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "bochs.h"
#include "cpu/cpu.h"
#include "cpu/decoder/ia_opcodes.h"

namespace {

enum mode { ROOT, GUEST, MODES };

/* The instructions that are counted one by one. */
enum kind { VMREAD, VMWRITE, VMPTRLD, VMCLEAR, VMENTRY, INVEPT, INVVPID, RDMSR, WRMSR, KINDS };

const char *const kind_names[KINDS] = {
	"vmread", "vmwrite", "vmptrld", "vmclear", "vmentry", "invept", "invvpid", "rdmsr", "wrmsr",
};

const unsigned EXIT_REASONS = 80;	/* the SDM's Appendix C ends below */
const unsigned BX_REGISTER = 3;

struct counts {
	Bit64u instructions[MODES];
	Bit64u kinds[MODES][KINDS];
	Bit64u exits[EXIT_REASONS];
};

bool counting;
Bit64u tag;
counts now;

/* Which of the kinds an instruction is; KINDS if none. */
unsigned kind_of(unsigned opcode)
{
	switch (opcode) {
	case BX_IA_VMREAD_EdGd:
	case BX_IA_VMREAD_EqGq:
		return VMREAD;
	case BX_IA_VMWRITE_GdEd:
	case BX_IA_VMWRITE_GqEq:
		return VMWRITE;
	case BX_IA_VMPTRLD_Mq:
		return VMPTRLD;
	case BX_IA_VMCLEAR_Mq:
		return VMCLEAR;
	case BX_IA_VMLAUNCH:
	case BX_IA_VMRESUME:
		return VMENTRY;
	case BX_IA_INVEPT:
		return INVEPT;
	case BX_IA_INVVPID:
		return INVVPID;
	case BX_IA_RDMSR:
		return RDMSR;
	case BX_IA_WRMSR:
		return WRMSR;
	default:
		return KINDS;
	}
}

void write_mode(FILE *f, const char *name, mode m)
{
	fprintf(f, " %s=" FMT_LL "u", name, now.instructions[m]);
	for (unsigned k = 0; k < KINDS; k++)
		if (now.kinds[m][k])
			fprintf(f, " %s.%s=" FMT_LL "u", name, kind_names[k], now.kinds[m][k]);
}

void report()
{
	static FILE *f;

	if (!f) {
		const char *name = getenv("LAB_COUNTS");

		f = name ? fopen(name, "w") : stdout;
		if (!f)
			return;
	}
	fprintf(f, "tag=" FMT_LL "u", tag);
	write_mode(f, "root", ROOT);
	write_mode(f, "guest", GUEST);
	for (unsigned r = 0; r < EXIT_REASONS; r++)
		if (now.exits[r])
			fprintf(f, " exit.%u=" FMT_LL "u", r, now.exits[r]);
	fputc('\n', f);
	fflush(f);
}

void marker(unsigned cpu)
{
	if (counting) {
		report();
	} else {
		memset(&now, 0, sizeof(now));
		tag = BX_CPU(cpu)->gen_reg[0].rrx;
	}
	counting = !counting;
}

} /* namespace */

void lab_count_instruction(unsigned cpu, const bxInstruction_c *i, bool guest)
{
	unsigned opcode = i->getIaOpcode();

	if (opcode == BX_IA_XCHG_EwGw && i->modC0() && i->dst() == BX_REGISTER && i->src() == BX_REGISTER) {
		marker(cpu);
		return;
	}
	if (!counting)
		return;
	now.instructions[guest]++;
	unsigned kind = kind_of(opcode);
	if (kind != KINDS)
		now.kinds[guest][kind]++;
}

void lab_count_exit(Bit32u reason)
{
	reason &= 0xffff;	/* the rest are flags (SDM 25.9.1) */
	if (counting && reason < EXIT_REASONS)
		now.exits[reason]++;
}
