// SPDX-License-Identifier: GPL-2.0
/* The probe's part "time": what instructions cost by several clocks, and whether the clocks agree. */
#include <cpuid.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <x86intrin.h>

#include "probe.h"

#define ROUNDS	1001

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

#define FEW	65	/* rounds of which a hypervisor may be able to hide all */

static uint64_t median(uint64_t *v, int n)
{
	qsort(v, n, sizeof(*v), by_value);
	return v[n / 2];
}

static uint64_t counter;
static bool counts;

/* A clock that nobody can shift: another processor that counts. */
static void *count(void *cpu)
{
	on_cpu(*(int *)cpu);
	while (__atomic_load_n(&counts, __ATOMIC_RELAXED))
		__atomic_store_n(&counter, counter + 1, __ATOMIC_RELAXED);
	return NULL;
}

static uint64_t by_tsc(void)
{
	return __rdtsc();
}

static uint64_t by_counter(void)
{
	return __atomic_load_n(&counter, __ATOMIC_RELAXED);
}

/* What CPUID costs by a clock, and what a loop of additions costs. */
static void say_costs(const char *clock, uint64_t (*now)(void))
{
	static uint64_t cpuid[ROUNDS], nothing[ROUNDS];
	unsigned int a, b, c, d;
	char name[64];

	/* What was hidden before is paid back when the processor has nothing to do. */
	usleep(20000);
	for (int i = 0; i < ROUNDS; i++) {
		uint64_t at = now();

		__cpuid(0, a, b, c, d);
		cpuid[i] = now() - at;
		at = now();
		for (volatile int n = 0; n < 30; n++)
			;
		nothing[i] = now() - at;
	}
	snprintf(name, sizeof(name), "time.cpuid-few.%s", clock);
	say(name, "%llu", (unsigned long long)median(cpuid, FEW));
	snprintf(name, sizeof(name), "time.cpuid.%s", clock);
	say(name, "%llu", (unsigned long long)median(cpuid, ROUNDS));
	snprintf(name, sizeof(name), "time.loop.%s", clock);
	say(name, "%llu", (unsigned long long)median(nothing, ROUNDS));
}

static struct {
	uint64_t tsc;
	int turn;
	bool back;
} pass;

/* Two processors in turn read the TSC: none may read less than the other has before. */
static void take_turns(int me)
{
	for (int i = 0; i < 10000; i++) {
		uint64_t now;

		while (__atomic_load_n(&pass.turn, __ATOMIC_ACQUIRE) != me)
			_mm_pause();
		_mm_lfence();
		now = __rdtsc();
		if (now < pass.tsc)
			pass.back = true;
		pass.tsc = now;
		__atomic_store_n(&pass.turn, !me, __ATOMIC_RELEASE);
	}
}

static void *other(void *unused)
{
	(void)unused;
	on_cpu(1);
	take_turns(1);
	return NULL;
}

static void say_monotone(void)
{
	unsigned int a, b, c, d, aux;
	uint64_t before = 0, now;
	bool back = false;
	pthread_t thread;

	for (int i = 0; i < 20000; i++) {
		if (i & 1)
			__cpuid(0, a, b, c, d);
		now = i % 3 ? __rdtsc() : __rdtscp(&aux);
		back |= now < before;
		before = now;
	}
	say("tsc.goes-back", "%s", back ? "yes" : "no");
	if (on_cpu(1)) {
		on_cpu(0);
		pthread_create(&thread, NULL, other, NULL);
		take_turns(0);
		pthread_join(thread, NULL);
		say("tsc.goes-back-between-cpus", "%s", pass.back ? "yes" : "no");
	}
}

/* RDMSR of IA32_TIME_STAMP_COUNTER lies between two RDTSC; APERF and MPERF count. */
static void say_msrs(void)
{
	int fd = open("/dev/cpu/0/msr", O_RDONLY);
	uint64_t tsc, aperf[2], mperf[2], first = __rdtsc();
	bool agrees = fd >= 0 && pread(fd, &tsc, 8, 0x10) == 8 && tsc > first && tsc < __rdtsc();

	say("tsc.rdmsr-agrees", "%s", agrees ? "yes" : "no");
	if (fd < 0)
		return;
	if (pread(fd, &mperf[0], 8, 0xe7) == 8 && pread(fd, &aperf[0], 8, 0xe8) == 8) {
		for (volatile int n = 0; n < 10000; n++)
			;
		if (pread(fd, &mperf[1], 8, 0xe7) == 8 && pread(fd, &aperf[1], 8, 0xe8) == 8)
			say("tsc.aperf-mperf", "%s", mperf[1] > mperf[0] && aperf[1] > aperf[0] ? "count" : "stand");
	} else {
		say("tsc.aperf-mperf", "none");
	}
	close(fd);
}

void probe_time(void)
{
	unsigned int a, b, c, d, aux = 0;
	int cpu = 1;
	pthread_t thread;

	on_cpu(0);
	__rdtscp(&aux);
	say("tsc.aux", "%u", aux & 0xfff);
	say_monotone();
	say_msrs();
	say_costs("tsc", by_tsc);
	if (on_cpu(1)) {
		on_cpu(0);
		counts = true;
		pthread_create(&thread, NULL, count, &cpu);
		while (by_counter() < 1000)
			;
		say_costs("counter", by_counter);
		counts = false;
		pthread_join(thread, NULL);
	}
	__cpuid_count(0x15, 0, a, b, c, d);
	say("time.leaf-0x15", "%u %u %u", a, b, c);
}
