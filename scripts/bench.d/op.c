// SPDX-License-Identifier: GPL-2.0
/* Does one thing in Linux's user space between two markers that the lab's emulator recognizes as it counts. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define TIMES	1000		/* for the operations of the table below */
#define TOUCH	(64UL << 20)	/* bytes for "touch" */
#define PAGE	4096UL
#define CHUNKS	256		/* parts of a "touch" that are counted one by one if they have a tag */
#define TICK	400000UL	/* TSC ticks from one of Linux's (HZ is 250) to the next; the lab's TSC has 100 MHz */
#define SPINS	10		/* parts of a "tick" that are counted one by one */
#define NO_TAG	(~0UL)		/* ends a count and starts none */
#define LAST_TAG (~1UL)		/* the same, and makes the emulator write its profile */

/* xchg %bx,%bx has no effect; the emulator treats it as a marker. The first of two names the count. */
static inline void marker(unsigned long tag)
{
	asm volatile("xchg %%bx, %%bx" : : "a" (tag) : "memory");
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
 * With @tag, there are markers around each of CHUNKS parts.
 */
static int touch(int again, unsigned long tag)
{
	char *mem = mmap(NULL, TOUCH, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	unsigned long chunk = tag ? TOUCH / CHUNKS : TOUCH;

	if (mem == MAP_FAILED)
		return 1;
	madvise(mem, TOUCH, MADV_NOHUGEPAGE);
	if (again)
		for (unsigned long i = 0; i < TOUCH; i += PAGE)
			mem[i] = 1;
	for (unsigned long at = 0; at < TOUCH; at += chunk) {
		marker(tag);
		for (unsigned long i = at; i < at + chunk; i += PAGE)
			mem[i] = 2;
		marker(NO_TAG);
	}
	return 0;
}

static unsigned long tsc(void)
{
	unsigned int low, high;

	asm volatile("rdtsc" : "=a" (low), "=d" (high));
	return low | (unsigned long)high << 32;
}

/* Is busy for SPINS times @ticks ticks of Linux. */
static int tick(unsigned long ticks, unsigned long tag)
{
	for (int n = 0; n < SPINS; n++) {
		unsigned long end = tsc() + ticks * TICK;

		marker(tag);
		while (tsc() < end)
			for (volatile int i = 0; i < 100; i++)
				;
		marker(NO_TAG);
	}
	return 0;
}

int main(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : "";
	const char *how = argc > 2 ? argv[2] : "";
	unsigned long tag = argc > 3 ? strtoul(argv[3], NULL, 0) : 0;

	if (!strcmp(name, "touch"))
		return touch(*how && strcmp(how, "fresh"), tag);
	if (!strcmp(name, "tick"))
		return tick(strtoul(how, NULL, 0), tag);
	if (!strcmp(name, "mark")) {
		marker(!strcmp(how, "end") ? NO_TAG : !strcmp(how, "last") ? LAST_TAG : strtoul(how, NULL, 0));
		return 0;
	}
	for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++) {
		if (strcmp(ops[i].name, name))
			continue;
		/* Run once before the first marker, so that effects of a first run are not counted. */
		ops[i].run();
		marker(0);
		for (int n = 0; n < TIMES; n++)
			ops[i].run();
		marker(NO_TAG);
		return 0;
	}
	fprintf(stderr, "Usage: op cpuid|nothing; op touch fresh|again [TAG]; op tick TICKS TAG; op mark TAG|end|last\n");
	return 2;
}
