/* SPDX-License-Identifier: GPL-2.0 */
/* Files that describe a real machine, for a guest that shall look like it. */
#ifndef DROSTECTL_PROFILEFILE_H
#define DROSTECTL_PROFILEFILE_H

#include "poolfile.h"
#include "profile.h"

/** struct profile_file - a profile, and where its file says what */
struct profile_file {
	struct pool_file cpu;		/* the rows that pools have, too; first, because its parser fills the rest in */
	struct profile p;
	int msr_line[PROFILE_MSRS];
	int acpi_line[PROFILE_ACPI];
	int smbios_line[PROFILE_SMBIOS];
	int version_line, thermal_line, clock_line;
};

/**
 * profile_file_read() - read a profile
 * @f: filled in
 * @name: the file's name; must stay valid
 *
 * Return: 0, or -1 after a message that names line and reason. Contradictions are found, too.
 */
int profile_file_read(struct profile_file *f, const char *name);

/** profile_file_parse() - as profile_file_read(), for a file's contents, which it changes; a zero byte follows the @size bytes */
int profile_file_parse(struct profile_file *f, const char *name, char *data, size_t size);

/**
 * profile_file_write() - write a profile as a file
 * @out: where to
 * @cpu: the processor
 * @p: the other rows
 * @about: lines about where it is from, each with "# " before it; may be empty
 */
void profile_file_write(FILE *out, const struct droste_pool *cpu, const struct profile *p, const char *about);

#endif
