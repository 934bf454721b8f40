/* SPDX-License-Identifier: GPL-2.0 */
/* Guest memory: below the 32-bit hole and above 4 GiB. */
#ifndef DROSTECTL_MEM_H
#define DROSTECTL_MEM_H

#include <stddef.h>
#include <stdint.h>

#define MEM_MAX_REGIONS	2

/** struct mem_region - one contiguous range of guest memory */
struct mem_region {
	uint64_t gpa;	/* first guest-physical address */
	uint64_t size;	/* bytes, a multiple of the page size */
	uint8_t *host;	/* address in this process, 2 MiB aligned */
};

/** struct guest_mem - all memory of a guest */
struct guest_mem {
	struct mem_region region[MEM_MAX_REGIONS];	/* in ascending order */
	unsigned int nr;				/* regions in use */
};

/**
 * mem_init() - allocate a guest's memory
 * @mem: filled in
 * @size: total bytes; memory that does not fit below GPA_HOLE goes above 4 GiB
 *
 * Return: 0, or -1 with errno set.
 */
int mem_init(struct guest_mem *mem, uint64_t size);

/** mem_no_huge() - use no huge pages from now on: for memory of which few pages here and there are touched */
void mem_no_huge(const struct guest_mem *mem);

/** mem_free() - free the memory that mem_init() allocated */
void mem_free(struct guest_mem *mem);

/**
 * mem_at() - translate a guest-physical address to a host address
 * @mem: guest memory
 * @gpa: guest-physical address
 * @len: number of bytes that the caller will access
 *
 * Return: the address, or NULL unless all @len bytes lie in one region.
 */
void *mem_at(const struct guest_mem *mem, uint64_t gpa, uint64_t len);

/** mem_low_end() - first address above the memory that starts at 0 */
uint64_t mem_low_end(const struct guest_mem *mem);

#endif
