// SPDX-License-Identifier: GPL-2.0
/* Prints Droste's exit counters of a run, by reason, level and handler. */
#include "stats.h"

#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

#include "../uapi/linux/droste.h"
#include "exitname.h"
#include "say.h"

static int collect(const struct vm *vm, struct droste_exit_stats *sum)
{
	struct droste_exit_stats one;

	memset(sum, 0, sizeof(*sum));
	for (unsigned int i = 0; i < vm->nr_vcpus; i++) {
		if (ioctl(vm->vcpu[i].fd, DROSTE_GET_EXIT_STATS, &one))
			return -1;
		for (int r = 0; r < DROSTE_NR_EXIT_REASONS; r++) {
			sum->exits[r] += one.exits[r];
			sum->from_l2[r] += one.from_l2[r];
			sum->reflected[r] += one.reflected[r];
		}
	}
	return 0;
}

static void line(const char *name, unsigned long long exits,
		 unsigned long long from_l2, unsigned long long reflected)
{
	printf("  %-22s %10llu %10llu %10llu %10llu\n", name, exits - from_l2,
	       from_l2, reflected, from_l2 - reflected);
}

void stats_print(const struct vm *vm)
{
	unsigned long long exits = 0, from_l2 = 0, reflected = 0;
	struct droste_exit_stats s;

	if (collect(vm, &s)) {
		say("--stats: the device does not count exits by level");
		return;
	}
	printf("Exits taken by L0           from L1    from L2  reflected      by L0\n");
	for (int r = 0; r < DROSTE_NR_EXIT_REASONS; r++) {
		if (!s.exits[r])
			continue;
		line(exit_name(r), s.exits[r], s.from_l2[r], s.reflected[r]);
		exits += s.exits[r];
		from_l2 += s.from_l2[r];
		reflected += s.reflected[r];
	}
	line("all", exits, from_l2, reflected);
	fflush(stdout);
}
