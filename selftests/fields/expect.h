/* SPDX-License-Identifier: GPL-2.0 */
/* The controls that VMCS02 must have, by the module's own merge. */
#ifndef EXPECT_H
#define EXPECT_H

#include <linux/droste.h>

/* The words of struct droste_vmcs.merged, in its order, and the page-fault filter. */
enum {
	EXPECT_PIN, EXPECT_PROC, EXPECT_PROC2, EXPECT_EXIT, EXPECT_ENTRY, EXPECT_EXCEPTIONS, EXPECT_PF_MASK, EXPECT_PF_MATCH,
	NR_EXPECTED
};

/* From L0's controls, all fields of VMCS12, and whether L2 is in IA-32e mode. */
void expect_controls(const __u32 *l0, const struct droste_vmcs_field *fields12, __u32 nr, int lma, __u32 *expected);

#endif
