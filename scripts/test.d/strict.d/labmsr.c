// SPDX-License-Identifier: GPL-2.0
/*
 * Shows what the strict machine counts (its MSRs are in scripts/lab.d/strict/strict.h), summed over all processors:
 *
 *   labmsr clear		counts anew
 *   labmsr counts		VM entries, and those with a barrier since the exit before, as NAME=NUMBER
 *   labmsr nmis		the NMIs that the processors accepted
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define LAB_MSR_COUNT	0x4c414210
#define LAB_MSR_NMIS	0x4c414220

static const char *const names[] = { "entries", "ibpb", "l1d_flush", "verw", "spec_ctrl", "switches", "switches_ibpb" };

/* The sum of an MSR over the processors. A write, if there is a value, goes to all. */
static uint64_t msr(uint32_t index, const uint64_t *write)
{
	uint64_t sum = 0, value;

	for (int cpu = 0;; cpu++) {
		char path[40];

		snprintf(path, sizeof(path), "/dev/cpu/%d/msr", cpu);
		int fd = open(path, write ? O_WRONLY : O_RDONLY);

		if (fd < 0)
			return sum;
		if (write ? pwrite(fd, write, 8, index) != 8 : pread(fd, &value, 8, index) != 8)
			fprintf(stderr, "CPU %d has no MSR %#x; is this a strict machine?\n", cpu, index);
		else if (!write)
			sum += value;
		close(fd);
	}
}

int main(int argc, char **argv)
{
	const uint64_t zero = 0;
	const char *what = argc > 1 ? argv[1] : "";

	if (!strcmp(what, "clear"))
		msr(LAB_MSR_COUNT, &zero);
	else if (!strcmp(what, "counts"))
		for (unsigned int i = 0; i < sizeof(names) / sizeof(names[0]); i++)
			printf("%s=%llu\n", names[i], (unsigned long long)msr(LAB_MSR_COUNT + i, NULL));
	else if (!strcmp(what, "nmis"))
		printf("%llu\n", (unsigned long long)msr(LAB_MSR_NMIS, NULL));
	else
		return 2;
	return 0;
}
