/* SPDX-License-Identifier: GPL-2.0 */
/* What a guest shows of a real machine, apart from CPUID and feature MSRs. */
#ifndef DROSTECTL_PROFILE_H
#define DROSTECTL_PROFILE_H

#include <stdbool.h>
#include <stdint.h>

#define PROFILE_MSRS	64
#define PROFILE_ACPI	8
#define PROFILE_SMBIOS	256
#define SMBIOS_LONGEST	1024	/* bytes of a structure, with its strings */

/** struct profile_msr - an MSR that has one value; a write is #GP, or is dropped */
struct profile_msr {
	uint32_t index;
	bool drops;
	uint64_t value;
};

/** struct profile_acpi - the identities in the header of an ACPI table; not strings */
struct profile_acpi {
	char signature[4];
	char oem[6];
	char table[8];
	char creator[4];
};

/** struct profile_smbios - a structure of SMBIOS, with its strings and the zeros that end them */
struct profile_smbios {
	uint16_t length;
	uint8_t bytes[SMBIOS_LONGEST];
};

/** struct profile - a machine */
struct profile {
	struct profile_msr msr[PROFILE_MSRS];
	struct profile_acpi acpi[PROFILE_ACPI];
	struct profile_smbios smbios[PROFILE_SMBIOS];
	unsigned int nr_msrs, nr_acpi, nr_smbios;
	uint8_t smbios_major, smbios_minor;
	uint8_t thermal_now, thermal_critical;	/* degrees Celsius of the thermal zone; 0: there is none */
	bool hides;				/* there is a row "clock" */
	bool knows_ticks;			/* which has the ticks; otherwise they are measured */
	uint32_t clock_bound;			/* ns; struct droste_profile has its meaning */
	int32_t clock_ticks;
};

/** profile_msr_find() - an MSR of a profile; NULL if it has none */
const struct profile_msr *profile_msr_find(const struct profile *p, uint32_t index);

/** profile_acpi_find() - the identities of a table, or those of FACP for one that the profile does not name; NULL if there are none */
const struct profile_acpi *profile_acpi_find(const struct profile *p, const char *signature);

/** profile_has_hpet() - whether the machine has a high-precision event timer: a row of its table; @p may be NULL */
bool profile_has_hpet(const struct profile *p);

/** cmd_profile() - drostectl profile; returns the exit status */
int cmd_profile(int argc, char **argv);

/** profile_help() - print the help text of the command */
void profile_help(void);

#endif
