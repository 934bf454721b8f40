/* SPDX-License-Identifier: GPL-2.0 */
/* States for tests of the VM-entry checks; checks_kunit.c makes them. */
#ifndef DROSTE_TEST_CHECKS_STATES_H
#define DROSTE_TEST_CHECKS_STATES_H

#include "vmx/types.h"
#include "nested/checks.h"

/* L1's memory, as far as the checks read it. */
struct mem {
	u8 vtpr;
	u32 link_revision;
	u64 pdpte[4];
};

/* Everything that a case can change. */
struct state {
	struct vmcs12 v;
	struct vmx_caps caps;
	struct mem mem;
	struct check_ctx c;
};

void checks_state_failing(struct state *s, enum check_id id);
bool checks_state_passing(struct state *s, int n);

#endif
