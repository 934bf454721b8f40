/* SPDX-License-Identifier: GPL-2.0 */
/* drostectl run --profile: a guest that looks like a real machine. */
#ifndef DROSTECTL_PROFILERUN_H
#define DROSTECTL_PROFILERUN_H

#include <linux/kvm.h>
#include <stdbool.h>
#include <stdint.h>

struct droste_pool;
struct profile;
struct profile_file;

/**
 * profile_run_read() - read a profile for a guest
 * @name: its file
 *
 * Return: the profile, or NULL after an error message.
 */
const struct profile_file *profile_run_read(const char *name);

/**
 * profile_run_cpuid() - the CPUID of a guest with a profile
 * @f: the profile
 * @dev_fd: the device, which must offer all of it
 * @total: number of processors the VM will have
 *
 * Return: a list as of cpuid_get(), or NULL after an error message.
 */
struct kvm_cpuid2 *profile_run_cpuid(const struct profile_file *f, int dev_fd, unsigned int total);

/**
 * profile_run_announce() - add to a processor what only MSRs of a profile stand behind
 * @machine: the machine that has it
 * @p: the processor
 */
void profile_run_announce(const struct droste_pool *machine, struct droste_pool *p);

/** profile_run_id() - fill the APIC ID into the CPUID of one processor */
void profile_run_id(struct kvm_cpuid2 *cpuid, uint32_t id);

/**
 * profile_run_vm() - end what only a VM of the KVM API does, let unknown MSRs exit, and set the clocks
 * @f: the profile
 * @dev_fd: the device
 * @vm_fd: the VM, which has no vCPUs yet
 *
 * Return: 0, or -1 after an error message.
 */
int profile_run_vm(const struct profile_file *f, int dev_fd, int vm_fd);

/**
 * profile_run_msrs() - give a vCPU the MSRs of a profile
 * @f: the profile
 * @vcpu_fd: the vCPU, whose CPUID is set
 *
 * Return: 0, or -1 after an error message.
 */
int profile_run_msrs(const struct profile_file *f, int vcpu_fd);

/**
 * profile_run_exit() - answer KVM_EXIT_X86_RDMSR and KVM_EXIT_X86_WRMSR
 * @p: the VM's profile; NULL: there is none
 * @run: the vCPU's
 */
void profile_run_exit(const struct profile *p, struct kvm_run *run);

#endif
