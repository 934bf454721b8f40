// SPDX-License-Identifier: GPL-2.0
/*
 * PAUSE loops of L2: whose exits they cause. SDM 3C 26.1.3.
 *
 * L0 wants exits of PAUSE loops whether L1 does or not. If both do, the processor
 * has L1's gap, because only the processor sees the time between two PAUSEs, and
 * the smaller of the two windows. An exit whose loop has not lasted as long as
 * L1's window is L0's alone. L0 then counts how long the loop has lasted, without
 * the time that it has spent itself, and gives the processor the rest of L1's
 * window. An exit at the end of L1's window is L1's.
 *
 * L1 cannot know that the vCPU that holds the lock waits for a CPU of L0. If one
 * of L1's vCPUs waits, L0 lets it run and does not show the exit to L1. If none
 * does, the holder is likely to be one that L1 has preempted, and L1 gets the exit.
 */
#include <asm/msr.h>
#include "droste.h"
#include "nested/merge.h"
#include "nested/nested.h"
#include "nested/pauseloop.h"
#include "nested/route.h"
#include "run/request.h"
#include "vmx/vmx.h"

/*
 * Between pauseloop_before_entry() and L2's first instruction, and between an
 * exit and its routing, less TSC cycles pass. If L2 left the loop after an exit
 * that was L0's alone, and began another loop in fewer cycles than that, the two
 * count as one.
 */
#define PAUSELOOP_SLACK		4096

/* So many exits in a row at the end of L1's window are kept from L1 at most, so that L1 can do its part, too. */
#define PAUSELOOP_KEPT_MAX	16

/**
 * pauseloop_write() - write the gap and the window of VMCS02
 * @vcpu: in L2; the merged controls have "PAUSE-loop exiting"
 *
 * Context: Process context. VMCS02 is current.
 */
void pauseloop_write(struct vcpu *vcpu)
{
	struct nested *n = &vcpu->nested;
	const struct vmcs12 *v = n->vmcs12;

	if (merge_proc2_of(v) & SECONDARY_EXEC_PAUSE_LOOP_EXITING)
		ple_limit(&n->vmcs02, v->ple_gap, v->ple_window);
	else
		ple_limit(&n->vmcs02, vcpu->vmcs01.ple.gap, U32_MAX);
}

/**
 * pauseloop_before_entry() - note when L2 goes on with a loop whose length L0 counts
 * @n: of a vCPU in L2, which is about to be entered
 *
 * Context: Any.
 */
void pauseloop_before_entry(struct nested *n)
{
	if (likely(!n->pause.mark))
		return;
	n->pause.mark = false;
	n->pause.since = rdtsc();
}

/*
 * How long L2's loop has lasted at least, in TSC cycles. The processor tells that
 * it has lasted longer than its window since the last entry. It is the loop of
 * the last exit if that was an exit of a PAUSE loop, and L2 has done little else
 * since than spin.
 */
static u64 pauseloop_length(const struct vcpu *vcpu)
{
	const struct nested *n = &vcpu->nested;
	u64 window = n->vmcs02.ple.window;

	if (n->pause.spun && n->pause.exit + 1 == vcpu->long_exits + vcpu->stats.short_exits && !n->pause.mark &&
	    rdtsc() - n->pause.since <= window + n->vmcs12->ple_gap + PAUSELOOP_SLACK)
		return n->pause.spun + window;
	return window;
}

/**
 * pauseloop_facts() - find out whether an exit because of PAUSE concerns L1
 * @vcpu: in L2, loaded; vcpu->exit is the exit
 * @f: pause_over and pause_kept are set
 *
 * Lets another vCPU run in place of an exit to L1, if one waits for a CPU.
 *
 * Context: Process context. VMCS02 is current. May sleep.
 */
void pauseloop_facts(struct vcpu *vcpu, struct route_facts *f)
{
	struct nested *n = &vcpu->nested;
	const struct vmcs12 *v = n->vmcs12;
	u64 spun;

	n->pause.kept = false;
	if (!merge_l1_asks_ple(v))
		return;
	spun = pauseloop_length(vcpu);
	f->pause_over = spun >= v->ple_window;
	if (!f->pause_over) {
		n->pause.spun = spun;
		n->pause.exit = vcpu->long_exits + vcpu->stats.short_exits;
		n->pause.mark = true;
		ple_limit(&n->vmcs02, v->ple_gap, v->ple_window - spun);
		return;
	}
	n->pause.spun = 0;
	ple_limit(&n->vmcs02, v->ple_gap, v->ple_window);
	if (n->pause.in_a_row < PAUSELOOP_KEPT_MAX && vcpu_spins(vcpu)) {
		n->pause.in_a_row++;
		n->pause.kept = true;
		vcpu->stats.pause_l0_yields++;
	} else {
		n->pause.in_a_row = 0;
	}
	f->pause_kept = n->pause.kept;
}
