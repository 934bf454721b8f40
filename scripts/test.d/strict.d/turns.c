// SPDX-License-Identifier: GPL-2.0
/*
 * Tells whether the running CPU changes at random: CPU 1 counts, CPU 0 reads the count again and again. In turns of equal
 * length a read finds the count of the read before, or one turn's more. If CPU 0 misses some turns, it finds two to six
 * turns' more. Almost all interrupts of CPU 0 take longer than that.
 *
 *   turns	prints the number of reads that found so much more
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>

/* A turn has at most 16 traces of instructions, and so many steps of the count. */
#define TURN	16
#define READS	2000000

static volatile uint64_t count;

static void pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		perror("sched_setaffinity");
}

static void *counts(void *unused)
{
	pin(1);
	for (;;)
		count++;
	return NULL;
}

int main(void)
{
	uint64_t last, now, found = 0;
	pthread_t thread;

	pin(0);
	pthread_create(&thread, NULL, counts, NULL);
	while (!count)
		sched_yield();
	last = count;
	for (int i = 0; i < READS; i++) {
		now = count;
		if (now - last > 2 * TURN && now - last <= 6 * TURN)
			found++;
		last = now;
	}
	printf("%llu\n", (unsigned long long)found);
	return 0;
}
