/* SPDX-License-Identifier: GPL-2.0 */
/* The ACPI tables, which describe the machine to the guest. */
#ifndef DROSTECTL_ACPI_H
#define DROSTECTL_ACPI_H

#include <stddef.h>
#include <stdint.h>

#include "mem.h"
#include "profile.h"

#define ACPI_MAX_CPUS	4096

/**
 * acpi_build() - write RSDP, XSDT, FADT, FACS, DSDT, MADT, and HPET if the profile has it, into guest memory
 * @mem: guest memory
 * @ncpus: number of processors to list; the APIC IDs are 0 to @ncpus - 1
 * @profile: whose identities the tables have; NULL: Droste's
 *
 * Return: guest-physical address of the RSDP, or 0 if the tables' area has no
 * memory or @ncpus is above ACPI_MAX_CPUS.
 */
uint64_t acpi_build(struct guest_mem *mem, unsigned int ncpus, const struct profile *profile);

/**
 * table_checksum() - the byte that makes the bytes of a table of firmware add up to 0
 * @p: the table, with that byte 0
 * @len: its length
 *
 * Return: the byte.
 */
uint8_t table_checksum(const void *p, size_t len);

#endif
