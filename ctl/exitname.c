// SPDX-License-Identifier: GPL-2.0
/* Names of exit reasons, from the module's table. */
#include "exitname.h"

#include <stdio.h>

#include "../uapi/linux/droste.h"

#define EXIT(nr, name, handler, needs) [nr] = #name,
static const char *const names[DROSTE_NR_EXIT_REASONS] = {
#include "../kmod/vmx/exits.def"
};

const char *exit_name(int reason)
{
	static char unnamed[24];

	if (names[reason])
		return names[reason];
	snprintf(unnamed, sizeof(unnamed), "reason %d", reason);
	return unnamed;
}
