/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The strict machine: what Bochs adds to a processor when LAB_STRICT names it. docs/strict.md describes the topics.
 *
 * Bochs' own files call these functions at the places that mends.py lists. A caller tests the topic's switch first,
 * so a topic that is off costs one test on a slow path.
 */
#ifndef LAB_STRICT_H
#define LAB_STRICT_H

#include "rules.h"

class BX_CPU_C;

/* The topics. Each is on if LAB_STRICT names it, and none changes after the emulator's start. */
enum strict_topic {
	STRICT_CHECKS,		/* entries that a processor takes but whose result is undefined */
	STRICT_TRANSLATIONS,	/* an invalidation that is missing */
	STRICT_VMCS,		/* misuse of VMCSs */
	STRICT_STORMS,		/* random events, seeded */
	STRICT_MSRS,		/* MSRs that hosts need and Bochs lacks */
	STRICT_TOPICS
};

extern bool strict_switches[STRICT_TOPICS];
/* The seed of the storms, and the mean number of a CPU's instructions between two of their events. */
extern unsigned long long strict_seed, strict_storm_gap;

/* Returns whether a topic is on. */
static inline bool strict(strict_topic topic)
{
	return __builtin_expect(strict_switches[topic], false);
}

/*
 * Writes a sentence about misuse to strict.log in the machine's directory, and to Bochs' log. The sentence names the
 * field and its value; this function adds the CPU, its RIP and whether it is in a guest. After some sentences of one
 * format, further ones are counted but not written.
 */
