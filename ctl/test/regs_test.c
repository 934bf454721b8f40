// SPDX-License-Identifier: GPL-2.0
/* Compares what "drostectl regs" prints for some answers of the module with a file; --write makes the file. */
#include "golden.h"
#include "look.h"
#include "regs.h"

#define FLAT(ar)	{ .limit = 0xffffffff, .rights = (ar), .selector = 0x18 }
#define REAL		{ .limit = 0xffff, .rights = 0x93 }
#define UNUSABLE	{ .rights = 0x10000 }

#define LINUX \
	.gpr = { 0x1, 0x2, 0xffffffff82a00000, 0, 0xffffc90000013e88, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 0xf000000000000000 }, \
	.rip = 0xffffffff8105a3c4, .rflags = 0x246, .cr0 = 0x80050033, .cr2 = 0x7f0012345678, .cr3 = 0x3f82700e, .cr4 = 0x370ef0, .cr8 = 3, \
	.efer = 0xd01, .dr = { 0x1000, 0, 0, 0x4000 }, .dr6 = 0xffff0ff0, .dr7 = 0x400, \
	.seg = { UNUSABLE, { .limit = 0xffffffff, .rights = 0xa09b, .selector = 0x10 }, FLAT(0xc093), UNUSABLE, UNUSABLE, \
		 { .base = 0xffff88807dc00000, .limit = 0xffffffff, .rights = 0x1c000 }, UNUSABLE, \
		 { .base = 0xfffffe0000003000, .limit = 0x4087, .rights = 0x8b, .selector = 0x40 } }, \
	.gdtr_base = 0xfffffe0000001000, .gdtr_limit = 0x7f, .idtr_base = 0xfffffe0000000000, .idtr_limit = 0xfff

static const struct {
	const char *what;
	bool json;
	struct droste_regs r;
} cases[] = {
	{ "L1 runs Linux", false, { .level = 1, LINUX } },
	{ "L2 runs it", false, { .level = 2, .flags = DROSTE_REGS_IN_L2, LINUX } },
	{ "L1 waits", false, { .level = 1, .flags = DROSTE_REGS_IN_L2 | DROSTE_REGS_SHARED, LINUX } },
	{ "the same, for a program", true, { .vcpu = 3, .level = 1, .flags = DROSTE_REGS_IN_L2 | DROSTE_REGS_SHARED, LINUX } },
	{ "real mode, without CR8", false, {
		.level = 2, .flags = DROSTE_REGS_IN_L2 | DROSTE_REGS_NO_CR8, .rip = 0xfff0, .rflags = 0x2, .cr0 = 0x60000010,
		.seg = { REAL, { .base = 0xffff0000, .limit = 0xffff, .rights = 0x9b, .selector = 0xf000 }, REAL, REAL, REAL, REAL,
			 { .limit = 0xffff, .rights = 0x82 }, { .limit = 0xffff, .rights = 0x8b } },
	} },
	{ "the same, for a program", true, { .level = 2, .flags = DROSTE_REGS_IN_L2 | DROSTE_REGS_NO_CR8 } },
	{ "bits without a name", false, { .level = 1, .rflags = 0x8000000000000202, .cr4 = 0x8000000000000000, .efer = 0x80000, .cr0 = 0x40 } },
};

static void print(void)
{
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		printf("== %s\n", cases[i].what);
		regs_show(&cases[i].r, cases[i].json);
	}
}

int main(int argc, char **argv)
{
	return golden_check("test/regs.golden", argc > 1 && !strcmp(argv[1], "--write"), print);
}
