/* SPDX-License-Identifier: GPL-2.0 */
/* Loads a Linux bzImage into guest memory. */
#ifndef DROSTECTL_LINUX_H
#define DROSTECTL_LINUX_H

#include <stdint.h>

#include "mem.h"

/** struct linux_image - what to boot */
struct linux_image {
	const char *kernel;	/* bzImage file */
	const char *initrd;	/* initial RAM disk file, or NULL */
	const char *cmdline;	/* kernel command line */
	uint64_t rsdp;		/* guest-physical address of the ACPI RSDP */
};

/**
 * linux_load() - load a kernel for the 64-bit boot protocol
 * @mem: guest memory
 * @image: what to load
 *
 * Writes the kernel, the initial RAM disk, the command line, the zero page, a
 * GDT and identity-mapping page tables, where layout.h says.
 *
 * Return: guest-physical address of the entry point, or 0 after saying what
 * is wrong with the files.
 */
uint64_t linux_load(struct guest_mem *mem, const struct linux_image *image);

#endif
