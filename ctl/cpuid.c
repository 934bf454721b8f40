// SPDX-License-Identifier: GPL-2.0
/* Turns the list of supported CPUID leaves into the CPUID of one processor. */
#include <cpuid.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "cpuid.h"
#include "say.h"

#define LEAF1_ECX_TSC_DEADLINE	(1U << 24)
#define LEAF1_EDX_HTT		(1U << 28)

/* Levels of leaves 0xb and 0x1f (SDM vol. 2A, CPUID). */
#define TOPOLOGY_SMT		1
#define TOPOLOGY_CORE		2

#define MAX_ENTRIES		4096

/* Guests look for a hypervisor's signature in each 256th leaf from LEAF_HYPERVISOR on. */
#define LEAF_HYPERVISOR_NEXT	0x40000100
#define LEAF_KVM_FEATURES	0x40000001	/* also with Droste's signature */

struct kvm_cpuid2 *cpuid_get(int dev_fd)
{
	for (unsigned int n = 128; n <= MAX_ENTRIES; n *= 2) {
		struct kvm_cpuid2 *list;

		list = calloc(1, sizeof(*list) +
				 (n + CPUID_SPARE_ENTRIES) * sizeof(list->entries[0]));
		if (!list) {
			say("out of memory");
			return NULL;
		}
		list->nent = n;
		if (!ioctl(dev_fd, KVM_GET_SUPPORTED_CPUID, list))
			return list;
		free(list);
		if (errno != E2BIG)
			break;
	}
	say("KVM_GET_SUPPORTED_CPUID failed: %s", strerror(errno));
	return NULL;
}

struct kvm_cpuid_entry2 *cpuid_find(struct kvm_cpuid2 *list, uint32_t leaf,
				    uint32_t subleaf)
{
	for (uint32_t i = 0; i < list->nent; i++) {
		struct kvm_cpuid_entry2 *e = &list->entries[i];

		if (e->function == leaf &&
		    (!(e->flags & KVM_CPUID_FLAG_SIGNIFCANT_INDEX) ||
		     e->index == subleaf))
			return e;
	}
	return NULL;
}

void cpuid_call_kvm(struct kvm_cpuid2 *list)
{
	struct kvm_cpuid_entry2 *e = cpuid_find(list, LEAF_HYPERVISOR, 0), *last;
	struct kvm_cpuid_entry2 own;

	if (!e || memcmp(&e->ebx, "Dros", 4) || memcmp(&e->ecx, "teDr", 4) || memcmp(&e->edx, "oste", 4))
		return;
	own = *e;
	own.function = LEAF_HYPERVISOR_NEXT;
	own.eax += LEAF_HYPERVISOR_NEXT - LEAF_HYPERVISOR;
	last = cpuid_find(list, e->eax, 0);
	if (last && last->function > LEAF_KVM_FEATURES)
		last->function = own.eax;
	list->entries[list->nent++] = own;
	e->eax = LEAF_KVM_FEATURES;
	memcpy(&e->ebx, "KVMK", 4);
	memcpy(&e->ecx, "VMKV", 4);
	memcpy(&e->edx, "M\0\0", 4);
}

/* The number of APIC ID bits needed to number @total cores. */
static unsigned int id_bits(unsigned int total)
{
	unsigned int bits = 0;

	while ((1ULL << bits) < total)
		bits++;
	return bits;
}

static void fix_leaf1(struct kvm_cpuid2 *list, struct kvm_cpuid_entry2 *e,
		      uint32_t id, unsigned int total, int deadline)
{
	uint32_t ids = 1U << id_bits(total);

	e->ebx &= 0x0000ffff;
	e->ebx |= (ids > 255 ? 255 : ids) << 16;
	e->ebx |= (id > 255 ? 255 : id) << 24;
	e->edx &= ~LEAF1_EDX_HTT;
	if (total > 1)
		e->edx |= LEAF1_EDX_HTT;
	/* KVM leaves the decision to offer these two to user space. */
	if (deadline)
		e->ecx |= LEAF1_ECX_TSC_DEADLINE;
	if (cpuid_find(list, LEAF_HYPERVISOR, 0))
		e->ecx |= LEAF1_ECX_HYPERVISOR;
}

/* Cache sharing: the package shares the last level, each core has the others. */
static void fix_leaf4(struct kvm_cpuid_entry2 *e, unsigned int total)
{
	uint32_t ids = 1U << id_bits(total);
	uint32_t level = e->eax >> 5 & 7;
	uint32_t sharing = level >= 3 ? ids - 1 : 0;

	if (!(e->eax & 0x1f))
		return;		/* type 0: end of the list of caches */
	e->eax &= 0x00003fff;
	e->eax |= (sharing > 0xfff ? 0xfff : sharing) << 14;
	e->eax |= (ids - 1 > 0x3f ? 0x3f : ids - 1) << 26;
}

/* Topology: one thread per core, all cores in one package. */
static void fix_topology(struct kvm_cpuid_entry2 *e, uint32_t id,
			 unsigned int total)
{
	static const uint32_t type[] = { TOPOLOGY_SMT, TOPOLOGY_CORE };

	e->eax = 0;
	e->ebx = 0;
	e->ecx = e->index & 0xff;
	e->edx = id;
	if (e->index >= 2)
		return;
	e->ecx |= type[e->index] << 8;
	e->eax = e->index ? id_bits(total) : 0;
	e->ebx = e->index ? total : 1;
}

/* Sets the brand string, which KVM leaves to user space, to the host's. */
static void fix_brand(struct kvm_cpuid_entry2 *e)
{
	if (!(e->eax | e->ebx | e->ecx | e->edx))
		__cpuid(e->function, e->eax, e->ebx, e->ecx, e->edx);
}

/*
 * A device may list only subleaf 0 of a topology leaf, but subleaf 1 describes
 * the cores. cpuid_get() left room for more entries.
 */
static void add_core_level(struct kvm_cpuid2 *list)
{
	struct kvm_cpuid_entry2 *smt = cpuid_find(list, 0xb, 0);

	if (!smt || cpuid_find(list, 0xb, 1))
		return;
	smt->flags |= KVM_CPUID_FLAG_SIGNIFCANT_INDEX;
	list->entries[list->nent] = *smt;
	list->entries[list->nent].index = 1;
	list->nent++;
}

void cpuid_fix(struct kvm_cpuid2 *list, uint32_t id, unsigned int total,
	       int deadline)
{
	add_core_level(list);
	for (uint32_t i = 0; i < list->nent; i++) {
		struct kvm_cpuid_entry2 *e = &list->entries[i];

		switch (e->function) {
		case 0x1:
			fix_leaf1(list, e, id, total, deadline);
			break;
		case 0x4:
			fix_leaf4(e, total);
			break;
		case 0xb:
		case 0x1f:
			fix_topology(e, id, total);
			break;
		case 0x80000002 ... 0x80000004:
			fix_brand(e);
			break;
		}
	}
}
