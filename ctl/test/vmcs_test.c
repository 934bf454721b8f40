// SPDX-License-Identifier: GPL-2.0
/* Compares what "drostectl vmcs" prints for some fields of the module with a file; --write makes the file. */
#include "golden.h"
#include "inspect.h"
#include "look.h"

static const struct droste_vmcs_field vmcs12[] = {
	{ .encoding = 0x681e, .flags = DROSTE_FIELD_STALE, .value = 0xffffffff8105a3c4 },	/* GUEST_RIP */
	{ .encoding = 0x6820, .flags = DROSTE_FIELD_STALE | DROSTE_FIELD_DIRTY, .value = 0x246 },	/* GUEST_RFLAGS */
	{ .encoding = 0x0804, .value = 0x18 },							/* GUEST_SS_SELECTOR */
	{ .encoding = 0x4004, .flags = DROSTE_FIELD_DIRTY, .value = 0x60042 },			/* EXCEPTION_BITMAP */
	{ .encoding = 0x6c02, .flags = DROSTE_FIELD_HOST | DROSTE_FIELD_DIRTY, .value = 0x1000 },	/* HOST_CR3 */
};

static const struct droste_vmcs_field vmcs02[] = {
	{ .encoding = 0x200e, .flags = DROSTE_FIELD_GATED | DROSTE_FIELD_HIDDEN },	/* PML_ADDRESS */
	{ .encoding = 0x4022, .flags = DROSTE_FIELD_GATED, .value = 0x1000 },		/* PLE_WINDOW */
	{ .encoding = 0x4004, .value = 0 },
	{ .encoding = 0x6c02, .flags = DROSTE_FIELD_HOST | DROSTE_FIELD_HIDDEN },
};

static void show(const char *what, const char *name, const struct droste_vmcs_field *fields, uint32_t nr, bool json)
{
	static struct look_vmcs v;

	v = (struct look_vmcs) { .file.vmptr = ~0ULL, .in_l2 = true };
	look_fields(&v, fields, nr);
	printf("== %s\n", what);
	vmcs_show(&v, look_which(name), NULL, json);
}

#define COUNT(a)	(sizeof(a) / sizeof((a)[0]))

static void print(void)
{
	show("VMCS12", "12", vmcs12, COUNT(vmcs12), false);
	show("VMCS12 for a program", "12", vmcs12, COUNT(vmcs12), true);
	show("VMCS02", "02", vmcs02, COUNT(vmcs02), false);
	show("VMCS02 for a program", "02", vmcs02, COUNT(vmcs02), true);
	show("a field without a mark", "12", vmcs12 + 2, 1, false);
}

int main(int argc, char **argv)
{
	return golden_check("test/vmcs.golden", argc > 1 && !strcmp(argv[1], "--write"), print);
}
