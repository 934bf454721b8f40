/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Counts what the processor executes between two marker instructions (xchg %bx,%bx), in VMX root and
 * non-root operation apart, and writes one line for each pair of markers to the file named in LAB_COUNTS.
 *
 * It also counts what misses of the TLB cost: the page walks, and the entries that they read, of page tables and of EPT.
 * The emulator keeps no entries of upper levels, so that each walk reads all levels.
 *
 * The first marker starts a count and its RAX names it; the next one ends it. A marker whose RAX is NO_TAG ends a count
 * but starts none, so that a program can begin afresh after one that died within a count. Markers are not counted.
 *
 * With LAB_PROFILE, the instructions of root's kernel are also counted by their addresses, and those of its user space
 * under address 0. A line for each address goes to the file that LAB_PROFILE names, when a count with another tag starts,
 * or at a marker whose RAX is LAST_TAG. That one ends a count and starts none, too.
 */
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <unordered_map>

#include "bochs.h"
#include "cpu/cpu.h"
#include "cpu/decoder/ia_opcodes.h"

namespace {

enum mode { ROOT, GUEST, MODES };

/* The instructions that are counted one by one. */
enum kind { VMREAD, VMWRITE, VMPTRLD, VMCLEAR, VMENTRY, INVEPT, INVVPID, RDMSR, WRMSR, XSETBV, KINDS };

const char *const kind_names[KINDS] = {
	"vmread", "vmwrite", "vmptrld", "vmclear", "vmentry", "invept", "invvpid", "rdmsr", "wrmsr", "xsetbv",
};

const unsigned PROCESSORS = 16;		/* more are not watched for disabled interrupts */
const unsigned EXIT_REASONS = 80;	/* the SDM's Appendix C ends below */
const unsigned BX_REGISTER = 3;
const Bit64u NO_TAG = ~(Bit64u)0;
const Bit64u LAST_TAG = NO_TAG - 1;

struct counts {
	Bit64u instructions[MODES];
	Bit64u user;			/* of those in root, at CPL 3 */
	Bit64u interrupts;		/* that the processor delivered through the IDT in root */
	Bit64u masked;			/* the longest stretch in root with interrupts disabled, at an exit or entry */
	Bit64u kinds[MODES][KINDS];
	Bit64u exits[EXIT_REASONS];
	Bit64u walks[MODES];		/* of page tables with four levels */
	Bit64u pt[MODES], ept[MODES];	/* entries of page tables and of EPT that walks have read */
};

bool counting;

/* How long a processor in root has had interrupts disabled: since an exit, or since it disabled them. */
struct stretch {
	Bit64u length;
	bool from_guest, guest;		/* it began with an exit; the last instruction was a guest's */
} stretches[PROCESSORS];

Bit64u tag;
counts now;
unsigned counted;		/* the processor of the first marker, which alone is counted if LAB_COUNT_OWN is set */
bool profiling;
std::unordered_map<Bit64u, Bit64u> profile;	/* of the counts under profile_tag: instructions by address */
Bit64u profile_tag;

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
	case BX_IA_XSETBV:
		return XSETBV;
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
	if (now.pt[m] + now.ept[m])
		fprintf(f, " %s.walks=" FMT_LL "u %s.pt=" FMT_LL "u %s.ept=" FMT_LL "u", name, now.walks[m], name, now.pt[m],
			name, now.ept[m]);
}

/* Opens the file that a variable of the environment names; @otherwise if there is no such variable. */
FILE *output(const char *variable, FILE *otherwise)
{
	const char *name = getenv(variable);

	return name && *name ? fopen(name, "w") : otherwise;
}

void write_profile()
{
	static FILE *f;

	if (!f)
		f = output("LAB_PROFILE", NULL);
	if (!f)
		return;
	for (const auto &entry : profile)
		fprintf(f, FMT_LL "x " FMT_LL "x " FMT_LL "u\n", profile_tag, entry.first, entry.second);
	fflush(f);
	profile.clear();
}

void report()
{
	static FILE *f;

	if (!f)
		f = output("LAB_COUNTS", stdout);
	if (!f)
		return;
	fprintf(f, "tag=" FMT_LL "u", tag);
	write_mode(f, "root", ROOT);
	if (now.user)
		fprintf(f, " root.user=" FMT_LL "u", now.user);
	if (now.masked)
		fprintf(f, " root.masked=" FMT_LL "u", now.masked);
	if (now.interrupts)
		fprintf(f, " root.interrupt=" FMT_LL "u", now.interrupts);
	write_mode(f, "guest", GUEST);
	for (unsigned r = 0; r < EXIT_REASONS; r++)
		if (now.exits[r])
			fprintf(f, " exit.%u=" FMT_LL "u", r, now.exits[r]);
	fputc('\n', f);
	fflush(f);
}

/* Whether what a processor does is counted now. */
bool counts_on(unsigned cpu)
{
	static const bool own = getenv("LAB_COUNT_OWN");

	return counting && (!own || cpu == counted);
}

void marker(unsigned cpu)
{
	Bit64u rax = BX_CPU(cpu)->gen_reg[0].rrx;

	if (counting) {
		report();
	} else {
		memset(&now, 0, sizeof(now));
		memset(stretches, 0, sizeof(stretches));
		tag = rax;
		counted = cpu;
	}
	counting = !counting && rax != NO_TAG && rax != LAST_TAG;
	profiling = counting && getenv("LAB_PROFILE");
	if (rax == LAST_TAG || profiling && tag != profile_tag) {
		write_profile();
		profile_tag = tag;
	}
}

/*
 * Finds the longest stretch with interrupts disabled that begins with an exit or ends with an entry. Those of the host's
 * own interrupt handlers do neither. An entry that exits before the guest's first instruction does not end a stretch.
 */
void count_masked(unsigned cpu, bool guest)
{
	if (cpu >= PROCESSORS)
		return;
	stretch &s = stretches[cpu];
	bool open = !guest && BX_CPU(cpu)->get_IF();

	if (guest || open) {
		if ((s.from_guest || guest) && s.length > now.masked)
			now.masked = s.length;
		s.length = 0;
		s.from_guest = false;
	} else {
		s.from_guest |= s.guest;
		s.length++;
	}
	s.guest = guest;
}

} /* namespace */

void lab_count_instruction(unsigned cpu, const bxInstruction_c *i, bool guest, bool user)
{
	unsigned opcode = i->getIaOpcode();

	if (opcode == BX_IA_XCHG_EwGw && i->modC0() && i->dst() == BX_REGISTER && i->src() == BX_REGISTER) {
		marker(cpu);
		return;
	}
	if (!counts_on(cpu))
		return;
	now.instructions[guest]++;
	now.user += user && !guest;
	count_masked(cpu, guest);
	if (profiling && !guest)
		profile[user ? 0 : BX_CPU(cpu)->get_instruction_pointer()]++;
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

void lab_count_entry(unsigned why, bool guest)
{
	if (!counting)
		return;
	now.walks[guest] += why == BX_PML4E_ACCESS;
	now.pt[guest] += why >= BX_PDPTR0_ACCESS && why <= BX_PML5E_ACCESS;
	now.ept[guest] += why >= BX_EPT_PTE_ACCESS && why <= BX_EPT_PML5E_ACCESS;
}

void lab_count_interrupt(unsigned cpu, bool guest)
{
	now.interrupts += counts_on(cpu) && !guest;
}
