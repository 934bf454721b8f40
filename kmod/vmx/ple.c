// SPDX-License-Identifier: GPL-2.0
/* L0's PAUSE-loop exiting in VMCS01 and VMCS02. SDM 3C 25.6.13, 26.1.3. */
#include <linux/moduleparam.h>
#include "droste.h"
#include "vmx/ple.h"
#include "vmx/vmx.h"

/*
 * PAUSEs at CPL 0 that are at most a gap apart belong to one loop, and a loop
 * longer than the window causes an exit. The window grows with each exit that
 * lets no other vCPU run, because such an exit is of no use. It shrinks when the
 * thread of the vCPU has lost its CPU, and with each exit that lets another vCPU
 * run, down to a quarter of ple_window. VMCS01 and VMCS02 each have a window of
 * L0's. The names, and what the values mean, are those of kvm_intel.
 */
static unsigned int ple_gap = 128;
module_param(ple_gap, uint, 0644);
MODULE_PARM_DESC(ple_gap, "most TSC cycles between two PAUSEs of a loop, for new vCPUs; 0: no exits of PAUSE loops");

static unsigned int ple_window = 4096;
module_param(ple_window, uint, 0644);
MODULE_PARM_DESC(ple_window, "TSC cycles that a PAUSE loop may take, at first");

static unsigned int ple_window_grow = 2;
module_param(ple_window_grow, uint, 0644);
MODULE_PARM_DESC(ple_window_grow, "factor by which a useless exit makes the window grow; 0: it does not grow");

static unsigned int ple_window_shrink;
module_param(ple_window_shrink, uint, 0644);
MODULE_PARM_DESC(ple_window_shrink, "divisor of the window after the loss of a CPU; 0: it is ple_window again");

static unsigned int ple_window_max = BIT(30);
module_param(ple_window_max, uint, 0644);
MODULE_PARM_DESC(ple_window_max, "TSC cycles that a PAUSE loop may take at most");

/**
 * ple_wanted() - whether L0 wants exits of the PAUSE loops of new vCPUs
 *
 * Context: Any.
 * Return: true if it does.
 */
bool ple_wanted(void)
{
	return vmx_features.ple && READ_ONCE(ple_gap);
}

/* Write PLE_WINDOW: L0's window, or what the level that owns the loop leaves of its own. The VMCS is current. */
static void ple_write_window(struct loaded_vmcs *v)
{
	u32 window = min(v->ple.own, v->ple.limit);

	if (v->ple.window != window)
		vmcs_write(PLE_WINDOW, window);
	v->ple.window = window;
}

/**
 * ple_begin() - write the gap and the window of a new VMCS
 * @vcpu: the vCPU of @v; ctl01 is valid
 * @v: new and current; ple_limit() may follow
 *
 * Context: Process context. Writes the current VMCS.
 */
void ple_begin(struct vcpu *vcpu, struct loaded_vmcs *v)
{
	if (!vmx_features.ple)
		return;
	v->ple.own = vcpu->ctl01.proc2 & SECONDARY_EXEC_PAUSE_LOOP_EXITING ? READ_ONCE(ple_window) : U32_MAX;
	v->ple.limit = U32_MAX;
	v->ple.window = v->ple.own;
	v->ple.gap = READ_ONCE(ple_gap);
	vmcs_write(PLE_GAP, v->ple.gap);
	vmcs_write(PLE_WINDOW, v->ple.window);
}

/**
 * ple_limit() - set the gap of a VMCS, and the most that its window may be
 * @v: current, after ple_begin()
 * @gap: most TSC cycles between two PAUSEs of a loop
 * @limit: TSC cycles; U32_MAX: L0's window alone counts
 *
 * Context: Process context. Writes the current VMCS.
 */
void ple_limit(struct loaded_vmcs *v, u32 gap, u32 limit)
{
	/* ple_shorter() reads and writes the same when the scheduler takes the CPU away. */
	preempt_disable();
	if (v->ple.gap != gap)
		vmcs_write(PLE_GAP, gap);
	v->ple.gap = gap;
	v->ple.limit = limit;
	ple_write_window(v);
	preempt_enable();
}

/**
 * ple_adapt() - let the guest spin longer or for a shorter time before the next exit of a PAUSE loop
 * @vcpu: loaded, has had such an exit
 * @useful: the exit has let another vCPU run; otherwise it has helped nobody
 *
 * Context: Process context. Writes the current VMCS. Does not sleep.
 */
void ple_adapt(struct vcpu *vcpu, bool useful)
{
	struct loaded_vmcs *v = vcpu->vmcs;
	u32 base = READ_ONCE(ple_window);

	if (!(vcpu->ctl01.proc2 & SECONDARY_EXEC_PAUSE_LOOP_EXITING))
		return;
	preempt_disable();
	v->ple.own = useful ? ple_lowered(v->ple.own, base) :
			      ple_grown(v->ple.own, base, READ_ONCE(ple_window_grow), READ_ONCE(ple_window_max));
	ple_write_window(v);
	preempt_enable();
}

/**
 * ple_shorter() - make the guest spin for a shorter time before the next exit of a PAUSE loop
 * @vcpu: loaded; its thread has lost its CPU for a time
 *
 * Context: Preemption disabled. Writes the current VMCS.
 */
void ple_shorter(struct vcpu *vcpu)
{
	struct loaded_vmcs *v = vcpu->vmcs;
	u32 base = READ_ONCE(ple_window);

	if (!(vcpu->ctl01.proc2 & SECONDARY_EXEC_PAUSE_LOOP_EXITING) || v->ple.own <= base)
		return;
	v->ple.own = ple_shrunk(v->ple.own, base, READ_ONCE(ple_window_shrink));
	ple_write_window(v);
}
