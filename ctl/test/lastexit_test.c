// SPDX-License-Identifier: GPL-2.0
/* Compares what "drostectl why --exit" prints for some answers of the module with a file; --write makes the file. */
#include "golden.h"
#include "lastexit.h"
#include "look.h"
#include "nested/route_why.h"

#define L2	(DROSTE_EXIT_L2 | DROSTE_EXIT_RIP)

static const struct {
	const char *what;
	bool json;
	struct droste_last_exit e;
} cases[] = {
	{ "an MSR that L1's bitmap lets through", false, {
		.flags = L2 | DROSTE_EXIT_ARG | DROSTE_EXIT_BITMAP, .seq = 48213, .reason = 31, .rip = 0xffffffff8105a3c4, .arg = 0x174,
		.why = WHY_MSR_BITMAP, .field = 0x4002, .word = 0xb5a06dfa, .bits = 1 << 28, .bitmap = 0x1a3f02e, .bitmap_mask = 16,
	} },
	{ "an MSR that it does not", false, {
		.vcpu = 1, .flags = L2 | DROSTE_EXIT_ARG | DROSTE_EXIT_BITMAP | DROSTE_EXIT_SHOWN | DROSTE_EXIT_NOT_READ, .seq = 7, .reason = 32,
		.rip = 0x1000, .arg = 0x174, .to = 1, .why = WHY_MSR_BITMAP, .field = 0x4002, .word = 0xb5a06dfa, .bits = 1 << 28,
		.bitmap = 0x1a3f82e, .bitmap_mask = 16, .bitmap_bits = 16, .shown = 32,
	} },
	{ "the same, for a program", true, {
		.vcpu = 1, .flags = L2 | DROSTE_EXIT_ARG | DROSTE_EXIT_BITMAP | DROSTE_EXIT_SHOWN, .seq = 7, .reason = 32,
		.rip = 0x1000, .arg = 0x174, .to = 1, .why = WHY_MSR_BITMAP, .field = 0x4002, .word = 0xb5a06dfa, .bits = 1 << 28,
		.bitmap = 0x1a3f82e, .bitmap_mask = 16, .bitmap_bits = 16, .shown = 32,
	} },
	{ "an MSR without a bit", false, {
		.flags = L2 | DROSTE_EXIT_ARG | DROSTE_EXIT_BITMAP | DROSTE_EXIT_SHOWN, .reason = 31, .arg = 0x4b564d00, .to = 1,
		.why = WHY_MSR_BITMAP, .field = 0x4002, .word = 1 << 28, .bits = 1 << 28, .shown = 31,
	} },
	{ "CPUID", false, {
		.flags = L2 | DROSTE_EXIT_SHOWN, .seq = 9, .reason = 10, .rip = 0x1234, .to = 1, .why = WHY_ALWAYS, .shown = 10,
	} },
	{ "a port", false, {
		.flags = L2 | DROSTE_EXIT_ARG | DROSTE_EXIT_QUAL, .reason = 30, .qual = 0xd050003, .arg = 0xd05, .why = WHY_IO_CONTROL,
		.field = 0x4002, .word = 0x80000000, .bits = 1 << 24,
	} },
	{ "CR0", false, {
		.flags = L2 | DROSTE_EXIT_ARG | DROSTE_EXIT_QUAL | DROSTE_EXIT_SHOWN, .reason = 28, .qual = 0, .arg = 0x80050033, .to = 1,
		.why = WHY_CR0_MASK, .field = 0x6000, .word = 0x60000008, .bits = 0x8, .shown = 28,
	} },
	{ "an EPT violation that is L1's", false, {
		.flags = L2 | DROSTE_EXIT_QUAL | DROSTE_EXIT_GPA | DROSTE_EXIT_SHOWN, .reason = 48, .qual = 0x181, .gpa = 0xfee000b0,
		.why = WHY_ALWAYS, .shown = 48,
	} },
	{ "an interrupt of the host that L1 is shown something for", false, {
		.flags = L2 | DROSTE_EXIT_SHOWN, .reason = 1, .why = WHY_ALWAYS, .shown = 52,
	} },
	{ "an exit of L1", false, {
		.flags = DROSTE_EXIT_RIP | DROSTE_EXIT_ARG | DROSTE_EXIT_QUAL, .reason = 25, .rip = 0x5000, .arg = 0x681e,
	} },
	{ "an exit in the short loop", false, { .flags = DROSTE_EXIT_SHORT, .seq = 3, .reason = 10 } },
	{ "the same, for a program", true, { .flags = DROSTE_EXIT_SHORT, .seq = 3, .reason = 10 } },
	{ "an exit before VMXOFF", false, { .flags = DROSTE_EXIT_L2 | DROSTE_EXIT_GONE, .seq = 3, .reason = 10 } },
	{ "reasons that are not known", false, {
		.flags = L2 | DROSTE_EXIT_SHOWN, .reason = 0x8000ffff, .to = 1, .why = 200, .field = 0x7ffe, .shown = 0x8000ffff,
	} },
};

static void print(void)
{
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		printf("== %s\n", cases[i].what);
		lastexit_show(&cases[i].e, cases[i].json);
	}
}

int main(int argc, char **argv)
{
	return golden_check("test/lastexit.golden", argc > 1 && !strcmp(argv[1], "--write"), print);
}
