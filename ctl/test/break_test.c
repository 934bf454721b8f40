// SPDX-License-Identifier: GPL-2.0
/* Unit checks of the expressions of drostectl break. */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "../uapi/linux/droste.h"
#include "break.h"
#include "nested/route_why.h"
#include "tap.h"

static bool gives(const char *text, const struct droste_match *want)
{
	struct droste_match m;

	memset(&m, 0xff, sizeof(m));
	return !break_parse(text, &m) && !memcmp(&m, want, sizeof(m));
}

#define GIVES(text, ...) ok(gives(text, &(struct droste_match) { __VA_ARGS__ }))

static void good(void)
{
	GIVES("level==2 && to==1 && reason==48 && nth==3",
	      .flags = DROSTE_MATCH_LEVEL | DROSTE_MATCH_TO | DROSTE_MATCH_REASON, .level = 2, .to = 1, .reason = 48, .nth = 3);
	GIVES("reason==cpuid", .flags = DROSTE_MATCH_REASON, .reason = 10);
	GIVES("reason==EXIT_REASON_EPT_VIOLATION", .flags = DROSTE_MATCH_REASON, .reason = 48);
	GIVES("reason==0", .flags = DROSTE_MATCH_REASON);
	GIVES("why==MSR_BITMAP", .flags = DROSTE_MATCH_WHY, .why = WHY_MSR_BITMAP);
	GIVES("  why == 14\t", .flags = DROSTE_MATCH_WHY, .why = 14);
	GIVES("rip==0xffffffff81000000", .flags = DROSTE_MATCH_RIP, .rip_first = 0xffffffff81000000, .rip_last = 0xffffffff81000000);
	GIVES("rip>=0x1000&&rip<0x2000", .flags = DROSTE_MATCH_RIP, .rip_first = 0x1000, .rip_last = 0x1fff);
	GIVES("rip>0x1000 && rip<=0x2000", .flags = DROSTE_MATCH_RIP, .rip_first = 0x1001, .rip_last = 0x2000);
	GIVES("seq>100", .flags = DROSTE_MATCH_SEQ, .seq_first = 101, .seq_last = UINT64_MAX);
	GIVES("nth==1", .nth = 1);
	GIVES("level==2 && level==2", .flags = DROSTE_MATCH_LEVEL, .level = 2);
}

static void bad(void)
{
	static const char *const texts[] = {
		"", " ", "level", "level==", "level=2", "level==3", "level==0", "level<2", "level!=1", "levels==1", "level==2 &&",
		"level==2 & to==1", "level==2 to==1", "level==2 || to==1", "(level==2)", "to==2", "to==L1", "reason==80", "reason==NOSUCH",
		"why==28", "why==CPUID", "rip==", "rip==-1", "rip==0x", "rip==12z", "rip==0x10000000000000000", "rip<0",
		"rip>0xffffffffffffffff", "rip>5 && rip<5", "nth==0", "nth>1", "seq==0", "level==1 && level==2", "vcpu==0",
		"reason==aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "&& level==2",
	};
	struct droste_match m;

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		if (!break_parse(texts[i], &m))
			printf("# \"%s\"\n", texts[i]);
		ok(break_parse(texts[i], &m) == -1);
	}
}

int main(void)
{
	freopen("/dev/null", "w", stderr);
	good();
	bad();
	return tap_done();
}
