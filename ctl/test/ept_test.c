// SPDX-License-Identifier: GPL-2.0
/* Compares what "drostectl ept" prints for some answers of the module with a file; --write makes the file. */
#include "ept.h"
#include "golden.h"
#include "look.h"

static const struct {
	const char *what;
	bool json;
	struct droste_ept e;
} cases[] = {
	{ "a page that all tables map", false, {
		.flags = DROSTE_EPT_IN_L2 | DROSTE_EPT_TRANSLATED | DROSTE_EPT_IN_SLOT, .gpa = 0x7654321, .l1_gpa = 0x1b454321,
		.slot_gpa = 0x100000, .slot_size = 0x3ff00000, .slot_flags = 1, .slot_hva = 0x7f0000100000,
		.ept12 = { 0x1b5e05e, { 0x1b5e000, 0x1b5f000, 0x1b600e8 }, { 0x1b5f107, 0x1b60107, 0x1b4003f7 }, 3, 3 },
		.ept01 = { 0x1234505e, { 0x12345000, 0x12346000, 0x123476d0, 0x123482a0 },
			   { 0x12346007, 0x12347007, 0x12348007, 0x45678777 }, 4, 3 },
		.ept02 = { 0x2345605e, { 0x23456000, 0x23457000, 0x234581d8, 0x234592a0 },
			   { 0x23457007, 0x23458007, 0x23459007, 0x45678335 }, 4, 3 },
		.access = { { DROSTE_EPT_THROUGH, 0, 0 }, { DROSTE_EPT_FILLS, 0x200, 0 }, { DROSTE_EPT_THROUGH, 0, 0 } },
	} },
	{ "the same, for a program", true, {
		.flags = DROSTE_EPT_IN_L2 | DROSTE_EPT_TRANSLATED | DROSTE_EPT_IN_SLOT, .gpa = 0x7654321, .l1_gpa = 0x1b454321,
		.slot_gpa = 0x100000, .slot_size = 0x3ff00000, .slot_flags = 1,
		.ept12 = { 0x1b5e05e, { 0x1b5e000, 0x1b5f000, 0x1b600e8 }, { 0x1b5f107, 0x1b60107, 0x1b4003f7 }, 3, 3 },
		.ept01 = { 0x5e, { 0 }, { 7, 7, 7, 0x777 }, 4, 7 },
		.access = { { DROSTE_EPT_FILLS, 0x100, 0 }, { DROSTE_EPT_VIOLATION, 0, 0x1aa }, { DROSTE_EPT_UNKNOWN, 0, 0 } },
	} },
	{ "a violation; without CAP_SYSLOG", false, {
		.flags = DROSTE_EPT_IN_L2 | DROSTE_EPT_TRANSLATED | DROSTE_EPT_IN_SLOT, .gpa = 0x1000, .l1_gpa = 0x2000,
		.slot_size = 0x40000000, .slot_flags = 2, .slot = 3,
		.ept12 = { 0x1b5e01e, { 0x1b5e000, 0x1b5f000 }, { 0x1b5f007, 0xc5 }, 2, 3 },
		.ept01 = { 0x5e, { 0 }, { 0 }, 1, 5 },
		.access = { { DROSTE_EPT_FILLS, 0, 0 }, { DROSTE_EPT_VIOLATION, 0, 0x1aa }, { DROSTE_EPT_FILLS, 0, 0 } },
	} },
	{ "a misconfigured entry", false, {
		.gpa = 0x1000, .ept12 = { 0x1b5e01e, { 0x1b5e000, 0x1b5f000 }, { 0x1b5f007, 0xc2 }, 2, 1 },
		.access = { { DROSTE_EPT_MISCONFIG, 0, 0 }, { DROSTE_EPT_MISCONFIG, 0, 0 }, { DROSTE_EPT_MISCONFIG, 0, 0 } },
	} },
	{ "no entry, but EPT02 has one", false, {
		.flags = DROSTE_EPT_IN_L2, .gpa = 0x1000, .ept12 = { 0x1b5e01e, { 0x1b5e000 }, { 0 }, 1, 1 },
		.ept02 = { 0x2345601e, { 0x23456000, 0x23457000 }, { 0x23457007, 0xb7 }, 2, 3 },
		.access = { { DROSTE_EPT_THROUGH, 0, 0 }, { DROSTE_EPT_THROUGH, 0, 0 }, { DROSTE_EPT_VIOLATION, 0, 0x184 } },
	} },
	{ "tables that cannot be read", false, {
		.flags = DROSTE_EPT_IN_L2, .gpa = 0x1000, .ept12 = { 0x1b5e01e, { 0x1b5e000, 0x10000000 }, { 0x10000007 }, 2, 9 },
		.access = { { DROSTE_EPT_MISCONFIG, 0, 0 }, { DROSTE_EPT_MISCONFIG, 0, 0 }, { DROSTE_EPT_UNKNOWN, 0, 0 } },
	} },
	{ "tables that the host does not have", false, {
		.flags = DROSTE_EPT_IN_L2, .gpa = 0x1000, .ept12 = { 0x1b5e01e, { 0x1b5e000 }, { 0 }, 1, 17 },
		.access = { { DROSTE_EPT_UNKNOWN, 0, 0 }, { DROSTE_EPT_UNKNOWN, 0, 0 }, { DROSTE_EPT_UNKNOWN, 0, 0 } },
	} },
	{ "a device", false, {
		.flags = DROSTE_EPT_IN_L2 | DROSTE_EPT_TRANSLATED | DROSTE_EPT_APIC_PAGE, .gpa = 0xfee00000, .l1_gpa = 0xfee00000,
		.ept12 = { 0x1b5e01e, { 0x1b5e000, 0x1b5f000 }, { 0x1b5f007, 0xc7 }, 2, 3 },
		.ept01 = { 0x1234505e, { 0x12345000 }, { 0 }, 1, 1 },
		.access = { { DROSTE_EPT_APIC, 0, 0 }, { DROSTE_EPT_MMIO, 0, 0 }, { DROSTE_EPT_READONLY, 0, 0 } },
	} },
	{ "L1's address", false, {
		.flags = DROSTE_EPT_OF_L1 | DROSTE_EPT_TRANSLATED, .gpa = 0x4000000000000, .l1_gpa = 0x4000000000000,
		.ept01 = { 0x1234505e, { 0 }, { 0 }, 0, 1 },
		.access = { { DROSTE_EPT_MMIO, 0, 0 }, { DROSTE_EPT_MMIO, 0, 0 }, { DROSTE_EPT_FILLS, 0, 0 } },
	} },
	{ "L2 without EPT", false, {
		.flags = DROSTE_EPT_IN_L2 | DROSTE_EPT_TRANSLATED | DROSTE_EPT_IN_SLOT, .gpa = 0x1000, .l1_gpa = 0x1000,
		.slot_size = 0x1000000, .ept01 = { 0x1234505e, { 0x12345000, 0x23456000 }, { 0x23456007, 0x1b7 }, 2, 3 },
		.access = { { DROSTE_EPT_THROUGH, 0, 0 }, { DROSTE_EPT_THROUGH, 0, 0 }, { DROSTE_EPT_THROUGH, 0, 0 } },
	} },
};

static void print(void)
{
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		printf("== %s\n", cases[i].what);
		ept_show(&cases[i].e, cases[i].json);
	}
}

int main(int argc, char **argv)
{
	return golden_check("test/ept.golden", argc > 1 && !strcmp(argv[1], "--write"), print);
}
