/* SPDX-License-Identifier: GPL-2.0 */
/* What the guest's CPUID instruction shows. */
#ifndef DROSTECTL_CPUID_H
#define DROSTECTL_CPUID_H

#include <linux/kvm.h>
#include <stdint.h>

/**
 * cpuid_get() - ask the device for all it supports
 * @dev_fd: the device
 *
 * Return: a list to be freed, or NULL after saying what is wrong.
 */
struct kvm_cpuid2 *cpuid_get(int dev_fd);

/** cpuid_find() - an entry of a list, or NULL */
struct kvm_cpuid_entry2 *cpuid_find(struct kvm_cpuid2 *list, uint32_t leaf,
				    uint32_t subleaf);

/**
 * cpuid_fix() - make a supported list that of one processor
 * @list: made by cpuid_get()
 * @id: the processor's APIC ID
 * @total: how many processors there are, all cores of one package
 * @deadline: whether the local APIC timer has a TSC deadline mode
 */
void cpuid_fix(struct kvm_cpuid2 *list, uint32_t id, unsigned int total,
	       int deadline);

#endif
