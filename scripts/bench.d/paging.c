// SPDX-License-Identifier: GPL-2.0
/* Four workloads that use page tables in different ways, each between two markers that the lab's emulator counts between. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define ROUNDS	1000UL			/* of "switch" */
#define FORKS	100UL			/* of "fork" */
#define FORKED	(4UL << 20)		/* bytes that the parent of "fork" has written */
#define CHANGED	16UL			/* the child of "fork" writes to one page of so many */
#define MAPS	1000UL			/* of "map" */
#define MAPPED	4UL			/* pages of each */
#define WALKED	(64UL << 20)		/* bytes of "walk" */
#define TURNS	2UL			/* of "walk" */
#define PAGE	4096UL
#define NO_TAG	(~0UL)			/* ends a count and starts none */

/* xchg %bx,%bx has no effect; the emulator treats it as a marker. The first of two names the count. */
static inline void marker(unsigned long tag)
{
	asm volatile("xchg %%bx, %%bx" : : "a" (tag) : "memory");
}

static void must(int ok, const char *what)
{
	if (ok)
		return;
	perror(what);
	exit(1);
}

/* Small pages only, whatever the kernel thinks of large ones. */
static char *pages(unsigned long bytes)
{
	char *mem = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	must(mem != MAP_FAILED, "mmap");
	madvise(mem, bytes, MADV_NOHUGEPAGE);
	return mem;
}

static void touch(volatile char *mem, unsigned long bytes, unsigned long stride)
{
	for (unsigned long at = 0; at < bytes; at += stride)
		mem[at]++;
}

static void answer(int from, int to)
{
	char c;

	while (read(from, &c, 1) == 1)
		must(write(to, &c, 1) == 1, "write");
	_exit(0);
}

/* Two processes wake one another: two changes of CR3 in each round. */
static void run_switch(unsigned long tag, unsigned long rounds)
{
	int there[2], back[2];
	char c = 0;
	pid_t child;

	must(!pipe(there) && !pipe(back), "pipe");
	child = fork();
	must(child >= 0, "fork");
	if (!child) {
		close(there[1]);
		answer(there[0], back[1]);
	}
	for (unsigned long n = 0; n <= rounds; n++) {
		if (n == 1)
			marker(tag);
		must(write(there[1], &c, 1) == 1 && read(back[0], &c, 1) == 1, "pipe");
	}
	marker(NO_TAG);
	close(there[1]);
	waitpid(child, NULL, 0);
}

/* A child shares 4 MiB, changes some of it, and ends. */
static void run_fork(unsigned long tag, unsigned long forks)
{
	char *mem = pages(FORKED);

	touch(mem, FORKED, PAGE);
	marker(tag);
	for (unsigned long n = 0; n < forks; n++) {
		pid_t child = fork();

		must(child >= 0, "fork");
		if (!child) {
			touch(mem, FORKED, CHANGED * PAGE);
			_exit(0);
		}
		waitpid(child, NULL, 0);
	}
	marker(NO_TAG);
}

/* Memory that lives shortly. */
static void run_map(unsigned long tag, unsigned long maps)
{
	marker(tag);
	for (unsigned long n = 0; n < maps; n++) {
		char *mem = mmap(NULL, MAPPED * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		must(mem != MAP_FAILED, "mmap");
		touch(mem, MAPPED * PAGE, PAGE);
		munmap(mem, MAPPED * PAGE);
	}
	marker(NO_TAG);
}

/* More pages than the TLB has entries, all mapped before: each access misses it. */
static void run_walk(unsigned long tag)
{
	char *mem = pages(WALKED);

	touch(mem, WALKED, PAGE);
	marker(tag);
	/* Reads only: the emulator walks again for the write that follows a read. */
	for (unsigned long n = 0; n < TURNS; n++)
		for (unsigned long at = 0; at < WALKED; at += PAGE)
			(void)*(volatile char *)(mem + at);
	marker(NO_TAG);
}

int main(int argc, char **argv)
{
	unsigned long tag = argc > 1 ? strtoul(argv[1], NULL, 0) : 0, divide = argc > 2 ? strtoul(argv[2], NULL, 0) : 1;

	if (argc < 2 || argc > 3 || !divide) {
		fprintf(stderr, "Usage: paging TAG [DIVIDE]\nThe first three workloads are that many times shorter.\n");
		return 2;
	}
	run_switch(tag, ROUNDS / divide);
	run_fork(tag + 1, FORKS / divide);
	run_map(tag + 2, MAPS / divide);
	run_walk(tag + 3);
	return 0;
}
