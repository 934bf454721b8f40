/* SPDX-License-Identifier: GPL-2.0 */
/* How the window of PAUSE-loop exiting grows and shrinks. Pure. */
#ifndef DROSTE_PLE_H
#define DROSTE_PLE_H

#include <linux/minmax.h>
#include <linux/types.h>

/**
 * ple_grown() - a window after an exit that has helped nobody
 * @window: the window, TSC cycles
 * @base: the least window
 * @grow: the factor by which it grows; 0: it does not, at least @base: so many cycles are added
 * @max: the greatest window
 *
 * The same parameters mean the same in kvm_intel.
 *
 * Return: the new window.
 */
static inline u32 ple_grown(u32 window, u32 base, u32 grow, u32 max)
{
	u64 to = window;

	if (grow < 1)
		return base;
	if (grow < base)
		to *= grow;
	else
		to += grow;
	return min_t(u64, to, max(base, max));
}

/**
 * ple_lowered() - a window after an exit that has let another vCPU run
 * @window: the window, TSC cycles
 * @base: the window at first
 *
 * If the loop goes on, the lock's holder is likely to wait for its CPU again.
 *
 * Return: the new window.
 */
static inline u32 ple_lowered(u32 window, u32 base)
{
	return max(window / 2, base / 4);
}

/**
 * ple_shrunk() - a window above the least one, after the vCPU has lost its CPU for a time
 * @window: the window, TSC cycles
 * @base: the least window
 * @shrink: the divisor; 0: the window is @base again, at least @base: so many cycles are taken off
 *
 * Return: the new window.
 */
static inline u32 ple_shrunk(u32 window, u32 base, u32 shrink)
{
	if (shrink < 1)
		return base;
	if (shrink < base)
		window /= shrink;
	else
		window -= min(window, shrink);
	return max(window, base);
}

#endif
