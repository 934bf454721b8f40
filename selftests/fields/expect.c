// SPDX-License-Identifier: GPL-2.0
/* Calls the module's merge_controls(), which is compiled into the test, with fields as DROSTE_GET_VMCS returns them. */
#include "nested/merge.h"
#include "nested/vmcs12.h"
#include "vmx/types.h"
#include "expect.h"

void expect_controls(const __u32 *l0, const struct droste_vmcs_field *fields12, __u32 nr, int lma, __u32 *expected)
{
	const struct vmx_controls c01 = {
		.pin = l0[EXPECT_PIN], .proc = l0[EXPECT_PROC], .proc2 = l0[EXPECT_PROC2], .exit = l0[EXPECT_EXIT],
		.entry = l0[EXPECT_ENTRY], .exceptions = l0[EXPECT_EXCEPTIONS],
	};
	static struct vmcs12 v;
	struct vmx_controls out;
	struct merged_pf pf;
	__u32 i;
	int f;

	for (i = 0; i < nr; i++)
		for (f = 0; f < NR_VMCS12_FIELDS; f++)
			if (vmcs12_fields[f].enc == fields12[i].encoding)
				vmcs12_set(&v, &vmcs12_fields[f], fields12[i].value);
	merge_controls(&c01, &v, lma, &out, &pf);
	expected[EXPECT_PIN] = out.pin;
	expected[EXPECT_PROC] = out.proc;
	expected[EXPECT_PROC2] = out.proc2;
	expected[EXPECT_EXIT] = out.exit;
	expected[EXPECT_ENTRY] = out.entry;
	expected[EXPECT_EXCEPTIONS] = out.exceptions;
	expected[EXPECT_PF_MASK] = pf.mask;
	expected[EXPECT_PF_MATCH] = pf.match;
}
