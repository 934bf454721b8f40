/* SPDX-License-Identifier: GPL-2.0 */
/* drostectl run --cpu: a guest with the processor of a pool, whatever the device's pool is. */
#ifndef DROSTECTL_POOLRUN_H
#define DROSTECTL_POOLRUN_H

#include <linux/kvm.h>

struct pool_file;

/**
 * pool_run_read() - read a pool for a guest
 * @name: its file
 *
 * Return: the pool, or NULL after an error message.
 */
const struct pool_file *pool_run_read(const char *name);

/**
 * pool_run_cpuid() - the CPUID of a guest that has a pool's processor
 * @f: made by pool_run_read()
 * @dev_fd: the device, which must offer at least the pool
 *
 * Return: a list as of cpuid_get(), or NULL after an error message.
 */
struct kvm_cpuid2 *pool_run_cpuid(const struct pool_file *f, int dev_fd);

/** pool_run_list() - as pool_run_cpuid(), for a pool that is known to be within what the device offers */
struct kvm_cpuid2 *pool_run_list(const struct pool_file *f);

/**
 * pool_run_msrs() - give a vCPU the feature MSRs of a pool
 * @f: made by pool_run_read()
 * @vcpu_fd: the vCPU, whose CPUID is set
 *
 * Return: 0, or -1 after an error message.
 */
int pool_run_msrs(const struct pool_file *f, int vcpu_fd);

#endif
