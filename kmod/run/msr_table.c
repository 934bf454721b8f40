// SPDX-License-Identifier: GPL-2.0
/* The MSR table: one row for each MSR or range of MSRs, with handlers from every part of the module. SDM 4. */
#include <linux/kvm_para.h>
#include "droste.h"
#include "cpu/msr.h"
#include "cpu/msr_row.h"
#include "irqchip/irqchip.h"
#include "nested/nested.h"
#include "pv/kvmclock.h"
#include "pv/pveoi.h"
#include "pv/stealtime.h"
#include "run/run.h"

#define LIST	MSR_F_LIST
#define FEATURE	MSR_F_FEATURE
#define PV	MSR_F_PV
#define MSR(_first, _last, _get, _set, _arg, _flags) \
	{ .first = _first, .last = _last, .flags = _flags, .arg = _arg, .get = _get, .set = _set },
static const struct msr_row msr_table[] = {
#include "cpu/msrs.def"
};
#undef MSR
#undef PV
#undef FEATURE
#undef LIST

/**
 * msr_table_init() - check the table and hand it to cpu/msr.c
 *
 * Context: Process context, once, when the module is loaded.
 * Return: 0, or -EINVAL with a log line if the table is wrong.
 */
int msr_table_init(void)
{
	return msr_init(msr_table, ARRAY_SIZE(msr_table));
}