void strict_report(const BX_CPU_C *cpu, strict_topic topic, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* translations.cc */
/*
 * Looks at an EPT walk: the guest-physical address, the entries of levels 3 to leaf as read, whether the access is a
 * write, and whether an EPT violation or misconfiguration follows.
 */
void strict_ept_walk(const BX_CPU_C *cpu, Bit64u guest, const Bit64u *entry, int leaf, bool write, bool failed);
/* Looks at a walk of the guest's own tables that succeeded: the frame, and Bochs' combined_access. */
void strict_linear_walk(const BX_CPU_C *cpu, Bit64u laddr, Bit64u frame, unsigned access);
/* Looks at a page fault of the guest; absent: because of an entry that is not present. */
void strict_linear_fault(const BX_CPU_C *cpu, Bit64u laddr, bool absent);
/* The guest invalidates translations of its VPID and EP4TA without a VM exit. */
void strict_translations_flush(const BX_CPU_C *cpu, bool global_too);
void strict_translations_invlpg(const BX_CPU_C *cpu, Bit64u laddr);
/* INVEPT and INVVPID that succeeded. */
void strict_invept(const BX_CPU_C *cpu, bool all, Bit64u eptp);
void strict_invvpid(const BX_CPU_C *cpu, unsigned type, Bit16u vpid, Bit64u laddr);
/* VM entries (their controls are loaded), VM exits (the guest state is still there), and resets. */
void strict_translations_entry(BX_CPU_C *cpu);
void strict_translations_exit(BX_CPU_C *cpu, unsigned reason, Bit64u qualification);
void strict_translations_reset(const BX_CPU_C *cpu);

/* vmcs.cc */
const unsigned STRICT_WATCHED_PAGES = 1 << 21;
/* A bit for each page of memory below 8 GiB that is a known VMCS or VMXON region. */
extern Bit8u strict_watched_pages[STRICT_WATCHED_PAGES / 8];

static inline bool strict_watched(Bit64u address)
{
	Bit64u page = address >> 12;

	return page < STRICT_WATCHED_PAGES && strict_watched_pages[page / 8] & 1 << page % 8;
}

/* VMX instructions that succeeded. */
void strict_vmxon(const BX_CPU_C *cpu, Bit64u address);
void strict_vmxoff(const BX_CPU_C *cpu, Bit64u address);
void strict_vmptrld(const BX_CPU_C *cpu, Bit64u address);
void strict_vmclear(const BX_CPU_C *cpu, Bit64u address);
/* A VM entry whose controls and link pointer are loaded. */
void strict_vmcs_entry(const BX_CPU_C *cpu);
/* VMREAD or VMWRITE of a field that does not exist. */
void strict_vmcs_field(const BX_CPU_C *cpu, const char *instruction, Bit64u encoding);
/* Software's access to a watched page. */
void strict_vmcs_access(const BX_CPU_C *cpu, Bit64u address, bool write);
/* HLT or MWAIT, an INIT signal, and a reset. */
void strict_vmcs_halt(const BX_CPU_C *cpu, const char *instruction);
void strict_vmcs_init(const BX_CPU_C *cpu);
void strict_vmcs_reset(const BX_CPU_C *cpu, bool hardware);
/* msrs: the lab's own MSRs, which exist in root operation while the topic is on. */
/* The lab's own MSRs, which exist in root operation while their topic is on: all but the first belong to msrs. */
enum lab_msr {
	LAB_MSR_NMIS = 0x4c414220,	/* storms: the NMIs that this processor accepted */
	LAB_MSR_POISON = 0x4c414200,	/* written: a page's address, bit 0 poisons it; 0 heals all pages */
	LAB_MSR_COUNT = 0x4c414210	/* the first of the counts of this processor; a write to any of them clears all */
};

/* What an entry has had since the exit before it: the instruction, or a write of its bit to the MSR. */
enum lab_barrier { LAB_IBPB, LAB_L1D_FLUSH, LAB_VERW, LAB_SPEC_CTRL, LAB_BARRIERS };

/* The counts, from LAB_MSR_COUNT on. */
enum lab_count {
	LAB_ENTRIES,
	LAB_ENTRIES_WITH,		/* one for each barrier; VERW counts if it is near the entry */
	LAB_SWITCHES = LAB_ENTRIES_WITH + LAB_BARRIERS,	/* entries with another VMCS than the entry before */
	LAB_SWITCHES_WITH_IBPB,
	LAB_COUNTS
};

/* A processor has split-lock detection on; a page is poisoned. */
extern bool strict_split_locks, strict_poison;

/* The access to an MSR: 1 if it works, 0 if it raises #GP, -1 if the MSR is left to Bochs. */
int strict_rdmsr(BX_CPU_C *cpu, Bit32u index, Bit64u *value);
int strict_wrmsr(BX_CPU_C *cpu, Bit32u index, Bit64u value);
/* Adds the host's features to a leaf of CPUID. */
void strict_cpuid(Bit32u leaf, Bit32u subleaf, struct cpuid_function_t *out);
/* Called by VERW, by a VM entry once the guest's state is loaded, and by a VM exit. */
void strict_verw(BX_CPU_C *cpu);
void strict_count_entry(BX_CPU_C *cpu);
void strict_count_exit(BX_CPU_C *cpu);
/* Returns whether a read for writing that crosses a cache line is a lock that the processor must refuse. */
bool strict_is_split_lock(BX_CPU_C *cpu);
/* Returns whether a page is poisoned. */
bool strict_is_poisoned(bx_phy_address page);
/* Raises the machine check of an access to a poisoned page. Does not return. */
void strict_consume_poison(BX_CPU_C *cpu, bx_phy_address address, bool fetch);

/* storms: called before each trace of instructions; raises the event that is due. */
void strict_storm(BX_CPU_C *cpu);
/* Called by a VM exit, at the start of VMLAUNCH and VMRESUME, when interrupts are unblocked, and while a CPU is halted. */
void strict_storm_exit(BX_CPU_C *cpu);
void strict_storm_entry(BX_CPU_C *cpu);
void strict_storm_unblocked(BX_CPU_C *cpu);
void strict_storm_halted(BX_CPU_C *cpu);
/* Begins a CPU's turn. Returns the traces that it has, if no event ends the turn before. */
int strict_turn(BX_CPU_C *cpu);
extern bool strict_turn_over;
/* Counts an NMI that the processor accepts; the number of them, which LAB_MSR_NMIS shows. */
void strict_storm_nmi(BX_CPU_C *cpu);
Bit64u strict_storm_nmis(BX_CPU_C *cpu);

#endif
