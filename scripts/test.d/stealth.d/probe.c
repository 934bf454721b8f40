// SPDX-License-Identifier: GPL-2.0
/*
 * Prints all by which a program of Linux can tell what machine it runs on, one line "NAME: VALUE" each. The lines of a
 * guest and those of a real machine are compared by stealth.py; only those that begin with "time." may differ from run to
 * run of one machine.
 *
 *   probe [PART...]	cpuid, insn, step, system, time, msr; default all. Needs root, and the module msr.
 */
#include "probe.h"

#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void say(const char *name, const char *fmt, ...)
{
	va_list ap;

	printf("%s: ", name);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	printf("\n");
	fflush(stdout);
}

bool on_cpu(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	return !sched_setaffinity(0, sizeof(set), &set);
}

const char *file_line(const char *path)
{
	static char line[4096];
	FILE *f = fopen(path, "r");
	const char *got = f ? fgets(line, sizeof(line), f) : NULL;

	if (f)
		fclose(f);
	if (!got)
		return NULL;
	line[strcspn(line, "\n")] = 0;
	return line;
}

static const struct {
	const char *name;
	void (*run)(void);
} parts[] = {
	{ "cpuid", probe_cpuid },
	{ "insn", probe_insn },
	{ "step", probe_step },
	{ "system", probe_system },
	{ "time", probe_time },
	{ "msr", probe_msr },
};

#define NR_PARTS	(sizeof(parts) / sizeof(parts[0]))

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		size_t p = 0;

		while (p < NR_PARTS && strcmp(argv[i], parts[p].name))
			p++;
		if (p == NR_PARTS) {
			fprintf(stderr, "probe: there is no part \"%s\"\n", argv[i]);
			return 2;
		}
	}
	say("probe.begins", "yes");
	for (size_t p = 0; p < NR_PARTS; p++) {
		bool wanted = argc < 2;

		for (int i = 1; i < argc; i++)
			wanted |= !strcmp(argv[i], parts[p].name);
		if (wanted)
			parts[p].run();
	}
	say("probe.ends", "yes");
	return 0;
}
