// SPDX-License-Identifier: GPL-2.0
/* Unit checks of drostectl top --by why: the kernel's histogram. */
#include <string.h>

#include "tap.h"
#include "topwhy.h"

int main(void)
{
	/* As Linux 6.12 prints it. */
	char text[] = "# event histogram\n#\n"
		      "# trigger info: hist:keys=why,to:vals=hitcount:sort=hitcount:size=2048 if vm == 2 [active]\n#\n\n"
		      "{ why:          2, to:          1 } hitcount:          1\n"
		      "{ why:         16, to:          0 } hitcount:         20\n"
		      "{ why:         16, to:          1 } hitcount:        300\n"
		      "{ why:        255, to:          1 } hitcount:          7\n"
		      "\nTotals:\n    Hits: 328\n    Entries: 4\n    Dropped: 0\n";
	char none[] = "";
	struct why_counts c;

	why_parse(&c, text);
	ok(c.to_l0[WHY_PROC_CONTROL] == 0 && c.to_l1[WHY_PROC_CONTROL] == 1);
	ok(c.to_l0[WHY_MSR_BITMAP] == 20 && c.to_l1[WHY_MSR_BITMAP] == 300);
	ok(!c.to_l1[WHY_TWO_CONTROLS]);
	why_parse(&c, none);
	ok(!c.to_l1[WHY_MSR_BITMAP]);
	ok(!strcmp(why_name(WHY_MSR_BITMAP), "MSR_BITMAP") && !strcmp(why_words(WHY_MSR_BITMAP), "the bit in L1's MSR bitmap"));
	return tap_done();
}
