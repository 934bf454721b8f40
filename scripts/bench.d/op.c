// SPDX-License-Identifier: GPL-2.0
/* Repeats one operation 1,000 times between two markers that the lab's emulator recognizes as it counts. */
#include <cpuid.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define TIMES	1000
#define TOUCH	(64UL << 20)	/* bytes for "touch" */

/* xchg %bx,%bx has no effect; the emulator treats it as a marker. */
static inline void marker(void)
{
	asm volatile("xchg %%bx, %%bx" ::: "memory");
}

static void op_cpuid(void)
{
	unsigned int eax = 0, ebx, ecx = 0, edx;

	asm volatile("cpuid" : "+a"(eax), "=b"(ebx), "+c"(ecx), "=d"(edx));
}

static void op_nothing(void)
{
}

static const struct {
	const char *name;
	void (*run)(void);
} ops[] = {
	{ "cpuid", op_cpuid },
	{ "nothing", op_nothing },
};

/*
 * Writes to each page of a new mapping between the markers. With @again, every
 * page has been written, and so is backed by memory, before the first marker.
 */
static int touch(const char *again)
{
	char *mem = mmap(NULL, TOUCH, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (mem == MAP_FAILED)
		return 1;
	madvise(mem, TOUCH, MADV_NOHUGEPAGE);
	if (again)
		for (unsigned long i = 0; i < TOUCH; i += 4096)
			mem[i] = 1;
	marker();
	for (unsigned long i = 0; i < TOUCH; i += 4096)
		mem[i] = 2;
	marker();
	return 0;
}

int main(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : "";

	if (!strcmp(name, "touch"))
		return touch(argc > 2 ? argv[2] : NULL);
	for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++) {
		if (strcmp(ops[i].name, name))
			continue;
		/* Run once before the first marker, so that effects of a first run are not counted. */
		ops[i].run();
		marker();
		for (int n = 0; n < TIMES; n++)
			ops[i].run();
		marker();
		return 0;
	}
	fprintf(stderr, "Usage: op cpuid|nothing|touch\n");
	return 2;
}
