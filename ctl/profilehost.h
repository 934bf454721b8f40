/* SPDX-License-Identifier: GPL-2.0 */
/* Reads the machine that drostectl runs on. */
#ifndef DROSTECTL_PROFILEHOST_H
#define DROSTECTL_PROFILEHOST_H

#include "cpu/pool_logic.h"
#include "profile.h"

/**
 * profile_host_cpu() - read this machine's processor by CPUID, and IA32_ARCH_CAPABILITIES
 * @p: filled in; leaves of which no pool knows the fields are left out
 *
 * Return: 0, or -1 after an error message.
 */
int profile_host_cpu(struct droste_pool *p);

/**
 * profile_host_rest() - read this machine's plain MSRs, and the identities of its ACPI tables and SMBIOS
 * @p: filled in; what the machine lacks is left out, with a message
 *
 * Return: 0, or -1 after an error message.
 */
int profile_host_rest(struct profile *p);

#endif
