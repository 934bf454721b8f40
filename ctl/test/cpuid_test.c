// SPDX-License-Identifier: GPL-2.0
/* Checks what a guest's CPUID says of its hypervisor. */
#include <stdlib.h>
#include <string.h>

#include "cpuid.h"
#include "tap.h"

static struct kvm_cpuid2 *list;

static void add(uint32_t leaf, uint32_t eax, const char *name)
{
	struct kvm_cpuid_entry2 *e = &list->entries[list->nent++];

	*e = (struct kvm_cpuid_entry2) { .function = leaf, .eax = eax };
	memcpy(&e->ebx, name, 4);
	memcpy(&e->ecx, name + 4, 4);
	memcpy(&e->edx, name + 8, 4);
}

/* A list with a hypervisor of this name, with KVM's features and Droste's. */
static void begin(const char *name)
{
	free(list);
	list = calloc(1, sizeof(*list) + (4 + CPUID_SPARE_ENTRIES) * sizeof(list->entries[0]));
	if (!list)
		abort();
	add(0x1, 0x806f8, "------------");
	add(0x40000000, 0x40000002, name);
	add(0x40000001, 0x1234, "\0\0\0\0\0\0\0\0\0\0\0\0");
	add(0x40000002, 3, "\0\0\0\0\0\0\0\0\0\0\0\0");
}

static int has(uint32_t leaf, uint32_t eax, const char *name)
{
	struct kvm_cpuid_entry2 *e = cpuid_find(list, leaf, 0);

	return e && e->eax == eax && !memcmp(&e->ebx, name, 4) && !memcmp(&e->ecx, name + 4, 4) &&
	       !memcmp(&e->edx, name + 8, 4);
}

int main(void)
{
	const char *kvm = "KVMKVMKVM\0\0\0", *droste = "DrosteDroste";

	begin(droste);
	cpuid_call_kvm(list);
	ok(has(0x40000000, 0x40000001, kvm));
	ok(has(0x40000001, 0x1234, "\0\0\0\0\0\0\0\0\0\0\0\0"));
	ok(!cpuid_find(list, 0x40000002, 0));
	ok(has(0x40000100, 0x40000102, droste));
	ok(has(0x40000102, 3, "\0\0\0\0\0\0\0\0\0\0\0\0"));
	ok(list->nent == 5);

	/* Its name already. */
	begin(kvm);
	cpuid_call_kvm(list);
	ok(has(0x40000000, 0x40000002, kvm) && list->nent == 4);

	/* No hypervisor at all. */
	begin(droste);
	list->nent = 1;
	cpuid_call_kvm(list);
	ok(list->nent == 1);
	free(list);
	return tap_done();
}
