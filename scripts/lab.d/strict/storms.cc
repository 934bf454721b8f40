/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Storms: interrupts, NMIs and changes of the running CPU at random instruction boundaries, from a seed. They come while a
 * processor is in VMX operation, and more often where races are: after a VM exit, before a VM entry, and after STI.
 *
 * The interrupts are ones that Linux takes at any time: a reschedule IPI, and the tick of the local APIC's timer.
 */
#define NEED_CPU_REG_SHORTCUTS 1
#include "bochs.h"
#include "cpu/cpu.h"
#include "cpu/apic.h"
#include "cpu/strict/strict.h"
#define LOG_THIS cpu->

bool strict_turn_over;

namespace {

const Bit8u RESCHEDULE_VECTOR = 0xfd;	/* Linux, arch/x86/include/asm/irq_vectors.h */
const Bit8u FIRST_SYSTEM_VECTOR = 0xec;
const Bit32u LVT_MASKED = 1 << 16;

/* No trace is longer. A trace that begins nearer to an event ends after one instruction. */
const Bit64s LONGEST_TRACE = 40;
/* The instructions after an exit, and before an entry, that get more events. */
const Bit64u AFTER_EXIT = 64, BEFORE_ENTRY = 96;
/* One in so many exits, entries, interrupts that are unblocked in root operation, and looks at a halted guest has an event. */
const unsigned PER_EXIT = 24, PER_ENTRY = 24, PER_STI = 256, PER_HALT = 512;

/* The traces of a turn; one turn in so many begins a row of missed ones, and the most of those. */
const int LONGEST_TURN = 16;
const unsigned PER_MISS = 128, MOST_MISSED = 128;

/* What a processor of the machine has. Times are counts of its instructions. */
struct processor {
	Bit64u at;		/* of the next event */
	Bit64u exit_at;		/* the last exit */
	Bit64u distance;	/* from the last exit that an entry followed to that entry */
	Bit64u nmis;		/* that the processor accepted */
	unsigned missed;	/* turns that it will miss */
};

processor processors[BX_MAX_SMP_THREADS_SUPPORTED];
Bit64u state;

/* A random number below a limit (xorshift64*) */
Bit64u below(Bit64u limit)
{
	if (!state)
		state = strict_seed * 0x9e3779b97f4a7c15ull | 1;
	state ^= state >> 12;
	state ^= state << 25;
	state ^= state >> 27;
	return ((state * 0x2545f4914f6cdd1dull) >> 32) % limit;
}

processor &of(const BX_CPU_C *cpu)
{
	return processors[cpu->bx_cpuid];
}

/* Brings the next event forward. */
void plan(BX_CPU_C *cpu, Bit64u at)
{
	if (at < of(cpu).at)
		of(cpu).at = at;
}

/* The vector of an interrupt: the timer's while L0 has it on, otherwise that of an IPI. */
Bit8u vector(BX_CPU_C *cpu)
{
	Bit32u timer = cpu->lapic->read_aligned(BX_LAPIC_LVT_TIMER);

	if (!(timer & LVT_MASKED) && (timer & 0xff) >= FIRST_SYSTEM_VECTOR && below(3) == 0)
		return timer & 0xff;
	return RESCHEDULE_VECTOR;
}

void fire(BX_CPU_C *cpu)
{
	of(cpu).at = cpu->get_icount() + 1 + below(2 * strict_storm_gap);
	switch (below(8)) {
	case 0:
	case 1:
		cpu->signal_event(BX_EVENT_NMI);
		break;
	case 2:
	case 3:
		if (BX_SMP_PROCESSORS > 1) {
			strict_turn_over = true;
			break;
		}
		/* fall through */
	default:
		cpu->lapic->trigger_irq(vector(cpu), APIC_EDGE_TRIGGERED);
	}
}

} /* namespace */

void strict_storm(BX_CPU_C *cpu)
{
	Bit64s left = of(cpu).at - cpu->get_icount();

	if (left > LONGEST_TRACE || !cpu->in_vmx)
		return;
	if (left > 0)
		cpu->async_event |= BX_ASYNC_EVENT_STOP_TRACE;
	else
		fire(cpu);
}

void strict_storm_exit(BX_CPU_C *cpu)
{
	processor &p = of(cpu);

	p.exit_at = cpu->get_icount();
	if (below(PER_EXIT) == 0)
		plan(cpu, p.exit_at + below(AFTER_EXIT));
	if (below(PER_ENTRY) == 0 && p.distance > BEFORE_ENTRY)
		plan(cpu, p.exit_at + p.distance - below(BEFORE_ENTRY));
}

void strict_storm_entry(BX_CPU_C *cpu)
{
	processor &p = of(cpu);

	p.distance = cpu->get_icount() - p.exit_at;
	if (below(PER_ENTRY) == 0)
		fire(cpu);
}

void strict_storm_unblocked(BX_CPU_C *cpu)
{
	if (cpu->in_vmx && !cpu->in_vmx_guest && below(PER_STI) == 0)
		plan(cpu, cpu->get_icount() + below(4));
}

void strict_storm_halted(BX_CPU_C *cpu)
{
	if (cpu->in_vmx_guest && below(PER_HALT) == 0)
		fire(cpu);
}

/*
 * A turn is not longer than without storms: the other processors stand still in it, and see time in jumps afterwards.
 * What makes a CPU slow is that it misses turns.
 */
int strict_turn(BX_CPU_C *cpu)
{
	bool vmx = false, others = false;
	processor &p = of(cpu);

	strict_turn_over = false;
	for (int n = 0; n < BX_SMP_PROCESSORS; n++) {
		vmx |= BX_CPU(n)->in_vmx;
		others |= BX_CPU(n) != cpu && BX_CPU(n)->activity_state == BX_CPU_C::BX_ACTIVITY_STATE_ACTIVE;
	}
	/* A CPU with an INIT pending takes it before the SIPIs that follow, which would be lost otherwise. */
	if (!vmx || cpu->is_pending(BX_EVENT_INIT))
		return LONGEST_TURN;
	if (!p.missed && below(PER_MISS) == 0)
		p.missed = below(MOST_MISSED);
	if (p.missed && others) {
		p.missed--;
		return 0;
	}
	p.missed = 0;
	return below(4) ? LONGEST_TURN : 1 + below(LONGEST_TURN);
}

void strict_storm_nmi(BX_CPU_C *cpu)
{
	of(cpu).nmis++;
}

Bit64u strict_storm_nmis(BX_CPU_C *cpu)
{
	return of(cpu).nmis;
}
