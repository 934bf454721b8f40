/* SPDX-License-Identifier: GPL-2.0 */
/* The result of the guest's CPUID instruction. */
#ifndef DROSTECTL_CPUID_H
#define DROSTECTL_CPUID_H

#include <linux/kvm.h>
#include <stdint.h>

#define LEAF_HYPERVISOR	0x40000000U	/* the first leaf that only hypervisors have */
#define LEAF1_ECX_HYPERVISOR	(1U << 31)	/* there is one */

/* Entries that a list needs besides its own, for what the functions below add. */
#define CPUID_SPARE_ENTRIES	3

/**
 * cpuid_get() - get the CPUID leaves that the device supports
 * @dev_fd: the device
 *
 * Return: a list that the caller frees, with CPUID_SPARE_ENTRIES; or NULL after printing an error message.
 */
struct kvm_cpuid2 *cpuid_get(int dev_fd);

/** cpuid_find() - find an entry of a list; NULL if there is none */
struct kvm_cpuid_entry2 *cpuid_find(struct kvm_cpuid2 *list, uint32_t leaf,
				    uint32_t subleaf);

/**
 * cpuid_call_kvm() - give the hypervisor KVM's name
 * @list: made by cpuid_get(); if it has Droste's name, Droste's own leaves go behind KVM's
 */
void cpuid_call_kvm(struct kvm_cpuid2 *list);

/**
 * cpuid_fix() - turn a list of supported leaves into the CPUID of one processor
 * @list: made by cpuid_get()
 * @id: the processor's APIC ID
 * @total: number of processors; all are cores of one package
 * @deadline: whether the local APIC timer has a TSC-deadline mode
 */
void cpuid_fix(struct kvm_cpuid2 *list, uint32_t id, unsigned int total,
	       int deadline);

#endif
