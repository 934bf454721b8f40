// SPDX-License-Identifier: GPL-2.0
/* Allocates guest memory and looks it up by guest-physical address. */
#include <errno.h>
#include <sys/mman.h>

#include "layout.h"
#include "mem.h"

#define HUGE_2M	0x200000ULL

/*
 * A huge page can back guest memory only where the host address and the
 * guest-physical address agree modulo 2 MiB. Every region's guest address is a
 * multiple of 2 MiB, so the mapping is trimmed to start at a multiple too.
 */
static uint8_t *map_aligned(uint64_t size)
{
	uint64_t want = size + HUGE_2M;
	uint8_t *raw, *base;
	uint64_t head;

	if (want < size || want > SIZE_MAX) {
		errno = ENOMEM;
		return NULL;
	}
	raw = mmap(NULL, want, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (raw == MAP_FAILED)
		return NULL;

	base = (uint8_t *)(((uintptr_t)raw + HUGE_2M - 1) & ~(HUGE_2M - 1));
	head = base - raw;
	if (head)
		munmap(raw, head);
	munmap(base + size, HUGE_2M - head);
	/* Only a hint: the guest also works without huge pages, but slower. */
	madvise(base, size, MADV_HUGEPAGE);
	return base;
}

static int add_region(struct guest_mem *mem, uint64_t gpa, uint64_t size)
{
	struct mem_region *r = &mem->region[mem->nr];

	r->host = map_aligned(size);
	if (!r->host)
		return -1;
	r->gpa = gpa;
	r->size = size;
	mem->nr++;
	return 0;
}

int mem_init(struct guest_mem *mem, uint64_t size)
{
	uint64_t low = size < GPA_HOLE ? size : GPA_HOLE;

	mem->nr = 0;
	if (add_region(mem, 0, low))
		return -1;
	if (size > low && add_region(mem, GPA_4G, size - low)) {
		mem_free(mem);
		return -1;
	}
	return 0;
}

void mem_no_huge(const struct guest_mem *mem)
{
	/* Fails only on a kernel without huge pages. */
	for (unsigned int i = 0; i < mem->nr; i++)
		madvise(mem->region[i].host, mem->region[i].size, MADV_NOHUGEPAGE);
}

void mem_free(struct guest_mem *mem)
{
	while (mem->nr) {
		mem->nr--;
		munmap(mem->region[mem->nr].host, mem->region[mem->nr].size);
	}
}

void *mem_at(const struct guest_mem *mem, uint64_t gpa, uint64_t len)
{
	for (unsigned int i = 0; i < mem->nr; i++) {
		const struct mem_region *r = &mem->region[i];

		if (gpa >= r->gpa && gpa - r->gpa <= r->size &&
		    len <= r->size - (gpa - r->gpa))
			return r->host + (gpa - r->gpa);
	}
	return NULL;
}

uint64_t mem_low_end(const struct guest_mem *mem)
{
	return mem->region[0].gpa + mem->region[0].size;
}
