/* SPDX-License-Identifier: GPL-2.0 */
/* ACPI tables: the guest's description of its machine. */
#ifndef DROSTECTL_ACPI_H
#define DROSTECTL_ACPI_H

#include <stdint.h>

#include "mem.h"

#define ACPI_MAX_CPUS	4096

/**
 * acpi_build() - write RSDP, XSDT, FADT, FACS, DSDT and MADT into guest memory
 * @mem: guest memory
 * @ncpus: processors to list; the APIC IDs are 0 to @ncpus - 1
 *
 * Return: guest-physical address of the RSDP, or 0 if there is no
 * memory there or there are more than ACPI_MAX_CPUS processors.
 */
uint64_t acpi_build(struct guest_mem *mem, unsigned int ncpus);

#endif
