/* SPDX-License-Identifier: GPL-2.0 */
/* Loads a Linux bzImage into guest memory. */
#ifndef DROSTECTL_LINUX_H
#define DROSTECTL_LINUX_H

#include <stdint.h>

#include "mem.h"

/** struct linux_image - the files and parameters of a boot */
struct linux_image {
	const char *kernel;	/* bzImage file */
	const char *initrd;	/* initial RAM disk file, or NULL */
	const void *disk;	/* initial RAM disk in memory, or NULL; then initrd is its name */
	uint64_t disk_size;	/* bytes of it */
	const char *cmdline;	/* kernel command line */
	uint64_t rsdp;		/* guest-physical address of the ACPI RSDP */
};

/**
 * linux_load() - load a kernel for the 64-bit boot protocol
 * @mem: guest memory
 * @image: files and parameters
 *
 * Writes the kernel, the initial RAM disk, the command line, the zero page, a
 * GDT and identity-mapping page tables to the addresses in layout.h.
 *
 * Return: guest-physical address of the entry point, or 0 after printing an
 * error message.
 */
uint64_t linux_load(struct guest_mem *mem, const struct linux_image *image);

#endif
