/* SPDX-License-Identifier: GPL-2.0 */
/* Creates, sets up and runs virtual processors. */
#ifndef DROSTECTL_VCPU_H
#define DROSTECTL_VCPU_H

#include <stdint.h>

#include "vm.h"

/**
 * vcpu_create() - create a virtual processor and set its CPUID and MSRs
 * @vm: the VM
 * @cpuid: made by cpuid_get(); the APIC ID is filled in
 * @id: index and APIC ID; must be the next free one
 * @total: number of processors the VM will have
 *
 * Return: 0, or -1 after printing an error message.
 */
int vcpu_create(struct vm *vm, struct kvm_cpuid2 *cpuid, unsigned int id,
		unsigned int total);

/**
 * vcpu_create_as() - create a virtual processor that has a state already, and set its CPUID
 * @vm: the VM
 * @cpuid: its CPUID
 * @id: index and APIC ID; must be the next free one
 *
 * Return: 0, or -1 after printing an error message.
 */
int vcpu_create_as(struct vm *vm, const struct kvm_cpuid2 *cpuid, unsigned int id);

/**
 * vcpu_boot_state() - put a processor into 64-bit mode at a kernel's entry
 * @vcpu: processor 0; the others wait for the guest to start them
 * @entry: guest-physical address of the 64-bit entry point
 *
 * Return: 0, or -1 after printing an error message.
 */
int vcpu_boot_state(struct vcpu *vcpu, uint64_t entry);

/**
 * vcpus_start() - start a thread for each processor
 * @vm: the VM
 *
 * Return: 0, or -1 after printing an error message.
 */
int vcpus_start(struct vm *vm);

/** vcpus_join() - wait until all threads have exited; the run must have ended */
void vcpus_join(struct vm *vm);

#endif
