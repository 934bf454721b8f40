/* SPDX-License-Identifier: GPL-2.0 */
/* Files that describe a processor, or what several have in common. */
#ifndef DROSTECTL_POOLFILE_H
#define DROSTECTL_POOLFILE_H

#include <stddef.h>
#include <stdio.h>

#include "cpu/pool_logic.h"

/** struct pool_file - a processor, and where its file says what */
struct pool_file {
	const char *name;
	struct droste_pool p;
	int cpuid_line[DROSTE_POOL_CPUID];	/* line of each entry of p.cpuid */
	int msr_line[DROSTE_POOL_MSRS];
	int list_line, tsc_line;		/* 0: the file has no such row */
};

/**
 * pool_file_read() - read a file
 * @f: filled in
 * @name: the file's name, "-" for standard input; must stay valid
 *
 * Return: 0, or -1 after a message that names line and reason.
 */
int pool_file_read(struct pool_file *f, const char *name);

/** pool_file_parse() - as pool_file_read(), for a file's contents, which it changes; a zero byte follows the @size bytes */
int pool_file_parse(struct pool_file *f, const char *name, char *data, size_t size);

/**
 * pool_file_contradicts() - whether rows of a file contradict each other
 * @f: the file
 *
 * Return: 0, or -1 after a message for each row that needs something that the others lack.
 */
int pool_file_contradicts(const struct pool_file *f);

/**
 * pool_file_write() - write a processor as a file
 * @out: where to
 * @p: the processor
 * @about: lines about where it is from, each with "# " before it; may be empty
 */
void pool_file_write(FILE *out, const struct droste_pool *p, const char *about);

#endif
