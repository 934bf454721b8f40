/* SPDX-License-Identifier: GPL-2.0 */
/* A generated bzImage, which is valid and does nothing. */
#ifndef DROSTECTL_TEST_BZIMAGE_H
#define DROSTECTL_TEST_BZIMAGE_H

#include <asm/bootparam.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MIB		(1 << 20)
#define SETUP_SIZE	(3 * 512)	/* two setup sectors and the boot sector */
#define PAYLOAD_SIZE	8192
#define BZIMAGE_SIZE	(SETUP_SIZE + PAYLOAD_SIZE)

static inline struct setup_header *bzimage_header(uint8_t *bytes)
{
	return (void *)(bytes + offsetof(struct boot_params, hdr));
}

/* Fills in BZIMAGE_SIZE bytes. The kernel needs 6 MiB of memory. */
static inline void bzimage_make(uint8_t *bytes)
{
	struct setup_header *h = bzimage_header(bytes);

	memset(bytes, 0, SETUP_SIZE);
	for (size_t i = SETUP_SIZE; i < BZIMAGE_SIZE; i++)
		bytes[i] = i * 7;
	h->setup_sects = 2;
	h->boot_flag = 0xaa55;
	h->jump = 0x6aeb;
	h->header = 0x53726448;
	h->version = 0x020f;
	h->loadflags = LOADED_HIGH;
	h->xloadflags = XLF_KERNEL_64;
	h->syssize = PAYLOAD_SIZE / 16;
	h->cmdline_size = 1023;
	h->initrd_addr_max = 0x7fffffff;
	h->pref_address = 2 * MIB;
	h->init_size = 4 * MIB;
}

static inline void write_file(const char *name, const void *data, size_t size)
{
	FILE *f = fopen(name, "w");

	if (!f || (size && fwrite(data, size, 1, f) != 1) || fclose(f))
		abort();
}

#endif
